// SPDX-License-Identifier: MIT
// Fuzzes the Chat Completions decoder behind the event stream parser. Seeds: seeds/decode_openai/.
#include "support/decode_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    decode_check(LLM_OPENAI, slice_of((const char *)bytes, len), "[DONE]");
    return 0;
}
