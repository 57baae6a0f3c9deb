// SPDX-License-Identifier: MIT
// memory_why.c: why a statement does not bear a fact out, as the gate says of it when it is asked
// again (memory/gate.h). Of what was said around it then only the turn is looked at: where the gate
// would say otherwise now, whose words they are is the reason.
#include "memory/gate.h"
#include "turn/memory_int.h"

static const char *why_of(enum fact_author author)
{
    switch (author) {
    case AUTHOR_USER:
        return "the user's words do not state it";
    case AUTHOR_MATERIAL:
        return "it is pasted or quoted, and not the user's own words";
    case AUTHOR_ASSISTANT:
        return "the assistant said it, not the user";
    case AUTHOR_TOOL:
        return "a tool said it, not the user";
    case AUTHOR_RECALLED:
        return "it was recalled, not said";
    case AUTHOR_POLICY:
        return "the policy remembered it, without words of the user's";
    }
    return "nobody said it in these words";
}

static const char *judge(const struct fact_at *at, const struct fact_evidence *e,
                         struct slice text)
{
    const struct gate_source source = {.text = text};
    const struct gate_claim claim = {
        .subject = slice_str(at->slot->subject),
        .predicate = slice_str(at->slot->predicate),
        .value = safe_slice(fact_value(at->fact)),
        .quote = e->end > e->start && e->end <= text.len
                     ? slice_of(text.ptr + e->start, e->end - e->start) : SLICE_NONE,
        .negates = e->negates,
        .wish = at->fact->kind == FACT_PREFERENCE || at->fact->kind == FACT_DECISION ||
                at->fact->kind == FACT_FOLLOW_UP,
        .style = at->fact->kind == FACT_STYLE,
    };
    struct gate_verdict v = {.result = GATE_SUPPORTED};
    struct gate *gate = NULL;
    if (gate_open(&gate, &source, NULL) == E_OK && gate_judge(gate, &claim, &v, NULL) != E_OK)
        v.result = GATE_SUPPORTED;
    gate_close(gate);
    bool same = e->author == AUTHOR_MATERIAL ? v.author == GATE_BY_MATERIAL
                                             : v.author == GATE_BY_USER;
    return v.result != GATE_SUPPORTED && same ? v.why : NULL;
}

const char *memory_why_not(const struct fact_at *at, const struct fact_evidence *e,
                           const struct turn *t)
{
    const char *why = NULL;
    if (e->author == AUTHOR_USER || e->author == AUTHOR_MATERIAL) {
        struct safe_buf text;
        safe_buf_init(&text, CONTENT_BYTES_MAX);
        content_text(&t->steps[0].content, &text);
        if (safe_buf_check(&text, "a turn's text", NULL) == E_OK)
            why = judge(at, e, safe_slice(safe_buf_text(&text)));
        safe_buf_release(&text);
    }
    return why ? why : why_of(e->author);
}
