// SPDX-License-Identifier: MIT
// journal.c: a journal's entries in order. Plain values; one thread at a time.
//
// Invariant: the list is in the order of time (of an entry's last turn, then of its session's id),
// `earlier` first; no session is in it twice, but as one that is gone.
#include "model/journal.h"

#include "base/clock.h"
#include "base/mem.h"
#include "model/safe_text_int.h"

#include <stdio.h>
#include <string.h>

// ---- an entry

bool journal_entry_is_earlier(const struct journal_entry *e)
{
    return strcmp(e->session, JOURNAL_EARLIER) == 0;
}

bool journal_entry_is_of(const struct journal_entry *e, const char *context)
{
    return strcmp(e->context, context) == 0;
}

void journal_date(struct safe_buf *out, int64_t at_ms)
{
    char text[CLOCK_TEXT_BYTES];

    clock_format(at_ms, text);
    safe_buf_add(out, safe_text_vouch(slice_of(text, sizeof("2026-03-01") - 1)));
}

static void add_count(struct safe_buf *out, uint32_t n, const char *one, const char *many)
{
    char text[32];

    snprintf(text, sizeof(text), "%u %s", n, n == 1 ? one : many);
    safe_buf_add(out, safe_text_vouch(slice_str(text)));
}

void journal_entry_tell(const struct journal_entry *e, struct safe_buf *out)
{
    char from[CLOCK_TEXT_BYTES], to[CLOCK_TEXT_BYTES];

    clock_format(e->from_ms, from);
    clock_format(e->at_ms, to);
    journal_date(out, e->from_ms);
    if (memcmp(from, to, sizeof("2026-03-01") - 1) != 0) {
        safe_buf_add(out, SAFE_LIT(" to "));
        journal_date(out, e->at_ms);
    }
    safe_buf_add(out, SAFE_LIT(", "));
    if (journal_entry_is_earlier(e))
        add_count(out, e->sessions, "session", "sessions");
    else
        add_count(out, e->turns, "turn", "turns");
    safe_buf_add(out, safe_buf_text(&e->text).len ? SAFE_LIT(":\n") : SAFE_LIT(".\n"));
    safe_buf_add(out, safe_buf_text(&e->text));
}

size_t journal_entry_bytes(const struct journal_entry *e)
{
    return JOURNAL_HEAD_BYTES + safe_buf_text(&e->text).len;
}

// ---- a journal

void journal_init(struct journal *j)
{
    *j = (struct journal){0};
}

void journal_release(struct journal *j)
{
    for (uint32_t i = 0; i < j->len; i++)
        journal_entry_release(&j->list[i]);
    mem_free(j->list);
    journal_init(j);
}

int journal_copy(struct journal *out, const struct journal *j, struct err *err)
{
    journal_init(out);
    if (j->len == 0)
        return E_OK;
    out->list = mem_zalloc(JOURNAL_LIST_MAX * sizeof(*out->list));
    if (!out->list)
        return err_set(err, E_NOMEM, "out of memory for a journal");
    out->cap = JOURNAL_LIST_MAX;
    for (uint32_t i = 0; i < j->len; i++) {
        int code = journal_entry_copy(&out->list[i], &j->list[i], err);

        if (code) {
            journal_release(out);
            return code;
        }
        out->len++;
    }
    return E_OK;
}

static bool goes_before(const struct journal_entry *a, const struct journal_entry *b)
{
    bool earlier_a = journal_entry_is_earlier(a), earlier_b = journal_entry_is_earlier(b);

    if (earlier_a != earlier_b)
        return earlier_a;
    if (a->at_ms != b->at_ms)
        return a->at_ms < b->at_ms;
    return strcmp(a->session, b->session) < 0;
}

// Out of the list, unreleased; what is behind it moves up.
static struct journal_entry take(struct journal *j, uint32_t at)
{
    struct journal_entry e = j->list[at];

    memmove(&j->list[at], &j->list[at + 1], (j->len - at - 1) * sizeof(*j->list));
    j->len--;
    return e;
}

int journal_put(struct journal *j, struct journal_entry *e, struct err *err)
{
    if (!j->list) {
        j->list = mem_zalloc(JOURNAL_LIST_MAX * sizeof(*j->list));
        if (!j->list)
            return err_set(err, E_NOMEM, "out of memory for a journal");
        j->cap = JOURNAL_LIST_MAX;
    }
    for (uint32_t i = 0; i < j->len; i++) {
        if (strcmp(j->list[i].session, e->session) != 0)
            continue;
        struct journal_entry old = take(j, i);

        // A record that is there is put, not inserted.
        e->version = old.version ? old.version : e->version;
        journal_entry_release(&old);
        break;
    }
    if (j->len == j->cap)
        return err_set(err, E_REFUSED, "a journal has %d entries at most", JOURNAL_LIST_MAX);
    uint32_t at = j->len;
    while (at > 0 && goes_before(e, &j->list[at - 1]))
        at--;
    memmove(&j->list[at + 1], &j->list[at], (j->len - at) * sizeof(*j->list));
    j->list[at] = *e;
    j->len++;
    journal_entry_init(e);
    return E_OK;
}

struct journal_entry *journal_find(const struct journal *j, const char *session)
{
    for (uint32_t i = 0; i < j->len; i++)
        if (strcmp(j->list[i].session, session) == 0)
            return j->list[i].gone ? NULL : &j->list[i];
    return NULL;
}

size_t journal_bytes(const struct journal *j)
{
    size_t sum = 0;

    for (uint32_t i = 0; i < j->len; i++)
        sum += j->list[i].gone ? 0 : journal_entry_bytes(&j->list[i]);
    return sum;
}

bool journal_is_dirty(const struct journal *j)
{
    for (uint32_t i = 0; i < j->len; i++)
        if (j->list[i].dirty || j->list[i].gone)
            return true;
    return false;
}

void journal_settle(struct journal *j)
{
    for (uint32_t i = 0; i < j->len;) {
        struct journal_entry *e = &j->list[i];

        if (e->gone) {
            struct journal_entry old = take(j, i);

            journal_entry_release(&old);
            continue;
        }
        e->dirty = false;
        i++;
    }
}
