// SPDX-License-Identifier: MIT
// A gibibyte where a page was expected: answers of a provider that do not end, or make no sense,
// and messages and imports that do not end. The program itself (PARLEY_BUILD, else build/) is run,
// and an engine in a process of its own, once with a small one and once with the huge one; the peak
// memory is read as it exits, and the difference is what the size cost.
#include "fault/harness.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>

enum { HUGE_MIB = 1024, ANSWER_KIB_MAX = 2048, REQUEST_KIB_MAX = 1024 };
enum { LINE_MIB_MAX = 16, PIECE = 1 << 16, ARGS_MAX = 24 };

static const char head_stream[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n%s\r\n";
static const char head_error[] = "HTTP/1.1 400 Bad\r\nContent-Type: application/json\r\n%s\r\n";

// What is sent: `begin`, then `again` until there is enough of it, then `end`.
struct body {
    const char *name, *head, *headers, *begin, *again, *end;
    bool refused; // the turn is to fail
};

#define START \
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"type\":" \
    "\"message\",\"role\":\"assistant\",\"content\":[],\"usage\":{\"input_tokens\":3," \
    "\"output_tokens\":1}}}\n\nevent: content_block_start\ndata: {\"type\":" \
    "\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n"
#define DELTA \
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0," \
    "\"delta\":{\"type\":\"text_delta\",\"text\":\"Far.\"}}\n\n"
#define STOP \
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n" \
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":" \
    "\"end_turn\"},\"usage\":{\"output_tokens\":2}}\n\n" \
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"

static const struct body answers[] = {
    {"a line without end", head_stream, "", START, "data: xxxxxxxxxxxxxxxxxxxx", STOP, true},
    {"an event without end", head_stream, "", START, "data: xxxxxxxxxxxxxxxxxxxxxx\n", STOP, true},
    {"no line at all", head_stream, "", "", "\xff\xfe{{{{[[[[\x01\x02garbage garbage ", STOP, true},
    {"chunks without end", head_stream, "Transfer-Encoding: chunked\r\n", "",
     "10\r\n: keep waiting \n\r\n", "0\r\n\r\n", true},
    {"comments without end", head_stream, "", START, ": keep waiting\n\n", STOP, true},
    {"what says it is gzip", head_stream, "Content-Encoding: gzip\r\n", "\x1f\x8b\x08", "\0\0\0\0"
     "", "", true},
    {"an error without end", head_error, "", "{\"error\":{\"message\":\"", "no no no no no no ",
     "\"}}", true},
    {"a header without end", "HTTP/1.1 200 OK\r\nX-Long: ", "", "", "yyyyyyyyyyyyyyyyyyyyyyyy", "",
     true},
};
static const struct body good = {"a reply", head_stream, "", START DELTA, "", STOP, false};

// ---- the other side, in a process of its own

static bool put(int fd, const char *bytes, size_t len)
{
    while (len) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
        if (n <= 0 && errno == ENOTSOCK)
            n = write(fd, bytes, len);
        if (n <= 0)
            return false;
        bytes += n;
        len -= (size_t)n;
    }
    return true;
}

static void put_huge(int fd, const char *again, size_t mib)
{
    static char piece[PIECE];
    size_t len = again[0] ? strlen(again) : 4, fill = 0;
    for (; fill + len <= sizeof(piece); fill += len)
        memcpy(piece + fill, again, len);
    for (size_t sent = 0; sent < mib << 20; sent += fill) {
        if (!put(fd, piece, fill))
            return;
    }
}

static void serve(int listener, const struct body *body, size_t mib)
{
    char text[8192];
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        size_t got = 0;
        // A request's last byte is the brace that closes its body.
        while (got < sizeof(text) - 1) {
            ssize_t n = recv(fd, text + got, sizeof(text) - 1 - got, 0);
            got += n > 0 ? (size_t)n : 0;
            if (n <= 0 || (text[got - 1] == '}' && memmem(text, got, "\r\n\r\n", 4)))
                break;
        }
        int len = snprintf(text, sizeof(text), body->head, body->headers);
        put(fd, text, (size_t)len);
        put(fd, body->begin, strlen(body->begin));
        if (mib)
            put_huge(fd, body->again, mib);
        put(fd, body->end, strlen(body->end));
        shutdown(fd, SHUT_WR);
        close(fd);
    }
}

// The server's process; *port is where.
static pid_t start_server(const struct body *body, size_t mib, int *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&a, len) != 0 || listen(listener, 16) != 0 ||
        getsockname(listener, (struct sockaddr *)&a, &len) != 0)
        give_up("loopback: %s", strerror(errno));
    *port = ntohs(a.sin_port);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        serve(listener, body, mib);
        _exit(0);
    }
    close(listener);
    return pid;
}

// A pipe that holds `begin`, `mib` of `again`, and `end`.
static int start_input(const struct body *body, size_t mib, pid_t *pid)
{
    int fds[2];
    fflush(NULL);
    if (pipe(fds) != 0)
        give_up("pipe: %s", strerror(errno));
    *pid = fork();
    if (*pid == 0) {
        signal(SIGPIPE, SIG_IGN);
        close(fds[0]);
        put(fds[1], body->begin, strlen(body->begin));
        if (mib)
            put_huge(fds[1], body->again, mib);
        put(fds[1], body->end, strlen(body->end));
        _exit(0);
    }
    close(fds[1]);
    return fds[0];
}

// ---- running the program

struct run {
    long peak_kib;
    int status; // exit status, -1: killed
};

static long peak_of(pid_t pid)
{
    char path[64], line[256];
    long kib = -1;
    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof(line), f)) {
        if (sscanf(line, "VmHWM: %ld", &kib) == 1)
            break;
    }
    if (f)
        fclose(f);
    return kib;
}

// Runs to the end; the kernel stops it as it exits, when its peak can still be read.
static struct run watch(pid_t pid)
{
    struct run r = {-1, -1};
    int status;
    while (waitpid(pid, &status, 0) == pid) {
        if (WIFEXITED(status))
            r.status = WEXITSTATUS(status);
        if (!WIFSTOPPED(status))
            break;
        int sig = WSTOPSIG(status);
        if (status >> 8 == (SIGTRAP | PTRACE_EVENT_EXIT << 8))
            r.peak_kib = peak_of(pid);
        ptrace(PTRACE_CONT, pid, 0, sig == SIGTRAP || sig == SIGSTOP ? 0 : sig);
    }
    return r;
}

static struct run run_program(const char *const *args, int in)
{
    int status;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR);
        dup2(in >= 0 ? in : null, STDIN_FILENO);
        dup2(null, STDOUT_FILENO);
        if (!getenv("OVERSIZE_LOUD"))
            dup2(null, STDERR_FILENO);
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        execv(args[0], (char *const *)(uintptr_t)args);
        _exit(127);
    }
    if (in >= 0)
        close(in);
    waitpid(pid, &status, 0);
    ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACEEXIT | PTRACE_O_EXITKILL);
    ptrace(PTRACE_CONT, pid, 0, 0);
    return watch(pid);
}

static const char *program(char out[NAME_BYTES])
{
    const char *build = getenv("PARLEY_BUILD");
    snprintf(out, NAME_BYTES, "%s/parley", build ? build : "build");
    return out;
}

static void end_process(pid_t pid)
{
    int status;
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
}

// `parley ask` of a provider that answers so.
static struct run ask(const struct body *body, size_t mib)
{
    char path[NAME_BYTES], url[96];
    int port;
    pid_t server = start_server(body, mib, &port);
    snprintf(url, sizeof(url), "providers.anthropic.base_url=http://127.0.0.1:%d", port);
    const char *args[ARGS_MAX] = {program(path), "ask", "--config", "", "--store", "memory:",
                                  "--provider", "anthropic", "--model", "m", "--set", url, "--set",
                                  "providers.anthropic.auth=none", "How far?", NULL};
    struct run r = run_program(args, -1);
    end_process(server);
    return r;
}

// The program with `words`, reading body.
static struct run feed(const char *const *words, const struct body *body, size_t mib)
{
    char path[NAME_BYTES];
    const char *args[ARGS_MAX] = {program(path)};
    pid_t feeder;
    for (size_t i = 0; words[i]; i++)
        args[i + 1] = words[i];
    int in = start_input(body, mib, &feeder);
    struct run r = run_program(args, in);
    end_process(feeder);
    return r;
}

// ---- the library

#ifdef PARLEY_SANITIZED
// What was freed is to be gone: nothing is measured but what is kept.
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "quarantine_size_mb=0:thread_local_quarantine_size_kb=0";
}
#endif

struct errand {
    const char *url; // of a provider, as a setting; NULL: scripted
    size_t text_mib; // of the message; 0: a short one
    size_t line_mib; // of a line to import; 0: none
    bool hoard;      // the control: keeps a copy of the text
};

// A text of so many MiB, which takes no memory before it is read.
static const char *endless(size_t mib)
{
    int how = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void *text = mmap(NULL, mib << 20, PROT_READ, how, -1, 0);
    if (text == MAP_FAILED)
        give_up("mmap: %s", strerror(errno));
    return text;
}

static char *hoarded; // by the control; reachable, so no leak

// One turn or import; the code it ended with.
static int do_errand(parley *e, const struct errand *w)
{
    parley_error error = PARLEY_ERROR_INIT;
    parley_message m = PARLEY_MESSAGE_INIT;
    int code;
    if (w->line_mib) {
        code = parley_import(e, endless(w->line_mib), w->line_mib << 20, NULL, &error);
    } else {
        m.text = w->text_mib ? endless(w->text_mib) : "How far?";
        m.text_bytes = w->text_mib << 20;
        if (w->hoard)
            hoarded = memset(malloc(m.text_bytes), 'x', m.text_bytes);
        code = parley_send(e, &m, NULL, &error);
    }
    if (code < 0)
        return code;
    parley_event *event = wait_end(e, NULL);
    code = event->code;
    parley_event_free(event);
    return code;
}

// The errand in a process of its own; status is 1 where it failed.
static struct run embed(const struct errand *w)
{
    struct run *run =
        mmap(NULL, sizeof(*run), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct place place;
    int status;
    place_make_light(&place);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        struct engine_wish wish = {
            .store = "memory:",
            .provider = w->url ? "anthropic" : NULL,
            .settings = {"providers.anthropic.auth=none", "providers.anthropic.model=m", w->url}};
        parley_error error = PARLEY_ERROR_INIT;
        parley *e;
        if (place_open(&place, &wish, &e, &error) < 0)
            give_up("engine: %s", error.message);
        int code = do_errand(e, w);
        parley_close(e);
        *run = (struct run){peak_of(getpid()), code != 0};
        _exit(0);
    }
    waitpid(pid, &status, 0);
    struct run r = status == 0 ? *run : (struct run){-1, -1};
    munmap(run, sizeof(*run));
    place_remove(&place);
    return r;
}

static struct run embed_ask(const struct body *body, size_t mib)
{
    char url[96];
    int port;
    pid_t server = start_server(body, mib, &port);
    snprintf(url, sizeof(url), "providers.anthropic.base_url=http://127.0.0.1:%d", port);
    struct run r = embed(&(struct errand){.url = url});
    end_process(server);
    return r;
}

static void test_oversize__library(void **state)
{
    long worst = 0;
    (void)state;
    struct run small = embed_ask(&good, 0);
    assert_int_equal(small.status, 0);
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        struct run huge = embed_ask(&answers[i], HUGE_MIB);
        long grew = huge.peak_kib - small.peak_kib;
        fprintf(stderr, "library, %s: %ld KiB, status %d\n", answers[i].name, grew, huge.status);
        worst = grew > worst ? grew : worst;
        assert_true(huge.peak_kib > 0);
        assert_int_equal(huge.status != 0, answers[i].refused);
    }
    small = embed(&(struct errand){0});
    struct run text = embed(&(struct errand){.text_mib = HUGE_MIB});
    struct run line = embed(&(struct errand){.line_mib = HUGE_MIB});
    summary("oversize at the library, %d MiB each: %zu kinds of answers grow it by at most %ld "
            "KiB, a message by %ld KiB, a line to import by %ld KiB",
            HUGE_MIB, sizeof(answers) / sizeof(answers[0]), worst, text.peak_kib - small.peak_kib,
            line.peak_kib - small.peak_kib);
    assert_int_equal(small.status, 0);
    assert_int_equal(text.status, 1);
    assert_int_equal(line.status, 1);
    assert_true(worst <= ANSWER_KIB_MAX);
    assert_true(text.peak_kib - small.peak_kib <= REQUEST_KIB_MAX);
    assert_true(line.peak_kib - small.peak_kib <= REQUEST_KIB_MAX);
}

static void test_oversize__library_control(void **state)
{
    (void)state;
    struct run small = embed(&(struct errand){0});
    struct run hoard = embed(&(struct errand){.text_mib = 16, .hoard = true});
    summary("control: an embedder that keeps 16 MiB grows by %ld KiB",
            hoard.peak_kib - small.peak_kib);
    assert_true(hoard.peak_kib - small.peak_kib > ANSWER_KIB_MAX);
}

// ---- tests

static bool can_run(void)
{
    char path[NAME_BYTES];
    return access(program(path), X_OK) == 0;
}

static void test_oversize__answers(void **state)
{
    long worst = 0;
    (void)state;
    if (!can_run())
        skip();
    struct run small = ask(&good, 0);
    assert_int_equal(small.status, 0);
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        struct run huge = ask(&answers[i], HUGE_MIB);
        long grew = huge.peak_kib - small.peak_kib;
        fprintf(stderr, "%s: %ld KiB, exit %d\n", answers[i].name, grew, huge.status);
        worst = grew > worst ? grew : worst;
        assert_true(huge.peak_kib > 0);
        assert_int_equal(huge.status != 0, answers[i].refused);
    }
    summary("oversize answers: %zu kinds of %d MiB, peak %ld KiB for a small one, growth at most "
            "%ld KiB",
            sizeof(answers) / sizeof(answers[0]), HUGE_MIB, small.peak_kib, worst);
    assert_true(worst <= ANSWER_KIB_MAX);
}

static void test_oversize__message(void **state)
{
    static const struct body words = {.begin = "Is it ", .again = "far and ", .end = "wide?\n"};
    static const char *const ask_stdin[] = {"ask", "--config", "", "--store", "memory:", NULL};
    (void)state;
    if (!can_run())
        skip();
    struct run small = feed(ask_stdin, &words, 0), huge = feed(ask_stdin, &words, HUGE_MIB);
    long grew = huge.peak_kib - small.peak_kib;
    summary("oversize message of %d MiB: exit %d, peak %ld KiB for a small one, growth %ld KiB",
            HUGE_MIB, huge.status, small.peak_kib, grew);
    assert_int_equal(small.status, 0);
    assert_int_equal(huge.status, 2);
    assert_true(grew <= REQUEST_KIB_MAX);
}

// A line may be as long as a conversation; beyond that nothing more is kept of it.
static void test_oversize__import(void **state)
{
    static const struct body line = {
        .begin = "{\"messages\":[{\"role\":\"user\",\"content\":\"Is it ",
        .again = "far and ",
        .end = "wide?\"},{\"role\":\"assistant\",\"content\":\"Yes.\"}]}\n"};
    static const char *const import[] = {"import", "-", "--config", "", "--store", "memory:", NULL};
    (void)state;
    if (!can_run())
        skip();
    struct run small = feed(import, &line, 0), huge = feed(import, &line, HUGE_MIB);
    long beyond = huge.peak_kib - small.peak_kib - LINE_MIB_MAX * 1024;
    summary("oversize import line of %d MiB: exit %d, peak %ld KiB for a small one, growth beyond "
            "the %d MiB that a line may have %ld KiB",
            HUGE_MIB, huge.status, small.peak_kib, LINE_MIB_MAX, beyond);
    assert_int_equal(small.status, 0);
    assert_int_equal(huge.status, 2);
    assert_true(beyond <= REQUEST_KIB_MAX);
}

// A program that keeps what it reads is found out.
static void test_oversize__control(void **state)
{
    static const struct body words = {.begin = "x", .again = "keep it ", .end = "\n"};
    static const char *const hoarder[] = {"/bin/sh", "-c", "all=$(cat); echo ${#all}", NULL};
    pid_t feeder;
    (void)state;
    int in = start_input(&words, 0, &feeder);
    struct run small = run_program(hoarder, in);
    end_process(feeder);
    in = start_input(&words, 16, &feeder);
    struct run huge = run_program(hoarder, in);
    end_process(feeder);
    summary("control: a shell that keeps 16 MiB grows by %ld KiB", huge.peak_kib - small.peak_kib);
    assert_int_equal(huge.status, 0);
    assert_true(huge.peak_kib - small.peak_kib > ANSWER_KIB_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_oversize__answers),
        cmocka_unit_test(test_oversize__message),
        cmocka_unit_test(test_oversize__import),
        cmocka_unit_test(test_oversize__control),
        cmocka_unit_test(test_oversize__library),
        cmocka_unit_test(test_oversize__library_control),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
