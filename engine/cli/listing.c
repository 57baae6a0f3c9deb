// SPDX-License-Identifier: MIT
// listing.c: lists in four forms, and those of sessions and of usage.
#include "cli/listing.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

enum {
    CELL_MAX = 1 << 20,
    BAR_WIDTH = 20,
    EIGHTHS = 8,
    MINUTES_END = 16,
    RIGHT = 1 << KIND_COUNT | 1 << KIND_MONEY | 1 << KIND_PRICE |
            1 << KIND_SHARE | 1 << KIND_WINDOW, // aligned there
};

static const struct column session_columns[] = {
    {"session", "SESSION", KIND_TEXT},
    {"user", "USER", KIND_TEXT},
    {"bot", "BOT", KIND_TEXT},
    {"context", "CONTEXT", KIND_TEXT},
    {"status", "STATUS", KIND_TEXT},
    {"turns", "TURNS", KIND_COUNT},
    {"created_at", "CREATED", KIND_TIME},
    {"last_active_at", "LAST ACTIVE", KIND_TIME},
    {"expires_at", "EXPIRES", KIND_TIME},
    {"quarantined", "QUARANTINED", KIND_FLAG},
    {"device", "DEVICE", KIND_TEXT},
    {"since", "SINCE", KIND_TIME},
    {"topic", "TOPIC", KIND_TEXT},
    {"last", "LAST SAID", KIND_SAID},
};

// The first is filled in with what makes a row.
static const struct column usage_columns[] = {
    {NULL, NULL, KIND_TEXT},
    {"calls", "CALLS", KIND_COUNT},
    {"input_tokens", "INPUT", KIND_COUNT},
    {"cached_tokens", "CACHED", KIND_COUNT},
    {"cache_write_tokens", "WRITTEN", KIND_COUNT},
    {"output_tokens", "OUTPUT", KIND_COUNT},
    {"estimated_calls", "ESTIMATED", KIND_COUNT},
    {"unknown_calls", "UNKNOWN", KIND_COUNT},
    {"cost_usd", "COST", KIND_MONEY},
    {"window", "WINDOW", KIND_WINDOW}, // of sessions only
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

// "1234567" as "1,234,567".
static void add_grouped(struct buf *out, int64_t n)
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%" PRId64, n);

    for (int i = 0; i < len; i++) {
        if (i && (len - i) % 3 == 0 && digits[i - 1] != '-')
            buf_add_char(out, ',');
        buf_add_char(out, digits[i]);
    }
}

// "2026-01-31T23:59:59.123Z" as "2026-01-31 23:59".
static void add_minutes(struct buf *out, struct slice time)
{
    struct slice minutes = slice_of(time.ptr, time.len < MINUTES_END ? time.len : MINUTES_END);

    for (size_t i = 0; i < minutes.len; i++)
        buf_add_char(out, minutes.ptr[i] == 'T' ? ' ' : minutes.ptr[i]);
}

static void add_money(struct buf *out, double usd)
{
    if (isnan(usd))
        buf_add_str(out, "-");
    else
        buf_addf(out, "$%.*f", usd > 0 && usd < 1 ? 6 : 2, usd);
}

static void add_share(struct buf *out, double share)
{
    if (isnan(share))
        buf_add_str(out, "-");
    else
        buf_addf(out, "%.1f %%", share * 100);
}

// Prices have two decimals, or three where the third says something.
static void add_price(struct buf *out, double usd)
{
    if (isnan(usd))
        buf_add_str(out, "-");
    else
        buf_addf(out, "$%.*f", (int64_t)(usd * 1000 + 0.5) % 10 ? 3 : 2, usd);
}

static void add_list(struct buf *out, struct json list)
{
    struct json_iter it = {0};
    struct json none, item;
    bool more = false;

    while (json_next(list, &it, &none, &item)) {
        buf_add_str(out, more ? ", " : "");
        json_string(item, out);
        more = true;
    }
}

// Of a window that is not known there is no share.
static void add_window(struct buf *out, struct json window, bool csv)
{
    double percent = json_double(json_get(window, "percent"), 0);

    if (json_i64(json_get(window, "limit"), 0) > 0)
        buf_addf(out, csv ? "%g" : "%.1f %%", percent);
    else if (!csv)
        buf_add_str(out, "-");
}

static void add_said(struct buf *out, struct json said, bool csv)
{
    if (!csv && json_type(said) == JSON_OBJECT) {
        json_string(json_get(said, "role"), out);
        buf_add_str(out, ": ");
    }
    json_string(json_get(said, "text"), out);
}

static void read_cell(struct buf *out, enum kind kind, struct json value, bool csv)
{
    struct buf scratch = BUF_INIT(CELL_MAX);
    enum json_type type = json_type(value);

    buf_clear(out);
    if (csv && type == JSON_NUMBER)
        buf_add_slice(out, json_raw(value));
    else if (kind == KIND_TIME && !csv)
        add_minutes(out, json_text(value, &scratch));
    else if (kind == KIND_FLAG)
        buf_add_str(out, json_bool(value, false) ? "true" : "false");
    else if (kind == KIND_WINDOW)
        add_window(out, value, csv);
    else if (kind == KIND_SAID)
        add_said(out, value, csv);
    else if (type == JSON_STRING)
        json_string(value, out);
    else if (kind == KIND_COUNT && !csv && type == JSON_NULL)
        buf_add_str(out, "-");
    else if (kind == KIND_COUNT && !csv && type == JSON_NUMBER)
        add_grouped(out, json_i64(value, 0));
    else if (kind == KIND_MONEY && !csv)
        add_money(out, json_double(value, NAN));
    else if (kind == KIND_PRICE && !csv)
        add_price(out, json_double(value, NAN));
    else if (kind == KIND_SHARE && !csv)
        add_share(out, json_double(value, NAN));
    else if (kind == KIND_LIST)
        add_list(out, value);
    buf_release(&scratch);
}

void listing_row(struct table *t, const struct column *columns, size_t n, struct json row, bool csv)
{
    struct buf cell = BUF_INIT(CELL_MAX);

    for (size_t i = 0; i < n; i++) {
        read_cell(&cell, columns[i].kind, json_get(row, columns[i].key), csv);
        // Of a session that cannot be read nobody knows the status.
        if (!csv && strcmp(columns[i].key, "status") == 0 &&
            json_bool(json_get(row, "quarantined"), false))
            buf_add_str(&cell, "quarantined");
        t->failed = t->failed || !buf_ok(&cell);
        table_add(t, buf_slice(&cell));
    }
    buf_release(&cell);
}

void listing_start(struct table *t, const struct column *columns, size_t n, size_t more, bool csv)
{
    unsigned right = 0;

    for (size_t i = 0; i < n; i++)
        right |= RIGHT >> columns[i].kind & 1U ? 1U << i : 0;
    table_init(t, (unsigned)(n + more), right);
    for (size_t i = 0; i < n; i++)
        table_add_str(t, csv ? columns[i].key : columns[i].title);
}

int listing_end(struct cli *cli, struct table *t, bool csv)
{
    struct err err = ERR_INIT;
    int code = csv ? table_print_csv(t, &cli->output, &err) : table_print(t, &cli->output, &err);

    table_release(t);
    return code < 0 ? cli_fail_err(cli, &err) : code;
}

bool listing_json(struct cli *cli, const char *json, struct json rows)
{
    struct json_iter it = {0};
    struct json key, row;

    if (cli->options.format == FORMAT_JSON) {
        output_line(&cli->output, json);
        return true;
    }
    if (cli->options.format != FORMAT_JSONL)
        return false;
    while (json_next(rows, &it, &key, &row)) {
        output_bytes(&cli->output, json_raw(row));
        output_str(&cli->output, "\n");
    }
    return true;
}

// Whether any of the rows says something there.
static bool any_says(struct json rows, const char *key)
{
    struct json_iter it = {0};
    struct json none, row;

    while (json_next(rows, &it, &none, &row)) {
        struct json value = json_get(row, key);
        if (json_type(value) == JSON_OBJECT ||
            (json_type(value) == JSON_STRING && !json_is_string(value, "")))
            return true;
    }
    return false;
}

// A table for people has the columns that say something to them.
static bool is_shown(struct json rows, const struct column *column, bool with_user)
{
    if (column->kind == KIND_FLAG || strcmp(column->key, "device") == 0)
        return false;
    if (column->kind == KIND_TIME)
        return strcmp(column->key, "last_active_at") == 0;
    if (strcmp(column->key, "user") == 0)
        return with_user;
    if (strcmp(column->key, "topic") == 0 || column->kind == KIND_SAID)
        return any_says(rows, column->key);
    return true;
}

int listing_sessions(struct cli *cli, const struct answer *answer, bool with_user)
{
    struct json rows = json_root(&answer->doc);
    bool csv = cli->options.format == FORMAT_CSV;
    struct column columns[COUNT(session_columns)];
    struct json_iter it = {0};
    struct json key, row;
    struct table table;
    size_t n = 0;

    if (listing_json(cli, answer->event->json, rows))
        return PARLEY_OK;
    if (!csv && json_count(rows) == 0) {
        output_note(&cli->output, "there are no sessions yet; `parley chat` starts one");
        return PARLEY_OK;
    }
    for (size_t i = 0; i < COUNT(session_columns); i++)
        if (csv || is_shown(rows, &session_columns[i], with_user))
            columns[n++] = session_columns[i];
    listing_start(&table, columns, n, 0, csv);
    while (json_next(rows, &it, &key, &row))
        listing_row(&table, columns, n, row, csv);
    return listing_end(cli, &table, csv);
}

static int64_t row_tokens(struct json row)
{
    return json_i64(json_get(row, "input_tokens"), 0) + json_i64(json_get(row, "output_tokens"), 0);
}

static void add_bar(struct table *t, int64_t tokens, int64_t most)
{
    static const char *const parts[EIGHTHS] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    char bar[BAR_WIDTH * 4 + 4] = "";
    size_t eighths = 0, len = 0;

    if (most > 0 && tokens > 0)
        eighths = (size_t)((double)tokens / (double)most * BAR_WIDTH * EIGHTHS + 0.5);
    if (tokens > 0 && eighths == 0)
        eighths = 1; // something is never drawn as nothing
    for (; eighths >= EIGHTHS && len + 4 < sizeof bar; eighths -= EIGHTHS)
        len += (size_t)snprintf(bar + len, sizeof bar - len, "█");
    snprintf(bar + len, sizeof bar - len, "%s", parts[eighths % EIGHTHS]);
    table_add_str(t, bar);
}

int listing_usage(struct cli *cli, const struct answer *answer, const char *by)
{
    struct json root = json_root(&answer->doc), rows = json_get(root, "rows"), key, row;
    bool csv = cli->options.format == FORMAT_CSV;
    struct column columns[COUNT(usage_columns)];
    size_t n = COUNT(usage_columns) - (strcmp(by, "session") == 0 ? 0 : 1);
    struct json_iter it = {0};
    struct table table;
    int64_t most = 0;

    if (listing_json(cli, answer->event->json, rows))
        return PARLEY_OK;
    memcpy(columns, usage_columns, sizeof columns);
    columns[0].key = columns[0].title = by;
    listing_start(&table, columns, n, csv ? 0 : 1, csv);
    if (!csv)
        table_add_str(&table, "TOKENS");
    while (json_next(rows, &it, &key, &row))
        most = row_tokens(row) > most ? row_tokens(row) : most;
    for (it = (struct json_iter){0}; json_next(rows, &it, &key, &row);) {
        listing_row(&table, columns, n, row, csv);
        if (!csv)
            add_bar(&table, row_tokens(row), most);
    }
    if (!csv) {
        table_add_str(&table, "total");
        listing_row(&table, columns + 1, n - 1, json_get(root, "total"), csv);
        table_add_str(&table, "");
    }
    return listing_end(cli, &table, csv);
}

static void tell_window(struct output *o, const char *what, struct json row)
{
    struct json window = json_get(row, "window");
    struct buf tokens = BUF_INIT(64), limit = BUF_INIT(64), name = BUF_INIT(CELL_MAX);

    add_grouped(&tokens, json_i64(json_get(window, "tokens"), 0));
    add_grouped(&limit, json_i64(json_get(window, "limit"), 0));
    json_string(json_get(row, "session"), &name);
    output_str(o, what);
    output_text(o, buf_slice(&name));
    if (buf_ok(&tokens) && buf_ok(&limit))
        outputf(o, ": its next request begins with %s of %s tokens (%.1f %%)", tokens.ptr,
                limit.ptr, json_double(json_get(window, "percent"), 0));
    buf_release(&tokens);
    buf_release(&limit);
    buf_release(&name);
}

// The conversations that grow too large; or which will be the first to.
static void listing_growth(struct cli *cli, struct json rows)
{
    struct output *o = &cli->output;
    struct json_iter it = {0};
    struct json key, row, soonest = {0};
    int64_t fewest = INT64_MAX;

    while (json_next(rows, &it, &key, &row)) {
        int64_t left = json_i64(json_get(row, "turns_left"), -1);

        if (left >= 0 && left < fewest) {
            fewest = left;
            soonest = row;
        }
        if (left != 0)
            continue;
        tell_window(o, "too large: ", row);
        output_str(o, ": start anew with /reset, or choose a history strategy that keeps less\n");
    }
    if (fewest == 0 || fewest == INT64_MAX)
        return;
    tell_window(o, "grows fastest: ", soonest);
    outputf(o, ", about %" PRId64 " more turns to 80 %%\n", fewest);
}

// "user ann with hello", "each user", "bot hello", "everybody"
static void add_whose(struct table *t, struct json row)
{
    struct buf whose = BUF_INIT(CELL_MAX);
    bool user = json_type(json_get(row, "user")) == JSON_STRING;
    bool bot = json_type(json_get(row, "bot")) == JSON_STRING;
    bool each = json_bool(json_get(row, "each_user"), false);

    buf_add_str(&whose, each ? "each user" : user ? "user " : bot ? "bot " : "everybody");
    if (user)
        json_string(json_get(row, "user"), &whose);
    if ((user || each) && bot)
        buf_add_str(&whose, " with ");
    if (bot)
        json_string(json_get(row, "bot"), &whose);
    t->failed = t->failed || !buf_ok(&whose);
    table_add(t, buf_slice(&whose));
    buf_release(&whose);
}

static void add_used(struct table *t, struct json row)
{
    double used = json_double(json_get(row, "used"), 0);
    double limit = json_double(json_get(row, "limit"), 0);
    char share[32] = "-";

    if (limit > 0 && !json_bool(json_get(row, "each_user"), false))
        snprintf(share, sizeof share, "%.0f %%", 100 * used / limit);
    table_add_str(t, share);
}

// What is used of the budgets today, under the table. None: nothing is printed.
static int listing_budgets(struct cli *cli, struct json rows)
{
    static const struct column money[] = {{"used", "USED", KIND_MONEY},
                                          {"limit", "LIMIT", KIND_MONEY}};
    static const struct column count[] = {{"used", "USED", KIND_COUNT},
                                          {"limit", "LIMIT", KIND_COUNT}};
    struct json_iter it = {0};
    struct json key, row;
    struct table table;

    if (json_count(rows) == 0)
        return PARLEY_OK;
    output_str(&cli->output, "\n");
    table_init(&table, 5, 1U << 1 | 1U << 2 | 1U << 3);
    table_add_str(&table, "BUDGET TODAY");
    table_add_str(&table, "USED");
    table_add_str(&table, "LIMIT");
    table_add_str(&table, "");
    table_add_str(&table, "SET BY");
    while (json_next(rows, &it, &key, &row)) {
        add_whose(&table, row);
        listing_row(&table, json_is_string(json_get(row, "unit"), "usd") ? money : count, 2, row,
                    false);
        add_used(&table, row);
        listing_row(&table, &(struct column){"budget", "", KIND_TEXT}, 1, row, false);
    }
    return listing_end(cli, &table, false);
}

int command_sessions(struct cli *cli)
{
    bool all = option_on(&cli->options, FLAG_ALL_USERS);
    struct answer answer;
    parley_scope scope;

    int code = cli_open(cli);
    if (code < 0)
        return code;
    cli_scope(cli, &scope);
    scope.flags |= (all ? PARLEY_ALL_USERS : 0) |
                   (option_on(&cli->options, FLAG_PREVIEW) ? PARLEY_PREVIEW : 0);
    code = cli_ask_engine(cli, parley_sessions, &scope, &answer);
    if (code < 0)
        return code;
    code = listing_sessions(cli, &answer, all);
    cli_answer_free(&answer);
    return code;
}

int command_usage(struct cli *cli)
{
    const struct options *o = &cli->options;
    const char *by = option_on(o, FLAG_BY) ? o->value[FLAG_BY] : "day";
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request = 0;
    struct answer answer;
    parley_scope scope;

    int code = cli_open(cli);
    if (code < 0)
        return code;
    cli_scope_of_all(cli, &scope);
    code = parley_usage(cli->engine, &scope, by, &request, &error);
    code = cli_answer(cli, code, request, &error, &answer);
    if (code < 0)
        return code;
    code = listing_usage(cli, &answer, by);
    if (code == PARLEY_OK && o->format == FORMAT_TABLE && strcmp(by, "session") == 0)
        listing_growth(cli, json_get(json_root(&answer.doc), "rows"));
    if (code == PARLEY_OK && o->format == FORMAT_TABLE)
        code = listing_budgets(cli, json_get(json_root(&answer.doc), "budgets"));
    cli_answer_free(&answer);
    return code;
}
