// SPDX-License-Identifier: MIT
// bench_redact_quality.c: how much of what is to be masked is found, and how much else: the cases
// that others wrote (in ../shared; "skipped" without), and sentences made from a seed. A table
// each; exceptions with their reasons.
#include "support/redact_cases.h"
#include "support/redact_sentences.h"

#include <stdio.h>
#include <stdlib.h>

enum { SEED = 1, SENTENCES = 20000 };

static double percent(size_t part, size_t of)
{
    return of ? 100.0 * (double)part / (double)of : 100.0;
}

static void tell_case(const char *id, struct slice text, const char *why)
{
    printf("  not so: %s: %.*s\n          %s\n", id, SLICE_FMT(text), why ? why : "NO REASON");
}

static void tell_sentence(const char *region, struct slice text, const char *why)
{
    (void)why;
    printf("  not so: [%s] %.*s\n", region, SLICE_FMT(text));
}

static void print(const char *what, const struct redact_score *score)
{
    printf("\n%-20s %7s %7s %11s %10s %8s\n", what, "cases", "right", "exceptions", "precision",
           "recall");
    for (size_t i = 0; i < score->n; i++) {
        const struct redact_class *c = &score->of[i];

        printf("%-20s %7zu %7zu %11zu %9.2f%% %7.2f%%\n", c->name, c->cases, c->right, c->excepted,
               percent(c->hits, c->hits + c->extra), percent(c->hits, c->hits + c->missed));
    }
}

// With an argument, the seed, also says which sentences are not as they should be.
int main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : SEED;
    struct redact_score cases = {.tell = tell_case};
    struct redact_score sentences = {.tell = argc > 1 ? tell_sentence : NULL};

    if (redact_cases(&cases))
        print("cases of others", &cases);
    else
        puts("cases of others: skipped, ../shared is not there");
    redact_sentences(&sentences, seed, SENTENCES);
    print("sentences", &sentences);
    return 0;
}
