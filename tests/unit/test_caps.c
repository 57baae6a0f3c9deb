// SPDX-License-Identifier: MIT
// The table of what models can do: the shipped one, lookups, and tables that are refused.
#include "base/embed.h"
#include "llm_kit.h"

static void test_caps__shipped(void **state)
{
    const struct embed_file *file = embed_find("scripts/data/models.json");
    struct llm_caps_table *t;
    struct err err = ERR_INIT;
    (void)state;
    assert_non_null(file);
    if (llm_caps_load(&t, file->bytes, &err))
        fail_msg("%s", err.message);
    struct llm_caps c = llm_caps_find(t, "openai", "gpt-4o-mini");
    assert_true(c.max_completion_tokens && c.stream_usage && !c.developer_role);
    assert_int_equal(c.window_tokens, 128000);
    c = llm_caps_find(t, "openai", "some-model-of-theirs");
    assert_false(c.max_completion_tokens);
    assert_int_equal(llm_caps_find(t, "anthropic", "claude-opus-4-7").window_tokens, 1000000);
    assert_false(llm_caps_find(t, "anthropic", "claude-opus-4-7").temperature);
    assert_int_equal(llm_caps_find(t, "anthropic", "claude-opus-4-1").output_tokens_max, 32000);
    assert_int_equal(llm_caps_find(t, "anthropic", "claude-haiku-4-5-20251001").output_tokens_max,
                     64000);
    assert_int_equal(llm_caps_find(t, "scripted", "scripted").window_tokens, 200000);
    // A local server: its own row for what nobody knows, OpenAI's for what they know.
    assert_int_equal(llm_caps_find(t, "local", "qwen3:8b").window_tokens, 4096);
    assert_int_equal(llm_caps_find(t, "local", "gpt-oss:20b").window_tokens, 131072);
    static const char *const encodings[][2] = {
        {"gpt-4o-mini-2024-07-18", "o200k_base"}, {"gpt-4.1", "o200k_base"},
        {"gpt-4.5-preview", "o200k_base"}, {"gpt-5-nano", "o200k_base"}, {"o1", "o200k_base"},
        {"o3-mini", "o200k_base"}, {"o4-mini", "o200k_base"}, {"gpt-oss-20b", "o200k_base"},
        {"chatgpt-4o-latest", "o200k_base"}, {"gpt-4", "cl100k_base"},
        {"gpt-4-0613", "cl100k_base"}, {"gpt-4-32k-0314", "cl100k_base"},
        {"gpt-4-turbo-2024-04-09", "cl100k_base"}, {"gpt-4-1106-preview", "cl100k_base"},
        {"gpt-3.5-turbo-16k", "cl100k_base"}, {"gpt-35-turbo", "cl100k_base"},
        {"deepseek-chat", ""}, {"some-model-of-theirs", ""}};
    for (size_t i = 0; i < sizeof(encodings) / sizeof(encodings[0]); i++) {
        c = llm_caps_find(t, "openai", encodings[i][0]);
        assert_string_equal(c.encoding, encodings[i][1]);
    }
    assert_string_equal(llm_caps_find(t, "anthropic", "claude-opus-4-7").encoding, "");
    assert_int_equal(llm_caps_find(t, "openai", "gpt-4-0613").window_tokens, 8192);
    assert_int_equal(llm_caps_find(t, "openai", "gpt-4-1106-preview").window_tokens, 128000);
    llm_caps_free(t);
}

static void test_caps__longest_pattern_wins(void **state)
{
    static const char text[] =
        "{\"models\":[{\"api\":\"a\",\"model\":\"x-*\",\"window\":2,\"output\":1},"
        "{\"api\":\"a\",\"model\":\"x-y\",\"window\":4,\"output\":1},"
        "{\"api\":\"a\",\"model\":\"x-y*\",\"window\":3,\"output\":1},"
        "{\"api\":\"a\",\"model\":\"*\",\"window\":1,\"output\":1,\"temperature\":true}]}";
    static const struct {
        const char *model;
        uint64_t window;
    } cases[] = {{"", 1}, {"x", 1}, {"x-", 2}, {"x-z", 2}, {"x-y", 4}, {"x-yy", 3}, {"X-Y", 1}};
    struct llm_caps_table *t;
    (void)state;
    assert_int_equal(llm_caps_load(&t, SLICE_LIT(text), NULL), E_OK);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(llm_caps_find(t, "a", cases[i].model).window_tokens, cases[i].window);
    assert_true(llm_caps_find(t, "a", "?").temperature);
    assert_true(llm_caps_find(t, "unknown", "x").window_tokens > 0);
    assert_true(llm_caps_find(NULL, "a", "x").window_tokens > 0);
    llm_caps_free(t);
    llm_caps_free(NULL);
}

static void test_caps__refused(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"{\"models\":[", "model table: "},
        {"[]", "an array is expected"},
        {"{\"models\":[1]}", "model table: models[0]: "},
        {"{\"models\":[{\"api\":\"a\",\"model\":\"x\",\"window\":1,\"output\":1}]}", "no row"},
        {"{\"models\":[{\"api\":\"a\",\"model\":\"*\",\"window\":1}]}", "needs api"},
        {"{\"models\":[{\"api\":\"a\",\"model\":\"*x\",\"window\":1,\"output\":1}]}", "at the end"},
        {"{\"models\":[{\"api\":\"a\",\"model\":\"*\",\"window\":0,\"output\":1}]}", "\"window\""},
        {"{\"models\":[{\"api\":\"a\",\"model\":\"*\",\"window\":\"9\",\"output\":1}]}",
         "\"window\""},
        {"{\"models\":[{\"api\":\"a\",\"model\":\"*\",\"windows\":1,\"output\":1}]}",
         "\"windows\""},
        {"{\"models\":[{\"api\":\"a\",\"api\":\"b\",\"model\":\"*\"}]}", "\"api\""},
        {"{\"models\":[{\"api\":\"a\",\"model\":\"*\",\"temperature\":1}]}", "\"temperature\""},
        {"{\"models\":[{\"api\":\"a\",\"model\":\"*\",\"encoding\":\"\"}]}", "\"encoding\""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct llm_caps_table *t;
        struct err err = ERR_INIT;
        assert_int_equal(llm_caps_load(&t, slice_str(cases[i].text), &err), E_POLICY);
        assert_null(t);
        if (!strstr(err.message, cases[i].says))
            fail_msg("%s: %s", cases[i].text, err.message);
    }
}

static void test_caps__out_of_memory(void **state)
{
    static const char text[] =
        "{\"models\":[{\"api\":\"a\",\"model\":\"*\",\"window\":2,\"output\":1}]}";
    struct llm_caps_table *t = NULL;
    int rc = E_NOMEM;
    (void)state;
    for (unsigned n = 1; rc; n++) {
        mem_fail_at(n, 0);
        rc = llm_caps_load(&t, SLICE_LIT(text), NULL);
        mem_fail_at(0, 0);
        assert_true(rc == E_OK || rc == E_NOMEM);
        assert_true(n < 100);
    }
    llm_caps_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_caps__shipped),
        cmocka_unit_test(test_caps__longest_pattern_wins),
        cmocka_unit_test(test_caps__refused),
        cmocka_unit_test(test_caps__out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
