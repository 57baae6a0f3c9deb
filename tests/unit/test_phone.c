// SPDX-License-Identifier: MIT
// Telephone numbers: how people write them, what looks like one and is none, and what words in
// front of digits say.
#include "redact/phone.h"

#include "redact/words.h"
#include "redact_kit.h"

static void test_phone__international(void **state)
{
    static const struct kit_case cases[] = {
        {"+49 30 1234567", "phone:+49 30 1234567"},
        {"(+49) 30 1234567", "phone:(+49) 30 1234567"},
        {"+49 (0)30 1234567.", "phone:+49 (0)30 1234567"},
        {"+49 (30) 1234567", "phone:+49 (30) 1234567"},
        {"+442079460018", "phone:+442079460018"},
        {"+44 20 7946 0018, or later", "phone:+44 20 7946 0018"},
        {"+1-415-555-0132", "phone:+1-415-555-0132"},
        {"+1.415.555.0132", "phone:+1.415.555.0132"},
        {"+1 (415) 555-0132 x99", "phone:+1 (415) 555-0132 x99"},
        {"tel:+1-415-555-0132;ext=12", "phone:+1-415-555-0132;ext=12"},
        {"[call](tel:+4915112345678)", "phone:+4915112345678"},
        {"0049 30 1234567", "phone:0049 30 1234567"},
        {"00442079460018", "phone:00442079460018"},
        {"011 44 20 7946 0018", "phone:011 44 20 7946 0018"},
        {"001-415-555-0132x123", "phone:001-415-555-0132x123"},
        {"+33 1 42 68 53 00 2024", "phone:+33 1 42 68 53 00"},
        {"+39 06 678 4343", "phone:+39 06 678 4343"},
        {"+91 4155\xE2\x80\x91" "550132", "phone:+91 4155\xE2\x80\x91" "550132"},
        {"+800 1234 5678", "phone:+800 1234 5678"},
        {"+49 30 1234567 and +49 30 7654321", "phone:+49 30 1234567|phone:+49 30 7654321"},
        {"+1 000 000 000", ""},
        {"C++11 +12 points, 1+1234567890", ""},
        {"+0 123456789", ""},
    };

    (void)state;
    KIT_CHECK("", cases);
}

static void test_phone__north_american(void **state)
{
    static const struct kit_case cases[] = {
        {"(415) 555-0132", "phone:(415) 555-0132"},
        {"(415)555-0132", "phone:(415)555-0132"},
        {"415-555-0132", "phone:415-555-0132"},
        {"415.555.0132", "phone:415.555.0132"},
        {"415 555 0132", "phone:415 555 0132"},
        {"415/555-0132", "phone:415/555-0132"},
        {"1-415-555-0132", "phone:1-415-555-0132"},
        {"1 (415) 555-0132 ext. 7", "phone:1 (415) 555-0132 ext. 7"},
        {"415-555-0132 extension 12", "phone:415-555-0132 extension 12"},
        {"415-555-0132 #12", "phone:415-555-0132 #12"},
        {"(415-555-0132)", "phone:415-555-0132"},
        {"019-143-7732", "phone:019-143-7732"},  // nobody's, but made up as one
        {"call 4155550132", "phone:4155550132"},
        {"my cell: 555-0132.", "phone:555-0132"},
        {"415-555-0132/415-555-0133", "phone:415-555-0132|phone:415-555-0133"},
        {"one is415-555-0132", ""},
        {"000-000-0000", ""},
    };

    (void)state;
    KIT_CHECK("", cases);
}

static void test_phone__national(void **state)
{
    static const struct kit_case none[] = {
        {"My Israeli number is 09-7625400", "phone:09-7625400"},
        {"My Japanese number is 090-1234-5678", "phone:090-1234-5678"},
        {"My CN number is 13812345678", "phone:13812345678"},
        {"\xE6\x88\x91\xE7\x9A\x84\xE7\x94\xB5\xE8\xAF\x9D\xE6\x98\xAF" "13812345678",
         "phone:13812345678"},
        {"Tel. 030/1234567", "phone:030/1234567"},
        {"0170/1234567", "phone:0170/1234567"},
        {"020 7946 0018", "phone:020 7946 0018"},
        {"(11) 96123-4567", "phone:(11) 96123-4567"},
        {"01 42 68 53 00", "phone:01 42 68 53 00"},
        {"telefono 612 34 56 78", "phone:612 34 56 78"},
        {"Ring me: 67-74-71-39", "phone:67-74-71-39"},
        {"612 34 56 78", "phone:612 34 56 78"},
        {"612 345 670", ""},
        {"8 (495) 123-45-67", "phone:8 (495) 123-45-67"},
        {"7 (495) 123-45-67", "phone:7 (495) 123-45-67"},
        {"8-800-555-35-35", "phone:8-800-555-35-35"},
        {"138 1234 5678", "phone:138 1234 5678"},
        {"07700900123", "phone:07700900123"},
        {"id 07700900123", ""},
    };
    static const struct kit_case germany[] = {
        {"030 1234567", "phone:030 1234567"},
        {"015112345678", "phone:015112345678"},
        {"0049301234567", "phone:0049301234567"},
        {"Bestellnummer 015112345678", ""},
        {"die 2125550199 war es", ""},
        {"#015112345678", ""},
    };
    static const struct kit_case united_states[] = {
        {"4155550132", "phone:4155550132"},
        {"it is 4155550132, I think", "phone:4155550132"},
        {"order 4155550132", ""},
        {"011 49 30 1234567", "phone:011 49 30 1234567"},
    };
    static const struct kit_case denmark[] = {
        {"20 20 12 34", "phone:20 20 12 34"},
        {"32123456", "phone:32123456"},
        {"in 2019-2024", ""},
        {"on 20261121", ""},
    };

    (void)state;
    KIT_CHECK("", none);
    KIT_CHECK("DE", germany);
    KIT_CHECK("us", united_states);
    KIT_CHECK("DK", denmark);
    assert_true(phone_region_known(SLICE_LIT("de")));
    assert_false(phone_region_known(SLICE_LIT("XX")));
    assert_false(phone_region_known(SLICE_LIT("DEU")));
    assert_false(phone_region_known(SLICE_LIT("")));
}

static void test_phone__what_is_none(void **state)
{
    static const char *const texts[] = {
        "order 1234567890", "order number 20241105001", "invoice 2024-000123", "#4155550132",
        "2026-11-21", "21.11.2026", "11/21/2026", "2026-11-21 10:15:30", "2026-11-21T10:15:30Z",
        "20261121101530", "at 10:15:30.123456", "1700000000", "1732184130123", "v1.2.3456789",
        "version 10.15.7", "10.0.19045.3803", "1.234.567", "1,234,567.89", "$1,234,567",
        "1 234 567", "$4155550132", "EUR 1.234.567,89", "3.14159265358979", "40.7128, -74.0060",
        "12345678901234567", "ISBN 978-0-306-40615-7", "ISBN 0-306-40615-2", "978-3-16-148410-0",
        "0 12345 67890 5", "550e8400-e29b-41d4-a716-446655440000",
        "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "sha256:2c26b46b68ffc68ff99b453c1d3041341342", "SKU-415-555-0132", "INV-0301234567",
        "REF/2024/0012345", "192.168.100.200", "010.020.030.040", "90210-1234", "1234-5678",
        "2019-2024", "1990 2000", "12:30-14:45", "x = 1234567890 * 2", "id=4155550132&x=1",
        "https://example.com/item/4155550132", "4155550132.pdf", "1234567890%",
        "tracking 1Z999AA10123456784", "9400 1000 0000 0000 0000 00", "4-8-15-16-23-42",
        "100000-200000", "rows 1000000-2000000", "0.123456789", "1e10 1234567e5", "page 1234567",
        "42195 m", "chapter 12 verse 34 56 78", "scored 21-17, 19-21, 21-18",
    };
    struct redactor *r = kit_redactor("");
    size_t wrong = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        if (strstr(kit_found(r, texts[i]), "phone:")) {
            print_message("# %s: %s\n", texts[i], kit_found(r, texts[i]));
            wrong++;
        }
    redactor_free(r);
    assert_int_equal(wrong, 0);
}

static void test_words__before(void **state)
{
    static const struct word words[] = {
        {"phone*", SAYS_PHONE, 1}, {"tax id", SAYS_OTHER, 2}, {"number", SAYS_VAGUELY, 4},
        {"d number", SAYS_NOTHING, 8}, {"\xE7\x94\xB5\xE8\xAF\x9D", SAYS_PHONE, 16},
        {"taxi", SAYS_NOTHING, 32},
    };
    static const struct {
        const char *text;
        uint64_t ids;
        enum phone_saying phone;
    } cases[] = {
        {"my phone: 1", 1, SAYS_PHONE}, {"PHONES 1", 1, SAYS_PHONE}, {"telephone 1", 0, 0},
        {"my tax-id is 1", 2, SAYS_OTHER}, {"TaxID 1", 2, SAYS_OTHER}, {"syntax id 1", 0, 0},
        {"phone\n\n1", 0, 0}, {"phone\n1", 1, SAYS_PHONE}, {"1", 0, 0}, {"taxids 1", 0, 0},
        {"\xC3\xA9phone 1", 0, 0}, {"d-number 1", 12, SAYS_VAGUELY}, {"dnumber 1", 8, 0},
        {"\xE6\x88\x91\xE7\x94\xB5\xE8\xAF\x9D\xE6\x98\xAF" "1", 16, SAYS_PHONE},
        {"phone                                                                 1", 0, 0},
        {"phone, tax id 1", 3, SAYS_OTHER}, {"tax id of the phone 1", 3, SAYS_PHONE},
        {"tax id and what comes a long way behind 1", 2, 0}, {"taxi 1", 32, 0}, {"tax 1", 0, 0},
        {"phone number 1", 5, SAYS_PHONE}, {"phone 23456 1", 1, SAYS_PHONE},
        {"phone 23456 or so, number 1", 4, SAYS_VAGUELY},
    };
    static struct vocabulary vocabulary;

    (void)state;
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
        vocabulary_add(&vocabulary, &words[i]);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        size_t at = strcspn(cases[i].text, "1");
        struct view v = {.ptr = cases[i].text, .len = strlen(cases[i].text), .words = &vocabulary};
        for (v.level = 0; v.level <= (unsigned)classify_best(); v.level++) {
            v.heard = (struct heard){.at = 0};
            const struct heard *heard = words_heard(&v, at);
            if (heard->ids != cases[i].ids || heard->phone != cases[i].phone)
                fail_msg("%s: %u, of ids %u", cases[i].text, heard->phone, (unsigned)heard->ids);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_phone__international), cmocka_unit_test(test_phone__north_american),
        cmocka_unit_test(test_phone__national),      cmocka_unit_test(test_phone__what_is_none),
        cmocka_unit_test(test_words__before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
