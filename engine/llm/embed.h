// SPDX-License-Identifier: MIT
// embed.h: embeddings: texts in, a vector for each out.
//
// One call is one attempt, as with replies: whoever makes it commits it before it is sent. A call
// answers whole or not at all: as many vectors as inputs, in the inputs' order whatever order they
// came in, all of one length, all finite. Whether they are normalised is the model's affair.
//
// Invariants:
//   1. on_done comes exactly once per started call, never inside llm_embed or llm_embed_cancel.
//   2. reply.complete is true only if every input has its vector.
// On the worker's loop, like its provider.
#ifndef LLM_EMBED_H
#define LLM_EMBED_H

#include "llm/llm.h"

// OpenAI takes 2,048 inputs of 8,192 tokens each, 300,000 tokens together, and no empty one
// (https://platform.openai.com/docs/api-reference/embeddings, as the API stood in 2025). No token
// is less than a byte, so these hold whatever the model's vocabulary is.
enum {
    EMBED_INPUTS_MAX = 2048,
    EMBED_INPUT_BYTES_MAX = 8000,
    EMBED_BYTES_MAX = 256 << 10,
    EMBED_DIMENSIONS_MAX = 4096,
};

struct llm_embed_call {
    // The caller's; borrowed until on_done.
    const char *model;
    const struct safe_text *inputs;  // none of them empty
    uint32_t inputs_len;
    uint32_t dimensions;             // wanted; 0: as many as the model makes
    int64_t total_ms;                // deadline of the whole call; 0: the provider's own deadlines
    void (*on_done)(struct llm_embed_call *call);
    void *user;
    // out, valid from on_done until llm_embed_release
    struct llm_reply reply;  // complete, usage, outcome and detail; no blocks
    int http_status;         // 0: none
    float *vectors;          // inputs_len times dims, where complete; else NULL
    uint32_t dims;
    // private
    void *impl;
};

// E_USAGE (limits), E_POLICY (the provider's api has no embeddings), E_NOMEM, E_BUSY.
int llm_embed(struct llm *p, struct llm_embed_call *call, struct err *err);
void llm_embed_cancel(struct llm *p, struct llm_embed_call *call);  // outcome CALL_CANCELLED
void llm_embed_release(struct llm_embed_call *call);
bool llm_can_embed(const struct llm *p);
// Whether what the configuration says under "embeddings" can work. E_POLICY: where it says what.
int llm_embed_check(const struct conf *conf, struct err *err);
// As many bytes of text as one input may have, cut between characters; empty for what is only
// white space, which says nothing and is refused by some.
struct safe_text llm_embed_input(struct safe_text text, size_t bytes_max);

// ---- OpenAI's dialect, apart from any I/O

// Appends the request's body. base64: vectors are asked for as bytes, a third of the size.
int llm_embed_render(const struct llm_embed_call *call, bool base64, struct buf *out,
                     struct err *err);
// Reads a whole answer, in either form, into the call: settles reply, vectors and dims.
void llm_embed_read(struct llm_embed_call *call, struct slice body);

// What the scripted provider answers: letters, not meaning. Each word's trigrams of bytes, with its
// ends marked, are hashed to a dimension and a sign; a word counts less the shorter it is. out has
// dims floats, not all zero. Pure: the same text gives the same vector on every machine.
enum { EMBED_TRIGRAM_DIMENSIONS = 256 };
void llm_embed_trigrams(struct safe_text text, uint32_t dims, float *out);

#endif
