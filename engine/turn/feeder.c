// SPDX-License-Identifier: MIT
// feeder.c: see feeder.h.
//
//   IDLE ──wake, pass──▶ FEEDING ──▶ IDLE       a pass asked for meanwhile follows at once
//     └──a policy waits─▶ NOTING ──▶ IDLE
#include "turn/feeder.h"
#include "turn/resolve.h"

enum feeder_state { FEEDER_IDLE, FEEDER_FEEDING, FEEDER_NOTING };

struct feeder {
    struct worker *w;
    enum feeder_state state;
    struct trail_feed pass;
    struct ledger_op op;
    bool wanted;
    int64_t fed_at_ms;               // mono; when the last pass began, at first the worker
    struct run *line;                // who waits for a pass that begins from now on
    struct run *served;              // who waits for the one under way
    struct loop_timer timer;         // for another worker's, or another process's, to be over
    unsigned tries;
    struct audit_note policies[FEED_POLICIES];
    unsigned policies_len;
};

static void next(struct worker *w);
static void feed(struct feeder *f, uint32_t notes_min);

static int64_t mono_ms(const struct worker *w)
{
    return clock_mono_ns(w->env.clock) / 1000000;
}

int feeder_new(struct feeder **out, struct worker *w, struct err *err)
{
    *out = mem_zalloc(sizeof(**out));
    if (!*out)
        return err_set(err, E_NOMEM, "out of memory for a worker");
    (*out)->w = w;
    (*out)->fed_at_ms = mono_ms(w);
    return E_OK;
}

void feeder_free(struct feeder *f)
{
    BUG_ON(f && (f->state != FEEDER_IDLE || f->line || f->served));
    mem_free(f);
}

// ---- passes

static void try_again(struct loop_timer *timer)
{
    feed(CONTAINER_OF(timer, struct feeder, timer), 1);
}

static void fed(struct ledger_op *op)
{
    struct feeder *f = CONTAINER_OF(op, struct feeder, op);
    struct worker *w = f->w;
    struct run *served = f->served;
    // A store that is busy or full says so to those who have something to lose.
    enum log_level level = op->code == E_STORE ? LOG_INFO : LOG_WARN;
    if (op->code && op->code != E_BUSY)
        log_line(w->env.log, level, "audit: event=not_fed code=%s: %s", err_word(op->code),
                 op->err.message);
    else if (f->pass.fed)
        log_line(w->env.log, LOG_DEBUG, "audit: event=fed notes=%u", f->pass.fed);
    if (op->code == E_BUSY && served && f->tries++ < FEED_TRIES) {
        f->timer.fn = try_again;
        loop_timer_start(w->env.loop, &f->timer, FEED_AGAIN_MS);
        return;
    }
    f->state = FEEDER_IDLE;
    f->wanted |= f->pass.more && !op->code;
    f->served = NULL;
    f->tries = 0;
    while (served) {
        struct run *run = served;
        served = run->feed_next;
        run->feed_code = op->code;
        run->feed_then(run);
    }
    next(w);
}

static void feed(struct feeder *f, uint32_t notes_min)
{
    if (!f->served) {
        f->served = f->line;
        f->line = NULL;
    }
    f->state = FEEDER_FEEDING;
    f->wanted = false;
    f->fed_at_ms = mono_ms(f->w);
    f->pass = (struct trail_feed){.notes_min = notes_min, .notes_max = FEED_NOTES};
    f->op = (struct ledger_op){.done = fed};
    trail_feed(f->w->ledger, &f->pass, &f->op);
}

void feeder_start(struct worker *w)
{
    if (w->feeder->state == FEEDER_IDLE && !w->draining)
        feed(w->feeder, TRAIL_BATCH_NOTES);
}

void feeder_wake(struct worker *w)
{
    w->feeder->wanted = true;
    next(w);
}

void feeder_job_over(struct worker *w)
{
    if (w->feeder->wanted && !w->draining)
        next(w);
}

void feeder_pass(struct worker *w, struct run *run, void (*then)(struct run *run))
{
    struct feeder *f = w->feeder;
    run->feed_then = then;
    run->feed_next = f->line;
    f->line = run;
    next(w);
}

bool feeder_busy(struct worker *w)
{
    w->feeder->pass.stop = true;
    return w->feeder->state != FEEDER_IDLE;
}

// ---- policies

static void noted(struct ledger_op *op)
{
    struct feeder *f = CONTAINER_OF(op, struct feeder, op);
    if (op->code)
        log_line(f->w->env.log, op->code == E_STORE ? LOG_INFO : LOG_WARN,
                 "audit: event=policy_not_noted policy=%s: %s",
                 f->policies[0].policy, op->err.message);
    f->policies_len--;
    memmove(&f->policies[0], &f->policies[1], f->policies_len * sizeof(f->policies[0]));
    f->state = FEEDER_IDLE;
    next(f->w);
}

void feeder_policy(struct run *run)
{
    struct feeder *f = run->w->feeder;
    struct policy *p = run->policy;
    if (p->noted || f->policies_len == FEED_POLICIES || run->w->draining)
        return;
    p->noted = true;
    struct audit_note *note = &f->policies[f->policies_len++];
    *note = (struct audit_note){.action = AUDIT_POLICY_LOADED};
    if (p->info.privacy.off)
        note->detail = AUDIT_REDACTION_OFF;
    snprintf(note->bot, sizeof(note->bot), "%s", p->info.name);
    snprintf(note->policy, sizeof(note->policy), "%s", p->info.version);
    next(run->w);
}

// ---- what is next

static bool pass_is_due(const struct feeder *f)
{
    int64_t rest_ms = f->pass.more ? FEED_MORE_MS : FEED_EVERY_MS;
    bool rested = mono_ms(f->w) - f->fed_at_ms >= rest_ms;
    return f->line || (f->wanted && rested);
}

static void next(struct worker *w)
{
    struct feeder *f = w->feeder;
    if (f->state != FEEDER_IDLE)
        return;
    if (w->draining && !f->line) {
        worker_check_idle(w);
    } else if (f->policies_len) {
        f->state = FEEDER_NOTING;
        f->op = (struct ledger_op){.done = noted};
        trail_policy(w->ledger, &f->policies[0], &f->op);
    } else if (pass_is_due(f)) {
        feed(f, 1);
    }
}

// ---- an operator's reads

static enum audit_detail what_is_read(const struct job *job)
{
    if (!(job->flags & JOB_AS_OPERATOR))
        return AUDIT_NO_DETAIL;
    switch (job->verb) {
    case JOB_SESSIONS: return AUDIT_SESSIONS;
    case JOB_SHOW:
    case JOB_ATTACH:
    case JOB_WATCH:    return AUDIT_SHOW;
    case JOB_WHY:      return AUDIT_WHY;
    case JOB_RECALL:   return AUDIT_RECALL;
    case JOB_MEMORY:   return AUDIT_MEMORY;
    default:           return AUDIT_NO_DETAIL;
    }
}

static void read_noted(struct ledger_op *op)
{
    struct run *run = turn_op_over(op);
    if (op->code) {
        err_prefix(&op->err, "what cannot be noted in the audit trail is not shown: ");
        emit_error(run, op->code, &op->err);
        return;
    }
    feeder_wake(run->w);
    run->feed_then(run);
}

static struct audit_note note_of(const struct run *run)
{
    struct audit_note note = {.action = AUDIT_OPERATOR_READ, .detail = what_is_read(run->job)};
    snprintf(note.actor, sizeof(note.actor), "%s", run->w->env.actor);
    return note;
}

static void note_read_of_user(struct run *run)
{
    if (!run->user_key) {
        run->feed_then(run);  // a stranger has nothing
        return;
    }
    struct audit_note note = note_of(run);
    turn_op_start(run, read_noted);
    audit_record(run->w->ledger, run->partition, run->user_key, &note, &run->op);
}

void feeder_note_read(struct run *run, void (*then)(struct run *run))
{
    if (!what_is_read(run->job)) {
        then(run);
        return;
    }
    run->feed_then = then;
    if (run->job->flags & JOB_ALL_USERS) {
        struct audit_note note = note_of(run);
        turn_op_start(run, read_noted);
        trail_append(run->w->ledger, &note, 1, &run->op);
    } else {
        resolve_user(run, false, note_read_of_user);
    }
}
