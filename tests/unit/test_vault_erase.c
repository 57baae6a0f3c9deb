// SPDX-License-Identifier: MIT
// Erasure in the keyring: the tombstone first, then the keys; whoever dies between, whoever else
// has the keyring open. And what is derived for each user and signed by the house.
#include "unit/vault_kit.h"

#include <sched.h>
#include <sys/wait.h>

static int run(struct vault *v, struct loop *loop, const char *partition,
               void (*verb)(struct vault *v, struct vault_request *request))
{
    struct wait w;

    ask(&w, loop, partition, false);
    w.request.at_ms = 1234567890123;
    verb(v, &w.request);
    assert_false(w.done);
    loop_run(loop);
    assert_true(w.done);
    return w.request.code;
}

static int forget(struct vault *v, struct loop *loop, const char *partition)
{
    return run(v, loop, partition, vault_forget);
}

// Whether the file still has a key of the partition.
static bool has_line(const char *path, const char *partition)
{
    char line[64];
    size_t len;
    char *text = file_text(path, &len);
    bool found = false;

    snprintf(line, sizeof(line), " %s ", partition);
    for (char *at = strstr(text, "user "); at && !found; at = strstr(at + 1, "user "))
        found = strncmp(at + 13, line, strlen(line)) == 0;
    free(text);
    return found;
}

static void assert_erased(struct vault *v, struct loop *loop, const char *partition)
{
    const struct user_key *k;

    assert_null(vault_find_key(v, partition));
    assert_int_equal(get_key(v, loop, partition, true, &k), E_ERASED);
    assert_true(vault_is_erased(v, partition));
}

static void test_vault__forgets_for_ever(void **state)
{
    struct fixture *f = *state;
    struct vault *v = opened(f->path);
    const struct user_key *k = key_of(v, f->loop, "user1");
    struct buf out = BUF_INIT(4096);
    struct sealed s = seal(v, k, SAFE_LIT("secret"), &out), again;
    char digest[VAULT_DIGEST_BYTES];
    struct vault_erasure erasures[4];
    struct safe_buf text;

    safe_buf_init(&text, 64);
    key_of(v, f->loop, "user2");
    assert_false(vault_is_erased(v, "user1"));
    assert_int_equal(run(v, f->loop, "user1", vault_erased_done), E_NOT_FOUND);
    assert_int_equal(forget(v, f->loop, "user1"), E_OK);
    assert_int_equal(forget(v, f->loop, "user1"), E_OK);
    assert_int_equal(forget(v, f->loop, "stranger"), E_OK);
    assert_false(has_line(f->path, "user1"));
    assert_true(has_line(f->path, "user2"));

    assert_int_equal(unseal(v, k, PARTITION, KEY, s.bytes, &text), E_ERASED);
    assert_int_equal(vault_seal(v, k, PLACE, SAFE_LIT("late"), &out, &again, NULL), E_ERASED);
    assert_int_equal(vault_user_digest(v, k, "email", SLICE_LIT("a"), digest, NULL), E_ERASED);
    assert_string_equal(digest, "");
    for (unsigned round = 0; round < 2; round++) {
        assert_erased(v, f->loop, "user1");
        assert_erased(v, f->loop, "stranger");
        assert_non_null(vault_find_key(v, "user2"));
        assert_int_equal(vault_erasures(v, 0, erasures, 4), 2);
        assert_string_equal(erasures[0].partition, "user1");
        assert_true(erasures[0].at_ms == 1234567890123);
        assert_int_equal(erasures[0].done, round);
        assert_string_equal(erasures[1].partition, "stranger");
        assert_false(erasures[1].done);
        assert_int_equal(vault_erasures(v, 1, erasures, 4), 1);
        assert_int_equal(vault_erasures(v, 2, erasures, 4), 0);
        assert_int_equal(run(v, f->loop, "user1", vault_erased_done), E_OK);
        assert_int_equal(run(v, f->loop, "user1", vault_erased_done), E_OK);
        vault_free(v);
        v = opened(f->path);
    }
    vault_free(v);
    safe_buf_release(&text);
    buf_release(&out);
}

static void test_vault__who_comes_back_is_somebody_else(void **state)
{
    struct fixture *f = *state;
    struct vault *v = opened(f->path), *memory = opened(NULL);
    char was[4][VAULT_DIGEST_BYTES], now[VAULT_DIGEST_BYTES];

    for (unsigned i = 0; i < 4; i++) {
        vault_partition(v, SLICE_LIT("ann"), was[i]);
        for (unsigned j = 0; j < i; j++)
            assert_string_not_equal(was[j], was[i]);
        key_of(v, f->loop, was[i]);
        vault_partition(v, SLICE_LIT("ann"), now);
        assert_string_equal(now, was[i]);
        assert_int_equal(forget(v, f->loop, was[i]), E_OK);
    }
    vault_free(v);
    v = opened(f->path);
    for (unsigned i = 0; i < 4; i++)
        assert_true(vault_is_erased(v, was[i]));
    vault_partition(v, SLICE_LIT("ann"), now);
    assert_false(vault_is_erased(v, now));
    key_of(v, f->loop, now);
    vault_free(v);

    vault_partition(memory, SLICE_LIT("ann"), was[0]);
    key_of(memory, f->loop, was[0]);
    assert_int_equal(forget(memory, f->loop, was[0]), E_OK);
    assert_erased(memory, f->loop, was[0]);
    vault_partition(memory, SLICE_LIT("ann"), now);
    assert_string_not_equal(now, was[0]);
    vault_free(memory);
}

// ---- other processes

static void test_vault__others_learn_of_it(void **state)
{
    struct fixture *f = *state;
    struct vault *a = opened(f->path), *b = opened(f->path), *idle = opened(f->path);
    struct buf out = BUF_INIT(4096);
    struct sealed s;
    const struct user_key *k;

    key_of(a, f->loop, "user1");
    assert_int_equal(get_key(b, f->loop, "user1", false, &k), E_OK);
    key_of(idle, f->loop, "user1");
    assert_int_equal(forget(a, f->loop, "user1"), E_OK);
    assert_erased(b, f->loop, "user1");
    assert_int_equal(vault_seal(b, k, PLACE, SAFE_LIT("late"), &out, &s, NULL), E_ERASED);
    // One that nobody asks anything finds out by itself.
    while (!vault_is_erased(idle, "user1"))
        sched_yield();
    assert_int_equal(run(idle, f->loop, "user1", vault_erased_done), E_OK);
    struct vault_erasure erasure = {.done = false};
    assert_erased(a, f->loop, "user1");
    assert_int_equal(vault_erasures(a, 0, &erasure, 1), 1);
    assert_true(erasure.done);
    vault_free(a);
    vault_free(b);
    vault_free(idle);
    buf_release(&out);
}

enum { RACERS = 3, RACE_USERS = 40 };

// In a process of its own: makes and erases the same users as the others, in another order.
static int racer(const char *path, unsigned number, int start)
{
    struct vault_options options = {.path = path, .rand = rand_system()};
    struct loop *loop;
    struct vault *v;
    char go;

    if (loop_new(&loop, clock_system(), NULL) || read(start, &go, 1) != 1 ||
        vault_open(&v, &options, NULL))
        return 1;
    for (unsigned i = 0; i < RACE_USERS; i++) {
        char partition[VAULT_DIGEST_BYTES];
        struct wait w;

        snprintf(partition, sizeof(partition), "user%u", (i + 13 * number) % RACE_USERS);
        ask(&w, loop, partition, true);
        vault_user_key(v, &w.request);
        loop_run(loop);
        if (w.request.code && w.request.code != E_ERASED)
            return 2;
        ask(&w, loop, partition, false);
        vault_forget(v, &w.request);
        loop_run(loop);
        if (w.request.code)
            return 3;
    }
    vault_free(v);
    loop_free(loop);
    return 0;
}

static void test_vault__processes_erase_at_once(void **state)
{
    struct fixture *f = *state;
    pid_t pids[RACERS];
    int start[2];
    size_t len;

    assert_int_equal(pipe(start), 0);
    for (unsigned p = 0; p < RACERS; p++) {
        pids[p] = fork();
        if (pids[p] == 0)
            _exit(racer(f->path, p, start[0]));
    }
    assert_int_equal(write(start[1], "go!", RACERS), RACERS);
    for (unsigned p = 0; p < RACERS; p++) {
        int status;

        assert_int_equal(waitpid(pids[p], &status, 0), pids[p]);
        assert_int_equal(status, 0);
    }
    close(start[0]);
    close(start[1]);
    char *text = file_text(f->path, &len);
    assert_null(strstr(text, "user "));
    free(text);
    struct vault *v = opened(f->path);
    struct vault_erasure erasures[RACE_USERS + 1];
    assert_int_equal(vault_erasures(v, 0, erasures, RACE_USERS + 1), RACE_USERS);
    vault_free(v);
}

// ---- crashes

struct crash {
    int steps_left;
};

static void step(void *user, const char *name)
{
    struct crash *c = user;

    (void)name;
    if (c->steps_left-- == 0)
        _exit(77);
}

// Dies before the n-th step of an erasure; false when there was none left to die at.
static bool erase_and_die(const char *path, int n)
{
    int status;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        struct crash crash = {1000};
        struct vault_options options = {.path = path,
                                        .rand = rand_system(),
                                        .on_step = step,
                                        .user = &crash};
        struct loop *loop;
        struct vault *v;
        struct wait w;

        if (loop_new(&loop, clock_system(), NULL) || vault_open(&v, &options, NULL))
            _exit(1);
        crash.steps_left = n;
        ask(&w, loop, "user1", false);
        vault_forget(v, &w.request);
        loop_run(loop);
        _exit(w.request.code ? 2 : 0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && (WEXITSTATUS(status) == 77 || WEXITSTATUS(status) == 0));
    return WEXITSTATUS(status) == 77;
}

static void test_vault__dies_at_each_step_of_an_erasure(void **state)
{
    struct fixture *f = *state;
    unsigned kept = 0, erased = 0;
    bool died = true;

    for (int n = 0; died; n++) {
        unlink(f->path);
        struct vault *v = opened(f->path);
        key_of(v, f->loop, "user1");
        key_of(v, f->loop, "user2");
        vault_free(v);
        died = erase_and_die(f->path, n);
        v = opened(f->path);
        bool gone = vault_is_erased(v, "user1");
        assert_int_equal(gone, vault_find_key(v, "user1") == NULL);
        assert_int_equal(gone, !has_line(f->path, "user1"));
        assert_non_null(vault_find_key(v, "user2"));
        erased += gone;
        kept += !gone;
        assert_int_equal(forget(v, f->loop, "user1"), E_OK);
        assert_false(has_line(f->path, "user1"));
        vault_free(v);
        assert_true(n < 20);
    }
    assert_int_equal(kept, 1);    // before anything was written
    assert_int_equal(erased, 4);  // written, synced; overwritten, synced; and done
}

// What a crash leaves of a line that is being overwritten: any part of it, in any order of sectors.
static void test_vault__finishes_a_line_half_overwritten(void **state)
{
    struct fixture *f = *state;
    struct vault *v = opened(f->path);
    size_t len, now;

    key_of(v, f->loop, "user1");
    key_of(v, f->loop, "user2");
    vault_free(v);
    char *before = file_text(f->path, &len);
    v = opened(f->path);
    assert_int_equal(forget(v, f->loop, "user1"), E_OK);
    vault_free(v);
    char *after = file_text(f->path, &now);
    size_t from = (size_t)(strstr(before, "user ") - before), to = from;
    while (before[to] != '\n')
        to++;
    char *torn = calloc(1, now + 1);
    assert_non_null(torn);
    for (size_t cut = 0; cut <= to - from; cut++) {
        for (unsigned end = 0; end < 3; end++) {
            memcpy(torn, after, now);
            memcpy(torn + from, before + from, to - from);
            if (end == 2)  // the middle
                memset(torn + from + cut / 2, '#', (to - from) / 2);
            else
                memset(end ? torn + to - cut : torn + from, '#', cut);
            write_file(f->path, torn, now);
            v = opened(f->path);
            assert_true(vault_is_erased(v, "user1"));
            assert_non_null(vault_find_key(v, "user2"));
            vault_free(v);
            char *mended = file_text(f->path, &len);
            assert_int_equal(len, now);
            assert_memory_equal(mended, after, now);
            free(mended);
        }
    }
    free(torn);
    free(after);
    free(before);
}

// A "#" in a line that no tombstone names is damage, and a note in front of it is a note.
static void test_vault__a_mark_alone_erases_nothing(void **state)
{
    struct fixture *f = *state;
    struct vault *v = opened(f->path);
    size_t len;

    key_of(v, f->loop, "user1");
    assert_int_equal(forget(v, f->loop, "user2"), E_OK);
    vault_free(v);
    char *text = file_text(f->path, &len);
    char *line = strstr(text, "user ");
    line[40] = '#';
    write_file(f->path, text, len);
    assert_int_equal(open_fails(f->path, "line 5: damaged"), E_STORE);
    memcpy(line, "# my note", 9);
    write_file(f->path, text, len);
    v = opened(f->path);
    assert_null(vault_find_key(v, "user1"));
    vault_free(v);
    char *now = file_text(f->path, &len);
    assert_string_equal(now, text);
    free(now);
    free(text);
}

static int erase_once(struct fixture *f)
{
    struct vault_options options = {.path = f->path, .rand = rand_system()};
    struct vault *v = NULL;
    struct wait w;
    int rc = vault_open(&v, &options, NULL);

    if (!rc) {
        ask(&w, f->loop, "user1", false);
        vault_forget(v, &w.request);
        loop_run(f->loop);
        rc = w.request.code;
        assert_int_equal(vault_is_erased(v, "user1"), rc == E_OK);
    }
    vault_free(v);
    return rc;
}

static void test_vault__erases_with_no_memory(void **state)
{
    struct fixture *f = *state;
    bool done = false;

    for (uint64_t n = 1; !done; n++) {
        unlink(f->path);
        struct vault *v = opened(f->path);
        key_of(v, f->loop, "user1");
        vault_free(v);
        mem_fail_at(n, 0);
        int rc = erase_once(f);
        mem_fail_at(0, 0);
        done = rc == E_OK;
        assert_true(done || rc == E_NOMEM);
        assert_int_equal(has_line(f->path, "user1"), !done);
        assert_int_equal(erase_once(f), E_OK);
        assert_true(n < 200);
    }
}

// ---- what is derived and signed

static void test_vault__digests_of_a_user(void **state)
{
    struct fixture *f = *state;
    struct vault *v = opened(f->path);
    char digests[5][VAULT_DIGEST_BYTES], house[VAULT_DIGEST_BYTES];
    struct slice value = SLICE_LIT("a@example.org");

    for (unsigned round = 0; round < 2; round++) {
        const struct user_key *one = key_of(v, f->loop, "user1");
        const struct user_key *two = key_of(v, f->loop, "user2");
        char now[VAULT_DIGEST_BYTES];

        assert_int_equal(vault_user_digest(v, one, "email", value, now, NULL), E_OK);
        if (round)
            assert_string_equal(now, digests[0]);
        memcpy(digests[0], now, sizeof(now));
        vault_user_digest(v, two, "email", value, digests[1], NULL);
        vault_user_digest(v, one, "phone", value, digests[2], NULL);
        vault_user_digest(v, one, "email", SLICE_LIT("a@example.or"), digests[3], NULL);
        vault_digest(v, "email", &value, 1, house);
        memcpy(digests[4], house, sizeof(house));
        for (unsigned i = 0; i < 5; i++) {
            assert_int_equal(strlen(digests[i]), 32);
            for (unsigned j = 0; j < i; j++)
                assert_string_not_equal(digests[i], digests[j]);
        }
        vault_free(v);
        v = opened(f->path);
    }
    vault_free(v);
}

static void test_vault__signs(void **state)
{
    struct fixture *f = *state;
    struct vault *v = opened(f->path), *other = opened(NULL);
    unsigned char signature[VAULT_SIGNATURE_BYTES], key[VAULT_PUBLIC_KEY_BYTES],
        now[VAULT_PUBLIC_KEY_BYTES];
    struct slice bytes = SLICE_LIT("erased, all of it");
    size_t len;

    vault_sign(v, bytes, signature);
    vault_public_key(v, key);
    assert_true(vault_verify_signature(key, bytes, signature));
    assert_false(vault_verify_signature(key, SLICE_LIT("erased, half of it"), signature));
    for (unsigned i = 0; i < sizeof(signature); i++) {
        signature[i] ^= 1;
        assert_false(vault_verify_signature(key, bytes, signature));
        signature[i] ^= 1;
    }
    vault_public_key(other, now);
    assert_false(vault_verify_signature(now, bytes, signature));
    vault_free(other);
    vault_free(v);
    v = opened(f->path);
    vault_public_key(v, now);
    assert_memory_equal(now, key, sizeof(key));
    key_of(v, f->loop, "user1");
    vault_free(v);

    // A keyring of before there were signatures gets a key, once.
    char *text = file_text(f->path, &len);
    char *line = strstr(text, "sign "), *next = strchr(line, '\n') + 1;
    memmove(line, next, strlen(next) + 1);
    text[15] = '1';
    write_file(f->path, text, strlen(text));
    for (unsigned round = 0; round < 2; round++) {
        v = opened(f->path);
        assert_non_null(vault_find_key(v, "user1"));
        vault_public_key(v, round ? now : key);
        vault_free(v);
    }
    assert_memory_equal(now, key, sizeof(key));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_vault__forgets_for_ever, setup, teardown),
        cmocka_unit_test_setup_teardown(test_vault__who_comes_back_is_somebody_else, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_vault__others_learn_of_it, setup, teardown),
        cmocka_unit_test_setup_teardown(test_vault__processes_erase_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_vault__dies_at_each_step_of_an_erasure, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_vault__finishes_a_line_half_overwritten, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_vault__a_mark_alone_erases_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_vault__erases_with_no_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_vault__digests_of_a_user, setup, teardown),
        cmocka_unit_test_setup_teardown(test_vault__signs, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
