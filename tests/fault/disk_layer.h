// SPDX-License-Identifier: MIT
// disk_layer.h: a layer over SQLite's own files that fails when told to, or lies. Process-wide, as
// SQLite's list of layers is: for a process of its own. Any thread.
#ifndef TESTS_FAULT_DISK_LAYER_H
#define TESTS_FAULT_DISK_LAYER_H

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <unistd.h>

enum disk_fault {
    DISK_EIO,     // a write fails
    DISK_FULL,    // ENOSPC
    DISK_SHORT,   // half of it is written, then it fails
    DISK_NO_SYNC, // an fsync fails
    DISK_KEYS,    // an fsync fails that is not SQLite's own: the keyring's
    DISK_LIES,    // says that it wrote, and did not: no protection can help
    DISK_FAULTS,
};
static const char *const disk_fault_words[] = {"EIO",   "ENOSPC",        "short write",
                                               "fsync", "fsync of keys", "a lie"};

static struct {
    pthread_mutex_t lock;
    sqlite3_vfs vfs, *real;
    enum disk_fault fault;
    long countdown; // the operation that fails; 0: none
    long seen;      // operations of this kind so far
    bool sticky, failing;
} disk = {.lock = PTHREAD_MUTEX_INITIALIZER};

struct disk_file {
    sqlite3_file base;
    sqlite3_file *real; // follows in the same allocation
};

enum disk_op { DISK_WRITE, DISK_SYNC, DISK_SYNC_KEYS };

static bool disk_fails(enum disk_op op)
{
    pthread_mutex_lock(&disk.lock);
    enum disk_op fails = disk.fault == DISK_NO_SYNC ? DISK_SYNC
                         : disk.fault == DISK_KEYS  ? DISK_SYNC_KEYS
                                                    : DISK_WRITE;
    bool counts = op == fails, now = counts && disk.failing;
    disk.seen += counts;
    if (counts && disk.countdown && --disk.countdown == 0) {
        now = true;
        disk.failing = disk.sticky;
    }
    pthread_mutex_unlock(&disk.lock);
    return now;
}

static sqlite3_file *disk_real(sqlite3_file *f)
{
    return ((struct disk_file *)(void *)f)->real;
}

static int disk_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
    if (!disk_fails(DISK_WRITE))
        return disk_real(f)->pMethods->xWrite(disk_real(f), p, n, at);
    if (disk.fault == DISK_LIES)
        return SQLITE_OK;
    if (disk.fault == DISK_SHORT && n > 1)
        disk_real(f)->pMethods->xWrite(disk_real(f), p, n / 2, at);
    return disk.fault == DISK_FULL ? SQLITE_FULL : SQLITE_IOERR_WRITE;
}

static int disk_sync(sqlite3_file *f, int flags)
{
    return disk_fails(DISK_SYNC) ? SQLITE_IOERR_FSYNC
                                 : disk_real(f)->pMethods->xSync(disk_real(f), flags);
}

// Stands before the C library's. SQLite syncs its files with fdatasync.
int fsync(int fd)
{
    static int (*real)(int);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "fsync");
    if (!disk_fails(DISK_SYNC_KEYS))
        return real(fd);
    errno = EIO;
    return -1;
}

static int disk_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    if (!disk_fails(DISK_WRITE))
        return disk_real(f)->pMethods->xTruncate(disk_real(f), size);
    return disk.fault == DISK_LIES ? SQLITE_OK : SQLITE_IOERR_TRUNCATE;
}

static int disk_close(sqlite3_file *f)
{
    return disk_real(f)->pMethods ? disk_real(f)->pMethods->xClose(disk_real(f)) : SQLITE_OK;
}

#define DISK_PASS(name, params, args)                                                              \
    static int disk_##name params                                                                  \
    {                                                                                              \
        return disk_real(f)->pMethods->x##name args;                                               \
    }
DISK_PASS(Read, (sqlite3_file * f, void *p, int n, sqlite3_int64 at), (disk_real(f), p, n, at))
DISK_PASS(FileSize, (sqlite3_file * f, sqlite3_int64 *size), (disk_real(f), size))
DISK_PASS(Lock, (sqlite3_file * f, int lock), (disk_real(f), lock))
DISK_PASS(Unlock, (sqlite3_file * f, int lock), (disk_real(f), lock))
DISK_PASS(CheckReservedLock, (sqlite3_file * f, int *out), (disk_real(f), out))
DISK_PASS(FileControl, (sqlite3_file * f, int op, void *arg), (disk_real(f), op, arg))
DISK_PASS(SectorSize, (sqlite3_file * f), (disk_real(f)))
DISK_PASS(DeviceCharacteristics, (sqlite3_file * f), (disk_real(f)))
DISK_PASS(ShmLock, (sqlite3_file * f, int at, int n, int flags), (disk_real(f), at, n, flags))
DISK_PASS(ShmUnmap, (sqlite3_file * f, int gone), (disk_real(f), gone))

// Growing the shared index takes room on the disk too.
static int disk_ShmMap(sqlite3_file *f, int page, int size, int extend, void volatile **out)
{
    if (extend && disk.fault != DISK_LIES && disk_fails(DISK_WRITE))
        return SQLITE_IOERR_SHMSIZE;
    return disk_real(f)->pMethods->xShmMap(disk_real(f), page, size, extend, out);
}

static void disk_ShmBarrier(sqlite3_file *f)
{
    disk_real(f)->pMethods->xShmBarrier(disk_real(f));
}

static const sqlite3_io_methods disk_methods = {
    .iVersion = 2,
    .xClose = disk_close,
    .xRead = disk_Read,
    .xWrite = disk_write,
    .xTruncate = disk_truncate,
    .xSync = disk_sync,
    .xFileSize = disk_FileSize,
    .xLock = disk_Lock,
    .xUnlock = disk_Unlock,
    .xCheckReservedLock = disk_CheckReservedLock,
    .xFileControl = disk_FileControl,
    .xSectorSize = disk_SectorSize,
    .xDeviceCharacteristics = disk_DeviceCharacteristics,
    .xShmMap = disk_ShmMap,
    .xShmLock = disk_ShmLock,
    .xShmBarrier = disk_ShmBarrier,
    .xShmUnmap = disk_ShmUnmap,
};

static int disk_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out)
{
    (void)vfs;
    struct disk_file *file = (struct disk_file *)(void *)f;
    file->real = (sqlite3_file *)(void *)(file + 1);
    file->base.pMethods = &disk_methods;
    int rc = disk.real->xOpen(disk.real, name, file->real, flags, out);
    if (rc != SQLITE_OK)
        file->base.pMethods = NULL;
    return rc;
}

// The layer is under every database that is opened from now on.
static bool disk_install(void)
{
    disk.real = sqlite3_vfs_find(NULL);
    disk.vfs = *disk.real;
    disk.vfs.zName = "faulty";
    disk.vfs.szOsFile += (int)sizeof(struct disk_file);
    disk.vfs.xOpen = disk_open;
    disk.vfs.pNext = NULL;
    return sqlite3_vfs_register(&disk.vfs, 1) == SQLITE_OK;
}

static void disk_plan(enum disk_fault fault, long countdown, bool sticky)
{
    pthread_mutex_lock(&disk.lock);
    disk.fault = fault;
    disk.countdown = countdown;
    disk.sticky = sticky;
    disk.failing = false;
    disk.seen = 0;
    pthread_mutex_unlock(&disk.lock);
}

#endif
