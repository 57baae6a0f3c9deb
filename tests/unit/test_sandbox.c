// SPDX-License-Identifier: MIT
// test_sandbox.c: what scripts may reach and what they may not, what works as in Lua, what outlives
// a call. For scripts that will not end see test_sandbox_budget.c.
#include "sandbox_kit.h"

static void test_sandbox__reach(void **state)
{
    static const struct probe probes[] = {
        {"for _, name in ipairs { 'io', 'os', 'debug', 'package', 'load', 'loadfile', "
         "'loadstring', "
         "'dofile', 'collectgarbage', 'rawset', 'print', 'warn', '_G', 'module', 'unpack' } do "
         "if _ENV[name] ~= nil then error(name) end end error('none')", "none"},
        {"return string.dump(function() end)", "dump"},
        {"return math.randomseed(1)", "randomseed"},
        {"require 'os'", "module 'os' is not available here"},
        {"require 'parley.../../etc'", "is not available here"},
        {"require 'parley.nothing'", "is not available here"},
        {"require(('parley.'):rep(1e4))", "is not available here"},
        {"require {}", "string expected"},
        {"canary = 1", "'canary' cannot be set"},
        {"_ENV.canary = 1", "cannot be set"},
        {"string.canary = 1", "'canary' cannot be set"},
        {"math.pi = 3", "'pi' cannot be set"},
        {"table.insert(table, 1)", "cannot be set"},
        {"getmetatable('').__index = {}", "boolean"},
        {"getmetatable(string).__newindex = nil", "boolean"},
        {"setmetatable(string, {})", "cannot change a protected metatable"},
        {"setmetatable('', {})", "table expected"},
        {"setmetatable({}, {__gc = function() end})", "may not have __gc"},
        {"local h = require 'parley.history' h.full = nil", "'full' cannot be set"},
        {"return require('parley.history').summaries {}", "summaries: there is no such strategy"},
        {"local a, b = pairs(string) b.canary = 1", "cannot be set"},
        {"for k, v in next, string do if k == 'upper' then error('seen') end end", "seen"},
        {"return coroutine.close(coroutine.running())", "cannot close a running coroutine"},
        {"coroutine.yield()", "outside a coroutine"},
        {"error('x', 0)", "x"},
        {"error()", "raised with nothing"},
        {"error({})", "a table"},
        {"return", NULL},
        {"local x = = 1", "probe:1: unexpected symbol"},
        {"\x1bLua", "attempt to load a binary chunk"},
    };

    (void)state;
    run_probes(probes, COUNT_OF(probes), LONG_MS);
}

// What the replaced functions answer is what Lua's own answer.
static const char *const same[] = {
    "local ok, a, b = pcall(function(...) return ... end, 1, 2) return ok and a == 1 and b == "
    "2",
    "local ok, m = pcall(error, {1}) return not ok and m[1] == 1",
    "return select('#', pcall(function() end)) == 1 and not pcall(pcall)",
    "local ok, m = xpcall(error, function(m) return m .. '!' end, 'x') return not ok and m == "
    "'x!'",
    "local ok, a = xpcall(function(...) return select('#', ...) end, error, 1, nil) return a "
    "== 2",
    "local co = coroutine.create(function() local ok, v = pcall(coroutine.yield, 1) "
    "assert(ok and v == 'in') error('out', 0) end) local _, a = coroutine.resume(co) "
    "local ok, m = coroutine.resume(co, 'in') return a == 1 and not ok and m == 'out' and "
    "coroutine.status(co) == 'dead' and not coroutine.resume(co)",
    "local co = coroutine.create(function() end) return coroutine.status(co) == 'suspended' "
    "and "
    "coroutine.close(co) and coroutine.status(co) == 'dead'",
    "local co co = coroutine.create(function() return coroutine.status(co), "
    "coroutine.isyieldable(), select(2, coroutine.running()) end) "
    "local _, a, b, c = coroutine.resume(co) return a == 'running' and b and not c and "
    "select(2, coroutine.running())",
    "local r = {} for k, v in coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i, "
    "-i) end "
    "end) do r[#r + 1] = k + v end return #r == 3",
    "local t = {1, 2, 3} table.insert(t, 4) table.insert(t, 1, 0) return table.concat(t, ',') "
    "== "
    "'0,1,2,3,4' and table.remove(t) == 4 and table.remove(t, 1) == 0 and #t == 3",
    "return table.remove({}) == nil and table.remove({}, 0) == nil and "
    "not pcall(table.remove, {1, 2}, 5) and not pcall(table.insert, {}, 3, 1) and "
    "not pcall(table.insert, {}, 1, 2, 3) and not pcall(table.insert, {})",
    "local t = table.move({1, 2, 3}, 1, 3, 2) return table.concat(t) == '1123'",
    "local t = table.move({1, 2, 3}, 2, 3, 1) return table.concat(t) == '233'",
    "local t = table.move({1, 2}, 1, 2, 1, {9, 9, 9}) return table.concat(t) == '129'",
    "return #table.move({1}, 1, 0, 5) == 1 and not pcall(table.move, {}, 1, 2, "
    "math.maxinteger)",
    "return table.concat({}) == '' and table.concat({1, 2.5, 'x'}, '-', 2, 3) == '2.5-x' and "
    "not pcall(table.concat, {{}}) and table.concat({1}, ',', 2) == ''",
    "local t = table.pack(1, nil, 3) return t.n == 3 and t[3] == 3 and table.pack().n == 0",
    "return select('#', table.unpack({1, nil, 3}, 1, 3)) == 3 and table.unpack({1, 2}, 2) == "
    "2 and "
    "not pcall(table.unpack, {}, 1, 1e8)",
    "local t = {3, 1, 2} table.sort(t) local u = {3, 1, 2} table.sort(u, function(a, b) "
    "return a > b end) return table.concat(t) == '123' and table.concat(u) == '321' and "
    "not pcall(table.sort, {1, 'x'}) and not pcall(table.sort, {}, 1)",
    "local mt = {} local t = setmetatable({}, mt) return getmetatable(t) == mt and "
    "getmetatable({}) == nil and getmetatable(setmetatable({}, {__metatable = 7})) == 7",
    "return rawget(setmetatable({}, {__index = error}), 1) == nil and rawlen {1, 2} == 2 and "
    "rawlen 'abc' == 3 and next {} == nil and next {5} == 1 and rawequal('a', 'a')",
    "return ('ab'):rep(3, '-') == 'ab-ab-ab' and ('x'):rep(0) == '' and ('x'):rep(1, 'y') == "
    "'x'",
    "return ('abc'):byte(-1) == 99 and string.char(65) == 'A' and ('abc'):sub(-2) == 'bc' and "
    "('%5.1f|%-3d|%q'):format(1.25, 7, 'a') == '  1.2|7  |\"a\"'",
    "return string.unpack('<i4', string.pack('<i4', 7)) == 7 and string.packsize('i4') == 4",
    "return utf8.char(228, 8364) == 'ä€' and utf8.len('ä€') == 2 and utf8.codepoint('€') == "
    "8364 and "
    "utf8.offset('ä€', 2) == 3",
    "local n = 0 for p, c in utf8.codes('ä€x') do n = n + p end return n == 10",
    "return '10' + 1 == 11 and 10 .. '' == '10' and math.max(1, 2) == 2 and 7 // 2 == 3",
    "local n = 0 for k in pairs(math) do n = n + 1 end return n > 20",
    // sums over all that Lua's own gives
    "local n, is = 0, { -9, -4, -3, -2, -1, 0, 1, 2, 3, 4, 9, math.mininteger, "
    "math.maxinteger } for _, i in ipairs(is) do for _, j in ipairs(is) do "
    "local s = ('abc'):sub(i, j) n = (n * 31 + #s * 7 + (s:byte() or 0)) % 1000003 end "
    "n = (n * 31 + #('abc'):sub(i)) % 1000003 end return n == 273022",
    "local n, s = 0, ('ab'):rep(400) .. 'c' for _, w in ipairs { 'a', 'c', 'bc', 'abc', "
    "'abac', 'ba', 'x', '', s, s .. 'x' } do for _, i in ipairs { 1, 2, 790, 800, 801, 802, "
    "-1, -3 } do local a, b = s:find(w, i, true) n = (n * 31 + (a or 7) * 3 + (b or 5)) % "
    "1000003 local a, b = ('xaby'):find(w, i > 4 and 4 or i, true) "
    "n = (n * 31 + (a or 7) * 3 + (b or 5)) % 1000003 end end return n == 974257",
    "local t = {} for i = 1, 500 do t[i] = { i % 7, i } end table.sort(t, function(a, b) "
    "return a[1] < b[1] end) for i = 2, 500 do assert(t[i - 1][1] < t[i][1] or t[i - 1][1] == "
    "t[i][1] and t[i - 1][2] < t[i][2]) end",
    "for n = 0, 40 do local t = {} for i = 1, n do t[i] = i * 7919 % 41 end table.sort(t) "
    "for i = 2, n do assert(t[i - 1] <= t[i]) end assert(#t == n) end",
    "local a, b = math.random(1000), math.random(1000) return a ~= b or math.random() ~= "
    "math.random()",
};

static void test_sandbox__same_as_lua(void **state)
{
    struct sandbox *s = sandbox_in(clock_system(), 0);
    struct err err = ERR_INIT;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(same); i++)
        if (run_for(s, LONG_MS, same[i], &err) != E_OK)
            fail_msg("%s\n%s", same[i], err.message);
    sandbox_free(s);
}

// ---- freezing

static int freeze_chunk(lua_State *L)
{
    const char *code = lua_touserdata(L, 1);

    sandbox_load(L, slice_str(code), "probe");
    lua_call(L, 0, 1);
    freeze_value(L);
    if (lua_istable(L, -1) && lua_getfield(L, -1, "check") == LUA_TFUNCTION) {
        lua_call(L, 0, 1);
        if (!lua_toboolean(L, -1))
            luaL_error(L, "check returned false");
    }
    return 0;
}

static void test_sandbox__freeze(void **state)
{
    static const struct probe probes[] = {
        {"local n = 0 return { f = function() n = n + 1 end }", "probe:1: 'n' is set here"},
        {"local n = 0\nlocal function g()\n  return function()\n n = 1 end\nend\nreturn { f = g }",
         "probe:4: 'n' is set here"},
        {"local n = 0 local function g() n = 1 end return { f = function() g() end "
         "}", "'n' is set"},
        {"local function counter() local n = 0 return function() n = n + 1 return n end end "
         "return { f = counter() }", "'n' is set here"},
        {"local function counter() local n = 0 return function() n = n + 1 return n end end "
         "return { check = function() local c = counter() c() return c() == 2 end }", ""},
        {"return { f = function() _ENV = {} end }", "'_ENV' is set here"},
        {"local t = {} return { f = function() return { g = function() t = 1 end } end }",
         "'t' is set here"},
        {"local t = { { {} } } return { check = function() return not pcall(function() "
         "t[1][1].x = 1 end) end }", ""},
        {"local t = {} return { check = function() return not pcall(table.insert, t, 1) and #t == "
         "0 end }",
         ""},
        {"local t = { 1, 2, x = 3 } return { check = function() local n = 0 for k, v in pairs(t) "
         "do "
         "n = n + v end for _, v in ipairs(t) do n = n + v end return n == 9 and #t == 2 and "
         "rawlen(t) == 2 and rawget(t, 'x') == 3 and next(t) == 1 and table.unpack(t) == 1 and "
         "table.concat(t, ',') == '1,2' end }", ""},
        {"local C = {} C.__index = C function C:f() return self.v end return { check = function() "
         "local o = setmetatable({ v = 7 }, C) o.v = 8 return o:f() == 8 and getmetatable(o) == C "
         "and "
         "not pcall(function() getmetatable(o).x = 1 end) end }", ""},
        {"local C = {} C.__index = C function C:f() return self.v end local o = setmetatable({ v "
         "= 7 }, "
         "C) return { o = o, C = C, check = function() return o:f() == 7 and o.v == 7 and o.no == "
         "nil "
         "and not pcall(function() o.v = 1 end) end }", ""},
        {"local o = setmetatable({ v = 7 }, { __index = function(_, k) return k end, __call = "
         "function() "
         "return 1 end, __tostring = function() return 'o!' end }) return { check = function() "
         "return "
         "o.v == 7 and o.x == 'x' and o() == 1 and tostring(o) == 'o!' end }", ""},
        {"local f = ('a b'):gmatch('%a') return { f = function() return f() end }",
         "an iterator is kept"},
        {"local f = coroutine.wrap(function() end) return { f = f }", "an iterator is kept"},
        {"local co = coroutine.create(function() end) return { [1] = function() return co end }",
         "a coroutine is kept"},
        {"local a, b = {}, {} a.b = b b.a = a return { a = a, check = function() return a.b.a == a "
         "end }", ""},
        {"local t = setmetatable({}, { __metatable = 'mine' }) return { t, check = function() "
         "return "
         "not pcall(setmetatable, t, {}) end }", ""},
        {"local t = { function() end } t[t] = t return t", ""},
        {"local s = string return { check = function() return s.upper('a') == 'A' end }", ""},
        {"return { check = function() local n, t = 0, { 1, 2 } local function add(v) n = n + v end "
         "for _, v in ipairs(t) do add(v) end t[3] = 1 return n == 3 and #t == 3 end }", ""},
    };
    struct err err = ERR_INIT;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(probes); i++) {
        struct sandbox *s = sandbox_in(clock_system(), 0);

        err.message[0] = '\0';
        int rc = sandbox_call(s, (struct sandbox_budget){.fuel = FUEL, .ms = LONG_MS}, freeze_chunk,
                              (void *)(uintptr_t)probes[i].code, &err);
        if ((rc == E_OK) != (probes[i].says[0] == '\0') || !strstr(err.message, probes[i].says))
            fail_msg("%s\ngave '%s'", probes[i].code, err.message);
        assert_sound(s, probes[i].code);
        sandbox_free(s);
    }
}

// A function nested as deeply as the parser allows is read to its end.
static void test_sandbox__freeze_nested(void **state)
{
    struct sandbox *s = sandbox_in(clock_system(), 0);
    struct buf code = BUF_INIT(1 << 20);
    struct err err = ERR_INIT;
    int depth = 0;

    (void)state;
    for (int rc = E_OK; rc == E_OK && depth < 1000; depth++) {
        buf_clear(&code);
        buf_add_str(&code, "local n return { f = ");
        for (int i = 0; i < depth; i++)
            buf_add_str(&code, "function() return ");
        buf_add_str(&code, "function() return n end");
        for (int i = 0; i < depth; i++)
            buf_add_str(&code, " end");
        buf_add_str(&code, " }");
        rc = sandbox_call(s, (struct sandbox_budget){.fuel = FUEL, .ms = LONG_MS}, freeze_chunk,
                          code.ptr,
                          &err);
    }
    assert_true(depth > 20 && depth < 1000);
    assert_non_null(strstr(err.message, "overflow"));
    buf_release(&code);
    sandbox_free(s);
}

// ---- memory of the host

static void test_sandbox__out_of_memory(void **state)
{
    const struct sandbox_options options = {.clock = clock_system(), .memory_bytes = MEMORY};
    const struct sandbox_options small[] = {{.clock = clock_system(), .memory_bytes = 1000},
                                            {.clock = clock_system(), .memory_bytes = 20000}};
    struct err err = ERR_INIT;
    struct sandbox *s = NULL;
    int done = 0;

    (void)state;
    assert_int_equal(sandbox_new(&s, &small[0], &err), E_POLICY);
    assert_int_equal(sandbox_new(&s, &small[1], &err), E_POLICY);
    for (uint64_t n = 1; !done && n < 20000; n += 1 + n / 16) {
        mem_fail_at(n, 1);
        int rc = sandbox_new(&s, &options, &err);
        if (rc == E_OK) {
            rc = run(s, "local t = {} for i = 1, 300 do t[i] = { ('x'):rep(i) } end", &err);
            mem_fail_at(0, 0);
            assert_sound(s, "lack of memory");
            sandbox_free(s);
        }
        mem_fail_at(0, 0);
        assert_true(rc == E_OK || rc == E_NOMEM);
        done = rc == E_OK;
    }
    assert_true(done);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sandbox__reach),
        cmocka_unit_test(test_sandbox__same_as_lua),
        cmocka_unit_test(test_sandbox__freeze),
        cmocka_unit_test(test_sandbox__freeze_nested),
        cmocka_unit_test(test_sandbox__out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
