// SPDX-License-Identifier: MIT
// Segments: what goes in comes out; merging equals sealing at once, also with documents left out;
// bytes from strangers; vectors; memory.
#include "base/mem.h"
#include "base/rand.h"
#include "memory/segment.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { DOCS = 60, DIMS = 5 };

static const struct segment_about about = {SLICE_LIT("partition"), SLICE_LIT("bot"), DIMS, 77};

// The i-th document of a made-up history: always the same.
static int add_doc(struct segment_builder *b, uint32_t i, struct err *err)
{
    static const char *const words[] = {"tea", "boat",   "garden", "Zürich",        "2023-05-08",
                                        "the", "hiking", "東京",   "garden garden", "a"};
    static const char *const speakers[] = {"", "ann", "bob lee"};
    struct rand_sim r;
    struct terms terms;
    char text[512] = "", session[16];
    int8_t vector[DIMS];

    rand_sim_init(&r, i + 1);
    for (uint64_t n = rand_below(&r.rand, 8); n > 0; n--) {
        strcat(text, words[rand_below(&r.rand, 10)]);
        strcat(text, " ");
    }
    for (int k = 0; k < DIMS; k++)
        vector[k] = (int8_t)((int)rand_below(&r.rand, 255) - 127);
    snprintf(session, sizeof(session), "s%u", i / 7);
    struct doc doc = {.at_ms = (int64_t)(i * 1000003) - 5000000,
                      .turn = i,
                      .tokens = i * 31,
                      .step = (uint8_t)(i % 2),
                      .kind = (uint8_t)(i % 3),
                      .flags = (uint8_t)(i % 4)};
    terms_init(&terms);
    int rc = terms_read(&terms, slice_str(text), err);
    if (!rc)
        rc = segment_builder_add(b, &doc, slice_str(session), slice_str(i % 2 ? "home" : ""),
                                 slice_str(speakers[i % 3]), &terms, i % 5 ? vector : NULL, err);
    terms_release(&terms);
    return rc;
}

// A segment of the documents first … last that are not in dead (a byte each, may be NULL).
static char *seal(uint32_t first, uint32_t last, uint32_t level, const uint8_t *dead, size_t *len)
{
    struct segment_builder *b;
    char *bytes;

    assert_int_equal(segment_builder_new(&b, &about, NULL), E_OK);
    for (uint32_t i = first; i <= last; i++)
        if (!dead || !dead[i])
            assert_int_equal(add_doc(b, i, NULL), E_OK);
    assert_int_equal(segment_seal(b, level, &bytes, len, NULL), E_OK);
    segment_builder_free(b);
    return bytes;
}

static struct segment *sealed(uint32_t first, uint32_t last)
{
    struct segment *s;
    size_t len;
    char *bytes = seal(first, last, 0, NULL, &len);
    assert_int_equal(segment_parse(&s, bytes, len, NULL), E_OK);
    return s;
}

static void test_segment__what_goes_in_comes_out(void **state)
{
    struct segment *s = sealed(0, DOCS - 1);
    struct term_entry e;

    (void)state;
    assert_int_equal(s->docs_len, DOCS);
    assert_int_equal(s->space, 77);
    assert_true(slice_is(s->partition, "partition") && slice_is(s->bot, "bot"));
    uint32_t vectors = 0;
    for (uint32_t i = 0; i < DOCS; i++) {
        const struct doc *d = &s->docs[i];
        assert_int_equal(d->at_ms, (int64_t)(i * 1000003) - 5000000);
        assert_int_equal(d->turn, i);
        assert_int_equal(d->tokens, i * 31);
        assert_int_equal(d->step, i % 2);
        assert_int_equal(d->kind, i % 3);
        assert_int_equal(d->flags & 3, i % 4);
        assert_int_equal(!(d->flags & DOC_HAS_VECTOR), i % 5 == 0);
        if (d->flags & DOC_HAS_VECTOR) {
            assert_int_equal(d->vector, vectors++);
            assert_int_equal(segment_norm(s, d->vector),
                             vector_norm(s->vectors + d->vector * DIMS, DIMS));
        }
        assert_int_equal(d->speaker == 0, i % 3 == 0);
        if (i % 3 == 2)
            assert_true(slice_is(s->speakers[d->speaker - 1], "bob lee"));
        assert_true(slice_is(s->sessions[d->session].context, i % 2 ? "home" : ""));
    }
    assert_true(segment_find(s, SLICE_LIT("garden"), &e));
    struct postings p = postings_of(&e);
    uint32_t n = 0;
    for (; postings_next(&p); n++)
        assert_true(p.doc < DOCS && p.tf >= 1);
    assert_int_equal(n, e.df);
    assert_true(segment_find(s, SLICE_LIT("2023-05-08"), &e));
    assert_false(segment_find(s, SLICE_LIT("gard"), &e));
    assert_false(segment_find(s, SLICE_LIT("zzz"), &e));
    segment_free(s);
}

static void test_segment__an_empty_one(void **state)
{
    struct segment_builder *b;
    struct segment *s;
    char *bytes;
    size_t len;

    (void)state;
    assert_int_equal(segment_builder_new(&b, &about, NULL), E_OK);
    assert_int_equal(segment_seal(b, 3, &bytes, &len, NULL), E_OK);
    assert_int_equal(segment_parse(&s, bytes, len, NULL), E_OK);
    assert_int_equal(s->docs_len, 0);
    assert_int_equal(s->level, 3);
    segment_free(s);
    segment_builder_free(b);
}

// Cuts the history at random, marks some documents as dead in the pieces, merges, and compares with
// sealing the others at once, byte for byte.
static void test_segment__merging_equals_sealing_at_once(void **state)
{
    struct rand_sim r;

    (void)state;
    rand_sim_init(&r, 4);
    for (int round = 0; round < 200; round++) {
        struct segment *parts[SEGMENT_PARTS_MAX];
        uint8_t dead[DOCS] = {0};
        unsigned n = 0;
        uint64_t one_in = 1 + rand_below(&r.rand, 5);
        for (uint32_t from = 0; from < DOCS;) {
            uint32_t left = DOCS - from;
            uint32_t take =
                n + 1 == SEGMENT_PARTS_MAX ? left : 1 + (uint32_t)rand_below(&r.rand, left);
            parts[n] = sealed(from, from + take - 1);
            for (uint32_t i = 0; i < take; i++)
                if (round % 2 && rand_below(&r.rand, one_in) == 0)
                    parts[n]->dead[i] = dead[from + i] = 1;
            from += take;
            n++;
        }
        char *merged, *once;
        size_t merged_len, once_len;
        assert_int_equal(segment_merge(parts, n, 2, &about, &merged, &merged_len, NULL), E_OK);
        once = seal(0, DOCS - 1, 2, dead, &once_len);
        assert_int_equal(merged_len, once_len);
        assert_memory_equal(merged, once, once_len);
        mem_free(merged);
        mem_free(once);
        for (unsigned i = 0; i < n; i++)
            segment_free(parts[i]);
    }
}

static void test_segment__vectors_of_another_space_are_left_out(void **state)
{
    struct segment *s = sealed(0, 9), *after;
    const struct segment_about other = {about.partition, about.bot, DIMS, 78};
    char *bytes;
    size_t len;

    (void)state;
    assert_int_equal(s->vectors_len, 8);
    assert_int_equal(segment_merge(&s, 1, 0, &other, &bytes, &len, NULL), E_OK);
    assert_int_equal(segment_parse(&after, bytes, len, NULL), E_OK);
    assert_int_equal(after->vectors_len, 0);
    assert_int_equal(after->docs_len, 10);
    assert_int_equal(after->space, 78);
    segment_free(after);
    segment_free(s);
}

static void test_segment__is_full_at_its_limit(void **state)
{
    struct segment_builder *b;
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(segment_builder_new(&b, &about, NULL), E_OK);
    for (uint32_t i = 0; i < SEGMENT_DOCS_MAX; i++)
        assert_int_equal(add_doc(b, i, NULL), E_OK);
    assert_int_equal(add_doc(b, 1, &err), E_REFUSED);
    assert_int_equal(segment_builder_docs(b), SEGMENT_DOCS_MAX);
    segment_builder_clear(b);
    assert_int_equal(add_doc(b, 1, NULL), E_OK);
    segment_builder_free(b);
}

// ---- hostile bytes

static int parse_copy(const char *bytes, size_t len, struct err *err)
{
    struct segment *s = NULL;
    char *copy = mem_alloc(len);

    memcpy(copy, bytes, len);
    int rc = segment_parse(&s, copy, len, err);
    if (rc) {
        assert_null(s);
        assert_int_equal(rc, E_CORRUPT);
        assert_int_equal(err->code, E_CORRUPT);
        assert_non_null(strstr(err->message, "at byte"));
        return rc;
    }
    // Whatever was accepted can be walked.
    for (uint32_t i = 0; i < s->terms_len; i++) {
        struct term_entry e = segment_term(s, i);
        struct postings p = postings_of(&e);
        while (postings_next(&p))
            assert_true(p.doc < s->docs_len);
    }
    segment_free(s);
    return rc;
}

static void test_segment__cut_anywhere_it_is_refused(void **state)
{
    size_t len;
    char *bytes = seal(0, DOCS - 1, 1, NULL, &len);
    char *longer = mem_alloc(len + 1);

    (void)state;
    for (size_t n = 0; n < len; n++) {
        struct err err = ERR_INIT;
        assert_int_equal(parse_copy(bytes, n, &err), E_CORRUPT);
    }
    struct err err = ERR_INIT;
    memcpy(longer, bytes, len);
    longer[len] = 0;
    assert_int_equal(parse_copy(longer, len + 1, &err), E_CORRUPT);
    assert_int_equal(parse_copy(bytes, len, &err), E_OK);
    mem_free(longer);
    mem_free(bytes);
}

static void test_segment__changed_anywhere_it_is_refused_or_sound(void **state)
{
    size_t len, refused = 0;
    char *bytes = seal(0, DOCS - 1, 1, NULL, &len);
    static const unsigned char values[] = {0x00, 0x01, 0x7f, 0x80, 0xff};

    (void)state;
    for (size_t at = 0; at < len; at++)
        for (size_t k = 0; k < sizeof(values) + 8; k++) {
            struct err err = ERR_INIT;
            char before = bytes[at];
            bytes[at] =
                k < sizeof(values) ? (char)values[k] : (char)(before ^ (1 << (k - sizeof(values))));
            refused += parse_copy(bytes, len, &err) != E_OK;
            bytes[at] = before;
        }
    assert_true(refused > len);
    mem_free(bytes);
}

static void test_segment__claims_of_great_numbers_allocate_nothing(void **state)
{
    // 4,096 documents, sessions … and hardly any bytes.
    static const char claim[] = "PRS1\0\x80\x20\x80\x20\0\x80\x80\x80\x80\x08\0"
                                "\0\0\0\0\0\0\0\0\1u\1b";
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(parse_copy(claim, sizeof(claim) - 1, &err), E_CORRUPT);
    assert_non_null(strstr(err.message, "more terms than bytes"));
}

// ---- vectors

static void test_vector__cosine_is_that_of_doubles(void **state)
{
    enum { MOST = 515 };
    struct rand_sim r;
    float a[MOST], b[MOST];
    int8_t x[MOST], y[MOST];

    (void)state;
    rand_sim_init(&r, 9);
    for (uint32_t dims = 1; dims <= MOST; dims += 1 + dims / 7) {
        double ab = 0, aa = 0, bb = 0;
        for (uint32_t i = 0; i < dims; i++) {
            a[i] = (float)rand_below(&r.rand, 2001) / 1000 - 1;
            b[i] = a[i] * (float)(dims % 3) + (float)rand_below(&r.rand, 2001) / 1000 - 1;
            ab += (double)a[i] * b[i];
            aa += (double)a[i] * a[i];
            bb += (double)b[i] * b[i];
        }
        vector_quantise(a, dims, x);
        vector_quantise(b, dims, y);
        int32_t c = vector_cosine(x, vector_norm(x, dims), y, vector_norm(y, dims), dims);
        assert_true(fabs(c / 32768.0 - ab / sqrt(aa * bb)) < 0.02);
        assert_true(vector_cosine(x, vector_norm(x, dims), x, vector_norm(x, dims), dims) > 32600);
    }
}

// Any bytes on one side, of any length: the fast way and the plain one must come to the same.
static void test_vector__is_exact_on_all_bytes(void **state)
{
    struct rand_sim r;
    int8_t a[300], b[300];

    (void)state;
    rand_sim_init(&r, 2);
    for (uint32_t dims = 0; dims <= 300; dims++) {
        int64_t product = 0;
        for (uint32_t i = 0; i < dims; i++) {
            bool edge = rand_below(&r.rand, 3) == 0;
            a[i] = (int8_t)(edge ? (i % 2 ? 127 : -127) : (int)rand_below(&r.rand, 255) - 127);
            b[i] = (int8_t)(edge ? (i % 3 ? -128 : 127) : (int)rand_below(&r.rand, 256) - 128);
            product += a[i] * b[i];
        }
        const uint32_t norm = 40000;
        int64_t want = product * 32768 * 256 / ((int64_t)norm * norm);
        want = want > 32768 ? 32768 : want < -32768 ? -32768 : want;
        assert_int_equal(vector_cosine(a, norm, b, norm, dims), want);
    }
}

static void test_vector__odd_values(void **state)
{
    const float odd[] = {NAN, INFINITY, -INFINITY, 1e-45F, -1e-45F, 0};
    const float large[] = {3e38F, -3e38F, 1};
    int8_t q[6];

    (void)state;
    vector_quantise(odd, 6, q);
    assert_memory_equal(q, ((int8_t[]){0, 0, 0, 127, -127, 0}), 6);
    vector_quantise(large, 3, q);
    assert_memory_equal(q, ((int8_t[]){127, -127, 0}), 3);
    vector_quantise(odd + 5, 1, q);
    assert_int_equal(vector_norm(q, 1), 0);
    assert_int_equal(vector_cosine(q, 0, q, 0, 1), 0);
}

// ---- memory

static int whole_life(struct err *err)
{
    struct segment_builder *b = NULL;
    struct segment *s = NULL;
    char *bytes = NULL;
    size_t len = 0;
    int rc = segment_builder_new(&b, &about, err);

    for (uint32_t i = 0; i < 4 && !rc; i++) {
        rc = add_doc(b, i, err);
        // What could not be added is not there by half: the rest still makes a sound segment.
        if (rc) {
            mem_fail_at(0, 0);
            assert_int_equal(segment_builder_docs(b), i);
            assert_int_equal(segment_seal(b, 0, &bytes, &len, NULL), E_OK);
            assert_int_equal(segment_parse(&s, bytes, len, NULL), E_OK);
            assert_int_equal(s->docs_len, i);
            segment_free(s);
            segment_builder_free(b);
            return rc;
        }
    }
    if (!rc)
        rc = segment_seal(b, 0, &bytes, &len, err);
    if (!rc)
        rc = segment_parse(&s, bytes, len, err);
    if (!rc) {
        rc = segment_merge(&s, 1, 0, &about, &bytes, &len, err);
        if (!rc)
            mem_free(bytes);
    }
    segment_free(s);
    segment_builder_free(b);
    return rc;
}

static void test_segment__every_failed_allocation_is_survived(void **state)
{
    (void)state;
    for (uint64_t n = 1;; n++) {
        struct err err = ERR_INIT;

        mem_fail_at(n, 0);
        int rc = whole_life(&err);
        mem_fail_at(0, 0);
        if (!rc)
            break;
        assert_int_equal(rc, E_NOMEM);
        assert_int_equal(err.code, E_NOMEM);
        assert_true(n < 500);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_segment__what_goes_in_comes_out),
        cmocka_unit_test(test_segment__an_empty_one),
        cmocka_unit_test(test_segment__merging_equals_sealing_at_once),
        cmocka_unit_test(test_segment__vectors_of_another_space_are_left_out),
        cmocka_unit_test(test_segment__is_full_at_its_limit),
        cmocka_unit_test(test_segment__cut_anywhere_it_is_refused),
        cmocka_unit_test(test_segment__changed_anywhere_it_is_refused_or_sound),
        cmocka_unit_test(test_segment__claims_of_great_numbers_allocate_nothing),
        cmocka_unit_test(test_vector__cosine_is_that_of_doubles),
        cmocka_unit_test(test_vector__is_exact_on_all_bytes),
        cmocka_unit_test(test_vector__odd_values),
        cmocka_unit_test(test_segment__every_failed_allocation_is_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
