// SPDX-License-Identifier: MIT
// embedding.h: embeddings for the benches, of three kinds: a server's (EMBEDDINGS_URL, over the
// engine's own client), letters alone (the scripted provider's), and numbers that say nothing.
#ifndef BENCH_EMBEDDING_H
#define BENCH_EMBEDDING_H

#include "base/mem.h"
#include "llm/embed.h"

#include <stdio.h>
#include <stdlib.h>

enum embedding_kind { EMBEDDING_NONE, EMBEDDING_NOISE, EMBEDDING_TRIGRAMS, EMBEDDING_SERVER };
enum { EMBEDDING_BATCH = 64 };

static inline const char *embedding_key(void *user, const char *name)
{
    (void)user;
    (void)name;
    return NULL;
}

static inline void embedding_done(struct llm_embed_call *call)
{
    loop_stop(call->user);
}

static inline void embedding_check(int code, const struct err *err)
{
    if (code) {
        fprintf(stderr, "bench: embeddings: %s\n", err->message);
        exit(1);
    }
}

// The server's, for n texts; *dims tells how many floats each has. The caller's, mem_free.
static inline float *embedding_of_server(const char *url, const struct safe_text *texts, uint32_t n,
                                         uint32_t *dims)
{
    struct err err = ERR_INIT;
    struct rand_sim rand;
    struct loop *loop;
    struct wire *wire;
    struct conf *conf;
    struct llm *llm;
    float *all = NULL;

    rand_sim_init(&rand, 1);
    embedding_check(loop_new(&loop, clock_system(), &err), &err);
    embedding_check(wire_new_curl(&wire, loop, &err), &err);
    embedding_check(conf_new(&conf, llm_options, &err), &err);
    embedding_check(conf_set(conf, SLICE_LIT("providers.openai.base_url"), slice_str(url), "bench",
                             &err), &err);
    struct llm_env env = {.loop = loop, .wire = wire, .clock = clock_system(), .rand = &rand.rand,
                          .conf = conf, .secret = embedding_key};
    embedding_check(llm_open(&llm, "openai", &env, &err), &err);
    for (uint32_t at = 0; at < n; at += EMBEDDING_BATCH) {
        struct llm_embed_call call = {.model = "any",
                                      .inputs = texts + at,
                                      .inputs_len = n - at < EMBEDDING_BATCH ? n - at
                                                                             : EMBEDDING_BATCH,
                                      .on_done = embedding_done,
                                      .user = loop};
        embedding_check(llm_embed(llm, &call, &err), &err);
        loop_run(loop);
        embedding_check(call.reply.complete ? E_OK : err_set(&err, E_PROVIDER, "%s",
                                                             call.reply.detail), &err);
        *dims = call.dims;
        all = mem_realloc(all, (size_t)n * *dims * sizeof(*all));
        memcpy(all + (size_t)at * *dims, call.vectors,
               (size_t)call.inputs_len * *dims * sizeof(*all));
        llm_embed_release(&call);
    }
    llm_free(llm);
    wire_free(wire);
    conf_free(conf);
    loop_free(loop);
    return all;
}

static inline float *embedding_noise(const struct rand *rand, uint32_t n, uint32_t *dims)
{
    *dims = 256;
    float *all = mem_calloc((size_t)n * *dims, sizeof(*all));
    for (size_t i = 0; i < (size_t)n * *dims; i++)
        all[i] = (float)rand_below(rand, 2001) - 1000;
    return all;
}

static inline float *embedding_trigrams(const struct safe_text *texts, uint32_t n, uint32_t *dims)
{
    *dims = EMBED_TRIGRAM_DIMENSIONS;
    float *all = mem_calloc((size_t)n * *dims, sizeof(*all));
    for (uint32_t i = 0; i < n; i++)
        llm_embed_trigrams(texts[i], *dims, all + (size_t)i * *dims);
    return all;
}

// Vectors of n texts, one after the other; NULL for EMBEDDING_NONE, and without a server.
static inline float *embedding_make(enum embedding_kind kind, const struct safe_text *texts,
                                    uint32_t n, uint32_t *dims)
{
    const char *url = getenv("EMBEDDINGS_URL");
    struct rand_sim rand;

    *dims = 0;
    rand_sim_init(&rand, 3);
    if (kind == EMBEDDING_NOISE)
        return embedding_noise(&rand.rand, n, dims);
    if (kind == EMBEDDING_TRIGRAMS)
        return embedding_trigrams(texts, n, dims);
    return kind == EMBEDDING_SERVER && url ? embedding_of_server(url, texts, n, dims) : NULL;
}

#endif
