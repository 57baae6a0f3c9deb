// SPDX-License-Identifier: MIT
// parley_redact.c: what redaction makes of a text, which needs no engine. Any thread.
//
// Masks are numbered within the text, by value, as those of a user are within all that they say.
#include "parley_int.h"

#include "redact/redact.h"

#include <sodium.h>

enum { TEXT_MAX = 16 << 20, SPAN_BYTES = 160 + REDACT_OWN_NAME_BYTES, REPORT_BYTES = 1024 };

// The book lives as long as the call: its digests need no key.
static void digest(void *user, struct slice kind, struct slice value, char out[MASK_DIGEST_BYTES])
{
    unsigned char hash[(MASK_DIGEST_BYTES - 1) / 2];
    crypto_generichash_state state;

    (void)user;
    crypto_generichash_init(&state, NULL, 0, sizeof(hash));
    crypto_generichash_update(&state, (const unsigned char *)kind.ptr, kind.len);
    crypto_generichash_update(&state, (const unsigned char *)":", 1);
    crypto_generichash_update(&state, (const unsigned char *)value.ptr, value.len);
    crypto_generichash_final(&state, hash, sizeof(hash));
    sodium_bin2hex(out, MASK_DIGEST_BYTES, hash, sizeof(hash));
}

// Text that is no match, in which what looks like a mask is escaped.
static void add_plain(struct slice text, struct buf *out)
{
    size_t copied = 0;

    for (const char *at; copied < text.len &&
                         (at = memchr(text.ptr + copied, '[', text.len - copied)) != NULL;) {
        struct mask_shape shape;
        size_t behind = (size_t)(at - text.ptr) + 1;
        buf_add(out, text.ptr + copied, behind - copied);
        if (mask_shape_at(text, behind, &shape) == MASK_YES)
            buf_add_char(out, '\\');
        copied = behind;
    }
    buf_add(out, text.ptr + copied, text.len - copied);
}

static int mask(const struct redactor *r, struct slice text, const struct redact_spans *spans,
                struct buf *out, struct err *err)
{
    struct buf value = BUF_INIT(REDACT_HOLD_BYTES);
    struct mask_book *book;
    size_t at = 0;

    int code = mask_book_new(&book, digest, NULL, err);
    if (code != E_OK)
        return code;
    for (size_t i = 0; i < spans->len; i++) {
        struct slice match = slice_of(text.ptr + spans->ptr[i].start,
                                      spans->ptr[i].end - spans->ptr[i].start);
        struct slice kind = slice_str(redactor_kind_word(r, spans->ptr[i].kind));
        add_plain(slice_of(text.ptr + at, spans->ptr[i].start - at), out);
        buf_clear(&value);
        redact_value(spans->ptr[i].kind, match, &value);
        uint32_t number = mask_book_number(book, "", kind, buf_slice(&value), match,
                                           false);
        mask_write(out, kind, number);
        at = spans->ptr[i].end;
    }
    add_plain(slice_of(text.ptr + at, text.len - at), out);
    mask_book_free(book);
    buf_release(&value);
    return buf_check(out, "the masked text", err);
}

static int write_report(const struct redactor *r, struct slice text,
                        const struct redact_spans *spans, char **report, struct err *err)
{
    struct buf json = BUF_INIT(REPORT_BYTES + 6 * text.len + SPAN_BYTES * spans->len);
    struct json_writer w;

    jw_init(&w, &json);
    jw_object(&w);
    jw_kv_slice(&w, "text", text);
    jw_key(&w, "spans");
    jw_array(&w);
    for (size_t i = 0; i < spans->len; i++) {
        jw_object(&w);
        jw_kv_str(&w, "type", redactor_kind_word(r, spans->ptr[i].kind));
        jw_kv_i64(&w, "start", (int64_t)spans->ptr[i].start);
        jw_kv_i64(&w, "end", (int64_t)spans->ptr[i].end);
        jw_kv_i64(&w, "score", spans->ptr[i].score);
        jw_object_end(&w);
    }
    jw_array_end(&w);
    jw_object_end(&w);
    int code = buf_check(&json, "the report", err);
    *report = code ? NULL : buf_take(&json, NULL);
    buf_release(&json);
    return code;
}

// r NULL: nothing is masked, and nothing escaped.
static int redact_with(const struct redactor *r, struct slice text, unsigned flags, char **report,
                       struct err *err)
{
    struct redact_spans spans = REDACT_SPANS_INIT;
    int code = r ? redact_scan(r, text, &spans, err) : E_OK;
    struct buf masked = BUF_INIT(2 * text.len + SPAN_BYTES * spans.len + 1);
    if (code == E_OK && r)
        code = mask(r, text, &spans, &masked, err);
    else if (code == E_OK)
        buf_add_slice(&masked, text);
    if (code == E_OK && flags & PARLEY_REDACT_TEXT) {
        buf_add_char(&masked, '\0');  // so that of an empty text there is something to take
        code = buf_check(&masked, "the masked text", err);
        *report = code ? NULL : buf_take(&masked, NULL);
    } else if (code == E_OK) {
        code = write_report(r, buf_slice(&masked), &spans, report, err);
    }
    buf_release(&masked);
    redact_spans_release(&spans);
    return code;
}

static int redact(const char *region, struct slice text, unsigned flags, char **report,
                  struct err *err)
{
    struct redact_rules rules = {.kinds = redact_kinds_default(), .region = region};
    struct redactor *r;

    int code = redactor_new(&r, &rules, err);
    if (code != E_OK)
        return code == E_POLICY ? (err->code = E_USAGE) : code;
    code = redact_with(r, text, flags, report, err);
    redactor_free(r);
    return code;
}

static int redact_bot(const parley_options *options, const char *bot, struct slice text,
                      unsigned flags, char **report, struct err *err)
{
    struct settings settings;
    struct lua_loader *loader = NULL;
    struct policy *policy = NULL;
    int code = settings_load(&settings, options, err);

    if (code)
        return code;
    const char *region = conf_str(settings.conf, "privacy.region");
    struct lua_env env = {.policies_dir = conf_str(settings.conf, "policies"),
                          .region = region,
                          .clock = clock_system()};
    code = lua_loader_new(&loader, &env, err);
    if (code == E_OK) {
        struct policy_loader ops = lua_loader_ops(loader);
        code = ops.load(ops.self, bot, &policy, err);
    }
    if (code == E_OK && policy->info.privacy.off)
        code = redact_with(NULL, text, flags, report, err);
    else if (code == E_OK && policy->info.redactor)
        code = redact_with(policy->info.redactor, text, flags, report, err);
    else if (code == E_OK)
        code = redact(region, text, flags, report, err);
    policy_unref(policy);
    lua_loader_free(loader);
    settings_release(&settings);
    return code;
}

static int check_text(struct slice text, struct err *err)
{
    if (text.len > TEXT_MAX)
        return err_set(err, E_USAGE, "the text is over %d MiB: redact it in parts",
                       TEXT_MAX >> 20);
    return redact_check(text, err);
}

int parley_redact(const char *region, const char *text, size_t text_bytes, unsigned flags,
                  char **report, parley_error *error)
{
    struct slice in = slice_of(text, text_bytes);
    struct err err = ERR_INIT;
    int code = check_text(in, &err);

    *report = NULL;
    if (code == E_OK)
        code = redact(region, in, flags, report, &err);
    public_error(error, &err);
    return code;
}

int parley_redact_bot(const parley_options *options, const char *bot, const char *text,
                      size_t text_bytes, unsigned flags, char **report, parley_error *error)
{
    struct slice in = slice_of(text, text_bytes);
    struct err err = ERR_INIT;
    int code = check_text(in, &err);

    *report = NULL;
    if (code == E_OK)
        code = redact_bot(options, bot, in, flags, report, &err);
    public_error(error, &err);
    return code;
}

int parley_redact_kinds(char **report, parley_error *error)
{
    struct buf json = BUF_INIT(REPORT_BYTES_MAX);
    struct err err = ERR_INIT;
    struct json_writer w;

    jw_init(&w, &json);
    jw_array(&w);
    for (unsigned i = 0; i < REDACT_KINDS; i++) {
        const struct redact_kind_info *kind = redact_kind_info(i);
        jw_object(&w);
        jw_kv_str(&w, "kind", kind->word);
        jw_kv_str(&w, "help", kind->what);
        jw_object_end(&w);
    }
    jw_array_end(&w);
    return finish_report(&json, E_OK, report, &err, error);
}
