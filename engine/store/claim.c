// SPDX-License-Identifier: MIT
// claim.c: the lock file beside an SQLite store; see sqlite_int.h.
//
//   byte 0                  the writer's lock
//   byte 1                  the queue: held by the one that waits for byte 0, so that a process
//                           that lets go and comes again at once cannot starve the others
//   byte CLAIMS_FROM + n    held by the process whose claim is n
//
// Who locks all of the file is alone: nobody lives on the store, and nobody can begin to.
// A child made by fork shares its parent's locks; a store is not to be used after fork. Any thread,
// one at a time.
#include "store/sqlite_int.h"

#include "base/id.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { BYTE_WRITER = 0, BYTE_QUEUE = 1, CLAIMS_FROM = 4096, CLAIM_TRIES = 8 };

static struct flock range(short type, off_t at)
{
    return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};
}

static bool set_range(int fd, struct flock lock)
{
    int rc = 0;
    do {
        rc = fcntl(fd, F_OFD_SETLK, &lock);
    } while (rc && errno == EINTR);
    return rc == 0;
}

static bool set_lock(int fd, short type, off_t at)
{
    return set_range(fd, range(type, at));
}

// n is below 2^62, so that the offset fits.
static off_t claim_byte(uint64_t n)
{
    return (off_t)(CLAIMS_FROM + n);
}

static int take_claim(struct lock_file *l, const struct rand *rand)
{
    for (int i = 0; i < CLAIM_TRIES; i++) {
        uint64_t n = rand_u64(rand) >> 2;
        if (set_lock(l->fd, F_WRLCK, claim_byte(n))) {
            snprintf(l->claim, sizeof l->claim, "%016llx", (unsigned long long)n);
            return E_OK;
        }
        if (errno != EAGAIN && errno != EACCES)
            return E_STORE;
    }
    return E_STORE;
}

int lock_file_open(struct lock_file *l, const char *path, const struct rand *rand, bool read_only,
                   struct err *err)
{
    *l = (struct lock_file){.fd = -1};
    struct buf name = BUF_INIT(1 << 16);
    buf_addf(&name, "%s-lock", path);
    int code = buf_check(&name, "the lock file's name", err);
    if (code)
        goto out;
    int flags = read_only ? O_RDONLY : O_RDWR | O_CREAT;
    l->fd = open(name.ptr, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (read_only)
        goto out;
    if (l->fd < 0)
        code = err_set(err, E_STORE, "store: sqlite: %s: %s: its folder must exist and be writable",
                       name.ptr, strerror(errno));
    else if (rand && take_claim(l, rand))
        code = errno == EAGAIN || errno == EACCES
                   ? err_set(err, E_STORE, "store: sqlite: %s is being restored by another "
                             "process: try again when it is done", path)
                   : err_set(err, E_STORE, "store: sqlite: %s: cannot be locked (%s): put the "
                             "store on a file system with locks", name.ptr, strerror(errno));
    if (code)
        lock_file_close(l);
out:
    buf_release(&name);
    return code;
}

void lock_file_close(struct lock_file *l)
{
    if (l->fd >= 0)
        close(l->fd);
    l->fd = -1;
}

// The kernel knows no wait with an end for file locks, so this asks again at growing intervals.
static bool poll_lock(int fd, off_t at, int64_t until_ns)
{
    long pause_ns = 50 * 1000;
    for (;;) {
        // The clock first: who is refused was refused after the time was up.
        bool last = clock_mono_ns(clock_system()) >= until_ns;
        if (set_lock(fd, F_WRLCK, at))
            return true;
        if (last)
            return false;
        nanosleep(&(struct timespec){0, pause_ns}, NULL);
        if (pause_ns < 1000 * 1000)
            pause_ns *= 2;
    }
}

bool lock_file_take_until(struct lock_file *l, int64_t until_ns)
{
    if (!poll_lock(l->fd, BYTE_QUEUE, until_ns))
        return false;
    bool taken = poll_lock(l->fd, BYTE_WRITER, until_ns);
    set_lock(l->fd, F_UNLCK, BYTE_QUEUE);
    return taken;
}

bool lock_file_take(struct lock_file *l, int64_t wait_ms)
{
    return lock_file_take_until(l, clock_mono_ns(clock_system()) + wait_ms * 1000000);
}

void lock_file_drop(struct lock_file *l)
{
    set_lock(l->fd, F_UNLCK, BYTE_WRITER);
}

bool lock_file_take_all(struct lock_file *l)
{
    return set_range(l->fd, (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET});
}

bool lock_file_alive(const struct lock_file *l, struct slice claim)
{
    unsigned char bytes[8];
    if (l->claim[0] && slice_is(claim, l->claim))
        return true;
    if (l->fd < 0 || !hex_decode(claim, bytes, sizeof bytes))
        return false;
    uint64_t n = 0;
    for (size_t i = 0; i < sizeof bytes; i++)
        n = n << 8 | bytes[i];
    if (n >> 62)
        return false;
    struct flock lock = range(F_WRLCK, claim_byte(n));
    // Who cannot be asked about may live: taking the dead for living only makes a turn wait.
    return fcntl(l->fd, F_OFD_GETLK, &lock) != 0 || lock.l_type != F_UNLCK;
}
