// SPDX-License-Identifier: MIT
// values_memory.c: what is remembered of the user: view.facts, view.core and view.journal with its
// entries. Empty where nothing is remembered.
//
// Facts lie in the book one behind the other; so that the n-th is found at once, a call that looks
// at view.facts makes a list of where they are, in the state's memory, and pays for it.
#include "lua/values_int.h"

#include "model/journal.h"

enum { LIST_UNITS = 2, SESSIONS_MAX = FACT_EVIDENCE_MAX };

static const struct policy_view *view_of(lua_State *L)
{
    return sandbox_subject(L);
}

// The next fact that is so, here.
static bool next_fact(const struct policy_view *view, struct fact_at *at)
{
    while (view->facts && fact_book_next_active(view->facts, at))
        if (!at->slot->scope[0] || !view->facts_scope ||
            strcmp(at->slot->scope, view->facts_scope) == 0)
            return true;
    return false;
}

LJMP static void push_text(lua_State *L, struct safe_text text)
{
    lua_pushlstring(L, text.len ? text.ptr : "", text.len);
}

// ---- view.core

LJMP static void push_human(lua_State *L, uint32_t index)
{
    const struct core_memory *core = view_of(L)->core;

    (void)index;
    push_text(L, core ? safe_buf_text(&core->human) : SAFE_NONE);
}

LJMP static void push_persona(lua_State *L, uint32_t index)
{
    const struct core_memory *core = view_of(L)->core;

    (void)index;
    push_text(L, core ? safe_buf_text(&core->persona) : SAFE_NONE);
}

static const struct kind core_kind = {
    .type = "view.core",
    .fields = {{"human", push_human}, {"persona", push_persona}},
};

LJMP void values_push_core(lua_State *L, uint32_t index)
{
    values_push_handle(L, core_kind.type, index);
}

// ---- view.journal: entries, oldest first

// How many entries are shown; *at: where the n-th of them is.
static uint32_t count_entries(const struct policy_view *view, uint32_t n, uint32_t *at)
{
    uint32_t len = 0;

    for (uint32_t i = 0; i < view->journal_len; i++) {
        if (view->journal_of && !journal_entry_is_of(&view->journal[i], view->journal_of))
            continue;
        if (len == n)
            *at = i;
        len++;
    }
    return len;
}

static uint32_t journal_len(lua_State *L)
{
    uint32_t first;

    return count_entries(view_of(L), 0, &first);
}

LJMP static void push_entry(lua_State *L, uint32_t index)
{
    const struct policy_view *view = view_of(L);
    uint32_t at = 0;

    sandbox_charge(L, view->journal_of ? view->journal_len : 0);
    count_entries(view, index, &at);
    values_push_handle(L, "view.journal entry", at);
}

static const struct kind journal_kind = {
    .type = "view.journal", .len = journal_len, .item = push_entry,
};

static const struct journal_entry *entry_at(lua_State *L, uint32_t index)
{
    return &view_of(L)->journal[index];
}

LJMP static void push_entry_session(lua_State *L, uint32_t index)
{
    lua_pushstring(L, entry_at(L, index)->session);
}

LJMP static void push_entry_at(lua_State *L, uint32_t index)
{
    values_push_seconds(L, entry_at(L, index)->at_ms);
}

LJMP static void push_entry_text(lua_State *L, uint32_t index)
{
    push_text(L, safe_buf_text(&entry_at(L, index)->text));
}

static const struct kind entry_kind = {
    .type = "view.journal entry",
    .fields = {{"session", push_entry_session}, {"at", push_entry_at}, {"text", push_entry_text}},
};

LJMP void values_push_journal(lua_State *L, uint32_t index)
{
    values_push_handle(L, journal_kind.type, index);
}

// ---- view.facts: active ones

struct fact_list {
    uint64_t generation;     // of the call that it was made for: borrowed until that is over
    uint32_t len;
    struct fact_at facts[];
};
static const char list_key, rules_key;  // of the registry

LJMP static uint32_t count_facts(lua_State *L)
{
    struct fact_at at = FACT_AT_START;
    uint32_t n = 0;

    while (next_fact(view_of(L), &at)) {
        sandbox_charge(L, LIST_UNITS);
        n++;
    }
    return n;
}

LJMP static const struct fact_list *list_of(lua_State *L)
{
    struct fact_at at = FACT_AT_START;

    lua_rawgetp(L, LUA_REGISTRYINDEX, &list_key);
    struct fact_list *list = lua_touserdata(L, -1);
    lua_pop(L, 1);  // the registry has it
    if (list && list->generation == sandbox_generation(L))
        return list;
    uint32_t n = count_facts(L);
    list = lua_newuserdatauv(L, sizeof(*list) + n * sizeof(list->facts[0]), 0);
    *list = (struct fact_list){.generation = sandbox_generation(L)};
    while (list->len < n && next_fact(view_of(L), &at))
        list->facts[list->len++] = at;
    lua_rawsetp(L, LUA_REGISTRYINDEX, &list_key);
    return list;
}

LJMP static uint32_t facts_len(lua_State *L)
{
    return list_of(L)->len;
}

LJMP static void push_fact(lua_State *L, uint32_t index)
{
    values_push_handle(L, "view.facts fact", index);
}

static const struct kind facts_kind = {
    .type = "view.facts", .len = facts_len, .item = push_fact,
};

LJMP static const struct fact_at *at_of(lua_State *L, uint32_t index)
{
    return &list_of(L)->facts[index];
}

LJMP static const struct fact *fact_of(lua_State *L, uint32_t index)
{
    return at_of(L, index)->fact;
}

LJMP static void push_fact_id(lua_State *L, uint32_t index)
{
    lua_pushstring(L, fact_of(L, index)->id);
}

LJMP static void push_fact_tier(lua_State *L, uint32_t index)
{
    lua_pushstring(L, fact_tier_word(at_of(L, index)->slot->tier));
}

LJMP static void push_fact_kind(lua_State *L, uint32_t index)
{
    lua_pushstring(L, fact_kind_word(fact_of(L, index)->kind));
}

LJMP static void push_fact_subject(lua_State *L, uint32_t index)
{
    lua_pushstring(L, at_of(L, index)->slot->subject);
}

LJMP static void push_fact_predicate(lua_State *L, uint32_t index)
{
    lua_pushstring(L, at_of(L, index)->slot->predicate);
}

LJMP static void push_fact_value(lua_State *L, uint32_t index)
{
    push_text(L, fact_value(fact_of(L, index)));
}

LJMP static void push_fact_stale(lua_State *L, uint32_t index)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &rules_key);
    const struct memory_rules *rules = lua_touserdata(L, -1);
    lua_pop(L, 1);
    lua_pushboolean(L, fact_is_stale(fact_of(L, index), rules, view_of(L)->now_ms));
}

// nil: not said, or never.
LJMP static void push_time(lua_State *L, int64_t ms)
{
    if (ms > 0)
        values_push_seconds(L, ms);
    else
        lua_pushnil(L);
}

LJMP static void push_fact_confirmed(lua_State *L, uint32_t index)
{
    push_time(L, fact_of(L, index)->confirmed_at_ms);
}

LJMP static void push_fact_recorded(lua_State *L, uint32_t index)
{
    push_time(L, fact_of(L, index)->recorded_at_ms);
}

LJMP static void push_fact_from(lua_State *L, uint32_t index)
{
    push_time(L, fact_of(L, index)->valid_from_ms);
}

LJMP static void push_fact_to(lua_State *L, uint32_t index)
{
    push_time(L, fact_of(L, index)->valid_to_ms);
}

LJMP static void push_fact_confirmations(lua_State *L, uint32_t index)
{
    lua_pushinteger(L, fact_of(L, index)->confirmations);
}

// In how many sessions it was said, of those that its evidence tells.
LJMP static void push_fact_sessions(lua_State *L, uint32_t index)
{
    const struct fact *f = fact_of(L, index);
    const char *seen[SESSIONS_MAX];
    unsigned n = 0;

    for (size_t i = 0; i < f->evidence.len && n < SESSIONS_MAX; i++) {
        const struct fact_evidence *e = fact_evidence_at(f, i);
        bool known = !e->supported;

        for (unsigned k = 0; k < n && !known; k++)
            known = strcmp(seen[k], e->session) == 0;
        if (!known)
            seen[n++] = e->session;
    }
    lua_pushinteger(L, n);
}

static const struct kind fact_kind_of = {
    .type = "view.facts fact",
    .fields = {
        {"id", push_fact_id}, {"tier", push_fact_tier}, {"kind", push_fact_kind},
        {"subject", push_fact_subject}, {"predicate", push_fact_predicate},
        {"value", push_fact_value}, {"stale", push_fact_stale},
        {"confirmed_at", push_fact_confirmed}, {"recorded_at", push_fact_recorded},
        {"valid_from", push_fact_from}, {"valid_to", push_fact_to},
        {"confirmations", push_fact_confirmations}, {"sessions", push_fact_sessions},
    },
};

LJMP void values_push_facts(lua_State *L, uint32_t index)
{
    values_push_handle(L, facts_kind.type, index);
}

LJMP void values_use_rules(lua_State *L, const struct memory_rules *rules)
{
    lua_pushlightuserdata(L, (void *)(uintptr_t)rules);  // only ever read back as const
    lua_rawsetp(L, LUA_REGISTRYINDEX, &rules_key);
}

LJMP void values_open_memory(lua_State *L)
{
    values_open_kind(L, &facts_kind);
    values_open_kind(L, &fact_kind_of);
    values_open_kind(L, &core_kind);
    values_open_kind(L, &journal_kind);
    values_open_kind(L, &entry_kind);
}
