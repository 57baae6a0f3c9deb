// SPDX-License-Identifier: MIT
// journal.c: what an entry says. See journal.h; journal_fold.c keeps a journal within its size.
#include "memory/journal_int.h"

#include "base/utf8.h"
#include "memory/drift.h"
#include "memory/key.h"

#include <stdio.h>
#include <string.h>

enum {
    FACTS_MAX = 16, OPEN_MAX = 6, SAID_MAX = 40,  // lines of an entry
    LINE_SLACK = sizeof("2026-03-01 ") + sizeof("…\n"),
};

// ---- lines

// Whether a character ends a line for one reader or another, or is none for people.
static bool ends_line(int32_t c)
{
    return (c >= 0 && c < 0x20) || c == 0x7f || c == 0x85 || c == 0x2028 || c == 0x2029;
}

static void add_flat(struct safe_buf *out, struct safe_text text)
{
    size_t from = 0, at = 0;

    while (at < text.len) {
        size_t start = at;

        if (!ends_line(utf8_next(safe_slice(text), &at)))
            continue;
        safe_buf_add(out, safe_text_part(text, from, start - from));
        safe_buf_add(out, SAFE_LIT(" "));
        from = at;
    }
    safe_buf_add(out, safe_text_part(text, from, text.len - from));
}

static struct safe_text trimmed(struct safe_text t)
{
    size_t from = 0, to = t.len;

    while (from < to && strchr(" \t\r\n", t.ptr[from]))
        from++;
    while (to > from && strchr(" \t\r\n", t.ptr[to - 1]))
        to--;
    return safe_text_part(t, from, to - from);
}

void journal_add_line(struct safe_buf *out, struct safe_text label, struct safe_text text)
{
    struct safe_text words = trimmed(text);
    size_t room = JOURNAL_LINE_BYTES_MAX - label.len - LINE_SLACK;
    bool cut = words.len > room;

    if (words.len == 0)
        return;
    safe_buf_add(out, label);
    add_flat(out, safe_text_part(words, 0, cut ? utf8_cut(safe_slice(words), room) : words.len));
    safe_buf_add(out, cut ? SAFE_LIT("…\n") : SAFE_LIT("\n"));
}

size_t journal_fit(struct safe_text text, size_t room)
{
    size_t at = 0;

    while (at < text.len && at + journal_line_len(text, at) <= room)
        at += journal_line_len(text, at);
    return at;
}

// ---- an entry

// "lives_in" as "lives in".
static void add_spaced(struct safe_buf *out, struct safe_text name)
{
    for (size_t at = 0; at < name.len;) {
        const char *end = memchr(name.ptr + at, '_', name.len - at);
        size_t len = end ? (size_t)(end - name.ptr) - at : name.len - at;

        safe_buf_add(out, safe_text_part(name, at, len));
        if (end)
            safe_buf_add(out, SAFE_LIT(" "));
        at += len + 1;
    }
}

static struct safe_text label_of(enum journal_change change)
{
    switch (change) {
    case JOURNAL_DECIDED:
        return SAFE_LIT("Decided: ");
    case JOURNAL_CHANGED:
        return SAFE_LIT("Changed: ");
    case JOURNAL_NEW:
        break;
    }
    return SAFE_LIT("New: ");
}

// A fact's words may be longer than a line: what it is said of comes first.
static void add_fact(struct safe_buf *out, const struct journal_fact *f, struct safe_buf *words)
{
    safe_buf_clear(words);
    if (f->subject.len) {
        safe_buf_add(words, f->subject);
        safe_buf_add(words, SAFE_LIT(": "));
    }
    if (f->change != JOURNAL_DECIDED) {
        add_spaced(words, f->predicate);
        safe_buf_add(words, SAFE_LIT(": "));
    }
    safe_buf_add(words, f->value);
    if (f->before.len) {
        safe_buf_add(words, SAFE_LIT(" (before: "));
        safe_buf_add(words, f->before);
        safe_buf_add(words, SAFE_LIT(")"));
    }
    journal_add_line(out, label_of(f->change), safe_buf_text(words));
}

static void add_facts(struct safe_buf *out, const struct journal_source *s, struct safe_buf *words)
{
    for (int change = JOURNAL_DECIDED; change <= JOURNAL_NEW; change++) {
        unsigned added = 0;

        for (uint32_t i = 0; i < s->facts_len && added < FACTS_MAX; i++) {
            if ((int)s->facts[i].change != change)
                continue;
            add_fact(out, &s->facts[i], words);
            added++;
        }
    }
}

// Whether one of the facts, which are told already, is what the sentence says.
static bool tells_a_fact(const struct journal_source *s, struct slice sentence)
{
    for (uint32_t i = 0; i < s->facts_len; i++) {
        struct slice value = safe_slice(s->facts[i].value);
        if (value.len && sentence.len && memmem(sentence.ptr, sentence.len, value.ptr, value.len))
            return true;
    }
    return false;
}

static void add_said(struct safe_buf *out, const struct journal_source *s)
{
    struct safe_text summary = s->summary;
    unsigned added = 0;

    for (size_t at = 0, end; added < SAID_MAX && at < summary.len; at = end) {
        end = drift_sentence_end(safe_slice(summary), at);
        struct safe_text sentence = safe_text_part(summary, at, end - at);
        if (tells_a_fact(s, safe_slice(sentence)))
            continue;
        journal_add_line(out, SAFE_LIT("Said: "), sentence);
        added++;
    }
}

int journal_compose(const struct journal_source *s, struct journal_entry *out, struct err *err)
{
    struct safe_buf lines, words;

    safe_buf_init(&lines, JOURNAL_BYTES_MAX);
    safe_buf_init(&words, JOURNAL_BYTES_MAX);
    journal_add_line(&lines, SAFE_LIT("Topic: "), s->topic);
    add_facts(&lines, s, &words);
    for (uint32_t i = 0; i < s->open_len && i < OPEN_MAX; i++)
        journal_add_line(&lines, SAFE_LIT("Open: "), s->open[i]);
    add_said(&lines, s);
    struct safe_text all = safe_buf_text(&lines);
    safe_buf_clear(&out->text);
    safe_buf_add(&out->text, safe_text_part(all, 0, journal_fit(all, JOURNAL_SESSION_BYTES_MAX)));
    snprintf(out->session, sizeof(out->session), "%s", s->session);
    snprintf(out->context, sizeof(out->context), "%s",
             s->context ? s->context : JOURNAL_NO_CONTEXT);
    snprintf(out->by, sizeof(out->by), "rules");
    out->from_ms = s->from_ms;
    out->at_ms = s->to_ms > s->from_ms ? s->to_ms : s->from_ms;
    out->turns = s->turns;
    out->sessions = 1;
    out->dirty = true;
    int code = safe_buf_check(&lines, "a journal's entry", err);
    if (!code)
        code = safe_buf_check(&words, "a journal's entry", err);
    if (!code)
        code = safe_buf_check(&out->text, "a journal's entry", err);
    safe_buf_release(&lines);
    safe_buf_release(&words);
    return code;
}
