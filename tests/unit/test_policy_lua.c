// SPDX-License-Identifier: MIT
// test_policy_lua.c: loading policies: what they may say, and every refusal in its exact words.
#include "policy_kit.h"

static void test_policy_lua__shipped(void **state)
{
    struct fixture *f = *state;
    struct policy *p = NULL;
    struct history_plan plan;
    struct err err = ERR_INIT;

    assert_int_equal(load(f, "hello", &p, &err), E_OK);
    assert_string_equal(p->info.name, "hello");
    assert_int_equal(strlen(p->info.version), strlen("hello@12345678"));
    assert_memory_equal(p->info.version, "hello@", 6);
    assert_string_equal(p->info.file, "policies/hello.lua");
    assert_string_equal(p->info.title, "Hello");
    assert_null(p->info.model);
    assert_true(p->info.system.len > 50);
    assert_true(p->info.system_hash != 0);
    assert_int_equal(p->info.needs_turns, 0);
    assert_false(p->info.has_on_message || p->info.has_on_reply);
    assert_int_equal(p->ops->history(p, NULL, &plan, &err), E_OK);
    assert_string_equal(plan.strategy, "full");
    assert_int_equal(plan.last, UINT32_MAX);
    policy_unref(p);
    assert_int_equal(load(f, "plain", &p, &err), E_OK);
    assert_int_equal(p->info.system.len, 0);
    assert_int_equal(p->info.system_hash, 0);
    assert_int_equal(p->ops->history(p, NULL, &plan, &err), E_OK);
    assert_string_equal(plan.strategy, "full");
    policy_unref(p);
    assert_string_equal(f->log, "");
}

static void test_policy_lua__folder_hides_built_in(void **state)
{
    struct fixture *f = *state;
    struct policy *a = NULL, *b = NULL;
    struct err err = ERR_INIT;

    assert_int_equal(load(f, "hello", &a, &err), E_OK);
    write_file("policies/hello.lua", "return { title = 'Mine' }");
    assert_int_equal(load(f, "hello", &b, &err), E_OK);
    assert_string_equal(b->info.title, "Mine");
    assert_string_not_equal(a->info.version, b->info.version);
    policy_unref(a);
    policy_unref(b);
}

static void test_policy_lua__all_keys(void **state)
{
    struct fixture *f = *state;
    struct policy *p = load_text(f,
        "local history = require 'parley.history'\n"
        "return {\n"
        "  title = 'Kiosk', model = 'openai:gpt', system = [[Be brief.]],\n"
        "  history = history.window { keep_turns = 8,\n    pin_first = 1 },\n"
        "  limits = { max_output_tokens = 300 },\n"
        "  memory = {},\n"
        "  flows = {},\n"
        "  on_message = function(view) end, on_reply = function(view, reply) end,\n"
        "}\n");
    struct history_plan plan;

    assert_string_equal(p->info.model, "openai:gpt");
    assert_text(p->info.system, "Be brief.");
    assert_int_equal(p->info.max_output_tokens, 300);
    assert_true(p->info.has_on_message && p->info.has_on_reply);
    assert_int_equal(p->ops->history(p, NULL, &plan, NULL), E_OK);
    assert_string_equal(plan.strategy, "window");
    assert_string_equal(plan.by, "policies/kiosk.lua:4");
    assert_int_equal(plan.last, 8);
    assert_int_equal(plan.pin_first, 1);
    assert_int_equal(plan.budget_tokens, 0);
    assert_string_equal(f->log, "warn policies/kiosk.lua:8: flows has no effect yet\n");
    assert_true(p->info.memory.on);
    policy_unref(p);
    p = load_text(f, "return { history = require('parley.history').hybrid { recall = 3,\n"
                     "summarise_at = 0.5 } }");
    assert_int_equal(p->ops->history(p, NULL, &plan, NULL), E_OK);
    assert_string_equal(plan.strategy, "hybrid");
    assert_int_equal(plan.recall, 3);
    assert_int_equal(plan.recall_tokens, PLAN_RECALL_TOKENS_DEFAULT);
    assert_int_equal(plan.last, PLAN_KEEP_DEFAULT);
    assert_int_equal(plan.slack, PLAN_SUMMARY_SLACK_MIN);
    assert_int_equal(plan.summary.tokens, PLAN_SUMMARY_TOKENS_DEFAULT);
    assert_int_equal(plan.summary.at_permille, 500);
    assert_null(strstr(f->log, "summarise_at"));
    policy_unref(p);
    p = load_text(f, "return { history = require('parley.history').summarise { keep_turns = 20,\n"
                     "summarise_at = 0.25, summary_tokens = 99, prompt = 'Note it.',\n"
                     "model = 'openai:small' } }");
    assert_int_equal(p->ops->history(p, NULL, &plan, NULL), E_OK);
    assert_string_equal(plan.strategy, "summarise");
    assert_int_equal(plan.last, 20);
    assert_int_equal(plan.slack, 20);
    assert_int_equal(plan.recall, 0);
    assert_int_equal(plan.summary.tokens, 99);
    assert_int_equal(plan.summary.at_permille, 250);
    assert_string_equal(plan.summary.prompt, "Note it.");
    assert_string_equal(plan.summary.model, "openai:small");
    policy_unref(p);
    p = load_text(f, "return { history = require('parley.history').hybrid { keep_turns = 3,\n"
                     "summary_tokens = 0 } }");
    assert_int_equal(p->ops->history(p, NULL, &plan, NULL), E_OK);
    assert_int_equal(plan.summary.tokens, 0);
    assert_int_equal(plan.slack, 0);
    policy_unref(p);
    p = load_text(f, "return { history = require('parley.history').recall { budget_tokens = 7 } }");
    assert_int_equal(p->ops->history(p, NULL, &plan, NULL), E_OK);
    assert_int_equal(plan.recall, PLAN_RECALL_DEFAULT);
    assert_int_equal(plan.recall_tokens, 7);
    assert_int_equal(plan.budget_tokens, 0);
    policy_unref(p);
    p = load_text(f, "return { history = require('parley.history').truncate { budget_tokens = 99 "
                     "} }");
    assert_int_equal(p->ops->history(p, NULL, &plan, NULL), E_OK);
    assert_string_equal(plan.strategy, "truncate");
    assert_int_equal(plan.budget_tokens, 99);
    assert_int_equal(plan.last, UINT32_MAX);
    policy_unref(p);
}

#define POLICY_KEYS                                                                                \
    "title, model, system, history, on_message, on_reply, limits, expiry, resume, privacy, "      \
    "memory, tools, devices, flows"

static const struct { const char *text, *message; } refusals[] = {
    {"return {\n  titel = 'x' }", "policies/kiosk.lua:2: titel: unknown key (did you mean "
                                  "title?)"},
    {"return {\n\n frobnicate = 1 }", "policies/kiosk.lua:3: frobnicate: unknown key; there are "
     POLICY_KEYS},
    {"return { 7 }", "policies/kiosk.lua:1: [item]: unknown key; there are "
     POLICY_KEYS},
    {"return { title = 7 }", "policies/kiosk.lua:1: title: must be text, not a number"},
    {"return { history = 'full' }",
     "policies/kiosk.lua:1: history: must be a table or a function, not a string"},
    {"return { history = {} }", "policies/kiosk.lua:1: history: must be a strategy of "
                                "parley.history,"
     " as in history.window { keep_turns = 8 }, or a function(view)"},
    {"return { history = { strategy = 'windwo', options = {} } }",
     "policies/kiosk.lua:1: history: 'windwo' is no strategy (did you mean window)"},
    {"local history = require 'parley.history'\n-- keep_turn = 1\nlocal s = 'keep_turn = 2'\n"
     "local function f() return { keep_turn = 3 } end\nreturn {\n  title = 'history',\n"
     "  history = history.window {\n    pin_first = 1,\n    keep_turn = 5,\n  },\n}",
     "policies/kiosk.lua:9: history.keep_turn: unknown key (did you mean keep_turns?)"},
    {"local h = require 'parley.history'\nreturn { history = h.window { keep_turns = -1 } }",
     "policies/kiosk.lua:2: history.keep_turns: must be a whole number, 0 or more"},
    {"local h = require 'parley.history'\nreturn { history = h.window { keep_turns = 1.5 } }",
     "policies/kiosk.lua:2: history.keep_turns: must be a whole number, 0 or more"},
    {"local h = require 'parley.history'\nreturn { history = h.window { pin_first = 1 } }",
     "policies/kiosk.lua:2: history: history.window needs keep_turns, as in history.window { "
     "keep_turns = 20 }"},
    {"local h = require 'parley.history'\nreturn { history = h.truncate {} }",
     "policies/kiosk.lua:2: history: history.truncate needs budget_tokens, as in history.truncate "
     "{ budget_tokens = 8000 }"},
    {"local h = require 'parley.history'\nreturn { history = h.full { x = 1 } }",
     "policies/kiosk.lua:2: history.x: unknown key; there are constraints"},
    {"local h = require 'parley.history'\nreturn { history = h.full(3) }",
     "policies/kiosk.lua:2: history: options must be a table"},
    {"local h = require 'parley.history'\nreturn { history = h.window }",
     "policies/kiosk.lua:2: history: a strategy is made by a call, as in history.window { "
     "keep_turns = 8 }"},
    {"local h = require 'parley.history'\n\nreturn { history = h.summary {} }",
     "policies/kiosk.lua:3: history.summary: there is no such strategy; there are full, "
     "truncate, window, summarise, recall and hybrid"},
    {"local h = require 'parley.history'\nreturn { history = h.recall { k = 33 } }",
     "policies/kiosk.lua:2: history: k: at most 32 turns can be recalled"},
    {"local h = require 'parley.history'\nreturn { history = h.hybrid { summarise_at = 2 } }",
     "policies/kiosk.lua:2: history.summarise_at: must be a number from 0 to 1"},
    {"local h = require 'parley.history'\nreturn { history = h.summarise { summary_token = 9 } }",
     "policies/kiosk.lua:2: history.summary_token: unknown key (did you mean summary_tokens?)"},
    {"local h = require 'parley.history'\nreturn { history = h.summarise { summary_tokens = 9 } }",
     "policies/kiosk.lua:2: history: a summary has 20 to 4000 tokens; 0: there is none"},
    {"local h = require 'parley.history'\nreturn { history = h.hybrid { model = 'small' } }",
     "policies/kiosk.lua:2: history: a summary's model must be \"provider:model\", such as "
     "\"scripted:scripted\""},
    {"local h = require 'parley.history'\nreturn { history = h.hybrid { prompt = 'a\\0b' } }",
     "policies/kiosk.lua:2: history: prompt: must be UTF-8 text of at most 4095 bytes"},
    {"return { limits = {\n time_ms = 101 } }",
     "policies/kiosk.lua:2: limits.time_ms: must be from 1 to 100, which is what the engine gives"},
    {"return { limits = { time_ms = 0 } }",
     "policies/kiosk.lua:1: limits.time_ms: must be from 1 to 100, which is what the engine gives"},
    {"return { limits = { fuel = 9999 } }",
     "policies/kiosk.lua:1: limits.fuel: must be from 10000 to 10000000, which is what the engine "
     "gives"},
    {"return { limits = { fuel = 1 << 40 } }",
     "policies/kiosk.lua:1: limits.fuel: must be from 10000 to 10000000, which is what the engine "
     "gives"},
    {"return { limits = { fuel = 'much' } }",
     "policies/kiosk.lua:1: limits.fuel: must be a whole number, 0 or more, not a string"},
    {"return { limits = { memory_bytes = 17 << 20 } }",
     "policies/kiosk.lua:1: limits.memory_bytes: must be from 1048576 to 16777216, which is what "
     "the engine gives"},
    {"local t = ('x'):rep(999999)\nreturn { limits = { memory_bytes = 1 << 20 }, title = t }",
     NULL},
    {"return { limits = {\n max_output_token = 1 } }",
     "policies/kiosk.lua:2: limits.max_output_token: unknown key (did you mean "
     "max_output_tokens?)"},
    {"return { model = 'gpt' }",
     "policies/kiosk.lua:1: model: must be \"provider:model\", such as \"scripted:scripted\""},
    {"return { on_message = {} }",
     "policies/kiosk.lua:1: on_message: must be a function, not a table"},
    {"return { expiry = 3 }",
     "policies/kiosk.lua:1: expiry: must be a table or a function, not a number"},
    {"return 3", "policies/kiosk.lua: must return a table, as in return { system = \"…\" }; "
                 "it returns "
     "a number"},
    {"", "policies/kiosk.lua: must return a table, as in return { system = \"…\" }; it "
         "returns nothing"},
    {"return {", "policies/kiosk.lua:1: unexpected symbol near <eof>"},
    {"\n\nerror('no')", "policies/kiosk.lua:3: no"},
    {"local x\nx.y = 1", "policies/kiosk.lua:2: attempt to index a nil value (local 'x')"},
    {"return { system = '\\255' }", NULL},
    {"\n\nwhile true do end", "policies/kiosk.lua:3: stopped: it ran longer than 300 ms"},
    {"local t = {} for i = 1, 1e9 do t[i] = i end",
     "policies/kiosk.lua:1: stopped: out of memory: limit 16 MiB"},
    {"n = 0 return {}", "policies/kiosk.lua:1: 'n' cannot be set: what outlives a call is "
                        "read-only; "
     "declare a local, or return it in the plan's state"},
    {"local n = 0\nreturn { on_message = function(view)\n  n = n + 1\nend }",
     "policies/kiosk.lua:3: 'n' is set here, but it outlives the call and other users would "
     "see it; "
     "declare it inside the hook, or return it in the plan's state"},
    {"\x1bLuaT", NULL},
};

static void test_policy_lua__refusals(void **state)
{
    struct fixture *f = *state;

    use_limits(f, 0, 300);
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        struct policy *p = NULL;
        struct err err = ERR_INIT;

        write_file("policies/kiosk.lua", refusals[i].text);
        assert_int_equal(load(f, "kiosk", &p, &err), E_POLICY);
        assert_null(p);
        if (refusals[i].message)
            assert_string_equal(err.message, refusals[i].message);
        assert_memory_equal(err.message, "policies/kiosk.lua:", 19);
        assert_int_equal(lua_check_policy(&f->env, "policies/kiosk.lua", &err), E_POLICY);
        if (refusals[i].message)
            assert_string_equal(err.message, refusals[i].message);
    }
}

static void test_policy_lua__unknown_bots(void **state)
{
    struct fixture *f = *state;
    struct policy *p = NULL;
    struct err err = ERR_INIT;

    assert_int_equal(load(f, "helo", &p, &err), E_POLICY);
    assert_string_equal(err.message, "there is no bot 'helo' (did you mean hello?)");
    write_file("policies/kiosk.lua", "return {}");
    assert_int_equal(load(f, "kisok", &p, &err), E_POLICY);
    assert_string_equal(err.message, "there is no bot 'kisok' (did you mean kiosk?)");
    assert_int_equal(load(f, "frobnicator", &p, &err), E_POLICY);
    assert_string_equal(err.message, "there is no bot 'frobnicator': write "
                                     "policies/frobnicator.lua, or "
                                     "choose another with --bot");
    assert_int_equal(load(f, "../policies/kiosk", &p, &err), E_POLICY);
    assert_int_equal(load(f, "", &p, &err), E_POLICY);
    assert_int_equal(load(f, "-x", &p, &err), E_POLICY);
    assert_int_equal(mkdir("policies/folder.lua", 0700), 0);
    assert_int_equal(load(f, "folder", &p, &err), E_POLICY);
    assert_string_equal(err.message, "policies/folder.lua: cannot be read: not a file");
    assert_int_equal(lua_check_policy(&f->env, "nowhere.lua", &err), E_POLICY);
    assert_string_equal(err.message, "nowhere.lua: there is no such file");
    f->env.policies_dir = NULL;
    assert_int_equal(lua_check_policy(&f->env, "policies/kiosk.lua", &err), E_OK);
}

// Where Lua would cut a path in the middle, folders are left out instead.
static void test_policy_lua__long_paths(void **state)
{
    struct fixture *f = *state;
    struct policy *p = NULL;
    struct err err = ERR_INIT;

    assert_int_equal(mkdir("a-folder-with-a-rather-long-name-for-a-folder", 0700), 0);
    assert_int_equal(mkdir("a-folder-with-a-rather-long-name-for-a-folder/policies", 0700), 0);
    f->env.policies_dir = "a-folder-with-a-rather-long-name-for-a-folder/policies";
    use_limits(f, 0, 0);
    write_file("a-folder-with-a-rather-long-name-for-a-folder/policies/kiosk.lua",
               "\nerror('no')");
    assert_int_equal(load(f, "kiosk", &p, &err), E_POLICY);
    assert_string_equal(err.message, "policies/kiosk.lua:2: no");
    write_file("a-folder-with-a-rather-long-name-for-a-folder/policies/kiosk.lua",
               "return { titel = 1 }");
    assert_int_equal(load(f, "kiosk", &p, &err), E_POLICY);
    assert_memory_equal(err.message, "policies/kiosk.lua:1: titel", 27);
}

static void add_name(void *user, const char *bot, const char *file)
{
    strcat(strcat(strcat(strcat(user, bot), "="), file), " ");
}

static void test_policy_lua__bots(void **state)
{
    struct fixture *f = *state;
    char names[4096] = "";

    write_file("policies/zebra.lua", "");
    write_file("policies/hello.lua", "");
    write_file("policies/zebra_test.lua", "");
    write_file("policies/notes.txt", "");
    lua_bots(&f->env, add_name, names);
    assert_non_null(strstr(names, "hello=policies/hello.lua plain=policies/plain.lua "));
    assert_non_null(strstr(names, "zebra=policies/zebra.lua "));
    assert_null(strstr(names, "test"));
    assert_null(strstr(names, "notes"));
}

// Through the version host: an endless file is run once, until it is changed.
static void test_policy_lua__a_file_that_fails_rests(void **state)
{
    struct fixture *f = *state;
    struct clock_sim clock;
    struct policy_host *h = NULL;
    struct policy *p = NULL;
    struct err first = ERR_INIT, err = ERR_INIT;

    use_limits(f, 5000, 20);
    struct policy_loader ops = lua_loader_ops(f->loader);
    clock_sim_init(&clock, 0);
    assert_int_equal(policy_host_new(&h, &ops, &clock.clock, &f->sink, NULL), E_OK);
    assert_int_equal(ops.stamp(ops.self, "kiosk"), 0);
    write_file("policies/kiosk.lua", "\nwhile true do end");
    uint64_t stamp = ops.stamp(ops.self, "kiosk");
    assert_true(stamp != 0 && stamp == ops.stamp(ops.self, "kiosk"));
    assert_int_equal(policy_host_get(h, "kiosk", &p, &first), E_POLICY);
    assert_non_null(strstr(first.message, "policies/kiosk.lua:2: stopped: it ran longer than 20"));
    // Would it be loaded again, ten thousand times would take minutes.
    for (int i = 0; i < 10000; i++) {
        assert_int_equal(policy_host_get(h, "kiosk", &p, &err), E_POLICY);
        assert_string_equal(err.message, first.message);
    }
    write_file("policies/kiosk.lua", "return { system = 'mended' }");
    assert_true(ops.stamp(ops.self, "kiosk") != stamp);
    assert_int_equal(policy_host_get(h, "kiosk", &p, NULL), E_OK);
    policy_unref(p);
    policy_host_free(h);
}

static void test_policy_lua__out_of_memory(void **state)
{
    struct fixture *f = *state;
    int done = 0;

    write_file("policies/kiosk.lua",
               "local history = require 'parley.history'\nreturn { title = 't', system = 's', "
               "model = 'a:b', "
               "history = history.window { keep_turns = 3 }, on_message = function(v) return { "
               "say = 'x', "
               "state = { a = 1 } } end }");
    for (uint64_t n = 1; !done && n < 50000; n += 1 + n / 16) {
        struct policy *p = NULL;
        struct err err = ERR_INIT;

        mem_fail_at(n, 1);
        int rc = load(f, "kiosk", &p, &err);
        if (rc == E_OK) {
            struct talk t;
            struct plan plan;

            talk_init(&t, "ann", SAFE_LIT("hi"));
            plan_init(&plan);
            done = ask(p, &t.view, &plan, &err) == E_OK;
            mem_fail_at(0, 0);
            plan_release(&plan);
            assert_says(p, &t, "x");
            policy_unref(p);
        } else {
            mem_fail_at(0, 0);
            assert_int_equal(rc, E_NOMEM);
        }
    }
    assert_true(done);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_policy_lua__##name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(shipped), TEST(folder_hides_built_in), TEST(all_keys), TEST(refusals),
        TEST(unknown_bots), TEST(long_paths), TEST(bots),
        TEST(a_file_that_fails_rests), TEST(out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
