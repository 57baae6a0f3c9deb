// SPDX-License-Identifier: MIT
// National ids: examples that are published are found, with words and as they stand;
// with another check digit they are not; and what merely looks like one is none.
#include "redact/ids.h"

#include "redact_kit.h"

static const struct {
    const char *word, *intro, *id;
    char checked;  // 'y': its last character is a check; '-': a check elsewhere, or none
    bool plain;    // found without words in a sentence
} examples[] = {
    {"ssn", "My SSN is ", "078-05-1123", '-', true},
    {"ssn", "social security number: ", "078051123", '-', false},
    {"us_itin", "ITIN ", "911-70-1234", '-', true},
    {"us_npi", "NPI ", "1234567893", 'y', false},
    {"us_npi", "provider ", "1234-567-893", 'y', true},
    {"ca_sin", "SIN: ", "130 692 544", 'y', true},
    {"ca_sin", "mon NAS: ", "258 933 688", 'y', true},
    {"uk_nhs", "NHS number ", "943 476 5919", 'y', false},
    {"uk_nino", "NI number ", "AB 12 34 56 C", '-', true},
    {"es_nif", "DNI ", "12345678Z", 'y', true},
    {"es_nie", "NIE ", "X-1234567-L", 'y', true},
    {"it_fiscal_code", "codice fiscale ", "RSSMRA85T10A562S", 'y', true},
    {"it_fiscal_code", "codice fiscale ", "mrtmtt25d09f205z", 'y', true},
    {"pl_pesel", "PESEL: ", "44051401359", 'y', false},
    {"br_cpf", "CPF ", "111.444.777-35", 'y', true},
    {"de_tax_id", "Steuer-ID ", "86095742719", 'y', false},
    {"de_tax_id", "Steueridentifikationsnummer ", "47 036 892 816", 'y', true},
    {"nl_bsn", "BSN ", "111222333", 'y', false},
    {"fr_nir", "s\xC3\xA9" "curit\xC3\xA9 sociale ", "2 55 08 14 168 025 38", 'y', true},
    {"be_national_id", "rijksregisternummer ", "85.07.30-033.28", 'y', true},
    {"ch_ahv", "AHV ", "756.9217.0769.85", 'y', true},
    {"fi_hetu", "HETU ", "131052-308T", 'y', true},
    {"se_personal_id", "personnummer ", "811218-9876", 'y', true},
    {"se_personal_id", "personnummer ", "19811218-9876", 'y', true},
    {"no_birth_number", "f\xC3\xB8" "dselsnummer ", "29029600013", 'y', false},
    {"dk_cpr", "CPR ", "211062-5629", '-', false},
    {"sg_nric", "NRIC ", "S1234567D", 'y', true},
    {"sg_nric", "FIN ", "F1234567N", 'y', true},
    {"sg_nric", "FIN ", "G1234567X", 'y', true},
    {"au_tfn", "TFN ", "123 456 782", 'y', false},
    {"au_acn", "ACN ", "004 085 616", 'y', false},
    {"au_abn", "ABN ", "51 824 753 556", 'y', true},
    {"au_medicare", "Medicare ", "2123 45670 1", '-', true},
    {"in_aadhaar", "Aadhaar ", "9999 4105 7058", 'y', true},
    {"kr_rrn", "RRN ", "900101-1234568", 'y', true},
    {"cn_id", "ID card ", "11010519491231002X", 'y', true},
};
enum { EXAMPLES = sizeof(examples) / sizeof(*examples) };

static bool finds(const struct redactor *r, const char *word, const char *id, const char *text)
{
    char want[256];

    snprintf(want, sizeof(want), "%s:%s", word, id);
    return strcmp(kit_found(r, text), want) == 0;
}

static void test_ids__examples_are_found(void **state)
{
    struct redactor *r = kit_redactor("");
    size_t wrong = 0;

    (void)state;
    for (size_t i = 0; i < EXAMPLES; i++) {
        const char *word = examples[i].word, *id = examples[i].id;
        char text[256];

        snprintf(text, sizeof(text), "%s%s, thank you.", examples[i].intro, id);
        bool found = finds(r, word, id, text);
        if (examples[i].plain) {
            snprintf(text, sizeof(text), "here it is: %s, thank you.", id);
            found &= finds(r, word, id, text);
            found &= finds(r, word, id, id);
        } else {
            snprintf(text, sizeof(text), "it was %s, thank you.", id);
            found &= !finds(r, word, id, text);
        }
        if (!found) {
            print_message("# %s: %s: %s\n", word, text, kit_found(r, text));
            wrong++;
        }
    }
    redactor_free(r);
    assert_int_equal(wrong, 0);
}

static void test_ids__a_wrong_check_is_none(void **state)
{
    struct redactor *r = kit_redactor("");
    size_t wrong = 0;

    (void)state;
    for (size_t i = 0; i < EXAMPLES; i++) {
        char id[64], text[256];
        size_t last = strlen(examples[i].id) - 1;

        memcpy(id, examples[i].id, last + 2);
        if (examples[i].checked != 'y')
            continue;
        bool letter = id[last] > '9';
        for (int c = letter ? 'A' : '0'; c <= (letter ? 'Z' : '9'); c++) {
            if ((c | ' ') == (examples[i].id[last] | ' ') || c == examples[i].id[last])
                continue;
            id[last] = (char)c;
            snprintf(text, sizeof(text), "%s%s.", examples[i].intro, id);
            if (finds(r, examples[i].word, id, text)) {
                print_message("# %s: %s\n", examples[i].word, text);
                wrong++;
            }
        }
    }
    redactor_free(r);
    assert_int_equal(wrong, 0);
}

static void test_ids__what_is_none(void **state)
{
    static const struct kit_case cases[] = {
        {"078051120", ""},
        {"000-12-3456", ""},
        {"666-12-3456", ""},
        {"900-12-3456", ""},
        {"123-00-4567", ""},
        {"123-45-0000", ""},
        {"693-09.4444", ""},
        {"zip 90210-1234, please", ""},
        {"x078-05-1123", ""},
        {"1078-05-1123", ""},
        {"178-05-11234", ""},
        {"078-05-1123-4", ""},
        {"a-078-05-1123", ""},
        {"order 078051123 is late", ""},
        {"the hash 12345678Zab", ""},
        {"PR 123456789", ""},
        {"ISBN 978-0-306-40615-7", ""},
        {"serial 1234567893 and 130692544", ""},
        {"4111 1111 1111 1112", ""},
        {"at 1732184130 (UTC)", ""},
        {"20261121101530", ""},
        {"from 2026-11-21 to 2026-12-31", ""},
        {"550e8400-e29b-41d4-a716-446655440000", ""},
        {"da39a3ee5e6b4b0d3255bfef95601890afd80709", ""},
    };

    (void)state;
    KIT_CHECK("", cases);
}

static void test_ids__ways_of_writing(void **state)
{
    static const struct kit_case cases[] = {
        {"078.05.1123", "ssn:078.05.1123"},
        {"abc 078 05 1123 abc", "ssn:078 05 1123"},
        {"078-051121 07805-1121", "ssn:078-051121|ssn:07805-1121"},
        {"my ssn: 078-051121", "ssn:078-051121"},
        {"NPI 1234567893 and NPI 1245319599", "us_npi:1234567893|us_npi:1245319599"},
        {"1234 567 893", "us_npi:1234 567 893"},
        {"130692544", "ca_sin:130692544"},
        {"046-454 286", ""},
        {"812 345 678", ""},
        {"nino pw 12 34 56 a", "uk_nino:pw 12 34 56 a"},
        {"12.345.678-Z", "es_nif:12.345.678-Z"},
        {"DNI 1234567L", "es_nif:1234567L"},
        {"911-701234 91170-1234", "us_itin:911-701234|us_itin:91170-1234"},
        {"SSN:078-05-1123;", "ssn:078-05-1123"},
        {"ssn=078-05-1123&x", "ssn:078-05-1123"},
    };

    (void)state;
    KIT_CHECK("", cases);
}

// Groups among more of their like are a part of something.
static void test_ids__rows_of_groups(void **state)
{
    static const struct kit_case cases[] = {
        {"2123 45670 1 and", "au_medicare:2123 45670 1"},
        {"2123 45670 1 00", ""},
        {"11 2123 45670 1", ""},
        {"11 2123 45670 1, and", "au_medicare:2123 45670 1"},
        {"X:2123 45670 1 00", "au_medicare:2123 45670 1"},
        {"9999 4105 7058 ok", "in_aadhaar:9999 4105 7058"},
        {"9999 4105 7058 1234", ""},
        {"1234 9999 4105 7058", ""},
        {"1234 9999 4105 7058: so", "in_aadhaar:9999 4105 7058"},
    };

    (void)state;
    KIT_CHECK("", cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids__examples_are_found),
        cmocka_unit_test(test_ids__a_wrong_check_is_none),
        cmocka_unit_test(test_ids__what_is_none),
        cmocka_unit_test(test_ids__ways_of_writing),
        cmocka_unit_test(test_ids__rows_of_groups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
