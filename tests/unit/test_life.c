// SPDX-License-Identifier: MIT
// test_life.c: what policies say of expiry and resuming: as data, by hooks, and every refusal.
#include "policy_kit.h"

enum { MINUTE = 60 * 1000, HOUR = 60 * MINUTE };
#define DAY ((int64_t)24 * HOUR)

static void test_life__defaults(void **state)
{
    struct policy *p = load_text(*state, "return {}");

    assert_int_equal(p->info.expiry.soft_ms, 30 * MINUTE);
    assert_int_equal(p->info.expiry.hard_ms, 2 * HOUR);
    assert_int_equal(p->info.expiry.purge_ms, 0);
    assert_int_equal(p->info.resume.restore_within_ms, 2 * HOUR);
    assert_int_equal(p->info.resume.fresh_after_ms, 21 * DAY);
    assert_false(p->info.has_expiry || p->info.has_greet);
    assert_memory_equal(&policy_plain()->info.expiry, &expiry_default, sizeof(expiry_default));
    assert_memory_equal(&policy_plain()->info.resume, &resume_default, sizeof(resume_default));
    policy_unref(p);
}

static void test_life__data(void **state)
{
    struct policy *p = load_text(*state,
        "return { expiry = { kind = 'sliding', soft = '10m', hard = '1.5h' },\n"
        "resume = { restore_within = '1d', fresh_after = false, offer = true } }");

    assert_int_equal(p->info.expiry.soft_ms, 10 * MINUTE);
    assert_int_equal(p->info.expiry.hard_ms, 90 * MINUTE);
    assert_int_equal(p->info.expiry.purge_ms, 30 * DAY);
    assert_int_equal(p->info.resume.restore_within_ms, DAY);
    assert_int_equal(p->info.resume.fresh_after_ms, INT64_MAX);
    assert_true(p->info.resume.offer);
    policy_unref(p);
    p = load_text(*state, "return { expiry = { kind = 'fixed', ttl = '24h', purge = false } }");
    assert_int_equal(p->info.expiry.kind, EXPIRY_FIXED);
    assert_int_equal(p->info.expiry.soft_ms, 0);
    assert_int_equal(p->info.expiry.hard_ms, DAY);
    assert_int_equal(p->info.expiry.purge_ms, 0);
    policy_unref(p);
}

static void test_life__refusals(void **state)
{
    static const struct { const char *text, *message; } cases[] = {
        {"expiry = 5", "expiry: must be a table or a function, not a number"},
        {"expiry = { kind = 'slow' }", "expiry: kind: must be \"sliding\" (counts from the last "
         "message) or \"fixed\" (counts from the first)"},
        {"expiry = { hart = '2h' }", "expiry.hart: unknown key (did you mean hard?)"},
        {"expiry = { hard = 2 }", "expiry: hard: must be a duration such as \"30m\", \"2h\" or "
         "\"30d\", or false: never, not a number"},
        {"expiry = { hard = true }", "expiry: hard: must be a duration such as \"30m\", \"2h\" or "
         "\"30d\", or false: never, not a boolean"},
        {"expiry = { soft = '3h' }", "expiry: soft: is longer than hard"},
        {"expiry = { purge = '200000d' }", "expiry: purge: must be more than nothing and at most "
         "100 years; false is never"},
        {"expiry = { kind = 'fixed' }", "expiry: kind = \"fixed\" needs ttl, as in { kind = "
         "\"fixed\", ttl = \"24h\" }, and takes no hard"},
        {"expiry = { ttl = '2h' }", "expiry: ttl: is of kind = \"fixed\"; a sliding expiry has "
         "hard, as in { kind = \"sliding\", hard = \"2h\" }"},
        {"resume = function() end", "resume: must be a table, not a function"},
        {"resume = { greet = 'Hi' }", "resume: greet: must be a function, as in greet.returning "
         "{}, or function(view) … end"},
        {"resume = { restore_within = '3d', fresh_after = '2d' }", "resume: fresh_after: is "
         "shorter than restore_within"},
        {"resume = { offer = 'yes' }", "resume: offer: must be true or false"},
        {"resume = { greeting = 1 }", "resume.greeting: unknown key (did you mean greet?)"},
        {"devices = true", "devices: must be a table, not a boolean"},
        {"devices = { one_activ = true }", "devices.one_activ: unknown key (did you mean "
         "one_active?)"},
        {"devices = { one_active = 1 }", "devices: one_active: must be true or false"},
        {"devices = { lapse_after = 10 }", "devices: lapse_after: must be a duration such as "
         "\"30m\", \"2h\" or \"30d\", or false: never, not a number"},
    };
    struct err err = ERR_INIT;
    char text[512], want[512];

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct policy *p = NULL;
        snprintf(text, sizeof(text), "return {\n  %s\n}", cases[i].text);
        snprintf(want, sizeof(want), "policies/kiosk.lua:2: %s", cases[i].message);
        write_file("policies/kiosk.lua", text);
        assert_int_equal(load(*state, "kiosk", &p, &err), E_POLICY);
        assert_string_equal(err.message, want);
    }
}

static void test_life__devices(void **state)
{
    struct policy *p = load_text(*state, "return {}");

    assert_false(p->info.devices.one_active);
    assert_int_equal(p->info.devices.lapse_ms, HOUR / 6);
    policy_unref(p);
    p = load_text(*state, "return { devices = { one_active = true, lapse_after = false } }");
    assert_true(p->info.devices.one_active);
    assert_int_equal(p->info.devices.lapse_ms, 0);
    policy_unref(p);
    p = load_text(*state, "return { devices = { one_active = true, lapse_after = '2h' } }");
    assert_int_equal(p->info.devices.lapse_ms, 2 * HOUR);
    policy_unref(p);
    assert_int_equal(policy_plain()->info.devices.lapse_ms, HOUR / 6);
}

static void test_life__hooks(void **state)
{
    struct policy *p = load_text(*state,
        "return { expiry = function(view)\n"
        "  if view.text == 'fail' then return { hard = 'soon' } end\n"
        "  if view.text == 'long' then return { hard = '10h', purge = '90d' } end\n"
        "end,\n"
        "resume = { greet = function(view)\n"
        "  if view.text == 'none' then return nil end\n"
        "  if view.text == 'fail' then return 5 end\n"
        "  return { say = 'Welcome back, ' .. view.user .. '.' }\n"
        "end } }");
    struct expiry expiry;
    struct safe_buf out;
    struct err err = ERR_INIT;
    struct talk t;

    assert_true(p->info.has_expiry && p->info.has_greet);
    safe_buf_init(&out, 4096);
    talk_init(&t, "ann", SAFE_LIT("long"));
    assert_int_equal(p->ops->expiry(p, &t.view, &expiry, &err), E_OK);
    assert_int_equal(expiry.hard_ms, 10 * HOUR);
    assert_int_equal(expiry.purge_ms, 90 * DAY);
    assert_int_equal(p->ops->greet(p, &t.view, &out, &err), E_OK);
    assert_text(safe_buf_text(&out), "Welcome back, ann.");
    safe_buf_clear(&out);
    talk_init(&t, "ann", SAFE_LIT("none"));
    assert_int_equal(p->ops->expiry(p, &t.view, &expiry, &err), E_OK);
    assert_memory_equal(&expiry, &expiry_default, sizeof(expiry));
    assert_int_equal(p->ops->greet(p, &t.view, &out, &err), E_OK);
    assert_text(safe_buf_text(&out), "");
    talk_init(&t, "ann", SAFE_LIT("fail"));
    assert_int_equal(p->ops->expiry(p, &t.view, &expiry, &err), E_POLICY);
    assert_memory_equal(&expiry, &expiry_default, sizeof(expiry));
    assert_non_null(strstr(err.message, "policies/kiosk.lua:1: hard: "));
    assert_int_equal(p->ops->greet(p, &t.view, &out, &err), E_POLICY);
    assert_text(safe_buf_text(&out), "");
    safe_buf_release(&out);
    policy_unref(p);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_life__##name, set_up, tear_down)
    const struct CMUnitTest tests[] = {TEST(defaults), TEST(data), TEST(refusals), TEST(devices),
                                       TEST(hooks)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
