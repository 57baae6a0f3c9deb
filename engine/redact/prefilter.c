// SPDX-License-Identifier: MIT
// prefilter.c: from the classes of bytes to the places that have an anchor.
//
// Blocks of 64 bytes are looked at with the one before them, so that what lies across two is seen.
// What all matches with an anchor have in common is found in their bits, and gives bits of the
// places where such a match may begin. These are kept until nothing that follows can add to them;
// then the places are told, in order, each with all its anchors.
#include "redact/prefilter.h"

#include "redact/ids.h"

#include <string.h>

enum { BATCH = 32, KEPT = 4, REACH = 64, RUN_BYTES = 16 };
// What is seen in a block has begun in it, or in one of so many before it.
enum { REACH_BLOCKS = ANCHOR_BYTES / BLOCK_BYTES };
_Static_assert(REACH_BLOCKS + 1 < KEPT, "what is told of is kept");

// Of a block, a bit each byte.
struct kept {
    uint64_t starts;   // where a match may begin: with a word, or with a mark
    uint64_t blank;
    uint64_t digit;
    uint64_t runs;     // where RUN_BYTES of a run end
    uint64_t places;   // of `starts`, those that have an anchor
    unsigned char anchors[BLOCK_BYTES];  // of these
};
_Static_assert(ANCHORS <= 8, "a byte has a bit for each anchor");

struct pass {
    struct slice text;
    unsigned digits_min;
    place_fn *tell;
    void *user;
    struct kept kept[KEPT];  // of the last blocks
};

static struct kept *kept_of(struct pass *p, size_t at)
{
    return &p->kept[at / BLOCK_BYTES % KEPT];
}

// Bits of a block, each `by` places further on (1 to 63); the first come from the block before.
static uint64_t later(uint64_t block, uint64_t before, unsigned by)
{
    return block << by | before >> (64 - by);
}

// Each `by` places earlier (0 to 63); the last ones come from the block behind.
static uint64_t earlier(uint64_t block, uint64_t behind, unsigned by)
{
    return block >> by | behind << 1 << (63 - by);
}

static uint64_t lowest(uint64_t bits)
{
    return bits & -bits;
}

static bool has_bits(uint64_t bits, unsigned least)
{
    for (; least > 1; least--)
        bits &= bits - 1;
    return bits != 0;
}

static unsigned take_bit(uint64_t *bits)
{
    unsigned at = (unsigned)__builtin_ctzll(*bits);

    *bits &= *bits - 1;
    return at;
}

static unsigned take_last(uint64_t *bits)
{
    unsigned at = BLOCK_BYTES - 1 - (unsigned)__builtin_clzll(*bits);

    *bits ^= UINT64_C(1) << at;
    return at;
}

static size_t minus(size_t a, size_t b)
{
    return a > b ? a - b : 0;
}

static int byte_at(const struct pass *p, size_t at)
{
    return at < p->text.len ? (unsigned char)p->text.ptr[at] : VIEW_END;
}

// Where the piece without blanks begins in which `at` is: `most` bytes before it at the furthest.
static size_t piece_start(struct pass *p, size_t at, size_t most)
{
    size_t base = at / BLOCK_BYTES * BLOCK_BYTES, least = minus(at, most);
    uint64_t blank = kept_of(p, base)->blank & bits_below(at - base);

    while (!blank && base > least) {
        base -= BLOCK_BYTES;
        blank = kept_of(p, base)->blank;
    }
    size_t from = blank ? base + BLOCK_BYTES - (size_t)__builtin_clzll(blank) : base;
    return from > least ? from : least;
}

// What is left of a block once the range that begins at `from` is marked: what is in the same piece
// has its own range in that one.
static uint64_t others(struct pass *p, size_t base, size_t from)
{
    bool whole = from == 0 || byte_at(p, from - 1) <= ' ';

    if (!whole)
        return ~UINT64_C(0);
    return from > base ? bits_below(from - base) : 0;
}

static void mark(struct pass *p, size_t base, uint64_t bits, enum redact_anchor anchor)
{
    struct kept *kept = kept_of(p, base);

    bits &= kept->starts;
    kept->places |= bits;
    while (bits)
        kept->anchors[take_bit(&bits)] |= (unsigned char)anchor;
}

// The place at `at`, and all in [from, to): no more than REACH_BLOCKS back.
static void mark_place(struct pass *p, size_t at, enum redact_anchor anchor)
{
    mark(p, at, UINT64_C(1) << at % BLOCK_BYTES, anchor);
}

static void mark_range(struct pass *p, size_t from, size_t to, enum redact_anchor anchor)
{
    for (size_t at = from, base; at < to; at = base + BLOCK_BYTES) {
        base = at / BLOCK_BYTES * BLOCK_BYTES;
        mark(p, base, bits_below(to - base) & ~bits_below(at - base), anchor);
    }
}

// ---- what is seen in a block, and what it tells of the places before it

static void see_at(struct pass *p, size_t base, uint64_t bits)
{
    while (bits) {
        size_t at = base + take_last(&bits), from = piece_start(p, at, ANCHOR_BYTES);
        mark_range(p, from, at, ANCHOR_AT);
        bits &= others(p, base, from);
    }
}

static void see_colon(struct pass *p, size_t base, uint64_t bits)
{
    while (bits) {
        size_t at = base + take_last(&bits);
        int c = byte_at(p, at + 1);
        if (c != '/' && c != ':' && hex_value(c) < 0)
            continue;
        size_t from = piece_start(p, at, REACH);
        mark_range(p, from, at + 1, ANCHOR_COLON);
        bits &= others(p, base, from);
    }
}

// `bits`: a digit, a dot and a digit end here.
static void see_decimal(struct pass *p, size_t base, uint64_t bits)
{
    while (bits) {
        size_t at = base + take_bit(&bits);
        mark_range(p, minus(at, 7), at, ANCHOR_DOT);
    }
}

// `bits`: `bytes` that a match begins with end here.
static void see_head(struct pass *p, size_t base, uint64_t bits, unsigned bytes,
                     enum redact_anchor anchor)
{
    while (bits) {
        size_t at = base + take_bit(&bits);
        if (at >= bytes - 1)
            mark_place(p, at - (bytes - 1), anchor);
    }
}

// Takes a bit and those that follow it without a gap; *n: how many.
static size_t take_bits(uint64_t *bits, size_t *n)
{
    size_t at = (size_t)__builtin_ctzll(*bits);
    uint64_t gaps = ~(*bits >> at);

    *n = gaps ? (size_t)__builtin_ctzll(gaps) : BLOCK_BYTES;
    *bits &= *bits + (UINT64_C(1) << at);  // the carry goes over all of them
    return at;
}

// `bits`: RUN_BYTES of a run end here.
static void see_run(struct pass *p, size_t base, uint64_t bits)
{
    while (bits) {
        size_t n, at = base + take_bits(&bits, &n) - (RUN_BYTES - 1);
        mark_range(p, piece_start(p, at, REACH - 1), at + n, ANCHOR_RUN);
    }
}

struct runs {
    uint64_t r1, r2, r4, r8;  // ends of runs of 1, 2, 4, 8 in the block before
};

// Where RUN_BYTES of a run end.
static uint64_t run_ends(uint64_t run, struct runs *before)
{
    struct runs r = {.r1 = run};

    r.r2 = run & later(run, before->r1, 1);
    r.r4 = r.r2 & later(r.r2, before->r2, 2);
    r.r8 = r.r4 & later(r.r4, before->r4, 4);
    uint64_t ends = r.r8 & later(r.r8, before->r8, 8);
    *before = r;
    return ends;
}

// ---- digits: where a number may begin is told by what follows it

// Of `heads`, those with `least` digits behind them, and nothing but what groups digits between; or
// where this cannot be told, as there are dashes among what is not ASCII.
static uint64_t rows(const struct block *b, const struct block *behind, uint64_t heads,
                     unsigned least)
{
    uint64_t rows = 0;

    while (heads) {
        uint64_t head = lowest(heads);
        unsigned at = take_bit(&heads);
        uint64_t digit = earlier(b->digit, behind->digit, at);
        uint64_t groups = digit | earlier(b->group | b->blank, behind->group | behind->blank, at);
        uint64_t end = lowest(~groups), wide = earlier(b->wide, behind->wide, at);
        if (end & wide || has_bits(digit & (end - 1), least))
            rows |= head;
    }
    return rows;
}

// Of `heads`, those with `least` digits in their first 64 bytes.
static uint64_t with_digits(const struct block *b, const struct block *behind, uint64_t heads,
                            unsigned least)
{
    uint64_t with = 0;

    while (heads) {
        uint64_t head = lowest(heads);
        if (has_bits(earlier(b->digit, behind->digit, take_bit(&heads)), least))
            with |= head;
    }
    return with;
}

// Where IDS_LETTERS_RUN letters and digits begin.
static uint64_t long_words(const struct block *b, const struct block *behind)
{
    uint64_t run = b->alnum, rest = behind->alnum;

    for (unsigned by = 1; by < IDS_LETTERS_RUN; by *= 2) {
        run &= earlier(run, rest, by);
        rest &= rest >> by;
    }
    return run;
}

// The block at `base`, by it and the one behind it. What begins with a digit behind a mark and a
// digit is the rest of something.
static void see_digits(struct pass *p, size_t base, const struct block *b,
                       const struct block *behind, const struct block *before)
{
    uint64_t near = earlier(b->digit, behind->digit, 1) | earlier(b->digit, behind->digit, 2) |
                    earlier(b->digit, behind->digit, 3);
    uint64_t marks = b->dash | b->dot, rest = later(marks, before->dash | before->dot, 1) &
                                              later(b->digit, before->digit, 2);
    uint64_t starts = b->alnum & ~later(b->alnum, before->alnum, 1);
    uint64_t numbers = (starts & b->digit & ~rest) | (near & b->group & ~marks);
    struct kept *kept = kept_of(p, base);

    if (kept->runs | kept_of(p, base + BLOCK_BYTES)->runs)
        near |= long_words(b, behind);
    uint64_t found = rows(b, behind, numbers, p->digits_min) |
                     with_digits(b, behind, starts & ~b->digit & near, p->digits_min);
    kept->starts |= found;
    mark(p, base, found, ANCHOR_DIGITS);
}

// ---- the pass

// Tells of the places of the block at `base`, and forgets them.
static void tell(struct pass *p, size_t base)
{
    struct kept *kept = kept_of(p, base), *behind = kept_of(p, base + BLOCK_BYTES);

    while (kept->places) {
        unsigned i = take_bit(&kept->places);
        struct place place = {base + i, kept->anchors[i],
                              earlier(kept->digit, behind->digit, i)};
        kept->anchors[i] = 0;
        if (place.at < p->text.len)
            p->tell(p->user, &place);
    }
}

static void see_dots(struct pass *p, size_t base, const struct block *b, const struct block *before)
{
    uint64_t dots = later(b->dot, before->dot, 1);
    uint64_t decimal = b->digit & dots & later(b->digit, before->digit, 2);
    // Two dots with four letters and digits between, and one behind: 10 bytes back.
    uint64_t words = b->alnum & dots & later(b->dot, before->dot, 6) &
                     later(b->alnum, before->alnum, 2);

    see_decimal(p, base, decimal);
    see_head(p, base, words, 11, ANCHOR_DOT);
}

static void see_iban(struct pass *p, size_t base, const struct block *b, const struct block *before)
{
    uint64_t letter = b->alnum & ~b->digit, letter_before = before->alnum & ~before->digit;
    uint64_t iban = b->digit & later(b->digit, before->digit, 1) &
                    later(letter, letter_before, 2) & later(letter, letter_before, 3) &
                    ~later(b->alnum, before->alnum, 4);

    see_head(p, base, iban, 4, ANCHOR_IBAN);
}

static void see_dashes(struct pass *p, size_t base, const struct block *b,
                       const struct block *before)
{
    uint64_t two = b->dash & later(b->dash, before->dash, 1);
    uint64_t dashes = two & later(b->dash, before->dash, 2) & later(b->dash, before->dash, 3) &
                      later(b->dash, before->dash, 4);

    see_head(p, base, dashes, 5, ANCHOR_DASHES);
}

// The block at `base`, b[0], and the ones before it.
static void see(struct pass *p, size_t base, const struct block *b, struct runs *runs)
{
    const struct block *before = b - 1;
    struct kept *kept = kept_of(p, base);

    // With a colon begins "::" alone; whether the last byte does is not known yet.
    uint64_t colons = b->colon & (b->colon >> 1 | UINT64_C(1) << (BLOCK_BYTES - 1));

    kept->starts = (b->alnum & ~later(b->alnum, before->alnum, 1)) | b->wide | colons |
                   (b->run & ~b->alnum);
    kept->blank = b->blank;
    kept->digit = b->digit;
    kept->runs = run_ends(b->run, runs);
    if (b->at)
        see_at(p, base, b->at);
    if (b->colon)
        see_colon(p, base, b->colon);
    if (b->dot | before->dot)
        see_dots(p, base, b, before);
    if (kept->runs)
        see_run(p, base, kept->runs);
    if (b->digit)
        see_iban(p, base, b, before);
    if (b->dash)
        see_dashes(p, base, b, before);
    if (base && before->digit | b->digit)
        see_digits(p, base - BLOCK_BYTES, before, b, b - 2);
    if (base >= REACH_BLOCKS * BLOCK_BYTES)
        tell(p, base - REACH_BLOCKS * BLOCK_BYTES);
}

void prefilter(enum classify_level level, struct slice text, unsigned digits_min, place_fn *tell_of,
               void *user)
{
    struct pass p = {.text = text, .digits_min = digits_min, .tell = tell_of, .user = user};
    struct block blocks[BATCH + 2];  // the first two are the last of the batch before
    struct block *batch = blocks + 2;
    struct runs runs = {0};
    char last[2 * BLOCK_BYTES] = {0};  // the rest, and a block of nothing
    size_t whole = text.len / BLOCK_BYTES;

    memset(blocks, 0, 2 * sizeof(*blocks));
    for (size_t k = 0, n; k < whole; k += n) {
        n = whole - k < BATCH ? whole - k : BATCH;
        classify(level, text.ptr + k * BLOCK_BYTES, n, batch);
        for (size_t i = 0; i < n; i++)
            see(&p, (k + i) * BLOCK_BYTES, batch + i, &runs);
        memmove(blocks, batch + n - 2, 2 * sizeof(*blocks));
    }
    if (text.len > whole * BLOCK_BYTES)
        memcpy(last, text.ptr + whole * BLOCK_BYTES, text.len - whole * BLOCK_BYTES);
    classify(level, last, 2, batch);
    for (size_t i = 0; i < 2; i++)
        see(&p, (whole + i) * BLOCK_BYTES, batch + i, &runs);
    for (size_t i = 0; i < REACH_BLOCKS; i++)
        tell(&p, (whole + 2 - REACH_BLOCKS + i) * BLOCK_BYTES);
}
