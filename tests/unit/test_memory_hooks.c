// SPDX-License-Identifier: MIT
// test_memory_hooks.c: what the hooks of a policy's memory see and say, and what plans say of
// memory.
#include "policy_kit.h"

static void extract(struct policy *p, struct talk *t, uint32_t turn, struct fact_candidates *out)
{
    struct err err = ERR_INIT;

    if (p->ops->extract(p, &t->view, turn, out, &err) != E_OK)
        fail_msg("%s", err.message);
}

static void test_memory_hooks__extract(void **state)
{
    struct fixture *f = *state;
    struct policy *p = load_text(f,
        "return { memory = { predicates = { name = { one = true, kind = 'style' } },\n"
        "extract = function(view, turn)\n"
        "  if turn.user == 'third' then return {\n"
        "    { predicate = 'topic', value = turn.turn .. '', quote = 'hird', kind = 'decision',\n"
        "      subject = 'sister Anna', one = true, negates = true, from = 10, to = 20.5 },\n"
        "    { predicate = 'topic', negates = true, quote = 'never said' } } end\n"
        "  local name = turn.user:match 'I am (%a+)'\n"
        "  return name and { { predicate = 'name', value = name, quote = turn.user } }\n"
        "end } }");
    struct fact_candidates out;
    struct fact_candidate *c;
    struct talk t;

    talk_init(&t, "ann", SAFE_LIT("now"));
    fact_candidates_init(&out);
    assert_true(p->info.memory.has_extract);
    extract(p, &t, 1, &out);
    assert_int_equal(fact_candidates_len(&out), 1);
    c = fact_candidates_at(&out, 0);
    assert_text(c->predicate, "name");
    assert_text(c->value, "Ann");
    assert_text(c->quote, "I am Ann");
    assert_text(c->subject, "");
    assert_int_equal(c->kind, FACT_STYLE);
    assert_true(c->one);
    assert_false(c->negates);
    assert_int_equal(c->author, AUTHOR_USER);
    assert_int_equal(c->turn, 1);
    assert_int_equal(c->step, 0);
    assert_int_equal(c->start, 0);
    assert_int_equal(c->end, 8);
    assert_true(c->at_ms == 1500);
    assert_string_equal(c->session, t.chat.head.id);
    assert_string_equal(c->policy, p->info.version);
    assert_memory_equal(c->extractor, "rules@", 6);
    assert_string_equal(c->extractor + 6, p->info.memory.version);
    fact_candidates_clear(&out);
    extract(p, &t, 3, &out);
    assert_int_equal(fact_candidates_len(&out), 2);
    c = fact_candidates_at(&out, 0);
    assert_text(c->value, "3");
    assert_text(c->subject, "sister Anna");
    assert_int_equal(c->kind, FACT_DECISION);
    assert_true(c->one && c->negates);
    assert_int_equal(c->start, 1);
    assert_int_equal(c->end, 5);
    assert_true(c->valid_from_ms == 10000 && c->valid_to_ms == 20500);
    c = fact_candidates_at(&out, 1);
    assert_int_equal(c->end, 0);
    assert_int_equal(c->kind, FACT_CIRCUMSTANCE);
    fact_candidates_clear(&out);
    extract(p, &t, 2, &out);  // says nothing
    assert_int_equal(fact_candidates_len(&out), 0);
    fact_candidates_release(&out);
    policy_unref(p);
}

static const struct { const char *body, *message; } failing[] = {
    {"return 3", "must be a list such as { { predicate = \"likes\", value = \"tea\" } }, not a "
                 "number"},
    {"return { predicate = 'likes', value = 'tea' }", "must be a list of tables: { { … } }"},
    {"return { 3 }", "item 1: must be a table such as { predicate = \"likes\", value = \"tea\" }, "
                     "not a number"},
    {"return { { predicate = 'a', value = 'b' }, { predicat = 'a' } }",
     "item 2: predicat: unknown key (did you mean predicate?)"},
    {"return { { value = 'b' } }", "item 1: predicate: must be a name of a-z, 0-9 and _, such as "
                                   "\"lives_in\""},
    {"return { { predicate = 'A b', value = 'b' } }",
     "item 1: predicate: must be a name of a-z, 0-9 and _, such as \"lives_in\""},
    {"return { { predicate = 'a' } }", "item 1: value: is missing"},
    {"return { { predicate = 'a', value = '' } }", "item 1: value: is empty"},
    {"return { { predicate = 'a', value = 3 } }", "item 1: value: must be text, not a number"},
    {"return { { predicate = 'a', value = ('x'):rep(1025) } }",
     "item 1: value: is longer than 1024 bytes"},
    {"return { { predicate = 'a', value = 'b', subject = ('x'):rep(65) } }",
     "item 1: subject: is longer than 64 bytes"},
    {"return { { predicate = 'a', value = 'b', kind = 'styles' } }",
     "item 1: kind: there is no such kind (did you mean \"style\"?)"},
    {"return { { predicate = 'a', value = 'b', one = 1 } }", "item 1: one: must be true or false"},
    {"return { { predicate = 'a', value = 'b', from = -1 } }",
     "item 1: from: must be a time in seconds since 1970, as view.now is"},
    {"return { { predicate = 'a', value = '\\255' } }", NULL},
    {"return { { predicate = 'a', value = 'b', facts = {} } }", "item 1: facts: unknown key"},
    {"local t = {} for i = 1, 65 do t[i] = { predicate = 'a', value = 'v' .. i } end return t",
     "too many: at most 64"},
    {"error 'no'", NULL},
    {"while true do end", NULL},
};

// A hook that fails says where, and nothing is learnt.
static void test_memory_hooks__failures(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(failing) / sizeof(failing[0]); i++) {
        char text[512], want[512];
        struct err err = ERR_INIT;
        struct fact_candidates out;
        struct talk t;

        snprintf(text, sizeof(text), "return { memory = { extract = function(view, turn) %s end } "
                                     "}", failing[i].body);
        use_limits(f, 50, 5000);
        struct policy *p = load_text(f, text);
        talk_init(&t, "ann", SAFE_LIT("now"));
        fact_candidates_init(&out);
        if (p->ops->extract(p, &t.view, 1, &out, &err) == E_OK)
            fail_msg("%s did not fail", text);
        snprintf(want, sizeof(want), "policies/kiosk.lua:1: %s%s",
                 failing[i].message ? failing[i].message : "",
                 failing[i].message ? " (in memory.extract)" : "");
        if (failing[i].message ? strcmp(err.message, want) != 0
                               : strncmp(err.message, want, strlen(want)) != 0)
            fail_msg("%s\nsays '%s'\n not '%s'", text, err.message, want);
        assert_int_equal(fact_candidates_len(&out), 0);
        fact_candidates_release(&out);
        policy_unref(p);
    }
}

static void test_memory_hooks__reflect(void **state)
{
    struct fixture *f = *state;
    struct policy *p = load_text(f,
        "return { memory = { reflect = function(view) return {\n"
        "  { predicate = 'pattern', value = 'drinks tea', facts = { '0123456789ab',\n"
        "    'ffffffffffff' } } } end } }");
    struct fact_candidates out;
    struct policy_citations cited;
    struct err err = ERR_INIT;
    struct talk t;

    talk_init(&t, "ann", SAFE_LIT("now"));
    fact_candidates_init(&out);
    assert_int_equal(p->ops->reflect(p, &t.view, &out, &cited, &err), E_OK);
    assert_int_equal(fact_candidates_len(&out), 1);
    assert_int_equal(fact_candidates_at(&out, 0)->kind, FACT_PATTERN);
    assert_int_equal(cited.of[0].len, 2);
    assert_string_equal(cited.of[0].facts[1], "ffffffffffff");
    fact_candidates_clear(&out);
    policy_unref(p);
    p = load_text(f, "return { memory = { reflect = function(view) return { { predicate = 'p', "
                     "value = 'v' } } end } }");
    assert_int_equal(p->ops->reflect(p, &t.view, &out, &cited, &err), E_USAGE);
    assert_string_equal(err.message, "policies/kiosk.lua:1: item 1: facts: must name the facts "
                                     "that it rests on, by their ids (in memory.reflect)");
    fact_candidates_release(&out);
    policy_unref(p);
}

static void test_memory_hooks__plan(void **state)
{
    struct fixture *f = *state;
    struct policy *p = load_text(f,
        "return { memory = {}, on_message = function(view) return { memory = {\n"
        "  core = { human = 'Ann, a nurse.' }, forget = { '0123456789ab' },\n"
        "  remember = { { predicate = 'likes', value = 'tea' } } } } end }");
    struct err err = ERR_INIT;
    struct plan plan;
    struct talk t;

    talk_init(&t, "ann", SAFE_LIT("now"));
    plan_init(&plan);
    assert_int_equal(ask(p, &t.view, &plan, &err), E_OK);
    assert_int_equal(plan.verb, PLAN_GO);
    assert_non_null(plan.memory);
    assert_true(plan.memory->sets_human);
    assert_text(safe_buf_text(&plan.memory->human), "Ann, a nurse.");
    assert_int_equal(plan.memory->forget_len, 1);
    assert_string_equal(plan.memory->forget[0], "0123456789ab");
    assert_int_equal(fact_candidates_len(&plan.memory->remember), 1);
    const struct fact_candidate *c = fact_candidates_at(&plan.memory->remember, 0);
    assert_int_equal(c->author, AUTHOR_POLICY);
    assert_int_equal(c->turn, 4);
    assert_memory_equal(c->extractor, "plan@", 5);
    plan_release(&plan);
    assert_null(plan.memory);
    policy_unref(p);
}

static const struct { const char *memory, *message; } bad_plans[] = {
    {"3", "memory: must be a table such as { forget = { id } }, not a number"},
    {"{ forgets = {} }", "memory: forgets: unknown key (did you mean forget?)"},
    {"{ forget = { 'x' } }", "memory: forget: item 1 is no fact's id, as in view.facts[1].id"},
    {"{ core = { human = 3 } }", "memory.core.human: must be text, not a number"},
    {"{ core = { human = ('x'):rep(2049) } }", "memory.core.human: is longer than 2048 bytes"},
    {"{ remember = { { predicate = 'p' } } }", "memory.remember: item 1: value: is missing"},
};

static void test_memory_hooks__bad_plans(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i <= sizeof(bad_plans) / sizeof(bad_plans[0]); i++) {
        bool off = i == sizeof(bad_plans) / sizeof(bad_plans[0]);
        char text[512], want[512];
        struct err err = ERR_INIT;
        struct plan plan;
        struct talk t;

        snprintf(text, sizeof(text), "return { %s on_message = function(view) return { memory = %s "
                                     "} end }", off ? "" : "memory = {},",
                 off ? "{}" : bad_plans[i].memory);
        struct policy *p = load_text(f, text);
        talk_init(&t, "ann", SAFE_LIT("now"));
        plan_init(&plan);
        assert_int_equal(ask(p, &t.view, &plan, &err), E_POLICY);
        snprintf(want, sizeof(want), "policies/kiosk.lua:1: %s (in on_message)",
                 off ? "memory: this policy has no memory: give it one, as in memory = "
                       "memory.rules {}" : bad_plans[i].message);
        assert_string_equal(err.message, want);
        assert_null(plan.memory);
        policy_unref(p);
    }
}

static void test_memory_hooks__view(void **state)
{
    struct fixture *f = *state;
    struct policy *p = load_text(f,
        "return { on_message = function(view) local out = {}\n"
        "  for i, e in ipairs(view.journal) do out[i] = e.session .. e.at .. e.text end\n"
        "  return { say = view.core.human .. '|' .. view.core.persona .. '|' .. #view.journal ..\n"
        "    '|' .. table.concat(out, ';') } end }");
    struct core_memory core;
    struct journal_entry journal[2], *a = &journal[0], *b = &journal[1];
    struct talk t;

    talk_init(&t, "ann", SAFE_LIT("now"));
    assert_says(p, &t, "||0|");
    core_memory_init(&core);
    journal_entry_init(a);
    journal_entry_init(b);
    safe_buf_add(&core.human, SAFE_LIT("Ann"));
    safe_buf_add(&a->text, SAFE_LIT("Tea."));
    safe_buf_add(&b->text, SAFE_LIT("Cake."));
    a->at_ms = 1000;
    b->at_ms = 2500;
    snprintf(a->session, sizeof(a->session), "earlier");
    t.view.core = &core;
    t.view.journal = journal;
    t.view.journal_len = 2;
    assert_says(p, &t, "Ann||2|earlier1.0Tea.;2.5Cake.");
    snprintf(b->context, sizeof(b->context), "ours");
    t.view.journal_of = "ours";
    assert_says(p, &t, "Ann||1|2.5Cake.");
    t.view.journal_of = "theirs";
    assert_says(p, &t, "Ann||0|");
    core_memory_release(&core);
    journal_entry_release(a);
    journal_entry_release(b);
    policy_unref(p);
}

#define S1 "3f0c1a52-0000-4000-8000-00000000000a"
#define S2 "3f0c1a52-0000-4000-8000-00000000000b"

static void test_memory_hooks__facts(void **state)
{
    struct fixture *f = *state;
    struct policy *p = load_text(f,
        "return { memory = { stale = '1d' }, on_message = function(view) local out = {}\n"
        "  for i, f in ipairs(view.facts) do out[i] = table.concat({ f.tier, f.kind, f.subject,\n"
        "    f.predicate, f.value, tostring(f.stale), f.confirmed_at, f.confirmations,\n"
        "    f.sessions, #f.id, tostring(f.valid_to) }, ' ') end\n"
        "  table.sort(out)\n"
        "  local n = 0 for _ in pairs(view.facts) do n = n + 1 end\n"
        "  return { say = #view.facts .. ' ' .. n .. '|' .. table.concat(out, '|') } end }");
    struct fact_book *book = kit_book();
    struct talk t;

    talk_init(&t, "ann", SAFE_LIT("now"));
    assert_says(p, &t, "0 0|");
    t.view.facts = book;
    assert_says(p, &t, "0 0|");
    kit_tell(book, "likes", "tea", S1, 1699000000000, true);
    kit_tell(book, "likes", "tea", S2, 1699000001000, true);
    kit_tell(book, "likes", "jam", S1, 1699999999000, true);
    kit_tell(book, "likes", "secrets", S1, 1699999999000, false);  // quarantined: not shown
    assert_says(p, &t, "2 2|fact preference user likes jam false 1699999999.0 1 1 12 nil|"
                       "fact preference user likes tea true 1699000001.0 2 2 12 nil");
    fact_book_free(book);
    policy_unref(p);
}

// What holds in one context is not shown in another.
static void test_memory_hooks__facts_of_a_context(void **state)
{
    struct fixture *f = *state;
    struct policy *p = load_text(f,
        "return { memory = {}, on_message = function(view) local out = {}\n"
        "  for i, f in ipairs(view.facts) do out[i] = f.value end table.sort(out)\n"
        "  return { say = #view.facts .. table.concat(out, ',') } end }");
    static const char *const scopes[] = {"", "00000000000000000000000000000001",
                                         "00000000000000000000000000000002"};
    struct fact_book *book = kit_book();
    struct memory_rules rules = {.on = true};
    struct talk t;

    for (int i = 0; i < 3; i++) {
        struct fact_considered out;
        struct fact_candidate c = {.predicate = SAFE_LIT("likes"), .turn = 1, .at_ms = 1000,
                                   .value = {&"abc"[i], 1}, .session = S1};

        snprintf(c.scope, sizeof(c.scope), "%s", scopes[i]);
        assert_int_equal(fact_book_consider(book, &c, true, &rules, 1000, &out, NULL), E_OK);
    }
    talk_init(&t, "ann", SAFE_LIT("now"));
    t.view.facts = book;
    assert_says(p, &t, "3a,b,c");
    t.view.facts_scope = scopes[1];
    assert_says(p, &t, "2a,b");
    t.view.facts_scope = scopes[2];
    assert_says(p, &t, "2a,c");
    fact_book_free(book);
    policy_unref(p);
}

// What was kept of a view is of no use later, nor are the facts of somebody else.
static void test_memory_hooks__facts_of_another(void **state)
{
    struct fixture *f = *state;
    struct policy *p = load_text(f,
        "return { memory = {}, on_message = function(view)\n"
        "  local first = view.facts[1]\n"
        "  return { say = first and first.value or 'nothing' } end }");
    struct fact_book *ann = kit_book(), *bob = kit_book();
    struct talk t;

    kit_tell(ann, "likes", "tea", S1, 1000, true);
    kit_tell(bob, "likes", "rum", S1, 1000, true);
    talk_init(&t, "ann", SAFE_LIT("now"));
    for (int round = 0; round < 3; round++) {
        t.view.facts = ann;
        assert_says(p, &t, "tea");
        t.view.facts = bob;
        assert_says(p, &t, "rum");
        t.view.facts = NULL;
        assert_says(p, &t, "nothing");
    }
    fact_book_free(ann);
    fact_book_free(bob);
    policy_unref(p);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_memory_hooks__##name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(extract), TEST(failures), TEST(reflect), TEST(plan), TEST(bad_plans), TEST(view),
        TEST(facts), TEST(facts_of_a_context), TEST(facts_of_another),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
