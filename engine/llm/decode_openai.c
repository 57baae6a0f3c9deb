// SPDX-License-Identifier: MIT
// decode_openai.c: the Chat Completions stream, one chunk at a time, as OpenAI and the many servers
// that imitate it send it.
//
// Invariants:
//   1. Only the first choice counts; we ask for one.
//   2. A chunk may lack anything: role, id, content, choices. What is there is taken; null is none.
//   3. Blocks come in the order in which their first piece came. A text or thinking block goes on
//      only while it is the newest; a tool call goes on by its number.
//   4. usage counts as known only once the finish reason came: some servers tell it all along.
#include "llm/llm_int.h"

enum { NO_INDEX = -1 };  // of blocks that the dialect does not number

static const struct stop_name STOPS[] = {
    {"stop", STOP_END},
    {"eos", STOP_END},
    {"eos_token", STOP_END},
    {"end_turn", STOP_END},
    {"stop_sequence", STOP_SEQUENCE},
    {"length", STOP_MAX_TOKENS},
    {"max_tokens", STOP_MAX_TOKENS},
    {"model_length", STOP_MAX_TOKENS},
    {"tool_calls", STOP_TOOL_USE},
    {"function_call", STOP_TOOL_USE},
    {"content_filter", STOP_FILTER},
    {"refusal", STOP_REFUSAL},
};

static struct llm_block *newest(const struct llm_decoder *d)
{
    size_t n = d->reply->blocks.len;
    return n ? VEC_AT(&d->reply->blocks, struct llm_block, n - 1) : NULL;
}

static struct llm_block *next_block(struct llm_decoder *d, enum block_type type, int64_t index,
                                    struct err *err)
{
    struct llm_block *last = newest(d);

    if (last)
        last->closed = true;
    return decode_block(d, type, index, err);
}

// Text, or a refusal, which is text for the user too.
static int take_text(struct llm_decoder *d, struct json text, struct err *err)
{
    // An empty string, `""`, opens no block.
    if (json_type(text) != JSON_STRING || json_raw(text).len == 2)
        return E_OK;
    struct llm_block *b = newest(d);
    if (!b || b->type != BLOCK_TEXT)
        b = next_block(d, BLOCK_TEXT, NO_INDEX, err);
    return b ? decode_text(d, b, text, err) : E_PROVIDER;
}

static int take_thinking(struct llm_decoder *d, struct json text, struct err *err)
{
    if (json_type(text) != JSON_STRING || json_raw(text).len == 2)
        return E_OK;
    struct llm_block *b = newest(d);
    if (!b || b->type != BLOCK_THINKING)
        b = next_block(d, BLOCK_THINKING, NO_INDEX, err);
    return b ? decode_add(d, &b->text, text, err) : E_PROVIDER;
}

// Some servers number every call 0: a new id is a new call, whatever its number.
static bool same_call(const struct llm_block *b, struct json id)
{
    if (json_type(id) != JSON_STRING || json_raw(id).len == 2 || b->id.len == 0)
        return true;
    return json_is_string(id, b->id.ptr);
}

static int take_tool_call(struct llm_decoder *d, struct json call, struct err *err)
{
    struct json id = json_get(call, "id");
    struct json function = json_get(call, "function");
    int64_t index = json_i64(json_get(call, "index"), 0);
    struct llm_block *b = index >= 0 ? decode_find(d, index) : NULL;

    if (index < 0)
        return decode_fail(d, CALL_BAD_REPLY, err, "a tool call of the reply has a number below 0");
    if (!b || !same_call(b, id))
        b = next_block(d, BLOCK_TOOL_USE, index, err);
    if (!b)
        return E_PROVIDER;
    b->closed = false;  // calls may come interleaved
    int rc = b->id.len ? E_OK : decode_add(d, &b->id, id, err);
    if (rc == E_OK && b->name.len == 0)
        rc = decode_add(d, &b->name, json_get(function, "name"), err);
    if (rc == E_OK)
        rc = decode_add(d, &b->json, json_get(function, "arguments"), err);
    return rc;
}

static int take_delta(struct llm_decoder *d, struct json delta, struct err *err)
{
    struct json_iter it = {0};
    struct json none, call;
    struct json refusal = json_get(delta, "refusal");
    struct json thinking = json_get(delta, "reasoning_content");

    if (json_type(thinking) != JSON_STRING)
        thinking = json_get(delta, "reasoning");
    int rc = take_thinking(d, thinking, err);
    if (rc == E_OK)
        rc = take_text(d, json_get(delta, "content"), err);
    if (rc == E_OK && json_type(refusal) == JSON_STRING && json_raw(refusal).len > 2) {
        d->refused = true;
        rc = take_text(d, refusal, err);
    }
    struct json calls = json_get(delta, "tool_calls");
    if (json_type(calls) != JSON_ARRAY)
        return rc;
    while (rc == E_OK && json_next(calls, &it, &none, &call))
        rc = take_tool_call(d, call, err);
    return rc;
}

// The finish reason came: no block goes on. At a token limit the newest one is what was broken off.
static int close_blocks(struct llm_decoder *d, bool *any_tool, struct err *err)
{
    *any_tool = false;
    for (size_t i = 0; i < d->reply->blocks.len; i++) {
        struct llm_block *b = VEC_AT(&d->reply->blocks, struct llm_block, i);
        bool broken_off = i + 1 == d->reply->blocks.len && d->pending_stop == STOP_MAX_TOKENS;
        b->closed = !broken_off;
        if (b->type != BLOCK_TOOL_USE)
            continue;
        *any_tool = true;
        int rc =
            b->closed && !b->json.len ? decode_add_raw(d, &b->json, SLICE_LIT("{}"), err) : E_OK;
        if (rc)
            return rc;
    }
    return E_OK;
}

static int take_finish(struct llm_decoder *d, struct json reason, struct err *err)
{
    bool any_tool;

    if (json_type(reason) != JSON_STRING || json_raw(reason).len == 2)
        return E_OK;
    decode_stop(d, STOPS, sizeof(STOPS) / sizeof(STOPS[0]), reason);
    int rc = close_blocks(d, &any_tool, err);
    if (d->pending_stop == STOP_END && any_tool)
        d->pending_stop = STOP_TOOL_USE;  // some servers say "stop" after tool calls
    if (d->pending_stop == STOP_END && d->refused)
        d->pending_stop = STOP_REFUSAL;
    return rc;
}

static void take_usage(struct llm_decoder *d, struct json usage)
{
    struct usage *u = &d->reply->usage;

    if (json_type(usage) != JSON_OBJECT)
        return;
    struct json details = json_get(usage, "prompt_tokens_details");
    // prompt_tokens holds the cached ones already. The fallback is DeepSeek's word for them.
    u->input_tokens = decode_count(json_get(usage, "prompt_tokens"), u->input_tokens);
    u->output_tokens = decode_count(json_get(usage, "completion_tokens"), u->output_tokens);
    u->cached_tokens =
        decode_count(json_get(details, "cached_tokens"),
                     decode_count(json_get(usage, "prompt_cache_hit_tokens"), u->cached_tokens));
    u->cache_write_tokens =
        decode_count(json_get(details, "cache_write_tokens"), u->cache_write_tokens);
    if (d->pending_stop != STOP_NONE)
        d->reply->usage_known = true;
}

static int take_choices(struct llm_decoder *d, struct json choices, struct err *err)
{
    struct json_iter it = {0};
    struct json none, choice;
    int rc = E_OK;

    if (json_type(choices) != JSON_ARRAY)
        return E_OK;
    while (rc == E_OK && json_next(choices, &it, &none, &choice)) {
        if (json_i64(json_get(choice, "index"), 0) != 0)
            continue;
        rc = take_delta(d, json_get(choice, "delta"), err);
        if (rc == E_OK)
            rc = take_finish(d, json_get(choice, "finish_reason"), err);
    }
    return rc;
}

int decode_openai(struct llm_decoder *d, struct slice data, struct err *err)
{
    if (slice_is(data, "[DONE]")) {
        d->terminal = true;
        return E_OK;
    }
    int rc = json_parse(&d->doc, data, 0, err);
    if (rc == E_NOMEM)
        return decode_no_memory(d, err);
    struct json root = json_root(&d->doc);
    if (rc || json_type(root) != JSON_OBJECT)
        return decode_fail(d, CALL_BAD_REPLY, err, "an event of the reply is not a JSON object");
    enum json_type error = json_type(json_get(root, "error"));
    if (error == JSON_OBJECT || error == JSON_STRING)
        return decode_error_event(d, root, err);
    decode_id(d->reply, json_get(root, "id"));
    rc = take_choices(d, json_get(root, "choices"), err);
    if (rc == E_OK)
        take_usage(d, json_get(root, "usage"));
    return rc;
}
