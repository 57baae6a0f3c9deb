// SPDX-License-Identifier: MIT
// Vectors that others made, through the functions that seal and open every text.
//
// The one below is that of draft-irtf-cfrg-xchacha-03, appendix A.3.1. Project Wycheproof's
// (xchacha20_poly1305_test.json, github.com/C2SP/wycheproof, Apache-2.0) are in no package of
// Debian or npm; where XCHACHA_VECTORS names that file, they are run too.
#include "base/id.h"
#include "base/json.h"
#include "vault/vault_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { FILE_BYTES_MAX = 1 << 20, FIELD_BYTES_MAX = 4096 };

// In hex.
struct vector {
    const char *key, *nonce, *bound, *text, *sealed, *tag;
    bool valid;
};

static size_t bytes_of(const char *hex, unsigned char *out)
{
    size_t len = strlen(hex) / 2;

    assert_true(len <= FIELD_BYTES_MAX && hex_decode(slice_str(hex), out, len));
    return len;
}

static void check(const struct vector *v)
{
    static unsigned char key[FIELD_BYTES_MAX], nonce[FIELD_BYTES_MAX], bound[FIELD_BYTES_MAX],
        text[FIELD_BYTES_MAX], expected[2 * FIELD_BYTES_MAX], out[2 * FIELD_BYTES_MAX];
    struct slice bytes;

    if (bytes_of(v->nonce, nonce) != NONCE_BYTES) {  // ours are of one size
        assert_false(v->valid);
        return;
    }
    assert_int_equal(bytes_of(v->key, key), KEY_BYTES);
    struct slice aad = slice_of((const char *)bound, bytes_of(v->bound, bound));
    size_t len = bytes_of(v->text, text), sealed = bytes_of(v->sealed, expected);
    sealed += bytes_of(v->tag, expected + sealed);
    bytes = slice_of((const char *)expected, sealed);
    if (v->valid) {
        seal_text(key, nonce, aad, slice_of((const char *)text, len), out);
        assert_int_equal(sealed, len + TAG_BYTES);
        assert_memory_equal(out, expected, sealed);
        memcpy(out, text, len);  // in place
        seal_text(key, nonce, aad, slice_of((const char *)out, len), out);
        assert_memory_equal(out, expected, sealed);
    }
    assert_int_equal(open_text(key, nonce, aad, bytes, out), v->valid);
    if (v->valid)
        assert_memory_equal(out, text, len);
}

static void test_vectors__draft(void **state)
{
    static const struct vector draft = {
        .key = "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
        .nonce = "404142434445464748494a4b4c4d4e4f5051525354555657",
        .bound = "50515253c0c1c2c3c4c5c6c7",
        .text = "4c616469657320616e642047656e746c656d656e206f662074686520636c617373206f6620273939"
                "3a204966204920636f756c64206f6666657220796f75206f6e6c79206f6e652074697020666f7220"
                "746865206675747572652c2073756e73637265656e20776f756c642062652069742e",
        .sealed = "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6"
                  "440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1"
                  "bb9e3f3fac2bc369488f76b2383565d3fff921f9664c97637da9768812f615c68b13b52e",
        .tag = "c0875924c1c7987947deafd8780acf49",
        .valid = true};
    struct vector wrong = draft;

    (void)state;
    check(&draft);
    wrong.valid = false;
    wrong.tag = "c0875924c1c7987947deafd8780acf48";
    check(&wrong);
    wrong.tag = draft.tag;
    wrong.bound = "50515253c0c1c2c3c4c5c6c6";
    check(&wrong);
}

static char *file_text(const char *path, size_t *len)
{
    FILE *f = fopen(path, "r");
    char *text = malloc(FILE_BYTES_MAX);

    assert_true(f && text);
    *len = fread(text, 1, FILE_BYTES_MAX, f);
    fclose(f);
    return text;
}

static const char *field(struct json test, const char *name, struct buf *out)
{
    buf_clear(out);
    assert_true(json_string(json_get(test, name), out));
    return out->ptr ? out->ptr : "";
}

static void test_vectors__wycheproof(void **state)
{
    static const char *const names[] = {"key", "iv", "aad", "msg", "ct", "tag", "result"};
    const char *path = getenv("XCHACHA_VECTORS");
    struct json_iter groups = {0};
    struct json_doc doc = JSON_DOC_INIT;
    struct json group, test, none;
    unsigned tests = 0, valid = 0;
    struct buf fields[7];
    size_t len;

    (void)state;
    char *text = file_text(path, &len);
    assert_int_equal(json_parse(&doc, slice_of(text, len), 0, NULL), E_OK);
    for (unsigned i = 0; i < 7; i++)
        buf_init(&fields[i], 2 * FIELD_BYTES_MAX + 1);
    while (json_next(json_get(json_root(&doc), "testGroups"), &groups, &none, &group)) {
        struct json_iter it = {0};

        while (json_next(json_get(group, "tests"), &it, &none, &test)) {
            const char *f[7];

            for (unsigned i = 0; i < 7; i++)
                f[i] = field(test, names[i], &fields[i]);
            struct vector v = {f[0], f[1], f[2], f[3], f[4], f[5], strcmp(f[6], "valid") == 0};
            check(&v);
            tests++;
            valid += v.valid;
        }
    }
    printf("# summary: Wycheproof XChaCha20-Poly1305: %u vectors, %u of them valid: all as they "
           "should be\n", tests, valid);
    assert_true(tests > 0);
    for (unsigned i = 0; i < 7; i++)
        buf_release(&fields[i]);
    json_doc_release(&doc);
    free(text);
}

int main(void)
{
    const struct CMUnitTest draft[] = {cmocka_unit_test(test_vectors__draft)};
    const struct CMUnitTest all[] = {
        cmocka_unit_test(test_vectors__draft),
        cmocka_unit_test(test_vectors__wycheproof),
    };
    return getenv("XCHACHA_VECTORS") ? cmocka_run_group_tests(all, NULL, NULL)
                                     : cmocka_run_group_tests(draft, NULL, NULL);
}
