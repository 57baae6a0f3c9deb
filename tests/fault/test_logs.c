// SPDX-License-Identifier: MIT
// Nothing that people said, were told or are called, and no key, is in a line of the log, at any
// level: a conversation with all that goes wrong is talked, where the provider's errors, the
// policy's and what is imported repeat the words; every line is looked through for them.
//
// Control: the same look finds them in what is sent to the provider.
#include "fault/harness.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sqlite3.h>
#include <sys/socket.h>

#define WORDS "canary-words-7f3a"
#define USER "canary-user-91bc"
#define CONTEXT "canary-context-55d0"
#define KEY "canary-key-c8e2"
#define SECRET "canary-secret-03fe"

static const char *const canaries[] = {WORDS, USER, CONTEXT, KEY, SECRET};
enum { CANARIES = sizeof(canaries) / sizeof(canaries[0]) };

struct look {
    unsigned lines, found, sent_found;
    char first[256];
};

static unsigned canaries_in(const char *text, size_t len)
{
    unsigned n = 0;
    for (unsigned i = 0; i < CANARIES; i++)
        n += memmem(text, len, canaries[i], strlen(canaries[i])) != NULL;
    return n;
}

static pthread_mutex_t look_lock = PTHREAD_MUTEX_INITIALIZER;

static void on_log(void *user, parley_log_level level, const char *line)
{
    struct look *look = user;
    (void)level;
    pthread_mutex_lock(&look_lock);
    look->lines++;
    if (canaries_in(line, strlen(line)) && look->found++ == 0)
        snprintf(look->first, sizeof(look->first), "%s", line);
    pthread_mutex_unlock(&look_lock);
}

static void on_trace(void *user, const char *provider, const char *body, size_t len)
{
    struct look *look = user;
    (void)provider;
    pthread_mutex_lock(&look_lock);
    look->sent_found += canaries_in(body, len) > 0;
    pthread_mutex_unlock(&look_lock);
}

// ---- a provider that repeats what it was sent in its errors

struct echo {
    int listener;
    uint16_t port;
    pthread_t thread;
    atomic_bool stop;
};

static void answer(int fd, unsigned n)
{
    static const int statuses[] = {400, 401, 403, 404, 422, 429, 500, 503, 200};
    char request[16384], body[4096], head[512];
    int status = statuses[n % (sizeof(statuses) / sizeof(statuses[0]))];
    ssize_t got = read(fd, request, sizeof(request) - 1);

    (void)got;
    int len = snprintf(body, sizeof(body), "{\"error\":{\"type\":\"bad_" WORDS "\",\"code\":\""
                       WORDS "\",\"message\":\"you said " WORDS " with key " SECRET "\"}}");
    int head_len = snprintf(head, sizeof(head), "HTTP/1.1 %d " WORDS "\r\nContent-Type: "
                            "application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n",
                            status, len);
    if (write(fd, head, (size_t)head_len) < 0 || write(fd, body, (size_t)len) < 0)
        return;
}

static void *serve(void *arg)
{
    struct echo *e = arg;
    for (unsigned n = 0; !atomic_load(&e->stop); n++) {
        int fd = accept(e->listener, NULL, NULL);
        if (fd < 0)
            break;
        if (!atomic_load(&e->stop))
            answer(fd, n);
        close(fd);
    }
    return NULL;
}

static void echo_start(struct echo *e)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    atomic_init(&e->stop, false);
    e->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (e->listener < 0 || bind(e->listener, (struct sockaddr *)&at, sizeof(at)) ||
        listen(e->listener, 16) || getsockname(e->listener, (struct sockaddr *)&at, &len))
        give_up("no port: %s", strerror(errno));
    e->port = ntohs(at.sin_port);
    if (pthread_create(&e->thread, NULL, serve, e))
        give_up("no thread");
}

static void echo_stop(struct echo *e)
{
    atomic_store(&e->stop, true);
    shutdown(e->listener, SHUT_RDWR);
    close(e->listener);
    pthread_join(e->thread, NULL);
}

// ---- the conversation

static void finish(parley *e, uint64_t request)
{
    parley_event *event;
    for (bool last = false; !last;) {
        if (parley_wait(e, WAIT_MS, &event) != 1)
            give_up("no answer");
        last = event->request == request &&
               (event->type == PARLEY_EVENT_DONE || event->type == PARLEY_EVENT_ERROR ||
                event->type == PARLEY_EVENT_RESULT);
        parley_event_free(event);
    }
}

static void say(parley *e, const char *bot, const char *provider, const char *text, const char *key,
                unsigned flags)
{
    parley_message m = PARLEY_MESSAGE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request;
    m.user = USER;
    m.bot = bot;
    m.context = CONTEXT;
    m.key = key;
    m.provider = provider;
    m.text = text;
    m.flags = flags;
    if (parley_send(e, &m, &request, &error) == 0)
        finish(e, request);
}

static void write_place(struct place *p, uint16_t port)
{
    char config[1024];
    place_make_light(p);
    // Its hooks fail with the user's words in their errors.
    place_write(p, "policies/loud.lua",
                "return { system = \"" SECRET "\",\n"
                "  on_message = function(view) error(\"cannot take \" .. view.text) end,\n"
                "  history = function(view) error({ view.user .. view.text }) end,\n"
                "  on_reply = function(view, reply) error(view.text .. reply) end }\n");
    place_write(p, "policies/broken.lua", "return { system = " WORDS " }\n");
    snprintf(config, sizeof(config),
             "return { providers = { echo = { api = \"openai\", base_url = "
             "\"http://127.0.0.1:%u/v1\", model = \"m\", key_env = \"CANARY_KEY\" } },\n"
             "  embeddings = { provider = \"echo\", model = \"e\" } }\n", (unsigned)port);
    place_write(p, "parley.lua", config);
}

static void talk(parley *e)
{
    parley_scope scope = PARLEY_SCOPE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request;
    static const char import[] = "{\"user\":\"" USER "\",\"messages\":[{\"role\":\"" WORDS
                                 "\",\"content\":\"" WORDS "\"}]}";
    scope.user = USER;
    scope.context = CONTEXT;
    for (unsigned i = 0; i < 9; i++)
        say(e, "fault", "echo", "I say " WORDS ".", NULL, PARLEY_CONTINUE);
    say(e, "loud", NULL, "I say " WORDS ".", KEY, 0);
    say(e, "loud", NULL, "I say " WORDS ", again.", KEY, PARLEY_CONTINUE);
    say(e, "loud", NULL, "I say " WORDS ", again.", KEY, PARLEY_CONTINUE);
    say(e, "broken", NULL, WORDS, NULL, 0);
    say(e, WORDS, NULL, WORDS, NULL, 0);
    say(e, "fault", WORDS, WORDS, NULL, 0);
    say(e, "fault", NULL, "I say " WORDS ".", NULL, PARLEY_CONTINUE);
    if (parley_import(e, import, sizeof(import) - 1, &request, &error) == 0)
        finish(e, request);
    if (parley_constrain(e, &scope, WORDS, &request, &error) == 0)
        finish(e, request);
    if (parley_recall(e, &scope, WORDS, 3, &request, &error) == 0)
        finish(e, request);
    scope.flags = PARLEY_CONTINUE | PARLEY_AS_OPERATOR;
    if (parley_show(e, &scope, &request, &error) == 0)
        finish(e, request);
    if (parley_undo(e, &scope, &request, &error) == 0)
        finish(e, request);
    scope.user = USER "-nobody";
    if (parley_show(e, &scope, &request, &error) == 0)
        finish(e, request);
    scope.flags = PARLEY_ALL_USERS;
    if (parley_verify(e, &scope, &request, &error) == 0)
        finish(e, request);
}

// Records that cannot be read are told, too.
static void spoil(const struct place *p)
{
    char path[NAME_BYTES];
    sqlite3 *db;
    if (sqlite3_open(place_path(p, "db", path), &db) != SQLITE_OK ||
        sqlite3_exec(db, "UPDATE records SET body = x'0102' WHERE id % 3 = 0", NULL, NULL, NULL) !=
            SQLITE_OK)
        give_up("%s: %s", path, sqlite3_errmsg(db));
    sqlite3_close(db);
}

static void test_logs__hold_nobodys_words(void **state)
{
    struct look look = {0};
    struct echo echo;
    struct place p;
    char config[NAME_BYTES], store[NAME_BYTES + 8], policies[NAME_BYTES];
    parley_options options = PARLEY_OPTIONS_INIT;
    parley_error error = PARLEY_ERROR_INIT;

    (void)state;
    setenv("CANARY_KEY", SECRET, 1);
    echo_start(&echo);
    write_place(&p, echo.port);
    snprintf(store, sizeof(store), "sqlite:%s/db", p.dir);
    options.config = place_path(&p, "parley.lua", config);
    options.policies = place_path(&p, "policies", policies);
    options.store = store;
    options.no_environment = 1;
    options.log = on_log;
    options.trace = on_trace;
    options.user = &look;
    for (unsigned round = 0; round < 2; round++) {
        parley *e = NULL;
        if (parley_open(&e, &options, &error))
            give_up("%s", error.message);
        talk(e);
        parley_close(e);
        if (round == 0)
            spoil(&p);
    }
    echo_stop(&echo);
    place_remove(&p);
    summary("logs at every level: %u lines, %u with one of %u canaries%s%s; control, requests: %u",
            look.lines, look.found, CANARIES, look.found ? ": " : "", look.first, look.sent_found);
    assert_true(look.lines > 5);
    assert_true(look.sent_found > 0);
    assert_int_equal(look.found, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_logs__hold_nobodys_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
