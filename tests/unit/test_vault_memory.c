// SPDX-License-Identifier: MIT
// Where keys are in memory: a process looks through all of its own. A key stands in the guarded
// pages of the vault alone while it is used, and nowhere once it was destroyed or the vault closed.
#include "unit/vault_kit.h"
#include "vault/vault_int.h"

#include <sys/mman.h>

enum { CHUNK_BYTES = 1 << 20, MAPPING_BYTES_MAX = 256 << 20, MASK = 0x5a };

// A key, so that looking for it does not find what is looked for.
struct needle {
    unsigned char masked[KEY_BYTES];
};

static struct needle needle_of(const unsigned char *key)
{
    struct needle n;

    for (unsigned i = 0; i < KEY_BYTES; i++)
        n.masked[i] = key[i] ^ MASK;
    return n;
}

static unsigned count_in(const unsigned char *bytes, size_t len, const struct needle *n)
{
    unsigned found = 0;

    for (size_t at = 0; at + KEY_BYTES <= len; at++) {
        unsigned i = 0;

        while (i < KEY_BYTES && (bytes[at + i] ^ MASK) == n->masked[i])
            i++;
        found += i == KEY_BYTES;
    }
    return found;
}

// The same as the hex digits that a line of the keyring has.
static unsigned count_hex_in(const unsigned char *bytes, size_t len, const struct needle *n)
{
    static const char digits[] = "0123456789abcdef";
    unsigned found = 0;

    for (size_t at = 0; at + 2 * KEY_BYTES <= len; at++) {
        unsigned i = 0;

        while (i < 2 * KEY_BYTES &&
               bytes[at + i] == digits[(n->masked[i / 2] ^ MASK) >> (i % 2 ? 0 : 4) & 15])
            i++;
        found += i == 2 * KEY_BYTES;
    }
    return found;
}

// In all mappings of this process that can be read, but for the buffer that they are read into.
static unsigned copies_of(const struct needle *n)
{
    static unsigned char *chunk;
    FILE *maps = fopen("/proc/self/maps", "r");
    int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    unsigned long from, to;
    char mode[8], line[512];
    unsigned found = 0;

    if (!chunk)
        chunk = mmap(NULL, CHUNK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(maps && mem >= 0 && chunk != MAP_FAILED);
    while (fgets(line, sizeof(line), maps)) {
        if (sscanf(line, "%lx-%lx %7s", &from, &to, mode) != 3 || mode[0] != 'r' ||
            to - from > MAPPING_BYTES_MAX)
            continue;
        for (unsigned long at = from; at < to; at += CHUNK_BYTES - 2 * KEY_BYTES) {
            unsigned long own = (unsigned long)(uintptr_t)chunk;
            ssize_t len = pread(mem, chunk, to - at < CHUNK_BYTES ? to - at : CHUNK_BYTES,
                                (off_t)at);
            if (len > 0 && (at + (unsigned long)len <= own || at >= own + CHUNK_BYTES))
                found += count_in(chunk, (size_t)len, n) + count_hex_in(chunk, (size_t)len, n);
        }
    }
    fclose(maps);
    close(mem);
    explicit_bzero(chunk, CHUNK_BYTES);
    return found;
}

static void over(struct vault_request *request)
{
    loop_stop(request->loop);
}

static void do_verb(struct vault *v, struct loop *loop, const char *partition,
                    void (*verb)(struct vault *v, struct vault_request *request))
{
    struct vault_request request = {.loop = loop, .done = over, .create = true};
    struct vault_status status;

    vault_status(v, &status);
    request.rotation = status.rotations;
    snprintf(request.partition, sizeof(request.partition), "%s", partition);
    verb(v, &request);
    loop_run(loop);
    assert_int_equal(request.code, E_OK);
}

static void use(struct vault *v, const struct user_key *k)
{
    struct buf out = BUF_INIT(4096);
    struct sealed s = seal(v, k, SAFE_LIT("said"), &out);
    char digest[VAULT_DIGEST_BYTES];
    unsigned char signature[VAULT_SIGNATURE_BYTES];

    assert_opens(v, k, s, SAFE_LIT("said"));
    assert_int_equal(vault_user_digest(v, k, "email", SLICE_LIT("a"), digest, NULL), E_OK);
    vault_sign(v, SLICE_LIT("signed"), signature);
    buf_release(&out);
}

static void test_memory__keys_are_in_the_vault_alone(void **state)
{
    struct fixture *f = *state;

    for (unsigned round = 0; round < 2; round++) {  // made, then read
        struct vault *v = opened(f->path);
        const struct user_key *one = key_of(v, f->loop, round ? "user2" : "user1");
        const struct user_key *two = key_of(v, f->loop, "user3");
        struct needle house[3] = {needle_of(v->house->operator_key),
                                  needle_of(v->house->index_key), needle_of(v->house->sign_seed)};
        struct needle erased = needle_of(one->data.secret), digest = needle_of(one->digest_key);
        struct needle retired = needle_of(two->data.secret);

        use(v, one);
        use(v, two);
        assert_int_equal(copies_of(&house[0]), 1);
        assert_int_equal(copies_of(&erased), 1);
        assert_int_equal(copies_of(&retired), 1);
        assert_true(copies_of(&house[2]) >= 1);  // a signing key begins with its seed
        do_verb(v, f->loop, one->partition, vault_forget);
        assert_int_equal(copies_of(&erased), 0);
        assert_int_equal(copies_of(&digest), 0);
        do_verb(v, f->loop, "any", vault_rotate);
        do_verb(v, f->loop, "user3", vault_retire);
        assert_int_equal(copies_of(&retired), 0);
        do_verb(v, f->loop, "any", vault_rewrap);
        assert_int_equal(copies_of(&house[0]), 0);
        struct needle now = needle_of(v->house->operator_key);
        assert_int_equal(copies_of(&now), 1);
        struct needle kept = needle_of(two->data.secret);
        use(v, two);
        vault_free(v);
        assert_int_equal(copies_of(&now), 0);
        assert_int_equal(copies_of(&kept), 0);
        for (unsigned i = 0; i < 3; i++)
            assert_int_equal(copies_of(&house[i]), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_memory__keys_are_in_the_vault_alone, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
