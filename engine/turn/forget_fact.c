// SPDX-License-Identifier: MIT
// forget_fact.c: one fact is forgotten, with the knowledge that rests on it alone, and the lines of
// journal and core memory that tell them. Durable, with its note for the audit trail, in one
// commit; done again it changes nothing and says so.
//
// What is forgotten is what the bot concluded. What was said stays in its turns until those expire:
// which, and until when, is told.
#include "turn/feeder.h"
#include "turn/memory_int.h"
#include "turn/recall_int.h"
#include "turn/resolve.h"

struct said {
    char session[ID_TEXT_BYTES];
    uint32_t turn;
    bool there;                      // its session is, with turns
    int64_t deleted_at_ms;           // 0: never
};

struct forgetting {
    struct book_change change;
    struct session_list list;
    struct audit_note note;
    char id[FACT_ID_BYTES], subject[FACT_NAME_BYTES], predicate[FACT_NAME_BYTES];
    enum fact_tier tier;
    bool again;                      // it was forgotten already
    struct forgotten gone;
    struct said said[FACT_EVIDENCE_MAX];
    uint32_t said_len;
};

static void forgetting_free(void *extra)
{
    struct forgetting *f = extra;
    vec_release(&f->gone.ids);
    mem_free(f);
}

// ---- the change

static void note_said(struct forgetting *f, const struct fact *fact)
{
    f->said_len = 0;
    for (size_t i = 0; i < fact->evidence.len && f->said_len < FACT_EVIDENCE_MAX; i++) {
        const struct fact_evidence *e = fact_evidence_at(fact, i);
        bool known = false;
        for (uint32_t k = 0; k < f->said_len; k++)
            known |= f->said[k].turn == e->turn && !strcmp(f->said[k].session, e->session);
        if (known || !e->session[0])
            continue;
        f->said[f->said_len] = (struct said){.turn = e->turn};
        memcpy(f->said[f->said_len++].session, e->session, sizeof(e->session));
    }
}

static int apply(struct book_change *change, struct book *b, struct ledger_memory_commit *extra,
                 struct err *err)
{
    struct run *run = change->user;
    struct forgetting *f = run->extra;
    struct slice fact = buf_slice(&run->job->text);
    struct fact_at at = FACT_AT_START;
    int code = memory_no_fact(err, fact_book_find(b->facts, fact, &at, err), fact);
    if (code)
        return code;
    memcpy(f->id, at.fact->id, sizeof(f->id));
    memcpy(f->subject, at.slot->subject, sizeof(f->subject));
    memcpy(f->predicate, at.slot->predicate, sizeof(f->predicate));
    f->tier = at.slot->tier;
    note_said(f, at.fact);
    // It was not, if that was done here, and the answer lost.
    f->again = at.fact->status == FACT_FORGOTTEN && !(change->unsure && f->gone.ids.len);
    if (at.fact->status == FACT_FORGOTTEN)
        return E_OK;
    code = book_forget(b, f->id, clock_wall_ms(run->w->env.clock), &f->gone, err);
    f->note = (struct audit_note){.action = AUDIT_FACT_FORGOTTEN,
                                  .count = (uint32_t)f->gone.ids.len,
                                  .at_ms = clock_wall_ms(run->w->env.clock)};
    snprintf(f->note.actor, sizeof(f->note.actor), "%s", run->w->env.actor);
    snprintf(f->note.bot, sizeof(f->note.bot), "%s", run->job->bot);
    extra->notes = &f->note;
    extra->notes_len = 1;
    return code;
}

// ---- what stays

static void write_said(struct json_writer *w, const struct forgetting *f)
{
    char turn[16];
    jw_key(w, "turns");
    jw_array(w);
    for (uint32_t i = 0; i < f->said_len; i++) {
        if (!f->said[i].there)
            continue;
        snprintf(turn, sizeof(turn), "%u", f->said[i].turn);
        jw_object(w);
        jw_kv_str(w, "session", f->said[i].session);
        jw_kv_str(w, "turn", turn);
        emit_time(w, "deleted_at", f->said[i].deleted_at_ms);
        jw_object_end(w);
    }
    jw_array_end(w);
}

static void answer(struct run *run)
{
    struct forgetting *f = run->extra;
    struct buf json = BUF_INIT(RESULT_BYTES_MAX);
    struct json_writer w;
    jw_init(&w, &json);
    jw_object(&w);
    jw_kv_str(&w, "user", run->job->user);
    jw_kv_str(&w, "bot", run->job->bot);
    jw_kv_str(&w, "tier", fact_tier_word(f->tier));
    jw_kv_str(&w, "fact", f->id);
    jw_kv_str(&w, "subject", f->subject);
    jw_kv_str(&w, "predicate", f->predicate);
    jw_kv_bool(&w, "again", f->again);
    jw_key(&w, "knowledge");
    jw_array(&w);
    for (size_t i = 1; i < f->gone.ids.len; i++)
        jw_str(&w, vec_at(&f->gone.ids, i));
    jw_array_end(&w);
    jw_kv_i64(&w, "lines", f->gone.lines);
    write_said(&w, f);
    jw_object_end(&w);
    emit_result(run, &json);
}

// When the sweep deletes a session's turns, as it stands now; 0: never.
static int64_t deleted_at(const struct session_head *h)
{
    int64_t from = h->archived_at_ms ? h->archived_at_ms
                                     : expiry_hard_at(&h->expiry, h->created_at_ms,
                                                      h->last_active_at_ms);
    return from && h->expiry.purge_ms ? from + h->expiry.purge_ms : 0;
}

// What was forgotten is found by its words no more, and these leave the index's records soon, off
// this path. Where the index cannot be had, the next turn does it.
static void leave_index(struct run *run)
{
    struct err err = ERR_INIT;
    if (run->book && shelf_recall(run, &err))
        shelf_remember(run, &err);
    answer(run);
}

static void listed(struct session_list *list)
{
    struct run *run = list->user;
    struct forgetting *f = run->extra;
    run->op_busy = false;
    // What is done is done: without the heads it is told less of.
    for (uint32_t i = 0; i < list->heads_len && !list->code; i++) {
        const struct session_head *h = &list->heads[i];
        for (uint32_t k = 0; k < f->said_len && !h->purged; k++) {
            if (strcmp(f->said[k].session, h->id) != 0)
                continue;
            f->said[k].there = true;
            f->said[k].deleted_at_ms = h->quarantined ? 0 : deleted_at(h);
        }
    }
    session_list_release(list);
    shelf_open(run, leave_index);
}

// Only those are read that are asked about.
static bool is_other(void *user, struct slice id, uint64_t version)
{
    const struct run *run = user;
    const struct forgetting *f = run->extra;
    (void)version;
    for (uint32_t k = 0; k < f->said_len; k++)
        if (slice_is(id, f->said[k].session))
            return false;
    return true;
}

static void forgotten(struct book_change *change)
{
    struct run *run = change->user;
    struct forgetting *f = run->extra;
    run->op_busy = false;
    book_release(run->book);
    run->book = change->book;
    if (change->code) {
        emit_error(run, change->code, &change->err);
        return;
    }
    feeder_wake(run->w);
    f->list = (struct session_list){.env = &run->w->session_env,
                                    .key = run->user_key,
                                    .known = is_other,
                                    .done = listed,
                                    .user = run};
    memcpy(f->list.partition, run->partition, sizeof(f->list.partition));
    run->op_busy = true;
    session_list(&f->list);
}

// ---- beginning

static void forget(struct run *run)
{
    struct forgetting *f = run->extra;
    f->change = (struct book_change){.key = run->user_key, .apply = apply, .done = forgotten,
                                     .user = run};
    memcpy(f->change.partition, run->partition, sizeof(f->change.partition));
    snprintf(f->change.bot, sizeof(f->change.bot), "%s", run->job->bot);
    run->op_busy = true;
    book_change(run->w, &f->change);
}

static void have_user(struct run *run)
{
    struct err err = ERR_INIT;
    if (!run->user_key)
        emit_error(run, memory_no_fact(&err, E_NOT_FOUND, buf_slice(&run->job->text)), &err);
    else
        resolve_scope(run, forget);
}

void forget_fact_start(struct run *run)
{
    struct forgetting *f = mem_zalloc(sizeof(*f));
    struct err err = ERR_INIT;
    if (!f) {
        emit_error(run, err_set(&err, E_NOMEM, "out of memory for what is forgotten"), &err);
        return;
    }
    forgotten_init(&f->gone);
    run->extra = f;
    run->extra_free = forgetting_free;
    resolve_user(run, false, have_user);
}
