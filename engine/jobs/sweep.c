// SPDX-License-Identifier: MIT
// sweep.c: one pass of the sweep.
//
//   clock record ─▶ time moved on (trust.h), written ─▶ page of what is due by then
//      each session: not archived ─▶ learnt from ─▶ archived
//                    archived     ─▶ turns deleted ─▶ recall forgets ─▶ its head is due no more
//
// What is handled leaves the list of what is due, as its head says when it is due next; so the page
// after begins at the last record that was left, also in the pass after one that ended early. A
// session that cannot be handled (damaged, written to meanwhile) is left, and harms no other. One
// that was not learnt from is not archived: who learns says when it gives up. Originals that a
// policy kept for a while (ledger/masks.h) are due when that ends, and deleted as they come up. So
// are slots of facts that the user's own words never bore out, which are dropped (model/fact.h).
#include "jobs/sweep.h"

#include "base/mem.h"

#include <stdio.h>

enum { PAGE = 100, CLOCK_TRIES_MAX = 3 };

struct sweep {
    struct jobs_env env;
    struct ledger *ledger;         // owned
    struct sweep_report report;
    struct job_pass *pass;         // under way; NULL: none
    struct trust trust;
    uint64_t clock_version;
    unsigned clock_tries;
    int64_t now_ms;                // the earlier of the clock and the trusted time
    uint32_t sessions, records;    // what this pass may still do
    int64_t until_ns;              // and how long, of the monotonic clock
    bool goes_on;                  // from the cursor: the pass before ended there
    bool behind;                   // something was left as this pass may do no more
    struct store_op op, page;
    struct store_item item;
    struct buf text, cursor;
    char cursor_partition[STORE_PARTITION_BYTES_MAX + 1];
    uint32_t row;
    char partition[PARTITION_BYTES], session[ID_TEXT_BYTES], bot[BOT_NAME_BYTES];
    const struct user_key *key;
    struct vault_request vault_request;
    struct chat *chat;             // the session that is being handled
    struct ledger_op ledger_op;
};

static void end(struct sweep *s, int code)
{
    struct job_pass *p = s->pass;

    chat_free(s->chat);
    s->chat = NULL;
    store_op_release(&s->op);
    store_op_release(&s->page);
    s->op = s->page = (struct store_op){0};
    s->pass = NULL;
    s->goes_on = s->goes_on && !code;
    p->code = code;
    p->over(p);
}

static struct store_op *store_op(struct sweep *s, enum store_verb verb, struct slice partition,
                                 void (*done)(struct store_op *op))
{
    store_op_release(&s->op);
    s->op = (struct store_op){.verb = verb, .loop = s->env.loop, .done = done,
                              .partition = partition};
    return &s->op;
}

// ---- a session

static void next_row(struct sweep *s);

static void handled(struct sweep *s)
{
    chat_free(s->chat);
    s->chat = NULL;
    s->row++;
    next_row(s);
}

// The record stays due: the page after begins behind it.
static void leave(struct sweep *s, const struct err *err)
{
    const struct record *row = &s->page.rows[s->row];

    if (err) {
        s->report.left++;
        log_line(s->env.log, LOG_WARN, "sweep: session=%s left: %s", s->session, err->message);
    }
    buf_clear(&s->cursor);
    buf_add_slice(&s->cursor, row->key);
    memcpy(s->cursor_partition, row->partition.ptr, row->partition.len);
    s->cursor_partition[row->partition.len] = '\0';
    handled(s);
}

// Somebody's message, damage, or a key that is gone are the session's own; what ails the store or
// the process ends the pass.
static bool failed(struct sweep *s, const struct ledger_op *op)
{
    if (op->code == E_OK)
        return false;
    if (op->code == E_STORE || op->code == E_NOMEM || op->code == E_BUSY) {
        s->pass->err = op->err;
        end(s, op->code);
    } else {
        leave(s, &op->err);
    }
    return true;
}

static void begin_op(struct sweep *s, void (*done)(struct ledger_op *op))
{
    s->ledger_op = (struct ledger_op){.done = done, .user = s};
}

static void purged(struct ledger_op *op)
{
    struct sweep *s = op->user;

    if (failed(s, op))
        return;
    s->report.purged += op->sessions;
    handled(s);
}

static void forgotten(void *arg, int code)
{
    struct sweep *s = arg;
    struct err err = ERR_INIT;

    if (code) {
        err_set(&err, code, "recall still remembers what was said there");
        leave(s, &err);
        return;
    }
    begin_op(s, purged);
    ledger_purged(s->chat, &s->ledger_op);
}

static void recall_found(struct store_op *op)
{
    struct sweep *s = CONTAINER_OF(op, struct sweep, op);
    bool any = op->rows_len > 0;

    if (op->code && op->code != E_CORRUPT) {
        s->pass->err = op->err;
        end(s, op->code);
        return;
    }
    if ((any || op->code) && s->env.forget)
        s->env.forget(s->env.user, s->partition, s->bot, forgotten, s);
    else
        forgotten(s, E_OK);
}

static void turns_deleted(struct ledger_op *op)
{
    struct sweep *s = op->user;

    if (failed(s, op))
        return;
    s->records -= op->turns;
    s->report.records += op->turns;
    if (op->sessions == 0) {  // not due any more
        leave(s, NULL);
        return;
    }
    if (op->more) {
        s->behind = true;
        leave(s, NULL);
        return;
    }
    memcpy(s->bot, s->chat->head.bot, sizeof(s->bot));
    key_recall(&s->text, s->bot);
    store_op(s, STORE_GET, slice_str(s->partition), recall_found)->key = buf_slice(&s->text);
    store_submit(s->env.store, &s->op);
}

static void archived(struct ledger_op *op)
{
    struct sweep *s = op->user;

    if (failed(s, op))
        return;
    s->report.archived += op->sessions;
    if (op->sessions)
        handled(s);
    else
        leave(s, NULL);  // a message came, or it is listed late
}

static void archive(struct sweep *s)
{
    begin_op(s, archived);
    ledger_archive(s->chat, s->now_ms, s->trust.trusted_ms, &s->ledger_op);
}

static void learnt(void *arg, int code)
{
    struct sweep *s = arg;

    s->report.learnt += code == E_OK;
    if (code == E_OK || code == E_NOT_FOUND) {
        archive(s);
    } else if (code == E_STORE || code == E_NOMEM) {
        err_set(&s->pass->err, code, "session %s could not be learnt from", s->session);
        end(s, code);
    } else {
        // Who learns has told the log.
        s->report.failed += code != E_BUSY && code != E_CANCELLED && code != E_ERASED;
        leave(s, NULL);
    }
}

// Which of the two it is, the row tells; whether it is so, the head that is read then.
static bool says_archived(const struct record *row)
{
    struct session_head h = {0};
    bool is = session_read_meta(&h, row->meta, NULL) == E_OK && h.status == SESSION_ARCHIVED;

    session_head_release(&h);
    return is;
}

static void handle(struct sweep *s)
{
    struct session_head head = {.version = UINT64_MAX};  // none: it is read first
    struct err err = ERR_INIT;

    memcpy(head.id, s->session, sizeof(head.id));
    memcpy(head.partition, s->partition, sizeof(head.partition));
    int code = chat_new(&s->chat, s->ledger, &head, s->key, &err);
    if (code) {
        s->pass->err = err;
        end(s, code);
    } else if (!says_archived(&s->page.rows[s->row])) {
        if (s->env.learn)
            s->env.learn(s->env.user, s->partition, s->session, learnt, s);
        else
            archive(s);
    } else if (s->records == 0) {
        s->behind = true;
        leave(s, NULL);
    } else {
        begin_op(s, turns_deleted);
        ledger_purge(s->chat, s->now_ms, s->records, &s->ledger_op);
    }
}

static void key_found(struct vault_request *request)
{
    struct sweep *s = CONTAINER_OF(request, struct sweep, vault_request);

    s->key = request->key;
    if (request->code)
        leave(s, &request->err);
    else
        handle(s);
}

static void find_key(struct sweep *s)
{
    s->key = vault_find_key(s->env.vault, s->partition);
    if (s->key) {
        handle(s);
        return;
    }
    s->vault_request = (struct vault_request){.loop = s->env.loop, .done = key_found};
    memcpy(s->vault_request.partition, s->partition, sizeof(s->vault_request.partition));
    vault_user_key(s->env.vault, &s->vault_request);
}

// ---- what a mask stands for, whose time is over

static void original_deleted(struct store_op *op)
{
    struct sweep *s = CONTAINER_OF(op, struct sweep, op);

    if (op->code == E_STORE || op->code == E_NOMEM) {
        s->pass->err = op->err;
        end(s, op->code);
    } else if (op->code) {
        leave(s, NULL);  // it was put anew meanwhile, or its user was erased
    } else {
        s->report.records++;
        handled(s);
    }
}

static bool is_original(const struct record *row)
{
    return slice_starts(row->key, SLICE_LIT("original/")) && row->version;
}

static void delete_original(struct sweep *s)
{
    const struct record *row = &s->page.rows[s->row];

    s->item = (struct store_item){.verb = STORE_DELETE, .key = row->key, .version = row->version};
    struct store_op *op = store_op(s, STORE_COMMIT, row->partition, original_deleted);
    op->items = &s->item;
    op->items_len = 1;
    s->records--;
    store_submit(s->env.store, op);
}

// ---- facts that nobody vouches for

static bool has_quarantined(const struct sweep *s, const struct record *row)
{
    struct slice parts[3] = {SLICE_NONE, SLICE_NONE, SLICE_NONE};

    return s->env.drop_quarantined && row->partition.len < sizeof(s->partition) &&
           key_split(row->key, parts, 3) == 3 && parts[1].len < sizeof(s->bot) &&
           (slice_is(parts[0], "fact") || slice_is(parts[0], "knowledge"));
}

static void dropped(void *arg, int code)
{
    struct sweep *s = arg;

    if (code == E_STORE || code == E_NOMEM) {
        err_set(&s->pass->err, code, "facts in quarantine could not be dropped");
        end(s, code);
        return;
    }
    s->report.failed += code != E_OK && code != E_ERASED && code != E_CANCELLED;
    leave(s, NULL);
}

static void drop_quarantined(struct sweep *s)
{
    const struct record *row = &s->page.rows[s->row];
    struct slice parts[3];

    key_split(row->key, parts, 3);
    snprintf(s->partition, sizeof(s->partition), "%.*s", SLICE_FMT(row->partition));
    snprintf(s->bot, sizeof(s->bot), "%.*s", SLICE_FMT(parts[1]));
    s->sessions--;
    s->env.drop_quarantined(s->env.user, s->partition, s->bot, s->now_ms, dropped, s);
}

// ---- pages

// Other things are due too; they are other jobs' own.
static bool read_row(struct sweep *s, const struct record *row)
{
    struct slice parts[2] = {SLICE_NONE, SLICE_NONE};

    if (row->partition.len >= sizeof(s->partition) || key_split(row->key, parts, 2) != 2 ||
        !slice_is(parts[0], "session") || !id_valid(parts[1]))
        return false;
    memcpy(s->partition, row->partition.ptr, row->partition.len);
    s->partition[row->partition.len] = '\0';
    memcpy(s->session, parts[1].ptr, parts[1].len);
    s->session[parts[1].len] = '\0';
    return true;
}

static void next_page(struct sweep *s);

static void next_row(struct sweep *s)
{
    if (s->pass->stop) {
        end(s, E_OK);
        return;
    }
    if (s->row == s->page.rows_len) {
        if (s->page.more) {
            next_page(s);
            return;
        }
        s->pass->more = s->behind;
        s->goes_on = s->behind = false;
        end(s, E_OK);
        return;
    }
    if (s->sessions == 0 || clock_mono_ns(s->env.clock) > s->until_ns) {
        s->pass->more = s->goes_on = true;
        end(s, E_OK);
        return;
    }
    if (is_original(&s->page.rows[s->row])) {
        if (s->records) {
            delete_original(s);
        } else {
            s->behind = true;
            leave(s, NULL);
        }
        return;
    }
    if (has_quarantined(s, &s->page.rows[s->row])) {
        drop_quarantined(s);
        return;
    }
    if (!read_row(s, &s->page.rows[s->row])) {
        leave(s, NULL);
        return;
    }
    s->sessions--;
    s->report.looked++;
    find_key(s);
}

static void page_read(struct store_op *op)
{
    struct sweep *s = CONTAINER_OF(op, struct sweep, op);

    if (op->code) {
        s->pass->err = op->err;
        end(s, op->code);
        return;
    }
    store_op_release(&s->page);
    s->page = *op;
    *op = (struct store_op){0};
    s->row = 0;
    next_row(s);
}

static void next_page(struct sweep *s)
{
    int code = buf_check(&s->cursor, "a record's key", &s->pass->err);

    if (code) {
        end(s, code);
        return;
    }
    struct store_op *op = store_op(s, STORE_DUE, slice_str(s->cursor_partition), page_read);
    op->after = buf_slice(&s->cursor);
    op->before_ms = s->now_ms < INT64_MAX ? s->now_ms + 1 : INT64_MAX;
    op->limit = PAGE;
    store_submit(s->env.store, op);
}

// ---- what time it is

static void read_clock(struct sweep *s);

static void clock_written(struct store_op *op)
{
    struct sweep *s = CONTAINER_OF(op, struct sweep, op);

    if (op->code == E_CONFLICT && ++s->clock_tries < CLOCK_TRIES_MAX) {
        read_clock(s);
    } else if (op->code) {
        s->pass->err = op->err;
        err_prefix(&s->pass->err, "keeping the time: ");
        end(s, op->code);
    } else {
        if (!s->goes_on) {
            buf_clear(&s->cursor);
            s->cursor_partition[0] = '\0';
        }
        next_page(s);
    }
}

static void clock_read(struct store_op *op)
{
    struct sweep *s = CONTAINER_OF(op, struct sweep, op);
    int64_t wall = clock_wall_ms(s->env.clock);
    int code = op->code;

    s->trust = (struct trust){0};
    s->clock_version = op->rows_len ? op->rows[0].version : 0;
    s->pass->err = op->err;
    if (!code && op->rows_len)
        code = trust_read(s->env.vault, &op->rows[0], &s->trust, &s->pass->err);
    if (code == E_CORRUPT)
        log_line(s->env.log, LOG_ERROR, "sweep: the record of time: %s; it begins anew",
                 s->pass->err.message);
    if (code && code != E_CORRUPT) {
        end(s, code);
        return;
    }
    s->report.ahead_ms =
        trust_advance(&s->trust, wall, clock_boot_ms(s->env.clock), s->env.boot_id);
    if (s->pass->trust_clock || s->env.believe_clock) {
        trust_clock(&s->trust, wall);
        s->report.ahead_ms = 0;
    }
    s->report.trusted_ms = s->trust.trusted_ms;
    s->now_ms = wall < s->trust.trusted_ms ? wall : s->trust.trusted_ms;
    buf_clear(&s->text);
    trust_write(s->env.vault, &s->trust, &s->text);
    code = buf_check(&s->text, "a record's meta", &s->pass->err);
    if (code) {
        end(s, code);
        return;
    }
    s->item = (struct store_item){.verb = s->clock_version ? STORE_PUT : STORE_INSERT,
                                  .key = SLICE_LIT(HOUSE_CLOCK_KEY),
                                  .version = s->clock_version,
                                  .meta = buf_slice(&s->text)};
    op = store_op(s, STORE_COMMIT, SLICE_LIT(HOUSE_PARTITION), clock_written);
    op->items = &s->item;
    op->items_len = 1;
    store_submit(s->env.store, op);
}

static void read_clock(struct sweep *s)
{
    store_op(s, STORE_GET, SLICE_LIT(HOUSE_PARTITION), clock_read)->key =
        SLICE_LIT(HOUSE_CLOCK_KEY);
    store_submit(s->env.store, &s->op);
}

static void pass(void *self, struct job_pass *p)
{
    struct sweep *s = self;

    BUG_ON(s->pass);
    s->pass = p;
    s->clock_tries = 0;
    s->sessions = SWEEP_SESSIONS_MAX;
    s->records = SWEEP_RECORDS_MAX;
    s->until_ns = clock_mono_ns(s->env.clock) + SWEEP_MS_MAX * INT64_C(1000000);
    read_clock(s);
}

// ---- life

int sweep_new(struct sweep **out, const struct jobs_env *env, struct err *err)
{
    struct sweep *s = mem_zalloc(sizeof(*s));
    struct ledger_env ledger_env = {.store = env->store, .vault = env->vault, .loop = env->loop,
                                    .clock = env->clock, .rand = env->rand, .log = env->log};

    *out = NULL;
    if (!s)
        return err_set(err, E_NOMEM, "out of memory for the sweep");
    s->env = *env;
    buf_init(&s->text, RECORD_META_BYTES_MAX);
    buf_init(&s->cursor, RECORD_KEY_BYTES_MAX);
    int code = ledger_new(&s->ledger, &ledger_env, err);
    if (code) {
        sweep_free(s);
        return code;
    }
    *out = s;
    return E_OK;
}

void sweep_free(struct sweep *s)
{
    if (!s)
        return;
    BUG_ON(s->pass);
    ledger_free(s->ledger);
    buf_release(&s->text);
    buf_release(&s->cursor);
    mem_free(s);
}

struct runner_job sweep_job(struct sweep *s)
{
    return (struct runner_job){.name = "sweep", .pass = pass, .self = s};
}

struct sweep_report sweep_report(const struct sweep *s)
{
    return s->report;
}

void sweep_report_clear(struct sweep *s)
{
    s->report = (struct sweep_report){0};
}
