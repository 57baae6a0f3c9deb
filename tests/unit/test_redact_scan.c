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

static const char *const cards[] = {
    M("card", "4012888888881881") " " M("card", "4012-8888-8888-1881") " "
        M("card", "4012 8888 8888 1881"),
    "Amex " M("card", "3782 822463 10005") ".", "UATP: " M("card", "122000000000003"),
    M("card", "30569309025904"), M("card", "6011000400000000"), M("card", "3528000700000000"),
    M("card", "6759649826438453"), M("card", "5019717010103742"), M("card", "4222222222222"),
    M("card", "2223000048400011"), M("card", "6212345678901232"),
    "pay 12 " M("card", "4111111111111111") ", 50 Euro",
    "4012-8888-8888-1882", "36168002586008", "1748503543012", "4012-8888 8888-1881",
    "0.4111111111111111", "4111111111111111.50", "4111-1111-1111-1111-1", "a4111111111111111",
    "41111111111111112345678", "4111111111111111x", "507 508 509 510 511 512 513 514 515",
    "4000 4001 4002 4003", "4000 4001 4002 4003 4004 4005 4006 4007 4008 4009 4010 4011 4012",
};
static const char *const ibans[] = {
    M("iban", "DE89370400440532013000"), "to " M("iban", "GB82 WEST 1234 5698 7654 32") ", now",
    M("iban", "fr14 2004 1010 0505 0001 3m02 606"), M("iban", "NO93 8601 1117 947"),
    M("iban", "MT84-MALT-0110-0001-2345-MTLC-AST0-01S"), M("iban", "BE68539007547034"),
    "DE88370400440532013000", "DE89370400440532013000X", "ZZ89370400440532013000", "AB12 hello",
};
static const char *const addresses[] = {
    "from " M("ip", "192.168.0.1") ".", M("ip", "8.8.8.8") ":53",
    "http://" M("ip", "10.0.0.1") "/x",
    M("ip", "2001:db8::ff00:42:8329") " and " M("ip", "::1") ", " M("ip", "fe80::1%eth0"),
    "[" M("ip", "2001:0db8:0000:0000:0000:ff00:0042:8329") "]:80", M("ip", "::ffff:192.0.2.128"),
    M("ip", "64:ff9b::192.0.2.33"), "it is " M("ip", "fe80::") ": yes",
    "256.1.1.1", "1.2.3", "1.2.3.4.5", "version 1.2.3.4", "Firmware: 10.2.3.4", "12:30:45", "a::b",
    "std::string", "1:2:3:4:5:6:7", "1::2::3", "::", "v1.2.3.4", "12345::1",
    "My MAC address is " M("mac", "00:1A:2B:3C:4D:5E"), M("mac", "0d-B3-4a-6A-d9-cF"),
    "Physical address is " M("mac", "aabb.ccdd.eeff") ".", M("mac", "0012.3456.789A"),
    "mac:" M("mac", "0a:23:f5:67:89:ac"), "host:" M("ip", "2001:db8::7"), "34.122.36.59.61",
    "is " M("ip", "34.122.36.59") " up?", "12:00:1A:2B:3C:4D:5E", "a:2001:db8:0:0:1:2:3:4",
    "00:1A:2B:3C:4D", "FF:FF:FF:FF:FF:FF", "00:00:00:00:00:00", "10:2F:33-AC-29-C3",
    "0012.3456.789A.1234", "00-1A-2B-3C-4D-5E-6F",
};
static const char *const urls[] = {
    "see " M("url", "https://ann:s3cret@example.org/x?y=1") ".", M("url", "ftp://u@host/file") "",
    "(" M("url", "postgres://app:pw@db.example.org:5432/app") ")",
    M("url", "https://example.org/cb?x=1&access_token=abcdef123") " ok",
    M("url", "redis://:hunter22@cache:6379"),
    "https://example.org/@ann", "https://example.org/?q=key", "https://example.org/a?key=1",
    "http://example.org", "://x:y@z",
};
// Shapes as issuers show them; the letters after the prefix are counted out, and nobody's.
static const char *const secrets[] = {
    "key " M("secret", "AKIAIOSFODNN7EXAMPLE") ",",
    M("secret", "AIzaSyA1234567890abcdefghijklmnopqrstuv"),
    "GH=" M("secret", "ghp_" "abcdefghijklmnopqrstuvwxyz0123456789"),
    M("secret", "github_pat_" "11ABCDEFG0abcdefghijkl_mnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQ"),
    M("secret", "glpat-" "abcdefghij0123456789"),
    M("secret", "xoxb-" "123456789012-abcdefghijklmnop"),
    M("secret", "sk_live_" "abcdefghijklmnop0123456789"),
    M("secret", "npm_" "abcdefghijklmnopqrstuvwxyz0123456789"),
    M("secret", "sk-ant-api03-" "abcdefghijklmnopqrstuvwxyz-0123456789AA") ".",
    M("secret", "sk-proj-" "abcdefghijklmnopqrst_0123456789"),
    M("secret", "hf_" "abcdefghijklmnopqrstuvwxyzABCDEFGH"),
    M("secret", "SG." "abcdefghijklmnopqrstuv.abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"),
    "https://" M("secret", "hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX"),
    M("secret", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0."
                "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG") " x",
    "Authorization: Bearer " M("secret", "abcdef0123456789abcdef") "\r\n",
    "Authorization: Basic " M("secret", "YW5uOnNlY3JldDEyMzQ1Ng=="),
    "api_key = \"" M("secret", "abcdef0123456789abcdef") "\"",
    "aws_secret_access_key=" M("secret", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    "x " M("secret", "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\n"
          "MIIEpAIBAAKCAQEA0Z3VS5JJcds3xfn/ygWyF8PbnGy0AHB7MhgHcTz6sE2I2yPB\nabcd\n"
          "-----END RSA PRIVATE KEY-----") "\ny",
    M("secret", "-----BEGIN PRIVATE KEY-----\\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\\n"
                "-----END PRIVATE KEY-----") "\\n",
    M("secret", "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIIWXvDwq7u8pR9tUvLmQ")
        "\nHello, how are you?",
    "AKIAIOSFODNN7EXAMPL", "xAKIAIOSFODNN7EXAMPLE", "sk-hynix-reports-record-profit-again",
    "Bearer of internationalization", "-----BEGIN CERTIFICATE-----\nMIIEpAIBAAKCAQEA0Z3V\n",
    "-----BEGIN PUBLIC KEY-----\nMIIEpAIBAAKCAQEA0Z3V\n", "the token: see below for it",
};
static const char *const wallets[] = {
    M("wallet", "16Yeky6GMjeNkAiNcBY7ZhrLoMSgg1BoyZ") " "
        M("wallet", "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy"),
    "to " M("wallet", "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq") ".",
    M("wallet", "bc1p5d7rjq7g6rdk2yhzks9smlaqtedr4dekq08ge8ztwac72sfr9rusxg3297"),
    M("wallet", "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4"),
    M("wallet", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"),
    M("wallet", "0xde709f2102306220921060314715629080e2fb77"),
    M("wallet", "xpub661MyMwAqRbcFtXgS5sYJABqqG9YLmC4Q1Rdap9gSE8NqtwybGhePY2g"
                "Z29ESFjqJoCu1Rupje8YtGqsefD265TMg7usUDFdp6W1EGMcet8"),
    M("wallet", "5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ"),
    "16Yeky6GMjeNkAiNcBY7ZhrLoMSgg1BoyZ2", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD",
    "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdp",
    "8f953371d3e85eddb89b05ed6b9e680791055315c73e1025ab5dba7bb2aee189",
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

static void test_scan__finds_cards(void **state)
{
    (void)state;
    CHECK_ALL(cards);
}

static void test_scan__finds_ibans(void **state)
{
    (void)state;
    CHECK_ALL(ibans);
}

static void test_scan__finds_addresses_of_machines(void **state)
{
    (void)state;
    CHECK_ALL(addresses);
}

static void test_scan__finds_urls_with_credentials(void **state)
{
    (void)state;
    CHECK_ALL(urls);
}

static void test_scan__finds_secrets(void **state)
{
    (void)state;
    CHECK_ALL(secrets);
}

static void test_scan__finds_wallets(void **state)
{
    (void)state;
    CHECK_ALL(wallets);
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
        if (word == cut && word > 2 && (word == 3 || prose[word - 4] == ' '))
            word -= 3;  // two letters and a blank begin some national ids
        assert_true(settled >= word && settled <= cut);
    }
    redact_spans_release(&found);
    redactor_free(r);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scan__finds_emails),
        cmocka_unit_test(test_scan__finds_cards),
        cmocka_unit_test(test_scan__finds_ibans),
        cmocka_unit_test(test_scan__finds_addresses_of_machines),
        cmocka_unit_test(test_scan__finds_urls_with_credentials),
        cmocka_unit_test(test_scan__finds_secrets),
        cmocka_unit_test(test_scan__finds_wallets),
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
