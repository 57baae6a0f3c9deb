// SPDX-License-Identifier: MIT
// The contract of stores, held by the memory store.
#include "contract/contract.h"

static void contract_url(char *out, size_t size)
{
    static atomic_uint n;  // each test has a space of its own
    snprintf(out, size, "memory:contract-%u", atomic_fetch_add(&n, 1));
}

static void contract_clean(const char *url)
{
    (void)url;
}

int main(void)
{
    return contract_run();
}
