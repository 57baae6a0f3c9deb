// SPDX-License-Identifier: MIT
// learn_judge.c: what was found in turns becomes facts: the gate says whether the user's own words
// bear it (memory/gate.h), the book what that changes (memory/facts.h). All of it follows from the
// turns and the book, so that it may be done again with another copy of the book.
#include "turn/learn_int.h"

enum { TOOLS_MAX = 16 };

// A turn, as the gate wants it.
struct judged {
    const struct turn *turn;
    struct safe_buf text_room, reply_room, asked_room;
    struct slice tools[TOOLS_MAX];
    struct slice recalled[GATE_RECALLED_MAX];
    struct gate_source source;
};

static void judged_release(struct judged *j)
{
    safe_buf_release(&j->text_room);
    safe_buf_release(&j->reply_room);
    safe_buf_release(&j->asked_room);
}

static struct slice reply_of(const struct turn *t, struct safe_buf *room)
{
    const struct step *reply = t ? turn_reply(t) : NULL;
    return reply ? safe_slice(learn_text(reply, room)) : SLICE_NONE;
}

// What the assistant said last before turn n, as far as it is loaded.
static const struct turn *turn_before(const struct run *run, uint32_t n)
{
    const struct turn *t = NULL;
    while (n > run->live->chat->first && !t)
        t = learn_turn(run, --n);
    return t;
}

static void add_tools(struct judged *j)
{
    for (uint32_t i = 1; i < j->turn->steps_len; i++) {
        const struct content *c = &j->turn->steps[i].content;
        for (uint32_t k = 0; k < c->len && j->source.tools_len < TOOLS_MAX; k++) {
            if (c->blocks[k].type == BLOCK_TOOL_RESULT)
                j->tools[j->source.tools_len++] = safe_slice(c->blocks[k].text);
        }
    }
    j->source.tools = j->tools;
}

// As it was told in the request, or nearly so. Empty: it is not there any more.
static struct slice recalled_text(const struct book *b, const struct learn_recalled *r)
{
    struct slice id = slice_str(r->which.id);
    struct fact_at at = FACT_AT_START;
    const struct journal_entry *e;
    switch (r->which.kind) {
    case SENT_TURN:
        return safe_slice(safe_buf_text(&r->text));
    case SENT_FACT:
    case SENT_KNOWLEDGE:
        return fact_book_find(b->facts, id, &at, NULL) ? SLICE_NONE
                                                       : safe_slice(fact_value(at.fact));
    case SENT_JOURNAL:
        e = journal_find(&b->journal, r->which.id);
        return e ? safe_slice(safe_buf_text(&e->text)) : SLICE_NONE;
    }
    return SLICE_NONE;
}

static void add_recalled(struct judged *j, const struct learning *s, const struct book *b)
{
    for (size_t i = 0; i < s->recalled.len; i++) {
        const struct learn_recalled *r = VEC_AT(&s->recalled, struct learn_recalled, i);
        if (r->turn != j->turn->n)
            continue;
        struct slice text = r->unknown ? SLICE_NONE : recalled_text(b, r);
        if (text.len && j->source.recalled_len < GATE_RECALLED_MAX)
            j->recalled[j->source.recalled_len++] = text;
        else
            j->source.tainted |= r->unknown || r->which.kind != SENT_TURN;
    }
    j->source.recalled = j->recalled;
}

static int judged_init(struct judged *j, const struct learning *s, const struct turn *t,
                       struct err *err)
{
    *j = (struct judged){.turn = t};
    safe_buf_init(&j->text_room, CONTENT_BYTES_MAX);
    safe_buf_init(&j->reply_room, CONTENT_BYTES_MAX);
    safe_buf_init(&j->asked_room, CONTENT_BYTES_MAX);
    j->source.text = safe_slice(learn_text(&t->steps[0], &j->text_room));
    j->source.reply = reply_of(t, &j->reply_room);
    j->source.asked = reply_of(turn_before(s->run, t->n), &j->asked_room);
    add_tools(j);
    int code = safe_buf_check(&j->text_room, "a message", err);
    if (!code)
        code = safe_buf_check(&j->reply_room, "a message", err);
    return code ? code : safe_buf_check(&j->asked_room, "a message", err);
}

// ---- one candidate

static enum fact_author author_of(enum gate_author a)
{
    switch (a) {
    case GATE_BY_USER:
        return AUTHOR_USER;
    case GATE_BY_MATERIAL:
        return AUTHOR_MATERIAL;
    case GATE_BY_TOOL:
        return AUTHOR_TOOL;
    case GATE_BY_RECALLED:
        return AUTHOR_RECALLED;
    case GATE_BY_ASSISTANT:
    case GATE_BY_NOBODY:
        break;
    }
    return AUTHOR_ASSISTANT;
}

// Where a candidate that is not supported stands: its words in the text that has them.
static void place(struct fact_candidate *c, const struct judged *j)
{
    struct slice in = c->author == AUTHOR_ASSISTANT ? j->source.reply : j->source.text;
    struct slice words = safe_slice(c->quote.len ? c->quote : c->value);
    const char *at = words.len && in.len ? memmem(in.ptr, in.len, words.ptr, words.len) : NULL;
    c->step = c->author == AUTHOR_ASSISTANT ? j->turn->steps_len - 1 : 0;
    c->start = at ? (uint32_t)(at - in.ptr) : 0;
    c->end = at ? c->start + (uint32_t)words.len : 0;
}

static void count(struct learn_tally *t, enum fact_outcome outcome)
{
    t->news += outcome == OUTCOME_NEW || outcome == OUTCOME_PROMOTED;
    t->confirmed += outcome == OUTCOME_CONFIRMED;
    t->superseded += outcome == OUTCOME_SUPERSEDED || outcome == OUTCOME_ENDED;
    t->quarantined += outcome == OUTCOME_QUARANTINED;
    t->refused += outcome == OUTCOME_REFUSED;
}

static int consider(struct learning *s, struct book *b, const struct judged *j,
                    const struct gate *gate, const struct fact_candidate *found, struct err *err)
{
    struct fact_candidate c = *found;
    struct fact_considered what;
    struct gate_verdict v;
    bool known;
    int code = fact_book_knows(b->facts, &c, s->rules, &known, err);
    if (code)
        return code;
    struct gate_claim claim = {
        .subject = c.subject.len ? safe_slice(c.subject) : SLICE_LIT("user"),
        .predicate = safe_slice(c.predicate),
        .value = safe_slice(c.value),
        .quote = safe_slice(c.quote),
        .negates = c.negates,
        .wish = c.kind == FACT_PREFERENCE || c.kind == FACT_DECISION || c.kind == FACT_FOLLOW_UP,
        .style = c.kind == FACT_STYLE,
        .known = known,
    };
    code = gate_judge(gate, &claim, &v, err);
    if (code)
        return code;
    s->tally.found++;
    // What nobody said was made up by who extracted it.
    if (v.result == GATE_REFUSED || v.author == GATE_BY_NOBODY) {
        s->tally.refused++;
        return E_OK;
    }
    bool supported = v.result == GATE_SUPPORTED;
    c.author = author_of(v.author);
    if (supported) {
        c.author = AUTHOR_USER;
        c.step = 0;
        c.start = (uint32_t)v.start;
        c.end = (uint32_t)v.end;
    } else {
        place(&c, j);
    }
    code = fact_book_consider(b->facts, &c, supported, s->rules,
                              clock_wall_ms(s->run->w->env.clock), &what, err);
    if (!code)
        count(&s->tally, what.outcome);
    return code;
}

// ---- turns

static int judge_turn(struct learning *s, struct book *b, const struct turn *t,
                      struct gate_past *past, struct err *err)
{
    struct fact_candidates *found = &s->found[t->n - s->at - 1];
    struct gate *gate = NULL;
    struct judged j;
    int code = judged_init(&j, s, t, err);
    j.source.past = past;
    add_recalled(&j, s, b);
    if (!code && fact_candidates_len(found))
        code = gate_open(&gate, &j.source, err);
    for (size_t i = 0; gate && i < fact_candidates_len(found) && !code; i++)
        code = consider(s, b, &j, gate, fact_candidates_at(found, i), err);
    gate_close(gate);
    if (!code)
        code = gate_past_add(past, j.source.text, j.source.reply, err);
    judged_release(&j);
    return code;
}

static bool is_taken_back(void *user, uint32_t turn)
{
    const struct learning *s = user;
    return session_is_superseded(&s->head, turn);
}

int learn_judge(struct learning *s, struct book *b, struct err *err)
{
    struct gate_past past = s->past;
    int code = E_OK;
    s->tally = (struct learn_tally){0};
    if (s->head.superseded_len)
        code = fact_book_retract(b->facts, s->head.id, is_taken_back, s,
                                 clock_wall_ms(s->run->w->env.clock), &s->tally.retired, err);
    for (uint32_t n = s->at + 1; n <= s->upto && !code; n++) {
        const struct turn *t = learn_turn(s->run, n);
        if (t)
            code = judge_turn(s, b, t, &past, err);
    }
    s->past_after = past;
    return code;
}
