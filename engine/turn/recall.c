// SPDX-License-Identifier: MIT
// recall.c: recall indexes in memory: found or loaded, made true to the ledger, kept up, let go.
//
//               shelf_open                                   shelf_close, after A2
//                   │                                               │
//                   ▼                                               ▼
//   [load] ─▶ ROUND: session heads ─▶ turns that are new ─▶ asked   UPKEEP: a round, then seal and
//             (only those that changed)                             merge, a segment at a time
//
// A round asks the ledger which sessions changed since the last one, adds what is new of them and
// forgets what was superseded; so an index is never believed, neither after a crash nor beside
// another process. A turn that finds much to add (a first use) adds some of it and goes on; the
// rest follows in upkeep, off the user's path. Who asks comes before upkeep, between two steps.
//
// Users whose policy never recalls have no index: it is made at the first need.
#include "turn/recall_int.h"

enum {
    SESSIONS_SEEN_MAX = 1 << 20,
    LINE_MAX = 256,
    PICK_TURNS = 256,         // read at a time
    TAIL_FULL = 2048,         // messages that are written before more are added
    CLOSING_STEPS_MAX = 24,   // of upkeep, while the engine closes
    ROOM_DOCS = SEGMENT_DOCS_MAX,
};

static void pump(struct shelf *s);

// ---- in memory

void shelf_forget(struct shelf *s)
{
    size_t cursor = 0;
    void *value;
    recall_free(s->recall);
    s->recall = NULL;
    while (s->seen && map_next(s->seen, &cursor, NULL, &value))
        mem_free(value);
    map_free(s->seen);
    s->seen = NULL;
    s->tail = 0;
    shelf_forget_book(s);
}

static void unlink_order(struct shelf *s)
{
    struct worker *w = s->w;
    *(s->newer ? &s->newer->older : &w->newest_shelf) = s->older;
    *(s->older ? &s->older->newer : &w->oldest_shelf) = s->newer;
    s->newer = s->older = NULL;
}

static void link_newest(struct shelf *s)
{
    struct worker *w = s->w;
    s->older = w->newest_shelf;
    *(s->older ? &s->older->newer : &w->oldest_shelf) = s;
    w->newest_shelf = s;
}

static void shelf_free(struct shelf *s)
{
    if (s->name) {
        map_remove(s->w->shelves, slice_str(s->name));
        unlink_order(s);
    }
    s->w->shelf_bytes -= s->bytes;
    shelf_forget(s);
    vec_release(&s->kept);
    buf_release(&s->sweep);
    safe_buf_release(&s->text);
    batch_free(s->batch);
    mem_free(s->name);
    mem_free(s);
}

static int shelf_new(struct shelf **out, struct run *run, const char *name, struct err *err)
{
    struct worker *w = run->w;
    struct shelf *s = mem_zalloc(sizeof(*s));
    *out = NULL;
    if (!s)
        return err_set(err, E_NOMEM, "out of memory for a recall index");
    s->w = w;
    s->key = run->user_key;
    memcpy(s->partition, run->partition, sizeof(s->partition));
    memcpy(s->bot, run->job->bot, sizeof(s->bot));
    vec_init(&s->kept, sizeof(struct kept), RECALL_SEGMENTS_MAX);
    buf_init(&s->sweep, JOB_TEXT_BYTES_MAX);
    safe_buf_init(&s->text, CONTENT_BYTES_MAX);
    char *own = mem_strdup(name);
    int code = own ? map_set(w->shelves, slice_str(name), s, NULL) : E_NOMEM;
    if (code) {
        mem_free(own);
        shelf_free(s);
        return err_set(err, code, "no room for a recall index");
    }
    s->name = own;
    link_newest(s);
    *out = s;
    return E_OK;
}

static bool in_use(const struct shelf *s)
{
    return s->busy || s->line || s->pins || s->purgers || s->stale || s->unwritten ||
           batch_busy(s->batch);
}

static void count_bytes(struct shelf *s)
{
    uint64_t now = sizeof(*s);
    if (s->recall)
        now += recall_bytes(s->recall) + map_len(s->seen) * (sizeof(struct seen) + ID_TEXT_BYTES);
    s->w->shelf_bytes += now - s->bytes;
    s->bytes = now;
}

// Whoever's sessions are parked needs no index either. Small ones are many before they are much:
// there is to be room for one more.
static void park_idle(struct worker *w)
{
    struct shelf *s = w->oldest_shelf;
    while (s && (w->shelf_bytes > w->env.live_bytes_max / 2 ||
                 map_len(w->shelves) >= map_max(w->shelves))) {
        struct shelf *newer = s->newer;
        if (!in_use(s))
            shelf_free(s);
        s = newer;
    }
}

void shelves_forget(struct worker *w, const char *partition)
{
    for (struct shelf *s = w->newest_shelf, *older; s; s = older) {
        older = s->older;
        if (strcmp(s->partition, partition) != 0)
            continue;
        s->erased = true;
        if (!in_use(s))
            shelf_free(s);
    }
}

void shelves_free(struct worker *w)
{
    while (w->oldest_shelf) {
        BUG_ON(w->oldest_shelf->busy || w->oldest_shelf->pins);
        shelf_free(w->oldest_shelf);
    }
}

bool shelves_busy(const struct worker *w)
{
    for (const struct shelf *s = w->newest_shelf; s; s = s->older) {
        if (s->busy || s->stale || s->unwritten || batch_busy(s->batch))
            return true;
    }
    return false;
}

// ---- a round: what changed

static void next_session(struct shelf *s);

static void round_over(struct shelf *s, int code)
{
    s->code = code;
    // What was read of a head and not brought to an end is read again.
    for (uint32_t i = 0; i + s->list_at < s->list.heads_len; i++) {
        struct seen *seen = map_get(s->seen, slice_str(s->list.heads[i].id));
        if (seen)
            seen->version = 0;
    }
    session_list_release(&s->list);
    s->then(s);
}

static struct seen *seen_of(struct shelf *s, struct slice id)
{
    struct seen *seen = map_get(s->seen, id);
    if (seen || !(seen = mem_zalloc(sizeof(*seen))))
        return seen;
    if (map_set(s->seen, id, seen, NULL)) {
        mem_free(seen);
        return NULL;
    }
    return seen;
}

static void covered(void *user, struct slice session, uint32_t last_turn)
{
    struct seen *seen = seen_of(user, session);
    if (seen && seen->covered < last_turn)
        seen->covered = last_turn;
}

static bool is_known(void *user, struct slice id, uint64_t version)
{
    struct shelf *s = user;
    struct seen *seen = map_get(s->seen, id);
    if (seen)
        seen->round = s->round;
    return seen && seen->version == version;
}

// FNV-1a over the ranges: told apart, not kept secret.
static uint64_t hash_ranges(const struct session_head *h)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (uint32_t i = 0; i < h->superseded_len; i++) {
        hash = (hash ^ h->superseded[i].first) * UINT64_C(0x100000001b3);
        hash = (hash ^ h->superseded[i].last) * UINT64_C(0x100000001b3);
    }
    return hash;
}

static void forget_superseded(struct shelf *s, struct seen *seen, const struct session_head *h)
{
    uint64_t hash = hash_ranges(h);
    if (h->superseded_len && hash != seen->superseded) {
        for (uint32_t i = 0; i < h->superseded_len; i++)
            recall_forget(s->recall, slice_str(h->id), h->superseded[i].first,
                          h->superseded[i].last);
    }
    seen->superseded = hash;
}

static uint32_t last_closed(const struct session_head *h)
{
    return h->open_turn ? h->open_turn - 1 : h->turns;
}

// The first turn after `covered` that is to be added; past the last one if there is none.
static uint32_t first_new(const struct seen *seen, const struct session_head *h)
{
    uint32_t n = seen->covered + 1;
    for (uint32_t i = 0; i < h->superseded_len; i++) {
        if (h->superseded[i].first <= n && n <= h->superseded[i].last)
            n = h->superseded[i].last + 1;
    }
    return n;
}

// ---- a round: adding turns

static int add_step(struct shelf *s, const struct turn *t, uint32_t i, struct err *err)
{
    const struct step *step = &t->steps[i];
    safe_buf_clear(&s->text);
    content_text(&step->content, &s->text);
    int code = safe_buf_check(&s->text, "a message", err);
    struct slice text = safe_slice(safe_buf_text(&s->text));
    if (code || text.len == 0)
        return code;
    struct recall_item item = {
        .kind = RECALL_TURN,
        .session = slice_str(s->head->id),
        .context = slice_str(s->head->context),
        .turn = t->n,
        .step = (uint8_t)i,
        .speaker = slice_str(role_word(step->role)),
        .at_ms = step->at_ms,
        .tokens = step->tokens,
        .text = text,
    };
    return recall_add(s->recall, &item, err);
}

static bool was_dropped(const struct shelf *s, int64_t at_ms)
{
    return s->from_ms && at_ms <= s->from_ms;
}

// A turn is in the index as a whole or not at all.
static int take_turn(void *user, const struct turn *t, struct err *err)
{
    struct shelf *s = user;
    int code = E_OK;
    uint32_t added = 0;
    if (session_is_superseded(s->head, t->n) || was_dropped(s, t->steps[0].at_ms))
        return E_OK;
    for (uint32_t i = 0; i < t->steps_len && !code; i++) {
        code = add_step(s, t, i, err);
        added += !code;
    }
    if (code)
        recall_forget(s->recall, slice_str(s->head->id), t->n, t->n);
    s->tail += added;
    return code;
}

static struct seen *head_seen(const struct shelf *s)
{
    return map_get(s->seen, slice_str(s->head->id));
}

static void picked(struct ledger_op *op)
{
    struct shelf *s = op->user;
    struct seen *seen = head_seen(s);
    if (op->code) {
        // Some of what was read may be in the index: it is read off the segments what is.
        s->err = op->err;
        shelf_forget(s);
        session_list_release(&s->list);
        s->code = op->code;
        s->then(s);
        return;
    }
    seen->covered = s->pick_last;
    next_session(s);
}

static void pick(struct shelf *s, uint32_t first, uint32_t last)
{
    struct ledger_pick pick = {.partition = s->partition,
                               .session = s->head->id,
                               .key = s->key,
                               .first = first,
                               .take = take_turn,
                               .user = s};
    uint32_t most = s->allowance < PICK_TURNS ? s->allowance : PICK_TURNS;
    pick.last = last - first < most ? last : first + most - 1;
    s->allowance -= pick.last - first + 1;
    s->pick_last = pick.last;
    s->op = (struct ledger_op){.done = picked, .user = s};
    ledger_pick(s->w->ledger, &pick, &s->op);
}

int shelf_drop_oldest(struct shelf *s, struct recall_change *change)
{
    if (recall_docs(s->recall) + ROOM_DOCS <= RECALL_DOCS_MAX || !recall_drop(s->recall, change))
        return 0;
    s->from_ms = change->until_ms > s->from_ms ? change->until_ms : s->from_ms;
    // Memories may have been in it: they are made true again.
    shelf_forget_book(s);
    return 1;
}

static void tail_written(struct shelf *s)
{
    s->then = s->round_then;
    if (s->code)
        round_over(s, s->code);
    else
        next_session(s);
}

// Makes room for more; false when there was nothing to write.
static bool write_tail(struct shelf *s)
{
    struct recall_change change;
    int any = shelf_drop_oldest(s, &change);
    if (!any) {
        any = recall_seal(s->recall, 1, &change, &s->err);
        s->tail = 0;
    }
    s->unwritten = true;
    if (any < 0)
        round_over(s, any);
    else if (any)
        shelf_write(s, &change, tail_written);
    return any != 0;
}

// Heads come newest first; they are gone through from the oldest.
static void next_session(struct shelf *s)
{
    if (s->tail >= TAIL_FULL && write_tail(s))
        return;
    for (; s->list_at < s->list.heads_len; s->list_at++) {
        s->head = &s->list.heads[s->list.heads_len - 1 - s->list_at];
        struct seen *seen = head_seen(s);
        uint32_t first = first_new(seen, s->head), last = last_closed(s->head);
        if (was_dropped(s, s->head->last_active_at_ms) || strcmp(s->head->bot, s->bot) != 0)
            continue;
        if (first > last)
            continue;
        if (s->allowance == 0) {
            s->behind = true;
            break;
        }
        pick(s, first, last);
        return;
    }
    round_over(s, E_OK);
}

static void drop_vanished(struct shelf *s)
{
    size_t cursor = 0;
    struct slice id;
    void *value;
    while (map_next(s->seen, &cursor, &id, &value)) {
        if (((struct seen *)value)->round == s->round)
            continue;
        recall_forget(s->recall, id, 1, UINT32_MAX);
        map_remove(s->seen, id);
        mem_free(value);
    }
}

static void listed(struct session_list *list)
{
    struct shelf *s = list->user;
    s->list_at = 0;
    if (list->code) {
        s->err = list->err;
        round_over(s, list->code);
        return;
    }
    for (uint32_t i = 0; i < list->heads_len; i++) {
        const struct session_head *h = &list->heads[i];
        struct seen *seen = seen_of(s, slice_str(h->id));
        if (!seen) {
            round_over(s, err_set(&s->err, E_NOMEM, "out of memory for a recall index"));
            return;
        }
        seen->round = s->round;
        seen->version = h->version;
        if (!h->quarantined)
            forget_superseded(s, seen, h);
        if (h->purged) {
            s->purge |= recall_forget(s->recall, slice_str(h->id), 1, h->purged) > 0;
            seen->covered = h->purged;
        }
    }
    drop_vanished(s);
    next_session(s);
}

static void look(struct shelf *s)
{
    s->list = (struct session_list){.env = &s->w->session_env,
                                    .key = s->key,
                                    .known = is_known,
                                    .done = listed,
                                    .user = s};
    memcpy(s->list.partition, s->partition, sizeof(s->list.partition));
    s->list_at = 0;
    session_list(&s->list);
}

static void loaded(struct shelf *s)
{
    s->then = s->round_then;
    if (!s->code)
        s->code = map_new(&s->seen, SESSIONS_SEEN_MAX);
    if (s->code) {
        shelf_forget(s);
        s->then(s);
        return;
    }
    recall_covers(s->recall, covered, s);
    look(s);
}

void shelf_round(struct shelf *s, uint32_t allowance, void (*then)(struct shelf *s))
{
    s->round++;
    s->allowance = allowance;
    s->behind = false;
    s->code = E_OK;
    s->err = (struct err)ERR_INIT;
    s->then = s->round_then = then;
    if (s->recall)
        look(s);
    else
        shelf_load(s, loaded);
}

// ---- who asks

void shelf_step_over(struct shelf *s)
{
    s->busy = false;
    count_bytes(s);
    pump(s);
}

static void answer(struct shelf *s)
{
    struct run *run = s->line;
    s->line = run->shelf_next;
    if (!s->line)
        s->line_end = NULL;
    // Nobody else gets to it while it is asked.
    s->pins++;
    run->then(run);
    s->pins--;
    shelf_step_over(s);
}

void shelf_open(struct run *run, void (*then)(struct run *run))
{
    struct worker *w = run->w;
    char name[PARTITION_BYTES + BOT_NAME_BYTES + 1];
    struct err err = ERR_INIT;
    snprintf(name, sizeof(name), "%s/%s", run->partition, run->job->bot);
    struct shelf *s = run->shelf ? run->shelf : map_get(w->shelves, slice_str(name));
    run->then = then;
    if (!s && shelf_new(&s, run, name, &err)) {
        run->recall_err = err;
        then(run);
        return;
    }
    if (!run->shelf) {
        run->shelf = s;
        s->pins++;
    }
    unlink_order(s);
    link_newest(s);
    run->shelf_next = NULL;
    *(s->line ? &s->line_end->shelf_next : &s->line) = run;
    s->line_end = run;
    pump(s);
}

struct recall *shelf_recall(struct run *run, struct err *err)
{
    struct shelf *s = run->shelf;
    if (s && s->recall && !s->code)
        return s->recall;
    *err = s ? s->err : run->recall_err;
    return NULL;
}

void shelf_close(struct run *run)
{
    struct shelf *s = run->shelf;
    if (!s)
        return;
    run->shelf = NULL;
    s->pins--;
    s->stale = s->unwritten = true;
    batch_allow(s->batch);
    pump(s);
}

static void pump(struct shelf *s)
{
    struct worker *w = s->w;
    if (s->busy)
        return;
    if (s->erased || (w->draining && s->steps >= CLOSING_STEPS_MAX)) {
        struct err err = ERR_INIT;
        int code = s->erased ? err_set(&err, E_ERASED, "the user was erased")
                             : err_set(&err, E_CANCELLED, "the engine is closing");
        s->stale = s->unwritten = false;
        batch_drop(s->batch);
        shelf_purgers_end(s, code, &err);
    }
    if (s->line) {
        s->busy = true;
        shelf_round(s, s->line->job->verb == JOB_RECALL ? UINT32_MAX : ROUND_TURNS, answer);
    } else if (s->stale || s->unwritten) {
        s->busy = true;
        shelf_upkeep(s);
    } else {
        if (s->erased && !in_use(s))
            shelf_free(s);
        park_idle(w);
        worker_check_idle(w);
    }
}

void shelf_wake(struct shelf *s)
{
    s->unwritten = true;
    pump(s);
}
