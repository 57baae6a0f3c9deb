// SPDX-License-Identifier: MIT
// kinds.h: what redaction looks for, as one table: the word that a policy writes and that
// `parley redact -o json` calls `type`; and the name in the mask (`[EMAIL_1]`), the word in
// capitals. A policy's own patterns are kinds of their own, numbered after these (redact/scan.h).
// Constant data, any thread.
#ifndef REDACT_KINDS_H
#define REDACT_KINDS_H

#include "base/slice.h"
#include <stdbool.h>
#include <stdint.h>

// The order is the one in which kinds are listed. Numbers are of one process: records hold words.
enum redact_kind {
    REDACT_EMAIL,
    REDACT_PHONE,
    REDACT_SSN,
    REDACT_CARD,
    REDACT_IBAN,
    REDACT_IP,
    REDACT_MAC,
    REDACT_URL,
    REDACT_SECRET,
    REDACT_WALLET,
    // National ids, the rules of which are in redact/ids.c.
    REDACT_US_ITIN,
    REDACT_US_NPI,
    REDACT_CA_SIN,
    REDACT_UK_NHS,
    REDACT_UK_NINO,
    REDACT_ES_NIF,
    REDACT_ES_NIE,
    REDACT_IT_FISCAL_CODE,
    REDACT_PL_PESEL,
    REDACT_BR_CPF,
    REDACT_DE_TAX_ID,
    REDACT_NL_BSN,
    REDACT_FR_NIR,
    REDACT_BE_NATIONAL_ID,
    REDACT_CH_AHV,
    REDACT_FI_HETU,
    REDACT_SE_PERSONAL_ID,
    REDACT_NO_BIRTH_NUMBER,
    REDACT_DK_CPR,
    REDACT_SG_NRIC,
    REDACT_AU_TFN,
    REDACT_AU_ACN,
    REDACT_AU_ABN,
    REDACT_AU_MEDICARE,
    REDACT_IN_AADHAAR,
    REDACT_KR_RRN,
    REDACT_CN_ID,
    REDACT_KINDS,  // how many there are; a policy's own follow
};

// What of a match tells one value from another (redact_value in redact/scan.h).
enum redact_form {
    REDACT_FORM_TEXT,   // all of it
    REDACT_FORM_LOWER,  // all of it, in small letters
    REDACT_FORM_ALNUM,  // letters (small) and digits: 4111-1111 and 4111 1111 are one value
};

struct redact_kind_info {
    const char *word;       // "email"
    const char *mask;       // "EMAIL"
    bool on;                // where a policy says nothing
    enum redact_form form;
    const char *what;       // for people, in a listing
};

// BUG when kind >= REDACT_KINDS.
const struct redact_kind_info *redact_kind_info(unsigned kind);
// -1: no kind has that word.
int redact_kind_find(struct slice word);
// The kinds that are on where nothing is said, a bit each.
uint64_t redact_kinds_default(void);
#define REDACT_KIND_BIT(kind) (UINT64_C(1) << (kind))
#define REDACT_KINDS_ALL (REDACT_KIND_BIT(REDACT_KINDS) - 1)

#endif
