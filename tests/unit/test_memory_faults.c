// SPDX-License-Identifier: MIT
// What is remembered while the n-th thing fails, for every n: the store, before or after doing what
// it was told; memory. What was acknowledged is there, once; and it goes on.
#include "memory_kit.h"
#include "store/faulty.h"

enum { TRIES = 4, FAULTS_MAX = 4000 };

static const char expected[] = "Berlin[1,3] Paris*[3,]";

// 0: acknowledged. Tries again what failed, as who learns does, or gives up as if it had died.
static int try_to(struct process *p, struct saying *s, bool again)
{
    int code = E_STORE;

    for (int i = 0; i < TRIES && code; i++) {
        s->done = false;
        say(p, s);
        process_until(p, &s->done);
        code = s->change.code;
        book_release(s->change.book);
        if (code && !again)
            break;
    }
    return code;
}

static int scene(struct process *p, bool again)
{
    struct learnt l = {.session = "6f1f1d6e-3c0b-4b7e-9a51-0d9f6f6b8a01", .upto = 1};
    struct saying berlin = {.values = (const char *const[]){"lives_in=Berlin", NULL}, .at_ms = 1,
                            .learnt = &l};
    struct saying paris = {.values = (const char *const[]){"lives_in=Paris", NULL}, .at_ms = 3,
                           .human = "moved"};
    struct book *b = NULL;

    if (try_to(p, &berlin, again) || try_to(p, &paris, again))
        return E_STORE;
    for (int i = 0; i < TRIES; i++)
        if (open_book(p, &b) == E_OK) {
            book_release(b);
            return E_OK;
        }
    return E_STORE;
}

// Everything once more, as nobody knows what was done; then all is as it should be.
static void check(struct process *p)
{
    struct process q = process_beside(p);
    struct book *b;
    char told[256];

    assert_int_equal(scene(&q, true), E_OK);
    assert_int_equal(open_book(&q, &b), E_OK);
    facts_kit_tell(b->facts, told, sizeof(told));
    assert_string_equal(told, expected);
    assert_int_equal(b->damage.len, 0);
    assert_true(slice_is(safe_slice(safe_buf_text(&b->core.human)), "moved"));
    book_release(b);
    process_leave(&q);
}

static void with_store(const char *mode, bool again)
{
    for (unsigned n = 1; n < FAULTS_MAX; n++) {
        struct process p;
        char url[128];

        snprintf(url, sizeof(url), "faulty:fail_at=%u,mode=%s;memory:", n, mode);
        process_open(&p, url);
        int code = scene(&p, again);
        bool failed = store_faulty_seen(p.kit.store) >= n;
        assert_true(code == E_OK || !again);
        check(&p);
        process_close(&p);
        if (!failed)
            return;
    }
    fail();
}

static void test_memory_faults__the_store(void **state)
{
    (void)state;
    with_store("before", true);
    with_store("before", false);
    with_store("after", true);
    with_store("after", false);
}

static void test_memory_faults__memory(void **state)
{
    bool failed = true;

    (void)state;
    for (uint64_t n = 1; failed; n++) {
        struct process p;

        process_open(&p, "memory:");
        uint64_t before = mem_count();
        mem_fail_at(n, 0);
        assert_int_equal(scene(&p, true), E_OK);
        failed = mem_count() - before >= n;
        mem_fail_at(0, 0);
        check(&p);
        process_close(&p);
        assert_true(n < FAULTS_MAX);
    }
}

// The user was erased meanwhile.
static void test_memory_faults__erased(void **state)
{
    struct process p;
    struct kit_key wait = {.request = {.done = kit_key_done}};
    struct saying s = {.values = (const char *const[]){"likes=tea", NULL}, .at_ms = 1};

    (void)state;
    process_open(&p, "memory:");
    assert_int_equal(try_to(&p, &s, false), E_OK);
    wait.request.loop = p.kit.loop;
    memcpy(wait.request.partition, p.kit.partition, sizeof(wait.request.partition));
    vault_forget(p.kit.vault, &wait.request);
    process_until(&p, &wait.done);
    books_forget(&p.worker, p.kit.partition);
    s.at_ms = 2;
    assert_int_equal(try_to(&p, &s, false), E_ERASED);
    process_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_faults__the_store),
        cmocka_unit_test(test_memory_faults__memory),
        cmocka_unit_test(test_memory_faults__erased),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
