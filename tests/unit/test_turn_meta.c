// SPDX-License-Identifier: MIT
// Turns and attempts: words, what is the reply, and their meta there and back and when it is wrong.
#include "model/attempt.h"

#include "base/mem.h"
#include "model/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_turn_meta__words(void **state)
{
    static const char *const statuses[] = {"open", "done", "cut", "interrupted", "failed"};
    static const char *const stops[] = {"", "end", "max_tokens", "stop_sequence", "refusal",
                                        "filter", "lost", "user", "tool_use"};

    (void)state;
    for (unsigned i = 0; i < 5; i++)
        assert_string_equal(turn_status_word((enum turn_status)i), statuses[i]);
    for (unsigned i = 0; i < 9; i++) {
        enum stop stop = (enum stop)i;

        assert_string_equal(stop_word(stop), stops[i]);
        bool whole = stop == STOP_END || stop == STOP_SEQUENCE || stop == STOP_REFUSAL;
        assert_int_equal(stop_status(stop), whole ? TURN_DONE : TURN_CUT);
    }
}

// A turn of a question, a tool use, its result and a reply.
static void make_turn(struct turn *t)
{
    *t = (struct turn){.n = 1, .status = TURN_DONE, .stop = STOP_END, .steps_len = 4,
                       .policy = "hello@1f2e3d4c", .provider = "openai", .model = "gpt-x",
                       .usage = {.input_tokens = 10, .cached_tokens = 4, .output_tokens = 2,
                                 .cost_nusd = 1500, .estimated = true}};
    t->steps = mem_calloc(4, sizeof(*t->steps));
    assert_non_null(t->steps);
    for (uint32_t i = 0; i < 4; i++) {
        t->steps[i] = (struct step){.role = i % 2 ? ROLE_ASSISTANT : ROLE_USER, .tokens = 7 + i,
                                    .at_ms = 1700000000000 + i};
        assert_int_equal(content_make_text(&t->steps[i].content, SAFE_LIT("x"), NULL), E_OK);
        t->steps[i].wire.ptr = mem_alloc(4);
    }
}

static void test_turn_meta__reply(void **state)
{
    struct turn t;

    (void)state;
    make_turn(&t);
    assert_ptr_equal(turn_reply(&t), &t.steps[3]);
    step_release(&t.steps[3]);
    t.steps_len = 3;
    assert_ptr_equal(turn_reply(&t), &t.steps[1]);
    step_release(&t.steps[2]);
    step_release(&t.steps[1]);
    t.steps_len = 1;
    assert_null(turn_reply(&t));
    turn_release(&t);
    assert_null(t.steps);
    turn_release(&t);
}

static void test_turn_meta__stored_form(void **state)
{
    struct turn t, back = {0};
    struct step s = {0};
    struct buf out = BUF_INIT(4096);

    (void)state;
    make_turn(&t);
    turn_write_user_meta(&t, &out);
    assert_string_equal(out.ptr, "{\"role\":\"user\",\"at\":1700000000000,\"tokens\":7}");
    assert_int_equal(turn_read_meta(&back, &s, buf_slice(&out), NULL), E_OK);
    assert_int_equal(back.at_ms, 1700000000000);
    assert_int_equal(s.tokens, 7);
    assert_int_equal(s.role, ROLE_USER);

    buf_clear(&out);
    turn_write_reply_meta(&t, &t.steps[2], &out);
    assert_null(strstr(out.ptr, "status"));
    assert_int_equal(turn_read_meta(&back, &s, buf_slice(&out), NULL), E_OK);
    assert_int_equal(back.status, TURN_OPEN);
    assert_int_equal(s.role, ROLE_USER);
    assert_int_equal(back.at_ms, 1700000000000);

    buf_clear(&out);
    turn_write_reply_meta(&t, &t.steps[3], &out);
    assert_string_equal(out.ptr,
                        "{\"role\":\"assistant\",\"at\":1700000000003,\"tokens\":10,"
                        "\"status\":\"done\",\"stop\":\"end\",\"policy\":\"hello@1f2e3d4c\","
                        "\"provider\":\"openai\",\"model\":\"gpt-x\",\"input_tokens\":10,"
                        "\"cached_tokens\":4,\"output_tokens\":2,\"cost_nusd\":1500,"
                        "\"estimated\":true}");
    assert_int_equal(turn_read_meta(&back, &s, buf_slice(&out), NULL), E_OK);
    assert_int_equal(s.role, ROLE_ASSISTANT);
    assert_int_equal(s.at_ms, 1700000000003);
    assert_int_equal(back.status, TURN_DONE);
    assert_int_equal(back.stop, STOP_END);
    assert_string_equal(back.policy, t.policy);
    assert_string_equal(back.provider, t.provider);
    assert_string_equal(back.model, t.model);
    assert_int_equal(back.usage.cached_tokens, 4);
    assert_int_equal(back.usage.cost_nusd, 1500);
    turn_release(&t);
    buf_release(&out);
}

static int read_turn(const char *meta, struct err *err)
{
    struct turn t = {0};
    struct step s = {0};

    return turn_read_meta(&t, &s, slice_str(meta), err);
}

static void test_turn_meta__names_what_is_wrong(void **state)
{
    static const struct {
        const char *meta, *says;
    } cases[] = {
        {"", "stored turn"},
        {"[]", "not an object"},
        {"{}", "\"role\""},
        {"{\"role\":1}", "\"role\""},
        {"{\"role\":\"robot\"}", "\"role\""},
        {"{\"role\":\"user\"}", "\"at\""},
        {"{\"role\":\"user\",\"at\":\"1\"}", "\"at\""},
        {"{\"role\":\"user\",\"at\":-1}", "\"at\""},
        {"{\"role\":\"user\",\"at\":1}", "\"tokens\""},
        {"{\"role\":\"user\",\"at\":1,\"tokens\":4294967296}", "\"tokens\""},
        {"{\"role\":\"user\",\"at\":1,\"tokens\":1.0}", "\"tokens\""},
        {"{\"role\":\"assistant\",\"at\":1,\"tokens\":1}", "\"policy\""},
        {"{\"role\":\"assistant\",\"at\":1,\"tokens\":1,\"policy\":\"\",\"status\":\"so\"}",
         "\"status\""},
        {"{\"role\":\"assistant\",\"at\":1,\"tokens\":1,\"policy\":\"\",\"stop\":null}",
         "\"stop\""},
        {"{\"role\":\"assistant\",\"at\":1,\"tokens\":1,\"policy\":\"a\\u0000b\"}", "\"policy\""},
        {"{\"role\":\"assistant\",\"at\":1,\"tokens\":1,\"policy\":\"0123456789012345678901234567"
         "890123456789012345678901234567890123\"}", "\"policy\""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err err = ERR_INIT;

        assert_int_equal(read_turn(cases[i].meta, &err), E_CORRUPT);
        assert_non_null(strstr(err.message, cases[i].says));
        assert_int_equal(read_turn(cases[i].meta, NULL), E_CORRUPT);
    }
    assert_int_equal(read_turn("{\"x\":{},\"role\":\"user\",\"at\":1,\"tokens\":4294967295}", NULL),
                     E_OK);
    assert_int_equal(read_turn("{\"role\":\"assistant\",\"at\":1,\"tokens\":1,\"policy\":\"01234567"
                               "8901234567890123456789012345678901234567890123456789012\"}", NULL),
                     E_OK);
}

static void test_turn_meta__attempt(void **state)
{
    static const char *const words[] = {"open", "done", "cut", "failed", "unused", "lost"};
    struct attempt back = {.turn = 3, .n = 2};
    struct attempt a = {.turn = 3, .n = 2, .status = ATTEMPT_OPEN, .owner = "claim-1",
                        .bot = "hello", .at_ms = 5, .usage = {.cost_nusd = COST_UNKNOWN}};
    struct buf out = BUF_INIT(4096);
    struct err err = ERR_INIT;

    (void)state;
    attempt_write_meta(&a, NULL, &out);
    assert_string_equal(out.ptr, "{\"status\":\"open\",\"owner\":\"claim-1\",\"bot\":\"hello\","
                                 "\"provider\":\"\",\"model\":\"\",\"at\":5,\"input_tokens\":0,"
                                 "\"output_tokens\":0}");
    assert_int_equal(attempt_read_meta(&back, buf_slice(&out), &err), E_OK);
    assert_int_equal(back.status, ATTEMPT_OPEN);
    assert_string_equal(back.owner, "claim-1");
    assert_string_equal(back.bot, "hello");
    assert_int_equal(back.at_ms, 5);
    assert_int_equal(back.usage.cost_nusd, COST_UNKNOWN);
    a.http_status = 529;
    for (unsigned i = 1; i < 6; i++) {
        a.status = (enum attempt_status)i;
        assert_string_equal(attempt_status_word(a.status), words[i]);
        buf_clear(&out);
        attempt_write_meta(&a, NULL, &out);
        assert_null(strstr(out.ptr, "owner"));
        assert_int_equal(attempt_read_meta(&back, buf_slice(&out), &err), E_OK);
        assert_int_equal(back.status, i);
        assert_int_equal(back.http_status, 529);
        assert_int_equal(back.n, 2);
    }
    assert_int_equal(attempt_read_meta(&back, SLICE_LIT("{\"status\":\"open\",\"bot\":\"\","
                                                        "\"at\":1}"), &err), E_CORRUPT);
    assert_non_null(strstr(err.message, "\"owner\""));
    assert_int_equal(attempt_read_meta(&back, SLICE_LIT("{\"status\":\"done\",\"bot\":\"\","
                                                        "\"at\":1,\"http\":\"x\"}"), &err),
                     E_CORRUPT);
    assert_non_null(strstr(err.message, "\"http\""));
    buf_release(&out);
}

static void test_turn_meta__attempt_kinds(void **state)
{
    static const char *const words[] = {"reply", "summary", "embedding",
                                        "extraction", "journal", "reflection"};
    struct attempt a = {.status = ATTEMPT_DONE, .at_ms = 5}, back;
    struct buf out = BUF_INIT(4096);
    struct err err = ERR_INIT;

    (void)state;
    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        a.kind = (enum attempt_kind)i;
        assert_string_equal(attempt_kind_word(a.kind), words[i]);
        buf_clear(&out);
        attempt_write_meta(&a, NULL, &out);
        // Records of before there were kinds have none, and are a reply's.
        assert_int_equal(strstr(out.ptr, "kind") != NULL, i > 0);
        back.kind = ATTEMPT_EMBEDDING;
        assert_int_equal(attempt_read_meta(&back, buf_slice(&out), &err), E_OK);
        assert_int_equal(back.kind, i);
    }
    assert_int_equal(attempt_read_meta(&back, SLICE_LIT("{\"status\":\"done\",\"kind\":\"x\","
                                                        "\"bot\":\"\",\"at\":1}"), &err),
                     E_CORRUPT);
    assert_non_null(strstr(err.message, "\"kind\""));
    buf_release(&out);
}

static void assert_same_recalled(const struct sent_recalled *a, const struct sent_recalled *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_string_equal(a->id, b->id);
    assert_int_equal(a->turn, b->turn);
    assert_int_equal(a->score, b->score);
}

static void test_turn_meta__what_was_sent(void **state)
{
    static struct sent s = {.strategy = "window", .by = "policies/desk.lua:7", .cut_moved = true,
                            .system_tokens = 12, .history_tokens = 345,
                            .predicted = {.input_tokens = 400, .cost_nusd = 1200,
                                          .estimated = true}};
    static struct sent back;
    struct attempt a = {.status = ATTEMPT_DONE};
    struct buf out = BUF_INIT(RECORD_META_BYTES_MAX);
    struct err err = ERR_INIT;

    (void)state;
    sent_add(&s, 1, SENT_PINNED);
    sent_add(&s, 2, SENT_PINNED);
    for (uint32_t n = 7; n < 12; n++)
        if (n != 9)
            sent_add(&s, n, SENT_NEWEST);
    assert_int_equal(s.runs_len, 3);
    for (uint32_t n = 0; n < 20; n++)
        assert_int_equal(sent_has(&s, n), n == 1 || n == 2 || (n > 6 && n < 12 && n != 9));
    attempt_write_meta(&a, &s, &out);
    assert_int_equal(sent_read_meta(&back, buf_slice(&out), &err), E_OK);
    assert_string_equal(back.strategy, "window");
    assert_string_equal(back.by, "policies/desk.lua:7");
    assert_int_equal(back.runs_len, 3);
    assert_int_equal(back.runs[2].first, 10);
    assert_int_equal(back.runs[0].why, SENT_PINNED);
    assert_true(back.cut_moved && !back.more);
    assert_int_equal(back.predicted.cost_nusd, 1200);
    // Scattered turns: as many runs as fit a record, and the word that there were more.
    for (uint32_t n = 100; n < 100 + 4 * SENT_RUNS_MAX; n += 2)
        sent_add(&s, n, SENT_NEWEST);
    assert_true(s.more);
    for (; s.recalled_len < PLAN_RECALL_MAX; s.recalled_len++)
        s.recalled[s.recalled_len] = (struct sent_recalled){
            .id = "0192f0c1-2345-4678-9abc-def012345678",
            .turn = UINT32_MAX - s.recalled_len, .score = s.recalled_len};
    for (; s.recalled_len < SENT_RECALLED_MAX; s.recalled_len++) {
        struct sent_recalled *r = &s.recalled[s.recalled_len];
        *r = (struct sent_recalled){.kind = SENT_FACT + s.recalled_len % 3, .score = UINT32_MAX};
        snprintf(r->id, sizeof(r->id), "%s", r->kind == SENT_JOURNAL
                     ? "0192f0c1-2345-4678-9abc-def012345678" : "0123456789ab");
    }
    s.recalled_tokens = 999;
    s.constraints = 2 * CONSTRAINTS_MAX;
    s.constraints_tokens = 77;
    s.core_tokens = 1234;
    buf_clear(&out);
    attempt_write_meta(&a, &s, &out);
    assert_true(buf_ok(&out));
    assert_int_equal(sent_read_meta(&back, buf_slice(&out), &err), E_OK);
    assert_true(back.more);
    assert_int_equal(back.recalled_len, SENT_RECALLED_MAX);
    for (uint32_t i = 0; i < SENT_RECALLED_MAX; i++)
        assert_same_recalled(&back.recalled[i], &s.recalled[i]);
    assert_int_equal(back.recalled_tokens, 999);
    assert_int_equal(back.constraints, 2 * CONSTRAINTS_MAX);
    assert_int_equal(back.constraints_tokens, 77);
    assert_int_equal(back.core_tokens, 1234);
    buf_release(&out);
}

static void test_turn_meta__bad_words_of_what_was_sent(void **state)
{
    static struct sent back;
    struct err err = ERR_INIT;
    static const char *const bad[] = {
        "{\"sent\":{\"strategy\":\"s\",\"by\":\"x\",\"runs\":[],\"recalled\":7}}",
        "{\"sent\":{\"strategy\":\"s\",\"by\":\"x\",\"runs\":[],\"constraints\":7}}",
        "{\"sent\":{\"strategy\":\"s\",\"by\":\"x\",\"runs\":[],\"constraints\":[0,1]}}",
        "{\"sent\":{\"strategy\":\"s\",\"by\":\"x\",\"runs\":[],\"constraints\":[33,1]}}",
        "{\"sent\":{\"strategy\":\"s\",\"by\":\"x\",\"runs\":[],\"constraints\":[1]}}",
        "{\"sent\":{\"strategy\":\"s\",\"by\":\"x\",\"runs\":[],\"recalled\":[[\"x\",1,1]]}}",
        "{\"sent\":{\"strategy\":\"s\",\"by\":\"x\",\"runs\":[],"
        "\"recalled\":[[\"0123456789ab\",0,1,\"turn\"]]}}",
        "{\"sent\":{\"strategy\":\"s\",\"by\":\"x\",\"runs\":[],"
        "\"recalled\":[[\"01 3456789ab\",0,1,\"fact\"]]}}",
        "{\"sent\":{\"strategy\":\"s\",\"by\":\"x\",\"runs\":[],"
        "\"recalled\":[[\"\",0,1,\"journal\"]]}}",
        "{\"sent\":7}", "{\"sent\":{\"by\":\"x\"}}",
        "{\"sent\":{\"strategy\":\"s\",\"by\":\"x\"}}",
        "{\"sent\":{\"strategy\":\"s\",\"by\":\"x\",\"runs\":[[2,1,\"newest\"]]}}",
        "{\"sent\":{\"strategy\":\"s\",\"by\":\"x\",\"runs\":[[1,1,\"why\"]]}}",
        ("{\"sent\":{\"strategy\":\"s\",\"by\":\"x\","
         "\"runs\":[[3,3,\"newest\"],[3,4,\"newest\"]]}}"),
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(sent_read_meta(&back, slice_str(bad[i]), &err), E_CORRUPT);
    assert_int_equal(sent_read_meta(&back, SLICE_LIT("{}"), &err), E_NOT_FOUND);
    (void)state;
}

static void test_turn_meta__no_memory(void **state)
{
    struct err err = ERR_INIT;
    int failures = 0;

    (void)state;
    for (uint64_t n = 1;; n++) {
        mem_fail_at(n, 0);
        int rc = read_turn("{\"role\":\"us\\u0065r\",\"at\":1,\"tokens\":1}", &err);
        mem_fail_at(0, 0);
        if (!rc)
            break;
        assert_int_equal(rc, E_NOMEM);
        failures++;
        assert_true(n < 50);
    }
    assert_true(failures >= 2);
}

static void test_turn_meta__gist(void **state)
{
    struct block words = {.type = BLOCK_TEXT, .text = SAFE_LIT("words")};
    struct block call = {.type = BLOCK_TOOL_USE, .name = SAFE_LIT("f")};
    struct block blank = {.type = BLOCK_TEXT, .text = SAFE_LIT(" ")};
    struct step steps[3] = {
        {.role = ROLE_USER, .content = content_over(&words, 1), .tokens = 5},
        {.role = ROLE_ASSISTANT, .content = content_over(&words, 1), .tokens = 7},
        {.role = ROLE_USER, .content = content_over(&words, 1), .tokens = 11},
    };
    struct turn t = {.n = 1, .steps = steps, .steps_len = 1};

    (void)state;
    assert_int_equal(turn_gist(&t)->tokens, 5);
    assert_false(turn_gist(&t)->plain);
    t.steps_len = 2;  // the reply came
    assert_int_equal(turn_gist(&t)->tokens, 12);
    assert_true(turn_gist(&t)->plain);
    assert_int_equal(turn_gist(&t)->reply_tokens, 7);
    t.steps_len = 3;
    assert_int_equal(turn_gist(&t)->tokens, 23);
    assert_false(turn_gist(&t)->plain);
    struct block *others[] = {&call, &blank};
    for (unsigned i = 0; i < 2; i++) {
        steps[1].content = content_over(others[i], 1);
        t = (struct turn){.n = 1, .steps = steps, .steps_len = 2};
        assert_false(turn_gist(&t)->plain);
    }
    steps[1] = (struct step){.role = ROLE_USER, .content = content_over(&words, 1)};
    t = (struct turn){.n = 1, .steps = steps, .steps_len = 2};
    assert_false(turn_gist(&t)->plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_turn_meta__words),
        cmocka_unit_test(test_turn_meta__reply),
        cmocka_unit_test(test_turn_meta__stored_form),
        cmocka_unit_test(test_turn_meta__names_what_is_wrong),
        cmocka_unit_test(test_turn_meta__attempt),
        cmocka_unit_test(test_turn_meta__attempt_kinds),
        cmocka_unit_test(test_turn_meta__what_was_sent),
        cmocka_unit_test(test_turn_meta__bad_words_of_what_was_sent),
        cmocka_unit_test(test_turn_meta__gist),
        cmocka_unit_test(test_turn_meta__no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
