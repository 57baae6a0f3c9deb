// SPDX-License-Identifier: MIT
// test_house.c: a learned calibration as a record: it comes back as it was, and no byte of it, nor
// its place, can be changed without that being told.
#include "ledger/house.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
// after the headers that it needs
#include <cmocka.h>

static const struct slice key = SLICE_LIT("tokens/anthropic/claude-sonnet-4-5");
static const struct slice house = SLICE_LIT(HOUSE_PARTITION);

static struct vault *open_vault(struct rand_sim *sim, uint64_t seed)
{
    struct vault *v;

    rand_sim_init(sim, seed);
    struct vault_options options = {.rand = &sim->rand, .no_thread = true};
    assert_int_equal(vault_open(&v, &options, NULL), E_OK);
    return v;
}

static void learned(struct calibration *c)
{
    calibration_init(c);
    for (unsigned i = 0; i < 50; i++)
        calibration_observe(c, 1000, 900 + 8 * i, CALIBRATION_WEIGHT);
    c->took_tokens = 4096;
    c->took_at_ms = 1767261600000;
}

static void test_house__comes_back(void **state)
{
    struct rand_sim sim;
    struct vault *v = open_vault(&sim, 1);
    struct calibration c, back;
    struct buf meta = BUF_INIT(RECORD_META_BYTES_MAX);

    (void)state;
    learned(&c);
    house_write_calibration(v, key, &c, &meta);
    struct record r = {.partition = house, .key = key, .meta = buf_slice(&meta)};
    assert_int_equal(house_read_calibration(v, &r, &back, NULL), E_OK);
    assert_memory_equal(&back, &c, sizeof(c));
    buf_release(&meta);
    vault_free(v);
}

static void refused(const struct vault *v, const struct record *r)
{
    struct calibration c, prior;
    struct err err = ERR_INIT;

    calibration_init(&prior);
    if (house_read_calibration(v, r, &c, &err) != E_CORRUPT)
        fail_msg("believed: %.*s", SLICE_FMT(r->meta));
    assert_memory_equal(&c, &prior, sizeof(c));
}

static void test_house__nothing_changed_is_believed(void **state)
{
    struct rand_sim sim, other_sim;
    struct vault *v = open_vault(&sim, 1), *other = open_vault(&other_sim, 2);
    struct calibration c;
    struct buf meta = BUF_INIT(RECORD_META_BYTES_MAX);

    (void)state;
    learned(&c);
    house_write_calibration(v, key, &c, &meta);
    struct record r = {.partition = house, .key = key, .meta = buf_slice(&meta)};
    for (size_t i = 0; i < meta.len; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            meta.ptr[i] ^= (char)(1 << bit);
            refused(v, &r);
            meta.ptr[i] ^= (char)(1 << bit);
        }
        r.meta = slice_of(meta.ptr, i);
        refused(v, &r);
        r.meta = buf_slice(&meta);
    }
    refused(other, &r);
    r.key = SLICE_LIT("tokens/anthropic/claude-opus-4-5");
    refused(v, &r);
    r.key = key;
    r.partition = SLICE_LIT("00112233445566778899aabbccddeeff");
    refused(v, &r);
    buf_release(&meta);
    vault_free(v);
    vault_free(other);
}

// What there was no memory to read is not called damage: it would be learned anew, for nothing.
static void test_house__no_memory_is_no_damage(void **state)
{
    struct rand_sim sim;
    struct vault *v = open_vault(&sim, 1);
    struct calibration c, prior, back;
    struct buf meta = BUF_INIT(RECORD_META_BYTES_MAX);
    int code = E_NOMEM;

    (void)state;
    learned(&c);
    calibration_init(&prior);
    house_write_calibration(v, key, &c, &meta);
    struct record r = {.partition = house, .key = key, .meta = buf_slice(&meta)};
    for (uint64_t n = 1; code && n < 100; n++) {
        struct err err = ERR_INIT;

        mem_fail_at(n, 0);
        code = house_read_calibration(v, &r, &back, &err);
        mem_fail_at(0, 0);
        assert_true(code == E_OK || (code == E_NOMEM && n < 99));
        assert_memory_equal(&back, code ? &prior : &c, sizeof(c));
        assert_int_equal(code != E_OK, err.message[0] != '\0');
    }
    assert_int_equal(code, E_OK);
    buf_release(&meta);
    vault_free(v);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_house__comes_back),
        cmocka_unit_test(test_house__nothing_changed_is_believed),
        cmocka_unit_test(test_house__no_memory_is_no_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
