// SPDX-License-Identifier: MIT
// redact_kit.h: what a redactor finds in a text, as a line: "phone:(415) 555-0132|ssn:…".
#ifndef TESTS_REDACT_KIT_H
#define TESTS_REDACT_KIT_H

#include "redact/scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static inline struct redactor *kit_redactor(const char *region)
{
    struct redact_rules rules = {.kinds = REDACT_KINDS_ALL, .region = region};
    struct redactor *r = NULL;
    struct err err = {0};

    assert_int_equal(redactor_new(&r, &rules, &err), E_OK);
    return r;
}

// The line is valid until the next call.
static inline const char *kit_found(const struct redactor *r, const char *text)
{
    static char line[4096];
    struct redact_spans spans = REDACT_SPANS_INIT;
    struct err err = {0};
    size_t len = 0;

    assert_int_equal(redact_scan(r, slice_str(text), &spans, &err), E_OK);
    line[0] = 0;
    for (size_t i = 0; i < spans.len && len < sizeof(line); i++)
        len += (size_t)snprintf(line + len, sizeof(line) - len, "%s%s:%.*s", i ? "|" : "",
                                redactor_kind_word(r, spans.ptr[i].kind),
                                (int)(spans.ptr[i].end - spans.ptr[i].start),
                                text + spans.ptr[i].start);
    redact_spans_release(&spans);
    return line;
}

struct kit_case {
    const char *text, *found;
};

static inline void kit_check(const char *region, const struct kit_case *cases, size_t n)
{
    struct redactor *r = kit_redactor(region);
    size_t wrong = 0;

    for (size_t i = 0; i < n; i++)
        if (strcmp(kit_found(r, cases[i].text), cases[i].found) != 0) {
            print_message("# %s\n#   found %s\n#   not   %s\n", cases[i].text,
                          kit_found(r, cases[i].text), cases[i].found);
            wrong++;
        }
    redactor_free(r);
    assert_int_equal(wrong, 0);
}
#define KIT_CHECK(region, cases) kit_check(region, cases, sizeof(cases) / sizeof(*(cases)))

#endif
