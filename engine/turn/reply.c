// SPDX-License-Identifier: MIT
// reply.c: the reply chain. What the provider sends passes, piece by piece, through
//
//   decode (llm/) ▸ redact ▸ keep ▸ client
//
// `redact` alone may change text. `keep` makes what has come durable, every KEEP_MS or KEEP_BYTES,
// so that a crash loses at most that; it only watches. One keep is under way at a time.
#include "turn/turn_int.h"

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

void reply_init(struct run *run)
{
    redact_stream_init(&run->stream, run->w->env.redactor);
    safe_buf_release(&run->reply);
    safe_buf_init(&run->reply, CONTENT_BYTES_MAX);
    run->kept = 0;
    run->keep_timer.fn = keep_due;
    loop_timer_start(run->w->env.loop, &run->keep_timer, KEEP_MS);
}

static void show_from(struct run *run, size_t before)
{
    struct safe_text all = safe_buf_text(&run->reply);
    if (all.len > before)
        emit_delta(run, safe_slice(safe_text_part(all, before, all.len - before)));
}

void reply_text(struct llm_call *call, struct slice raw)
{
    struct run *run = call->user;
    size_t before = safe_buf_text(&run->reply).len;
    redact_stream_feed(&run->stream, raw, &run->reply);
    show_from(run, before);
    if (safe_buf_text(&run->reply).len - run->kept >= KEEP_BYTES)
        keep_now(run);
}

void reply_stop_keeping(struct run *run)
{
    loop_timer_stop(run->w->env.loop, &run->keep_timer);
}

void reply_release(struct run *run)
{
    reply_stop_keeping(run);
    safe_buf_release(&run->reply);
}

// A block's raw bytes made safe; appended to all, the part told in *out.
static void safe_part(struct run *run, const struct buf *raw, struct safe_buf *all, size_t *start,
                      size_t *len)
{
    struct redact_stream stream;
    redact_stream_init(&stream, run->w->env.redactor);
    *start = safe_buf_text(all).len;
    redact_stream_feed(&stream, buf_slice(raw), all);
    redact_stream_end(&stream, all);
    *len = safe_buf_text(all).len - *start;
}

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

int reply_content(struct run *run, struct err *err)
{
    size_t shown = safe_buf_text(&run->reply).len;
    redact_stream_end(&run->stream, &run->reply);
    show_from(run, shown);

    const struct vec *raw = &run->call.reply.blocks;
    struct safe_buf all;
    safe_buf_init(&all, CONTENT_BYTES_MAX * 2);
    struct block blocks[LLM_BLOCKS_MAX];
    size_t at[LLM_BLOCKS_MAX][PARTS_PER_BLOCK][2];
    memset(blocks, 0, sizeof(blocks));
    uint32_t n = 0;
    for (size_t i = 0; i < raw->len && n < LLM_BLOCKS_MAX; i++) {
        const struct llm_block *b = vec_at(raw, i);
        if (!keepable(b))
            continue;
        blocks[n].type = b->type;
        for (int f = 0; f < PARTS_PER_BLOCK; f++)
            safe_part(run, block_field(b, f), &all, &at[n][f][0], &at[n][f][1]);
        n++;
    }
    int code = safe_buf_check(&all, "the reply", err);
    for (uint32_t i = 0; i < n && !code; i++) {
        for (int f = 0; f < PARTS_PER_BLOCK; f++)
            *safe_field(&blocks[i], f) =
                safe_text_part(safe_buf_text(&all), at[i][f][0], at[i][f][1]);
    }
    if (!code && n > 0) {
        content_release(&run->reply_content);
        code = content_make(&run->reply_content, blocks, n, err);
    }
    safe_buf_release(&all);
    return code;
}
