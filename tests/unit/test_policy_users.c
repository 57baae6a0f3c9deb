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

#define TEST(name) cmocka_unit_test_setup_teardown(test_policy_users__##name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(canary),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
