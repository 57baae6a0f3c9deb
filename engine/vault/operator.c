// SPDX-License-Identifier: MIT
// operator.c: where the operator key comes from, if it is not in the keyring itself.
//
//   file:PATH         a file that only its owner can read
//   fd:N              a descriptor that the program was started with; a pipe can be read once
//   credential:NAME   a file in $CREDENTIALS_DIRECTORY (systemd: LoadCredential, or encrypted)
//
// It is text: a line of 64 hex digits for each key, as `openssl rand -hex 32` prints it; empty
// lines and such that begin with "#" are skipped. More than one key is there while it is rotated.
// What was read is in memory of sodium_malloc only.
#include "base/id.h"
#include "base/mem.h"
#include "base/newfile.h"
#include "vault/vault_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SOURCE_BYTES_MAX = 4096, PATH_BYTES = 4096 };

void operator_fingerprint(const unsigned char *key, char out[OPERATOR_FINGERPRINT_BYTES])
{
    static const char purpose[] = "parley operator key";
    unsigned char hash[crypto_generichash_BYTES_MIN];

    crypto_generichash(hash, sizeof(hash), (const unsigned char *)purpose, sizeof(purpose), key,
                       KEY_BYTES);
    hex_encode(hash, (OPERATOR_FINGERPRINT_BYTES - 1) / 2, out);
}

const char *operator_file(const char *spec)
{
    return spec && strncmp(spec, "file:", 5) == 0 ? spec + 5 : NULL;
}

static int useless(const char *spec, struct err *err)
{
    return err_set(err, E_USAGE, "operator_key \"%s\": say file:PATH, fd:N or credential:NAME",
                   spec);
}

// Others who can read it can open everything.
static int check_owner(const char *path, int fd, struct err *err)
{
    struct stat st;

    if (fstat(fd, &st))
        return err_set(err, E_STORE, "operator key %s: cannot look at it: %m", path);
    if (!S_ISREG(st.st_mode))
        return err_set(err, E_STORE, "operator key %s is not a file: name another", path);
    if (st.st_mode & (S_IRWXG | S_IRWXO))
        return err_set(err, E_STORE, "operator key %s can be read by others (mode %03o): run "
                       "`chmod 600 %s`", path, (unsigned)(st.st_mode & 0777), path);
    if (st.st_uid != geteuid() && st.st_uid != 0)
        return err_set(err, E_STORE, "operator key %s belongs to somebody else (user %u): make it "
                       "ours with chown", path, (unsigned)st.st_uid);
    return E_OK;
}

static int open_file(const char *path, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0 && errno == ENOENT)
        return err_set(err, E_STORE, "operator key %s is not there: put it back, or make one with "
                       "`parley keys init`", path);
    return fd < 0 ? err_set(err, E_STORE, "operator key %s: cannot open: %m", path) : fd;
}

static int open_credential(const char *name, const char *folder, struct err *err)
{
    char path[PATH_BYTES];

    if (!name[0] || strchr(name, '/'))
        return err_set(err, E_USAGE, "operator_key: \"%s\" is no name of a credential", name);
    if (!folder)
        return err_set(err, E_STORE, "operator key: credential %s was asked for, but there is no "
                       "$CREDENTIALS_DIRECTORY: put LoadCredential=%s:PATH into the unit", name,
                       name);
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    return fd < 0 ? err_set(err, E_STORE, "operator key: credential %s: %m in "
                            "$CREDENTIALS_DIRECTORY: put LoadCredential=%s:PATH into the unit",
                            name, name)
                  : fd;
}

// A descriptor of our own, or a negative code.
static int open_source(const struct operator_source *from, struct err *err)
{
    const char *path = operator_file(from->spec);
    char *end;

    if (path) {
        int fd = open_file(path, err);
        if (fd >= 0 && check_owner(path, fd, err)) {
            close(fd);
            return err->code;
        }
        return fd;
    }
    if (strncmp(from->spec, "credential:", 11) == 0)
        return open_credential(from->spec + 11, from->credentials, err);
    if (strncmp(from->spec, "fd:", 3) != 0)
        return useless(from->spec, err);
    long number = strtol(from->spec + 3, &end, 10);
    if (end == from->spec + 3 || *end || number < 0 || number > INT32_MAX)
        return useless(from->spec, err);
    int fd = fcntl((int)number, F_DUPFD_CLOEXEC, 0);
    return fd < 0 ? err_set(err, E_STORE, "operator key: descriptor %ld is not open", number) : fd;
}

// A file is read from its start whatever was read of it before.
static ssize_t read_all(int fd, char *out, size_t room)
{
    size_t len = 0;

    for (;;) {
        ssize_t n = pread(fd, out + len, room - len, (off_t)len);
        if (n < 0 && errno == ESPIPE)
            n = read(fd, out + len, room - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n ? n : (ssize_t)len;
        len += (size_t)n;
        if (len == room)
            return (ssize_t)len;
    }
}

static int take_keys(const char *spec, struct slice text, struct operator_keys *out,
                     struct err *err)
{
    for (unsigned line = 1; text.len; line++) {
        const char *newline = memchr(text.ptr, '\n', text.len);
        size_t len = newline ? (size_t)(newline - text.ptr) : text.len, whole = len + !!newline;

        len -= len && text.ptr[len - 1] == '\r';
        if (len && text.ptr[0] != '#') {
            if (out->len == OPERATOR_KEYS_MAX)
                return err_set(err, E_STORE, "operator key %s: more than %d keys", spec,
                               OPERATOR_KEYS_MAX);
            if (!hex_decode(slice_of(text.ptr, len), out->keys[out->len], KEY_BYTES))
                return err_set(err, E_STORE, "operator key %s, line %u: not a key; one is 64 hex "
                               "digits, as `openssl rand -hex 32` prints them", spec, line);
            out->len++;
        }
        text = slice_of(text.ptr + whole, text.len - whole);
    }
    return out->len ? E_OK
                    : err_set(err, E_STORE, "operator key %s: it holds no key; one is a line of 64 "
                              "hex digits (a pipe can be read once only)", spec);
}

int operator_read(const struct operator_source *from, struct operator_keys *out, struct err *err)
{
    int fd = open_source(from, err);

    out->len = 0;
    if (fd < 0)
        return fd;
    char *text = sodium_malloc(SOURCE_BYTES_MAX);
    if (!text) {
        close(fd);
        return err_set(err, E_NOMEM, "out of memory for the operator key");
    }
    ssize_t n = read_all(fd, text, SOURCE_BYTES_MAX);
    int rc = n < 0 ? err_set(err, E_STORE, "operator key %s: cannot read: %m", from->spec)
             : n == SOURCE_BYTES_MAX
                 ? err_set(err, E_STORE, "operator key %s: too long for a key", from->spec)
                 : take_keys(from->spec, slice_of(text, (size_t)n), out, err);
    sodium_free(text);
    close(fd);
    return rc;
}

int operator_write(const char *path, const struct operator_keys *keys, bool replace,
                   struct err *err)
{
    struct newfile file;
    char *line = sodium_malloc(2 * KEY_BYTES + 2);
    int rc = line ? newfile_make(&file, path, replace, err)
                  : err_set(err, E_NOMEM, "out of memory for the operator key");

    if (rc) {
        sodium_free(line);
        return rc;
    }
    for (unsigned i = 0; i < keys->len && !rc; i++) {
        hex_encode(keys->keys[i], KEY_BYTES, line);
        line[2 * KEY_BYTES] = '\n';
        if (write(file.fd, line, 2 * KEY_BYTES + 1) != 2 * KEY_BYTES + 1)
            rc = err_set(err, E_STORE, "operator key %s: cannot write: %m", path);
    }
    if (!rc)
        rc = newfile_publish(&file, err);
    newfile_drop(&file);
    sodium_free(line);
    return rc;
}

int vault_make_operator_key(const char *path, const struct rand *rand, struct err *err)
{
    struct operator_keys *keys = sodium_init() < 0 ? NULL : sodium_malloc(sizeof(*keys));

    if (!keys)
        return err_set(err, E_NOMEM, "out of memory for an operator key");
    keys->len = 1;
    rand_fill(rand, keys->keys[0], KEY_BYTES);
    int rc = operator_write(path, keys, false, err);
    sodium_free(keys);
    return rc;
}
