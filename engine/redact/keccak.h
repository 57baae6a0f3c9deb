// SPDX-License-Identifier: MIT
// keccak.h: Keccak-256 as Ethereum has it: SHA-3's permutation with the padding of before the
// standard, which is why no library at hand has it. Any thread.
#ifndef REDACT_KECCAK_H
#define REDACT_KECCAK_H

#include <stddef.h>
#include <stdint.h>

enum { KECCAK256_BYTES = 32, KECCAK256_INPUT_MAX = 135 };

// Of len <= KECCAK256_INPUT_MAX bytes (BUG else): one block, as no address has more.
void keccak256(const void *bytes, size_t len, uint8_t out[KECCAK256_BYTES]);

#endif
