// SPDX-License-Identifier: MIT
// Fuzzes the scanner: spans are in order and disjoint, and lie at characters; what is settled of a
// beginning is so in the whole, and the rest, scanned from there, has the rest of the spans; all
// levels of the prefilter tell of the same places. The first two bytes say where the text is cut.
#include "base/utf8.h"
#include "redact/prefilter.h"
#include "redact/scan.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static const struct redact_own own = {SLICE_LIT("order"), SLICE_LIT("\\bORD-\\d{4,6}\\b")};
static const struct redact_rules rules = {
    .kinds = REDACT_KINDS_ALL, .own = &own, .n_own = 1, .region = "US",
};

static void add_place(void *user, const struct place *place)
{
    uint64_t *sum = user;

    *sum = (*sum ^ (place->at * 131 + place->anchors + place->digits)) * UINT64_C(0x100000001B3);
}

static void check_levels(struct slice text)
{
    uint64_t wanted = 0;

    prefilter(CLASSIFY_PORTABLE, text, 6, add_place, &wanted);
    for (int level = 1; level <= (int)classify_best(); level++) {
        uint64_t sum = 0;
        prefilter((enum classify_level)level, text, 6, add_place, &sum);
        BUG_ON(sum != wanted);
    }
}

static void check_spans(const struct redactor *r, struct slice text, const struct redact_spans *s)
{
    for (size_t i = 0; i < s->len; i++) {
        const struct redact_span *span = &s->ptr[i];
        BUG_ON(span->start >= span->end || span->end > text.len);
        BUG_ON(i && span->start < s->ptr[i - 1].end);
        BUG_ON(span->kind >= redactor_kinds(r) || span->score < REDACT_SCORE_MIN ||
               span->score > 100);
    }
}

static void check_cut(const struct redactor *r, struct slice text, size_t cut,
                      const struct redact_spans *whole)
{
    struct redact_spans part = REDACT_SPANS_INIT;
    size_t settled, end, n = 0;

    BUG_ON(redact_scan_open(r, slice_of(text.ptr, cut), 0, false, &part, &settled, NULL));
    BUG_ON(settled > cut || cut - settled > REDACT_HOLD_BYTES);
    for (; n < part.len; n++) {
        BUG_ON(part.ptr[n].end > settled || n >= whole->len);
        BUG_ON(memcmp(&part.ptr[n], &whole->ptr[n], sizeof(part.ptr[n])) != 0);
    }
    BUG_ON(redact_scan_open(r, text, settled, true, &part, &end, NULL));
    BUG_ON(end != text.len || n + part.len != whole->len);
    for (size_t i = 0; i < part.len; i++)
        BUG_ON(memcmp(&part.ptr[i], &whole->ptr[n + i], sizeof(part.ptr[i])) != 0);
    redact_spans_release(&part);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static struct redactor *r;
    struct redact_spans whole = REDACT_SPANS_INIT;

    if (!r)
        BUG_ON(redactor_new(&r, &rules, NULL));
    if (len < 2)
        return 0;
    struct slice text = slice_of((const char *)bytes + 2, len - 2);
    if (!utf8_valid(text))
        text.len = utf8_valid_prefix(text);
    check_levels(text);
    BUG_ON(redact_scan(r, text, &whole, NULL));
    check_spans(r, text, &whole);
    check_cut(r, text, (bytes[0] | (size_t)bytes[1] << 8) % (text.len + 1), &whole);
    redact_spans_release(&whole);
    return 0;
}
