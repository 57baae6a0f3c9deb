// SPDX-License-Identifier: MIT
// parley_process.c: what holds for the whole process, and so is asked for by whoever runs it.
#include "parley_int.h"

#include <sys/prctl.h>
#include <sys/resource.h>

// A sanitizer looks at the process from outside, at its end.
#ifdef PARLEY_SANITIZED
enum { DUMPABLE = 1 };
#else
enum { DUMPABLE = 0 };
#endif

int parley_no_core_dumps(parley_error *error)
{
    const struct rlimit none = {0, 0};
    struct err err = ERR_INIT;
    if (setrlimit(RLIMIT_CORE, &none) == 0 && prctl(PR_SET_DUMPABLE, DUMPABLE, 0, 0, 0) == 0)
        return PARLEY_OK;
    err_set(&err, E_REFUSED, "the system lets core dumps not be forbidden: %m");
    return public_error(error, &err);
}
