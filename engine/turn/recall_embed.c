// SPDX-License-Identifier: MIT
// recall_embed.c: the embeddings of recall: a query's, on its way, for a moment; and those of the
// messages that are indexed, in upkeep, batch by batch:
//
//   which messages lack theirs ─▶ their texts ─▶ one call (embedding.h) ─▶ their segment anew
//
// The index is free while the call is under way; what comes back finds its messages wherever they
// were merged to. Messages that came after their index was last written wait for the next batch.
// A text that an endpoint refuses though it takes others is sought in quarters of the batch, cut
// shorter, and at last left without.
#include "turn/recall_int.h"

enum {
    BATCH_MAX = 64,
    BATCH_FIRST = 8,           // so that a process of one command gets past a text that is refused
    CUT_MOST = 4000,           // bytes of a message: what it is about is told by then
    QUERY_BYTES_MAX = 4000,
    CUT_LEAST = 500,           // bytes: a text that is refused even so short is left without
    FAILURES_PER_BATCH = 3,    // then it is halved: it may be too long for the endpoint's time
    CLOSING_BATCHES_MAX = 8,   // begun while the engine closes, for EMBEDDING_CLOSING_MS
    READ_TURNS_MAX = 256,      // read at once
};

// ---- of a query

static void query_embedded(struct embedding *e)
{
    struct run *run = e->user;
    if (e->vectors)
        run->query_vector = mem_calloc(e->dims, sizeof(float));
    if (run->query_vector) {
        memcpy(run->query_vector, e->vectors, e->dims * sizeof(float));
        run->query_dims = e->dims;
    }
    // Others may have had the index meanwhile.
    shelf_open(run, run->query_then);
}

// Only what can be compared is worth asking for: an index that has embeddings.
static void peeked(struct run *run)
{
    struct err err = ERR_INIT;
    const struct recall *index = shelf_recall(run, &err);
    struct safe_text input = llm_embed_input(run->query_text, QUERY_BYTES_MAX);
    struct embedding_wish wish = {.partition = run->partition, .bot = run->job->bot,
                                  .key = run->user_key, .texts = &input, .len = 1,
                                  .wait_ms = run->query_wait_ms, .done = query_embedded,
                                  .user = run};
    if (!index || recall_docs(index) == 0 || recall_dims(index) == 0 || input.len == 0 ||
        !embedding_start(run->w, &wish))
        run->query_then(run);
}

void query_open(struct run *run, struct safe_text text, int64_t wait_ms,
                void (*then)(struct run *run))
{
    query_release(run);
    run->query_then = then;
    run->query_text = text;
    run->query_wait_ms = wait_ms;
    shelf_open(run, embedder_ready(run->w) ? peeked : then);
}

void query_release(struct run *run)
{
    mem_free(run->query_vector);
    run->query_vector = NULL;
    run->query_dims = 0;
}

const float *query_vector(const struct run *run, const struct recall *index)
{
    return run->query_dims && run->query_dims == recall_dims(index) ? run->query_vector : NULL;
}

// ---- of what is indexed

struct lacking {
    enum recall_kind kind;
    char session[ID_TEXT_BYTES];
    uint32_t turn;
    uint8_t step;
    size_t at, len;  // of its text, in batch->text; len 0: it has none
};

// All texts of a batch are within what one call takes.
_Static_assert(BATCH_MAX * CUT_MOST <= EMBED_BYTES_MAX, "a batch is one call");

struct batch {
    struct lacking list[BATCH_MAX];
    uint32_t len, read;
    uint32_t first, last;          // turns being read, of list[read]'s session
    struct safe_buf text;
    struct embedding *embedding;   // under way; NULL
    bool arrived;
    enum embedding_end end;
    float *vectors;                // owned; of those that have a text, in order
    uint32_t dims;
    uint32_t most;                 // messages to take; 0: not chosen yet
    size_t cut;                    // bytes of each
    unsigned failures;             // in a row
    bool waits;                    // a call failed: no other before the next turn
    unsigned closing;              // batches begun since the engine began to close
};

void batch_free(struct batch *b)
{
    if (!b)
        return;
    if (b->embedding)
        embedding_forget(b->embedding);
    safe_buf_release(&b->text);
    mem_free(b->vectors);
    mem_free(b);
}

bool batch_busy(const struct batch *b)
{
    return b && (b->embedding || b->arrived);
}

bool batch_arrived(const struct batch *b)
{
    return b && b->arrived;
}

// Forgets what it was about.
static void clear(struct batch *b)
{
    mem_free(b->vectors);
    b->vectors = NULL;
    b->arrived = false;
    b->len = b->read = 0;
    safe_buf_clear(&b->text);
}

void batch_drop(struct batch *b)
{
    if (b && b->arrived)
        clear(b);
}

// How many to take and how much of each, after how it went.
static void adapt(struct batch *b, enum embedding_end end)
{
    if (end == EMBEDDING_OK) {
        b->failures = 0;
        b->most = b->most * 4 < BATCH_MAX ? b->most * 4 : BATCH_MAX;
        b->cut = CUT_MOST;
    } else if (end == EMBEDDING_REFUSED) {
        if (b->len == 1)
            b->cut /= 4;
        b->most = b->len > 4 ? b->len / 4 : 1;
    } else {
        b->waits = true;
        if (++b->failures % FAILURES_PER_BATCH == 0 && b->most > 1)
            b->most /= 2;
    }
}

void batch_allow(struct batch *b)
{
    if (b)
        b->waits = false;
}

static void embedded(struct embedding *e)
{
    struct shelf *s = e->user;
    struct batch *b = s->batch;
    size_t bytes = (size_t)e->call.inputs_len * e->dims * sizeof(float);
    b->embedding = NULL;
    b->end = e->end;
    b->dims = e->dims;
    b->vectors = e->vectors ? mem_alloc(bytes) : NULL;
    if (b->vectors)
        memcpy(b->vectors, e->vectors, bytes);
    else if (b->end == EMBEDDING_OK)
        b->end = EMBEDDING_FAILED;
    b->arrived = true;
    shelf_wake(s);
}

int batch_attach(struct shelf *s, struct recall_change *change)
{
    struct batch *b = s->batch;
    struct recall_space space = embedder_space(s->w);
    struct recall_embedded list[BATCH_MAX];
    // Refused, alone and short: it is left without.
    bool without = b->end == EMBEDDING_REFUSED && b->len == 1 && b->cut / 4 < CUT_LEAST;
    uint32_t k = 0;
    int any = 0;
    for (uint32_t i = 0; i < b->len; i++) {
        const struct lacking *l = &b->list[i];
        list[i].message = (struct recall_message){l->kind, slice_str(l->session), l->turn, l->step};
        list[i].vector = NULL;
        if (l->len && b->end == EMBEDDING_OK)
            list[i].vector = b->vectors + (size_t)k++ * b->dims;
    }
    // Another call may have learnt others since. A model that changes them is followed, but once a
    // turn: all that is there is to be made anew.
    space.dims = b->dims;
    uint32_t before = recall_dims(s->recall);
    if (b->end == EMBEDDING_OK)
        any = recall_set_space(s->recall, &space, &s->err);
    if (!any && (b->end == EMBEDDING_OK || without))
        any = recall_embed(s->recall, list, b->len, change, &s->err);
    adapt(b, without ? EMBEDDING_OK : b->end);
    b->waits |= b->end == EMBEDDING_OK && before && before != b->dims;
    clear(b);
    return any;
}

// ---- reading texts

static void read_next(struct shelf *s);

static struct lacking *find(struct batch *b, uint32_t turn, uint32_t step)
{
    for (uint32_t i = b->read; i < b->len; i++) {
        struct lacking *l = &b->list[i];
        if (l->kind == RECALL_TURN && l->turn == turn && l->step == step &&
            strcmp(l->session, b->list[b->read].session) == 0)
            return l;
    }
    return NULL;
}

static int take_turn(void *user, const struct turn *t, struct err *err)
{
    struct shelf *s = user;
    struct batch *b = s->batch;
    for (uint32_t i = 0; i < t->steps_len; i++) {
        struct lacking *l = find(b, t->n, i);
        if (!l)
            continue;
        safe_buf_clear(&s->text);
        content_text(&t->steps[i].content, &s->text);
        int code = safe_buf_check(&s->text, "a message", err);
        if (code)
            return code;
        struct safe_text text = llm_embed_input(safe_buf_text(&s->text), b->cut);
        l->at = safe_buf_text(&b->text).len;
        l->len = text.len;
        safe_buf_add(&b->text, text);
    }
    return E_OK;
}

static void texts_read(struct ledger_op *op)
{
    struct shelf *s = op->user;
    struct batch *b = s->batch;
    const struct lacking *now = &b->list[b->read];
    if (op->code) {
        s->err = op->err;
        clear(b);
        s->code = op->code;
        s->then(s);
        return;
    }
    char session[ID_TEXT_BYTES];
    memcpy(session, now->session, sizeof(session));
    while (b->read < b->len && b->list[b->read].kind == RECALL_TURN &&
           strcmp(b->list[b->read].session, session) == 0 &&
           b->list[b->read].turn >= b->first && b->list[b->read].turn <= b->last)
        b->read++;
    read_next(s);
}

static void start(struct shelf *s)
{
    struct batch *b = s->batch;
    struct safe_text inputs[BATCH_MAX];
    uint32_t n = 0;
    for (uint32_t i = 0; i < b->len; i++) {
        const struct lacking *l = &b->list[i];
        if (l->len)
            inputs[n++] = safe_text_part(safe_buf_text(&b->text), l->at, l->len);
    }
    struct embedding_wish wish = {.partition = s->partition, .bot = s->bot, .key = s->key,
                                  .texts = inputs, .len = n, .done = embedded, .user = s};
    if (n == 0) {
        // Nothing but white space: there is nothing to ask for, ever.
        b->end = EMBEDDING_REFUSED;
        b->len = 1;
        b->cut = CUT_LEAST;
        b->arrived = true;
    } else {
        b->embedding = embedding_start(s->w, &wish);
    }
    if (!b->embedding && !b->arrived) {
        b->waits = true;
        clear(b);
    }
    s->unwritten = b->arrived;
    s->then(s);
}

// What is remembered is told by the book. What is not there any more has no text: it is gone from
// the index soon.
static void take_memory(struct shelf *s, struct lacking *l)
{
    struct batch *b = s->batch;
    struct found_memory found;
    if (!shelf_find_memory(s, l->kind, slice_str(l->session), l->step, &found))
        return;
    safe_buf_clear(&s->text);
    shelf_tell_memory(&found, &s->text);
    struct safe_text text = llm_embed_input(safe_buf_text(&s->text), b->cut);
    l->at = safe_buf_text(&b->text).len;
    l->len = text.len;
    safe_buf_add(&b->text, text);
}

static void read_next(struct shelf *s)
{
    struct batch *b = s->batch;
    while (b->read < b->len && b->list[b->read].kind != RECALL_TURN)
        take_memory(s, &b->list[b->read++]);
    if (b->read == b->len) {
        start(s);
        return;
    }
    const struct lacking *l = &b->list[b->read];
    b->first = b->last = l->turn;
    for (uint32_t i = b->read; i < b->len && b->list[i].kind == RECALL_TURN &&
                               strcmp(b->list[i].session, l->session) == 0 &&
                               b->list[i].turn >= b->last &&
                               b->list[i].turn - b->first < READ_TURNS_MAX; i++)
        b->last = b->list[i].turn;
    struct ledger_pick pick = {.partition = s->partition,
                               .session = l->session,
                               .key = s->key,
                               .first = b->first,
                               .last = b->last,
                               .take = take_turn,
                               .user = s};
    s->op = (struct ledger_op){.done = texts_read, .user = s};
    ledger_pick(s->w->ledger, &pick, &s->op);
}

static bool batch_new(struct shelf *s)
{
    struct batch *b = s->batch = mem_zalloc(sizeof(*b));
    if (!b)
        return false;
    b->most = BATCH_FIRST;
    b->cut = CUT_MOST;
    safe_buf_init(&b->text, EMBED_BYTES_MAX);
    return true;
}

bool batch_begin(struct shelf *s, void (*then)(struct shelf *s))
{
    struct recall_message lacking[BATCH_MAX];
    struct batch *b = s->batch;
    if (!embedder_ready(s->w) || batch_busy(b) || (b && b->waits) || (!b && !batch_new(s)))
        return false;
    b = s->batch;
    if (s->w->draining && (embedder_closed(s->w) || b->closing++ >= CLOSING_BATCHES_MAX))
        return false;
    // What is remembered has its words in the book alone.
    unsigned kinds = 1U << RECALL_TURN | (s->book ? RECALL_MEMORIES : 0);
    b->len = recall_lacking(s->recall, kinds, lacking, b->most);
    if (b->len == 0)
        return false;
    for (uint32_t i = 0; i < b->len; i++) {
        struct lacking *l = &b->list[i];
        *l = (struct lacking){.kind = lacking[i].kind, .turn = lacking[i].turn,
                              .step = lacking[i].step};
        snprintf(l->session, sizeof(l->session), "%.*s", SLICE_FMT(lacking[i].session));
    }
    b->read = 0;
    safe_buf_clear(&b->text);
    s->code = E_OK;
    s->then = then;
    read_next(s);
    return true;
}
