// SPDX-License-Identifier: MIT
// recorded.c: from the messages of a recorded conversation to turns; see recorded.h.
#include "turn/recorded.h"

#include "base/clock.h"
#include "tokens/tokens.h"
#include "turn/turn_room.h"

#include <stdio.h>

// A block whose texts are still offsets, as the buffer may move.
struct part {
    enum block_type type;
    size_t text[2], id[2], name[2], json[2]; // start, length in recorded->text
    bool is_error;
};

void recorded_init(struct recorded *r, const struct redact_how *how)
{
    *r = (struct recorded){0};
    if (how)
        r->how = *how;
    vec_init(&r->turns, sizeof(struct turn), RECORDED_TURNS_MAX);
    vec_init(&r->steps, sizeof(struct step), TURN_STEPS_MAX);
    vec_init(&r->parts, sizeof(struct part), CONTENT_BLOCKS_MAX);
    safe_buf_init(&r->text, CONTENT_BYTES_MAX);
    buf_init(&r->scratch, JOB_TEXT_BYTES_MAX);
}

void recorded_release(struct recorded *r)
{
    for (size_t i = 0; i < r->turns.len; i++)
        turn_release(vec_at(&r->turns, i));
    for (size_t i = 0; i < r->steps.len; i++)
        step_release(vec_at(&r->steps, i));
    vec_release(&r->turns);
    vec_release(&r->steps);
    vec_release(&r->parts);
    safe_buf_release(&r->text);
    buf_release(&r->scratch);
}

static int bad(const struct recorded *r, struct err *err, const char *what)
{
    return err_set(err, E_USAGE, "messages[%u]: %s", r->message, what);
}

// Why nothing more went into one of its lists.
static int no_room(const struct recorded *r, const struct vec *list, struct err *err,
                   const char *what)
{
    if (list->len == list->max)
        return bad(r, err, what);
    return err_set(err, E_NOMEM, "messages[%u]: out of memory", r->message);
}

// ---- blocks

static int put_text(struct recorded *r, struct slice raw, size_t at[2], struct err *err)
{
    at[0] = safe_buf_text(&r->text).len;
    int code = redact_text(&r->how, raw, &r->text, err);
    at[1] = safe_buf_text(&r->text).len - at[0];
    return code;
}

static int put_json(struct recorded *r, struct slice raw, size_t at[2], struct err *err)
{
    at[0] = safe_buf_text(&r->text).len;
    int code = raw.len ? redact_json(&r->how, raw, &r->text, err) : E_OK;
    at[1] = safe_buf_text(&r->text).len - at[0];
    return code;
}

static int put_string(struct recorded *r, struct json v, size_t at[2], struct err *err)
{
    struct slice raw = json_text(v, &r->scratch);
    if (!buf_ok(&r->scratch))
        return buf_check(&r->scratch, "a string", err);
    if (!raw.ptr && json_type(v) != JSON_STRING)
        return bad(r, err, "a string is missing");
    return put_text(r, raw, at, err);
}

// The arguments of a call, which are JSON in a string: what is none could be sent to nobody.
static int put_arguments(struct recorded *r, struct json v, size_t at[2], struct err *err)
{
    enum { DEPTH_MAX = JSON_DEPTH_MAX - 16 }; // they are stored and shown inside other values
    struct json_doc doc = JSON_DOC_INIT;
    struct slice raw = json_text(v, &r->scratch);
    if (!buf_ok(&r->scratch))
        return buf_check(&r->scratch, "a string", err);
    if (raw.len == 0)
        return put_string(r, v, at, err);
    int code = json_parse(&doc, raw, DEPTH_MAX, err);
    json_doc_release(&doc);
    if (code)
        return code == E_USAGE ? bad(r, err, "the arguments of a tool call are not JSON") : code;
    return put_json(r, raw, at, err);
}

static struct part *new_part(struct recorded *r, enum block_type type)
{
    struct part *p = vec_push(&r->parts);
    if (p)
        p->type = type;
    return p;
}

// The text of a tool result: a string, or the text blocks of a list.
static int put_result(struct recorded *r, struct json content, struct part *p, struct err *err)
{
    struct json_iter it = {0};
    struct json item;
    if (json_type(content) == JSON_STRING)
        return put_string(r, content, p->text, err);
    p->text[0] = safe_buf_text(&r->text).len;
    while (json_next(content, &it, NULL, &item)) {
        size_t at[2];
        if (json_is_string(json_get(item, "type"), "text") &&
            put_string(r, json_get(item, "text"), at, err))
            return err->code;
    }
    p->text[1] = safe_buf_text(&r->text).len - p->text[0];
    return E_OK;
}

static int read_block(struct recorded *r, struct json b, struct err *err)
{
    struct json type = json_get(b, "type");
    enum block_type kind = json_is_string(type, "text")          ? BLOCK_TEXT
                           : json_is_string(type, "tool_use")    ? BLOCK_TOOL_USE
                           : json_is_string(type, "tool_result") ? BLOCK_TOOL_RESULT
                                                                 : BLOCK_OTHER;
    struct part *p = new_part(r, kind);
    int code = E_OK;
    if (!p)
        return no_room(r, &r->parts, err, "too many blocks");
    switch (kind) {
    case BLOCK_TEXT:
        return put_string(r, json_get(b, "text"), p->text, err);
    case BLOCK_TOOL_USE:
        code = put_string(r, json_get(b, "id"), p->id, err);
        if (!code)
            code = put_string(r, json_get(b, "name"), p->name, err);
        return code ? code : put_json(r, json_raw(json_get(b, "input")), p->json, err);
    case BLOCK_TOOL_RESULT:
        p->is_error = json_bool(json_get(b, "is_error"), false);
        code = put_string(r, json_get(b, "tool_use_id"), p->id, err);
        return code ? code : put_result(r, json_get(b, "content"), p, err);
    default:
        return put_json(r, json_raw(b), p->json, err);
    }
}

static int read_tool_calls(struct recorded *r, struct json calls, struct err *err)
{
    struct json_iter it = {0};
    struct json call;
    while (json_next(calls, &it, NULL, &call)) {
        struct json function = json_get(call, "function");
        struct part *p = new_part(r, BLOCK_TOOL_USE);
        if (!p)
            return no_room(r, &r->parts, err, "too many blocks");
        int code = put_string(r, json_get(call, "id"), p->id, err);
        if (!code)
            code = put_string(r, json_get(function, "name"), p->name, err);
        if (!code)
            code = put_arguments(r, json_get(function, "arguments"), p->json, err);
        if (code)
            return code;
    }
    return E_OK;
}

static int read_content(struct recorded *r, struct json message, bool tool, struct err *err)
{
    struct json content = json_get(message, "content");
    struct json_iter it = {0};
    struct json item;
    if (tool) {
        struct part *p = new_part(r, BLOCK_TOOL_RESULT);
        if (!p)
            return no_room(r, &r->parts, err, "too many blocks");
        int code = put_string(r, json_get(message, "tool_call_id"), p->id, err);
        return code ? code : put_result(r, content, p, err);
    }
    if (json_type(content) == JSON_STRING) {
        struct part *p = new_part(r, BLOCK_TEXT);
        if (!p)
            return no_room(r, &r->parts, err, "too many blocks");
        if (put_string(r, content, p->text, err))
            return err->code;
    } else if (json_type(content) == JSON_ARRAY) {
        while (json_next(content, &it, NULL, &item)) {
            if (read_block(r, item, err))
                return err->code;
        }
    } else if (json_type(content) != JSON_NULL || !json_count(json_get(message, "tool_calls"))) {
        return bad(r, err, "content must be a string or a list of blocks");
    }
    return read_tool_calls(r, json_get(message, "tool_calls"), err);
}

static struct safe_text text_at(const struct recorded *r, const size_t at[2])
{
    return safe_text_part(safe_buf_text(&r->text), at[0], at[1]);
}

// The message's blocks, after those that `to` has already (consecutive messages of one role are one
// step).
static int take_content(struct recorded *r, struct content *to, struct err *err)
{
    struct block blocks[CONTENT_BLOCKS_MAX];
    uint32_t n = to->len;
    if (n + r->parts.len > CONTENT_BLOCKS_MAX)
        return bad(r, err, "too many blocks");
    if (n)
        memcpy(blocks, to->blocks, n * sizeof(*blocks));
    for (size_t i = 0; i < r->parts.len; i++) {
        const struct part *p = vec_at(&r->parts, i);
        blocks[n++] = (struct block){.type = p->type,
                                     .text = text_at(r, p->text),
                                     .id = text_at(r, p->id),
                                     .name = text_at(r, p->name),
                                     .json = text_at(r, p->json),
                                     .is_error = p->is_error};
    }
    struct content whole;
    int code = content_make(&whole, blocks, n, err);
    if (code)
        return code;
    content_release(to);
    *to = whole;
    return E_OK;
}

// ---- turns

static int end_turn(struct recorded *r, struct err *err)
{
    if (!r->steps.len)
        return E_OK;
    struct turn *t = vec_push(&r->turns);
    if (!t)
        return no_room(r, &r->turns, err, "too many turns: split the conversation");
    struct step *steps = r->steps.ptr;
    t->n = (uint32_t)r->turns.len;
    t->steps_len = (uint32_t)r->steps.len;
    bool replied = steps[t->steps_len - 1].role == ROLE_ASSISTANT;
    t->status = replied ? TURN_DONE : TURN_FAILED;
    t->stop = replied ? STOP_END : STOP_NONE;
    t->at_ms = steps[0].at_ms;
    t->usage.cost_nusd = 0;
    snprintf(t->policy, sizeof(t->policy), "import");
    for (uint32_t i = 0; i < t->steps_len; i++)
        steps[i].tokens = tokens_of_content(r->encoding, &steps[i].content);
    t->steps = r->steps.ptr; // moved
    vec_init(&r->steps, sizeof(struct step), TURN_STEPS_MAX);
    return E_OK;
}

static bool says_words(const struct recorded *r)
{
    for (size_t i = 0; i < r->parts.len; i++) {
        if (VEC_AT(&r->parts, struct part, i)->type != BLOCK_TOOL_RESULT)
            return true;
    }
    return false;
}

static int add_message(struct recorded *r, enum role role, struct err *err)
{
    struct step *last = r->steps.len ? vec_at(&r->steps, r->steps.len - 1) : NULL;
    if (!last && role == ROLE_ASSISTANT)
        return bad(r, err, "a conversation begins with the user, not the assistant");
    if (role == ROLE_USER && says_words(r)) {
        if (end_turn(r, err))
            return err->code;
        last = NULL;
        r->timed += r->told_time;
        if (!r->told_time && r->turns.len)
            r->at_ms += r->turn_ms;
    } else if (!last) {
        return bad(r, err, "a tool result answers nothing");
    }
    if (!last || last->role != role) {
        last = vec_push(&r->steps);
        if (!last)
            return no_room(r, &r->steps, err, "too many steps in one turn");
        last->role = role;
        last->at_ms = r->at_ms;
    }
    return take_content(r, &last->content, err);
}

// From 1970, as all stored times are, to the last day that has a text.
static int read_time(struct recorded *r, struct json at, struct err *err)
{
    const int64_t last_ms = INT64_C(253402300799999);
    int64_t ms = r->at_ms;
    if (json_type(at) == JSON_STRING) {
        struct slice text = json_text(at, &r->scratch);
        if (!buf_ok(&r->scratch))
            return buf_check(&r->scratch, "a time", err);
        if (clock_parse(text, &ms, err))
            return err_prefix(err, "messages[%u]: at: ", r->message);
    } else if (json_type(at) == JSON_NUMBER) {
        double seconds = json_double(at, -1);
        ms = seconds >= 0 && seconds <= (double)(last_ms / 1000) ? (int64_t)(seconds * 1000.0) : -1;
    }
    if (ms < 0 || ms > last_ms)
        return bad(r, err, "at: from 1970 to 9999");
    r->at_ms = ms;
    r->told_time = json_type(at) == JSON_STRING || json_type(at) == JSON_NUMBER;
    return E_OK;
}

static int read_message(struct recorded *r, struct json message, struct err *err)
{
    struct json role = json_get(message, "role");
    bool tool = json_is_string(role, "tool");
    bool user = json_is_string(role, "user");
    if (json_is_string(role, "system") || json_is_string(role, "developer"))
        return E_OK;
    if (!tool && !user && !json_is_string(role, "assistant"))
        return bad(r, err, "role must be user, assistant, tool or system");
    safe_buf_clear(&r->text);
    vec_clear(&r->parts);
    int code = read_time(r, json_get(message, "at"), err);
    if (!code)
        code = read_content(r, message, tool, err);
    if (!code)
        code = safe_buf_check(&r->text, "a message", err);
    if (!code)
        code = add_message(r, user || tool ? ROLE_USER : ROLE_ASSISTANT, err);
    return code;
}

int recorded_read(struct recorded *r, struct json messages, int64_t start_ms, int64_t turn_ms,
                  struct err *err)
{
    struct json_iter it = {0};
    struct json message;
    int code = E_OK;
    if (json_type(messages) != JSON_ARRAY || !json_count(messages))
        return err_set(err, E_USAGE, "messages: a list with at least one message is needed");
    r->at_ms = start_ms;
    r->turn_ms = turn_ms;
    while (!code && json_next(messages, &it, NULL, &message)) {
        code = read_message(r, message, err);
        r->message++;
    }
    return code ? code : end_turn(r, err);
}
