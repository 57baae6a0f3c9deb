// SPDX-License-Identifier: MIT
// session.h: find, list and make sessions. What resuming means: resume.h.
//
// Finding is asynchronous over the store; ops complete on the op's loop, never inside the call.
#ifndef SESSION_SESSION_H
#define SESSION_SESSION_H

#include "base/loop.h"
#include "base/rand.h"
#include "model/session.h"
#include "session/resume.h"
#include "store/store.h"
#include "vault/vault.h"

struct session_env {
    struct store *store;
    struct vault *vault;
    struct loop *loop;
    const struct clock *clock;
    const struct rand *rand;
};

// A fresh head: new id, active, nothing stored. context is copied (E_USAGE when too long).
int session_head_new(struct session_head *out, const struct session_env *env, const char *partition,
                     const char *bot, const char *context, struct err *err);

struct session_list {
    // in
    const struct session_env *env;
    char partition[PARTITION_BYTES];
    const struct user_key *key;            // NULL: none of them can be read
    uint32_t limit;                        // 0: SESSION_LIST_MAX
    // Whether this head is known already, as it is in this version, and is not to be read; NULL:
    // none is. Called for every session.
    bool (*known)(void *user, struct slice id, uint64_t version);
    void (*done)(struct session_list *l);
    void *user;
    // out: newest activity first, quarantined ones last; owned, released by session_list_release
    int code;
    struct err err;
    struct session_head *heads;
    uint32_t heads_len, heads_cap;
    uint32_t damaged;                      // heads that could not be read
    // private
    struct store_op op;
    struct buf after;
};
enum { SESSION_LIST_MAX = 10000 };
void session_list(struct session_list *l);
void session_list_release(struct session_list *l);

struct session_find {
    // in
    const struct session_env *env;
    char partition[PARTITION_BYTES];
    const struct user_key *key;            // borrowed
    // This session, by its id or how that begins (id_begins); or empty: the newest of bot and
    // context.
    char id[ID_TEXT_BYTES];
    char bot[BOT_NAME_BYTES];
    char context_hash[VAULT_DIGEST_BYTES];
    void (*done)(struct session_find *f);
    void *user;
    // out
    // E_OK, E_NOT_FOUND, E_STORE, E_CORRUPT (quarantined), E_USAGE (several ids begin so: which)
    int code;
    struct err err;
    struct session_head head;              // the caller's now: move it out or release it
    uint64_t pointer_version;              // of that record, when it was asked; 0: there is none
    // The record of which session is the newest could not be read: `head` is the newest of bot and
    // context that can be.
    bool searched;
    // private
    struct store_op op;
    struct buf key_text;
    struct session_list list;
};
void session_find(struct session_find *f);

#endif
