// SPDX-License-Identifier: MIT
// parley_discover.c: model servers on this machine: who answers with a list of models, and where.
//
//   each address ─▶ models? ─┬─ a list ─▶ LISTED
//                            ├─ 401, 403 ─▶ LOCKED
//                            ├─ 404 ─▶ tags? (an Ollama too old for the other) ─┬─ a list ─▶ LISTED
//                            │                                                  └─ else ─▶ OTHER
//                            ├─ no connection ─▶ SILENT
//                            └─ anything else ─▶ OTHER
//
// Invariants
// 1. Every address is http(s) to 127.0.0.0/8, ::1 or localhost, and the wire follows no redirect.
// 2. A request has no key and no body; what an answer may cost is limited in time and bytes.
// 3. What an answer says is text of a stranger: only what could be a model's name is kept.
// All requests are under way at once, on a loop of this call's own.
#include "parley_int.h"

#include <stdlib.h>

enum {
    PORTS_MAX = 64,
    PROBES_MAX = 256,
    URL_BYTES = 512,
    NAME_BYTES = 256,
    WHY_BYTES = 64,
    ANSWER_BYTES_MAX = 1 << 20,
    ANSWER_DEPTH_MAX = 16,
    SERVER_MODELS_MAX = 500,
};

// Somebody on this machine needs no longer; two rounds of it are within what parley.h promises.
static const struct wire_deadlines deadlines = {
    .connect_ms = 500, .first_byte_ms = 1500, .idle_ms = 1000, .total_ms = 2000};

// Where local model servers listen unless told otherwise, as their own documentation says.
static const struct usual {
    uint16_t port;
    const char *name;    // for the configuration
    const char *server;  // for people
} usual_ports[] = {
    {11434, "ollama", "Ollama"},  // docs.ollama.com/faq: OLLAMA_HOST
    {8080, "llama_cpp", "llama.cpp, llamafile or LocalAI"},  // llama.cpp tools/server; localai.io
    {1234, "lm_studio", "LM Studio"},                        // lmstudio.ai/docs/api/openai-api
    {8000, "vllm", "vLLM"},                                  // docs.vllm.ai: vllm serve --port
    {30000, "sglang", "SGLang"},                             // docs.sglang.ai: server arguments
    {5000, "textgen", "text-generation-webui"},              // its wiki, 12 ‐ OpenAI API
    {5001, "koboldcpp", "KoboldCpp"},                        // its wiki: --port
    {1337, "jan", "Jan"},                                    // jan.ai/docs/local-api
    {4891, "gpt4all", "GPT4All"},                            // its wiki, Local API Server
};

#define ENTRIES(table) (sizeof(table) / sizeof((table)[0]))

enum outcome { SILENT, LISTED, LOCKED, OTHER };

struct probe {
    struct wire_request request;
    struct discover *d;
    char base_url[URL_BYTES];
    char url[URL_BYTES];          // what is asked
    char tags_url[URL_BYTES];     // what is asked if there is no such thing; "": nothing
    char provider[NAME_BYTES];    // in the configuration; "": not there
    unsigned port;
    bool ipv6;
    int status;                   // of the answer, 0 before one came
    struct buf answer;
    enum outcome outcome;
    char why[WHY_BYTES];          // of OTHER
    struct json_doc doc;          // of LISTED, over answer
};

struct discover {
    struct settings settings;
    struct loop *loop;
    struct wire *wire;
    struct vec probes;            // of struct probe *, owned
    size_t under_way;
    bool no_memory;
};

// ---- what an answer says

// The array of models in an OpenAI list or in Ollama's tags, and under which key each has its name.
static struct json listed(const struct json_doc *doc, const char **key)
{
    struct json data = json_get(json_root(doc), "data");
    *key = "id";
    if (json_type(data) == JSON_ARRAY)
        return data;
    *key = "name";
    return json_get(json_root(doc), "models");
}

static void other(struct probe *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void other(struct probe *p, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(p->why, sizeof(p->why), fmt, ap);
    va_end(ap);
    p->outcome = OTHER;
}

static void read_list(struct probe *p)
{
    const char *key;
    int code = json_parse(&p->doc, buf_slice(&p->answer), ANSWER_DEPTH_MAX, NULL);
    p->d->no_memory = p->d->no_memory || code == E_NOMEM;
    if (!code && json_type(listed(&p->doc, &key)) == JSON_ARRAY)
        p->outcome = LISTED;
    else
        other(p, "there is no list of models in its answer");
}

static void read_answer(struct probe *p, enum wire_end end)
{
    if (end == WIRE_NO_CONNECT || end == WIRE_CONNECT_LATE)
        p->outcome = SILENT;
    else if (end == WIRE_TOO_BIG)
        other(p, "its answer is longer than %d bytes", ANSWER_BYTES_MAX);
    else if (end == WIRE_FIRST_LATE || end == WIRE_IDLE_LATE || end == WIRE_TOTAL_LATE)
        other(p, "it does not answer in time");
    else if (end != WIRE_OK)
        other(p, "its answer broke off");
    else if (p->status == 401 || p->status == 403)
        p->outcome = LOCKED;
    else if (p->status != 200)
        other(p, "it answers with HTTP %d", p->status);
    else
        read_list(p);
}

// ---- asking

static void ask(struct probe *p);

static void on_status(struct wire_request *r, int status)
{
    struct probe *p = r->user;
    p->status = status;
}

static bool on_data(struct wire_request *r, struct slice bytes)
{
    struct probe *p = r->user;
    buf_add_slice(&p->answer, bytes);
    p->d->no_memory = p->d->no_memory || p->answer.no_memory;
    return buf_ok(&p->answer);
}

static void on_done(struct wire_request *r, enum wire_end end, const struct err *err)
{
    struct probe *p = r->user;
    struct discover *d = p->d;
    d->under_way--;
    d->no_memory = d->no_memory || err->code == E_NOMEM;
    if (end == WIRE_OK && p->status == 404 && p->tags_url[0]) {
        memcpy(p->url, p->tags_url, sizeof(p->url));
        p->tags_url[0] = '\0';
        ask(p);
    } else {
        read_answer(p, end);
    }
    if (d->under_way == 0)
        loop_stop(d->loop);
}

static void ask(struct probe *p)
{
    buf_clear(&p->answer);
    p->status = 0;
    p->request = (struct wire_request){
        .method = "GET",
        .url = p->url,
        .headers = {SLICE_LIT("Accept: application/json"),
                    SLICE_LIT("User-Agent: parley/" PARLEY_VERSION)},
        .headers_len = 2,
        .deadlines = deadlines,
        .max_bytes = ANSWER_BYTES_MAX,
        .on_status = on_status,
        .on_data = on_data,
        .on_done = on_done,
        .user = p,
    };
    struct err err = ERR_INIT;
    if (wire_start(p->d->wire, &p->request, &err) == E_OK)
        p->d->under_way++;
    p->d->no_memory = p->d->no_memory || err.code == E_NOMEM;
}

// ---- whom to ask

static struct probe *add_probe(struct discover *d)
{
    struct probe **slot = vec_push(&d->probes);
    if (slot)
        *slot = mem_zalloc(sizeof(**slot));
    if (!slot || !*slot) {
        d->no_memory = true;
        if (slot)
            vec_remove(&d->probes, d->probes.len - 1);
        return NULL;
    }
    (*slot)->d = d;
    buf_init(&(*slot)->answer, ANSWER_BYTES_MAX);
    return *slot;
}

static struct probe *probe_at(const struct discover *d, size_t i)
{
    return *VEC_AT(&d->probes, struct probe *, i);
}

// The port of an address that was found to be sound.
static unsigned port_of(const char *url)
{
    bool plain = strncmp(url, "http://", 7) == 0;
    const char *host = url + (plain ? 7 : 8);
    const char *colon = memchr(host, ':', strcspn(host, "/?#"));
    if (*host == '[') {
        colon = strchr(host, ']');
        colon = colon && colon[1] == ':' ? colon + 1 : NULL;
    }
    return colon ? (unsigned)strtoul(colon + 1, NULL, 10) : plain ? 80 : 443;
}

static bool add_configured(void *user, const char *provider)
{
    struct discover *d = user;
    char name[NAME_BYTES * 2];
    snprintf(name, sizeof(name), "providers.%s.base_url", provider);
    const char *base = conf_str(d->settings.conf, name);
    snprintf(name, sizeof(name), "providers.%s.api", provider);
    const char *api = conf_str(d->settings.conf, name);
    bool anthropic = strcmp(api ? api : provider, "anthropic") == 0;
    size_t len = base ? strlen(base) : 0;
    if (!base || !llm_is_loopback(base) || len >= URL_BYTES / 2)
        return true;
    struct probe *p = add_probe(d);
    if (!p)
        return false;
    snprintf(p->base_url, sizeof(p->base_url), "%s", base);
    snprintf(p->provider, sizeof(p->provider), "%s", provider);
    p->port = port_of(base);
    while (len && base[len - 1] == '/')
        len--;
    bool versioned = len > 3 && memcmp(base + len - 3, "/v1", 3) == 0;
    snprintf(p->url, sizeof(p->url), "%.*s%s", (int)len, base,
             anthropic && !versioned ? "/v1/models" : "/models");
    return true;
}

// What is configured is asked as the configuration says, and nobody twice.
static bool is_asked(const struct discover *d, unsigned port)
{
    for (size_t i = 0; i < d->probes.len; i++) {
        if (probe_at(d, i)->port == port)
            return true;
    }
    return false;
}

static void add_port(struct discover *d, unsigned port)
{
    static const char *const hosts[] = {"127.0.0.1", "[::1]"};
    if (is_asked(d, port))
        return;
    for (size_t i = 0; i < ENTRIES(hosts); i++) {
        struct probe *p = add_probe(d);
        if (!p)
            return;
        p->port = port;
        p->ipv6 = i == 1;
        snprintf(p->base_url, sizeof(p->base_url), "http://%s:%u/v1", hosts[i], port);
        snprintf(p->url, sizeof(p->url), "http://%s:%u/v1/models", hosts[i], port);
        snprintf(p->tags_url, sizeof(p->tags_url), "http://%s:%u/api/tags", hosts[i], port);
    }
}

static int add_all(struct discover *d, const uint16_t *ports, size_t len, struct err *err)
{
    conf_parts(d->settings.conf, "providers", add_configured, d);
    for (size_t i = 0; ports && i < len; i++) {
        if (ports[i] == 0)
            return err_set(err, E_USAGE, "port 0: ports are 1 to 65535");
        add_port(d, ports[i]);
    }
    for (size_t i = 0; !ports && i < ENTRIES(usual_ports); i++)
        add_port(d, usual_ports[i].port);
    return E_OK;
}

static int ask_all(struct discover *d, struct err *err)
{
    int code = loop_new(&d->loop, clock_system(), err);
    if (!code)
        code = wire_new_curl(&d->wire, d->loop, err);
    if (code)
        return code;
    for (size_t i = 0; i < d->probes.len; i++)
        ask(probe_at(d, i));
    if (d->under_way)
        loop_run(d->loop);
    return E_OK;
}

// ---- what is told

static const struct usual *usual_of(unsigned port)
{
    for (size_t i = 0; i < ENTRIES(usual_ports); i++) {
        if (usual_ports[i].port == port)
            return &usual_ports[i];
    }
    return NULL;
}

struct search {
    const char *name;
    bool found;
};

static bool same_name(void *user, const char *part)
{
    struct search *s = user;
    s->found = strcmp(part, s->name) == 0;
    return !s->found;
}

// A name for it that the configuration does not have yet.
static void propose_name(const struct discover *d, const struct probe *p, char out[NAME_BYTES])
{
    const struct usual *usual = usual_of(p->port);
    struct search search = {.name = out, .found = true};
    for (unsigned n = usual ? 0 : 1; search.found && n < PROBES_MAX; n++) {
        if (n == 0)
            snprintf(out, NAME_BYTES, "%s", usual->name);
        else if (n == 1)
            snprintf(out, NAME_BYTES, "%s_%u", usual ? usual->name : "local", p->port);
        else
            snprintf(out, NAME_BYTES, "%s_%u_%u", usual ? usual->name : "local", p->port, n);
        search.found = false;
        conf_parts(d->settings.conf, "providers", same_name, &search);
    }
}

// ::1 of somebody who answers at 127.0.0.1 too: that probe stands right before.
static bool is_repeated(const struct discover *d, size_t i)
{
    const struct probe *p = probe_at(d, i);
    enum outcome before = p->ipv6 ? probe_at(d, i - 1)->outcome : SILENT;
    return before == LISTED || before == LOCKED || (before == OTHER && p->outcome == OTHER);
}

static void write_models(struct json_writer *w, const struct probe *p)
{
    struct buf name = BUF_INIT(MODEL_NAME_BYTES - 1);
    struct json_iter it = {0};
    struct json none, item;
    const char *key;
    jw_key(w, "models");
    jw_array(w);
    struct json list = p->outcome == LISTED ? listed(&p->doc, &key) : (struct json){0};
    for (size_t n = 0; n < SERVER_MODELS_MAX && json_next(list, &it, &none, &item);) {
        buf_clear(&name);
        if (!json_string(json_get(item, key), &name) || !buf_ok(&name) || !name.len ||
            memchr(name.ptr, '\0', name.len))
            continue;
        jw_slice(w, buf_slice(&name));
        n++;
    }
    jw_array_end(w);
    buf_release(&name);
}

static void write_server(struct json_writer *w, const struct discover *d, const struct probe *p)
{
    const struct usual *usual = usual_of(p->port);
    char name[NAME_BYTES];
    if (p->provider[0])
        snprintf(name, sizeof(name), "%s", p->provider);
    else
        propose_name(d, p, name);
    jw_object(w);
    jw_kv_str(w, "server", usual ? usual->server : NULL);
    jw_kv_str(w, "base_url", p->base_url);
    jw_kv_str(w, "provider", name);
    jw_kv_bool(w, "configured", p->provider[0] != '\0');
    jw_kv_bool(w, "needs_key", p->outcome == LOCKED);
    write_models(w, p);
    jw_object_end(w);
}

static void write_report(const struct discover *d, struct buf *json)
{
    struct json_writer w;
    jw_init(&w, json);
    jw_object(&w);
    jw_kv_i64(&w, "asked", (int64_t)d->probes.len);
    jw_key(&w, "servers");
    jw_array(&w);
    for (size_t i = 0; i < d->probes.len; i++) {
        const struct probe *p = probe_at(d, i);
        if ((p->outcome == LISTED || p->outcome == LOCKED) && !is_repeated(d, i))
            write_server(&w, d, p);
    }
    jw_array_end(&w);
    jw_key(&w, "others");
    jw_array(&w);
    for (size_t i = 0; i < d->probes.len; i++) {
        const struct probe *p = probe_at(d, i);
        if (p->outcome != OTHER || is_repeated(d, i))
            continue;
        jw_object(&w);
        jw_kv_str(&w, "url", p->base_url);
        jw_kv_str(&w, "why", p->why);
        jw_object_end(&w);
    }
    jw_array_end(&w);
    jw_object_end(&w);
}

static void release(struct discover *d)
{
    wire_free(d->wire);
    loop_free(d->loop);
    for (size_t i = 0; i < d->probes.len; i++) {
        struct probe *p = probe_at(d, i);
        buf_release(&p->answer);
        json_doc_release(&p->doc);
        mem_free(p);
    }
    vec_release(&d->probes);
    settings_release(&d->settings);
}

int parley_discover(const parley_options *options, const uint16_t *ports, size_t ports_len,
                    char **report, parley_error *error)
{
    struct discover d = {.probes = VEC_INIT(struct probe *, PROBES_MAX)};
    struct buf json = BUF_INIT(REPORT_BYTES_MAX);
    struct err err = ERR_INIT;
    int code = ports_len > PORTS_MAX ? err_set(&err, E_USAGE, "more than %d ports", PORTS_MAX)
                                     : settings_load(&d.settings, options, &err);
    if (!code)
        code = add_all(&d, ports, ports_len, &err);
    if (!code)
        code = ask_all(&d, &err);
    if (!code && d.no_memory)
        code = err_set(&err, E_NOMEM, "out of memory for looking around");
    if (!code)
        write_report(&d, &json);
    release(&d);
    return finish_report(&json, code, report, &err, error);
}
