// SPDX-License-Identifier: MIT
// Memories in the recall index: they stand alone between messages, are scoped, forgotten, purged,
// merged by themselves; passes that make them true; and any sequence of learning, superseding,
// forgetting, sealing, merging, losing and loading against an oracle that has the list of them.
#include "base/mem.h"
#include "base/rand.h"
#include "memory/recall_int.h"
#include "memory/recall_sync.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NOW 1700000000000
#define DAY 86400000LL

static const struct recall_scope scope = {.partition = SLICE_LIT("user"), .bot = SLICE_LIT("bot")};

static struct recall *open_index(void)
{
    struct recall *r;
    assert_int_equal(recall_new(&r, &scope, &(struct recall_space){0}, NULL), E_OK);
    return r;
}

static void say(struct recall *r, const char *session, uint32_t turn, const char *text)
{
    struct recall_item item = {.session = slice_str(session), .turn = turn, .at_ms = NOW - DAY,
                               .speaker = SLICE_LIT("user"), .tokens = 10,
                               .text = slice_str(text)};
    assert_int_equal(recall_add(r, &item, NULL), E_OK);
}

struct memory {
    enum recall_kind kind;
    const char *name, *context, *text;
    uint8_t part;
    int64_t at_ms;
};

static struct recall_item item_of(const struct memory *m)
{
    return (struct recall_item){.kind = m->kind, .session = slice_str(m->name),
                                .context = slice_str(m->context ? m->context : ""),
                                .step = m->part, .at_ms = m->at_ms ? m->at_ms : NOW - DAY,
                                .tokens = 5, .text = slice_str(m->text)};
}

// One pass; returns how many were forgotten.
static uint32_t sync(struct recall *r, const struct memory *list, size_t len)
{
    struct recall_sync *s;
    assert_int_equal(recall_sync_begin(&s, r, NULL, 0, NULL), E_OK);
    for (size_t i = 0; i < len; i++) {
        struct recall_item item = item_of(&list[i]);
        assert_int_equal(recall_sync_keep(s, &item, NULL), E_OK);
    }
    return recall_sync_end(s, false);
}

static struct recall_query query_of(const char *text)
{
    return (struct recall_query){.scope = scope, .text = slice_str(text), .now_ms = NOW, .k = 64};
}

// What a query finds: "fact:lyon turn:s1/2".
static const char *ask(struct recall *r, const struct recall_query *q)
{
    static const char *const words[] = {"turn", "fact", "knowledge", "journal"};
    static char out[4096];
    struct recall_hit hits[64];
    uint32_t len;
    size_t n = 0;

    out[0] = '\0';
    assert_int_equal(recall_query(r, q, hits, &len, NULL), E_OK);
    for (uint32_t i = 0; i < len && n < sizeof(out); i++) {
        const struct recall_hit *h = &hits[i];
        n += (size_t)snprintf(out + n, sizeof(out) - n, "%s%s:%.*s", i ? " " : "", words[h->kind],
                              SLICE_FMT(h->session));
        if (h->kind == RECALL_TURN || h->step)
            n += (size_t)snprintf(out + n, sizeof(out) - n, "/%u",
                                  h->kind == RECALL_TURN ? h->turn : h->step);
    }
    return out;
}

static const char *found(struct recall *r, const char *text)
{
    struct recall_query q = query_of(text);
    return ask(r, &q);
}

// ---- alone

// What is said around a message is what messages say, however many memories were added between.
static void test_recall_memories__do_not_come_between_messages(void **state)
{
    static const struct memory list[] = {
        {.kind = RECALL_FACT, .name = "f1", .text = "likes granite"},
        {.kind = RECALL_KNOWLEDGE, .name = "k1", .text = "prefers mornings"},
        {.kind = RECALL_JOURNAL, .name = "s", .text = "talked of plans"},
    };
    struct recall_hit plain[8], mixed[8];
    uint32_t plain_len, mixed_len;
    struct recall_query q = query_of("boat");

    (void)state;
    for (size_t between = 0; between <= 3; between++) {
        struct recall *a = open_index(), *b = open_index();
        say(a, "s", 1, "The boat?");
        say(a, "s", 2, "It is blue.");
        sync(a, list, between);
        say(b, "s", 1, "The boat?");
        sync(b, list, between);
        say(b, "s", 2, "It is blue.");
        assert_int_equal(recall_query(a, &q, plain, &plain_len, NULL), E_OK);
        assert_int_equal(recall_query(b, &q, mixed, &mixed_len, NULL), E_OK);
        assert_int_equal(plain_len, 2);
        assert_int_equal(mixed_len, 2);
        for (uint32_t i = 0; i < 2; i++) {
            assert_int_equal(plain[i].turn, mixed[i].turn);
            assert_int_equal(plain[i].score, mixed[i].score);
            assert_int_equal(mixed[i].kind, RECALL_TURN);
        }
        recall_free(a);
        recall_free(b);
    }
}

static void test_recall_memories__have_nothing_around_them(void **state)
{
    struct recall *r = open_index();
    static const struct memory list[] = {
        {.kind = RECALL_JOURNAL, .name = "s", .part = 0, .text = "Decided on the granite top."},
        {.kind = RECALL_JOURNAL, .name = "t", .part = 0, .text = "The oven is still open."},
        {.kind = RECALL_FACT, .name = "00000000000a", .text = "likes slate"},
    };

    (void)state;
    say(r, "s", 1, "What about lamps?");
    sync(r, list, 3);
    say(r, "s", 2, "Brass ones.");
    assert_string_equal(found(r, "oven"), "journal:t");
    assert_string_equal(found(r, "granite"), "journal:s");
    assert_string_equal(found(r, "slate"), "fact:00000000000a");
    assert_string_equal(found(r, "lamps"), "turn:s/2 turn:s/1");
    recall_free(r);
}

// Lines of one session's journal tell of one talk.
static void test_recall_memories__lines_lean_on_their_neighbours(void **state)
{
    struct recall *r = open_index();
    static const struct memory list[] = {
        {.kind = RECALL_JOURNAL, .name = "s", .part = 0, .text = "We chose the granite top."},
        {.kind = RECALL_JOURNAL, .name = "s", .part = 1, .text = "It comes on Tuesday."},
        {.kind = RECALL_JOURNAL, .name = "t", .part = 0, .text = "The oven comes on Tuesday."},
    };

    (void)state;
    sync(r, list, 3);
    assert_string_equal(found(r, "granite"), "journal:s journal:s/1");
    assert_string_equal(found(r, "when does the granite come?"),
                        "journal:s journal:s/1 journal:t");
    assert_string_equal(found(r, "oven"), "journal:t");
    // Who is forgotten leads to nobody.
    sync(r, list + 1, 2);
    assert_string_equal(found(r, "granite"), "");
    sync(r, list, 1);
    assert_string_equal(found(r, "tuesday"), "");
    recall_free(r);
}

// ---- scope

static void test_recall_memories__keep_to_their_context(void **state)
{
    struct recall *r = open_index();
    static const struct memory list[] = {
        {.kind = RECALL_FACT, .name = "all", .text = "tea drinker"},
        {.kind = RECALL_FACT, .name = "home", .context = "h1", .text = "tea at four"},
        {.kind = RECALL_FACT, .name = "work", .context = "w1", .text = "tea machine broken"},
    };
    struct recall_query q = query_of("tea");

    (void)state;
    sync(r, list, 3);
    say(r, "s", 1, "tea");  // of the context without a name
    q.kinds = RECALL_MEMORIES;
    q.scope.context = SLICE_LIT("home");
    q.scope.context_key = SLICE_LIT("h1");
    assert_string_equal(ask(r, &q), "fact:all fact:home");
    q.scope.context = SLICE_LIT("");
    q.scope.context_key = SLICE_LIT("n1");
    assert_string_equal(ask(r, &q), "fact:all");
    q.kinds = 0;
    assert_string_equal(ask(r, &q), "turn:s/1 fact:all");
    // Whoever says a context and not what its memories are kept under gets those of all contexts.
    q.scope.context_key = SLICE_NONE;
    q.kinds = RECALL_MEMORIES;
    assert_string_equal(ask(r, &q), "fact:all");
    q.scope.context = SLICE_NONE;
    assert_string_equal(ask(r, &q), "fact:all fact:work fact:home");
    q.scope.bot = SLICE_LIT("other");
    struct recall_hit hits[64];
    uint32_t len;
    assert_int_equal(recall_query(r, &q, hits, &len, NULL), E_REFUSED);
    recall_free(r);
}

// ---- coming and going

static void test_recall_memories__are_forgotten_alone(void **state)
{
    struct recall *r = open_index();
    static const struct memory list[] = {
        {.kind = RECALL_JOURNAL, .name = "s", .text = "the tea harvest"},
        {.kind = RECALL_FACT, .name = "f", .text = "grows tea"},
    };

    (void)state;
    say(r, "s", 1, "tea");
    sync(r, list, 2);
    // A session that is purged keeps its journal; what goes by its name is its messages.
    assert_int_equal(recall_forget(r, SLICE_LIT("s"), 0, UINT32_MAX), 1);
    assert_string_equal(found(r, "tea"), "fact:f journal:s");
    assert_int_equal(sync(r, &list[0], 1), 1);
    assert_string_equal(found(r, "tea"), "journal:s");
    assert_int_equal(sync(r, NULL, 0), 1);
    assert_string_equal(found(r, "tea"), "");
    recall_free(r);
}

static bool has_bytes(struct slice in, const char *what)
{
    return memmem(in.ptr, in.len, what, strlen(what)) != NULL;
}

static void test_recall_memories__leave_the_bytes_when_purged(void **state)
{
    struct recall *r = open_index();
    struct recall_change change;
    static const struct memory list[] = {
        {.kind = RECALL_FACT, .name = "f", .text = "bicycle"},
        {.kind = RECALL_FACT, .name = "g", .text = "granite"},
    };

    (void)state;
    sync(r, list, 2);
    assert_int_equal(recall_seal(r, 1, &change, NULL), 1);
    assert_true(has_bytes(change.bytes, "granit"));
    assert_int_equal(sync(r, list, 1), 1);
    assert_int_equal(recall_purge(r, &change, NULL), 1);
    assert_true(has_bytes(change.bytes, "bicycl"));
    assert_false(has_bytes(change.bytes, "granit"));
    assert_int_equal(recall_purge(r, &change, NULL), 0);
    recall_free(r);
}

static void test_recall_memories__that_say_something_else_are_others(void **state)
{
    struct recall *r = open_index();
    struct memory m = {.kind = RECALL_FACT, .name = "f", .text = "lives in Lyon",
                       .at_ms = NOW - 100 * DAY};

    (void)state;
    assert_int_equal(sync(r, &m, 1), 0);
    assert_int_equal(sync(r, &m, 1), 0);
    m.at_ms += 1;  // the same day
    assert_int_equal(sync(r, &m, 1), 0);
    assert_int_equal(recall_docs(r), 1);
    m.at_ms = NOW;  // confirmed
    assert_int_equal(sync(r, &m, 1), 1);
    m.text = "lives in Rome";
    assert_int_equal(sync(r, &m, 1), 1);
    m.context = "h1";
    assert_int_equal(sync(r, &m, 1), 1);
    assert_int_equal(recall_docs(r), 1);
    assert_string_equal(found(r, "Lyon"), "");
    assert_string_equal(found(r, "Rome"), "fact:f");
    recall_free(r);
}

// Of what says as much the one that was confirmed of late comes first.
static void test_recall_memories__gain_by_being_confirmed(void **state)
{
    struct recall *r = open_index();
    static const struct memory list[] = {
        {.kind = RECALL_FACT, .name = "new", .text = "plays the harp", .at_ms = NOW - 2 * DAY},
        {.kind = RECALL_FACT, .name = "old", .text = "plays the drum", .at_ms = NOW - 200 * DAY},
    };

    (void)state;
    sync(r, list, 2);
    assert_string_equal(found(r, "plays"), "fact:new fact:old");
    assert_string_equal(found(r, "plays a drum"), "fact:old fact:new");
    recall_free(r);
}

static void test_recall_memories__refuses_what_has_no_name(void **state)
{
    struct recall *r = open_index();
    struct recall_sync *s;
    char name[RECALL_NAME_BYTES + 1];
    struct recall_item item = {.kind = RECALL_FACT, .text = SLICE_LIT("x")};

    (void)state;
    memset(name, 'n', sizeof(name));
    assert_int_equal(recall_sync_begin(&s, r, NULL, 0, NULL), E_OK);
    assert_int_equal(recall_sync_keep(s, &item, NULL), E_USAGE);
    item.session = slice_of(name, RECALL_NAME_BYTES);
    assert_int_equal(recall_sync_keep(s, &item, NULL), E_USAGE);
    item.session.len--;
    assert_int_equal(recall_sync_keep(s, &item, NULL), E_OK);
    item.kind = RECALL_TURN;
    assert_int_equal(recall_sync_keep(s, &item, NULL), E_USAGE);
    assert_int_equal(recall_sync_end(s, false), 0);
    // One that is given up forgets nothing.
    assert_int_equal(recall_sync_begin(&s, r, NULL, 0, NULL), E_OK);
    assert_int_equal(recall_sync_end(s, true), 0);
    assert_int_equal(recall_docs(r), 1);
    recall_free(r);
}

// ---- any sequence, against an oracle

enum { NAMES = 40, WORDS = 8, SEGMENTS = 64, STEPS = 400, SEEDS = 12 };
static const char *const words[WORDS] = {"boat", "garden", "lamp", "river",
                                         "stone", "glass", "horn", "mill"};

// What is stored: the segments that a manifest names, as bytes.
struct disk {
    struct { uint32_t number; char *bytes; size_t len; } list[SEGMENTS];
    uint32_t len;
};

static void disk_drop(struct disk *d, uint32_t number)
{
    for (uint32_t i = 0; i < d->len; i++) {
        if (d->list[i].number != number)
            continue;
        mem_free(d->list[i].bytes);
        memmove(&d->list[i], &d->list[i + 1], (d->len - i - 1) * sizeof(d->list[0]));
        d->len--;
        i--;
    }
}

static void disk_take(struct disk *d, const struct recall_change *c)
{
    uint32_t at = 0;

    for (unsigned i = 0; i < c->drop_len; i++)
        disk_drop(d, c->drop[i]);
    disk_drop(d, c->put);
    if (!c->bytes.len)
        return;
    assert_true(d->len < SEGMENTS);
    while (at < d->len && d->list[at].number < c->put)
        at++;
    memmove(&d->list[at + 1], &d->list[at], (d->len - at) * sizeof(d->list[0]));
    d->list[at].number = c->put;
    d->list[at].bytes = mem_slicedup(c->bytes);
    d->list[at].len = c->bytes.len;
    d->len++;
}

// What is remembered: the truth.
struct truth {
    struct { bool there; uint32_t word, kind, context; int64_t at_ms; } of[NAMES];
    uint32_t turns;
};

static struct memory truth_item(const struct truth *t, uint32_t i, char name[8], char text[64])
{
    static const char *const contexts[] = {"", "h1", "w1"};
    snprintf(name, 8, "m%u", i);
    snprintf(text, 64, "something of %s", words[t->of[i].word]);
    return (struct memory){.kind = (enum recall_kind)(RECALL_FACT + t->of[i].kind), .name = name,
                           .context = contexts[t->of[i].context], .text = text,
                           .at_ms = t->of[i].at_ms};
}

// changed: the only one that did since the pass before; NAMES: any may have.
static void sync_truth(struct recall *r, const struct truth *t, uint32_t changed)
{
    struct recall_sync *s;
    char only[8];
    snprintf(only, sizeof(only), "m%u", changed);
    struct slice names[] = {slice_str(only), SLICE_LIT("nobody")};
    assert_int_equal(recall_sync_begin(&s, r, names, changed < NAMES ? 2 : 0, NULL), E_OK);
    for (uint32_t i = 0; i < NAMES; i++) {
        char name[8], text[64];
        if (changed < NAMES && i != changed)
            continue;
        struct memory m = truth_item(t, i, name, text);
        struct recall_item item = item_of(&m);
        if (t->of[i].there)
            assert_int_equal(recall_sync_keep(s, &item, NULL), E_OK);
    }
    recall_sync_end(s, false);
}

static uint32_t change_truth(struct truth *t, const struct rand *rand)
{
    uint32_t i = (uint32_t)rand_below(rand, NAMES);
    t->of[i].there = rand_below(rand, 3) > 0;
    t->of[i].word = (uint32_t)rand_below(rand, WORDS);
    t->of[i].kind = (uint32_t)rand_below(rand, 3);
    t->of[i].context = (uint32_t)rand_below(rand, 3);
    t->of[i].at_ms = NOW - (int64_t)rand_below(rand, 100) * DAY;
    return i;
}

// Killed and opened again: with all that was written, or with less.
static void reopen(struct recall **r, struct disk *d, bool lose)
{
    recall_free(*r);
    *r = open_index();
    if (lose && d->len)
        disk_drop(d, d->list[d->len - 1].number);
    for (uint32_t i = 0; i < d->len; i++)
        assert_int_equal(recall_load(*r, d->list[i].number,
                                     mem_slicedup(slice_of(d->list[i].bytes, d->list[i].len)),
                                     d->list[i].len, NULL),
                         E_OK);
}

static void work(struct recall *r, struct disk *d, const struct rand *rand)
{
    struct recall_change change;
    int any = 0;
    switch (rand_below(rand, 3)) {
    case 0: any = recall_seal(r, 1, &change, NULL); break;
    case 1: any = recall_merge(r, &change, NULL); break;
    default: any = recall_purge(r, &change, NULL); break;
    }
    assert_true(any >= 0);
    if (any)
        disk_take(d, &change);
}

static void assert_true_to(struct recall *r, const struct truth *t, const struct rand *rand,
                           unsigned seed)
{
    static const char *const keys[] = {"none", "h1", "w1"};
    uint32_t word = (uint32_t)rand_below(rand, WORDS), key = (uint32_t)rand_below(rand, 3);
    struct recall_query q = query_of(words[word]);
    struct recall_hit hits[64];
    uint32_t len, expected = 0;

    q.kinds = RECALL_MEMORIES;
    q.scope.context = slice_str(keys[key]);
    q.scope.context_key = slice_str(keys[key]);
    assert_int_equal(recall_query(r, &q, hits, &len, NULL), E_OK);
    for (uint32_t i = 0; i < NAMES; i++) {
        char name[8], text[64];
        struct memory m = truth_item(t, i, name, text);
        uint32_t seen = 0;
        bool wanted = t->of[i].there && t->of[i].word == word &&
                      (t->of[i].context == 0 || t->of[i].context == key);
        for (uint32_t k = 0; k < len; k++)
            seen += slice_is(hits[k].session, name) && hits[k].kind == m.kind;
        if (seen != wanted)
            fail_msg("seed %u: %s is found %u times, not %d", seed, name, seen, wanted);
        expected += wanted;
    }
    assert_int_equal(len, expected);
}

static void run_sequence(unsigned seed)
{
    struct rand_sim sim;
    const struct rand *rand = &sim.rand;
    struct truth truth = {0};
    struct disk disk = {.len = 0};
    struct recall *r = open_index();

    rand_sim_init(&sim, seed);
    for (uint32_t step = 0; step < STEPS; step++) {
        uint32_t changed = NAMES;
        switch (rand_below(rand, 6)) {
        case 0: case 1: changed = change_truth(&truth, rand); break;
        case 2: say(r, "s", ++truth.turns, words[rand_below(rand, WORDS)]); break;
        case 3: work(r, &disk, rand); break;
        case 4:
            if (rand_below(rand, 4) == 0)
                reopen(&r, &disk, rand_below(rand, 2));
            break;
        default: break;
        }
        sync_truth(r, &truth, changed);
        assert_true_to(r, &truth, rand, seed);
    }
    while (disk.len)
        disk_drop(&disk, disk.list[0].number);
    recall_free(r);
}

static void test_recall_memories__are_those_that_there_are(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= SEEDS; seed++)
        run_sequence(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recall_memories__do_not_come_between_messages),
        cmocka_unit_test(test_recall_memories__have_nothing_around_them),
        cmocka_unit_test(test_recall_memories__lines_lean_on_their_neighbours),
        cmocka_unit_test(test_recall_memories__keep_to_their_context),
        cmocka_unit_test(test_recall_memories__are_forgotten_alone),
        cmocka_unit_test(test_recall_memories__leave_the_bytes_when_purged),
        cmocka_unit_test(test_recall_memories__that_say_something_else_are_others),
        cmocka_unit_test(test_recall_memories__gain_by_being_confirmed),
        cmocka_unit_test(test_recall_memories__refuses_what_has_no_name),
        cmocka_unit_test(test_recall_memories__are_those_that_there_are),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
