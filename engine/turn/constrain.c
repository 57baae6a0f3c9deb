// SPDX-License-Identifier: MIT
// constrain.c: what is to be kept in mind, word for word: the policy's constraints, and the user's.
//
//   <constraints>
//   These hold for every reply of this conversation.
//   From the assistant's policy:
//   > Never mention prices.
//   From the user:
//   > I am allergic to nuts.
//   </constraints>
//
// What was stated before the cut was made stands in front of all that is sent, and stays there, so
// that requests begin alike; what is newer stands in the newest message, in front of the user's
// words, until the cut moves. One that is taken back makes the cut anew. Core memory (core.c) is in
// front of either. Data of the request alone, quoted as what is recalled is (quote.c), and never
// system text.
#include "turn/book.h"
#include "turn/constrain.h"
#include "turn/core.h"

enum { CONSTRAINTS_TEXT_MAX = 64 << 10 };

#define OPENING "<constraints>\nThese hold for every reply of this conversation.\n"
#define CLOSING "</constraints>"

static void add_line(struct safe_buf *out, struct safe_text text)
{
    safe_buf_add(out, SAFE_LIT("> "));
    quote_text(out, text);
}

static uint32_t add_policys(const struct run *run, struct safe_buf *out, struct err *err)
{
    const char *at = run->plan.constraints;
    struct safe_buf text;
    uint32_t added = 0;
    safe_buf_init(&text, CONSTRAINTS_TEXT_MAX);
    for (uint32_t i = 0; i < run->plan.constraints_len; i++, at += strlen(at) + 1) {
        safe_buf_clear(&text);
        if (redact_own(slice_str(at), &text, err))
            break;
        if (added++ == 0)
            safe_buf_add(out, SAFE_LIT("From the assistant's policy:\n"));
        add_line(out, safe_buf_text(&text));
    }
    safe_buf_release(&text);
    return added;
}

// Those that were stated in turns from `from` on and before `upto`.
static uint32_t add_users(const struct run *run, uint32_t from, uint32_t upto, struct safe_buf *out)
{
    const struct constraints *c = run->live->chat->head.constraints;
    uint32_t added = 0;
    for (uint32_t i = 0; c && i < c->len; i++) {
        if (c->list[i].since < from || c->list[i].since >= upto)
            continue;
        if (added++ == 0)
            safe_buf_add(out, SAFE_LIT("From the user:\n"));
        add_line(out, constraints_text(c, i));
    }
    return added;
}

// Core memory, if it stands here, and `len` constraints.
static int compose(const struct run *run, struct step *out, struct safe_text core,
                   struct safe_buf *lines, uint32_t len, struct err *err)
{
    struct safe_buf text;
    step_release(out);
    *out = (struct step){.role = ROLE_USER};
    if (core.len == 0 && len == 0)
        return E_OK;
    safe_buf_init(&text, CONSTRAINTS_TEXT_MAX);
    safe_buf_add(&text, core);
    if (core.len && len)
        safe_buf_add(&text, SAFE_LIT("\n"));
    if (len) {
        safe_buf_add(&text, SAFE_LIT(OPENING));
        safe_buf_add(&text, safe_buf_text(lines));
        safe_buf_add(&text, SAFE_LIT(CLOSING));
    }
    int code = safe_buf_check(lines, "the constraints", err);
    if (!code)
        code = safe_buf_check(&text, "the constraints", err);
    if (!code)
        code = content_make_text(&out->content, safe_buf_text(&text), err);
    safe_buf_release(&text);
    out->tokens = code ? 0 : tokens_of_content(turn_encoding(run), &out->content);
    return code;
}

static uint64_t hash_of(struct safe_text text)
{
    // FNV-1a (Fowler, Noll, Vo; 64 bits): told apart, not kept secret.
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < text.len; i++)
        hash = (hash ^ (unsigned char)text.ptr[i]) * UINT64_C(0x100000001b3);
    return text.len ? hash : 0;
}

int constraints_compose(struct run *run, uint32_t cut_turn, struct err *err)
{
    struct context *c = &run->context;
    struct safe_buf text, core;
    safe_buf_init(&text, CONSTRAINTS_TEXT_MAX);
    safe_buf_init(&core, 4 * CORE_BYTES_MAX);
    uint32_t policys = add_policys(run, &text, err);
    uint32_t users = add_users(run, 0, cut_turn, &text);
    int code = policys == run->plan.constraints_len ? E_OK : err->code;
    if (!code)
        code = core_quote(run, &core, err);
    struct safe_text quoted = safe_buf_text(&core);
    bool front = core_is_in_front(run, cut_turn);
    if (!code)
        code = compose(run, &c->constraints_front, front ? quoted : SAFE_NONE, &text,
                       policys + users, err);
    safe_buf_clear(&text);
    uint32_t newer = add_users(run, cut_turn, UINT32_MAX, &text);
    if (!code)
        code = compose(run, &c->constraints_fresh, front ? SAFE_NONE : quoted, &text, newer, err);
    c->constraints = code ? 0 : policys + users + newer;
    c->core_tokens = code ? 0 : tokens_count(turn_encoding(run), safe_slice(quoted));
    c->core_hash = code || !front ? 0 : hash_of(quoted);
    safe_buf_release(&text);
    safe_buf_release(&core);
    return code;
}

void constraints_release(struct context *c)
{
    step_release(&c->constraints_front);
    step_release(&c->constraints_fresh);
    c->constraints_front = c->constraints_fresh = (struct step){0};
    c->constraints = 0;
    c->core_tokens = c->core_hash = 0;
}
