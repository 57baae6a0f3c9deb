// SPDX-License-Identifier: MIT
// Stored records: whatever a reader accepts, its writer writes so that it reads back the same.
// Bytes that are no record are refused with a reason. Seeds lie in seeds/record/.
#include "model/attempt.h"
#include "model/session.h"
#include "model/summary.h"
#include "tokens/calibration.h"

#include <stdint.h>

enum { WRITTEN_BYTES_MAX = 16 << 20 };

// Reads bytes and, if they were accepted, writes what was read. False when they were refused.
typedef bool form_fn(struct slice bytes, struct buf *out);

static bool accepted(int rc, const struct err *err)
{
    BUG_ON(rc && (rc != E_CORRUPT || err->code != rc || err->message[0] == '\0'));
    return rc == E_OK;
}

static bool content_form(struct slice bytes, struct buf *out)
{
    struct err err = ERR_INIT;
    struct safe_buf written;
    struct content c;

    if (!accepted(content_decode(&c, (struct safe_text){bytes.ptr, bytes.len}, &err), &err))
        return false;
    safe_buf_init(&written, WRITTEN_BYTES_MAX);
    content_encode(&c, &written);
    buf_add_slice(out, safe_slice(safe_buf_text(&written)));
    safe_buf_release(&written);
    content_release(&c);
    return true;
}

static bool turn_form(struct slice bytes, struct buf *out)
{
    struct step step = {0};
    struct turn turn = {.steps = &step, .steps_len = 1};
    struct err err = ERR_INIT;

    if (!accepted(turn_read_meta(&turn, &step, bytes, &err), &err))
        return false;
    turn_write_reply_meta(&turn, &step, out);
    return true;
}

static bool attempt_form(struct slice bytes, struct buf *out)
{
    struct attempt attempt = {0};
    struct err err = ERR_INIT;

    if (!accepted(attempt_read_meta(&attempt, bytes, &err), &err))
        return false;
    attempt_write_meta(&attempt, NULL, out);
    return true;
}

static bool session_form(struct slice bytes, struct buf *out)
{
    struct session_head head = {0};
    struct err err = ERR_INIT;

    bool good = accepted(session_read_meta(&head, bytes, &err), &err);
    if (good)
        session_write_meta(&head, out);
    session_head_release(&head);
    return good;
}

static bool summary_form(struct slice bytes, struct buf *out)
{
    struct summary summary;
    struct err err = ERR_INIT;

    summary_init(&summary);
    bool good = accepted(summary_read_meta(&summary, bytes, &err), &err);
    if (good)
        summary_write_meta(&summary, out);
    summary_release(&summary);
    return good;
}

static bool context_form(struct slice bytes, struct buf *out)
{
    struct session_head head = {0};
    struct err err = ERR_INIT;
    struct safe_buf written;

    // No bytes are an empty context without constraints, which is written as no bytes.
    bool good =
        bytes.len &&
        accepted(session_read_body(&head, (struct safe_text){bytes.ptr, bytes.len}, &err), &err) &&
        (head.context[0] || head.constraints);
    safe_buf_init(&written, WRITTEN_BYTES_MAX);
    if (good)
        session_write_body(&head, &written);
    buf_add_slice(out, safe_slice(safe_buf_text(&written)));
    safe_buf_release(&written);
    session_head_release(&head);
    return good;
}

static bool calibration_form(struct slice bytes, struct buf *out)
{
    struct json_doc doc = JSON_DOC_INIT;
    struct err err = ERR_INIT;
    struct json_writer w;
    struct calibration c;

    bool read = json_parse(&doc, bytes, 0, NULL) == E_OK &&
                accepted(calibration_read_meta(&c, json_root(&doc), &err), &err);
    json_doc_release(&doc);
    if (!read)
        return false;
    BUG_ON(calibration_likely(&c, 1000) > calibration_most(&c, 1000));
    jw_init(&w, out);
    jw_object(&w);
    calibration_write_meta(&c, &w);
    jw_object_end(&w);
    return true;
}

static void check(form_fn *form, struct slice bytes)
{
    struct buf once = BUF_INIT(WRITTEN_BYTES_MAX), twice = BUF_INIT(WRITTEN_BYTES_MAX);

    if (form(bytes, &once)) {
        BUG_ON(!buf_ok(&once));
        BUG_ON(!form(buf_slice(&once), &twice));
        BUG_ON(!slice_eq(buf_slice(&once), buf_slice(&twice)));
    }
    buf_release(&once);
    buf_release(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct slice text = {(const char *)bytes, len};

    check(content_form, text);
    check(turn_form, text);
    check(attempt_form, text);
    check(session_form, text);
    check(summary_form, text);
    check(context_form, text);
    check(calibration_form, text);
    return 0;
}
