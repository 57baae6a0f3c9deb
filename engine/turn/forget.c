// SPDX-License-Identifier: MIT
// forget.c: who was erased, by this process or another, is forgotten in memory: sessions, recall
// indexes, what is remembered and masks go as soon as nobody has them, and turns under way are
// stopped. What they still try to write, the vault and the store refuse with E_ERASED. Looked for
// before each job.
#include "turn/book.h"
#include "turn/mask.h"

void erased_seen(struct worker *w)
{
    struct vault_erasure e;
    while (vault_erasures(w->env.vault, w->erasures_seen, &e, 1))
        w->erasures_seen++;
}

// Stopping may end a run; the list is walked from the start until nothing new is to be stopped.
static void stop_turns(struct worker *w, const char *partition)
{
    for (struct run *run = w->runs; run;) {
        bool sees = run->job->verb == JOB_SEND || run->watching || run->joined_to;
        bool theirs = sees && strcmp(run->partition, partition) == 0;
        if (!theirs || run->stopped) {
            run = run->next;
            continue;
        }
        turn_stop(run);
        run = w->runs;
    }
}

void erased_forget(struct worker *w)
{
    struct vault_erasure e;
    while (vault_erasures(w->env.vault, w->erasures_seen, &e, 1)) {
        w->erasures_seen++;
        lives_forget(w, e.partition);
        shelves_forget(w, e.partition);
        books_forget(w, e.partition);
        user_masks_forget(w, e.partition);
        stop_turns(w, e.partition);
    }
}
