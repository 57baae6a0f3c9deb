// SPDX-License-Identifier: MIT
// prefilter.c: from the classes of bytes to the places that have an anchor.
//
// Blocks of 64 bytes are looked at with the one before them, so that what lies across two is seen.
// What all matches with an anchor have in common is found in their bits; places are then told one
// by one. `next` of an anchor is the first place of which it was not told yet.
#include "redact/prefilter.h"

#include "redact/ids.h"

#include <string.h>

enum { BATCH = 32, KEPT = 4, REACH = 64, RUN_BYTES = 16 };

struct pass {
    struct slice text;
    int digits_min;
    place_fn *tell;
    void *user;
    size_t next_at, next_colon, next_dot, next_run;
    uint64_t starts[KEPT];  // of the last blocks: where a match may begin
};

// Bits of a block, each `by` places further on; the first ones come from the block before.
static uint64_t later(uint64_t block, uint64_t before, unsigned by)
{
    return block << by | before >> (64 - by);
}

// Each `by` places earlier; the last ones come from the block behind.
static uint64_t earlier(uint64_t block, uint64_t behind, unsigned by)
{
    return block >> by | behind << (64 - by);
}

// Where an id of letters and digits may begin: a digit is near, or IDS_LETTERS_RUN of both begin.
static uint64_t id_heads(const struct block *b, const struct block *behind)
{
    uint64_t near = earlier(b->digit, behind->digit, 1) | earlier(b->digit, behind->digit, 2) |
                    earlier(b->digit, behind->digit, 3);
    uint64_t run = b->alnum, rest = behind->alnum;

    for (unsigned by = 1; by < IDS_LETTERS_RUN; by *= 2) {
        run &= earlier(run, rest, by);
        rest &= rest >> by;
    }
    return near | run;
}

static size_t take_bit(uint64_t *bits)
{
    size_t at = (size_t)__builtin_ctzll(*bits);

    *bits &= *bits - 1;
    return at;
}

// Tells of the places in [from, to) that begin a word, or with a mark that a match may begin with.
// No more than KEPT blocks back from the one that is looked at.
static void tell_range(struct pass *p, size_t from, size_t to, size_t *next, unsigned anchor)
{
    size_t at = from > *next ? from : *next;

    if (to > p->text.len)
        to = p->text.len;
    *next = to > *next ? to : *next;
    while (at < to) {
        size_t base = at / BLOCK_BYTES * BLOCK_BYTES;
        uint64_t bits = p->starts[base / BLOCK_BYTES % KEPT] & ~UINT64_C(0) << (at - base);
        if (to - base < BLOCK_BYTES)
            bits &= (UINT64_C(1) << (to - base)) - 1;
        while (bits)
            p->tell(p->user, base + take_bit(&bits), anchor);
        at = base + BLOCK_BYTES;
    }
}

static size_t minus(size_t a, size_t b)
{
    return a > b ? a - b : 0;
}

static int byte_at(const struct pass *p, size_t at)
{
    return at < p->text.len ? (unsigned char)p->text.ptr[at] : VIEW_END;
}

static void see_at(struct pass *p, size_t base, uint64_t bits)
{
    while (bits) {
        size_t at = base + take_bit(&bits), from = at, least = minus(at, ANCHOR_BYTES);
        while (from > least && byte_at(p, from - 1) > ' ')
            from--;
        tell_range(p, from, at, &p->next_at, ANCHOR_AT);
    }
}

static void see_colon(struct pass *p, size_t base, uint64_t bits)
{
    while (bits) {
        size_t at = base + take_bit(&bits), from = at, least = minus(at, REACH);
        int c = byte_at(p, at + 1);
        if (c != '/' && c != ':' && hex_value(c) < 0)
            continue;
        while (from > least && byte_at(p, from - 1) > ' ')
            from--;
        tell_range(p, from, at + 1, &p->next_colon, ANCHOR_COLON);
    }
}

// `bits`: a digit, a dot and a digit end here.
static void see_dot(struct pass *p, size_t base, uint64_t bits)
{
    while (bits) {
        size_t at = base + take_bit(&bits);
        tell_range(p, minus(at, 7), at, &p->next_dot, ANCHOR_DOT);
    }
}

// `bits`: a letter or digit, and two dots with four of them between end here.
static void see_dots(struct pass *p, size_t base, uint64_t bits)
{
    while (bits) {
        size_t at = base + take_bit(&bits);
        if (at >= 10)
            p->tell(p->user, at - 10, ANCHOR_DOT);
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
        size_t n, at = base + take_bits(&bits, &n) - (RUN_BYTES - 1), from = at;
        size_t least = minus(at, REACH - 1);
        least = least > p->next_run ? least : p->next_run;
        while (from > least && byte_at(p, from - 1) > ' ')
            from--;
        tell_range(p, from, at + n, &p->next_run, ANCHOR_RUN);
    }
}

// `bits`: where a match with digits may begin.
static void see_digits(struct pass *p, size_t base, uint64_t bits)
{
    while (bits)
        p->tell(p->user, base + take_bit(&bits), ANCHOR_DIGITS);
}

// `bits`: `bytes` that a match begins with end here.
static void see_head(struct pass *p, size_t base, uint64_t bits, unsigned bytes, unsigned anchor)
{
    while (bits)
        p->tell(p->user, base + take_bit(&bits) - (bytes - 1), anchor);
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

// The block at `base`, and the one before it.
static void see(struct pass *p, size_t base, const struct block *b, const struct block *before,
                struct runs *runs)
{
    uint64_t ends = run_ends(b->run, runs);
    uint64_t marks = b->other | b->colon | (b->run & ~b->alnum);

    p->starts[base / BLOCK_BYTES % KEPT] =
        (b->alnum & ~later(b->alnum, before->alnum, 1)) | marks;
    uint64_t letter = b->alnum & ~b->digit, letter_before = before->alnum & ~before->digit;
    uint64_t dots = later(b->dot, before->dot, 1);
    uint64_t decimal = b->digit & dots & later(b->digit, before->digit, 2);
    uint64_t words = b->alnum & dots & later(b->dot, before->dot, 6) &
                     later(b->alnum, before->alnum, 2);
    uint64_t iban = b->digit & later(b->digit, before->digit, 1) &
                    later(letter, letter_before, 2) & later(letter, letter_before, 3) &
                    ~later(b->alnum, before->alnum, 4);
    uint64_t two = b->dash & later(b->dash, before->dash, 1);
    uint64_t dashes = two & later(b->dash, before->dash, 2) & later(b->dash, before->dash, 3) &
                      later(b->dash, before->dash, 4);

    if (b->at)
        see_at(p, base, b->at);
    if (b->colon)
        see_colon(p, base, b->colon);
    if (decimal)
        see_dot(p, base, decimal);
    if (words)
        see_dots(p, base, words);
    if (ends)
        see_run(p, base, ends);
    if (iban)
        see_head(p, base, iban, 4, ANCHOR_IBAN);
    if (dashes)
        see_head(p, base, dashes, 5, ANCHOR_DASHES);
    // What begins in the block before has its first 64 bytes in the two.
    uint64_t any = before->digit | b->digit;
    if (any && base &&
        __builtin_popcountll(before->digit) + __builtin_popcountll(b->digit) >= p->digits_min)
        see_digits(p, base - BLOCK_BYTES, p->starts[(base / BLOCK_BYTES - 1) % KEPT] &
                                          (~letter_before | id_heads(before, b)));
}

void prefilter(enum classify_level level, struct slice text, unsigned digits_min, place_fn *tell,
               void *user)
{
    struct pass p = {
        .text = text, .digits_min = (int)digits_min, .tell = tell, .user = user};
    struct block blocks[BATCH + 1] = {{0}};  // the first one is the last of the batch before
    struct runs runs = {0};
    char last[2 * BLOCK_BYTES] = {0};  // the rest, and a block of nothing
    size_t whole = text.len / BLOCK_BYTES;

    for (size_t k = 0, n; k < whole; k += n) {
        n = whole - k < BATCH ? whole - k : BATCH;
        classify(level, text.ptr + k * BLOCK_BYTES, n, blocks + 1);
        for (size_t i = 0; i < n; i++)
            see(&p, (k + i) * BLOCK_BYTES, &blocks[i + 1], &blocks[i], &runs);
        blocks[0] = blocks[n];
    }
    if (text.len > whole * BLOCK_BYTES)
        memcpy(last, text.ptr + whole * BLOCK_BYTES, text.len - whole * BLOCK_BYTES);
    classify(level, last, 2, blocks + 1);
    see(&p, whole * BLOCK_BYTES, &blocks[1], &blocks[0], &runs);
    see(&p, (whole + 1) * BLOCK_BYTES, &blocks[2], &blocks[1], &runs);
}
