// SPDX-License-Identifier: MIT
// damage.h: what the harnesses of damage share: a store with several users and sessions whose every
// text is known, and a look at a damaged copy of it that holds each text shown against the truth.
//
// Nothing here is shared with the engine: the truth is made from numbers. One thread.
#ifndef TESTS_FAULT_DAMAGE_H
#define TESTS_FAULT_DAMAGE_H

#include "fault/harness.h"

#include <dlfcn.h>
#include <sodium.h>
#include <sys/mman.h>

enum {
    USERS = 3,
    SESSIONS = 7,      // two or three of each user
    TURNS_MAX = 4,     // of a session in the template
    LONG_TEXT = 5000,  // longer than a page: it goes on in pages of its own
    KNOWN_BYTES = LONG_TEXT + 128,
};

// ---- the control: seals that hold nothing

static bool seals_are_off;

// In the place of libsodium's, for the whole program: with the seals off it opens whatever is
// there, as a store without authentication would.
int crypto_aead_xchacha20poly1305_ietf_decrypt(unsigned char *m, unsigned long long *mlen_p,
                                               unsigned char *nsec, const unsigned char *c,
                                               unsigned long long clen, const unsigned char *ad,
                                               unsigned long long adlen, const unsigned char *npub,
                                               const unsigned char *k)
{
    static int (*real)(unsigned char *, unsigned long long *, unsigned char *,
                       const unsigned char *, unsigned long long, const unsigned char *,
                       unsigned long long, const unsigned char *, const unsigned char *);
    unsigned char key[32], nonce[12] = {0};
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "crypto_aead_xchacha20poly1305_ietf_decrypt");
    if (!seals_are_off)
        return real(m, mlen_p, nsec, c, clen, ad, adlen, npub, k);
    if (clen < crypto_aead_xchacha20poly1305_ietf_ABYTES)
        return -1;
    clen -= crypto_aead_xchacha20poly1305_ietf_ABYTES;
    crypto_core_hchacha20(key, npub, k, NULL);
    memcpy(nonce + 4, npub + 16, 8);
    crypto_stream_chacha20_ietf_xor_ic(m, c, clen, nonce, 1, key);
    if (mlen_p)
        *mlen_p = clen;
    return 0;
}

// ---- chance: from the seed and the number of the case, so that each case can be repeated

struct chance {
    uint64_t state;
};

static inline uint64_t draw(struct chance *c, uint64_t below)
{
    uint64_t z = (c->state += 0x9e3779b97f4a7c15u);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return below ? (z ^ z >> 31) % below : 0;
}

// ---- the truth

struct known_session {
    char id[ID_TEXT_BYTES];
    unsigned user;
    unsigned turns;   // in the template; more are sent by a look
    unsigned undone;  // the last ones of these
};

// Lives in memory that children of the harness share with it.
struct truth {
    struct known_session sessions[SESSIONS];
};

static inline const char *user_name(unsigned user, char out[16])
{
    snprintf(out, 16, "user-%u", user);
    return out;
}

static inline uint64_t number_of(unsigned session, unsigned turn)
{
    return (session + 1) * 1000 + turn;
}

// What was said in a turn. Every third is long; letters without a pattern, so that it stays so.
static inline const char *text_of(uint64_t n, char out[KNOWN_BYTES])
{
    struct chance c = {n};
    size_t len = n % 3 ? 24 : LONG_TEXT;
    for (size_t i = 0; i < len; i++)
        out[i] = (char)('a' + draw(&c, 26));
    snprintf(out + len, KNOWN_BYTES - len, " #%llu", (unsigned long long)n);
    return out;
}

static inline const char *reply_of(uint64_t n, char out[KNOWN_BYTES])
{
    snprintf(out, KNOWN_BYTES, "Answer to #%llu.", (unsigned long long)n);
    return out;
}

// ---- asking

static inline parley_event *send_text(parley *e, const struct truth *t, unsigned session,
                                      unsigned turn, const char *id)
{
    char user[16], text[KNOWN_BYTES], key[32];
    parley_message m = PARLEY_MESSAGE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request, n = number_of(session, turn);
    snprintf(key, sizeof(key), "key-%llu", (unsigned long long)n);
    m.user = user_name(t->sessions[session].user, user);
    m.session = id;
    m.text = text_of(n, text);
    m.key = n % 2 ? key : NULL;
    if (parley_send(e, &m, &request, &error) < 0)
        give_up("send: %s", error.message);
    return wait_end(e, NULL);
}

static inline void undo_last(parley *e, const struct truth *t, unsigned session)
{
    char user[16];
    parley_scope scope = PARLEY_SCOPE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request;
    scope.user = user_name(t->sessions[session].user, user);
    scope.session = t->sessions[session].id;
    if (parley_undo(e, &scope, &request, &error) < 0)
        give_up("undo: %s", error.message);
    parley_event_free(wait_end(e, NULL));
}

// The template. `leave` is called while the engine is still open, when all is written.
static inline void make_template(const struct place *p, struct truth *t,
                                 void (*leave)(const struct place *p))
{
    parley_error error = PARLEY_ERROR_INIT;
    struct engine_wish wish = {0};
    parley *e;
    if (place_open(p, &wish, &e, &error) < 0)
        give_up("engine: %s", error.message);
    for (unsigned s = 0; s < SESSIONS; s++) {
        t->sessions[s] = (struct known_session){.user = s % USERS, .turns = 2 + s % 3};
        for (unsigned n = 1; n <= t->sessions[s].turns; n++) {
            parley_event *event = send_text(e, t, s, n, n > 1 ? t->sessions[s].id : NULL);
            if (event->type != PARLEY_EVENT_DONE || event->code)
                give_up("turn: %s", event->text);
            snprintf(t->sessions[s].id, ID_TEXT_BYTES, "%s", event->session);
            parley_event_free(event);
        }
    }
    undo_last(e, t, 2);
    t->sessions[2].undone = 1;
    leave(p);
    parley_close(e);
}

// ---- a look at a store that may be damaged

struct look {
    uint64_t wrong;       // texts shown that nobody wrote there: never
    uint64_t unlike;      // sessions that are not shown whole
    uint64_t quarantined; // … and say so
    uint64_t lost;        // turns told as done in a damaged store, and damaged when shown, and told
    bool earlier;         // the store may be an earlier state of itself: less is there, and whole
    uint64_t sent, refused;
    unsigned sending;     // the session of the turn under way
    char last[128];       // wrong thing
    bool whole[SESSIONS];
    bool listed[SESSIONS];
    bool took[SESSIONS];  // one turn more
    int problems;         // that verify tells; -1: it failed
    bool opened;
};

// Says which it was, for whoever looks into it.
static inline void wrong(struct look *l, unsigned session, unsigned turn, const char *what)
{
    l->wrong++;
    snprintf(l->last, sizeof(l->last), "session %u, turn %u: %s", session, turn, what);
}

static inline bool is_text(struct json step, const char *expected)
{
    struct buf text = BUF_INIT(1 << 20);
    step_text(step, &text);
    bool same = slice_is(buf_slice(&text), expected);
    buf_release(&text);
    return same;
}

// One turn as shown. False: not all of it is there.
static inline bool look_at_turn(struct look *l, const struct known_session *s, unsigned session,
                                unsigned turns, struct json turn)
{
    char text[KNOWN_BYTES];
    struct json_iter it = {0};
    struct json step;
    unsigned n = ordinal_of(json_get(turn, "turn")), users = 0, replies = 0;
    bool damaged = json_bool(json_get(turn, "damaged"), false);
    bool undone = n > s->turns - s->undone && n <= s->turns;
    bool superseded = json_bool(json_get(turn, "superseded"), false);
    if (n < 1 || n > turns || (superseded != undone && !l->earlier)) {
        wrong(l, session, n, superseded ? "undone" : "not undone, or none of these");
        return false;
    }
    while (json_next(json_get(turn, "steps"), &it, NULL, &step)) {
        bool user = json_is_string(json_get(step, "role"), "user");
        users += user;
        replies += !user;
        if (!is_text(step, user ? text_of(number_of(session, n), text)
                                : reply_of(number_of(session, n), text)))
            wrong(l, session, n, user ? "the message" : "the reply");
    }
    bool whole = users == 1 && replies == 1 && json_is_string(json_get(turn, "status"), "done");
    bool interrupted = l->earlier && json_is_string(json_get(turn, "status"), "interrupted");
    if (!whole && !damaged && !interrupted)
        wrong(l, session, n, "less than was said, shown as if it were all");
    return whole;
}

// A session as it is shown now. `turns`: that it must have.
static inline bool look_at_session(struct look *l, parley *e, const struct truth *t,
                                   unsigned session, unsigned turns)
{
    const struct known_session *s = &t->sessions[session];
    char user[16];
    struct json_doc doc = JSON_DOC_INIT;
    struct json_iter it = {0};
    struct json turn;
    parley_event *event = ask_show(e, user_name(s->user, user), s->id);
    unsigned whole = 0;
    bool quarantined = event->type == PARLEY_EVENT_ERROR;
    if (event->type == PARLEY_EVENT_RESULT &&
        json_parse(&doc, slice_str(event->json), 0, NULL) == E_OK) {
        struct json root = json_root(&doc);
        quarantined = json_bool(json_get(root, "quarantined"), false);
        while (json_next(json_get(root, "turns"), &it, NULL, &turn))
            whole += look_at_turn(l, s, session, turns, turn);
    }
    json_doc_release(&doc);
    parley_event_free(event);
    l->quarantined += quarantined;
    l->unlike += whole != turns;
    return whole == turns;
}

static inline void look_at_lists(struct look *l, parley *e, const struct truth *t)
{
    char name[16];
    for (unsigned u = 0; u < USERS; u++) {
        struct json_doc doc = JSON_DOC_INIT;
        struct json_iter it = {0};
        struct json row;
        parley_event *event = ask_sessions(e, user_name(u, name));
        if (event->type == PARLEY_EVENT_RESULT)
            json_parse(&doc, slice_str(event->json), 0, NULL);
        while (json_next(json_root(&doc), &it, NULL, &row))
            for (unsigned s = 0; s < SESSIONS; s++)
                if (t->sessions[s].user == u && json_is_string(json_get(row, "session"),
                                                               t->sessions[s].id))
                    l->listed[s] = true;
        json_doc_release(&doc);
        parley_event_free(event);
    }
}

// As verify_problems of harness.h, and says nothing: here problems are what is looked for.
static inline int quiet_problems(parley *e)
{
    parley_event *event = ask_verify(e);
    struct json_doc doc = JSON_DOC_INIT;
    int n = -1;
    if (event->type == PARLEY_EVENT_RESULT &&
        json_parse(&doc, slice_str(event->json), 0, NULL) == E_OK)
        n = (int)json_count(json_get(json_root(&doc), "problems"));
    json_doc_release(&doc);
    parley_event_free(event);
    return n;
}

static inline void look_at_all(struct look *l, parley *e, const struct truth *t)
{
    look_at_lists(l, e, t);
    for (unsigned s = 0; s < SESSIONS; s++)
        l->whole[s] = look_at_session(l, e, t, s, t->sessions[s].turns);
    l->problems = quiet_problems(e);
}

// What goes to a provider (on the worker's thread, while the harness waits): each text is one of
// this session's, whole.
static inline void look_at_request(void *user, const char *provider, const char *body, size_t len)
{
    struct look *l = user;
    char text[KNOWN_BYTES];
    (void)provider;
    for (const char *at = body; (at = memchr(at, '#', (size_t)(body + len - at))); at++) {
        uint64_t n = strtoull(at + 1, NULL, 10);
        size_t before = (size_t)(at - body), known;
        bool reply = before >= 10 && memcmp(at - 10, "Answer to ", 10) == 0;
        if (reply)
            reply_of(n, text);
        else
            text_of(n, text);
        known = (size_t)(strrchr(text, '#') - text);
        if (n / 1000 != l->sending + 1 || before < known || memcmp(at - known, text, known) != 0)
            wrong(l, l->sending, (unsigned)(n % 1000), "a text in a request");
    }
}

// One turn more in each session; what is told as done must be there, and nothing else.
static inline void look_by_sending(struct look *l, parley *e, const struct truth *t)
{
    char expected[KNOWN_BYTES];
    for (unsigned s = 0; s < SESSIONS; s++) {
        struct json_doc doc = JSON_DOC_INIT;
        struct buf reply = BUF_INIT(1 << 20);
        unsigned n = t->sessions[s].turns + 1;
        l->sending = s;
        parley_event *event = send_text(e, t, s, n, t->sessions[s].id);
        bool done = event->type == PARLEY_EVENT_DONE && !event->code;
        l->took[s] = done;
        l->sent += done;
        l->refused += !done;
        if (done && json_parse(&doc, slice_str(event->json), 0, NULL) == E_OK) {
            json_string(json_get(json_root(&doc), "reply"), &reply);
            if (!slice_is(buf_slice(&reply), reply_of(number_of(s, n), expected)))
                wrong(l, s, n, "the reply as it came");
            if (l->whole[s])
                l->lost += !look_at_session(l, e, t, s, n);
        }
        json_doc_release(&doc);
        buf_release(&reply);
        parley_event_free(event);
    }
}

// ---- files

static inline char *read_whole(const char *path, size_t *len)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    *len = 0;
    if (fd < 0)
        return NULL;
    char *bytes = fstat(fd, &st) == 0 ? malloc((size_t)st.st_size + 1) : NULL;
    if (bytes && read(fd, bytes, (size_t)st.st_size) == st.st_size)
        *len = (size_t)st.st_size;
    close(fd);
    return bytes;
}

static inline void write_whole(const char *path, const char *bytes, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, bytes, len) != (ssize_t)len || close(fd) != 0)
        give_up("%s: %s", path, strerror(errno));
}

static inline void *shared_memory(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        give_up("mmap: %s", strerror(errno));
    return p;
}

#endif
