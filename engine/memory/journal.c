// SPDX-License-Identifier: MIT
// journal.c: what an entry says, and how a journal is kept within its size. See journal.h.
//
//   over the cap:  earlier  a b c d e f      the newest stay, up to half of it
//                  └────┬──────┘ └─┬─┘
//                   earlier       d e f      a quarter at most; what is left is room to grow
#include "memory/journal.h"

#include "base/utf8.h"
#include "memory/drift.h"
#include "memory/key.h"

#include <stdio.h>
#include <string.h>

enum {
    FACTS_MAX = 16, OPEN_MAX = 6, SAID_MAX = 40,  // lines of an entry
    DATE_BYTES = sizeof("2026-03-01 ") - 1,
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

// A line that may go into `earlier`: where it stands, and which of the key's sentences it is.
struct line {
    size_t at, len;
    size_t words;        // where in it, behind date and label, its words begin
    bool first;          // it goes in before all others
    bool goes_in;
    uint32_t sentence;   // NO_SENTENCE: it is a scrap, or a question
};
enum { NO_SENTENCE = UINT32_MAX, LABEL_BYTES_MAX = sizeof("Decided: ") - 1 };

struct folding {
    struct safe_buf text;
    struct vec lines;    // struct line
};

// How much of it is "Topic: " and the like.
static size_t label_len(struct slice line)
{
    const char *end = memmem(line.ptr, line.len, ": ", 2);
    size_t len = end ? (size_t)(end - line.ptr) + 2 : 0;
    return len <= LABEL_BYTES_MAX ? len : 0;
}

static bool add_line(struct folding *f, struct safe_text line, size_t date, bool first)
{
    struct line *l = vec_push(&f->lines);
    if (!l)
        return false;
    struct slice words = slice_of(line.ptr + date, line.len - date);
    *l = (struct line){.at = safe_buf_text(&f->text).len, .len = line.len, .first = first,
                       .words = date + label_len(words), .sentence = NO_SENTENCE};
    safe_buf_add(&f->text, line);
    return true;
}

// The lines of an entry, each with its date, which those of `earlier` have already. An entry
// without a topic, decision or change puts its first line in the first rank.
static int add_lines(struct folding *f, const struct journal_entry *e, struct safe_buf *dated,
                     struct err *err)
{
    struct safe_text text = safe_buf_text(&e->text);
    bool earlier = journal_entry_is_earlier(e), any = earlier;

    for (size_t at = 0; at < text.len; at += line_len(text, at))
        any = any || is_kept(slice_of(text.ptr + at, line_len(text, at)));
    for (size_t at = 0; at < text.len;) {
        struct safe_text line = safe_text_part(text, at, line_len(text, at));
        size_t date = earlier && line.len > DATE_BYTES ? DATE_BYTES : 0;
        bool first = is_kept(slice_of(line.ptr + date, line.len - date)) || (!any && at == 0);

        safe_buf_clear(dated);
        if (!earlier) {
            journal_date(dated, e->from_ms);
            safe_buf_add(dated, SAFE_LIT(" "));
            date = DATE_BYTES;
        }
        safe_buf_add(dated, line);
        if (!add_line(f, safe_buf_text(dated), date, first))
            return err_set(err, E_NOMEM, "out of memory for a journal");
        at += line.len;
    }
    return safe_buf_check(&f->text, "a journal", err);
}

static struct line *line_at(const struct folding *f, size_t i)
{
    return VEC_AT(&f->lines, struct line, i);
}

// Those of the first rank, of which the oldest go; returns what room is left.
static size_t take_first(struct folding *f, size_t room)
{
    for (size_t i = f->lines.len; i > 0; i--) {
        struct line *l = line_at(f, i - 1);
        if (!l->first)
            continue;
        if (l->len > room)
            return 0;
        l->goes_in = true;
        room -= l->len;
    }
    return room;
}

// Of the others those that tell most, however old.
static int take_best(struct folding *f, size_t room, struct err *err)
{
    struct key *key;
    bool chosen[KEY_SENTENCES_MAX];
    int code = key_new(&key, err);

    for (size_t i = 0; i < f->lines.len && !code; i++) {
        struct line *l = line_at(f, i);
        uint32_t taken = key_len(key);
        if (l->first)
            continue;
        // Without its end: where it is told, that counts again.
        code = key_add_line(key, safe_text_part(safe_buf_text(&f->text), l->at, l->len - 1),
                            l->words, err);
        l->sentence = key_len(key) > taken ? taken : NO_SENTENCE;
    }
    if (!code)
        key_mark(key, KEY_SENTENCES_MAX, room, chosen);
    for (size_t i = 0; i < f->lines.len && !code; i++)
        line_at(f, i)->goes_in |= line_at(f, i)->sentence != NO_SENTENCE &&
                                  chosen[line_at(f, i)->sentence];
    key_free(key);
    return code;
}

int journal_fold_text(const struct journal *j, const struct journal_fold *fold,
                      struct safe_buf *out, struct err *err)
{
    struct folding f;
    struct safe_buf dated;
    uint32_t left = fold->entries;
    int code = E_OK;

    safe_buf_init(&f.text, 4 * JOURNAL_BYTES_MAX);
    vec_init(&f.lines, sizeof(struct line), 4 * JOURNAL_BYTES_MAX);
    safe_buf_init(&dated, JOURNAL_ENTRY_BYTES_MAX + DATE_BYTES);
    for (uint32_t i = 0; i < j->len && !code; i++) {
        const struct journal_entry *e = &j->list[i];

        if (e->gone || (counts(e) && left == 0))
            continue;
        left -= counts(e);
        code = add_lines(&f, e, &dated, err);
    }
    if (!code)
        code = take_best(&f, take_first(&f, fold->room), err);
    for (size_t i = 0; i < f.lines.len && !code; i++)
        if (line_at(&f, i)->goes_in)
            safe_buf_add(out, safe_text_part(safe_buf_text(&f.text), line_at(&f, i)->at,
                                             line_at(&f, i)->len));
    safe_buf_release(&dated);
    vec_release(&f.lines);
    safe_buf_release(&f.text);
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
