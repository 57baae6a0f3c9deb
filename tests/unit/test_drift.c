// SPDX-License-Identifier: MIT
// test_drift.c: what of a summary is held against its source, and what is not.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "memory/drift.h"

#include <stdio.h>
#include <string.h>

static struct drift *source_of(const char *text)
{
    struct drift *d;
    struct err err = ERR_INIT;

    assert_int_equal(drift_new(&d, &err), E_OK);
    assert_int_equal(drift_add(d, slice_str(text), &err), E_OK);
    return d;
}

// "" if the source bears all of it out, else the first thing that it does not.
static const char *unborne(const char *source, const char *summary)
{
    static struct drift_found found;
    struct drift *d = source_of(source);
    struct err err = ERR_INIT;

    assert_int_equal(drift_check(d, slice_str(summary), NULL, NULL, &found, &err), E_OK);
    drift_free(d);
    return found.what;
}

struct row {
    const char *source, *summary, *what;
};

static void hold(const struct row *rows, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        const char *what = unborne(rows[i].source, rows[i].summary);

        if (strcmp(what, rows[i].what) != 0)
            print_message("# %s\n# %s\n# found: '%s'\n", rows[i].source, rows[i].summary, what);
        assert_string_equal(what, rows[i].what);
    }
}
#define HOLD(rows) hold(rows, sizeof(rows) / sizeof((rows)[0]))

static void test_drift__numbers(void **state)
{
    static const struct row rows[] = {
        {"I pay 1,200 euros.", "The rent is 1200 euros.", ""},
        {"I pay 1200 euros.", "The rent is 1,200 euros.", ""},
        {"I pay 1200 euros.", "The rent is 1.200 euros.", ""},
        {"I pay 1200 euros.", "The rent is 1200.00 euros.", ""},
        {"I pay 1200 euros.", "The rent is 1,200.50 euros.", "1,200.50"},
        {"It costs 1,200.50 euros.", "The cost is 1200.5 euros.", ""},
        {"It costs 1.200,50 euros.", "The cost is 1200.5 euros.", ""},
        {"I pay 1200 euros.", "The rent is 1300 euros.", "1300"},
        {"I pay 1200 euros.", "The rent is 120 euros.", "120"},
        {"I pay 1200 euros.", "The rent is 1,20 euros.", "1,20"},
        {"There are twelve of us.", "They are 12.", ""},
        {"There are twenty-five of us.", "They are 25.", ""},
        {"There are twenty-five of us.", "They are 26.", "26"},
        {"We met at 10:30am.", "They met at 10:30.", ""},
        {"We met at 10:30am.", "They met at 10:45.", "45"},
        {"Born on 12.03.1980.", "The user was born on 12.03.1980.", ""},
        {"Born on 12.03.1980.", "The user was born in 1980.", ""},
        {"Born on 12.03.1980.", "The user was born on 13.03.1980.", "13.03.1980"},
        {"Version 2.10.1 fails.", "Version 2.1.10 fails.", "2.1.10"},
        {"The code is 0042.", "The code is 42.", ""},
        {"a and b", "1. It is a.\n2) It is b.", ""},
        {"a and b", "There are 2 of them.", "2"},
        {"It was -5.25 degrees", "It was -5.25 degrees.", ""},
        {"the 3rd of may", "On the 3rd.", ""},
        {"", "7", "7"},
    };

    (void)state;
    HOLD(rows);
}

static void test_drift__names(void **state)
{
    static const struct row rows[] = {
        {"my sister ann lives in lyon", "The user's sister Ann lives in Lyon.", ""},
        {"my sister Ann lives in Lyon", "The user's sister Anna lives in Lyon.", "Anna"},
        {"my sister Ann lives in Lyon", "Yesterday the user spoke of Ann. Today too.", ""},
        {"Ann's dog", "It is the dog of Ann.", ""},
        {"the dog of Ann", "It is Ann's dog.", ""},
        {"the Smiths came", "A visit by Mr. Smith.", ""},
        {"I saw Dr. Miller", "He saw Dr. Miller and Dr. Moore.", "Moore"},
        {"J. R. Hartley wrote it", "It is by J. R. Hartley.", ""},
        {"the API is slow", "Both APIs are slow.", ""},
        {"the API is slow", "The ABI is slow.", "ABI"},
        {"call read_all first", "First call read_all, then sort.", ""},
        {"call read_all first", "First call write_all.", "write_all"},
        {"use parseJson here", "use parseXml here", "parseXml"},
        {"order ORD-1234 is late", "Order ORD-1234 is late.", ""},
        {"order ORD-1234 is late", "Order ORX-1234 is late.", "ORX"},
        {"room B12", "The room is B12.", ""},
        {"room B12", "The room is B13.", "B13"},
        {"Мы встретились с Анной", "Встреча была с Анной.", ""},
        {"Мы встретились с Анной", "Встреча была с Ольгой.", "Ольгой"},
        {"Zoë likes tea", "Then ZOË said so.", ""},
        {"nothing", "The User told the Assistant that I may go, OK.", ""},
        {"the tea is hot", "- Tea: it is hot\n- Milk: none", ""},
    };

    (void)state;
    HOLD(rows);
}

static void test_drift__quotations_and_addresses(void **state)
{
    static const struct row rows[] = {
        {"it says: Segmentation fault (core dumped)",
         "The error is \"segmentation fault\".", ""},
        {"it says: Segmentation\n   fault (core dumped)",
         "The error is “Segmentation fault”.", ""},
        {"it says: Segmentation fault", "The error is \"Bus error\".", "Bus error"},
        {"run make install", "Run `make install` again.", ""},
        {"run make install", "Run `make clean` again.", "make clean"},
        {"He said \"no. never. Not I\" to me", "He said \"no. never. Not I.\"", ""},
        {"write to Ann@Example.org", "The address is ann@example.org.", ""},
        {"write to ann@example.org", "The address is (ann@example.com).", "ann@example.com"},
        {"see https://example.org/a?b=1", "It is at https://example.org/a?b=1", ""},
        {"see https://example.org/a", "It is at <https://example.org/b>.",
         "https://example.org/b"},
        {"nothing", "An open \" mark is none", ""},
        {"nothing", "It is 5\" wide", "5"},
    };

    (void)state;
    HOLD(rows);
}

// Where every noun has a capital, capitals tell nothing; numbers still do.
static void test_drift__capitals_of_german(void **state)
{
    static const char line[] = "Der Hund und die Katze schlafen im Garten unter dem Baum. ";
    struct buf source = BUF_INIT(1 << 20);

    (void)state;
    for (int i = 0; i < 40; i++)
        buf_add_str(&source, line);
    buf_add_char(&source, '\0');
    assert_string_equal(unborne(source.ptr, "Es geht um Tiere im Garten."), "");
    assert_string_equal(unborne(source.ptr, "Es geht um 7 Tiere im Garten."), "7");
    assert_string_equal(unborne("Der Hund schläft.", "Es geht um Tiere."), "Tiere");
    buf_release(&source);
}

struct kept {
    struct buf text;
    unsigned good, bad;
};

static void keep(void *user, struct slice sentence, bool borne_out)
{
    struct kept *k = user;

    if (borne_out)
        buf_add_slice(&k->text, sentence);
    k->good += borne_out;
    k->bad += !borne_out;
}

static void test_drift__sentences(void **state)
{
    static const char *const texts[][6] = {
        {"One. Two! Three?", "One. ", "Two! ", "Three?"},
        {"A line\nanother\n\nthird", "A line\n", "another\n\n", "third"},
        {"It is 3.5 or so. Yes", "It is 3.5 or so. ", "Yes"},
        {"See Dr. Who. Then go", "See Dr. Who. ", "Then go"},
        {"So did I. Then go", "So did I. ", "Then go"},
        {"e.g. this, i.e. that. Fine", "e.g. this, i.e. that. ", "Fine"},
        {"He said \"Stop. Now.\" And left", "He said \"Stop. Now.\" ", "And left"},
        {"好。是", "好。", "是"},
        {"1. Tea. 2. Milk.", "1. Tea. ", "2. Milk."},
        {"   ", "   "},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct slice all = slice_str(texts[i][0]);
        size_t at = 0;

        for (unsigned k = 1; k < 6 && texts[i][k]; k++) {
            size_t end = drift_sentence_end(all, at);
            char got[64];

            snprintf(got, sizeof(got), "%.*s", (int)(end - at), all.ptr + at);
            assert_string_equal(got, texts[i][k]);
            at = end;
        }
        assert_int_equal(at, all.len);
    }
}

static void test_drift__tells_every_sentence(void **state)
{
    struct kept k = {.text = BUF_INIT(1000)};
    struct drift *d = source_of("Ann pays 40 euros for the flat in Lyon.");
    struct drift_found found;
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(drift_check(d, SLICE_LIT("Ann pays 40 euros. The flat is in Paris. "
                                              "It costs 50. It is a flat."),
                                 keep, &k, &found, &err), E_OK);
    buf_add_char(&k.text, '\0');
    assert_string_equal(k.text.ptr, "Ann pays 40 euros. It is a flat.");
    assert_int_equal(k.good, 2);
    assert_int_equal(k.bad, 2);
    assert_int_equal(found.sentences, 4);
    assert_int_equal(found.unborne, 2);
    assert_string_equal(found.what, "Paris");
    buf_release(&k.text);
    drift_free(d);
}

// More of a source only ever bears out more; whatever the bytes, the sentences are the text.
static void test_drift__any_bytes(void **state)
{
    static const char parts[][8] = {"a", "Ab", "7", ".", ",", " ", "\n", "\"", "“", "”", "`", "'",
                                    "@", "://", "(", "é", "\xff", "\xe2\x80", "好", "_", "-", "!"};
    uint32_t seed = 1;

    (void)state;
    for (int round = 0; round < 3000; round++) {
        struct buf text = BUF_INIT(1000);
        struct kept k = {.text = BUF_INIT(1000)};
        struct drift_found found;
        struct err err = ERR_INIT;

        for (int i = 0; i < 40; i++) {
            seed = seed * 1664525 + 1013904223;
            buf_add_str(&text, parts[(seed >> 16) % (sizeof(parts) / sizeof(parts[0]))]);
        }
        buf_add_char(&text, '\0');
        struct drift *d = source_of(text.ptr);
        assert_int_equal(drift_check(d, slice_str(text.ptr), keep, &k, &found, &err), E_OK);
        if (found.unborne)
            print_message("# %s\n# %s\n", text.ptr, found.what);
        assert_int_equal(found.unborne, 0);
        buf_add_char(&k.text, '\0');
        assert_string_equal(k.text.ptr, text.ptr);
        drift_free(d);
        buf_release(&text);
        buf_release(&k.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_drift__numbers),
        cmocka_unit_test(test_drift__names),
        cmocka_unit_test(test_drift__quotations_and_addresses),
        cmocka_unit_test(test_drift__capitals_of_german),
        cmocka_unit_test(test_drift__sentences),
        cmocka_unit_test(test_drift__tells_every_sentence),
        cmocka_unit_test(test_drift__any_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
