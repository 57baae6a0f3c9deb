// SPDX-License-Identifier: MIT
// bench_plan.c: what planning a turn costs when much is behind: the policy's history hook, which
// turns are sent, and the request made of them; CPU time of this thread. Not in it: recall
// (bench_recall_turns has it), and the bytes of the request, which are told beside it.
//
// 10,000 turns of one session, loaded, each message counted and rendered once, as in a session that
// is live. "full" sends all of them; the others what they choose. For the custom function, the
// view of all turns is open.
//
//   bench_plan [quick]
//   bench_plan plans STRATEGY COUNT     nothing but so many plans, one after the other (callgrind)
//   bench_plan trim FILE TOKENS         the newest messages of FILE ({"system":…,"messages":[…]})
//                                       within so many tokens: ms, messages that are left, ms
//                                       of counting all of them once (bench_plan.sh)
#include "turn/choose.h"

#include "lua/lua_room.h"
#include "turn/recorded.h"

#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { TURNS = 10000, RUNS = 41, TRIM_RUNS = 2000, FILE_BYTES_MAX = 64 << 20 };

static const char SAID[] = "What was it that you told me of the otter in the river, and of the "
                           "heron that stood there all morning? I could not find it again.";
static const struct llm_caps CAPS = {.window_tokens = 4000000, .output_tokens_max = 4096};

struct strategy {
    const char *name, *policy;
};
static const struct strategy STRATEGIES[] = {
    {"full", "history.full()"},
    {"truncate", "history.truncate { budget_tokens = 100000 }"},
    {"window", "history.window { keep_turns = 20, pin_first = 2 }"},
    {"summarise", "history.summarise { keep_turns = 20 }"},
    {"recall", "history.recall { k = 5, keep_turns = 5 }"},
    {"hybrid", "history.hybrid { keep_turns = 20, recall = 5 }"},
    {"custom", "function(view) return { last = 10, slack = view.turn % 2, pin = { 3, 7 } } end"},
};
enum { STRATEGIES_LEN = sizeof(STRATEGIES) / sizeof(STRATEGIES[0]) };

struct world {
    struct chat chat;
    struct live live;
    struct job job;
    struct worker worker;
    struct run run;
    struct lua_env env;
    struct lua_loader *loader;
    char folder[64];
};

__attribute__((noreturn)) static void die(const char *what)
{
    fprintf(stderr, "bench: %s\n", what);
    exit(1);
}

static double cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// ---- the session

static void make_turns(struct chat *chat, uint32_t turns)
{
    const struct safe_text said = {SAID, sizeof(SAID) - 1};
    chat->turns = mem_zalloc((turns + 1) * sizeof(*chat->turns));
    for (uint32_t n = 1; n <= turns + 1; n++) {
        struct turn *t = &chat->turns[n - 1];
        bool open = n > turns;
        *t = (struct turn){.n = n, .status = open ? TURN_OPEN : TURN_DONE,
                           .steps_len = open ? 1 : 2};
        t->steps = mem_zalloc(2 * sizeof(*t->steps));
        for (uint32_t i = 0; i < t->steps_len; i++) {
            t->steps[i].role = i ? ROLE_ASSISTANT : ROLE_USER;
            t->steps[i].tokens = 30;
            if (content_make_text(&t->steps[i].content, said, NULL))
                die("out of memory");
        }
        if (!open) {
            snprintf(t->provider, sizeof(t->provider), "openai");
            snprintf(t->model, sizeof(t->model), "m");
        }
    }
    chat->first = 1;
    chat->turns_len = chat->head.turns = turns + 1;
    chat->system_loaded = true;
}

static void make_world(struct world *w, uint32_t turns)
{
    make_turns(&w->chat, turns);
    w->live.chat = &w->chat;
    w->run.live = &w->live;
    w->run.w = &w->worker;
    w->run.job = &w->job;
    w->worker.env.clock = clock_system();
    w->run.turn = turns + 1;
    w->run.text_tokens = 30;
    w->run.caps = CAPS;
    w->run.gap_ms = 60000;
    snprintf(w->run.provider, sizeof(w->run.provider), "openai");
    snprintf(w->run.model, sizeof(w->run.model), "m");
    context_init(&w->run.context);
}

static struct policy *load_policy(struct world *w, const struct strategy *s)
{
    char path[128], command[160];
    struct policy *policy = NULL;
    struct err err = ERR_INIT;
    snprintf(w->folder, sizeof(w->folder), "/tmp/parley-bench-XXXXXX");
    if (!mkdtemp(w->folder))
        die("cannot make a folder");
    snprintf(path, sizeof(path), "%s/small.lua", w->folder);
    FILE *f = fopen(path, "w");
    if (!f || fprintf(f, "local history = require \"parley.history\"\nreturn { history = %s }\n",
                      s->policy) < 0 || fclose(f) != 0)
        die(path);
    w->env = (struct lua_env){.policies_dir = w->folder, .clock = clock_system()};
    w->env.limits = (struct lua_limits){.hook_ms = 5000, .load_ms = 5000};
    if (lua_loader_new(&w->loader, &w->env, &err))
        die(err.message);
    struct policy_loader ops = lua_loader_ops(w->loader);
    if (ops.load(ops.self, "small", &policy, &err))
        die(err.message);
    snprintf(command, sizeof(command), "rm -rf '%s'", w->folder);
    if (system(command) != 0)
        fprintf(stderr, "bench: %s is left behind\n", w->folder);
    return policy;
}

// ---- planning

static void plan_once(struct world *w)
{
    struct run *run = &w->run;
    struct policy_view view;
    struct err err = ERR_INIT;
    turn_view(run, &view);
    if (run->policy->ops->history(run->policy, &view, &run->plan, &err))
        die(err.message);
    if (context_first_needed(run) < w->chat.first)
        die("not all is loaded");
    if (context_assemble(run, &err))
        die(err.message);
}

static void render(struct world *w, struct buf *out)
{
    struct err err = ERR_INIT;
    buf_clear(out);
    if (llm_render(LLM_OPENAI, &w->run.caps, &w->run.request, out, &err))
        die(err.message);
}

static void measure(struct world *w, const struct strategy *s, int runs)
{
    double plans[RUNS], bodies[RUNS];
    struct buf out = BUF_INIT(FILE_BYTES_MAX);
    w->run.policy = load_policy(w, s);
    w->chat.head.cut = (struct history_cut){0};
    plan_once(w);
    render(w, &out);
    w->chat.head.cut = *w->run.settle.cut;
    for (int i = 0; i < runs; i++) {
        double start = cpu_ms();
        plan_once(w);
        double planned = cpu_ms();
        render(w, &out);
        plans[i] = planned - start;
        bodies[i] = cpu_ms() - planned;
    }
    qsort(plans, (size_t)runs, sizeof(plans[0]), by_size);
    qsort(bodies, (size_t)runs, sizeof(bodies[0]), by_size);
    printf("# %-9s %6u turns sent: planned in %.3f ms of CPU, the worst of %d %.3f (to reach: 2); "
           "its %zu bytes in %.3f ms\n",
           s->name, w->run.context.sent, plans[runs / 2], runs, plans[runs - 1], out.len,
           bodies[runs / 2]);
    buf_release(&out);
    policy_unref(w->run.policy);
    lua_loader_free(w->loader);
}

static void plans(struct world *w, const char *name, int count)
{
    for (size_t i = 0; i < STRATEGIES_LEN; i++) {
        if (strcmp(STRATEGIES[i].name, name) != 0)
            continue;
        w->run.policy = load_policy(w, &STRATEGIES[i]);
        for (; count > 0; count--) {
            plan_once(w);
            w->chat.head.cut = *w->run.settle.cut;
        }
        policy_unref(w->run.policy);
        lua_loader_free(w->loader);
        return;
    }
    die("no such strategy");
}

// ---- trimming, beside others

static void read_file(const char *path, struct buf *out)
{
    FILE *f = fopen(path, "rb");
    char piece[65536];
    size_t n;
    if (!f)
        die(path);
    while ((n = fread(piece, 1, sizeof(piece), f)) > 0)
        buf_add(out, piece, n);
    fclose(f);
}

// The cut whose low mark is `tokens`: of turns that are counted once, when they are stored.
static void trim(const char *path, uint64_t tokens)
{
    struct buf text = BUF_INIT(FILE_BYTES_MAX), scratch = BUF_INIT(FILE_BYTES_MAX);
    struct json_doc doc = JSON_DOC_INIT;
    struct recorded recorded;
    struct err err = ERR_INIT;
    const struct encoding *encoding = encoding_find(SLICE_LIT("o200k_base"));
    read_file(path, &text);
    if (json_parse(&doc, buf_slice(&text), 0, &err))
        die(err.message);
    recorded_init(&recorded, NULL);
    recorded.encoding = encoding;
    if (recorded_read(&recorded, json_get(json_root(&doc), "messages"), 0, 1, &err))
        die(err.message);
    struct slice system = json_text(json_get(json_root(&doc), "system"), &scratch);
    tokens -= tokens_count(encoding, system) + TOKENS_PER_MESSAGE;

    struct chat chat = {.turns = recorded.turns.ptr, .first = 1};
    struct history_plan plan;
    struct history_cut none = {0};
    struct context c = {.turn_tokens_max = UINT64_MAX};
    chat.turns_len = chat.head.turns = (uint32_t)recorded.turns.len;
    history_plan_full(&plan);
    double start = cpu_ms();
    for (int i = 0; i < TRIM_RUNS; i++)
        choose_turns(&c, &chat, &plan, &none, chat.head.turns + 1, tokens * 2);
    double ms = (cpu_ms() - start) / TRIM_RUNS;
    // What is paid once in the life of a message.
    start = cpu_ms();
    for (uint32_t n = 1; n <= chat.head.turns; n++) {
        for (uint32_t i = 0; i < chat.turns[n - 1].steps_len; i++)
            tokens_of_content(encoding, &chat.turns[n - 1].steps[i].content);
    }
    double counted = cpu_ms() - start;
    uint64_t messages = 0;
    for (uint32_t n = c.first; n <= chat.head.turns; n++)
        messages += chat.turns[n - 1].steps_len;
    printf("%.6f %llu %.3f\n", ms, (unsigned long long)messages, counted);
    recorded_release(&recorded);
    json_doc_release(&doc);
    buf_release(&text);
    buf_release(&scratch);
}

int main(int argc, char **argv)
{
    static struct world w;
    if (argc == 4 && strcmp(argv[1], "trim") == 0) {
        trim(argv[2], strtoull(argv[3], NULL, 10));
        return 0;
    }
    bool quick = argc == 2 && strcmp(argv[1], "quick") == 0;
    make_world(&w, TURNS);
    if (argc == 4 && strcmp(argv[1], "plans") == 0) {
        plans(&w, argv[2], atoi(argv[3]));
        return 0;
    }
    printf("# planning a turn over %d turns of history, without recall\n", TURNS);
    for (size_t i = 0; i < STRATEGIES_LEN; i++)
        measure(&w, &STRATEGIES[i], quick ? 5 : RUNS);
    return 0;
}
