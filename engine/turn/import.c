// SPDX-License-Identifier: MIT
// import.c: one recorded conversation becomes a session.
//
// Messages come as in the OpenAI or Anthropic APIs. A user message with words begins a turn;
// assistant messages, tool calls and tool results belong to the turn that they answer. System
// messages are left out: a session's system prompt is its policy's. Everything passes the redactor
// like live text.
#include "turn/turn_int.h"

enum { IMPORT_TURNS_MAX = 100000 };

struct import {
    struct json_doc doc;
    struct vec turns;     // of struct turn
    struct vec steps;     // of struct step: of the turn being built
    struct safe_buf text; // of the message being read
    struct vec parts;     // of struct part: its blocks
    struct buf scratch;
    int64_t at_ms;
    unsigned message; // index, for errors
};

// A block whose texts are still offsets, as the buffer may move.
struct part {
    enum block_type type;
    size_t text[2], id[2], name[2], json[2]; // start, length in import->text
    bool is_error;
};

static void import_free(void *extra)
{
    struct import *im = extra;
    for (size_t i = 0; i < im->turns.len; i++)
        turn_release(vec_at(&im->turns, i));
    for (size_t i = 0; i < im->steps.len; i++)
        step_release(vec_at(&im->steps, i));
    vec_release(&im->turns);
    vec_release(&im->steps);
    vec_release(&im->parts);
    safe_buf_release(&im->text);
    buf_release(&im->scratch);
    json_doc_release(&im->doc);
    mem_free(im);
}

static int bad(const struct import *im, struct err *err, const char *what)
{
    return err_set(err, E_USAGE, "messages[%u]: %s", im->message, what);
}

// Why nothing more went into one of its lists.
static int no_room(const struct import *im, const struct vec *list, struct err *err,
                   const char *what)
{
    if (list->len == list->max)
        return bad(im, err, what);
    return err_set(err, E_NOMEM, "messages[%u]: out of memory", im->message);
}

// ---- blocks

static int put_text(struct run *run, struct slice raw, size_t at[2], struct err *err)
{
    struct import *im = run->extra;
    at[0] = safe_buf_text(&im->text).len;
    int code = redact_text(run->w->env.redactor, raw, &im->text, err);
    at[1] = safe_buf_text(&im->text).len - at[0];
    return code;
}

static int put_string(struct run *run, struct json v, size_t at[2], struct err *err)
{
    struct import *im = run->extra;
    struct slice raw = json_text(v, &im->scratch);
    if (!buf_ok(&im->scratch))
        return buf_check(&im->scratch, "a string", err);
    if (!raw.ptr && json_type(v) != JSON_STRING)
        return bad(im, err, "a string is missing");
    return put_text(run, raw, at, err);
}

// The arguments of a call, which are JSON in a string: what is none could be sent to nobody.
static int put_arguments(struct run *run, struct json v, size_t at[2], struct err *err)
{
    enum { DEPTH_MAX = JSON_DEPTH_MAX - 16 }; // they are stored and shown inside other values
    struct import *im = run->extra;
    struct json_doc doc = JSON_DOC_INIT;
    int code = put_string(run, v, at, err);
    if (code || at[1] == 0 || safe_buf_check(&im->text, "a message", NULL))
        return code; // a lack of room is told when the message is whole
    struct safe_text text = safe_text_part(safe_buf_text(&im->text), at[0], at[1]);
    code = json_parse(&doc, safe_slice(text), DEPTH_MAX, err);
    json_doc_release(&doc);
    return code == E_USAGE ? bad(im, err, "the arguments of a tool call are not JSON") : code;
}

static struct part *new_part(struct import *im, enum block_type type)
{
    struct part *p = vec_push(&im->parts);
    if (p)
        p->type = type;
    return p;
}

// The text of a tool result: a string, or the text blocks of a list.
static int put_result(struct run *run, struct json content, struct part *p, struct err *err)
{
    struct import *im = run->extra;
    struct json_iter it = {0};
    struct json item;
    if (json_type(content) == JSON_STRING)
        return put_string(run, content, p->text, err);
    p->text[0] = safe_buf_text(&im->text).len;
    while (json_next(content, &it, NULL, &item)) {
        size_t at[2];
        if (json_is_string(json_get(item, "type"), "text") &&
            put_string(run, json_get(item, "text"), at, err))
            return err->code;
    }
    p->text[1] = safe_buf_text(&im->text).len - p->text[0];
    return E_OK;
}

static int read_block(struct run *run, struct json b, struct err *err)
{
    struct import *im = run->extra;
    struct json type = json_get(b, "type");
    enum block_type kind = json_is_string(type, "text")          ? BLOCK_TEXT
                           : json_is_string(type, "tool_use")    ? BLOCK_TOOL_USE
                           : json_is_string(type, "tool_result") ? BLOCK_TOOL_RESULT
                                                                 : BLOCK_OTHER;
    struct part *p = new_part(im, kind);
    int code = E_OK;
    if (!p)
        return no_room(im, &im->parts, err, "too many blocks");
    switch (kind) {
    case BLOCK_TEXT:
        return put_string(run, json_get(b, "text"), p->text, err);
    case BLOCK_TOOL_USE:
        code = put_string(run, json_get(b, "id"), p->id, err);
        if (!code)
            code = put_string(run, json_get(b, "name"), p->name, err);
        return code ? code : put_text(run, json_raw(json_get(b, "input")), p->json, err);
    case BLOCK_TOOL_RESULT:
        p->is_error = json_bool(json_get(b, "is_error"), false);
        code = put_string(run, json_get(b, "tool_use_id"), p->id, err);
        return code ? code : put_result(run, json_get(b, "content"), p, err);
    default:
        return put_text(run, json_raw(b), p->json, err);
    }
}

static int read_tool_calls(struct run *run, struct json calls, struct err *err)
{
    struct import *im = run->extra;
    struct json_iter it = {0};
    struct json call;
    while (json_next(calls, &it, NULL, &call)) {
        struct json function = json_get(call, "function");
        struct part *p = new_part(im, BLOCK_TOOL_USE);
        if (!p)
            return no_room(im, &im->parts, err, "too many blocks");
        int code = put_string(run, json_get(call, "id"), p->id, err);
        if (!code)
            code = put_string(run, json_get(function, "name"), p->name, err);
        if (!code)
            code = put_arguments(run, json_get(function, "arguments"), p->json, err);
        if (code)
            return code;
    }
    return E_OK;
}

static int read_content(struct run *run, struct json message, bool tool, struct err *err)
{
    struct import *im = run->extra;
    struct json content = json_get(message, "content");
    struct json_iter it = {0};
    struct json item;
    if (tool) {
        struct part *p = new_part(im, BLOCK_TOOL_RESULT);
        if (!p)
            return no_room(im, &im->parts, err, "too many blocks");
        int code = put_string(run, json_get(message, "tool_call_id"), p->id, err);
        return code ? code : put_result(run, content, p, err);
    }
    if (json_type(content) == JSON_STRING) {
        struct part *p = new_part(im, BLOCK_TEXT);
        return p ? put_string(run, content, p->text, err)
                 : no_room(im, &im->parts, err, "too many blocks");
    }
    if (json_type(content) == JSON_ARRAY) {
        while (json_next(content, &it, NULL, &item)) {
            if (read_block(run, item, err))
                return err->code;
        }
    } else if (json_type(content) != JSON_NULL || !json_count(json_get(message, "tool_calls"))) {
        return bad(im, err, "content must be a string or a list of blocks");
    }
    return read_tool_calls(run, json_get(message, "tool_calls"), err);
}

static struct safe_text text_at(const struct import *im, const size_t at[2])
{
    return safe_text_part(safe_buf_text(&im->text), at[0], at[1]);
}

// The message's blocks, after those that `to` has already (consecutive messages of one role are one
// step).
static int take_content(struct import *im, struct content *to, struct err *err)
{
    struct block blocks[CONTENT_BLOCKS_MAX];
    uint32_t n = to->len;
    if (n + im->parts.len > CONTENT_BLOCKS_MAX)
        return bad(im, err, "too many blocks");
    if (n)
        memcpy(blocks, to->blocks, n * sizeof(*blocks));
    for (size_t i = 0; i < im->parts.len; i++) {
        const struct part *p = vec_at(&im->parts, i);
        blocks[n++] = (struct block){.type = p->type,
                                     .text = text_at(im, p->text),
                                     .id = text_at(im, p->id),
                                     .name = text_at(im, p->name),
                                     .json = text_at(im, p->json),
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

static int end_turn(struct import *im, struct err *err)
{
    if (!im->steps.len)
        return E_OK;
    struct turn *t = vec_push(&im->turns);
    if (!t)
        return no_room(im, &im->turns, err, "too many turns: split the conversation");
    struct step *steps = im->steps.ptr;
    t->n = (uint32_t)im->turns.len;
    t->steps_len = (uint32_t)im->steps.len;
    bool replied = steps[t->steps_len - 1].role == ROLE_ASSISTANT;
    t->status = replied ? TURN_DONE : TURN_FAILED;
    t->stop = replied ? STOP_END : STOP_NONE;
    t->at_ms = steps[0].at_ms;
    t->usage.cost_nusd = 0;
    snprintf(t->policy, sizeof(t->policy), "import");
    for (uint32_t i = 0; i < t->steps_len; i++)
        steps[i].tokens = tokens_of_content(&steps[i].content);
    t->steps = im->steps.ptr; // moved
    vec_init(&im->steps, sizeof(struct step), TURN_STEPS_MAX);
    return E_OK;
}

static bool says_words(const struct import *im)
{
    for (size_t i = 0; i < im->parts.len; i++) {
        if (VEC_AT(&im->parts, struct part, i)->type != BLOCK_TOOL_RESULT)
            return true;
    }
    return false;
}

static int add_message(struct import *im, enum role role, struct err *err)
{
    struct step *last = im->steps.len ? vec_at(&im->steps, im->steps.len - 1) : NULL;
    if (!last && role == ROLE_ASSISTANT)
        return bad(im, err, "a conversation begins with the user, not the assistant");
    if (role == ROLE_USER && says_words(im)) {
        if (end_turn(im, err))
            return err->code;
        last = NULL;
    } else if (!last) {
        return bad(im, err, "a tool result answers nothing");
    }
    if (!last || last->role != role) {
        last = vec_push(&im->steps);
        if (!last)
            return no_room(im, &im->steps, err, "too many steps in one turn");
        last->role = role;
        last->at_ms = im->at_ms;
    }
    return take_content(im, &last->content, err);
}

// From 1970, as all stored times are, to the last day that has a text.
static int read_time(struct run *run, struct json at, struct err *err)
{
    const int64_t last_ms = INT64_C(253402300799999);
    struct import *im = run->extra;
    int64_t ms = im->at_ms;
    if (json_type(at) == JSON_STRING) {
        struct slice text = json_text(at, &im->scratch);
        if (!buf_ok(&im->scratch))
            return buf_check(&im->scratch, "a time", err);
        if (clock_parse(text, &ms, err))
            return err_prefix(err, "messages[%u]: at: ", im->message);
    } else if (json_type(at) == JSON_NUMBER) {
        double seconds = json_double(at, -1);
        ms = seconds >= 0 && seconds <= (double)(last_ms / 1000) ? (int64_t)(seconds * 1000.0) : -1;
    }
    if (ms < 0 || ms > last_ms)
        return bad(im, err, "at: from 1970 to 9999");
    im->at_ms = ms;
    return E_OK;
}

static int read_message(struct run *run, struct json message, struct err *err)
{
    struct import *im = run->extra;
    struct json role = json_get(message, "role");
    bool tool = json_is_string(role, "tool");
    bool user = json_is_string(role, "user");
    if (json_is_string(role, "system") || json_is_string(role, "developer"))
        return E_OK;
    if (!tool && !user && !json_is_string(role, "assistant"))
        return bad(im, err, "role must be user, assistant, tool or system");
    safe_buf_clear(&im->text);
    vec_clear(&im->parts);
    int code = read_time(run, json_get(message, "at"), err);
    if (!code)
        code = read_content(run, message, tool, err);
    if (!code)
        code = safe_buf_check(&im->text, "a message", err);
    if (!code)
        code = add_message(im, user || tool ? ROLE_USER : ROLE_ASSISTANT, err);
    return code;
}

static int read_conversation(struct run *run, struct err *err)
{
    struct import *im = run->extra;
    int code = json_parse(&im->doc, buf_slice(&run->job->text), 0, err);
    if (code)
        return code;
    struct json messages = json_get(json_root(&im->doc), "messages");
    struct json_iter it = {0};
    struct json message;
    if (json_type(messages) != JSON_ARRAY || !json_count(messages))
        return err_set(err, E_USAGE, "messages: a list with at least one message is needed");
    im->at_ms = clock_wall_ms(run->w->env.clock);
    while (!code && json_next(messages, &it, NULL, &message)) {
        code = read_message(run, message, err);
        im->message++;
    }
    return code ? code : end_turn(im, err);
}

// ---- storing

static void imported(struct ledger_op *op)
{
    struct run *run = turn_op_over(op);
    const struct import *im = run->extra;
    struct buf json = BUF_INIT(RESULT_BYTES_MAX);
    struct json_writer w;
    if (op->code) {
        emit_error(run, op->code, &op->err);
        return;
    }
    jw_init(&w, &json);
    jw_object(&w);
    jw_kv_str(&w, "session", run->live->chat->head.id);
    jw_kv_i64(&w, "turns", (int64_t)im->turns.len);
    jw_object_end(&w);
    emit_result(run, &json);
}

static void have_session(struct run *run)
{
    const struct import *im = run->extra;
    turn_op_start(run, imported);
    ledger_import(run->live->chat, im->turns.ptr, (uint32_t)im->turns.len, run->context_hash,
                  slice_str(run->job->user), &run->op);
}

static void located(struct run *run)
{
    if (run->import_id[0])
        memcpy(run->target->chat->head.id, run->import_id, ID_TEXT_BYTES);
    live_take(run, have_session);
}

// Sessions have UUIDs. Another kind of id gives the same UUID each time, so that a conversation
// that was imported before is refused, not doubled.
static void session_id(struct run *run)
{
    struct slice id = slice_str(run->job->import_id);
    if (id_valid(id)) {
        memcpy(run->import_id, id.ptr, ID_TEXT_BYTES);
        return;
    }
    char hex[VAULT_DIGEST_BYTES];
    vault_digest(run->w->env.vault, "import", &id, 1, hex);
    snprintf(run->import_id, sizeof(run->import_id), "%.8s-%.4s-4%.3s-a%.3s-%.12s", hex, hex + 8,
             hex + 13, hex + 17, hex + 20);
}

static void have_user(struct run *run)
{
    if (run->job->import_id[0])
        session_id(run);
    resolve_session(run, true, located);
}

void import_start(struct run *run)
{
    struct err err = ERR_INIT;
    struct import *im = mem_zalloc(sizeof(*im));
    if (!im) {
        err_set(&err, E_NOMEM, "out of memory for an import");
        emit_error(run, E_NOMEM, &err);
        return;
    }
    vec_init(&im->turns, sizeof(struct turn), IMPORT_TURNS_MAX);
    vec_init(&im->steps, sizeof(struct step), TURN_STEPS_MAX);
    vec_init(&im->parts, sizeof(struct part), CONTENT_BLOCKS_MAX);
    safe_buf_init(&im->text, CONTENT_BYTES_MAX);
    buf_init(&im->scratch, JOB_TEXT_BYTES_MAX);
    run->extra = im;
    run->extra_free = import_free;
    int code = read_conversation(run, &err);
    if (code)
        emit_error(run, code, &err);
    else
        resolve_user(run, true, have_user);
}
