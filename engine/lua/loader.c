// SPDX-License-Identifier: MIT
// loader.c: where policies are: the folder's files, then those inside the binary. A loader is one
// worker's.
#include "lua/policy_int.h"

#include "base/embed.h"
#include "base/mem.h"
#include "lua/bots.h"
#include "lua/limits.h"
#include "lua/source.h"

#include <stdio.h>
#include <sys/stat.h>

enum { PATH_BYTES = 4096 };

// E_NOT_FOUND when there is no such file.
static int load_path(const struct lua_env *env, const char *path, struct policy **out,
                     struct err *err)
{
    struct buf text = BUF_INIT(LUA_FILE_BYTES_MAX);
    int code = source_read(path, &text, err);

    if (code == E_OK && !bot_name_valid(bot_name_of(path)))
        code = err_set(err, E_POLICY, "%s: a bot's name is up to %d letters, digits, _ and -", path,
                       BOT_NAME_MAX);
    if (code == E_OK && bot_name_is_test(bot_name_of(path)))
        code = err_set(err, E_POLICY, "%s: tests of a policy, and no bot: `parley test` runs them",
                       path);
    if (code == E_OK)
        code = policy_lua_new(out, env, path, buf_slice(&text), err);
    buf_release(&text);
    return code;
}

// ---- the loader

struct lua_loader {
    struct lua_env env;
};

int lua_loader_new(struct lua_loader **out, const struct lua_env *env, struct err *err)
{
    struct lua_loader *l = mem_zalloc(sizeof(*l));

    if (!l)
        return err_set(err, E_NOMEM, "policies: out of memory");
    l->env = *env;
    *out = l;
    return E_OK;
}

void lua_loader_free(struct lua_loader *l)
{
    mem_free(l);
}

static int loader_load(void *self, const char *bot, struct policy **out, struct err *err)
{
    const struct lua_env *env = &((struct lua_loader *)self)->env;
    struct policy *policy = NULL;
    char path[PATH_BYTES];
    int code = E_NOT_FOUND;

    if (!bot_name_valid(slice_str(bot)))
        return err_set(err, E_POLICY, "'%s' is no bot's name: up to %d letters, digits, _ and -",
                       bot, BOT_NAME_MAX);
    if (env->policies_dir &&
        snprintf(path, sizeof(path), "%s/%s.lua", env->policies_dir, bot) < (int)sizeof(path))
        code = load_path(env, path, &policy, err);
    if (code == E_NOT_FOUND) {
        snprintf(path, sizeof(path), "policies/%s.lua", bot);
        const struct embed_file *file = embed_find(path);
        code = file ? policy_lua_new(&policy, env, path, file->bytes, err)
                    : bots_refuse_unknown(env->policies_dir, bot, err);
    }
    if (code == E_OK)
        *out = policy;
    return code;
}

// What a change of the file changes: where it is, its size and times (FNV-1a).
static uint64_t loader_stamp(void *self, const char *bot)
{
    const struct lua_env *env = &((struct lua_loader *)self)->env;
    uint64_t stamp = 14695981039346656037u;
    char path[PATH_BYTES];
    struct stat st;

    if (!env->policies_dir || !bot_name_valid(slice_str(bot)) ||
        snprintf(path, sizeof(path), "%s/%s.lua", env->policies_dir, bot) >= (int)sizeof(path) ||
        stat(path, &st) != 0)
        return 0;
    const uint64_t parts[] = {st.st_dev, st.st_ino, (uint64_t)st.st_size,
                              (uint64_t)st.st_mtim.tv_sec, (uint64_t)st.st_mtim.tv_nsec,
                              (uint64_t)st.st_ctim.tv_sec, (uint64_t)st.st_ctim.tv_nsec};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        stamp = (stamp ^ parts[i]) * 1099511628211u;
    return stamp ? stamp : 1;
}

struct policy_loader lua_loader_ops(struct lua_loader *l)
{
    return (struct policy_loader){.load = loader_load, .stamp = loader_stamp, .self = l};
}

struct bot_search {
    const char *bot;
    bool found;
};

static void look_at_bot(void *user, const char *bot, const char *file)
{
    struct bot_search *search = user;

    (void)file;
    search->found = search->found || strcmp(bot, search->bot) == 0;
}

int lua_find_bot(const struct lua_env *env, const char *bot, struct err *err)
{
    struct bot_search search = {.bot = bot};

    bots_each(env->policies_dir, look_at_bot, &search);
    return search.found ? E_OK : bots_refuse_unknown(env->policies_dir, bot, err);
}

void lua_bots(const struct lua_env *env, void (*fn)(void *user, const char *bot, const char *file),
              void *user)
{
    bots_each(env->policies_dir, fn, user);
}

int lua_load_policy(const struct lua_env *env, const char *path, struct policy **out,
                    struct err *err)
{
    struct policy *policy = NULL;
    int code = load_path(env, path, &policy, err);

    if (code == E_NOT_FOUND)
        return err_set(err, E_POLICY, "%s: there is no such file", path);
    if (code == E_OK)
        *out = policy;
    return code;
}

int lua_check_policy(const struct lua_env *env, const char *path, struct err *err)
{
    struct policy *policy = NULL;
    int code = lua_load_policy(env, path, &policy, err);

    policy_unref(policy);
    return code;
}
