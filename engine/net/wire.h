// SPDX-License-Identifier: MIT
// wire.h: the seam to the network: one HTTP request, its answer in pieces.
//
// A wire belongs to one loop and its thread. The real one drives curl multi from that loop; the
// simulated one answers from a function of the test's. TLS is always verified; no redirects; no
// cookies; only http and https. A body or header section over the limits ends the request.
#ifndef NET_WIRE_H
#define NET_WIRE_H

#include "base/err.h"
#include "base/loop.h"
#include "base/slice.h"
#include <stdbool.h>
#include <stdint.h>

struct wire;

enum { WIRE_HEADERS_MAX = 32, WIRE_HEADER_BYTES_MAX = 64 << 10 };

struct wire_deadlines {
    int64_t connect_ms, first_byte_ms, idle_ms, total_ms;  // each > 0
};

enum wire_end {
    WIRE_OK,            // whole answer received
    WIRE_NO_CONNECT,    // nothing was sent
    WIRE_CONNECT_LATE,  // connect deadline: nothing was sent
    WIRE_FIRST_LATE,    // sent, first byte deadline
    WIRE_IDLE_LATE,     // idle deadline between bytes
    WIRE_TOTAL_LATE,
    WIRE_BROKEN,        // connection lost, or framing wrong (short of Content-Length, bad chunk)
    WIRE_TOO_BIG,       // over max_bytes
    WIRE_CANCELLED,
};

struct wire_request {
    // The caller's; everything borrowed until on_done.
    const char *method;                       // "POST", "GET"
    const char *url;
    struct slice headers[WIRE_HEADERS_MAX];   // "Name: value"
    unsigned headers_len;
    struct slice body;
    struct wire_deadlines deadlines;
    uint64_t max_bytes;                       // of the (decoded) answer
    // Called on the loop, in this order: on_status once, on_header per header, on_data any number,
    // on_done once, always, and never inside wire_start. on_data returning false ends it
    // (WIRE_CANCELLED). Each may start and cancel requests, none may free the wire. on_status is
    // about the final status, never a 1xx. on_done's err is never NULL; WIRE_OK comes with E_OK.
    void (*on_status)(struct wire_request *r, int status);
    // May be NULL.
    void (*on_header)(struct wire_request *r, struct slice name, struct slice value);
    bool (*on_data)(struct wire_request *r, struct slice bytes);
    void (*on_done)(struct wire_request *r, enum wire_end end, const struct err *err);
    void *user;
    void *impl;                               // the wire's
};

struct wire_ops {
    const char *name;
    int (*start)(struct wire *w, struct wire_request *r, struct err *err);
    void (*cancel)(struct wire *w, struct wire_request *r);
    void (*free)(struct wire *w);
};
struct wire {
    const struct wire_ops *ops;
};

// E_USAGE (bad URL), E_NOMEM, E_BUSY (too many at once: 4,096): then no callback comes.
int wire_start(struct wire *w, struct wire_request *r, struct err *err);
// on_done comes (later) with WIRE_CANCELLED. Harmless when the request is done.
void wire_cancel(struct wire *w, struct wire_request *r);
void wire_free(struct wire *w);  // cancels what is under way, calls its on_done; NULL allowed

int wire_new_curl(struct wire **out, struct loop *loop, struct err *err);

// Simulated: `answer` is called once per request, on the loop, and plays its answer by wire_sim_*
// calls, now or later (it may keep the request pointer until wire_sim_done). Deadlines and limits
// hold as on the real wire, in the loop's time. When a request ends without the script's doing
// (cancelled, late, too big, wire freed), `gone` says so just before on_done: forget the pointer.
// It may be NULL if `answer` always plays to the end at once.
struct wire_sim_ops {
    void (*answer)(void *user, struct wire_request *r);
    void *user;
    void (*gone)(void *user, struct wire_request *r);
};
int wire_new_sim(struct wire **out, struct loop *loop, const struct wire_sim_ops *ops,
                 struct err *err);
void wire_sim_status(struct wire_request *r, int status);
void wire_sim_header(struct wire_request *r, const char *name, const char *value);
bool wire_sim_data(struct wire_request *r, struct slice bytes);  // false: cancelled meanwhile; stop
void wire_sim_done(struct wire_request *r, enum wire_end end);

#endif
