// SPDX-License-Identifier: MIT
// llm.c: opens providers by name, and the life of a call and its reply.
//
// A name in the configuration ("desk_llm") has an api ("openai"); the api picks the operations. The
// shipped names (anthropic, openai, scripted) need no api of their own. On the worker's thread.
#include "llm/llm_int.h"

#include "base/hint.h"
#include "base/mem.h"
#include "llm/embed.h"

#include <stdarg.h>
#include <stdio.h>

static const struct llm_ops *const apis[] = {&llm_anthropic, &llm_openai, &llm_scripted};
enum { APIS = sizeof(apis) / sizeof(apis[0]), OPTION_NAME_BYTES = 256, NAME_BYTES = 128,
       REPLY_ID_BYTES_MAX = 256 };

const struct option llm_options[] = {
    {"embeddings.provider", OPT_STRING, 0, 0, NULL,
     "Provider of embeddings, by which turns are recalled by their meaning too."},
    {"embeddings.model", OPT_STRING, 0, 0, NULL, "Model of embeddings."},
    {"embeddings.dimensions", OPT_INT, 1, EMBED_DIMENSIONS_MAX, NULL,
     "How many numbers an embedding has, where its model lets one choose."},
    {"embeddings.deadline", OPT_SPAN, 1, 60000, NULL,
     "How long a message waits for its own embedding before turns are recalled by words (400ms)."},
    {"providers.*.api", OPT_STRING, 0, 0, NULL,
     "Which API it speaks: anthropic, openai or scripted."},
    {"providers.*.base_url", OPT_STRING, 0, 0, NULL,
     "Where the API is; a local server's address, say."},
    {"providers.*.key_env", OPT_STRING, 0, 0, NULL,
     "Name of the environment variable with the key."},
    {"providers.*.auth", OPT_STRING, 0, 0, NULL, "How the key is sent: x-api-key, bearer or none."},
    {"providers.*.version", OPT_STRING, 0, 0, NULL, "Value of the anthropic-version header."},
    {"providers.*.headers.*", OPT_STRING, 0, 0, NULL,
     "A further header to send; none that carries a key."},
    {"providers.*.window", OPT_INT, 0, 100000000, NULL,
     "Context window in tokens, where the shipped table does not know it."},
    {"providers.*.done_marker", OPT_BOOL, 0, 0, NULL,
     "false: a server that ends its streams without [DONE]."},
    {"providers.*.connect_timeout", OPT_SPAN, 1, 3600000, NULL, "Deadline to connect (10s)."},
    {"providers.*.first_byte_timeout", OPT_SPAN, 1, 3600000, NULL,
     "Deadline of the first byte (2m)."},
    {"providers.*.idle_timeout", OPT_SPAN, 1, 3600000, NULL, "Deadline between two bytes (60s)."},
    {"providers.*.total_timeout", OPT_SPAN, 1, 86400000, NULL, "Deadline of a whole reply (10m)."},
    {"providers.*.script", OPT_STRING, 0, 0, NULL, "Scripted: a Lua file that answers."},
    {"providers.*.replay", OPT_STRING, 0, 0, NULL,
     "Scripted: recorded conversations (JSON lines) whose replies are given again."},
    {"providers.*.delay_ms", OPT_INT, 0, 600000, NULL, "Scripted: wait before each piece."},
    {"providers.*.drop_after_bytes", OPT_INT, 0, INT64_MAX, NULL,
     "Scripted: the connection breaks after so many bytes of the stream."},
    {"providers.*.status", OPT_INT, 400, 599, NULL, "Scripted: answer with this HTTP status."},
    {"providers.*.retry_after", OPT_INT, 0, 86400, NULL,
     "Scripted: seconds in the retry-after header that goes with status."},
    {"providers.*.garbage", OPT_INT, 0, INT64_MAX, NULL,
     "Scripted: junk follows after so many bytes of the stream."},
    {"providers.*.empty", OPT_BOOL, 0, 0, NULL, "Scripted: a reply without text."},
    {"providers.*.stop", OPT_STRING, 0, 0, NULL,
     "Scripted: the stop reason (max_tokens, refusal …)."},
    {"providers.*.fail_times", OPT_INT, 0, INT64_MAX, NULL,
     "Scripted: only the first so many calls misbehave."},
    {NULL, OPT_STRING, 0, 0, NULL, NULL},
};

// ---- replies and calls

void llm_reply_init(struct llm_reply *r)
{
    *r = (struct llm_reply){
        .blocks = VEC_INIT(struct llm_block, LLM_BLOCKS_MAX),
        .stop = STOP_LOST,
        .usage = {.cost_nusd = COST_UNKNOWN},
        .id = BUF_INIT(REPLY_ID_BYTES_MAX),
        .outcome = {.end = CALL_CUT, .retry_after_ms = -1, .should_retry = -1},
    };
}

void llm_reply_release(struct llm_reply *r)
{
    if (!r->blocks.item_bytes)
        return;  // zeroed: its call was never started
    for (size_t i = 0; i < r->blocks.len; i++) {
        struct llm_block *b = VEC_AT(&r->blocks, struct llm_block, i);
        buf_release(&b->text);
        buf_release(&b->id);
        buf_release(&b->name);
        buf_release(&b->json);
        buf_release(&b->signature);
    }
    vec_release(&r->blocks);
    buf_release(&r->id);
    llm_reply_init(r);
}

void llm_call_release(struct llm_call *call)
{
    BUG_ON(call->impl);  // still under way
    llm_reply_release(&call->reply);
}

int llm_start(struct llm *p, struct llm_call *call, struct err *err)
{
    BUG_ON(call->impl);
    llm_reply_init(&call->reply);
    call->http_status = 0;
    int rc = p->ops->start(p, call, err);
    return rc ? err_prefix(err, "%s: ", p->name), rc : E_OK;
}

void llm_cancel(struct llm *p, struct llm_call *call)
{
    if (call->impl)
        p->ops->cancel(p, call);
}

void llm_free(struct llm *p)
{
    if (p)
        p->ops->free(p);
}

bool llm_can_count(const struct llm *p)
{
    return p->ops->count && p->ops->count->can(p);
}

int llm_count_start(struct llm *p, struct llm_count *count, struct err *err)
{
    BUG_ON(count->impl);
    count->code = E_PROVIDER;
    count->tokens = 0;
    int rc = p->ops->count->start(p, count, err);
    return rc ? err_prefix(err, "%s: ", p->name), rc : E_OK;
}

void llm_count_cancel(struct llm *p, struct llm_count *count)
{
    if (count->impl)
        p->ops->count->cancel(p, count);
}

bool llm_is_own(const struct llm *p)
{
    return ((const struct provider *)(const void *)p)->own_url;
}

enum retry_dialect llm_retry_dialect(const struct llm *p)
{
    return p->ops->dialect == LLM_OPENAI ? RETRY_OPENAI : RETRY_ANTHROPIC;
}

static void option_name(char out[OPTION_NAME_BYTES], const char *provider, const char *option)
{
    snprintf(out, OPTION_NAME_BYTES, "providers.%s.%s", provider, option);
}

struct llm_caps llm_caps_of(const struct llm *p, const char *model)
{
    const struct provider *own = (const struct provider *)(const void *)p;
    struct llm_caps caps = llm_caps_find(own->env->caps, own->caps_api, model);

    if (own->window_tokens)
        caps.window_tokens = own->window_tokens;
    return caps;
}

bool llm_caps_configured(const struct conf *conf, const struct llm_caps_table *table,
                         const char *provider, const char *model, struct llm_caps *out)
{
    char name[OPTION_NAME_BYTES];
    option_name(name, provider, "api");
    const char *api = conf_str(conf, name);
    if (!api)
        return false;
    option_name(name, provider, "base_url");
    const char *url = conf_str(conf, name);
    if (strcmp(api, llm_openai.name) == 0 && url && llm_is_loopback(url))
        api = "local";
    *out = llm_caps_find(table, api, model);
    option_name(name, provider, "window");
    int64_t window = conf_int(conf, name, 0);
    if (window)
        out->window_tokens = (uint64_t)window;
    return true;
}

const char *llm_caps_api(const struct llm *p)
{
    return ((const struct provider *)(const void *)p)->caps_api;
}

// ---- providers

const char *provider_str(const struct provider *p, const char *option)
{
    char name[OPTION_NAME_BYTES];
    option_name(name, p->name, option);
    return conf_str(p->env->conf, name);
}

int64_t provider_int(const struct provider *p, const char *option, int64_t fallback)
{
    char name[OPTION_NAME_BYTES];
    option_name(name, p->name, option);
    return conf_int(p->env->conf, name, fallback);
}

bool provider_bool(const struct provider *p, const char *option, bool fallback)
{
    char name[OPTION_NAME_BYTES];
    option_name(name, p->name, option);
    return conf_bool(p->env->conf, name, fallback);
}

int provider_bad_option(const struct provider *p, const char *option, struct err *err,
                        const char *fmt, ...)
{
    char name[OPTION_NAME_BYTES];
    va_list ap;

    option_name(name, p->name, option);
    const char *origin = conf_origin(p->env->conf, name);
    va_start(ap, fmt);
    err_setv(err, E_POLICY, fmt, ap);
    va_end(ap);
    err_prefix(err, "%s%s%s: ", origin ? origin : "", origin ? ": " : "", name);
    return E_POLICY;
}

int provider_init(struct provider *p, const struct llm_ops *ops, const char *name,
                  const struct llm_env *env, struct err *err)
{
    *p = (struct provider){.base = {.ops = ops}, .env = env, .caps_api = ops->name};
    p->name = mem_strdup(name);
    if (!p->name)
        return err_set(err, E_NOMEM, "out of memory opening provider %s", name);
    p->base.name = p->name;
    p->window_tokens = (uint64_t)provider_int(p, "window", 0);
    return E_OK;
}

void provider_release(struct provider *p)
{
    BUG_ON(p->under_way);
    mem_free(p->name);
}

// ---- opening

struct near_name {
    struct hint hint;
    char best[NAME_BYTES];  // the hint's, kept beyond the callback that told it
};

static bool offer_name(void *user, const char *part)
{
    struct near_name *near = user;

    hint_offer(&near->hint, slice_str(part));
    if (near->hint.best.ptr == part) {
        snprintf(near->best, sizeof(near->best), "%s", part);
        near->hint.best = slice_str(near->best);
    }
    return true;
}

static const struct llm_ops *find_api(const char *api)
{
    for (size_t i = 0; api && i < APIS; i++) {
        if (strcmp(apis[i]->name, api) == 0)
            return apis[i];
    }
    return NULL;
}

static int unknown_provider(const char *name, const struct conf *conf, struct err *err)
{
    struct near_name near = {.hint = {.word = slice_str(name)}};

    for (size_t i = 0; i < APIS; i++)
        offer_name(&near, apis[i]->name);
    conf_parts(conf, "providers", offer_name, &near);
    if (near.hint.best.ptr)
        return err_set(err, E_POLICY, "no provider is called %s (did you mean %s?)", name,
                       near.best);
    return err_set(err, E_POLICY, "no provider is called %s: add providers.%s with its api", name,
                   name);
}

static int find_ops(const struct llm_ops **out, const char *name, const struct conf *conf,
                    struct err *err)
{
    char option[OPTION_NAME_BYTES];

    option_name(option, name, "api");
    const char *api = conf_str(conf, option);
    *out = find_api(api ? api : name);
    if (*out)
        return E_OK;
    if (!api)
        return unknown_provider(name, conf, err);
    const char *origin = conf_origin(conf, option);
    return err_set(err, E_POLICY, "%s%s%s: no api is called %s: anthropic, openai and scripted are",
                   origin ? origin : "", origin ? ": " : "", option, api);
}

const char *llm_default_model(const struct conf *conf, const char *provider)
{
    char option[OPTION_NAME_BYTES];

    option_name(option, provider, "model");
    const char *own = conf_str(conf, option), *of_own = conf_origin(conf, option);
    const char *named = conf_str(conf, "default.model");
    const char *by = conf_origin(conf, "default.provider");
    bool by_hand = by && (by[0] == '$' || by[0] == '-');
    bool is_default = strcmp(provider, conf_str(conf, "default.provider")) == 0 && !by_hand;

    return is_default && named && (!own || (of_own && strcmp(of_own, "default") == 0)) ? named
                                                                                       : own;
}

int llm_open(struct llm **out, const char *name, const struct llm_env *env, struct err *err)
{
    const struct llm_ops *ops;

    *out = NULL;
    int rc = find_ops(&ops, name, env->conf, err);
    return rc ? rc : ops->open(out, name, env, err);
}

struct trial {
    const struct llm_env *env;
    struct err *err;
    int code;
};

static bool try_one(void *user, const char *name)
{
    struct trial *t = user;
    struct llm *llm;

    t->code = llm_open(&llm, name, t->env, t->err);
    llm_free(llm);
    return t->code == E_OK;
}

int llm_check(const struct llm_env *env, struct err *err)
{
    struct trial t = {.env = env, .err = err};

    conf_parts(env->conf, "providers", try_one, &t);
    if (!t.code)
        try_one(&t, conf_str(env->conf, "default.provider"));
    return t.code;
}

int llm_embed_check(const struct conf *conf, struct err *err)
{
    const char *name = conf_str(conf, "embeddings.provider");
    const char *model = conf_str(conf, "embeddings.model");
    const struct llm_ops *ops = NULL;
    int rc = E_OK;

    if (!name && !model)
        return E_OK;
    const char *option = name ? "embeddings.provider" : "embeddings.model";
    const char *origin = conf_origin(conf, option);
    if (!name)
        rc = err_set(err, E_POLICY, "name its provider too, as embeddings.provider");
    else
        rc = find_ops(&ops, name, conf, err);
    if (!rc && !ops->embed)
        rc = err_set(err, E_POLICY,
                     "%s speaks the api %s, which has no embeddings: name a provider of api openai "
                     "(a local server's will do), or scripted",
                     name, ops->name);
    else if (!rc && !model && ops != &llm_scripted)
        rc = err_set(err, E_POLICY, "name its model too, as embeddings.model");
    if (rc)
        err_prefix(err, "%s%s%s: ", origin ? origin : "", origin ? ": " : "", option);
    return rc;
}
