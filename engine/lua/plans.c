// SPDX-License-Identifier: MIT
// plans.c: from tables to struct plan and struct history_plan; the session state as JSON.
#include "lua/plans.h"

#include "base/json.h"
#include "base/utf8.h"
#include "lua/freeze.h"
#include "lua/shape.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { STATE_DEPTH_MAX = 16 };

// ---- state as JSON

// The length of a sequence that is all there is in the table at idx, or -1.
LJMP static lua_Integer sequence_len(lua_State *L, int idx)
{
    lua_Integer len = (lua_Integer)lua_rawlen(L, idx), n = 0;

    for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1)) {
        sandbox_charge(L, 1);
        n++;
    }
    return n == len && n > 0 ? len : -1;
}

LJMP static void write_value(lua_State *L, struct json_writer *w, const char *where);

LJMP static void write_object(lua_State *L, struct json_writer *w, const char *where)
{
    int idx = lua_gettop(L);

    jw_object(w);
    for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING || strlen(lua_tostring(L, -2)) != lua_rawlen(L, -2))
            luaL_error(L, "%s: state: keys must be names, or 1, 2, 3 …", where);
        jw_key(w, lua_tostring(L, -2));
        write_value(L, w, where);
    }
    jw_object_end(w);
}

// The table on top.
LJMP static void write_table(lua_State *L, struct json_writer *w, const char *where)
{
    int idx = lua_gettop(L);

    luaL_checkstack(L, 6, "state");
    freeze_reveal(L);
    if (w->depth >= STATE_DEPTH_MAX)
        luaL_error(L, "%s: state: tables are nested too deeply (at most %d)", where,
                   STATE_DEPTH_MAX);
    lua_Integer len = w->depth == 0 ? -1 : sequence_len(L, idx);
    if (len < 0) {
        write_object(L, w, where);
        return;
    }
    jw_array(w);
    for (lua_Integer i = 1; i <= len; i++) {
        lua_rawgeti(L, idx, i);
        write_value(L, w, where);
        lua_pop(L, 1);
    }
    jw_array_end(w);
}

LJMP static void write_value(lua_State *L, struct json_writer *w, const char *where)
{
    struct slice s;

    sandbox_charge(L, 10);
    switch (lua_type(L, -1)) {
    case LUA_TBOOLEAN:
        jw_bool(w, lua_toboolean(L, -1));
        break;
    case LUA_TNUMBER:
        if (lua_isinteger(L, -1))
            jw_i64(w, lua_tointeger(L, -1));
        else if (isfinite(lua_tonumber(L, -1)))
            jw_double(w, lua_tonumber(L, -1));
        else
            luaL_error(L, "%s: state: a number is not finite", where);
        break;
    case LUA_TSTRING:
        s.ptr = lua_tolstring(L, -1, &s.len);
        if (!utf8_valid(s))
            luaL_error(L, "%s: state: text is not valid UTF-8", where);
        jw_slice(w, s);
        break;
    case LUA_TTABLE:
        write_table(L, w, where);
        break;
    default:
        luaL_error(L, "%s: state: may hold text, numbers, booleans and tables, not %s", where,
                   sandbox_value_word(L, -1));
    }
}

// In a protected call of its own, so that the buffer is released whatever happens.
struct state_write {
    struct buf json;
    const char *where;
};

LJMP static int write_state(lua_State *L)
{
    struct state_write *s = lua_touserdata(L, 2);
    struct json_writer w;

    lua_settop(L, 1);
    jw_init(&w, &s->json);
    write_table(L, &w, s->where);
    return 0;
}

// The state table is on top.
LJMP static void read_state(lua_State *L, const char *where, struct plan *plan)
{
    struct state_write s = {.json = BUF_INIT(PLAN_STATE_BYTES_MAX), .where = where};

    lua_pushcfunction(L, write_state);
    lua_pushvalue(L, -2);
    lua_pushlightuserdata(L, &s);
    int status = lua_pcall(L, 2, 0, 0);
    bool whole = buf_ok(&s.json);
    if (status == LUA_OK && whole)
        whole = redact_own(buf_slice(&s.json), &plan->state, NULL) == E_OK;
    buf_release(&s.json);
    if (status != LUA_OK)
        lua_error(L);
    if (!whole)
        luaL_error(L, "%s: state: larger than %d KiB as JSON", where, PLAN_STATE_BYTES_MAX >> 10);
}

LJMP void plans_read_state(lua_State *L, const char *where, struct plan *plan)
{
    freeze_reveal(L);
    snprintf(plan->by, sizeof(plan->by), "%s", where);
    if (lua_istable(L, -1))
        read_state(L, where, plan);
    else if (!lua_isnil(L, -1))
        luaL_error(L, "%s: must return nil or what the state becomes, such as { topic = \"…\" }, "
                      "not %s", where, sandbox_value_word(L, -1));
}

// ---- plans

struct verb {
    const char *name;
    int type;
    enum plan_verb verb;
};

static const struct verb verbs[] = {
    {"say", LUA_TSTRING, PLAN_SAY},
    {"flow", LUA_TSTRING, PLAN_FLOW},
    {"handoff", LUA_TSTRING, PLAN_HANDOFF},
    {"reset", LUA_TBOOLEAN, PLAN_RESET},
};

// The value on top, of the right type.
LJMP static void take_verb(lua_State *L, const struct verb *verb, const char *where,
                           struct plan *plan)
{
    struct err err = ERR_INIT;
    struct slice text;

    if (plan->verb != PLAN_GO)
        luaL_error(L, "%s: a plan may have one of say, flow, handoff, reset; it has two", where);
    plan->verb = verb->verb;
    if (verb->type != LUA_TSTRING)
        return;
    text.ptr = lua_tolstring(L, -1, &text.len);
    if (text.len == 0)
        luaL_error(L, "%s: %s: is empty; return nil to go on to the model", where, verb->name);
    if (redact_own(text, &plan->text, &err) != E_OK ||
        safe_buf_check(&plan->text, verb->name, &err) != E_OK)
        luaL_error(L, "%s: %s: %s", where, verb->name, err.message);
}

LJMP static bool read_switch(lua_State *L, int idx, const char *name, const char *where)
{
    int type = shape_field(L, idx, name);
    bool on = lua_toboolean(L, -1);

    if (type != LUA_TNIL && type != LUA_TBOOLEAN)
        luaL_error(L, "%s: %s: must be a boolean, not a %s", where, name, lua_typename(L, type));
    lua_pop(L, 1);
    return on;
}

LJMP void plans_read(lua_State *L, const char *where, struct plan *plan)
{
    static const char *const names[] = {"say", "flow", "handoff", "reset", "pin",
                                        "resume", "state", "memory"};
    int idx = lua_gettop(L);

    freeze_reveal(L);
    snprintf(plan->by, sizeof(plan->by), "%s", where);
    if (lua_isnil(L, idx))
        return;
    if (!lua_istable(L, idx))
        luaL_error(L, "%s: must return nil or a plan such as { say = \"…\" }, not %s", where,
                   sandbox_value_word(L, idx));
    shape_only_keys(L, idx, names, sizeof(names) / sizeof(names[0]), where);
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        int type = shape_field(L, idx, verbs[i].name);

        if (type != LUA_TNIL && type != verbs[i].type)
            luaL_error(L, "%s: %s: must be a %s, not a %s", where, verbs[i].name,
                       lua_typename(L, verbs[i].type), lua_typename(L, type));
        if (type != LUA_TNIL && lua_toboolean(L, -1))
            take_verb(L, &verbs[i], where, plan);
        lua_pop(L, 1);
    }
    plan->pin = read_switch(L, idx, "pin", where);
    plan->resume = read_switch(L, idx, "resume", where);
    int type = shape_field(L, idx, "state");
    if (type == LUA_TTABLE)
        read_state(L, where, plan);
    else if (type != LUA_TNIL)
        luaL_error(L, "%s: state: must be a table, not a %s", where, lua_typename(L, type));
}

// ---- history

LJMP static uint64_t read_count(lua_State *L, int idx, const char *name, const char *where,
                                uint64_t fallback)
{
    int type = shape_field(L, idx, name), is_integer = 0;
    lua_Integer n = lua_tointegerx(L, -1, &is_integer);

    lua_pop(L, 1);
    if (type == LUA_TNIL)
        return fallback;
    if (type != LUA_TNUMBER || !is_integer || n < 0)
        luaL_error(L, "%s: %s: must be a whole number, 0 or more", where, name);
    return (uint64_t)n;
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

// Sorts and drops what is there twice.
static void order_pins(struct history_plan *plan)
{
    uint32_t kept = 0;

    qsort(plan->pinned, plan->pinned_len, sizeof(plan->pinned[0]), by_number);
    for (uint32_t i = 0; i < plan->pinned_len; i++)
        if (kept == 0 || plan->pinned[kept - 1] != plan->pinned[i])
            plan->pinned[kept++] = plan->pinned[i];
    plan->pinned_len = kept;
}

LJMP static void read_pins(lua_State *L, int idx, const char *where, uint32_t turn,
                           struct history_plan *plan)
{
    int type = shape_field(L, idx, "pin");

    if (type == LUA_TNIL)
        return;
    if (type != LUA_TTABLE)
        luaL_error(L, "%s: pin: must be a list of turns, as in { 1, 4 }", where);
    lua_Unsigned n = lua_rawlen(L, -1);
    if (n > PLAN_PINNED_MAX)
        luaL_error(L, "%s: pin: too many turns (at most %d)", where, PLAN_PINNED_MAX);
    for (lua_Unsigned i = 1; i <= n; i++) {
        int is_integer = 0;

        lua_rawgeti(L, -1, (lua_Integer)i);
        lua_Integer pin = lua_tointegerx(L, -1, &is_integer);
        lua_pop(L, 1);
        if (!is_integer || pin < 1)
            luaL_error(L, "%s: pin: item %d is not the number of a turn", where, (int)i);
        if (pin < (lua_Integer)turn)  // one that is still to come is pinned once it is there
            plan->pinned[plan->pinned_len++] = (uint32_t)pin;
    }
    order_pins(plan);
}

LJMP static void read_recall(lua_State *L, int idx, const char *where, struct history_plan *plan)
{
    static const char *const names[] = {"k", "budget_tokens"};
    int type = shape_field(L, idx, "recall"), at = lua_gettop(L);

    if (type == LUA_TTABLE) {
        shape_only_keys(L, at, names, sizeof(names) / sizeof(names[0]), where);
        uint64_t k = read_count(L, at, "k", where, PLAN_RECALL_DEFAULT);
        if (k > PLAN_RECALL_MAX)
            luaL_error(L, "%s: recall.k: at most %d turns can be recalled", where,
                       PLAN_RECALL_MAX);
        plan->recall = (uint32_t)k;
        plan->recall_tokens =
            read_count(L, at, "budget_tokens", where, PLAN_RECALL_TOKENS_DEFAULT);
    } else if (type != LUA_TNIL) {
        luaL_error(L, "%s: recall: must be a table such as { k = 5 }", where);
    }
    lua_pop(L, 1);
}

LJMP static void read_plan_text(lua_State *L, int idx, const char *name, const char *where,
                                char *out, size_t size)
{
    int type = shape_field(L, idx, name);
    struct slice text = SLICE_NONE;

    if (type != LUA_TNIL && type != LUA_TSTRING)
        luaL_error(L, "%s: summary.%s: must be text", where, name);
    if (type == LUA_TSTRING)
        text.ptr = lua_tolstring(L, -1, &text.len);
    if (text.len >= size || (text.len && strlen(text.ptr) != text.len) || !utf8_valid(text))
        luaL_error(L, "%s: summary.%s: must be UTF-8 text of at most %d bytes", where, name,
                   (int)size - 1);
    snprintf(out, size, "%s", text.ptr ? text.ptr : "");
    lua_pop(L, 1);
}

LJMP static void read_share(lua_State *L, int idx, const char *where, struct summary_plan *s)
{
    int type = shape_field(L, idx, "at");
    double at = type == LUA_TNUMBER ? lua_tonumber(L, -1) : -1;

    if (type != LUA_TNIL && !(at >= 0 && at <= 1))
        luaL_error(L, "%s: summary.at: must be a number from 0 to 1", where);
    s->at_permille = type == LUA_TNIL ? PLAN_SUMMARISE_AT_DEFAULT
                                      : (uint32_t)(at * PLAN_PERMILLE + 0.5);
    lua_pop(L, 1);
}

// With a summary, what is not said is as for history.summarise.
LJMP static void read_summary(lua_State *L, int idx, const char *where, struct history_plan *plan)
{
    static const char *const names[] = {"tokens", "at", "prompt", "model"};
    struct summary_plan *s = &plan->summary;
    int type = shape_field(L, idx, "summary"), at = lua_gettop(L);
    const char *wrong;

    if (type == LUA_TTABLE) {
        shape_only_keys(L, at, names, sizeof(names) / sizeof(names[0]), where);
        uint64_t tokens = read_count(L, at, "tokens", where, PLAN_SUMMARY_TOKENS_DEFAULT);
        s->tokens = tokens < UINT32_MAX ? (uint32_t)tokens : UINT32_MAX;
        read_share(L, at, where, s);
        read_plan_text(L, at, "prompt", where, s->prompt, sizeof(s->prompt));
        read_plan_text(L, at, "model", where, s->model, sizeof(s->model));
        if ((wrong = history_summary_wrong(s)))
            luaL_error(L, "%s: summary: %s", where, wrong);
        if (plan->last == UINT32_MAX)
            plan->last = PLAN_KEEP_DEFAULT;
    } else if (type != LUA_TNIL) {
        luaL_error(L, "%s: summary: must be a table such as { tokens = 400 }", where);
    }
    lua_pop(L, 1);
}

LJMP const char *plans_read_constraints(lua_State *L, struct history_plan *plan)
{
    const char *wrong = NULL;
    lua_Unsigned n = lua_rawlen(L, -1);

    for (lua_Unsigned i = 1; i <= n && !wrong; i++) {
        struct slice text = SLICE_NONE;

        lua_rawgeti(L, -1, (lua_Integer)i);
        if (lua_type(L, -1) == LUA_TSTRING)
            text.ptr = lua_tolstring(L, -1, &text.len);
        wrong = history_plan_constrain(plan, text);
        lua_pop(L, 1);
    }
    return wrong;
}

LJMP static void read_constraints(lua_State *L, int idx, const char *where,
                                  struct history_plan *plan)
{
    int type = shape_field(L, idx, "constraints");

    if (type != LUA_TNIL && type != LUA_TTABLE)
        luaL_error(L, "%s: constraints: must be a list of texts", where);
    const char *wrong = type == LUA_TTABLE ? plans_read_constraints(L, plan) : NULL;
    if (wrong)
        luaL_error(L, "%s: constraints: %s", where, wrong);
    lua_pop(L, 1);
}

LJMP void plans_read_history(lua_State *L, const char *where, uint32_t turn,
                             struct history_plan *plan)
{
    static const char *const names[] = {"last", "slack", "pin", "pin_first", "budget_tokens",
                                        "recall", "summary", "constraints"};
    int idx = lua_gettop(L);

    freeze_reveal(L);
    history_plan_full(plan);
    snprintf(plan->by, sizeof(plan->by), "%s", where);
    if (lua_isnil(L, idx))
        return;
    if (!lua_istable(L, idx))
        luaL_error(L, "%s: must return nil or a table such as { last = 8 }, not %s", where,
                   sandbox_value_word(L, idx));
    shape_only_keys(L, idx, names, sizeof(names) / sizeof(names[0]), where);
    snprintf(plan->strategy, sizeof(plan->strategy), "custom");
    uint64_t last = read_count(L, idx, "last", where, UINT32_MAX);
    uint64_t first = read_count(L, idx, "pin_first", where, 0);
    plan->last = last < UINT32_MAX ? (uint32_t)last : UINT32_MAX;
    read_summary(L, idx, where, plan);
    uint32_t summary_slack = plan->summary.tokens ? history_summary_slack(plan->last) : 0;
    uint64_t slack = read_count(L, idx, "slack", where, summary_slack);
    plan->slack = slack < UINT32_MAX ? (uint32_t)slack : UINT32_MAX;
    plan->pin_first = first < UINT32_MAX ? (uint32_t)first : UINT32_MAX;
    plan->budget_tokens = read_count(L, idx, "budget_tokens", where, 0);
    read_recall(L, idx, where, plan);
    read_constraints(L, idx, where, plan);
    read_pins(L, idx, where, turn, plan);
}
