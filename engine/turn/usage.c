// SPDX-License-Identifier: MIT
// usage.c: tokens and money, summed over the attempts by day, bot, model, user or session: of
// everybody, one user, or one session.
#include "turn/resolve.h"

enum { USAGE_ROWS_MAX = 100000, USAGE_PAGE = 500, USAGE_NAME_BYTES = 512, FULL_PERCENT = 80 };

// How the requests of a session grew: what its first and its newest answered one used.
struct growth {
    uint32_t first_turn, last_turn;
    int64_t first_tokens, last_tokens;  // of input
    int64_t next_tokens;                // the newest one's and its reply: so the next begins
    uint64_t window_tokens;             // of the model that was asked last
};

struct usage_row {
    char *name; // owned
    struct growth growth;
    struct usage sum;
    uint64_t calls, estimated_calls;
    uint64_t unknown_calls;  // open or lost: whether they were billed is a declared unknown
};
struct tally {
    struct vec rows;     // of struct usage_row
    struct map *by_name; // name -> index + 1
    struct usage_row total;
    struct store_op op;
    uint64_t unreadable;     // calls whose record is damaged
    bool damaged;            // and there may be more
    struct safe_buf body;    // scratch
    struct run *run;
    struct buf prefix, after;
    struct buf budgets;      // a JSON array
};

static void tally_free(void *extra)
{
    struct tally *t = extra;
    for (size_t i = 0; i < t->rows.len; i++)
        mem_free(VEC_AT(&t->rows, struct usage_row, i)->name);
    vec_release(&t->rows);
    map_free(t->by_name);
    safe_buf_release(&t->body);
    buf_release(&t->prefix);
    buf_release(&t->after);
    buf_release(&t->budgets);
    mem_free(t);
}

static void name_of(const struct run *run, const struct record *r, const struct attempt *a,
                    char *out)
{
    const char *by = run->job->by;
    struct slice parts[3];
    char time[CLOCK_TEXT_BYTES];
    if (strcmp(by, "bot") == 0) {
        snprintf(out, USAGE_NAME_BYTES, "%s", a->bot);
    } else if (strcmp(by, "model") == 0) {
        // A turn whose process died before it said where it sent it.
        if (!a->provider[0])
            snprintf(out, USAGE_NAME_BYTES, "unknown");
        else
            snprintf(out, USAGE_NAME_BYTES, "%s:%s", a->provider, a->model);
    } else if (strcmp(by, "user") == 0) {
        snprintf(out, USAGE_NAME_BYTES, "%s", walk_user(run));
    } else if (strcmp(by, "session") == 0 && a->kind == ATTEMPT_EMBEDDING) {
        snprintf(out, USAGE_NAME_BYTES, "(no session: embeddings)");
    } else if (strcmp(by, "session") == 0 && attempt_of_no_turn(a->kind)) {
        snprintf(out, USAGE_NAME_BYTES, "(no session: %s)", attempt_kind_word(a->kind));
    } else if (strcmp(by, "session") == 0 && key_split(r->key, parts, 3) == 3) {
        snprintf(out, USAGE_NAME_BYTES, "%.*s", SLICE_FMT(parts[1]));
    } else {
        clock_format(a->at_ms, time);
        snprintf(out, USAGE_NAME_BYTES, "%.10s", time);
    }
}

static struct usage_row *row_named(struct tally *t, const char *name)
{
    uintptr_t at = (uintptr_t)map_get(t->by_name, slice_str(name));
    if (at)
        return vec_at(&t->rows, at - 1);
    struct usage_row *row = vec_push(&t->rows);
    if (!row)
        return NULL;
    row->name = mem_strdup(name);
    if (!row->name || map_set(t->by_name, slice_str(name), (void *)(uintptr_t)t->rows.len, NULL)) {
        mem_free(row->name);
        t->rows.len--;
        return NULL;
    }
    return row;
}

static void add(struct usage_row *row, const struct attempt *a)
{
    if (row->calls == 0)
        row->sum = a->usage;
    else
        usage_add(&row->sum, &a->usage);
    row->calls++;
    row->estimated_calls += a->usage.estimated;
    row->unknown_calls += a->status == ATTEMPT_LOST || a->status == ATTEMPT_OPEN;
}

// Attempts of a session come in the order of their turns.
static void grow(const struct run *run, struct growth *g, struct slice of, const struct attempt *a)
{
    struct slice parts[4];
    uint32_t turn;
    bool answered = a->status == ATTEMPT_DONE || a->status == ATTEMPT_CUT;
    if (a->kind != ATTEMPT_REPLY || !answered || a->usage.input_tokens == 0 ||
        key_split(of, parts, 4) != 4 || !key_number(parts[2], &turn))
        return;
    if (!g->first_turn) {
        g->first_turn = turn;
        g->first_tokens = a->usage.input_tokens;
    }
    g->last_turn = turn;
    g->last_tokens = a->usage.input_tokens;
    g->next_tokens = a->usage.input_tokens + a->usage.output_tokens;
    struct llm_caps caps;
    bool known = llm_caps_configured(run->w->env.conf, run->w->env.caps, a->provider, a->model,
                                     &caps);
    g->window_tokens = known ? caps.window_tokens : 0;
}

// How many more turns fit before a request fills 80 % of the window, if it goes on as it did: with
// 0 the next one does. -1: it does not grow, or nobody can say.
static int64_t turns_left(const struct growth *g)
{
    uint64_t full = g->window_tokens * FULL_PERCENT / 100;
    int64_t grown = g->last_tokens - g->first_tokens;
    if (!g->last_turn || !full)
        return -1;
    if ((uint64_t)g->next_tokens >= full)
        return 0;
    if (grown <= 0)
        return -1;
    double a_turn = (double)grown / (g->last_turn - g->first_turn);
    return (int64_t)((double)(full - (uint64_t)g->next_tokens) / a_turn);
}

static int count(struct run *run, const struct record *r, struct err *err)
{
    struct tally *t = run->extra;
    struct vault_place place = vault_place_of(r);
    struct attempt a;
    char name[USAGE_NAME_BYTES];
    safe_buf_clear(&t->body);
    int code = vault_unseal(run->w->env.vault, run->user_key, &place, r->body, &t->body, err);
    if (!code)
        code = attempt_read_meta(&a, r->meta, err);
    if (code == E_CORRUPT || code == E_NOT_FOUND) {
        t->unreadable++;
        return E_OK;
    }
    if (code)
        return code;
    if (a.status == ATTEMPT_UNUSED || (run->job->bot_given && strcmp(a.bot, run->job->bot) != 0))
        return E_OK;
    name_of(run, r, &a, name);
    struct usage_row *row = row_named(t, name);
    if (!row && t->rows.len == t->rows.max)
        return err_set(err, E_REFUSED, "more than %d rows: ask --by day", USAGE_ROWS_MAX);
    if (!row)
        return err_set(err, E_NOMEM, "out of memory for a row");
    add(row, &a);
    grow(run, &row->growth, r->key, &a);
    add(&t->total, &a);
    return E_OK;
}

static void read_page(struct run *run);

static void page_read(struct store_op *op)
{
    struct tally *t = (struct tally *)((char *)op - offsetof(struct tally, op));
    struct run *run = t->run;
    struct err err = op->err;
    int code = op->code;
    if (code == E_CORRUPT) {
        emit_warning(run, "%s", err.message);
        t->damaged = true;
        code = E_OK;
    }
    for (uint32_t i = 0; i < op->rows_len && !code; i++)
        code = count(run, &op->rows[i], &err);
    bool more = op->more && op->rows_len;
    buf_clear(&t->after);
    if (more)
        buf_add_slice(&t->after, op->rows[op->rows_len - 1].key);
    store_op_release(op);
    if (code)
        emit_error(run, code, &err);
    else if (more)
        read_page(run);
    else
        walk_next(run);
}

static void read_page(struct run *run)
{
    struct tally *t = run->extra;
    struct err err = ERR_INIT;
    int code = buf_check(&t->prefix, "a record's key", &err);
    if (!code)
        code = buf_check(&t->after, "a record's key", &err);
    if (code) {
        emit_error(run, code, &err);
        return;
    }
    t->op = (struct store_op){.verb = STORE_SCAN,
                              .loop = run->w->env.loop,
                              .done = page_read,
                              .partition = slice_str(run->partition),
                              .key = buf_slice(&t->prefix),
                              .after = buf_slice(&t->after),
                              .limit = USAGE_PAGE};
    store_submit(run->w->env.store, &t->op);
}

static void each(struct run *run)
{
    struct tally *t = run->extra;
    buf_clear(&t->after);
    read_page(run);
}

static int by_row_name(const void *a, const void *b)
{
    return strcmp(((const struct usage_row *)a)->name, ((const struct usage_row *)b)->name);
}

static void write_row(struct json_writer *w, const char *by, const struct usage_row *row)
{
    jw_object(w);
    if (row->name)
        jw_kv_str(w, by, row->name);
    jw_kv_i64(w, "calls", (int64_t)row->calls);
    jw_kv_i64(w, "input_tokens", row->sum.input_tokens);
    jw_kv_i64(w, "cached_tokens", row->sum.cached_tokens);
    jw_kv_i64(w, "cache_write_tokens", row->sum.cache_write_tokens);
    jw_kv_i64(w, "output_tokens", row->sum.output_tokens);
    jw_key(w, "cost_usd");
    if (row->sum.cost_nusd == COST_UNKNOWN)
        jw_null(w);
    else
        jw_double(w, (double)row->sum.cost_nusd / 1e9);
    jw_kv_i64(w, "estimated_calls", (int64_t)row->estimated_calls);
    jw_kv_i64(w, "unknown_calls", (int64_t)row->unknown_calls);
    if (row->name && strcmp(by, "session") == 0) {
        int64_t left = turns_left(&row->growth);
        emit_window(w, (uint64_t)row->growth.next_tokens, row->growth.window_tokens);
        jw_key(w, "turns_left");
        if (left < 0)
            jw_null(w);
        else
            jw_i64(w, left);
    }
    jw_object_end(w);
}

static void tell(struct run *run)
{
    struct tally *t = run->extra;
    struct buf json = BUF_INIT(RESULT_BYTES_MAX);
    struct json_writer w;
    if (t->rows.len)
        qsort(t->rows.ptr, t->rows.len, sizeof(struct usage_row), by_row_name);
    jw_init(&w, &json);
    jw_object(&w);
    jw_key(&w, "rows");
    jw_array(&w);
    for (size_t i = 0; i < t->rows.len; i++)
        write_row(&w, run->job->by, vec_at(&t->rows, i));
    jw_array_end(&w);
    jw_key(&w, "total");
    write_row(&w, run->job->by, &t->total);
    jw_kv_i64(&w, "unreadable_calls", (int64_t)t->unreadable);
    jw_key(&w, "budgets");
    jw_raw(&w, buf_slice(&t->budgets));
    jw_object_end(&w);
    if (t->unreadable)
        emit_warning(run, "%llu calls could not be read and are not counted: run `parley verify`",
                     (unsigned long long)t->unreadable);
    if (t->damaged)
        emit_warning(run, "the sums are of what could be read: run `parley verify`");
    emit_result(run, &json);
}

static void end(struct run *run)
{
    struct tally *t = run->extra;
    budgets_tell(run, &t->budgets, tell);
}

static void start(struct run *run, const char *session)
{
    struct tally *t = run->extra;
    if (session[0])
        buf_addf(&t->prefix, "%s/", session);
    walk_start(run, run->job->flags & JOB_ALL_USERS, each, end);
}

static void have_session(struct run *run)
{
    start(run, run->live->chat->head.id);
}

static void find_session(struct run *run)
{
    if (ask_known_user(run))
        resolve_view(run, run->job->session, have_session);
}

void usage_start(struct run *run)
{
    struct err err = ERR_INIT;
    struct tally *t = mem_zalloc(sizeof(*t));
    if (t && map_new(&t->by_name, USAGE_ROWS_MAX)) {
        mem_free(t);
        t = NULL;
    }
    if (!t) {
        err_set(&err, E_NOMEM, "out of memory for a listing");
        emit_error(run, E_NOMEM, &err);
        return;
    }
    t->run = run;
    vec_init(&t->rows, sizeof(struct usage_row), USAGE_ROWS_MAX);
    safe_buf_init(&t->body, CONTENT_BYTES_MAX);
    buf_init(&t->prefix, RECORD_KEY_BYTES_MAX);
    buf_init(&t->after, RECORD_KEY_BYTES_MAX);
    buf_init(&t->budgets, RESULT_BYTES_MAX);
    buf_add_str(&t->prefix, "attempt/");
    run->extra = t;
    run->extra_free = tally_free;
    // A whole id needs no session to be found: what is damaged is counted as far as it can be.
    if (run->job->session[0] && !id_valid(slice_str(run->job->session)))
        resolve_user(run, false, find_session);
    else
        start(run, run->job->session);
}
