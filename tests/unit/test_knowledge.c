// SPDX-License-Identifier: MIT
// test_knowledge.c: what is concluded from several conversations, and what becomes of it when its
// facts are no more.
#include "facts_kit.h"

enum { NOW_MS = 1000 };

static struct predicate_rule predicates[] = {
    {.name = "lives_in", .kind = FACT_CIRCUMSTANCE, .one = true},
};
static const struct memory_rules rules = {.on = true, .predicates = predicates,
                                          .predicates_len = 1};

// Says so in a session, and returns the fact's id.
static void say(struct fact_book *b, const char *session, const char *predicate, const char *value,
                int64_t at, char id[FACT_ID_BYTES])
{
    struct fact_candidate c = facts_kit_said(predicate, value, at, SAID);

    snprintf(c.session, sizeof(c.session), "%s", session);
    struct fact_considered got = facts_kit_consider(b, &c, true, &rules, NOW_MS);
    assert_int_not_equal(got.outcome, OUTCOME_REFUSED);
    memcpy(id, got.id, FACT_ID_BYTES);
}

static enum fact_outcome conclude(struct fact_book *b, const char *value,
                                  const char (*facts)[FACT_ID_BYTES], uint32_t len)
{
    struct fact_candidate c = {.kind = FACT_PATTERN, .predicate = facts_kit_text("moves"),
                               .value = facts_kit_text(value), .at_ms = NOW_MS,
                               .extractor = "rules@00000000"};
    struct fact_considered out;

    assert_int_equal(fact_book_conclude(b, &c, facts, len, &rules, NOW_MS, &out, NULL), E_OK);
    return out.outcome;
}

static uint32_t active(const struct fact_book *b)
{
    return fact_book_count(b, TIER_KNOWLEDGE, FACT_ACTIVE);
}

static void test_knowledge__rests_on_two_sessions(void **state)
{
    (void)state;
    struct fact_book *b = facts_kit_book();
    char ids[3][FACT_ID_BYTES] = {"", "", "0123456789ab"};

    say(b, "s1", "lives_in", "Bergen", 1, ids[0]);
    say(b, "s1", "likes", "the sea", 2, ids[1]);
    assert_int_equal(conclude(b, "to the coast", (const char(*)[FACT_ID_BYTES])ids, 2),
                     OUTCOME_REFUSED);
    assert_int_equal(conclude(b, "to the coast", (const char(*)[FACT_ID_BYTES])ids, 3),
                     OUTCOME_REFUSED);
    assert_int_equal(conclude(b, "to the coast", NULL, 0), OUTCOME_REFUSED);
    say(b, "s2", "likes", "boats", 3, ids[1]);
    assert_int_equal(conclude(b, "to the coast", (const char(*)[FACT_ID_BYTES])ids, 2),
                     OUTCOME_NEW);
    assert_int_equal(conclude(b, "to the coast", (const char(*)[FACT_ID_BYTES])ids, 2),
                     OUTCOME_SAME);
    assert_int_equal(active(b), 1);
    fact_book_free(b);
}

// What was said in two sessions is no mood: it bears a conclusion by itself, as long as it is so.
static void test_knowledge__rests_on_one_fact_said_twice(void **state)
{
    (void)state;
    struct fact_book *b = facts_kit_book();
    char id[1][FACT_ID_BYTES];
    uint32_t retired = 0;

    say(b, "s1", "likes", "the sea", 1, id[0]);
    assert_int_equal(conclude(b, "the sea", (const char(*)[FACT_ID_BYTES])id, 1), OUTCOME_REFUSED);
    say(b, "s2", "likes", "the sea", 2, id[0]);
    assert_int_equal(conclude(b, "the sea", (const char(*)[FACT_ID_BYTES])id, 1), OUTCOME_NEW);
    assert_int_equal(conclude(b, "the sea", (const char(*)[FACT_ID_BYTES])id, 1), OUTCOME_SAME);
    assert_int_equal(fact_book_retire_unborne(b, NOW_MS, &retired, NULL), E_OK);
    assert_int_equal(retired, 0);
    assert_int_equal(active(b), 1);
    assert_int_equal(fact_book_forget(b, id[0], NOW_MS, &retired, NULL), E_OK);
    assert_int_equal(active(b), 0);
    fact_book_free(b);
}

static void test_knowledge__goes_with_its_facts(void **state)
{
    (void)state;
    struct fact_book *b = facts_kit_book();
    char ids[2][FACT_ID_BYTES], other[FACT_ID_BYTES];
    uint32_t count;

    say(b, "s1", "lives_in", "Bergen", 1, ids[0]);
    say(b, "s2", "likes", "boats", 2, ids[1]);
    assert_int_equal(conclude(b, "to the coast", (const char(*)[FACT_ID_BYTES])ids, 2),
                     OUTCOME_NEW);
    fact_book_settle(b);
    assert_int_equal(fact_book_retire_unborne(b, NOW_MS, &count, NULL), E_OK);
    assert_int_equal(count, 0);
    assert_false(fact_book_changed(b));

    say(b, "s3", "lives_in", "Moscow", 3, other);  // Bergen is superseded
    assert_int_equal(fact_book_retire_unborne(b, NOW_MS, &count, NULL), E_OK);
    assert_int_equal(count, 1);
    assert_int_equal(active(b), 0);
    assert_int_equal(fact_book_retire_unborne(b, NOW_MS, &count, NULL), E_OK);
    assert_int_equal(count, 0);
    // What bears it not, does not bring it back; what does, does.
    assert_int_equal(conclude(b, "to the coast", (const char(*)[FACT_ID_BYTES])ids, 2),
                     OUTCOME_REFUSED);
    say(b, "s4", "likes", "the beach", 4, ids[0]);
    assert_int_equal(conclude(b, "to the coast", (const char(*)[FACT_ID_BYTES])ids, 2),
                     OUTCOME_PROMOTED);
    assert_int_equal(active(b), 1);
    assert_int_equal(fact_book_retire_unborne(b, NOW_MS, &count, NULL), E_OK);
    assert_int_equal(count, 0);

    assert_int_equal(fact_book_forget(b, ids[0], NOW_MS, &count, NULL), E_OK);
    assert_int_equal(fact_book_retire_unborne(b, NOW_MS, &count, NULL), E_OK);
    assert_int_equal(active(b), 0);
    fact_book_free(b);
}

// Knowledge that nothing bears any more is quarantined from then on, and its slot comes up: who
// drops what is held finds it, and leaves it for as long as the rules say.
static void test_knowledge__is_dropped_in_time(void **state)
{
    enum { LATER = 50 * NOW_MS };
    const struct memory_rules days = {.on = true, .quarantine_ms = 10 * NOW_MS};
    struct fact_book *b = facts_kit_book();
    struct fact_slot *dirty[4];
    char ids[2][FACT_ID_BYTES];
    uint32_t count;

    (void)state;
    say(b, "s1", "lives_in", "Bergen", 1, ids[0]);
    say(b, "s2", "likes", "boats", 2, ids[1]);
    assert_int_equal(conclude(b, "to the coast", (const char(*)[FACT_ID_BYTES])ids, 2),
                     OUTCOME_NEW);
    fact_book_settle(b);
    assert_int_equal(fact_book_forget(b, ids[0], LATER, &count, NULL), E_OK);
    assert_int_equal(active(b), 0);
    assert_int_equal(fact_book_dirty(b, dirty, 4), 2);
    assert_int_equal(dirty[0]->due_at_ms + dirty[1]->due_at_ms, LATER);
    fact_book_settle(b);
    assert_int_equal(fact_book_drop_quarantined(b, &days, LATER, &count, NULL), E_OK);
    assert_int_equal(count, 0);
    assert_int_equal(fact_book_dirty(b, dirty, 4), 1);
    assert_int_equal(dirty[0]->due_at_ms, LATER + 10 * NOW_MS);
    assert_int_equal(fact_book_drop_quarantined(b, &days, LATER + 10 * NOW_MS, &count, NULL),
                     E_OK);
    assert_int_equal(count, 1);
    fact_book_free(b);
}

static void test_knowledge__unborne_is_due(void **state)
{
    struct fact_book *b = facts_kit_book();
    struct fact_slot *dirty[4];
    char ids[2][FACT_ID_BYTES], other[FACT_ID_BYTES];
    uint32_t count;

    (void)state;
    say(b, "s1", "lives_in", "Bergen", 1, ids[0]);
    say(b, "s2", "likes", "boats", 2, ids[1]);
    assert_int_equal(conclude(b, "to the coast", (const char(*)[FACT_ID_BYTES])ids, 2),
                     OUTCOME_NEW);
    say(b, "s3", "lives_in", "Moscow", 3, other);
    fact_book_settle(b);
    assert_int_equal(fact_book_retire_unborne(b, 7 * NOW_MS, &count, NULL), E_OK);
    assert_int_equal(count, 1);
    assert_int_equal(fact_book_dirty(b, dirty, 4), 1);
    assert_int_equal(dirty[0]->due_at_ms, 7 * NOW_MS);
    assert_int_equal(fact_slot_at(dirty[0], 0)->recorded_at_ms, 7 * NOW_MS);
    fact_book_free(b);
}

// A fact that was dropped is named by no knowledge; what rests on it alone goes with it.
static void test_knowledge__names_nothing_that_was_dropped(void **state)
{
    (void)state;
    struct fact_book *b = facts_kit_book();
    const struct memory_rules short_rules = {.on = true, .predicates = predicates,
                                             .predicates_len = 1, .quarantine_ms = 10};
    char ids[3][FACT_ID_BYTES];
    struct fact_at at = FACT_AT_START;
    uint32_t count;

    say(b, "s1", "likes", "the sea", 1, ids[0]);
    say(b, "s2", "likes", "boats", 2, ids[1]);
    say(b, "s3", "drinks", "rum", 3, ids[2]);
    assert_int_equal(conclude(b, "to the coast", (const char(*)[FACT_ID_BYTES])ids, 3),
                     OUTCOME_NEW);
    // Rum is taken for said by nobody, and its time is over.
    while (fact_book_next(b, &at)) {
        struct fact *f = fact_slot_find(at.slot, ids[2]);

        for (size_t i = 0; f && i < f->evidence.len; i++)
            VEC_AT(&f->evidence, struct fact_evidence, i)->supported = false;
        if (f)
            f->status = FACT_QUARANTINED;
    }
    assert_int_equal(fact_book_drop_quarantined(b, &short_rules, NOW_MS + 11, &count, NULL), E_OK);
    assert_int_equal(count, 1);
    assert_int_equal(fact_book_retire_unborne(b, NOW_MS + 11, &count, NULL), E_OK);
    assert_int_equal(count, 0);
    assert_int_equal(active(b), 1);
    at = (struct fact_at)FACT_AT_START;
    while (fact_book_next(b, &at))
        for (size_t i = 0; at.slot->tier == TIER_KNOWLEDGE && i < at.fact->evidence.len; i++)
            assert_string_not_equal(fact_evidence_at(at.fact, i)->fact, ids[2]);
    fact_book_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_knowledge__rests_on_two_sessions),
        cmocka_unit_test(test_knowledge__rests_on_one_fact_said_twice),
        cmocka_unit_test(test_knowledge__goes_with_its_facts),
        cmocka_unit_test(test_knowledge__is_dropped_in_time),
        cmocka_unit_test(test_knowledge__unborne_is_due),
        cmocka_unit_test(test_knowledge__names_nothing_that_was_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
