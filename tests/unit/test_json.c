// SPDX-License-Identifier: MIT
// JSON: what is refused and why, exact bytes in and out, numbers, the writer, truncation, memory.
#include "base/json.h"
#include "base/mem.h"
#include "support/json_check.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char document[] =
    " {\"name\" : \"Ann \\u00e9\\ud83d\\ude00\", \"n\": [0, -1.5e+3, 12345678901234567890, true],\n"
    "\t\"none\": null, \"no\": false, \"deep\": {\"a\": [[], {}, "
    "[{\"b\": \"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\"}]]}, "
    "\"\": \"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\" } ";

// Parses a copy that ends exactly where its allocation ends.
static int parse_exact(struct json_doc *doc, struct slice text, struct err *err)
{
    char *copy = malloc(text.len ? text.len : 1);

    assert_non_null(copy);
    if (text.len)
        memcpy(copy, text.ptr, text.len);
    int rc = json_parse(doc, slice_of(copy, text.len), 0, err);
    free(copy);
    return rc;
}

static struct json parsed(struct json_doc *doc, const char *text)
{
    struct err err = ERR_INIT;

    if (json_parse(doc, slice_str(text), 0, &err))
        fail_msg("%s: %s", text, err.message);
    return json_root(doc);
}

static void test_json__walks_a_document(void **state)
{
    struct json_doc doc = JSON_DOC_INIT;
    struct buf scratch = BUF_INIT(1000);
    struct json root = parsed(&doc, document);

    (void)state;
    assert_int_equal(json_type(root), JSON_OBJECT);
    assert_int_equal(json_count(root), 6);
    assert_true(json_is_string(json_get(root, "name"), "Ann \xC3\xA9\xF0\x9F\x98\x80"));
    assert_false(json_is_string(json_get(root, "name"), "Ann \xC3\xA9\xF0\x9F\x98"));
    assert_false(json_is_string(json_get(root, "name"), "Ann \xC3\xA9\xF0\x9F\x98\x80."));
    struct json n = json_get(root, "n");
    assert_int_equal(json_count(n), 4);
    assert_int_equal(json_i64(json_at(n, 0), 7), 0);
    assert_true(json_double(json_at(n, 1), 0) == -1500);
    assert_true(slice_is(json_raw(json_at(n, 2)), "12345678901234567890"));
    assert_int_equal(json_i64(json_at(n, 2), 7), 7);
    assert_true(json_bool(json_at(n, 3), false));
    assert_int_equal(json_type(json_at(n, 4)), JSON_NONE);
    assert_int_equal(json_type(json_get(root, "none")), JSON_NULL);
    assert_false(json_bool(json_get(root, "no"), true));
    struct json a = json_get(json_get(root, "deep"), "a");
    struct json b = json_get(json_at(json_at(a, 2), 0), "b");
    assert_true(slice_eq(json_text(b, &scratch), SLICE_LIT("\"\\/\b\f\n\r\t\0")));
    struct slice plain = json_text(json_get(root, ""), &scratch);
    assert_true(slice_is(plain, "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"));
    assert_true(plain.ptr > document && plain.ptr < document + sizeof(document));
    assert_true(json_check_survives(&doc));
    buf_release(&scratch);
    json_doc_release(&doc);
}

static void test_json__absent_is_harmless(void **state)
{
    struct json none = {NULL, 0}, item;
    struct json_iter it = {0};
    struct json_doc doc = JSON_DOC_INIT;
    struct buf out = BUF_INIT(10);

    (void)state;
    assert_int_equal(json_type(json_root(&doc)), JSON_NONE);
    assert_int_equal(json_count(none), 0);
    assert_int_equal(json_type(json_get(none, "x")), JSON_NONE);
    assert_int_equal(json_type(json_at(none, 0)), JSON_NONE);
    assert_false(json_next(none, &it, NULL, &item));
    assert_null(json_raw(none).ptr);
    assert_null(json_text(none, &out).ptr);
    assert_false(json_string(none, &out));
    assert_false(json_is_string(none, ""));
    assert_true(json_bool(none, true));
    assert_int_equal(json_i64(none, 5), 5);
    assert_true(json_double(none, 0.5) == 0.5);
    struct json text = parsed(&doc, "\"\"");
    assert_non_null(json_text(text, &out).ptr);
    assert_int_equal(json_count(text), 0);
    assert_int_equal(json_type(json_get(text, "")), JSON_NONE);
    assert_false(json_bool(text, false));
    json_doc_release(&doc);
}

static void test_json__repeated_keys_are_kept(void **state)
{
    struct json_doc doc = JSON_DOC_INIT;
    struct json_iter it = {0};
    struct json key, item;
    struct json root = parsed(&doc, "{\"a\":1,\"b\":2,\"\\u0061\":3}");
    int64_t sum = 0;

    (void)state;
    assert_int_equal(json_i64(json_get(root, "a"), 0), 3);
    assert_int_equal(json_count(root), 3);
    while (json_next(root, &it, &key, &item)) {
        assert_int_equal(json_type(key), JSON_STRING);
        sum = sum * 10 + json_i64(item, 0);
    }
    assert_int_equal(sum, 123);
    assert_false(json_next(root, &it, &key, &item));
    json_doc_release(&doc);
}

static void test_json__errors_say_where_and_what(void **state)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "JSON byte 0: the text ends, expected a value"},
        {"  ", "JSON byte 2: the text ends, expected a value"},
        {"[1,]", "JSON byte 3: expected a value"},
        {"[,1]", "JSON byte 1: expected a value or ]"},
        {"[1 2]", "JSON byte 3: expected a comma or ]"},
        {"{\"a\":1,}", "JSON byte 7: expected a key in quotes"},
        {"{a:1}", "JSON byte 1: expected a key in quotes or }"},
        {"{\"a\" 1}", "JSON byte 5: expected a colon after the key"},
        {"{\"a\"", "JSON byte 4: the text ends, expected a colon after the key"},
        {"{\"a\":1]", "JSON byte 6: expected a comma or }"},
        {"1 1", "JSON byte 2: expected nothing after the value"},
        {"01", "JSON byte 1: expected nothing after the value"},
        {"-", "JSON byte 1: the text ends, expected a digit"},
        {"1.e1", "JSON byte 2: expected a digit"},
        {"1e+", "JSON byte 3: the text ends, expected a digit"},
        {"+1", "JSON byte 0: expected a value"},
        {"nul", "JSON byte 0: expected a value"},
        {"\"a", "JSON byte 2: the text ends, expected the closing quote of a string"},
        {"\"\xFF\"", "JSON byte 1: expected valid UTF-8"},
        {"\"12345678\xC3\"", "JSON byte 9: expected valid UTF-8"},
        {"\"\\ud800\"", "JSON byte 7: expected the second half of a surrogate pair"},
        {"\"\\ud800\\u0041\"", "JSON byte 7: expected the second half of a surrogate pair"},
        {"\"\\udc00\"", "JSON byte 1: expected a whole character, not half of a surrogate pair"},
        {"\xEF\xBB\xBF{}", "JSON byte 0: expected a value"},
    };
    struct json_doc doc = JSON_DOC_INIT;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err err = ERR_INIT;
        assert_int_equal(parse_exact(&doc, slice_str(cases[i].text), &err), E_USAGE);
        assert_string_equal(err.message, cases[i].message);
        assert_int_equal(json_parse(&doc, slice_str(cases[i].text), 0, NULL), E_USAGE);
        assert_int_equal(json_type(json_root(&doc)), JSON_NONE);
    }
    assert_int_equal(json_parse(&doc, SLICE_NONE, 0, NULL), E_USAGE);
    assert_int_equal(json_parse(&doc, SLICE_LIT("1\0"), 0, NULL), E_USAGE);
    json_doc_release(&doc);
}

static void test_json__every_truncation_is_refused(void **state)
{
    struct json_doc doc = JSON_DOC_INIT;
    // Without the space at the end: every shorter text is incomplete.
    struct slice whole = slice_of(document, sizeof(document) - 2);

    (void)state;
    for (size_t len = 0; len < whole.len; len++)
        assert_int_equal(parse_exact(&doc, slice_of(whole.ptr, len), NULL), E_USAGE);
    assert_int_equal(parse_exact(&doc, whole, NULL), E_OK);
    json_doc_release(&doc);
}

static void test_json__depth_is_limited_exactly(void **state)
{
    enum { DEEP = 100000 };
    struct json_doc doc = JSON_DOC_INIT;
    struct err err = ERR_INIT;
    char *text = malloc(2 * DEEP);

    (void)state;
    assert_non_null(text);
    memset(text, '[', DEEP);
    memset(text + DEEP, ']', DEEP);
    struct slice deepest = {text + DEEP - JSON_DEPTH_MAX, 2 * JSON_DEPTH_MAX};
    assert_int_equal(json_parse(&doc, deepest, 0, NULL), E_OK);
    assert_int_equal(json_parse(&doc, slice_of(text, 2 * DEEP), 0, &err), E_USAGE);
    assert_string_equal(err.message, "JSON byte 512: nested deeper than 512 levels");
    assert_int_equal(json_parse(&doc, slice_of(text, 2 * DEEP), DEEP, NULL), E_OK);
    assert_int_equal(doc.len, DEEP);
    assert_int_equal(json_parse(&doc, SLICE_LIT("[1]"), 1, NULL), E_OK);
    assert_int_equal(json_parse(&doc, SLICE_LIT("[[]]"), 1, NULL), E_USAGE);
    struct slice longest = {text, JSON_BYTES_MAX + 1};  // refused before a byte is read
    assert_int_equal(json_parse(&doc, longest, 0, &err), E_USAGE);
    assert_string_equal(err.message, "JSON of 67108865 bytes: at most 67108864 are read");
    free(text);
    json_doc_release(&doc);
}

// Every byte after a backslash, and every control character, in strings of every alignment.
static void test_json__escapes_and_control_characters(void **state)
{
    struct json_doc doc = JSON_DOC_INIT;

    (void)state;
    for (unsigned c = 0; c < 256; c++) {
        for (size_t pad = 0; pad < 17; pad++) {
            char text[32] = "\"";
            memset(text + 1, 'x', pad);
            text[pad + 1] = (char)c;
            memcpy(text + pad + 2, "abcdefghi\"", 10);
            // A quote ends the string early, a backslash makes \a of what follows.
            bool plain = c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
            assert_int_equal(parse_exact(&doc, slice_of(text, pad + 12), NULL) == E_OK, plain);
            text[pad + 1] = '\\';
            text[pad + 2] = (char)c;
            bool escape = c && strchr("\"\\/bfnrtu", (int)c);  // \ubcde is a character
            assert_int_equal(parse_exact(&doc, slice_of(text, pad + 12), NULL) == E_OK, escape);
        }
    }
    for (unsigned unit = 0; unit <= 0xFFFF; unit++) {
        char text[16];
        snprintf(text, sizeof(text), unit & 1 ? "\"\\u%04x\"" : "\"\\u%04X\"", unit);
        bool whole = unit < 0xD800 || unit > 0xDFFF;
        assert_int_equal(json_parse(&doc, slice_str(text), 0, NULL) == E_OK, whole);
        assert_true(!whole || json_check_survives(&doc));
    }
    json_doc_release(&doc);
}

static void test_json__integers(void **state)
{
    static const struct {
        const char *text;
        int64_t n;
    } cases[] = {
        {"0", 0}, {"-0", 0}, {"42", 42}, {"-42", -42},
        {"9223372036854775807", INT64_MAX}, {"-9223372036854775808", INT64_MIN},
        {"9223372036854775808", 7}, {"-9223372036854775809", 7}, {"99999999999999999999999", 7},
        {"1.0", 7}, {"1e3", 7}, {"\"1\"", 7}, {"true", 7},
    };
    struct json_doc doc = JSON_DOC_INIT;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_true(json_i64(parsed(&doc, cases[i].text), 7) == cases[i].n);
    json_doc_release(&doc);
}

// Against strtod in the C locale, which rounds exactly.
static void test_json__doubles_are_read_exactly(void **state)
{
    static const char *const texts[] = {
        "0", "-0.0", "0e999999999999", "1", "0.1", "123.456", "1e22", "1e23", "9007199254740993",
        "9007199254740992.9999999999999999999", "4.9e-324", "2.4703282292062327e-324",
        "2.4703282292062328e-324", "2.2250738585072011e-308", "1.7976931348623157e308",
        "0.000000000000000000000000000000000001e40", "100000000000000000000000000000e-29",
        "3.14159265358979323846264338327950288419716939937510582097494459230781640628",
        "1e-999999999999999999999", "0.30000000000000004", "7205759403792793.5",
    };
    struct json_doc doc = JSON_DOC_INIT;
    char text[3000];

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        double want = strtod(texts[i], NULL), got = json_double(parsed(&doc, texts[i]), 42);
        assert_memory_equal(&got, &want, sizeof(got));
    }
    // Halfway between two doubles, and the least bit more, a thousand digits later.
    snprintf(text, sizeof(text), "9007199254740993.%01000d", 0);
    assert_true(json_double(parsed(&doc, text), 0) == 9007199254740992.0);
    text[strlen(text) - 1] = '1';
    assert_true(json_double(parsed(&doc, text), 0) == 9007199254740994.0);
    snprintf(text, sizeof(text), "%s%02000d%s", "1", 0, "e-2000");
    assert_true(json_double(parsed(&doc, text), 0) == 1.0);
    assert_true(json_double(parsed(&doc, "1e999"), 42) == 42);
    assert_true(json_double(parsed(&doc, "-1.8e308"), 42) == 42);
    json_doc_release(&doc);
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void check_double(struct json_doc *doc, struct buf *out, double d)
{
    struct json_writer w;

    buf_clear(out);
    jw_init(&w, out);
    jw_double(&w, d);
    assert_int_equal(json_parse(doc, buf_slice(out), 0, NULL), E_OK);
    double back = json_double(json_root(doc), NAN);
    assert_memory_equal(&back, &d, sizeof(d));
}

static void test_json__doubles_round_trip(void **state)
{
    static const struct {
        double d;
        const char *text;
    } cases[] = {
        {0, "0"}, {-0.0, "-0"}, {1, "1"}, {-1.5, "-1.5"}, {0.1, "0.1"},
        {0.1 + 0.2, "0.30000000000000004"},
        {100, "100"}, {1e20, "100000000000000000000"}, {1e21, "1e+21"}, {1.25e21, "1.25e+21"},
        {0.000001, "0.000001"}, {0.00000125, "0.00000125"}, {1e-7, "1e-7"}, {5e-324, "5e-324"},
        {DBL_MAX, "1.7976931348623157e+308"}, {-DBL_MIN, "-2.2250738585072014e-308"},
        {9007199254740993.0, "9007199254740992"}, {1.0 / 3, "0.3333333333333333"},
        {123456.789, "123456.789"}, {NAN, "null"}, {INFINITY, "null"}, {-INFINITY, "null"},
    };
    struct json_doc doc = JSON_DOC_INIT;
    struct buf out = BUF_INIT(100);
    struct json_writer w;
    uint64_t random = 88172645463325252u;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        buf_clear(&out);
        jw_init(&w, &out);
        jw_double(&w, cases[i].d);
        assert_string_equal(out.ptr, cases[i].text);
    }
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = next_random(&random);
        double d;
        memcpy(&d, &bits, sizeof(d));
        if (isfinite(d))
            check_double(&doc, &out, d);
        check_double(&doc, &out, (double)(int64_t)(bits >> 30) / 100);
    }
    buf_release(&out);
    json_doc_release(&doc);
}

// A program around us may write numbers with a comma; JSON does not.
static void test_json__locale_does_not_matter(void **state)
{
    struct json_doc doc = JSON_DOC_INIT;
    struct buf out = BUF_INIT(100);

    (void)state;
    if (!setlocale(LC_NUMERIC, "de_DE.UTF-8") && !setlocale(LC_NUMERIC, "fr_FR.UTF-8"))
        skip();
    check_double(&doc, &out, 0.1 + 0.2);
    assert_string_equal(out.ptr, "0.30000000000000004");
    assert_true(json_double(parsed(&doc, "1234567.890123456789"), 0) > 1234567.89);
    setlocale(LC_NUMERIC, "C");
    buf_release(&out);
    json_doc_release(&doc);
}

static void write_all(struct json_writer *w)
{
    jw_object(w);
    jw_kv_str(w, "s", "a\"b");
    jw_kv_str(w, "null", NULL);
    jw_kv_slice(w, "z", SLICE_LIT("\0\x7f/\xC3\xA9"));
    jw_kv_i64(w, "i", INT64_MIN);
    jw_kv_double(w, "d", 0.5);
    jw_kv_bool(w, "b", true);
    jw_key(w, "list");
    jw_array(w);
    jw_array(w);
    jw_array_end(w);
    jw_object(w);
    jw_object_end(w);
    jw_raw(w, SLICE_LIT("[1]"));
    jw_raw(w, SLICE_NONE);
    jw_slice(w, SLICE_NONE);
    jw_bool(w, false);
    jw_null(w);
    jw_array_end(w);
    jw_kv_i64(w, "", 1);
    jw_object_end(w);
}

static void test_json__writes_everything(void **state)
{
    struct buf out = BUF_INIT(1000);
    struct json_writer w;
    struct json_doc doc = JSON_DOC_INIT;

    (void)state;
    jw_init(&w, &out);
    write_all(&w);
    assert_string_equal(out.ptr,
                        "{\"s\":\"a\\\"b\",\"null\":null,\"z\":\"\\u0000\x7f/\xC3\xA9\","
                        "\"i\":-9223372036854775808,\"d\":0.5,\"b\":true,"
                        "\"list\":[[],{},[1],null,\"\",false,null],\"\":1}");
    assert_int_equal(json_parse(&doc, buf_slice(&out), 0, NULL), E_OK);
    assert_true(json_check_survives(&doc));
    size_t whole = out.len;
    buf_release(&out);
    // Any smaller buffer fails and stays a prefix; nothing crashes.
    for (size_t max = 0; max < whole; max++) {
        buf_init(&out, max);
        jw_init(&w, &out);
        write_all(&w);
        assert_false(buf_ok(&out));
        assert_true(out.len <= max);
        buf_release(&out);
    }
    json_doc_release(&doc);
}

static void test_json__writes_to_its_depth(void **state)
{
    struct buf out = BUF_INIT(1000);
    struct json_writer w;

    (void)state;
    jw_init(&w, &out);
    for (int i = 0; i < JSON_WRITER_DEPTH; i++)
        jw_array(&w);
    jw_i64(&w, 1);
    jw_i64(&w, 2);
    for (int i = 0; i < JSON_WRITER_DEPTH; i++)
        jw_array_end(&w);
    assert_int_equal(out.len, 2 * JSON_WRITER_DEPTH + 3);
    assert_non_null(strstr(out.ptr, "[1,2]"));
    buf_release(&out);
}

// Bytes that are no UTF-8 become one U+FFFD per maximal ill-formed part, wherever they stand.
static void test_json__quote_repairs_utf8(void **state)
{
    static const struct {
        const char *bytes, *json;
    } cases[] = {
        {"", "\"\""},
        {"\xFF", "\"\xEF\xBF\xBD\""},
        {"a\xC3", "\"a\xEF\xBF\xBD\""},
        {"a\xE2\x82z", "\"a\xEF\xBF\xBDz\""},
        {"\xED\xA0\x80", "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\""},
        {"\xC3\xA9\x80\n", "\"\xC3\xA9\xEF\xBF\xBD\\n\""},
        {"\x01\x1f\b\t\n\f\r\"\\/", "\"\\u0001\\u001f\\b\\t\\n\\f\\r\\\"\\\\/\""},
    };
    struct buf out = BUF_INIT(100);

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        buf_clear(&out);
        json_quote(&out, slice_str(cases[i].bytes));
        assert_string_equal(out.ptr, cases[i].json);
    }
    buf_release(&out);
}

static void test_json__scratch_may_fail(void **state)
{
    struct json_doc doc = JSON_DOC_INIT;
    struct buf scratch = BUF_INIT(3);
    struct json v = parsed(&doc, "\"ab\\ncd\"");

    (void)state;
    assert_null(json_text(v, &scratch).ptr);
    assert_false(buf_ok(&scratch));
    assert_true(slice_is(json_text(parsed(&doc, "\"\\u0061\\n\\u0063\""), &scratch), "a\nc"));
    buf_release(&scratch);
    json_doc_release(&doc);
}

static void test_json__survives_failed_allocations(void **state)
{
    struct json_doc doc = JSON_DOC_INIT;
    struct err err = ERR_INIT;
    char text[512] = "[";

    (void)state;
    for (int i = 0; i < 100; i++)
        strcat(text, "1,");
    strcat(text, "1]");
    int rc = E_NOMEM;
    unsigned failures = 0;
    for (uint64_t n = 1; rc == E_NOMEM && n < 100; n++) {
        mem_fail_at(n, 0);
        rc = json_parse(&doc, slice_str(text), 0, &err);
        mem_fail_at(0, 0);
        if (rc == E_NOMEM) {
            failures++;
            assert_int_equal(err.code, E_NOMEM);
            assert_int_equal(json_type(json_root(&doc)), JSON_NONE);
        }
        // What was there before is kept and used again, so start over.
        if (rc == E_NOMEM)
            json_doc_release(&doc);
    }
    assert_int_equal(rc, E_OK);
    assert_true(failures >= 2);
    uint64_t before = mem_count();
    assert_int_equal(json_parse(&doc, slice_str(text), 0, &err), E_OK);
    assert_true(mem_count() == before);
    json_doc_release(&doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json__walks_a_document),
        cmocka_unit_test(test_json__absent_is_harmless),
        cmocka_unit_test(test_json__repeated_keys_are_kept),
        cmocka_unit_test(test_json__errors_say_where_and_what),
        cmocka_unit_test(test_json__every_truncation_is_refused),
        cmocka_unit_test(test_json__depth_is_limited_exactly),
        cmocka_unit_test(test_json__escapes_and_control_characters),
        cmocka_unit_test(test_json__integers),
        cmocka_unit_test(test_json__doubles_are_read_exactly),
        cmocka_unit_test(test_json__doubles_round_trip),
        cmocka_unit_test(test_json__locale_does_not_matter),
        cmocka_unit_test(test_json__writes_everything),
        cmocka_unit_test(test_json__writes_to_its_depth),
        cmocka_unit_test(test_json__quote_repairs_utf8),
        cmocka_unit_test(test_json__scratch_may_fail),
        cmocka_unit_test(test_json__survives_failed_allocations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
