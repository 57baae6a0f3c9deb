// SPDX-License-Identifier: MIT
// values.c: the handles: view, view.tokens, view.history, its turns; request, its messages.
//
// A kind of handle is a table of fields, and for lists a length and how to push an item. One
// metatable per kind in the registry; its functions have the kind as upvalue. Documented for people
// in scripts/meta/parley.lua.
#include "lua/values_int.h"

#include "base/hint.h"

struct handle {
    uint64_t generation;
    uint32_t index;  // of an item in its list
};

// ---- what all kinds do

LJMP void values_push_handle(lua_State *L, const char *type, uint32_t index)
{
    struct handle *h = lua_newuserdatauv(L, sizeof(*h), 0);

    *h = (struct handle){sandbox_generation(L), index};
    luaL_setmetatable(L, type);
}

static const struct kind *kind_of(lua_State *L)
{
    return lua_touserdata(L, lua_upvalueindex(1));
}

LJMP static const struct handle *check_handle(lua_State *L, const struct kind *kind)
{
    const struct handle *h = luaL_checkudata(L, 1, kind->type);

    if (h->generation != sandbox_generation(L) || !sandbox_subject(L))
        luaL_error(L, "the %s is only valid during the hook", kind->type);
    return h;
}

LJMP static int unknown_field(lua_State *L, const struct kind *kind, const char *name)
{
    const char *names[FIELDS_MAX];
    size_t n = 0;

    for (; n < FIELDS_MAX && kind->fields[n].name; n++)
        names[n] = kind->fields[n].name;
    const char *near = hint_nearest(slice_str(name), names, n);
    return near ? luaL_error(L, "%s.%s: there is no such field (did you mean %s?)", kind->type,
                             name, near)
                : luaL_error(L, "%s.%s: there is no such field", kind->type, name);
}

LJMP static int handle_index(lua_State *L)
{
    const struct kind *kind = kind_of(L);
    const struct handle *h = check_handle(L, kind);
    int is_integer = 0;

    if (kind->len) {
        lua_Integer i = lua_tointegerx(L, 2, &is_integer);

        if (is_integer && i >= 1 && i <= (lua_Integer)kind->len(L))
            kind->item(L, (uint32_t)(i - 1));
        else
            lua_pushnil(L);
        return 1;
    }
    const char *name = luaL_checkstring(L, 2);
    for (size_t i = 0; i < FIELDS_MAX && kind->fields[i].name; i++) {
        if (strcmp(kind->fields[i].name, name) == 0) {
            kind->fields[i].push(L, h->index);
            return 1;
        }
    }
    return unknown_field(L, kind, name);
}

LJMP static int handle_newindex(lua_State *L)
{
    return luaL_error(L, "the %s is read-only: return a plan instead", kind_of(L)->type);
}

LJMP static int handle_len(lua_State *L)
{
    const struct kind *kind = kind_of(L);

    check_handle(L, kind);
    lua_pushinteger(L, kind->len ? kind->len(L) : 0);
    return 1;
}

// (handle, last key): the next field or item.
LJMP static int handle_next(lua_State *L)
{
    const struct kind *kind = kind_of(L);
    const struct handle *h = check_handle(L, kind);
    size_t i = 0;

    lua_settop(L, 2);
    if (kind->len) {
        i = (size_t)luaL_optinteger(L, 2, 0);
        if (i >= kind->len(L))
            return 0;
        lua_pushinteger(L, (lua_Integer)i + 1);
        kind->item(L, (uint32_t)i);
        return 2;
    }
    const char *last = luaL_optstring(L, 2, NULL);
    while (last && i < FIELDS_MAX && kind->fields[i].name &&
           strcmp(kind->fields[i].name, last) != 0)
        i++;
    i += last ? 1 : 0;
    if (i >= FIELDS_MAX || !kind->fields[i].name)
        return 0;
    lua_pushstring(L, kind->fields[i].name);
    kind->fields[i].push(L, h->index);
    return 2;
}

LJMP static int handle_pairs(lua_State *L)
{
    check_handle(L, kind_of(L));
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushcclosure(L, handle_next, 1);
    lua_pushvalue(L, 1);
    lua_pushnil(L);
    return 3;
}

// ---- content

static bool is_text(const struct block *b)
{
    return b->type == BLOCK_TEXT && b->text.len > 0;
}

// Adds the text blocks of a step; `first` tells whether something stands before them.
LJMP static void add_step_text(luaL_Buffer *b, const struct step *s, bool *first)
{
    bool new_step = true;

    for (uint32_t i = 0; i < s->content.len; i++) {
        const struct block *block = &s->content.blocks[i];

        if (!is_text(block))
            continue;
        if (new_step && !*first)
            luaL_addchar(b, '\n');
        luaL_addlstring(b, block->text.ptr, block->text.len);
        new_step = *first = false;
    }
}

// The only text block of the step, or NULL.
static const struct block *sole_text(const struct step *s)
{
    return s->content.len == 1 && is_text(&s->content.blocks[0]) ? &s->content.blocks[0] : NULL;
}

// ---- the view

static const struct policy_view *view_of(lua_State *L)
{
    return sandbox_subject(L);
}

LJMP void values_push_seconds(lua_State *L, int64_t ms)
{
    lua_pushnumber(L, (lua_Number)ms / 1000);
}

LJMP static void push_view_turn(lua_State *L, uint32_t index)
{
    (void)index;
    lua_pushinteger(L, view_of(L)->turn);
}

LJMP static void push_view_user(lua_State *L, uint32_t index)
{
    (void)index;
    lua_pushstring(L, view_of(L)->user);
}

LJMP static void push_view_context(lua_State *L, uint32_t index)
{
    (void)index;
    lua_pushstring(L, view_of(L)->context ? view_of(L)->context : "");
}

LJMP static void push_view_text(lua_State *L, uint32_t index)
{
    struct safe_text text = view_of(L)->text;

    (void)index;
    lua_pushlstring(L, text.len ? text.ptr : "", text.len);
}

LJMP static void push_view_gap(lua_State *L, uint32_t index)
{
    (void)index;
    values_push_seconds(L, view_of(L)->gap_ms);
}

LJMP static void push_view_now(lua_State *L, uint32_t index)
{
    (void)index;
    values_push_seconds(L, view_of(L)->now_ms);
}

LJMP static void push_view_history(lua_State *L, uint32_t index)
{
    values_push_handle(L, "view.history", index);
}

LJMP static void push_view_tokens(lua_State *L, uint32_t index)
{
    values_push_handle(L, "view.tokens", index);
}

// What later versions fill in: there, but nil.
LJMP static void push_nothing(lua_State *L, uint32_t index)
{
    (void)index;
    lua_pushnil(L);
}

static const struct kind view_kind = {
    .type = "view",
    .fields = {
        {"text", push_view_text}, {"history", push_view_history}, {"tokens", push_view_tokens},
        {"turn", push_view_turn}, {"session", values_push_session}, {"user", push_view_user},
        {"context", push_view_context}, {"gap", push_view_gap}, {"now", push_view_now},
        {"resume", values_push_resume}, {"flow", push_nothing},
        {"facts", values_push_facts}, {"core", values_push_core},
        {"journal", values_push_journal},
    },
};

LJMP static void push_tokens_window(lua_State *L, uint32_t index)
{
    (void)index;
    lua_pushinteger(L, (lua_Integer)view_of(L)->window_tokens);
}

LJMP static void push_tokens_history(lua_State *L, uint32_t index)
{
    (void)index;
    lua_pushinteger(L, (lua_Integer)view_of(L)->history_tokens);
}

LJMP static void push_tokens_budget(lua_State *L, uint32_t index)
{
    (void)index;
    lua_pushinteger(L, (lua_Integer)view_of(L)->budget_tokens);
}

static const struct kind tokens_kind = {
    .type = "view.tokens",
    .fields = {
        {"window", push_tokens_window}, {"history", push_tokens_history},
        {"budget", push_tokens_budget},
    },
};

// ---- the history: the loaded turns before the one under way, oldest first

static uint32_t history_len(lua_State *L)
{
    const struct policy_view *view = view_of(L);
    const struct chat *chat = view->chat;
    uint32_t before = view->turn > chat->first ? view->turn - chat->first : 0;

    return before < chat->turns_len ? before : chat->turns_len;
}

static const struct turn *turn_at(lua_State *L, uint32_t index)
{
    return &view_of(L)->chat->turns[index];
}

LJMP static void push_turn(lua_State *L, uint32_t index)
{
    values_push_handle(L, "view.history turn", index);
}

static const struct kind history_kind = {
    .type = "view.history", .len = history_len, .item = push_turn,
};

LJMP static void push_turn_turn(lua_State *L, uint32_t index)
{
    lua_pushinteger(L, turn_at(L, index)->n);
}

LJMP static void push_role_text(lua_State *L, const struct turn *t, enum role role)
{
    const struct block *sole = NULL;
    uint32_t steps = 0;
    bool first = true;
    luaL_Buffer b;

    for (uint32_t i = 0; i < t->steps_len; i++) {
        if (t->steps[i].role == role) {
            steps++;
            sole = sole_text(&t->steps[i]);
        }
    }
    if (steps == 1 && sole) {
        lua_pushlstring(L, sole->text.ptr, sole->text.len);
        return;
    }
    luaL_buffinit(L, &b);
    for (uint32_t i = 0; i < t->steps_len; i++)
        if (t->steps[i].role == role)
            add_step_text(&b, &t->steps[i], &first);
    luaL_pushresult(&b);
}

LJMP static void push_turn_user(lua_State *L, uint32_t index)
{
    push_role_text(L, turn_at(L, index), ROLE_USER);
}

LJMP static void push_turn_assistant(lua_State *L, uint32_t index)
{
    push_role_text(L, turn_at(L, index), ROLE_ASSISTANT);
}

LJMP static void push_turn_tokens(lua_State *L, uint32_t index)
{
    lua_pushinteger(L, (lua_Integer)turn_tokens(turn_at(L, index)));
}

LJMP static void push_turn_status(lua_State *L, uint32_t index)
{
    lua_pushstring(L, turn_status_word(turn_at(L, index)->status));
}

LJMP static void push_turn_at(lua_State *L, uint32_t index)
{
    values_push_seconds(L, turn_at(L, index)->at_ms);
}

LJMP static void push_turn_superseded(lua_State *L, uint32_t index)
{
    lua_pushboolean(L, turn_at(L, index)->superseded);
}

static const struct kind turn_kind = {
    .type = "view.history turn",
    .fields = {
        {"turn", push_turn_turn}, {"user", push_turn_user}, {"assistant", push_turn_assistant},
        {"tokens", push_turn_tokens}, {"status", push_turn_status}, {"at", push_turn_at},
        {"superseded", push_turn_superseded},
    },
};

// ---- the request of the scripted provider

static const struct llm_request *request_of(lua_State *L)
{
    return sandbox_subject(L);
}

LJMP static void push_request_model(lua_State *L, uint32_t index)
{
    (void)index;
    lua_pushstring(L, request_of(L)->model);
}

LJMP static void push_request_system(lua_State *L, uint32_t index)
{
    struct safe_text text = request_of(L)->system;

    (void)index;
    lua_pushlstring(L, text.len ? text.ptr : "", text.len);
}

LJMP static void push_request_messages(lua_State *L, uint32_t index)
{
    values_push_handle(L, "request.messages", index);
}

static const struct kind request_kind = {
    .type = "request",
    .fields = {
        {"messages", push_request_messages}, {"model", push_request_model},
        {"system", push_request_system},
    },
};

static uint32_t messages_len(lua_State *L)
{
    return request_of(L)->messages_len;
}

LJMP static void push_message(lua_State *L, uint32_t index)
{
    values_push_handle(L, "request.messages message", index);
}

static const struct kind messages_kind = {
    .type = "request.messages", .len = messages_len, .item = push_message,
};

LJMP static void push_message_role(lua_State *L, uint32_t index)
{
    lua_pushstring(L, role_word(request_of(L)->messages[index].role));
}

LJMP static void push_message_text(lua_State *L, uint32_t index)
{
    const struct llm_message *m = &request_of(L)->messages[index];
    const struct block *sole = m->len == 1 ? sole_text(m->steps[0]) : NULL;
    bool first = true;
    luaL_Buffer b;

    if (sole) {
        lua_pushlstring(L, sole->text.ptr, sole->text.len);
        return;
    }
    luaL_buffinit(L, &b);
    for (uint32_t i = 0; i < m->len; i++)
        add_step_text(&b, m->steps[i], &first);
    luaL_pushresult(&b);
}

static const struct kind message_kind = {
    .type = "request.messages message",
    .fields = {{"role", push_message_role}, {"text", push_message_text}},
};

// ---- entry

LJMP void values_open_kind(lua_State *L, const struct kind *kind)
{
    static const luaL_Reg metamethods[] = {
        {"__index", handle_index}, {"__newindex", handle_newindex}, {"__len", handle_len},
        {"__pairs", handle_pairs}, {NULL, NULL},
    };

    luaL_newmetatable(L, kind->type);
    // Only ever read back as const.
    lua_pushlightuserdata(L, (void *)(uintptr_t)kind);
    luaL_setfuncs(L, metamethods, 1);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}

LJMP void values_open(lua_State *L)
{
    values_open_kind(L, &view_kind);
    values_open_session(L);
    values_open_memory(L);
    values_open_kind(L, &tokens_kind);
    values_open_kind(L, &history_kind);
    values_open_kind(L, &turn_kind);
    values_open_kind(L, &request_kind);
    values_open_kind(L, &messages_kind);
    values_open_kind(L, &message_kind);
}

LJMP void values_push_view(lua_State *L, const struct policy_view *view)
{
    sandbox_set_subject(L, view);
    values_push_handle(L, view_kind.type, 0);
}

LJMP void values_push_turn(lua_State *L, const struct turn *turn)
{
    values_push_handle(L, turn_kind.type, (uint32_t)(turn - view_of(L)->chat->turns));
}

LJMP void values_push_request(lua_State *L, const struct llm_request *request)
{
    sandbox_set_subject(L, request);
    values_push_handle(L, request_kind.type, 0);
}
