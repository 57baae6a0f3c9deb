// SPDX-License-Identifier: MIT
// brain.c: a script that answers for the scripted provider. See lua_room.h.
//
// The script is frozen after loading like a policy: what it says depends on the request alone.
// Owned by one worker's thread.
#include "lua/lua_room.h"

#include "base/embed.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "lua/freeze.h"
#include "lua/limits.h"
#include "lua/sandbox.h"
#include "lua/source.h"
#include "lua/values.h"

static const char offline_script[] = "scripts/offline.lua";

struct lua_brain {
    struct llm_brain base;
    struct sandbox *sandbox;
    struct sandbox_budget budget;
    int function;            // reference in the registry
    char *file;              // owned
};

struct brain_load {
    struct lua_brain *brain;
    struct slice text;
};

LJMP static int load_script(lua_State *L)
{
    struct brain_load *load = lua_touserdata(L, 1);

    values_open(L);
    sandbox_load(L, load->text, load->brain->file);
    lua_call(L, 0, 1);
    if (!lua_isfunction(L, -1))
        return luaL_error(L, "%s: must return a function(request) that returns the reply's "
                             "text; it returns %s", load->brain->file, sandbox_value_word(L, -1));
    freeze_value(L);
    load->brain->function = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

struct brain_reply {
    const struct lua_brain *brain;
    const struct llm_request *request;
    struct buf *out;
};

LJMP static int ask_script(lua_State *L)
{
    struct brain_reply *reply = lua_touserdata(L, 1);
    struct slice text;

    sandbox_seed(L, reply->request->messages_len, 0);
    lua_rawgeti(L, LUA_REGISTRYINDEX, reply->brain->function);
    values_push_request(L, reply->request);
    lua_call(L, 1, 1);
    if (lua_type(L, -1) != LUA_TSTRING)
        return luaL_error(L, "%s: the reply must be a string; it is %s", reply->brain->file,
                          sandbox_value_word(L, -1));
    text.ptr = lua_tolstring(L, -1, &text.len);
    if (!utf8_valid(text))
        return luaL_error(L, "%s: the reply is not valid UTF-8", reply->brain->file);
    buf_add_slice(reply->out, text);
    return 0;
}

static int brain_reply(struct llm_brain *b, const struct llm_request *request, struct buf *out,
                       struct err *err)
{
    struct lua_brain *brain = (struct lua_brain *)b;
    struct brain_reply reply = {brain, request, out};
    int code = sandbox_call(brain->sandbox, brain->budget, ask_script, &reply, err);

    return code == E_OK ? buf_check(out, "reply of the script", err) : code;
}

static void brain_free(struct llm_brain *b)
{
    struct lua_brain *brain = (struct lua_brain *)b;

    sandbox_free(brain->sandbox);
    mem_free(brain->file);
    mem_free(brain);
}

static const struct llm_brain_ops brain_ops = {.reply = brain_reply, .free = brain_free};

int lua_brain_new(struct llm_brain **out, const struct lua_env *env, const char *script,
                  struct err *err)
{
    const struct embed_file *builtin = script ? NULL : embed_find(offline_script);
    struct lua_brain *brain = mem_zalloc(sizeof(*brain));
    struct buf text = BUF_INIT(LUA_FILE_BYTES_MAX);
    struct sandbox_options options = limits_sandbox(env);
    int code = E_OK;

    if (brain)
        brain->file = mem_strdup(script ? source_shown(script) : offline_script);
    if (!brain || !brain->file) {
        code = err_set(err, E_NOMEM, "brain: out of memory");
        goto out;
    }
    brain->base.ops = &brain_ops;
    brain->budget = limits_of(env).hook;
    if (script)
        code = source_read(script, &text, err);
    else if (!builtin)
        code = err_set(err, E_POLICY, "%s is not inside this program", offline_script);
    if (code == E_NOT_FOUND)
        code = err_set(err, E_POLICY, "%s: there is no such script; check providers.*.script",
                       script);
    if (code == E_OK)
        code = sandbox_new(&brain->sandbox, &options, err);
    if (code == E_OK) {
        struct brain_load load = {brain, builtin ? builtin->bytes : buf_slice(&text)};

        code = sandbox_call(brain->sandbox, limits_of(env).load, load_script, &load, err);
    }
out:
    buf_release(&text);
    if (code == E_OK)
        *out = &brain->base;
    else if (brain)
        brain_free(&brain->base);
    return code;
}
