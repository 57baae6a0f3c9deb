// SPDX-License-Identifier: MIT
// pins.h: what a session keeps in every request, wherever the cut is: turns that were pinned.
//
// Kept in the session's head. A turn that is undone or edited loses its pin.
#ifndef MODEL_PINS_H
#define MODEL_PINS_H

#include "base/err.h"
#include <stdbool.h>
#include <stdint.h>

enum { SESSION_PINS_MAX = 64 };

enum pin_by {
    PIN_USER,    // the user, or whoever speaks for them
    PIN_POLICY,  // the policy, while the turn was under way
};
const char *pin_by_word(enum pin_by by);  // "user", "policy"

struct turn_pin {
    uint32_t turn;
    enum pin_by by;
};

// Sorted by turn, each turn once. A plain value: copied with the head.
struct session_pins {
    struct turn_pin list[SESSION_PINS_MAX];
    uint32_t len;
};

// The pin of this turn, or NULL.
const struct turn_pin *pins_find(const struct session_pins *p, uint32_t turn);
// A turn that is pinned already is pinned by this one from now on. E_REFUSED over SESSION_PINS_MAX.
int pins_add(struct session_pins *p, uint32_t turn, enum pin_by by, struct err *err);
void pins_remove(struct session_pins *p, uint32_t first, uint32_t last);  // harmless where none is

#endif
