// SPDX-License-Identifier: MIT
// test_discover.c: parley_discover before servers that are what they should be, and before others:
// garbage, endless answers, a gibibyte, silence, a byte now and then, redirects, odd names. Real
// sockets on ports that the kernel chooses; all servers are asked in one call.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json.h"
#include "parley.h"
#include "support/loopback.h"

#include <sys/resource.h>

enum { SERVERS_MAX = 8, RSS_KIB_MAX = 24 << 10 };

struct fixture {
    struct loopback servers[SERVERS_MAX];
    struct buf answers[SERVERS_MAX], more;  // what the servers say
    struct loopback_reply replies[SERVERS_MAX][2];
    uint16_t ports[SERVERS_MAX];
    size_t len;
    char *report;
    struct json_doc doc;
    parley_options options;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->options = (parley_options)PARLEY_OPTIONS_INIT;
    f->options.config = "";
    f->options.no_environment = 1;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    json_doc_release(&f->doc);
    parley_free(f->report);
    for (size_t i = 0; i < f->len; i++) {
        loopback_stop(&f->servers[i]);
        buf_release(&f->answers[i]);
    }
    buf_release(&f->more);
    free(f);
    return 0;
}

static struct loopback *serve(struct fixture *f, struct loopback_reply first,
                              struct loopback_reply second)
{
    size_t i = f->len++;
    f->replies[i][0] = first;
    f->replies[i][1] = second;
    loopback_start(&f->servers[i], f->replies[i], second.bytes.len ? 2 : 1);
    f->ports[i] = f->servers[i].port;
    return &f->servers[i];
}

static struct loopback *serve_http(struct fixture *f, int status, const char *headers,
                                   const char *body)
{
    struct buf *answer = &f->answers[f->len];
    buf_init(answer, 1 << 20);
    loopback_http(answer, status, headers, slice_str(body));
    return serve(f, (struct loopback_reply){.bytes = buf_slice(answer)},
                 (struct loopback_reply){0});
}

static struct json look(struct fixture *f)
{
    parley_error error = PARLEY_ERROR_INIT;
    int code = parley_discover(&f->options, f->ports, f->len, &f->report, &error);
    if (code)
        fail_msg("%s", error.message);
    assert_int_equal(json_parse(&f->doc, slice_str(f->report), 0, NULL), 0);
    return json_root(&f->doc);
}

// The member whose base_url has this port.
static struct json at_port(struct json list, const char *key, uint16_t port)
{
    struct json_iter it = {0};
    struct json none, item;
    char wanted[32];
    struct buf url = BUF_INIT(1024);
    snprintf(wanted, sizeof(wanted), "127.0.0.1:%u/", port);
    while (json_next(list, &it, &none, &item)) {
        struct slice text = json_text(json_get(item, key), &url);
        if (text.ptr && memmem(text.ptr, text.len, wanted, strlen(wanted))) {
            buf_release(&url);
            return item;
        }
    }
    buf_release(&url);
    fail_msg("nothing about port %u", port);
    return (struct json){0};
}

static struct json server_at(const struct fixture *f, size_t i)
{
    return at_port(json_get(json_root(&f->doc), "servers"), "base_url", f->ports[i]);
}

static void is_other(const struct fixture *f, size_t i, const char *why)
{
    struct json other =
        at_port(json_get(json_root(&f->doc), "others"), "url", f->ports[i]);
    if (!json_is_string(json_get(other, "why"), why))
        fail_msg("%.*s", SLICE_FMT(json_raw(json_get(other, "why"))));
}

static void test_discover__lists_of_models(void **state)
{
    struct fixture *f = *state;
    serve_http(f, 200, "",
               "{\"object\":\"list\",\"data\":[{\"id\":\"llama3.2:3b\"},{\"id\":\"q\"}]}");
    serve_http(f, 200, "", "{\"data\":[]}");
    serve_http(f, 401, "", "no");

    // An Ollama that knows tags only.
    buf_init(&f->more, 4096);
    buf_init(&f->answers[f->len], 4096);
    loopback_http(&f->answers[f->len], 404, "", slice_str("404 page not found"));
    loopback_http(&f->more, 200, "", slice_str("{\"models\":[{\"name\":\"old:7b\",\"size\":1}]}"));
    serve(f, (struct loopback_reply){.bytes = buf_slice(&f->answers[f->len])},
          (struct loopback_reply){.bytes = buf_slice(&f->more)});

    struct json root = look(f);
    assert_int_equal(json_count(json_get(root, "servers")), 4);
    assert_int_equal(json_count(json_get(root, "others")), 0);
    struct json models = json_get(server_at(f, 0), "models");
    assert_int_equal(json_count(models), 2);
    assert_true(json_is_string(json_at(models, 0), "llama3.2:3b"));
    assert_int_equal(json_type(json_get(server_at(f, 0), "configured")), JSON_FALSE);
    assert_int_equal(json_type(json_get(server_at(f, 0), "needs_key")), JSON_FALSE);
    char name[32];
    snprintf(name, sizeof(name), "local_%u", f->ports[0]);
    assert_true(json_is_string(json_get(server_at(f, 0), "provider"), name));
    assert_int_equal(json_count(json_get(server_at(f, 1), "models")), 0);
    assert_int_equal(json_type(json_get(server_at(f, 2), "needs_key")), JSON_TRUE);
    assert_true(json_is_string(json_at(json_get(server_at(f, 3), "models"), 0), "old:7b"));
}

static void test_discover__odd_names(void **state)
{
    struct fixture *f = *state;
    char body[2048] = "{\"data\":[{\"id\":\"\"},{\"id\":7},{},null,\"x\",{\"id\":\"nul\\u0000\"},"
                      "{\"id\":\"esc\\u001b[31m\"},{\"id\":\"quote\\\"\\\\\"},{\"id\":\"";
    memset(body + strlen(body), 'x', 1000);  // longer than a model's name may be
    strcat(body, "\"}]}");
    serve_http(f, 200, "", body);
    look(f);
    struct json models = json_get(server_at(f, 0), "models");
    assert_int_equal(json_count(models), 2);
    assert_true(json_is_string(json_at(models, 0), "esc\x1b[31m"));
    assert_true(json_is_string(json_at(models, 1), "quote\"\\"));
}

static int64_t peak_rss_kib(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

static void test_discover__bad_servers_cost_little(void **state)
{
    struct fixture *f = *state;
    static char piece[1 << 16];
    memset(piece, 'x', sizeof(piece));
    struct slice endless = SLICE_LIT("HTTP/1.1 200 OK\r\n\r\n");

    serve_http(f, 200, "", "\x7f\x45LF garbage \xff\xfe{{{{");
    serve_http(f, 200, "", "{\"data\":\"no list\"}");
    // One that announces a gibibyte, and one that never stops.
    struct buf *big = &f->answers[f->len];
    buf_init(big, 1 << 20);
    buf_addf(big, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", 1 << 30);
    buf_add(big, piece, sizeof(piece));
    serve(f, (struct loopback_reply){.bytes = buf_slice(big), .repeat = 1 << 14},
          (struct loopback_reply){0});
    struct buf *never = &f->answers[f->len];
    buf_init(never, 1 << 20);
    buf_add_slice(never, endless);
    buf_add(never, piece, sizeof(piece));
    serve(f, (struct loopback_reply){.bytes = buf_slice(never), .repeat = UINT32_MAX},
          (struct loopback_reply){0});
    // One that says nothing, and one that stops in the middle.
    serve(f, (struct loopback_reply){.bytes = endless, .gated = true}, (struct loopback_reply){0});
    serve(f, (struct loopback_reply){.bytes = SLICE_LIT("HTTP/1.1 200 OK\r\n\r\n{\"data\":["),
                                     .then = LOOPBACK_HANG},
          (struct loopback_reply){0});

    int64_t before = peak_rss_kib();
    struct json root = look(f);
    int64_t grown = peak_rss_kib() - before;
    assert_int_equal(json_count(json_get(root, "servers")), 0);
    is_other(f, 0, "there is no list of models in its answer");
    is_other(f, 1, "there is no list of models in its answer");
    is_other(f, 2, "its answer is longer than 1048576 bytes");
    is_other(f, 3, "its answer is longer than 1048576 bytes");
    is_other(f, 4, "it does not answer in time");
    is_other(f, 5, "it does not answer in time");
    printf("# discover: six bad servers, a gibibyte among them: RSS +%lld KiB\n", (long long)grown);
#ifndef PARLEY_SANITIZED
    assert_true(grown < RSS_KIB_MAX);
#endif
}

// Five bytes a second, for as long as anybody listens.
static void *drip(void *user)
{
    struct loopback *s = user;
    bool over = false;
    loopback_wait_requests(s, 1);
    while (!over) {
        loopback_allow(s, 1);
        poll(NULL, 0, 200);
        pthread_mutex_lock(&s->lock);
        over = s->closed > 0;
        pthread_mutex_unlock(&s->lock);
    }
    return NULL;
}

static void test_discover__a_byte_now_and_then(void **state)
{
    struct fixture *f = *state;
    pthread_t thread;
    struct loopback *slow =
        serve(f, (struct loopback_reply){.bytes = SLICE_LIT("HTTP/1.1 200 OK\r\nContent-Length: "
                                                            "60\r\n\r\n{\"data\":[]}"),
                                         .gated = true},
              (struct loopback_reply){0});
    assert_int_equal(pthread_create(&thread, NULL, drip, slow), 0);
    look(f);
    is_other(f, 0, "it does not answer in time");
    pthread_join(thread, NULL);
}

static void test_discover__follows_nobody_elsewhere(void **state)
{
    struct fixture *f = *state;
    char location[LOOPBACK_URL_BYTES + 64], url[LOOPBACK_URL_BYTES];
    static struct loopback elsewhere;
    struct loopback_reply list = {.bytes = SLICE_LIT("HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n"
                                                     "{\"data\":[]}")};
    loopback_start(&elsewhere, &list, 1);
    loopback_url(&elsewhere, "/v1/models", url);
    snprintf(location, sizeof(location), "Location: %s\r\n", url);
    serve_http(f, 302, location, "");
    serve_http(f, 308, location, "");
    look(f);
    is_other(f, 0, "it answers with HTTP 302");
    is_other(f, 1, "it answers with HTTP 308");
    assert_int_equal(loopback_connections(&elsewhere), 0);
    loopback_stop(&elsewhere);
}

static void test_discover__configured_servers_and_no_keys(void **state)
{
    struct fixture *f = *state;
    struct buf sent = BUF_INIT(1 << 16);
    char setting[128];
    const char *settings[] = {setting,
                              "providers.desk.api=openai",
                              "providers.desk.key_env=DISCOVER_TEST_KEY",
                              "providers.far.api=openai",
                              "providers.far.base_url=http://192.0.2.1:8080/v1",
                              NULL};
    setenv("DISCOVER_TEST_KEY", "sk-secret-of-the-test", 1);
    struct loopback *server = serve_http(f, 200, "", "{\"data\":[{\"id\":\"m\"}]}");
    snprintf(setting, sizeof(setting), "providers.desk.base_url=http://127.0.0.1:%u/v1/",
             server->port);
    f->options.settings = settings;
    struct json root = look(f);
    // The port is asked as the configuration says, once; what is far is not asked.
    assert_int_equal(json_i64(json_get(root, "asked"), 0), 1);
    assert_int_equal(loopback_requests(server), 1);
    assert_true(json_is_string(json_get(server_at(f, 0), "provider"), "desk"));
    assert_int_equal(json_type(json_get(server_at(f, 0), "configured")), JSON_TRUE);
    loopback_last(server, &sent);
    assert_true(slice_starts(buf_slice(&sent), SLICE_LIT("GET /v1/models HTTP/1.1\r\n")));
    assert_null(strstr(sent.ptr, "sk-secret"));
    assert_null(strstr(sent.ptr, "uthorization"));
    buf_release(&sent);
    unsetenv("DISCOVER_TEST_KEY");
}

static void test_discover__nobody_there(void **state)
{
    struct fixture *f = *state;
    struct loopback *gone = serve_http(f, 200, "", "{\"data\":[]}");
    f->ports[1] = gone->port;  // and the port twice
    loopback_stop(gone);
    buf_release(&f->answers[0]);
    f->len = 2;
    struct json root = look(f);
    f->len = 0;
    assert_int_equal(json_i64(json_get(root, "asked"), 0), 2);  // 127.0.0.1 and ::1, once
    assert_int_equal(json_count(json_get(root, "servers")), 0);
    assert_int_equal(json_count(json_get(root, "others")), 0);
}

static void test_discover__refuses_what_is_no_port(void **state)
{
    struct fixture *f = *state;
    parley_error error = PARLEY_ERROR_INIT;
    uint16_t zero = 0;
    uint16_t *many = calloc(65, sizeof(*many));
    assert_int_equal(parley_discover(&f->options, &zero, 1, &f->report, &error), PARLEY_E_USAGE);
    assert_null(f->report);
    assert_int_equal(parley_discover(&f->options, many, 65, &f->report, &error), PARLEY_E_USAGE);
    free(many);
}

static void test_discover__a_name_that_is_free(void **state)
{
    struct fixture *f = *state;
    char taken[64], wanted[64];
    const char *settings[] = {taken, NULL};
    struct loopback *server = serve_http(f, 200, "", "{\"data\":[]}");
    snprintf(taken, sizeof(taken), "providers.local_%u.api=scripted", server->port);
    snprintf(wanted, sizeof(wanted), "local_%u_2", server->port);
    f->options.settings = settings;
    look(f);
    assert_true(json_is_string(json_get(server_at(f, 0), "provider"), wanted));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_discover__lists_of_models),
        TEST(test_discover__odd_names),
        TEST(test_discover__bad_servers_cost_little),
        TEST(test_discover__a_byte_now_and_then),
        TEST(test_discover__follows_nobody_elsewhere),
        TEST(test_discover__configured_servers_and_no_keys),
        TEST(test_discover__nobody_there),
        TEST(test_discover__refuses_what_is_no_port),
        TEST(test_discover__a_name_that_is_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
