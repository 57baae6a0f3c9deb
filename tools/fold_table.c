// SPDX-License-Identifier: MIT
// fold_table.c: writes engine/redact/fold_table.h: which characters redact/fold.c changes, by what
// utf8proc knows of them. For whoever moves to another Unicode; tests/unit/test_redact_fold.c holds
// the table to what it says.
//
//   cc -Iengine -o fold_table tools/fold_table.c build/libparley_inner.a -lutf8proc -lsodium
//   ./fold_table >engine/redact/fold_table.h
#include "redact/fold.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { CODES = 0x20000, PAGES = CODES / 64 };

int main(void)
{
    static uint64_t masks[PAGES];
    static uint8_t page_of[PAGES];
    size_t n = 1;

    masks[0] = 0;
    for (size_t page = 0; page < PAGES; page++) {
        uint64_t mask = 0;
        for (int i = 0; i < 64; i++) {
            char out[FOLD_CHAR_BYTES];
            int cp = (int)(page * 64) + i;
            if ((cp < 0xD800 || cp > 0xDFFF) && fold_char(out, cp) >= 0)
                mask |= UINT64_C(1) << i;
        }
        size_t found = 0;
        while (found < n && masks[found] != mask)
            found++;
        if (found == n)
            masks[n++] = mask;
        page_of[page] = (uint8_t)found;
    }
    puts("// SPDX-License-Identifier: MIT\n"
         "// fold_table.h: the characters that redact/fold.c changes, 64 a page. Written by\n"
         "// tools/fold_table.c from utf8proc (Unicode data: Unicode licence v3).\n"
         "#ifndef REDACT_FOLD_TABLE_H\n#define REDACT_FOLD_TABLE_H\n\n#include <stdint.h>\n");
    printf("enum { FOLD_PAGED_MAX = 0x%X };\n\n", CODES);
    printf("static const uint64_t fold_pages[%zu] = {", n);
    for (size_t i = 0; i < n; i++)
        printf("%s0x%016llX,", i % 4 ? " " : "\n    ", (unsigned long long)masks[i]);
    printf("\n};\n\nstatic const uint8_t fold_page_of[%d] = {", PAGES);
    for (size_t i = 0; i < PAGES; i++)
        printf("%s%d,", i % 24 ? "" : "\n    ", page_of[i]);
    puts("\n};\n\n#endif");
    return 0;
}
