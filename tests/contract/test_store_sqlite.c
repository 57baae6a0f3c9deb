// SPDX-License-Identifier: MIT
// The contract of stores, held by the SQLite store.
#include "contract/contract.h"
#include "contract/sqlite_files.h"

int main(void)
{
    return contract_run();
}
