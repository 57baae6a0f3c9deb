// SPDX-License-Identifier: MIT
// values_session.c: view.session, with the session's state, and view.resume. State is a copy, made
// when it is looked at: what a hook writes into it is nobody's.
#include "lua/values_int.h"

#include "base/json.h"

static const struct policy_view *view_of(lua_State *L)
{
    return sandbox_subject(L);
}

static const struct session_head *head_of(lua_State *L)
{
    return &view_of(L)->chat->head;
}

// ---- JSON as tables, in a protected call of its own, so that the document is released

struct reading {
    struct json_doc doc;
    struct buf scratch;
    struct json value;
};

LJMP static void push_json(lua_State *L, struct json v, struct buf *scratch);

LJMP static void push_members(lua_State *L, struct json v, struct buf *scratch)
{
    struct json_iter it = {0};
    struct json key, item;
    lua_Integer n = 0;

    luaL_checkstack(L, 4, "state");
    lua_createtable(L, 0, 0);
    while (json_next(v, &it, &key, &item)) {
        sandbox_charge(L, 10);
        if (json_type(v) == JSON_OBJECT) {
            struct slice name = json_text(key, scratch);

            lua_pushlstring(L, name.ptr ? name.ptr : "", name.len);
        } else {
            lua_pushinteger(L, ++n);
        }
        push_json(L, item, scratch);
        lua_rawset(L, -3);
    }
}

// An integer that Lua cannot hold becomes a number that it can.
LJMP static void push_number(lua_State *L, struct json v)
{
    int64_t low = json_i64(v, 0), high = json_i64(v, 1);

    if (low == high)
        lua_pushinteger(L, low);
    else
        lua_pushnumber(L, json_double(v, 0));
}

LJMP static void push_json(lua_State *L, struct json v, struct buf *scratch)
{
    struct slice text;

    switch (json_type(v)) {
    case JSON_TRUE:
    case JSON_FALSE:
        lua_pushboolean(L, json_type(v) == JSON_TRUE);
        break;
    case JSON_NUMBER:
        push_number(L, v);
        break;
    case JSON_STRING:
        text = json_text(v, scratch);
        lua_pushlstring(L, text.ptr ? text.ptr : "", text.len);
        break;
    case JSON_ARRAY:
    case JSON_OBJECT:
        push_members(L, v, scratch);
        break;
    default:
        lua_pushnil(L);
    }
}

LJMP static int read_json(lua_State *L)
{
    struct reading *r = lua_touserdata(L, 1);

    push_json(L, r->value, &r->scratch);
    return 1;
}

// The state, or a member of it; nil where there is none.
LJMP static void push_state(lua_State *L, const char *member)
{
    struct reading r = {.scratch = BUF_INIT(SESSION_STATE_BYTES_MAX)};
    struct safe_text state = session_state(head_of(L));

    if (json_parse(&r.doc, state.len ? safe_slice(state) : SLICE_LIT("{}"), 0, NULL) == E_OK)
        r.value = json_root(&r.doc);
    if (member)
        r.value = json_get(r.value, member);
    lua_pushcfunction(L, read_json);
    lua_pushlightuserdata(L, &r);
    int status = lua_pcall(L, 1, 1, 0);
    json_doc_release(&r.doc);
    buf_release(&r.scratch);
    if (status != LUA_OK)
        lua_error(L);
}

// ---- view.session

LJMP static void push_id(lua_State *L, uint32_t index)
{
    (void)index;
    lua_pushstring(L, head_of(L)->id);
}

LJMP static void push_whole_state(lua_State *L, uint32_t index)
{
    (void)index;
    push_state(L, NULL);
}

LJMP static void push_turns(lua_State *L, uint32_t index)
{
    (void)index;
    lua_pushinteger(L, head_of(L)->turns);
}

LJMP static void push_started(lua_State *L, uint32_t index)
{
    (void)index;
    values_push_seconds(L, head_of(L)->created_at_ms);
}

LJMP static void push_last_active(lua_State *L, uint32_t index)
{
    (void)index;
    values_push_seconds(L, head_of(L)->last_active_at_ms);
}

LJMP static void push_device(lua_State *L, uint32_t index)
{
    const char *device = head_of(L)->lease.device;

    (void)index;
    if (device[0])
        lua_pushstring(L, device);
    else
        lua_pushnil(L);
}

static const struct kind session_kind = {
    .type = "view.session",
    .fields = {
        {"id", push_id}, {"state", push_whole_state}, {"turns", push_turns},
        {"started", push_started}, {"last_active", push_last_active},
        {"device", push_device},
    },
};

LJMP void values_push_session(lua_State *L, uint32_t index)
{
    values_push_handle(L, session_kind.type, index);
}

// ---- view.resume

LJMP static void push_resume_kind(lua_State *L, uint32_t index)
{
    (void)index;
    lua_pushstring(L, session_origin_word(head_of(L)->origin));
}

LJMP static void push_resume_gap(lua_State *L, uint32_t index)
{
    (void)index;
    lua_pushstring(L, session_gap_word(view_of(L)->gap_ms));
}

LJMP static void push_topic(lua_State *L, uint32_t index)
{
    (void)index;
    push_state(L, "topic");
}

LJMP static void push_open(lua_State *L, uint32_t index)
{
    (void)index;
    push_state(L, "open_questions");
    if (!lua_istable(L, -1)) {
        lua_pop(L, 1);
        lua_newtable(L);
    }
}

LJMP static void push_before(lua_State *L, uint32_t index)
{
    (void)index;
    lua_pushstring(L, head_of(L)->before);
}

static const struct kind resume_kind = {
    .type = "view.resume",
    .fields = {
        {"kind", push_resume_kind}, {"gap", push_resume_gap}, {"topic", push_topic},
        {"open", push_open}, {"before", push_before},
    },
};

LJMP void values_push_resume(lua_State *L, uint32_t index)
{
    if (head_of(L)->origin == ORIGIN_NEW || view_of(L)->turn > 1)
        lua_pushnil(L);
    else
        values_push_handle(L, resume_kind.type, index);
}

// In text, a session is its id.
LJMP static int session_text(lua_State *L)
{
    luaL_checkudata(L, 1, session_kind.type);
    lua_getfield(L, 1, "id");  // as anybody would: a handle of another call is refused
    return 1;
}

LJMP static int session_concat(lua_State *L)
{
    luaL_tolstring(L, 1, NULL);
    luaL_tolstring(L, 2, NULL);
    lua_concat(L, 2);
    return 1;
}

LJMP void values_open_session(lua_State *L)
{
    values_open_kind(L, &session_kind);
    luaL_getmetatable(L, session_kind.type);
    lua_pushcfunction(L, session_text);
    lua_setfield(L, -2, "__tostring");
    lua_pushcfunction(L, session_concat);
    lua_setfield(L, -2, "__concat");
    lua_pop(L, 1);
    values_open_kind(L, &resume_kind);
}
