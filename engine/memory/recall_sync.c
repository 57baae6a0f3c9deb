// SPDX-License-Identifier: MIT
// recall_sync.c: one pass over the memories of an index (recall_sync.h). A table of those that it
// holds, in order, is looked up by each that is kept; one walk over the documents marks the others.
#include "memory/recall_sync.h"

#include "base/mem.h"
#include "memory/recall_int.h"
#include <stdlib.h>

#define DAY_MS (24LL * 3600 * 1000)

struct held {
    char name[RECALL_NAME_BYTES];
    uint32_t stamp, doc;
    uint8_t kind, part;
    bool kept;
    struct segment *segment;  // that holds it; NULL: the tail
};

struct recall_sync {
    struct recall *r;
    struct vec held;           // struct held, in order
    const struct slice *only;  // borrowed; during recall_sync_begin
    size_t only_len;
};

static uint32_t hash_bytes(uint32_t hash, const void *bytes, size_t len)
{
    // FNV-1a: told apart, not kept secret.
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ ((const unsigned char *)bytes)[i]) * UINT32_C(16777619);
    return hash;
}

uint32_t recall_stamp(const struct recall_item *item)
{
    uint32_t hash = UINT32_C(2166136261);
    uint64_t day = (uint64_t)(item->at_ms / DAY_MS);
    unsigned char days[8];

    for (unsigned i = 0; i < sizeof(days); i++)
        days[i] = (unsigned char)(day >> 8 * i);
    hash = hash_bytes(hash, days, sizeof(days));
    hash = hash_bytes(hash, item->context.ptr, item->context.len);
    hash = hash_bytes(hash, "", 1);
    return hash_bytes(hash, item->text.ptr, item->text.len);
}

static int by_identity(const void *a, const void *b)
{
    const struct held *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    if (!order)
        order = (x->kind > y->kind) - (x->kind < y->kind);
    if (!order)
        order = (x->part > y->part) - (x->part < y->part);
    return order ? order : (x->stamp > y->stamp) - (x->stamp < y->stamp);
}

static void identify(struct held *h, unsigned kind, struct slice name, uint8_t part, uint32_t stamp)
{
    *h = (struct held){.stamp = stamp, .kind = (uint8_t)kind, .part = part};
    memcpy(h->name, name.ptr, name.len);
}

static bool is_asked(const struct recall_sync *s, struct slice name)
{
    for (size_t i = 0; i < s->only_len; i++)
        if (slice_eq(s->only[i], name))
            return true;
    return s->only_len == 0;
}

static bool hold(struct recall_sync *s, const struct doc *d, struct slice name,
                 struct segment *segment, uint32_t at)
{
    if (!is_asked(s, name))
        return true;
    struct held *h = vec_push(&s->held);
    if (!h)
        return false;
    // Nobody keeps one without a name: one that is too long goes.
    identify(h, d->kind, name.len < RECALL_NAME_BYTES ? name : SLICE_LIT(""), d->step, d->turn);
    h->segment = segment;
    h->doc = at;
    return true;
}

static bool hold_all(struct recall_sync *s)
{
    struct recall *r = s->r;
    size_t sealed = r->pieces.len - r->tail_viewed;
    bool ok = true;

    for (size_t i = 0; i < sealed; i++) {
        struct segment *g = VEC_AT(&r->pieces, struct piece, i)->segment;
        for (uint32_t k = 0; k < g->docs_len && ok; k++)
            if (g->docs[k].kind != RECALL_TURN && !g->dead[k])
                ok = hold(s, &g->docs[k], g->sessions[g->docs[k].session].id, g, k);
    }
    for (uint32_t k = 0; k < segment_builder_docs(r->tail) && ok; k++) {
        struct slice name;
        const struct doc *d = segment_builder_doc(r->tail, k, &name);
        if (d->kind != RECALL_TURN && !*VEC_AT(&r->tail_dead, uint8_t, k))
            ok = hold(s, d, name, NULL, k);
    }
    return ok;
}

int recall_sync_begin(struct recall_sync **out, struct recall *r, const struct slice *only,
                      size_t only_len, struct err *err)
{
    struct recall_sync *s = mem_zalloc(sizeof(*s));

    *out = NULL;
    if (s) {
        s->r = r;
        s->only = only;
        s->only_len = only_len;
        vec_init(&s->held, sizeof(struct held), RECALL_DOCS_MAX);
    }
    if (!s || !hold_all(s)) {
        recall_sync_end(s, true);
        return err_set(err, E_NOMEM, "memory: out of memory for what is remembered");
    }
    if (s->held.len)
        qsort(s->held.ptr, s->held.len, sizeof(struct held), by_identity);
    *out = s;
    return E_OK;
}

// The first of those that it holds of this one.
static struct held *find(struct recall_sync *s, const struct held *key)
{
    struct held *list = s->held.ptr;
    size_t low = 0, high = s->held.len;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (by_identity(&list[middle], key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < s->held.len && by_identity(&list[low], key) == 0 ? &list[low] : NULL;
}

int recall_sync_keep(struct recall_sync *s, struct recall_item *item, struct err *err)
{
    struct held key;

    if (item->kind == RECALL_TURN || !item->session.len || item->session.len >= RECALL_NAME_BYTES)
        return err_set(err, E_USAGE, "memory: a memory has a name of less than %d bytes",
                       RECALL_NAME_BYTES);
    item->turn = recall_stamp(item);
    identify(&key, item->kind, item->session, item->step, item->turn);
    struct held *held = find(s, &key);
    if (held) {
        held->kept = true;
        return E_OK;
    }
    return recall_add(s->r, item, err);
}

uint32_t recall_sync_end(struct recall_sync *s, bool give_up)
{
    uint32_t n = 0;

    for (size_t i = 0; s && i < s->held.len && !give_up; i++) {
        const struct held *h = VEC_AT(&s->held, struct held, i);
        if (h->kept)
            continue;
        n++;
        if (h->segment) {
            h->segment->dead[h->doc] = 1;
            h->segment->dead_len++;
        } else {
            *VEC_AT(&s->r->tail_dead, uint8_t, h->doc) = 1;
        }
    }
    if (n)
        recall_drop_tail_view(s->r);
    if (s)
        vec_release(&s->held);
    mem_free(s);
    return n;
}
