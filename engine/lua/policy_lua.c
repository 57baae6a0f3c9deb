// SPDX-License-Identifier: MIT
// policy_lua.c: policies written in Lua, behind policy.h; loader.c finds their files.
//
//   file ─ source_read ─▶ text ─ sandbox_load ─▶ table ─ shape_read ─▶ info ─ freeze ─▶ policy
//   hook: view handle in ─ sandbox_call ─▶ fresh table ─ plans_read ─▶ plan
//
// Invariants
// 1. One state per version, and up to STATES_MAX - 1 copies of it, made when a hook is called while
//    the others are put aside in the middle of one; after loading all is read-only (freeze.h).
// 2. A hook that fails leaves the plan as the plain policy makes it, and says where and why.
// 3. math.random depends on session and turn only.
// 4. A hook that runs out of its budget again and again, or of memory, is left alone for a while,
//    longer each time, so that a worker does not spend its time on one policy instead of other
//    users' turns.
// 5. A hook that took long begins by making way for others, until it was quick ASIDE_CALLS times in
//    a row: what it does in one piece does not hold them up then.
// Owned by one worker's thread. A hook or a file that makes way goes on on another (base/way.h),
// and touches nothing there but its state, the view and the plan.
#include "lua/lua_room.h"

#include "base/mem.h"
#include "lua/bots.h"
#include "lua/candidates.h"
#include "lua/freeze.h"
#include "lua/life.h"
#include "lua/limits.h"
#include "lua/memory.h"
#include "lua/plans.h"
#include "lua/privacy.h"
#include "lua/policy_int.h"
#include "lua/sandbox.h"
#include "lua/shape.h"
#include "lua/source.h"
#include "lua/values.h"

#include <sodium.h>
#include <stdio.h>

enum { WHERE_BYTES = 128,
       STRIKES = 3, REST_MS = 1000, REST_DOUBLINGS = 6, STATES_MAX = 4, ASIDE_CALLS = 100 };

enum { ON_MESSAGE, ON_REPLY, HISTORY, EXPIRY, GREET, STATE, EXTRACT, REFLECT, HOOKS };

// One hook of a policy: its function and where it stands.
struct hook {
    const char *name;
    int function;              // reference in the registry, or LUA_NOREF
    char where[WHERE_BYTES];   // "policies/kiosk.lua:14"
    unsigned strikes;          // times in a row that it ran out
    unsigned aside;            // calls that are to begin by making way
    int64_t rests_until_ns;
};

struct lua_policy {
    struct policy base;
    struct sandbox *sandbox;   // owned
    struct redactor *redactor; // owned; NULL: the default rules
    struct limits limits;
    const struct clock *clock;
    char *file, *title, *model;  // owned; info borrows them
    struct safe_buf system;
    struct hook hooks[HOOKS];
    struct history_plan plan;  // when `history` is no function
    struct lua_policy *next;   // a copy, owned; strikes are the first one's
    unsigned states;           // the first one's: with its copies, those being made too
    bool busy;                 // a hook is under way in it
    struct lua_env env;        // for copies, as is the file's text
    struct buf text;
};

// ---- hooks

struct hook_call {
    int hook;
    const struct policy_view *view;
    const struct lua_policy *policy;      // the state that runs it
    struct safe_text reply;               // on_reply only
    struct plan *plan;                    // on_message, on_reply
    struct history_plan *history;         // history
    struct expiry *expiry;                // expiry
    struct safe_buf *greeting;            // resume.greet
    struct candidates_read *candidates;   // memory.extract, memory.reflect, and plans
    bool returned;                        // out: the script is through, what it returned is read
};

// What hook_call's hook returned, on top.
LJMP static void take_plan(lua_State *L, const struct hook_call *call, const char *where)
{
    int idx = lua_gettop(L);

    plans_read(L, where, call->plan);
    lua_settop(L, idx);
    if (lua_istable(L, idx) && shape_field(L, idx, "memory") != LUA_TNIL)
        candidates_read_plan(L, call->candidates, call->plan);
}

LJMP static int run_hook(lua_State *L)
{
    struct hook_call *call = lua_touserdata(L, 1);
    const struct hook *hook = &call->policy->hooks[call->hook];
    int args = 1;

    sandbox_seed(L, call->view->turn, (uint64_t)call->view->chat->head.created_at_ms);
    lua_rawgeti(L, LUA_REGISTRYINDEX, hook->function);
    values_push_view(L, call->view);
    if (call->reply.ptr) {
        lua_pushlstring(L, call->reply.ptr, call->reply.len);
        args++;
    }
    if (call->hook == EXTRACT) {
        values_push_turn(L, call->candidates->turn);
        args++;
    }
    lua_call(L, args, 1);
    call->returned = true;
    if (call->history)
        plans_read_history(L, hook->where, call->view->turn, call->history);
    else if (call->expiry)
        life_take_expiry(L, hook->where, call->expiry);
    else if (call->greeting)
        life_take_greeting(L, hook->where, call->greeting);
    else if (call->hook == STATE)
        plans_read_state(L, hook->where, call->plan);
    else if (call->plan)
        take_plan(L, call, hook->where);
    else
        candidates_read(L, call->candidates);
    return 0;
}

// Messages of the script begin with its file; others get it, so that everybody knows where to look.
static int name_place(const char *file, struct err *err)
{
    if (err && strncmp(err->message, file, strlen(file)) != 0)
        return err_prefix(err, "%s: ", file);
    return err ? err->code : E_OK;
}

static void count_strikes(const struct lua_policy *p, struct hook *hook, unsigned strikes)
{
    unsigned doublings = hook->strikes < STRIKES ? 0 : hook->strikes - STRIKES + 1;

    if (hook->strikes < STRIKES)
        hook->strikes = hook->strikes + strikes < STRIKES ? hook->strikes + strikes : STRIKES;
    else
        hook->strikes += hook->strikes < STRIKES + REST_DOUBLINGS;
    if (hook->strikes >= STRIKES)
        hook->rests_until_ns = clock_mono_ns(p->clock) + ((int64_t)REST_MS * 1000000 << doublings);
}

static int policy_new(struct lua_policy **out, const struct lua_env *env, const char *file,
                      struct slice text, struct err *err);

// One more state. Others may take and give back states while it is being loaded.
static int add_state(struct lua_policy *p, struct err *err)
{
    struct lua_policy *copy;
    struct lua_env quiet = p->env;

    quiet.log = NULL;  // what is to be said of the file has been said
    p->states++;
    int code = policy_new(&copy, &quiet, p->file, buf_slice(&p->text), err);
    if (code != E_OK) {
        p->states--;
        return code;
    }
    copy->next = p->next;
    p->next = copy;
    return E_OK;
}

// A state without a hook under way, busy from now on. Waits for one where all are. NULL with err.
static struct lua_policy *take_state(struct lua_policy *p, struct err *err)
{
    int64_t until_ns = clock_mono_ns(p->clock) + 2 * p->limits.hook.ms * 1000000;

    for (;;) {
        struct lua_policy *s = p;

        while (s && s->busy)
            s = s->next;
        if (s) {
            s->busy = true;
            return s;
        }
        if (p->states < STATES_MAX) {
            if (add_state(p, err) != E_OK)
                return NULL;
        } else if (!p->env.way.wait || clock_mono_ns(p->clock) >= until_ns ||
                   !p->env.way.wait(p->env.way.user)) {
            err_set(err, E_REFUSED,
                    "%s: not run, for %u calls of this policy's hooks are under way", p->file,
                    p->states);
            return NULL;
        }
    }
}

// What a call that was stopped counts for. Memory counts for all: giving it back is what holds the
// others up longest, for the collector marks in one piece.
static unsigned strikes_of(const struct sandbox *s)
{
    return sandbox_ran_out_of_memory(s) ? STRIKES : sandbox_ran_out(s) ? 1 : 0;
}

static int run_in_state(struct lua_policy *p, struct hook_call *call, unsigned *strikes,
                        struct err *err)
{
    struct hook *hook = &p->hooks[call->hook];
    struct lua_policy *state = take_state(p, err);

    if (!state)
        return err->code;
    call->policy = state;
    struct sandbox_budget budget = p->limits.hook;
    budget.aside = hook->aside > 0;
    int code = sandbox_call(state->sandbox, budget, run_hook, call, err);
    *strikes = strikes_of(state->sandbox);
    if (sandbox_was_slow(state->sandbox))
        hook->aside = ASIDE_CALLS;
    else if (budget.aside && hook->aside > 0)
        hook->aside--;
    state->busy = false;
    return code;
}

static int call_hook(struct lua_policy *p, struct hook_call *call, struct err *err)
{
    struct hook *hook = &p->hooks[call->hook];
    struct err own = ERR_INIT;
    unsigned strikes = 0;
    int64_t rest_ns = hook->strikes ? hook->rests_until_ns - clock_mono_ns(p->clock) : 0;

    if (rest_ns > 0)
        return err_set(err, E_REFUSED, "%s: not run, for it was stopped %u times in a row; it is "
                                       "tried again in %lld ms (in %s)", hook->where, hook->strikes,
                       (long long)(rest_ns / 1000000 + 1), hook->name);
    int code = run_in_state(p, call, &strikes, &own);
    if (code != E_OK && strikes)
        count_strikes(p, hook, strikes);
    else
        hook->strikes = 0;
    if (code == E_OK)
        return E_OK;
    name_place(p->file, &own);
    if (code == E_POLICY && strikes)
        code = E_REFUSED;
    // Of what runs behind a turn the log alone is told, in which nobody's words may be.
    else if (code == E_POLICY && call->returned &&
             (call->hook == EXTRACT || call->hook == REFLECT) &&
             candidates_names_no_user(buf_slice(&p->text), hook->where, own.message))
        code = E_USAGE;
    return err_set(err, code, "%s (in %s)", own.message, hook->name);
}

// What candidates of this call have in common. The caller releases the scratch.
static void candidates_init(struct candidates_read *r, struct lua_policy *p, int hook,
                            const struct policy_view *view, enum fact_author author)
{
    const struct policy_info *info = &p->base.info;

    *r = (struct candidates_read){.where = p->hooks[hook].where, .rules = &info->memory};
    safe_buf_init(&r->scratch, LUA_FILE_BYTES_MAX);
    r->as = (struct fact_candidate){.author = author, .turn = view->turn, .at_ms = view->now_ms};
    snprintf(r->as.session, sizeof(r->as.session), "%s", view->chat->head.id);
    snprintf(r->as.extractor, sizeof(r->as.extractor), "%s@%s",
             author == AUTHOR_POLICY && hook != REFLECT ? "plan" : "rules", info->memory.version);
    snprintf(r->as.policy, sizeof(r->as.policy), "%s", info->version);
}

static int plan_hook(struct policy *base, int hook, const struct policy_view *view,
                     struct safe_text reply, struct plan *plan, struct err *err)
{
    struct candidates_read candidates;
    struct hook_call call = {.hook = hook, .view = view, .reply = reply, .plan = plan,
                             .candidates = &candidates};

    candidates_init(&candidates, (struct lua_policy *)base, hook, view, AUTHOR_POLICY);
    int code = call_hook((struct lua_policy *)base, &call, err);
    safe_buf_release(&candidates.scratch);
    if (code != E_OK)
        plan_release(plan);  // as after plan_init: go on
    return code;
}

static int on_extract(struct policy *base, const struct policy_view *view, uint32_t turn,
                      struct fact_candidates *out, struct err *err)
{
    const struct chat *chat = view->chat;
    struct candidates_read candidates;
    struct hook_call call = {.hook = EXTRACT, .view = view, .candidates = &candidates};

    BUG_ON(turn < chat->first || turn - chat->first >= chat->turns_len);
    candidates_init(&candidates, (struct lua_policy *)base, EXTRACT, view, AUTHOR_USER);
    candidates.turn = &chat->turns[turn - chat->first];
    candidates.as.turn = turn;
    candidates.as.at_ms = candidates.turn->at_ms;
    candidates.out = out;
    int code = call_hook((struct lua_policy *)base, &call, err);
    safe_buf_release(&candidates.scratch);
    if (code != E_OK)
        fact_candidates_clear(out);
    return code;
}

static int on_reflect(struct policy *base, const struct policy_view *view,
                      struct fact_candidates *out, struct policy_citations *cited, struct err *err)
{
    struct candidates_read candidates;
    struct hook_call call = {.hook = REFLECT, .view = view, .candidates = &candidates};

    candidates_init(&candidates, (struct lua_policy *)base, REFLECT, view, AUTHOR_POLICY);
    candidates.out = out;
    candidates.cited = cited;
    int code = call_hook((struct lua_policy *)base, &call, err);
    safe_buf_release(&candidates.scratch);
    if (code != E_OK)
        fact_candidates_clear(out);
    return code;
}

static int on_message(struct policy *base, const struct policy_view *view, struct plan *plan,
                      struct err *err)
{
    return plan_hook(base, ON_MESSAGE, view, SAFE_NONE, plan, err);
}

static int on_reply(struct policy *base, const struct policy_view *view, struct safe_text reply,
                    struct plan *plan, struct err *err)
{
    return plan_hook(base, ON_REPLY, view, reply.ptr ? reply : SAFE_LIT(""), plan, err);
}

static int on_state(struct policy *base, const struct policy_view *view, struct safe_text reply,
                    struct plan *plan, struct err *err)
{
    return plan_hook(base, STATE, view, reply.ptr ? reply : SAFE_LIT(""), plan, err);
}

static int on_history(struct policy *base, const struct policy_view *view,
                      struct history_plan *plan, struct err *err)
{
    struct lua_policy *p = (struct lua_policy *)base;
    struct hook_call call = {.hook = HISTORY, .view = view, .history = plan};

    if (p->hooks[HISTORY].function == LUA_NOREF) {
        *plan = p->plan;
        return E_OK;
    }
    int code = call_hook(p, &call, err);
    if (code != E_OK)
        history_plan_full(plan);
    return code;
}

static int on_expiry(struct policy *base, const struct policy_view *view, struct expiry *expiry,
                     struct err *err)
{
    struct hook_call call = {.hook = EXPIRY, .view = view, .expiry = expiry};

    *expiry = base->info.expiry;
    int code = call_hook((struct lua_policy *)base, &call, err);
    if (code != E_OK)
        *expiry = base->info.expiry;
    return code;
}

static int on_greet(struct policy *base, const struct policy_view *view, struct safe_buf *out,
                    struct err *err)
{
    struct hook_call call = {.hook = GREET, .view = view, .greeting = out};
    int code = call_hook((struct lua_policy *)base, &call, err);

    if (code != E_OK)
        safe_buf_clear(out);
    return code;
}

static void policy_free(struct policy *base)
{
    struct lua_policy *p = (struct lua_policy *)base;

    while (p) {
        struct lua_policy *next = p->next;

        BUG_ON(p->busy);
        sandbox_free(p->sandbox);
        redactor_free(p->redactor);
        safe_buf_release(&p->system);
        memory_rules_release(&p->base.info.memory);
        buf_release(&p->text);
        mem_free(p->file);
        mem_free(p->title);
        mem_free(p->model);
        mem_free(p);
        p = next;
    }
}

static const struct policy_ops lua_policy_ops = {
    .on_message = on_message,
    .history = on_history,
    .on_reply = on_reply,
    .expiry = on_expiry,
    .greet = on_greet,
    .extract = on_extract,
    .state = on_state,
    .reflect = on_reflect,
    .free = policy_free,
};

// ---- loading

struct load {
    struct lua_policy *policy;
    struct slice text;
    const struct log *log;
    size_t memory_bytes;  // in: the engine's limit; out: the policy's
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
    int code = redact_own(shape->system, &p->system, &err);
    if (code == E_OK)
        code = safe_buf_check(&p->system, "system", &err);
    load->no_memory = code == E_NOMEM;
    if (code != E_OK)
        luaL_error(L, "%s: system: %s", p->file, err.message);
    p->plan = shape->plan;
    p->limits.hook =
        (struct sandbox_budget){.fuel = shape->limits.fuel, .ms = shape->limits.time_ms};
    load->memory_bytes = (size_t)shape->limits.memory_bytes;
    p->base.info.max_output_tokens = shape->max_output_tokens;
    memcpy(p->base.info.user_spend, shape->user_spend, sizeof(shape->user_spend));
    memcpy(p->base.info.bot_spend, shape->bot_spend, sizeof(shape->bot_spend));
    set_hook(L, &p->hooks[ON_MESSAGE], "on_message", shape->on_message);
    set_hook(L, &p->hooks[ON_REPLY], "on_reply", shape->on_reply);
    set_hook(L, &p->hooks[HISTORY], "history", shape->history);
    p->base.info.expiry = shape->expiry;
    p->base.info.resume = shape->resume;
    p->base.info.devices = shape->devices;
    set_hook(L, &p->hooks[EXPIRY], "expiry", shape->expiry_hook);
    set_hook(L, &p->hooks[GREET], "resume.greet", shape->greet);
}

LJMP static int load_policy(lua_State *L)
{
    struct load *load = lua_touserdata(L, 1);
    struct lua_policy *p = load->policy;
    const struct sandbox_budget *most = &p->limits.hook;
    struct shape_source source = {
        p->file, load->text, {most->ms, most->fuel, (int64_t)load->memory_bytes}};
    struct memory_hooks hooks;
    struct shape shape;
    struct err err = ERR_INIT;

    values_open(L);
    sandbox_load(L, load->text, p->file);
    lua_call(L, 0, 1);
    if (!lua_istable(L, -1))
        return luaL_error(L, "%s: must return a table, as in return { system = \"…\" }; "
                             "it returns %s", p->file, sandbox_value_word(L, -1));
    lua_pushvalue(L, -1);
    shape_read(L, &source, &shape);
    privacy_read(L, lua_gettop(L), &source, p->env.region, &p->base.info.privacy, &p->redactor);
    memory_read(L, lua_gettop(L), &source, &p->base.info.memory, &hooks);
    values_use_rules(L, &p->base.info.memory);
    keep_shape(L, load, &shape);
    set_hook(L, &p->hooks[EXTRACT], "memory.extract", hooks.extract);
    set_hook(L, &p->hooks[STATE], "memory.state", hooks.state);
    set_hook(L, &p->hooks[REFLECT], "memory.reflect", hooks.reflect);
    lua_settop(L, 2);
    freeze_value(L);
    for (unsigned i = 0; load->log && i < shape.idle_len; i++)
        log_line(load->log, LOG_WARN, "%s:%d: %s has no effect yet", p->file, shape.idle[i].line,
                 shape.idle[i].name);
    if (sandbox_set_memory(p->sandbox, load->memory_bytes, &err) != E_OK)
        return luaL_error(L, "%s", err.message);
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
    info->redactor = p->redactor;
    info->title = p->title;
    info->model = p->model;
    info->system = safe_buf_text(&p->system);
    if (info->system.len > 0) {
        info->system_hash = hash_of(safe_slice(info->system));
        info->system_hash += info->system_hash == 0;
    }
    info->needs_turns = p->hooks[HISTORY].function == LUA_NOREF ? 0 : UINT32_MAX;
    info->has_on_message = p->hooks[ON_MESSAGE].function != LUA_NOREF;
    info->has_on_reply = p->hooks[ON_REPLY].function != LUA_NOREF;
    info->has_expiry = p->hooks[EXPIRY].function != LUA_NOREF;
    info->has_greet = p->hooks[GREET].function != LUA_NOREF;
}

static int policy_new(struct lua_policy **out, const struct lua_env *env, const char *file,
                      struct slice text, struct err *err)
{
    struct lua_policy *p = mem_zalloc(sizeof(*p));
    struct sandbox_options options = limits_sandbox(env);
    struct err own = ERR_INIT;

    if (!p)
        return err_set(err, E_NOMEM, "%s: out of memory", file);
    struct load load = {.policy = p, .text = text, .log = env->log,
                        .memory_bytes = options.memory_bytes};
    p->base.ops = &lua_policy_ops;
    p->base.refs = 1;
    p->limits = limits_of(env);
    p->clock = env->clock;
    p->env = *env;
    p->env.policies_dir = NULL;  // the loader's; copies are made of the text
    p->states = 1;
    buf_init(&p->text, LUA_FILE_BYTES_MAX);
    buf_add_slice(&p->text, text);
    safe_buf_init(&p->system, LUA_FILE_BYTES_MAX);
    memory_rules_init(&p->base.info.memory);
    file = source_shown(file);
    p->file = mem_strdup(file);
    int code = p->file ? buf_check(&p->text, "its text", &own)
                       : err_set(&own, E_NOMEM, "out of memory");
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
    *out = p;
    return E_OK;
}

int policy_lua_new(struct policy **out, const struct lua_env *env, const char *file,
                   struct slice text, struct err *err)
{
    struct lua_policy *p;
    int code = policy_new(&p, env, file, text, err);

    if (code == E_OK)
        *out = &p->base;
    return code;
}
