// SPDX-License-Identifier: MIT
// session.c: heads: a fresh one, and one out of its record. Owned by the caller; any thread.
#include "session/session_int.h"

#include "base/utf8.h"

static int copy_word(char *out, size_t size, const char *text, const char *what, struct err *err)
{
    size_t len = strlen(text);

    if (len >= size)
        return err_set(err, E_USAGE, "the %s has %zu bytes: at most %zu are allowed", what, len,
                       size - 1);
    memcpy(out, text, len + 1);
    return E_OK;
}

int session_head_new(struct session_head *out, const struct session_env *env, const char *partition,
                     const char *bot, const char *context, struct err *err)
{
    struct session_head h = {.status = SESSION_ACTIVE, .expiry = expiry_default};

    *out = (struct session_head){0};
    BUG_ON(strlen(partition) >= sizeof(h.partition));
    memcpy(h.partition, partition, strlen(partition));
    int code = copy_word(h.bot, sizeof(h.bot), bot, "name of the bot", err);
    if (!code)
        code = copy_word(h.context, sizeof(h.context), context, "context", err);
    if (!code && !utf8_valid(slice_str(context)))
        code = err_set(err, E_USAGE, "the context is not valid UTF-8");
    if (code)
        return code;
    id_new(env->rand, h.id);
    h.created_at_ms = h.last_active_at_ms = clock_wall_ms(env->clock);
    *out = h;
    return E_OK;
}

int session_read_record(struct session_head *out, const struct session_env *env,
                        const char *partition, const struct user_key *key, const struct record *row,
                        struct err *err)
{
    struct slice parts[2] = {SLICE_NONE, SLICE_NONE};
    struct session_head h = {.version = row->version};
    struct vault_place place = vault_place_of(row);
    struct safe_buf body;
    int code = E_OK;

    *out = (struct session_head){0};
    safe_buf_init(&body, RECORD_BODY_BYTES_MAX);
    key_split(row->key, parts, 2);
    if (!id_valid(parts[1]))
        code = err_set(err, E_CORRUPT, "record %.*s: not the key of a session; run `parley verify`",
                       SLICE_FMT(row->key));
    else
        memcpy(h.id, parts[1].ptr, parts[1].len);
    memcpy(h.partition, partition, strnlen(partition, sizeof(h.partition) - 1));
    if (!code)
        code = vault_unseal(env->vault, key, &place, row->body, &body, err);
    if (!code)
        code = session_read_meta(&h, row->meta, err);
    if (!code)
        code = session_read_body(&h, safe_buf_text(&body), err);
    safe_buf_release(&body);
    if (code) {
        session_head_release(&h);
        memcpy(out->id, h.id, sizeof(out->id));
        memcpy(out->partition, h.partition, sizeof(out->partition));
        out->quarantined = true;
        return code;
    }
    *out = h;
    return E_OK;
}
