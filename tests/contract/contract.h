// SPDX-License-Identifier: MIT
// contract.h: the promises of store.h as tests that every store must pass, unchanged.
//
// A test program defines the two functions that store_fixture.h declares, includes this file, and
// calls contract_run in main. Further stores follow by one such program each.
#ifndef TESTS_CONTRACT_H
#define TESTS_CONTRACT_H

#include "contract/store_fixture.h"

#include "contract/contract_commit.h"
#include "contract/contract_erase.h"
#include "contract/contract_lease.h"
#include "contract/contract_many.h"
#include "contract/contract_scan.h"

#define CONTRACT_TEST(name) \
    cmocka_unit_test_setup_teardown(test_store_contract__##name, bench_up, bench_down)

static int contract_run(void)
{
    const struct CMUnitTest tests[] = {
        CONTRACT_COMMIT_TESTS, CONTRACT_SCAN_TESTS, CONTRACT_LEASE_TESTS, CONTRACT_ERASE_TESTS,
        CONTRACT_MANY_TESTS,
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
