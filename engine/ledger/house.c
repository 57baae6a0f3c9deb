// SPDX-License-Identifier: MIT
// house.c: see house.h. A meta is what was written if writing what was read gives the same bytes.
#include "ledger/house.h"
#include "ledger/receipt.h"

#include "ledger/trail.h"
#include "model/spend.h"

void house_write_calibration(const struct vault *v, struct slice key, const struct calibration *c,
                             struct buf *out)
{
    struct json_writer w;
    char sum[VAULT_DIGEST_BYTES];

    jw_init(&w, out);
    jw_object(&w);
    calibration_write_meta(c, &w);
    struct slice parts[] = {SLICE_LIT(HOUSE_PARTITION), key, buf_slice(out)};
    vault_digest(v, "house", parts, 3, sum);
    jw_kv_str(&w, "sum", sum);
    jw_object_end(&w);
}

int house_read_calibration(const struct vault *v, const struct record *r, struct calibration *c,
                           struct err *err)
{
    struct json_doc doc = JSON_DOC_INIT;
    struct buf written = BUF_INIT(RECORD_META_BYTES_MAX);

    calibration_init(c);
    int code = json_parse(&doc, r->meta, 0, err);
    if (!code)
        code = calibration_read_meta(c, json_root(&doc), err);
    json_doc_release(&doc);
    if (!code) {
        house_write_calibration(v, r->key, c, &written);
        code = buf_check(&written, "a record's meta", err);
    }
    bool same = !code && slice_is(r->partition, HOUSE_PARTITION) &&
                slice_eq(buf_slice(&written), r->meta);
    buf_release(&written);
    if (same)
        return E_OK;
    calibration_init(c);
    return code == E_NOMEM ? code : err_set(err, E_CORRUPT, "it is not what was written there");
}

static bool is_counter(struct slice key)
{
    char day[SPEND_DAY_BYTES];
    enum spend_unit unit;
    struct slice bot;

    return spend_read_key(key, day, &unit, &bot);
}

int house_check(const struct vault *v, const struct record *r, struct err *err)
{
    bool known = false;

    // None of them has one, and no sum is over it.
    if (r->body.bytes.len)
        return err_set(err, E_CORRUPT, "it has a body, and nothing of the house has");
    if (slice_is(r->partition, AUDIT_PARTITION))
        return trail_check_record(v, r, err);
    if (slice_is(r->partition, HOUSE_PARTITION) && slice_is(r->key, "erasures"))
        return erasures_read_meta(v, r, &(uint32_t){0}, err);
    if (slice_is(r->partition, HOUSE_PARTITION) && slice_starts(r->key, SLICE_LIT("erased/")))
        return erasure_read_meta(v, r, &(struct erasure_record){0}, err);
    if (slice_is(r->partition, SPEND_PARTITION))
        known = is_counter(r->key);
    else if (slice_is(r->partition, HOUSE_PARTITION))
        known = slice_is(r->key, "keyring") || slice_is(r->key, HOUSE_CLOCK_KEY) ||
                slice_starts(r->key, SLICE_LIT("tokens/"));
    return known ? E_OK : err_set(err, E_CORRUPT, "nothing of ours");
}
