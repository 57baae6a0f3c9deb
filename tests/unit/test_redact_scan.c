// SPDX-License-Identifier: MIT
// The scanner: what is found, as which kind; rules; that a text in pieces has the same spans.
#include "redact/scan.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

// In `text`, what is to be found stands between ⟦ and ⟧, the kind's word before a bar.
#define OPEN "\xE2\x9F\xA6"
#define CLOSE "\xE2\x9F\xA7"
#define M(kind, value) OPEN kind "|" value CLOSE

static const char *const emails[] = {
    M("email", "info@presidio.site"),
    "write to " M("email", "a.b+c@example.co.uk") ", please",
    "<" M("email", "user@xn--80ak6aa92e.com") ">.",
    M("email", "a@xn--d1acufc.xn--p1ai"),
    "mailto:" M("email", "o'brien@example.org") "?subject=x",
    "user=" M("email", "bob_smith@mail.example.com") "&x",
    M("email", "ann@example.org") "," M("email", "bob@example.org"),
    M("email", "jos\xC3\xA9@ejemplo.es") " y",
    "\xE9\x82\xAE\xE7\xAE\xB1" M("email", "info@example.cn") "\xE3\x80\x82",
    "my email is info@presidio.",
    "a@b", "@example.com", "root@localhost", "foo@bar@", "logo@2x.png", "x@1.2.3",
};

struct marked {
    char text[4096];
    size_t len;
    struct redact_span spans[16];
    size_t n;
};

static struct marked parse(const struct redactor *r, const char *from)
{
    struct marked m = {.n = 0};

    while (*from) {
        if (strncmp(from, OPEN, 3) == 0) {
            size_t word = strcspn(from + 3, "|");
            struct redact_span *span = &m.spans[m.n++];
            span->kind = ~0U;
            for (unsigned k = 0; k < redactor_kinds(r); k++)
                if (slice_is(slice_of(from + 3, word), redactor_kind_word(r, k)))
                    span->kind = k;
            assert_true(span->kind != ~0U);
            span->start = m.len;
            from += 3 + word + 1;
        } else if (strncmp(from, CLOSE, 3) == 0) {
            m.spans[m.n - 1].end = m.len;
            from += 3;
        } else {
            m.text[m.len++] = *from++;
        }
    }
    return m;
}

static void print_spans(const char *what, const struct redactor *r, const char *text,
                        const struct redact_span *spans, size_t n)
{
    for (size_t i = 0; i < n; i++)
        print_message("%s: %s '%.*s' %u\n", what, redactor_kind_word(r, spans[i].kind),
                      (int)(spans[i].end - spans[i].start), text + spans[i].start, spans[i].score);
}

static bool same(const struct redact_span *a, size_t a_n, const struct redact_span *b, size_t b_n)
{
    bool equal = a_n == b_n;

    for (size_t i = 0; equal && i < a_n; i++)
        equal = a[i].start == b[i].start && a[i].end == b[i].end && a[i].kind == b[i].kind;
    return equal;
}

// Each prefix of the text: what is settled of it is so in the whole.
static void assert_prefixes_hold(const struct redactor *r, struct slice text,
                                 const struct redact_spans *whole)
{
    struct redact_spans part = REDACT_SPANS_INIT;

    for (size_t cut = 0; cut <= text.len; cut++) {
        size_t settled = 0, n = 0;
        assert_int_equal(redact_scan_open(r, slice_of(text.ptr, cut), 0, false, &part, &settled,
                                          NULL), E_OK);
        assert_true(settled <= cut);
        while (n < whole->len && whole->ptr[n].end <= settled)
            n++;
        if (n < whole->len && whole->ptr[n].start < settled)
            fail_msg("'%.*s': a span reaches over %zu, which is settled at %zu",
                     SLICE_FMT(text), settled, cut);
        if (!same(whole->ptr, n, part.ptr, part.len)) {
            print_spans("whole", r, text.ptr, whole->ptr, n);
            print_spans("part", r, text.ptr, part.ptr, part.len);
            fail_msg("'%.*s': other spans once %zu bytes have come", SLICE_FMT(text), cut);
        }
    }
    redact_spans_release(&part);
}

static void check(const struct redactor *r, const char *marked)
{
    struct marked m = parse(r, marked);
    struct redact_spans found = REDACT_SPANS_INIT;

    assert_int_equal(redact_scan(r, slice_of(m.text, m.len), &found, NULL), E_OK);
    if (!same(m.spans, m.n, found.ptr, found.len)) {
        print_spans("expected", r, m.text, m.spans, m.n);
        print_spans("found", r, m.text, found.ptr, found.len);
        fail_msg("'%.*s'", (int)m.len, m.text);
    }
    assert_prefixes_hold(r, slice_of(m.text, m.len), &found);
    redact_spans_release(&found);
}

static struct redactor *made(const struct redact_rules *rules)
{
    struct redactor *r;
    struct err err = ERR_INIT;

    if (redactor_new(&r, rules, &err))
        fail_msg("%s", err.message);
    return r;
}

#define CHECK_ALL(list) check_all(list, sizeof(list) / sizeof((list)[0]))
static void check_all(const char *const *list, size_t n)
{
    struct redactor *r = made(NULL);

    for (size_t i = 0; i < n; i++)
        check(r, list[i]);
    redactor_free(r);
}

static void test_scan__finds_emails(void **state)
{
    (void)state;
    CHECK_ALL(emails);
}

static void test_scan__a_kind_that_is_off_is_not_found(void **state)
{
    struct redact_rules rules = {.kinds = 0};
    struct redactor *r = made(&rules);

    (void)state;
    check(r, "info@presidio.site");
    assert_false(redactor_has(r, REDACT_EMAIL));
    redactor_free(r);
}

static void test_scan__finds_own_patterns(void **state)
{
    static const struct redact_own own[] = {
        {SLICE_LIT("order"), SLICE_LIT("\\bORD-\\d{4,6}\\b")},
        {SLICE_LIT("line"), SLICE_LIT("^top.*$")},
        {SLICE_LIT("name"), SLICE_LIT("(?i)(?<=dear )[a-z]+")},
    };
    struct redact_rules rules = {.kinds = REDACT_KINDS_ALL, .own = own, .n_own = 3};
    struct redactor *r = made(&rules);

    (void)state;
    check(r, "order " M("order", "ORD-12345") ", not ORD-1 and not XORD-12345");
    check(r, "a\n" M("line", "top of it") "\nno top");
    check(r, "Dear " M("name", "Ann") ", hello");
    check(r, M("line", "top " "ann@example.org"));  // what holds a match whole comes before it
    assert_string_equal(redactor_kind_mask(r, REDACT_KINDS), "ORDER");
    redactor_free(r);
}

static void test_scan__refuses_patterns_that_cannot_serve(void **state)
{
    static const struct {
        struct redact_own own;
        const char *why;
    } bad[] = {
        {{SLICE_LIT("x"), SLICE_LIT("a(b")}, "pattern 'x': at byte 3: missing closing parenthesis"},
        {{SLICE_LIT("x"), SLICE_LIT("(a+)+$")}, "tries too many ways"},
        {{SLICE_LIT("x"), SLICE_LIT("(\\w+\\s?)+:")}, "tries too many ways"},
        {{SLICE_LIT("x"), SLICE_LIT("(?<=.{40})a")}, "looks behind by 40"},
        {{SLICE_LIT("email"), SLICE_LIT("a")}, "built in"},
        {{SLICE_LIT("Order"), SLICE_LIT("a")}, "a name is"},
        {{SLICE_LIT("x"), SLICE_LIT("")}, "1 to 1000 bytes"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct redact_rules rules = {.own = &bad[i].own, .n_own = 1};
        struct redactor *r;
        struct err err = ERR_INIT;
        if (redactor_new(&r, &rules, &err) != E_POLICY || r)
            fail_msg("%s: accepted", bad[i].own.pattern.ptr);
        if (!strstr(err.message, bad[i].why))
            fail_msg("'%s' instead of '%s'", err.message, bad[i].why);
    }
}

static void test_scan__a_pattern_out_of_its_limits_masks_nothing_and_is_counted(void **state)
{
    // What it is tried on when it is made has one or two characters over and over.
    static const struct redact_own own = {SLICE_LIT("x"), SLICE_LIT("(?:abc|ab|c|abcabc)+!")};
    struct redact_rules rules = {.own = &own, .n_own = 1};
    struct redactor *r = made(&rules);
    struct redact_spans found = REDACT_SPANS_INIT;
    char text[302];

    (void)state;
    for (size_t i = 0; i < sizeof(text) - 1; i++)
        text[i] = "abc"[i % 3];
    memcpy(text + 299, "-!", 3);
    assert_int_equal(redact_scan(r, slice_str(text), &found, NULL), E_OK);
    assert_int_equal(found.len, 0);
    assert_true(found.exhausted > 0);
    assert_int_equal(redact_scan(r, SLICE_LIT("xabcab!"), &found, NULL), E_OK);
    assert_int_equal(found.len, 1);
    assert_int_equal(found.exhausted, 0);
    redact_spans_release(&found);
    redactor_free(r);
}

static void test_scan__leaves_what_is_allowed(void **state)
{
    static const struct slice allow[] = {SLICE_LIT("info@example.org"), SLICE_LIT("*@Example.COM")};
    struct redact_rules rules = {.kinds = REDACT_KINDS_ALL, .allow = allow, .n_allow = 2};
    struct redactor *r = made(&rules);

    (void)state;
    check(r, "Info@Example.org bob@example.com " M("email", "ann@example.org"));
    redactor_free(r);
}

static void test_scan__lacks_memory_without_harm(void **state)
{
    static const struct redact_own own = {SLICE_LIT("order"), SLICE_LIT("ORD-\\d+")};
    static const struct slice allow = SLICE_LIT("a@b.cd");
    struct redact_rules rules = {.kinds = REDACT_KINDS_ALL, .own = &own, .n_own = 1,
                                 .allow = &allow, .n_allow = 1};
    bool done = false;

    (void)state;
    for (uint64_t n = 1; !done; n++) {
        struct redact_spans found = REDACT_SPANS_INIT;
        struct redactor *r = NULL;
        struct err err = ERR_INIT;
        mem_fail_at(n, 0);
        int code = redactor_new(&r, &rules, &err);
        if (code == E_OK)
            code = redact_scan(r, SLICE_LIT("ann@example.org ORD-12 \xC2\xA0"), &found, &err);
        done = code == E_OK;
        mem_fail_at(0, 0);
        if (!done)
            assert_int_equal(code, E_NOMEM);
        else
            assert_int_equal(found.len, 2);
        redact_spans_release(&found);
        redactor_free(r);
    }
}

static void test_scan__prose_is_settled_to_its_last_words(void **state)
{
    static const char prose[] = "It was a bright cold day in April, and the clocks were striking "
                                "thirteen. The hallway smelt of boiled cabbage and old rag mats";
    struct redactor *r = made(NULL);
    struct redact_spans found = REDACT_SPANS_INIT;

    (void)state;
    for (size_t cut = 0; cut < sizeof(prose); cut++) {
        size_t settled, word = cut;
        assert_int_equal(redact_scan_open(r, slice_of(prose, cut), 0, false, &found, &settled,
                                          NULL), E_OK);
        while (word > 0 && prose[word - 1] != ' ')
            word--;
        assert_true(settled >= word && settled <= cut);
    }
    redact_spans_release(&found);
    redactor_free(r);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scan__finds_emails),
        cmocka_unit_test(test_scan__a_kind_that_is_off_is_not_found),
        cmocka_unit_test(test_scan__finds_own_patterns),
        cmocka_unit_test(test_scan__refuses_patterns_that_cannot_serve),
        cmocka_unit_test(test_scan__a_pattern_out_of_its_limits_masks_nothing_and_is_counted),
        cmocka_unit_test(test_scan__leaves_what_is_allowed),
        cmocka_unit_test(test_scan__lacks_memory_without_harm),
        cmocka_unit_test(test_scan__prose_is_settled_to_its_last_words),
    };

    return cmocka_run_group_tests_name("redact_scan", tests, NULL, NULL);
}
