// SPDX-License-Identifier: MIT
// provider.c: which provider and model a turn goes to, and the open providers of a worker.
//
// Who decides, first wins: the message; --provider, --model and their environment variables; the
// policy's `model`; the configured default. There is no fallback from a failed provider to another.
#include "turn/gauge.h"
#include "turn/provider.h"

// Set by a person for this run of the program, not by a file.
static bool explicit_setting(const struct conf *conf, const char *name)
{
    const char *origin = conf_origin(conf, name);
    return origin && (origin[0] == '$' || origin[0] == '-');
}

static void copy_name(char out[MODEL_NAME_BYTES], struct slice s)
{
    size_t n = s.len < MODEL_NAME_BYTES - 1 ? s.len : MODEL_NAME_BYTES - 1;
    memcpy(out, s.ptr, n);
    out[n] = '\0';
}

// Splits a policy's "provider:model".
static void from_policy(const char *model, char provider[MODEL_NAME_BYTES],
                        char name[MODEL_NAME_BYTES])
{
    const char *colon = strchr(model, ':');
    if (!colon) {
        copy_name(name, slice_str(model));
        return;
    }
    copy_name(provider, slice_of(model, (size_t)(colon - model)));
    copy_name(name, slice_str(colon + 1));
}

// Provider and model as the head of this file says; the model may stay empty.
static void choose_names(struct run *run)
{
    const struct conf *conf = run->w->env.conf;
    const char *fallback = conf_str(conf, "default.provider");
    char *provider = run->provider, *model = run->model;
    provider[0] = model[0] = '\0';
    if (run->policy->info.model)
        from_policy(run->policy->info.model, provider, model);
    if (!provider[0])
        copy_name(provider, slice_str(fallback));
    if (explicit_setting(conf, "default.provider") && strcmp(provider, fallback) != 0) {
        copy_name(provider, slice_str(fallback));
        model[0] = '\0';
    }
    if (explicit_setting(conf, "default.model"))
        copy_name(model, slice_str(conf_str(conf, "default.model")));
    if (run->job->provider[0] && strcmp(run->job->provider, provider) != 0) {
        copy_name(provider, slice_str(run->job->provider));
        model[0] = '\0';
    }
    if (run->job->model[0])
        copy_name(model, slice_str(run->job->model));
}

// Nobody named a model: the provider's own, or the configured default if it is the default's
// provider.
static int default_model(struct run *run, struct err *err)
{
    const char *model = llm_default_model(run->w->env.conf, run->provider);
    if (!model)
        return err_set(err, E_POLICY,
                       "provider %s: no model is named: pass --model NAME, or set default.model or "
                       "providers.%s.model in parley.lua",
                       run->provider, run->provider);
    copy_name(run->model, slice_str(model));
    return E_OK;
}

int provider_open(struct worker *w, const char *name, struct llm **out, struct err *err)
{
    *out = map_get(w->providers, slice_str(name));
    if (*out)
        return E_OK;
    int code = llm_open(out, name, &w->llm_env, err);
    if (code)
        return code;
    code = map_set(w->providers, slice_str(name), *out, NULL);
    if (code) {
        llm_free(*out);
        *out = NULL;
        return err_set(err, code,
                       code == E_NOMEM ? "out of memory for a provider"
                                       : "too many providers are open");
    }
    return E_OK;
}

bool provider_used(const struct worker *w, const struct provider_use *call, struct usage *out)
{
    const struct llm_reply *reply = call->reply;
    bool sent = reply->complete || (reply->outcome.end != CALL_NO_CONNECT &&
                                    reply->outcome.end != CALL_STATUS);
    *out = reply->usage;
    if (!reply->usage_known) {
        *out = (struct usage){.estimated = true};
        if (sent)
            out->input_tokens = (int64_t)call->asked_tokens;
        for (size_t i = 0; sent && i < reply->blocks.len; i++)
            out->output_tokens += tokens_count(
                call->encoding, buf_slice(&VEC_AT(&reply->blocks, struct llm_block, i)->text));
    }
    prices_apply(w->env.prices, call->provider, call->model, out);
    return reply->usage_known || reply->complete || !sent;
}

int provider_choose(struct run *run, struct err *err)
{
    choose_names(run);
    int code = provider_open(run->w, run->provider, &run->llm, err);
    if (!code && !run->model[0])
        code = default_model(run, err);
    if (!code)
        run->caps = llm_caps_of(run->llm, run->model);
    if (!code)
        gauge_attach(run);
    return code;
}
