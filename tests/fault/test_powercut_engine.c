// SPDX-License-Identifier: MIT
// The power goes at every place of a whole engine's life. What was told as ACCEPTED or DONE, or
// sent to a provider, is there; an engine that opens what is left finds each turn once, in order,
// whole or interrupted, and nothing that `parley verify` objects to.
#include "fault/oracle.h"
#include "fault/powercut_check.h"

#include "base/loop.h"

enum { PEOPLE = 5, TURNS = 24, RECORDINGS_ON_ONE = 6, NOTES_MAX = 8192, STATES_MAX = 2048 };

// The vault's keys lie in a file of their own, which is not on this disk: they are as they were.
struct talk {
    struct trial trial;
    struct oracle oracle;
    struct tally tally;
    parley *engine;
    pthread_mutex_t lock;          // of the notes while an engine runs: its thread tells of calls
    struct note notes[NOTES_MAX];  // also of the recordings before, that this one goes on from
    size_t notes_len, notes_before;
    uint64_t sent, sent_end;
    struct slot slots[PEOPLE];
    uint64_t states[STATES_MAX];
    size_t acks[NOTES_MAX];
    unsigned in_a_row;
};

// The oracle: noted, in its place among the writes, before anything else is made of it.
static void note_take(struct talk *k, const struct note *note)
{
    pthread_mutex_lock(&k->lock);
    if (k->notes_len == NOTES_MAX)
        give_up("too many notes");
    k->notes[k->notes_len] = *note;
    vfs_note(k->notes_len++ - k->notes_before);
    pthread_mutex_unlock(&k->lock);
}

static void note_call(void *user, const char *provider, const char *body, size_t len)
{
    (void)provider;
    note_take(user, &(struct note){.kind = NOTE_SENT, .text = text_number(slice_of(body, len))});
}

// ---- the load

// What a text's number is modulo 16 says how it is answered and sent (oracle.h). It is the same
// for all texts of a user: a turn that was interrupted is told to the provider with the next one.
static const uint64_t kinds[PEOPLE] = {7, 5, 1, 8, 10};

static void send_next(struct talk *k, uint32_t user)
{
    char name[16], words[TEXT_BYTES], key[32];
    parley_message m = PARLEY_MESSAGE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t n = k->sent++ * 16 + kinds[user];
    snprintf(name, sizeof(name), "user-%u", user);
    snprintf(key, sizeof(key), "key-%llu", (unsigned long long)n);
    k->slots[user].text = n;
    note_take(k, &(struct note){.kind = NOTE_PLANNED, .user = user, .text = n});
    m.user = name;
    m.provider = text_provider(n);
    m.text = text_make(n, words);
    m.key = text_has_key(n) ? key : NULL;
    m.flags = n % 8 ? PARLEY_CONTINUE : 0;
    if (parley_send(k->engine, &m, &k->slots[user].request, &error) < 0)
        give_up("send: %s", error.message);
}

// True when that was the user's last event.
static bool take_event(struct talk *k, uint32_t user, const parley_event *event)
{
    struct note note = {.user = user, .text = k->slots[user].text, .turn = event->turn};
    snprintf(note.session, sizeof(note.session), "%s", event->session);
    if (event->type == PARLEY_EVENT_ERROR)
        give_up("text %llu: %s", (unsigned long long)note.text, event->text);
    if (event->type != PARLEY_EVENT_ACCEPTED && event->type != PARLEY_EVENT_DONE)
        return false;
    note.kind = event->type == PARLEY_EVENT_ACCEPTED ? NOTE_ACCEPTED : NOTE_DONE;
    if (note.kind == NOTE_DONE)
        note_done(&note, event);
    note_take(k, &note);
    return note.kind == NOTE_DONE;
}

static parley *open_engine(struct talk *k, bool traced)
{
    struct engine_wish wish = {.trace = traced ? note_call : NULL, .user = k};
    parley_error error = PARLEY_ERROR_INIT;
    parley *e = NULL;
    if (place_open(&k->trial.place, &wish, &e, &error) < 0)
        give_up("engine: %s", error.message);
    return e;
}

static void work(struct talk *k, unsigned turns)
{
    unsigned busy = 0;
    k->engine = open_engine(k, true);
    k->sent_end = k->sent + turns;
    for (uint32_t u = 0; u < PEOPLE; u++, busy++)
        send_next(k, u);
    while (busy) {
        parley_event *event = next_event(k->engine);
        uint32_t u = 0;
        while (u < PEOPLE && k->slots[u].request != event->request)
            u++;
        if (u < PEOPLE && take_event(k, u, event)) {
            if (k->sent < k->sent_end)
                send_next(k, u);
            else
                busy--;
        }
        parley_event_free(event);
    }
    parley_close(k->engine);
}

// ---- the states, read from the recording: each that a disk passes through which keeps everything

// The record that a note says is durable; false: none.
static bool note_key(const struct talk *k, const struct note *note, char key[96])
{
    const struct note *place = note;
    if (note->kind == NOTE_SENT) {
        place = NULL;
        for (size_t i = k->notes_before; i < k->notes_len && !place; i++)
            if (k->notes[i].kind == NOTE_ACCEPTED && k->notes[i].text == note->text)
                place = &k->notes[i];
    }
    if (note->kind == NOTE_PLANNED || !place)
        return false;
    bool replied = note->kind == NOTE_DONE && note->reply_hash != hash_of((struct slice){0});
    snprintf(key, 96, "turn/%s/%010u/%010u", place->session, place->turn, replied ? 1u : 0u);
    return true;
}

// Notes whose record is there for the first time hold from this state on.
static void find_notes(struct talk *k, size_t state)
{
    sqlite3 *db = open_raw(&k->trial);
    if (!db)
        give_up("a disk that keeps everything cannot be opened");
    for (size_t i = k->notes_before; i < k->notes_len; i++) {
        char key[96], sql[192];
        int64_t n = 0;
        if (k->acks[i - k->notes_before] != SIZE_MAX || !note_key(k, &k->notes[i], key))
            continue;
        snprintf(sql, sizeof(sql), "SELECT count(*) FROM records WHERE key = '%s'", key);
        if (read_one(db, sql, &n, NULL, 0) == SQLITE_OK && n == 1)
            k->acks[i - k->notes_before] = state;
    }
    sqlite3_close(db);
}

static void add_state(struct talk *k, struct cutter *c)
{
    struct trial *t = &k->trial;
    char why[ERR_MESSAGE_BYTES];
    uint64_t hash;
    cutter_cut(c, &keep_all, &t->image);
    vfs_mount(&t->image);
    if (!read_state(t, false, &hash, why))
        give_up("a disk that keeps everything: %s", why);
    if (t->states_len && t->states[t->states_len - 1] == hash)
        return;
    if (t->states_len == STATES_MAX)
        give_up("too many states");
    t->states[t->states_len++] = hash;
    find_notes(k, t->states_len - 1);
}

static void find_states(struct talk *k)
{
    static struct cutter c;
    struct trial *t = &k->trial;
    char key[96];
    t->states_len = 0;
    t->acks_len = k->notes_len - k->notes_before;
    for (size_t i = 0; i < t->acks_len; i++)
        k->acks[i] = SIZE_MAX;
    cutter_init(&c, &t->recording, 1);
    add_state(k, &c);
    do {
        if (c.at < t->recording.len && t->recording.events[c.at].kind == EVENT_SYNC)
            add_state(k, &c);
    } while (cutter_step(&c));
    add_state(k, &c);
    cutter_release(&c);
    for (size_t i = 0; i < t->acks_len; i++) {
        if (k->acks[i] == SIZE_MAX && note_key(k, &k->notes[k->notes_before + i], key))
            give_up("%s was acknowledged and never written", key);
        if (k->acks[i] == SIZE_MAX)
            k->acks[i] = 0;
    }
}

// ---- the second look: an engine opens what the cut left

static void look(struct trial *t, size_t state, size_t notes)
{
    struct talk *k = CONTAINER_OF(t, struct talk, trial);
    struct checker c = {.o = &k->oracle, .t = &k->tally, .details = t->figures.details};
    (void)state;
    oracle_forget(&k->oracle);
    for (size_t i = 0; i < k->notes_before + notes; i++)
        oracle_take(&k->oracle, &k->notes[i]);
    parley *e = open_engine(k, false);
    for (uint32_t u = 0; u < PEOPLE; u++)
        check_user(&c, e, u);
    check_entries(&c);
    k->tally.problems += (uint64_t)abs(verify_problems(e));
    parley_close(e);
}

// ---- the tests

static void one_recording(struct talk *k, unsigned times, uint64_t cuts, int64_t until_us)
{
    static const int factors[] = {1, 100, 400};
    struct trial *t = &k->trial;
    bool go_on = t->has_next && k->in_a_row < RECORDINGS_ON_ONE && roll_below(&t->dice, 4);
    k->in_a_row = go_on ? k->in_a_row + 1 : 0;
    k->notes_before = k->notes_len = go_on ? k->notes_before + t->next_notes : 0;
    k->sent = go_on ? k->sent : 1;
    trial_record(t, go_on);
    wal_hook.factor = factors[roll_below(&t->dice, 3)];
    work(k, PEOPLE + (unsigned)roll_below(&t->dice, TURNS));
    trial_recorded(t);
    find_states(k);
    trial_cut(t, times, cuts, until_us);
}

static void run(struct talk *k, const char *what, unsigned times, uint64_t cuts, int64_t seconds)
{
    struct trial *t = &k->trial;
    int64_t until_us = now_us() + seconds * 1000000;
    trial_begin(t, fault_seed());
    oracle_init(&k->oracle, &t->place);
    pthread_mutex_init(&k->lock, NULL);
    t->states = k->states;
    t->acks = k->acks;
    t->look_one_in = fault_long() ? 100 : 25;
    while (t->figures.cuts < cuts && now_us() < until_us)
        one_recording(k, times, cuts, until_us);
    trial_tell(t, what);
    pthread_mutex_destroy(&k->lock);
    oracle_release(&k->oracle);
    trial_end(t);
}

static void test_powercut_engine__turns(void **state)
{
    (void)state;
    struct talk *k = calloc(1, sizeof(*k));
    assert_non_null(k);
    k->trial.look = look;
    run(k, "an engine (acknowledged: accepted, sent to a provider, done)",
        fault_long() ? 8 : 1, 100000, fault_long() ? 3600 : 6);
    struct figures f = k->trial.figures;
    struct tally t = k->tally;
    summary("power cuts: of %llu that an engine opened: %llu turns, %llu interrupted; lost %llu, "
            "duplicated %llu, half %llu, wrong %llu, sent again %llu, problems %llu (seed %llu)",
            (unsigned long long)f.reopened, (unsigned long long)t.turns,
            (unsigned long long)t.interrupted, (unsigned long long)t.lost,
            (unsigned long long)t.duplicated, (unsigned long long)t.half,
            (unsigned long long)t.wrong, (unsigned long long)t.resent,
            (unsigned long long)t.problems, (unsigned long long)k->trial.seed);
    free(k);
    assert_true(f.cuts >= 100 && f.acked >= 100 && f.reopened > 0 && t.turns > 0);
    assert_int_equal(f.lost + f.half + f.corrupt, 0);
    assert_int_equal(t.lost + t.duplicated + t.half + t.wrong + t.resent + t.problems, 0);
}

static void test_powercut_engine__control_disk_lies(void **state)
{
    (void)state;
    struct talk *k = calloc(1, sizeof(*k));
    assert_non_null(k);
    k->trial.lies = true;
    k->trial.figures.details = DETAILS;
    run(k, "control, an engine on a disk that lies about syncs", 1, 500, 60);
    uint64_t lost = k->trial.figures.lost;
    free(k);
    assert_true(lost > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_powercut_engine__turns),
        cmocka_unit_test(test_powercut_engine__control_disk_lies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
