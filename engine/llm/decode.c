// SPDX-License-Identifier: MIT
// decode.c: what the decoders of both dialects share: limits, failures, errors that providers tell.
//
// Invariants:
//   1. A decoder that failed takes nothing more, and its outcome stays.
//   2. A reply is complete only if the terminal event came, a stop reason was told, and every block
//      that this reason promises whole was closed.
//   3. `detail` is one line of the provider's error message, never a piece of a reply, never a key.
// Pure: no I/O. One thread at a time.
#include "llm/llm_int.h"

#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>

enum { ERROR_TEXT_BYTES = 4096, DETAIL_SCRATCH_BYTES = 1024 };
static const int64_t TOKENS_SANE_MAX = 1000000000000;  // sums of a few of these cannot overflow

// ---- the detail

static bool key_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '*' || c == '.';
}

// "Incorrect API key provided: sk-proj-abc***xyz" quotes a part of the key: out with it.
static void hide_keys(char *text)
{
    char *at = text;

    while ((at = strstr(at, "sk-"))) {
        bool inside_word = at > text && key_char(at[-1]);
        size_t len = 0;
        while (key_char(at[len]))
            len++;
        if (!inside_word) {
            memmove(at + 3, at + len, strlen(at + len) + 1);
            memcpy(at, "key", 3);
        }
        at += 3;
    }
}

void reply_detail(struct llm_reply *r, const char *fmt, ...)
{
    char text[DETAIL_SCRATCH_BYTES];
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (n < 0)
        text[0] = '\0';
    for (char *c = text; *c; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = ' ';
    }
    hide_keys(text);
    size_t len = utf8_cut(slice_str(text), sizeof(r->detail) - 1);
    memcpy(r->detail, text, len);
    r->detail[len] = '\0';
}

void reply_hide(struct llm_reply *r, const char *secret)
{
    size_t len = secret ? strlen(secret) : 0;
    char *at = r->detail;

    while (len && (at = strstr(at, secret))) {
        memset(at, '*', len);
        at += len;
    }
}

// ---- failures

static void settle_failed(struct llm_decoder *d, enum call_end end)
{
    d->failed = true;
    d->reply->complete = false;
    d->reply->stop = STOP_LOST;
    d->reply->outcome.end = end;
}

int decode_fail(struct llm_decoder *d, enum call_end end, struct err *err, const char *fmt, ...)
{
    char text[DETAIL_SCRATCH_BYTES];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    reply_detail(d->reply, "%s", text);
    settle_failed(d, end);
    return err_set(err, E_PROVIDER, "%s", d->reply->detail);
}

int decode_no_memory(struct llm_decoder *d, struct err *err)
{
    return decode_fail(d, CALL_BAD_REPLY, err, "out of memory while the reply came");
}

static int too_big(struct llm_decoder *d, struct err *err)
{
    return decode_fail(d, CALL_BAD_REPLY, err,
                       "the reply is over the limit of %d blocks or %d bytes", LLM_BLOCKS_MAX,
                       LLM_REPLY_BYTES_MAX);
}

// ---- errors that providers tell

// The words for errors in both dialects, and the status that goes with each. Local servers and
// gateways mix the dialects, so one table serves both.
enum { WORD_QUOTA = 1, WORD_OVERFLOW = 2 };
static const struct {
    const char *word;
    int status;
    unsigned flags;
} ERROR_WORDS[] = {
    {"invalid_request_error", 400, 0},
    {"authentication_error", 401, 0},
    {"invalid_api_key", 401, 0},
    {"billing_error", 402, WORD_QUOTA},
    {"permission_error", 403, 0},
    {"not_found_error", 404, 0},
    {"model_not_found", 404, 0},
    {"conflict_error", 409, 0},
    {"request_too_large", 413, WORD_OVERFLOW},
    {"rate_limit_error", 429, 0},
    {"rate_limit_exceeded", 429, 0},
    {"api_error", 500, 0},
    {"server_error", 500, 0},
    {"internal_error", 500, 0},
    {"slow_down", 503, 0},
    {"unavailable_error", 503, 0},
    {"timeout_error", 504, 0},
    {"overloaded_error", 529, 0},
    {"insufficient_quota", 429, WORD_QUOTA},
    {"billing_hard_limit_reached", 429, WORD_QUOTA},
    {"billing_not_active", 429, WORD_QUOTA},
    {"context_length_exceeded", 400, WORD_OVERFLOW},
    {"exceed_context_size_error", 400, WORD_OVERFLOW},
};

// Where no word says it, the message does: of Anthropic, OpenAI and Groq, vLLM, llama.cpp, Ollama,
// LM Studio, Mistral, Bedrock, Gemini, xAI and TGI, as their servers said it in 2026.
static const struct {
    const char *part;
    unsigned flags;
} ERROR_PHRASES[] = {
    {"prompt is too long", WORD_OVERFLOW},
    {"maximum context length", WORD_OVERFLOW},
    {"context length exceeded", WORD_OVERFLOW},
    {"exceeds the context window", WORD_OVERFLOW},
    {"exceed context limit", WORD_OVERFLOW},
    {"exceeds the available context size", WORD_OVERFLOW},
    {"exceeds the context length", WORD_OVERFLOW},
    {"exceeded max context length", WORD_OVERFLOW},
    {"greater than the context length", WORD_OVERFLOW},
    {"context the overflows", WORD_OVERFLOW},
    {"longer than the maximum model length", WORD_OVERFLOW},
    {"maximum prompt length", WORD_OVERFLOW},
    {"exceeds the maximum number of tokens", WORD_OVERFLOW},
    {"input is too long", WORD_OVERFLOW},
    {"input is too large to process", WORD_OVERFLOW},
    {"reduce the length of the messages", WORD_OVERFLOW},
    {"tokens must be reduced", WORD_OVERFLOW},
    {"`max_new_tokens` must be <=", WORD_OVERFLOW},
    {"credit balance is too low", WORD_QUOTA},
    {"exceeded your current quota", WORD_QUOTA},
    {"specified api usage limits", WORD_QUOTA},
    {"insufficient balance", WORD_QUOTA},
};

// Looks an error's type or code up; returns its status or 0, adds to *flags.
static int judge_word(struct json word, unsigned *flags)
{
    for (size_t i = 0; i < sizeof(ERROR_WORDS) / sizeof(ERROR_WORDS[0]); i++) {
        if (json_is_string(word, ERROR_WORDS[i].word)) {
            *flags |= ERROR_WORDS[i].flags;
            return ERROR_WORDS[i].status;
        }
    }
    int64_t number = json_i64(word, 0);  // gateways tell the status here
    return number >= 400 && number <= 599 ? (int)number : 0;
}

static void judge_message(const char *message, unsigned *flags)
{
    for (size_t i = 0; i < sizeof(ERROR_PHRASES) / sizeof(ERROR_PHRASES[0]); i++) {
        if (strcasestr(message, ERROR_PHRASES[i].part))
            *flags |= ERROR_PHRASES[i].flags;
    }
}

// Reads {"error":{"type","code","message"}}, {"error":"…"} or {"message":"…"}: fills detail and
// flags of the outcome. Returns the status that the words stand for, 0 if none.
static int read_error(struct json root, struct llm_reply *reply)
{
    struct buf text = BUF_INIT(ERROR_TEXT_BYTES);
    struct json error = json_get(root, "error");
    unsigned flags = 0;

    if (json_type(error) == JSON_NONE)
        error = root;
    int by_type = judge_word(json_get(error, "type"), &flags);
    int by_code = judge_word(json_get(error, "code"), &flags);
    struct json message = json_type(error) == JSON_STRING ? error : json_get(error, "message");
    if (json_string(message, &text) && text.len) {
        judge_message(text.ptr, &flags);
        reply_detail(reply, "%s", text.ptr);
    }
    buf_release(&text);
    reply->outcome.overflow = flags & WORD_OVERFLOW;
    reply->outcome.quota = flags & WORD_QUOTA;
    // The code is the more exact of the two: {"type":"invalid_request_error","code":429}.
    return by_code ? by_code : by_type;
}

int decode_error_event(struct llm_decoder *d, struct json root, struct err *err)
{
    reply_detail(d->reply, "the provider reports an error inside the reply");
    d->reply->outcome.status = read_error(root, d->reply);
    settle_failed(d, CALL_ERROR_EVENT);
    return err_set(err, E_PROVIDER, "%s", d->reply->detail);
}

void llm_read_error(enum llm_dialect dialect, int status, struct slice body,
                    struct llm_reply *reply)
{
    struct json_doc doc = JSON_DOC_INIT;

    (void)dialect;  // see ERROR_WORDS
    reply->complete = false;
    reply->stop = STOP_LOST;
    reply_detail(reply, "the provider answers with status %d", status);
    if (json_parse(&doc, body, 0, NULL) == E_OK)
        read_error(json_root(&doc), reply);
    json_doc_release(&doc);
    if (status == 402)
        reply->outcome.quota = true;
    reply->outcome.end = CALL_STATUS;
    reply->outcome.status = status;
}

// ---- the reply's parts

struct llm_block *decode_block(struct llm_decoder *d, enum block_type type, int64_t index,
                               struct err *err)
{
    struct vec *blocks = &d->reply->blocks;

    if (blocks->len == blocks->max)
        return too_big(d, err), NULL;
    struct llm_block *b = vec_push(blocks);
    if (!b)
        return decode_no_memory(d, err), NULL;
    b->type = type;
    b->index = index;
    buf_init(&b->text, LLM_REPLY_BYTES_MAX);
    buf_init(&b->id, LLM_REPLY_BYTES_MAX);
    buf_init(&b->name, LLM_REPLY_BYTES_MAX);
    buf_init(&b->json, LLM_REPLY_BYTES_MAX);
    buf_init(&b->signature, LLM_REPLY_BYTES_MAX);
    return b;
}

struct llm_block *decode_find(const struct llm_decoder *d, int64_t index)
{
    for (size_t i = d->reply->blocks.len; i-- > 0;) {
        struct llm_block *b = VEC_AT(&d->reply->blocks, struct llm_block, i);
        if (b->index == index)
            return b;
    }
    return NULL;
}

// What was added to a buffer of the reply since it was `before` long.
static int added(struct llm_decoder *d, const struct buf *to, size_t before, struct err *err)
{
    if (to->no_memory)
        return decode_no_memory(d, err);
    d->bytes += to->len - before;
    if (!buf_ok(to) || d->bytes > LLM_REPLY_BYTES_MAX)
        return too_big(d, err);
    return E_OK;
}

int decode_add(struct llm_decoder *d, struct buf *to, struct json text, struct err *err)
{
    size_t before = to->len;

    json_string(text, to);
    return added(d, to, before, err);
}

int decode_add_raw(struct llm_decoder *d, struct buf *to, struct slice bytes, struct err *err)
{
    size_t before = to->len;

    buf_add_slice(to, bytes);
    return added(d, to, before, err);
}

int decode_text(struct llm_decoder *d, struct llm_block *b, struct json text, struct err *err)
{
    size_t before = b->text.len;
    int rc = decode_add(d, &b->text, text, err);

    if (rc || b->text.len == before)
        return rc;
    d->reply->outcome.any_text = true;
    if (d->on_text)
        d->on_text(d->user, slice_of(b->text.ptr + before, b->text.len - before));
    return E_OK;
}

int64_t decode_count(struct json v, int64_t fallback)
{
    int64_t n = json_i64(v, -1);

    return n >= 0 && n <= TOKENS_SANE_MAX ? n : fallback;
}

void decode_id(struct llm_reply *r, struct json id)
{
    if (r->id.len)
        return;
    json_string(id, &r->id);
    if (!buf_ok(&r->id))
        buf_clear(&r->id);  // an id too long to be one is left out
}

void decode_stop(struct llm_decoder *d, const struct stop_name *names, size_t n, struct json word)
{
    d->pending_stop = STOP_LOST;
    for (size_t i = 0; i < n; i++) {
        if (json_is_string(word, names[i].word))
            d->pending_stop = names[i].stop;
    }
    if (d->pending_stop == STOP_LOST)
        reply_detail(d->reply, "the reply ended for a reason that is not known: %.*s",
                     SLICE_FMT(json_raw(word)));
}

// ---- the decoder

void llm_decoder_init(struct llm_decoder *d, enum llm_dialect dialect, struct llm_reply *reply)
{
    *d = (struct llm_decoder){.dialect = dialect, .reply = reply};
}

void llm_decoder_release(struct llm_decoder *d)
{
    json_doc_release(&d->doc);
}

int llm_decoder_event(struct llm_decoder *d, struct slice type, struct slice data, struct err *err)
{
    if (d->failed)
        return err_set(err, E_PROVIDER, "%s", d->reply->detail);
    if (d->terminal)
        return E_OK;  // nothing belongs to a reply after its end
    d->any_event = true;
    return d->dialect == LLM_OPENAI ? decode_openai(d, data, err)
                                    : decode_anthropic(d, type, data, err);
}

// A token limit or a refusal may break a block off; any other reason promises whole ones.
static bool blocks_whole(const struct llm_decoder *d)
{
    if (d->pending_stop == STOP_MAX_TOKENS || d->pending_stop == STOP_REFUSAL ||
        d->pending_stop == STOP_FILTER)
        return true;
    for (size_t i = 0; i < d->reply->blocks.len; i++) {
        if (!VEC_AT(&d->reply->blocks, struct llm_block, i)->closed)
            return false;
    }
    return true;
}

void llm_decoder_end(struct llm_decoder *d)
{
    struct llm_reply *r = d->reply;

    if (d->failed)
        return;
    r->complete = d->terminal && d->pending_stop != STOP_NONE && d->pending_stop != STOP_LOST &&
                  blocks_whole(d);
    r->stop = r->complete ? d->pending_stop : STOP_LOST;
    r->outcome.end = CALL_CUT;
    if (!r->complete && !r->detail[0])
        reply_detail(r, d->any_event ? "the reply broke off" : "the reply ended before it began");
}
