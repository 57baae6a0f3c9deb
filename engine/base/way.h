// SPDX-License-Identifier: MIT
// way.h: how a piece of work makes way for others while it takes long, as whoever has it done says.
//
//   begin ──▶ work ──slice over──▶ pause ──▶ work … ──▶ end      wait: before begin, or after end
//
// Who works keeps these rules: begin and wait are called where the work was asked for; between
// begin and end, after each pause, it may be on another thread (`elsewhere`, the same one for all
// pieces of work of a worker), and touches nothing but what is its own; end brings it back.
#ifndef BASE_WAY_H
#define BASE_WAY_H

#include <stdbool.h>
#include <stdint.h>

// What the work may do until it pauses again.
struct way_slice {
    int64_t ns;
    bool elsewhere;              // on another thread than the one where it began
};

// All functions, or none: the work is done in one piece.
struct way {
    // What the others are told of the work; NULL: it cannot make way, and is done in one piece.
    void *(*begin)(void *user);
    // From inside the work, wherever it stands: lets others work, and returns when it may go on.
    struct way_slice (*pause)(void *work);
    void (*end)(void *work);     // returns on the thread where it began
    // Lets others work for a moment, for what the caller needs is in their hands. false, at once:
    // nobody can.
    bool (*wait)(void *user);
    void *user;
};

#endif
