// SPDX-License-Identifier: MIT
// test_receipt.c: what is noted of an erasure, and its receipt: who holds the receipt can check it
// with the key that is in it; and where memory is lacking that is what is said, and nothing else.
#include "unit/ledger_kit.h"

#include "ledger/house.h"
#include "ledger/receipt.h"

static const struct erasure_record erased = {.partition = "0123456789abcdef0123456789abcdef",
                                             .erased_at_ms = 1767261600123,
                                             .completed_at_ms = 1767261601000,
                                             .deleted = {3, 0, 7}};

static void make(struct kit *k, struct buf *out)
{
    kit_open(k, "memory:");
    buf_init(out, 1 << 16);
    receipt_write(k->vault, &erased, out);
    assert_true(buf_ok(out));
}

static void test_receipt__anybody_can_check_it(void **state)
{
    unsigned char key[VAULT_PUBLIC_KEY_BYTES], house[VAULT_PUBLIC_KEY_BYTES];
    struct buf text, spaced = BUF_INIT(1 << 16);
    struct err err = ERR_INIT;
    struct kit k;

    (void)state;
    make(&k, &text);
    vault_public_key(k.vault, house);
    assert_int_equal(receipt_check(buf_slice(&text), key, &err), E_OK);
    assert_memory_equal(key, house, sizeof(key));
    // Laid out anew it says the same.
    for (size_t i = 0; i < text.len; i++) {
        buf_add_char(&spaced, text.ptr[i]);
        if (text.ptr[i] == ',' || text.ptr[i] == '{')
            buf_add_str(&spaced, "\n  ");
    }
    assert_int_equal(receipt_check(buf_slice(&spaced), key, &err), E_OK);
    buf_release(&spaced);
    buf_release(&text);
    kit_close(&k);
}

static void test_receipt__what_was_changed_is_told(void **state)
{
    unsigned char key[VAULT_PUBLIC_KEY_BYTES];
    struct err err = ERR_INIT;
    struct buf text;
    struct kit k;

    (void)state;
    make(&k, &text);
    for (size_t i = 0; i < text.len; i++) {
        char was = text.ptr[i];

        text.ptr[i] = was == '1' ? '2' : '1';
        if (receipt_check(buf_slice(&text), key, &err) == E_OK)
            fail_msg("believed: %s", text.ptr);
        text.ptr[i] = was;
    }
    buf_release(&text);
    kit_close(&k);
}

static void test_receipt__what_is_none(void **state)
{
    static const char *const others[] = {"", "{", "{}", "[]", "{\"public_key\":7}",
                                         "{\"public_key\":\"00\",\"signature\":\"00\"}"};
    unsigned char key[VAULT_PUBLIC_KEY_BYTES];
    struct err err = ERR_INIT;
    struct buf text;
    struct kit k;

    (void)state;
    make(&k, &text);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        assert_int_not_equal(receipt_check(slice_str(others[i]), key, &err), E_OK);
    // With a key, but without a signature.
    char *at = strstr(text.ptr, "\"signature\"");
    assert_non_null(at);
    at[1] = 'S';
    assert_int_equal(receipt_check(buf_slice(&text), key, &err), E_USAGE);
    buf_release(&text);
    kit_close(&k);
}

static void test_receipt__nomem(void **state)
{
    unsigned char key[VAULT_PUBLIC_KEY_BYTES];
    struct buf text, other = BUF_INIT(1 << 16);
    struct err err = ERR_INIT;
    unsigned failures = 0;
    int code = E_NOMEM;
    struct kit k;

    (void)state;
    make(&k, &text);
    for (uint64_t n = 1; code && n < 100; n++) {
        mem_fail_at(n, 0);
        code = receipt_check(buf_slice(&text), key, &err);
        mem_fail_at(0, 0);
        failures += code == E_NOMEM;
        if (code && code != E_NOMEM)
            fail_msg("allocation %u: %s", (unsigned)n, err.message);
    }
    assert_true(code == E_OK && failures > 5);
    mem_fail_at(1, 0);
    receipt_write(k.vault, &erased, &other);
    mem_fail_at(0, 0);
    assert_int_equal(buf_check(&other, "a receipt", &err), E_NOMEM);
    buf_release(&other);
    buf_release(&text);
    kit_close(&k);
}

// ---- what the house notes

static void test_receipt__notes_of_the_house(void **state)
{
    struct buf erasure = BUF_INIT(RECORD_META_BYTES_MAX), mark = BUF_INIT(RECORD_META_BYTES_MAX);
    char key[80];
    struct err err = ERR_INIT;
    struct erasure_record back;
    uint32_t replayed = 0;
    struct kit k;

    (void)state;
    kit_open(&k, "memory:");
    erasure_write_meta(k.vault, &erased, &erasure);
    erasures_write_meta(k.vault, 7, &mark);
    snprintf(key, sizeof(key), "erased/%s", erased.partition);
    struct record one = {.partition = SLICE_LIT(HOUSE_PARTITION), .key = slice_str(key),
                         .meta = buf_slice(&erasure)};
    struct record all = {.partition = SLICE_LIT(HOUSE_PARTITION), .key = SLICE_LIT("erasures"),
                         .meta = buf_slice(&mark)};
    int code = E_NOMEM;
    for (uint64_t n = 1; code && n < 100; n++) {
        mem_fail_at(n, 0);
        code = erasure_read_meta(k.vault, &one, &back, &err);
        mem_fail_at(0, 0);
        assert_true(code == E_OK || code == E_NOMEM);
    }
    assert_int_equal(code, E_OK);
    assert_memory_equal(&back, &erased, sizeof(back));
    code = E_NOMEM;
    for (uint64_t n = 1; code && n < 100; n++) {
        mem_fail_at(n, 0);
        code = erasures_read_meta(k.vault, &all, &replayed, &err);
        mem_fail_at(0, 0);
        assert_true(code == E_OK || code == E_NOMEM);
    }
    assert_true(code == E_OK && replayed == 7);
    // In another partition, or as another text, they are none of ours.
    one.partition = all.partition = SLICE_LIT("~audit");
    assert_int_equal(erasure_read_meta(k.vault, &one, &back, &err), E_CORRUPT);
    assert_int_equal(erasures_read_meta(k.vault, &all, &replayed, &err), E_CORRUPT);
    one.partition = all.partition = SLICE_LIT(HOUSE_PARTITION);
    one.meta = all.meta = SLICE_LIT("{");
    assert_int_equal(erasure_read_meta(k.vault, &one, &back, &err), E_CORRUPT);
    assert_int_equal(erasures_read_meta(k.vault, &all, &replayed, &err), E_CORRUPT);
    buf_release(&erasure);
    buf_release(&mark);
    kit_close(&k);
}

int main(void)
{
#define TEST(name) cmocka_unit_test(test_receipt__##name)
    static const struct CMUnitTest tests[] = {TEST(anybody_can_check_it),
                                              TEST(what_was_changed_is_told), TEST(what_is_none),
                                              TEST(nomem), TEST(notes_of_the_house)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
