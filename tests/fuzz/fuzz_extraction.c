// SPDX-License-Identifier: MIT
// A model's answer that was asked for facts, from bytes of strangers: refused with a reason, and
// then nothing is given; or facts within their limits. Seeds lie in seeds/extraction/.
#include "memory/extraction.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static int take(void *user, const struct extracted *e, struct err *err)
{
    unsigned *count = user;

    (void)err;
    BUG_ON(++*count > EXTRACTION_FACTS_MAX || e->turn == 0 || (unsigned)e->kind >= FACT_KINDS);
    BUG_ON(e->predicate.len == 0 || e->predicate.len >= FACT_NAME_BYTES);
    BUG_ON(e->value.len == 0 || e->value.len > FACT_VALUE_BYTES_MAX);
    BUG_ON(e->quote.len == 0 || e->quote.len > EXTRACTION_QUOTE_BYTES_MAX);
    BUG_ON(e->subject.len >= FACT_NAME_BYTES || memchr(e->value.ptr, '\0', e->value.len));
    return E_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct err err = ERR_INIT;
    unsigned count = 0;
    int code = extraction_read(slice_of((const char *)bytes, len), take, &count, &err);

    BUG_ON(code && (code != E_USAGE || count || !err.message[0]));
    return 0;
}
