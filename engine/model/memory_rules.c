// SPDX-License-Identifier: MIT
// memory_rules.c: see memory_rules.h.
#include "model/memory_rules.h"

#include "base/mem.h"

#include <string.h>

void memory_rules_init(struct memory_rules *r)
{
    *r = (struct memory_rules){.on = false};
    safe_buf_init(&r->extract_prompt, MEMORY_PROMPT_BYTES_MAX);
    safe_buf_init(&r->journal_prompt, MEMORY_PROMPT_BYTES_MAX);
    safe_buf_init(&r->reflect_prompt, MEMORY_PROMPT_BYTES_MAX);
    safe_buf_init(&r->persona, MEMORY_PERSONA_BYTES_MAX);
}

void memory_rules_release(struct memory_rules *r)
{
    for (uint32_t i = 0; i < r->predicates_len; i++)
        mem_free(r->predicates[i].aliases);
    mem_free(r->predicates);
    mem_free(r->model);
    safe_buf_release(&r->extract_prompt);
    safe_buf_release(&r->journal_prompt);
    safe_buf_release(&r->reflect_prompt);
    safe_buf_release(&r->persona);
    memory_rules_init(r);
}

const struct predicate_rule *memory_rules_predicate(const struct memory_rules *r,
                                                    struct slice name)
{
    for (uint32_t i = 0; i < r->predicates_len; i++)
        if (slice_is(name, r->predicates[i].name))
            return &r->predicates[i];
    for (uint32_t i = 0; i < r->predicates_len; i++)
        for (uint32_t k = 0; k < r->predicates[i].aliases_len; k++)
            if (slice_is(name, r->predicates[i].aliases[k]))
                return &r->predicates[i];
    return NULL;
}

bool memory_predicate_valid(struct slice name)
{
    if (name.len == 0 || name.len >= MEMORY_PREDICATE_BYTES)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];

        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '_')
            return false;
    }
    return true;
}
