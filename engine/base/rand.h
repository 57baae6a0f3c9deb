// SPDX-License-Identifier: MIT
// rand.h: the seam for randomness. Keys and ids take it from here; tests seed it.
#ifndef BASE_RAND_H
#define BASE_RAND_H

#include <stddef.h>
#include <stdint.h>

struct rand {
    void (*fill)(void *self, void *out, size_t bytes);  // never fails; BUG if the system cannot
    void *self;
};

const struct rand *rand_system(void);  // getrandom(2); any thread

// Deterministic (xoshiro256**, public domain algorithm by Blackman and Vigna); one thread.
struct rand_sim {
    struct rand rand;
    uint64_t s[4];
};
void rand_sim_init(struct rand_sim *r, uint64_t seed);

static inline void rand_fill(const struct rand *r, void *out, size_t bytes)
{
    r->fill(r->self, out, bytes);
}
uint64_t rand_u64(const struct rand *r);
uint64_t rand_below(const struct rand *r, uint64_t n);  // uniform in [0, n); n > 0

#endif
