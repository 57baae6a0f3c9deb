// SPDX-License-Identifier: MIT
// replay.c: `parley replay`: policies over recorded conversations, side by side.
#include "base/clock.h"
#include "base/mem.h"
#include "cli/listing.h"
#include "cli/replay_svg.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BASELINE_MESSAGES = 40, BASELINE_MESSAGES_MAX = 1000000,
    MODEL_BYTES = 256, BAR_WIDTH = 30, BAR_EVERY_MS = 100,
    NAMES_MAX = 64,             // of policies; the engine takes fewer, and says so
    SVG_BYTES_MAX = 16 << 20,
};

static const struct column columns[] = {
    {"policy", "POLICY", KIND_TEXT},
    {"strategy", "STRATEGY", KIND_TEXT},
    {"input_tokens", "SENT TOKENS", KIND_COUNT},
    {"hit_rate", "CACHED", KIND_SHARE},
    {"cost_usd", "COST", KIND_MONEY},
    {"hit_rate_1h", "CACHED 1H", KIND_SHARE},
    {"cost_usd_1h", "COST 1H", KIND_MONEY},
    {"cuts", "CUTS", KIND_COUNT},
    {"summaries", "SUMMARIES", KIND_COUNT},
    {"overflows", "OVERFLOWS", KIND_COUNT},
    {"invalid", "INVALID", KIND_COUNT},
};
static const struct column csv_columns[] = {
    {"policy", "", KIND_TEXT},
    {"baseline", "", KIND_FLAG},
    {"strategy", "", KIND_TEXT},
    {"requests", "", KIND_COUNT},
    {"invalid", "", KIND_COUNT},
    {"overflows", "", KIND_COUNT},
    {"cuts", "", KIND_COUNT},
    {"sent_turns", "", KIND_COUNT},
    {"dropped_turns", "", KIND_COUNT},
    {"input_tokens", "", KIND_COUNT},
    {"cached_tokens", "", KIND_COUNT},
    {"cached_tokens_1h", "", KIND_COUNT},
    {"output_tokens", "", KIND_COUNT},
    {"cost_usd", "", KIND_MONEY},
    {"cost_usd_1h", "", KIND_MONEY},
    {"summaries", "", KIND_COUNT},
    {"summary_tokens", "", KIND_COUNT},
    {"summary_usd", "", KIND_MONEY},
};
#define COUNT(array) (sizeof(array) / sizeof *(array))

// What `recall` has, and the columns that it becomes.
static const char *const recall_members[][2] = {
    {"recall", "recall"}, {"k", "recall_k"}, {"questions", "recall_questions"},
    {"evidence", "recall_evidence"}, {"found", "recall_found"},
};

// ---- the bar

struct bar {
    struct cli *cli;
    bool shown;
    int64_t drawn_ns;
};

static void draw_bar(struct bar *bar, uint64_t done, uint64_t total)
{
    int64_t now_ns = clock_mono_ns(clock_system());

    if (now_ns - bar->drawn_ns < (int64_t)BAR_EVERY_MS * 1000000)
        return;
    bar->drawn_ns = now_ns;
    bar->shown = true;
    if (total == 0 || done > total) {
        // bytes of a stream, or sessions
        fprintf(stderr, "\r%" PRIu64, done);
        return;
    }
    int filled = (int)(done * BAR_WIDTH / total);
    fputs("\r[", stderr);
    for (int i = 0; i < BAR_WIDTH; i++)
        fputc(i < filled ? '#' : ' ', stderr);
    fprintf(stderr, "] %" PRIu64 " %%", done * 100 / total);
}

static int progress(void *user, uint64_t done, uint64_t total)
{
    struct bar *bar = user;
    const char *term = getenv("TERM");
    const struct output *o = &bar->cli->output;

    if (o->err_terminal && !o->quiet && !(term && strcmp(term, "dumb") == 0))
        draw_bar(bar, done, total);
    return cli_take_signal(bar->cli);
}

static void clear_bar(const struct bar *bar)
{
    if (bar->shown)
        fprintf(stderr, "\r%*s\r", BAR_WIDTH + 10, "");
}

// ---- the table

static void add_ratio(struct table *t, struct json row, struct json baseline)
{
    char text[32] = "-";
    double cost = json_double(json_get(row, "cost_usd"), NAN);
    double base = json_double(json_get(baseline, "cost_usd"), NAN);

    if (cost >= 0 && base > 0)
        snprintf(text, sizeof text, "%.1f %%", cost / base * 100);
    table_add_str(t, text);
}

// How many turns of the history a request left out, on the average.
static void add_dropped(struct table *t, struct json row)
{
    char text[32] = "-";
    double requests = json_double(json_get(row, "requests"), 0);

    if (requests > 0)
        snprintf(text, sizeof text, "%.1f",
                 json_double(json_get(row, "dropped_turns"), 0) / requests);
    table_add_str(t, text);
}

static void add_recall(struct table *t, struct json recall)
{
    char text[64] = "-";

    if (json_type(recall) == JSON_OBJECT)
        snprintf(text, sizeof text, "%.3f @ %.1f", json_double(json_get(recall, "recall"), 0),
                 json_double(json_get(recall, "k"), 0));
    table_add_str(t, text);
}

// Empty where no question names its evidence.
static void add_recall_members(struct table *t, struct json recall)
{
    for (size_t i = 0; i < COUNT(recall_members); i++)
        table_add(t, json_raw(json_get(recall, recall_members[i][0])));
}

static int print_table(struct cli *cli, struct json policies)
{
    struct json_iter it = {0};
    struct json none, row, first = json_at(policies, 0);
    bool baseline = json_bool(json_get(first, "baseline"), false);
    struct table table;

    listing_start(&table, columns, COUNT(columns), baseline ? 3 : 2, false);
    table.right |= 7U << COUNT(columns);
    table_add_str(&table, "DROPPED");
    table_add_str(&table, "RECALL @ K");
    if (baseline)
        table_add_str(&table, "OF BASELINE");
    while (json_next(policies, &it, &none, &row)) {
        listing_row(&table, columns, COUNT(columns), row, false);
        add_dropped(&table, row);
        add_recall(&table, json_get(row, "recall"));
        if (baseline)
            add_ratio(&table, row, first);
    }
    return listing_end(cli, &table, false);
}

static int print_csv(struct cli *cli, struct json policies)
{
    struct json_iter it = {0};
    struct json none, row;
    struct table table;

    listing_start(&table, csv_columns, COUNT(csv_columns), COUNT(recall_members), true);
    for (size_t i = 0; i < COUNT(recall_members); i++)
        table_add_str(&table, recall_members[i][1]);
    while (json_next(policies, &it, &none, &row)) {
        listing_row(&table, csv_columns, COUNT(csv_columns), row, true);
        add_recall_members(&table, json_get(row, "recall"));
    }
    return listing_end(cli, &table, true);
}

// What the figures rest on, and what went wrong on the way.
static void note_basis(struct cli *cli, struct json root)
{
    struct buf provider = BUF_INIT(256), model = BUF_INIT(256), error = BUF_INIT(4096);
    struct json_iter it = {0};
    struct json none, row;
    int64_t turns = json_i64(json_get(root, "turns"), 0);
    int64_t untimed = turns - json_i64(json_get(root, "timed_turns"), 0);

    json_string(json_get(root, "provider"), &provider);
    json_string(json_get(root, "model"), &model);
    if (buf_ok(&provider) && buf_ok(&model))
        output_note(&cli->output, "%" PRId64 " conversations, %" PRId64 " turns, as %s:%s would "
                    "bill them; its cache takes prefixes of %" PRId64 " tokens and more",
                    json_i64(json_get(root, "conversations"), 0), turns, provider.ptr, model.ptr,
                    json_i64(json_get(root, "cache_min_tokens"), 0));
    if (untimed)
        output_note(&cli->output, "%" PRId64 " turns tell no time: each is taken to be %" PRId64
                    " s after the one before", untimed,
                    json_i64(json_get(root, "assumed_seconds"), 0));
    while (json_next(json_get(root, "policies"), &it, &none, &row)) {
        buf_clear(&error);
        if (json_string(json_get(row, "hook_error"), &error) && buf_ok(&error))
            output_note(&cli->output, "hooks that failed: %" PRId64 "; the first: %s",
                        json_i64(json_get(row, "hook_failures"), 0), error.ptr);
    }
    buf_release(&provider);
    buf_release(&model);
    buf_release(&error);
}

static int write_svg(struct cli *cli, struct json root, const char *name)
{
    struct buf svg = BUF_INIT(SVG_BYTES_MAX);
    struct err err = ERR_INIT;

    replay_svg(&svg, root);
    int code = buf_check(&svg, "the picture", &err);
    FILE *out = code ? NULL : fopen(name, "we");
    bool written = out && fwrite(svg.ptr, 1, svg.len, out) == svg.len;
    if (!code && (!out || fclose(out) != 0 || !written))
        code = err_set(&err, E_USAGE, "cannot write %s: %s", name, strerror(errno));
    buf_release(&svg);
    return code < 0 ? cli_fail_err(cli, &err) : code;
}

static int print_report(struct cli *cli, const struct report *report)
{
    struct json root = json_root(&report->doc), policies = json_get(root, "policies");
    const char *svg = cli->options.value[FLAG_SVG];
    int code = PARLEY_OK;

    note_basis(cli, root);
    if (!listing_json(cli, report->text, policies))
        code = cli->options.format == FORMAT_CSV ? print_csv(cli, policies)
                                                 : print_table(cli, policies);
    return code == PARLEY_OK && svg ? write_svg(cli, root, svg) : code;
}

// ---- the command

static int read_baseline(struct cli *cli, uint32_t *out)
{
    const char *text = cli->options.value[FLAG_BASELINE];
    char *end = NULL;

    *out = BASELINE_MESSAGES;
    if (!text)
        return PARLEY_OK;
    errno = 0;
    unsigned long n = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || n > BASELINE_MESSAGES_MAX) {
        output_error(&cli->output, "--baseline %s: a number of messages, from 0 to %d", text,
                     BASELINE_MESSAGES_MAX);
        return PARLEY_E_USAGE;
    }
    *out = (uint32_t)n;
    return PARLEY_OK;
}

static int read_since(struct cli *cli, int64_t *since_ms)
{
    const char *text = cli->options.value[FLAG_SINCE];
    struct err err = ERR_INIT;
    int64_t span_ms = 0;

    if (!text)
        return PARLEY_OK;
    if (cli->options.value[FLAG_FROM]) {
        output_error(&cli->output, "--since is for the store, --from for a file: leave one out");
        return PARLEY_E_USAGE;
    }
    if (clock_parse_span(slice_str(text), &span_ms, &err)) {
        err_prefix(&err, "--since: ");
        return cli_fail_err(cli, &err);
    }
    *since_ms = clock_wall_ms(clock_system()) - span_ms;
    return PARLEY_OK;
}

// Those of --policy, then the words.
static int name_policies(struct cli *cli, const char *names[NAMES_MAX + 1])
{
    const struct options *o = &cli->options;
    size_t n = 0;

    for (size_t i = 0; i < o->n_policies; i++)
        names[n++] = o->policies[i];
    for (size_t i = 0; i < o->n_words; i++) {
        if (n == NAMES_MAX) {
            output_error(&cli->output, "more than %d policies", NAMES_MAX);
            return PARLEY_E_USAGE;
        }
        names[n++] = o->words[i];
    }
    names[n] = NULL;
    return PARLEY_OK;
}

// "provider:model" of --provider and --model; --model alone may be that, too. `name` holds it.
static int name_model(struct cli *cli, char *name, size_t size, const char **out)
{
    const char *provider = cli->options.value[FLAG_PROVIDER];
    const char *model = cli->options.value[FLAG_MODEL];

    *out = model;
    if (!provider)
        return PARLEY_OK;
    if (!model) {
        output_error(&cli->output, "--provider %s: name the model too, with --model", provider);
        return PARLEY_E_USAGE;
    }
    if (snprintf(name, size, "%s:%s", provider, model) >= (int)size) {
        output_error(&cli->output, "--model %s: too long a name", model);
        return PARLEY_E_USAGE;
    }
    *out = name;
    return PARLEY_OK;
}

int command_replay(struct cli *cli)
{
    const struct options *o = &cli->options;
    const char *names[NAMES_MAX + 1];
    struct bar bar = {.cli = cli, .drawn_ns = clock_mono_ns(clock_system())};
    parley_replay_options how = PARLEY_REPLAY_OPTIONS_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    parley_options options;
    struct report report;
    char *text = NULL, model[MODEL_BYTES];

    if (read_baseline(cli, &how.baseline_messages) || read_since(cli, &how.since_ms) ||
        name_policies(cli, names) || name_model(cli, model, sizeof model, &how.model))
        return PARLEY_E_USAGE;
    how.policies = names;
    how.file = o->value[FLAG_FROM];
    how.user = o->value[FLAG_USER];
    how.bot = o->value[FLAG_BOT];
    how.progress = progress;
    how.progress_user = &bar;
    cli_engine_options(cli, &options);
    int made = parley_replay(&options, &how, &text, &error);
    clear_bar(&bar);
    // An interruption needs no words: whoever caused it knows.
    if (made == PARLEY_E_CANCELLED)
        return made;
    int code = cli_report_read(cli, made, text, &error, &report);
    if (code < 0)
        return code;
    code = print_report(cli, &report);
    cli_report_free(&report);
    return code;
}
