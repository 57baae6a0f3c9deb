// SPDX-License-Identifier: MIT
// decode_anthropic.c: the Messages API's stream, one event at a time.
//
//   message_start ─▶ (content_block_start ─▶ content_block_delta* ─▶ content_block_stop)*
//                 ─▶ message_delta+ ─▶ message_stop    ping anywhere, error instead of anything
//
// Invariants:
//   1. The event's JSON says what it is; the stream's event name only where the JSON does not.
//   2. Event, delta and block types that are not known are ignored or kept as OTHER: no error.
//   3. usage counts are cumulative: a later event replaces what it mentions, and nothing else.
#include "llm/llm_int.h"

static const struct stop_name STOPS[] = {
    {"end_turn", STOP_END},
    {"max_tokens", STOP_MAX_TOKENS},
    {"model_context_window_exceeded", STOP_MAX_TOKENS},
    {"stop_sequence", STOP_SEQUENCE},
    {"tool_use", STOP_TOOL_USE},
    {"refusal", STOP_REFUSAL},
    // The provider's own tool loop pauses and wants to be called again. We ask for no such tools;
    // if it comes all the same the reply is not at its end, so STOP_END would be a lie.
    {"pause_turn", STOP_TOOL_USE},
};

static void read_usage(struct llm_decoder *d, struct json usage)
{
    struct usage *u = &d->reply->usage;
    int64_t fresh = u->input_tokens - u->cached_tokens - u->cache_write_tokens;

    u->cached_tokens = decode_count(json_get(usage, "cache_read_input_tokens"), u->cached_tokens);
    u->cache_write_tokens =
        decode_count(json_get(usage, "cache_creation_input_tokens"), u->cache_write_tokens);
    u->output_tokens = decode_count(json_get(usage, "output_tokens"), u->output_tokens);
    fresh = decode_count(json_get(usage, "input_tokens"), fresh);
    // The provider leaves cached and cache-written tokens out of input_tokens; we count all.
    u->input_tokens = fresh + u->cached_tokens + u->cache_write_tokens;
}

static int message_start(struct llm_decoder *d, struct json root, struct err *err)
{
    struct json message = json_get(root, "message");

    if (json_type(message) != JSON_OBJECT)
        return decode_fail(d, CALL_BAD_REPLY, err, "the reply's message_start holds no message");
    d->started = true;
    decode_id(d->reply, json_get(message, "id"));
    read_usage(d, json_get(message, "usage"));
    return E_OK;
}

static int start_tool(struct llm_decoder *d, struct llm_block *b, struct json block,
                      struct err *err)
{
    int rc = decode_add(d, &b->id, json_get(block, "id"), err);

    if (rc == E_OK)
        rc = decode_add(d, &b->name, json_get(block, "name"), err);
    // Usually {} here and the input in deltas; whole only where a server does not stream it.
    struct json input = json_get(block, "input");
    if (rc == E_OK && json_count(input))
        rc = decode_add_raw(d, &b->json, json_raw(input), err);
    return rc;
}

static int block_start(struct llm_decoder *d, struct json root, struct err *err)
{
    struct json block = json_get(root, "content_block");
    struct json type = json_get(block, "type");
    int64_t index = json_i64(json_get(root, "index"), -1);

    if (!d->started || json_type(block) != JSON_OBJECT || index < 0 || decode_find(d, index))
        return decode_fail(d, CALL_BAD_REPLY, err, "the reply opens a block that cannot be");
    enum block_type kind = json_is_string(type, "text")       ? BLOCK_TEXT
                           : json_is_string(type, "tool_use") ? BLOCK_TOOL_USE
                           : json_is_string(type, "thinking") ? BLOCK_THINKING
                                                              : BLOCK_OTHER;
    struct llm_block *b = decode_block(d, kind, index, err);
    if (!b)
        return E_PROVIDER;
    switch (kind) {
    case BLOCK_TEXT:
        return decode_text(d, b, json_get(block, "text"), err);
    case BLOCK_TOOL_USE:
        return start_tool(d, b, block, err);
    case BLOCK_THINKING: {
        int rc = decode_add(d, &b->text, json_get(block, "thinking"), err);
        return rc ? rc : decode_add(d, &b->signature, json_get(block, "signature"), err);
    }
    default:
        return decode_add_raw(d, &b->json, json_raw(block), err);
    }
}

static int block_delta(struct llm_decoder *d, struct json root, struct err *err)
{
    struct json delta = json_get(root, "delta");
    struct json type = json_get(delta, "type");
    struct llm_block *b = decode_find(d, json_i64(json_get(root, "index"), -1));

    if (!b || b->closed)
        return decode_fail(d, CALL_BAD_REPLY, err,
                           "the reply goes on with a block that is not open");
    if (json_is_string(type, "text_delta") && b->type == BLOCK_TEXT)
        return decode_text(d, b, json_get(delta, "text"), err);
    if (json_is_string(type, "input_json_delta")) {
        // Of a server's own tool the input waits in `text` until the block is whole.
        struct buf *to = b->type == BLOCK_TOOL_USE ? &b->json : &b->text;
        if (b->type == BLOCK_TOOL_USE || b->type == BLOCK_OTHER)
            return decode_add(d, to, json_get(delta, "partial_json"), err);
    }
    if (b->type == BLOCK_THINKING && json_is_string(type, "thinking_delta"))
        return decode_add(d, &b->text, json_get(delta, "thinking"), err);
    if (b->type == BLOCK_THINKING && json_is_string(type, "signature_delta"))
        return decode_add(d, &b->signature, json_get(delta, "signature"), err);
    return E_OK;
}

// Puts the input that came in pieces where the block's own {} stood.
static int finish_other(struct llm_decoder *d, struct llm_block *b, struct err *err)
{
    struct buf whole = BUF_INIT(LLM_REPLY_BYTES_MAX);
    struct json_doc doc = JSON_DOC_INIT;
    struct json_iter it = {0};
    struct json key, item;

    // The pieces must make a JSON value, or the block as a whole would be none.
    int rc = json_parse(&doc, buf_slice(&b->text), 0, err);
    if (rc == E_OK)
        rc = json_parse(&doc, buf_slice(&b->json), 0, err);
    if (rc == E_OK) {
        while (json_next(json_root(&doc), &it, &key, &item)) {
            bool input = json_is_string(key, "input");
            buf_add_char(&whole, whole.len ? ',' : '{');
            buf_add_slice(&whole, json_raw(key));
            buf_add_char(&whole, ':');
            buf_add_slice(&whole, input ? buf_slice(&b->text) : json_raw(item));
        }
        buf_add_char(&whole, '}');
        rc = buf_check(&whole, "a block", err);
    }
    json_doc_release(&doc);
    if (rc) {
        buf_release(&whole);
        return decode_fail(d, CALL_BAD_REPLY, err, "a block of the reply is not valid JSON");
    }
    buf_release(&b->json);
    buf_release(&b->text);
    b->json = whole;
    return E_OK;
}

static int block_stop(struct llm_decoder *d, struct json root, struct err *err)
{
    struct llm_block *b = decode_find(d, json_i64(json_get(root, "index"), -1));

    if (!b || b->closed)
        return decode_fail(d, CALL_BAD_REPLY, err, "the reply closes a block that is not open");
    b->closed = true;
    if (b->type == BLOCK_TOOL_USE && b->json.len == 0)
        return decode_add_raw(d, &b->json, SLICE_LIT("{}"), err);  // a tool without arguments
    if (b->type == BLOCK_OTHER && b->text.len)
        return finish_other(d, b, err);
    return E_OK;
}

static int message_delta(struct llm_decoder *d, struct json root, struct err *err)
{
    struct json reason = json_get(json_get(root, "delta"), "stop_reason");
    struct json usage = json_get(root, "usage");

    if (!d->started)
        return decode_fail(d, CALL_BAD_REPLY, err, "the reply has no beginning");
    read_usage(d, usage);
    if (json_type(json_get(usage, "output_tokens")) == JSON_NUMBER)
        d->reply->usage_known = true;
    if (json_type(reason) == JSON_STRING)
        decode_stop(d, STOPS, sizeof(STOPS) / sizeof(STOPS[0]), reason);
    return E_OK;
}

static int message_stop(struct llm_decoder *d, struct json root, struct err *err)
{
    (void)root;
    (void)err;
    d->terminal = true;
    return E_OK;
}

static const struct {
    const char *type;
    int (*take)(struct llm_decoder *d, struct json root, struct err *err);
} EVENTS[] = {
    {"content_block_delta", block_delta}, {"content_block_start", block_start},
    {"content_block_stop", block_stop},   {"message_start", message_start},
    {"message_delta", message_delta},     {"message_stop", message_stop},
    {"error", decode_error_event},
};

int decode_anthropic(struct llm_decoder *d, struct slice type, struct slice data, struct err *err)
{
    int rc = json_parse(&d->doc, data, 0, err);

    if (rc == E_NOMEM)
        return decode_no_memory(d, err);
    struct json root = json_root(&d->doc);
    if (rc || json_type(root) != JSON_OBJECT)
        return decode_fail(d, CALL_BAD_REPLY, err, "an event of the reply is not a JSON object");
    struct json told = json_get(root, "type");
    bool named = json_type(told) == JSON_STRING;
    for (size_t i = 0; i < sizeof(EVENTS) / sizeof(EVENTS[0]); i++) {
        if (named ? json_is_string(told, EVENTS[i].type) : slice_is(type, EVENTS[i].type))
            return EVENTS[i].take(d, root, err);
    }
    return E_OK;
}
