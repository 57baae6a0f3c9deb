// SPDX-License-Identifier: MIT
// Redaction of text that has nothing personal in it: what is refused whole, what streams mend, and
// that cuts change nothing. With rules and without.
#include "redact/redact.h"

#include "base/mem.h"
#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define FFFD "\xEF\xBF\xBD"

struct sample {
    struct slice in;
    const char *out;
};
static const struct sample samples[] = {
    {SLICE_LIT("plain"), "plain"},
    {SLICE_LIT("a\xC3\xA9z \xE2\x82\xAC \xF0\x9F\x8E\x89!"),
     "a\xC3\xA9z \xE2\x82\xAC \xF0\x9F\x8E\x89!"},
    {SLICE_LIT("nul\0nul\0"), "nul" FFFD "nul" FFFD},
    {SLICE_LIT("\x80"), FFFD},
    {SLICE_LIT("a\xC3"), "a" FFFD},
    {SLICE_LIT("a\xC3\x28"), "a" FFFD "("},
    {SLICE_LIT("\xE2\x82"), FFFD},
    {SLICE_LIT("\xE2\x82\x41\xE2\x41"), FFFD "A" FFFD "A"},
    {SLICE_LIT("\xF0\x9F\x8E\xF0\x9F\x8E\x89"), FFFD "\xF0\x9F\x8E\x89"},
    {SLICE_LIT("\xC0\xAF\xE0\x80\xAF"), FFFD FFFD FFFD FFFD FFFD},
    {SLICE_LIT("\xED\xA0\x80"), FFFD FFFD FFFD},
    {SLICE_LIT("\xF4\x90\x80\x80\xF5\xFE\xFF"), FFFD FFFD FFFD FFFD FFFD FFFD FFFD},
    {SLICE_LIT("\xC3\xC3\xC3\xA9\xE2\x82\xC3\xA9\xF1\x80\x80\xE1\x80\xC2"),
     FFFD FFFD "\xC3\xA9" FFFD "\xC3\xA9" FFFD FFFD FFFD},
};
enum { SAMPLES = sizeof(samples) / sizeof(samples[0]) };

static void digest(void *user, struct slice kind, struct slice value, char out[MASK_DIGEST_BYTES])
{
    (void)user, (void)kind, (void)value;
    fail_msg("nothing here is personal");
    out[0] = '\0';
}

static struct redact_how made(void)
{
    struct redact_how how = {0};
    struct redactor *r;

    assert_int_equal(redactor_new(&r, NULL, NULL), E_OK);
    assert_int_equal(mask_book_new(&how.book, digest, NULL, NULL), E_OK);
    how.redactor = r;
    return how;
}

static void drop(struct redact_how *how, struct redactor *r)
{
    redactor_free(r);
    mask_book_free(how->book);
}

static void assert_text(const struct safe_buf *b, const char *expected)
{
    assert_true(slice_is(safe_slice(safe_buf_text(b)), expected));
}

static void test_redact__passes_valid_text_on(void **state)
{
    struct redact_how how = made(), *r = &how;
    struct redactor *own = (struct redactor *)(uintptr_t)how.redactor;
    struct safe_buf out;

    (void)state;
    safe_buf_init(&out, 64);
    assert_int_equal(redact_text(r, SLICE_LIT("a\xC3\xA9"), &out, NULL), E_OK);
    assert_int_equal(redact_text(r, SLICE_NONE, &out, NULL), E_OK);
    assert_int_equal(redact_text(r, SLICE_LIT("\n\t\x01"), &out, NULL), E_OK);
    assert_text(&out, "a\xC3\xA9\n\t\x01");
    safe_buf_release(&out);
    drop(&how, own);
}

static void test_redact__refuses_other_text_and_says_where(void **state)
{
    struct redact_how how = made(), *r = &how;
    struct redactor *own = (struct redactor *)(uintptr_t)how.redactor;
    struct err err = ERR_INIT;
    struct safe_buf out;

    (void)state;
    safe_buf_init(&out, 4);
    assert_int_equal(redact_text(r, SLICE_LIT("abc\xFF"), &out, &err), E_USAGE);
    assert_non_null(strstr(err.message, "byte 3"));
    assert_int_equal(redact_text(r, SLICE_LIT("ab\0\xFF"), &out, &err), E_USAGE);
    assert_non_null(strstr(err.message, "NUL at byte 2"));
    assert_int_equal(redact_text(r, SLICE_LIT("\xED\xA0\x80"), &out, &err), E_USAGE);
    assert_text(&out, "");
    assert_int_equal(redact_text(r, SLICE_LIT("12345"), &out, &err), E_REFUSED);
    safe_buf_clear(&out);
    mem_fail_at(1, 1);
    int rc = redact_text(r, SLICE_LIT("1234"), &out, &err);
    struct redactor *none;
    int rc_new = redactor_new(&none, NULL, &err);
    struct mask_book *no_book;
    int rc_book = mask_book_new(&no_book, digest, NULL, &err);
    mem_fail_at(0, 0);
    assert_int_equal(rc, E_NOMEM);
    assert_int_equal(rc_new, E_NOMEM);
    assert_int_equal(rc_book, E_NOMEM);
    safe_buf_release(&out);
    drop(&how, own);
}

// Feeds text in pieces that end at the cuts, and compares.
static void check_cut(const struct redact_how *r, const struct sample *s, size_t first,
                      size_t second)
{
    struct redact_stream stream;
    struct safe_buf out;

    safe_buf_init(&out, 256);
    redact_stream_init(&stream, r);
    redact_stream_feed(&stream, slice_of(s->in.ptr, first), &out);
    redact_stream_feed(&stream, slice_of(s->in.ptr + first, second - first), &out);
    assert_true(utf8_valid(safe_slice(safe_buf_text(&out))));
    redact_stream_feed(&stream, slice_of(s->in.ptr + second, s->in.len - second), &out);
    redact_stream_end(&stream, &out);
    assert_text(&out, s->out);
    // And is as new.
    redact_stream_end(&stream, &out);
    redact_stream_feed(&stream, SLICE_LIT("."), &out);
    redact_stream_end(&stream, &out);
    assert_int_equal(safe_buf_text(&out).len, strlen(s->out) + 1);
    redact_stream_release(&stream);
    safe_buf_release(&out);
}

static void test_redact__cuts_change_nothing(void **state)
{
    struct redact_how how = made(), off = {0}, *r = &how;
    struct redactor *own = (struct redactor *)(uintptr_t)how.redactor;

    (void)state;
    for (unsigned i = 0; i < SAMPLES; i++) {
        for (size_t first = 0; first <= samples[i].in.len; first++) {
            for (size_t second = first; second <= samples[i].in.len; second++) {
                check_cut(r, &samples[i], first, second);
                check_cut(&off, &samples[i], first, second);
            }
        }
    }
    drop(&how, own);
}

static void test_redact__byte_by_byte(void **state)
{
    struct redact_how how = made(), *r = &how;
    struct redactor *own = (struct redactor *)(uintptr_t)how.redactor;

    (void)state;
    for (unsigned i = 0; i < SAMPLES; i++) {
        struct redact_stream stream;
        struct safe_buf out;

        safe_buf_init(&out, 256);
        redact_stream_init(&stream, r);
        for (size_t at = 0; at < samples[i].in.len; at++) {
            redact_stream_feed(&stream, slice_of(samples[i].in.ptr + at, 1), &out);
            redact_stream_feed(&stream, SLICE_NONE, &out);
        }
        redact_stream_end(&stream, &out);
        assert_text(&out, samples[i].out);
        redact_stream_release(&stream);
        safe_buf_release(&out);
    }
    drop(&how, own);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_redact__passes_valid_text_on),
        cmocka_unit_test(test_redact__refuses_other_text_and_says_where),
        cmocka_unit_test(test_redact__cuts_change_nothing),
        cmocka_unit_test(test_redact__byte_by_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
