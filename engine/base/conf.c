// SPDX-License-Identifier: MIT
// conf.c: options and their values.
//
// Invariants
// 1. `values` holds each name once, in order of first appearance; `by_name` finds the same ones.
// 2. Every value, defaults included, was read by its option's type when it came in, so reading it
//    later cannot fail.
// 3. A set that fails changes nothing.
// Owned by one thread while it is built; read-only and shareable after.
#include "base/conf.h"

#include "base/clock.h"
#include "base/hint.h"
#include "base/json.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/vec.h"

#include <math.h>

enum {
    NAME_BYTES_MAX = 255,
    VALUES_MAX = 1 << 16,
    SHOWN_BYTES_MAX = 40,  // of a wrong value, in a message
};

// What a text means: integer for OPT_INT, OPT_SPAN and OPT_BOOL, number for OPT_NUMBER.
struct meaning {
    int64_t integer;
    double number;
};

// One allocation: the three texts follow the struct.
struct value {
    const struct option *option;
    struct meaning meaning;
    const char *text, *origin;
    size_t slot;  // where it stands in conf.values
    char name[];
};

struct conf {
    const struct option *schema;  // borrowed
    size_t schema_len;
    struct meaning *defaults;     // owned; by schema index
    struct vec values;            // of struct value *, owned
    struct map *by_name;          // to the same
};

// Takes the first dotted part off *name; false when nothing is left.
static bool next_part(struct slice *name, struct slice *part)
{
    if (!name->ptr)
        return false;
    const char *dot = name->len ? memchr(name->ptr, '.', name->len) : NULL;
    if (!dot) {
        *part = *name;
        *name = SLICE_NONE;
        return true;
    }
    *part = slice_of(name->ptr, (size_t)(dot - name->ptr));
    *name = slice_of(dot + 1, name->len - part->len - 1);
    return true;
}

static bool part_matches(struct slice schema_part, struct slice part)
{
    return slice_eq(schema_part, part) || (slice_is(schema_part, "*") && part.len > 0);
}

enum match { MATCH_NONE, MATCH_GROUP /* the name ends before the schema's */, MATCH_WHOLE };

static enum match match(const char *schema_name, struct slice name)
{
    struct slice schema = slice_str(schema_name), schema_part, part;

    while (next_part(&name, &part)) {
        if (!next_part(&schema, &schema_part) || !part_matches(schema_part, part))
            return MATCH_NONE;
    }
    return schema.ptr ? MATCH_GROUP : MATCH_WHOLE;
}

// Whether a is nearer than b to a name that both match: where they differ first, a is literal.
static bool more_literal(const char *a, const char *b)
{
    struct slice sa = slice_str(a), sb = slice_str(b), pa, pb;

    while (next_part(&sa, &pa) && next_part(&sb, &pb)) {
        if (!slice_eq(pa, pb))
            return slice_is(pb, "*");
    }
    return false;
}

static const struct option *find_option(const struct conf *c, struct slice name)
{
    const struct option *best = NULL;

    for (const struct option *o = c->schema; o->name; o++) {
        if (match(o->name, name) == MATCH_WHOLE && (!best || more_literal(o->name, best->name)))
            best = o;
    }
    return best;
}

static const struct value *find_value(const struct conf *c, const char *name)
{
    return map_get(c->by_name, slice_str(name));
}

static int wrong(struct err *err, struct slice text, const char *wanted)
{
    bool cut = text.len > SHOWN_BYTES_MAX;

    return err_set(err, E_POLICY, "\"%.*s%s\" is not %s", cut ? SHOWN_BYTES_MAX : (int)text.len,
                   text.ptr ? text.ptr : "", cut ? "…" : "", wanted);
}

// Numbers are written as JSON writes them.
static int read_number(enum option_type type, struct slice text, struct meaning *out,
                       struct err *err)
{
    struct json_doc doc = JSON_DOC_INIT;
    bool good = false;

    int rc = json_parse(&doc, text, 0, NULL);
    struct json v = json_root(&doc);
    if (rc == E_OK && json_type(v) == JSON_NUMBER && json_raw(v).len == text.len) {
        out->integer = json_i64(v, 0);
        out->number = json_double(v, NAN);
        // No integer is both fallbacks.
        good = type == OPT_INT ? json_i64(v, 1) == out->integer : !isnan(out->number);
    }
    json_doc_release(&doc);
    if (rc == E_NOMEM)
        return err_set(err, E_NOMEM, "out of memory");
    if (good)
        return E_OK;
    return wrong(err, text, type == OPT_INT ? "a whole number" : "a number (write it like 0.7)");
}

static void add_bound(struct buf *out, enum option_type type, int64_t n)
{
    static const struct {
        int64_t ms;
        const char *unit;
    } units[] = {{86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"}};
    size_t u = 0;

    if (type != OPT_SPAN) {
        buf_add_i64(out, n);
        return;
    }
    while (n % units[u].ms)
        u++;
    buf_add_i64(out, n ? n / units[u].ms : 0);
    buf_add_str(out, units[u].unit);
}

static int check_range(const struct option *o, struct slice text, int64_t n, struct err *err)
{
    struct buf wanted = BUF_INIT(ERR_MESSAGE_BYTES);

    if ((o->min == 0 && o->max == 0) || (n >= o->min && n <= o->max))
        return E_OK;
    buf_add_str(&wanted, "allowed (");
    if (o->max == INT64_MAX) {
        add_bound(&wanted, o->type, o->min);
        buf_add_str(&wanted, " or more)");
    } else {
        if (o->min == INT64_MIN) {
            buf_add_str(&wanted, "at most ");
        } else {
            add_bound(&wanted, o->type, o->min);
            buf_add_str(&wanted, " to ");
        }
        add_bound(&wanted, o->type, o->max);
        buf_add_char(&wanted, ')');
    }
    int rc = buf_check(&wanted, "the message", err);
    if (rc == E_OK)
        rc = wrong(err, text, wanted.ptr);
    buf_release(&wanted);
    return rc;
}

// Reads text as o's type and checks the range.
static int read_meaning(const struct option *o, struct slice text, struct meaning *out,
                        struct err *err)
{
    int rc = E_OK;

    *out = (struct meaning){0};
    switch (o->type) {
    case OPT_STRING:
        return E_OK;
    case OPT_BOOL:
        out->integer = slice_is(text, "true");
        return out->integer || slice_is(text, "false") ? E_OK : wrong(err, text, "true or false");
    case OPT_NUMBER:
        return read_number(o->type, text, out, err);
    case OPT_INT:
        rc = read_number(o->type, text, out, err);
        break;
    case OPT_SPAN:
        if (clock_parse_span(text, &out->integer, NULL))
            rc = wrong(err, text, "a span of time (write it like 250ms, 45s, 30m, 1.5h or 30d)");
        break;
    }
    return rc ? rc : check_range(o, text, out->integer, err);
}

int conf_new(struct conf **out, const struct option *schema, struct err *err)
{
    struct conf *c = mem_zalloc(sizeof(*c));

    *out = NULL;
    if (!c)
        goto no_memory;
    c->schema = schema;
    vec_init(&c->values, sizeof(struct value *), VALUES_MAX);
    while (schema[c->schema_len].name)
        c->schema_len++;
    c->defaults = mem_calloc(c->schema_len, sizeof(*c->defaults));
    if (!c->defaults || map_new(&c->by_name, VALUES_MAX))
        goto no_memory;
    for (size_t i = 0; i < c->schema_len; i++) {
        const struct option *o = &schema[i];
        if (!o->fallback)
            continue;
        int rc = read_meaning(o, slice_str(o->fallback), &c->defaults[i], NULL);
        if (rc == E_NOMEM)
            goto no_memory;
        if (rc)
            BUG("%s: its default \"%s\" is wrong", o->name, o->fallback);
    }
    *out = c;
    return E_OK;
no_memory:
    conf_free(c);
    return err_set(err, E_NOMEM, "out of memory for the configuration");
}

void conf_free(struct conf *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->values.len; i++)
        mem_free(*VEC_AT(&c->values, struct value *, i));
    vec_release(&c->values);
    map_free(c->by_name);
    mem_free(c->defaults);
    mem_free(c);
}

// The first part of name that no schema name has there, and the names that were possible instead.
struct unknown {
    struct slice known;  // the parts before, without the dot
    struct slice rest;   // the parts after; ptr NULL when it is the last
    struct hint hint;
    struct hint_list all;
    const char *group;   // name is right but ends early: a schema name that goes on
};

static void look_up_unknown(const struct conf *c, struct slice name, struct unknown *u)
{
    struct slice rest = name, part = SLICE_NONE;

    *u = (struct unknown){0};
    while (next_part(&rest, &part)) {
        struct slice before = slice_of(name.ptr, (size_t)(part.ptr - name.ptr) + part.len);
        const char *fits = NULL;
        for (const struct option *o = c->schema; o->name && !fits; o++)
            fits = match(o->name, before) != MATCH_NONE ? o->name : NULL;
        u->group = fits;
        if (!fits)
            break;
        u->known = before;
    }
    if (u->group)
        return;
    u->rest = rest;
    u->hint.word = part;
    for (const struct option *o = c->schema; o->name; o++) {
        struct slice schema = slice_str(o->name), schema_part = SLICE_NONE;
        struct slice known = u->known, skipped;
        if (known.ptr && match(o->name, known) != MATCH_GROUP)
            continue;
        while (next_part(&known, &skipped))
            next_part(&schema, &schema_part);
        next_part(&schema, &schema_part);
        if (slice_is(schema_part, "*") || !schema_part.len)
            continue;
        hint_offer(&u->hint, schema_part);
        hint_list_add(&u->all, schema_part);
    }
}

static int refuse_unknown(const struct conf *c, struct slice name, struct err *err)
{
    struct unknown u;

    look_up_unknown(c, name, &u);
    if (u.group) {
        // What the group's first key would be called here: the schema's parts after the name's.
        struct slice schema = slice_str(u.group), part, left = name;
        while (next_part(&left, &part))
            next_part(&schema, &part);
        return err_set(err, E_POLICY, "unknown key (it is a group: set %.*s.%.*s, say)",
                       SLICE_FMT(name), SLICE_FMT(schema));
    }
    if (!u.hint.best.ptr)
        return err_set(err, E_POLICY, "unknown key%s%s", u.all.text[0] ? "; there are " : "",
                       u.all.text);
    if (!u.rest.ptr)
        return err_set(err, E_POLICY, "unknown key (did you mean %.*s?)", SLICE_FMT(u.hint.best));
    return err_set(err, E_POLICY, "unknown key (did you mean %.*s%s%.*s.%.*s?)", SLICE_FMT(u.known),
                   u.known.ptr ? "." : "", SLICE_FMT(u.hint.best), SLICE_FMT(u.rest));
}

// Copies the texts into a new value; NULL: out of memory.
static struct value *value_new(const struct option *o, struct slice name, struct slice text,
                               const char *origin)
{
    struct slice from = slice_str(origin);
    struct value *v = mem_alloc(sizeof(*v) + name.len + text.len + from.len + 3);

    if (!v)
        return NULL;
    *v = (struct value){.option = o};
    char *p = v->name;
    const struct slice texts[] = {name, text, from};
    const char *copies[3];
    for (int i = 0; i < 3; i++) {
        copies[i] = p;
        if (texts[i].len)
            memcpy(p, texts[i].ptr, texts[i].len);
        p += texts[i].len;
        *p++ = '\0';
    }
    v->text = copies[1];
    v->origin = copies[2];
    return v;
}

// Puts v, which it takes, where its name belongs.
static int put(struct conf *c, struct value *v)
{
    struct value *before = map_get(c->by_name, slice_str(v->name));
    struct value **slot;
    int rc;

    if (before) {
        v->slot = before->slot;
        slot = VEC_AT(&c->values, struct value *, v->slot);
    } else {
        if (c->values.len == VALUES_MAX) {
            mem_free(v);
            return E_REFUSED;
        }
        v->slot = c->values.len;
        slot = vec_push(&c->values);
        if (!slot) {
            mem_free(v);
            return E_NOMEM;
        }
    }
    rc = map_set(c->by_name, slice_str(v->name), v, NULL);
    if (rc) {
        if (!before)
            vec_remove(&c->values, v->slot);
        mem_free(v);
        return rc;
    }
    *slot = v;
    mem_free(before);
    return E_OK;
}

static bool holds_nul(struct slice s)
{
    return s.len && memchr(s.ptr, '\0', s.len);
}

static int set(struct conf *c, struct slice name, struct slice text, const char *origin,
               struct err *err)
{
    struct meaning meaning;

    if (name.len > NAME_BYTES_MAX)
        return err_set(err, E_POLICY, "the name is too long: at most %d bytes", NAME_BYTES_MAX);
    // NUL would end the name or the value early for everybody who reads it.
    if (holds_nul(name) || holds_nul(text))
        return err_set(err, E_POLICY, "there is a NUL byte in the name or the value: take it out");
    const struct option *o = find_option(c, name);
    if (!o)
        return refuse_unknown(c, name, err);
    int rc = read_meaning(o, text, &meaning, err);
    if (rc)
        return rc;
    struct value *v = value_new(o, name, text, origin);
    if (!v)
        return err_set(err, E_NOMEM, "out of memory");
    v->meaning = meaning;
    rc = put(c, v);
    if (rc == E_REFUSED)
        return err_set(err, rc, "too many options: at most %d", VALUES_MAX);
    return rc ? err_set(err, rc, "out of memory") : E_OK;
}

int conf_set(struct conf *c, struct slice name, struct slice value, const char *origin,
             struct err *err)
{
    int rc = set(c, name, value, origin, err);
    size_t shown = name.len < NAME_BYTES_MAX ? name.len : NAME_BYTES_MAX;

    if (rc)
        err_prefix(err, "%s%s%.*s: ", origin ? origin : "", origin ? ": " : "", (int)shown,
                   name.ptr ? name.ptr : "");
    return rc;
}

const char *conf_str(const struct conf *c, const char *name)
{
    const struct value *v = find_value(c, name);

    if (v)
        return v->text;
    const struct option *o = find_option(c, slice_str(name));
    return o ? o->fallback : NULL;
}

// The meaning of name, which is of one of the two types; NULL: neither set nor a default.
static const struct meaning *meaning_of(const struct conf *c, const char *name,
                                        enum option_type type, enum option_type or_type)
{
    const struct value *v = find_value(c, name);
    const struct option *o = v ? v->option : find_option(c, slice_str(name));

    if (!o)
        return NULL;
    if (o->type != type && o->type != or_type)
        BUG("%s: asked for as a type that it is not", name);
    if (v)
        return &v->meaning;
    return o->fallback ? &c->defaults[o - c->schema] : NULL;
}

int64_t conf_int(const struct conf *c, const char *name, int64_t fallback)
{
    const struct meaning *m = meaning_of(c, name, OPT_INT, OPT_SPAN);

    return m ? m->integer : fallback;
}

double conf_number(const struct conf *c, const char *name, double fallback)
{
    const struct meaning *m = meaning_of(c, name, OPT_NUMBER, OPT_NUMBER);

    return m ? m->number : fallback;
}

bool conf_bool(const struct conf *c, const char *name, bool fallback)
{
    const struct meaning *m = meaning_of(c, name, OPT_BOOL, OPT_BOOL);

    return m ? m->integer != 0 : fallback;
}

bool conf_is_set(const struct conf *c, const char *name)
{
    return find_value(c, name) != NULL;
}

const char *conf_origin(const struct conf *c, const char *name)
{
    const struct value *v = find_value(c, name);

    return v ? v->origin : NULL;
}

// The part of v's name that stands where "*" does right after prefix; ptr NULL: none.
static struct slice part_after(const struct value *v, struct slice prefix)
{
    struct slice name = slice_str(v->name), schema = slice_str(v->option->name);
    struct slice part = SLICE_NONE, schema_part = SLICE_NONE;

    if (!slice_starts(name, prefix) || name.ptr[prefix.len] != '.')
        return SLICE_NONE;
    do {
        next_part(&name, &part);
        next_part(&schema, &schema_part);
    } while (part.ptr <= v->name + prefix.len);
    return slice_is(schema_part, "*") ? part : SLICE_NONE;
}

void conf_parts(const struct conf *c, const char *prefix, bool (*fn)(void *user, const char *part),
                void *user)
{
    struct slice before = slice_str(prefix);

    for (size_t i = 0; i < c->values.len; i++) {
        char copy[NAME_BYTES_MAX + 1];
        struct slice part = part_after(*VEC_AT(&c->values, struct value *, i), before);
        bool seen = !part.ptr;
        // Backwards: the keys of one part mostly stand together.
        for (size_t j = i; j-- > 0 && !seen;) {
            struct slice earlier = part_after(*VEC_AT(&c->values, struct value *, j), before);
            seen = earlier.ptr && slice_eq(earlier, part);
        }
        if (seen)
            continue;
        memcpy(copy, part.ptr, part.len);
        copy[part.len] = '\0';
        if (!fn(user, copy))
            return;
    }
}
