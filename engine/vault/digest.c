// SPDX-License-Identifier: MIT
// digest.c: keyed digests, partitions, signatures. Any thread.
#include "base/id.h"
#include "vault/vault_int.h"

#include <stdio.h>

_Static_assert(2 * HASH_BYTES + 1 == VAULT_DIGEST_BYTES, "digests are told in hex");
_Static_assert((int)VAULT_SIGNATURE_BYTES == crypto_sign_BYTES &&
                   (int)VAULT_PUBLIC_KEY_BYTES == crypto_sign_PUBLICKEYBYTES,
               "signatures as vault.h has them");

// Each part with its length, so that no two lists of parts are the same bytes.
static void digest(const unsigned char *key, const char *domain, const struct slice *parts,
                   unsigned n, char out[VAULT_DIGEST_BYTES])
{
    crypto_generichash_state state;
    unsigned char hash[HASH_BYTES];

    crypto_generichash_init(&state, key, KEY_BYTES, sizeof(hash));
    crypto_generichash_update(&state, (const unsigned char *)domain, strlen(domain) + 1);
    for (unsigned i = 0; i < n; i++) {
        unsigned char length[8];

        for (unsigned b = 0; b < sizeof(length); b++)
            length[b] = (unsigned char)((uint64_t)parts[i].len >> 8 * b);
        crypto_generichash_update(&state, length, sizeof(length));
        crypto_generichash_update(&state, (const unsigned char *)parts[i].ptr, parts[i].len);
    }
    crypto_generichash_final(&state, hash, sizeof(hash));
    sodium_memzero(&state, sizeof(state));
    hex_encode(hash, sizeof(hash), out);
}

void vault_digest(const struct vault *v, const char *domain, const struct slice *parts, unsigned n,
                  char out[VAULT_DIGEST_BYTES])
{
    digest(v->house->index_key, domain, parts, n, out);
}

// What the user had after being erased `generation` times.
static void partition_of(struct vault *v, struct slice user, uint32_t generation,
                         char out[VAULT_DIGEST_BYTES])
{
    char number[16];

    snprintf(number, sizeof(number), "%u", generation);
    const struct slice parts[2] = {user, slice_str(number)};
    vault_digest(v, "user", parts, generation ? 2 : 1, out);
}

// Ends, as there are fewer tombstones than generations.
void vault_partition(struct vault *v, struct slice user, char out[VAULT_DIGEST_BYTES])
{
    uint32_t generation = 0;

    do
        partition_of(v, user, generation++, out);
    while (vault_is_erased(v, out));
}

bool vault_last_erased(struct vault *v, struct slice user, char out[VAULT_DIGEST_BYTES])
{
    char next[VAULT_DIGEST_BYTES];
    uint32_t generation = 0;

    for (;; generation++) {
        partition_of(v, user, generation, next);
        if (!vault_is_erased(v, next))
            break;
        memcpy(out, next, sizeof(next));
    }
    return generation > 0;
}

void digest_key_derive(struct user_key *k)
{
    static const char purpose[] = "parley user digest";

    crypto_generichash(k->digest_key, KEY_BYTES, (const unsigned char *)purpose, sizeof(purpose),
                       k->data.secret, KEY_BYTES);
}

int vault_user_digest(struct vault *v, const struct user_key *k, const char *domain,
                      struct slice value, char out[VAULT_DIGEST_BYTES], struct err *err)
{
    out[0] = '\0';
    pthread_rwlock_rdlock(&v->keys.lock);
    bool erased = k->erasure != 0;
    if (!erased)
        digest(k->digest_key, domain, &value, 1, out);
    pthread_rwlock_unlock(&v->keys.lock);
    return erased ? err_set(err, E_ERASED, "the user was erased") : E_OK;
}

// ---- signatures

void sign_keys_derive(struct house_keys *house)
{
    crypto_sign_seed_keypair(house->sign_public, house->sign_secret, house->sign_seed);
    house->has_sign = true;
}

void vault_sign(const struct vault *v, struct slice bytes,
                unsigned char signature[VAULT_SIGNATURE_BYTES])
{
    crypto_sign_detached(signature, NULL, (const unsigned char *)bytes.ptr, bytes.len,
                         v->house->sign_secret);
}

void vault_public_key(const struct vault *v, unsigned char out[VAULT_PUBLIC_KEY_BYTES])
{
    memcpy(out, v->house->sign_public, VAULT_PUBLIC_KEY_BYTES);
}

bool vault_verify_signature(const unsigned char public_key[VAULT_PUBLIC_KEY_BYTES],
                            struct slice bytes,
                            const unsigned char signature[VAULT_SIGNATURE_BYTES])
{
    return crypto_sign_verify_detached(signature, (const unsigned char *)bytes.ptr, bytes.len,
                                       public_key) == 0;
}
