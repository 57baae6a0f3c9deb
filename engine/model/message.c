// SPDX-License-Identifier: MIT
// message.c: content in one piece of memory, and its stored form.
//
// Invariants:
//   1. A content with len > 0 is one allocation: the blocks, then the bytes that they point to.
//   2. Every content keeps CONTENT_BLOCKS_MAX and CONTENT_BYTES_MAX, whoever made it.
//   3. Blocks never change once they are a content's: what it has is told once.
// A content is owned by one thread at a time; read-only it may be shared.
#include "model/message.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "model/safe_text_int.h"

#include <string.h>

static const char *const type_words[] = {
    [BLOCK_TEXT] = "text", [BLOCK_TOOL_USE] = "tool_use", [BLOCK_TOOL_RESULT] = "tool_result",
    [BLOCK_THINKING] = "thinking", [BLOCK_OTHER] = "other",
};
enum { TYPE_WORDS = sizeof(type_words) / sizeof(type_words[0]) };

const char *block_type_word(enum block_type t)
{
    BUG_ON((unsigned)t >= TYPE_WORDS);
    return type_words[t];
}

static size_t block_bytes(const struct block *b)
{
    return b->text.len + b->id.len + b->name.len + b->json.len + b->signature.len;
}

static uint32_t block_has(const struct block *b)
{
    switch (b->type) {
    case BLOCK_TEXT:
        return utf8_blank(safe_slice(b->text)) ? 0 : CONTENT_WORDS;
    case BLOCK_TOOL_USE:
        return CONTENT_WORDS | CONTENT_TOOL_USE;
    case BLOCK_TOOL_RESULT:
        return CONTENT_WORDS | CONTENT_TOOL_RESULT;
    case BLOCK_THINKING:
        return CONTENT_BOUND;
    case BLOCK_OTHER:
        return CONTENT_WORDS | CONTENT_BOUND;
    }
    BUG("a block of type %d", b->type);
}

struct content content_over(struct block *blocks, uint32_t len)
{
    struct content c = {.blocks = blocks, .len = len};

    for (uint32_t i = 0; i < len; i++)
        c.has |= block_has(&blocks[i]);
    return c;
}

static struct safe_text place(char **at, struct safe_text t)
{
    char *start = *at;

    if (t.len == 0)
        return SAFE_NONE;
    memcpy(start, t.ptr, t.len);
    *at += t.len;
    return (struct safe_text){start, t.len};
}

int content_make(struct content *out, const struct block *blocks, uint32_t len, struct err *err)
{
    size_t bytes = 0;

    *out = CONTENT_NONE;
    if (len > CONTENT_BLOCKS_MAX)
        return err_set(err, E_REFUSED, "a message of %u blocks: at most %d are allowed", len,
                       CONTENT_BLOCKS_MAX);
    for (uint32_t i = 0; i < len; i++)
        bytes += block_bytes(&blocks[i]);
    if (bytes > CONTENT_BYTES_MAX)
        return err_set(err, E_REFUSED, "a message of %zu bytes: at most %d are allowed; split it",
                       bytes, CONTENT_BYTES_MAX);
    if (len == 0)
        return E_OK;
    struct block *own = mem_alloc(len * sizeof(*own) + bytes);
    if (!own)
        return err_set(err, E_NOMEM, "out of memory for a message of %zu bytes", bytes);
    char *at = (char *)(own + len);
    for (uint32_t i = 0; i < len; i++) {
        own[i] = (struct block){.type = blocks[i].type, .is_error = blocks[i].is_error};
        own[i].text = place(&at, blocks[i].text);
        own[i].id = place(&at, blocks[i].id);
        own[i].name = place(&at, blocks[i].name);
        own[i].json = place(&at, blocks[i].json);
        own[i].signature = place(&at, blocks[i].signature);
    }
    *out = content_over(own, len);
    return E_OK;
}

int content_make_text(struct content *out, struct safe_text text, struct err *err)
{
    return content_make(out, &(struct block){.type = BLOCK_TEXT, .text = text}, 1, err);
}

int content_copy(struct content *out, const struct content *from, struct err *err)
{
    return content_make(out, from->blocks, from->len, err);
}

void content_release(struct content *c)
{
    mem_free(c->blocks);
    *c = CONTENT_NONE;
}

bool content_empty(const struct content *c)
{
    for (uint32_t i = 0; i < c->len; i++) {
        if (c->blocks[i].type != BLOCK_TEXT || c->blocks[i].text.len)
            return false;
    }
    return true;
}

void content_text(const struct content *c, struct safe_buf *out)
{
    for (uint32_t i = 0; i < c->len; i++) {
        if (c->blocks[i].type == BLOCK_TEXT)
            safe_buf_add(out, c->blocks[i].text);
    }
}

size_t content_bytes(const struct content *c)
{
    size_t bytes = 0;

    for (uint32_t i = 0; i < c->len; i++)
        bytes += c->blocks[i].text.len + c->blocks[i].json.len;
    return bytes;
}

static void encode_json(struct json_writer *w, const char *key, struct safe_text json)
{
    jw_key(w, key);
    jw_raw(w, json.len ? safe_slice(json) : SLICE_LIT("{}"));
}

static void encode_block(struct json_writer *w, const struct block *b)
{
    jw_object(w);
    jw_kv_str(w, "type", block_type_word(b->type));
    switch (b->type) {
    case BLOCK_TEXT:
        jw_kv_slice(w, "text", safe_slice(b->text));
        break;
    case BLOCK_TOOL_USE:
        jw_kv_slice(w, "id", safe_slice(b->id));
        jw_kv_slice(w, "name", safe_slice(b->name));
        encode_json(w, "input", b->json);
        break;
    case BLOCK_TOOL_RESULT:
        jw_kv_slice(w, "id", safe_slice(b->id));
        jw_kv_slice(w, "text", safe_slice(b->text));
        if (b->is_error)
            jw_kv_bool(w, "error", true);
        break;
    case BLOCK_THINKING:
        jw_kv_slice(w, "text", safe_slice(b->text));
        if (b->signature.len)
            jw_kv_slice(w, "signature", safe_slice(b->signature));
        break;
    case BLOCK_OTHER:
        encode_json(w, "json", b->json);
        break;
    }
    jw_object_end(w);
}

void content_encode(const struct content *c, struct safe_buf *out)
{
    struct json_writer w;

    jw_init(&w, safe_buf_bytes(out));
    jw_array(&w);
    for (uint32_t i = 0; i < c->len; i++)
        encode_block(&w, &c->blocks[i]);
    jw_array_end(&w);
}

// Where a member of a stored block goes.
struct member {
    const char *key;
    size_t field;   // offset of a struct safe_text in struct block
    bool is_json;   // kept as it stands, else a string
    bool optional;
};
enum { MEMBERS_MAX = 4 };
static const struct member members[][MEMBERS_MAX] = {
    [BLOCK_TEXT] = {{"text", offsetof(struct block, text), false, false}},
    [BLOCK_TOOL_USE] = {{"id", offsetof(struct block, id), false, false},
                        {"name", offsetof(struct block, name), false, false},
                        {"input", offsetof(struct block, json), true, false}},
    [BLOCK_TOOL_RESULT] = {{"id", offsetof(struct block, id), false, false},
                           {"text", offsetof(struct block, text), false, false}},
    [BLOCK_THINKING] = {{"text", offsetof(struct block, text), false, false},
                        {"signature", offsetof(struct block, signature), false, true}},
    [BLOCK_OTHER] = {{"json", offsetof(struct block, json), true, false}},
};

static bool decode_type(struct json word, enum block_type *out)
{
    for (unsigned i = 0; i < TYPE_WORDS; i++) {
        if (json_is_string(word, type_words[i])) {
            *out = (enum block_type)i;
            return true;
        }
    }
    return false;
}

// Fills b, its bytes appended to mem, which has room for them. Returns the member that is wrong, or
// NULL.
static const char *decode_block(struct block *b, struct json v, struct buf *mem)
{
    *b = (struct block){.is_error = json_bool(json_get(v, "error"), false)};
    if (!decode_type(json_get(v, "type"), &b->type))
        return "type";
    for (unsigned i = 0; i < MEMBERS_MAX && members[b->type][i].key; i++) {
        const struct member *m = &members[b->type][i];
        struct json value = json_get(v, m->key);
        size_t start = mem->len;

        if (json_type(value) == JSON_NONE && m->optional)
            continue;
        if (json_type(value) == JSON_NONE || (!m->is_json && json_type(value) != JSON_STRING))
            return m->key;
        if (m->is_json)
            buf_add_slice(mem, json_raw(value));
        else
            json_string(value, mem);
        struct safe_text t = safe_text_vouch(slice_of(mem->ptr + start, mem->len - start));
        memcpy((char *)b + m->field, &t, sizeof(t));
    }
    return NULL;
}

// No decoded string is longer than its source, so the whole source bounds what is needed.
static int decode_blocks(struct content *out, struct json array, struct err *err)
{
    uint32_t len = json_count(array);
    size_t room = len * sizeof(struct block) + json_raw(array).len;
    struct buf mem = BUF_INIT(room);
    struct json_iter it = {0};
    struct json key, item;
    size_t bytes = 0;

    if (!buf_reserve(&mem, room))
        return buf_check(&mem, "a stored message", err);
    struct block *blocks = (void *)mem.ptr;
    buf_grew(&mem, len * sizeof(*blocks));
    for (uint32_t i = 0; json_next(array, &it, &key, &item); i++) {
        const char *wrong = decode_block(&blocks[i], item, &mem);

        bytes += wrong ? 0 : block_bytes(&blocks[i]);
        if (!wrong && bytes <= CONTENT_BYTES_MAX)
            continue;
        buf_release(&mem);
        if (wrong)
            return err_set(err, E_CORRUPT, "stored message: block %u: \"%s\" is missing or not "
                           "what it should be; run `parley verify`", i + 1, wrong);
        return err_set(err, E_CORRUPT, "stored message: more than %d bytes; run `parley verify`",
                       CONTENT_BYTES_MAX);
    }
    *out = content_over(blocks, len);
    return E_OK;
}

int content_decode(struct content *out, struct safe_text body, struct err *err)
{
    struct json_doc doc = JSON_DOC_INIT;
    int rc;

    *out = CONTENT_NONE;
    rc = json_parse(&doc, safe_slice(body), 0, err);
    struct json array = json_root(&doc);
    if (rc && rc != E_NOMEM) {
        if (err)
            err->code = E_CORRUPT;
        err_prefix(err, "stored message: ");
        rc = E_CORRUPT;
    } else if (!rc && (json_type(array) != JSON_ARRAY || json_count(array) > CONTENT_BLOCKS_MAX)) {
        rc = err_set(err, E_CORRUPT, "stored message: not an array of at most %d blocks; "
                     "run `parley verify`", CONTENT_BLOCKS_MAX);
    } else if (!rc && json_count(array)) {
        rc = decode_blocks(out, array, err);
    }
    json_doc_release(&doc);
    return rc;
}
