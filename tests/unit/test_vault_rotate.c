// SPDX-License-Identifier: MIT
// Rotation in the keyring: a new operator key, new data keys, old ones destroyed; killed at each
// step; other processes; and the places where an operator key can be kept.
#include "unit/vault_kit.h"

#include <sys/stat.h>
#include <sys/wait.h>

typedef void (*vault_verb)(struct vault *v, struct vault_request *request);

static int run(struct vault *v, struct loop *loop, const char *partition, bool create,
               vault_verb verb, struct wait *w)
{
    struct vault_status s;

    vault_status(v, &s);
    ask(w, loop, partition, create);
    w->request.rotation = s.rotations;
    verb(v, &w->request);
    loop_run(loop);
    assert_true(w->done);
    return w->request.code;
}

static int do_verb(struct vault *v, struct loop *loop, const char *partition, vault_verb verb)
{
    struct wait w;

    return run(v, loop, partition, true, verb, &w);
}

static int rotate_users(struct vault *v, struct loop *loop)
{
    struct wait w;
    int rc = run(v, loop, "", true, vault_rotate, &w);

    while (!rc && w.request.left)
        rc = run(v, loop, "", false, vault_rotate, &w);
    return rc;
}

static struct vault *open_at(const char *path, const char *operator_key, bool rotating)
{
    struct vault_options options = {.path = path,
                                    .rand = rand_system(),
                                    .operator_key = operator_key,
                                    .rotating = rotating};
    struct err err = ERR_INIT;
    struct vault *v;

    if (vault_open(&v, &options, &err))
        fail_msg("%s", err.message);
    return v;
}

static int refuses(const char *path, const char *operator_key, const char *credentials,
                   const char *says)
{
    struct vault_options options = {.path = path,
                                    .rand = rand_system(),
                                    .operator_key = operator_key,
                                    .credentials = credentials};
    struct err err = ERR_INIT;
    struct vault *v;
    int rc = vault_open(&v, &options, &err);

    assert_null(v);
    if (!strstr(err.message, says))
        fail_msg("\"%s\" does not say \"%s\"", err.message, says);
    return rc;
}

static struct vault_status status_of(struct vault *v)
{
    struct vault_status s;

    vault_status(v, &s);
    return s;
}

static bool passed(struct vault *v)
{
    bool all = false;

    assert_int_equal(vault_others_passed(v, &all, NULL), E_OK);
    return all;
}

static bool file_has(const char *path, const char *word)
{
    size_t len;
    char *text = file_text(path, &len);
    bool has = strstr(text, word) != NULL;

    free(text);
    return has;
}

// ---- data keys

static void test_rotate__seals_with_the_newest_and_opens_with_all(void **state)
{
    struct fixture *f = *state;
    struct vault *v = opened(f->path), *other = opened(f->path);
    const struct user_key *k = key_of(v, f->loop, "user1"), *theirs;
    struct buf out = BUF_INIT(4096), again = BUF_INIT(4096), names = BUF_INIT(4096);
    struct sealed old = seal(v, k, SAFE_LIT("of before"), &out), now;
    char digest[VAULT_DIGEST_BYTES], before[VAULT_DIGEST_BYTES];
    struct slice value = SLICE_LIT("x");
    struct safe_buf text;

    safe_buf_init(&text, 64);
    key_of(v, f->loop, "user2");
    assert_int_equal(get_key(other, f->loop, "user1", false, &theirs), E_OK);
    vault_user_digest(v, k, "email", value, before, NULL);
    assert_int_equal(rotate_users(v, f->loop), E_OK);
    assert_int_equal(status_of(v).keys, 4);
    assert_int_equal(status_of(v).retired, 2);
    assert_true(status_of(v).rotating);
    assert_int_equal(rotate_users(v, f->loop), E_REFUSED);
    assert_true(vault_is_retired(v, k, old));
    assert_opens(v, k, old, SAFE_LIT("of before"));

    assert_int_equal(vault_reseal(v, k, PLACE, old, &again, &now, NULL), E_OK);
    assert_false(vault_is_retired(v, k, now));
    assert_memory_not_equal(now.bytes.ptr + 2, old.bytes.ptr + 2, 4);
    assert_opens(v, k, now, SAFE_LIT("of before"));
    // The other process sees the new key when it looks for any.
    assert_null(vault_find_key(other, "user1"));
    assert_int_equal(get_key(other, f->loop, "user1", false, &theirs), E_OK);
    assert_opens(other, theirs, now, SAFE_LIT("of before"));
    assert_int_equal(vault_retired(v, &names, NULL), E_OK);
    assert_int_equal(names.len, 12);

    assert_int_equal(do_verb(v, f->loop, "user1", vault_retire), E_OK);
    assert_int_equal(do_verb(v, f->loop, "user1", vault_retire), E_OK);
    assert_int_equal(unseal(v, k, PARTITION, KEY, old.bytes, &text), E_CORRUPT);
    assert_int_equal(get_key(other, f->loop, "user1", false, &theirs), E_OK);
    assert_int_equal(unseal(other, theirs, PARTITION, KEY, old.bytes, &text), E_CORRUPT);
    assert_int_equal(do_verb(v, f->loop, "user2", vault_retire), E_OK);
    for (unsigned round = 0; round < 2; round++) {
        k = key_of(v, f->loop, "user1");
        assert_opens(v, k, now, SAFE_LIT("of before"));
        assert_int_equal(unseal(v, k, PARTITION, KEY, old.bytes, &text), E_CORRUPT);
        vault_user_digest(v, k, "email", value, digest, NULL);
        assert_string_equal(digest, before);
        assert_int_equal(status_of(v).keys, 2);
        assert_int_equal(status_of(v).rotations, 1);
        assert_false(status_of(v).rotating);
        vault_free(v);
        v = opened(f->path);
    }
    assert_int_equal(rotate_users(v, f->loop), E_OK);
    assert_int_equal(status_of(v).rotations, 2);
    // Erasing takes all of the keys.
    assert_int_equal(do_verb(v, f->loop, "user1", vault_forget), E_OK);
    vault_free(v);
    vault_free(other);
    char *kept = file_text(f->path, &(size_t){0});
    for (char *at = kept; (at = strstr(at, "user ")); at++)
        assert_memory_equal(at + 13, " user2 ", 7);
    free(kept);
    safe_buf_release(&text);
    buf_release(&out);
    buf_release(&again);
    buf_release(&names);
}

static void test_rotate__many_users_in_steps(void **state)
{
    enum { USERS = 1700 };
    struct fixture *f = *state;
    struct vault *v = open_at(f->path, NULL, true);
    struct wait w;
    unsigned steps = 0;

    for (unsigned i = 0; i < USERS; i++) {
        char partition[VAULT_DIGEST_BYTES];

        snprintf(partition, sizeof(partition), "user%u", i);
        key_of(v, f->loop, partition);
    }
    do {
        assert_int_equal(run(v, f->loop, "", steps == 0, vault_rotate, &w), E_OK);
        steps++;
        if (steps == 2) {  // broken off
            vault_free(v);
            v = open_at(f->path, NULL, true);
            key_of(v, f->loop, "new");
        }
    } while (w.request.left);
    assert_int_equal(steps, 4);
    assert_int_equal(status_of(v).keys, 2 * USERS + 1);
    vault_free(v);
}

// Somebody puts an older keyring in the place of one that is in use: nothing is answered, and
// nothing put into it, until the right one is back.
static void test_rotate__an_older_keyring_in_its_place(void **state)
{
    struct fixture *f = *state;
    struct vault *v = opened(f->path);
    const struct user_key *k;
    char aside[96], older[96];
    size_t len;

    snprintf(aside, sizeof(aside), "%s.aside", f->path);
    snprintf(older, sizeof(older), "%s.older", f->path);
    key_of(v, f->loop, "user1");
    char *text = file_text(f->path, &len);
    write_file(older, text, len);
    free(text);
    key_of(v, f->loop, "user2");
    text = file_text(f->path, &len);
    write_file(aside, text, len);
    free(text);
    assert_true(chmod(older, 0600) == 0 && chmod(aside, 0600) == 0);
    assert_int_equal(rename(older, f->path), 0);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(get_key(v, f->loop, "user1", false, &k), E_STORE);
        assert_int_equal(get_key(v, f->loop, "user3", true, &k), E_STORE);
        assert_null(vault_find_key(v, "user2"));
    }
    assert_int_equal(rename(aside, f->path), 0);
    key_of(v, f->loop, "user3");
    assert_int_equal(status_of(v).users, 3);
    vault_free(v);
}

static void test_rotate__waits_for_other_processes(void **state)
{
    struct fixture *f = *state;
    struct vault_options still = {.path = f->path, .rand = rand_system(), .no_thread = true};
    struct vault *v = open_at(f->path, NULL, true), *other;

    assert_true(passed(v));
    key_of(v, f->loop, "user1");
    assert_int_equal(vault_open(&other, &still, NULL), E_OK);
    assert_int_equal(rotate_users(v, f->loop), E_OK);
    assert_false(passed(v));
    // One that comes later knows of it.
    struct vault *late = opened(f->path);
    vault_free(other);
    assert_true(passed(v));
    vault_free(late);
    vault_free(v);
}

// ---- the operator key

static void test_rotate__another_operator_key_at_once(void **state)
{
    struct fixture *f = *state;
    struct vault *v = opened(f->path), *other = opened(f->path);
    const struct user_key *k = key_of(v, f->loop, "user1");
    struct buf out = BUF_INIT(4096);
    struct sealed s = seal(v, k, SAFE_LIT("kept"), &out);
    struct vault_status before = status_of(v);
    char partition[VAULT_DIGEST_BYTES], now[VAULT_DIGEST_BYTES];

    key_of(other, f->loop, "user1");
    key_of(v, f->loop, "user2");
    assert_int_equal(do_verb(v, f->loop, "user2", vault_forget), E_OK);
    assert_int_equal(do_verb(v, f->loop, "user2", vault_erased_done), E_OK);
    assert_int_equal(rotate_users(v, f->loop), E_OK);
    vault_partition(v, SLICE_LIT("ann"), partition);
    char *was = file_text(f->path, &(size_t){0});
    was[strlen("parley-keyring 2\noperator 01234567 - ") + 64] = '\0';
    int old = open(f->path, O_RDONLY);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(do_verb(v, f->loop, "", vault_rewrap), E_OK);
    char left[64];  // of the file that lost its name
    assert_int_equal(pread(old, left, sizeof(left), 0), sizeof(left));
    for (unsigned i = 0; i < sizeof(left); i++)
        assert_int_equal(left[i], '#');
    close(old);
    assert_false(file_has(f->path, was + strlen("parley-keyring 2\noperator 01234567 - ")));
    free(was);
    assert_string_not_equal(status_of(v).operator_key, before.operator_key);
    assert_opens(v, k, s, SAFE_LIT("kept"));
    // Who has the old file open goes on with the new one, and both make keys.
    key_of(other, f->loop, "user3");
    assert_opens(other, key_of(other, f->loop, "user1"), s, SAFE_LIT("kept"));
    assert_string_equal(status_of(other).operator_key, status_of(v).operator_key);
    key_of(v, f->loop, "user3");
    assert_int_equal(do_verb(other, f->loop, "user1", vault_retire), E_OK);
    vault_free(other);
    vault_free(v);
    v = opened(f->path);
    assert_int_equal(status_of(v).users, 2);
    assert_int_equal(status_of(v).keys, 2);
    assert_int_equal(status_of(v).rotations, 1);
    assert_int_equal(status_of(v).erased, 1);
    assert_int_equal(status_of(v).erasing, 0);
    assert_true(vault_is_erased(v, "user2"));
    vault_partition(v, SLICE_LIT("ann"), now);
    assert_string_equal(now, partition);
    vault_free(v);
    buf_release(&out);
}

static void assert_not_kept(const char *path, const char *secret)
{
    assert_false(file_has(path, secret));
}

static void test_rotate__operator_key_in_a_file(void **state)
{
    struct fixture *f = *state;
    char file[128], spec[140], *first, *second;
    struct vault *v = opened(f->path);

    key_of(v, f->loop, "user1");
    vault_free(v);
    snprintf(file, sizeof(file), "%s.operator", f->path);
    snprintf(spec, sizeof(spec), "file:%s", file);
    assert_int_equal(refuses(f->path, spec, NULL, "keys rotate --operator-only"), E_STORE);
    // Out of the keyring …
    v = open_at(f->path, spec, true);
    assert_int_equal(do_verb(v, f->loop, "", vault_rewrap), E_OK);
    assert_true(status_of(v).apart);
    vault_free(v);
    first = file_text(file, &(size_t){0});
    assert_int_equal(strlen(first), 65);
    first[64] = '\0';
    assert_not_kept(f->path, first);
    assert_int_equal(refuses(f->path, NULL, NULL, "is kept apart"), E_STORE);
    // … and on, in the file.
    v = open_at(f->path, spec, false);
    struct vault *other = open_at(f->path, spec, false);
    assert_int_equal(do_verb(v, f->loop, "", vault_rewrap), E_OK);
    key_of(other, f->loop, "user2");
    vault_free(other);
    vault_free(v);
    second = file_text(file, &(size_t){0});
    assert_int_equal(strlen(second), 65);
    assert_null(strstr(second, first));
    v = open_at(f->path, spec, false);
    assert_int_equal(status_of(v).users, 2);
    vault_free(v);

    write_file(file, first, 64);
    assert_int_equal(refuses(f->path, spec, NULL, "put the right one there"), E_STORE);
    write_file(file, "# none\n\n", 8);
    assert_int_equal(refuses(f->path, spec, NULL, "it holds no key"), E_STORE);
    write_file(file, "# x\nabc\n", 8);
    assert_int_equal(refuses(f->path, spec, NULL, "line 2: not a key"), E_STORE);
    write_file(file, second, 65);
    assert_int_equal(chmod(file, 0640), 0);
    assert_int_equal(refuses(f->path, spec, NULL, "chmod 600"), E_STORE);
    assert_int_equal(chmod(file, 0400), 0);
    vault_free(open_at(f->path, spec, false));
    unlink(file);
    assert_int_equal(refuses(f->path, spec, NULL, "is not there"), E_STORE);
    assert_int_equal(refuses(f->path, "env:KEY", NULL, "fd:N or credential:NAME"), E_USAGE);
    free(first);
    free(second);
}

static void test_rotate__operator_key_of_a_descriptor_or_credential(void **state)
{
    static const char keys[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n"
                               "ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n";
    struct fixture *f = *state;
    char spec[32], file[128];
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], keys, 65), 65);
    close(ends[1]);
    snprintf(spec, sizeof(spec), "fd:%d", ends[0]);
    struct vault *v = open_at(f->path, spec, false);
    key_of(v, f->loop, "user1");
    assert_true(status_of(v).apart);
    vault_free(v);
    assert_int_equal(refuses(f->path, spec, NULL, "a pipe can be read once"), E_STORE);
    close(ends[0]);
    assert_int_equal(refuses(f->path, "fd:999", NULL, "not open"), E_STORE);
    assert_int_equal(refuses(f->path, "fd:x", NULL, "fd:N"), E_USAGE);
    assert_not_kept(f->path, "00112233445566778899");

    // The same key as a credential; the second line is the next one.
    snprintf(file, sizeof(file), "%s/operator", f->folder);
    write_file(file, keys, 65);
    assert_int_equal(refuses(f->path, "credential:operator", NULL, "LoadCredential=operator"),
                     E_STORE);
    assert_int_equal(refuses(f->path, "credential:other", f->folder, "LoadCredential=other"),
                     E_STORE);
    assert_int_equal(refuses(f->path, "credential:../x", f->folder, "no name"), E_USAGE);
    struct vault_options options = {.path = f->path,
                                    .rand = rand_system(),
                                    .operator_key = "credential:operator",
                                    .credentials = f->folder};
    assert_int_equal(vault_open(&v, &options, NULL), E_OK);
    struct vault_status before = status_of(v);
    assert_int_equal(do_verb(v, f->loop, "", vault_rewrap), E_USAGE);
    write_file(file, keys, 130);
    assert_int_equal(do_verb(v, f->loop, "", vault_rewrap), E_OK);
    assert_string_not_equal(status_of(v).operator_key, before.operator_key);
    vault_free(v);
    write_file(file, keys + 65, 65);
    assert_int_equal(vault_open(&v, &options, NULL), E_OK);
    assert_non_null(vault_find_key(v, "user1"));
    vault_free(v);
    unlink(file);
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

enum work { OPERATOR, OPERATOR_FILE, OPERATOR_OUT, KEYS, RETIRE, WORKS };

static int work(enum work what, struct vault *v, struct loop *loop)
{
    switch (what) {
    case KEYS:
        return rotate_users(v, loop);
    case RETIRE:
        return do_verb(v, loop, "user1", vault_retire);
    default:
        return do_verb(v, loop, "", vault_rewrap);
    }
}

// Dies before the n-th step; false when there was none left to die at.
static bool work_and_die(const char *path, const char *spec, enum work what, int n)
{
    int status;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        struct crash crash = {1000};
        struct vault_options options = {.path = path,
                                        .rand = rand_system(),
                                        .operator_key = spec,
                                        .rotating = true,
                                        .on_step = step,
                                        .user = &crash};
        struct loop *loop;
        struct vault *v;

        if (loop_new(&loop, clock_system(), NULL) || vault_open(&v, &options, NULL))
            _exit(1);
        crash.steps_left = n;
        _exit(work(what, v, loop) ? 2 : 0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && (WEXITSTATUS(status) == 77 || WEXITSTATUS(status) == 0));
    return WEXITSTATUS(status) == 77;
}

// A keyring with two users, the first of whom sealed something.
static void make_scene(struct fixture *f, enum work what, const char *spec, struct buf *out,
                       struct sealed *s)
{
    struct vault *v;

    unlink(f->path);
    if (spec)
        unlink(spec + 5);
    v = open_at(f->path, NULL, true);
    *s = seal(v, key_of(v, f->loop, "user1"), SAFE_LIT("kept"), out);
    key_of(v, f->loop, "user2");
    if (what == RETIRE) {
        struct buf again = BUF_INIT(4096);

        assert_int_equal(rotate_users(v, f->loop), E_OK);
        assert_int_equal(vault_reseal(v, key_of(v, f->loop, "user1"), PLACE, *s, &again, s, NULL),
                         E_OK);
        buf_clear(out);
        buf_add_slice(out, s->bytes);
        s->bytes = buf_slice(out);
        buf_release(&again);
    }
    vault_free(v);
    if (what == OPERATOR_FILE) {
        v = open_at(f->path, spec, true);
        assert_int_equal(do_verb(v, f->loop, "", vault_rewrap), E_OK);
        vault_free(v);
    }
}

static void test_rotate__dies_at_each_step(void **state)
{
    struct fixture *f = *state;
    struct buf out = BUF_INIT(4096);
    char spec[140];
    struct sealed s;
    size_t len;

    snprintf(spec, sizeof(spec), "file:%s.operator", f->path);
    for (enum work what = 0; what < WORKS; what++) {
        bool apart = what == OPERATOR_FILE || what == OPERATOR_OUT, died = true;
        int n = 0;

        for (; died; n++) {
            make_scene(f, what, apart ? spec : NULL, &out, &s);
            died = work_and_die(f->path, apart ? spec : NULL, what, n);
            for (unsigned round = 0; round < 2; round++) {
                struct vault *v = open_at(f->path, apart ? spec : NULL, true);

                assert_int_equal(status_of(v).users, 2);
                assert_opens(v, vault_find_key(v, "user1"), s, SAFE_LIT("kept"));
                if (round == 0 && work(what, v, f->loop) != E_REFUSED)
                    assert_opens(v, vault_find_key(v, "user1"), s, SAFE_LIT("kept"));
                vault_free(v);
                if (apart && round == 0) {  // the old one is nowhere
                    free(file_text(spec + 5, &len));
                    assert_int_equal(len, 65);
                }
            }
            assert_true(n < 40);
        }
        assert_true(n > 3);
    }
    unlink(spec + 5);
    buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rotate__seals_with_the_newest_and_opens_with_all,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_rotate__many_users_in_steps, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rotate__an_older_keyring_in_its_place, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_rotate__waits_for_other_processes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rotate__another_operator_key_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rotate__operator_key_in_a_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rotate__operator_key_of_a_descriptor_or_credential,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_rotate__dies_at_each_step, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
