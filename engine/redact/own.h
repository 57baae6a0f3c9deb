// SPDX-License-Identifier: MIT
// own.h: patterns of a policy, in PCRE2, compiled once and then read-only, any thread.
//
// A pattern is matched on the normalised text, anchored at each place where it can begin. It sees
// one line, OWN_BACK_BYTES before the place and OWN_MATCH_BYTES from it on, so that what it says
// depends on nothing further away; `^` and `$` are the ends of a line. A match is not empty.
//
// Limits: a pattern that tries too many ways is refused when it is made, where one of the texts
// that it is tried on shows it. Where it runs out of its limits later, it masks nothing at that
// place, and the scan counts it, so that the caller warns.
#ifndef REDACT_OWN_H
#define REDACT_OWN_H

#include "base/err.h"
#include "redact/scan.h"
#include "redact/view.h"

enum {
    OWN_BACK_BYTES = 64,
    OWN_MATCH_BYTES = 512,
    OWN_STEPS_MAX = 20000,      // PCRE2's match limit at one place
    OWN_DEPTH_MAX = 2000,
    OWN_HEAP_KIB_MAX = 1024,
    OWN_SCORE = 80,
};

struct own_patterns;

// n <= REDACT_OWN_MAX. E_POLICY: says which pattern, where in it, and why.
int own_patterns_new(struct own_patterns **out, const struct redact_own *list, size_t n,
                     struct err *err);
void own_patterns_free(struct own_patterns *o);  // NULL allowed
size_t own_patterns_len(const struct own_patterns *o);
const char *own_word(const struct own_patterns *o, size_t i);
const char *own_mask(const struct own_patterns *o, size_t i);
// Whether some match of pattern i may begin with this byte.
bool own_begins(const struct own_patterns *o, size_t i, unsigned char byte);

// What one scan needs to match; owned by it.
struct own_matcher;
int own_matcher_new(struct own_matcher **out, const struct own_patterns *o, struct err *err);
void own_matcher_free(struct own_matcher *m);  // NULL allowed
size_t own_exhausted(const struct own_matcher *m);  // places where a pattern ran out of its limits
// Like a recogniser, of pattern i.
bool own_at(struct own_matcher *m, size_t i, struct view *v, size_t at, struct match *out);

#endif
