// SPDX-License-Identifier: MIT
// constraints.c: the list of what a user asked to be kept in mind, and its stored form. One thread
// at a time.
//
// Invariant: numbers ascend, texts stand one after the other in the list's order.
#include "model/constraints.h"

#include "base/json.h"
#include "base/mem.h"
#include "model/safe_text_int.h"
#include <string.h>

int constraints_new(struct constraints **out, struct err *err)
{
    *out = mem_zalloc(sizeof(**out));
    if (!*out)
        return err_set(err, E_NOMEM, "out of memory for a session's constraints");
    safe_buf_init(&(*out)->text, CONSTRAINTS_BYTES_MAX);
    return E_OK;
}

void constraints_free(struct constraints *c)
{
    if (!c)
        return;
    safe_buf_release(&c->text);
    mem_free(c);
}

int constraints_copy(struct constraints **out, const struct constraints *c, struct err *err)
{
    *out = NULL;
    if (!c)
        return E_OK;
    int code = constraints_new(out, err);
    if (code)
        return code;
    memcpy((*out)->list, c->list, sizeof(c->list));
    (*out)->len = c->len;
    safe_buf_add(&(*out)->text, safe_buf_text(&c->text));
    code = safe_buf_check(&(*out)->text, "the session's constraints", err);
    if (code) {
        constraints_free(*out);
        *out = NULL;
    }
    return code;
}

struct safe_text constraints_text(const struct constraints *c, uint32_t i)
{
    BUG_ON(i >= c->len);
    return safe_text_part(safe_buf_text(&c->text), c->list[i].at, c->list[i].len);
}

int constraints_add(struct constraints *c, struct safe_text text, uint32_t since, struct err *err)
{
    size_t all = safe_buf_text(&c->text).len;

    if (text.len == 0 || text.len > CONSTRAINT_BYTES_MAX)
        return err_set(err, E_USAGE, "a constraint is a text of 1 to %d bytes, this one has %zu",
                       CONSTRAINT_BYTES_MAX, text.len);
    if (c->len == CONSTRAINTS_MAX || all + text.len > CONSTRAINTS_BYTES_MAX)
        return err_set(err, E_REFUSED, "this session has %u constraints of %zu bytes; no more than "
                       "%d, and %d bytes, are kept: remove one first", c->len, all,
                       CONSTRAINTS_MAX, CONSTRAINTS_BYTES_MAX);
    safe_buf_add(&c->text, text);
    int code = safe_buf_check(&c->text, "the session's constraints", err);
    if (code)
        return code;
    uint32_t n = c->len ? c->list[c->len - 1].n + 1 : 1;
    c->list[c->len++] = (struct constraint){n, since, all, text.len};
    return E_OK;
}

int constraints_remove(struct constraints *c, uint32_t n, struct err *err)
{
    struct constraints *kept;
    bool found = false;
    int code = constraints_new(&kept, err);

    for (uint32_t i = 0; i < c->len && !code; i++) {
        if (c->list[i].n == n) {
            found = true;
            continue;
        }
        code = constraints_add(kept, constraints_text(c, i), c->list[i].since, err);
        if (!code)
            kept->list[kept->len - 1].n = c->list[i].n;
    }
    if (!code && !found)
        code = err_set(err, E_NOT_FOUND, "there is no constraint %u in this session", n);
    if (!code) {
        struct constraints old = *c;

        *c = *kept;
        *kept = old;
    }
    constraints_free(kept);
    return code;
}

uint64_t constraints_hash(const struct constraints *c, uint32_t turn)
{
    uint64_t hash = 0;

    // FNV-1a's step over whole numbers (Fowler, Noll, Vo; 64 bits): told apart, not kept secret.
    for (uint32_t i = 0; c && i < c->len; i++) {
        if (c->list[i].since < turn)
            hash = (hash ^ ((uint64_t)c->list[i].since << 32 | c->list[i].n)) *
                   UINT64_C(0x100000001b3);
    }
    return hash;
}

void constraints_write(const struct constraints *c, struct json_writer *w)
{
    jw_array(w);
    for (uint32_t i = 0; i < c->len; i++) {
        jw_array(w);
        jw_i64(w, c->list[i].n);
        jw_i64(w, c->list[i].since);
        jw_slice(w, safe_slice(constraints_text(c, i)));
        jw_array_end(w);
    }
    jw_array_end(w);
}

// One of the stored list. E_CORRUPT has no words: the caller names the member.
static int read_one(struct constraints *c, struct json item, struct err *err)
{
    struct buf scratch = BUF_INIT(CONSTRAINT_BYTES_MAX);
    int64_t n = json_i64(json_at(item, 0), 0), since = json_i64(json_at(item, 1), -1);
    uint32_t before = c->len ? c->list[c->len - 1].n : 0;
    bool text = json_type(json_at(item, 2)) == JSON_STRING;
    int code = E_CORRUPT;

    if (json_count(item) == 3 && n > before && n <= UINT32_MAX && since >= 0 &&
        since <= UINT32_MAX && text) {
        struct slice s = json_text(json_at(item, 2), &scratch);

        code = buf_check(&scratch, "a constraint", err);
        if (!code)
            code = constraints_add(c, safe_text_vouch(s), (uint32_t)since, err);
        if (!code)
            c->list[c->len - 1].n = (uint32_t)n;
    }
    buf_release(&scratch);
    return code == E_OK || code == E_NOMEM ? code : E_CORRUPT;
}

int constraints_read(struct constraints **out, struct json array, struct err *err)
{
    struct json_iter it = {0};
    struct json key, item;
    int code = constraints_new(out, err);

    if (!code && (json_type(array) != JSON_ARRAY || json_count(array) == 0))
        code = E_CORRUPT;
    while (!code && json_next(array, &it, &key, &item))
        code = read_one(*out, item, err);
    if (!code)
        return E_OK;
    constraints_free(*out);
    *out = NULL;
    return code;
}
