// SPDX-License-Identifier: MIT
// phone.h: is what begins here a telephone number?
//
// International numbers of all regions (+49 30 …, 0049 30 …, tel:+49-30-…), national ones of the
// region that is configured, and where none is: North American ones in the ways that people write
// them, those of other large regions that begin with the 0 of the trunk or a bracket, and what
// words in front ("call me at") say is one. Extensions are part of a number.
//
// What is dialled is held against the numbering plans of libphonenumber's metadata, as one
// automaton (redact/phone_plan.h): a candidate costs a walk of some ten steps, and no memory.
// Dates, times, amounts, versions, and parts of longer identifiers are no numbers.
#ifndef REDACT_PHONE_H
#define REDACT_PHONE_H

#include "redact/view.h"

// Is there a number whose first byte ('+', '(' or a digit) is at `at`? Its score says how sure that
// is, words in front taken into account.
bool phone_at(struct view *v, size_t at, struct match *out);

// Has the region a numbering plan? For whoever reads a configuration.
bool phone_region_known(struct slice iso);

// The least digits of a number in that region ("": none), PHONE_DIGITS_MIN at most.
enum { PHONE_DIGITS_MIN = 6 };
unsigned phone_digits_min(const char *region);

#endif
