// SPDX-License-Identifier: MIT
// keys.c: parley keys: the keyring made, looked at, rotated.
#include "cli/cli.h"

#include <inttypes.h>

static void print_text(struct output *o, const char *before, struct json value, const char *after)
{
    struct buf scratch = BUF_INIT(1 << 16);

    output_str(o, before);
    output_text(o, json_text(value, &scratch));
    output_str(o, after);
    buf_release(&scratch);
}

static void print_keyring(struct output *o, struct json root)
{
    struct json op = json_get(root, "operator_key");

    print_text(o, "keyring:       ", json_get(root, "keyring"), "");
    print_text(o, " (mode ", json_get(root, "mode"), ")\n");
    print_text(o, "operator key:  ", json_get(op, "fingerprint"), "");
    print_text(o, ", in ", json_get(op, "source"), "");
    if (json_type(json_get(op, "mode")) == JSON_STRING)
        print_text(o, " (mode ", json_get(op, "mode"), ")");
    print_text(o, "\nsigns with:    ", json_get(root, "public_key"), "\n");
}

static int64_t number(struct json root, const char *name)
{
    return json_i64(json_get(root, name), 0);
}

static void print_status(struct output *o, struct json root)
{
    print_keyring(o, root);
    outputf(o, "users:         %" PRId64 ", with %" PRId64 " keys\n", number(root, "users"),
            number(root, "keys"));
    outputf(o, "retired keys:  %" PRId64 ", with %" PRId64 " records under them\n",
            number(root, "retired_keys"), number(root, "records_under_retired"));
    outputf(o, "erased users:  %" PRId64 ", %" PRId64 " not completed\n", number(root, "erased"),
            number(root, "erasures_open"));
    outputf(o, "stores:        %" PRId64 "\n", number(root, "stores"));
    if (json_bool(json_get(root, "rotating"), false))
        output_note(o, "a rotation is not over: `parley keys rotate` goes on with it");
}

static void print_rotation(struct output *o, struct json root)
{
    int64_t kept = number(root, "retired_keys"), unreadable = number(root, "unreadable");

    print_keyring(o, root);
    outputf(o, "sealed anew:   %" PRId64 " records of %" PRId64 " users\n", number(root, "records"),
            number(root, "users"));
    outputf(o, "destroyed:     the older keys of %" PRId64 " users; left: %" PRId64 "\n",
            number(root, "users_done"), kept);
    if (json_bool(json_get(root, "resumed"), false))
        output_note(o, "this finished a rotation that had been broken off; run it again for new "
                    "keys");
    if (unreadable)
        output_note(o, "%" PRId64 " records cannot be read, and their keys were kept: run `parley "
                    "verify`", unreadable);
    else if (kept && number(root, "stores") > 1)
        output_note(o, "older keys were kept, as %" PRId64 " stores were sealed with this keyring: "
                    "rotate with each of them as --store, with the last one --destroy",
                    number(root, "stores"));
}

// Where the key is: a path, if no kind is said.
static int set_operator(struct cli *cli, struct buf *setting)
{
    struct options *o = &cli->options;
    const char *where = o->value[FLAG_OPERATOR_KEY];
    struct err err = ERR_INIT;

    if (!where)
        return PARLEY_OK;
    bool kind = strncmp(where, "file:", 5) == 0 || strncmp(where, "fd:", 3) == 0 ||
                strncmp(where, "credential:", 11) == 0;
    buf_addf(setting, "operator_key=%s%s", kind ? "" : "file:", where);
    if (!buf_ok(setting) || o->n_settings == SETTINGS_MAX) {
        err_set(&err, E_USAGE, "--operator-key: too long, or too many settings");
        return cli_fail_err(cli, &err);
    }
    o->settings[o->n_settings++] = setting->ptr;
    o->settings[o->n_settings] = NULL;
    return PARLEY_OK;
}

static int rotate(const parley_options *options, const struct options *o, char **text,
                  parley_error *error)
{
    unsigned what = (option_on(o, FLAG_OPERATOR_ONLY) ? PARLEY_ROTATE_OPERATOR : 0) |
                    (option_on(o, FLAG_USERS) ? PARLEY_ROTATE_USERS : 0) |
                    (option_on(o, FLAG_DESTROY) ? PARLEY_ROTATE_DESTROY : 0);

    return parley_keys_rotate(options, what, text, error);
}

int command_keys(struct cli *cli)
{
    const struct options *o = &cli->options;
    parley_error error = PARLEY_ERROR_INIT;
    struct buf setting = BUF_INIT(8192);
    parley_options options;
    struct err err = ERR_INIT;
    struct report report;
    char *text = NULL;
    const char *verb = o->words[0];
    bool init = strcmp(verb, "init") == 0, status = strcmp(verb, "status") == 0;

    if (!init && !status && strcmp(verb, "rotate") != 0) {
        err_set(&err, E_USAGE, "keys %s: say init, status or rotate", verb);
        return cli_fail_err(cli, &err);
    }
    if (option_on(o, FLAG_OPERATOR_ONLY) && option_on(o, FLAG_USERS)) {
        err_set(&err, E_USAGE, "--operator-only and --users: one of them, or none to rotate both");
        return cli_fail_err(cli, &err);
    }
    int code = set_operator(cli, &setting);
    if (code == PARLEY_OK) {
        cli_engine_options(cli, &options);
        code = init     ? parley_keys_init(&options, &text, &error)
               : status ? parley_keys_status(&options, &text, &error)
                        : rotate(&options, o, &text, &error);
        code = cli_report_read(cli, code, text, &error, &report);
        if (code >= 0) {
            struct json root = json_root(&report.doc);
            if (o->format == FORMAT_JSON)
                output_line(&cli->output, report.text);
            else
                (init ? print_keyring : status ? print_status : print_rotation)(&cli->output, root);
            cli_report_free(&report);
        }
    }
    buf_release(&setting);
    return code;
}
