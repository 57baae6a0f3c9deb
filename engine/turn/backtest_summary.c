// SPDX-License-Identifier: MIT
// backtest_summary.c: what stands for a summary in a recorded conversation, where no model is
// called: the first sentence of what the user said in each turn, from the newest turn back, as much
// as a summary may have. It is made when a live one would be, and is there for the next turn; its
// call is counted with what it would be sent. So tokens, cost and what is cut are those of
// summaries of full size; what a model would make of the words is not told.
#include "turn/choose.h"
#include "turn/backtest_int.h"
#include "turn/summary.h"

#include "base/utf8.h"
#include "memory/drift.h"

enum { SENTENCE_BYTES_MAX = 240, PROMPT_TOKENS = 200 };

void lane_summary_begin(struct lane *lane)
{
    summarised_free(&lane->run);
    summary_release(&lane->standing);
}

int lane_summary(struct lane *lane, struct err *err)
{
    struct summary copy;
    summarised_free(&lane->run);
    if (!lane->run.plan.summary.tokens || !lane->standing.upto)
        return E_OK;
    summary_init(&copy);
    copy.upto = lane->standing.upto;
    safe_buf_add(&copy.text, safe_buf_text(&lane->standing.text));
    int code = safe_buf_check(&copy.text, "a summary", err);
    if (!code)
        code = summary_take(&lane->run, &copy, err);
    summary_release(&copy);
    return code;
}

// As many tokens as there is room for; false: that was it.
static bool add_sentence(struct lane *lane, const struct turn *t, struct safe_buf *scratch,
                         uint64_t *room)
{
    struct safe_buf *out = &lane->standing.text;
    safe_buf_clear(scratch);
    content_text(&t->steps[0].content, scratch);
    struct safe_text text = safe_buf_text(scratch);
    size_t end = drift_sentence_end(safe_slice(text), 0);
    text = safe_text_part(text, 0, utf8_cut(safe_slice(text), end < SENTENCE_BYTES_MAX
                                                                  ? end : SENTENCE_BYTES_MAX));
    uint32_t tokens = tokens_count(turn_encoding(&lane->run), safe_slice(text)) + 1;
    if (tokens > *room)
        return false;
    *room -= tokens;
    safe_buf_add(out, text);
    safe_buf_add(out, SAFE_LIT("\n"));
    return true;
}

static int write_standing(struct lane *lane, uint32_t upto, struct err *err)
{
    struct safe_buf scratch;
    uint64_t room = lane->run.plan.summary.tokens;
    safe_buf_init(&scratch, CONTENT_BYTES_MAX);
    safe_buf_clear(&lane->standing.text);
    for (uint32_t n = upto; n > 0; n--) {
        const struct turn *t = choose_candidate(&lane->chat, n);
        if (t && !add_sentence(lane, t, &scratch, &room))
            break;
    }
    lane->standing.upto = upto;
    int code = safe_buf_check(&scratch, "a message", err);
    safe_buf_release(&scratch);
    return code ? code : safe_buf_check(&lane->standing.text, "a summary", err);
}

static uint64_t tokens_between(const struct lane *lane, uint32_t after, uint32_t upto)
{
    uint64_t sum = 0;
    for (uint32_t n = after + 1; n <= upto; n++) {
        const struct turn *t = choose_candidate(&lane->chat, n);
        sum += t ? turn_tokens(t) : 0;
    }
    return sum;
}

static uint64_t standing_tokens(const struct lane *lane)
{
    return tokens_count(turn_encoding(&lane->run), safe_slice(safe_buf_text(&lane->standing.text)));
}

int lane_summarise(struct backtest *b, struct lane *lane, struct tally *sum, struct point *point,
                   struct err *err)
{
    const struct history_plan *plan = &lane->run.plan;
    uint32_t base = lane->standing.upto;
    if (lane->sliding || !plan->summary.tokens)
        return E_OK;
    uint32_t upto = summary_due(&lane->chat, plan, base, context_budget(&lane->run));
    if (!upto)
        return E_OK;
    uint64_t input = PROMPT_TOKENS + standing_tokens(lane) + tokens_between(lane, base, upto);
    int code = write_standing(lane, upto, err);
    if (!code)
        lane_count_summary(b, lane, input, standing_tokens(lane), sum, point);
    return code;
}
