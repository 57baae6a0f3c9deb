// SPDX-License-Identifier: MIT
// decode_check.h: what holds of a decoded reply whatever the stream was; a BUG where it does not.
#ifndef TESTS_DECODE_CHECK_H
#define TESTS_DECODE_CHECK_H

#include "base/utf8.h"
#include "llm/llm.h"
#include "net/sse.h"

struct decode_heard {
    struct llm_reply reply;
    struct llm_decoder decoder;
    struct buf text;
};

static inline bool decode_on_event(void *user, const struct sse_event *event)
{
    struct decode_heard *h = user;
    return llm_decoder_event(&h->decoder, event->type, event->data, NULL) == E_OK;
}

static inline void decode_on_text(void *user, struct slice text)
{
    struct decode_heard *h = user;
    BUG_ON(text.len == 0);
    buf_add_slice(&h->text, text);
}

static inline void decode_hear(struct decode_heard *h, enum llm_dialect dialect,
                               struct slice stream, size_t step)
{
    struct sse sse;

    *h = (struct decode_heard){.text = BUF_INIT(4 << 20)};
    llm_reply_init(&h->reply);
    llm_decoder_init(&h->decoder, dialect, &h->reply);
    h->decoder.on_text = decode_on_text;
    h->decoder.user = h;
    sse_init(&sse, decode_on_event, h);
    for (size_t at = 0; at < stream.len; at += step) {
        size_t n = step < stream.len - at ? step : stream.len - at;
        if (sse_feed(&sse, slice_of(stream.ptr + at, n), NULL))
            break;
    }
    sse_end(&sse);
    sse_release(&sse);
    llm_decoder_end(&h->decoder);
}

static inline void decode_judge(const struct decode_heard *h)
{
    const struct llm_reply *r = &h->reply;
    struct json_doc doc = JSON_DOC_INIT;
    struct buf text = BUF_INIT(4 << 20);

    for (size_t i = 0; i < r->blocks.len; i++) {
        const struct llm_block *b = VEC_AT(&r->blocks, struct llm_block, i);
        BUG_ON(!utf8_valid(buf_slice(&b->text)) || !utf8_valid(buf_slice(&b->json)));
        if (b->type == BLOCK_TEXT)
            buf_add_slice(&text, buf_slice(&b->text));
        // The conductor keeps such a block as it is: it must be JSON.
        if (b->type == BLOCK_OTHER && b->closed && !h->decoder.failed)
            BUG_ON(json_parse(&doc, buf_slice(&b->json), 0, NULL));
    }
    // What the user saw is what is kept.
    BUG_ON(text.len != h->text.len);
    BUG_ON(r->outcome.any_text != (h->text.len > 0));
    BUG_ON(r->complete != (r->stop != STOP_LOST));
    BUG_ON(r->complete && h->decoder.failed);
    BUG_ON(!r->complete && r->detail[0] == '\0');
    BUG_ON(!utf8_valid(slice_str(r->detail)));
    BUG_ON(r->usage.input_tokens < 0 || r->usage.output_tokens < 0);
    buf_release(&text);
    json_doc_release(&doc);
}

static inline void decode_forget(struct decode_heard *h)
{
    llm_decoder_release(&h->decoder);
    llm_reply_release(&h->reply);
    buf_release(&h->text);
}

// Decodes the stream whole and byte by byte: both must come to the same, and neither is complete
// without the terminal event's word in the stream.
static inline void decode_check(enum llm_dialect dialect, struct slice stream, const char *terminal)
{
    struct decode_heard whole, bytewise;

    decode_hear(&whole, dialect, stream, stream.len + 1);
    decode_hear(&bytewise, dialect, stream, 1);
    decode_judge(&whole);
    decode_judge(&bytewise);
    BUG_ON(whole.reply.complete != bytewise.reply.complete);
    BUG_ON(whole.reply.stop != bytewise.reply.stop);
    BUG_ON(whole.reply.outcome.end != bytewise.reply.outcome.end);
    BUG_ON(!slice_eq(buf_slice(&whole.text), buf_slice(&bytewise.text)));
    // A name may be spelled with escapes in JSON, so only a stream without any is held to this.
    if (whole.reply.complete && !memchr(stream.ptr, '\\', stream.len))
        BUG_ON(!memmem(stream.ptr, stream.len, terminal, strlen(terminal)));
    decode_forget(&whole);
    decode_forget(&bytewise);
}

#endif
