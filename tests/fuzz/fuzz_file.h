// SPDX-License-Identifier: MIT
// fuzz_file.h: a file of the fuzzer's own, for readers that take a path. One thread.
#ifndef TESTS_FUZZ_FUZZ_FILE_H
#define TESTS_FUZZ_FUZZ_FILE_H

#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct fuzz_file {
    char dir[64], path[96];
    int fd;
};

static inline void fuzz_file_write(struct fuzz_file *f, const char *name, const uint8_t *bytes,
                                   size_t len)
{
    if (!f->dir[0]) {
        snprintf(f->dir, sizeof(f->dir), "%s/parley-fuzz-XXXXXX",
                 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
        if (!mkdtemp(f->dir))
            abort();
        snprintf(f->path, sizeof(f->path), "%s/%s", f->dir, name);
        f->fd = open(f->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    }
    if (ftruncate(f->fd, 0) != 0 || pwrite(f->fd, bytes, len, 0) != (ssize_t)len)
        abort();
}

static inline void fuzz_file_remove(struct fuzz_file *f)
{
    close(f->fd);
    unlink(f->path);
    rmdir(f->dir);
}

#endif
