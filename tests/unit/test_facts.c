// SPDX-License-Identifier: MIT
// What candidates do to a book of facts, case by case.
#include "facts_kit.h"

#include "memory/alike.h"

enum { STEPS_MAX = 8, NOW_MS = 1000 };

static char home[][MEMORY_PREDICATE_BYTES] = {"home_city", "residence"};
static struct predicate_rule predicates[] = {
    {.name = "likes", .kind = FACT_PREFERENCE},
    {.name = "lives_in", .kind = FACT_CIRCUMSTANCE, .one = true, .aliases = home, .aliases_len = 2},
};
static const struct memory_rules rules = {.on = true, .predicates = predicates,
                                          .predicates_len = 2, .stale_ms = 100};

struct line {
    const char *predicate, *value;
    int64_t at;
    enum said how;
    const char *outcome;
    int64_t from, to;
};

static const struct script {
    const char *name, *tells;
    struct line steps[STEPS_MAX];
} scripts[] = {
    {"said once", "tea*[1,]", {{"likes", "tea", 1, SAID, "new", 0, 0}}},
    {"said again", "tea*[1,]",
     {{"likes", "tea", 1, SAID, "new", 0, 0}, {"likes", "Tea.", 2, SAID, "confirmed", 0, 0}}},
    {"extracted again", "tea*[1,]",
     {{"likes", "tea", 1, SAID, "new", 0, 0}, {"likes", "tea", 1, SAID, "same", 0, 0}}},
    {"several values", "tea*[1,] coffee*[2,]",
     {{"likes", "tea", 1, SAID, "new", 0, 0}, {"likes", "coffee", 2, SAID, "new", 0, 0}}},
    {"nearly the same", "hiking in the mountains*[1,]",
     {{"likes", "hiking in the mountains", 1, SAID, "new", 0, 0},
      {"likes", "Hiking in mountains!", 2, SAID, "confirmed", 0, 0}}},
    {"one value", "Berlin[1,3] Paris*[3,]",
     {{"lives_in", "Berlin", 1, SAID, "new", 0, 0},
      {"lives_in", "Paris", 3, SAID, "superseded", 0, 0}}},
    {"by an alias", "Berlin[1,3] Paris*[3,]",
     {{"Lives in", "Berlin", 1, SAID, "new", 0, 0},
      {"residence", "Paris", 3, SAID, "superseded", 0, 0},
      {"home_city", "in Paris", 4, SAID, "confirmed", 0, 0}}},
    {"it comes back", "Berlin*[1,3][5,] Paris[3,5]",
     {{"lives_in", "Berlin", 1, SAID, "new", 0, 0},
      {"lives_in", "Paris", 3, SAID, "superseded", 0, 0},
      {"lives_in", "Berlin", 5, SAID, "superseded", 0, 0}}},
    {"what was said before comes later", "Paris*[3,] Berlin[1,3]",
     {{"lives_in", "Paris", 3, SAID, "new", 0, 0},
      {"lives_in", "Berlin", 1, SAID, "past", 0, 0}}},
    {"in between", "Berlin*[1,3][5,] Paris[3,5]",
     {{"lives_in", "Berlin", 1, SAID, "new", 0, 0},
      {"lives_in", "Berlin", 5, SAID, "confirmed", 0, 0},
      {"lives_in", "Paris", 3, SAID, "past", 0, 0}}},
    {"no more", "Berlin[1,4]",
     {{"lives_in", "Berlin", 1, SAID, "new", 0, 0},
      {"lives_in", "Berlin", 4, NOT, "ended", 0, 0},
      {"lives_in", "Berlin", 4, NOT, "same", 0, 0}}},
    {"nothing of it any more", "tea[1,4] coffee[2,4]",
     {{"likes", "tea", 1, SAID, "new", 0, 0}, {"likes", "coffee", 2, SAID, "new", 0, 0},
      {"likes", "", 4, NOT, "ended", 0, 0}, {"likes", "", 4, NOT, "same", 0, 0}}},
    {"no more is known before it was so", "Berlin[1,4]",
     {{"lives_in", "Berlin", 4, NOT, "past", 0, 0},
      {"lives_in", "Berlin", 1, SAID, "past", 0, 0}}},
    {"no more, said before it was said again", "tea*[1,4][5,]",
     {{"likes", "tea", 1, SAID, "new", 0, 0}, {"likes", "tea", 5, SAID, "confirmed", 0, 0},
      {"likes", "tea", 4, NOT, "confirmed", 0, 0}}},
    {"nobody vouches", "tea?",
     {{"likes", "tea", 1, HELD, "quarantined", 0, 0},
      {"likes", "tea", 2, HELD, "quarantined", 0, 0},
      {"likes", "tea", 2, HELD, "same", 0, 0}}},
    {"nobody vouched, and it is no more", "tea[3,3]",
     {{"likes", "tea", 1, HELD, "quarantined", 0, 0}, {"likes", "tea", 3, NOT, "past", 0, 0}}},
    {"promoted", "tea*[3,]",
     {{"likes", "tea", 1, HELD, "quarantined", 0, 0}, {"likes", "tea", 3, SAID, "promoted", 0, 0},
      {"likes", "tea", 4, HELD, "same", 0, 0}}},
    {"who does not vouch supersedes nothing", "Berlin*[1,] Paris?",
     {{"lives_in", "Berlin", 1, SAID, "new", 0, 0},
      {"lives_in", "Paris", 2, HELD, "quarantined", 0, 0}}},
    {"since when", "Berlin[-50,-10] Paris*[-10,]",
     {{"lives_in", "Berlin", 1, SAID, "new", -50, 0},
      {"lives_in", "Paris", 3, SAID, "superseded", -10, 0}}},
    {"a time gone by", "Paris*[1,] Berlin[-50,-10]",
     {{"lives_in", "Paris", 1, SAID, "new", 0, 0},
      {"lives_in", "Berlin", 2, SAID, "past", -50, -10}}},
    {"it never was", "Berlin[-10,-10] Paris*[-50,]",
     {{"lives_in", "Berlin", 1, SAID, "new", -10, 0},
      {"lives_in", "Paris", 2, SAID, "superseded", -50, 0}}},
    {"times gone by do not overlap", "Berlin[-50,-10] Rome[-60,-50] Oslo[-10,-5]",
     {{"lives_in", "Berlin", 1, SAID, "past", -50, -10},
      {"lives_in", "Rome", 2, SAID, "past", -60, -20},
      {"lives_in", "Oslo", 3, SAID, "past", -30, -5}}},
};

static void run_script(const struct script *s)
{
    struct fact_book *b = facts_kit_book();
    char told[1024];

    for (unsigned i = 0; i < STEPS_MAX && s->steps[i].predicate; i++) {
        const struct line *st = &s->steps[i];
        struct fact_candidate c = facts_kit_said(st->predicate, st->value, st->at, st->how);

        c.valid_from_ms = st->from;
        c.valid_to_ms = st->to;
        struct fact_considered got =
            facts_kit_consider(b, &c, st->how != HELD, &rules, NOW_MS + i);
        if (strcmp(fact_outcome_word(got.outcome), st->outcome) != 0)
            fail_msg("%s, step %u: %s, not %s", s->name, i + 1, fact_outcome_word(got.outcome),
                     st->outcome);
    }
    facts_kit_tell(b, told, sizeof(told));
    if (strcmp(told, s->tells) != 0)
        fail_msg("%s: %s, not %s", s->name, told, s->tells);
    fact_book_free(b);
}

static void test_facts__scripts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++)
        run_script(&scripts[i]);
}

// ---- when values are one

static void test_facts__alike(void **state)
{
    static const struct {
        const char *a, *b;
        bool near;
    } pairs[] = {
        {"Berlin", "in Berlin", true},
        {"software engineer", "a software engineer", true},
        {"hiking in the mountains", "hikes on mountains", true},
        {"caf\u00e9", "cafe", true},
        {"long walks on sunny beaches", "walks on sunny beaches", true},
        {"long walks on sunny beaches", "no long walks on sunny beaches", false},
        {"walks on three sunny beaches", "walks on 3 three sunny beaches", false},
        {"Berlin", "Bern", false},
        {"flights to Berlin", "flights from Berlin", false},
        {"mail over phone", "phone over mail", false},
        {"C", "C++", false},
        {"Ann", "Anne", false},
        {"ANN", "Ann", true},
        {"Jose", "Jos\xc3\xa9", true},
        {"C#", "C", false},
        {"R&D", "R D", false},
        {"tea", "green tea", false},
        {"version 2", "version 3", false},
        {"coffee", "no coffee", false},
        {"the", "a", false},
        {"\u8336", "\u5496\u5561", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
        for (int turned = 0; turned < 2; turned++) {
            const char *a = turned ? pairs[i].b : pairs[i].a, *b = turned ? pairs[i].a : pairs[i].b;
            struct err err = ERR_INIT;
            bool near;

            assert_int_equal(alike_near(slice_str(a), slice_str(b), &near, &err), E_OK);
            if (near != pairs[i].near)
                fail_msg("%s, %s", a, b);
        }
}

static void test_facts__normal_form(void **state)
{
    static const char *const forms[][2] = {
        {"  Berlin ", "berlin"},       {"\"Berlin.\"", "berlin"},
        {"\u201eBerlin\u201c!", "berlin"}, {"\uff22erlin", "berlin"},
        {"New \u00a0 York", "new york"}, {".NET", ".net"},
        {"C++", "c++"},                {"Dr. Who?", "dr. who"},
        {"...", "..."},                {"STRASSE", "strasse"},
        {"Stra\u00dfe", "strasse"},    {"[EMAIL_1]", "[email_1]"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        struct buf out = BUF_INIT(1 << 16);
        struct err err = ERR_INIT;

        assert_int_equal(alike_normal(slice_str(forms[i][0]), &out, &err), E_OK);
        assert_string_equal(out.ptr, forms[i][1]);
        buf_release(&out);
    }
}

// ---- forgetting

static enum fact_outcome say_at(struct fact_book *b, const char *predicate, const char *value,
                                int64_t at, enum said how)
{
    struct fact_candidate c = facts_kit_said(predicate, value, at, how);

    return facts_kit_consider(b, &c, how != HELD, &rules, NOW_MS + at).outcome;
}

static const struct fact *find(const struct fact_book *b, const char *value)
{
    struct fact_at at = FACT_AT_START;

    while (fact_book_next(b, &at))
        if (slice_is(safe_slice(fact_value(at.fact)), value))
            return at.fact;
    fail_msg("no %s", value);
    return NULL;
}

static uint32_t forget(struct fact_book *b, const char *value, int64_t now_ms)
{
    struct err err = ERR_INIT;
    uint32_t count;
    char id[FACT_ID_BYTES];

    memcpy(id, find(b, value)->id, sizeof(id));
    assert_int_equal(fact_book_forget(b, id, now_ms, &count, &err), E_OK);
    assert_int_equal(fact_book_forget(b, id, now_ms, &(uint32_t){0}, &err), E_NOT_FOUND);
    return count;
}

static void expect_told(const struct fact_book *b, const char *tells)
{
    char told[1024];

    facts_kit_tell(b, told, sizeof(told));
    assert_string_equal(told, tells);
}

static void test_facts__forgotten(void **state)
{
    struct fact_book *b = facts_kit_book();

    (void)state;
    say_at(b, "lives_in", "Berlin", 1, SAID);
    say_at(b, "lives_in", "Paris", 3, SAID);
    assert_int_equal(forget(b, "Paris", 50), 1);
    expect_told(b, "Berlin[1,3] -");  // which does not come back with it
    // What was said before: the same words; again from another turn; other words from there.
    assert_int_equal(say_at(b, "lives_in", "Paris", 3, SAID), OUTCOME_REFUSED);
    assert_int_equal(say_at(b, "lives_in", "Paris", 9, SAID), OUTCOME_REFUSED);
    assert_int_equal(say_at(b, "likes", "the capital of France", 3, SAID), OUTCOME_REFUSED);
    assert_int_equal(say_at(b, "likes", "tea", 4, SAID), OUTCOME_NEW);
    // Who does not vouch does not bring it back; who says it anew does.
    assert_int_equal(say_at(b, "lives_in", "Paris", 60, HELD), OUTCOME_REFUSED);
    assert_int_equal(say_at(b, "lives_in", "Paris", 61, SAID), OUTCOME_NEW);
    assert_int_equal(say_at(b, "lives_in", "Paris", 9, SAID), OUTCOME_REFUSED);
    assert_int_equal(find(b, "Paris")->confirmations, 1);
    // What was said at 3 is gone; so Berlin was said until 61.
    assert_int_equal(find(b, "Berlin")->valid_to_ms, 61);
    fact_book_free(b);
}

static void test_facts__forgotten_keeps_positions_only(void **state)
{
    struct fact_book *b = facts_kit_book();
    struct fact_at at = FACT_AT_START;

    (void)state;
    say_at(b, "likes", "tea", 1, SAID);
    say_at(b, "likes", "tea", 2, SAID);
    forget(b, "tea", 50);
    assert_true(fact_book_next(b, &at));
    assert_int_equal(fact_value(at.fact).len, 0);
    assert_null(at.fact->value.inner.ptr);
    assert_int_equal(at.fact->confirmations + (unsigned)at.fact->turns.len, 0);
    assert_int_equal(at.fact->evidence.len, 2);
    assert_string_equal(fact_evidence_at(at.fact, 1)->session, "s");
    assert_string_equal(fact_evidence_at(at.fact, 1)->extractor, "");
    fact_book_free(b);
}

static struct fact_considered conclude(struct fact_book *b, const char *value, const char *on,
                                       const char *and)
{
    struct fact_candidate c = facts_kit_said("tends_to", value, 99, SAID);
    char ids[2][FACT_ID_BYTES];
    struct fact_considered out;
    struct err err = ERR_INIT;

    memcpy(ids[0], find(b, on)->id, FACT_ID_BYTES);
    memcpy(ids[1], and ? find(b, and)->id : "ffffffffffff", FACT_ID_BYTES);
    assert_int_equal(fact_book_conclude(b, &c, (const char (*)[FACT_ID_BYTES])ids, 2, &rules, 99,
                                        &out, &err), E_OK);
    return out;
}

static void say_in(struct fact_book *b, const char *session, const char *value, int64_t at)
{
    struct fact_candidate c = facts_kit_said("likes", value, at, SAID);

    memcpy(c.session, session, strlen(session) + 1);
    facts_kit_consider(b, &c, true, &rules, NOW_MS);
}

static void test_facts__knowledge(void **state)
{
    struct fact_book *b = facts_kit_book();

    (void)state;
    say_in(b, "s", "hiking", 1);
    say_in(b, "s", "climbing", 2);
    say_in(b, "t", "skiing", 3);
    assert_int_equal(conclude(b, "be outside", "hiking", "climbing").outcome, OUTCOME_REFUSED);
    assert_int_equal(conclude(b, "be outside", "hiking", NULL).outcome, OUTCOME_REFUSED);
    assert_int_equal(conclude(b, "be outside", "hiking", "skiing").outcome, OUTCOME_NEW);
    assert_int_equal(conclude(b, "be outside", "hiking", "skiing").outcome, OUTCOME_SAME);
    assert_int_equal(fact_book_count(b, TIER_KNOWLEDGE, FACT_ACTIVE), 1);
    // Borne by one alone it is quarantined, and goes with that one.
    assert_int_equal(forget(b, "hiking", 50), 1);
    assert_int_equal(fact_book_count(b, TIER_KNOWLEDGE, FACT_QUARANTINED), 1);
    assert_int_equal(forget(b, "skiing", 60), 2);
    assert_int_equal(fact_book_count(b, TIER_KNOWLEDGE, FACT_FORGOTTEN), 1);
    fact_book_free(b);
}

// ---- limits

static void test_facts__evidence_is_the_first_and_the_newest(void **state)
{
    struct fact_book *b = facts_kit_book();

    (void)state;
    for (int64_t at = 100; at > 0; at--)
        assert_true(say_at(b, "likes", "tea", at, SAID) != OUTCOME_REFUSED);
    const struct fact *f = find(b, "tea");
    assert_int_equal(f->evidence.len, FACT_EVIDENCE_MAX);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(fact_evidence_at(f, i)->at_ms, i + 1);
        assert_int_equal(fact_evidence_at(f, 4 + i)->at_ms, 97 + i);
    }
    assert_int_equal(f->confirmations, FACT_TURNS_MAX);
    assert_int_equal(f->valid_from_ms, 1);
    assert_int_equal(f->confirmed_at_ms, 100);
    assert_int_equal(say_at(b, "likes", "tea", 50, SAID), OUTCOME_SAME);
    fact_book_free(b);
}

static void fill(struct fact_book *b, const char *predicate, unsigned n, enum said how, int64_t at)
{
    char value[32];

    for (unsigned i = 0; i < n; i++) {
        snprintf(value, sizeof(value), "value %lld", (long long)at + i);
        say_at(b, predicate, value, at + i, how);
    }
}

static void test_facts__a_full_slot(void **state)
{
    struct fact_book *b = facts_kit_book();

    (void)state;
    fill(b, "likes", 40, HELD, 1);
    fill(b, "likes", 24, SAID, 101);
    assert_int_equal(fact_book_slot(b, 0)->facts.len, SLOT_VALUES_MAX);
    // The oldest that nobody vouched for makes room.
    assert_int_equal(say_at(b, "likes", "tea", 200, SAID), OUTCOME_NEW);
    assert_int_equal(fact_book_slot(b, 0)->facts.len, SLOT_VALUES_MAX);
    assert_int_equal(fact_book_count(b, TIER_FACT, FACT_QUARANTINED), 39);
    fill(b, "likes", 39, SAID, 301);
    assert_int_equal(fact_book_count(b, TIER_FACT, FACT_ACTIVE), SLOT_VALUES_MAX);
    assert_int_equal(say_at(b, "likes", "coffee", 400, SAID), OUTCOME_REFUSED);
    assert_int_equal(say_at(b, "likes", "tea", 401, SAID), OUTCOME_CONFIRMED);
    // What is no more makes room, too.
    assert_int_equal(say_at(b, "likes", "tea", 402, NOT), OUTCOME_ENDED);
    assert_int_equal(say_at(b, "likes", "coffee", 403, SAID), OUTCOME_NEW);
    fact_book_free(b);
}

static void test_facts__a_slot_stays_within_its_record(void **state)
{
    static char text[FACT_VALUE_BYTES_MAX + 1];
    struct fact_book *b = facts_kit_book();
    struct buf meta = BUF_INIT(RECORD_META_BYTES_MAX);
    struct safe_buf body;

    (void)state;
    for (unsigned i = 0; i < SLOT_VALUES_MAX; i++) {
        memset(text, '"', sizeof(text) - 1);
        snprintf(text, sizeof(text), "%u%s", i, "x");
        text[strlen(text)] = '"';
        for (int64_t k = 0; k < 12; k++)
            say_at(b, "likes", text, 1 + i * 20 + k, SAID);
    }
    safe_buf_init(&body, 1 << 20);
    fact_slot_write(fact_book_slot(b, 0), &meta, &body);
    assert_true(safe_buf_text(&body).len <= SLOT_BODY_BYTES_MAX);
    assert_true(fact_book_slot(b, 0)->facts.len > 16);
    buf_release(&meta);
    safe_buf_release(&body);
    fact_book_free(b);
}

static void test_facts__a_full_book(void **state)
{
    struct fact_book *b = facts_kit_book();
    char predicate[32];

    (void)state;
    for (unsigned i = 0; i < BOOK_SLOTS_MAX; i++) {
        snprintf(predicate, sizeof(predicate), "p%u", i);
        say_at(b, predicate, "x", i + 1, i == 500 ? HELD : SAID);
    }
    assert_int_equal(say_at(b, "more", "x", 5000, SAID), OUTCOME_NEW);
    assert_int_equal(fact_book_count(b, TIER_FACT, FACT_QUARANTINED), 0);
    assert_int_equal(say_at(b, "even_more", "x", 5001, SAID), OUTCOME_REFUSED);
    assert_int_equal(fact_book_slots(b), BOOK_SLOTS_MAX + 1);  // one of them is to be deleted
    fact_book_settle(b);
    assert_int_equal(fact_book_slots(b), BOOK_SLOTS_MAX);
    fact_book_free(b);
}

static void test_facts__names_that_are_none(void **state)
{
    struct fact_book *b = facts_kit_book();

    (void)state;
    assert_int_equal(say_at(b, "?", "x", 1, SAID), OUTCOME_REFUSED);
    assert_int_equal(say_at(b, "likes", " ", 1, SAID), OUTCOME_REFUSED);
    assert_int_equal(say_at(b, "likes", "tea", 1, HELD), OUTCOME_QUARANTINED);
    struct fact_candidate c = facts_kit_said("likes", "tea", 2, NOT);
    assert_int_equal(facts_kit_consider(b, &c, false, &rules, 3).outcome, OUTCOME_REFUSED);
    assert_false(fact_book_slot(b, 0)->one);
    fact_book_free(b);
}

// ---- reading

static void test_facts__found_by_id(void **state)
{
    struct fact_book *b = facts_kit_book();
    struct fact_at at;
    struct err err = ERR_INIT;

    (void)state;
    say_at(b, "likes", "tea", 1, SAID);
    say_at(b, "likes", "coffee", 2, SAID);
    const struct fact *tea = find(b, "tea");
    assert_int_equal(fact_book_find(b, slice_str(tea->id), &at, &err), E_OK);
    assert_ptr_equal(at.fact, tea);
    assert_string_equal(at.slot->predicate, "likes");
    assert_int_equal(fact_book_find(b, slice_of(tea->id, 4), &at, &err), E_OK);
    assert_int_equal(fact_book_find(b, slice_of(tea->id, 3), &at, &err), E_NOT_FOUND);
    assert_int_equal(fact_book_find(b, SLICE_LIT("ffffffffffff"), &at, &err), E_NOT_FOUND);
    assert_false(fact_is_stale(tea, &rules, 100));
    assert_true(fact_is_stale(tea, &rules, 101));
    assert_false(fact_is_stale(tea, NULL, 1 << 30));
    fact_book_free(b);
}

static void test_facts__a_copy_is_apart(void **state)
{
    struct fact_book *b = facts_kit_book(), *copy;
    struct err err = ERR_INIT;

    (void)state;
    say_at(b, "likes", "tea", 1, SAID);
    say_at(b, "name", "Ann", 1, SAID);
    fact_book_settle(b);
    assert_int_equal(fact_book_copy(&copy, b, &err), E_OK);
    assert_false(fact_book_changed(copy));
    say_at(copy, "likes", "coffee", 2, SAID);
    assert_int_equal(fact_book_dirty(copy, NULL, 0), 1);
    assert_false(fact_book_changed(b));
    assert_int_equal(fact_book_count(b, TIER_FACT, FACT_ACTIVE), 2);
    assert_int_equal(fact_book_count(copy, TIER_FACT, FACT_ACTIVE), 3);
    assert_true(fact_book_bytes(b) > 0);
    fact_book_free(b);
    assert_int_equal(fact_book_count(copy, TIER_FACT, FACT_ACTIVE), 3);
    fact_book_free(copy);
}

// What the user's words do not bear out goes when its time is over, and nothing else; a slot that
// has nothing else goes with it. Until then it is due.
static void test_facts__quarantine_ends(void **state)
{
    enum { DAY = 1000 };
    struct memory_rules for_days = {.on = true, .quarantine_ms = 30 * DAY}, for_ever = {.on = true};
    struct fact_book *b = facts_kit_book(), *copy;
    struct fact_candidate held = facts_kit_said("lives_in", "Rome", 1, HELD);
    struct fact_candidate said = facts_kit_said("lives_in", "Faro", 2, SAID);
    struct fact_candidate later = facts_kit_said("lives_in", "Oslo", 3, HELD);
    struct fact_candidate alone = facts_kit_said("eats", "fish", 4, HELD);
    struct fact_slot *dirty[2];
    char told[1024];
    uint32_t count;

    (void)state;
    facts_kit_consider(b, &held, false, &for_days, 100 * DAY);
    facts_kit_consider(b, &said, true, &for_days, 101 * DAY);
    facts_kit_consider(b, &later, false, &for_days, 105 * DAY);
    facts_kit_consider(b, &alone, false, &for_days, 110 * DAY);
    assert_int_equal(fact_book_dirty(b, dirty, 2), 2);
    assert_int_equal(dirty[0]->due_at_ms + dirty[1]->due_at_ms, 130 * DAY + 140 * DAY);
    fact_book_settle(b);
    assert_int_equal(fact_book_copy(&copy, b, NULL), E_OK);
    assert_int_equal(fact_book_drop_quarantined(copy, &for_days, 130 * DAY - 1, &count, NULL),
                     E_OK);
    assert_int_equal(count, 0);
    assert_false(fact_book_changed(copy));
    assert_int_equal(fact_book_drop_quarantined(copy, &for_days, 130 * DAY, &count, NULL), E_OK);
    assert_int_equal(count, 1);
    assert_int_equal(fact_book_dirty(copy, dirty, 2), 1);
    assert_int_equal(dirty[0]->due_at_ms, 135 * DAY);
    assert_int_equal(fact_book_drop_quarantined(copy, &for_days, 140 * DAY, &count, NULL), E_OK);
    assert_int_equal(count, 2);
    facts_kit_tell(copy, told, sizeof(told));
    assert_string_equal(told, "Faro*[2,]");
    assert_int_equal(fact_book_dirty(copy, dirty, 2), 2);
    assert_int_equal(dirty[0]->facts.len + dirty[1]->facts.len, 1);
    assert_int_equal(dirty[0]->due_at_ms + dirty[1]->due_at_ms, 0);
    fact_book_free(copy);
    // Who never drops is not asked again.
    assert_int_equal(fact_book_copy(&copy, b, NULL), E_OK);
    assert_int_equal(fact_book_drop_quarantined(copy, &for_ever, 999 * DAY, &count, NULL), E_OK);
    assert_int_equal(count, 0);
    assert_int_equal(fact_book_dirty(copy, dirty, 2), 2);
    assert_int_equal(dirty[0]->due_at_ms + dirty[1]->due_at_ms, 0);
    fact_book_free(copy);
    fact_book_free(b);
}

// What is known of one is not known of another, nor in another context.
static void test_facts__known_of_whom_and_where(void **state)
{
    static const struct {
        const char *subject, *predicate, *value, *scope;
        bool known;
    } cases[] = {
        {"", "lives_in", "Berlin", "", true},        {"user", "Lives in", "berlin.", "", true},
        {"", "residence", "in Berlin", "", true},    {"", "lives_in", "Paris", "", false},
        {"Anna", "lives_in", "Berlin", "", false},   {"", "likes", "Berlin", "", false},
        {"", "lives_in", "Berlin", "home", false},   {"", "lives_in", "", "", false},
        {"", "works_as", "a nurse", "home", true},   {"", "works_as", "a nurse", "", false},
        {"", "works_as", "a nurse", "work", false},  {"", "drinks", "tea", "", false},
    };
    struct fact_book *b = facts_kit_book();
    struct fact_candidate c = facts_kit_said("lives_in", "Berlin", 1, SAID);
    uint32_t count;

    (void)state;
    facts_kit_consider(b, &c, true, &rules, NOW_MS);
    c = facts_kit_said("works_as", "a nurse", 2, HELD);
    snprintf(c.scope, sizeof(c.scope), "home");
    facts_kit_consider(b, &c, false, &rules, NOW_MS);
    c = facts_kit_said("drinks", "tea", 3, SAID);
    struct fact_considered tea = facts_kit_consider(b, &c, true, &rules, NOW_MS);
    assert_int_equal(fact_book_forget(b, tea.id, NOW_MS, &count, NULL), E_OK);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bool known;

        c = facts_kit_said(cases[i].predicate, cases[i].value, 9, SAID);
        c.subject = facts_kit_text(cases[i].subject);
        snprintf(c.scope, sizeof(c.scope), "%s", cases[i].scope);
        assert_int_equal(fact_book_knows(b, &c, &rules, &known, NULL), E_OK);
        if (known != cases[i].known)
            fail_msg("%s %s %s %s", cases[i].subject, cases[i].predicate, cases[i].value,
                     cases[i].scope);
    }
    fact_book_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_facts__scripts),
        cmocka_unit_test(test_facts__alike),
        cmocka_unit_test(test_facts__normal_form),
        cmocka_unit_test(test_facts__forgotten),
        cmocka_unit_test(test_facts__forgotten_keeps_positions_only),
        cmocka_unit_test(test_facts__knowledge),
        cmocka_unit_test(test_facts__evidence_is_the_first_and_the_newest),
        cmocka_unit_test(test_facts__a_full_slot),
        cmocka_unit_test(test_facts__a_slot_stays_within_its_record),
        cmocka_unit_test(test_facts__a_full_book),
        cmocka_unit_test(test_facts__names_that_are_none),
        cmocka_unit_test(test_facts__found_by_id),
        cmocka_unit_test(test_facts__a_copy_is_apart),
        cmocka_unit_test(test_facts__quarantine_ends),
        cmocka_unit_test(test_facts__known_of_whom_and_where),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
