// SPDX-License-Identifier: MIT
// sqlite_calls.h: the functions of SQLite's that can fail, in front of the library's, failing to
// order. Include it in one file of a program. Any thread.
#ifndef TESTS_SQLITE_CALLS_H
#define TESTS_SQLITE_CALLS_H

#include <dlfcn.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>

static struct {
    pthread_mutex_t lock;
    long countdown;    // the call that fails; 0: none
    long steps_after;  // then the step that fails too; 0: none
    bool failed;       // the first failure happened …
    bool lasting;      // … and all that follows fails
    int code, code_after;  // code_after: of that step, if it is another
} plan = {.lock = PTHREAD_MUTEX_INITIALIZER};

static inline void plan_failure(long countdown, long steps_after, bool lasting, int code)
{
    pthread_mutex_lock(&plan.lock);
    plan.countdown = countdown;
    plan.steps_after = steps_after;
    plan.lasting = lasting;
    plan.failed = false;
    plan.code_after = 0;
    if (code)  // else as it was, for what is still to be judged
        plan.code = code;
    pthread_mutex_unlock(&plan.lock);
}

static inline bool has_failed(void)
{
    pthread_mutex_lock(&plan.lock);
    bool failed = plan.failed;
    pthread_mutex_unlock(&plan.lock);
    return failed;
}

// SQLITE_OK, or what the call is to fail with.
static inline int fate(bool step)
{
    pthread_mutex_lock(&plan.lock);
    bool now = plan.failed && plan.lasting;
    int code = plan.code;
    if (plan.failed && step && plan.steps_after && --plan.steps_after == 0) {
        now = true;
        code = plan.code_after ? plan.code_after : code;
    }
    if (plan.countdown && --plan.countdown == 0)
        now = plan.failed = true;
    code = now ? code : SQLITE_OK;
    pthread_mutex_unlock(&plan.lock);
    return code;
}

// Stands before SQLite's function of this name; `fail` runs where it fails.
#define CALL(type, name, step, params, args, fail) \
    type name params \
    { \
        static type(*real) params; \
        int rc = fate(step); \
        if (rc != SQLITE_OK) { \
            fail; \
            return rc; \
        } \
        if (!real) \
            *(void **)&real = dlsym(RTLD_NEXT, #name); \
        return real args; \
    }
CALL(int, sqlite3_step, true, (sqlite3_stmt *st), (st), )
CALL(int, sqlite3_open_v2, false, (const char *name, sqlite3 **db, int flags, const char *vfs),
     (name, db, flags, vfs), *db = NULL)
CALL(int, sqlite3_prepare_v2, false,
     (sqlite3 *db, const char *sql, int len, sqlite3_stmt **st, const char **tail),
     (db, sql, len, st, tail), *st = NULL)
CALL(int, sqlite3_prepare_v3, false,
     (sqlite3 *db, const char *sql, int len, unsigned flags, sqlite3_stmt **st, const char **tail),
     (db, sql, len, flags, st, tail), *st = NULL)
CALL(int, sqlite3_exec, false,
     (sqlite3 *db, const char *sql, int (*row)(void *, int, char **, char **), void *arg,
      char **why), (db, sql, row, arg, why), )
CALL(int, sqlite3_wal_checkpoint_v2, false,
     (sqlite3 *db, const char *name, int mode, int *log_len, int *done),
     (db, name, mode, log_len, done), )
CALL(int, sqlite3_backup_step, false, (sqlite3_backup *b, int pages), (b, pages), )

sqlite3_backup *sqlite3_backup_init(sqlite3 *to, const char *to_name, sqlite3 *from,
                                    const char *from_name)
{
    static sqlite3_backup *(*real)(sqlite3 *, const char *, sqlite3 *, const char *);
    if (fate(false) != SQLITE_OK)
        return NULL;
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "sqlite3_backup_init");
    return real(to, to_name, from, from_name);
}

#endif
