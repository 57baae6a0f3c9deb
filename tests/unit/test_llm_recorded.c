// SPDX-License-Identifier: MIT
// Streams that providers really sent, against what their SDKs made of them; and cut at every byte.
#include "llm_kit.h"
#include "net/sse.h"
#include "support/shared.h"

#include <dirent.h>

enum { FILES_MAX = 256, NAME_BYTES = 256 };

static bool on_event(void *user, const struct sse_event *event)
{
    return llm_decoder_event(user, event->type, event->data, NULL) == E_OK;
}

static void decode(struct llm_reply *reply, enum llm_dialect dialect, struct slice stream)
{
    struct llm_decoder d;
    struct sse sse;
    llm_reply_init(reply);
    llm_decoder_init(&d, dialect, reply);
    sse_init(&sse, on_event, &d);
    sse_feed(&sse, stream, NULL);
    sse_end(&sse);
    llm_decoder_end(&d);
    sse_release(&sse);
    llm_decoder_release(&d);
}

// ---- comparing

static enum stop stop_of(struct json word)
{
    static const struct {
        const char *word;
        enum stop stop;
    } words[] = {{"end_turn", STOP_END},     {"max_tokens", STOP_MAX_TOKENS},
                 {"tool_use", STOP_TOOL_USE}, {"refusal", STOP_REFUSAL},
                 {"stop", STOP_END},         {"tool_calls", STOP_TOOL_USE}};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (json_is_string(word, words[i].word))
            return words[i].stop;
    }
    return STOP_NONE;
}

static const struct llm_block absent = {.type = BLOCK_OTHER};

static const struct llm_block *block_of(const struct llm_reply *r, enum block_type type, size_t nth)
{
    for (size_t i = 0; i < r->blocks.len; i++) {
        const struct llm_block *b = VEC_AT(&r->blocks, struct llm_block, i);
        if (b->type == type && nth-- == 0)
            return b;
    }
    return &absent;
}

static void same_value(struct json a, struct json b)
{
    struct json_iter it = {0};
    struct json key, item;
    struct buf name = BUF_INIT(1 << 16), other = BUF_INIT(1 << 16);
    assert_int_equal(json_type(a), json_type(b));
    assert_int_equal(json_count(a), json_count(b));
    if (json_type(a) == JSON_STRING) {
        assert_true(slice_eq(json_text(a, &name), json_text(b, &other)));
    } else if (json_type(a) == JSON_NUMBER) {
        assert_true(json_double(a, 0) == json_double(b, 1));
    }
    for (uint32_t i = 0; json_next(a, &it, &key, &item); i++) {
        if (json_type(a) == JSON_ARRAY) {
            same_value(item, json_at(b, i));
            continue;
        }
        buf_clear(&name);
        assert_true(json_string(key, &name));
        same_value(item, json_get(b, name.ptr));
    }
    buf_release(&name);
    buf_release(&other);
}

static void same_json(struct slice got, struct json want)
{
    struct json_doc doc = JSON_DOC_INIT;
    assert_int_equal(json_parse(&doc, got, 0, NULL), E_OK);
    same_value(json_root(&doc), want);
    json_doc_release(&doc);
}

static void check_anthropic(const struct llm_reply *r, struct json want)
{
    struct json content = json_get(want, "content"), usage = json_get(want, "usage");
    assert_int_equal(r->stop, stop_of(json_get(want, "stop_reason")));
    assert_int_equal(r->blocks.len, json_count(content));
    for (uint32_t i = 0; i < json_count(content); i++) {
        const struct llm_block *b = VEC_AT(&r->blocks, struct llm_block, i);
        struct json block = json_at(content, i);
        if (json_is_string(json_get(block, "type"), "text")) {
            assert_true(json_is_string(json_get(block, "text"), b->text.ptr ? b->text.ptr : ""));
        } else if (json_is_string(json_get(block, "type"), "tool_use")) {
            assert_int_equal(b->type, BLOCK_TOOL_USE);
            assert_true(json_is_string(json_get(block, "id"), b->id.ptr));
            assert_true(json_is_string(json_get(block, "name"), b->name.ptr));
            // The SDK guesses at input that was broken off; we keep what came, as not closed.
            assert_int_equal(b->closed, r->stop != STOP_MAX_TOKENS);
            if (b->closed)
                same_json(buf_slice(&b->json), json_get(block, "input"));
        } else if (json_is_string(json_get(block, "type"), "thinking")) {
            assert_true(json_is_string(json_get(block, "thinking"), b->text.ptr));
            assert_true(json_is_string(json_get(block, "signature"), b->signature.ptr));
        } else {
            assert_int_equal(b->type, BLOCK_OTHER);
            same_json(buf_slice(&b->json), block);
        }
    }
    int64_t cached = json_i64(json_get(usage, "cache_read_input_tokens"), 0);
    int64_t written = json_i64(json_get(usage, "cache_creation_input_tokens"), 0);
    assert_int_equal(r->usage.input_tokens,
                     json_i64(json_get(usage, "input_tokens"), -1) + cached + written);
    assert_int_equal(r->usage.cached_tokens, cached);
    assert_int_equal(r->usage.output_tokens, json_i64(json_get(usage, "output_tokens"), -1));
}

static void check_openai(const struct llm_reply *r, struct json want)
{
    struct json choice = json_at(json_get(want, "choices"), 0), usage = json_get(want, "usage");
    struct json message = json_get(choice, "message");
    struct json calls = json_get(message, "tool_calls");
    struct buf text = BUF_INIT(1 << 20);
    assert_int_equal(r->stop, stop_of(json_get(choice, "finish_reason")));
    kit_reply_text(r, &text);
    if (json_type(json_get(message, "content")) == JSON_STRING)
        assert_true(json_is_string(json_get(message, "content"), text.ptr ? text.ptr : ""));
    else
        assert_int_equal(text.len, 0);
    buf_release(&text);
    for (uint32_t i = 0; i < json_count(calls); i++) {
        struct json call = json_at(calls, i), function = json_get(call, "function");
        const struct llm_block *b = block_of(r, BLOCK_TOOL_USE, i);
        assert_ptr_not_equal(b, &absent);
        assert_true(json_is_string(json_get(call, "id"), b->id.ptr));
        assert_true(json_is_string(json_get(function, "name"), b->name.ptr));
        assert_true(json_is_string(json_get(function, "arguments"), b->json.ptr));
        assert_true(b->closed);
    }
    assert_ptr_equal(block_of(r, BLOCK_TOOL_USE, json_count(calls)), &absent);
    assert_int_equal(r->usage.input_tokens, json_i64(json_get(usage, "prompt_tokens"), -1));
    assert_int_equal(r->usage.output_tokens, json_i64(json_get(usage, "completion_tokens"), -1));
    assert_int_equal(
        r->usage.cached_tokens,
        json_i64(json_get(json_get(usage, "prompt_tokens_details"), "cached_tokens"), 0));
}

// Chunks without a role: the SDK gives up, we read them.
static void check_without_role(const struct llm_reply *r)
{
    const struct llm_block *b = block_of(r, BLOCK_TOOL_USE, 0);
    assert_int_equal(r->stop, STOP_TOOL_USE);
    assert_int_equal(r->blocks.len, 1);
    assert_string_equal(b->name.ptr, "webSearchTool");
    assert_string_equal(b->json.ptr, "{\"query\": \"current Berlin weather\"}");
    assert_int_equal(r->usage.input_tokens, 171);
    assert_int_equal(r->usage.cached_tokens, 128);
    assert_int_equal(r->usage.output_tokens, 14);
}

// ---- the files

struct recording {
    char name[NAME_BYTES];
    enum llm_dialect dialect;
};

static size_t list(struct recording *files)
{
    char path[4096];
    size_t n = 0;
    if (!shared_path(path, sizeof(path), "streams/recorded"))
        return 0;
    DIR *dir = opendir(path);
    for (struct dirent *e; dir && n < FILES_MAX && (e = readdir(dir));) {
        size_t len = strlen(e->d_name);
        if (len < 5 || len > NAME_BYTES - 32 || strcmp(e->d_name + len - 4, ".sse") != 0)
            continue;
        snprintf(files[n].name, NAME_BYTES, "streams/recorded/%.*s", (int)len - 4, e->d_name);
        files[n].dialect = strncmp(e->d_name, "openai", 6) == 0 ? LLM_OPENAI : LLM_ANTHROPIC;
        n++;
    }
    if (dir)
        closedir(dir);
    return n;
}

static char *load(const char *name, const char *end, size_t *len)
{
    char path[NAME_BYTES + 32];
    snprintf(path, sizeof(path), "%.*s%s", NAME_BYTES, name, end);
    char *bytes = shared_read(path, len);
    assert_non_null(bytes);
    return bytes;
}

static struct recording files[FILES_MAX];

static void test_llm_recorded__as_the_sdk_says(void **state)
{
    size_t n = list(files), len, want_len;
    (void)state;
    if (!n)
        skip();
    for (size_t i = 0; i < n; i++) {
        char *stream = load(files[i].name, ".sse", &len);
        char *want = load(files[i].name, ".expected.json", &want_len);
        struct json_doc doc = JSON_DOC_INIT;
        struct llm_reply reply;
        print_message("# %s\n", files[i].name);
        assert_int_equal(json_parse(&doc, slice_of(want, want_len), 0, NULL), E_OK);
        decode(&reply, files[i].dialect, slice_of(stream, len));
        struct json root = json_root(&doc);
        assert_true(reply.complete);
        assert_true(reply.usage_known);
        if (json_type(json_get(root, "sdk_error")) == JSON_STRING) {
            check_without_role(&reply);
        } else {
            assert_true(json_is_string(json_get(root, "id"), reply.id.ptr));
            if (files[i].dialect == LLM_ANTHROPIC)
                check_anthropic(&reply, root);
            else
                check_openai(&reply, root);
        }
        llm_reply_release(&reply);
        json_doc_release(&doc);
        free(stream);
        free(want);
    }
}

// Where the terminal event's last byte is: only from there on may a stream count as complete.
static size_t terminal_end(const struct recording *f, const char *stream)
{
    const char *mark = f->dialect == LLM_OPENAI ? "[DONE]" : "{\"type\":\"message_stop\"";
    const char *at = strstr(stream, mark);
    assert_non_null(at);
    at = strstr(at, "\n\n");
    assert_non_null(at);
    return (size_t)(at - stream) + 2;
}

// Every prefix. The decoder is fed once, byte by byte, and asked after each byte what would be the
// case if the stream ended here, so that long streams take no quadratic time.
static void test_llm_recorded__cut_at_every_byte(void **state)
{
    size_t n = list(files), len, cuts = 0, complete = 0;
    (void)state;
    if (!n)
        skip();
    for (size_t i = 0; i < n; i++) {
        char *stream = load(files[i].name, ".sse", &len);
        size_t end = terminal_end(&files[i], stream);
        struct llm_reply reply;
        struct llm_decoder d;
        struct sse sse;
        llm_reply_init(&reply);
        llm_decoder_init(&d, files[i].dialect, &reply);
        sse_init(&sse, on_event, &d);
        for (size_t at = 0; at < len; at++) {
            sse_feed(&sse, slice_of(stream + at, 1), NULL);
            llm_decoder_end(&d);  // settles; what comes next is settled again
            cuts++;
            complete += reply.complete && at + 1 < end;
            if (at + 1 < end)
                assert_int_equal(reply.stop, STOP_LOST);
            else
                assert_true(reply.complete);
        }
        sse_release(&sse);
        llm_decoder_release(&d);
        llm_reply_release(&reply);
        free(stream);
    }
    print_message("# %zu recordings, %zu cuts, %zu taken for complete\n", n, cuts, complete);
    assert_int_equal(complete, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_llm_recorded__as_the_sdk_says),
        cmocka_unit_test(test_llm_recorded__cut_at_every_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
