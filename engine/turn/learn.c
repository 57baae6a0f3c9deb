// SPDX-License-Identifier: MIT
// learn.c: a session is learnt from (learn.h).
//
//   JOB_LEARN ─▶ key ─▶ the session's head ─▶ policy, masks ─▶ how far it was learnt from
//     │ nothing is to be done, or it rests after a failure: over
//     ▼
//   LOAD ───▶ the next LEARN_TURNS turns, and some before, in a view of the session
//     ▼
//   EXTRACT ▶ the policy's rules, turn by turn                                       (aside.c)
//     ▼ the session is over, and a model is to be asked
//   ASK ────▶ a model                                                         (learn_model.c)
//     ▼
//   RECALLED what was recalled for turns in which something was found      (learn_recalled.c)
//     ▼
//   COMMIT ─▶ gate and book; facts, and how far it was learnt from, in one    (learn_judge.c)
//     │ turns are left ─▶ LOAD                                         another wrote it meanwhile:
//     ▼ the session is over                                                   COMMIT again
//   SUMMARY ▶ of all its turns, if the policy has summaries                       (summary.c)
//     ▼
//   JOURNAL ▶ its entry, in one commit with word that all this is done            (journal.h)
//
// Where nothing was found nothing is written, as long as that is not too often: how far was looked
// is then known to the live session alone, and looked for again by who comes after it.
#include "memory/journal.h"
#include "turn/journal.h"
#include "turn/learn_int.h"
#include "turn/reflect.h"
#include "turn/summary.h"

enum { PAST_PLAY = 1, PAST_WORK = 2, PAST_NEXT = 4 };

static void commit(struct run *run);

// ---- the end

static void drop_found(struct learning *s)
{
    for (unsigned i = 0; i < LEARN_TURNS; i++)
        fact_candidates_clear(&s->found[i]);
}

void learn_finish(struct run *run, int code, const struct err *err)
{
    const struct learning *s = learning_of(run);
    if (s && s->again && !run->stopped)
        learn_once_more(run);
    bool quiet = code == E_NOT_FOUND || code == E_BUSY || code == E_CANCELLED || code == E_ERASED;
    if (code && !quiet)
        log_line(run->w->env.log, LOG_WARN, "learn: session=%s: %s", run->job->session,
                 err->message);
    if (code) {
        emit_error(run, code, err);
        return;
    }
    struct buf json = BUF_INIT(16);
    buf_add_str(&json, "{}");
    emit_result(run, &json);
}

void learn_finish_with(struct run *run, int code, const char *why)
{
    struct err err = ERR_INIT;
    err_set(&err, code, "%s", why);
    learn_finish(run, code, &err);
}

void learn_finish_well(struct run *run)
{
    learn_finish(run, E_OK, NULL);
}

// ---- how far it was learnt from

static struct gate_past past_of(unsigned bits)
{
    return (struct gate_past){.play = bits & PAST_PLAY,
                              .work = bits & PAST_WORK,
                              .next = bits & PAST_NEXT};
}

static unsigned past_bits(const struct gate_past *past)
{
    return (past->play ? PAST_PLAY : 0) | (past->work ? PAST_WORK : 0) |
           (past->next ? PAST_NEXT : 0);
}

// Whether it is to be tried again because of it, and how often.
static bool is_try(int code)
{
    return code && code != E_STORE && code != E_NOMEM && code != E_ERASED && code != E_CANCELLED &&
           code != E_BUSY;
}

// What was looked at without a finding; NULL: the session is not in memory.
static struct live *in_memory(const struct run *run)
{
    struct live *live = map_get(run->w->live, slice_str(run->job->session));
    return live && strcmp(live->chat->head.partition, run->partition) == 0 ? live : NULL;
}

void learn_begin_walk(struct learning *s)
{
    const struct live *live = in_memory(s->run);
    s->at = s->from = s->learnt.upto;
    s->past = past_of(s->learnt.past);
    if (!s->ended && live && live->learnt_upto > s->at && live->learnt_upto <= s->last) {
        s->at = s->from = live->learnt_upto;
        s->past = past_of(live->learnt_past);
    } else if (s->by_model && s->learnt.model_upto < s->at) {
        s->at = 0;
        s->past = (struct gate_past){0};
    }
}

static void note_progress(const struct learning *s)
{
    struct live *live = in_memory(s->run);
    if (!live || s->ended)
        return;
    live->learnt_upto = s->at;
    live->learnt_past = past_bits(&s->past);
}

// ---- a failure that is not the store's: counted, and in the end passed over

static int write_next(struct learning *s, struct book *b, struct ledger_memory_commit *extra,
                      struct err *err)
{
    (void)b;
    (void)err;
    extra->learnt = &s->next;
    return E_OK;
}

// What is known of the session may be older than a book that another process has changed since.
static int guarded(struct book_change *change, struct book *b, struct ledger_memory_commit *extra,
                   struct err *err)
{
    struct learning *s = change->user;
    if (b->manifest.version != s->guard)
        return err_set(err, E_CONFLICT, "another process learns from what this user says");
    return s->apply(s, b, extra, err);
}

static void start_change(struct run *run,
                         int (*apply)(struct learning *s, struct book *b,
                                      struct ledger_memory_commit *extra, struct err *err),
                         void (*done)(struct book_change *change))
{
    struct learning *s = learning_of(run);
    s->apply = apply;
    s->change = (struct book_change){.key = run->user_key, .apply = guarded, .done = done,
                                     .user = s};
    memcpy(s->change.partition, run->partition, strlen(run->partition));
    memcpy(s->change.bot, s->head.bot, strlen(s->head.bot));
    book_change(run->w, &s->change);
}

// Its code; what the book says now is not looked at.
static int change_over(struct book_change *change, struct err *err)
{
    struct learning *s = change->user;
    int code = change->code;
    *err = change->err;
    if (!code)
        s->guard = change->book->manifest.version;
    book_release(change->book);
    change->book = NULL;
    return code;
}

bool learn_gives_up(const struct learning *s)
{
    return s->learnt.tries >= LEARN_TRIES_MAX;
}

void learn_no_book(struct run *run, int code, const struct err *err)
{
    const struct learning *s = learning_of(run);
    if (code == E_CORRUPT && s->ended) {
        // Nothing can be remembered by that bot until it is repaired.
        log_line(run->w->env.log, LOG_ERROR, "learn: session=%s: %s", s->head.id, err->message);
        learn_finish_well(run);
    } else {
        learn_finish(run, code == E_CONFLICT ? E_BUSY : code, err);
    }
}

static void counted(struct book_change *change)
{
    struct learning *s = change->user;
    struct run *run = s->run;
    struct err err;
    int code = change_over(change, &err);
    if (code) {
        learn_no_book(run, code, &err);
        return;
    }
    s->learnt = s->next;
    if (learn_gives_up(s)) {
        log_line(run->w->env.log, LOG_ERROR, "learn: session=%s: given up: %s", s->head.id, s->why);
        learn_finish_well(run);
        return;
    }
    learn_finish_with(run, s->failed, s->why);
}

void learn_fail(struct run *run, int code, const struct err *err)
{
    struct learning *s = learning_of(run);
    if (!s->ended || !is_try(code)) {
        learn_finish(run, code, err);
        return;
    }
    s->failed = code;
    snprintf(s->why, sizeof(s->why), "%s", err->message);
    s->next = s->learnt;
    s->next.tries++;
    s->next.at_ms = clock_wall_ms(run->w->env.clock);
    start_change(run, write_next, counted);
}

// ---- SUMMARY, JOURNAL

static void told(struct run *run, int code, const struct err *err)
{
    if (code == E_CONFLICT)
        learn_finish(run, E_BUSY, err);
    else if (code)
        learn_fail(run, code, err);
    else
        learn_finish_well(run);
}

static void ended_written(struct book_change *change)
{
    struct learning *s = change->user;
    struct err err;
    int code = change_over(change, &err);
    told(s->run, code, &err);
}

static int write_end(struct learning *s, struct book *b, struct ledger_memory_commit *extra,
                     struct err *err)
{
    s->next.journal = true;
    if (!s->learnt.journal)
        reflect_count(&b->manifest, s->rules, s->next.at_ms);
    return write_next(s, b, extra, err);
}

static void tell_journal(struct run *run)
{
    struct learning *s = learning_of(run);
    if (run->stopped) {
        learn_finish_with(run, E_CANCELLED, "the engine closes");
        return;
    }
    s->next = s->learnt;
    s->next.upto = s->last;
    s->next.past = past_bits(&s->past);
    s->next.tries = 0;
    s->next.at_ms = clock_wall_ms(run->w->env.clock);
    if (s->rules->journal)
        journal_of_session(run, &s->head, &s->next, s->rules->use_model && !learn_gives_up(s),
                           told);
    else
        start_change(run, write_end, ended_written);
}

void learn_end_walk(struct run *run)
{
    struct learning *s = learning_of(run);
    note_progress(s);
    if (s->ended) {
        summary_at_end(run, &s->head, tell_journal);
    } else if (s->again) {
        // Also while the engine closes: what was said last is known when it is opened again.
        s->again = false;
        learn_look_up(run);
    } else {
        // Nobody else writes the entry anew: the sweep is through with the session.
        if (s->untold && s->head.status == SESSION_ARCHIVED)
            learn_ended(run, &s->head);
        learn_finish_well(run);
    }
}

// ---- COMMIT

// Whether its entry of the journal was written before turns of it were taken back.
static bool tells_undone(const struct learning *s, const struct book *b)
{
    uint32_t turns;
    return s->learnt.journal && journal_tells(&b->journal, s->head.id, &turns) &&
           turns > session_live_turns(&s->head, s->head.turns);
}

static int apply(struct learning *s, struct book *b, struct ledger_memory_commit *extra,
                 struct err *err)
{
    struct learnt *next = &s->next;
    bool asked = s->asked_upto > s->learnt.model_upto;
    int code = learn_judge(s, b, err);
    if (code)
        return code;
    *next = s->learnt;
    if (s->upto > next->upto) {
        next->upto = s->upto;
        next->past = past_bits(&s->past_after);
        next->journal = false;
    }
    if (asked)
        next->model_upto = s->asked_upto;
    snprintf(next->extractor, sizeof(next->extractor), "%s", s->extractor);
    next->tries += is_try(s->failed);
    next->at_ms = clock_wall_ms(s->run->w->env.clock);
    s->untold = tells_undone(s, b);
    next->journal &= !s->untold;
    s->written = fact_book_changed(b->facts) || asked || next->tries != s->learnt.tries ||
                 s->untold || next->upto - s->learnt.upto >= LEARN_UNWRITTEN_MAX;
    if (s->written)
        extra->learnt = next;
    return E_OK;
}

// Another process learns from the session, too: what it found is in the book now.
static void met_another(struct run *run, const struct err *err)
{
    struct learning *s = learning_of(run);
    if (++s->conflicts == BOOK_TRIES_MAX)
        learn_finish(run, E_BUSY, err);
    else
        learn_find_learnt(run, commit);
}

static void tell_log(const struct learning *s)
{
    const struct learn_tally *t = &s->tally;
    if (t->found || t->retired)
        log_line(s->run->w->env.log, LOG_INFO,
                 "learn: session=%s upto=%u found=%u new=%u confirmed=%u superseded=%u "
                 "quarantined=%u refused=%u retired=%u", s->head.id, s->upto, t->found, t->news,
                 t->confirmed, t->superseded, t->quarantined, t->refused, t->retired);
}

// The model failed, which is written down. Whether rules go on alone.
static bool goes_on_without_model(struct run *run)
{
    struct learning *s = learning_of(run);
    s->by_model = false;
    if (!s->failed)
        return true;
    if (!is_try(s->failed) || !learn_gives_up(s)) {
        learn_finish_with(run, s->failed, s->why);
        return false;
    }
    log_line(run->w->env.log, LOG_WARN, "learn: session=%s: the model failed %u times, rules have "
             "to do: %s", s->head.id, s->learnt.tries, s->why);
    s->failed = E_OK;
    return true;
}

static void committed(struct book_change *change)
{
    struct learning *s = change->user;
    struct run *run = s->run;
    struct err err;
    int code = change_over(change, &err);
    if (code == E_CONFLICT) {
        met_another(run, &err);
        return;
    }
    if (code) {
        learn_no_book(run, code, &err);
        return;
    }
    tell_log(s);
    if (s->written)
        s->learnt = s->next;
    drop_found(s);
    learn_recalled_clear(s);
    s->at = s->upto;
    s->past = s->past_after;
    if (s->failed && !goes_on_without_model(run))
        return;
    if (s->at < s->last)
        learn_walk(run);
    else
        learn_end_walk(run);
}

static void commit(struct run *run)
{
    start_change(run, apply, committed);
}

// ---- EXTRACT

struct turn *learn_turn(const struct run *run, uint32_t n)
{
    struct turn *t = n ? chat_turn(run->live->chat, n) : NULL;
    return t && !t->superseded && !t->damaged && t->status != TURN_OPEN ? t : NULL;
}

struct safe_text learn_text(const struct step *s, struct safe_buf *scratch)
{
    if (s->content.len == 1 && s->content.blocks[0].type == BLOCK_TEXT)
        return s->content.blocks[0].text;
    safe_buf_clear(scratch);
    content_text(&s->content, scratch);
    return safe_buf_text(scratch);
}

int learn_add(struct learning *s, struct fact_candidate *c, const struct turn *t,
              const char *extractor, struct err *err)
{
    struct err why = ERR_INIT;
    memcpy(c->session, s->head.id, sizeof(c->session));
    c->turn = t->n;
    c->at_ms = t->steps[0].at_ms;
    snprintf(c->extractor, sizeof(c->extractor), "%s", extractor);
    snprintf(c->policy, sizeof(c->policy), "%s", s->run->policy->info.version);
    c->scope[0] = '\0';
    if (s->rules->by_context)
        snprintf(c->scope, sizeof(c->scope), "%s", s->run->context_hash);
    int code = fact_candidates_add(&s->found[t->n - s->at - 1], c, &why);
    return code == E_NOMEM ? err_set(err, code, "%s", why.message) : E_OK;
}

static void asked(struct run *run)
{
    learn_find_recalled(run, commit);
}

static void ask(struct run *run)
{
    struct learning *s = learning_of(run);
    if (s->by_model && !run->stopped)
        learn_ask_model(run, asked);
    else
        asked(run);
}

static int extract_turn(struct run *run, const struct turn *t, struct safe_buf *scratch,
                        struct err *err)
{
    struct learning *s = learning_of(run);
    struct policy_view view;
    struct fact_candidates all;
    struct err why = ERR_INIT;
    int code = E_OK;
    turn_view(run, &view);
    view.turn = t->n;
    view.text = learn_text(&t->steps[0], scratch);
    fact_candidates_init(&all);
    if (run->policy->ops->extract(run->policy, &view, t->n, &all, &why) && !s->failing) {
        s->failing = true;  // a turn as the others: once is enough
        turn_hook_failed(run, "memory.extract", &why);
    }
    for (size_t i = 0; i < fact_candidates_len(&all) && !code; i++)
        code = learn_add(s, fact_candidates_at(&all, i), t, s->extractor, err);
    fact_candidates_release(&all);
    return code;
}

static void extract(struct run *run)
{
    struct learning *s = learning_of(run);
    struct safe_buf scratch;
    struct err err = ERR_INIT;
    int code = E_OK;
    safe_buf_init(&scratch, CONTENT_BYTES_MAX);
    for (uint32_t n = s->at + 1; n <= s->upto && !code; n++) {
        const struct turn *t = learn_turn(run, n);
        if (t && n > s->from)
            code = extract_turn(run, t, &scratch, &err);
    }
    safe_buf_release(&scratch);
    if (code)
        learn_fail(run, code, &err);
    else
        ask(run);
}

// ---- LOAD

static void loaded(struct ledger_op *op)
{
    struct run *run = turn_op_over(op);
    struct learning *s = learning_of(run);
    struct err err = op->err;
    if (op->code)
        learn_fail(run, op->code, &err);
    else if (s->rules->has_extract && s->upto > s->from)
        aside_run(run, extract);
    else
        ask(run);
}

// The session as it was when turn `upto` was its newest: a view of its own.
static int make_view(struct run *run, struct err *err)
{
    struct learning *s = learning_of(run);
    struct session_head head = {0};
    struct live *live = NULL;
    int code = session_head_copy(&head, &s->head, err);
    head.turns = s->upto;
    if (!code)
        code = live_new(&live, run->w, &head, run->user_key, err);
    session_head_release(&head);
    if (!code)
        live_swap(run, live);
    return code;
}

void learn_walk(struct run *run)
{
    struct learning *s = learning_of(run);
    struct err err = ERR_INIT;
    s->upto = s->last - s->at > LEARN_TURNS ? s->at + LEARN_TURNS : s->last;
    s->tally = (struct learn_tally){0};
    if (s->upto == s->at) {  // an undo, which is all that there is
        commit(run);
        return;
    }
    if (make_view(run, &err)) {
        learn_fail(run, err.code, &err);
        return;
    }
    turn_op_start(run, loaded);
    ledger_load(run->live->chat, s->at > LEARN_BEFORE ? s->at - LEARN_BEFORE + 1 : 1, &run->op);
}
