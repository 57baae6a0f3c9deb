// SPDX-License-Identifier: MIT
// test_policy_hooks.c: what hooks see and decide, and what happens when they fail.
#include "policy_kit.h"

static void test_policy_hooks__view(void **state)
{
    struct fixture *f = *state;
    struct policy *p = load_text(f,
        "return { on_message = function(view)\n"
        "  local h, out = view.history, {}\n"
        "  for i, t in ipairs(h) do out[i] = ('%d:%s:%s:%d:%s:%s:%.1f'):format(t.turn, t.user, "
        "t.assistant, t.tokens, t.status, t.superseded, t.at) end\n"
        "  local n = 0 for i, t in pairs(h) do n = n + t.turn end\n"
        "  local k = 0 for name in pairs(view) do k = k + 1 end\n"
        "  local ok, m = pcall(function() view.text = 1 end)\n"
        "  local ok2, m2 = pcall(function() return view.histroy end)\n"
        "  return { say = table.concat({ view.text, view.user, view.context, view.turn, "
        "view.session.id, "
        "view.gap, view.now, view.tokens.window, view.tokens.history, view.tokens.budget, #h, n, "
        "k > 8 and "
        "'all' or k, h[0] == nil and h[4] == nil and h.x == nil and 'nil', m:match('view is.*'), "
        "m2:match('view%..*'), table.concat(out, ';') }, '|') }\n"
        "end }\n");
    struct talk t;

    talk_init(&t, "ann", SAFE_LIT("hi"));
    assert_says(p, &t,
        "hi|ann|ticket-7|4|3f0c1a52-0000-4000-8000-000000000001|90.0|1700000000.5|"
        "8000|21|5000|3|6|all|nil|"
        "view is read-only: return a plan instead|view.histroy: there is no such field (did you "
        "mean "
        "history?)|1:I am Ann:Hello Ann:15:done:false:1.5;2:second:answer:10:done:true:1.5;"
        "3:third::6:failed:false:1.5");
    t.chat.first = 3;  // only the newest are loaded
    t.chat.turns = &t.turns[2];
    t.chat.turns_len = 2;
    policy_unref(p);
    p = load_text(f, "return { on_message = function(view) local s = view.session "
                     "return { say = s .. '|' .. tostring(s):sub(1, 8) .. '|' .. #s.state } end }");
    assert_says(p, &t, "3f0c1a52-0000-4000-8000-000000000001|3f0c1a52|0");
    policy_unref(p);
    p = load_text(f, "return { on_message = function(view) return { say = #view.history .. '/' .. "
                     "view.history[1].user } end }");
    assert_says(p, &t, "1/third");
    policy_unref(p);
}

static void test_policy_hooks__plans(void **state)
{
    struct fixture *f = *state;
    struct policy *p = load_text(f,
        "local SORRY = { say = 'constant' }\n"
        "local plans = {\n"
        "  say = { say = 'Grüße' }, flow = { flow = 'refund' }, handoff = { handoff = 'angry' },\n"
        "  reset = { reset = true }, off = { reset = false }, empty = {}, const = SORRY,\n"
        "  state = { state = { topic = 'tea', n = 3, list = { 1, 'b', true }, deep = { x = {} } } "
        "},\n"
        "}\n"
        "return { on_message = function(view) return plans[view.text] end,\n"
        "  on_reply = function(view, reply) return { say = reply .. '!' } end }\n");
    static const struct { struct safe_text ask; enum plan_verb verb; const char *text; } want[] = {
        {{"say", 3}, PLAN_SAY, "Grüße"}, {{"flow", 4}, PLAN_FLOW, "refund"},
        {{"handoff", 7}, PLAN_HANDOFF, "angry"}, {{"reset", 5}, PLAN_RESET, ""},
        {{"off", 3}, PLAN_GO, ""}, {{"empty", 5}, PLAN_GO, ""}, {{"none", 4}, PLAN_GO, ""},
        {{"const", 5}, PLAN_SAY, "constant"},
    };
    struct err err = ERR_INIT;
    struct plan plan;
    struct talk t;

    talk_init(&t, "ann", SAFE_NONE);
    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        plan_init(&plan);
        t.view.text = want[i].ask;
        assert_int_equal(ask(p, &t.view, &plan, &err), E_OK);
        assert_int_equal(plan.verb, want[i].verb);
        assert_text(safe_buf_text(&plan.text), want[i].text);
        assert_string_equal(plan.by, "policies/kiosk.lua:7");
        plan_release(&plan);
    }
    plan_init(&plan);
    t.view.text = SAFE_LIT("state");
    assert_int_equal(ask(p, &t.view, &plan, &err), E_OK);
    assert_int_equal(plan.verb, PLAN_GO);
    struct json_doc doc = JSON_DOC_INIT;
    assert_int_equal(json_parse(&doc, safe_slice(safe_buf_text(&plan.state)), 0, &err), E_OK);
    struct json root = json_root(&doc);
    assert_true(json_is_string(json_get(root, "topic"), "tea"));
    assert_int_equal(json_i64(json_get(root, "n"), 0), 3);
    assert_int_equal(json_type(json_get(root, "list")), JSON_ARRAY);
    assert_int_equal(json_count(json_get(root, "list")), 3);
    assert_int_equal(json_type(json_get(json_get(root, "deep"), "x")), JSON_OBJECT);
    json_doc_release(&doc);
    plan_release(&plan);
    plan_init(&plan);
    assert_int_equal(p->ops->on_reply(p, &t.view, SAFE_LIT("ok"), &plan, &err), E_OK);
    assert_text(safe_buf_text(&plan.text), "ok!");
    plan_release(&plan);
    policy_unref(p);
}

// Each failure says file, line and hook, and leaves the plan as the plain policy makes it.
static const struct { const char *body, *message; } failing[] = {
    {"error('oops')", "policies/kiosk.lua:2: oops (in on_message)"},
    {"error('oops', 0)", "policies/kiosk.lua: oops (in on_message)"},
    {"error({})", "policies/kiosk.lua: an error was raised with a table instead of a message "
                  "(in "
                  "on_message)"},
    {"local x = view.nothing", "policies/kiosk.lua:2: view.nothing: there is no such field (in "
                               "on_message)"},
    {"return 3", "policies/kiosk.lua:1: must return nil or a plan such as { say = \"…\" }, "
                 "not a "
                 "number (in on_message)"},
    {"return { sya = 'x' }", "policies/kiosk.lua:1: sya: unknown key (did you mean say?) (in "
                             "on_message)"},
    {"return { say = 'x', reset = true }", "policies/kiosk.lua:1: a plan may have one of say, "
        "flow, "
                                           "handoff, reset; it has two (in on_message)"},
    {"return { say = 3 }", "policies/kiosk.lua:1: say: must be a string, not a number (in "
                           "on_message)"},
    {"return { say = '' }", "policies/kiosk.lua:1: say: is empty; return nil to go on to the "
                            "model "
                            "(in on_message)"},
    {"return { say = '\\255' }", NULL},
    {"return { say = 'a\\0b' }", NULL},
    {"return { say = 'x', state = { f = error } }",
     "policies/kiosk.lua:1: state: may hold text, numbers, booleans and tables, not a "
     "function (in "
     "on_message)"},
    {"return { say = 'x', state = { x = 0/0 } }",
     "policies/kiosk.lua:1: state: a number is not finite (in on_message)"},
    {"return { say = 'x', state = { [1.5] = 1 } }",
     "policies/kiosk.lua:1: state: keys must be names, or 1, 2, 3 … (in on_message)"},
    {"return { say = 'x', state = { x = '\\200' } }",
     "policies/kiosk.lua:1: state: text is not valid UTF-8 (in on_message)"},
    {"return { say = 'x', state = { x = ('y'):rep(20000) } }",
     "policies/kiosk.lua:1: state: larger than 16 KiB as JSON (in on_message)"},
    {"local t = {} t.t = t return { say = 'x', state = t }", "policies/kiosk.lua:1: state: "
        "tables are "
     "nested too deeply (at most 16) (in on_message)"},
    {"return { say = 'x', pin = 3 }",
     "policies/kiosk.lua:1: pin: must be a boolean, not a number (in on_message)"},
    {"return { say = 'x', state = 3 }",
     "policies/kiosk.lua:1: state: must be a table, not a number (in on_message)"},
    {"return { say = ('x'):rep(600000) }", NULL},
    {"while true do end", "policies/kiosk.lua:2: stopped: it ran longer than 50 ms (in "
                          "on_message)"},
    {"while true do pcall(error) end", NULL},
    {"local t = {} for i = 1, 1e9 do t[i] = { i } end", NULL},
    {"return setmetatable({}, { __index = function() while true do end end })", ""},
};

static void test_policy_hooks__failing_hooks(void **state)
{
    struct fixture *f = *state;
    struct talk t;

    talk_init(&t, "ann", SAFE_LIT("hi"));
    use_limits(f, 50, 0);
    for (size_t i = 0; i < sizeof(failing) / sizeof(failing[0]); i++) {
        char text[512];
        struct err err = ERR_INIT;
        struct plan plan;

        snprintf(text, sizeof(text), "return { on_message = function(view) if view.turn == 9 then "
                                     "return "
                 "{ say = 'sound' } end\n%s end }", failing[i].body);
        struct policy *p = load_text(f, text);
        plan_init(&plan);
        t.view.turn = 4;
        int rc = ask(p, &t.view, &plan, &err);
        bool fine = failing[i].message && !failing[i].message[0];
        bool ran_out = strstr(err.message, "stopped: ") != NULL;
        assert_int_equal(rc, fine ? E_OK : ran_out ? E_REFUSED : E_POLICY);
        if (failing[i].message)
            assert_string_equal(err.message, failing[i].message);
        if (rc != E_OK)
            assert_non_null(strstr(err.message, "(in on_message)"));
        assert_int_equal(plan.verb, PLAN_GO);
        assert_int_equal(safe_buf_text(&plan.text).len, 0);
        assert_int_equal(safe_buf_text(&plan.state).len, 0);
        plan_release(&plan);
        t.view.turn = 9;  // the next call is as good as ever
        assert_says(p, &t, "sound");
        policy_unref(p);
    }
}

static void test_policy_hooks__history_hook(void **state)
{
    static const struct { const char *body, *message; } cases[] = {
        {"return { last = 2, pin = { 3, 1, 99, 3 }, pin_first = 1, budget_tokens = 50 }", ""},
        {"return nil", ""},
        {"return 1", "policies/kiosk.lua:2: must return nil or a table such as { last = 8 }, not "
                     "a number "
                     "(in history)"},
        {"return { lsat = 1 }", "policies/kiosk.lua:2: lsat: unknown key (did you mean last?) (in "
                                "history)"},
        {"return { last = -1 }", "policies/kiosk.lua:2: last: must be a whole number, 0 or more "
                                 "(in "
                                 "history)"},
        {"return { last = 'x' }", "policies/kiosk.lua:2: last: must be a whole number, 0 or more "
                                  "(in "
                                  "history)"},
        {"return { pin = { 'x' } }",
         "policies/kiosk.lua:2: pin: item 1 is not the number of a turn (in history)"},
        {"return { pin = { 1, 0 } }",
         "policies/kiosk.lua:2: pin: item 2 is not the number of a turn (in history)"},
        {"return { pin = 3 }", "policies/kiosk.lua:2: pin: must be a list of turns, as in { 1, 4 "
                               "} (in "
                               "history)"},
        {"local t = {} for i = 1, 300 do t[i] = 1 end return { pin = t }",
         "policies/kiosk.lua:2: pin: too many turns (at most 256) (in history)"},
        {"return { constraints = 'x' }",
         "policies/kiosk.lua:2: constraints: must be a list of texts (in history)"},
        {"return { constraints = { 'x', '\255' } }",
         "policies/kiosk.lua:2: constraints: a constraint is valid UTF-8, without NUL (in "
         "history)"},
        {"local t = {} for i = 1, 17 do t[i] = 'x' end return { constraints = t }",
         "policies/kiosk.lua:2: constraints: at most 16 constraints of 4096 bytes together (in "
         "history)"},
        {"error('x')", "policies/kiosk.lua:3: x (in history)"},
    };
    struct fixture *f = *state;
    struct talk t;

    talk_init(&t, "ann", SAFE_LIT("hi"));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[512];
        struct err err = ERR_INIT;
        struct history_plan plan;
        bool good = !cases[i].message[0];

        snprintf(text, sizeof(text), "return {\nhistory = function(view)\n%s end }", cases[i].body);
        struct policy *p = load_text(f, text);
        assert_int_equal(p->info.needs_turns, UINT32_MAX);
        assert_int_equal(p->ops->history(p, &t.view, &plan, &err), good ? E_OK : E_POLICY);
        assert_string_equal(err.message, cases[i].message);
        if (i == 0) {
            assert_string_equal(plan.strategy, "custom");
            assert_string_equal(plan.by, "policies/kiosk.lua:2");
            assert_int_equal(plan.last, 2);
            assert_int_equal(plan.pin_first, 1);
            assert_int_equal(plan.budget_tokens, 50);
            assert_int_equal(plan.pinned_len, 2);
            assert_int_equal(plan.pinned[0], 1);
            assert_int_equal(plan.pinned[1], 3);
        } else {
            assert_string_equal(plan.strategy, "full");
            assert_string_equal(plan.by, good ? "policies/kiosk.lua:2" : "plain");
            assert_int_equal(plan.last, UINT32_MAX);
            assert_int_equal(plan.pinned_len, 0);
        }
        policy_unref(p);
    }
}

static void test_policy_hooks__history_hook_summary_refused(void **state)
{
    static const struct { const char *body, *message; } cases[] = {
        {"return { summary = 1 }",
         "policies/kiosk.lua:2: summary: must be a table such as { tokens = 400 } (in history)"},
        {"return { summary = { token = 1 } }",
         "policies/kiosk.lua:2: token: unknown key (did you mean tokens?) (in history)"},
        {"return { summary = { tokens = 5000 } }",
         "policies/kiosk.lua:2: summary: a summary has 20 to 4000 tokens; 0: there is none (in "
         "history)"},
        {"return { summary = { at = 1.5 } }",
         "policies/kiosk.lua:2: summary.at: must be a number from 0 to 1 (in history)"},
        {"return { summary = { at = 'x' } }",
         "policies/kiosk.lua:2: summary.at: must be a number from 0 to 1 (in history)"},
        {"return { summary = { prompt = 1 } }",
         "policies/kiosk.lua:2: summary.prompt: must be text (in history)"},
        {"return { summary = { prompt = '\255' } }",
         "policies/kiosk.lua:2: summary.prompt: must be UTF-8 text of at most 4095 bytes (in "
         "history)"},
        {"return { summary = { prompt = ('x'):rep(5000) } }",
         "policies/kiosk.lua:2: summary.prompt: must be UTF-8 text of at most 4095 bytes (in "
         "history)"},
        {"return { summary = { model = 'small' } }",
         "policies/kiosk.lua:2: summary: a summary's model must be \"provider:model\", such as "
         "\"scripted:scripted\" (in history)"},
    };
    struct fixture *f = *state;
    struct talk t;

    talk_init(&t, "ann", SAFE_LIT("hi"));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[512];
        struct err err = ERR_INIT;
        struct history_plan plan;

        snprintf(text, sizeof(text), "return {\nhistory = function(view)\n%s end }", cases[i].body);
        struct policy *p = load_text(f, text);
        assert_int_equal(p->ops->history(p, &t.view, &plan, &err), E_POLICY);
        assert_string_equal(err.message, cases[i].message);
        assert_int_equal(plan.summary.tokens, 0);
        policy_unref(p);
    }
}

// What is not said of a summary is as for history.summarise.
static void test_policy_hooks__history_hook_summary(void **state)
{
    static const struct {
        const char *body;
        uint32_t last, slack, tokens, at_permille;
        const char *prompt, *model;
    } cases[] = {
        {"{}", 5, 20, 400, 500, "", ""},
        {"{ tokens = 99, at = 0.2, prompt = 'P', model = 'a:b' }", 5, 20, 99, 200, "P", "a:b"},
        {"{}, last = 30", 30, 30, 400, 500, "", ""},
        {"{}, last = 3, slack = 4", 3, 4, 400, 500, "", ""},
        {"{ tokens = 0 }, last = 3", 3, 0, 0, 500, "", ""},
        {"nil, last = 3", 3, 0, 0, 0, "", ""},
    };
    struct fixture *f = *state;
    struct talk t;

    talk_init(&t, "ann", SAFE_LIT("hi"));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[256];
        struct history_plan plan;

        snprintf(text, sizeof(text), "return { history = function() return { summary = %s } end }",
                 cases[i].body);
        struct policy *p = load_text(f, text);
        assert_int_equal(p->ops->history(p, &t.view, &plan, NULL), E_OK);
        assert_int_equal(plan.last, cases[i].last);
        assert_int_equal(plan.slack, cases[i].slack);
        assert_int_equal(plan.summary.tokens, cases[i].tokens);
        assert_int_equal(plan.summary.at_permille, cases[i].at_permille);
        assert_string_equal(plan.summary.prompt, cases[i].prompt);
        assert_string_equal(plan.summary.model, cases[i].model);
        policy_unref(p);
    }
}

static void test_policy_hooks__view_does_not_outlive(void **state)
{
    struct fixture *f = *state;
    // Within a hook a view may go anywhere; a coroutine that is given it dies with the hook.
    struct policy *p = load_text(f,
        "return { on_message = function(view)\n"
        "  local co = coroutine.wrap(function(v) coroutine.yield(v.text) end)\n"
        "  return { say = co(view) .. tostring(pcall(next, view)) } end }");
    struct talk t;

    talk_init(&t, "ann", SAFE_LIT("hi"));
    assert_says(p, &t, "hifalse");
    assert_says(p, &t, "hifalse");
    policy_unref(p);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_policy_hooks__##name, set_up, tear_down)

// A policy asks for less than the engine gives.
static void test_policy_hooks__limits(void **state)
{
    static const struct { const char *limits, *body, *message; } cases[] = {
        {"time_ms = 20", "while true do end",
         "policies/kiosk.lua:1: stopped: it ran longer than 20 ms (in on_message)"},
        {"fuel = 20000", "while true do local s = ('x'):rep(99) end",
         "policies/kiosk.lua:1: stopped: it used up its fuel of 20000 units (in on_message)"},
        {"memory_bytes = 3 << 19", "local t = {} while true do t[#t + 1] = {} end",
         "policies/kiosk.lua:1: stopped: out of memory: limit 1536 KiB (in on_message)"},
    };
    struct fixture *f = *state;
    struct talk t;

    talk_init(&t, "ann", SAFE_LIT("hi"));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[512];
        struct err err = ERR_INIT;
        struct plan plan;

        snprintf(text, sizeof(text),
                 "return { limits = { %s }, on_message = function(view) %s end }", cases[i].limits,
                 cases[i].body);
        struct policy *p = load_text(f, text);
        plan_init(&plan);
        assert_int_equal(ask(p, &t.view, &plan, &err), E_REFUSED);
        assert_string_equal(err.message, cases[i].message);
        policy_unref(p);
    }
}

// What is stopped again and again is not run for a while; then it is tried again.
static void test_policy_hooks__rest(void **state)
{
    struct fixture *f = *state;
    struct clock_sim clock;
    struct err err = ERR_INIT;
    struct plan plan;
    struct talk t;

    clock_sim_init(&clock, 0);
    lua_loader_free(f->loader);
    f->env.clock = &clock.clock;
    f->env.limits = (struct lua_limits){.hook_fuel = 100000};
    assert_int_equal(lua_loader_new(&f->loader, &f->env, NULL), E_OK);
    struct policy *p = load_text(f, "return { on_message = function(view)\n  while view.text == "
                                    "'loop' do end return { say = view.text }\nend }");
    talk_init(&t, "ann", SAFE_LIT("loop"));
    for (int64_t rest_ms = 1000; rest_ms <= 64000; rest_ms *= 2) {
        for (int i = 0; i < (rest_ms == 1000 ? 3 : 1); i++) {
            plan_init(&plan);
            assert_int_equal(ask(p, &t.view, &plan, &err), E_REFUSED);
            assert_non_null(strstr(err.message, "policies/kiosk.lua:2: stopped: it used up its "
                                                "fuel of 100000 units (in on_message)"));
        }
        assert_int_equal(ask(p, &t.view, &plan, &err), E_REFUSED);
        assert_non_null(strstr(err.message, "policies/kiosk.lua:1: not run, for it was stopped"));
        assert_int_equal(plan.verb, PLAN_GO);
        clock_sim_advance(&clock, rest_ms);
    }
    t.view.text = SAFE_LIT("hello");
    assert_says(p, &t, "hello");
    t.view.text = SAFE_LIT("loop");  // all is forgotten
    for (int i = 0; i < 3; i++) {
        plan_init(&plan);
        assert_int_equal(ask(p, &t.view, &plan, &err), E_REFUSED);
        assert_non_null(strstr(err.message, "stopped: it used up"));
    }
    policy_unref(p);
}

// ---- hooks that take long, by a clock that moves when it is read

enum { TICK_NS = 100, QUICK_CALLS = 100 };

struct ticking {
    struct clock clock;
    int64_t now_ns;
    unsigned pauses;
};

static int64_t tick(void *self)
{
    struct ticking *t = self;

    return t->now_ns += TICK_NS;
}

static void *begin(void *user)
{
    return user;
}

static struct way_slice pause_it(void *work)
{
    struct ticking *t = work;

    t->pauses++;
    return (struct way_slice){.ns = 1000000};
}

static void end(void *work)
{
    (void)work;
}

static unsigned pauses_of(struct ticking *t, struct policy *p, struct talk *talk, const char *text)
{
    talk->view.text = (struct safe_text){text, strlen(text)};
    t->pauses = 0;
    assert_says(p, talk, text);
    return t->pauses;
}

// A hook that took long begins aside, until it was quick for a while; the policy's others do not.
static void test_policy_hooks__aside(void **state)
{
    struct fixture *f = *state;
    struct ticking t = {.clock = {.mono_ns = tick, .wall_ms = tick, .self = &t}};
    struct talk talk;
    struct history_plan plan;
    struct err err = ERR_INIT;

    lua_loader_free(f->loader);
    f->env.clock = &t.clock;
    f->env.way = (struct way){.begin = begin, .pause = pause_it, .end = end, .user = &t};
    assert_int_equal(lua_loader_new(&f->loader, &f->env, NULL), E_OK);
    struct policy *p = load_text(
        f, "return { on_message = function(v)\n"
           "  if v.text == 'slow' then for i = 1, 1e5 do end end\n"
           "  return { say = v.text } end,\n"
           "  history = function(v) return {} end }\n");
    talk_init(&talk, "ann", SAFE_LIT("quick"));
    assert_int_equal(pauses_of(&t, p, &talk, "quick"), 0);
    for (int round = 0; round < 2; round++) {
        assert_true(pauses_of(&t, p, &talk, "slow") > 0);
        for (int i = 0; i < QUICK_CALLS; i++)
            assert_int_equal(pauses_of(&t, p, &talk, "quick"), 1);
        assert_int_equal(pauses_of(&t, p, &talk, "quick"), 0);
        assert_true(pauses_of(&t, p, &talk, "slow") > 0);
        t.pauses = 0;
        assert_int_equal(p->ops->history(p, &talk.view, &plan, &err), E_OK);
        assert_int_equal(t.pauses, 0);
    }
    policy_unref(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(view), TEST(plans), TEST(failing_hooks), TEST(history_hook),
        TEST(history_hook_summary_refused), TEST(history_hook_summary),
        TEST(view_does_not_outlive), TEST(limits), TEST(rest),
        TEST(aside),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
