// SPDX-License-Identifier: MIT
// head.c: see head.h. A thread of its own writes the file, for no worker waits for a disk; it lives
// as long as the write. Two that write at once, of one process or of several, take turns by the
// lock of newfile.h, and each looks at what is there once it has it.
#include "vault/head.h"

#include "base/id.h"
#include "base/mem.h"
#include "base/newfile.h"
#include "base/thread.h"
#include "vault/vault_int.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static const char suffix[] = ".audit";

void vault_hash(struct slice bytes, char out[AUDIT_HASH_BYTES])
{
    unsigned char hash[(AUDIT_HASH_BYTES - 1) / 2];

    crypto_generichash(hash, sizeof(hash), (const unsigned char *)bytes.ptr, bytes.len, NULL, 0);
    hex_encode(hash, sizeof(hash), out);
}

// ---- as text

// What is signed: nothing else that this key signs begins so.
static void write_signed(const struct audit_head *head, struct buf *out)
{
    struct json_writer w;

    buf_add_str(out, "parley audit head\n");
    jw_init(&w, out);
    jw_object(&w);
    audit_head_write(head, &w);
    jw_object_end(&w);
}

void vault_head_write(const struct vault *v, const struct audit_head *head, struct buf *out)
{
    struct buf bytes = BUF_INIT(VAULT_HEAD_BYTES);
    unsigned char signature[VAULT_SIGNATURE_BYTES], public_key[VAULT_PUBLIC_KEY_BYTES];
    char text[2 * VAULT_SIGNATURE_BYTES + 1];
    struct json_writer w;

    write_signed(head, &bytes);
    if (!buf_ok(&bytes)) {  // the caller's buffer tells
        out->failed = out->no_memory = true;
        buf_release(&bytes);
        return;
    }
    vault_sign(v, buf_slice(&bytes), signature);
    vault_public_key(v, public_key);
    jw_init(&w, out);
    jw_object(&w);
    audit_head_write(head, &w);
    hex_encode(public_key, sizeof(public_key), text);
    jw_kv_str(&w, "key", text);
    hex_encode(signature, sizeof(signature), text);
    jw_kv_str(&w, "signature", text);
    jw_object_end(&w);
    buf_release(&bytes);
}

static int read_signature(struct slice text, unsigned char out[VAULT_SIGNATURE_BYTES],
                          struct err *err)
{
    struct json_doc doc = JSON_DOC_INIT;
    struct buf scratch = BUF_INIT(VAULT_HEAD_BYTES);
    int code = json_parse(&doc, text, 0, err);

    if (!code) {
        struct slice hex = json_text(json_get(json_root(&doc), "signature"), &scratch);
        if (!hex_decode(hex, out, VAULT_SIGNATURE_BYTES))
            code = err_set(err, E_CORRUPT, "this head of the audit trail has no signature");
    }
    buf_release(&scratch);
    json_doc_release(&doc);
    return code;
}

int vault_head_read(const struct vault *v, struct slice text, struct audit_head *head,
                    struct err *err)
{
    unsigned char signature[VAULT_SIGNATURE_BYTES], public_key[VAULT_PUBLIC_KEY_BYTES];
    struct buf bytes = BUF_INIT(VAULT_HEAD_BYTES);
    int code = audit_head_read(head, text, err);

    if (!code)
        code = read_signature(text, signature, err);
    if (!code) {
        write_signed(head, &bytes);
        code = buf_check(&bytes, "a head of the audit trail", err);
    }
    vault_public_key(v, public_key);
    if (!code && !vault_verify_signature(public_key, buf_slice(&bytes), signature))
        code = err_set(err, E_CORRUPT, "this head of the audit trail was not signed with the key "
                       "of this keyring, or was changed");
    buf_release(&bytes);
    if (code)
        *head = (struct audit_head){0};
    return code;
}

// ---- the file

bool vault_keeps_heads(const struct vault *v)
{
    return v->ring.path != NULL;
}

static char *head_path(const struct vault *v, struct err *err)
{
    size_t len = strlen(v->ring.path);
    char *path = mem_alloc(len + sizeof(suffix));

    if (!path) {
        err_set(err, E_NOMEM, "out of memory for the head of the audit trail");
        return NULL;
    }
    memcpy(path, v->ring.path, len);
    memcpy(path + len, suffix, sizeof(suffix));
    return path;
}

// All of the file; nothing (E_NOT_FOUND) if there is none.
static int read_file(const char *path, struct buf *out, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t n = 1;

    if (fd < 0 && errno == ENOENT)
        return err_set(err, E_NOT_FOUND, "%s is not there", path);
    if (fd < 0)
        return err_set(err, E_STORE, "%s: cannot open: %m", path);
    while (n > 0) {
        char *room = buf_reserve(out, VAULT_HEAD_BYTES);

        n = room ? read(fd, room, VAULT_HEAD_BYTES) : 0;
        if (n > 0)
            buf_grew(out, (size_t)n);
    }
    close(fd);
    return n < 0 ? err_set(err, E_STORE, "%s: cannot read: %m", path)
                 : buf_check(out, "the heads of audit trails", err);
}

static struct slice next_line(struct slice *left)
{
    const char *end = left->len ? memchr(left->ptr, '\n', left->len) : NULL;
    struct slice line = end ? slice_of(left->ptr, (size_t)(end - left->ptr)) : *left;
    size_t taken = line.len + (end != NULL);

    *left = slice_of(left->ptr + taken, left->len - taken);
    return line;
}

// Whether a line is about this store; one that cannot be read may be.
static bool is_about(struct slice line, const char *store, struct audit_head *head)
{
    return audit_head_read(head, line, NULL) != E_OK || strcmp(head->store, store) == 0;
}

static int find(const struct vault *v, const char *path, struct slice text, const char *store,
                struct audit_head *head, struct err *err)
{
    int code = err_set(err, E_NOT_FOUND, "%s has no line for this store", path);

    while (text.len) {
        struct slice line = next_line(&text);

        if (line.len && is_about(line, store, head)) {
            code = vault_head_read(v, line, head, err);
            if (code)
                err_prefix(err, "%s: ", path);
            if (!code)
                return code;
        }
    }
    *head = (struct audit_head){0};
    return code;
}

int vault_head_load(const struct vault *v, const char *store, struct audit_head *head,
                    struct err *err)
{
    struct buf text = BUF_INIT(VAULT_HEADS_MAX * VAULT_HEAD_BYTES);
    char *path = head_path(v, err);

    *head = (struct audit_head){0};
    int code = path ? read_file(path, &text, err) : E_NOMEM;
    if (!code)
        code = find(v, path, buf_slice(&text), store, head, err);
    buf_release(&text);
    mem_free(path);
    return code;
}

// The lines of other stores, and what cannot be read, as they are; then this one.
static int write_lines(const struct vault *v, int fd, struct slice old,
                       struct vault_head_request *r)
{
    struct buf text = BUF_INIT(VAULT_HEADS_MAX * VAULT_HEAD_BYTES);
    struct audit_head about;

    while (old.len) {
        struct slice line = next_line(&old);
        bool ours = audit_head_read(&about, line, NULL) == E_OK &&
                    strcmp(about.store, r->head.store) == 0;

        if (line.len && !ours) {
            buf_add_slice(&text, line);
            buf_add_char(&text, '\n');
        }
    }
    vault_head_write(v, &r->head, &text);
    buf_add_char(&text, '\n');
    int code = buf_check(&text, "the heads of audit trails", &r->err);
    if (!code && write(fd, text.ptr, text.len) != (ssize_t)text.len)
        code = err_set(&r->err, E_STORE, "the head of the audit trail: cannot write: %m");
    buf_release(&text);
    return code;
}

static int write_file(const struct vault *v, const char *path, struct vault_head_request *r)
{
    struct buf old = BUF_INIT(VAULT_HEADS_MAX * VAULT_HEAD_BYTES);
    struct audit_head now;
    struct newfile file;

    int code = newfile_make(&file, path, true, &r->err);
    if (code)
        return code;
    // What another wrote meanwhile may be later. One that cannot be read stays, as evidence.
    code = read_file(path, &old, &r->err);
    int had = code ? code : find(v, path, buf_slice(&old), r->head.store, &now, &r->err);
    if (r->force || had == E_NOT_FOUND || (had == E_OK && now.n < r->head.n)) {
        code = write_lines(v, file.fd, buf_slice(&old), r);
        if (!code)
            code = newfile_publish(&file, &r->err);
    } else {
        code = had;
    }
    newfile_drop(&file);
    buf_release(&old);
    return code;
}

static void tell(struct loop_task *task)
{
    struct vault_head_request *r = CONTAINER_OF(task, struct vault_head_request, task);

    if (r->threaded)
        pthread_join(r->thread, NULL);
    r->done(r);
}

static void *keep(void *arg)
{
    struct vault_head_request *r = arg;
    char *path = head_path(r->vault, &r->err);

    r->code = path ? write_file(r->vault, path, r) : E_NOMEM;
    mem_free(path);
    r->task = (struct loop_task){.fn = tell};
    loop_post(r->loop, &r->task);
    return NULL;
}

void vault_head_keep(const struct vault *v, struct vault_head_request *r)
{
    BUG_ON(!vault_keeps_heads(v));
    r->code = E_OK;
    r->err = (struct err)ERR_INIT;
    r->vault = v;
    r->threaded = v->has_thread && thread_start(&r->thread, "parley-head", keep, r, NULL) == E_OK;
    if (!r->threaded)  // simulated; or there is no thread to be had, and then this one waits
        keep(r);
}
