// SPDX-License-Identifier: MIT
// image.h: the vocabularies as they lie in the binary: tables ready for use, with nothing to load.
//
// tools/encodings.c makes the image at build time out of scripts/encodings/, image.S puts it among
// the read-only data. So it is mapped from the program's (or the library's) own file, page by page
// as it is touched, and all workers and all processes share those pages. Places are offsets from
// its start; numbers are in the machine's own order. Read-only; any thread.
#ifndef TOKENS_IMAGE_H
#define TOKENS_IMAGE_H

#include <stdint.h>

enum {
    IMAGE_MAGIC = 0x31455042,  // "BPE1"
    IMAGE_ALIGN_BYTES = 64,
    IMAGE_VOCABULARIES = 2,
    IMAGE_NAME_BYTES = 32,
    BYTE_TOKENS = 256,         // the first tokens of a vocabulary are the bytes, in some order
    TOKEN_BYTES_MAX = 255,
    TOKEN_BITS = 18,
    TOKEN_NONE = (1 << TOKEN_BITS) - 1,
};

// ---- characters

// A character is of one class; a set of classes is an or of them.
enum char_class {
    CHAR_UPPER = 1,      // letters in upper or title case: Lu Lt
    CHAR_LOWER = 2,      // Ll
    CHAR_LETTER = 4,     // other letters: Lm Lo
    CHAR_MARK = 8,       // M
    CHAR_NUMBER = 16,    // N
    CHAR_SPACE = 32,     // white space but for the next
    CHAR_LINE_END = 64,  // carriage return, line feed
    CHAR_OTHER = 128,    // all others
};
enum { CHAR_BLOCK = 128, CHAR_BLOCKS = 0x110000 / CHAR_BLOCK };

// ---- tokens

// A token is what two tokens merge into; a byte is made of nothing: left and right are itself.
struct token {
    uint64_t left : 18, right : 18;  // as wide as TOKEN_BITS, as is the next
    uint64_t prefix : 18;  // the longest other token that this begins with; TOKEN_NONE for a byte
    uint64_t length : 8;   // bytes
    // What may merge across its end, and across its start (merge.c, fact 3), by over_bits.
    uint64_t over_end, over_start;
};

// A merge among those: a bit for its left part in the lower half, one for its right part above.
static inline uint64_t over_bits(uint32_t left, uint32_t right)
{
    uint32_t left_bit = left * 0x9E3779B9u >> 27;  // 2^32 / golden ratio
    uint32_t right_bit = right * 0x9E3779B9u >> 27;

    return (uint64_t)1 << left_bit | (uint64_t)1 << (32 + right_bit);
}

// A trie of the tokens' bytes in an array: the child of node n for byte b is nodes[n.base ^ b] if
// that has b as its label. No two nodes have the same base, so the label suffices. nodes[0] is the
// root; the base 0 is that of nodes without children. The low 9 bits of `label_token` are the label
// (TRIE_FREE: no node here), the others the token that ends here, or TOKEN_NONE.
struct trie_node {
    uint32_t base;
    uint32_t label_token;
};
enum { TRIE_LABEL_BITS = 9, TRIE_LABEL_MASK = 0x1FF, TRIE_FREE = 256, TRIE_BLOCK = 256 };

// The pairs that merge: a hash table, open addressing, of `pair_mask` + 1 entries. An entry is the
// token that the pair becomes, and above it the high bits of the pair's hash; PAIR_FREE ends a
// search.
enum { PAIR_TAG_BITS = 32 - TOKEN_BITS };
#define PAIR_FREE UINT32_MAX

// The commonest tokens that are not too long, to be found at once: a table in which a token has two
// places, side by side, which the lowest ids get. The key is the token's bytes, the first one
// lowest, and above them in `high` how many they are; above those is the token. All 0: nobody.
struct word {
    uint64_t low, high;
};
enum {
    WORD_BYTES_MAX = 13,
    WORD_READ_BYTES = 16,
    WORD_LENGTH_AT = 8 * (WORD_BYTES_MAX - 8),
    WORD_TOKEN_AT = WORD_LENGTH_AT + 4,
    WORD_TABLE_BITS = 17,
};

// low and high: of the text, 16 bytes, the first one lowest; those past len do not matter.
static inline struct word word_key(uint64_t low, uint64_t high, uint64_t len)
{
    static const struct word masks[WORD_BYTES_MAX + 1] = {
        {0, 0}, {0xFF, 0}, {0xFFFF, 0}, {0xFFFFFF, 0}, {UINT32_MAX, 0}, {0xFFFFFFFFFF, 0},
        {0xFFFFFFFFFFFF, 0}, {0xFFFFFFFFFFFFFF, 0}, {UINT64_MAX, 0}, {UINT64_MAX, 0xFF},
        {UINT64_MAX, 0xFFFF}, {UINT64_MAX, 0xFFFFFF}, {UINT64_MAX, UINT32_MAX},
        {UINT64_MAX, 0xFFFFFFFFFF},
    };

    return (struct word){low & masks[len].low, (high & masks[len].high) | len << WORD_LENGTH_AT};
}

static inline uint64_t word_place(struct word key)
{
    // The numbers are odd, with bits all over: a prime of xxHash's, and 2^64 / golden ratio.
    uint64_t x = (key.low ^ key.high * 0xC2B2AE3D27D4EB4Fu) * 0x9E3779B97F4A7C15u;

    return x >> (64 - WORD_TABLE_BITS);
}

static inline uint64_t pair_hash(uint32_t left, uint32_t right)
{
    uint64_t x = ((uint64_t)left << 32 | right) * 0x9E3779B97F4A7C15u;  // 2^64 / golden ratio

    return x ^ x >> 32;
}

struct image_vocabulary {
    char name[IMAGE_NAME_BYTES];
    uint32_t tokens_len;
    uint32_t nodes_len;
    uint32_t pair_mask;
    uint32_t tokens_at;  // struct token[tokens_len]
    uint32_t nodes_at;   // struct trie_node[nodes_len]
    uint32_t pairs_at;   // uint32_t[pair_mask + 1]
    uint32_t words_at;   // struct word[1 << WORD_TABLE_BITS]
    uint8_t bytes[BYTE_TOKENS];  // of the first tokens
};

struct image {
    uint32_t magic;
    uint32_t char_index_at;   // uint16_t[CHAR_BLOCKS]: the number of a block of entries
    uint32_t char_blocks_at;  // uint8_t[][CHAR_BLOCK]
    uint32_t bytes;           // of the whole
    struct image_vocabulary vocabularies[IMAGE_VOCABULARIES];
};

extern const struct image encodings_image;

#endif
