// SPDX-License-Identifier: MIT
// facts.c: the book of facts: its slots, who owns them, and reading them. See facts.h.
#include "memory/facts_int.h"

#include "base/mem.h"
#include "memory/alike.h"

enum { DIGEST_TEXT_BYTES_MAX = 256 << 10, ID_PREFIX_DIGITS_MIN = 4 };

// ---- life

int fact_book_new(struct fact_book **out, const char *bot, const struct fact_digest *digest,
                  struct err *err)
{
    struct fact_book *b = mem_zalloc(sizeof(*b));

    *out = b;
    if (!b)
        return err_set(err, E_NOMEM, "out of memory for a user's facts");
    memcpy(b->bot, bot, strnlen(bot, sizeof(b->bot) - 1));
    b->digest = *digest;
    vec_init(&b->entries, sizeof(struct book_entry), (size_t)BOOK_SLOTS_MAX * 2);
    vec_init(&b->damaged, sizeof(struct damaged_slot), BOOK_SLOTS_MAX);
    return E_OK;
}

static void shared_release(struct shared_slot *s)
{
    if (--s->refs)
        return;
    fact_slot_release(&s->slot);
    mem_free(s);
}

void fact_book_free(struct fact_book *b)
{
    if (!b)
        return;
    for (size_t i = 0; i < b->entries.len; i++)
        shared_release(VEC_AT(&b->entries, struct book_entry, i)->shared);
    vec_release(&b->entries);
    vec_release(&b->damaged);
    mem_free(b);
}

int fact_book_copy(struct fact_book **out, const struct fact_book *b, struct err *err)
{
    struct fact_book *copy;
    int code = fact_book_new(&copy, b->bot, &b->digest, err);

    *out = NULL;
    if (code)
        return code;
    if (!vec_reserve(&copy->entries, b->entries.len) ||
        !vec_reserve(&copy->damaged, b->damaged.len)) {
        fact_book_free(copy);
        return err_set(err, E_NOMEM, "out of memory for a user's facts");
    }
    for (size_t i = 0; i < b->entries.len; i++) {
        const struct book_entry *e = VEC_AT(&b->entries, struct book_entry, i);

        e->shared->refs++;
        *(struct book_entry *)vec_push(&copy->entries) = *e;
    }
    for (size_t i = 0; i < b->damaged.len; i++)
        *(struct damaged_slot *)vec_push(&copy->damaged) =
            *VEC_AT(&b->damaged, struct damaged_slot, i);
    *out = copy;
    return E_OK;
}

size_t fact_book_bytes(const struct fact_book *b)
{
    size_t n = sizeof(*b) + b->entries.cap * sizeof(struct book_entry) +
               b->damaged.cap * sizeof(struct damaged_slot);

    for (uint32_t i = 0; i < b->entries.len; i++) {
        const struct fact_slot *s = book_slot(b, i);

        n += sizeof(struct shared_slot) + s->facts.cap * sizeof(struct fact);
        for (size_t k = 0; k < s->facts.len; k++) {
            const struct fact *f = fact_slot_at(s, k);

            n += f->value.inner.cap + f->evidence.cap * f->evidence.item_bytes +
                 f->earlier.cap * f->earlier.item_bytes + f->turns.cap * f->turns.item_bytes;
        }
    }
    return n;
}

// ---- digests

static int digest_of(const struct fact_book *b, const struct slice *parts, unsigned len,
                     char out[FACT_SLOT_BYTES], struct err *err)
{
    struct buf text = BUF_INIT(DIGEST_TEXT_BYTES_MAX);

    // Lengths in front, so that no two lists of parts are one text.
    for (unsigned i = 0; i < len; i++) {
        buf_add_u64(&text, parts[i].len);
        buf_add_char(&text, ' ');
        buf_add_slice(&text, parts[i]);
    }
    int code = buf_check(&text, "a fact", err);
    if (!code)
        code = b->digest.make(b->digest.user, buf_slice(&text), out, err);
    buf_release(&text);
    return code;
}

int book_slot_digest(const struct fact_book *b, const struct fact_slot *slot,
                     char out[FACT_SLOT_BYTES], struct err *err)
{
    struct buf subject = BUF_INIT(DIGEST_TEXT_BYTES_MAX);
    int code = alike_normal(slice_str(slot->subject), &subject, err);
    struct slice parts[] = {SLICE_LIT("slot"), slice_str(b->bot),
                            slice_str(fact_tier_word(slot->tier)), slice_str(slot->scope),
                            buf_slice(&subject), slice_str(slot->predicate)};

    if (!code)
        code = digest_of(b, parts, sizeof(parts) / sizeof(parts[0]), out, err);
    buf_release(&subject);
    return code;
}

int book_fact_id(const struct fact_book *b, const struct fact_slot *slot, struct slice value,
                 char out[FACT_ID_BYTES], struct err *err)
{
    struct buf normal = BUF_INIT(DIGEST_TEXT_BYTES_MAX);
    char digest[FACT_SLOT_BYTES];
    int code = alike_normal(value, &normal, err);
    struct slice parts[] = {SLICE_LIT("fact"), slice_str(slot->digest), buf_slice(&normal)};

    if (!code)
        code = digest_of(b, parts, sizeof(parts) / sizeof(parts[0]), digest, err);
    if (!code) {
        memcpy(out, digest, FACT_ID_BYTES - 1);
        out[FACT_ID_BYTES - 1] = '\0';
    }
    buf_release(&normal);
    return code;
}

// ---- slots

bool book_find_slot(const struct fact_book *b, enum fact_tier tier, const char *digest,
                    uint32_t *at)
{
    uint32_t low = 0, high = (uint32_t)b->entries.len;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct fact_slot *s = book_slot(b, middle);
        int order = s->tier != tier ? (int)s->tier - (int)tier : strcmp(s->digest, digest);

        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *at = low;
    return low < b->entries.len && book_slot(b, low)->tier == tier &&
           strcmp(book_slot(b, low)->digest, digest) == 0;
}

static int insert(struct fact_book *b, uint32_t at, struct fact_slot *slot, bool dirty,
                  struct err *err)
{
    struct shared_slot *s = mem_alloc(sizeof(*s));
    struct book_entry *e = s ? vec_insert(&b->entries, at) : NULL;

    if (!e) {
        mem_free(s);
        return err_set(err, E_NOMEM, "out of memory for a user's facts");
    }
    *s = (struct shared_slot){*slot, 1};
    *e = (struct book_entry){s, dirty};
    fact_slot_init(slot, slot->tier);
    return E_OK;
}

static bool only_quarantined(const struct fact_slot *s)
{
    return fact_slot_count(s, FACT_QUARANTINED) == s->facts.len;
}

// A slot that holds only what nobody vouches for makes room: the one that has been there longest.
// It is empty then, and its record goes with the next commit.
static int make_room(struct fact_book *b, struct err *err)
{
    uint32_t found = UINT32_MAX;
    int64_t oldest = INT64_MAX;

    for (uint32_t i = 0; i < b->entries.len; i++) {
        const struct fact_slot *s = book_slot(b, i);

        if (s->facts.len && only_quarantined(s) && fact_slot_at(s, 0)->recorded_at_ms < oldest) {
            oldest = fact_slot_at(s, 0)->recorded_at_ms;
            found = i;
        }
    }
    struct fact_slot *slot;
    int code = found == UINT32_MAX ? E_REFUSED : book_own(b, found, &slot, err);
    for (size_t i = 0; !code && i < slot->facts.len; i++)
        fact_release(fact_slot_at(slot, i));
    if (!code)
        vec_clear(&slot->facts);
    return code;
}

static uint32_t slots_in_use(const struct fact_book *b)
{
    uint32_t n = (uint32_t)b->damaged.len;

    for (uint32_t i = 0; i < b->entries.len; i++)
        n += book_slot(b, i)->facts.len > 0;
    return n;
}

int book_add_slot(struct fact_book *b, struct fact_slot *slot, uint32_t *at, struct err *err)
{
    int code = slots_in_use(b) >= BOOK_SLOTS_MAX ? make_room(b, err) : E_OK;

    if (code)
        return code;
    book_find_slot(b, slot->tier, slot->digest, at);
    return insert(b, *at, slot, true, err);
}

int book_own(struct fact_book *b, uint32_t i, struct fact_slot **out, struct err *err)
{
    struct book_entry *e = VEC_AT(&b->entries, struct book_entry, i);

    if (e->shared->refs > 1) {
        struct shared_slot *own = mem_alloc(sizeof(*own));
        int code = own ? fact_slot_copy(&own->slot, &e->shared->slot, err)
                       : err_set(err, E_NOMEM, "out of memory for a user's facts");

        if (code) {
            mem_free(own);
            return code;
        }
        own->refs = 1;
        shared_release(e->shared);
        e->shared = own;
    }
    e->dirty = true;
    *out = &e->shared->slot;
    return E_OK;
}

bool book_is_damaged(const struct fact_book *b, enum fact_tier tier, const char *digest)
{
    for (size_t i = 0; i < b->damaged.len; i++) {
        const struct damaged_slot *d = VEC_AT(&b->damaged, struct damaged_slot, i);

        if (d->tier == tier && strcmp(d->digest, digest) == 0)
            return true;
    }
    return false;
}

static int check_put(const struct fact_book *b, const struct fact_slot *slot, uint32_t *at,
                     struct err *err)
{
    char digest[FACT_SLOT_BYTES];
    int code = book_slot_digest(b, slot, digest, err);

    if (code)
        return code;
    if (strcmp(digest, slot->digest) != 0)
        return err_set(err, E_CORRUPT, "facts in a record that is not theirs; run `parley verify`");
    if (book_find_slot(b, slot->tier, slot->digest, at))
        return err_set(err, E_CORRUPT, "the same facts twice; run `parley verify`");
    if (b->entries.len + b->damaged.len >= BOOK_SLOTS_MAX)
        return err_set(err, E_REFUSED, "more than %d things are remembered", BOOK_SLOTS_MAX);
    return E_OK;
}

int fact_book_put_slot(struct fact_book *b, struct fact_slot *slot, struct err *err)
{
    uint32_t at = 0;
    int code = check_put(b, slot, &at, err);

    if (!code)
        code = insert(b, at, slot, false, err);
    fact_slot_release(slot);
    return code;
}

int fact_book_put_damaged(struct fact_book *b, enum fact_tier tier, struct slice digest,
                          struct err *err)
{
    struct damaged_slot *d = vec_push(&b->damaged);

    if (!d)
        return b->damaged.len < BOOK_SLOTS_MAX
                   ? err_set(err, E_NOMEM, "out of memory for a user's facts")
                   : err_set(err, E_REFUSED, "more than %d things are remembered", BOOK_SLOTS_MAX);
    *d = (struct damaged_slot){.tier = tier};
    memcpy(d->digest, digest.ptr,
           digest.len < sizeof(d->digest) ? digest.len : sizeof(d->digest) - 1);
    return E_OK;
}

uint32_t fact_book_damaged(const struct fact_book *b)
{
    return (uint32_t)b->damaged.len;
}

// ---- reading

uint32_t fact_book_slots(const struct fact_book *b)
{
    return (uint32_t)b->entries.len;
}

const struct fact_slot *fact_book_slot(const struct fact_book *b, uint32_t i)
{
    return book_slot(b, i);
}

bool fact_book_next(const struct fact_book *b, struct fact_at *at)
{
    while (at->next_slot < b->entries.len) {
        const struct fact_slot *s = book_slot(b, at->next_slot);

        if (at->next_fact < s->facts.len) {
            at->slot = s;
            at->fact = fact_slot_at(s, at->next_fact++);
            return true;
        }
        at->next_slot++;
        at->next_fact = 0;
    }
    return false;
}

bool fact_book_next_active(const struct fact_book *b, struct fact_at *at)
{
    while (fact_book_next(b, at))
        if (at->fact->status == FACT_ACTIVE)
            return true;
    return false;
}

int fact_book_find(const struct fact_book *b, struct slice id, struct fact_at *at, struct err *err)
{
    struct fact_at each = FACT_AT_START;
    uint32_t found = 0;

    if (id.len >= ID_PREFIX_DIGITS_MIN)
        while (fact_book_next(b, &each))
            if (slice_starts(slice_str(each.fact->id), id)) {
                found++;
                *at = each;
            }
    if (found > 1)
        return err_set(err, E_USAGE, "several facts begin with %.*s: say more of it",
                       SLICE_FMT(id));
    return found ? E_OK
                 : err_set(err, E_NOT_FOUND, "no fact %.*s; `parley memory` lists them",
                           SLICE_FMT(id));
}

uint32_t fact_book_count(const struct fact_book *b, enum fact_tier tier, enum fact_status status)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < b->entries.len; i++)
        if (book_slot(b, i)->tier == tier)
            n += fact_slot_count(book_slot(b, i), status);
    return n;
}

bool fact_is_stale(const struct fact *f, const struct memory_rules *rules, int64_t now_ms)
{
    return f->status == FACT_ACTIVE && rules && rules->stale_ms > 0 &&
           now_ms - f->confirmed_at_ms >= rules->stale_ms;
}

// ---- what is to be written

bool fact_book_changed(const struct fact_book *b)
{
    return fact_book_dirty(b, NULL, 0) > 0;
}

uint32_t fact_book_dirty(const struct fact_book *b, struct fact_slot **out, uint32_t max)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < b->entries.len; i++) {
        struct book_entry *e = VEC_AT(&b->entries, struct book_entry, i);

        if (!e->dirty)
            continue;
        if (n < max)
            out[n] = &e->shared->slot;
        n++;
    }
    return n;
}

void fact_book_settle(struct fact_book *b)
{
    for (uint32_t i = 0; i < b->entries.len;) {
        struct book_entry *e = VEC_AT(&b->entries, struct book_entry, i);

        e->dirty = false;
        if (e->shared->slot.facts.len) {
            i++;
            continue;
        }
        shared_release(e->shared);
        vec_remove(&b->entries, i);
    }
}
