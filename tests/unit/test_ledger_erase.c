// SPDX-License-Identifier: MIT
// test_ledger_erase.c: users are erased, and sessions resumed, archived and purged, with
// the n-th allocation or the n-th answer of the store failing, for every n: what was told is so,
// nothing else is touched, and the next try finishes it. Killed processes: fault/test_erasure.c,
// fault/test_sweep.c.
#include "ledger/erase.h"
#include "ledger/masks.h"
#include "unit/ledger_meddler.h"

#include <stdlib.h>
#include <string.h>

enum { TURNS = 30, HOUR = 3600 * 1000 };
#define DAY ((int64_t)24 * HOUR)

// Two users, of whom the second is to be erased; a session of the first that has grown old, and
// has a constraint.
struct world {
    struct kit k;
    struct kit_key erased;
    char id[ID_TEXT_BYTES];
    struct err err;  // of the last op
};

static void fill_kit(struct world *w)
{
    struct kit other = w->k;

    vault_partition(w->k.vault, SLICE_LIT("bob"), other.partition);
    kit_make_key(&other);
    for (unsigned i = 0; i < 3; i++) {
        struct chat *c = kit_chat(&other, "kitchen");
        kit_turn(&other, c, "Hello.", "Hi.");
        chat_free(c);
    }
    struct chat *c = kit_chat(&w->k, "kitchen");
    c->head.expiry = (struct expiry){EXPIRY_SLIDING, HOUR / 2, 2 * HOUR, 30 * DAY};
    for (unsigned i = 0; i < TURNS; i++)
        kit_turn(&w->k, c, "what was said", "what was answered");
    memcpy(w->id, c->head.id, sizeof(w->id));
    struct ledger_op op;
    kit_ready(&w->k, &op);
    ledger_constrain(c, SAFE_LIT("no nuts"), &op);
    assert_int_equal(kit_wait(&w->k, &op), E_OK);
    chat_free(c);
    w->erased.request = (struct vault_request){.loop = w->k.loop, .at_ms = KIT_WALL_MS,
                                               .done = kit_key_done};
    memcpy(w->erased.request.partition, other.partition, sizeof(other.partition));
    vault_forget(w->k.vault, &w->erased.request);
    for (int i = 0; i < 100000000 && !w->erased.done; i++)
        loop_run_for(w->k.loop, 0);
    assert_int_equal(w->erased.request.code, E_OK);
    clock_sim_advance(w->k.clock, 3 * HOUR);
}

static void fill(struct world *w)
{
    memset(w, 0, sizeof(*w));
    kit_open(&w->k, "memory:");
    fill_kit(w);
}

// The vault answers from a thread of its own.
static int await(struct world *w, struct ledger_op *op)
{
    for (int i = 0; i < 100000000 && !w->k.done; i++)
        loop_run_for(w->k.loop, 200);
    assert_true(w->k.done);
    w->err = op->err;
    return op->code;
}

static struct chat *chat_of(struct world *w)
{
    struct session_head head = {.version = UINT64_MAX};
    struct chat *c = NULL;

    memcpy(head.id, w->id, ID_TEXT_BYTES);
    memcpy(head.partition, w->k.partition, PARTITION_BYTES);
    chat_new(&c, w->k.ledger, &head, w->k.key, NULL);
    return c;
}

static int erase(struct world *w)
{
    struct ledger_op op;

    kit_ready(&w->k, &op);
    ledger_erase(w->k.ledger, &op);
    return await(w, &op);
}

static int find(struct world *w)
{
    struct erasure_record found;
    struct ledger_op op;

    kit_ready(&w->k, &op);
    ledger_find_erasure(w->k.ledger, w->erased.request.partition, &found, &op);
    return await(w, &op);
}

// Whoever was erased before memory ran out is told with what was deleted then.
static void assert_counted(struct world *w)
{
    struct erasure_record found;
    struct ledger_op op;

    kit_ready(&w->k, &op);
    ledger_find_erasure(w->k.ledger, w->erased.request.partition, &found, &op);
    assert_int_equal(await(w, &op), E_OK);
    assert_int_equal(found.deleted[record_kind_of(SLICE_LIT("session/"))], 3);
}

static int erase_and_find(struct world *w)
{
    int code = erase(w);

    return code ? code : find(w);
}

static int grow_old(struct world *w)
{
    int64_t now_ms = clock_wall_ms(&w->k.clock->clock);
    struct ledger_op op;
    struct chat *c = chat_of(w);

    if (!c)
        return E_NOMEM;
    kit_ready(&w->k, &op);
    ledger_archive(c, now_ms, now_ms, &op);
    int code = await(w, &op);
    for (bool more = true; !code && more; more = op.more) {
        kit_ready(&w->k, &op);
        ledger_purge(c, now_ms + 31 * DAY, 20, &op);
        code = await(w, &op);
    }
    if (!code) {
        kit_ready(&w->k, &op);
        ledger_purged(c, &op);
        code = await(w, &op);
    }
    chat_free(c);
    return code;
}

static int (*const plays[])(struct world *w) = {erase_and_find, grow_old};
enum { PLAYS = sizeof(plays) / sizeof(plays[0]) };

static void assert_done(struct world *w, unsigned play)
{
    struct kit bob = w->k;
    struct kit_store_op gone = {.op = {.verb = STORE_SCAN, .key = SLICE_LIT("session/"),
                                       .limit = 9}};

    clock_sim_advance(w->k.clock, 1000);
    if (plays[play](w) != E_OK)
        fail_msg("it does not go on");
    assert_int_equal(kit_count(&w->k, "session/"), 1);
    assert_int_equal(kit_count(&w->k, "turn/"), play == 1 ? 0 : 2 * TURNS);
    memcpy(bob.partition, w->erased.request.partition, sizeof(bob.partition));
    gone.op.loop = bob.loop;
    gone.op.done = kit_store_done;
    gone.op.partition = slice_str(bob.partition);
    store_submit(bob.store, &gone.op);
    loop_run(bob.loop);
    assert_true(gone.done);
    assert_int_equal(gone.op.rows_len, play == 0 ? 0 : 3);
    store_op_release(&gone.op);
}

static void test_erase__no_memory(void **state)
{
    unsigned failures = 0;

    (void)state;
    for (unsigned play = 0; play < PLAYS; play++) {
        int code = E_NOMEM;
        for (uint64_t n = 1; code && n < 1000; n++) {
            struct world w;
            fill(&w);
            mem_fail_at(n, 0);
            code = plays[play](&w);
            mem_fail_at(0, 0);
            failures += code == E_NOMEM;
            if (code != E_OK && code != E_NOMEM)
                fail_msg("play %u, allocation %u: %s", play, (unsigned)n, w.err.message);
            assert_done(&w, play);
            kit_close(&w.k);
        }
        assert_int_equal(code, E_OK);
    }
    printf("# erasing without memory: %u failures told\n", failures);
    assert_true(failures > 50);
}

static void test_erase__the_store_fails(void **state)
{
    unsigned answers = 0, failures = 0;

    (void)state;
    for (unsigned play = 0; play < PLAYS; play++) {
        for (unsigned how = 0; how < MEDDLINGS_HONEST * 2; how++) {
            bool hit = true;
            for (long n = 1; hit && n < 60; n++) {
                struct world w;
                struct meddler m;
                fill(&w);
                meddler_init(&m, &w.k);
                m.how = (enum meddling)(how / 2);
                m.countdown = n;
                m.lasting = how % 2;
                int code = plays[play](&w);
                hit = m.hit;
                m.countdown = 0;
                m.hit = m.lasting = false;
                answers += hit;
                failures += code != E_OK;
                assert_done(&w, play);
                meddler_release(&m);
                kit_close(&w.k);
            }
        }
    }
    printf("# erasing on a store that fails: %u answers, %u failures told\n", answers, failures);
    assert_true(answers > 100 && failures > 50);
}

// What an erasure deleted is known of its note alone: one that there was no memory to read is not
// written anew, when there is nothing left to be counted.
static void test_erase__no_memory_after_the_store_was_rid(void **state)
{
    int code = E_NOMEM;

    (void)state;
    for (uint64_t n = 1; code && n < 1000; n++) {
        struct world w;
        struct meddler m;
        fill(&w);
        meddler_init(&m, &w.k);
        m.how = MEDDLE_STORE;
        m.countdown = 6;  // mark, note, count, note; erased; and this is not told
        assert_int_equal(erase(&w), E_STORE);
        assert_true(m.hit);
        mem_fail_at(n, 0);
        code = erase(&w);
        mem_fail_at(0, 0);
        assert_true(code == E_OK || code == E_NOMEM);
        assert_int_equal(erase(&w), E_OK);
        assert_counted(&w);
        meddler_release(&m);
        kit_close(&w.k);
    }
    assert_int_equal(code, E_OK);
}

// The keyring notes last that an erasure is done: a note that cannot be written is told, and made
// with the next try.
static void test_erase__the_keyring_is_away(void **state)
{
    char folder[] = "/tmp/parley-erase-XXXXXX", away[64], keys[64], command[160];
    struct world w = {0};

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(keys, sizeof(keys), "%s/keys", folder);
    snprintf(away, sizeof(away), "%s-away", folder);
    kit_open_keyring(&w.k, "memory:", keys);
    fill_kit(&w);
    assert_int_equal(rename(folder, away), 0);
    assert_int_equal(erase(&w), E_STORE);
    assert_counted(&w);  // what the store had is gone by then
    assert_int_equal(rename(away, folder), 0);
    assert_int_equal(erase(&w), E_OK);
    assert_counted(&w);
    kit_close(&w.k);
    snprintf(command, sizeof(command), "rm -r %s", folder);
    assert_int_equal(system(command), 0);
}

// What was noted of erasures is damaged: all is noted again, and nobody is erased who was not.
static void test_erase__damaged_notes(void **state)
{
    struct world w;
    char key[64];

    (void)state;
    fill(&w);
    assert_int_equal(find(&w), E_NOT_FOUND);
    assert_done(&w, 0);
    struct kit house = w.k;
    memcpy(house.partition, HOUSE_PARTITION, sizeof(HOUSE_PARTITION));
    snprintf(key, sizeof(key), "erased/%s", w.erased.request.partition);
    kit_spoil(&house, "erasures", "{\"replayed\":7}");
    kit_spoil(&house, key, "{}");
    assert_int_equal(find(&w), E_NOT_FOUND);
    assert_done(&w, 0);
    kit_spoil(&house, "erasures", "{}");
    assert_done(&w, 0);
    kit_close(&w.k);
}

// What is not due stays as it is.
static void test_erase__before_its_time(void **state)
{
    struct world w;
    struct ledger_op op;
    int64_t now_ms;

    (void)state;
    fill(&w);
    now_ms = clock_wall_ms(&w.k.clock->clock);
    struct chat *c = chat_of(&w);
    kit_ready(&w.k, &op);
    ledger_archive(c, now_ms - 2 * HOUR, now_ms, &op);
    assert_int_equal(kit_wait(&w.k, &op), E_OK);
    assert_int_equal(op.sessions, 0);
    kit_ready(&w.k, &op);
    ledger_purge(c, now_ms + 99 * DAY, 20, &op);
    assert_int_equal(kit_wait(&w.k, &op), E_OK);
    assert_int_equal(op.sessions, 0);
    kit_ready(&w.k, &op);
    ledger_archive(c, now_ms, 0, &op);
    assert_int_equal(kit_wait(&w.k, &op), E_OK);
    assert_int_equal(op.sessions, 1);
    kit_ready(&w.k, &op);
    ledger_archive(c, now_ms, 0, &op);
    assert_int_equal(kit_wait(&w.k, &op), E_OK);
    assert_int_equal(op.sessions, 0);
    kit_ready(&w.k, &op);
    ledger_purge(c, 29 * DAY, 20, &op);
    assert_int_equal(kit_wait(&w.k, &op), E_OK);
    kit_ready(&w.k, &op);
    ledger_purged(c, &op);
    assert_int_equal(kit_wait(&w.k, &op), E_OK);
    assert_int_equal(op.sessions, 0);
    assert_int_equal(kit_count(&w.k, "turn/"), 2 * TURNS);
    chat_free(c);
    kit_close(&w.k);
}

// The mark that says which erasures are done is not taken for none where memory is lacking.
static void test_erase__no_memory_for_the_mark(void **state)
{
    unsigned failures = 0;
    struct world w;

    (void)state;
    fill(&w);
    assert_int_equal(erase(&w), E_OK);
    for (uint64_t n = 1; n < 20; n++) {
        mem_fail_at(n, 0);
        int code = erase(&w);
        mem_fail_at(0, 0);
        failures += code == E_NOMEM;
        assert_true(code == E_OK || code == E_NOMEM);
        assert_counted(&w);
    }
    assert_true(failures > 2);
    kit_close(&w.k);
}

// All that is erased is counted, also where it is more than one page of records.
static void test_erase__more_than_a_page(void **state)
{
    enum { RECORDS = 600 };
    struct kit_key gone = {.request = {.at_ms = KIT_WALL_MS, .done = kit_key_done}};
    struct erasure_record found;
    struct ledger_op op;
    struct world w;

    (void)state;
    memset(&w, 0, sizeof(w));
    kit_open(&w.k, "memory:");
    for (unsigned i = 1; i <= RECORDS; i++) {
        char key[64];

        snprintf(key, sizeof(key), "original/email/%010u", i);
        kit_put(&w.k, key, "{}", SLICE_NONE, 0);
    }
    gone.request.loop = w.k.loop;
    memcpy(gone.request.partition, w.k.partition, sizeof(gone.request.partition));
    vault_forget(w.k.vault, &gone.request);
    for (int i = 0; i < 100000000 && !gone.done; i++)
        loop_run_for(w.k.loop, 0);
    assert_int_equal(gone.request.code, E_OK);
    assert_int_equal(erase(&w), E_OK);
    kit_ready(&w.k, &op);
    ledger_find_erasure(w.k.ledger, w.k.partition, &found, &op);
    assert_int_equal(await(&w, &op), E_OK);
    assert_int_equal(found.deleted[record_kind_of(SLICE_LIT("original/email/1"))], RECORDS);
    kit_close(&w.k);
}

// One that is answering is not archived, nor is one that never expires.
static void test_erase__not_what_is_in_use(void **state)
{
    (void)state;
    for (int open = 0; open < 2; open++) {
        struct ledger_op op;
        struct kit k;

        kit_open(&k, "memory:");
        struct chat *c = kit_chat(&k, "kitchen");
        if (!open)
            c->head.expiry = (struct expiry){0};
        kit_turn(&k, c, "Hello.", "Hi.");
        if (open)
            assert_int_equal(kit_accept(&k, c, "And now?"), E_OK);
        kit_ready(&k, &op);
        ledger_archive(c, KIT_WALL_MS + 99 * DAY, 1, &op);
        assert_int_equal(kit_wait(&k, &op), E_OK);
        assert_int_equal(op.sessions, 0);
        assert_int_not_equal(c->head.status, SESSION_ARCHIVED);
        chat_free(c);
        kit_close(&k);
    }
}

// One without a turn may still be named after it was purged, and then begins anew.
static void test_erase__one_without_a_turn(void **state)
{
    struct ledger_op op;
    struct kit k;

    (void)state;
    kit_open(&k, "memory:");
    struct chat *c = kit_chat(&k, "kitchen");
    struct ledger_resume r = {.context_hash = k.context_hash, .user = SLICE_LIT("ann"),
                              .greeting = kit_text("Welcome back.")};
    c->head.expiry = (struct expiry){EXPIRY_SLIDING, HOUR / 2, 2 * HOUR, 30 * DAY};
    kit_ready(&k, &op);
    ledger_resume(c, &r, &op);
    assert_int_equal(kit_wait(&k, &op), E_OK);
    assert_true(c->head.events > 0);
    kit_ready(&k, &op);
    ledger_archive(c, KIT_WALL_MS + DAY, 1, &op);
    assert_int_equal(kit_wait(&k, &op), E_OK);
    kit_ready(&k, &op);
    ledger_purge(c, 99 * DAY, 20, &op);
    assert_int_equal(kit_wait(&k, &op), E_OK);
    assert_verified(&k);  // what is under way is no damage
    kit_ready(&k, &op);
    ledger_purged(c, &op);
    assert_int_equal(kit_wait(&k, &op), E_OK);
    assert_int_equal(kit_count(&k, "event/"), 0);
    kit_turn(&k, c, "I am here.", "So you are.");
    assert_verified(&k);
    chat_free(c);
    kit_close(&k);
}

// With a ledger that has no work to spare, whatever begins.
static void test_erase__no_memory_to_begin_with(void **state)
{
    (void)state;
    for (int call = 0; call < 7; call++) {
        struct lease_asker by = {"0123456789abcdef", "phone"};
        struct erasure_record found;
        struct ledger_op op;
        struct world w;
        struct err err = ERR_INIT;

        fill(&w);
        struct ledger_env env = {.store = w.k.store, .vault = w.k.vault, .loop = w.k.loop,
                                 .clock = &w.k.clock->clock, .rand = &w.k.rand->rand};
        ledger_free(w.k.ledger);
        assert_int_equal(ledger_new(&w.k.ledger, &env, &err), E_OK);
        struct chat *c = chat_of(&w);
        struct ledger_resume r = {.context_hash = w.k.context_hash, .user = SLICE_LIT("ann")};
        kit_ready(&w.k, &op);
        mem_fail_at(1, 0);
        switch (call) {
        case 0: ledger_archive(c, 1, 1, &op); break;
        case 1: ledger_purge(c, 1, 20, &op); break;
        case 2: ledger_purged(c, &op); break;
        case 3: ledger_take(c, &by, &op); break;
        case 4: ledger_resume(c, &r, &op); break;
        case 5: ledger_erase(w.k.ledger, &op); break;
        default: ledger_find_erasure(w.k.ledger, w.erased.request.partition, &found, &op); break;
        }
        mem_fail_at(0, 0);
        assert_int_equal(await(&w, &op), E_NOMEM);
        chat_free(c);
        kit_close(&w.k);
    }
}

// Who comes back is greeted in a session of its own, whole or not at all.
static void test_erase__a_resumed_session_without_memory(void **state)
{
    int code = E_NOMEM;
    unsigned failures = 0, round = 0;

    (void)state;
    for (uint64_t n = 1; code && n < 200; n += round++ % 2) {
        struct ledger_op op;
        struct kit k;

        kit_open(&k, "memory:");
        struct chat *c = kit_chat(&k, "kitchen");
        if (round % 2)  // something is noted of it before
            assert_int_equal(session_notes_new(&c->head.notes, NULL), E_OK);
        struct ledger_resume r = {.context_hash = k.context_hash, .user = SLICE_LIT("ann"),
                                  .greeting = kit_text("Welcome back.")};
        kit_ready(&k, &op);
        mem_fail_at(n, 0);
        ledger_resume(c, &r, &op);
        code = kit_wait(&k, &op);
        mem_fail_at(0, 0);
        failures += code == E_NOMEM;
        assert_true(code == E_OK || code == E_NOMEM);
        assert_int_equal(kit_count(&k, "session/"), code == E_OK);
        assert_int_equal(kit_count(&k, "event/"), code ? 0 : 2);
        kit_turn(&k, c, "Hello.", "Hi.");
        assert_verified(&k);
        chat_free(c);
        kit_close(&k);
    }
    assert_true(code == E_OK && failures > 5);
}

int main(void)
{
#define TEST(name) cmocka_unit_test(test_erase__##name)
    static const struct CMUnitTest tests[] = {TEST(no_memory), TEST(the_store_fails),
                                              TEST(no_memory_after_the_store_was_rid),
                                              TEST(the_keyring_is_away),
                                              TEST(damaged_notes), TEST(before_its_time),
                                              TEST(no_memory_for_the_mark), TEST(more_than_a_page),
                                              TEST(not_what_is_in_use), TEST(one_without_a_turn),
                                              TEST(no_memory_to_begin_with),
                                              TEST(a_resumed_session_without_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
