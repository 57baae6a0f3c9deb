// SPDX-License-Identifier: MIT
// One key, submitted eight times at once, by threads of one process and by several processes on one
// store: one turn, one provider call, the same answer to all. The same key with other words is
// refused.
#include "fault/oracle.h"

#include <stdatomic.h>

enum {
    COPIES = 8,
    BATCH = 40,
    KEYS_MAX = 1000,
    PROCESSES_MAX = 4,
    SECONDS_MAX = 300,
    REQUESTS = KEYS_MAX * COPIES * 2
};

struct shape {
    const char *what;
    int processes, threads; // processes * threads == COPIES
    bool control;           // no keys
};

// Shared by all processes.
struct common {
    pthread_barrier_t barrier;
    pthread_mutex_t lock; // guards the oracle's entries
    atomic_uint calls[KEYS_MAX + 1];
    atomic_uint answers, differing, failed, refused, accepted_other;
};

struct sender {
    struct submitter *s;
    int thread;
    pthread_t id;
};

struct submitter {
    const struct shape *shape;
    struct oracle *o;
    struct common *common;
    parley *e;
    int from, to; // the batch
    bool other_words;
    uint16_t key_of[REQUESTS]; // by request
};

static void count_call(void *user, const char *provider, const char *body, size_t len)
{
    struct submitter *s = user;
    uint64_t n = text_number(slice_of(body, len));
    (void)provider;
    if (n <= KEYS_MAX)
        atomic_fetch_add(&s->common->calls[n], 1);
}

static void *send_batch(void *arg)
{
    struct sender *sender = arg;
    struct submitter *s = sender->s;
    for (int i = s->from; i < s->to; i++) {
        char name[16], key[32], words[TEXT_BYTES + 16];
        parley_message m = PARLEY_MESSAGE_INIT;
        parley_error error = PARLEY_ERROR_INIT;
        uint64_t request;
        snprintf(name, sizeof(name), "user-%d", i % USERS);
        snprintf(key, sizeof(key), "key-%d", i);
        text_make((uint64_t)i, words);
        if (s->other_words)
            strcat(words, " or so");
        m.user = name;
        m.key = s->shape->control ? NULL : key;
        m.text = words;
        m.provider = text_provider((uint64_t)i);
        if (parley_send(s->e, &m, &request, &error) < 0)
            give_up("send: %s", error.message);
        if (request >= REQUESTS)
            give_up("too many requests");
        s->key_of[request] = (uint16_t)i;
    }
    return NULL;
}

static void take_done(struct submitter *s, const parley_event *event)
{
    struct common *c = s->common;
    struct note note = {0};
    struct entry *e = &s->o->entries[s->key_of[event->request]];
    note_done(&note, event);
    pthread_mutex_lock(&c->lock);
    if (!e->done) {
        e->planned = e->accepted = e->done = true;
        e->turn = event->turn;
        snprintf(e->session, sizeof(e->session), "%s", event->session);
        memcpy(e->status, note.status, sizeof(e->status));
        e->reply_hash = note.reply_hash;
    } else if (e->turn != event->turn || strcmp(e->session, event->session) != 0 ||
               strcmp(e->status, note.status) != 0 || e->reply_hash != note.reply_hash) {
        atomic_fetch_add(&c->differing, 1);
    }
    pthread_mutex_unlock(&c->lock);
    atomic_fetch_add(&c->answers, 1);
}

static void take_answers(struct submitter *s)
{
    int left = (s->to - s->from) * s->shape->threads;
    while (left) {
        parley_event *event = next_event(s->e);
        left -= is_last(event);
        if (s->other_words && event->type == PARLEY_EVENT_ACCEPTED)
            atomic_fetch_add(&s->common->accepted_other, 1);
        else if (s->other_words && event->type == PARLEY_EVENT_ERROR)
            atomic_fetch_add(&s->common->refused, event->code == PARLEY_E_REFUSED);
        else if (event->type == PARLEY_EVENT_DONE)
            take_done(s, event);
        else if (event->type == PARLEY_EVENT_ERROR && !atomic_fetch_add(&s->common->failed, 1))
            fprintf(stderr, "key %u: %s\n", s->key_of[event->request], event->text);
        parley_event_free(event);
    }
}

static void submit_batch(struct submitter *s)
{
    struct sender senders[COPIES];
    pthread_barrier_wait(&s->common->barrier);
    for (int i = 0; i < s->shape->threads; i++) {
        senders[i] = (struct sender){.s = s, .thread = i};
        if (pthread_create(&senders[i].id, NULL, send_batch, &senders[i]) != 0)
            give_up("no thread");
    }
    for (int i = 0; i < s->shape->threads; i++)
        pthread_join(senders[i].id, NULL);
    take_answers(s);
}

static void submitter_run(const struct place *place, struct submitter *s, int keys)
{
    struct engine_wish wish = {.workers = 2, .trace = count_call, .user = s};
    parley_error error = PARLEY_ERROR_INIT;
    alarm(SECONDS_MAX); // the others would wait for ever for one that is gone
    if (place_open(place, &wish, &s->e, &error) < 0)
        give_up("submitter: %s", error.message);
    for (s->from = 1; s->from <= keys; s->from += BATCH) {
        s->to = s->from + BATCH <= keys ? s->from + BATCH : keys + 1;
        submit_batch(s);
    }
    s->other_words = true;
    s->from = 1;
    s->to = s->shape->control ? 1 : BATCH;
    submit_batch(s);
    parley_close(s->e);
    _exit(0);
}

static struct common *common_make(const struct shape *shape)
{
    pthread_barrierattr_t barrier;
    pthread_mutexattr_t mutex;
    struct common *c =
        mmap(NULL, sizeof(*c), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (c == MAP_FAILED)
        give_up("mmap: %s", strerror(errno));
    pthread_barrierattr_init(&barrier);
    pthread_barrierattr_setpshared(&barrier, PTHREAD_PROCESS_SHARED);
    pthread_barrier_init(&c->barrier, &barrier, (unsigned)shape->processes);
    pthread_mutexattr_init(&mutex);
    pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(&c->lock, &mutex);
    return c;
}

struct figures {
    struct tally tally;
    unsigned differing, failed, refused, accepted_other, calls_max, calls_min;
};

static struct figures submit(const struct shape *shape, int keys)
{
    static struct submitter submitter;
    struct place place;
    struct oracle o;
    struct figures f = {.calls_min = UINT32_MAX};
    pid_t pids[PROCESSES_MAX];
    int status;
    place_make(&place);
    oracle_init(&o, &place);
    submitter = (struct submitter){.shape = shape, .o = &o, .common = common_make(shape)};
    fflush(NULL);
    for (int i = 0; i < shape->processes; i++) {
        pids[i] = fork();
        if (pids[i] == 0)
            submitter_run(&place, &submitter, keys);
    }
    for (int i = 0; i < shape->processes; i++) {
        waitpid(pids[i], &status, 0);
        f.failed += status != 0;
    }
    oracle_check(&place, &o, false, 0, &f.tally);
    for (int i = 1; i <= keys; i++) {
        unsigned calls = atomic_load(&submitter.common->calls[i]);
        f.calls_max = calls > f.calls_max ? calls : f.calls_max;
        f.calls_min = calls < f.calls_min ? calls : f.calls_min;
    }
    f.differing = submitter.common->differing;
    f.failed += submitter.common->failed;
    f.refused = submitter.common->refused;
    f.accepted_other = submitter.common->accepted_other;
    summary(
        "%s: %d keys, %d submissions each: turns per key %.2f, provider calls per key %u to %u; "
        "other answers %u, failed %u, other words refused %u, accepted %u",
        shape->what, keys, COPIES, (double)f.tally.turns / keys, f.calls_min, f.calls_max,
        f.differing, f.failed, f.refused, f.accepted_other);
    munmap(submitter.common, sizeof(*submitter.common));
    oracle_release(&o);
    place_remove(&place);
    return f;
}

static void is_once(const struct figures *f, int keys)
{
    const struct tally *t = &f->tally;
    assert_int_equal(t->turns, keys);
    assert_int_equal(f->calls_min, 1);
    assert_int_equal(f->calls_max, 1);
    assert_int_equal(f->differing + f->failed + f->accepted_other, 0);
    assert_int_equal(f->refused, (BATCH - 1) * COPIES);
    assert_int_equal(t->lost + t->duplicated + t->half + t->wrong + t->problems, 0);
}

static int key_count(void)
{
    return fault_long() ? KEYS_MAX : 200;
}

static void test_keys__threads_of_one_process(void **state)
{
    (void)state;
    struct shape shape = {"one process, eight threads", 1, 8, false};
    struct figures f = submit(&shape, key_count());
    is_once(&f, key_count());
}

static void test_keys__processes_on_one_store(void **state)
{
    (void)state;
    struct shape shape = {"four processes, two threads each", 4, 2, false};
    struct figures f = submit(&shape, key_count());
    is_once(&f, key_count());
}

static void test_keys__control_without(void **state)
{
    (void)state;
    struct shape shape = {"control, no keys", 1, 8, true};
    struct figures f = submit(&shape, BATCH);
    assert_int_equal(f.tally.turns, BATCH * COPIES);
    assert_int_equal(f.calls_min, COPIES);
    assert_true(f.tally.duplicated > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys__threads_of_one_process),
        cmocka_unit_test(test_keys__processes_on_one_store),
        cmocka_unit_test(test_keys__control_without),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
