// SPDX-License-Identifier: MIT
// sandbox_probes.h: scripts that try to outrun their budget, and what has to be said of each.
#ifndef TESTS_SANDBOX_PROBES_H
#define TESTS_SANDBOX_PROBES_H

#include "sandbox_kit.h"

// Scripts that will not end, or will not end soon.
static const struct probe endless[] = {
    {"while true do end", "probe:1: stopped"},
    {"\n\nwhile true do end", "probe:3: stopped"},
    {"while true do pcall(function() while true do end end) end", "stopped"},
    {"local function f() pcall(f) return f() end f()", "stopped"},
    {"while true do xpcall(error, function() while true do end end) end", "stopped"},
    {"xpcall(function() while true do end end, function() while true do end end)", "stopped"},
    {"local co = coroutine.wrap(function() while true do end end) co()", "stopped"},
    {"local co = coroutine.create(function() while true do coroutine.yield() end end) "
     "while true do coroutine.resume(co) end", "stopped"},
    {"while true do coroutine.resume(coroutine.create(function() end)) end", "stopped"},
    {"while true do coroutine.wrap(function() pcall(function() while true do end end) end)() "
     "end",
     "stopped"},
    {"local function deep() return coroutine.wrap(deep)() end while true do pcall(deep) end",
     "stopped"},
    {"local co = coroutine.create(function() local x <close> = setmetatable({}, {__close = "
     "function() while true do end end}) coroutine.yield() end) coroutine.resume(co) "
     "coroutine.close(co)", "stopped"},
    {"local co = coroutine.wrap(function() local x <close> = setmetatable({}, {__close = "
     "function() while true do end end}) error('x') end) co()", "stopped"},
    {"local x <close> = setmetatable({}, {__close = function() while true do end end}) "
     "while true do end", "stopped"},
    {"return (('a'):rep(300)):find('.-.-.-.-.-.-b')", "stopped"},
    {"return (('a'):rep(1e5)):match('(.-)*(.-)%1%1(.-)(.-)$b')", "stopped"},
    {"return (('a'):rep(1e5)):gsub('.-.-.-b', '')", "stopped"},
    {"for _ in (('a'):rep(1e5)):gmatch('.-.-.-b') do end", "stopped"},
    {"return (('('):rep(1e5)):find(('%b()'):rep(2))", NULL},
    {"while true do (('a'):rep(1e6)):find('b') end", "stopped"},
    {"while true do (('a'):rep(1e6)):find('b', 1, true) end", "stopped"},
    {"while true do (('x'):rep(1e6)):reverse() end", "stopped"},
    {"while true do (('x'):rep(1e6)):upper() end", "stopped"},
    {"while true do utf8.len(('x'):rep(1e6)) end", "stopped"},
    {"local s = 'x' while true do pcall(function() s = s .. s end) end", "stopped"},
    {"local a = ('x'):rep(1e6) local b = a .. 'y' while true do local c = a < b "
     "end", "stopped"},
    {"local t = {} while true do table.insert(t, 1, 1) end", "stopped"},
    {"table.insert(setmetatable({}, {__len = function() return 1 << 60 end}), 1, "
     "1)", "stopped"},
    {"table.remove(setmetatable({}, {__len = function() return 1 << 60 end}), 1)", "stopped"},
    {"table.move({}, 1, math.maxinteger - 1, 2)", "stopped"},
    {"table.move({}, 1, 1 << 50, 2, setmetatable({}, {__newindex = rawget}))", "stopped"},
    {"local t = setmetatable({}, {__index = table.concat, __len = rawlen}) "
     "table.concat(t, '', 1, 1 << 50)", "stopped"},
    {"local t = {} for i = 1, 2e5 do t[i] = -i end while true do table.sort(t) "
     "table.sort(t, function(a, b) return a > b end) end", "stopped"},
    {"local s = ('x'):rep(1e6) local t = {} for i = 1, 1e4 do t[i] = s .. (i % 2) end", NULL},
    {"local x, y = ('x'):rep(1e6) .. 1, ('x'):rep(1e6) .. 2 local t = {} "
     "for i = 1, 1e5 do t[i] = i % 2 == 0 and x or y end table.sort(t)", "stopped"},
    {"local t = {} for i = 1, 3e3 do t[i] = i end while true do select('#', table.unpack(t)) "
     "end",
     "stopped"},
    {"while true do ('x'):rep(1e6) end", "stopped"},
    {"return ('a'):rep(1e6):gsub('a', function() while true do end end)", "stopped"},
    {"return ('x'):gsub('x', setmetatable({}, {__index = function() while true do end end}))",
     "stopped"},
    {"error(setmetatable({}, {__tostring = function() while true do end end}))", "a table"},
    {"return tostring(setmetatable({}, {__tostring = function() while true do end end}))",
     "stopped"},
    {"return setmetatable({}, {__index = function() while true do end end})", NULL},
    {"for k in pairs(setmetatable({}, {__pairs = function() while true do end end})) do end",
     "stopped"},
    {"local t = setmetatable({}, {__concat = function(a, b) return a .. b end}) return t .. "
     "t", NULL},
    {"local t = {} t[1] = t while true do local u = {t, t, t, t} end", "stopped"},
    {"goto a ::a:: ::b:: goto b", "stopped"},
    {"for i = 1, math.huge do end", "stopped"},
    {"while true do string.format('%99.99f', 1e300) end", "stopped"},
    {"while true do tostring({}) end", "stopped"},
    // deep recursion in all the ways that take C stack
    {"local function f() local co = coroutine.create(function() local x <close> = "
     "setmetatable({}, {__close = f}) coroutine.yield() end) coroutine.resume(co) "
     "coroutine.close(co) end f()", NULL},
    {"local function f() local co = coroutine.wrap(function() local x <close> = "
     "setmetatable({}, {__close = f}) error('x') end) pcall(co) end f()", NULL},
    {"local function f(s) return (s:gsub('.', f)) end f('x')", NULL},
    {"local function f() return xpcall(f, f) end f()", NULL},
    {"local function f() return pcall(pcall, f) end f()", NULL},
    {"local t = setmetatable({}, {}) for i = 1, 1e4 do t = setmetatable({}, {__index = t}) end "
     "return t.x", NULL},
    {"local t = {} for i = 1, 1e4 do local u = t t = setmetatable({}, {__index = function(_, "
     "k) "
     "return u[k] end}) end return t.x", NULL},
    {"local t = setmetatable({}, {__len = function(t) return #t end}) return #t", NULL},
    {"table.sort({3, 2, 1}, function(a, b) table.sort({3, 2, 1}, debug) return a < b "
     "end)", NULL},
    {"local function f(...) return f(1, ...) end f()", NULL},
    // a coroutine ends by force, and what is around it runs code on the way out
    {"local x <close> = setmetatable({}, {__close = function() while true do end end}) "
     "coroutine.wrap(function() while true do end end)()", "stopped"},
    {"local co local x <close> = setmetatable({}, {__close = function() coroutine.close(co) end}) "
     "co = coroutine.create(function() local y <close> = setmetatable({}, {__close = function() "
     "while true do end end}) while true do end end) coroutine.resume(co)", "stopped"},
    {"while true do pcall(coroutine.wrap(function() while true do end end)) end", "stopped"},
    {"local function nest(n) if n == 0 then while true do end end "
     "pcall(coroutine.wrap(function() pcall(nest, n - 1) while true do end end)) "
     "while true do end end nest(20)", "stopped"},
    {"local co = coroutine.wrap(function() pcall(function() coroutine.yield() while true do end "
     "end) while true do end end) co() co()", "stopped"},
    {"local co = coroutine.wrap(function() xpcall(function() coroutine.yield() error('x') end, "
     "function() while true do end end) end) co() co()", "stopped"},
    {"local co = coroutine.create(function() local x <close> = setmetatable({}, {__close = "
     "function() local y <close> = setmetatable({}, {__close = function() while true do end end}) "
     "error('x') end}) coroutine.yield() end) coroutine.resume(co) coroutine.close(co)",
     "stopped"},
    {"xpcall(error, function() coroutine.wrap(function() while true do end end)() end)",
     "stopped"},
    {"while true do xpcall(error, coroutine.wrap(function() while true do end end)) end",
     "stopped"},
    {"for _ in coroutine.wrap(function() while true do end end) do end", "stopped"},
    {"for _ in pairs(setmetatable({}, {__pairs = coroutine.wrap(function() while true do end "
     "end)})) do end", "stopped"},
    {"for _ in function() while true do pcall(error) end end do end", "stopped"},
    {"while true do local co = coroutine.wrap(coroutine.yield) for i = 1, 2 do co(i) end end",
     "stopped"},
    {"local a, b a = coroutine.create(function() while true do coroutine.yield() end end) "
     "b = coroutine.create(function() while true do coroutine.resume(a) coroutine.yield() end "
     "end) while true do coroutine.resume(b) end", "stopped"},
    {"while true do local t = {} for i = 1, 100 do t[i] = coroutine.create(function() end) end "
     "end", "stopped"},
    // __call goes from table to table before anything runs, each time over all arguments
    {"local t = setmetatable({}, {}) getmetatable(t).__call = t while true do pcall(t) end",
     "stopped"},
    {"local function deep(n) if n > 0 then return 1 + deep(n - 1) end return 0 end "
     "pcall(deep, 1e6) local t = setmetatable({}, {}) getmetatable(t).__call = t while true do "
     "pcall(t) end", "stopped"},
    {"local t = function() end for i = 1, 3000 do t = setmetatable({}, {__call = t}) end "
     "while true do t() end", "stopped"},
    {"local function f(...) return f(1, 2, 3, 4, 5, 6, 7, 8, ...) end while true do pcall(f) end",
     "stopped"},
    {"local t = {} for i = 1, 2000 do t[i] = i end local function f(...) while true do "
     "local n = select('#', ...) end end f(table.unpack(t))", "stopped"},
    {"local t = setmetatable({}, {}) getmetatable(t).__index = t return t.x", ""},
    {"local t = {} for i = 1, 1900 do t = setmetatable({}, {__index = t}) end while true do "
     "local x = t.x end", "stopped"},
    {"local t = setmetatable({}, {__newindex = function(t, k, v) t[k] = v end}) t.x = 1", ""},
    {"local mt = {} mt.__lt = function(a, b) return a < b end local t = setmetatable({}, mt) "
     "return t < t", ""},
    {"local t = setmetatable({}, {__unm = function(t) while true do end end}) return -t",
     "stopped"},
    {"local t = setmetatable({}, {__close = pcall, __call = function() while true do end end}) "
     "local x <close> = t", "stopped"},
    // library functions that work long by themselves
    {"return (''):rep(1e15)", NULL},
    {"while true do (''):rep(1e15, '') end", "stopped"},
    {"while true do (('a'):rep(3e4)):find('['..('b'):rep(3e4)..']-c') end", "stopped"},
    {"while true do (('a'):rep(3e4)):find('%f['..('b'):rep(3e4)..']') end", "stopped"},
    {"while true do (('a'):rep(3e4)):find('['..('b'):rep(3e4)..']?['..('b'):rep(3e4)..']*$') end",
     "stopped"},
    {"while true do (('a'):rep(3e4)):find('(a*)%1b') end", "stopped"},
    {"while true do (('a'):rep(3e4)):gsub('a', '%0%0%0') end", "stopped"},
    {"while true do for _ in (('a'):rep(3e4)):gmatch('()') do end end", "stopped"},
    {"while true do (('x'):rep(4e3)):find(('x?'):rep(4e3)) end", "pattern too complex"},
    {"local s = ('1'):rep(1e6) while true do local x = s + 0 end", "stopped"},
    {"local s = ('1'):rep(1e6) while true do local x = -s end", "stopped"},
    {"local s = '0x' .. ('f'):rep(1e6) while true do tonumber(s) end", "stopped"},
    {"local s = ('z'):rep(1e6) while true do tonumber(s, 36) end", "stopped"},
    {"local a, b = ('x'):rep(1e6) .. 1, ('x'):rep(1e6) .. 2 while true do local x = a == b end",
     "stopped"},
    {"local a, b = ('x'):rep(1e6) .. 1, ('x'):rep(1e6) .. 2 while true do rawequal(a, b) end",
     "stopped"},
    {"local t, s = {}, ('x'):rep(1e6) while true do t[s .. 1] = nil end", "stopped"},
    {"while true do string.pack(('z'):rep(9e4), table.unpack({}, 1, 10)) end", "bad argument"},
    {"local s = ('b'):rep(1e4) while true do s:unpack(('x'):rep(1e4)) end", NULL},
    {"while true do string.packsize(('i16'):rep(3e5)) end", NULL},
    {"while true do ('%q'):format(('\\0'):rep(2e5)) end", "stopped"},
    {"while true do utf8.codepoint(('x'):rep(1e4), 1, 7e3) end", "stopped"},
    {"local s = ('x'):rep(1e4) while true do s:byte(1, 7e3) end", "stopped"},
    {"while true do for _ in utf8.codes(('x'):rep(1e5)) do end end", "stopped"},
    {"local t = {} for i = 1, 3e5 do t[i] = i end for i = 1, 3e5 do t[i] = nil end "
     "while true do next(t) end", "stopped"},
    {"local t = {} for i = 1, 3e5 do t[i] = i end for i = 1, 3e5 do t[i] = nil end "
     "while true do for _ in pairs(t) do end end", "stopped"},
    {"local t = {} for i = 1, 1e5 do t[i * 131071] = i end while true do local x = t[131071] end",
     NULL},
    {"while true do pcall(function() local t = {} for i = 1, 1e5 do t[i * 131071] = i end end) "
     "end", "stopped"},
    {"local t = {} for i = 1, 1 << 17 do t[i] = i end local i = 0 while true do i = i + 1 "
     "t['k' .. i] = 1 t['k' .. i] = nil end", "stopped"},
    {"local t = {} for i = 1, 1e5 do t[i] = i % 7 end table.sort(t, function() return true end) "
     "table.sort(t, function() return false end) while true do table.sort(t) end", "stopped"},
    {"table.sort({1, 2, 3}, function() coroutine.yield() end)", "yield"},
    {"table.sort(setmetatable({}, {__len = function() return 1 << 20 end, __index = function() "
     "return 1 end, __newindex = function() end}))", "stopped"},
    {"local t = {} while true do t[#t + 1] = ('x'):rep(#t) end", "stopped"},
    {"local t = {} pcall(function() while true do t[#t + 1] = {} end end) while true do end",
     "stopped"},
    {"while true do pcall(function() local t = {} while true do t[#t + 1] = {} end end) end",
     "stopped"},
    {"local t = {} while true do t[#t + 1] = { {} } end", "stopped"},
    {"local t = {} while true do t = { t } end", "stopped"},
    {"local t = {} while true do t[#t + 1] = function() return t end end", "stopped"},
    {"local t = {} while true do t[#t + 1] = coroutine.create(print or next) end", "stopped"},
    {"local s = 0 while true do for i = 1, 1e5 do s = s + i end end", "stopped"},
    {"local t = setmetatable({}, {__mode = 'k'}) for i = 1, 1e4 do t[{}] = { t } end "
     "while true do local u = {} end", "stopped"},
    {"local w = setmetatable({}, {__mode = 'k'}) local k = {} for i = 1, 1e4 do local n = {} "
     "w[n] = k k = n end while true do local u = {k} end", "stopped"},
    {"local ts = {} for i = 1, 200 do local w = setmetatable({}, {__mode = 'k'}) local k = {} "
     "for j = 1, 100 do local n = {} w[n] = k k = n end ts[i] = w ts[k] = i end "
     "while true do local u = {ts} end", "stopped"},
    {"local t = {} for i = 1, 1e6 do t[i] = 0 end while true do local n = #t t[n] = nil t[n] = 0 "
     "end", "stopped"},
    {"local t = {} for i = 1, 3000 do t[i] = i end while true do table.pack(table.unpack(t)) end",
     "stopped"},
    {"local t = {} for i = 1, 8000 do t[i] = 'x' end while true do local s = string.char(120, "
     "table.unpack({120, 120, 120})) .. table.concat(t, ',') end", "stopped"},
    {"local s = ('x '):rep(1e5) while true do s:gsub('%w+', { x = 'y' }) end", "stopped"},
    {"local s = ('x '):rep(1e5) while true do s:gsub('(%w)(%s)', '%2%1') end", "stopped"},
    {"while true do select(-1, table.unpack({1, 2, 3})) end", "stopped"},
    {"while true do string.format('%s%s%s', 1.5, {}, nil) end", "stopped"},
    {"local mt = {__name = ('x'):rep(1e5)} while true do tostring(setmetatable({}, mt)) end",
     "stopped"},
    {"local f = string.rep while true do pcall(f) pcall(f, {}) pcall(f, 'x', {}) end", "stopped"},
    {"local mt = {__eq = function() return true end} local a, b = setmetatable({}, mt), "
     "setmetatable({}, mt) while true do local c = a == b end", "stopped"},
    {"local mt = {} mt.__concat = function(a, b) return setmetatable({}, mt) end "
     "while true do local c = setmetatable({}, mt) .. 'x' .. 'y' .. 'z' end", "stopped"},
    {"local x = ('x'):rep(1000) while true do local s = x .. x .. x .. x .. x .. x .. x .. x end",
     "stopped"},
    {"while true do local a <close> = setmetatable({}, {__close = function() end}) end",
     "stopped"},
    {"while true do local ok = pcall(function() local a <close> = setmetatable({}, {__close = "
     "function() error('x') end}) error('y') end) end", "stopped"},
    {"while true do math.random(1, 100) math.sin(1) math.tointeger('8') end", "stopped"},
    {"local s = ('9'):rep(300) while true do local n = s + 0 math.floor(n) end", "stopped"},
    {"while true do string.pack('i16s4z', 1, 'abc', 'def') end", "stopped"},
    {"while true do utf8.char(8364, 8364, 8364) utf8.offset('a', 1) end", "stopped"},
    {"while true do for k, v in pairs(math) do end end", "stopped"},
    {"while true do for k, v in ipairs({1, 2, 3, 4, 5}) do end end", "stopped"},
    {"while true do rawset({}, 1, 1) end", ""},
    {"while true do xpcall(string.rep, function(m) return m .. m end) end", "stopped"},
    {"while true do coroutine.close(coroutine.create(function() end)) end", "stopped"},
    {"while true do local co = coroutine.wrap(error) pcall(co) end", "stopped"},
    {"local t = {} for i = 1, 16000 do t['k' .. i] = i end while true do for k in pairs(t) do "
     "end end", "stopped"},
    {"local t = {} for i = 1, 16000 do t['k' .. i] = i end for i = 1, 16000 do t['k' .. i] = nil "
     "end while true do next(t) end", "stopped"},
    {"local s = ('a'):rep(5e5) while true do local x = s < s .. 'a' end", "stopped"},
    {"local a, b = ('ä'):rep(2e5) .. 1, ('ä'):rep(2e5) .. 2 while true do "
     "local x = a <= b end", "stopped"},
    {"local t = {} while true do pcall(string.rep, 'x', 1 << 40) end", "stopped"},
    {"while true do pcall(string.format, '%d', 'x') end", "stopped"},
    {"while true do pcall(require, 'nothing') end", "stopped"},
    {"while true do require 'parley.history' end", "stopped"},
    {"local h = require 'parley.history' while true do pcall(function() return h.nothing end) "
     "end", "stopped"},
    {"while true do setmetatable({}, {__mode = 'kv'}) end", "stopped"},
    {"local t = setmetatable({}, {__mode = 'k'}) while true do t[{}] = t end", NULL},
    {"while true do getmetatable('').x = 1 end", ""},
    {"local e = setmetatable({}, {__name = ('x'):rep(1e5)}) while true do pcall(string.rep, e) "
     "end", "stopped"},
    {"error(setmetatable({}, {__index = function() while true do end end, __name = 1}))",
     "a table"},
};

#endif
