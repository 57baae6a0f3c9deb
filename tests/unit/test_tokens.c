// SPDX-License-Identifier: MIT
// Tokens: estimates by hand and against recorded counts of a real encoder; prices and costs.
#include "tokens/tokens.h"

#include "base/embed.h"
#include "base/json.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

static uint32_t estimate(const char *text)
{
    return tokens_estimate(slice_str(text));
}

static void test_tokens__by_class(void **state)
{
    (void)state;
    assert_int_equal(tokens_estimate(SLICE_NONE), 0);
    assert_int_equal(estimate("hello"), 1);
    assert_int_equal(estimate("hello world"), 2);
    assert_int_equal(estimate("hello, world"), 3);
    assert_int_equal(estimate(" hello"), 1);
    assert_int_equal(estimate("hello "), 2);
    assert_int_equal(estimate("a\nb"), 3);
    assert_int_equal(estimate("a    b"), 3);
    assert_int_equal(estimate("123"), 1);
    assert_int_equal(estimate("1234"), 2);
    assert_int_equal(estimate("\xE4\xB8\xAD\xE6\x96\x87"), 2);
    assert_true(estimate("internationalisation") >= 3);
    assert_true(estimate("internationalisation") <= 6);
    // Bytes that are no text cost something, or nothing, and do no harm.
    assert_true(estimate("\xFF\xFE\x80\x80") >= 1);
    assert_int_equal(estimate("\x80"), 0);
}

static void test_tokens__long_text(void **state)
{
    enum { BYTES = 1 << 20 };
    char *text = malloc(BYTES);

    (void)state;
    assert_non_null(text);
    memset(text, ' ', BYTES);
    assert_true(tokens_estimate(slice_of(text, BYTES)) < BYTES / 8);
    memset(text, '\xF0', BYTES);
    assert_true(tokens_estimate(slice_of(text, BYTES)) < 4u * BYTES);
    free(text);
}

static void test_tokens__counted_or_estimated(void **state)
{
    const struct encoding *e = encoding_find(SLICE_LIT("o200k_base"));
    char text[2000];

    (void)state;
    memset(text, '=', sizeof(text));
    struct slice long_run = slice_of(text, sizeof(text));
    assert_int_equal(tokens_count(e, SLICE_LIT("internationalisation")), 2);
    assert_int_equal(tokens_count(NULL, long_run), tokens_estimate(long_run));
    uint32_t exact = tokens_count(e, long_run);
    assert_int_not_equal(exact, tokens_estimate(long_run));
    mem_fail_at(1, 0);
    assert_int_equal(tokens_count(e, long_run), tokens_estimate(long_run));
    mem_fail_at(0, 0);
    assert_int_equal(tokens_count(e, long_run), exact);
}

static void test_tokens__of_content(void **state)
{
    struct block blocks[] = {{.type = BLOCK_TEXT, .text = SAFE_LIT("hello world")},
                             {.type = BLOCK_TOOL_USE, .id = SAFE_LIT("not counted"),
                              .name = SAFE_LIT("find"), .json = SAFE_LIT("{}")}};
    struct content c = CONTENT_NONE;

    (void)state;
    assert_int_equal(tokens_of_content(NULL, &c), TOKENS_PER_MESSAGE);
    assert_int_equal(content_make(&c, blocks, 2, NULL), E_OK);
    assert_int_equal(tokens_of_content(NULL, &c), TOKENS_PER_MESSAGE + 2 + 1 + 2);
    // "hello" " world"; "find"; "{}"
    const struct encoding *e = encoding_find(SLICE_LIT("o200k_base"));
    assert_int_equal(tokens_of_content(e, &c), TOKENS_PER_MESSAGE + 2 + 1 + 1);
    content_release(&c);
}

static int by_ratio(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

struct truth {
    double *ratios;  // of texts of the wanted kind
    size_t len, cap;
    uint64_t estimated, counted;
};

// One line of the recorded counts: {"tag":…,"b64":…,"o200k_base":[…]}.
static void take_truth(struct truth *t, struct json_doc *doc, struct slice line, const char *tag)
{
    static char text[1 << 20];
    size_t len = 0;

    assert_int_equal(json_parse(doc, line, 0, NULL), E_OK);
    struct json root = json_root(doc);
    struct slice b64 = json_raw(json_get(root, "b64"));
    uint32_t counted = json_count(json_get(root, "o200k_base"));
    if (counted == 0 || (tag && !json_is_string(json_get(root, "tag"), tag)))
        return;
    assert_int_equal(sodium_base642bin((unsigned char *)text, sizeof(text), b64.ptr + 1,
                                       b64.len - 2, NULL, &len, NULL,
                                       sodium_base64_VARIANT_ORIGINAL), 0);
    uint32_t estimated = tokens_estimate(slice_of(text, len));
    if (t->len == t->cap) {
        t->cap = t->cap ? 2 * t->cap : 1024;
        t->ratios = realloc(t->ratios, t->cap * sizeof(*t->ratios));
        assert_non_null(t->ratios);
    }
    t->ratios[t->len++] = (double)estimated / counted;
    t->estimated += estimated;
    t->counted += counted;
}

// Returns the ratio of the sums.
static double report(const char *path, const char *tag)
{
    struct json_doc doc = JSON_DOC_INIT;
    struct truth t = {0};
    char command[600], *line = NULL;
    size_t cap = 0;
    double mean = 0;

    snprintf(command, sizeof(command), "gzip -dc '%s'", path);
    FILE *f = popen(command, "r");
    assert_non_null(f);
    for (ssize_t n; (n = getline(&line, &cap, f)) > 0;)
        take_truth(&t, &doc, slice_of(line, (size_t)n), tag);
    assert_int_equal(pclose(f), 0);
    assert_true(t.len > 0);
    qsort(t.ratios, t.len, sizeof(*t.ratios), by_ratio);
    for (size_t i = 0; i < t.len; i++)
        mean += t.ratios[i] / (double)t.len;
    double whole = (double)t.estimated / (double)t.counted;
    print_message("# %s: %zu texts, estimate / count: whole %.3f, mean %.3f, 5%% %.2f, 95%% %.2f\n",
                  tag ? tag : "all", t.len, whole, mean, t.ratios[t.len / 20],
                  t.ratios[t.len * 19 / 20]);
    json_doc_release(&doc);
    free(t.ratios);
    free(line);
    return whole;
}

static void test_tokens__near_a_real_encoder(void **state)
{
    const char *shared = getenv("PARLEY_SHARED");
    char path[512];

    (void)state;
    snprintf(path, sizeof(path), "%s/cases/tokens/truth.jsonl.gz", shared ? shared : "../shared");
    if (access(path, R_OK))
        skip();
    double dialogue = report(path, "dialogue");
    assert_true(dialogue > 1.0 && dialogue < 1.3);
    double prose = report(path, "long");
    assert_true(prose > 1.0 && prose < 1.3);
    double code = report(path, "code");
    assert_true(code > 0.9 && code < 1.8);
    double all = report(path, NULL);  // random characters of all planes, most of it
    assert_true(all > 0.5 && all < 2.0);
}

#define HEAD "{\"source\":\"x\",\"as_of\":\"2025-12-01\",\"models\":["
#define ROW(model, input)                                                                          \
    "{\"provider\":\"p\",\"model\":\"" model "\",\"input\":" input                                 \
    ",\"cached\":0.5,\"cache_write\":6.25,\"output\":25}"

static void test_tokens__costs(void **state)
{
    struct usage u = {.input_tokens = 1000, .cached_tokens = 300, .cache_write_tokens = 200,
                      .output_tokens = 10};
    struct usage one = {.input_tokens = 1};
    struct prices *p;

    (void)state;
    assert_int_equal(prices_load(&p, SLICE_LIT(HEAD ROW("m-*", "5") "," ROW("m-2*", "0.0375") ","
                                               ROW("m-2-x", "7") "," ROW("free", "0") "]}"), NULL),
                     E_OK);
    prices_apply(p, "p", "m-1", &u);
    assert_int_equal(u.cost_nusd, 500 * 5000 + 300 * 500 + 200 * 6250 + 10 * 25000);
    prices_apply(p, "p", "m-1", &one);
    assert_int_equal(one.cost_nusd, 5000);
    prices_apply(p, "p", "m-2-y", &one);  // the longest match; 37.5 rounded
    assert_int_equal(one.cost_nusd, 38);
    prices_apply(p, "p", "m-2-x", &one);  // the whole name
    assert_int_equal(one.cost_nusd, 7000);
    prices_apply(p, "p", "m-2-x2", &one);
    assert_int_equal(one.cost_nusd, 38);
    prices_apply(p, "p", "free", &one);
    assert_int_equal(one.cost_nusd, 0);
    prices_apply(p, "p", "freedom", &one);
    assert_int_equal(one.cost_nusd, COST_UNKNOWN);
    prices_apply(p, "q", "m-1", &one);
    assert_int_equal(one.cost_nusd, COST_UNKNOWN);
    prices_apply(NULL, "p", "m-1", &one);
    assert_int_equal(one.cost_nusd, COST_UNKNOWN);
    one.input_tokens = INT64_MAX;
    prices_apply(p, "p", "m-1", &one);
    assert_int_equal(one.cost_nusd, INT64_MAX);
    prices_free(p);
}

static void test_tokens__bad_prices(void **state)
{
    static const struct {
        const char *json, *says;
    } cases[] = {
        {"", "prices"},
        {"[]", "object"},
        {"{\"as_of\":\"2025-12-01\",\"models\":[]}", "\"source\""},
        {"{\"source\":\"x\",\"as_of\":\"today\",\"models\":[]}", "\"as_of\""},
        {"{\"source\":\"x\",\"as_of\":\"2025-13-01\",\"models\":[]}", "\"as_of\""},
        {"{\"source\":\"x\",\"as_of\":\"2025-12-01\"}", "\"models\""},
        {"{\"source\":\"x\",\"as_of\":\"2025-12-01\",\"model\":[]}", "did you mean \"models\""},
        {HEAD "1]}", "models[0]"},
        {HEAD ROW("m", "1") "," ROW("", "1") "]}", "models[1]: \"model\""},
        {HEAD ROW("a*b", "1") "]}", "\"*\""},
        {HEAD ROW("m", "\"1\"") "]}", "models[0]: \"input\""},
        {HEAD ROW("m", "-1") "]}", "models[0]: \"input\""},
        {HEAD ROW("m", "1e9") "]}", "models[0]: \"input\""},
        {HEAD "{\"provider\":\"p\",\"model\":\"m\",\"inputs\":1}]}", "did you mean \"input\""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err err = ERR_INIT;
        struct prices *p;

        assert_int_equal(prices_load(&p, slice_str(cases[i].json), &err), E_POLICY);
        assert_int_equal(err.code, E_POLICY);
        if (!strstr(err.message, cases[i].says))
            fail_msg("%s: %s", cases[i].says, err.message);
        assert_null(p);
    }
}

static void test_tokens__prices_without_memory(void **state)
{
    (void)state;
    for (uint64_t n = 1;; n++) {
        struct prices *p;

        mem_fail_at(n, 0);
        int rc = prices_load(&p, SLICE_LIT(HEAD ROW("\\u006d", "1") "]}"), NULL);
        mem_fail_at(0, 0);
        prices_free(p);
        if (!rc)
            break;
        assert_int_equal(rc, E_NOMEM);
        assert_true(n < 50);
    }
}

static void test_tokens__the_price_list(void **state)
{
    static const struct {
        const char *provider, *model;
        int64_t input, output;  // billionths of a dollar per token
    } known[] = {
        {"anthropic", "claude-sonnet-4-5-20250929", 3000, 15000},
        {"anthropic", "claude-3-haiku-20240307", 250, 1250},
        {"openai", "gpt-4o", 2500, 10000},
        {"openai", "gpt-4o-mini-2024-07-18", 150, 600},
        {"openai", "gpt-4o-2024-05-13", 5000, 15000},
        {"scripted", "anything", 0, 0},
        {"local", "llama", 0, 0},
    };
    const struct embed_file *file = embed_find("scripts/data/prices.json");
    struct err err = ERR_INIT;
    struct prices *p;

    (void)state;
    assert_non_null(file);
    if (prices_load(&p, file->bytes, &err))
        fail_msg("%s", err.message);
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        struct usage u = {.input_tokens = 1};

        prices_apply(p, known[i].provider, known[i].model, &u);
        assert_int_equal(u.cost_nusd, known[i].input);
        u = (struct usage){.output_tokens = 1};
        prices_apply(p, known[i].provider, known[i].model, &u);
        assert_int_equal(u.cost_nusd, known[i].output);
    }
    struct usage u = {.input_tokens = 1};
    prices_apply(p, "openai", "gpt-4o-realtime-preview", &u);  // priced otherwise: not guessed
    assert_int_equal(u.cost_nusd, COST_UNKNOWN);
    prices_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokens__by_class),
        cmocka_unit_test(test_tokens__long_text),
        cmocka_unit_test(test_tokens__counted_or_estimated),
        cmocka_unit_test(test_tokens__of_content),
        cmocka_unit_test(test_tokens__near_a_real_encoder),
        cmocka_unit_test(test_tokens__costs),
        cmocka_unit_test(test_tokens__bad_prices),
        cmocka_unit_test(test_tokens__prices_without_memory),
        cmocka_unit_test(test_tokens__the_price_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
