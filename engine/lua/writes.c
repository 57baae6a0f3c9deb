// SPDX-License-Identifier: MIT
// writes.c: reads the binary form of a function (lua_dump, Lua 5.4 format) for assignments to
// upvalues. The form is our own state's, never a script's: what is not as expected is a BUG.
//
// function := source line line params vararg stack  code constants upvalues functions
//             lineinfo abslineinfo locals upvalue-names
#include "lua/writes.h"

#include "base/buf.h"
#include "lua/sandbox.h"

#if LUA_VERSION_NUM != 504
#error "writes.c reads the code of Lua 5.4"
#endif

enum {
    OP_SETUPVAL = 10, OP_BITS = 7, ARG_B_SHIFT = 16,
    LINE_ABSOLUTE = -0x80,            // marks an instruction whose line is in abslineinfo
    HEADER_BYTES = 4 + 1 + 1 + 6 + 3 + 8 + 8 + 1,
    CODE_BYTES_MAX = 16 << 20,
    NEST_MAX = 200,                   // as deep as Lua's parser goes
};

struct reader {
    const unsigned char *at, *end;
};

static const unsigned char *take(struct reader *r, size_t n)
{
    const unsigned char *p = r->at;

    BUG_ON((size_t)(r->end - r->at) < n);
    r->at += n;
    return p;
}

// Numbers come in groups of seven bits, the last one marked.
static size_t take_size(struct reader *r)
{
    size_t n = 0;
    unsigned char c;

    do {
        c = *take(r, 1);
        n = n << 7 | (c & 0x7f);
    } while (!(c & 0x80));
    return n;
}

static void skip_string(struct reader *r)
{
    size_t n = take_size(r);

    if (n > 0)
        take(r, n - 1);  // 0 is no string, else length + 1
}

static void skip_constants(struct reader *r)
{
    for (size_t n = take_size(r); n > 0; n--) {
        unsigned char kind = *take(r, 1);

        if ((kind & 0x0f) == LUA_TNUMBER)
            take(r, 8);
        else if ((kind & 0x0f) == LUA_TSTRING)
            skip_string(r);
    }
}

// What the walk knows of one function while its inner ones are read.
struct level {
    const struct level *outer;
    const unsigned char *upvalues;  // 3 bytes each: in the outer's stack?, index there, kind
};

// The outermost function's upvalue behind upvalue i of a function, or -1 if it is a local.
static int outermost(const struct level *level, int i)
{
    for (; level->outer; level = level->outer) {
        if (level->upvalues[3 * i])
            return -1;  // a local of the function around it: new in every call
        i = level->upvalues[3 * i + 1];
    }
    return i;
}

static uint32_t instruction(const unsigned char *code, size_t pc)
{
    uint32_t i;

    memcpy(&i, code + 4 * pc, 4);
    return i;
}

// The line of instruction pc; reads the debug part that begins at r.
static int line_of(struct reader r, int first_line, size_t pc)
{
    size_t n = take_size(&r);
    const unsigned char *delta = take(&r, n);
    struct reader absolute = r;
    size_t left = take_size(&absolute);
    int line = first_line;

    for (size_t i = 0; i <= pc && i < n; i++) {
        if ((signed char)delta[i] != LINE_ABSOLUTE) {
            line += (signed char)delta[i];
            continue;
        }
        BUG_ON(left-- == 0);
        take_size(&absolute);  // its pc, which is i
        line = (int)take_size(&absolute);
    }
    return line;
}

static void skip_debug(struct reader *r)
{
    take(r, take_size(r));
    for (size_t n = take_size(r); n > 0; n--)
        take_size(r), take_size(r);
    for (size_t n = take_size(r); n > 0; n--)
        skip_string(r), take_size(r), take_size(r);
    for (size_t n = take_size(r); n > 0; n--)
        skip_string(r);
}

static bool scan(struct reader *r, const struct level *outer, int depth, struct upvalue_write *out)
{
    BUG_ON(depth > NEST_MAX);
    skip_string(r);
    int first_line = (int)take_size(r);
    take_size(r);
    take(r, 3);
    size_t code_len = take_size(r);
    const unsigned char *code = take(r, 4 * code_len);
    skip_constants(r);
    struct level level = {.outer = outer};
    size_t upvalues = take_size(r);
    level.upvalues = take(r, 3 * upvalues);

    bool found = false;
    for (size_t n = take_size(r); n > 0; n--)
        found = scan(r, &level, depth + 1, out) || found;
    for (size_t pc = 0; pc < code_len && !found; pc++) {
        uint32_t i = instruction(code, pc);

        if ((i & ((1u << OP_BITS) - 1)) != OP_SETUPVAL)
            continue;
        int upvalue = outermost(&level, (int)(i >> ARG_B_SHIFT & 0xff));
        if (upvalue < 0)
            continue;
        *out = (struct upvalue_write){upvalue + 1, line_of(*r, first_line, pc)};
        found = true;
    }
    skip_debug(r);
    return found;
}

static int add_piece(lua_State *L, const void *bytes, size_t len, void *user)
{
    (void)L;
    buf_add(user, bytes, len);
    return !buf_ok(user);
}

LJMP bool writes_find(lua_State *L, struct upvalue_write *out)
{
    struct buf code = BUF_INIT(CODE_BYTES_MAX);
    bool found = false;

    // lua_dump raises nothing of its own: our writer only says "stop".
    if (lua_dump(L, add_piece, &code, 0) != 0) {
        bool no_memory = code.no_memory;
        buf_release(&code);
        if (no_memory)
            sandbox_no_memory(L);
        luaL_error(L, "the script is too large to check");
    }
    struct reader r = {(const unsigned char *)code.ptr, (const unsigned char *)code.ptr + code.len};
    take(&r, HEADER_BYTES);
    found = scan(&r, NULL, 0, out);
    buf_release(&code);
    return found;
}
