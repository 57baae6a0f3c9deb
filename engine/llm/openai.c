// SPDX-License-Identifier: MIT
// openai.c: the provider that speaks OpenAI's Chat Completions; also of the local servers that do.
#include "llm/llm_int.h"

static int open_openai(struct llm **out, const char *name, const struct llm_env *env,
                       struct err *err)
{
    static const struct http_defaults defaults = {
        .ops = &llm_openai,
        .base_url = "https://api.openai.com/v1",
        .path = "/chat/completions",
        .embed_path = "/embeddings",
        .key_env = "OPENAI_API_KEY",
        .auth = "bearer",
    };
    struct http_provider *h = NULL;
    int rc = http_open(&h, name, env, &defaults, err);

    *out = rc ? NULL : &h->provider.base;
    return rc;
}

const struct llm_ops llm_openai = {
    .name = "openai",
    .description = "OpenAI Chat Completions API, and local servers that speak it",
    .dialect = LLM_OPENAI,
    .open = open_openai,
    .start = http_start,
    .cancel = http_cancel,
    .embed = http_embed,
    .embed_cancel = http_embed_cancel,
    .free = http_free,
    .count = &http_count,
};
