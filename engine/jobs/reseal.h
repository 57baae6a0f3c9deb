// SPDX-License-Identifier: MIT
// reseal.h: the rotation of users' data keys, as one job: new keys for all, records sealed anew
// under them, older keys destroyed.
//
//   vault_rotate ─▶ all have new keys ─▶ other processes know ─▶ each user who has older keys:
//        page ─▶ what older keys sealed, sealed anew: one commit ─▶ next page ─▶ vault_retire
//
// Resumable: what is done stays done, in whatever process, and a job that is begun again goes on
// where the keyring and the records say. It works on a page of one user at a time, between the
// turns of all others; a record that a turn changed meanwhile is read again. Turns go on.
//
// Invariants:
//   1. An older key is destroyed only after every process knows of the newer one, and after all
//      records of its user were then looked at, and none is under it. If another process begins the
//      next rotation meanwhile, what was looked at says nothing of it: the job ends (E_BUSY).
//   2. What does not open is left as it is, and its key with it: `left` counts these.
// One thread: the loop's.
#ifndef JOBS_RESEAL_H
#define JOBS_RESEAL_H

#include "store/store.h"
#include "vault/vault.h"

enum { RESEAL_PAGE_ROWS = STORE_BATCH_ITEMS_MAX };

struct reseal {
    // The caller's, borrowed until done.
    struct store *store;
    struct vault *vault;
    struct loop *loop;
    bool begin;                       // a new rotation, if none is under way; else only goes on
    bool count_only;                  // changes nothing: counts what is under older keys
    bool keep;                        // older keys are not destroyed: another store may need them
    int64_t wait_ms;                  // for other processes, at most; then E_BUSY
    uint32_t pages_max;               // in one pass; 0: all there are
    const bool *stop;                 // NULL: never; set there, it has the pass end soon
    void (*done)(struct reseal *r);   // once a pass, on the loop
    void *user;
    // out
    bool more;                        // the pass is over, the job is not: reseal_go_on
    int code;                         // E_OK; E_BUSY: run it again later; E_REFUSED; E_STORE; …
    struct err err;
    uint64_t records;                 // sealed anew or, with count_only, found under older keys
    uint32_t users;                   // whose older keys were looked at
    uint32_t retired;                 // … and destroyed
    uint64_t left;                    // records that do not open
    // private
    struct buf names, after, sealed;
    size_t at;                        // in names
    uint64_t left_before, page_left;
    uint32_t rotation;                // whose older keys may go
    const struct user_key *key;
    struct store_op page, commit;
    struct store_item items[RESEAL_PAGE_ROWS];
    struct vault_request request;
    struct loop_timer timer;
    int64_t waited_ms;
    unsigned tries;
    uint32_t pages;
    void (*step)(struct reseal *r);   // where a pass ended
};

// Takes r, zeroed but for the caller's part, until `done`.
void reseal_run(struct reseal *r);
// The next pass, where `more` was set.
void reseal_go_on(struct reseal *r);
// Frees what a job holds that ended with `more`, and is not gone on with.
void reseal_drop(struct reseal *r);

// The engine's: goes on with a rotation that was broken off, a bounded pass at a time. It begins
// none, and does nothing where several stores are sealed with the keyring: see `keep`.
struct reseal_work;
struct jobs_env;
struct runner_job;
int reseal_work_new(struct reseal_work **out, const struct jobs_env *env, struct err *err);
void reseal_work_free(struct reseal_work *w);  // NULL allowed; no pass may be under way
struct runner_job reseal_job(struct reseal_work *w);

#endif
