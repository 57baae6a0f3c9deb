// SPDX-License-Identifier: MIT
// test_memory_state.c: what the rules of parley.memory make of a turn for the session's state, and
// of the facts of several sessions.
#include "policy_kit.h"

#define S1 "3f0c1a52-0000-4000-8000-00000000000a"
#define S2 "3f0c1a52-0000-4000-8000-00000000000b"

static const char rules[] = "return { memory = require('parley.memory').rules {} }";

#define GRAZ_OPEN "[\"When does the museum in Graz open?\"]"
#define GRAZ_BEFORE "{\"open_questions\":" GRAZ_OPEN "}"

// A turn, and what the state has then: members as JSON without blanks; NULL: not there.
static const struct {
    const char *before;   // the state; "": none
    const char *user, *reply;
    const char *topic, *intent, *entities, *open, *tone, *engagement;
} turns[] = {
    {"", "Hello!", "Hi, how can I help?", NULL, "\"greeting\"", "false", "false", "\"neutral\"",
     "\"low\""},
    {"", "I have a question about my tax return.", "Ask away.", "\"tax return\"", "\"statement\"",
     "false", "false", "\"neutral\"", "\"medium\""},
    {"", "How do I repot an orchid?", "Take it out gently.", "\"repot an orchid\"",
     "\"question\"", "false", "false", "\"neutral\"", "\"medium\""},
    {"{\"entities\":[\"Lyon\"]}", "Please find me a train from Paris to Berlin on Friday.", "Done.",
     NULL, "\"request\"", "[\"Paris\",\"Berlin\",\"Friday\",\"Lyon\"]", "false", "\"neutral\"",
     "\"medium\""},
    {"", "When does the museum in Graz open?", "I am not sure, let me check.", NULL,
     "\"question\"", "[\"Graz\"]", GRAZ_OPEN, "\"neutral\"",
     "\"medium\""},
    {GRAZ_BEFORE, "And what does it cost?",
     "The museum in Graz is open from 9, and it costs 8 euros.", NULL, "\"question\"", "false",
     "false", "\"neutral\"", "\"medium\""},
    {GRAZ_BEFORE, "I also like cake.", "Me too.",
     NULL, "\"statement\"", "false", GRAZ_OPEN, "\"neutral\"",
     "\"low\""},
    {GRAZ_BEFORE, "Never mind, thanks!", "Fine.",
     NULL, "\"statement\"", "false", "false", "\"warm\"", "\"low\""},
    {"", "This is ridiculous, my order is still broken and nobody helps me", "Sorry.", NULL,
     "\"complaint\"", "false", "false", "\"annoyed\"", "\"medium\""},
    {"", "I feel so lonely and tired these days.", "That is hard.", NULL, "\"statement\"", "false",
     "false", "\"low\"", "\"medium\""},
    {"", "Das Wetter in Wien ist heute gut.", "Ja.", NULL, "\"statement\"",
     "[\"Das Wetter\",\"Wien\"]", "false", "\"neutral\"", "\"medium\""},
    {"", "Write to [EMAIL_1] about the rent", "Done.", "\"rent\"", "\"request\"",
     "[\"[EMAIL_1]\"]", "false", "\"neutral\"", "\"medium\""},
};

static void assert_member(const struct json root, unsigned i, const char *name, const char *want)
{
    struct json v = json_get(root, name);
    struct slice raw = json_type(v) == JSON_NONE ? SLICE_NONE : json_raw(v);

    if (!want && raw.ptr)
        fail_msg("%s: %s is there: %.*s", turns[i].user, name, SLICE_FMT(raw));
    if (want && !slice_is(raw, want))
        fail_msg("%s: %s is %.*s, not %s", turns[i].user, name, SLICE_FMT(raw), want);
}

static void test_memory_state__turns(void **state)
{
    struct fixture *f = *state;
    struct policy *p = load_text(f, rules);

    for (unsigned i = 0; i < sizeof(turns) / sizeof(turns[0]); i++) {
        struct json_doc doc = JSON_DOC_INIT;
        struct err err = ERR_INIT;
        struct plan plan;
        struct talk t;

        talk_init(&t, "ann", (struct safe_text){turns[i].user, strlen(turns[i].user)});
        if (turns[i].before[0]) {
            struct safe_text before = {turns[i].before, strlen(turns[i].before)};
            assert_int_equal(session_merge_state(&t.chat.head, before, &err), E_OK);
        }
        plan_init(&plan);
        struct safe_text reply = {turns[i].reply, strlen(turns[i].reply)};
        if (p->ops->state(p, &t.view, reply, &plan, &err) != E_OK)
            fail_msg("%s: %s", turns[i].user, err.message);
        assert_int_equal(json_parse(&doc, safe_slice(safe_buf_text(&plan.state)), 0, &err), E_OK);
        struct json root = json_root(&doc);
        assert_member(root, i, "topic", turns[i].topic);
        assert_member(root, i, "intent", turns[i].intent);
        assert_member(root, i, "entities", turns[i].entities);
        assert_member(root, i, "open_questions", turns[i].open);
        assert_member(root, i, "tone", turns[i].tone);
        assert_member(root, i, "engagement", turns[i].engagement);
        json_doc_release(&doc);
        plan_release(&plan);
        session_head_release(&t.chat.head);
    }
    policy_unref(p);
}

// However odd, a turn costs little and fails nothing.
static void test_memory_state__odd_texts(void **state)
{
    struct fixture *f = *state;
    struct policy *p = load_text(f, "return { limits = { fuel = 2000000 }, memory = "
                                    "require('parley.memory').rules {} }");
    static const char *const parts[] = {"?", "A", "Why ", "a? ", "[", "\xc3\x9c ", "\xe2\x80\x99",
                                        "I'm ", "\n", "Anna Bob "};
    enum { BYTES = 8000 };
    char *text = calloc(1, BYTES + 16);

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        struct err err = ERR_INIT;
        struct plan plan;
        struct talk t;

        text[0] = '\0';
        for (size_t len = 0; len < BYTES; len += strlen(parts[i]))
            strcpy(text + len, parts[i]);
        talk_init(&t, "ann", (struct safe_text){text, strlen(text)});
        plan_init(&plan);
        if (p->ops->state(p, &t.view, SAFE_LIT(""), &plan, &err) != E_OK)
            fail_msg("%s: %s", parts[i], err.message);
        plan_release(&plan);
    }
    free(text);
    policy_unref(p);
}

static bool concludes(struct policy *p, struct fact_book *book, const char *predicate,
                      const char *value, uint32_t facts)
{
    struct fact_candidates out;
    struct policy_citations cited;
    struct err err = ERR_INIT;
    struct talk t;
    bool found = false;

    talk_init(&t, "ann", SAFE_LIT("now"));
    t.view.facts = book;
    fact_candidates_init(&out);
    if (p->ops->reflect(p, &t.view, &out, &cited, &err) != E_OK)
        fail_msg("%s", err.message);
    for (size_t i = 0; i < fact_candidates_len(&out); i++) {
        const struct fact_candidate *c = fact_candidates_at(&out, i);

        found = found || (slice_is(safe_slice(c->predicate), predicate) &&
                          slice_is(safe_slice(c->value), value) && cited.of[i].len == facts);
    }
    fact_candidates_release(&out);
    return found;
}

static void test_memory_state__reflection(void **state)
{
    struct fixture *f = *state;
    struct policy *p = load_text(f, rules);
    struct fact_book *book = kit_book();

    assert_false(concludes(p, book, "interest", "jazz", 2));
    kit_tell(book, "likes", "jazz concerts", S1, 1000, true);
    kit_tell(book, "likes", "tea", S1, 1000, true);
    assert_false(concludes(p, book, "interest", "jazz", 2));
    kit_tell(book, "learning", "jazz piano", S2, 2000, true);
    assert_true(concludes(p, book, "interest", "jazz", 2));
    assert_false(concludes(p, book, "keeps_saying", "likes tea", 1));
    kit_tell(book, "likes", "tea", S2, 2000, true);
    assert_true(concludes(p, book, "keeps_saying", "likes tea", 1));
    kit_tell(book, "plans", "running a marathon", S1, 1000, true);
    kit_tell(book, "wants", "a marathon in spring", S2, 1000, true);
    assert_true(concludes(p, book, "works_towards", "marathon", 2));
    fact_book_free(book);
    policy_unref(p);
}

// A full book is looked at within a tenth of what a hook may use.
static void test_memory_state__reflection_is_bounded(void **state)
{
    struct fixture *f = *state;
    struct policy *p = load_text(f, "return { limits = { fuel = 2000000 }, memory = "
                                    "require('parley.memory').rules {} }");
    struct fact_book *book = kit_book();

    for (unsigned i = 0; i < 600; i++) {
        char predicate[32], value[64];

        snprintf(predicate, sizeof(predicate), i % 3 ? "likes_%u" : "likes", i / 60);
        snprintf(value, sizeof(value), "value %c%c number %u of all", 'a' + i % 26,
                 'a' + i / 26 % 26, i);
        kit_tell(book, predicate, value, i % 2 ? S1 : S2, 1000 + i, true);
    }
    assert_false(concludes(p, book, "interest", "nothing", 1));
    fact_book_free(book);
    policy_unref(p);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_memory_state__##name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(turns), TEST(odd_texts), TEST(reflection), TEST(reflection_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
