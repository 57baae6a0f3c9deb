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
    [REDACT_US_ITIN] = {"us_itin", "US_ITIN", true, REDACT_FORM_ALNUM,
                         "US individual taxpayer numbers (ITIN)"},
    [REDACT_US_NPI] = {"us_npi", "US_NPI", true, REDACT_FORM_ALNUM,
                        "US national provider identifiers"},
    [REDACT_CA_SIN] = {"ca_sin", "CA_SIN", true, REDACT_FORM_ALNUM,
                        "Canadian social insurance numbers"},
    [REDACT_UK_NHS] = {"uk_nhs", "UK_NHS", true, REDACT_FORM_ALNUM, "UK NHS numbers"},
    [REDACT_UK_NINO] = {"uk_nino", "UK_NINO", true, REDACT_FORM_ALNUM,
                         "UK national insurance numbers"},
    [REDACT_ES_NIF] = {"es_nif", "ES_NIF", true, REDACT_FORM_ALNUM, "Spanish NIF (DNI)"},
    [REDACT_ES_NIE] = {"es_nie", "ES_NIE", true, REDACT_FORM_ALNUM, "Spanish NIE"},
    [REDACT_IT_FISCAL_CODE] = {"it_fiscal_code", "IT_FISCAL_CODE", true, REDACT_FORM_ALNUM,
                                "Italian codice fiscale"},
    [REDACT_PL_PESEL] = {"pl_pesel", "PL_PESEL", true, REDACT_FORM_ALNUM, "Polish PESEL"},
    [REDACT_BR_CPF] = {"br_cpf", "BR_CPF", true, REDACT_FORM_ALNUM, "Brazilian CPF"},
    [REDACT_DE_TAX_ID] = {"de_tax_id", "DE_TAX_ID", true, REDACT_FORM_ALNUM, "German Steuer-IdNr."},
    [REDACT_NL_BSN] = {"nl_bsn", "NL_BSN", true, REDACT_FORM_ALNUM, "Dutch BSN"},
    [REDACT_FR_NIR] = {"fr_nir", "FR_NIR", true, REDACT_FORM_ALNUM, "French NIR (social security)"},
    [REDACT_BE_NATIONAL_ID] = {"be_national_id", "BE_NATIONAL_ID", true, REDACT_FORM_ALNUM,
                                "Belgian national register numbers"},
    [REDACT_CH_AHV] = {"ch_ahv", "CH_AHV", true, REDACT_FORM_ALNUM, "Swiss AHV numbers"},
    [REDACT_FI_HETU] = {"fi_hetu", "FI_HETU", true, REDACT_FORM_ALNUM, "Finnish HETU"},
    [REDACT_SE_PERSONAL_ID] = {"se_personal_id", "SE_PERSONAL_ID", true, REDACT_FORM_ALNUM,
                                "Swedish personnummer"},
    [REDACT_NO_BIRTH_NUMBER] = {"no_birth_number", "NO_BIRTH_NUMBER", true, REDACT_FORM_ALNUM,
                                 "Norwegian birth numbers"},
    [REDACT_DK_CPR] = {"dk_cpr", "DK_CPR", true, REDACT_FORM_ALNUM, "Danish CPR numbers"},
    [REDACT_SG_NRIC] = {"sg_nric", "SG_NRIC", true, REDACT_FORM_ALNUM, "Singapore NRIC and FIN"},
    [REDACT_AU_TFN] = {"au_tfn", "AU_TFN", true, REDACT_FORM_ALNUM, "Australian tax file numbers"},
    [REDACT_AU_ACN] = {"au_acn", "AU_ACN", true, REDACT_FORM_ALNUM, "Australian company numbers"},
    [REDACT_AU_ABN] = {"au_abn", "AU_ABN", true, REDACT_FORM_ALNUM, "Australian business numbers"},
    [REDACT_AU_MEDICARE] = {"au_medicare", "AU_MEDICARE", true, REDACT_FORM_ALNUM,
                             "Australian Medicare numbers"},
    [REDACT_IN_AADHAAR] = {"in_aadhaar", "IN_AADHAAR", true, REDACT_FORM_ALNUM,
                            "Indian Aadhaar numbers"},
    [REDACT_KR_RRN] = {"kr_rrn", "KR_RRN", true, REDACT_FORM_ALNUM,
                        "Korean resident registration numbers"},
    [REDACT_CN_ID] = {"cn_id", "CN_ID", true, REDACT_FORM_ALNUM,
                       "Chinese resident identity numbers"},
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
