// SPDX-License-Identifier: MIT
// llm_kit.h: what the tests of providers share: steps and requests in a few words, a scripted
// engine environment in simulated time, and calls that remember what they were told.
#ifndef TESTS_LLM_KIT_H
#define TESTS_LLM_KIT_H

#include "base/mem.h"
#include "llm/llm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { KIT_STEPS_MAX = 64 };

// ---- requests

struct kit_request {
    struct step steps[KIT_STEPS_MAX];
    struct step *step_ptrs[KIT_STEPS_MAX];
    struct llm_message messages[KIT_STEPS_MAX];
    struct llm_request request;
    uint32_t steps_len;
};

static inline struct safe_text kit_safe(const char *s)
{
    return (struct safe_text){s, strlen(s)};
}

// One more step; it goes into the last message if that has the same role.
static inline struct step *kit_blocks(struct kit_request *k, enum role role,
                                      const struct block *blocks, uint32_t len)
{
    struct step *step = &k->steps[k->steps_len];
    uint32_t n = k->request.messages_len;

    assert_true(k->steps_len < KIT_STEPS_MAX);
    *step = (struct step){.role = role};
    assert_int_equal(content_make(&step->content, blocks, len, NULL), E_OK);
    k->step_ptrs[k->steps_len] = step;
    if (n && k->messages[n - 1].role == role) {
        k->messages[n - 1].len++;
    } else {
        k->messages[n] = (struct llm_message){role, &k->step_ptrs[k->steps_len], 1};
        k->request.messages_len = n + 1;
    }
    k->request.messages = k->messages;
    if (!k->request.model)
        k->request.model = "m";
    k->steps_len++;
    return step;
}

static inline struct step *kit_say(struct kit_request *k, enum role role, const char *text)
{
    struct block b = {.type = BLOCK_TEXT, .text = kit_safe(text)};
    return kit_blocks(k, role, &b, 1);
}

static inline void kit_request_release(struct kit_request *k)
{
    for (uint32_t i = 0; i < k->steps_len; i++)
        step_release(&k->steps[i]);
    *k = (struct kit_request){0};
}

// ---- an environment

struct kit_env {
    struct clock_sim clock;
    struct rand_sim rand;
    struct loop *loop;
    struct conf *conf;
    struct llm_env env;
    const char *answer;      // what the brain says; NULL: its script fails
    const char *key;         // value of every secret
    char asked[64];          // name of the last secret asked for
    struct buf sent;         // last body told
    unsigned asked_brain;    // how often
};

struct kit_brain {
    struct llm_brain brain;
    struct kit_env *env;
};

static inline int kit_reply(struct llm_brain *b, const struct llm_request *r, struct buf *out,
                            struct err *err)
{
    struct kit_env *k = ((struct kit_brain *)(void *)b)->env;
    (void)r;
    k->asked_brain++;
    if (!k->answer)
        return err_set(err, E_POLICY, "offline.lua:3: no answer");
    buf_add_str(out, k->answer);
    return E_OK;
}

static inline void kit_brain_free(struct llm_brain *b)
{
    mem_free(b);
}

static const struct llm_brain_ops kit_brain_ops = {kit_reply, kit_brain_free};

static inline int kit_brain(void *user, const char *script, struct llm_brain **out, struct err *err)
{
    struct kit_brain *b = mem_zalloc(sizeof(*b));
    (void)script;
    if (!b)
        return err_set(err, E_NOMEM, "out of memory");
    b->brain.ops = &kit_brain_ops;
    b->env = user;
    *out = &b->brain;
    return E_OK;
}

static inline const char *kit_secret(void *user, const char *name)
{
    struct kit_env *k = user;
    snprintf(k->asked, sizeof(k->asked), "%s", name);
    return k->key;
}

static inline void kit_on_request(void *user, const char *provider, struct slice body)
{
    struct kit_env *k = user;
    (void)provider;
    buf_clear(&k->sent);
    buf_add_slice(&k->sent, body);
}

// With a simulated loop unless `loop` is given.
static inline void kit_env_init(struct kit_env *k, struct loop *loop, const struct clock *clock)
{
    *k = (struct kit_env){.answer = "Hello there, how are you today?", .loop = loop};
    clock_sim_init(&k->clock, 1700000000000);
    rand_sim_init(&k->rand, 1);
    if (!loop)
        assert_int_equal(loop_new_sim(&k->loop, &k->clock, NULL), E_OK);
    assert_int_equal(conf_new(&k->conf, llm_options, NULL), E_OK);
    buf_init(&k->sent, 1 << 20);
    k->env = (struct llm_env){
        .loop = k->loop,
        .clock = clock ? clock : &k->clock.clock,
        .rand = &k->rand.rand,
        .conf = k->conf,
        .secret = kit_secret,
        .brain = kit_brain,
        .user = k,
    };
}

static inline void kit_env_release(struct kit_env *k)
{
    conf_free(k->conf);
    buf_release(&k->sent);
    loop_free(k->loop);
}

static inline void kit_set(struct kit_env *k, const char *name, const char *value)
{
    struct err err = ERR_INIT;
    if (conf_set(k->conf, slice_str(name), slice_str(value), "test", &err))
        fail_msg("%s", err.message);
}

// ---- calls

struct kit_call {
    struct llm_call call;
    struct kit_request said;
    struct buf text;         // all on_text
    unsigned texts, dones;
    unsigned cancel_at;      // on that text; 0: never
    struct llm *provider;
    struct loop *stop;       // stopped when done; NULL: none
};

static inline void kit_on_text(struct llm_call *call, struct slice raw)
{
    struct kit_call *k = call->user;
    buf_add_slice(&k->text, raw);
    if (++k->texts == k->cancel_at)
        llm_cancel(k->provider, call);
}

static inline void kit_on_done(struct llm_call *call)
{
    struct kit_call *k = call->user;
    k->dones++;
    if (k->stop)
        loop_stop(k->stop);
}

static inline void kit_call_init(struct kit_call *k, struct llm *provider)
{
    *k = (struct kit_call){.text = BUF_INIT(1 << 20), .provider = provider};
    k->call.on_text = kit_on_text;
    k->call.on_done = kit_on_done;
    k->call.user = k;
    k->call.request = &k->said.request;
}

static inline void kit_call_release(struct kit_call *k)
{
    llm_call_release(&k->call);
    kit_request_release(&k->said);
    buf_release(&k->text);
}

// All text blocks of a reply, in out.
static inline void kit_reply_text(const struct llm_reply *r, struct buf *out)
{
    for (size_t i = 0; i < r->blocks.len; i++) {
        const struct llm_block *b = VEC_AT(&r->blocks, struct llm_block, i);
        if (b->type == BLOCK_TEXT)
            buf_add_slice(out, buf_slice(&b->text));
    }
}

#endif
