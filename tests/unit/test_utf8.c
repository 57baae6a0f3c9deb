// SPDX-License-Identifier: MIT
// UTF-8: every code point, every pair and triple of bytes, cuts, widths, and others' cases.
#include "base/json.h"
#include "base/utf8.h"
#include "support/json_check.h"
#include "support/shared.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_utf8__every_code_point(void **state)
{
    (void)state;
    for (uint32_t cp = 0; cp <= 0x10FFFF; cp++) {
        char bytes[4];
        size_t at = 0;
        if (cp == 0xD800)
            cp = 0xE000;
        size_t len = utf8_put(bytes, cp);
        assert_true(len == (cp < 0x80 ? 1u : cp < 0x800 ? 2u : cp < 0x10000 ? 3u : 4u));
        assert_true(utf8_valid(slice_of(bytes, len)));
        assert_true(utf8_next(slice_of(bytes, len), &at) == (int32_t)cp);
        assert_true(at == len);
        for (size_t cut = 1; cut < len; cut++) {
            at = 0;
            assert_true(utf8_valid_prefix(slice_of(bytes, cut)) == 0);
            assert_true(utf8_next(slice_of(bytes, cut), &at) == -1);
            assert_true(at == cut);
        }
    }
}

// Whether table 3-7 of the Unicode standard allows these three bytes as one character.
static bool three_allowed(unsigned a, unsigned b, unsigned c)
{
    unsigned low = a == 0xE0 ? 0xA0 : 0x80, high = a == 0xED ? 0x9F : 0xBF;

    return a >= 0xE0 && a <= 0xEF && b >= low && b <= high && c >= 0x80 && c <= 0xBF;
}

static void test_utf8__every_two_and_three_bytes(void **state)
{
    (void)state;
    for (unsigned a = 0x80; a < 0x100; a++) {
        for (unsigned b = 0; b < 0x100; b++) {
            char bytes[3] = {(char)a, (char)b};
            bool two = a >= 0xC2 && a <= 0xDF && b >= 0x80 && b <= 0xBF;
            assert_true(utf8_valid(slice_of(bytes, 2)) == two);
            for (unsigned c = 0x80; c < 0x100 && b >= 0x80; c++) {
                bytes[2] = (char)c;
                assert_true(utf8_valid(slice_of(bytes, 3)) == three_allowed(a, b, c));
            }
        }
    }
}

// A bad byte is found at its place, at every alignment to the words that are read at once.
static void test_utf8__finds_the_place(void **state)
{
    (void)state;
    for (size_t pad = 0; pad < 40; pad++) {
        char text[64];
        memset(text, 'x', sizeof(text));
        assert_int_equal(utf8_valid_prefix(slice_of(text, pad)), pad);
        memcpy(text + pad, "\xF0\x9F\x98\x80", 4);
        assert_true(utf8_valid(slice_of(text, sizeof(text))));
        assert_int_equal(utf8_valid_prefix(slice_of(text, pad + 3)), pad);
        text[pad + 4] = '\x80';
        assert_int_equal(utf8_valid_prefix(slice_of(text, sizeof(text))), pad + 4);
    }
    assert_true(utf8_valid(SLICE_NONE));
}

// What is told eight bytes at a time is what is told character by character: texts of characters of
// all lengths, some cut short, among bytes at the edges of what is allowed.
static void test_utf8__eight_bytes_as_one_by_one(void **state)
{
    static const char *const parts[] = {
        "a", "xyz", "\xC2\x80", "\xD0\x96", "\xE4\xB8\xAD", "\xE4\xB8\xAD", "\xE3\x81\x82",
        "\xED\x95\x9C", "\xE0\xA4\x85", "\xF0\x9F\x98\x80", "\x80", "\xBF", "\xC0", "\xC1", "\xDF",
        "\xE0", "\xEC", "\xED", "\xEE", "\xF0", "\xF4", "\xF5", "\xFF", "\x9F", "\xA0"};
    enum { PLAIN = 10, PARTS = sizeof(parts) / sizeof(parts[0]), TEXTS = 300000, TEXT_MAX = 40 };
    uint64_t chance = 1;

    (void)state;
    for (int i = 0; i < TEXTS; i++) {
        char text[TEXT_MAX + 4];
        size_t len = 0, one_by_one = 0, next = 0;

        while (len < TEXT_MAX) {
            chance = chance * 6364136223846793005u + 1442695040888963407u;  // Knuth, MMIX
            bool odd = (chance >> 33) % 24 == 0;
            const char *part = parts[(chance >> 40) % (odd ? PARTS : PLAIN)];
            memcpy(text + len, part, strlen(part));
            len += strlen(part);
        }
        len -= (chance >> 20) % 8;
        while (next < len && utf8_next(slice_of(text, len), &next) >= 0)
            one_by_one = next;
        assert_int_equal(utf8_valid_prefix(slice_of(text, len)), one_by_one);
    }
}

static void test_utf8__cuts_between_characters(void **state)
{
    struct slice s = SLICE_LIT("a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80");
    static const size_t want[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 10};

    (void)state;
    for (size_t max = 0; max < sizeof(want) / sizeof(want[0]); max++)
        assert_int_equal(utf8_cut(s, max), want[max]);
    assert_int_equal(utf8_cut(s, SIZE_MAX), s.len);
    assert_int_equal(utf8_cut(SLICE_NONE, 3), 0);
    // Bytes that are no text are cut somewhere near.
    assert_int_equal(utf8_cut(SLICE_LIT("\x80\x80\x80\x80\x80\x80"), 5), 2);
}

static void test_utf8__columns(void **state)
{
    (void)state;
    assert_int_equal(utf8_columns(SLICE_NONE), 0);
    assert_int_equal(utf8_columns(SLICE_LIT("abc\n\x1b\x7f ")), 4);
    assert_int_equal(utf8_columns(SLICE_LIT("\xC3\xA9")), 1);
    assert_int_equal(utf8_columns(SLICE_LIT("e\xCC\x81")), 1);              // a combining accent
    assert_int_equal(utf8_columns(SLICE_LIT("\xE6\xBC\xA2\xE5\xAD\x97")), 4);  // wide
    assert_int_equal(utf8_columns(SLICE_LIT("\xF0\x9F\x98\x80")), 2);
    assert_int_equal(utf8_columns(SLICE_LIT("\xC2\x85")), 0);               // a control character
    assert_int_equal(utf8_columns(SLICE_LIT("a\xFF\xE2\x82")), 3);
}

static size_t unhex(struct slice hex, char *out, size_t bytes)
{
    size_t n = 0;

    for (size_t i = 0; i + 1 < hex.len; i += 2) {
        const char digits[3] = {hex.ptr[i], hex.ptr[i + 1], 0};
        assert_true(n < bytes);
        out[n++] = (char)strtoul(digits, NULL, 16);
    }
    return n;
}

// What utf8_next makes of text, with U+FFFD for each ill-formed part.
static void repair(struct slice text, struct buf *out)
{
    for (size_t at = 0; at < text.len;) {
        char bytes[4];
        int32_t cp = utf8_next(text, &at);
        buf_add(out, bytes, utf8_put(bytes, cp < 0 ? 0xFFFD : (uint32_t)cp));
    }
}

static void test_utf8__shared_cases(void **state)
{
    size_t len;
    char *text = shared_read("text/utf8_cases.json", &len);
    struct json_doc doc = JSON_DOC_INIT;
    struct json_iter it = {0};
    struct json item;
    struct buf scratch = BUF_INIT(10000), out = BUF_INIT(10000);
    unsigned checked = 0;

    (void)state;
    if (!text)
        skip();
    assert_int_equal(json_parse(&doc, slice_of(text, len), 0, NULL), E_OK);
    while (json_next(json_get(json_root(&doc), "cases"), &it, NULL, &item)) {
        char bytes[1000], want[1000];
        struct slice s = {bytes, unhex(json_text(json_get(item, "hex"), &scratch), bytes,
                                       sizeof(bytes))};
        bool valid = json_bool(json_get(item, "valid"), false);
        struct json replace = json_get(item, "replace");
        if (utf8_valid(s) != valid)
            fail_msg("case %.*s", SLICE_FMT(json_raw(json_get(item, "id"))));
        buf_clear(&out);
        repair(s, &out);
        struct slice repaired = s;
        if (!valid) {
            repaired.ptr = want;
            repaired.len = unhex(json_text(replace, &scratch), want, sizeof(want));
        }
        if (!slice_eq(buf_slice(&out), repaired))
            fail_msg("replacement of case %.*s", SLICE_FMT(json_raw(json_get(item, "id"))));
        checked++;
    }
    print_message("# %u cases\n", checked);
    assert_true(checked > 0);
    buf_release(&out);
    buf_release(&scratch);
    json_doc_release(&doc);
    free(text);
}

static void test_utf8__naughty_strings_survive_json(void **state)
{
    size_t len;
    char *text = shared_read("text/blns.json", &len);
    struct json_doc doc = JSON_DOC_INIT, again = JSON_DOC_INIT;
    struct json_iter it = {0};
    struct json item;
    struct buf first = BUF_INIT(10000), second = BUF_INIT(10000), out = BUF_INIT(10000);

    (void)state;
    if (!text)
        skip();
    assert_int_equal(json_parse(&doc, slice_of(text, len), 0, NULL), E_OK);
    assert_true(json_count(json_root(&doc)) > 0);
    while (json_next(json_root(&doc), &it, NULL, &item)) {
        struct slice s = json_text(item, &first);
        assert_true(utf8_valid(s));
        buf_clear(&out);
        json_quote(&out, s);
        assert_int_equal(json_parse(&again, buf_slice(&out), 0, NULL), E_OK);
        assert_true(slice_eq(json_text(json_root(&again), &second), s));
    }
    assert_true(json_check_survives(&doc));
    buf_release(&first);
    buf_release(&second);
    buf_release(&out);
    json_doc_release(&again);
    json_doc_release(&doc);
    free(text);
}

static void test_utf8__blank(void **state)
{
    static const char *const blank[] = {"", " \t\r\n\v\f", "\x1c\x1f", "\xc2\xa0\xc2\x85",
                                        "\xe2\x80\x83\xe3\x80\x80\xe1\x9a\x80"};
    static const char *const says[] = {"x", "  . ", "\xe2\x80\x8b", "\xff", "\xc2", "\x1b", "\x7f"};
    (void)state;
    for (size_t i = 0; i < sizeof(blank) / sizeof(blank[0]); i++)
        assert_true(utf8_blank(slice_str(blank[i])));
    for (size_t i = 0; i < sizeof(says) / sizeof(says[0]); i++)
        assert_false(utf8_blank(slice_str(says[i])));
    assert_false(utf8_blank(slice_of(" \0", 2)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_utf8__blank),
        cmocka_unit_test(test_utf8__every_code_point),
        cmocka_unit_test(test_utf8__every_two_and_three_bytes),
        cmocka_unit_test(test_utf8__finds_the_place),
        cmocka_unit_test(test_utf8__eight_bytes_as_one_by_one),
        cmocka_unit_test(test_utf8__cuts_between_characters),
        cmocka_unit_test(test_utf8__columns),
        cmocka_unit_test(test_utf8__shared_cases),
        cmocka_unit_test(test_utf8__naughty_strings_survive_json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
