// SPDX-License-Identifier: MIT
// backtest_recall.c: what a policy's plan recalls in a recorded conversation. The index is a lane's
// own, made at its first need, and holds the turns before the one under way; a session is named by
// how many turns are before it.
#include "turn/backtest_int.h"

static void name_session(char out[ID_TEXT_BYTES], uint32_t base)
{
    snprintf(out, ID_TEXT_BYTES, "%010u", base);
}

void lane_recall_begin(struct lane *lane)
{
    recalled_free(&lane->run);
    recall_free(lane->index);
    lane->index = NULL;
    lane->indexed = 0;
}

void lane_recall_session(struct lane *lane)
{
    name_session(lane->chat.head.id, lane->base);
}

static int add_turn(struct lane *lane, const struct turn *t, uint32_t base, struct err *err)
{
    char session[ID_TEXT_BYTES];
    struct safe_buf text;
    int code = E_OK;
    name_session(session, base);
    safe_buf_init(&text, CONTENT_BYTES_MAX);
    for (uint32_t i = 0; i < t->steps_len && !code; i++) {
        const struct step *s = &t->steps[i];
        safe_buf_clear(&text);
        content_text(&s->content, &text);
        struct recall_item item = {.session = slice_str(session),
                                   .context = slice_str(lane->job.context),
                                   .turn = t->n,
                                   .step = (uint8_t)i,
                                   .speaker = slice_str(role_word(s->role)),
                                   .at_ms = s->at_ms,
                                   .tokens = s->tokens,
                                   .text = safe_slice(safe_buf_text(&text))};
        code = safe_buf_check(&text, "a message", err);
        if (!code && item.text.len)
            code = recall_add(lane->index, &item, err);
    }
    safe_buf_release(&text);
    return code;
}

// All that is behind is in the index; from time to time it becomes a segment.
static int catch_up(struct lane *lane, struct err *err)
{
    struct recall_change change;
    struct recall_scope scope = {slice_str(lane->run.partition), slice_str(lane->job.bot),
                                 SLICE_NONE, SLICE_NONE};
    struct recall_space none = {0};
    uint32_t end = lane->base + lane->run.turn - 1;
    int code = lane->index ? E_OK : recall_new(&lane->index, &scope, &none, err);
    for (; lane->indexed < end && !code; lane->indexed++) {
        const struct turn *t = &lane->turns[lane->indexed];
        code = add_turn(lane, t, lane->indexed + 1 - t->n, err);
        int any = code ? 0 : recall_seal(lane->index, RECALL_TAIL_DOCS, &change, err);
        while (any > 0)
            any = recall_merge(lane->index, &change, err);
        code = any < 0 ? any : code;
    }
    return code;
}

static const struct turn *turn_of(void *user, const struct sent_recalled *which)
{
    const struct lane *lane = user;
    return &lane->turns[strtoul(which->id, NULL, 10) + which->turn - 1];
}

int lane_recall(struct lane *lane, struct slice text, struct err *err)
{
    recalled_free(&lane->run);
    if (!lane->run.plan.recall)
        return E_OK;
    int code = catch_up(lane, err);
    return code ? code : recalled_among(&lane->run, lane->index, text, turn_of, lane, err);
}

bool lane_recalled(const struct lane *lane, uint32_t index)
{
    const struct recalled *r = lane->run.context.recalled;
    for (uint32_t i = 0; r && i < r->len; i++) {
        if (strtoul(r->list[i].id, NULL, 10) + r->list[i].turn - 1 == index)
            return true;
    }
    return false;
}
