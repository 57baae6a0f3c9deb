// SPDX-License-Identifier: MIT
// memory.c: see memory.h; scripts/meta/parley.lua documents the keys, scripts/parley/memory.lua
// makes such tables. Raw access only: nothing of the script runs.
#include "lua/memory.h"

#include "base/clock.h"
#include "base/embed.h"
#include "base/hint.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "lua/freeze.h"
#include "model/expiry.h"
#include "model/fact.h"
#include "redact/redact.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define PREDICATE_WORDS \
    "is no predicate's name: it is made of a-z, 0-9 and _, and of 63 bytes at most"


struct reading {
    struct keys at;
    struct memory_rules *out;
};

// ---- values

// NULL where there is none.
LJMP static struct slice read_text(lua_State *L, struct reading *r, int idx, const char *name)
{
    int type = keys_down(L, &r->at, idx, name);
    struct slice text = SLICE_NONE;

    if (type != LUA_TNIL && type != LUA_TSTRING)
        keys_complain(L, &r->at, lua_pushfstring(L, "must be text, not %s",
                                                 sandbox_value_word(L, -1)));
    if (type == LUA_TSTRING)
        text.ptr = lua_tolstring(L, -1, &text.len);  // the policy's table keeps it
    keys_up(L, &r->at);
    return text;
}

LJMP static void read_own_text(lua_State *L, struct reading *r, int idx, const char *name,
                               struct safe_buf *out)
{
    struct slice text = read_text(L, r, idx, name);
    struct err err = ERR_INIT;

    if (!text.ptr)
        return;
    r->at.path[r->at.depth++] = name;
    if (redact_own(text, out, &err) != E_OK || safe_buf_check(out, "it", &err) != E_OK)
        keys_complain(L, &r->at, err.message);
    r->at.depth--;
}

// A whole number from least to most; `false` is 0 where `off` says so.
LJMP static uint32_t read_count(lua_State *L, struct reading *r, int idx, const char *name,
                                uint32_t fallback, uint32_t least, uint32_t most, bool off)
{
    int type = keys_down(L, &r->at, idx, name), is_integer = 0;
    lua_Integer n = lua_tointegerx(L, -1, &is_integer);
    bool is_off = off && type == LUA_TBOOLEAN && !lua_toboolean(L, -1);

    if (type == LUA_TNIL)
        n = fallback;
    else if (is_off)
        n = 0;
    else if (type != LUA_TNUMBER || !is_integer || n < least || n > most)
        keys_complain(L, &r->at, lua_pushfstring(L, "must be a whole number from %d to %d%s",
                                                 (int)least, (int)most,
                                                 off ? ", or false: never" : ""));
    keys_up(L, &r->at);
    return (uint32_t)n;
}

// A member that is one of the words, by its index.
LJMP static int read_word(lua_State *L, struct reading *r, int idx, const char *name,
                          const char *const *words, int len, int fallback)
{
    struct slice text = read_text(L, r, idx, name);

    if (!text.ptr)
        return fallback;
    for (int i = 0; i < len; i++)
        if (slice_is(text, words[i]))
            return i;
    const char *near = hint_nearest(text, words, (size_t)len);
    r->at.path[r->at.depth++] = name;
    lua_pushfstring(L, "'%s' is none of", text.ptr);
    for (int i = 0; i < len; i++)
        lua_pushfstring(L, "%s%s \"%s\"", lua_tostring(L, -1), i ? "," : "", words[i]);
    if (near)
        lua_pushfstring(L, "%s (did you mean \"%s\"?)", lua_tostring(L, -1), near);
    keys_complain(L, &r->at, lua_tostring(L, -1));
    return fallback;
}

LJMP static int read_hook(lua_State *L, struct reading *r, int idx, const char *name,
                          const char *example)
{
    int type = keys_down(L, &r->at, idx, name);

    if (type != LUA_TNIL && type != LUA_TFUNCTION)
        keys_complain(L, &r->at, lua_pushfstring(L, "must be a function, as in %s, not %s", example,
                                                 sandbox_value_word(L, -1)));
    r->at.depth--;
    if (type == LUA_TFUNCTION)
        return luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pop(L, 1);
    return LUA_NOREF;
}

// Goes down to a table that may be absent or, where `off` says so, `false`: true if it is there,
// its members then being `names`. It is on top; keys_up comes after.
LJMP static bool open_table(lua_State *L, struct reading *r, int idx, const char *name,
                            const char *const *names, size_t len, const char *wanted, bool *off)
{
    int type = keys_down(L, &r->at, idx, name);

    if (off)
        *off = type == LUA_TBOOLEAN && !lua_toboolean(L, -1);
    if (type != LUA_TNIL && type != LUA_TTABLE && !(off && *off))
        keys_complain(L, &r->at, lua_pushfstring(L, "must be %s, not %s", wanted,
                                                 sandbox_value_word(L, -1)));
    if (type == LUA_TTABLE && names)
        keys_only(L, &r->at, lua_gettop(L), names, len);
    return type == LUA_TTABLE;
}

// ---- who extracts

LJMP static void read_model(lua_State *L, struct reading *r, int idx)
{
    int type = keys_down(L, &r->at, idx, "model");
    struct slice text = SLICE_NONE;

    if (type == LUA_TSTRING)
        text.ptr = lua_tolstring(L, -1, &text.len);
    const char *colon = text.ptr ? memchr(text.ptr, ':', text.len) : NULL;
    if ((type != LUA_TNIL && type != LUA_TBOOLEAN && type != LUA_TSTRING) ||
        (text.ptr && (!colon || colon == text.ptr || colon + 1 == text.ptr + text.len ||
                      strlen(text.ptr) != text.len)))
        keys_complain(L, &r->at, "must be \"provider:model\", such as \"scripted:scripted\", or "
                                 "true: the bot's own model");
    r->out->use_model = lua_toboolean(L, -1);
    r->out->model = text.ptr ? mem_slicedup(text) : NULL;
    if (text.ptr && !r->out->model)
        sandbox_no_memory(L);
    keys_up(L, &r->at);
}

LJMP static void read_prompts(lua_State *L, struct reading *r, int idx)
{
    static const char *const names[] = {"extract", "journal", "reflect"};

    if (open_table(L, r, idx, "prompts", names, COUNT_OF(names),
                   "a table such as { extract = [[…]] }", NULL)) {
        int at = lua_gettop(L);

        read_own_text(L, r, at, "extract", &r->out->extract_prompt);
        read_own_text(L, r, at, "journal", &r->out->journal_prompt);
        read_own_text(L, r, at, "reflect", &r->out->reflect_prompt);
    }
    keys_up(L, &r->at);
}

// A model is asked for all three.
LJMP static void check_prompts(lua_State *L, struct reading *r)
{
    const struct memory_rules *m = r->out;

    if (!m->use_model || (safe_buf_text(&m->extract_prompt).len &&
                          safe_buf_text(&m->journal_prompt).len &&
                          safe_buf_text(&m->reflect_prompt).len))
        return;
    r->at.path[r->at.depth++] = "model";
    keys_complain(L, &r->at, "needs prompts = { extract = …, journal = …, reflect = … }; "
                             "memory.model {} of parley.memory has them");
}

LJMP static void read_aliases(lua_State *L, struct reading *r, int idx, struct predicate_rule *p)
{
    if (open_table(L, r, idx, "aliases", NULL, 0, "a list of names such as { \"home\" }", NULL)) {
        lua_Unsigned n = lua_rawlen(L, -1);

        if (n > MEMORY_ALIASES_MAX)
            keys_complain(L, &r->at, lua_pushfstring(L, "too many names: at most %d",
                                                     MEMORY_ALIASES_MAX));
        p->aliases = mem_calloc(n ? n : 1, sizeof(*p->aliases));
        if (!p->aliases)
            sandbox_no_memory(L);
        for (lua_Unsigned i = 1; i <= n; i++) {
            struct slice name = SLICE_NONE;

            if (lua_rawgeti(L, -1, (lua_Integer)i) == LUA_TSTRING)
                name.ptr = lua_tolstring(L, -1, &name.len);
            if (!memory_predicate_valid(name))
                keys_complain(L, &r->at, PREDICATE_WORDS);
            memcpy(p->aliases[p->aliases_len++], name.ptr, name.len);
            lua_pop(L, 1);
        }
    }
    keys_up(L, &r->at);
}

// The predicate on top, whose name is r's last key.
LJMP static void read_predicate(lua_State *L, struct reading *r, struct predicate_rule *p)
{
    static const char *const names[] = {"kind", "one", "aliases"};
    const char *kinds[FACT_KINDS];
    int idx = lua_gettop(L);

    freeze_reveal(L);
    if (!lua_istable(L, idx))
        keys_complain(L, &r->at, "must be a table such as { kind = \"circumstance\", one = true }");
    keys_only(L, &r->at, idx, names, COUNT_OF(names));
    for (unsigned i = 0; i < FACT_KINDS; i++)
        kinds[i] = fact_kind_word((enum fact_kind)i);
    p->kind = (unsigned)read_word(L, r, idx, "kind", kinds, FACT_KINDS, FACT_CIRCUMSTANCE);
    int type = keys_down(L, &r->at, idx, "one");
    if (type != LUA_TNIL && type != LUA_TBOOLEAN)
        keys_complain(L, &r->at, "must be true (a new value takes the place of the old one) or "
                                 "false (all of them hold)");
    p->one = lua_toboolean(L, -1);
    keys_up(L, &r->at);
    read_aliases(L, r, idx, p);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct predicate_rule *)a)->name,
                  ((const struct predicate_rule *)b)->name);
}

LJMP static uint32_t count_members(lua_State *L, int idx)
{
    uint32_t n = 0;

    for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1))
        n++;
    return n;
}

LJMP static void read_predicates(lua_State *L, struct reading *r, int memory)
{
    struct memory_rules *m = r->out;

    if (open_table(L, r, memory, "predicates", NULL, 0,
                   "a table such as { lives_in = { kind = \"circumstance\", one = true } }",
                   NULL)) {
        int idx = lua_gettop(L);
        uint32_t n = count_members(L, idx);

        if (n > MEMORY_PREDICATES_MAX)
            keys_complain(L, &r->at, lua_pushfstring(L, "too many: at most %d",
                                                     MEMORY_PREDICATES_MAX));
        m->predicates = mem_calloc(n ? n : 1, sizeof(*m->predicates));
        if (!m->predicates)
            sandbox_no_memory(L);
        for (lua_pushnil(L); lua_next(L, idx); lua_settop(L, idx + 1)) {
            struct predicate_rule *p = &m->predicates[m->predicates_len++];

            if (lua_type(L, -2) != LUA_TSTRING)
                keys_complain(L, &r->at, "an item has no name");
            const char *name = lua_tostring(L, -2);
            r->at.path[r->at.depth++] = name;
            if (!memory_predicate_valid((struct slice){name, lua_rawlen(L, -2)}))
                keys_complain(L, &r->at, PREDICATE_WORDS);
            snprintf(p->name, sizeof(p->name), "%s", name);
            read_predicate(L, r, p);
            r->at.depth--;
        }
        qsort(m->predicates, m->predicates_len, sizeof(*m->predicates), by_name);
    }
    keys_up(L, &r->at);
}

// ---- what is sent, and how long it holds

LJMP static void read_recall(lua_State *L, struct reading *r, int idx)
{
    static const char *const names[] = {"k", "budget_tokens"};
    struct memory_rules *m = r->out;
    bool off;

    m->recall = MEMORY_RECALL_DEFAULT;
    m->recall_tokens = MEMORY_RECALL_TOKENS_DEFAULT;
    if (open_table(L, r, idx, "recall", names, COUNT_OF(names),
                   "a table such as { k = 8, budget_tokens = 400 }, or false: none", &off)) {
        int at = lua_gettop(L);

        m->recall = read_count(L, r, at, "k", m->recall, 1, MEMORY_RECALL_MAX, false);
        m->recall_tokens = read_count(L, r, at, "budget_tokens", MEMORY_RECALL_TOKENS_DEFAULT, 1,
                                      INT32_MAX, false);
    }
    m->recall = off ? 0 : m->recall;
    keys_up(L, &r->at);
}

// A duration, `false` being never, which is 0; `what` it is good for.
LJMP static int64_t read_span(lua_State *L, struct reading *r, int idx, const char *name,
                              int64_t fallback_ms, const char *what)
{
    int type = keys_down(L, &r->at, idx, name);
    struct slice text = SLICE_NONE;
    int64_t ms = fallback_ms;

    if (type == LUA_TSTRING)
        text.ptr = lua_tolstring(L, -1, &text.len);
    if (type == LUA_TBOOLEAN && !lua_toboolean(L, -1))
        ms = 0;
    else if (type != LUA_TNIL && (type != LUA_TSTRING || clock_parse_span(text, &ms, NULL) ||
                                  ms <= 0 || ms > EXPIRY_MS_MAX))
        keys_complain(L, &r->at, lua_pushfstring(L, "must be a duration such as \"90d\" (%s), or "
                                                    "false: never", what));
    keys_up(L, &r->at);
    return ms;
}

LJMP static void read_journal_sent(lua_State *L, struct reading *r, int idx)
{
    int type = keys_down(L, &r->at, idx, "send");
    bool is_short = type == LUA_TSTRING && strcmp(lua_tostring(L, -1), "short") == 0;

    if (type != LUA_TNIL && type != LUA_TBOOLEAN && !is_short)
        keys_complain(L, &r->at, "must be true (all of it), \"short\" (its newest entry) or false "
                                 "(what is recalled of it)");
    r->out->journal_sent = is_short                ? JOURNAL_SENT_SHORT
                           : lua_toboolean(L, -1) ? JOURNAL_SENT_WHOLE
                                                  : JOURNAL_NOT_SENT;
    keys_up(L, &r->at);
}

LJMP static void read_journal(lua_State *L, struct reading *r, int idx)
{
    static const char *const names[] = {"bytes", "send"};
    struct memory_rules *m = r->out;
    bool off;

    m->journal_bytes = MEMORY_JOURNAL_BYTES_DEFAULT;
    if (open_table(L, r, idx, "journal", names, COUNT_OF(names),
                   "a table such as { bytes = 8192, send = \"short\" }, or false: none", &off)) {
        int at = lua_gettop(L);

        read_journal_sent(L, r, at);
        bool whole = m->journal_sent == JOURNAL_SENT_WHOLE;
        m->journal_bytes = read_count(L, r, at, "bytes",
                                      whole ? MEMORY_JOURNAL_SENT_BYTES_DEFAULT
                                            : MEMORY_JOURNAL_BYTES_DEFAULT,
                                      256, MEMORY_JOURNAL_BYTES_MAX, false);
    }
    m->journal = !off;
    keys_up(L, &r->at);
}

LJMP static void read_core(lua_State *L, struct reading *r, int idx)
{
    static const char *const names[] = {"persona", "human_bytes"};
    struct memory_rules *m = r->out;

    m->human_bytes = MEMORY_HUMAN_BYTES_DEFAULT;
    if (open_table(L, r, idx, "core", names, COUNT_OF(names),
                   "a table such as { persona = \"…\", human_bytes = 2048 }", NULL)) {
        int at = lua_gettop(L);

        read_own_text(L, r, at, "persona", &m->persona);
        m->human_bytes = read_count(L, r, at, "human_bytes", MEMORY_HUMAN_BYTES_DEFAULT, 0,
                                    MEMORY_HUMAN_BYTES_MAX, false);
    }
    keys_up(L, &r->at);
}

// ---- all of it

LJMP static void read_language(lua_State *L, struct reading *r, int idx)
{
    struct slice text = read_text(L, r, idx, "language");

    if (!text.ptr)
        return;
    r->at.path[r->at.depth++] = "language";
    if (!text.len || text.len >= MEMORY_LANGUAGE_BYTES || strlen(text.ptr) != text.len ||
        !utf8_valid(text))
        keys_complain(L, &r->at, lua_pushfstring(L, "must be a language's name, such as "
                                                    "\"English\", of %d bytes at most",
                                                 MEMORY_LANGUAGE_BYTES - 1));
    r->at.depth--;
    memcpy(r->out->language, text.ptr, text.len);
}

// The version of what extracts: the policy's file, and the library that it extracts with.
static void write_version(const struct shape_source *source, struct memory_rules *m)
{
    static const struct slice library = SLICE_LIT("scripts/parley/memory");
    unsigned char out[crypto_generichash_BYTES_MIN];
    crypto_generichash_state hash;

    crypto_generichash_init(&hash, NULL, 0, sizeof(out));
    crypto_generichash_update(&hash, (const unsigned char *)source->text.ptr, source->text.len);
    for (const struct embed_file *f = embed_files; f->name; f++) {
        if (slice_starts(slice_str(f->name), library))
            crypto_generichash_update(&hash, (const unsigned char *)f->bytes.ptr, f->bytes.len);
    }
    crypto_generichash_final(&hash, out, sizeof(out));
    snprintf(m->version, sizeof(m->version), "%02x%02x%02x%02x", out[0], out[1], out[2], out[3]);
}

LJMP static void read_members(lua_State *L, struct reading *r, int idx, struct memory_hooks *hooks)
{
    static const char *const scopes[] = {"bot", "context"};
    struct memory_rules *m = r->out;

    hooks->extract = read_hook(L, r, idx, "extract", "function(view, turn) … end");
    hooks->state = read_hook(L, r, idx, "state", "function(view, reply) … end");
    hooks->reflect = read_hook(L, r, idx, "reflect", "function(view) … end");
    m->has_extract = hooks->extract != LUA_NOREF;
    m->has_state = hooks->state != LUA_NOREF;
    m->has_reflect = hooks->reflect != LUA_NOREF;
    read_language(L, r, idx);
    read_model(L, r, idx);
    read_prompts(L, r, idx);
    check_prompts(L, r);
    read_predicates(L, r, idx);
    m->by_context = read_word(L, r, idx, "scope", scopes, COUNT_OF(scopes), 0) == 1;
    read_recall(L, r, idx);
    m->stale_ms = read_span(L, r, idx, "stale", MEMORY_STALE_DEFAULT_MS,
                            "older facts are asked, not told");
    m->quarantine_ms = read_span(L, r, idx, "quarantine", MEMORY_QUARANTINE_DEFAULT_MS,
                                 "what the user's own words do not bear out is dropped then");
    m->reflect_after = read_count(L, r, idx, "reflect_after", MEMORY_REFLECT_AFTER_DEFAULT, 1,
                                  1000, true);
    read_journal(L, r, idx);
    read_core(L, r, idx);
}

LJMP void memory_read(lua_State *L, int idx, const struct shape_source *source,
                      struct memory_rules *out, struct memory_hooks *hooks)
{
    static const char *const names[] = {"extract", "state", "reflect", "language", "model",
                                        "prompts", "predicates", "scope", "recall", "stale",
                                        "quarantine", "reflect_after", "journal", "core"};
    struct reading r = {.at = {.source = source}, .out = out};

    *hooks = (struct memory_hooks){LUA_NOREF, LUA_NOREF, LUA_NOREF};
    int type = keys_down(L, &r.at, idx, "memory");
    if (type == LUA_TTABLE) {
        keys_only(L, &r.at, lua_gettop(L), names, COUNT_OF(names));
        read_members(L, &r, lua_gettop(L), hooks);
        write_version(source, out);
        out->on = true;
    } else if (type != LUA_TNIL && !(type == LUA_TBOOLEAN && !lua_toboolean(L, -1))) {
        keys_complain(L, &r.at, "must be made by parley.memory, as in memory.rules {}, or false: "
                                "nothing is remembered");
    }
    keys_up(L, &r.at);
}
