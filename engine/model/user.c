// SPDX-License-Identifier: MIT
// user.c: the one record that holds a user's id as given; sealed like every body, so that a
// partition can say whose it is, and nothing else can. Any thread.
#include "model/meta_int.h"
#include "model/safe_text_int.h"
#include "model/session.h"

void user_write_body(struct slice user, struct safe_buf *out)
{
    struct json_writer w;

    jw_init(&w, safe_buf_bytes(out));
    jw_object(&w);
    jw_kv_slice(&w, "user", user);
    jw_object_end(&w);
}

int user_read_body(char out[USER_BYTES], struct safe_text body, struct err *err)
{
    struct meta m;

    meta_open(&m, safe_slice(body), "user", err);
    meta_chars(&m, "user", true, out, USER_BYTES);
    return meta_close(&m);
}
