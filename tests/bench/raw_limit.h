// SPDX-License-Identifier: MIT
// raw_limit.h: what a machine has to give for durable turns, with no engine in between.
//
// The disk's: SQLite alone, with the rows and bytes of parley's turns, on one thread that does
// nothing else. And that of whole turns over HTTP: the same rows in two commits around one request,
// by bare SQLite and bare curl, each on a thread of its own, so that one works while the other
// waits:
//
//   A1 queued ─▶ committed (in a group with all others that wait) ─▶ request ─▶ answer whole
//      ▲                                                                            │
//      └──────────────── the next turn ◀── committed ◀──────────────── A2 queued ◀──┘
//
// Nothing is counted, sealed, checked, or chosen; bodies are made once, and answers thrown away. So
// no program that commits twice and asks over HTTP with these two libraries does more.
#ifndef BENCH_RAW_LIMIT_H
#define BENCH_RAW_LIMIT_H

#include "bench/fake_provider.h"

#include <sqlite3.h>
#include <sys/stat.h>

enum { RAW_USERS = 64, RAW_TEXT_BYTES = 60, RAW_EVENTS = 64 };

static const char user_text[] = "Could you tell me a little more about that, please? Thank you!";
static const char reply_text[] =
    "Of course: it is a small thing, and I shall gladly say more of it.";

__attribute__((noreturn)) static inline void bench_die(const char *what)
{
    fprintf(stderr, "bench: %s\n", what);
    exit(1);
}

static inline double raw_now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

// ---- SQLite alone

struct raw_db {
    sqlite3 *db;
    sqlite3_stmt *insert, *update;
    char path[512];
};

static inline void raw_sql(struct raw_db *r, const char *text)
{
    if (sqlite3_exec(r->db, text, NULL, NULL, NULL) != SQLITE_OK)
        bench_die(sqlite3_errmsg(r->db));
}

static inline void raw_open(struct raw_db *r, const char *folder)
{
    snprintf(r->path, sizeof(r->path), "%s/raw.db", folder);
    if (sqlite3_open(r->path, &r->db) != SQLITE_OK)
        bench_die("raw open");
    raw_sql(r, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA secure_delete=ON;"
               "PRAGMA wal_autocheckpoint=0;"
               "CREATE TABLE IF NOT EXISTS raw(id INTEGER PRIMARY KEY, p INT, key TEXT, meta BLOB, "
               "body BLOB);"
               "CREATE UNIQUE INDEX IF NOT EXISTS raw_key ON raw(p, key);");
    sqlite3_prepare_v2(r->db, "INSERT INTO raw(p, key, meta, body) VALUES(?,?,?,?)", -1,
                       &r->insert, NULL);
    sqlite3_prepare_v2(r->db, "UPDATE raw SET meta=? WHERE p=? AND key=?", -1, &r->update, NULL);
    for (int u = 0; u < RAW_USERS; u++) {
        char text[256];
        snprintf(text, sizeof(text),
                 "INSERT INTO raw(p,key) VALUES(%d,'session/%08d-0000-4000-8000-000000000000')", u,
                 u);
        raw_sql(r, text);
    }
}

static inline void raw_close(struct raw_db *r)
{
    char path[600];
    sqlite3_finalize(r->insert);
    sqlite3_finalize(r->update);
    sqlite3_close(r->db);
    unlink(r->path);
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof(path), "%s%s", r->path, i ? "-wal" : "-shm");
        unlink(path);
    }
}

static inline void raw_insert(struct raw_db *r, const char *kind, int user, long turn, int half,
                              const char *body, int body_bytes)
{
    char key[96];
    snprintf(key, sizeof(key), "%s/%08d-0000-4000-8000-000000000000/%010ld/%010d", kind, user, turn,
             half);
    sqlite3_bind_int(r->insert, 1, user);
    sqlite3_bind_text(r->insert, 2, key, -1, SQLITE_STATIC);
    sqlite3_bind_blob(r->insert, 3, body, 120, SQLITE_STATIC);
    sqlite3_bind_blob(r->insert, 4, body, body_bytes, SQLITE_STATIC);
    if (sqlite3_step(r->insert) != SQLITE_DONE)
        bench_die("raw insert");
    sqlite3_reset(r->insert);
}

static inline void raw_update(struct raw_db *r, const char *key, int user, const char *body)
{
    sqlite3_bind_blob(r->update, 1, body, 150, SQLITE_STATIC);
    sqlite3_bind_int(r->update, 2, user);
    sqlite3_bind_text(r->update, 3, key, -1, SQLITE_STATIC);
    if (sqlite3_step(r->update) != SQLITE_DONE)
        bench_die("raw update");
    sqlite3_reset(r->update);
}

// A1 (half 0): the user's step, an attempt, the head. A2 (half 1): reply, head, attempt.
static inline void raw_half_turn(struct raw_db *r, int half, long turn, int user)
{
    char body[160], key[96];
    memset(body, 'x', sizeof(body));
    raw_insert(r, "turn", user, turn, half, body, 145);
    if (half == 0)
        raw_insert(r, "attempt", user, turn, 0, body, 0);
    snprintf(key, sizeof(key), "session/%08d-0000-4000-8000-000000000000", user);
    raw_update(r, key, user, body);
    if (half == 1) {
        snprintf(key, sizeof(key), "attempt/%08d-0000-4000-8000-000000000000/%010ld/%010d", user,
                 turn, 0);
        raw_update(r, key, user, body);
    }
}

// So many turns in about so many commits, which is what the engine made of them.
static inline double raw_turns_per_s(const char *folder, long turns, long commits)
{
    struct raw_db r;
    long halves = turns * 2, per_commit = commits ? (halves + commits - 1) / commits : halves;
    raw_open(&r, folder);
    double start = raw_now_s();
    for (long done = 0; done < halves;) {
        raw_sql(&r, "BEGIN IMMEDIATE");
        for (long i = 0; i < per_commit && done < halves; i++, done++)
            raw_half_turn(&r, (int)(done / RAW_USERS % 2), done / (2 * RAW_USERS),
                          (int)(done % RAW_USERS));
        raw_sql(&r, "COMMIT");
    }
    double elapsed = raw_now_s() - start;
    raw_close(&r);
    return (double)turns / elapsed;
}

// ---- whole turns over HTTP

struct raw_run;

struct raw_turn {
    struct raw_run *run;
    CURL *easy;
    int user, half;           // 0: A1 is to be committed, 1: A2
    long turn;
    struct raw_turn *next;
};

struct raw_list {
    struct raw_turn *first, **end;
    int len;
};

struct raw_run {
    struct raw_db db;
    pthread_t writer;
    pthread_mutex_t mutex;
    pthread_cond_t wakes;
    struct raw_list to_commit, committed;  // under the mutex
    int wake_at;                           // likewise: the writer waits for so many to commit
    bool over;                             // likewise
    CURLM *multi;
    int epoll, event;                      // the writer wakes the other thread by it
    long timeout_ms;                       // curl's; -1: none
    long turns, begun, done;
};

static inline void raw_list_add(struct raw_list *l, struct raw_turn *t)
{
    t->next = NULL;
    *l->end = t;
    l->end = &t->next;
    l->len++;
}

static inline struct raw_turn *raw_list_take(struct raw_list *l)
{
    struct raw_turn *first = l->first;
    l->first = NULL;
    l->end = &l->first;
    l->len = 0;
    return first;
}

// As many as the last group had, for half of the time that its commit took: fewer syncs are more
// turns.
static inline void raw_gather(struct raw_run *run, int last_group, double last_s)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)(last_s / 2 * 1e9);
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    run->wake_at = last_group;
    while (run->to_commit.len < last_group)
        if (pthread_cond_timedwait(&run->wakes, &run->mutex, &until))
            break;
}

static inline void *raw_writer(void *arg)
{
    struct raw_run *run = arg;
    int len = 0;
    double took_s = 0;
    pthread_mutex_lock(&run->mutex);
    while (!run->over) {
        if (!run->to_commit.len) {
            run->wake_at = 1;
            pthread_cond_wait(&run->wakes, &run->mutex);
            continue;
        }
        raw_gather(run, len, took_s);
        len = run->to_commit.len;
        struct raw_turn *group = raw_list_take(&run->to_commit);
        pthread_mutex_unlock(&run->mutex);
        double start = raw_now_s();
        raw_sql(&run->db, "BEGIN IMMEDIATE");
        for (struct raw_turn *t = group; t; t = t->next)
            raw_half_turn(&run->db, t->half, t->turn, t->user);
        raw_sql(&run->db, "COMMIT");
        took_s = raw_now_s() - start;
        pthread_mutex_lock(&run->mutex);
        for (struct raw_turn *t = group, *next; t; t = next) {
            next = t->next;
            raw_list_add(&run->committed, t);
        }
        if (write(run->event, &(uint64_t){1}, sizeof(uint64_t)) < 0)
            bench_die("raw wake");
    }
    pthread_mutex_unlock(&run->mutex);
    return NULL;
}

static inline void raw_commit(struct raw_run *run, struct raw_turn *t)
{
    pthread_mutex_lock(&run->mutex);
    raw_list_add(&run->to_commit, t);
    if (run->to_commit.len >= run->wake_at)
        pthread_cond_signal(&run->wakes);
    pthread_mutex_unlock(&run->mutex);
}

static inline void raw_next_turn(struct raw_run *run, struct raw_turn *t)
{
    if (run->begun == run->turns)
        return;
    run->begun++;
    t->turn++;
    t->half = 0;
    raw_commit(run, t);
}

static inline void raw_take_committed(struct raw_run *run)
{
    uint64_t ignored;
    if (read(run->event, &ignored, sizeof(ignored)) < 0)
        return;
    pthread_mutex_lock(&run->mutex);
    struct raw_turn *group = raw_list_take(&run->committed);
    pthread_mutex_unlock(&run->mutex);
    for (struct raw_turn *t = group, *next; t; t = next) {
        next = t->next;
        if (t->half == 0) {
            curl_multi_add_handle(run->multi, t->easy);
        } else {
            run->done++;
            raw_next_turn(run, t);
        }
    }
}

static inline void raw_take_answers(struct raw_run *run)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(run->multi, &left)) != NULL) {
        struct raw_turn *t = NULL;
        if (message->data.result != CURLE_OK)
            bench_die(curl_easy_strerror(message->data.result));
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&t);
        curl_multi_remove_handle(run->multi, t->easy);
        t->half = 1;
        raw_commit(run, t);
    }
}

// What curl wants of a socket: kept with it, so that nothing is told to epoll twice.
static inline int raw_on_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *known)
{
    struct raw_run *run = user;
    struct epoll_event e = {.data.fd = fd};
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(run->epoll, EPOLL_CTL_DEL, fd, &e);
        return 0;
    }
    e.events = (what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u);
    epoll_ctl(run->epoll, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &e);
    curl_multi_assign(run->multi, fd, run);
    return 0;
}

static inline int raw_on_timer(CURLM *multi, long timeout_ms, void *user)
{
    struct raw_run *run = user;
    (void)multi;
    run->timeout_ms = timeout_ms;
    return 0;
}

static inline void raw_loop(struct raw_run *run)
{
    struct epoll_event events[RAW_EVENTS];
    int running;
    while (run->done < run->turns) {
        bool due = run->timeout_ms == 0;
        int n = epoll_wait(run->epoll, events, RAW_EVENTS, (int)run->timeout_ms);
        if (n == 0 || due) {
            run->timeout_ms = -1;  // it says so anew if it wants another
            curl_multi_socket_action(run->multi, CURL_SOCKET_TIMEOUT, 0, &running);
        }
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == run->event) {
                raw_take_committed(run);
                continue;
            }
            int what = (events[i].events & (EPOLLIN | EPOLLHUP) ? CURL_CSELECT_IN : 0) |
                       (events[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0);
            curl_multi_socket_action(run->multi, events[i].data.fd, what, &running);
        }
        raw_take_answers(run);
    }
}

// What a request of parley's has: the system prompt and so many messages before the newest.
static inline char *raw_body(int messages)
{
    size_t cap = (size_t)messages * 128 + 512;
    char *json = malloc(cap);
    size_t n = (size_t)snprintf(json, cap, "{\"model\":\"bench-model\",\"max_tokens\":4096,"
                                "\"stream\":true,\"system\":\"You are brief.\",\"messages\":[");
    for (int m = 0; m < messages; m++)
        n += (size_t)snprintf(json + n, cap - n, "{\"role\":\"%s\",\"content\":\"%.*s\"},",
                              m % 2 ? "assistant" : "user", RAW_TEXT_BYTES,
                              m % 2 ? reply_text : user_text);
    snprintf(json + n, cap - n, "{\"role\":\"user\",\"content\":\"%s\"}]}", user_text);
    return json;
}

static inline CURL *raw_easy(const char *url, const char *body, struct curl_slist *headers,
                             struct raw_turn *turn)
{
    CURL *easy = curl_easy_init();
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)strlen(body));
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, fake_discard);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, turn);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    return easy;
}

// Turns per second of whole turns, after a round that is not counted.
static inline double raw_exchange_turns_per_s(const struct fake_provider *fake, const char *folder,
                                              int concurrent, int messages, long turns)
{
    struct raw_run run = {.timeout_ms = -1};
    struct raw_turn slots[RAW_USERS] = {0};
    struct curl_slist *headers = curl_slist_append(NULL, "content-type: application/json");
    char url[64], *body = raw_body(messages);
    pthread_condattr_t attr;
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/v1/messages", fake->port);
    headers = curl_slist_append(headers, "expect:");
    raw_open(&run.db, folder);
    pthread_mutex_init(&run.mutex, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&run.wakes, &attr);
    raw_list_take(&run.to_commit);
    raw_list_take(&run.committed);
    run.epoll = epoll_create1(0);
    run.event = eventfd(0, EFD_NONBLOCK);
    epoll_ctl(run.epoll, EPOLL_CTL_ADD, run.event,
              &(struct epoll_event){.events = EPOLLIN, .data.fd = run.event});
    run.multi = curl_multi_init();
    curl_multi_setopt(run.multi, CURLMOPT_SOCKETFUNCTION, raw_on_socket);
    curl_multi_setopt(run.multi, CURLMOPT_SOCKETDATA, &run);
    curl_multi_setopt(run.multi, CURLMOPT_TIMERFUNCTION, raw_on_timer);
    curl_multi_setopt(run.multi, CURLMOPT_TIMERDATA, &run);
    pthread_create(&run.writer, NULL, raw_writer, &run);
    double start = 0;
    for (int round = 0; round < 2; round++) {
        run.turns += round ? turns : concurrent;
        start = raw_now_s();
        for (int i = 0; i < concurrent; i++) {
            if (!round) {
                slots[i] = (struct raw_turn){.run = &run, .user = i};
                slots[i].easy = raw_easy(url, body, headers, &slots[i]);
            }
            raw_next_turn(&run, &slots[i]);
        }
        raw_loop(&run);
    }
    double elapsed = raw_now_s() - start;
    pthread_mutex_lock(&run.mutex);
    run.over = true;
    pthread_cond_signal(&run.wakes);
    pthread_mutex_unlock(&run.mutex);
    pthread_join(run.writer, NULL);
    for (int i = 0; i < concurrent; i++)
        curl_easy_cleanup(slots[i].easy);
    curl_multi_cleanup(run.multi);
    curl_slist_free_all(headers);
    close(run.epoll);
    close(run.event);
    raw_close(&run.db);
    free(body);
    return (double)turns / elapsed;
}

#endif
