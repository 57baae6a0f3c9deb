// SPDX-License-Identifier: MIT
// journal.c: the entry of a session (journal.h draws its way). Each step is a callback of the
// worker's loop. What a model wrote is put only if the book is the one that it was asked about;
// else rules write the entry, from the book as it is.
#include "turn/journal_int.h"

#include "turn/mask.h"
#include "turn/reflect.h"

enum { ENTRY_FACTS_MAX = 64, OPEN_MAX = 8, TEXTS_BYTES_MAX = 64 << 10 };

static const struct memory_rules *rules_of(const struct journaling *j)
{
    return &j->run->policy->info.memory;
}

static struct safe_text prompt_of(const struct journaling *j)
{
    return safe_buf_text(&rules_of(j)->journal_prompt);
}

static void over(struct journaling *j, int code, const struct err *err)
{
    struct run *run = j->run;
    struct err why = err ? *err : (struct err)ERR_INIT;
    journal_then *then = j->then;
    run->journaling = NULL;
    book_release(j->book);
    drift_free(j->source);
    journal_said_free(j->said);
    summary_release(&j->summary);
    safe_buf_release(&j->material);
    safe_buf_release(&j->entry);
    safe_buf_release(&j->earlier);
    mem_free(j);
    then(run, code, &why);
}

// ---- by rules

// What is told of a session, gathered: texts are the book's and the state's.
struct gathered {
    struct journal_fact facts[ENTRY_FACTS_MAX];
    uint32_t facts_len;
    struct safe_text open[OPEN_MAX];
    uint32_t open_len;
    struct safe_buf topic, questions[OPEN_MAX];
};

static void gathered_release(struct gathered *g)
{
    safe_buf_release(&g->topic);
    for (uint32_t i = 0; i < OPEN_MAX; i++)
        safe_buf_release(&g->questions[i]);
}

// Whether the user said it in this session, or took it back.
static bool said_here(const struct fact *f, const char *session, bool negates)
{
    for (size_t i = 0; i < f->evidence.len; i++) {
        const struct fact_evidence *e = fact_evidence_at(f, i);
        if (e->supported && e->negates == negates && strcmp(e->session, session) == 0)
            return true;
    }
    return false;
}

// The value that this one took the place of, newest first; NULL: none.
static const struct fact *before(const struct fact_slot *slot, const struct fact *f)
{
    const struct fact *found = NULL;
    for (size_t i = 0; i < slot->facts.len; i++) {
        const struct fact *g = fact_slot_at(slot, i);
        if (g->status == FACT_SUPERSEDED && strcmp(g->by, f->id) == 0 &&
            (!found || g->retired_at_ms > found->retired_at_ms))
            found = g;
    }
    return found;
}

static void add_fact(struct gathered *g, const struct fact_at *at, const char *session)
{
    const struct fact_slot *slot = at->slot;
    const struct fact *f = at->fact, *old = before(slot, f);
    const struct fact_evidence *source = fact_source(f);
    bool here = said_here(f, session, false);
    bool ended = f->status == FACT_SUPERSEDED && !f->by[0] && said_here(f, session, true);
    bool first = here && source && strcmp(source->session, session) == 0;
    if (g->facts_len == ENTRY_FACTS_MAX || slot->tier != TIER_FACT ||
        !(ended || (f->status == FACT_ACTIVE && (first || (here && old)))))
        return;
    if (f->kind == FACT_FOLLOW_UP && !ended) {
        if (g->open_len < OPEN_MAX)
            g->open[g->open_len++] = fact_value(f);
        return;
    }
    bool user = strcmp(slot->subject, "user") == 0;
    g->facts[g->facts_len++] = (struct journal_fact){
        .change = ended || old               ? JOURNAL_CHANGED
                  : f->kind == FACT_DECISION ? JOURNAL_DECIDED
                                             : JOURNAL_NEW,
        .subject = user ? SAFE_NONE : fact_slot_subject(slot),
        .predicate = fact_slot_predicate(slot),
        .value = ended ? SAFE_LIT("not any more") : fact_value(f),
        .before = ended ? fact_value(f) : old ? fact_value(old) : SAFE_NONE,
    };
}

static bool forgotten_here(const struct fact_book *facts, const char *session)
{
    struct fact_at at = FACT_AT_START;
    while (fact_book_next(facts, &at)) {
        for (size_t i = 0; at.fact->status == FACT_FORGOTTEN && i < at.fact->evidence.len; i++)
            if (strcmp(fact_evidence_at(at.fact, i)->session, session) == 0)
                return true;
    }
    return false;
}

static void gather(const struct journaling *j, const struct fact_book *facts, struct gathered *g)
{
    struct fact_at at = FACT_AT_START;
    bool alone = forgotten_here(facts, j->head->id);
    safe_buf_init(&g->topic, TEXTS_BYTES_MAX);
    for (uint32_t i = 0; i < OPEN_MAX; i++)
        safe_buf_init(&g->questions[i], TEXTS_BYTES_MAX);
    for (uint32_t i = 0; i < OPEN_MAX && !alone; i++)
        if (session_state_text(j->head, "open_questions", i, &g->questions[i]))
            g->open[g->open_len++] = safe_buf_text(&g->questions[i]);
    if (!alone)
        session_state_text(j->head, "topic", 0, &g->topic);
    while (fact_book_next(facts, &at))
        add_fact(g, &at, j->head->id);
}

int journal_by_rules(const struct journaling *j, const struct fact_book *facts,
                     struct journal_entry *out, struct err *err)
{
    struct gathered *g = mem_zalloc(sizeof(*g));
    if (!g)
        return err_set(err, E_NOMEM, "out of memory for a journal");
    gather(j, facts, g);
    bool alone = forgotten_here(facts, j->head->id);
    const struct journal_source source = {
        .session = j->head->id,
        .context = j->run->context_hash,
        .from_ms = j->head->created_at_ms,
        .to_ms = j->head->last_active_at_ms,
        .turns = session_live_turns(j->head, j->head->turns),
        .topic = safe_buf_text(&g->topic),
        .open = g->open,
        .open_len = g->open_len,
        .facts = g->facts,
        .facts_len = g->facts_len,
        .summary = alone ? SAFE_NONE : safe_buf_text(&j->summary.text),
    };
    int code = journal_compose(&source, out, err);
    gathered_release(g);
    mem_free(g);
    return code;
}

// ---- the commit

static int put_entry(struct journaling *j, const struct book *b, struct journal *journal,
                     struct err *err)
{
    bool as_asked = j->book && j->book->manifest.version == b->manifest.version;
    size_t cap = rules_of(j)->journal_bytes;
    struct journal_entry entry;
    struct journal_fold fold;
    journal_entry_init(&entry);
    int code = journal_by_rules(j, b->facts, &entry, err);
    if (!code && as_asked && safe_buf_text(&j->entry).len) {
        safe_buf_clear(&entry.text);
        safe_buf_add(&entry.text, safe_buf_text(&j->entry));
        snprintf(entry.by, sizeof(entry.by), "%s", j->by);
        code = safe_buf_check(&entry.text, "a journal's entry", err);
    }
    // What was condensed of it already is told anew.
    if (!code)
        code = journal_unfold(journal, j->head->id, entry.turns, err);
    if (!code)
        code = journal_put(journal, &entry, err);
    journal_entry_release(&entry);
    if (!code && as_asked && safe_buf_text(&j->earlier).len && journal_over(journal, cap, &fold) &&
        safe_buf_text(&j->earlier).len <= fold.room)
        code = journal_fold(journal, &fold, safe_buf_text(&j->earlier), j->by, cap, err);
    return code ? code : journal_condense(journal, cap, err);
}

static int apply(struct book_change *change, struct book *b, struct ledger_memory_commit *extra,
                 struct err *err)
{
    struct journaling *j = change->user;
    // Another process may have told of it meanwhile.
    uint32_t turns;
    bool is_first = !j->learnt->journal && !journal_tells(&b->journal, j->head->id, &turns);
    int code = put_entry(j, b, &b->journal, err);
    if (is_first)
        reflect_count(&b->manifest, rules_of(j), clock_wall_ms(j->run->w->env.clock));
    j->put = *j->learnt;
    j->put.journal = true;
    extra->learnt = &j->put;
    return code;
}

static void committed(struct book_change *change)
{
    struct journaling *j = change->user;
    book_release(change->book);
    if (change->code == E_OK)
        *j->learnt = j->put;
    over(j, change->code, &change->err);
}

static void commit(struct journaling *j)
{
    struct run *run = j->run;
    j->change = (struct book_change){
        .key = run->user_key, .apply = apply, .done = committed, .user = j,
    };
    memcpy(j->change.partition, run->partition, sizeof(j->change.partition));
    snprintf(j->change.bot, sizeof(j->change.bot), "%s", j->head->bot);
    book_change(run->w, &j->change);
}

// ---- by a model: whatever goes wrong there, rules write what is left

static void answered_earlier(struct run *run, int code, struct safe_text answer,
                             const struct err *err)
{
    struct journaling *j = run->journaling;
    struct err wrong = ERR_INIT;
    if (code == E_CANCELLED) {
        over(j, code, err);
        return;
    }
    // As much of it as has room is put: how much that is, depends on the entry.
    if (!code)
        code = journal_take_answer(j, answer, rules_of(j)->journal_bytes / 4 - JOURNAL_HEAD_BYTES,
                                   &j->earlier, &wrong);
    if (code)
        safe_buf_clear(&j->earlier);
    commit(j);
}

static void ask(struct journaling *j, const struct safe_buf *text, background_then *then)
{
    const struct background_ask ask = {
        .kind = ATTEMPT_JOURNAL,
        .system = prompt_of(j),
        .text = safe_buf_text(text),
        .output_tokens_max = JOURNAL_ANSWER_TOKENS,
    };
    background_call(j->run, &ask, then);
}

// Whether the journal grows over its size with the entry; then what is older is condensed.
static int begin_earlier(struct journaling *j, struct safe_buf *text, bool *due, struct err *err)
{
    struct journal journal;
    struct journal_entry entry;
    struct journal_fold fold;
    int code = journal_copy(&journal, &j->book->journal, err);
    *due = false;
    journal_entry_init(&entry);
    if (!code)
        code = journal_by_rules(j, j->book->facts, &entry, err);
    if (!code && safe_buf_text(&j->entry).len) {
        safe_buf_clear(&entry.text);
        safe_buf_add(&entry.text, safe_buf_text(&j->entry));
    }
    if (!code)
        code = journal_unfold(&journal, j->head->id, entry.turns, err);
    if (!code)
        code = journal_put(&journal, &entry, err);
    *due = !code && journal_over(&journal, rules_of(j)->journal_bytes, &fold) && fold.entries &&
           fold.room > JOURNAL_LINE_BYTES_MAX;
    if (*due)
        code = journal_ask_earlier(j, &journal, &fold, text, err);
    journal_entry_release(&entry);
    journal_release(&journal);
    return code;
}

static void answered_entry(struct run *run, int code, struct safe_text answer,
                           const struct err *err)
{
    struct journaling *j = run->journaling;
    struct err wrong = ERR_INIT;
    struct safe_buf text;
    bool due = false;
    if (code == E_CANCELLED) {
        over(j, code, err);
        return;
    }
    if (!code)
        code = journal_take_answer(j, answer, JOURNAL_SESSION_BYTES_MAX, &j->entry, &wrong);
    if (code)
        safe_buf_clear(&j->entry);
    safe_buf_init(&text, CONTENT_BYTES_MAX);
    if (code || begin_earlier(j, &text, &due, &wrong) || !due)
        commit(j);
    else
        ask(j, &text, answered_earlier);
    safe_buf_release(&text);
}

static void name_writer(struct journaling *j)
{
    snprintf(j->by, sizeof(j->by), "model:%.48s:%.48s@%s", j->run->provider, j->run->model,
             rules_of(j)->version);
}

static void turns_read(struct ledger_op *op)
{
    struct journaling *j = op->user;
    struct journal_entry entry;
    struct safe_buf text;
    struct err err = op->err;
    int code = op->code;
    journal_entry_init(&entry);
    safe_buf_init(&text, CONTENT_BYTES_MAX);
    if (!code)
        code = background_model(j->run, rules_of(j)->model, &err);
    if (!code)
        name_writer(j);
    if (!code)
        code = journal_by_rules(j, j->book->facts, &entry, &err);
    if (!code)
        code = journal_ask_entry(j, &entry, &text, &err);
    journal_entry_release(&entry);
    if (code) {
        log_line(j->run->w->env.log, LOG_INFO, "journal: session=%s by rules: %s", j->head->id,
                 err.message);
        commit(j);
    } else {
        ask(j, &text, answered_entry);
    }
    safe_buf_release(&text);
}

static int take_turn(void *user, const struct turn *t, struct err *err)
{
    struct journaling *j = user;
    bool room = safe_buf_text(&j->material).len < JOURNAL_MATERIAL_BYTES_MAX;
    if (session_is_superseded(j->head, t->n) || !room)
        return E_OK;
    return journal_add_turn(j, t, err);
}

static void read_turns(struct journaling *j)
{
    const struct session_head *h = j->head;
    const struct ledger_pick pick = {
        .partition = j->run->partition,
        .session = h->id,
        .key = j->run->user_key,
        .first = h->turns > JOURNAL_TURNS_MAX ? h->turns - JOURNAL_TURNS_MAX + 1 : 1,
        .last = h->turns,
        .take = take_turn,
        .user = j,
    };
    j->op = (struct ledger_op){.done = turns_read, .user = j};
    ledger_pick(j->run->w->ledger, &pick, &j->op);
}

static void have_book(struct book_wait *wait)
{
    struct journaling *j = wait->user;
    struct err err = wait->err;
    j->book = wait->book;
    if (wait->code || drift_new(&j->source, &err))
        over(j, wait->code ? wait->code : E_NOMEM, &err);
    else if (forgotten_here(j->book->facts, j->head->id))
        commit(j);
    else
        read_turns(j);
}

static void open_book(struct journaling *j)
{
    struct run *run = j->run;
    j->wait = (struct book_wait){.key = run->user_key, .done = have_book, .user = j};
    memcpy(j->wait.partition, run->partition, sizeof(j->wait.partition));
    snprintf(j->wait.bot, sizeof(j->wait.bot), "%s", j->head->bot);
    book_open(run->w, &j->wait);
}

// ---- beginning

static void summary_found(struct ledger_op *op)
{
    struct journaling *j = op->user;
    const struct memory_rules *rules = rules_of(j);
    bool asks = j->use_model && rules->use_model && prompt_of(j).len;
    // One that is damaged, or is not there, is not told.
    if (op->code == E_NOMEM || op->code == E_STORE || op->code == E_ERASED)
        over(j, op->code, &op->err);
    else if (asks && j->head->turns && !j->head->purged)
        open_book(j);
    else
        journal_read_said(j, commit);
}

static void no_journal(struct loop_task *task)
{
    over(CONTAINER_OF(task, struct journaling, task), E_OK, NULL);
}

void journal_of_session(struct run *run, const struct session_head *head, struct learnt *learnt,
                        bool use_model, journal_then *then)
{
    struct journaling *j = mem_zalloc(sizeof(*j));
    struct err err = ERR_INIT;
    BUG_ON(run->journaling);
    if (!j) {
        then(run, err_set(&err, E_NOMEM, "out of memory for a journal"), &err);
        return;
    }
    run->journaling = j;
    j->run = run;
    j->head = head;
    j->learnt = learnt;
    j->use_model = use_model;
    j->then = then;
    summary_init(&j->summary);
    safe_buf_init(&j->material, 2 * CONTENT_BYTES_MAX);
    safe_buf_init(&j->entry, JOURNAL_BYTES_MAX);
    safe_buf_init(&j->earlier, JOURNAL_BYTES_MAX);
    if (!rules_of(j)->journal) {
        j->task.fn = no_journal;
        loop_post(run->w->env.loop, &j->task);
        return;
    }
    j->op = (struct ledger_op){.done = summary_found, .user = j};
    ledger_find_summary(run->w->ledger, head, run->user_key, &j->summary, &j->op);
}
