// SPDX-License-Identifier: MIT
// phone_plan.h: the numbering plans as one automaton over digits. tools/phones.c makes the
// tables out of scripts/phones/plans.txt when the program is built; they are constant.
#ifndef REDACT_PHONE_PLAN_H
#define REDACT_PHONE_PLAN_H

#include <stddef.h>
#include <stdint.h>

// Where a digit leads: the next state, and whether the digits so far are a number. State 0 leads
// nowhere. The automaton has no loops, so that a walk is as long as the longest number.
enum { PHONE_STATE_MASK = 0x7fff, PHONE_ACCEPTS = 0x8000 };
struct phone_state {
    uint16_t to[10];
};

struct phone_plan {
    char iso[3];        // ISO 3166, upper-case
    uint16_t code;      // calling code
    uint16_t national;  // state in front of what is dialled inside the region
    uint16_t abroad;    // state in front of what is dialled before a calling code
};

extern const struct phone_state phone_states[];
extern const struct phone_plan phone_plans[];  // by iso
extern const size_t phone_plans_len;
extern const uint16_t phone_world;   // state in front of a calling code
extern const uint16_t phone_common;  // of what is dialled in any of the regions with many people

#endif
