// SPDX-License-Identifier: MIT
// bench_sessions.c: what a long history and many sessions cost, on an SQLite store in a file: the
// time, and how many operations and records are read of the store.
//
//   come back   a session with 10,000 turns behind it that nobody has in memory is found, and what
//               is read of it before a message is added to (the newest 100 turns)
//   begin anew  the same where the session is too old: its summary, and its last turns
//   sweep       one sweep over very many sessions, of which 1,000 are due
//
//   bench_sessions [quick | SESSIONS]     quick: 20,000 sessions; else 200,000, or as many
#include "jobs/sweep.h"
#include "session/session.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { TURNS = 10000, NEWEST = 100, LAST = 3, RUNS = 41, DUE = 1000, PARTITIONS = 10,
       BATCH = STORE_BATCH_ITEMS_MAX, HOUR = 3600 * 1000 };

__attribute__((noreturn)) static void die(const char *what, const struct err *err)
{
    fprintf(stderr, "bench: %s: %s\n", what, err ? err->message : "");
    exit(1);
}

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

// ---- a store that counts what is asked of it

struct counting {
    struct store base;
    struct store *inner;
    unsigned ops, reads, rows;
    struct store_op *op;
    void (*done)(struct store_op *op);
};
static struct counting *counting;  // one op at a time is under way

static void counted(struct store_op *op)
{
    counting->rows += op->rows_len;
    op->done = counting->done;
    op->done(op);
}

static void count(struct store *s, struct store_op *op)
{
    struct counting *c = (struct counting *)s;
    c->ops++;
    c->reads += op->verb != STORE_COMMIT && op->verb != STORE_LEASE;
    c->done = op->done;
    op->done = counted;
    c->inner->ops->submit(c->inner, op);
}

static const char *inner_claim(struct store *s)
{
    return store_claim(((struct counting *)s)->inner);
}

static const struct store_ops counting_ops = {
    .name = "counting", .submit = count, .claim = inner_claim};

// ---- the world

struct world {
    char folder[64];
    struct loop *loop;
    struct vault *vault;
    struct counting store;
    struct ledger_env ledger_env;
    struct session_env session_env;
    const struct user_key *keys[PARTITIONS];
    char partitions[PARTITIONS][PARTITION_BYTES];
    char context_hash[VAULT_DIGEST_BYTES];
};
static struct loop *the_loop;

static void have_key(struct vault_request *r)
{
    (void)r;
    loop_stop(the_loop);
}

static void world_open(struct world *w)
{
    struct err err = ERR_INIT;
    char url[96], path[96];
    snprintf(w->folder, sizeof(w->folder), "/tmp/parley-bench-XXXXXX");
    if (!mkdtemp(w->folder))
        die("no folder", NULL);
    snprintf(url, sizeof(url), "sqlite:%s/db", w->folder);
    snprintf(path, sizeof(path), "%s/keys", w->folder);
    struct store_env env = {.clock = clock_system(), .rand = rand_system()};
    struct vault_options options = {.rand = rand_system(), .path = path};
    if (loop_new(&w->loop, clock_system(), &err) || store_open(&w->store.inner, url, &env, &err) ||
        vault_open(&w->vault, &options, &err))
        die("opening", &err);
    the_loop = w->loop;
    counting = &w->store;
    w->store.base.ops = &counting_ops;
    w->ledger_env = (struct ledger_env){.store = &w->store.base, .vault = w->vault,
                                        .loop = w->loop, .clock = clock_system(),
                                        .rand = rand_system()};
    w->session_env = (struct session_env){.store = &w->store.base, .vault = w->vault,
                                          .loop = w->loop, .clock = clock_system(),
                                          .rand = rand_system()};
    struct slice none = SLICE_LIT("");
    vault_digest(w->vault, "context", &none, 1, w->context_hash);
    for (unsigned i = 0; i < PARTITIONS; i++) {
        char name[16];
        struct vault_request r = {.loop = w->loop, .create = true, .done = have_key};
        snprintf(name, sizeof(name), "user%u", i);
        vault_partition(w->vault, slice_str(name), w->partitions[i]);
        memcpy(r.partition, w->partitions[i], sizeof(r.partition));
        vault_user_key(w->vault, &r);
        loop_run(w->loop);
        w->keys[i] = r.key;
    }
}

static void world_close(struct world *w)
{
    char command[96];
    store_free(w->store.inner);
    vault_free(w->vault);
    loop_free(w->loop);
    snprintf(command, sizeof(command), "rm -r %s", w->folder);
    if (system(command))
        die("tidying up", NULL);
}

static void op_done(struct ledger_op *op)
{
    (void)op;
    loop_stop(the_loop);
}

static void wait_op(struct world *w, struct ledger_op *op, const char *what)
{
    loop_run(w->loop);
    if (op->code && op->code != E_NOT_FOUND)
        die(what, &op->err);
}

static struct ledger_op ready(void)
{
    return (struct ledger_op){.done = op_done};
}

// ---- coming back

static void make_long(struct world *w, struct ledger *l)
{
    static const char said[] = "What was it that you told me of the otter in the river, and of "
                               "the heron that stood there all morning?";
    struct turn *turns = mem_calloc(TURNS, sizeof(*turns));
    struct session_head head;
    struct ledger_op op = ready();
    struct chat *c;
    struct err err = ERR_INIT;
    for (unsigned i = 0; turns && i < TURNS; i++) {
        struct step *steps = mem_calloc(2, sizeof(*steps));
        if (!steps)
            die("out of memory", NULL);
        for (unsigned k = 0; k < 2; k++) {
            steps[k] = (struct step){.role = k ? ROLE_ASSISTANT : ROLE_USER, .tokens = 25,
                                     .at_ms = clock_wall_ms(clock_system()) - HOUR};
            if (content_make_text(&steps[k].content, (struct safe_text){said, sizeof(said) - 1},
                                  &err))
                die("a turn", &err);
        }
        turns[i] = (struct turn){.n = i + 1, .status = TURN_DONE, .stop = STOP_END, .steps = steps,
                                 .steps_len = 2, .at_ms = steps[0].at_ms};
    }
    if (session_head_new(&head, &w->session_env, w->partitions[0], "long", "", &err) ||
        chat_new(&c, l, &head, w->keys[0], &err))
        die("a session", &err);
    ledger_import(c, turns, TURNS, w->context_hash, SLICE_LIT("user0"), &op);
    wait_op(w, &op, "importing");
    chat_free(c);
    for (unsigned i = 0; i < TURNS; i++)
        turn_release(&turns[i]);
    mem_free(turns);
}

static void session_found(struct session_find *f)
{
    (void)f;
    loop_stop(the_loop);
}

// As a worker would that has nothing of it.
static void come_back(struct world *w, struct ledger *l, bool anew)
{
    struct session_find f = {.env = &w->session_env, .key = w->keys[0], .done = session_found};
    struct ledger_op op = ready();
    struct summary summary;
    struct chat *c;
    struct err err = ERR_INIT;
    memcpy(f.partition, w->partitions[0], sizeof(f.partition));
    snprintf(f.bot, sizeof(f.bot), "long");
    memcpy(f.context_hash, w->context_hash, sizeof(f.context_hash));
    session_find(&f);
    loop_run(w->loop);
    if (f.code)
        die("finding", &f.err);
    if (chat_new(&c, l, &f.head, w->keys[0], &err))
        die("a session", &err);
    if (anew) {
        ledger_reload(c, &op);
        wait_op(w, &op, "reading again");
        summary_init(&summary);
        op = ready();
        ledger_find_summary(l, &c->head, w->keys[0], &summary, &op);
        wait_op(w, &op, "its summary");
        summary_release(&summary);
        op = ready();
    }
    ledger_load(c, TURNS - (anew ? LAST : NEWEST) + 1, &op);
    wait_op(w, &op, "loading");
    chat_free(c);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void bench_coming_back(struct world *w)
{
    struct ledger *l;
    struct err err = ERR_INIT;
    if (ledger_new(&l, &w->ledger_env, &err))
        die("a ledger", &err);
    make_long(w, l);
    for (int anew = 0; anew < 2; anew++) {
        double ms[RUNS];
        for (unsigned i = 0; i < RUNS; i++) {
            w->store.ops = w->store.reads = w->store.rows = 0;
            double start = now_ms();
            come_back(w, l, anew);
            ms[i] = now_ms() - start;
        }
        qsort(ms, RUNS, sizeof(*ms), by_size);
        printf("%s after %d turns: %.2f ms (asked: under 2), %u operations, %u records read of "
               "%d\n", anew ? "begin anew" : "come back ", TURNS, ms[RUNS / 2], w->store.ops,
               w->store.rows, 2 * TURNS);
    }
    ledger_free(l);
}

// ---- the sweep

static unsigned under_way;

static void batch_done(struct store_op *op)
{
    if (op->code)
        die("a batch", &op->err);
    if (--under_way == 0)
        loop_stop(the_loop);
}

struct batch {
    struct store_op op;
    struct store_item items[BATCH];
    struct buf bytes[BATCH];
    char keys[BATCH][64];
};

static void fill(struct world *w, struct batch *b, unsigned partition, uint64_t first,
                 uint64_t sessions)
{
    int64_t now = clock_wall_ms(clock_system());
    struct err err = ERR_INIT;
    for (unsigned i = 0; i < BATCH; i++) {
        struct session_head h;
        struct buf *out = &b->bytes[i];
        struct sealed sealed;
        if (session_head_new(&h, &w->session_env, w->partitions[partition], "many", "", &err))
            die("a session", &err);
        // Every so many-th is due; the others were active a moment ago.
        bool due = (first + i) % (sessions / DUE) == 0;
        h.turns = 3;
        h.last_active_at_ms = h.created_at_ms = due ? now - 3 * (int64_t)HOUR : now;
        snprintf(b->keys[i], sizeof(b->keys[i]), "session/%s", h.id);
        buf_init(out, RECORD_META_BYTES_MAX);
        buf_reserve(out, 4096);
        session_write_meta(&h, out);
        size_t meta = out->len;
        struct vault_place place = {slice_str(w->partitions[partition]), slice_str(b->keys[i]),
                                    slice_of(out->ptr, meta)};
        if (vault_seal(w->vault, w->keys[partition], &place, SAFE_NONE, out, &sealed, &err))
            die("sealing", &err);
        b->items[i] = (struct store_item){.verb = STORE_INSERT, .key = slice_str(b->keys[i]),
                                          .due_at_ms = session_due_at(&h),
                                          .meta = slice_of(out->ptr, meta), .body = sealed};
        session_head_release(&h);
    }
    b->op = (struct store_op){.verb = STORE_COMMIT, .loop = w->loop, .done = batch_done,
                              .partition = slice_str(w->partitions[partition]),
                              .items = b->items, .items_len = BATCH};
    under_way++;
    store_submit(w->store.inner, &b->op);
}

static void make_many(struct world *w, uint64_t sessions)
{
    enum { AT_ONCE = 64 };
    struct batch *batches = mem_calloc(AT_ONCE, sizeof(*batches));
    if (!batches)
        die("out of memory", NULL);
    for (uint64_t at = 0; at < sessions;) {
        unsigned n = 0;
        for (; n < AT_ONCE && at < sessions; n++, at += BATCH)
            fill(w, &batches[n], (unsigned)(at / BATCH % PARTITIONS), at, sessions);
        loop_run(w->loop);
        for (unsigned i = 0; i < n; i++) {
            store_op_release(&batches[i].op);
            for (unsigned k = 0; k < BATCH; k++)
                buf_release(&batches[i].bytes[k]);
        }
    }
    mem_free(batches);
}

static void swept(struct runner_ask *a)
{
    if (a->code)
        die("the sweep", &a->err);
    loop_stop(the_loop);
}

static void bench_sweep(struct world *w, uint64_t sessions)
{
    struct jobs_env env = {.store = &w->store.base, .vault = w->vault, .loop = w->loop,
                           .clock = clock_system(), .rand = rand_system(), .boot_id = "bench"};
    struct runner *runner;
    struct sweep *sweep;
    struct err err = ERR_INIT;
    make_many(w, sessions);
    if (runner_new(&runner, &env, &err) || sweep_new(&sweep, &env, &err))
        die("a sweep", &err);
    struct runner_job job = sweep_job(sweep);
    runner_add(runner, &job);
    for (int again = 0; again < 2; again++) {
        struct runner_ask ask = {.done = swept};
        w->store.ops = w->store.reads = w->store.rows = 0;
        sweep_report_clear(sweep);
        double start = now_ms();
        runner_now(runner, &ask);
        loop_run(w->loop);
        double ms = now_ms() - start;
        struct sweep_report r = sweep_report(sweep);
        printf("sweep over %llu sessions: %u due, %u archived, %u records read, %u operations, "
               "%.0f ms\n", (unsigned long long)sessions, r.looked, r.archived, w->store.rows,
               w->store.ops, ms);
        if (r.archived != (again ? 0 : DUE) || w->store.rows > 3 * DUE + 100)
            die("it touched others, or not all that are due", NULL);
    }
    runner_free(runner);
    sweep_free(sweep);
}

int main(int argc, char **argv)
{
    bool quick = argc > 1 && strcmp(argv[1], "quick") == 0;
    uint64_t sessions = quick ? 20000 : argc > 1 ? strtoull(argv[1], NULL, 10) : 200000;
    struct world w = {0};
    if (sessions < 2 * DUE)
        die("at least 2,000 sessions", NULL);
    sessions -= sessions % (BATCH * DUE);
    world_open(&w);
    bench_coming_back(&w);
    bench_sweep(&w, sessions);
    world_close(&w);
    return 0;
}
