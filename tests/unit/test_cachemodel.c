// SPDX-License-Identifier: MIT
// test_cachemodel.c: the model of a provider's prompt cache against an oracle that keeps every
// prefix as it is and compares unit by unit; and the figures of one conversation by hand.
#include "tokens/cachemodel.h"

#include "base/rand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
// after the headers that it needs
#include <cmocka.h>

enum { UNITS_MAX = 24, WRITTEN_MAX = 4096, ROUNDS = 300, REQUESTS = 60 };

// ---- the oracle

struct written {
    uint64_t ids[UNITS_MAX];
    uint32_t len;
    int64_t used_ms;
};
struct oracle {
    struct written all[WRITTEN_MAX];
    uint32_t len;
};

static bool is_prefix(const struct written *w, const struct cache_unit *units, uint32_t len)
{
    if (w->len > len)
        return false;
    for (uint32_t i = 0; i < w->len; i++) {
        if (w->ids[i] != units[i].id)
            return false;
    }
    return true;
}

static uint64_t sum(const struct cache_unit *units, uint32_t len)
{
    uint64_t tokens = 0;
    for (uint32_t i = 0; i < len; i++)
        tokens += units[i].tokens;
    return tokens;
}

static struct cache_use oracle_request(struct oracle *o, int64_t lifetime_ms, uint64_t min_tokens,
                                       int64_t now_ms, const struct cache_unit *units, uint32_t len)
{
    struct cache_use use = {.input_tokens = sum(units, len)};
    uint32_t read = 0;
    if (min_tokens == 0)
        return use;
    for (uint32_t i = 0; i < o->len; i++) {
        struct written *w = &o->all[i];
        if (now_ms - w->used_ms >= lifetime_ms || !is_prefix(w, units, len))
            continue;
        w->used_ms = now_ms;
        read = w->len > read ? w->len : read;
    }
    use.read_tokens = sum(units, read);
    for (uint32_t n = read + 1; n <= len; n++) {
        if (!units[n - 1].mark || sum(units, n) < min_tokens)
            continue;
        struct written *w = &o->all[o->len++];
        assert_true(o->len < WRITTEN_MAX);
        *w = (struct written){.len = n, .used_ms = now_ms};
        for (uint32_t i = 0; i < n; i++)
            w->ids[i] = units[i].id;
        use.written_tokens = sum(units, n) - use.read_tokens;
    }
    return use;
}

// ---- random requests, many of which begin like an earlier one

static uint64_t below(const struct rand *r, uint64_t n)
{
    return rand_below(r, n);
}

static uint32_t make_request(const struct rand *r, struct cache_unit *units, uint32_t before)
{
    uint32_t kept = (uint32_t)below(r, before + 1), len;
    switch (below(r, 4)) {
    case 0: // from the beginning
        kept = 0;
        break;
    case 1: // goes on
        kept = before;
        break;
    default:
        break;
    }
    len = kept + (uint32_t)below(r, UNITS_MAX - kept + 1);
    for (uint32_t i = kept; i < len; i++)
        units[i].id = below(r, 3);
    for (uint32_t i = 0; i < len; i++) {
        units[i].tokens = units[i].id * 7 + 1;
        units[i].mark = i + 1 == len || below(r, 3) == 0;
    }
    return len;
}

static void test_cachemodel__like_the_oracle(void **state)
{
    static struct oracle oracle;
    struct rand_sim sim;
    uint64_t reads = 0, expired = 0;
    (void)state;
    rand_sim_init(&sim, 20260601);
    for (int round = 0; round < ROUNDS; round++) {
        struct cache_model m;
        struct cache_unit units[UNITS_MAX] = {{0}};
        uint64_t min = below(&sim.rand, 40);
        int64_t now = 0;
        uint32_t len = 0;
        oracle.len = 0;
        cache_model_init(&m, 1000, min);
        for (int i = 0; i < REQUESTS; i++) {
            struct cache_use use;
            len = make_request(&sim.rand, units, len);
            int64_t gap = (int64_t)below(&sim.rand, below(&sim.rand, 8) ? 300 : 2500);
            expired += gap >= 1000;
            now += gap;
            struct cache_use wanted = oracle_request(&oracle, 1000, min, now, units, len);
            assert_int_equal(cache_model_request(&m, now, units, len, &use, NULL), E_OK);
            assert_memory_equal(&use, &wanted, sizeof(use));
            assert_true(use.read_tokens + use.written_tokens <= use.input_tokens);
            reads += use.read_tokens > 0;
        }
        cache_model_release(&m);
    }
    assert_true(reads > ROUNDS && expired > ROUNDS);
    printf("# summary: cachemodel: %d requests, %llu with something read, %llu after all had "
           "expired, 0 unlike the oracle (seed 20260601)\n",
           ROUNDS * REQUESTS, (unsigned long long)reads, (unsigned long long)expired);
}

static struct cache_use request(struct cache_model *m, int64_t now, const char *ids)
{
    struct cache_unit units[UNITS_MAX] = {{0}};
    struct cache_use use;
    uint32_t len = (uint32_t)strlen(ids);
    for (uint32_t i = 0; i < len; i++)
        units[i] = (struct cache_unit){(uint64_t)ids[i], 10, i == 0 || i + 1 == len};
    assert_int_equal(cache_model_request(m, now, units, len, &use, NULL), E_OK);
    return use;
}

static void assert_use(struct cache_use use, uint64_t input, uint64_t read, uint64_t written)
{
    assert_int_equal(use.input_tokens, input);
    assert_int_equal(use.read_tokens, read);
    assert_int_equal(use.written_tokens, written);
}

// A system prompt S, messages a to h; 10 tokens each, five minutes.
static void test_cachemodel__a_conversation(void **state)
{
    const int64_t minute = 60000;
    struct cache_model m;
    (void)state;
    cache_model_init(&m, 5 * minute, 20);
    assert_use(request(&m, 0, "S"), 10, 0, 0);                    // too short
    assert_use(request(&m, 0, "Sa"), 20, 0, 20);
    assert_use(request(&m, minute, "Sabc"), 40, 20, 20);          // up to the end of the last
    assert_use(request(&m, 2 * minute, "Sabcde"), 60, 40, 20);
    assert_use(request(&m, 3 * minute, "Scdef"), 50, 0, 50);      // the cut moved: S is too short
    assert_use(request(&m, 4 * minute, "Scdefgh"), 70, 50, 20);
    assert_use(request(&m, 9 * minute, "Scdefgh"), 70, 0, 70);    // five minutes: gone
    assert_use(request(&m, 13 * minute, "Scdefgh"), 70, 70, 0);
    assert_use(request(&m, 17 * minute, "Scdefgh"), 70, 70, 0);   // reading has renewed it
    cache_model_clear(&m);
    assert_use(request(&m, 17 * minute, "Scdefgh"), 70, 0, 70);   // another conversation
    cache_model_release(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cachemodel__like_the_oracle),
        cmocka_unit_test(test_cachemodel__a_conversation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
