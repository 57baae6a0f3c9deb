// SPDX-License-Identifier: MIT
// shared.h: opens the test data that lies beside the project, where there is any.
#ifndef TESTS_SHARED_H
#define TESTS_SHARED_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static inline bool shared_path(char *out, size_t bytes, const char *name)
{
    const char *root = getenv("PARLEY_SHARED");

    snprintf(out, bytes, "%s/cases/%s", root ? root : "../shared", name);
    return access(out, R_OK) == 0;
}

// The whole of cases/<name>, unpacked when it ends in .gz, NUL-terminated (free it). NULL: absent.
static inline char *shared_read(const char *name, size_t *len)
{
    char path[4096], command[4200];
    size_t cap = 1 << 16, n;

    if (!shared_path(path, sizeof(path), name))
        return NULL;
    bool packed = strlen(name) > 3 && strcmp(name + strlen(name) - 3, ".gz") == 0;
    snprintf(command, sizeof(command), "gzip -dc '%s'", path);
    FILE *f = packed ? popen(command, "r") : fopen(path, "rb");
    char *text = malloc(cap);
    *len = 0;
    while (f && text && (n = fread(text + *len, 1, cap - *len - 1, f)) > 0) {
        *len += n;
        if (*len == cap - 1)
            text = realloc(text, cap *= 2);
    }
    if (text)
        text[*len] = '\0';
    if (f)
        (void)(packed ? pclose(f) : fclose(f));
    return text;
}

#endif
