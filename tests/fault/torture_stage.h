// SPDX-License-Identifier: MIT
// torture_stage.h: what test_torture.c plays on: a store with users who said something before, and
// engines over it, of two kinds. Simulated: one thread, a store in memory, a wire that is played.
// Real: threads, sqlite, curl and a provider on the loopback. And the comparison of what a client
// was told with what the store holds.
#ifndef TESTS_FAULT_TORTURE_STAGE_H
#define TESTS_FAULT_TORTURE_STAGE_H

#include "bench/fake_provider.h"
#include "fault/harness.h"

#define MOON "The moon is far."
#define NINE "Nine."
#define BEFORE "Hello."
#define AGAIN "And now?"

enum { CAST = 32 };

struct stage {
    bool real;
    struct place place;
    struct clock_sim clock;
    struct rand_sim rand;
    struct engine_seams seams;
    struct store *hold; // keeps the memory store while no engine is open
    struct fake_provider *provider;
    char url[96], keyring[NAME_BYTES + 16], store[64];
    parley *e;
};

// What a client knows of one turn.
struct told {
    const char *text, *reply; // NULL: MOON
    bool accepted, ended, refused;
    int code;
    char status[16]; // empty: DONE could not tell
    char message[512];
};

static inline void stage_answer(void *user, struct wire_request *r)
{
    struct stage *s = user;
    const char *body = strstr(s->provider->answer, "\r\n\r\n") + 4;
    wire_sim_status(r, 200);
    wire_sim_header(r, "content-type", "text/event-stream");
    wire_sim_data(r, slice_str(body));
    wire_sim_done(r, WIRE_OK);
}

static inline int stage_wire(void *user, struct loop *loop, struct wire **out, struct err *err)
{
    struct wire_sim_ops ops = {.answer = stage_answer, .user = user};
    return wire_new_sim(out, loop, &ops, err);
}

static inline int stage_try_open(struct stage *s, parley_error *error)
{
    struct engine_wish wish = {
        .provider = "anthropic",
        .store = s->real ? NULL : s->store,
        .settings = {s->url, "providers.anthropic.auth=none", "providers.anthropic.model=m",
                     "providers.anthropic.connect_timeout=3s",
                     "providers.anthropic.first_byte_timeout=3s",
                     "providers.anthropic.idle_timeout=3s", s->keyring},
        .seams = s->real ? NULL : &s->seams,
    };
    return place_open(&s->place, &wish, &s->e, error);
}

static inline void stage_open(struct stage *s)
{
    parley_error error = PARLEY_ERROR_INIT;
    if (stage_try_open(s, &error) < 0)
        give_up("engine: %s", error.message);
}

static inline void stage_close(struct stage *s)
{
    parley_close(s->e);
    s->e = NULL;
}

// Sends; the code of parley_send. `request` may be NULL.
static inline int stage_send(struct stage *s, const char *user, const char *text, const char *key,
                             uint64_t *request, parley_error *error)
{
    parley_message m = PARLEY_MESSAGE_INIT;
    m.flags = PARLEY_CONTINUE;
    m.user = user;
    m.text = text;
    m.key = key;
    return parley_send(s->e, &m, request, error);
}

static inline void told_status(struct told *t, const char *json)
{
    struct json_doc doc = JSON_DOC_INIT;
    if (json_parse(&doc, slice_str(json), 0, NULL) == E_OK) {
        struct slice raw = json_raw(json_get(json_root(&doc), "status"));
        if (raw.len > 2)
            snprintf(t->status, sizeof(t->status), "%.*s", (int)raw.len - 2, raw.ptr + 1);
    }
    json_doc_release(&doc);
}

static inline void told_end(struct told *t, const parley_event *event)
{
    t->code = event->code;
    t->refused = event->type == PARLEY_EVENT_ERROR;
    t->ended = event->type == PARLEY_EVENT_DONE;
    if (t->ended)
        told_status(t, event->json);
    snprintf(t->message, sizeof(t->message), "%s", event->text);
}

// A whole turn. What needs memory of ours comes after `mend`, which may be NULL.
static inline void stage_turn(struct stage *s, const char *user, const char *text, const char *key,
                              struct told *t, void (*mend)(void *), void *arg)
{
    parley_error error = PARLEY_ERROR_INIT;
    *t = (struct told){.text = text};
    t->code = stage_send(s, user, text, key, NULL, &error);
    t->refused = t->code < 0;
    parley_event *event = t->refused ? NULL : wait_end(s->e, &t->accepted);
    if (mend)
        mend(arg);
    if (event)
        told_end(t, event);
    else
        snprintf(t->message, sizeof(t->message), "%s", error.message);
    parley_event_free(event);
}

// Two users' turns at the same time.
static inline void stage_pair(struct stage *s, const char *const users[2], const char *text,
                              struct told *const told[2], void (*mend)(void *), void *arg)
{
    parley_error errors[2] = {PARLEY_ERROR_INIT, PARLEY_ERROR_INIT};
    parley_event *ends[2] = {NULL, NULL};
    uint64_t requests[2] = {0, 0};
    for (int i = 0; i < 2; i++) {
        *told[i] = (struct told){.text = text};
        told[i]->code = stage_send(s, users[i], text, NULL, &requests[i], &errors[i]);
        told[i]->refused = told[i]->code < 0;
    }
    while ((!ends[0] && !told[0]->refused) || (!ends[1] && !told[1]->refused)) {
        parley_event *event = next_event(s->e);
        int i = event->request == requests[1] && !told[1]->refused;
        told[i]->accepted = told[i]->accepted || event->type == PARLEY_EVENT_ACCEPTED;
        if (is_last(event))
            ends[i] = event;
        else
            parley_event_free(event);
    }
    mend(arg);
    for (int i = 0; i < 2; i++) {
        if (ends[i])
            told_end(told[i], ends[i]);
        else
            snprintf(told[i]->message, sizeof(told[i]->message), "%s", errors[i].message);
        parley_event_free(ends[i]);
    }
}

static inline void stage_name(char out[16], const char *kind, long i)
{
    snprintf(out, 16, "%s-%ld", kind, i);
}

// A new stage: every user of the cast has said something and was answered.
static inline void stage_init(struct stage *s, bool real, bool cast)
{
    char path[NAME_BYTES], name[16];
    struct store_env env = {.clock = &s->clock.clock, .rand = &s->rand.rand};
    struct told t;
    memset(s, 0, sizeof(*s));
    s->real = real;
    place_make_light(&s->place);
    place_write(&s->place, "policies/fault.lua",
                "local history = require \"parley.history\"\n"
                "return { system = \"Be brief.\", history = history.window { keep_turns = 4 },\n"
                "  on_message = function(view)\n"
                "    if view.text:find(\"hours\", 1, true) then return { say = \"" NINE "\" } end\n"
                "  end,\n"
                "  on_reply = function() end }\n");
    s->provider = fake_provider_start(MOON, NULL);
    if (!s->provider)
        give_up("no loopback");
    clock_sim_init(&s->clock, 1700000000000);
    rand_sim_init(&s->rand, 1);
    s->seams = (struct engine_seams){
        .clock = &s->clock, .rand = &s->rand.rand, .wire = stage_wire, .user = s};
    snprintf(s->url, sizeof(s->url), "providers.anthropic.base_url=http://127.0.0.1:%d",
             fake_provider_port(s->provider));
    snprintf(s->keyring, sizeof(s->keyring), "keyring=%s",
             place_path(&s->place, "parley.keys", path));
    snprintf(s->store, sizeof(s->store), "memory:torture");
    if (!real && store_open(&s->hold, s->store, &env, NULL) != E_OK)
        give_up("no store");
    if (!cast)
        return;
    stage_open(s);
    for (long i = 0; i < CAST; i++) {
        stage_name(name, "user", i);
        stage_turn(s, name, BEFORE, NULL, &t, NULL, NULL);
        if (!t.ended || t.code)
            give_up("the cast: %s", t.message);
    }
    stage_close(s);
}

static inline void stage_release(struct stage *s)
{
    store_free(s->hold);
    fake_provider_stop(s->provider);
    place_remove(&s->place);
}

// ---- what was told against what is there

struct found {
    unsigned lost, half, phantom, problems, stuck;
};

static inline void complain(unsigned *count, const char *what, const char *detail)
{
    ++*count;
    fprintf(stderr, "  %s: %s\n", what, detail);
}

static inline void check_turn_told(const struct told *t, struct json turn, struct found *f)
{
    struct buf reply = BUF_INIT(1 << 20);
    struct json status = json_get(turn, "status");
    step_text(json_at(json_get(turn, "steps"), 1), &reply);
    // An end that could not be written, of which DONE told, is closed by who meets the turn next.
    bool closed_since = strcmp(t->status, "open") == 0 && json_is_string(status, "interrupted");
    if (t->status[0] && !json_is_string(status, t->status) && !closed_since)
        complain(&f->half, "the store tells another end than DONE", t->status);
    if (json_is_string(status, "open"))
        complain(&f->half, "still open", t->text);
    // Where a hook found no memory, the plain policy asks the model.
    bool whole = slice_is(buf_slice(&reply), MOON) ||
                 (t->reply && slice_is(buf_slice(&reply), t->reply));
    if (json_is_string(status, "done") && !whole)
        complain(&f->half, "done with half a reply", t->text);
    buf_release(&reply);
}

// Every turn told of is in the user's newest session, in order, and nothing else.
static inline void check_user_told(struct stage *s, const char *user, const struct told *told,
                                   size_t len, struct found *f)
{
    struct json_doc doc = JSON_DOC_INIT;
    struct json_iter it = {0};
    struct json turn;
    size_t at = 0;
    parley_event *event = ask_show(s->e, user, NULL);
    if (event->type == PARLEY_EVENT_RESULT)
        json_parse(&doc, slice_str(event->json), 0, NULL);
    while (json_next(json_get(json_root(&doc), "turns"), &it, NULL, &turn)) {
        struct buf text = BUF_INIT(1 << 20);
        step_text(json_at(json_get(turn, "steps"), 0), &text);
        for (; at < len && !slice_is(buf_slice(&text), told[at].text); at++) {
            if (told[at].accepted)
                complain(&f->lost, "accepted and gone", told[at].text);
        }
        if (at == len)
            complain(&f->phantom, "nobody was told of it", text.ptr);
        else if (told[at].refused)
            complain(&f->phantom, "refused, and there all the same", told[at].message);
        else
            check_turn_told(&told[at], turn, f);
        at += at < len;
        buf_release(&text);
    }
    for (; at < len; at++) {
        if (told[at].accepted)
            complain(&f->lost, "accepted and gone", told[at].text);
    }
    json_doc_release(&doc);
    parley_event_free(event);
}

#endif
