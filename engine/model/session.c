// SPDX-License-Identifier: MIT
// session.c: the session head, its superseded turns and its stored form.
//
// Invariant: superseded ranges are sorted, disjoint and not adjacent, so a binary search finds a
// turn. A head is owned by one thread at a time.
#include "model/session_int.h"

#include "base/mem.h"
#include "model/meta_int.h"
#include "model/safe_text_int.h"

static const char *const status_words[] = {
    [SESSION_ACTIVE] = "active", [SESSION_SOFT_EXPIRED] = "soft_expired",
    [SESSION_HARD_EXPIRED] = "hard_expired", [SESSION_ARCHIVED] = "archived",
};
enum {
    STATUS_WORDS = sizeof(status_words) / sizeof(status_words[0]),
    HASH_BYTES = 8,
};

const char *session_status_word(enum session_status s)
{
    BUG_ON((unsigned)s >= STATUS_WORDS);
    return status_words[s];
}

int session_quarantined(struct err *err, const char *id)
{
    char why[ERR_MESSAGE_BYTES];

    if (!err)
        return E_CORRUPT;
    memcpy(why, err->message, sizeof(why));
    return err_set(err, E_CORRUPT, "session %s is quarantined: %s; restore the store from a "
                   "backup, or start a new session", id, why);
}

static void forget_ranges(struct session_head *h)
{
    mem_free(h->superseded);
    h->superseded = NULL;
    h->superseded_len = 0;
}

void session_head_release(struct session_head *h)
{
    forget_ranges(h);
    constraints_free(h->constraints);
    h->constraints = NULL;
    session_notes_free(h->notes);
    h->notes = NULL;
}

int session_head_copy(struct session_head *out, const struct session_head *h, struct err *err)
{
    size_t bytes = h->superseded_len * sizeof(*h->superseded);

    *out = *h;
    out->superseded = NULL;
    out->superseded_len = 0;
    out->notes = NULL;
    int code = constraints_copy(&out->constraints, h->constraints, err);
    if (!code)
        code = session_notes_copy(&out->notes, h->notes, err);
    if (!code && bytes) {
        out->superseded = mem_alloc(bytes);
        if (!out->superseded)
            code = err_set(err, E_NOMEM, "out of memory for session %s", h->id);
    }
    if (code)
        session_head_release(out);
    if (code || bytes == 0)
        return code;
    memcpy(out->superseded, h->superseded, bytes);
    out->superseded_len = h->superseded_len;
    return E_OK;
}

// The first range that ends at or after turn; superseded_len when there is none.
static uint32_t range_at(const struct session_head *h, uint32_t turn)
{
    uint32_t low = 0, high = h->superseded_len;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (h->superseded[middle].last < turn)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool session_is_superseded(const struct session_head *h, uint32_t turn)
{
    uint32_t at = range_at(h, turn);

    return at < h->superseded_len && h->superseded[at].first <= turn;
}

uint32_t session_live_turns(const struct session_head *h, uint32_t upto)
{
    uint32_t live = upto;

    for (uint32_t i = 0; i < h->superseded_len && h->superseded[i].first <= upto; i++) {
        const struct turn_range *r = &h->superseded[i];

        live -= (r->last < upto ? r->last : upto) - r->first + 1;
    }
    return live;
}

static int insert_range(struct session_head *h, uint32_t at, struct turn_range range,
                        struct err *err)
{
    size_t len = h->superseded_len;

    if (len >= SUPERSEDED_RANGES_MAX)
        return err_set(err, E_REFUSED, "this session has %d undone stretches, no more are kept; "
                       "start a new session", SUPERSEDED_RANGES_MAX);
    struct turn_range *grown = mem_realloc(h->superseded, (len + 1) * sizeof(*grown));
    if (!grown)
        return err_set(err, E_NOMEM, "out of memory for session %s", h->id);
    memmove(grown + at + 1, grown + at, (len - at) * sizeof(*grown));
    grown[at] = range;
    h->superseded = grown;
    h->superseded_len++;
    return E_OK;
}

int session_supersede(struct session_head *h, uint32_t first, uint32_t last, struct err *err)
{
    BUG_ON(first == 0 || first > last);
    // Ranges at .. end-1 overlap the new one or touch it.
    uint32_t at = range_at(h, first - 1);
    uint32_t end = at;
    while (end < h->superseded_len && h->superseded[end].first - 1 <= last)
        end++;
    int code = at == end ? insert_range(h, at, (struct turn_range){first, last}, err) : E_OK;
    if (!code)
        pins_remove(&h->pins, first, last);
    if (code || at == end)
        return code;

    struct turn_range *merged = &h->superseded[at];
    uint32_t reach = h->superseded[end - 1].last;
    merged->first = merged->first < first ? merged->first : first;
    merged->last = reach > last ? reach : last;
    memmove(merged + 1, h->superseded + end, (h->superseded_len - end) * sizeof(*merged));
    h->superseded_len -= end - at - 1;
    return E_OK;
}

static void write_hash(struct json_writer *w, uint64_t hash)
{
    unsigned char bytes[HASH_BYTES];
    char text[2 * HASH_BYTES + 1];

    for (int i = HASH_BYTES; i-- > 0; hash >>= 8)
        bytes[i] = (unsigned char)hash;
    hex_encode(bytes, sizeof(bytes), text);
    jw_str(w, text);
}

static void write_cut(struct json_writer *w, const struct history_cut *cut)
{
    jw_key(w, "cut");
    jw_array(w);
    jw_i64(w, cut->first);
    jw_i64(w, cut->turn);
    write_hash(w, cut->plan);
    bool all_pins = cut->pins_end == cut->first;
    if (cut->summary || !all_pins)
        jw_i64(w, cut->summary);
    if (!all_pins)
        jw_i64(w, cut->pins_end);
    jw_array_end(w);
}

static void write_pins(struct json_writer *w, const struct session_pins *p)
{
    jw_key(w, "pins");
    jw_array(w);
    for (uint32_t i = 0; i < p->len; i++) {
        jw_array(w);
        jw_i64(w, p->list[i].turn);
        jw_str(w, pin_by_word(p->list[i].by));
        jw_array_end(w);
    }
    jw_array_end(w);
}

void session_write_meta(const struct session_head *h, struct buf *out)
{
    struct json_writer w;

    jw_init(&w, out);
    jw_object(&w);
    jw_kv_str(&w, "bot", h->bot);
    jw_kv_str(&w, "status", session_status_word(h->status));
    jw_kv_i64(&w, "turns", h->turns);
    jw_kv_i64(&w, "open_turn", h->open_turn);
    jw_kv_i64(&w, "events", h->events);
    jw_kv_i64(&w, "tokens", h->tokens < INT64_MAX ? (int64_t)h->tokens : INT64_MAX);
    if (h->system_hash) {
        jw_key(&w, "system_hash");
        write_hash(&w, h->system_hash);
    }
    if (h->cut.first)
        write_cut(&w, &h->cut);
    if (h->created_at_ms)
        jw_kv_i64(&w, "created_at", h->created_at_ms);
    if (h->last_active_at_ms)
        jw_kv_i64(&w, "last_active_at", h->last_active_at_ms);
    if (h->expires_at_ms)
        jw_kv_i64(&w, "expires_at", h->expires_at_ms);
    if (h->superseded_len) {
        jw_key(&w, "superseded");
        jw_array(&w);
        for (uint32_t i = 0; i < h->superseded_len; i++) {
            jw_array(&w);
            jw_i64(&w, h->superseded[i].first);
            jw_i64(&w, h->superseded[i].last);
            jw_array_end(&w);
        }
        jw_array_end(&w);
    }
    if (h->pins.len)
        write_pins(&w, &h->pins);
    session_life_write(h, &w);
    lease_write(&h->lease, &w);
    jw_object_end(&w);
}

// False: text is not what write_hash writes.
static bool parse_hash(struct slice text, uint64_t *out)
{
    unsigned char bytes[HASH_BYTES];

    *out = 0;
    if (text.len != 2 * HASH_BYTES || !hex_decode(text, bytes, sizeof(bytes)))
        return false;
    for (int i = 0; i < HASH_BYTES; i++)
        *out = *out << 8 | bytes[i];
    return true;
}

static uint64_t read_system_hash(struct meta *m)
{
    char text[2 * HASH_BYTES + 1];
    uint64_t hash = 0;

    meta_chars(m, "system_hash", false, text, sizeof(text));
    if (text[0] != '\0' && !parse_hash(slice_str(text), &hash))
        meta_fail(m, "system_hash");
    return hash;
}

static void read_cut(struct session_head *h, struct meta *m)
{
    struct json cut = json_get(m->root, "cut");
    int64_t first = json_i64(json_at(cut, 0), 0), turn = json_i64(json_at(cut, 1), 0);
    struct slice plan = json_raw(json_at(cut, 2));

    h->cut = (struct history_cut){0};
    if (m->code || json_type(cut) == JSON_NONE)
        return;
    int64_t summary = json_i64(json_at(cut, 3), 0);
    int64_t pins_end = json_count(cut) == 5 ? json_i64(json_at(cut, 4), -1) : first;
    bool whole = json_type(cut) == JSON_ARRAY && json_count(cut) >= 3 && json_count(cut) <= 5 &&
                 first >= 1 && first <= turn && turn <= h->turns && summary >= 0 &&
                 summary < first && pins_end >= 0 && pins_end <= first &&
                 json_type(json_at(cut, 2)) == JSON_STRING &&
                 parse_hash(slice_of(plan.ptr + 1, plan.len - 2), &h->cut.plan);
    if (!whole) {
        meta_fail(m, "cut");
        return;
    }
    h->cut.first = (uint32_t)first;
    h->cut.turn = (uint32_t)turn;
    h->cut.summary = (uint32_t)summary;
    h->cut.pins_end = (uint32_t)pins_end;
}

// Fills ranges out of [[first,last],…]; false when they are not what session_supersede leaves.
static bool read_ranges(struct json array, uint32_t turns, struct turn_range *ranges)
{
    struct json_iter it = {0};
    struct json key, pair;
    int64_t before = -1;  // the last turn of the range before

    for (uint32_t i = 0; json_next(array, &it, &key, &pair); i++) {
        int64_t first = json_i64(json_at(pair, 0), 0);
        int64_t last = json_i64(json_at(pair, 1), 0);

        if (json_count(pair) != 2 || first < 1 || first <= before + 1 || last < first ||
            last > turns)
            return false;
        ranges[i] = (struct turn_range){(uint32_t)first, (uint32_t)last};
        before = last;
    }
    return true;
}

static void read_superseded(struct session_head *h, struct meta *m)
{
    struct json array = json_get(m->root, "superseded");
    uint32_t len = json_count(array);

    forget_ranges(h);
    if (m->code || json_type(array) == JSON_NONE)
        return;
    if (json_type(array) != JSON_ARRAY || len > SUPERSEDED_RANGES_MAX) {
        meta_fail(m, "superseded");
        return;
    }
    if (len == 0)
        return;
    h->superseded = mem_alloc(len * sizeof(*h->superseded));
    if (!h->superseded) {
        m->code = err_set(m->err, E_NOMEM, "out of memory for a stored session");
    } else if (read_ranges(array, h->turns, h->superseded)) {
        h->superseded_len = len;
    } else {
        forget_ranges(h);
        meta_fail(m, "superseded");
    }
}

// Fills pins out of [[turn,"user"],…]; false when they are not those of this head.
static bool read_pin_list(struct json array, struct session_head *h)
{
    struct json_iter it = {0};
    struct json key, pair;

    while (json_next(array, &it, &key, &pair)) {
        int64_t turn = json_i64(json_at(pair, 0), 0);
        bool policy = json_is_string(json_at(pair, 1), pin_by_word(PIN_POLICY));
        int64_t before = h->pins.len ? h->pins.list[h->pins.len - 1].turn : 0;

        if (json_count(pair) != 2 || turn <= before || turn > h->turns ||
            !(policy || json_is_string(json_at(pair, 1), pin_by_word(PIN_USER))) ||
            session_is_superseded(h, (uint32_t)turn) ||
            pins_add(&h->pins, (uint32_t)turn, policy ? PIN_POLICY : PIN_USER, NULL))
            return false;
    }
    return true;
}

// After the superseded turns, none of which is pinned.
static void read_pins(struct session_head *h, struct meta *m)
{
    struct json array = json_get(m->root, "pins");

    h->pins.len = 0;
    if (m->code || json_type(array) == JSON_NONE)
        return;
    if (json_type(array) == JSON_ARRAY && read_pin_list(array, h))
        return;
    h->pins.len = 0;
    meta_fail(m, "pins");
}

// Replaces what h holds, but for id, partition, context and version, which are not in the meta.
int session_read_meta(struct session_head *h, struct slice meta, struct err *err)
{
    struct meta m;

    meta_open(&m, meta, "session", err);
    meta_chars(&m, "bot", true, h->bot, sizeof(h->bot));
    h->status = (enum session_status)meta_word(&m, "status", status_words, STATUS_WORDS);
    h->turns = (uint32_t)meta_i64(&m, "turns", 0, SESSION_TURNS_MAX);
    h->open_turn = (uint32_t)meta_i64_or(&m, "open_turn", 0, h->turns, 0);
    h->events = (uint32_t)meta_i64_or(&m, "events", 0, UINT32_MAX, 0);
    h->tokens = (uint64_t)meta_i64_or(&m, "tokens", 0, INT64_MAX, 0);
    h->system_hash = read_system_hash(&m);
    read_cut(h, &m);
    h->created_at_ms = meta_i64_or(&m, "created_at", 0, INT64_MAX, 0);
    h->last_active_at_ms = meta_i64_or(&m, "last_active_at", 0, INT64_MAX, 0);
    h->expires_at_ms = meta_i64_or(&m, "expires_at", 0, INT64_MAX, 0);
    session_life_read(h, &m);
    lease_read(&h->lease, &m);
    read_superseded(h, &m);
    read_pins(h, &m);
    return meta_close(&m);
}

void session_write_body(const struct session_head *h, struct safe_buf *out)
{
    struct json_writer w;

    if (!h->context[0] && !h->lease.device[0] && !h->constraints && session_notes_empty(h->notes))
        return;
    jw_init(&w, safe_buf_bytes(out));
    jw_object(&w);
    if (h->context[0])
        jw_kv_str(&w, "context", h->context);
    if (h->lease.device[0])
        jw_kv_str(&w, "device", h->lease.device);
    if (h->constraints) {
        jw_key(&w, "constraints");
        constraints_write(h->constraints, &w);
    }
    if (!session_notes_empty(h->notes))
        session_notes_write(h->notes, &w);
    jw_object_end(&w);
}

static void read_constraints(struct session_head *h, struct meta *m)
{
    struct json array = json_get(m->root, "constraints");

    if (m->code || json_type(array) == JSON_NONE)
        return;
    int code = constraints_read(&h->constraints, array, m->err);
    if (code == E_NOMEM)
        m->code = code;
    else if (code)
        meta_fail(m, "constraints");
}

int session_read_body(struct session_head *h, struct safe_text body, struct err *err)
{
    struct meta m;

    h->context[0] = h->lease.device[0] = '\0';
    constraints_free(h->constraints);
    h->constraints = NULL;
    session_notes_free(h->notes);
    h->notes = NULL;
    if (body.len == 0)
        return E_OK;
    meta_open(&m, safe_slice(body), "session", err);
    meta_chars(&m, "context", false, h->context, sizeof(h->context));
    meta_chars(&m, "device", false, h->lease.device, sizeof(h->lease.device));
    read_constraints(h, &m);
    session_notes_read(&h->notes, &m);
    return meta_close(&m);
}
