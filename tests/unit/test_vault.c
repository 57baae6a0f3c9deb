// SPDX-License-Identifier: MIT
// The vault: bodies open where they were sealed and nowhere else; the keyring outlives restarts,
// torn lines, strangers' permissions and processes that make the same users' keys at once.
#include "unit/vault_kit.h"

#include <sys/stat.h>
#include <sys/wait.h>

// ---- envelopes

static void test_vault__round_trips(void **state)
{
    static const size_t sizes[] = {1, 15, 1023, 1024, 5000, 256 << 10, 4 << 20};
    struct fixture *f = *state;
    struct vault *v = opened(NULL);
    const struct user_key *k = key_of(v, f->loop, "user1");
    struct buf out = BUF_INIT(8 << 20);
    char *text = malloc(4 << 20);

    assert_non_null(text);
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct safe_text body = {text, sizes[i]};

        memset(text, 'a', sizes[i]);  // packs well
        struct sealed s = seal(v, k, body, &out);
        assert_opens(v, k, s, body);
        assert_int_equal(s.bytes.ptr[0], 2);
        assert_int_equal(s.bytes.ptr[1], sizes[i] >= 1024);
        if (sizes[i] >= 1024)
            assert_true(s.bytes.len < 1024);
        else
            assert_int_equal(s.bytes.len, sizes[i] + VAULT_ENVELOPE_BYTES);
        randombytes_buf(text, sizes[i]);  // does not pack
        s = seal(v, k, body, &out);
        assert_opens(v, k, s, body);
        assert_int_equal(s.bytes.ptr[1], 0);
        assert_int_equal(s.bytes.len, sizes[i] + VAULT_ENVELOPE_BYTES);
    }
    free(text);
    buf_release(&out);
    vault_free(v);
}

static void test_vault__empty_and_too_long(void **state)
{
    struct fixture *f = *state;
    struct vault *v = opened(NULL);
    const struct user_key *k = key_of(v, f->loop, "user1");
    struct buf out = BUF_INIT(100);
    struct safe_buf text;
    struct sealed s = seal(v, k, SAFE_NONE, &out);
    char *big = calloc(1, (4 << 20) + 1);

    assert_non_null(big);
    assert_int_equal(s.bytes.len, VAULT_ENVELOPE_BYTES);
    safe_buf_init(&text, 8);
    assert_int_equal(unseal(v, k, PARTITION, KEY, s.bytes, &text), E_OK);
    assert_int_equal(unseal(v, k, PARTITION, KEY, SLICE_NONE, &text), E_CORRUPT);
    assert_int_equal(safe_buf_text(&text).len, 0);
    assert_int_equal(vault_seal(v, k, PLACE, (struct safe_text){big, (4 << 20) + 1}, &out,
                                &s, NULL), E_REFUSED);
    buf_clear(&out);
    assert_int_equal(vault_seal(v, k, PLACE, (struct safe_text){big, 100}, &out, &s, NULL),
                     E_REFUSED);
    buf_clear(&out);
    struct vault_place long_key = {PARTITION, slice_of(big, 256), META};
    struct vault_place long_meta = {PARTITION, KEY, slice_of(big, (16 << 10) + 1)};
    assert_int_equal(vault_seal(v, k, &long_key, SAFE_LIT("x"), &out, &s, NULL), E_USAGE);
    assert_int_equal(vault_seal(v, k, &long_meta, SAFE_LIT("x"), &out, &s, NULL), E_USAGE);
    s = seal(v, k, SAFE_LIT("123456789"), &out);
    assert_int_equal(unseal(v, k, PARTITION, KEY, s.bytes, &text), E_REFUSED);
    free(big);
    safe_buf_release(&text);
    buf_release(&out);
    vault_free(v);
}

static void test_vault__appends(void **state)
{
    struct fixture *f = *state;
    struct vault *v = opened(NULL);
    const struct user_key *k = key_of(v, f->loop, "user1");
    struct buf out = BUF_INIT(4096);
    struct safe_buf text;
    struct sealed one, two;

    buf_add_str(&out, "before");
    assert_int_equal(vault_seal(v, k, PLACE, SAFE_LIT("one"), &out, &one, NULL), E_OK);
    size_t at = out.len;
    assert_int_equal(at, 6 + VAULT_ENVELOPE_BYTES + 3);
    assert_int_equal(vault_seal(v, k, PLACE, SAFE_LIT("two"), &out, &two, NULL), E_OK);
    assert_ptr_equal(two.bytes.ptr, out.ptr + at);
    safe_buf_init(&text, 64);
    safe_buf_add(&text, SAFE_LIT("0"));
    one.bytes = slice_of(out.ptr + 6, at - 6);
    assert_int_equal(vault_unseal(v, k, PLACE, one, &text, NULL), E_OK);
    assert_int_equal(vault_unseal(v, k, PLACE, two, &text, NULL), E_OK);
    assert_string_equal(safe_buf_text(&text).ptr, "0onetwo");
    safe_buf_release(&text);
    buf_release(&out);
    vault_free(v);
}

static void check_every_flip(struct vault *v, const struct user_key *k, struct safe_text body)
{
    struct buf out = BUF_INIT(8192);
    struct safe_buf text;
    struct sealed s = seal(v, k, body, &out);

    safe_buf_init(&text, 8192);
    for (size_t i = 0; i < s.bytes.len; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            out.ptr[i] ^= (char)(1u << bit);
            int rc = unseal(v, k, PARTITION, KEY, s.bytes, &text);
            assert_int_equal(rc, E_CORRUPT);
            assert_int_equal(safe_buf_text(&text).len, 0);
            out.ptr[i] ^= (char)(1u << bit);
        }
    }
    for (size_t len = 1; len < s.bytes.len; len++)
        assert_int_equal(unseal(v, k, PARTITION, KEY, slice_of(s.bytes.ptr, len), &text),
                         E_CORRUPT);
    assert_int_equal(unseal(v, k, PARTITION, KEY, s.bytes, &text), E_OK);
    safe_buf_release(&text);
    buf_release(&out);
}

static void test_vault__refuses_every_flipped_bit(void **state)
{
    struct fixture *f = *state;
    struct vault *v = opened(NULL);
    const struct user_key *k = key_of(v, f->loop, "user1");
    char packs[2000];

    memset(packs, 'p', sizeof(packs));
    check_every_flip(v, k, SAFE_LIT("attack at dawn"));
    check_every_flip(v, k, (struct safe_text){packs, sizeof(packs)});
    vault_free(v);
}

static void test_vault__refuses_another_place_or_key(void **state)
{
    struct fixture *f = *state;
    struct vault *v = opened(NULL);
    const struct user_key *k = key_of(v, f->loop, "user1");
    const struct user_key *other = key_of(v, f->loop, "user2");
    struct buf out = BUF_INIT(4096);
    struct safe_buf text;
    struct sealed s = seal(v, k, SAFE_LIT("secret"), &out);

    safe_buf_init(&text, 64);
    assert_int_equal(unseal(v, k, PARTITION, SLICE_LIT("turn/s/0000000002/0000000000"), s.bytes,
                            &text), E_CORRUPT);
    assert_int_equal(unseal(v, k, SLICE_LIT("user2"), KEY, s.bytes, &text), E_CORRUPT);
    assert_int_equal(unseal(v, k, SLICE_LIT("user"), SLICE_LIT("1turn/s/0000000001/0000000000"),
                            s.bytes, &text), E_CORRUPT);
    assert_int_equal(unseal(v, other, PARTITION, KEY, s.bytes, &text), E_CORRUPT);
    assert_int_equal(unseal(v, NULL, PARTITION, KEY, s.bytes, &text), E_NOT_FOUND);
    assert_int_equal(unseal(v, k, PARTITION, KEY, s.bytes, &text), E_OK);
    safe_buf_release(&text);
    buf_release(&out);
    vault_free(v);
}

// Meta stands in the clear, and says who spoke, how a turn ended, how many turns there are.
static void test_vault__refuses_another_meta(void **state)
{
    struct fixture *f = *state;
    struct vault *v = opened(NULL);
    const struct user_key *k = key_of(v, f->loop, "user1");
    static const struct safe_text bodies[] = {SAFE_LIT("secret"), {NULL, 0}};
    struct buf out = BUF_INIT(4096);
    struct safe_buf text;

    safe_buf_init(&text, 64);
    for (unsigned b = 0; b < 2; b++) {
        struct sealed s = seal(v, k, bodies[b], &out);
        struct vault_place place = *PLACE;
        char meta[64];

        for (size_t i = 0; i < META.len; i++) {
            memcpy(meta, META.ptr, META.len);
            meta[i] ^= 1;
            place.meta = slice_of(meta, META.len);
            assert_int_equal(vault_unseal(v, k, &place, s, &text, NULL), E_CORRUPT);
            place.meta = slice_of(META.ptr, i);
            assert_int_equal(vault_unseal(v, k, &place, s, &text, NULL), E_CORRUPT);
        }
        assert_int_equal(safe_buf_text(&text).len, 0);
        assert_int_equal(vault_unseal(v, k, PLACE, s, &text, NULL), E_OK);
        safe_buf_clear(&text);
    }
    safe_buf_release(&text);
    buf_release(&out);
    vault_free(v);
}

// ---- digests

static void digest(const struct vault *v, const char *domain, const char *a, const char *b,
                   char out[VAULT_DIGEST_BYTES])
{
    struct slice parts[] = {slice_str(a), slice_str(b)};

    vault_digest(v, domain, parts, b ? 2 : 1, out);
}

static void test_vault__digests_tell_parts_apart(void **state)
{
    static const char *const cases[][3] = {
        {"context", "a", "bc"}, {"context", "ab", "c"}, {"context", "abc", ""},
        {"context", "abc", NULL}, {"key", "a", "bc"}, {"context", "", "abc"}, {"user", "abc", NULL},
    };
    enum { CASES = sizeof(cases) / sizeof(cases[0]) };
    struct vault *v = opened(NULL), *other = opened(NULL);
    char digests[CASES][VAULT_DIGEST_BYTES], again[VAULT_DIGEST_BYTES];

    (void)state;
    for (unsigned i = 0; i < CASES; i++) {
        digest(v, cases[i][0], cases[i][1], cases[i][2], digests[i]);
        digest(v, cases[i][0], cases[i][1], cases[i][2], again);
        assert_string_equal(again, digests[i]);
        assert_int_equal(strlen(again), 32);
        for (unsigned j = 0; j < i; j++)
            assert_string_not_equal(digests[i], digests[j]);
        digest(other, cases[i][0], cases[i][1], cases[i][2], again);
        assert_string_not_equal(again, digests[i]);  // it is keyed
    }
    vault_partition(v, SLICE_LIT("ann"), digests[0]);
    vault_partition(v, SLICE_LIT("ann "), digests[1]);
    assert_string_not_equal(digests[0], digests[1]);
    vault_free(v);
    vault_free(other);
}

// ---- the keyring

static void test_vault__keyring_outlives_the_process(void **state)
{
    struct fixture *f = *state;
    struct vault *v = opened(f->path);
    struct buf out = BUF_INIT(4096);
    char before[VAULT_DIGEST_BYTES], after[VAULT_DIGEST_BYTES];
    const struct user_key *k;
    struct stat st;

    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_null(vault_find_key(v, "user1"));
    assert_int_equal(get_key(v, f->loop, "user1", false, &k), E_NOT_FOUND);
    k = key_of(v, f->loop, "user1");
    assert_ptr_equal(vault_find_key(v, "user1"), k);
    assert_ptr_equal(key_of(v, f->loop, "user1"), k);
    vault_partition(v, SLICE_LIT("ann"), before);
    struct sealed s = seal(v, k, SAFE_LIT("kept"), &out);
    vault_free(v);

    v = opened(f->path);
    vault_partition(v, SLICE_LIT("ann"), after);
    assert_string_equal(after, before);
    assert_non_null(vault_find_key(v, "user1"));
    assert_opens(v, vault_find_key(v, "user1"), s, SAFE_LIT("kept"));
    vault_free(v);
    buf_release(&out);
}

static void test_vault__many_users(void **state)
{
    enum { USERS = 2500 };  // several slabs
    struct fixture *f = *state;
    struct vault *v = opened(f->path);
    struct wait *waits = calloc(USERS + 1, sizeof(*waits));

    assert_non_null(waits);
    for (unsigned i = 0; i <= USERS; i++) {
        char partition[VAULT_DIGEST_BYTES];

        // The last one asks for the first one's key once more: both get the same.
        snprintf(partition, sizeof(partition), "%032x", i % USERS);
        ask(&waits[i], f->loop, partition, true);
        vault_user_key(v, &waits[i].request);
    }
    for (unsigned i = 0; i <= USERS; i++) {
        while (!waits[i].done)
            loop_run(f->loop);
        assert_int_equal(waits[i].request.code, E_OK);
    }
    // Only now: while the file is being added to, nobody is answered without a look at it.
    for (unsigned i = 0; i <= USERS; i++)
        assert_ptr_equal(vault_find_key(v, waits[i].request.partition), waits[i].request.key);
    assert_ptr_equal(waits[0].request.key, waits[USERS].request.key);
    assert_ptr_not_equal(waits[0].request.key, waits[1].request.key);
    vault_free(v);
    v = opened(f->path);
    for (unsigned i = 0; i < USERS; i++)
        assert_non_null(vault_find_key(v, waits[i].request.partition));
    vault_free(v);
    free(waits);
}

// A keyring with user1 and user2; the text is the caller's to free.
static char *make_keyring(struct fixture *f, size_t *len)
{
    struct vault *v = opened(f->path);

    key_of(v, f->loop, "user1");
    key_of(v, f->loop, "user2");
    vault_free(v);
    return file_text(f->path, len);
}

static void test_vault__drops_a_torn_last_line(void **state)
{
    struct fixture *f = *state;
    size_t len, now;
    char *text = make_keyring(f, &len);
    size_t last = len - 1;

    while (text[last - 1] != '\n')
        last--;
    for (size_t cut = last; cut < len; cut += cut < len - 20 ? 13 : 1) {
        bool whole = cut == len - 1;  // only the newline is missing: nothing is lost

        write_file(f->path, text, cut);
        struct vault *v = opened(f->path);
        assert_non_null(vault_find_key(v, "user1"));
        assert_int_equal(vault_find_key(v, "user2") != NULL, whole);
        key_of(v, f->loop, "user2");
        key_of(v, f->loop, "user3");
        vault_free(v);
        v = opened(f->path);
        assert_non_null(vault_find_key(v, "user2"));
        assert_non_null(vault_find_key(v, "user3"));
        vault_free(v);
        char *after = file_text(f->path, &now);
        assert_memory_equal(after, text, last);
        assert_int_equal(strlen(after), len + (len - last));
        free(after);
    }
    // The file grew, its bytes did not come.
    memset(text + last, 0, len - last);
    write_file(f->path, text, len);
    vault_free(opened(f->path));
    free(text);
}

static void test_vault__finishes_a_file_whose_making_was_cut(void **state)
{
    struct fixture *f = *state;
    size_t len;

    vault_free(opened(f->path));
    char *text = file_text(f->path, &len);
    for (size_t cut = 0; cut < len; cut += cut < 20 ? 1 : 7) {
        write_file(f->path, text, cut);
        struct vault *v = opened(f->path);
        key_of(v, f->loop, "user1");
        vault_free(v);
        v = opened(f->path);
        assert_non_null(vault_find_key(v, "user1"));
        vault_free(v);
    }
    free(text);
}

static void test_vault__names_a_damaged_line(void **state)
{
    struct fixture *f = *state;
    size_t len;
    char *text = make_keyring(f, &len);
    char expected[32];
    unsigned line = 1;

    for (size_t i = 0; i < len; i++) {
        char was = text[i];

        if (line > 1 && was != '\n' && was != ' ' && i % 3 == 0) {
            text[i] = was == '0' ? '1' : '0';
            write_file(f->path, text, len);
            snprintf(expected, sizeof(expected), "line %u", line);
            assert_int_equal(open_fails(f->path, expected), E_STORE);
            text[i] = was;
        }
        line += was == '\n';
    }
    assert_int_equal(line, 7);
    // The last newline became something else: damage too, not a torn line.
    text[len - 1] = '0';
    write_file(f->path, text, len);
    assert_int_equal(open_fails(f->path, "line 6"), E_STORE);
    free(text);
}

static void test_vault__a_destroyed_line_is_gone(void **state)
{
    struct fixture *f = *state;
    struct buf out = BUF_INIT(4096);
    struct vault *v = opened(f->path);
    struct sealed s = seal(v, key_of(v, f->loop, "user1"), SAFE_LIT("forget me"), &out);
    struct safe_buf plain;
    size_t len;

    key_of(v, f->loop, "user2");
    vault_free(v);
    char *text = file_text(f->path, &len);
    for (char *at = strstr(text, "user "); *at != '\n'; at++)
        *at = '#';
    write_file(f->path, text, len);
    v = opened(f->path);
    assert_null(vault_find_key(v, "user1"));
    assert_non_null(vault_find_key(v, "user2"));
    safe_buf_init(&plain, 64);
    assert_int_equal(unseal(v, key_of(v, f->loop, "user1"), PARTITION, KEY, s.bytes, &plain),
                     E_CORRUPT);
    vault_free(v);
    free(text);
    safe_buf_release(&plain);
    buf_release(&out);
}

static void test_vault__refuses_files_that_are_not_for_it(void **state)
{
    struct fixture *f = *state;
    const struct user_key *k;
    char path[200];
    size_t len;
    char *text = make_keyring(f, &len);

    assert_int_equal(chmod(f->path, 0640), 0);
    assert_int_equal(open_fails(f->path, "chmod 600"), E_STORE);
    assert_int_equal(chmod(f->path, 0600), 0);
    write_file(f->path, "shopping list", 13);
    assert_int_equal(open_fails(f->path, "not a keyring"), E_STORE);
    write_file(f->path, "a\0b", 3);
    assert_int_equal(open_fails(f->path, "not a keyring"), E_STORE);
    write_file(f->path, "parley-keyring 3\n", 17);
    assert_int_equal(open_fails(f->path, "newer"), E_STORE);
    snprintf(path, sizeof(path), "%s/no/keys", f->folder);
    assert_int_equal(open_fails(path, "No such file"), E_STORE);
    assert_int_equal(open_fails(f->folder, "cannot open"), E_STORE);

    // The operator's and the index line are gone, the users' are there.
    char *users = strstr(text, "user ");
    memmove(text + 17, users, strlen(users) + 1);
    write_file(f->path, text, strlen(text));
    assert_int_equal(open_fails(f->path, "line 2"), E_STORE);

    // Somebody cuts the file off while it is in use.
    unlink(f->path);
    struct vault *v = opened(f->path);
    key_of(v, f->loop, "user1");
    assert_int_equal(truncate(f->path, 30), 0);
    assert_int_equal(get_key(v, f->loop, "user2", true, &k), E_STORE);
    vault_free(v);
    free(text);
}

static void test_vault__sees_what_others_made(void **state)
{
    struct fixture *f = *state;
    struct vault *a = opened(f->path), *b = opened(f->path);
    struct buf out = BUF_INIT(4096);
    const struct user_key *k;
    struct sealed s = seal(a, key_of(a, f->loop, "user1"), SAFE_LIT("shared"), &out);

    assert_null(vault_find_key(b, "user1"));
    assert_int_equal(get_key(b, f->loop, "user1", false, &k), E_OK);
    assert_opens(b, k, s, SAFE_LIT("shared"));
    buf_release(&out);
    vault_free(a);
    vault_free(b);
}

enum { USERS = 50, PROCESSES = 2 };

// In a process of its own: makes all users' keys and writes a digest of what each seals.
static int child(const char *path, int start, int report)
{
    static char text[USERS][64];
    struct loop *loop;
    struct vault *v;
    struct vault_options options = {.path = path, .rand = rand_system()};
    char go;

    if (loop_new(&loop, clock_system(), NULL) || read(start, &go, 1) != 1 ||
        vault_open(&v, &options, NULL))
        return 1;
    for (unsigned i = 0; i < USERS; i++) {
        struct wait w;
        struct buf out = BUF_INIT(4096);
        struct sealed s;
        char partition[VAULT_DIGEST_BYTES];

        snprintf(partition, sizeof(partition), "user%u", i);
        ask(&w, loop, partition, true);
        vault_user_key(v, &w.request);
        loop_run(loop);
        struct vault_place place = {slice_str(partition), KEY, META};
        if (w.request.code ||
            vault_seal(v, w.request.key, &place, SAFE_LIT("from a child"), &out, &s, NULL) ||
            s.bytes.len != VAULT_ENVELOPE_BYTES + 12)
            return 2;
        memcpy(text[i], s.bytes.ptr, s.bytes.len);
        buf_release(&out);
    }
    vault_free(v);
    loop_free(loop);
    return write(report, text, sizeof(text)) == sizeof(text) ? 0 : 3;
}

static void test_vault__processes_agree(void **state)
{
    struct fixture *f = *state;
    int start[2], reports[PROCESSES][2];
    pid_t pids[PROCESSES];

    assert_int_equal(pipe(start), 0);
    for (int p = 0; p < PROCESSES; p++) {
        assert_int_equal(pipe(reports[p]), 0);
        pids[p] = fork();
        if (pids[p] == 0)
            _exit(child(f->path, start[0], reports[p][1]));
        close(reports[p][1]);
    }
    assert_int_equal(write(start[1], "gogo", PROCESSES), PROCESSES);
    for (int p = 0; p < PROCESSES; p++) {
        static char text[USERS][64];
        size_t got = 0;
        int status;

        for (ssize_t n; got < sizeof(text); got += (size_t)n) {
            n = read(reports[p][0], (char *)text + got, sizeof(text) - got);
            assert_true(n > 0);
        }
        assert_int_equal(waitpid(pids[p], &status, 0), pids[p]);
        assert_int_equal(status, 0);
        close(reports[p][0]);
        // Opened afresh, the keyring holds the keys that this process used.
        struct vault *v = opened(f->path);
        for (unsigned i = 0; i < USERS; i++) {
            char partition[VAULT_DIGEST_BYTES];
            struct safe_buf out;

            snprintf(partition, sizeof(partition), "user%u", i);
            safe_buf_init(&out, 64);
            assert_int_equal(unseal(v, vault_find_key(v, partition), slice_str(partition), KEY,
                                    slice_of(text[i], VAULT_ENVELOPE_BYTES + 12), &out), E_OK);
            safe_buf_release(&out);
        }
        vault_free(v);
    }
    close(start[0]);
    close(start[1]);
}

static void test_vault__no_file_needs_no_thread(void **state)
{
    struct clock_sim clock;
    struct loop *loop;
    struct vault *v = opened(NULL);
    const struct user_key *k;
    struct wait w;

    (void)state;
    clock_sim_init(&clock, 0);
    assert_int_equal(loop_new_sim(&loop, &clock, NULL), E_OK);
    ask(&w, loop, "user1", false);
    vault_user_key(v, &w.request);
    assert_false(w.done);
    assert_true(loop_run_for(loop, 0));
    assert_int_equal(w.request.code, E_NOT_FOUND);
    ask(&w, loop, "user1", true);
    vault_user_key(v, &w.request);
    assert_true(loop_run_for(loop, 0));
    assert_int_equal(w.request.code, E_OK);
    k = w.request.key;
    assert_ptr_equal(vault_find_key(v, "user1"), k);
    vault_free(v);
    loop_free(loop);
}

// ---- out of memory

static int use_once(struct fixture *f)
{
    struct vault_options options = {.path = f->path, .rand = rand_system()};
    struct vault *v = NULL;
    struct buf out = BUF_INIT(8192);
    struct safe_buf text;
    struct sealed s;
    char body[2000];
    struct wait w;
    int rc = vault_open(&v, &options, NULL);

    memset(body, 'b', sizeof(body));
    safe_buf_init(&text, 8192);
    if (!rc) {
        ask(&w, f->loop, "user1", true);
        vault_user_key(v, &w.request);
        loop_run(f->loop);
        rc = w.request.code;
    }
    if (!rc)
        rc = vault_seal(v, w.request.key, PLACE, (struct safe_text){body, sizeof(body)},
                        &out, &s, NULL);
    if (!rc)
        rc = vault_unseal(v, w.request.key, PLACE, s, &text, NULL);
    vault_free(v);
    safe_buf_release(&text);
    buf_release(&out);
    return rc;
}

static void test_vault__survives_no_memory(void **state)
{
    struct fixture *f = *state;

    for (uint64_t n = 1;; n++) {
        unlink(f->path);
        mem_fail_at(n, 0);
        int rc = use_once(f);
        mem_fail_at(0, 0);
        if (!rc) {
            assert_true(n > 5);
            break;
        }
        assert_int_equal(rc, E_NOMEM);
        assert_int_equal(use_once(f), E_OK);  // and the file that it left is good
        assert_true(n < 200);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_vault__round_trips, setup, teardown),
        cmocka_unit_test_setup_teardown(test_vault__empty_and_too_long, setup, teardown),
        cmocka_unit_test_setup_teardown(test_vault__appends, setup, teardown),
        cmocka_unit_test_setup_teardown(test_vault__refuses_every_flipped_bit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_vault__refuses_another_place_or_key, setup, teardown),
        cmocka_unit_test_setup_teardown(test_vault__refuses_another_meta, setup, teardown),
            cmocka_unit_test(test_vault__digests_tell_parts_apart),
        cmocka_unit_test_setup_teardown(test_vault__keyring_outlives_the_process, setup, teardown),
        cmocka_unit_test_setup_teardown(test_vault__many_users, setup, teardown),
        cmocka_unit_test_setup_teardown(test_vault__drops_a_torn_last_line, setup, teardown),
        cmocka_unit_test_setup_teardown(test_vault__finishes_a_file_whose_making_was_cut, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_vault__names_a_damaged_line, setup, teardown),
        cmocka_unit_test_setup_teardown(test_vault__a_destroyed_line_is_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_vault__refuses_files_that_are_not_for_it, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_vault__sees_what_others_made, setup, teardown),
        cmocka_unit_test_setup_teardown(test_vault__processes_agree, setup, teardown),
        cmocka_unit_test(test_vault__no_file_needs_no_thread),
        cmocka_unit_test_setup_teardown(test_vault__survives_no_memory, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
