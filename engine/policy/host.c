// SPDX-License-Identifier: MIT
// host.c: bot name -> current policy version, loaded at first use.
//
//   get ─▶ loaded: it
//    │
//    └─▶ not loaded ─▶ its file failed, is as it was, and rests: the same error, at once
//                  └─▶ load ─▶ fails: it rests, REST_MS at first, twice as long each time
//                          └─▶ loaded
//
// Invariants
// 1. A version in the map is whole: a load that failed leaves nothing behind but its error, so a
//    mended file works at once, without a restart.
// 2. A file that fails takes a worker's time again only after its rest, or once it was changed:
//    turns that ask for it do not slow those that do not.
// 3. The host holds one reference per version, each caller one of its own.
// Owned by one worker's thread.
#include "policy/policy.h"

#include "base/map.h"
#include "base/mem.h"

enum { HOST_BOTS_MAX = 4096, REST_MS = 1000, REST_MS_MAX = 60000 };

// A bot whose file cannot be loaded.
struct failure {
    uint64_t stamp;           // of the file that failed
    int64_t rest_ms, rests_until_ns;
    struct err err;
};

struct policy_host {
    struct policy_loader loader;
    const struct clock *clock;
    const struct log *log;
    struct map *current;      // bot -> struct policy
    struct map *failures;     // bot -> struct failure, owned; those whose file is there
};

int policy_host_new(struct policy_host **out, const struct policy_loader *loader,
                    const struct clock *clock, const struct log *log, struct err *err)
{
    struct policy_host *h = mem_zalloc(sizeof(*h));

    if (!h || map_new(&h->current, HOST_BOTS_MAX) != E_OK ||
        map_new(&h->failures, HOST_BOTS_MAX) != E_OK) {
        policy_host_free(h);
        return err_set(err, E_NOMEM, "policy: out of memory");
    }
    h->loader = *loader;
    h->clock = clock;
    h->log = log;
    *out = h;
    return E_OK;
}

void policy_host_free(struct policy_host *h)
{
    size_t cursor = 0;
    void *value;

    if (!h)
        return;
    while (h->current && map_next(h->current, &cursor, NULL, &value))
        policy_unref(value);
    cursor = 0;
    while (h->failures && map_next(h->failures, &cursor, NULL, &value))
        mem_free(value);
    map_free(h->current);
    map_free(h->failures);
    mem_free(h);
}

const struct policy_info *policy_host_info(const struct policy_host *h, const char *bot)
{
    const struct policy *policy = map_get(h->current, slice_str(bot));

    return policy ? &policy->info : NULL;
}

// ---- files that fail

static uint64_t stamp_of(const struct policy_host *h, const char *bot)
{
    return h->loader.stamp ? h->loader.stamp(h->loader.self, bot) : 0;
}

static void forget_failure(struct policy_host *h, const char *bot)
{
    mem_free(map_remove(h->failures, slice_str(bot)));
}

// A failure that is not remembered (no memory, too many) is found again by loading.
static void note_failure(struct policy_host *h, const char *bot, uint64_t stamp,
                         const struct err *err)
{
    struct failure *f = map_get(h->failures, slice_str(bot));

    if (f && f->stamp != stamp)
        f->rest_ms = 0;
    if (!f) {
        f = mem_zalloc(sizeof(*f));
        if (!f || map_set(h->failures, slice_str(bot), f, NULL) != E_OK) {
            mem_free(f);
            return;
        }
    }
    f->rest_ms = f->rest_ms == 0                ? REST_MS
                 : f->rest_ms < REST_MS_MAX / 2 ? 2 * f->rest_ms
                                                : REST_MS_MAX;
    f->rests_until_ns = clock_mono_ns(h->clock) + f->rest_ms * 1000000;
    f->stamp = stamp;
    f->err = *err;
}

static bool rests(const struct policy_host *h, const struct failure *f, uint64_t stamp)
{
    return f && f->stamp == stamp && clock_mono_ns(h->clock) < f->rests_until_ns;
}

// E_POLICY at once for a file that rests.
static int load(struct policy_host *h, const char *bot, struct policy **out, struct err *err)
{
    uint64_t stamp = stamp_of(h, bot);
    const struct failure *f = map_get(h->failures, slice_str(bot));
    struct err own = ERR_INIT;

    if (rests(h, f, stamp))
        return err_set(err, f->err.code, "%s", f->err.message);
    // The stamp is of before: a file that is changed while it is loaded is loaded once more.
    int code = h->loader.load(h->loader.self, bot, out, &own);
    if (code == E_OK)
        forget_failure(h, bot);
    else if (code == E_POLICY && stamp != 0)
        note_failure(h, bot, stamp, &own);
    return code == E_OK ? E_OK : err_set(err, code, "%s", own.message);
}

int policy_host_get(struct policy_host *h, const char *bot, struct policy **out, struct err *err)
{
    struct policy *policy = map_get(h->current, slice_str(bot));

    if (!policy) {
        struct policy *other;
        int code = load(h, bot, &policy, err);

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
