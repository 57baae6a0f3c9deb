// SPDX-License-Identifier: MIT
// stem.c: see stem.h. The steps are named as in the description of the algorithm; a `y` that counts
// as a consonant is written as Y while they run.
#include "memory/stem.h"

#include "base/slice.h"
#include <stdint.h>
#include <stdlib.h>

// A word under way, with its regions: r1 and r2 are offsets, len where a region is empty.
struct word {
    char *at;
    size_t len, r1, r2;
};

static bool is_vowel(char c)
{
    return c == 'a' || c == 'e' || c == 'i' || c == 'o' || c == 'u' || c == 'y';
}

static bool has_vowel(const struct word *w, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (is_vowel(w->at[i]))
            return true;
    return false;
}

static bool ends(const struct word *w, const char *suffix)
{
    size_t n = strlen(suffix);
    return w->len >= n && memcmp(w->at + w->len - n, suffix, n) == 0;
}

static bool is(const struct word *w, const char *text)
{
    return w->len == strlen(text) && memcmp(w->at, text, w->len) == 0;
}

// Puts another ending for the last `cut` bytes. No rule lengthens a word by more than it cuts, but
// for one e.
static void replace(struct word *w, size_t cut, const char *ending)
{
    size_t n = strlen(ending);
    memcpy(w->at + w->len - cut, ending, n);
    w->len = w->len - cut + n;
}

// A vowel before a consonant that is none of w, x, Y, behind a consonant; or, at the beginning, a
// vowel before a consonant.
static bool ends_in_short_syllable(const struct word *w, size_t len)
{
    const char *a = w->at;
    if (len == 2)
        return is_vowel(a[0]) && !is_vowel(a[1]);
    if (len < 3)
        return false;
    char last = a[len - 1];
    return !is_vowel(last) && last != 'w' && last != 'x' && last != 'Y' && is_vowel(a[len - 2]) &&
           !is_vowel(a[len - 3]);
}

static bool is_short(const struct word *w)
{
    return w->r1 >= w->len && ends_in_short_syllable(w, w->len);
}

static bool ends_in_double(const struct word *w)
{
    if (w->len < 2 || w->at[w->len - 1] != w->at[w->len - 2])
        return false;
    return strchr("bdfgmnprt", w->at[w->len - 1]) != NULL;
}

// The offset behind the first consonant that follows a vowel, from `from` on.
static size_t region(const struct word *w, size_t from)
{
    for (size_t i = from + 1; i < w->len; i++)
        if (!is_vowel(w->at[i]) && is_vowel(w->at[i - 1]))
            return i + 1;
    return w->len;
}

static void mark_regions(struct word *w)
{
    static const char *const heads[] = {"gener", "commun", "arsen"};

    w->r1 = 0;
    for (size_t i = 0; i < sizeof(heads) / sizeof(*heads); i++) {
        size_t n = strlen(heads[i]);
        if (w->len >= n && memcmp(w->at, heads[i], n) == 0)
            w->r1 = n;
    }
    if (!w->r1)
        w->r1 = region(w, 0);
    w->r2 = region(w, w->r1);
}

static void mark_consonant_y(struct word *w)
{
    for (size_t i = 0; i < w->len; i++)
        if (w->at[i] == 'y' && (i == 0 || is_vowel(w->at[i - 1])))
            w->at[i] = 'Y';
}

static void step_1a(struct word *w)
{
    if (ends(w, "sses"))
        replace(w, 2, "");
    else if (ends(w, "ied") || ends(w, "ies"))
        replace(w, 3, w->len > 4 ? "i" : "ie");
    else if (ends(w, "us") || ends(w, "ss"))
        return;
    else if (ends(w, "s") && w->len > 1 && has_vowel(w, w->len - 2))
        replace(w, 1, "");
}

static void step_1b(struct word *w)
{
    if (ends(w, "eed") || ends(w, "eedly")) {
        size_t n = ends(w, "eed") ? 3 : 5;
        if (w->len - n >= w->r1)
            replace(w, n, "ee");
        return;
    }
    static const char *const suffixes[] = {"ingly", "edly", "ing", "ed"};
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(*suffixes); i++) {
        size_t n = strlen(suffixes[i]);
        if (!ends(w, suffixes[i]))
            continue;
        if (!has_vowel(w, w->len - n))
            return;
        replace(w, n, "");
        if (ends(w, "at") || ends(w, "bl") || ends(w, "iz"))
            replace(w, 0, "e");
        else if (ends_in_double(w))
            replace(w, 1, "");
        else if (is_short(w))
            replace(w, 0, "e");
        return;
    }
}

static void step_1c(struct word *w)
{
    char last = w->at[w->len - 1];
    if (w->len > 2 && (last == 'y' || last == 'Y') && !is_vowel(w->at[w->len - 2]))
        w->at[w->len - 1] = 'i';
}

struct rule {
    const char *suffix, *ending;
};

// The first rule whose suffix the word has; longer suffixes stand first.
static const struct rule *find_rule(const struct word *w, const struct rule *rules, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (ends(w, rules[i].suffix))
            return &rules[i];
    return NULL;
}

static void step_2(struct word *w)
{
    static const struct rule rules[] = {
        {"ization", "ize"}, {"ational", "ate"}, {"fulness", "ful"}, {"ousness", "ous"},
        {"iveness", "ive"}, {"tional", "tion"}, {"biliti", "ble"},  {"lessli", "less"},
        {"entli", "ent"},   {"ation", "ate"},   {"alism", "al"},    {"aliti", "al"},
        {"ousli", "ous"},   {"iviti", "ive"},   {"fulli", "ful"},   {"enci", "ence"},
        {"anci", "ance"},   {"abli", "able"},   {"izer", "ize"},    {"ator", "ate"},
        {"alli", "al"},     {"bli", "ble"},     {"ogi", "og"},      {"li", ""},
    };
    const struct rule *r = find_rule(w, rules, sizeof(rules) / sizeof(*rules));
    if (!r || w->len - strlen(r->suffix) < w->r1)
        return;
    char before = w->len > strlen(r->suffix) ? w->at[w->len - strlen(r->suffix) - 1] : '\0';
    if (strcmp(r->suffix, "ogi") == 0 && before != 'l')
        return;
    if (strcmp(r->suffix, "li") == 0 && (!before || !strchr("cdeghkmnrt", before)))
        return;
    replace(w, strlen(r->suffix), r->ending);
}

static void step_3(struct word *w)
{
    static const struct rule rules[] = {
        {"ational", "ate"}, {"tional", "tion"}, {"alize", "al"}, {"icate", "ic"}, {"iciti", "ic"},
        {"ative", ""},      {"ical", "ic"},     {"ness", ""},    {"ful", ""},
    };
    const struct rule *r = find_rule(w, rules, sizeof(rules) / sizeof(*rules));
    if (!r || w->len - strlen(r->suffix) < w->r1)
        return;
    if (strcmp(r->suffix, "ative") == 0 && w->len - 5 < w->r2)
        return;
    replace(w, strlen(r->suffix), r->ending);
}

static void step_4(struct word *w)
{
    static const struct rule rules[] = {
        {"ement", ""}, {"ance", ""}, {"ence", ""}, {"able", ""}, {"ible", ""}, {"ment", ""},
        {"ant", ""},   {"ent", ""},  {"ism", ""},  {"ate", ""},  {"iti", ""},  {"ous", ""},
        {"ive", ""},   {"ize", ""},  {"ion", ""},  {"al", ""},   {"er", ""},   {"ic", ""},
    };
    const struct rule *r = find_rule(w, rules, sizeof(rules) / sizeof(*rules));
    size_t n = r ? strlen(r->suffix) : 0;
    if (!r || w->len - n < w->r2)
        return;
    if (strcmp(r->suffix, "ion") == 0 &&
        (w->len == n || (w->at[w->len - n - 1] != 's' && w->at[w->len - n - 1] != 't')))
        return;
    replace(w, n, "");
}

static void step_5(struct word *w)
{
    if (ends(w, "e")) {
        size_t rest = w->len - 1;
        if (rest >= w->r2 || (rest >= w->r1 && !ends_in_short_syllable(w, rest)))
            w->len--;
    } else if (ends(w, "ll") && w->len - 1 >= w->r2) {
        w->len--;
    }
}

// Words that the rules would spoil. True: done.
static bool special(struct word *w)
{
    static const struct rule changed[] = {
        {"skis", "ski"},    {"skies", "sky"}, {"dying", "die"},    {"lying", "lie"},
        {"tying", "tie"},   {"idly", "idl"},  {"gently", "gentl"}, {"ugly", "ugli"},
        {"early", "earli"}, {"only", "onli"}, {"singly", "singl"},
    };
    static const char *const kept[] = {"sky", "news", "howe", "atlas", "cosmos", "bias", "andes"};

    for (size_t i = 0; i < sizeof(changed) / sizeof(*changed); i++)
        if (is(w, changed[i].suffix)) {
            replace(w, w->len, changed[i].ending);
            return true;
        }
    for (size_t i = 0; i < sizeof(kept) / sizeof(*kept); i++)
        if (is(w, kept[i]))
            return true;
    return false;
}

// Words that are done after step 1a.
static bool settled(const struct word *w)
{
    static const char *const words[] = {"inning",  "outing",  "canning", "herring",
                                        "earring", "proceed", "exceed",  "succeed"};
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
        if (is(w, words[i]))
            return true;
    return false;
}

static bool fits(const char *word, size_t len)
{
    if (len + 1 > STEM_WORD_MAX)
        return false;
    for (size_t i = 0; i < len; i++)
        if (word[i] < 'a' || word[i] > 'z')
            return false;
    return true;
}

size_t stem_porter2(char *word, size_t len)
{
    struct word w = {.at = word, .len = len};

    if (len <= 2 || !fits(word, len) || special(&w))
        return w.len;
    mark_consonant_y(&w);
    mark_regions(&w);
    step_1a(&w);
    if (!settled(&w)) {
        step_1b(&w);
        step_1c(&w);
        step_2(&w);
        step_3(&w);
        step_4(&w);
        step_5(&w);
    }
    for (size_t i = 0; i < w.len; i++)
        if (w.at[i] == 'Y')
            w.at[i] = 'y';
    return w.len;
}

// ---- irregular forms

struct form {
    char irregular[12], base[12];
};

// Sorted by the irregular form. Left out are forms that talk uses as often for something else:
// "rose", "bore", "ground", "bound", "wound", "lives", "leaves".
static const struct form forms[] = {
    {"am", "be"},           {"are", "be"},
    {"ate", "eat"},         {"became", "become"},
    {"been", "be"},         {"began", "begin"},
    {"begun", "begin"},     {"bent", "bend"},
    {"best", "good"},       {"better", "good"},
    {"bitten", "bite"},     {"blew", "blow"},
    {"blown", "blow"},      {"bought", "buy"},
    {"broke", "break"},     {"broken", "break"},
    {"brought", "bring"},   {"built", "build"},
    {"burnt", "burn"},      {"came", "come"},
    {"caught", "catch"},    {"children", "child"},
    {"chose", "choose"},    {"chosen", "choose"},
    {"dealt", "deal"},      {"did", "do"},
    {"does", "do"},         {"done", "do"},
    {"drank", "drink"},     {"drawn", "draw"},
    {"dreamt", "dream"},    {"drew", "draw"},
    {"driven", "drive"},    {"drove", "drive"},
    {"drunk", "drink"},     {"dug", "dig"},
    {"eaten", "eat"},       {"fallen", "fall"},
    {"fed", "feed"},        {"feet", "foot"},
    {"fell", "fall"},       {"felt", "feel"},
    {"flew", "fly"},        {"flown", "fly"},
    {"forgave", "forgive"}, {"forgiven", "forgive"},
    {"forgot", "forget"},   {"forgotten", "forget"},
    {"fought", "fight"},    {"found", "find"},
    {"froze", "freeze"},    {"frozen", "freeze"},
    {"gave", "give"},       {"geese", "goose"},
    {"given", "give"},      {"gone", "go"},
    {"got", "get"},         {"gotten", "get"},
    {"grew", "grow"},       {"grown", "grow"},
    {"had", "have"},        {"has", "have"},
    {"heard", "hear"},      {"held", "hold"},
    {"hid", "hide"},        {"hidden", "hide"},
    {"hung", "hang"},       {"is", "be"},
    {"kept", "keep"},       {"knelt", "kneel"},
    {"knew", "know"},       {"knives", "knife"},
    {"known", "know"},      {"laid", "lay"},
    {"learnt", "learn"},    {"led", "lead"},
    {"left", "leave"},      {"lent", "lend"},
    {"lit", "light"},       {"lost", "lose"},
    {"made", "make"},       {"meant", "mean"},
    {"men", "man"},         {"met", "meet"},
    {"mice", "mouse"},      {"paid", "pay"},
    {"people", "person"},   {"proven", "prove"},
    {"ran", "run"},         {"rang", "ring"},
    {"ridden", "ride"},     {"risen", "rise"},
    {"rode", "ride"},       {"said", "say"},
    {"sang", "sing"},       {"sank", "sink"},
    {"sat", "sit"},         {"saw", "see"},
    {"seen", "see"},        {"sent", "send"},
    {"shaken", "shake"},    {"shone", "shine"},
    {"shook", "shake"},     {"shot", "shoot"},
    {"shown", "show"},      {"slept", "sleep"},
    {"sold", "sell"},       {"sought", "seek"},
    {"spent", "spend"},     {"spoke", "speak"},
    {"spoken", "speak"},    {"stole", "steal"},
    {"stolen", "steal"},    {"stood", "stand"},
    {"struck", "strike"},   {"stuck", "stick"},
    {"sung", "sing"},       {"sunk", "sink"},
    {"swam", "swim"},       {"swept", "sweep"},
    {"swum", "swim"},       {"taken", "take"},
    {"taught", "teach"},    {"teeth", "tooth"},
    {"thought", "think"},   {"threw", "throw"},
    {"thrown", "throw"},    {"told", "tell"},
    {"took", "take"},       {"tore", "tear"},
    {"torn", "tear"},       {"understood", "understand"},
    {"was", "be"},          {"went", "go"},
    {"were", "be"},         {"wives", "wife"},
    {"woke", "wake"},       {"woken", "wake"},
    {"women", "woman"},     {"won", "win"},
    {"wore", "wear"},       {"worn", "wear"},
    {"worse", "bad"},       {"worst", "bad"},
    {"written", "write"},   {"wrote", "write"},
};

static int by_form(const void *key, const void *item)
{
    const struct slice *word = key;
    return slice_cmp(*word, slice_str(((const struct form *)item)->irregular));
}

size_t stem_english(char *word, size_t len)
{
    struct slice key = slice_of(word, len);

    if (!fits(word, len))
        return len;
    const struct form *f =
        bsearch(&key, forms, sizeof(forms) / sizeof(*forms), sizeof(*forms), by_form);
    if (f) {
        len = strlen(f->base);
        memcpy(word, f->base, len);
    }
    return stem_porter2(word, len);
}
