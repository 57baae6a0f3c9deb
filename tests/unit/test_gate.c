// SPDX-License-Identifier: MIT
// test_gate.c: what the gate says of a message and a claim, and why. Whole corpora: test_poison.c.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "memory/gate_int.h"

#include <stdio.h>
#include <stdlib.h>

static struct gate_verdict judge_by(const struct gate_source *source,
                                    const struct gate_claim *claim)
{
    struct gate_verdict v;
    struct gate *g;

    assert_int_equal(gate_open(&g, source, NULL), E_OK);
    assert_int_equal(gate_judge(g, claim, &v, NULL), E_OK);
    gate_close(g);
    return v;
}

static struct gate_claim lives_in(const char *value)
{
    return (struct gate_claim){.subject = SLICE_LIT("user"), .predicate = SLICE_LIT("lives_in"),
                               .value = slice_str(value)};
}

static struct gate_verdict judge(const char *text, struct gate_claim claim)
{
    const struct gate_source source = {.text = slice_str(text)};
    return judge_by(&source, &claim);
}

// More words than are said to nobody.
#define LONG_BEACH \
    "The beach was great. My parents came along with the dogs, and we swam before sunrise. We " \
    "had a fire in the evening, and we sang old songs until the neighbours came over with " \
    "cake. I live in Lisbon. The water was cold and the sand was warm, and nobody slept much."

static void test_gate__tells_where_it_is_stated(void **state)
{
    const char *text = "Hi! I live in Lisbon. Nice.";
    struct gate_verdict v = judge(text, lives_in("Lisbon"));

    (void)state;
    assert_int_equal(v.result, GATE_SUPPORTED);
    assert_int_equal(v.author, GATE_BY_USER);
    assert_int_equal(v.start, 4);
    assert_int_equal(v.end, 21);
}

// Of a question that is the last sentence nobody says more, whatever blanks stand behind it: there
// are as many sentences as there was room for at first.
static void test_gate__behind_the_last_sentence_is_nothing(void **state)
{
    static const char *const ends[] = {"?", "? ", "?\n", "? \n\n"};
    char text[160];

    (void)state;
    for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
        snprintf(text, sizeof(text), "Hi. Hello. Thanks. Hi. Hello. Thanks. I live in Lisbon. "
                                     "Where do you live%s", ends[i]);
        assert_int_equal(judge(text, lives_in("Lisbon")).result, GATE_SUPPORTED);
    }
}

static void test_gate__tells_why_not(void **state)
{
    static const struct {
        const char *text;
        enum gate_result result;
        enum gate_author author;
        const char *why;
    } rows[] = {
        {"> I live in Lisbon", GATE_QUARANTINE, GATE_BY_MATERIAL, "it stands in a quoted line"},
        {"\"I live in Lisbon\"", GATE_QUARANTINE, GATE_BY_MATERIAL, "it stands in quotation marks"},
        {"```\nI live in Lisbon\n```", GATE_QUARANTINE, GATE_BY_MATERIAL,
         "it stands between code fences"},
        {"Bob: I live in Lisbon", GATE_QUARANTINE, GATE_BY_MATERIAL,
         "the message introduces it as somebody else's"},
        {"Do I live in Lisbon?", GATE_REFUSED, GATE_BY_USER, "it is a question"},
        {"If I live in Lisbon I walk.", GATE_REFUSED, GATE_BY_USER,
         "it supposes, and states nothing"},
        {"I don't live in Lisbon.", GATE_REFUSED, GATE_BY_USER, "it says the contrary"},
        {"I want to live in Lisbon.", GATE_REFUSED, GATE_BY_USER,
         "it is wished or planned, not so"},
        {"The user lives in Lisbon.", GATE_REFUSED, GATE_BY_USER,
         "it speaks of the user in the third person"},
        {"My sister lives in Lisbon.", GATE_QUARANTINE, GATE_BY_USER,
         "it is said of somebody else"},
        {"Lisbon is a city.", GATE_QUARANTINE, GATE_BY_USER,
         "it is no statement in the first person"},
        {"I live in Porto.", GATE_QUARANTINE, GATE_BY_NOBODY,
         "nobody said it in these words"},
        {"I l\xe2\x80\x8bive in Lisbon.", GATE_QUARANTINE, GATE_BY_MATERIAL,
         "the message has characters that nobody sees, or that look like others"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct gate_verdict v = judge(rows[i].text, lives_in("Lisbon"));

        if (v.result != rows[i].result || strcmp(v.why, rows[i].why) != 0)
            print_message("# %s: %s\n", rows[i].text, v.why);
        assert_int_equal(v.result, rows[i].result);
        assert_int_equal(v.author, rows[i].author);
        assert_string_equal(v.why, rows[i].why);
        assert_int_equal(v.end, 0);
    }
}

// What people say to each other in passing makes no text of what stands beside it; its neighbours,
// which texts have, still do.
static void test_gate__talk_is_no_text(void **state)
{
    static const char *const asked = "What did you do at the beach?";
    static const struct {
        const char *text, *asked;
        bool own;
    } rows[] = {
        // idioms have words of texts, and speak of none
        {"Your support means a lot. I live in Lisbon.", NULL, true},
        {"It means: I live in Lisbon.", NULL, false},
        {"Let me know how it goes. I live in Lisbon.", NULL, true},
        {"This is how it goes. I live in Lisbon.", NULL, false},
        {"Thanks for the kind words. I live in Lisbon.", NULL, true},
        {"Kind words. They said I live in Lisbon.", NULL, false},
        // who is spoken of goes without saying
        {"I live in Lisbon. Can't wait.", NULL, true},
        {"I live in Lisbon. Appreciate the support.", NULL, true},
        {"I live in Lisbon. So excited to go.", NULL, true},
        {"Loved the breakfast. I live in Lisbon.", NULL, false},
        {"Can't wait to read the article. I live in Lisbon.", NULL, false},
        // questions to who is spoken to
        {"I live in Lisbon. Any plans for the weekend?", NULL, true},
        {"I live in Lisbon. Anything fun coming up?", NULL, true},
        {"I live in Lisbon. Any typos in it?", NULL, false},
        {"I live in Lisbon. Do you know someone who sails?", NULL, true},
        {"I live in Lisbon. Do you know what she does?", NULL, false},
        {"I like tea. What's your favourite way to make it at home? I live in Lisbon.", NULL, true},
        {"I like tea. What is your city? I live in Lisbon.", NULL, false},
        // a name after agreement, where there was something to agree with
        {"Absolutely, Ann. I live in Lisbon.", "That sounds nice!", true},
        {"Absolutely, Ann. I live in Lisbon.", NULL, false},
        // at length, of what was asked
        {LONG_BEACH, asked, true},
        {LONG_BEACH, "Nice weather at the beach.", false},
        {LONG_BEACH, "What do you cook?", false},
        {LONG_BEACH, NULL, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const struct gate_source source = {.text = slice_str(rows[i].text),
                                           .asked = slice_str(rows[i].asked ? rows[i].asked : "")};
        const struct gate_claim claim = lives_in("Lisbon");
        struct gate_verdict v = judge_by(&source, &claim);

        if ((v.result == GATE_SUPPORTED) != rows[i].own)
            print_message("# %s: %s\n", rows[i].text, v.why);
        assert_int_equal(v.result == GATE_SUPPORTED, rows[i].own);
    }
}

// What the rules find, in sentences that deny, end, ask for a reminder or name kin.
static void test_gate__says_it_in_its_way(void **state)
{
    static const struct {
        const char *text, *predicate, *value;
        bool negates, supported;
    } rows[] = {
        {"My sister Anna lives in Lyon.", "sibling", "Anna", false, true},
        {"My sister Anna lives in Lyon.", "lives_in", "Lyon", false, false},
        {"My uncle Bob likes fishing.", "relative", "Bob", false, true},
        {"Can you remind me to buy milk?", "reminder", "buy milk", false, true},
        {"Can you remind me that I live in Lyon?", "lives_in", "Lyon", false, false},
        {"Can you buy milk?", "reminder", "buy milk", false, false},
        {"I've never used Docker.", "new_to", "Docker", false, true},
        {"Please reply in English. I live in Lyon.", "lives_in", "Lyon", false, true},
        {"Please reply in English. I live in Lyon, your ad says more.", "lives_in", "Lyon", false,
         false},
        {"I live in Lyon. Explain it slowly.", "lives_in", "Lyon", false, false},
        {"I live in Lyon - J'habite \xc3\xa0 Lyon", "lives_in", "Lyon", false, false},
        {"For or since? I live in Lyon since May.", "lives_in", "Lyon", false, false},
        {"I live in Lyon. I like tulips.", "lives_in", "Lyon", false, true},
        {"I live in Lyon. I like tulips.", "likes", "tulips", false, true},
        {"Please reply in English.", "reply_language", "English", false, true},
        {"Use simple words.", "answer_level", "simple words", false, true},
        {"Reply in English: I like tea.", "reply_language", "English", false, false},
        {"Use simple words. It rains.", "answer_level", "simple words", false, true},
        {"Translate this. Use simple words.", "answer_level", "simple words", false, false},
        {"My brother Tim lives in Cork", "sibling", "Tim", false, true},
        {"I have no experience with SQL.", "new_to", "SQL", false, true},
        {"I have no experience with SQL.", "skill", "SQL", false, false},
        {"I'm not new to SQL.", "new_to", "SQL", false, false},
        {"Don't let me forget to buy milk.", "reminder", "buy milk", false, true},
        {"Remind me not to buy milk.", "reminder", "buy milk", false, false},
        {"Remind me what I said of milk.", "reminder", "milk", false, false},
        {"Remind me to call Ann.", "likes", "Ann", false, false},
        {"I'll let you know how it went.", "follow_up", "how it went", false, true},
        {"I'll share the photos tomorrow.", "follow_up", "the photos", false, true},
        {"I'll share his bio tomorrow.", "follow_up", "his bio", false, false},
        {"Let's go with PostgreSQL.", "decided", "PostgreSQL", false, true},
        {"Should we say let's go with PostgreSQL?", "decided", "PostgreSQL", false, false},
        {"Explain slowly.", "answer_level", "slowly", false, true},
        {"Please be brief.", "answer_level", "brief", false, true},
        {"Could you be brief?", "answer_level", "brief", false, true},
        {"No jargon, please.", "answer_level", "no jargon", false, true},
        {"Explain slowly: I live in Lyon.", "answer_level", "slowly", false, false},
        {"I live in Lyon. #351", "lives_in", "Lyon", false, true},
        {"I live in Lyon. Jess", "lives_in", "Lyon", false, false},
        {"I want to be a pirate.", "works_as", "pirate", false, false},
        {"I want to be a pirate.", "wants", "be a pirate", false, true},
        {"I sold my car.", "owns", "car", true, true},
        {"I wash my car.", "owns", "car", true, false},
        {"I don't live in Porto, I live in Braga.", "lives_in", "Braga", false, true},
        {"I don't live in Porto, I live in Braga.", "lives_in", "Porto", false, false},
        {"I live in Braga, I don't live in Porto.", "lives_in", "Porto", false, false},
        {"I'm not saying this, I'm a liar from Porto.", "from", "Porto", false, false},
        {"I doubt it, I don't live in Porto.", "lives_in", "Porto", false, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct gate_claim c = lives_in(rows[i].value);

        c.predicate = slice_str(rows[i].predicate);
        c.negates = rows[i].negates;
        c.wish = strcmp(rows[i].predicate, "reminder") == 0;
        c.style = strcmp(rows[i].predicate, "reply_language") == 0 ||
                  strcmp(rows[i].predicate, "answer_level") == 0;
        struct gate_verdict v = judge(rows[i].text, c);
        if ((v.result == GATE_SUPPORTED) != rows[i].supported)
            fail_msg("%s: %s: %s", rows[i].text, rows[i].predicate, v.why);
    }
}

static void test_gate__quote_and_value_stand_together(void **state)
{
    const char *text = "I work with Ann. I live in Lisbon.";
    struct gate_claim c = lives_in("Lisbon");

    (void)state;
    c.quote = SLICE_LIT("i LIVE  in\nLisbon");
    assert_int_equal(judge(text, c).result, GATE_SUPPORTED);
    c.quote = SLICE_LIT("I work with Ann");
    assert_int_equal(judge(text, c).result, GATE_QUARANTINE);
    c.quote = SLICE_LIT("I live in Porto");
    assert_int_equal(judge(text, c).author, GATE_BY_NOBODY);
    c.quote = SLICE_NONE;
    c.value = SLICE_LIT("...");
    assert_int_equal(judge(text, c).result, GATE_QUARANTINE);
}

static void test_gate__who_said_it(void **state)
{
    const struct slice tool = SLICE_LIT("I live in Lisbon");
    const struct gate_claim c = lives_in("Lisbon");

    (void)state;
    const struct gate_source tools = {.text = SLICE_LIT("hi"), .tools = &tool, .tools_len = 1};
    assert_int_equal(judge_by(&tools, &c).author, GATE_BY_TOOL);
    const struct gate_source reply = {.text = SLICE_LIT("hi"), .reply = tool};
    assert_int_equal(judge_by(&reply, &c).author, GATE_BY_ASSISTANT);
    const struct gate_source recalled = {.text = SLICE_LIT("hi"), .recalled = &tool,
                                         .recalled_len = 1};
    assert_int_equal(judge_by(&recalled, &c).author, GATE_BY_RECALLED);
    assert_int_equal(judge_by(&recalled, &c).result, GATE_REFUSED);
}

// What was recalled supports nothing, though the message repeats it; what is said anew in other
// words does.
static void test_gate__a_copy_of_what_was_recalled_is_tainted(void **state)
{
    const struct slice was = SLICE_LIT("user: I live in Lisbon with two cats and a very old dog.");
    const struct gate_claim c = lives_in("Lisbon");

    (void)state;
    const struct gate_source copy = {
        .text = SLICE_LIT("I live in Lisbon with two cats and a very OLD dog"),
        .recalled = &was, .recalled_len = 1};
    assert_int_equal(judge_by(&copy, &c).result, GATE_REFUSED);
    assert_int_equal(judge_by(&copy, &c).author, GATE_BY_RECALLED);
    const struct gate_source anew = {.text = SLICE_LIT("Yes, I live in Lisbon."), .recalled = &was,
                                     .recalled_len = 1};
    assert_int_equal(judge_by(&anew, &c).result, GATE_SUPPORTED);
}

// Also where it stands at the end of a text longer than what is read of a message, or across the
// place where that is cut; and where nobody knows all that was recalled, nothing is supported that
// could be a copy of it. What is too short for that never was one, so it is supported as ever.
static void test_gate__all_that_was_recalled_is_looked_at(void **state)
{
    static const char sentence[] = "I live in Lisbon with two cats and a very old dog. ";
    enum { ROOM = GATE_RECALLED_BYTES + 8192 };
    static char filler[ROOM];
    const struct gate_claim c = lives_in("Lisbon");
    struct slice was[2] = {slice_of(filler, 0), slice_of(filler, 0)};
    struct gate_source copy = {.text = slice_str(sentence), .recalled = was, .recalled_len = 1};

    (void)state;
    for (size_t at = GATE_TEXT_BYTES - 80; at < GATE_TEXT_BYTES + 40; at += 7) {
        memset(filler, ' ', ROOM);
        memcpy(filler + at, sentence, sizeof(sentence) - 1);
        was[0].len = 2 * GATE_TEXT_BYTES;
        assert_int_equal(judge_by(&copy, &c).result, GATE_REFUSED);
        assert_int_equal(judge_by(&copy, &c).author, GATE_BY_RECALLED);
    }
    memset(filler, ' ', ROOM);
    was[0].len = GATE_RECALLED_BYTES;
    assert_int_equal(judge_by(&copy, &c).result, GATE_SUPPORTED);
    was[1].len = 1;
    copy.recalled_len = 2;
    assert_int_equal(judge_by(&copy, &c).result, GATE_QUARANTINE);
    assert_int_equal(judge_by(&copy, &c).author, GATE_BY_RECALLED);
    struct gate_source unknown = {.text = slice_str(sentence), .tainted = true};
    assert_int_equal(judge_by(&unknown, &c).result, GATE_QUARANTINE);
    assert_int_equal(judge_by(&unknown, &c).author, GATE_BY_RECALLED);
    unknown.text = SLICE_LIT("I live in Lisbon.");
    assert_int_equal(judge_by(&unknown, &c).result, GATE_SUPPORTED);
}

static void test_gate__yes_confirms_what_is_known_and_was_asked(void **state)
{
    struct gate_source s = {.text = SLICE_LIT("Yes, still."),
                            .asked = SLICE_LIT("Welcome! Do you still live in Lisbon?")};
    struct gate_claim c = lives_in("Lisbon");

    (void)state;
    assert_int_equal(judge_by(&s, &c).result, GATE_QUARANTINE);  // not known
    c.known = true;
    assert_int_equal(judge_by(&s, &c).result, GATE_SUPPORTED);
    c.value = SLICE_LIT("Porto");
    assert_int_equal(judge_by(&s, &c).result, GATE_QUARANTINE);
    c.value = SLICE_LIT("Lisbon");
    s.text = SLICE_LIT("No, not any more.");
    assert_int_equal(judge_by(&s, &c).result, GATE_QUARANTINE);
    s.text = SLICE_LIT("yes");
    s.asked = SLICE_LIT("You live in Lisbon.");
    assert_int_equal(judge_by(&s, &c).result, GATE_QUARANTINE);
}

static void test_gate__an_end_is_stated_as_one(void **state)
{
    struct gate_claim c = lives_in("Lisbon");

    (void)state;
    c.negates = true;
    assert_int_equal(judge("I no longer live in Lisbon.", c).result, GATE_SUPPORTED);
    assert_int_equal(judge("I live in Lisbon.", c).result, GATE_REFUSED);
    c.value = SLICE_NONE;
    c.quote = SLICE_LIT("I don't have a job anymore");
    assert_int_equal(judge("I don't have a job anymore.", c).result, GATE_SUPPORTED);
    c.quote = SLICE_LIT("I have a job");
    assert_int_equal(judge("I have a job.", c).result, GATE_REFUSED);
}

static void after(struct gate_past *past, const char *text, const char *reply)
{
    assert_int_equal(gate_past_add(past, slice_str(text), slice_str(reply), NULL), E_OK);
}

static void test_gate__what_turns_begin_and_end(void **state)
{
    struct gate_past past = {0};
    const struct gate_source s = {.text = SLICE_LIT("I live in Lisbon."), .past = &past};
    const struct gate_claim c = lives_in("Lisbon");

    (void)state;
    assert_int_equal(judge_by(&s, &c).result, GATE_SUPPORTED);
    after(&past, "Let's role-play!", "Aye.");
    assert_int_equal(judge_by(&s, &c).result, GATE_QUARANTINE);
    after(&past, "I draw my sword.", "So do I.");
    assert_int_equal(judge_by(&s, &c).result, GATE_QUARANTINE);
    after(&past, "OK, stop the role play.", "Fine.");
    assert_int_equal(judge_by(&s, &c).result, GATE_SUPPORTED);
    after(&past, "I'll paste a letter next.", "Go ahead.");
    assert_int_equal(judge_by(&s, &c).result, GATE_QUARANTINE);
    after(&past, "I live in Porto.", "I see.");
    assert_int_equal(judge_by(&s, &c).result, GATE_SUPPORTED);
    after(&past, "Help me.", "What should I translate?");
    assert_int_equal(judge_by(&s, &c).result, GATE_QUARANTINE);
}

static void test_gate__zones_are_all_of_the_message(void **state)
{
    const char *text = "I live in Lisbon.\n> quoted\n\nYou \"say so\" and I agree.";
    const struct gate_source s = {.text = slice_str(text)};
    struct gate_zone z;
    struct gate *g;
    size_t at = 0, end = 0;
    unsigned own = 0, material = 0;

    (void)state;
    assert_int_equal(gate_open(&g, &s, NULL), E_OK);
    while (gate_next_zone(g, &at, &z)) {
        assert_int_equal(z.start, end);
        end = z.end;
        own += z.authored;
        material += !z.authored;
        if (slice_starts(slice_of(text + z.start, z.end - z.start), SLICE_LIT("> quoted")))
            assert_string_equal(z.why, "it stands in a quoted line");
    }
    assert_int_equal(end, strlen(text));
    assert_true(own >= 1 && material >= 1);
    gate_close(g);
}

// Behind GATE_TEXT_BYTES nothing is read, and it is material.
static void test_gate__long_messages_end_somewhere(void **state)
{
    size_t len = GATE_TEXT_BYTES + 1000;
    char *text = malloc(len);
    const struct gate_source s = {.text = slice_of(text, len)};
    struct gate_zone z = {0};
    struct gate *g;
    size_t at = 0;

    (void)state;
    assert_non_null(text);
    memset(text, 'a', len);
    assert_int_equal(gate_open(&g, &s, NULL), E_OK);
    while (gate_next_zone(g, &at, &z))
        ;
    assert_int_equal(z.start, GATE_TEXT_BYTES);
    assert_int_equal(z.end, len);
    assert_false(z.authored);
    gate_close(g);
    free(text);
}

// The list of words is sorted as it is searched, and folded as messages are.
static void test_gate__words_are_sorted(void **state)
{
    (void)state;
    assert_true(gate_words_len > 2000);
    for (uint32_t i = 0; i < gate_words_len; i++) {
        const struct gate_word *w = &gate_words[i];

        assert_int_equal(w->len, strlen(w->word));
        assert_true(i == 0 || strcmp(w[-1].word, w->word) <= 0);
        for (size_t b = 0; b < w->len; b++)
            assert_false(w->word[b] >= 'A' && w->word[b] <= 'Z');
    }
}

// The n-th allocation fails, for all n: E_NOMEM or a verdict, and nothing leaks.
static void test_gate__lack_of_memory(void **state)
{
    const struct slice was = SLICE_LIT("I live in Porto");
    const struct gate_source s = {.text = SLICE_LIT("I live in Lisbon."),
                                  .asked = SLICE_LIT("Where?"),
                                  .reply = SLICE_LIT("Fine."), .recalled = &was, .recalled_len = 1};
    const struct gate_claim claims[] = {lives_in("Lisbon"), lives_in("Porto"), lives_in("Rome")};
    unsigned failed = 0;

    (void)state;
    for (uint64_t n = 1; n < 60; n++) {
        struct gate_past past = {0};
        struct gate_verdict v;
        struct gate *g;

        mem_fail_at(n, 0);
        int rc = gate_open(&g, &s, NULL);
        for (size_t i = 0; i < 3 && !rc; i++)
            rc = gate_judge(g, &claims[i], &v, NULL);
        gate_close(g);
        if (!rc)
            rc = gate_past_add(&past, s.text, s.reply, NULL);
        mem_fail_at(0, 0);
        assert_true(rc == E_OK || rc == E_NOMEM);
        failed += rc == E_NOMEM;
    }
    assert_true(failed > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gate__tells_where_it_is_stated),
        cmocka_unit_test(test_gate__behind_the_last_sentence_is_nothing),
        cmocka_unit_test(test_gate__tells_why_not),
        cmocka_unit_test(test_gate__talk_is_no_text),
        cmocka_unit_test(test_gate__says_it_in_its_way),
        cmocka_unit_test(test_gate__quote_and_value_stand_together),
        cmocka_unit_test(test_gate__who_said_it),
        cmocka_unit_test(test_gate__a_copy_of_what_was_recalled_is_tainted),
        cmocka_unit_test(test_gate__all_that_was_recalled_is_looked_at),
        cmocka_unit_test(test_gate__yes_confirms_what_is_known_and_was_asked),
        cmocka_unit_test(test_gate__an_end_is_stated_as_one),
        cmocka_unit_test(test_gate__what_turns_begin_and_end),
        cmocka_unit_test(test_gate__zones_are_all_of_the_message),
        cmocka_unit_test(test_gate__long_messages_end_somewhere),
        cmocka_unit_test(test_gate__words_are_sorted),
        cmocka_unit_test(test_gate__lack_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
