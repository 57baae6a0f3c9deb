// SPDX-License-Identifier: MIT
// years.h: the people of the simulated years (test_years.c), the plain model of what each said and
// where, and the engine that they talk to. Header only; one thread.
#ifndef TESTS_FAULT_YEARS_H
#define TESTS_FAULT_YEARS_H

#include "fault/harness.h"
#include "store/store.h"

#define HOUR_MS ((int64_t)3600 * 1000)
#define DAY_MS (24 * HOUR_MS)
#define MINUTE_MS ((int64_t)60 * 1000)
#define RESTORE_MS (2 * HOUR_MS)
#define PURGE_MS (30 * DAY_MS)
#define SWEEP_MS (6 * HOUR_MS)
#define LATE_MS (5 * DAY_MS)
#define YEARS_MS (2 * 365 * DAY_MS)
#define STORE_NAME "memory:years"

enum { VISITS_EACH = 10, MESSAGES_MAX = 6, FOODS = 12, SESSIONS_MAX = 64, RECENT = 40,
       DEATHS_OF = 60 /* visits, one */, DEATH_OPS = 60 };

struct said {
    uint32_t number;               // of the text; it is in the text, and in its answer
    bool superseded;
    bool tells;                    // something of themselves
    bool broken_off;               // the engine died over it: it may have no answer
};
struct conversation {
    char id[ID_TEXT_BYTES];
    struct vec turns;              // struct said
    int64_t last_ms;
    bool purged;                   // as the engine said
};
struct person {
    struct conversation sessions[SESSIONS_MAX];
    unsigned sessions_len;
    unsigned city;                 // that they live in; 0: they did not say
    bool likes[FOODS];
    int64_t died_ms;               // when the engine did, over them; 0: it did not
    bool known;                    // to the engine
};

// What a person says, and what it says of them; the model of it is brought up to date once it is
// known to be stored.
struct saying {
    uint32_t number;
    char text[96];
    unsigned city, food;
    int likes;                     // 1, -1, or 0: nothing is said of food
};

struct years {
    struct place place;
    struct clock_sim clock;
    struct rand_sim rand;
    struct engine_seams seams;
    struct store *hold;            // the store's memory, while no engine is open
    parley *engine;
    bool dying;                    // the engine's store fails from some operation on
    bool twice;                    // the control
    uint64_t seed;
    struct person *people;
    unsigned people_len, recent[RECENT], recent_at;
    uint32_t texts;
    struct saying last;            // that was sent
    bool last_edits;
    int64_t began_ms, swept_ms;
    unsigned long steps, messages, deaths, closings, sweeps, erased, forgotten, undone, resumed,
        purges, facts, told, wrong;
    struct buf request;            // the newest one to the model
    char why[8192];
};

static const char years_policy[] =
    "local history = require \"parley.history\"\n"
    "-- The answer's words are proposed as well, as by one who takes whatever they read.\n"
    "local function statements(text, out)\n"
    "    for city in text:gmatch \"I live in (C%d+)%.\" do\n"
    "        out[#out + 1] = { predicate = \"lives_in\", value = city,\n"
    "                          quote = \"I live in \" .. city .. \".\" }\n"
    "    end\n"
    "    for food in text:gmatch \"I like (F%d+)%.\" do\n"
    "        out[#out + 1] = { predicate = \"likes\", value = food,\n"
    "                          quote = \"I like \" .. food .. \".\" }\n"
    "    end\n"
    "    for food in text:gmatch \"I no longer like (F%d+)%.\" do\n"
    "        out[#out + 1] = { predicate = \"likes\", value = food, negates = true,\n"
    "                          quote = \"I no longer like \" .. food .. \".\" }\n"
    "    end\n"
    "    return out\n"
    "end\n"
    "return {\n"
    "    system = \"Be brief.\",\n"
    "    history = history.window { keep_turns = 4 },\n"
    "    privacy = { redact = false },\n"
    "    expiry = { kind = \"sliding\", soft = \"30m\", hard = \"2h\", purge = \"30d\" },\n"
    "    resume = { greet = function(view) return \"Good to have you back.\" end },\n"
    "    memory = {\n"
    "        predicates = { lives_in = { one = true, kind = \"circumstance\" },\n"
    "                       likes = { kind = \"preference\" } },\n"
    "        extract = function(view, turn)\n"
    "            return statements(turn.assistant or \"\", statements(turn.user or \"\", {}))\n"
    "        end,\n"
    "    },\n"
    "}\n";
static const char years_brain[] =
    "return function(request)\n"
    "    local text = request.messages[#request.messages].text\n"
    "    local n = tonumber(text:match \"#(%d+)[^#]*$\") or 0\n"
    "    local own = n % 5 == 0 and \" I live in C99. I like F99.\" or \"\"\n"
    "    return \"Answer to #\" .. n .. \".\" .. own\n"
    "end\n";

static inline uint64_t draw(struct years *y, uint64_t below)
{
    return rand_below(&y->rand.rand, below);
}

static inline void user_of(const struct years *y, const struct person *p, char out[32])
{
    snprintf(out, 32, "u%u", (unsigned)(p - y->people));
}

__attribute__((format(printf, 3, 4))) static inline void
wrong(struct years *y, const struct person *p, const char *fmt, ...)
{
    char user[32], text[8000];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (y->wrong++)
        return;
    user_of(y, p, user);
    snprintf(y->why, sizeof(y->why), "step %lu, %s: %s", y->steps, user, text);
}

// ---- the engine

static inline int no_wire(void *user, struct loop *loop, struct wire **out, struct err *err)
{
    static const struct wire_sim_ops none = {0};
    (void)user;
    return wire_new_sim(out, loop, &none, err);
}

static inline void see_request(void *user, const char *provider, const char *body, size_t len)
{
    struct years *y = user;
    (void)provider;
    buf_clear(&y->request);
    buf_add(&y->request, body, len);
}

// fail_at: from which operation on the store fails; 0: it does not.
static inline void open_engine(struct years *y, unsigned fail_at)
{
    char store[64] = STORE_NAME, keyring[NAME_BYTES + 16];
    struct engine_wish wish = {
        .store = store, .seams = &y->seams, .trace = see_request, .user = y};
    parley_error error = PARLEY_ERROR_INIT;
    if (fail_at)
        snprintf(store, sizeof(store), "faulty:fail_at=%u,mode=%s,sticky=1;" STORE_NAME, fail_at,
                 fail_at % 2 ? "after" : "before");
    snprintf(keyring, sizeof(keyring), "keyring=%s/parley.keys", y->place.dir);
    wish.settings[0] = keyring;
    y->dying = fail_at != 0;
    if (place_open(&y->place, &wish, &y->engine, &error) < 0) {
        if (!fail_at)
            give_up("engine: %s", error.message);
        y->dying = false;
        wish.store = STORE_NAME;
        if (place_open(&y->place, &wish, &y->engine, &error) < 0)
            give_up("engine: %s", error.message);
    }
}

static inline void open_again(struct years *y, unsigned fail_at)
{
    parley_close(y->engine);
    open_engine(y, fail_at);
}

// The last event of what was asked; the caller's. give_up: it could not be asked.
static inline parley_event *answer(struct years *y, int asked, const parley_error *error)
{
    if (asked < 0)
        give_up("asking: %s", error->message);
    y->steps++;
    return wait_end(y->engine, NULL);
}

typedef int asking(parley *e, const parley_scope *scope, uint64_t *request, parley_error *error);
static inline parley_event *ask(struct years *y, const struct person *p, asking *what,
                                const char *session)
{
    parley_scope scope = PARLEY_SCOPE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request;
    char user[32];
    user_of(y, p, user);
    scope.user = user;
    scope.session = session;
    return answer(y, what(y->engine, &scope, &request, &error), &error);
}

// ---- what is said

static inline struct conversation *newest(struct person *p)
{
    return p->sessions_len ? &p->sessions[p->sessions_len - 1] : NULL;
}

static inline struct conversation *conversation_of(struct years *y, struct person *p,
                                                   const char *id)
{
    for (unsigned i = p->sessions_len; i-- > 0;) {
        if (strcmp(p->sessions[i].id, id) == 0)
            return &p->sessions[i];
    }
    if (p->sessions_len == SESSIONS_MAX) {
        wrong(y, p, "more sessions than visits");
        return newest(p);
    }
    struct conversation *c = &p->sessions[p->sessions_len++];
    *c = (struct conversation){.turns = VEC_INIT(struct said, 1 << 16)};
    snprintf(c->id, sizeof(c->id), "%s", id);
    return c;
}

static inline struct said *newest_said(struct conversation *c)
{
    if (!c)
        return NULL;
    for (size_t i = c->turns.len; i-- > 0;) {
        struct said *s = VEC_AT(&c->turns, struct said, i);
        if (!s->superseded)
            return s;
    }
    return NULL;
}

static inline struct saying think_of(struct years *y, bool small_talk)
{
    unsigned number = ++y->texts;
    struct saying s = {.number = number};
    switch (small_talk ? 9 : draw(y, 10)) {
    case 0:
    case 1:
    case 2:
        s.city = 1 + (unsigned)draw(y, 50);
        snprintf(s.text, sizeof(s.text), "I live in C%u. #%u", s.city, number);
        break;
    case 3:
    case 4:
    case 5:
        s.food = (unsigned)draw(y, FOODS);
        s.likes = draw(y, 4) ? 1 : -1;
        snprintf(s.text, sizeof(s.text), "I %s F%u. #%u", s.likes > 0 ? "like" : "no longer like",
                 s.food, number);
        break;
    default:
        snprintf(s.text, sizeof(s.text), "How is the weather? #%u", number);
    }
    return s;
}

static inline void believe(struct person *p, const struct saying *s)
{
    if (s->city)
        p->city = s->city;
    if (s->likes)
        p->likes[s->food] = s->likes > 0;
}

// A turn that is stored.
static inline struct said *remember(struct years *y, struct person *p, const char *session,
                                    uint32_t turn, const struct saying *saying, bool edit)
{
    struct conversation *c = conversation_of(y, p, session);
    struct said *replaced = edit ? newest_said(c) : NULL;
    if (replaced)
        replaced->superseded = true;
    struct said *s = vec_push(&c->turns);
    if (!s)
        give_up("out of memory");
    *s = (struct said){.number = saying->number, .tells = saying->city || saying->likes};
    if (turn != c->turns.len)
        wrong(y, p, "turn %u is the %zuth", turn, c->turns.len);
    c->last_ms = clock_wall_ms(&y->clock.clock);
    p->known = true;
    believe(p, saying);
    return s;
}

// Whether a message went on where it should.
static inline void look_where(struct years *y, struct person *p, const struct conversation *c,
                       const char *session)
{
    int64_t away_ms = clock_wall_ms(&y->clock.clock) - c->last_ms;
    bool same = strcmp(c->id, session) == 0;
    if (away_ms < RESTORE_MS - MINUTE_MS && !same)
        wrong(y, p, "a new session after %lld minutes", (long long)(away_ms / MINUTE_MS));
    if (away_ms > RESTORE_MS + MINUTE_MS && same)
        wrong(y, p, "the same session after %lld hours", (long long)(away_ms / HOUR_MS));
    y->resumed += !same;
}

// One message; `edit`: the newest turn is said anew. False: the engine failed.
static inline bool send(struct years *y, struct person *p, bool fresh, uint32_t edit)
{
    struct saying saying = think_of(y, edit != 0);
    struct conversation *c = newest(p);
    parley_message m = PARLEY_MESSAGE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request;
    char user[32];
    user_of(y, p, user);
    m.user = user;
    m.text = saying.text;
    m.flags = fresh ? 0 : PARLEY_CONTINUE;
    m.session = edit ? c->id : NULL;
    m.edit_turn = edit;
    parley_event *event = answer(y, parley_send(y->engine, &m, &request, &error), &error);
    bool done = event->type == PARLEY_EVENT_DONE && event->code == PARLEY_OK;
    if (y->twice)
        parley_event_free(answer(y, parley_send(y->engine, &m, &request, &error), &error));
    if (!done && !y->dying)
        wrong(y, p, "a message failed: %s", event->text);
    y->messages++;
    y->last = saying;
    y->last_edits = edit != 0;
    if (done && !fresh && !edit && c)
        look_where(y, p, c, event->session);
    if (done)
        remember(y, p, event->session, event->turn, &saying, edit != 0);
    parley_event_free(event);
    return done;
}

// ---- from the beginning to the end

static inline void forget_person(struct person *p)
{
    for (unsigned i = 0; i < p->sessions_len; i++)
        vec_release(&p->sessions[i].turns);
    *p = (struct person){.sessions_len = 0};
}

static inline void years_open(struct years *y, uint64_t seed, unsigned people)
{
    struct store_env env;
    *y = (struct years){.seed = seed, .people_len = people, .request = BUF_INIT(4 << 20)};
    place_make_light(&y->place);
    place_write(&y->place, "policies/fault.lua", years_policy);
    place_write(&y->place, "reply.lua", years_brain);
    clock_sim_init(&y->clock, 1767261600000);
    rand_sim_init(&y->rand, seed);
    y->seams = (struct engine_seams){
        .clock = &y->clock, .rand = &y->rand.rand, .wire = no_wire, .user = y};
    env = (struct store_env){.clock = &y->clock.clock, .rand = &y->rand.rand};
    y->people = calloc(people, sizeof(*y->people));
    if (!y->people || store_open(&y->hold, STORE_NAME, &env, NULL))
        give_up("no store");
    for (unsigned i = 0; i < RECENT; i++)
        y->recent[i] = (unsigned)draw(y, people);
    y->began_ms = clock_wall_ms(&y->clock.clock);
    open_engine(y, 0);
}

static inline void years_close(struct years *y)
{
    parley_close(y->engine);
    for (unsigned i = 0; i < y->people_len; i++)
        forget_person(&y->people[i]);
    buf_release(&y->request);
    free(y->people);
    store_free(y->hold);
    place_remove(&y->place);
}

#endif
