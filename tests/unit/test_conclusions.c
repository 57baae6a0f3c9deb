// SPDX-License-Identifier: MIT
// test_conclusions.c: a model's answer about several conversations, read strictly.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "memory/conclusions.h"

#include <string.h>

static int take(void *user, const struct concluded *c, struct err *err)
{
    (void)err;
    struct buf *out = user;
    buf_addf(out, "%s/%.*s/%.*s/%.*s", fact_kind_word(c->kind), SLICE_FMT(c->subject),
             SLICE_FMT(c->predicate), SLICE_FMT(c->value));
    for (uint32_t i = 0; i < c->facts_len; i++)
        buf_addf(out, " %s", c->facts[i]);
    buf_add_char(out, ';');
    return E_OK;
}

static void test_conclusions__read(void **state)
{
    (void)state;
    struct buf out = BUF_INIT(4096);
    struct err err = ERR_INIT;
    const char *answer =
        " {\"knowledge\":[{\"kind\":\"pattern\",\"predicate\":\"plans\",\"value\":\"late \\u2764\","
        "\"facts\":[\"0a1b2c3d4e5f\",\"60718293a4b5\"]},"
        "{\"subject\":\"Ada\",\"kind\":\"style\",\"value\":\"v\",\"predicate\":\"p\","
        "\"facts\":[\"0a1b2c3d4e5f\"]}]}\n";

    assert_int_equal(conclusions_read(slice_str(answer), take, &out, &err), E_OK);
    assert_string_equal(out.ptr, "pattern//plans/late ❤ 0a1b2c3d4e5f 60718293a4b5;"
                                 "style/Ada/p/v 0a1b2c3d4e5f;");
    buf_clear(&out);
    assert_int_equal(conclusions_read(SLICE_LIT("{\"knowledge\":[]}"), take, &out, &err), E_OK);
    assert_int_equal(out.len, 0);
    buf_release(&out);
}

#define ITEM(more) "{\"knowledge\":[{\"kind\":\"pattern\",\"predicate\":\"p\",\"value\":\"v\"" more
#define GOOD                                                                                       \
    "{\"kind\":\"pattern\",\"predicate\":\"p\",\"value\":\"v\",\"facts\":[\"0a1b2c3d4e5f\"]}"

// Whatever is wrong with one of them, nothing is taken of the answer.
static void test_conclusions__refused(void **state)
{
    (void)state;
    static const char *const answers[] = {
        "",
        "Here you are: {\"knowledge\":[]}",
        "```json\n{\"knowledge\":[]}\n```",
        "{\"knowledge\":[]} and more",
        "[]",
        "{\"knowledge\":{}}",
        "{\"knowledge\":[],\"facts\":[]}",
        "{\"knowledge\":[" GOOD ",7]}",
        ITEM("}]}"),
        ITEM(",\"facts\":[]}]}"),
        ITEM(",\"facts\":\"0a1b2c3d4e5f\"}]}"),
        ITEM(",\"facts\":[\"0a1b\"]}]}"),
        ITEM(",\"facts\":[12]}]}"),
        ITEM(",\"facts\":[\"0a1b2c3d4e5f\"],\"sure\":true}]}"),
        ITEM(",\"value\":\"w\",\"facts\":[\"0a1b2c3d4e5f\"]}]}"),
        ITEM(",\"subject\":\"\",\"facts\":[\"0a1b2c3d4e5f\"]}]}"),
        ITEM(",\"subject\":5,\"facts\":[\"0a1b2c3d4e5f\"]}]}"),
        ("{\"knowledge\":[" GOOD ",{\"kind\":\"mood\",\"predicate\":\"p\",\"value\":\"v\","
         "\"facts\":[\"0a1b2c3d4e5f\"]}]}"),
        ("{\"knowledge\":[{\"kind\":\"pattern\",\"predicate\":\"p\",\"value\":\"\\u0000\","
         "\"facts\":[\"0a1b2c3d4e5f\"]}]}"),
    };

    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        struct buf out = BUF_INIT(4096);
        struct err err = ERR_INIT;

        if (conclusions_read(slice_str(answers[i]), take, &out, &err) != E_USAGE)
            print_error("%s\n", answers[i]);
        assert_int_equal(err.code, E_USAGE);
        assert_int_equal(out.len, 0);
        buf_release(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conclusions__read),
        cmocka_unit_test(test_conclusions__refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
