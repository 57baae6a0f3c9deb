// SPDX-License-Identifier: MIT
// bench_calibration.c: how far an estimate is from what would be billed, before and after
// calibration. A public vocabulary is taken for one that is not: what its encoder counts is the
// bill. Every dialogue is a session that sends all of its history with each message of the user,
// and a user of its own; half of them are learned from, the others are judged: by
// the prior, by what was learned, and within a session from its last request on, as turn/gauge.c
// does it.
//
// Needs ../shared (cases/dialogues, cases/memory); says "skipped" without.
#include "base/mem.h"
#include "bench/locomo.h"
#include "tokens/tokens.h"
#include "turn/gauge.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OVERHEAD_TOKENS = 3 };  // what a request has beyond its messages

// What is told of one half of the requests.
struct judged {
    uint64_t requests, covered;
    double error, slack;  // sums of shares of the bill
};

struct corpus {
    const char *name;
    const struct encoding *encoding;
    unsigned percent;            // of its tokens are billed
    struct calibration *learned, prior;
    struct judged before, after, anchored;
    uint64_t estimated, billed;  // of the dialogue under way
    uint64_t last_estimated, last_billed;
    unsigned dialogues;
};

// from_…: what is known to begin with, by our estimate, and as it was billed.
static void judge(struct judged *j, const struct calibration *c, uint64_t from_estimated,
                  uint64_t from_billed, uint64_t estimated, uint64_t billed)
{
    uint64_t more = estimated - from_estimated;
    uint64_t margin = from_billed ? more * GAUGE_MORE_PERCENT / 100 : 0;
    double likely = (double)(from_billed + calibration_likely(c, more));
    double most = (double)(from_billed + calibration_most(c, more + margin));

    j->requests++;
    j->covered += most >= (double)billed;
    j->error += fabs(likely / (double)billed - 1);
    j->slack += most / (double)billed - 1;
}

static void message(struct corpus *c, bool user, struct slice text)
{
    c->estimated += TOKENS_PER_MESSAGE + tokens_estimate(text);
    c->billed += TOKENS_PER_MESSAGE + tokens_count(c->encoding, text);
    uint64_t billed = (c->billed + OVERHEAD_TOKENS) * c->percent / 100;
    if (!user || c->estimated < CALIBRATION_TOKENS_MIN)
        return;
    if (c->dialogues % 2 == 0) {
        calibration_observe(c->learned, c->estimated, billed, CALIBRATION_WEIGHT);
        return;
    }
    judge(&c->before, &c->prior, 0, 0, c->estimated, billed);
    judge(&c->after, c->learned, 0, 0, c->estimated, billed);
    if (c->last_billed)
        judge(&c->anchored, c->learned, c->last_estimated, c->last_billed, c->estimated, billed);
    c->last_estimated = c->estimated;
    c->last_billed = billed;
}

static void next_dialogue(struct corpus *c)
{
    c->dialogues++;
    c->estimated = c->billed = c->last_estimated = c->last_billed = 0;
}

static void line(const char *name, const char *when, const struct judged *j)
{
    double n = j->requests ? (double)j->requests : 1;

    printf("#   %-14s %s: median off by %4.1f %%; upper quantile holds %5.1f %% of %6llu requests, "
           "%4.1f %% above the bill\n",
           name, when, 100 * j->error / n, 100 * (double)j->covered / n,
           (unsigned long long)j->requests, 100 * j->slack / n);
}

// ---- the dialogues

// {"turns":[{"r":"user","t":"…"}]}, or {"traj":[{"role":"user","content":"…"}]}
static void read_dialogue(struct corpus *c, struct json root)
{
    struct json turns = json_get(root, "turns"), turn;
    struct json_iter it = {0};
    struct buf scratch = BUF_INIT(1 << 20);
    bool traj = json_type(turns) != JSON_ARRAY;

    next_dialogue(c);
    while (json_next(traj ? json_get(root, "traj") : turns, &it, NULL, &turn)) {
        struct json role = json_get(turn, traj ? "role" : "r");
        struct json calls = json_get(turn, "tool_calls");
        struct slice text = json_text(json_get(turn, traj ? "content" : "t"), &scratch);
        message(c, json_is_string(role, "user") || json_is_string(role, "tool"),
                text.ptr ? text : SLICE_NONE);
        if (json_type(calls) == JSON_ARRAY)
            message(c, false, json_raw(calls));
    }
    buf_release(&scratch);
}

static bool read_lines(struct corpus *c, const char *file)
{
    struct json_doc doc = JSON_DOC_INIT;
    size_t len;
    char *all = shared_read(file, &len);

    for (char *at = all; at && *at;) {
        char *end = strchr(at, '\n');
        size_t n = end ? (size_t)(end - at) : strlen(at);
        if (n && json_parse(&doc, slice_of(at, n), 0, NULL) == E_OK)
            read_dialogue(c, json_root(&doc));
        at += n + (end != NULL);
    }
    json_doc_release(&doc);
    free(all);
    return all != NULL;
}

static bool read_locomo(struct corpus *c)
{
    struct locomo l = {0};

    if (!locomo_load(&l))
        return false;
    for (uint32_t i = 0; i < l.len; i++) {
        const struct locomo_conv *conv = &l.convs[i];
        next_dialogue(c);
        for (uint32_t t = 0; t < conv->turns_len; t++) {
            // A session of theirs is a dialogue.
            if (t && strcmp(conv->turns[t].session, conv->turns[t - 1].session) != 0)
                next_dialogue(c);
            message(c, t % 2 == 0, slice_str(conv->turns[t].text));
        }
    }
    return true;
}

static bool read_corpus(struct corpus *c)
{
    if (strcmp(c->name, "chat (LoCoMo)") == 0)
        return read_locomo(c);
    return read_lines(c, strcmp(c->name, "tasks (SGD)") == 0 ? "dialogues/sgd_dev.jsonl.gz"
                                                             : "dialogues/tau_airline.jsonl.gz");
}

static void measure(const char *encoding, unsigned percent)
{
    static const char *const names[] = {"tasks (SGD)", "tools (tau)", "chat (LoCoMo)"};

    printf("# %s, taken for a vocabulary that is not public%s\n", encoding,
           percent == 100 ? "" : ", with 30 % more tokens");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct calibration learned;
        struct corpus c = {.name = names[i],
                           .encoding = encoding_find(slice_str(encoding)),
                           .percent = percent,
                           .learned = &learned};

        calibration_init(&c.prior);
        calibration_init(&learned);
        if (!read_corpus(&c)) {
            printf("#   %s: skipped: no ../shared\n", names[i]);
            continue;
        }
        line(names[i], "before    ", &c.before);
        line(names[i], "after     ", &c.after);
        line(names[i], "in session", &c.anchored);
    }
}

int main(void)
{
    measure("cl100k_base", 100);
    measure("o200k_base", 100);
    // As the newest vocabularies of Anthropic's have (tokens/calibration.h).
    measure("o200k_base", 130);
    return 0;
}
