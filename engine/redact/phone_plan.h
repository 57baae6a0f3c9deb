// SPDX-License-Identifier: MIT
// phone_plan.h: the numbering plans as one automaton over digits. tools/phones.c makes the
// tables out of scripts/phones/plans.txt when the program is built; they are constant.
#ifndef REDACT_PHONE_PLAN_H
#define REDACT_PHONE_PLAN_H

#include <stdbool.h>
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
    char trunk;         // the digit that numbers begin with when written; 0: not all do
    uint16_t code;      // calling code
    uint16_t national;  // state in front of what is dialled inside the region
    uint16_t abroad;    // state in front of what is dialled before a calling code
};

extern const struct phone_state phone_states[];
extern const struct phone_plan phone_plans[];  // by iso
extern const size_t phone_plans_len;
extern const uint16_t phone_world;   // state in front of a calling code
extern const uint16_t phone_common;  // of what is dialled in any of the regions with many people

// The plan of a region, by its ISO 3166 code in either case; NULL if there is none.
const struct phone_plan *phone_plan_of(const char *iso, size_t len);

// The state behind len digits, with PHONE_ACCEPTS if they are a number; 0: no number begins so.
unsigned phone_walk(unsigned from, const char *digits, size_t len);
bool phone_accepts(unsigned from, const char *digits, size_t len);
// Ten digits of North America.
bool phone_valid_in_america(const char *digits);

#endif
