// SPDX-License-Identifier: MIT
// bench_gate.c: the gate of facts is linear in what it reads: twice the message, twice the
// instructions, for messages made of what looks worst for it. They are counted by callgrind, in a
// process for each; nothing is timed. Fails over RATIO_MAX.
//
//   bench_gate                 all of it
//   bench_gate read KIND SIZE  one message, read and judged
#include "memory/gate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SMALL = 8000 };
static const double RATIO_MAX = 2.1;

static const char *const kinds[] = {
    "I live in Lisbon. ", "I live in Lisbon ", "\"", "'a' ", "> x\n", "```\n", "jk. ", "- a\n",
    "Translate this. ", "Bob: ", "I live in Lisbon, and ", "<a>", "you are a you re a ", "a\n\n",
    "role-", "[EMAIL_1", "i ", "Lisbon ", ". *a", "(0:", "my friend said I ", "aaaaaaaaaaaaaaaaaaa",
    "aaa - ", "x, from a", "this is what ", "la la ", "remember that I ", "a> b $ c --d ",
};
enum { KINDS = sizeof(kinds) / sizeof(*kinds) };

static int read_one(unsigned kind, size_t size)
{
    char *text = malloc(size + 1);
    size_t len = strlen(kinds[kind % KINDS]);
    struct gate_verdict v;
    struct gate *g;

    if (!text)
        return 1;
    for (size_t i = 0; i < size; i++)
        text[i] = kinds[kind % KINDS][i % len];
    const struct gate_source source = {.text = slice_of(text, size)};
    const struct gate_claim claim = {.subject = SLICE_LIT("user"),
                                     .predicate = SLICE_LIT("lives_in"),
                                     .value = SLICE_LIT("Lisbon")};
    int code = gate_open(&g, &source, NULL);
    if (!code)
        code = gate_judge(g, &claim, &v, NULL);
    gate_close(g);
    free(text);
    return code != 0;
}

static double instructions(const char *self, unsigned kind, size_t size)
{
    char command[512];
    double n = 0;

    snprintf(command, sizeof(command),
             "valgrind --tool=callgrind --callgrind-out-file=/dev/null '%s' read %u %zu 2>&1 | "
             "sed -n 's/.*Collected : *//p'", self, kind, size);
    FILE *f = popen(command, "r");
    if (f) {
        if (fscanf(f, "%lf", &n) != 1)
            n = 0;
        pclose(f);
    }
    return n;
}

int main(int argc, char **argv)
{
    double worst = 0;
    int failed = 0;

    if (argc == 4 && strcmp(argv[1], "read") == 0)
        return read_one((unsigned)atoi(argv[2]), strtoul(argv[3], NULL, 10));
    if (system("command -v valgrind >/dev/null") != 0) {
        printf("# without valgrind instructions are not counted\n");
        return 0;
    }
    for (unsigned kind = 0; kind < KINDS; kind++) {
        double none = instructions(argv[0], kind, 1);
        double once = instructions(argv[0], kind, SMALL) - none;
        double twice = instructions(argv[0], kind, 2 * SMALL) - none;
        double ratio = once > 0 ? twice / once : 0;

        failed |= ratio > RATIO_MAX || ratio <= 0;
        worst = ratio > worst ? ratio : worst;
    }
    printf("# gate: %d kinds of messages, %d and %d bytes: instructions times %.2f at most "
           "(allowed: %.1f)\n", (int)KINDS, SMALL, 2 * SMALL, worst, RATIO_MAX);
    return failed;
}
