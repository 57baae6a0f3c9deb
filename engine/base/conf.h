// SPDX-License-Identifier: MIT
// conf.h: options and their values. One table describes an option (name, type, range, default,
// help); the configuration file, --set, --help and the manual all read that table.
//
// Names are dotted: "providers.openai.base_url". A "*" part in a schema name stands for any one
// part ("providers.*.base_url"). A value remembers where it came from ("parley.lua:7", "--set",
// "$PARLEY_STORE"), so that an error can say so. Later layers beat earlier ones by being set later.
// Part by part a literal name beats "*". An unknown name is simply not set for the readers; asking
// for a known one by another type is a BUG.
// Owned by one thread while it is built; read-only and shareable after.
#ifndef BASE_CONF_H
#define BASE_CONF_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include <stdbool.h>
#include <stdint.h>

enum option_type { OPT_STRING, OPT_INT, OPT_BOOL, OPT_SPAN /* "30m", read as ms */, OPT_NUMBER };

struct option {
    const char *name;       // dotted, may hold "*"
    enum option_type type;
    int64_t min, max;       // OPT_INT and OPT_SPAN; both 0: unlimited
    const char *fallback;   // default as text; NULL: none
    const char *help;       // one sentence
};

struct conf;

// schema is borrowed for the conf's life, ends with name == NULL.
int conf_new(struct conf **out, const struct option *schema, struct err *err);
void conf_free(struct conf *c);
// Sets by text ("true", "250", "30m"). Unknown name: E_POLICY with the nearest name. Wrong type or
// range: E_POLICY saying what is allowed. `origin` is copied.
int conf_set(struct conf *c, struct slice name, struct slice value, const char *origin,
             struct err *err);
// Borrowed until the next set; the default if never set; NULL if neither.
const char *conf_str(const struct conf *c, const char *name);
int64_t conf_int(const struct conf *c, const char *name, int64_t fallback);   // OPT_INT, OPT_SPAN
double conf_number(const struct conf *c, const char *name, double fallback);  // OPT_NUMBER
bool conf_bool(const struct conf *c, const char *name, bool fallback);
bool conf_is_set(const struct conf *c, const char *name);
const char *conf_origin(const struct conf *c, const char *name);  // NULL: the default
// The distinct parts that stand where "*" does in a schema prefix: conf_parts(c, "providers", fn).
// Calls fn once per part, in order of first appearance; stops early when fn returns false.
void conf_parts(const struct conf *c, const char *prefix, bool (*fn)(void *user, const char *part),
                void *user);

#endif
