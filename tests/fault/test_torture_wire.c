// SPDX-License-Identifier: MIT
// Memory runs out at every allocation, ours and libcurl's, while two requests are under way on one
// wire over real sockets: at most one of them fails, with words that say why and long before its
// deadline; the other comes whole; and so do those that follow on the same wire. A peer that sends
// byte by byte for ever is still cut off by the deadline.
#include "support/wire_probe.h"

#include "fault/failing_malloc.h"
#include "fault/harness.h"

#include <dirent.h>
#include <dlfcn.h>
#include <netdb.h>
#include <nss.h>
#include <sys/mman.h>

#include <curl/curl.h>

enum { DEADLINE_MS = 5000, CONTROL_MS = 300, DRIP_MS = 40, DRIP_LATE_MS = 500 };
enum { WINDOW = 8, N_MAX = 4000 };

// How the two requests meet the lack of memory.
enum scene {
    FRESH,  // both connect
    NAMED,  // both have a name resolved, then connect
    WARM,   // each has a connection that was kept
    BESIDE, // the first is in the midst of its answer while the second connects
    SCENES,
};
static const char *const scene_words[] = {"fresh", "named", "warm", "beside"};

struct figures {
    long allocations;
    uint64_t injected, failed, both, unresolved, unclear, late, spoiled, descriptors;
};

static struct figures *figures; // shared with the processes that are forked
static bool deaf;               // the control: what curl says of its lack of memory is not heard

CURLMcode curl_multi_socket_action(CURLM *multi, curl_socket_t fd, int events, int *running)
{
    CURLMcode (*real)(CURLM *, curl_socket_t, int, int *);
    *(void **)&real = dlsym(RTLD_NEXT, "curl_multi_socket_action");
    CURLMcode code = real(multi, fd, events, running);
    return deaf ? CURLM_OK : code;
}

static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n01234567890123456789";
enum { ANSWER_BYTES = sizeof(answer) - 1, ANSWER_BEGUN = ANSWER_BYTES - 10 };

static unsigned open_descriptors(void)
{
    unsigned n = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (dir && readdir(dir))
        n++;
    if (dir)
        closedir(dir);
    return n;
}

// More than before. A resolver's thread that libcurl has let go closes its own when it is through.
static bool descriptors_kept(unsigned before)
{
    if (fcntl(STDIN_FILENO, F_GETFD) < 0)
        give_up("descriptor 0 is gone");
    for (int i = 0; i < 1000; i++) {
        if (open_descriptors() <= before)
            return false;
        poll(NULL, 0, 1);
    }
    return true;
}

// A name of this machine that resolves to where the servers listen; NULL when it has none. Only
// from its own list of hosts: nobody else is asked, also where reading that finds no memory.
static const char *own_name(void)
{
    static char name[256];
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *list;
    __nss_configure_lookup("hosts", "files");
    if (gethostname(name, sizeof(name) - 1) != 0 || getaddrinfo(name, NULL, &hints, &list) != 0)
        return NULL;
    struct sockaddr_in at;
    memcpy(&at, list->ai_addr, sizeof(at));
    freeaddrinfo(list);
    return at.sin_addr.s_addr == htonl(INADDR_LOOPBACK) && strcmp(name, "localhost") ? name : NULL;
}

static void probe_begin(struct probe *p, struct world *w, const char *host)
{
    probe_init(p, w);
    // What the probe itself needs is not what is tested.
    buf_reserve(&p->headers, 4096), buf_reserve(&p->body, 4096);
    int64_t ms = deaf ? CONTROL_MS : DEADLINE_MS;
    p->r.deadlines = (struct wire_deadlines){ms, ms, ms, ms};
    if (host)
        snprintf(p->url, sizeof(p->url), "http://%s:%u/", host, (unsigned)w->server.port);
}

// Starts; what is refused at once counts as done.
static void go(struct probe *p)
{
    int rc = try_begin(p);
    if (rc == E_OK)
        return;
    p->done = 1;
    p->end = WIRE_NO_CONNECT;
    err_set(&p->err, rc, "refused: %s", rc == E_NOMEM ? "out of memory" : "?");
}

// Whether it failed, and with the right words.
static bool failed(struct probe *p)
{
    bool whole = p->end == WIRE_OK && slice_is(buf_slice(&p->body), "01234567890123456789");
    if (whole)
        return false;
    bool late = p->end != WIRE_NO_CONNECT && p->end != WIRE_BROKEN;
    figures->failed++;
    figures->late += late;
    // What libcurl says, and all that it says, where its resolver finds no memory.
    bool unresolved = p->end == WIRE_NO_CONNECT && (strstr(p->err.message, "Could not resolve") ||
                                                    strstr(p->err.message, "getaddrinfo()"));
    bool clear = unresolved || strcasestr(p->err.message, "memory");
    figures->unresolved += unresolved;
    if (!late && !clear && figures->unclear++ < 5)
        fprintf(stderr, "  unclear: %s\n", p->err.message);
    return true;
}

struct until {
    struct loop_timer timer;
    struct probe *p;
};

static void look(struct loop_timer *timer)
{
    struct until *u = (struct until *)(void *)timer;
    if (u->p->body.len)
        loop_stop(u->p->world->loop);
    else
        loop_timer_start(u->p->world->loop, timer, 1);
}

// Runs until the first bytes of its body are there.
static void run_until_begun(struct probe *p)
{
    struct until u = {.timer.fn = look, .p = p};
    loop_timer_start(p->world->loop, &u.timer, 0);
    loop_run(p->world->loop);
}

static void whole_pair(struct world *w, const char *host)
{
    struct probe c, d;
    probe_begin(&c, w, host);
    probe_begin(&d, w, host);
    go(&c), go(&d);
    run(w);
    bool spoiled = c.end != WIRE_OK || d.end != WIRE_OK;
    if (spoiled && figures->spoiled++ < 5)
        fprintf(stderr, "  spoiled: %s\n", c.end != WIRE_OK ? c.err.message : d.err.message);
    probe_release(&c);
    probe_release(&d);
}

static void trial(enum scene scene, long n, long window)
{
    struct loopback_reply replies[] = {
        {.bytes = slice_of(answer, ANSWER_BYTES), .gated = scene == BESIDE},
        {.bytes = slice_of(answer, ANSWER_BYTES)}};
    const char *host = scene == NAMED ? own_name() : NULL;
    static struct world w;
    struct probe a, b;
    unsigned before = open_descriptors();
    world_init(&w, replies, 2);
    heap_spare(w.server.thread);
    if (scene == WARM)
        whole_pair(&w, host);
    probe_begin(&a, &w, host);
    probe_begin(&b, &w, host);
    if (scene == BESIDE) {
        loopback_allow(&w.server, ANSWER_BEGUN);
        go(&a);
        run_until_begun(&a);
        heap_fail(n, window);
        go(&b);
        loopback_allow(&w.server, 10);
    } else {
        heap_fail(n, window);
        go(&a), go(&b);
    }
    run(&w);
    figures->allocations = heap_mend();
    figures->injected += figures->allocations >= n;
    bool a_failed = failed(&a), b_failed = failed(&b);
    if (window == 1 && a_failed && b_failed && figures->both++ < 5)
        fprintf(stderr, "  both: %s, n = %ld: %s; %s\n", scene_words[scene], n, a.err.message,
                b.err.message);
    probe_release(&a);
    probe_release(&b);
    whole_pair(&w, host);
    whole_pair(&w, host);
    world_release(&w);
    if (descriptors_kept(before) && figures->descriptors++ < 5)
        fprintf(stderr, "  descriptors kept: %s, n = %ld, %ld failures\n", scene_words[scene], n,
                window);
}

static void torture_scene(enum scene scene, long window)
{
    long n = 0;
    do {
        alarm(60);
        trial(scene, ++n, window);
    } while (figures->allocations >= n && n < N_MAX);
    alarm(0);
}

static void test_torture_wire__two_at_once(void **state)
{
    (void)state;
    for (int scene = 0; scene < (int)SCENES; scene++) {
        memset(figures, 0, sizeof(*figures));
        if (scene == NAMED && !own_name()) {
            summary("out of memory, wire, named: skipped, no name of this machine is 127.0.0.1");
            continue;
        }
        torture_scene((enum scene)scene, 1);
        uint64_t once = figures->injected;
        torture_scene((enum scene)scene, WINDOW);
        torture_scene((enum scene)scene, HEAP_FOR_GOOD);
        summary("out of memory, wire, %s: injected all n (%llu once, %llu in all), failed %llu "
                "(\"could not resolve\" %llu), both %llu, unclear %llu, ended by a deadline %llu, "
                "later ones spoiled %llu, descriptors kept %llu",
                scene_words[scene], (unsigned long long)once,
                (unsigned long long)figures->injected, (unsigned long long)figures->failed,
                (unsigned long long)figures->unresolved, (unsigned long long)figures->both,
                (unsigned long long)figures->unclear, (unsigned long long)figures->late,
                (unsigned long long)figures->spoiled,
                (unsigned long long)figures->descriptors);
        assert_true(once > 10 && figures->failed > 10);
        assert_int_equal(figures->both + figures->unclear + figures->late, 0);
        assert_int_equal(figures->spoiled + figures->descriptors, 0);
    }
}

// ---- a byte at a time, for ever

// How long after its deadline it ended, ms.
static int64_t drip(long n, long window)
{
    static const char lines[] = "HTTP/1.1 200 OK\r\n\r\n: and so on, and on\n";
    struct loopback_reply reply = {
        .bytes = slice_of(lines, sizeof(lines) - 1), .repeat = 1 << 20, .gated = true};
    static struct world w;
    struct probe p;
    world_init(&w, &reply, 1);
    heap_spare(w.server.thread);
    probe_begin(&p, &w, NULL);
    p.r.deadlines.total_ms = DRIP_MS;
    p.allow_more = 1;
    loopback_allow(&w.server, 40);
    int64_t start = now_us();
    heap_fail(n, window);
    go(&p);
    run(&w);
    figures->allocations = heap_mend();
    int64_t after = (now_us() - start) / 1000 - DRIP_MS;
    figures->injected += figures->allocations >= n;
    if (p.end != WIRE_TOTAL_LATE)
        failed(&p);
    probe_release(&p);
    world_release(&w);
    return after;
}

static void test_torture_wire__deadlines_hold(void **state)
{
    static const long windows[] = {1, HEAP_FOR_GOOD};
    uint64_t late = 0;
    int64_t worst = 0;
    (void)state;
    memset(figures, 0, sizeof(*figures));
    for (size_t i = 0; i < 2; i++) {
        long n = 0;
        do {
            alarm(60);
            int64_t after = drip(++n, windows[i]);
            late += after > DRIP_LATE_MS;
            worst = after > worst ? after : worst;
        } while (figures->allocations >= n);
    }
    alarm(0);
    summary("out of memory, a byte at a time, deadline %d ms: injected all n (%llu), ended for "
            "lack of memory %llu, unclear %llu, by another deadline %llu, over deadline +0.5 s "
            "%llu, latest %lld ms",
            DRIP_MS, (unsigned long long)figures->injected, (unsigned long long)figures->failed,
            (unsigned long long)figures->unclear, (unsigned long long)figures->late,
            (unsigned long long)late, (long long)worst);
    assert_true(figures->failed > 10);
    assert_int_equal(figures->unclear + figures->late, 0);
}

// ---- control

static void test_torture_wire__control(void **state)
{
    int status, crashes = 0;
    (void)state;
    memset(figures, 0, sizeof(*figures));
    for (long n = 1; n == 1 || (figures->allocations >= n - 1 && n < N_MAX); n++) {
        fflush(NULL);
        pid_t pid = fork();
        if (pid == 0) {
            for (int i = 1; i < NSIG; i++)
                signal(i, SIG_DFL);
            deaf = true;
            trial(FRESH, n, 1);
            _exit(0);
        }
        waitpid(pid, &status, 0);
        crashes += status != 0;
    }
    summary("control, deaf to what curl says of its lack of memory: ended by a deadline %llu, "
            "crashes %d",
            (unsigned long long)figures->late, crashes);
    assert_true(figures->late > 0 && crashes > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_torture_wire__two_at_once),
        cmocka_unit_test(test_torture_wire__deadlines_hold),
        cmocka_unit_test(test_torture_wire__control),
    };
    figures =
        mmap(NULL, sizeof(*figures), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (figures == MAP_FAILED)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
