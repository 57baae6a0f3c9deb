// SPDX-License-Identifier: MIT
// embed.h: the files that ship inside the binary (scripts/, policies/), so that one program on its
// own is a whole product. The table is generated at build time by tools/embed.c; read-only, any
// thread.
#ifndef BASE_EMBED_H
#define BASE_EMBED_H

#include "base/slice.h"

struct embed_file {
    const char *name;    // path in the source tree, "scripts/parley/history.lua"
    struct slice bytes;  // NUL-terminated too
};

// Sorted by name; ends with name == NULL.
extern const struct embed_file embed_files[];

// NULL when there is no such file.
const struct embed_file *embed_find(const char *name);

#endif
