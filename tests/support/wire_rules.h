// SPDX-License-Identifier: MIT
// wire_rules.h: whether a request's body keeps the rules of the provider that it goes to. Written
// from the providers' documentation and from what their servers answer, for tests: it shares no
// code with what makes the bodies (ledger/rules.c, llm/render.c), only the JSON reader.
//
// Anthropic Messages: roles alternate, the user first and last; no empty or blank text; every
// tool_use is answered in the next user message, all results together and before anything else;
// tool_result answers nothing else; thinking is signed by the model that is asked, byte for byte,
// and never the last of a message; at most four cache breakpoints, none on thinking.
// OpenAI Chat Completions: the system prompt first; each tool call is answered by the `tool`
// messages that follow at once, and those answer nothing else; content is text, or null beside tool
// calls; arguments are JSON in a string; the limit's parameter and the system prompt's role are
// the model's.
//
// Signatures here are "MODEL/HASH", where HASH is of the thinking: so a signature can be checked.
// Header only; one thread.
#ifndef TESTS_SUPPORT_WIRE_RULES_H
#define TESTS_SUPPORT_WIRE_RULES_H

#include "base/json.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { WIRE_BYTES_ANTHROPIC = 32 << 20, WIRE_MESSAGES_ANTHROPIC = 100000, WIRE_BREAKPOINTS = 4,
       WIRE_TOOLS_AT_ONCE = 32 };

struct wire_rules {
    // What the model that is asked takes.
    const char *model;
    bool max_completion_tokens, developer_role, stream_usage;
    uint64_t output_max;
    // The verdict.
    char why[256];          // "" when all is well
    // private
    struct json_doc doc;
    struct buf text, other;
    unsigned breakpoints;
};

static inline void wire_rules_release(struct wire_rules *r)
{
    json_doc_release(&r->doc);
    buf_release(&r->text);
    buf_release(&r->other);
}

__attribute__((format(printf, 2, 3))) static inline bool wire_broken(struct wire_rules *r,
                                                                     const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    if (!r->why[0])
        vsnprintf(r->why, sizeof(r->why), fmt, ap);
    va_end(ap);
    return false;
}

static inline struct slice wire_text(struct wire_rules *r, struct json v)
{
    r->text.max = r->other.max = WIRE_BYTES_ANTHROPIC;
    return json_text(v, &r->text);
}

// Of nothing but white space, as Python's str.strip sees it, which is what the servers use.
static inline bool wire_blank(struct slice s)
{
    static const char *const wide[] = {"\xc2\x85", "\xc2\xa0", "\xe1\x9a\x80", "\xe2\x80\xa8",
                                       "\xe2\x80\xa9", "\xe2\x80\xaf", "\xe2\x81\x9f",
                                       "\xe3\x80\x80"};
    size_t at = 0;
    while (at < s.len) {
        size_t n = strchr(" \t\n\v\f\r\x1c\x1d\x1e\x1f", s.ptr[at]) && s.ptr[at] ? 1 : 0;
        for (size_t i = 0; !n && i < sizeof(wide) / sizeof(wide[0]); i++) {
            size_t len = strlen(wide[i]);
            if (s.len - at >= len && memcmp(s.ptr + at, wide[i], len) == 0)
                n = len;
        }
        if (!n && s.len - at >= 3 && memcmp(s.ptr + at, "\xe2\x80", 2) == 0 &&
            (unsigned char)s.ptr[at + 2] >= 0x80 && (unsigned char)s.ptr[at + 2] <= 0x8a)
            n = 3;
        if (!n)
            return false;
        at += n;
    }
    return true;
}

static inline bool wire_says(struct wire_rules *r, struct json v)
{
    return json_type(v) == JSON_STRING && !wire_blank(wire_text(r, v));
}

static inline bool wire_filled(struct wire_rules *r, struct json v)
{
    return json_type(v) == JSON_STRING && wire_text(r, v).len > 0;
}

// What our own thinking is signed with.
static inline void wire_sign(const char *model, struct slice thinking, char out[128])
{
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < thinking.len; i++)
        h = (h ^ (unsigned char)thinking.ptr[i]) * 1099511628211u;
    snprintf(out, 128, "%.96s/%016llx", model, (unsigned long long)h);
}

// Ids of tool calls that wait for their results.
struct wire_tools {
    struct json ids[WIRE_TOOLS_AT_ONCE];
    uint32_t len;
};

static inline bool wire_call(struct wire_rules *r, struct wire_tools *tools, struct json id,
                             unsigned at)
{
    if (!wire_filled(r, id))
        return wire_broken(r, "message %u: a tool call has no id", at);
    for (uint32_t i = 0; i < tools->len; i++) {
        if (slice_eq(json_raw(tools->ids[i]), json_raw(id)))
            return wire_broken(r, "message %u: two tool calls have one id", at);
    }
    if (tools->len == WIRE_TOOLS_AT_ONCE)
        return wire_broken(r, "message %u: more tool calls than these rules are made for", at);
    tools->ids[tools->len++] = id;
    return true;
}

static inline bool wire_result(struct wire_rules *r, struct wire_tools *tools, struct json id,
                               unsigned at)
{
    for (uint32_t i = 0; i < tools->len; i++) {
        if (slice_eq(json_raw(tools->ids[i]), json_raw(id))) {
            tools->ids[i] = tools->ids[--tools->len];
            return true;
        }
    }
    return wire_broken(r, "message %u: a tool result answers nothing that waits", at);
}

static inline bool wire_limit(struct wire_rules *r, struct json limit)
{
    int64_t n = json_i64(limit, 0);
    if (n < 1 || (r->output_max && (uint64_t)n > r->output_max))
        return wire_broken(r, "the limit of the reply is %lld", (long long)n);
    return true;
}

// Only keys of a list, NULL at its end.
static inline bool wire_keys(struct wire_rules *r, struct json obj, const char *const *keys,
                             const char *what)
{
    struct json_iter it = {0};
    struct json key, item;
    if (json_type(obj) != JSON_OBJECT)
        return wire_broken(r, "%s is no object", what);
    while (json_next(obj, &it, &key, &item)) {
        size_t i = 0;
        while (keys[i] && !json_is_string(key, keys[i]))
            i++;
        if (!keys[i])
            return wire_broken(r, "%s: unknown key %.*s", what, SLICE_FMT(json_raw(key)));
    }
    return true;
}

// ---- Anthropic

static inline bool anthropic_cache(struct wire_rules *r, struct json obj)
{
    struct json c = json_get(obj, "cache_control");
    if (json_type(c) == JSON_NONE)
        return true;
    if (!json_is_string(json_get(c, "type"), "ephemeral"))
        return wire_broken(r, "a cache_control of no type");
    if (++r->breakpoints > WIRE_BREAKPOINTS)
        return wire_broken(r, "more than %d cache breakpoints", WIRE_BREAKPOINTS);
    return true;
}

static inline bool anthropic_signed(struct wire_rules *r, struct slice thinking, struct json by)
{
    char want[128];
    wire_sign(r->model, thinking, want);
    return json_is_string(by, want) ||
           wire_broken(r, "thinking with the signature %.*s, which is not of %s",
                       SLICE_FMT(json_raw(by)), r->model);
}

static inline bool anthropic_thinks(struct wire_rules *r, struct json b)
{
    if (json_type(json_get(b, "cache_control")) != JSON_NONE)
        return wire_broken(r, "a cache breakpoint on thinking");
    if (json_is_string(json_get(b, "type"), "redacted_thinking"))
        return anthropic_signed(r, SLICE_LIT("sealed"), json_get(b, "data"));
    struct slice t = wire_text(r, json_get(b, "thinking"));
    return anthropic_signed(r, t, json_get(b, "signature"));
}

enum wire_kind { WIRE_TEXT, WIRE_USE, WIRE_RESULT, WIRE_THINKING, WIRE_IMAGE };

static inline bool anthropic_kind(struct wire_rules *r, struct json b, bool user, unsigned at,
                                  enum wire_kind *out)
{
    static const struct {
        const char *type;
        int by;  // bit 0: the user, bit 1: the assistant
        enum wire_kind kind;
    } kinds[] = {{"text", 3, WIRE_TEXT},
                 {"tool_use", 2, WIRE_USE},
                 {"tool_result", 1, WIRE_RESULT},
                 {"thinking", 2, WIRE_THINKING},
                 {"redacted_thinking", 2, WIRE_THINKING},
                 {"image", 1, WIRE_IMAGE}};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (json_is_string(json_get(b, "type"), kinds[i].type) && kinds[i].by & (user ? 1 : 2)) {
            *out = kinds[i].kind;
            return true;
        }
    }
    return wire_broken(r, "message %u: a block that may not stand there: %.*s", at,
                       SLICE_FMT(json_raw(json_get(b, "type"))));
}

static inline bool anthropic_part(struct wire_rules *r, struct json b, enum wire_kind kind,
                                  struct wire_tools *waiting, struct wire_tools *calls,
                                  unsigned at)
{
    switch (kind) {
    case WIRE_TEXT:
        return wire_says(r, json_get(b, "text")) ||
               wire_broken(r, "message %u: blank text", at);
    case WIRE_USE:
        if (!wire_filled(r, json_get(b, "name")) ||
            json_type(json_get(b, "input")) != JSON_OBJECT)
            return wire_broken(r, "message %u: a tool_use without name or input", at);
        return wire_call(r, calls, json_get(b, "id"), at);
    case WIRE_RESULT:
        return wire_result(r, waiting, json_get(b, "tool_use_id"), at);
    case WIRE_THINKING:
        return anthropic_thinks(r, b);
    case WIRE_IMAGE:
        return json_type(json_get(b, "source")) == JSON_OBJECT ||
               wire_broken(r, "message %u: an image without a source", at);
    }
    return false;
}

// *waiting: calls of the message before; on return, of this one.
static inline bool anthropic_blocks(struct wire_rules *r, struct json content, bool user,
                                    unsigned at, struct wire_tools *waiting)
{
    struct json_iter it = {0};
    struct json b;
    struct wire_tools calls = {.len = 0};
    enum wire_kind kind = WIRE_THINKING;
    bool other = false;
    while (json_next(content, &it, NULL, &b)) {
        if (!anthropic_kind(r, b, user, at, &kind))
            return false;
        if (kind == WIRE_RESULT && other)
            return wire_broken(r, "message %u: a tool result after something else", at);
        if (!anthropic_part(r, b, kind, waiting, &calls, at) || !anthropic_cache(r, b))
            return false;
        other = other || kind != WIRE_RESULT;
    }
    if (waiting->len)
        return wire_broken(r, "message %u: a tool_use has no result", at);
    if (kind == WIRE_THINKING)
        return wire_broken(r, "message %u: empty, or it ends with thinking", at);
    *waiting = calls;
    return true;
}

static inline bool anthropic_messages(struct wire_rules *r, struct json messages)
{
    static const char *const keys[] = {"role", "content", NULL};
    struct json_iter it = {0};
    struct json m;
    struct wire_tools waiting = {.len = 0};
    unsigned at = 0;
    if (json_type(messages) != JSON_ARRAY || json_count(messages) == 0 ||
        json_count(messages) > WIRE_MESSAGES_ANTHROPIC)
        return wire_broken(r, "no messages, or too many");
    for (; json_next(messages, &it, NULL, &m); at++) {
        bool user = at % 2 == 0;
        if (!wire_keys(r, m, keys, "a message"))
            return false;
        if (!json_is_string(json_get(m, "role"), user ? "user" : "assistant"))
            return wire_broken(r, "message %u: the role is not the %s's", at,
                               user ? "user" : "assistant");
        if (!anthropic_blocks(r, json_get(m, "content"), user, at, &waiting))
            return false;
    }
    if (at % 2 == 0)
        return wire_broken(r, "the last message is the assistant's");
    return true;
}

static inline bool wire_rules_anthropic(struct wire_rules *r, struct slice body)
{
    static const char *const keys[] = {"model", "max_tokens", "stream", "cache_control", "system",
                                       "messages", NULL};
    r->why[0] = '\0';
    r->breakpoints = 0;
    if (body.len > WIRE_BYTES_ANTHROPIC || json_parse(&r->doc, body, 0, NULL))
        return wire_broken(r, "not JSON, or too long");
    struct json root = json_root(&r->doc), system = json_get(root, "system"), part;
    struct json_iter it = {0};
    if (!wire_keys(r, root, keys, "the request") || !anthropic_cache(r, root) ||
        !wire_limit(r, json_get(root, "max_tokens")))
        return false;
    if (!json_is_string(json_get(root, "model"), r->model))
        return wire_broken(r, "another model is asked");
    if (json_type(system) == JSON_STRING && !wire_says(r, system))
        return wire_broken(r, "a blank system prompt");
    while (json_type(system) == JSON_ARRAY && json_next(system, &it, NULL, &part)) {
        if (!wire_says(r, json_get(part, "text")) || !anthropic_cache(r, part))
            return wire_broken(r, "a blank system prompt");
    }
    return anthropic_messages(r, json_get(root, "messages"));
}

// ---- OpenAI

static inline bool openai_calls(struct wire_rules *r, struct json calls, unsigned at,
                                struct wire_tools *waiting)
{
    struct json_iter it = {0};
    struct json call;
    if (json_type(calls) != JSON_ARRAY || json_count(calls) == 0)
        return wire_broken(r, "message %u: tool_calls is no list, or empty", at);
    while (json_next(calls, &it, NULL, &call)) {
        struct json function = json_get(call, "function");
        struct json_doc doc = JSON_DOC_INIT;
        if (!json_is_string(json_get(call, "type"), "function") ||
            !wire_filled(r, json_get(function, "name")))
            return wire_broken(r, "message %u: a tool call without type or name", at);
        struct slice arguments = wire_text(r, json_get(function, "arguments"));
        bool whole = json_parse(&doc, arguments, 0, NULL) == E_OK;
        json_doc_release(&doc);
        if (!whole)
            return wire_broken(r, "message %u: arguments that are not JSON", at);
        if (!wire_call(r, waiting, json_get(call, "id"), at))
            return false;
    }
    return true;
}

static inline bool openai_assistant_says(struct wire_rules *r, struct json m, unsigned at,
                                         struct wire_tools *waiting)
{
    static const char *const keys[] = {"role", "content", "tool_calls", NULL};
    struct json content = json_get(m, "content"), calls = json_get(m, "tool_calls");
    if (!wire_keys(r, m, keys, "an assistant's message"))
        return false;
    if (json_type(calls) != JSON_NONE && !openai_calls(r, calls, at, waiting))
        return false;
    if (json_type(content) == JSON_NULL ? json_type(calls) == JSON_NONE
                                        : !wire_filled(r, content))
        return wire_broken(r, "message %u: the assistant says nothing", at);
    return true;
}

// What may follow what: *last is the role of the message before.
static inline bool openai_message(struct wire_rules *r, struct json m, unsigned at, char *last,
                                  struct wire_tools *waiting)
{
    struct json role = json_get(m, "role"), content = json_get(m, "content");
    if (json_is_string(role, "tool")) {
        if (*last != 'a' && *last != 't')
            return wire_broken(r, "message %u: a tool's message after no call", at);
        *last = 't';
        return json_type(content) == JSON_STRING
                   ? wire_result(r, waiting, json_get(m, "tool_call_id"), at)
                   : wire_broken(r, "message %u: a tool's message without content", at);
    }
    if (waiting->len)
        return wire_broken(r, "message %u: a tool call is not answered by what follows", at);
    if (json_is_string(role, r->developer_role ? "developer" : "system")) {
        *last = 's';
        return at == 0 && wire_filled(r, content)
                   ? true : wire_broken(r, "message %u: a system prompt, empty or late", at);
    }
    if (json_is_string(role, "user")) {
        bool alternates = *last != 'u';
        *last = 'u';
        return alternates && wire_says(r, content)
                   ? true : wire_broken(r, "message %u: the user's is blank, or the second", at);
    }
    if (!json_is_string(role, "assistant") || (*last != 'u' && *last != 't'))
        return wire_broken(r, "message %u: a role that may not stand there", at);
    *last = 'a';
    return openai_assistant_says(r, m, at, waiting);
}

static inline bool wire_rules_openai(struct wire_rules *r, struct slice body)
{
    static const char *const keys[] = {"model", "stream", "stream_options", "messages",
                                       "max_tokens", "max_completion_tokens", NULL};
    struct json_iter it = {0};
    struct json m;
    struct wire_tools waiting = {.len = 0};
    unsigned at = 0;
    char last = 0;
    r->why[0] = '\0';
    if (json_parse(&r->doc, body, 0, NULL))
        return wire_broken(r, "not JSON");
    struct json root = json_root(&r->doc);
    const char *limit = r->max_completion_tokens ? "max_completion_tokens" : "max_tokens";
    const char *none = r->max_completion_tokens ? "max_tokens" : "max_completion_tokens";
    if (!wire_keys(r, root, keys, "the request"))
        return false;
    if (json_type(json_get(root, none)) != JSON_NONE ||
        (json_type(json_get(root, "stream_options")) != JSON_NONE && !r->stream_usage))
        return wire_broken(r, "a parameter that this model does not take");
    if (json_type(json_get(root, limit)) != JSON_NONE && !wire_limit(r, json_get(root, limit)))
        return false;
    if (!json_is_string(json_get(root, "model"), r->model))
        return wire_broken(r, "another model is asked");
    while (json_next(json_get(root, "messages"), &it, NULL, &m)) {
        if (!openai_message(r, m, at++, &last, &waiting))
            return false;
    }
    if (last != 'u' || waiting.len)
        return wire_broken(r, "the last message is not the user's");
    return true;
}

#endif
