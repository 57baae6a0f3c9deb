// SPDX-License-Identifier: MIT
// test_llm_count.c: asking a provider how many tokens a request has, over the real wire, against a
// server on this machine: what is sent in either dialect, and every way to get no answer.
#include "llm_kit.h"
#include "support/loopback.h"

#define JSON_HEADERS "Content-Type: application/json\r\n"

struct fixture {
    struct kit_env env;
    struct wire *wire;
    struct loopback server;
    struct loopback_reply reply;
    struct buf bytes, seen;
    struct llm *llm;
    struct kit_request said;
    struct llm_count count;
    unsigned dones;
    char base_url[LOOPBACK_URL_BYTES];
};

static void on_counted(struct llm_count *count)
{
    struct fixture *f = count->user;
    f->dones++;
    loop_stop(f->env.loop);
}

static void open_fixture(struct fixture *f, const char *api, int status, const char *body,
                         enum loopback_then then)
{
    struct loop *loop;
    *f = (struct fixture){.bytes = BUF_INIT(1 << 20), .seen = BUF_INIT(1 << 20)};
    assert_int_equal(loop_new(&loop, clock_system(), NULL), E_OK);
    kit_env_init(&f->env, loop, clock_system());
    assert_int_equal(wire_new_curl(&f->wire, loop, NULL), E_OK);
    f->env.env.wire = f->wire;
    f->env.key = "sk-secret-1";
    if (status)
        loopback_http(&f->bytes, status, JSON_HEADERS, slice_str(body));
    f->reply = (struct loopback_reply){.bytes = buf_slice(&f->bytes), .then = then};
    loopback_start(&f->server, &f->reply, 1);
    loopback_url(&f->server, "/v1", f->base_url);
    kit_set(&f->env, "providers.here.api", api);
    kit_set(&f->env, "providers.here.base_url", f->base_url);
    kit_set(&f->env, "providers.here.key_env", "HERE_KEY");
    kit_say(&f->said, ROLE_USER, "Hi");
    kit_say(&f->said, ROLE_ASSISTANT, "Hello");
    kit_say(&f->said, ROLE_USER, "How many?");
    f->said.request.system = kit_safe("Be brief.");
    f->said.request.system_tokens = 100000;
    f->said.request.cache = true;
    f->said.request.fresh = true;
    f->said.request.max_output_tokens = 77;
}

static void open_llm(struct fixture *f)
{
    struct err err = ERR_INIT;
    if (llm_open(&f->llm, "here", &f->env.env, &err))
        fail_msg("%s", err.message);
}

static void start(struct fixture *f)
{
    struct err err = ERR_INIT;
    unsigned before = f->dones;
    f->count = (struct llm_count){
        .request = &f->said.request, .on_done = on_counted, .user = f};
    assert_true(llm_can_count(f->llm));
    if (llm_count_start(f->llm, &f->count, &err))
        fail_msg("%s", err.message);
    assert_int_equal(f->dones, before);
}

static void finish(struct fixture *f)
{
    unsigned before = f->dones;
    loop_run(f->env.loop);
    assert_int_equal(f->dones, before + 1);
    assert_null(f->count.impl);
}

static void run(struct fixture *f)
{
    open_llm(f);
    start(f);
    finish(f);
    loopback_last(&f->server, &f->seen);
}

static void close_fixture(struct fixture *f)
{
    kit_request_release(&f->said);
    llm_free(f->llm);
    wire_free(f->wire);
    loopback_stop(&f->server);
    buf_release(&f->bytes);
    buf_release(&f->seen);
    kit_env_release(&f->env);
}

static bool sent(const struct fixture *f, const char *what)
{
    return strcasestr(f->seen.ptr, what) != NULL;
}

static void test_count__anthropic(void **state)
{
    struct fixture f;
    (void)state;
    open_fixture(&f, "anthropic", 200, "{\"input_tokens\":2095}", LOOPBACK_KEEP);
    run(&f);
    assert_int_equal(f.count.code, E_OK);
    assert_int_equal(f.count.tokens, 2095);
    assert_true(
        slice_starts(buf_slice(&f.seen), SLICE_LIT("POST /v1/messages/count_tokens HTTP/1.1\r\n")));
    assert_true(sent(&f, "\r\nx-api-key: sk-secret-1\r\n"));
    assert_true(sent(&f, "\r\nanthropic-version: 2023-06-01\r\n"));
    assert_false(sent(&f, "text/event-stream"));
    assert_string_equal(
        strstr(f.seen.ptr, "\r\n\r\n") + 4,
        "{\"model\":\"m\",\"system\":\"Be brief.\",\"messages\":["
        "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"Hi\"}]},"
        "{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"Hello\"}]},"
        "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"How many?\"}]}]}");
    assert_true(llm_can_count(f.llm));
    assert_true(llm_is_own(f.llm));
    close_fixture(&f);
}

static void test_count__openai(void **state)
{
    struct fixture f;
    (void)state;
    open_fixture(&f, "openai", 200, "{\"object\":\"response.input_tokens\",\"input_tokens\":31}",
                 LOOPBACK_KEEP);
    run(&f);
    assert_int_equal(f.count.code, E_OK);
    assert_int_equal(f.count.tokens, 31);
    assert_true(slice_starts(buf_slice(&f.seen),
                             SLICE_LIT("POST /v1/chat/completions/input_tokens HTTP/1.1\r\n")));
    assert_string_equal(strstr(f.seen.ptr, "\r\n\r\n") + 4,
                        "{\"model\":\"m\",\"messages\":["
                        "{\"role\":\"system\",\"content\":\"Be brief.\"},"
                        "{\"role\":\"user\",\"content\":\"Hi\"},"
                        "{\"role\":\"assistant\",\"content\":\"Hello\"},"
                        "{\"role\":\"user\",\"content\":\"How many?\"}]}");
    close_fixture(&f);
}

static void test_count__who_cannot(void **state)
{
    struct kit_env k;
    struct llm *llm;
    (void)state;
    kit_env_init(&k, NULL, NULL);
    k.key = "sk-1";
    assert_int_equal(llm_open(&llm, "openai", &k.env, NULL), E_OK);
    assert_false(llm_can_count(llm));
    assert_false(llm_is_own(llm));
    llm_free(llm);
    assert_int_equal(llm_open(&llm, "scripted", &k.env, NULL), E_OK);
    assert_false(llm_can_count(llm));
    llm_free(llm);
    assert_int_equal(llm_open(&llm, "anthropic", &k.env, NULL), E_OK);
    assert_true(llm_can_count(llm));
    assert_false(llm_is_own(llm));
    llm_free(llm);
    kit_env_release(&k);
}

// Whatever comes instead of a count, the provider is then left alone.
static void test_count__no_answer(void **state)
{
    static const struct {
        int status;
        const char *body;
        enum loopback_then then;
    } cases[] = {
        {404, "{}", LOOPBACK_KEEP},
        {405, "", LOOPBACK_KEEP},
        {501, "", LOOPBACK_KEEP},
        {400, "{\"type\":\"error\",\"error\":{\"message\":\"no\"}}", LOOPBACK_KEEP},
        {429, "", LOOPBACK_KEEP},
        {500, "{\"input_tokens\":5}", LOOPBACK_KEEP},
        {200, "", LOOPBACK_KEEP},
        {200, "{}", LOOPBACK_KEEP},
        {200, "[7]", LOOPBACK_KEEP},
        {200, "{\"input_tokens\":0}", LOOPBACK_KEEP},
        {200, "{\"input_tokens\":-3}", LOOPBACK_KEEP},
        {200, "{\"input_tokens\":\"12\"}", LOOPBACK_KEEP},
        {200, "{\"input_tokens\":12.5}", LOOPBACK_KEEP},
        {200, "{\"input_tokens\":12", LOOPBACK_KEEP},
        {200, "<html>12</html>", LOOPBACK_KEEP},
        {0, "", LOOPBACK_CLOSE},
        {0, "", LOOPBACK_RESET},
        {0, "", LOOPBACK_HANG},  // the deadline
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture f;
        open_fixture(&f, i % 2 ? "openai" : "anthropic", cases[i].status, cases[i].body,
                     cases[i].then);
        if (cases[i].then == LOOPBACK_HANG)
            kit_set(&f.env, "providers.here.first_byte_timeout", "50ms");
        run(&f);
        if (f.count.code != E_PROVIDER || f.count.tokens != 0 || llm_can_count(f.llm))
            fail_msg("case %zu: code %d, %llu tokens", i, f.count.code,
                     (unsigned long long)f.count.tokens);
        close_fixture(&f);
    }
}

static void test_count__longer_than_an_answer_is(void **state)
{
    struct fixture f;
    (void)state;
    open_fixture(&f, "openai", 0, "", LOOPBACK_CLOSE);
    buf_add_str(&f.bytes, "HTTP/1.1 200 OK\r\n\r\n{\"input_tokens\":5,\"a\":\"");
    for (unsigned i = 0; i < 20000; i++)
        buf_add_str(&f.bytes, "xxxxxxxxxx");
    buf_add_str(&f.bytes, "\"}");
    f.reply.bytes = buf_slice(&f.bytes);
    run(&f);
    assert_int_equal(f.count.code, E_PROVIDER);
    close_fixture(&f);
}

static void test_count__rests_after_a_failure_but_not_for_good(void **state)
{
    struct fixture f;
    struct clock_sim clock;
    (void)state;
    clock_sim_init(&clock, 1767261600000);
    open_fixture(&f, "anthropic", 500, "{}", LOOPBACK_KEEP);
    f.env.env.clock = &clock.clock;
    run(&f);
    assert_false(llm_can_count(f.llm));
    clock_sim_advance(&clock, LLM_COUNT_REST_MS - 1);
    assert_false(llm_can_count(f.llm));
    clock_sim_advance(&clock, 1);
    assert_true(llm_can_count(f.llm));
    close_fixture(&f);

    open_fixture(&f, "anthropic", 404, "{}", LOOPBACK_KEEP);
    f.env.env.clock = &clock.clock;
    run(&f);
    clock_sim_advance(&clock, 100 * LLM_COUNT_REST_MS);
    assert_false(llm_can_count(f.llm));
    close_fixture(&f);
}

static void test_count__cancelled(void **state)
{
    struct fixture f;
    (void)state;
    open_fixture(&f, "anthropic", 0, "", LOOPBACK_HANG);
    open_llm(&f);
    start(&f);
    llm_count_cancel(f.llm, &f.count);
    finish(&f);
    assert_int_equal(f.count.code, E_CANCELLED);
    // That says nothing of the provider.
    assert_true(llm_can_count(f.llm));
    llm_count_cancel(f.llm, &f.count);
    close_fixture(&f);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_count__anthropic),
        cmocka_unit_test(test_count__openai),
        cmocka_unit_test(test_count__who_cannot),
        cmocka_unit_test(test_count__no_answer),
        cmocka_unit_test(test_count__longer_than_an_answer_is),
        cmocka_unit_test(test_count__rests_after_a_failure_but_not_for_good),
        cmocka_unit_test(test_count__cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
