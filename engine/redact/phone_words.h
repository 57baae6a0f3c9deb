// SPDX-License-Identifier: MIT
// phone_words.h: the words that say of digits behind them whether they are a telephone number.
#ifndef REDACT_PHONE_WORDS_H
#define REDACT_PHONE_WORDS_H

#include "redact/words.h"

extern const struct word phone_words[];  // ends with .text NULL

#endif
