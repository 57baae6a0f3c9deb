// SPDX-License-Identifier: MIT
// policy_lua.c: policies written in Lua, behind policy.h; the loader that makes them.
//
//   file ─ source_read ─▶ text ─ sandbox_load ─▶ table ─ shape_read ─▶ info ─ freeze ─▶ policy
//   hook: view handle in ─ sandbox_call ─▶ fresh table ─ plans_read ─▶ plan
//
// Invariants
// 1. One state per version; after loading everything in it is read-only (freeze.h).
// 2. A hook that fails leaves the plan as the plain policy makes it, and says where and why.
// 3. math.random depends on session and turn only.
// 4. A hook that runs out of its budget again and again is left alone for a while, longer each
//    time, so that a worker does not spend its time on one policy instead of other users' turns.
// Owned by one worker's thread.
#include "lua/lua_room.h"

#include "base/embed.h"
#include "base/mem.h"
#include "lua/bots.h"
#include "lua/freeze.h"
#include "lua/limits.h"
#include "lua/plans.h"
#include "lua/sandbox.h"
#include "lua/shape.h"
#include "lua/source.h"
#include "lua/values.h"

#include <sodium.h>
#include <stdio.h>

enum { WHERE_BYTES = 128, PATH_BYTES = 4096,
       STRIKES = 3, REST_MS = 1000, REST_DOUBLINGS = 6 };

// One hook of a policy: its function and where it stands.
struct hook {
    const char *name;
    int function;              // reference in the registry, or LUA_NOREF
    char where[WHERE_BYTES];   // "policies/kiosk.lua:14"
    unsigned strikes;          // times in a row that it ran out
    int64_t rests_until_ns;
};

struct lua_policy {
    struct policy base;
    struct sandbox *sandbox;   // owned
    struct redactor *redactor; // owned; makes safe text of what hooks say
    struct limits limits;
    const struct clock *clock;
    char *file, *title, *model;  // owned; info borrows them
    struct safe_buf system;
    struct hook on_message, on_reply, history;
    struct history_plan plan;  // when `history` is no function
};

// ---- hooks

struct hook_call {
    const struct lua_policy *policy;
    const struct hook *hook;
    const struct policy_view *view;
    struct safe_text reply;               // on_reply only
    struct plan *plan;                    // on_message, on_reply
    struct history_plan *history;         // history
};

LJMP static int run_hook(lua_State *L)
{
    const struct hook_call *call = lua_touserdata(L, 1);
    int args = 1;

    sandbox_seed(L, call->view->turn, (uint64_t)call->view->chat->head.created_at_ms);
    lua_rawgeti(L, LUA_REGISTRYINDEX, call->hook->function);
    values_push_view(L, call->view);
    if (call->reply.ptr) {
        lua_pushlstring(L, call->reply.ptr, call->reply.len);
        args++;
    }
    lua_call(L, args, 1);
    if (call->history)
        plans_read_history(L, call->hook->where, call->view->turn, call->history);
    else
        plans_read(L, call->policy->redactor, call->hook->where, call->plan);
    return 0;
}

// Messages of the script begin with its file; others get it, so that everybody knows where to look.
static int name_place(const char *file, struct err *err)
{
    if (err && strncmp(err->message, file, strlen(file)) != 0)
        return err_prefix(err, "%s: ", file);
    return err ? err->code : E_OK;
}

static void count_strike(const struct lua_policy *p, struct hook *hook)
{
    unsigned doublings = hook->strikes < STRIKES ? 0 : hook->strikes - STRIKES + 1;

    hook->strikes += hook->strikes < STRIKES + REST_DOUBLINGS;
    if (hook->strikes >= STRIKES)
        hook->rests_until_ns = clock_mono_ns(p->clock) + ((int64_t)REST_MS * 1000000 << doublings);
}

static int call_hook(const struct lua_policy *p, struct hook *hook, const struct hook_call *call,
                     struct err *err)
{
    struct err own = ERR_INIT;
    int64_t rest_ns = hook->strikes ? hook->rests_until_ns - clock_mono_ns(p->clock) : 0;

    if (rest_ns > 0)
        return err_set(err, E_POLICY, "%s: not run, for it was stopped %u times in a row; it is "
                                      "tried again in %lld ms (in %s)", hook->where, hook->strikes,
                       (long long)(rest_ns / 1000000 + 1), hook->name);
    int code = sandbox_call(p->sandbox, p->limits.hook, run_hook, (void *)(uintptr_t)call, &own);
    if (code != E_OK && sandbox_ran_out(p->sandbox))
        count_strike(p, hook);
    else
        hook->strikes = 0;
    if (code == E_OK)
        return E_OK;
    name_place(p->file, &own);
    return err_set(err, E_POLICY, "%s (in %s)", own.message, hook->name);
}

static int plan_hook(struct lua_policy *p, struct hook *hook, const struct policy_view *view,
                     struct safe_text reply, struct plan *plan, struct err *err)
{
    struct hook_call call = {.policy = p, .hook = hook, .view = view, .reply = reply, .plan = plan};
    int code = call_hook(p, hook, &call, err);

    if (code != E_OK)
        plan_release(plan);  // as after plan_init: go on
    return code;
}

static int on_message(struct policy *base, const struct policy_view *view, struct plan *plan,
                      struct err *err)
{
    struct lua_policy *p = (struct lua_policy *)base;

    return plan_hook(p, &p->on_message, view, SAFE_NONE, plan, err);
}

static int on_reply(struct policy *base, const struct policy_view *view, struct safe_text reply,
                    struct plan *plan, struct err *err)
{
    struct lua_policy *p = (struct lua_policy *)base;

    return plan_hook(p, &p->on_reply, view, reply.ptr ? reply : SAFE_LIT(""), plan, err);
}

static int on_history(struct policy *base, const struct policy_view *view,
                      struct history_plan *plan, struct err *err)
{
    struct lua_policy *p = (struct lua_policy *)base;
    struct hook_call call = {.policy = p, .hook = &p->history, .view = view, .history = plan};

    if (p->history.function == LUA_NOREF) {
        *plan = p->plan;
        return E_OK;
    }
    int code = call_hook(p, &p->history, &call, err);
    if (code != E_OK)
        history_plan_full(plan);
    return code;
}

static void policy_free(struct policy *base)
{
    struct lua_policy *p = (struct lua_policy *)base;

    sandbox_free(p->sandbox);
    redactor_free(p->redactor);
    safe_buf_release(&p->system);
    mem_free(p->file);
    mem_free(p->title);
    mem_free(p->model);
    mem_free(p);
}

static const struct policy_ops lua_policy_ops = {
    .on_message = on_message,
    .history = on_history,
    .on_reply = on_reply,
    .free = policy_free,
};

// ---- loading

struct load {
    struct lua_policy *policy;
    struct slice text;
    const struct log *log;
    bool no_memory;
};

LJMP static void set_hook(lua_State *L, struct hook *hook, const char *name, int function)
{
    lua_Debug ar;

    *hook = (struct hook){.name = name, .function = function};
    if (function == LUA_NOREF)
        return;
    lua_rawgeti(L, LUA_REGISTRYINDEX, function);
    lua_getinfo(L, ">S", &ar);
    snprintf(hook->where, sizeof(hook->where), "%s:%d", ar.short_src, ar.linedefined);
}

// Copies what the shape says into the policy; strings are the state's until then.
LJMP static void keep_shape(lua_State *L, struct load *load, const struct shape *shape)
{
    struct lua_policy *p = load->policy;
    struct err err = ERR_INIT;

    p->title = mem_slicedup(shape->title);
    p->model = shape->model.ptr ? mem_slicedup(shape->model) : NULL;
    if (!p->title || (shape->model.ptr && !p->model)) {
        load->no_memory = true;
        luaL_error(L, "out of memory");
    }
    int code = redact_text(p->redactor, shape->system, &p->system, &err);
    if (code == E_OK)
        code = safe_buf_check(&p->system, "system", &err);
    load->no_memory = code == E_NOMEM;
    if (code != E_OK)
        luaL_error(L, "%s: system: %s", p->file, err.message);
    p->plan = shape->plan;
    p->base.info.max_output_tokens = shape->max_output_tokens;
    set_hook(L, &p->on_message, "on_message", shape->on_message);
    set_hook(L, &p->on_reply, "on_reply", shape->on_reply);
    set_hook(L, &p->history, "history", shape->history);
}

LJMP static int load_policy(lua_State *L)
{
    struct load *load = lua_touserdata(L, 1);
    struct lua_policy *p = load->policy;
    struct shape_source source = {p->file, load->text};
    struct shape shape;

    values_open(L);
    sandbox_load(L, load->text, p->file);
    lua_call(L, 0, 1);
    if (!lua_istable(L, -1))
        return luaL_error(L, "%s: must return a table, as in return { system = \"…\" }; "
                             "it returns %s", p->file, sandbox_value_word(L, -1));
    lua_pushvalue(L, -1);
    shape_read(L, &source, &shape);
    keep_shape(L, load, &shape);
    lua_settop(L, 2);
    freeze_value(L);
    for (unsigned i = 0; i < shape.idle_len; i++)
        log_line(load->log, LOG_WARN, "%s:%d: %s has no effect yet", p->file, shape.idle[i].line,
                 shape.idle[i].name);
    return 0;
}

// What two texts have in common only if they are the same.
static uint64_t hash_of(struct slice text)
{
    unsigned char out[crypto_generichash_BYTES_MIN];
    uint64_t hash = 0;

    crypto_generichash(out, sizeof(out), (const unsigned char *)text.ptr, text.len, NULL, 0);
    for (size_t i = 0; i < sizeof(hash); i++)
        hash = hash << 8 | out[i];
    return hash;
}

static void fill_info(struct lua_policy *p, struct slice text)
{
    struct policy_info *info = &p->base.info;
    struct slice name = bot_name_of(p->file);

    snprintf(info->name, sizeof(info->name), "%.*s", SLICE_FMT(name));
    snprintf(info->version, sizeof(info->version), "%.*s@%08x", SLICE_FMT(name),
             (unsigned)(hash_of(text) >> 32));
    info->file = p->file;
    info->title = p->title;
    info->model = p->model;
    info->system = safe_buf_text(&p->system);
    if (info->system.len > 0) {
        info->system_hash = hash_of(safe_slice(info->system));
        info->system_hash += info->system_hash == 0;
    }
    info->needs_turns = p->history.function == LUA_NOREF ? 0 : UINT32_MAX;
    info->has_on_message = p->on_message.function != LUA_NOREF;
    info->has_on_reply = p->on_reply.function != LUA_NOREF;
}

static int policy_new(struct policy **out, const struct lua_env *env, const char *file,
                      struct slice text, struct err *err)
{
    struct lua_policy *p = mem_zalloc(sizeof(*p));
    struct sandbox_options options = limits_sandbox(env);
    struct err own = ERR_INIT;

    if (!p)
        return err_set(err, E_NOMEM, "%s: out of memory", file);
    struct load load = {.policy = p, .text = text, .log = env->log};
    p->base.ops = &lua_policy_ops;
    p->base.refs = 1;
    p->limits = limits_of(env);
    p->clock = env->clock;
    safe_buf_init(&p->system, LUA_FILE_BYTES_MAX);
    file = source_shown(file);
    p->file = mem_strdup(file);
    int code = p->file ? redactor_new(&p->redactor, &own) : err_set(&own, E_NOMEM, "out of memory");
    if (code == E_OK)
        code = sandbox_new(&p->sandbox, &options, &own);
    if (code == E_OK)
        code = sandbox_call(p->sandbox, p->limits.load, load_policy, &load, &own);
    if (code != E_OK) {
        name_place(file, &own);
        err_set(err, load.no_memory ? E_NOMEM : code, "%s", own.message);
        policy_free(&p->base);
        return load.no_memory ? E_NOMEM : code;
    }
    fill_info(p, text);
    *out = &p->base;
    return E_OK;
}

// E_NOT_FOUND when there is no such file.
static int load_path(const struct lua_env *env, const char *path, struct policy **out,
                     struct err *err)
{
    struct buf text = BUF_INIT(LUA_FILE_BYTES_MAX);
    int code = source_read(path, &text, err);

    if (code == E_OK && !bot_name_valid(bot_name_of(path)))
        code = err_set(err, E_POLICY, "%s: a bot's name is up to %d letters, digits, _ and -", path,
                       BOT_NAME_MAX);
    if (code == E_OK)
        code = policy_new(out, env, path, buf_slice(&text), err);
    buf_release(&text);
    return code;
}

// ---- the loader

struct lua_loader {
    struct lua_env env;
};

int lua_loader_new(struct lua_loader **out, const struct lua_env *env, struct err *err)
{
    struct lua_loader *l = mem_zalloc(sizeof(*l));

    if (!l)
        return err_set(err, E_NOMEM, "policies: out of memory");
    l->env = *env;
    *out = l;
    return E_OK;
}

void lua_loader_free(struct lua_loader *l)
{
    mem_free(l);
}

static int loader_load(void *self, const char *bot, struct policy **out, struct err *err)
{
    const struct lua_env *env = &((struct lua_loader *)self)->env;
    char path[PATH_BYTES];
    int code = E_NOT_FOUND;

    if (!bot_name_valid(slice_str(bot)))
        return err_set(err, E_POLICY, "'%s' is no bot's name: up to %d letters, digits, _ and -",
                       bot, BOT_NAME_MAX);
    if (env->policies_dir &&
        snprintf(path, sizeof(path), "%s/%s.lua", env->policies_dir, bot) < (int)sizeof(path))
        code = load_path(env, path, out, err);
    if (code != E_NOT_FOUND)
        return code;
    snprintf(path, sizeof(path), "policies/%s.lua", bot);
    const struct embed_file *file = embed_find(path);
    return file ? policy_new(out, env, path, file->bytes, err)
                : bots_refuse_unknown(env->policies_dir, bot, err);
}

struct policy_loader lua_loader_ops(struct lua_loader *l)
{
    return (struct policy_loader){.load = loader_load, .self = l};
}

struct bot_search {
    const char *bot;
    bool found;
};

static void look_at_bot(void *user, const char *bot, const char *file)
{
    struct bot_search *search = user;

    (void)file;
    search->found = search->found || strcmp(bot, search->bot) == 0;
}

int lua_find_bot(const struct lua_env *env, const char *bot, struct err *err)
{
    struct bot_search search = {.bot = bot};

    bots_each(env->policies_dir, look_at_bot, &search);
    return search.found ? E_OK : bots_refuse_unknown(env->policies_dir, bot, err);
}

void lua_bots(const struct lua_env *env, void (*fn)(void *user, const char *bot, const char *file),
              void *user)
{
    bots_each(env->policies_dir, fn, user);
}

int lua_check_policy(const struct lua_env *env, const char *path, struct err *err)
{
    struct policy *policy = NULL;
    int code = load_path(env, path, &policy, err);

    if (code == E_NOT_FOUND)
        return err_set(err, E_POLICY, "%s: there is no such file", path);
    policy_unref(policy);
    return code;
}
