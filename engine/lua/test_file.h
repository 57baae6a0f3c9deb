// SPDX-License-Identifier: MIT
// test_file.h: a policy's own tests: NAME_test.lua, loaded into a sandbox of its own and run one by
// one. What they are written with (parley.test) is scripts/test.lua; an engine is behind the host.
//
// Each test is one call of the sandbox, within a budget: one that loops for ever fails like any
// other, with file and line. What a file keeps in its own variables is there in its later tests.
// Owned by one thread; the host calls back on it, while one of its functions runs.
#ifndef LUA_TEST_FILE_H
#define LUA_TEST_FILE_H

#include "llm/llm.h"
#include "lua/lua_room.h"
#include "model/session.h"

enum { TESTS_MAX = 1000, TEST_NAME_BYTES = 160 };

// One message of a test; borrowed for the call. `session`: "" begins a new one, TEST_SESSION_NEWEST
// goes on in the newest, as the policy's `resume` says.
#define TEST_SESSION_NEWEST "newest"
struct test_message {
    const char *user, *context, *session;
    struct slice text;
};
// How its turn ended. The bufs are the test file's, empty when the host gets them.
struct test_turn {
    char session[ID_TEXT_BYTES];
    uint32_t turn;               // 0: nothing was accepted
    char status[16];             // "refused" where nothing was
    char error[ERR_MESSAGE_BYTES];
    struct buf reply, warnings;  // warnings: a line each
    struct buf greeting;         // of a session that this turn began, as the one before was too old
};
struct test_host {
    // A turn from its message to its end, with all that follows it. Whoever answers as the model
    // calls test_file_answer meanwhile.
    int (*say)(void *user, const struct test_message *message, struct test_turn *turn,
               struct err *err);
    // Lets time pass; may call test_file_answer, too. E_REFUSED: it is too long.
    int (*wait)(void *user, int64_t ms, struct err *err);
    void *user;
};

struct test_file;
// Reads and loads the file; host is copied. E_POLICY as file:line: message.
int test_file_new(struct test_file **out, const char *path, const struct test_host *host,
                  struct err *err);
void test_file_free(struct test_file *f);  // NULL allowed
size_t test_file_len(const struct test_file *f);
const char *test_file_name(const struct test_file *f, size_t i);  // what test i is called
int test_file_line(const struct test_file *f, size_t i);
// E_OK: it passed. E_POLICY: it failed, err says where and what; E_NOMEM.
int test_file_run(struct test_file *f, size_t i, struct err *err);
// What the test's model says to a request; background: one that no user waits for. Appends to out.
int test_file_answer(struct test_file *f, const struct llm_request *request, bool background,
                     struct buf *out, struct err *err);

#endif
