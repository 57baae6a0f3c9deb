// SPDX-License-Identifier: MIT
// models.c: `parley models`: what is configured and known; with --discover, which model servers run
// on this machine and what to add for them.
//
// What a server calls its models is a stranger's text. Here it is only ever printed as a Lua string
// in which nothing but plain characters stand as they are, so that it can neither move the cursor
// nor end the string, nor the comment, that it stands in. The whole of what --discover prints is
// Lua: comments, and members for the table that parley.lua returns.
#include "base/utf8.h"
#include "cli/listing.h"

#include <ctype.h>
#include <stdlib.h>

enum { PORTS_MAX = 64, TEXT_MAX = 4096, NAMED_MAX = 8 };

static const struct column provider_columns[] = {
    {"provider", "PROVIDER", KIND_TEXT},
    {"api", "API", KIND_TEXT},
    {"base_url", "ADDRESS", KIND_TEXT},
    {"model", "MODEL", KIND_TEXT},
    {"window_tokens", "WINDOW", KIND_COUNT},
};

static const struct column model_columns[] = {
    {"api", "API", KIND_TEXT},
    {"model", "MODEL", KIND_TEXT},
    {"window_tokens", "WINDOW", KIND_COUNT},
    {"output_tokens_max", "REPLY", KIND_COUNT},
    {"input_usd", "INPUT/M", KIND_PRICE},
    {"cached_usd", "CACHED/M", KIND_PRICE},
    {"cache_write_usd", "WRITTEN/M", KIND_PRICE},
    {"output_usd", "OUTPUT/M", KIND_PRICE},
    {"providers", "READY WITH", KIND_LIST},
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

// ---- what is known

static void add_state(struct table *t, struct json provider)
{
    struct buf why = BUF_INIT(TEXT_MAX);

    if (json_bool(json_get(provider, "ready"), false))
        table_add_str(t, json_bool(json_get(provider, "default"), false) ? "default" : "ready");
    else
        table_add(t, json_text(json_get(provider, "why"), &why));
    buf_release(&why);
}

static int print_providers(struct cli *cli, struct json providers)
{
    struct json_iter it = {0};
    struct json none, provider;
    struct table table;

    listing_start(&table, provider_columns, COUNT(provider_columns), 1, false);
    table_add_str(&table, "STATE");
    while (json_next(providers, &it, &none, &provider)) {
        listing_row(&table, provider_columns, COUNT(provider_columns), provider, false);
        add_state(&table, provider);
    }
    return listing_end(cli, &table, false);
}

static int print_known(struct cli *cli, struct json models, bool csv)
{
    struct json_iter it = {0};
    struct json none, model;
    struct table table;

    listing_start(&table, model_columns, COUNT(model_columns), 0, csv);
    while (json_next(models, &it, &none, &model))
        listing_row(&table, model_columns, COUNT(model_columns), model, csv);
    return listing_end(cli, &table, csv);
}

static int list_models(struct cli *cli)
{
    bool csv = cli->options.format == FORMAT_CSV;
    struct report report;

    int code = cli_report(cli, parley_models, &report);
    if (code < 0)
        return code;
    struct json root = json_root(&report.doc), models = json_get(root, "models");
    if (!listing_json(cli, report.text, models)) {
        code = csv ? PARLEY_OK : print_providers(cli, json_get(root, "providers"));
        output_str(&cli->output, csv ? "" : "\n");
        if (code == PARLEY_OK)
            code = print_known(cli, models, csv);
    }
    cli_report_free(&report);
    return code;
}

// ---- what runs here

// As a Lua string. Whatever is not plain ASCII is written by its number.
static void add_lua_string(struct buf *out, struct slice text)
{
    buf_add_char(out, '"');
    for (size_t at = 0; at < text.len;) {
        int32_t c = utf8_next(text, &at);
        if (c == '"' || c == '\\')
            buf_addf(out, "\\%c", (char)c);
        else if (c >= 0x20 && c < 0x7F)
            buf_add_char(out, (char)c);
        else
            buf_addf(out, "\\u{%X}", c < 0 ? 0xFFFDU : (unsigned)c);
    }
    buf_add_char(out, '"');
}

static void add_lua_member(struct buf *out, struct json object, const char *key)
{
    struct buf scratch = BUF_INIT(TEXT_MAX);

    add_lua_string(out, json_text(json_get(object, key), &scratch));
    buf_release(&scratch);
}

static void add_models(struct buf *out, struct json models)
{
    struct buf scratch = BUF_INIT(TEXT_MAX);
    struct json_iter it = {0};
    struct json none, name;
    uint32_t n = 0, count = json_count(models);

    for (; n < NAMED_MAX && json_next(models, &it, &none, &name); n++) {
        buf_add_str(out, n ? ", " : "");
        add_lua_string(out, json_text(name, &scratch));
    }
    if (count > n)
        buf_addf(out, " and %u more", (unsigned)(count - n));
    buf_release(&scratch);
}

// "NAME_API_KEY" of a provider's name.
static void add_key_name(struct buf *out, struct json server)
{
    size_t start = out->len;

    json_string(json_get(server, "provider"), out);
    for (size_t i = start; i < out->len; i++)
        out->ptr[i] = (char)toupper((unsigned char)out->ptr[i]);
    buf_add_str(out, "_API_KEY");
}

static void add_about(struct buf *out, struct json server)
{
    struct json models = json_get(server, "models"), name = json_get(server, "server");

    if (json_type(name) == JSON_STRING)
        json_string(name, out);
    else
        buf_add_str(out, "A model server");
    if (json_bool(json_get(server, "needs_key"), false))
        buf_add_str(out, ", which asks for a key");
    else if (json_count(models) == 0)
        buf_add_str(out, ", which has no model yet");
    else
        buf_add_str(out, ": ");
    add_models(out, models);
    buf_add_char(out, '\n');
}

// One member of `providers`; its name was chosen by the engine and is a Lua name.
static void add_provider(struct buf *out, struct json server)
{
    struct json models = json_get(server, "models");
    struct buf scratch = BUF_INIT(TEXT_MAX);

    buf_add_str(out, "  -- ");
    add_about(out, server);
    buf_add_str(out, "  ");
    json_string(json_get(server, "provider"), out);
    buf_add_str(out, " = { api = \"openai\", base_url = ");
    add_lua_member(out, server, "base_url");
    if (json_count(models)) {
        buf_add_str(out, ", model = ");
        add_lua_string(out, json_text(json_at(models, 0), &scratch));
    }
    if (json_bool(json_get(server, "needs_key"), false)) {
        buf_add_str(out, ", key_env = \"");
        add_key_name(out, server);
        buf_add_char(out, '"');
    }
    buf_add_str(out, " },\n");
    buf_release(&scratch);
}

// Whether a shell takes it for one plain word.
static bool is_plain(struct slice name)
{
    for (size_t i = 0; i < name.len; i++)
        if (!isalnum((unsigned char)name.ptr[i]) && !memchr("._-:/@+", name.ptr[i], 7))
            return false;
    return name.len > 0 && name.ptr[0] != '-';
}

static void add_trial(struct buf *out, struct json server)
{
    struct buf scratch = BUF_INIT(TEXT_MAX);
    struct slice model = json_text(json_at(json_get(server, "models"), 0), &scratch);
    bool needs_key = json_bool(json_get(server, "needs_key"), false);

    if (needs_key || model.len) {
        buf_add_str(out, "--   ");
        if (needs_key)
            add_key_name(out, server);
        buf_add_str(out, needs_key ? "=… parley chat --provider " : "parley chat --provider ");
        json_string(json_get(server, "provider"), out);
        if (needs_key)
            buf_add_str(out, " --model NAME");
        else if (is_plain(model))
            buf_addf(out, " --model %.*s", SLICE_FMT(model));
        buf_add_char(out, '\n');
    }
    buf_release(&scratch);
}

static void add_each(struct buf *out, struct json servers, bool configured,
                     void (*add)(struct buf *out, struct json server))
{
    struct json_iter it = {0};
    struct json none, server;

    while (json_next(servers, &it, &none, &server))
        if (json_bool(json_get(server, "configured"), false) == configured)
            add(out, server);
}

static void add_configured(struct buf *out, struct json server)
{
    buf_add_str(out, "-- There already, as provider ");
    add_lua_member(out, server, "provider");
    buf_add_str(out, ": ");
    add_about(out, server);
}

static bool any_new(struct json servers)
{
    struct json_iter it = {0};
    struct json none, server;

    while (json_next(servers, &it, &none, &server))
        if (!json_bool(json_get(server, "configured"), false))
            return true;
    return false;
}

static void tell_others(struct cli *cli, struct json others)
{
    struct buf url = BUF_INIT(TEXT_MAX), why = BUF_INIT(TEXT_MAX);
    struct json_iter it = {0};
    struct json none, other;

    while (json_next(others, &it, &none, &other)) {
        struct slice at = json_text(json_get(other, "url"), &url);
        struct slice reason = json_text(json_get(other, "why"), &why);
        output_note(&cli->output, "%.*s answers, but not as a model server: %.*s", SLICE_FMT(at),
                    SLICE_FMT(reason));
    }
    buf_release(&url);
    buf_release(&why);
}

static int print_found(struct cli *cli, struct json root)
{
    struct json servers = json_get(root, "servers");
    struct buf out = BUF_INIT(1 << 20);
    struct err err = ERR_INIT;

    tell_others(cli, json_get(root, "others"));
    if (json_count(servers) == 0)
        output_note(&cli->output, "no model server answers on this machine; start one, or say with "
                                  "--ports where it listens");
    add_each(&out, servers, true, add_configured);
    if (any_new(servers)) {
        buf_add_str(&out, "-- For the table that parley.lua returns; nothing was changed:\n"
                          "providers = {\n");
        add_each(&out, servers, false, add_provider);
        buf_add_str(&out, "},\n-- Then try:\n");
    }
    add_each(&out, servers, false, add_trial);
    int code = buf_check(&out, "what was found", &err);
    if (code < 0)
        cli_fail_err(cli, &err);
    else
        output_bytes(&cli->output, buf_slice(&out));
    buf_release(&out);
    return code;
}

// "8080,9000". The number of ports, or PARLEY_E_USAGE.
static int read_ports(struct cli *cli, const char *text, uint16_t ports[PORTS_MAX])
{
    int n = 0;

    for (const char *at = text;; at++) {
        char *end = NULL;
        unsigned long port = isdigit((unsigned char)*at) ? strtoul(at, &end, 10) : 0;
        if (port == 0 || port > UINT16_MAX || (*end && *end != ',') || n == PORTS_MAX) {
            output_error(&cli->output, "--ports %s: write up to %d ports from 1 to 65535, as in "
                         "--ports 8080,9000", text, PORTS_MAX);
            return PARLEY_E_USAGE;
        }
        ports[n++] = (uint16_t)port;
        at = end;
        if (!*at)
            return n;
    }
}

static int discover(struct cli *cli)
{
    const struct options *o = &cli->options;
    parley_error error = PARLEY_ERROR_INIT;
    uint16_t ports[PORTS_MAX];
    parley_options options;
    struct report report;
    char *text = NULL;
    int n = 0;

    if (o->format == FORMAT_CSV || o->format == FORMAT_JSONL) {
        output_error(&cli->output, "models --discover answers as table or json");
        return PARLEY_E_USAGE;
    }
    if (option_on(o, FLAG_PORTS) && (n = read_ports(cli, o->value[FLAG_PORTS], ports)) < 0)
        return n;
    cli_engine_options(cli, &options);
    int made = parley_discover(&options, n ? ports : NULL, (size_t)n, &text, &error);
    int code = cli_report_read(cli, made, text, &error, &report);
    if (code < 0)
        return code;
    struct json root = json_root(&report.doc);
    if (!listing_json(cli, report.text, root))
        code = print_found(cli, root);
    cli_report_free(&report);
    return code;
}

int command_models(struct cli *cli)
{
    if (option_on(&cli->options, FLAG_DISCOVER))
        return discover(cli);
    if (option_on(&cli->options, FLAG_PORTS)) {
        output_error(&cli->output, "--ports goes with --discover");
        return PARLEY_E_USAGE;
    }
    return list_models(cli);
}
