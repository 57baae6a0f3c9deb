// SPDX-License-Identifier: MIT
// audit.c: the words and the stored forms of the audit trail. Plain values; any thread.
#include "model/audit.h"

#include "base/clock.h"
#include "model/meta_int.h"

#include <stdio.h>

static const char *const action_words[AUDIT_ACTIONS] = {
    [AUDIT_SESSION_CREATED] = "session_created",
    [AUDIT_SESSION_RESUMED] = "session_resumed",
    [AUDIT_SESSION_MOVED] = "session_moved",
    [AUDIT_USER_EXPORTED] = "user_exported",
    [AUDIT_USER_ERASED] = "user_erased",
    [AUDIT_FACT_FORGOTTEN] = "fact_forgotten",
    [AUDIT_ORIGINALS_REVEALED] = "originals_revealed",
    [AUDIT_POLICY_LOADED] = "policy_loaded",
    [AUDIT_KEYS_INITIALISED] = "keys_initialised",
    [AUDIT_KEYS_ROTATED] = "keys_rotated",
    [AUDIT_OPERATOR_READ] = "operator_read",
    [AUDIT_TRAIL_ACCEPTED] = "trail_accepted",
};

static const char *const detail_words[AUDIT_DETAILS] = {
    [AUDIT_NO_DETAIL] = "",
    [AUDIT_SESSIONS] = "sessions",
    [AUDIT_SHOW] = "show",
    [AUDIT_WHY] = "why",
    [AUDIT_RECALL] = "recall",
    [AUDIT_MEMORY] = "memory",
    [AUDIT_MODEL] = "model",
    [AUDIT_CLIENT] = "client",
    [AUDIT_TOOL] = "tool",
    [AUDIT_LOG] = "log",
    [AUDIT_OPERATOR] = "operator",
    [AUDIT_REDACTION_OFF] = "redaction_off",
    [AUDIT_IMPORTED] = "imported",
    [AUDIT_RESTORED] = "restored",
    [AUDIT_ENTRIES_MISSING] = "entries_missing",
    [AUDIT_HEAD_MISSING] = "head_missing",
};

const char audit_first[AUDIT_HASH_BYTES] =
    "0000000000000000000000000000000000000000000000000000000000000000";

static const char engine[] = "engine";

const char *audit_action_word(enum audit_action action)
{
    return action_words[action];
}

const char *audit_detail_word(enum audit_detail detail)
{
    return detail_words[detail];
}

bool audit_action_find(struct slice word, enum audit_action *out)
{
    int at = word_index(action_words, AUDIT_ACTIONS, word);

    if (at >= 0)
        *out = (enum audit_action)at;
    return at >= 0;
}

void audit_actor(unsigned long uid, char out[AUDIT_ACTOR_BYTES])
{
    // A user id has at most ten digits.
    snprintf(out, AUDIT_ACTOR_BYTES, "uid:%lu", uid & UINT32_MAX);
}

// ---- writing

static void write_members(const struct audit_note *note, struct json_writer *w)
{
    char at[CLOCK_TEXT_BYTES];

    clock_format(note->at_ms, at);
    jw_kv_str(w, "at", at);
    jw_kv_str(w, "action", action_words[note->action]);
    jw_kv_str(w, "actor", note->actor[0] ? note->actor : engine);
    if (note->subject[0])
        jw_kv_str(w, "subject", note->subject);
    if (note->detail)
        jw_kv_str(w, "detail", detail_words[note->detail]);
    if (note->bot[0])
        jw_kv_str(w, "bot", note->bot);
    if (note->policy[0])
        jw_kv_str(w, "policy", note->policy);
    if (note->count)
        jw_kv_i64(w, "count", note->count);
}

void audit_note_write(const struct audit_note *note, struct buf *out)
{
    struct json_writer w;

    jw_init(&w, out);
    jw_object(&w);
    write_members(note, &w);
    jw_object_end(&w);
}

void audit_entry_write(const struct audit_entry *entry, struct buf *out)
{
    struct json_writer w;

    jw_init(&w, out);
    jw_object(&w);
    jw_kv_i64(&w, "n", entry->n);
    write_members(&entry->note, &w);
    jw_kv_str(&w, "prev", entry->prev);
    jw_object_end(&w);
}

// ---- reading

static void read_hex(struct meta *m, const char *key, bool required, char *out, size_t size)
{
    unsigned char bytes[AUDIT_HASH_BYTES / 2];

    meta_chars(m, key, required, out, size);
    if (!m->code && (required || out[0]) && !hex_decode(slice_str(out), bytes, size / 2))
        meta_fail(m, key);
}

static int64_t read_time(struct meta *m)
{
    char text[CLOCK_TEXT_BYTES];
    int64_t ms = 0;

    meta_chars(m, "at", true, text, sizeof(text));
    if (!m->code && clock_parse(slice_str(text), &ms, NULL))
        meta_fail(m, "at");
    return ms;
}

static void read_members(struct meta *m, struct audit_note *note)
{
    *note = (struct audit_note){0};
    note->at_ms = read_time(m);
    note->action = meta_word(m, "action", action_words, AUDIT_ACTIONS);
    meta_chars(m, "actor", true, note->actor, sizeof(note->actor));
    if (strcmp(note->actor, engine) == 0)
        note->actor[0] = '\0';
    read_hex(m, "subject", false, note->subject, sizeof(note->subject));
    if (meta_has(m, "detail"))
        note->detail = meta_word(m, "detail", detail_words, AUDIT_DETAILS);
    meta_chars(m, "bot", false, note->bot, sizeof(note->bot));
    meta_chars(m, "policy", false, note->policy, sizeof(note->policy));
    note->count = (uint32_t)meta_i64_or(m, "count", 0, UINT32_MAX, 0);
}

int audit_note_read(struct audit_note *note, struct slice meta, struct err *err)
{
    struct meta m;

    meta_open(&m, meta, "audit note", err);
    read_members(&m, note);
    return meta_close(&m);
}

int audit_entry_read(struct audit_entry *entry, struct slice meta, struct err *err)
{
    struct meta m;

    meta_open(&m, meta, "audit entry", err);
    entry->n = (uint32_t)meta_i64(&m, "n", 1, UINT32_MAX);
    read_members(&m, &entry->note);
    read_hex(&m, "prev", true, entry->prev, sizeof(entry->prev));
    read_hex(&m, "hash", true, entry->hash, sizeof(entry->hash));
    return meta_close(&m);
}

// ---- heads

void audit_head_write(const struct audit_head *head, struct json_writer *w)
{
    char at[CLOCK_TEXT_BYTES];

    clock_format(head->at_ms, at);
    jw_kv_str(w, "store", head->store);
    jw_kv_i64(w, "n", head->n);
    jw_kv_str(w, "hash", head->hash);
    jw_kv_str(w, "at", at);
}

int audit_head_read(struct audit_head *head, struct slice text, struct err *err)
{
    struct meta m;

    meta_open(&m, text, "head of the audit trail", err);
    meta_chars(&m, "store", true, head->store, sizeof(head->store));
    head->n = (uint32_t)meta_i64(&m, "n", 0, UINT32_MAX);
    read_hex(&m, "hash", true, head->hash, sizeof(head->hash));
    head->at_ms = read_time(&m);
    return meta_close(&m);
}

// ---- keys

void key_audit_note(struct buf *out, const char *id)
{
    buf_clear(out);
    buf_add_str(out, AUDIT_OUTBOX);
    buf_add_str(out, id);
}

void key_audit_entry(struct buf *out, uint32_t n)
{
    buf_clear(out);
    buf_addf(out, "entry/%010u", n);
}

void key_audit_taken_all(struct buf *out)
{
    buf_clear(out);
    buf_add_str(out, "taken/");
}

void key_audit_taken(struct buf *out, const char *partition, const char *id)
{
    key_audit_taken_all(out);
    buf_addf(out, "%s/%s", partition, id);
}

void key_audit_policy(struct buf *out, const char *bot)
{
    buf_clear(out);
    buf_add_str(out, "policy/");
    buf_add_str(out, bot);
}
