// SPDX-License-Identifier: MIT
// Simulated years: people come, talk, go away for minutes or months, come back, change their minds,
// undo, move, forget and are erased, while the engine sweeps, is closed, and dies at any operation
// on its store. After each visit what the engine says of that person is held against a plain model.
//
//   visit ─▶ messages, seconds to hours apart ─▶ look ─▶ (sweep, close, die) ─▶ the next one's
//
// Looked at after each visit: the sessions that there are and how many turns each has, the texts of
// the newest one in their order, that turns are deleted no earlier than their policy says and no
// later than the sweep after, that what is remembered is what the person last said of themselves,
// once, and nothing that the model said. At the end, and now and then: `verify`, whole.
//
// A failing seed is repeated by the line that is printed. Negative control: a person whose words
// reach the engine twice, as if it stored what it was told to store once.
#include "fault/years.h"

// ---- looking

static void look_at_turns(struct years *y, struct person *p, struct conversation *c,
                          struct json root)
{
    struct json turns = json_get(root, "turns"), turn;
    struct json_iter it = {0};
    size_t n = 0;
    if (json_count(turns) != c->turns.len) {
        wrong(y, p, "%u turns, not %zu, in %s", json_count(turns), c->turns.len, c->id);
        return;
    }
    while (json_next(turns, &it, NULL, &turn)) {
        const struct said *s = VEC_AT(&c->turns, const struct said, n++);
        struct buf text = BUF_INIT(1 << 16);
        step_text(json_at(json_get(turn, "steps"), 0), &text);
        if (text_number(buf_slice(&text)) != s->number)
            wrong(y, p, "turn %zu says \"%.*s\", not #%u", n, (int)text.len, text.ptr, s->number);
        buf_clear(&text);
        step_text(json_at(json_get(turn, "steps"), 1), &text);
        if (!s->broken_off && !memmem(text.ptr, text.len, "Answer to #", 11))
            wrong(y, p, "turn %zu is not answered", n);
        bool superseded = json_bool(json_get(turn, "superseded"), false);
        if (superseded != s->superseded)
            wrong(y, p, "turn %zu is%s superseded", n, superseded ? "" : " not");
        buf_release(&text);
    }
}

// Turns are deleted 30 days after their session was archived, which is two hours after the last
// message or at the sweep after that; and at a sweep.
static void look_at_age(struct years *y, struct person *p, struct conversation *c, bool gone)
{
    int64_t age_ms = clock_wall_ms(&y->clock.clock) - c->last_ms;
    if (gone && age_ms < PURGE_MS)
        wrong(y, p, "%s was deleted after %lld hours", c->id, (long long)(age_ms / HOUR_MS));
    if (!gone && age_ms > PURGE_MS + RESTORE_MS + LATE_MS)
        wrong(y, p, "%s is there after %lld hours", c->id, (long long)(age_ms / HOUR_MS));
    y->purges += gone && !c->purged;
    c->purged = gone;
}

static void look_at_conversation(struct years *y, struct person *p, struct conversation *c)
{
    struct json_doc doc = JSON_DOC_INIT;
    parley_event *event = ask(y, p, parley_show, c->id);
    if (event->type != PARLEY_EVENT_RESULT || json_parse(&doc, slice_str(event->json), 0, NULL)) {
        wrong(y, p, "cannot be shown: %s", event->text);
    } else {
        bool gone = json_count(json_get(json_root(&doc), "turns")) == 0;
        look_at_age(y, p, c, gone);
        if (!gone)
            look_at_turns(y, p, c, json_root(&doc));
    }
    json_doc_release(&doc);
    parley_event_free(event);
}

// One of the list. died: the engine had a message when it died, and may have stored it, once; then
// it counts.
static void look_at_session(struct years *y, struct person *p, struct json one, bool died)
{
    char id[ID_TEXT_BYTES];
    struct slice raw = json_raw(json_get(one, "session"));
    snprintf(id, sizeof(id), "%.*s", raw.len > 2 ? (int)raw.len - 2 : 0, raw.ptr + 1);
    unsigned before = p->sessions_len;
    const struct conversation *c = conversation_of(y, p, id);
    uint32_t turns = (uint32_t)json_i64(json_get(one, "turns"), 0);
    if (died && turns == c->turns.len + 1)
        remember(y, p, id, turns, &y->last, y->last_edits)->broken_off = true;
    else if (!died && p->sessions_len != before)
        wrong(y, p, "a session that nobody began");
    else if (turns != c->turns.len)
        wrong(y, p, "%s has %u turns, not %zu", id, turns, c->turns.len);
}

static void look_at_sessions(struct years *y, struct person *p, bool died)
{
    struct json_doc doc = JSON_DOC_INIT;
    parley_event *event = ask(y, p, parley_sessions, NULL);
    // Who was not known before may be nobody's acquaintance yet.
    if (event->type != PARLEY_EVENT_RESULT || json_parse(&doc, slice_str(event->json), 0, NULL)) {
        if (p->known || !died)
            wrong(y, p, "no list of sessions: %s", event->text);
    } else {
        struct json all = json_root(&doc), one;
        struct json_iter it = {0};
        if (!died && json_count(all) != p->sessions_len)
            wrong(y, p, "%u sessions, not %u", json_count(all), p->sessions_len);
        while (json_next(all, &it, NULL, &one))
            look_at_session(y, p, one, died);
    }
    json_doc_release(&doc);
    parley_event_free(event);
}

static int memory(parley *e, const parley_scope *scope, uint64_t *request, parley_error *error)
{
    return parley_memory(e, scope, PARLEY_MEMORY_FACTS | PARLEY_MEMORY_JOURNAL, request, error);
}

// A session is told of in the journal once at most.
static void look_at_journal(struct years *y, struct person *p, struct json journal)
{
    struct json_iter it = {0}, other_it;
    struct json entry, other;
    while (json_next(journal, &it, NULL, &entry)) {
        struct slice session = json_raw(json_get(entry, "session"));
        unsigned times = 0;
        other_it = (struct json_iter){0};
        while (json_next(journal, &other_it, NULL, &other))
            times += slice_eq(json_raw(json_get(other, "session")), session);
        if (times != 1)
            wrong(y, p, "the journal tells %u times of %.*s", times, SLICE_FMT(session));
    }
    y->told += json_count(journal);
}

// What is remembered: where they live and what they like, as they said last, each once.
static void look_at_memory(struct years *y, struct person *p)
{
    struct json_doc doc = JSON_DOC_INIT;
    parley_event *event = ask(y, p, memory, NULL);
    bool likes[FOODS] = {false};
    unsigned city = 0;
    if (event->type != PARLEY_EVENT_RESULT || json_parse(&doc, slice_str(event->json), 0, NULL)) {
        wrong(y, p, "no memory: %s", event->text);
        parley_event_free(event);
        return;
    }
    struct json facts = json_get(json_root(&doc), "facts"), fact;
    struct json_iter it = {0};
    while (json_next(facts, &it, NULL, &fact)) {
        struct slice value = json_raw(json_get(fact, "value"));
        unsigned n = value.len > 3 ? (unsigned)strtoul(value.ptr + 2, NULL, 10) : 0;
        if (!json_is_string(json_get(fact, "status"), "active"))
            continue;
        bool lives = json_is_string(json_get(fact, "predicate"), "lives_in");
        if (lives ? city != 0 : n >= FOODS || likes[n])
            wrong(y, p, "remembered twice, or not theirs: %.*s", SLICE_FMT(json_raw(fact)));
        else if (lives)
            city = n;
        else
            likes[n] = true;
    }
    look_at_journal(y, p, json_get(json_root(&doc), "journal"));
    y->facts += json_count(facts);
    if (city != p->city)
        wrong(y, p, "lives in C%u, it is remembered C%u: %s", p->city, city, event->json);
    for (unsigned i = 0; i < FOODS; i++) {
        if (likes[i] != p->likes[i])
            wrong(y, p, "F%u is %sremembered: %s", i, likes[i] ? "" : "not ", event->json);
    }
    json_doc_release(&doc);
    parley_event_free(event);
}

// What a session was not learnt from when the engine died is learnt with its next message, or when
// it is swept.
static bool behind(const struct years *y, const struct person *p)
{
    return p->died_ms && y->swept_ms < p->died_ms + RESTORE_MS + MINUTE_MS;
}

static void look(struct years *y, struct person *p)
{
    if (!p->known || !p->sessions_len)
        return;
    look_at_sessions(y, p, false);
    look_at_conversation(y, p, &p->sessions[p->sessions_len - 1]);
    look_at_conversation(y, p, &p->sessions[draw(y, p->sessions_len)]);
    if (!behind(y, p))
        look_at_memory(y, p);
}

// ---- what else happens

static void undo(struct years *y, struct person *p, struct conversation *c, struct said *s)
{
    parley_event *event = ask(y, p, parley_undo, c->id);
    if (event->type == PARLEY_EVENT_RESULT) {
        s->superseded = true;
        c->last_ms = clock_wall_ms(&y->clock.clock);
        y->undone++;
    } else {
        wrong(y, p, "undo: %s", event->text);
    }
    parley_event_free(event);
}

static void erase(struct years *y, struct person *p)
{
    parley_event *event = ask(y, p, parley_erase, NULL);
    if (event->type != PARLEY_EVENT_RESULT)
        wrong(y, p, "erase: %s", event->text);
    parley_event_free(event);
    forget_person(p);
    y->erased++;
}

static void forget(struct years *y, const struct person *p, struct slice id)
{
    parley_scope scope = PARLEY_SCOPE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request;
    char user[32], fact[32];
    user_of(y, p, user);
    scope.user = user;
    snprintf(fact, sizeof(fact), "%.*s", SLICE_FMT(id));
    parley_event *event = answer(
        y, parley_forget(y->engine, &scope, fact, &request, &error), &error);
    if (event->type != PARLEY_EVENT_RESULT)
        wrong(y, p, "forget: %s", event->text);
    parley_event_free(event);
    y->forgotten++;
}

// One of what is remembered, if there is any.
static void forget_fact(struct years *y, struct person *p)
{
    struct json_doc doc = JSON_DOC_INIT;
    parley_event *event = ask(y, p, memory, NULL);
    if (event->type != PARLEY_EVENT_RESULT || json_parse(&doc, slice_str(event->json), 0, NULL))
        wrong(y, p, "no memory: %s", event->text);
    struct json facts = json_get(json_root(&doc), "facts");
    struct json fact = json_at(facts, (uint32_t)draw(y, json_count(facts) + 1));
    struct slice value = json_raw(json_get(fact, "value")), id = json_raw(json_get(fact, "fact"));
    if (value.len > 3 && id.len > 2) {
        unsigned n = (unsigned)strtoul(value.ptr + 2, NULL, 10);
        if (value.ptr[1] == 'C' && n == p->city)
            p->city = 0;
        else if (value.ptr[1] == 'F' && n < FOODS)
            p->likes[n] = false;
        forget(y, p, slice_of(id.ptr + 1, id.len - 2));
    }
    json_doc_release(&doc);
    parley_event_free(event);
}

static void sweep(struct years *y)
{
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request;
    parley_event *event = answer(y, parley_sweep(y->engine, 0, &request, &error), &error);
    if (event->type != PARLEY_EVENT_RESULT)
        wrong(y, y->people, "sweep: %s", event->text);
    parley_event_free(event);
    y->swept_ms = clock_wall_ms(&y->clock.clock);
    y->sweeps++;
}

// ---- a visit

static void pause_between(struct years *y)
{
    static const int64_t most_ms[] = {MINUTE_MS, 5 * MINUTE_MS, 5 * MINUTE_MS, 110 * MINUTE_MS};
    clock_sim_advance(&y->clock, 1000 + (int64_t)draw(y, (uint64_t)most_ms[draw(y, 4)]));
}

static bool change_mind(struct years *y, struct person *p)
{
    struct conversation *c = newest(p);
    struct said *s = newest_said(c);
    // What was said of oneself stays said: what an undo does to it has tests of its own.
    if (!c || !s || s->tells)
        return true;
    if (draw(y, 2) == 0)
        undo(y, p, c, s);
    else
        return send(y, p, false, (uint32_t)(1 + (size_t)(s - VEC_AT(&c->turns, struct said, 0))));
    return true;
}

static bool talk(struct years *y, struct person *p)
{
    unsigned messages = 1 + (unsigned)draw(y, MESSAGES_MAX);
    for (unsigned i = 0; i < messages; i++) {
        if (!send(y, p, draw(y, 40) == 0, 0))
            return false;
        pause_between(y);
        if (!y->dying && draw(y, 25) == 0 && !change_mind(y, p))
            return false;
    }
    return true;
}

static struct person *whoever(struct years *y)
{
    unsigned n = draw(y, 2) ? y->recent[draw(y, RECENT)] : (unsigned)draw(y, y->people_len);
    y->recent[y->recent_at++ % RECENT] = n;
    return &y->people[n];
}

static void visit(struct years *y)
{
    struct person *p = whoever(y);
    if (p->sessions_len >= SESSIONS_MAX - MESSAGES_MAX - 1)
        erase(y, p);
    if (draw(y, DEATHS_OF) == 0) {
        open_again(y, 1 + (unsigned)draw(y, DEATH_OPS));
        y->deaths++;
    }
    bool through = talk(y, p);
    bool died = y->dying;
    if (died)
        open_again(y, 0);
    else if (draw(y, DEATHS_OF) == 0 && ++y->closings)
        open_again(y, 0);
    if (!through)
        look_at_sessions(y, p, true);
    if (died)
        p->died_ms = clock_wall_ms(&y->clock.clock);
    look(y, p);
    if (p->known && !behind(y, p) && draw(y, 30) == 0)
        forget_fact(y, p);
    if (p->known && draw(y, 400) == 0)
        erase(y, p);
}

static void run(struct years *y, uint64_t seed, unsigned people, bool twice)
{
    unsigned long visits = (unsigned long)people * VISITS_EACH;
    uint64_t between_ms = (uint64_t)(YEARS_MS / (int64_t)visits);
    years_open(y, seed, people);
    y->twice = twice;
    for (unsigned long i = 0; i < visits && (!y->wrong || twice); i++) {
        clock_sim_advance(&y->clock, (int64_t)draw(y, 2 * between_ms));
        if (clock_wall_ms(&y->clock.clock) - y->swept_ms > SWEEP_MS)
            sweep(y);
        visit(y);
    }
    for (unsigned i = 0; i < people && !y->wrong; i++)
        look(y, &y->people[i]);
    int problems = verify_problems(y->engine);
    if (problems)
        wrong(y, y->people, "verify finds %d problems", problems);
}

static void test_years__nothing_lost_nothing_twice(void **state)
{
    const char *wish = getenv("FAULT_PEOPLE");
    unsigned people = wish && wish[0] ? (unsigned)strtoul(wish, NULL, 10)
                                      : fault_long() ? 10000 : 60;
    uint64_t seed = fault_seed();
    struct years y;

    (void)state;
    run(&y, seed, people, false);
    double years = (double)(clock_wall_ms(&y.clock.clock) - y.began_ms) / (365.0 * DAY_MS);
    summary("%u people over %.2f simulated years: %lu messages, %lu new sessions after a while, "
            "%lu sweeps, %lu sessions' turns deleted, %lu deaths, %lu closings, %lu undone, %lu "
            "facts and %lu journal entries looked at, %lu forgotten, %lu erased; wrong: %lu "
            "(0)%s%s, seed %llu", people, years, y.messages, y.resumed, y.sweeps, y.purges,
            y.deaths, y.closings, y.undone, y.facts, y.told, y.forgotten, y.erased, y.wrong,
            y.wrong ? ": " : "", y.why, (unsigned long long)seed);
    if (y.wrong)
        printf("# again: FAULT_SEED=%llu FAULT_PEOPLE=%u build/tests/fault/test_years\n",
               (unsigned long long)seed, people);
    unsigned long found = y.wrong;
    bool enough = y.purges > 0 && y.deaths > 0 && y.resumed > 0;
    years_close(&y);
    assert_int_equal(found, 0);
    assert_true(enough);
}

static void test_years__control_stored_twice(void **state)
{
    struct years y;

    (void)state;
    run(&y, 7, 5, true);
    summary("control, everything is said twice: wrong %lu (more than 0)", y.wrong);
    unsigned long found = y.wrong;
    years_close(&y);
    assert_true(found > 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test(test_years__##name)
    const struct CMUnitTest tests[] = {TEST(nothing_lost_nothing_twice),
                                       TEST(control_stored_twice)};

    return cmocka_run_group_tests_name("years", tests, NULL, NULL);
}
