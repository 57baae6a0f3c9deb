// SPDX-License-Identifier: MIT
// listing.h: lists as tables, JSON, lines or CSV.
//
// A list is an array of objects and a table of columns; the columns say which members are shown and
// how. JSON and JSON lines pass on what the engine said, byte for byte; CSV has the engine's keys
// and numbers. One thread.
#ifndef CLI_LISTING_H
#define CLI_LISTING_H

#include "cli/cli.h"
#include "cli/table.h"

enum kind {
    KIND_TEXT,
    KIND_COUNT,
    KIND_MONEY, // dollars that were spent
    KIND_PRICE, // dollars for a million tokens
    KIND_TIME,
    KIND_FLAG, // true or false
    KIND_SHARE, // of 1, shown as percent
    KIND_LIST, // of texts
    KIND_WINDOW, // tokens, limit, percent: shown as percent
    KIND_SAID, // role and text
};

struct column {
    const char *key, *title;
    enum kind kind;
};

// The JSON as it is, or its rows a line each. Whether the format that is wanted was one of these.
bool listing_json(struct cli *cli, const char *json, struct json rows);

// A table with headings for the columns; the caller adds `more` headings of its own.
void listing_start(struct table *t, const struct column *columns, size_t n, size_t more, bool csv);
void listing_row(struct table *t, const struct column *columns, size_t n, struct json row,
                 bool csv);
// Prints and releases it.
int listing_end(struct cli *cli, struct table *t, bool csv);

#endif
