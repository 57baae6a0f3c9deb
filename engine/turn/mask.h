// SPDX-License-Identifier: MIT
// mask.h: what a run's text becomes before it goes anywhere, and what the client reads: its user's
// masks (mask.c), and the reply chain (reply.c). See turn_int.h.
#ifndef TURN_MASK_H
#define TURN_MASK_H

#include "turn/turn_int.h"

// mask.c
// The policy of the job's bot (the default rules, if it has none that can be loaded), and the
// user's masks; then `then`, now or later, or the run ends with an error.
void mask_prepare(struct run *run, void (*then)(struct run *run));
// The masks alone, of a run that has its policy.
void mask_open(struct run *run, void (*then)(struct run *run));
void mask_close(struct run *run);
struct redact_how mask_how(const struct run *run, enum redact_from from);
// What was redacted just now may have new numbers: makes them durable and calls `then`, now or
// later. E_CONFLICT: redact again; it comes MASK_TRIES_MAX times at most. Others: what has them
// cannot be used.
void mask_commit(struct run *run, mask_committed *then);
// A reply, or what a policy says, names a mask that is not known here: another process may have
// given its number. Reads the book again, once a turn, and calls `then` later; what cannot be read
// is only not known.
void mask_look_again(struct run *run, mask_committed *then);
// The job's text becomes run->text and run->content, its new masks durable; or the run ends.
void mask_said(struct run *run, void (*then)(struct run *run));
// Whether the job's text can become that. E_USAGE, E_REFUSED; `what` it is called.
int mask_check(struct run *run, const char *what, struct err *err);
// Whether the client reads originals; what it reads of text: borrowed from text or from scratch,
// which is to be checked.
bool mask_reveals(const struct run *run);
struct slice mask_shown(const struct run *run, struct safe_text text, struct buf *scratch);
// Has a request read originals on the wire, if the policy lets its model.
void mask_reveal_to_model(struct run *run, struct llm_request *request);
// mask_show.c: ends a run with what it shows, in which masks become kept originals if that is what
// was asked for, or what the policy says of its operators. Takes json.
void show_revealed(struct run *run, struct buf *json);
// The policy alone, and the masks with what is kept, whatever the policy says.
void mask_policy(struct run *run, void (*then)(struct run *run));
void mask_open_kept(struct run *run, void (*then)(struct run *run));
// For who outlives the run.
struct user_masks *user_masks_ref(struct user_masks *u);
void user_masks_release(struct worker *w, struct user_masks *u);  // NULL allowed
struct mask_book *user_masks_book(const struct user_masks *u);    // NULL gives NULL
void user_masks_forget(struct worker *w, const char *partition);  // whoever that is was erased
void user_masks_free_all(struct worker *w);

// reply.c
void reply_init(struct run *run);
void reply_text(struct llm_call *call, struct slice raw);
// The call is over: makes the whole reply safe content (run->reply_content), its masks durable, and
// calls `then`, now or later. E_NOMEM, E_REFUSED.
void reply_finish(struct run *run, mask_committed *then);
// What the policy says becomes the reply in the same way.
void reply_say(struct run *run, mask_committed *then);
void reply_kept(struct ledger_op *op);
// What the client was shown of the reply so far, appended.
void reply_shown(const struct run *run, struct buf *out);
void reply_stop_keeping(struct run *run);
void reply_release(struct run *run);

#endif
