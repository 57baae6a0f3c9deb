// SPDX-License-Identifier: MIT
// Bodies: golden ones for both dialects, what is left out, stable prefixes, forms kept with steps.
#include "llm_kit.h"

static const struct llm_caps plain = {.window_tokens = 1000, .output_tokens_max = 500,
                                      .stream_usage = true};

static void check(struct kit_request *k, enum llm_dialect dialect, const struct llm_caps *caps,
                  const char *want)
{
    struct buf out = BUF_INIT(1 << 20);
    struct json_doc doc = JSON_DOC_INIT;
    struct err err = ERR_INIT;
    if (llm_render(dialect, caps, &k->request, &out, &err))
        fail_msg("%s", err.message);
    assert_string_equal(out.ptr, want);
    assert_int_equal(json_parse(&doc, buf_slice(&out), 0, NULL), E_OK);
    json_doc_release(&doc);
    buf_release(&out);
}

static void talk(struct kit_request *k)
{
    k->request.system = SAFE_LIT("Be \"kind\".");
    kit_say(k, ROLE_USER, "One\n");
    kit_say(k, ROLE_ASSISTANT, "Two");
    kit_say(k, ROLE_USER, "lost");
    kit_say(k, ROLE_USER, "Three");
}

static void test_llm_render__anthropic(void **state)
{
    struct kit_request k = {0};
    (void)state;
    talk(&k);
    check(&k, LLM_ANTHROPIC, &plain,
          "{\"model\":\"m\",\"max_tokens\":500,\"stream\":true,\"system\":\"Be \\\"kind\\\".\","
          "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"One\\n\"}]},"
          "{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"Two\"}]},"
          "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"lost\"},"
          "{\"type\":\"text\",\"text\":\"Three\"}]}]}");
    kit_request_release(&k);
}

static void test_llm_render__openai(void **state)
{
    struct kit_request k = {0};
    struct llm_caps caps = plain;
    (void)state;
    talk(&k);
    check(&k, LLM_OPENAI, &caps,
          "{\"model\":\"m\",\"stream\":true,\"stream_options\":{\"include_usage\":true},"
          "\"messages\":["
          "{\"role\":\"system\",\"content\":\"Be \\\"kind\\\".\"},"
          "{\"role\":\"user\",\"content\":\"One\\n\"},{\"role\":\"assistant\",\"content\":\"Two\"},"
          "{\"role\":\"user\",\"content\":\"lost\\n\\nThree\"}]}");
    caps.stream_usage = false;
    caps.developer_role = caps.max_completion_tokens = true;
    k.request.max_output_tokens = 100;
    check(&k, LLM_OPENAI, &caps,
          "{\"model\":\"m\",\"max_completion_tokens\":100,\"stream\":true,\"messages\":["
          "{\"role\":\"developer\",\"content\":\"Be \\\"kind\\\".\"},"
          "{\"role\":\"user\",\"content\":\"One\\n\"},{\"role\":\"assistant\",\"content\":\"Two\"},"
          "{\"role\":\"user\",\"content\":\"lost\\n\\nThree\"}]}");
    kit_request_release(&k);
}

#define EPHEMERAL "\"cache_control\":{\"type\":\"ephemeral\"}"

// Breakpoints where the model has a cache and the session goes on; the system prompt has one of its
// own when it alone is long enough to be kept.
static void test_llm_render__cache(void **state)
{
    struct kit_request k = {0};
    struct llm_caps caps = plain;
    (void)state;
    k.request.system = SAFE_LIT("S");
    k.request.system_tokens = 1024;
    k.request.cache = true;
    kit_say(&k, ROLE_USER, "x");
    check(&k, LLM_ANTHROPIC, &caps,
          "{\"model\":\"m\",\"max_tokens\":500,\"stream\":true,\"system\":\"S\",\"messages\":["
          "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"x\"}]}]}");
    caps.cache_min_tokens = 1024;
    check(&k, LLM_ANTHROPIC, &caps,
          "{\"model\":\"m\",\"max_tokens\":500,\"stream\":true," EPHEMERAL ",\"system\":["
          "{\"type\":\"text\",\"text\":\"S\"," EPHEMERAL "}],\"messages\":["
          "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"x\"}]}]}");
    k.request.system_tokens = 1023;
    check(&k, LLM_ANTHROPIC, &caps,
          "{\"model\":\"m\",\"max_tokens\":500,\"stream\":true," EPHEMERAL ",\"system\":\"S\","
          "\"messages\":["
          "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"x\"}]}]}");
    kit_request_release(&k);
}

static void test_llm_render__limits(void **state)
{
    struct kit_request k = {0};
    (void)state;
    kit_say(&k, ROLE_USER, "x");
    k.request.max_output_tokens = 501;
    check(&k, LLM_OPENAI, &plain,
          "{\"model\":\"m\",\"max_tokens\":500,\"stream\":true,"
          "\"stream_options\":{\"include_usage\":true},"
          "\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}");
    k.request.max_output_tokens = 7;
    check(&k, LLM_ANTHROPIC, &plain,
          "{\"model\":\"m\",\"max_tokens\":7,\"stream\":true,\"messages\":[{\"role\":\"user\","
          "\"content\":[{\"type\":\"text\",\"text\":\"x\"}]}]}");
    kit_request_release(&k);
}

static void tools(struct kit_request *k)
{
    const struct block use[] = {
        {.type = BLOCK_THINKING, .text = kit_safe("hm"), .signature = kit_safe("s=")},
        {.type = BLOCK_THINKING, .text = kit_safe("unsigned")},
        {.type = BLOCK_TEXT, .text = kit_safe(" \n")},
        {.type = BLOCK_TOOL_USE, .id = kit_safe("t1"), .name = kit_safe("add"),
         .json = kit_safe("{\"a\": 1}")},
        {.type = BLOCK_TOOL_USE, .id = kit_safe("t2"), .name = kit_safe("now"),
         .json = kit_safe("{}")},
        {.type = BLOCK_OTHER, .json = kit_safe("{\"type\":\"odd\"}")},
    };
    const struct block results[] = {
        {.type = BLOCK_TOOL_RESULT, .id = kit_safe("t1"), .text = kit_safe("2")},
        {.type = BLOCK_TOOL_RESULT, .id = kit_safe("t2"), .text = kit_safe("\"late\""),
         .is_error = true},
    };
    kit_say(k, ROLE_USER, "go");
    kit_blocks(k, ROLE_ASSISTANT, use, 6);
    kit_blocks(k, ROLE_USER, results, 2);
}

static void test_llm_render__tools(void **state)
{
    struct kit_request k = {0};
    (void)state;
    tools(&k);
    check(
        &k, LLM_ANTHROPIC, &plain,
        "{\"model\":\"m\",\"max_tokens\":500,\"stream\":true,\"messages\":["
        "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"go\"}]},"
        "{\"role\":\"assistant\",\"content\":["
        "{\"type\":\"thinking\",\"thinking\":\"hm\",\"signature\":\"s=\"},"
        "{\"type\":\"tool_use\",\"id\":\"t1\",\"name\":\"add\",\"input\":{\"a\": 1}},"
        "{\"type\":\"tool_use\",\"id\":\"t2\",\"name\":\"now\",\"input\":{}},{\"type\":\"odd\"}]},"
        "{\"role\":\"user\",\"content\":["
        "{\"type\":\"tool_result\",\"tool_use_id\":\"t1\",\"content\":\"2\"},"
        "{\"type\":\"tool_result\",\"tool_use_id\":\"t2\",\"content\":\"\\\"late\\\"\","
        "\"is_error\":true}]}]}");
    kit_say(&k, ROLE_USER, "and?");
    check(&k, LLM_OPENAI, &plain,
          "{\"model\":\"m\",\"stream\":true,\"stream_options\":{\"include_usage\":true},"
          "\"messages\":["
          "{\"role\":\"user\",\"content\":\"go\"},"
          "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":["
          "{\"id\":\"t1\",\"type\":\"function\",\"function\":{\"name\":\"add\","
          "\"arguments\":\"{\\\"a\\\": 1}\"}},"
          "{\"id\":\"t2\",\"type\":\"function\",\"function\":{\"name\":\"now\","
          "\"arguments\":\"{}\"}}]},"
          "{\"role\":\"tool\",\"tool_call_id\":\"t1\",\"content\":\"2\"},"
          "{\"role\":\"tool\",\"tool_call_id\":\"t2\",\"content\":\"\\\"late\\\"\"},"
          "{\"role\":\"user\",\"content\":\"and?\"}]}");
    kit_request_release(&k);
}

// A reply that was cut while the model still thought: the provider refuses a message that ends in
// thinking, open or sealed.
static void test_llm_render__thinking_at_the_end(void **state)
{
    const struct block cut[] = {
        {.type = BLOCK_THINKING, .text = kit_safe("one"), .signature = kit_safe("s=")},
        {.type = BLOCK_TEXT, .text = kit_safe("so")},
        {.type = BLOCK_THINKING, .text = kit_safe("two"), .signature = kit_safe("s=")},
        {.type = BLOCK_OTHER, .json = kit_safe("{\"type\": \"redacted_thinking\"}")},
        {.type = BLOCK_TEXT, .text = kit_safe(" \n")},
    };
    struct kit_request k = {0};
    (void)state;
    kit_say(&k, ROLE_USER, "a");
    kit_blocks(&k, ROLE_ASSISTANT, cut, 5);
    kit_say(&k, ROLE_USER, "b");
    kit_blocks(&k, ROLE_ASSISTANT, cut, 1);
    kit_say(&k, ROLE_USER, "c");
    check(&k, LLM_ANTHROPIC, &plain,
          "{\"model\":\"m\",\"max_tokens\":500,\"stream\":true,\"messages\":["
          "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"}]},"
          "{\"role\":\"assistant\",\"content\":["
          "{\"type\":\"thinking\",\"thinking\":\"one\",\"signature\":\"s=\"},"
          "{\"type\":\"text\",\"text\":\"so\"}]},"
          "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"b\"}]},"
          "{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"\xE2\x80\xA6\"}]},"
          "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"c\"}]}]}");
    kit_request_release(&k);
}

static void test_llm_render__nothing_to_say(void **state)
{
    const struct block thought = {.type = BLOCK_THINKING, .text = kit_safe("hm")};
    const struct block use = {.type = BLOCK_TOOL_USE, .id = kit_safe("t"), .name = kit_safe("n"),
                              .json = kit_safe("{}")};
    struct kit_request k = {0};
    struct buf out = BUF_INIT(1 << 16);
    struct err err = ERR_INIT;
    (void)state;
    kit_say(&k, ROLE_USER, "a");
    kit_blocks(&k, ROLE_ASSISTANT, &thought, 1);
    kit_say(&k, ROLE_USER, "b");
    check(&k, LLM_OPENAI, &plain,
          "{\"model\":\"m\",\"stream\":true,\"stream_options\":{\"include_usage\":true},"
          "\"messages\":["
          "{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":"
          "\"\xE2\x80\xA6\"},"
          "{\"role\":\"user\",\"content\":\"b\"}]}");
    check(&k, LLM_ANTHROPIC, &plain,
          "{\"model\":\"m\",\"max_tokens\":500,\"stream\":true,\"messages\":["
          "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"}]},"
          "{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"\xE2\x80\xA6\"}]},"
          "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"b\"}]}]}");
    kit_request_release(&k);

    kit_say(&k, ROLE_USER, "a");
    kit_blocks(&k, ROLE_ASSISTANT, &use, 1);
    check(&k, LLM_OPENAI, &plain,
          "{\"model\":\"m\",\"stream\":true,\"stream_options\":{\"include_usage\":true},"
          "\"messages\":["
          "{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":null,"
          "\"tool_calls\":[{\"id\":\"t\",\"type\":\"function\",\"function\":{\"name\":\"n\","
          "\"arguments\":\"{}\"}}]}]}");
    kit_request_release(&k);

    // A picture that the dialect has no words for: of an old message an ellipsis is left.
    const struct block picture = {.type = BLOCK_OTHER, .json = kit_safe("{\"type\":\"image\"}")};
    kit_blocks(&k, ROLE_USER, &picture, 1);
    assert_int_equal(llm_render(LLM_OPENAI, &plain, &k.request, &out, &err), E_REFUSED);
    kit_say(&k, ROLE_ASSISTANT, "a cat");
    kit_say(&k, ROLE_USER, "b");
    check(&k, LLM_OPENAI, &plain,
          "{\"model\":\"m\",\"stream\":true,\"stream_options\":{\"include_usage\":true},"
          "\"messages\":["
          "{\"role\":\"user\",\"content\":\"\xE2\x80\xA6\"},"
          "{\"role\":\"assistant\",\"content\":\"a cat\"},"
          "{\"role\":\"user\",\"content\":\"b\"}]}");
    kit_request_release(&k);

    buf_clear(&out);
    kit_say(&k, ROLE_USER, "  ");
    assert_int_equal(llm_render(LLM_ANTHROPIC, &plain, &k.request, &out, &err), E_REFUSED);
    assert_non_null(strstr(err.message, "message 1"));
    kit_request_release(&k);
    buf_release(&out);
}

// What another model thought, or what its provider alone understands, is left out; and is there
// again for the one whose it is.
static void test_llm_render__foreign(void **state)
{
    const struct block reply[] = {
        {.type = BLOCK_THINKING, .text = kit_safe("hm"), .signature = kit_safe("s=")},
        {.type = BLOCK_OTHER, .json = kit_safe("{\"type\":\"redacted_thinking\",\"data\":\"x\"}")},
        {.type = BLOCK_TEXT, .text = kit_safe("yes")}};
    struct kit_request k = {0};
    (void)state;
    kit_say(&k, ROLE_USER, "a");
    struct step *step = kit_blocks(&k, ROLE_ASSISTANT, reply, 3);
    kit_say(&k, ROLE_USER, "b");
    for (int i = 0; i < 4; i++) {
        step->foreign = i % 2;
        check(&k, LLM_ANTHROPIC, &plain,
              i % 2 ? "{\"model\":\"m\",\"max_tokens\":500,\"stream\":true,\"messages\":["
                      "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"}]},"
                      "{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"yes\"}]},"
                      "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"b\"}]}]}"
                    : "{\"model\":\"m\",\"max_tokens\":500,\"stream\":true,\"messages\":["
                      "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"}]},"
                      "{\"role\":\"assistant\",\"content\":["
                      "{\"type\":\"thinking\",\"thinking\":\"hm\",\"signature\":\"s=\"},"
                      "{\"type\":\"redacted_thinking\",\"data\":\"x\"},"
                      "{\"type\":\"text\",\"text\":\"yes\"}]},"
                      "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"b\"}]}]}");
    }
    kit_request_release(&k);
}

// A request that goes on begins with the bytes of the one before, all but its closing brackets.
static void test_llm_render__stable_prefix(void **state)
{
    (void)state;
    for (int d = 0; d < 2; d++) {
        struct kit_request k = {0};
        struct buf before = BUF_INIT(1 << 20), after = BUF_INIT(1 << 20);
        enum llm_dialect dialect = d ? LLM_OPENAI : LLM_ANTHROPIC;
        k.request.system = SAFE_LIT("system");
        for (int i = 0; i < 20; i++) {
            char text[32];
            snprintf(text, sizeof(text), "turn %d \"\\\t\xC3\xA4", i);
            kit_say(&k, i % 2 ? ROLE_ASSISTANT : ROLE_USER, text);
            buf_clear(&after);
            assert_int_equal(llm_render(dialect, &plain, &k.request, &after, NULL), E_OK);
            if (before.len) {
                assert_true(slice_starts(buf_slice(&after), slice_of(before.ptr, before.len - 2)));
            }
            buf_clear(&before);
            buf_add_slice(&before, buf_slice(&after));
            // Again: the same bytes.
            buf_clear(&after);
            assert_int_equal(llm_render(dialect, &plain, &k.request, &after, NULL), E_OK);
            assert_string_equal(before.ptr, after.ptr);
        }
        buf_release(&before);
        buf_release(&after);
        kit_request_release(&k);
    }
}

static void test_llm_render__forms_are_kept(void **state)
{
    struct kit_request k = {0};
    struct buf out = BUF_INIT(1 << 20);
    char *forms[4];
    (void)state;
    talk(&k);
    assert_int_equal(llm_render(LLM_ANTHROPIC, &plain, &k.request, &out, NULL), E_OK);
    for (uint32_t i = 0; i < k.steps_len; i++)
        forms[i] = k.steps[i].wire.ptr;
    buf_clear(&out);
    uint64_t before = mem_count();
    assert_int_equal(llm_render(LLM_ANTHROPIC, &plain, &k.request, &out, NULL), E_OK);
    assert_int_equal(mem_count() - before, 0);  // the form is there, the buffer too
    for (uint32_t i = 0; i < k.steps_len; i++) {
        assert_ptr_equal(k.steps[i].wire.ptr, forms[i]);
        assert_int_equal(k.steps[i].wire.dialect, LLM_ANTHROPIC);
    }
    // The form is what is sent: a step's content is not looked at again.
    k.steps[0].wire.ptr[k.steps[0].wire.len - 3] = '!';
    buf_clear(&out);
    assert_int_equal(llm_render(LLM_ANTHROPIC, &plain, &k.request, &out, NULL), E_OK);
    assert_non_null(strstr(out.ptr, "!\"}"));
    // Another dialect makes another form, and back.
    buf_clear(&out);
    assert_int_equal(llm_render(LLM_OPENAI, &plain, &k.request, &out, NULL), E_OK);
    assert_int_equal(k.steps[0].wire.dialect, LLM_OPENAI);
    assert_non_null(strstr(out.ptr, "\"content\":\"One\\n\""));
    buf_release(&out);
    kit_request_release(&k);
}

static void test_llm_render__out_of_memory(void **state)
{
    int rc = E_NOMEM;
    (void)state;
    for (unsigned n = 1; rc; n++) {
        for (int d = 0; d < 2; d++) {
            struct kit_request k = {0};
            struct buf out = BUF_INIT(1 << 20);
            struct err err = ERR_INIT;
            talk(&k);
            mem_fail_at(n, 0);
            rc = llm_render(d ? LLM_OPENAI : LLM_ANTHROPIC, &plain, &k.request, &out, &err);
            mem_fail_at(0, 0);
            assert_true(rc == E_OK || rc == E_NOMEM);
            assert_int_equal(rc, err.code);
            buf_release(&out);
            kit_request_release(&k);
        }
        assert_true(n < 100);
    }
}

static void test_llm_render__too_big(void **state)
{
    struct kit_request k = {0};
    struct err err = ERR_INIT;
    (void)state;
    talk(&k);
    for (size_t max = 0; max < 200; max++) {
        struct buf out = BUF_INIT(max);
        assert_int_equal(llm_render(LLM_OPENAI, &plain, &k.request, &out, &err), E_REFUSED);
        buf_release(&out);
        out = (struct buf)BUF_INIT(max);
        assert_int_equal(llm_render(LLM_ANTHROPIC, &plain, &k.request, &out, &err), E_REFUSED);
        buf_release(&out);
    }
    kit_request_release(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_llm_render__anthropic),
        cmocka_unit_test(test_llm_render__openai),
        cmocka_unit_test(test_llm_render__cache),
        cmocka_unit_test(test_llm_render__limits),
        cmocka_unit_test(test_llm_render__tools),
        cmocka_unit_test(test_llm_render__thinking_at_the_end),
        cmocka_unit_test(test_llm_render__nothing_to_say),
        cmocka_unit_test(test_llm_render__foreign),
        cmocka_unit_test(test_llm_render__stable_prefix),
        cmocka_unit_test(test_llm_render__forms_are_kept),
        cmocka_unit_test(test_llm_render__out_of_memory),
        cmocka_unit_test(test_llm_render__too_big),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
