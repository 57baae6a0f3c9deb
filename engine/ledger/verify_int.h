// SPDX-License-Identifier: MIT
// verify_int.h: what a verification knows of a partition while it goes through it (verify.c), and
// what it holds against what is remembered (verify_memory.c). One thread, see ledger_int.h.
#ifndef LEDGER_VERIFY_INT_H
#define LEDGER_VERIFY_INT_H

#include "base/map.h"
#include "ledger/ledger_int.h"

// A session while it is checked.
struct checked {
    struct session_head head;        // as far as it could be read
    bool damaged;                    // its head could not: nothing is held against it
    bool bad_open;
    uint32_t open_attempts;
    uint32_t events, system_events;
    uint32_t turns;                  // the last ordinal seen
    uint64_t tokens;
    bool bad_turns;
};

// What the records of one reading remember.
struct verify_memory {
    struct map *facts;               // "<bot>/<tier>/<id>": all that there are
    struct map *bots;                // "<bot>" -> struct remembered *
};
void verify_memory_release(struct verify_memory *m);
// One of these records, its body open: against its form, the sessions that there are, and those of
// these records that went before: facts, knowledge, journal, core, learnt, and each bot's manifest
// last. E_CORRUPT says what is wrong; E_NOMEM.
int verify_memory_check(struct verify_memory *m, const struct map *sessions,
                        const struct record *row, struct safe_text body, struct err *err);

#endif
