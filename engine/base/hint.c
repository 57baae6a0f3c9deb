// SPDX-License-Identifier: MIT
// hint.c: the nearest name. Pure, allocates nothing; any thread.
#include "base/hint.h"

#include <stdio.h>
#include <string.h>

enum { WORD_MAX = 64, PREFIX_MIN = 3 };

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    unsigned least = a < b ? a : b;

    return least < c ? least : c;
}

static struct slice cut(struct slice s)
{
    return slice_of(s.ptr, s.len < WORD_MAX ? s.len : WORD_MAX);
}

unsigned hint_distance(struct slice a, struct slice b)
{
    // Three rows of the usual table: a transposition looks two rows back.
    unsigned rows[3][WORD_MAX + 1];
    unsigned *before = rows[0], *last = rows[1], *row = rows[2];

    a = cut(a);
    b = cut(b);
    for (unsigned j = 0; j <= b.len; j++)
        before[j] = last[j] = j;
    for (unsigned i = 1; i <= a.len; i++) {
        row[0] = i;
        for (unsigned j = 1; j <= b.len; j++) {
            unsigned change = a.ptr[i - 1] != b.ptr[j - 1];
            row[j] = min3(last[j] + 1, row[j - 1] + 1, last[j - 1] + change);
            if (i > 1 && j > 1 && a.ptr[i - 1] == b.ptr[j - 2] && a.ptr[i - 2] == b.ptr[j - 1] &&
                before[j - 2] + 1 < row[j])
                row[j] = before[j - 2] + 1;
        }
        unsigned *oldest = before;
        before = last;
        last = row;
        row = oldest;
    }
    return last[b.len];
}

static bool begins(struct slice word, struct slice name)
{
    size_t shorter = word.len < name.len ? word.len : name.len;

    return shorter >= PREFIX_MIN && (slice_starts(word, name) || slice_starts(name, word));
}

static bool near_enough(struct slice word, struct slice name, unsigned distance)
{
    size_t longer = word.len > name.len ? word.len : name.len;

    if (distance <= 1 + word.len / 4 && distance < longer)
        return true;
    return begins(word, name);
}

void hint_offer(struct hint *h, struct slice name)
{
    unsigned distance = hint_distance(h->word, name);

    // A word that was left unfinished is as near as one with a slip.
    if (distance > 1 && begins(h->word, name))
        distance = 1;
    if ((h->best.ptr && distance >= h->distance) || !near_enough(h->word, name, distance))
        return;
    h->best = name;
    h->distance = distance;
}

const char *hint_nearest(struct slice word, const char *const *names, size_t n)
{
    struct hint h = {.word = word};

    for (size_t i = 0; i < n; i++)
        hint_offer(&h, slice_str(names[i]));
    return h.best.ptr;
}

static bool is_listed(const struct hint_list *list, struct slice name)
{
    for (const char *at = list->text; *at; at += *at == ',' ? 2 : 0) {
        size_t len = strcspn(at, ",");

        if (len == name.len && memcmp(at, name.ptr, len) == 0)
            return true;
        at += len;
    }
    return false;
}

void hint_list_add(struct hint_list *list, struct slice name)
{
    static const char more[] = " …", comma[] = ", ";
    size_t used = strlen(list->text);

    if (list->full || is_listed(list, name))
        return;
    list->full = used + sizeof comma + name.len + sizeof more > sizeof list->text;
    if (list->full)
        memcpy(list->text + used, more, sizeof more);
    else
        snprintf(list->text + used, sizeof list->text - used, "%s%.*s", used ? comma : "",
                 SLICE_FMT(name));
}
