// SPDX-License-Identifier: MIT
// llm.h: the provider contract: one request, one streamed reply, one attempt.
//
// A provider (struct llm) belongs to one worker and its loop. It makes exactly one attempt per
// call: retries are the conductor's, who commits every attempt before it is sent. What comes back
// is raw (struct llm_reply is not safe text): the reply chain redacts it before it goes anywhere.
//
// Invariants:
//   1. on_done comes exactly once per started call, never inside llm_start or llm_cancel.
//   2. reply.complete is true only if the dialect's terminal event came and nothing is missing.
//   3. The same messages render to the same bytes (so that prefixes stay cacheable).
#ifndef LLM_LLM_H
#define LLM_LLM_H

#include "base/conf.h"
#include "base/json.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/rand.h"
#include "base/vec.h"
#include "model/turn.h"
#include "net/retry.h"
#include "net/wire.h"

enum llm_dialect { LLM_NONE, LLM_ANTHROPIC, LLM_OPENAI };

// ---- what a model can do: one row of scripts/data/models.json (caps.c)

struct llm_caps {
    uint64_t window_tokens;      // input and output together
    uint64_t output_tokens_max;  // and default for max_output_tokens when lower than the request's
    uint64_t cache_min_tokens;   // shorter prefixes are not cached; 0: nothing is, or not known
    bool max_completion_tokens;  // OpenAI: name of the limit parameter (else max_tokens)
    bool stream_usage;           // OpenAI: accepts stream_options.include_usage
    bool developer_role;         // OpenAI: system prompt goes as role "developer"
    bool temperature;            // accepts sampling parameters
    char encoding[16];           // its public vocabulary (tokens/encoding.h), "": not public
};
struct llm_caps_table;
// {"source":…,"models":[{"api":"anthropic","model":"claude-…*","window":…,"output":…,
// "cache_min":…, flags}]}; the
// longest matching pattern wins; every api has a "*" row. E_POLICY says what is wrong where.
int llm_caps_load(struct llm_caps_table **out, struct slice json, struct err *err);
void llm_caps_free(struct llm_caps_table *t);
// `model` may also be a pattern: the row that holds for all that it matches.
struct llm_caps llm_caps_find(const struct llm_caps_table *t, const char *api, const char *model);
// Every row in the table's order.
void llm_caps_each(const struct llm_caps_table *t,
                   void (*fn)(void *user, const char *api, const char *model), void *user);

// ---- the request

// One wire message: a run of steps of one role (several user steps if earlier turns got no reply).
struct llm_message {
    enum role role;
    struct step **steps;   // borrowed; rendering fills step->wire once per dialect
    uint32_t len;          // >= 1
};
struct llm_request {
    const char *model;
    struct safe_text system;               // may be empty
    uint64_t system_tokens;                // about
    const struct llm_message *messages;    // checked by ledger/rules before they come here
    uint32_t messages_len;
    uint64_t max_output_tokens;            // 0: the model's default
    // The next request will begin like this one: ask the provider to cache it (Anthropic; others
    // do by themselves).
    bool cache;
    // But for its last message, which holds what the next one will not repeat.
    bool fresh;
    // NULL, or: what the provider is to read instead of the rendered body, appended to out. The
    // body is safe text; this one goes to the wire and nowhere else.
    void (*reveal)(void *user, struct slice body, struct buf *out);
    void *reveal_user;
};
// Appends the JSON body for a dialect; prefix-stable. Steps' wire forms are rendered when missing.
int llm_render(enum llm_dialect dialect, const struct llm_caps *caps,
               const struct llm_request *request, struct buf *out, struct err *err);
// The same messages, as the body of a request that has them counted.
int llm_render_count(enum llm_dialect dialect, const struct llm_caps *caps,
                     const struct llm_request *request, struct buf *out, struct err *err);

// ---- the reply, raw

struct llm_block {
    enum block_type type;
    struct buf text;       // TEXT, THINKING
    struct buf id, name;   // TOOL_USE
    struct buf json;       // TOOL_USE: input as received (whole only if complete); OTHER: the block
    struct buf signature;  // THINKING
    bool closed;           // its end came
    int64_t index;         // the decoder's: the provider's number of it
};
enum { LLM_BLOCKS_MAX = 128, LLM_REPLY_BYTES_MAX = CONTENT_BYTES_MAX };
struct llm_reply {
    struct vec blocks;           // of struct llm_block
    enum stop stop;              // STOP_LOST when the stream was cut
    bool complete;
    bool usage_known;
    struct usage usage;          // cost is not filled here
    struct buf id;               // the provider's message id
    struct call_outcome outcome; // meaningful unless complete
    char detail[256];            // for people: the provider's error message, cut; never reply text
};
void llm_reply_init(struct llm_reply *r);
void llm_reply_release(struct llm_reply *r);

// ---- decoding, apart from any I/O (decode_anthropic.c, decode_openai.c)

struct llm_decoder {
    enum llm_dialect dialect;
    struct llm_reply *reply;                               // borrowed, filled
    void (*on_text)(void *user, struct slice text);        // visible text, in pieces; or NULL
    void *user;
    struct json_doc doc;                                   // reused scratch
    bool terminal;                                         // the terminal event came
    bool any_event;
    enum stop pending_stop;                                // told; the terminal event is due
    size_t bytes;
    bool failed;                                           // beyond use: the outcome is settled
    bool started;                                          // Anthropic: message_start came
    bool refused;                                          // OpenAI: text came as a refusal
};
void llm_decoder_init(struct llm_decoder *d, enum llm_dialect dialect, struct llm_reply *reply);
void llm_decoder_release(struct llm_decoder *d);
// One SSE event. E_OK, or E_PROVIDER when the stream is beyond use (error event, not the dialect,
// too big): the reply's outcome says which. Unknown event and block types are kept or ignored, not
// errors.
int llm_decoder_event(struct llm_decoder *d, struct slice type, struct slice data, struct err *err);
// The stream ended (cleanly or not): settles stop, complete and outcome.
void llm_decoder_end(struct llm_decoder *d);
// A whole non-stream error body with its status: fills outcome and detail.
void llm_read_error(enum llm_dialect dialect, int status, struct slice body,
                    struct llm_reply *reply);

// ---- calls

struct llm;
struct llm_call {
    // The caller's; borrowed until on_done.
    const struct llm_request *request;
    void (*on_text)(struct llm_call *call, struct slice raw);  // visible text as it comes
    void (*on_done)(struct llm_call *call);
    void *user;
    // out, valid from on_done until llm_call_release
    struct llm_reply reply;
    int http_status;     // 0: none
    // private
    void *impl;
};
void llm_call_release(struct llm_call *call);

// ---- counting: what the provider says of a request before it is sent; nothing is billed for it

struct llm_count {
    // The caller's; borrowed until on_done.
    const struct llm_request *request;
    void (*on_done)(struct llm_count *count);  // once per started count, never inside its start
    void *user;
    // out, valid in on_done
    int code;            // E_OK; E_PROVIDER: no count came; E_CANCELLED
    uint64_t tokens;     // of the whole input
    // private
    void *impl;
};
enum {
    LLM_COUNT_MS_MAX = 2000,           // after which a count is given up
    LLM_COUNT_REST_MS = 60 * 1000,     // how long none is asked for after one failed
};

// Answers for the scripted provider out of a script; made elsewhere (lua/brain.c), handed in here,
// so that this room needs no Lua. Text answers go through an encoder and the real decoder.
struct llm_brain {
    const struct llm_brain_ops *ops;
};
struct llm_brain_ops {
    // What to say to these messages. Appends to out. E_POLICY: the script failed (says where).
    int (*reply)(struct llm_brain *b, const struct llm_request *request, struct buf *out,
                 struct err *err);
    void (*free)(struct llm_brain *b);
};

struct llm_embed_call;  // embed.h

// What a provider gets from whoever builds the engine; borrowed for its life.
struct llm_env {
    struct loop *loop;
    struct wire *wire;                     // NULL: nothing but scripted can be called
    const struct clock *clock;
    const struct rand *rand;
    const struct log *log;
    const struct conf *conf;               // reads providers.<name>.*
    const struct llm_caps_table *caps;
    // The secret's value or NULL; `name` is an environment variable's name. Borrowed, constant.
    const char *(*secret)(void *user, const char *name);
    // Makes a brain of the script file (NULL: the shipped one).
    int (*brain)(void *user, const char *script, struct llm_brain **out, struct err *err);
    // Tests and --trace: told the exact body before it is sent. May be NULL.
    void (*on_request)(void *user, const char *provider, struct slice body);
    void *user;
};

// Of a provider that may have an endpoint for counting.
struct llm_count_ops {
    bool (*can)(const struct llm *p);
    int (*start)(struct llm *p, struct llm_count *count, struct err *err);
    void (*cancel)(struct llm *p, struct llm_count *count);
};

struct llm_ops {
    const char *name;                 // the api: "anthropic", "openai", "scripted"
    const char *description;
    enum llm_dialect dialect;
    // `name` is the provider's name in the configuration. E_POLICY: key missing (says which
    // variable to set), bad URL.
    int (*open)(struct llm **out, const char *name, const struct llm_env *env, struct err *err);
    int (*start)(struct llm *p, struct llm_call *call, struct err *err);
    void (*cancel)(struct llm *p, struct llm_call *call);
    // Embeddings; both NULL: the api has none.
    int (*embed)(struct llm *p, struct llm_embed_call *call, struct err *err);
    void (*embed_cancel)(struct llm *p, struct llm_embed_call *call);
    void (*free)(struct llm *p);
    const struct llm_count_ops *count;  // NULL: it has none
};
struct llm {
    const struct llm_ops *ops;
    const char *name;                 // owned by the provider
};
extern const struct llm_ops llm_anthropic, llm_openai, llm_scripted;
// What providers read from the configuration, "providers.*.…", for its schema. Ends with name NULL.
extern const struct option llm_options[];

// Opens the provider called `name` in env->conf. E_POLICY: it (with the nearest name) or its api is
// unknown.
int llm_open(struct llm **out, const char *name, const struct llm_env *env, struct err *err);
// Whether each provider of the configuration, and the default one, can be opened.
int llm_check(const struct llm_env *env, struct err *err);
int llm_start(struct llm *p, struct llm_call *call, struct err *err);
void llm_cancel(struct llm *p, struct llm_call *call);  // on_done follows, end CALL_CANCELLED
void llm_free(struct llm *p);                           // NULL allowed
// False: it has no endpoint for it, or one that failed a moment ago.
bool llm_can_count(const struct llm *p);
int llm_count_start(struct llm *p, struct llm_count *count, struct err *err);
// on_done follows; harmless after it.
void llm_count_cancel(struct llm *p, struct llm_count *count);
// Whether it is at an address that was configured, not its API's own: it may be any server.
bool llm_is_own(const struct llm *p);
enum retry_dialect llm_retry_dialect(const struct llm *p);
struct llm_caps llm_caps_of(const struct llm *p, const char *model);
// The same of a provider that need not be open, or ready; false: none of this name is configured.
bool llm_caps_configured(const struct conf *conf, const struct llm_caps_table *table,
                         const char *provider, const char *model, struct llm_caps *out);
// The model of this provider when nobody names one: its own, or default.model, if it is the default
// provider and no flag or variable made it that; default.model goes before what no file said.
// NULL: none is configured.
const char *llm_default_model(const struct conf *conf, const char *provider);
// Under which api its models are in the table: "local" for OpenAI's dialect on this machine.
const char *llm_caps_api(const struct llm *p);
// Whether a provider's address is on this machine; false also for what is no http(s) address.
bool llm_is_loopback(const char *url);

#endif
