// SPDX-License-Identifier: MIT
// privacy.c: see privacy.h; scripts/meta/parley.lua documents the keys. Raw access only: nothing of
// the script runs.
#include "lua/privacy.h"

#include "base/clock.h"
#include "base/hint.h"
#include "lua/keys.h"
#include "redact/phone.h"
#include "redact/redact.h"

#include <stdio.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

struct reading {
    struct keys at;
    struct privacy *out;
    struct redact_rules rules;
    struct redact_own own[REDACT_OWN_MAX];
    struct slice allow[REDACT_ALLOW_MAX];
    char region[8];
    bool default_rules;
};

// Item i of the list on top; pushed. NULL: the list is over. What is not in the list's row, as in
// { email = true }, would be passed over without a word: it is told.
LJMP static struct slice item(lua_State *L, struct reading *r, lua_Integer i)
{
    struct slice text = SLICE_NONE;
    int type = lua_rawgeti(L, -1, i);

    if (type == LUA_TNIL) {
        lua_Integer n = 0;
        for (lua_pushnil(L); lua_next(L, -3); lua_pop(L, 1))
            if (++n == i)
                keys_complain(L, &r->at, "must be a list of texts, such as { \"a\", \"b\" }");
        return text;
    }
    if (type != LUA_TSTRING)
        keys_complain(L, &r->at, "must be a list of texts");
    text.ptr = lua_tolstring(L, -1, &text.len);
    return text;
}

// ---- what is masked

LJMP static void read_kind(lua_State *L, struct reading *r, struct slice word)
{
    const char *names[REDACT_KINDS];
    int kind = redact_kind_find(word);

    for (unsigned i = 0; i < REDACT_KINDS; i++)
        names[i] = redact_kind_info(i)->word;
    if (kind >= 0) {
        r->rules.kinds |= REDACT_KIND_BIT(kind);
        return;
    }
    const char *near = hint_nearest(word, names, REDACT_KINDS);
    if (near)
        lua_pushfstring(L, "'%s' is no kind (did you mean %s?)", word.ptr, near);
    else
        lua_pushfstring(L, "'%s' is no kind: `parley help redact` lists them; patterns of your "
                        "own go into privacy.patterns", word.ptr);
    keys_complain(L, &r->at, lua_tostring(L, -1));
}

LJMP static void read_kinds(lua_State *L, struct reading *r, int idx)
{
    int type = keys_down(L, &r->at, idx, "redact");

    if (type == LUA_TBOOLEAN && !lua_toboolean(L, -1)) {
        r->out->off = true;
    } else if (type == LUA_TTABLE) {
        r->default_rules = false;
        r->rules.kinds = 0;
        lua_Integer n = 0;
        for (struct slice word; (word = item(L, r, ++n)).ptr; lua_pop(L, 1))
            read_kind(L, r, word);
        lua_pop(L, 1);
    } else if (type != LUA_TNIL) {
        keys_complain(L, &r->at, "must be a list of kinds such as { \"email\", \"phone\" }, or "
                                 "false: nothing is masked");
    }
    keys_up(L, &r->at);
}

LJMP static void read_patterns(lua_State *L, struct reading *r, int idx)
{
    int type = keys_down(L, &r->at, idx, "patterns");

    if (type != LUA_TNIL && type != LUA_TTABLE)
        keys_complain(L, &r->at, "must be a table of names and PCRE2 patterns such as { order = "
                                 "[[ORD-\\d+]] }");
    if (type == LUA_TTABLE) {
        for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
            struct redact_own *own = &r->own[r->rules.n_own];

            if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING)
                keys_complain(L, &r->at, "must have names, and patterns as text");
            if (r->rules.n_own == REDACT_OWN_MAX)
                keys_complain(L, &r->at, "too many patterns: at most 32");
            own->name.ptr = lua_tolstring(L, -2, &own->name.len);
            own->pattern.ptr = lua_tolstring(L, -1, &own->pattern.len);
            r->rules.n_own++;
        }
        r->default_rules &= r->rules.n_own == 0;
    }
    keys_up(L, &r->at);
}

LJMP static void read_allow(lua_State *L, struct reading *r, int idx)
{
    int type = keys_down(L, &r->at, idx, "allow");

    if (type != LUA_TNIL && type != LUA_TTABLE)
        keys_complain(L, &r->at, "must be a list of what is never masked, such as { "
                                 "\"help@example.org\" }");
    if (type == LUA_TTABLE) {
        lua_Integer n = 0;
        for (struct slice text; (text = item(L, r, ++n)).ptr; lua_pop(L, 1)) {
            if (r->rules.n_allow == REDACT_ALLOW_MAX)
                keys_complain(L, &r->at, "too many entries: at most 256");
            r->allow[r->rules.n_allow++] = text;
        }
        lua_pop(L, 1);
        r->default_rules &= r->rules.n_allow == 0;
    }
    keys_up(L, &r->at);
}

LJMP static void read_region(lua_State *L, struct reading *r, int idx)
{
    int type = keys_down(L, &r->at, idx, "region");
    const char *text = type == LUA_TSTRING ? lua_tostring(L, -1) : "";

    if (type != LUA_TNIL && !phone_region_known(slice_str(text)))
        keys_complain(L, &r->at, "must be a country's two letters, such as \"US\"");
    snprintf(r->region, sizeof(r->region), "%s", text);
    if (type != LUA_TNIL)
        r->rules.region = r->region;
    r->default_rules &= type == LUA_TNIL;
    keys_up(L, &r->at);
}

// Which of the rules is wrong: each of a policy's own is tried alone, so that its line is told.
LJMP static void compile(lua_State *L, struct reading *r, struct redactor **redactor)
{
    struct err err = ERR_INIT;

    if (redactor_new(redactor, &r->rules, &err) == E_OK)
        return;
    for (size_t i = 0; i < r->rules.n_own && err.code != E_NOMEM; i++) {
        struct redact_rules one = {.own = &r->own[i], .n_own = 1};
        struct redactor *alone = NULL;
        bool good = redactor_new(&alone, &one, NULL) == E_OK;

        redactor_free(alone);
        if (good)
            continue;
        r->at.path[r->at.depth++] = "patterns";
        r->at.path[r->at.depth++] = r->own[i].name.ptr;
        break;
    }
    keys_complain(L, &r->at, err.message);
}

// ---- what is kept, and who reads what

#define KEEP_WORDS \
    "must be a duration such as \"30d\", true: as long as the user's data, or false"

LJMP static void read_keep(lua_State *L, struct reading *r, int idx)
{
    int type = keys_down(L, &r->at, idx, "keep_originals");
    struct err err = ERR_INIT;
    struct slice text = SLICE_NONE;

    if (type == LUA_TBOOLEAN) {
        r->out->keep_originals = lua_toboolean(L, -1);
    } else if (type == LUA_TSTRING) {
        text.ptr = lua_tolstring(L, -1, &text.len);
        if (clock_parse_span(text, &r->out->keep_ms, &err) || r->out->keep_ms <= 0)
            keys_complain(L, &r->at, KEEP_WORDS);
        r->out->keep_originals = true;
    } else if (type != LUA_TNIL) {
        keys_complain(L, &r->at, KEEP_WORDS);
    }
    keys_up(L, &r->at);
}

LJMP static bool read_sink(lua_State *L, struct reading *r, int idx, const char *name,
                           bool fallback)
{
    int type = keys_down(L, &r->at, idx, name);
    const char *word = type == LUA_TSTRING ? lua_tostring(L, -1) : "";
    bool original = type == LUA_TNIL ? fallback : strcmp(word, "original") == 0;

    if (type != LUA_TNIL && !original && strcmp(word, "masked") != 0)
        keys_complain(L, &r->at, "must be \"masked\" or \"original\"");
    if (original && strcmp(name, "log") == 0)
        keys_complain(L, &r->at, "can only be \"masked\": logs never have text");
    keys_up(L, &r->at);
    return original;
}

LJMP static void read_sinks(lua_State *L, struct reading *r, int idx)
{
    static const char *const names[] = {"model", "client", "tool", "log", "operator"};
    int type = keys_down(L, &r->at, idx, "sinks");
    int sinks = lua_gettop(L);

    if (type != LUA_TNIL && type != LUA_TTABLE)
        keys_complain(L, &r->at, "must be a table such as { model = \"masked\", client = "
                                 "\"original\" }");
    if (type == LUA_TTABLE) {
        keys_only(L, &r->at, sinks, names, COUNT_OF(names));
        r->out->model_original = read_sink(L, r, sinks, "model", false);
        r->out->client_masked = !read_sink(L, r, sinks, "client", true);
        r->out->tool_original = read_sink(L, r, sinks, "tool", false);
        read_sink(L, r, sinks, "log", false);
        r->out->operator_original = read_sink(L, r, sinks, "operator", false);
    }
    keys_up(L, &r->at);
}

LJMP void privacy_read(lua_State *L, int idx, const struct shape_source *source, const char *region,
                       struct privacy *out, struct redactor **redactor)
{
    static const char *const names[] = {"redact", "patterns", "allow", "keep_originals", "region",
                                        "sinks"};
    struct reading r = {.at = {.source = source}, .out = out, .default_rules = true};

    *out = (struct privacy){0};
    *redactor = NULL;
    r.rules = (struct redact_rules){.kinds = redact_kinds_default(), .own = r.own,
                                    .allow = r.allow, .region = region};
    if (keys_down(L, &r.at, idx, "privacy") == LUA_TTABLE) {
        int at = lua_gettop(L);

        keys_only(L, &r.at, at, names, COUNT_OF(names));
        read_kinds(L, &r, at);
        read_patterns(L, &r, at);
        read_allow(L, &r, at);
        read_region(L, &r, at);
        read_keep(L, &r, at);
        read_sinks(L, &r, at);
        out->off |= r.rules.kinds == 0 && r.rules.n_own == 0;
        if (!out->off && !r.default_rules)
            compile(L, &r, redactor);
    }
    keys_up(L, &r.at);
}
