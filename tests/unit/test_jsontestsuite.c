// SPDX-License-Identifier: MIT
// The cases of JSONTestSuite: "y_" is read, "n_" is refused, "i_" may be either; whatever is read
// is the same after being written again.
#include "base/json.h"
#include "support/base64.h"
#include "support/json_check.h"
#include "support/shared.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void check_case(const char *name, struct slice text, unsigned counts[3])
{
    struct json_doc doc = JSON_DOC_INIT;
    struct err err = ERR_INIT;
    int rc = json_parse(&doc, text, 0, &err);

    if (name[0] == 'y' && rc)
        fail_msg("%s: refused: %s", name, err.message);
    if (name[0] == 'n' && rc == E_OK)
        fail_msg("%s: read", name);
    if (rc == E_OK && !json_check_survives(&doc))
        fail_msg("%s: altered", name);
    if (rc)
        assert_int_equal(json_type(json_root(&doc)), JSON_NONE);
    counts[name[0] == 'y' ? 0 : name[0] == 'n' ? 1 : 2]++;
    json_doc_release(&doc);
}

static void test_jsontestsuite__all(void **state)
{
    unsigned counts[3] = {0};
    size_t len;
    char *lines = shared_read("json/jsontestsuite.jsonl.gz", &len);
    struct json_doc line = JSON_DOC_INIT;
    struct buf scratch = BUF_INIT(1 << 20), name = BUF_INIT(1000);

    (void)state;
    if (!lines)
        skip();
    for (char *at = lines, *end; (end = strchr(at, '\n')) != NULL; at = end + 1) {
        assert_int_equal(json_parse(&line, slice_of(at, (size_t)(end - at)), 0, NULL), E_OK);
        struct json root = json_root(&line);
        buf_clear(&name);
        assert_true(json_string(json_get(root, "name"), &name));
        size_t bytes;
        char *text = base64_decode(json_text(json_get(root, "b64"), &scratch), &bytes);
        assert_non_null(text);
        check_case(name.ptr, slice_of(text, bytes), counts);
        free(text);
    }
    print_message("# JSONTestSuite: %u y_ read, %u n_ refused, %u i_ unaltered\n", counts[0],
                  counts[1], counts[2]);
    assert_true(counts[0] && counts[1] && counts[2]);
    buf_release(&name);
    buf_release(&scratch);
    json_doc_release(&line);
    free(lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_jsontestsuite__all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
