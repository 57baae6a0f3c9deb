// SPDX-License-Identifier: MIT
// sqlite_files.h: the contract_url and contract_clean of the SQLite store: a new folder each time,
// on a disk of memory where there is one and SQLITE_FILES_LIGHT is defined: for faults that no real
// disk has a part in.
#ifndef TESTS_SQLITE_FILES_H
#define TESTS_SQLITE_FILES_H

#include "contract/store_fixture.h"

#include <unistd.h>

static void contract_url(char *out, size_t size)
{
    char folder[40] = "/tmp/parley-store-XXXXXX";
#ifdef SQLITE_FILES_LIGHT
    if (access("/dev/shm", W_OK) == 0)
        snprintf(folder, sizeof folder, "/dev/shm/parley-store-XXXXXX");
#endif
    assert_non_null(mkdtemp(folder));
    snprintf(out, size, "sqlite:%s/store.db", folder);
}

static inline const char *path_of(const char *url)
{
    return strchr(url, ':') + 1;
}

static void contract_clean(const char *url)
{
    static const char *const ends[] = {"", "-wal", "-shm", "-lock"};
    char name[300];
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "%s%s", path_of(url), ends[i]);
        unlink(name);
    }
    *strrchr(name, '/') = 0;
    assert_int_equal(rmdir(name), 0);
}

#endif
