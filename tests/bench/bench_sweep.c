// SPDX-License-Identifier: MIT
// bench_sweep.c: what a sweep does to the turns beside it. Rounds in pairs on one engine and one
// store in a file: turns alone, then turns for as long as a sweep over 1,000 sessions that are due
// takes. What is told is the p99 of a turn, from its message to its end, over all rounds of each
// kind, and what one is of the other (asked: at most 1.2).
//
//   bench_sweep [quick]
//
// People wait for a model: so does each of the 64 here, 100 ms, which is no load that hides a sweep
// in a queue. The store's folder is made here, or in $BENCH_DIR.
#include "parley.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PEOPLE = 64, DUE = 1000, IMPORTS = 256, TURNS_MAX = 1 << 18, ROUNDS = 12, ROUNDS_QUICK = 3,
       ALONE_MS = 1500, HOURS_AGO = 5 };

static char folder[256];

__attribute__((noreturn)) static void die(const char *what, const char *why)
{
    fprintf(stderr, "bench: %s: %s\n", what, why);
    exit(1);
}

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void write_file(const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    if (!f || fputs(text, f) < 0 || fclose(f) != 0)
        die(path, "cannot be written");
}

static void make_folder(void)
{
    char path[512];
    const char *base = getenv("BENCH_DIR");
    snprintf(folder, sizeof(folder), "%s/parley-bench-XXXXXX", base ? base : ".");
    if (!mkdtemp(folder))
        die(folder, "cannot be made; set BENCH_DIR");
    snprintf(path, sizeof(path), "%s/policies", folder);
    if (mkdir(path, 0700) != 0)
        die(path, "cannot be made");
    write_file("policies/bench.lua",
               "local history = require \"parley.history\"\n"
               "return { system = \"Be brief.\", history = history.window { keep_turns = 8 },\n"
               "    expiry = { kind = \"sliding\", soft = \"30m\", hard = \"2h\" } }\n");
    write_file("reply.lua", "return function(request) return \"So it is.\" end\n");
}

static parley *open_engine(void)
{
    char store[300], policies[300], script[400];
    snprintf(store, sizeof(store), "sqlite:%s/db", folder);
    snprintf(policies, sizeof(policies), "%s/policies", folder);
    snprintf(script, sizeof(script), "providers.scripted.script=%s/reply.lua", folder);
    const char *settings[] = {script, "providers.scripted.delay_ms=100", "sweep_every=0s", NULL};
    parley_options options = PARLEY_OPTIONS_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    parley *engine;
    options.config = "";
    options.no_environment = 1;
    options.store = store;
    options.policies = policies;
    options.bot = "bench";
    options.settings = settings;
    if (parley_open(&engine, &options, &error) < 0)
        die("engine", error.message);
    return engine;
}

// ---- what is to be swept

static void import_one(parley *e, unsigned n)
{
    char at[32], json[512];
    uint64_t request;
    parley_error error = PARLEY_ERROR_INIT;
    time_t then = time(NULL) - HOURS_AGO * 3600;
    struct tm utc;
    gmtime_r(&then, &utc);
    strftime(at, sizeof(at), "%Y-%m-%dT%H:%M:%SZ", &utc);
    snprintf(json, sizeof(json), "{\"user\":\"old%u\",\"bot\":\"bench\",\"messages\":["
             "{\"role\":\"user\",\"content\":\"I planted tulips.\",\"at\":\"%s\"},"
             "{\"role\":\"assistant\",\"content\":\"Nice.\",\"at\":\"%s\"}]}", n % 100, at, at);
    if (parley_import(e, json, strlen(json), &request, &error) < 0)
        die("import", error.message);
}

static void import_due(parley *e)
{
    parley_event *event;
    unsigned sent = 0;
    for (unsigned over = 0; over < DUE; over++) {
        while (sent < DUE && sent - over < IMPORTS)
            import_one(e, sent++);
        if (parley_wait(e, -1, &event) != 1 || event->type != PARLEY_EVENT_RESULT)
            die("import", event->text);
        parley_event_free(event);
    }
}

// ---- turns

struct turns {
    uint64_t request[PEOPLE];
    double began_ms[PEOPLE];
    double *took_ms;
    unsigned len;
};

static void say(parley *e, struct turns *t, unsigned who)
{
    char user[16];
    parley_message m = PARLEY_MESSAGE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    snprintf(user, sizeof(user), "user%u", who);
    m.user = user;
    m.flags = PARLEY_CONTINUE;
    m.text = "And how is the otter in the river today?";
    t->began_ms[who] = now_ms();
    if (parley_send(e, &m, &t->request[who], &error) < 0)
        die("send", error.message);
}

static unsigned whose(const struct turns *t, uint64_t request)
{
    unsigned who = 0;
    while (who < PEOPLE && t->request[who] != request)
        who++;
    return who;
}

// Turns of everybody, one after the other, until `sweep` is over, or for ALONE_MS without one;
// those that end after that are not counted. Returns how long it was, in ms.
static double talk(parley *e, struct turns *t, bool with_sweep)
{
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t sweep = 0;
    double began = now_ms(), took = 0;
    unsigned under_way = PEOPLE;
    for (unsigned i = 0; i < PEOPLE; i++)
        say(e, t, i);
    if (with_sweep && parley_sweep(e, 0, &sweep, &error) < 0)
        die("sweep", error.message);
    while (under_way > 0) {
        parley_event *event;
        if (parley_wait(e, -1, &event) != 1)
            die("waiting", "no event");
        if (event->type == PARLEY_EVENT_ERROR)
            die("a turn", event->text);
        unsigned who = event->type == PARLEY_EVENT_DONE ? whose(t, event->request) : PEOPLE;
        if (with_sweep ? event->request == sweep : now_ms() - began > ALONE_MS)
            took = took > 0 ? took : now_ms() - began;
        if (who < PEOPLE) {
            t->took_ms[t->len] = now_ms() - t->began_ms[who];
            t->len += t->len < TURNS_MAX - 1;
            if (took > 0)
                under_way--;
            else
                say(e, t, who);
        }
        parley_event_free(event);
    }
    return took;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double percentile(const struct turns *t, unsigned percent)
{
    qsort(t->took_ms, t->len, sizeof(double), by_size);
    return t->len ? t->took_ms[(size_t)(t->len - 1) * percent / 100] : 0;
}

int main(int argc, char **argv)
{
    unsigned rounds = argc > 1 && strcmp(argv[1], "quick") == 0 ? ROUNDS_QUICK : ROUNDS;
    struct turns t[2] = {{.took_ms = malloc(sizeof(double) * TURNS_MAX)},
                         {.took_ms = malloc(sizeof(double) * TURNS_MAX)}};
    char command[300];
    double sweeps_ms = 0;
    if (!t[0].took_ms || !t[1].took_ms)
        die("samples", "out of memory");
    make_folder();
    parley *e = open_engine();
    talk(e, &t[0], false);  // sessions are made, files are warm
    t[0].len = 0;
    for (unsigned i = 0; i < rounds; i++) {
        import_due(e);
        talk(e, &t[0], false);
        sweeps_ms += talk(e, &t[1], true);
    }
    double p99[2] = {percentile(&t[0], 99), percentile(&t[1], 99)};
    printf("turns of %d people who wait 100 ms for a model, %u rounds\n", PEOPLE, rounds);
    printf("  alone             %6u turns, p50 %.1f ms, p99 %.1f ms\n", t[0].len,
           percentile(&t[0], 50), p99[0]);
    printf("  beside a sweep    %6u turns, p50 %.1f ms, p99 %.1f ms; a sweep of %d sessions took "
           "%.0f ms\n", t[1].len, percentile(&t[1], 50), p99[1], DUE, sweeps_ms / rounds);
    printf("  p99 beside a sweep %.2f times that alone (asked: at most 1.2)\n", p99[1] / p99[0]);
    parley_close(e);
    snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    if (system(command) != 0)
        fprintf(stderr, "bench: %s is left behind\n", folder);
    free(t[0].took_ms);
    free(t[1].took_ms);
    return 0;
}
