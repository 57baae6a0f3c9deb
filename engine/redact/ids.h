// SPDX-License-Identifier: MIT
// ids.h: national ids. A row each: how it is written, which strings are one (redact/id_checks.h),
// and the words that say so.
//
// What is written as only this id is, and passes its check, needs no words. What is mere digits, or
// written as many things are, needs words in front of it, or a message that says nothing else.
#ifndef REDACT_IDS_H
#define REDACT_IDS_H

#include "redact/kinds.h"
#include "redact/words.h"

// A recogniser for each kind (redact/recognise.h).
#define REDACT_IDS(ID) \
    ID(ssn, REDACT_SSN) \
    ID(us_itin, REDACT_US_ITIN) \
    ID(us_npi, REDACT_US_NPI) \
    ID(ca_sin, REDACT_CA_SIN) \
    ID(uk_nhs, REDACT_UK_NHS) \
    ID(uk_nino, REDACT_UK_NINO) \
    ID(es_nif, REDACT_ES_NIF) \
    ID(es_nie, REDACT_ES_NIE) \
    ID(it_fiscal_code, REDACT_IT_FISCAL_CODE) \
    ID(pl_pesel, REDACT_PL_PESEL) \
    ID(br_cpf, REDACT_BR_CPF) \
    ID(de_tax_id, REDACT_DE_TAX_ID) \
    ID(nl_bsn, REDACT_NL_BSN) \
    ID(fr_nir, REDACT_FR_NIR) \
    ID(be_national_id, REDACT_BE_NATIONAL_ID) \
    ID(ch_ahv, REDACT_CH_AHV) \
    ID(fi_hetu, REDACT_FI_HETU) \
    ID(se_personal_id, REDACT_SE_PERSONAL_ID) \
    ID(no_birth_number, REDACT_NO_BIRTH_NUMBER) \
    ID(dk_cpr, REDACT_DK_CPR) \
    ID(sg_nric, REDACT_SG_NRIC) \
    ID(au_tfn, REDACT_AU_TFN) \
    ID(au_acn, REDACT_AU_ACN) \
    ID(au_abn, REDACT_AU_ABN) \
    ID(au_medicare, REDACT_AU_MEDICARE) \
    ID(in_aadhaar, REDACT_IN_AADHAAR) \
    ID(kr_rrn, REDACT_KR_RRN) \
    ID(cn_id, REDACT_CN_ID)
#define ID(word, kind) bool word##_at(struct view *v, size_t at, struct match *out);
REDACT_IDS(ID)
#undef ID

// Which of them are written with so many digits, or letters, at their beginning, and so many digits
// behind these: so that most places are passed by at once. Made once, then read-only.
enum { IDS_DIGITS = 18, IDS_NEXT_DIGITS = 8, IDS_LETTERS = 2, IDS_LETTERS_RUN = 16 };
enum ids_mark { IDS_BLANK, IDS_DASH, IDS_DOT, IDS_NO_MARK, IDS_MARKS };
struct ids_index {
    // A bit for each rule: by the digits at the beginning and what stands behind them, where no
    // group of digits need follow; else by the digits behind that, too, and by these and the ones
    // behind another separator.
    uint64_t alone[IDS_DIGITS + 1][IDS_MARKS];
    uint64_t marks[IDS_DIGITS + 1][IDS_MARKS];
    uint64_t digits[IDS_DIGITS + 1][IDS_NEXT_DIGITS + 1];
    uint64_t third[IDS_NEXT_DIGITS + 1][IDS_NEXT_DIGITS + 1];
    uint64_t longer;                    // those with more than three groups
    // Letters, then digits, with a separator between them or not.
    uint64_t letters[IDS_LETTERS + 1][IDS_NEXT_DIGITS + 1];
    uint64_t run;                       // more letters: IDS_LETTERS_RUN letters and digits in all
};
void ids_index_init(struct ids_index *x, uint64_t kinds);  // REDACT_KIND_BIT each
// The rules by which an id may begin at `at`; by all others none does.
uint64_t ids_which(const struct ids_index *x, struct view *v, size_t at);
// The words that say which id follows.
void ids_add_words(struct vocabulary *v);
// Like a recogniser of the rule's kind.
enum redact_kind ids_kind(unsigned rule);
bool ids_at(struct view *v, size_t at, unsigned rule, struct match *out);

#endif
