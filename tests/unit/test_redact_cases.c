// SPDX-License-Identifier: MIT
// The cases that others wrote: each class has at least 98 % of them right, but for exceptions that
// have a reason each; skipped without ../shared. And sentences made from a seed: precision and
// recall of each kind.
#include "support/redact_cases.h"
#include "support/redact_sentences.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { RIGHT_PERCENT = 98 };

static void tell(const char *id, struct slice text, const char *why)
{
    print_message("# %s: %.*s: %s\n", id, SLICE_FMT(text), why ? why : "not as expected");
}

static void test_redact_cases__are_right(void **state)
{
    struct redact_score score = {.tell = tell};
    size_t excepted = 0, wrong = 0;

    (void)state;
    if (!redact_cases(&score))
        skip();
    for (size_t i = 0; i < score.n; i++) {
        const struct redact_class *c = &score.of[i];

        excepted += c->excepted;
        if (c->right * 100 < (c->cases - c->excepted) * RIGHT_PERCENT ||
            c->hits * 100 < (c->hits + c->missed) * RIGHT_PERCENT ||
            c->hits * 100 < (c->hits + c->extra) * RIGHT_PERCENT) {
            print_message("# %s: %zu of %zu\n", c->name, c->right, c->cases);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
    assert_true(score.n >= 12);
    // Each exception is one still.
    assert_int_equal(excepted, sizeof(redact_exceptions) / sizeof(*redact_exceptions));
}

static void test_redact_cases__sentences(void **state)
{
    enum { SEED = 20261121, SENTENCES = 6000 };
    struct redact_score score = {.tell = NULL};
    size_t wrong = 0, spans = 0;

    (void)state;
    redact_sentences(&score, SEED, SENTENCES);
    for (size_t i = 0; i < score.n; i++) {
        const struct redact_class *c = &score.of[i];
        size_t found = c->hits + c->extra;

        spans += c->hits;
        if (c->hits * 100 < c->cases * RIGHT_PERCENT || c->hits * 100 < found * RIGHT_PERCENT) {
            print_message("# %s: %zu of %zu, %zu more\n", c->name, c->hits, c->cases, c->extra);
            wrong++;
        }
    }
    print_message("# %d sentences, seed %d: %zu spans of %zu kinds\n", SENTENCES, SEED, spans,
                  score.n);
    assert_int_equal(wrong, 0);
    assert_true(spans > SENTENCES / 2);
}

// The spans of a text that comes byte by byte are those of the whole.
static bool is_same_in_pieces(const struct redactor *r, struct slice text)
{
    struct redact_spans whole = REDACT_SPANS_INIT, some = REDACT_SPANS_INIT;
    size_t from = 0, seen = 0;
    bool same = true;

    assert_int_equal(redact_scan(r, text, &whole, NULL), E_OK);
    for (size_t cut = 1; cut <= text.len && same; cut++) {
        size_t settled;

        assert_int_equal(redact_scan_open(r, slice_of(text.ptr, cut), from, cut == text.len, &some,
                                          &settled, NULL), E_OK);
        for (size_t i = 0; i < some.len && same; i++, seen++)
            same = seen < whole.len &&
                   memcmp(&some.ptr[i], &whole.ptr[seen], sizeof(*some.ptr)) == 0;
        same &= settled >= from && settled <= cut;
        from = settled;
    }
    same &= seen == whole.len && from == text.len;
    redact_spans_release(&whole);
    redact_spans_release(&some);
    return same;
}

static void test_redact_cases__sentences_in_pieces(void **state)
{
    enum { SEED = 7, SENTENCES = 400 };
    struct redactor *r = redact_case_redactor("DE");
    uint64_t seed = SEED;
    size_t wrong = 0;

    (void)state;
    for (size_t i = 0; i < SENTENCES; i++) {
        struct sentence s;

        sentence_make(&seed, &s);
        if (!is_same_in_pieces(r, slice_of(s.text, s.len))) {
            print_message("# %.*s\n", (int)s.len, s.text);
            wrong++;
        }
    }
    redactor_free(r);
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_redact_cases__are_right),
        cmocka_unit_test(test_redact_cases__sentences),
        cmocka_unit_test(test_redact_cases__sentences_in_pieces),
    };
    return cmocka_run_group_tests_name("redact_cases", tests, NULL, NULL);
}
