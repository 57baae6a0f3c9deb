// SPDX-License-Identifier: MIT
// trust.c: see trust.h.
#include "jobs/trust.h"

#include "base/json.h"

#include <stdio.h>

// a - b, or the end of the range.
static int64_t minus(int64_t a, int64_t b)
{
    int64_t d;

    if (!__builtin_sub_overflow(a, b, &d))
        return d;
    return a < b ? INT64_MIN : INT64_MAX;
}

int64_t trust_advance(struct trust *t, int64_t wall_ms, int64_t boot_ms, const char *boot_id)
{
    bool first = t->trusted_ms == 0;
    bool same = !first && strcmp(t->boot_id, boot_id) == 0 && boot_ms >= t->boot_ms;
    int64_t leap = minus(minus(wall_ms, t->ahead_ms), t->trusted_ms);

    if (first)
        trust_clock(t, wall_ms);
    else if (same)
        t->trusted_ms = minus(t->trusted_ms, t->boot_ms - boot_ms);
    else if (leap > 0 && leap <= TRUST_LEAP_MS)
        t->trusted_ms += leap;
    t->boot_ms = boot_ms;
    snprintf(t->boot_id, sizeof(t->boot_id), "%s", boot_id);
    int64_t ahead = minus(wall_ms, t->trusted_ms);
    t->ahead_ms = ahead > 0 ? ahead : 0;
    return t->ahead_ms;
}

void trust_clock(struct trust *t, int64_t wall_ms)
{
    t->trusted_ms = wall_ms > 0 ? wall_ms : 1;
    t->ahead_ms = 0;
}

static void write_sum(const struct vault *v, struct json_writer *w, struct buf *out)
{
    struct slice parts[] = {SLICE_LIT(HOUSE_PARTITION), SLICE_LIT(HOUSE_CLOCK_KEY),
                            buf_slice(out)};
    char sum[VAULT_DIGEST_BYTES];

    vault_digest(v, "house", parts, 3, sum);
    jw_kv_str(w, "sum", sum);
}

void trust_write(const struct vault *v, const struct trust *t, struct buf *out)
{
    struct json_writer w;

    jw_init(&w, out);
    jw_object(&w);
    jw_kv_i64(&w, "trusted", t->trusted_ms);
    jw_kv_i64(&w, "ahead", t->ahead_ms);
    jw_kv_i64(&w, "boot", t->boot_ms);
    jw_kv_str(&w, "boot_id", t->boot_id);
    write_sum(v, &w, out);
    jw_object_end(&w);
}

int trust_read(const struct vault *v, const struct record *r, struct trust *t, struct err *err)
{
    struct json_doc doc = JSON_DOC_INIT;
    struct buf written = BUF_INIT(RECORD_META_BYTES_MAX), boot_id = BUF_INIT(CLOCK_BOOT_ID_BYTES);

    *t = (struct trust){0};
    int code = json_parse(&doc, r->meta, 0, err);
    if (!code) {
        struct json root = json_root(&doc);

        t->trusted_ms = json_i64(json_get(root, "trusted"), 0);
        t->ahead_ms = json_i64(json_get(root, "ahead"), 0);
        t->boot_ms = json_i64(json_get(root, "boot"), 0);
        json_string(json_get(root, "boot_id"), &boot_id);
        if (boot_id.len < sizeof(t->boot_id) && boot_id.len)
            memcpy(t->boot_id, boot_id.ptr, boot_id.len);
        trust_write(v, t, &written);
        code = buf_check(&written, "a record's meta", err);
    }
    bool same = !code && t->trusted_ms > 0 && slice_eq(buf_slice(&written), r->meta);
    json_doc_release(&doc);
    buf_release(&written);
    buf_release(&boot_id);
    if (same)
        return E_OK;
    *t = (struct trust){0};
    return code == E_NOMEM ? code : err_set(err, E_CORRUPT, "it is not what was written there");
}
