// SPDX-License-Identifier: MIT
// phone.h: is what begins here a telephone number?
//
// The caller looks for digits; this looks at one run of them. International numbers of all regions
// (+49 30 …, 0049 30 …, tel:+49-30-…), national ones of the region that is configured, North
// American ones as people write them, and other national ones where words in front say "phone".
// What is dialled is held against the numbering plans of libphonenumber's metadata, which the
// build makes into one automaton (scripts/phones, tools/phones.c).
//
// Text is UTF-8 in which digits, '+', brackets, dashes and spaces are their ASCII forms (the
// caller normalises and maps offsets back). Pure functions over constant tables: any thread, no
// memory, and a bounded stretch of text is read, however long it is.
#ifndef REDACT_PHONE_H
#define REDACT_PHONE_H

#include "base/slice.h"

// The farthest that is read in front of the digit asked about, and after it.
enum { PHONE_BEFORE_BYTES = 96, PHONE_AFTER_BYTES = 128 };

// A region's numbering plan; PHONE_NO_REGION where none is configured.
typedef int phone_region;
#define PHONE_NO_REGION (-1)

// The plan of a region by its ISO 3166 code ("US", "de"); PHONE_NO_REGION for one that has none.
phone_region phone_region_find(struct slice code);

struct phone_match {
    size_t start, end;  // bytes of text, with "tel:", '+', brackets and extension
    int score;          // 1..100, how sure it is; 0: not a number
    // The answer depends on what may follow the end of text. A text that goes on must be asked
    // about anew, from `start` on (which is set in this case even where score is 0).
    bool open;
};

// Is there a number whose first digit is text[at]? The byte in front of `at` must not be a digit.
// Returns match->score > 0.
bool phone_match(struct slice text, size_t at, phone_region region, struct phone_match *match);

#endif
