// SPDX-License-Identifier: MIT
// wallet.c: addresses and keys of crypto currencies, by their checksums: base58check (Bitcoin and
// what follows it; extended keys of BIP 32; private keys in WIF), bech32 and bech32m (BIP 173,
// 350), Ethereum (EIP-55; in one case there is no checksum).
#include "redact/keccak.h"
#include "redact/recognise.h"

#include <sodium.h>

enum { BASE58_MAX = 112, BECH32_MAX = 90, PAYLOAD_MAX = 82, CHECKSUM_BYTES = 4 };
// 58^5 is less than 2^32; and so many limbs of 32 bits have more bytes than PAYLOAD_MAX.
enum { DIGITS_AT_ONCE = 5, LIMBS_MAX = PAYLOAD_MAX / 4 + 1 };

// Of those that are IS_BASE58.
static const unsigned char base58_values[128] = {
    ['1'] = 0, 1, 2, 3, 4, 5, 6, 7, 8,
    ['A'] = 9, 10, 11, 12, 13, 14, 15, 16, ['J'] = 17, 18, 19, 20, 21,
    ['P'] = 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32,
    ['a'] = 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43,
    ['m'] = 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57,
};

// The bytes that n digits stand for, with leading zeros as digits say; 0: more than PAYLOAD_MAX.
static size_t base58_decode(const char *text, size_t n, uint8_t out[PAYLOAD_MAX])
{
    uint32_t limbs[LIMBS_MAX];  // least significant first
    size_t n_limbs = 0, zeros = 0;

    while (zeros < n && text[zeros] == '1')
        zeros++;
    for (size_t i = zeros; i < n;) {
        uint32_t factor = 1;
        uint64_t carry = 0;
        for (size_t end = i + DIGITS_AT_ONCE; i < n && i < end; i++) {
            carry = 58 * carry + base58_values[(unsigned char)text[i]];
            factor *= 58;
        }
        for (size_t k = 0; k < n_limbs; k++) {
            carry += (uint64_t)factor * limbs[k];
            limbs[k] = (uint32_t)carry;
            carry >>= 32;
        }
        if (carry && n_limbs == LIMBS_MAX)
            return 0;
        if (carry)
            limbs[n_limbs++] = (uint32_t)carry;
    }
    size_t len = 4 * n_limbs;
    while (len > 0 && !(limbs[(len - 1) / 4] >> 8 * ((len - 1) % 4) & 0xFF))
        len--;
    if (zeros + len > PAYLOAD_MAX)
        return 0;
    memset(out, 0, zeros);
    for (size_t i = 0; i < len; i++) {
        size_t from_low = len - 1 - i;
        out[zeros + i] = (uint8_t)(limbs[from_low / 4] >> 8 * (from_low % 4));
    }
    return zeros + len;
}

// Version bytes and lengths, checksum included: Bitcoin's chainparams.cpp, SLIP-0132, and those of
// Litecoin, Dogecoin, Tron.
static bool is_known(const uint8_t *bytes, size_t len)
{
    static const uint8_t addresses[] = {0x00, 0x05, 0x16, 0x1E, 0x30, 0x32, 0x41, 0x6F, 0xC4};

    if (len == 25)
        return memchr(addresses, bytes[0], sizeof(addresses)) != NULL;
    if (len == 37 || len == 38)  // a private key, 38: of a compressed public one
        return bytes[0] == 0x80 || bytes[0] == 0xEF;
    return len == 82 && bytes[0] == 0x04;  // xpub, xprv and their like
}

static bool is_base58check(const struct view *v, size_t at, size_t n)
{
    uint8_t bytes[PAYLOAD_MAX], hash[crypto_hash_sha256_BYTES];
    size_t len = base58_decode(v->ptr + at, n, bytes);

    if (len <= CHECKSUM_BYTES || !is_known(bytes, len))
        return false;
    crypto_hash_sha256(hash, bytes, len - CHECKSUM_BYTES);
    crypto_hash_sha256(hash, hash, sizeof(hash));
    return memcmp(hash, bytes + len - CHECKSUM_BYTES, CHECKSUM_BYTES) == 0;
}

static bool base58_at(struct view *v, size_t at, struct match *out)
{
    size_t end = view_run(v, at, IS_BASE58, BASE58_MAX);

    *out = (struct match){.end = end, .score = 95};
    return end - at >= 26 && !view_word(v, end) && is_base58check(v, at, end - at);
}

static uint32_t bech32_step(uint32_t sum, unsigned value)
{
    static const uint32_t generator[] = {0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD,
                                         0x2A1462B3};
    uint32_t top = sum >> 25;

    sum = ((sum & 0x1FFFFFF) << 5) ^ value;
    for (unsigned i = 0; i < 5; i++)
        sum ^= top >> i & 1 ? generator[i] : 0;
    return sum;
}

static bool is_bech32(const char *text, size_t n, size_t prefix)
{
    static const char digits[] = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    uint32_t sum = 1;

    for (size_t i = 0; i < prefix; i++)
        sum = bech32_step(sum, (unsigned)to_lower(text[i]) >> 5);
    sum = bech32_step(sum, 0);
    for (size_t i = 0; i < prefix; i++)
        sum = bech32_step(sum, (unsigned)to_lower(text[i]) & 31);
    for (size_t i = prefix + 1; i < n; i++) {
        const char *digit = strchr(digits, to_lower(text[i]));
        if (!digit)
            return false;
        sum = bech32_step(sum, (unsigned)(digit - digits));
    }
    bool first = to_lower(text[prefix + 1]) == 'q';
    return sum == (first ? 1U : 0x2BC830A3U);  // version 0, and those after it
}

static bool bech32_at(struct view *v, size_t at, struct match *out)
{
    size_t prefix = view_says(v, at, "bc1") || view_says(v, at, "tb1") ? 2
                    : view_says(v, at, "ltc1") ? 3 : 0, end = at;
    bool small = false, capital = false;

    if (!prefix)
        return false;
    for (int c; end - at < BECH32_MAX && is_alnum(c = view_at(v, end)); end++) {
        small |= c >= 'a' && c <= 'z';
        capital |= c >= 'A' && c <= 'Z';
    }
    *out = (struct match){.end = end, .score = 95};
    return end - at >= 14 && !(small && capital) && !view_word(v, end) &&
           is_bech32(v->ptr + at, end - at, prefix);
}

// Whether capitals among 40 digits are as EIP-55 has them.
static bool is_eip55(const char *digits)
{
    uint8_t hash[KECCAK256_BYTES];
    char low[40];

    for (size_t i = 0; i < sizeof(low); i++)
        low[i] = (char)to_lower(digits[i]);
    keccak256(low, sizeof(low), hash);
    for (size_t i = 0; i < sizeof(low); i++) {
        bool capital = (hash[i / 2] >> (i % 2 ? 0 : 4) & 0xF) >= 8;
        if (is_letter(digits[i]) && capital != (digits[i] <= 'Z'))
            return false;
    }
    return true;
}

static bool ethereum_at(struct view *v, size_t at, struct match *out)
{
    bool small = false, capital = false;
    size_t i = at + 2;

    if (view_at(v, at) != '0' || to_lower(view_at(v, at + 1)) != 'x')
        return false;
    for (; i < at + 42; i++) {
        int c = view_at(v, i);
        if (hex_value(c) < 0)
            return false;
        small |= c >= 'a';
        capital |= c >= 'A' && c <= 'F';
    }
    if (view_word(v, i))
        return false;
    bool checked = small && capital;
    *out = (struct match){.end = i, .score = checked ? 95 : 65};
    return !checked || is_eip55(v->ptr + at + 2);
}

bool wallet_at(struct view *v, size_t at, struct match *out)
{
    return ethereum_at(v, at, out) || bech32_at(v, at, out) || base58_at(v, at, out);
}
