// SPDX-License-Identifier: MIT
// Edits, regenerated replies, undos, pins and constraints at random, through two engines on one
// store that take turns and are closed and opened again; some replies are cut, empty or missing.
// Whatever was done, the next request is one that a provider takes, and it says what a plain model
// of the session says: nothing that was superseded, everything that is pinned or to be kept in
// mind, each once and in order, and the new words last. And it begins as the one before did, unless
// the cut moved: what was stated meanwhile changes nothing that a provider has cached.
//
// Negative control: edits that the engine is told of as new messages, so that nothing is
// superseded.
#include "fault/sim.h"

enum { TURNS_MAX = 400, KEEP = 2, WORD_BYTES = 24, ENGINES = 2 };

// The session as it should be.
struct model_turn {
    unsigned word;
    bool superseded, pinned;
};
struct model {
    struct model_turn turns[TURNS_MAX + 1];  // by ordinal
    uint32_t len;
    unsigned words;
    unsigned constraints[CONSTRAINTS_MAX];   // their words
    uint32_t numbers[CONSTRAINTS_MAX], constraints_len;
    char session[ID_TEXT_BYTES];
};

struct trial {
    struct place place;
    struct clock_sim clock;
    struct rand_sim rand;
    struct engine_seams seams;
    struct store *hold;
    parley *engines[ENGINES];
    struct model model;
    struct buf body;          // of the newest request
    unsigned requests, checked, wrong;
    struct buf before;        // the messages of the one before, each with its NUL; empty: not known
    unsigned oldest, oldest_before;  // words of the oldest turn that is sent
    unsigned stated;          // constraints since then
    unsigned alike, alike_stated;  // requests that had to begin like the one before, and did
    bool lie;                 // the control
    bool calm;                // little is edited, and nothing pinned: there is much to compare
    char why[256];
};

static struct trial *told;    // whose requests are seen; one at a time

static int no_wire(void *user, struct loop *loop, struct wire **out, struct err *err)
{
    static const struct wire_sim_ops none = {0};
    (void)user;
    return wire_new_sim(out, loop, &none, err);
}

static void see_request(void *user, const char *provider, const char *body, size_t len)
{
    (void)user, (void)provider;
    buf_clear(&told->body);
    buf_add(&told->body, body, len);
    told->requests++;
}

static void open_engine(struct trial *t, unsigned i)
{
    struct engine_wish wish = {
        .store = "memory:edits",
        .settings = {"providers.blank.api=scripted", "providers.blank.empty=true",
                     "providers.blank.model=m", "providers.broken.api=scripted",
                     "providers.broken.status=400", "providers.broken.model=m"},
        .seams = &t->seams,
        .trace = see_request,
    };
    parley_error error = PARLEY_ERROR_INIT;
    char keyring[NAME_BYTES + 16];
    snprintf(keyring, sizeof(keyring), "keyring=%s/parley.keys", t->place.dir);
    wish.settings[6] = keyring;
    if (place_open(&t->place, &wish, &t->engines[i], &error) < 0)
        give_up("engine: %s", error.message);
}

static void wrong(struct trial *t, const char *what, unsigned word)
{
    t->wrong++;
    if (!t->why[0])
        snprintf(t->why, sizeof(t->why), "%s: word %u, request %u", what, word, t->requests);
}

// ---- the request

static unsigned count_word(struct slice text, unsigned word, size_t *at)
{
    char mark[WORD_BYTES];
    int len = snprintf(mark, sizeof(mark), "@%u@", word);
    unsigned n = 0;
    const char *p = text.ptr;
    while ((p = memmem(p, (size_t)(text.ptr + text.len - p), mark, (size_t)len))) {
        *at = (size_t)(p - text.ptr);
        n++;
        p += len;
    }
    return n;
}

// Roles alternate, the user is first and last, nothing is empty; what users say goes to `said`.
static bool valid(struct json root, struct buf *said, size_t *last_from)
{
    struct json_iter it = {0};
    struct json message;
    bool user = false;
    while (json_next(json_get(root, "messages"), &it, NULL, &message)) {
        struct buf text = BUF_INIT(1 << 20);
        bool before = user;
        user = json_is_string(json_get(message, "role"), "user");
        if (!json_string(json_get(message, "content"), &text))
            step_text(message, &text);
        bool good = text.len > 0 && user != before;
        *last_from = said->len;
        if (user)
            buf_add_slice(said, buf_slice(&text));
        buf_release(&text);
        if (!good)
            return false;
    }
    return user;
}

static void check_words(struct trial *t, struct slice said, size_t last_from)
{
    const struct model *m = &t->model;
    size_t at = 0, before = 0;
    bool any = false;
    unsigned kept = 0;
    for (uint32_t n = m->len; n > 0; n--) {
        const struct model_turn *turn = &m->turns[n];
        if (turn->superseded)
            continue;
        unsigned count = count_word(said, turn->word, &at);
        if (count > 1)
            wrong(t, "said twice", turn->word);
        if (count == 0 && (turn->pinned || kept < KEEP))
            wrong(t, "left out", turn->word);
        if (n == m->len && at < last_from)
            wrong(t, "the new words are not last", turn->word);
        if (count && any && at > before)
            wrong(t, "out of order", turn->word);
        t->oldest = count ? turn->word : t->oldest;
        kept += n < m->len;
        any = any || count > 0;
        before = count ? at : before;
    }
    for (unsigned word = 1; word <= m->words; word++) {
        bool live = false;
        for (uint32_t n = 1; n <= m->len && !live; n++)
            live = m->turns[n].word == word && !m->turns[n].superseded;
        unsigned is_constraint = 0;
        for (uint32_t i = 0; i < m->constraints_len; i++)
            is_constraint += m->constraints[i] == word;
        if (is_constraint != 0 && count_word(said, word, &at) != 1)
            wrong(t, "not kept in mind, once", word);
        if (!live && is_constraint == 0 && count_word(said, word, &at) > 0)
            wrong(t, "superseded, and sent", word);
    }
}

// How long all but the last message is.
static size_t beginning(struct slice messages)
{
    size_t last = 0;
    for (size_t at = 0; at < messages.len; at += strlen(messages.ptr + at) + 1)
        last = at;
    return last;
}

static bool anything_pinned(const struct model *m)
{
    for (uint32_t n = 1; n <= m->len; n++) {
        if (m->turns[n].pinned)
            return true;
    }
    return false;
}

// While the oldest turn is the same, so is all that is not the newest message.
static void check_beginning(struct trial *t, struct json root)
{
    struct json_iter it = {0};
    struct json message;
    struct buf now = BUF_INIT(16 << 20);
    while (json_next(json_get(root, "messages"), &it, NULL, &message)) {
        buf_add_slice(&now, json_raw(message));
        buf_add_char(&now, '\0');
    }
    if (t->before.len && now.len && !anything_pinned(&t->model)) {
        size_t len = beginning(buf_slice(&t->before));
        bool same = len > 0 && t->calm && t->oldest == t->oldest_before;
        if (same && (now.len < len || memcmp(t->before.ptr, now.ptr, len) != 0))
            wrong(t, "begins like no request before", 0);
        t->alike += same;
        t->alike_stated += same && t->stated > 0;
    }
    buf_release(&t->before);
    t->before = now;
    t->oldest_before = t->oldest;
    t->stated = 0;
}

static void check_request(struct trial *t)
{
    struct json_doc doc = JSON_DOC_INIT;
    struct buf said = BUF_INIT(16 << 20);
    size_t last_from = 0;
    t->checked++;
    if (json_parse(&doc, buf_slice(&t->body), 0, NULL) != E_OK ||
        !valid(json_root(&doc), &said, &last_from))
        wrong(t, "not a request that a provider takes", 0);
    else
        check_words(t, buf_slice(&said), last_from);
    check_beginning(t, json_root(&doc));
    json_doc_release(&doc);
    buf_release(&said);
}

// ---- what is done

static parley *any_engine(struct trial *t)
{
    return t->engines[rand_below(&t->rand.rand, ENGINES)];
}

static uint32_t newest_live(const struct model *m)
{
    uint32_t n = m->len;
    while (n > 0 && m->turns[n].superseded)
        n--;
    return n;
}

static void supersede(struct model *m, uint32_t from)
{
    for (uint32_t n = from; n <= m->len; n++) {
        m->turns[n].superseded = true;
        m->turns[n].pinned = false;
    }
}

// A message; `edit` 0: a new one. With `again` without words of its own.
static void say(struct trial *t, uint32_t edit, bool again)
{
    static const char *const providers[] = {"scripted", "scripted", "cut", "blank", "broken"};
    struct model *m = &t->model;
    parley *e = any_engine(t);
    parley_message message = PARLEY_MESSAGE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request;
    char text[64];
    uint32_t from = again && !edit ? newest_live(m) : edit;
    bool allowed = again ? from > 0 && from <= m->len && !m->turns[from].superseded
                         : !edit || (edit <= m->len && !m->turns[edit].superseded);
    unsigned word = again ? (allowed ? m->turns[from].word : 0) : ++m->words;
    bool pinned = again && allowed && m->turns[from].pinned;
    snprintf(text, sizeof(text), "I say @%u@ long #%u", word, word);
    message.user = "ann";
    message.session = m->session[0] ? m->session : NULL;
    message.flags = again ? PARLEY_REGENERATE : 0;
    // A cut is made for one provider: another has nothing in its cache.
    message.provider = providers[t->calm ? 0 : rand_below(&t->rand.rand, 5)];
    message.text = again ? NULL : text;
    message.edit_turn = t->lie && !again ? 0 : edit;
    unsigned before = t->requests;
    if (from)
        buf_clear(&t->before);
    if (parley_send(e, &message, &request, &error) < 0)
        give_up("send: %s", error.message);
    if (rand_below(&t->rand.rand, 12) == 0)
        parley_stop(e, request);
    bool accepted;
    parley_event *event = wait_end(e, &accepted);
    if (accepted != allowed && event->code != PARLEY_E_CANCELLED && !t->lie)
        wrong(t, allowed ? event->text : "accepted what is not there", word);
    if (event->session[0])
        snprintf(m->session, sizeof(m->session), "%s", event->session);
    parley_event_free(event);
    if (accepted) {
        if (from)
            supersede(m, from);
        m->turns[++m->len] = (struct model_turn){.word = word, .pinned = pinned};
    }
    if (t->requests > before)
        check_request(t);
}

enum { ASK_UNDO, ASK_PIN, ASK_UNPIN, ASK_CONSTRAIN, ASK_UNCONSTRAIN };

// Whether it was done.
static bool ask(struct trial *t, int what, uint32_t n, const char *text)
{
    parley_scope scope = PARLEY_SCOPE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    parley *e = any_engine(t);
    uint64_t request;
    scope.user = "ann";
    scope.session = t->model.session;
    int code = what == ASK_UNDO        ? parley_undo(e, &scope, &request, &error)
               : what == ASK_PIN       ? parley_pin(e, &scope, n, &request, &error)
               : what == ASK_UNPIN     ? parley_unpin(e, &scope, n, &request, &error)
               : what == ASK_CONSTRAIN ? parley_constrain(e, &scope, text, &request, &error)
                                       : parley_unconstrain(e, &scope, n, &request, &error);
    if (code < 0)
        give_up("asking: %s", error.message);
    parley_event *event = wait_end(e, NULL);
    bool done = event->type == PARLEY_EVENT_RESULT;
    parley_event_free(event);
    return done;
}

static void pin(struct trial *t, uint32_t n, bool remove)
{
    struct model *m = &t->model;
    uint32_t pins = 0;
    buf_clear(&t->before);
    for (uint32_t i = 1; i <= m->len; i++)
        pins += m->turns[i].pinned;
    bool there = n <= m->len && !m->turns[n].superseded;
    bool allowed = there && (remove ? m->turns[n].pinned
                                    : m->turns[n].pinned || pins < SESSION_PINS_MAX);
    if (ask(t, remove ? ASK_UNPIN : ASK_PIN, n, NULL) != allowed && !t->lie)
        wrong(t, "pinning", n);
    if (allowed)
        m->turns[n].pinned = !remove;
}

static void constrain(struct trial *t)
{
    struct model *m = &t->model;
    char text[64];
    snprintf(text, sizeof(text), "Mind @%u@", ++m->words);
    bool allowed = m->constraints_len < CONSTRAINTS_MAX;
    if (ask(t, ASK_CONSTRAIN, 0, text) != allowed)
        wrong(t, "constraining", m->words);
    if (!allowed)
        return;
    uint32_t last = m->constraints_len ? m->numbers[m->constraints_len - 1] : 0;
    t->stated++;
    m->numbers[m->constraints_len] = last + 1;
    m->constraints[m->constraints_len++] = m->words;
}

static void unconstrain(struct trial *t)
{
    struct model *m = &t->model;
    if (m->constraints_len == 0)
        return;
    uint32_t i = (uint32_t)rand_below(&t->rand.rand, m->constraints_len);
    buf_clear(&t->before);
    if (!ask(t, ASK_UNCONSTRAIN, m->numbers[i], NULL))
        wrong(t, "taking a constraint back", m->constraints[i]);
    m->constraints_len--;
    memmove(m->numbers + i, m->numbers + i + 1, (m->constraints_len - i) * sizeof(m->numbers[0]));
    memmove(m->constraints + i, m->constraints + i + 1,
            (m->constraints_len - i) * sizeof(m->constraints[0]));
}

static void step(struct trial *t)
{
    struct model *m = &t->model;
    uint32_t some = 1 + (uint32_t)rand_below(&t->rand.rand, m->len + 2);
    unsigned dice = (unsigned)rand_below(&t->rand.rand, 40);
    if (t->calm && (dice < 34 ? dice > 16 && rand_below(&t->rand.rand, 8) : dice == 37))
        dice = 0;
    if (t->calm && dice >= 27 && dice < 34)
        dice = 34;
    // Mostly among the newest, so that a conversation is left to be looked at.
    if (rand_below(&t->rand.rand, 3) && m->len > 4)
        some = m->len - (uint32_t)rand_below(&t->rand.rand, 4);
    if (!m->session[0] || dice < 16) {
        say(t, 0, false);
    } else if (dice < 20) {
        say(t, some, false);
    } else if (dice < 25) {
        say(t, dice < 23 ? 0 : some, true);
    } else if (dice < 27) {
        uint32_t newest = newest_live(m);
        buf_clear(&t->before);
        if (ask(t, ASK_UNDO, 0, NULL) != (newest > 0) && !t->lie)
            wrong(t, "undoing", newest);
        if (newest)
            supersede(m, newest);
    } else if (dice < 34) {
        pin(t, some, dice >= 32);
    } else if (dice < 38) {
        if (dice < 36)
            constrain(t);
        else
            unconstrain(t);
    } else {
        unsigned i = (unsigned)rand_below(&t->rand.rand, ENGINES);
        parley_close(t->engines[i]);
        open_engine(t, i);
    }
    clock_sim_advance(&t->clock, (int64_t)rand_below(&t->rand.rand, 4000000));
}

// ---- a session from its first word to its last

static void check_show(struct trial *t)
{
    struct json_doc doc = JSON_DOC_INIT;
    struct json_iter it = {0};
    struct json turn;
    uint32_t n = 0;
    parley_event *event = ask_show(t->engines[0], "ann", t->model.session);
    if (json_parse(&doc, slice_str(event->json), 0, NULL) != E_OK)
        wrong(t, "show", 0);
    while (json_next(json_get(json_root(&doc), "turns"), &it, NULL, &turn) &&
           ++n <= t->model.len) {
        const struct model_turn *m = &t->model.turns[n];
        if (json_bool(json_get(turn, "superseded"), false) != m->superseded ||
            (json_type(json_get(turn, "pinned")) == JSON_STRING) != m->pinned)
            wrong(t, "shown as what it is not", m->word);
    }
    if (n != t->model.len)
        wrong(t, "turns lack", n);
    json_doc_release(&doc);
    parley_event_free(event);
    if (verify_problems(t->engines[1]) != 0)
        wrong(t, "verify finds problems", 0);
}

static void run(struct trial *t, uint64_t seed, unsigned steps, bool calm, bool lie)
{
    *t = (struct trial){.calm = calm,
                        .lie = lie,
                        .body = BUF_INIT(16 << 20),
                        .before = BUF_INIT(16 << 20)};
    told = t;
    place_make_light(&t->place);
    place_write(&t->place, "policies/fault.lua",
                "local history = require \"parley.history\"\nreturn { history = history.window { "
                "keep_turns = 2, slack_turns = 3, constraints = { \"Be kind.\" } } }\n");
    clock_sim_init(&t->clock, 1700000000000);
    rand_sim_init(&t->rand, seed);
    t->seams = (struct engine_seams){.clock = &t->clock, .rand = &t->rand.rand, .wire = no_wire};
    struct store_env env = {.clock = &t->clock.clock, .rand = &t->rand.rand};
    if (store_open(&t->hold, "memory:edits", &env, NULL))
        give_up("no store");
    for (unsigned i = 0; i < ENGINES; i++)
        open_engine(t, i);
    for (unsigned i = 0; i < steps && t->model.len < TURNS_MAX; i++)
        step(t);
    if (!lie)
        check_show(t);
    for (unsigned i = 0; i < ENGINES; i++)
        parley_close(t->engines[i]);
    store_free(t->hold);
    place_remove(&t->place);
    buf_release(&t->body);
    buf_release(&t->before);
}

static void test_edits__the_next_request_is_valid_and_says_what_holds(void **state)
{
    static struct trial t;
    uint64_t seed = fault_seed();
    unsigned rounds = fault_long() ? 200 : 12, checked = 0, alike = 0, stated = 0;
    (void)state;
    for (unsigned i = 0; i < rounds; i++) {
        run(&t, seed + i, 300, i % 2, false);
        checked += t.checked;
        alike += t.alike;
        stated += t.alike_stated;
        if (t.wrong)
            fail_msg("seed %llu: %u wrong: %s", (unsigned long long)(seed + i), t.wrong, t.why);
    }
    assert_true(checked > rounds * 50 && alike > rounds * 20 && stated > rounds);
    summary("edits: sessions=%u steps=%u requests=%u alike=%u after_a_constraint=%u wrong=0 "
            "seed=%llu", rounds, rounds * 300, checked, alike, stated, (unsigned long long)seed);
}

static void test_edits__control_what_is_not_superseded_is_found(void **state)
{
    static struct trial t;
    (void)state;
    run(&t, 5, 300, false, true);
    assert_true(t.wrong > 0);
    summary("edits control: requests=%u wrong=%u (%s)", t.checked, t.wrong, t.why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_edits__the_next_request_is_valid_and_says_what_holds),
        cmocka_unit_test(test_edits__control_what_is_not_superseded_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
