// SPDX-License-Identifier: MIT
// values_memory.c: what is remembered of the user: view.core and view.journal with its entries.
// Empty where nothing is remembered.
#include "lua/values_int.h"

static const struct policy_view *view_of(lua_State *L)
{
    return sandbox_subject(L);
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

static uint32_t journal_len(lua_State *L)
{
    return view_of(L)->journal_len;
}

LJMP static void push_entry(lua_State *L, uint32_t index)
{
    values_push_handle(L, "view.journal entry", index);
}

static const struct kind journal_kind = {
    .type = "view.journal", .len = journal_len, .item = push_entry,
};

static const struct journal_entry *entry_at(lua_State *L, uint32_t index)
{
    return view_of(L)->journal[index];
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

LJMP void values_open_memory(lua_State *L)
{
    values_open_kind(L, &core_kind);
    values_open_kind(L, &journal_kind);
    values_open_kind(L, &entry_kind);
}
