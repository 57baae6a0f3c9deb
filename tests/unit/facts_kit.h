// SPDX-License-Identifier: MIT
// facts_kit.h: what the tests of books of facts stand on: a digest without a key, candidates in a
// line, and what a slot says as a text.
#ifndef TESTS_FACTS_KIT_H
#define TESTS_FACTS_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "memory/facts.h"

static inline int facts_kit_digest(void *user, struct slice value, char out[FACT_SLOT_BYTES],
                                   struct err *err)
{
    uint64_t h[2] = {14695981039346656037u, 1099511628211u};

    (void)user;
    (void)err;
    for (size_t i = 0; i < value.len; i++)
        for (int k = 0; k < 2; k++)
            h[k] = (h[k] ^ (unsigned char)value.ptr[i]) * 1099511628211u + (uint64_t)k;
    snprintf(out, FACT_SLOT_BYTES, "%016llx%016llx", (unsigned long long)h[0],
             (unsigned long long)h[1]);
    return E_OK;
}

static inline struct fact_book *facts_kit_book(void)
{
    struct fact_digest digest = {facts_kit_digest, NULL};
    struct fact_book *b = NULL;
    struct err err = ERR_INIT;

    assert_int_equal(fact_book_new(&b, "hello", &digest, &err), E_OK);
    return b;
}

// Values of these are tests' literals.
static inline struct safe_text facts_kit_text(const char *text)
{
    return (struct safe_text){text, strlen(text)};
}

enum said { SAID, HELD /* by the gate */, NOT /* so any more */ };

// A statement of turn `at` of session "s", at that many milliseconds.
static inline struct fact_candidate facts_kit_said(const char *predicate, const char *value,
                                                   int64_t at, enum said how)
{
    struct fact_candidate c = {
        .kind = FACT_PREFERENCE, .predicate = facts_kit_text(predicate),
        .value = facts_kit_text(value), .session = "s", .turn = (uint32_t)at, .end = 10,
        .author = how == HELD ? AUTHOR_ASSISTANT : AUTHOR_USER, .at_ms = at, .negates = how == NOT,
        .extractor = "rules@00000000"};

    return c;
}

static inline struct fact_considered facts_kit_consider(struct fact_book *b,
                                                        const struct fact_candidate *c,
                                                        bool supported,
                                                        const struct memory_rules *rules,
                                                        int64_t now_ms)
{
    struct fact_considered out;
    struct err err = ERR_INIT;
    int code = fact_book_consider(b, c, supported, rules, now_ms, &out, &err);

    if (code)
        fail_msg("%d %s", code, err.message);
    return out;
}

// "Berlin[1,3] Paris*[3,] tea?": active ones with a star, quarantined ones with a question mark,
// forgotten ones as "-"; in the order of being recorded, with their periods.
static inline void facts_kit_tell(const struct fact_book *b, char *out, size_t size)
{
    struct fact_at at = FACT_AT_START;
    size_t n = 0;

    out[0] = '\0';
    while (fact_book_next(b, &at) && n < size) {
        const struct fact *f = at.fact;
        static const char marks[] = {'?', '*', ' ', '-'};

        n += (size_t)snprintf(out + n, size - n, "%s%.*s", n ? " " : "",
                              SLICE_FMT(safe_slice(fact_value(f))));
        if (f->status != FACT_SUPERSEDED && n < size)
            n += (size_t)snprintf(out + n, size - n, "%c", marks[f->status]);
        for (size_t i = 0; i <= f->earlier.len && n < size; i++) {
            struct fact_period p = {f->valid_from_ms, f->valid_to_ms, 0, 0};

            if (f->status == FACT_QUARANTINED || f->status == FACT_FORGOTTEN)
                break;
            if (i < f->earlier.len)
                p = *VEC_AT(&f->earlier, struct fact_period, i);
            n += (size_t)snprintf(out + n, size - n, "[%lld,", (long long)p.valid_from_ms);
            if (p.valid_to_ms && n < size)
                n += (size_t)snprintf(out + n, size - n, "%lld", (long long)p.valid_to_ms);
            if (n < size)
                n += (size_t)snprintf(out + n, size - n, "]");
        }
    }
}

#endif
