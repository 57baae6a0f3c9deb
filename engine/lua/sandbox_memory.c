// SPDX-License-Identifier: MIT
// sandbox_memory.c: the allocator: it charges fuel, keeps the limit, and refuses what is too large
// for one instruction to work on. Invariants and thread: sandbox.h.
#include "lua/sandbox_int.h"

#include "base/mem.h"

enum {
    ALLOC_UNITS = 10,       // a block, whatever its size
    BYTES_PER_UNIT = 32,    // and its bytes
    STRING_BYTES_PER_UNIT = 8,  // which as a key are looked at once more
    STRING_HEADER = 64,     // what Lua adds to a string's bytes, rounded up
    VALUE_BYTES = 16,       // of a value on a stack
    NODE_BYTES = 24,        // of a table's hash part, for each key
    DEEP_UNITS = SANDBOX_STACK_MAX * SANDBOX_STACK_MAX / 256,  // spent to get there
    LONG_MS = 1000,         // a deadline that has time for larger tables
    DEEP_LEVELS = SANDBOX_STACK_MAX / 256,  // a call of Lua's has up to 255 values
};

// Lua collects all its garbage and asks once more. The second time it is over.
static void *refuse(struct sandbox *s)
{
    bool last = s->refused;

    s->refused = !last;
    sandbox_spend(s, s->used / BYTES_PER_UNIT);
    if (last && s->in_call) {
        sandbox_stop(s, OUT_OF_MEMORY);
        sandbox_note_where(s, s->running);
    }
    return NULL;
}

// How many values a call holds: locals and temporaries with sign 1, surplus arguments with -1.
static int values_of(lua_State *L, const lua_Debug *ar, int sign)
{
    int n = 0;

    for (int step = SANDBOX_STACK_MAX; step > 0; step /= 2) {
        if (!lua_getlocal(L, ar, sign * (n + step)))
            continue;
        lua_pop(L, 1);
        n += step;
    }
    return n;
}

// Whether the stack of L is so full that a new block of more than SANDBOX_STACK_MAX values is for a
// larger stack, if not for a table of somebody who nests calls that deeply.
static bool is_deep(lua_State *L)
{
    lua_Debug ar;
    int values = 0, level = 0;

    for (; level < DEEP_LEVELS && lua_getstack(L, level, &ar); level++)
        values += values_of(L, &ar, 1) + values_of(L, &ar, -1);
    return level == DEEP_LEVELS || values > SANDBOX_STACK_MAX / 2;
}

// Whether a new block is a hash part with too many keys: all of them are put into it at once, and
// keys that a script chose to collide cost their number's square.
static bool is_large_hash(const struct sandbox *s, size_t bytes)
{
    size_t nodes = bytes / NODE_BYTES;
    size_t max = s->budget.ms < LONG_MS ? SANDBOX_KEYS_MAX : 4 * SANDBOX_KEYS_MAX;

    return nodes > max && bytes % NODE_BYTES == 0 && (nodes & (nodes - 1)) == 0;
}

static void too_deep(struct sandbox *s)
{
    s->too_deep = true;
    sandbox_spend(s, DEEP_UNITS);
}

// What is too large for one instruction to work on. Lua then collects all garbage and asks again.
static bool is_too_large(struct sandbox *s, const void *old, size_t kind, size_t bytes)
{
    if (old || !s->in_call)
        return false;
    if (kind == LUA_TSTRING && bytes > SANDBOX_STRING_MAX + STRING_HEADER)
        s->too_long = true;
    else if (kind == 0 && bytes > SANDBOX_STACK_MAX * VALUE_BYTES && is_deep(s->running))
        too_deep(s);
    else if (kind == 0 && is_large_hash(s, bytes))
        s->too_many = true;
    else
        return false;
    sandbox_spend(s, s->used / BYTES_PER_UNIT);
    return true;
}

void *sandbox_allocate(void *self, void *old, size_t old_bytes, size_t bytes)
{
    struct sandbox *s = self;
    size_t had = old ? old_bytes : 0;  // for a new block old_bytes tells its kind

    sandbox_make_way(s);
    if (bytes == 0) {
        mem_free(old);
        s->used -= had;
        return NULL;
    }
    bool is_string = !old && old_bytes == LUA_TSTRING;
    sandbox_spend(s, ALLOC_UNITS + bytes / (is_string ? STRING_BYTES_PER_UNIT : BYTES_PER_UNIT));
    if (is_too_large(s, old, old_bytes, bytes))
        return NULL;
    if (bytes > had && bytes - had > s->limit - s->used)
        return refuse(s);
    void *p = mem_realloc(old, bytes);
    if (!p && bytes > had)
        return NULL;
    s->refused = s->refused && bytes <= had;
    s->used = s->used - had + bytes;
    return p ? p : old;  // Lua counts on it that shrinking does not fail
}

size_t sandbox_memory(const struct sandbox *s)
{
    return s->used;
}

int sandbox_set_memory(struct sandbox *s, size_t bytes, struct err *err)
{
    if (s->used > bytes)
        lua_gc(s->main, LUA_GCCOLLECT);
    if (s->used > bytes - bytes / 4)
        return err_set(err, E_POLICY,
                       "limits.memory_bytes: %zu is too little: the file alone takes %zu", bytes,
                       s->used);
    s->limit = bytes;
    return E_OK;
}
