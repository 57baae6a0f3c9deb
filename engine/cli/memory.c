// SPDX-License-Identifier: MIT
// memory.c: `parley memory`, `forget` and `why --fact`, /memory and /forget: what is remembered of
// a user, which of their words bear it out, and that it is forgotten.
#include "cli/listing.h"

#include <inttypes.h>

enum { VALUE_MAX = 1 << 20, SHORT_ID = 8, MINUTES = 16 };

static const struct column fact_columns[] = {
    {"tier", "TIER", KIND_TEXT},
    {"fact", "FACT", KIND_TEXT},
    {"kind", "KIND", KIND_TEXT},
    {"subject", "SUBJECT", KIND_TEXT},
    {"predicate", "PREDICATE", KIND_TEXT},
    {"value", "VALUE", KIND_TEXT},
    {"status", "STATUS", KIND_TEXT},
    {"stale", "STALE", KIND_FLAG},
    {"scope", "SCOPE", KIND_TEXT},
    {"valid_from", "VALID FROM", KIND_TIME},
    {"valid_to", "VALID TO", KIND_TIME},
    {"recorded_at", "RECORDED", KIND_TIME},
    {"retired_at", "RETIRED", KIND_TIME},
    {"confirmed_at", "CONFIRMED", KIND_TIME},
    {"confirmations", "CONFIRMATIONS", KIND_COUNT},
    {"superseded_by", "SUPERSEDED BY", KIND_TEXT},
    {"context", "CONTEXT", KIND_TEXT},
};
// Of the first piece of evidence.
static const struct column evidence_columns[] = {
    {"session", "SESSION", KIND_TEXT}, {"turn", "TURN", KIND_TEXT}, {"quote", "QUOTE", KIND_TEXT},
};
static const struct column journal_columns[] = {
    {"tier", "TIER", KIND_TEXT}, {"session", "SESSION", KIND_TEXT}, {"at", "AT", KIND_TIME},
    {"text", "TEXT", KIND_TEXT},
};
static const struct column core_columns[] = {
    {"tier", "TIER", KIND_TEXT}, {"persona", "PERSONA", KIND_TEXT}, {"human", "HUMAN", KIND_TEXT},
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

// ---- lines

// Somebody's words on one line.
static void print_words(struct output *o, struct json value)
{
    struct buf text = BUF_INIT(VALUE_MAX);

    json_string(value, &text);
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] == '\n' || text.ptr[i] == '\r' || text.ptr[i] == '\t')
            text.ptr[i] = ' ';
    output_text(o, buf_slice(&text));
    buf_release(&text);
}

// Somebody's words, line by line.
static void print_text(struct output *o, struct json value)
{
    struct buf text = BUF_INIT(VALUE_MAX);

    json_string(value, &text);
    for (size_t from = 0; from < text.len;) {
        const char *end = memchr(text.ptr + from, '\n', text.len - from);
        size_t len = end ? (size_t)(end - text.ptr) - from : text.len - from;

        if (len) {
            output_str(o, "    ");
            output_text(o, slice_of(text.ptr + from, len));
            output_str(o, "\n");
        }
        from += len + 1;
    }
    buf_release(&text);
}

// The beginning of what a member says: of an id, or of a time up to the minute.
static void print_short(struct output *o, struct json value, size_t len)
{
    struct buf text = BUF_INIT(VALUE_MAX);

    json_string(value, &text);
    for (size_t i = 0; len == MINUTES && i < text.len; i++)
        text.ptr[i] = text.ptr[i] == 'T' ? ' ' : text.ptr[i];
    output_text(o, slice_of(text.ptr, text.len < len ? text.len : len));
    buf_release(&text);
}

static void print_time(struct output *o, const char *lead, struct json value)
{
    if (json_type(value) != JSON_STRING)
        return;
    output_str(o, lead);
    print_short(o, value, MINUTES);
}

static bool is_said(struct json value)
{
    return json_type(value) == JSON_STRING && !json_is_string(value, "");
}

// "user lives_in: Lisbon (stale)"
static void print_statement(struct output *o, struct json fact)
{
    struct json status = json_get(fact, "status");

    print_words(o, json_get(fact, "subject"));
    output_str(o, " ");
    print_words(o, json_get(fact, "predicate"));
    if (json_type(json_get(fact, "value")) == JSON_STRING) {
        output_str(o, ": ");
        print_words(o, json_get(fact, "value"));
    }
    if (json_bool(json_get(fact, "stale"), false))
        output_str(o, " (stale)");
    if (json_type(status) != JSON_STRING || json_is_string(status, "active"))
        return;
    output_str(o, " (");
    print_words(o, status);
    output_str(o, ")");
}

// "all contexts", "context ticket-7"; where its name is not known, the beginning of its digest.
static void print_scope(struct output *o, struct json fact)
{
    if (!is_said(json_get(fact, "scope"))) {
        output_str(o, "all contexts");
        return;
    }
    output_str(o, "context ");
    if (is_said(json_get(fact, "context")))
        print_words(o, json_get(fact, "context"));
    else
        print_short(o, json_get(fact, "scope"), SHORT_ID);
}

// "circumstance, said in 2 turns, last 2026-01-31 10:15"
static void print_standing(struct output *o, struct json fact)
{
    int64_t turns = json_i64(json_get(fact, "confirmations"), 0);

    print_words(o, json_get(fact, "kind"));
    if (turns)
        outputf(o, ", said in %" PRId64 " turn%s", turns, turns == 1 ? "" : "s");
    print_time(o, ", last ", json_get(fact, "confirmed_at"));
    if (is_said(json_get(fact, "scope"))) {
        output_str(o, ", in ");
        print_scope(o, fact);
    }
}

// "\"I moved to Lisbon\" (turn 4 of 62e7d335)"
static void print_quote(struct output *o, struct json evidence)
{
    if (json_type(json_get(evidence, "quote")) == JSON_STRING) {
        output_str(o, "\"");
        print_words(o, json_get(evidence, "quote"));
        output_str(o, "\" (turn ");
    } else {
        output_str(o, json_bool(json_get(evidence, "deleted"), false) ? "the turn was deleted ("
                                                                      : "(");
        output_str(o, "turn ");
    }
    print_words(o, json_get(evidence, "turn"));
    output_str(o, " of ");
    print_short(o, json_get(evidence, "session"), SHORT_ID);
    output_str(o, ")");
}

// ---- the list

static void print_fact(struct output *o, struct json fact)
{
    struct json evidence = json_get(fact, "evidence");
    uint32_t n = json_count(evidence);

    output_str(o, "  ");
    print_words(o, json_get(fact, "fact"));
    output_str(o, "  ");
    output_style(o, STYLE_BOLD);
    print_statement(o, fact);
    output_style(o, STYLE_PLAIN);
    output_str(o, "\n                ");
    print_standing(o, fact);
    output_str(o, "\n");
    if (n == 0)
        return;
    output_str(o, "                ");
    print_quote(o, json_at(evidence, 0));
    if (n > 1)
        outputf(o, ", and %u more", n - 1);
    output_str(o, "\n");
}

static void print_entry(struct output *o, struct json entry)
{
    output_str(o, "  ");
    print_short(o, json_get(entry, "at"), MINUTES);
    output_str(o, "  ");
    if (json_is_string(json_get(entry, "session"), "earlier")) {
        output_str(o, "earlier");
    } else {
        output_str(o, "session ");
        print_short(o, json_get(entry, "session"), SHORT_ID);
    }
    output_str(o, "\n");
    print_text(o, json_get(entry, "text"));
}

// Whether there was anything to print.
static bool print_part(struct output *o, const char *title, struct json rows,
                       void (*print_row)(struct output *o, struct json row))
{
    struct json_iter it = {0};
    struct json none, row;

    if (json_count(rows) == 0)
        return false;
    outputf(o, "%s\n", title);
    while (json_next(rows, &it, &none, &row))
        print_row(o, row);
    output_str(o, "\n");
    return true;
}

static bool print_core(struct output *o, struct json core)
{
    static const char *const parts[] = {"persona", "human"};
    bool any = is_said(json_get(core, "persona")) || is_said(json_get(core, "human"));

    if (!any)
        return false;
    output_str(o, "CORE\n");
    for (size_t i = 0; i < COUNT(parts); i++) {
        if (!is_said(json_get(core, parts[i])))
            continue;
        outputf(o, "  %-8s ", parts[i]);
        print_words(o, json_get(core, parts[i]));
        output_str(o, "\n");
    }
    output_str(o, "\n");
    return true;
}

static void note_nothing(struct cli *cli, struct json root, unsigned what)
{
    struct buf bot = BUF_INIT(VALUE_MAX);
    struct slice name = json_text(json_get(root, "bot"), &bot);

    if (!json_bool(json_get(root, "remembers"), false))
        output_note(&cli->output, "bot %.*s remembers nothing beyond a conversation: there is "
                    "no `memory` in a policy of that name", SLICE_FMT(name));
    else if (what & ~(unsigned)PARLEY_MEMORY_ALL)
        output_note(&cli->output, "bot %.*s has nothing of this kind about this user",
                    SLICE_FMT(name));
    else
        output_note(&cli->output, "bot %.*s has learnt nothing of this user yet", SLICE_FMT(name));
    buf_release(&bot);
}

static int print_table(struct cli *cli, struct json root, unsigned what)
{
    struct output *o = &cli->output;

    bool any = print_part(o, "FACTS", json_get(root, "facts"), print_fact);
    any |= print_part(o, "KNOWLEDGE", json_get(root, "knowledge"), print_fact);
    any |= print_part(o, "JOURNAL", json_get(root, "journal"), print_entry);
    any |= print_core(o, json_get(root, "core"));
    if (!any)
        note_nothing(cli, root, what);
    return PARLEY_OK;
}

static void print_lines(struct output *o, struct json rows)
{
    struct json_iter it = {0};
    struct json none, row;

    while (json_next(rows, &it, &none, &row)) {
        output_bytes(o, json_raw(row));
        output_str(o, "\n");
    }
}

static int print_jsonl(struct output *o, struct json root)
{
    struct json core = json_get(root, "core");

    print_lines(o, json_get(root, "facts"));
    print_lines(o, json_get(root, "knowledge"));
    print_lines(o, json_get(root, "journal"));
    if (json_type(core) == JSON_OBJECT) {
        output_bytes(o, json_raw(core));
        output_str(o, "\n");
    }
    return PARLEY_OK;
}

static void add_facts(struct table *t, struct json rows)
{
    struct json_iter it = {0};
    struct json none, row;

    while (json_next(rows, &it, &none, &row)) {
        listing_row(t, fact_columns, COUNT(fact_columns), row, true);
        listing_row(t, evidence_columns, COUNT(evidence_columns),
                    json_at(json_get(row, "evidence"), 0), true);
    }
}

// A table has one kind of rows: facts and knowledge, unless another kind is asked for.
static int print_csv(struct cli *cli, struct json root, unsigned what)
{
    struct json_iter it = {0};
    struct json none, row;
    struct table t;

    if (what & PARLEY_MEMORY_JOURNAL) {
        listing_start(&t, journal_columns, COUNT(journal_columns), 0, true);
        while (json_next(json_get(root, "journal"), &it, &none, &row))
            listing_row(&t, journal_columns, COUNT(journal_columns), row, true);
    } else if (what & PARLEY_MEMORY_CORE) {
        listing_start(&t, core_columns, COUNT(core_columns), 0, true);
        listing_row(&t, core_columns, COUNT(core_columns), json_get(root, "core"), true);
    } else {
        listing_start(&t, fact_columns, COUNT(fact_columns), COUNT(evidence_columns), true);
        for (size_t i = 0; i < COUNT(evidence_columns); i++)
            table_add_str(&t, evidence_columns[i].key);
        add_facts(&t, json_get(root, "facts"));
        add_facts(&t, json_get(root, "knowledge"));
    }
    return listing_end(cli, &t, true);
}

int memory_list(struct cli *cli, const parley_scope *scope, unsigned what)
{
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request = 0;
    struct answer answer;
    int code = parley_memory(cli->engine, scope, what, &request, &error);

    code = cli_answer(cli, code, request, &error, &answer);
    if (code < 0)
        return code;
    struct json root = json_root(&answer.doc);
    if (cli->options.format == FORMAT_JSON)
        output_line(&cli->output, answer.event->json);
    else if (cli->options.format == FORMAT_JSONL)
        code = print_jsonl(&cli->output, root);
    else if (cli->options.format == FORMAT_CSV)
        code = print_csv(cli, root, what);
    else
        code = print_table(cli, root, what);
    cli_answer_free(&answer);
    return code;
}

// ---- one fact

typedef int asked_of_fact(parley *e, const parley_scope *scope, const char *fact,
                          uint64_t *request, parley_error *error);

static int ask_of_fact(struct cli *cli, asked_of_fact *ask, const parley_scope *scope,
                       const char *fact, void (*print)(struct output *o, struct json root))
{
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request = 0;
    struct answer answer;
    int code = ask(cli->engine, scope, fact, &request, &error);

    code = cli_answer(cli, code, request, &error, &answer);
    if (code < 0)
        return code;
    if (cli->options.format == FORMAT_JSON)
        output_line(&cli->output, answer.event->json);
    else
        print(&cli->output, json_root(&answer.doc));
    cli_answer_free(&answer);
    return PARLEY_OK;
}

// ---- why one is remembered

// "(does not bear it out: it tells what somebody else says)"
static void print_why_not(struct output *o, struct json why)
{
    output_str(o, " (does not bear it out");
    if (is_said(why)) {
        output_str(o, ": ");
        print_words(o, why);
    }
    output_str(o, ")");
}

static void print_evidence(struct output *o, struct json evidence)
{
    output_str(o, "  ");
    print_short(o, json_get(evidence, "at"), MINUTES);
    output_str(o, "  ");
    print_quote(o, evidence);
    outputf(o, "\n                    bytes %" PRId64 "-%" PRId64 ", said by the ",
            json_i64(json_get(evidence, "start"), 0), json_i64(json_get(evidence, "end"), 0));
    print_words(o, json_get(evidence, "author"));
    if (json_bool(json_get(evidence, "negates"), false))
        output_str(o, " (that it is so no more)");
    else if (!json_bool(json_get(evidence, "supported"), true))
        print_why_not(o, json_get(evidence, "why"));
    // Of a fact that was forgotten it is not kept who found it.
    if (is_said(json_get(evidence, "extractor"))) {
        output_str(o, "; ");
        print_words(o, json_get(evidence, "extractor"));
        output_str(o, ", ");
        print_words(o, json_get(evidence, "policy"));
    }
    if (is_said(json_get(evidence, "fact"))) {
        output_str(o, ", fact ");
        print_words(o, json_get(evidence, "fact"));
    }
    output_str(o, "\n");
}

static void print_period(struct output *o, struct json period)
{
    output_str(o, "  ");
    print_time(o, "recorded ", json_get(period, "recorded_at"));
    print_time(o, ", retired ", json_get(period, "retired_at"));
    print_time(o, ", so since ", json_get(period, "valid_from"));
    print_time(o, ", so until ", json_get(period, "valid_to"));
    output_str(o, "\n");
}

static void print_other(struct output *o, struct json fact)
{
    output_str(o, "  ");
    print_words(o, json_get(fact, "fact"));
    output_str(o, "  ");
    print_statement(o, fact);
    output_str(o, "\n  ");
    print_period(o, fact);
}

static void print_why(struct output *o, struct json root)
{
    struct json fact = json_get(root, "fact");

    print_words(o, json_get(fact, "fact"));
    output_str(o, "  ");
    print_statement(o, fact);
    output_str(o, "\n");
    print_standing(o, fact);
    output_str(o, "\n");
    print_period(o, fact);
    if (is_said(json_get(fact, "superseded_by"))) {
        output_str(o, "  superseded by ");
        print_words(o, json_get(fact, "superseded_by"));
        output_str(o, "\n");
    }
    print_time(o, "  forgotten ", json_get(fact, "forgotten_at"));
    output_end_line(o);
    output_str(o, "  holds in ");
    print_scope(o, fact);
    output_str(o, "\n\n");
    print_part(o, "EVIDENCE", json_get(fact, "evidence"), print_evidence);
    print_part(o, "EARLIER", json_get(fact, "earlier"), print_period);
    print_part(o, "OTHER VALUES", json_get(root, "others"), print_other);
}

int memory_why(struct cli *cli, const parley_scope *scope, const char *fact)
{
    return ask_of_fact(cli, parley_fact, scope, fact, print_why);
}

// ---- forgetting

static bool same_member(struct json a, struct json b, const char *name)
{
    struct slice x = json_raw(json_get(a, name)), y = json_raw(json_get(b, name));

    return slice_eq(x, y);
}

// Of one session, whose turns are deleted together: "turn 2", "turns 1, 4 and 7".
static void print_turns(struct output *o, struct json turns, uint32_t first, uint32_t n)
{
    output_str(o, n == 1 ? "turn " : "turns ");
    for (uint32_t i = first, left = n; left; i++) {
        if (!same_member(json_at(turns, first), json_at(turns, i), "session"))
            continue;
        print_words(o, json_get(json_at(turns, i), "turn"));
        left--;
        output_str(o, left > 1 ? ", " : left ? " and " : "");
    }
}

// A line a session: how long its turns stay is the session's.
static void print_staying(struct output *o, struct json turns)
{
    uint32_t len = json_count(turns);

    for (uint32_t i = 0; i < len; i++) {
        struct json turn = json_at(turns, i);
        uint32_t of_it = 0, before = 0;

        for (uint32_t k = 0; k < len; k++) {
            bool same = same_member(turn, json_at(turns, k), "session");
            of_it += same;
            before += same && k < i;
        }
        if (before)
            continue;
        output_str(o, "What was said stays in ");
        print_turns(o, turns, i, of_it);
        output_str(o, " of ");
        print_short(o, json_get(turn, "session"), SHORT_ID);
        print_time(o, " until ", json_get(turn, "deleted_at"));
        output_str(o, json_type(json_get(turn, "deleted_at")) == JSON_STRING
                          ? ".\n" : "; its policy deletes no turns.\n");
    }
}

static void print_forgotten(struct output *o, struct json root)
{
    uint32_t more = json_count(json_get(root, "knowledge"));
    int64_t lines = json_i64(json_get(root, "lines"), 0);

    output_str(o, json_bool(json_get(root, "again"), false) ? "Forgotten already: "
                                                            : "Forgotten: ");
    print_words(o, json_get(root, "fact"));
    output_str(o, ", ");
    print_statement(o, root);
    output_str(o, ".\n");
    if (more)
        outputf(o, "With it went %u conclusion%s that rested on it alone.\n", more,
                more == 1 ? "" : "s");
    if (lines)
        outputf(o, "%" PRId64 " line%s of journal and core memory told of it, and went too.\n",
                lines, lines == 1 ? "" : "s");
    print_staying(o, json_get(root, "turns"));
}

int memory_forget(struct cli *cli, const parley_scope *scope, const char *fact)
{
    return ask_of_fact(cli, parley_forget, scope, fact, print_forgotten);
}

// ---- the commands

unsigned memory_part(struct slice word)
{
    static const char *const words[] = {"all", "facts", "knowledge", "journal", "core"};
    static const unsigned parts[] = {PARLEY_MEMORY_ALL, PARLEY_MEMORY_FACTS,
                                     PARLEY_MEMORY_KNOWLEDGE, PARLEY_MEMORY_JOURNAL,
                                     PARLEY_MEMORY_CORE};

    for (size_t i = 0; i < COUNT(words); i++)
        if (slice_is(word, words[i]))
            return parts[i];
    return 0;
}

static unsigned what_is_asked(const struct options *o)
{
    unsigned what = option_on(o, FLAG_ALL) ? PARLEY_MEMORY_ALL : 0;

    if (option_on(o, FLAG_KIND))
        what |= memory_part(slice_str(o->value[FLAG_KIND]));
    return what;
}

int command_memory(struct cli *cli)
{
    parley_scope scope;
    int code = cli_open(cli);

    if (code < 0)
        return code;
    cli_scope(cli, &scope);
    return memory_list(cli, &scope, what_is_asked(&cli->options));
}

int command_forget(struct cli *cli)
{
    parley_scope scope;
    int code = cli_open(cli);

    if (code < 0)
        return code;
    cli_scope(cli, &scope);
    return memory_forget(cli, &scope, cli->options.words[0]);
}
