// SPDX-License-Identifier: MIT
// replay.c: recorded conversations as answers for the scripted provider.
//
// A recording is a file of JSON lines, {"messages":[{"role","content"}]} with content a string, as
// `import` reads them. Each assistant message in it is filed under a hash of all that was said
// before it; a request whose messages hash to the same gets that reply. Where two recordings share
// a beginning, the first wins. Read-only once loaded.
#include "llm/llm_int.h"

#include "base/map.h"
#include "base/mem.h"

#include <errno.h>
#include <stdio.h>

enum { REPLIES_MAX = 1 << 20, FILE_BYTES_MAX = 256 << 20, READ_BYTES = 64 << 10 };

struct replay {
    struct map *replies;  // hash of what was said -> 1 + offset of a length and the reply in texts
    struct buf texts;
};

// FNV-1a over 64 bits: the recording is the developer's own file, not a stranger's.
static uint64_t hash_bytes(uint64_t h, const void *bytes, size_t len)
{
    const unsigned char *p = bytes;

    for (size_t i = 0; i < len; i++)
        h = (h ^ p[i]) * 0x100000001b3u;
    return h;
}
static const uint64_t HASH_START = 0xcbf29ce484222325u;

// What one more message makes of the hash. Role and end are hashed too: "ab" is not "a", "b".
static uint64_t hash_end(uint64_t h, enum role role)
{
    unsigned char mark[] = {0xff, (unsigned char)role};
    return hash_bytes(h, mark, sizeof(mark));
}

static struct slice hash_key(const uint64_t *h)
{
    return slice_of((const char *)h, sizeof(*h));
}

static int file_reply(struct replay *r, uint64_t said, struct slice text, struct err *err)
{
    size_t at = r->texts.len;
    uint64_t len = text.len;

    if (map_get(r->replies, hash_key(&said)))
        return E_OK;
    buf_add(&r->texts, &len, sizeof(len));
    buf_add_slice(&r->texts, text);
    int rc = buf_check(&r->texts, "the recording", err);
    if (rc == E_OK)
        rc = map_set(r->replies, hash_key(&said), (void *)(uintptr_t)(at + 1), NULL);
    return rc == E_OK ? E_OK : err_set(err, rc, "the recording has too many replies, or no memory");
}

static int read_line(struct replay *r, struct json_doc *doc, struct slice line, struct err *err)
{
    struct buf scratch = BUF_INIT(CONTENT_BYTES_MAX);
    struct json_iter it = {0};
    struct json none, message;
    uint64_t said = HASH_START;

    int rc = json_parse(doc, line, 0, err);
    if (rc)
        return rc;
    struct json messages = json_get(json_root(doc), "messages");
    if (json_type(messages) != JSON_ARRAY)
        return err_set(err, E_POLICY, "messages: an array is expected");
    while (rc == E_OK && json_next(messages, &it, &none, &message)) {
        bool user = json_is_string(json_get(message, "role"), "user");
        bool assistant = json_is_string(json_get(message, "role"), "assistant");
        struct slice text = json_text(json_get(message, "content"), &scratch);
        if (!user && !assistant)
            continue;  // system and tool messages are no part of what was said
        if (!text.ptr)
            break;     // content in blocks: what follows it cannot be found again
        if (assistant)
            rc = file_reply(r, said, text, err);
        said = hash_end(hash_bytes(said, text.ptr, text.len), user ? ROLE_USER : ROLE_ASSISTANT);
    }
    buf_release(&scratch);
    return rc;
}

static int read_file(const char *path, struct buf *out, struct err *err)
{
    FILE *f = fopen(path, "rbe");

    if (!f)
        return err_set(err, E_POLICY, "cannot open: %s", strerror(errno));
    while (!feof(f) && !ferror(f) && buf_ok(out)) {
        char *to = buf_reserve(out, READ_BYTES);
        if (to)
            buf_grew(out, fread(to, 1, READ_BYTES, f));
    }
    int rc = ferror(f) ? err_set(err, E_POLICY, "cannot read: %s", strerror(errno))
                       : buf_check(out, "the file", err);
    fclose(f);
    return rc;
}

static int read_lines(struct replay *r, struct slice file, struct err *err)
{
    struct json_doc doc = JSON_DOC_INIT;
    const char *at = file.ptr, *end = file.ptr + file.len;
    int rc = E_OK;

    for (unsigned n = 1; rc == E_OK && at < end; n++) {
        const char *eol = memchr(at, '\n', (size_t)(end - at));
        struct slice line = slice_of(at, (size_t)((eol ? eol : end) - at));
        if (line.len)
            rc = read_line(r, &doc, line, err);
        if (rc)
            err_prefix(err, "line %u: ", n);
        at += line.len + 1;
    }
    json_doc_release(&doc);
    return rc;
}

int replay_load(struct replay **out, const char *path, struct err *err)
{
    struct buf file = BUF_INIT(FILE_BYTES_MAX);
    struct replay *r = mem_zalloc(sizeof(*r));

    *out = NULL;
    if (!r)
        return err_set(err, E_NOMEM, "out of memory");
    buf_init(&r->texts, FILE_BYTES_MAX);
    int rc = map_new(&r->replies, REPLIES_MAX);
    if (rc)
        err_set(err, rc, "out of memory");
    rc = rc ? rc : read_file(path, &file, err);
    rc = rc ? rc : read_lines(r, buf_slice(&file), err);
    buf_release(&file);
    if (rc) {
        replay_free(r);
        err_prefix(err, "%s: ", path);
        return rc == E_NOMEM ? rc : E_POLICY;
    }
    *out = r;
    return E_OK;
}

void replay_free(struct replay *r)
{
    if (!r)
        return;
    map_free(r->replies);
    buf_release(&r->texts);
    mem_free(r);
}

bool replay_find(const struct replay *r, const struct llm_request *request, struct slice *reply)
{
    uint64_t said = HASH_START, len;

    for (uint32_t i = 0; i < request->messages_len; i++) {
        const struct llm_message *m = &request->messages[i];
        for (uint32_t k = 0; k < m->len; k++) {
            const struct content *c = &m->steps[k]->content;
            for (uint32_t b = 0; b < c->len; b++) {
                if (c->blocks[b].type == BLOCK_TEXT)
                    said = hash_bytes(said, c->blocks[b].text.ptr, c->blocks[b].text.len);
            }
            said = hash_end(said, m->role);
        }
    }
    size_t at = (size_t)(uintptr_t)map_get(r->replies, hash_key(&said));
    if (!at)
        return false;
    memcpy(&len, r->texts.ptr + at - 1, sizeof(len));
    *reply = slice_of(r->texts.ptr + at - 1 + sizeof(len), (size_t)len);
    return true;
}
