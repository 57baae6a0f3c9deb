// SPDX-License-Identifier: MIT
// candidates.c: see candidates.h; scripts/meta/parley.lua documents the keys.
#include "lua/candidates.h"

#include "base/hint.h"
#include "lua/freeze.h"
#include "lua/shape.h"
#include "redact/redact.h"

#include <stdio.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
enum { ITEM_UNITS = 20, PLACE_BYTES = 192 };
static const double seconds_max = 253402300799.0;  // the end of the year 9999

// Where the candidate is, for messages: "policies/kiosk.lua:14: item 3".
struct item {
    struct candidates_read *r;
    char place[PLACE_BYTES];
};

LJMP static int complain(lua_State *L, const struct item *it, const char *name, const char *what)
{
    return luaL_error(L, "%s: %s: %s", it->place, name, what);
}

// Appends the text to the scratch; where it lies there. NULL where there is none.
struct piece {
    bool there;
    size_t at, len;
};

LJMP static struct piece take_text(lua_State *L, struct item *it, int idx, const char *name,
                                   size_t most)
{
    struct safe_buf *scratch = &it->r->scratch;
    int type = shape_field(L, idx, name);
    struct piece p = {.at = safe_buf_text(scratch).len};
    struct slice text;
    struct err err = ERR_INIT;

    if (type == LUA_TNIL) {
        lua_pop(L, 1);
        return p;
    }
    if (type != LUA_TSTRING)
        complain(L, it, name, lua_pushfstring(L, "must be text, not %s",
                                              sandbox_value_word(L, -1)));
    text.ptr = lua_tolstring(L, -1, &text.len);
    if (text.len == 0)
        complain(L, it, name, "is empty");
    if (text.len > most)
        complain(L, it, name, lua_pushfstring(L, "is longer than %d bytes", (int)most));
    if (redact_own(text, scratch, &err) != E_OK || safe_buf_check(scratch, name, &err) != E_OK)
        complain(L, it, name, err.message);
    p.there = true;
    p.len = safe_buf_text(scratch).len - p.at;
    lua_pop(L, 1);
    return p;
}

static struct safe_text text_of(const struct item *it, struct piece p)
{
    return p.there ? safe_text_part(safe_buf_text(&it->r->scratch), p.at, p.len) : SAFE_NONE;
}

LJMP static bool take_switch(lua_State *L, struct item *it, int idx, const char *name,
                             bool otherwise)
{
    int type = shape_field(L, idx, name);
    bool on = type == LUA_TNIL ? otherwise : lua_toboolean(L, -1);

    if (type != LUA_TNIL && type != LUA_TBOOLEAN)
        complain(L, it, name, "must be true or false");
    lua_pop(L, 1);
    return on;
}

// Seconds since 1970, as the view has them; 0 where there are none.
LJMP static int64_t take_time(lua_State *L, struct item *it, int idx, const char *name)
{
    int type = shape_field(L, idx, name);
    double seconds = type == LUA_TNUMBER ? lua_tonumber(L, -1) : 0;

    if (type != LUA_TNIL && !(type == LUA_TNUMBER && seconds > 0 && seconds <= seconds_max))
        complain(L, it, name, "must be a time in seconds since 1970, as view.now is");
    lua_pop(L, 1);
    return (int64_t)(seconds * 1000);
}

LJMP static enum fact_kind take_kind(lua_State *L, struct item *it, int idx,
                                     const struct predicate_rule *rule)
{
    const char *words[FACT_KINDS];
    int type = shape_field(L, idx, "kind");
    enum fact_kind kind = rule              ? (enum fact_kind)rule->kind
                          : it->r->cited   ? FACT_PATTERN
                                            : FACT_CIRCUMSTANCE;
    struct slice word = SLICE_NONE;

    if (type == LUA_TSTRING)
        word.ptr = lua_tolstring(L, -1, &word.len);
    for (unsigned i = 0; i < FACT_KINDS; i++)
        words[i] = fact_kind_word((enum fact_kind)i);
    if (type != LUA_TNIL && !fact_kind_find(word, &kind)) {
        const char *near = word.ptr ? hint_nearest(word, words, FACT_KINDS) : NULL;

        complain(L, it, "kind", near ? lua_pushfstring(L, "there is no such kind (did you mean "
                                                       "\"%s\"?)", near)
                                     : "must be preference, circumstance, decision, follow_up, "
                                       "pattern or style");
    }
    lua_pop(L, 1);
    return kind;
}

// A list of ids of facts at idx[name]; how many.
LJMP static uint32_t take_ids(lua_State *L, const char *place, int idx, const char *name,
                              char (*out)[FACT_ID_BYTES], uint32_t most)
{
    int type = shape_field(L, idx, name);
    lua_Unsigned n = type == LUA_TTABLE ? lua_rawlen(L, -1) : 0;

    if (type != LUA_TNIL && type != LUA_TTABLE)
        luaL_error(L, "%s: %s: must be a list of facts' ids", place, name);
    if (n > most)
        luaL_error(L, "%s: %s: too many (at most %d)", place, name, (int)most);
    for (lua_Unsigned i = 1; i <= n; i++) {
        struct slice id = SLICE_NONE;

        sandbox_charge(L, ITEM_UNITS);
        if (lua_rawgeti(L, -1, (lua_Integer)i) == LUA_TSTRING)
            id.ptr = lua_tolstring(L, -1, &id.len);
        if (id.len != FACT_ID_BYTES - 1 || strspn(id.ptr, "0123456789abcdef") != id.len)
            luaL_error(L, "%s: %s: item %d is no fact's id, as in view.facts[1].id", place, name,
                       (int)i);
        snprintf(out[i - 1], FACT_ID_BYTES, "%s", id.ptr);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return (uint32_t)n;
}

// Where the user said the quote, in the step where it is said first.
static void place_quote(const struct turn *turn, struct fact_candidate *c)
{
    for (uint32_t i = 0; turn && c->quote.len && i < turn->steps_len; i++) {
        const struct step *s = &turn->steps[i];

        for (uint32_t k = 0, at = 0; s->role == ROLE_USER && k < s->content.len; k++) {
            const struct block *b = &s->content.blocks[k];
            const char *found = b->type == BLOCK_TEXT && b->text.len
                                    ? memmem(b->text.ptr, b->text.len, c->quote.ptr, c->quote.len)
                                    : NULL;

            if (found) {
                c->step = i;
                c->start = at + (uint32_t)(found - b->text.ptr);
                c->end = c->start + (uint32_t)c->quote.len;
                return;
            }
            at += b->type == BLOCK_TEXT ? (uint32_t)b->text.len : 0;
        }
    }
}

LJMP static void cite(lua_State *L, struct item *it, int idx, size_t n)
{
    struct policy_citations *cited = it->r->cited;

    if (!cited)
        return;
    cited->of[n].len = take_ids(L, it->place, idx, "facts", cited->of[n].facts, POLICY_CITED_MAX);
    if (cited->of[n].len == 0)
        complain(L, it, "facts", "must name the facts that it rests on, by their ids");
}

// The candidate on top.
LJMP static void read_one(lua_State *L, struct item *it)
{
    static const char *const names[] = {"predicate", "value", "subject", "kind", "quote", "one",
                                        "negates", "from", "to", "facts"};
    struct candidates_read *r = it->r;
    int idx = lua_gettop(L);
    struct err err = ERR_INIT;

    sandbox_charge(L, ITEM_UNITS);
    freeze_reveal(L);
    if (!lua_istable(L, idx))
        luaL_error(L, "%s: must be a table such as { predicate = \"likes\", value = \"tea\" }, "
                      "not %s", it->place, sandbox_value_word(L, idx));
    shape_only_keys(L, idx, names, COUNT_OF(names) - (r->cited ? 0 : 1), it->place);
    safe_buf_clear(&r->scratch);
    struct piece predicate = take_text(L, it, idx, "predicate", MEMORY_PREDICATE_BYTES - 1);
    struct piece subject = take_text(L, it, idx, "subject", FACT_NAME_BYTES - 1);
    struct piece value = take_text(L, it, idx, "value", FACT_VALUE_BYTES_MAX);
    struct piece quote = take_text(L, it, idx, "quote", FACT_VALUE_BYTES_MAX);
    struct fact_candidate c = r->as;
    c.predicate = text_of(it, predicate);
    if (!memory_predicate_valid(safe_slice(c.predicate)))
        complain(L, it, "predicate", "must be a name of a-z, 0-9 and _, such as \"lives_in\"");
    const struct predicate_rule *rule =
        memory_rules_predicate(r->rules, safe_slice(c.predicate));
    c.kind = take_kind(L, it, idx, rule);
    c.one = take_switch(L, it, idx, "one", rule && rule->one);
    c.negates = take_switch(L, it, idx, "negates", false);
    if (!value.there && !c.negates)
        complain(L, it, "value", "is missing");
    c.valid_from_ms = take_time(L, it, idx, "from");
    c.valid_to_ms = take_time(L, it, idx, "to");
    cite(L, it, idx, fact_candidates_len(r->out));
    c.subject = text_of(it, subject);
    c.value = text_of(it, value);
    c.quote = text_of(it, quote);
    place_quote(r->turn, &c);
    int code = fact_candidates_add(r->out, &c, &err);
    if (code == E_NOMEM)
        sandbox_no_memory(L);
    else if (code != E_OK)
        luaL_error(L, "%s: %s", it->place, err.message);
}

LJMP static void read_list(lua_State *L, struct candidates_read *r, const char *what)
{
    int idx = lua_gettop(L);
    lua_Unsigned n;

    freeze_reveal(L);
    if (lua_isnil(L, idx))
        return;
    if (!lua_istable(L, idx))
        luaL_error(L, "%s: %smust be a list such as { { predicate = \"likes\", value = \"tea\" } "
                      "}, not %s", r->where, what, sandbox_value_word(L, idx));
    n = lua_rawlen(L, idx);
    if (n > CANDIDATES_MAX)
        luaL_error(L, "%s: %stoo many: at most %d", r->where, what, CANDIDATES_MAX);
    lua_pushnil(L);
    if (n == 0 && lua_next(L, idx))
        luaL_error(L, "%s: %smust be a list of tables: { { … } }", r->where, what);
    lua_settop(L, idx);
    for (lua_Unsigned i = 1; i <= n; i++) {
        struct item it = {.r = r};

        snprintf(it.place, sizeof(it.place), "%s: %sitem %d", r->where, what, (int)i);
        lua_rawgeti(L, idx, (lua_Integer)i);
        read_one(L, &it);
        lua_settop(L, idx);
    }
}

LJMP void candidates_read(lua_State *L, struct candidates_read *r)
{
    luaL_checkstack(L, 12, "candidates");
    read_list(L, r, "");
}

LJMP static void read_human(lua_State *L, struct candidates_read *r, int idx, struct memory_plan *m)
{
    static const char *const names[] = {"human"};
    int type = shape_field(L, idx, "core"), core = lua_gettop(L);
    struct err err = ERR_INIT;
    struct slice text;

    if (type != LUA_TNIL && type != LUA_TTABLE)
        luaL_error(L, "%s: memory.core: must be a table such as { human = \"…\" }", r->where);
    if (type == LUA_TTABLE) {
        shape_only_keys(L, core, names, COUNT_OF(names), r->where);
        type = shape_field(L, core, "human");
        if (type != LUA_TNIL && type != LUA_TSTRING)
            luaL_error(L, "%s: memory.core.human: must be text, not %s", r->where,
                       sandbox_value_word(L, -1));
        m->sets_human = type == LUA_TSTRING;
    }
    if (m->sets_human) {
        text.ptr = lua_tolstring(L, -1, &text.len);
        if (text.len > r->rules->human_bytes)
            luaL_error(L, "%s: memory.core.human: is longer than %d bytes", r->where,
                       (int)r->rules->human_bytes);
        if (redact_own(text, &m->human, &err) != E_OK ||
            safe_buf_check(&m->human, "it", &err) != E_OK)
            luaL_error(L, "%s: memory.core.human: %s", r->where, err.message);
    }
    lua_settop(L, core - 1);
}

LJMP void candidates_read_plan(lua_State *L, struct candidates_read *r, struct plan *plan)
{
    static const char *const names[] = {"core", "forget", "remember"};
    int idx = lua_gettop(L);
    char place[PLACE_BYTES];

    luaL_checkstack(L, 12, "memory");
    freeze_reveal(L);
    if (lua_isnil(L, idx))
        return;
    if (!lua_istable(L, idx))
        luaL_error(L, "%s: memory: must be a table such as { forget = { id } }, not %s", r->where,
                   sandbox_value_word(L, idx));
    if (!r->rules->on)
        luaL_error(L, "%s: memory: this policy has no memory: give it one, as in memory = "
                      "memory.rules {}", r->where);
    snprintf(place, sizeof(place), "%s: memory", r->where);
    shape_only_keys(L, idx, names, COUNT_OF(names), place);
    if (memory_plan_new(&plan->memory, NULL) != E_OK)
        sandbox_no_memory(L);
    read_human(L, r, idx, plan->memory);
    plan->memory->forget_len =
        take_ids(L, place, idx, "forget", plan->memory->forget, PLAN_FORGET_MAX);
    r->out = &plan->memory->remember;
    shape_field(L, idx, "remember");
    read_list(L, r, "memory.remember: ");
    lua_settop(L, idx);
}

// ---- what may be told of a failure

// A word of the script's is a key, in "WHERE: item 2: KEY: unknown key", or in quotation marks.
bool candidates_names_no_user(struct slice policy, const char *where, const char *message)
{
    static const char unknown[] = ": unknown key";
    const char *from = NULL, *end = NULL;

    if (strncmp(message, where, strlen(where)) != 0)
        return false;
    for (const char *at = message; (at = strstr(at, unknown)) != NULL; at++)
        end = at;
    if (end) {
        from = strstr(message + strlen(where), ": item ");
        from = from ? strstr(from + strlen(": item "), ": ") : NULL;
        from = from ? from + strlen(": ") : NULL;
    } else if (strchr(message, '\'')) {
        from = strchr(message, '\'') + 1;
        end = strrchr(message, '\'');
    } else {
        return true;
    }
    return from && from < end &&
           memmem(policy.ptr, policy.len, from, (size_t)(end - from)) != NULL;
}
