// SPDX-License-Identifier: MIT
// memory.c: records in memory, gone with the process. "memory:" is the opener's own; all that open
// "memory:NAME" in one process share one space while any of them has it open.
//
// An op takes effect whole inside submit, under the space's lock, so the order of submission is the
// order of effect; completions are posted after. Any thread.
#include "store/store_int.h"

#include "base/id.h"
#include "base/mem.h"
#include "store/tree.h"

#include <pthread.h>

// First member of whatever is found by partition and key.
struct name {
    struct tree_node node;
    struct slice partition, key;
};

// A record; its bytes follow it in the same allocation. Replaced, not changed, by a put.
struct entry {
    struct name name;
    struct tree_node due_node;  // in by_due while due_at_ms is not 0
    struct record record;
    char bytes[];
};

struct lease_entry {
    struct name name;
    struct lease lease;
    char bytes[];
};

// A partition that is erased; its key is empty.
struct closed_entry {
    struct name name;
    char bytes[];
};

struct memory_store;

struct space {
    char *name;                   // NULL: private
    struct space *next;           // in the registry
    unsigned refs;                // under the registry's lock
    pthread_mutex_t lock;         // guards all below
    struct tree by_key;           // struct entry
    struct tree by_due;           // struct entry
    struct tree leases;           // struct lease_entry
    struct tree erased;           // struct closed_entry
    uint64_t epochs;              // given out so far
    struct memory_store *stores;  // open on this space
};

struct memory_store {
    struct store store;
    struct space *space;
    struct memory_store *next;
    const struct clock *clock;
    bool read_only;
    char claim[17];
};

// The spaces that have a name. Process-wide, because that is what sharing by name means.
static struct {
    pthread_mutex_t lock;
    struct space *first;
} registry = {PTHREAD_MUTEX_INITIALIZER, NULL};

static struct memory_store *store_of(struct store *s)
{
    return CONTAINER_OF(s, struct memory_store, store);
}

static struct entry *entry_of(struct tree_node *node)
{
    return node ? CONTAINER_OF(node, struct entry, name.node) : NULL;
}

static const struct name *name_of(const struct tree_node *node)
{
    return (const struct name *)(const void *)node;
}

static int order_names(const struct tree_node *a, const struct tree_node *b)
{
    const struct name *x = name_of(a), *y = name_of(b);
    int order = slice_cmp(x->partition, y->partition);
    return order ? order : slice_cmp(x->key, y->key);
}

static const struct entry *due_entry(const struct tree_node *node)
{
    return (const struct entry *)(const void *)((const char *)node -
                                                offsetof(struct entry, due_node));
}

static int order_due(const struct tree_node *a, const struct tree_node *b)
{
    const struct entry *x = due_entry(a), *y = due_entry(b);
    if (x->record.due_at_ms != y->record.due_at_ms)
        return x->record.due_at_ms < y->record.due_at_ms ? -1 : 1;
    return order_names(&x->name.node, &y->name.node);
}

static struct name probe(struct slice partition, struct slice key)
{
    return (struct name){.partition = partition, .key = key};
}

static struct tree_node *find(const struct tree *t, struct slice partition, struct slice key)
{
    struct name wanted = probe(partition, key);
    struct tree_node *node = tree_at_or_after(t, &wanted.node);
    return node && order_names(node, &wanted.node) == 0 ? node : NULL;
}

// --- reads ------------------------------------------------------------------------------------

static void do_get(struct space *sp, struct store_op *op)
{
    struct entry *e = entry_of(find(&sp->by_key, op->partition, op->key));
    if (e)
        op_add_row(op, &e->record);
}

static bool in_range(const struct entry *e, const struct store_op *op,
                     const struct key_range *range)
{
    return slice_eq(e->record.partition, op->partition) &&
           slice_cmp(e->record.key, slice_of(range->lo, range->lo_len)) >= 0 &&
           (range->open_end || slice_cmp(e->record.key, slice_of(range->hi, range->hi_len)) < 0);
}

// The last node of a partition.
static struct tree_node *partition_end(struct space *sp, struct slice partition)
{
    char after[STORE_PARTITION_BYTES_MAX + 1];
    memcpy(after, partition.ptr, partition.len);
    after[partition.len] = 0;
    struct name wanted = probe(slice_of(after, partition.len + 1), SLICE_NONE);
    return tree_before(&sp->by_key, &wanted.node);
}

static void do_scan(struct space *sp, struct store_op *op)
{
    struct key_range range;
    rule_range(op, &range);
    struct tree_node *node = NULL;
    if (!op->backwards) {
        struct name wanted = probe(op->partition, slice_of(range.lo, range.lo_len));
        node = tree_at_or_after(&sp->by_key, &wanted.node);
    } else if (range.open_end) {
        node = partition_end(sp, op->partition);
    } else {
        struct name wanted = probe(op->partition, slice_of(range.hi, range.hi_len));
        node = tree_before(&sp->by_key, &wanted.node);
    }
    for (; node && in_range(entry_of(node), op, &range);
         node = op->backwards ? tree_prev(node) : tree_next(node)) {
        if (op->rows_len == op->limit) {
            op->more = true;
            return;
        }
        if (!op_add_row(op, &entry_of(node)->record))
            return;
    }
}

static void do_due(struct space *sp, struct store_op *op)
{
    struct entry *cursor = NULL;
    if (op->after.len)
        cursor = entry_of(find(&sp->by_key, op->partition, op->after));
    struct tree_node *node = cursor && cursor->record.due_at_ms ? tree_next(&cursor->due_node)
                                                                : tree_first(&sp->by_due);
    for (; node && due_entry(node)->record.due_at_ms < op->before_ms; node = tree_next(node)) {
        if (op->rows_len == op->limit) {
            op->more = true;
            return;
        }
        if (!op_add_row(op, &due_entry(node)->record))
            return;
    }
}

static void do_partitions(struct space *sp, struct store_op *op)
{
    struct tree_node *node = NULL;
    if (op->after.len) {
        node = partition_end(sp, op->after);
        node = node ? tree_next(node) : tree_first(&sp->by_key);
    } else {
        node = tree_first(&sp->by_key);
    }
    for (; node; node = tree_next(partition_end(sp, name_of(node)->partition))) {
        if (op->rows_len == op->limit) {
            op->more = true;
            return;
        }
        struct record row = {.partition = name_of(node)->partition};
        if (!op_add_row(op, &row))
            return;
    }
}

static void do_claim_alive(struct space *sp, struct store_op *op)
{
    for (const struct memory_store *s = sp->stores; s; s = s->next)
        op->alive |= slice_is(op->key, s->claim);
}

// --- writes -----------------------------------------------------------------------------------

static struct slice put_bytes(char **at, struct slice s)
{
    char *start = *at;
    if (s.len)
        memcpy(start, s.ptr, s.len);
    *at += s.len;
    return (struct slice){start, s.len};
}

static struct entry *entry_new(const struct store_op *op, const struct store_item *item,
                               struct held after)
{
    struct entry *e = mem_zalloc(sizeof *e + op->partition.len + item->key.len + item->meta.len +
                                 item->body.bytes.len);
    if (!e)
        return NULL;
    char *at = e->bytes;
    e->record = (struct record){
        .partition = put_bytes(&at, op->partition),
        .key = put_bytes(&at, item->key),
        .version = after.version,
        .due_at_ms = item->due_at_ms,
        .count = after.count,
        .meta = put_bytes(&at, item->meta),
        .body.bytes = put_bytes(&at, item->body.bytes),
    };
    e->name.partition = e->record.partition;
    e->name.key = e->record.key;
    return e;
}

static void entry_insert(struct space *sp, struct entry *e)
{
    tree_insert(&sp->by_key, &e->name.node);
    if (e->record.due_at_ms)
        tree_insert(&sp->by_due, &e->due_node);
}

static void entry_remove(struct space *sp, struct entry *e)
{
    tree_remove(&sp->by_key, &e->name.node);
    if (e->record.due_at_ms)
        tree_remove(&sp->by_due, &e->due_node);
    mem_free(e);
}

static int check_fence(struct space *sp, struct store_op *op)
{
    static const struct lease never_held = {0};
    if (!op->fence_epoch)
        return E_OK;
    struct tree_node *node = find(&sp->leases, op->partition, op->fence_key);
    return rule_fence(op, node ? &CONTAINER_OF(node, struct lease_entry, name.node)->lease
                               : &never_held);
}

struct change {
    struct entry *old, *fresh;
    struct held after;
};

// Decides every item and allocates what it needs, changing nothing.
static int prepare(struct space *sp, struct store_op *op, struct change *changes)
{
    for (uint32_t i = 0; i < op->items_len; i++) {
        struct store_item *item = &op->items[i];
        struct change *c = &changes[i];
        c->old = entry_of(find(&sp->by_key, op->partition, item->key));
        struct held before = {0};
        if (c->old)
            before = (struct held){c->old->record.version, c->old->record.count};
        if (rule_item(op, i, before, &c->after))
            return op->code;
        if (item->verb == STORE_DELETE || (item->verb == STORE_ADD && c->old))
            continue;
        c->fresh = entry_new(op, item, c->after);
        if (!c->fresh)
            return op_fail(op, E_NOMEM, "store: memory: out of memory for a record");
    }
    return E_OK;
}

static int check_open(struct space *sp, struct store_op *op)
{
    return find(&sp->erased, op->partition, SLICE_NONE) ? op_refuse_erased(op) : E_OK;
}

static void do_commit(struct space *sp, struct store_op *op)
{
    struct change changes[STORE_BATCH_ITEMS_MAX] = {{0}};
    if (check_open(sp, op) || check_fence(sp, op))
        return;
    if (prepare(sp, op, changes)) {
        for (uint32_t i = 0; i < op->items_len; i++)
            mem_free(changes[i].fresh);
        return;
    }
    for (uint32_t i = 0; i < op->items_len; i++) {
        struct store_item *item = &op->items[i];
        struct change *c = &changes[i];
        if (item->verb == STORE_ADD && c->old) {
            c->old->record.version = c->after.version;
            c->old->record.count = c->after.count;
        } else if (c->old) {
            entry_remove(sp, c->old);
        }
        if (c->fresh)
            entry_insert(sp, c->fresh);
        item->version = c->after.version;
        if (item->verb == STORE_ADD)
            item->count = c->after.count;
    }
}

static void do_drop(struct space *sp, struct store_op *op)
{
    struct name wanted = probe(op->partition, SLICE_NONE);
    struct tree_node *node = tree_at_or_after(&sp->by_key, &wanted.node);
    while (node && slice_eq(name_of(node)->partition, op->partition)) {
        struct tree_node *next = tree_next(node);
        entry_remove(sp, entry_of(node));
        node = next;
    }
    node = tree_at_or_after(&sp->leases, &wanted.node);
    while (node && slice_eq(name_of(node)->partition, op->partition)) {
        struct tree_node *next = tree_next(node);
        tree_remove(&sp->leases, node);
        mem_free(CONTAINER_OF(node, struct lease_entry, name.node));
        node = next;
    }
}

static void do_erase(struct space *sp, struct store_op *op)
{
    if (!find(&sp->erased, op->partition, SLICE_NONE)) {
        struct closed_entry *e = mem_zalloc(sizeof *e + op->partition.len);
        if (!e) {
            op_fail(op, E_NOMEM, "store: memory: out of memory for the name of what is erased");
            return;
        }
        char *at = e->bytes;
        e->name.partition = put_bytes(&at, op->partition);
        tree_insert(&sp->erased, &e->name.node);
    }
    do_drop(sp, op);
}

static void do_lease(struct memory_store *s, struct store_op *op)
{
    struct space *sp = s->space;
    if (check_open(sp, op))
        return;
    struct tree_node *node = find(&sp->leases, op->partition, op->key);
    struct lease lease = {0};
    if (node)
        lease = CONTAINER_OF(node, struct lease_entry, name.node)->lease;
    if (rule_lease(op, &lease, clock_wall_ms(s->clock), sp->epochs + 1))
        return;
    struct lease_entry *e = node ? CONTAINER_OF(node, struct lease_entry, name.node) : NULL;
    if (!e) {
        e = mem_zalloc(sizeof *e + op->partition.len + op->key.len);
        if (!e) {
            op_fail(op, E_NOMEM, "store: memory: out of memory for a lease");
            return;
        }
        char *at = e->bytes;
        e->name.partition = put_bytes(&at, op->partition);
        e->name.key = put_bytes(&at, op->key);
        tree_insert(&sp->leases, &e->name.node);
    }
    if (lease.epoch > sp->epochs)
        sp->epochs = lease.epoch;
    e->lease = lease;
    op->epoch = op->holder.len ? lease.epoch : 0;
}

static void memory_submit(struct store *store, struct store_op *op)
{
    struct memory_store *s = store_of(store);
    struct space *sp = s->space;
    if (s->read_only && op_writes(op)) {
        op_refuse_read_only(op);
        op_complete(op);
        return;
    }
    pthread_mutex_lock(&sp->lock);
    switch (op->verb) {
    case STORE_GET: do_get(sp, op); break;
    case STORE_SCAN: do_scan(sp, op); break;
    case STORE_DUE: do_due(sp, op); break;
    case STORE_PARTITIONS: do_partitions(sp, op); break;
    case STORE_COMMIT: do_commit(sp, op); break;
    case STORE_DROP: do_drop(sp, op); break;
    case STORE_ERASE: do_erase(sp, op); break;
    case STORE_LEASE: do_lease(s, op); break;
    case STORE_CLAIM_ALIVE: do_claim_alive(sp, op); break;
    case STORE_CHECK: break;  // nothing that could be damaged
    }
    pthread_mutex_unlock(&sp->lock);
    op_complete(op);
}

// --- life -------------------------------------------------------------------------------------

static struct space *space_new(const char *name)
{
    struct space *sp = mem_zalloc(sizeof *sp);
    if (!sp)
        return NULL;
    if (name[0] && !(sp->name = mem_strdup(name))) {
        mem_free(sp);
        return NULL;
    }
    pthread_mutex_init(&sp->lock, NULL);
    sp->by_key = (struct tree)TREE_INIT(order_names);
    sp->by_due = (struct tree)TREE_INIT(order_due);
    sp->leases = (struct tree)TREE_INIT(order_names);
    sp->erased = (struct tree)TREE_INIT(order_names);
    return sp;
}

static void space_free(struct space *sp)
{
    for (struct tree_node *node; (node = tree_first(&sp->by_key));)
        entry_remove(sp, entry_of(node));
    for (struct tree_node *node; (node = tree_first(&sp->leases));) {
        tree_remove(&sp->leases, node);
        mem_free(CONTAINER_OF(node, struct lease_entry, name.node));
    }
    for (struct tree_node *node; (node = tree_first(&sp->erased));) {
        tree_remove(&sp->erased, node);
        mem_free(CONTAINER_OF(node, struct closed_entry, name.node));
    }
    pthread_mutex_destroy(&sp->lock);
    mem_free(sp->name);
    mem_free(sp);
}

static struct space *space_ref(const char *name)
{
    pthread_mutex_lock(&registry.lock);
    struct space *sp = name[0] ? registry.first : NULL;
    while (sp && strcmp(sp->name, name) != 0)
        sp = sp->next;
    if (!sp && (sp = space_new(name)) && sp->name) {
        sp->next = registry.first;
        registry.first = sp;
    }
    if (sp)
        sp->refs++;
    pthread_mutex_unlock(&registry.lock);
    return sp;
}

static void space_unref(struct space *sp)
{
    pthread_mutex_lock(&registry.lock);
    bool last = --sp->refs == 0;
    if (last && sp->name) {
        struct space **link = &registry.first;
        while (*link != sp)
            link = &(*link)->next;
        *link = sp->next;
    }
    pthread_mutex_unlock(&registry.lock);
    if (last)
        space_free(sp);
}

static int memory_open(struct store **out, const char *rest, const struct store_env *env,
                       struct err *err)
{
    struct memory_store *s = mem_zalloc(sizeof *s);
    if (s)
        s->space = space_ref(rest);
    if (!s || !s->space) {
        mem_free(s);
        return err_set(err, E_NOMEM, "store: memory: out of memory");
    }
    s->store.ops = &store_memory;
    s->clock = env->clock;
    s->read_only = env->read_only;
    unsigned char nonce[8];
    rand_fill(env->rand, nonce, sizeof nonce);
    hex_encode(nonce, sizeof nonce, s->claim);
    pthread_mutex_lock(&s->space->lock);
    s->next = s->space->stores;
    s->space->stores = s;
    pthread_mutex_unlock(&s->space->lock);
    *out = &s->store;
    return E_OK;
}

static const char *memory_claim(struct store *store)
{
    return store_of(store)->claim;
}

static int memory_migrate(const char *rest, bool dry_run, struct buf *report, struct err *err)
{
    (void)rest;
    (void)dry_run;
    buf_add_str(report, "memory: keeps no files, nothing to migrate\n");
    return buf_check(report, "report", err);
}

static void memory_free(struct store *store)
{
    struct memory_store *s = store_of(store);
    pthread_mutex_lock(&s->space->lock);
    struct memory_store **link = &s->space->stores;
    while (*link != s)
        link = &(*link)->next;
    *link = s->next;
    pthread_mutex_unlock(&s->space->lock);
    space_unref(s->space);
    mem_free(s);
}

const struct store_ops store_memory = {
    .name = "memory",
    .description = "in memory, gone with the process",
    .url_form = "memory:[NAME]",
    .open = memory_open,
    .submit = memory_submit,
    .claim = memory_claim,
    .migrate = memory_migrate,
    .free = memory_free,
};
