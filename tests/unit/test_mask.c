// SPDX-License-Identifier: MIT
// Masks: numbers of a book, the shape of a mask, and back to originals, however the text is cut.
#include "redact/mask.h"

#include "base/mem.h"
#include "base/rand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void digest(void *user, struct slice kind, struct slice value, char out[MASK_DIGEST_BYTES])
{
    uint64_t h = 14695981039346656037u;

    (void)user;
    (void)kind;
    for (size_t i = 0; i < value.len; i++)
        h = (h ^ (unsigned char)value.ptr[i]) * 1099511628211u;
    snprintf(out, MASK_DIGEST_BYTES, "%016llx", (unsigned long long)h);
}

static struct mask_book *made(void)
{
    struct mask_book *b;

    assert_int_equal(mask_book_new(&b, digest, NULL, NULL), E_OK);
    return b;
}

static uint32_t number(struct mask_book *b, const char *kind, const char *value)
{
    return mask_book_number(b, "desk", slice_str(kind), slice_str(value), slice_str(value), false);
}

static const char *original(const struct mask_book *b, uint32_t i)
{
    const struct mask_original *o = mask_original(mask_book_at(b, i), "desk", false);

    return o ? o->text : NULL;
}

static void test_mask__numbers_count_per_kind_and_stay(void **state)
{
    struct mask_book *b = made();

    (void)state;
    assert_int_equal(number(b, "email", "a@x.org"), 1);
    assert_int_equal(number(b, "email", "b@x.org"), 2);
    assert_int_equal(number(b, "phone", "a@x.org"), 1);
    assert_int_equal(number(b, "email", "a@x.org"), 1);
    assert_true(mask_book_waits(b));
    mask_book_settle(b, 3);
    assert_false(mask_book_waits(b));
    assert_int_equal(mask_book_number(b, "desk", SLICE_LIT("email"), SLICE_LIT("c"),
                                      SLICE_LIT("c"), true), 0);
    assert_int_equal(mask_book_len(b), 3);
    assert_string_equal(original(b, 1), "b@x.org");
    assert_null(mask_book_find(b, SLICE_LIT("EMAIL"), 3));
    assert_null(mask_book_find(b, SLICE_LIT("EMAIL"), 0));
    mask_book_free(b);
}

static void test_mask__what_is_dropped_may_be_given_again(void **state)
{
    struct mask_book *b = made();

    (void)state;
    number(b, "email", "a");
    mask_book_settle(b, 1);
    number(b, "email", "b");
    number(b, "card", "4111");
    mask_book_drop(b);
    assert_int_equal(mask_book_len(b), 1);
    assert_null(mask_book_find(b, SLICE_LIT("EMAIL"), 2));
    // Another process gave 2 to somebody else.
    assert_int_equal(mask_book_load(b, SLICE_LIT("email"), 2, SLICE_LIT("ffff"), NULL), E_OK);
    assert_int_equal(number(b, "email", "b"), 3);
    assert_int_equal(number(b, "card", "4111"), 1);
    mask_book_drop(b);
    assert_int_equal(mask_book_load(b, SLICE_LIT("email"), 2, SLICE_LIT("eeee"), NULL), E_CORRUPT);
    assert_int_equal(mask_book_load(b, SLICE_LIT("email"), 4, SLICE_LIT("ffff"), NULL), E_CORRUPT);
    mask_book_free(b);
}

static void test_mask__a_full_book_gives_no_number(void **state)
{
    struct mask_book *b = made();
    char text[32];

    (void)state;
    for (unsigned i = 0; i < MASKS_MAX; i++) {
        snprintf(text, sizeof(text), "v%u", i);
        assert_int_equal(number(b, "email", text), i + 1);
    }
    assert_int_equal(number(b, "email", "one more"), 0);
    assert_int_equal(number(b, "email", "v7"), 8);
    assert_int_equal(number(b, "a_kind_with_a_name_of_more_than_31_bytes", "x"), 0);
    mask_book_free(b);
}

static void test_mask__originals_are_forgotten_unless_kept(void **state)
{
    struct mask_book *b = made();

    (void)state;
    number(b, "email", "a");
    number(b, "email", "b");
    mask_book_settle(b, 2);
    assert_true(mask_book_any_said(b));
    while (mask_book_take_said(b, "desk"))
        continue;
    mask_book_load_original(b, SLICE_LIT("email"), 1, SLICE_LIT("desk"), SLICE_LIT("a"), 1000,
                            NULL);
    mask_book_forget_originals(b);
    assert_string_equal(original(b, 0), "a");
    assert_null(original(b, 1));
    mask_book_expire(b, 999);
    assert_non_null(original(b, 0));
    mask_book_expire(b, 1000);
    assert_null(original(b, 0));
    number(b, "email", "a");
    assert_int_equal(mask_book_take_said(b, "desk")->mask, 0);
    mask_book_free(b);
}

static void test_mask__shape(void **state)
{
    static const struct { const char *text; enum mask_seen seen; uint32_t number; } cases[] = {
        {"EMAIL_1]", MASK_YES, 1},      {"US_NPI_12] x", MASK_YES, 12}, {"A_0]", MASK_YES, 0},
        {"EMAIL_01]", MASK_NO, 0},      {"EMAIL]", MASK_NO, 0},         {"EMAIL_]", MASK_NO, 0},
        {"_1]", MASK_NO, 0},            {"email_1]", MASK_NO, 0},       {"EMAIL_1", MASK_OPEN, 0},
        {"", MASK_OPEN, 0},             {"E", MASK_OPEN, 0},            {"EMAIL_1 ", MASK_NO, 0},
        {"K2_5]", MASK_YES, 5},         {"2K_5]", MASK_NO, 0},
        {"E_1234567890]", MASK_NO, 0},
        {"E_999999999]", MASK_YES, 999999999},
        {"ABCDEFGHIJKLMNOPQRSTUVWXYZ_ABCDE_1]", MASK_NO, 0},
        {"ABCDEFGHIJKLMNOPQRSTUVWXYZ_ABCD_1]", MASK_YES, 1},
        {"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", MASK_NO, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct mask_shape shape = {0};

        assert_int_equal(mask_shape_at(slice_str(cases[i].text), 0, &shape), cases[i].seen);
        assert_int_equal(shape.number * (cases[i].seen == MASK_YES), cases[i].number);
    }
}

// ---- reveal

static const struct { const char *in, *out, *json; } texts[] = {
    {"plain", "plain", "plain"},
    {"to [EMAIL_1].", "to ann@\"x\".org.", "to ann@\\\"x\\\".org."},
    {"[EMAIL_1][EMAIL_2][EMAIL_1]", "ann@\"x\".org[EMAIL_2]ann@\"x\".org",
     "ann@\\\"x\\\".org[EMAIL_2]ann@\\\"x\\\".org"},
    {"[[EMAIL_1]]", "[ann@\"x\".org]", "[ann@\\\"x\\\".org]"},
    {"[EMAIL_0] [EMAIL_7] [PHONE_1", "[EMAIL_0] [EMAIL_7] [PHONE_1", NULL},
    {"[\\EMAIL_1]", "[EMAIL_1]", "[\\EMAIL_1]"},
    {"[\\\\EMAIL_1]", "[\\EMAIL_1]", "[EMAIL_1]"},
    {"[\\\\\\\\X_1] [\\\\\\\\", "[\\\\\\X_1] [\\\\\\\\", "[\\\\X_1] [\\\\\\\\"},
    {"[\\ [\\n] [EMA [", "[\\ [\\n] [EMA [", NULL},
    {"[EMA[EMAIL_1]", "[EMAann@\"x\".org", "[EMAann@\\\"x\\\".org"},
};

static void check(const struct mask_book *b, enum mask_form form, const char *in, const char *want,
                  size_t first, size_t second)
{
    struct reveal_stream s;
    struct buf out = BUF_INIT(1 << 20);
    struct slice part;
    size_t len = strlen(in), cuts[] = {0, first, second, len};

    reveal_init(&s, b, "desk", form);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(reveal_feed(&s, slice_of(in + cuts[i], cuts[i + 1] - cuts[i]), &part,
                                     NULL), E_OK);
        buf_add_slice(&out, part);
    }
    assert_int_equal(reveal_end(&s, &part, NULL), E_OK);
    buf_add_slice(&out, part);
    buf_add_char(&out, '\0');
    assert_string_equal(out.ptr, want);
    buf_release(&out);
    reveal_release(&s);
}

static void test_mask__reveal_cut_anywhere(void **state)
{
    struct mask_book *b = made();

    (void)state;
    number(b, "email", "ann@\"x\".org");
    mask_book_settle(b, 1);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        size_t len = strlen(texts[i].in);

        for (size_t first = 0; first <= len; first++) {
            for (size_t second = first; second <= len; second++) {
                check(b, MASK_PLAIN, texts[i].in, texts[i].out, first, second);
                check(b, MASK_JSON, texts[i].in, texts[i].json ? texts[i].json : texts[i].in,
                      first, second);
            }
        }
    }
    mask_book_free(b);
}

static void test_mask__reveal_only_what_is_kept(void **state)
{
    struct mask_book *b = made();
    struct buf out = BUF_INIT(1 << 10);

    (void)state;
    number(b, "email", "a@x");
    number(b, "email", "b@x");
    mask_book_settle(b, 2);
    mask_book_at(b, 1)->originals->kept = true;
    assert_int_equal(reveal_text(b, "desk", MASK_PLAIN, true, SLICE_LIT("[EMAIL_1] [EMAIL_2]"),
                                 &out), 1);
    assert_true(slice_is(buf_slice(&out), "[EMAIL_1] b@x"));
    buf_release(&out);
    mask_book_free(b);
}

// The same number for all of a user's bots; but what one was told is no other's to show.
static void test_mask__an_original_is_of_the_bot_that_was_told(void **state)
{
    struct mask_book *b = made();
    struct buf out = BUF_INIT(1 << 10);
    const struct slice text = SLICE_LIT("[EMAIL_1] [EMAIL_2]");

    (void)state;
    number(b, "email", "a@x");
    assert_int_equal(mask_book_number(b, "shop", SLICE_LIT("email"), SLICE_LIT("b@x"),
                                      SLICE_LIT("B@X"), false), 2);
    number(b, "email", "b@x");
    mask_book_settle(b, 2);
    assert_int_equal(reveal_text(b, "shop", MASK_PLAIN, false, text, &out), 1);
    assert_true(slice_is(buf_slice(&out), "[EMAIL_1] B@X"));
    buf_clear(&out);
    assert_int_equal(reveal_text(b, "desk", MASK_PLAIN, false, text, &out), 2);
    assert_true(slice_is(buf_slice(&out), "a@x b@x"));
    // Each takes what was said to it, and an operator what any of them keeps.
    struct mask_original *said = mask_book_take_said(b, "shop");
    assert_string_equal(said->text, "B@X");
    assert_null(mask_book_take_said(b, "shop"));
    said->kept = true;
    mask_book_forget_originals(b);
    assert_null(mask_book_take_said(b, "desk"));
    buf_clear(&out);
    assert_int_equal(reveal_text(b, "desk", MASK_PLAIN, false, text, &out), 0);
    assert_int_equal(reveal_text(b, NULL, MASK_PLAIN, true, text, &out), 1);
    mask_book_drop(b);
    buf_release(&out);
    mask_book_free(b);
}

// What is said again while it is being kept is forgotten whole, once its time is over.
static void test_mask__what_ends_leaves_nothing_behind(void **state)
{
    struct mask_book *b = made();

    (void)state;
    number(b, "email", "a");
    mask_book_settle(b, 1);
    struct mask_original *o = mask_book_take_said(b, "desk");
    number(b, "email", "a");
    o->kept = true;
    o->until_ms = 1000;
    mask_book_note_until(b, 1000);
    mask_book_expire(b, 1000);
    assert_false(mask_book_any_said(b));
    assert_null(original(b, 0));
    mask_book_free(b);
}

static void test_mask__nomem(void **state)
{
    (void)state;
    for (uint64_t n = 1; n < 60; n++) {
        struct mask_book *b = NULL;
        struct buf out = BUF_INIT(1 << 10);

        mem_fail_at(n, 1);
        if (mask_book_new(&b, digest, NULL, NULL) == E_OK) {
            number(b, "email", "a@x");
            number(b, "phone", "1");
            reveal_text(b, "desk", MASK_JSON, false, SLICE_LIT("[EMAIL_1] [PHONE_1]"), &out);
            mask_book_drop(b);
        }
        mem_fail_at(0, 0);
        buf_release(&out);
        mask_book_free(b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mask__numbers_count_per_kind_and_stay),
        cmocka_unit_test(test_mask__what_is_dropped_may_be_given_again),
        cmocka_unit_test(test_mask__a_full_book_gives_no_number),
        cmocka_unit_test(test_mask__originals_are_forgotten_unless_kept),
        cmocka_unit_test(test_mask__shape),
        cmocka_unit_test(test_mask__reveal_cut_anywhere),
        cmocka_unit_test(test_mask__reveal_only_what_is_kept),
        cmocka_unit_test(test_mask__an_original_is_of_the_bot_that_was_told),
        cmocka_unit_test(test_mask__what_ends_leaves_nothing_behind),
        cmocka_unit_test(test_mask__nomem),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
