// SPDX-License-Identifier: MIT
// scan.h: finds what redaction is to mask: which bytes of a text are of which kind.
//
// A redactor is a compiled set of rules: read-only once made, shared by threads. What it finds is a
// pure function of its rules and the text, which should be valid UTF-8; other bytes are of no kind.
// Text is matched in a normalised form (redact/fold.h), and spans are of the text as it came.
//
// The same results come from a text in pieces: what a match is depends on at most
// REDACT_BEFORE_BYTES before it, and on what follows only as far as its recogniser looked, which
// redact_scan_open notes. Nothing waits for more than REDACT_HOLD_BYTES.
#ifndef REDACT_SCAN_H
#define REDACT_SCAN_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "redact/kinds.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    REDACT_OWN_MAX = 32,            // patterns of a policy
    REDACT_OWN_NAME_BYTES = 31,     // of a pattern's name: [a-z][a-z0-9_]*; as masks have it
    REDACT_OWN_PATTERN_BYTES = 1000,
    REDACT_ALLOW_MAX = 256,         // entries of an allow-list
    REDACT_SPANS_MAX = 1 << 22,
    REDACT_SCORE_MIN = 40,          // what is less sure is no span
    REDACT_BEFORE_BYTES = 4096,
    REDACT_HOLD_BYTES = 1 << 20,    // the worst case; of prose it is a word or two
};

struct redact_own {
    struct slice name;     // the word of its kind: [a-z][a-z0-9_]*, none of the words in kinds.h
    struct slice pattern;  // PCRE2
};

// Borrowed by redactor_new for the call.
struct redact_rules {
    uint64_t kinds;                // REDACT_KIND_BIT each
    const struct redact_own *own;  // its kind is REDACT_KINDS + index
    size_t n_own;
    const struct slice *allow;     // what is never masked: whole matches; `*` is any characters
    size_t n_allow;
    const char *region;            // of national telephone numbers ("US"); NULL or "": none
};

struct redactor;

// rules NULL: the default kinds and nothing else. E_POLICY: a pattern, an entry or a name is wrong
// (says which, and why).
int redactor_new(struct redactor **out, const struct redact_rules *rules, struct err *err);
void redactor_free(struct redactor *r);  // NULL allowed
// Kinds that may appear in spans: REDACT_KINDS + own patterns.
unsigned redactor_kinds(const struct redactor *r);
// The words of a kind, built in or own; borrowed from r. BUG when out of range.
const char *redactor_kind_word(const struct redactor *r, unsigned kind);
const char *redactor_kind_mask(const struct redactor *r, unsigned kind);
bool redactor_has(const struct redactor *r, unsigned kind);

struct redact_span {
    size_t start, end;  // bytes of the text
    unsigned kind;
    unsigned score;     // REDACT_SCORE_MIN..100: how sure
};

// Sorted by start, disjoint. Owned by whoever initialised it; scanning replaces what was in it.
struct redact_spans {
    struct redact_span *ptr;
    size_t len, cap;
    size_t exhausted;  // places where a pattern of the policy ran out of its limits, and so masked
                       // nothing: to be warned of
};
#define REDACT_SPANS_INIT {0}
void redact_spans_release(struct redact_spans *s);

// E_NOMEM, or E_REFUSED (more than REDACT_SPANS_MAX).
int redact_scan(const struct redactor *r, struct slice text, struct redact_spans *out,
                struct err *err);

// Of a text that goes on (unless at_end). text[0, from) was settled before: it is looked at, not
// masked again, and need be no more than the last REDACT_BEFORE_BYTES of all that was settled.
// *settled >= from: nothing that follows changes the spans before it, and none reaches over it;
// out has the spans in [from, *settled).
int redact_scan_open(const struct redactor *r, struct slice text, size_t from, bool at_end,
                     struct redact_spans *out, size_t *settled, struct err *err);

// Appends what tells this value from others of its kind, however it was written (separators, full
// width, capitals where they mean nothing). `match` is the text of a span of that kind.
void redact_value(unsigned kind, struct slice match, struct buf *out);

#endif
