// SPDX-License-Identifier: MIT
// host.c: bot name -> current policy version, loaded at first use.
//
// Invariants
// 1. A version in the map is whole: a load that failed leaves nothing behind, so the next get tries
//    again and a mended file works without a restart.
// 2. The host holds one reference per version, each caller one of its own.
// Owned by one worker's thread.
#include "policy/policy.h"

#include "base/map.h"
#include "base/mem.h"

enum { HOST_BOTS_MAX = 4096 };

struct policy_host {
    struct policy_loader loader;
    const struct log *log;
    struct map *current;  // bot -> struct policy
};

int policy_host_new(struct policy_host **out, const struct policy_loader *loader,
                    const struct log *log, struct err *err)
{
    struct policy_host *h = mem_zalloc(sizeof(*h));

    if (!h || map_new(&h->current, HOST_BOTS_MAX) != E_OK) {
        mem_free(h);
        return err_set(err, E_NOMEM, "policy: out of memory");
    }
    h->loader = *loader;
    h->log = log;
    *out = h;
    return E_OK;
}

void policy_host_free(struct policy_host *h)
{
    size_t cursor = 0;
    void *policy;

    if (!h)
        return;
    while (map_next(h->current, &cursor, NULL, &policy))
        policy_unref(policy);
    map_free(h->current);
    mem_free(h);
}

bool policy_host_has(const struct policy_host *h, const char *bot)
{
    return map_get(h->current, slice_str(bot)) != NULL;
}

int policy_host_get(struct policy_host *h, const char *bot, struct policy **out, struct err *err)
{
    struct policy *policy = map_get(h->current, slice_str(bot));

    if (!policy) {
        struct policy *other;
        int code = h->loader.load(h->loader.self, bot, &policy, err);

        if (code != E_OK)
            return code;
        other = map_get(h->current, slice_str(bot));
        if (other) {  // loaded by another turn, while this load was put aside
            policy_unref(policy);
            policy_ref(other);
            *out = other;
            return E_OK;
        }
        code = map_set(h->current, slice_str(bot), policy, NULL);
        if (code != E_OK) {
            policy_unref(policy);
            return err_set(err, code, "policy: %s: %s", bot,
                           code == E_REFUSED ? "too many bots are loaded; use fewer names"
                                             : "out of memory");
        }
        log_line(h->log, LOG_INFO, "policy loaded bot=%s version=%s file=%s", bot,
                 policy->info.version, policy->info.file);
    }
    policy_ref(policy);
    *out = policy;
    return E_OK;
}
