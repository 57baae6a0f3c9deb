// SPDX-License-Identifier: MIT
// journal.c: what an entry says, and how a journal is kept within its size. See journal.h.
//
//   over the cap:  earlier  a b c d e f      the newest stay, up to half of it
//                  └────┬──────┘ └─┬─┘
//                   earlier       d e f      a quarter at most; what is left is room to grow
#include "memory/journal.h"

#include "base/utf8.h"
#include "memory/drift.h"

#include <stdio.h>
#include <string.h>

enum {
    FACTS_MAX = 16, OPEN_MAX = 6, SAID_MAX = 12,  // lines of an entry
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

// The line that begins at `at`, with its end.
static size_t line_len(struct safe_text text, size_t at)
{
    const char *end = memchr(text.ptr + at, '\n', text.len - at);

    return end ? (size_t)(end - text.ptr) + 1 - at : text.len - at;
}

// The longest beginning of whole lines within so many bytes.
static size_t fit_lines(struct safe_text text, size_t room)
{
    size_t at = 0;

    while (at < text.len && at + line_len(text, at) <= room)
        at += line_len(text, at);
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
    safe_buf_add(&out->text, safe_text_part(all, 0, fit_lines(all, JOURNAL_SESSION_BYTES_MAX)));
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

// ---- within a size

static bool counts(const struct journal_entry *e)
{
    return !e->gone && !journal_entry_is_earlier(e);
}

static uint32_t entries_of(const struct journal *j)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < j->len; i++)
        n += counts(&j->list[i]);
    return n;
}

bool journal_over(const struct journal *j, size_t cap, struct journal_fold *fold)
{
    uint32_t all = entries_of(j), kept = 0;
    size_t sum = 0, share = cap / 4;

    *fold = (struct journal_fold){0};
    if (journal_bytes(j) <= cap && all <= JOURNAL_KEPT_MAX)
        return false;
    for (uint32_t i = j->len; i > 0 && kept < JOURNAL_KEPT_MAX / 2; i--) {
        const struct journal_entry *e = &j->list[i - 1];

        if (!counts(e))
            continue;
        // The newest stays, cut if need be.
        if (kept && sum + journal_entry_bytes(e) > cap / 2)
            break;
        sum += journal_entry_bytes(e);
        kept++;
    }
    fold->entries = all - kept;
    fold->room = share > JOURNAL_HEAD_BYTES ? share - JOURNAL_HEAD_BYTES : 0;
    return true;
}

static bool is_kept(struct slice line)
{
    return slice_starts(line, SLICE_LIT("Topic: ")) || slice_starts(line, SLICE_LIT("Decided: ")) ||
           slice_starts(line, SLICE_LIT("Changed: "));
}

// What of an entry goes into `earlier`, each line with its date; of `earlier` itself all.
static void add_kept(struct safe_buf *out, const struct journal_entry *e)
{
    struct safe_text text = safe_buf_text(&e->text);
    bool earlier = journal_entry_is_earlier(e), any = false;

    for (size_t at = 0; at < text.len; at += line_len(text, at))
        any = any || is_kept(slice_of(text.ptr + at, line_len(text, at)));
    for (size_t at = 0; at < text.len;) {
        struct safe_text line = safe_text_part(text, at, line_len(text, at));

        at += line.len;
        if (!earlier && any && !is_kept(safe_slice(line)))
            continue;
        if (!earlier) {
            journal_date(out, e->from_ms);
            safe_buf_add(out, SAFE_LIT(" "));
        }
        safe_buf_add(out, line);
        if (!earlier && !any)
            return;
    }
}

int journal_fold_text(const struct journal *j, const struct journal_fold *fold,
                      struct safe_buf *out, struct err *err)
{
    struct safe_buf all;
    uint32_t left = fold->entries;

    safe_buf_init(&all, 4 * JOURNAL_BYTES_MAX);
    for (uint32_t i = 0; i < j->len; i++) {
        const struct journal_entry *e = &j->list[i];

        if (e->gone || (counts(e) && left == 0))
            continue;
        left -= counts(e);
        add_kept(&all, e);
    }
    struct safe_text lines = safe_buf_text(&all);
    size_t from = 0;
    // The oldest go first.
    while (lines.len - from > fold->room)
        from += line_len(lines, from);
    safe_buf_add(out, safe_text_part(lines, from, lines.len - from));
    int code = safe_buf_check(&all, "a journal", err);
    safe_buf_release(&all);
    return code ? code : safe_buf_check(out, "a journal", err);
}

static void take_in(struct journal_entry *earlier, const struct journal_entry *e)
{
    if (earlier->sessions == 0)
        memcpy(earlier->context, e->context, sizeof(earlier->context));
    else if (!journal_entry_is_of(e, earlier->context))
        memcpy(earlier->context, JOURNAL_NO_CONTEXT, sizeof(JOURNAL_NO_CONTEXT));
    if (earlier->sessions == 0 || e->from_ms < earlier->from_ms)
        earlier->from_ms = e->from_ms;
    if (earlier->sessions == 0 || e->at_ms > earlier->at_ms)
        earlier->at_ms = e->at_ms;
    earlier->turns += e->turns;
    earlier->sessions += e->sessions;
}

// The newest is the only one that may be longer than all of it may be.
static void cut_newest(struct journal *j, size_t cap)
{
    struct journal_entry *e = j->len ? &j->list[j->len - 1] : NULL;
    struct safe_buf kept;

    if (!e || !counts(e) || journal_bytes(j) <= cap)
        return;
    size_t others = journal_bytes(j) - journal_entry_bytes(e);
    size_t room = cap > others + JOURNAL_HEAD_BYTES ? cap - others - JOURNAL_HEAD_BYTES : 0;
    struct safe_text text = safe_buf_text(&e->text);
    safe_buf_init(&kept, JOURNAL_ENTRY_BYTES_MAX);
    safe_buf_add(&kept, safe_text_part(text, 0, fit_lines(text, room)));
    safe_buf_release(&e->text);
    e->text = kept;
    e->dirty = true;
}

// A cap that not even the first lines fit in: nothing is kept.
static void drop_all(struct journal *j, size_t cap)
{
    for (uint32_t i = 0; i < j->len && journal_bytes(j) > cap; i++)
        j->list[i].gone = true;
}

int journal_fold(struct journal *j, const struct journal_fold *fold, struct safe_text text,
                 const char *by, size_t cap, struct err *err)
{
    struct journal_entry earlier;
    const struct journal_entry *old = journal_find(j, JOURNAL_EARLIER);
    uint32_t left = fold->entries;

    journal_entry_init(&earlier);
    earlier.sessions = 0;
    if (old)
        take_in(&earlier, old);
    safe_buf_add(&earlier.text, text);
    int code = safe_buf_check(&earlier.text, "a journal", err);
    for (uint32_t i = 0; i < j->len && left > 0 && !code; i++) {
        struct journal_entry *e = &j->list[i];

        if (!counts(e))
            continue;
        take_in(&earlier, e);
        e->gone = true;
        left--;
    }
    if (!code && earlier.sessions) {
        snprintf(earlier.session, sizeof(earlier.session), "%s", JOURNAL_EARLIER);
        snprintf(earlier.by, sizeof(earlier.by), "%s", by);
        earlier.dirty = true;
        code = journal_put(j, &earlier, err);
    }
    journal_entry_release(&earlier);
    if (code)
        return code;
    cut_newest(j, cap);
    drop_all(j, cap);
    return E_OK;
}

int journal_condense(struct journal *j, size_t cap, struct err *err)
{
    struct journal_fold fold;
    struct safe_buf text;

    if (!journal_over(j, cap, &fold))
        return E_OK;
    safe_buf_init(&text, JOURNAL_BYTES_MAX);
    int code = journal_fold_text(j, &fold, &text, err);
    if (!code)
        code = journal_fold(j, &fold, safe_buf_text(&text), "rules", cap, err);
    safe_buf_release(&text);
    return code;
}
