// SPDX-License-Identifier: MIT
// What was said in turns that were taken back: a book is as if it had never been said.
#include "facts_kit.h"

enum { STEPS_MAX = 6, NOW_MS = 1000 };

static struct predicate_rule predicates[] = {
    {.name = "likes", .kind = FACT_PREFERENCE},
    {.name = "lives_in", .kind = FACT_CIRCUMSTANCE, .one = true},
};
static const struct memory_rules rules = {.on = true, .predicates = predicates,
                                          .predicates_len = 2};

static const struct script {
    const char *name;
    struct {
        const char *predicate, *value;
        int64_t at;
        enum said how;
    } steps[STEPS_MAX];
    uint32_t from;                 // this turn and all after it are taken back
    const char *tells;
    uint32_t count;
} scripts[] = {
    {"it was said there alone", {{"likes", "tea", 1, SAID}}, 1, "", 1},
    {"it was said before, too", {{"likes", "tea", 1, SAID}, {"likes", "tea", 2, SAID}}, 2,
     "tea*[1,]", 0},
    {"what it took the place of is so again",
     {{"lives_in", "Berlin", 1, SAID}, {"lives_in", "Paris", 3, SAID}}, 3, "Berlin*[1,]", 1},
    {"it was no more", {{"likes", "tea", 1, SAID}, {"likes", "tea", 2, NOT}}, 2, "tea*[1,]", 0},
    {"then nobody vouches for it", {{"likes", "tea", 1, HELD}, {"likes", "tea", 2, SAID}}, 2,
     "tea?", 0},
    {"all of it", {{"likes", "tea", 1, SAID}, {"lives_in", "Paris", 1, SAID}}, 1, "", 2},
    {"none of it", {{"likes", "tea", 1, SAID}, {"lives_in", "Paris", 2, SAID}}, 3,
     "Paris*[2,] tea*[1,]", 0},
};

static bool is_after(void *user, uint32_t turn)
{
    return turn >= *(const uint32_t *)user;
}

static uint32_t retract(struct fact_book *b, const char *session, uint32_t from)
{
    struct err err = ERR_INIT;
    uint32_t count = 0;

    assert_int_equal(fact_book_retract(b, session, is_after, &from, NOW_MS, &count, &err), E_OK);
    return count;
}

static void run_script(const struct script *s)
{
    struct fact_book *b = facts_kit_book();
    char told[1024];

    for (unsigned i = 0; i < STEPS_MAX && s->steps[i].predicate; i++) {
        struct fact_candidate c = facts_kit_said(s->steps[i].predicate, s->steps[i].value,
                                                 s->steps[i].at, s->steps[i].how);
        facts_kit_consider(b, &c, s->steps[i].how != HELD, &rules, NOW_MS + i);
    }
    uint32_t others = retract(b, "another", 1), count = retract(b, "s", s->from);
    facts_kit_tell(b, told, sizeof(told));
    if (others || count != s->count || strcmp(told, s->tells) != 0)
        fail_msg("%s: %s (%u), not %s (%u)", s->name, told, count, s->tells, s->count);
    assert_int_equal(retract(b, "s", s->from), 0);
    fact_book_free(b);
}

static void test_retract__scripts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++)
        run_script(&scripts[i]);
}

// Turns are counted once each; what is taken back does not count.
static void test_retract__confirmations(void **state)
{
    struct fact_book *b = facts_kit_book();
    struct fact_at at = FACT_AT_START;

    (void)state;
    for (int64_t turn = 1; turn <= 5; turn++) {
        struct fact_candidate c = facts_kit_said("likes", "tea", turn, SAID);
        facts_kit_consider(b, &c, true, &rules, NOW_MS);
    }
    assert_int_equal(retract(b, "s", 4), 0);
    assert_true(fact_book_next(b, &at));
    assert_int_equal(at.fact->confirmations, 3);
    assert_int_equal(at.fact->confirmed_at_ms, 3);
    fact_book_free(b);
}

// What was forgotten stays so, or it could be learnt again; and what was concluded goes with what
// it rested on.
static void test_retract__what_rests_on_it(void **state)
{
    struct fact_book *b = facts_kit_book();
    struct fact_candidate one = facts_kit_said("likes", "tea", 1, SAID),
                          two = facts_kit_said("likes", "coffee", 2, SAID),
                          conclusion = facts_kit_said("drinks", "hot", 3, SAID);
    struct err err = ERR_INIT;
    char facts[2][FACT_ID_BYTES];
    uint32_t count;

    (void)state;
    memcpy(two.session, "t", 2);
    struct fact_considered got = facts_kit_consider(b, &one, true, &rules, NOW_MS);
    memcpy(facts[0], got.id, sizeof(facts[0]));
    got = facts_kit_consider(b, &two, true, &rules, NOW_MS);
    memcpy(facts[1], got.id, sizeof(facts[1]));
    assert_int_equal(fact_book_conclude(b, &conclusion, (const char(*)[FACT_ID_BYTES])facts, 2,
                                        &rules, NOW_MS, &got, &err), E_OK);
    assert_int_equal(fact_book_count(b, TIER_KNOWLEDGE, FACT_ACTIVE), 1);
    retract(b, "s", 1);
    assert_int_equal(fact_book_count(b, TIER_FACT, FACT_ACTIVE), 1);
    assert_int_equal(fact_book_count(b, TIER_KNOWLEDGE, FACT_ACTIVE), 0);
    assert_int_equal(fact_book_forget(b, facts[1], NOW_MS, &count, &err), E_OK);
    assert_int_equal(retract(b, "t", 1), 0);
    assert_int_equal(fact_book_count(b, TIER_FACT, FACT_FORGOTTEN), 1);
    fact_book_free(b);
}

// Two slots that an alias made one are one here, too.
static void test_retract__through_an_alias(void **state)
{
    static char aliases[][MEMORY_PREDICATE_BYTES] = {"home"};
    struct predicate_rule one = {.name = "lives_in", .one = true, .aliases = aliases,
                                 .aliases_len = 1};
    const struct memory_rules before = {.on = true},
                              now = {.on = true, .predicates = &one, .predicates_len = 1};
    struct fact_book *b = facts_kit_book();
    struct fact_candidate berlin = facts_kit_said("home", "Berlin", 1, SAID),
                          paris = facts_kit_said("lives_in", "Paris", 3, SAID);
    char told[256];

    (void)state;
    facts_kit_consider(b, &berlin, true, &before, NOW_MS);
    facts_kit_consider(b, &paris, true, &now, NOW_MS);
    assert_int_equal(fact_book_slots(b), 2);
    assert_int_equal(fact_book_count(b, TIER_FACT, FACT_ACTIVE), 1);
    assert_int_equal(retract(b, "s", 3), 1);
    facts_kit_tell(b, told, sizeof(told));
    assert_string_equal(told, "Berlin*[1,]");
    fact_book_free(b);
}

// What nobody vouches for any more is quarantined from then on, and comes up to be dropped.
static void test_retract__quarantine_begins(void **state)
{
    const struct memory_rules days = {.on = true, .quarantine_ms = 10};
    struct fact_book *b = facts_kit_book();
    struct fact_candidate held = facts_kit_said("likes", "tea", 1, HELD),
                          said = facts_kit_said("likes", "tea", 2, SAID);
    struct fact_slot *dirty;
    uint32_t count;

    (void)state;
    facts_kit_consider(b, &held, false, &days, 100);
    facts_kit_consider(b, &said, true, &days, 100);
    fact_book_settle(b);
    retract(b, "s", 2);
    assert_int_equal(fact_book_dirty(b, &dirty, 1), 1);
    assert_int_equal(dirty->due_at_ms, NOW_MS);
    assert_int_equal(fact_book_drop_quarantined(b, &days, NOW_MS + 9, &count, NULL), E_OK);
    assert_int_equal(count, 0);
    assert_int_equal(dirty->due_at_ms, NOW_MS + 10);
    fact_book_free(b);
}

int main(void)
{
#define TEST(name) cmocka_unit_test(test_retract__##name)
    const struct CMUnitTest tests[] = {TEST(scripts), TEST(confirmations), TEST(what_rests_on_it),
                                        TEST(quarantine_begins), TEST(through_an_alias)};

    return cmocka_run_group_tests_name("retract", tests, NULL, NULL);
}
