// SPDX-License-Identifier: MIT
// The offline provider: its answers, its ordered faults, its recordings, in simulated time.
#include "llm_kit.h"

#include <unistd.h>

struct fixture {
    struct kit_env env;
    struct llm *llm;
    struct kit_call call;
};

static void open_fixture(struct fixture *f)
{
    struct err err = ERR_INIT;
    if (llm_open(&f->llm, "scripted", &f->env.env, &err))
        fail_msg("%s", err.message);
}

static void begin(struct fixture *f)
{
    kit_call_init(&f->call, f->llm);
    kit_say(&f->call.said, ROLE_USER, "Hi there");
    assert_int_equal(llm_start(f->llm, &f->call.call, NULL), E_OK);
    assert_int_equal(f->call.dones, 0);
}

static void run(struct fixture *f)
{
    begin(f);
    loop_run(f->env.loop);
    assert_int_equal(f->call.dones, 1);
}

static void close_fixture(struct fixture *f)
{
    kit_call_release(&f->call);
    llm_free(f->llm);
    kit_env_release(&f->env);
}

static void test_llm_scripted__answers(void **state)
{
    struct fixture f;
    (void)state;
    kit_env_init(&f.env, NULL, NULL);
    open_fixture(&f);
    run(&f);
    const struct llm_reply *r = &f.call.call.reply;
    assert_true(r->complete);
    assert_int_equal(r->stop, STOP_END);
    assert_int_equal(f.call.call.http_status, 200);
    assert_string_equal(f.call.text.ptr, f.env.answer);
    assert_int_equal(f.call.texts, 2);  // six words, four to a piece
    assert_int_equal(r->blocks.len, 1);
    assert_string_equal(VEC_AT(&r->blocks, struct llm_block, 0)->text.ptr, f.env.answer);
    assert_true(r->usage_known);
    assert_true(r->usage.estimated);
    assert_int_equal(r->usage.input_tokens, 2);
    assert_int_equal(r->usage.output_tokens, 8);
    assert_string_equal(r->id.ptr, "msg_scripted_1");
    assert_int_equal(llm_retry_dialect(f.llm), RETRY_ANTHROPIC);
    close_fixture(&f);
}

#define FACES "\xF0\x9F\x98\x80\xF0\x9F\x98\x80\xF0\x9F\x98\x80\xF0\x9F\x98\x80"

// Naughty answers come through whole: escapes, long words, no words, multi-byte at the piece's end.
static void test_llm_scripted__text_is_unaltered(void **state)
{
    static const char *const answers[] = {
        "\"quotes\" and \\ and \n\n new lines\t",
        " lead and trail ",
        // One word of 4-byte and 2-byte characters, longer than a piece at every offset.
        "a" FACES FACES FACES FACES FACES "\xC3\xA4" FACES FACES FACES FACES FACES "x",
        "   ",
        "data: [DONE]\n\nevent: message_stop\n\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        struct fixture f;
        kit_env_init(&f.env, NULL, NULL);
        f.env.answer = answers[i];
        open_fixture(&f);
        run(&f);
        assert_true(f.call.call.reply.complete);
        assert_string_equal(f.call.text.ptr, answers[i]);
        close_fixture(&f);
    }
}

static void test_llm_scripted__delay(void **state)
{
    struct fixture f;
    (void)state;
    kit_env_init(&f.env, NULL, NULL);
    kit_set(&f.env, "providers.scripted.delay_ms", "100");
    open_fixture(&f);
    begin(&f);
    loop_run_for(f.env.loop, 99);
    assert_int_equal(f.call.texts, 0);
    loop_run_for(f.env.loop, 100);
    assert_int_equal(f.call.texts, 1);
    assert_int_equal(f.call.dones, 0);
    loop_run(f.env.loop);
    assert_int_equal(f.call.dones, 1);
    assert_true(f.call.call.reply.complete);
    assert_string_equal(f.call.text.ptr, f.env.answer);
    close_fixture(&f);
}

static void test_llm_scripted__drop_at_every_byte(void **state)
{
    bool whole = false;
    (void)state;
    for (int delay = 0; delay < 2; delay++) {
        whole = false;
        for (unsigned n = 0; !whole; n++) {
            struct fixture f;
            char value[16];
            kit_env_init(&f.env, NULL, NULL);
            snprintf(value, sizeof(value), "%u", n);
            kit_set(&f.env, "providers.scripted.drop_after_bytes", value);
            kit_set(&f.env, "providers.scripted.delay_ms", delay ? "5" : "0");
            open_fixture(&f);
            run(&f);
            const struct llm_reply *r = &f.call.call.reply;
            whole = r->complete;
            if (!whole) {
                assert_int_equal(r->stop, STOP_LOST);
                assert_int_equal(r->outcome.end, CALL_CUT);
                assert_int_equal(r->outcome.any_text, f.call.text.len > 0);
                assert_non_null(r->detail[0] ? r->detail : NULL);
            } else {
                assert_true(n > 700);
                assert_string_equal(f.call.text.ptr, f.env.answer);
            }
            close_fixture(&f);
            assert_true(n < 2000);
        }
    }
}

static void test_llm_scripted__garbage_at_every_byte(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 600; n++) {
        struct fixture f;
        char value[16];
        kit_env_init(&f.env, NULL, NULL);
        snprintf(value, sizeof(value), "%u", n);
        kit_set(&f.env, "providers.scripted.garbage", value);
        open_fixture(&f);
        run(&f);
        assert_false(f.call.call.reply.complete);
        assert_int_equal(f.call.call.reply.outcome.end, CALL_BAD_REPLY);
        close_fixture(&f);
    }
}

static void test_llm_scripted__status(void **state)
{
    static const struct {
        const char *status, *retry_after;
        int want_status;
        int64_t want_after_ms;
        enum retry_verdict want;
    } cases[] = {
        {"429", NULL, 429, -1, RETRY_NO},
        {"429", "2", 429, 2000, RETRY_YES},
        {"500", NULL, 500, -1, RETRY_YES},
        {"529", NULL, 529, -1, RETRY_YES},
        {"402", NULL, 402, -1, RETRY_NO},
        {"400", NULL, 400, -1, RETRY_NO},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture f;
        kit_env_init(&f.env, NULL, NULL);
        kit_set(&f.env, "providers.scripted.status", cases[i].status);
        if (cases[i].retry_after)
            kit_set(&f.env, "providers.scripted.retry_after", cases[i].retry_after);
        open_fixture(&f);
        run(&f);
        const struct llm_reply *r = &f.call.call.reply;
        assert_false(r->complete);
        assert_int_equal(f.call.call.http_status, cases[i].want_status);
        assert_int_equal(r->outcome.end, CALL_STATUS);
        assert_int_equal(r->outcome.status, cases[i].want_status);
        assert_true(r->outcome.retry_after_ms == cases[i].want_after_ms);
        assert_non_null(strstr(r->detail, "providers.scripted.status"));
        struct retry_decision d =
            retry_decide(RETRY_ANTHROPIC, &r->outcome, 1, &f.env.rand.rand);
        assert_int_equal(d.verdict, cases[i].want);
        assert_int_equal(f.env.asked_brain, 0);
        close_fixture(&f);
    }
}

static void test_llm_scripted__fail_times(void **state)
{
    struct fixture f;
    (void)state;
    kit_env_init(&f.env, NULL, NULL);
    kit_set(&f.env, "providers.scripted.status", "529");
    kit_set(&f.env, "providers.scripted.fail_times", "2");
    open_fixture(&f);
    for (int i = 0; i < 4; i++) {
        run(&f);
        assert_int_equal(f.call.call.reply.complete, i >= 2);
        if (i < 3)
            kit_call_release(&f.call);
    }
    close_fixture(&f);
}

static void test_llm_scripted__empty_and_stop(void **state)
{
    struct fixture f;
    struct err err = ERR_INIT;
    (void)state;
    kit_env_init(&f.env, NULL, NULL);
    kit_set(&f.env, "providers.scripted.empty", "true");
    open_fixture(&f);
    run(&f);
    assert_true(f.call.call.reply.complete);
    assert_int_equal(f.call.call.reply.blocks.len, 0);
    assert_false(f.call.call.reply.outcome.any_text);
    close_fixture(&f);

    kit_env_init(&f.env, NULL, NULL);
    kit_set(&f.env, "providers.scripted.stop", "max_tokens");
    open_fixture(&f);
    run(&f);
    assert_true(f.call.call.reply.complete);
    assert_int_equal(f.call.call.reply.stop, STOP_MAX_TOKENS);
    kit_call_release(&f.call);
    llm_free(f.llm);
    kit_set(&f.env, "providers.scripted.stop", "max_token");
    assert_int_equal(llm_open(&f.llm, "scripted", &f.env.env, &err), E_POLICY);
    assert_non_null(strstr(err.message, "did you mean max_tokens"));
    kit_env_release(&f.env);
}

static void test_llm_scripted__cancel(void **state)
{
    (void)state;
    // When: 0 before anything ran, 1 while it waits for a timer, 2 out of on_text, 3 twice.
    for (int when = 0; when < 4; when++) {
        struct fixture f;
        kit_env_init(&f.env, NULL, NULL);
        kit_set(&f.env, "providers.scripted.delay_ms", when == 1 ? "100" : "0");
        open_fixture(&f);
        kit_call_init(&f.call, f.llm);
        kit_say(&f.call.said, ROLE_USER, "Hi");
        f.call.cancel_at = when == 2 ? 1 : 0;
        assert_int_equal(llm_start(f.llm, &f.call.call, NULL), E_OK);
        if (when == 1)
            loop_run_for(f.env.loop, 100);
        if (when != 2)
            llm_cancel(f.llm, &f.call.call);
        if (when == 3)
            llm_cancel(f.llm, &f.call.call);
        assert_int_equal(f.call.dones, 0);
        loop_run(f.env.loop);
        assert_int_equal(f.call.dones, 1);
        assert_int_equal(f.call.call.reply.outcome.end, CALL_CANCELLED);
        assert_false(f.call.call.reply.complete);
        assert_int_equal(f.call.texts, when == 1 || when == 2 ? 1 : 0);
        llm_cancel(f.llm, &f.call.call);  // harmless
        close_fixture(&f);
    }
}

static void test_llm_scripted__script_fails(void **state)
{
    struct fixture f;
    struct err err = ERR_INIT;
    (void)state;
    kit_env_init(&f.env, NULL, NULL);
    f.env.answer = NULL;
    open_fixture(&f);
    kit_call_init(&f.call, f.llm);
    kit_say(&f.call.said, ROLE_USER, "Hi");
    assert_int_equal(llm_start(f.llm, &f.call.call, &err), E_POLICY);
    assert_non_null(strstr(err.message, "offline.lua:3"));
    loop_run(f.env.loop);
    assert_int_equal(f.call.dones, 0);
    close_fixture(&f);
}

static void test_llm_scripted__tells_body(void **state)
{
    struct fixture f;
    (void)state;
    kit_env_init(&f.env, NULL, NULL);
    f.env.env.on_request = kit_on_request;
    open_fixture(&f);
    run(&f);
    assert_non_null(strstr(f.env.sent.ptr, "{\"type\":\"text\",\"text\":\"Hi there\"}"));
    close_fixture(&f);
}

static void test_llm_scripted__replay(void **state)
{
    static const char recording[] =
        "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi there\"},"
        "{\"role\":\"assistant\",\"content\":\"first\"},"
        "{\"role\":\"user\",\"content\":\"more\"},{\"role\":\"assistant\",\"content\":\"second\"}]}"
        "\n\n"
        "{\"id\":7,\"messages\":[{\"role\":\"system\",\"content\":\"x\"},"
        "{\"role\":\"user\",\"content\":\"Hi there\"},"
        "{\"role\":\"assistant\",\"content\":\"late\"}]}";
    char path[] = "/tmp/replay-XXXXXX";
    struct fixture f;
    (void)state;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, recording, sizeof(recording) - 1), sizeof(recording) - 1);
    kit_env_init(&f.env, NULL, NULL);
    kit_set(&f.env, "providers.scripted.replay", path);
    open_fixture(&f);
    run(&f);
    assert_string_equal(f.call.text.ptr, "first");
    kit_call_release(&f.call);

    kit_call_init(&f.call, f.llm);
    kit_say(&f.call.said, ROLE_USER, "Hi there");
    kit_say(&f.call.said, ROLE_ASSISTANT, "first");
    kit_say(&f.call.said, ROLE_USER, "more");
    assert_int_equal(llm_start(f.llm, &f.call.call, NULL), E_OK);
    loop_run(f.env.loop);
    assert_string_equal(f.call.text.ptr, "second");
    assert_int_equal(f.env.asked_brain, 0);
    kit_call_release(&f.call);

    kit_call_init(&f.call, f.llm);
    kit_say(&f.call.said, ROLE_USER, "Hi");
    kit_say(&f.call.said, ROLE_USER, " there");  // the same bytes, other messages
    assert_int_equal(llm_start(f.llm, &f.call.call, NULL), E_OK);
    loop_run(f.env.loop);
    assert_string_equal(f.call.text.ptr, f.env.answer);
    assert_int_equal(f.env.asked_brain, 1);
    kit_call_release(&f.call);
    llm_free(f.llm);

    struct err err = ERR_INIT;
    assert_int_equal(ftruncate(fd, 40), 0);
    assert_int_equal(llm_open(&f.llm, "scripted", &f.env.env, &err), E_POLICY);
    assert_non_null(strstr(err.message, "line 1: "));
    unlink(path);
    assert_int_equal(llm_open(&f.llm, "scripted", &f.env.env, &err), E_POLICY);
    assert_non_null(strstr(err.message, "cannot open"));
    close(fd);
    kit_env_release(&f.env);
}

static void test_llm_scripted__open_by_name(void **state)
{
    struct kit_env env;
    struct llm *llm;
    struct err err = ERR_INIT;
    (void)state;
    kit_env_init(&env, NULL, NULL);
    assert_int_equal(llm_open(&llm, "scriptde", &env.env, &err), E_POLICY);
    assert_non_null(strstr(err.message, "did you mean scripted"));
    kit_set(&env, "providers.desk.api", "skripted");
    assert_int_equal(llm_open(&llm, "desk", &env.env, &err), E_POLICY);
    assert_non_null(strstr(err.message, "no api is called skripted"));
    assert_int_equal(llm_open(&llm, "desc", &env.env, &err), E_POLICY);
    assert_non_null(strstr(err.message, "did you mean desk"));
    kit_set(&env, "providers.desk.api", "scripted");
    kit_set(&env, "providers.desk.window", "1234");
    assert_int_equal(llm_open(&llm, "desk", &env.env, &err), E_OK);
    assert_string_equal(llm->name, "desk");
    assert_int_equal(llm_caps_of(llm, "any").window_tokens, 1234);
    llm_free(llm);
    llm_free(NULL);
    kit_env_release(&env);
}

// Whichever allocation fails: start says so, or the call ends; nothing leaks, on_done comes once.
static void test_llm_scripted__out_of_memory(void **state)
{
    unsigned good = 0;
    (void)state;
    for (unsigned n = 1; good == 0; n++) {
        struct fixture f;
        kit_env_init(&f.env, NULL, NULL);
        kit_call_init(&f.call, NULL);
        kit_say(&f.call.said, ROLE_USER, "Hi there");
        f.llm = NULL;
        mem_fail_at(n, 0);
        int rc = llm_open(&f.llm, "scripted", &f.env.env, NULL);
        if (rc == E_OK)
            rc = llm_start(f.llm, &f.call.call, NULL);
        if (rc == E_OK) {
            loop_run(f.env.loop);
            assert_int_equal(f.call.dones, 1);
            good = f.call.call.reply.complete && f.call.text.len == strlen(f.env.answer);
            // A block that lost text may never pass for a whole reply.
            if (f.call.call.reply.complete)
                assert_string_equal(
                    VEC_AT(&f.call.call.reply.blocks, struct llm_block, 0)->text.ptr, f.env.answer);
        }
        mem_fail_at(0, 0);
        close_fixture(&f);
        assert_true(n < 1000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_llm_scripted__answers),
        cmocka_unit_test(test_llm_scripted__text_is_unaltered),
        cmocka_unit_test(test_llm_scripted__delay),
        cmocka_unit_test(test_llm_scripted__drop_at_every_byte),
        cmocka_unit_test(test_llm_scripted__garbage_at_every_byte),
        cmocka_unit_test(test_llm_scripted__status),
        cmocka_unit_test(test_llm_scripted__fail_times),
        cmocka_unit_test(test_llm_scripted__empty_and_stop),
        cmocka_unit_test(test_llm_scripted__cancel),
        cmocka_unit_test(test_llm_scripted__script_fails),
        cmocka_unit_test(test_llm_scripted__tells_body),
        cmocka_unit_test(test_llm_scripted__replay),
        cmocka_unit_test(test_llm_scripted__open_by_name),
        cmocka_unit_test(test_llm_scripted__out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
