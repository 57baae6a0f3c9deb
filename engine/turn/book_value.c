// SPDX-License-Identifier: MIT
// book_value.c: a book as a value, and a run that asks for one. See book.h.
#include "turn/book_int.h"

// ---- a book

struct book *book_make(struct err *err)
{
    struct book *b = mem_zalloc(sizeof(*b));

    if (!b) {
        err_set(err, E_NOMEM, "out of memory for what is remembered of a user");
        return NULL;
    }
    b->refs = 1;
    journal_init(&b->journal);
    core_memory_init(&b->core);
    buf_init(&b->damage, BOOK_DAMAGE_BYTES_MAX);
    return b;
}

struct book *book_ref(struct book *b)
{
    if (b)
        b->refs++;
    return b;
}

void book_release(struct book *b)
{
    if (!b || --b->refs)
        return;
    fact_book_free(b->facts);
    journal_release(&b->journal);
    core_memory_release(&b->core);
    buf_release(&b->damage);
    mem_free(b);
}

int book_copy(struct book **out, const struct book *from, struct err *err)
{
    struct book *b = book_make(err);
    int code = b ? fact_book_copy(&b->facts, from->facts, err) : E_NOMEM;

    if (!code)
        code = journal_copy(&b->journal, &from->journal, err);
    if (!code) {
        core_memory_release(&b->core);
        code = core_memory_copy(&b->core, &from->core, err);
    }
    if (!code) {
        b->manifest = from->manifest;
        buf_add_slice(&b->damage, buf_slice(&from->damage));
        code = buf_check(&b->damage, "what is remembered", err);
    }
    if (code) {
        book_release(b);
        b = NULL;
    }
    *out = b;
    return code;
}

bool book_same_manifest(const struct book *of, const struct book *other)
{
    const struct memory_manifest *a = &of->manifest, *b = &other->manifest;

    return a->facts == b->facts && a->knowledge == b->knowledge && a->sessions == b->sessions &&
           a->reflected_at_ms == b->reflected_at_ms && a->tries == b->tries &&
           a->due_at_ms == b->due_at_ms;
}

size_t book_bytes(const struct book *b)
{
    return sizeof(*b) + fact_book_bytes(b->facts) + b->journal.cap * sizeof(struct journal_entry) +
           journal_bytes(&b->journal) + b->core.persona.inner.cap + b->core.human.inner.cap +
           b->damage.cap;
}

static int set_core(struct book *b, struct safe_buf *text, struct safe_text to, struct err *err)
{
    safe_buf_clear(text);
    safe_buf_add(text, to);
    b->core_changed = true;
    return safe_buf_check(text, "core memory", err);
}

int book_set_persona(struct book *b, struct safe_text text, struct err *err)
{
    return set_core(b, &b->core.persona, text, err);
}

int book_set_human(struct book *b, struct safe_text text, struct err *err)
{
    return set_core(b, &b->core.human, text, err);
}

// ---- of a run

struct run_wait {
    struct book_wait wait;
    struct run *run;
    void (*then)(struct run *run);
};

static void run_has_book(struct book_wait *wait)
{
    struct run_wait *rw = wait->user;
    struct run *run = rw->run;
    void (*then)(struct run *run) = rw->then;

    run->book_busy = false;
    run->book = wait->book;
    if (wait->code)
        log_line(run->w->env.log, LOG_WARN, "memory: bot=%s: %s; it goes on without", wait->bot,
                 wait->err.message);
    mem_free(rw);
    then(run);
}

void book_get(struct run *run, void (*then)(struct run *run))
{
    struct run_wait *rw = mem_zalloc(sizeof(*rw));

    BUG_ON(run->book_busy);
    book_release(run->book);
    run->book = NULL;
    if (!rw) {
        log_line(run->w->env.log, LOG_WARN, "memory: out of memory; it goes on without");
        then(run);
        return;
    }
    run->book_busy = true;
    *rw = (struct run_wait){.wait = {.key = run->user_key, .done = run_has_book, .user = rw},
                            .run = run, .then = then};
    memcpy(rw->wait.partition, run->partition, sizeof(rw->wait.partition));
    memcpy(rw->wait.bot, run->job->bot, sizeof(rw->wait.bot));
    book_open(run->w, &rw->wait);
}
