// SPDX-License-Identifier: MIT
// attach.c: a reply's stream from a byte on, for a client that was cut off and comes back.
//
//   the turn is under way here? ─yes─▶ its run's events are this one's, without what the client has
//      └ no: it is stored, or another process has it: its end is waited for (replay.c)
//
// Invariant: what is told is the bytes of the reply from that one on, whichever way it goes.
#include "turn/mask.h"
#include "turn/resolve.h"
#include "turn/watch.h"

struct run *run_under_way(struct worker *w, const char *session, uint32_t turn)
{
    for (struct run *r = w->runs; r; r = r->next) {
        bool accepted = r->job->verb == JOB_SEND && r->turn && !r->joined &&
                        !r->replay_session[0] && r->state >= RUN_ACCEPTING && r->state < RUN_OVER;
        if (accepted && r->live && strcmp(r->live->chat->head.id, session) == 0 &&
            (turn == 0 || r->turn == turn))
            return r;
    }
    return NULL;
}

static void located(struct run *run)
{
    struct err err = ERR_INIT;
    if (!run->target) {
        err_set(&err, E_NOT_FOUND, "there is no session yet, and no reply to go on with");
        emit_error(run, E_NOT_FOUND, &err);
        return;
    }
    const char *session = run->target->chat->head.id;
    struct run *first = run_under_way(run->w, session, run->job->turn);
    run->skip_bytes = run->job->from_byte;
    if (!first) {
        memcpy(run->replay_session, session, sizeof(run->replay_session));
        run->turn = run->job->turn;
        replay_stored(run);
        return;
    }
    live_unpin(run);
    run->joined = true;
    run->joined_to = first;
    run->joiner_next = first->joiners;
    first->joiners = run;
    emit_join(run, first);
}

static void have_user(struct run *run)
{
    if (!ask_known_user(run))
        return;
    if (!run->job->session[0])
        run->job->flags |= JOB_CONTINUE;
    resolve_session(run, false, located);
}

void attach_start(struct run *run)
{
    resolve_user(run, false, have_user);
}

void attach_let_go(struct run *run)
{
    struct err err = ERR_INIT;
    struct run **at = &run->joined_to->joiners;
    if (run->w->draining)
        return;  // what it is attached to ends now
    while (*at != run)
        at = &(*at)->joiner_next;
    *at = run->joiner_next;
    run->joined_to = NULL;
    err_set(&err, E_CANCELLED, "let go of the reply; it goes on");
    emit_error(run, E_CANCELLED, &err);
}
