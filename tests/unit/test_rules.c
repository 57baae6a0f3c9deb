// SPDX-License-Identifier: MIT
// test_rules.c: each rule of the ledger, kept and broken.
#include "unit/ledger_kit.h"

enum { MESSAGES = 8, BLOCKS = 4 };

// Messages in short: a string each, "u" or "a", then blocks: "t:text", "use:id", "res:id", parted
// by "|"; "," parts steps.
struct talk {
    struct llm_message messages[MESSAGES];
    struct step steps[MESSAGES][BLOCKS];
    struct step *list[MESSAGES][BLOCKS];
    struct block blocks[MESSAGES][BLOCKS][BLOCKS];
    char text[MESSAGES][128];
    uint32_t len;
};

static void add_block(struct step *s, struct block *blocks, char *word)
{
    struct block *b = &blocks[s->content.len++];
    char *value = strchr(word, ':');

    assert_true(s->content.len <= BLOCKS);
    *value++ = '\0';
    *b = (struct block){.type = BLOCK_TEXT};
    if (strcmp(word, "use") == 0)
        *b = (struct block){.type = BLOCK_TOOL_USE, .id = kit_text(value)};
    else if (strcmp(word, "res") == 0)
        *b = (struct block){.type = BLOCK_TOOL_RESULT, .id = kit_text(value)};
    else if (strcmp(word, "think") == 0)
        *b = (struct block){.type = BLOCK_THINKING, .text = kit_text(value)};
    else
        b->text = kit_text(value);
    s->content = content_over(blocks, s->content.len);
}

static void add_message(struct talk *t, const char *what)
{
    uint32_t at = t->len++;
    char *save = NULL, *inner = NULL;
    struct llm_message *m = &t->messages[at];
    enum role role = what[0] == 'u' ? ROLE_USER : ROLE_ASSISTANT;

    snprintf(t->text[at], sizeof(t->text[at]), "%s", what + 1);
    *m = (struct llm_message){.role = role, .steps = t->list[at]};
    for (char *part = strtok_r(t->text[at], ",", &save); part; part = strtok_r(NULL, ",", &save)) {
        struct step *s = &t->steps[at][m->len];

        *s = (struct step){.role = role};
        t->list[at][m->len] = s;
        for (char *word = strtok_r(part, "|", &inner); word; word = strtok_r(NULL, "|", &inner))
            add_block(s, t->blocks[at][m->len], word);
        m->len++;
    }
    if (m->len == 0) {
        t->steps[at][0] = (struct step){.role = role};
        t->list[at][0] = &t->steps[at][0];
        m->len = 1;
    }
}

static struct talk talk;

static const char *broken(const char *const *messages)
{
    static struct err err;

    memset(&talk, 0, sizeof(talk));
    err = (struct err)ERR_INIT;
    for (; *messages; messages++)
        add_message(&talk, *messages);
    int code = rules_check(talk.messages, talk.len, &err);
    if (code == E_OK)
        return "";
    assert_int_equal(code, E_REFUSED);
    err.message[2] = '\0';
    return err.message;
}
#define BROKEN(...) broken((const char *const[]){__VA_ARGS__, NULL})

static void test_rules__first_and_last_are_the_users(void **state)
{
    (void)state;
    assert_string_equal(broken((const char *const[]){NULL}), "R1");
    assert_string_equal(BROKEN("at:hi", "ut:x"), "R1");
    assert_string_equal(BROKEN("ut:x"), "");
    assert_string_equal(BROKEN("ut:x", "at:y"), "R3");
    assert_string_equal(BROKEN("ut:x", "at:y", "ut:z"), "");
}

static void test_rules__roles_alternate(void **state)
{
    (void)state;
    assert_string_equal(BROKEN("ut:x", "ut:y"), "R2");
    assert_string_equal(BROKEN("ut:x", "at:y", "at:z", "ut:w"), "R2");
    assert_string_equal(BROKEN("ut:x,t:y", "at:z", "ut:w"), "");  // two steps of one role
    memset(&talk, 0, sizeof(talk));
    add_message(&talk, "ut:x,t:y");
    talk.steps[0][1].role = ROLE_ASSISTANT;
    assert_int_equal(rules_check(talk.messages, 1, NULL), E_REFUSED);
}

static void test_rules__messages_say_something(void **state)
{
    (void)state;
    assert_string_equal(BROKEN("u"), "R4");
    assert_string_equal(BROKEN("ut:"), "R4");
    assert_string_equal(BROKEN("ut: \t\r\n\v\f"), "R4");
    assert_string_equal(BROKEN("ut:\xc2\xa0\xe2\x80\x83\xe3\x80\x80\xe2\x80\xa8"), "R4");
    assert_string_equal(BROKEN("ut:\xc2\x85\xe1\x9a\x80\xe2\x80\xa9"), "R4");
    assert_string_equal(BROKEN("ut:\xe2\x80\xaf\xe2\x81\x9f"), "R4");
    assert_string_equal(BROKEN("ut:\x01"), "");
    assert_string_equal(BROKEN("ut:x", "athink:hm", "ut:y"), "R4");
    assert_string_equal(BROKEN("ut: ,t: x"), "");
    assert_string_equal(BROKEN("ut:x", "at: ", "ut:y"), "R4");
    assert_string_equal(BROKEN("ut:\xe2\x80\x8b"), "");  // zero width, but no white space
}

// Far into a long history too, and where there is not even an empty step.
static void test_rules__a_message_of_nothing(void **state)
{
    enum { LEN = 21, AT = 15 };
    struct step user = {.role = ROLE_USER}, assistant = {.role = ROLE_ASSISTANT};
    struct step *steps[] = {&user, &assistant};
    struct llm_message messages[LEN];
    struct content text = kit_content("Hello.");
    struct err err = ERR_INIT;

    (void)state;
    user.content = assistant.content = text;
    for (uint32_t i = 0; i < LEN; i++)
        messages[i] = (struct llm_message){.role = i % 2 ? ROLE_ASSISTANT : ROLE_USER,
                                           .steps = &steps[i % 2], .len = 1};
    assert_int_equal(rules_check(messages, LEN, &err), E_OK);
    messages[AT].len = 0;
    assert_int_equal(rules_check(messages, LEN, &err), E_REFUSED);
    assert_string_equal(err.message, "R4: message 15 says nothing");
    content_release(&text);
}

static void test_rules__tool_uses_are_answered(void **state)
{
    (void)state;
    assert_string_equal(BROKEN("ut:x", "at:y|use:1", "ures:1"), "");
    assert_string_equal(BROKEN("ut:x", "ause:1|use:2", "ures:2|res:1|t:and"), "");
    assert_string_equal(BROKEN("ut:x", "ause:1|use:2", "ures:2,res:1,t:and"), "");
    assert_string_equal(BROKEN("ut:x", "ause:1|use:2", "ures:1"), "R5");
    assert_string_equal(BROKEN("ut:x", "ause:1", "ut:y"), "R5");
    assert_string_equal(BROKEN("ut:x", "ause:1", "ut:y|res:1"), "R5");   // after text
    assert_string_equal(BROKEN("ut:x", "ause:1", "ures:1|res:1"), "R5"); // twice
    assert_string_equal(BROKEN("ut:x", "ause:1", "ures:1|res:2"), "R5"); // to nothing
    assert_string_equal(BROKEN("ut:x", "ause:1"), "R5");                 // by nobody
    assert_string_equal(BROKEN("ures:1"), "R5");
    assert_string_equal(BROKEN("ut:x", "at:y", "ures:1|t:z"), "R5");
    assert_string_equal(BROKEN("ut:x", "ause:1|use:1", "ures:1"), "R5"); // one id, two uses
    assert_string_equal(BROKEN("ut:x", "ause:1", "ures:1", "at:y", "ures:1"), "R5");
}

static void make_turns(struct turn turns[3], struct step steps[3][2])
{
    memset(turns, 0, 3 * sizeof(*turns));
    memset(steps, 0, 3 * sizeof(*steps));
    for (uint32_t i = 0; i < 3; i++) {
        steps[i][1].role = ROLE_ASSISTANT;
        turns[i] =
            (struct turn){.n = i + 1, .status = TURN_DONE, .steps_len = 2, .steps = steps[i]};
    }
}

static void test_rules__stored_turns(void **state)
{
    (void)state;
    struct session_head h = {.turns = 3};
    struct turn t[3];
    struct step s[3][2];
    struct err err = ERR_INIT;

    make_turns(t, s);
    assert_int_equal(rules_check_turns(&h, t, 3, &err), E_OK);
    assert_int_equal(rules_check_turns(&h, t + 1, 2, &err), E_OK);
    assert_int_equal(rules_check_turns(&h, NULL, 0, &err), E_OK);
    t[1].n = 3;
    assert_int_equal(rules_check_turns(&h, t, 3, &err), E_REFUSED);
    make_turns(t, s);
    s[2][0].role = ROLE_ASSISTANT;
    assert_int_equal(rules_check_turns(&h, t, 3, &err), E_REFUSED);
    assert_non_null(strstr(err.message, "turn 3"));
    make_turns(t, s);
    t[0].steps_len = 0;
    assert_int_equal(rules_check_turns(&h, t, 3, &err), E_REFUSED);
    make_turns(t, s);
    t[0].n = 0;
    assert_int_equal(rules_check_turns(&h, t, 3, &err), E_REFUSED);
    make_turns(t, s);
    t[0].steps_len = 1;  // done without a reply
    assert_int_equal(rules_check_turns(&h, t, 3, &err), E_REFUSED);
    t[0].status = TURN_FAILED;
    assert_int_equal(rules_check_turns(&h, t, 3, &err), E_OK);
    t[0].status = TURN_CUT;
    assert_int_equal(rules_check_turns(&h, t, 3, &err), E_REFUSED);
    make_turns(t, s);
    t[2].status = TURN_OPEN;
    assert_int_equal(rules_check_turns(&h, t, 3, &err), E_REFUSED);
    h.open_turn = 3;
    assert_int_equal(rules_check_turns(&h, t, 3, &err), E_OK);
    t[2].status = TURN_DONE;
    assert_int_equal(rules_check_turns(&h, t, 3, &err), E_REFUSED);
    h.open_turn = 2;
    assert_int_equal(rules_check_turns(&h, t, 3, &err), E_REFUSED);
    h.open_turn = 0;
    t[1].superseded = true;
    assert_int_equal(rules_check_turns(&h, t, 3, &err), E_REFUSED);
    assert_int_equal(session_supersede(&h, 2, 2, &err), E_OK);
    assert_int_equal(rules_check_turns(&h, t, 3, &err), E_OK);
    t[1].superseded = false;
    assert_int_equal(rules_check_turns(&h, t, 3, &err), E_REFUSED);
    assert_non_null(strstr(err.message, "is not superseded"));
    h.turns = 2;
    session_head_release(&h);
    assert_int_equal(rules_check_turns(&h, t, 3, &err), E_REFUSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules__first_and_last_are_the_users),
        cmocka_unit_test(test_rules__roles_alternate),
        cmocka_unit_test(test_rules__messages_say_something),
        cmocka_unit_test(test_rules__a_message_of_nothing),
        cmocka_unit_test(test_rules__tool_uses_are_answered),
        cmocka_unit_test(test_rules__stored_turns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
