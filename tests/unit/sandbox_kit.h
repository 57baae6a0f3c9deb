// SPDX-License-Identifier: MIT
// sandbox_kit.h: what the tests of the sandbox share: states, a way to run a chunk in one, and a
// look at whether it is as it was.
#ifndef TESTS_SANDBOX_KIT_H
#define TESTS_SANDBOX_KIT_H

#include "lua/sandbox.h"

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "lua/freeze.h"
#include "lua/source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

// The short limit is for what has to be stopped; all else has the time that a busy machine needs.
enum { LIMIT_MS = 50, LONG_MS = 5000, MEMORY = 32 << 20 };
#define FUEL (INT64_MAX / 4)

static inline struct sandbox *sandbox_in(const struct clock *clock, int signal)
{
    struct sandbox *s = NULL;
    struct err err = ERR_INIT;
    struct sandbox_options options = {.clock = clock, .memory_bytes = MEMORY,
                                      .timer_signal = signal};

    if (sandbox_new(&s, &options, &err) != E_OK)
        fail_msg("%s", err.message);
    return s;
}

// Runs the chunk; what it returns is dropped unless it is false.
static inline int run_chunk(lua_State *L)
{
    const char *code = lua_touserdata(L, 1);

    sandbox_load(L, slice_str(code), "probe");
    lua_call(L, 0, 1);
    if (lua_isboolean(L, -1) && !lua_toboolean(L, -1))
        luaL_error(L, "the probe returned false");
    return 0;
}

static inline int run_for(struct sandbox *s, int64_t limit_ms, const char *code, struct err *err)
{
    err->message[0] = '\0';
    return sandbox_call(s, (struct sandbox_budget){.fuel = FUEL, .ms = limit_ms}, run_chunk,
                        (void *)(uintptr_t)code, err);
}

static inline int run(struct sandbox *s, const char *code, struct err *err)
{
    return run_for(s, LIMIT_MS, code, err);
}

// The state works and is as it was.
static inline bool is_sound(struct sandbox *s)
{
    static const char code[] =
        "assert(canary == nil and string.canary == nil and math.canary == nil)\n"
        "assert(('x'):upper() == 'X' and not pcall(function() return (5).x end))\n"
        "assert(('%d'):format(3) == '3' and #table.pack(1, 2) == 2 and math.type(1) == 'integer')\n"
        "assert(select('#', pcall(error)) == 2 and not pcall(error, 'x'))\n"
        "local co = coroutine.wrap(function(a) local b = coroutine.yield(a + 1) return b * 2 end)\n"
        "assert(co(1) == 2 and co(4) == 8)\n"
        "local n = 0 for i = 1, 1000 do n = n + i end assert(n == 500500)\n"
        "return ('a,b'):gsub(',', ';') == 'a;b'";
    struct err err = ERR_INIT;

    return run_for(s, LONG_MS, code, &err) == E_OK;
}

static inline void assert_sound(struct sandbox *s, const char *after)
{
    if (!is_sound(s))
        fail_msg("after %s the state is not as it was", after);
}

struct probe {
    const char *code;
    const char *says;  // part of the message; NULL: any outcome
};

static inline void run_probes(const struct probe *probes, size_t n, int64_t limit_ms)
{
    struct sandbox *s = sandbox_in(clock_system(), 0);
    struct err err = ERR_INIT;

    for (size_t i = 0; i < n; i++) {
        int rc = run_for(s, limit_ms, probes[i].code, &err);

        if (probes[i].says && (rc == E_OK || !strstr(err.message, probes[i].says)))
            fail_msg("%s\ngave '%s' (%d), not '%s'", probes[i].code, err.message, rc,
                     probes[i].says);
        assert_sound(s, probes[i].code);
    }
    sandbox_free(s);
}

#endif
