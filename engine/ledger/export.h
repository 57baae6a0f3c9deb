// SPDX-License-Identifier: MIT
// export.h: all that is kept of a user, for people to read: every record, kind by kind, a page at a
// time, so that a user of any size takes a page of memory. One thread, as the ledger.
//
// A record is an object: what its key says by name (kinds.h), the members of its meta (times as
// text, in UTC), and what its body says. Parts of one long body are one record. What cannot be read
// is named with why, and nothing is left out without a word.
#ifndef LEDGER_EXPORT_H
#define LEDGER_EXPORT_H

#include "ledger/ledger.h"

enum {
    EXPORT_PAGE_BYTES = 1 << 20,   // a page ends with the record that goes beyond this
    EXPORT_CURSOR_BYTES = RECORD_KEY_BYTES_MAX + 8,
};

// A page. The caller's until done; partition, key and the buffers are borrowed.
struct ledger_export {
    const char *partition;
    const struct user_key *key;
    struct buf *items, *damaged;   // empty; out: arrays of records, and of {"key","why"}
    // In: where to go on, "" at first. Out: where the next page begins; "": there is none.
    char cursor[EXPORT_CURSOR_BYTES];
    const char *kind;              // out: of this page's records (record_kind.name); constant
};
// Only pages with records or damage, but for the last, which may be empty. E_USAGE: no cursor.
void ledger_export(struct ledger *l, struct ledger_export *e, struct ledger_op *op);

#endif
