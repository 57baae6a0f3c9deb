// SPDX-License-Identifier: MIT
// shape.c: the keys of a policy. See shape.h; INTERFACES and scripts/meta/parley.lua document them.
#include "lua/shape.h"

#include "base/hint.h"
#include "base/utf8.h"
#include "lua/freeze.h"
#include "lua/life.h"
#include "lua/plans.h"

#include <stdio.h>

enum { PATH_MAX_KEYS = 3, PATH_BYTES = 192 };

// The least of a policy's limits: less would not let the smallest hook through.
enum { TIME_MS_MIN = 1, FUEL_MIN = 10000, MEMORY_BYTES_MIN = 1 << 20 };

enum { T_STRING = 1 << LUA_TSTRING, T_TABLE = 1 << LUA_TTABLE, T_FUNCTION = 1 << LUA_TFUNCTION,
       T_COUNT = 1 << LUA_TNUMBER /* a whole number, not negative */,
       T_SHARE = 1 << 16 /* a number from 0 to 1 */,
       T_DOLLARS = 1 << 17 /* a number, not negative */,
       T_ANY = 1 << 18 /* looked at by who reads it */ };

struct key {
    const char *name;
    int types;       // T_… that are allowed
    bool idle;       // known, without effect yet
};

static const struct key policy_keys[] = {
    {"title", T_STRING, false},
    {"model", T_STRING, false},
    {"system", T_STRING, false},
    {"history", T_TABLE | T_FUNCTION, false},
    {"on_message", T_FUNCTION, false},
    {"on_reply", T_FUNCTION, false},
    {"limits", T_TABLE, false},
    {"expiry", T_TABLE | T_FUNCTION, false},
    {"resume", T_TABLE, false},
    {"privacy", T_TABLE, false},
    {"memory", T_ANY, false},
    {"tools", T_TABLE, true},
    {"devices", T_TABLE, false},
    {"flows", T_TABLE, true},
};

static const struct key limits_keys[] = {
    {"max_output_tokens", T_COUNT, false},
    {"time_ms", T_COUNT, false},
    {"fuel", T_COUNT, false},
    {"memory_bytes", T_COUNT, false},
    {"user_usd_per_day", T_DOLLARS, false},
    {"bot_usd_per_day", T_DOLLARS, false},
    {"user_tokens_per_day", T_COUNT, false},
    {"bot_tokens_per_day", T_COUNT, false},
};

// The history strategies that are data; parley.history makes tables {strategy = …, options = {…}}.
static const struct strategy {
    const char *name;
    const char *needs;  // an option without which it says nothing; NULL: none
    struct key options[11];
} strategies[] = {
    {"full", NULL, {{"constraints", T_TABLE, false}}},
    {"truncate", "budget_tokens",
     {{"budget_tokens", T_COUNT, false}, {"constraints", T_TABLE, false}}},
    {"window", "keep_turns", {{"keep_turns", T_COUNT, false}, {"slack_turns", T_COUNT, false},
                {"pin_first", T_COUNT, false}, {"constraints", T_TABLE, false}}},
    {"recall", NULL, {{"k", T_COUNT, false}, {"budget_tokens", T_COUNT, false},
                {"keep_turns", T_COUNT, false}, {"slack_turns", T_COUNT, false},
                {"pin_first", T_COUNT, false}, {"constraints", T_TABLE, false}}},
    {"summarise", NULL, {{"keep_turns", T_COUNT, false}, {"slack_turns", T_COUNT, false},
                   {"pin_first", T_COUNT, false}, {"summarise_at", T_SHARE, false},
                   {"summary_tokens", T_COUNT, false}, {"prompt", T_STRING, false},
                   {"model", T_STRING, false}, {"constraints", T_TABLE, false}}},
    {"hybrid", NULL, {{"recall", T_COUNT, false}, {"recall_tokens", T_COUNT, false},
                {"keep_turns", T_COUNT, false}, {"slack_turns", T_COUNT, false},
                {"pin_first", T_COUNT, false}, {"summarise_at", T_SHARE, false},
                {"summary_tokens", T_COUNT, false}, {"prompt", T_STRING, false},
                {"model", T_STRING, false}, {"constraints", T_TABLE, false}}},
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

// Where the check is: the keys down to the current one.
struct place {
    const struct shape_source *source;
    const char *keys[PATH_MAX_KEYS];
    unsigned depth;
};

static int line_at(const struct place *at)
{
    return source_key_line(at->source->text, at->keys, at->depth);
}

LJMP static int complain(lua_State *L, const struct place *at, const char *what)
{
    char path[PATH_BYTES] = "";
    size_t len = 0;

    for (unsigned i = 0; i < at->depth && len < sizeof(path); i++)
        len += (size_t)snprintf(path + len, sizeof(path) - len, "%s%s", i ? "." : "", at->keys[i]);
    return luaL_error(L, "%s:%d: %s: %s", at->source->file, line_at(at), path, what);
}

LJMP static int complain_unknown(lua_State *L, const struct place *at, const struct key *keys,
                                 size_t len)
{
    const char *names[COUNT_OF(policy_keys)] = {0};

    for (size_t i = 0; i < len; i++)
        names[i] = keys[i].name;
    const char *near = hint_nearest(slice_str(at->keys[at->depth - 1]), names, len);
    struct hint_list all = {0};
    for (size_t i = 0; i < len && !near; i++)
        hint_list_add(&all, slice_str(names[i]));
    lua_pushfstring(L, near ? "unknown key (did you mean %s?)" : "unknown key; there are %s",
                    near ? near : all.text);
    return complain(L, at, lua_tostring(L, -1));
}

static const char *types_word(int types)
{
    switch (types) {
    case T_STRING: return "text";
    case T_TABLE: return "a table";
    case T_FUNCTION: return "a function";
    case T_TABLE | T_FUNCTION: return "a table or a function";
    case T_SHARE: return "a number from 0 to 1";
    case T_DOLLARS: return "US dollars: a number from 0 to 1000000000";
    default: return "a whole number, 0 or more";
    }
}

// The value on top must be of the key's type.
LJMP static void check_type(lua_State *L, const struct place *at, const struct key *key)
{
    int type = lua_type(L, -1), is_integer = 1;
    lua_Integer n = 0;

    if (key->types & T_ANY)
        return;
    if ((key->types & T_SHARE) && type == LUA_TNUMBER && lua_tonumber(L, -1) >= 0 &&
        lua_tonumber(L, -1) <= 1)
        return;
    if ((key->types & T_DOLLARS) && type == LUA_TNUMBER && lua_tonumber(L, -1) >= 0 &&
        lua_tonumber(L, -1) <= SPEND_DOLLARS_MAX)
        return;
    if (type == LUA_TNUMBER)
        n = lua_tointegerx(L, -1, &is_integer);
    if ((key->types & 1 << type) && is_integer && n >= 0)
        return;
    if (type == LUA_TNUMBER && (key->types & (T_COUNT | T_SHARE | T_DOLLARS)))
        lua_pushfstring(L, "must be %s", types_word(key->types));
    else
        lua_pushfstring(L, "must be %s, not %s", types_word(key->types), sandbox_value_word(L, -1));
    complain(L, at, lua_tostring(L, -1));
}

// Checks every member of the table at idx (absolute) against keys.
LJMP static void check_members(lua_State *L, int idx, struct place *at, const struct key *keys,
                               size_t len)
{
    for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1)) {
        const struct key *found = NULL;

        at->keys[at->depth++] = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "[item]";
        for (size_t i = 0; i < len && !found; i++)
            if (strcmp(keys[i].name, at->keys[at->depth - 1]) == 0)
                found = &keys[i];
        if (!found)
            complain_unknown(L, at, keys, len);
        else
            check_type(L, at, found);
        at->depth--;
    }
}

LJMP int shape_field(lua_State *L, int idx, const char *name)
{
    lua_pushstring(L, name);
    int type = lua_rawget(L, idx);
    freeze_reveal(L);
    return type;
}

LJMP static struct slice read_text(lua_State *L, int idx, const char *name)
{
    struct slice text = SLICE_NONE;

    if (shape_field(L, idx, name) == LUA_TSTRING)
        text.ptr = lua_tolstring(L, -1, &text.len);  // the policy's table keeps it
    lua_pop(L, 1);
    return text;
}

LJMP static uint64_t read_count(lua_State *L, int idx, const char *name, uint64_t fallback)
{
    bool is_number = shape_field(L, idx, name) == LUA_TNUMBER;
    uint64_t n = is_number ? (uint64_t)lua_tointeger(L, -1) : fallback;

    lua_pop(L, 1);
    return n;
}

LJMP static int read_hook(lua_State *L, int idx, const char *name)
{
    if (shape_field(L, idx, name) == LUA_TFUNCTION)
        return luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pop(L, 1);
    return LUA_NOREF;
}

static uint32_t to_u32(uint64_t n)
{
    return n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

LJMP static void read_constraints(lua_State *L, int options, struct place *at,
                                  struct history_plan *plan)
{
    const char *wrong = NULL;

    if (shape_field(L, options, "constraints") == LUA_TTABLE)
        wrong = plans_read_constraints(L, plan);
    if (wrong) {
        lua_pushfstring(L, "constraints: %s", wrong);
        complain(L, at, lua_tostring(L, -1));
    }
    lua_pop(L, 1);
}

LJMP static void read_recall(lua_State *L, int options, struct place *at, const char *count,
                             const char *tokens, struct history_plan *plan)
{
    uint64_t k = read_count(L, options, count, PLAN_RECALL_DEFAULT);

    if (k > PLAN_RECALL_MAX) {
        lua_pushfstring(L, "%s: at most %d turns can be recalled", count, PLAN_RECALL_MAX);
        complain(L, at, lua_tostring(L, -1));
    }
    plan->recall = to_u32(k);
    plan->recall_tokens = read_count(L, options, tokens, PLAN_RECALL_TOKENS_DEFAULT);
}

// A share as permille.
LJMP static uint32_t read_share(lua_State *L, int idx, const char *name, uint32_t fallback)
{
    bool is_number = shape_field(L, idx, name) == LUA_TNUMBER;
    double n = is_number ? lua_tonumber(L, -1) * PLAN_PERMILLE + 0.5 : fallback;

    lua_pop(L, 1);
    return (uint32_t)n;
}

// The member may be absent; complain is told what of it is wrong.
LJMP static void read_plan_text(lua_State *L, int options, struct place *at, const char *name,
                                char *out, size_t size)
{
    struct slice text = read_text(L, options, name);

    if (text.len >= size || (text.len && strlen(text.ptr) != text.len) || !utf8_valid(text)) {
        lua_pushfstring(L, "%s: must be UTF-8 text of at most %d bytes", name, (int)size - 1);
        complain(L, at, lua_tostring(L, -1));
    }
    snprintf(out, size, "%s", text.ptr ? text.ptr : "");
}

LJMP static void read_summary(lua_State *L, int options, struct place *at,
                              struct history_plan *plan)
{
    struct summary_plan *s = &plan->summary;
    uint64_t tokens = read_count(L, options, "summary_tokens", PLAN_SUMMARY_TOKENS_DEFAULT);
    const char *wrong;

    s->tokens = to_u32(tokens);
    s->at_permille = read_share(L, options, "summarise_at", PLAN_SUMMARISE_AT_DEFAULT);
    read_plan_text(L, options, at, "prompt", s->prompt, sizeof(s->prompt));
    read_plan_text(L, options, at, "model", s->model, sizeof(s->model));
    if ((wrong = history_summary_wrong(s)))
        complain(L, at, wrong);
    if (s->tokens)
        plan->slack =
            to_u32(read_count(L, options, "slack_turns", history_summary_slack(plan->last)));
}

// Whether the function on top is one of parley.history's own, given without being called.
static bool is_strategy_maker(lua_State *L)
{
    lua_Debug from;

    lua_pushvalue(L, -1);
    return lua_getinfo(L, ">S", &from) && strcmp(from.source, "@scripts/parley/history.lua") == 0;
}

LJMP static void check_needed(lua_State *L, int options, const struct place *at,
                              const struct strategy *s)
{
    if (s->needs && shape_field(L, options, s->needs) == LUA_TNIL) {
        lua_pushfstring(L, "history.%s needs %s, as in history.%s { %s = %d }", s->name, s->needs,
                        s->name, s->needs, slice_is(slice_str(s->needs), "keep_turns") ? 20 : 8000);
        complain(L, at, lua_tostring(L, -1));
    }
    lua_settop(L, options);
}

// `history` as a table, at idx (absolute).
LJMP static void read_strategy(lua_State *L, int idx, struct place *at, struct history_plan *plan)
{
    const char *names[COUNT_OF(strategies)];
    const struct strategy *found = NULL;
    struct slice name = read_text(L, idx, "strategy");

    for (size_t i = 0; i < COUNT_OF(strategies); i++) {
        names[i] = strategies[i].name;
        if (slice_is(name, names[i]))
            found = &strategies[i];
    }
    if (!name.ptr)
        complain(L, at, "must be a strategy of parley.history, as in history.window { keep_turns "
                        "= 8 }, or a function(view)");
    if (!found) {
        const char *near = hint_nearest(name, names, COUNT_OF(strategies));

        lua_pushfstring(L, "'%s' is no strategy (%s%s)", name.ptr,
                        near ? "did you mean " : "there are full, truncate, window, "
                                        "summarise, recall, hybrid",
                        near ? near : "");
        complain(L, at, lua_tostring(L, -1));
        return;
    }
    if (shape_field(L, idx, "options") != LUA_TTABLE)
        complain(L, at, "options must be a table");
    int options = lua_gettop(L);
    size_t len = 0;
    while (len < COUNT_OF(found->options) && found->options[len].name)
        len++;
    check_members(L, options, at, found->options, len);
    check_needed(L, options, at, found);
    *plan = (struct history_plan){.last = UINT32_MAX};
    snprintf(plan->strategy, sizeof(plan->strategy), "%s", found->name);
    bool recalls = slice_is(name, "recall"), hybrid = slice_is(name, "hybrid");
    bool summarises = hybrid || slice_is(name, "summarise");
    uint64_t keep = recalls || summarises ? PLAN_KEEP_DEFAULT : UINT32_MAX;
    plan->last = to_u32(read_count(L, options, "keep_turns", keep));
    plan->slack = to_u32(read_count(L, options, "slack_turns", history_slack(plan->last)));
    plan->pin_first = to_u32(read_count(L, options, "pin_first", 0));
    if (recalls)
        read_recall(L, options, at, "k", "budget_tokens", plan);
    else if (hybrid)
        read_recall(L, options, at, "recall", "recall_tokens", plan);
    else
        plan->budget_tokens = read_count(L, options, "budget_tokens", 0);
    if (summarises)
        read_summary(L, options, at, plan);
    read_constraints(L, options, at, plan);
    lua_settop(L, options - 1);
    snprintf(plan->by, sizeof(plan->by), "%s:%d", at->source->file, line_at(at));
}

LJMP static void check_model(lua_State *L, struct place *at, struct slice model)
{
    const char *colon = model.ptr ? memchr(model.ptr, ':', model.len) : NULL;

    at->keys[0] = "model";
    at->depth = 1;
    if (model.ptr && (!colon || colon == model.ptr || colon + 1 == model.ptr + model.len ||
                      strlen(model.ptr) != model.len))
        complain(L, at, "must be \"provider:model\", such as \"scripted:scripted\"");
    at->depth = 0;
}

LJMP static void find_idle(lua_State *L, int idx, struct place *at, struct shape *out)
{
    for (size_t i = 0; i < COUNT_OF(policy_keys); i++) {
        if (policy_keys[i].idle && shape_field(L, idx, policy_keys[i].name) != LUA_TNIL &&
            out->idle_len < SHAPE_WARNINGS_MAX) {
            at->keys[0] = policy_keys[i].name;
            at->depth = 1;
            out->idle[out->idle_len].name = policy_keys[i].name;
            out->idle[out->idle_len++].line = line_at(at);
        }
        lua_settop(L, idx);
    }
    at->depth = 0;
}

// A limit of the table at idx (absolute), between what any hook needs and what the engine gives.
LJMP static int64_t read_limit(lua_State *L, int idx, struct place *at, const char *name,
                               int64_t least, int64_t most)
{
    int64_t n = (int64_t)read_count(L, idx, name, (uint64_t)most);

    if (n <= most && (n >= least || n == most))
        return n;
    at->keys[at->depth++] = name;
    lua_pushfstring(L, "must be from %I to %I, which is what the engine gives", (LUAI_UACINT)least,
                    (LUAI_UACINT)most);
    complain(L, at, lua_tostring(L, -1));
    return 0;
}

LJMP static struct spend_limit read_dollars(lua_State *L, int idx, const char *name)
{
    struct spend_limit limit = {.set = shape_field(L, idx, name) == LUA_TNUMBER};

    if (limit.set)
        limit.most = (int64_t)((double)lua_tonumber(L, -1) * 1e9 + 0.5);
    lua_pop(L, 1);
    return limit;
}

LJMP static struct spend_limit read_tokens(lua_State *L, int idx, const char *name)
{
    uint64_t n = read_count(L, idx, name, UINT64_MAX);

    return n == UINT64_MAX ? (struct spend_limit){0} : (struct spend_limit){true, (int64_t)n};
}

LJMP static void read_limits(lua_State *L, int idx, struct place *at, struct shape *out)
{
    const struct shape_limits *most = &at->source->limits;

    check_members(L, idx, at, limits_keys, COUNT_OF(limits_keys));
    out->max_output_tokens = read_count(L, idx, "max_output_tokens", 0);
    out->limits = (struct shape_limits){
        .time_ms = read_limit(L, idx, at, "time_ms", TIME_MS_MIN, most->time_ms),
        .fuel = read_limit(L, idx, at, "fuel", FUEL_MIN, most->fuel),
        .memory_bytes = read_limit(L, idx, at, "memory_bytes", MEMORY_BYTES_MIN,
                                   most->memory_bytes),
    };
    out->user_spend[SPEND_USD] = read_dollars(L, idx, "user_usd_per_day");
    out->bot_spend[SPEND_USD] = read_dollars(L, idx, "bot_usd_per_day");
    out->user_spend[SPEND_TOKENS] = read_tokens(L, idx, "user_tokens_per_day");
    out->bot_spend[SPEND_TOKENS] = read_tokens(L, idx, "bot_tokens_per_day");
}

// A table of the policy's whose keys life.h knows.
LJMP static void check_names(lua_State *L, int idx, struct place *at, const char *const *names,
                             size_t len)
{
    struct key keys[LIFE_EXPIRY_KEYS];

    for (size_t i = 0; i < len; i++)
        keys[i] = (struct key){names[i], T_ANY, false};
    check_members(L, idx, at, keys, len);
}

LJMP static void read_life(lua_State *L, int idx, struct place *at, struct shape *out)
{
    const char *wrong = NULL;

    at->keys[0] = "expiry";
    at->depth = 1;
    out->expiry = expiry_default;
    if (shape_field(L, idx, "expiry") == LUA_TTABLE) {
        check_names(L, idx + 1, at, life_expiry_keys, LIFE_EXPIRY_KEYS);
        wrong = life_read_expiry(L, idx + 1, &out->expiry);
    }
    if (wrong)
        complain(L, at, wrong);
    lua_settop(L, idx);
    at->keys[0] = "resume";
    out->resume = resume_default;
    out->greet = LUA_NOREF;
    if (shape_field(L, idx, "resume") == LUA_TTABLE) {
        check_names(L, idx + 1, at, life_resume_keys, LIFE_RESUME_KEYS);
        wrong = life_read_resume(L, idx + 1, &out->resume);
        int type = wrong ? LUA_TNIL : shape_field(L, idx + 1, "greet");
        if (type != LUA_TNIL && type != LUA_TFUNCTION)
            wrong = "greet: must be a function, as in greet.returning {}, or function(view) … end";
        else if (!wrong)
            out->greet = read_hook(L, idx + 1, "greet");
    }
    if (wrong)
        complain(L, at, wrong);
    lua_settop(L, idx);
    at->keys[0] = "devices";
    out->devices = device_rules_default;
    if (shape_field(L, idx, "devices") == LUA_TTABLE) {
        check_names(L, idx + 1, at, life_device_keys, LIFE_DEVICE_KEYS);
        wrong = life_read_devices(L, idx + 1, &out->devices);
    }
    if (wrong)
        complain(L, at, wrong);
    lua_settop(L, idx);
    at->depth = 0;
}

LJMP void shape_read(lua_State *L, const struct shape_source *source, struct shape *out)
{
    struct place at = {.source = source};
    int idx = lua_gettop(L);

    freeze_reveal(L);
    *out = (struct shape){.on_message = LUA_NOREF, .on_reply = LUA_NOREF, .history = LUA_NOREF,
                          .limits = source->limits};
    check_members(L, idx, &at, policy_keys, COUNT_OF(policy_keys));
    out->title = read_text(L, idx, "title");
    out->system = read_text(L, idx, "system");
    out->model = read_text(L, idx, "model");
    check_model(L, &at, out->model);
    history_plan_full(&out->plan);
    at.keys[0] = "history";
    at.depth = 1;
    if (shape_field(L, idx, "history") == LUA_TTABLE)
        read_strategy(L, idx + 1, &at, &out->plan);
    else if (lua_type(L, -1) == LUA_TFUNCTION && is_strategy_maker(L))
        complain(L, &at, "a strategy is made by a call, as in history.window { keep_turns = 8 }");
    at.depth = 0;
    lua_settop(L, idx);
    if (shape_field(L, idx, "limits") == LUA_TTABLE) {
        at.keys[0] = "limits";
        at.depth = 1;
        read_limits(L, idx + 1, &at, out);
        at.depth = 0;
    }
    lua_settop(L, idx);
    find_idle(L, idx, &at, out);
    read_life(L, idx, &at, out);
    out->on_message = read_hook(L, idx, "on_message");
    out->on_reply = read_hook(L, idx, "on_reply");
    out->history = read_hook(L, idx, "history");
    out->expiry_hook = read_hook(L, idx, "expiry");
}

LJMP void shape_only_keys(lua_State *L, int idx, const char *const *names, size_t len,
                          const char *where)
{
    for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1)) {
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "[item]";
        bool known = false;

        for (size_t i = 0; i < len && !known; i++)
            known = strcmp(names[i], name) == 0;
        if (known)
            continue;
        const char *near = hint_nearest(slice_str(name), names, len);
        luaL_error(L, near ? "%s: %s: unknown key (did you mean %s?)" : "%s: %s: unknown key",
                   where, name, near);
    }
}
