// SPDX-License-Identifier: MIT
// list.c: the sessions of a user, or of everybody, newest activity first; if it is asked for, the
// first of them with what was said last.
#include "turn/turn_int.h"

#include "base/utf8.h"

enum { PREVIEWS_MAX = 100, PREVIEW_BYTES = 160 };

struct listing {
    struct session_list list;
    struct vec rows; // of struct row
    size_t at;       // whose last turn is being read
};
struct row {
    struct session_head head; // owned
    char user[USER_BYTES];
    bool previewed;
    enum role role;
    char text[PREVIEW_BYTES]; // NUL-terminated
};

static void listing_free(void *extra)
{
    struct listing *l = extra;
    for (size_t i = 0; i < l->rows.len; i++)
        session_head_release(&VEC_AT(&l->rows, struct row, i)->head);
    vec_release(&l->rows);
    mem_free(l);
}

static int newest_first(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    if (x->head.last_active_at_ms != y->head.last_active_at_ms)
        return x->head.last_active_at_ms < y->head.last_active_at_ms ? 1 : -1;
    return strcmp(x->head.id, y->head.id);
}

static void listed(struct session_list *list)
{
    struct run *run = list->user;
    struct listing *l = run->extra;
    struct err err = ERR_INIT;
    int code = list->code;
    if (code)
        err = list->err;
    if (list->damaged)
        emit_warning(run, "%u session%s could not be read, and %s quarantined: run `parley verify`",
                     list->damaged, list->damaged == 1 ? "" : "s",
                     list->damaged == 1 ? "is" : "are");
    // Damage in one user's sessions hides nobody else's.
    if (code == E_CORRUPT && (run->job->flags & JOB_ALL_USERS)) {
        emit_warning(run, "%s", err.message);
        code = E_OK;
    }
    for (uint32_t i = 0; i < list->heads_len && !code; i++) {
        struct row *row = vec_push(&l->rows);
        if (!row) {
            code = l->rows.len == l->rows.max
                       ? err_set(&err, E_REFUSED, "more than %u sessions: name a user",
                                 SESSION_LIST_MAX)
                       : err_set(&err, E_NOMEM, "out of memory for a listing");
            break;
        }
        row->head = list->heads[i];
        memset(&list->heads[i], 0, sizeof(list->heads[i]));
        snprintf(row->user, sizeof(row->user), "%s", walk_user(run));
    }
    session_list_release(list);
    if (code)
        emit_error(run, code, &err);
    else
        walk_next(run);
}

static void each(struct run *run)
{
    struct listing *l = run->extra;
    l->list = (struct session_list){
        .env = &run->w->session_env, .key = run->user_key, .done = listed, .user = run};
    memcpy(l->list.partition, run->partition, sizeof(l->list.partition));
    session_list(&l->list);
}

// Whether it is of the bot and context that are asked about.
static bool is_asked(const struct run *run, const struct row *row)
{
    const struct job *job = run->job;
    return row->head.quarantined ||
           ((!job->bot_given || strcmp(job->bot, row->head.bot) == 0) &&
            (!job->context[0] || strcmp(job->context, row->head.context) == 0));
}

// What it is about, as its state says.
static void write_topic(struct json_writer *w, const struct session_head *head)
{
    struct json_doc doc = JSON_DOC_INIT;
    struct safe_text state = session_state(head);
    struct json topic = {0};
    if (state.len && json_parse(&doc, safe_slice(state), 0, NULL) == E_OK)
        topic = json_get(json_root(&doc), "topic");
    jw_key(w, "topic");
    if (json_type(topic) == JSON_STRING)
        jw_raw(w, json_raw(topic));
    else
        jw_str(w, "");
    json_doc_release(&doc);
}

static void write_last(struct json_writer *w, const struct row *row)
{
    jw_key(w, "last");
    if (!row->previewed) {
        jw_null(w);
        return;
    }
    jw_object(w);
    jw_kv_str(w, "role", role_word(row->role));
    jw_kv_str(w, "text", row->text);
    jw_object_end(w);
}

static void answer(struct run *run)
{
    struct listing *l = run->extra;
    struct buf json = BUF_INIT(RESULT_BYTES_MAX);
    struct json_writer w;
    jw_init(&w, &json);
    jw_array(&w);
    for (size_t i = 0; i < l->rows.len; i++) {
        const struct row *row = vec_at(&l->rows, i);
        if (!is_asked(run, row))
            continue;
        jw_object(&w);
        emit_head(&w, &row->head, row->user, clock_wall_ms(run->w->env.clock));
        jw_kv_i64(&w, "turns", row->head.turns);
        write_topic(&w, &row->head);
        emit_times(&w, &row->head);
        emit_lease(&w, &row->head);
        write_last(&w, row);
        jw_kv_bool(&w, "quarantined", row->head.quarantined);
        jw_object_end(&w);
    }
    jw_array_end(&w);
    emit_result(run, &json);
}

// ---- what was said last

static int take_turn(void *user, const struct turn *t, struct err *err)
{
    struct listing *l = user;
    struct row *row = vec_at(&l->rows, l->at);
    struct safe_buf text;
    int code = E_OK;
    safe_buf_init(&text, CONTENT_BYTES_MAX);
    for (uint32_t i = t->steps_len; i > 0 && !row->previewed && !code; i--) {
        safe_buf_clear(&text);
        content_text(&t->steps[i - 1].content, &text);
        struct slice all = safe_slice(safe_buf_text(&text));
        size_t len = utf8_cut(all, PREVIEW_BYTES - 1);
        code = safe_buf_check(&text, "a turn's text", err);
        if (code || len == 0)
            continue;
        memcpy(row->text, all.ptr, len);
        row->text[len] = '\0';
        row->role = t->steps[i - 1].role;
        row->previewed = true;
    }
    safe_buf_release(&text);
    return code;
}

static void preview(struct run *run);

static void previewed(struct ledger_op *op)
{
    struct run *run = turn_op_over(op);
    struct listing *l = run->extra;
    if (op->code) {
        emit_error(run, op->code, &op->err);
        return;
    }
    l->at++;
    preview(run);
}

// The newest turn that is not superseded; 0: there is none.
static uint32_t last_turn(const struct session_head *head)
{
    uint32_t turn = head->purged ? 0 : head->turns;
    while (turn && session_is_superseded(head, turn))
        turn--;
    return turn;
}

static void preview(struct run *run)
{
    struct listing *l = run->extra;
    const struct row *row = NULL;
    uint32_t turn = 0;
    for (; l->at < l->rows.len && l->at < PREVIEWS_MAX && !turn; l->at += !turn) {
        row = vec_at(&l->rows, l->at);
        turn = row->head.quarantined || !is_asked(run, row) ? 0 : last_turn(&row->head);
    }
    if (!turn) {
        answer(run);
        return;
    }
    struct ledger_pick pick = {.partition = run->partition,
                               .session = row->head.id,
                               .key = run->user_key,
                               .first = turn,
                               .last = turn,
                               .take = take_turn,
                               .user = l};
    turn_op_start(run, previewed);
    ledger_pick(run->w->ledger, &pick, &run->op);
}

// Of everybody's sessions nobody needs to read what was said.
static void end(struct run *run)
{
    struct listing *l = run->extra;
    if (l->rows.len)
        qsort(l->rows.ptr, l->rows.len, sizeof(struct row), newest_first);
    if ((run->job->flags & JOB_PREVIEW) && !(run->job->flags & JOB_ALL_USERS) && run->user_key)
        preview(run);
    else
        answer(run);
}

void list_sessions(struct run *run)
{
    struct listing *l = mem_zalloc(sizeof(*l));
    if (!l) {
        struct err err = ERR_INIT;
        err_set(&err, E_NOMEM, "out of memory for a listing");
        emit_error(run, E_NOMEM, &err);
        return;
    }
    vec_init(&l->rows, sizeof(struct row), SESSION_LIST_MAX);
    run->extra = l;
    run->extra_free = listing_free;
    walk_start(run, run->job->flags & JOB_ALL_USERS, each, end);
}
