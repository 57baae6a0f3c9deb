// SPDX-License-Identifier: MIT
// The contract of stores, held by the SQLite store.
#include "contract/contract.h"

#include <unistd.h>

static void contract_url(char *out, size_t size)
{
    char folder[] = "/tmp/parley-contract-XXXXXX";
    assert_non_null(mkdtemp(folder));
    snprintf(out, size, "sqlite:%s/store.db", folder);
}

static void contract_clean(const char *url)
{
    static const char *const ends[] = {"", "-wal", "-shm", "-lock"};
    char name[300];
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "%s%s", strchr(url, ':') + 1, ends[i]);
        unlink(name);
    }
    *strrchr(name, '/') = 0;
    assert_int_equal(rmdir(name), 0);
}

int main(void)
{
    return contract_run();
}
