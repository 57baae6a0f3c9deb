// SPDX-License-Identifier: MIT
// remembered.h: what the fault harnesses of memory share: a world in simulated time, with a user of
// whom something is remembered after a sweep (facts, knowledge, journal, core memory), engines over
// its store, and what they tell of it.
// Header only; one thread.
#ifndef TESTS_FAULT_REMEMBERED_H
#define TESTS_FAULT_REMEMBERED_H

#include "fault/harness.h"

enum { OPS_MAX = 4000 };  // of one request; more than there are
#define HOUR_MS (3600 * INT64_C(1000))

static const char policy[] =
    "local function said(view, turn)\n"
    "  local what = turn.user:match 'I like (%a+)'\n"
    "  return what and { { predicate = 'likes', value = what, quote = 'I like ' .. what } }\n"
    "end\n"
    "local function conclude(view)\n"
    "  local ids = {}\n"
    "  for _, f in ipairs(view.facts) do\n"
    "    if f.predicate == 'likes' then ids[#ids + 1] = f.id end\n"
    "  end\n"
    "  return { { kind = 'pattern', predicate = 'tends_to', value = 'the woods', facts = ids },\n"
    "           { kind = 'style', predicate = 'talks', value = 'in short', facts = ids } }\n"
    "end\n"
    "return { expiry = { kind = 'sliding', soft = '30m', hard = '2h' },\n"
    "         on_message = function(view)\n"
    "           local name = view.text:match 'call me (%a+)'\n"
    "           return name and { memory = { core = { human = 'Is called ' .. name } } } or nil\n"
    "         end,\n"
    "         memory = { extract = said, reflect = conclude, reflect_after = 3,\n"
    "                    journal = { bytes = 256 } } }\n";

// ---- a world: a store, and engines over it, one after the other

struct world {
    struct place place;
    struct clock_sim clock;
    struct rand_sim rand;
    struct engine_seams seams;
    parley *engine;
    struct wire_sim_ops wire;
};

static inline int make_wire(void *user, struct loop *loop, struct wire **out, struct err *err)
{
    struct world *w = user;
    return wire_new_sim(out, loop, &w->wire, err);
}

static inline parley *open_engine(struct world *w, const char *faults)
{
    char store[128], keys[NAME_BYTES], keyring[NAME_BYTES + 16];
    parley_error error = PARLEY_ERROR_INIT;
    struct engine_wish wish = {.store = store, .settings = {keyring}, .seams = &w->seams};
    parley *e = NULL;
    snprintf(keyring, sizeof(keyring), "keyring=%s", place_path(&w->place, "keys", keys));
    snprintf(store, sizeof(store), "%smemory:reflection", faults);
    return place_open(&w->place, &wish, &e, &error) < 0 ? NULL : e;
}

// Whether the turn is done.
static inline bool say(parley *e, const char *text)
{
    parley_message m = PARLEY_MESSAGE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request;
    m.user = "ann";
    m.text = text;
    if (parley_send(e, &m, &request, &error) < 0)
        give_up("send: %s", error.message);
    parley_event *event = wait_end(e, NULL);
    bool done = event->type == PARLEY_EVENT_DONE && event->code == 0;
    parley_event_free(event);
    return done;
}

static inline void world_open(struct world *w)
{
    static const char *const liked[] = {"hiking", "rivers", "lakes",  "woods", "snow", "birds",
                                        "maps",   "tents",  "stones", "boats", "fire", "stars"};
    unsigned sessions = fault_long() ? sizeof(liked) / sizeof(liked[0]) : 3;
    memset(w, 0, sizeof(*w));
    place_make_light(&w->place);
    place_write(&w->place, "policies/fault.lua", policy);
    clock_sim_init(&w->clock, 1772323200000);
    rand_sim_init(&w->rand, 20261121);
    w->seams = (struct engine_seams){
        .clock = &w->clock, .rand = &w->rand.rand, .wire = make_wire, .user = w};
    w->engine = open_engine(w, "");
    if (!w->engine)
        give_up("engine: it does not open");
    for (unsigned i = 0; i < sessions; i++) {
        char text[64];
        snprintf(text, sizeof(text), "I like %s #%u", liked[i], i + 1);
        if (!say(w->engine, text))
            give_up("send: a turn is not done");
        clock_sim_advance(&w->clock, HOUR_MS);
    }
    clock_sim_advance(&w->clock, 3 * HOUR_MS);
}

static inline void world_close(struct world *w)
{
    parley_close(w->engine);
    place_remove(&w->place);
}

// Whether it went well.
static inline bool sweep(parley *e)
{
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request;
    if (parley_sweep(e, PARLEY_TRUST_CLOCK, &request, &error) < 0)
        return false;
    parley_event *event = wait_end(e, NULL);
    struct json_doc doc = JSON_DOC_INIT;
    bool good = event->type == PARLEY_EVENT_RESULT &&
                json_parse(&doc, slice_str(event->json), 0, NULL) == E_OK &&
                json_i64(json_get(json_root(&doc), "failed"), 0) == 0 &&
                json_i64(json_get(json_root(&doc), "left"), 0) == 0;
    json_doc_release(&doc);
    parley_event_free(event);
    return good;
}

struct memory_told {
    char *text;           // owned
    unsigned knowledge, entries;
};

// When something was written is the store's: a commit that was tried again is later.
static inline void blank_times(char *text)
{
    static const char *const members[] = {"\"recorded_at\":\"", "\"retired_at\":\"",
                                          "\"forgotten_at\":\""};
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
        for (char *at = strstr(text, members[i]); at; at = strstr(at, members[i])) {
            at += strlen(members[i]);
            memset(at, 'x', strcspn(at, "\""));
        }
}

static inline struct memory_told memory_of(struct world *w)
{
    struct memory_told m = {0};
    struct json_doc doc = JSON_DOC_INIT;
    parley_scope scope = PARLEY_SCOPE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request;
    scope.user = "ann";
    if (parley_memory(w->engine, &scope, PARLEY_MEMORY_ALL, &request, &error) < 0)
        give_up("memory: %s", error.message);
    parley_event *event = wait_end(w->engine, NULL);
    if (event->type != PARLEY_EVENT_RESULT || json_parse(&doc, slice_str(event->json), 0, NULL))
        give_up("memory: %s", event->text);
    m.text = mem_strdup(event->json);
    blank_times(m.text);
    m.knowledge = json_count(json_get(json_root(&doc), "knowledge"));
    m.entries = json_count(json_get(json_root(&doc), "journal"));
    json_doc_release(&doc);
    parley_event_free(event);
    return m;
}

// ---- the store, behind the engine's back

struct lie {
    struct store_op op;
    struct store_item item;
    bool over;
};

static inline void lie_over(struct store_op *op)
{
    CONTAINER_OF(op, struct lie, op)->over = true;
}

static inline void submit(struct world *w, struct lie *l)
{
    l->op.loop = w->engine->hands[0].loop;
    l->op.done = lie_over;
    l->over = false;
    store_submit(w->engine->store, &l->op);
    loop_run(l->op.loop);
    if (!l->over || l->op.code)
        give_up("control: %s", l->op.err.message);
}

#endif
