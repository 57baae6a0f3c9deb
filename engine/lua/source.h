// SPDX-License-Identifier: MIT
// source.h: a script's file, and where in it a key stands, so that messages can say file:line.
#ifndef LUA_SOURCE_H
#define LUA_SOURCE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

// Reads a whole file into out. E_NOT_FOUND: there is none; E_POLICY: unreadable or too large.
int source_read(const char *path, struct buf *out, struct err *err);
// The path as messages show it: leading folders are left out where it is too long for Lua's
// messages, which would cut it in the middle of a name. A part of path.
const char *source_shown(const char *path);
// The line of the key path[0].path[1]… (len of them) in the table that the script returns. Where
// the table is not written out there, the line of the last key wherever it first is set; else of
// the `return`; else 1.
int source_key_line(struct slice text, const char *const *path, unsigned len);

#endif
