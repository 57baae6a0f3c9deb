// SPDX-License-Identifier: MIT
// list.c: the sessions of a user, or of everybody, newest activity first.
#include "turn/turn_int.h"

struct listing {
    struct session_list list;
    struct vec rows; // of struct row
};
struct row {
    struct session_head head; // owned
    char user[USER_BYTES];
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

static void end(struct run *run)
{
    struct listing *l = run->extra;
    struct buf json = BUF_INIT(RESULT_BYTES_MAX);
    struct json_writer w;
    if (l->rows.len)
        qsort(l->rows.ptr, l->rows.len, sizeof(struct row), newest_first);
    jw_init(&w, &json);
    jw_array(&w);
    for (size_t i = 0; i < l->rows.len; i++) {
        const struct row *row = vec_at(&l->rows, i);
        const struct job *job = run->job;
        bool other = (job->bot_given && strcmp(job->bot, row->head.bot) != 0) ||
                     (job->context[0] && strcmp(job->context, row->head.context) != 0);
        if (other && !row->head.quarantined)
            continue;
        jw_object(&w);
        emit_head(&w, &row->head, row->user, clock_wall_ms(run->w->env.clock));
        jw_kv_i64(&w, "turns", row->head.turns);
        emit_times(&w, &row->head);
        emit_lease(&w, &row->head);
        jw_kv_bool(&w, "quarantined", row->head.quarantined);
        jw_object_end(&w);
    }
    jw_array_end(&w);
    emit_result(run, &json);
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
