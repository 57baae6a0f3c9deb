// SPDX-License-Identifier: MIT
// recognise.c: the table of recognisers.
#include "redact/recognise.h"

const struct recogniser recognisers[] = {
    {REDACT_EMAIL, email_at, START_WORD, ANCHOR_AT, NULL, NULL},
    {.at = NULL},
};
