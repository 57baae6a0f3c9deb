// SPDX-License-Identifier: MIT
// journal_fold.c: how a journal is kept within its size, and how a session goes out again of what
// was condensed. See journal.h.
//
//   over the cap:  earlier  a b c d e f      the newest stay, up to half of it
//                  └────┬──────┘ └─┬─┘
//                   earlier       d e f      a quarter at most; what is left is room to grow
//
//   earlier:  lines of a model, of x y z together │ lines of a │ lines of b │ …   (its `of`)
#include "memory/journal_int.h"

#include "memory/key.h"

#include <stdio.h>

// ---- within a size

enum { DATE_BYTES = sizeof("2026-03-01 ") - 1 };

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

// ---- whose the lines of `earlier` are

static struct journal_of *of_at(const struct vec *of, size_t i)
{
    return VEC_AT(of, struct journal_of, i);
}

static uint32_t count_lines(struct safe_text text)
{
    uint32_t n = 0;

    for (size_t at = 0; at < text.len; at += journal_line_len(text, at))
        n++;
    return n;
}

static uint32_t count_mixed(struct safe_text text, const struct vec *of)
{
    uint32_t lines = count_lines(text), told = 0;

    for (size_t i = 0; i < of->len; i++)
        told += of_at(of, i)->lines;
    return lines > told ? lines - told : 0;
}

struct safe_text journal_part(const struct journal_entry *earlier, size_t i)
{
    struct safe_text text = safe_buf_text(&earlier->text);
    uint32_t skip = 0, lines = count_mixed(text, &earlier->of);
    size_t start = 0, end;

    for (size_t k = 0; i < earlier->of.len && k <= i; k++) {
        skip += lines;
        lines = of_at(&earlier->of, k)->lines;
    }
    for (; skip; skip--)
        start += start < text.len ? journal_line_len(text, start) : 0;
    for (end = start; lines; lines--)
        end += end < text.len ? journal_line_len(text, end) : 0;
    return safe_text_part(text, start, end - start);
}

void journal_of_forgets(struct journal_entry *earlier, const uint32_t *told, uint32_t mixed)
{
    for (size_t i = earlier->of.len; i > 0; i--) {
        struct journal_of *o = of_at(&earlier->of, i - 1);

        if (o->lines ? o->lines == told[i - 1] : !mixed)
            vec_remove(&earlier->of, i - 1);
        else
            o->lines -= told[i - 1];
    }
}

// ---- by rules

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
    uint32_t of;         // whose it is, in struct folding; TOGETHER: a model's, of several
};
enum { NO_SENTENCE = UINT32_MAX, TOGETHER = UINT32_MAX, LABEL_BYTES_MAX = sizeof("Decided: ") - 1 };

struct folding {
    struct safe_buf text;
    struct vec lines;    // struct line
    struct vec of;       // struct journal_of, in the order of the lines; at first without lines
    uint32_t together;   // so many of them are told together by a model
};

// How much of it is "Topic: " and the like.
static size_t label_len(struct slice line)
{
    const char *end = memmem(line.ptr, line.len, ": ", 2);
    size_t len = end ? (size_t)(end - line.ptr) + 2 : 0;
    return len <= LABEL_BYTES_MAX ? len : 0;
}

static bool add_line(struct folding *f, struct safe_text line, size_t date, bool first, uint32_t of)
{
    struct line *l = vec_push(&f->lines);
    if (!l)
        return false;
    struct slice words = slice_of(line.ptr + date, line.len - date);
    *l = (struct line){.at = safe_buf_text(&f->text).len, .len = line.len, .first = first,
                       .words = date + label_len(words), .sentence = NO_SENTENCE, .of = of};
    safe_buf_add(&f->text, line);
    return true;
}

static int add_of(struct vec *of, const char *session, uint32_t turns, uint32_t lines,
                  struct err *err)
{
    struct journal_of *o = vec_push(of);

    if (!o)
        return err_set(err, E_NOMEM, "out of memory for a journal");
    *o = (struct journal_of){.turns = turns, .lines = lines};
    snprintf(o->session, sizeof(o->session), "%s", session);
    return E_OK;
}

static int add_sources(struct folding *f, const struct journal_entry *e, struct err *err)
{
    int code = journal_entry_is_earlier(e) ? E_OK : add_of(&f->of, e->session, e->turns, 0, err);

    for (size_t i = 0; i < e->of.len && !code; i++) {
        const struct journal_of *o = of_at(&e->of, i);

        f->together += o->lines == 0;
        code = add_of(&f->of, o->session, o->turns, 0, err);
    }
    return code;
}

// Whose line n of an entry is, whose sources begin at `base`.
static uint32_t whose_line(const struct journal_entry *e, uint32_t base, uint32_t n)
{
    uint32_t mixed = count_mixed(safe_buf_text(&e->text), &e->of);

    if (!journal_entry_is_earlier(e))
        return base;
    if (n < mixed)
        return TOGETHER;
    n -= mixed;
    for (uint32_t i = 0; i < e->of.len; i++) {
        if (n < of_at(&e->of, i)->lines)
            return base + i;
        n -= of_at(&e->of, i)->lines;
    }
    return TOGETHER;
}

// The lines of an entry, each with its date, which those of `earlier` have already. An entry
// without a topic, decision or change puts its first line in the first rank.
static int add_lines(struct folding *f, const struct journal_entry *e, struct safe_buf *dated,
                     struct err *err)
{
    struct safe_text text = safe_buf_text(&e->text);
    bool earlier = journal_entry_is_earlier(e), any = earlier;
    uint32_t base = (uint32_t)f->of.len, n = 0;
    int code = add_sources(f, e, err);

    for (size_t at = 0; at < text.len; at += journal_line_len(text, at))
        any = any || is_kept(slice_of(text.ptr + at, journal_line_len(text, at)));
    for (size_t at = 0; at < text.len && !code;) {
        struct safe_text line = safe_text_part(text, at, journal_line_len(text, at));
        size_t date = earlier && line.len > DATE_BYTES ? DATE_BYTES : 0;
        bool first = is_kept(slice_of(line.ptr + date, line.len - date)) || (!any && at == 0);

        safe_buf_clear(dated);
        if (!earlier) {
            journal_date(dated, e->from_ms);
            safe_buf_add(dated, SAFE_LIT(" "));
            date = DATE_BYTES;
        }
        safe_buf_add(dated, line);
        if (line.ptr[line.len - 1] != '\n')  // a damaged record: what is added stands behind it
            safe_buf_add(dated, SAFE_LIT("\n"));
        if (!add_line(f, safe_buf_text(dated), date, first, whose_line(e, base, n++)))
            code = err_set(err, E_NOMEM, "out of memory for a journal");
        at += line.len;
    }
    return code ? code : safe_buf_check(&f->text, "a journal", err);
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

// Counts the lines of each that go in; those that are told. What is told together is told if
// *mixed, its lines, are some.
static uint32_t count_told(struct folding *f, uint32_t *mixed)
{
    uint32_t told = 0;

    *mixed = 0;
    for (size_t i = 0; i < f->of.len; i++)
        of_at(&f->of, i)->lines = 0;
    for (size_t i = 0; i < f->lines.len; i++) {
        const struct line *l = line_at(f, i);

        if (l->goes_in && l->of == TOGETHER)
            ++*mixed;
        else if (l->goes_in)
            told += of_at(&f->of, l->of)->lines++ == 0;
    }
    return told + (*mixed ? f->together : 0);
}

// The oldest lines go while there are more to tell of than may be noted.
static void limit_told(struct folding *f)
{
    uint32_t mixed;

    while (count_told(f, &mixed) > JOURNAL_OF_MAX) {
        uint32_t oldest = f->together && mixed ? TOGETHER : 0;

        while (oldest != TOGETHER && !of_at(&f->of, oldest)->lines)
            oldest++;
        for (size_t i = 0; i < f->lines.len; i++)
            line_at(f, i)->goes_in &= line_at(f, i)->of != oldest;
    }
    for (size_t i = f->of.len; i > 0; i--)
        if (!of_at(&f->of, i - 1)->lines && !(mixed && i <= f->together))
            vec_remove(&f->of, i - 1);
}

// Which lines of `earlier` and of what is folded go in, and whose they are.
static int choose_lines(struct folding *f, const struct journal *j,
                        const struct journal_fold *fold, struct err *err)
{
    struct safe_buf dated;
    uint32_t left = fold->entries;
    int code = E_OK;

    safe_buf_init(&dated, JOURNAL_ENTRY_BYTES_MAX + DATE_BYTES + 1);
    for (uint32_t i = 0; i < j->len && !code; i++) {
        const struct journal_entry *e = &j->list[i];

        if (e->gone || (counts(e) && left == 0))
            continue;
        left -= counts(e);
        code = add_lines(f, e, &dated, err);
    }
    if (!code)
        code = take_best(f, take_first(f, fold->room), err);
    if (!code)
        limit_told(f);
    safe_buf_release(&dated);
    return code;
}

static void folding_init(struct folding *f)
{
    *f = (struct folding){0};
    safe_buf_init(&f->text, 4 * JOURNAL_BYTES_MAX);
    vec_init(&f->lines, sizeof(struct line), 4 * JOURNAL_BYTES_MAX);
    vec_init(&f->of, sizeof(struct journal_of), JOURNAL_OF_MAX + JOURNAL_LIST_MAX);
}

static void folding_release(struct folding *f)
{
    safe_buf_release(&f->text);
    vec_release(&f->lines);
    vec_release(&f->of);
}

// ---- into `earlier`

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
    safe_buf_add(&kept, safe_text_part(text, 0, journal_fit(text, room)));
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

// Puts text, whose lines are those of `of`, in the place of `earlier` and of what goes into it.
static int put_folded(struct journal *j, const struct journal_fold *fold, struct safe_text text,
                      const struct vec *of, const char *by, size_t cap, struct err *err)
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
    for (size_t i = 0; i < of->len && !code; i++)
        code = add_of(&earlier.of, of_at(of, i)->session, of_at(of, i)->turns, of_at(of, i)->lines,
                      err);
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

int journal_fold(struct journal *j, const struct journal_fold *fold, struct safe_text text,
                 const char *by, size_t cap, struct err *err)
{
    struct folding f;
    uint32_t left = fold->entries;
    int code = E_OK;

    folding_init(&f);
    for (uint32_t i = 0; i < j->len && !code && text.len; i++) {
        const struct journal_entry *e = &j->list[i];

        if (e->gone || (counts(e) && left == 0))
            continue;
        left -= counts(e);
        code = add_sources(&f, e, err);
    }
    // Of more the oldest: nobody knows that they are in it.
    while (f.of.len > JOURNAL_OF_MAX)
        vec_remove(&f.of, 0);
    if (!code)
        code = put_folded(j, fold, text, &f.of, by, cap, err);
    folding_release(&f);
    return code;
}

int journal_condense(struct journal *j, size_t cap, struct err *err)
{
    struct journal_fold fold;
    struct folding f;
    struct safe_buf text;

    if (!journal_over(j, cap, &fold))
        return E_OK;
    folding_init(&f);
    safe_buf_init(&text, JOURNAL_BYTES_MAX);
    int code = choose_lines(&f, j, &fold, err);
    for (size_t i = 0; i < f.lines.len && !code; i++)
        if (line_at(&f, i)->goes_in)
            safe_buf_add(&text, safe_text_part(safe_buf_text(&f.text), line_at(&f, i)->at,
                                               line_at(&f, i)->len));
    if (!code)
        code = safe_buf_check(&text, "a journal", err);
    if (!code)
        code = put_folded(j, &fold, safe_buf_text(&text), &f.of, "rules", cap, err);
    safe_buf_release(&text);
    folding_release(&f);
    return code;
}

// ---- out of it again

bool journal_tells(const struct journal *j, const char *session, uint32_t *turns)
{
    const struct journal_entry *e = journal_find(j, session);
    const struct journal_entry *earlier = journal_find(j, JOURNAL_EARLIER);
    bool told = e != NULL;

    *turns = e ? e->turns : 0;
    for (size_t i = 0; earlier && i < earlier->of.len; i++) {
        const struct journal_of *o = of_at(&earlier->of, i);

        if (strcmp(o->session, session) != 0)
            continue;
        told = true;
        *turns = o->turns > *turns ? o->turns : *turns;
    }
    return told;
}

static void left_out(struct journal_entry *earlier, const struct journal_of *o)
{
    earlier->turns -= o->turns < earlier->turns ? o->turns : earlier->turns;
    earlier->sessions -= earlier->sessions > 0;
    earlier->gone = earlier->sessions == 0;
    earlier->dirty = true;
}

// Part i of its text, as journal_part has it, and who has lines there.
static int take_out(struct journal_entry *earlier, size_t i, struct err *err)
{
    struct safe_text text = safe_buf_text(&earlier->text), part = journal_part(earlier, i);
    size_t start = part.len ? (size_t)(part.ptr - text.ptr) : 0, end = start + part.len;
    struct safe_buf kept;

    safe_buf_init(&kept, JOURNAL_ENTRY_BYTES_MAX);
    safe_buf_add(&kept, safe_text_part(text, 0, start));
    safe_buf_add(&kept, safe_text_part(text, end, text.len - end));
    int code = safe_buf_check(&kept, "a journal", err);
    if (code) {
        safe_buf_release(&kept);
        return code;
    }
    safe_buf_release(&earlier->text);
    earlier->text = kept;
    bool one = i < earlier->of.len;
    for (size_t k = earlier->of.len; k > 0; k--) {
        if (one ? k - 1 != i : of_at(&earlier->of, k - 1)->lines > 0)
            continue;
        left_out(earlier, of_at(&earlier->of, k - 1));
        vec_remove(&earlier->of, k - 1);
    }
    return E_OK;
}

int journal_unfold(struct journal *j, const char *session, uint32_t turns, struct err *err)
{
    struct journal_entry *earlier = journal_find(j, JOURNAL_EARLIER);
    int code = E_OK;

    for (size_t i = earlier ? earlier->of.len : 0; i > 0 && !code; i--) {
        const struct journal_of *o =
            i <= earlier->of.len ? of_at(&earlier->of, i - 1) : NULL;
        bool here = o && strcmp(o->session, session) == 0;

        if (here && o->lines)
            code = take_out(earlier, i - 1, err);
        else if (here && o->turns > turns)
            code = take_out(earlier, earlier->of.len, err);
    }
    return code;
}
