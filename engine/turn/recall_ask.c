// SPDX-License-Identifier: MIT
// recall_ask.c: `parley recall`: the ranking for a query over messages and what is remembered, each
// with its text, where that was said, and why it is there.
#include "turn/mask.h"
#include "turn/recall_int.h"
#include "turn/resolve.h"

#include "base/json.h"

enum { WHY_BYTES_MAX = 2048, RECALL_K_DEFAULT = 10 };

struct found {
    enum recall_kind kind;
    char session[ID_TEXT_BYTES];  // where it was said; "": nowhere that is kept
    char fact[FACT_ID_BYTES];     // of a fact or knowledge
    uint32_t turn, score;
    uint8_t step;
    struct buf why;
    enum role role;
    struct safe_buf text;
    bool there;  // its turn was read, or the book has it
};

struct asking {
    struct recall_hit hits[RECALL_HITS_MAX];
    struct found found[RECALL_HITS_MAX];
    uint32_t len, at;
};

static void asking_free(void *extra)
{
    struct asking *a = extra;
    for (uint32_t i = 0; i < a->len; i++) {
        buf_release(&a->found[i].why);
        safe_buf_release(&a->found[i].text);
    }
    mem_free(a);
}

// What found it, where both were asked: what has a quarter of the score.
static void write_by(struct buf *out, const struct recall_hit *hit)
{
    bool meaning = hit->meaning >= hit->score / 4;
    bool words = hit->score - hit->meaning >= hit->score / 4;
    buf_addf(out, "by %s%s%s", words ? "words" : "", words && meaning ? " and " : "",
             meaning ? "meaning" : "");
}

// "tulip 8.120, garden ~ gardening 4.031, nearby 2.210; speaker x1.50", and before it what found it
static void write_why(struct buf *out, const struct recall_hit *hit)
{
    uint32_t around = 0;
    if (hit->fused)
        write_by(out, hit);
    if (hit->fused && hit->lexical)
        buf_add_str(out, ": ");
    size_t from = out->len;
    for (unsigned i = 0; i < hit->why_len; i++) {
        const struct recall_why *why = &hit->why[i];
        around += why->around;
        if (!why->own)
            continue;
        buf_addf(out, "%s%s", out->len > from ? ", " : "", why->term);
        if (why->asked[0] && strcmp(why->asked, why->term) != 0)
            buf_addf(out, " (as %s)", why->asked);
        buf_addf(out, " %u.%03u", why->own / 1000, why->own % 1000);
    }
    if (around)
        buf_addf(out, "%saround it %u.%03u", out->len > from ? ", " : "", around / 1000,
                 around % 1000);
    bool is_fact = hit->kind == RECALL_FACT || hit->kind == RECALL_KNOWLEDGE;
    const struct { const char *name; uint16_t factor; } factors[] = {
        {"speaker", hit->speaker}, {"date", hit->date},
        {is_fact ? "confirmed" : "recent", hit->recency}, {"asks", hit->asking},
    };
    for (size_t i = 0; i < sizeof(factors) / sizeof(factors[0]); i++) {
        uint32_t percent = factors[i].factor * 100u / 256;
        if (percent != 100)
            buf_addf(out, "; %s x%u.%02u", factors[i].name, percent / 100, percent % 100);
    }
    if (hit->cosine)
        buf_addf(out, "; cosine %s%d.%03d", hit->cosine < 0 ? "-" : "", abs(hit->cosine) / 1000,
                 abs(hit->cosine) % 1000);
}

// What a fact rests on: "; said in 3 turns, last on 2026-03-01", or the facts that bear it.
static void write_evidence(struct buf *out, const struct fact *f, enum recall_kind kind)
{
    char at[CLOCK_TEXT_BYTES];
    if (kind == RECALL_KNOWLEDGE) {
        buf_add_str(out, "; concluded from");
        for (size_t i = 0; i < f->evidence.len; i++)
            buf_addf(out, "%s fact %s", i ? "," : "", fact_evidence_at(f, i)->fact);
        return;
    }
    clock_format(f->confirmed_at_ms ? f->confirmed_at_ms : f->recorded_at_ms, at);
    buf_addf(out, "; said in %u turn%s, last on %.10s", f->confirmations,
             f->confirmations == 1 ? "" : "s", at);
}

// Of when a line of the journal tells: "; of the talk of 2026-03-01, 14 turns".
static void write_talk(struct buf *out, const struct journal_entry *e)
{
    char from[CLOCK_TEXT_BYTES], upto[CLOCK_TEXT_BYTES];
    clock_format(e->from_ms, from);
    clock_format(e->at_ms, upto);
    if (journal_entry_is_earlier(e))
        buf_addf(out, "; of %u talk%s from %.10s to %.10s", e->sessions,
                 e->sessions == 1 ? "" : "s", from, upto);
    else
        buf_addf(out, "; of the talk of %.10s, %u turn%s", from, e->turns,
                 e->turns == 1 ? "" : "s");
}

// The book has its text, and where it was said.
static void copy_memory(const struct run *run, struct found *f, const struct recall_hit *hit)
{
    struct found_memory m;
    if (!shelf_find_memory(run->shelf, hit->kind, hit->session, hit->step, &m))
        return;
    shelf_tell_memory(&m, &f->text);
    f->there = true;
    if (hit->kind == RECALL_JOURNAL) {
        if (!journal_entry_is_earlier(m.entry))
            snprintf(f->session, sizeof(f->session), "%s", m.entry->session);
        write_talk(&f->why, m.entry);
        return;
    }
    const struct fact_evidence *source = fact_source(m.at.fact);
    memcpy(f->fact, m.at.fact->id, sizeof(f->fact));
    if (source) {
        snprintf(f->session, sizeof(f->session), "%s", source->session);
        f->turn = source->turn;
    }
    write_evidence(&f->why, m.at.fact, hit->kind);
}

static int copy_hits(const struct run *run, struct asking *a, struct err *err)
{
    for (uint32_t i = 0; i < a->len; i++) {
        const struct recall_hit *hit = &a->hits[i];
        struct found *f = &a->found[i];
        buf_init(&f->why, WHY_BYTES_MAX);
        safe_buf_init(&f->text, CONTENT_BYTES_MAX);
        f->kind = hit->kind;
        f->score = hit->score;
        write_why(&f->why, hit);
        if (hit->kind != RECALL_TURN) {
            copy_memory(run, f, hit);
            continue;
        }
        snprintf(f->session, sizeof(f->session), "%.*s", SLICE_FMT(hit->session));
        f->turn = hit->turn;
        f->step = hit->step;
    }
    for (uint32_t i = 0; i < a->len; i++) {
        int code = buf_check(&a->found[i].why, "why a message was recalled", err);
        if (code)
            return code;
    }
    return E_OK;
}

static void write_found(struct json_writer *w, const struct found *f)
{
    char turn[16];
    snprintf(turn, sizeof(turn), "%u", f->turn);
    jw_object(w);
    jw_kv_str(w, "kind", sent_kind_word((enum sent_kind)f->kind));
    if (f->fact[0])
        jw_kv_str(w, "fact", f->fact);
    jw_kv_str(w, "session", f->session[0] ? f->session : NULL);
    jw_kv_str(w, "turn", f->turn ? turn : NULL);
    jw_kv_str(w, "role", f->kind == RECALL_TURN ? role_word(f->role) : NULL);
    jw_kv_slice(w, "text", safe_slice(safe_buf_text(&f->text)));
    jw_kv_double(w, "score", (double)f->score / 1000);
    jw_kv_slice(w, "why", buf_slice(&f->why));
    jw_object_end(w);
}

static void answer(struct run *run)
{
    struct asking *a = run->extra;
    struct buf json = BUF_INIT(RESULT_BYTES_MAX);
    struct json_writer w;
    jw_init(&w, &json);
    jw_array(&w);
    for (uint32_t i = 0; i < a->len; i++)
        if (a->found[i].there)
            write_found(&w, &a->found[i]);
    jw_array_end(&w);
    emit_result(run, &json);
}

static int take_turn(void *user, const struct turn *t, struct err *err)
{
    struct asking *a = user;
    struct found *f = &a->found[a->at];
    if (f->step >= t->steps_len)
        return E_OK;
    f->there = true;
    f->role = t->steps[f->step].role;
    content_text(&t->steps[f->step].content, &f->text);
    return safe_buf_check(&f->text, "a message", err);
}

static void read_next(struct run *run);

static void text_read(struct ledger_op *op)
{
    struct run *run = turn_op_over(op);
    struct asking *a = run->extra;
    if (op->code) {
        emit_error(run, op->code, &op->err);
        return;
    }
    a->at++;
    read_next(run);
}

static void read_next(struct run *run)
{
    struct asking *a = run->extra;
    while (a->at < a->len && a->found[a->at].kind != RECALL_TURN)
        a->at++;
    if (a->at == a->len) {
        answer(run);
        return;
    }
    const struct found *f = &a->found[a->at];
    struct ledger_pick pick = {.partition = run->partition,
                               .session = f->session,
                               .key = run->user_key,
                               .first = f->turn,
                               .last = f->turn,
                               .take = take_turn,
                               .user = a};
    turn_op_start(run, text_read);
    ledger_pick(run->w->ledger, &pick, &run->op);
}

static void asked(struct run *run)
{
    struct asking *a = run->extra;
    struct err err = ERR_INIT;
    struct recall *r = shelf_recall(run, &err);
    if (!r) {
        emit_error(run, err.code, &err);
        return;
    }
    if (run->book && shelf_remember(run, &err)) {
        emit_error(run, err.code, &err);
        return;
    }
    struct slice text = safe_slice(safe_buf_text(&run->text));
    struct recall_query q = {
        .scope = {slice_str(run->partition), slice_str(run->job->bot),
                  slice_str(run->job->context), shelf_context_key(run)},
        .text = slice_of(text.ptr, text.len < RECALL_QUERY_BYTES_MAX ? text.len
                                                                     : RECALL_QUERY_BYTES_MAX),
        .vector = query_vector(run, r),
        .now_ms = clock_wall_ms(run->w->env.clock),
        .k = run->job->turn ? run->job->turn : RECALL_K_DEFAULT,
        .kinds = 1U << RECALL_TURN | (run->book ? RECALL_MEMORIES : 0),
        .explain = true,
    };
    int code = recall_query(r, &q, a->hits, &a->len, &err);
    if (!code)
        code = copy_hits(run, a, &err);
    if (code)
        emit_error(run, code, &err);
    else
        read_next(run);
}

static void have_book(struct run *run)
{
    query_open(run, safe_buf_text(&run->text), EMBEDDING_ASKED_MS, asked);
}

// What was said is stored as it was redacted; a query is looked for in the same words. What nobody
// has said is given no number.
static void redact(struct run *run)
{
    struct redact_how how = mask_how(run, REDACT_PEOPLE);
    struct err err = ERR_INIT;
    how.known_only = true;
    if (redact_text(&how, buf_slice(&run->job->text), &run->text, &err))
        emit_error(run, err.code, &err);
    else
        book_get(run, have_book);
}

static void have_scope(struct run *run)
{
    mask_prepare(run, redact);
}

static void have_user(struct run *run)
{
    struct asking *a = mem_zalloc(sizeof(*a));
    struct err err = ERR_INIT;
    if (!a) {
        emit_error(run, err_set(&err, E_NOMEM, "out of memory for a query"), &err);
        return;
    }
    run->extra = a;
    run->extra_free = asking_free;
    if (!run->user_key)
        answer(run);  // a stranger has said nothing
    else
        resolve_scope(run, have_scope);
}

void recall_start(struct run *run)
{
    struct err err = ERR_INIT;
    safe_buf_init(&run->text, CONTENT_BYTES_MAX);
    int code = redact_check(buf_slice(&run->job->text), &err);
    if (!code && run->job->turn > RECALL_HITS_MAX)
        code = err_set(&err, E_USAGE, "recall gives %d messages at most, not %u", RECALL_HITS_MAX,
                       run->job->turn);
    if (code)
        emit_error(run, code, &err);
    else
        resolve_user(run, false, have_user);
}
