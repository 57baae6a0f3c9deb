// SPDX-License-Identifier: MIT
// parley_offline.c: what needs no engine: checking configuration and policies, listing
// bots, migrating a store.
#include "parley_int.h"

#include "llm/embed.h"
#include "turn/budget.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

int finish_report(struct buf *text, int code, char **report, struct err *err, parley_error *error)
{
    if (!code)
        code = buf_check(text, "the report", err);
    *report = code ? NULL : buf_take(text, NULL);
    buf_release(text);
    return public_error(error, err);
}

struct check {
    struct lua_env env;
    const struct conf *conf;
    const struct prices *prices;
    const struct llm_caps_table *caps;
    struct json_writer *w;
    int failed;
};

// note: "" for none.
static void tell_with(struct check *c, const char *file, int code, const struct err *err,
                      const char *note)
{
    jw_object(c->w);
    jw_kv_str(c->w, "file", file);
    jw_kv_bool(c->w, "ok", code == E_OK);
    jw_kv_str(c->w, "error", code ? err->message : NULL);
    jw_key(c->w, "notes");
    jw_array(c->w);
    if (note[0])
        jw_str(c->w, note);
    jw_array_end(c->w);
    jw_object_end(c->w);
    c->failed += code != E_OK;
}

static void tell(struct check *c, const char *file, int code, const struct err *err)
{
    tell_with(c, file, code, err, "");
}

// ---- whether budgets can be held

enum { NOTE_BYTES = 512, CHECK_WINDOW_TOKENS = 100000 };

static bool in_dollars(const struct spend_limit *a, const struct spend_limit *b)
{
    return a[SPEND_USD].set || b[SPEND_USD].set;
}

// A budget in dollars says nothing of a model without a known price. model: "provider:model", or
// NULL for the configured default.
static void note_price(const struct check *c, const struct conf *conf, const char *model,
                       char note[NOTE_BYTES])
{
    const char *provider = conf_str(conf, "default.provider");
    char name[2 * MODEL_NAME_BYTES], key[MODEL_NAME_BYTES + 32];
    struct price price;
    note[0] = '\0';
    if (!model) {
        const char *theirs = llm_default_model(conf, provider);
        snprintf(name, sizeof(name), "%s:%s", provider, theirs ? theirs : "");
        model = name;
    }
    const char *colon = strchr(model, ':');
    snprintf(key, sizeof(key), "%.*s", colon ? (int)(colon - model) : 0, model);
    if (!colon || !colon[1] || prices_find(c->prices, key, colon + 1, &price))
        return;
    bool refused = conf_bool(conf, "budgets.refuse_unpriced", false);
    snprintf(note, NOTE_BYTES, "no price is known for %s: %s; a budget in tokens would hold it",
             model, refused ? "its calls are refused, as budgets.refuse_unpriced says"
                            : "budgets in dollars do not hold it");
}

static int check_budgets(const struct check *c, const struct conf *conf, char note[NOTE_BYTES],
                         struct err *err)
{
    struct budgets b;
    int code = budgets_read(&b, conf, err);
    note[0] = '\0';
    if (!code && (in_dollars(b.user, b.bot) || b.all[SPEND_USD].set))
        note_price(c, conf, NULL, note);
    return code;
}

// Whether there is the bot of messages that name none.
static int check_default_bot(const struct settings *settings, struct err *err)
{
    struct lua_env env = {.policies_dir = conf_str(settings->conf, "policies"),
                          .clock = clock_system()};
    const char *origin = conf_origin(settings->conf, "default.bot");
    int code = lua_find_bot(&env, conf_str(settings->conf, "default.bot"), err);
    if (code)
        err_prefix(err, "%s%sdefault.bot: ", origin ? origin : "", origin ? ": " : "");
    return code;
}

// Whether a key is there is no matter of the configuration.
static const char *any_key(void *user, const char *name)
{
    (void)user;
    return name;
}

static int make_brain(void *user, const char *script, struct llm_brain **out, struct err *err)
{
    return lua_brain_new(out, user, script, err);
}

static int check_providers(const struct check *c, const struct settings *settings, struct err *err)
{
    struct lua_env lua = {.clock = clock_system()};
    const struct llm_env env = {.clock = clock_system(),
                                .rand = rand_system(),
                                .conf = settings->conf,
                                .caps = c->caps,
                                .secret = any_key,
                                .brain = make_brain,
                                .user = &lua};
    return llm_check(&env, err);
}

// All that opening an engine would find, without a store.
static int check_settings(const struct check *c, const struct settings *settings,
                          char note[NOTE_BYTES], struct err *err)
{
    const char *origin = conf_origin(settings->conf, "store");
    int code = store_check_url(conf_str(settings->conf, "store"), err);
    note[0] = '\0';
    if (code && origin)
        err_prefix(err, "%s: ", origin);
    if (!code)
        code = settings_policies(settings, err);
    if (!code)
        code = check_providers(c, settings, err);
    if (!code)
        code = check_default_bot(settings, err);
    if (!code)
        code = llm_embed_check(settings->conf, err);
    return code ? code : check_budgets(c, settings->conf, note, err);
}

static void check_config(struct check *c, const char *path)
{
    parley_options options = PARLEY_OPTIONS_INIT;
    struct settings settings;
    struct err err = ERR_INIT;
    char note[NOTE_BYTES] = "";
    options.config = path;
    options.no_environment = 1;
    int code = settings_load(&settings, &options, &err);
    if (!code) {
        code = check_settings(c, &settings, note, &err);
        settings_release(&settings);
    }
    tell_with(c, path, code, &err, note);
}

// Its turns would be refused, with this configuration.
static bool note_provider(const struct check *c, const char *model, char note[NOTE_BYTES])
{
    char name[MODEL_NAME_BYTES], key[MODEL_NAME_BYTES + 32];
    const char *colon = model ? strchr(model, ':') : NULL;
    if (!colon)
        return false;
    snprintf(name, sizeof(name), "%.*s", (int)(colon - model), model);
    snprintf(key, sizeof(key), "providers.%s.api", name);
    if (conf_str(c->conf, key))
        return false;
    snprintf(note, NOTE_BYTES, "no provider is called %s in this configuration", name);
    return true;
}

// Who would make the summaries that it plans, where that depends on counts alone. What a hook has
// wrong is told when it is called for a turn.
static void note_summaries(const struct check *c, struct policy *policy, char note[NOTE_BYTES])
{
    static const struct chat chat = {.head = {.turns = 1}, .first = 2};
    const struct policy_view view = {.chat = &chat, .user = "local", .context = "", .turn = 1,
                                     .window_tokens = CHECK_WINDOW_TOKENS,
                                     .budget_tokens = CHECK_WINDOW_TOKENS};
    struct history_plan plan;
    struct err err = ERR_INIT;
    if (policy->info.needs_turns == 0 && policy->ops->history(policy, &view, &plan, &err) == E_OK)
        note_provider(c, plan.summary.model, note);
}

static void add_note(char note[NOTE_BYTES], const char *more)
{
    size_t len = strlen(note);
    snprintf(note + len, NOTE_BYTES - len, "%s%s", len ? "; " : "", more);
}

// What it learns of its users, and who does it.
static void note_memory(const struct check *c, const struct memory_rules *m, char note[NOTE_BYTES])
{
    char text[NOTE_BYTES], model[MODEL_NAME_BYTES + 32] = "";
    char rules[MEMORY_LANGUAGE_BYTES + 16] = "";
    if (!m->on || note_provider(c, m->use_model ? m->model : NULL, note))
        return;
    if (m->use_model)
        snprintf(model, sizeof(model), "%s%s%s", m->has_extract ? " and " : "",
                 m->model ? "the model " : "the bot's model", m->model ? m->model : "");
    if (m->has_extract && m->language[0])
        snprintf(rules, sizeof(rules), "rules (for %s)", m->language);
    else if (m->has_extract)
        snprintf(rules, sizeof(rules), "its own extract");
    if (!m->has_extract && !m->use_model)
        snprintf(text, sizeof(text), "of its users it remembers what its plans say");
    else
        snprintf(text, sizeof(text), "learns of its users by %s%s: %u predicate%s%s",
                 rules, model, m->predicates_len,
                 m->predicates_len == 1 ? "" : "s",
                 m->by_context ? ", each context for itself" : "");
    add_note(note, text);
}

static void check_file(struct check *c, const char *path)
{
    const char *slash = strrchr(path, '/');
    struct err err = ERR_INIT;
    if (strcmp(slash ? slash + 1 : path, "parley.lua") == 0) {
        check_config(c, path);
        return;
    }
    struct policy *policy = NULL;
    char note[NOTE_BYTES] = "";
    int code = lua_load_policy(&c->env, path, &policy, &err);
    if (!code && !note_provider(c, policy->info.model, note) &&
        in_dollars(policy->info.user_spend, policy->info.bot_spend))
        note_price(c, c->conf, policy->info.model, note);
    if (!code && !note[0])
        note_summaries(c, policy, note);
    if (!code && policy->info.privacy.off)
        add_note(note, "redaction is off: nothing is masked");
    if (!code)
        note_memory(c, &policy->info.memory, note);
    policy_unref(policy);
    tell_with(c, path, code, &err, note);
}

static bool is_policy(const char *name)
{
    size_t n = strlen(name);
    return n > 4 && strcmp(name + n - 4, ".lua") == 0 && name[0] != '.' &&
           !(n > 9 && strcmp(name + n - 9, "_test.lua") == 0);
}

static int policies_only(const struct dirent *entry)
{
    return is_policy(entry->d_name);
}

static void check_folder(struct check *c, const char *path)
{
    struct dirent **entries = NULL;
    struct err err = ERR_INIT;
    int n = scandir(path, &entries, policies_only, alphasort);
    if (n < 0) {
        tell(c, path, err_set(&err, E_POLICY, "%s: %s", path, strerror(errno)), &err);
        return;
    }
    if (n == 0)
        tell_with(c, path, E_OK, &err, "there is no policy in this folder");
    for (int i = 0; i < n; i++) {
        struct buf file = BUF_INIT(8192);
        buf_addf(&file, "%s/%s", path, entries[i]->d_name);
        if (!buf_ok(&file))
            tell(c, path, err_set(&err, E_POLICY, "%s/%s: the path is too long, or there is no "
                                  "memory for it: not checked", path, entries[i]->d_name), &err);
        else if (i == CHECK_FILES_MAX)
            tell(c, path, err_set(&err, E_POLICY, "%s: only the first %d of %d policies are "
                                  "checked: name the others", path, CHECK_FILES_MAX, n), &err);
        else if (i < CHECK_FILES_MAX)
            check_file(c, file.ptr);
        buf_release(&file);
        free(entries[i]);
    }
    free(entries);
}

static void check_path(struct check *c, const char *path)
{
    struct stat st;
    struct err err = ERR_INIT;
    if (stat(path, &st) != 0 && errno == ENOENT)
        tell(c, path, settings_missing(path, c->env.policies_dir, ".lua", E_POLICY, &err), &err);
    else if (stat(path, &st) != 0)
        tell(c, path, err_set(&err, E_POLICY, "%s: %s", path, strerror(errno)), &err);
    else if (S_ISDIR(st.st_mode))
        check_folder(c, path);
    else
        check_file(c, path);
}

// What is configured, and the folder of policies.
static void check_all(struct check *c, const struct settings *settings, const char *file)
{
    struct stat st;
    struct err err = ERR_INIT;
    char note[NOTE_BYTES] = "";
    int code = check_settings(c, settings, note, &err);
    bool folder = stat(c->env.policies_dir, &st) == 0;
    if (!file && !folder && !note[0])
        snprintf(note, sizeof(note), "there is no parley.lua here and no folder %s: the defaults "
                 "hold, and the bots that come with the program", c->env.policies_dir);
    if (file || code || note[0])
        tell_with(c, file ? file : "configuration", code, &err, note);
    if (folder)
        check_path(c, c->env.policies_dir);
}

int parley_check(const parley_options *options, const char *const *paths, char **report,
                 parley_error *error)
{
    struct settings settings;
    struct prices *prices = NULL;
    struct llm_caps_table *caps = NULL;
    struct err err = ERR_INIT;
    struct buf json = BUF_INIT(REPORT_BYTES_MAX);
    struct json_writer w;
    *report = NULL;
    int code = settings_load(&settings, options, &err);
    if (!code && (code = tables_load(&prices, &caps, &err)) != E_OK)
        settings_release(&settings);
    if (code) {
        prices_free(prices);
        public_error(error, &err);
        return code;
    }
    struct check c = {
        .env = {.policies_dir = conf_str(settings.conf, "policies"), .clock = clock_system()},
        .conf = settings.conf,
        .prices = prices,
        .caps = caps,
        .w = &w};
    jw_init(&w, &json);
    jw_object(&w);
    jw_key(&w, "files");
    jw_array(&w);
    if (!paths || !*paths)
        check_all(&c, &settings, settings_file(options));
    for (; paths && *paths; paths++)
        check_path(&c, *paths);
    jw_array_end(&w);
    jw_kv_bool(&w, "ok", c.failed == 0);
    jw_object_end(&w);
    settings_release(&settings);
    prices_free(prices);
    llm_caps_free(caps);
    code = buf_check(&json, "the report", &err);
    *report = code ? NULL : buf_take(&json, NULL);
    buf_release(&json);
    if (!code && c.failed)
        code = err_set(&err, E_POLICY, "%d of the files checked are wrong", c.failed);
    public_error(error, &err);
    return code;
}

int parley_migrate(const parley_options *options, int dry_run, char **report, parley_error *error)
{
    struct settings settings;
    struct err err = ERR_INIT;
    struct buf text = BUF_INIT(REPORT_BYTES_MAX);
    int code = settings_load(&settings, options, &err);
    if (!code) {
        code = store_migrate(conf_str(settings.conf, "store"), dry_run != 0, &text, &err);
        if (code > 0) { // what is sealed can be looked at when that is done
            buf_add_str(&text, "then records that an older parley sealed are sealed anew\n");
            code = E_OK;
        } else if (!code) {
            code = seals_migrate(&settings, dry_run != 0, &text, &err);
        }
        settings_release(&settings);
    }
    if (!code && !text.len)
        buf_add_str(&text, "nothing to do\n");
    return finish_report(&text, code, report, &err, error);
}

struct listing {
    struct json_writer w;
    struct policy_loader loader;
};

static void write_bot(void *user, const char *bot, const char *file)
{
    struct listing *list = user;
    struct policy *policy = NULL;
    int code = list->loader.load(list->loader.self, bot, &policy, NULL);
    jw_object(&list->w);
    jw_kv_str(&list->w, "bot", bot);
    jw_kv_str(&list->w, "file", file);
    jw_kv_str(&list->w, "redaction", code ? NULL : policy->info.privacy.off ? "off" : "on");
    jw_object_end(&list->w);
    policy_unref(policy);
}

int parley_bots(const parley_options *options, char **report, parley_error *error)
{
    struct settings settings;
    struct err err = ERR_INIT;
    struct buf json = BUF_INIT(REPORT_BYTES_MAX);
    struct listing list;
    int code = settings_load(&settings, options, &err);
    if (!code) {
        struct lua_env env = {.policies_dir = conf_str(settings.conf, "policies"),
                              .clock = clock_system()};
        struct lua_loader *loader = NULL;
        code = lua_loader_new(&loader, &env, &err);
        if (!code) {
            list.loader = lua_loader_ops(loader);
            jw_init(&list.w, &json);
            jw_array(&list.w);
            lua_bots(&env, write_bot, &list);
            jw_array_end(&list.w);
        }
        lua_loader_free(loader);
        settings_release(&settings);
    }
    return finish_report(&json, code, report, &err, error);
}

void parley_free(void *p)
{
    mem_free(p);
}
