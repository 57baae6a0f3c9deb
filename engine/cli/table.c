// SPDX-License-Identifier: MIT
// table.c: cells in one buffer, printed row by row.
#include "cli/table.h"

#include "base/utf8.h"

enum { TEXT_MAX = 64 << 20, CELLS_MAX = 4 << 20, GAP = 2 };

void table_init(struct table *t, unsigned columns, unsigned right)
{
    BUG_ON(columns == 0 || columns > TABLE_COLUMNS_MAX);
    *t = (struct table){
        .columns = columns,
        .right = right,
        .text = BUF_INIT(TEXT_MAX),
        .ends = VEC_INIT(size_t, CELLS_MAX),
    };
}

void table_release(struct table *t)
{
    buf_release(&t->text);
    vec_release(&t->ends);
}

void table_add(struct table *t, struct slice cell)
{
    buf_add_slice(&t->text, cell);
    size_t *end = vec_push(&t->ends);
    if (end)
        *end = t->text.len;
    t->failed = t->failed || !end || !buf_ok(&t->text);
}

void table_add_str(struct table *t, const char *cell)
{
    table_add(t, slice_str(cell));
}

static struct slice cell_at(const struct table *t, size_t i)
{
    size_t start = i ? *VEC_AT(&t->ends, size_t, i - 1) : 0;

    return slice_of(t->text.ptr ? t->text.ptr + start : NULL, *VEC_AT(&t->ends, size_t, i) - start);
}

static int check(const struct table *t, struct err *err)
{
    if (t->failed)
        return err_set(err, E_NOMEM, "the table is too large for memory; try -o jsonl");
    BUG_ON(t->ends.len % t->columns != 0);
    return E_OK;
}

// A cell is one line, whatever is in it: what would end the line or leave the column is a space.
static bool is_break(char c)
{
    return c == '\n' || c == '\r' || c == '\t';
}

static size_t columns_of(struct slice cell)
{
    size_t columns = utf8_columns(cell);

    for (size_t i = 0; i < cell.len; i++)
        columns += is_break(cell.ptr[i]);
    return columns;
}

static void print_line(struct output *o, struct slice cell)
{
    for (size_t i = 0, start = 0; i <= cell.len; i++) {
        if (i < cell.len && !is_break(cell.ptr[i]))
            continue;
        output_text(o, slice_of(cell.ptr + start, i - start));
        if (i < cell.len)
            output_str(o, " ");
        start = i + 1;
    }
}

static void pad(struct output *o, size_t n)
{
    outputf(o, "%*s", (int)n, "");
}

static void print_cell(struct output *o, struct slice cell, size_t width, bool right, bool last)
{
    size_t room = width - columns_of(cell);

    if (right)
        pad(o, room);
    print_line(o, cell);
    if (!right && !last)
        pad(o, room);
    if (!last)
        pad(o, GAP);
}

int table_print(const struct table *t, struct output *o, struct err *err)
{
    size_t width[TABLE_COLUMNS_MAX] = {0};
    int code = check(t, err);

    if (code < 0)
        return code;
    for (size_t i = 0; i < t->ends.len; i++) {
        size_t columns = columns_of(cell_at(t, i)), *widest = &width[i % t->columns];
        *widest = columns > *widest ? columns : *widest;
    }
    for (size_t i = 0; i < t->ends.len; i++) {
        unsigned column = (unsigned)(i % t->columns);
        if (i == 0)
            output_style(o, STYLE_BOLD);
        print_cell(o, cell_at(t, i), width[column], t->right >> column & 1U,
                   column + 1 == t->columns);
        if (i + 1 == t->columns)
            output_style(o, STYLE_PLAIN);
        if (column + 1 == t->columns)
            output_str(o, "\n");
    }
    return E_OK;
}

static bool needs_quotes(struct slice cell)
{
    for (size_t i = 0; i < cell.len; i++)
        if (memchr(",\"\r\n", cell.ptr[i], 4))
            return true;
    return false;
}

static void print_quoted(struct output *o, struct slice cell)
{
    output_str(o, "\"");
    for (size_t i = 0, start = 0; i <= cell.len; i++) {
        if (i < cell.len && cell.ptr[i] != '"')
            continue;
        output_text(o, slice_of(cell.ptr + start, i - start));
        if (i < cell.len)
            output_str(o, "\"\"");
        start = i + 1;
    }
    output_str(o, "\"");
}

int table_print_csv(const struct table *t, struct output *o, struct err *err)
{
    int code = check(t, err);

    for (size_t i = 0; code == E_OK && i < t->ends.len; i++) {
        struct slice cell = cell_at(t, i);
        if (needs_quotes(cell))
            print_quoted(o, cell);
        else
            output_text(o, cell);
        output_str(o, (i + 1) % t->columns ? "," : "\n");
    }
    return code;
}
