// SPDX-License-Identifier: MIT
// embed.c: embeddings in OpenAI's dialect, apart from any I/O; what every provider's calls begin
// with; and the vectors that are made up here (embed.h).
#include "llm/embed.h"

#include "base/mem.h"
#include "base/utf8.h"
#include "llm/llm_int.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

// ---- calls

bool llm_can_embed(const struct llm *p)
{
    return p->ops->embed != NULL;
}

static int check(const struct llm *p, const struct llm_embed_call *call, struct err *err)
{
    size_t bytes = 0;

    if (!llm_can_embed(p))
        return err_set(err, E_POLICY, "provider %s: its api, %s, has no embeddings", p->name,
                       p->ops->name);
    if (call->inputs_len == 0 || call->inputs_len > EMBED_INPUTS_MAX ||
        call->dimensions > EMBED_DIMENSIONS_MAX)
        return err_set(err, E_USAGE, "embeddings: %u inputs of %u dimensions; 1 to %d of up to %d",
                       call->inputs_len, call->dimensions, EMBED_INPUTS_MAX, EMBED_DIMENSIONS_MAX);
    for (uint32_t i = 0; i < call->inputs_len; i++) {
        bytes += call->inputs[i].len;
        if (call->inputs[i].len == 0 || call->inputs[i].len > EMBED_INPUT_BYTES_MAX)
            return err_set(err, E_USAGE, "embeddings: input %u has %zu bytes; 1 to %d are taken", i,
                           call->inputs[i].len, EMBED_INPUT_BYTES_MAX);
    }
    if (bytes > EMBED_BYTES_MAX)
        return err_set(err, E_USAGE, "embeddings: %zu bytes of text; up to %d are taken at once",
                       bytes, EMBED_BYTES_MAX);
    return E_OK;
}

int llm_embed(struct llm *p, struct llm_embed_call *call, struct err *err)
{
    BUG_ON(call->impl);
    llm_reply_init(&call->reply);
    call->http_status = 0;
    call->vectors = NULL;
    call->dims = 0;
    int rc = check(p, call, err);
    if (rc)
        return rc;
    rc = p->ops->embed(p, call, err);
    return rc ? err_prefix(err, "%s: ", p->name), rc : E_OK;
}

void llm_embed_cancel(struct llm *p, struct llm_embed_call *call)
{
    if (call->impl)
        p->ops->embed_cancel(p, call);
}

void llm_embed_release(struct llm_embed_call *call)
{
    BUG_ON(call->impl);  // still under way
    llm_reply_release(&call->reply);
    mem_free(call->vectors);
    call->vectors = NULL;
}

struct safe_text llm_embed_input(struct safe_text text, size_t bytes_max)
{
    size_t from = 0, to = utf8_cut(safe_slice(text), bytes_max);

    while (from < to && (unsigned char)text.ptr[from] <= ' ')
        from++;
    while (to > from && (unsigned char)text.ptr[to - 1] <= ' ')
        to--;
    return safe_text_part(text, from, to - from);
}

// ---- the request

int llm_embed_render(const struct llm_embed_call *call, bool base64, struct buf *out,
                     struct err *err)
{
    struct json_writer w;

    jw_init(&w, out);
    jw_object(&w);
    jw_kv_str(&w, "model", call->model);
    jw_key(&w, "input");
    jw_array(&w);
    for (uint32_t i = 0; i < call->inputs_len; i++)
        jw_slice(&w, safe_slice(call->inputs[i]));
    jw_array_end(&w);
    if (call->dimensions)
        jw_kv_i64(&w, "dimensions", call->dimensions);
    if (base64)
        jw_kv_str(&w, "encoding_format", "base64");
    jw_object_end(&w);
    return buf_check(out, "a request for embeddings", err);
}

// ---- the answer

// An answer that is no good as a whole.
__attribute__((format(printf, 2, 3))) static bool bad(struct llm_embed_call *call, const char *fmt,
                                                      ...)
{
    char text[sizeof(call->reply.detail)];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    reply_detail(&call->reply, "%s", text);
    call->reply.outcome.end = CALL_BAD_REPLY;
    return false;
}

// 0 … 63, or -1.
static int base64_digit(unsigned char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static size_t base64_bytes(struct slice *text)
{
    while (text->len && text->ptr[text->len - 1] == '=')
        text->len--;
    return text->len * 6 / 8;
}

// 32-bit floats, little-endian, in RFC 4648's base64 without its padding.
static bool read_base64(struct slice text, float *out)
{
    unsigned char quad[4];
    unsigned bits = 0, held = 0, got = 0;

    for (size_t i = 0; i < text.len; i++) {
        int digit = base64_digit((unsigned char)text.ptr[i]);
        if (digit < 0)
            return false;
        bits = (bits << 6 | (unsigned)digit) & 0xfff;
        held += 6;
        if (held < 8)
            continue;
        held -= 8;
        quad[got++] = (unsigned char)(bits >> held);
        if (got < 4)
            continue;
        uint32_t word = quad[0] | (uint32_t)quad[1] << 8 | (uint32_t)quad[2] << 16 |
                        (uint32_t)quad[3] << 24;
        memcpy(out++, &word, sizeof(word));
        got = 0;
    }
    return got == 0;
}

static bool read_numbers(struct json list, float *out)
{
    struct json_iter it = {0};
    struct json none, item;

    while (json_next(list, &it, &none, &item)) {
        if (json_type(item) != JSON_NUMBER)
            return false;
        *out++ = (float)json_double(item, NAN);
    }
    return true;
}

static bool all_finite(const float *v, uint32_t dims)
{
    for (uint32_t i = 0; i < dims; i++) {
        if (!isfinite(v[i]))
            return false;
    }
    return true;
}

// How many dimensions an embedding has; 0: it is none. *text: its base64, if it is that; scratch is
// for one in which "/" is escaped.
static uint32_t dimensions_of(struct json v, struct buf *scratch, struct slice *text)
{
    *text = SLICE_NONE;
    if (json_type(v) == JSON_ARRAY)
        return json_count(v);
    *text = json_text(v, scratch);
    size_t bytes = base64_bytes(text);
    return bytes % sizeof(float) || bytes > EMBED_DIMENSIONS_MAX * sizeof(float)
               ? 0
               : (uint32_t)(bytes / sizeof(float));
}

static bool read_one(struct llm_embed_call *call, struct json item, uint32_t position,
                     uint8_t *there, struct buf *scratch)
{
    struct json v = json_get(item, "embedding");
    struct slice text;
    int64_t at = json_i64(json_get(item, "index"), position);
    uint32_t dims = dimensions_of(v, scratch, &text);

    if (at < 0 || at >= call->inputs_len || there[at])
        return bad(call, "the answer has no, or two, embeddings for one of the inputs");
    if (dims == 0 || dims > EMBED_DIMENSIONS_MAX)
        return bad(call, "embedding %lld has %u dimensions; 1 to %d can be kept", (long long)at,
                   dims, EMBED_DIMENSIONS_MAX);
    if (call->dimensions && dims != call->dimensions)
        return bad(call, "embeddings of %u dimensions came; %u were asked for", dims,
                   call->dimensions);
    if (!call->vectors) {
        call->dims = dims;
        call->vectors = mem_calloc((size_t)call->inputs_len * dims, sizeof(float));
        if (!call->vectors)
            return bad(call, "out of memory for embeddings");
    }
    if (dims != call->dims)
        return bad(call, "embeddings of %u and of %u dimensions in one answer", call->dims, dims);
    float *out = call->vectors + (size_t)at * dims;
    if (!(text.ptr ? read_base64(text, out) : read_numbers(v, out)) || !all_finite(out, dims))
        return bad(call, "embedding %lld holds what is no number", (long long)at);
    there[at] = 1;
    return true;
}

static bool read_all(struct llm_embed_call *call, struct json data)
{
    struct json_iter it = {0};
    struct json none, item;
    uint8_t there[EMBED_INPUTS_MAX] = {0};
    struct buf scratch = BUF_INIT(EMBED_DIMENSIONS_MAX * 8);
    bool good = true;
    uint32_t n = 0;

    if (json_type(data) != JSON_ARRAY)
        return bad(call, "the answer holds no embeddings: check base_url and the model's name");
    if (json_count(data) != call->inputs_len)
        return bad(call, "%u embeddings came for %u inputs", json_count(data), call->inputs_len);
    while (good && json_next(data, &it, &none, &item))
        good = read_one(call, item, n++, there, &scratch);
    buf_release(&scratch);
    return good;
}

void llm_embed_read(struct llm_embed_call *call, struct slice body)
{
    struct json_doc doc = JSON_DOC_INIT;
    struct llm_reply *reply = &call->reply;

    if (json_parse(&doc, body, 0, NULL) != E_OK) {
        bad(call, "the answer is not JSON: check base_url");
    } else {
        struct json usage = json_get(json_root(&doc), "usage");
        int64_t tokens = decode_count(json_get(usage, "total_tokens"), -1);
        tokens = decode_count(json_get(usage, "prompt_tokens"), tokens);
        reply->usage_known = tokens >= 0;
        reply->usage.input_tokens = tokens >= 0 ? tokens : 0;
        reply->complete = read_all(call, json_get(json_root(&doc), "data"));
    }
    json_doc_release(&doc);
    if (reply->complete)
        return;
    mem_free(call->vectors);
    call->vectors = NULL;
    call->dims = 0;
}

// ---- made up here

// The words that are said most say least, and are short.
enum { WORD_BYTES_MAX = 62, LONG_WORD_BYTES = 6 };

// FNV-1a over 32 bits, its bits mixed once more.
static uint32_t hash_of(const char *s, size_t len)
{
    uint32_t h = 0x811c9dc5;
    for (size_t i = 0; i < len; i++)
        h = (h ^ (unsigned char)s[i]) * 0x01000193;
    h ^= h >> 15;
    h *= 0x2c1b3c6d;
    return h ^ h >> 12;
}

static bool in_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (unsigned char)c >= 0x80;
}

static void add_word(const char *word, size_t len, uint32_t dims, float *out)
{
    char marked[WORD_BYTES_MAX + 2];
    size_t n = len < WORD_BYTES_MAX ? len : WORD_BYTES_MAX;
    float part = n < LONG_WORD_BYTES ? (float)(n * n) / (LONG_WORD_BYTES * LONG_WORD_BYTES) : 1;

    marked[0] = '<';
    for (size_t i = 0; i < n; i++)
        marked[i + 1] = (char)(word[i] >= 'A' && word[i] <= 'Z' ? word[i] + 32 : word[i]);
    marked[n + 1] = '>';
    for (size_t i = 0; i + 3 <= n + 2; i++) {
        uint32_t h = hash_of(marked + i, 3);
        out[h % dims] += h & 0x80000000U ? part : -part;
    }
}

void llm_embed_trigrams(struct safe_text text, uint32_t dims, float *out)
{
    size_t at = 0;
    bool any = false;

    memset(out, 0, dims * sizeof(*out));
    while (at < text.len) {
        size_t from = at;
        while (at < text.len && in_word(text.ptr[at]))
            at++;
        if (at > from)
            add_word(text.ptr + from, at - from, dims, out);
        at += at == from;
    }
    for (uint32_t i = 0; i < dims && !any; i++)
        any = out[i] < 0 || out[i] > 0;
    if (!any)
        out[0] = 1;
}
