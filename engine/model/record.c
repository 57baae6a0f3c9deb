// SPDX-License-Identifier: MIT
// record.c: building and reading record keys. Hand-written digits: keys are built several times a
// turn. Pure; any thread.
#include "model/record.h"

enum { NUMBER_DIGITS = 10 };

// "/0000000042"
static void add_number(struct buf *out, uint32_t n)
{
    char text[1 + NUMBER_DIGITS];

    for (int i = NUMBER_DIGITS; i > 0; i--, n /= 10)
        text[i] = (char)('0' + n % 10);
    text[0] = '/';
    buf_add(out, text, sizeof(text));
}

// "turn/<session>"
static void begin(struct buf *out, struct slice kind_and_slash, const char *name)
{
    buf_clear(out);
    buf_add_slice(out, kind_and_slash);
    buf_add_str(out, name);
}

void key_user(struct buf *out)
{
    buf_clear(out);
    buf_add_str(out, "user");
}

void key_head(struct buf *out, const char *bot, const char *context_hash)
{
    begin(out, SLICE_LIT("head/"), bot);
    buf_add_char(out, '/');
    buf_add_str(out, context_hash);
}

void key_session(struct buf *out, const char *session)
{
    begin(out, SLICE_LIT("session/"), session);
}

void key_turn(struct buf *out, const char *session, uint32_t n, uint32_t step)
{
    begin(out, SLICE_LIT("turn/"), session);
    add_number(out, n);
    add_number(out, step);
}

void key_turn_prefix(struct buf *out, const char *session)
{
    begin(out, SLICE_LIT("turn/"), session);
    buf_add_char(out, '/');
}

void key_parts(struct buf *out, const char *session)
{
    begin(out, SLICE_LIT("part/"), session);
    buf_add_char(out, '/');
}

void key_events(struct buf *out, const char *session)
{
    begin(out, SLICE_LIT("event/"), session);
    buf_add_char(out, '/');
}

void key_part(struct buf *out, const char *session, uint32_t n, uint32_t step, uint32_t part)
{
    begin(out, SLICE_LIT("part/"), session);
    add_number(out, n);
    add_number(out, step);
    add_number(out, part);
}

void key_attempt(struct buf *out, const char *session, uint32_t turn, uint32_t n)
{
    begin(out, SLICE_LIT("attempt/"), session);
    add_number(out, turn);
    add_number(out, n);
}

void key_event(struct buf *out, const char *session, uint32_t n)
{
    begin(out, SLICE_LIT("event/"), session);
    add_number(out, n);
}

void key_idem(struct buf *out, const char *hash)
{
    begin(out, SLICE_LIT("key/"), hash);
}

void key_summary(struct buf *out, const char *session, uint32_t upto)
{
    begin(out, SLICE_LIT("summary/"), session);
    add_number(out, upto);
}

void key_summaries(struct buf *out, const char *session)
{
    begin(out, SLICE_LIT("summary/"), session);
    buf_add_char(out, '/');
}

void key_recall(struct buf *out, const char *bot)
{
    begin(out, SLICE_LIT("recall/"), bot);
}

void key_recall_parts(struct buf *out, const char *bot)
{
    key_recall(out, bot);
    buf_add_char(out, '/');
}

void key_recall_part(struct buf *out, const char *bot, uint32_t number, const char *stamp,
                     uint32_t part)
{
    key_recall(out, bot);
    add_number(out, number);
    buf_add_char(out, '/');
    buf_add_str(out, stamp);
    add_number(out, part);
}

void key_memory(struct buf *out, const char *bot)
{
    begin(out, SLICE_LIT("memory/"), bot);
}

void key_slots(struct buf *out, const char *tier, const char *bot)
{
    begin(out, slice_str(tier), "/");
    buf_add_str(out, bot);
    buf_add_char(out, '/');
}

void key_slot(struct buf *out, const char *tier, const char *bot, const char *digest)
{
    key_slots(out, tier, bot);
    buf_add_str(out, digest);
}

void key_journals(struct buf *out, const char *bot)
{
    begin(out, SLICE_LIT("journal/"), bot);
    buf_add_char(out, '/');
}

void key_journal(struct buf *out, const char *bot, const char *session)
{
    key_journals(out, bot);
    buf_add_str(out, session);
}

void key_core(struct buf *out, const char *bot)
{
    begin(out, SLICE_LIT("core/"), bot);
}

void key_learnt(struct buf *out, const char *session)
{
    begin(out, SLICE_LIT("learnt/"), session);
}

void key_tokens(struct buf *out, const char *provider, const char *model)
{
    begin(out, SLICE_LIT("tokens/"), provider);
    buf_add_char(out, '/');
    buf_add_str(out, model);
}

void key_masks(struct buf *out, uint32_t page)
{
    begin(out, SLICE_LIT("masks"), "");
    add_number(out, page);
}

void key_original(struct buf *out, const char *kind, uint32_t n, const char *bot)
{
    begin(out, SLICE_LIT("original/"), kind);
    add_number(out, n);
    buf_add_char(out, '/');
    buf_add_str(out, bot);
}

void key_erased(struct buf *out, const char *partition)
{
    begin(out, SLICE_LIT("erased/"), partition);
}

void key_erasures(struct buf *out)
{
    buf_clear(out);
    buf_add_str(out, "erasures");
}

unsigned key_split(struct slice key, struct slice *parts, unsigned max)
{
    unsigned n = 0;

    while (n < max) {
        const char *slash = n + 1 < max && key.len ? memchr(key.ptr, '/', key.len) : NULL;

        if (!slash) {
            parts[n++] = key;
            break;
        }
        size_t len = (size_t)(slash - key.ptr);
        parts[n++] = slice_of(key.ptr, len);
        key = slice_of(slash + 1, key.len - len - 1);
    }
    return n;
}

bool key_number(struct slice part, uint32_t *out)
{
    uint64_t n = 0;

    if (part.len != NUMBER_DIGITS)
        return false;
    for (size_t i = 0; i < part.len; i++) {
        if (part.ptr[i] < '0' || part.ptr[i] > '9')
            return false;
        n = n * 10 + (uint64_t)(part.ptr[i] - '0');
    }
    if (n > UINT32_MAX)
        return false;
    *out = (uint32_t)n;
    return true;
}
