// SPDX-License-Identifier: MIT
// test_brain.c: the offline script as a partner in conversation, and scripts that people bring.
#include "lua/lua_room.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum { MESSAGES_MAX = 64 };

// A conversation: what the user says is answered by the brain, and both stay.
struct talk {
    struct llm_brain *brain;
    struct llm_message messages[MESSAGES_MAX];
    struct step steps[MESSAGES_MAX];
    struct step *refs[MESSAGES_MAX];
    struct block blocks[MESSAGES_MAX];
    struct buf replies[MESSAGES_MAX];
    uint32_t len;
};

static struct llm_brain *brain_of(const char *script)
{
    struct lua_env env = {.clock = clock_system(), .limits = {.hook_ms = 5000}};
    struct llm_brain *b = NULL;
    struct err err = ERR_INIT;

    if (lua_brain_new(&b, &env, script, &err) != E_OK)
        fail_msg("%s", err.message);
    return b;
}

static void talk_init(struct talk *t, const char *script)
{
    memset(t, 0, sizeof(*t));
    t->brain = brain_of(script);
}

static void talk_release(struct talk *t)
{
    for (uint32_t i = 0; i < t->len; i++)
        buf_release(&t->replies[i]);
    t->brain->ops->free(t->brain);
}

static void add(struct talk *t, enum role role, struct slice text)
{
    uint32_t i = t->len++;

    t->blocks[i] = (struct block){.type = BLOCK_TEXT, .text = {text.ptr, text.len}};
    t->steps[i] = (struct step){.role = role, .content = content_over(&t->blocks[i], 1)};
    t->refs[i] = &t->steps[i];
    t->messages[i] = (struct llm_message){.role = role, .steps = &t->refs[i], .len = 1};
}

static int reply(struct talk *t, struct buf *out, struct err *err)
{
    struct llm_request r = {.model = "scripted", .system = SAFE_LIT("Be brief."),
                            .messages = t->messages, .messages_len = t->len};

    err->message[0] = '\0';
    return t->brain->ops->reply(t->brain, &r, out, err);
}

// The answer, borrowed from the talk.
static const char *say(struct talk *t, const char *text)
{
    struct err err = ERR_INIT;

    add(t, ROLE_USER, slice_str(text));
    struct buf *out = &t->replies[t->len];
    buf_init(out, 1 << 20);
    if (reply(t, out, &err) != E_OK)
        fail_msg("%s: %s", text, err.message);
    add(t, ROLE_ASSISTANT, buf_slice(out));
    return out->ptr;
}

static void assert_holds(const char *answer, const char *part)
{
    if (!strstr(answer, part))
        fail_msg("'%s' does not hold '%s'", answer, part);
}

static void test_brain__remembers_what_it_was_sent(void **state)
{
    struct talk t;

    (void)state;
    talk_init(&t, NULL);
    assert_holds(say(&t, "Hello"), "not a language model");
    assert_holds(say(&t, "What is my name?"), "have not told me");
    assert_holds(say(&t, "My name is Ann Lee and I like tea."), "Ann Lee!");
    assert_holds(say(&t, "my favourite colour is green."), "green");
    assert_holds(say(&t, "Please remember that my dog is called Rex."), "your dog is called Rex");
    assert_string_equal(say(&t, "what is my name?"), "Your name is Ann Lee.");
    assert_string_equal(say(&t, "What is my favorite colour?"), "Your favourite colour is green.");
    assert_holds(say(&t, "what is my dog called?"), "Rex");
    assert_holds(say(&t, "What did I say first?"), "\"Hello\"");
    assert_holds(say(&t, "What did I say last?"), "What did I say first?");
    assert_holds(say(&t, "how many messages are there?"), "21 messages");
    assert_holds(say(&t, "what do you remember?"), "your dog is called Rex");
    assert_holds(say(&t, "Call me Zoë"), "Zoë");
    assert_string_equal(say(&t, "who am I?"), "Your name is Zoë.");
    assert_holds(say(&t, "hi"), "Zoë");
    talk_release(&t);
    // Another conversation knows nothing of this one.
    talk_init(&t, NULL);
    assert_holds(say(&t, "what's my name?"), "have not told me");
    assert_holds(say(&t, "what is my favourite colour?"), "have not told me");
    assert_holds(say(&t, "where is the treasure?"), "cannot tell");
    talk_release(&t);
}

// Asked for a summary it says what the user said, as much as it may; asked about what stands in
// one, it knows that.
static void test_brain__summaries(void **state)
{
    struct talk t;

    (void)state;
    talk_init(&t, NULL);
    assert_string_equal(
        say(&t, "<conversation>\n[2026-01-01]\n> user: hello there\n> assistant: Hi!\n"
                "> user: my name is Ann\n> assistant: Yes.\n> user: is it late?\n</conversation>"
                "\n\nWrite the summary of all of this, in at most 100 words."),
        "The user said: hello there\nThe user said: my name is Ann");
    talk_release(&t);
    talk_init(&t, NULL);
    assert_string_equal(
        say(&t, "<summary>\n> The user said: my name is Ann\n> The user said: tea is hot\n"
                "</summary>\n<conversation>\n[2026-01-01]\n> user: it rains a lot today\n"
                "</conversation>\n\nWrite the summary of all of this, in at most 14 words."),
        "The user said: my name is Ann\nThe user said: tea is hot");
    talk_release(&t);
    talk_init(&t, NULL);
    assert_string_equal(
        say(&t, "<conversation>\n[2026-01-01]\n> user: why?\n</conversation>"
                "\n\nWrite the summary of all of this, in at most 100 words."),
        "There was only small talk.");
    talk_release(&t);
    talk_init(&t, NULL);
    assert_string_equal(say(&t, "<summary>\nWhat was said.\n> The user said: my name is Ann\n"
                                "</summary>\n\nwhat is my name?"), "Your name is Ann.");
    assert_string_equal(say(&t, "what is my name?"), "Your name is Ann.");
    talk_release(&t);
}

static void test_brain__names(void **state)
{
    static const struct { const char *text, *name; } cases[] = {
        {"I am Ann", "Ann"}, {"I'm Bob.", "Bob"}, {"i am Carl, by the way", "Carl"},
        {"my name is dora", "dora"}, {"My name is José María Aznar!", "José María Aznar"},
        {"you can call me Ishmael", "Ishmael"}, {"my name is [NAME_1], hello", "[NAME_1]"},
        {"My name's O'Brien", "O'Brien"}, {"I am tired", NULL}, {"I'm from Berlin", NULL},
        {"I am Not sure", NULL}, {"Liam is here", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct talk t;
        char want[128];

        talk_init(&t, NULL);
        say(&t, cases[i].text);
        snprintf(want, sizeof(want), "Your name is %s.", cases[i].name ? cases[i].name : "");
        const char *answer = say(&t, "what is my name?");
        if (cases[i].name)
            assert_string_equal(answer, want);
        else
            assert_holds(answer, "have not told me");
        talk_release(&t);
    }
}

// Any text gets an answer, the same one each time.
static void test_brain__any_text(void **state)
{
    static const char *const texts[] = {
        "", " ", "?", "%", "%d %s %", "\n\n", "my name is", "my name is ", "I am ", "call me !",
        "my favourite is", "my favourite  is ", "remember", "remember that", "what is my favourite",
        "what is my favourite ?", "[", "[[[", "what?", "the the the?", "ä", "日本語の文章です", "🙂🙂🙂",
        "a\tb", "when?", "help me", "good morning", "thank you", "bye", "how are you",
    };
    char *longest = malloc(200001);

    (void)state;
    for (size_t i = 0; i <= sizeof(texts) / sizeof(texts[0]); i++) {
        struct talk a, b;
        const char *text = i < sizeof(texts) / sizeof(texts[0]) ? texts[i] : longest;

        memset(longest, 'x', 200000);
        longest[200000] = '\0';
        talk_init(&a, NULL);
        talk_init(&b, NULL);
        say(&a, "I am Ann");
        say(&b, "I am Ann");
        assert_true(strlen(say(&a, text)) > 0);
        assert_string_equal(a.replies[3].ptr, say(&b, text));
        talk_release(&a);
        talk_release(&b);
    }
    free(longest);
}

static const char script_path[] = "brain_test_script.lua";

static int script_answers(const char *code, struct buf *out, struct err *err)
{
    struct lua_env env = {.clock = clock_system(), .limits = {.hook_ms = 50}};
    struct talk t = {0};
    FILE *f = fopen(script_path, "w");

    assert_non_null(f);
    fputs(code, f);
    fclose(f);
    err->message[0] = '\0';
    int rc = lua_brain_new(&t.brain, &env, script_path, err);
    if (rc == E_OK) {
        add(&t, ROLE_USER, SLICE_LIT("one"));
        add(&t, ROLE_ASSISTANT, SLICE_LIT("two"));
        add(&t, ROLE_USER, SLICE_LIT("three"));
        rc = reply(&t, out, err);
        t.brain->ops->free(t.brain);
    }
    unlink(script_path);
    return rc;
}

static int enter_folder(void **state)
{
    static char dir[64];

    snprintf(dir, sizeof(dir), "/tmp/parley-test-XXXXXX");
    assert_non_null(mkdtemp(dir));
    *state = dir;
    return chdir(dir);
}

static int leave_folder(void **state)
{
    return chdir("/") || rmdir(*state);
}

static void test_brain__scripts(void **state)
{
    static const struct { const char *code, *says; int rc; } cases[] = {
        {"return function(r) local t = {} for i, m in ipairs(r.messages) do t[i] = m.role .. '=' "
         ".. m.text "
         "end return r.model .. '|' .. r.system .. '|' .. #r.messages .. '|' .. table.concat(t, "
         "',') end",
         "scripted|Be brief.|3|user=one,assistant=two,user=three", E_OK},
        {"return function(r) return '' end", "", E_OK},
        {"return function(r) return 3 end", "the reply must be a string; it is a number", E_POLICY},
        {"return function(r) return '\\255' end", "the reply is not valid UTF-8", E_POLICY},
        {"return function(r)\nerror('no') end", "brain_test_script.lua:2: no", E_POLICY},
        {"return function(r) r.model = 'x' end", "the request is read-only", E_POLICY},
        {"return function(r) return r.mesages end", "did you mean messages?", E_POLICY},
        {"return function(r) while true do end end", "brain_test_script.lua:1: stopped", E_POLICY},
        {"return {}", "must return a function(request)", E_POLICY},
        {"local n = 0 return function() n = n + 1 return 'x' end", "'n' is set here", E_POLICY},
        {"return function(", "brain_test_script.lua:1:", E_POLICY},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf out = BUF_INIT(1 << 20);
        struct err err = ERR_INIT;
        int rc = script_answers(cases[i].code, &out, &err);

        assert_int_equal(rc, cases[i].rc);
        if (rc == E_OK)
            assert_true(slice_is(buf_slice(&out), cases[i].says));
        else
            assert_holds(err.message, cases[i].says);
        buf_release(&out);
    }
    struct lua_env env = {.clock = clock_system()};
    struct llm_brain *b = NULL;
    struct err err = ERR_INIT;
    assert_int_equal(lua_brain_new(&b, &env, "nowhere.lua", &err), E_POLICY);
    assert_string_equal(err.message,
                        "nowhere.lua: there is no such script; check providers.*.script");
}

// Several texts of one role, and blocks that are no text.
static void test_brain__steps(void **state)
{
    struct buf out = BUF_INIT(1 << 16);
    struct err err = ERR_INIT;
    struct talk t;

    (void)state;
    FILE *f = fopen(script_path, "w");
    fputs("return function(r) return r.messages[1].text end", f);
    fclose(f);
    talk_init(&t, script_path);
    unlink(script_path);
    struct block first[3] = {{.type = BLOCK_TEXT, .text = SAFE_LIT("a")},
                             {.type = BLOCK_OTHER, .json = SAFE_LIT("{}")},
                             {.type = BLOCK_TEXT, .text = SAFE_LIT("b")}};
    struct step steps[2] = {{.role = ROLE_USER, .content = content_over(first, 3)},
                            {.role = ROLE_USER, .content = content_over(&first[2], 1)}};
    struct step *refs[2] = {&steps[0], &steps[1]};
    t.messages[0] = (struct llm_message){ROLE_USER, refs, 2};
    t.len = 1;
    assert_int_equal(reply(&t, &out, &err), E_OK);
    assert_true(slice_is(buf_slice(&out), "ab\nb"));
    t.brain->ops->free(t.brain);
    buf_release(&out);
}

static void test_brain__out_of_memory(void **state)
{
    struct lua_env env = {.clock = clock_system()};
    struct err err = ERR_INIT;
    int done = 0;

    (void)state;
    for (uint64_t n = 1; !done && n < 50000; n += 1 + n / 8) {
        struct llm_brain *b = NULL;

        mem_fail_at(n, 1);
        int rc = lua_brain_new(&b, &env, NULL, &err);
        mem_fail_at(0, 0);
        assert_true(rc == E_OK || rc == E_NOMEM);
        done = rc == E_OK;
        if (b)
            b->ops->free(b);
    }
    assert_true(done);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_brain__##name, enter_folder, leave_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(remembers_what_it_was_sent), TEST(summaries), TEST(names), TEST(any_text),
        TEST(scripts), TEST(steps), TEST(out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
