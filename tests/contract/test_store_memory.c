// SPDX-License-Identifier: MIT
// The contract of stores, held by the memory store.
#include "contract/contract.h"

static void contract_url(char *out, size_t size)
{
    static atomic_uint n;  // each test has a space of its own
    snprintf(out, size, "memory:contract-%u", atomic_fetch_add(&n, 1));
}

static void contract_clean(const char *url)
{
    (void)url;
}

// Names tell spaces apart; a name's last store takes its records along.
static void test_store_memory__names(void **state)
{
    struct bench *b = *state;
    struct store *first = b->store;
    assert_int_equal(insert(b, USER, "k", "x"), E_OK);
    snprintf(b->url, sizeof b->url, "memory:another");
    b->store = open_again(b);
    assert_int_equal(version_of(b, USER, "k", NULL), 0);
    assert_int_equal(insert(b, USER, "k", "other"), E_OK);
    struct store *second = b->store;
    b->store = first;
    assert_int_equal(version_of(b, USER, "k", "x"), 1);
    store_free(first);
    store_free(second);
    b->store = open_again(b);
    assert_int_equal(version_of(b, USER, "k", NULL), 0);
}

static void test_store_memory__without_memory(void **state)
{
    struct bench *b = *state;
    struct store *s = NULL;
    struct err err = ERR_INIT;
    int code = E_NOMEM;
    for (uint64_t n = 1; code && n < 9; n++) {
        mem_fail_at(n, 0);
        code = store_open(&s, "memory:new", &b->env, &err);
        mem_fail_at(0, 0);
        assert_true(code == E_OK ? s != NULL : !s && code == E_NOMEM && err.code == code);
    }
    assert_int_equal(code, E_OK);
    store_free(s);
    mem_fail_at(1, 1);  // nor for the list of what is known
    assert_int_equal(store_open(&s, "memo:", &b->env, &err), E_STORE);
    mem_fail_at(0, 0);
    assert_non_null(strstr(err.message, "did you mean memory"));
    assert_int_equal(store_migrate("memo:", true, NULL, &err), E_STORE);
}

// It has no file that could be damaged.
static void test_store_memory__is_sound(void **state)
{
    struct bench *b = *state;
    struct store_op op = {.verb = STORE_CHECK, .limit = 10};
    assert_int_equal(insert(b, USER, "k", "x"), E_OK);
    assert_int_equal(run(b, &op), E_OK);
    assert_int_equal(op.rows_len, 0);
    store_op_release(&op);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_store_memory__##name, bench_up, bench_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(names), TEST(without_memory), TEST(is_sound)};
    int failed = contract_run();
    return cmocka_run_group_tests(tests, NULL, NULL) + failed;
}
