// SPDX-License-Identifier: MIT
// Encodings: the vocabularies against their published checksums, tokens against recorded ones of
// tiktoken and against an encoder written as the definition says, pieces by hand, time by steps.
#include "tokens/encoding.h"
#include "tokens/merge.h"
#include "tokens/pieces.h"

#include "base/json.h"
#include "base/mem.h"
#include "support/base64.h"
#include "support/shared.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

static const struct encoding *cl100k(void)
{
    return encoding_find(SLICE_LIT("cl100k_base"));
}

static const struct encoding *o200k(void)
{
    return encoding_find(SLICE_LIT("o200k_base"));
}

static uint32_t count(const struct encoding *e, struct slice text)
{
    uint32_t n;

    assert_int_equal(encoding_count(e, text, 0, &n, NULL), E_OK);
    return n;
}

static void assert_ids(const struct encoding *e, struct slice text, unsigned flags,
                       const uint32_t *wanted, size_t n)
{
    struct token_ids ids = TOKEN_IDS_INIT;
    uint32_t counted;

    assert_int_equal(encoding_encode(e, text, flags, &ids, NULL), E_OK);
    assert_int_equal(encoding_count(e, text, flags, &counted, NULL), E_OK);
    assert_int_equal(ids.len, n);
    assert_int_equal(counted, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(ids.ptr[i], wanted[i]);
    token_ids_release(&ids);
}

#define ASSERT_IDS(e, text, flags, ...) \
    do { \
        const uint32_t wanted_[] = {__VA_ARGS__}; \
        assert_ids(e, slice_str(text), flags, wanted_, sizeof(wanted_) / sizeof(wanted_[0])); \
    } while (0)

static void test_bpe__names(void **state)
{
    (void)state;
    assert_string_equal(encoding_name(cl100k()), "cl100k_base");
    assert_string_equal(encoding_name(o200k()), "o200k_base");
    assert_null(encoding_find(SLICE_LIT("p50k_base")));
    assert_null(encoding_find(SLICE_LIT("")));
    assert_ptr_equal(encoding_at(0), cl100k());
    assert_ptr_equal(encoding_at(1), o200k());
    assert_null(encoding_at(2));
}

// The vocabularies as their authors publish them: a line "base64 rank" for each token, with the
// SHA-256 that tiktoken checks (tiktoken_ext/openai_public.py).
static void assert_published(const struct encoding *e, uint32_t tokens, const char *sha256)
{
    crypto_hash_sha256_state hash;
    unsigned char digest[crypto_hash_sha256_BYTES];
    char line[512], hex[2 * sizeof(digest) + 1];
    struct buf text = BUF_INIT(TOKEN_BYTES_MAX);

    crypto_hash_sha256_init(&hash);
    for (uint32_t id = 0; id < tokens; id++) {
        buf_clear(&text);
        assert_true(encoding_decode(e, id, &text));
        sodium_bin2base64(line, sizeof(line), (const unsigned char *)text.ptr, text.len,
                          sodium_base64_VARIANT_ORIGINAL);
        size_t n = strlen(line);
        n += (size_t)snprintf(line + n, sizeof(line) - n, " %u\n", id);
        crypto_hash_sha256_update(&hash, (const unsigned char *)line, n);
    }
    assert_false(encoding_decode(e, tokens, &text));
    crypto_hash_sha256_final(&hash, digest);
    assert_string_equal(sodium_bin2hex(hex, sizeof(hex), digest, sizeof(digest)), sha256);
    buf_release(&text);
}

static void test_bpe__vocabularies_as_published(void **state)
{
    (void)state;
    assert_published(cl100k(), 100256,
                     "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7");
    assert_published(o200k(), 199998,
                     "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d");
}

// ---- pieces

// As one piece, whatever the rule says.
static int add_whole(struct merger *m, struct slice text)
{
    const uint8_t *p = (const uint8_t *)text.ptr;
    uint32_t len = (uint32_t)text.len;

    return merger_add(m, p, p + len, &len, 1, NULL);
}

static void assert_pieces(piece_rule *rule, const char *text, const char *cut)
{
    enum { AT_ONCE = 3 };
    const uint8_t *p = (const uint8_t *)text, *end = p + strlen(text);
    struct buf out = BUF_INIT(4096);
    uint32_t lengths[AT_ONCE];
    size_t n;

    while ((n = rule(p, end, lengths, AT_ONCE)) > 0) {
        assert_in_range(n, 1, AT_ONCE);
        for (size_t i = 0; i < n; p += lengths[i++]) {
            assert_in_range(lengths[i], 1, (size_t)(end - p));
            if (out.len)
                buf_add_char(&out, '|');
            buf_add(&out, p, lengths[i]);
        }
    }
    assert_ptr_equal(p, end);
    assert_string_equal(out.ptr, cut);
    buf_release(&out);
}

static void test_bpe__pieces(void **state)
{
    static const struct {
        const char *text, *cl100k, *o200k;
    } cases[] = {
        {"Hello, world!", "Hello|,| world|!", "Hello|,| world|!"},
        {"it's I'LL 'twas x'st", "it|'s| I|'LL| '|twas| x|'s|t", "it's| I'LL| '|twas| x's|t"},
        {"it'\u017F", "it|'\u017F", "it'\u017F"},
        {"12345 6", "123|45| |6", "123|45| |6"},
        {"a  b", "a| | b", "a| | b"},
        {"a \n\n  b", "a| \n\n| | b", "a| \n\n| | b"},
        {"a  ", "a|  ", "a|  "},
        {"a\t1", "a|\t|1", "a|\t|1"},
        {"x  !!", "x| | !!", "x| | !!"},
        {"//\n/x", "//\n|/x", "//\n/|x"},
        {"fooBarBAZ", "fooBarBAZ", "foo|Bar|BAZ"},
        {"HTTPServer", "HTTPServer", "HTTPServer"},
        {"A\u0301BC", "A|\u0301BC", "A\u0301|BC"},
        {"\u0301BC", "\u0301BC", "\u0301|BC"},
        {"\u4E2D\u6587ABc", "\u4E2D\u6587ABc", "\u4E2D\u6587ABc"},
        {"\u4E2D\u6587ABC", "\u4E2D\u6587ABC", "\u4E2D\u6587|ABC"},
        {"\u3000\u3000a", "\u3000|\u3000a", "\u3000|\u3000a"},
        {"\u180E\u180Ea", "\u180E\u180E|a", "\u180E\u180E|a"},
        {"\u01C5x\u01C5", "\u01C5x\u01C5", "\u01C5x|\u01C5"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_pieces(pieces_cl100k, cases[i].text, cases[i].cl100k);
        assert_pieces(pieces_o200k, cases[i].text, cases[i].o200k);
    }
}

// ---- by the definition

// The vocabulary by its texts, in order, so that one can be looked up.
struct entry {
    struct slice text;
    uint32_t id;
};
struct by_text {
    struct buf texts;
    struct entry *entries;
    size_t len;
};

static int by_bytes(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;

    return slice_cmp(x->text, y->text);
}

static struct by_text sort_vocabulary(const struct encoding *e, const struct vocabulary *v)
{
    struct by_text t = {.texts = BUF_INIT(1 << 22), .len = v->tokens_len};
    size_t at = 0;

    t.entries = calloc(t.len, sizeof(*t.entries));
    assert_non_null(t.entries);
    for (uint32_t id = 0; id < t.len; id++)
        assert_true(encoding_decode(e, id, &t.texts));
    for (uint32_t id = 0; id < t.len; at += v->tokens[id++].length)
        t.entries[id] = (struct entry){slice_of(t.texts.ptr + at, v->tokens[id].length), id};
    qsort(t.entries, t.len, sizeof(*t.entries), by_bytes);
    return t;
}

// The encoder as it is defined: merges the leftmost of the neighbours whose bytes together are the
// token with the lowest id, until there are none. part[i] to part[i + 1] is a token.
static size_t by_definition(const struct by_text *t, struct slice text, uint32_t *out)
{
    size_t part[64], n = text.len;

    for (size_t i = 0; i <= n; i++)
        part[i] = i;
    for (;;) {
        const struct entry *best = NULL;
        size_t at = 0;

        for (size_t i = 0; i + 1 < n; i++) {
            struct entry key = {slice_of(text.ptr + part[i], part[i + 2] - part[i]), 0};
            const struct entry *e = bsearch(&key, t->entries, t->len, sizeof(key), by_bytes);
            if (e && (!best || e->id < best->id)) {
                best = e;
                at = i;
            }
        }
        if (!best)
            break;
        memmove(part + at + 1, part + at + 2, (n - at - 1) * sizeof(*part));
        n--;
    }
    for (size_t i = 0; i < n; i++) {
        struct entry key = {slice_of(text.ptr + part[i], part[i + 1] - part[i]), 0};
        const struct entry *e = bsearch(&key, t->entries, t->len, sizeof(key), by_bytes);
        out[i] = e ? e->id : TOKEN_NONE;  // there is one
    }
    return n;
}

static void test_bpe__as_defined(void **state)
{
    enum { TEXTS = 20000, BYTES = 24 };
    static const char letters[] = "aaaaeeinst  rlo\xE4\xB8\xAD\xD0\xB0=-\n";
    uint32_t seed = 1, wanted[BYTES];

    (void)state;
    for (size_t e = 0; e < IMAGE_VOCABULARIES; e++) {
        struct merger m = {.vocabulary = vocabulary_of(&encodings_image.vocabularies[e]),
                           .keep = true};
        struct by_text t = sort_vocabulary(encoding_at(e), &m.vocabulary);

        for (size_t i = 0; i < TEXTS; i++) {
            char text[BYTES];
            size_t len = 2 + i % (BYTES - 1);
            for (size_t j = 0; j < len; j++) {
                seed = seed * 1664525 + 1013904223;
                text[j] = i % 4 ? letters[(seed >> 16) % (sizeof(letters) - 1)]
                                : (char)(seed >> 16);
            }
            m.ids.len = 0;
            assert_int_equal(add_whole(&m, slice_of(text, len)), E_OK);
            assert_int_equal(m.ids.len, by_definition(&t, slice_of(text, len), wanted));
            assert_memory_equal(m.ids.ptr, wanted, m.ids.len * sizeof(*wanted));
        }
        free(t.entries);
        buf_release(&t.texts);
        merger_release(&m);
    }
}

// What the method of merge.c rests on, and what tiktoken does with a piece that is a token.
static void test_bpe__a_token_is_itself(void **state)
{
    struct buf text = BUF_INIT(TOKEN_BYTES_MAX);

    (void)state;
    for (size_t e = 0; e < IMAGE_VOCABULARIES; e++) {
        struct merger m = {.vocabulary = vocabulary_of(&encodings_image.vocabularies[e]),
                           .keep = true};

        for (uint32_t id = 0; id < m.vocabulary.tokens_len; id++) {
            buf_clear(&text);
            assert_true(encoding_decode(encoding_at(e), id, &text));
            assert_int_equal(text.len, m.vocabulary.tokens[id].length);
            m.ids.len = 0;
            assert_int_equal(add_whole(&m, buf_slice(&text)), E_OK);
            assert_int_equal(m.ids.len, 1);
            assert_int_equal(m.ids.ptr[0], id);
        }
        merger_release(&m);
    }
    buf_release(&text);
}

// ---- as recorded

static void compare_recorded(struct json line, const struct encoding *e, struct slice text)
{
    struct json list = json_get(line, encoding_name(e));
    struct token_ids ids = TOKEN_IDS_INIT;
    struct json_iter it = {0};
    struct json key, id;
    size_t i = 0;

    assert_int_equal(encoding_encode(e, text, 0, &ids, NULL), E_OK);
    assert_int_equal(ids.len, json_count(list));
    assert_int_equal(ids.len, count(e, text));
    while (json_next(list, &it, &key, &id))
        assert_int_equal(ids.ptr[i++], json_i64(id, -1));
    token_ids_release(&ids);
}

static void test_bpe__as_recorded(void **state)
{
    size_t len, lines = 0;
    char *all = shared_read("tokens/truth.jsonl.gz", &len), *at = all;
    struct json_doc doc = JSON_DOC_INIT;

    (void)state;
    if (!all)
        skip();
    for (char *end; (end = strchr(at, '\n')); at = end + 1, lines++) {
        struct buf b64 = BUF_INIT(1 << 24);
        size_t bytes;

        assert_int_equal(json_parse(&doc, slice_of(at, (size_t)(end - at)), 0, NULL), E_OK);
        assert_true(json_string(json_get(json_root(&doc), "b64"), &b64));
        char *text = base64_decode(buf_slice(&b64), &bytes);
        assert_non_null(text);
        compare_recorded(json_root(&doc), cl100k(), slice_of(text, bytes));
        compare_recorded(json_root(&doc), o200k(), slice_of(text, bytes));
        buf_release(&b64);
        free(text);
    }
    print_message("# %zu recorded texts, both encodings, 0 differences\n", lines);
    json_doc_release(&doc);
    free(all);
}

// ---- special tokens, and text that is none

static void test_bpe__special(void **state)
{
    (void)state;
    ASSERT_IDS(o200k(), "a<|endoftext|>b", ENCODING_SPECIAL, 64, 199999, 65);
    ASSERT_IDS(o200k(), "<|endofprompt|><|endoftext|>", ENCODING_SPECIAL, 200018, 199999);
    ASSERT_IDS(cl100k(), "<<|fim_middle|>", ENCODING_SPECIAL, 27, 100259);
    ASSERT_IDS(cl100k(), "<|fim_prefix|", ENCODING_SPECIAL, 27, 91, 69, 318, 14301, 91);
    // A text of its own ends before one: its white space is whole.
    ASSERT_IDS(o200k(), "a  <|endoftext|>b", ENCODING_SPECIAL, 64, 256, 199999, 65);
    assert_true(count(o200k(), SLICE_LIT("<|endoftext|>")) > 1);
    // Not of this encoding.
    ASSERT_IDS(o200k(), "<|fim_prefix|>", ENCODING_SPECIAL, 27, 91, 103473, 33197, 91, 29);
    struct buf text = BUF_INIT(64);
    assert_true(encoding_decode(o200k(), 199999, &text));
    assert_string_equal(text.ptr, "<|endoftext|>");
    assert_false(encoding_decode(o200k(), 199998, &text));
    buf_release(&text);
}

static void test_bpe__ill_formed(void **state)
{
    static const struct {
        struct slice text;
        const char *as;
    } cases[] = {
        {SLICE_LIT("a\xFFz"), "a\uFFFDz"},
        {SLICE_LIT("\x80\x80"), "\uFFFD\uFFFD"},
        {SLICE_LIT("\xE4\xB8"), "\uFFFD"},
        {SLICE_LIT("\xF0\x9F\x98 \xED\xA0\x80"), "\uFFFD \uFFFD\uFFFD\uFFFD"},
        {SLICE_LIT("\xC0\xAF"), "\uFFFD\uFFFD"},
        {SLICE_LIT("it'\xC5"), "it'\uFFFD"},
    };
    struct token_ids ids = TOKEN_IDS_INIT;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t e = 0; e < IMAGE_VOCABULARIES; e++) {
            ids.len = 0;
            assert_int_equal(
                encoding_encode(encoding_at(e), slice_str(cases[i].as), 0, &ids, NULL), E_OK);
            assert_ids(encoding_at(e), cases[i].text, 0, ids.ptr, ids.len);
        }
    }
    token_ids_release(&ids);
    assert_int_equal(count(o200k(), SLICE_NONE), 0);
    assert_int_equal(count(o200k(), SLICE_LIT("\0")), 1);
    assert_int_equal(count(cl100k(), SLICE_LIT("a\0b")), 3);
    assert_int_equal(count(cl100k(), SLICE_LIT("\xEF\xBB\xBF")), 1);  // a byte order mark counts
}

// ---- time and memory

static uint64_t steps_of(const struct encoding *e, struct slice text)
{
    struct merger m = {0};

    assert_int_equal(merger_add_text(&m, e, text, 0, NULL), E_OK);
    assert_int_not_equal(m.count, 0);
    merger_release(&m);
    return m.steps;
}

// In steps, which no other load of the machine changes: so many per byte at most, and twice as many
// for a run that is twice as long.
static void test_bpe__linear(void **state)
{
    enum { BYTES = 1 << 20, STEPS_PER_BYTE = 20, FEW = 2000 };
    static const char *const units[] = {"a", "A", "ab", " ", "\n", "0", "=", "the", "aab",
                                        "abcdefghij", "\xE4\xB8\xAD", "\xCC\x81",
                                        "\xF0\x9F\x98\x80", "\xFF"};
    char *text = malloc(BYTES);

    (void)state;
    assert_non_null(text);
    for (size_t u = 0; u < sizeof(units) / sizeof(units[0]); u++) {
        size_t unit = strlen(units[u]);
        for (size_t i = 0; i < BYTES; i++)
            text[i] = units[u][i % unit];
        for (size_t e = 0; e < IMAGE_VOCABULARIES; e++) {
            uint64_t half = steps_of(encoding_at(e), slice_of(text, BYTES / 2));
            uint64_t whole = steps_of(encoding_at(e), slice_of(text, BYTES));
            assert_in_range(whole, 0, (uint64_t)STEPS_PER_BYTE * BYTES);
            assert_in_range(whole, 0, 2 * half + FEW);
        }
    }
    free(text);
}

static void test_bpe__too_long(void **state)
{
    struct err err = ERR_INIT;
    uint32_t n;

    (void)state;
    // Refused by its length alone; not a byte of it is read.
    assert_int_equal(encoding_count(o200k(), slice_of("", (size_t)ENCODING_BYTES_MAX + 1), 0, &n,
                                    &err), E_REFUSED);
    assert_non_null(strstr(err.message, "64 MiB"));
}

static void test_bpe__out_of_memory(void **state)
{
    char text[2000];
    struct token_ids ids = TOKEN_IDS_INIT;
    uint32_t n;

    (void)state;
    memset(text, 'a', sizeof(text));
    assert_int_equal(encoding_encode(o200k(), SLICE_LIT("a b"), 0, &ids, NULL), E_OK);
    for (uint64_t i = 1; i <= 2; i++) {
        mem_fail_at(i, 0);
        assert_int_equal(encoding_count(o200k(), slice_of(text, sizeof(text)), 0, &n, NULL),
                         E_NOMEM);
        mem_fail_at(i, 0);
        assert_int_equal(encoding_encode(o200k(), slice_of(text, sizeof(text)), 0, &ids, NULL),
                         E_NOMEM);
        mem_fail_at(0, 0);
        assert_int_equal(ids.len, 2);
    }
    text[0] = '\xFF';
    mem_fail_at(1, 0);
    assert_int_equal(encoding_count(o200k(), slice_of(text, sizeof(text)), 0, &n, NULL), E_NOMEM);
    // Common text needs none.
    mem_fail_at(1, 1);
    assert_int_equal(encoding_count(o200k(), SLICE_LIT("Common text, antidisestablishmentarian."),
                                    0, &n, NULL), E_OK);
    mem_fail_at(0, 0);
    token_ids_release(&ids);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bpe__names),
        cmocka_unit_test(test_bpe__vocabularies_as_published),
        cmocka_unit_test(test_bpe__pieces),
        cmocka_unit_test(test_bpe__as_defined),
        cmocka_unit_test(test_bpe__a_token_is_itself),
        cmocka_unit_test(test_bpe__as_recorded),
        cmocka_unit_test(test_bpe__special),
        cmocka_unit_test(test_bpe__ill_formed),
        cmocka_unit_test(test_bpe__linear),
        cmocka_unit_test(test_bpe__too_long),
        cmocka_unit_test(test_bpe__out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
