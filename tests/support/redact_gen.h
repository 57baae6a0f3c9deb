// SPDX-License-Identifier: MIT
// redact_gen.h: texts for the scanner, from a seed: what is to be found, what is nearly so, and
// what stands between, in several scripts; now and then with characters that are folded to these.
#ifndef TESTS_REDACT_GEN_H
#define TESTS_REDACT_GEN_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static inline uint32_t gen_next(uint64_t *seed, uint32_t below)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((*seed >> 33) % below);
}

static const char *const gen_values[] = {
    "ann@example.org", "o'brien.b+x@mail.example.co.uk", "a@xn--d1acufc.xn--p1ai", "info@example.",
    "jos\xC3\xA9@ejemplo.es", "logo@2x.png", "a@b@c.de", "@example.org", "x@y.z",
    "4012888888881881", "4012-8888-8888-1881", "4012 8888 8888 1881", "3782 822463 10005",
    "4012-8888-8888-1882", "122000000000003", "30569309025904", "6759649826438453",
    "DE89370400440532013000", "GB82 WEST 1234 5698 7654 32", "DE88370400440532013000", "FR14",
    "192.168.0.1", "8.8.8.8", "1.2.3.4.5", "256.1.1.1", "2001:db8::ff00:42:8329", "::1",
    "fe80::1%eth0", "::ffff:192.0.2.128", "12:30:45", "a::b", "1:2:3:4:5:6:7:8",
    "00:1A:2B:3C:4D:5E", "0d-B3-4a-6A-d9-cF", "aabb.ccdd.eeff", "FF:FF:FF:FF:FF:FF",
    "https://ann:s3cret@example.org/x?y=1", "postgres://app:pw@db:5432/app", "http://example.org/",
    "https://example.org/cb?access_token=abcdef123",
    "AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPL", "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
    "sk-proj-abcdefghijklmnopqrst_0123456789", "xoxb-123456789012-abcdefghijklmnop",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abcdefghijklmnopqrstuvwxyz0123456789",
    "Authorization: Bearer abcdef0123456789abcdef", "api_key=abcdef0123456789abcdef",
    ("-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA0Z3VS5JJcds3xfn/ygWyF8PbnGy0AHB7\nabcd\n"
     "-----END RSA PRIVATE KEY-----"), "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIIWXvDwq7u8pR9tUv",
    "-----BEGIN CERTIFICATE-----", "------------",
    "16Yeky6GMjeNkAiNcBY7ZhrLoMSgg1BoyZ", "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLz",
    "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "0xde709f2102306220921060314715629080e2fb77",
    "+1 415 555 0132", "(415) 555-0132", "415-555-0132 ext. 12", "+49 30 1234567", "078-05-1123",
    "130 692 544", "2123 45670 1", "9999 4105 7058", "9999 4105 7058 12", "1234567893",
    "+33 1 42 68 53 00", "tel:+247-62889", "2026-11-21", "3.14159", "ORD-12345",
};

static const char *const gen_between[] = {
    " ", " ", " ", ", ", ".", "\n", "\n\n", ": ", ":", "-", "/", "(", ")", "\"", "'", "<", ">", "=",
    "a", "x1", "7", "12 ", "_", "+", "@", "--", "==", "the ", " card number ", " version ", " IP ",
    "hello world ", " order ", "\xC3\xA9", "\xD1\x8F ", "\xE6\x88\x91", "\xE2\x80\x99", "\xC2\xA0",
    "\xE2\x80\x8B", "\xC2\xAD", "\xEF\xB8\x8F\xE2\x83\xA3", "\xF0\x9F\x98\x80", "\xE2\x80\xA6",
    "\xC2\xBD", "\xE2\x85\xA7", "Bearer ", "token: ", "\t", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    ("\xE2\x80\x8B\xE2\x80\x8B\xE2\x80\x8B\xE2\x80\x8B\xE2\x80\x8B\xE2\x80\x8B\xE2\x80\x8B"
     "\xE2\x80\x8B\xE2\x80\x8B\xE2\x80\x8B"),
};

// Appends text, now and then with a character that is folded to what stands here, or is left out.
static inline void gen_put(char *out, size_t max, size_t *len, const char *text, uint64_t *seed,
                           bool odd)
{
    for (; *text && *len + 8 < max; text++) {
        unsigned char c = (unsigned char)*text;
        uint32_t dice = odd ? gen_next(seed, 12) : 99;
        if (dice == 0 && c > ' ' && c < 0x7F) {  // full width: U+FF01 to U+FF5E
            unsigned cp = 0xFF01U + c - '!';
            out[(*len)++] = (char)0xEF;
            out[(*len)++] = (char)(0x80 | (cp >> 6 & 0x3F));
            out[(*len)++] = (char)(0x80 | (cp & 0x3F));
            continue;
        }
        if (dice == 1 && c >= '0' && c <= '9') {  // Arabic-Indic
            out[(*len)++] = (char)0xD9;
            out[(*len)++] = (char)(0xA0 | (c - '0'));
            continue;
        }
        if (dice == 2 && c < 0x80) {
            memcpy(out + *len, "\xC2\xAD", 2);
            *len += 2;
        }
        out[(*len)++] = *text;
    }
}

// Up to max bytes, of some parts.
static inline size_t gen_text(char *out, size_t max, uint64_t *seed, unsigned parts)
{
    size_t len = 0;

    for (unsigned i = 0; i < parts; i++) {
        char one[512];
        bool value = gen_next(seed, 2) == 0;
        size_t n = value ? sizeof(gen_values) : sizeof(gen_between);
        const char *part = (value ? gen_values : gen_between)[gen_next(seed, n / sizeof(char *))];
        strncpy(one, part, sizeof(one) - 1);
        one[sizeof(one) - 1] = '\0';
        if (value && gen_next(seed, 6) == 0)  // a slip
            one[gen_next(seed, (uint32_t)strlen(one))] = "0aA.- @:"[gen_next(seed, 8)];
        if (value && gen_next(seed, 12) == 0)
            one[gen_next(seed, (uint32_t)strlen(one))] = '\0';
        gen_put(out, max, &len, one, seed, gen_next(seed, 8) == 0);
    }
    return len;
}

#endif
