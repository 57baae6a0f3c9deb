// SPDX-License-Identifier: MIT
// learn_model.c: a model is asked what a session that is over says of its user, as many turns at a
// time as one call takes; its answer is read strictly (memory/extraction.h). Turns are quoted as
// data; what was recalled for one is not in it. A fact must quote the turn that it names, word for
// word, or it is left out; whether the user said it, the gate judges as of any other.
//   system:  the policy's prompt
//   user:    <conversation>
//            [turn 3] [2026-03-01]
//            > user: …
//            > assistant: …
//            </conversation>
//
//            Answer with the JSON alone.
#include "memory/extraction.h"
#include "turn/background.h"
#include "turn/learn_int.h"
#include "turn/mask.h"

enum {
    MATERIAL_BYTES_MAX = 384 << 10,
    ANSWER_TOKENS = 4096,  // and a quarter of the window at most
    TURN_TOKENS = 12,      // of what stands around a turn
};

static void ask_next(struct run *run);

// ---- the material

static int add_turn(struct learning *s, const struct turn *t, struct err *err)
{
    safe_buf_add(&s->material, SAFE_LIT("[turn "));
    quote_number(&s->material, t->n);
    safe_buf_add(&s->material, SAFE_LIT("] "));
    quote_date(&s->material, t->steps[0].at_ms);
    return quote_turn(&s->material, t, err);
}

static uint64_t answer_tokens(const struct run *run)
{
    uint64_t quarter = run->caps.window_tokens / 4;
    return quarter < ANSWER_TOKENS ? quarter : ANSWER_TOKENS;
}

// Turns from s->asked_from on, as many as fit; a turn that fits no request is passed over.
static int compose(struct run *run, struct err *err)
{
    struct learning *s = learning_of(run);
    const struct encoding *encoding = turn_encoding(run);
    struct safe_text prompt = safe_buf_text(&s->rules->extract_prompt);
    uint64_t room = background_room(run, tokens_of_system(encoding, prompt) + answer_tokens(run));
    uint64_t tokens = 0;
    int code = E_OK;
    safe_buf_clear(&s->material);
    safe_buf_add(&s->material, SAFE_LIT("<conversation>\n"));
    for (uint32_t n = s->asked_from; n <= s->upto && !code; n++) {
        const struct turn *t = learn_turn(run, n);
        uint64_t more = t ? turn_tokens(t) + TURN_TOKENS : 0;
        bool fits = more <= room;
        if (fits && (tokens + more > room ||
                     safe_buf_text(&s->material).len > MATERIAL_BYTES_MAX))
            break;
        if (t && fits)
            code = add_turn(s, t, err);
        tokens += fits ? more : 0;
        s->asked_upto = n;
    }
    safe_buf_add(&s->material, SAFE_LIT("</conversation>\n\nAnswer with the JSON alone."));
    if (!code && tokens == 0)
        return E_NOT_FOUND;  // nothing is to be asked about
    return code ? code : safe_buf_check(&s->material, "what a model is asked", err);
}

// ---- the answer

struct answer {
    struct run *run;
    struct redact_how how;
    struct safe_buf texts[4];
    uint32_t made_up;       // facts that do not quote their turn
};

// Escapes in it are undone by now, so it is made safe once more.
static int make_safe(struct answer *a, unsigned which, struct slice text, struct safe_text *out,
                     struct err *err)
{
    safe_buf_clear(&a->texts[which]);
    int code = redact_raw(&a->how, text, &a->texts[which], err);
    if (!code)
        code = safe_buf_check(&a->texts[which], "a model's answer", err);
    *out = safe_buf_text(&a->texts[which]);
    return code;
}

static bool quotes(const struct turn *t, struct safe_text quote)
{
    struct safe_buf room;
    bool found = false;
    safe_buf_init(&room, CONTENT_BYTES_MAX);
    for (uint32_t i = 0; i < t->steps_len && !found; i++) {
        struct safe_text in = learn_text(&t->steps[i], &room);
        found = quote.len && in.len && memmem(in.ptr, in.len, quote.ptr, quote.len);
    }
    safe_buf_release(&room);
    return found;
}

static int take_fact(void *user, const struct extracted *e, struct err *err)
{
    struct answer *a = user;
    struct learning *s = learning_of(a->run);
    bool asked = e->turn >= s->asked_from && e->turn <= s->asked_upto;
    const struct turn *t = asked ? learn_turn(a->run, e->turn) : NULL;
    struct fact_candidate c = {.kind = e->kind, .negates = e->negates};
    char extractor[FACT_EXTRACTOR_BYTES];
    int code = make_safe(a, 0, e->subject, &c.subject, err);
    if (!code)
        code = make_safe(a, 1, e->predicate, &c.predicate, err);
    if (!code)
        code = make_safe(a, 2, e->value, &c.value, err);
    if (!code)
        code = make_safe(a, 3, e->quote, &c.quote, err);
    if (code)
        return code;
    if (!t || !quotes(t, c.quote)) {
        a->made_up++;
        return E_OK;
    }
    snprintf(extractor, sizeof(extractor), "model:%.48s:%.48s@%s", a->run->provider, a->run->model,
             s->rules->version);
    return learn_add(s, &c, t, extractor, err);
}

static int read_answer(struct run *run, struct safe_text text, struct err *err)
{
    struct answer a = {.run = run, .how = mask_how(run, REDACT_MODEL)};
    a.how.known_only = true;
    for (unsigned i = 0; i < 4; i++)
        safe_buf_init(&a.texts[i], CONTENT_BYTES_MAX);
    int code = extraction_read(safe_slice(text), take_fact, &a, err);
    for (unsigned i = 0; i < 4; i++)
        safe_buf_release(&a.texts[i]);
    if (a.made_up)
        log_line(run->w->env.log, LOG_INFO, "learn: session=%s: %u facts of %s's do not quote "
                 "their turn", run->job->session, a.made_up, run->provider);
    return code;
}

// ---- calls

static void over(struct run *run)
{
    learning_of(run)->asked(run);
}

static void give_up(struct run *run, int code, const struct err *err)
{
    struct learning *s = learning_of(run);
    s->failed = code;
    snprintf(s->why, sizeof(s->why), "%s", err->message);
    s->by_model = false;
    s->asked_upto = s->asked_from - 1;
    over(run);
}

static void answered(struct run *run, int code, struct safe_text text, const struct err *err)
{
    struct err why = *err;
    if (!code)
        code = read_answer(run, text, &why);
    if (code == E_USAGE)
        code = E_PROVIDER;  // it answered, and not what it was asked
    if (code)
        give_up(run, code, &why);
    else
        ask_next(run);
}

static void ask_next(struct run *run)
{
    struct learning *s = learning_of(run);
    struct err err = ERR_INIT;
    if (s->asked_upto == s->upto || s->calls == LEARN_CALLS_MAX) {
        over(run);
        return;
    }
    s->asked_from = s->asked_upto + 1;
    int code = compose(run, &err);
    if (code == E_NOT_FOUND) {
        over(run);
        return;
    }
    if (code) {
        give_up(run, code, &err);
        return;
    }
    struct background_ask ask = {
        .kind = ATTEMPT_EXTRACTION,
        .system = safe_buf_text(&s->rules->extract_prompt),
        .text = safe_buf_text(&s->material),
        .output_tokens_max = answer_tokens(run),
    };
    s->calls++;
    background_call(run, &ask, answered);
}

void learn_ask_model(struct run *run, void (*then)(struct run *run))
{
    struct learning *s = learning_of(run);
    struct err err = ERR_INIT;
    s->asked = then;
    s->asked_upto = s->learnt.model_upto;
    // Behind turns that it was not asked about any more, it is asked about nothing.
    if (s->asked_upto >= s->upto || s->asked_upto < s->at || s->calls == LEARN_CALLS_MAX) {
        over(run);
        return;
    }
    s->asked_from = s->asked_upto + 1;
    if (background_model(run, s->rules->model, &err))
        give_up(run, err.code, &err);
    else
        ask_next(run);
}
