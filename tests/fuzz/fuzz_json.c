// SPDX-License-Identifier: MIT
// Fuzzes the JSON reader: whatever it accepts is the same after being written and read again.
// Built for libFuzzer; seeds lie in seeds/json/.
#include "base/json.h"
#include "base/utf8.h"
#include "support/json_check.h"

#include <math.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct json_doc doc = JSON_DOC_INIT;
    struct slice text = {(const char *)bytes, len};
    struct err err = ERR_INIT;

    if (json_parse(&doc, text, 0, &err) == E_OK) {
        BUG_ON(doc.len == 0 || doc.nodes[0].next != doc.len);
        BUG_ON(!utf8_valid(text));
        BUG_ON(!json_check_survives(&doc));
        for (uint32_t i = 0; i < doc.len; i++) {
            struct json v = {&doc, i};
            if (json_i64(v, 0) != 0 && fabs(json_double(v, 0)) < 1)
                BUG("an integer is less than 1 as a double");
        }
    } else {
        BUG_ON(err.code != E_USAGE || err.message[0] == '\0' || doc.len != 0);
    }
    json_doc_release(&doc);
    return 0;
}
