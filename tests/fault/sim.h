// SPDX-License-Identifier: MIT
// sim.h: a whole engine in simulated time, on a memory store, over a wire that a test answers. Both
// dialects: providers "anthropic" and "openai". One thread.
#ifndef TESTS_FAULT_SIM_H
#define TESTS_FAULT_SIM_H

#include "fault/harness.h"

struct sim {
    struct place place;
    struct clock_sim clock;
    struct rand_sim rand;
    struct wire_sim_ops wire;
    struct engine_seams seams;
    parley *engine;
    struct loop *loop; // borrowed
    unsigned calls;    // to a provider, since the last turn began
};

// How a turn ended, as DONE told.
struct outcome {
    bool accepted;
    enum parley_event_type last;
    int code;
    char status[16], stop[16], message[512];
    struct buf reply;
    unsigned calls;
    int64_t took_ms; // simulated
};

static inline int sim_make_wire(void *user, struct loop *loop, struct wire **out, struct err *err)
{
    struct sim *s = user;
    s->loop = loop;
    return wire_new_sim(out, loop, &s->wire, err);
}

static inline void sim_count(void *user, const char *provider, const char *body, size_t len)
{
    struct sim *s = user;
    (void)provider;
    (void)body;
    (void)len;
    s->calls++;
}

// `settings` may be NULL.
static inline void sim_open(struct sim *s, const struct wire_sim_ops *wire, uint64_t seed,
                            const char *const *settings)
{
    struct engine_wish wish = {
        .store = "memory:",
        .settings = {"providers.anthropic.base_url=http://127.0.0.1:1",
                     "providers.anthropic.auth=none", "providers.anthropic.model=m",
                     "providers.openai.base_url=http://127.0.0.1:1/v1",
                     "providers.openai.auth=none", "providers.openai.model=m"},
        .seams = &s->seams,
        .trace = sim_count,
        .user = s,
    };
    parley_error error = PARLEY_ERROR_INIT;
    for (size_t i = 0; settings && settings[i]; i++)
        wish.settings[6 + i] = settings[i];
    place_make_light(&s->place);
    clock_sim_init(&s->clock, 1700000000000);
    rand_sim_init(&s->rand, seed);
    s->wire = *wire;
    s->seams = (struct engine_seams){
        .clock = &s->clock, .rand = &s->rand.rand, .wire = sim_make_wire, .user = s};
    if (place_open(&s->place, &wish, &s->engine, &error) < 0)
        give_up("engine: %s", error.message);
}

static inline void sim_close(struct sim *s)
{
    parley_close(s->engine);
    place_remove(&s->place);
}

static inline void copy_json_word(char *out, size_t size, struct json v)
{
    struct slice raw = json_raw(v);
    snprintf(out, size, "%.*s", raw.len > 2 ? (int)raw.len - 2 : 0, raw.len > 2 ? raw.ptr + 1 : "");
}

// One turn in a session of its own, to its end. The caller releases o->reply.
static inline void sim_turn(struct sim *s, const char *provider, struct outcome *o)
{
    struct json_doc doc = JSON_DOC_INIT;
    parley_message m = PARLEY_MESSAGE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request;
    int64_t start_ns = clock_mono_ns(&s->clock.clock);
    memset(o, 0, sizeof(*o));
    buf_init(&o->reply, 1 << 22);
    s->calls = 0;
    m.user = "ann";
    m.provider = provider;
    m.text = "How far is the moon? #1";
    if (parley_send(s->engine, &m, &request, &error) < 0)
        give_up("send: %s", error.message);
    parley_event *event = wait_end(s->engine, &o->accepted);
    o->took_ms = (clock_mono_ns(&s->clock.clock) - start_ns) / 1000000;
    o->last = event->type;
    o->code = event->code;
    o->calls = s->calls;
    snprintf(o->message, sizeof(o->message), "%s", event->text);
    if (json_parse(&doc, slice_str(event->json), 0, NULL) == E_OK) {
        struct json root = json_root(&doc);
        copy_json_word(o->status, sizeof(o->status), json_get(root, "status"));
        copy_json_word(o->stop, sizeof(o->stop), json_get(root, "stop"));
        json_string(json_get(root, "reply"), &o->reply);
    }
    json_doc_release(&doc);
    parley_event_free(event);
}

#endif
