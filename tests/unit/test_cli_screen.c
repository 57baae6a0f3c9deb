// SPDX-License-Identifier: MIT
// What reaches a terminal of somebody else's text, in one piece and cut at every character; the
// prompt.
#include "base/buf.h"
#include "base/utf8.h"
#include "cli/prompt.h"
#include "cli/screen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void show(struct screen *s, struct buf *out, struct slice text)
{
    struct slice run;

    while (screen_next(s, &text, &run)) {
        assert_true(run.len > 0);
        buf_add_slice(out, run);
    }
    assert_int_equal(text.len, 0);
}

static void check(const char *text, const char *shown)
{
    struct slice whole = slice_str(text);
    struct buf out = BUF_INIT(4096);

    for (size_t cut = 0; cut <= whole.len; cut++) {
        struct screen s = {0};
        if (utf8_cut(whole, cut) != cut)
            continue; // pieces are whole characters
        buf_clear(&out);
        show(&s, &out, slice_of(text, cut));
        show(&s, &out, slice_of(text + cut, whole.len - cut));
        if (!slice_is(buf_slice(&out), shown))
            fail_msg("cut at %zu: '%.*s' instead of '%s'", cut, SLICE_FMT(buf_slice(&out)), shown);
    }
    buf_release(&out);
}

static void test_cli_screen__passes_text(void **state)
{
    (void)state;
    check("", "");
    check("plain [31m text ]0;x\n\twith tabs", "plain [31m text ]0;x\n\twith tabs");
    check("Grüße, 你好, 👋🏽 \xC2\xA0 é", "Grüße, 你好, 👋🏽 \xC2\xA0 é");
}

static void test_cli_screen__leaves_out_controls(void **state)
{
    (void)state;
    check("a\x01\x07\x08\x0B\x7F\rb", "ab");
    check("\x1B[31mred\x1B[0m", "red");
    check("\x1B[2J\x1B[1;1Hhome", "home");
    check("\x1B]0;title\x07"
          "after",
          "after");
    check("\x1B]52;c;cm0gLXJm\x1B\\after", "after");
    check("\x1BPq#0;2;0;0;0\x1B\\x", "x");
    check("\x1B(Bcharset", "charset");
    check("\x1B"
          "7saved\x1B"
          "8",
          "saved");
    check("\xC2\x9B"
          "31mred",
          "red");
    check("\xC2\x9D"
          "0;title\xC2\x9C"
          "after",
          "after");
    check("a\xC2\x85"
          "b",
          "ab");
}

static void test_cli_screen__comes_back_from_broken_sequences(void **state)
{
    (void)state;
    check("\x1B]0;never ended\nnext line", "\nnext line");
    check("\x1B\x1B[31m\x1B\x1B]x\x07y", "y");
    check("\x1B[12\nx", "\nx");
    check("\x1B[1é", "é");
    check("\x1B\xC3\xA9", "é");
    check("\x1B[\x1B[31mx", "x");
    check("end\x1B", "end");
}

static void format_is(long long tokens, int percent, const char *expected)
{
    char out[PROMPT_BYTES_MAX];

    prompt_format(out, tokens, percent);
    assert_string_equal(out, expected);
}

static void test_cli_prompt__shows_the_window(void **state)
{
    (void)state;
    format_is(-1, 0, "you> ");
    format_is(0, 0, "you [0 0%]> ");
    format_is(999, 3, "you [999 3%]> ");
    format_is(1000, 3, "you [1.0k 3%]> ");
    format_is(1299, 3, "you [1.2k 3%]> ");
    format_is(9999, 3, "you [9.9k 3%]> ");
    format_is(10000, 80, "you [10k 80%]> ");
    format_is(999999, 99, "you [999k 99%]> ");
    format_is(1250000, 100, "you [1.2M 100%]> ");
    format_is(INT64_MAX, 100, "you [9223372036854.7M 100%]> ");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cli_screen__passes_text),
        cmocka_unit_test(test_cli_screen__leaves_out_controls),
        cmocka_unit_test(test_cli_screen__comes_back_from_broken_sequences),
        cmocka_unit_test(test_cli_prompt__shows_the_window),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
