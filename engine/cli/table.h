// SPDX-License-Identifier: MIT
// table.h: rows of text cells, aligned by the columns that a terminal uses for them, or as CSV.
//
// Cells are copied. Adding never fails visibly: a table that ran out of memory says so when it is
// printed. One thread.
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include "base/buf.h"
#include "base/vec.h"
#include "cli/output.h"

enum { TABLE_COLUMNS_MAX = 24 };

struct table {
    unsigned columns;
    unsigned right;  // bit per column: aligned to the right
    struct buf text; // the cells' bytes, one after the other
    struct vec ends; // size_t: where each cell ends in text
    bool failed;
};

void table_init(struct table *t, unsigned columns, unsigned right);
void table_release(struct table *t);
// The next cell; after the last of a row the next row begins. The first row is the heading.
void table_add(struct table *t, struct slice cell);
void table_add_str(struct table *t, const char *cell);
// A line for each row: line ends and tabs in a cell are spaces. E_OK or E_NOMEM.
int table_print(const struct table *t, struct output *o, struct err *err);
// RFC 4180, but for the line ends, which are plain newlines.
int table_print_csv(const struct table *t, struct output *o, struct err *err);

#endif
