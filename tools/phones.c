// SPDX-License-Identifier: MIT
// phones.c: a build tool. Makes one automaton (engine/redact/phone_plan.h) out of the numbering
// plans in scripts/phones/plans.txt.
//
//   phones plans.txt > phones.c
//
// Patterns become a graph of steps (Thompson's construction); sets of steps become states, of which
// equal ones are made once. All languages are finite, so the automaton is built from its ends and
// is minimal as it stands.
#include "redact/phone_plan.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS_MAX = 1 << 19, STATES_MAX = PHONE_STATE_MASK, SETS_MAX = 1 << 17, NONE = -1 };
enum { LINE_BYTES = 1 << 14, PLANS_MAX = 512, ALL_DIGITS = 0x3ff };

static _Noreturn void die(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("phones: ", stderr);
    vfprintf(stderr, format, args);
    fputs("\n", stderr);
    exit(1);
}

// ---- the graph: a step takes one of its digits (or none if it has no digits) to a, or to b

struct step {
    unsigned digits;
    int a, b;
};
static struct step steps[STEPS_MAX];
static int steps_n;

static int step(unsigned digits, int a, int b)
{
    if (steps_n == STEPS_MAX)
        die("more than %d steps", STEPS_MAX);
    steps[steps_n] = (struct step){digits, a, b};
    return steps_n++;
}

// A part of a pattern: from `in` to `out`, a step without digits that leads nowhere yet.
struct part {
    int in, out;
};

static struct part alternatives(const char **at);

static unsigned digit_class(const char **at)
{
    unsigned digits = 0;

    for ((*at)++; **at != ']'; (*at)++) {
        int first = **at - '0', last = first;

        if ((*at)[1] == '-') {
            *at += 2;
            last = **at - '0';
        }
        if (first < 0 || last > 9 || first > last)
            die("not a class: %s", *at);
        for (int d = first; d <= last; d++)
            digits |= 1u << d;
    }
    (*at)++;
    return digits;
}

static struct part atom(const char **at)
{
    unsigned digits;

    if (strncmp(*at, "(?:", 3) == 0) {
        *at += 3;
        struct part inner = alternatives(at);
        if (**at != ')')
            die("no closing bracket: %s", *at);
        (*at)++;
        return inner;
    }
    if (**at == '[') {
        digits = digit_class(at);
    } else if (strncmp(*at, "\\d", 2) == 0) {
        digits = ALL_DIGITS;
        *at += 2;
    } else if (**at >= '0' && **at <= '9') {
        digits = 1u << (**at - '0');
        (*at)++;
    } else {
        die("not a pattern: %s", *at);
    }
    int out = step(0, NONE, NONE);
    return (struct part){step(digits, out, NONE), out};
}

static struct part optional(struct part p)
{
    return (struct part){step(0, p.in, p.out), p.out};
}

static struct part then(struct part p, struct part q)
{
    steps[p.out].a = q.in;
    return (struct part){p.in, q.out};
}

// An atom and how often it stands: "?", "{2}", "{2,5}". It is read once for each time.
static struct part repeated(const char **at)
{
    const char *again = *at;
    struct part whole = atom(at);
    int least = 1, most = 1, read = 0;

    if (**at == '?') {
        (*at)++;
        return optional(whole);
    }
    if (**at != '{')
        return whole;
    if (sscanf(*at, "{%d}%n", &least, &read) == 1 && read)
        most = least;
    else if (sscanf(*at, "{%d,%d}%n", &least, &most, &read) != 2 || !read)
        die("not a count: %s", *at);
    if (least < 0 || most < 1 || most < least)
        die("not a count: %s", *at);
    *at += read;
    if (least == 0)
        whole = optional(whole);
    for (int i = 1; i < most; i++) {
        const char *copy = again;
        struct part p = atom(&copy);

        whole = then(whole, i < least ? p : optional(p));
    }
    return whole;
}

static struct part alternatives(const char **at)
{
    int empty = step(0, NONE, NONE);
    struct part whole = {NONE, step(0, NONE, NONE)};

    for (;;) {
        struct part p = {empty, empty};

        if (**at && **at != '|' && **at != ')')
            p = repeated(at);
        while (**at && **at != '|' && **at != ')')
            p = then(p, repeated(at));
        steps[p.out].a = whole.out;
        whole.in = whole.in == NONE ? p.in : step(0, p.in, whole.in);
        if (**at != '|')
            return whole;
        (*at)++;
    }
}

// Adds what a pattern leads to `to` by to the choice that begins at `choice`.
static int or_pattern(int choice, const char *pattern, int to)
{
    const char *at = pattern;
    struct part p = alternatives(&at);

    if (*at)
        die("what is this: %s", at);
    steps[p.out].a = to;
    return step(0, p.in, choice);
}

// ---- sets of steps, and the states that they are

struct set {
    int *of;  // steps that take digits, and `accept`; in order
    int n;
    int state;  // with PHONE_ACCEPTS
};
static struct set sets[SETS_MAX];
static struct phone_state states[STATES_MAX];
static int sets_n, states_n = 1, accept;

static unsigned hash_of(const void *bytes, size_t len)
{
    unsigned h = 2166136261u;

    for (size_t i = 0; i < len; i++)
        h = (h ^ ((const unsigned char *)bytes)[i]) * 16777619u;
    return h;
}

static int by_number(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

static int mark[STEPS_MAX], mark_now;
static void reach(int at, int *out, int *n)
{
    while (at != NONE && mark[at] != mark_now) {
        mark[at] = mark_now;
        if (steps[at].digits || at == accept) {
            out[(*n)++] = at;
            return;
        }
        reach(steps[at].b, out, n);
        at = steps[at].a;
    }
}

static int state_made(const struct phone_state *s)
{
    static int table[1 << 16];
    unsigned h = hash_of(s, sizeof(*s)) & 0xffff;

    for (; table[h]; h = (h + 1) & 0xffff)
        if (memcmp(&states[table[h]], s, sizeof(*s)) == 0)
            return table[h];
    if (states_n == STATES_MAX)
        die("more than %d states", STATES_MAX);
    states[states_n] = *s;
    return table[h] = states_n++;
}

// The state of a set that is reached from steps from[0..n).
static int state_of(const int *from, int n)
{
    static int table[1 << 18], found[STEPS_MAX];
    static const struct phone_state nowhere;
    struct phone_state s = nowhere;
    int len = 0;

    mark_now++;
    for (int i = 0; i < n; i++)
        reach(from[i], found, &len);
    if (len == 0)
        return 0;
    qsort(found, (size_t)len, sizeof(int), by_number);
    unsigned h = hash_of(found, (size_t)len * sizeof(int)) & 0x3ffff;
    for (; table[h]; h = (h + 1) & 0x3ffff) {
        const struct set *known = &sets[table[h]];

        if (known->n == len && memcmp(known->of, found, (size_t)len * sizeof(int)) == 0)
            return known->state;
    }
    if (++sets_n == SETS_MAX)
        die("more than %d sets", SETS_MAX);
    struct set *set = &sets[table[h] = sets_n];
    int *next = malloc((size_t)len * sizeof(int));

    set->of = malloc((size_t)len * sizeof(int));
    if (!set->of || !next)
        die("out of memory");
    memcpy(set->of, found, (size_t)len * sizeof(int));
    set->n = len;
    for (int d = 0; d < 10; d++) {
        int nexts = 0;

        for (int i = 0; i < len; i++)
            if (steps[set->of[i]].digits & 1u << d)
                next[nexts++] = steps[set->of[i]].a;
        s.to[d] = (uint16_t)state_of(next, nexts);
    }
    free(next);
    set->state = memcmp(&s, &nowhere, sizeof(s)) == 0 ? 0 : state_made(&s);
    for (int i = 0; i < len; i++)
        if (set->of[i] == accept)
            set->state |= PHONE_ACCEPTS;
    return set->state;
}

// ---- the file

struct region {
    char iso[3];
    char always;  // the first digit of its trunk, if that is never left out; else 0
    int code, in, abroad;
};
static struct region regions[PLANS_MAX];
static int regions_n, world, common;

// Regions whose national numbers are looked for where no region is configured: "common GB FR …".
static void read_common(char *value)
{
    for (char *iso = strtok(value, " "); iso; iso = strtok(NULL, " ")) {
        int i = 0;

        while (i < regions_n && strcmp(regions[i].iso, iso) != 0)
            i++;
        if (i == regions_n)
            die("no region %s", iso);
        steps[common].b = step(0, regions[i].in, steps[common].b);
    }
}

static void read_plans(FILE *f)
{
    static char line[LINE_BYTES];
    char code[8] = "";
    int numbers = NONE, in_world = NONE;
    bool main_region = false;
    struct region *region = NULL;

    while (fgets(line, sizeof(line), f)) {
        char *value = strchr(line, ' ');

        line[strcspn(line, "\n")] = 0;
        if (*line == '#' || !*line)
            continue;
        if (!value)
            die("no value: %s", line);
        *value++ = 0;
        if (strcmp(line, "plan") == 0) {
            snprintf(code, sizeof(code), "%s", value);
            numbers = step(0, NONE, NONE);
            in_world = step(0, numbers, NONE);
            steps[world].b = or_pattern(steps[world].b, code, in_world);
            region = NULL;
        } else if (strcmp(line, "common") == 0) {
            read_common(value);
        } else if (numbers == NONE) {
            die("no plan yet: %s", line);
        } else if (strcmp(line, "number") == 0) {
            steps[numbers].b = or_pattern(steps[numbers].b, value, accept);
        } else if (strcmp(line, "region") == 0) {
            if (regions_n == PLANS_MAX || strlen(value) != 2)
                die("region %s: too many, or not a code", value);
            main_region = region == NULL;
            region = &regions[regions_n++];
            memcpy(region->iso, value, sizeof(region->iso));
            region->code = atoi(code);
            region->in = step(0, numbers, NONE);
            region->abroad = step(0, NONE, NONE);
        } else if (!region) {
            die("no region yet: %s", line);
        } else if (strcmp(line, "trunk") == 0) {
            steps[region->in].b = or_pattern(steps[region->in].b, value, numbers);
            if (main_region)  // "+44 (0)20 7946 0018"
                steps[in_world].b = or_pattern(steps[in_world].b, value, numbers);
        } else if (strcmp(line, "always") == 0) {
            region->always = *value;
        } else if (strcmp(line, "instead") == 0) {
            steps[region->in].b = or_pattern(steps[region->in].b, value, accept);
        } else if (strcmp(line, "abroad") == 0) {
            steps[region->abroad].b = or_pattern(steps[region->abroad].b, value, accept);
        } else {
            die("what is this: %s", line);
        }
    }
}

static int by_iso(const void *a, const void *b)
{
    return strcmp(((const struct region *)a)->iso, ((const struct region *)b)->iso);
}

int main(int argc, char **argv)
{
    FILE *f = argc == 2 ? fopen(argv[1], "r") : NULL;

    if (!f)
        die("usage: phones plans.txt");
    accept = step(0, NONE, NONE);
    world = step(0, NONE, NONE);
    common = step(0, NONE, NONE);
    read_plans(f);
    if (ferror(f))
        die("%s: cannot be read", argv[1]);
    fclose(f);
    qsort(regions, (size_t)regions_n, sizeof(*regions), by_iso);
    int world_state = state_of(&world, 1), common_state = state_of(&common, 1);

    puts("// Made by tools/phones.c out of scripts/phones/plans.txt.\n"
         "#include \"redact/phone_plan.h\"\n\nconst struct phone_plan phone_plans[] = {");
    for (int i = 0; i < regions_n; i++)
        printf("    {\"%s\", %d, %d, %d, %d},\n", regions[i].iso, regions[i].always,
               regions[i].code,
               state_of(&regions[i].in, 1) & PHONE_STATE_MASK,
               state_of(&regions[i].abroad, 1) & PHONE_STATE_MASK);
    printf("};\nconst size_t phone_plans_len = %d;\nconst uint16_t phone_world = %d;\n"
           "const uint16_t phone_common = %d;\n",
           regions_n, world_state & PHONE_STATE_MASK, common_state & PHONE_STATE_MASK);
    puts("const struct phone_state phone_states[] = {");
    for (int i = 0; i < states_n; i++) {
        fputs("    {{", stdout);
        for (int d = 0; d < 10; d++)
            printf("%d%s", states[i].to[d], d < 9 ? "," : "}},\n");
    }
    puts("};");
    return fflush(stdout) ? 1 : 0;
}
