// SPDX-License-Identifier: MIT
// The faulty store: fails when, where and how its URL says, and is honest about the rest.
#include "contract/store_fixture.h"
#include "store/faulty.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void contract_url(char *out, size_t size)
{
    snprintf(out, size, "memory:");
}

static void contract_clean(const char *url)
{
    (void)url;
}

static void reopen(struct bench *b, const char *options)
{
    store_free(b->store);
    snprintf(b->url, sizeof b->url, "faulty:%s;memory:", options);
    b->store = open_again(b);
}

static int add(struct bench *b, bool *ambiguous)
{
    struct store_item item = put(STORE_PUT, "k", 0, "x");
    struct store_op op = commit_op(USER, &item, 1);
    int code = run(b, &op);
    assert_true(code == E_OK || item.version == 0);
    *ambiguous = op.ambiguous;
    return code;
}

static void test_faulty__before_leaves_no_trace(void **state)
{
    struct bench *b = *state;
    bool ambiguous = true;
    reopen(b, "fail_at=2,mode=before,verb=commit");
    assert_int_equal(add(b, &ambiguous), E_OK);
    assert_int_equal(add(b, &ambiguous), E_STORE);
    assert_false(ambiguous);
    assert_int_equal(version_of(b, USER, "k", "x"), 1);
    assert_int_equal(add(b, &ambiguous), E_OK);
    assert_int_equal(version_of(b, USER, "k", "x"), 2);
    assert_int_equal(store_faulty_seen(b->store), 3);
}

static void test_faulty__after_is_done_but_not_told(void **state)
{
    struct bench *b = *state;
    bool ambiguous = false;
    reopen(b, "fail_at=1,mode=after,verb=commit,sticky=1");
    for (uint64_t n = 1; n <= 3; n++) {
        assert_int_equal(add(b, &ambiguous), E_STORE);
        assert_true(ambiguous);
        assert_int_equal(version_of(b, USER, "k", "x"), n);
    }
    // What the inner store refuses is told as it is.
    struct store_item item = put(STORE_PUT, "k", 99, "x");
    struct store_op op = commit_op(USER, &item, 1);
    assert_int_equal(run(b, &op), E_CONFLICT);
    assert_false(op.ambiguous);
}

static void test_faulty__any_op_counts(void **state)
{
    struct bench *b = *state;
    reopen(b, "fail_at=3");
    struct store_op op = get_op(USER, SLICE_LIT("k"));
    assert_int_equal(run(b, &op), E_OK);
    assert_int_equal(insert(b, USER, "k", "x"), E_OK);
    assert_int_equal(run(b, &op), E_STORE);
    assert_int_equal(run(b, &op), E_OK);
    assert_int_equal(op.rows_len, 1);
    store_op_release(&op);
    assert_int_equal(store_faulty_seen(b->store), 4);
}

static unsigned failures_of(struct bench *b, const char *options, char *pattern)
{
    unsigned failures = 0;
    bool ambiguous;
    reopen(b, options);
    for (int i = 0; i < 200; i++) {
        pattern[i] = add(b, &ambiguous) ? 'x' : '.';
        failures += pattern[i] == 'x';
    }
    return failures;
}

static void test_faulty__seed_repeats(void **state)
{
    char first[201] = "", second[201] = "", other[201] = "";
    unsigned failures = failures_of(*state, "fail_at=4,seed=7", first);
    assert_true(failures > 20 && failures < 100);
    failures_of(*state, "fail_at=4,seed=7", second);
    failures_of(*state, "fail_at=4,seed=8", other);
    assert_string_equal(first, second);
    assert_string_not_equal(first, other);
}

static void test_faulty__crash_is_sigkill(void **state)
{
    (void)state;
    static const char *const modes[] = {"crash_before", "crash_after"};
    for (int i = 0; i < 2; i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            struct bench b = {.env = {.clock = clock_system(), .rand = rand_system()}};
            bool ambiguous;
            char options[64];
            snprintf(options, sizeof options, "fail_at=2,mode=%s", modes[i]);
            if (loop_new(&b.loop, clock_system(), NULL))
                _exit(2);
            reopen(&b, options);
            add(&b, &ambiguous);
            add(&b, &ambiguous);
            _exit(0);
        }
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    }
}

static void test_faulty__bad_urls(void **state)
{
    struct bench *b = *state;
    static const char *const bad[][2] = {
        {"faulty:", "semicolon"}, {"faulty:fail_at=1", "semicolon"},
        {"faulty:fail_at;memory:", "name=value"}, {"faulty:mode=sideways;memory:", "crash_after"},
        {"faulty:verb=scan;memory:", "commit"}, {"faulty:fail_at=x;memory:", "fail_at"},
        {"faulty:fail_it=1;memory:", "fail_at"}, {"faulty:;nothing:", "memory:"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct store *s = NULL;
        struct err err = ERR_INIT;
        assert_int_equal(store_open(&s, bad[i][0], &b->env, &err), E_STORE);
        assert_int_equal(err.code, E_STORE);
        if (!strstr(err.message, bad[i][1]))
            fail_msg("\"%s\" lacks \"%s\"", err.message, bad[i][1]);
    }
}

static void test_faulty__out_of_memory(void **state)
{
    struct bench *b = *state;
    for (uint64_t n = 1; n < 30; n++) {
        struct store *s = NULL;
        mem_fail_at(n, 0);
        int code = store_open(&s, "faulty:fail_at=1,mode=after;memory:", &b->env, NULL);
        mem_fail_at(0, 0);
        assert_true(code == E_OK ? s != NULL : s == NULL);
        store_free(s);
    }
    bool ambiguous = true;
    reopen(b, "fail_at=1,mode=after");
    mem_fail_at(1, 0);
    assert_int_equal(add(b, &ambiguous), E_NOMEM);
    mem_fail_at(0, 0);
    assert_false(ambiguous);
    assert_int_equal(version_of(b, USER, "k", NULL), 0);
}

static void test_faulty__a_read_whose_answer_is_lost(void **state)
{
    struct bench *b = *state;
    reopen(b, "fail_at=1,mode=after");
    struct store_op op = get_op(USER, SLICE_LIT("k"));
    assert_int_equal(run(b, &op), E_STORE);
    assert_int_equal(op.rows_len, 0);
    assert_int_equal(run(b, &op), E_OK);
}

static void test_faulty__migrates_what_it_wraps(void **state)
{
    (void)state;
    struct buf report = BUF_INIT(1 << 10);
    assert_int_equal(store_migrate("faulty:fail_at=1;memory:", false, &report, NULL), E_OK);
    assert_non_null(strstr(report.ptr, "nothing to migrate"));
    assert_int_equal(store_migrate("faulty:fail_at=1", false, &report, NULL), E_STORE);
    buf_release(&report);
}

// Those before it do not fail.
static void test_faulty__from_then_on(void **state)
{
    struct bench *b = *state;
    bool ambiguous = true;
    reopen(b, "fail_at=3,mode=before,verb=commit,sticky=1");
    for (int n = 1; n <= 5; n++)
        assert_int_equal(add(b, &ambiguous), n < 3 ? E_OK : E_STORE);
    assert_int_equal(version_of(b, USER, "k", "x"), 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_faulty__##name, bench_up, bench_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(before_leaves_no_trace), TEST(after_is_done_but_not_told), TEST(any_op_counts),
        TEST(seed_repeats), TEST(crash_is_sigkill), TEST(bad_urls), TEST(out_of_memory),
        TEST(a_read_whose_answer_is_lost), TEST(migrates_what_it_wraps),
        TEST(from_then_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
