// SPDX-License-Identifier: MIT
// parley_files.c: who can get at the files that hold what people said, and the keys to it.
//
// What is sealed cannot be read without the keyring; still, nobody else has business in the store:
// who can write to it can harm it, and when somebody talks is told by its meta.
#include "parley_int.h"

#include <sys/stat.h>

static const mode_t others = S_IRWXG | S_IRWXO, others_write = S_IWGRP | S_IWOTH;

// `bad`: what nobody else may.
static void check_file(const char *path, mode_t bad, struct buf *report)
{
    bool private = bad == others;
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode) || (st.st_mode & bad) == 0)
        return;
    buf_addf(report, "file %s can be %s by others (mode %03o): run `chmod %s %s`\n", path,
             private ? "read or changed" : "changed", (unsigned)(st.st_mode & 0777),
             private ? "600" : "go-w", path);
}

static void check_with(const char *path, const char *suffix, struct buf *report)
{
    struct buf name = BUF_INIT(8192);
    buf_add_str(&name, path);
    buf_add_str(&name, suffix);
    if (buf_ok(&name))
        check_file(name.ptr, others, report);
    buf_release(&name);
}

// Whoever can write to the folder of a file puts another in its place, whatever the file's mode.
static void check_folder(const char *path, struct buf *report)
{
    const char *slash = strrchr(path, '/');
    struct buf folder = BUF_INIT(8192);
    struct stat st;
    if (slash)
        buf_add(&folder, path, slash == path ? 1 : (size_t)(slash - path));
    else
        buf_add_char(&folder, '.');
    buf_add_char(&folder, '\0');
    if (buf_ok(&folder) && stat(folder.ptr, &st) == 0 && (st.st_mode & S_IWOTH) &&
        !(st.st_mode & S_ISVTX))
        buf_addf(report, "folder %s can be changed by others (mode %03o), who can put files of "
                 "theirs in the place of ours: run `chmod o-w %s`\n", folder.ptr,
                 (unsigned)(st.st_mode & 0777), folder.ptr);
    buf_release(&folder);
}

void files_check(const struct settings *s, const char *config, struct buf *report)
{
    static const char *const beside_store[] = {"", "-wal", "-shm", "-lock"};
    const char *store = conf_str(s->conf, "store"), *key = conf_str(s->conf, "operator_key");
    struct buf keyring = BUF_INIT(8192);
    if (strncmp(store, "sqlite:", 7) == 0) {
        check_folder(store + 7, report);
        for (size_t i = 0; i < sizeof(beside_store) / sizeof(beside_store[0]); i++)
            check_with(store + 7, beside_store[i], report);
    }
    settings_keyring(s, &keyring);
    if (keyring.len) {
        check_with(keyring.ptr, "", report);
        check_with(keyring.ptr, ".audit", report);
    }
    buf_release(&keyring);
    if (key && strncmp(key, "file:", 5) == 0)
        check_file(key + 5, others, report);
    if (config)
        check_file(config, others_write, report);
}
