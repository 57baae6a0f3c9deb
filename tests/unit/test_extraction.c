// SPDX-License-Identifier: MIT
// What a model answers who is asked for facts: taken if it is exactly what was asked for, else not
// at all.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "memory/extraction.h"

struct taken {
    char text[1024];
    size_t len;
    unsigned count, stop_at;
};

static int take(void *user, const struct extracted *e, struct err *err)
{
    struct taken *t = user;

    t->len += (size_t)snprintf(t->text + t->len, sizeof(t->text) - t->len,
                               "%u %s %.*s|%.*s|%.*s|%.*s%s\n", e->turn, fact_kind_word(e->kind),
                               SLICE_FMT(e->subject), SLICE_FMT(e->predicate), SLICE_FMT(e->value),
                               SLICE_FMT(e->quote), e->negates ? " no more" : "");
    return ++t->count == t->stop_at ? err_set(err, E_NOMEM, "full") : E_OK;
}

static int read_answer(const char *answer, struct taken *t, struct err *err)
{
    return extraction_read(slice_str(answer), take, t, err);
}

#define FACT(rest) "{\"turn\":3,\"kind\":\"circumstance\",\"predicate\":\"lives_in\"," rest "}"
#define LISBON "\"value\":\"Lisbon\",\"quote\":\"I live in Lisbon\""

static void test_extraction__is_read(void **state)
{
    struct taken t = {0};
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(read_answer(" {\"facts\": [" FACT(LISBON) ","
                                 FACT("\"subject\":\"Tom\",\"negates\":true,"
                                      "\"value\":\"\\u00d6sterg\",\"quote\":\"q\\\"\"")
                                 "]}\n", &t, &err), E_OK);
    assert_string_equal(t.text, "3 circumstance |lives_in|Lisbon|I live in Lisbon\n"
                                "3 circumstance Tom|lives_in|Österg|q\" no more\n");
    assert_int_equal(read_answer("{\"facts\":[]}", &t, &err), E_OK);
    assert_int_equal(t.count, 2);
}

static void test_extraction__else_nothing_is_given(void **state)
{
    static const struct {
        const char *answer, *why;
    } cases[] = {
        {"", "not JSON"},
        {"```json\n{\"facts\":[]}\n```", "not JSON"},
        {"Here: {\"facts\":[]}", "not JSON"},
        {"{\"facts\":[]} as you asked", "not JSON"},
        {"[]", "is not {\"facts\""},
        {"{\"facts\":{}}", "is not {\"facts\""},
        {"{\"facts\":[],\"more\":1}", "is not {\"facts\""},
        {"{\"facts\":[],\"facts\":[]}", "is not {\"facts\""},
        {"{\"facts\":[1]}", "fact 1 is no object"},
        {"{\"facts\":[" FACT(LISBON) "," FACT("\"value\":\"x\"") "]}",
         "fact 2: \"quote\" is missing"},
        {"{\"facts\":[" FACT(LISBON ",\"sure\":0.9") "]}", "a member that was not asked"},
        {"{\"facts\":[" FACT(LISBON ",\"value\":\"Porto\"") "]}", "\"value\" is there twice"},
        {"{\"facts\":[" FACT("\"value\":7,\"quote\":\"q\"") "]}", "\"value\" is no text"},
        {"{\"facts\":[" FACT("\"value\":\"\",\"quote\":\"q\"") "]}", "\"value\" is empty"},
        {"{\"facts\":[" FACT("\"value\":\"a\\u0000b\",\"quote\":\"q\"") "]}", "\"value\" is empty"},
        {"{\"facts\":[" FACT(LISBON ",\"negates\":\"no\"") "]}", "\"negates\" is neither"},
        {"{\"facts\":[{\"turn\":0,\"kind\":\"style\",\"predicate\":\"p\"," LISBON "}]}",
         "\"turn\" is no turn"},
        {"{\"facts\":[{\"turn\":\"1\",\"kind\":\"style\",\"predicate\":\"p\"," LISBON "}]}",
         "\"turn\" is no turn"},
        {"{\"facts\":[{\"turn\":1,\"kind\":\"secret\",\"predicate\":\"p\"," LISBON "}]}",
         "\"kind\" is none"},
        {"{\"facts\":[[[[[[[]]]]]]]}", "not JSON"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct taken t = {0};
        struct err err = ERR_INIT;

        assert_int_equal(read_answer(cases[i].answer, &t, &err), E_USAGE);
        if (!strstr(err.message, cases[i].why))
            fail_msg("%s: %s, not %s", cases[i].answer, err.message, cases[i].why);
        assert_int_equal(t.count, 0);
    }
}

// What is wrong is told in words of ours: a log has none of the answer's.
static void test_extraction__nothing_of_it_is_told(void **state)
{
    struct taken t = {0};
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(read_answer("{\"facts\":[" FACT(LISBON ",\"Quetzal\":1") "]}", &t, &err),
                     E_USAGE);
    assert_null(strstr(err.message, "Quetzal"));
    assert_int_equal(read_answer("Quetzal", &t, &err), E_USAGE);
    assert_null(strstr(err.message, "Quetzal"));
}

static void test_extraction__too_many(void **state)
{
    struct buf answer = BUF_INIT(1 << 20);
    struct taken t = {.stop_at = 2};
    struct err err = ERR_INIT;

    (void)state;
    buf_add_str(&answer, "{\"facts\":[");
    for (unsigned i = 0; i < EXTRACTION_FACTS_MAX; i++)
        buf_addf(&answer, "%s%s", i ? "," : "", FACT(LISBON));
    buf_add_str(&answer, "]}");
    assert_int_equal(extraction_read(buf_slice(&answer), take, &t, &err), E_NOMEM);
    assert_int_equal(t.count, 2);
    answer.len -= 2;
    buf_add_str(&answer, "," FACT(LISBON) "]}");
    assert_int_equal(extraction_read(buf_slice(&answer), take, &t, &err), E_USAGE);
    assert_non_null(strstr(err.message, "more than 256"));
    buf_release(&answer);
}

int main(void)
{
#define TEST(name) cmocka_unit_test(test_extraction__##name)
    const struct CMUnitTest tests[] = {TEST(is_read), TEST(else_nothing_is_given),
                                       TEST(nothing_of_it_is_told), TEST(too_many)};

    return cmocka_run_group_tests_name("extraction", tests, NULL, NULL);
}
