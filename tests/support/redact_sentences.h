// SPDX-License-Identifier: MIT
// redact_sentences.h: sentences such as people write to a chatbot, with what of them is to be
// masked. Made from a seed: values of many regions that are valid by construction, in the ways of
// writing that are usual, in front of and behind things that are numbers but nobody's.
#ifndef TESTS_REDACT_SENTENCES_H
#define TESTS_REDACT_SENTENCES_H

#include "redact/id_checks.h"
#include "redact/phone_plan.h"
#include "support/redact_cases.h"

enum { SENTENCE_BYTES = 640, SENTENCE_WANTS = 2, VALUE_BYTES = 96 };

struct sentence {
    char text[SENTENCE_BYTES];
    size_t len;
    struct redact_span want[SENTENCE_WANTS];  // start, end, kind
    size_t n;
    char region[3];  // to be configured; ""
};

// ---- chance

static inline uint64_t chance_next(uint64_t *seed)  // splitmix64
{
    uint64_t z = *seed += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static inline unsigned chance(uint64_t *seed, unsigned below)
{
    return (unsigned)(chance_next(seed) % below);
}

#define CHANCE_OF(seed, list) (list)[chance(seed, sizeof(list) / sizeof(*(list)))]

static inline void chance_chars(uint64_t *seed, char *out, size_t n, const char *of)
{
    for (size_t i = 0; i < n; i++)
        out[i] = of[chance(seed, (unsigned)strlen(of))];
    out[n] = 0;
}

// A template's '#' become digits, '^' digits from 2 on, '~' hexadecimal digits.
static inline void chance_fill(uint64_t *seed, char *out, const char *form)
{
    for (; *form; form++, out++)
        *out = *form == '#'   ? (char)('0' + chance(seed, 10))
               : *form == '^' ? (char)('2' + chance(seed, 8))
               : *form == '~' ? "0123456789abcdef"[chance(seed, 16)]
                              : *form;
    *out = 0;
}

// The digits of id in the places of '#'.
static inline void put_digits(char *out, const char *form, const char *digits)
{
    for (; *form; form++)
        *out++ = *form == '#' ? *digits++ : *form;
    *out = 0;
}

// ---- values

static inline void make_email(uint64_t *seed, char *out)
{
    static const char *const names[] = {"ann", "bob.smith", "j.doe+shop", "mary-jane", "x_y",
                                        "o.kim99", "info", "k1", "no-reply", "josé", "müller.k"};
    static const char *const hosts[] = {"example.org", "mail.example.co.uk", "example-shop.de",
                                        "a.b.c.example.com", "xn--80ak6aa92e.com", "example.museum",
                                        "uni.example.edu", "example.io"};

    snprintf(out, VALUE_BYTES, "%s@%s", CHANCE_OF(seed, names), CHANCE_OF(seed, hosts));
}

// Digits that a state accepts, of at least `least`; false if none were found.
static inline bool walk_plan(uint64_t *seed, unsigned from, size_t least, char *digits)
{
    for (int tries = 0; tries < 64; tries++) {
        unsigned state = from;
        size_t n = 0;

        while (n < 16) {
            unsigned d = chance(seed, 10), to = phone_states[state & PHONE_STATE_MASK].to[d];
            if (to == 0) {
                bool end = true;
                for (unsigned i = 0; i < 10; i++)
                    end &= phone_states[state & PHONE_STATE_MASK].to[i] == 0;
                if (end)
                    break;
                continue;
            }
            digits[n++] = (char)('0' + d);
            state = to;
            if (state & PHONE_ACCEPTS && n >= least && chance(seed, 2))
                break;
        }
        digits[n] = 0;
        if (state & PHONE_ACCEPTS && n >= least)
            return true;
    }
    return false;
}

// Digits in groups of two to four, the first of `first`.
static inline void group_digits(uint64_t *seed, const char *digits, size_t first, char mark,
                                char *out)
{
    size_t left = strlen(digits), take = first;

    while (left > 0) {
        if (left < take + 2)
            take = left;
        memcpy(out, digits, take);
        out += take, digits += take, left -= take;
        if (left > 0)
            *out++ = mark;
        take = left <= 4 ? left : 2 + chance(seed, 3);
    }
    *out = 0;
}

static inline void make_world(uint64_t *seed, char *out)
{
    char code[8], all[24], rest[48];
    unsigned state;

    do {
        state = phone_world;
        snprintf(code, sizeof(code), "%u",
                 phone_plans[chance(seed, (unsigned)phone_plans_len)].code);
        for (const char *c = code; *c; c++)
            state = phone_states[state & PHONE_STATE_MASK].to[*c - '0'];
    } while (!walk_plan(seed, state, 7, all));
    group_digits(seed, all, 2 + chance(seed, 2), " -."[chance(seed, 3)], rest);
    switch (chance(seed, 4)) {
    case 0:
        snprintf(out, VALUE_BYTES, "+%s%s", code, all);
        break;
    case 1:
        snprintf(out, VALUE_BYTES, "00%s %s", code, rest);
        break;
    default:
        snprintf(out, VALUE_BYTES, "+%s %s", code, rest);
    }
}

static inline void make_national(uint64_t *seed, char *out, char *region)
{
    const struct phone_plan *plan;
    char digits[24];

    do
        plan = &phone_plans[chance(seed, (unsigned)phone_plans_len)];
    while (!walk_plan(seed, plan->national, 8, digits));
    memcpy(region, plan->iso, 3);
    group_digits(seed, digits, 3 + chance(seed, 2), " -"[chance(seed, 2)], out);
}

static inline void make_american(uint64_t *seed, char *out)
{
    static const char *const forms[] = {
        "(^^^) ^##-####", "(^^^)^##-####", "^^^-^##-####", "^^^.^##.####", "^^^ ^## ####",
        "1-^^^-^##-####", "+1-^^^-^##-####", "+1 (^^^) ^##-####", "^^^-^##-####x###",
        "(^^^) ^##-#### ext. ##", "001-^^^-^##-####", "+1^^^^######"};

    chance_fill(seed, out, CHANCE_OF(seed, forms));
}

static inline void make_card(uint64_t *seed, char *out)
{
    static const char *const forms[] = {"4", "51", "55", "6011", "2221", "3528"};
    static const char *const ways[] = {"################", "#### #### #### ####",
                                       "####-####-####-####"};
    char digits[17];
    int sum = 0;

    chance_chars(seed, digits, 16, "0123456789");
    const char *brand = CHANCE_OF(seed, forms);
    memcpy(digits, brand, strlen(brand));
    digits[15] = '0';
    for (int i = 0; i < 16; i++) {
        int d = (digits[i] - '0') * (i % 2 ? 1 : 2);
        sum += d > 9 ? d - 9 : d;
    }
    digits[15] = (char)('0' + (10 - sum % 10) % 10);
    put_digits(out, CHANCE_OF(seed, ways), digits);
}

static inline void make_iban(uint64_t *seed, char *out)
{
    static const struct {
        const char *country;
        size_t len;
    } forms[] = {{"DE", 22}, {"AT", 20}, {"ES", 24}, {"PT", 25},
                 {"DK", 18}, {"PL", 28}, {"CH", 21}};
    size_t i = chance(seed, sizeof(forms) / sizeof(*forms)), len = forms[i].len;
    char bban[32], iban[48];
    unsigned rest = 0;

    chance_chars(seed, bban, len - 4, "0123456789");
    snprintf(iban, sizeof(iban), "%s%d%d00", bban, forms[i].country[0] - 'A' + 10,
             forms[i].country[1] - 'A' + 10);
    for (const char *c = iban; *c; c++)
        rest = (rest * 10 + (unsigned)(*c - '0')) % 97;
    snprintf(iban, sizeof(iban), "%s%02u%s", forms[i].country, 98 - rest, bban);
    bool spaced = chance(seed, 2);
    for (size_t k = 0; k < len; k++) {
        if (spaced && k && k % 4 == 0)
            *out++ = ' ';
        *out++ = iban[k];
    }
    *out = 0;
}

static inline void make_ip(uint64_t *seed, char *out)
{
    if (chance(seed, 2))
        snprintf(out, VALUE_BYTES, "%u.%u.%u.%u", 1 + chance(seed, 223), chance(seed, 256),
                 chance(seed, 256), chance(seed, 256));
    else
        chance_fill(seed, out, chance(seed, 2) ? "2001:db8:~~~~:~~~~:~~~~:~~~~:~~~~:~~~~"
                                               : "fe80::~~~~:~~~~:~~~~:~~~~");
}

static inline void make_mac(uint64_t *seed, char *out)
{
    static const char *const forms[] = {"00:1~:~~:~~:~~:~7", "3c-~~-~~-~~-~~-~1", "02~~.~~~~.~~3~"};

    chance_fill(seed, out, CHANCE_OF(seed, forms));
}

static inline void make_wallet(uint64_t *seed, char *out)
{
    // Of Bitcoin Improvement Proposals 173 and 350, the genesis block, and Ethereum's EIP-55.
    static const char *const known[] = {"1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
                                        "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
                                        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
                                        "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"};

    snprintf(out, VALUE_BYTES, "%s", CHANCE_OF(seed, known));
}

static const struct made_id {
    enum redact_kind kind;
    bool (*check)(const char *id);
    const char *form, *intro;  // "" where the form says it all
} made_ids[] = {
    {REDACT_SSN, is_us_ssn, "###-##-####", ""},
    {REDACT_SSN, is_us_ssn, "### ## ####", "my ssn is "},
    {REDACT_SSN, is_us_ssn, "#########", "social security number: "},
    {REDACT_US_ITIN, is_us_itin, "###-##-####", "ITIN "},
    {REDACT_US_NPI, is_us_npi, "##########", "NPI: "},
    {REDACT_CA_SIN, is_ca_sin, "###-###-###", ""},
    {REDACT_CA_SIN, is_ca_sin, "### ### ###", "SIN "},
    {REDACT_UK_NHS, is_uk_nhs, "### ### ####", "NHS number "},
    {REDACT_PL_PESEL, is_pl_pesel, "###########", "PESEL "},
    {REDACT_BR_CPF, is_br_cpf, "###.###.###-##", ""},
    {REDACT_DE_TAX_ID, is_de_tax_id, "## ### ### ###", ""},
    {REDACT_NL_BSN, is_nl_bsn, "#########", "BSN "},
    {REDACT_BE_NATIONAL_ID, is_be_national, "##.##.##-###.##", ""},
    {REDACT_SE_PERSONAL_ID, is_se_personal, "######-####", ""},
    {REDACT_NO_BIRTH_NUMBER, is_no_birth, "###########", "fødselsnummer "},
    {REDACT_AU_TFN, is_au_tfn, "### ### ###", "TFN "},
    {REDACT_AU_ABN, is_au_abn, "## ### ### ###", "ABN "},
    {REDACT_AU_MEDICARE, is_au_medicare, "#### ##### #", "Medicare "},
    {REDACT_IN_AADHAAR, is_in_aadhaar, "#### #### ####", ""},
    {REDACT_KR_RRN, is_kr_rrn, "######-#######", ""},
};

static inline void make_id(uint64_t *seed, const struct made_id *made, char *out)
{
    char digits[24];
    size_t n = 0;

    for (const char *c = made->form; *c; c++)
        n += *c == '#';
    do
        chance_chars(seed, digits, n, "0123456789");
    while (!made->check(digits));
    put_digits(out, made->form, digits);
}

// What is nobody's, or says nothing.
static inline void make_other(uint64_t *seed, char *out)
{
    static const char *const forms[] = {
        "order 1#######4", "order number ^#########", "invoice 2026-####", "on 2026-0^-1#",
        "on 1#.0^.2026", "at 1#:0^:3#", "2026-1#-0^ 1#:2#:3#", "for $1,^##.##", "EUR 1.^##,##",
        "version 1#.^.####", "build 10.0.1####.^###", "ISBN 978-^-##-######-#", "ticket #^#####",
        "tracking 1Z~~~~~~~~########", "ref. ~~~~~~~~-~~~~-4~~~-a~~~-~~~~~~~~~~~~",
        "commit ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~", "at 4#.####, -7#.####",
        "since 17########", "^# of 1##", "3.14159265", "SKU ^##-####-^", "page ^##", "1 ^## ###",
        "id 1#####", "seats ^#A and ^#B", "of 201#-202#", "gate ^#", "size 1#x2#x3# cm",
        "flight LH ^###", "https://example.com/p/^#########?q=1########", "img_2026####_1#####.jpg",
        "the score was 2#:1#", "^# percent", "at 9#.^ °F", "PO-2026-######", "case 2#-######"};

    chance_fill(seed, out, CHANCE_OF(seed, forms));
}

// ---- sentences

static inline void say(struct sentence *s, const char *text)
{
    s->len += (size_t)snprintf(s->text + s->len, sizeof(s->text) - s->len, "%s", text);
}

static inline void say_value(struct sentence *s, const char *value, enum redact_kind kind)
{
    s->want[s->n++] = (struct redact_span){s->len, s->len + strlen(value), kind, 0};
    say(s, value);
}

enum { SENTENCE_SORTS = 13 };

static inline void say_sort(uint64_t *seed, struct sentence *s, unsigned sort)
{
    static const char *const plain[] = {
        "it is ", "I think it is ", "please take ", "mine: ", "use ", "we have ", "here you go: ",
        "(see) ", "is it ", "not ", "\"", "es ist ", "c'est ", "das hier: ", "- ", ""};
    static const char *const phone[] = {
        "call me at ", "my phone number is ", "Tel. ", "mobile: ", "please ring ", "fax ",
        "you can reach me on ", "ruf mich an: ", "mon téléphone: ", "mi móvil es ", "WhatsApp ",
        "cell ", "my number is ", "dial "};
    static void (*const makers[])(uint64_t *, char *) = {
        make_email, make_card, make_iban, make_ip, make_mac, make_wallet, make_world,
        make_american};
    static const enum redact_kind kinds[] = {
        REDACT_EMAIL, REDACT_CARD, REDACT_IBAN, REDACT_IP, REDACT_MAC, REDACT_WALLET, REDACT_PHONE,
        REDACT_PHONE};
    char value[VALUE_BYTES];

    if (sort < sizeof(kinds) / sizeof(*kinds)) {
        makers[sort](seed, value);
        say(s, kinds[sort] == REDACT_PHONE && chance(seed, 2) ? CHANCE_OF(seed, phone)
                                                              : CHANCE_OF(seed, plain));
        say_value(s, value, kinds[sort]);
    } else if (sort < 10) {
        make_national(seed, value, s->region);
        say(s, CHANCE_OF(seed, phone));
        say_value(s, value, REDACT_PHONE);
    } else if (sort < 12) {
        const struct made_id *made = &CHANCE_OF(seed, made_ids);

        make_id(seed, made, value);
        say(s, *made->intro ? made->intro : CHANCE_OF(seed, plain));
        say_value(s, value, made->kind);
    } else {
        make_other(seed, value);
        say(s, value);
    }
}

static inline void sentence_make(uint64_t *seed, struct sentence *s)
{
    static const char *const ends[] = {".", "!", "", "?", ", thanks.", " and that is all.",
                                       "\nBest wishes", ";", " (old)", " - for now"};
    static const char *const joins[] = {". Also, ", ", and ", "; ", ".\n", " - "};
    char other[VALUE_BYTES];

    *s = (struct sentence){.n = 0};
    if (chance(seed, 2)) {
        make_other(seed, other);
        say(s, "About ");
        say(s, other);
        say(s, CHANCE_OF(seed, joins));
    }
    say_sort(seed, s, chance(seed, SENTENCE_SORTS));
    if (chance(seed, 3) == 0) {
        make_other(seed, other);
        say(s, CHANCE_OF(seed, joins));
        say(s, "it was ");
        say(s, other);
    }
    say(s, CHANCE_OF(seed, ends));
}

// Holds `n` sentences against redactors; a class is a kind, its cases the sentences that have one.
static inline void redact_sentences(struct redact_score *score, uint64_t seed, size_t n)
{
    struct redactor *none = redact_case_redactor("");
    struct redact_spans found = REDACT_SPANS_INIT;
    struct err err = ERR_INIT;

    for (size_t i = 0; i < n; i++) {
        struct sentence s;
        bool wrong = false;

        sentence_make(&seed, &s);
        struct redactor *own = *s.region ? redact_case_redactor(s.region) : NULL;
        BUG_ON(redact_scan(own ? own : none, slice_of(s.text, s.len), &found, &err) != E_OK);
        for (size_t w = 0; w < s.n; w++) {
            struct redact_class *c = redact_class(score, redact_kind_info(s.want[w].kind)->word);
            bool hit = false;

            for (size_t f = 0; f < found.len; f++)
                hit |= found.ptr[f].start == s.want[w].start && found.ptr[f].end == s.want[w].end &&
                       found.ptr[f].kind == s.want[w].kind;
            c->cases++;
            c->right += hit;
            c->hits += hit;
            c->missed += !hit;
            wrong |= !hit;
        }
        for (size_t f = 0; f < found.len; f++) {
            bool wanted = false;

            for (size_t w = 0; w < s.n; w++)
                wanted |= found.ptr[f].start == s.want[w].start &&
                          found.ptr[f].end == s.want[w].end && found.ptr[f].kind == s.want[w].kind;
            if (!wanted)
                redact_class(score, redact_kind_info(found.ptr[f].kind)->word)->extra++;
            wrong |= !wanted;
        }
        redactor_free(own);
        if (wrong && score->tell)
            score->tell(s.region, slice_of(s.text, s.len), NULL);
    }
    redact_spans_release(&found);
    redactor_free(none);
}

#endif
