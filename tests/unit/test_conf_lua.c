// SPDX-License-Identifier: MIT
// test_conf_lua.c: parley.lua read into a configuration: values, their origins, and what is
// refused.
#include "lua/lua_room.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static const struct option schema[] = {
    {"store", OPT_STRING, 0, 0, "sqlite:parley.db", "Where."},
    {"workers", OPT_INT, 0, 64, "0", "How many."},
    {"default.bot", OPT_STRING, 0, 0, "hello", "Which bot."},
    {"default.model", OPT_STRING, 0, 0, NULL, "Which model."},
    {"providers.*.api", OPT_STRING, 0, 0, NULL, "Dialect."},
    {"providers.*.base_url", OPT_STRING, 0, 0, NULL, "Where."},
    {"providers.*.script", OPT_STRING, 0, 0, NULL, "File."},
    {"providers.*.delay_ms", OPT_INT, 0, 60000, "0", "Delay."},
    {"providers.*.garbage", OPT_BOOL, 0, 0, NULL, "Garbage."},
    {"timeout", OPT_SPAN, 0, 0, "30s", "How long."},
    {"ratio", OPT_NUMBER, 0, 0, NULL, "How much."},
    {NULL, OPT_STRING, 0, 0, NULL, NULL},
};

static int enter_folder(void **state)
{
    static char dir[64];

    snprintf(dir, sizeof(dir), "/tmp/parley-test-XXXXXX");
    assert_non_null(mkdtemp(dir));
    *state = dir;
    return chdir(dir);
}

static int leave_folder(void **state)
{
    unlink("parley.lua");
    return chdir("/") || rmdir(*state);
}

// Reads `text` as parley.lua.
static int read_text(const char *text, struct conf **conf, struct err *err)
{
    FILE *f = fopen("parley.lua", "w");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    err->message[0] = '\0';
    assert_int_equal(conf_new(conf, schema, NULL), E_OK);
    return lua_conf_load(*conf, "parley.lua", clock_system(), err);
}

static bool add_part(void *user, const char *part)
{
    strcat(strcat(user, part), " ");
    return true;
}

static void test_conf_lua__values(void **state)
{
    struct conf *c = NULL;
    struct err err = ERR_INIT;
    char parts[256] = "";

    (void)state;
    int rc = read_text("-- comment: store = 1\n"
                       "local url = 'http://127.0.0.1:8080/v1'\n"
                       "return {\n"
                       "  store = 'memory:',\n"
                       "  default = { bot = 'kiosk',\n"
                       "              model = 'm' },\n"
                       "  providers = {\n"
                       "    zeta = { api = 'openai', base_url = url },\n"
                       "    alpha = { api = 'scripted', script = nil, delay_ms = 5, garbage = "
                       "true },\n"
                       "  },\n"
                       "  workers = 4, timeout = '2m', ratio = 0.5,\n"
                       "}\n", &c, &err);
    if (rc != E_OK)
        fail_msg("%s", err.message);
    assert_string_equal(conf_str(c, "store"), "memory:");
    assert_string_equal(conf_origin(c, "store"), "parley.lua:4");
    assert_string_equal(conf_str(c, "default.bot"), "kiosk");
    assert_string_equal(conf_origin(c, "default.model"), "parley.lua:6");
    assert_string_equal(conf_str(c, "providers.zeta.base_url"), "http://127.0.0.1:8080/v1");
    assert_string_equal(conf_origin(c, "providers.zeta.api"), "parley.lua:8");
    assert_string_equal(conf_origin(c, "providers.alpha.api"), "parley.lua:9");
    assert_false(conf_is_set(c, "providers.alpha.script"));
    assert_int_equal(conf_int(c, "providers.alpha.delay_ms", -1), 5);
    assert_true(conf_bool(c, "providers.alpha.garbage", false));
    assert_int_equal(conf_int(c, "workers", -1), 4);
    assert_int_equal(conf_int(c, "timeout", -1), 120000);
    assert_string_equal(conf_str(c, "ratio"), "0.5");
    conf_parts(c, "providers", add_part, parts);
    assert_string_equal(parts, "zeta alpha ");  // as in the file
    conf_free(c);
}

static void test_conf_lua__empty(void **state)
{
    struct conf *c = NULL;
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(read_text("return {}", &c, &err), E_OK);
    assert_string_equal(conf_str(c, "store"), "sqlite:parley.db");
    conf_free(c);
}

static void test_conf_lua__refusals(void **state)
{
    static const struct { const char *text, *says; } bad[] = {
        {"return {\n\n  stor = 'memory:' }", "parley.lua:3: stor: unknown key (did you mean "
            "store?)"},
        {"return { default = {\n bto = 'x' } }", "parley.lua:2: default.bto: unknown key"},
        {"return { workers = 'many' }", "parley.lua:1: workers: "},
        {"return { workers = 1000 }", "parley.lua:1: workers: "},
        {"return { store = function() end }",
         "parley.lua:1: store: must be text, a number, true, false or a table"},
        {"return { 'memory:' }", "parley.lua:1: keys must be names, as in name = value"},
        {"return { store = 'a\\0b' }", "parley.lua:1: store: may not hold a NUL"},
        {"return 3", "parley.lua: must return a table of options"},
        {"", "parley.lua: must return a table of options"},
        {"return {", "parley.lua:1: unexpected symbol"},
        {"\nreturn { store = os.getenv('HOME') }", "parley.lua:2: attempt to index a nil value"},
        {"\nwhile true do end", "parley.lua:2: stopped"},
        {"local t = {} t.t = t return t", "parley.lua: tables are nested too deeply"},
        {"return setmetatable({}, { __index = function() while true do end end, __pairs = error "
         "})", ""},
    };
    struct conf *c = NULL;
    struct err err = ERR_INIT;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int rc = read_text(bad[i].text, &c, &err);

        if (rc != (bad[i].says[0] ? E_POLICY : E_OK) || !strstr(err.message, bad[i].says))
            fail_msg("%s\ngave '%s'", bad[i].text, err.message);
        conf_free(c);
    }
    unlink("parley.lua");
    assert_int_equal(conf_new(&c, schema, NULL), E_OK);
    assert_int_equal(lua_conf_load(c, "parley.lua", clock_system(), &err), E_POLICY);
    assert_string_equal(err.message, "parley.lua: there is no such configuration file");
    conf_free(c);
}

static void test_conf_lua__out_of_memory(void **state)
{
    struct err err = ERR_INIT;
    int done = 0;

    (void)state;
    for (uint64_t n = 1; !done && n < 50000; n += 1 + n / 16) {
        struct conf *c = NULL;

        assert_int_equal(read_text("return {}", &c, &err), E_OK);
        FILE *f = fopen("parley.lua", "w");
        fputs("return { store = 'x', default = { bot = 'y' }, workers = 2 }", f);
        fclose(f);
        mem_fail_at(n, 1);
        int rc = lua_conf_load(c, "parley.lua", clock_system(), &err);
        mem_fail_at(0, 0);
        assert_true(rc == E_OK || rc == E_NOMEM);
        done = rc == E_OK;
        conf_free(c);
    }
    assert_true(done);
}

#define TEST(name) \
    cmocka_unit_test_setup_teardown(test_conf_lua__##name, enter_folder, leave_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(values), TEST(empty), TEST(refusals), TEST(out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
