// SPDX-License-Identifier: MIT
// mask.c: the masks of the user of a run (ledger/masks.h): read when the user is first met, shared
// by the user's runs, and let go when many others came since.
//
//   mask_prepare ─▶ policy, masks read ─▶ redact ─▶ mask_commit ──E_OK──▶ goes anywhere
//                                           ▲            │
//                                           └─E_CONFLICT─┘ another process gave the numbers first
//
// Originals are in memory while a run of the user is under way; afterwards only those that are
// kept, and none of who was erased.
#include "turn/mask.h"

enum { BOOKS_IDLE_MAX = 1024 };

struct user_masks {
    struct masks *masks;                // owned
    uint32_t refs;
    struct user_masks *newer, *older;   // while nobody has it
    char partition[PARTITION_BYTES];
};

// ---- who has them

static void unlink_idle(struct worker *w, struct user_masks *u)
{
    struct mask_shelf *shelf = &w->masks;
    *(u->newer ? &u->newer->older : &shelf->newest) = u->older;
    *(u->older ? &u->older->newer : &shelf->oldest) = u->newer;
    u->newer = u->older = NULL;
    shelf->idle--;
}

static void drop(struct worker *w, struct user_masks *u)
{
    map_remove(w->masks.by_user, slice_str(u->partition));
    masks_free(u->masks);
    mem_free(u);
}

static int hold(struct worker *w, const char *partition, const struct user_key *key,
                struct user_masks **out, struct err *err)
{
    struct user_masks *u = map_get(w->masks.by_user, slice_str(partition));
    if (u) {
        if (u->refs++ == 0)
            unlink_idle(w, u);
        *out = u;
        return E_OK;
    }
    u = mem_zalloc(sizeof(*u));
    int code = u ? masks_new(&u->masks, w->ledger, partition, key, err) : E_NOMEM;
    if (!code) {
        memcpy(u->partition, partition, sizeof(u->partition));
        code = map_set(w->masks.by_user, slice_str(partition), u, NULL);
    }
    if (code) {
        if (u)
            masks_free(u->masks);
        mem_free(u);
        return err_set(err, E_NOMEM, "out of memory for a user's masks");
    }
    u->refs = 1;
    *out = u;
    return E_OK;
}

void user_masks_release(struct worker *w, struct user_masks *u)
{
    if (!u || --u->refs)
        return;
    if (vault_is_erased(w->env.vault, u->partition)) {
        drop(w, u);
        return;
    }
    struct mask_shelf *shelf = &w->masks;
    mask_book_forget_originals(masks_book(u->masks));
    u->older = shelf->newest;
    *(shelf->newest ? &shelf->newest->newer : &shelf->oldest) = u;
    shelf->newest = u;
    if (++shelf->idle > BOOKS_IDLE_MAX) {
        struct user_masks *oldest = shelf->oldest;
        unlink_idle(w, oldest);
        drop(w, oldest);
    }
}

void user_masks_forget(struct worker *w, const char *partition)
{
    struct user_masks *u = map_get(w->masks.by_user, slice_str(partition));
    if (!u || u->refs)
        return;  // the last who has them drops them
    unlink_idle(w, u);
    drop(w, u);
}

struct user_masks *user_masks_ref(struct user_masks *u)
{
    if (u)
        u->refs++;
    return u;
}

struct mask_book *user_masks_book(const struct user_masks *u)
{
    return u ? masks_book(u->masks) : NULL;
}

void user_masks_free_all(struct worker *w)
{
    while (w->masks.oldest) {
        struct user_masks *u = w->masks.oldest;
        unlink_idle(w, u);
        drop(w, u);
    }
    map_free(w->masks.by_user);
}

void mask_close(struct run *run)
{
    BUG_ON(run->mask_busy);
    user_masks_release(run->w, run->masks);
    run->masks = NULL;
}

// ---- reading them

static void opened(struct ledger_op *op)
{
    struct run *run = op->user;
    run->mask_busy = false;
    if (op->code)
        emit_error(run, op->code, &op->err);
    else
        run->mask_ready(run);
}

static void open_masks(struct run *run, bool originals, void (*then)(struct run *run))
{
    struct err err = ERR_INIT;
    if (hold(run->w, run->partition, run->user_key, &run->masks, &err)) {
        emit_error(run, err.code, &err);
        return;
    }
    mask_book_expire(user_masks_book(run->masks), clock_wall_ms(run->w->env.clock));
    if (masks_loaded(run->masks->masks, originals)) {
        then(run);
        return;
    }
    run->mask_ready = then;
    run->mask_busy = true;
    run->mask_wait.op.done = opened;
    run->mask_wait.op.user = run;
    masks_load(run->masks->masks, originals, &run->mask_wait);
}

void mask_open(struct run *run, void (*then)(struct run *run))
{
    const struct privacy *privacy = &run->policy->info.privacy;
    if (privacy->off || !run->user_key || run->masks)
        then(run);
    else
        open_masks(run, privacy->keep_originals, then);
}

void mask_open_kept(struct run *run, void (*then)(struct run *run))
{
    if (!run->user_key || run->masks)
        then(run);
    else
        open_masks(run, true, then);
}

static void find_policy(struct run *run)
{
    struct policy *policy;
    struct err err = ERR_INIT;
    // Without its file the default rules hold.
    if (policy_host_get(run->w->policies, run->job->bot, &policy, &err) == E_OK) {
        policy_unref(run->policy);
        run->policy = policy;
    }
    run->mask_said(run);
}

void mask_policy(struct run *run, void (*then)(struct run *run))
{
    run->mask_said = then;
    if (policy_host_info(run->w->policies, run->job->bot))
        find_policy(run);
    else
        aside_run(run, find_policy);
}

static void open_now(struct run *run)
{
    mask_open(run, run->mask_ready);
}

void mask_prepare(struct run *run, void (*then)(struct run *run))
{
    run->mask_ready = then;
    mask_policy(run, open_now);
}

struct redact_how mask_how(const struct run *run, enum redact_from from)
{
    const struct policy_info *info = &run->policy->info;
    const struct redactor *redactor = info->redactor ? info->redactor : run->w->env.redactor;
    // A stranger has no masks, and says nothing that is kept.
    return (struct redact_how){.redactor = run->masks ? redactor : NULL,
                               .book = user_masks_book(run->masks),
                               .bot = run->job->bot,
                               .from = from};
}

// ---- making them durable

static void committed(struct ledger_op *op)
{
    struct run *run = op->user;
    int code = op->code;
    run->mask_busy = false;
    if (code == E_CONFLICT && ++run->mask_tries == MASK_TRIES_MAX)
        code = err_set(&op->err, E_BUSY, "other processes keep writing this user's masks: try "
                                         "again later");
    run->mask_then(run, code, &op->err);
}

void mask_commit(struct run *run, mask_committed *then)
{
    static const struct err fine = ERR_INIT;
    const struct privacy *privacy = &run->policy->info.privacy;
    if (!run->masks) {
        then(run, E_OK, &fine);
        return;
    }
    struct masks *masks = run->masks->masks;
    if (privacy->keep_originals)
        masks_keep(masks, run->job->bot, privacy->keep_ms ? clock_wall_ms(run->w->env.clock) +
                                                                privacy->keep_ms : 0);
    else
        masks_keep_none(masks, run->job->bot);
    if (!masks_to_commit(masks)) {
        then(run, E_OK, &fine);
        return;
    }
    BUG_ON(run->mask_busy);
    run->mask_busy = true;
    run->mask_then = then;
    run->mask_wait.op.done = committed;
    run->mask_wait.op.user = run;
    masks_commit(masks, &run->mask_wait);
}

// ---- numbers of other processes

static void looked(struct ledger_op *op)
{
    struct run *run = op->user;
    run->mask_busy = false;
    if (op->code)
        log_line(run->w->env.log, LOG_WARN, "turn: masks of other processes: %s", op->err.message);
    run->mask_then(run, E_OK, &op->err);
}

void mask_look_again(struct run *run, mask_committed *then)
{
    BUG_ON(run->mask_busy || run->masks_looked);
    run->masks_looked = run->mask_busy = true;
    run->mask_then = then;
    run->mask_wait.op.done = looked;
    run->mask_wait.op.user = run;
    masks_look_again(run->masks->masks, &run->mask_wait);
}

// ---- people's text

static int redact_said(struct run *run, struct err *err)
{
    struct redact_how how = mask_how(run, REDACT_PEOPLE);
    content_release(&run->content);
    safe_buf_release(&run->text);
    safe_buf_init(&run->text, CONTENT_BYTES_MAX);
    int code = redact_text(&how, buf_slice(&run->job->text), &run->text, err);
    if (code)
        return code;
    return content_make_text(&run->content, safe_buf_text(&run->text), err);
}

static void said(struct run *run, int code, const struct err *err)
{
    if (code == E_CONFLICT)
        mask_said(run, run->mask_said);
    else if (code)
        emit_error(run, code, err);
    else
        run->mask_said(run);
}

void mask_said(struct run *run, void (*then)(struct run *run))
{
    struct err err = ERR_INIT;
    run->mask_said = then;
    if (redact_said(run, &err))
        emit_error(run, err.code, &err);
    else
        mask_commit(run, said);
}

int mask_check(struct run *run, const char *what, struct err *err)
{
    struct slice text = buf_slice(&run->job->text);
    int code = redact_check(text, err);
    if (!code && text.len > CONTENT_BYTES_MAX)
        code = err_set(err, E_REFUSED, "%s is too long: at most %d bytes are allowed", what,
                       CONTENT_BYTES_MAX);
    else if (code)
        err_prefix(err, "%s: ", what);
    return code;
}

// ---- the client's sink

bool mask_reveals(const struct run *run)
{
    return run->masks && !run->policy->info.privacy.client_masked;
}

struct slice mask_shown(const struct run *run, struct safe_text text, struct buf *scratch)
{
    if (!mask_reveals(run) || !text.len || !memchr(text.ptr, '[', text.len))
        return safe_slice(text);
    reveal_text(user_masks_book(run->masks), run->job->bot, MASK_PLAIN, false, safe_slice(text),
                scratch);
    return buf_slice(scratch);
}

// ---- the model's sink

static void reveal_body(void *user, struct slice body, struct buf *out)
{
    const struct run *run = user;
    reveal_text(user_masks_book(run->masks), run->job->bot, MASK_JSON, false, body, out);
}

void mask_reveal_to_model(struct run *run, struct llm_request *request)
{
    if (!run->masks || !run->policy->info.privacy.model_original)
        return;
    request->reveal = reveal_body;
    request->reveal_user = run;
}
