// SPDX-License-Identifier: MIT
// test_parley.c: the library as an embedder meets it: real threads, real stores, public functions
// only.
#include "parley.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
// after the headers that it needs
#include <cmocka.h>

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/parley-test-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    return system(command);
}

static int try_open(parley **engine, const char *store, const char *const *settings,
                    parley_error *error)
{
    parley_options options = PARLEY_OPTIONS_INIT;
    options.config = "";
    options.no_environment = 1;
    options.store = store;
    options.policies = folder;
    options.settings = settings;
    return parley_open(engine, &options, error);
}

static parley *open_or_fail(const char *store, const char *const *settings)
{
    parley_error error = PARLEY_ERROR_INIT;
    parley *engine = NULL;
    if (try_open(&engine, store, settings, &error) < 0)
        fail_msg("parley_open: %s", error.message);
    return engine;
}

static const char *url(const char *name)
{
    static char text[128];
    snprintf(text, sizeof(text), "sqlite:%s/%s", folder, name);
    return text;
}

static uint64_t send(parley *engine, const char *user, const char *text)
{
    parley_message m = PARLEY_MESSAGE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request = 0;
    m.flags = PARLEY_CONTINUE;
    m.user = user;
    m.text = text;
    if (parley_send(engine, &m, &request, &error) < 0)
        fail_msg("parley_send: %s", error.message);
    return request;
}

// The last event of a request; others' are dropped.
static parley_event *last_event(parley *engine, uint64_t request)
{
    parley_event *event;
    while (parley_wait(engine, 60000, &event) == 1) {
        bool last = event->type == PARLEY_EVENT_DONE || event->type == PARLEY_EVENT_ERROR ||
                    event->type == PARLEY_EVENT_RESULT;
        if (last && event->request == request)
            return event;
        parley_event_free(event);
    }
    fail_msg("request %llu did not end", (unsigned long long)request);
    return NULL;
}

static void expect_reply(parley *engine, const char *user, const char *text, const char *reply)
{
    parley_event *event = last_event(engine, send(engine, user, text));
    assert_int_equal(event->type, PARLEY_EVENT_DONE);
    assert_int_equal(event->code, PARLEY_OK);
    if (!strstr(event->json, reply))
        fail_msg("\"%s\" is not in %s", reply, event->json);
    parley_event_free(event);
}

static void expect_no_problems(parley *engine)
{
    parley_scope scope = PARLEY_SCOPE_INIT;
    uint64_t request;
    scope.flags = PARLEY_ALL_USERS;
    assert_int_equal(parley_verify(engine, &scope, &request, NULL), 0);
    parley_event *event = last_event(engine, request);
    assert_int_equal(event->code, PARLEY_OK);
    if (!strstr(event->json, "\"problems\":[]"))
        fail_msg("verify: %s", event->json);
    parley_event_free(event);
}

static void test_parley__remembers(void **state)
{
    (void)state;
    parley *engine = open_or_fail("memory:", NULL);
    expect_reply(engine, "ann", "My name is Ann.", "Ann");
    expect_reply(engine, "bob", "What is my name?", "not told me");
    expect_reply(engine, "ann", "What is my name?", "Your name is Ann");
    expect_no_problems(engine);
    parley_close(engine);
}

static void test_parley__two_engines_in_one_process(void **state)
{
    (void)state;
    parley *one = open_or_fail(url("one.db"), NULL);
    parley *two = open_or_fail(url("two.db"), NULL);
    parley *again = open_or_fail(url("one.db"), NULL);
    expect_reply(one, "ann", "My name is Ann.", "Ann");
    expect_reply(two, "ann", "What is my name?", "not told me");
    expect_reply(again, "ann", "What is my name?", "Your name is Ann");
    expect_reply(one, "ann", "What is my name?", "Your name is Ann");
    expect_no_problems(again);
    parley_close(one);
    parley_close(two);
    parley_close(again);
}

static bool readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

static void test_parley__wakeup_descriptor(void **state)
{
    (void)state;
    parley *engine = open_or_fail("memory:", NULL);
    struct pollfd p = {.fd = parley_wakeup_fd(engine), .events = POLLIN};
    parley_event *event = NULL;
    bool over = false;
    assert_false(readable(p.fd));
    assert_int_equal(parley_poll(engine, &event), 0);
    send(engine, "ann", "hello");
    while (!over) {
        assert_int_equal(poll(&p, 1, 60000), 1);
        while (parley_poll(engine, &event) == 1) {
            over |= event->type == PARLEY_EVENT_DONE;
            parley_event_free(event);
        }
    }
    assert_false(readable(p.fd));
    parley_close(engine);
}

// Events that came before anybody asked for the descriptor make it readable too.
static void test_parley__wakeup_descriptor_asked_for_late(void **state)
{
    (void)state;
    parley *engine = open_or_fail("memory:", NULL);
    parley_event *event = NULL;
    int ended = 0;
    for (int i = 0; i < 4; i++)
        send(engine, "ann", "hello");
    for (bool over = false; !over;) {
        assert_int_equal(parley_wait(engine, 60000, &event), 1);
        over = event->type == PARLEY_EVENT_DONE;
        ended += over;
        parley_event_free(event);
    }
    struct pollfd p = {.fd = parley_wakeup_fd(engine), .events = POLLIN};
    while (ended < 4) {
        assert_int_equal(poll(&p, 1, 60000), 1);
        assert_int_equal(parley_wait(engine, 60000, &event), 1);
        ended += event->type == PARLEY_EVENT_DONE;
        parley_event_free(event);
    }
    assert_false(readable(p.fd));
    parley_close(engine);
}

static void test_parley__stop_keeps_what_came(void **state)
{
    static const char *const slow[] = {"providers.scripted.delay_ms=50", NULL};
    (void)state;
    parley *engine = open_or_fail("memory:", slow);
    uint64_t request = send(engine, "ann", "hello");
    parley_event *event;
    bool stopped = false;
    while (parley_wait(engine, 60000, &event) == 1) {
        if (event->type == PARLEY_EVENT_DELTA && !stopped) {
            parley_stop(engine, request);
            stopped = true;
        }
        if (event->type == PARLEY_EVENT_DONE)
            break;
        parley_event_free(event);
    }
    assert_int_equal(event->code, PARLEY_E_CANCELLED);
    assert_non_null(strstr(event->json, "\"status\":\"cut\",\"stop\":\"user\""));
    parley_event_free(event);
    expect_no_problems(engine);
    parley_close(engine);
}

static void test_parley__close_settles_what_is_under_way(void **state)
{
    static const char *const slow[] = {"providers.scripted.delay_ms=60000", NULL};
    (void)state;
    parley *engine = open_or_fail(url("close.db"), slow);
    parley_event *event;
    send(engine, "ann", "hello");
    assert_int_equal(parley_wait(engine, 60000, &event), 1);
    assert_int_equal(event->type, PARLEY_EVENT_ACCEPTED);
    parley_event_free(event);
    parley_close(engine);

    engine = open_or_fail(url("close.db"), NULL);
    parley_scope scope = PARLEY_SCOPE_INIT;
    uint64_t request;
    scope.user = "ann";
    assert_int_equal(parley_show(engine, &scope, &request, NULL), 0);
    event = last_event(engine, request);
    assert_non_null(strstr(event->json, "\"status\":\"cut\""));
    parley_event_free(event);
    expect_no_problems(engine);
    parley_close(engine);
}

static void test_parley__too_many_requests(void **state)
{
    static const char *const slow[] = {"providers.scripted.delay_ms=60000", NULL};
    enum { REQUESTS_MAX = 1024 };
    (void)state;
    parley *engine = open_or_fail("memory:", slow);
    parley_message m = PARLEY_MESSAGE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    m.text = "hello";
    for (int i = 0; i < REQUESTS_MAX; i++)
        assert_int_equal(parley_send(engine, &m, NULL, &error), 0);
    assert_int_equal(parley_send(engine, &m, NULL, &error), PARLEY_E_BUSY);
    assert_non_null(strstr(error.message, "1024"));
    parley_close(engine);
}

static void test_parley__imports_of_one_user_at_once(void **state)
{
    enum { LINES = 40 };
    (void)state;
    parley *engine = open_or_fail(url("import.db"), NULL);
    for (int i = 0; i < LINES; i++) {
        char line[256];
        int n =
            snprintf(line, sizeof(line),
                     "{\"id\":\"talk-%d\",\"user\":\"ann\",\"messages\":["
                     "{\"role\":\"user\",\"content\":\"q %d\",\"at\":\"2026-01-%02dT10:00:00Z\"},"
                     "{\"role\":\"assistant\",\"content\":\"a\"}]}",
                     i, i, 1 + i % 28);
        assert_int_equal(parley_import(engine, line, (size_t)n, NULL, NULL), 0);
    }
    for (int i = 0; i < LINES; i++) {
        parley_event *event;
        assert_int_equal(parley_wait(engine, 60000, &event), 1);
        if (event->type != PARLEY_EVENT_RESULT)
            fail_msg("import: %s", event->text);
        parley_event_free(event);
    }
    expect_no_problems(engine);
    parley_close(engine);
}

static void test_parley__another_keyring(void **state)
{
    char path[128], setting[160];
    parley_error error = PARLEY_ERROR_INIT;
    parley *engine = open_or_fail(url("keys.db"), NULL);
    (void)state;
    expect_reply(engine, "ann", "My name is Ann.", "Ann");
    parley_close(engine);

    snprintf(setting, sizeof(setting), "keyring=%s/missing.keys", folder);
    const char *missing[] = {setting, NULL};
    assert_int_equal(try_open(&engine, url("keys.db"), missing, &error), PARLEY_E_STORE);
    assert_non_null(strstr(error.message, "put it back"));
    snprintf(path, sizeof(path), "%s/missing.keys", folder);
    assert_int_not_equal(access(path, F_OK), 0);

    snprintf(setting, sizeof(setting), "keyring=%s/other.keys", folder);
    parley *other = open_or_fail(url("other.db"), missing);
    parley_close(other);
    assert_int_equal(try_open(&engine, url("keys.db"), missing, &error), PARLEY_E_STORE);
    assert_non_null(strstr(error.message, "another keyring"));
}

// Of a store that is open, in the same process, and into it once it is not.
static void test_parley__backup_and_restore(void **state)
{
    char file[128], *report = NULL;
    parley_error error = PARLEY_ERROR_INIT;
    parley_options options = PARLEY_OPTIONS_INIT;
    parley_copy_options how = PARLEY_COPY_OPTIONS_INIT;
    (void)state;
    parley *engine = open_or_fail(url("backup.db"), NULL);
    expect_reply(engine, "ann", "My name is Ann.", "Ann");
    snprintf(file, sizeof(file), "%s/backup", folder);
    options.config = "";
    options.no_environment = 1;
    options.store = url("backup.db");
    if (parley_backup(&options, &how, file, &report, &error) < 0)
        fail_msg("%s", error.message);
    assert_non_null(strstr(report, "\"sessions\":1,\"turns\":1,\"problems\":[]"));
    parley_free(report);
    expect_reply(engine, "ann", "Once more.", "");
    assert_int_equal(parley_backup(&options, &how, file, &report, &error), PARLEY_E_REFUSED);
    assert_null(report);
    assert_int_equal(parley_restore(&options, &how, file, &report, &error), PARLEY_E_REFUSED);
    parley_close(engine);
    if (parley_restore(&options, &how, file, &report, &error) < 0)
        fail_msg("%s", error.message);
    assert_non_null(strstr(report, "\"turns\":1,"));
    assert_non_null(strstr(report, ".before-"));
    parley_free(report);
    how.version = 99;
    assert_int_equal(parley_backup(&options, &how, file, &report, &error), PARLEY_E_USAGE);
    engine = open_or_fail(url("backup.db"), NULL);
    expect_no_problems(engine);
    parley_close(engine);
}

static void test_parley__bad_input(void **state)
{
    static const char *const unknown[] = {"stroe=memory:", NULL};
    parley_error error = PARLEY_ERROR_INIT;
    parley_options options = PARLEY_OPTIONS_INIT;
    parley_message m = PARLEY_MESSAGE_INIT;
    parley *engine = NULL;
    (void)state;
    options.version = 99;
    assert_int_equal(parley_open(&engine, &options, &error), PARLEY_E_USAGE);
    assert_int_equal(try_open(&engine, "papyrus:x", NULL, &error), PARLEY_E_STORE);
    assert_non_null(strstr(error.message, "sqlite"));
    assert_int_equal(try_open(&engine, "memory:", unknown, &error), PARLEY_E_POLICY);
    assert_non_null(strstr(error.message, "store"));
    assert_null(engine);

    engine = open_or_fail("memory:", NULL);
    m.text = "a\xff";
    assert_int_equal(parley_send(engine, &m, NULL, &error), PARLEY_E_USAGE);
    m.text = "a\0b";
    m.text_bytes = 3;
    assert_int_equal(parley_send(engine, &m, NULL, &error), PARLEY_E_USAGE);
    m.text = "hello";
    m.text_bytes = 0;
    m.session = "../../etc/passwd";
    assert_int_equal(parley_send(engine, &m, NULL, &error), PARLEY_E_USAGE);
    m.session = NULL;
    m.bot = "nobody";
    uint64_t request;
    assert_int_equal(parley_send(engine, &m, &request, &error), 0);
    parley_event *event = last_event(engine, request);
    assert_int_equal(event->type, PARLEY_EVENT_ERROR);
    assert_int_equal(event->code, PARLEY_E_POLICY);
    parley_event_free(event);
    parley_close(engine);
}

static void test_parley__tokens(void **state)
{
    parley_error error = PARLEY_ERROR_INIT;
    char *report;

    (void)state;
    assert_int_equal(parley_tokens(NULL, NULL, "a\0b", 3, PARLEY_TOKEN_IDS, &report, &error), 0);
    assert_string_equal(report, "{\"tokens\":3,\"encoding\":\"o200k_base\",\"estimated\":false,"
                                "\"ids\":[64,188,65]}");
    parley_free(report);
    assert_int_equal(parley_tokens("cl100k_base", NULL, NULL, 0, 0, &report, &error), 0);
    assert_string_equal(report,
                        "{\"tokens\":0,\"encoding\":\"cl100k_base\",\"estimated\":false}");
    parley_free(report);
    assert_int_equal(parley_tokens(NULL, "say \"x\"", "hi", 2, 0, &report, &error), 0);
    assert_string_equal(report, "{\"tokens\":1,\"model\":\"say \\\"x\\\"\",\"estimated\":true}");
    parley_free(report);
    assert_int_equal(parley_tokens("o20k_base", NULL, "hi", 2, 0, &report, &error),
                     PARLEY_E_USAGE);
    assert_null(report);
    assert_non_null(strstr(error.message, "did you mean 'o200k_base'?"));
    assert_int_equal(parley_tokens(NULL, "\xFF", "hi", 2, 0, &report, &error), PARLEY_E_USAGE);
    assert_int_equal(parley_tokens(NULL, NULL, "hi", (64 << 20) + 1, 0, &report, &error),
                     PARLEY_E_USAGE);
    assert_null(report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parley__tokens),
        cmocka_unit_test(test_parley__remembers),
        cmocka_unit_test(test_parley__two_engines_in_one_process),
        cmocka_unit_test(test_parley__wakeup_descriptor),
        cmocka_unit_test(test_parley__wakeup_descriptor_asked_for_late),
        cmocka_unit_test(test_parley__stop_keeps_what_came),
        cmocka_unit_test(test_parley__close_settles_what_is_under_way),
        cmocka_unit_test(test_parley__too_many_requests),
        cmocka_unit_test(test_parley__imports_of_one_user_at_once),
        cmocka_unit_test(test_parley__another_keyring),
        cmocka_unit_test(test_parley__backup_and_restore),
        cmocka_unit_test(test_parley__bad_input),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
