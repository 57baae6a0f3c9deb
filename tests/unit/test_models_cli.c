// SPDX-License-Identifier: MIT
// test_models_cli.c: what `parley models --discover` prints about servers of this test: Lua that
// can be pasted, whatever the servers call their models. Runs the program of
// ${PARLEY_BUILD:-build} in a new folder.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support/loopback.h"

#include <limits.h>
#include <sys/stat.h>

enum { SHOWN_MAX = 1 << 16 };

struct place {
    char folder[64], program[PATH_MAX];
};

static int set_up(void **state)
{
    const char *build = getenv("PARLEY_BUILD");
    struct place *place = calloc(1, sizeof(*place));
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/parley", build ? build : "build");
    if (!realpath(path, place->program))
        place->program[0] = '\0';
    snprintf(place->folder, sizeof(place->folder), "/tmp/parley-models-XXXXXX");
    *state = place;
    return mkdtemp(place->folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    char command[128];

    snprintf(command, sizeof(command), "rm -rf '%s'", place->folder);
    int code = system(command);
    free(place);
    return code;
}

// Appends what `parley ARGUMENTS | filter` prints, standard error with it.
static void run(const struct place *place, const char *arguments, const char *filter,
                struct buf *shown)
{
    char command[PATH_MAX * 3], piece[4096];
    size_t n;

    snprintf(command, sizeof(command), "cd '%s' && ('%s' %s 2>&1) %s", place->folder,
             place->program, arguments, filter);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    while ((n = fread(piece, 1, sizeof(piece), pipe)) > 0)
        buf_add(shown, piece, n);
    pclose(pipe);
    buf_add(shown, "", 1);
    assert_true(buf_ok(shown));
}

// A server with this list, asked for; `command` has a place for its port.
static void show(void **state, const char *list, const char *command, const char *filter,
                 struct buf *shown)
{
    const struct place *place = *state;
    static struct loopback server;
    struct buf answer = BUF_INIT(1 << 16);
    char arguments[PATH_MAX + 512];

    if (!place->program[0])
        skip();
    loopback_http(&answer, 200, "", slice_str(list));
    struct loopback_reply reply = {.bytes = buf_slice(&answer)};
    loopback_start(&server, &reply, 1);
    snprintf(arguments, sizeof(arguments), command, server.port, server.port);
    run(place, arguments, filter, shown);
    loopback_stop(&server);
    buf_release(&answer);
}

static void has(const struct buf *shown, const char *text)
{
    if (!strstr(shown->ptr, text))
        fail_msg("'%s' is not in: %s", text, shown->ptr);
}

static void test_models_cli__prints_what_to_add(void **state)
{
    struct buf shown = BUF_INIT(SHOWN_MAX);

    show(state, "{\"data\":[{\"id\":\"llama3.2:3b\"},{\"id\":\"other\"}]}",
         "models --discover --ports %u", "", &shown);
    has(&shown, "providers = {\n");
    has(&shown, "api = \"openai\", base_url = \"http://127.0.0.1:");
    has(&shown, "model = \"llama3.2:3b\" },\n");
    has(&shown, "--   parley chat --provider local_");
    has(&shown, " --model llama3.2:3b\n");
    buf_release(&shown);
}

static void test_models_cli__strange_names_stay_in_their_string(void **state)
{
    struct buf shown = BUF_INIT(SHOWN_MAX);
    static const char list[] =
        "{\"data\":[{\"id\":\"x\\\" }, evil = { \\u001b]0;title\\u0007 \\\\\\n"
        "os.exit(1) --[[ \\u202e \\u009b31m $(touch here)\"},{\"id\":\"b\\nc\"}]}";

    show(state, list, "models --discover --ports %u", "", &shown);
    for (const char *c = shown.ptr; *c; c++)
        if (*c != '\n' && (*c < ' ' || *c > '~'))
            fail_msg("byte 0x%02x in: %s", (unsigned char)*c, shown.ptr);
    assert_null(strstr(shown.ptr, "--model"));  // no shell takes it for one word
    assert_null(strstr(shown.ptr, "\nos.exit"));
    buf_clear(&shown);
    show(state, list, "models --discover --ports %u",
         "| lua5.4 -e 'local t = load(\"return {\" .. io.read(\"a\") .. \"}\", \"\", \"t\", {})() "
         "local n, p = 0 for _, v in pairs(t.providers) do n, p = n + 1, v end "
         "print(n, p.model == \"x\\\" }, evil = { \\u{1b}]0;title\\7 \\\\\\nos.exit(1) --[[ "
         "\\u{202e} \\u{9b}31m $(touch here)\")'",
         &shown);
    assert_string_equal(shown.ptr, "1\ttrue\n");
    buf_release(&shown);
}

// Pasted into a parley.lua, the server is there already, and nothing is to be added.
static void test_models_cli__what_is_printed_can_be_pasted(void **state)
{
    const struct place *place = *state;
    struct buf shown = BUF_INIT(SHOWN_MAX);
    char command[PATH_MAX + 256];

    snprintf(command, sizeof(command),
             "models --discover --ports %%u >found; (echo 'return {'; cat found; echo '}') "
             ">parley.lua; '%s' models --discover --ports %%u; rm parley.lua",
             place->program);
    show(state, "{\"data\":[{\"id\":\"m\"}]}", command, "", &shown);
    has(&shown, "-- There already, as provider \"local_");
    assert_null(strstr(shown.ptr, "providers ="));
    buf_release(&shown);
}

static void test_models_cli__json(void **state)
{
    struct buf shown = BUF_INIT(SHOWN_MAX);

    show(state, "{\"data\":[{\"id\":\"m\\u001b\"}]}", "models --discover --ports %u -o json", "",
         &shown);
    has(&shown, "\"models\":[\"m\\u001b\"]");
    buf_release(&shown);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_models_cli__prints_what_to_add),
        cmocka_unit_test(test_models_cli__strange_names_stay_in_their_string),
        cmocka_unit_test(test_models_cli__what_is_printed_can_be_pasted),
        cmocka_unit_test(test_models_cli__json),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
