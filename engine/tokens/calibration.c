// SPDX-License-Identifier: MIT
// calibration.c: a histogram of log-ratios, in integers, so that every machine gets the same.
//
// Ratios are in 65,536ths. A bin's edges are powers of 2^(1/32), out of a table for one octave; a
// quantile is found within its bin in proportion, and for limits at the bin's upper edge.
#include "tokens/calibration.h"

#include <string.h>

enum { ONE = 65536, OCTAVE = CALIBRATION_BINS_PER_OCTAVE };
// Beyond all windows; keeps products within 64 bits.
#define TOKENS_MAX (UINT64_C(1) << 40)

// round(65536 * 2^(i / 32))
static const uint32_t octave[OCTAVE] = {
    65536, 66971, 68438, 69936, 71468, 73032,  74632,  76266,  77936,  79642,  81386,
    83169, 84990, 86851, 88752, 90696, 92682,  94711,  96785,  98905,  101070, 103283,
    105545, 107856, 110218, 112631, 115098, 117618, 120194, 122825, 125515, 128263,
};

// The lower edge of bin i, which is the upper one of bin i - 1.
static uint64_t edge(unsigned i)
{
    return ((uint64_t)octave[i % OCTAVE] << i / OCTAVE) >> CALIBRATION_OCTAVES / 2;
}

// The bin of a ratio; CALIBRATION_BINS when it is in none.
static unsigned bin_of(uint64_t ratio)
{
    unsigned low = 0, high = CALIBRATION_BINS;

    if (ratio < edge(0) || ratio >= edge(CALIBRATION_BINS))
        return CALIBRATION_BINS;
    while (high - low > 1) {
        unsigned mid = low + (high - low) / 2;
        if (edge(mid) <= ratio)
            low = mid;
        else
            high = mid;
    }
    return low;
}

static void put(struct calibration *c, uint64_t ratio, uint32_t weight)
{
    c->bins[bin_of(ratio)] += weight;
    c->total += weight;
}

void calibration_init(struct calibration *c)
{
    static const struct {
        uint32_t permille, weight;
    } prior[] = {{900, 1}, {990, 3}, {1000, 2}, {1100, 1}, {1300, 1}};  // the median is 1

    memset(c, 0, sizeof(*c));
    for (size_t i = 0; i < sizeof(prior) / sizeof(prior[0]); i++)
        put(c, (uint64_t)prior[i].permille * ONE / 1000, prior[i].weight * CALIBRATION_WEIGHT);
}

static void fade(struct calibration *c)
{
    if (c->total <= CALIBRATION_TOTAL_MAX)
        return;
    c->total = 0;
    for (unsigned i = 0; i < CALIBRATION_BINS; i++)
        c->total += c->bins[i] /= 2;
}

bool calibration_observe(struct calibration *c, uint64_t estimated_tokens, uint64_t billed_tokens,
                         uint32_t weight)
{
    if (estimated_tokens < CALIBRATION_TOKENS_MIN || estimated_tokens > TOKENS_MAX ||
        billed_tokens > TOKENS_MAX || weight == 0 || weight > CALIBRATION_TOTAL_MAX)
        return false;
    uint64_t ratio = billed_tokens * ONE / estimated_tokens;
    if (bin_of(ratio) == CALIBRATION_BINS)
        return false;
    put(c, ratio, weight);
    c->seen++;
    fade(c);
    return true;
}

void calibration_add(struct calibration *c, const struct calibration *from)
{
    for (unsigned i = 0; i < CALIBRATION_BINS; i++)
        c->bins[i] += from->bins[i];
    c->total += from->total;
    c->seen += from->seen;
    if (from->took_at_ms > c->took_at_ms) {
        c->took_tokens = from->took_tokens;
        c->took_at_ms = from->took_at_ms;
    }
    fade(c);
}

// ---- quantiles

// The ratio below which so much of the weight is. `within`: at its place in the bin, else the bin's
// upper edge.
static uint64_t quantile(const struct calibration *c, uint32_t permille, bool within)
{
    uint64_t wanted = (uint64_t)c->total * permille, before = 0;
    unsigned i = 0;

    if (c->total == 0)
        return ONE;
    while (i + 1 < CALIBRATION_BINS && before + (uint64_t)c->bins[i] * 1000 < wanted)
        before += (uint64_t)c->bins[i++] * 1000;
    uint64_t low = edge(i), high = edge(i + 1);
    return within ? low + (high - low) * (wanted - before) / ((uint64_t)c->bins[i] * 1000) : high;
}

static uint64_t median(const struct calibration *c)
{
    return quantile(c, 500, true);
}

static uint64_t upper(const struct calibration *c)
{
    return quantile(c, CALIBRATION_MOST_PERMILLE, false);
}

static uint64_t up(uint64_t tokens, uint64_t ratio)
{
    tokens = tokens < TOKENS_MAX ? tokens : TOKENS_MAX;
    return (tokens * ratio + ONE - 1) / ONE;
}

// The largest n with up(n, ratio) <= tokens.
static uint64_t fits(uint64_t tokens, uint64_t ratio)
{
    tokens = tokens < TOKENS_MAX ? tokens : TOKENS_MAX;
    return tokens * ONE / ratio;
}

uint64_t calibration_likely(const struct calibration *c, uint64_t estimated_tokens)
{
    return up(estimated_tokens, median(c));
}

uint64_t calibration_most(const struct calibration *c, uint64_t estimated_tokens)
{
    return up(estimated_tokens, upper(c));
}

uint64_t calibration_least(const struct calibration *c, uint64_t estimated_tokens)
{
    uint64_t low = quantile(c, 1000 - CALIBRATION_MOST_PERMILLE, true);
    return up(estimated_tokens, low);
}

uint64_t calibration_fits_likely(const struct calibration *c, uint64_t tokens)
{
    return fits(tokens, median(c));
}

uint64_t calibration_fits_most(const struct calibration *c, uint64_t tokens)
{
    return fits(tokens, upper(c));
}

// ---- as a record's meta

void calibration_write_meta(const struct calibration *c, struct json_writer *w)
{
    unsigned from = 0, to = CALIBRATION_BINS;

    while (from < to && c->bins[from] == 0)
        from++;
    while (to > from && c->bins[to - 1] == 0)
        to--;
    jw_kv_i64(w, "seen", (int64_t)c->seen);
    jw_kv_i64(w, "from", from);
    jw_key(w, "bins");
    jw_array(w);
    for (unsigned i = from; i < to; i++)
        jw_i64(w, c->bins[i]);
    jw_array_end(w);
    if (c->took_tokens) {
        jw_kv_i64(w, "took", (int64_t)c->took_tokens);
        jw_kv_i64(w, "took_at", c->took_at_ms);
    }
}

static int bad(struct calibration *c, const char *member, struct err *err)
{
    calibration_init(c);
    return err_set(err, E_CORRUPT, "a calibration's %s is none", member);
}

int calibration_read_meta(struct calibration *c, struct json meta, struct err *err)
{
    struct json bins = json_get(meta, "bins"), item;
    struct json_iter it = {0};
    int64_t seen = json_i64(json_get(meta, "seen"), -1);
    int64_t at = json_i64(json_get(meta, "from"), -1);
    int64_t took = json_i64(json_get(meta, "took"), 0);
    int64_t took_at = json_i64(json_get(meta, "took_at"), 0);

    if (seen < 0)
        return bad(c, "seen", err);
    if (at < 0 || at >= CALIBRATION_BINS)
        return bad(c, "from", err);
    if (took < 0 || took > (int64_t)TOKENS_MAX || took_at < 0 || (took > 0) != (took_at > 0))
        return bad(c, "took", err);
    memset(c, 0, sizeof(*c));
    while (json_next(bins, &it, NULL, &item)) {
        int64_t weight = json_i64(item, -1);
        if (at == CALIBRATION_BINS || weight < 0 || weight > CALIBRATION_TOTAL_MAX ||
            c->total + weight > CALIBRATION_TOTAL_MAX)
            return bad(c, "bins", err);
        c->bins[at++] = (uint32_t)weight;
        c->total += (uint32_t)weight;
    }
    if (c->total == 0 || json_type(bins) != JSON_ARRAY)
        return bad(c, "bins", err);
    c->seen = (uint64_t)seen;
    c->took_tokens = (uint64_t)took;
    c->took_at_ms = took_at;
    return E_OK;
}
