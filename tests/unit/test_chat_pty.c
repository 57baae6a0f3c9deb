// SPDX-License-Identifier: MIT
// test_chat_pty.c: `parley chat` as a person at a terminal sees it: the prompt, line editing, Tab,
// Ctrl-C, Ctrl-D. Runs the program of ${PARLEY_BUILD:-build} on a pseudo-terminal, in a new folder.
// Every key waits for what the program shows; a deadline only ends a test that is stuck.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/slice.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

enum { STUCK_MS = 20000, ARGUMENTS_MAX = 8, SHOWN_MAX = 1 << 20 };

struct terminal {
    int fd;
    pid_t pid;
    struct buf shown; // all that the program wrote
    size_t at;        // what of it was expected already
    struct termios found;
};

struct place {
    char program[PATH_MAX];
    char folder[64];
};

static int set_up(void **state)
{
    static struct place place;
    const char *build = getenv("PARLEY_BUILD");
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s/parley", build ? build : "build");
    if (!realpath(path, place.program))
        place.program[0] = '\0';
    snprintf(place.folder, sizeof place.folder, "/tmp/parley-pty-XXXXXX");
    *state = &place;
    return mkdtemp(place.folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    const struct place *place = *state;
    char command[128];

    snprintf(command, sizeof command, "rm -rf '%s'", place->folder);
    return system(command);
}

static void enter(const struct place *place, char **argv)
{
    static const char *const unwanted[] = {"PARLEY_CONFIG", "PARLEY_STORE",    "PARLEY_POLICIES",
                                           "PARLEY_BOT",    "PARLEY_PROVIDER", "PARLEY_MODEL",
                                           "PARLEY_LOG",    "NO_COLOR"};
    for (size_t i = 0; i < sizeof unwanted / sizeof *unwanted; i++)
        unsetenv(unwanted[i]);
    setenv("TERM", "xterm", 1);
    setenv("LC_ALL", "C.UTF-8", 1);
    if (chdir(place->folder) == 0)
        execv(place->program, argv);
    _exit(127);
}

// parley with the words given, the last of which is NULL.
static void start(void **state, struct terminal *t, ...)
{
    const struct place *place = *state;
    char name[] = "parley";
    char *argv[ARGUMENTS_MAX + 2] = {name};
    struct winsize size = {.ws_row = 50, .ws_col = 200};
    va_list ap;

    if (!*place->program)
        skip();
    va_start(ap, t);
    for (size_t i = 1; i <= ARGUMENTS_MAX && (argv[i] = va_arg(ap, char *)); i++)
        ;
    va_end(ap);
    *t = (struct terminal){.shown = BUF_INIT(SHOWN_MAX)};
    t->pid = forkpty(&t->fd, NULL, NULL, &size);
    if (t->pid < 0 && errno == ENOENT)
        skip();  // there are no pseudo-terminals here, as in a bare chroot
    assert_true(t->pid >= 0);
    if (t->pid == 0)
        enter(place, argv);
    assert_int_equal(tcgetattr(t->fd, &t->found), 0);
}

// False at the end of what the program shows.
static bool read_more(struct terminal *t)
{
    struct pollfd fd = {.fd = t->fd, .events = POLLIN};
    char piece[4096];

    int ready = poll(&fd, 1, STUCK_MS);
    if (ready == 0)
        fail_msg("stuck after: %.*s", SLICE_FMT(buf_slice(&t->shown)));
    ssize_t n = read(t->fd, piece, sizeof piece);
    if (n <= 0)
        return false; // EIO: the other end is closed
    buf_add(&t->shown, piece, (size_t)n);
    assert_true(buf_ok(&t->shown));
    return true;
}

static bool look_for(struct terminal *t, const char *text)
{
    size_t left = t->shown.len - t->at;
    const char *found = left ? memmem(t->shown.ptr + t->at, left, text, strlen(text)) : NULL;

    if (found)
        t->at = (size_t)(found - t->shown.ptr) + strlen(text);
    return found != NULL;
}

static void sees(struct terminal *t, const char *text)
{
    while (!look_for(t, text))
        if (!read_more(t))
            fail_msg("'%s' never came after: %.*s", text, SLICE_FMT(buf_slice(&t->shown)));
}

static void types(struct terminal *t, const char *keys)
{
    size_t len = strlen(keys);
    assert_int_equal(write(t->fd, keys, len), len);
}

static void says(struct terminal *t, const char *line)
{
    sees(t, "%]>");
    types(t, line);
    types(t, "\r");
}

// The program ends; returns its exit status, or -1 if a signal ended it.
static int ends(struct terminal *t)
{
    int status = 0;

    while (read_more(t))
        ;
    assert_int_equal(waitpid(t->pid, &status, 0), t->pid);
    close(t->fd);
    buf_release(&t->shown);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_chat_pty__greets_and_remembers(void **state)
{
    struct terminal t;

    start(state, &t, NULL);
    sees(&t, "Hello · scripted/scripted · /help lists commands");
    sees(&t, "not from a language model");
    says(&t, "My name is Ann.");
    sees(&t, "Nice to meet you, Ann!");
    says(&t, "What is my name?");
    sees(&t, "Your name is Ann.");
    says(&t, "/bye");
    assert_int_equal(ends(&t), 0);

    start(state, &t, "chat", "-c", NULL);
    sees(&t, "going on after 2 turns");
    says(&t, "What is my name?");
    sees(&t, "Your name is Ann.");
    says(&t, "exit");
    assert_int_equal(ends(&t), 0);
}

static void test_chat_pty__edits_a_line(void **state)
{
    struct terminal t;

    start(state, &t, "chat", NULL);
    says(&t, "My nme is Bob.\033[D\033[D\033[D\033[D\033[D\033[D\033[D\033[D\033[D\033[Da");
    sees(&t, "Nice to meet you, Bob!");
    says(&t, "What is my name?");
    sees(&t, "Your name is Bob.");
    sees(&t, "%]>");
    types(&t, "\033[A\r"); // the line before
    sees(&t, "Your name is Bob.");
    says(&t, "/hel\t"); // Tab completes
    sees(&t, "this list");
    says(&t, "quit");
    assert_int_equal(ends(&t), 0);
}

static void test_chat_pty__message_of_several_lines(void **state)
{
    struct terminal t;

    start(state, &t, "chat", NULL);
    says(&t, "\"\"\"");
    sees(&t, "...");
    types(&t, "some lines\r");
    sees(&t, "...");
    types(&t, "My name is Cleo.\"\"\"\r");
    sees(&t, "Nice to meet you, Cleo!");
    says(&t, "/history");
    sees(&t, "user: some lines\r\nMy name is Cleo.");
    says(&t, "/bye");
    assert_int_equal(ends(&t), 0);
}

static void test_chat_pty__pasted_lines_are_one_message(void **state)
{
    struct terminal t;

    start(state, &t, "chat", NULL);
    sees(&t, "\033[?2004h"); // the terminal is asked to bracket what is pasted
    sees(&t, "%]>");
    types(&t, "\033[200~first\rsecond\t\001\033[A\rthird\033[201~");
    sees(&t, "third");
    types(&t, " and typed\r");
    sees(&t, "\033[?2004l");
    says(&t, "/history");
    sees(&t, "user: first\r\nsecond\tA\r\nthird and typed\r\n");
    says(&t, "/sessions");
    sees(&t, " 1 "); // one turn
    says(&t, "/bye");
    assert_int_equal(ends(&t), 0);
}

static void test_chat_pty__interrupt_keeps_what_came(void **state)
{
    struct terminal t;

    start(state, &t, "chat", "--set", "providers.scripted.delay_ms=300", NULL);
    says(&t, "Tell me a long story.");
    sees(&t, "\r\n"); // the end of the line that was typed
    sees(&t, "\""); // in the first words of the reply
    types(&t, "\003");
    sees(&t, "stopped; what came is kept");
    says(&t, "/history");
    sees(&t, "cut, user");
    sees(&t, "user: Tell me a long story.");
    sees(&t, "assistant: ");
    says(&t, "/bye");
    assert_int_equal(ends(&t), 0);
}

static void test_chat_pty__interrupt_and_end_at_the_prompt(void **state)
{
    struct terminal t;

    start(state, &t, "chat", NULL);
    sees(&t, "%]>");
    types(&t, "half a line");
    sees(&t, "half a line");
    types(&t, "\003");
    sees(&t, "Ctrl-D or /bye leaves");
    sees(&t, "%]>");
    types(&t, "\004");
    assert_int_equal(ends(&t), 0);
}

static void test_chat_pty__leaves_the_terminal_as_found(void **state)
{
    struct terminal t;
    struct termios left;

    start(state, &t, "chat", NULL);
    says(&t, "hello");
    sees(&t, "%]>");
    types(&t, "/bye\r");
    sees(&t, "/bye");
    int status = 0;
    assert_int_equal(waitpid(t.pid, &status, 0), t.pid);
    assert_int_equal(tcgetattr(t.fd, &left), 0);
    assert_int_equal(left.c_lflag, t.found.c_lflag);
    assert_int_equal(left.c_iflag, t.found.c_iflag);
    assert_int_equal(left.c_oflag, t.found.c_oflag);
    close(t.fd);
    buf_release(&t.shown);
}

static void test_chat_pty__killed_and_continued(void **state)
{
    struct terminal t;

    start(state, &t, "chat", "--user", "kill", "--set", "providers.scripted.delay_ms=300", NULL);
    says(&t, "Keep this sentence.");
    sees(&t, "\r\n");
    sees(&t, "\"");
    kill(t.pid, SIGKILL);
    assert_int_equal(ends(&t), -1);

    start(state, &t, "chat", "-c", "--user", "kill", NULL);
    says(&t, "/history");
    sees(&t, "interrupted");
    sees(&t, "user: Keep this sentence.");
    says(&t, "My name is Dan.");
    sees(&t, "Nice to meet you, Dan!");
    says(&t, "/bye");
    assert_int_equal(ends(&t), 0);
}

static void test_chat_pty__failure_does_not_end_it(void **state)
{
    struct terminal t;

    start(state, &t, "chat", "--set", "providers.scripted.status=400", NULL);
    says(&t, "hello");
    sees(&t, "parley: scripted (HTTP 400)");
    says(&t, "/nope");
    sees(&t, "there is no /nope");
    says(&t, "/bye");
    assert_int_equal(ends(&t), 0);
}

// Two terminals are two devices, where a bot goes on on one at a time.
static void test_chat_pty__two_terminals(void **state)
{
    const struct place *place = *state;
    struct terminal one, other;
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s/solo.lua", place->folder);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs("return { devices = { one_active = true } }\n", f) >= 0);
    assert_int_equal(fclose(f), 0);
    start(state, &one, "chat", "--policies", ".", "--bot", "solo", NULL);
    says(&one, "My name is Ann.");
    sees(&one, "Nice to meet you, Ann!");
    start(state, &other, "chat", "-c", "--policies", ".", "--bot", "solo", NULL);
    sees(&other, "In use on another device, terminal pts/");
    says(&other, "What is my name?");
    sees(&other, "is in use on device \"terminal pts/");
    says(&other, "/here");
    sees(&other, "Going on here.");
    sees(&one, "this session goes on on device terminal pts/");  // while it waits at its prompt
    says(&other, "What is my name?");
    sees(&other, "Your name is Ann.");
    says(&one, "Hello?");
    sees(&one, "moved to device \"terminal pts/");
    says(&one, "/bye");
    assert_int_equal(ends(&one), 0);
    says(&other, "/bye");
    assert_int_equal(ends(&other), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chat_pty__greets_and_remembers),
        cmocka_unit_test(test_chat_pty__edits_a_line),
        cmocka_unit_test(test_chat_pty__message_of_several_lines),
        cmocka_unit_test(test_chat_pty__pasted_lines_are_one_message),
        cmocka_unit_test(test_chat_pty__interrupt_keeps_what_came),
        cmocka_unit_test(test_chat_pty__interrupt_and_end_at_the_prompt),
        cmocka_unit_test(test_chat_pty__leaves_the_terminal_as_found),
        cmocka_unit_test(test_chat_pty__killed_and_continued),
        cmocka_unit_test(test_chat_pty__failure_does_not_end_it),
        cmocka_unit_test(test_chat_pty__two_terminals),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
