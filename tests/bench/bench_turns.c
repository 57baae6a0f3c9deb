// SPDX-License-Identifier: MIT
// bench_turns.c: durable turns per second through the whole engine, beside the raw limit of this
// disk.
//
// Every figure of the engine is taken through parley.h. A turn is two durable commits: A1 and A2.
// The raw limit is SQLite alone, in the same run, on the same disk: the same number of
// transactions, rows and bytes as the engine wrote, each transaction synced, on one thread that
// does nothing else. How many syncs the engine made is counted by standing in for fdatasync and
// fsync.
//
//   bench_turns [quick]
//   bench_turns one PROVIDER CONCURRENT PRIOR TURNS [window|full]
//
// `one` prints the turns per second of one such run and nothing else, for comparisons. PROVIDER is
// `scripted`, `fake` (real HTTP), or `raw`: over HTTP too, but by bare curl and bare SQLite, with
// no engine (raw_limit.h). Each request brings the newest 20 turns, or with `full` the whole
// history.
#include "parley.h"

#include "bench/raw_limit.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { USERS_MAX = RAW_USERS, WINDOW_MESSAGES = 40, SAMPLES_MAX = 1 << 20 };

static atomic_long syncs;

__attribute__((visibility("default"))) int fdatasync(int fd)
{
    static int (*real)(int);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "fdatasync");
    atomic_fetch_add(&syncs, 1);
    return real(fd);
}

__attribute__((visibility("default"))) int fsync(int fd)
{
    static int (*real)(int);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "fsync");
    atomic_fetch_add(&syncs, 1);
    return real(fd);
}

// Of all threads of this process: the engine's, and in HTTP runs the loopback provider's too.
static double cpu_s(void)
{
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
           (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

// ---- the folder of a run

static char folder[256];

static void write_file(const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    if (!f || fputs(text, f) < 0 || fclose(f) != 0)
        bench_die(path);
}

static long size_of(const char *name)
{
    char path[512];
    struct stat st;
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return stat(path, &st) == 0 ? (long)st.st_size : 0;
}

static const char window_history[] = "window { keep_turns = 20 }";
static const char full_history[] = "full {}";

static void make_folder(const char *history)
{
    char path[512];
    const char *base = getenv("BENCH_DIR");
    snprintf(folder, sizeof(folder), "%s/parley-bench-XXXXXX", base ? base : ".");
    if (!mkdtemp(folder))
        bench_die("cannot make a folder here; set BENCH_DIR");
    snprintf(path, sizeof(path), "%s/policies", folder);
    if (mkdir(path, 0700) != 0)
        bench_die(path);
    char script[512];
    snprintf(script, sizeof(script),
             "local history = require \"parley.history\"\n"
             "return { system = \"You are brief.\", history = history.%s }\n",
             history);
    write_file("policies/bench.lua", script);
    snprintf(script, sizeof(script), "return function(request) return \"%s\" end\n", reply_text);
    write_file("reply.lua", script);
}

static void remove_folder(void)
{
    char command[512];
    snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    if (system(command) != 0)
        fprintf(stderr, "bench: %s is left behind\n", folder);
}

// ---- engines

static parley *open_engine(const char *db, const char *provider, int port, const char *live_bytes)
{
    parley_options options = PARLEY_OPTIONS_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    char store[512], policies[512], script[600], url[128], live[64];
    snprintf(store, sizeof(store), "sqlite:%s/%s", folder, db);
    snprintf(policies, sizeof(policies), "%s/policies", folder);
    snprintf(script, sizeof(script), "providers.scripted.script=%s/reply.lua", folder);
    snprintf(url, sizeof(url), "providers.fake.base_url=http://127.0.0.1:%d", port);
    snprintf(live, sizeof(live), "live_bytes=%s", live_bytes);
    const char *settings[] = {
        script, live, "providers.fake.api=anthropic", "providers.fake.auth=none", url, NULL};
    options.config = "";
    options.no_environment = 1;
    options.store = store;
    options.policies = policies;
    options.bot = "bench";
    options.provider = provider;
    options.model = "bench-model";
    options.settings = settings;
    parley *engine;
    if (parley_open(&engine, &options, &error) < 0)
        bench_die(error.message);
    return engine;
}

// ---- histories

static void take_result(parley *engine)
{
    parley_event *event;
    if (parley_wait(engine, -1, &event) != 1)
        bench_die("no event");
    if (event->type != PARLEY_EVENT_RESULT)
        bench_die(event->text);
    parley_event_free(event);
}

// One session per user with so many messages behind it.
static void import_histories(parley *engine, int users, int messages)
{
    size_t cap = (size_t)messages * 128 + 256;
    char *json = malloc(cap);
    for (int u = 0; u < users; u++) {
        size_t n = (size_t)snprintf(json, cap,
                                    "{\"user\":\"user-%d\",\"bot\":\"bench\",\"messages\":[", u);
        for (int m = 0; m < messages; m++)
            n += (size_t)snprintf(json + n, cap - n, "%s{\"role\":\"%s\",\"content\":\"%.*s\"}",
                                  m ? "," : "", m % 2 ? "assistant" : "user", RAW_TEXT_BYTES,
                                  m % 2 ? reply_text : user_text);
        n += (size_t)snprintf(json + n, cap - n, "]}");
        parley_error error = PARLEY_ERROR_INIT;
        uint64_t request;
        if (parley_import(engine, json, n, &request, &error) < 0)
            bench_die(error.message);
        take_result(engine);
    }
    free(json);
}

// ---- a measured run

struct figures {
    double turns_per_s, p50_us, p99_us, cpu_us;
    long turns, syncs;
    double bytes_per_turn;
};

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

struct slot {
    uint64_t request;
    double sent_at;
    char session[40];
};

static void send_turn(parley *engine, struct slot *slot, int user)
{
    parley_message m = PARLEY_MESSAGE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    char name[32];
    snprintf(name, sizeof(name), "user-%d", user);
    m.user = name;
    m.text = user_text;
    if (slot->session[0])
        m.session = slot->session;
    else
        m.flags = PARLEY_CONTINUE;
    slot->sent_at = raw_now_s();
    if (parley_send(engine, &m, &slot->request, &error) < 0)
        bench_die(error.message);
}

static struct figures run_turns(parley *engine, int concurrent, long turns)
{
    static double samples[SAMPLES_MAX];
    struct slot slots[USERS_MAX];
    struct figures f = {0};
    long sent = 0, done = 0;
    memset(slots, 0, sizeof(slots));
    double start = raw_now_s(), cpu_start = cpu_s();
    long syncs_before = atomic_load(&syncs);
    for (int i = 0; i < concurrent; i++, sent++)
        send_turn(engine, &slots[i], i);
    while (done < turns) {
        parley_event *event;
        if (parley_wait(engine, 30000, &event) != 1)
            bench_die("a turn did not end");
        bool last = event->type == PARLEY_EVENT_DONE || event->type == PARLEY_EVENT_ERROR;
        if (last && event->code)
            bench_die(event->text);
        for (int i = 0; i < concurrent && last; i++) {
            if (slots[i].request != event->request)
                continue;
            if (done < SAMPLES_MAX)
                samples[done] = raw_now_s() - slots[i].sent_at;
            snprintf(slots[i].session, sizeof(slots[i].session), "%s", event->session);
            slots[i].request = 0;
            done++;
            if (sent < turns) {
                send_turn(engine, &slots[i], i);
                sent++;
            }
            break;
        }
        parley_event_free(event);
    }
    double elapsed = raw_now_s() - start;
    qsort(samples, (size_t)done, sizeof(samples[0]), by_value);
    f.turns = done;
    f.cpu_us = (cpu_s() - cpu_start) / (double)done * 1e6;
    f.turns_per_s = (double)done / elapsed;
    f.p50_us = samples[done / 2] * 1e6;
    f.p99_us = samples[done * 99 / 100] * 1e6;
    f.syncs = atomic_load(&syncs) - syncs_before;
    return f;
}

// ---- the tables

static long resident_kib(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%*s %ld", &pages) != 1)
        bench_die("/proc/self/statm");
    fclose(f);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void row(const char *what, int concurrent, int prior, const struct figures *f, double raw)
{
    printf("%-10s %6d %8d %10.0f %10.0f %10.0f %8.0f", what, concurrent, prior, f->turns_per_s,
           f->p50_us, f->p99_us, f->cpu_us);
    if (raw > 0)
        printf(" %10.0f %6.2f", raw, f->turns_per_s / raw);
    printf("\n");
    fflush(stdout);
}

static void heading(void)
{
    printf("%-10s %6s %8s %10s %10s %10s %8s %10s %6s\n", "provider", "conc.", "prior", "turns/s",
           "p50 us", "p99 us", "cpu us", "raw/s", "ratio");
}

static void bench_matrix(const char *provider, int port, bool quick)
{
    static const int priors[] = {10, 100, 1000, 10000};
    static const int concurrency[] = {1, 8, 64};
    double at_100 = 0, at_10000 = 0;
    for (size_t p = 0; p < 4; p++) {
        char db[64];
        snprintf(db, sizeof(db), "%s-%d.db", provider, priors[p]);
        parley *engine = open_engine(db, provider, port, "4294967296");
        import_histories(engine, USERS_MAX, priors[p]);
        run_turns(engine, USERS_MAX, USERS_MAX);  // histories are in memory after this
        for (size_t c = 0; c < 3; c++) {
            long turns = (quick ? 200L : 1000L) * concurrency[c] / (concurrency[c] > 8 ? 4 : 1);
            struct figures f = run_turns(engine, concurrency[c], turns);
            double raw = strcmp(provider, "scripted") == 0
                             ? raw_turns_per_s(folder, f.turns, f.syncs) : 0;
            row(provider, concurrency[c], priors[p], &f, raw);
            if (concurrency[c] == 64 && priors[p] == 100)
                at_100 = f.turns_per_s;
            if (concurrency[c] == 64 && priors[p] == 10000)
                at_10000 = f.turns_per_s;
        }
        parley_close(engine);
    }
    printf("# %s: turns/s with 10,000 prior messages over those with 100, at 64 concurrent: %.2f "
           "(to reach: 0.80)\n",
           provider, at_10000 / at_100);
}

static void bench_bytes(bool quick)
{
    long turns = quick ? 4000 : 20000;
    parley *engine = open_engine("bytes.db", "scripted", 1, "4294967296");
    run_turns(engine, USERS_MAX, USERS_MAX);
    parley_close(engine);
    long before = size_of("bytes.db");
    engine = open_engine("bytes.db", "scripted", 1, "4294967296");
    run_turns(engine, USERS_MAX, turns);
    parley_close(engine);
    double per_turn = (double)(size_of("bytes.db") - before) / (double)turns;
    double text = (double)(strlen(user_text) + strlen(reply_text));
    printf("# bytes stored per turn: %.0f, of which text %.0f, beyond it %.0f (to reach: 2048)\n",
           per_turn, text, per_turn - text);
}

// Sessions that nobody uses: made, answered once, parked.
static void bench_parked(bool quick)
{
    enum { WARM = 2000 };
    int sessions = quick ? 5000 : 20000;
    parley *engine = open_engine("parked.db", "scripted", 1, "1");
    struct slot slot;
    long before = 0;
    for (int i = 0; i < WARM + sessions; i++) {
        if (i == WARM)
            before = resident_kib();
        parley_event *event;
        memset(&slot, 0, sizeof(slot));
        parley_message m = PARLEY_MESSAGE_INIT;
        parley_error error = PARLEY_ERROR_INIT;
        m.user = "one";
        m.text = user_text;
        if (parley_send(engine, &m, &slot.request, &error) < 0)
            bench_die(error.message);
        bool over = false;
        while (!over && parley_wait(engine, 30000, &event) == 1) {
            over = event->type == PARLEY_EVENT_DONE || event->type == PARLEY_EVENT_ERROR;
            parley_event_free(event);
        }
    }
    double per = (double)(resident_kib() - before) * 1024.0 / sessions;
    printf("# memory per parked session: %.0f bytes over %d sessions (to reach: 1024)\n", per,
           sessions);
    parley_close(engine);
}

// One run in a store of its own, after a round that is not counted.
static void bench_one(const char *provider, int port, int concurrent, int prior, long turns)
{
    parley *engine = open_engine("one.db", provider, port, "4294967296");
    import_histories(engine, concurrent, prior);
    run_turns(engine, concurrent, concurrent);
    printf("%.0f\n", run_turns(engine, concurrent, turns).turns_per_s);
    parley_close(engine);
}

static int main_one(struct fake_provider *fake, int argc, char **argv)
{
    int concurrent = argc > 3 ? atoi(argv[3]) : 0, prior = argc > 4 ? atoi(argv[4]) : -1;
    long turns = argc > 5 ? atol(argv[5]) : 0;
    bool full = argc > 6 && strcmp(argv[6], "full") == 0;
    if (concurrent < 1 || concurrent > USERS_MAX || prior < 0 || turns < concurrent)
        bench_die("bench_turns one PROVIDER CONCURRENT PRIOR TURNS [window|full], up to 64 "
                  "concurrent");
    make_folder(full ? full_history : window_history);
    int messages = full || prior < WINDOW_MESSAGES ? prior : WINDOW_MESSAGES;
    if (strcmp(argv[2], "raw") == 0)
        printf("%.0f\n", raw_exchange_turns_per_s(fake, folder, concurrent, messages, turns));
    else
        bench_one(argv[2], fake_provider_port(fake), concurrent, prior, turns);
    remove_folder();
    fake_provider_stop(fake);
    return 0;
}

int main(int argc, char **argv)
{
    bool quick = argc > 1 && strcmp(argv[1], "quick") == 0;
    struct fake_provider *fake = fake_provider_start(reply_text, NULL);
    if (!fake)
        bench_die("no loopback server");
    if (argc > 1 && strcmp(argv[1], "one") == 0)
        return main_one(fake, argc, argv);
    make_folder(window_history);
    heading();
    bench_matrix("scripted", 1, quick);
    bench_matrix("fake", fake_provider_port(fake), quick);
    bench_bytes(quick);
    bench_parked(quick);
    double peer = fake_provider_curl_peer(fake, 64, quick ? 2000 : 20000);
    printf("# curl multi alone against the same loopback provider, 64 at once: %.0f requests/s\n",
           peer);
    remove_folder();
    fake_provider_stop(fake);
    return 0;
}
