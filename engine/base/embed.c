// SPDX-License-Identifier: MIT
// embed.c: finding a file in the generated table. Read-only; any thread.
#include "base/embed.h"

const struct embed_file *embed_find(const char *name)
{
    // A walk: the table has some dozens of names, and files are looked up when things are loaded.
    for (const struct embed_file *f = embed_files; f->name; f++) {
        int order = strcmp(f->name, name);

        if (order >= 0)
            return order == 0 ? f : NULL;
    }
    return NULL;
}
