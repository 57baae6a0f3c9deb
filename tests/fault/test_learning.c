// SPDX-License-Identifier: MIT
// What is learnt of a user by processes that die at every operation on the store, and at any
// moment; that begin again from the start; and that learn the same at once. No memory is there
// twice, none is lost, and one that takes one value has one.
//
//   learner (a child)  ──two sessions, turn by turn, a commit each──▶  store
//   this process: kills, lets two more learn it all at once, and compares with what one learns who
//   has never heard of stores
//
// A learner goes on after the last turn that is noted as learnt, or begins again: as it happens.
#include "fault/run.h"
#include "unit/facts_kit.h"

#include "turn/book.h"

#include <errno.h>
#include <signal.h>
#include <strings.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SESSIONS = 2, OF_TURN = 2, TELL_BYTES = 16 << 10, OPS_MAX = 400 };

static char aliases[][MEMORY_PREDICATE_BYTES] = {"residence"};
static struct predicate_rule predicates[] = {
    {.name = "likes"},
    {.name = "lives_in", .one = true, .aliases = aliases, .aliases_len = 1},
    {.name = "works_as", .one = true},
};
static struct memory_rules rules = {.on = true, .predicates = predicates, .predicates_len = 3};
static const char sessions[SESSIONS][ID_TEXT_BYTES] = {"6f1f1d6e-3c0b-4b7e-9a51-0d9f6f6b8a01",
                                                       "0b9a1d6e-3c0b-4b7e-9a51-0d9f6f6b8a02"};

// What turn t of session s says: the same whenever it is asked.
static struct fact_candidate said_in(unsigned s, uint32_t t, unsigned i)
{
    static const char *const names[] = {"likes", "lives_in", "residence", "works_as"};
    static const char *const values[4][3] = {{"green tea", "hiking in the mountains", "chess"},
                                             {"Berlin", "in Berlin", "Oslo"},
                                             {"Berlin.", "New York", "OSLO"},
                                             {"a nurse", "nurse", "teacher"}};
    uint32_t n = (t * 2654435761u) ^ ((s * OF_TURN + i) * 40503u);
    struct fact_candidate c = facts_kit_said(names[n >> 7 & 3], values[n >> 7 & 3][(n >> 11) % 3],
                                             (int64_t)(t * SESSIONS + s) * OF_TURN + i + 1,
                                             (n >> 17) % 5 == 0 ? HELD : SAID);

    memcpy(c.session, sessions[s], sizeof(c.session));
    c.turn = t;
    return c;
}

static int consider(struct fact_book *b, unsigned s, uint32_t t, struct err *err)
{
    int code = E_OK;

    for (unsigned i = 0; i < OF_TURN && !code; i++) {
        struct fact_candidate c = said_in(s, t, i);
        struct fact_considered out;

        code = fact_book_consider(b, &c, c.author == AUTHOR_USER, &rules, 1, &out, err);
    }
    return code;
}

// ---- what a book says, value by value, in no order of its own

enum { LINES_MAX = 64, CLASS_BYTES = 5 };

struct told {
    char text[TELL_BYTES];
    unsigned facts, actives, doubles;
};

// Which of our values it is, however it was said.
static void class_of(const struct fact *f, char out[CLASS_BYTES])
{
    struct slice v = safe_slice(fact_value(f));
    size_t skip = v.len > 3 && strncasecmp(v.ptr, "in ", 3) == 0   ? 3
                  : v.len > 2 && strncasecmp(v.ptr, "a ", 2) == 0 ? 2
                                                                  : 0;

    snprintf(out, CLASS_BYTES, "%.*s", (int)(v.len - skip), v.ptr + skip);
    for (char *c = out; *c; c++)
        *c = (char)(*c >= 'A' && *c <= 'Z' ? *c + ('a' - 'A') : *c);
}

static const char *name_of(const struct fact_at *at)
{
    return strcmp(at->slot->predicate, aliases[0]) == 0 ? "lives_in" : at->slot->predicate;
}

static bool is_double(const struct fact_at *a, const struct fact_at *b)
{
    char x[CLASS_BYTES], y[CLASS_BYTES];

    if (strcmp(name_of(a), name_of(b)) != 0)
        return false;
    class_of(a->fact, x);
    class_of(b->fact, y);
    return strcmp(x, y) == 0 || (a->slot->one && a->fact->status == FACT_ACTIVE &&
                                 b->fact->status == FACT_ACTIVE);
}

static int by_line(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void tell(const struct fact_book *b, struct told *out)
{
    static char lines[LINES_MAX][256];
    struct fact_at at = FACT_AT_START;
    unsigned len = 0;
    size_t n = 0;

    memset(out, 0, sizeof(*out));
    while (fact_book_next(b, &at) && len < LINES_MAX) {
        const struct fact *f = at.fact;
        struct fact_at other = at;
        char class[CLASS_BYTES];

        class_of(f, class);
        snprintf(lines[len++], sizeof(lines[0]), "%s %s %s: %u turns, %lld to %lld, %zu before\n",
                 at.slot->predicate, class, fact_status_word(f->status), f->confirmations,
                 (long long)f->valid_from_ms, (long long)f->valid_to_ms, f->earlier.len);
        out->facts++;
        out->actives += f->status == FACT_ACTIVE;
        while (fact_book_next(b, &other))
            out->doubles += is_double(&at, &other);
    }
    qsort(lines, len, sizeof(lines[0]), by_line);
    for (unsigned i = 0; i < len; i++)
        n += (size_t)snprintf(out->text + n, sizeof(out->text) - n, "%s", lines[i]);
}

// What one learns who has never heard of stores.
static void tell_truth(uint32_t turns, struct told *out)
{
    struct fact_book *b = facts_kit_book();
    struct err err = ERR_INIT;

    for (unsigned s = 0; s < SESSIONS; s++)
        for (uint32_t t = 1; t <= turns; t++)
            if (consider(b, s, t, &err))
                give_up("learning: %s", err.message);
    tell(b, out);
    fact_book_free(b);
}

// ---- a place: a folder with a store and its keys

enum { PATH_BYTES = 128 };
static const char *const files[] = {"db", "db-wal", "db-shm", "db-lock", "parley.keys",
                                    "parley.keys.lock"};

struct place {
    char dir[PATH_BYTES / 2];
};

static const char *place_path(const struct place *p, const char *name, char out[PATH_BYTES])
{
    snprintf(out, PATH_BYTES, "%s/%s", p->dir, name);
    return out;
}

static void place_make(struct place *p)
{
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";

    snprintf(p->dir, sizeof(p->dir), "%s/parley-fault-XXXXXX", base);
    if (!mkdtemp(p->dir))
        give_up("%s: %s", p->dir, strerror(errno));
}

static void place_clean(const struct place *p)
{
    char path[PATH_BYTES];

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        unlink(place_path(p, files[i], path));
}

static void place_remove(const struct place *p)
{
    place_clean(p);
    if (rmdir(p->dir))
        fprintf(stderr, "fault: %s is left behind\n", p->dir);
}

// ---- a house: what a process has; and learners in it

struct house {
    struct loop *loop;
    struct vault *vault;
    struct store *store;
    struct ledger *ledger;
    const struct user_key *key;
    char partition[PARTITION_BYTES];
    struct vault_request request;
    unsigned under_way;
};

struct learner {
    struct house *house;
    struct worker worker;
    unsigned order[SESSIONS], at;    // sessions, as it goes through them
    uint32_t turns, turn;            // of each; the next one
    bool again;                      // from the start, whatever is noted
    struct book_change change;
    struct learnt learnt;
    struct ledger_op op;
};

static void has_key(struct vault_request *r)
{
    struct house *h = CONTAINER_OF(r, struct house, request);

    if (r->code)
        give_up("learning: %s", r->err.message);
    h->key = r->key;
    loop_stop(h->loop);
}

static void house_open(struct house *h, const struct place *place, struct store *store)
{
    static char keys[PATH_BYTES];
    struct err err = ERR_INIT;
    struct vault_options vo = {.path = place_path(place, "parley.keys", keys),
                               .rand = rand_system()};

    *h = (struct house){.store = store};
    if (loop_new(&h->loop, clock_system(), &err) || vault_open(&h->vault, &vo, &err))
        give_up("learning: %s", err.message);
    struct ledger_env env = {.store = store, .vault = h->vault, .loop = h->loop,
                             .clock = clock_system(), .rand = rand_system()};
    if (ledger_new(&h->ledger, &env, &err))
        give_up("learning: %s", err.message);
    vault_partition(h->vault, SLICE_LIT("ann"), h->partition);
    h->request = (struct vault_request){.loop = h->loop, .create = true, .done = has_key};
    memcpy(h->request.partition, h->partition, sizeof(h->partition));
    vault_user_key(h->vault, &h->request);
    loop_run(h->loop);
}

static void house_close(struct house *h)
{
    ledger_free(h->ledger);
    store_free(h->store);
    vault_free(h->vault);
    loop_free(h->loop);
}

static struct store *store_of(const struct place *place, const char *faults)
{
    char url[2 * PATH_BYTES], path[PATH_BYTES];
    struct store_env env = {.clock = clock_system(), .rand = rand_system(), .busy_ms = 60000};
    struct store *store = NULL;
    struct err err = ERR_INIT;

    snprintf(url, sizeof(url), "%ssqlite:%s", faults, place_path(place, "db", path));
    if (store_open(&store, url, &env, &err))
        give_up("learning: %s", err.message);
    return store;
}

// ---- learning

static void next_session(struct learner *l);

static int apply(struct book_change *change, struct book *b, struct ledger_memory_commit *extra,
                 struct err *err)
{
    struct learner *l = change->user;

    l->learnt.upto = l->turn;
    extra->learnt = &l->learnt;
    return consider(b->facts, l->order[l->at], l->turn, err);
}

static void learn_turn(struct learner *l);

static void turn_learnt(struct book_change *change)
{
    struct learner *l = change->user;

    if (change->code)
        give_up("learning: %d %s", change->code, change->err.message);
    book_release(change->book);
    l->turn++;
    learn_turn(l);
}

static void learn_turn(struct learner *l)
{
    struct house *h = l->house;

    if (l->turn > l->turns) {
        l->at++;
        next_session(l);
        return;
    }
    l->change = (struct book_change){.key = h->key, .bot = "hello", .apply = apply,
                                     .done = turn_learnt, .user = l};
    memcpy(l->change.partition, h->partition, sizeof(h->partition));
    book_change(&l->worker, &l->change);
}

static void found_learnt(struct ledger_op *op)
{
    struct learner *l = op->user;

    if (op->code)
        give_up("learning: %s", op->err.message);
    l->turn = l->again ? 1 : l->learnt.upto + 1;
    learn_turn(l);
}

static void next_session(struct learner *l)
{
    struct house *h = l->house;

    if (l->at == SESSIONS) {
        if (--h->under_way == 0)
            loop_stop(h->loop);
        return;
    }
    l->learnt = (struct learnt){0};
    memcpy(l->learnt.session, sessions[l->order[l->at]], ID_TEXT_BYTES);
    l->op = (struct ledger_op){.done = found_learnt, .user = l};
    ledger_find_learnt(h->ledger, h->partition, h->key, &l->learnt, &l->op);
}

static void learner_start(struct learner *l, struct house *h, unsigned first, uint32_t turns,
                          bool again)
{
    *l = (struct learner){.house = h, .turns = turns, .again = again,
                          .order = {first, 1 - first},
                          .worker = {.env = {.loop = h->loop, .vault = h->vault,
                                             .clock = clock_system(), .rand = rand_system(),
                                             .live_bytes_max = 1 << 26},
                                     .ledger = h->ledger}};
    h->under_way++;
    next_session(l);
}

// ---- looking

struct looking {
    struct book_wait wait;
    struct house *house;
};

static void looked(struct book_wait *wait)
{
    loop_stop(((struct looking *)wait->user)->house->loop);
}

static void look(struct house *h, struct told *out)
{
    struct worker w = {.env = {.loop = h->loop, .vault = h->vault, .clock = clock_system(),
                               .live_bytes_max = 1 << 26},
                       .ledger = h->ledger};
    struct looking l = {.wait = {.key = h->key, .bot = "hello", .done = looked}, .house = h};

    l.wait.user = &l;
    memcpy(l.wait.partition, h->partition, sizeof(h->partition));
    book_open(&w, &l.wait);
    loop_run(h->loop);
    if (l.wait.code || l.wait.book->damage.len)
        give_up("learning: %s%s", l.wait.err.message,
                l.wait.code ? "" : l.wait.book->damage.ptr);
    tell(l.wait.book->facts, out);
    book_release(l.wait.book);
    books_free(&w);
}

struct figures {
    unsigned kills, learnings, doubles, lost;
};

static void compare(struct house *h, uint32_t turns, bool is_control, struct figures *f)
{
    static struct told got, truth;

    look(h, &got);
    tell_truth(turns, &truth);
    f->doubles += got.doubles;
    if (strcmp(got.text, truth.text) != 0) {
        f->lost++;
        if (!is_control)
            printf("# after %u turns:\n%snot\n%s", turns, got.text, truth.text);
    }
}

// ---- processes

static pid_t learn_beside(const struct place *place, const char *faults, unsigned first,
                          uint32_t turns, bool again)
{
    fflush(NULL);
    pid_t pid = fork();

    if (pid < 0)
        give_up("learning: %s", strerror(errno));
    if (pid > 0)
        return pid;
    struct house h;
    struct learner l;
    house_open(&h, place, store_of(place, faults));
    learner_start(&l, &h, first, turns, again);
    loop_run(h.loop);
    _exit(0);
}

// Whether it was killed.
static bool reap(pid_t pid)
{
    int status = 0;

    if (waitpid(pid, &status, 0) != pid)
        give_up("learning: %s", strerror(errno));
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return false;
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        give_up("learning: a learner ended with status %x", (unsigned)status);
    return true;
}

static void learn_twice_at_once(const struct place *place, uint32_t turns, struct figures *f)
{
    pid_t pids[2];

    for (unsigned i = 0; i < 2; i++)
        pids[i] = learn_beside(place, "", i, turns, i);
    for (unsigned i = 0; i < 2; i++)
        if (reap(pids[i]))
            give_up("learning: a learner was killed by somebody else");
    f->learnings += 2;
}

static void check_place(const struct place *place, uint32_t turns, struct figures *f)
{
    struct house h;

    learn_twice_at_once(place, turns, f);
    house_open(&h, place, store_of(place, ""));
    compare(&h, turns, false, f);
    house_close(&h);
}

static void kill_at_each(const struct place *place, const char *mode, uint32_t turns,
                         struct figures *f)
{
    bool killed = true;

    for (unsigned op = 1; killed && op < OPS_MAX; op++) {
        char faults[64];

        place_clean(place);
        snprintf(faults, sizeof(faults), "faulty:fail_at=%u,mode=%s;", op, mode);
        killed = reap(learn_beside(place, faults, op % 2, turns, false));
        f->kills += killed;
        check_place(place, turns, f);
    }
    assert_false(killed);
}

static void test_learning__killed_at_each_operation(void **state)
{
    struct figures f = {0};
    struct place place;
    uint32_t turns = fault_long() ? 12 : 3;

    (void)state;
    place_make(&place);
    kill_at_each(&place, "crash_before", turns, &f);
    kill_at_each(&place, "crash_after", turns, &f);
    place_remove(&place);
    summary("learning, killed before and after each operation on the store: %u kills, each then "
            "learnt again by two at once (%u learnings); duplicate memories %u, stores that say "
            "something else than what was said %u", f.kills, f.learnings, f.doubles, f.lost);
    assert_true(f.kills > 20);
    assert_int_equal(f.doubles + f.lost, 0);
}

// Two at once, killed at any moment, while there is always more to be learnt.
static void kill_at_random(const struct place *place, struct rand_sim *rand, unsigned rounds,
                           struct figures *f)
{
    place_clean(place);
    for (uint32_t turns = 1; turns <= rounds; turns++) {
        pid_t pids[2];

        for (unsigned i = 0; i < 2; i++)
            pids[i] = learn_beside(place, "", i, turns, rand_below(&rand->rand, 2) == 0);
        for (unsigned i = 0; i < 2; i++) {
            int64_t until = now_us() + (int64_t)rand_below(&rand->rand, 20000);

            while (now_us() < until)
                continue;
            kill(pids[i], SIGKILL);
            f->kills += reap(pids[i]);
        }
    }
    check_place(place, rounds, f);
}

static void test_learning__killed_at_random(void **state)
{
    struct figures f = {0};
    struct place place;
    struct rand_sim rand;
    uint64_t seed = fault_seed();
    unsigned wanted = fault_long() ? 2000 : 100, rounds = 0;

    (void)state;
    rand_sim_init(&rand, seed);
    place_make(&place);
    for (; f.kills < wanted && rounds < wanted; rounds++)
        kill_at_random(&place, &rand, 15, &f);
    place_remove(&place);
    summary("learning, two at once, killed at random: %u kills in %u stores; duplicate memories "
            "%u, stores that say something else than what was said %u (seed %llu)", f.kills,
            rounds, f.doubles, f.lost, (unsigned long long)seed);
    assert_true(f.kills >= wanted);
    assert_int_equal(f.doubles + f.lost, 0);
}

// ---- control: without the versions that guard what is remembered

struct unguarded {
    struct store base;
    struct store *inner;
};

static void unguarded_submit(struct store *s, struct store_op *op)
{
    struct unguarded *u = CONTAINER_OF(s, struct unguarded, base);

    for (uint32_t i = 0; i < op->items_len && op->verb == STORE_COMMIT; i++)
        if (op->items[i].verb == STORE_INSERT || op->items[i].verb == STORE_PUT) {
            op->items[i].verb = STORE_PUT;
            op->items[i].version = 0;
        }
    store_submit(u->inner, op);
}

static const char *unguarded_claim(struct store *s)
{
    return store_claim(CONTAINER_OF(s, struct unguarded, base)->inner);
}

static void unguarded_free(struct store *s)
{
    struct unguarded *u = CONTAINER_OF(s, struct unguarded, base);

    store_free(u->inner);
    mem_free(u);
}

static const struct store_ops unguarded_ops = {.name = "unguarded", .submit = unguarded_submit,
                                               .claim = unguarded_claim, .free = unguarded_free};

// Two learners in one house, turn by turn.
static struct figures learn_in_line(bool guarded)
{
    enum { TURNS = 20 };
    struct figures f = {0};
    struct learner l[2];
    struct place place;
    struct house h;

    place_make(&place);
    struct store *store = store_of(&place, "");
    if (!guarded) {
        struct unguarded *u = mem_zalloc(sizeof(*u));

        *u = (struct unguarded){{&unguarded_ops}, store};
        store = &u->base;
    }
    house_open(&h, &place, store);
    for (unsigned i = 0; i < 2; i++)
        learner_start(&l[i], &h, i, TURNS, false);
    loop_run(h.loop);
    compare(&h, TURNS, !guarded, &f);
    for (unsigned i = 0; i < 2; i++)
        books_free(&l[i].worker);
    house_close(&h);
    place_remove(&place);
    return f;
}

static void test_learning__control(void **state)
{
    (void)state;
    struct figures with = learn_in_line(true), without = learn_in_line(false);
    rules.predicates_len = 0;  // so that nobody knows what is one
    struct figures unruled = learn_in_line(true);
    rules.predicates_len = 3;
    summary("learning, two at once in one process: with versions %u stores that say something "
            "else, control without them %u; duplicate memories %u, control without rules %u",
            with.lost, without.lost, with.doubles, unruled.doubles);
    assert_int_equal(with.lost + with.doubles, 0);
    assert_int_equal(without.lost, 1);
    assert_true(unruled.doubles > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_learning__killed_at_each_operation),
        cmocka_unit_test(test_learning__killed_at_random),
        cmocka_unit_test(test_learning__control),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
