// SPDX-License-Identifier: MIT
// journal_forget.c: the lines that tell what was forgotten, out of a book's journal and of core
// memory. For who applies a book_change.
#include "turn/journal_int.h"

static int strip(struct safe_text text, struct safe_text value, struct safe_buf *out,
                 uint32_t *lines, struct err *err)
{
    uint32_t told;
    safe_buf_init(out, CORE_BYTES_MAX);
    int code = journal_strip(text, value, out, &told, err);
    *lines += told;
    return code;
}

static int forget_core(struct book *b, struct safe_text value, uint32_t *lines, struct err *err)
{
    struct safe_buf persona, human;
    uint32_t of_persona = 0, of_human = 0;
    int code = strip(safe_buf_text(&b->core.persona), value, &persona, &of_persona, err);
    int also = strip(safe_buf_text(&b->core.human), value, &human, &of_human, err);
    code = code ? code : also;
    if (!code && of_persona)
        code = book_set_persona(b, safe_buf_text(&persona), err);
    if (!code && of_human)
        code = book_set_human(b, safe_buf_text(&human), err);
    *lines += of_persona + of_human;
    safe_buf_release(&persona);
    safe_buf_release(&human);
    return code;
}

int journal_forget_value(struct book *b, struct safe_text value, uint32_t *lines, struct err *err)
{
    *lines = 0;
    int code = journal_forget(&b->journal, value, lines, err);
    return code ? code : forget_core(b, value, lines, err);
}
