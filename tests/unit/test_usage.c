// SPDX-License-Identifier: MIT
// Usage: sums, unknown costs, the stored and the public form.
#include "model/usage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct usage none = {.cost_nusd = COST_UNKNOWN};
static const struct usage known = {.input_tokens = 10, .cached_tokens = 3, .output_tokens = 2,
                                   .cost_nusd = 100};
static const struct usage unknown = {.input_tokens = 5, .cache_write_tokens = 1,
                                     .cost_nusd = COST_UNKNOWN, .estimated = true};

static void assert_usage(const struct usage *a, const struct usage *b)
{
    assert_int_equal(a->input_tokens, b->input_tokens);
    assert_int_equal(a->cached_tokens, b->cached_tokens);
    assert_int_equal(a->cache_write_tokens, b->cache_write_tokens);
    assert_int_equal(a->output_tokens, b->output_tokens);
    assert_int_equal(a->cost_nusd, b->cost_nusd);
    assert_int_equal(a->estimated, b->estimated);
}

static void test_usage__sums(void **state)
{
    struct usage u = none;

    (void)state;
    usage_add(&u, &none);
    assert_int_equal(u.cost_nusd, COST_UNKNOWN);
    usage_add(&u, &known);
    assert_int_equal(u.cost_nusd, 100);
    usage_add(&u, &none);
    assert_int_equal(u.cost_nusd, 100);
    usage_add(&u, &known);
    assert_int_equal(u.cost_nusd, 200);
    assert_false(u.estimated);
    usage_add(&u, &unknown);
    assert_int_equal(u.cost_nusd, COST_UNKNOWN);
    usage_add(&u, &known);
    assert_int_equal(u.cost_nusd, COST_UNKNOWN);
    assert_int_equal(u.input_tokens, 35);
    assert_int_equal(u.cached_tokens, 9);
    assert_int_equal(u.cache_write_tokens, 1);
    assert_int_equal(u.output_tokens, 6);
    assert_true(u.estimated);
    u.input_tokens = INT64_MAX - 1;
    usage_add(&u, &known);
    assert_int_equal(u.input_tokens, INT64_MAX);
}

// The form that write leaves, as text.
static const char *form(const struct usage *u, void (*write)(const struct usage *u,
                                                              struct json_writer *w),
                        struct buf *out)
{
    struct json_writer w;

    buf_clear(out);
    jw_init(&w, out);
    jw_object(&w);
    write(u, &w);
    jw_object_end(&w);
    return out->ptr;
}

static void test_usage__stored_form(void **state)
{
    struct buf out = BUF_INIT(1024);
    struct json_doc doc = JSON_DOC_INIT;
    struct usage back;

    (void)state;
    assert_string_equal(form(&none, usage_write_meta, &out),
                        "{\"input_tokens\":0,\"output_tokens\":0}");
    assert_string_equal(form(&unknown, usage_write_meta, &out),
                        "{\"input_tokens\":5,\"cache_write_tokens\":1,\"output_tokens\":0,"
                        "\"estimated\":true}");
    assert_int_equal(json_parse(&doc, buf_slice(&out), 0, NULL), E_OK);
    usage_read_meta(&back, json_root(&doc));
    assert_usage(&back, &unknown);
    form(&known, usage_write_meta, &out);
    assert_int_equal(json_parse(&doc, buf_slice(&out), 0, NULL), E_OK);
    usage_read_meta(&back, json_root(&doc));
    assert_usage(&back, &known);
    usage_read_meta(&back, (struct json){0});
    assert_usage(&back, &none);
    assert_int_equal(json_parse(&doc, SLICE_LIT("{\"input_tokens\":-5,\"cost_nusd\":\"x\"}"), 0,
                                NULL), E_OK);
    usage_read_meta(&back, json_root(&doc));
    assert_usage(&back, &none);
    json_doc_release(&doc);
    buf_release(&out);
}

static void test_usage__dollars(void **state)
{
    static const struct {
        int64_t nusd;
        const char *text;
    } cases[] = {{COST_UNKNOWN, "null"}, {0, "0"}, {1, "0.000000001"}, {1500, "0.0000015"},
                 {1000000000, "1"}, {1230000000, "1.23"}, {10000000000, "10"},
                 {INT64_MAX, "9223372036.854775807"}};
    struct buf out = BUF_INIT(1024);

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct usage u = {.input_tokens = 1, .cost_nusd = cases[i].nusd};
        char expected[200];

        snprintf(expected, sizeof(expected),
                 "{\"input_tokens\":1,\"cached_tokens\":0,\"cache_write_tokens\":0,"
                 "\"output_tokens\":0,\"estimated\":false,\"cost_usd\":%s}", cases[i].text);
        assert_string_equal(form(&u, usage_write_public, &out), expected);
    }
    buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_usage__sums),
        cmocka_unit_test(test_usage__stored_form),
        cmocka_unit_test(test_usage__dollars),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
