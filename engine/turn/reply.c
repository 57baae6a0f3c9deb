// SPDX-License-Identifier: MIT
// reply.c: the reply chain. What the provider sends passes, piece by piece, through
//
//   decode (llm/) ▸ redact ▸ keep ▸ reveal ▸ client
//
// `redact` alone may change what is kept, and `reveal` what the client reads. Where a new mask
// comes up, the stream waits until it is durable; what comes meanwhile is held. `keep` makes what
// has come durable, every KEEP_MS or KEEP_BYTES, so that a crash loses at most that; it only
// watches. One keep is under way at a time.
#include "turn/mask.h"

static void keep_now(struct run *run)
{
    struct safe_text all = safe_buf_text(&run->reply);
    if (run->op_busy || run->state != RUN_CALLING || all.len == run->kept)
        return;
    struct safe_text more = safe_text_part(all, run->kept, all.len - run->kept);
    run->kept = all.len;
    run->op_busy = true;
    run->op.done = reply_kept;
    run->op.user = run;
    ledger_keep(run->live->chat, more, &run->op);
}

static void keep_due(struct loop_timer *timer)
{
    struct run *run = CONTAINER_OF(timer, struct run, keep_timer);
    keep_now(run);
    loop_timer_start(run->w->env.loop, timer, KEEP_MS);
}

// ---- redact and show, as it comes

static void stream_masked(struct run *run, int code, const struct err *err);
static void stream_answered(struct run *run, int code, const struct err *err);
static void end_stream(struct run *run);

// What is new of the reply, as the client is due it.
static void show_from(struct run *run, size_t before, bool at_end)
{
    struct safe_text all = safe_buf_text(&run->reply);
    struct slice more = safe_slice(safe_text_part(all, before, all.len - before)), shown = more;
    if (mask_reveals(run)) {
        // Without memory the rest is in DONE.
        if (reveal_feed(&run->reveal, more, &shown, NULL) == E_OK)
            emit_delta(run, shown);
        if (!at_end || reveal_end(&run->reveal, &shown, NULL))
            return;
    }
    emit_delta(run, shown);
}

void reply_shown(const struct run *run, struct buf *out)
{
    struct reveal_stream s;
    struct slice all = safe_slice(safe_buf_text(&run->reply)), shown = all;
    reveal_init(&s, user_masks_book(run->masks), run->job->bot, MASK_PLAIN);
    if (!mask_reveals(run) || reveal_feed(&s, all, &shown, NULL) == E_OK)
        buf_add_slice(out, shown);
    reveal_release(&s);
}

void reply_init(struct run *run)
{
    struct redact_how how = mask_how(run, REDACT_MODEL);
    reply_release(run);
    how.known_only = run->masks_failed;
    how.asks = !run->masks_looked;
    run->masks_known = how.book ? mask_book_len(how.book) : 0;
    redact_stream_init(&run->stream, &how);
    reveal_init(&run->reveal, how.book, how.bot, MASK_PLAIN);
    run->replying = true;
    safe_buf_init(&run->reply, CONTENT_BYTES_MAX);
    run->kept = 0;
    run->mask_tries = 0;
    run->keep_timer.fn = keep_due;
    loop_timer_start(run->w->env.loop, &run->keep_timer, KEEP_MS);
}

// What the stream is sure of goes on, unless it waits for its masks to be durable.
static bool go_on(struct run *run, struct slice raw, bool at_end)
{
    size_t before = safe_buf_text(&run->reply).len;
    bool all = at_end ? redact_stream_end(&run->stream, &run->reply)
                      : redact_stream_feed(&run->stream, raw, &run->reply);
    show_from(run, before, at_end && all);
    if (run->stream.asking)
        mask_look_again(run, stream_answered);
    else if (!all)
        mask_commit(run, stream_masked);
    return all;
}

void reply_text(struct llm_call *call, struct slice raw)
{
    struct run *run = call->user;
    if (run->mask_busy)
        redact_stream_hold(&run->stream, raw);
    else
        go_on(run, raw, false);
    if (safe_buf_text(&run->reply).len - run->kept >= KEEP_BYTES)
        keep_now(run);
}

// A reply is not lost because its masks cannot be stored: values without a number are all masked
// with 0.
static void note_failure(struct run *run, int code, const struct err *err)
{
    if (code == E_OK || code == E_CONFLICT)
        return;
    log_line(run->w->env.log, LOG_WARN, "turn: new masks of a reply: %s", err->message);
    run->masks_failed = run->stream.how.known_only = true;
}

static void stream_masked(struct run *run, int code, const struct err *err)
{
    note_failure(run, code, err);
    if (run->ending)
        end_stream(run);
    else if (go_on(run, SLICE_NONE, false))
        turn_call_idle(run);
}

static void know_all(struct run *run)
{
    run->masks_known = mask_book_len(user_masks_book(run->masks));
}

static void stream_answered(struct run *run, int code, const struct err *err)
{
    redact_stream_answered(&run->stream);
    know_all(run);
    stream_masked(run, code, err);
}

void reply_stop_keeping(struct run *run)
{
    loop_timer_stop(run->w->env.loop, &run->keep_timer);
}

void reply_release(struct run *run)
{
    reply_stop_keeping(run);
    if (run->replying) {
        redact_stream_release(&run->stream);
        reveal_release(&run->reveal);
    }
    run->replying = false;
    safe_buf_release(&run->reply);
}

// ---- the whole of it

enum { PARTS_PER_BLOCK = 5 };

static const struct buf *block_field(const struct llm_block *b, int i)
{
    const struct buf *fields[PARTS_PER_BLOCK] = {&b->text, &b->id, &b->name, &b->json,
                                                 &b->signature};
    return fields[i];
}

static struct safe_text *safe_field(struct block *b, int i)
{
    struct safe_text *fields[PARTS_PER_BLOCK] = {&b->text, &b->id, &b->name, &b->json,
                                                 &b->signature};
    return fields[i];
}

// Blocks that may be kept: text always; others only whole, as half a tool call can be used by
// nobody.
static bool keepable(const struct llm_block *b)
{
    return b->type == BLOCK_TEXT ? b->text.len > 0 : b->closed && b->type != BLOCK_TOOL_USE;
}

static bool is_words(const struct llm_block *b)
{
    return b->type == BLOCK_TEXT || (b->type == BLOCK_THINKING && b->signature.len == 0);
}

// A block's raw bytes made safe, appended to all. False: it is not words, and what is personal in
// it cannot be masked without making it useless to the model that said it: it is left out.
static bool safe_block(const struct run *run, const struct llm_block *b, struct safe_buf *all,
                       size_t at[PARTS_PER_BLOCK][2])
{
    struct redact_how how = mask_how(run, REDACT_MODEL);
    how.known_only = run->masks_failed || !is_words(b);
    how.bounded = true;
    how.known = run->masks_known;
    for (int f = 0; f < PARTS_PER_BLOCK; f++) {
        struct slice raw = buf_slice(block_field(b, f));
        at[f][0] = safe_buf_text(all).len;
        redact_raw(&how, raw, all, NULL);
        at[f][1] = safe_buf_text(all).len - at[f][0];
        struct safe_text made = safe_text_part(safe_buf_text(all), at[f][0], at[f][1]);
        if (!is_words(b) && how.redactor && !slice_eq(safe_slice(made), raw))
            return false;
    }
    return true;
}

static int make_blocks(struct run *run, struct err *err)
{
    const struct vec *raw = &run->call.reply.blocks;
    struct safe_buf all;
    safe_buf_init(&all, CONTENT_BYTES_MAX * 2);
    struct block blocks[LLM_BLOCKS_MAX];
    size_t at[LLM_BLOCKS_MAX][PARTS_PER_BLOCK][2];
    uint32_t n = 0;
    for (size_t i = 0; i < raw->len && n < LLM_BLOCKS_MAX; i++) {
        const struct llm_block *b = vec_at(raw, i);
        if (!keepable(b) || !safe_block(run, b, &all, at[n]))
            continue;
        blocks[n++] = (struct block){.type = b->type};
    }
    int code = safe_buf_check(&all, "the reply", err);
    for (uint32_t i = 0; i < n && !code; i++) {
        for (int f = 0; f < PARTS_PER_BLOCK; f++)
            *safe_field(&blocks[i], f) =
                safe_text_part(safe_buf_text(&all), at[i][f][0], at[i][f][1]);
    }
    content_release(&run->reply_content);
    if (!code && n > 0)
        code = content_make(&run->reply_content, blocks, n, err);
    safe_buf_release(&all);
    return code;
}

static int make_said(struct run *run, struct err *err)
{
    struct redact_how how = mask_how(run, REDACT_MODEL);
    how.known_only = run->masks_failed;
    safe_buf_release(&run->reply);
    safe_buf_init(&run->reply, CONTENT_BYTES_MAX);
    content_release(&run->reply_content);
    int code = redact_text(&how, safe_slice(safe_buf_text(&run->says)), &run->reply, err);
    return code ? code
                : content_make_text(&run->reply_content, safe_buf_text(&run->reply), err);
}

static bool blocks_lack(const struct run *run)
{
    const struct vec *raw = &run->call.reply.blocks;
    bool lack = false;
    for (size_t i = 0; i < raw->len; i++)
        for (int f = 0; f < PARTS_PER_BLOCK; f++)
            lack |= mask_book_lacks(user_masks_book(run->masks), run->masks_known,
                                    buf_slice(block_field(vec_at(raw, i), f)));
    return lack;
}

// Whether what is to be made speaks of masks that may only not be known here.
static bool to_look(struct run *run)
{
    if (!run->masks || run->masks_looked)
        return false;
    if (run->reply_make == make_blocks)
        return blocks_lack(run);
    return mask_book_lacks(user_masks_book(run->masks),
                           mask_book_len(user_masks_book(run->masks)),
                           safe_slice(safe_buf_text(&run->says)));
}

static void made(struct run *run, int code, const struct err *err);
static void make(struct run *run);

static void make_answered(struct run *run, int code, const struct err *err)
{
    (void)code;
    (void)err;
    know_all(run);
    make(run);
}

static void make(struct run *run)
{
    struct err err = ERR_INIT;
    if (to_look(run)) {
        mask_look_again(run, make_answered);
        return;
    }
    if (run->reply_make(run, &err))
        run->reply_then(run, err.code, &err);
    else
        mask_commit(run, made);
}

static void made(struct run *run, int code, const struct err *err)
{
    bool failed = run->masks_failed;
    note_failure(run, code, err);
    if (code == E_OK || failed)
        run->reply_then(run, E_OK, err);
    else
        make(run);
}

static void end_stream(struct run *run)
{
    struct err err = ERR_INIT;
    run->ending = true;
    if (!go_on(run, SLICE_NONE, true))
        return;
    run->ending = false;
    if (redact_stream_check(&run->stream, &err))
        run->reply_then(run, err.code, &err);
    else
        make(run);
}

void reply_finish(struct run *run, mask_committed *then)
{
    run->reply_then = then;
    run->reply_make = make_blocks;
    run->mask_tries = 0;
    end_stream(run);
}

void reply_say(struct run *run, mask_committed *then)
{
    run->reply_then = then;
    run->reply_make = make_said;
    run->mask_tries = 0;
    make(run);
}
