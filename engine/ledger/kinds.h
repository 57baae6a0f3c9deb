// SPDX-License-Identifier: MIT
// kinds.h: every kind of record that a user's partition has, for what must know of all of them: an
// export shows each, an erasure counts each. A test holds the table against the keys that model/
// can build. Constant; any thread.
#ifndef LEDGER_KINDS_H
#define LEDGER_KINDS_H

#include "base/slice.h"
#include <stdbool.h>

// What is sealed in a record's body.
enum kind_body {
    KIND_NO_BODY,
    KIND_TEXT,     // somebody's words
    KIND_JSON,     // one value
    KIND_MEMBERS,  // an object, whose members are told with those of the meta
    KIND_BYTES,    // computed from what other records say, and no text
};

enum { KIND_PARTS_MAX = 5 };

struct record_kind {
    const char *prefix;               // of its keys
    const char *name;                 // what there are many of
    const char *parts[KIND_PARTS_MAX];  // what the key says after its first part; NULL ends them
    enum kind_body body;
    const char *body_name;            // what the body is told as
};

// In the order in which they are told; the last has no prefix and is what no other is.
enum { RECORD_KINDS = 21 };
extern const struct record_kind record_kinds[RECORD_KINDS];

// Which one; RECORD_KINDS - 1 for a key of none.
unsigned record_kind_of(struct slice key);

#endif
