// SPDX-License-Identifier: MIT
// anthropic.c: the provider that speaks Anthropic's Messages API; also of servers that imitate it.
#include "llm/llm_int.h"

static int open_anthropic(struct llm **out, const char *name, const struct llm_env *env,
                          struct err *err)
{
    static const struct http_defaults defaults = {
        .ops = &llm_anthropic,
        .base_url = "https://api.anthropic.com",
        .path = "/v1/messages",
        .key_env = "ANTHROPIC_API_KEY",
        .auth = "x-api-key",
    };
    struct http_provider *h = NULL;

    *out = NULL;
    int rc = http_open(&h, name, env, &defaults, err);
    if (rc)
        return rc;
    const char *version = provider_str(&h->provider, "version");
    rc = http_add_header(h, err, "anthropic-version: %s", version ? version : "2023-06-01");
    if (rc)
        http_free(&h->provider.base);
    else
        *out = &h->provider.base;
    return rc;
}

const struct llm_ops llm_anthropic = {
    .name = "anthropic",
    .description = "Anthropic Messages API",
    .dialect = LLM_ANTHROPIC,
    .open = open_anthropic,
    .start = http_start,
    .cancel = http_cancel,
    .free = http_free,
    .count = &http_count,
};
