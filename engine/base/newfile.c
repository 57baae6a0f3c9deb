// SPDX-License-Identifier: MIT
// newfile.c: see newfile.h.
//
// PATH.part is locked (flock) by the one who writes it, from before it is emptied until it has
// another name or is gone; so two who make one file do not write into each other's, and what a
// process that died left behind is not taken for anybody's work.
#include "base/newfile.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAKE_TRIES_MAX = 8 };

static int failed(const char *path, const char *what, struct err *err)
{
    switch (errno) {
    case ENOSPC:
    case EDQUOT:
        return err_set(err, E_STORE, "%s: disk full while %s it: free space, then try again", path,
                       what);
    case EIO:
    case EROFS:
        return err_set(err, E_STORE, "%s: the disk failed while %s it (%m)", path, what);
    default:
        return err_set(err, E_USAGE, "%s: %m while %s it: name a file in a folder that exists and "
                       "can be written", path, what);
    }
}

static int exists(const struct newfile *f, struct err *err)
{
    return err_set(err, E_REFUSED, "%s is there already: name another file, or replace it with "
                   "--force", f->path);
}

static int check_target(const struct newfile *f, struct err *err)
{
    struct stat st;

    if (lstat(f->path, &st) != 0)
        return E_OK;
    if (S_ISDIR(st.st_mode))
        return err_set(err, E_USAGE, "%s is a folder: name a file", f->path);
    return f->replace ? E_OK : exists(f, err);
}

// Whether the descriptor is still what the name names: its last holder may have given the file
// another name between our open and our lock.
static bool is_ours(const struct newfile *f)
{
    struct stat by_name, by_fd;

    return lstat(f->part, &by_name) == 0 && fstat(f->fd, &by_fd) == 0 &&
           by_name.st_ino == by_fd.st_ino && by_name.st_dev == by_fd.st_dev;
}

static int open_part(struct newfile *f, struct err *err)
{
    for (int i = 0; i < MAKE_TRIES_MAX; i++) {
        f->fd = open(f->part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
        if (f->fd < 0)
            return failed(f->part, "making", err);
        if (flock(f->fd, LOCK_EX | LOCK_NB) != 0)
            break;
        if (is_ours(f))
            return ftruncate(f->fd, 0) == 0 && fchmod(f->fd, 0600) == 0
                       ? E_OK
                       : failed(f->part, "emptying", err);
        close(f->fd);
        f->fd = -1;
    }
    return err_set(err, E_REFUSED, "%s: another process is making it: wait for it", f->path);
}

int newfile_make(struct newfile *f, const char *path, bool replace, struct err *err)
{
    size_t size = strlen(path) + sizeof ".part";

    *f = (struct newfile){.fd = -1, .replace = replace};
    f->path = mem_strdup(path);
    f->part = mem_alloc(size);
    int code = f->path && f->part ? E_OK : err_set(err, E_NOMEM, "out of memory for a file's name");
    if (!code) {
        snprintf(f->part, size, "%s.part", path);
        code = check_target(f, err);
    }
    if (!code)
        code = open_part(f, err);
    if (code) {
        // Not ours to remove.
        if (f->fd >= 0)
            close(f->fd);
        f->fd = -1;
        newfile_drop(f);
    }
    return code;
}

// A new name is durable once its folder is. Needs no memory: the file is in place already.
static int sync_folder(char *path, struct err *err)
{
    char *slash = strrchr(path, '/'), *end = slash == path ? path + 1 : slash, was = '\0';

    if (slash) {  // the path up to there, for a moment
        was = *end;
        *end = '\0';
    }
    int fd = open(slash ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (slash)
        *end = was;
    int code = fd < 0 || fsync(fd) != 0
                   ? err_set(err, E_STORE, "%s: its folder cannot be synced: %m", path)
                   : E_OK;
    if (fd >= 0)
        close(fd);
    return code;
}

static int rename_part(struct newfile *f, const char *name, bool replace)
{
    int rc = replace ? rename(f->part, name)
                     : renameat2(AT_FDCWD, f->part, AT_FDCWD, name, RENAME_NOREPLACE);

    // Where the file system does not know that flag, links do not replace either.
    if (rc != 0 && (errno == EINVAL || errno == ENOSYS) && !replace) {
        rc = link(f->part, name);
        if (rc == 0)
            rc = unlink(f->part);
    }
    return rc;
}

static void published(struct newfile *f)
{
    close(f->fd);
    f->fd = -1;
}

int newfile_publish(struct newfile *f, struct err *err)
{
    if (fsync(f->fd) != 0)
        return failed(f->part, "syncing", err);
    if (rename_part(f, f->path, f->replace) != 0)
        return errno == EEXIST ? exists(f, err) : failed(f->path, "naming", err);
    published(f);
    return sync_folder(f->path, err);
}

int newfile_swap(struct newfile *f, const char *aside, struct err *err)
{
    if (fsync(f->fd) != 0)
        return failed(f->part, "syncing", err);
    if (rename_part(f, aside, false) != 0)
        return failed(aside, "naming", err);
    // From here to the swap `aside` is a whole new file, and nothing is lost by a crash.
    if (renameat2(AT_FDCWD, aside, AT_FDCWD, f->path, RENAME_EXCHANGE) != 0) {
        int code = err_set(err, E_STORE, "%s: this file system cannot swap it with another (%m): "
                           "move it away, then try again", f->path);
        unlink(aside);
        published(f);
        return code;
    }
    published(f);
    return sync_folder(f->path, err);
}

void newfile_drop(struct newfile *f)
{
    if (f->fd >= 0) {
        unlink(f->part);
        close(f->fd);
    }
    mem_free(f->path);
    mem_free(f->part);
    *f = (struct newfile){.fd = -1};
}
