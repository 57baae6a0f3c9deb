// SPDX-License-Identifier: MIT
// lib_string.c: the string and utf8 libraries. Patterns are matched by pattern.c; what takes time
// with the length of its arguments charges for it; the string metatable is locked.
#include "lua/freeze.h"
#include "lua/pattern.h"
#include "lua/sandbox_int.h"

enum { BYTES_PER_UNIT = 8, SHORT_BYTES = 512, PAY_STEPS = 256, REPLACE_UNITS = 10,
       GMATCH_UNITS = 10, ITEM_UNITS = 50, DIGITS_UNITS = 300, CODE_UNITS = 5 };

// ---- patterns

static bool on_tick(void *user)
{
    return !sandbox_tick(user, PATTERN_TICK_STEPS);
}

LJMP static struct slice check_slice(lua_State *L, int idx)
{
    struct slice s;

    s.ptr = luaL_checklstring(L, idx, &s.len);
    return s;
}

// Its captures stay as they are until a match sets them: they are larger than all else here.
static void begin_pattern(struct pattern *p, lua_State *L, struct slice subject, struct slice text)
{
    p->subject = subject;
    p->text = text;
    p->tick = on_tick;
    p->user = L;
    p->captures = p->steps = 0;
    p->has_first = p->looked_for_first = false;
}

// Takes the anchor off the text; true if there was one.
static bool take_anchor(struct slice *text)
{
    if (text->len == 0 || text->ptr[0] != '^')
        return false;
    *text = slice_of(text->ptr + 1, text->len - 1);
    return true;
}

// Pays for the steps that no tick has told of.
LJMP static void pay_steps(lua_State *L, struct pattern *p)
{
    charge(L, 1 + p->steps);
    p->steps = 0;
}

// A position as Lua's string functions take it, as an offset; len + 1 or more: behind the end.
static size_t offset_of(lua_Integer pos, size_t len)
{
    if (pos > 0)
        return (size_t)pos - 1;
    if (pos == 0 || pos < -(lua_Integer)len)
        return 0;
    return len + (size_t)pos;
}

// pattern_match, with what is wrong raised.
LJMP static ptrdiff_t try_match(lua_State *L, struct pattern *p, size_t at)
{
    ptrdiff_t end = pattern_match(p, at);

    if (end == PATTERN_STOPPED)
        sandbox_raise_stop(L);
    if (end == PATTERN_MALFORMED)
        luaL_error(L, "%s", p->error);
    return end;
}

LJMP static void push_capture(lua_State *L, const struct pattern *p, unsigned i, size_t start,
                              size_t end)
{
    if (i >= p->captures) {
        if (i != 0)
            luaL_error(L, "invalid capture index %%%d", (int)i + 1);
        lua_pushlstring(L, p->subject.ptr + start, end - start);
        return;
    }
    const struct pattern_capture *c = &p->capture[i];
    if (c->len == CAPTURE_OPEN)
        luaL_error(L, "unfinished capture");
    if (c->len == CAPTURE_POSITION)
        lua_pushinteger(L, c->start - p->subject.ptr + 1);
    else
        lua_pushlstring(L, c->start, (size_t)c->len);
}

// All captures; the whole match if there are none and `whole`.
LJMP static int push_captures(lua_State *L, const struct pattern *p, size_t start, size_t end,
                              bool whole)
{
    unsigned n = p->captures == 0 && whole ? 1 : p->captures;

    luaL_checkstack(L, (int)n, "too many captures");
    for (unsigned i = 0; i < n; i++)
        push_capture(L, p, i, start, end);
    return (int)n;
}

// memmem prepares itself for long work, which short strings do not repay; its way, a plain loop is
// quadratic at worst.
static const char *find_bytes(struct slice s, struct slice what)
{
    if (s.len > SHORT_BYTES)
        return memmem(s.ptr, s.len, what.ptr, what.len);
    for (const char *at = s.ptr, *end = s.ptr + s.len; (size_t)(end - at) >= what.len; at++) {
        at = memchr(at, what.ptr[0], (size_t)(end - at) - what.len + 1);
        if (!at || memcmp(at, what.ptr, what.len) == 0)
            return at;
    }
    return NULL;
}

LJMP static int find_plain(lua_State *L, struct slice s, struct slice what, size_t from)
{
    charge(L, (s.len - from + what.len) / BYTES_PER_UNIT);
    struct slice rest = slice_of(s.ptr + from, s.len - from);
    const char *at = what.len == 0 ? rest.ptr : find_bytes(rest, what);
    if (!at) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushinteger(L, at - s.ptr + 1);
    lua_pushinteger(L, at - s.ptr + (lua_Integer)what.len);
    return 2;
}

LJMP static int find_or_match(lua_State *L, bool find)
{
    struct slice subject = check_slice(L, 1), text = check_slice(L, 2);
    size_t at = offset_of(luaL_optinteger(L, 3, 1), subject.len);
    struct pattern p;

    if (at > subject.len) {
        lua_pushnil(L);
        return 1;
    }
    if (find && (lua_toboolean(L, 4) || pattern_is_plain(text)))
        return find_plain(L, subject, text, at);
    begin_pattern(&p, L, subject, text);
    bool anchored = take_anchor(&p.text);
    do {
        at = anchored ? at : pattern_skip(&p, at);
        if (at > p.subject.len)
            break;
        ptrdiff_t end = try_match(L, &p, at);

        if (end < 0)
            continue;
        pay_steps(L, &p);
        if (!find)
            return push_captures(L, &p, at, (size_t)end, true);
        lua_pushinteger(L, (lua_Integer)at + 1);
        lua_pushinteger(L, end);
        return 2 + push_captures(L, &p, at, (size_t)end, false);
    } while (++at <= p.subject.len && !anchored);
    pay_steps(L, &p);
    lua_pushnil(L);
    return 1;
}

LJMP static int str_find(lua_State *L)
{
    return find_or_match(L, true);
}

LJMP static int str_match(lua_State *L)
{
    return find_or_match(L, false);
}

// Upvalues: subject, pattern, offset to go on at, end of the last match (-1: none).
LJMP static int gmatch_next(lua_State *L)
{
    struct slice subject, text;
    struct pattern p;

    subject.ptr = lua_tolstring(L, lua_upvalueindex(1), &subject.len);
    text.ptr = lua_tolstring(L, lua_upvalueindex(2), &text.len);
    begin_pattern(&p, L, subject, text);
    lua_Integer last = lua_tointeger(L, lua_upvalueindex(4));
    for (size_t at = (size_t)lua_tointeger(L, lua_upvalueindex(3)); at <= p.subject.len; at++) {
        at = pattern_skip(&p, at);
        if (at > p.subject.len)
            break;
        ptrdiff_t end = try_match(L, &p, at);

        if (end < 0 || end == last)
            continue;
        p.steps += GMATCH_UNITS;
        pay_steps(L, &p);
        lua_pushinteger(L, end);
        lua_copy(L, -1, lua_upvalueindex(3));
        lua_replace(L, lua_upvalueindex(4));
        return push_captures(L, &p, at, (size_t)end, true);
    }
    pay_steps(L, &p);
    return 0;
}

LJMP static int str_gmatch(lua_State *L)
{
    struct slice s = check_slice(L, 1);

    check_slice(L, 2);
    size_t at = offset_of(luaL_optinteger(L, 3, 1), s.len);
    lua_settop(L, 2);
    lua_pushinteger(L, (lua_Integer)(at > s.len ? s.len + 1 : at));
    lua_pushinteger(L, -1);
    lua_pushcclosure(L, gmatch_next, 4);
    return 1;
}

// ---- gsub; its arguments are at 1 (subject), 2 (pattern), 3 (replacement)

LJMP static void add_template(lua_State *L, luaL_Buffer *b, const struct pattern *p, size_t start,
                              size_t end)
{
    size_t len = 0;
    const char *text = lua_tolstring(L, 3, &len), *stop = text + len;

    for (const char *percent; (percent = memchr(text, '%', (size_t)(stop - text))) != NULL;) {
        char c = percent + 1 < stop ? percent[1] : '\0';

        luaL_addlstring(b, text, (size_t)(percent - text));
        text = percent + 2;
        if (c == '%') {
            luaL_addchar(b, '%');
        } else if (c == '0') {
            luaL_addlstring(b, p->subject.ptr + start, end - start);
        } else if (c >= '1' && c <= '9') {
            push_capture(L, p, (unsigned)(c - '1'), start, end);
            luaL_addvalue(b);
        } else {
            luaL_error(L, "invalid use of '%%' in replacement string");
        }
    }
    luaL_addlstring(b, text, (size_t)(stop - text));
}

// Adds what replaces subject[start … end); true if that changes anything.
LJMP static bool add_replacement(lua_State *L, luaL_Buffer *b, const struct pattern *p,
                                 size_t start, size_t end)
{
    int type = lua_type(L, 3);

    if (type == LUA_TFUNCTION) {
        lua_pushvalue(L, 3);
        lua_call(L, push_captures(L, p, start, end, true), 1);
    } else if (type == LUA_TTABLE) {
        push_capture(L, p, 0, start, end);
        lua_gettable(L, 3);
    } else {
        add_template(L, b, p, start, end);
        return true;
    }
    if (!lua_toboolean(L, -1)) {
        lua_pop(L, 1);
        luaL_addlstring(b, p->subject.ptr + start, end - start);
        return false;
    }
    if (!lua_isstring(L, -1))
        luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
    luaL_addvalue(b);
    return true;
}

LJMP static int str_gsub(lua_State *L)
{
    struct slice subject = check_slice(L, 1), text = check_slice(L, 2);
    int type = lua_type(L, 3);
    struct pattern p;
    luaL_Buffer b;

    begin_pattern(&p, L, subject, text);
    bool anchored = take_anchor(&p.text);
    lua_Integer max = luaL_optinteger(L, 4, (lua_Integer)p.subject.len + 1), n = 0;
    luaL_argexpected(L, type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TFUNCTION ||
                        type == LUA_TTABLE, 3, "string/function/table");
    bool changed = false;
    size_t at = 0;
    ptrdiff_t last = -1;
    luaL_buffinit(L, &b);
    while (n < max) {
        size_t to = anchored ? at : pattern_skip(&p, at);

        to = to < p.subject.len ? to : p.subject.len;
        if (to > at)
            luaL_addlstring(&b, p.subject.ptr + at, to - at);
        at = to;
        ptrdiff_t end = try_match(L, &p, at);

        if (p.steps >= PAY_STEPS)
            pay_steps(L, &p);
        if (end >= 0 && end != last) {
            n++;
            p.steps += REPLACE_UNITS;
            changed |= add_replacement(L, &b, &p, at, (size_t)end);
            at = (size_t)end;
            last = end;
        } else if (at < p.subject.len) {
            luaL_addchar(&b, p.subject.ptr[at++]);
        } else {
            break;
        }
        if (anchored)
            break;
    }
    pay_steps(L, &p);
    if (changed) {
        luaL_addlstring(&b, p.subject.ptr + at, p.subject.len - at);
        luaL_pushresult(&b);
    } else {
        lua_pushvalue(L, 1);
    }
    lua_pushinteger(L, n);
    return 2;
}

// ---- what takes time with its arguments' length

// Ours for speed; what is made is charged by the allocator.
LJMP static int str_sub(lua_State *L)
{
    struct slice s = check_slice(L, 1);
    size_t from = offset_of(luaL_checkinteger(L, 2), s.len);
    lua_Integer last = luaL_optinteger(L, 3, -1);
    size_t to = last >= 0 ? (size_t)last
                          : last < -(lua_Integer)s.len ? 0 : s.len + (size_t)(last + 1);

    to = to < s.len ? to : s.len;
    charge(L, 1);
    lua_pushlstring(L, from < to ? s.ptr + from : "", from < to ? to - from : 0);
    return 1;
}

LJMP static int str_rep(lua_State *L)
{
    struct slice s = check_slice(L, 1);
    lua_Integer n = luaL_checkinteger(L, 2);
    size_t separator = 0;

    luaL_optlstring(L, 3, "", &separator);
    if (s.len + separator == 0)
        return lua_pushliteral(L, ""), 1;
    // The size of a result is checked before it is made.
    if (n > 0 && s.len + separator > (size_t)SANDBOX_STRING_MAX / (size_t)n)
        return luaL_error(L, "resulting string too large: a string may be %d KiB long",
                          SANDBOX_STRING_MAX >> 10);
    charge(L, n > 0 ? (s.len + separator) * (size_t)n / BYTES_PER_UNIT + (size_t)n : 1);
    return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

// As upvalue 1, which returns a value for each item from argument 2 to 3.
LJMP static int ranged(lua_State *L)
{
    lua_Integer first = luaL_optinteger(L, 2, 1), last = luaL_optinteger(L, 3, first);
    size_t len = 0;

    luaL_checklstring(L, 1, &len);
    lua_Integer from = (lua_Integer)offset_of(first, len);
    lua_Integer to = last < 0 ? (lua_Integer)len + last : last - 1;
    to = to < (lua_Integer)len ? to : (lua_Integer)len - 1;
    if (to - from >= SANDBOX_STACK_MAX)
        return luaL_error(L, "string slice too long");
    charge(L, 1 + (to > from ? (size_t)(to - from) : 0));
    return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

LJMP static int str_unpack(lua_State *L)
{
    luaL_argcheck(L, check_slice(L, 1).len <= SANDBOX_STACK_MAX, 1, "format too long");
    return sandbox_charged(L);
}

// As upvalue 1, with each of its items charged: what is quoted grows, and a large number has
// hundreds of digits.
LJMP static int str_format(lua_State *L)
{
    struct slice text = check_slice(L, 1);
    size_t units = 0;

    for (size_t i = 0; i + 1 < text.len; i++)
        if (text.ptr[i] == '%')
            units += ITEM_UNITS;
    for (int i = lua_gettop(L); i > 1; i--) {
        if (lua_type(L, i) == LUA_TSTRING)
            units += lua_rawlen(L, i) / 2;
        else if (lua_type(L, i) == LUA_TNUMBER && !lua_isinteger(L, i))
            units += DIGITS_UNITS;
    }
    charge(L, units);
    return sandbox_charged(L);
}

// As upvalue 1, utf8.codes, whose iterator is Lua's own: it is paid for before it runs.
LJMP static int utf8_codes(lua_State *L)
{
    charge(L, check_slice(L, 1).len * CODE_UNITS);
    return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

static const luaL_Reg pattern_functions[] = {
    {"find", str_find}, {"match", str_match}, {"gmatch", str_gmatch}, {"gsub", str_gsub},
    {"sub", str_sub},
    {NULL, NULL},
};

LJMP void lib_string_open(lua_State *L)
{
    static const char *const string_names[] = {"char", "lower", "pack",
                                               "packsize", "reverse", "upper", NULL};
    static const char *const utf8_names[] = {"char", "len", "offset", NULL};
    static const char *const rep_name[] = {"rep", NULL}, *const byte_name[] = {"byte", NULL};
    static const char *const arithmetic_names[] = {"__add", "__sub", "__mul", "__mod", "__pow",
                                                   "__div", "__idiv", "__unm", NULL};
    static const char *const unpack_name[] = {"unpack", NULL};
    static const char *const codepoint_name[] = {"codepoint", NULL};
    static const char *const format_name[] = {"format", NULL};
    static const char *const codes_name[] = {"codes", NULL};

    lua_pushcfunction(L, luaopen_string);               // makes the string metatable too
    lua_call(L, 0, 1);                                  // env string
    lua_pushnil(L);
    lua_setfield(L, -2, "dump");
    sandbox_wrap(L, string_names, sandbox_charged);
    sandbox_wrap(L, rep_name, str_rep);
    sandbox_wrap(L, format_name, str_format);
    sandbox_wrap(L, byte_name, ranged);
    sandbox_wrap(L, unpack_name, str_unpack);
    luaL_setfuncs(L, pattern_functions, 0);
    lua_setfield(L, -2, "string");                      // env
    lua_pushcfunction(L, luaopen_utf8);
    lua_call(L, 0, 1);                                  // env utf8
    sandbox_wrap(L, utf8_names, sandbox_charged);
    sandbox_wrap(L, codepoint_name, ranged);
    sandbox_wrap(L, codes_name, utf8_codes);
    lua_setfield(L, -2, "utf8");                        // env
    lua_pushliteral(L, "");
    lua_getmetatable(L, -1);                            // env "" mt
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    sandbox_wrap(L, arithmetic_names, sandbox_charged); // which reads numbers out of strings
    lua_pop(L, 2);                                      // env
}
