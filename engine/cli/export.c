// SPDX-License-Identifier: MIT
// export.c: `parley export`: all that is kept of a user, as one JSON object on standard output,
// page by page: a kind of record is a member, a record a line.
#include "base/clock.h"
#include "cli/cli.h"

#include <string.h>

enum { NEXT_BYTES_MAX = 1024, LINE_BYTES_MAX = 64 << 20, KEY_BYTES_MAX = 4096 };

struct export {
    struct cli *cli;
    struct buf kind;     // whose array is open
    struct buf next;     // where the next page begins
    struct buf damaged;  // lines of the last member
    uint32_t damaged_len;
};

static void begin(struct export *x, struct json page)
{
    struct output *o = &x->cli->output;
    char now[CLOCK_TEXT_BYTES];

    clock_format(clock_wall_ms(clock_system()), now);
    output_str(o, "{\"user\":");
    output_bytes(o, json_raw(json_get(page, "user")));
    outputf(o, ",\n\"exported_at\":\"%s\"", now);
}

static void name_damage(struct export *x, struct json damaged)
{
    struct buf key = BUF_INIT(KEY_BYTES_MAX), why = BUF_INIT(KEY_BYTES_MAX);
    struct json_iter it = {0};
    struct json none, item;

    while (json_next(damaged, &it, &none, &item)) {
        buf_addf(&x->damaged, "%s\n%.*s", x->damaged_len++ ? "," : "", SLICE_FMT(json_raw(item)));
        buf_clear(&key);
        buf_clear(&why);
        json_string(json_get(item, "key"), &key);
        json_string(json_get(item, "why"), &why);
        if (buf_ok(&key) && buf_ok(&why))
            output_error(&x->cli->output, "%.*s cannot be read: %.*s",
                         SLICE_FMT(buf_slice(&key)), SLICE_FMT(buf_slice(&why)));
    }
    buf_release(&key);
    buf_release(&why);
}

static void print_items(struct export *x, struct json page)
{
    struct output *o = &x->cli->output;
    struct buf scratch = BUF_INIT(KEY_BYTES_MAX);
    struct slice kind = json_text(json_get(page, "kind"), &scratch);
    struct json_iter it = {0};
    struct json none, item;
    bool first = !slice_eq(kind, buf_slice(&x->kind));

    if (first && json_count(json_get(page, "items"))) {
        outputf(o, "%s,\n\"%.*s\":[\n", x->kind.len ? "]" : "", SLICE_FMT(kind));
        buf_clear(&x->kind);
        buf_add_slice(&x->kind, kind);
    }
    while (json_next(json_get(page, "items"), &it, &none, &item)) {
        output_str(o, first ? "" : ",\n");
        output_bytes(o, json_raw(item));
        first = false;
    }
    buf_release(&scratch);
}

static int end(struct export *x)
{
    outputf(&x->cli->output, "%s,\n\"damaged\":[%.*s]\n}\n", x->kind.len ? "]" : "",
            SLICE_FMT(buf_slice(&x->damaged)));
    if (!x->damaged_len)
        return PARLEY_OK;
    output_error(&x->cli->output, "%u records could not be read and are not in it: `parley verify` "
                 "says what to do", x->damaged_len);
    return PARLEY_E_CORRUPT;
}

// Prints a page, if it came; x->next is where to go on.
static int print_page(struct export *x, bool first)
{
    parley_error error = PARLEY_ERROR_INIT;
    struct err err = ERR_INIT;
    struct answer answer;
    parley_scope scope;
    uint64_t request = 0;

    cli_scope(x->cli, &scope);
    int code = parley_export(x->cli->engine, &scope, x->next.len ? x->next.ptr : NULL, &request,
                             &error);
    code = cli_answer(x->cli, code, request, &error, &answer);
    if (code < 0)
        return code;
    struct json page = json_root(&answer.doc);
    if (first)
        begin(x, page);
    name_damage(x, json_get(page, "damaged"));
    print_items(x, page);
    buf_clear(&x->next);
    json_string(json_get(page, "next"), &x->next);
    cli_answer_free(&answer);
    if (buf_check(&x->next, "an export", &err) || buf_check(&x->damaged, "what is damaged", &err) ||
        buf_check(&x->kind, "an export", &err))
        return cli_fail_err(x->cli, &err);
    output_flush(&x->cli->output);
    return PARLEY_OK;
}

int command_export(struct cli *cli)
{
    struct export x = {.cli = cli};
    const char *user = cli->options.value[FLAG_USER];
    bool first = true;

    // An empty name is, as in erase, more likely a variable that is not set than "local".
    if (!user || !*user) {
        output_error(&cli->output, "whose data? write parley export --user ID (who named no user "
                     "is \"local\")");
        return PARLEY_E_USAGE;
    }
    buf_init(&x.kind, KEY_BYTES_MAX);
    buf_init(&x.next, NEXT_BYTES_MAX);
    buf_init(&x.damaged, LINE_BYTES_MAX);
    int code = cli_open(cli);
    for (; code == PARLEY_OK && (first || x.next.len); first = false)
        code = print_page(&x, first);
    if (code == PARLEY_OK)
        code = end(&x);
    buf_release(&x.kind);
    buf_release(&x.next);
    buf_release(&x.damaged);
    return code;
}
