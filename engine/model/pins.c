// SPDX-License-Identifier: MIT
// pins.c: the pinned turns of a session. Plain values; any thread.
#include "model/pins.h"

#include "base/mem.h"
#include <string.h>

const char *pin_by_word(enum pin_by by)
{
    static const char *const words[] = {[PIN_USER] = "user", [PIN_POLICY] = "policy"};

    BUG_ON((unsigned)by >= sizeof(words) / sizeof(words[0]));
    return words[by];
}

// The first pin of a turn from `turn` on.
static uint32_t place_of(const struct session_pins *p, uint32_t turn)
{
    uint32_t at = 0;

    while (at < p->len && p->list[at].turn < turn)
        at++;
    return at;
}

const struct turn_pin *pins_find(const struct session_pins *p, uint32_t turn)
{
    uint32_t at = place_of(p, turn);

    return at < p->len && p->list[at].turn == turn ? &p->list[at] : NULL;
}

int pins_add(struct session_pins *p, uint32_t turn, enum pin_by by, struct err *err)
{
    uint32_t at = place_of(p, turn);

    BUG_ON(turn == 0);
    if (at < p->len && p->list[at].turn == turn) {
        p->list[at].by = by;
        return E_OK;
    }
    if (p->len == SESSION_PINS_MAX)
        return err_set(err, E_REFUSED, "this session has %d pinned turns, no more are kept: unpin "
                       "one first", SESSION_PINS_MAX);
    memmove(p->list + at + 1, p->list + at, (p->len - at) * sizeof(p->list[0]));
    p->list[at] = (struct turn_pin){turn, by};
    p->len++;
    return E_OK;
}

void pins_remove(struct session_pins *p, uint32_t first, uint32_t last)
{
    uint32_t at = place_of(p, first), end = at;

    while (end < p->len && p->list[end].turn <= last)
        end++;
    memmove(p->list + at, p->list + end, (p->len - end) * sizeof(p->list[0]));
    p->len -= end - at;
}
