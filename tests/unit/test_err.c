// SPDX-License-Identifier: MIT
// Errors: filling, prefixing, cutting at a character, the words, BUG; and slice_cmp.
#include "base/err.h"
#include "base/slice.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { ROOM = ERR_MESSAGE_BYTES - 1 };

static void test_err__set_fills_code_and_message(void **state)
{
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(err_set(&err, E_STORE, "disk %s: %d%%", "full", 100), E_STORE);
    assert_int_equal(err.code, E_STORE);
    assert_string_equal(err.message, "disk full: 100%");
}

static void test_err__null_err_keeps_the_code(void **state)
{
    (void)state;
    assert_int_equal(err_set(NULL, E_NOMEM, "x"), E_NOMEM);
    assert_int_equal(err_prefix(NULL, "x"), E_OK);
}

static void test_err__prefix_stacks(void **state)
{
    struct err err = ERR_INIT;

    (void)state;
    err_set(&err, E_STORE, "disk full");
    assert_int_equal(err_prefix(&err, "sqlite: "), E_STORE);
    assert_int_equal(err_prefix(&err, "store %d: ", 7), E_STORE);
    assert_string_equal(err.message, "store 7: sqlite: disk full");
}

static void test_err__arguments_may_be_its_own_message(void **state)
{
    struct err err = ERR_INIT;

    (void)state;
    err_set(&err, E_USAGE, "inner");
    err_set(&err, E_POLICY, "outer: %s", err.message);
    assert_string_equal(err.message, "outer: inner");
    err_prefix(&err, "(%s) ", err.message);
    assert_string_equal(err.message, "(outer: inner) outer: inner");
}

// Messages of every alignment around the limit, of characters of every width.
static void test_err__cut_splits_no_character(void **state)
{
    static const char *const characters[] = {"x", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};

    (void)state;
    for (size_t width = 1; width <= 4; width++) {
        for (size_t lead = 0; lead < 5; lead++) {
            char text[2 * ERR_MESSAGE_BYTES] = "aaaaa";
            struct err err = ERR_INIT;

            for (size_t at = lead; at + width < sizeof(text) - 1; at += width)
                memcpy(text + at, characters[width - 1], width + 1);
            err_set(&err, E_USAGE, "%s", text);
            size_t want = lead + (ROOM - lead) / width * width;
            assert_int_equal(strlen(err.message), want);
            assert_memory_equal(err.message, text, want);

            err_prefix(&err, "p");
            assert_int_equal(strlen(err.message), 1 + lead + (ROOM - 1 - lead) / width * width);
        }
    }
}

static void test_err__exact_fit_is_not_cut(void **state)
{
    char text[ERR_MESSAGE_BYTES + 1];
    struct err err = ERR_INIT;

    (void)state;
    memset(text, 'x', sizeof(text));
    err_set(&err, E_USAGE, "%.*s", ROOM, text);
    assert_int_equal(strlen(err.message), ROOM);
    err_set(&err, E_USAGE, "%.*s\xc3\xa9", ROOM - 2, text);
    assert_int_equal(strlen(err.message), ROOM);
    err_set(&err, E_USAGE, "%.*s\xc3\xa9", ROOM - 1, text);
    assert_int_equal(strlen(err.message), ROOM - 1);
    // A prefix that fills everything leaves nothing of the message.
    err_prefix(&err, "%.*s", ROOM, text);
    assert_int_equal(strlen(err.message), ROOM);
}

static void test_err__words(void **state)
{
    (void)state;
    assert_string_equal(err_word(E_OK), "ok");
    assert_string_equal(err_word(E_USAGE), "usage");
    assert_string_equal(err_word(E_NOT_FOUND), "not_found");
    assert_string_equal(err_word(E_FENCED), "fenced");
    assert_string_equal(err_word(E_ERASED), "erased");
    assert_string_equal(err_word(E_ERASED - 1), "unknown");
    assert_string_equal(err_word(1), "unknown");
    assert_string_equal(err_word(INT32_MIN), "unknown");
}

static void test_err__bug_aborts_and_tells_where(void **state)
{
    char text[256] = "";
    int ends[2], status;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        dup2(ends[1], STDERR_FILENO);
        bug_at("room/x.c", 12, "turn %d is open twice", 41);
    }
    close(ends[1]);
    assert_true(read(ends[0], text, sizeof(text) - 1) > 0);
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_non_null(strstr(text, "room/x.c:12: turn 41 is open twice"));
}

static void test_slice__cmp_orders_bytes(void **state)
{
    (void)state;
    assert_int_equal(slice_cmp(SLICE_NONE, SLICE_NONE), 0);
    assert_true(slice_cmp(SLICE_NONE, SLICE_LIT("a")) < 0);
    assert_true(slice_cmp(SLICE_LIT("ab"), SLICE_LIT("a")) > 0);
    assert_true(slice_cmp(SLICE_LIT("a\0b"), SLICE_LIT("a\0c")) < 0);
    assert_true(slice_cmp(SLICE_LIT("\xff"), SLICE_LIT("a")) > 0);
    assert_int_equal(slice_cmp(SLICE_LIT("same"), SLICE_LIT("same")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_err__set_fills_code_and_message),
        cmocka_unit_test(test_err__null_err_keeps_the_code),
        cmocka_unit_test(test_err__prefix_stacks),
        cmocka_unit_test(test_err__arguments_may_be_its_own_message),
        cmocka_unit_test(test_err__cut_splits_no_character),
        cmocka_unit_test(test_err__exact_fit_is_not_cut),
        cmocka_unit_test(test_err__words),
        cmocka_unit_test(test_err__bug_aborts_and_tells_where),
        cmocka_unit_test(test_slice__cmp_orders_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
