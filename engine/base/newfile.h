// SPDX-License-Identifier: MIT
// newfile.h: a file that appears under its name whole, or not at all.
//
//   newfile_make ─▶ PATH.part, locked ─▶ (the caller writes) ─▶ newfile_publish ─▶ PATH
//                                                          └──▶ newfile_swap    ─▶ PATH, old aside
//
// A process that dies on the way leaves PATH as it was, and PATH.part, which the next one takes
// over. Mode 0600. One thread.
#ifndef BASE_NEWFILE_H
#define BASE_NEWFILE_H

#include "base/err.h"

#include <stdbool.h>

struct newfile {
    char *path, *part;  // owned
    int fd;             // of part, for reading and writing; -1: none
    bool replace;
};

// Makes PATH.part, empty. E_REFUSED: something is there under PATH and `replace` is not set, or
// another process is making the same file. E_USAGE: it cannot be made there. E_STORE: the disk is
// full or failed. E_NOMEM. On failure there is nothing to drop.
int newfile_make(struct newfile *f, const char *path, bool replace, struct err *err);
// Makes what was written durable and gives it its name. E_REFUSED as above; E_STORE.
int newfile_publish(struct newfile *f, struct err *err);
// The same where there is a file already: in one step the new one gets the name, and the old one
// the name `aside`, where nothing may be. E_STORE also where the file system cannot swap names.
int newfile_swap(struct newfile *f, const char *aside, struct err *err);
// Removes what was not published, and frees.
void newfile_drop(struct newfile *f);

#endif
