// SPDX-License-Identifier: MIT
// keccak.c: Keccak-f[1600] (FIPS 202, 3.2 and 3.3), over one block.
#include "redact/keccak.h"

#include "base/err.h"

#include <string.h>

enum { LANES = 25, ROUNDS = 24, RATE_BYTES = 136 };

static uint64_t rotate(uint64_t lane, unsigned by)
{
    return by ? lane << by | lane >> (64 - by) : lane;
}

// The constants of ι come from a shift register (FIPS 202, 3.2.5).
static uint64_t round_constant(uint8_t *state)
{
    uint64_t constant = 0;

    for (unsigned j = 0; j < 7; j++) {
        if (*state & 1)
            constant |= UINT64_C(1) << ((1U << j) - 1);
        *state = (uint8_t)((*state << 1) ^ (*state & 0x80 ? 0x71 : 0));
    }
    return constant;
}

static void permute(uint64_t a[LANES])
{
    uint8_t state = 1;

    for (unsigned round = 0; round < ROUNDS; round++) {
        uint64_t columns[5], moved[LANES];
        for (unsigned x = 0; x < 5; x++)
            columns[x] = a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20];
        for (unsigned i = 0; i < LANES; i++)  // θ
            a[i] ^= columns[(i + 4) % 5] ^ rotate(columns[(i + 1) % 5], 1);
        moved[0] = a[0];
        for (unsigned t = 0, x = 1, y = 0; t < 24; t++) {  // ρ and π
            unsigned next_y = (2 * x + 3 * y) % 5;
            moved[y + 5 * next_y] = rotate(a[x + 5 * y], ((t + 1) * (t + 2) / 2) % 64);
            x = y;
            y = next_y;
        }
        for (unsigned i = 0; i < LANES; i++)  // χ
            a[i] = moved[i] ^ (~moved[i / 5 * 5 + (i + 1) % 5] & moved[i / 5 * 5 + (i + 2) % 5]);
        a[0] ^= round_constant(&state);
    }
}

void keccak256(const void *bytes, size_t len, uint8_t out[KECCAK256_BYTES])
{
    uint8_t block[RATE_BYTES] = {0};
    uint64_t a[LANES] = {0};

    BUG_ON(len > KECCAK256_INPUT_MAX);
    memcpy(block, bytes, len);
    block[len] ^= 0x01;
    block[RATE_BYTES - 1] ^= 0x80;
    for (unsigned i = 0; i < RATE_BYTES; i++)
        a[i / 8] |= (uint64_t)block[i] << (8 * (i % 8));
    permute(a);
    for (unsigned i = 0; i < KECCAK256_BYTES; i++)
        out[i] = (uint8_t)(a[i / 8] >> (8 * (i % 8)));
}
