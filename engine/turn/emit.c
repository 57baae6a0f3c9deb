// SPDX-License-Identifier: MIT
// emit.c: events out of a run, and their JSON as INTERFACES.md shapes it. A run whose key others
// sent too tells them the same (joiners).
#include "turn/mask.h"
#include "turn/watch.h"

// What who attaches has of the reply already is not told again.
static bool skip(struct run *run, struct event *event)
{
    if (event->type != EVENT_DELTA || !run->skip_bytes)
        return false;
    size_t n = event->text.len < run->skip_bytes ? event->text.len : (size_t)run->skip_bytes;
    run->skip_bytes -= n;
    event->text = slice_of(event->text.ptr + n, event->text.len - n);
    return event->text.len == 0;
}

static void tell(struct run *run, struct event event)
{
    const struct job *job = run->job;
    if (job->over) {
        if (event.type == EVENT_RESULT || event.type == EVENT_ERROR)
            job->over(job->over_arg, event.type == EVENT_ERROR ? event.code : E_OK);
        return;
    }
    event.request = job->request;
    event.ticket = job->ticket;
    if (!skip(run, &event))
        run->w->env.sink(run->w->env.user, &event);
}

static void send_event(struct run *run, struct event event)
{
    tell(run, event);
    for (struct run *j = run->joiners; j; j = j->joiner_next)
        tell(j, event);
    if (run->w->watching)
        watch_feed(run, &event);
}

void emit_event(struct run *run, const struct event *event)
{
    tell(run, *event);
}

static void end_run(struct run *run)
{
    while (run->joiners) {
        struct run *j = run->joiners;
        run->joiners = j->joiner_next;
        worker_run_over(j);
    }
    worker_run_over(run);
}

void emit_accepted(struct run *run)
{
    send_event(run, (struct event){.type = EVENT_ACCEPTED,
                                   .session = run->live->chat->head.id,
                                   .turn = run->turn});
}

void emit_delta(struct run *run, struct slice text)
{
    if (text.len)
        send_event(run, (struct event){.type = EVENT_DELTA, .text = text});
}

void emit_join(struct run *run, const struct run *first)
{
    struct event event = {.type = EVENT_ACCEPTED};
    // A replay tells ACCEPTED only when it has the whole answer, and then to this one too.
    if (first->turn == 0 || first->replay_session[0])
        return;
    event.session = first->live->chat->head.id;
    event.turn = first->turn;
    tell(run, event);
    struct buf shown = BUF_INIT(RESULT_BYTES_MAX);
    reply_shown(first, &shown);
    if (shown.len && buf_ok(&shown)) {
        event.type = EVENT_DELTA;
        event.text = buf_slice(&shown);
        tell(run, event);
    }
    buf_release(&shown);
}

void emit_reply(struct run *run, struct safe_text text)
{
    struct buf scratch = BUF_INIT(RESULT_BYTES_MAX);
    struct slice shown = mask_shown(run, text, &scratch);
    if (buf_ok(&scratch))  // without memory it is in DONE
        emit_delta(run, shown);
    buf_release(&scratch);
}

void emit_warning(struct run *run, const char *fmt, ...)
{
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (run->warnings_len < WARNINGS_MAX)
        memcpy(run->warnings[run->warnings_len++], text, sizeof(text));
    send_event(run, (struct event){.type = EVENT_WARNING, .text = slice_str(text)});
}

void emit_window(struct json_writer *w, uint64_t tokens, uint64_t limit)
{
    double percent = limit ? 100.0 * (double)tokens / (double)limit : 0.0;
    if (percent > 100.0)
        percent = 100.0;
    jw_key(w, "window");
    jw_object(w);
    jw_kv_i64(w, "tokens", (int64_t)tokens);
    jw_kv_i64(w, "limit", (int64_t)limit);
    jw_kv_double(w, "percent", (double)(int64_t)(percent * 10.0 + 0.5) / 10.0);
    jw_object_end(w);
}

static void ordinal(struct json_writer *w, const char *key, uint32_t n)
{
    char text[16];
    snprintf(text, sizeof(text), "%u", n);
    jw_kv_str(w, key, text);
}

static void who(struct json_writer *w, const struct run *run)
{
    jw_kv_str(w, "bot", run->live->chat->head.bot);
    jw_kv_str(w, "user", run->job->user);
    jw_kv_str(w, "context", run->live->chat->head.context);
}

static void reply_text_of(const struct turn *turn, struct safe_buf *out)
{
    const struct step *reply = turn_reply(turn);
    if (reply)
        content_text(&reply->content, out);
}

// Why there is no whole reply; null if there is one.
static void write_error(struct json_writer *w, int code, const char *message)
{
    jw_key(w, "error");
    if (code >= 0) {
        jw_null(w);
        return;
    }
    jw_object(w);
    jw_kv_str(w, "code", err_word(code));
    jw_kv_str(w, "message", message);
    jw_object_end(w);
}

// Leaves out empty when there is no memory for it.
static void write_done(struct run *run, const struct turn *turn, int code, const char *message,
                       struct buf *out)
{
    const struct session_head *head = &run->live->chat->head;
    struct safe_buf reply;
    struct buf scratch = BUF_INIT(RESULT_BYTES_MAX), greeting = BUF_INIT(RESULT_BYTES_MAX);
    safe_buf_init(&reply, CONTENT_BYTES_MAX);
    reply_text_of(turn, &reply);
    struct slice shown = mask_shown(run, safe_buf_text(&reply), &scratch);
    struct slice greeted = mask_shown(run, session_greeting(head), &greeting);
    bool whole = safe_buf_check(&reply, "the reply", NULL) == E_OK && buf_ok(&scratch) &&
                 buf_ok(&greeting);
    struct json_writer w;
    jw_init(&w, out);
    jw_object(&w);
    jw_kv_str(&w, "session", head->id);
    ordinal(&w, "turn", turn->n);
    who(&w, run);
    if (run->resumed)
        emit_beginning(&w, head, greeted);
    jw_kv_str(&w, "status", turn_status_word(turn->status));
    jw_kv_str(&w, "stop", stop_word(turn->stop));
    jw_kv_slice(&w, "reply", shown);
    jw_kv_str(&w, "provider", turn->provider);
    jw_kv_str(&w, "model", turn->model);
    jw_key(&w, "usage");
    jw_object(&w);
    usage_write_public(&turn->usage, &w);
    jw_object_end(&w);
    emit_window(&w, context_next_tokens(run), run->caps.window_tokens);
    jw_key(&w, "warnings");
    jw_array(&w);
    for (unsigned i = 0; i < run->warnings_len; i++)
        jw_str(&w, run->warnings[i]);
    jw_array_end(&w);
    write_error(&w, code, message);
    jw_object_end(&w);
    safe_buf_release(&reply);
    buf_release(&scratch);
    buf_release(&greeting);
    if (!whole || !buf_ok(out))
        buf_clear(out);
}

static void tell_done(struct run *run, const struct turn *turn, int code, const char *message,
                      bool goes_on)
{
    struct buf json = BUF_INIT(RESULT_BYTES_MAX);
    message = message ? message : "";
    write_done(run, turn, code, message, &json);
    send_event(run, (struct event){.type = EVENT_DONE,
                                   .goes_on = goes_on,
                                   .session = run->live->chat->head.id,
                                   .turn = turn->n,
                                   .json = buf_slice(&json),
                                   .code = code,
                                   .message = message});
    buf_release(&json);
}

void emit_done(struct run *run, const struct turn *turn, int code, const char *message)
{
    tell_done(run, turn, code, message, false);
    end_run(run);
}

void emit_turn_over(struct run *run, const struct turn *turn, int code, const char *message)
{
    tell_done(run, turn, code, message, true);
}

void emit_untold(struct run *run)
{
    struct err err = ERR_INIT;
    err_set(&err, E_NOMEM, NO_MEMORY_TO_TELL);
    emit_error(run, E_NOMEM, &err);
}

void emit_result(struct run *run, struct buf *json)
{
    struct err err = ERR_INIT;
    if (buf_check(json, "the answer", &err)) {
        buf_release(json);
        if (err.code == E_NOMEM)
            emit_untold(run);
        else
            emit_error(run, err.code, &err);
        return;
    }
    send_event(run, (struct event){.type = EVENT_RESULT, .json = buf_slice(json)});
    buf_release(json);
    end_run(run);
}

void emit_error(struct run *run, int code, const struct err *err)
{
    const char *message = err && err->message[0] ? err->message : err_word(code);
    send_event(run, (struct event){.type = EVENT_ERROR, .code = code, .message = message});
    end_run(run);
}

// ---- the transcript

static void write_block(struct json_writer *w, const struct block *b)
{
    jw_object(w);
    jw_kv_str(w, "type", block_type_word(b->type));
    if (b->type == BLOCK_TEXT || b->type == BLOCK_THINKING || b->type == BLOCK_TOOL_RESULT)
        jw_kv_slice(w, "text", safe_slice(b->text));
    if (b->type == BLOCK_TOOL_USE || b->type == BLOCK_TOOL_RESULT)
        jw_kv_slice(w, "id", safe_slice(b->id));
    if (b->type == BLOCK_TOOL_USE) {
        jw_kv_slice(w, "name", safe_slice(b->name));
        jw_key(w, "input");
        jw_raw(w, safe_slice(b->json));
    }
    if (b->type == BLOCK_OTHER) {
        jw_key(w, "json");
        jw_raw(w, safe_slice(b->json));
    }
    jw_object_end(w);
}

static void write_step(struct json_writer *w, const struct step *s)
{
    jw_object(w);
    jw_kv_str(w, "role", role_word(s->role));
    jw_key(w, "content");
    jw_array(w);
    for (uint32_t i = 0; i < s->content.len; i++)
        write_block(w, &s->content.blocks[i]);
    jw_array_end(w);
    jw_kv_i64(w, "tokens", s->tokens);
    jw_object_end(w);
}

void emit_time(struct json_writer *w, const char *key, int64_t ms)
{
    char text[CLOCK_TEXT_BYTES];
    if (ms)
        clock_format(ms, text);
    jw_kv_str(w, key, ms ? text : NULL);
}

static void write_turn(struct json_writer *w, const struct turn *t, const struct turn_pin *pin)
{
    jw_object(w);
    ordinal(w, "turn", t->n);
    jw_kv_str(w, "status", t->damaged ? NULL : turn_status_word(t->status));
    if (t->damaged)
        jw_kv_bool(w, "damaged", true);
    jw_kv_str(w, "stop", stop_word(t->stop));
    jw_kv_str(w, "policy", t->policy);
    jw_kv_str(w, "provider", t->provider);
    jw_kv_str(w, "model", t->model);
    emit_time(w, "at", t->at_ms);
    jw_kv_bool(w, "superseded", t->superseded);
    jw_kv_str(w, "pinned", pin ? pin_by_word(pin->by) : NULL);
    if (t->epoch)
        jw_kv_i64(w, "epoch", t->epoch);
    jw_key(w, "usage");
    jw_object(w);
    usage_write_public(&t->usage, w);
    jw_object_end(w);
    jw_key(w, "steps");
    jw_array(w);
    for (uint32_t i = 0; i < t->steps_len; i++)
        write_step(w, &t->steps[i]);
    jw_array_end(w);
    jw_object_end(w);
}

void emit_head(struct json_writer *w, const struct session_head *head, const char *user,
               int64_t now_ms)
{
    jw_kv_str(w, "session", head->id);
    jw_kv_str(w, "user", user);
    jw_kv_str(w, "bot", head->bot);
    jw_kv_str(w, "context", head->context);
    jw_kv_str(w, "status",
              head->quarantined ? NULL : session_status_word(session_status_at(head, now_ms)));
}

void emit_beginning(struct json_writer *w, const struct session_head *head, struct slice greeting)
{
    if (!head || !head->origin)
        return;
    jw_kv_str(w, "origin", session_origin_word(head->origin));
    jw_kv_str(w, "before", head->before);
    jw_kv_slice(w, "greeting", greeting);
}

void emit_times(struct json_writer *w, const struct session_head *head)
{
    emit_time(w, "created_at", head->created_at_ms);
    emit_time(w, "last_active_at", head->last_active_at_ms);
    emit_time(w, "expires_at",
               expiry_hard_at(&head->expiry, head->created_at_ms, head->last_active_at_ms));
}

void emit_lease(struct json_writer *w, const struct session_head *head)
{
    jw_kv_str(w, "device", head->lease.device[0] ? head->lease.device : NULL);
    emit_time(w, "since", head->lease.since_ms);
}

void emit_moved(struct run *run, const struct session_head *head)
{
    struct buf json = BUF_INIT(RESULT_BYTES_MAX);
    struct json_writer w;
    jw_init(&w, &json);
    jw_object(&w);
    jw_kv_str(&w, "session", head->id);
    emit_lease(&w, head);
    jw_object_end(&w);
    if (buf_ok(&json))
        send_event(run, (struct event){.type = EVENT_MOVED,
                                       .session = head->id,
                                       .text = slice_str(head->lease.device),
                                       .json = buf_slice(&json)});
    buf_release(&json);
}

void emit_pins(struct json_writer *w, const struct session_head *head)
{
    jw_key(w, "pinned");
    jw_array(w);
    for (uint32_t i = 0; i < head->pins.len; i++) {
        jw_object(w);
        ordinal(w, "turn", head->pins.list[i].turn);
        jw_kv_str(w, "by", pin_by_word(head->pins.list[i].by));
        jw_object_end(w);
    }
    jw_array_end(w);
}

void emit_constraints(struct json_writer *w, const struct session_head *head)
{
    const struct constraints *c = head->constraints;
    jw_key(w, "constraints");
    jw_array(w);
    for (uint32_t i = 0; c && i < c->len; i++) {
        jw_object(w);
        jw_kv_i64(w, "number", c->list[i].n);
        jw_kv_slice(w, "text", safe_slice(constraints_text(c, i)));
        jw_object_end(w);
    }
    jw_array_end(w);
}

void emit_lines(struct json_writer *w, const char *key, struct slice lines)
{
    jw_key(w, key);
    jw_array(w);
    while (lines.len) {
        const char *nl = memchr(lines.ptr, '\n', lines.len);
        size_t n = nl ? (size_t)(nl - lines.ptr) : lines.len;
        jw_slice(w, slice_of(lines.ptr, n));
        lines = slice_of(lines.ptr + n + (nl != NULL), lines.len - n - (nl != NULL));
    }
    jw_array_end(w);
}

void emit_show(struct json_writer *w, const struct run *run)
{
    const struct chat *chat = run->live->chat;
    jw_object(w);
    emit_head(w, &chat->head, run->job->user, clock_wall_ms(run->w->env.clock));
    emit_times(w, &chat->head);
    emit_beginning(w, &chat->head, safe_slice(session_greeting(&chat->head)));
    jw_kv_i64(w, "purged", chat->head.purged);
    jw_kv_bool(w, "quarantined", chat->damage.len > 0);
    if (chat->damage.len)
        emit_lines(w, "damage", buf_slice(&chat->damage));
    jw_kv_slice(w, "system", safe_slice(safe_buf_text(&chat->system)));
    emit_constraints(w, &chat->head);
    jw_key(w, "turns");
    jw_array(w);
    for (uint32_t i = 0; i < chat->turns_len; i++)
        write_turn(w, &chat->turns[i], pins_find(&chat->head.pins, chat->turns[i].n));
    jw_array_end(w);
    jw_object_end(w);
}
