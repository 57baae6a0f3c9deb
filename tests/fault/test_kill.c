// SPDX-License-Identifier: MIT
// SIGKILL at any microsecond. Turns that were accepted are there exactly once, those that were done
// are whole, the others are interrupted; nothing is sent twice; a process that lives is not harmed
// by one that dies on the same store.
#include "fault/writers.h"

enum { ROUNDS_PER_STORE = 24, KILLS_MIN = 10 };

struct campaign {
    struct place place;
    struct oracle oracle;
    struct rand_sim rand;
    struct tally tally;
    struct writer_plan plan;
    bool beside;  // another writer lives on the same store meanwhile
    uint64_t kills, seed;
};

// Texts of the rounds so far that have a key and got no answer.
static size_t unanswered(const struct campaign *c, uint64_t before, uint64_t *out, size_t max)
{
    size_t n = 0;
    uint64_t from = before > 2 * TEXTS_PER_ROUND ? before - 2 * TEXTS_PER_ROUND : 0;
    for (uint32_t u = 0; u < USERS && n < max; u++) {
        for (uint64_t t = from / USERS * USERS + u; t < before; t += USERS) {
            const struct entry *e = &c->oracle.entries[t];
            if (e->planned && !e->done && text_has_key(t)) {
                out[n++] = t;
                break;
            }
        }
    }
    return n;
}

// Listens until the writer is open and so many more were acknowledged, but no longer than a while.
static void listen_for(struct campaign *c, struct writer *w, uint64_t acks)
{
    uint64_t wanted = c->oracle.acked + acks;
    int64_t until_us = now_us() + 2000000;
    bool ready = false;
    while ((!ready || c->oracle.acked < wanted) && now_us() < until_us &&
           oracle_listen(&c->oracle, w->notes, now_us() + 500, &ready))
        continue;
}

// While it opens and recovers, soon after, amid its acknowledgements, or amid long replies.
static void one_kill(struct campaign *c, int round)
{
    const struct rand *r = &c->rand.rand;
    uint64_t again[USERS], dice = rand_below(r, 16);
    bool ready = true;
    c->plan.first_text = (uint64_t)round * TEXTS_PER_ROUND;
    c->plan.texts = TEXTS_PER_ROUND;
    c->plan.again = again;
    c->plan.again_len = unanswered(c, c->plan.first_text, again, USERS);
    struct writer w = writer_start(&c->place, &c->plan, false);
    int64_t delay_us = (int64_t)rand_below(r, dice == 0 ? 200000 : dice < 8 ? 12000 : 3000);
    if (dice == 0 || dice >= 8)
        listen_for(c, &w, 1 + rand_below(r, USERS));
    else if (dice > 2)
        listen_for(c, &w, 0);
    oracle_listen(&c->oracle, w.notes, now_us() + delay_us, &ready);
    writer_kill(&w, &c->oracle);
    c->kills++;
}

// On a machine that is busy with other things the time is over after few kills.
static bool goes_on(const struct campaign *c, uint64_t kills_max, int64_t until_us)
{
    return c->kills < KILLS_MIN || (c->kills < kills_max && now_us() < until_us);
}

static void one_store(struct campaign *c, uint64_t kills_max, int64_t until_us)
{
    const uint64_t calm = TEXTS / 2;
    struct writer beside = {0};
    place_clean(&c->place);
    oracle_forget(&c->oracle);
    if (c->beside) {
        struct writer_plan plan = {.context = "beside", .first_text = calm, .texts = calm};
        beside = writer_start(&c->place, &plan, true);
    }
    for (int i = 0; i < ROUNDS_PER_STORE && goes_on(c, kills_max, until_us); i++) {
        bool ready = true;
        one_kill(c, i);
        if (c->beside && !oracle_listen(&c->oracle, beside.notes, now_us(), &ready))
            give_up("a writer that should live is gone");
    }
    if (c->beside)
        writer_stop(&beside, &c->oracle);
    oracle_check(&c->place, &c->oracle, c->beside, calm, &c->tally);
}

static void campaign_run(struct campaign *c, uint64_t kills_max, int64_t seconds)
{
    int64_t until_us = now_us() + seconds * 1000000;
    c->seed = fault_seed();
    c->plan.context = "";
    rand_sim_init(&c->rand, c->seed);
    place_make(&c->place);
    oracle_init(&c->oracle, &c->place);
    while (goes_on(c, kills_max, until_us))
        one_store(c, kills_max, until_us);
    place_remove(&c->place);
}

static void campaign_tell(const struct campaign *c, const char *what)
{
    const struct tally *t = &c->tally;
    summary(
        "%s: %llu kills, %llu acknowledged, %llu done, %llu interrupted (%llu with kept words); "
        "lost %llu, duplicated %llu, half %llu, wrong %llu, sent again %llu, harmed %llu, "
        "problems %llu (seed %llu)",
        what, (unsigned long long)c->kills, (unsigned long long)c->oracle.acked,
        (unsigned long long)c->oracle.done, (unsigned long long)t->interrupted,
        (unsigned long long)t->kept, (unsigned long long)t->lost, (unsigned long long)t->duplicated,
        (unsigned long long)t->half, (unsigned long long)t->wrong, (unsigned long long)t->resent,
        (unsigned long long)t->harmed, (unsigned long long)t->problems,
        (unsigned long long)c->seed);
}

static void campaign_is_clean(const struct campaign *c)
{
    const struct tally *t = &c->tally;
    assert_true(c->kills >= KILLS_MIN);
    assert_true(c->oracle.acked > 0 && c->oracle.done > 0 && t->interrupted > 0);
    assert_int_equal(c->oracle.refused, 0);
    assert_int_equal(
        t->lost + t->duplicated + t->half + t->wrong + t->resent + t->harmed + t->problems, 0);
}

static void test_kill__one_writer(void **state)
{
    (void)state;
    struct campaign c = {0};
    campaign_run(&c, fault_long() ? 8000 : 10000, fault_long() ? 3600 : 6);
    campaign_tell(&c, "killed at any microsecond");
    campaign_is_clean(&c);
    oracle_release(&c.oracle);
}

static void test_kill__beside_one_that_lives(void **state)
{
    (void)state;
    struct campaign c = {.beside = true};
    campaign_run(&c, fault_long() ? 2000 : 10000, fault_long() ? 3600 : 4);
    campaign_tell(&c, "killed beside one that lives");
    campaign_is_clean(&c);
    oracle_release(&c.oracle);
}

static void test_kill__control_early_acknowledgement(void **state)
{
    (void)state;
    struct campaign c = {.plan.control_early = true};
    campaign_run(&c, ROUNDS_PER_STORE, 10);
    campaign_tell(&c, "control, acknowledged before the commit");
    assert_true(c.tally.lost > 0);
    oracle_release(&c.oracle);
}

static void test_kill__control_sent_again_without_key(void **state)
{
    (void)state;
    struct campaign c = {.plan.control_no_key = true};
    campaign_run(&c, ROUNDS_PER_STORE, 10);
    campaign_tell(&c, "control, sent again without a key");
    assert_true(c.tally.duplicated > 0);
    oracle_release(&c.oracle);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kill__one_writer),
        cmocka_unit_test(test_kill__beside_one_that_lives),
        cmocka_unit_test(test_kill__control_early_acknowledgement),
        cmocka_unit_test(test_kill__control_sent_again_without_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
