// SPDX-License-Identifier: MIT
// The contract of stores, held by a faulty store that has no faults.
#include "contract/contract.h"

static void contract_url(char *out, size_t size)
{
    static atomic_uint n;
    snprintf(out, size, "faulty:fail_at=0;memory:faulty-%u", atomic_fetch_add(&n, 1));
}

static void contract_clean(const char *url)
{
    (void)url;
}

int main(void)
{
    return contract_run();
}
