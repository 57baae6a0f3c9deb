// SPDX-License-Identifier: MIT
// test_talk.c: plays the dialogues of tests/talk/*.talk against the engine, in simulated time and
// over a simulated wire. README.md beside this file tells the format; talk_file.h has the table of
// words.
//
// A dialogue that names no provider is played twice, once with each API. With files as arguments
// only those are played, and what happened in each is printed.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "talk_check.h"

#include <dirent.h>

enum { CASES_MAX = 512, FILE_BYTES_MAX = 1 << 20 };
static const char FOLDER[] = "tests/talk";

struct talk_case {
    char name[PATH_MAX_BYTES], path[PATH_MAX_BYTES];
    const char *provider;
    bool loud;
};

static bool read_whole(const char *path, struct buf *out)
{
    FILE *f = fopen(path, "rb");

    while (f && !feof(f) && !ferror(f) && buf_ok(out)) {
        char *to = buf_reserve(out, 64 << 10);
        if (to)
            buf_grew(out, fread(to, 1, 64 << 10, f));
    }
    bool ok = f && !ferror(f) && buf_ok(out);
    if (f)
        fclose(f);
    return ok;
}

static void play_case(void **state)
{
    const struct talk_case *c = *state;
    static char why[4096]; // outlives the failure
    struct buf file = BUF_INIT(FILE_BYTES_MAX);
    struct talk *t = mem_alloc(sizeof(*t));

    assert_non_null(t);
    bool ok = talk_begin(t, c->path, c->provider) &&
              (read_whole(c->path, &file) || talk_fail(t, 0, "it cannot be read")) &&
              talk_play(t, buf_slice(&file));
    if (c->loud || !ok)
        printf("# %s\n%s", c->name, t->story.ptr ? t->story.ptr : "");
    snprintf(why, sizeof(why), "%s", t->why.ptr ? t->why.ptr : c->path);
    talk_end(t);
    mem_free(t);
    buf_release(&file);
    if (!ok)
        fail_msg("%s", why);
}

// ---- a runner that cannot fail shows nothing: each of these must, and say why

static const struct {
    const char *dialogue, *why;
} MUST_FAIL[] = {
    {"user: hi\nmodel: Hello.\nreply: Goodbye.\n", "expected: Goodbye."},
    {"user: hi\nsent: user: ho\nmodel: Hello.\n", "another message was sent"},
    {"user: hi\nsent: user: hi\nsent: user: ho\nmodel: Hello.\n", "(no more messages)"},
    {"user: hi\nmodel: Hello.\nsent: user: hi\n", "before the model: line"},
    {"user: hi\nmodel: A.\nuser: ho\nsent: user: hi\nmodel: B.\n",
     "more messages than sent: lines"},
    {"user: hi\nmodel: Hello.\nsent: nothing\n", "sent all the same"},
    {"user: hi\nbody: {}\nmodel: Hello.\n", "another body was sent"},
    {"user: hi\n", "no model: line is left"},
    {"user: hi\nmodel: Hello.\nmodel: Hello again.\n", ":3: nobody asked the model"},
    {"user: hi\nmodel: !status 400\n", "no status: or error: line expects that"},
    {"user: hi\nmodel: Hello.\nstatus: cut\n", "expected: cut"},
    {"user: hi\nmodel: Hello.\nstopped: refusal\n", "expected: refusal"},
    {"user: hi\nmodel: Hello. !stop max_tokens\nstatus: cut\n", "no warning: line expects"},
    {"user: hi\nmodel: Hello.\nwarning: beware\n", "no such warning"},
    {"user: hi\nmodel: Hello.\nerror: refused\n", "(no error)"},
    {"user: hi\nmodel: Hello.\nlog: help\n", "the log does not say that"},
    {"user: hi\nmodel: Hello.\nledger: user assistant(cut)\n", "actual:   user assistant"},
    {"user: hi\nmodel: Hello.\ntokens: in 11\n", "actual:   10"},
    {"user: hi\nmodel: Hello.\nusage: calls 2\n", "actual:   1"},
    {"user: hi\nmodel: Hello.\nwindow: limit 5\n", "expected: 5"},
    {"user: hi\nmodel: Hello.\nturn: 2\n", "expected: 2"},
    {"user: hi\nmodel: Hello.\nfrom: nobody\n", "expected: nobody"},
    {"user: hi\nmodel: Hello.\nsystem: Be kind.\n", "expected: Be kind."},
    {"user: hi\nmodel: Hello.\nuser: ho\nmodel: Yes.\nsession: new\n", "is not a new one"},
    {"user: hi\nmodel: Hello.\nnew\nuser: ho\nmodel: Yes.\nsession: same\n", "another session"},
    {"user: hi\nmodel: Hello. !pause\n", "never came to an end"},
    {"user: hi\nmodel: Hello. !explode\n", ":2: no such order"},
    {"user: hi\nmodle: Hello.\n", ":2: no line begins with 'modle' (did you mean model?)"},
    {"user hi\n", ":1: a colon is missing"},
    {"user: hi \\q\n", ":1: an escape is one of"},
    {"reply: Hello.\n", "nothing has happened yet"},
    {"# nothing\n", "nothing happens in this dialogue"},
};

static void test_talk__the_runner_can_fail(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(MUST_FAIL) / sizeof(MUST_FAIL[0]); i++) {
        struct talk *t = mem_alloc(sizeof(*t));
        assert_non_null(t);
        assert_true(talk_begin(t, "dialogue", "anthropic"));
        bool ok = talk_play(t, slice_str(MUST_FAIL[i].dialogue));
        bool told = t->why.ptr && strstr(t->why.ptr, MUST_FAIL[i].why);
        if (ok || !told)
            print_message("# must fail with '%s':\n%s# it says: %s\n", MUST_FAIL[i].why,
                          MUST_FAIL[i].dialogue, t->why.ptr ? t->why.ptr : "(nothing)");
        talk_end(t);
        mem_free(t);
        assert_false(ok);
        assert_true(told);
    }
}

// ---- the cases

static bool names_provider(const char *path)
{
    struct buf file = BUF_INIT(FILE_BYTES_MAX);
    bool named = read_whole(path, &file) && file.ptr &&
                 (strncmp(file.ptr, "provider ", 9) == 0 || strstr(file.ptr, "\nprovider "));

    buf_release(&file);
    return named;
}

static size_t add_cases(struct talk_case *cases, size_t n, const char *path, bool loud)
{
    static const char *const providers[] = {"anthropic", "openai"};
    bool named = names_provider(path);
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;

    for (size_t i = 0; i < (named ? 1 : 2) && n < CASES_MAX; i++, n++) {
        struct talk_case *c = &cases[n];
        snprintf(c->path, sizeof(c->path), "%s", path);
        snprintf(c->name, sizeof(c->name), "talk__%.*s%s%s", (int)(strlen(name) - strlen(".talk")),
                 name, named ? "" : "__", named ? "" : providers[i]);
        c->provider = providers[i];
        c->loud = loud;
    }
    return n;
}

static int is_dialogue(const struct dirent *d)
{
    const char *dot = strrchr(d->d_name, '.');

    return dot && dot > d->d_name && strcmp(dot, ".talk") == 0;
}

static size_t all_cases(struct talk_case *cases)
{
    struct dirent **files;
    char path[PATH_MAX_BYTES];
    size_t n = 0;
    int len = scandir(FOLDER, &files, is_dialogue, alphasort);

    for (int i = 0; i < len; i++) {
        snprintf(path, sizeof(path), "%s/%s", FOLDER, files[i]->d_name);
        n = add_cases(cases, n, path, false);
        free(files[i]);
    }
    if (len >= 0)
        free(files);
    return n;
}

int main(int argc, char **argv)
{
    static struct talk_case cases[CASES_MAX];
    static struct CMUnitTest tests[CASES_MAX + 1];
    size_t n = 0;

    setenv("ANTHROPIC_API_KEY", "test-key", 1);
    setenv("OPENAI_API_KEY", "test-key", 1);
    for (int i = 1; i < argc; i++)
        n = add_cases(cases, n, argv[i], true);
    if (argc < 2)
        n = all_cases(cases);
    if (n == 0) {
        fprintf(stderr, "no dialogue in %s: run this from the root of the project\n", FOLDER);
        return 1;
    }
    tests[0] = (struct CMUnitTest)cmocka_unit_test(test_talk__the_runner_can_fail);
    for (size_t i = 0; i < n; i++)
        tests[i + 1] = (struct CMUnitTest){cases[i].name, play_case, NULL, NULL, &cases[i]};
    return _cmocka_run_group_tests("talk", tests, n + 1, NULL, NULL);
}
