// SPDX-License-Identifier: MIT
// session.c: a fresh session's head. Pure but for the id's randomness and the clock.
#include "session/session.h"

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
    struct session_head h = {.status = SESSION_ACTIVE};

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
