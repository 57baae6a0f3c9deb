// SPDX-License-Identifier: MIT
// ids.c: how national ids are written, and the words that stand in front of them.
#include "redact/ids.h"

#include "base/err.h"
#include "redact/id_checks.h"
#include "redact/words.h"

#include <string.h>

enum { CHARS_MAX = 20, SHAPES_MAX = 4, ALONE_BYTES = 64 };

// How sure it is, of 100.
enum {
    SURE_WORDS = 90,   // words say so, and it passes
    SURE_STRONG = 85,  // nothing else is written like this
    SURE_CHECK = 60,   // the way of writing is usual, and it passes
    SURE_LIKELY = 50,  // others are written like this, too
    SURE_ALONE = 45,   // the message says nothing else, and it passes
    SURE_HARDLY = 40,
};

// A way of writing: 'd' a digit, 'A' a letter, 'x' either, 's' a sign of a century, '_' one of
// " -." (the same each time); else what stands there.
struct shape {
    const char *text;
    unsigned char sure;   // without words; 0: words are needed,
    unsigned char alone;  // or a message that says nothing else
};

struct rule {
    enum redact_kind kind;
    bool (*check)(const char *id);
    struct shape shapes[SHAPES_MAX];
    const char *words[10];  // words.h
};

static const struct rule rules[] = {
    {REDACT_SSN,
     is_us_ssn,
     {{"ddd_dd_dddd", SURE_STRONG, SURE_STRONG},
      {"ddd-dddddd", 0, SURE_ALONE},
      {"ddddd-dddd", 0, SURE_ALONE},
      {"ddddddddd", 0, SURE_HARDLY}},
     {"ssn*", "social security*", "social", "soc sec", "ss no", "ss number"}},
    {REDACT_US_ITIN,
     is_us_itin,
     {{"ddd_dd_dddd", SURE_STRONG, SURE_STRONG},
      {"ddd-dddddd", 0, SURE_ALONE},
      {"ddddd-dddd", 0, SURE_ALONE},
      {"ddddddddd", 0, SURE_HARDLY}},
     {"itin*", "individual taxpayer*", "taxpayer id*", "tax id*", "tin"}},
    {REDACT_US_NPI,
     is_us_npi,
     {{"dddd-ddd-ddd", SURE_CHECK, SURE_CHECK},
      {"dddd ddd ddd", SURE_CHECK, SURE_CHECK},
      {"dddddddddd", 0, SURE_ALONE}},
     {"npi*", "national provider*", "provider*"}},
    {REDACT_CA_SIN,
     is_ca_sin,
     {{"ddd-ddd-ddd", SURE_CHECK, SURE_CHECK},
      {"ddd ddd ddd", SURE_CHECK, SURE_CHECK},
      {"ddddddddd", 0, SURE_ALONE}},
     {"sin", "sins", "social insurance*", "nas", "assurance sociale"}},
    {REDACT_UK_NHS,
     is_uk_nhs,
     {{"ddd_ddd_dddd", 0, SURE_CHECK}, {"dddddddddd", 0, SURE_HARDLY}},
     {"nhs*", "national health*", "health service*"}},
    {REDACT_UK_NINO,
     is_uk_nino,
     {{"AA_dd_dd_dd_A", SURE_STRONG, SURE_STRONG},
      {"AAddddddA", SURE_STRONG, SURE_STRONG},
      {"AA ddddddA", SURE_STRONG, SURE_STRONG},
      {"AA dddddd A", SURE_STRONG, SURE_STRONG}},
     {"nino", "national insurance*", "ni number", "ni no"}},
    {REDACT_ES_NIF,
     is_es_nif,
     {{"ddddddddA", SURE_STRONG, SURE_STRONG},
      {"dddddddd_A", SURE_STRONG, SURE_STRONG},
      {"dd.ddd.ddd-A", SURE_STRONG, SURE_STRONG}},
     {"nif", "dni", "documento*"}},
    {REDACT_ES_NIF,
     is_es_nif,
     {{"dddddddA", 0, SURE_ALONE}, {"ddddddd-A", 0, SURE_ALONE}},
     {"nif", "dni", "documento*"}},
    {REDACT_ES_NIE,
     is_es_nie,
     {{"AdddddddA", SURE_STRONG, SURE_STRONG}, {"A-ddddddd-A", SURE_STRONG, SURE_STRONG}},
     {"nie"}},
    {REDACT_IT_FISCAL_CODE,
     is_it_fiscal_code,
     {{"AAAAAAxxAxxAxxxA", SURE_STRONG, SURE_STRONG}},
     {"codice fiscale", "fiscal code"}},
    {REDACT_PL_PESEL,
     is_pl_pesel,
     {{"ddddddddddd", 0, SURE_ALONE}},
     {"pesel*"}},
    {REDACT_BR_CPF,
     is_br_cpf,
     {{"ddd.ddd.ddd-dd", SURE_STRONG, SURE_STRONG}, {"ddddddddddd", 0, SURE_ALONE}},
     {"cpf", "cadastro de pessoas*"}},
    {REDACT_DE_TAX_ID,
     is_de_tax_id,
     {{"dd ddd ddd ddd", SURE_CHECK, SURE_CHECK}, {"ddddddddddd", 0, SURE_ALONE}},
     {"steuer*", "idnr", "tax id*", "tin", "identifikationsnummer", "taxpayer*"}},
    {REDACT_NL_BSN,
     is_nl_bsn,
     {{"ddddddddd", 0, SURE_HARDLY},
      {"dddd.dd.ddd", SURE_CHECK, SURE_CHECK},
      {"ddd_ddd_ddd", 0, 0}},
     {"bsn*", "burgerservice*", "sofi*", "citizen service*"}},
    {REDACT_FR_NIR,
     is_fr_nir,
     {{"d_dd_dd_dd_ddd_ddd_dd", SURE_STRONG, SURE_STRONG},
      {"ddddddddddddddd", SURE_CHECK, SURE_CHECK},
      {"ddddddddddddd dd", SURE_STRONG, SURE_STRONG}},
     {"nir", "insee", "sécurité sociale", "securite sociale", "carte vitale", "numéro de sécu*"}},
    {REDACT_BE_NATIONAL_ID,
     is_be_national,
     {{"dd.dd.dd-ddd.dd", SURE_STRONG, SURE_STRONG}, {"ddddddddddd", 0, SURE_ALONE}},
     {"rijksregister*", "registre national", "insz", "niss", "national number", "nationaal*"}},
    {REDACT_CH_AHV,
     is_ch_ahv,
     {{"ddd.dddd.dddd.dd", SURE_STRONG, SURE_STRONG}, {"ddddddddddddd", SURE_CHECK, SURE_CHECK}},
     {"ahv*", "avs", "sozialversicherung*"}},
    {REDACT_FI_HETU,
     is_fi_hetu,
     {{"ddddddsdddA", SURE_STRONG, SURE_STRONG}, {"ddddddsdddd", SURE_LIKELY, SURE_LIKELY}},
     {"hetu", "henkilötunnus*", "personal identity code"}},
    {REDACT_SE_PERSONAL_ID,
     is_se_personal,
     {{"dddddd-dddd", SURE_CHECK, SURE_CHECK},
      {"dddddd+dddd", SURE_CHECK, SURE_CHECK},
      {"dddddddddd", 0, 0}},
     {"personnummer*", "samordningsnummer*", "personal identity*"}},
    {REDACT_SE_PERSONAL_ID,
     is_se_personal_long,
     {{"dddddddd-dddd", SURE_CHECK, SURE_CHECK}, {"dddddddddddd", 0, SURE_ALONE}},
     {"personnummer*", "samordningsnummer*", "personal identity*"}},
    {REDACT_NO_BIRTH_NUMBER,
     is_no_birth,
     {{"dddddd ddddd", SURE_CHECK, SURE_CHECK}, {"ddddddddddd", 0, SURE_ALONE}},
     {"fødselsnummer*", "fodselsnummer*", "fnr", "personnummer*", "d number", "national id*"}},
    {REDACT_DK_CPR,
     is_dk_cpr,
     {{"dddddd-dddd", 0, 0}, {"dddddddddd", 0, 0}},
     {"cpr*", "personnummer*", "danish id*"}},
    {REDACT_SG_NRIC,
     is_sg_nric,
     {{"AdddddddA", SURE_STRONG, SURE_STRONG}},
     {"nric*", "fin"}},
    {REDACT_AU_TFN,
     is_au_tfn,
     {{"ddd_ddd_ddd", 0, SURE_HARDLY}, {"ddddddddd", 0, 0}},
     {"tfn*", "tax file*"}},
    {REDACT_AU_ACN,
     is_au_acn,
     {{"ddd ddd ddd", 0, SURE_HARDLY}, {"ddddddddd", 0, 0}},
     {"acn*", "australian company*"}},
    {REDACT_AU_ABN,
     is_au_abn,
     {{"dd ddd ddd ddd", SURE_CHECK, SURE_CHECK}, {"ddddddddddd", 0, SURE_ALONE}},
     {"abn*", "australian business*"}},
    {REDACT_AU_MEDICARE,
     is_au_medicare,
     {{"dddd ddddd d", SURE_CHECK, SURE_CHECK}, {"dddddddddd", 0, SURE_HARDLY}},
     {"medicare*"}},
    {REDACT_IN_AADHAAR,
     is_in_aadhaar,
     {{"dddd_dddd_dddd", SURE_CHECK, SURE_CHECK}, {"dddddddddddd", 0, SURE_ALONE}},
     {"aadhaar*", "aadhar*", "uidai", "uid", "आधार"}},
    {REDACT_KR_RRN,
     is_kr_rrn,
     {{"dddddd-ddddddd", SURE_STRONG, SURE_STRONG}, {"ddddddddddddd", 0, SURE_ALONE}},
     {"rrn", "resident registration*", "주민등록번호", "주민번호"}},
    {REDACT_CN_ID,
     is_cn_id,
     {{"dddddddddddddddddx", SURE_STRONG, SURE_STRONG}},
     {"resident identity*", "id card*", "身份证"}},
};
enum { RULES = sizeof(rules) / sizeof(*rules) };

static bool is_separator(int c)
{
    return c == ' ' || c == '-' || c == '.';
}

// Reads a shape at `at`: its characters without separators, the separator that '_' was (0: none),
// and where it ends.
static bool read_shape(struct view *v, size_t at, const char *shape, char *id, int *separator,
                       size_t *end)
{
    size_t n = 0, i = at;

    *separator = 0;
    for (; *shape; shape++, i++) {
        if (*shape == 'd') {
            size_t len = 1;
            while (shape[1] == 'd')
                shape++, len++;
            if (view_digits(v, i, len) < len)
                return false;
            for (; len > 1; len--)
                id[n++] = v->ptr[i++];
            id[n++] = v->ptr[i];
            continue;
        }
        int c = view_at(v, i);
        switch (*shape) {
        case 'A':
            if (!is_letter(c))
                return false;
            break;
        case 'x':
            if (!is_alnum(c))
                return false;
            break;
        case 's':
            if (c != '+' && c != '-' && !is_letter(c))
                return false;
            break;
        case '_':
            if (*separator == 0 && is_separator(c))
                *separator = c;
            if (*separator == 0 || c != *separator)
                return false;
            continue;
        default:
            if (c != *shape)
                return false;
            continue;
        }
        id[n++] = (char)(is_letter(c) ? c & ~('a' - 'A') : c);
    }
    id[n] = 0;
    *end = i;
    return true;
}

// What stands in front makes it the rest of something, whatever it is.
static bool is_rest(const struct view *v, size_t at)
{
    int before = view_before(v, at);

    if (before != '-' && before != '.' && before != '/' && before != ',' && before != ':')
        return before == '+';
    int first = view_before(v, at - 1);
    return before == ':' ? is_digit(first) : is_alnum(first);
}

// Part of a longer identifier, amount or time?
static bool stands_apart(struct view *v, size_t at, size_t end, int separator)
{
    int before = view_before(v, at), behind = view_at(v, end);

    if (view_word(v, end) || is_rest(v, at) || behind == '%')
        return false;
    if (before == ':' && is_letter(view_before(v, at - 1)))
        return true;
    if (behind == '-' || behind == '/' || behind == '@' || behind == '=')
        return !view_word(v, end + 1);
    if (behind == '.' || behind == ',' || behind == ':')
        return !is_digit(view_at(v, end + 1));
    return separator != ' ' ||
           !((behind == ' ' && is_digit(view_at(v, end + 1))) ||
             (before == ' ' && is_digit(view_before(v, at - 1))));
}

// No letter stands near it, and the text ends with it.
static bool says_nothing_else(struct view *v, size_t at, size_t end)
{
    for (size_t i = at > ALONE_BYTES ? at - ALONE_BYTES : 0; i < at; i++)
        if (is_letter((unsigned char)v->ptr[i]) || (unsigned char)v->ptr[i] >= 0x80)
            return false;
    for (size_t i = end; i < end + ALONE_BYTES; i++) {
        int c = view_at(v, i);

        if (c == VIEW_END)
            return true;
        if (is_letter(c) || c >= 0x80)
            return false;
    }
    return false;
}

static unsigned judge(struct view *v, const struct rule *rule, const struct shape *shape, size_t at,
                      size_t end)
{
    if (words_heard(v, at)->ids >> (rule - rules) & 1)
        return SURE_WORDS;
    if (shape->sure)
        return shape->sure;
    return shape->alone && says_nothing_else(v, at, end) ? shape->alone : 0;
}

static bool rule_at(struct view *v, size_t at, const struct rule *rule, struct match *out)
{
    int first = view_at(v, at);

    for (const struct shape *s = rule->shapes; s < rule->shapes + SHAPES_MAX && s->text; s++) {
        char id[CHARS_MAX];
        int separator;
        size_t end;

        if ((*s->text == 'd') != is_digit(first))
            return false;
        if (!read_shape(v, at, s->text, id, &separator, &end) ||
            !stands_apart(v, at, end, separator ? separator : strchr(s->text, ' ') ? ' ' : 0) ||
            !rule->check(id))
            continue;
        unsigned score = judge(v, rule, s, at, end);
        if (score > 0) {
            *out = (struct match){.end = end, .score = score};
            return true;
        }
    }
    return false;
}

static bool id_at(struct view *v, size_t at, enum redact_kind kind, struct match *out)
{
    for (size_t i = 0; i < RULES; i++)
        if (rules[i].kind == kind && rule_at(v, at, &rules[i], out))
            return true;
    return false;
}

#define ID(word, kind) \
    bool word##_at(struct view *v, size_t at, struct match *out) \
    { \
        return id_at(v, at, kind, out); \
    }
REDACT_IDS(ID)

_Static_assert(RULES <= 64, "a rule is a bit");

// What a separator is to the index.
static enum ids_mark mark_of(int c)
{
    return c == ' ' ? IDS_BLANK : c == '-' ? IDS_DASH : c == '.' ? IDS_DOT : IDS_NO_MARK;
}

// Whether what `behind` stands for in a shape may be that separator, or none.
static bool may_be(int behind, enum ids_mark mark)
{
    if (behind == 0)
        return true;
    if (behind == '_')
        return mark != IDS_NO_MARK;
    return mark == mark_of(behind) || (behind == 's' && mark == IDS_DASH);
}

// A shape that begins with so many digits. What stands behind them tells its next group, unless a
// letter does, or the shape ends there; and so again for the group behind that.
static void index_digits(struct ids_index *x, const char *shape, size_t digits, uint64_t bit)
{
    const char *behind = shape + digits;
    size_t next = *behind ? strspn(behind + 1, "d") : 0;
    bool grouped = next > 0;

    for (int mark = 0; mark < IDS_MARKS; mark++) {
        if (!may_be(*behind, (enum ids_mark)mark))
            continue;
        if (!grouped || *behind == 's')
            x->alone[digits][mark] |= bit;
        if (grouped)
            x->marks[digits][mark] |= bit;
    }
    if (!grouped)
        return;
    const char *third = behind + 1 + next;
    bool more = is_separator(*third) || *third == '_';
    size_t count = more ? strspn(third + 1, "d") : 0;
    BUG_ON(next > IDS_NEXT_DIGITS || count > IDS_NEXT_DIGITS);
    x->digits[digits][next] |= bit;
    x->longer |= more && third[1 + count] ? bit : 0;
    for (size_t i = 0; i <= IDS_NEXT_DIGITS; i++)
        if (!more || i == count)
            x->third[next][i] |= bit;
}

void ids_index_init(struct ids_index *x, uint64_t kinds)
{
    *x = (struct ids_index){.run = 0};
    for (size_t i = 0; i < RULES; i++) {
        const struct shape *s = rules[i].shapes;
        if (!(kinds & REDACT_KIND_BIT(rules[i].kind)))
            continue;
        for (; s < rules[i].shapes + SHAPES_MAX && s->text; s++) {
            uint64_t bit = UINT64_C(1) << i;
            size_t digits = strspn(s->text, "d"), letters = strspn(s->text, "A");
            if (letters > IDS_LETTERS) {
                x->run |= bit;
            } else if (letters) {
                bool separated = s->text[letters] == '_' || s->text[letters] == ' ' ||
                                 s->text[letters] == '-';
                x->letters[letters][strspn(s->text + letters + separated, "d")] |= bit;
            } else {
                index_digits(x, s->text, digits, bit);
                if (s->text[digits] == 'x' && digits < IDS_DIGITS)
                    index_digits(x, s->text, digits + 1, bit);
            }
        }
    }
}

// Whether three groups of digits with blanks between are some of several such, so that an id of
// three or two is not there (stands_apart).
static bool is_in_row(struct view *v, size_t at, size_t end)
{
    int behind = view_at(v, end), before = view_before(v, at);

    if (before == ':')
        return false;
    if (behind == ' ' && is_digit(view_at(v, end + 1)))
        return true;
    bool ends = behind == '-' || behind == '/' || behind == '@' || behind == '=' ||
                behind == '.' || behind == ',' || behind == ':';
    return !ends && before == ' ' && is_digit(view_before(v, at - 1));
}

// Of those that begin with so many digits.
static uint64_t which_digits(const struct ids_index *x, struct view *v, size_t at, size_t digits)
{
    int behind = view_at(v, at + digits);
    enum ids_mark mark = mark_of(behind);
    uint64_t alone = x->alone[digits][mark], which = x->marks[digits][mark];

    if (!which || !(is_separator(behind) || behind == '+'))
        return alone;
    size_t next = view_digits(v, at + digits + 1, IDS_NEXT_DIGITS), end = at + digits + 1 + next;
    which &= x->digits[digits][next];
    if (!which)
        return alone;
    int separator = view_at(v, end);
    size_t third = is_separator(separator) ? view_digits(v, end + 1, IDS_NEXT_DIGITS) : 0;
    which &= x->third[next][third];
    if (which && third > 0 && mark == IDS_BLANK && separator == ' ' &&
        is_in_row(v, at, end + 1 + third))
        which &= x->longer;
    return alone | which;
}

uint64_t ids_which(const struct ids_index *x, struct view *v, size_t at)
{
    size_t digits, letters, run;

    if (is_rest(v, at))
        return 0;
    if (is_digit(view_at(v, at))) {
        digits = view_digits(v, at, IDS_DIGITS + 1);
        return digits <= IDS_DIGITS ? which_digits(x, v, at, digits) : 0;
    }
    letters = view_run(v, at, IS_LETTER, IDS_LETTERS + 1) - at;
    if (letters <= IDS_LETTERS) {
        int behind = view_at(v, at + letters);
        bool separated = letters == 1 ? behind == '-' : is_separator(behind);
        size_t next = at + letters + (separated ? 1 : 0);
        return x->letters[letters][view_digits(v, next, IDS_NEXT_DIGITS)];
    }
    run = view_run(v, at, IS_ALNUM, IDS_LETTERS_RUN + 1) - at;
    return run == IDS_LETTERS_RUN ? x->run : 0;
}

void ids_add_words(struct vocabulary *v)
{
    for (size_t i = 0; i < RULES; i++)
        for (const char *const *text = rules[i].words; *text; text++)
            vocabulary_add(v, &(struct word){*text, SAYS_NOTHING, UINT64_C(1) << i});
}

enum redact_kind ids_kind(unsigned rule)
{
    return rules[rule].kind;
}

bool ids_at(struct view *v, size_t at, unsigned rule, struct match *out)
{
    return rule_at(v, at, &rules[rule], out);
}
