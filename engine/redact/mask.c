// SPDX-License-Identifier: MIT
// mask.c: the book of a user's masks, and the shape of a mask. See mask.h; reveal.c goes back.
//
// Invariants:
//   1. list holds masks in the order of being given; the first `settled` are durable.
//   2. by_value and by_name hold every mask of the list, and none else.
//   3. said holds the originals with `said`, and none else.
//   4. A kind's highest number is that of its newest mask: numbers are never given twice, unless
//      what was given and never settled is dropped.
#include "redact/mask.h"

#include "base/map.h"
#include "base/mem.h"
#include "base/vec.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

enum { NUMBER_DIGITS_MAX = 9, KEY_BYTES = MASK_WORD_BYTES + MASK_DIGEST_BYTES + 16 };

struct mask_kind {
    char word[MASK_WORD_BYTES];
    uint32_t highest;
};

struct mask_book {
    mask_digest_fn *digest;
    void *user;
    struct vec list;               // of struct mask
    uint32_t settled;
    struct mask_kind kinds[MASK_KINDS_MAX];
    uint32_t kinds_len;
    struct map *by_value;          // "email <digest>" -> index + 1
    struct map *by_name;           // "EMAIL_1" -> index + 1
    size_t originals_bytes;
    struct vec said;               // of struct mask_original *
    int64_t first_until_ms;        // of the kept originals; 0: none ends
};

int mask_book_new(struct mask_book **out, mask_digest_fn *digest, void *user, struct err *err)
{
    struct mask_book *b = mem_zalloc(sizeof(*b));

    *out = NULL;
    if (!b)
        return err_set(err, E_NOMEM, "out of memory for a user's masks");
    b->digest = digest;
    b->user = user;
    vec_init(&b->list, sizeof(struct mask), MASKS_MAX);
    vec_init(&b->said, sizeof(struct mask_original *), MASKS_MAX);
    if (map_new(&b->by_value, MASKS_MAX) || map_new(&b->by_name, MASKS_MAX)) {
        mask_book_free(b);
        return err_set(err, E_NOMEM, "out of memory for a user's masks");
    }
    *out = b;
    return E_OK;
}

static void leave_said(struct mask_book *b, struct mask_original *o)
{
    for (size_t i = b->said.len; o->said && i > 0; i--) {
        if (*VEC_AT(&b->said, struct mask_original *, i - 1) == o) {
            vec_remove(&b->said, i - 1);
            o->said = false;
        }
    }
}

// Forgets the one that *at points to; *at is the next one then.
static void forget_original(struct mask_book *b, struct mask_original **at)
{
    struct mask_original *o = *at;
    size_t len = strlen(o->text);

    leave_said(b, o);
    *at = o->next;
    b->originals_bytes -= len;
    sodium_memzero(o->text, len);
    mem_free(o->text);
    mem_free(o);
}

static void forget_originals(struct mask_book *b, struct mask *m)
{
    while (m->originals)
        forget_original(b, &m->originals);
}

static void clear_said(struct mask_book *b)
{
    for (size_t i = 0; i < b->said.len; i++)
        (*VEC_AT(&b->said, struct mask_original *, i))->said = false;
    vec_clear(&b->said);
}

void mask_book_free(struct mask_book *b)
{
    if (!b)
        return;
    clear_said(b);
    for (size_t i = 0; i < b->list.len; i++)
        forget_originals(b, vec_at(&b->list, i));
    vec_release(&b->list);
    vec_release(&b->said);
    map_free(b->by_value);
    map_free(b->by_name);
    mem_free(b);
}

uint32_t mask_book_len(const struct mask_book *b)
{
    return (uint32_t)b->list.len;
}

uint32_t mask_book_settled(const struct mask_book *b)
{
    return b->settled;
}

struct mask *mask_book_at(const struct mask_book *b, uint32_t i)
{
    return vec_at(&b->list, i);
}

void mask_book_settle(struct mask_book *b, uint32_t len)
{
    BUG_ON(len > b->list.len);
    if (len > b->settled)
        b->settled = len;
}

// ---- finding

static struct slice value_key(char key[KEY_BYTES], struct slice kind, const char *digest)
{
    int len = snprintf(key, KEY_BYTES, "%.*s %s", SLICE_FMT(kind), digest);

    return slice_of(key, (size_t)len);
}

// The name is a kind's, in either case.
static struct slice name_key(char key[KEY_BYTES], struct slice name, uint32_t number)
{
    int len = snprintf(key, KEY_BYTES, "%.*s_%u", SLICE_FMT(name), number);

    for (size_t i = 0; i < name.len; i++)
        key[i] = key[i] >= 'a' && key[i] <= 'z' ? (char)(key[i] - 'a' + 'A') : key[i];
    return slice_of(key, (size_t)len);
}

uint32_t mask_book_rank(const struct mask_book *b, struct slice name, uint32_t number)
{
    char key[KEY_BYTES];

    if (name.len == 0 || name.len >= MASK_WORD_BYTES || number == 0)
        return 0;
    return (uint32_t)(uintptr_t)map_get(b->by_name, name_key(key, name, number));
}

static struct mask *find(const struct mask_book *b, struct slice name, uint32_t number)
{
    uint32_t rank = mask_book_rank(b, name, number);

    return rank && rank <= b->settled ? vec_at(&b->list, rank - 1) : NULL;
}

const struct mask *mask_book_find(const struct mask_book *b, struct slice name, uint32_t number)
{
    return find(b, name, number);
}

static struct mask_original *original_of(const struct mask *m, struct slice bot)
{
    struct mask_original *o = m->originals;

    while (o && !slice_is(bot, o->bot))
        o = o->next;
    return o;
}

const struct mask_original *mask_original(const struct mask *m, const char *bot, bool kept_only)
{
    const struct mask_original *o = m->originals;

    while (o && ((bot && strcmp(bot, o->bot) != 0) || (kept_only && !o->kept)))
        o = o->next;
    return o;
}

static struct mask_kind *kind_of(struct mask_book *b, struct slice word)
{
    for (uint32_t i = 0; i < b->kinds_len; i++)
        if (slice_is(word, b->kinds[i].word))
            return &b->kinds[i];
    if (b->kinds_len == MASK_KINDS_MAX || word.len == 0 || word.len >= MASK_WORD_BYTES)
        return NULL;
    struct mask_kind *kind = &b->kinds[b->kinds_len++];
    *kind = (struct mask_kind){0};
    memcpy(kind->word, word.ptr, word.len);
    return kind;
}

// ---- adding

static int add(struct mask_book *b, struct slice kind, uint32_t number, const char *digest,
               struct err *err)
{
    char value[KEY_BYTES], name[KEY_BYTES];
    struct slice by_value = value_key(value, kind, digest), by_name = name_key(name, kind, number);
    struct mask_kind *known = kind_of(b, kind);

    if (!known || number == 0 || map_get(b->by_value, by_value) || map_get(b->by_name, by_name))
        return err_set(err, E_CORRUPT, "a number of %.*s stands for two values", SLICE_FMT(kind));
    struct mask *m = vec_push(&b->list);
    void *index = (void *)(uintptr_t)b->list.len;
    if (m && map_set(b->by_value, by_value, index, NULL) == E_OK) {
        if (map_set(b->by_name, by_name, index, NULL) == E_OK) {
            memcpy(m->kind, kind.ptr, kind.len);
            m->number = number;
            snprintf(m->digest, sizeof(m->digest), "%s", digest);
            known->highest = number > known->highest ? number : known->highest;
            return E_OK;
        }
        map_remove(b->by_value, by_value);
    }
    if (m)
        vec_remove(&b->list, b->list.len - 1);
    return err_set(err, E_NOMEM, "out of memory for a user's masks");
}

int mask_book_load(struct mask_book *b, struct slice kind, uint32_t number, struct slice digest,
                   struct err *err)
{
    char text[MASK_DIGEST_BYTES];

    BUG_ON(mask_book_waits(b));
    if (digest.len == 0 || digest.len >= sizeof(text) || kind.len >= MASK_WORD_BYTES)
        return err_set(err, E_CORRUPT, "what is stored there is no mask");
    snprintf(text, sizeof(text), "%.*s", SLICE_FMT(digest));
    int code = add(b, kind, number, text, err);
    if (code == E_OK)
        b->settled = (uint32_t)b->list.len;
    return code;
}

// *out: the original of the mask at i for a bot, known already or from now on; NULL: too much.
static int know(struct mask_book *b, size_t i, struct slice bot, struct slice original,
                struct mask_original **out)
{
    struct mask *m = vec_at(&b->list, i);

    *out = original_of(m, bot);
    if (*out || original.len == 0 || memchr(original.ptr, '\0', original.len) ||
        bot.len >= MASK_BOT_BYTES || b->originals_bytes + original.len > MASK_ORIGINALS_BYTES)
        return E_OK;
    struct mask_original *o = mem_zalloc(sizeof(*o));
    char *text = mem_slicedup(original);
    if (!o || !text) {
        mem_free(o);
        mem_free(text);
        return E_NOMEM;
    }
    *o = (struct mask_original){.next = m->originals, .text = text, .mask = (uint32_t)i};
    memcpy(o->bot, bot.ptr ? bot.ptr : "", bot.len);
    m->originals = o;
    b->originals_bytes += original.len;
    *out = o;
    return E_OK;
}

int mask_book_load_original(struct mask_book *b, struct slice kind, uint32_t number,
                            struct slice bot, struct slice original, int64_t until_ms,
                            struct err *err)
{
    uint32_t rank = mask_book_rank(b, kind, number);
    struct mask_original *o;

    if (rank == 0 || rank > b->settled)
        return E_OK;
    if (know(b, rank - 1, bot, original, &o) != E_OK)
        return err_set(err, E_NOMEM, "out of memory for an original");
    if (o) {
        o->kept = true;
        o->until_ms = until_ms;
        mask_book_note_until(b, until_ms);
    }
    return E_OK;
}

// The value of the mask at i was said now. Without memory its original stays unknown, or unkept.
static uint32_t say(struct mask_book *b, size_t i, const char *bot, struct slice original)
{
    struct mask_original *o;
    int code = know(b, i, slice_str(bot ? bot : ""), original, &o);

    if (code == E_OK && o && !o->kept && !o->said) {
        struct mask_original **said = vec_push(&b->said);
        o->said = said != NULL;
        if (said)
            *said = o;
    }
    return mask_book_at(b, (uint32_t)i)->number;
}

uint32_t mask_book_number(struct mask_book *b, const char *bot, struct slice kind,
                          struct slice value, struct slice original, bool known_only)
{
    char digest[MASK_DIGEST_BYTES], key[KEY_BYTES];

    if (kind.len == 0 || kind.len >= MASK_WORD_BYTES)
        return 0;
    b->digest(b->user, kind, value, digest);
    if (!digest[0])
        return 0;
    void *index = map_get(b->by_value, value_key(key, kind, digest));
    if (index && known_only && (uintptr_t)index > b->settled)
        return 0;
    if (index)
        return say(b, (size_t)(uintptr_t)index - 1, bot, original);
    struct mask_kind *known = known_only ? NULL : kind_of(b, kind);
    if (!known || add(b, kind, known->highest + 1, digest, NULL) != E_OK)
        return 0;
    return say(b, b->list.len - 1, bot, original);
}

// ---- what was said, and what ends

struct mask_original *mask_book_take_said(struct mask_book *b, const char *bot)
{
    for (size_t i = b->said.len; i > 0; i--) {
        struct mask_original *o = *VEC_AT(&b->said, struct mask_original *, i - 1);

        if (strcmp(o->bot, bot) != 0)
            continue;
        vec_remove(&b->said, i - 1);
        o->said = false;
        return o;
    }
    return NULL;
}

bool mask_book_any_said(const struct mask_book *b)
{
    return b->said.len > 0;
}

void mask_book_note_until(struct mask_book *b, int64_t until_ms)
{
    if (until_ms && (!b->first_until_ms || until_ms < b->first_until_ms))
        b->first_until_ms = until_ms;
}

void mask_book_expire(struct mask_book *b, int64_t now_ms)
{
    if (!b->first_until_ms || now_ms < b->first_until_ms)
        return;
    b->first_until_ms = 0;
    for (size_t i = 0; i < b->list.len; i++) {
        struct mask_original **at = &VEC_AT(&b->list, struct mask, i)->originals;

        while (*at) {
            if ((*at)->kept && (*at)->until_ms && (*at)->until_ms <= now_ms) {
                forget_original(b, at);
                continue;
            }
            if ((*at)->kept)
                mask_book_note_until(b, (*at)->until_ms);
            at = &(*at)->next;
        }
    }
}

// ---- dropping

void mask_book_drop(struct mask_book *b)
{
    while (b->list.len > b->settled) {
        struct mask *m = vec_at(&b->list, b->list.len - 1);
        char key[KEY_BYTES];

        map_remove(b->by_value, value_key(key, slice_str(m->kind), m->digest));
        map_remove(b->by_name, name_key(key, slice_str(m->kind), m->number));
        kind_of(b, slice_str(m->kind))->highest--;  // they were given in a row
        forget_originals(b, m);
        vec_remove(&b->list, b->list.len - 1);
    }
}

void mask_book_forget_originals(struct mask_book *b)
{
    clear_said(b);
    for (size_t i = 0; i < b->list.len; i++) {
        struct mask_original **at = &VEC_AT(&b->list, struct mask, i)->originals;

        while (*at) {
            if ((*at)->kept)
                at = &(*at)->next;
            else
                forget_original(b, at);
        }
    }
}

// ---- the shape

static bool is_capital(char c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

// text is NAME_N, without the bracket.
static bool read_name(struct slice text, struct mask_shape *out)
{
    size_t digits = 0;

    while (digits < text.len && is_digit(text.ptr[text.len - 1 - digits]))
        digits++;
    if (digits == 0 || digits > NUMBER_DIGITS_MAX || digits + 2 > text.len ||
        text.ptr[text.len - digits - 1] != '_' || text.len - digits - 1 >= MASK_WORD_BYTES)
        return false;
    const char *at = text.ptr + text.len - digits;
    if (*at == '0' && digits > 1)
        return false;
    out->number = 0;
    for (size_t i = 0; i < digits; i++)
        out->number = out->number * 10 + (uint32_t)(at[i] - '0');
    out->name = slice_of(text.ptr, text.len - digits - 1);
    return true;
}

enum mask_seen mask_shape_at(struct slice text, size_t at, struct mask_shape *out)
{
    size_t i = at;

    while (i < text.len && i - at < MASK_NAME_BYTES &&
           (is_capital(text.ptr[i]) || (i > at && (text.ptr[i] == '_' || is_digit(text.ptr[i])))))
        i++;
    if (i == text.len)
        return MASK_OPEN;
    if (text.ptr[i] != ']' || !read_name(slice_of(text.ptr + at, i - at), out))
        return MASK_NO;
    out->start = at;
    out->end = i + 1;
    return MASK_YES;
}

bool mask_book_lacks(const struct mask_book *b, uint32_t known, struct slice text)
{
    struct mask_shape shape;
    size_t at = 0;

    while (at < text.len) {
        const char *bracket = memchr(text.ptr + at, '[', text.len - at);
        if (!bracket)
            return false;
        at = (size_t)(bracket - text.ptr) + 1;
        if (mask_shape_at(text, at, &shape) == MASK_YES && shape.number) {
            uint32_t rank = mask_book_rank(b, shape.name, shape.number);
            if (rank == 0 || rank > known)
                return true;
        }
    }
    return false;
}

void mask_write(struct buf *out, struct slice kind, uint32_t number)
{
    char key[KEY_BYTES];

    buf_add_char(out, '[');
    buf_add_slice(out, name_key(key, kind, number));
    buf_add_char(out, ']');
}
