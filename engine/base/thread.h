// SPDX-License-Identifier: MIT
// thread.h: threads of the library's own.
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include "base/err.h"
#include <pthread.h>

// Starts a thread that takes no signals (they are for the program's own threads) and carries a
// name, at most 15 bytes, for operators' tools. E_NOMEM.
int thread_start(pthread_t *thread, const char *name, void *(*body)(void *arg), void *arg,
                 struct err *err);

#endif
