// SPDX-License-Identifier: MIT
// clock.h: the seam for time. Nothing else in the engine asks the system what time it is.
//
// wall_ms is for people and records and may jump; mono_ns only ever grows and is for deadlines.
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include "base/buf.h"
#include "base/err.h"
#include <stdint.h>

struct clock {
    int64_t (*wall_ms)(void *self);  // Unix time in ms
    int64_t (*mono_ns)(void *self);
    int64_t (*boot_ms)(void *self);  // see clock_boot_ms; NULL: mono_ns stands in
    void *self;
};

const struct clock *clock_system(void);  // any thread

// Simulated time for tests and simulation; one thread. Starts at wall_ms, mono 0.
struct clock_sim {
    struct clock clock;
    int64_t wall_now_ms;
    int64_t mono_now_ns;
};
void clock_sim_init(struct clock_sim *s, int64_t wall_ms);
void clock_sim_advance(struct clock_sim *s, int64_t ms);  // both clocks
void clock_sim_jump(struct clock_sim *s, int64_t ms);     // the wall clock only, either way

static inline int64_t clock_wall_ms(const struct clock *c) { return c->wall_ms(c->self); }
static inline int64_t clock_mono_ns(const struct clock *c) { return c->mono_ns(c->self); }

// How long this machine has been up, sleep included: grows, and begins anew at each boot.
static inline int64_t clock_boot_ms(const struct clock *c)
{
    return c->boot_ms ? c->boot_ms(c->self) : c->mono_ns(c->self) / 1000000;
}
// Which boot of which machine this is; empty where the system does not tell.
enum { CLOCK_BOOT_ID_BYTES = 40 };
void clock_boot_id(char out[CLOCK_BOOT_ID_BYTES]);

// RFC 3339 in UTC with milliseconds, "2026-01-31T23:59:59.123Z".
enum { CLOCK_TEXT_BYTES = 32 };
void clock_format(int64_t wall_ms, char out[CLOCK_TEXT_BYTES]);
// Reads RFC 3339 (any offset, optional fraction) or a date alone; E_USAGE with a hint otherwise.
int clock_parse(struct slice text, int64_t *wall_ms, struct err *err);
// Durations as policies write them: "30m" "2h" "30d" "1.5h" "45s" "250ms"; E_USAGE otherwise.
int clock_parse_span(struct slice text, int64_t *ms, struct err *err);

#endif
