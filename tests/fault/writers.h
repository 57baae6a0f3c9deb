// SPDX-License-Identifier: MIT
// writers.h: writers as processes of their own, that the oracle's process starts, kills and stops.
#ifndef TESTS_FAULT_WRITERS_H
#define TESTS_FAULT_WRITERS_H

#include "fault/oracle.h"

struct writer {
    pid_t pid;
    int notes, stop;
};

static inline struct writer writer_start(const struct place *place, struct writer_plan *plan,
                                         bool stoppable)
{
    struct writer w;
    int notes[2], stop[2] = {-1, -1};
    fflush(NULL);
    if (pipe(notes) != 0 || (stoppable && pipe(stop) != 0) || (w.pid = fork()) < 0)
        give_up("writer: %s", strerror(errno));
    if (w.pid == 0) {
        close(notes[0]);
        plan->notes = notes[1];
        plan->stop = stop[0];
        writer_run(place, plan);
    }
    close(notes[1]);
    if (stoppable)
        close(stop[0]);
    w.notes = notes[0];
    w.stop = stop[1];
    return w;
}

static inline void writer_kill(struct writer *w, struct oracle *o)
{
    bool ready = true;
    int status;
    kill(w->pid, SIGKILL);
    waitpid(w->pid, &status, 0);
    while (oracle_listen(o, w->notes, -1, &ready))
        continue;
    close(w->notes);
}

static inline void writer_stop(struct writer *w, struct oracle *o)
{
    bool ready = true;
    int status;
    if (write(w->stop, "", 1) != 1)
        give_up("a writer that should live is gone");
    while (oracle_listen(o, w->notes, -1, &ready))
        continue;
    close(w->notes);
    close(w->stop);
    waitpid(w->pid, &status, 0);
    if (status != 0)
        give_up("a writer that should live ended with %d", status);
}

#endif
