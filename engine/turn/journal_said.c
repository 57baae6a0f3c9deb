// SPDX-License-Identifier: MIT
// journal_said.c: what a journal that no model writes keeps of what was said: of a session without
// a summary, the sentences of the user's own that tell most (memory/key.h). What was pasted, quoted
// or played (memory/gate.h) is none of them.
#include "memory/gate.h"
#include "memory/key.h"
#include "turn/journal_int.h"

// A journal is to hold some twenty sessions in the size that its policy gives it.
enum { SESSIONS = 20, KEPT_BYTES_MIN = 240, KEPT_BYTES_MAX = 3200, BYTES_OF_ONE = 100 };

static size_t room_of(const struct journaling *j)
{
    size_t share = j->run->policy->info.memory.journal_bytes / SESSIONS;
    return share < KEPT_BYTES_MIN   ? KEPT_BYTES_MIN
           : share > KEPT_BYTES_MAX ? KEPT_BYTES_MAX
                                    : share;
}

struct journal_said {
    struct journaling *j;
    struct key *key;
    struct gate_past past;
    struct safe_buf text, reply;
    void (*then)(struct journaling *j);
};

void journal_said_free(struct journal_said *s)
{
    if (!s)
        return;
    key_free(s->key);
    safe_buf_release(&s->text);
    safe_buf_release(&s->reply);
    mem_free(s);
}

static int take_zones(struct journal_said *s, const struct gate *gate, struct err *err)
{
    struct gate_zone zone;
    size_t at = 0;
    int code = E_OK;
    while (!code && gate_next_zone(gate, &at, &zone))
        if (zone.authored)
            code = key_add(s->key, safe_text_part(safe_buf_text(&s->text), zone.start,
                                                  zone.end - zone.start), err);
    return code;
}

static int take_turn(void *user, const struct turn *t, struct err *err)
{
    struct journal_said *s = user;
    struct gate *gate = NULL;
    if (session_is_superseded(s->j->head, t->n) || t->steps_len == 0)
        return E_OK;
    safe_buf_clear(&s->text);
    safe_buf_clear(&s->reply);
    content_text(&t->steps[0].content, &s->text);
    if (t->steps_len > 1)
        content_text(&t->steps[t->steps_len - 1].content, &s->reply);
    int code = safe_buf_check(&s->text, "a message", err);
    if (!code)
        code = safe_buf_check(&s->reply, "a message", err);
    const struct gate_source source = {
        .text = safe_slice(safe_buf_text(&s->text)),
        .reply = safe_slice(safe_buf_text(&s->reply)),
        .past = &s->past,
    };
    if (!code)
        code = gate_open(&gate, &source, err);
    if (!code)
        code = take_zones(s, gate, err);
    gate_close(gate);
    return code ? code : gate_past_add(&s->past, source.text, source.reply, err);
}

// What is not had is not told: the entry is made without.
static void turns_read(struct ledger_op *op)
{
    struct journal_said *s = op->user;
    struct journaling *j = s->j;
    struct err err = ERR_INIT;
    size_t room = room_of(j);
    uint32_t most = (uint32_t)(room / BYTES_OF_ONE);
    if (op->code || key_choose(s->key, most, room, &j->summary.text, &err))
        safe_buf_clear(&j->summary.text);
    s->then(j);
}

void journal_read_said(struct journaling *j, void (*then)(struct journaling *j))
{
    const struct session_head *h = j->head;
    struct journal_said *s = mem_zalloc(sizeof(*s));
    struct err err = ERR_INIT;
    bool none = safe_buf_text(&j->summary.text).len || h->turns == 0 || h->purged;
    if (none || !s || key_new(&s->key, &err)) {
        mem_free(s);
        then(j);
        return;
    }
    j->said = s;
    s->j = j;
    s->then = then;
    safe_buf_init(&s->text, CONTENT_BYTES_MAX);
    safe_buf_init(&s->reply, CONTENT_BYTES_MAX);
    const struct ledger_pick pick = {
        .partition = j->run->partition,
        .session = h->id,
        .key = j->run->user_key,
        .first = h->turns > JOURNAL_SAID_TURNS_MAX ? h->turns - JOURNAL_SAID_TURNS_MAX + 1 : 1,
        .last = h->turns,
        .take = take_turn,
        .user = s,
    };
    j->op = (struct ledger_op){.done = turns_read, .user = s};
    ledger_pick(j->run->w->ledger, &pick, &j->op);
}
