// SPDX-License-Identifier: MIT
// book_entries.c: whose books a worker has in memory, least recently used ones first to go. book.c
// has what is done with one.
#include "turn/book_int.h"

enum {
    ENTRIES_MAX = 1 << 16,
    BOOKS_PART_OF_LIMIT = 8,     // of what live sessions may take, so much is theirs
};

static void unlink_order(struct book_entry *e)
{
    struct books *all = e->w->books;

    *(e->newer ? &e->newer->older : &all->newest) = e->older;
    *(e->older ? &e->older->newer : &all->oldest) = e->newer;
    e->newer = e->older = NULL;
}

static void link_newest(struct book_entry *e)
{
    struct books *all = e->w->books;

    e->older = all->newest;
    *(e->older ? &e->older->newer : &all->oldest) = e;
    all->newest = e;
}

void book_entry_keep(struct book_entry *e, struct book *b)
{
    size_t bytes = sizeof(*e) + (b ? book_bytes(b) : 0);

    book_release(e->book);
    e->book = b;
    e->w->books->bytes += bytes - e->bytes;
    e->bytes = bytes;
}

void book_entry_free(struct book_entry *e)
{
    book_release(e->book);
    e->w->books->bytes -= e->bytes;
    unlink_order(e);
    map_remove(e->w->books->by_name, slice_str(e->name));
    mem_free(e);
}

bool book_entry_in_use(const struct book_entry *e)
{
    return e->busy || e->posted || e->waits || e->changes;
}

// With room for one more.
void books_free_idle(struct worker *w)
{
    struct books *all = w->books;

    for (struct book_entry *e = all->oldest, *newer; e; e = newer) {
        newer = e->newer;
        if (all->bytes <= w->env.live_bytes_max / BOOKS_PART_OF_LIMIT &&
            map_len(all->by_name) < ENTRIES_MAX)
            break;
        if (!book_entry_in_use(e))
            book_entry_free(e);
    }
}

static int books_make(struct worker *w, struct err *err)
{
    struct books *all = mem_zalloc(sizeof(*all));

    if (!all || map_new(&all->by_name, ENTRIES_MAX)) {
        mem_free(all);
        return err_set(err, E_NOMEM, "out of memory for what is remembered of users");
    }
    w->books = all;
    return E_OK;
}

static int entry_make(struct book_entry **out, struct worker *w, const char *name,
                      const char *partition, const char *bot, struct err *err)
{
    struct book_entry *e = mem_zalloc(sizeof(*e));

    *out = e;
    if (!e || map_set(w->books->by_name, slice_str(name), e, NULL)) {
        mem_free(e);
        return err_set(err, E_NOMEM, "out of memory for what is remembered of a user");
    }
    e->w = w;
    memcpy(e->name, name, sizeof(e->name));
    memcpy(e->partition, partition, sizeof(e->partition));
    memcpy(e->bot, bot, sizeof(e->bot));
    link_newest(e);
    return E_OK;
}

int book_entry_find(struct book_entry **out, struct worker *w, const char *partition,
                    const char *bot, const struct user_key *key, struct err *err)
{
    char name[BOOK_NAME_BYTES];
    int code = w->books ? E_OK : books_make(w, err);

    if (code)
        return code;
    snprintf(name, sizeof(name), "%s/%s", partition, bot);
    struct book_entry *e = map_get(w->books->by_name, slice_str(name));
    if (!e) {
        code = entry_make(&e, w, name, partition, bot, err);
        if (code)
            return code;
    } else {
        unlink_order(e);
        link_newest(e);
    }
    if (key)
        e->key = key;
    e->user = (struct memory_user){w->env.vault, e->key};
    *out = e;
    return E_OK;
}

// ---- of a worker

void books_forget(struct worker *w, const char *partition)
{
    struct book_entry *e = w->books ? w->books->newest : NULL;

    while (e) {
        struct book_entry *older = e->older;

        if (strcmp(e->partition, partition) == 0) {
            e->erased = true;
            if (!book_entry_in_use(e))
                book_entry_free(e);
        }
        e = older;
    }
}

bool books_busy(const struct worker *w)
{
    return w->books && w->books->busy;
}

void books_free(struct worker *w)
{
    if (!w->books)
        return;
    BUG_ON(w->books->busy);
    while (w->books->oldest)
        book_entry_free(w->books->oldest);
    map_free(w->books->by_name);
    mem_free(w->books);
    w->books = NULL;
}
