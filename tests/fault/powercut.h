// SPDX-License-Identifier: MIT
// powercut.h: what a disk may hold after a power cut, at any place in a recording.
//
//   recording ──cutter_step──▶ durable files ─┐
//                              unsynced events ┴─cutter_cut, by dice─▶ a disk after the cut
//
// Unsynced bytes are kept, dropped or garbled piece by piece (pages of 4 KiB, or sectors of 512
// bytes: a torn page), each by itself; so are truncates, sizes, and what was made or deleted in
// the folder. A dropped piece below a kept one reads as zeros, or as noise. Bytes that were not
// written are not harmed: the disk keeps the promise that SQLite's own VFS makes for it.
// Header only; one thread.
#ifndef TESTS_FAULT_POWERCUT_H
#define TESTS_FAULT_POWERCUT_H

#include "fault/vfs_powercut.h"

enum { PAGE_BYTES = 4096, SECTOR_BYTES = 512, DICE = 256, NO_INODE = -1 };

struct cut_inode {
    struct blob durable;
    uint32_t *unsynced;  // events, in order
    size_t len, cap;
};

// What a folder's name may mean after a cut: the last durable inode, or a later one.
struct cut_name {
    int inodes[INODES_MAX];
    uint32_t at[INODES_MAX];  // the event that made it so
    uint32_t len;             // [0] is durable
};

struct cutter {
    const struct recording *recording;  // borrowed
    size_t at;                          // so many events have happened
    size_t unsynced;                    // so many of them may be undone
    struct cut_inode inodes[INODES_MAX];
    struct cut_name names[NAMES];
    uint64_t dice;
    bool lies;         // control: a disk that tells of a sync and does none
    bool harms_pages;  // control: a garbled write garbles the whole page that it is part of
};

static inline uint64_t roll(uint64_t *dice)
{
    *dice ^= *dice >> 12;
    *dice ^= *dice << 25;
    *dice ^= *dice >> 27;
    return *dice * 0x2545f4914f6cdd1dull;
}

static inline size_t roll_below(uint64_t *dice, size_t n)
{
    return (size_t)((roll(dice) >> 32) * n >> 32);
}

static inline void cutter_init(struct cutter *c, const struct recording *r, uint64_t seed)
{
    memset(c, 0, sizeof(*c));
    c->recording = r;
    c->dice = seed * 2 + 1;
    int inode = 0;
    for (int i = 0; i < NAMES; i++) {
        c->names[i].len = 1;
        c->names[i].inodes[0] = r->had[i] ? inode : NO_INODE;
        if (r->had[i])
            blob_copy(&c->inodes[inode++].durable, &r->start[i]);
    }
}

static inline void cutter_release(struct cutter *c)
{
    for (size_t i = 0; i < INODES_MAX; i++) {
        blob_free(&c->inodes[i].durable);
        free(c->inodes[i].unsynced);
    }
}

// ---- going through the recording

static inline void cutter_apply(const struct cutter *c, struct blob *to, const struct disk_event *e)
{
    if (e->kind == EVENT_WRITE)
        blob_put(to, e->at, c->recording->data.ptr + e->data, e->len);
    else
        blob_resize(to, e->at);
}

static inline void cutter_leave_open(struct cutter *c, const struct disk_event *e)
{
    struct cut_inode *inode = &c->inodes[e->inode];
    if (inode->len == inode->cap) {
        inode->cap = inode->cap ? inode->cap * 2 : 64;
        inode->unsynced = realloc(inode->unsynced, inode->cap * sizeof(*inode->unsynced));
        if (!inode->unsynced)
            give_up("out of memory");
    }
    inode->unsynced[inode->len++] = (uint32_t)c->at;
    c->unsynced++;
}

static inline void cutter_sync(struct cutter *c, struct cut_inode *inode)
{
    for (size_t i = 0; i < inode->len; i++)
        cutter_apply(c, &inode->durable, &c->recording->events[inode->unsynced[i]]);
    c->unsynced -= inode->len;
    inode->len = 0;
}

static inline void cutter_sync_folder(struct cutter *c)
{
    for (int i = 0; i < NAMES; i++) {
        struct cut_name *name = &c->names[i];
        name->inodes[0] = name->inodes[name->len - 1];
        c->unsynced -= name->len - 1;
        name->len = 1;
    }
}

static inline void cutter_name(struct cutter *c, enum disk_name which, int inode)
{
    struct cut_name *name = &c->names[which];
    if (name->len == INODES_MAX)
        give_up("too many files were made");
    name->inodes[name->len] = inode;
    name->at[name->len++] = (uint32_t)c->at;
    c->unsynced++;
}

// One event more has happened. False: there is none.
static inline bool cutter_step(struct cutter *c)
{
    if (c->at == c->recording->len)
        return false;
    const struct disk_event *e = &c->recording->events[c->at];
    switch (e->kind) {
    case EVENT_WRITE:
    case EVENT_TRUNCATE:
        cutter_leave_open(c, e);
        break;
    case EVENT_SYNC:
        if (!c->lies)
            cutter_sync(c, &c->inodes[e->inode]);
        break;
    case EVENT_SYNC_FOLDER:
        cutter_sync_folder(c);
        break;
    case EVENT_CREATE:
        cutter_name(c, e->name, (int)e->inode);
        break;
    case EVENT_DELETE:
        cutter_name(c, e->name, NO_INODE);
        break;
    case EVENT_NOTE:
        break;
    }
    c->at++;
    return true;
}

// ---- cutting

// How one cut treats what is unsynced; chances are of DICE.
struct fate {
    size_t keep, garble;
    size_t ordered;  // a disk that keeps the order: nothing from this event on; SIZE_MAX: unordered
    size_t piece;    // PAGE_BYTES or SECTOR_BYTES
    bool noise;      // in holes
    bool full_size;  // a file's size is durable before its bytes
};

static const struct fate keep_all = {
    .keep = DICE, .ordered = SIZE_MAX, .piece = PAGE_BYTES, .full_size = true};

static inline struct fate roll_fate(struct cutter *c)
{
    static const size_t keep[] = {0, 8, 64, 128, 192, 248, DICE, DICE};
    static const size_t garble[] = {0, 0, 8, 64};
    uint64_t *dice = &c->dice;
    struct fate f = {.keep = keep[roll_below(dice, 8)], .garble = garble[roll_below(dice, 4)]};
    bool ordered = roll_below(dice, 4) == 0;
    size_t back = 1 + roll_below(dice, c->unsynced + 1);
    f.ordered = ordered ? (c->at > back ? c->at - back : 0) : SIZE_MAX;
    if (ordered)
        f.keep = DICE;
    f.piece = roll_below(dice, 2) ? PAGE_BYTES : SECTOR_BYTES;
    f.noise = roll_below(dice, 4) == 0;
    f.full_size = roll_below(dice, 4) == 0;
    return f;
}

static inline bool is_kept(struct cutter *c, const struct fate *f, size_t event)
{
    if (f->keep == DICE)
        return event < f->ordered;
    return event < f->ordered && roll_below(&c->dice, DICE) < f->keep;
}

static inline void make_noise(struct cutter *c, char *out, size_t len)
{
    for (size_t i = 0; i < len; i += 8) {
        uint64_t noise = roll(&c->dice);
        memcpy(out + i, &noise, len - i < 8 ? len - i : 8);
    }
}

// All of a piece, or its end only.
static inline void garble(struct cutter *c, struct blob *to, size_t from, size_t end)
{
    if (c->harms_pages) {
        from -= from % PAGE_BYTES;
        end += (PAGE_BYTES - end % PAGE_BYTES) % PAGE_BYTES;
        end = end > to->len ? to->len : end;
    } else if (roll_below(&c->dice, 2)) {
        from += roll_below(&c->dice, end - from);
    }
    make_noise(c, to->ptr + from, end - from);
}

static inline void cut_write(struct cutter *c, struct blob *to, size_t event, const struct fate *f)
{
    const struct disk_event *e = &c->recording->events[event];
    const char *bytes = c->recording->data.ptr + e->data;
    size_t end = e->at + e->len, next;
    for (size_t at = e->at; at < end; at = next) {
        size_t old = to->len;
        next = at - at % f->piece + f->piece;
        next = next > end ? end : next;
        if (!is_kept(c, f, event))
            continue;
        blob_put(to, at, bytes + (at - e->at), next - at);
        if (f->noise && at > old)
            make_noise(c, to->ptr + old, at - old);
        if (f->garble && roll_below(&c->dice, DICE) < f->garble)
            garble(c, to, at, next);
    }
}

static inline void cut_inode(struct cutter *c, struct blob *to, const struct cut_inode *inode,
                             const struct fate *f)
{
    size_t size = inode->durable.len;
    blob_copy(to, &inode->durable);
    for (size_t i = 0; i < inode->len; i++) {
        const struct disk_event *e = &c->recording->events[inode->unsynced[i]];
        if (e->kind == EVENT_WRITE) {
            cut_write(c, to, inode->unsynced[i], f);
            size = e->at + e->len > size ? e->at + e->len : size;
        } else {
            size = e->at;
            if (is_kept(c, f, inode->unsynced[i]))
                blob_resize(to, e->at);
        }
    }
    if (f->full_size && size > to->len) {
        size_t old = to->len;
        blob_resize(to, size);
        if (f->noise)
            make_noise(c, to->ptr + old, size - old);
    }
}

// What the disk holds when the power goes now. The dice decide what the fate leaves open.
static inline void cutter_cut(struct cutter *c, const struct fate *f, struct disk *out)
{
    disk_clear(out);
    for (int i = 0; i < NAMES; i++) {
        const struct cut_name *name = &c->names[i];
        uint32_t pick = name->len - 1;
        while (pick > 0 && !is_kept(c, f, name->at[pick]))
            pick--;
        if (name->inodes[pick] != NO_INODE)
            cut_inode(c, &out->inodes[disk_create(out, (enum disk_name)i)],
                      &c->inodes[name->inodes[pick]], f);
    }
}

#endif
