// SPDX-License-Identifier: MIT
// watch.c: a session, live, for who did not send: another device, a second window, an operator.
//
//   resolved ─▶ head read ─▶ WATCHING ─┐
//                   ▲                  ▼
//                   │    ┌─ the next turn is under way here: its run's events, as they come (feed)
//                   │    ├─ it is over, or another process's: told as the ledger has it
//                   │    └─ there is none yet
//                   └── [poll_due] after a while, or at once when something happened here
//
// Turns are told in their order, each once: `upto` are over and told. A turn of another process is
// seen by the head's version, which is read every WATCH_POLL_MS at first, less often while nothing
// happens; its words are told when it is seen, its reply when it is whole. Masks are in memory only
// while something of the ledger is told.
#include "turn/device.h"
#include "turn/mask.h"
#include "turn/resolve.h"
#include "turn/watch.h"

struct watching {
    char session[ID_TEXT_BYTES];
    struct run *next, *prev;   // worker->watching
    int64_t poll_ms;           // between looks; by run->timer
    bool started;              // WATCHING was told
    bool busy;                 // the ledger, or a policy, is being read
    bool again;                // something happened meanwhile
    uint32_t upto;             // turns told to their ends
    uint32_t feeding;          // the turn under way here that is told as it comes; 0: none
    uint32_t opened;           // the turn whose words were told out of the ledger
    uint32_t superseded;       // of the turns up to `upto`
    uint64_t version;          // of the head that was looked at last
};

static void poll_now(struct run *run);

static void link_watch(struct run *run)
{
    struct worker *w = run->w;
    run->watching->next = w->watching;
    if (w->watching)
        w->watching->watching->prev = run;
    w->watching = run;
    w->watches++;
}

void watch_over(struct run *run)
{
    struct watching *x = run->watching;
    struct worker *w = run->w;
    if (!x)
        return;
    *(x->prev ? &x->prev->watching->next : &w->watching) = x->next;
    if (x->next)
        x->next->watching->prev = x->prev;
    w->watches--;
    run->watching = NULL;
    mem_free(x);
}

static void end_stopped(struct run *run)
{
    struct err err = ERR_INIT;
    if (vault_is_erased(run->w->env.vault, run->partition))
        err_set(&err, E_ERASED, "the user was erased");
    else
        err_set(&err, E_CANCELLED, "nobody watches session %s any more", run->watching->session);
    emit_error(run, err.code, &err);
}

void watch_stop(struct run *run)
{
    if (!run->watching->busy)
        end_stopped(run);
}

// ---- telling

static void tell(struct run *run, enum event_type type, uint32_t turn, struct slice text)
{
    const struct event event = {
        .type = type, .session = run->watching->session, .turn = turn, .text = text};
    emit_event(run, &event);
}

// Text as the client is due it, as who knows the masks of `by`.
static void tell_text(struct run *run, const struct run *by, enum event_type type, uint32_t turn,
                      struct safe_text text)
{
    struct buf scratch = BUF_INIT(RESULT_BYTES_MAX);
    struct slice shown = mask_shown(by, text, &scratch);
    tell(run, type, turn, buf_ok(&scratch) ? shown : safe_slice(text));
    buf_release(&scratch);
}

static uint32_t superseded_upto(const struct session_head *h, uint32_t upto)
{
    return upto - session_live_turns(h, upto);
}

// What was told and does not count any more; it may have been taken back before it was told.
static void tell_superseded(struct run *run, const struct session_head *h)
{
    struct watching *x = run->watching;
    uint32_t superseded = superseded_upto(h, x->upto);
    if (superseded != x->superseded)
        tell(run, EVENT_CHANGED, 0, SLICE_NONE);
    x->superseded = superseded;
}

static void told_whole(struct run *run, const struct session_head *h, uint32_t turn)
{
    struct watching *x = run->watching;
    x->upto = turn;
    x->feeding = x->opened = 0;
    tell_superseded(run, h);
}

// The next turn is under way here: what there is of it, and from now on what comes.
static void adopt(struct run *run)
{
    struct watching *x = run->watching;
    const struct run *first = run_under_way(run->w, x->session, x->upto + 1);
    struct buf shown = BUF_INIT(RESULT_BYTES_MAX);
    if (!first || x->feeding || x->opened)
        return;
    x->feeding = first->turn;
    tell_text(run, first, EVENT_ACCEPTED, first->turn, safe_buf_text(&first->text));
    reply_shown(first, &shown);
    if (shown.len && buf_ok(&shown))
        tell(run, EVENT_DELTA, first->turn, buf_slice(&shown));
    buf_release(&shown);
}

// What a step says. E_NOMEM.
static int tell_step(struct run *run, enum event_type type, uint32_t turn, const struct step *step,
                     struct err *err)
{
    struct safe_buf text;
    safe_buf_init(&text, CONTENT_BYTES_MAX);
    content_text(&step->content, &text);
    int code = safe_buf_check(&text, "a message", err);
    if (!code && (type == EVENT_ACCEPTED || safe_buf_text(&text).len))
        tell_text(run, run, type, turn, safe_buf_text(&text));
    safe_buf_release(&text);
    return code;
}

static int tell_stored(struct run *run, const struct turn *t, struct err *err)
{
    struct watching *x = run->watching;
    const struct step *reply = turn_reply(t);
    const char *message;
    int code = E_OK;
    if (x->opened != t->n)
        code = tell_step(run, EVENT_ACCEPTED, t->n, &t->steps[0], err);
    x->opened = t->n;
    if (code || t->status == TURN_OPEN)
        return code;
    if (reply)
        code = tell_step(run, EVENT_DELTA, t->n, reply, err);
    if (code)
        return code;
    code = replay_outcome(t, false, &message);
    emit_turn_over(run, t, code, message);
    told_whole(run, &run->live->chat->head, t->n);
    return E_OK;
}

// ---- the ledger

static void rest(struct run *run, bool news)
{
    struct watching *x = run->watching;
    x->busy = false;
    if (run->stopped) {
        end_stopped(run);
        return;
    }
    if (x->again) {
        poll_now(run);
        return;
    }
    x->poll_ms = news || x->poll_ms == 0 ? WATCH_POLL_MS : x->poll_ms * 2;
    if (x->poll_ms > WATCH_POLL_MAX_MS)
        x->poll_ms = WATCH_POLL_MAX_MS;
    loop_timer_start(run->w->env.loop, &run->timer, x->poll_ms);
}

static void tell_turns(struct run *run)
{
    struct watching *x = run->watching;
    const struct chat *chat = run->live->chat;
    struct err err = ERR_INIT;
    for (const struct turn *t; (t = chat_turn(chat, x->upto + 1)) != NULL;) {
        uint32_t upto = x->upto;
        if (t->n == x->feeding)
            break;
        if (tell_stored(run, t, &err)) {
            emit_error(run, err.code, &err);
            return;
        }
        if (x->upto == upto)
            break;  // it is open
    }
    mask_close(run);
    adopt(run);
    rest(run, true);
}

static void turns_loaded(struct ledger_op *op)
{
    struct run *run = turn_op_over(op);
    if (op->code == E_CONFLICT || op->code == E_STORE) {
        run->watching->version = 0;  // looked at again
        rest(run, true);
    } else if (op->code) {
        emit_error(run, op->code, &op->err);
    } else {
        mask_open(run, tell_turns);
    }
}

// What the head says that the turns do not.
static void tell_head(struct run *run)
{
    device_look(run);
    tell_superseded(run, &run->live->chat->head);
}

static void start(struct run *run)
{
    struct watching *x = run->watching;
    const struct session_head *h = &run->live->chat->head;
    x->started = true;
    x->upto = h->open_turn ? h->open_turn - 1 : h->turns;
    x->superseded = superseded_upto(h, x->upto);
    run->moved_epoch = h->lease.epoch;
    tell(run, EVENT_WATCHING, x->upto, SLICE_NONE);
}

static void looked(struct run *run)
{
    struct watching *x = run->watching;
    const struct session_head *h = &run->live->chat->head;
    // The turn that was fed has gone elsewhere: the policy began a new session with it.
    if (x->feeding && !run_under_way(run->w, x->session, x->feeding)) {
        x->opened = x->feeding;
        x->feeding = 0;
        x->version = 0;
    }
    bool news = h->version != x->version;
    x->version = h->version;
    if (!x->started)
        start(run);
    else if (news)
        tell_head(run);
    adopt(run);
    uint32_t next = x->upto + 1;
    if (news && next <= h->turns && next != x->feeding && !(x->opened && h->open_turn == next)) {
        turn_op_start(run, turns_loaded);
        ledger_load(run->live->chat, next, &run->op);
    } else {
        rest(run, news);
    }
}

static void reloaded(struct ledger_op *op)
{
    struct run *run = turn_op_over(op);
    if (op->code == E_STORE && run->watching->started)
        rest(run, false);  // it may work again
    else if (op->code)
        emit_error(run, op->code, &op->err);
    else
        looked(run);
}

static void poll_now(struct run *run)
{
    struct watching *x = run->watching;
    loop_timer_stop(run->w->env.loop, &run->timer);
    x->busy = true;
    x->again = false;
    turn_op_start(run, reloaded);
    ledger_reload(run->live->chat, &run->op);
}

static void poll_due(struct loop_timer *timer)
{
    poll_now(CONTAINER_OF(timer, struct run, timer));
}

// Something happened: it is looked at now, or when what is under way is over.
static void wake(struct run *run)
{
    struct watching *x = run->watching;
    if (x->busy)
        x->again = true;
    else
        poll_now(run);
}

// ---- what happens here

static bool watches(const struct run *run, const char *session)
{
    return run->watching->started && strcmp(run->watching->session, session) == 0;
}

static void feed(struct run *run, const struct run *first, const struct event *event)
{
    struct watching *x = run->watching;
    if (event->type == EVENT_ACCEPTED && !x->busy && x->upto + 1 == first->turn && !x->opened) {
        adopt(run);
        wake(run);  // an edit replaced what was before
    } else if (event->type == EVENT_ACCEPTED ||
               (event->type == EVENT_DONE && x->feeding != first->turn)) {
        wake(run);
    } else if (x->feeding == first->turn && event->type == EVENT_DELTA) {
        tell(run, EVENT_DELTA, first->turn, event->text);
    } else if (x->feeding == first->turn && event->type == EVENT_DONE) {
        struct event done = *event;
        done.goes_on = true;
        emit_event(run, &done);
        told_whole(run, &first->live->chat->head, first->turn);
        wake(run);
    }
}

void watch_feed(struct run *first, const struct event *event)
{
    if (first->job->verb != JOB_SEND || !first->live || !first->turn || first->replay_session[0])
        return;
    for (struct run *run = first->w->watching; run; run = run->watching->next)
        if (watches(run, first->live->chat->head.id))
            feed(run, first, event);
}

void watch_moved(struct worker *w, const struct session_head *head)
{
    for (struct run *run = w->watching; run; run = run->watching->next)
        if (watches(run, head->id))
            device_tell(run, head);
}

// ---- beginning

static void viewed(struct run *run)
{
    poll_now(run);
}

static void prepared(struct run *run)
{
    struct err err = ERR_INIT;
    // Without its policy the default rules say who reads what.
    if (turn_prepare(run, &err))
        log_line(run->w->env.log, LOG_INFO, "turn: watching without its policy: %s", err.message);
    live_unpin(run);
    resolve_view(run, run->watching->session, viewed);
}

static void located(struct run *run)
{
    struct err err = ERR_INIT;
    struct watching *x = NULL;
    if (!run->target)
        err_set(&err, E_NOT_FOUND, "there is no session yet, and nothing to watch");
    else if (run->w->watches == WATCHES_MAX)
        err_set(&err, E_BUSY, "%d sessions are watched: stop watching one first", WATCHES_MAX);
    else if (!(x = mem_zalloc(sizeof(*x))))
        err_set(&err, E_NOMEM, "out of memory for watching a session");
    if (!x) {
        emit_error(run, err.code, &err);
        return;
    }
    run->watching = x;
    x->busy = true;
    run->timer.fn = poll_due;
    run->timer.lazy = true;
    memcpy(x->session, run->target->chat->head.id, sizeof(x->session));
    link_watch(run);
    aside_run(run, prepared);
}

static void have_user(struct run *run)
{
    if (!ask_known_user(run))
        return;
    if (!run->job->session[0])
        run->job->flags |= JOB_CONTINUE;
    resolve_session(run, false, located);
}

void watch_start(struct run *run)
{
    resolve_user(run, false, have_user);
}
