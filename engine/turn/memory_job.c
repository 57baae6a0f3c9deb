// SPDX-License-Identifier: MIT
// memory_job.c: what a bot remembers of a user, for people to look at: facts and knowledge with the
// words that bear them out, journal and core memory.
//
//   user ─▶ bot (a session's, if one is named) ─▶ policy ─▶ book ─▶ names of contexts
//        ─▶ quotes, turn by turn ─▶ told
//
// Who asks right after a reply sees what was learnt from it: the book is opened when that is over.
// A quote is cut out of its turn when it is asked for, never kept: what was deleted is not quoted.
#include "turn/mask.h"
#include "turn/memory_int.h"
#include "turn/resolve.h"

enum { QUOTES_MAX = 1 << 16, QUOTES_BYTES_MAX = 32 << 20, LEARN_POLL_MS = 5,
       LEARN_POLLS_MAX = 100 };

static void remembering_free(void *extra)
{
    struct remembering *m = extra;
    book_release(m->book);
    vec_release(&m->facts);
    vec_release(&m->quotes);
    vec_release(&m->by_turn);
    vec_release(&m->contexts);
    buf_release(&m->text);
    mem_free(m);
}

int memory_no_fact(struct err *err, int code, struct slice fact)
{
    if (code != E_NOT_FOUND)
        return code;
    return err_set(err, E_NOT_FOUND, "there is no fact %.*s here: `parley memory --all` lists them",
                   (int)(fact.len < FACT_ID_BYTES ? fact.len : FACT_ID_BYTES), fact.ptr);
}

// ---- which

static bool is_told(const struct run *run, const struct fact_at *at)
{
    const struct remembering *m = run->extra;
    uint32_t what = run->job->turn;
    if (m->one.slot)
        return at->fact == m->one.fact;
    if (run->job->context[0] && at->slot->scope[0] &&
        strcmp(at->slot->scope, run->context_hash) != 0)
        return false;
    if (!(what & (at->slot->tier == TIER_FACT ? TELL_FACTS : TELL_KNOWLEDGE)))
        return false;
    return (what & TELL_ALL) || at->fact->status == FACT_ACTIVE ||
           at->fact->status == FACT_QUARANTINED;
}

// By tier; then as they were recorded.
static int by_time(const void *a, const void *b)
{
    const struct fact_at *x = a, *y = b;
    if (x->slot->tier != y->slot->tier)
        return x->slot->tier < y->slot->tier ? -1 : 1;
    if (x->fact->recorded_at_ms != y->fact->recorded_at_ms)
        return x->fact->recorded_at_ms < y->fact->recorded_at_ms ? -1 : 1;
    return strcmp(x->fact->id, y->fact->id);
}

static int too_much(const struct vec *list, struct err *err)
{
    return list->len == list->max
               ? err_set(err, E_REFUSED, "more is remembered than an answer holds: ask for one "
                         "kind, or for one fact")
               : err_set(err, E_NOMEM, "out of memory for what is remembered");
}

static int choose(struct run *run, struct err *err)
{
    struct remembering *m = run->extra;
    struct fact_at at = FACT_AT_START;
    while (fact_book_next(m->book->facts, &at)) {
        struct fact_at *told = is_told(run, &at) ? vec_push(&m->facts) : &at;
        if (!told)
            return too_much(&m->facts, err);
        *told = at;
    }
    if (m->facts.len)
        qsort(m->facts.ptr, m->facts.len, sizeof(struct fact_at), by_time);
    return E_OK;
}

// ---- quotes

static int by_turn(const void *a, const void *b)
{
    const struct quote *x = *(struct quote *const *)a, *y = *(struct quote *const *)b;
    int order = strcmp(x->of->session, y->of->session);
    if (order)
        return order;
    return x->of->turn < y->of->turn ? -1 : x->of->turn > y->of->turn;
}

static int collect_of(struct remembering *m, const struct fact *f, struct err *err)
{
    for (size_t i = 0; i < f->evidence.len; i++) {
        struct quote *q = vec_push(&m->quotes);
        if (!q)
            return too_much(&m->quotes, err);
        // What was forgotten is not told again in the words of whoever said it.
        *q = (struct quote){.of = fact_evidence_at(f, i), .wanted = f->status != FACT_FORGOTTEN};
    }
    return E_OK;
}

static int collect(struct run *run, struct err *err)
{
    struct remembering *m = run->extra;
    int code = choose(run, err);
    for (size_t i = 0; i < m->facts.len && !code; i++)
        code = collect_of(m, VEC_AT(&m->facts, struct fact_at, i)->fact, err);
    for (size_t i = 0; i < m->quotes.len && !code; i++) {
        bool wanted = VEC_AT(&m->quotes, struct quote, i)->wanted;
        struct quote **q = wanted ? vec_push(&m->by_turn) : NULL;
        if (!wanted)
            continue;
        if (!q)
            return err_set(err, E_NOMEM, "out of memory for what is remembered");
        *q = vec_at(&m->quotes, i);
    }
    if (m->by_turn.len)
        qsort(m->by_turn.ptr, m->by_turn.len, sizeof(struct quote *), by_turn);
    return code;
}

static struct quote *quote_at(const struct remembering *m, size_t i)
{
    return *VEC_AT(&m->by_turn, struct quote *, i);
}

// How many quotes from the next one on are of one turn.
static size_t of_one_turn(const struct remembering *m)
{
    size_t n = 1;
    struct quote *first = quote_at(m, m->next);
    while (m->next + n < m->by_turn.len) {
        struct quote *q = quote_at(m, m->next + n);
        if (by_turn(&first, &q) != 0)
            break;
        n++;
    }
    return n;
}

static int cut(struct remembering *m, struct quote *q, const struct turn *t, struct err *err)
{
    struct safe_buf text;
    int code = E_OK;
    if (q->of->step >= t->steps_len)
        return E_OK;
    if (m->one.slot && m->one.slot->tier == TIER_FACT && !q->of->supported)
        q->why = memory_why_not(&m->one, q->of, t);
    safe_buf_init(&text, CONTENT_BYTES_MAX);
    content_text(&t->steps[q->of->step].content, &text);
    code = safe_buf_check(&text, "a turn's text", err);
    struct slice all = safe_slice(safe_buf_text(&text));
    if (!code && q->of->start < q->of->end && q->of->end <= all.len) {
        q->at = m->text.len;
        q->len = q->of->end - q->of->start;
        q->there = true;
        buf_add(&m->text, all.ptr + q->of->start, q->len);
        code = buf_check(&m->text, "what was said", err);
    }
    safe_buf_release(&text);
    return code;
}

static int take_turn(void *user, const struct turn *t, struct err *err)
{
    struct remembering *m = user;
    size_t n = of_one_turn(m);
    int code = E_OK;
    m->seen = true;
    for (size_t i = 0; i < n && !code; i++)
        code = cut(m, quote_at(m, m->next + i), t, err);
    return code;
}

static void read_next(struct run *run);

static void turn_read(struct ledger_op *op)
{
    struct run *run = turn_op_over(op);
    struct remembering *m = run->extra;
    size_t n = of_one_turn(m);
    if (op->code) {
        emit_error(run, op->code, &op->err);
        return;
    }
    for (size_t i = 0; i < n; i++)
        quote_at(m, m->next + i)->gone = !m->seen;
    m->next += n;
    read_next(run);
}

static void read_next(struct run *run)
{
    struct remembering *m = run->extra;
    if (m->next == m->by_turn.len || m->turns++ == QUOTE_TURNS_MAX) {
        memory_tell(run);
        return;
    }
    const struct fact_evidence *of = quote_at(m, m->next)->of;
    struct ledger_pick pick = {.partition = run->partition,
                               .session = of->session,
                               .key = run->user_key,
                               .first = of->turn,
                               .last = of->turn,
                               .take = take_turn,
                               .user = m};
    m->seen = false;
    turn_op_start(run, turn_read);
    ledger_pick(run->w->ledger, &pick, &run->op);
}

// ---- the book

static void have_book(struct book_wait *wait)
{
    struct run *run = wait->user;
    struct remembering *m = run->extra;
    struct slice fact = buf_slice(&run->job->text);
    struct err err = ERR_INIT;
    run->op_busy = false;
    if (wait->code) {
        emit_error(run, wait->code, &wait->err);
        return;
    }
    m->book = wait->book;
    int code = E_OK;
    if (fact.len)
        code = memory_no_fact(&err, fact_book_find(m->book->facts, fact, &m->one, &err), fact);
    if (!code)
        code = collect(run, &err);
    if (code)
        emit_error(run, code, &err);
    else
        memory_name_contexts(run, read_next);
}

static void open_book(struct run *run);

// Whether what the user just said is being learnt from, by rules: that is soon over.
static bool is_learning(const struct run *run)
{
    for (const struct run *r = run->w->runs; r; r = r->next)
        if (r->job->verb == JOB_LEARN && !(r->job->flags & JOB_ENDED) &&
            strcmp(r->job->partition, run->partition) == 0)
            return true;
    return false;
}

static void look_again(struct loop_timer *timer)
{
    open_book(CONTAINER_OF(timer, struct run, timer));
}

static void open_book(struct run *run)
{
    struct remembering *m = run->extra;
    if (is_learning(run) && run->polls++ < LEARN_POLLS_MAX && !run->stopped) {
        run->timer.fn = look_again;
        loop_timer_start(run->w->env.loop, &run->timer, LEARN_POLL_MS);
        return;
    }
    m->wait = (struct book_wait){.key = run->user_key, .done = have_book, .user = run};
    memcpy(m->wait.partition, run->partition, sizeof(m->wait.partition));
    snprintf(m->wait.bot, sizeof(m->wait.bot), "%s", run->job->bot);
    run->op_busy = true;
    book_open(run->w, &m->wait);
}

static void have_bot(struct run *run)
{
    mask_policy(run, open_book);
}

static void have_user(struct run *run)
{
    resolve_scope(run, have_bot);
}

void memory_job_start(struct run *run)
{
    const uint32_t parts = TELL_FACTS | TELL_KNOWLEDGE | TELL_JOURNAL | TELL_CORE;
    struct remembering *m = mem_zalloc(sizeof(*m));
    struct err err = ERR_INIT;
    if (!m) {
        emit_error(run, err_set(&err, E_NOMEM, "out of memory for what is remembered"), &err);
        return;
    }
    vec_init(&m->facts, sizeof(struct fact_at), QUOTES_MAX);
    vec_init(&m->quotes, sizeof(struct quote), QUOTES_MAX);
    vec_init(&m->by_turn, sizeof(struct quote *), QUOTES_MAX);
    vec_init(&m->contexts, sizeof(struct named_context), QUOTES_MAX);
    buf_init(&m->text, QUOTES_BYTES_MAX);
    run->extra = m;
    run->extra_free = remembering_free;
    if (!(run->job->turn & parts))
        run->job->turn |= parts;
    resolve_user(run, false, have_user);
}
