// SPDX-License-Identifier: MIT
// vfs_powercut.h: a disk in memory under SQLite, that records what was asked of it.
//
// One database: the names that end in -wal and -journal, and the one that does not. The shm is
// memory that several connections of this process share. What was written, truncated, made or
// deleted stands in the recording in the order in which it was asked; what of it outlives a power
// cut is for powercut.h to say. To SQLite the disk tells of itself what SQLite's own VFS does, so
// that it takes the same ways: sectors of 4 KiB, and no harm to bytes beside those that it writes.
//
// Any thread; one lock guards the disk and its recording. vfs_mount changes the disk under the
// VFS; no connection is open then.
// Header only.
#ifndef TESTS_FAULT_VFS_POWERCUT_H
#define TESTS_FAULT_VFS_POWERCUT_H

#include "fault/harness.h"

#include <pthread.h>
#include <sqlite3.h>

enum { INODES_MAX = 64, SHM_REGIONS_MAX = 64, DISK_SECTOR_BYTES = 4096 };
enum disk_name { NAME_DB, NAME_WAL, NAME_JOURNAL, NAMES };

// ---- bytes that grow

struct blob {
    char *ptr;
    size_t len, cap;
};

static inline void blob_reserve(struct blob *b, size_t cap)
{
    if (cap <= b->cap)
        return;
    b->cap = cap < 4096 ? 4096 : cap + cap / 2;
    b->ptr = realloc(b->ptr, b->cap);
    if (!b->ptr)
        give_up("out of memory");
}

// Longer with zeros, or shorter.
static inline void blob_resize(struct blob *b, size_t len)
{
    blob_reserve(b, len);
    if (len > b->len)
        memset(b->ptr + b->len, 0, len - b->len);
    b->len = len;
}

static inline void blob_put(struct blob *b, size_t at, const void *bytes, size_t len)
{
    if (at + len > b->len)
        blob_resize(b, at + len);
    if (len)
        memcpy(b->ptr + at, bytes, len);
}

static inline void blob_copy(struct blob *to, const struct blob *from)
{
    to->len = 0;
    blob_put(to, 0, from->ptr, from->len);
}

static inline void blob_free(struct blob *b)
{
    free(b->ptr);
    *b = (struct blob){0};
}

// ---- what was asked of a disk

enum event_kind {
    EVENT_WRITE,
    EVENT_TRUNCATE,     // at: the new size
    EVENT_SYNC,         // of one file: its bytes and its size
    EVENT_SYNC_FOLDER,  // what was made and deleted
    EVENT_CREATE,       // name → inode
    EVENT_DELETE,
    EVENT_NOTE,  // at: a number; the oracle's, see vfs_note
};

struct disk_event {
    enum event_kind kind;
    enum disk_name name;  // CREATE, DELETE
    uint32_t inode;
    size_t at, len;
    size_t data;  // WRITE: where in the recording's data
};

struct recording {
    struct disk_event *events;
    size_t len, cap;
    struct blob data;
    struct blob start[NAMES];  // the files as they were, all durable
    bool had[NAMES];
};

static inline void recording_release(struct recording *r)
{
    free(r->events);
    blob_free(&r->data);
    for (int i = 0; i < NAMES; i++)
        blob_free(&r->start[i]);
    *r = (struct recording){0};
}

// ---- the disk

struct disk {
    struct blob inodes[INODES_MAX];
    uint32_t inodes_len;
    int names[NAMES];  // inode, -1: no such file
    // Locks of the database file, by handle, and of the shm, by slot.
    uint32_t shared;
    const void *reserved, *exclusive;
    void *regions[SHM_REGIONS_MAX];
    uint32_t shm_users, shm_shared[SQLITE_SHM_NLOCK], shm_exclusive;  // bits
    struct recording *recording;                                      // borrowed; NULL: none
};

static inline void disk_init(struct disk *d)
{
    memset(d, 0, sizeof(*d));
    for (int i = 0; i < NAMES; i++)
        d->names[i] = -1;
}

// Empty again; keeps the memory.
static inline void disk_clear(struct disk *d)
{
    for (uint32_t i = 0; i < d->inodes_len; i++)
        d->inodes[i].len = 0;
    d->inodes_len = 0;
    for (int i = 0; i < NAMES; i++)
        d->names[i] = -1;
}

static inline void disk_release(struct disk *d)
{
    for (uint32_t i = 0; i < INODES_MAX; i++)
        blob_free(&d->inodes[i]);
}

static inline uint32_t disk_create(struct disk *d, enum disk_name name)
{
    if (d->inodes_len == INODES_MAX)
        give_up("too many files were made");
    d->inodes[d->inodes_len].len = 0;
    d->names[name] = (int)d->inodes_len;
    return d->inodes_len++;
}

// Begins a recording with the disk as it is; inodes are counted anew, in the order of names.
static inline void disk_record(struct disk *d, struct recording *r)
{
    *r = (struct recording){0};
    for (int i = 0; i < NAMES; i++) {
        r->had[i] = d->names[i] >= 0;
        if (r->had[i])
            blob_copy(&r->start[i], &d->inodes[d->names[i]]);
    }
    disk_clear(d);
    for (int i = 0; i < NAMES; i++)
        if (r->had[i])
            blob_copy(&d->inodes[disk_create(d, (enum disk_name)i)], &r->start[i]);
    d->recording = r;
}

// ---- the VFS

static struct {
    pthread_mutex_t lock;
    sqlite3_vfs vfs;
    struct disk *disk;  // borrowed
} shim = {.lock = PTHREAD_MUTEX_INITIALIZER};

struct shim_file {
    sqlite3_file base;
    struct blob *bytes;
    struct blob own;  // of a file without a name
    uint32_t inode;
    enum disk_name name;
    bool is_named, syncs_folder, has_shm;
    int lock;
    uint32_t shm_shared, shm_exclusive;  // bits
};

static inline struct shim_file *file_of(sqlite3_file *f)
{
    return (struct shim_file *)(void *)f;
}

static inline void record(struct disk_event event, const void *bytes)
{
    struct recording *r = shim.disk->recording;
    if (!r)
        return;
    if (r->len == r->cap) {
        r->cap = r->cap ? r->cap * 2 : 1024;
        r->events = realloc(r->events, r->cap * sizeof(*r->events));
        if (!r->events)
            give_up("out of memory");
    }
    event.data = r->data.len;
    if (bytes)
        blob_put(&r->data, r->data.len, bytes, event.len);
    r->events[r->len++] = event;
}

// A note of the oracle's, in its place among what was asked of the disk. Any thread.
static inline void vfs_note(size_t number)
{
    pthread_mutex_lock(&shim.lock);
    record((struct disk_event){.kind = EVENT_NOTE, .at = number}, NULL);
    pthread_mutex_unlock(&shim.lock);
}

static int shim_read(sqlite3_file *f, void *out, int n, sqlite3_int64 at)
{
    const struct shim_file *file = file_of(f);
    pthread_mutex_lock(&shim.lock);
    size_t len = file->bytes->len, from = (size_t)at, want = (size_t)n;
    size_t have = from >= len ? 0 : len - from < want ? len - from : want;
    if (have)
        memcpy(out, file->bytes->ptr + from, have);
    pthread_mutex_unlock(&shim.lock);
    memset((char *)out + have, 0, want - have);
    return have == want ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

static int shim_write(sqlite3_file *f, const void *bytes, int n, sqlite3_int64 at)
{
    const struct shim_file *file = file_of(f);
    pthread_mutex_lock(&shim.lock);
    blob_put(file->bytes, (size_t)at, bytes, (size_t)n);
    if (file->is_named)
        record(
            (struct disk_event){
                .kind = EVENT_WRITE, .inode = file->inode, .at = (size_t)at, .len = (size_t)n},
            bytes);
    pthread_mutex_unlock(&shim.lock);
    return SQLITE_OK;
}

static int shim_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    const struct shim_file *file = file_of(f);
    pthread_mutex_lock(&shim.lock);
    blob_resize(file->bytes, (size_t)size);
    struct disk_event event = {.kind = EVENT_TRUNCATE, .inode = file->inode, .at = (size_t)size};
    if (file->is_named)
        record(event, NULL);
    pthread_mutex_unlock(&shim.lock);
    return SQLITE_OK;
}

static int shim_sync(sqlite3_file *f, int flags)
{
    struct shim_file *file = file_of(f);
    (void)flags;
    pthread_mutex_lock(&shim.lock);
    if (file->is_named)
        record((struct disk_event){.kind = EVENT_SYNC, .inode = file->inode}, NULL);
    // As SQLite's own: the folder with the first sync of a journal or WAL that may be new.
    if (file->syncs_folder)
        record((struct disk_event){.kind = EVENT_SYNC_FOLDER}, NULL);
    file->syncs_folder = false;
    pthread_mutex_unlock(&shim.lock);
    return SQLITE_OK;
}

static int shim_size(sqlite3_file *f, sqlite3_int64 *out)
{
    pthread_mutex_lock(&shim.lock);
    *out = (sqlite3_int64)file_of(f)->bytes->len;
    pthread_mutex_unlock(&shim.lock);
    return SQLITE_OK;
}

static int shim_control(sqlite3_file *f, int op, void *arg)
{
    (void)f;
    (void)op;
    (void)arg;
    return SQLITE_NOTFOUND;
}

static int shim_sector(sqlite3_file *f)
{
    (void)f;
    return DISK_SECTOR_BYTES;
}

static int shim_characteristics(sqlite3_file *f)
{
    (void)f;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

// ---- locks of the database file

static int shim_lock(sqlite3_file *f, int level)
{
    struct shim_file *file = file_of(f);
    struct disk *d = shim.disk;
    int rc = SQLITE_OK;
    pthread_mutex_lock(&shim.lock);
    if (file->lock >= level) {
        rc = SQLITE_OK;
    } else if (level == SQLITE_LOCK_SHARED) {
        rc = d->exclusive ? SQLITE_BUSY : SQLITE_OK;
        d->shared += rc == SQLITE_OK;
    } else {
        bool waits = level == SQLITE_LOCK_EXCLUSIVE;
        if ((d->reserved && d->reserved != file) || (waits && d->shared > 1))
            rc = SQLITE_BUSY;
        else
            d->reserved = file;
        if (rc == SQLITE_OK && waits)
            d->exclusive = file;
    }
    if (rc == SQLITE_OK && file->lock < level)
        file->lock = level;
    pthread_mutex_unlock(&shim.lock);
    return rc;
}

static int shim_unlock(sqlite3_file *f, int level)
{
    struct shim_file *file = file_of(f);
    struct disk *d = shim.disk;
    pthread_mutex_lock(&shim.lock);
    if (d->reserved == file)
        d->reserved = NULL;
    if (d->exclusive == file)
        d->exclusive = NULL;
    if (level == SQLITE_LOCK_NONE && file->lock >= SQLITE_LOCK_SHARED)
        d->shared--;
    if (file->lock > level)
        file->lock = level;
    pthread_mutex_unlock(&shim.lock);
    return SQLITE_OK;
}

static int shim_check_reserved(sqlite3_file *f, int *out)
{
    (void)f;
    pthread_mutex_lock(&shim.lock);
    *out = shim.disk->reserved != NULL;
    pthread_mutex_unlock(&shim.lock);
    return SQLITE_OK;
}

// ---- shm: the index of the WAL

static int shim_shm_map(sqlite3_file *f, int region, int bytes, int extend, void volatile **out)
{
    struct shim_file *file = file_of(f);
    struct disk *d = shim.disk;
    int rc = SQLITE_OK;
    pthread_mutex_lock(&shim.lock);
    d->shm_users += !file->has_shm;
    file->has_shm = true;
    if (region >= SHM_REGIONS_MAX)
        rc = SQLITE_FULL;
    else if (!d->regions[region] && extend && !(d->regions[region] = calloc(1, (size_t)bytes)))
        rc = SQLITE_NOMEM;
    *out = rc == SQLITE_OK ? d->regions[region] : NULL;
    pthread_mutex_unlock(&shim.lock);
    return rc;
}

static bool shm_is_free(const struct disk *d, const struct shim_file *file, int slot,
                        bool exclusive)
{
    uint32_t bit = 1u << slot;
    if (d->shm_exclusive & ~file->shm_exclusive & bit)
        return false;
    return !exclusive || d->shm_shared[slot] == !!(file->shm_shared & bit);
}

static void shm_let_go(struct disk *d, struct shim_file *file, uint32_t slots)
{
    for (int i = 0; i < SQLITE_SHM_NLOCK; i++)
        if (file->shm_shared & slots & 1u << i)
            d->shm_shared[i]--;
    d->shm_exclusive &= ~(file->shm_exclusive & slots);
    file->shm_shared &= ~slots;
    file->shm_exclusive &= ~slots;
}

static int shim_shm_lock(sqlite3_file *f, int first, int n, int flags)
{
    struct shim_file *file = file_of(f);
    struct disk *d = shim.disk;
    uint32_t slots = ((1u << n) - 1) << first;
    bool exclusive = flags & SQLITE_SHM_EXCLUSIVE, is_free = true;
    pthread_mutex_lock(&shim.lock);
    if (flags & SQLITE_SHM_UNLOCK) {
        shm_let_go(d, file, slots);
    } else {
        for (int i = first; i < first + n; i++)
            is_free = is_free && shm_is_free(d, file, i, exclusive);
        for (int i = first; is_free && !exclusive && i < first + n; i++)
            d->shm_shared[i] += !(file->shm_shared & 1u << i);
        if (is_free && exclusive) {
            d->shm_exclusive |= slots;
            file->shm_exclusive |= slots;
        } else if (is_free) {
            file->shm_shared |= slots;
        }
    }
    pthread_mutex_unlock(&shim.lock);
    return is_free ? SQLITE_OK : SQLITE_BUSY;
}

static void shim_shm_barrier(sqlite3_file *f)
{
    (void)f;
    pthread_mutex_lock(&shim.lock);  // whoever had it before wrote before
    pthread_mutex_unlock(&shim.lock);
}

// The last one out clears it: the next one in recovers from the WAL, as after a power cut.
static int shim_shm_unmap(sqlite3_file *f, int remove)
{
    struct shim_file *file = file_of(f);
    struct disk *d = shim.disk;
    (void)remove;
    pthread_mutex_lock(&shim.lock);
    shm_let_go(d, file, UINT32_MAX);
    if (file->has_shm && --d->shm_users == 0) {
        for (int i = 0; i < SHM_REGIONS_MAX; i++) {
            free(d->regions[i]);
            d->regions[i] = NULL;
        }
    }
    file->has_shm = false;
    pthread_mutex_unlock(&shim.lock);
    return SQLITE_OK;
}

static int shim_close(sqlite3_file *f)
{
    shim_shm_unmap(f, 0);
    shim_unlock(f, SQLITE_LOCK_NONE);
    blob_free(&file_of(f)->own);
    return SQLITE_OK;
}

static const sqlite3_io_methods shim_methods = {
    .iVersion = 2,
    .xClose = shim_close,
    .xRead = shim_read,
    .xWrite = shim_write,
    .xTruncate = shim_truncate,
    .xSync = shim_sync,
    .xFileSize = shim_size,
    .xLock = shim_lock,
    .xUnlock = shim_unlock,
    .xCheckReservedLock = shim_check_reserved,
    .xFileControl = shim_control,
    .xSectorSize = shim_sector,
    .xDeviceCharacteristics = shim_characteristics,
    .xShmMap = shim_shm_map,
    .xShmLock = shim_shm_lock,
    .xShmBarrier = shim_shm_barrier,
    .xShmUnmap = shim_shm_unmap,
};

// ---- files

static enum disk_name name_of(const char *path)
{
    size_t len = strlen(path);
    if (len > 4 && strcmp(path + len - 4, "-wal") == 0)
        return NAME_WAL;
    return len > 8 && strcmp(path + len - 8, "-journal") == 0 ? NAME_JOURNAL : NAME_DB;
}

// The database itself is made by the store, before SQLite: here, when it is first opened.
static int shim_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *f, int flags, int *out)
{
    struct shim_file *file = file_of(f);
    struct disk *d = shim.disk;
    int rc = SQLITE_OK;
    (void)vfs;
    *file = (struct shim_file){.is_named = path != NULL, .lock = SQLITE_LOCK_NONE};
    pthread_mutex_lock(&shim.lock);
    if (path) {
        file->name = name_of(path);
        bool makes = file->name == NAME_DB || flags & SQLITE_OPEN_CREATE;
        if (d->names[file->name] < 0 && makes) {
            struct disk_event event = {.kind = EVENT_CREATE, .name = file->name};
            event.inode = disk_create(d, file->name);
            record(event, NULL);
        }
        if (d->names[file->name] < 0) {
            rc = SQLITE_CANTOPEN;
        } else {
            file->inode = (uint32_t)d->names[file->name];
            file->bytes = &d->inodes[file->inode];
            file->syncs_folder = file->name != NAME_DB && flags & SQLITE_OPEN_CREATE;
        }
    } else {
        file->bytes = &file->own;
    }
    pthread_mutex_unlock(&shim.lock);
    file->base.pMethods = rc == SQLITE_OK ? &shim_methods : NULL;
    if (out)
        *out = flags;
    return rc;
}

static int shim_delete(sqlite3_vfs *vfs, const char *path, int sync_folder)
{
    enum disk_name name = name_of(path);
    (void)vfs;
    pthread_mutex_lock(&shim.lock);
    bool was = shim.disk->names[name] >= 0;
    shim.disk->names[name] = -1;
    if (was)
        record((struct disk_event){.kind = EVENT_DELETE, .name = name}, NULL);
    if (was && sync_folder)
        record((struct disk_event){.kind = EVENT_SYNC_FOLDER}, NULL);
    pthread_mutex_unlock(&shim.lock);
    return was ? SQLITE_OK : SQLITE_IOERR_DELETE_NOENT;
}

static int shim_access(sqlite3_vfs *vfs, const char *path, int flags, int *out)
{
    (void)vfs;
    pthread_mutex_lock(&shim.lock);
    int inode = shim.disk->names[name_of(path)];
    *out = inode >= 0 && (flags != SQLITE_ACCESS_EXISTS || shim.disk->inodes[inode].len > 0);
    pthread_mutex_unlock(&shim.lock);
    return SQLITE_OK;
}

static int shim_full_path(sqlite3_vfs *vfs, const char *path, int size, char *out)
{
    (void)vfs;
    return snprintf(out, (size_t)size, "%s", path) < size ? SQLITE_OK : SQLITE_CANTOPEN;
}

// The default VFS from here on: the store need not know.
static inline void vfs_install(void)
{
    shim.vfs = *sqlite3_vfs_find(NULL);  // randomness and time are its
    shim.vfs.zName = "powercut";
    shim.vfs.szOsFile = (int)sizeof(struct shim_file);
    shim.vfs.xOpen = shim_open;
    shim.vfs.xDelete = shim_delete;
    shim.vfs.xAccess = shim_access;
    shim.vfs.xFullPathname = shim_full_path;
    shim.vfs.pNext = NULL;
    if (sqlite3_vfs_register(&shim.vfs, 1) != SQLITE_OK)
        give_up("the VFS cannot be registered");
}

static inline void vfs_remove(void)
{
    sqlite3_vfs_unregister(&shim.vfs);
}

static inline void vfs_mount(struct disk *d)
{
    pthread_mutex_lock(&shim.lock);
    shim.disk = d;
    pthread_mutex_unlock(&shim.lock);
}

#endif
