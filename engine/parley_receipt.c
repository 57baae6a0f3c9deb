// SPDX-License-Identifier: MIT
// parley_receipt.c: receipts of erasures, checked without an engine.
#include "parley_int.h"

#include "base/id.h"
#include "ledger/receipt.h"

#include <unistd.h>

enum { KEYRING_PATH_BYTES_MAX = 8192 };

// Whether the configured keyring is there, and then its public key. One that is not is not made.
static int house_key(const parley_options *options, unsigned char out[VAULT_PUBLIC_KEY_BYTES],
                     bool *known, struct err *err)
{
    struct buf path = BUF_INIT(KEYRING_PATH_BYTES_MAX);
    struct log log = options_log(options);
    struct settings settings;
    struct vault *vault = NULL;
    *known = false;
    int code = settings_load(&settings, options, err);
    if (code)
        return code;
    settings_keyring(&settings, &path);
    code = buf_check(&path, "the keyring's path", err);
    if (!code && path.len && access(path.ptr, F_OK) == 0) {
        struct vault_options how = {
            .path = path.ptr, .rand = rand_system(), .log = &log, .existing = true};
        settings_operator(&settings, &how);
        settings_operator(&settings, &how);
        code = vault_open(&vault, &how, err);
        *known = code == E_OK;
        if (*known)
            vault_public_key(vault, out);
        vault_free(vault);
    }
    settings_release(&settings);
    buf_release(&path);
    return code;
}

int parley_receipt_check(const parley_options *options, const char *json, size_t json_bytes,
                         char **report, parley_error *error)
{
    unsigned char signer[VAULT_PUBLIC_KEY_BYTES], ours[VAULT_PUBLIC_KEY_BYTES];
    char hex[2 * VAULT_PUBLIC_KEY_BYTES + 1] = "";
    struct buf text = BUF_INIT(REPORT_BYTES_MAX);
    struct err err = ERR_INIT;
    struct json_writer w;
    bool known = false;
    int code = receipt_check(slice_of(json, json_bytes), signer, &err);
    if (!code)
        code = house_key(options, ours, &known, &err);
    if (!code) {
        hex_encode(signer, sizeof(signer), hex);
        jw_init(&w, &text);
        jw_object(&w);
        jw_kv_str(&w, "public_key", hex);
        jw_key(&w, "ours");
        if (known)
            jw_bool(&w, memcmp(signer, ours, sizeof(ours)) == 0);
        else
            jw_null(&w);
        jw_object_end(&w);
    }
    return finish_report(&text, code, report, &err, error);
}
