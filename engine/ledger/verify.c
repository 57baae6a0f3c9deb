// SPDX-License-Identifier: MIT
// verify.c: every record of a partition against the rules and against each other.
//
// A pass for each kind of record, sessions first; each reads its records once, in order, and tells
// what is wrong in a line each. The store may be in use meanwhile, and a session that moves between
// two passes looks damaged: so a partition with problems is read again, and they are told when two
// readings agree, or the last has them. One thread, see ledger_int.h.
#include "ledger/house.h"
#include "ledger/verify_int.h"

#include "base/mem.h"

#include <stdio.h>

enum { SESSIONS_MAX = 1 << 20, READINGS_MAX = 3, REPORT_BYTES_MAX = 16 << 20 };

struct verify {
    struct work *work;
    char partition[PARTITION_BYTES];
    const struct user_key *key;
    struct buf *out;                 // the caller's
    struct buf report, before;       // of this reading, and of the one before
    unsigned reading;
    unsigned pass;
    struct map *sessions;
    struct verify_memory memory;
    struct checked *cur;             // of the turn pass
    struct reader reader;
    struct safe_buf body;
    uint32_t orphans;                // told
    struct buf orphan;               // kind and id of the session that was told not to be there
    uint32_t turns;
    bool any_user;
    bool no_memory;
};

static void forget_sessions(struct verify *s)
{
    size_t cursor = 0;
    void *value;

    while (s->sessions && map_next(s->sessions, &cursor, NULL, &value)) {
        session_head_release(&((struct checked *)value)->head);
        mem_free(value);
    }
    map_free(s->sessions);
    s->sessions = NULL;
    s->cur = NULL;
}

static void drop_verify(void *state)
{
    struct verify *s = state;

    forget_sessions(s);
    verify_memory_release(&s->memory);
    reader_release(&s->reader);
    safe_buf_release(&s->body);
    buf_release(&s->orphan);
    buf_release(&s->report);
    buf_release(&s->before);
}

__attribute__((format(printf, 2, 3))) static void problem(struct verify *s, const char *fmt, ...)
{
    char line[ERR_MESSAGE_BYTES * 2];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    buf_add_str(&s->report, line);
    buf_add_char(&s->report, '\n');
}

static const char restore[] = "restore the store from a backup, or start a new session";

// The session that a key's second part names. NULL when there is none, which is told once a pass
// and session, or when its head is damaged, which was told.
static struct checked *session_of(struct verify *s, const struct record *row)
{
    struct slice parts[3] = {SLICE_NONE, SLICE_NONE, SLICE_NONE};

    key_split(row->key, parts, 3);
    struct checked *c = map_get(s->sessions, parts[1]);
    struct slice stem = slice_of(row->key.ptr, parts[0].len + 1 + parts[1].len);
    if (!c && !slice_eq(stem, buf_slice(&s->orphan))) {
        buf_clear(&s->orphan);
        buf_add_slice(&s->orphan, stem);
        // An import makes no attempts and no summaries.
        s->orphans += !slice_is(parts[0], "attempt") && !slice_is(parts[0], "summary");
        problem(s, "%.*s: records of no session; a half import leaves them: import it again",
                SLICE_FMT(stem));
    }
    return c && !c->damaged ? c : NULL;
}

// Lack of memory is no damage: the whole verification then fails.
static bool fine(struct verify *s, int code)
{
    s->no_memory |= code == E_NOMEM;
    return code == E_OK;
}

static bool opens(struct verify *s, const struct record *row, struct err *err)
{
    safe_buf_clear(&s->body);
    return fine(s, ledger_unseal(s->work->ledger, s->key, row, &s->body, err));
}

static bool reads(struct verify *s, const struct record *row, struct json *meta, struct err *err)
{
    return fine(s, ledger_read_json(s->work->ledger, s->key, row, meta, err));
}

// ---- the passes

static void check_session(struct verify *s, const struct record *row)
{
    struct slice parts[2] = {SLICE_NONE, SLICE_NONE};
    struct err err = ERR_INIT;
    struct checked *c = mem_zalloc(sizeof(*c));

    key_split(row->key, parts, 2);
    if (!c || map_set(s->sessions, parts[1], c, NULL)) {
        mem_free(c);
        s->no_memory = true;
        return;
    }
    c->damaged = !opens(s, row, &err) || !fine(s, session_read_meta(&c->head, row->meta, &err)) ||
                 !fine(s, session_read_body(&c->head, safe_buf_text(&s->body), &err));
    if (!id_valid(parts[1])) {
        c->damaged = true;
        err_set(&err, E_CORRUPT, "not a session id");
    } else {
        memcpy(c->head.id, parts[1].ptr, parts[1].len);
    }
    if (c->damaged) {
        problem(s, "session %.*s: %s; %s", SLICE_FMT(parts[1]), err.message, restore);
        return;
    }
    c->bad_open = c->head.open_turn && c->head.open_turn != c->head.turns;
    if (c->bad_open)
        problem(s, "session %s: turn %u is open and not the last of %u; %s", c->head.id,
                c->head.open_turn, c->head.turns, restore);
}

// A call beside the turns: there is no session to it.
static void check_call(struct verify *s, const struct record *row)
{
    struct attempt a = {0};
    struct err err = ERR_INIT;

    if (!opens(s, row, &err) || !fine(s, attempt_read_meta(&a, row->meta, &err)))
        problem(s, "%.*s: not an attempt: %s; what it cost is unknown", SLICE_FMT(row->key),
                err.message);
    else if (!attempt_of_no_turn(a.kind))
        problem(s, "%.*s: an attempt of kind %s, of no turn; harmless", SLICE_FMT(row->key),
                attempt_kind_word(a.kind));
    else if ((a.status == ATTEMPT_OPEN) != (row->due_at_ms != 0))
        problem(s, "%.*s: a call that is %s and %s due; harmless", SLICE_FMT(row->key),
                attempt_status_word(a.status), row->due_at_ms ? "still" : "not");
}

static void check_attempt(struct verify *s, const struct record *row)
{
    struct attempt a = {0};
    struct err err = ERR_INIT;
    struct slice session;
    uint32_t at[3];

    if (key_ordinals(row->key, &session, at) == 2 && at[0] == 0) {
        check_call(s, row);
        return;
    }
    struct checked *c = session_of(s, row);
    if (!c)
        return;
    const char *id = c->head.id;
    if (key_ordinals(row->key, &session, at) != 2 || !opens(s, row, &err) ||
        !fine(s, attempt_read_meta(&a, row->meta, &err))) {
        problem(s, "session %s: %.*s: not an attempt: %s; %s", id, SLICE_FMT(row->key), err.message,
                restore);
    } else if (at[0] > c->head.turns) {
        problem(s, "session %s: attempt %u of turn %u: there is no such turn; %s", id, at[1], at[0],
                restore);
    } else if (a.status != ATTEMPT_OPEN) {
        if (row->due_at_ms)
            problem(s, "session %s: attempt %u of turn %u is settled and still due; harmless", id,
                    at[1], at[0]);
    } else if (a.kind == ATTEMPT_SUMMARY) {
        // Under way; or its process died, and the next recovery finds it.
        if (!row->due_at_ms)
            problem(s, "session %s: attempt %u of turn %u, for a summary, is open and not due; "
                    "harmless", id, at[1], at[0]);
    } else if (at[0] != c->head.open_turn) {
        problem(s,
                "session %s: attempt %u of turn %u is open, the turn is not: the next recovery "
                "settles it as lost, an unknown of the bill",
                id, at[1], at[0]);
    } else {
        c->open_attempts++;
        if (!row->due_at_ms)
            problem(s,
                    "session %s: attempt %u of turn %u is open and not due: no recovery finds it; "
                    "open the session, which settles it",
                    id, at[1], at[0]);
    }
}

static void check_event(struct verify *s, const struct record *row)
{
    struct checked *c = session_of(s, row);
    struct err err = ERR_INIT;
    struct slice session;
    uint32_t at[3];

    if (!c)
        return;
    unsigned len = key_ordinals(row->key, &session, at);
    struct json meta;
    if (len == 0 || at[0] > c->head.events) {
        problem(s, "session %s: %.*s: the session has only %u events; %s", c->head.id,
                SLICE_FMT(row->key), c->head.events, restore);
    } else if (!reads(s, row, &meta, &err)) {
        problem(s, "session %s: event %u: %s; %s", c->head.id, at[0], err.message, restore);
    } else if (len == 1) {
        c->events++;
        c->system_events += json_is_string(json_get(meta, "kind"), "system");
    }
}

static void check_key(struct verify *s, const struct record *row)
{
    struct buf scratch = BUF_INIT(ID_TEXT_BYTES);
    struct json meta;

    reads(s, row, &meta, NULL);
    struct slice session = json_text(json_get(meta, "session"), &scratch);
    int64_t turn = json_i64(json_get(meta, "turn"), 0);
    const struct checked *c = map_get(s->sessions, session);

    if (!c)
        problem(s, "%.*s: names a session that is not there; a message sent again with this key is "
                   "refused: use another", SLICE_FMT(row->key));
    else if (!c->damaged && (turn < 1 || turn > c->head.turns))
        problem(s,
                "session %s: %.*s: names turn %lld, which is not there; a message sent again with "
                "this key is refused: use another",
                c->head.id, SLICE_FMT(row->key), (long long)turn);
    buf_release(&scratch);
}

static void check_part(struct verify *s, const struct record *row)
{
    struct checked *c = session_of(s, row);
    struct err err = ERR_INIT;
    struct slice session;
    uint32_t at[3];

    if (!c)
        return;
    if (key_ordinals(row->key, &session, at) != 3 || at[0] != c->head.open_turn)
        problem(s, "session %s: %.*s: kept of a reply that is not under way; harmless", c->head.id,
                SLICE_FMT(row->key));
    else if (!opens(s, row, &err))
        problem(s, "session %s: turn %u: %s; its reply begins with what comes before", c->head.id,
                at[0], err.message);
}

static void missing(struct verify *s, struct checked *c, uint32_t first, uint32_t last)
{
    c->bad_turns = true;
    if (first == last)
        problem(s, "session %s: turn %u: its records are not there; %s", c->head.id, first,
                restore);
    else
        problem(s, "session %s: turn %u to %u: their records are not there; %s", c->head.id, first,
                last, restore);
}

static int take_turn(void *user, struct turn *t, struct err *err)
{
    struct verify *s = user;
    struct checked *c = s->cur;
    struct err rule = ERR_INIT;

    (void)err;
    s->turns++;
    if (t->n > c->turns + 1)
        missing(s, c, c->turns + 1, t->n - 1);
    c->turns = t->n;
    t->superseded = session_is_superseded(&c->head, t->n);
    // What could not be read was told; a turn that lacks it need not be told again.
    if (!s->reader.damaged && !c->bad_open && rules_check_turns(&c->head, t, 1, &rule)) {
        c->bad_turns = true;
        problem(s, "session %s: %s; %s", c->head.id, rule.message, restore);
    }
    c->bad_turns |= s->reader.damaged;
    if (!t->superseded)
        c->tokens += turn_tokens(t);
    turn_release(t);
    return E_OK;
}

static void end_turns(struct verify *s)
{
    struct err err = ERR_INIT;

    if (s->cur && !fine(s, reader_end(&s->reader, &err)))
        problem(s, "session %s: %s; %s", s->cur->head.id, err.message, restore);
    s->cur = NULL;
}

static void check_turn_record(struct verify *s, const struct record *row)
{
    struct slice parts[3] = {SLICE_NONE, SLICE_NONE, SLICE_NONE};
    struct err err = ERR_INIT;

    key_split(row->key, parts, 3);
    if (!s->cur || !slice_is(parts[1], s->cur->head.id)) {
        end_turns(s);
        s->cur = session_of(s, row);
    }
    // What is being deleted is not looked at.
    if (s->cur && !s->cur->head.purged && !fine(s, reader_row(&s->reader, row, &err))) {
        s->cur->bad_turns = true;
        problem(s, "session %s: %s; %s", s->cur->head.id, err.message, restore);
    }
}

static void check_pointer(struct verify *s, const struct record *row)
{
    struct buf scratch = BUF_INIT(ID_TEXT_BYTES);
    struct json meta;

    if (!reads(s, row, &meta, NULL) ||
        !map_get(s->sessions, json_text(json_get(meta, "session"), &scratch)))
        problem(s, "%.*s: points at no session; open one by its id, or start a new one",
                SLICE_FMT(row->key));
    buf_release(&scratch);
}

static void check_user(struct verify *s, const struct record *row)
{
    struct err err = ERR_INIT;
    char user[USER_BYTES];

    s->any_user = true;
    if (!opens(s, row, &err) || !fine(s, user_read_body(user, safe_buf_text(&s->body), &err)))
        problem(s, "%.*s: %s; it is written anew with the user's next session", SLICE_FMT(row->key),
                err.message);
}

static void check_summary(struct verify *s, const struct record *row)
{
    struct checked *c = session_of(s, row);
    struct err err = ERR_INIT;
    struct summary read;
    struct slice session;
    uint32_t at[3];

    if (!c)
        return;
    summary_init(&read);
    bool good = key_ordinals(row->key, &session, at) == 1 && opens(s, row, &err) &&
                fine(s, summary_read_meta(&read, row->meta, &err));
    if (!good)
        problem(s, "session %s: %.*s: %s; another is made in time", c->head.id,
                SLICE_FMT(row->key), err.message);
    else if (at[0] > c->head.turns || read.turns > at[0])
        problem(s, "session %s: %.*s: stands for turns that are not there; another is made in time",
                c->head.id, SLICE_FMT(row->key));
    summary_release(&read);
}

// Learned, and can be learned again.
static void check_tokens(struct verify *s, const struct record *row)
{
    struct err err = ERR_INIT;
    struct calibration c;

    if (!fine(s, house_read_calibration(s->work->ledger->env.vault, row, &c, &err)))
        problem(s, "%.*s: %s; it is learned anew", SLICE_FMT(row->key), err.message);
}

static bool is_known(struct slice key);

static void check_outbox(struct verify *s, const struct record *row)
{
    struct audit_note note;
    struct err err = ERR_INIT;

    if (!opens(s, row, &err) || !fine(s, audit_note_read(&note, row->meta, &err)))
        problem(s, "%.*s: %s; what it tells is missing in the audit trail", SLICE_FMT(row->key),
                err.message);
}

static void check_remembered(struct verify *s, const struct record *row)
{
    struct err err = ERR_INIT;

    if (!opens(s, row, &err) ||
        !fine(s, verify_memory_check(&s->memory, s->sessions, row, safe_buf_text(&s->body), &err)))
        problem(s, "%.*s: %s; that alone is not remembered, forget it or put a backup back",
                SLICE_FMT(row->key), err.message);
}

// Of these only the seal is looked at.
static void check_seal(struct verify *s, const struct record *row)
{
    struct err err = ERR_INIT;
    const char *harm = slice_starts(row->key, SLICE_LIT("recall/"))
                           ? "it is made anew when something is to be recalled"
                       : slice_starts(row->key, SLICE_LIT("spend/"))
                           ? "today's budget of this user is not held by it"
                           : restore;

    if (!opens(s, row, &err))
        problem(s, "%.*s: %s; %s", SLICE_FMT(row->key), err.message, harm);
}

// A key that was changed may name no kind that any other pass reads.
static void check_kind(struct verify *s, const struct record *row)
{
    struct err err = ERR_INIT;
    int code = s->partition[0] == '~' ? house_check(s->work->ledger->env.vault, row, &err)
               : is_known(row->key)   ? E_OK
                                      : err_set(&err, E_CORRUPT, "nothing of ours");

    if (!fine(s, code))
        problem(s, "record %.*s of partition %s: %s; %s", SLICE_FMT(row->key), s->partition,
                err.message, restore);
}

// Sessions first, as the others are held against them. What is the house's has no sessions.
static const struct pass {
    const char *prefix;
    void (*check)(struct verify *s, const struct record *row);
} passes[] = {
    {"session/", check_session}, {"attempt/", check_attempt},   {"event/", check_event},
    {"key/", check_key},         {"part/", check_part},         {"turn/", check_turn_record},
    {"head/", check_pointer},    {"user", check_user},       {"recall/", check_seal},
    {AUDIT_OUTBOX, check_outbox}, {"original/", check_seal},
    {"masks/", check_seal},     {"spend/", check_seal},    {"summary/", check_summary},
    {"fact/", check_remembered}, {"knowledge/", check_remembered}, {"journal/", check_remembered},
    {"core/", check_remembered}, {"learnt/", check_remembered}, {"memory/", check_remembered},
    {"tokens/", check_tokens},   {"", check_kind},
};
enum { PASSES = sizeof(passes) / sizeof(passes[0]), HOUSE_PASSES = 2 /* the last ones */ };

static bool is_known(struct slice key)
{
    for (unsigned i = 0; i + 1 < PASSES; i++)
        if (slice_starts(key, slice_str(passes[i].prefix)))
            return true;
    return false;
}

// ---- a reading

static void check_sums(struct verify *s, struct checked *c)
{
    const struct session_head *h = &c->head;

    if (c->damaged || h->purged || h->purging)
        return;
    if (c->turns < h->turns)
        missing(s, c, c->turns + 1, h->turns);
    if (h->open_turn && c->open_attempts != 1)
        problem(s, "session %s: turn %u is open, and %u attempts of it are; %s", h->id,
                h->open_turn, c->open_attempts, restore);
    if (c->events != h->events)
        problem(s, "session %s: has %u of %u events; %s", h->id, c->events, h->events, restore);
    if (h->system_hash && c->system_events == 0)
        problem(s, "session %s: the event with its system prompt is not there; %s", h->id, restore);
    if (!c->bad_turns && c->tokens != h->tokens)
        problem(s, "session %s: says %llu tokens, its turns say %llu; harmless", h->id,
                (unsigned long long)h->tokens, (unsigned long long)c->tokens);
}

static void begin_reading(struct work *w);

static void end_reading(struct work *w)
{
    struct verify *s = w->state;
    struct ledger_op *op = w->op;
    size_t cursor = 0;
    void *value;

    while (map_next(s->sessions, &cursor, NULL, &value))
        check_sums(s, value);
    op->sessions = (uint32_t)map_len(s->sessions);
    op->turns = s->turns;
    op->orphans = s->orphans;
    if (op->sessions && !s->any_user)
        problem(s, "user: the partition has no user record; it is written with the next session");
    int code = s->no_memory ? err_set(&op->err, E_NOMEM, "out of memory while verifying")
                            : buf_check(&s->report, "the report", &op->err);
    if (!code && s->report.len && ++s->reading < READINGS_MAX &&
        !slice_eq(buf_slice(&s->report), buf_slice(&s->before))) {
        struct buf old = s->before;

        s->before = s->report;
        s->report = old;
        begin_reading(w);
        return;
    }
    if (!code) {
        buf_add_slice(s->out, buf_slice(&s->report));
        code = buf_check(s->out, "the report", &op->err);
    }
    work_end(w, code);
}

static void next_pass(struct work *w);

static void page_read(struct work *w)
{
    struct verify *s = w->state;

    if (!work_store_ok(w, "verifying"))
        return;
    for (uint32_t i = 0; i < w->store.rows_len; i++)
        passes[s->pass].check(s, &w->store.rows[i]);
    if (work_scan_more(w))
        return;
    end_turns(s);
    s->pass++;
    next_pass(w);
}

static void next_pass(struct work *w)
{
    struct verify *s = w->state;

    if (s->pass == PASSES) {
        end_reading(w);
        return;
    }
    buf_clear(&w->prefix);
    buf_add_str(&w->prefix, passes[s->pass].prefix);
    buf_clear(&w->after);
    work_scan(w, s->partition, page_read);
}

static void begin_reading(struct work *w)
{
    struct verify *s = w->state;

    forget_sessions(s);
    verify_memory_release(&s->memory);
    buf_clear(&s->report);
    buf_clear(&s->orphan);
    s->pass = s->partition[0] == '~' ? PASSES - HOUSE_PASSES : 0;
    s->turns = s->orphans = 0;
    s->any_user = false;
    if (map_new(&s->sessions, SESSIONS_MAX)) {
        s->sessions = NULL;
        work_fail(w, E_NOMEM, "out of memory while verifying");
        return;
    }
    next_pass(w);
}

void ledger_verify(struct ledger *l, const char *partition, const struct user_key *key,
                   struct buf *report, struct ledger_op *op)
{
    struct work *w = work_begin(l, NULL, op);
    struct verify *s = w ? work_state(w, sizeof(*s), drop_verify) : NULL;

    if (!s)
        return;
    s->work = w;
    s->key = key;
    s->out = report;
    memcpy(s->partition, partition, strnlen(partition, sizeof(s->partition) - 1));
    buf_init(&s->report, REPORT_BYTES_MAX);
    buf_init(&s->before, REPORT_BYTES_MAX);
    buf_init(&s->orphan, RECORD_KEY_BYTES_MAX);
    safe_buf_init(&s->body, BODY_BYTES_MAX);
    reader_init(&s->reader, l, key);
    s->reader.on_turn = take_turn;
    s->reader.user = s;
    begin_reading(w);
}
