// SPDX-License-Identifier: MIT
// Sentences that tell most: what is chosen, what never is, within which bounds, in which order.
#include "base/mem.h"
#include "memory/key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct key *key_of(const struct safe_text *said, size_t len)
{
    struct key *k;
    assert_int_equal(key_new(&k, NULL), E_OK);
    for (size_t i = 0; i < len; i++)
        assert_int_equal(key_add(k, said[i], NULL), E_OK);
    return k;
}

static void assert_chosen(const struct safe_text *said, size_t len, uint32_t most, size_t bytes,
                          const char *expected)
{
    struct key *k = key_of(said, len);
    struct safe_buf out;
    safe_buf_init(&out, 1 << 16);
    assert_int_equal(key_choose(k, most, bytes, &out, NULL), E_OK);
    struct safe_text text = safe_buf_text(&out);
    char *copy = mem_slicedup(safe_slice(text));
    char shown[4096];
    snprintf(shown, sizeof(shown), "%.*s", (int)text.len, copy ? copy : "");
    assert_string_equal(shown, expected);
    mem_free(copy);
    safe_buf_release(&out);
    key_free(k);
}

static void test_key__what_tells_most_in_the_order_it_was_said(void **state)
{
    static const struct safe_text said[] = {
        SAFE_LIT("Hey there! How have you been? Wow, that is so cool."),
        SAFE_LIT("I adopted a beagle puppy in Tromso last week. Thanks so much for asking."),
        SAFE_LIT("That is really nice of you to say. We booked the ferry to Bergen for 12 May."),
    };

    (void)state;
    assert_chosen(said, 3, 2, 1000,
                  "I adopted a beagle puppy in Tromso last week.\n"
                  "We booked the ferry to Bergen for 12 May.\n");
    assert_chosen(said, 3, 2, 50, "I adopted a beagle puppy in Tromso last week.\n");
    assert_chosen(said, 3, 0, 1000, "");
    assert_chosen(said, 3, 9, 0, "");
    assert_chosen(said, 0, 9, 1000, "");
}

static void test_key__questions_and_scraps_never(void **state)
{
    static const struct safe_text said[] = {
        SAFE_LIT("Where did my beagle puppy go in Tromso? Nice one. Yes."),
        SAFE_LIT("\n\n  \n"), SAFE_LIT(""),
    };

    (void)state;
    assert_chosen(said, 3, 9, 1000, "");
}

static void test_key__what_was_told_is_not_told_again(void **state)
{
    static const struct safe_text said[] = {
        SAFE_LIT("I planted red tulips behind the garden shed."),
        SAFE_LIT("I planted the red tulips there, behind that garden shed."),
        SAFE_LIT("My cousin repairs old accordions in Lyon."),
    };

    (void)state;
    assert_chosen(said, 3, 3, 1000,
                  "I planted the red tulips there, behind that garden shed.\n"
                  "My cousin repairs old accordions in Lyon.\n");
}

// However much was said, it is bounded, and what it chose is within the bounds that it was given.
static void test_key__is_bounded(void **state)
{
    struct key *k;
    struct safe_buf out, text;

    (void)state;
    assert_int_equal(key_new(&k, NULL), E_OK);
    safe_buf_init(&text, 1 << 20);
    for (int i = 0; i < 4000; i++)
        safe_buf_add(&text, SAFE_LIT("My uncle keeps eleven geese near Uppsala. "));
    for (int i = 0; i < 8; i++)
        assert_int_equal(key_add(k, safe_buf_text(&text), NULL), E_OK);
    safe_buf_init(&out, 1 << 16);
    assert_int_equal(key_choose(k, 100, 2000, &out, NULL), E_OK);
    size_t once = strlen("My uncle keeps eleven geese near Uppsala.\n");
    assert_int_equal(safe_buf_text(&out).len, once);
    safe_buf_release(&out);
    safe_buf_release(&text);
    key_free(k);
    key_free(NULL);
}

static void test_key__lines_are_judged_behind_their_labels(void **state)
{
    static const struct safe_text lines[] = {
        SAFE_LIT("2026-03-01 Said: That is so nice of you."),
        SAFE_LIT("2026-03-02 Open: Which school is it?"),
        SAFE_LIT("2026-03-03 Said: Petra restores typewriters in Kalmar."),
    };
    bool chosen[KEY_SENTENCES_MAX];
    struct key *k;

    (void)state;
    assert_int_equal(key_new(&k, NULL), E_OK);
    for (size_t i = 0; i < 3; i++) {
        uint32_t before = key_len(k);
        assert_int_equal(key_add_line(k, lines[i], strlen("2026-03-01 Said: "), NULL), E_OK);
        assert_int_equal(key_len(k) - before, i != 1);
    }
    key_mark(k, 1, 1000, chosen);
    assert_false(chosen[0]);
    assert_true(chosen[1]);
    key_mark(k, 9, lines[0].len + 1, chosen);
    assert_true(chosen[0] && !chosen[1]);
    key_free(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_key__what_tells_most_in_the_order_it_was_said),
        cmocka_unit_test(test_key__questions_and_scraps_never),
        cmocka_unit_test(test_key__what_was_told_is_not_told_again),
        cmocka_unit_test(test_key__is_bounded),
        cmocka_unit_test(test_key__lines_are_judged_behind_their_labels),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
