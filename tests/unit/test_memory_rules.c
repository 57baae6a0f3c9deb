// SPDX-License-Identifier: MIT
// test_memory_rules.c: `memory` of a policy: what it may say, and every refusal in its exact words.
#include "policy_kit.h"

#include "model/expiry.h"

static void test_memory_rules__off(void **state)
{
    struct fixture *f = *state;
    static const char *const texts[] = {"return {}", "return { memory = false }"};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct policy *p = load_text(f, texts[i]);
        const struct memory_rules *m = &p->info.memory;

        assert_false(m->on || m->use_model || m->has_extract || m->has_state || m->has_reflect);
        assert_int_equal(m->recall, 0);
        assert_string_equal(m->version, "");
        policy_unref(p);
    }
    assert_false(policy_plain()->info.memory.on);
}

static void test_memory_rules__defaults(void **state)
{
    struct fixture *f = *state;
    struct policy *p = load_text(f, "return { memory = {} }");
    const struct memory_rules *m = &p->info.memory;

    assert_true(m->on);
    assert_false(m->has_extract || m->use_model || m->by_context);
    assert_int_equal(m->recall, 8);
    assert_int_equal(m->recall_tokens, 400);
    assert_true(m->stale_ms == (int64_t)90 * 24 * 3600 * 1000);
    assert_int_equal(m->reflect_after, 3);
    assert_true(m->journal);
    assert_int_equal(m->journal_bytes, 65536);
    assert_int_equal(m->journal_sent, JOURNAL_NOT_SENT);
    assert_int_equal(m->human_bytes, 2048);
    assert_text(safe_buf_text(&m->persona), "");
    assert_int_equal(strlen(m->version), 8);
    policy_unref(p);
    assert_string_equal(f->log, "");
}

static void test_memory_rules__all_keys(void **state)
{
    struct fixture *f = *state;
    struct policy *p = load_text(f,
        "return { memory = {\n"
        "  model = 'openai:small', prompts = { extract = 'E', journal = 'J', reflect = 'R' },\n"
        "  state = function(view, reply) return { topic = reply } end,\n"
        "  predicates = { lives_in = { kind = 'circumstance', one = true, aliases = { 'home',\n"
        "    'city' } }, likes = { kind = 'preference' } },\n"
        "  scope = 'context', recall = { k = 3, budget_tokens = 99 }, stale = '30d',\n"
        "  reflect_after = 5, journal = { bytes = 4096, send = 'short' },\n"
        "  core = { persona = 'Kind.', human_bytes = 512 } } }");
    const struct memory_rules *m = &p->info.memory;
    const struct predicate_rule *rule = memory_rules_predicate(m, SLICE_LIT("city"));

    assert_true(m->on && m->use_model && m->has_state && m->by_context);
    assert_string_equal(m->model, "openai:small");
    assert_text(safe_buf_text(&m->extract_prompt), "E");
    assert_text(safe_buf_text(&m->journal_prompt), "J");
    assert_text(safe_buf_text(&m->reflect_prompt), "R");
    assert_int_equal(m->predicates_len, 2);
    assert_non_null(rule);
    assert_string_equal(rule->name, "lives_in");
    assert_true(rule->one);
    assert_false(memory_rules_predicate(m, SLICE_LIT("likes"))->one);
    assert_null(memory_rules_predicate(m, SLICE_LIT("owns")));
    assert_int_equal(m->recall, 3);
    assert_int_equal(m->recall_tokens, 99);
    assert_true(m->stale_ms == (int64_t)30 * 24 * 3600 * 1000);
    assert_int_equal(m->reflect_after, 5);
    assert_int_equal(m->journal_bytes, 4096);
    assert_int_equal(m->journal_sent, JOURNAL_SENT_SHORT);
    assert_text(safe_buf_text(&m->persona), "Kind.");
    assert_int_equal(m->human_bytes, 512);
    policy_unref(p);
    p = load_text(f, "return { memory = { recall = false, stale = false, reflect_after = false, "
                     "journal = false } }");
    m = &p->info.memory;
    assert_true(m->on);
    assert_int_equal(m->recall, 0);
    assert_true(m->stale_ms == 0);
    assert_int_equal(m->reflect_after, 0);
    assert_false(m->journal);
    policy_unref(p);
}

// What extraction depends on has another version; what is beside the file's text does not matter.
static void test_memory_rules__version(void **state)
{
    struct fixture *f = *state;
    struct policy *a = load_text(f, "return { memory = {} }");
    struct policy *b = load_text(f, "return { memory = {} }");
    struct policy *c = load_text(f, "return { memory = { stale = '1d' } }");

    assert_string_equal(a->info.memory.version, b->info.memory.version);
    assert_string_not_equal(a->info.memory.version, c->info.memory.version);
    policy_unref(a);
    policy_unref(b);
    policy_unref(c);
}

static const struct { const char *memory, *message; } refused[] = {
    {"3", "memory: must be made by parley.memory, as in memory.rules {}, or false: nothing is "
          "remembered"},
    {"{ extracts = 1 }", "memory.extracts: unknown key (did you mean extract?)"},
    {"{ extract = {} }", "memory.extract: must be a function, as in function(view, turn) … end, "
                         "not a table"},
    {"{ state = 1 }", "memory.state: must be a function, as in function(view, reply) … end, not a "
                      "number"},
    {"{ model = 'small' }", "memory.model: must be \"provider:model\", such as "
                            "\"scripted:scripted\", or true: the bot's own model"},
    {"{ model = 3 }", "memory.model: must be \"provider:model\", such as \"scripted:scripted\", "
                      "or true: the bot's own model"},
    {"{ model = true }", "memory.model: needs prompts = { extract = …, journal = …, reflect = "
                         "… }; memory.model {} of parley.memory has them"},
    {"{ prompts = { extracted = '' } }", "memory.prompts.extracted: unknown key (did you mean "
                                         "extract?)"},
    {"{ prompts = { extract = 1 } }", "memory.prompts.extract: must be text, not a number"},
    {"{ prompts = { extract = ('x'):rep(9000) } }", NULL},
    {"{ predicates = { ['lives in'] = {} } }",
     "memory.predicates.lives in: is no predicate's name: it is made of a-z, 0-9 and _, and of 63 "
     "bytes at most"},
    {"{ predicates = { { one = true } } }", "memory.predicates: an item has no name"},
    {"{ predicates = { a = true } }", "memory.predicates.a: must be a table such as { kind = "
                                      "\"circumstance\", one = true }"},
    {"{ predicates = { a = { kind = 'preferences' } } }",
     "memory.predicates.a.kind: 'preferences' is none of \"preference\", \"circumstance\", "
     "\"decision\", \"follow_up\", \"pattern\", \"style\" (did you mean \"preference\"?)"},
    {"{ predicates = { a = { one = 1 } } }",
     "memory.predicates.a.one: must be true (a new value takes the place of the old one) or false "
     "(all of them hold)"},
    {"{ predicates = { a = { aliases = { 'B' } } } }", NULL},
    {"{ predicates = { a = { many = true } } }", "memory.predicates.a.many: unknown key; there "
     "are kind, one, aliases"},
    {"{ scope = 'user' }", "memory.scope: 'user' is none of \"bot\", \"context\""},
    {"{ recall = { k = 0 } }", "memory.recall.k: must be a whole number from 1 to 64"},
    {"{ recall = { budget = 3 } }", "memory.recall.budget: unknown key (did you mean "
                                    "budget_tokens?)"},
    {"{ recall = true }", "memory.recall: must be a table such as { k = 8, budget_tokens = 400 }, "
                          "or false: none, not a boolean"},
    {"{ stale = 'soon' }", "memory.stale: must be a duration such as \"90d\" (older facts are "
                           "asked, not told), or false: never"},
    {"{ stale = true }", "memory.stale: must be a duration such as \"90d\" (older facts are "
                         "asked, not told), or false: never"},
    {"{ reflect_after = 0 }", "memory.reflect_after: must be a whole number from 1 to 1000, or "
                              "false: never"},
    {"{ journal = { bytes = 1 } }", "memory.journal.bytes: must be a whole number from 256 to "
                                    "65536"},
    {"{ journal = { send = 'long' } }", "memory.journal.send: must be true (all of it), \"short\" "
                                        "(its newest entry) or false (what is recalled of it)"},
    {"{ core = { person = 'x' } }", "memory.core.person: unknown key (did you mean persona?)"},
    {"{ core = { persona = ('x'):rep(5000) } }", NULL},
    {"{ core = false }", "memory.core: must be a table such as { persona = \"…\", human_bytes = "
                         "2048 }, not a boolean"},
};

static void test_memory_rules__refused(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        char text[512], want[512];
        struct policy *p = NULL;
        struct err err = ERR_INIT;

        snprintf(text, sizeof(text), "return {\n  memory = %s,\n}", refused[i].memory);
        write_file("policies/kiosk.lua", text);
        if (load(f, "kiosk", &p, &err) != E_POLICY)
            fail_msg("%s was not refused", text);
        snprintf(want, sizeof(want), "policies/kiosk.lua:2: %s",
                 refused[i].message ? refused[i].message : "memory");
        if (refused[i].message ? strcmp(err.message, want) != 0
                               : strncmp(err.message, want, strlen(want)) != 0)
            fail_msg("%s\nsays '%s'\n not '%s'", text, err.message, want);
    }
}

// What it holds by then is given back wherever memory ends.
static void test_memory_rules__no_memory(void **state)
{
    struct fixture *f = *state;
    struct err err = ERR_INIT;

    write_file("policies/kiosk.lua",
               "return { memory = { model = 'a:b', prompts = { extract = 'E', journal = 'J', "
               "reflect = 'R' }, predicates = { a = { aliases = { 'b', 'c' } } }, "
               "core = { persona = 'P' } } }");
    for (uint64_t n = 1; n < 10000; n++) {
        struct policy *p = NULL;

        mem_fail_at(n, 0);
        int code = load(f, "kiosk", &p, &err);
        mem_fail_at(0, 0);
        if (code == E_OK) {
            policy_unref(p);
            assert_true(n > 3);
            return;
        }
    }
    fail_msg("it never has enough");
}

static void test_memory_rules__state(void **state)
{
    struct fixture *f = *state;
    struct policy *p = load_text(f, "return { memory = { state = function(view, reply)\n"
                                    "if reply == 'no' then return 3 end\n"
                                    "return { topic = view.text, say = reply } end } }");
    struct err err = ERR_INIT;
    struct plan plan;
    struct talk t;

    talk_init(&t, "ann", SAFE_LIT("tea"));
    plan_init(&plan);
    assert_int_equal(p->ops->state(p, &t.view, SAFE_LIT("ok"), &plan, &err), E_OK);
    assert_int_equal(plan.verb, PLAN_GO);
    struct json_doc doc = JSON_DOC_INIT;
    assert_int_equal(json_parse(&doc, safe_slice(safe_buf_text(&plan.state)), 0, &err), E_OK);
    assert_true(json_is_string(json_get(json_root(&doc), "topic"), "tea"));
    assert_true(json_is_string(json_get(json_root(&doc), "say"), "ok"));
    json_doc_release(&doc);
    plan_release(&plan);
    assert_int_equal(p->ops->state(p, &t.view, SAFE_LIT("no"), &plan, &err), E_POLICY);
    assert_string_equal(err.message, "policies/kiosk.lua:1: must return nil or what the state "
                                     "becomes, such as { topic = \"…\" }, not a number (in "
                                     "memory.state)");
    policy_unref(p);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_memory_rules__##name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(off), TEST(defaults), TEST(all_keys), TEST(version), TEST(refused), TEST(no_memory),
        TEST(state),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
