// SPDX-License-Identifier: MIT
// Embeddings: what is asked, what is read of an answer (in whatever order and form, and of answers
// that are wrong in every way), over the real wire against a server on this machine, and offline.
#include "llm/embed.h"
#include "llm_kit.h"
#include "support/loopback.h"

#include <math.h>

enum { INPUTS = 3 };

struct asked {
    struct llm_embed_call call;
    struct safe_text inputs[INPUTS];
    unsigned dones;
    struct loop *stop;
};

static void on_done(struct llm_embed_call *call)
{
    struct asked *a = call->user;
    a->dones++;
    if (a->stop)
        loop_stop(a->stop);
}

static void asked_init(struct asked *a)
{
    *a = (struct asked){.inputs = {kit_safe("the cat sat"), kit_safe("a \"dog\""), kit_safe("€")}};
    a->call = (struct llm_embed_call){.model = "m", .inputs = a->inputs, .inputs_len = INPUTS,
                                      .on_done = on_done, .user = a};
}

// ---- reading

static bool reads(struct asked *a, const char *body)
{
    llm_embed_release(&a->call);
    llm_reply_init(&a->call.reply);
    llm_embed_read(&a->call, slice_str(body));
    bool whole = a->call.reply.complete;
    assert_int_equal(whole, a->call.vectors != NULL);
    assert_int_equal(whole, a->call.reply.detail[0] == '\0');
    assert_true(whole || a->call.reply.outcome.end == CALL_BAD_REPLY);
    return whole;
}

static void assert_vectors(const struct asked *a, const float *expected, uint32_t dims)
{
    assert_int_equal(a->call.dims, dims);
    for (uint32_t i = 0; i < INPUTS * dims; i++)
        assert_true(fabsf(a->call.vectors[i] - expected[i]) < 1e-6F);
}

static void test_llm_embed__reads_whole_answers(void **state)
{
    static const float expected[] = {1, -0.5F, 0, 2.25F, 1e-3F, 0.1F};
    // base64: 1, -0.5 | 0, 2.25 | 0.001, 0.1; the last one padded, its "/" escaped
    static const char *const bodies[] = {
        "{\"data\":[{\"index\":0,\"embedding\":[1,-0.5]},{\"index\":1,\"embedding\":[0,2.25]},"
        "{\"index\":2,\"embedding\":[1e-3,0.1]}],\"usage\":{\"prompt_tokens\":9}}",
        "{\"usage\":{\"total_tokens\":9},\"data\":[{\"index\":2,\"embedding\":[0.001,0.1]},"
        "{\"embedding\":[1,-0.5],\"index\":0},{\"index\":1,\"embedding\":[0.0,225e-2]}]}",
        "{\"data\":[{\"embedding\":[1,-0.5]},{\"embedding\":[0,2.25]},{\"embedding\":[1e-3,0.1]}],"
        "\"usage\":{\"prompt_tokens\":9,\"total_tokens\":12}}",
        "{\"data\":[{\"index\":1,\"embedding\":\"AAAAAAAAEEA=\"},"
        "{\"index\":2,\"embedding\":\"bxKDOs3MzD0=\"},{\"index\":0,\"embedding\":\"AACAPwAAAL8\"}],"
        "\"usage\":{\"prompt_tokens\":9}}",
        "{\"data\":[{\"index\":0,\"embedding\":\"AACAPwAAAL8\\u003d\"},"
        "{\"index\":1,\"embedding\":[0,2.25]},{\"index\":2,\"embedding\":[0.001,0.1]}],"
        "\"usage\":{\"prompt_tokens\":9}}",
    };
    struct asked a;

    (void)state;
    asked_init(&a);
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        if (!reads(&a, bodies[i]))
            fail_msg("%zu: %s", i, a.call.reply.detail);
        assert_vectors(&a, expected, 2);
        assert_true(a.call.reply.usage_known);
        assert_int_equal(a.call.reply.usage.input_tokens, 9);
    }
    llm_embed_release(&a.call);
}

#define THREE(x, y, z)                                                                             \
    "{\"data\":[{\"index\":0,\"embedding\":" x "},{\"index\":1,\"embedding\":" y                   \
    "},{\"index\":2,\"embedding\":" z "}]}"

static void test_llm_embed__refuses_what_is_not_whole(void **state)
{
    static const struct {
        const char *body, *says;
    } cases[] = {
        {"", "not JSON"},
        {"<html>502</html>", "not JSON"},
        {THREE("[1,2]", "[NaN,2]", "[1,2]"), "not JSON"},
        {"{}", "no embeddings"},
        {"[]", "no embeddings"},
        {"{\"data\":{}}", "no embeddings"},
        {"{\"data\":[]}", "0 embeddings came for 3"},
        {"{\"data\":[{\"index\":0,\"embedding\":[1]},{\"index\":1,\"embedding\":[1]}]}",
         "2 embeddings came for 3"},
        {"{\"data\":[{\"embedding\":[1]},{\"embedding\":[1]},{\"embedding\":[1]},"
         "{\"embedding\":[1]}]}", "4 embeddings came for 3"},
        {"{\"data\":[{\"index\":0,\"embedding\":[1]},{\"index\":0,\"embedding\":[1]},"
         "{\"index\":1,\"embedding\":[1]}]}", "no, or two"},
        {"{\"data\":[{\"index\":3,\"embedding\":[1]},{\"index\":0,\"embedding\":[1]},"
         "{\"index\":1,\"embedding\":[1]}]}", "no, or two"},
        {"{\"data\":[{\"index\":-1,\"embedding\":[1]},{\"index\":0,\"embedding\":[1]},"
         "{\"index\":1,\"embedding\":[1]}]}", "no, or two"},
        {THREE("[1,2]", "[1]", "[1,2]"), "of 2 and of 1 dimensions"},
        {THREE("[]", "[]", "[]"), "0 dimensions"},
        {THREE("null", "[1]", "[1]"), "0 dimensions"},
        {THREE("7", "[1]", "[1]"), "0 dimensions"},
        {THREE("[1,2]", "[1,\"2\"]", "[1,2]"), "no number"},
        {THREE("[1,2]", "[1,null]", "[1,2]"), "no number"},
        {THREE("[1,2]", "[1,1e999]", "[1,2]"), "no number"},
        {THREE("[1,2]", "[1,1e39]", "[1,2]"), "no number"},  // no float holds it
        {THREE("\"AADAfw==\"", "\"AACAPw==\"", "\"AACAPw==\""), "no number"},  // NaN
        {THREE("\"AACAfw==\"", "\"AACAPw==\"", "\"AACAPw==\""), "no number"},  // infinite
        {THREE("\"AACA\"", "\"AACAPw==\"", "\"AACAPw==\""), "0 dimensions"},   // three bytes
        {THREE("\"AA*APw==\"", "\"AACAPw==\"", "\"AACAPw==\""), "no number"},
        {THREE("\"\"", "\"\"", "\"\""), "0 dimensions"},
        {"{\"data\":[1,2,3]}", "0 dimensions"},
    };
    struct asked a;

    (void)state;
    asked_init(&a);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (reads(&a, cases[i].body) || !strstr(a.call.reply.detail, cases[i].says))
            fail_msg("%zu: %s: %s", i, cases[i].body, a.call.reply.detail);
        assert_false(a.call.reply.usage_known);
    }
    a.call.dimensions = 3;
    assert_false(reads(&a, THREE("[1,2]", "[1,2]", "[1,2]")));
    assert_non_null(strstr(a.call.reply.detail, "2 dimensions came; 3"));
    llm_embed_release(&a.call);
}

// Answers that are damaged anywhere are read whole or not at all; nothing is read beyond their end.
static void test_llm_embed__damaged_answers(void **state)
{
    static const char whole[] = THREE("[1,-2.5]", "\"AACAPwAAAL8=\"", "[3e0,4]");
    struct rand_sim rand;
    struct asked a;
    unsigned taken = 0;

    (void)state;
    rand_sim_init(&rand, 5);
    asked_init(&a);
    assert_true(reads(&a, whole));
    for (unsigned i = 0; i < 20000; i++) {
        // An allocation of its own length, so that a sanitizer sees an over-read.
        size_t len = 1 + rand_below(&rand.rand, sizeof(whole) - 1);
        char *copy = malloc(len);
        memcpy(copy, whole, len);
        for (unsigned k = 0; k < 1 + i % 3; k++)
            copy[rand_below(&rand.rand, len)] = (char)rand_below(&rand.rand, 256);
        llm_embed_release(&a.call);
        llm_reply_init(&a.call.reply);
        llm_embed_read(&a.call, slice_of(copy, len));
        taken += a.call.reply.complete;
        for (uint32_t k = 0; a.call.vectors && k < INPUTS * a.call.dims; k++)
            assert_true(isfinite(a.call.vectors[k]));
        free(copy);
    }
    assert_true(taken < 20000);
    llm_embed_release(&a.call);
}

static void test_llm_embed__out_of_memory(void **state)
{
    struct asked a;

    (void)state;
    asked_init(&a);
    for (uint64_t n = 1;; n++) {
        llm_embed_release(&a.call);
        llm_reply_init(&a.call.reply);
        mem_fail_at(n, 0);
        llm_embed_read(&a.call, SLICE_LIT(THREE("[1,2]", "\"AACAPwAAAL8\\u003d\"", "[1,2]")));
        mem_fail_at(0, 0);
        if (a.call.reply.complete)
            break;
        assert_int_equal(a.call.reply.outcome.end, CALL_BAD_REPLY);
        assert_true(n < 100);
    }
    llm_embed_release(&a.call);
}

// ---- asking

static void test_llm_embed__request(void **state)
{
    struct buf out = BUF_INIT(1 << 16);
    struct asked a;

    (void)state;
    asked_init(&a);
    assert_int_equal(llm_embed_render(&a.call, false, &out, NULL), E_OK);
    assert_string_equal(out.ptr, "{\"model\":\"m\",\"input\":[\"the cat sat\",\"a \\\"dog\\\"\","
                                 "\"€\"]}");
    buf_clear(&out);
    a.call.dimensions = 256;
    a.call.inputs_len = 1;
    assert_int_equal(llm_embed_render(&a.call, true, &out, NULL), E_OK);
    assert_string_equal(out.ptr, "{\"model\":\"m\",\"input\":[\"the cat sat\"],\"dimensions\":256,"
                                 "\"encoding_format\":\"base64\"}");
    buf_release(&out);
}

static void test_llm_embed__an_input_is_cut_between_characters(void **state)
{
    (void)state;
    struct safe_text t = llm_embed_input(kit_safe(" \n a€b "), 100);
    assert_true(slice_is(safe_slice(t), "a€b"));
    t = llm_embed_input(kit_safe("a€b"), 3);
    assert_true(slice_is(safe_slice(t), "a"));
    assert_int_equal(llm_embed_input(kit_safe(" \t\r\n"), 100).len, 0);
    assert_int_equal(llm_embed_input(kit_safe(""), 100).len, 0);
}

static void test_llm_embed__limits(void **state)
{
    static char long_text[EMBED_INPUT_BYTES_MAX + 2];
    static struct safe_text many[EMBED_INPUTS_MAX + 1];
    struct kit_env env;
    struct llm *llm, *other;
    struct err err = ERR_INIT;
    struct asked a;

    (void)state;
    memset(long_text, 'x', sizeof(long_text) - 1);
    for (size_t i = 0; i <= EMBED_INPUTS_MAX; i++)
        many[i] = kit_safe("x");
    kit_env_init(&env, NULL, NULL);
    env.key = "k";
    assert_int_equal(llm_open(&llm, "scripted", &env.env, NULL), E_OK);
    assert_int_equal(llm_open(&other, "anthropic", &env.env, NULL), E_OK);
    assert_true(llm_can_embed(llm));
    assert_false(llm_can_embed(other));
    asked_init(&a);
    assert_int_equal(llm_embed(other, &a.call, &err), E_POLICY);
    assert_non_null(strstr(err.message, "provider anthropic: its api, anthropic, has no"));
    a.inputs[1] = SAFE_LIT("");
    assert_int_equal(llm_embed(llm, &a.call, &err), E_USAGE);
    assert_non_null(strstr(err.message, "input 1 has 0 bytes"));
    a.inputs[1] = kit_safe(long_text);
    assert_int_equal(llm_embed(llm, &a.call, &err), E_USAGE);
    a.call.inputs = many;
    a.call.inputs_len = EMBED_INPUTS_MAX + 1;
    assert_int_equal(llm_embed(llm, &a.call, &err), E_USAGE);
    a.call.inputs_len = 0;
    assert_int_equal(llm_embed(llm, &a.call, &err), E_USAGE);
    // All of them together.
    long_text[EMBED_INPUT_BYTES_MAX] = '\0';
    for (size_t i = 0; i < 40; i++)
        many[i] = kit_safe(long_text);
    a.call.inputs_len = 40;
    assert_int_equal(llm_embed(llm, &a.call, &err), E_USAGE);
    assert_int_equal(a.dones, 0);
    llm_embed_release(&a.call);
    llm_free(llm);
    llm_free(other);
    kit_env_release(&env);
}

// ---- over the wire

struct wired {
    struct kit_env env;
    struct wire *wire;
    struct loopback server;
    struct loopback_reply reply;
    struct buf bytes, seen;
    struct llm *llm;
    struct asked asked;
};

// One call to a server that answers like this.
static void call_server(struct wired *f, int status, const char *headers, const char *body,
                        enum loopback_then then)
{
    char url[LOOPBACK_URL_BYTES];
    struct err err = ERR_INIT;
    struct loop *loop;

    *f = (struct wired){.bytes = BUF_INIT(4 << 20), .seen = BUF_INIT(1 << 20)};
    assert_int_equal(loop_new(&loop, clock_system(), NULL), E_OK);
    kit_env_init(&f->env, loop, clock_system());
    assert_int_equal(wire_new_curl(&f->wire, loop, NULL), E_OK);
    f->env.env.wire = f->wire;
    f->env.key = "sk-secret-1";
    if (status)
        loopback_http(&f->bytes, status, headers, slice_str(body));
    else
        buf_add_str(&f->bytes, body);
    f->reply = (struct loopback_reply){.bytes = buf_slice(&f->bytes), .then = then};
    loopback_start(&f->server, &f->reply, 1);
    loopback_url(&f->server, "/v1", url);
    kit_set(&f->env, "providers.here.api", "openai");
    kit_set(&f->env, "providers.here.base_url", url);
    kit_set(&f->env, "providers.here.key_env", "HERE_KEY");
    if (llm_open(&f->llm, "here", &f->env.env, &err))
        fail_msg("%s", err.message);
    asked_init(&f->asked);
    f->asked.stop = loop;
    f->asked.call.total_ms = then == LOOPBACK_HANG ? 50 : 0;
    if (llm_embed(f->llm, &f->asked.call, &err))
        fail_msg("%s", err.message);
    assert_int_equal(f->asked.dones, 0);
    loop_run(loop);
    assert_int_equal(f->asked.dones, 1);
    loopback_last(&f->server, &f->seen);
    assert_null(strstr(f->asked.call.reply.detail, "sk-secret"));
}

static void wired_release(struct wired *f)
{
    llm_embed_release(&f->asked.call);
    llm_free(f->llm);
    wire_free(f->wire);
    loopback_stop(&f->server);
    buf_release(&f->bytes);
    buf_release(&f->seen);
    kit_env_release(&f->env);
}

#define JSON_TYPE "Content-Type: application/json\r\n"

static void test_llm_embed__over_the_wire(void **state)
{
    static const float expected[] = {1, 2, 3, 4, 5, 6};
    struct wired f;

    (void)state;
    call_server(&f, 200, JSON_TYPE, THREE("[1,2]", "[3,4]", "[5,6]"), LOOPBACK_KEEP);
    assert_true(f.asked.call.reply.complete);
    assert_int_equal(f.asked.call.http_status, 200);
    assert_vectors(&f.asked, expected, 2);
    assert_true(slice_starts(buf_slice(&f.seen), SLICE_LIT("POST /v1/embeddings HTTP/1.1\r\n")));
    assert_non_null(strcasestr(f.seen.ptr, "\r\nAuthorization: Bearer sk-secret-1\r\n"));
    assert_non_null(strcasestr(f.seen.ptr, "\r\nAccept: application/json\r\n"));
    assert_null(strcasestr(f.seen.ptr, "event-stream"));
    assert_null(strstr(f.seen.ptr, "encoding_format"));
    wired_release(&f);
}

static void test_llm_embed__failures_are_told_apart(void **state)
{
    static const struct {
        int status;
        const char *headers, *body;
        enum loopback_then then;
        enum call_end end;
        const char *says;
    } cases[] = {
        {429, JSON_TYPE "Retry-After: 7\r\n",
         "{\"error\":{\"message\":\"Rate limit of sk-secret-1\",\"type\":\"rate_limit\"}}",
         LOOPBACK_KEEP, CALL_STATUS, "Rate limit"},
        {500, "", "oops", LOOPBACK_KEEP, CALL_STATUS, "status 500"},
        {404, JSON_TYPE, "{\"error\":{\"message\":\"model m not found\"}}", LOOPBACK_KEEP,
         CALL_STATUS, "not found"},
        {200, "Content-Type: text/html\r\n", "<html>", LOOPBACK_KEEP, CALL_BAD_REPLY, "not JSON"},
        {200, JSON_TYPE, THREE("[1,2]", "[1]", "[1,2]"), LOOPBACK_KEEP, CALL_BAD_REPLY,
         "dimensions"},
        {0, "", "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"data\":[", LOOPBACK_CLOSE,
         CALL_CUT, "broke off"},
        {0, "", "", LOOPBACK_RESET, CALL_LOST, ""},
        {0, "", "", LOOPBACK_HANG, CALL_TIMEOUT_FIRST, ""},
        {0, "", "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"data\":[", LOOPBACK_HANG,
         CALL_CUT, "broke off"},
    };
    struct wired f;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        call_server(&f, cases[i].status, cases[i].headers, cases[i].body, cases[i].then);
        const struct llm_reply *r = &f.asked.call.reply;
        assert_false(r->complete);
        assert_null(f.asked.call.vectors);
        if (r->outcome.end != cases[i].end || !strstr(r->detail, cases[i].says))
            fail_msg("%zu: end %d, %s", i, (int)r->outcome.end, r->detail);
        assert_int_equal(r->outcome.retry_after_ms, cases[i].status == 429 ? 7000 : -1);
        wired_release(&f);
    }
}

// More than embeddings of this many inputs can be is not kept.
static void test_llm_embed__an_endless_answer(void **state)
{
    struct buf body = BUF_INIT(8 << 20);
    struct wired f;

    (void)state;
    buf_add_str(&body, "{\"data\":[");
    for (unsigned i = 0; i < 400000; i++)
        buf_add_str(&body, "0.1234567,");
    call_server(&f, 200, JSON_TYPE, body.ptr, LOOPBACK_KEEP);
    assert_false(f.asked.call.reply.complete);
    assert_int_equal(f.asked.call.reply.outcome.end, CALL_BAD_REPLY);
    wired_release(&f);
    buf_release(&body);
}

// ---- offline

struct offline {
    struct kit_env env;
    struct llm *llm;
    struct asked asked;
};

static void open_offline(struct offline *f, const char *option, const char *value)
{
    char name[64];

    kit_env_init(&f->env, NULL, NULL);
    snprintf(name, sizeof(name), "providers.scripted.%s", option ? option : "");
    if (option)
        kit_set(&f->env, name, value);
    assert_int_equal(llm_open(&f->llm, "scripted", &f->env.env, NULL), E_OK);
    asked_init(&f->asked);
    assert_int_equal(llm_embed(f->llm, &f->asked.call, NULL), E_OK);
    assert_int_equal(f->asked.dones, 0);
}

static void offline_release(struct offline *f)
{
    assert_int_equal(f->asked.dones, 1);
    llm_embed_release(&f->asked.call);
    llm_free(f->llm);
    kit_env_release(&f->env);
}

static float cosine(const char *a, const char *b)
{
    float x[EMBED_TRIGRAM_DIMENSIONS], y[EMBED_TRIGRAM_DIMENSIONS], xy = 0, xx = 0, yy = 0;

    llm_embed_trigrams(kit_safe(a), EMBED_TRIGRAM_DIMENSIONS, x);
    llm_embed_trigrams(kit_safe(b), EMBED_TRIGRAM_DIMENSIONS, y);
    for (unsigned i = 0; i < EMBED_TRIGRAM_DIMENSIONS; i++) {
        xy += x[i] * y[i];
        xx += x[i] * x[i];
        yy += y[i] * y[i];
    }
    return xy / sqrtf(xx * yy);
}

static void test_llm_embed__offline(void **state)
{
    struct offline f;

    (void)state;
    open_offline(&f, NULL, NULL);
    loop_run(f.env.loop);
    assert_true(f.asked.call.reply.complete);
    assert_int_equal(f.asked.call.dims, EMBED_TRIGRAM_DIMENSIONS);
    assert_true(f.asked.call.reply.usage.input_tokens > 0);
    offline_release(&f);
    // Spelling, whatever the case and around it; no word at all is a direction too.
    assert_true(cosine("Gardening", "gardening!") > 0.99F);
    assert_true(cosine("gardening", "gardener") > 0.5F);
    assert_true(cosine("gardening", "tulip") < 0.3F);
    assert_true(cosine("!?", " ") > 0.99F);
}

static void test_llm_embed__offline_faults(void **state)
{
    static const struct {
        const char *option, *value;
        enum call_end end;
    } cases[] = {
        {"status", "429", CALL_STATUS},
        {"drop_after_bytes", "3", CALL_LOST},
        {"garbage", "3", CALL_BAD_REPLY},
        {"empty", "true", CALL_BAD_REPLY},
    };
    struct offline f;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        open_offline(&f, cases[i].option, cases[i].value);
        loop_run(f.env.loop);
        assert_false(f.asked.call.reply.complete);
        assert_int_equal(f.asked.call.reply.outcome.end, cases[i].end);
        assert_true(f.asked.call.reply.detail[0] != '\0');
        offline_release(&f);
    }
    open_offline(&f, "delay_ms", "5000");
    llm_embed_cancel(f.llm, &f.asked.call);
    assert_int_equal(f.asked.dones, 0);
    loop_run(f.env.loop);
    assert_int_equal(f.asked.call.reply.outcome.end, CALL_CANCELLED);
    offline_release(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_llm_embed__reads_whole_answers),
        cmocka_unit_test(test_llm_embed__refuses_what_is_not_whole),
        cmocka_unit_test(test_llm_embed__damaged_answers),
        cmocka_unit_test(test_llm_embed__out_of_memory),
        cmocka_unit_test(test_llm_embed__request),
        cmocka_unit_test(test_llm_embed__an_input_is_cut_between_characters),
        cmocka_unit_test(test_llm_embed__limits),
        cmocka_unit_test(test_llm_embed__over_the_wire),
        cmocka_unit_test(test_llm_embed__failures_are_told_apart),
        cmocka_unit_test(test_llm_embed__an_endless_answer),
        cmocka_unit_test(test_llm_embed__offline),
        cmocka_unit_test(test_llm_embed__offline_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
