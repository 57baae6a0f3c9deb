// SPDX-License-Identifier: MIT
// The log: levels, one line an event whatever is in it, the cut; and the embedded files' table.
#include "base/embed.h"
#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct captured {
    int lines;
    enum log_level level;
    char line[4096];
};

static void capture(void *user, enum log_level level, const char *line)
{
    struct captured *c = user;

    c->lines++;
    c->level = level;
    snprintf(c->line, sizeof(c->line), "%s", line);
}

static void test_log__passes_what_is_grave_enough(void **state)
{
    struct captured c = {0};
    struct log log = {.sink = capture, .user = &c, .min_level = LOG_WARN};

    (void)state;
    log_line(&log, LOG_DEBUG, "no");
    log_line(&log, LOG_INFO, "no");
    assert_int_equal(c.lines, 0);
    log_line(&log, LOG_WARN, "turn=%d state=%s", 41, "open");
    assert_int_equal(c.lines, 1);
    assert_int_equal(c.level, LOG_WARN);
    assert_string_equal(c.line, "turn=41 state=open");
    log_line(&log, LOG_ERROR, "x");
    assert_int_equal(c.lines, 2);
    log_line(NULL, LOG_ERROR, "nobody listens");
}

static void test_log__one_event_is_one_line(void **state)
{
    struct captured c = {0};
    struct log log = {.sink = capture, .user = &c};

    (void)state;
    log_line(&log, LOG_INFO, "name=%s", "a\nparley: error: forged\r\t\x1b[31m\x7f");
    assert_string_equal(c.line, "name=a parley: error: forged   [31m ");
    log_line(&log, LOG_INFO, "%s", "");
    assert_string_equal(c.line, "");
}

static void test_log__long_lines_are_cut_at_a_character(void **state)
{
    struct captured c = {0};
    struct log log = {.sink = capture, .user = &c};
    char text[3000];

    (void)state;
    memset(text, 'x', sizeof(text));
    log_line(&log, LOG_INFO, "%.*s", 1024, text);
    assert_int_equal(strlen(c.line), 1024);
    log_line(&log, LOG_INFO, "%.*s", 2999, text);
    assert_int_equal(strlen(c.line), 1024);
    log_line(&log, LOG_INFO, "%.*s\xc3\xa9", 1022, text);
    assert_int_equal(strlen(c.line), 1024);
    log_line(&log, LOG_INFO, "%.*s\xc3\xa9 and more", 1023, text);
    assert_int_equal(strlen(c.line), 1023);
}

static void test_log__words(void **state)
{
    (void)state;
    assert_string_equal(log_level_word(LOG_DEBUG), "debug");
    assert_string_equal(log_level_word(LOG_ERROR), "error");
    assert_string_equal(log_level_word((enum log_level)9), "unknown");
}

static void test_embed__finds_each_and_nothing_else(void **state)
{
    const char *last = "";

    (void)state;
    for (const struct embed_file *f = embed_files; f->name; f++) {
        assert_true(strcmp(last, f->name) < 0);
        assert_ptr_equal(embed_find(f->name), f);
        assert_int_equal(f->bytes.ptr[f->bytes.len], '\0');
        last = f->name;
    }
    assert_null(embed_find(""));
    assert_null(embed_find("policies/none such.lua"));
    assert_null(embed_find("zzz"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log__passes_what_is_grave_enough),
        cmocka_unit_test(test_log__one_event_is_one_line),
        cmocka_unit_test(test_log__long_lines_are_cut_at_a_character),
        cmocka_unit_test(test_log__words),
        cmocka_unit_test(test_embed__finds_each_and_nothing_else),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
