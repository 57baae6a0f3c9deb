// SPDX-License-Identifier: MIT
// test_ledger_export.c: an export has all members of all records, or it says that it failed: where
// memory runs out, at whichever allocation, nothing is left out in silence.
#include "ledger/export.h"
#include "unit/ledger_kit.h"

// All pages one after the other.
static int export_all(struct kit *k, struct buf *out)
{
    struct buf items = BUF_INIT(8 << 20), damaged = BUF_INIT(1 << 20);
    struct ledger_export e = {.partition = k->partition, .key = k->key, .items = &items,
                              .damaged = &damaged};
    int code = E_OK;

    do {
        struct ledger_op op;

        buf_clear(&items);
        buf_clear(&damaged);
        kit_ready(k, &op);
        ledger_export(k->ledger, &e, &op);
        code = kit_wait(k, &op);
        if (!code) {
            buf_add_slice(out, buf_slice(&items));
            buf_add_slice(out, buf_slice(&damaged));
        }
    } while (!code && e.cursor[0]);
    buf_release(&items);
    buf_release(&damaged);
    return code;
}

static void test_export__nothing_is_left_out(void **state)
{
    struct buf whole = BUF_INIT(16 << 20), again = BUF_INIT(16 << 20);
    unsigned failures = 0;
    int code = E_NOMEM;
    struct kit k;

    (void)state;
    kit_open(&k, "memory:");
    struct chat *c = kit_chat(&k, "kitchen");
    kit_turn(&k, c, "Hello.", "Hi.");
    assert_int_equal(export_all(&k, &whole), E_OK);
    assert_non_null(strstr(whole.ptr, "Hello."));
    buf_add_str(&again, whole.ptr);  // so that there is room for it
    for (uint64_t n = 1; code && n < 3000; n++) {
        buf_clear(&again);
        mem_fail_at(n, 0);
        code = export_all(&k, &again);
        mem_fail_at(0, 0);
        failures += code == E_NOMEM;
        assert_true(code == E_OK || code == E_NOMEM);
    }
    assert_true(code == E_OK && failures > 20);
    assert_string_equal(again.ptr, whole.ptr);
    buf_release(&whole);
    buf_release(&again);
    chat_free(c);
    kit_close(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_export__nothing_is_left_out)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
