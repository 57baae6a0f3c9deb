// SPDX-License-Identifier: MIT
// learn_int.h: what the files of learning share: learn_begin.c (who asks, what is there), learn.c
// (the way through a session), learn_model.c (what a model is asked, and what is taken of its
// answer), learn_recalled.c (what was recalled for turns), learn_judge.c (what the gate and the
// book make of what was found).
#ifndef TURN_LEARN_INT_H
#define TURN_LEARN_INT_H

#include "memory/gate.h"
#include "turn/book.h"
#include "turn/learn.h"

// What was recalled for a turn: the text of a turn; what is remembered has it in the book.
struct learn_recalled {
    uint32_t turn;
    struct sent_recalled which;
    struct safe_buf text;
    bool unknown;                  // its text, or what was recalled at all, cannot be had
};

// What became of what was found, for the log.
struct learn_tally {
    uint32_t found, news, confirmed, superseded, quarantined, refused, retired;
};

// A session that is being learnt from: run->extra.
struct learning {
    struct run *run;
    bool ended;                    // the session is over
    bool again;                    // turns came meanwhile, or were taken back
    bool failing;                  // its policy's rules failed, and that is in the log
    bool untold;                   // its entry of the journal tells what was undone
    struct session_head head;      // owned copy
    const struct memory_rules *rules;  // of run's policy
    uint32_t last;                 // its newest turn that is closed
    struct err unloaded;           // why the policy cannot be loaded; E_OK: it is
    struct learnt learnt;          // as it is stored …
    uint64_t guard;                // … with the manifest at this version; it never goes back
    struct book_wait wait;
    void (*found_learnt)(struct run *run);
    // The walk. run->live is a view of the session in which turns at + 1 … upto are loaded, and
    // LEARN_BEFORE before them.
    uint32_t from;                 // turns up to this one were looked at by rules before
    uint32_t at;                   // turns up to this one were walked
    struct gate_past past;         // as of then
    uint32_t upto;
    struct fact_candidates found[LEARN_TURNS];  // by turn, from at + 1
    // A model (learn_model.c)
    bool by_model;                 // it is to be asked
    unsigned calls;
    uint32_t asked_from, asked_upto;  // turns that the call under way is about; then: that it was
    struct safe_buf material;
    char extractor[FACT_EXTRACTOR_BYTES];
    void (*asked)(struct run *run);
    int failed;                    // how it failed; E_OK: it did not
    char why[ERR_MESSAGE_BYTES];
    // What was recalled for turns in which something was found (learn_recalled.c)
    struct vec recalled;           // struct learn_recalled
    struct sent sent;
    uint32_t looked, recalled_at;
    void (*recalled_then)(struct run *run);
    // The commit
    struct book_change change;
    int (*apply)(struct learning *s, struct book *b, struct ledger_memory_commit *extra,
                 struct err *err);
    struct learnt next;            // as it is to be
    struct gate_past past_after;
    bool written;                  // `next` is in it
    unsigned conflicts;
    struct learn_tally tally, sum;
};

// learn_begin.c: finds the session's head anew, and goes on.
void learn_look_up(struct run *run);
// Reads how far the session was learnt from; calls `then` later, or the run ends.
void learn_find_learnt(struct run *run, void (*then)(struct run *run));

// What came while the run was at the session, which is over now, is looked at: by another run.
void learn_once_more(struct run *run);

// learn.c
// Where the walk begins, once `learnt` and `last` are known; it goes on with learn_walk, or with
// learn_end_walk where there is nothing to walk through.
void learn_begin_walk(struct learning *s);
void learn_walk(struct run *run);
void learn_end_walk(struct run *run);
// The run's ends. `learn_fail` counts the failure, if it is one of what is tried again.
void learn_fail(struct run *run, int code, const struct err *err);
void learn_finish(struct run *run, int code, const struct err *err);
void learn_finish_with(struct run *run, int code, const char *why);
void learn_finish_well(struct run *run);
// What is remembered cannot be had.
void learn_no_book(struct run *run, int code, const struct err *err);
// It failed so often that rules alone have to do, or nothing.
bool learn_gives_up(const struct learning *s);
static inline struct learning *learning_of(const struct run *run)
{
    return run->extra;
}
// The turn, if something may be learnt of it; NULL: it is not loaded, or does not count.
struct turn *learn_turn(const struct run *run, uint32_t n);
// All text of a step, borrowed from it where it can be, else from scratch.
struct safe_text learn_text(const struct step *s, struct safe_buf *scratch);
// Adds a candidate to what was found in a turn, with all that is known of where it comes from.
// What is too much or too long is left out. E_NOMEM.
int learn_add(struct learning *s, struct fact_candidate *c, const struct turn *t,
              const char *extractor, struct err *err);

// learn_model.c: asks a model about turns learnt.model_upto + 1 … upto, in as many calls as there
// may be; then `then`, now or later, with s->asked_upto: up to which it answered. What failed
// (s->failed) is not asked about again.
void learn_ask_model(struct run *run, void (*then)(struct run *run));

// learn_recalled.c: reads what was recalled for turns at + 1 … upto in which something was found,
// into s->recalled; `then`, now or later, or the run ends. What cannot be read, or not as a whole,
// is `unknown`.
void learn_find_recalled(struct run *run, void (*then)(struct run *run));
void learn_recalled_init(struct learning *s);
void learn_recalled_clear(struct learning *s);
void learn_recalled_release(struct learning *s);

// learn_judge.c: what was found in turns at + 1 … upto becomes facts of the book; book_change's
// apply.
int learn_judge(struct learning *s, struct book *b, struct err *err);

#endif
