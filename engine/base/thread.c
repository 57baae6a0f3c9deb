// SPDX-License-Identifier: MIT
// thread.c: see thread.h.
#include "base/thread.h"

#include <signal.h>
#include <string.h>

int thread_start(pthread_t *thread, const char *name, void *(*body)(void *arg), void *arg,
                 struct err *err)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(thread, NULL, body, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc)
        return err_set(err, E_NOMEM, "cannot start a thread: %s: free memory, or raise ulimit -u",
                       strerror(rc));
    pthread_setname_np(*thread, name);
    return E_OK;
}
