// SPDX-License-Identifier: MIT
// rand.c: random bytes from the system, or from a seed.
// The system's: any thread. A seeded one: one thread; the same seed gives the same bytes anywhere.
#include "base/rand.h"

#include "base/err.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

static void system_fill(void *self, void *out, size_t bytes)
{
    char *at = out;

    (void)self;
    while (bytes > 0) {
        ssize_t n = getrandom(at, bytes, 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            BUG("getrandom failed: %s", strerror(errno));
        at += n;
        bytes -= (size_t)n;
    }
}

const struct rand *rand_system(void)
{
    static const struct rand system = {.fill = system_fill};

    return &system;
}

static uint64_t rotl(uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

static uint64_t sim_next(struct rand_sim *r)
{
    uint64_t result = rotl(r->s[1] * 5, 7) * 9;
    uint64_t t = r->s[1] << 17;

    r->s[2] ^= r->s[0];
    r->s[3] ^= r->s[1];
    r->s[1] ^= r->s[2];
    r->s[0] ^= r->s[3];
    r->s[2] ^= t;
    r->s[3] = rotl(r->s[3], 45);
    return result;
}

static void sim_fill(void *self, void *out, size_t bytes)
{
    unsigned char *at = out;
    uint64_t word = 0;

    // Byte by byte from the low end, so that every machine makes the same bytes.
    for (size_t i = 0; i < bytes; i++) {
        if (i % 8 == 0)
            word = sim_next(self);
        at[i] = (unsigned char)(word >> (i % 8 * 8));
    }
}

void rand_sim_init(struct rand_sim *r, uint64_t seed)
{
    r->rand = (struct rand){.fill = sim_fill, .self = r};
    // splitmix64, as the authors of the generator advise: no seed gives the all-zero state.
    for (int i = 0; i < 4; i++) {
        uint64_t z = seed += 0x9e3779b97f4a7c15;

        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
        z = (z ^ z >> 27) * 0x94d049bb133111eb;
        r->s[i] = z ^ z >> 31;
    }
}

uint64_t rand_u64(const struct rand *r)
{
    unsigned char bytes[8];
    uint64_t n = 0;

    rand_fill(r, bytes, sizeof(bytes));
    for (int i = 7; i >= 0; i--)
        n = n << 8 | bytes[i];
    return n;
}

uint64_t rand_below(const struct rand *r, uint64_t n)
{
    BUG_ON(n == 0);
    // The first 2^64 mod n values would make low results likelier: draw again. Fewer than half of
    // all draws are refused, whatever n is.
    uint64_t uneven = -n % n;
    uint64_t draw;
    do {
        draw = rand_u64(r);
    } while (draw < uneven);
    return draw % n;
}
