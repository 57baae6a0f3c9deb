// SPDX-License-Identifier: MIT
// sha256.c: SHA-256 by the SHA extensions of x86 (Intel 64 and IA-32 manual, vol. 2: SHA256RNDS2
// does two rounds, SHA256MSG1 and SHA256MSG2 four words of the message schedule).
#include "redact/sha256.h"

#include "base/err.h"

#include <sodium.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

enum { CHUNK_BYTES = 64, ROUNDS = 64, LENGTH_BYTES = 8, EXTENDED = 7, SHA_BIT = 29 };

bool sha256_has_instructions(void)
{
    unsigned a, b = 0, c, d;

    return __get_cpuid_count(EXTENDED, 0, &a, &b, &c, &d) && b >> SHA_BIT & 1 &&
           __builtin_cpu_supports("sse4.1");
}

static const uint32_t first_state[8] = {
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
};

static const uint32_t constants[ROUNDS] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

// The state as the instructions have it: a, b, e, f from the top down in the one, c, d, g, h in the
// other.
struct state {
    __m128i abef, cdgh;
};

__attribute__((target("sha,sse4.1")))
static void add_chunk(struct state *s, const uint8_t *chunk)
{
    const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    __m128i abef = s->abef, cdgh = s->cdgh, words[4];

    for (int i = 0; i < 4; i++)
        words[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(const void *)chunk + i),
                                    swap);
    for (int i = 0; i < ROUNDS / 4; i++) {
        __m128i w = words[0];
        __m128i k = _mm_loadu_si128((const __m128i *)(const void *)constants + i);
        __m128i round = _mm_add_epi32(w, k);
        cdgh = _mm_sha256rnds2_epu32(cdgh, abef, round);
        abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(round, 0x0E));
        // The words sixteen rounds on, out of all that are there.
        __m128i next = _mm_add_epi32(_mm_sha256msg1_epu32(w, words[1]),
                                     _mm_alignr_epi8(words[3], words[2], 4));
        next = _mm_sha256msg2_epu32(next, words[3]);
        words[0] = words[1], words[1] = words[2], words[2] = words[3], words[3] = next;
    }
    s->abef = _mm_add_epi32(s->abef, abef);
    s->cdgh = _mm_add_epi32(s->cdgh, cdgh);
}

static void by_instructions(const uint8_t *message, size_t len, uint8_t out[SHA256_BYTES])
{
    const uint32_t *f = first_state;
    struct state s = {
        _mm_set_epi32((int)f[0], (int)f[1], (int)f[4], (int)f[5]),
        _mm_set_epi32((int)f[2], (int)f[3], (int)f[6], (int)f[7]),
    };
    uint8_t padded[2 * CHUNK_BYTES] = {0};
    size_t chunks = (len + 1 + LENGTH_BYTES + CHUNK_BYTES - 1) / CHUNK_BYTES;
    uint32_t abef[4], cdgh[4];  // from the bottom up

    memcpy(padded, message, len);
    padded[len] = 0x80;
    padded[chunks * CHUNK_BYTES - 1] = (uint8_t)(8 * len);
    padded[chunks * CHUNK_BYTES - 2] = (uint8_t)(8 * len >> 8);
    for (size_t i = 0; i < chunks; i++)
        add_chunk(&s, padded + i * CHUNK_BYTES);
    _mm_storeu_si128((__m128i *)(void *)abef, s.abef);
    _mm_storeu_si128((__m128i *)(void *)cdgh, s.cdgh);
    const uint32_t words[8] = {abef[3], abef[2], cdgh[3], cdgh[2], abef[1], abef[0], cdgh[1],
                               cdgh[0]};
    for (size_t i = 0; i < SHA256_BYTES; i++)
        out[i] = (uint8_t)(words[i / 4] >> (24 - 8 * (i % 4)));
}

#else

bool sha256_has_instructions(void)
{
    return false;
}

static void by_instructions(const uint8_t *message, size_t len, uint8_t out[SHA256_BYTES])
{
    (void)message, (void)len, (void)out;
    BUG("no such instructions");
}

#endif

void sha256_short(bool instructions, const uint8_t *message, size_t len, uint8_t out[SHA256_BYTES])
{
    BUG_ON(len > SHA256_SHORT_MAX);
    if (instructions)
        by_instructions(message, len, out);
    else
        crypto_hash_sha256(out, message, len);
}
