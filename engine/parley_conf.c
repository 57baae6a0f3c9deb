// SPDX-License-Identifier: MIT
// parley_conf.c: where settings come from. Flag beats environment beats file beats default; each
// layer is set after the one that it beats. Secrets are no settings: they are looked up by name
// when a provider opens, and are in no file of ours.
#include "parley_int.h"

#include "redact/phone.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct option engine_options[] = {
    {"store", OPT_STRING, 0, 0, "sqlite:parley.db",
     "Where conversations are kept: sqlite:PATH or memory:."},
    {"policies", OPT_STRING, 0, 0, "policies", "Folder of policies; a bot's name is its file's."},
    {"keyring", OPT_STRING, 0, 0, NULL,
     "File with the keys; default: parley.keys beside the store."},
    {"operator_key", OPT_STRING, 0, 0, NULL,
     "Key that wraps the keyring's, kept apart: file:PATH, fd:N or credential:NAME."},
    {"listen", OPT_STRING, 0, 0, "127.0.0.1:8420", "Address of the server."},
    {"store_busy_ms", OPT_INT, 1, STORE_BUSY_MS_MAX, "2000",
     "How long a turn waits for another process that holds the store, before it is refused."},
    {"workers", OPT_INT, 0, WORKERS_MAX, "0", "Threads that run turns; 0: one per core."},
    {"sweep_every", OPT_SPAN, 0, INT64_MAX, "5m",
     "How often sessions are looked at whose time has come: archived, or deleted; 0s: never."},
    {"live_bytes", OPT_INT, 0, INT64_MAX, "268435456",
     "Memory for sessions that are kept ready; the others are read again when they are needed."},
    {"default.bot", OPT_STRING, 0, 0, "hello", "Bot of a message that names none."},
    {"default.provider", OPT_STRING, 0, 0, "scripted",
     "Provider when neither message nor policy names one."},
    {"default.model", OPT_STRING, 0, 0, NULL, "Model of the default provider."},
    {"budgets.user_usd_per_day", OPT_NUMBER, 0, 0, NULL,
     "What one user may spend in a UTC day, in US dollars; also usd_per_day and bot_usd_per_day."},
    {"budgets.bot_usd_per_day", OPT_NUMBER, 0, 0, NULL, "What any one bot may spend in a day."},
    {"budgets.usd_per_day", OPT_NUMBER, 0, 0, NULL, "What all together may spend in a day."},
    {"budgets.user_tokens_per_day", OPT_INT, 0, INT64_MAX, NULL,
     "The same in tokens of input and output, for models without a price."},
    {"budgets.bot_tokens_per_day", OPT_INT, 0, INT64_MAX, NULL, "Tokens of any one bot in a day."},
    {"budgets.tokens_per_day", OPT_INT, 0, INT64_MAX, NULL, "Tokens of all together in a day."},
    {"budgets.refuse_unpriced", OPT_BOOL, 0, 0, "false",
     "Refuse calls of models without a known price, where a budget in dollars holds them."},
    {"privacy.region", OPT_STRING, 0, 0, NULL,
     "Where telephone numbers without a country are dialled (\"US\"), unless a policy says."},
    {"providers.*.model", OPT_STRING, 0, 0, NULL, "Model of this provider when none is named."},
    {NULL, OPT_STRING, 0, 0, NULL, NULL},
};

enum { SECRET_BYTES_MAX = 16 << 10, SECRETS_MAX = 256 };

static size_t count(const struct option *options)
{
    size_t n = 0;
    while (options[n].name)
        n++;
    return n;
}

static void write_settings(struct json_writer *w, const struct option *options)
{
    static const char *const types[] = {
        [OPT_STRING] = "string", [OPT_INT] = "integer", [OPT_BOOL] = "boolean",
        [OPT_SPAN] = "span", [OPT_NUMBER] = "number",
    };
    for (; options->name; options++) {
        jw_object(w);
        jw_kv_str(w, "name", options->name);
        jw_kv_str(w, "type", types[options->type]);
        jw_kv_str(w, "default", options->fallback);
        jw_kv_str(w, "help", options->help);
        jw_object_end(w);
    }
}

int parley_settings(char **report, parley_error *error)
{
    struct buf json = BUF_INIT(REPORT_BYTES_MAX);
    struct err err = ERR_INIT;
    struct json_writer w;
    jw_init(&w, &json);
    jw_array(&w);
    write_settings(&w, engine_options);
    write_settings(&w, llm_options);
    jw_array_end(&w);
    return finish_report(&json, E_OK, report, &err, error);
}

static struct option *make_schema(void)
{
    size_t ours = count(engine_options), theirs = count(llm_options);
    struct option *all = mem_calloc(ours + theirs + 1, sizeof(*all));
    if (!all)
        return NULL;
    memcpy(all, engine_options, ours * sizeof(*all));
    memcpy(all + ours, llm_options, theirs * sizeof(*all));
    return all;
}

static const char *const providers[][2] = {
    {"providers.anthropic.api", "anthropic"},
    {"providers.anthropic.base_url", "https://api.anthropic.com"},
    {"providers.anthropic.key_env", "ANTHROPIC_API_KEY"},
    {"providers.openai.api", "openai"},
    {"providers.openai.base_url", "https://api.openai.com/v1"},
    {"providers.openai.key_env", "OPENAI_API_KEY"},
    {"providers.scripted.api", "scripted"},
    {"providers.scripted.model", "scripted"},
};

static const char *const environment[][2] = {
    {"PARLEY_STORE", "store"},
    {"PARLEY_POLICIES", "policies"},
    {"PARLEY_BOT", "default.bot"},
    {"PARLEY_PROVIDER", "default.provider"},
    {"PARLEY_MODEL", "default.model"},
    {"PARLEY_LISTEN", "listen"},
    {"ANTHROPIC_BASE_URL", "providers.anthropic.base_url"},
    {"OPENAI_BASE_URL", "providers.openai.base_url"},
};

#define ENTRIES(table) (sizeof(table) / sizeof((table)[0]))

static const char *env(const parley_options *options, const char *name)
{
    const char *value = options->no_environment ? NULL : getenv(name);
    return value && value[0] ? value : NULL;
}

static void log_to_options(void *user, enum log_level level, const char *line)
{
    const parley_options *options = user;
    if (options->log)
        options->log(options->user, (parley_log_level)level, line);
}

struct log options_log(const parley_options *options)
{
    // Only ever read back as const.
    return (struct log){
        .sink = log_to_options, .user = (void *)(uintptr_t)options, .min_level = LOG_WARN};
}

const char *settings_file(const parley_options *options)
{
    static const char *const places[] = {"parley.lua", "/etc/parley/parley.lua"};
    if (options->config)
        return options->config[0] ? options->config : NULL;
    const char *named = env(options, "PARLEY_CONFIG");
    if (named)
        return named;
    for (size_t i = 0; i < ENTRIES(places) && !options->no_environment; i++) {
        if (access(places[i], F_OK) == 0)
            return places[i];
    }
    return NULL;
}

static int set(struct conf *conf, const char *name, const char *value, const char *origin,
               struct err *err)
{
    return value ? conf_set(conf, slice_str(name), slice_str(value), origin, err) : E_OK;
}

static int set_defaults(struct conf *conf, struct err *err)
{
    for (size_t i = 0; i < ENTRIES(providers); i++) {
        if (set(conf, providers[i][0], providers[i][1], "default", err))
            return err->code;
    }
    return E_OK;
}

static int set_environment(struct conf *conf, const parley_options *options, struct err *err)
{
    for (size_t i = 0; i < ENTRIES(environment); i++) {
        char origin[64];
        snprintf(origin, sizeof(origin), "$%s", environment[i][0]);
        if (set(conf, environment[i][1], env(options, environment[i][0]), origin, err))
            return err->code;
    }
    return E_OK;
}

static int set_members(struct conf *conf, const parley_options *o, struct err *err)
{
    const struct {
        const char *name, *value, *origin;
    } members[] = {
        {"store", o->store, "--store"},
        {"policies", o->policies, "--policies"},
        {"keyring", o->keyring, "--keyring"},
        {"default.bot", o->bot, "--bot"},
        {"default.provider", o->provider, "--provider"},
        {"default.model", o->model, "--model"},
    };
    for (size_t i = 0; i < ENTRIES(members); i++) {
        if (set(conf, members[i].name, members[i].value, members[i].origin, err))
            return err->code;
    }
    if (o->workers) {
        char text[16];
        snprintf(text, sizeof(text), "%d", o->workers);
        return set(conf, "workers", text, "options.workers", err);
    }
    return E_OK;
}

static int set_settings(struct conf *conf, const char *const *settings, struct err *err)
{
    for (; settings && *settings; settings++) {
        const char *eq = strchr(*settings, '=');
        if (!eq || eq == *settings)
            return err_set(err, E_USAGE, "--set %s: write it as name=value", *settings);
        if (conf_set(conf, slice_of(*settings, (size_t)(eq - *settings)), slice_str(eq + 1),
                     "--set", err))
            return err->code;
    }
    return E_OK;
}

static int check_region(const struct conf *conf, struct err *err)
{
    const char *region = conf_str(conf, "privacy.region");
    const char *origin = conf_origin(conf, "privacy.region");

    if (!region || phone_region_known(slice_str(region)))
        return E_OK;
    return err_set(err, E_POLICY, "%s%sprivacy.region: '%s' is no region: two letters, such as US",
                   origin ? origin : "", origin ? ": " : "", region);
}

int settings_load(struct settings *out, const parley_options *options, struct err *err)
{
    const char *file = settings_file(options);
    memset(out, 0, sizeof(*out));
    out->schema = make_schema();
    if (!out->schema)
        return err_set(err, E_NOMEM, "out of memory for the configuration");
    int code = conf_new(&out->conf, out->schema, err);
    if (!code)
        code = set_defaults(out->conf, err);
    if (!code && file)
        code = lua_conf_load(out->conf, file, clock_system(), err);
    if (code == E_POLICY && access(file, F_OK) < 0)
        err_prefix(err, "%s: ", options->config ? "--config" : "$PARLEY_CONFIG");
    if (!code)
        code = set_environment(out->conf, options, err);
    if (!code)
        code = set_members(out->conf, options, err);
    if (!code)
        code = set_settings(out->conf, options->settings, err);
    if (!code)
        code = check_region(out->conf, err);
    if (code)
        settings_release(out);
    return code;
}

void settings_release(struct settings *s)
{
    conf_free(s->conf);
    mem_free(s->schema);
    memset(s, 0, sizeof(*s));
}

int settings_policies(const struct settings *s, struct err *err)
{
    const char *folder = conf_str(s->conf, "policies"), *origin = conf_origin(s->conf, "policies");
    struct stat st;
    if (!origin || (stat(folder, &st) == 0 && S_ISDIR(st.st_mode)))
        return E_OK;
    return err_set(err, E_POLICY, "%s: there is no folder %s: name the one with your policies",
                   origin, folder);
}

int settings_missing(const char *path, const char *folder, const char *ending, int code,
                     struct err *err)
{
    struct buf meant = BUF_INIT(8192);
    struct stat st;
    buf_addf(&meant, "%s/%s%s", folder, path, ending);
    bool found = !strchr(path, '/') && buf_ok(&meant) && stat(meant.ptr, &st) == 0;
    err_set(err, code, "%s: No such file or directory%s%s%s", path, found ? "; did you mean " : "",
            found ? meant.ptr : "", found ? "?" : "");
    buf_release(&meant);
    return code;
}

// A fault-injecting store is about the store that it wraps: "faulty:options;sqlite:PATH".
static const char *inner_store(const char *url)
{
    const char *inner = strrchr(url, ';');
    return inner ? inner + 1 : url;
}

void settings_keyring(const struct settings *s, struct buf *out)
{
    const char *path = conf_str(s->conf, "keyring");
    const char *store = inner_store(conf_str(s->conf, "store"));
    if (path) {
        buf_add_str(out, path);
        return;
    }
    if (strncmp(store, "memory:", 7) == 0)
        return;
    const char *file = strchr(store, ':');
    const char *slash = file ? strrchr(file, '/') : NULL;
    if (slash)
        buf_add(out, file + 1, (size_t)(slash - file));
    buf_add_str(out, "parley.keys");
}

void settings_operator(const struct settings *s, struct vault_options *out)
{
    out->operator_key = conf_str(s->conf, "operator_key");
    out->credentials = getenv("CREDENTIALS_DIRECTORY");
}

// ---- secrets

int secrets_init(struct secrets *s, const struct log *log, struct err *err)
{
    pthread_mutex_init(&s->lock, NULL);
    s->log = log;
    if (map_new(&s->values, SECRETS_MAX))
        return err_set(err, E_NOMEM, "out of memory for secrets");
    return E_OK;
}

void secrets_release(struct secrets *s)
{
    size_t cursor = 0;
    void *value;
    while (s->values && map_next(s->values, &cursor, NULL, &value)) {
        explicit_bzero(value, strlen(value));
        mem_free(value);
    }
    map_free(s->values);
    pthread_mutex_destroy(&s->lock);
}

// What the file holds, without the newline at its end. NULL where it cannot be taken, which is told
// to the log.
static char *read_secret(const struct secrets *s, const char *path, bool may_be_absent)
{
    char text[SECRET_BYTES_MAX + 1];
    char *copy = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));
    int reason = n < 0 ? errno : n > SECRET_BYTES_MAX ? EFBIG : ENOMEM;
    if (fd >= 0)
        close(fd);
    if (n >= 0 && n <= SECRET_BYTES_MAX) {
        while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
            n--;
        text[n] = '\0';
        copy = mem_strdup(text);
    }
    explicit_bzero(text, sizeof(text));
    if (!copy && !(may_be_absent && reason == ENOENT))
        log_line(s->log, LOG_WARN, "the key in %s cannot be read: %s", path, strerror(reason));
    return copy;
}

static char *look_up(const struct secrets *s, const char *name)
{
    char other[512];
    const char *value = getenv(name);
    if (value && value[0])
        return mem_strdup(value);
    snprintf(other, sizeof(other), "%s_FILE", name);
    if ((value = getenv(other)) != NULL && value[0])
        return read_secret(s, value, false);
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    if (!folder || strchr(name, '/'))
        return NULL;
    snprintf(other, sizeof(other), "%s/%s", folder, name);
    return read_secret(s, other, true);
}

const char *secret_find(struct secrets *s, const char *name)
{
    pthread_mutex_lock(&s->lock);
    char *value = map_get(s->values, slice_str(name));
    if (!value) {
        value = look_up(s, name);
        if (value && map_set(s->values, slice_str(name), value, NULL)) {
            mem_free(value);
            value = NULL;
        }
    }
    pthread_mutex_unlock(&s->lock);
    return value;
}
