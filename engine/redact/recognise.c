// SPDX-License-Identifier: MIT
// recognise.c: the table of recognisers.
#include "redact/recognise.h"

#include "redact/ids.h"
#include "redact/phone.h"
#include "redact/phone_words.h"

// What is dotted as addresses are.
static const char *const versions[] = {
    "version", "ver", "release", "firmware", "build", "section", "clause", "paragraph", "chrome",
    "oid", NULL,
};

const struct recogniser recognisers[] = {
    {REDACT_EMAIL, email_at, START_WORD, ANCHOR_AT, NULL, NULL, false},
    {REDACT_CARD, card_at, START_DIGIT, ANCHOR_DIGITS, NULL, NULL, false},
    {REDACT_IBAN, iban_at, START_LETTER, ANCHOR_IBAN, NULL, NULL, false},
    {REDACT_IP, ipv4_at, START_DIGIT, ANCHOR_DOT, NULL, versions, false},
    {REDACT_IP, ipv6_at, START_DIGIT | START_LETTER | START_COLON, ANCHOR_COLON, NULL, NULL, false},
    {REDACT_MAC, mac_at, START_DIGIT | START_LETTER, ANCHOR_COLON | ANCHOR_DOT | ANCHOR_RUN, NULL,
     NULL, false},
    {REDACT_URL, url_at, START_LETTER, ANCHOR_COLON, NULL, NULL, false},
    {REDACT_SECRET, shape_at, START_LETTER, ANCHOR_RUN, NULL, NULL, false},
    {REDACT_SECRET, hook_at, START_LETTER, ANCHOR_RUN, NULL, NULL, false},
    {REDACT_SECRET, jwt_at, START_LETTER, ANCHOR_RUN, NULL, NULL, false},
    {REDACT_SECRET, named_at, START_WORD | START_PHONE, ANCHOR_RUN, NULL, NULL, false},
    {REDACT_SECRET, pem_at, START_DASH, ANCHOR_DASHES, NULL, NULL, false},
    {REDACT_WALLET, wallet_at, START_DIGIT | START_LETTER, ANCHOR_RUN, NULL, NULL, false},
    {REDACT_PHONE, phone_at, START_DIGIT | START_PHONE, ANCHOR_DIGITS, NULL, NULL, false},
#define ID(word, kind) \
    {kind, word##_at, START_DIGIT | START_LETTER, ANCHOR_DIGITS, NULL, NULL, true},
    REDACT_IDS(ID)
#undef ID
    {.at = NULL},
};

void recognisers_add_words(struct vocabulary *v)
{
    for (const struct word *word = phone_words; word->text; word++)
        vocabulary_add(v, word);
    ids_add_words(v);
}
