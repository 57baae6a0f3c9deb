// SPDX-License-Identifier: MIT
// bench_recall_turns.c: what recall adds to a turn of somebody who has said much: CPU time of the
// process, through parley.h, beside the same turns without it, in the same run.
//
// 10,000 turns of 20 sessions are behind, of some 40 words each, out of a vocabulary as skewed as
// talk is. Warm: the index is in memory, and follows with each turn. Cold: an engine that was just
// opened; its first turn loads the segments. The difference to a window of the same size is what
// recall costs, its upkeep included.
//
//   bench_recall_turns [quick]
#include "parley.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { SESSIONS = 20, WORDS = 20, VOCABULARY = 8000, COLD_RUNS = 5, LINE_BYTES = 256 };

static char folder[256];
static unsigned long long seed = 20260101;

static void die(const char *what)
{
    fprintf(stderr, "bench: %s\n", what);
    exit(1);
}

static double cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static unsigned below(unsigned n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)((seed >> 33) % n);
}

static void write_file(const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    if (!f || fputs(text, f) < 0 || fclose(f) != 0)
        die(path);
}

static void make_folder(void)
{
    char path[512];
    const char *base = getenv("BENCH_DIR");
    snprintf(folder, sizeof(folder), "%s/parley-bench-XXXXXX", base ? base : ".");
    if (!mkdtemp(folder))
        die("cannot make a folder here; set BENCH_DIR");
    snprintf(path, sizeof(path), "%s/policies", folder);
    if (mkdir(path, 0700) != 0)
        die(path);
    // The same bot, so that both have the same past: what a user says chooses.
    write_file("policies/bench.lua",
               "return { history = function(view)\n"
               "    local recall = view.text:find('recall', 1, true) and { k = 5 } or nil\n"
               "    return { last = 5, recall = recall }\n"
               "end }\n");
    write_file("reply.lua", "return function() return \"I see. Tell me more about it.\" end\n");
}

static parley *open_engine(void)
{
    parley_options options = PARLEY_OPTIONS_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    char store[512], policies[512], script[600];
    parley *engine;
    snprintf(store, sizeof(store), "sqlite:%s/db", folder);
    snprintf(policies, sizeof(policies), "%s/policies", folder);
    snprintf(script, sizeof(script), "providers.scripted.script=%s/reply.lua", folder);
    const char *settings[] = {script, NULL};
    options.config = "";
    options.no_environment = 1;
    options.store = store;
    options.policies = policies;
    options.bot = "bench";
    options.provider = "scripted";
    options.model = "m";
    options.settings = settings;
    options.workers = 1;
    if (parley_open(&engine, &options, &error) < 0)
        die(error.message);
    return engine;
}

static void wait_end(parley *engine)
{
    for (bool over = false; !over;) {
        parley_event *event;
        if (parley_wait(engine, 60000, &event) != 1)
            die("no event");
        over = event->type >= PARLEY_EVENT_DONE;
        if (event->type == PARLEY_EVENT_ERROR || event->type == PARLEY_EVENT_WARNING)
            die(event->text);
        parley_event_free(event);
    }
}

static void say_words(char *out, size_t size)
{
    size_t n = 0;
    for (int i = 0; i < WORDS; i++) {
        unsigned word = below(1 + below(1 + below(VOCABULARY)));
        n += (size_t)snprintf(out + n, size - n, "%sword%x", i ? " " : "", word);
    }
}

static void import_past(parley *engine, int turns)
{
    size_t cap = (size_t)turns * 2 * (LINE_BYTES + 64) + 256;
    char *json = malloc(cap), line[LINE_BYTES];
    parley_error error = PARLEY_ERROR_INIT;
    for (int s = 0; s < SESSIONS; s++) {
        size_t n = (size_t)snprintf(json, cap, "{\"user\":\"ann\",\"messages\":[");
        for (int m = 0; m < turns / SESSIONS * 2; m++) {
            say_words(line, sizeof(line));
            n += (size_t)snprintf(json + n, cap - n, "%s{\"role\":\"%s\",\"content\":\"%s\"}",
                                  m ? "," : "", m % 2 ? "assistant" : "user", line);
        }
        n += (size_t)snprintf(json + n, cap - n, "]}");
        uint64_t request;
        if (parley_import(engine, json, n, &request, &error) < 0)
            die(error.message);
        wait_end(engine);
    }
    free(json);
}

static void turn(parley *engine, bool recall)
{
    char text[LINE_BYTES + 16];
    parley_message m = PARLEY_MESSAGE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request;
    int n = snprintf(text, sizeof(text), "%s ", recall ? "recall" : "window");
    say_words(text + n, sizeof(text) - (size_t)n);
    m.user = "ann";
    m.text = text;
    m.flags = PARLEY_CONTINUE;
    if (parley_send(engine, &m, &request, &error) < 0)
        die(error.message);
    wait_end(engine);
}

static void settle_index(parley *engine)
{
    parley_scope scope = PARLEY_SCOPE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request;
    scope.user = "ann";
    if (parley_recall(engine, &scope, "word1", 1, &request, &error) < 0)
        die(error.message);
    wait_end(engine);
}

static double warm_ms(parley *engine, bool recall, int turns)
{
    double before = cpu_ms();
    for (int i = 0; i < turns; i++)
        turn(engine, recall);
    return (cpu_ms() - before) / turns;
}

static double cold_ms(bool recall)
{
    double sum = 0;
    for (int i = 0; i < COLD_RUNS; i++) {
        parley *engine = open_engine();
        double before = cpu_ms();
        turn(engine, recall);
        sum += cpu_ms() - before;
        parley_close(engine);
    }
    return sum / COLD_RUNS;
}

int main(int argc, char **argv)
{
    bool quick = argc > 1 && strcmp(argv[1], "quick") == 0;
    int past = quick ? 2000 : 10000, turns = quick ? 40 : 200;
    make_folder();
    parley *engine = open_engine();
    import_past(engine, past);
    double start = cpu_ms();
    settle_index(engine);
    printf("# %d turns of %d sessions; indexed once, from nothing: %.0f ms of CPU\n", past,
           SESSIONS, cpu_ms() - start);
    warm_ms(engine, true, 5);
    double window = warm_ms(engine, false, turns), recall = warm_ms(engine, true, turns);
    double again = warm_ms(engine, false, turns);
    window = window < again ? window : again;
    printf("# a turn, warm: %.2f ms of CPU with recall, %.2f without: recall %.2f (to reach: 5)\n",
           recall, window, recall - window);
    parley_close(engine);
    double cold_window = cold_ms(false), cold_recall = cold_ms(true);
    printf("# a turn, cold: %.2f ms of CPU with recall, %.2f without: recall %.2f (to reach: 30)\n",
           cold_recall, cold_window, cold_recall - cold_window);
    char command[512];
    snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    if (system(command) != 0)
        fprintf(stderr, "bench: %s is left behind\n", folder);
    return 0;
}
