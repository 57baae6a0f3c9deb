// SPDX-License-Identifier: MIT
// wire_int.h: what every wire does the same way: deadlines, limits and the one report at the end.
//
// A call is one request under way. Its single timer stands for whichever comes first: a decided end
// to report, the current phase's deadline, or the total one. Because an end is reported by the
// timer, nothing is ever called back inside wire_start or wire_cancel.
//
//   STARTING ──timer──▶ CONNECTING ──▶ WAITING ──first byte──▶ READING ──▶ reported, freed
//       └───────────────────┴─────────────┴── late, cancelled, too big ─────────┘
//
// Invariants
// 1. r->impl points to the call from start to report, and is NULL afterwards.
// 2. Once `ending`, nothing but on_done reaches the request.
// Thread: the loop's.
#ifndef NET_WIRE_INT_H
#define NET_WIRE_INT_H

#include "net/wire.h"

enum { WIRE_CALLS_MAX = 4096 };

enum wire_phase {
    WIRE_STARTING,
    WIRE_CONNECTING,  // nothing of the request was sent
    WIRE_WAITING,     // sent, or being sent
    WIRE_READING,
};

struct wire_call {
    struct wire_request *r;
    struct loop *loop;
    struct loop_timer timer;
    struct wire_call *prev, *next;  // in its wire's list
    int64_t started_ns, phase_ns;   // in WIRE_READING, phase_ns is when the last bytes came
    uint64_t bytes;                 // of the body so far
    size_t header_bytes;
    int status;                     // 0 until on_status was called
    enum wire_phase phase;
    bool ending;
    enum wire_end end;              // when ending
};

struct wire_calls {
    struct wire_call *first;
    size_t len;
    bool closing;                   // the wire is being freed: nothing new is taken
};

// Whether one more fits: E_BUSY or E_CANCELLED (closing).
int wire_calls_admit(const struct wire_calls *calls, struct err *err);
// Registers the call and runs `fn` on the loop soon.
void wire_call_begin(struct wire_calls *calls, struct wire_call *call, struct loop *loop,
                     struct wire_request *r, void (*fn)(struct loop_timer *timer));
struct wire_call *wire_call_of(struct loop_timer *timer);
void wire_call_enter(struct wire_call *call, enum wire_phase phase);
void wire_call_again(struct wire_call *call);  // back to STARTING; its deadlines run on
void wire_call_end_soon(struct wire_call *call, enum wire_end end);  // the first one said counts
// For the timer: true if the call is over, with call->end set; else the timer runs again.
bool wire_call_over(struct wire_call *call);

// Pass an answer on. False: the call is ending, take no more.
bool wire_call_status(struct wire_call *call, int status);
bool wire_call_header(struct wire_call *call, struct slice name, struct slice value);
bool wire_call_data(struct wire_call *call, struct slice bytes);
// Counts bytes of the header section, whatever they say.
bool wire_call_header_bytes(struct wire_call *call, size_t bytes);

// Takes the call out of the list and its timer off the loop. on_done is still to come.
void wire_call_finish(struct wire_calls *calls, struct wire_call *call);
// on_done. `detail` may be NULL; the request may be gone afterwards.
void wire_report(struct wire_request *r, enum wire_end end, const char *detail);

#endif
