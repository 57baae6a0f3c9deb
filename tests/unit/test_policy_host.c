// SPDX-License-Identifier: MIT
// test_policy_host.c: the plain policy, references, and the version host.
#include "policy/policy.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

struct fake_loader {
    int loads, alive;
    bool fails;
    uint64_t stamp;
    struct clock_sim clock;
};

struct fake_policy {
    struct policy base;
    struct fake_loader *owner;
};

static void fake_free(struct policy *p)
{
    struct fake_policy *f = (struct fake_policy *)p;

    f->owner->alive--;
    mem_free(f);
}

static const struct policy_ops fake_ops = {.free = fake_free};

static int fake_load(void *self, const char *bot, struct policy **out, struct err *err)
{
    struct fake_loader *l = self;

    l->loads++;
    if (l->fails)
        return err_set(err, E_POLICY, "policies/%s.lua:1: broken", bot);
    struct fake_policy *f = mem_zalloc(sizeof(*f));
    if (!f)
        return err_set(err, E_NOMEM, "out of memory");
    f->base.ops = &fake_ops;
    f->base.refs = 1;
    f->base.info.file = "fake";
    f->owner = l;
    l->alive++;
    *out = &f->base;
    return E_OK;
}

static uint64_t fake_stamp(void *self, const char *bot)
{
    (void)bot;
    return ((struct fake_loader *)self)->stamp;
}

static struct policy_host *host_of(struct fake_loader *l)
{
    struct policy_loader loader = {.load = fake_load, .stamp = fake_stamp, .self = l};
    struct policy_host *h = NULL;

    clock_sim_init(&l->clock, 0);
    assert_int_equal(policy_host_new(&h, &loader, &l->clock.clock, NULL, NULL), E_OK);
    return h;
}

static void test_policy_host__plain_sends_everything(void **state)
{
    struct policy *p = policy_plain();
    struct policy_view view = {0};
    struct history_plan history;
    struct plan plan;

    (void)state;
    assert_int_equal(p->ops->history(p, &view, &history, NULL), E_OK);
    assert_int_equal(history.last, UINT32_MAX);
    assert_int_equal(history.pinned_len, 0);
    assert_string_equal(history.strategy, "full");
    plan_init(&plan);
    assert_int_equal(p->ops->on_message(p, &view, &plan, NULL), E_OK);
    assert_int_equal(plan.verb, PLAN_GO);
    assert_int_equal(p->ops->on_reply(p, &view, SAFE_NONE, &plan, NULL), E_OK);
    assert_int_equal(plan.verb, PLAN_GO);
    plan_release(&plan);
    policy_ref(p);
    policy_unref(p);
    policy_unref(p);  // static: not counted
    assert_string_equal(policy_plain()->info.name, "plain");
    policy_unref(NULL);
}

static void test_policy_host__loads_once(void **state)
{
    struct fake_loader l = {0};
    struct policy_host *h = host_of(&l);
    struct policy *a = NULL, *b = NULL, *other = NULL;

    (void)state;
    assert_int_equal(policy_host_get(h, "kiosk", &a, NULL), E_OK);
    assert_int_equal(policy_host_get(h, "kiosk", &b, NULL), E_OK);
    assert_ptr_equal(a, b);
    assert_int_equal(policy_host_get(h, "tutor", &other, NULL), E_OK);
    assert_ptr_not_equal(a, other);
    assert_int_equal(l.loads, 2);
    policy_unref(b);
    policy_unref(other);
    policy_host_free(h);
    assert_int_equal(l.alive, 1);  // a turn under way keeps its version
    policy_unref(a);
    assert_int_equal(l.alive, 0);
}

static void test_policy_host__failure_is_not_kept(void **state)
{
    struct fake_loader l = {.fails = true};
    struct policy_host *h = host_of(&l);
    struct policy *p = NULL;
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(policy_host_get(h, "kiosk", &p, &err), E_POLICY);
    assert_string_equal(err.message, "policies/kiosk.lua:1: broken");
    assert_null(p);
    l.fails = false;
    assert_int_equal(policy_host_get(h, "kiosk", &p, &err), E_OK);
    assert_int_equal(l.loads, 2);
    policy_unref(p);
    policy_host_free(h);
    assert_int_equal(l.alive, 0);
}

// The same error, from the file as it was, or a load.
static void assert_fails(struct policy_host *h, const struct fake_loader *l, int loads)
{
    struct policy *p = NULL;
    struct err err = ERR_INIT;

    assert_int_equal(policy_host_get(h, "kiosk", &p, &err), E_POLICY);
    assert_string_equal(err.message, "policies/kiosk.lua:1: broken");
    assert_int_equal(err.code, E_POLICY);
    assert_null(p);
    assert_int_equal(l->loads, loads);
}

// 1 s, 2 s, 4 s … 60 s; a file that was changed is loaded at once, and rests 1 s again.
static void test_policy_host__a_failed_file_rests(void **state)
{
    static const int64_t rests_ms[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};
    struct fake_loader l = {.fails = true, .stamp = 7};
    struct policy_host *h = host_of(&l);
    struct policy *p = NULL;
    int loads = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(rests_ms) / sizeof(rests_ms[0]); i++) {
        assert_fails(h, &l, ++loads);
        assert_fails(h, &l, loads);
        clock_sim_advance(&l.clock, rests_ms[i] - 1);
        assert_fails(h, &l, loads);
        clock_sim_advance(&l.clock, 1);
    }
    assert_fails(h, &l, ++loads);
    l.stamp = 8;
    assert_fails(h, &l, ++loads);
    clock_sim_advance(&l.clock, 1000);
    assert_fails(h, &l, ++loads);
    l.stamp = 9;
    l.fails = false;
    assert_int_equal(policy_host_get(h, "kiosk", &p, NULL), E_OK);
    policy_unref(p);
    // What has no file is no failure of a file: it may come to be.
    struct policy_host *none = host_of(&l);
    l.fails = true;
    l.stamp = 0;
    l.loads = 0;
    assert_fails(none, &l, 1);
    assert_fails(none, &l, 2);
    policy_host_free(none);
    policy_host_free(h);
    assert_int_equal(l.alive, 0);
}

static void test_policy_host__out_of_memory(void **state)
{
    struct fake_loader l = {0};
    struct policy_loader loader = {.load = fake_load, .self = &l};
    int made = 0;

    (void)state;
    for (int n = 1; !made && n < 100; n++) {
        struct policy_host *h = NULL;
        struct policy *p = NULL;

        mem_fail_at((uint64_t)n, 0);
        if (policy_host_new(&h, &loader, NULL, NULL, NULL) == E_OK) {
            made = policy_host_get(h, "kiosk", &p, NULL) == E_OK;
            policy_unref(p);
        }
        mem_fail_at(0, 0);
        policy_host_free(h);
        assert_int_equal(l.alive, 0);
    }
    assert_true(made);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_policy_host__plain_sends_everything),
        cmocka_unit_test(test_policy_host__loads_once),
        cmocka_unit_test(test_policy_host__failure_is_not_kept),
        cmocka_unit_test(test_policy_host__a_failed_file_rests),
        cmocka_unit_test(test_policy_host__out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
