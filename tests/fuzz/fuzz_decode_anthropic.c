// SPDX-License-Identifier: MIT
// Fuzzes the Messages API's decoder behind the event stream parser. Seeds: seeds/decode_anthropic/.
#include "support/decode_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    decode_check(LLM_ANTHROPIC, slice_of((const char *)bytes, len), "message_stop");
    return 0;
}
