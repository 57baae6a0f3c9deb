// SPDX-License-Identifier: MIT
// test_memory_learn.c: what the rules of parley.memory learn, in the sandbox: of sentences whose
// facts are known, with precision and recall; what it costs; what a policy adds of its own.
#include "memory/gate.h"
#include "policy_kit.h"

enum { SENTENCES_MAX = 2000, LINE_BYTES = 512, FACTS_MAX = 8, LONG_BYTES = 2048 };

static const char sentences_file[] = "tests/fixtures/memory/sentences.txt";

// What was said in the turn before, if anything.
struct before {
    char user[LINE_BYTES], assistant[LINE_BYTES];
};

static void learn_behind(struct policy *p, const struct before *before, const char *text,
                         struct fact_candidates *out)
{
    struct err err = ERR_INIT;
    struct talk t;

    talk_init(&t, "ann", SAFE_LIT("now"));
    say(&t, 0, 0, before && before->user[0] ? before->user : "Hello.", 6);
    say(&t, 0, 1, before && before->assistant[0] ? before->assistant : "Hello!", 6);
    say(&t, 2, 0, text, 6);
    fact_candidates_clear(out);
    if (p->ops->extract(p, &t.view, 3, out, &err) != E_OK)
        fail_msg("%s\n%s", text, err.message);
}

static void learn(struct policy *p, const char *text, struct fact_candidates *out)
{
    learn_behind(p, NULL, text, out);
}

static void write_candidate(const struct fact_candidate *c, char out[LINE_BYTES])
{
    snprintf(out, LINE_BYTES, "%.*s%s%s%.*s = %.*s", SLICE_FMT(c->subject),
             c->subject.len ? ": " : "", c->negates ? "not " : "", SLICE_FMT(c->predicate),
             SLICE_FMT(c->value));
}

struct score {
    unsigned sentences, wanted, found, right, supported;
};

// Whether the gate finds that the sentence bears out what is rightly found in it.
static bool is_supported(const char *sentence, const struct before *before,
                         const struct fact_candidate *c)
{
    const struct gate_source source = {.text = slice_str(sentence),
                                       .asked = slice_str(before->assistant)};
    const struct gate_claim claim = {
        .subject = c->subject.len ? safe_slice(c->subject) : SLICE_LIT("user"),
        .predicate = safe_slice(c->predicate),
        .value = safe_slice(c->value),
        .quote = safe_slice(c->quote),
        .negates = c->negates,
        .wish = c->kind == FACT_PREFERENCE || c->kind == FACT_DECISION ||
                c->kind == FACT_FOLLOW_UP,
        .style = c->kind == FACT_STYLE,
    };
    struct gate_verdict v;
    struct gate *gate;

    assert_int_equal(gate_open(&gate, &source, NULL), E_OK);
    assert_int_equal(gate_judge(gate, &claim, &v, NULL), E_OK);
    gate_close(gate);
    return v.result == GATE_SUPPORTED;
}

// Whether all words of the value stand in the quote, in their order: "dog Rex" in "My dog's name is
// Rex".
static bool has_words(struct safe_text quote, struct safe_text value)
{
    const char *at = quote.ptr, *end = quote.ptr + quote.len;
    for (size_t i = 0; i < value.len;) {
        size_t len = 0;
        while (i + len < value.len && value.ptr[i + len] != ' ')
            len++;
        at = memmem(at, (size_t)(end - at), value.ptr + i, len);
        if (!at)
            return false;
        at += len;
        i += len + 1;
    }
    return true;
}

// One sentence with what is wanted of it.
static void judge(struct policy *p, const struct before *before, const char *sentence,
                  char wanted[][LINE_BYTES], unsigned n, struct score *score)
{
    struct fact_candidates out;

    fact_candidates_init(&out);
    learn_behind(p, before, sentence, &out);
    score->sentences++;
    score->wanted += n;
    for (size_t i = 0; i < fact_candidates_len(&out); i++) {
        const struct fact_candidate *c = fact_candidates_at(&out, i);
        char line[LINE_BYTES];
        bool right = false;

        write_candidate(c, line);
        for (unsigned k = 0; k < n && !right; k++)
            right = strcmp(line, wanted[k]) == 0;
        score->found++;
        score->right += right;
        score->supported += right && is_supported(sentence, before, c);
        // A quote is where it stands, and has the value in it.
        if (c->end == 0 || c->end - c->start != c->quote.len ||
            memcmp(sentence + c->start, c->quote.ptr, c->quote.len) != 0)
            fail_msg("%s\n'%.*s' is not at %u", sentence, SLICE_FMT(c->quote), c->start);
        if (!has_words(c->quote, c->value))
            fail_msg("%s\n'%.*s' is not in '%.*s'", sentence, SLICE_FMT(c->value),
                     SLICE_FMT(c->quote));
    }
    fact_candidates_release(&out);
}

static void read_sentences(struct policy *p, FILE *in, struct score *score)
{
    char sentence[LINE_BYTES] = "", line[LINE_BYTES], wanted[FACTS_MAX][LINE_BYTES];
    struct before before = {"", ""}, next = {"", ""};
    unsigned n = 0;

    while (score->sentences < SENTENCES_MAX && fgets(line, sizeof(line), in)) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '#' || !line[0])
            continue;
        if (line[0] == ' ') {
            assert_true(n < FACTS_MAX);
            snprintf(wanted[n++], LINE_BYTES, "%s", line + strspn(line, " "));
            continue;
        }
        if (strncmp(line, "earlier: ", strlen("earlier: ")) == 0) {
            snprintf(next.user, LINE_BYTES, "%s", line + strlen("earlier: "));
            continue;
        }
        if (strncmp(line, "assistant: ", strlen("assistant: ")) == 0) {
            snprintf(next.assistant, LINE_BYTES, "%s", line + strlen("assistant: "));
            continue;
        }
        if (sentence[0])
            judge(p, &before, sentence, wanted, n, score);
        snprintf(sentence, sizeof(sentence), "%s", line);
        before = next;
        next = (struct before){"", ""};
        n = 0;
    }
    judge(p, &before, sentence, wanted, n, score);
}

static void test_memory_learn__sentences(void **state)
{
    struct fixture *f = *state;
    struct policy *p = load_text(f, "return { memory = require('parley.memory').rules {} }");
    char path[2048];
    struct score score = {0};

    snprintf(path, sizeof(path), "%s/%s", f->home, sentences_file);
    FILE *in = fopen(path, "r");
    if (!in)
        fail_msg("%s cannot be read", path);
    read_sentences(p, in, &score);
    fclose(in);
    double precision = (double)score.right / score.found, recall = (double)score.right /
                                                                   score.wanted;
    double supported = (double)score.supported / score.right;
    print_message("# %u sentences with %u facts: %u found, %u of them right; precision %.3f, "
                  "recall %.3f; borne out as the gate sees it: %.3f\n", score.sentences,
                  score.wanted, score.found, score.right, precision, recall, supported);
    assert_true(score.sentences > 900 && score.wanted > 400);
    assert_true(precision >= 0.99 && recall >= 0.95 && supported >= 0.90);
    policy_unref(p);
}

// A message of 2 KiB full of facts takes less than a tenth of what a hook may use, counted.
static void test_memory_learn__costs(void **state)
{
    struct fixture *f = *state;
    static const char part[] =
        "I live in Berlin and work as a nurse at Saint Mary's, my sister Anna lives in Lyon. "
        "I love hiking, jazz and old films, but I don't like olives because they are bitter. "
        "My favourite colour is blue, by the way, and I am planning to visit Japan in May. ";
    struct policy *p = load_text(f, "return { limits = { fuel = 1000000 }, "
                                    "memory = require('parley.memory').rules {} }");
    struct fact_candidates out;
    char text[LONG_BYTES + sizeof(part)] = "";

    while (strlen(text) < LONG_BYTES)
        strcat(text, part);
    fact_candidates_init(&out);
    learn(p, text, &out);
    assert_int_equal(fact_candidates_len(&out), 11);  // each once
    memset(text, 'i', LONG_BYTES);  // what has no facts, nor words
    learn(p, text, &out);
    for (size_t i = 0; i < LONG_BYTES; i++)
        text[i] = "i am "[i % 5];
    learn(p, text, &out);
    for (size_t i = 0; i < LONG_BYTES; i++)
        text[i] = "not i not like my not "[i % 22];
    learn(p, text, &out);
    fact_candidates_release(&out);
    policy_unref(p);
}

static void test_memory_learn__own_patterns(void **state)
{
    struct fixture *f = *state;
    struct policy *p = load_text(f,
        "local memory = require 'parley.memory'\n"
        "return { memory = memory.rules { without = { 'age', 'likes' }, predicates = { crew = {\n"
        "  kind = 'circumstance', one = true } }, patterns = { { 'i (sail|row) with {thing}',\n"
        "  predicate = 'crew', example = { 'I sail with the Dolphins.', 'the Dolphins' } } } } }");
    struct fact_candidates out;

    fact_candidates_init(&out);
    learn(p, "I row with Team Nine, I am 30 and I like tea.", &out);
    assert_int_equal(fact_candidates_len(&out), 1);
    assert_text(fact_candidates_at(&out, 0)->predicate, "crew");
    assert_text(fact_candidates_at(&out, 0)->value, "Team Nine");
    assert_true(fact_candidates_at(&out, 0)->one);
    assert_non_null(memory_rules_predicate(&p->info.memory, SLICE_LIT("crew")));
    assert_null(memory_rules_predicate(&p->info.memory, SLICE_LIT("age")));
    fact_candidates_release(&out);
    policy_unref(p);
}

// Rules of another language: those alone, with its words that end a value, or make it doubtful.
static void test_memory_learn__own_language(void **state)
{
    struct fixture *f = *state;
    static const struct { const char *text, *name, *place; } cases[] = {
        {"Ich heiße Jan und wohne in Ulm.", "Jan", NULL},
        {"Ich bin Jan, und ich wohne in Bad Tölz und arbeite dort.", "Jan", "Bad Tölz"},
        {"Ich lebe in Ulm seit März.", NULL, "Ulm"},
        {"Ich wohne nicht in Ulm.", NULL, NULL},
        {"Wenn ich groß bin, ich wohne in Ulm.", NULL, NULL},
        {"My name is Jan. I live in Ulm.", NULL, NULL},
    };
    struct policy *p = load_text(f,
        "local memory = require 'parley.memory'\n"
        "return { memory = memory.rules { language = 'German',\n"
        "  words = { stops = 'und aber seit', openers = 'und', doubts = 'wenn nicht' },\n"
        "  patterns = { { 'ich (wohne|lebe) in {place}', predicate = 'lives_in',\n"
        "    example = { 'Ich wohne in Ulm.', 'Ulm' } },\n"
        "    { 'ich (heiße|bin) {name}', predicate = 'name' } } } }");
    struct fact_candidates out;

    assert_string_equal(p->info.memory.language, "German");
    fact_candidates_init(&out);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *wanted[] = {cases[i].name, cases[i].place};
        size_t n = 0;

        learn(p, cases[i].text, &out);
        for (int k = 0; k < 2; k++) {
            if (!wanted[k])
                continue;
            if (n == fact_candidates_len(&out))
                fail_msg("%s\nhas no %s", cases[i].text, wanted[k]);
            assert_text(fact_candidates_at(&out, n++)->value, wanted[k]);
        }
        if (n != fact_candidates_len(&out))
            fail_msg("%s", cases[i].text);
    }
    fact_candidates_release(&out);
    policy_unref(p);
    p = load_text(f, "return { memory = require('parley.memory').rules {} }");
    assert_string_equal(p->info.memory.language, "English");
    policy_unref(p);
}

static const struct { const char *options, *message; } refused[] = {
    {"{ language = 'German' }", "memory.language: the rules know English alone: bring patterns of "
                                "your own, as in patterns = { { \"ich wohne in {place}\""},
    {"{ language = '' , patterns = { { 'ich bin {name}', predicate = 'name' } } }",
     "memory.language: must be a language's name, such as \"English\", of 31 bytes at most"},
    {"{ words = { stop = 'und' } }", "memory.words.stop: is none of stops, openers, doubts"},
    {"{ words = { stops = { 'und' } } }", "memory.words.stops: must be words, as in \"und aber\""},
    {"{ words = 3 }", "memory.words: must be a table such as { stops = \"und aber\" }"},
    {"{ patterns = { { 'i am {thing' , predicate = 'likes' } } }",
     "memory.patterns[1]: 'i am {thing' has no value such as {thing}"},
    {"{ patterns = { { 'i am {thingy}', predicate = 'likes' } } }",
     "memory.patterns[1]: there is no such type of value: {thingy}"},
    {"{ patterns = { { 'i (am {thing}', predicate = 'likes' } } }",
     "memory.patterns[1]: '(' is not closed"},
    {"{ patterns = { { 'i am {thing}', predicate = 'lieks' } } }",
     "memory.patterns[1].predicate: is none of memory.predicates"},
    {"{ patterns = { 3 } }", "memory.patterns[1]: must be a table such as { \"i use {thing}\", "
                             "predicate = \"uses\" }"},
    {"{ patterns = { { 'i adore {thing}', predicate = 'likes', example = { 'I adore tea', 'jam' } "
     "} } }", "memory.patterns[1].example: gives 'tea'"},
    {"{ patterns = { { 'i adore {thing}', predicate = 'likes', example = { 'Adorable', 'x' } } } }",
     "memory.patterns[1].example: gives nothing"},
    {"{ without = { 'ages' } }", "memory.without: there is no predicate 'ages'"},
    {"{ without = 'age' }", "memory.without: must be a list such as { \"age\", \"diet\" }"},
    {"{ without = { 3 } }", "memory.without: there is no predicate '3'"},
    {"{ pattern = { } }", "memory.pattern: unknown key (did you mean patterns?)"},
    {"{ predicate = { } }", "memory.predicate: unknown key (did you mean "},
    {"{ reacll = 3 }", "memory.reacll: unknown key (did you mean recall?)"},
};

static void test_memory_learn__refused(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        char text[512];
        struct policy *p = NULL;
        struct err err = ERR_INIT;

        snprintf(text, sizeof(text), "return { memory = require('parley.memory').rules %s }",
                 refused[i].options);
        write_file("policies/kiosk.lua", text);
        if (load(f, "kiosk", &p, &err) != E_POLICY)
            fail_msg("%s was not refused", text);
        if (!strstr(err.message, refused[i].message) ||
            strncmp(err.message, "policies/kiosk.lua:1: ", strlen("policies/kiosk.lua:1: ")) != 0)
            fail_msg("%s\nsays '%s'\n not '%s'", text, err.message, refused[i].message);
    }
}

// "since 2019" is when it is so from, by the clock of who says it.
static void test_memory_learn__since(void **state)
{
    struct fixture *f = *state;
    static const struct { const char *text; int64_t from_s; } cases[] = {
        {"I live in Rome.", 0},
        {"I have lived in Rome since 2019.", 1546300800},         // 2019-01-01
        {"I've been vegan since last month.", 1759276800},        // 2025-10-01
        {"Since last week I live in Rome.", 1763337600},          // 2025-11-17
        {"I've lived in Rome since March.", 1740787200},          // 2025-03-01
        {"I live in Rome since December 2020.", 1606780800},      // 2020-12-01
        {"I live in Rome since the 3rd of March.", 1740960000},   // 2025-03-03
        {"I live in Rome since 29 February 2020.", 1582934400},   // 2020-02-29
        {"I've lived in Rome since Monday.", 1763337600},         // said on a Monday
        {"I'm working at Bosch since yesterday.", 1763856000},    // 2025-11-23
        {"I moved to Rome last year.", 1704067200},               // 2024-01-01
        {"In 2012 I moved to Rome.", 1325376000},                 // 2012-01-01
        {"I moved to Rome two years ago.", 1672531200},           // 2023-01-01
        {"I live in Rome since I was born.", 0},
        {"I live in Rome since 2030.", 0},
        {"I like Rome in 2012.", 0},
        {"I live in Rome and work at Bosch since 2019.", 0},
    };
    struct policy *p = load_text(f, "return { memory = require('parley.memory').rules {} }");
    struct fact_candidates out;
    struct err err = ERR_INIT;

    fact_candidates_init(&out);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct talk t;

        talk_init(&t, "ann", SAFE_LIT("now"));
        say(&t, 2, 0, cases[i].text, 6);
        t.turns[2].at_ms = t.steps[2][0].at_ms = INT64_C(1764000000000);  // 2025-11-24, a Monday
        fact_candidates_clear(&out);
        assert_int_equal(p->ops->extract(p, &t.view, 3, &out, &err), E_OK);
        assert_true(fact_candidates_len(&out) > 0);
        if (fact_candidates_at(&out, 0)->valid_from_ms != cases[i].from_s * 1000)
            fail_msg("%s\n%lld", cases[i].text,
                     (long long)fact_candidates_at(&out, 0)->valid_from_ms / 1000);
    }
    fact_candidates_release(&out);
    policy_unref(p);
}

// A correction takes the place of what was said in the turn before, if that has one value only.
static void test_memory_learn__corrections(void **state)
{
    struct fixture *f = *state;
    struct policy *p = load_text(f, "return { memory = require('parley.memory').rules {} }");
    struct err err = ERR_INIT;
    struct fact_candidates out;
    struct talk t;

    talk_init(&t, "ann", SAFE_LIT("now"));
    fact_candidates_init(&out);
    say(&t, 0, 0, "I like tea. I live in Rome.", 6);
    say(&t, 2, 0, "Sorry, I meant Milan.", 6);
    assert_int_equal(p->ops->extract(p, &t.view, 3, &out, &err), E_OK);
    assert_int_equal(fact_candidates_len(&out), 1);
    assert_text(fact_candidates_at(&out, 0)->predicate, "lives_in");
    assert_text(fact_candidates_at(&out, 0)->value, "Milan");
    fact_candidates_clear(&out);
    say(&t, 0, 0, "I live in Rome. I like tea.", 6);
    assert_int_equal(p->ops->extract(p, &t.view, 3, &out, &err), E_OK);
    assert_int_equal(fact_candidates_len(&out), 0);
    fact_candidates_release(&out);
    policy_unref(p);
}

static void test_memory_learn__models(void **state)
{
    struct fixture *f = *state;
    struct policy *p = load_text(f,
        "return { memory = require('parley.memory').both { model = 'scripted:small',\n"
        "  prompts = { journal = 'Mine.' } } }");
    const struct memory_rules *m = &p->info.memory;

    assert_true(m->has_extract && m->has_state && m->has_reflect && m->use_model);
    assert_string_equal(m->model, "scripted:small");
    assert_non_null(memmem(m->extract_prompt.inner.ptr, m->extract_prompt.inner.len,
                           "lives_in (one at a time)", 24));
    assert_text(safe_buf_text(&m->journal_prompt), "Mine.");
    assert_true(memory_rules_predicate(m, SLICE_LIT("home_city"))->one);
    policy_unref(p);
    p = load_text(f, "return { memory = require('parley.memory').model {} }");
    assert_false(p->info.memory.has_extract);
    assert_true(p->info.memory.use_model && !p->info.memory.model);
    policy_unref(p);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_memory_learn__##name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sentences), TEST(costs), TEST(own_patterns), TEST(own_language), TEST(refused),
        TEST(corrections), TEST(since), TEST(models),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
