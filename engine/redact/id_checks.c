// SPDX-License-Identifier: MIT
// id_checks.c: check digits, ranges and dates of national ids.
#include "redact/id_checks.h"

#include <stddef.h>
#include <string.h>

static int at(const char *id, size_t i)
{
    return id[i] - '0';
}

static int value(const char *id, size_t from, size_t len)
{
    int v = 0;

    for (size_t i = from; i < from + len; i++)
        v = v * 10 + at(id, i);
    return v;
}

// The digits' sum, each by its weight.
static int weighted(const char *id, const int *weights, size_t n)
{
    int sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += at(id, i) * weights[i];
    return sum;
}

// ISO/IEC 7812-1, annex B: every second digit from the right counts double, by its digits' sum.
static int luhn_sum(const char *id, size_t n)
{
    int sum = 0;

    for (size_t i = 0; i < n; i++) {
        int d = at(id, n - 1 - i) * (i % 2 ? 2 : 1);
        sum += d > 9 ? d - 9 : d;
    }
    return sum;
}

static bool all_same(const char *id, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (id[i] != id[0])
            return false;
    return true;
}

static bool is_day(int month, int day)
{
    static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return month >= 1 && month <= 12 && day >= 1 && day <= days[month - 1];
}

// ---- North America

// Social Security Administration, "Randomization FAQs" and POMS RM 10201.035: area never 000, 666
// or 9xx; group never 00; serial never 0000. The number of a 1938 wallet, and rows of digits, are
// nobody's.
bool is_us_ssn(const char *id)
{
    int area = value(id, 0, 3);

    return area != 0 && area != 666 && area < 900 && value(id, 3, 2) && value(id, 5, 4) &&
           !all_same(id, 9) && memcmp(id, "123456789", 9) != 0 && memcmp(id, "078051120", 9) != 0 &&
           memcmp(id, "219099999", 9) != 0 && memcmp(id, "98765432", 8) != 0;
}

// Internal Revenue Service, IRM 3.21.263: 9xx, then 50-65, 70-88, 90-92 or 94-99.
bool is_us_itin(const char *id)
{
    int group = value(id, 3, 2);

    return id[0] == '9' && group >= 50 && !(group > 65 && group < 70) && group != 89 && group != 93;
}

// 45 CFR 162.406 and CMS, "Requirements for NPI and NPI check digit": begins with 1 or 2; Luhn with
// 80840 in front, which adds 24.
bool is_us_npi(const char *id)
{
    return (id[0] == '1' || id[0] == '2') && (luhn_sum(id, 10) + 24) % 10 == 0 &&
           !all_same(id, 9);
}

// Canada, Social Insurance Number Code of Practice: Luhn; 0 and 8 are not given out.
bool is_ca_sin(const char *id)
{
    return id[0] != '0' && id[0] != '8' && luhn_sum(id, 9) % 10 == 0 && !all_same(id, 9);
}

// ---- Europe

// NHS Data Dictionary, "NHS number": modulo 11.
bool is_uk_nhs(const char *id)
{
    static const int weights[] = {10, 9, 8, 7, 6, 5, 4, 3, 2};
    int check = 11 - weighted(id, weights, 9) % 11;

    return (check == 11 ? 0 : check) == at(id, 9) && !all_same(id, 10);
}

// HM Revenue & Customs, NIM39110: prefixes that are not used.
bool is_uk_nino(const char *id)
{
    static const char *const unused[] = {"BG", "GB", "NK", "KN", "TN", "NT", "ZZ"};

    if (strchr("DFIQUV", id[0]) || strchr("DFIQUVO", id[1]) || !strchr("ABCD", id[8]))
        return false;
    for (size_t i = 0; i < sizeof(unused) / sizeof(*unused); i++)
        if (memcmp(id, unused[i], 2) == 0)
            return false;
    return true;
}

// Ministerio del Interior, "Cálculo del dígito de control del NIF/NIE": modulo 23.
static bool is_nif_letter(int number, char letter)
{
    return letter == "TRWAGMYFPDXBNJZSQVHLCKE"[number % 23];
}

bool is_es_nif(const char *id)
{
    size_t digits = strlen(id) - 1;

    return is_nif_letter(value(id, 0, digits), id[digits]);
}

bool is_es_nie(const char *id)
{
    return id[0] >= 'X' && id[0] <= 'Z' &&
           is_nif_letter((id[0] - 'X') * 10000000 + value(id, 1, 7), id[8]);
}

// Decreto ministeriale 23 dicembre 1976: months as letters, digits that may be letters, and the
// check character by two tables.
bool is_it_fiscal_code(const char *id)
{
    static const char odd[] = "BAKPLCQDREVOSFTGUHMINJWZYX";  // the place of a letter is its value
    static const char omocodia[] = "LMNPQRSTUV";
    static const int digits[] = {6, 7, 9, 10, 12, 13, 14};
    int sum = 0;

    for (int i = 0; i < 6; i++)
        if (id[i] < 'A')
            return false;
    if (!strchr("ABCDEHLMPRST", id[8]) || id[11] < 'A' || id[15] < 'A')
        return false;
    for (size_t i = 0; i < sizeof(digits) / sizeof(*digits); i++)
        if (id[digits[i]] >= 'A' && !strchr(omocodia, id[digits[i]]))
            return false;
    for (int i = 0; i < 15; i++) {
        char c = id[i] < 'A' ? (char)('A' + id[i] - '0') : id[i];
        sum += i % 2 ? c - 'A' : (int)(strchr(odd, c) - odd);
    }
    return id[15] == 'A' + sum % 26;
}

// Ustawa o ewidencji ludności (Dz.U. 2010 nr 217 poz. 1427), art. 15: the century is in the month.
bool is_pl_pesel(const char *id)
{
    static const int weights[] = {1, 3, 7, 9, 1, 3, 7, 9, 1, 3};

    return is_day(value(id, 2, 2) % 20, value(id, 4, 2)) &&
           (10 - weighted(id, weights, 10) % 10) % 10 == at(id, 10);
}

// Receita Federal, Cadastro de Pessoas Físicas: two digits modulo 11.
bool is_br_cpf(const char *id)
{
    for (size_t n = 9; n < 11; n++) {
        int sum = 0;

        for (size_t i = 0; i < n; i++)
            sum += at(id, i) * (int)(n + 1 - i);
        if (sum * 10 % 11 % 10 != at(id, n))
            return false;
    }
    return !all_same(id, 11);
}

// Bundeszentralamt für Steuern, "Aufbau der Identifikationsnummer"; ISO/IEC 7064 MOD 11,10. Of the
// first ten digits one stands twice or three times (not in a row), the others once at most.
bool is_de_tax_id(const char *id)
{
    int count[10] = {0}, repeated = 0, product = 10;

    if (id[0] == '0')
        return false;
    for (size_t i = 0; i < 10; i++) {
        int sum = (at(id, i) + product) % 10;

        product = (sum ? sum : 10) * 2 % 11;
        if (++count[at(id, i)] == 2)
            repeated++;
        if (count[at(id, i)] > 3 || (i >= 2 && id[i] == id[i - 1] && id[i] == id[i - 2]))
            return false;
    }
    return repeated == 1 && (11 - product) % 10 == at(id, 10);
}

// Besluit BSN, and the "11-proef" of the Rijksdienst voor Identiteitsgegevens.
bool is_nl_bsn(const char *id)
{
    static const int weights[] = {9, 8, 7, 6, 5, 4, 3, 2, -1};

    return weighted(id, weights, 9) % 11 == 0 && !all_same(id, 9);
}

// INSEE, "Numéro de sécurité sociale": sex, year, month, place, order, and 97 - number modulo 97.
bool is_fr_nir(const char *id)
{
    long long number = 0;
    int month = value(id, 3, 2);

    if (!strchr("123478", id[0]) || month < 1 || (month > 12 && month < 20) ||
        (month > 42 && month < 50))
        return false;
    for (size_t i = 0; i < 13; i++)
        number = number * 10 + at(id, i);
    return 97 - number % 97 == value(id, 13, 2);
}

// Arrêté royal du 3 avril 1984: 97 - number modulo 97; from 2000 on with a 2 in front.
bool is_be_national(const char *id)
{
    long long number = 0;
    int check = value(id, 9, 2);

    for (size_t i = 0; i < 9; i++)
        number = number * 10 + at(id, i);
    return is_day(value(id, 2, 2), value(id, 4, 2)) &&
           (97 - number % 97 == check || 97 - (number + 2000000000) % 97 == check);
}

// Zentrale Ausgleichsstelle, "Die AHV-Nummer": an EAN-13 that begins with 756.
bool is_ch_ahv(const char *id)
{
    static const int weights[] = {1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1};

    return memcmp(id, "756", 3) == 0 && weighted(id, weights, 13) % 10 == 0;
}

// Digi- ja väestötietovirasto, "Henkilötunnus"; the signs of the centuries as renewed in 2023.
bool is_fi_hetu(const char *id)
{
    int number = value(id, 0, 6) * 1000 + value(id, 7, 3);

    return is_day(value(id, 2, 2), value(id, 0, 2)) && strchr("+-ABCDEFUVWXY", id[6]) &&
           value(id, 7, 3) >= 2 && id[10] == "0123456789ABCDEFHJKLMNPRSTUVWXY"[number % 31];
}

// Skatteverket, SKV 704: Luhn; from 61 on the day is that of a coordination number.
bool is_se_personal(const char *id)
{
    int day = value(id, 4, 2);

    return is_day(value(id, 2, 2), day > 60 ? day - 60 : day) && luhn_sum(id, 10) % 10 == 0;
}

bool is_se_personal_long(const char *id)
{
    return value(id, 0, 2) >= 18 && value(id, 0, 2) <= 20 && is_se_personal(id + 2);
}

// Skatteetaten, "Fødselsnummer": two digits modulo 11; a D-number has 4 added to its first.
bool is_no_birth(const char *id)
{
    static const int first[] = {3, 7, 6, 1, 8, 9, 4, 5, 2, 1};
    static const int second[] = {5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1};

    return is_day(value(id, 2, 2), value(id, 0, 2) % 40) && weighted(id, first, 10) % 11 == 0 &&
           weighted(id, second, 11) % 11 == 0;
}

// CPR-kontoret, "Personnummeret i CPR": a date and a running number; no check since 2007.
bool is_dk_cpr(const char *id)
{
    return is_day(value(id, 2, 2), value(id, 0, 2)) && value(id, 6, 4) > 0;
}

// ---- Asia, Australia

// Immigration & Checkpoints Authority of Singapore; the letters as Ng published them ("NRIC and FIN
// check digit", 2005), M of 2022.
bool is_sg_nric(const char *id)
{
    static const int weights[] = {2, 7, 6, 5, 4, 3, 2};
    int sum = weighted(id + 1, weights, 7);

    switch (id[0]) {
    case 'S':
        return id[8] == "JZIHGFEDCBA"[sum % 11];
    case 'T':
        return id[8] == "JZIHGFEDCBA"[(sum + 4) % 11];
    case 'F':
        return id[8] == "XWUTRQPNMLK"[sum % 11];
    case 'G':
        return id[8] == "XWUTRQPNMLK"[(sum + 4) % 11];
    case 'M':
        return id[8] == "XWUTRQPNJLK"[(sum + 3) % 11];
    default:
        return false;
    }
}

// Australian Taxation Office, "Validating a TFN": modulo 11.
bool is_au_tfn(const char *id)
{
    static const int weights[] = {1, 4, 3, 7, 5, 8, 6, 9, 10};

    return weighted(id, weights, 9) % 11 == 0 && !all_same(id, 9);
}

// ASIC, "Australian Company Number (ACN) digit check": modulo 10.
bool is_au_acn(const char *id)
{
    static const int weights[] = {8, 7, 6, 5, 4, 3, 2, 1};

    return (10 - weighted(id, weights, 8) % 10) % 10 == at(id, 8) && !all_same(id, 9);
}

// Australian Business Register, "Format of the ABN": modulo 89, with 1 taken off the first digit.
bool is_au_abn(const char *id)
{
    static const int weights[] = {10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19};

    return id[0] != '0' && (weighted(id, weights, 11) - weights[0]) % 89 == 0;
}

// Services Australia, "Medicare card number": begins with 2 to 6; the ninth digit modulo 10.
bool is_au_medicare(const char *id)
{
    static const int weights[] = {1, 3, 7, 9, 1, 3, 7, 9};

    return id[0] >= '2' && id[0] <= '6' && weighted(id, weights, 8) % 10 == at(id, 8);
}

// UIDAI, "A UID numbering scheme" (2010): Verhoeff's check; never begins with 0 or 1.
bool is_in_aadhaar(const char *id)
{
    static const char product[10][11] = {"0123456789", "1234067895", "2340178956", "3401289567",
                                         "4012395678", "5987604321", "6598710432", "7659821043",
                                         "8765932104", "9876543210"};
    static const char permuted[8][11] = {"0123456789", "1576283094", "5803796142", "8916043527",
                                         "9453126870", "4286573901", "2793806415", "7046913258"};
    int check = 0;

    for (size_t i = 0; i < 12; i++)
        check = product[check][permuted[i % 8][at(id, 11 - i)] - '0'] - '0';
    return check == 0 && id[0] > '1' && !all_same(id, 12);
}

// Resident Registration Act of Korea, enforcement rules: a date, 1-8 for century and sex, and
// modulo 11 (of numbers given out until October 2020).
bool is_kr_rrn(const char *id)
{
    static const int weights[] = {2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5};

    return is_day(value(id, 2, 2), value(id, 4, 2)) && id[6] >= '1' && id[6] <= '8' &&
           ((11 - weighted(id, weights, 12) % 11) % 10 == at(id, 12) || value(id, 0, 2) <= 26);
}

// GB 11643-1999, with the check character of ISO/IEC 7064 MOD 11-2.
bool is_cn_id(const char *id)
{
    static const int weights[] = {7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2};
    int year = value(id, 6, 4);

    return id[0] != '0' && year >= 1900 && year < 2100 &&
           is_day(value(id, 10, 2), value(id, 12, 2)) &&
           id[17] == "10X98765432"[weighted(id, weights, 17) % 11];
}
