// SPDX-License-Identifier: MIT
// Fuzzes the reader of embeddings: an answer is taken whole, every number of it finite, or not at
// all. Seeds: seeds/embed/.
#include "base/mem.h"
#include "llm/embed.h"

#include <math.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct safe_text inputs[2] = {SAFE_LIT("a"), SAFE_LIT("b")};
    struct llm_embed_call call = {.model = "m", .inputs = inputs, .inputs_len = 2};

    llm_reply_init(&call.reply);
    llm_embed_read(&call, slice_of((const char *)bytes, len));
    if (call.reply.complete != (call.vectors != NULL))
        abort();
    for (uint32_t i = 0; call.vectors && i < 2 * call.dims; i++) {
        if (!isfinite(call.vectors[i]))
            abort();
    }
    llm_embed_release(&call);
    return 0;
}
