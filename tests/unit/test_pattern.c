// SPDX-License-Identifier: MIT
// test_pattern.c: our matcher against Lua's own. The same chunk runs in a plain Lua state and in a
// sandbox; what find, match, gmatch and gsub answer, errors too, must be the same text.
#include "lua/pattern.h"
#include "lua/sandbox.h"

#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

// 60 cases a seed, each asked in eight ways: 1,000,080 cases when it is long (FAULT_LONG=1).
enum { LIMIT_MS = 20000, SEEDS = 60, SEEDS_LONG = 16668, CASES_PER_SEED = 60 };

// Everything that is asked of one subject and pattern, as text.
static const char ask[] =
    "local out = {}\n"
    "local function add(...)\n"
    "  local t = table.pack(...)\n"
    "  for i = 1, t.n do\n"
    "    t[i] = type(t[i]) == 'string' and ('%q'):format(t[i]) or tostring(t[i])\n"
    "  end\n"
    "  out[#out + 1] = table.concat(t, '|')\n"
    "end\n"
    "local function case(s, p, init)\n"
    "  out[#out + 1] = ('case %q %q %s'):format(s, p, tostring(init))\n"
    "  add(pcall(string.find, s, p, init))\n"
    "  add(pcall(string.match, s, p, init))\n"
    "  add(pcall(string.find, s, p, init, true))\n"
    "  add(pcall(string.gsub, s, p, '<%0%1>'))\n"
    "  add(pcall(string.gsub, s, p, '%%%2', 2))\n"
    "  add(pcall(string.gsub, s, p, { a = 'A', b = false, ab = 7 }))\n"
    "  add(pcall(string.gsub, s, p, function(...) return select('#', ...) == 1 and ... or nil "
    "end))\n"
    "  add(pcall(function() local n = 0 for a, b in string.gmatch(s, p, init) do\n"
    "    n = n + 1 add(a, b) if n > 50 then break end end return n end))\n"
    "end\n";

static const char own_list[] =
    "local subjects = { '', 'a', 'abc', 'hello world', '  trim me  ', 'key = value', 'a.b.c', "
    "'((x)y)',\n"
    "  'THE (quick) fox', 'x\\0y', '\\0', '2026-11-21', '[[x]]', 'a-b-c', '%d', 'aaa', 'aaab', "
    "'^a$',\n"
    "  'äöü', '\\255\\254', 'f(g(h))', 'one two  three', '0x1F', 'a,b,,c', '\\t\\n\\v', "
    "('ab'):rep(40) }\n"
    "local patterns = { '', '.', '.*', '.-', '.+', '^', '$', '^$', '^a', 'a$', '%', '[', '[]', "
    "'[]]', '[^]]',\n"
    "  '[a', '[^', '[%', '[%]', '[a-', '[a-]', '[a-c]', '[^a-c]', '[c-a]', '[%a_]', '[%w%s]', "
    "'[a%-z]',\n"
    "  '%a', '%A', '%c', '%d', '%D', '%g', '%l', '%L', '%p', '%P', '%s', '%S', '%u', '%w', '%W', "
    "'%x', '%X',\n"
    "  '%z', '%Z', '%q', '%.', '%%', '(', ')', '()', '(()', '())', '(a)', '(a', 'a)', '(a*)b', "
    "'(.-)(%d+)',\n"
    "  '%1', '(a)%1', '(a)%2', '()%1', '(a%1)', '%0', '(.)%1', '%b()', '%b', '%b(', '%b\\0\\0', "
    "'%baa', '%bab',\n"
    "  '%f[%a]%a+', '%f[%A]', '%f', '%fa', '%f[', '%f[^%s]%S+', '%f[%z]', 'a*', 'a+', 'a-', 'a?', "
    "'a*b', 'a-b',\n"
    "  'a?b', 'a**', 'a+?', 'a$b', 'a^b', '^^a', '$$', '(%w+) = (%w+)', '^%s*(.-)%s*$', '%s+', "
    "'%S+', '[^,]*',\n"
    "  '[^,]+', '(%d+)-(%d+)-(%d+)', '\\0', '[\\0]', '[^\\0]', '[\\0-a]', '()a()', '(()a())', "
    "'-', '*', '+', '?',\n"
    "  '.-$', '^.-$', '(.*)(.*)', '((a)(b))', ('(a)'):rep(33), ('a?'):rep(100) .. ('a'):rep(3),\n"
    "  ('a?'):rep(250), ('(a?)'):rep(32), '[%a-z]', '[a-%z]', '[-a]', '[a-]', '[]-a]', '[^]-a]', "
    "'[%]]' }\n"
    "for _, s in ipairs(subjects) do for _, p in ipairs(patterns) do\n"
    "  case(s, p) case(s, p, 2) case(s, p, -1) case(s, p, 100) case(s, p, -100) end end\n"
    "return table.concat(out, '\\n')\n";

static const char generated[] =
    "local x = seed * 7919 + 1\n"
    "local function random(n) x = (x * 1103515245 + 12345) & 0x7fffffff return (x >> 12) % n + 1 "
    "end\n"
    "local function pick(t) return t[random(#t)] end\n"
    "local letters = { 'a', 'b', 'c', ' ', '1', '-', '(', ')', '.', 'A', '\\0', ']' }\n"
    "local atoms = { 'a', 'b', 'c', '.', '%a', '%d', '%s', '[ab]', '[^a]', '[a-c1]', '[%a%d]', "
    "'%-', ' ',\n"
    "  '%W', '()', '(', ')', '%1', '%2', '%b()', '%f[%a]', '[]a]', '1', '$', '^' }\n"
    "local suffixes = { '', '', '', '*', '+', '-', '?' }\n"
    "for _ = 1, 60 do\n"
    "  local s, p = {}, {}\n"
    "  for i = 1, random(14) - 1 do s[i] = pick(letters) end\n"
    "  for i = 1, random(6) do\n"
    "    local atom = pick(atoms)\n"
    "    p[i] = random(5) == 1 and '(' .. atom .. pick(suffixes) .. ')' or atom .. pick(suffixes)\n"
    "  end\n"
    "  case(table.concat(s), table.concat(p), random(4) == 1 and random(6) - 3 or nil)\n"
    "end\n"
    "return table.concat(out, '\\n')\n";

struct answer {
    const char *code;
    struct buf text;
};

static void answer_init(struct answer *a)
{
    a->code = NULL;
    buf_init(&a->text, 64 << 20);
}

// The chunk is on top; adds what it returns. Runs in both states.
static int take_answer(lua_State *L, struct answer *a)
{
    size_t len = 0;

    lua_call(L, 0, 1);
    const char *text = luaL_checklstring(L, -1, &len);
    buf_add(&a->text, text, len);
    return 0;
}

static int in_sandbox(lua_State *L)
{
    struct answer *a = lua_touserdata(L, 1);

    sandbox_load(L, slice_str(a->code), "ask");
    return take_answer(L, a);
}

static int in_plain(lua_State *L)
{
    struct answer *a = lua_touserdata(L, 1);

    if (luaL_loadbufferx(L, a->code, strlen(a->code), "@ask", "t") != LUA_OK)
        lua_error(L);
    return take_answer(L, a);
}

// Shows the first line that differs, with its case.
static void assert_same(const struct buf *ours, const struct buf *luas)
{
    const char *a = ours->ptr, *b = luas->ptr, *last_case = "?";

    while (*a && *b) {
        size_t len_a = strcspn(a, "\n"), len_b = strcspn(b, "\n");

        if (strncmp(a, "case ", 5) == 0)
            last_case = a;
        if (len_a != len_b || memcmp(a, b, len_a) != 0)
            fail_msg("%.*s\nours: %.*s\nlua:  %.*s", (int)strcspn(last_case, "\n"), last_case,
                     (int)len_a, a, (int)len_b, b);
        a += len_a + (a[len_a] == '\n');
        b += len_b + (b[len_b] == '\n');
    }
    assert_int_equal(ours->len, luas->len);
}

static void compare(struct sandbox *s, lua_State *plain, const char *code)
{
    static const struct sandbox_budget budget = {.fuel = INT64_MAX / 4, .ms = LIMIT_MS};
    struct answer ours, luas;
    struct err err = ERR_INIT;

    answer_init(&ours);
    answer_init(&luas);
    ours.code = luas.code = code;
    if (sandbox_call(s, budget, in_sandbox, &ours, &err) != E_OK)
        fail_msg("%s", err.message);
    lua_pushcfunction(plain, in_plain);
    lua_pushlightuserdata(plain, &luas);
    if (lua_pcall(plain, 1, 0, 0) != LUA_OK)
        fail_msg("%s", lua_tostring(plain, -1));
    assert_same(&ours.text, &luas.text);
    buf_release(&ours.text);
    buf_release(&luas.text);
}

static void with_both(void (*fn)(struct sandbox *s, lua_State *plain))
{
    const struct sandbox_options options = {.clock = clock_system(), .memory_bytes = 64 << 20};
    lua_State *plain = luaL_newstate();
    struct sandbox *s = NULL;

    luaL_openlibs(plain);
    assert_int_equal(sandbox_new(&s, &options, NULL), E_OK);
    fn(s, plain);
    sandbox_free(s);
    lua_close(plain);
}

static void compare_code(struct sandbox *s, lua_State *plain, const char *head, const char *body)
{
    struct buf code = BUF_INIT(1 << 20);

    buf_add_str(&code, head);
    buf_add_str(&code, ask);
    buf_add_str(&code, body);
    compare(s, plain, code.ptr);
    buf_release(&code);
}

// One subject at a time, for the answers must fit in a string.
static void compare_own(struct sandbox *s, lua_State *plain)
{
    char body[sizeof(own_list) + 200];

    for (int i = 1; i <= 26; i++) {
        const char *loop = strstr(own_list, "for _, s in ipairs(subjects)");

        snprintf(body, sizeof(body), "%.*sfor _, s in ipairs({ subjects[%d] })%s",
                 (int)(loop - own_list), own_list, i, loop + strlen("for _, s in "
                     "ipairs(subjects)"));
        compare_code(s, plain, "", body);
    }
}

static void compare_generated(struct sandbox *s, lua_State *plain)
{
    const char *wish = getenv("FAULT_LONG");
    int seeds = wish && wish[0] == '1' ? SEEDS_LONG : SEEDS;

    for (int seed = 1; seed <= seeds; seed++) {
        char head[64];

        snprintf(head, sizeof(head), "local seed = %d\n", seed);
        compare_code(s, plain, head, generated);
    }
    printf("# summary: patterns: %d generated cases, 0 unlike Lua's own\n", seeds * CASES_PER_SEED);
}

static void test_pattern__own_list(void **state)
{
    (void)state;
    with_both(compare_own);
}

static void test_pattern__generated(void **state)
{
    (void)state;
    with_both(compare_generated);
}

// ---- the matcher alone

static bool count_ticks(void *user)
{
    unsigned *left = user;

    return (*left)-- > 1;
}

static ptrdiff_t match_with(const char *subject, const char *text, unsigned *ticks,
                            struct pattern *p)
{
    *p = (struct pattern){.subject = slice_str(subject), .text = slice_str(text),
                          .tick = count_ticks, .user = ticks};
    return pattern_match(p, 0);
}

static void test_pattern__stops(void **state)
{
    static const char *const bombs[] = {".-.-.-.-.-b", ".*.*.*.*.*b", "(.-)(.-)(.-)(.-)%1%2%3b",
                                        "a?a?a?a?.-.-.-.-[^a]", "%f[a].-.-.-.-b"};
    static char subject[2001];
    struct pattern p;

    (void)state;
    memset(subject, 'a', sizeof(subject) - 1);
    for (size_t i = 0; i < sizeof(bombs) / sizeof(bombs[0]); i++) {
        unsigned ticks = 100;

        assert_int_equal(match_with(subject, bombs[i], &ticks, &p), PATTERN_STOPPED);
        assert_int_equal(ticks, 0);  // asked no more after "stop"
    }
}

static void test_pattern__alone(void **state)
{
    unsigned ticks = 100;
    struct pattern p;

    (void)state;
    assert_int_equal(match_with("key=value", "(%w+)=()", &ticks, &p), 4);
    assert_int_equal(p.captures, 2);
    assert_int_equal(p.capture[0].len, 3);
    assert_int_equal(p.capture[1].len, CAPTURE_POSITION);
    assert_int_equal(match_with("abc", "b", &ticks, &p), PATTERN_NONE);
    assert_int_equal(match_with("abc", "[", &ticks, &p), PATTERN_MALFORMED);
    assert_string_equal(p.error, "malformed pattern (missing ']')");
    assert_int_equal(match_with("", "", &ticks, &p), 0);
    assert_true(pattern_is_plain(SLICE_LIT("a,b;c:d")));
    assert_true(pattern_is_plain(SLICE_LIT("")));
    assert_false(pattern_is_plain(SLICE_LIT("a.b")));
    assert_false(pattern_is_plain(SLICE_LIT("a\0%")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pattern__own_list),
        cmocka_unit_test(test_pattern__generated),
        cmocka_unit_test(test_pattern__stops),
        cmocka_unit_test(test_pattern__alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
