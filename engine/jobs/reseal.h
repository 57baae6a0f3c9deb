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
//      records of its user were then looked at, and none is under it.
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
    void (*done)(struct reseal *r);   // once, on the loop
    void *user;
    // out
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
    const struct user_key *key;
    struct store_op page, commit;
    struct store_item items[RESEAL_PAGE_ROWS];
    struct vault_request request;
    struct loop_timer timer;
    int64_t waited_ms;
    unsigned tries;
};

// Takes r, zeroed but for the caller's part, until `done`.
void reseal_run(struct reseal *r);

#endif
