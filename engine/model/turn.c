// SPDX-License-Identifier: MIT
// turn.c: words, memory and the stored form of turns. A turn is owned by one thread at a time.
#include "model/turn.h"

#include "base/mem.h"
#include "model/meta_int.h"

static const char *const status_words[] = {
    [TURN_OPEN] = "open", [TURN_DONE] = "done", [TURN_CUT] = "cut",
    [TURN_INTERRUPTED] = "interrupted", [TURN_FAILED] = "failed",
};
static const char *const stop_words[] = {
    [STOP_NONE] = "", [STOP_END] = "end", [STOP_MAX_TOKENS] = "max_tokens",
    [STOP_SEQUENCE] = "stop_sequence", [STOP_REFUSAL] = "refusal", [STOP_FILTER] = "filter",
    [STOP_LOST] = "lost", [STOP_USER] = "user", [STOP_TOOL_USE] = "tool_use",
};
static const char *const role_words[] = {[ROLE_USER] = "user", [ROLE_ASSISTANT] = "assistant"};
enum {
    STATUS_WORDS = sizeof(status_words) / sizeof(status_words[0]),
    STOP_WORDS = sizeof(stop_words) / sizeof(stop_words[0]),
    ROLE_WORDS = sizeof(role_words) / sizeof(role_words[0]),
};

const char *role_word(enum role r)
{
    BUG_ON((unsigned)r >= ROLE_WORDS);
    return role_words[r];
}

const char *turn_status_word(enum turn_status s)
{
    BUG_ON((unsigned)s >= STATUS_WORDS);
    return status_words[s];
}

const char *stop_word(enum stop s)
{
    BUG_ON((unsigned)s >= STOP_WORDS);
    return stop_words[s];
}

enum turn_status stop_status(enum stop s)
{
    return s == STOP_END || s == STOP_SEQUENCE || s == STOP_REFUSAL ? TURN_DONE : TURN_CUT;
}

void step_release(struct step *s)
{
    content_release(&s->content);
    mem_free(s->wire.ptr);
    s->wire = (struct wire_form){0};
}

void turn_release(struct turn *t)
{
    for (uint32_t i = 0; i < t->steps_len; i++)
        step_release(&t->steps[i]);
    mem_free(t->steps);
    t->steps = NULL;
    t->steps_len = 0;
}

uint64_t turn_tokens(const struct turn *t)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < t->steps_len; i++)
        sum += t->steps[i].tokens;
    return sum;
}

static bool is_plain(const struct step *s, enum role role)
{
    return s->role == role && s->content.has == CONTENT_WORDS;
}

void turn_make_gist(struct turn *t)
{
    bool plain = t->steps_len == 2 && is_plain(&t->steps[0], ROLE_USER) &&
                 is_plain(&t->steps[1], ROLE_ASSISTANT);

    t->gist = (struct turn_gist){
        .steps = t->steps_len,
        .plain = plain,
        .reply_tokens = plain ? t->steps[1].tokens : 0,
        .tokens = turn_tokens(t),
    };
}

const struct step *turn_reply(const struct turn *t)
{
    for (uint32_t i = t->steps_len; i-- > 1;) {
        if (t->steps[i].role == ROLE_ASSISTANT)
            return &t->steps[i];
    }
    return NULL;
}

static void begin_meta(struct json_writer *w, struct buf *out, const struct step *s)
{
    jw_init(w, out);
    jw_object(w);
    jw_kv_str(w, "role", role_word(s->role));
    jw_kv_i64(w, "at", s->at_ms);
    jw_kv_i64(w, "tokens", s->tokens);
}

void turn_write_user_meta(const struct turn *t, struct buf *out)
{
    struct json_writer w;

    BUG_ON(t->steps_len == 0);
    begin_meta(&w, out, &t->steps[0]);
    if (t->epoch)
        jw_kv_i64(&w, "epoch", t->epoch);
    jw_object_end(&w);
}

void turn_write_reply_meta(const struct turn *t, const struct step *s, struct buf *out)
{
    struct json_writer w;

    begin_meta(&w, out, s);
    if (s == &t->steps[t->steps_len - 1] && t->status != TURN_OPEN)
        jw_kv_str(&w, "status", turn_status_word(t->status));
    if (t->stop != STOP_NONE)
        jw_kv_str(&w, "stop", stop_word(t->stop));
    jw_kv_str(&w, "policy", t->policy);
    jw_kv_str(&w, "provider", t->provider);
    jw_kv_str(&w, "model", t->model);
    usage_write_meta(&t->usage, &w);
    jw_object_end(&w);
}

// Step 0 alone has no policy. What later steps say of the turn stands until the next one says more:
// read in order, the last step's word holds.
int turn_read_meta(struct turn *t, struct step *s, struct slice meta, struct err *err)
{
    struct meta m;

    meta_open(&m, meta, "turn", err);
    s->role = (enum role)meta_word(&m, "role", role_words, ROLE_WORDS);
    s->at_ms = meta_i64(&m, "at", 0, INT64_MAX);
    s->tokens = (uint32_t)meta_i64(&m, "tokens", 0, UINT32_MAX);
    if (!meta_has(&m, "policy")) {
        if (s->role != ROLE_USER)
            meta_fail(&m, "policy");
        t->at_ms = s->at_ms;
        t->epoch = (uint32_t)meta_i64_or(&m, "epoch", 0, UINT32_MAX, 0);
        return meta_close(&m);
    }
    if (meta_has(&m, "status"))
        t->status = (enum turn_status)meta_word(&m, "status", status_words, STATUS_WORDS);
    t->stop = STOP_NONE;
    if (meta_has(&m, "stop"))
        t->stop = (enum stop)meta_word(&m, "stop", stop_words, STOP_WORDS);
    meta_chars(&m, "policy", true, t->policy, sizeof(t->policy));
    meta_chars(&m, "provider", false, t->provider, sizeof(t->provider));
    meta_chars(&m, "model", false, t->model, sizeof(t->model));
    usage_read_meta(&t->usage, m.root);
    return meta_close(&m);
}
