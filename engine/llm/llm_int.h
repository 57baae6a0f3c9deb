// SPDX-License-Identifier: MIT
// llm_int.h: what the files of this room share. Nobody else includes it.
//
//   provider   what every provider begins with: its name, its options, its calls under way
//   stream     bytes of an event stream -> events -> decoder -> the call's reply; the same for a
//              reply from the network (http.c) and for one made up here (scripted.c)
//   decode     what the two dialects' decoders have in common
//   http       one call over the wire, for the providers that have one; http_embed.c: one for
//              embeddings; count: asking there how many tokens a request has
#ifndef LLM_LLM_INT_H
#define LLM_LLM_INT_H

#include "llm/llm.h"
#include "net/sse.h"

// ---- provider (llm.c)

struct provider {
    struct llm base;
    const struct llm_env *env;
    char *name;               // owned
    const char *caps_api;     // under which api its models are looked up; static
    uint64_t window_tokens;   // providers.<name>.window; 0: as the table says
    bool own_url;             // providers.<name>.base_url is not that of its API
    unsigned under_way;       // calls started and not done
};
int provider_init(struct provider *p, const struct llm_ops *ops, const char *name,
                  const struct llm_env *env, struct err *err);
void provider_release(struct provider *p);  // BUG while calls are under way
// providers.<name>.<option>
const char *provider_str(const struct provider *p, const char *option);  // NULL: not set
int64_t provider_int(const struct provider *p, const char *option, int64_t fallback);
bool provider_bool(const struct provider *p, const char *option, bool fallback);
// E_POLICY: "providers.NAME.OPTION: …" with where it was set.
int provider_bad_option(const struct provider *p, const char *option, struct err *err,
                        const char *fmt, ...) __attribute__((format(printf, 4, 5)));

// ---- stream (stream.c)

struct llm_stream {
    struct llm_call *call;    // borrowed
    struct sse sse;
    struct llm_decoder decoder;
    bool cancelled;           // no further text is given out
};
void llm_stream_init(struct llm_stream *s, struct llm_call *call, enum llm_dialect dialect);
void llm_stream_release(struct llm_stream *s);
// False: the reply is settled or cancelled, nothing more is wanted.
bool llm_stream_feed(struct llm_stream *s, struct slice bytes);
// No more bytes come: settles the reply.
void llm_stream_end(struct llm_stream *s);

// ---- decode (decode.c)

// Sets reply->detail: one line, cut at a character, without anything that looks like a key.
void reply_detail(struct llm_reply *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
// Takes every occurrence of a secret out of the detail.
void reply_hide(struct llm_reply *r, const char *secret);

// Settles the outcome as failed; returns E_PROVIDER with the detail in err.
int decode_fail(struct llm_decoder *d, enum call_end end, struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
int decode_no_memory(struct llm_decoder *d, struct err *err);
// An error object of either dialect inside a stream.
int decode_error_event(struct llm_decoder *d, struct json root, struct err *err);
// A new block of the reply. NULL: settled as failed, err says why.
struct llm_block *decode_block(struct llm_decoder *d, enum block_type type, int64_t index,
                               struct err *err);
// The newest block with that provider's index, NULL when there is none.
struct llm_block *decode_find(const struct llm_decoder *d, int64_t index);
// Appends a JSON string's text, or raw bytes, to one of the reply's buffers within its limit.
int decode_add(struct llm_decoder *d, struct buf *to, struct json text, struct err *err);
int decode_add_raw(struct llm_decoder *d, struct buf *to, struct slice bytes, struct err *err);
// Text that the user sees: appended to the block and told.
int decode_text(struct llm_decoder *d, struct llm_block *b, struct json text, struct err *err);
// A token count; fallback when v is absent, negative or beyond all measure.
int64_t decode_count(struct json v, int64_t fallback);
void decode_id(struct llm_reply *r, struct json id);
// What the dialect's word for the end means. One that is not known ("error", "abort" …) leaves
// STOP_LOST and tells it: such a reply may not pass for a whole one.
struct stop_name {
    const char *word;
    enum stop stop;
};
void decode_stop(struct llm_decoder *d, const struct stop_name *names, size_t n, struct json word);

int decode_anthropic(struct llm_decoder *d, struct slice type, struct slice data, struct err *err);
int decode_openai(struct llm_decoder *d, struct slice data, struct err *err);

// ---- http (http.c)

enum { HTTP_HEADERS_MAX = 24 };

// A provider behind the wire. Its URL and headers are made once, when it is opened.
struct http_provider {
    struct provider provider;
    enum llm_dialect dialect;
    struct buf url;
    struct buf embed_url;             // empty: the api has no embeddings
    bool own_url;                     // not the api's usual address
    char *headers[HTTP_HEADERS_MAX];  // owned, "Name: value"
    unsigned headers_len;
    char *key;                        // owned; NULL: none
    bool done_marker;                 // OpenAI: [DONE] must come; else a clean end is enough
    struct wire_deadlines deadlines;
    struct buf count_url;
    bool cannot_count;                // it has no endpoint for it
    int64_t count_after_ms;           // mono; not asked before
};
struct http_defaults {
    const struct llm_ops *ops;
    const char *base_url, *path, *key_env, *auth;
    const char *embed_path;  // NULL: the api has no embeddings
};
int http_open(struct http_provider **out, const char *name, const struct llm_env *env,
              const struct http_defaults *defaults, struct err *err);
int http_add_header(struct http_provider *h, struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
int http_start(struct llm *p, struct llm_call *call, struct err *err);
void http_cancel(struct llm *p, struct llm_call *call);
void http_free(struct llm *p);
// Begins *r, of which address, body, limits and callbacks are filled in, with the provider's
// headers; whoever traces is told. `events`: the answer is to be a stream of them, else JSON. On
// success it counts as under way.
int http_send(struct http_provider *h, struct wire_request *r, bool events, struct err *err);
// What a header of the answer says about sending again.
void http_outcome_header(struct call_outcome *outcome, const struct clock *clock,
                         struct slice name, struct slice value);
// What became of a request that got no status.
enum call_end http_end_without_status(enum wire_end end);
// http_embed.c
int http_embed(struct llm *p, struct llm_embed_call *call, struct err *err);
void http_embed_cancel(struct llm *p, struct llm_embed_call *call);

// ---- count (count.c)

extern const struct llm_count_ops http_count;

// ---- replay (replay.c): recorded conversations as answers

struct replay;
int replay_load(struct replay **out, const char *path, struct err *err);
void replay_free(struct replay *r);
// The recorded reply to exactly these messages. False: none.
bool replay_find(const struct replay *r, const struct llm_request *request, struct slice *reply);

#endif
