// SPDX-License-Identifier: MIT
// pair.h: two engines on one store in memory, as two processes would be: each has its loop and its
// claim, and nothing but the store, the keyring and the clock is the same. Providers: scripted,
// slow. One thread.
#ifndef TESTS_FAULT_PAIR_H
#define TESTS_FAULT_PAIR_H

#include "fault/sim.h"

static inline void no_answer(void *user, struct wire_request *r)
{
    (void)user;
    (void)r;
    give_up("nothing goes over the wire here");
}

static const struct wire_sim_ops no_wire __attribute__((unused)) = {.answer = no_answer};

// Two engines on one store, each with its loop, one clock.
struct pair {
    struct sim a, b;
    char store[32];
};

static inline void pair_open(struct pair *p, uint64_t seed)
{
    char path[NAME_BYTES], keyring[NAME_BYTES + 16];
    snprintf(p->store, sizeof(p->store), "memory:pair-%p", (void *)p);
    struct engine_wish wish = {.store = p->store, .user = &p->b};
    parley_error error = PARLEY_ERROR_INIT;
    place_make_light(&p->a.place);
    p->b.place = p->a.place;
    snprintf(keyring, sizeof(keyring), "keyring=%s", place_path(&p->a.place, "keys", path));
    wish.settings[0] = keyring;
    clock_sim_init(&p->a.clock, 1700000000000);
    struct sim *both[] = {&p->a, &p->b};
    for (unsigned i = 0; i < 2; i++) {
        rand_sim_init(&both[i]->rand, seed + i);
        both[i]->wire = no_wire;
        both[i]->seams = (struct engine_seams){.clock = &p->a.clock, .rand = &both[i]->rand.rand,
                                               .wire = sim_make_wire, .user = both[i]};
        wish.seams = &both[i]->seams;
        if (place_open(&p->a.place, &wish, &both[i]->engine, &error) < 0)
            give_up("engine: %s", error.message);
    }
}

static inline void pair_close(struct pair *p)
{
    parley_close(p->b.engine);
    sim_close(&p->a);
}

#endif
