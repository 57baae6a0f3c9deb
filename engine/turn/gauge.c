// SPDX-License-Identifier: MIT
// gauge.c: gauges in memory and in the store. See gauge.h.
//
//   LOADING ──▶ READY ──▶ WRITING ──written──▶ READY
//   turns wait               │  ▲ another process was faster:
//                            └──┘ read again, add ours, write again
//
// A write whose outcome is not known is not repeated: what it had would count twice.
#include "turn/gauge.h"

#include "ledger/house.h"
#include "tokens/whole.h"

static const struct slice house = {HOUSE_PARTITION, sizeof(HOUSE_PARTITION) - 1};

static void load(struct gauge *g);
static void write_fresh(struct gauge *g);

static bool has_fresh(const struct gauge *g)
{
    return g->fresh.seen || g->fresh.took_at_ms;
}

// ---- what holds

static bool is_exact(const struct run *run)
{
    return run->caps.encoding[0] != '\0';
}

static bool took_holds(const struct run *run, int64_t took_at_ms)
{
    return took_at_ms && clock_wall_ms(run->w->env.clock) - took_at_ms < GAUGE_TOOK_MS;
}

static void limit_window(struct run *run)
{
    const struct calibration *all = &run->gauge->all;
    const struct live *live = run->live;
    uint64_t took = took_holds(run, all->took_at_ms) ? all->took_tokens : 0;
    if (took && took < run->caps.window_tokens)
        run->caps.window_tokens = took;
    took = live && took_holds(run, live->took_at_ms) ? live->took_tokens : 0;
    if (took && took < run->caps.window_tokens)
        run->caps.window_tokens = took;
}

// ---- waiting for it

static void go_on(struct gauge *g)
{
    g->state = GAUGE_READY;
    for (struct run *run = g->line, *next; run; run = next) {
        next = run->gauge_next;
        g->line = next;
        limit_window(run);
        run->gauge_then(run);
    }
    if (g->tries && has_fresh(g))
        write_fresh(g);
    worker_check_idle(g->w);
}

void gauge_wait(struct run *run, void (*then)(struct run *run))
{
    struct gauge *g = run->gauge;
    if (g && g->state == GAUGE_LOADING) {
        run->gauge_then = then;
        run->gauge_next = g->line;
        g->line = run;
        return;
    }
    if (g)
        limit_window(run);
    then(run);
}

// ---- the record

static void take_record(struct gauge *g, const struct record *r)
{
    struct err err = ERR_INIT;
    int code = house_read_calibration(g->w->env.vault, r, &g->all, &err);
    g->version = r->version;
    // There, but not to be read by the store: nothing is put in its place.
    g->lost = g->version == 0;
    if (code)
        log_line(g->w->env.log, LOG_WARN, "tokens: record %s: %s; it is learned anew", g->key,
                 err.message);
}

static void loaded(struct store_op *op)
{
    struct gauge *g = CONTAINER_OF(op, struct gauge, op);
    calibration_init(&g->all);
    g->version = 0;
    if (op->code)
        log_line(g->w->env.log, LOG_WARN, "tokens: reading %s: %s", g->key, op->err.message);
    else if (op->rows_len == 1)
        take_record(g, &op->rows[0]);
    store_op_release(op);
    calibration_add(&g->all, &g->fresh);
    go_on(g);
}

static void load(struct gauge *g)
{
    g->op = (struct store_op){.verb = STORE_GET,
                              .loop = g->w->env.loop,
                              .done = loaded,
                              .partition = house,
                              .key = slice_str(g->key)};
    store_submit(g->w->env.store, &g->op);
}

static void written(struct store_op *op)
{
    struct gauge *g = CONTAINER_OF(op, struct gauge, op);
    int code = op->code;
    if (code && !op->ambiguous)
        calibration_add(&g->fresh, &g->writing);
    if (code && code != E_CONFLICT)
        log_line(g->w->env.log, LOG_INFO, "tokens: writing %s: %s", g->key, op->err.message);
    store_op_release(op);
    g->version = code ? g->version : g->item.version;
    if (code == E_CONFLICT && ++g->tries < GAUGE_TRIES_MAX) {
        load(g);
        return;
    }
    g->state = GAUGE_READY;
    g->tries = 0;
    // Nobody is left to try again.
    g->lost |= code && g->w->draining;
    worker_check_idle(g->w);
}

static void write_fresh(struct gauge *g)
{
    struct err err = ERR_INIT;
    buf_clear(&g->meta);
    house_write_calibration(g->w->env.vault, slice_str(g->key), &g->all, &g->meta);
    if (buf_check(&g->meta, "a record's meta", &err)) {
        g->lost = g->w->draining;
        return;
    }
    g->state = GAUGE_WRITING;
    g->writing = g->fresh;
    memset(&g->fresh, 0, sizeof(g->fresh));
    g->written_at_ms = clock_mono_ns(g->w->env.clock) / 1000000;
    g->item = (struct store_item){.verb = g->version ? STORE_PUT : STORE_INSERT,
                                  .key = slice_str(g->key),
                                  .version = g->version,
                                  .meta = buf_slice(&g->meta)};
    g->op = (struct store_op){.verb = STORE_COMMIT,
                              .loop = g->w->env.loop,
                              .done = written,
                              .partition = house,
                              .items = &g->item,
                              .items_len = 1};
    store_submit(g->w->env.store, &g->op);
}

static void write_now_and_then(struct gauge *g)
{
    int64_t now = clock_mono_ns(g->w->env.clock) / 1000000;
    bool due = g->fresh.seen >= GAUGE_OBSERVATIONS || now - g->written_at_ms >= GAUGE_WRITE_MS;
    if (due && g->state == GAUGE_READY && !g->lost)
        write_fresh(g);
}

// ---- a worker's gauges

static int gauge_new(struct gauge **out, struct worker *w, const char *key)
{
    struct gauge *g = mem_zalloc(sizeof(*g));
    *out = NULL;
    if (!g)
        return E_NOMEM;
    g->w = w;
    snprintf(g->key, sizeof(g->key), "%s", key);
    buf_init(&g->meta, RECORD_META_BYTES_MAX);
    calibration_init(&g->all);
    g->written_at_ms = clock_mono_ns(w->env.clock) / 1000000;
    int code = map_set(w->gauges, slice_str(g->key), g, NULL);
    if (code) {
        mem_free(g);
        return code;
    }
    g->state = GAUGE_LOADING;
    *out = g;
    return E_OK;
}

void gauge_attach(struct run *run)
{
    struct buf key = BUF_INIT(RECORD_KEY_BYTES_MAX);
    struct worker *w = run->w;
    run->gauge = NULL;
    if (run->llm->ops == &llm_scripted)
        return;
    key_tokens(&key, run->provider, run->model);
    buf_add_char(&key, '\0');
    if (buf_ok(&key))
        run->gauge = map_get(w->gauges, slice_str(key.ptr));
    // Without one, for lack of memory, our sums stand for the provider's.
    if (buf_ok(&key) && !run->gauge && gauge_new(&run->gauge, w, key.ptr) == E_OK)
        load(run->gauge);
    buf_release(&key);
}

bool gauges_busy(struct worker *w)
{
    size_t cursor = 0;
    void *value;
    bool busy = false;
    while (map_next(w->gauges, &cursor, NULL, &value)) {
        struct gauge *g = value;
        if (g->state == GAUGE_READY && has_fresh(g) && !g->lost)
            write_fresh(g);
        busy |= g->state == GAUGE_LOADING || g->state == GAUGE_WRITING;
    }
    return busy;
}

void gauges_free(struct worker *w)
{
    size_t cursor = 0;
    void *value;
    while (w->gauges && map_next(w->gauges, &cursor, NULL, &value)) {
        struct gauge *g = value;
        BUG_ON(g->state == GAUGE_LOADING || g->state == GAUGE_WRITING);
        buf_release(&g->meta);
        mem_free(g);
    }
    map_free(w->gauges);
}

// ---- figures

static const struct calibration *calibration_of(const struct run *run)
{
    return run->gauge && !is_exact(run) ? &run->gauge->all : NULL;
}

uint64_t gauge_likely(const struct run *run, const struct anchor *anchor, uint64_t estimated)
{
    const struct calibration *c = calibration_of(run);
    if (anchor && estimated < anchor->estimated)
        return anchor->tokens * estimated / anchor->estimated;
    uint64_t more = anchor ? estimated - anchor->estimated : estimated;
    return (anchor ? anchor->tokens : 0) + (c ? calibration_likely(c, more) : more);
}

uint64_t gauge_most(const struct run *run, const struct anchor *anchor, uint64_t estimated)
{
    const struct calibration *c = calibration_of(run);
    if (!c || (anchor && estimated < anchor->estimated))
        return gauge_likely(run, anchor, estimated);
    if (!anchor)
        return calibration_most(c, estimated);
    uint64_t more = estimated - anchor->estimated;
    return anchor->tokens + calibration_most(c, more + more * GAUGE_MORE_PERCENT / 100);
}

// What fits into `tokens` of which nothing is known.
static uint64_t room_for_more(const struct run *run, uint64_t tokens, bool beside_anchor)
{
    const struct calibration *c = calibration_of(run);
    if (!c)
        return tokens;
    if (!run->careful)
        return calibration_fits_likely(c, tokens);
    uint64_t room = calibration_fits_most(c, tokens);
    return beside_anchor ? room * 100 / (100 + GAUGE_MORE_PERCENT) : room;
}

uint64_t gauge_room(const struct run *run, const struct anchor *anchor, uint64_t tokens)
{
    if (!anchor)
        return room_for_more(run, tokens, false);
    if (tokens < anchor->tokens)
        return tokens * anchor->estimated / anchor->tokens;
    return anchor->estimated + room_for_more(run, tokens - anchor->tokens, true);
}

// ---- observing

static unsigned times_seen(const struct gauge *g, uint64_t user)
{
    unsigned times = 0;
    for (unsigned i = 0; i < g->users_len; i++)
        times += g->users[i] == user;
    return times;
}

static uint32_t weight_of(struct gauge *g, const char *partition)
{
    uint64_t user = 0, *at = &g->users[g->users_at];
    memcpy(&user, partition, sizeof(user));  // of a keyed hash
    if (g->users_len < GAUGE_USERS)
        g->users_len++;
    else if (times_seen(g, *at) == 1)
        g->users_told--;  // the oldest makes room
    *at = ~user;
    if (times_seen(g, user) == 0)
        g->users_told++;
    *at = user;
    g->users_at = (g->users_at + 1) % GAUGE_USERS;
    uint32_t weight = CALIBRATION_WEIGHT * g->users_len / (g->users_told * times_seen(g, user));
    return weight < 1 ? 1 : weight > 4 * CALIBRATION_WEIGHT ? 4 * CALIBRATION_WEIGHT : weight;
}

static void learn(struct run *run, uint64_t tokens)
{
    struct gauge *g = run->gauge;
    uint64_t estimated = run->context.total_tokens;
    if (is_exact(run) || estimated < CALIBRATION_TOKENS_MIN)
        return;
    uint32_t weight = weight_of(g, run->partition);
    if (calibration_observe(&g->all, estimated, tokens, weight))
        calibration_observe(&g->fresh, estimated, tokens, weight);
}

// The server has cut what it was sent. Where that is sure it holds for all of its users.
static void was_cut(struct run *run, uint64_t tokens)
{
    const struct anchor *anchor = run->context.anchor;
    struct gauge *g = run->gauge;
    bool sure = anchor || is_exact(run);
    int64_t now = clock_wall_ms(run->w->env.clock);
    uint64_t took = anchor && anchor->tokens > tokens ? anchor->tokens : tokens;
    emit_warning(run,
                 "%s read %llu of some %llu tokens and dropped the oldest without a word: less is "
                 "sent from now on; give it a larger context, or set providers.%s.window",
                 run->provider, (unsigned long long)tokens,
                 (unsigned long long)gauge_likely(run, anchor, run->context.total_tokens),
                 run->provider);
    run->live->took_tokens = took;
    run->live->took_at_ms = now;
    if (!sure)
        return;
    g->all.took_tokens = g->fresh.took_tokens = took;
    g->all.took_at_ms = g->fresh.took_at_ms = now;
}

void gauge_observe(struct run *run, uint64_t tokens)
{
    const struct context *c = &run->context;
    if (!run->gauge || tokens == 0)
        return;
    struct count_check seen = {.calibration = calibration_of(run),
                              .told_estimated = c->anchor ? c->anchor->estimated : 0,
                              .told_tokens = c->anchor ? c->anchor->tokens : 0,
                              .estimated = c->total_tokens,
                              .newest = run->text_tokens +
                                        (c->recalled ? c->recalled->step.tokens : 0),
                              .tokens = tokens};
    enum count_says says = llm_is_own(run->llm) ? count_judge(&seen) : COUNT_WHOLE;
    struct anchor anchor = {0};
    if (says == COUNT_CUT) {
        was_cut(run, tokens);
    } else if (says == COUNT_WHOLE) {
        learn(run, tokens);
        anchor = context_anchor(run, tokens);
    }
    run->live->anchor = anchor;
    run->context.anchor = NULL;
    write_now_and_then(run->gauge);
}
