// SPDX-License-Identifier: MIT
// life.c: see life.h; INTERFACES and scripts/meta/parley.lua document it.
#include "lua/life.h"

#include "base/clock.h"
#include "lua/freeze.h"
#include "lua/shape.h"

const char *const life_expiry_keys[LIFE_EXPIRY_KEYS] = {"kind", "soft", "hard", "ttl", "purge"};
const char *const life_resume_keys[LIFE_RESUME_KEYS] = {"restore_within", "fresh_after", "offer",
                                                        "greet"};
const char *const life_device_keys[LIFE_DEVICE_KEYS] = {"one_active", "lapse_after"};

#define SPAN_WORDS "must be a duration such as \"30m\", \"2h\" or \"30d\", or false: never"

// A span, `false` being 0 (never). Leaves what is wrong on the stack and returns it, or NULL.
LJMP static const char *read_span(lua_State *L, int idx, const char *name, int64_t *out)
{
    struct err err = ERR_INIT;
    int type = shape_field(L, idx, name);
    struct slice text = SLICE_NONE;

    if (type == LUA_TNIL) {
        lua_pop(L, 1);
        return NULL;
    }
    if (type == LUA_TBOOLEAN && !lua_toboolean(L, -1)) {
        *out = 0;
        lua_pop(L, 1);
        return NULL;
    }
    if (type == LUA_TSTRING)
        text.ptr = lua_tolstring(L, -1, &text.len);
    if (type != LUA_TSTRING)
        return lua_pushfstring(L, "%s: " SPAN_WORDS ", not %s", name, sandbox_value_word(L, -1));
    if (clock_parse_span(text, out, &err) != E_OK)
        return lua_pushfstring(L, "%s: %s; it " SPAN_WORDS, name, err.message);
    if (*out <= 0 || *out > EXPIRY_MS_MAX)
        return lua_pushfstring(L, "%s: must be more than nothing and at most 100 years; false is "
                                  "never", name);
    lua_pop(L, 1);
    return NULL;
}

LJMP static const char *read_switch(lua_State *L, int idx, const char *name, bool *out)
{
    int type = shape_field(L, idx, name);

    if (type != LUA_TNIL && type != LUA_TBOOLEAN)
        return lua_pushfstring(L, "%s: must be true or false", name);
    *out = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return NULL;
}

LJMP static const char *read_kind(lua_State *L, int idx, struct expiry *out)
{
    int type = shape_field(L, idx, "kind");
    const char *word = type == LUA_TSTRING ? lua_tostring(L, -1) : "sliding";

    if ((type != LUA_TNIL && type != LUA_TSTRING) ||
        (strcmp(word, "sliding") != 0 && strcmp(word, "fixed") != 0))
        return lua_pushstring(L, "kind: must be \"sliding\" (counts from the last message) or "
                                 "\"fixed\" (counts from the first)");
    out->kind = strcmp(word, "fixed") == 0 ? EXPIRY_FIXED : EXPIRY_SLIDING;
    lua_pop(L, 1);
    bool has_ttl = shape_field(L, idx, "ttl") != LUA_TNIL;
    bool has_hard = shape_field(L, idx, "hard") != LUA_TNIL;
    lua_pop(L, 2);
    if (out->kind == EXPIRY_FIXED && (!has_ttl || has_hard))
        return lua_pushstring(L, "kind = \"fixed\" needs ttl, as in { kind = \"fixed\", ttl = "
                                 "\"24h\" }, and takes no hard");
    if (out->kind == EXPIRY_SLIDING && has_ttl)
        return lua_pushstring(L, "ttl: is of kind = \"fixed\"; a sliding expiry has hard, as in "
                                 "{ kind = \"sliding\", hard = \"2h\" }");
    return NULL;
}

LJMP const char *life_read_expiry(lua_State *L, int idx, struct expiry *out)
{
    *out = expiry_default;
    out->purge_ms = EXPIRY_PURGE_DEFAULT_MS;
    const char *wrong = read_kind(L, idx, out);

    if (out->kind == EXPIRY_FIXED)
        out->soft_ms = 0;  // it ends when it ends
    if (!wrong)
        wrong = read_span(L, idx, "soft", &out->soft_ms);
    if (!wrong)
        wrong = read_span(L, idx, out->kind == EXPIRY_FIXED ? "ttl" : "hard", &out->hard_ms);
    if (!wrong)
        wrong = read_span(L, idx, "purge", &out->purge_ms);
    if (!wrong && out->soft_ms && out->hard_ms && out->soft_ms > out->hard_ms)
        wrong = lua_pushfstring(L, "soft: is longer than %s",
                                out->kind == EXPIRY_FIXED ? "ttl" : "hard");
    return wrong;
}

LJMP const char *life_read_resume(lua_State *L, int idx, struct resume_rules *out)
{
    *out = resume_default;
    const char *wrong = read_span(L, idx, "restore_within", &out->restore_within_ms);

    if (!wrong)
        wrong = read_span(L, idx, "fresh_after", &out->fresh_after_ms);
    if (!wrong && out->fresh_after_ms == 0)
        out->fresh_after_ms = INT64_MAX;
    if (!wrong && out->fresh_after_ms < out->restore_within_ms)
        wrong = lua_pushstring(L, "fresh_after: is shorter than restore_within");
    if (wrong)
        return wrong;
    return read_switch(L, idx, "offer", &out->offer);
}

LJMP const char *life_read_devices(lua_State *L, int idx, struct device_rules *out)
{
    *out = device_rules_default;
    const char *wrong = read_switch(L, idx, "one_active", &out->one_active);

    return wrong ? wrong : read_span(L, idx, "lapse_after", &out->lapse_ms);
}

LJMP void life_take_expiry(lua_State *L, const char *where, struct expiry *out)
{
    int idx = lua_gettop(L);

    freeze_reveal(L);
    if (lua_isnil(L, idx))
        return;
    if (!lua_istable(L, idx))
        luaL_error(L, "%s: must return nil or a table such as { kind = \"sliding\", hard = \"2h\" "
                      "}, not %s", where, sandbox_value_word(L, idx));
    shape_only_keys(L, idx, life_expiry_keys, LIFE_EXPIRY_KEYS, where);
    const char *wrong = life_read_expiry(L, idx, out);
    if (wrong)
        luaL_error(L, "%s: %s", where, wrong);
}

LJMP void life_take_greeting(lua_State *L, const char *where, struct safe_buf *out)
{
    static const char *const names[] = {"say"};
    int idx = lua_gettop(L);
    struct err err = ERR_INIT;
    struct slice text;

    freeze_reveal(L);
    if (lua_istable(L, idx)) {
        shape_only_keys(L, idx, names, 1, where);
        shape_field(L, idx, "say");
    }
    if (lua_isnil(L, -1))
        return;
    if (lua_type(L, -1) != LUA_TSTRING)
        luaL_error(L, "%s: must return nil, a text, or { say = \"…\" }, not %s", where,
                   sandbox_value_word(L, -1));
    text.ptr = lua_tolstring(L, -1, &text.len);
    if (redact_own(text, out, &err) != E_OK ||
        safe_buf_check(out, "a greeting", &err) != E_OK)
        luaL_error(L, "%s: %s", where, err.message);
}
