// SPDX-License-Identifier: MIT
// parley_models.c: the providers that are configured and the models that are known, without an
// engine and without a byte on the network: providers are opened, which reads their settings and
// looks for their keys, and closed again.
#include "parley_int.h"

#include <stdlib.h>

enum { KNOWN_MAX = 8192, PROVIDERS_MAX = 1024, NAME_BYTES = 256 };

struct known {
    char api[MODEL_NAME_BYTES], model[MODEL_NAME_BYTES];
};

struct speaker {                // a provider that is ready
    char name[NAME_BYTES];
    const char *api;            // static, as llm_caps_api tells it
};

struct models {
    struct log log;
    struct settings settings;
    struct secrets secrets;
    struct prices *prices;
    struct llm_caps_table *caps;
    struct lua_env lua;
    struct llm_env llm;
    struct json_writer w;
    struct vec known;           // of struct known
    struct vec speakers;        // of struct speaker
    bool no_memory;
};

static const char *secret_of(void *user, const char *name)
{
    struct models *m = user;
    return secret_find(&m->secrets, name);
}

static int brain_of(void *user, const char *script, struct llm_brain **out, struct err *err)
{
    struct models *m = user;
    return lua_brain_new(out, &m->lua, script, err);
}

static void write_price(struct models *m, const char *provider, const char *model)
{
    struct price price = {0};
    bool known = model && prices_find(m->prices, provider, model, &price);
    const struct {
        const char *key;
        double usd;
    } members[] = {{"input_usd", price.input},
                   {"cached_usd", price.cached},
                   {"cache_write_usd", price.cache_write},
                   {"output_usd", price.output}};
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        jw_key(&m->w, members[i].key);
        if (known)
            jw_double(&m->w, members[i].usd);
        else
            jw_null(&m->w);
    }
}

static void write_caps(struct models *m, const struct llm_caps *caps)
{
    jw_kv_i64(&m->w, "window_tokens", (int64_t)caps->window_tokens);
    jw_kv_i64(&m->w, "output_tokens_max", (int64_t)caps->output_tokens_max);
}

// ---- providers

static const char *provider_setting(const struct models *m, const char *provider, const char *key)
{
    char name[NAME_BYTES * 2];
    snprintf(name, sizeof(name), "providers.%s.%s", provider, key);
    return conf_str(m->settings.conf, name);
}

static void remember_speaker(struct models *m, const char *name, const char *api)
{
    struct speaker *s = vec_push(&m->speakers);
    if (s)
        *s = (struct speaker){.api = api};
    if (s)
        snprintf(s->name, sizeof(s->name), "%s", name);
    m->no_memory = m->no_memory || !s;
}

static bool write_provider(void *user, const char *name)
{
    struct models *m = user;
    struct llm *llm = NULL;
    struct err err = ERR_INIT;
    bool is_default = strcmp(name, conf_str(m->settings.conf, "default.provider")) == 0;
    const char *api = provider_setting(m, name, "api");
    const char *model = llm_default_model(m->settings.conf, name);
    int code = llm_open(&llm, name, &m->llm, &err);

    m->no_memory = m->no_memory || code == E_NOMEM;
    jw_object(&m->w);
    jw_kv_str(&m->w, "provider", name);
    jw_kv_str(&m->w, "api", llm ? llm->ops->name : api);
    jw_kv_str(&m->w, "base_url", provider_setting(m, name, "base_url"));
    jw_kv_bool(&m->w, "default", is_default);
    jw_kv_bool(&m->w, "ready", code == E_OK);
    jw_kv_str(&m->w, "why", code ? err.message : NULL);
    jw_kv_str(&m->w, "model", model);
    if (llm && model) {
        struct llm_caps caps = llm_caps_of(llm, model);
        write_caps(m, &caps);
    } else {
        jw_key(&m->w, "window_tokens");
        jw_null(&m->w);
        jw_key(&m->w, "output_tokens_max");
        jw_null(&m->w);
    }
    write_price(m, name, model);
    jw_object_end(&m->w);
    if (llm)
        remember_speaker(m, name, llm_caps_api(llm));
    llm_free(llm);
    return true;
}

// ---- models

static void add_known(void *user, const char *api, const char *model)
{
    struct models *m = user;
    struct known *known = vec_push(&m->known);
    m->no_memory = m->no_memory || !known;
    if (!known)
        return;
    snprintf(known->api, sizeof(known->api), "%s", api);
    snprintf(known->model, sizeof(known->model), "%s", model);
}

static int by_api_and_model(const void *a, const void *b)
{
    const struct known *x = a, *y = b;
    int order = strcmp(x->api, y->api);
    return order ? order : strcmp(x->model, y->model);
}

static void write_known(struct models *m, const struct known *known)
{
    struct llm_caps caps = llm_caps_find(m->caps, known->api, known->model);
    jw_object(&m->w);
    jw_kv_str(&m->w, "api", known->api);
    jw_kv_str(&m->w, "model", known->model);
    write_caps(m, &caps);
    write_price(m, known->api, known->model);
    jw_key(&m->w, "providers");
    jw_array(&m->w);
    for (size_t i = 0; i < m->speakers.len; i++) {
        const struct speaker *s = VEC_AT(&m->speakers, struct speaker, i);
        if (strcmp(s->api, known->api) == 0)
            jw_str(&m->w, s->name);
    }
    jw_array_end(&m->w);
    jw_object_end(&m->w);
}

static void write_models(struct models *m)
{
    llm_caps_each(m->caps, add_known, m);
    prices_each(m->prices, add_known, m);
    if (m->known.len)
        qsort(m->known.ptr, m->known.len, sizeof(struct known), by_api_and_model);
    for (size_t i = 0; i < m->known.len; i++) {
        const struct known *known = VEC_AT(&m->known, struct known, i);
        if (i == 0 || by_api_and_model(VEC_AT(&m->known, struct known, i - 1), known) != 0)
            write_known(m, known);
    }
}

static int load(struct models *m, const parley_options *options, struct err *err)
{
    m->log = options_log(options);
    int code = secrets_init(&m->secrets, &m->log, err);
    if (!code)
        code = settings_load(&m->settings, options, err);
    if (!code)
        code = tables_load(&m->prices, &m->caps, err);
    m->lua = (struct lua_env){.clock = clock_system()};
    m->llm = (struct llm_env){.clock = clock_system(),
                              .rand = rand_system(),
                              .conf = m->settings.conf,
                              .caps = m->caps,
                              .secret = secret_of,
                              .brain = brain_of,
                              .user = m};
    return code;
}

int parley_models(const parley_options *options, char **report, parley_error *error)
{
    struct models m = {.known = VEC_INIT(struct known, KNOWN_MAX),
                       .speakers = VEC_INIT(struct speaker, PROVIDERS_MAX)};
    struct buf json = BUF_INIT(REPORT_BYTES_MAX);
    struct err err = ERR_INIT;
    int code = load(&m, options, &err);
    if (!code) {
        jw_init(&m.w, &json);
        jw_object(&m.w);
        jw_key(&m.w, "providers");
        jw_array(&m.w);
        conf_parts(m.settings.conf, "providers", write_provider, &m);
        jw_array_end(&m.w);
        jw_key(&m.w, "models");
        jw_array(&m.w);
        write_models(&m);
        jw_array_end(&m.w);
        jw_object_end(&m.w);
    }
    if (!code && m.no_memory)
        code = err_set(&err, E_NOMEM, "out of memory for the list of models");
    vec_release(&m.known);
    vec_release(&m.speakers);
    llm_caps_free(m.caps);
    prices_free(m.prices);
    settings_release(&m.settings);
    secrets_release(&m.secrets);
    return finish_report(&json, code, report, &err, error);
}
