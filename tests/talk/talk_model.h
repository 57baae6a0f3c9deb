// SPDX-License-Identifier: MIT
// talk_model.h: the provider of the dialogues. A `model:` line becomes an answer on the simulated
// wire, as either API sends it; its orders (!drop, !status 429 …) say how it goes wrong.
//
//   answer ──▶ status, headers ──▶ events of the stream, one by one ──▶ end
//                                     └─ !slow: some time before each; !pause: held until `goes-on`
//
// Invariant: a play is forgotten when the wire says that its request is gone; it is never played
// on.
#ifndef TALK_MODEL_H
#define TALK_MODEL_H

#include "talk_file.h"

#include "base/json.h"
#include "net/wire.h"

enum { ANSWER_EVENTS_MAX = 65536, ORDER_BYTES = 128 };

enum answer_end {
    END_WHOLE,       // the terminal event came
    END_CUT,         // the stream ends in good order, without one
    END_DROP,        // the connection breaks
    END_ERROR,       // an error event
    END_GARBAGE,     // junk, then nothing
    END_SILENCE,     // nothing more until a deadline
    END_LOST,        // the connection breaks before a status
    END_UNREACHABLE, // nothing could be sent
};

struct answer {
    unsigned n;        // its line
    struct slice text; // NUL-terminated; owned
    enum answer_end end;
    int status;               // 0: 200 and a stream
    const char *content_type; // NULL: an event stream
    char stop[ORDER_BYTES];   // "end", "max_tokens", "stop_sequence", "refusal", "filter"
    char code[ORDER_BYTES];   // of an error: the provider's word for it
    char retry_after[ORDER_BYTES], should_retry[ORDER_BYTES];
    int64_t drop_after; // bytes of text; -1: all
    int64_t slow_ms;
    bool pause, empty, no_usage;
    int64_t in, out, cached, written;
};

struct play {
    struct loop_timer timer;
    struct loop *loop;
    struct wire_request *request;
    const struct answer *answer; // borrowed
    struct buf stream;
    struct vec ends; // of size_t: where each event ends in the stream
    size_t at;       // events played
    bool paused, resumed;
    struct play **list, *next; // where it is listed
};

// ---- a model: line

static bool order_number(struct slice *rest, const char *word, int64_t *out)
{
    char *end;
    size_t len = strlen(word);

    if (!slice_starts(*rest, slice_str(word)))
        return false;
    struct slice value = talk_trim(slice_of(rest->ptr + len, rest->len - len));
    *out = strtoll(value.ptr, &end, 10);
    if (end == value.ptr)
        return false;
    *rest = talk_trim(slice_of(end, (size_t)(value.ptr + value.len - end)));
    return true;
}

static bool order_word(struct slice *rest, const char *word, char out[ORDER_BYTES])
{
    size_t len = strlen(word), n = 0;

    if (!slice_starts(*rest, slice_str(word)))
        return false;
    struct slice value = talk_trim(slice_of(rest->ptr + len, rest->len - len));
    while (n < value.len && !isspace((unsigned char)value.ptr[n]))
        n++;
    if (n == 0 || n >= ORDER_BYTES)
        return false;
    memcpy(out, value.ptr, n);
    out[n] = '\0';
    *rest = talk_trim(slice_of(value.ptr + n, value.len - n));
    return true;
}

static void order_status(struct answer *a, int64_t status, struct slice *rest)
{
    bool more = true;

    a->status = (int)status;
    while (more)
        more = order_word(rest, "retry-after", a->retry_after) ||
               order_word(rest, "should-retry", a->should_retry) ||
               order_word(rest, "code", a->code);
}

static void order_usage(struct answer *a, struct slice *rest)
{
    bool more = true;

    while (more)
        more = order_number(rest, "in", &a->in) || order_number(rest, "out", &a->out) ||
               order_number(rest, "cached", &a->cached) ||
               order_number(rest, "written", &a->written);
}

// One order without its "!". False if it is none.
static bool answer_order(struct answer *a, struct slice order)
{
    static const struct {
        const char *word;
        enum answer_end end;
    } ends[] = {{"cut", END_CUT},   {"garbage", END_GARBAGE}, {"silence", END_SILENCE},
                {"lost", END_LOST}, {"drop", END_DROP},       {"unreachable", END_UNREACHABLE}};
    int64_t number = 0;

    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        if (slice_is(order, ends[i].word)) {
            a->end = ends[i].end;
            return true;
        }
    }
    if (order_number(&order, "drop after", &a->drop_after)) {
        a->end = END_DROP;
        return slice_is(order, "bytes");
    }
    if (order_word(&order, "error", a->code)) {
        a->end = END_ERROR;
    } else if (slice_is(order, "usage none")) {
        a->no_usage = true;
        return true;
    } else if (slice_starts(order, SLICE_LIT("usage "))) {
        order = talk_trim(slice_of(order.ptr + 6, order.len - 6));
        order_usage(a, &order);
    } else if (order_number(&order, "status", &number)) {
        order_status(a, number, &order);
    } else if (order_number(&order, "slow", &a->slow_ms)) {
        return slice_is(order, "ms");
    } else if (slice_is(order, "html")) {
        a->content_type = "text/html";
        return true;
    } else if (slice_is(order, "pause") || slice_is(order, "empty")) {
        a->pause |= slice_is(order, "pause");
        a->empty |= slice_is(order, "empty");
        return true;
    } else if (slice_is(order, "refuse")) {
        snprintf(a->stop, sizeof(a->stop), "refusal");
        return true;
    } else if (!order_word(&order, "stop", a->stop)) {
        return false;
    }
    return order.len == 0;
}

// Where the next order begins: a "!" at the start or after white space.
static size_t order_at(struct slice s, size_t from)
{
    for (size_t i = from; i < s.len; i++) {
        if (s.ptr[i] == '!' && (i == 0 || isspace((unsigned char)s.ptr[i - 1])))
            return i;
    }
    return s.len;
}

static bool answer_read(const struct line *line, struct answer *out, struct buf *why)
{
    struct slice all = line->text;
    struct buf text = BUF_INIT(TALK_TEXT_BYTES_MAX);
    const char *reason = "";
    size_t at = order_at(all, 0);

    *out = (struct answer){.n = line->n, .drop_after = -1, .in = 10, .out = 5, .stop = "end"};
    bool ok = talk_unescape(talk_trim(slice_of(all.ptr, at)), &text, &reason);
    buf_reserve(&text, 1);
    text.ptr[text.len] = '\0';
    out->text = slice_of(text.ptr, text.len);
    if (!ok)
        return talk_line_error(why, line->n, reason, all);
    while (at < all.len) {
        size_t end = order_at(all, at + 1);
        struct slice order = talk_trim(slice_of(all.ptr + at + 1, end - at - 1));
        if (!answer_order(out, order))
            return talk_line_error(why, line->n, "no such order to the provider", order);
        at = end;
    }
    return true;
}

// ---- events of a stream

static void event_over(struct play *p)
{
    size_t *end = vec_push(&p->ends);

    if (!end)
        BUG("a model: line makes more than %d events", ANSWER_EVENTS_MAX);
    *end = p->stream.len;
}

static void __attribute__((format(printf, 3, 4)))
anthropic_event(struct play *p, const char *type, const char *fmt, ...)
{
    char rest[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(rest, sizeof(rest), fmt, ap);
    va_end(ap);
    buf_addf(&p->stream, "event: %s\ndata: {\"type\":\"%s\"%s}\n\n", type, type, rest);
    event_over(p);
}

static void anthropic_text(struct play *p, struct slice piece)
{
    buf_add_str(&p->stream, "event: content_block_delta\ndata: {\"type\":\"content_block_delta\","
                            "\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":");
    json_quote(&p->stream, piece);
    buf_add_str(&p->stream, "}}\n\n");
    event_over(p);
}

static const char *anthropic_stop(const struct answer *a)
{
    return strcmp(a->stop, "end") == 0 ? "end_turn" : a->stop;
}

static const char *openai_stop(const struct answer *a)
{
    static const char *const words[][2] = {
        {"end", "stop"}, {"max_tokens", "length"}, {"filter", "content_filter"}};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(words[i][0], a->stop) == 0)
            return words[i][1];
    }
    return a->stop;
}

static void openai_event(struct play *p, const char *delta, struct slice text, const char *finish)
{
    buf_addf(&p->stream,
             "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"choices\":[{"
             "\"index\":0,\"delta\":{%s",
             delta);
    if (text.ptr)
        json_quote(&p->stream, text);
    buf_addf(&p->stream, "},\"finish_reason\":%s%s%s}]}\n\n", finish ? "\"" : "",
             finish ? finish : "null", finish ? "\"" : "");
    event_over(p);
}

static void begin_stream(struct play *p, bool openai)
{
    const struct answer *a = p->answer;
    char usage[256] = "";

    if (openai) {
        openai_event(p, "\"role\":\"assistant\",\"content\":\"\"", SLICE_NONE, NULL);
        return;
    }
    if (!a->no_usage)
        snprintf(usage, sizeof(usage),
                 ",\"usage\":{\"input_tokens\":%lld,\"cache_read_input_tokens\":%lld,"
                 "\"cache_creation_input_tokens\":%lld,\"output_tokens\":1}",
                 (long long)(a->in - a->cached - a->written), (long long)a->cached,
                 (long long)a->written);
    anthropic_event(p, "message_start",
                    ",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\","
                    "\"content\":[]%s}",
                    usage);
    anthropic_event(p, "ping", "%s", "");
    if (!a->empty)
        anthropic_event(p, "content_block_start",
                        ",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"%s\"}", "");
}

// The text word by word, with the space before each.
static void stream_text(struct play *p, bool openai)
{
    struct slice text = p->answer->text;
    size_t len =
        p->answer->drop_after < 0 ? text.len : utf8_cut(text, (size_t)p->answer->drop_after);

    for (size_t at = 0, to = 0; at < len; at = to) {
        while (to < len && isspace((unsigned char)text.ptr[to]))
            to++;
        while (to < len && !isspace((unsigned char)text.ptr[to]) && to - at < 4096)
            to++;
        to = at + utf8_cut(slice_of(text.ptr + at, len - at), to - at);
        struct slice piece = slice_of(text.ptr + at, to - at);
        if (openai)
            openai_event(p, "\"content\":", piece, NULL);
        else
            anthropic_text(p, piece);
    }
}

static void end_openai(struct play *p)
{
    const struct answer *a = p->answer;

    openai_event(p, "", SLICE_NONE, openai_stop(a));
    if (!a->no_usage) {
        buf_addf(
            &p->stream,
            "data: {\"id\":\"chatcmpl-1\",\"choices\":[],\"usage\":{\"prompt_tokens\":%lld,"
            "\"completion_tokens\":%lld,\"prompt_tokens_details\":{\"cached_tokens\":%lld}}}\n\n",
            (long long)a->in, (long long)a->out, (long long)a->cached);
        event_over(p);
    }
    buf_add_str(&p->stream, "data: [DONE]\n\n");
    event_over(p);
}

static void end_anthropic(struct play *p)
{
    const struct answer *a = p->answer;
    char usage[64] = "";

    if (!a->empty)
        anthropic_event(p, "content_block_stop", ",\"index\":%d", 0);
    if (!a->no_usage)
        snprintf(usage, sizeof(usage), ",\"usage\":{\"output_tokens\":%lld}", (long long)a->out);
    anthropic_event(p, "message_delta", ",\"delta\":{\"stop_reason\":\"%s\"}%s", anthropic_stop(a),
                    usage);
    anthropic_event(p, "message_stop", "%s", "");
}

static void end_stream(struct play *p, bool openai)
{
    if (p->answer->end == END_WHOLE && openai) {
        end_openai(p);
    } else if (p->answer->end == END_WHOLE) {
        end_anthropic(p);
    } else if (p->answer->end == END_ERROR) {
        buf_addf(&p->stream, "%sdata: {%s\"error\":{\"type\":\"%s\",\"message\":\"so it is\"}}\n\n",
                 openai ? "" : "event: error\n", openai ? "" : "\"type\":\"error\",",
                 p->answer->code);
        event_over(p);
    } else if (p->answer->end == END_GARBAGE) {
        buf_add_str(&p->stream, "data: {\"type\":\"content_bl\xff<html>502\n\n");
        event_over(p);
    }
}

// ---- playing

static void play_free(struct play *p)
{
    struct play **at = p->list;

    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    loop_timer_stop(p->loop, &p->timer);
    buf_release(&p->stream);
    vec_release(&p->ends);
    mem_free(p);
}

static void play_end(struct play *p)
{
    struct wire_request *r = p->request;
    enum answer_end end = p->answer->end;

    if (end == END_SILENCE)
        return; // the wire's deadline says that it is gone
    play_free(p);
    wire_sim_done(r, end == END_DROP || end == END_LOST ? WIRE_BROKEN
                     : end == END_UNREACHABLE           ? WIRE_NO_CONNECT
                                                        : WIRE_OK);
}

// The next events, until time is to pass, the dialogue is to go on, or the end.
static void play_on(struct play *p)
{
    size_t text_ends = p->ends.len;

    while (p->at < p->ends.len) {
        size_t from = p->at ? *VEC_AT(&p->ends, size_t, p->at - 1) : 0;
        size_t to = *VEC_AT(&p->ends, size_t, p->at++);
        if (!wire_sim_data(p->request, slice_of(p->stream.ptr + from, to - from)))
            return; // cancelled: `gone` comes
        if (p->answer->slow_ms && p->at < text_ends) {
            loop_timer_start(p->loop, &p->timer, p->answer->slow_ms);
            return;
        }
    }
    if (p->answer->pause && p->answer->status) {
        loop_stop(p->loop);
    } else if (p->answer->pause && !p->resumed) {
        p->paused = true;
        loop_stop(p->loop);
        return;
    }
    play_end(p);
}

static void play_due(struct loop_timer *timer)
{
    play_on((struct play *)timer);
}

// After a pause: what was left out of the stream is made now.
static void play_resume(struct play *p, bool openai)
{
    p->paused = false;
    p->resumed = true;
    end_stream(p, openai);
    play_on(p);
}

static void play_status(struct play *p)
{
    const struct answer *a = p->answer;

    wire_sim_status(p->request, a->status);
    wire_sim_header(p->request, "content-type", "application/json");
    if (a->retry_after[0])
        wire_sim_header(p->request, "retry-after", a->retry_after);
    if (a->should_retry[0])
        wire_sim_header(p->request, "x-should-retry", a->should_retry);
    buf_addf(&p->stream,
             "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"code\":\"%s\",\"message\":",
             a->code[0] ? a->code : "some_error", a->code[0] ? a->code : "some_error");
    json_quote(&p->stream, a->text);
    buf_add_str(&p->stream, "}}");
    event_over(p);
}

static struct play *play_new(struct play **list, struct loop *loop, struct wire_request *r,
                             const struct answer *answer)
{
    struct play *p = mem_zalloc(sizeof(*p));

    if (!p)
        BUG("out of memory");
    *p = (struct play){.timer.fn = play_due,
                       .loop = loop,
                       .request = r,
                       .answer = answer,
                       .stream = BUF_INIT(32 << 20),
                       .ends = VEC_INIT(size_t, ANSWER_EVENTS_MAX),
                       .list = list,
                       .next = *list};
    *list = p;
    return p;
}

// A count: line: its text is the number.
static void play_count(struct play **list, struct loop *loop, struct wire_request *r,
                       const struct answer *answer)
{
    struct play *p = play_new(list, loop, r, answer);

    if (answer->status) {
        play_status(p);
    } else if (answer->end == END_WHOLE || answer->end == END_GARBAGE) {
        wire_sim_status(r, 200);
        wire_sim_header(r, "content-type", "application/json");
        buf_addf(&p->stream, "{\"object\":\"response.input_tokens\",\"input_tokens\":%.*s%s",
                 SLICE_FMT(answer->text), answer->end == END_GARBAGE ? "\xff<html>" : "}");
        event_over(p);
    }
    play_on(p);
}

// Answers the request. The play is listed in *list while it lasts.
static void play_start(struct play **list, struct loop *loop, struct wire_request *r,
                       const struct answer *answer, bool openai)
{
    struct play *p = play_new(list, loop, r, answer);

    if (answer->status) {
        play_status(p);
    } else if (answer->end != END_LOST && answer->end != END_UNREACHABLE &&
               !(answer->end == END_SILENCE && answer->text.len == 0)) {
        wire_sim_status(r, 200);
        wire_sim_header(r, "content-type",
                        answer->content_type ? answer->content_type : "text/event-stream");
        begin_stream(p, openai);
        stream_text(p, openai);
        if (!answer->pause)
            end_stream(p, openai);
    }
    play_on(p);
}

#endif
