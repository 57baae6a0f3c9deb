// SPDX-License-Identifier: MIT
// The providers over the real wire, against a server on this machine: what is sent, what comes
// back, and how everything that can go wrong on the way is told.
#include "llm_kit.h"
#include "support/loopback.h"

#define SSE_HEADERS "Content-Type: text/event-stream; charset=utf-8\r\nrequest-id: req_7\r\n"

static const char anthropic_stream[] =
    "event: message_start\ndata: "
    "{\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"usage\":"
    "{\"input_tokens\":10,\"output_tokens\":1}}}\n\n"
    "event: content_block_start\ndata: "
    "{\"type\":\"content_block_start\",\"index\":0,\"content_block\":"
    "{\"type\":\"text\",\"text\":\"\"}}\n\n"
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":"
    "{\"type\":\"text_delta\",\"text\":\"Hello\"}}\n\n"
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
    "event: message_delta\ndata: "
    "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},"
    "\"usage\":{\"output_tokens\":3}}\n\n"
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
static const char openai_stream[] =
    "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hello\"}}]}\n\n"
    "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
    "data: "
    "{\"id\":\"c\",\"choices\":[],\"usage\":{\"prompt_tokens\":4,\"completion_tokens\":2}}\n\n"
    "data: [DONE]\n\n";

struct fixture {
    struct kit_env env;
    struct wire *wire;
    struct loopback server;
    struct loopback_reply reply;
    struct buf bytes;
    struct llm *llm;
    struct kit_call call;
    struct buf seen;    // the request as it came
    char base_url[LOOPBACK_URL_BYTES];
};

// `api` talks to a server that answers with `bytes`.
static void open_fixture(struct fixture *f, const char *api, struct slice bytes,
                         enum loopback_then then)
{
    struct loop *loop;
    *f = (struct fixture){.bytes = BUF_INIT(4 << 20), .seen = BUF_INIT(1 << 20)};
    assert_int_equal(loop_new(&loop, clock_system(), NULL), E_OK);
    kit_env_init(&f->env, loop, clock_system());
    assert_int_equal(wire_new_curl(&f->wire, loop, NULL), E_OK);
    f->env.env.wire = f->wire;
    f->env.key = "sk-secret-1";
    buf_add_slice(&f->bytes, bytes);
    f->reply = (struct loopback_reply){.bytes = buf_slice(&f->bytes), .then = then};
    loopback_start(&f->server, &f->reply, 1);
    loopback_url(&f->server, "/v1/", f->base_url);
    kit_set(&f->env, "providers.here.api", api);
    kit_set(&f->env, "providers.here.base_url", f->base_url);
    kit_set(&f->env, "providers.here.key_env", "HERE_KEY");
}

static void run(struct fixture *f)
{
    struct err err = ERR_INIT;
    if (llm_open(&f->llm, "here", &f->env.env, &err))
        fail_msg("%s", err.message);
    kit_call_init(&f->call, f->llm);
    kit_say(&f->call.said, ROLE_USER, "Hi");
    f->call.stop = f->env.loop;
    if (llm_start(f->llm, &f->call.call, &err))
        fail_msg("%s", err.message);
    assert_int_equal(f->call.dones, 0);
    loop_run(f->env.loop);
    assert_int_equal(f->call.dones, 1);
    loopback_last(&f->server, &f->seen);
    // Whatever happens, the key stays out of what people read.
    assert_null(strstr(f->call.call.reply.detail, "sk-secret"));
}

static void close_fixture(struct fixture *f)
{
    if (f->llm)
        kit_call_release(&f->call);
    llm_free(f->llm);
    wire_free(f->wire);
    loopback_stop(&f->server);
    buf_release(&f->bytes);
    buf_release(&f->seen);
    kit_env_release(&f->env);
}

static struct buf http(int status, const char *headers, const char *body)
{
    struct buf out = BUF_INIT(4 << 20);
    loopback_http(&out, status, headers, slice_str(body));
    return out;
}

static bool sent(const struct fixture *f, const char *what)
{
    return strcasestr(f->seen.ptr, what) != NULL;
}

static void test_llm_http__anthropic(void **state)
{
    struct buf bytes = http(200, SSE_HEADERS, anthropic_stream);
    struct fixture f;
    (void)state;
    open_fixture(&f, "anthropic", buf_slice(&bytes), LOOPBACK_KEEP);
    kit_set(&f.env, "providers.here.headers.anthropic-beta", "beta-1");
    f.env.env.on_request = kit_on_request;
    run(&f);
    assert_true(f.call.call.reply.complete);
    assert_int_equal(f.call.call.reply.stop, STOP_END);
    assert_int_equal(f.call.call.http_status, 200);
    assert_string_equal(f.call.text.ptr, "Hello");
    assert_int_equal(f.call.call.reply.usage.input_tokens, 10);
    assert_string_equal(f.call.call.reply.detail, "");
    assert_true(slice_starts(buf_slice(&f.seen), SLICE_LIT("POST /v1/messages HTTP/1.1\r\n")));
    assert_true(sent(&f, "\r\nx-api-key: sk-secret-1\r\n"));
    assert_true(sent(&f, "\r\nanthropic-version: 2023-06-01\r\n"));
    assert_true(sent(&f, "\r\ncontent-type: application/json\r\n"));
    assert_true(sent(&f, "\r\naccept: text/event-stream\r\n"));
    assert_true(sent(&f, "\r\nanthropic-beta: beta-1\r\n"));
    assert_false(sent(&f, "authorization:"));
    assert_false(sent(&f, "accept-encoding:"));
    assert_string_equal(f.env.asked, "HERE_KEY");
    assert_non_null(strstr(f.seen.ptr, f.env.sent.ptr));
    assert_null(strstr(f.env.sent.ptr, "sk-secret"));
    close_fixture(&f);
    buf_release(&bytes);
}

static void test_llm_http__no_key_in_configured_headers(void **state)
{
    static const char *const names[] = {"Authorization", "x-api-key", "API-Key", "cookie"};
    struct buf bytes = http(200, SSE_HEADERS, openai_stream);

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct err err = ERR_INIT;
        struct fixture f;
        char option[64];
        open_fixture(&f, "openai", buf_slice(&bytes), LOOPBACK_KEEP);
        snprintf(option, sizeof(option), "providers.here.headers.%s", names[i]);
        kit_set(&f.env, option, "sk-secret-2");
        assert_int_equal(llm_open(&f.llm, "here", &f.env.env, &err), E_POLICY);
        assert_non_null(strstr(err.message, "key_env"));
        assert_null(strstr(err.message, "sk-secret"));
        close_fixture(&f);
    }
    buf_release(&bytes);
}

static void test_llm_http__openai(void **state)
{
    struct buf bytes = http(200, SSE_HEADERS, openai_stream);
    struct fixture f;
    (void)state;
    open_fixture(&f, "openai", buf_slice(&bytes), LOOPBACK_KEEP);
    run(&f);
    assert_true(f.call.call.reply.complete);
    assert_string_equal(f.call.text.ptr, "Hello");
    assert_true(f.call.call.reply.usage_known);
    assert_true(
        slice_starts(buf_slice(&f.seen), SLICE_LIT("POST /v1/chat/completions HTTP/1.1\r\n")));
    assert_true(sent(&f, "\r\nauthorization: Bearer sk-secret-1\r\n"));
    assert_false(sent(&f, "x-api-key:"));
    assert_false(sent(&f, "anthropic-version:"));
    assert_int_equal(llm_retry_dialect(f.llm), RETRY_OPENAI);
    close_fixture(&f);
    buf_release(&bytes);
}

static void test_llm_http__auth(void **state)
{
    struct buf bytes = http(200, SSE_HEADERS, anthropic_stream);
    struct fixture f;
    (void)state;
    open_fixture(&f, "anthropic", buf_slice(&bytes), LOOPBACK_KEEP);
    kit_set(&f.env, "providers.here.auth", "bearer");
    kit_set(&f.env, "providers.here.version", "2026-10-21");
    run(&f);
    assert_true(sent(&f, "\r\nauthorization: Bearer sk-secret-1\r\n"));
    assert_true(sent(&f, "\r\nanthropic-version: 2026-10-21\r\n"));
    assert_false(sent(&f, "x-api-key:"));
    close_fixture(&f);

    open_fixture(&f, "openai", buf_slice(&bytes), LOOPBACK_KEEP);
    kit_set(&f.env, "providers.here.auth", "none");
    run(&f);
    assert_false(sent(&f, "authorization:"));
    close_fixture(&f);

    // A local server needs no key.
    open_fixture(&f, "openai", buf_slice(&bytes), LOOPBACK_KEEP);
    f.env.key = NULL;
    run(&f);
    assert_false(sent(&f, "authorization:"));
    close_fixture(&f);
    buf_release(&bytes);
}

static void test_llm_http__errors(void **state)
{
    static const struct {
        const char *api;
        int status;
        const char *headers, *body;
        int64_t retry_after_ms;
        int should_retry;
        enum retry_verdict verdict;
        const char *says;
    } cases[] = {
        {"anthropic", 429, "retry-after: 3\r\n",
         "{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"slow down\"}}",
         3000, -1, RETRY_YES, "slow down"},
        {"anthropic", 429, "", "{}", -1, -1, RETRY_NO, "status 429"},
        {"anthropic", 529, "x-should-retry: false\r\nretry-after-ms: 1500\r\nretry-after: 2\r\n",
         "", 1500, 0, RETRY_NO, "status 529"},
        {"anthropic", 500, "retry-after: 2\r\nretry-after-ms: 250\r\nrequest-id: req_9\r\n", "oops",
         250, -1, RETRY_YES, "status 500 (request req_9)"},
        {"openai", 503, "Retry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\n", "", 0, -1, RETRY_YES,
         "status 503"},
        {"openai", 503, "Retry-After: soon\r\n", "", -1, -1, RETRY_YES, "status 503"},
        {"openai", 503, "Retry-After: 1.5\r\n", "", 1500, -1, RETRY_YES, "status 503"},
        {"openai", 401, "",
         "{\"error\":{\"message\":\"Incorrect API key provided: sk-secret-1.\"}}", -1, -1, RETRY_NO,
         "Incorrect API key provided: key"},
        {"openai", 400, "",
         "{\"error\":{\"code\":\"context_length_exceeded\",\"message\":\"long\"}}", -1, -1,
         RETRY_SMALLER, "long"},
        {"openai", 429, "", "{\"error\":{\"code\":\"insufficient_quota\",\"message\":\"broke\"}}",
         -1, -1, RETRY_NO, "broke"},
        {"openai", 301, "Location: http://127.0.0.1:1/\r\n", "", -1, -1, RETRY_NO, "status 301"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf bytes = http(cases[i].status, cases[i].headers, cases[i].body);
        struct fixture f;
        open_fixture(&f, cases[i].api, buf_slice(&bytes), LOOPBACK_KEEP);
        run(&f);
        const struct llm_reply *r = &f.call.call.reply;
        assert_false(r->complete);
        assert_int_equal(f.call.call.http_status, cases[i].status);
        assert_int_equal(r->outcome.end, CALL_STATUS);
        assert_int_equal(r->outcome.status, cases[i].status);
        assert_true(r->outcome.retry_after_ms == cases[i].retry_after_ms);
        assert_int_equal(r->outcome.should_retry, cases[i].should_retry);
        if (!strstr(r->detail, cases[i].says))
            fail_msg("case %zu: %s", i, r->detail);
        assert_int_equal(
            retry_decide(llm_retry_dialect(f.llm), &r->outcome, 1, f.env.env.rand).verdict,
            cases[i].verdict);
        close_fixture(&f);
        buf_release(&bytes);
    }
}

static void test_llm_http__huge_error_body(void **state)
{
    struct buf body = BUF_INIT(2 << 20), bytes = BUF_INIT(4 << 20);
    struct fixture f;
    (void)state;
    for (int i = 0; i < 1 << 20; i++)
        buf_add_char(&body, 'x');
    loopback_http(&bytes, 500, "", buf_slice(&body));
    open_fixture(&f, "openai", buf_slice(&bytes), LOOPBACK_KEEP);
    run(&f);
    assert_int_equal(f.call.call.reply.outcome.end, CALL_STATUS);
    assert_int_equal(f.call.call.reply.outcome.status, 500);
    close_fixture(&f);
    buf_release(&body);
    buf_release(&bytes);
}

static void test_llm_http__bad_replies(void **state)
{
    static const struct {
        const char *headers, *body;
    } cases[] = {
        {"Content-Type: application/json\r\n", "{\"choices\":[]}"},
        {"Content-Type: text/html\r\n", "<html>"},
        {"", anthropic_stream},
        {SSE_HEADERS, "data: <html>\n\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf bytes = http(200, cases[i].headers, cases[i].body);
        struct fixture f;
        open_fixture(&f, "anthropic", buf_slice(&bytes), LOOPBACK_KEEP);
        run(&f);
        assert_false(f.call.call.reply.complete);
        assert_int_equal(f.call.call.reply.outcome.end, CALL_BAD_REPLY);
        assert_null(strstr(f.call.call.reply.detail, "html"));
        close_fixture(&f);
        buf_release(&bytes);
    }
}

static void test_llm_http__error_event(void **state)
{
    struct buf bytes = http(200, SSE_HEADERS,
                            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":"
                            "\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n");
    struct fixture f;
    (void)state;
    open_fixture(&f, "anthropic", buf_slice(&bytes), LOOPBACK_KEEP);
    run(&f);
    assert_int_equal(f.call.call.reply.outcome.end, CALL_ERROR_EVENT);
    assert_int_equal(f.call.call.reply.outcome.status, 529);
    assert_string_equal(f.call.call.reply.detail, "Overloaded (request req_7)");
    close_fixture(&f);
    buf_release(&bytes);
}

// The connection goes away after n bytes of the whole answer.
static void cut_at(size_t n, struct slice whole, size_t head, const char *api, bool reset)
{
    struct fixture f;
    open_fixture(&f, api, slice_of(whole.ptr, n), reset ? LOOPBACK_RESET : LOOPBACK_CLOSE);
    run(&f);
    const struct llm_reply *r = &f.call.call.reply;
    assert_false(r->complete);
    assert_int_equal(r->stop, STOP_LOST);
    if (n < 9)
        assert_int_equal(r->outcome.end, CALL_LOST);
    else if (n >= head)
        assert_int_equal(r->outcome.end, CALL_CUT);
    assert_true(r->detail[0] != '\0');
    close_fixture(&f);
}

static void test_llm_http__cuts(void **state)
{
    struct buf bytes = http(200, SSE_HEADERS, anthropic_stream);
    size_t head = bytes.len - (sizeof(anthropic_stream) - 1);
    (void)state;
    cut_at(0, buf_slice(&bytes), head, "anthropic", false);
    cut_at(0, buf_slice(&bytes), head, "anthropic", true);
    for (size_t n = head; n < bytes.len; n += 29)
        cut_at(n, buf_slice(&bytes), head, "anthropic", false);
    cut_at(bytes.len - 1, buf_slice(&bytes), head, "anthropic", false);
    buf_release(&bytes);
}

// The reply is whole once its terminal event is there, whatever becomes of the connection.
static void test_llm_http__whole_though_reset(void **state)
{
    struct buf bytes = BUF_INIT(1 << 16);
    struct fixture f;
    (void)state;
    buf_add_str(&bytes, "HTTP/1.1 200 OK\r\n" SSE_HEADERS "Content-Length: 99999\r\n\r\n");
    buf_add_str(&bytes, anthropic_stream);
    open_fixture(&f, "anthropic", buf_slice(&bytes), LOOPBACK_CLOSE);
    run(&f);
    assert_true(f.call.call.reply.complete);
    assert_int_equal(f.call.call.reply.stop, STOP_END);
    close_fixture(&f);
    buf_release(&bytes);
}

static void test_llm_http__no_done_marker(void **state)
{
    struct buf body = BUF_INIT(1 << 16);
    (void)state;
    buf_add(&body, openai_stream, sizeof(openai_stream) - 1 - strlen("data: [DONE]\n\n"));
    // With the marker wanted, without, and without but with the connection broken.
    for (int i = 0; i < 3; i++) {
        struct buf bytes = http(200, SSE_HEADERS, body.ptr);
        struct fixture f;
        size_t len = i == 2 ? bytes.len - 1 : bytes.len;
        open_fixture(&f, "openai", slice_of(bytes.ptr, len), LOOPBACK_CLOSE);
        kit_set(&f.env, "providers.here.done_marker", i ? "false" : "true");
        run(&f);
        assert_int_equal(f.call.call.reply.complete, i == 1);
        assert_int_equal(f.call.call.reply.stop, i == 1 ? STOP_END : STOP_LOST);
        close_fixture(&f);
        buf_release(&bytes);
    }
    buf_release(&body);
}

static void test_llm_http__no_connection_and_deadlines(void **state)
{
    struct fixture f;
    (void)state;
    open_fixture(&f, "openai", SLICE_NONE, LOOPBACK_HANG);
    kit_set(&f.env, "providers.here.first_byte_timeout", "30ms");
    run(&f);
    assert_int_equal(f.call.call.reply.outcome.end, CALL_TIMEOUT_FIRST);
    assert_int_equal(f.call.call.http_status, 0);
    close_fixture(&f);

    struct buf bytes = BUF_INIT(4096);
    buf_add_str(&bytes, "HTTP/1.1 200 OK\r\n" SSE_HEADERS "\r\n: comment\n\n");
    open_fixture(&f, "openai", buf_slice(&bytes), LOOPBACK_HANG);
    kit_set(&f.env, "providers.here.idle_timeout", "30ms");
    run(&f);
    assert_int_equal(f.call.call.reply.outcome.end, CALL_CUT);
    close_fixture(&f);
    buf_release(&bytes);

    open_fixture(&f, "openai", SLICE_NONE, LOOPBACK_CLOSE);
    kit_set(&f.env, "providers.here.base_url", "http://127.0.0.1:1/v1");
    run(&f);
    assert_int_equal(f.call.call.reply.outcome.end, CALL_NO_CONNECT);
    close_fixture(&f);
}

static void test_llm_http__cancel(void **state)
{
    struct buf bytes = http(200, SSE_HEADERS, anthropic_stream);
    (void)state;
    // 0: out of on_text, 1: at once.
    for (int i = 0; i < 2; i++) {
        struct fixture f;
        open_fixture(&f, "anthropic", buf_slice(&bytes), LOOPBACK_KEEP);
        assert_int_equal(llm_open(&f.llm, "here", &f.env.env, NULL), E_OK);
        kit_call_init(&f.call, f.llm);
        kit_say(&f.call.said, ROLE_USER, "Hi");
        f.call.stop = f.env.loop;
        f.call.cancel_at = i ? 0 : 1;
        assert_int_equal(llm_start(f.llm, &f.call.call, NULL), E_OK);
        if (i)
            llm_cancel(f.llm, &f.call.call);
        assert_int_equal(f.call.dones, 0);
        loop_run(f.env.loop);
        assert_int_equal(f.call.dones, 1);
        assert_false(f.call.call.reply.complete);
        assert_int_equal(f.call.call.reply.outcome.end, CALL_CANCELLED);
        close_fixture(&f);
    }
    buf_release(&bytes);
}

static void test_llm_http__open_refuses(void **state)
{
    static const struct {
        const char *option, *value;
        const char *key;
        const char *says;
    } cases[] = {
        {"providers.here.base_url", "ftp://x/", "k", "not a URL"},
        {"providers.here.base_url", "https:///v1", "k", "not a URL"},
        {"providers.here.base_url", "https://a b/v1", "k", "not a URL"},
        {"providers.here.base_url", "http://127.0.0.1@example.org/v1", "k", "not a URL"},
        {"providers.here.base_url", "http://example.org/v1", "k", "plain http"},
        {"providers.here.base_url", "http://127.0.0.1.example.org/v1", "k", "plain http"},
        {"providers.here.base_url", "https://example.org/v1", NULL, "set HERE_KEY"},
        {"providers.here.base_url", "https://example.org/v1", "", "set HERE_KEY"},
        {"providers.here.base_url", "https://example.org/v1", "k\r\nx: y", "control character"},
        {"providers.here.auth", "basic", "k", "x-api-key, bearer or none"},
    };
    struct fixture f;
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err err = ERR_INIT;
        open_fixture(&f, "openai", SLICE_NONE, LOOPBACK_CLOSE);
        kit_set(&f.env, cases[i].option, cases[i].value);
        f.env.key = cases[i].key;
        assert_int_equal(llm_open(&f.llm, "here", &f.env.env, &err), E_POLICY);
        assert_null(f.llm);
        if (!strstr(err.message, cases[i].says) || strstr(err.message, "x: y"))
            fail_msg("case %zu: %s", i, err.message);
        close_fixture(&f);
    }
}

// The shipped key's name is for the shipped address: it is not asked for with any other.
static void test_llm_http__keys_stay_home(void **state)
{
    struct fixture f;
    struct err err = ERR_INIT;
    (void)state;
    open_fixture(&f, "openai", SLICE_NONE, LOOPBACK_CLOSE);
    kit_set(&f.env, "providers.openai.base_url", "https://example.org/v1");
    assert_int_equal(llm_open(&f.llm, "openai", &f.env.env, &err), E_POLICY);
    assert_non_null(strstr(err.message, "providers.openai.key_env"));
    assert_string_equal(f.env.asked, "");
    assert_int_equal(llm_open(&f.llm, "anthropic", &f.env.env, &err), E_OK);
    assert_string_equal(f.env.asked, "ANTHROPIC_API_KEY");
    close_fixture(&f);
}

static void test_llm_http__out_of_memory(void **state)
{
    struct buf bytes = http(200, SSE_HEADERS, anthropic_stream);
    bool good = false;
    (void)state;
    for (unsigned n = 1; !good; n++) {
        struct fixture f;
        open_fixture(&f, "anthropic", buf_slice(&bytes), LOOPBACK_KEEP);
        kit_call_init(&f.call, NULL);
        kit_say(&f.call.said, ROLE_USER, "Hi");
        f.call.stop = f.env.loop;
        mem_fail_at(n, 0);
        int rc = llm_open(&f.llm, "here", &f.env.env, NULL);
        if (rc == E_OK)
            rc = llm_start(f.llm, &f.call.call, NULL);
        if (rc == E_OK)
            loop_run(f.env.loop);
        mem_fail_at(0, 0);
        assert_int_equal(f.call.dones, rc == E_OK);
        good = rc == E_OK && f.call.call.reply.complete && f.call.text.len == 5;
        if (!f.llm)
            kit_call_release(&f.call);
        close_fixture(&f);
        assert_true(n < 1000);
    }
    buf_release(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_llm_http__anthropic),
        cmocka_unit_test(test_llm_http__no_key_in_configured_headers),
        cmocka_unit_test(test_llm_http__openai),
        cmocka_unit_test(test_llm_http__auth),
        cmocka_unit_test(test_llm_http__errors),
        cmocka_unit_test(test_llm_http__huge_error_body),
        cmocka_unit_test(test_llm_http__bad_replies),
        cmocka_unit_test(test_llm_http__error_event),
        cmocka_unit_test(test_llm_http__cuts),
        cmocka_unit_test(test_llm_http__whole_though_reset),
        cmocka_unit_test(test_llm_http__no_done_marker),
        cmocka_unit_test(test_llm_http__no_connection_and_deadlines),
        cmocka_unit_test(test_llm_http__cancel),
        cmocka_unit_test(test_llm_http__open_refuses),
        cmocka_unit_test(test_llm_http__keys_stay_home),
        cmocka_unit_test(test_llm_http__out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
