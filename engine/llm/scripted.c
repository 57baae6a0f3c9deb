// SPDX-License-Identifier: MIT
// scripted.c: the offline provider. Its words come from a script (the brain) or a recording; all
// else is as with the real ones: an event stream, the parser, the decoder, one attempt per call.
//
//   start ─▶ brain or recording ─▶ encode as an Anthropic stream ─▶ (by timer) ─▶ stream ─▶ done
//                                       └─ misbehaviour ordered by the configuration
//
// How it can misbehave is configuration, so that faults can be shown to anyone: status (with
// retry_after), drop_after_bytes, garbage, empty, stop, delay_ms; fail_times limits how often.
//
// Invariants:
//   1. on_done comes exactly once, from the loop, never inside start or cancel.
//   2. Without delay_ms a whole call is one task of the loop.
// Runs on the worker's loop.
#include "llm/embed.h"
#include "llm/llm_int.h"

#include "base/hint.h"
#include "base/mem.h"

enum { WORDS_PER_PIECE = 4, PIECE_BYTES_MAX = 64, BYTES_PER_TOKEN = 4,
       STREAM_BYTES_MAX = 32 << 20, BODY_BYTES_MAX = 32 << 20 };

struct faults {
    int status;             // 0: none
    int64_t retry_after_s;  // -1: no such header
    int64_t drop_after;     // bytes; -1: never
    int64_t garbage_after;  // bytes; -1: never
    bool empty;
    const char *stop;       // the stream's stop_reason
};
static const struct faults NO_FAULTS = {
    .retry_after_s = -1, .drop_after = -1, .garbage_after = -1, .stop = "end_turn"};

struct scripted {
    struct provider provider;
    struct llm_brain *brain;  // owned
    struct replay *replay;    // owned; NULL: none
    struct faults faults;
    int64_t delay_ms;
    int64_t fail_times;       // -1: always
    int64_t calls;
};

// One call under way.
struct play {
    struct loop_task task;
    struct loop_timer timer;
    struct scripted *owner;   // borrowed
    struct llm_call *call;    // borrowed
    struct llm_stream stream;
    struct buf bytes;         // the whole stream
    size_t fed;
    struct faults faults;
};

// ---- encoding

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static const char *skip(const char *at, const char *end, bool spaces)
{
    while (at < end && is_space(*at) == spaces)
        at++;
    return at;
}

// The next few words with the white space before them; a word without end is cut at characters.
static struct slice next_piece(const char *at, const char *end)
{
    const char *to = at;

    for (int i = 0; i < WORDS_PER_PIECE && to < end; i++)
        to = skip(skip(to, end, true), end, false);
    if (to - at > PIECE_BYTES_MAX) {
        to = at + PIECE_BYTES_MAX;
        while (to < end && ((unsigned char)*to & 0xc0) == 0x80)
            to++;
    }
    return slice_of(at, (size_t)(to - at));
}

static void encode_start(struct buf *out, int64_t n, uint64_t input_tokens)
{
    buf_add_str(out, "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{"
                     "\"id\":\"msg_scripted_");
    buf_add_i64(out, n);
    buf_add_str(out, "\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[],\"usage\":{"
                     "\"input_tokens\":");
    buf_add_u64(out, input_tokens);
    buf_add_str(out, ",\"output_tokens\":1}}}\n\n");
}

static void encode_text(struct buf *out, struct slice text)
{
    const char *at = text.ptr, *end = text.ptr + text.len;

    buf_add_str(out,
                "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,"
                "\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n");
    while (at < end) {
        struct slice piece = next_piece(at, end);
        buf_add_str(out, "event: content_block_delta\ndata: {\"type\":\"content_block_delta\","
                         "\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":");
        json_quote(out, piece);
        buf_add_str(out, "}}\n\n");
        at += piece.len;
    }
    buf_add_str(out, "event: content_block_stop\ndata: {\"type\":\"content_block_stop\","
                     "\"index\":0}\n\n");
}

static void encode_end(struct buf *out, const char *stop, uint64_t output_tokens)
{
    buf_add_str(out, "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{"
                     "\"stop_reason\":\"");
    buf_add_str(out, stop);
    buf_add_str(out, "\"},\"usage\":{\"output_tokens\":");
    buf_add_u64(out, output_tokens);
    buf_add_str(out, "}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
}

static uint64_t estimate(size_t bytes)
{
    return (bytes + BYTES_PER_TOKEN - 1) / BYTES_PER_TOKEN;
}

// Steps know their tokens once they are in a ledger; others are counted here.
static uint64_t input_tokens(const struct llm_request *r)
{
    uint64_t sum = estimate(r->system.len);

    for (uint32_t i = 0; i < r->messages_len; i++) {
        for (uint32_t k = 0; k < r->messages[i].len; k++) {
            const struct step *step = r->messages[i].steps[k];
            sum += step->tokens ? step->tokens : estimate(content_bytes(&step->content));
        }
    }
    return sum;
}

static void misbehave(struct buf *bytes, const struct faults *faults)
{
    static const char junk[] = "\n\ndata: {\"type\":\"content_bl\xff<html>502\n\n";

    if (faults->garbage_after >= 0 && (size_t)faults->garbage_after < bytes->len) {
        buf_truncate(bytes, (size_t)faults->garbage_after);
        buf_add(bytes, junk, sizeof(junk) - 1);
    }
    if (faults->drop_after >= 0 && (size_t)faults->drop_after < bytes->len)
        buf_truncate(bytes, (size_t)faults->drop_after);
}

static int encode(struct play *play, struct err *err)
{
    struct scripted *s = play->owner;
    const struct llm_request *request = play->call->request;
    struct buf made = BUF_INIT(LLM_REPLY_BYTES_MAX);
    struct slice text = SLICE_NONE;
    int rc = E_OK;

    if (!play->faults.empty && !(s->replay && replay_find(s->replay, request, &text))) {
        rc = s->brain->ops->reply(s->brain, request, &made, err);
        rc = rc ? rc : buf_check(&made, "the script's answer", err);
        text = buf_slice(&made);
    }
    if (rc == E_OK) {
        encode_start(&play->bytes, s->calls, input_tokens(request));
        if (text.len)
            encode_text(&play->bytes, text);
        encode_end(&play->bytes, play->faults.stop, estimate(text.len));
        rc = buf_check(&play->bytes, "the script's answer", err);
        misbehave(&play->bytes, &play->faults);
    }
    buf_release(&made);
    return rc;
}

// ---- playing

static const char *error_type(int status)
{
    switch (status) {
    case 401: return "authentication_error";
    case 402: return "billing_error";
    case 403: return "permission_error";
    case 404: return "not_found_error";
    case 413: return "request_too_large";
    case 429: return "rate_limit_error";
    case 529: return "overloaded_error";
    default: return status < 500 ? "invalid_request_error" : "api_error";
    }
}

static void play_status(struct play *play)
{
    struct llm_reply *reply = &play->call->reply;
    struct buf body = BUF_INIT(256);

    if (play->faults.retry_after_s >= 0)
        reply->outcome.retry_after_ms = play->faults.retry_after_s * 1000;
    buf_addf(&body,
             "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":\"%s, as ordered by "
             "providers.%s.status\"}}",
             error_type(play->faults.status), error_type(play->faults.status),
             play->owner->provider.name);
    llm_read_error(LLM_ANTHROPIC, play->faults.status, buf_slice(&body), reply);
    buf_release(&body);
}

static void play_free(struct play *play)
{
    llm_stream_release(&play->stream);
    buf_release(&play->bytes);
    mem_free(play);
}

static void finish(struct play *play)
{
    struct llm_call *call = play->call;

    if (play->faults.status && !play->stream.cancelled) {
        play_status(play);
        call->http_status = play->faults.status;
    } else {
        llm_stream_end(&play->stream);
        call->reply.usage.estimated = true;
    }
    play->owner->provider.under_way--;
    call->impl = NULL;
    play_free(play);
    call->on_done(call);
}

// The end of the events up to and with the next one that holds text.
static size_t piece_end(const struct play *play)
{
    static const char text_event[] = "event: content_block_delta";
    const char *at = play->bytes.ptr + play->fed, *end = play->bytes.ptr + play->bytes.len;

    while (at < end) {
        const char *stop = memmem(at, (size_t)(end - at), "\n\n", 2);
        bool text = slice_starts(slice_of(at, (size_t)(end - at)), SLICE_LIT(text_event));
        at = stop ? stop + 2 : end;
        if (text)
            break;
    }
    return (size_t)(at - play->bytes.ptr);
}

static void step(struct play *play)
{
    int64_t delay_ms = play->owner->delay_ms;
    bool more = !play->faults.status;

    if (more) {
        play->call->http_status = 200;
        size_t to = delay_ms ? piece_end(play) : play->bytes.len;
        struct slice piece = slice_of(play->bytes.ptr + play->fed, to - play->fed);
        play->fed = to;
        more = llm_stream_feed(&play->stream, piece) && play->fed < play->bytes.len;
    }
    if (more && !play->stream.cancelled)
        loop_timer_start(play->owner->provider.env->loop, &play->timer, delay_ms);
    else
        finish(play);
}

static void on_task(struct loop_task *task)
{
    step(CONTAINER_OF(task, struct play, task));
}

static void on_timer(struct loop_timer *timer)
{
    step(CONTAINER_OF(timer, struct play, timer));
}

static int scripted_start(struct llm *p, struct llm_call *call, struct err *err)
{
    struct scripted *s = (struct scripted *)(void *)p;
    const struct llm_env *env = s->provider.env;
    struct play *play = mem_zalloc(sizeof(*play));
    int rc = E_OK;

    if (!play)
        return err_set(err, E_NOMEM, "out of memory");
    bool behaves = s->fail_times >= 0 && s->calls >= s->fail_times;
    s->calls++;
    play->owner = s;
    play->call = call;
    play->task.fn = on_task;
    play->timer.fn = on_timer;
    play->faults = behaves ? NO_FAULTS : s->faults;
    buf_init(&play->bytes, STREAM_BYTES_MAX);
    llm_stream_init(&play->stream, call, LLM_ANTHROPIC);
    if (env->on_request) {
        struct llm_caps caps = llm_caps_of(p, call->request->model);
        struct buf body = BUF_INIT(BODY_BYTES_MAX);
        rc = llm_render(LLM_ANTHROPIC, &caps, call->request, &body, err);
        if (rc == E_OK)
            env->on_request(env->user, s->provider.name, buf_slice(&body));
        buf_release(&body);
    }
    if (rc == E_OK && !play->faults.status)
        rc = encode(play, err);
    if (rc) {
        play_free(play);
        return rc;
    }
    call->impl = play;
    s->provider.under_way++;
    if (s->delay_ms)
        loop_timer_start(env->loop, &play->timer, s->delay_ms);
    else
        loop_post(env->loop, &play->task);
    return E_OK;
}

static void scripted_cancel(struct llm *p, struct llm_call *call)
{
    struct scripted *s = (struct scripted *)(void *)p;
    struct play *play = call->impl;

    // A task that is posted, or the step that is running, sees the flag; a timer is cut short.
    play->stream.cancelled = true;
    if (loop_timer_active(&play->timer)) {
        loop_timer_stop(s->provider.env->loop, &play->timer);
        loop_post(s->provider.env->loop, &play->task);
    }
}

// ---- embeddings

// A call for embeddings under way. It misbehaves as replies do, in what has a meaning for an answer
// that comes in one piece: status, drop_after_bytes, garbage, empty (no vector at all), delay_ms.
struct embedding {
    struct loop_timer timer;
    struct scripted *owner;        // borrowed
    struct llm_embed_call *call;   // borrowed
    struct faults faults;
    bool cancelled;
};

static void answer_embedding(struct embedding *e)
{
    struct llm_embed_call *call = e->call;
    struct llm_reply *reply = &call->reply;
    uint32_t dims = call->dimensions ? call->dimensions : EMBED_TRIGRAM_DIMENSIONS;
    uint64_t tokens = 0;

    call->vectors = mem_calloc((size_t)call->inputs_len * dims, sizeof(float));
    if (!call->vectors) {
        reply->outcome.end = CALL_BAD_REPLY;
        reply_detail(reply, "out of memory for embeddings");
        return;
    }
    for (uint32_t i = 0; i < call->inputs_len; i++) {
        llm_embed_trigrams(call->inputs[i], dims, call->vectors + (size_t)i * dims);
        tokens += estimate(call->inputs[i].len);
    }
    call->dims = dims;
    reply->complete = reply->usage_known = true;
    reply->usage.input_tokens = (int64_t)tokens;
    reply->usage.estimated = true;
}

static void embedding_due(struct loop_timer *timer)
{
    struct embedding *e = CONTAINER_OF(timer, struct embedding, timer);
    struct llm_embed_call *call = e->call;

    if (e->cancelled) {
        call->reply.outcome.end = CALL_CANCELLED;
    } else if (e->faults.status) {
        call->http_status = e->faults.status;
        if (e->faults.retry_after_s >= 0)
            call->reply.outcome.retry_after_ms = e->faults.retry_after_s * 1000;
        llm_read_error(LLM_ANTHROPIC, e->faults.status, SLICE_NONE, &call->reply);
    } else if (e->faults.drop_after >= 0) {
        call->reply.outcome.end = CALL_LOST;
        reply_detail(&call->reply, "the connection broke, as ordered");
    } else if (e->faults.empty || e->faults.garbage_after >= 0) {
        call->http_status = 200;
        llm_embed_read(call, e->faults.empty ? SLICE_LIT("{\"data\":[]}") : SLICE_LIT("<html>"));
    } else {
        call->http_status = 200;
        answer_embedding(e);
    }
    e->owner->provider.under_way--;
    call->impl = NULL;
    mem_free(e);
    call->on_done(call);
}

static int scripted_embed(struct llm *p, struct llm_embed_call *call, struct err *err)
{
    struct scripted *s = (struct scripted *)(void *)p;
    const struct llm_env *env = s->provider.env;
    struct embedding *e = mem_zalloc(sizeof(*e));
    int64_t wait_ms = s->delay_ms;

    if (!e)
        return err_set(err, E_NOMEM, "out of memory");
    bool behaves = s->fail_times >= 0 && s->calls >= s->fail_times;
    s->calls++;
    e->owner = s;
    e->call = call;
    e->timer.fn = embedding_due;
    e->faults = behaves ? NO_FAULTS : s->faults;
    if (env->on_request) {
        struct buf body = BUF_INIT(BODY_BYTES_MAX);
        int rc = llm_embed_render(call, false, &body, err);
        if (rc == E_OK)
            env->on_request(env->user, s->provider.name, buf_slice(&body));
        buf_release(&body);
        if (rc) {
            mem_free(e);
            return rc;
        }
    }
    if (call->total_ms && wait_ms > call->total_ms) {
        // Nothing comes in time.
        wait_ms = call->total_ms;
        e->faults = (struct faults){.drop_after = 0, .garbage_after = -1, .retry_after_s = -1};
    }
    call->impl = e;
    s->provider.under_way++;
    loop_timer_start(env->loop, &e->timer, wait_ms);
    return E_OK;
}

static void scripted_embed_cancel(struct llm *p, struct llm_embed_call *call)
{
    struct scripted *s = (struct scripted *)(void *)p;
    struct embedding *e = call->impl;

    e->cancelled = true;
    loop_timer_stop(s->provider.env->loop, &e->timer);
    loop_timer_start(s->provider.env->loop, &e->timer, 0);
}

// ---- opening

static int read_faults(struct scripted *s, struct err *err)
{
    static const char *const stops[] = {"end_turn", "max_tokens", "stop_sequence", "tool_use",
                                        "refusal", "pause_turn", "model_context_window_exceeded"};
    const struct provider *p = &s->provider;
    const char *stop = provider_str(p, "stop");

    s->delay_ms = provider_int(p, "delay_ms", 0);
    s->fail_times = provider_int(p, "fail_times", -1);
    s->faults = (struct faults){
        .status = (int)provider_int(p, "status", 0),
        .retry_after_s = provider_int(p, "retry_after", -1),
        .drop_after = provider_int(p, "drop_after_bytes", -1),
        .garbage_after = provider_int(p, "garbage", -1),
        .empty = provider_bool(p, "empty", false),
        .stop = NO_FAULTS.stop,
    };
    for (size_t i = 0; stop && i < sizeof(stops) / sizeof(stops[0]); i++) {
        if (strcmp(stops[i], stop) == 0) {
            s->faults.stop = stops[i];
            return E_OK;
        }
    }
    if (!stop)
        return E_OK;
    const char *near = hint_nearest(slice_str(stop), stops, sizeof(stops) / sizeof(stops[0]));
    return provider_bad_option(p, "stop", err, "no stop reason is called %s (did you mean %s?)",
                               stop, near ? near : "max_tokens");
}

static void scripted_free(struct llm *p)
{
    struct scripted *s = (struct scripted *)(void *)p;

    provider_release(&s->provider);
    if (s->brain)
        s->brain->ops->free(s->brain);
    replay_free(s->replay);
    mem_free(s);
}

static int scripted_open(struct llm **out, const char *name, const struct llm_env *env,
                         struct err *err)
{
    struct scripted *s = mem_zalloc(sizeof(*s));

    *out = NULL;
    BUG_ON(!env->brain);
    if (!s)
        return err_set(err, E_NOMEM, "out of memory opening provider %s", name);
    int rc = provider_init(&s->provider, &llm_scripted, name, env, err);
    if (rc == E_OK) {
        const char *replay = provider_str(&s->provider, "replay");
        rc = read_faults(s, err);
        if (rc == E_OK && replay && (rc = replay_load(&s->replay, replay, err)))
            err_prefix(err, "providers.%s.replay: ", name);
        if (rc == E_OK)
            rc = env->brain(env->user, provider_str(&s->provider, "script"), &s->brain, err);
    }
    if (rc)
        scripted_free(&s->provider.base);
    else
        *out = &s->provider.base;
    return rc;
}

const struct llm_ops llm_scripted = {
    .name = "scripted",
    .description = "offline: a script answers; faults can be ordered",
    .dialect = LLM_ANTHROPIC,
    .open = scripted_open,
    .start = scripted_start,
    .cancel = scripted_cancel,
    .embed = scripted_embed,
    .embed_cancel = scripted_embed_cancel,
    .free = scripted_free,
};
