// SPDX-License-Identifier: MIT
// test_file.c: tests of a policy, in their sandbox. See test_file.h.
//
//   NAME_test.lua ─ sandbox_load ─▶ test("…", function) ─▶ cases
//   test_file_run ─ sandbox_call ─▶ scripts/test.lua ─▶ the test's function
//       chat:say ─▶ host.say ─▶ an engine ─▶ test_file_answer ─ lua_pcall ─▶ chat:model's function
//
// Invariants
// 1. No error of Lua passes through the engine's frames: the model's function is called protected,
//    and what it raised is raised again once host.say is back.
// 2. What the host fills is owned by the test file, so that leaving by longjmp leaks nothing.
#include "lua/test_file.h"

#include "base/embed.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "lua/bots.h"
#include "lua/sandbox.h"
#include "lua/source.h"
#include "lua/values.h"

#include <stdio.h>

// A test has more than a hook: it plays whole conversations. What the engine does meanwhile takes
// time and no fuel, so that it is by fuel that a test ends which loops for ever.
enum { TEST_MS = 10000 * LUA_SLOW, TEST_FUEL = 200000000, TEST_MEMORY_BYTES = 64 << 20,
       TURN_BYTES_MAX = 4 << 20 };

static const char library[] = "scripts/test.lua";

struct test_case {
    char name[TEST_NAME_BYTES];
    int line;
    int function;                // reference in the registry
};

struct test_file {
    struct sandbox *sandbox;     // owned
    struct test_host host;
    char *file;                  // owned
    struct vec cases;            // of struct test_case
    int run, answer;             // references: scripts/test.lua's functions
    bool loaded;                 // no further cases
    lua_State *caller;           // who talks to the host; NULL: nobody
    struct test_turn turn;
    char model_error[ERR_MESSAGE_BYTES];  // what the model's function raised; "" for nothing
};

// ---- what scripts/test.lua is given

LJMP static struct test_file *file_of(lua_State *L)
{
    return lua_touserdata(L, lua_upvalueindex(1));
}

// add(name, function)
LJMP static int test_add(lua_State *L)
{
    struct test_file *f = file_of(L);
    size_t len;
    const char *name = luaL_checklstring(L, 1, &len);
    lua_Debug ar;

    luaL_checktype(L, 2, LUA_TFUNCTION);
    if (f->loaded)
        return luaL_error(L, "a test is within another one");
    struct test_case *c = vec_push(&f->cases);
    if (!c)
        return f->cases.len == TESTS_MAX ? luaL_error(L, "more than %d tests in a file", TESTS_MAX)
                                         : (sandbox_no_memory(L), 0);
    size_t keep = utf8_cut(slice_of(name, len), len < sizeof(c->name) ? len : sizeof(c->name) - 1);
    snprintf(c->name, sizeof(c->name), "%.*s", (int)keep, name);
    lua_settop(L, 2);
    lua_pushvalue(L, 2);
    lua_getinfo(L, ">S", &ar);
    c->line = ar.linedefined;
    c->function = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

// False: it is the model that talks, from within a turn; nil and why not are pushed.
LJMP static bool begin_talking(lua_State *L, struct test_file *f)
{
    if (f->caller) {
        lua_pushnil(L);
        lua_pushliteral(L, "the model cannot talk or wait: only the test itself does");
        return false;
    }
    f->caller = L;
    f->model_error[0] = '\0';
    return true;
}

// Raises what the model's function did; where that has no place, the test's line.
LJMP static void end_talking(lua_State *L, struct test_file *f)
{
    f->caller = NULL;
    if (sandbox_stopped(L))
        sandbox_raise_stop(L);
    if (f->model_error[0]) {
        luaL_where(L, strstr(f->model_error, ".lua:") ? 0 : 2);  // 1: scripts/test.lua
        lua_pushstring(L, f->model_error);
        lua_concat(L, 2);
        lua_error(L);
    }
}

LJMP static const char *plain_string(lua_State *L, int arg)
{
    size_t len;
    const char *s = luaL_checklstring(L, arg, &len);

    luaL_argcheck(L, strlen(s) == len, arg, "has a NUL");
    return s;
}

LJMP static void set_field(lua_State *L, const char *key, struct slice text)
{
    lua_pushlstring(L, text.ptr ? text.ptr : "", text.len);
    lua_setfield(L, -2, key);
}

LJMP static void push_turn(lua_State *L, const struct test_turn *turn)
{
    struct slice warnings = buf_slice(&turn->warnings);

    lua_createtable(L, 0, 6);                           // turn
    lua_pushinteger(L, turn->turn);
    lua_setfield(L, -2, "turn");
    set_field(L, "session", slice_str(turn->session));
    set_field(L, "status", slice_str(turn->status));
    set_field(L, "reply", buf_slice(&turn->reply));
    if (turn->greeting.len)
        set_field(L, "greeting", buf_slice(&turn->greeting));
    if (turn->error[0])
        set_field(L, "error", slice_str(turn->error));
    lua_newtable(L);                                    // turn warnings
    for (int i = 1; warnings.len > 0; i++) {
        const char *end = memchr(warnings.ptr, '\n', warnings.len);
        size_t len = end ? (size_t)(end - warnings.ptr) : warnings.len;

        lua_pushlstring(L, warnings.ptr, len);
        lua_rawseti(L, -2, i);
        warnings.ptr += len + (end != NULL);
        warnings.len -= len + (end != NULL);
    }
    lua_setfield(L, -2, "warnings");
}

// say(user, context, session, text): the turn; or nil and why there is none.
LJMP static int test_say(lua_State *L)
{
    struct test_file *f = file_of(L);
    struct test_message m = {plain_string(L, 1), plain_string(L, 2), plain_string(L, 3), {0}};
    struct test_turn *turn = &f->turn;
    struct err err = ERR_INIT;

    m.text.ptr = luaL_checklstring(L, 4, &m.text.len);
    if (!begin_talking(L, f))
        return 2;
    buf_clear(&turn->reply);
    buf_clear(&turn->warnings);
    buf_clear(&turn->greeting);
    int code = f->host.say(f->host.user, &m, turn, &err);
    end_talking(L, f);
    if (code == E_NOMEM)
        sandbox_no_memory(L);
    if (code != E_OK) {
        lua_pushnil(L);
        lua_pushstring(L, err.message);
        return 2;
    }
    push_turn(L, turn);
    return 1;
}

// wait(span): true; or nil and what is wrong with the span.
LJMP static int test_wait(lua_State *L)
{
    struct test_file *f = file_of(L);
    struct err err = ERR_INIT;
    struct slice span;
    int64_t ms;

    span.ptr = luaL_checklstring(L, 1, &span.len);
    int code = clock_parse_span(span, &ms, &err);
    if (code == E_OK) {
        if (!begin_talking(L, f))
            return 2;
        code = f->host.wait(f->host.user, ms, &err);
        end_talking(L, f);
    }
    if (code != E_OK) {
        lua_pushnil(L);
        lua_pushstring(L, err.message);
        return 2;
    }
    lua_pushboolean(L, 1);
    return 1;
}

// ---- loading

struct loading {
    struct test_file *file;
    struct slice text;
};

// Leaves what require "parley.test" gives on top.
LJMP static void load_library(lua_State *L, struct test_file *f)
{
    static const luaL_Reg functions[] = {
        {"add", test_add}, {"say", test_say}, {"wait", test_wait}, {NULL, NULL},
    };
    const struct embed_file *file = embed_find(library);

    if (!file)
        BUG("%s is not inside this program", library);
    sandbox_load(L, file->bytes, library);
    luaL_newlibtable(L, functions);
    lua_pushlightuserdata(L, f);
    luaL_setfuncs(L, functions, 1);
    lua_call(L, 1, 3);                                  // test run answer
    f->answer = luaL_ref(L, LUA_REGISTRYINDEX);
    f->run = luaL_ref(L, LUA_REGISTRYINDEX);
}

LJMP static int load_file(lua_State *L)
{
    struct loading *loading = lua_touserdata(L, 1);
    struct test_file *f = loading->file;

    values_open(L);
    load_library(L, f);
    sandbox_provide(L, "parley.test");
    sandbox_load(L, loading->text, f->file);
    lua_call(L, 0, 0);
    f->loaded = true;
    return 0;
}

// Messages of the script begin with its file; others get it.
static int name_place(const struct test_file *f, int code, struct err *err)
{
    if (code == E_POLICY && !strstr(err->message, ".lua:"))
        return err_prefix(err, "%s: ", f->file);
    return code;
}

int test_file_new(struct test_file **out, const char *path, const struct test_host *host,
                  struct err *err)
{
    static const struct sandbox_budget budget = {.fuel = LUA_LOAD_FUEL, .ms = LUA_LOAD_MS};
    struct sandbox_options options = {.clock = clock_system(), .memory_bytes = TEST_MEMORY_BYTES};
    struct test_file *f = mem_zalloc(sizeof(*f));
    struct buf text = BUF_INIT(LUA_FILE_BYTES_MAX);

    *out = NULL;
    if (!f)
        return err_set(err, E_NOMEM, "%s: out of memory", path);
    f->host = *host;
    f->cases = (struct vec)VEC_INIT(struct test_case, TESTS_MAX);
    buf_init(&f->turn.reply, TURN_BYTES_MAX);
    buf_init(&f->turn.warnings, TURN_BYTES_MAX);
    buf_init(&f->turn.greeting, TURN_BYTES_MAX);
    f->file = mem_strdup(source_shown(path));
    int code = f->file ? source_read(path, &text, err)
                       : err_set(err, E_NOMEM, "%s: out of memory", path);
    if (code == E_OK)
        code = sandbox_new(&f->sandbox, &options, err);
    if (code == E_OK) {
        struct loading loading = {f, buf_slice(&text)};

        code = name_place(f, sandbox_call(f->sandbox, budget, load_file, &loading, err), err);
    }
    buf_release(&text);
    if (code == E_OK)
        *out = f;
    else
        test_file_free(f);
    return code;
}

void test_file_free(struct test_file *f)
{
    if (!f)
        return;
    sandbox_free(f->sandbox);
    vec_release(&f->cases);
    buf_release(&f->turn.reply);
    buf_release(&f->turn.warnings);
    buf_release(&f->turn.greeting);
    mem_free(f->file);
    mem_free(f);
}

// ---- running

size_t test_file_len(const struct test_file *f)
{
    return f->cases.len;
}

static const struct test_case *case_at(const struct test_file *f, size_t i)
{
    return VEC_AT(&f->cases, const struct test_case, i);
}

const char *test_file_name(const struct test_file *f, size_t i)
{
    return case_at(f, i)->name;
}

int test_file_line(const struct test_file *f, size_t i)
{
    return case_at(f, i)->line;
}

struct running {
    const struct test_file *file;
    size_t i;
};

LJMP static int run_case(lua_State *L)
{
    const struct running *running = lua_touserdata(L, 1);

    sandbox_seed(L, 1, running->i);
    lua_rawgeti(L, LUA_REGISTRYINDEX, running->file->run);
    lua_rawgeti(L, LUA_REGISTRYINDEX, case_at(running->file, running->i)->function);
    lua_call(L, 1, 0);
    return 0;
}

int test_file_run(struct test_file *f, size_t i, struct err *err)
{
    static const struct sandbox_budget budget = {.fuel = TEST_FUEL, .ms = TEST_MS};
    struct running running = {f, i};

    int code = sandbox_call(f->sandbox, budget, run_case, &running, err);
    f->caller = NULL;  // where the call left by longjmp
    return name_place(f, code, err);
}

// ---- answering as the model

struct answering {
    const struct test_file *file;
    const struct llm_request *request;
    bool background;
    struct buf *out;
};

LJMP static int answer(lua_State *L)
{
    const struct answering *a = lua_touserdata(L, 1);
    struct slice text;

    lua_rawgeti(L, LUA_REGISTRYINDEX, a->file->answer);
    values_push_request(L, a->request);
    lua_pushboolean(L, a->background);
    lua_call(L, 2, 1);
    text.ptr = luaL_checklstring(L, -1, &text.len);
    if (!utf8_valid(text)) {
        lua_pushliteral(L, "the model's reply is not valid UTF-8");
        return lua_error(L);
    }
    buf_add_slice(a->out, text);
    return 0;
}

int test_file_answer(struct test_file *f, const struct llm_request *request, bool background,
                     struct buf *out, struct err *err)
{
    struct answering a = {f, request, background, out};
    lua_State *L = f->caller;

    if (!L)
        return err_set(err, E_POLICY, "the test is over");
    if (f->model_error[0] || sandbox_stopped(L) || !lua_checkstack(L, LUA_MINSTACK))
        return err_set(err, E_POLICY, "the test's model failed");
    lua_pushcfunction(L, answer);
    lua_pushlightuserdata(L, &a);
    int status = lua_pcall(L, 1, 0, 0);
    sandbox_set_subject(L, NULL);  // scripts/test.lua keeps copies, no handles
    if (status == LUA_OK)
        return buf_check(out, "the model's reply", err);
    snprintf(f->model_error, sizeof(f->model_error), "%s",
             lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "the test's model failed");
    lua_pop(L, 1);
    return err_set(err, E_POLICY, "%s", f->model_error);
}
