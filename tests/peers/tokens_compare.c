// SPDX-License-Identifier: MIT
// tokens_compare.c: compares our tokens with a reference encoder's, which come on standard input as
// records {u32 bytes, text, for each encoding: u32 n, u32 ids[n]}, numbers in little endian, the
// encodings as encoding_at has them. A record of UINT32_MAX bytes ends the stream. Prints TAP.
//
// Beside the ids it checks of each text that counting and encoding agree, and that the tokens put
// together are the text again.
#include "tokens/encoding.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN_MAX = 20, TEXT_BYTES_MAX = 64 << 20 };

struct totals {
    uint64_t texts, bytes, tokens, differences;
};

static void die(const char *what)
{
    printf("Bail out! %s\n", what);
    exit(1);
}

static void *take(size_t bytes)
{
    void *p = malloc(bytes ? bytes : 1);

    if (!p || (bytes && fread(p, 1, bytes, stdin) != bytes))
        die("the reference's stream broke off");
    return p;
}

static uint32_t take_number(void)
{
    uint8_t *b = take(4);
    uint32_t n = b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;

    free(b);
    return n;
}

static void show_difference(const struct encoding *e, struct slice text, const char *what)
{
    printf("# %s: %s differs; the text in hexadecimal:", encoding_name(e), what);
    for (size_t i = 0; i < text.len && i < 200; i++)
        printf(" %02X", (uint8_t)text.ptr[i]);
    printf("%s\n", text.len > 200 ? " …" : "");
}

// NULL, or what differs.
static const char *compare(const struct encoding *e, struct slice text, const uint8_t *wanted,
                           uint32_t n)
{
    struct token_ids ids = TOKEN_IDS_INIT;
    struct buf back = BUF_INIT(TEXT_BYTES_MAX);
    const char *bad = NULL;
    uint32_t count = 0;

    if (encoding_encode(e, text, 0, &ids, NULL) || encoding_count(e, text, 0, &count, NULL))
        die("cannot encode");
    if (ids.len != n)
        bad = "the number of tokens";
    for (uint32_t i = 0; !bad && i < n; i++)
        if (wanted[4 * i] != (ids.ptr[i] & 0xFF) || wanted[4 * i + 1] != (ids.ptr[i] >> 8 & 0xFF) ||
            wanted[4 * i + 2] != ids.ptr[i] >> 16)
            bad = "a token";
    if (!bad && count != ids.len)
        bad = "the count";
    for (size_t i = 0; !bad && i < ids.len; i++)
        if (!encoding_decode(e, ids.ptr[i], &back))
            bad = "a token that is none";
    if (!bad && !slice_eq(buf_slice(&back), text))
        bad = "the decoded text";
    token_ids_release(&ids);
    buf_release(&back);
    return bad;
}

int main(void)
{
    struct totals t = {0};

    for (;;) {
        uint32_t bytes = take_number();
        if (bytes == UINT32_MAX)
            break;
        if (bytes > TEXT_BYTES_MAX)
            die("a text is too long");
        char *text = take(bytes);
        t.texts++;
        t.bytes += bytes;
        for (size_t i = 0; encoding_at(i); i++) {
            uint32_t n = take_number();
            uint8_t *wanted = take((size_t)4 * n);
            const char *bad = compare(encoding_at(i), slice_of(text, bytes), wanted, n);

            t.tokens += n;
            if (bad && ++t.differences <= SHOWN_MAX)
                show_difference(encoding_at(i), slice_of(text, bytes), bad);
            free(wanted);
        }
        free(text);
    }
    printf("1..1\n%sok 1 - tokens__as_the_reference\n", t.differences || !t.texts ? "not " : "");
    printf("# summary: tokens: %" PRIu64 " texts of %" PRIu64 " bytes, %" PRIu64
           " tokens in both encodings, %" PRIu64 " differences from tiktoken\n",
           t.texts, t.bytes, t.tokens, t.differences);
    return t.differences || !t.texts;
}
