// SPDX-License-Identifier: MIT
// phone.c: reads groups of digits and what stands between them, then asks what they could be.
//
//   number_read     the longest row of groups that could be one number (phone_number.h)
//   ends_well       may it end after this group? If not, and blanks stand there, it may end earlier
//   judge           international, by region, by shape, by words: how sure
//
// What can be told from the number alone is asked first, the words in front last.
#include "redact/phone.h"

#include "redact/phone_number.h"
#include "redact/phone_plan.h"
#include "redact/words.h"

#include <string.h>

enum { DIGITS_MIN = 7, INTERNATIONAL_MAX = 15, EXTENSION_MAX = 7, ALONE_BYTES = 64 };

// How sure it is, of 100; REDACT_SCORE_MIN is what counts.
enum {
    SURE_WORLD = 95,     // international and valid
    SURE_REGION = 85,    // valid in the region that is configured
    SURE_SHAPE = 75,     // valid, written as such numbers are
    SURE_WORDS = 65,     // words say so
    SURE_LIKELY = 50,    // the shape alone, or valid and vague words
};

// ---- shapes, of the first k groups

// The lengths from group `from` on, four bits each.
static uint32_t lens(const struct number *num, size_t k, size_t from)
{
    uint32_t all = num->of[k - 1].lens;

    return k - from < NUMBER_GROUPS_MAX ? all & ((UINT32_C(1) << 4 * (k - from)) - 1) : all;
}

static bool all_marked(const struct number *num, size_t k, char mark)
{
    for (size_t i = 1; i < k; i++)
        if (num->of[i].mark != mark)
            return false;
    return true;
}

static int value_of(const char *digits, size_t len)
{
    int value = 0;

    for (size_t i = 0; i < len; i++)
        value = value * 10 + digits[i] - '0';
    return value;
}

static bool is_year(const char *d)
{
    int year = value_of(d, 4);

    return year >= 1900 && year < 2100;
}

// 2026-11-21, 21.11.2026, 11/21/26, and more groups behind them (a time); 20261121.
static bool is_date(const struct number *num, size_t k)
{
    const struct group *g = num->of;
    const char *d = num->digits;
    size_t year = 0, a = 4, b, b_end;

    if (k == 1 && g[0].len == 8) {
        b = 6, b_end = 8;
    } else if (k >= 3 && g[0].len == 4 && g[1].len <= 2 && g[2].len <= 2) {
        b = 4u + g[1].len, b_end = b + g[2].len;
    } else if (k >= 3 && g[0].len <= 2 && g[1].len <= 2 && (g[2].len == 4 || g[2].len == 2)) {
        a = 0, b = g[0].len, b_end = year = b + g[1].len;
        if (g[2].len == 2 && (k > 3 || g[1].mark == ' '))
            return false;  // 12 34 56 78
    } else {
        return false;
    }
    int first = value_of(d + a, b - a), second = value_of(d + b, b_end - b);
    if (first < 1 || second < 1 || first > 31 || second > 31 || (first > 12 && second > 12))
        return false;
    return (k >= 3 && g[0].len != 4 && g[2].len == 2) || is_year(d + year);
}

// 2019-2024
static bool is_years(const struct number *num, size_t k)
{
    return lens(num, k, 0) == 0x44 && is_year(num->digits) && is_year(num->digits + 4);
}

// 1 234 567, 1.234.567
static bool is_amount(const struct number *num, size_t k)
{
    if (k < 2 || num->digits[0] == '0' || num->of[0].len > 3 || num->bracket)
        return false;
    for (size_t i = 1; i < k; i++)
        if (num->of[i].len != 3)
            return false;
    return all_marked(num, k, ' ') || all_marked(num, k, '.');
}

// 192.168.100.200
static bool is_address(const struct number *num, size_t k)
{
    const char *d = num->digits;

    if (k != 4 || !all_marked(num, k, '.'))
        return false;
    for (size_t i = 0; i < k; d += num->of[i++].len)
        if (num->of[i].len > 3 || value_of(d, num->of[i].len) > 255)
            return false;
    return true;
}

// 555.0132 or 3.14159265
static bool is_fraction(const struct number *num, size_t k)
{
    return k == 2 && num->of[1].mark == '.' && !num->bracket;
}

static bool all_same(const char *digits, size_t len)
{
    for (size_t i = 1; i < len; i++)
        if (digits[i] != digits[0])
            return false;
    return true;
}

// Is the number all that the text says?
static bool stands_alone(struct view *v, const struct number *num, size_t end)
{
    for (size_t i = num->start > ALONE_BYTES ? num->start - ALONE_BYTES : 0; i < num->start; i++)
        if (v->ptr[i] != ' ' && v->ptr[i] != '\n')
            return false;
    for (size_t i = end; i < end + ALONE_BYTES; i++) {
        int c = view_at(v, i);

        if (c != ' ' && c != '\n' && c != '.')
            return c == VIEW_END;
    }
    return false;
}

// ---- where a number may begin and end

// Digits that follow others and a mark: a part of something, whatever they are.
static bool is_rest(struct view *v, size_t at)
{
    int c = view_before(v, at);

    return is_digit(view_at(v, at)) && (c == '-' || c == '.' || c == ',' || c == ':') &&
           is_digit(view_before(v, at - 1));
}

// What can be told before it is read.
static bool may_begin(struct view *v, size_t at)
{
    int c = view_before(v, at);

    if (c == VIEW_END || c == ' ' || view_at(v, at + (view_at(v, at) == '(')) == '+')
        return true;
    if (c == '+' || c == '$' || c == '%' || c == '@' || c == '\\' || c == '&' || is_rest(v, at))
        return false;
    if (at > 1 && view_before(v, at - 1) == 0xc2 && (c == 0xa3 || c == 0xa5))  // £ ¥
        return false;
    return at <= 2 || view_before(v, at - 1) != 0x82 || c != 0xac;  // €
}

static bool begins_well(struct view *v, struct number *num)
{
    int c = view_before(v, num->start);
    size_t i = num->start;

    if (num->plus)
        return true;
    if (c == '-' || c == '.' || c == '/' || c == ',' || c == ':' || c == '(') {
        if (is_digit(view_before(v, i - 1)))  // but "415-555-0132/415-555-0133"
            return c == '/' && num->n >= 3;
        if (c == '-' && is_letter(view_before(v, i - 1)))
            return words_heard(v, i)->phone == SAYS_PHONE;
    }
    if (c == '/' && num->n == 1)  // of a path
        return false;
    num->marked = c == '#' || c == '=';
    num->follows = c == ' ' && i > 1 && is_digit(view_before(v, i - 1));
    return true;
}

static bool ends_well(struct view *v, struct number *num, size_t end, bool bare)
{
    int c = view_at(v, end);

    if (is_alnum(c) || c == '_' || c == '%' || is_letter_lead(c))
        return false;
    if (c == '-' || c == '/' || c == '=' || c == '@' || c == '&' || c == '\\')
        return !view_word(v, end + 1);
    if (c == '.') {
        int next = view_at(v, end + 1);
        return !is_digit(next) && !(next >= 'a' && next <= 'z');
    }
    if (c == ':' || (c == ',' && bare))
        return !is_digit(view_at(v, end + 1));
    num->follows |= c == ' ' && is_digit(view_at(v, end + 1));
    return true;
}

// Behind the last digit: " ext. 12", "x12", "#12", ";ext=12". The end of the whole.
static size_t after_extension(struct view *v, size_t end)
{
    static const char *const names[] = {"extension", "extn", "ext", "x", "#", "durchwahl", "poste",
                                        "int"};
    size_t i = end;

    while (i < end + 2 && (view_at(v, i) == ' ' || view_at(v, i) == ',' || view_at(v, i) == ';'))
        i++;
    int first = to_lower(view_at(v, i));
    if (first != 'e' && first != 'x' && first != '#' && first != 'd' && first != 'p' &&
        first != 'i')
        return end;
    for (size_t n = 0; n < sizeof(names) / sizeof(*names); n++) {
        size_t at = i, len;

        if (*names[n] != first || !view_says(v, i, names[n]))
            continue;
        at += strlen(names[n]);
        for (size_t gap = 0; gap < 2; gap++) {
            int c = view_at(v, at);
            at += c == '.' || c == ':' || c == '=' || c == ' ';
        }
        for (len = 0; len <= EXTENSION_MAX && is_digit(view_at(v, at + len)); len++)
            ;
        if (len > 0 && len <= EXTENSION_MAX && !view_word(v, at + len))
            return at + len;
    }
    return end;
}

// ---- judging

// The groups that end a number, a bit each: of the digits from `from` on, by the automaton.
static unsigned ends_of(const struct number *num, unsigned state, size_t from)
{
    unsigned ends = 0;
    size_t i = from;

    for (size_t k = 0; k < num->n; k++) {
        size_t end = num->of[k].digits;
        for (; i < end; i++) {
            state = phone_states[state & PHONE_STATE_MASK].to[num->digits[i] - '0'];
            if (state == 0)
                return ends;
        }
        ends |= end > from && state & PHONE_ACCEPTS ? 1U << k : 0;
    }
    return ends;
}

// The same, of numbers that are valid in the region: as dialled inside it, or out of it.
static unsigned ends_in(const struct number *num, const struct phone_plan *plan)
{
    unsigned ends = ends_of(num, plan->national, 0), state = plan->abroad;

    for (size_t i = 0; i + 1 < num->len && state; i++) {
        state = phone_states[state & PHONE_STATE_MASK].to[num->digits[i] - '0'];
        ends |= state & PHONE_ACCEPTS ? ends_of(num, phone_world, i + 1) : 0;
    }
    return ends;
}

// Asked for only where the number alone does not tell.
static enum phone_saying words_say(struct view *v, const struct number *num)
{
    return (enum phone_saying)words_heard(v, num->start)->phone;
}

// 415-555-0132 and the like, from group `from` on.
static bool is_north_american(const struct number *num, size_t k, size_t from)
{
    return lens(num, k, from) == 0x334;
}

static unsigned judge_world(const struct number *num, size_t k, size_t len)
{
    size_t code = num->digits[0] == '1' || num->digits[0] == '7' ? 1 : 2;

    if (phone_accepts(phone_world, num->digits, len))
        return SURE_WORLD;
    // Numbers that people make up, and those of plans that have changed.
    return len > DIGITS_MIN && len <= INTERNATIONAL_MAX && (len > 10 || !is_amount(num, k)) &&
                   phone_walk(phone_world, num->digits, code)
               ? SURE_LIKELY
               : 0;
}

// A valid number of the region that is configured.
static unsigned judge_region(struct view *v, struct number *num, const struct phone_plan *plan,
                             size_t k, size_t len)
{
    enum phone_saying says = words_say(v, num);
    size_t end = num->of[k - 1].end;
    bool doubtful = num->follows || num->marked;

    if (k > 1)
        doubtful |= (is_amount(num, k) && len < 9) || is_years(num, k) || is_fraction(num, k);
    else  // seconds since 1970 are ten digits
        doubtful |= len < DIGITS_MIN || (len == 10 && num->digits[0] == '1') ||
                    (plan->trunk && num->digits[0] != plan->trunk);
    if (says == SAYS_PHONE)
        return SURE_REGION;
    if (says == SAYS_OTHER)
        return 0;
    if (!doubtful)
        return SURE_REGION;
    return stands_alone(v, num, end) || (says == SAYS_VAGUELY && len >= DIGITS_MIN) ? SURE_LIKELY
                                                                                    : 0;
}

// What is dialled before a calling code in most regions; there are three digits at least.
static bool dials_abroad(const char *d)
{
    return d[0] == '0' && (d[1] == '0' || (d[1] == '1' && d[2] == '1'));
}

// 00 49 30 …, 011 49 30 …, 91-415-555-0132, 7 (495) 123-45-67
static bool is_dialled_abroad(const struct number *num, size_t k, size_t len)
{
    const char *d = num->digits;

    if (len > 10 && d[0] == '0' && d[1] == '0')
        return phone_accepts(phone_world, d + 2, len - 2);
    if (len > 11 && d[0] == '0' && d[1] == '1' && d[2] == '1')
        return phone_accepts(phone_world, d + 3, len - 3);
    bool bracketed = k >= 3 && num->of[1].mark == '(';
    bool american = k == 4 && is_north_american(num, k, 1) && !all_marked(num, k, '.');
    return (bracketed || american) && num->of[0].len <= 3 && phone_accepts(phone_world, d, len);
}

// North American, by shape: 3-3-4 digits, after a 1 or 001 or not.
static unsigned judge_north_american(struct view *v, struct number *num, size_t k,
                                     size_t len)
{
    const struct group *g = num->of;
    size_t from = k == 4 && ((g[0].len == 1 && num->digits[0] == '1') ||
                             (g[0].len == 3 && memcmp(num->digits, "001", 3) == 0));

    if (k < 3 || !is_north_american(num, k, from))
        return 0;
    const char *d = num->digits + len - 10;
    bool blanks = all_marked(num, k, ' ') && !num->bracket;
    if (phone_valid_in_america(d) && !(blanks && num->follows))
        return SURE_SHAPE;
    if (all_same(d, 10) || (blanks && (num->follows || d[0] < '2' || d[3] < '2')))
        return 0;
    return words_say(v, num) == SAYS_OTHER ? 0 : SURE_LIKELY;
}

// (11) 96123-4567, 030 1234567, 0170/1234567, 8 (495) 123-45-67, 61 234 56 78, 138-1234-5678: a
// bracket or the trunk's 0 in front, or groups as few other things have; and valid somewhere.
static bool is_national(const struct number *num, size_t k, size_t len)
{
    const struct group *g = num->of;
    bool trunk = num->digits[0] == '0' || num->digits[0] == '8';

    if (k < 2 || len < 9 || len > 13 || num->follows ||
        !phone_accepts(phone_common, num->digits, len))
        return false;
    if (num->bracket || (trunk && g[0].len == 1 && g[1].mark == '('))
        return (!num->bracket || (g[0].len >= 2 && g[0].len <= 5)) && g[k - 1].len >= 2;
    if (lens(num, k, 0) == 0x2322 || lens(num, k, 0) == 0x3222 ||
        lens(num, k, 0) == 0x344 || (trunk && lens(num, k, 0) == 0x13322))
        return true;
    if (num->digits[0] != '0' || g[0].len < 2 || lens(num, k, 0) == 0x324 ||
        lens(num, k, 0) == 0x333 || lens(num, k, 0) == 0x64 || is_fraction(num, k))
        return false;
    for (size_t i = 1; i < k; i++)
        if (g[i].len < 2)
            return false;
    return true;
}

// 0612345678: with its trunk's 0, and not marked as something else.
static bool is_bare_national(const struct number *num, size_t k, size_t len)
{
    return k == 1 && (len == 10 || len == 11) && num->digits[0] == '0' && num->digits[1] != '0' &&
           !num->marked && !num->follows && phone_accepts(phone_common, num->digits, len);
}

// Where nothing but words in front can tell.
static unsigned judge_by_words(struct view *v, struct number *num, size_t k, size_t len)
{
    if (len > INTERNATIONAL_MAX || all_same(num->digits, len))
        return 0;
    if (k > 1 && num->follows && all_marked(num, k, ' '))  // the rest of something
        return 0;
    enum phone_saying says = words_say(v, num);
    if (says != SAYS_PHONE && says != SAYS_VAGUELY)
        return 0;
    bool valid = phone_accepts(phone_common, num->digits, len) ||
                 (len == 10 && phone_valid_in_america(num->digits));

    if (says == SAYS_PHONE && len >= DIGITS_MIN)
        return k > 1 || valid ? SURE_WORDS : SURE_LIKELY;
    if (says == SAYS_PHONE)
        return k > 1 && len >= PHONE_DIGITS_MIN && num->of[k - 1].len > 1 ? SURE_LIKELY : 0;
    bool plain = len >= 9 ? valid || k > 1 : len == 8 && valid && k > 1 && !is_amount(num, k);
    return plain && !num->marked ? SURE_LIKELY : 0;
}

// Of the first k groups, with len digits.
static unsigned judge(struct view *v, struct number *num, size_t k, size_t len)
{
    const struct phone_plan *plan = v->plan;
    unsigned score = 0;

    if (num->plus)
        return judge_world(num, k, len);
    bool in_region = num->in_region >> (k - 1) & 1;
    if ((len < PHONE_DIGITS_MIN && !in_region) || is_date(num, k) || is_address(num, k))
        return 0;
    if (in_region)
        score = judge_region(v, num, plan, k, len);
    if (score == 0 && is_dialled_abroad(num, k, len))
        score = k == 1 && words_say(v, num) == SAYS_OTHER ? 0 : SURE_SHAPE;
    if (score == 0)
        score = judge_north_american(v, num, k, len);
    if (score == 0 && is_national(num, k, len) && words_say(v, num) != SAYS_OTHER)
        score = SURE_SHAPE;
    if (score == 0 && is_bare_national(num, k, len) && words_say(v, num) != SAYS_OTHER)
        score = SURE_LIKELY;
    if (score == 0 && !is_years(num, k) && !is_fraction(num, k))
        score = judge_by_words(v, num, k, len);
    return score;
}

// A bracket that was opened is closed within the first k groups.
static bool is_closed(const struct number *num, size_t k)
{
    bool open = num->bracket;

    for (size_t i = 1; i < k; i++) {
        if (num->of[i].mark == ')')
            open = false;
        else if (num->of[i].mark == '(')
            open = true;
    }
    return !open;
}

// Behind another number, with nothing but blanks between all groups: then several of them are none,
// but for what the region knows and what is dialled abroad.
static bool is_row(const struct number *num)
{
    return num->follows && !num->bracket && !num->in_region && num->len > 2 &&
           !dials_abroad(num->digits) &&
           all_marked(num, num->n, ' ') && !(num->n >= 4 && is_north_american(num, 4, 1));
}

bool phone_at(struct view *v, size_t at, struct match *out)
{
    struct number num;

    if (!may_begin(v, at) || !number_read(v, at, &num) || num.len < v->phone_digits_min ||
        !begins_well(v, &num))
        return false;
    out->score = 0;
    num.in_region = v->plan && !num.plus ? ends_in(&num, v->plan) : 0;
    if (is_row(&num))
        num.n = 1;
    size_t len = num.of[num.n - 1].digits;  // of the groups that are left
    for (size_t k = num.n; k > 0 && len >= v->phone_digits_min && out->score < SURE_SHAPE;
         len -= num.of[--k].len) {
        size_t last = num.of[k - 1].end, end;
        unsigned score;

        // Shorter only in front of a blank, or of another number.
        bool another = k >= 3 && k < num.n && num.of[k].mark == '/';
        if ((k < num.n && view_at(v, last) != ' ' && !another) || !is_closed(&num, k))
            continue;
        end = k == num.n ? after_extension(v, last) : last;
        if (end == last && !another && !ends_well(v, &num, last, k == 1))
            continue;
        score = judge(v, &num, k, len);
        if (score > out->score)
            *out = (struct match){.end = end, .score = score};
    }
    return out->score > 0;
}
