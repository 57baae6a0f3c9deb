// SPDX-License-Identifier: MIT
// encodings.c: a build tool. Makes the image of the vocabularies (engine/tokens/image.h) out of the
// merges and the character classes in scripts/encodings/.
//
//   encodings OUT unicode-16.0.0.txt cl100k_base.merges.zst o200k_base.merges.zst
#include "tokens/image.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#define MAGIC "parley merges 1\n"
enum { PLANES = 3, NUMBER_BYTES = 2 * PLANES, PLAIN_BYTES_MAX = 1 << 24, CODE_POINTS = 0x110000 };

static _Noreturn void die(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("encodings: ", stderr);
    vfprintf(stderr, format, args);
    fputs("\n", stderr);
    exit(1);
}

static void *make(size_t items, size_t bytes)
{
    void *p = calloc(items, bytes);

    if (!p)
        die("out of memory");
    return p;
}

static unsigned char *read_file(const char *name, size_t *len)
{
    FILE *f = fopen(name, "rb");
    unsigned char *bytes = make(PLAIN_BYTES_MAX + 1, 1);

    if (!f)
        die("%s: %s", name, strerror(errno));
    *len = fread(bytes, 1, PLAIN_BYTES_MAX, f);
    if (ferror(f) || !feof(f))
        die("%s: cannot be read, or is too large", name);
    fclose(f);
    return bytes;
}

// ---- the image, growing

static unsigned char *image;
static size_t image_len;

static uint32_t put(const void *bytes, size_t len)
{
    size_t at = (image_len + IMAGE_ALIGN_BYTES - 1) / IMAGE_ALIGN_BYTES * IMAGE_ALIGN_BYTES;

    image = realloc(image, at + len);
    if (!image)
        die("out of memory");
    memset(image + image_len, 0, at - image_len);
    memcpy(image + at, bytes, len);
    image_len = at + len;
    if (image_len > UINT32_MAX)
        die("the image is too large");
    return (uint32_t)at;
}

// ---- character classes

static uint8_t class_of(const char *letter)
{
    static const char letters[] = "ULOMNSR";  // in the order of enum char_class's bits
    const char *at = *letter ? strchr(letters, *letter) : NULL;

    if (!at || letter[1])
        die("there is no character class %s", letter);
    return (uint8_t)(1u << (at - letters));
}

static void put_classes(struct image *head, const char *name)
{
    size_t len;
    char *text = (char *)read_file(name, &len);
    uint8_t *classes = make(CODE_POINTS, 1);
    uint8_t (*blocks)[CHAR_BLOCK] = make(CHAR_BLOCKS, CHAR_BLOCK);
    uint16_t *index = make(CHAR_BLOCKS, sizeof(*index));
    size_t n = 0;

    memset(classes, CHAR_OTHER, CODE_POINTS);
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        unsigned first, last;
        char letter[3];

        if (*line == '#')
            continue;
        if (sscanf(line, "%x %x %2s", &first, &last, letter) != 3) {
            if (sscanf(line, "%x %2s", &first, letter) != 2)
                die("%s: cannot read: %s", name, line);
            last = first;
        }
        if (first > last || last >= CODE_POINTS)
            die("%s: not a range: %s", name, line);
        memset(classes + first, class_of(letter), last - first + 1);
    }
    for (size_t i = 0; i < CHAR_BLOCKS; i++) {
        size_t same = 0;

        while (same < n && memcmp(blocks[same], classes + i * CHAR_BLOCK, CHAR_BLOCK) != 0)
            same++;
        if (same == n)
            memcpy(blocks[n++], classes + i * CHAR_BLOCK, CHAR_BLOCK);
        index[i] = (uint16_t)same;
    }
    head->char_index_at = put(index, CHAR_BLOCKS * sizeof(*index));
    head->char_blocks_at = put(blocks, n * CHAR_BLOCK);
    free(text);
    free(classes);
    free(blocks);
    free(index);
}

// ---- the trie

// Nodes as they are found: the more common a token, the lower its nodes' numbers.
struct branch {
    uint32_t child, sibling;  // 0: none
    uint32_t token;
    uint32_t place;           // in the array of trie_node
    uint8_t label;
};

struct trie {
    struct branch *branches;
    size_t len;
    struct trie_node *nodes;
    bool *base_used;
    size_t nodes_len, nodes_cap;
    size_t open;  // the first block in which a place is looked for
};

static uint32_t branch_find(const struct trie *t, uint32_t parent, uint8_t label)
{
    uint32_t at = t->branches[parent].child;

    while (at && t->branches[at].label != label)
        at = t->branches[at].sibling;
    return at;
}

static void trie_add(struct trie *t, const uint8_t *bytes, size_t len, uint32_t token)
{
    uint32_t at = 0;

    for (size_t i = 0; i < len; i++) {
        uint32_t child = branch_find(t, at, bytes[i]);

        if (!child) {
            child = (uint32_t)t->len++;
            t->branches[child] = (struct branch){
                .sibling = t->branches[at].child, .token = TOKEN_NONE, .label = bytes[i]};
            t->branches[at].child = child;
        }
        at = child;
    }
    t->branches[at].token = token;
}

static uint32_t trie_longest_prefix(const struct trie *t, const uint8_t *bytes, size_t len)
{
    uint32_t best = TOKEN_NONE, at = 0;

    for (size_t i = 0; i + 1 < len; i++) {
        at = branch_find(t, at, bytes[i]);
        if (t->branches[at].token != TOKEN_NONE)
            best = t->branches[at].token;
    }
    return best;
}

static bool fits(const struct trie *t, uint32_t base, uint32_t child)
{
    if (!base || t->base_used[base])
        return false;
    for (; child; child = t->branches[child].sibling)
        if (t->nodes[base ^ t->branches[child].label].label_token != TRIE_FREE)
            return false;
    return true;
}

// A place for an only child close after its parent, so that the walk down a rare token's end stays
// in one or two lines of the processor's cache. 0: there is none.
static uint32_t find_near(const struct trie *t, uint32_t place, uint32_t child)
{
    enum { NEAR = 16 };

    for (uint32_t at = place + 1; at <= place + NEAR && at < t->nodes_len; at++)
        if (fits(t, at ^ t->branches[child].label, child))
            return at ^ t->branches[child].label;
    return 0;
}

static uint32_t find_base(struct trie *t, uint32_t child)
{
    enum { BLOCKS_TRIED = 8 };  // then those before are taken for full
    size_t blocks = t->nodes_len / TRIE_BLOCK;

    if (blocks > t->open + BLOCKS_TRIED)
        t->open = blocks - BLOCKS_TRIED;
    for (uint32_t base = (uint32_t)(t->open * TRIE_BLOCK); base < t->nodes_len; base++)
        if (fits(t, base, child))
            return base;
    if (t->nodes_len + TRIE_BLOCK > t->nodes_cap)
        die("the trie is too large");
    for (size_t i = 0; i < TRIE_BLOCK; i++)
        t->nodes[t->nodes_len + i].label_token = TRIE_FREE;
    t->nodes_len += TRIE_BLOCK;
    return (uint32_t)(t->nodes_len - TRIE_BLOCK);
}

// Gives a node's children their places, and theirs to the end of a chain of only children.
static void place_children(struct trie *t, uint32_t node)
{
    while (t->branches[node].child && !t->nodes[t->branches[node].place].base) {
        const struct branch *parent = &t->branches[node];
        bool only = !t->branches[parent->child].sibling;
        uint32_t base = only ? find_near(t, parent->place, parent->child) : 0;

        if (!base)
            base = find_base(t, parent->child);
        t->base_used[base] = true;
        t->nodes[parent->place].base = base;
        for (uint32_t c = parent->child; c; c = t->branches[c].sibling) {
            struct branch *child = &t->branches[c];

            child->place = base ^ child->label;
            t->nodes[child->place].label_token = child->token << TRIE_LABEL_BITS | child->label;
        }
        if (!only)
            return;
        node = parent->child;
    }
}

static void trie_lay_out(struct trie *t)
{
    // Place 0 is the root's; its block is there from the start.
    t->nodes_len = TRIE_BLOCK;
    for (size_t i = 0; i < TRIE_BLOCK; i++)
        t->nodes[i].label_token = TRIE_FREE;
    t->nodes[0].label_token = (uint32_t)TOKEN_NONE << TRIE_LABEL_BITS | TRIE_FREE;
    for (uint32_t i = 0; i < t->len; i++)
        place_children(t, i);
}

static struct trie trie_new(size_t bytes)
{
    struct trie t = {.len = 1, .nodes_cap = (2 * bytes + TRIE_BLOCK) / TRIE_BLOCK * TRIE_BLOCK};

    t.branches = make(bytes + 1, sizeof(*t.branches));
    t.branches[0].token = TOKEN_NONE;
    t.nodes = make(t.nodes_cap, sizeof(*t.nodes));
    t.base_used = make(t.nodes_cap, 1);
    return t;
}

static void trie_free(struct trie *t)
{
    free(t->branches);
    free(t->nodes);
    free(t->base_used);
}

// ---- a vocabulary

struct vocabulary {
    const char *file;
    struct image_vocabulary *head;
    struct token *tokens;
    uint8_t (*texts)[TOKEN_BYTES_MAX + 1];
    size_t len;
};

static uint32_t number(const unsigned char *planes, size_t len, size_t i)
{
    return (uint32_t)planes[i] << 16 | (uint32_t)planes[len + i] << 8 | planes[2 * len + i];
}

static void read_merges(struct vocabulary *v)
{
    size_t packed_len, head_len = sizeof(MAGIC) - 1 + BYTE_TOKENS;
    unsigned char *packed = read_file(v->file, &packed_len);
    unsigned char *plain = make(PLAIN_BYTES_MAX, 1);
    size_t plain_len = ZSTD_decompress(plain, PLAIN_BYTES_MAX, packed, packed_len);

    if (ZSTD_isError(plain_len))
        die("%s: %s", v->file, ZSTD_getErrorName(plain_len));
    if (plain_len < head_len || memcmp(plain, MAGIC, sizeof(MAGIC) - 1) != 0 ||
        (plain_len - head_len) % NUMBER_BYTES)
        die("%s: not a list of merges", v->file);
    size_t merges = (plain_len - head_len) / NUMBER_BYTES;
    v->len = BYTE_TOKENS + merges;
    if (v->len > TOKEN_NONE)
        die("%s: too many tokens", v->file);
    v->tokens = make(v->len, sizeof(*v->tokens));
    v->texts = make(v->len, sizeof(*v->texts));
    memcpy(v->head->bytes, plain + sizeof(MAGIC) - 1, BYTE_TOKENS);
    for (uint32_t i = 0; i < BYTE_TOKENS; i++) {
        v->tokens[i] = (struct token){.left = i, .right = i, .prefix = TOKEN_NONE, .length = 1};
        v->texts[i][0] = v->head->bytes[i];
    }
    for (size_t i = 0; i < merges; i++) {
        struct token *t = &v->tokens[BYTE_TOKENS + i];

        t->left = number(plain + head_len, merges, i);
        t->right = number(plain + head_len + PLANES * merges, merges, i);
        if (t->left >= BYTE_TOKENS + i || t->right >= BYTE_TOKENS + i)
            die("%s: token %zu is made of later ones", v->file, BYTE_TOKENS + i);
        uint32_t left_len = v->tokens[t->left].length, right_len = v->tokens[t->right].length;
        t->length = left_len + right_len;
        if (t->length > TOKEN_BYTES_MAX)
            die("%s: token %zu is too long", v->file, BYTE_TOKENS + i);
        memcpy(v->texts[BYTE_TOKENS + i], v->texts[t->left], left_len);
        memcpy(v->texts[BYTE_TOKENS + i] + left_len, v->texts[t->right], right_len);
    }
    free(packed);
    free(plain);
}

static void put_trie(struct vocabulary *v)
{
    size_t bytes = 0;

    for (size_t i = 0; i < v->len; i++)
        bytes += v->tokens[i].length;
    struct trie t = trie_new(bytes);
    for (size_t i = 0; i < v->len; i++)
        trie_add(&t, v->texts[i], v->tokens[i].length, (uint32_t)i);
    for (size_t i = 0; i < v->len; i++)
        v->tokens[i].prefix = trie_longest_prefix(&t, v->texts[i], v->tokens[i].length);
    trie_lay_out(&t);
    v->head->nodes_len = (uint32_t)t.nodes_len;
    v->head->nodes_at = put(t.nodes, t.nodes_len * sizeof(*t.nodes));
    trie_free(&t);
}

// The merges that a token is the left, or the right, part of: the first, and after each the next,
// in their order; 0: no more.
struct merges_of {
    uint32_t *first, *next;
};

static struct merges_of merges_of(const struct vocabulary *v, bool left)
{
    struct merges_of of = {make(v->len, sizeof(*of.first)), make(v->len, sizeof(*of.next))};

    for (size_t i = v->len; i-- > BYTE_TOKENS;) {
        uint32_t part = left ? v->tokens[i].left : v->tokens[i].right;

        of.next[i] = of.first[part];
        of.first[part] = (uint32_t)i;
    }
    return of;
}

// What a part of a token may merge into, below a limit.
static uint64_t bits_below(const struct vocabulary *v, const struct merges_of *of, uint32_t part,
                           uint32_t limit)
{
    uint64_t bits = 0;

    for (uint32_t i = of->first[part]; i && i < limit; i = of->next[i])
        bits |= over_bits(v->tokens[i].left, v->tokens[i].right);
    return bits;
}

// A token's over_end and over_start: of itself, which no merge has to come before, and of the parts
// down its edge. One on the left edge may also be in a merge that makes the same as the one that
// made it a part, as of equal merges the leftmost comes first.
static void put_over_bits(struct vocabulary *v)
{
    struct merges_of left_of = merges_of(v, true), right_of = merges_of(v, false);

    for (uint32_t i = 0; i < v->len; i++) {
        struct token *t = &v->tokens[i];
        uint32_t part = i;

        t->over_end = bits_below(v, &left_of, i, TOKEN_NONE);
        for (; part >= BYTE_TOKENS; part = v->tokens[part].right)
            t->over_end |= bits_below(v, &left_of, v->tokens[part].right, part);
        t->over_start = bits_below(v, &right_of, i, TOKEN_NONE);
        for (part = i; part >= BYTE_TOKENS; part = v->tokens[part].left)
            t->over_start |= bits_below(v, &right_of, v->tokens[part].left, part + 1);
    }
    free(left_of.first);
    free(left_of.next);
    free(right_of.first);
    free(right_of.next);
}

static void put_pairs(struct vocabulary *v)
{
    size_t slots = 1;

    while (slots < 2 * v->len)
        slots *= 2;
    uint32_t *pairs = make(slots, sizeof(*pairs));
    memset(pairs, 0xFF, slots * sizeof(*pairs));
    for (size_t i = BYTE_TOKENS; i < v->len; i++) {
        uint64_t hash = pair_hash(v->tokens[i].left, v->tokens[i].right);
        size_t at = hash & (slots - 1);

        while (pairs[at] != PAIR_FREE)
            at = (at + 1) & (slots - 1);
        pairs[at] = (uint32_t)(hash >> (64 - PAIR_TAG_BITS)) << TOKEN_BITS | (uint32_t)i;
    }
    v->head->pair_mask = (uint32_t)(slots - 1);
    v->head->pairs_at = put(pairs, slots * sizeof(*pairs));
    free(pairs);
}

static uint64_t low_bytes(const uint8_t *bytes)
{
    uint64_t number = 0;

    for (size_t i = sizeof(number); i-- > 0;)
        number = number << 8 | bytes[i];
    return number;
}

static void put_words(struct vocabulary *v)
{
    struct word *words = make(1u << WORD_TABLE_BITS, sizeof(*words));

    for (size_t i = 0; i < v->len; i++) {
        const uint8_t *text = v->texts[i];

        if (v->tokens[i].length > WORD_BYTES_MAX)
            continue;
        struct word key = word_key(low_bytes(text), low_bytes(text + 8), v->tokens[i].length);
        struct word *place = &words[word_place(key)];
        if (place->high)
            place = &words[word_place(key) ^ 1];
        if (!place->high)
            *place = (struct word){key.low, key.high | (uint64_t)i << WORD_TOKEN_AT};
    }
    v->head->words_at = put(words, sizeof(*words) << WORD_TABLE_BITS);
    free(words);
}

// The encoding's name is the file's up to its first dot.
static void put_vocabulary(struct image_vocabulary *head, const char *file)
{
    struct vocabulary v = {.file = file, .head = head};
    const char *slash = strrchr(file, '/'), *name = slash ? slash + 1 : file;
    size_t len = strcspn(name, ".");

    if (len >= sizeof(head->name))
        die("%s: too long a name", file);
    memcpy(head->name, name, len);
    read_merges(&v);
    put_trie(&v);
    put_pairs(&v);
    put_over_bits(&v);
    put_words(&v);
    head->tokens_len = (uint32_t)v.len;
    head->tokens_at = put(v.tokens, v.len * sizeof(*v.tokens));
    free(v.tokens);
    free(v.texts);
}

int main(int argc, char **argv)
{
    struct image head = {.magic = IMAGE_MAGIC};

    if (argc != 3 + IMAGE_VOCABULARIES)
        die("usage: encodings OUT CLASSES MERGES…");
    put(&head, sizeof(head));
    put_classes(&head, argv[2]);
    for (int i = 0; i < IMAGE_VOCABULARIES; i++)
        put_vocabulary(&head.vocabularies[i], argv[3 + i]);
    head.bytes = (uint32_t)image_len;
    memcpy(image, &head, sizeof(head));
    FILE *out = fopen(argv[1], "wb");
    if (!out || fwrite(image, 1, image_len, out) != image_len || fclose(out))
        die("%s: %s", argv[1], strerror(errno));
    free(image);
    return 0;
}
