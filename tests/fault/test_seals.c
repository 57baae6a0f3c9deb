// SPDX-License-Identifier: MIT
// Seals in the wrong place, and seals with changed bytes (FAULTS 4): ciphertexts change places
// between records, users, keys and stores; single bits of ciphertext, place and meta flip; and what
// was never sealed stands where a seal should be. None is accepted, and no text is shown but the
// one that was sealed there. test_flips and test_rows do the like to whole stores and engines.
#include "fault/run.h"
#include "vault/vault_int.h"

#include <dlfcn.h>
#include <stdlib.h>

enum { STORES = 2, USERS = 3, RECORDS = 24, ALL = STORES * USERS * RECORDS };
enum { SWAPS = 10000, FLIPS = 100000, TEXT_BYTES = 64, SEALED_BYTES = 4096 };

// ---- the control: seals without associated data

static bool nothing_is_bound;

// In the place of libsodium's, for the whole program.
int crypto_aead_xchacha20poly1305_ietf_encrypt(unsigned char *c, unsigned long long *clen_p,
                                               const unsigned char *m, unsigned long long mlen,
                                               const unsigned char *ad, unsigned long long adlen,
                                               const unsigned char *nsec,
                                               const unsigned char *npub, const unsigned char *k)
{
    static int (*real)(unsigned char *, unsigned long long *, const unsigned char *,
                       unsigned long long, const unsigned char *, unsigned long long,
                       const unsigned char *, const unsigned char *, const unsigned char *);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "crypto_aead_xchacha20poly1305_ietf_encrypt");
    return real(c, clen_p, m, mlen, ad, nothing_is_bound ? 0 : adlen, nsec, npub, k);
}

int crypto_aead_xchacha20poly1305_ietf_decrypt(unsigned char *m, unsigned long long *mlen_p,
                                               unsigned char *nsec, const unsigned char *c,
                                               unsigned long long clen, const unsigned char *ad,
                                               unsigned long long adlen, const unsigned char *npub,
                                               const unsigned char *k)
{
    static int (*real)(unsigned char *, unsigned long long *, unsigned char *,
                       const unsigned char *, unsigned long long, const unsigned char *,
                       unsigned long long, const unsigned char *, const unsigned char *);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "crypto_aead_xchacha20poly1305_ietf_decrypt");
    return real(m, mlen_p, nsec, c, clen, ad, nothing_is_bound ? 0 : adlen, npub, k);
}

// ---- a world of records

struct sealed_record {
    unsigned store, user;
    char partition[VAULT_DIGEST_BYTES], key[48], meta[48], text[TEXT_BYTES];
    char bytes[SEALED_BYTES];
    size_t len;
};

struct world {
    struct loop *loop;
    struct vault *vaults[STORES];
    const struct user_key *keys[STORES][USERS];
    struct sealed_record records[ALL];
    struct rand_sim rand;
    struct safe_buf out;
    uint64_t accepted, wrong_text, tried;
};

static void over(struct vault_request *request)
{
    loop_stop(request->loop);
}

static const struct user_key *ask(struct world *w, unsigned store, const char *partition,
                                  void (*verb)(struct vault *v, struct vault_request *request))
{
    struct vault_request request = {.loop = w->loop, .create = true, .done = over};
    snprintf(request.partition, sizeof(request.partition), "%s", partition);
    verb(w->vaults[store], &request);
    loop_run(w->loop);
    if (request.code)
        give_up("%s", request.err.message);
    return request.key;
}

static struct vault_place place_of(const struct sealed_record *r)
{
    return (struct vault_place){slice_str(r->partition), slice_str(r->key), slice_str(r->meta)};
}

// Some are long enough to be packed.
static void seal_record(struct world *w, struct sealed_record *r, unsigned n)
{
    struct buf out = BUF_INIT(SEALED_BYTES);
    struct vault_place place;
    struct sealed sealed;
    char body[2048];
    snprintf(r->key, sizeof(r->key), "turn/s/%010u/0000000000", n % RECORDS);
    snprintf(r->meta, sizeof(r->meta), "{\"role\":\"user\",\"tokens\":%u}", n % 7);
    snprintf(r->text, sizeof(r->text), "what user %u of store %u said, number %u", r->user,
             r->store, n);
    size_t len = (size_t)snprintf(body, sizeof(body), "%s", r->text);
    if (n % 5 == 0) {
        memset(body + len, ' ', sizeof(body) - len);
        len = sizeof(body);
    }
    place = place_of(r);
    if (vault_seal_bytes(w->vaults[r->store], w->keys[r->store][r->user], &place,
                         slice_of(body, len), &out, &sealed, NULL) ||
        sealed.bytes.len > sizeof(r->bytes))
        give_up("not sealed");
    memcpy(r->bytes, sealed.bytes.ptr, sealed.bytes.len);
    r->len = sealed.bytes.len;
    buf_release(&out);
}

// Two stores have the same users' partitions, as with one keyring copied, but keys of their own.
// Half of the records are under the key before the newest.
static void world_open(struct world *w)
{
    struct vault_options options = {.rand = rand_system()};
    memset(w, 0, sizeof(*w));
    rand_sim_init(&w->rand, fault_seed());
    safe_buf_init(&w->out, 1 << 20);
    if (loop_new(&w->loop, clock_system(), NULL))
        give_up("no loop");
    for (unsigned s = 0; s < STORES; s++) {
        if (vault_open(&w->vaults[s], &options, NULL))
            give_up("no vault");
        for (unsigned half = 0; half < 2; half++) {
            if (half)
                ask(w, s, "any", vault_rotate);
            for (unsigned u = 0; u < USERS; u++) {
                char name[16];
                snprintf(name, sizeof(name), "user%u", u);
                w->keys[s][u] = ask(w, s, name, vault_user_key);
                for (unsigned n = half; n < RECORDS; n += 2) {
                    unsigned i = (s * USERS + u) * RECORDS + n;
                    struct sealed_record *r = &w->records[i];
                    r->store = s;
                    r->user = u;
                    snprintf(r->partition, sizeof(r->partition), "%s", name);
                    seal_record(w, r, i);
                }
            }
        }
    }
}

static void world_close(struct world *w)
{
    for (unsigned s = 0; s < STORES; s++)
        vault_free(w->vaults[s]);
    loop_free(w->loop);
    safe_buf_release(&w->out);
}

// The bytes at the place of record r, in its store.
static int open_at(struct world *w, const struct sealed_record *r, const struct vault_place *place,
                   struct slice bytes)
{
    safe_buf_clear(&w->out);
    return vault_unseal(w->vaults[r->store], w->keys[r->store][r->user], place,
                        (struct sealed){bytes}, &w->out, NULL);
}

static void judge(struct world *w, const struct sealed_record *r, int code)
{
    struct slice shown = safe_slice(safe_buf_text(&w->out));
    w->tried++;
    w->accepted += code == E_OK;
    w->wrong_text += shown.len > 0 && !slice_starts(shown, slice_str(r->text));
    if (code != E_OK && code != E_CORRUPT)
        give_up("another answer: %d", code);
}

static void swap_some(struct world *w)
{
    for (unsigned n = 0; n < SWAPS; n++) {
        const struct sealed_record *at = &w->records[rand_below(&w->rand.rand, ALL)], *other = at;
        struct vault_place place = place_of(at);
        while (other == at)
            other = &w->records[rand_below(&w->rand.rand, ALL)];
        judge(w, at, open_at(w, at, &place, slice_of(other->bytes, other->len)));
    }
}

static void flip(struct world *w, char *bytes, size_t len)
{
    bytes[rand_below(&w->rand.rand, len)] ^= (char)(1u << rand_below(&w->rand.rand, 8));
}

// Mostly of the seal, and of what stands beside it in the clear.
static void flip_some(struct world *w)
{
    for (unsigned n = 0; n < FLIPS; n++) {
        struct sealed_record r = w->records[rand_below(&w->rand.rand, ALL)];
        uint64_t what = rand_below(&w->rand.rand, 10);
        size_t key = strlen(r.key), meta = strlen(r.meta), partition = strlen(r.partition);
        if (what == 0)
            flip(w, r.key, key);
        else if (what == 1)
            flip(w, r.meta, meta);
        else if (what == 2)
            flip(w, r.partition, partition);
        else
            flip(w, r.bytes, r.len);
        struct vault_place place = {slice_of(r.partition, partition), slice_of(r.key, key),
                                    slice_of(r.meta, meta)};
        judge(w, &r, open_at(w, &r, &place, slice_of(r.bytes, r.len)));
    }
}

// ---- the tests

static void test_seals__in_another_place(void **state)
{
    static struct world w;
    (void)state;
    world_open(&w);
    swap_some(&w);
    summary("%llu ciphertexts in another record's place (of %d records, %d users, two keys of "
            "each, %d stores): accepted %llu, wrong text %llu", (unsigned long long)w.tried, ALL,
            USERS, STORES, (unsigned long long)w.accepted, (unsigned long long)w.wrong_text);
    assert_int_equal(w.accepted, 0);
    assert_int_equal(w.wrong_text, 0);
    for (unsigned i = 0; i < ALL; i++) {
        struct vault_place place = place_of(&w.records[i]);
        assert_int_equal(open_at(&w, &w.records[i], &place,
                                 slice_of(w.records[i].bytes, w.records[i].len)), E_OK);
    }
    world_close(&w);
}

static void test_seals__with_a_bit_flipped(void **state)
{
    static struct world w;
    (void)state;
    world_open(&w);
    flip_some(&w);
    summary("%llu bits flipped in seals, places and meta: accepted %llu, wrong text %llu",
            (unsigned long long)w.tried, (unsigned long long)w.accepted,
            (unsigned long long)w.wrong_text);
    assert_int_equal(w.accepted, 0);
    assert_int_equal(w.wrong_text, 0);
    world_close(&w);
}

// Plain text, nothing at all, noise, and an envelope's first bytes around plain text.
static void test_seals__that_are_none(void **state)
{
    static struct world w;
    (void)state;
    world_open(&w);
    for (unsigned i = 0; i < ALL; i++) {
        const struct sealed_record *r = &w.records[i];
        struct vault_place place = place_of(r);
        char bytes[SEALED_BYTES];
        judge(&w, r, open_at(&w, r, &place, slice_str(r->text)));
        judge(&w, r, open_at(&w, r, &place, SLICE_NONE));
        rand_fill(&w.rand.rand, bytes, sizeof(bytes));
        judge(&w, r, open_at(&w, r, &place, slice_of(bytes, rand_below(&w.rand.rand, 200))));
        memcpy(bytes, r->bytes, VAULT_ENVELOPE_BYTES - TAG_BYTES);
        memset(bytes + VAULT_ENVELOPE_BYTES - TAG_BYTES, 'x', TEXT_BYTES);
        judge(&w, r, open_at(&w, r, &place,
                             slice_of(bytes, VAULT_ENVELOPE_BYTES - TAG_BYTES + TEXT_BYTES)));
    }
    summary("%llu bodies that were never sealed: accepted %llu", (unsigned long long)w.tried,
            (unsigned long long)w.accepted);
    assert_int_equal(w.accepted, 0);
    world_close(&w);
}

static void test_seals__control_without_associated_data(void **state)
{
    static struct world w;
    (void)state;
    nothing_is_bound = true;
    world_open(&w);
    swap_some(&w);
    uint64_t swapped = w.accepted;
    flip_some(&w);
    nothing_is_bound = false;
    summary("control, without associated data: %llu of %d ciphertexts in another place accepted, "
            "%llu texts wrong; of %d flips %llu accepted", (unsigned long long)swapped, SWAPS,
            (unsigned long long)w.wrong_text, FLIPS, (unsigned long long)(w.accepted - swapped));
    assert_true(swapped > 0 && w.wrong_text > 0 && w.accepted > swapped);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seals__in_another_place),
        cmocka_unit_test(test_seals__with_a_bit_flipped),
        cmocka_unit_test(test_seals__that_are_none),
        cmocka_unit_test(test_seals__control_without_associated_data),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
