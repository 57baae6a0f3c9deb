// SPDX-License-Identifier: MIT
// embedding.h: calls for embeddings, beside the turns: which model, who waits how long, what is
// recorded, and when an endpoint that fails is left alone.
//
//   embedding_start ─▶ budgets ─▶ its attempt, open: committed ─▶ sent ─▶ done ─▶ it is settled
//                         └──────── the asker's deadline ──▶ done, without vectors
//
// Invariants:
//   1. Every call is an attempt of its own (model/attempt.h), committed before it is sent and
//      settled with its usage, whether or not somebody still waits for it.
//   2. done comes exactly once per started call, never inside embedding_start.
//   3. Nobody waits longer than he said, and for an endpoint that is always late or fails nobody
//      waits at all: it rests, for a second at first, for five minutes at most.
// One thread: the worker's.
#ifndef TURN_EMBEDDING_H
#define TURN_EMBEDDING_H

#include "llm/embed.h"
#include "memory/recall.h"
#include "turn/turn_int.h"

enum {
    EMBEDDING_DEADLINE_MS = 400,     // of a turn's message, unless embeddings.deadline says another
    EMBEDDING_ASKED_MS = 5000,       // of a query that somebody asked for by itself
    EMBEDDING_TOTAL_MS = 30 * 1000,  // of the call itself, so that its usage is learnt
    EMBEDDING_CLOSING_MS = 1000,     // the same, while the engine closes
    EMBEDDING_REST_MS = 1000,
    EMBEDDING_REST_MS_MAX = 300 * 1000,
    EMBEDDING_LATE_MAX = 3,          // late so often in a row, it rests as after a failure
};

// How a call ended, for who asked.
enum embedding_end {
    EMBEDDING_OK,
    EMBEDDING_LATE,     // the asker's deadline; the call goes on
    EMBEDDING_REFUSED,  // these texts, by an endpoint that has taken others
    EMBEDDING_FAILED,
};

// What a worker knows of the configured model.
struct embedder {
    char provider[MODEL_NAME_BYTES], model[MODEL_NAME_BYTES];
    uint32_t wished_dims;  // 0: the model's own
    struct recall_space space;  // dims 0 until the first answer
    int64_t deadline_ms;
    bool worked;           // has answered since the engine was opened
    unsigned failures, late;  // in a row
    int64_t rests_until_ns;   // of the monotonic clock
    int64_t closes_ns;        // the same; 0: the engine does not close
    struct embedding *calls;  // under way
};

struct embedding {
    struct worker *w;
    struct embedding *next, *prev;  // embedder->calls
    char partition[PARTITION_BYTES];
    struct ledger_call record;
    struct ledger_op op;
    struct llm *llm;               // borrowed from worker->providers
    struct safe_buf text;          // of all inputs
    struct safe_text *inputs;      // owned; point into text
    struct llm_embed_call call;
    struct budget_hold *hold;      // what is reserved for it
    bool starting, refused;        // in embedding_start; by a budget, there
    bool called;                   // the call was started and has not ended
    bool closed;                   // the engine closes, and its time is over
    struct loop_timer late, closing;
    void (*done)(struct embedding *e);  // NULL: told, or nobody waits any more
    void *user;
    // for done, borrowed during it
    enum embedding_end end;
    const float *vectors;          // inputs times dims; NULL but with EMBEDDING_OK
    uint32_t dims;
};

// NULL in *out: none is configured. E_POLICY: what is configured is wrong; E_NOMEM.
int embedder_new(struct embedder **out, const struct conf *conf, struct err *err);
void embedder_free(struct embedder *e);  // NULL allowed; no call may be under way
// Whether there is a model and it may be asked now.
bool embedder_ready(const struct worker *w);
// What indexes of this worker have as their space.
struct recall_space embedder_space(const struct worker *w);
// The engine closes: what is under way gets EMBEDDING_CLOSING_MS, and so long others may begin.
void embedder_drain(struct worker *w);
bool embedder_closed(const struct worker *w);

// Whose, and what for; all is copied.
struct embedding_wish {
    const char *partition, *bot;
    const struct user_key *key;     // borrowed from the vault
    const struct safe_text *texts;  // as llm_embed_input made them
    uint32_t len;
    int64_t wait_ms;                // 0: as long as it takes
    void (*done)(struct embedding *e);
    void *user;
};
// NULL: not now; done does not come. What is returned is not the caller's, and is gone after done.
struct embedding *embedding_start(struct worker *w, const struct embedding_wish *wish);
// The asker goes away: done does not come any more.
void embedding_forget(struct embedding *e);

#endif
