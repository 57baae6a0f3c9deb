// SPDX-License-Identifier: MIT
// test_policy_users.c: no user ever sees anything of another, whatever the policy tries.
#include "policy_kit.h"

// Each body tries to keep `view.text` and to tell what was kept. The first user's text is a canary;
// the policy may be refused at load, or fail, but the second user never sees the canary.
static const char *const keepers[] = {
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
    "local keep = coroutine.wrap(function(t) local kept = '-' while true do local was = kept "
    "kept = t t = coroutine.yield(was) end end) return { on_message = function(v) return "
    "{ say = keep(v.text) } end }",
    "local co = coroutine.create(function(t) local kept = '-' while true do local was = kept "
    "kept = t t = coroutine.yield(was) end end) return { on_message = function(v) "
    "local _, was = coroutine.resume(co, v.text) return { say = was } end }",
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

static void test_policy_users__canary(void **state)
{
    struct fixture *f = *state;
    struct policy *p = NULL;
    struct talk ann, bob;
    unsigned ran = 0;

    for (size_t i = 0; i < sizeof(keepers) / sizeof(keepers[0]); i++) {
        char first[128] = "", second[128] = "";
        struct err err = ERR_INIT;

        write_file("policies/kiosk.lua", keepers[i]);
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
            fail_msg("%s\nBob was told '%s', then '%s'", keepers[i], first, second);
        policy_unref(p);
    }
    assert_true(ran > 10);
}

// ---- the same with all that a policy's memory sees and says

#define SESSION "3f0c1a52-0000-4000-8000-00000000000a"

// What is kept is put in the place of KEEP, and what was kept is told in that of WAS, in all hooks
// at once: Lua that runs at the file's level, how to keep `text`, and how to get at it.
static const struct { const char *before, *keep, *was; } memory_keepers[] = {
    {"local kept = {}", "kept[1] = text", "kept[1]"},
    {"local kept = {}", "rawset(kept, 1, text)", "kept[1]"},
    {"local kept = {}", "table.insert(kept, text)", "kept[1]"},
    {"local kept = {}", "setmetatable(kept, { __index = { text } })", "kept[1]"},
    {"local kept", "kept = text", "kept"},
    {"", "kept = text", "kept"},
    {"", "_G.kept = text", "_G and _G.kept"},
    {"", "string.kept = text", "string.kept"},
    {"", "require('parley.memory').kept = text", "require('parley.memory').kept"},
    {"", "require('parley.memory').predicates.name.kept = text",
     "require('parley.memory').predicates.name.kept"},
    {"", "require('parley.memory_patterns').rules[1].kept = text",
     "require('parley.memory_patterns').rules[1].kept"},
    {"local f = require('parley.memory').learner()", "f(text)", "f('I am Bob')[2]"},
    {"local kept = {}", "kept.view = view", "kept.view and kept.view.text"},
    {"local kept = {}", "kept.f = view.facts", "kept.f and kept.f[1].value"},
    {"local kept = { {} }", "kept[1].core = view.core.human", "kept[1].core"},
    {"local mt = {} local o = setmetatable({}, mt)", "getmetatable(o).kept = text", "mt.kept"},
    {"local w = setmetatable({}, { __mode = 'v' })", "w[1] = view.facts[1]",
     "w[1] and w[1].value"},
    {"local co = coroutine.wrap(function(t) while true do t = coroutine.yield(t) end end)",
     "co(text)", "co()"},
    {"local function box() local v return function(t) local was = v v = t or v return was end end "
     "local b = box()", "b(text)", "b()"},
    {"", "math.randomseed(#text)", "math.random(1 << 40)"},
    {"", "for _ = 1, #text do math.random() end", "math.random(1 << 40)"},
    {"", "view.facts[1].value = text", "view.facts[1] and view.facts[1].value"},
    {"", "getmetatable(view).kept = text", "getmetatable(view) and getmetatable(view).kept"},
    {"", "view.core.kept = text", "view.core.human"},
};

static const char memory_policy[] =
    "%s\n"
    "local function try(f) local ok, what = pcall(f) return ok and what or '-' end\n"
    "local function say(view, text)\n"
    "  local was = tostring(try(function() return %s end))\n"
    "  if text:find 'CANARY' then pcall(function() %s end) end\n"
    "  return was .. '|' .. #view.facts .. '|' .. view.core.human\n"
    "end\n"
    "return { memory = { extract = function(view, turn) return { { predicate = 'said',\n"
    "  value = say(view, turn.user) } } end,\n"
    "  state = function(view, reply) return { was = say(view, view.text) } end,\n"
    "  reflect = function(view) return { { predicate = 'said', value = say(view, view.text),\n"
    "    facts = { '0123456789ab' } } } end },\n"
    "on_message = function(view) return { say = say(view, view.text), memory = { core = {\n"
    "  human = say(view, view.text) }, remember = { { predicate = 'said', value =\n"
    "  say(view, view.text) } } } } end }";

enum { SAID_BYTES = 8192 };

static void note(char out[SAID_BYTES], const char *what, struct safe_text text)
{
    size_t len = strlen(out);

    snprintf(out + len, SAID_BYTES - len, "%s %.*s\n", what, SLICE_FMT(text));
}

static void note_all(char out[SAID_BYTES], const char *what, const struct fact_candidates *list)
{
    for (size_t i = 0; i < fact_candidates_len(list); i++)
        note(out, what, fact_candidates_at(list, i)->value);
}

// All that the policy's hooks say of this view.
static void hear(struct policy *p, struct talk *t, char out[SAID_BYTES])
{
    struct fact_candidates list;
    struct policy_citations cited;
    struct plan plan;

    out[0] = '\0';
    fact_candidates_init(&list);
    plan_init(&plan);
    if (p->ops->on_message(p, &t->view, &plan, NULL) == E_OK) {
        note(out, "say", safe_buf_text(&plan.text));
        note(out, "human", safe_buf_text(&plan.memory->human));
        note_all(out, "remember", &plan.memory->remember);
    }
    plan_release(&plan);
    if (p->ops->state(p, &t->view, SAFE_LIT("ok"), &plan, NULL) == E_OK)
        note(out, "state", safe_buf_text(&plan.state));
    plan_release(&plan);
    if (p->ops->extract(p, &t->view, 3, &list, NULL) == E_OK)
        note_all(out, "extract", &list);
    fact_candidates_clear(&list);
    if (p->ops->reflect(p, &t->view, &list, &cited, NULL) == E_OK)
        note_all(out, "reflect", &list);
    fact_candidates_release(&list);
}

// Somebody with a fact and core memory of their own.
struct person {
    struct talk talk;
    struct fact_book *facts;
    struct core_memory core;
};

static void person_init(struct person *who, const char *name, struct safe_text text)
{
    talk_init(&who->talk, name, text);
    say(&who->talk, 2, 0, text.ptr, 6);
    who->facts = kit_book();
    kit_tell(who->facts, "likes", text.ptr, SESSION, 1000, true);
    core_memory_init(&who->core);
    safe_buf_add(&who->core.human, text);
    who->talk.view.facts = who->facts;
    who->talk.view.core = &who->core;
}

static void person_release(struct person *who)
{
    fact_book_free(who->facts);
    core_memory_release(&who->core);
}

static void test_policy_users__canary_of_memory(void **state)
{
    struct fixture *f = *state;
    struct person ann, bob;
    char text[4096], first[SAID_BYTES], second[SAID_BYTES], anns[SAID_BYTES];
    unsigned ran = 0, told = 0;

    person_init(&ann, "ann", SAFE_LIT("CANARY of Ann"));
    person_init(&bob, "bob", SAFE_LIT("b"));
    for (size_t i = 0; i < sizeof(memory_keepers) / sizeof(memory_keepers[0]); i++) {
        struct policy *p = NULL;
        struct err err = ERR_INIT;

        snprintf(text, sizeof(text), memory_policy, memory_keepers[i].before,
                 memory_keepers[i].was, memory_keepers[i].keep);
        write_file("policies/kiosk.lua", text);
        if (load(f, "kiosk", &p, &err) != E_OK)
            continue;
        hear(p, &bob.talk, first);
        hear(p, &ann.talk, anns);
        hear(p, &bob.talk, second);
        ran++;
        told += strstr(anns, "CANARY") != NULL;  // the canary is there to be found
        if (strcmp(first, second) != 0 || strstr(second, "CANARY"))
            fail_msg("%s\nBob was told\n%s\nthen\n%s", text, first, second);
        policy_unref(p);
    }
    person_release(&ann);
    person_release(&bob);
    assert_true(ran > 12 && told == ran);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_policy_users__##name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(canary),
        TEST(canary_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
