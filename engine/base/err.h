// SPDX-License-Identifier: MIT
// err.h: how a function says that it failed.
//
// A function that can fail returns 0 or a negative `enum code`, takes `struct err *err` last, and
// fills it: what happened, where, what to do next. Callers on the way up prefix the message with
// their own view of it ("store: sqlite: disk full while appending turn 41"). `err` may be NULL
// where only the code matters. An err is plain data in the caller's frame: no allocation, any
// thread.
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdarg.h>

// The same numbers as `enum parley_code` in parley.h (asserted in parley.c).
enum code {
    E_OK = 0,
    E_USAGE = -1,      // bad input: an argument, a flag, a message
    E_POLICY = -2,     // a policy or the configuration is wrong (an unknown bot too)
    E_STORE = -3,      // the store failed, is unreadable, or is locked for too long
    E_REFUSED = -4,    // understood and refused: a limit, a lock held, a key reused, not allowed
    E_PROVIDER = -5,   // the provider failed, or its reply was lost
    E_CONFLICT = -6,   // a record changed or exists already: read again, then decide
    E_NOT_FOUND = -7,  // no such thing
    E_NOMEM = -8,      // out of memory: only this operation failed
    E_CANCELLED = -9,  // stopped by the user or by shutdown
    E_BUSY = -10,      // try again later, nothing was done
    E_CORRUPT = -11,   // stored or received bytes are not what they should be
    E_FENCED = -12,    // an epoch or version guard failed: somebody else owns this now
    E_ERASED = -13,    // it was erased for good, and takes nothing any more
};

enum { ERR_MESSAGE_BYTES = 512 };

struct err {
    int code;
    char message[ERR_MESSAGE_BYTES];  // NUL-terminated; cut at a character boundary when too long
};
#define ERR_INIT {0}

// Sets code and message; returns code, so that `return err_set(...)` reads well. err may be NULL.
int err_set(struct err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int err_setv(struct err *err, int code, const char *fmt, va_list ap)
    __attribute__((format(printf, 3, 0)));

// Puts the text before the message that is there, as it is: err_prefix(err, "store: "). Returns the
// code that is there.
int err_prefix(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

// A stable lower-case word for a code: "usage", "policy", "store", … "unknown" for others.
const char *err_word(int code);

// A broken invariant of ours. Prints file, line and text to stderr and aborts; kept in release
// builds: going on would put the ledger at risk, and what was acknowledged is already durable.
#define BUG(...) bug_at(__FILE__, __LINE__, __VA_ARGS__)
#define BUG_ON(cond) ((cond) ? BUG("%s", #cond) : (void)0)
_Noreturn void bug_at(const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
