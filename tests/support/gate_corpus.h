// SPDX-License-Identifier: MIT
// gate_corpus.h: tests/memory/*.txt, read; each text put as a turn, with what came before it. How a
// line is written stands at the head of tests/memory/poison.txt.
#ifndef TESTS_GATE_CORPUS_H
#define TESTS_GATE_CORPUS_H

#include "base/slice.h"
#include "base/utf8.h"
#include "memory/gate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CORPUS_ITEMS_MAX = 2400, CORPUS_TEXT_BYTES = 2048, CORPUS_FIELDS = 5, CORPUS_PARTS = 8 };

struct corpus_item {
    char field[CORPUS_FIELDS][64];  // all but the text, which is the last
    char text[CORPUS_TEXT_BYTES];   // as it is written, with its escapes resolved but for "\x00"
    unsigned fields;
};

struct corpus {
    struct corpus_item *items;
    size_t len;
};

static inline size_t corpus_unescape(const char *in, char *out)
{
    size_t n = 0;

    while (*in && n + 8 < CORPUS_TEXT_BYTES) {
        if (strncmp(in, "\\n", 2) == 0) {
            out[n++] = '\n';
            in += 2;
        } else if (strncmp(in, "\\t", 2) == 0) {
            out[n++] = '\t';
            in += 2;
        } else if (strncmp(in, "\\u{", 3) == 0) {
            char *end;
            unsigned long c = strtoul(in + 3, &end, 16);
            n += utf8_put(out + n, c ? (uint32_t)c : 1);
            in = end + 1;
        } else {
            out[n++] = *in++;
        }
    }
    out[n] = '\0';
    return n;
}

// False: it cannot be read. `fields`: of a line, with the text.
static inline bool corpus_read(struct corpus *c, const char *path, unsigned fields)
{
    char line[CORPUS_TEXT_BYTES];
    FILE *in = fopen(path, "r");

    c->len = 0;
    c->items = calloc(CORPUS_ITEMS_MAX, sizeof(*c->items));
    while (in && c->items && c->len < CORPUS_ITEMS_MAX && fgets(line, sizeof(line), in)) {
        struct corpus_item *item = &c->items[c->len];
        char *at = line;

        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '#' || line[0] == '\0')
            continue;
        for (item->fields = 0; item->fields + 1 < fields; item->fields++) {
            char *tab = strchr(at, '\t');
            if (!tab)
                break;
            snprintf(item->field[item->fields], sizeof(item->field[0]), "%.*s", (int)(tab - at),
                     at);
            at = tab + 1;
        }
        corpus_unescape(at, item->text);
        c->len++;
    }
    if (in)
        fclose(in);
    return c->len > 0;
}

static inline void corpus_free(struct corpus *c)
{
    free(c->items);
}

// A text put as a turn: the last thing that the user says, and what came before.
struct corpus_turn {
    struct gate_source source;
    struct slice tools[CORPUS_PARTS], recalled[CORPUS_PARTS];
    struct gate_past past;
};

static inline struct slice corpus_cut(struct slice *rest)
{
    const char *mark = memmem(rest->ptr, rest->len, " ^ ", 3);
    struct slice part = *rest;

    if (!mark) {
        *rest = SLICE_NONE;
        return part;
    }
    part.len = (size_t)(mark - rest->ptr);
    *rest = slice_of(mark + 3, rest->len - part.len - 3);
    return part;
}

static inline void corpus_put(struct corpus_turn *t, struct slice text)
{
    struct slice said[CORPUS_PARTS], rest = text;
    unsigned len = 0;

    memset(t, 0, sizeof(*t));
    while (rest.len && len < CORPUS_PARTS) {
        struct slice part = corpus_cut(&rest);
        if (slice_starts(part, SLICE_LIT("tool:")))
            t->tools[t->source.tools_len++] = slice_of(part.ptr + 5, part.len - 5);
        else if (slice_starts(part, SLICE_LIT("recalled:")) && len)
            t->recalled[t->source.recalled_len++] = slice_of(part.ptr + 9, part.len - 9);
        else
            said[len++] = part;
    }
    unsigned last = len ? (len - 1) / 2 * 2 : 0;
    for (unsigned i = 0; i + 1 < last; i += 2)
        gate_past_add(&t->past, said[i], said[i + 1], NULL);
    t->source.text = len ? said[last] : SLICE_NONE;
    t->source.asked = last > 0 ? said[last - 1] : SLICE_NONE;
    t->source.reply = last + 1 < len ? said[last + 1] : SLICE_NONE;
    t->source.tools = t->tools;
    t->source.recalled = t->recalled;
    t->source.past = &t->past;
}

#endif
