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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_facts__scripts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
