// SPDX-License-Identifier: MIT
// test_policy_lua.c: policies as people write them: what is refused and how, what hooks decide,
// what happens when they fail, and that no user ever sees anything of another.
#include "lua/lua_room.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

// ---- a folder of its own for each test, "policies" below a temporary one, which is the current
// one

struct fixture {
    char dir[64], home[1024];
    char log[4096];
    struct log sink;
    struct lua_env env;
    struct lua_loader *loader;
};

static void keep_line(void *user, enum log_level level, const char *line)
{
    struct fixture *f = user;
    size_t len = strlen(f->log);

    snprintf(f->log + len, sizeof(f->log) - len, "%s %s\n", log_level_word(level), line);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    snprintf(f->dir, sizeof(f->dir), "/tmp/parley-test-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    assert_non_null(getcwd(f->home, sizeof(f->home)));
    assert_int_equal(chdir(f->dir), 0);
    assert_int_equal(mkdir("policies", 0700), 0);
    f->sink = (struct log){.sink = keep_line, .user = f, .min_level = LOG_WARN};
    f->env = (struct lua_env){.policies_dir = "policies", .clock = clock_system(), .log = &f->sink};
    f->env.limits.hook_ms = 50;
    assert_int_equal(lua_loader_new(&f->loader, &f->env, NULL), E_OK);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    char command[128];

    lua_loader_free(f->loader);
    assert_int_equal(chdir(f->home), 0);
    snprintf(command, sizeof(command), "rm -r %s", f->dir);
    assert_int_equal(system(command), 0);
    free(f);
    return 0;
}

static void write_file(const char *path, const char *text)
{
    FILE *out = fopen(path, "w");

    assert_non_null(out);
    fputs(text, out);
    fclose(out);
}

static int load(struct fixture *f, const char *bot, struct policy **out, struct err *err)
{
    struct policy_loader ops = lua_loader_ops(f->loader);

    err->message[0] = '\0';
    return ops.load(ops.self, bot, out, err);
}

static struct policy *load_text(struct fixture *f, const char *text)
{
    struct policy *p = NULL;
    struct err err = ERR_INIT;

    write_file("policies/kiosk.lua", text);
    if (load(f, "kiosk", &p, &err) != E_OK)
        fail_msg("%s\n%s", text, err.message);
    return p;
}

// ---- a conversation of three turns, the second superseded

struct talk {
    struct chat chat;
    struct turn turns[4];
    struct step steps[4][2];
    struct block blocks[4][3];
    struct policy_view view;
};

static void say(struct talk *t, int turn, int step, const char *text, uint32_t tokens)
{
    struct block *b = &t->blocks[turn][step];

    *b = (struct block){.type = BLOCK_TEXT, .text = {text, strlen(text)}};
    t->steps[turn][step] = (struct step){.role = step ? ROLE_ASSISTANT : ROLE_USER,
                                         .content = {b, 1}, .tokens = tokens, .at_ms = 1000};
}

static void talk_init(struct talk *t, const char *user, struct safe_text text)
{
    memset(t, 0, sizeof(*t));
    say(t, 0, 0, "I am Ann", 7);
    say(t, 0, 1, "Hello Ann", 8);
    say(t, 1, 0, "second", 5);
    say(t, 1, 1, "answer", 5);
    say(t, 2, 0, "third", 6);
    say(t, 3, 0, "now", 4);
    for (uint32_t i = 0; i < 4; i++)
        t->turns[i] = (struct turn){.n = i + 1, .status = TURN_DONE, .steps = t->steps[i],
                                    .steps_len = 2, .at_ms = 1500 + i};
    t->turns[1].superseded = true;
    t->turns[2].status = TURN_FAILED;
    t->turns[2].steps_len = 1;
    t->turns[3].status = TURN_OPEN;
    t->turns[3].steps_len = 1;
    t->chat = (struct chat){.first = 1, .turns = t->turns, .turns_len = 4};
    snprintf(t->chat.head.id, sizeof(t->chat.head.id), "3f0c1a52-0000-4000-8000-000000000001");
    t->chat.head.turns = 4;
    t->view = (struct policy_view){
        .chat = &t->chat, .user = user, .context = "ticket-7", .turn = 4, .text = text,
        .now_ms = 1700000000500, .gap_ms = 90000, .window_tokens = 8000, .history_tokens = 21,
        .budget_tokens = 5000,
    };
}

// What on_message decides about `text`: plan->text for PLAN_SAY.
static int ask(struct policy *p, struct policy_view *view, struct plan *plan, struct err *err)
{
    err->message[0] = '\0';
    return p->ops->on_message(p, view, plan, err);
}

static void assert_text(struct safe_text t, const char *want)
{
    if (!slice_is(safe_slice(t), want))
        fail_msg("'%.*s' is not '%s'", SLICE_FMT(t), want);
}

static void assert_says(struct policy *p, struct talk *t, const char *want)
{
    struct err err = ERR_INIT;
    struct plan plan;

    plan_init(&plan);
    if (ask(p, &t->view, &plan, &err) != E_OK)
        fail_msg("%s", err.message);
    assert_int_equal(plan.verb, PLAN_SAY);
    assert_text(safe_buf_text(&plan.text), want);
    plan_release(&plan);
}

// ---- loading

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
        "  expiry = { kind = 'fixed' },\n"
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
    assert_string_equal(f->log, "warn policies/kiosk.lua:7: expiry has no effect yet\n"
                                "warn policies/kiosk.lua:8: flows has no effect yet\n");
    policy_unref(p);
    p = load_text(f, "return { history = require('parley.history').truncate { budget_tokens = 99 "
                     "} }");
    assert_int_equal(p->ops->history(p, NULL, &plan, NULL), E_OK);
    assert_string_equal(plan.strategy, "truncate");
    assert_int_equal(plan.budget_tokens, 99);
    assert_int_equal(plan.last, UINT32_MAX);
    policy_unref(p);
}

static void test_policy_lua__refusals(void **state)
{
    static const struct { const char *text, *message; } bad[] = {
        {"return {\n  titel = 'x' }", "policies/kiosk.lua:2: titel: unknown key (did you mean "
                                      "title?)"},
        {"return {\n\n frobnicate = 1 }", "policies/kiosk.lua:3: frobnicate: unknown key"},
        {"return { 7 }", "policies/kiosk.lua:1: [item]: unknown key"},
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
        {"local h = require 'parley.history'\nreturn { history = h.full { x = 1 } }",
         "policies/kiosk.lua:2: history.x: unknown key"},
        {"local h = require 'parley.history'\nreturn { history = h.full(3) }",
         "policies/kiosk.lua:2: history: options must be a table"},
        {"local h = require 'parley.history'\n\nreturn { history = h.hybrid {} }",
         "policies/kiosk.lua:3: history.hybrid: there is no such strategy; there are full, "
         "truncate and "
         "window"},
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
             "returns a nil"},
        {"return {", "policies/kiosk.lua:1: unexpected symbol near <eof>"},
        {"\n\nerror('no')", "policies/kiosk.lua:3: no"},
        {"local x\nx.y = 1", "policies/kiosk.lua:2: attempt to index a nil value (local 'x')"},
        {"return { system = '\\255' }", NULL},
        {"\n\nwhile true do end", "policies/kiosk.lua:3: stopped: it ran longer than 1000 ms"},
        {"local t = {} for i = 1, 1e9 do t[i] = i end",
         "policies/kiosk.lua: out of memory: limit 32 MiB"},
        {"n = 0 return {}", "policies/kiosk.lua:1: 'n' cannot be set: what outlives a call is "
                            "read-only; "
         "declare a local, or return it in the plan's state"},
        {"local n = 0\nreturn { on_message = function(view)\n  n = n + 1\nend }",
         "policies/kiosk.lua:3: 'n' is set here, but it outlives the call and other users would "
         "see it; "
         "declare it inside the hook, or return it in the plan's state"},
        {"\x1bLuaT", NULL},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct policy *p = NULL;
        struct err err = ERR_INIT;

        write_file("policies/kiosk.lua", bad[i].text);
        assert_int_equal(load(f, "kiosk", &p, &err), E_POLICY);
        assert_null(p);
        if (bad[i].message)
            assert_string_equal(err.message, bad[i].message);
        assert_memory_equal(err.message, "policies/kiosk.lua:", 19);
        assert_int_equal(lua_check_policy(&f->env, "policies/kiosk.lua", &err), E_POLICY);
        if (bad[i].message)
            assert_string_equal(err.message, bad[i].message);
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

// ---- hooks

static void test_policy_lua__view(void **state)
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
        "view.session, "
        "view.gap, view.now, view.tokens.window, view.tokens.history, view.tokens.budget, #h, n, "
        "k > 8 and "
        "'all' or k, h[0] == nil and h[4] == nil and h.x == nil and 'nil', m:match('view is.*'), "
        "m2:match('view%..*'), table.concat(out, ';') }, '|') }\n"
        "end }\n");
    struct talk t;

    talk_init(&t, "ann", SAFE_LIT("hi"));
    assert_says(p, &t,
        "hi|ann|ticket-7|4|3f0c1a52-0000-4000-8000-000000000001|90.0|1700000000.5|8000|21|5000|3|6|all|nil|"
        "view is read-only: return a plan instead|view.histroy: there is no such field (did you "
        "mean "
        "history?)|1:I am Ann:Hello Ann:15:done:false:1.5;2:second:answer:10:done:true:1.5;"
        "3:third::6:failed:false:1.5");
    t.chat.first = 3;  // only the newest are loaded
    t.chat.turns = &t.turns[2];
    t.chat.turns_len = 2;
    policy_unref(p);
    p = load_text(f, "return { on_message = function(view) return { say = #view.history .. '/' .. "
                     "view.history[1].user } end }");
    assert_says(p, &t, "1/third");
    policy_unref(p);
}

static void test_policy_lua__plans(void **state)
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
static void test_policy_lua__failing_hooks(void **state)
{
    static const struct { const char *body, *message; } bad[] = {
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
        {"return { say = 'x', state = 3 }",
         "policies/kiosk.lua:1: state: must be a table, not a number (in on_message)"},
        {"return { say = ('x'):rep(600000) }", NULL},
        {"while true do end", "policies/kiosk.lua:2: stopped: it ran longer than 50 ms (in "
                              "on_message)"},
        {"while true do pcall(error) end", NULL},
        {"local t = {} for i = 1, 1e9 do t[i] = { i } end", NULL},
        {"return setmetatable({}, { __index = function() while true do end end })", ""},
    };
    struct fixture *f = *state;
    struct talk t;

    talk_init(&t, "ann", SAFE_LIT("hi"));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char text[512];
        struct err err = ERR_INIT;
        struct plan plan;

        snprintf(text, sizeof(text), "return { on_message = function(view) if view.turn == 9 then "
                                     "return "
                 "{ say = 'sound' } end\n%s end }", bad[i].body);
        struct policy *p = load_text(f, text);
        plan_init(&plan);
        t.view.turn = 4;
        int rc = ask(p, &t.view, &plan, &err);
        assert_int_equal(rc, bad[i].message && !bad[i].message[0] ? E_OK : E_POLICY);
        if (bad[i].message)
            assert_string_equal(err.message, bad[i].message);
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

static void test_policy_lua__history_hook(void **state)
{
    static const struct { const char *body, *message; } cases[] = {
        {"return { last = 2, pin = { 3, 1, 3 }, pin_first = 1, budget_tokens = 50 }", ""},
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
        {"return { pin = { 4 } }", "policies/kiosk.lua:2: pin: item 1 is not the number of an "
                                   "earlier turn "
                                   "(in history)"},
        {"return { pin = { 1, 0 } }", "policies/kiosk.lua:2: pin: item 2 is not the number of an "
                                      "earlier "
                                      "turn (in history)"},
        {"return { pin = 3 }", "policies/kiosk.lua:2: pin: must be a list of turns, as in { 1, 4 "
                               "} (in "
                               "history)"},
        {"local t = {} for i = 1, 300 do t[i] = 1 end return { pin = t }",
         "policies/kiosk.lua:2: pin: too many turns (at most 256) (in history)"},
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

// ---- two users

// Each body tries to keep `view.text` and to tell what was kept. The first user's text is a canary;
// the policy may be refused at load, or fail, but the second user never sees the canary.
static void test_policy_lua__two_users(void **state)
{
    static const char *const bodies[] = {
        "local kept return { on_message = function(v) local was = kept kept = v.text return { say "
        "= was or "
        "'-' } end }",
        "local kept = {} return { on_message = function(v) local was = kept[1] kept[1] = v.text "
        "return { say "
        "= was or '-' } end }",
        "local kept = {} return { on_message = function(v) local was = next(kept) "
        "pcall(table.insert, kept, "
        "v.text) return { say = was and kept[was] or '-' } end }",
        "return { on_message = function(v) local was = kept kept = v.text return { say = was or "
        "'-' } end }",
        "return { on_message = function(v) local was = _ENV.kept pcall(function() _ENV.kept = "
        "v.text end) "
        "return { say = was or '-' } end }",
        "return { on_message = function(v) local was = string.kept pcall(function() string.kept = "
        "v.text end) "
        "return { say = was or '-' } end }",
        "return { on_message = function(v) local mt = getmetatable('') local was = mt and mt.kept "
        "pcall(function() mt.kept = v.text end) return { say = was or '-' } end }",
        "return { on_message = function(v) local was = ('x').kept pcall(function() local s = "
        "string "
        "s.kept = v.text end) return { say = was or '-' } end }",
        "local P = {} P.on_message = function(v) local was = P.kept pcall(function() P.kept = "
        "v.text end) "
        "return { say = was or '-' } end return P",
        "local mt = {} local P = {} local o = setmetatable({}, mt) P.on_message = function(v) "
        "local was = "
        "mt.kept or o.kept pcall(function() mt.kept = v.text end) pcall(function() o.kept = "
        "v.text end) "
        "pcall(function() getmetatable(o).kept = v.text end) return { say = was or '-' } end "
        "return P",
        "local C = {} C.__index = C return { on_message = function(v) local o = setmetatable({}, "
        "C) local was "
        "= o.kept pcall(function() getmetatable(o).kept = v.text end) pcall(function() C.kept = "
        "v.text end) "
        "return { say = was or '-' } end }",
        "local keep = coroutine.wrap(function(t) while true do t = coroutine.yield(t) end end) "
        "return { "
        "on_message = function(v) return { say = keep(v.text) or '-' } end }",
        "local co = coroutine.create(function(t) while true do t = coroutine.yield(t) end end) "
        "return { "
        "on_message = function(v) local _, was = coroutine.resume(co, v.text) return { say = was "
        "or '-' } "
        "end }",
        "local function cell() local kept return function(t) local was = kept kept = t return was "
        "end end "
        "local c = cell() return { on_message = function(v) return { say = c(v.text) or '-' } end "
        "}",
        "local t = setmetatable({}, { __mode = 'k' }) return { on_message = function(v) local was "
        "= t[1] "
        "pcall(function() t[1] = v.text end) return { say = was or '-' } end }",
        "local t = setmetatable({}, { __newindex = function(t, k, x) rawset(t, k, x) end }) "
        "return { "
        "on_message = function(v) local was = t[1] pcall(function() t[1] = v.text end) return { "
        "say = was or "
        "'-' } end }",
        "local back = {} local t = setmetatable({}, { __newindex = back, __index = back }) return "
        "{ "
        "on_message = function(v) local was = t[1] pcall(function() t[1] = v.text end) return { "
        "say = was or "
        "'-' } end }",
        "local kept = { 'b', 'a' } return { on_message = function(v) local was = kept[1] "
        "pcall(table.sort, "
        "kept, function() return true end) pcall(table.move, { v.text }, 1, 1, 1, kept) "
        "pcall(table.remove, "
        "kept) return { say = was } end }",
        "return { on_message = function(v) local h = require 'parley.history' local was = "
        "rawget(h, 'kept') "
        "pcall(function() h.kept = v.text end) return { say = was or '-' } end }",
        "local kept = {} return { on_message = function(v) local was = #kept local _, t = "
        "pairs(kept) "
        "pcall(function() t[1] = v.text end) return { say = kept[1] or tostring(was) } end }",
        "local kept = {} return { on_message = function(v) local was = kept[1] for k in pairs({ 1 "
        "}) do "
        "pcall(setmetatable, kept, { __index = { v.text } }) end return { say = was or '-' } end }",
        "return { on_message = function(v) local was = math.random(1 << 40) if v.text ~= 'b' then "
        "for i = 1, "
        "#v.text do math.random() end end return { say = tostring(was) } end }",
        "local x <close> = setmetatable({}, { __close = function() end }) return { on_message = "
        "function(v) "
        "local was = x.kept pcall(function() x.kept = v.text end) return { say = was or '-' } end "
        "}",
        "local f = ('CANARY'):gmatch('.') return { on_message = function(v) return { say = f() } "
        "end }",
        "local kept = {} local function deep(n, t) if n == 0 then return t end return deep(n - 1, "
        "{ t }) end "
        "local d = deep(50, kept) return { on_message = function(v) local was = kept[1] local t = "
        "d while t "
        "do local n = t[1] if type(n) ~= 'table' then pcall(function() t[1] = v.text end) break "
        "end t = n end "
        "return { say = was or '-' } end }",
        "local kept = {} local key = {} kept[key] = {} return { on_message = function(v) local "
        "was = key[1] "
        "or kept[key][1] pcall(function() key[1] = v.text end) pcall(function() kept[key][1] = "
        "v.text end) "
        "return { say = was or '-' } end }",
    };
    struct fixture *f = *state;
    struct policy *p = NULL;
    struct talk ann, bob;
    unsigned ran = 0;

    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        char first[128] = "", second[128] = "";
        struct err err = ERR_INIT;

        write_file("policies/kiosk.lua", bodies[i]);
        if (load(f, "kiosk", &p, &err) != E_OK)
            continue;
        for (int round = 0; round < 2; round++) {
            struct plan plan;

            // Bob asks the same, once before and once after Ann told her secret.
            plan_init(&plan);
            talk_init(&bob, "bob", SAFE_LIT("b"));
            ask(p, &bob.view, &plan, &err);
            snprintf(round ? second : first, sizeof(first), "%d %.*s", plan.verb,
                     SLICE_FMT(safe_buf_text(&plan.text)));
            plan_release(&plan);
            plan_init(&plan);
            talk_init(&ann, "ann", SAFE_LIT("CANARY of Ann"));
            ask(p, &ann.view, &plan, &err);
            plan_release(&plan);
        }
        ran++;
        if (strcmp(first, second) != 0)
            fail_msg("%s\nBob was told '%s', then '%s'", bodies[i], first, second);
        policy_unref(p);
    }
    assert_true(ran > 10);
}

static void test_policy_lua__view_does_not_outlive(void **state)
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
        TEST(shipped), TEST(folder_hides_built_in), TEST(all_keys), TEST(refusals), TEST(unknown_bots),
        TEST(bots), TEST(view), TEST(plans), TEST(failing_hooks), TEST(history_hook), TEST(two_users),
        TEST(view_does_not_outlive), TEST(out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
