// SPDX-License-Identifier: MIT
// quarantine.c: what a bot remembers of a user without their own word for it is dropped, once it
// has been in quarantine for as long as its policy says (30 days, where there is no policy any
// more). The sweep asks for it, when a slot is due.
#include "turn/mask.h"
#include "turn/memory_int.h"

struct dropping {
    struct book_change change;
    struct memory_rules rules;       // without its texts
};

static int apply(struct book_change *change, struct book *b, struct ledger_memory_commit *extra,
                 struct err *err)
{
    struct run *run = change->user;
    const struct dropping *d = run->extra;
    uint32_t count;
    (void)extra;
    return fact_book_drop_quarantined(b->facts, &d->rules, run->job->since_ms, &count, err);
}

static void dropped(struct book_change *change)
{
    struct run *run = change->user;
    struct buf none = BUF_INIT(1);
    run->op_busy = false;
    book_release(change->book);
    if (change->code)
        emit_error(run, change->code, &change->err);
    else
        emit_result(run, &none);
}

static void drop(struct run *run)
{
    struct dropping *d = run->extra;
    const struct memory_rules *rules = &run->policy->info.memory;
    d->rules.quarantine_ms = rules->on ? rules->quarantine_ms : MEMORY_QUARANTINE_DEFAULT_MS;
    d->change = (struct book_change){.key = run->user_key, .apply = apply, .done = dropped,
                                     .user = run};
    memcpy(d->change.partition, run->partition, sizeof(d->change.partition));
    snprintf(d->change.bot, sizeof(d->change.bot), "%s", run->job->bot);
    run->op_busy = true;
    book_change(run->w, &d->change);
}

static void have_key(struct vault_request *request)
{
    struct run *run = CONTAINER_OF(request, struct run, vault_request);
    run->user_key = request->key;
    if (request->code)
        emit_error(run, request->code, &request->err);
    else
        mask_policy(run, drop);
}

void drop_quarantined_start(struct run *run)
{
    struct err err = ERR_INIT;
    run->extra = mem_zalloc(sizeof(struct dropping));
    run->extra_free = mem_free;
    if (!run->extra) {
        emit_error(run, err_set(&err, E_NOMEM, "out of memory for what is dropped"), &err);
        return;
    }
    memcpy(run->partition, run->job->partition, sizeof(run->partition));
    run->user_key = vault_find_key(run->w->env.vault, run->partition);
    if (run->user_key) {
        mask_policy(run, drop);
        return;
    }
    run->vault_request = (struct vault_request){.loop = run->w->env.loop, .done = have_key};
    memcpy(run->vault_request.partition, run->partition, sizeof(run->partition));
    vault_user_key(run->w->env.vault, &run->vault_request);
}
