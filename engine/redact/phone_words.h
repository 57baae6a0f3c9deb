// SPDX-License-Identifier: MIT
// phone_words.h: what the words in front of digits say about them.
#ifndef REDACT_PHONE_WORDS_H
#define REDACT_PHONE_WORDS_H

#include "redact/view.h"

enum phone_saying {
    SAYS_NOTHING,
    SAYS_OTHER,    // "order no.": something else
    SAYS_VAGUELY,  // "my number is": perhaps a telephone
    SAYS_PHONE,    // "call me at"
};

enum phone_saying phone_words(const struct view *v, size_t at);

#endif
