// SPDX-License-Identifier: MIT
// sha256.h: SHA-256 (FIPS 180-4) of short messages, which the checksums of wallets are: by the
// processor's instructions for it where it has them, else by libsodium. Pure; any thread.
#ifndef REDACT_SHA256_H
#define REDACT_SHA256_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SHA256_BYTES = 32, SHA256_SHORT_MAX = 119 };

// Whether this processor has such instructions. Asking takes its time: ask once.
bool sha256_has_instructions(void);
// BUG when len > SHA256_SHORT_MAX, or there are no such instructions.
void sha256_short(bool instructions, const uint8_t *message, size_t len, uint8_t out[SHA256_BYTES]);

#endif
