// SPDX-License-Identifier: MIT
// Recall: against the formula in doubles over the plain texts; scopes; forgetting; growing, storing
// and loading; what may be left out; reasons; budgets; embeddings; memory.
#include "base/mem.h"
#include "base/rand.h"
#include "memory/recall_int.h"

#include <math.h>
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

static struct recall *open_index(uint32_t dims)
{
    struct recall *r;
    assert_int_equal(recall_new(&r, &scope, &(struct recall_space){dims, 5}, NULL), E_OK);
    return r;
}

static void add(struct recall *r, const char *session, uint32_t turn, const char *speaker,
                const char *text)
{
    struct recall_item item = {.session = slice_str(session),
                               .turn = turn,
                               .speaker = slice_str(speaker),
                               .at_ms = NOW - DAY,
                               .tokens = 10,
                               .text = slice_str(text)};
    assert_int_equal(recall_add(r, &item, NULL), E_OK);
}

static struct recall_query query_of(const char *text, uint32_t k)
{
    return (struct recall_query){.scope = scope, .text = slice_str(text), .now_ms = NOW, .k = k};
}

// The turns that a query finds: "3 1 2".
static const char *turns(struct recall *r, const struct recall_query *q)
{
    static char out[512];
    struct recall_hit hits[RECALL_HITS_MAX];
    uint32_t len;
    size_t n = 0;

    out[0] = '\0';
    assert_int_equal(recall_query(r, q, hits, &len, NULL), E_OK);
    for (uint32_t i = 0; i < len && n < sizeof(out); i++)
        n += (size_t)snprintf(out + n, sizeof(out) - n, "%s%u", i ? " " : "", hits[i].turn);
    return out;
}

static const char *found(struct recall *r, const char *text, uint32_t k)
{
    struct recall_query q = query_of(text, k);
    return turns(r, &q);
}

// ---- the oracle

// The last two are a name and a function word.
enum { MESSAGES = 150, WORDS = 12, ANN = 10, WHAT = 11, MINOR_FROM = ANN };
static const char *const words[WORDS] = {"tea",   "boat", "garden", "lamp", "river", "stone",
                                         "glass", "horn", "mill",   "wind", "ann",   "what"};

struct message {
    char session[8], text[256];
    uint32_t tf[WORDS], len;
    bool asks, ann;
    int64_t at_ms;
};

static void make_message(struct message *m, uint32_t i, const struct rand *rand)
{
    uint32_t n = 1 + (uint32_t)rand_below(rand, 14);

    memset(m, 0, sizeof(*m));
    snprintf(m->session, sizeof(m->session), "s%u", i / 13);
    for (uint32_t k = 0; k < n; k++) {
        uint64_t w = rand_below(rand, WORDS + 1) * rand_below(rand, WORDS) / WORDS;
        strcat(strcat(m->text, words[w]), " ");
        m->tf[w]++;
    }
    m->len = n;
    m->asks = rand_below(rand, 4) == 0;
    strcat(m->text, m->asks ? "?" : ".");
    m->ann = rand_below(rand, 2);
    m->at_ms = NOW - (int64_t)rand_below(rand, 100) * DAY;
}

// What rank.c says, in doubles, over plain texts. It rounds x to 1/256, which is 0.02 of a rare
// word.
static double oracle(const struct message *all, uint32_t d, const bool *asked, bool of_ann)
{
    const struct rank_rules *r = &rank_rules_default;
    double average = 0, score = 0;

    for (uint32_t i = 0; i < MESSAGES; i++)
        average += (double)all[i].len / MESSAGES;
    for (uint32_t w = 0; w < WORDS; w++) {
        double x = 0, df = 0;
        if (!asked[w])
            continue;
        for (uint32_t m = 0; m < MESSAGES; m++) {
            df += all[m].tf[w] > 0;
            int away = (int)d - (int)m;
            if (!all[m].tf[w] || abs(away) > (int)r->reach ||
                strcmp(all[m].session, all[d].session) != 0)
                continue;
            double norm = 1 - r->b / 256.0 + r->b / 256.0 * all[m].len / average;
            double fade = pow(r->fade / 256.0, abs(away) - 1);
            double share = away == 0                  ? 1
                           : away == 1 && all[m].asks ? r->asked_before / 256.0
                           : away > 0                 ? r->before / 256.0 * fade
                                                      : r->after / 256.0 * fade;
            x += share * all[m].tf[w] / norm;
        }
        double idf = log((MESSAGES + 1) / (df + 0.5));
        score += idf * (w >= MINOR_FROM ? r->minor / 256.0 : 1) * x / (x + r->k1 / 64.0);
    }
    double halvings = (double)(NOW - all[d].at_ms) / (double)r->recent_ms;
    score *= 1 + r->recent / 256.0 * pow(0.5, halvings);
    score *= of_ann && all[d].ann ? 1 + r->speaker / 256.0 : 1;
    return score * (all[d].asks ? 1 - r->asking / 256.0 : 1);
}

static void ask_both(struct recall *r, const struct message *all, const struct rand *rand)
{
    static const char *const names[] = {"", "Ann"};
    struct recall_hit hits[RECALL_HITS_MAX];
    bool asked[WORDS] = {0};
    char text[256] = "";
    uint32_t len, expected = 0;
    bool of_ann = rand_below(rand, 2);

    for (uint64_t n = 1 + rand_below(rand, 4); n > 0; n--) {
        uint64_t w = rand_below(rand, WORDS);
        asked[w] = true;
        strcat(strcat(text, words[w]), " ");
    }
    strcat(text, names[of_ann]);
    of_ann |= asked[ANN];
    asked[ANN] = of_ann;
    bool says_what = false;
    for (uint32_t w = 0; w < WHAT; w++)
        says_what |= asked[w];
    asked[WHAT] &= says_what;
    struct recall_query q = query_of(text, RECALL_HITS_MAX);
    assert_int_equal(recall_query(r, &q, hits, &len, NULL), E_OK);
    for (uint32_t d = 0; d < MESSAGES; d++)
        expected += oracle(all, d, asked, of_ann) > 0.02;
    assert_true(len >= expected);
    for (uint32_t i = 0; i < len; i++) {
        double want = oracle(all, hits[i].turn - 1, asked, of_ann);
        assert_true(fabs(hits[i].score / 1000.0 - want) < 0.02 + want * 0.01);
        assert_true(i == 0 || hits[i].score <= hits[i - 1].score);
    }
}

static void test_recall__is_the_formula(void **state)
{
    static struct message all[MESSAGES];
    struct recall_change change;
    struct rand_sim sim;

    (void)state;
    rand_sim_init(&sim, 11);
    for (int round = 0; round < 20; round++) {
        struct recall *r = open_index(0);
        for (uint32_t i = 0; i < MESSAGES; i++) {
            make_message(&all[i], i, &sim.rand);
            struct recall_item item = {.session = slice_str(all[i].session),
                                       .turn = i + 1,
                                       .speaker = slice_str(all[i].ann ? "Ann" : "Bob"),
                                       .at_ms = all[i].at_ms,
                                       .text = slice_str(all[i].text)};
            assert_int_equal(recall_add(r, &item, NULL), E_OK);
            // Wherever the borders of segments lie.
            if (rand_below(&sim.rand, 9) == 0)
                assert_int_equal(recall_seal(r, 1, &change, NULL), 1);
            while (recall_merge(r, &change, NULL) == 1)
                ;
        }
        for (int i = 0; i < 30; i++)
            ask_both(r, all, &sim.rand);
        recall_free(r);
    }
}

// ---- what talk is like

static void test_recall__an_answer_is_found_by_its_question(void **state)
{
    struct recall *r = open_index(0);

    (void)state;
    add(r, "s", 1, "Ann", "Nice weather today.");
    add(r, "s", 2, "Ann", "What is the name of your dog?");
    add(r, "s", 3, "Bob", "Bruno, after my uncle.");
    add(r, "s", 4, "Ann", "Lovely. I had lunch.");
    add(r, "t", 5, "Bob", "Lunch was good.");
    assert_memory_equal(found(r, "dog name", 9), "3 2", 3);
    // What follows stands in the same talk; another session does not.
    assert_null(strstr(found(r, "dog", 9), "5"));
    recall_free(r);
}

// "what did the" is in any talk, and of no use to whoever asks.
static void test_recall__function_words_alone_find_nothing(void **state)
{
    (void)state;
    struct recall *r = open_index(0);
    add(r, "s", 1, "Ann", "What did you do with the keys?");
    add(r, "s", 2, "Bob", "I put them on the shelf.");
    assert_string_equal(found(r, "what did the", 9), "");
    assert_non_null(strstr(found(r, "what did the keys", 9), "1"));
    recall_free(r);
}

static void test_recall__who_and_when(void **state)
{
    struct recall *r = open_index(0);
    struct recall_hit hits[9];
    uint32_t len;

    (void)state;
    for (uint32_t i = 0; i < 4; i++) {
        char session[4] = {'a', (char)('0' + i), 0};
        struct recall_item item = {.session = slice_str(session),
                                   .turn = i + 1,
                                   .speaker = slice_str(i % 2 ? "Ann Lee" : "Bob"),
                                   .at_ms = i < 2 ? 1683540000000 : 1686218400000,  // 8 May, 8 June
                                   .text = SLICE_LIT("we went sailing")};
        assert_int_equal(recall_add(r, &item, NULL), E_OK);
    }
    assert_memory_equal(found(r, "sailing with Ann", 9), "4 2", 3);
    assert_memory_equal(found(r, "who went sailing in May 2023", 9), "2 1", 3);
    assert_memory_equal(found(r, "did Lee go sailing on 2023-05-08", 9), "2 1", 3);
    // What only looks like a date is none, and leaves the other one.
    assert_memory_equal(found(r, "sailing in May 2023 as in 4711-00-ab", 9), "2 1", 3);
    // "May" alone is a verb.
    assert_memory_equal(found(r, "may we go sailing", 9), "4 3", 3);
    struct recall_query q = query_of("sailing Ann June", 1);
    assert_int_equal(recall_query(r, &q, hits, &len, NULL), E_OK);
    assert_int_equal(len, 1);
    assert_int_equal(hits[0].turn, 4);
    assert_true(hits[0].speaker > 256 && hits[0].date > 256 && hits[0].recency >= 256);
    // Two names are no name.
    q = query_of("sailing Ann Bob", 1);
    assert_int_equal(recall_query(r, &q, hits, &len, NULL), E_OK);
    assert_int_equal(hits[0].speaker, 256);
    recall_free(r);
}

static void test_recall__slips_of_the_pen(void **state)
{
    struct recall *r = open_index(0);

    (void)state;
    add(r, "a", 1, "u", "the restaurant in Lisbon");
    add(r, "b", 2, "u", "a photograph of boats");
    assert_string_equal(found(r, "resturant", 9), "1");
    assert_string_equal(found(r, "Libson", 9), "1");
    assert_string_equal(found(r, "photography", 9), "2");
    assert_string_equal(found(r, "rest", 9), "");
    recall_free(r);
}

// ---- scope, kinds, windows

static void test_recall__is_not_asked_without_its_scope(void **state)
{
    struct recall *r = open_index(0);
    struct recall_hit hits[3];
    uint32_t len;
    const struct recall_scope wrong[] = {
        {SLICE_LIT("other"), SLICE_LIT("bot"), SLICE_NONE, SLICE_NONE},
        {SLICE_LIT("user"), SLICE_LIT("other"), SLICE_NONE, SLICE_NONE},
        {SLICE_NONE, SLICE_NONE, SLICE_NONE, SLICE_NONE},
    };

    (void)state;
    add(r, "a", 1, "u", "tea");
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        struct err err = ERR_INIT;
        struct recall_query q = query_of("tea", 3);
        q.scope = wrong[i];
        assert_int_equal(recall_query(r, &q, hits, &len, &err), E_REFUSED);
        assert_int_equal(len, 0);
        assert_non_null(strstr(err.message, "another user or bot"));
    }
    recall_free(r);
}

static void test_recall__leaves_out_what_was_not_asked_for(void **state)
{
    struct recall *r = open_index(0);
    static const struct {
        const char *session, *context;
        uint32_t turn;
        enum recall_kind kind;
    } items[] = {{"a", "", 1, RECALL_TURN},
                 {"a", "", 2, RECALL_TURN},
                 {"b", "work", 3, RECALL_TURN},
                 {"f", "", 4, RECALL_FACT},
                 {"j", "work", 5, RECALL_JOURNAL}};

    (void)state;
    for (size_t i = 0; i < sizeof(items) / sizeof(*items); i++) {
        struct recall_item item = {.kind = items[i].kind,
                                   .session = slice_str(items[i].session),
                                   .context = slice_str(items[i].context),
                                   .turn = items[i].turn,
                                   .text = SLICE_LIT("green tea")};
        assert_int_equal(recall_add(r, &item, NULL), E_OK);
    }
    struct recall_query q = query_of("tea", 9);
    assert_int_equal(strlen(turns(r, &q)), strlen("1 2 3 4 5"));
    q.scope.context = SLICE_LIT("work");
    assert_string_equal(turns(r, &q), "4 3");
    q.scope.context_key = SLICE_LIT("work");
    assert_string_equal(turns(r, &q), "5 4 3");
    q.kinds = 1U << RECALL_TURN;
    assert_string_equal(turns(r, &q), "3");
    q.scope.context = SLICE_LIT("");
    q.not_session = SLICE_LIT("a");
    q.not_from = 2;
    assert_string_equal(turns(r, &q), "1");
    q.kinds = 0;
    q.scope.context = SLICE_NONE;
    assert_null(strchr(turns(r, &q), '2'));
    recall_free(r);
}

static void test_recall__refuses_what_it_cannot_hold(void **state)
{
    static const char name[300];
    struct recall *r = open_index(0), *none;
    struct recall_hit hits[1];
    uint32_t len;
    struct recall_item item = {.session = {name, sizeof(name)}, .text = SLICE_LIT("x")};
    struct recall_query q = query_of("tea", 0);

    (void)state;
    assert_int_equal(recall_add(r, &item, NULL), E_USAGE);
    item.session.len = 1;
    item.kind = (enum recall_kind)7;
    assert_int_equal(recall_add(r, &item, NULL), E_USAGE);
    assert_int_equal(recall_query(r, &q, hits, &len, NULL), E_USAGE);
    q.k = RECALL_HITS_MAX + 1;
    assert_int_equal(recall_query(r, &q, hits, &len, NULL), E_USAGE);
    assert_int_equal(recall_new(&none, &(struct recall_scope){0}, &(struct recall_space){0}, NULL),
                     E_USAGE);
    assert_int_equal(
        recall_new(&none, &scope, &(struct recall_space){SEGMENT_DIMS_MAX + 1, 0}, NULL), E_USAGE);
    recall_free(r);
}

static void test_recall__an_empty_index_finds_nothing(void **state)
{
    struct recall *r = open_index(2);
    struct recall_change change;
    const float v[2] = {1, 1};
    struct recall_query q = query_of("tea", 9);

    (void)state;
    q.vector = v;
    q.explain = true;
    assert_string_equal(turns(r, &q), "");
    assert_int_equal(recall_seal(r, 1, &change, NULL), 0);
    assert_int_equal(recall_merge(r, &change, NULL), 0);
    assert_int_equal(recall_purge(r, &change, NULL), 0);
    assert_int_equal(recall_docs(r), 0);
    // Nor does one of texts without words, nor a query without.
    add(r, "a", 1, "u", "?!");
    assert_string_equal(turns(r, &q), "");
    assert_string_equal(found(r, "", 9), "");
    recall_free(r);
}

static void test_recall__names_may_be_empty(void **state)
{
    struct recall *r = open_index(0);
    struct recall_change change;
    struct recall_item item = {.text = SLICE_LIT("tea")};

    (void)state;
    assert_int_equal(recall_add(r, &item, NULL), E_OK);
    assert_int_equal(recall_seal(r, 1, &change, NULL), 1);
    assert_int_equal(recall_add(r, &item, NULL), E_OK);
    assert_string_equal(found(r, "tea", 9), "0 0");
    assert_int_equal(recall_forget(r, SLICE_NONE, 0, 0), 2);
    assert_string_equal(found(r, "tea", 9), "");
    recall_free(r);
}

// ---- forgetting, growing

// A store of segments, as the owner of an index keeps it.
struct kept {
    struct {
        uint32_t number;
        char *bytes;
        size_t len;
    } list[64];
    uint32_t len;
};

static void kept_drop(struct kept *k, uint32_t number)
{
    for (uint32_t i = 0; i < k->len; i++) {
        if (k->list[i].number != number)
            continue;
        mem_free(k->list[i].bytes);
        k->len--;
        memmove(&k->list[i], &k->list[i + 1], (k->len - i) * sizeof(k->list[0]));
        return;
    }
}

static void kept_apply(struct kept *k, const struct recall_change *change)
{
    uint32_t at = 0;
    for (unsigned i = 0; i < change->drop_len; i++)
        kept_drop(k, change->drop[i]);
    kept_drop(k, change->put);
    if (!change->bytes.len)
        return;
    while (at < k->len && k->list[at].number < change->put)
        at++;
    memmove(&k->list[at + 1], &k->list[at], (k->len - at) * sizeof(k->list[0]));
    k->len++;
    k->list[at].number = change->put;
    k->list[at].len = change->bytes.len;
    k->list[at].bytes = mem_slicedup(change->bytes);
}

static struct recall *reload(const struct kept *k)
{
    struct recall *r = open_index(0);
    for (uint32_t i = 0; i < k->len; i++) {
        char *copy = mem_slicedup(slice_of(k->list[i].bytes, k->list[i].len));
        assert_int_equal(recall_load(r, k->list[i].number, copy, k->list[i].len, NULL), E_OK);
    }
    return r;
}

static void test_recall__what_is_stored_ranks_the_same(void **state)
{
    struct recall *grown = open_index(0), *plain = open_index(0);
    struct recall_change change;
    struct kept kept = {0};
    struct rand_sim sim;
    struct message m;

    (void)state;
    rand_sim_init(&sim, 3);
    for (uint32_t i = 0; i < 700; i++) {
        make_message(&m, i, &sim.rand);
        add(grown, m.session, i + 1, "u", m.text);
        add(plain, m.session, i + 1, "u", m.text);
        if (recall_seal(grown, 5, &change, NULL) == 1)
            kept_apply(&kept, &change);
        while (recall_merge(grown, &change, NULL) == 1)
            kept_apply(&kept, &change);
        // Far fewer than were sealed.
        assert_true(kept.len <= 16);
    }
    struct recall *loaded = reload(&kept);
    for (int i = 0; i < WORDS; i++) {
        char text[64];
        snprintf(text, sizeof(text), "%s %s", words[i], words[(i + 5) % WORDS]);
        char want[512];
        snprintf(want, sizeof(want), "%s", found(plain, text, 50));
        assert_string_equal(found(grown, text, 50), want);
        assert_string_equal(found(loaded, text, 50), want);
    }
    assert_int_equal(recall_docs(loaded), 700);
    assert_true(recall_bytes(loaded) > 700 * sizeof(struct doc));
    recall_free(loaded);
    recall_free(grown);
    recall_free(plain);
    while (kept.len)
        kept_drop(&kept, kept.list[0].number);
}

static bool holds_word(const struct kept *k, const char *word)
{
    for (uint32_t i = 0; i < k->len; i++)
        if (memmem(k->list[i].bytes, k->list[i].len, word, strlen(word)))
            return true;
    return false;
}

static void test_recall__what_is_forgotten_is_gone(void **state)
{
    struct recall *r = open_index(0);
    struct recall_change change;
    struct kept kept = {0};

    (void)state;
    add(r, "a", 1, "u", "secret1 and tea");
    add(r, "a", 2, "u", "tea");
    assert_int_equal(recall_seal(r, 1, &change, NULL), 1);
    kept_apply(&kept, &change);
    add(r, "b", 1, "u", "secret2");
    assert_int_equal(recall_seal(r, 1, &change, NULL), 1);
    kept_apply(&kept, &change);
    add(r, "a", 3, "u", "secret3");
    add(r, "a", 4, "u", "tea");
    assert_int_equal(recall_docs(r), 5);
    // In a segment, a whole segment, in the tail.
    assert_int_equal(recall_forget(r, SLICE_LIT("a"), 1, 1), 1);
    assert_int_equal(recall_forget(r, SLICE_LIT("b"), 1, UINT32_MAX), 1);
    assert_int_equal(recall_forget(r, SLICE_LIT("a"), 3, 3), 1);
    assert_int_equal(recall_forget(r, SLICE_LIT("a"), 3, 3), 0);
    assert_int_equal(recall_docs(r), 2);
    for (int pass = 0; pass < 2; pass++) {
        assert_string_equal(found(r, "secret1", 9), "");
        assert_string_equal(found(r, "secret2 secret3", 9), "");
        assert_string_equal(found(r, "tea", 9), "4 2");
        // What comes later is not forgotten, though it has the same name.
        if (!pass) {
            assert_true(holds_word(&kept, "secret1") && holds_word(&kept, "secret2"));
            while (recall_purge(r, &change, NULL) == 1)
                kept_apply(&kept, &change);
            assert_int_equal(recall_seal(r, 1, &change, NULL), 1);
            kept_apply(&kept, &change);
            assert_false(holds_word(&kept, "secret"));
            assert_int_equal(kept.len, 2);
        }
    }
    add(r, "a", 3, "u", "other");
    assert_string_equal(found(r, "other", 1), "3");
    recall_free(r);
    while (kept.len)
        kept_drop(&kept, kept.list[0].number);
}

static void test_recall__a_tail_that_is_all_forgotten_is_not_sealed(void **state)
{
    struct recall *r = open_index(0);
    struct recall_change change;

    (void)state;
    add(r, "a", 1, "u", "tea");
    assert_string_equal(found(r, "tea", 1), "1");
    assert_int_equal(recall_forget(r, SLICE_LIT("a"), 1, 9), 1);
    assert_int_equal(recall_seal(r, 1, &change, NULL), 0);
    assert_int_equal(recall_docs(r), 0);
    assert_string_equal(found(r, "tea", 1), "");
    recall_free(r);
}

static void test_recall__a_full_tail_asks_to_be_sealed(void **state)
{
    struct recall *r = open_index(0);
    struct recall_item item = {.session = SLICE_LIT("a"), .text = SLICE_LIT("tea")};
    struct recall_change change;
    struct err err = ERR_INIT;

    (void)state;
    for (; item.turn < SEGMENT_DOCS_MAX; item.turn++)
        assert_int_equal(recall_add(r, &item, NULL), E_OK);
    assert_int_equal(recall_add(r, &item, &err), E_REFUSED);
    assert_non_null(strstr(err.message, "seal it"));
    assert_int_equal(recall_docs(r), SEGMENT_DOCS_MAX);
    assert_int_equal(recall_seal(r, 1, &change, NULL), 1);
    assert_int_equal(recall_add(r, &item, NULL), E_OK);
    recall_free(r);
}

static void test_recall__the_oldest_make_room_at_the_limit(void **state)
{
    struct recall *r = open_index(0);
    struct recall_change change;
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(recall_drop(r, &change), 0);
    for (uint32_t i = 0; i < RECALL_SEGMENTS_MAX; i++) {
        add(r, "a", i, "u", i ? "boat" : "tea");
        assert_int_equal(recall_seal(r, 1, &change, NULL), 1);
        assert_int_equal(change.put, i + 1);
    }
    add(r, "a", 1000, "u", "garden");
    assert_string_equal(found(r, "tea", 1), "0");
    assert_int_equal(recall_seal(r, 1, &change, &err), E_REFUSED);
    assert_non_null(strstr(err.message, "drop its oldest"));
    assert_string_equal(found(r, "garden", 1), "1000");
    assert_int_equal(recall_drop(r, &change), 1);
    assert_int_equal(change.put, 1);
    assert_int_equal(change.bytes.len, 0);
    assert_string_equal(found(r, "tea", 1), "");
    assert_int_equal(recall_seal(r, 1, &change, NULL), 1);
    assert_int_equal(recall_docs(r), RECALL_SEGMENTS_MAX);
    assert_string_equal(found(r, "garden", 1), "1000");
    recall_free(r);
}

static void test_recall__loads_only_what_is_its_own_and_in_order(void **state)
{
    struct recall *r = open_index(0), *other;
    struct recall_change change;
    struct err err = ERR_INIT;

    (void)state;
    struct recall_scope b2 = {.partition = SLICE_LIT("user"), .bot = SLICE_LIT("b2")};
    assert_int_equal(recall_new(&other, &b2, &(struct recall_space){0}, NULL), E_OK);
    add(r, "a", 1, "u", "tea");
    assert_int_equal(recall_seal(r, 1, &change, NULL), 1);
    assert_int_equal(recall_load(other, 1, mem_slicedup(change.bytes), change.bytes.len, &err),
                     E_REFUSED);
    assert_int_equal(recall_load(r, 1, mem_slicedup(change.bytes), change.bytes.len, &err),
                     E_USAGE);
    assert_int_equal(recall_load(r, 2, mem_slicedup(SLICE_LIT("junk")), 4, &err), E_CORRUPT);
    assert_int_equal(recall_docs(r), 1);
    recall_free(other);
    recall_free(r);
}

// ---- reasons, budgets

static void test_recall__reasons_add_up(void **state)
{
    struct recall *r = open_index(0);
    struct recall_hit hits[2];
    uint32_t len;
    struct recall_query q = query_of("where was the boat in the gardn", 2);

    (void)state;
    add(r, "a", 1, "u", "I saw a boat");
    add(r, "a", 2, "u", "It lay in the garden");
    add(r, "b", 3, "u", "Nothing of that kind");
    q.explain = true;
    assert_int_equal(recall_query(r, &q, hits, &len, NULL), E_OK);
    assert_int_equal(len, 2);
    for (uint32_t i = 0; i < len; i++) {
        double sum = 0;
        bool garden = false;
        for (unsigned w = 0; w < hits[i].why_len; w++) {
            const struct recall_why *why = &hits[i].why[w];
            sum += why->own + why->around;
            if (strcmp(why->term, "garden") == 0) {
                garden = true;
                assert_string_equal(why->asked, "gardn");
                assert_int_equal(why->own > 0, hits[i].turn == 2);
                assert_true(why->around > 0 || hits[i].turn == 2);
            }
        }
        assert_true(garden);
        sum *= hits[i].speaker / 256.0 * hits[i].date / 256.0 * hits[i].recency / 256.0 *
               hits[i].asking / 256.0;
        assert_true(fabs(sum - hits[i].lexical) <= 10);
        assert_int_equal(hits[i].score, hits[i].lexical);
    }
    recall_free(r);
}

static void test_recall__fits_turns_into_a_budget(void **state)
{
    struct recall *r = open_index(0);
    struct recall_hit hits[9];
    uint32_t len, picked[9];
    struct recall_query q = query_of("tea", 9);
    static const struct {
        uint32_t turn, step, tokens;
    } items[] = {{1, 0, 10}, {1, 1, 30}, {2, 0, 500}, {2, 1, 5}, {3, 0, 20}};

    (void)state;
    for (size_t i = 0; i < sizeof(items) / sizeof(*items); i++) {
        struct recall_item item = {.session = SLICE_LIT("a"),
                                   .turn = items[i].turn,
                                   .step = (uint8_t)items[i].step,
                                   .tokens = items[i].tokens,
                                   .text = SLICE_LIT("tea")};
        assert_int_equal(recall_add(r, &item, NULL), E_OK);
    }
    assert_int_equal(recall_query(r, &q, hits, &len, NULL), E_OK);
    assert_int_equal(len, 5);
    for (uint32_t i = 0; i < len; i++)
        assert_int_equal(hits[i].turn_tokens, hits[i].turn == 1   ? 40
                                              : hits[i].turn == 2 ? 505
                                                                  : 20);
    // Turn 2 does not fit; the others do, once each.
    uint32_t n = recall_fit(hits, len, 9, 100, picked), seen = 0;
    assert_int_equal(n, 2);
    for (uint32_t i = 0; i < n; i++)
        seen |= 1U << hits[picked[i]].turn;
    assert_int_equal(seen, 1U << 1 | 1U << 3);
    assert_int_equal(recall_fit(hits, len, 9, 1000, picked), 3);
    assert_int_equal(recall_fit(hits, len, 1, 1000, picked), 1);
    assert_int_equal(recall_fit(hits, len, 9, 19, picked), 0);
    assert_int_equal(recall_fit(hits, 0, 9, 1000, picked), 0);
    recall_free(r);
}

// ---- embeddings

static void test_recall__meaning_finds_what_words_do_not(void **state)
{
    enum { DIMS = 16, SOME = 40 };
    struct recall *r = open_index(DIMS);
    struct recall_change change;
    float v[DIMS];

    (void)state;
    for (uint32_t i = 0; i < SOME; i++) {
        char session[8], text[32];
        snprintf(session, sizeof(session), "s%u", i);
        snprintf(text, sizeof(text), "subject%u is here", i);
        for (uint32_t k = 0; k < DIMS; k++)
            v[k] = sinf((float)(i * 7 + k * k));
        struct recall_item item = {.session = slice_str(session),
                                   .turn = i + 1,
                                   .text = slice_str(text),
                                   .vector = i == 20 ? NULL : v};
        assert_int_equal(recall_add(r, &item, NULL), E_OK);
        if (i % 11 == 0)
            assert_int_equal(recall_seal(r, 1, &change, NULL), 1);
    }
    for (uint32_t i = 0; i < SOME; i++) {
        struct recall_hit hits[3];
        uint32_t len;
        struct recall_query q = query_of("nothing alike", 3);
        if (i == 20)
            continue;
        for (uint32_t k = 0; k < DIMS; k++)
            v[k] = sinf((float)(i * 7 + k * k)) * 1000;
        q.vector = v;
        assert_int_equal(recall_query(r, &q, hits, &len, NULL), E_OK);
        assert_int_equal(hits[0].turn, i + 1);
        assert_true(hits[0].cosine > 990 && hits[0].lexical == 0);
        // Words count for more than a cosine that is not the best.
        q.text = SLICE_LIT("subject20");
        assert_int_equal(recall_query(r, &q, hits, &len, NULL), E_OK);
        assert_int_equal(hits[0].turn, 21);
        assert_int_equal(hits[1].turn, i + 1);
    }
    recall_free(r);
}

static void add_numbered(struct recall *r, const char *session, uint32_t turn)
{
    char text[32];
    snprintf(text, sizeof(text), "subject%u is here", turn);
    struct recall_item item = {.session = slice_str(session), .turn = turn,
                               .text = slice_str(text)};
    assert_int_equal(recall_add(r, &item, NULL), E_OK);
}

static void vector_of(uint32_t i, uint32_t dims, float *out)
{
    for (uint32_t k = 0; k < dims; k++)
        out[k] = sinf((float)(i * 7 + k * k));
}

// Embeds what lacks it, four at a time, until nothing does; how many were.
static uint32_t embed_all(struct recall *r, uint32_t refuse)
{
    enum { DIMS = 16, BATCH = 4 };
    struct recall_message lacking[BATCH];
    struct recall_embedded list[BATCH];
    struct recall_change change;
    float vectors[BATCH][DIMS];
    uint32_t n, all = 0;

    while ((n = recall_lacking(r, 1U << RECALL_TURN, lacking, BATCH)) > 0) {
        for (uint32_t i = 0; i < n; i++) {
            uint32_t turn = lacking[i].turn;
            vector_of(turn, DIMS, vectors[i]);
            list[i] = (struct recall_embedded){lacking[i], turn == refuse ? NULL : vectors[i]};
        }
        assert_int_equal(recall_embed(r, list, n, &change, NULL), 1);
        assert_true(change.bytes.len > 0 && change.drop_len == 0);
        all += n;
    }
    return all;
}

static void assert_meant(struct recall *r, uint32_t turn)
{
    float v[16];
    struct recall_hit hits[2];
    struct recall_query q = query_of("nothing alike", 2);
    uint32_t len;

    vector_of(turn, 16, v);
    q.vector = v;
    assert_int_equal(recall_query(r, &q, hits, &len, NULL), E_OK);
    assert_true(len > 0);
    assert_int_equal(hits[0].turn, turn);
    assert_true(hits[0].cosine > 990);
}

// Messages first, their embeddings later, through sealing, merging, forgetting and loading.
static void test_recall__embeddings_come_later(void **state)
{
    enum { DIMS = 16, TURNS = 24 };
    struct recall *r = open_index(DIMS), *again = NULL;
    struct recall_change change;
    struct recall_message lacking[4];
    char *copy;

    (void)state;
    for (uint32_t turn = 1; turn <= TURNS; turn++) {
        char session[8];
        snprintf(session, sizeof(session), "s%u", turn);
        add_numbered(r, session, turn);
        // What lies in the tail waits.
        if (turn < 3)
            assert_int_equal(recall_lacking(r, 1U << RECALL_TURN, lacking, 4), 0);
        if (turn % 6 == 0)
            assert_int_equal(recall_seal(r, 1, &change, NULL), 1);
    }
    recall_forget(r, SLICE_LIT("s3"), 3, 3);
    // The newest segment first, its oldest message first.
    assert_int_equal(recall_lacking(r, 1U << RECALL_TURN, lacking, 4), 4);
    assert_int_equal(lacking[0].turn, TURNS - 5);
    // Some are embedded, then all is merged, then the rest is.
    float v[DIMS];
    vector_of(TURNS - 5, DIMS, v);
    struct recall_embedded one = {{RECALL_TURN, SLICE_LIT("s19"), TURNS - 5, 0}, v};
    assert_int_equal(recall_embed(r, &one, 1, &change, NULL), 1);
    assert_int_equal(recall_merge(r, &change, NULL), 1);
    assert_meant(r, TURNS - 5);
    assert_int_equal(embed_all(r, 8), TURNS - 2);
    for (uint32_t turn = 1; turn <= TURNS; turn++)
        if (turn != 3 && turn != 8)
            assert_meant(r, turn);
    // What is gone meanwhile gets nothing.
    struct recall_embedded gone = {{RECALL_TURN, SLICE_LIT("s3"), 3, 0}, v};
    assert_int_equal(recall_embed(r, &gone, 1, &change, NULL), 0);
    // It is all in the bytes, the refusal too; an index that does not know the dimensions yet
    // learns them.
    recall_purge(r, &change, NULL);
    assert_int_equal(recall_embed(r, &one, 1, &change, NULL), 1);
    copy = mem_slicedup(change.bytes);
    assert_int_equal(recall_new(&again, &scope, &(struct recall_space){0, 5}, NULL), E_OK);
    assert_int_equal(recall_load(again, change.put, copy, change.bytes.len, NULL), E_OK);
    assert_int_equal(recall_dims(again), DIMS);
    assert_int_equal(recall_lacking(again, 1U << RECALL_TURN, lacking, 4), 0);
    assert_meant(again, TURNS);
    recall_free(again);
    recall_free(r);
}

// A model that puts what is said in a row no closer together than any two messages is not believed;
// as long as little was said, it is believed by half.
static void test_recall__noise_is_not_believed(void **state)
{
    enum { DIMS = 16, TURNS = 300 };
    struct rand_sim rand;
    float v[DIMS] = {0};

    (void)state;
    rand_sim_init(&rand, 4);
    for (int sense = 0; sense < 2; sense++) {
        struct recall *r = open_index(DIMS);
        for (uint32_t turn = 1; turn <= TURNS; turn++) {
            struct recall_item item = {.session = SLICE_LIT("s"), .turn = turn, .vector = v,
                                       .text = SLICE_LIT("and so on")};
            // A subject of ten messages, or none.
            for (uint32_t k = 0; k < DIMS; k++)
                v[k] = sense ? (k == turn / 10 % DIMS) + (float)rand_below(&rand.rand, 100) / 100
                             : (float)rand_below(&rand.rand, 2000) - 1000;
            assert_int_equal(recall_add(r, &item, NULL), E_OK);
            assert_int_equal(recall_view(r, NULL), E_OK);
            if (turn == 2)
                assert_in_range(recall_trust(r), 112, 144);
        }
        if (sense)
            assert_true(recall_trust(r) > 200);
        else
            assert_true(recall_trust(r) < 40);
        recall_free(r);
    }
}

// Where words find no more than "the" of a question, they do not know, and meaning decides.
static void test_recall__little_words_know_nothing(void **state)
{
    struct recall *r = open_index(2);
    struct recall_hit hits[2];
    struct recall_query q = query_of("the medicine", 2);
    const float far[] = {1, 0}, near[] = {0, 1};
    uint32_t len;

    (void)state;
    struct recall_item item = {.session = SLICE_LIT("a"), .turn = 1, .vector = near,
                               .text = SLICE_LIT("pills, twice a day")};
    assert_int_equal(recall_add(r, &item, NULL), E_OK);
    item = (struct recall_item){.session = SLICE_LIT("b"), .turn = 2, .vector = far,
                                .text = SLICE_LIT("the boat is the best")};
    assert_int_equal(recall_add(r, &item, NULL), E_OK);
    assert_int_equal(recall_query(r, &q, hits, &len, NULL), E_OK);
    assert_int_equal(hits[0].turn, 2);
    assert_false(hits[0].fused);
    q.vector = near;
    assert_int_equal(recall_query(r, &q, hits, &len, NULL), E_OK);
    assert_int_equal(hits[0].turn, 1);
    assert_true(hits[0].fused && hits[0].meaning == hits[0].score);
    // One word that is rare is more than a nearness.
    q.text = SLICE_LIT("the boat");
    assert_int_equal(recall_query(r, &q, hits, &len, NULL), E_OK);
    assert_int_equal(hits[0].turn, 2);
    assert_true(hits[0].meaning < hits[0].score / 4);
    recall_free(r);
}

// Another model's vectors do not compare: they are left aside, and made anew.
static void test_recall__another_space(void **state)
{
    enum { TURNS = 6 };
    struct recall *r = open_index(16);
    struct recall_change change;
    struct recall_message lacking[TURNS + 1];
    struct recall_hit hits[2];
    struct recall_query q = query_of("subject3", 2);
    float v[16];
    uint32_t len;

    (void)state;
    for (uint32_t turn = 1; turn <= TURNS; turn++)
        add_numbered(r, "s", turn);
    assert_int_equal(recall_seal(r, 1, &change, NULL), 1);
    assert_int_equal(embed_all(r, 2), TURNS);
    assert_int_equal(recall_set_space(r, &(struct recall_space){16, 6}, NULL), E_OK);
    vector_of(3, 16, v);
    q.vector = v;
    assert_int_equal(recall_query(r, &q, hits, &len, NULL), E_OK);
    assert_int_equal(hits[0].turn, 3);
    assert_int_equal(hits[0].cosine, 0);
    assert_int_equal(recall_lacking(r, 1U << RECALL_TURN, lacking, TURNS + 1), TURNS);
    assert_int_equal(embed_all(r, 0), TURNS);
    assert_meant(r, 2);
    assert_int_equal(recall_set_space(r, &(struct recall_space){SEGMENT_DIMS_MAX + 1, 2}, NULL),
                     E_USAGE);
    // Its dimensions may change too, and come to be none.
    assert_int_equal(recall_set_space(r, &(struct recall_space){0, 0}, NULL), E_OK);
    assert_int_equal(recall_query(r, &q, hits, &len, NULL), E_OK);
    assert_int_equal(hits[0].turn, 3);
    recall_free(r);
}

// ---- memory

static int whole_life(struct err *err)
{
    struct recall *r = NULL, *again = NULL;
    struct recall_hit hits[2];
    struct recall_change change;
    uint32_t len;
    float v[3] = {1, 2, 3};
    int rc = recall_new(&r, &scope, &(struct recall_space){3, 1}, err);

    for (uint32_t i = 0; i < 8 && !rc; i++) {
        struct recall_item item = {.session = SLICE_LIT("s"),
                                   .turn = i,
                                   .vector = v,
                                   .speaker = SLICE_LIT("Ann"),
                                   .text = SLICE_LIT("tea, Zoë")};
        rc = recall_add(r, &item, err);
        if (!rc && i % 2)
            rc = recall_seal(r, 1, &change, err) < 0 ? E_NOMEM : E_OK;
    }
    struct recall_query q = query_of("what tee of Ann", 2);
    q.explain = true;
    q.vector = v;
    if (!rc)
        rc = recall_query(r, &q, hits, &len, err);
    if (!rc) {
        recall_forget(r, SLICE_LIT("s"), 3, 3);
        rc = recall_merge(r, &change, err) < 0 ? E_NOMEM : E_OK;
    }
    if (!rc)
        rc = recall_set_space(r, &(struct recall_space){3, 2}, err);
    struct recall_embedded late = {{RECALL_TURN, SLICE_LIT("s"), 5, 0}, v};
    if (!rc)
        rc = recall_embed(r, &late, 1, &change, err) < 0 ? E_NOMEM : E_OK;
    if (!rc)
        rc = recall_new(&again, &scope, &(struct recall_space){0, 2}, err);
    if (!rc) {
        char *copy = mem_slicedup(change.bytes);
        rc = copy ? recall_load(again, 9, copy, change.bytes.len, err)
                  : err_set(err, E_NOMEM, "no copy");
    }
    recall_free(again);
    recall_free(r);
    return rc;
}

static void test_recall__every_failed_allocation_is_survived(void **state)
{
    (void)state;
    for (uint64_t n = 1;; n++) {
        struct err err = ERR_INIT;

        mem_fail_at(n, 0);
        int rc = whole_life(&err);
        mem_fail_at(0, 0);
        if (!rc) {
            assert_true(n > 50);
            break;
        }
        assert_int_equal(rc, E_NOMEM);
        assert_int_equal(err.code, E_NOMEM);
        assert_true(n < 2000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recall__is_the_formula),
        cmocka_unit_test(test_recall__an_answer_is_found_by_its_question),
        cmocka_unit_test(test_recall__function_words_alone_find_nothing),
        cmocka_unit_test(test_recall__who_and_when),
        cmocka_unit_test(test_recall__slips_of_the_pen),
        cmocka_unit_test(test_recall__is_not_asked_without_its_scope),
        cmocka_unit_test(test_recall__leaves_out_what_was_not_asked_for),
        cmocka_unit_test(test_recall__refuses_what_it_cannot_hold),
        cmocka_unit_test(test_recall__an_empty_index_finds_nothing),
        cmocka_unit_test(test_recall__names_may_be_empty),
        cmocka_unit_test(test_recall__what_is_stored_ranks_the_same),
        cmocka_unit_test(test_recall__what_is_forgotten_is_gone),
        cmocka_unit_test(test_recall__a_tail_that_is_all_forgotten_is_not_sealed),
        cmocka_unit_test(test_recall__a_full_tail_asks_to_be_sealed),
        cmocka_unit_test(test_recall__the_oldest_make_room_at_the_limit),
        cmocka_unit_test(test_recall__loads_only_what_is_its_own_and_in_order),
        cmocka_unit_test(test_recall__reasons_add_up),
        cmocka_unit_test(test_recall__fits_turns_into_a_budget),
        cmocka_unit_test(test_recall__meaning_finds_what_words_do_not),
        cmocka_unit_test(test_recall__embeddings_come_later),
        cmocka_unit_test(test_recall__another_space),
        cmocka_unit_test(test_recall__noise_is_not_believed),
        cmocka_unit_test(test_recall__little_words_know_nothing),
        cmocka_unit_test(test_recall__every_failed_allocation_is_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
