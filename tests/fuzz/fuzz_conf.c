// SPDX-License-Identifier: MIT
// Settings of any bytes: a configuration file, then a NUL, then lines as --set takes them. They are
// taken, or refused in words; what was taken can be read. Seeds lie in seeds/conf/.
#include "fuzz/fuzz_file.h"

#include "parley_int.h"

enum { SETTINGS_MAX = 64, SETTINGS_BYTES = 4096 };

static struct fuzz_file file;

static void remove_file(void)
{
    fuzz_file_remove(&file);
}

// The lines of text, which is cut up for them.
static void split(char *text, const char *settings[SETTINGS_MAX + 1])
{
    size_t n = 0;
    char *save = NULL;
    for (char *line = strtok_r(text, "\n", &save); line && n < SETTINGS_MAX;
         line = strtok_r(NULL, "\n", &save))
        settings[n++] = line;
    settings[n] = NULL;
}

static bool part(void *user, const char *name)
{
    struct settings *s = user;
    char path[256];
    snprintf(path, sizeof(path), "providers.%s.base_url", name);
    const char *url = conf_str(s->conf, path);
    return !url || strlen(url) < SIZE_MAX;
}

static void read_all(struct settings *s)
{
    struct buf keyring = BUF_INIT(8192);
    settings_keyring(s, &keyring);
    conf_parts(s->conf, "providers", part, s);
    BUG_ON(conf_int(s->conf, "workers", 0) < 0 || conf_int(s->conf, "workers", 0) > WORKERS_MAX);
    BUG_ON(!conf_str(s->conf, "store") || !conf_str(s->conf, "default.bot"));
    buf_release(&keyring);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    const char *settings[SETTINGS_MAX + 1];
    char text[SETTINGS_BYTES] = "";
    const uint8_t *nul = len ? memchr(bytes, '\0', len) : NULL;
    size_t conf_len = nul ? (size_t)(nul - bytes) : len;
    size_t rest = nul ? len - conf_len - 1 : 0;
    parley_options options = PARLEY_OPTIONS_INIT;
    struct settings s;
    struct err err = ERR_INIT;
    if (!file.dir[0])
        atexit(remove_file);
    if (rest)
        memcpy(text, nul + 1, rest < sizeof(text) ? rest : sizeof(text) - 1);
    split(text, settings);
    fuzz_file_write(&file, "parley.lua", bytes, conf_len);
    options.config = file.path;
    options.no_environment = 1;
    options.settings = settings;
    int code = settings_load(&s, &options, &err);
    bool refused = code == E_POLICY || code == E_USAGE;
    if (code && (!refused || err.code != code || err.message[0] == '\0'))
        BUG("code %d: %s", code, err.message);
    if (!code) {
        read_all(&s);
        settings_release(&s);
    }
    return 0;
}
