// SPDX-License-Identifier: MIT
// Folding, and the classes of bytes: the table against utf8proc, the way back, equal bits on all
// levels of the processor.
#include "redact/classify.h"
#include "redact/fold.h"
#include "redact/keccak.h"
#include "redact/scan.h"
#include "redact/view.h"
#include "support/redact_gen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_fold__the_table_is_what_characters_fold_to(void **state)
{
    char out[FOLD_CHAR_BYTES];
    unsigned changed = 0;

    (void)state;
    for (int cp = 0; cp <= 0x10FFFF; cp++) {
        bool surrogate = cp >= 0xD800 && cp <= 0xDFFF;
        bool changes = !surrogate && fold_char(out, cp) >= 0;
        changed += changes;
        if (!surrogate && changes != fold_changes(cp))
            fail_msg("U+%04X", (unsigned)cp);
    }
    assert_true(changed > 3000);
}

static void test_fold__known_characters(void **state)
{
    static const struct {
        const char *from, *to;
    } list[] = {
        {"plain", "plain"}, {"caf\xC3\xA9 \xE2\x80\x99", "caf\xC3\xA9 \xE2\x80\x99"},
        {"\xEF\xBC\x91\xEF\xBC\x92\xEF\xBC\xA0", "12@"},              // full width
        {"\xF0\x9D\x9F\x8E\xF0\x9D\x9F\x99\xF0\x9D\x90\x80", "01A"},  // mathematical
        {"\xD9\xA0\xD9\xA9\xDB\xB3\xE0\xA5\xA7", "0931"},             // Arabic, Persian, Devanagari
        {"1\xC2\xAD" "2\xE2\x80\x8B" "3", "123"},                     // soft hyphen, zero width
        {"1\xEF\xB8\x8F\xE2\x83\xA3", "1"},                           // a keycap
        {"a\xC2\xA0" "b\xE2\x80\xAF" "c", "a b c"},                   // blanks
        {"1\xE2\x80\x91" "2\xE2\x80\x93" "3\xE2\x88\x92", "1-2-3-"},  // dashes
        {"\xEF\xAC\x81\xE2\x85\xA7\xE2\x84\xAA", "fiVIIIK"},
        {"\xE2\x80\xA6", "..."}, {"\xC2\xB4", "\xC2\xB4"},
        {"\xC2\xAD\xC2", "\xC2"}, {"\xF0\x9D\x9F", "\xF0\x9D\x9F"},   // cut off: as it came
    };

    (void)state;
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        struct folded f;
        assert_int_equal(fold_text(&f, slice_str(list[i].from), false, NULL), E_OK);
        if (!slice_is(f.text, list[i].to))
            fail_msg("'%s': '%.*s'", list[i].from, SLICE_FMT(f.text));
        fold_release(&f);
    }
}

static void test_fold__leads_back(void **state)
{
    static const char text[] = "a\xC2\xAD" "b\xE2\x80\xA6" "c\xEF\xBC\x91\xC2\xAD";
    struct folded f;

    (void)state;
    assert_int_equal(fold_text(&f, slice_str(text), false, NULL), E_OK);
    assert_true(slice_is(f.text, "ab...c1"));
    static const size_t origin[] = {0, 3, 4, 4, 4, 7, 8}, end[] = {1, 4, 7, 7, 7, 8, 11};
    for (size_t i = 0; i < 7; i++) {
        assert_int_equal(fold_origin(&f, i), origin[i]);
        assert_int_equal(fold_origin_end(&f, i + 1), end[i]);
        assert_int_equal(fold_is_start(&f, i), i != 3 && i != 4);
        assert_int_equal(fold_find(&f, origin[i]), i == 3 || i == 4 ? 2 : i);
    }
    fold_release(&f);
}

static void test_fold__a_value_is_one_however_it_is_written(void **state)
{
    static const struct {
        unsigned kind;
        const char *match, *value;
    } list[] = {
        {REDACT_CARD, "4012-8888 \xEF\xBC\x91", "401288881"},
        {REDACT_EMAIL, "Ann@Example.ORG", "ann@example.org"},
        {REDACT_IBAN, "DE89 3704", "de893704"},
        {REDACT_SECRET, "aB-c", "aB-c"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        struct buf out = BUF_INIT(100);
        redact_value(list[i].kind, slice_str(list[i].match), &out);
        assert_true(slice_is(buf_slice(&out), list[i].value));
        buf_release(&out);
    }
}

static void test_classify__has_the_same_bits_on_all_levels(void **state)
{
    static char text[256 * BLOCK_BYTES];
    static struct block plain[256], fast[256];
    uint64_t seed = 1;

    (void)state;
    for (size_t i = 0; i < sizeof(text); i++)  // each byte at each place, then any
        text[i] = i < 128 * BLOCK_BYTES ? (char)(i + i / BLOCK_BYTES) : (char)gen_next(&seed, 256);
    classify(CLASSIFY_PORTABLE, text, 256, plain);
    for (int level = CLASSIFY_PORTABLE; level <= (int)classify_best(); level++) {
        memset(fast, 0xFF, sizeof(fast));
        classify((enum classify_level)level, text, 256, fast);
        assert_memory_equal(plain, fast, sizeof(plain));
    }
    print_message("# summary: classes of bytes: level %d of %d and those below it\n",
                  (int)classify_best(), CLASSIFY_AVX512);
}

static void test_keccak__as_published(void **state)
{
    static const uint8_t empty[KECCAK256_BYTES] = {  // Ethereum yellow paper, KEC(())
        0xC5, 0xD2, 0x46, 0x01, 0x86, 0xF7, 0x23, 0x3C, 0x92, 0x7E, 0x7D, 0xB2, 0xDC, 0xC7, 0x03,
        0xC0, 0xE5, 0x00, 0xB6, 0x53, 0xCA, 0x82, 0x27, 0x3B, 0x7B, 0xFA, 0xD8, 0x04, 0x5D, 0x85,
        0xA4, 0x70,
    };
    uint8_t out[KECCAK256_BYTES];

    (void)state;
    keccak256("", 0, out);
    assert_memory_equal(out, empty, sizeof(out));
}

static void test_bytes__are_what_they_are_called(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        bool base58 = is_alnum(c) && c != '0' && c != 'I' && c != 'O' && c != 'l';
        unsigned is = (is_digit(c) ? IS_DIGIT : 0U) | (is_letter(c) ? IS_LETTER : 0U) |
                      (hex_value(c) >= 0 ? IS_HEX : 0U) | (base58 ? IS_BASE58 : 0U) |
                      (c == '-' ? IS_DASH : 0U) | (c == '_' ? IS_UNDERSCORE : 0U) |
                      (is_letter_lead(c) ? IS_LEAD : 0U) |
                      (c >= 0x80 && c <= 0xBF ? IS_TRAIL : 0U);
        assert_int_equal(byte_classes[c], is);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fold__the_table_is_what_characters_fold_to),
        cmocka_unit_test(test_fold__known_characters),
        cmocka_unit_test(test_fold__leads_back),
        cmocka_unit_test(test_fold__a_value_is_one_however_it_is_written),
        cmocka_unit_test(test_classify__has_the_same_bits_on_all_levels),
        cmocka_unit_test(test_keccak__as_published),
        cmocka_unit_test(test_bytes__are_what_they_are_called),
    };

    return cmocka_run_group_tests_name("redact_fold", tests, NULL, NULL);
}
