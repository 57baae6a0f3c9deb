// SPDX-License-Identifier: MIT
// merge.c: byte-pair encoding of one piece, in time that grows with its length and no faster.
//
// As defined, the encoder begins with the bytes and merges, again and again, the leftmost of the
// neighbours whose merged token has the lowest id, until none merge: quadratic when done so. Three
// facts about the result lead to it more quickly.
//
//   1. Two neighbours in it, taken alone, are encoded as those two again: no merge across the place
//      where they meet comes before one within them. Conversely, a row of tokens in which that
//      holds for all neighbours is the result: there is only one such row.
//   2. That a pair is of this kind can be told by undoing merges. Of the two tokens at the meeting
//      place the one with the higher id was merged later, so it is undone first. If what is left
//      there can merge, into a token with a lower id than what was undone last, then the encoder
//      would have merged that instead.
//   3. So a pair is not of this kind just if there is a merge of some part that the left token ends
//      with and some part that the right one begins with, which comes before the merges that made
//      those parts of larger ones. A token has few such merges at its end, and few at its start;
//      what they merge is kept with it, hashed into a few bits (image.h). Where those of two tokens
//      have nothing in common, the pair stays: most pairs, told without undoing anything.
//
// So the piece is walked from left to right. At each place the longest token is tried that the text
// goes on with, then shorter ones, until one stays beside the token before it. If none does, then
// no row of tokens goes through this place: it is marked dead and the walk steps back over the last
// token and tries shorter ones there. A place dies once, so that the steps are at most so many per
// byte, and in real text there are hardly more than one per token.
//
// The method is that of the crate `bpe` in GitHub's rust-gems, which has the proofs of the first
// two: https://github.com/github/rust-gems/tree/main/crates/bpe
// The third follows from the second: ids fall from a token down to the byte at its edge. When all
// that are above the id of a merge are undone, the two that then meet are the only ones that the
// merge can be of.
#include "tokens/merge.h"

#include "base/mem.h"

#include <endian.h>
#include <string.h>

enum { SHORT_BYTES = 512, WORD_BITS = 64, FIRST_IDS = 64 };

struct vocabulary vocabulary_of(const struct image_vocabulary *v)
{
    const char *image = (const char *)&encodings_image;

    return (struct vocabulary){
        .tokens = (const void *)(image + v->tokens_at),
        .nodes = (const void *)(image + v->nodes_at),
        .pairs = (const void *)(image + v->pairs_at),
        .words = (const void *)(image + v->words_at),
        .pair_mask = v->pair_mask,
        .tokens_len = v->tokens_len,
        .bytes = v->bytes,
    };
}

// A token that the text goes on with.
struct match {
    uint32_t token;
    uint32_t len;
};

static inline bool step_down(const struct vocabulary *v, uint8_t byte, struct trie_node *node)
{
    *node = v->nodes[node->base ^ byte];
    return (node->label_token & TRIE_LABEL_MASK) == byte;
}

// The longest token that the text begins with. len > 0: as every byte is a token, there is one.
static inline struct match longest_match(const struct vocabulary *v, const uint8_t *text,
                                         size_t len)
{
    struct trie_node node = v->nodes[0];
    struct match best = {TOKEN_NONE, 0};

    for (size_t i = 0; i < len && step_down(v, text[i], &node); i++)
        if (node.label_token >> TRIE_LABEL_BITS != TOKEN_NONE)
            best = (struct match){node.label_token >> TRIE_LABEL_BITS, (uint32_t)i + 1};
    return best;
}

// The next shorter one; TOKEN_NONE after the shortest.
static inline struct match shorter_match(const struct vocabulary *v, struct match match)
{
    uint32_t token = v->tokens[match.token].prefix;

    return (struct match){token, token != TOKEN_NONE ? v->tokens[token].length : 0};
}

// What two neighbours merge into; TOKEN_NONE if they do not.
static inline uint32_t merged(const struct vocabulary *v, uint32_t left, uint32_t right)
{
    uint64_t hash = pair_hash(left, right);
    uint32_t tag = (uint32_t)(hash >> (64 - PAIR_TAG_BITS));

    for (size_t at = hash & v->pair_mask;; at = (at + 1) & v->pair_mask) {
        uint32_t entry = v->pairs[at];

        if (entry == PAIR_FREE)
            return TOKEN_NONE;
        uint32_t token = entry & ((1u << TOKEN_BITS) - 1);
        if (entry >> TOKEN_BITS == tag && v->tokens[token].left == left &&
            v->tokens[token].right == right)
            return token;
    }
}

// Fact 2. A merge across the meeting place into a token below `limit` comes first: `limit` is the
// merge that was undone last, and one more if that was on the right, as of equal merges the
// leftmost comes first. Of two tokens that are not both bytes the later one is none, so it can be
// undone. Fact 3 holds for what is left after undoing as well, and spares most searches.
static inline bool pair_stays(const struct vocabulary *v, uint32_t left, uint32_t right)
{
    uint32_t limit = TOKEN_NONE;

    for (;;) {
        const struct token *l = &v->tokens[left], *r = &v->tokens[right];
        uint64_t common = l->over_end & r->over_start, bits = over_bits(left, right);

        if (!(uint32_t)common || !(common >> 32))
            return true;
        if ((common & bits) == bits && merged(v, left, right) < limit)
            return false;
        if ((left | right) < BYTE_TOKENS)
            return true;
        if (left > right) {
            limit = left;
            left = l->right;
        } else {
            limit = right + 1;
            right = r->left;
        }
    }
}

static inline bool is_dead(const uint64_t *dead, size_t at)
{
    return dead[at / WORD_BITS] >> at % WORD_BITS & 1;
}

// Writes the tokens of text to out, which has room for one a byte, and returns how many they are.
// `match` is the longest at its start; `dead` has a bit for each place, all 0.
static size_t merge(struct merger *m, const uint8_t *text, size_t len, struct match match,
                    uint32_t *out, uint64_t *dead)
{
    const struct vocabulary *v = &m->vocabulary;
    size_t at = 0, n = 0;

    while (at < len) {
        for (; match.token != TOKEN_NONE; match = shorter_match(v, match)) {
            m->steps++;
            if (!is_dead(dead, at + match.len) &&
                (n == 0 || pair_stays(v, out[n - 1], match.token)))
                break;
        }
        if (match.token != TOKEN_NONE) {
            out[n++] = match.token;
            at += match.len;
            match = longest_match(v, text + at, len - at);
        } else {
            BUG_ON(n == 0);
            dead[at / WORD_BITS] |= (uint64_t)1 << at % WORD_BITS;
            match = (struct match){out[n - 1], v->tokens[out[n - 1]].length};
            n--;
            at -= match.len;
        }
    }
    return n;
}

void token_ids_release(struct token_ids *ids)
{
    mem_free(ids->ptr);
    *ids = (struct token_ids)TOKEN_IDS_INIT;
}

static bool ids_grow(struct token_ids *ids, size_t extra)
{
    size_t cap = ids->cap < FIRST_IDS ? FIRST_IDS : 2 * ids->cap;
    if (cap < ids->len + extra)
        cap = ids->len + extra;
    uint32_t *ptr = mem_realloc(ids->ptr, cap * sizeof(*ptr));
    if (!ptr)
        return false;
    ids->ptr = ptr;
    ids->cap = cap;
    return true;
}

static inline bool ids_reserve(struct token_ids *ids, size_t extra)
{
    return ids->cap - ids->len >= extra || ids_grow(ids, extra);
}

void merger_release(struct merger *m)
{
    token_ids_release(&m->ids);
    mem_free(m->dead);
    m->dead = NULL;
    m->dead_words = 0;
}

static int no_memory(struct err *err)
{
    return err_set(err, E_NOMEM, "out of memory while counting tokens");
}

static inline int add_token(struct merger *m, uint32_t id, struct err *err)
{
    if (m->keep) {
        if (!ids_reserve(&m->ids, 1))
            return no_memory(err);
        m->ids.ptr[m->ids.len++] = id;
    }
    m->count++;
    return E_OK;
}

int merger_add_token(struct merger *m, uint32_t id, struct err *err)
{
    return add_token(m, id, err);
}

static int add_long(struct merger *m, const uint8_t *piece, size_t len, struct match first,
                    struct err *err)
{
    size_t words = len / WORD_BITS + 1;

    if (words > m->dead_words) {
        mem_free(m->dead);
        m->dead = mem_alloc(words * sizeof(*m->dead));
        m->dead_words = m->dead ? words : 0;
    }
    if (!m->keep)
        m->ids.len = 0;
    if (!m->dead || !ids_reserve(&m->ids, len))
        return no_memory(err);
    memset(m->dead, 0, words * sizeof(*m->dead));
    size_t n = merge(m, piece, len, first, m->ids.ptr + m->ids.len, m->dead);
    m->ids.len += n;
    m->count += n;
    return E_OK;
}

static int add_short(struct merger *m, const uint8_t *piece, size_t len, struct match first,
                     struct err *err)
{
    uint64_t dead[SHORT_BYTES / WORD_BITS + 1];
    uint32_t ids[SHORT_BYTES];

    memset(dead, 0, (len / WORD_BITS + 1) * sizeof(*dead));
    size_t n = merge(m, piece, len, first, ids, dead);
    m->count += n;
    if (!m->keep)
        return E_OK;
    if (!ids_reserve(&m->ids, n))
        return no_memory(err);
    memcpy(m->ids.ptr + m->ids.len, ids, n * sizeof(*ids));
    m->ids.len += n;
    return E_OK;
}

static int add_piece(struct merger *m, const uint8_t *piece, size_t len, struct err *err)
{
    struct match first = longest_match(&m->vocabulary, piece, len);

    if (first.len == len)
        return add_token(m, first.token, err);
    return (len > SHORT_BYTES ? add_long : add_short)(m, piece, len, first, err);
}

static inline bool is_word(const struct word *word, struct word key)
{
    uint64_t length_and_bytes = word->high & (((uint64_t)1 << WORD_TOKEN_AT) - 1);

    return word->low == key.low && length_and_bytes == key.high;
}

// The token that a piece is, if it is a common one of few bytes; else TOKEN_NONE. 16 bytes from it
// on can be read.
static inline uint32_t word_at(const struct vocabulary *v, const uint8_t *piece, size_t len)
{
    uint64_t low, high;

    memcpy(&low, piece, sizeof(low));
    memcpy(&high, piece + sizeof(low), sizeof(high));
    struct word key = word_key(le64toh(low), le64toh(high), len);
    const struct word *place = &v->words[word_place(key)];

    if (!is_word(place, key))
        place = &v->words[word_place(key) ^ 1];
    return is_word(place, key) ? (uint32_t)(place->high >> WORD_TOKEN_AT) : TOKEN_NONE;
}

int merger_add(struct merger *m, const uint8_t *p, const uint8_t *end, const uint32_t *lengths,
               size_t n, struct err *err)
{
    int rc = E_OK;

    for (size_t i = 0; i < n && !rc; p += lengths[i++]) {
        bool short_enough = lengths[i] <= WORD_BYTES_MAX && end - p >= WORD_READ_BYTES;
        uint32_t word = short_enough ? word_at(&m->vocabulary, p, lengths[i]) : TOKEN_NONE;

        rc = word != TOKEN_NONE ? add_token(m, word, err) : add_piece(m, p, lengths[i], err);
    }
    return rc;
}
