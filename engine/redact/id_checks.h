// SPDX-License-Identifier: MIT
// id_checks.h: which strings of digits and letters are national ids, by check digits, ranges and
// the dates in them. Each takes the id without separators, letters in capitals, of the
// length that its comment says, and only characters that its shape allows (redact/ids.c). Pure; any
// thread. The source of each rule stands with it in id_checks.c.
#ifndef REDACT_ID_CHECKS_H
#define REDACT_ID_CHECKS_H

#include <stdbool.h>

bool is_us_ssn(const char *id);          // 9 digits
bool is_us_itin(const char *id);         // 9 digits
bool is_us_npi(const char *id);          // 10 digits
bool is_ca_sin(const char *id);          // 9 digits
bool is_uk_nhs(const char *id);          // 10 digits
bool is_uk_nino(const char *id);         // 2 letters, 6 digits, a letter
bool is_es_nif(const char *id);          // 7 or 8 digits and a letter
bool is_es_nie(const char *id);          // a letter, 7 digits, a letter
bool is_it_fiscal_code(const char *id);  // 16 letters and digits
bool is_pl_pesel(const char *id);        // 11 digits
bool is_br_cpf(const char *id);          // 11 digits
bool is_de_tax_id(const char *id);       // 11 digits
bool is_nl_bsn(const char *id);          // 9 digits
bool is_fr_nir(const char *id);          // 15 digits
bool is_be_national(const char *id);     // 11 digits
bool is_ch_ahv(const char *id);          // 13 digits
bool is_fi_hetu(const char *id);         // 6 digits, a century's sign, 3 digits, a character
bool is_se_personal(const char *id);     // 10 digits
bool is_se_personal_long(const char *id);  // 12 digits
bool is_no_birth(const char *id);        // 11 digits
bool is_dk_cpr(const char *id);          // 10 digits
bool is_sg_nric(const char *id);         // a letter, 7 digits, a letter
bool is_au_tfn(const char *id);          // 9 digits
bool is_au_acn(const char *id);          // 9 digits
bool is_au_abn(const char *id);          // 11 digits
bool is_au_medicare(const char *id);     // 10 digits
bool is_in_aadhaar(const char *id);      // 12 digits
bool is_kr_rrn(const char *id);          // 13 digits
bool is_cn_id(const char *id);           // 17 digits and a digit or X

#endif
