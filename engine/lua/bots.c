// SPDX-License-Identifier: MIT
// bots.c: which bots there are, and where their files lie: the policies folder first, then the
// policies inside the binary. Any thread; reads files only.
#include "lua/bots.h"

#include "base/embed.h"
#include "base/hint.h"
#include "base/mem.h"
#include "base/vec.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

enum { BOTS_MAX = 4096, PATH_BYTES = 4096 };

static const char embedded_dir[] = "policies/";
// Of a bot's name, in whatever locale the embedder has.
static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";

bool bot_name_valid(struct slice name)
{
    if (name.len == 0 || name.len > BOT_NAME_MAX || name.ptr[0] == '-')
        return false;
    for (size_t i = 0; i < name.len; i++)
        if (!strchr(letters, name.ptr[i]) || !name.ptr[i])
            return false;
    return true;
}

struct slice bot_name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    struct slice name = slice_str(slash ? slash + 1 : path);

    if (name.len > 4 && memcmp(name.ptr + name.len - 4, ".lua", 4) == 0)
        name.len -= 4;
    return name;
}

bool bot_name_is_test(struct slice name)
{
    static const char ending[] = "_test";
    size_t len = sizeof(ending) - 1;

    return name.len > len && memcmp(name.ptr + name.len - len, ending, len) == 0;
}

// A file of the folder or the binary is a bot's if it is NAME.lua and no test of one.
static bool is_policy_file(const char *path)
{
    struct slice name = bot_name_of(path);
    size_t len = strlen(path);

    return len >= 4 && strcmp(path + len - 4, ".lua") == 0 && bot_name_valid(name) &&
           !bot_name_is_test(name);
}

struct bot {
    char *name, *file;  // owned
};

static void add_bot(struct vec *bots, const char *file)
{
    struct bot *b = vec_push(bots);

    if (!b)
        return;
    b->name = mem_slicedup(bot_name_of(file));
    b->file = mem_strdup(file);
    if (!b->name || !b->file) {
        mem_free(b->name);
        mem_free(b->file);
        vec_remove(bots, bots->len - 1);
    }
}

static bool has_bot(const struct vec *bots, struct slice name)
{
    for (size_t i = 0; i < bots->len; i++)
        if (slice_is(name, VEC_AT(bots, struct bot, i)->name))
            return true;
    return false;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct bot *)a)->name, ((const struct bot *)b)->name);
}

static void list(const char *dir, struct vec *bots)
{
    DIR *d = dir ? opendir(dir) : NULL;
    char path[PATH_BYTES];

    for (struct dirent *e; d && (e = readdir(d)) != NULL;)
        if (is_policy_file(e->d_name) &&
            snprintf(path, sizeof(path), "%s/%s", dir, e->d_name) < (int)sizeof(path))
            add_bot(bots, path);
    if (d)
        closedir(d);
    for (const struct embed_file *f = embed_files; f->name; f++)
        if (strncmp(f->name, embedded_dir, sizeof(embedded_dir) - 1) == 0 &&
            is_policy_file(f->name) && !has_bot(bots, bot_name_of(f->name)))
            add_bot(bots, f->name);
    if (bots->len > 0)
        qsort(bots->ptr, bots->len, sizeof(struct bot), by_name);
}

static void release(struct vec *bots)
{
    for (size_t i = 0; i < bots->len; i++) {
        mem_free(VEC_AT(bots, struct bot, i)->name);
        mem_free(VEC_AT(bots, struct bot, i)->file);
    }
    vec_release(bots);
}

void bots_each(const char *dir, void (*fn)(void *user, const char *bot, const char *file),
               void *user)
{
    struct vec bots = VEC_INIT(struct bot, BOTS_MAX);

    list(dir, &bots);
    for (size_t i = 0; i < bots.len; i++)
        fn(user, VEC_AT(&bots, struct bot, i)->name, VEC_AT(&bots, struct bot, i)->file);
    release(&bots);
}

int bots_refuse_unknown(const char *dir, const char *bot, struct err *err)
{
    struct vec bots = VEC_INIT(struct bot, BOTS_MAX);
    struct hint hint = {.word = slice_str(bot)};

    list(dir, &bots);
    for (size_t i = 0; i < bots.len; i++)
        hint_offer(&hint, slice_str(VEC_AT(&bots, struct bot, i)->name));
    if (hint.best.ptr)
        err_set(err, E_POLICY, "there is no bot '%s' (did you mean %.*s?)", bot,
                SLICE_FMT(hint.best));
    else
        err_set(err, E_POLICY,
                "there is no bot '%s': write %s/%s.lua, or choose another with --bot", bot,
                dir ? dir : "policies", bot);
    release(&bots);
    return E_POLICY;
}
