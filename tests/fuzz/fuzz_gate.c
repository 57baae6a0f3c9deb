// SPDX-License-Identifier: MIT
// The gate of facts over messages of strangers: zones are all of the message and in order, a
// verdict has its reason and its place, and the same message gives the same one again. What is
// marked as quoted supports nothing. The input: value, line, message. Seeds lie in seeds/gate/.
#include "base/err.h"
#include "base/mem.h"
#include "memory/gate_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_zones(const struct gate *g, size_t len)
{
    struct gate_zone z;
    size_t at = 0, end = 0;

    while (gate_next_zone(g, &at, &z)) {
        BUG_ON(z.start != end || z.end <= z.start || at != z.end || !z.why);
        BUG_ON(z.authored != (z.why[0] == '\0'));
        end = z.end;
    }
    BUG_ON(end != len);
}

static struct gate_verdict judge(struct slice text, struct slice value, struct slice quote)
{
    const struct gate_source source = {.text = text, .asked = text, .reply = text,
                                       .recalled = &value, .recalled_len = 1};
    const struct gate_claim claim = {.subject = SLICE_LIT("user"),
                                     .predicate = SLICE_LIT("lives_in"),
                                     .value = value, .quote = quote, .known = value.len % 2};
    struct gate_verdict v;
    struct gate *g;

    BUG_ON(gate_open(&g, &source, NULL));
    check_zones(g, text.len);
    BUG_ON(gate_judge(g, &claim, &v, NULL));
    gate_close(g);
    BUG_ON(!v.why || v.start > v.end || v.end > text.len);
    BUG_ON((v.result == GATE_SUPPORTED) != (v.end > 0));
    BUG_ON(v.result == GATE_SUPPORTED && v.author != GATE_BY_USER);
    return v;
}

static void check_quoted(struct slice text, struct slice value)
{
    struct buf quoted = BUF_INIT(1 << 20);

    buf_add_str(&quoted, "> ");
    for (size_t i = 0; i < text.len; i++) {
        buf_add_char(&quoted, text.ptr[i]);
        if (text.ptr[i] == '\n')
            buf_add_str(&quoted, "> ");
    }
    const struct gate_source source = {.text = buf_slice(&quoted)};
    const struct gate_claim claim = {.subject = SLICE_LIT("user"),
                                     .predicate = SLICE_LIT("lives_in"), .value = value};
    struct gate_verdict v;
    struct gate *g;
    BUG_ON(gate_open(&g, &source, NULL) || gate_judge(g, &claim, &v, NULL));
    BUG_ON(v.result == GATE_SUPPORTED);
    gate_close(g);
    buf_release(&quoted);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct slice all = slice_of((const char *)bytes, len), value = all, text = SLICE_NONE;
    const char *feed = len ? memchr(all.ptr, '\n', len) : NULL;

    if (feed) {
        value = slice_of(all.ptr, (size_t)(feed - all.ptr));
        text = slice_of(feed + 1, len - value.len - 1);
    }
    struct gate_verdict a = judge(text, value, SLICE_NONE), b = judge(text, value, SLICE_NONE);
    BUG_ON(a.result != b.result || a.why != b.why || a.start != b.start || a.end != b.end);
    judge(text, value, text);
    check_quoted(text, value);
    return 0;
}
