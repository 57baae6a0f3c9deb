// SPDX-License-Identifier: MIT
// bench_memory.c: what is still found of whole conversations once their turns are deleted.
//
// Each LoCoMo conversation is lived through twice, once with each speaker as the user and the other
// one's words as the assistant's: each of its sessions at its date, in simulated time, through
// parley.h. Two hours later a sweep archives it, by then learnt from by rules alone (no model is
// asked), and its journal is written. When all is said, more than a year goes by, and a sweep
// deletes the raw turns. A question is asked of the user whom it names; of both, taken in turn,
// where it names both or none.
//
//   before   parley_recall over turns: the share of a question's evidence turns among the first k
//   after    the same over what is left. A fact stands for the turns that its evidence names, a
//            line of the journal for the turns that have its words
//   held     the share of the evidence that anything remembered stands for at all
//
// Adversarial questions name the wrong one of the two, whose memory has nothing to say to them.
//
// And both within what a request has for it: 8 documents of 400 tokens together.
//
// And what it costs: 1,000 facts beside none, with the same messages; that a pass which makes them
// true (memory/recall_sync.h) is made only when something of what is remembered changed.
//
//   bench_memory [quick]     quick: the first conversation
#include "parley_int.h"

#include "base/mem.h"
#include "base/rand.h"
#include "bench/locomo.h"
#include "memory/recall_sync.h"
#include "tokens/tokens.h"

#include <ctype.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    TURNS_MAX = 1024,         // of a conversation
    HITS = 20, REQUEST_HITS = 8, REQUEST_TOKENS = 400,
    LINE_WORDS_MIN = 3,       // that a line of the journal shares with a turn, in a row
};
static const int64_t HOUR_MS = 3600000, DAY_MS = 24 * 3600000LL;

static void die(const char *what)
{
    fprintf(stderr, "bench: %s\n", what);
    exit(1);
}

// ---- a life

// A message as the engine has it: LoCoMo turns first … last of one speaker in a row.
struct said {
    char session[ID_TEXT_BYTES];
    uint32_t turn, first, last;
    bool user;
};

struct life {
    struct clock_sim clock;
    struct rand_sim rand;
    char folder[64];
    parley *engine;
    const char *reply;        // what the model says next
    struct said said[TURNS_MAX];
    uint32_t said_len;
    struct buf answer;        // JSON of the newest result
};

struct mimic {
    struct llm_brain base;
    struct life *life;
};

static int mimic_reply(struct llm_brain *b, const struct llm_request *request, struct buf *out,
                       struct err *err)
{
    (void)request;
    buf_add_str(out, ((struct mimic *)b)->life->reply);
    return buf_check(out, "an answer", err);
}

static void mimic_free(struct llm_brain *b)
{
    mem_free(b);
}

static int make_mimic(void *user, struct llm_brain **out, struct err *err)
{
    static const struct llm_brain_ops ops = {.reply = mimic_reply, .free = mimic_free};
    struct mimic *m = mem_zalloc(sizeof(*m));
    (void)err;
    if (!m)
        return E_NOMEM;
    m->base.ops = &ops;
    m->life = user;
    *out = &m->base;
    return E_OK;
}

static int no_wire(void *user, struct loop *loop, struct wire **out, struct err *err)
{
    struct wire_sim_ops none = {.user = user};
    return wire_new_sim(out, loop, &none, err);
}

// journal: bytes of it; the default is 65536, and 8192 where all of it is sent.
static void write_policy(const struct life *l, unsigned journal)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/policies", l->folder);
    if (mkdir(path, 0700) != 0)
        die(path);
    snprintf(path, sizeof(path), "%s/policies/friend.lua", l->folder);
    FILE *f = fopen(path, "w");
    if (!f || fprintf(f,
                      "local memory = require \"parley.memory\"\n"
                      "return {\n"
                      "    privacy = { redact = false },\n"
                      "    memory = memory.rules { journal = { bytes = %u } },\n"
                      "    expiry = { kind = \"sliding\", soft = \"30m\", hard = \"2h\",\n"
                      "               purge = \"400d\" },\n"
                      "}\n", journal) < 0 || fclose(f) != 0)
        die(path);
}

static void log_nothing(void *user, parley_log_level level, const char *line)
{
    (void)user;
    if (level >= PARLEY_LOG_WARN && getenv("VERBOSE"))
        fprintf(stderr, "%s\n", line);
}

static void life_begin(struct life *l, int64_t at_ms, unsigned journal)
{
    char policies[128], keyring[128];
    parley_options options = PARLEY_OPTIONS_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    struct engine_seams seams = {.clock = &l->clock, .rand = &l->rand.rand, .wire = no_wire,
                                 .brain = make_mimic, .user = l};

    l->said_len = 0;
    l->answer = (struct buf)BUF_INIT(64 << 20);
    clock_sim_init(&l->clock, at_ms);
    rand_sim_init(&l->rand, 1);
    snprintf(l->folder, sizeof(l->folder), "%s", "/tmp/parley-bench-XXXXXX");
    if (!mkdtemp(l->folder))
        die("no temporary folder");
    write_policy(l, journal);
    snprintf(policies, sizeof(policies), "%s/policies", l->folder);
    snprintf(keyring, sizeof(keyring), "%s/keys", l->folder);
    options.config = "";
    options.no_environment = 1;
    options.store = "memory:";
    options.policies = policies;
    options.keyring = keyring;
    options.bot = "friend";
    options.provider = "scripted";
    options.model = "m";
    options.log = log_nothing;
    if (engine_open(&l->engine, &options, &seams, &error) < 0)
        die(error.message);
}

static void life_end(struct life *l)
{
    char command[128];
    parley_close(l->engine);
    buf_release(&l->answer);
    snprintf(command, sizeof(command), "rm -rf '%s'", l->folder);
    if (system(command) != 0)
        die("the temporary folder stays");
}

// Until the request's end. Its JSON is in l->answer; session and turn as it was accepted.
static void await(struct life *l, uint64_t request, char session[ID_TEXT_BYTES], uint32_t *turn)
{
    for (bool over = false; !over;) {
        parley_event *e;
        if (parley_wait(l->engine, 3600000, &e) != 1)
            die("no event");
        if (e->request == request) {
            over = e->type >= PARLEY_EVENT_DONE && e->type != PARLEY_EVENT_MOVED;
            if (e->type == PARLEY_EVENT_ERROR || (over && e->code))
                die(e->text);
            if (e->type == PARLEY_EVENT_ACCEPTED && session) {
                snprintf(session, ID_TEXT_BYTES, "%s", e->session);
                *turn = e->turn;
            }
            buf_clear(&l->answer);
            buf_add_str(&l->answer, e->json);
        }
        parley_event_free(e);
    }
}

static void sweep(struct life *l)
{
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request;
    for (int left = 1, tries = 0; left && tries < 100; tries++) {
        struct json_doc doc = JSON_DOC_INIT;
        if (parley_sweep(l->engine, PARLEY_TRUST_CLOCK, &request, &error) < 0)
            die(error.message);
        await(l, request, NULL, NULL);
        if (json_parse(&doc, buf_slice(&l->answer), 0, NULL))
            die("no report");
        struct json root = json_root(&doc);
        left = json_i64(json_get(root, "left"), 0) || json_i64(json_get(root, "archived"), 0) ||
               json_i64(json_get(root, "purged"), 0);
        json_doc_release(&doc);
    }
}

static struct said *note(struct life *l, const char *session, uint32_t turn, bool user,
                         uint32_t first, uint32_t last)
{
    if (l->said_len == TURNS_MAX)
        die("a conversation of more turns than expected");
    struct said *s = &l->said[l->said_len++];
    *s = (struct said){.turn = turn, .first = first, .last = last, .user = user};
    snprintf(s->session, sizeof(s->session), "%s", session);
    return s;
}

// Turns from `at` on that the same speaker says in the same session; the text of them in out.
static uint32_t run_of(const struct locomo_conv *c, uint32_t at, struct buf *out)
{
    uint32_t end = at;
    buf_clear(out);
    while (end < c->turns_len && strcmp(c->turns[end].speaker, c->turns[at].speaker) == 0 &&
           strcmp(c->turns[end].session, c->turns[at].session) == 0) {
        buf_addf(out, "%s%s", end > at ? "\n" : "", c->turns[end].text);
        end++;
    }
    buf_add_char(out, '\0');
    return end;
}

// One turn: what the user says from `at` on, and what is answered. Returns where it ends.
static uint32_t live_turn(struct life *l, const struct locomo_conv *c, const char *user,
                          uint32_t at, const char *go_on, char session[ID_TEXT_BYTES])
{
    struct buf text = BUF_INIT(1 << 20), reply = BUF_INIT(1 << 20);
    parley_message m = PARLEY_MESSAGE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request;
    uint32_t turn, mid = at, end;
    bool begins = strcmp(c->turns[at].speaker, user) == 0;

    // An assistant does not speak first: it is greeted.
    buf_add_str(&text, "Hello!");
    buf_add_char(&text, '\0');
    if (begins)
        mid = run_of(c, at, &text);
    end = mid;
    if (mid < c->turns_len && strcmp(c->turns[mid].session, c->turns[at].session) == 0)
        end = run_of(c, mid, &reply);
    l->reply = reply.len > 1 ? reply.ptr : "Bye.";
    m.user = user;
    m.text = text.ptr;
    m.session = go_on;
    if (parley_send(l->engine, &m, &request, &error) < 0)
        die(error.message);
    await(l, request, session, &turn);
    if (mid > at)
        note(l, session, turn, true, at, mid - 1);
    if (end > mid)
        note(l, session, turn, false, mid, end - 1);
    buf_release(&text);
    buf_release(&reply);
    return end;
}

static void live(struct life *l, const struct locomo_conv *c, const char *user)
{
    char session[ID_TEXT_BYTES] = "";
    for (uint32_t at = 0; at < c->turns_len;) {
        bool new_session = at == 0 || strcmp(c->turns[at].session, c->turns[at - 1].session) != 0;
        if (new_session && at) {
            clock_sim_advance(&l->clock, 2 * HOUR_MS + 60000);
            sweep(l);
        }
        int64_t ahead = c->turns[at].at_ms - clock_wall_ms(&l->clock.clock);
        clock_sim_advance(&l->clock, new_session && ahead > 0 ? ahead : 60000);
        at = live_turn(l, c, user, at, new_session ? NULL : session, session);
    }
    clock_sim_advance(&l->clock, 2 * HOUR_MS + 60000);
    sweep(l);
}

// ---- what is found

// What a document stands for: LoCoMo turns.
struct doc {
    uint32_t evidence[64], len, tokens;
};

struct memories {
    struct { char id[16]; struct doc doc; } *facts;
    uint32_t len;
};

static void stand_for(struct doc *d, uint32_t turn)
{
    for (uint32_t i = 0; i < d->len; i++)
        if (d->evidence[i] == turn)
            return;
    if (d->len < 64)
        d->evidence[d->len++] = turn;
}

static void text_of(struct json v, char *out, size_t bytes)
{
    struct buf text = BUF_INIT(64 << 10);
    struct slice s = json_text(v, &text);
    snprintf(out, bytes, "%.*s", SLICE_FMT(s));
    buf_release(&text);
}

// Lower case, words with one blank between.
static void plain(const char *text, char *out, size_t bytes)
{
    size_t n = 0;
    for (; *text && n + 2 < bytes; text++) {
        unsigned char c = (unsigned char)*text;
        if (isalnum(c) || c >= 0x80)
            out[n++] = (char)tolower(c);
        else if (n && out[n - 1] != ' ' && c != '\'')
            out[n++] = ' ';
    }
    while (n && out[n - 1] == ' ')
        n--;
    out[n] = '\0';
}

// The user's words of a turn, or a part of them: those LoCoMo turns that `quote` is of.
static void stand_for_said(const struct life *l, const struct locomo_conv *c, struct doc *d,
                           const char *session, uint32_t turn, bool user)
{
    (void)c;
    for (uint32_t i = 0; i < l->said_len; i++) {
        const struct said *s = &l->said[i];
        if (s->turn != turn || s->user != user || strcmp(s->session, session) != 0)
            continue;
        for (uint32_t k = s->first; k <= s->last; k++)
            stand_for(d, k);
    }
}

// A line of the journal stands for the turns of its session that have what it says, word for word.
static void stand_for_line(const struct life *l, const struct locomo_conv *c, struct doc *d,
                           const char *session, const char *line)
{
    char words[4096], turn[32768];
    const char *label = strstr(line, ": ");
    plain(label ? label + 2 : line, words, sizeof(words));
    unsigned blanks = 0;
    for (const char *at = words; *at; at++)
        blanks += *at == ' ';
    if (blanks + 1 < LINE_WORDS_MIN)
        return;
    for (uint32_t i = 0; i < l->said_len; i++) {
        const struct said *s = &l->said[i];
        bool any = strcmp(session, "earlier") == 0;
        for (uint32_t k = s->first; k <= s->last && (any || !strcmp(s->session, session)); k++) {
            plain(c->turns[k].text, turn, sizeof(turn));
            if (strstr(turn, words))
                stand_for(d, k);
        }
    }
}

static void read_facts(const struct life *l, const struct locomo_conv *c, struct memories *m,
                       struct json list)
{
    struct json_iter it = {0};
    struct json key, fact, evidence;
    while (json_next(list, &it, &key, &fact)) {
        struct json_iter each = {0};
        m->facts = mem_realloc(m->facts, (m->len + 1) * sizeof(*m->facts));
        memset(&m->facts[m->len], 0, sizeof(*m->facts));
        text_of(json_get(fact, "fact"), m->facts[m->len].id, sizeof(m->facts[0].id));
        while (json_next(json_get(fact, "evidence"), &each, &key, &evidence)) {
            char session[ID_TEXT_BYTES], turn[16];
            text_of(json_get(evidence, "session"), session, sizeof(session));
            text_of(json_get(evidence, "turn"), turn, sizeof(turn));
            stand_for_said(l, c, &m->facts[m->len].doc, session,
                           (uint32_t)strtoul(turn, NULL, 10), true);
        }
        m->len++;
    }
}

static void ask_memory(struct life *l, const char *user, unsigned what)
{
    parley_scope scope = PARLEY_SCOPE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request;
    scope.user = user;
    if (parley_memory(l->engine, &scope, what, &request, &error) < 0)
        die(error.message);
    await(l, request, NULL, NULL);
}

// What is remembered of the user, and all that it stands for.
static void read_memories(struct life *l, const struct locomo_conv *c, const char *user,
                          struct memories *m, struct doc *held, uint32_t *journal_bytes)
{
    struct json_doc doc = JSON_DOC_INIT;
    struct json_iter it = {0};
    struct json key, entry;
    *m = (struct memories){NULL, 0};
    ask_memory(l, user, 0);
    if (json_parse(&doc, buf_slice(&l->answer), 0, NULL))
        die("no memories");
    struct json root = json_root(&doc);
    read_facts(l, c, m, json_get(root, "facts"));
    read_facts(l, c, m, json_get(root, "knowledge"));
    memset(held, 0, TURNS_MAX * sizeof(*held));
    for (uint32_t i = 0; i < m->len; i++)
        for (uint32_t k = 0; k < m->facts[i].doc.len; k++)
            held[m->facts[i].doc.evidence[k]].len = 1;
    while (json_next(json_get(root, "journal"), &it, &key, &entry)) {
        static char text[64 << 10];
        char session[ID_TEXT_BYTES];
        text_of(json_get(entry, "session"), session, sizeof(session));
        text_of(json_get(entry, "text"), text, sizeof(text));
        *journal_bytes += (uint32_t)strlen(text);
        for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
            struct doc of = {.len = 0};
            stand_for_line(l, c, &of, session, line);
            for (uint32_t k = 0; k < of.len; k++)
                held[of.evidence[k]].len = 1;
        }
    }
    json_doc_release(&doc);
}

// The ranking for a question, best first; turns: only them, else only the others.
static uint32_t ask(struct life *l, const struct locomo_conv *c, const char *user,
                    const struct memories *m, const char *question, struct doc out[HITS])
{
    struct json_doc doc = JSON_DOC_INIT;
    struct json_iter it = {0};
    struct json key, row;
    parley_scope scope = PARLEY_SCOPE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request;
    uint32_t len = 0;

    scope.user = user;
    if (parley_recall(l->engine, &scope, question, 200, &request, &error) < 0)
        die(error.message);
    await(l, request, NULL, NULL);
    if (json_parse(&doc, buf_slice(&l->answer), 0, NULL))
        die("no ranking");
    while (len < HITS && json_next(json_root(&doc), &it, &key, &row)) {
        static char text[64 << 10];
        char kind[16], session[ID_TEXT_BYTES], turn[16], role[16], id[16];
        text_of(json_get(row, "kind"), kind, sizeof(kind));
        text_of(json_get(row, "session"), session, sizeof(session));
        text_of(json_get(row, "turn"), turn, sizeof(turn));
        text_of(json_get(row, "role"), role, sizeof(role));
        text_of(json_get(row, "fact"), id, sizeof(id));
        text_of(json_get(row, "text"), text, sizeof(text));
        bool is_turn = strcmp(kind, "turn") == 0;
        if (is_turn != (m == NULL))
            continue;
        struct doc *d = &out[len++];
        *d = (struct doc){.tokens = tokens_estimate(slice_str(text))};
        if (is_turn)
            stand_for_said(l, c, d, session, (uint32_t)strtoul(turn, NULL, 10),
                           strcmp(role, "user") == 0);
        else if (id[0]) {
            for (uint32_t i = 0; i < m->len; i++)
                if (strcmp(m->facts[i].id, id) == 0)
                    d->len = m->facts[i].doc.len,
                    memcpy(d->evidence, m->facts[i].doc.evidence, sizeof(d->evidence));
        } else
            stand_for_line(l, c, d, session, text);
    }
    json_doc_release(&doc);
    return len;
}

// ---- figures

struct figures {
    double at[LOCOMO_DEPTHS], request, any;  // sums of shares; any: of questions with some evidence
    double held;
    uint32_t n, docs;
    uint64_t tokens;
};

static double share(const struct locomo_question *q, const struct doc *docs, uint32_t len)
{
    uint32_t found = 0;
    for (uint32_t e = 0; e < q->evidence_len; e++) {
        bool is = false;
        for (uint32_t i = 0; i < len && !is; i++)
            for (uint32_t k = 0; k < docs[i].len && !is; k++)
                is = docs[i].evidence[k] == q->evidence[e];
        found += is;
    }
    return q->evidence_len ? (double)found / q->evidence_len : 0;
}

static void count(struct figures *f, const struct locomo_question *q, const struct doc *docs,
                  uint32_t len)
{
    struct doc fit[REQUEST_HITS];
    uint32_t fit_len = 0, tokens = 0;
    f->n++;
    for (unsigned d = 0; d < LOCOMO_DEPTHS; d++)
        f->at[d] += share(q, docs, len < locomo_depths[d] ? len : locomo_depths[d]);
    for (uint32_t i = 0; i < len && fit_len < REQUEST_HITS; i++) {
        if (tokens + docs[i].tokens > REQUEST_TOKENS)
            continue;
        tokens += docs[i].tokens;
        fit[fit_len++] = docs[i];
    }
    double within = share(q, fit, fit_len);
    f->request += within;
    f->any += within > 0;
    f->docs += fit_len;
    f->tokens += tokens;
}

static void print(const char *name, const struct figures *f)
{
    if (f->n == 0)
        return;
    printf("  %-22s %5u  %.3f  %.3f  %.3f   %.3f  %.3f  %5.1f %6.0f", name, f->n,
           f->at[0] / f->n, f->at[1] / f->n, f->at[2] / f->n, f->request / f->n, f->any / f->n,
           (double)f->docs / f->n, (double)f->tokens / f->n);
    if (f->held > 0)
        printf("   %.3f", f->held / f->n);
    printf("\n");
}

static void print_table(const char *name, const struct figures *all,
                        const struct figures by[LOCOMO_CATEGORIES], bool after)
{
    printf("%-24s %5s  %5s  %5s  %5s   %5s  %5s  %5s %6s   %s\n", name, "n", "@5", "@10", "@20",
           "8/400", "any", "docs", "tokens", after ? "held" : "");
    print("all", all);
    for (int k = 0; k < LOCOMO_CATEGORIES; k++)
        print(locomo_categories[k], &by[k]);
}

// Two rankings taken in turn.
static uint32_t in_turn(const struct doc *a, uint32_t a_len, const struct doc *b, uint32_t b_len,
                        struct doc out[HITS])
{
    uint32_t len = 0;
    for (uint32_t i = 0; i < HITS && len < HITS; i++) {
        if (i < a_len)
            out[len++] = a[i];
        if (i < b_len && len < HITS)
            out[len++] = b[i];
    }
    return len;
}

struct pair {
    struct life *lives[2];
    const char *users[2];
    struct memories memories[2];
    struct doc *held[2];
};

static void ask_question(struct pair *p, const struct locomo_conv *c, uint32_t n, bool turns,
                         struct figures *all, struct figures *by_category)
{
    const struct locomo_question *q = &c->questions[n];
    static struct doc docs[2][HITS], both[HITS];
    uint32_t len[2] = {0, 0};
    bool named[2];
    for (int i = 0; i < 2; i++)
        named[i] = strstr(q->text, p->users[i]) != NULL;
    bool ask_both = named[0] == named[1];
    for (int i = 0; i < 2; i++)
        if (ask_both || named[i])
            len[i] = ask(p->lives[i], c, p->users[i], turns ? NULL : &p->memories[i], q->text,
                         docs[i]);
    uint32_t both_len = in_turn(docs[0], len[0], docs[1], len[1], both);
    count(all, q, both, both_len);
    count(&by_category[q->category], q, both, both_len);
    uint32_t held = 0;
    for (uint32_t e = 0; e < q->evidence_len && !turns; e++)
        held += (p->held[0][q->evidence[e]].len && (ask_both || named[0])) ||
                (p->held[1][q->evidence[e]].len && (ask_both || named[1]));
    double part = q->evidence_len ? (double)held / q->evidence_len : 0;
    all->held += part;
    by_category[q->category].held += part;
}

static void ask_all(struct pair *p, const struct locomo_conv *c, bool turns, struct figures *all,
                    struct figures *by_category)
{
    for (uint32_t k = 0; k < c->questions_len; k++)
        if (c->questions[k].evidence_len)
            ask_question(p, c, k, turns, all, by_category);
}

static void run(const struct locomo_conv *c, unsigned journal_most, struct figures f[2],
                struct figures by[2][LOCOMO_CATEGORIES])
{
    static struct doc held[2][TURNS_MAX];
    struct pair p = {.held = {held[0], held[1]}};
    uint32_t facts = 0, journal = 0;
    for (int i = 0; i < 2; i++) {
        p.lives[i] = mem_zalloc(sizeof(struct life));
        uint32_t other = 0;
        while (i && strcmp(c->turns[other].speaker, p.users[0]) == 0)
            other++;
        p.users[i] = c->turns[other].speaker;
        life_begin(p.lives[i], c->turns[0].at_ms - 60000, journal_most);
        live(p.lives[i], c, p.users[i]);
    }
    ask_all(&p, c, true, &f[0], by[0]);
    for (int i = 0; i < 2; i++) {
        clock_sim_advance(&p.lives[i]->clock, 401 * DAY_MS);
        sweep(p.lives[i]);
        read_memories(p.lives[i], c, p.users[i], &p.memories[i], held[i], &journal);
        facts += p.memories[i].len;
    }
    ask_all(&p, c, false, &f[1], by[1]);
    printf("  %s and %s: %u turns, %u facts of both, %u bytes of journals\n", p.users[0],
           p.users[1], c->turns_len, facts, journal);
    for (int i = 0; i < 2; i++) {
        mem_free(p.memories[i].facts);
        life_end(p.lives[i]);
        mem_free(p.lives[i]);
    }
}

// ---- what it costs

enum { COST_TURNS = 2000, COST_FACTS = 1000, COST_RUNS = 101, COST_WORDS = 4000 };

static const struct recall_scope scope = {.partition = SLICE_LIT("u"), .bot = SLICE_LIT("b")};

static double cpu_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void words_of(const struct rand *rand, uint32_t words, char *out)
{
    for (uint32_t i = 0; i < words; i++) {
        uint64_t word = rand_below(rand, 1 + rand_below(rand, 1 + rand_below(rand, COST_WORDS)));
        out += sprintf(out, "word%" PRIx64 " ", word);
    }
}

// A pass with `facts` of them, of which `news` say something that they did not say before.
static double pass(struct recall *r, uint32_t facts, uint32_t news, unsigned round)
{
    const struct slice first = SLICE_LIT("000000000000");
    const struct slice *only = news == 1 ? &first : NULL;
    size_t only_len = news == 1;
    struct recall_sync *s;
    double from = cpu_us();
    if (recall_sync_begin(&s, r, only, only_len, NULL))
        die("no pass");
    for (uint32_t i = 0; i < (only ? news : facts); i++) {
        char id[16], text[64];
        snprintf(id, sizeof(id), "%012x", i);
        snprintf(text, sizeof(text), "likes word%x of word%x", i, i < news ? round : 0);
        struct recall_item item = {.kind = RECALL_FACT, .session = slice_str(id),
                                   .at_ms = 1700000000000, .tokens = 6, .text = slice_str(text)};
        if (recall_sync_keep(s, &item, NULL))
            die("no room");
    }
    recall_sync_end(s, false);
    return cpu_us() - from;
}

static double query(struct recall *r, const struct rand *rand, unsigned kinds)
{
    struct recall_hit hits[40];
    char text[512];
    uint32_t len;
    words_of(rand, 12, text);
    struct recall_query q = {.scope = scope, .text = slice_str(text), .now_ms = 1800000000000,
                             .kinds = kinds, .k = 40};
    double from = cpu_us();
    if (recall_query(r, &q, hits, &len, NULL))
        die("nothing recalled");
    return cpu_us() - from;
}

static void cost(uint32_t facts)
{
    struct rand_sim sim;
    struct recall *r;
    struct recall_change change;
    double turns[COST_RUNS], memories[COST_RUNS], same[COST_RUNS], one[COST_RUNS];
    rand_sim_init(&sim, 7);
    if (recall_new(&r, &scope, &(struct recall_space){0}, NULL))
        die("no index");
    for (uint32_t i = 0; i < COST_TURNS; i++) {
        char text[1024];
        words_of(&sim.rand, 20, text);
        struct recall_item item = {.session = SLICE_LIT("s"), .turn = i + 1, .tokens = 40,
                                   .at_ms = 1700000000000, .text = slice_str(text)};
        if (recall_add(r, &item, NULL))
            die("no room");
    }
    pass(r, facts, 0, 0);
    recall_seal(r, 1, &change, NULL);
    for (unsigned i = 0; i < COST_RUNS; i++) {
        turns[i] = query(r, &sim.rand, 1U << RECALL_TURN);
        memories[i] = query(r, &sim.rand, RECALL_MEMORIES);
        same[i] = pass(r, facts, 0, 0);
    }
    for (unsigned i = 0; i < COST_RUNS; i++)
        one[i] = pass(r, facts, 1, i + 1);
    double *const all[] = {turns, memories, same, one};
    for (int i = 0; i < 4; i++)
        qsort(all[i], COST_RUNS, sizeof(double), by_value);
    printf("  %4u facts: asked for turns %.0f us, for what is remembered %.0f us; a pass over "
           "all %.0f us, over one that is new %.0f us\n", facts, turns[COST_RUNS / 2],
           memories[COST_RUNS / 2], same[COST_RUNS / 2], one[COST_RUNS / 2]);
    recall_free(r);
}

int main(int argc, char **argv)
{
    bool quick = argc > 1 && strcmp(argv[1], "quick") == 0;
    static const char *const names[] = {"before: turns", "after: what is remembered"};
    static const unsigned journals[] = {64 << 10, 8 << 10};
    struct locomo data = {0};

    printf("%d messages, and what is remembered beside them (CPU, median)\n", COST_TURNS);
    cost(0);
    cost(COST_FACTS);
    if (!locomo_load(&data)) {
        printf("LoCoMo: skipped (no cases beside the project)\n");
        return 0;
    }
    for (unsigned v = 0; v < (quick ? 1 : 2); v++) {
        struct figures all[2] = {0}, by[2][LOCOMO_CATEGORIES] = {0};
        printf("LoCoMo, lived through; raw turns deleted; journals of %u KiB\n",
               journals[v] >> 10);
        for (uint32_t i = 0; i < (quick ? 1 : data.len); i++)
            run(&data.convs[i], journals[v], all, by);
        for (int m = 0; m < 2; m++)
            print_table(names[m], &all[m], by[m], m == 1);
    }
    return 0;
}
