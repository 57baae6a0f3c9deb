// SPDX-License-Identifier: MIT
// Options: types and ranges, layers, wildcards, messages that teach, failed allocations.
#include "base/conf.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct option schema[] = {
    {"store", OPT_STRING, 0, 0, "file:parley.db", "Where sessions are kept."},
    {"title", OPT_STRING, 0, 0, NULL, "What the program calls itself."},
    {"workers", OPT_INT, 1, 64, "4", "Threads."},
    {"offset", OPT_INT, 0, 0, NULL, "Any number."},
    {"queue", OPT_INT, 1, INT64_MAX, NULL, "At least one."},
    {"cold", OPT_INT, INT64_MIN, 5, NULL, "At most five."},
    {"verbose", OPT_BOOL, 0, 0, "true", "Says more."},
    {"idle", OPT_SPAN, 1000, 86400000, "30m", "How long a session waits."},
    {"temperature", OPT_NUMBER, 0, 0, "0.7", "How bold answers are."},
    {"providers.default", OPT_STRING, 0, 0, NULL, "A name where others have a group."},
    {"providers.*.kind", OPT_STRING, 0, 0, "openai", "Which protocol."},
    {"providers.*.base_url", OPT_STRING, 0, 0, NULL, "Where it is."},
    {"providers.*.timeout", OPT_SPAN, 0, 0, "60s", "How long it may take."},
    {"providers.*.models.*.price", OPT_NUMBER, 0, 0, NULL, "Per million tokens."},
    {"providers.mock.kind", OPT_INT, 0, 0, "1", "A literal name beats the star."},
    {0},
};

static struct conf *fresh(void)
{
    struct conf *c;

    assert_int_equal(conf_new(&c, schema, NULL), E_OK);
    return c;
}

static void set_ok(struct conf *c, const char *name, const char *value, const char *origin)
{
    struct err err = ERR_INIT;

    if (conf_set(c, slice_str(name), slice_str(value), origin, &err))
        fail_msg("%s", err.message);
}

static void test_conf__defaults(void **state)
{
    struct conf *c = fresh();

    (void)state;
    assert_string_equal(conf_str(c, "store"), "file:parley.db");
    assert_null(conf_str(c, "title"));
    assert_null(conf_str(c, "no_such"));
    assert_int_equal(conf_int(c, "workers", 9), 4);
    assert_int_equal(conf_int(c, "offset", 9), 9);
    assert_int_equal(conf_int(c, "idle", 9), 1800000);
    assert_true(conf_bool(c, "verbose", false));
    assert_true(conf_number(c, "temperature", 0) == 0.7);
    assert_int_equal(conf_int(c, "providers.any.timeout", 9), 60000);
    assert_int_equal(conf_int(c, "providers.mock.kind", 9), 1);
    assert_int_equal(conf_int(c, "providers.any.no_such", 9), 9);
    assert_false(conf_is_set(c, "store"));
    assert_null(conf_origin(c, "store"));
    conf_free(c);
    conf_free(NULL);
}

static void test_conf__later_layers_win(void **state)
{
    struct conf *c = fresh();

    (void)state;
    set_ok(c, "workers", "8", "parley.lua:2");
    set_ok(c, "providers.a.base_url", "http://a", "parley.lua:3");
    assert_int_equal(conf_int(c, "workers", 0), 8);
    assert_string_equal(conf_origin(c, "workers"), "parley.lua:2");
    set_ok(c, "workers", "16", "--set");
    set_ok(c, "verbose", "false", NULL);
    set_ok(c, "title", "", "--set");
    assert_int_equal(conf_int(c, "workers", 0), 16);
    assert_string_equal(conf_str(c, "workers"), "16");
    assert_string_equal(conf_origin(c, "workers"), "--set");
    assert_string_equal(conf_origin(c, "verbose"), "");
    assert_false(conf_bool(c, "verbose", true));
    assert_string_equal(conf_str(c, "title"), "");
    assert_string_equal(conf_str(c, "providers.a.base_url"), "http://a");
    conf_free(c);
}

static void test_conf__numbers(void **state)
{
    struct conf *c = fresh();

    (void)state;
    set_ok(c, "offset", "-9223372036854775808", NULL);
    assert_true(conf_int(c, "offset", 0) == INT64_MIN);
    set_ok(c, "workers", "1", NULL);
    set_ok(c, "workers", "64", NULL);
    set_ok(c, "cold", "-7", NULL);
    assert_int_equal(conf_int(c, "cold", 0), -7);
    set_ok(c, "idle", "1.5h", NULL);
    assert_int_equal(conf_int(c, "idle", 0), 5400000);
    set_ok(c, "temperature", "1e-2", NULL);
    assert_true(conf_number(c, "temperature", 0) == 0.01);
    set_ok(c, "providers.a.models.gpt-4o.price", "2", NULL);
    assert_true(conf_number(c, "providers.a.models.gpt-4o.price", 0) == 2);
    conf_free(c);
}

#define ALL_KEYS                                                                                   \
    "store, title, workers, offset, queue, cold, verbose, idle, temperature, providers"

static void test_conf__messages_teach(void **state)
{
    static const struct {
        const char *name, *value, *message;
    } cases[] = {
        {"providers.openai.base_ur", "x", "unknown key (did you mean base_url?)"},
        {"provider.openai.base_url", "x",
         "unknown key (did you mean providers.openai.base_url?)"},
        {"providers.openai.model.x.price", "1",
         "unknown key (did you mean providers.openai.models.x.price?)"},
        {"providers.openai.models.x.prize", "1", "unknown key (did you mean price?)"},
        {"providers.openai", "x",
         "unknown key (it is a group: set providers.openai.kind, say)"},
        {"worker", "1", "unknown key (did you mean workers?)"},
        {"zzz", "1", "unknown key; there are " ALL_KEYS},
        {"providers.openai.zzzz", "1", "unknown key; there are kind, base_url, timeout, models"},
        {"store.path", "x", "unknown key"},
        {"store.", "x", "unknown key"},
        {"providers..kind", "x", "unknown key; there are default, mock"},
        {"", "x", "unknown key; there are " ALL_KEYS},
        {"*", "x", "unknown key; there are " ALL_KEYS},
        {"workers", "many", "\"many\" is not a whole number"},
        {"workers", "1.0", "\"1.0\" is not a whole number"},
        {"workers", " 1", "\" 1\" is not a whole number"},
        {"workers", "", "\"\" is not a whole number"},
        {"workers", "[1]", "\"[1]\" is not a whole number"},
        {"offset", "9223372036854775808", "\"9223372036854775808\" is not a whole number"},
        {"workers", "0", "\"0\" is not allowed (1 to 64)"},
        {"workers", "65", "\"65\" is not allowed (1 to 64)"},
        {"queue", "0", "\"0\" is not allowed (1 or more)"},
        {"cold", "6", "\"6\" is not allowed (at most 5)"},
        {"idle", "999ms", "\"999ms\" is not allowed (1s to 1d)"},
        {"idle", "2d", "\"2d\" is not allowed (1s to 1d)"},
        {"idle", "soon",
         "\"soon\" is not a span of time (write it like 250ms, 45s, 30m, 1.5h or 30d)"},
        {"verbose", "yes", "\"yes\" is not true or false"},
        {"temperature", "hot", "\"hot\" is not a number (write it like 0.7)"},
        {"temperature", "1e999", "\"1e999\" is not a number (write it like 0.7)"},
        {"verbose", "0123456789012345678901234567890123456789x",
         "\"0123456789012345678901234567890123456789…\" is not true or false"},
    };
    struct conf *c = fresh();

    (void)state;
    set_ok(c, "workers", "7", "first");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err err = ERR_INIT;
        char want[ERR_MESSAGE_BYTES];
        snprintf(want, sizeof(want), "parley.lua:7: %s: %s", cases[i].name, cases[i].message);
        int rc = conf_set(c, slice_str(cases[i].name), slice_str(cases[i].value), "parley.lua:7",
                          &err);
        assert_string_equal(err.message, want);
        assert_int_equal(rc, E_POLICY);
        snprintf(want, sizeof(want), "%s: %s", cases[i].name, cases[i].message);
        assert_int_equal(
            conf_set(c, slice_str(cases[i].name), slice_str(cases[i].value), NULL, &err), E_POLICY);
        assert_string_equal(err.message, want);
    }
    // What was there before stays.
    assert_int_equal(conf_int(c, "workers", 0), 7);
    assert_string_equal(conf_origin(c, "workers"), "first");
    conf_free(c);
}

static void test_conf__bytes_that_cannot_be(void **state)
{
    struct conf *c = fresh();
    char name[1000];
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(conf_set(c, SLICE_LIT("title"), SLICE_LIT("a\0b"), NULL, &err), E_POLICY);
    assert_string_equal(err.message,
                        "title: there is a NUL byte in the name or the value: take it out");
    assert_int_equal(conf_set(c, SLICE_LIT("providers.a\0b.kind"), SLICE_LIT("x"), NULL, NULL),
                     E_POLICY);
    assert_int_equal(conf_set(c, SLICE_NONE, SLICE_NONE, NULL, NULL), E_POLICY);
    memset(name, 'p', sizeof(name));
    memcpy(name, "providers.", 10);
    memcpy(name + 250, ".kind", 5);
    assert_int_equal(conf_set(c, slice_of(name, 255), SLICE_LIT("x"), NULL, NULL), E_OK);
    memcpy(name + 250, "p.kind", 6);
    assert_int_equal(conf_set(c, slice_of(name, 256), SLICE_LIT("x"), NULL, NULL), E_POLICY);
    conf_free(c);
}

struct parts {
    char text[200];
    int left;
};

static bool add_part(void *user, const char *part)
{
    struct parts *p = user;

    strcat(p->text, part);
    strcat(p->text, " ");
    return --p->left != 0;
}

static void check_parts(const struct conf *c, const char *prefix, int most, const char *want)
{
    struct parts p = {.left = most};

    conf_parts(c, prefix, add_part, &p);
    assert_string_equal(p.text, want);
}

static void test_conf__parts(void **state)
{
    struct conf *c = fresh();

    (void)state;
    check_parts(c, "providers", -1, "");
    set_ok(c, "providers.default", "b", NULL);
    set_ok(c, "providers.b.kind", "x", NULL);
    set_ok(c, "providers.a.kind", "x", NULL);
    set_ok(c, "providers.b.base_url", "x", NULL);
    set_ok(c, "providers.bb.models.m1.price", "1", NULL);
    set_ok(c, "providers.bb.models.m2.price", "1", NULL);
    set_ok(c, "providers.a.models.m3.price", "1", NULL);
    set_ok(c, "providers.b.kind", "y", NULL);
    check_parts(c, "providers", -1, "b a bb ");
    check_parts(c, "providers", 2, "b a ");
    check_parts(c, "providers.bb.models", -1, "m1 m2 ");
    check_parts(c, "providers.b", -1, "");
    check_parts(c, "provider", -1, "");
    check_parts(c, "title", -1, "");
    check_parts(c, "", -1, "");
    conf_free(c);
}

// Everything that allocates, as one operation that either happens or says so.
static int build(struct err *err)
{
    struct conf *c;

    int rc = conf_new(&c, schema, err);
    if (rc)
        return rc;
    for (int i = 0; i < 10 && rc == E_OK; i++) {
        char name[64];
        snprintf(name, sizeof(name), "providers.p%d.timeout", i);
        rc = conf_set(c, slice_str(name), SLICE_LIT("5s"), "test", err);
        assert_int_equal(conf_is_set(c, name), rc == E_OK);
    }
    if (rc == E_OK)
        rc = conf_set(c, SLICE_LIT("workers"), SLICE_LIT("5"), "test", err);
    assert_int_equal(conf_int(c, "workers", 0), rc == E_OK ? 5 : 4);
    if (rc == E_OK)
        rc = conf_set(c, SLICE_LIT("workers"), SLICE_LIT("99"), "test", err);
    conf_free(c);
    return rc == E_POLICY ? E_OK : rc;
}

static void test_conf__survives_failed_allocations(void **state)
{
    int rc = E_NOMEM;
    uint64_t n;

    (void)state;
    for (n = 1; rc == E_NOMEM && n < 1000; n++) {
        struct err err = ERR_INIT;
        mem_fail_at(n, 0);
        rc = build(&err);
        mem_fail_at(0, 0);
        assert_int_equal(err.code, rc == E_OK ? E_POLICY : E_NOMEM);
    }
    assert_int_equal(rc, E_OK);
    assert_true(n > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conf__defaults),
        cmocka_unit_test(test_conf__later_layers_win),
        cmocka_unit_test(test_conf__numbers),
        cmocka_unit_test(test_conf__messages_teach),
        cmocka_unit_test(test_conf__bytes_that_cannot_be),
        cmocka_unit_test(test_conf__parts),
        cmocka_unit_test(test_conf__survives_failed_allocations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
