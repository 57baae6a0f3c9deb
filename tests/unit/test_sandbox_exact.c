// SPDX-License-Identifier: MIT
// test_sandbox_exact.c: where time stands still (simulation), the same script stops at the same
// place with the same fuel: in new states, in states that were used in the same way before, and
// wherever the heap is.
//
// Each probe, the shared ones too, runs in each kind of state; what is compared is the message with
// its line, and the fuel. Addresses, and with them the order of hashes, differ from state to state.
#include "sandbox_probes.h"

// The fuel is a small part of what the backstop in processor time leaves room for.
enum { EXACT_FUEL = 300000, EXACT_MS = 20, HOLES = 64 };

struct outcome {
    int rc;
    int64_t fuel;
    struct err err;
};

// Blocks of many sizes, so that the next state lies elsewhere.
static void move_heap(void *holes[HOLES], unsigned round)
{
    for (unsigned i = 0; i < HOLES; i++)
        holes[i] = mem_alloc(1 + (i + 1) * (i + 7) * (round + 1) * 37 % 20000);
}

static void give_back(void *holes[HOLES])
{
    for (unsigned i = 0; i < HOLES; i++)
        mem_free(holes[i]);
}

static struct outcome run_exact(struct sandbox *s, const char *code)
{
    struct outcome o = {.err = ERR_INIT};

    o.rc = sandbox_call(s, (struct sandbox_budget){.fuel = EXACT_FUEL, .ms = EXACT_MS}, run_chunk,
                        (void *)(uintptr_t)code, &o.err);
    o.fuel = sandbox_used_fuel(s);
    return o;
}

// Each is compared with the one that `as` names.
enum run { NEW, ANOTHER, ELSEWHERE, USED, USED_ELSEWHERE, RUNS };
static const struct {
    const char *name;
    enum run as;
    bool moved, used;
} runs[RUNS] = {
    [NEW] = {"a new state", NEW, false, false},
    [ANOTHER] = {"another", NEW, false, false},
    [ELSEWHERE] = {"one elsewhere", NEW, true, false},
    [USED] = {"a used one", USED, false, true},
    [USED_ELSEWHERE] = {"a used one elsewhere", USED, true, true},
};

struct tally {
    unsigned probes, stopped, by_backstop, differ;
};

static struct outcome run_in(enum run run, const char *code, unsigned round)
{
    struct clock_sim clock;
    void *holes[HOLES] = {NULL};

    clock_sim_init(&clock, 0);
    if (runs[run].moved)
        move_heap(holes, round + run);
    struct sandbox *s = sandbox_in(&clock.clock, 0);
    give_back(holes);
    if (runs[run].used) {
        run_exact(s, "local t = {} for i = 1, 1e6 do t[i % 1000] = 'k' .. i end");
        run_exact(s, code);
        is_sound(s);
    }
    struct outcome o = run_exact(s, code);
    sandbox_free(s);
    return o;
}

// What the backstop ends may be one of these; sandbox.h says why.
static bool is_heavy(const char *code)
{
    static const char *const heavy[] = {
        "local t = function() end for i = 1, 3000 do t = setmetatable({}, {__call = t}) end",
        "local n = select('#', ...) end end f(table.unpack(t))",
        "for i = 1, 1900 do t = setmetatable({}, {__index = t}) end",
        "local w = setmetatable({}, {__mode = 'k'}) local k = {} for i = 1, 1e4",
    };

    for (size_t i = 0; i < COUNT_OF(heavy); i++)
        if (strstr(code, heavy[i]))
            return true;
    return false;
}

static void check_probe(const char *code, struct tally *tally)
{
    struct outcome of[RUNS];
    bool by_backstop = false;

    for (enum run run = NEW; run < RUNS && !by_backstop; run++) {
        enum run as = runs[run].as;

        of[run] = run_in(run, code, tally->probes);
        by_backstop = strstr(of[run].err.message, "ran longer") != NULL;
        if (by_backstop ? is_heavy(code)
                        : of[run].fuel == of[as].fuel &&
                              strcmp(of[run].err.message, of[as].err.message) == 0)
            continue;
        tally->differ++;
        fprintf(stderr, "%s\n  in %s %lld units, '%s'\n  in %s %lld, '%s'\n", code, runs[as].name,
                (long long)of[as].fuel, of[as].err.message, runs[run].name,
                (long long)of[run].fuel, of[run].err.message);
    }
    tally->probes++;
    tally->by_backstop += by_backstop;
    tally->stopped += strstr(of[NEW].err.message, "stopped") != NULL;
}

static void check_shared(struct tally *tally)
{
    struct buf text = BUF_INIT(1 << 20), code = BUF_INIT(1 << 20);
    struct json_doc doc = JSON_DOC_INIT;
    struct json_iter it = {0};
    struct json key, item;
    const char *dir = getenv("PARLEY_SHARED");
    char path[1024];

    snprintf(path, sizeof(path), "%s/cases/lua/sandbox.json", dir ? dir : "../shared");
    if (source_read(path, &text, NULL) == E_OK) {
        assert_int_equal(json_parse(&doc, buf_slice(&text), 0, NULL), E_OK);
        while (json_next(json_get(json_root(&doc), "cases"), &it, &key, &item)) {
            buf_clear(&code);
            json_string(json_get(item, "code"), &code);
            check_probe(code.ptr, tally);
        }
    }
    json_doc_release(&doc);
    buf_release(&text);
    buf_release(&code);
}

static void test_sandbox_exact__probes(void **state)
{
    struct tally tally = {0};

    (void)state;
    check_shared(&tally);
    for (size_t i = 0; i < COUNT_OF(endless); i++)
        check_probe(endless[i].code, &tally);
    printf("# summary: sandbox, exact: %u probes in %d states each, %u of them stopped: by the "
           "backstop %u, differ %u\n", tally.probes, RUNS, tally.stopped, tally.by_backstop,
           tally.differ);
    assert_int_equal(tally.differ, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sandbox_exact__probes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
