// SPDX-License-Identifier: MIT
// Fuzzes the encodings: of any bytes, counting and encoding agree, the tokens put together are the
// text (made well-formed), each is what it is encoded as, and the steps are at most so many a byte.
// The first byte chooses flags; then the text is also taken over and over, for long runs.
#include "base/utf8.h"
#include "tokens/encoding.h"
#include "tokens/merge.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

// At each place the tokens are tried that begin with one another, at most 86 (of blanks, in
// cl100k_base), and each of them once more when the walk steps back over it. No place is come to
// again once the walk has stepped back from it.
enum { STEPS_PER_BYTE = 2 * 86, RUN_BYTES = 1 << 12 };

static struct buf well_formed(struct slice text)
{
    struct buf out = BUF_INIT(4 * (text.len + 1));

    for (size_t at = 0; at < text.len;) {
        char character[4];
        int32_t code = utf8_next(text, &at);
        buf_add(&out, character, utf8_put(character, code < 0 ? 0xFFFD : (uint32_t)code));
    }
    return out;
}

static void check(const struct encoding *e, struct slice text, unsigned flags)
{
    struct merger m = {.keep = true};
    struct buf wanted = well_formed(text), back = BUF_INIT(4 * (text.len + 64));
    uint32_t n;

    BUG_ON(merger_add_text(&m, e, text, flags, NULL) != E_OK);
    BUG_ON(encoding_count(e, text, flags, &n, NULL) != E_OK);
    BUG_ON(n != m.ids.len || n != m.count);
    BUG_ON(m.steps > (uint64_t)STEPS_PER_BYTE * wanted.len);
    for (size_t i = 0; i < m.ids.len; i++)
        BUG_ON(!encoding_decode(e, m.ids.ptr[i], &back));
    BUG_ON(!buf_ok(&wanted) || !slice_eq(buf_slice(&back), buf_slice(&wanted)));
    buf_release(&wanted);
    buf_release(&back);
    merger_release(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (len < 2)
        return 0;
    struct slice text = slice_of((const char *)bytes + 1, len - 1);
    unsigned flags = bytes[0] & 1 ? ENCODING_SPECIAL : 0;

    for (size_t i = 0; encoding_at(i); i++)
        check(encoding_at(i), text, flags);
    if (bytes[0] & 2) {
        struct buf run = BUF_INIT(RUN_BYTES + text.len);
        while (run.len < RUN_BYTES)
            buf_add_slice(&run, text);
        for (size_t i = 0; encoding_at(i); i++)
            check(encoding_at(i), buf_slice(&run), flags);
        buf_release(&run);
    }
    return 0;
}
