// SPDX-License-Identifier: MIT
// memory_scope.c: the contexts in which facts hold, by name. A slot has but a digest of its own;
// the session in which the user said so has the name, as long as its head is there. Only the heads
// of such sessions are read, and none where all that is told holds everywhere.
#include "turn/memory_int.h"

#include <stdlib.h>

static int by_session(const void *a, const void *b)
{
    const struct named_context *x = a, *y = b;
    return strcmp(x->session, y->session);
}

// Of the session in which the fact was said; NULL: none that is looked for.
static struct named_context *find(const struct remembering *m, const char *session)
{
    struct named_context key;
    snprintf(key.session, sizeof(key.session), "%s", session);
    return m->contexts.len ? bsearch(&key, m->contexts.ptr, m->contexts.len,
                                     m->contexts.item_bytes, by_session)
                           : NULL;
}

const char *memory_context(const struct remembering *m, const struct fact_slot *slot,
                           const struct fact *f)
{
    const struct fact_evidence *e = slot->scope[0] ? fact_source(f) : NULL;
    const struct named_context *n = e ? find(m, e->session) : NULL;
    return n && n->context[0] ? n->context : NULL;
}

static void listed(struct session_list *list)
{
    struct run *run = list->user;
    struct remembering *m = run->extra;
    run->op_busy = false;
    // Without the heads the digest is told.
    for (uint32_t i = 0; i < list->heads_len && !list->code; i++) {
        const struct session_head *h = &list->heads[i];
        struct named_context *n = h->quarantined ? NULL : find(m, h->id);
        if (n)
            snprintf(n->context, sizeof(n->context), "%s", h->context);
    }
    session_list_release(list);
    m->named(run);
}

static bool is_other(void *user, struct slice id, uint64_t version)
{
    const struct run *run = user;
    char session[ID_TEXT_BYTES];
    (void)version;
    snprintf(session, sizeof(session), "%.*s", SLICE_FMT(id));
    return !find(run->extra, session);
}

// The sessions of what is told, each once.
static int collect(struct remembering *m, struct err *err)
{
    for (size_t i = 0; i < m->facts.len; i++) {
        const struct fact_at *at = VEC_AT(&m->facts, const struct fact_at, i);
        const struct fact_evidence *e = at->slot->scope[0] ? fact_source(at->fact) : NULL;
        if (!e)
            continue;
        struct named_context *n = vec_push(&m->contexts);
        if (!n)
            return err_set(err, E_NOMEM, "out of memory for what is remembered");
        *n = (struct named_context){.context = ""};
        memcpy(n->session, e->session, sizeof(e->session));
    }
    if (!m->contexts.len)
        return E_OK;
    qsort(m->contexts.ptr, m->contexts.len, m->contexts.item_bytes, by_session);
    size_t kept = 1;
    for (size_t i = 1; i < m->contexts.len; i++) {
        struct named_context *n = vec_at(&m->contexts, i);
        if (strcmp(n->session, VEC_AT(&m->contexts, struct named_context, kept - 1)->session) != 0)
            *VEC_AT(&m->contexts, struct named_context, kept++) = *n;
    }
    m->contexts.len = kept;
    return E_OK;
}

void memory_name_contexts(struct run *run, void (*then)(struct run *run))
{
    struct remembering *m = run->extra;
    struct err err = ERR_INIT;
    int code = collect(m, &err);
    if (code) {
        emit_error(run, code, &err);
        return;
    }
    if (!m->contexts.len) {
        then(run);
        return;
    }
    m->named = then;
    m->list = (struct session_list){.env = &run->w->session_env,
                                    .key = run->user_key,
                                    .known = is_other,
                                    .done = listed,
                                    .user = run};
    memcpy(m->list.partition, run->partition, sizeof(m->list.partition));
    run->op_busy = true;
    session_list(&m->list);
}
