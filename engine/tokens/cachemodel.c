// SPDX-License-Identifier: MIT
// cachemodel.c: prefixes by the hash of their units; see cachemodel.h.
//
// Invariant: no two entries have the same length and hash. An entry says how many units it has, so
// that a request looks at each once.
#include "tokens/cachemodel.h"

enum { ENTRIES_MAX = 1 << 20, UNITS_MAX = 1 << 22 };

struct entry {
    uint64_t hash;     // of its units
    uint32_t len;      // units
    int64_t used_ms;
};

// Of the request: everything up to and with a unit.
struct prefix {
    uint64_t hash, tokens;
};

void cache_model_init(struct cache_model *m, int64_t lifetime_ms, uint64_t min_tokens)
{
    *m = (struct cache_model){.lifetime_ms = lifetime_ms, .min_tokens = min_tokens};
    vec_init(&m->entries, sizeof(struct entry), ENTRIES_MAX);
    vec_init(&m->prefixes, sizeof(struct prefix), UNITS_MAX);
}

void cache_model_release(struct cache_model *m)
{
    vec_release(&m->entries);
    vec_release(&m->prefixes);
}

void cache_model_clear(struct cache_model *m)
{
    vec_clear(&m->entries);
}

// One step of SplitMix64 (Steele, Lea, Flood 2014): every bit of the sum changes every bit.
static uint64_t mix(uint64_t hash, uint64_t id)
{
    uint64_t x = hash + id + UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static bool add_prefixes(struct cache_model *m, const struct cache_unit *units, uint32_t len)
{
    struct prefix sum = {0};
    vec_clear(&m->prefixes);
    for (uint32_t i = 0; i < len; i++) {
        struct prefix *p = vec_push(&m->prefixes);
        if (!p)
            return false;
        sum.hash = mix(sum.hash, units[i].id);
        sum.tokens += units[i].tokens;
        *p = sum;
    }
    return true;
}

static bool begins_with(const struct cache_model *m, const struct entry *e)
{
    return e->len <= m->prefixes.len &&
           VEC_AT(&m->prefixes, struct prefix, e->len - 1)->hash == e->hash;
}

// The longest entry that lives and that the request begins with, in units. What it and the shorter
// ones hold is read, which renews them; dead ones are dropped.
static uint32_t read_entries(struct cache_model *m, int64_t now_ms)
{
    uint32_t longest = 0;
    size_t kept = 0;
    for (size_t i = 0; i < m->entries.len; i++) {
        struct entry *e = VEC_AT(&m->entries, struct entry, i);
        if (now_ms - e->used_ms >= m->lifetime_ms)
            continue;
        if (begins_with(m, e)) {
            e->used_ms = now_ms;
            longest = e->len > longest ? e->len : longest;
        }
        *VEC_AT(&m->entries, struct entry, kept++) = *e;
    }
    m->entries.len = kept;
    return longest;
}

int cache_model_request(struct cache_model *m, int64_t now_ms, const struct cache_unit *units,
                        uint32_t len, struct cache_use *out, struct err *err)
{
    if (!add_prefixes(m, units, len))
        return err_set(err, E_NOMEM, "out of memory for a request of %u units", len);
    const struct prefix *prefixes = m->prefixes.ptr;
    *out = (struct cache_use){.input_tokens = len ? prefixes[len - 1].tokens : 0};
    if (m->min_tokens == 0)
        return E_OK;
    uint32_t read = read_entries(m, now_ms);
    out->read_tokens = read ? prefixes[read - 1].tokens : 0;
    for (uint32_t n = read + 1; n <= len; n++) {
        uint64_t tokens = prefixes[n - 1].tokens;
        if (!units[n - 1].mark || tokens < m->min_tokens)
            continue;
        struct entry *e = vec_push(&m->entries);
        if (!e)
            return err_set(err, E_NOMEM, "out of memory for what a cache holds");
        *e = (struct entry){.hash = prefixes[n - 1].hash, .len = n, .used_ms = now_ms};
        out->written_tokens = tokens - out->read_tokens;
    }
    return E_OK;
}
