// SPDX-License-Identifier: MIT
// Text to terms: words, ids, scripts, bad bytes, limits; and stems, against pairs from the
// published description of Porter2 and the irregular forms of talk.
#include "base/mem.h"
#include "memory/stem.h"
#include "memory/terms.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

// "a b =c": terms with spaces between them, `whole` ones with a "=" before.
static void read_into(struct slice text, char *out, size_t bytes)
{
    struct terms t;
    size_t n = 0;

    out[0] = '\0';
    terms_init(&t);
    assert_int_equal(terms_read(&t, text, NULL), E_OK);
    for (size_t i = 0; i < t.list.len && n < bytes; i++) {
        const struct term *term = VEC_AT(&t.list, struct term, i);
        n += (size_t)snprintf(out + n, bytes - n, "%s%s%.*s", i ? " " : "", term->whole ? "=" : "",
                              SLICE_FMT(term_text(&t, term)));
    }
    terms_release(&t);
}

struct expect {
    const char *text, *terms;
};

static void expect_all(const struct expect *list, size_t len)
{
    char got[1024];

    for (size_t i = 0; i < len; i++) {
        read_into(slice_str(list[i].text), got, sizeof(got));
        assert_string_equal(got, list[i].terms);
    }
}
#define EXPECT_ALL(list) expect_all(list, sizeof(list) / sizeof(*(list)))

static void test_terms__words(void **state)
{
    static const struct expect cases[] = {
        {"", ""},
        {" \t\n?!…", ""},
        {"She's hiking, isn't she?", "she hike isnt she"},
        {"I'll we've I'm they'd dogs'", "i we i they dog"},
        {"don\xe2\x80\x99t", "dont"},
        {"'quoted'", "quot"},
        {"self-care", "self care"},
        {"l'amour d'accord", "amour accord"},
        {"Where did you buy it? I bought it.", "where do you buy it i buy it"},
    };
    (void)state;
    EXPECT_ALL(cases);
}

static void test_terms__numbers_and_ids_stay_whole(void **state)
{
    static const struct expect cases[] = {
        {"on 2023-05-08 at 10:30", "on 2023 05 08 =2023-05-08 at 10 30 =10:30"},
        {"ORD-12345.", "ord 12345 =ord-12345"},
        {"user_id", "user id =user_id"},
        {"$1,000.50", "1 000 50 =1000.50"},
        {"v2 32gb", "v2 32gb"},
        {"[EMAIL_1]", "email 1 =email_1"},
        {"a.b", "a b"},
    };
    (void)state;
    EXPECT_ALL(cases);
}

static void test_terms__scripts(void **state)
{
    static const struct expect cases[] = {
        {"CAFÉ cafe\xcc\x81 Straße ﬁne Ｗｉｄｅ", "cafe cafe strass fine wide"},
        {"Ёлка ёлка ΣΊΣΥΦΟΣ", "елка елка σισυφοσ"},
        {"東京に", "東京 =東 京に =京"},
        {"猫", "猫"},
        {"한국어 각", "한국 국어 각"},
        {"\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab국", "한국"},
        {"ภาษา", "ภา าษ ษา"},
        {"हिन्दी में", "हिन्दी में"},
        {"שָׁלוֹם مُحَمَّد", "שלום محمد"},
        {"soft\xc2\xadware zero\xe2\x80\x8bwidth", "softwar zerowidth"},
    };
    (void)state;
    EXPECT_ALL(cases);
}

static void test_terms__invalid_bytes_separate(void **state)
{
    static const struct expect cases[] = {
        {"one\xfftwo", "one two"},
        {"\xed\xa0\x80 sun\xc3", "sun"},
        {"\xf4\x90\x80\x80x", "x"},
    };
    char got[64];

    (void)state;
    EXPECT_ALL(cases);
    read_into(slice_of("a\0b", 3), got, sizeof(got));
    assert_string_equal(got, "a b");
}

static void test_terms__limits(void **state)
{
    enum { LONG = TERMS_TEXT_BYTES_MAX + 1000 };
    static char text[LONG];
    struct terms t;

    (void)state;
    terms_init(&t);
    // One endless word is one term, cut.
    memset(text, 'q', LONG);
    assert_int_equal(terms_read(&t, slice_of(text, LONG), NULL), E_OK);
    assert_int_equal(t.list.len, 1);
    assert_int_equal(VEC_AT(&t.list, struct term, 0)->len <= TERM_BYTES_MAX, true);
    // As many terms as there is room for, none of what is behind it.
    for (size_t i = 0; i + 1 < LONG; i += 2)
        memcpy(text + i, "q ", 2);
    assert_int_equal(terms_read(&t, slice_of(text, LONG), NULL), E_OK);
    assert_int_equal(t.list.len, TERMS_TEXT_BYTES_MAX / 2);
    assert_int_equal(t.words, t.list.len);
    // The character that becomes most of all (18), again and again.
    for (size_t i = 0; i + 3 <= LONG; i += 3)
        memcpy(text + i, "\xef\xb7\xba", 3);
    assert_int_equal(terms_read(&t, slice_of(text, LONG), NULL), E_OK);
    assert_true(t.list.len > 0 && t.list.len <= TERMS_MAX);
    terms_release(&t);
}

static void test_terms__lack_of_memory_leaves_it_empty(void **state)
{
    (void)state;
    for (uint64_t n = 1;; n++) {
        struct terms t;
        struct err err = ERR_INIT;

        terms_init(&t);
        mem_fail_at(n, 0);
        int rc = terms_read(&t, SLICE_LIT("été, ord-12 and some more words of no use"), &err);
        mem_fail_at(0, 0);
        if (rc) {
            assert_int_equal(rc, E_NOMEM);
            assert_int_equal(err.code, E_NOMEM);
            assert_int_equal(t.list.len, 0);
        }
        terms_release(&t);
        if (!rc)
            break;
        assert_true(n < 50);
    }
}

static void test_terms__function_words(void **state)
{
    static const char *const yes[] = {"a", "about", "be", "do", "what", "whi", "whose", "your"};
    static const char *const no[] = {"", "b", "buy", "when's", "yours", "wha", "whatx"};

    (void)state;
    for (size_t i = 0; i < sizeof(yes) / sizeof(*yes); i++)
        assert_true(term_is_function_word(slice_str(yes[i])));
    for (size_t i = 0; i < sizeof(no) / sizeof(*no); i++)
        assert_false(term_is_function_word(slice_str(no[i])));
}

static size_t stem_copy(const char *word, char out[STEM_WORD_MAX + 16],
                        size_t (*stem)(char *, size_t))
{
    size_t n = strlen(word);
    memcpy(out, word, n);
    n = stem(out, n);
    out[n] = '\0';
    return n;
}

// From the vocabulary that the algorithm's description shows, and a word for each rule and
// exception.
static void test_stem__porter2(void **state)
{
    static const struct expect cases[] = {
        {"consign", "consign"},
        {"consigned", "consign"},
        {"consignment", "consign"},
        {"consist", "consist"},
        {"consistency", "consist"},
        {"consistently", "consist"},
        {"consolation", "consol"},
        {"consolatory", "consolatori"},
        {"console", "consol"},
        {"consolingly", "consol"},
        {"conspicuously", "conspicu"},
        {"conspiracy", "conspiraci"},
        {"constancy", "constanc"},
        {"knackeries", "knackeri"},
        {"knaves", "knave"},
        {"kneaded", "knead"},
        {"kneeling", "kneel"},
        {"knightly", "knight"},
        {"knitted", "knit"},
        {"knocker", "knocker"},
        {"ties", "tie"},
        {"cries", "cri"},
        {"gas", "gas"},
        {"gaps", "gap"},
        {"kiwis", "kiwi"},
        {"caresses", "caress"},
        {"agreed", "agre"},
        {"feed", "feed"},
        {"luxuriated", "luxuri"},
        {"hopped", "hop"},
        {"hoping", "hope"},
        {"by", "by"},
        {"say", "say"},
        {"cry", "cri"},
        {"relational", "relat"},
        {"rational", "ration"},
        {"apologies", "apolog"},
        {"geology", "geolog"},
        {"formative", "format"},
        {"electrical", "electr"},
        {"adoption", "adopt"},
        {"replacement", "replac"},
        {"rolled", "roll"},
        {"controlled", "control"},
        {"generally", "general"},
        {"generous", "generous"},
        {"communism", "communism"},
        {"arsenal", "arsenal"},
        {"skis", "ski"},
        {"dying", "die"},
        {"news", "news"},
        {"inning", "inning"},
        {"succeeded", "succeed"},
        {"youth", "youth"},
        {"boyish", "boyish"},
        {"a", "a"},
    };
    char got[STEM_WORD_MAX + 16];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        stem_copy(cases[i].text, got, stem_porter2);
        assert_string_equal(got, cases[i].terms);
    }
}

// Every irregular form meets its base form; a form out of order would not be found.
static void test_stem__irregular_forms_meet_their_base(void **state)
{
    static const struct expect cases[] = {
        {"am", "be"},
        {"ate", "eat"},
        {"bought", "buying"},
        {"children", "child"},
        {"went", "going"},
        {"people", "person"},
        {"taught", "teaches"},
        {"wrote", "writing"},
        {"worst", "bad"},
        {"women", "woman"},
        {"best", "good"},
        {"understood", "understanding"},
        {"forgotten", "forget"},
        {"drew", "draws"},
        {"won", "winning"},
        {"struck", "strike"},
    };
    char a[STEM_WORD_MAX + 16], b[STEM_WORD_MAX + 16];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        stem_copy(cases[i].text, a, stem_english);
        stem_copy(cases[i].terms, b, stem_english);
        assert_string_equal(a, b);
    }
}

static void test_stem__leaves_other_words_alone(void **state)
{
    static const char *const words[] = {"naïve", "x1s", "Running", "東京",
                                        "pneumonoultramicroscopicsilicovolcanoconiosisesing"};
    char got[64];

    (void)state;
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
        assert_int_equal(stem_copy(words[i], got, stem_english), strlen(words[i]));
        assert_string_equal(got, words[i]);
    }
    assert_int_equal(stem_english(got, 0), 0);
}

// Words of other languages that mean different things stay different.
static void test_stem__keeps_other_languages_apart(void **state)
{
    static const struct expect pairs[] = {
        {"casa", "caso"},      {"perro", "pero"},  {"hombre", "hambre"}, {"haus", "maus"},
        {"wagen", "wege"},     {"nacht", "nackt"}, {"chien", "chat"},    {"jour", "jouer"},
        {"mano", "mani"},      {"gatto", "gatta"}, {"huis", "huid"},     {"barn", "bord"},
        {"kitap", "kitaplik"}, {"dom", "dym"},     {"mesa", "mes"},      {"ciudad", "cuidado"},
    };
    char a[STEM_WORD_MAX + 16], b[STEM_WORD_MAX + 16];

    (void)state;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
        stem_copy(pairs[i].text, a, stem_english);
        stem_copy(pairs[i].terms, b, stem_english);
        assert_string_not_equal(a, b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_terms__words),
        cmocka_unit_test(test_terms__numbers_and_ids_stay_whole),
        cmocka_unit_test(test_terms__scripts),
        cmocka_unit_test(test_terms__invalid_bytes_separate),
        cmocka_unit_test(test_terms__limits),
        cmocka_unit_test(test_terms__lack_of_memory_leaves_it_empty),
        cmocka_unit_test(test_terms__function_words),
        cmocka_unit_test(test_stem__porter2),
        cmocka_unit_test(test_stem__irregular_forms_meet_their_base),
        cmocka_unit_test(test_stem__leaves_other_words_alone),
        cmocka_unit_test(test_stem__keeps_other_languages_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
