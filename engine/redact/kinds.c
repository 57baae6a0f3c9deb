// SPDX-License-Identifier: MIT
// kinds.c: the table of kinds.
#include "redact/kinds.h"

#include "base/err.h"

_Static_assert(REDACT_KINDS < 64, "a set of kinds is a bit each");

static const struct redact_kind_info kinds[REDACT_KINDS] = {
    [REDACT_EMAIL] = {"email", "EMAIL", true, REDACT_FORM_LOWER, "e-mail addresses"},
    [REDACT_PHONE] = {"phone", "PHONE", true, REDACT_FORM_ALNUM, "telephone numbers"},
    [REDACT_SSN] = {"ssn", "SSN", true, REDACT_FORM_ALNUM, "US social security numbers"},
    [REDACT_CARD] = {"card", "CARD", true, REDACT_FORM_ALNUM, "payment card numbers"},
    [REDACT_IBAN] = {"iban", "IBAN", true, REDACT_FORM_ALNUM, "bank account numbers (IBAN)"},
    [REDACT_IP] = {"ip", "IP", true, REDACT_FORM_LOWER, "IPv4 and IPv6 addresses"},
    [REDACT_MAC] = {"mac", "MAC", true, REDACT_FORM_ALNUM, "hardware (MAC) addresses"},
    [REDACT_URL] = {"url", "URL", true, REDACT_FORM_TEXT, "URLs with credentials in them"},
    [REDACT_SECRET] = {"secret", "SECRET", true, REDACT_FORM_TEXT, "API keys, tokens, secret keys"},
    [REDACT_WALLET] = {"wallet", "WALLET", true, REDACT_FORM_TEXT, "crypto wallet addresses"},
};

const struct redact_kind_info *redact_kind_info(unsigned kind)
{
    BUG_ON(kind >= REDACT_KINDS);
    return &kinds[kind];
}

int redact_kind_find(struct slice word)
{
    for (int i = 0; i < REDACT_KINDS; i++)
        if (slice_is(word, kinds[i].word))
            return i;
    return -1;
}

uint64_t redact_kinds_default(void)
{
    uint64_t set = 0;

    for (unsigned i = 0; i < REDACT_KINDS; i++)
        set |= kinds[i].on ? REDACT_KIND_BIT(i) : 0;
    return set;
}
