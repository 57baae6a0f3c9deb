// SPDX-License-Identifier: MIT
// oracle.h: writers that are killed, and the oracle that remembers what they had acknowledged.
//
//   writer (a child process, killed)  ──notes down a pipe──▶  oracle (the test's process)
//      64 users, a turn each at a time                           records each note, then counts it
//   checker (a child process)  ◀──what the oracle knows── opens the store, reads every turn,
//   compares
//
// A text is a number: how it reads, which provider answers it and what is answered follow from
// that. The oracle's process runs no engine, so that it can fork.
#ifndef TESTS_FAULT_ORACLE_H
#define TESTS_FAULT_ORACLE_H

#include "fault/harness.h"

#include <sys/mman.h>

enum { USERS = 64, TEXTS = 1 << 17, TEXTS_PER_ROUND = 2048, TEXT_BYTES = 64, DETAILS_MAX = 10 };

enum note_kind { NOTE_READY = 1, NOTE_PLANNED, NOTE_SENT, NOTE_ACCEPTED, NOTE_DONE, NOTE_ERROR };

struct note {  // below PIPE_BUF: written whole or not at all
    enum note_kind kind;
    uint32_t user, turn;
    uint64_t text;
    int code;
    char status[16];
    char session[40];
    uint64_t reply_hash;
};

struct entry {  // what is known of one text
    bool planned, accepted, done;
    uint16_t calls;  // to a provider
    uint32_t user, turn, seen;
    char session[40];  // empty while only planned
    char status[16];   // as DONE told
    uint64_t reply_hash;
};

struct oracle {
    struct entry *entries;  // TEXTS of them
    int log;                // every note, before it counts
    uint64_t acked, done, refused;
};

struct tally {
    uint64_t turns, lost, duplicated, half, wrong, resent, interrupted, kept, harmed, problems;
};

// ---- texts

static inline bool text_is_long(uint64_t n)
{
    return n % 16 == 7;
}
static inline bool text_has_key(uint64_t n)
{
    return n % 4 == 1;
}

static inline const char *text_provider(uint64_t n)
{
    return text_is_long(n) || n % 16 == 3 ? "slow" : n % 16 == 5 ? "cut" : "scripted";
}

static inline const char *text_make(uint64_t n, char out[TEXT_BYTES])
{
    snprintf(out, TEXT_BYTES, "Say something%s about #%llu", text_is_long(n) ? " long" : "",
             (unsigned long long)n);
    return out;
}

// ---- the writer's process

struct writer_plan {
    const char *store;  // NULL: sqlite in the place
    const char *context;
    uint64_t first_text,
        texts;              // numbers from here on, so many; a number says whose it is: n % USERS
    const uint64_t *again;  // texts with keys that got no answer: sent again, under the same key
    size_t again_len;
    int notes, stop;      // descriptors; stop < 0: runs until killed
    bool control_early;   // acknowledges what is not durable yet
    bool control_no_key;  // sends again without the key
};

struct slot {
    uint64_t request, text, next;
};

static inline void note_write(int fd, const struct note *note)
{
    if (write(fd, note, sizeof(*note)) != sizeof(*note))
        _exit(3);  // the oracle is gone
}

static inline void writer_trace(void *user, const char *provider, const char *body, size_t len)
{
    const struct writer_plan *plan = user;
    struct note note = {.kind = NOTE_SENT, .text = text_number(slice_of(body, len))};
    (void)provider;
    note_write(plan->notes, &note);
}

static inline void writer_send(parley *e, const struct writer_plan *plan, struct slot *slot,
                               uint32_t user, uint64_t text, bool again)
{
    char name[16], words[TEXT_BYTES], key[32];
    parley_message m = PARLEY_MESSAGE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    struct note note = {.kind = NOTE_PLANNED, .user = user, .text = text};
    snprintf(name, sizeof(name), "user-%u", user);
    snprintf(key, sizeof(key), "key-%llu", (unsigned long long)text);
    slot->text = text;
    note_write(plan->notes, &note);
    m.user = name;
    m.context = plan->context;
    m.provider = text_provider(text);
    m.text = text_make(text, words);
    m.key = text_has_key(text) && !(again && plan->control_no_key) ? key : NULL;
    m.flags = text % 8 ? PARLEY_CONTINUE : 0;
    if (parley_send(e, &m, &slot->request, &error) < 0)
        give_up("send: %s", error.message);
    if (plan->control_early) {
        note.kind = NOTE_ACCEPTED;
        note_write(plan->notes, &note);
    }
}

static inline void note_done(struct note *note, const parley_event *event)
{
    struct json_doc doc = JSON_DOC_INIT;
    struct buf reply = BUF_INIT(1 << 20);
    note->code = event->code;
    if (json_parse(&doc, slice_str(event->json), 0, NULL) == E_OK) {
        struct json status = json_get(json_root(&doc), "status");
        snprintf(note->status, sizeof(note->status), "%.*s", (int)json_raw(status).len - 2,
                 json_raw(status).ptr + 1);
        json_string(json_get(json_root(&doc), "reply"), &reply);
        note->reply_hash = hash_of(buf_slice(&reply));
    }
    buf_release(&reply);
    json_doc_release(&doc);
}

static inline bool writer_told_to_stop(const struct writer_plan *plan)
{
    struct pollfd p = {.fd = plan->stop, .events = POLLIN};
    return plan->stop >= 0 && poll(&p, 1, 0) == 1;
}

// Takes one event; true when the slot is free again.
static inline bool writer_take(const struct writer_plan *plan, struct slot *slot, uint32_t user,
                               const parley_event *event)
{
    struct note note = {.user = user, .text = slot->text, .turn = event->turn};
    snprintf(note.session, sizeof(note.session), "%s", event->session);
    if (event->type == PARLEY_EVENT_ACCEPTED) {
        note.kind = NOTE_ACCEPTED;
    } else if (event->type == PARLEY_EVENT_DONE) {
        note.kind = NOTE_DONE;
        note_done(&note, event);
    } else if (event->type == PARLEY_EVENT_ERROR) {
        note.kind = NOTE_ERROR;
        note.code = event->code;
        fprintf(stderr, "writer %s: text %llu: %s\n", plan->context, (unsigned long long)slot->text,
                event->text);
    } else {
        return false;
    }
    note_write(plan->notes, &note);
    return is_last(event);
}

// The load: USERS at a time, until killed or told to stop. Does not return.
static inline void writer_run(const struct place *place, const struct writer_plan *plan)
{
    static struct slot slots[USERS];
    struct engine_wish wish = {
        .store = plan->store, .trace = writer_trace, .user = (void *)(uintptr_t)plan};
    parley_error error = PARLEY_ERROR_INIT;
    parley *e;
    uint64_t last = plan->first_text + plan->texts;
    uint32_t busy = 0;
    size_t again = 0;
    if (place_open(place, &wish, &e, &error) < 0)
        give_up("writer: %s", error.message);
    note_write(plan->notes, &(struct note){.kind = NOTE_READY});
    for (uint32_t u = 0; u < USERS; u++, busy++) {
        bool old = again < plan->again_len && plan->again[again] % USERS == u;
        slots[u].next = plan->first_text + u;
        writer_send(e, plan, &slots[u], u, old ? plan->again[again++] : slots[u].next, old);
        slots[u].next += old ? 0 : USERS;
    }
    while (busy) {
        parley_event *event = next_event(e);
        uint32_t u = 0;
        while (u < USERS && slots[u].request != event->request)
            u++;
        if (u < USERS && writer_take(plan, &slots[u], u, event)) {
            slots[u].request = 0;
            busy--;
            if (slots[u].next < last && !writer_told_to_stop(plan)) {
                writer_send(e, plan, &slots[u], u, slots[u].next, false);
                slots[u].next += USERS;
                busy++;
            }
        }
        parley_event_free(event);
    }
    parley_close(e);
    _exit(0);
}

// ---- the oracle

static inline void oracle_init(struct oracle *o, const struct place *place)
{
    char path[NAME_BYTES];
    memset(o, 0, sizeof(*o));
    // Shared with the processes that it forks.
    o->entries = mmap(NULL, TEXTS * sizeof(*o->entries), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    o->log =
        open(place_path(place, "oracle.log", path), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
    if (o->entries == MAP_FAILED || o->log < 0)
        give_up("oracle: %s", strerror(errno));
}

static inline void oracle_release(struct oracle *o)
{
    close(o->log);
    munmap(o->entries, TEXTS * sizeof(*o->entries));
}

static inline void oracle_forget(struct oracle *o)
{
    memset(o->entries, 0, TEXTS * sizeof(*o->entries));
    if (ftruncate(o->log, 0) != 0)
        give_up("oracle: %s", strerror(errno));
}

static inline void oracle_take(struct oracle *o, const struct note *note)
{
    if (write(o->log, note, sizeof(*note)) != sizeof(*note) || note->text >= TEXTS)
        give_up("oracle: text %llu", (unsigned long long)note->text);
    struct entry *e = &o->entries[note->text];
    switch (note->kind) {
    case NOTE_PLANNED:
        e->planned = true;
        e->user = note->user;
        break;
    case NOTE_SENT:
        e->calls++;
        break;
    case NOTE_ACCEPTED:
        o->acked += !e->accepted;
        e->accepted = true;
        e->turn = note->turn;
        memcpy(e->session, note->session, sizeof(e->session));
        break;
    case NOTE_DONE:
        o->done += !e->done;
        e->done = true;
        memcpy(e->status, note->status, sizeof(e->status));
        e->reply_hash = note->reply_hash;
        break;
    case NOTE_ERROR:
        o->refused++;
        break;
    case NOTE_READY:
        break;
    }
}

// Reads notes until the time comes or the pipe ends; *ready: when READY came, -1 before. False:
// ended.
static inline bool oracle_listen(struct oracle *o, int fd, int64_t until_us, bool *ready)
{
    struct note notes[64];
    for (;;) {
        int64_t left = until_us < 0 ? WAIT_MS * 1000LL : until_us - now_us();
        if (left < 0)
            return true;
        struct timespec t = {left / 1000000, (long)(left % 1000000) * 1000};
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (ppoll(&p, 1, &t, NULL) < 1) {
            if (until_us < 0)
                give_up("a writer says nothing");
            return true;
        }
        ssize_t n = read(fd, notes, sizeof(notes));
        if (n <= 0)
            return false;
        for (ssize_t i = 0; i < n / (ssize_t)sizeof(notes[0]); i++) {
            *ready = *ready || notes[i].kind == NOTE_READY;
            oracle_take(o, &notes[i]);
        }
    }
}

// ---- the checker

struct checker {
    struct oracle *o;
    struct tally *t;
    bool unharmed;  // texts from `calm` on were written by one that lived: none interrupted
    uint64_t calm;
    int details;
};

__attribute__((format(printf, 3, 4))) static inline void found(struct checker *c, uint64_t *count,
                                                               const char *fmt, ...)
{
    va_list ap;
    ++*count;
    if (c->details++ >= DETAILS_MAX)
        return;
    va_start(ap, fmt);
    fprintf(stderr, "check: ");
    vfprintf(stderr, fmt, ap);
    fprintf(stderr, "\n");
    va_end(ap);
}

// A reply may be shorter than what was to be said, but it is nothing else.
static inline void check_reply(struct checker *c, uint64_t n, struct slice reply,
                               struct json status)
{
    char whole[REPLY_BYTES];
    const struct entry *e = &c->o->entries[n];
    reply_expected(n, text_is_long(n), whole);
    if (reply.len > strlen(whole) || (reply.len && memcmp(reply.ptr, whole, reply.len) != 0))
        found(c, &c->t->wrong, "text %llu: another reply: %.*s", (unsigned long long)n,
              SLICE_FMT(reply));
    if (json_is_string(status, "done") && reply.len != strlen(whole))
        found(c, &c->t->half, "text %llu: done with half a reply", (unsigned long long)n);
    c->t->kept += reply.len && json_is_string(status, "interrupted");
    if (e->done && e->reply_hash != hash_of(reply))
        found(c, &c->t->half, "text %llu: not the reply that DONE told", (unsigned long long)n);
}

static inline void check_status(struct checker *c, uint64_t n, struct json status)
{
    const struct entry *e = &c->o->entries[n];
    if (json_is_string(status, "interrupted")) {
        c->t->interrupted++;
        if (c->unharmed && n >= c->calm)
            found(c, &c->t->harmed, "text %llu: its writer lived", (unsigned long long)n);
    }
    if (json_is_string(status, "open"))
        found(c, &c->t->half, "text %llu: still open", (unsigned long long)n);
    if (e->done && !json_is_string(status, e->status))
        found(c, &c->t->half, "text %llu: DONE told %s, the store %.*s", (unsigned long long)n,
              e->status, SLICE_FMT(json_raw(status)));
}

static inline void check_turn(struct checker *c, const char *session, uint32_t n, struct json turn)
{
    char words[TEXT_BYTES];
    struct buf text = BUF_INIT(1 << 20), reply = BUF_INIT(1 << 20);
    struct json steps = json_get(turn, "steps"), status = json_get(turn, "status");
    struct json user = json_at(steps, 0), answer = json_at(steps, 1);
    step_text(user, &text);
    step_text(answer, &reply);
    uint64_t number = text_number(buf_slice(&text));
    struct entry *e = &c->o->entries[number < TEXTS ? number : 0];
    c->t->turns++;
    if (ordinal_of(json_get(turn, "turn")) != n || json_count(steps) > 2 ||
        !json_is_string(json_get(user, "role"), "user") ||
        (json_count(steps) == 2 && !json_is_string(json_get(answer, "role"), "assistant")))
        found(c, &c->t->wrong, "session %s: turn %u is out of order", session, n);
    if (!e->planned || !slice_is(buf_slice(&text), text_make(number, words))) {
        found(c, &c->t->wrong, "session %s: turn %u: a text that nobody sent", session, n);
    } else {
        if (e->seen++)
            found(c, &c->t->duplicated, "text %llu is there twice", (unsigned long long)number);
        if (e->accepted && e->session[0] && (strcmp(e->session, session) != 0 || e->turn != n))
            found(c, &c->t->wrong, "text %llu: not where ACCEPTED told",
                  (unsigned long long)number);
        check_status(c, number, status);
        check_reply(c, number, buf_slice(&reply), status);
    }
    buf_release(&text);
    buf_release(&reply);
}

static inline void check_session(struct checker *c, parley *e, const char *user,
                                 const char *session)
{
    parley_event *event = ask_show(e, user, session);
    struct json_doc doc = JSON_DOC_INIT;
    struct json_iter it = {0};
    struct json turn;
    uint32_t n = 0;
    if (event->type != PARLEY_EVENT_RESULT ||
        json_parse(&doc, slice_str(event->json), 0, NULL) != E_OK)
        found(c, &c->t->problems, "session %s: %s", session, event->text);
    while (json_next(json_get(json_root(&doc), "turns"), &it, NULL, &turn))
        check_turn(c, session, ++n, turn);
    json_doc_release(&doc);
    parley_event_free(event);
}

static inline void check_user(struct checker *c, parley *e, uint32_t u)
{
    char user[16], session[40];
    struct json_doc doc = JSON_DOC_INIT;
    struct json_iter it = {0};
    struct json item;
    snprintf(user, sizeof(user), "user-%u", u);
    parley_event *event = ask_sessions(e, user);
    // A user of whom nothing was stored yet is no fault.
    if (event->type == PARLEY_EVENT_RESULT)
        json_parse(&doc, slice_str(event->json), 0, NULL);
    while (json_next(json_root(&doc), &it, NULL, &item)) {
        struct slice id = json_raw(json_get(item, "session"));
        snprintf(session, sizeof(session), "%.*s", (int)id.len - 2, id.ptr + 1);
        check_session(c, e, user, session);
    }
    json_doc_release(&doc);
    parley_event_free(event);
}

static inline void check_entries(struct checker *c)
{
    for (uint64_t n = 0; n < TEXTS; n++) {
        const struct entry *e = &c->o->entries[n];
        // What a provider was told, or the user was promised, is durable.
        if (!e->seen && (e->accepted || e->calls))
            found(c, &c->t->lost, "text %llu was %s and is gone", (unsigned long long)n,
                  e->accepted ? "accepted" : "sent to a provider");
        if (e->calls > 1)
            found(c, &c->t->resent, "text %llu was sent %u times", (unsigned long long)n, e->calls);
    }
}

// In a process of its own: reads the whole store against what the oracle knows. Adds to *sum.
static inline void oracle_check(const struct place *place, struct oracle *o, bool unharmed,
                                uint64_t calm, struct tally *sum)
{
    int fds[2];
    struct tally t = {0};
    fflush(NULL);
    pid_t pid = pipe(fds) == 0 ? fork() : -1;
    if (pid < 0)
        give_up("checker: %s", strerror(errno));
    if (pid == 0) {
        struct checker c = {.o = o, .t = &t, .unharmed = unharmed, .calm = calm};
        struct engine_wish wish = {0};
        parley_error error = PARLEY_ERROR_INIT;
        parley *e;
        if (place_open(place, &wish, &e, &error) < 0)
            give_up("checker: %s", error.message);
        for (uint32_t u = 0; u < USERS; u++)
            check_user(&c, e, u);
        check_entries(&c);
        t.problems += (uint64_t)abs(verify_problems(e));
        parley_close(e);
        _exit(write(fds[1], &t, sizeof(t)) == sizeof(t) ? 0 : 1);
    }
    close(fds[1]);
    int status;
    if (read(fds[0], &t, sizeof(t)) != sizeof(t))
        t = (struct tally){.problems = 1};  // it could not even open the store, and said why
    close(fds[0]);
    waitpid(pid, &status, 0);
    uint64_t *to = (uint64_t *)sum, *from = (uint64_t *)&t;
    for (size_t i = 0; i < sizeof(t) / sizeof(uint64_t); i++)
        to[i] += from[i];
}

#endif
