// SPDX-License-Identifier: MIT
// Decoding of both dialects: whole streams, streams cut at every byte, no streams, errors.
#include "llm_kit.h"
#include "net/sse.h"

struct decoded {
    struct llm_reply reply;
    struct llm_decoder decoder;
    struct buf text;
};

static bool on_event(void *user, const struct sse_event *event)
{
    struct decoded *d = user;
    return llm_decoder_event(&d->decoder, event->type, event->data, NULL) == E_OK;
}

static void on_text(void *user, struct slice text)
{
    struct decoded *d = user;
    buf_add_slice(&d->text, text);
}

static void decode(struct decoded *d, enum llm_dialect dialect, struct slice stream)
{
    struct sse sse;
    *d = (struct decoded){.text = BUF_INIT(1 << 20)};
    llm_reply_init(&d->reply);
    llm_decoder_init(&d->decoder, dialect, &d->reply);
    d->decoder.on_text = on_text;
    d->decoder.user = d;
    sse_init(&sse, on_event, d);
    sse_feed(&sse, stream, NULL);
    sse_end(&sse);
    llm_decoder_end(&d->decoder);
    sse_release(&sse);
}

static void decoded_release(struct decoded *d)
{
    llm_decoder_release(&d->decoder);
    llm_reply_release(&d->reply);
    buf_release(&d->text);
}

static struct llm_block *block(const struct decoded *d, size_t i)
{
    return VEC_AT(&d->reply.blocks, struct llm_block, i);
}

#define START                                                                                      \
    "data: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"usage\":{"                 \
    "\"input_tokens\":10,"                                                                         \
    "\"cache_creation_input_tokens\":3,\"cache_read_input_tokens\":5,\"output_tokens\":1}}}\n\n"
#define OPEN(i, block)                                                                             \
    "data: {\"type\":\"content_block_start\",\"index\":" #i ",\"content_block\":" block "}\n\n"
#define DELTA(i, delta)                                                                            \
    "data: {\"type\":\"content_block_delta\",\"index\":" #i ",\"delta\":" delta "}\n\n"
#define CLOSE(i) "data: {\"type\":\"content_block_stop\",\"index\":" #i "}\n\n"
#define END(reason)                                                                                \
    "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"" reason "\"},"                \
    "\"usage\":{\"output_tokens\":7}}\n\ndata: {\"type\":\"message_stop\"}\n\n"
#define TEXT(i, s) OPEN(i, "{\"type\":\"text\",\"text\":\"\"}") \
                   DELTA(i, "{\"type\":\"text_delta\",\"text\":\"" s "\"}") CLOSE(i)

static const char anthropic_whole[] =
    START "event: ping\ndata: {\"type\":\"ping\"}\n\n"
    OPEN(0, "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}")
    DELTA(0, "{\"type\":\"thinking_delta\",\"thinking\":\"h\\u00e4\"}")
    DELTA(0, "{\"type\":\"signature_delta\",\"signature\":\"sig==\"}") CLOSE(0)
    OPEN(1, "{\"type\":\"text\",\"text\":\"\"}")
    DELTA(1, "{\"type\":\"text_delta\",\"text\":\"Hel\\\"lo\"}")
    DELTA(1, "{\"type\":\"citations_delta\",\"citation\":{}}")
    DELTA(1, "{\"type\":\"text_delta\",\"text\":\" \\ud83d\\ude00\"}") CLOSE(1)
    "data: {\"type\":\"brand_new_event\",\"x\":1}\n\n"
    OPEN(2, "{\"type\":\"tool_use\",\"id\":\"t1\",\"name\":\"add\",\"input\":{}}")
    DELTA(2, "{\"type\":\"input_json_delta\",\"partial_json\":\"\"}")
    DELTA(2, "{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"a\\\": \"}")
    DELTA(2, "{\"type\":\"input_json_delta\",\"partial_json\":\"12345678901234567890}\"}") CLOSE(2)
    OPEN(3, "{\"type\":\"server_tool_use\",\"id\":\"s\",\"input\":{},\"z\":[1, 2]}")
    DELTA(3, "{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"q\\\":1}\"}") CLOSE(3)
    OPEN(4, "{\"type\":\"redacted_thinking\",\"data\":\"xyz\"}") CLOSE(4)
    OPEN(5, "{\"type\":\"tool_use\",\"id\":\"t2\",\"name\":\"now\",\"input\":{}}") CLOSE(5)
    END("tool_use");

static void check_anthropic(const struct decoded *d)
{
    assert_true(d->reply.complete);
    assert_int_equal(d->reply.stop, STOP_TOOL_USE);
    assert_string_equal(d->reply.id.ptr, "msg_1");
    assert_int_equal(d->reply.blocks.len, 6);
    assert_int_equal(block(d, 0)->type, BLOCK_THINKING);
    assert_string_equal(block(d, 0)->text.ptr, "h\xC3\xA4");
    assert_string_equal(block(d, 0)->signature.ptr, "sig==");
    assert_string_equal(block(d, 1)->text.ptr, "Hel\"lo \xF0\x9F\x98\x80");
    assert_string_equal(d->text.ptr, "Hel\"lo \xF0\x9F\x98\x80");
    assert_int_equal(block(d, 2)->type, BLOCK_TOOL_USE);
    assert_string_equal(block(d, 2)->id.ptr, "t1");
    assert_string_equal(block(d, 2)->name.ptr, "add");
    assert_string_equal(block(d, 2)->json.ptr, "{\"a\": 12345678901234567890}");
    assert_int_equal(block(d, 3)->type, BLOCK_OTHER);
    assert_string_equal(
        block(d, 3)->json.ptr,
        "{\"type\":\"server_tool_use\",\"id\":\"s\",\"input\":{\"q\":1},\"z\":[1, 2]}");
    assert_string_equal(block(d, 4)->json.ptr, "{\"type\":\"redacted_thinking\",\"data\":\"xyz\"}");
    assert_string_equal(block(d, 5)->json.ptr, "{}");
    for (size_t i = 0; i < 6; i++)
        assert_true(block(d, i)->closed);
    assert_true(d->reply.usage_known);
    assert_int_equal(d->reply.usage.input_tokens, 18);
    assert_int_equal(d->reply.usage.cached_tokens, 5);
    assert_int_equal(d->reply.usage.cache_write_tokens, 3);
    assert_int_equal(d->reply.usage.output_tokens, 7);
    assert_int_equal(d->reply.usage.cost_nusd, COST_UNKNOWN);
}

static void test_llm_decode__anthropic_whole(void **state)
{
    struct decoded d;
    (void)state;
    decode(&d, LLM_ANTHROPIC, SLICE_LIT(anthropic_whole));
    check_anthropic(&d);
    decoded_release(&d);
}

#define CHUNK(choice)                                                                              \
    "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"choices\":[" choice               \
    "],\"usage\":null}\n\n"
#define SAY(s) CHUNK("{\"index\":0,\"delta\":{\"content\":\"" s "\"},\"finish_reason\":null}")
#define CALL(s) CHUNK("{\"index\":0,\"delta\":{\"tool_calls\":[" s "]},\"finish_reason\":null}")
#define FINISH(reason) CHUNK("{\"index\":0,\"delta\":{},\"finish_reason\":\"" reason "\"}")
#define USAGE                                                                                      \
    "data: {\"id\":\"c1\",\"choices\":[],\"usage\":{\"prompt_tokens\":20,\"completion_tokens\":9," \
    "\"prompt_tokens_details\":{\"cached_tokens\":16}},\"obfuscation\":\"x\"}\n\n"
#define DONE "data: [DONE]\n\n"

// clang-format off
static const char openai_whole[] =
    CHUNK("{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null},"
          "\"finish_reason\":null}")
    CHUNK("{\"index\":0,\"delta\":{\"reasoning_content\":\"hm\",\"content\":null}}")
    SAY("Hel\\\"lo") SAY(" \\u00e4")
    CHUNK("{\"index\":1,\"delta\":{\"content\":\"another choice\"}}")
    CALL("{\"index\":0,\"id\":\"a\",\"type\":\"function\",\"function\":"
         "{\"name\":\"add\",\"arguments\":\"\"}}")
    CALL("{\"index\":0,\"function\":{\"arguments\":\"{\\\"x\\\":\"}},"
         "{\"index\":1,\"id\":\"b\",\"function\":{\"name\":\"now\",\"arguments\":\"\"}}")
    CALL("{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"\",\"arguments\":\"1}\"}}")
    FINISH("tool_calls") USAGE DONE;
// clang-format on

static void test_llm_decode__openai_whole(void **state)
{
    struct decoded d;
    (void)state;
    decode(&d, LLM_OPENAI, SLICE_LIT(openai_whole));
    assert_true(d.reply.complete);
    assert_int_equal(d.reply.stop, STOP_TOOL_USE);
    assert_string_equal(d.reply.id.ptr, "c1");
    assert_int_equal(d.reply.blocks.len, 4);
    assert_int_equal(block(&d, 0)->type, BLOCK_THINKING);
    assert_string_equal(block(&d, 0)->text.ptr, "hm");
    assert_string_equal(block(&d, 1)->text.ptr, "Hel\"lo \xC3\xA4");
    assert_string_equal(d.text.ptr, "Hel\"lo \xC3\xA4");
    assert_string_equal(block(&d, 2)->id.ptr, "a");
    assert_string_equal(block(&d, 2)->name.ptr, "add");
    assert_string_equal(block(&d, 2)->json.ptr, "{\"x\":1}");
    assert_string_equal(block(&d, 3)->id.ptr, "b");
    assert_string_equal(block(&d, 3)->json.ptr, "{}");
    for (size_t i = 0; i < 4; i++)
        assert_true(block(&d, i)->closed);
    assert_true(d.reply.usage_known);
    assert_int_equal(d.reply.usage.input_tokens, 20);
    assert_int_equal(d.reply.usage.cached_tokens, 16);
    assert_int_equal(d.reply.usage.output_tokens, 9);
    decoded_release(&d);
}

// Every strict prefix is a cut, whatever was in it; what text had come is there.
static void cut_everywhere(enum llm_dialect dialect, struct slice whole)
{
    struct decoded full, d;
    decode(&full, dialect, whole);
    assert_true(full.reply.complete);
    for (size_t n = 0; n < whole.len; n++) {
        char *copy = mem_slicedup(slice_of(whole.ptr, n));
        decode(&d, dialect, slice_of(copy, n));
        assert_false(d.reply.complete);
        assert_int_equal(d.reply.stop, STOP_LOST);
        assert_int_equal(d.reply.outcome.end, CALL_CUT);
        assert_int_equal(d.reply.outcome.any_text, d.text.len > 0);
        assert_true(slice_starts(buf_slice(&full.text), buf_slice(&d.text)));
        decoded_release(&d);
        mem_free(copy);
    }
    decoded_release(&full);
}

static void test_llm_decode__cut_at_every_byte(void **state)
{
    static const char max_tokens[] =
        START OPEN(0, "{\"type\":\"text\",\"text\":\"x\"}") END("max_tokens");
    static const char length[] = SAY("x") FINISH("length") DONE;
    (void)state;
    cut_everywhere(LLM_ANTHROPIC, SLICE_LIT(anthropic_whole));
    cut_everywhere(LLM_ANTHROPIC, SLICE_LIT(max_tokens));
    cut_everywhere(LLM_OPENAI, SLICE_LIT(openai_whole));
    cut_everywhere(LLM_OPENAI, SLICE_LIT(length));
}

static void test_llm_decode__usage_of_a_cut_is_unknown(void **state)
{
    static const char no_usage[] = SAY("x") FINISH("stop") DONE;
    static const char running[] =
        "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}],\"usage\":{\"prompt_tokens\":4,"
        "\"completion_tokens\":1}}\n\n";
    struct decoded d;
    (void)state;
    decode(&d, LLM_OPENAI, SLICE_LIT(no_usage));
    assert_true(d.reply.complete);
    assert_false(d.reply.usage_known);
    decoded_release(&d);
    decode(&d, LLM_OPENAI, SLICE_LIT(running));
    assert_false(d.reply.usage_known);
    assert_int_equal(d.reply.usage.input_tokens, 4);
    decoded_release(&d);
    decode(&d, LLM_ANTHROPIC, SLICE_LIT(START TEXT(0, "x")));
    assert_false(d.reply.usage_known);
    assert_int_equal(d.reply.usage.input_tokens, 18);
    decoded_release(&d);
}

static void test_llm_decode__stops(void **state)
{
    static const struct {
        enum llm_dialect dialect;
        const char *stream;
        bool complete;
        enum stop stop;
    } cases[] = {
        {LLM_ANTHROPIC, START TEXT(0, "x") END("end_turn"), true, STOP_END},
        {LLM_ANTHROPIC, START END("end_turn"), true, STOP_END},
        {LLM_ANTHROPIC, START TEXT(0, "x") END("stop_sequence"), true, STOP_SEQUENCE},
        {LLM_ANTHROPIC, START TEXT(0, "x") END("refusal"), true, STOP_REFUSAL},
        {LLM_ANTHROPIC, START TEXT(0, "x") END("model_context_window_exceeded"), true,
         STOP_MAX_TOKENS},
        {LLM_ANTHROPIC, START TEXT(0, "x") END("pause_turn"), true, STOP_TOOL_USE},
        {LLM_ANTHROPIC, START TEXT(0, "x") END("a_new_reason"), false, STOP_LOST},
        {LLM_ANTHROPIC, START TEXT(0, "x") "data: {\"type\":\"message_stop\"}\n\n", false,
         STOP_LOST},
        // A block that was never closed: only a limit or a refusal explains that.
        {LLM_ANTHROPIC, START OPEN(0, "{\"type\":\"text\",\"text\":\"x\"}") END("end_turn"), false,
         STOP_LOST},
        {LLM_ANTHROPIC, START OPEN(0, "{\"type\":\"text\",\"text\":\"x\"}") END("max_tokens"), true,
         STOP_MAX_TOKENS},
        // What comes after the end is not looked at.
        {LLM_ANTHROPIC, START TEXT(0, "x") END("end_turn") "data: junk\n\n", true, STOP_END},
        {LLM_OPENAI, SAY("x") FINISH("stop") DONE, true, STOP_END},
        {LLM_OPENAI, SAY("x") FINISH("length") DONE, true, STOP_MAX_TOKENS},
        {LLM_OPENAI, SAY("x") FINISH("content_filter") DONE, true, STOP_FILTER},
        {LLM_OPENAI, SAY("x") FINISH("error") DONE, false, STOP_LOST},
        {LLM_OPENAI, SAY("x") DONE, false, STOP_LOST},
        {LLM_OPENAI, SAY("x") FINISH("stop"), false, STOP_LOST},
        {LLM_OPENAI, SAY("x") FINISH("stop") DONE "data: junk\n\n", true, STOP_END},
        {LLM_OPENAI, CHUNK("{\"delta\":{\"refusal\":\"No.\"}}") FINISH("stop") DONE, true,
         STOP_REFUSAL},
        {LLM_OPENAI, CALL("{\"id\":\"a\",\"function\":{\"name\":\"n\"}}") FINISH("stop") DONE, true,
         STOP_TOOL_USE},
        {LLM_OPENAI, FINISH("stop") DONE, true, STOP_END},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct decoded d;
        decode(&d, cases[i].dialect, slice_str(cases[i].stream));
        if (d.reply.complete != cases[i].complete || d.reply.stop != cases[i].stop)
            fail_msg("case %zu: complete %d, stop %d", i, d.reply.complete, d.reply.stop);
        if (!d.reply.complete)
            assert_true(d.reply.detail[0] != '\0');
        decoded_release(&d);
    }
}

static void test_llm_decode__tool_calls_numbered_zero(void **state)
{
    static const char stream[] =
        CALL("{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"n\",\"arguments\":\"{}\"}}")
        CALL("{\"index\":0,\"id\":\"b\",\"function\":{\"name\":\"m\",\"arguments\":\"[\"}}")
        CALL("{\"index\":0,\"id\":null,\"function\":{\"arguments\":\"]\"}}")
        FINISH("tool_calls") DONE;
    struct decoded d;
    (void)state;
    decode(&d, LLM_OPENAI, SLICE_LIT(stream));
    assert_int_equal(d.reply.blocks.len, 2);
    assert_string_equal(block(&d, 0)->json.ptr, "{}");
    assert_string_equal(block(&d, 1)->id.ptr, "b");
    assert_string_equal(block(&d, 1)->json.ptr, "[]");
    decoded_release(&d);
}

// A tool call that the token limit broke off is there, not closed: nobody may run it.
static void test_llm_decode__broken_off_tool_call(void **state)
{
    static const char openai[] =
        SAY("x")
        CALL("{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"n\",\"arguments\":\"{\\\"q\"}}")
        FINISH("length") DONE;
    static const char anthropic[] =
        START OPEN(0, "{\"type\":\"tool_use\",\"id\":\"a\",\"name\":\"n\",\"input\":{}}")
        DELTA(0, "{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"q\"}") END("max_tokens");
    struct decoded d;
    (void)state;
    decode(&d, LLM_OPENAI, SLICE_LIT(openai));
    assert_int_equal(d.reply.stop, STOP_MAX_TOKENS);
    assert_true(block(&d, 0)->closed);
    assert_false(block(&d, 1)->closed);
    assert_string_equal(block(&d, 1)->json.ptr, "{\"q");
    decoded_release(&d);
    decode(&d, LLM_ANTHROPIC, SLICE_LIT(anthropic));
    assert_int_equal(d.reply.stop, STOP_MAX_TOKENS);
    assert_false(block(&d, 0)->closed);
    decoded_release(&d);
}

static void test_llm_decode__error_events(void **state)
{
#define ANTHROPIC_ERROR(type, message) \
    START TEXT(0, "x") "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"" type \
    "\",\"message\":\"" message "\"}}\n\n"
#define OPENAI_ERROR(error) SAY("x") "data: {\"error\":" error "}\n\n"
    static const struct {
        enum llm_dialect dialect;
        const char *stream;
        int status;
        bool quota, overflow;
        const char *detail;
    } cases[] = {
        {LLM_ANTHROPIC, ANTHROPIC_ERROR("overloaded_error", "Overloaded"), 529, false, false,
         "Overloaded"},
        {LLM_ANTHROPIC, ANTHROPIC_ERROR("rate_limit_error", "slow"), 429, false, false, "slow"},
        {LLM_ANTHROPIC, ANTHROPIC_ERROR("api_error", "a\\nb"), 500, false, false, "a b"},
        {LLM_ANTHROPIC, ANTHROPIC_ERROR("invalid_request_error", "prompt is too long: 9 > 8"), 400,
         false, true, "prompt is too long: 9 > 8"},
        {LLM_ANTHROPIC, ANTHROPIC_ERROR("billing_error", "pay"), 402, true, false, "pay"},
        {LLM_ANTHROPIC, ANTHROPIC_ERROR("brand_new_error", "hm"), 0, false, false, "hm"},
        {LLM_OPENAI, OPENAI_ERROR("{\"message\":\"m\",\"code\":\"context_length_exceeded\"}"), 400,
         false, true, "m"},
        {LLM_OPENAI, OPENAI_ERROR("{\"message\":\"m\",\"type\":\"insufficient_quota\"}"), 429, true,
         false, "m"},
        {LLM_OPENAI, OPENAI_ERROR("{\"message\":\"m\",\"type\":\"server_error\",\"code\":null}"),
         500, false, false, "m"},
        {LLM_OPENAI, OPENAI_ERROR("{\"message\":\"m\",\"code\":502}"), 502, false, false, "m"},
        {LLM_OPENAI, OPENAI_ERROR("\"model runner has stopped\""), 0, false, false,
         "model runner has stopped"},
        {LLM_OPENAI,
         OPENAI_ERROR("{\"type\":\"exceed_context_size_error\",\"code\":400,\"message\":\"m\","
                      "\"n_prompt_tokens\":9,\"n_ctx\":8}"),
         400, false, true, "m"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct decoded d;
        decode(&d, cases[i].dialect, slice_str(cases[i].stream));
        assert_false(d.reply.complete);
        assert_int_equal(d.reply.outcome.end, CALL_ERROR_EVENT);
        assert_int_equal(d.reply.outcome.status, cases[i].status);
        assert_int_equal(d.reply.outcome.quota, cases[i].quota);
        assert_int_equal(d.reply.outcome.overflow, cases[i].overflow);
        assert_true(d.reply.outcome.any_text);
        assert_string_equal(d.reply.detail, cases[i].detail);
        decoded_release(&d);
    }
}

static void test_llm_decode__not_the_dialect(void **state)
{
    static const struct {
        enum llm_dialect dialect;
        const char *stream;
    } cases[] = {
        {LLM_ANTHROPIC, "data: <html>\n\n"},
        {LLM_ANTHROPIC, "data: [1]\n\n"},
        {LLM_ANTHROPIC, "data: {\"type\":\"message_start\"}\n\n"},
        {LLM_ANTHROPIC, TEXT(0, "x")},
        {LLM_ANTHROPIC, END("end_turn")},
        {LLM_ANTHROPIC, START DELTA(0, "{\"type\":\"text_delta\",\"text\":\"x\"}")},
        {LLM_ANTHROPIC, START CLOSE(0)},
        {LLM_ANTHROPIC, START TEXT(0, "x") TEXT(0, "y")},
        {LLM_ANTHROPIC, START TEXT(0, "x") DELTA(0, "{\"type\":\"text_delta\",\"text\":\"x\"}")},
        {LLM_ANTHROPIC, START OPEN(0, "{\"type\":\"odd\",\"input\":{}}") DELTA(
                            0, "{\"type\":\"input_json_delta\",\"partial_json\":\"{\"}") CLOSE(0)},
        {LLM_ANTHROPIC, START OPEN(-1, "{\"type\":\"text\"}")},
        {LLM_OPENAI, "data: <html>\n\n"},
        {LLM_OPENAI, "data: 1\n\n"},
        {LLM_OPENAI, CALL("{\"index\":-1,\"id\":\"a\"}")},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct decoded d;
        decode(&d, cases[i].dialect, slice_str(cases[i].stream));
        assert_false(d.reply.complete);
        if (d.reply.outcome.end != CALL_BAD_REPLY)
            fail_msg("case %zu", i);
        assert_true(d.reply.detail[0] != '\0');
        assert_null(strstr(d.reply.detail, "html"));
        decoded_release(&d);
    }
}

static void test_llm_decode__limits(void **state)
{
    struct buf stream = BUF_INIT(8 << 20);
    struct decoded d;
    (void)state;
    buf_add_str(&stream, START OPEN(0, "{\"type\":\"text\",\"text\":\"\"}"));
    for (int i = 0; i < 600; i++) {
        buf_add_str(&stream, "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":"
                             "{\"type\":\"text_delta\",\"text\":\"");
        for (int k = 0; k < 1024; k++)
            buf_add_char(&stream, 'x');
        buf_add_str(&stream, "\"}}\n\n");
    }
    decode(&d, LLM_ANTHROPIC, buf_slice(&stream));
    assert_int_equal(d.reply.outcome.end, CALL_BAD_REPLY);
    assert_true(d.reply.outcome.any_text);
    assert_true(d.text.len <= LLM_REPLY_BYTES_MAX);
    assert_true(d.text.len > LLM_REPLY_BYTES_MAX - 2048);
    decoded_release(&d);

    buf_clear(&stream);
    buf_add_str(&stream, START);
    for (int i = 0; i < LLM_BLOCKS_MAX + 1; i++)
        buf_addf(&stream, "data: {\"type\":\"content_block_start\",\"index\":%d,\"content_block\":"
                          "{\"type\":\"text\",\"text\":\"x\"}}\n\n", i);
    decode(&d, LLM_ANTHROPIC, buf_slice(&stream));
    assert_int_equal(d.reply.outcome.end, CALL_BAD_REPLY);
    assert_int_equal(d.reply.blocks.len, LLM_BLOCKS_MAX);
    decoded_release(&d);
    buf_release(&stream);
}

static void test_llm_decode__error_bodies(void **state)
{
    static const struct {
        enum llm_dialect dialect;
        int status;
        const char *body;
        bool quota, overflow;
        const char *detail;
    } cases[] = {
        {LLM_ANTHROPIC, 400,
         "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\","
         "\"message\":\"prompt is too long: 3 tokens > 2 maximum\"},\"request_id\":\"r\"}",
         false, true, "prompt is too long: 3 tokens > 2 maximum"},
        {LLM_ANTHROPIC, 400,
         "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":"
         "\"Your credit balance is too low\"}}",
         true, false, "Your credit balance is too low"},
        {LLM_ANTHROPIC, 402, "", true, false, "the provider answers with status 402"},
        {LLM_OPENAI, 429,
         "{\"error\":{\"message\":\"You exceeded your current quota\","
         "\"type\":\"insufficient_quota\","
         "\"param\":null,\"code\":\"insufficient_quota\"}}",
         true, false, "You exceeded your current quota"},
        {LLM_OPENAI, 400,
         "{\"error\":{\"message\":\"This model's maximum context length is 8\",\"code\":null}}",
         false, true, "This model's maximum context length is 8"},
        {LLM_OPENAI, 401,
         "{\"error\":{\"message\":\"Incorrect API key provided: sk-abc***xyz. See risk-free.\"}}",
         false, false, "Incorrect API key provided: key See risk-free."},
        {LLM_OPENAI, 502, "<html>Bad Gateway</html>", false, false,
         "the provider answers with status 502"},
        {LLM_OPENAI, 404, "{\"error\":\"model 'x' not found\"}", false, false,
         "model 'x' not found"},
        {LLM_OPENAI, 500, "{\"error\":{\"message\":17}}", false, false,
         "the provider answers with status 500"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct llm_reply r;
        llm_reply_init(&r);
        llm_read_error(cases[i].dialect, cases[i].status, slice_str(cases[i].body), &r);
        assert_int_equal(r.outcome.end, CALL_STATUS);
        assert_int_equal(r.outcome.status, cases[i].status);
        assert_string_equal(r.detail, cases[i].detail);
        assert_int_equal(r.outcome.quota, cases[i].quota);
        assert_int_equal(r.outcome.overflow, cases[i].overflow);
        llm_reply_release(&r);
    }
}

static void test_llm_decode__long_details_are_cut_at_a_character(void **state)
{
    struct buf body = BUF_INIT(8192);
    struct llm_reply r;
    (void)state;
    buf_add_str(&body, "{\"error\":{\"message\":\"a");
    for (int i = 0; i < 600; i++)
        buf_add_str(&body, "\xC3\xA4");
    buf_add_str(&body, "\"}}");
    llm_reply_init(&r);
    llm_read_error(LLM_OPENAI, 500, buf_slice(&body), &r);
    assert_int_equal(strlen(r.detail), 255);
    assert_int_equal((unsigned char)r.detail[254], 0xA4);
    llm_reply_release(&r);
    buf_release(&body);
}

static void test_llm_decode__out_of_memory(void **state)
{
    static const struct {
        enum llm_dialect dialect;
        struct slice stream;
    } cases[] = {{LLM_ANTHROPIC, {anthropic_whole, sizeof(anthropic_whole) - 1}},
                 {LLM_OPENAI, {openai_whole, sizeof(openai_whole) - 1}}};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct decoded full;
        bool whole = false;
        decode(&full, cases[i].dialect, cases[i].stream);
        for (unsigned n = 1; !whole; n++) {
            struct decoded d;
            uint64_t before = mem_count();
            mem_fail_at(n, 0);
            decode(&d, cases[i].dialect, cases[i].stream);
            mem_fail_at(0, 0);
            whole = mem_count() - before < n;
            if (d.reply.complete) {
                assert_int_equal(d.reply.blocks.len, full.reply.blocks.len);
                for (size_t b = 0; b < full.reply.blocks.len; b++) {
                    assert_true(slice_eq(buf_slice(&block(&d, b)->text),
                                         buf_slice(&block(&full, b)->text)));
                    assert_true(slice_eq(buf_slice(&block(&d, b)->json),
                                         buf_slice(&block(&full, b)->json)));
                }
            }
            decoded_release(&d);
            assert_true(n < 1000);
        }
        decoded_release(&full);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_llm_decode__anthropic_whole),
        cmocka_unit_test(test_llm_decode__openai_whole),
        cmocka_unit_test(test_llm_decode__cut_at_every_byte),
        cmocka_unit_test(test_llm_decode__usage_of_a_cut_is_unknown),
        cmocka_unit_test(test_llm_decode__stops),
        cmocka_unit_test(test_llm_decode__tool_calls_numbered_zero),
        cmocka_unit_test(test_llm_decode__broken_off_tool_call),
        cmocka_unit_test(test_llm_decode__error_events),
        cmocka_unit_test(test_llm_decode__not_the_dialect),
        cmocka_unit_test(test_llm_decode__limits),
        cmocka_unit_test(test_llm_decode__error_bodies),
        cmocka_unit_test(test_llm_decode__long_details_are_cut_at_a_character),
        cmocka_unit_test(test_llm_decode__out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
