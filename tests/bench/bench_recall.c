// SPDX-License-Identifier: MIT
// bench_recall.c: how well recall finds, and how fast.
//
// How well: on the LoCoMo conversations, the share of a question's evidence turns among the first
// 5, 10 and 20 (mean over questions), and the mean reciprocal rank of the first one. Beside it, in
// this run, what SQLite's FTS5 finds: (a) porter stemming, stop words stripped from the question;
// (b) the same with the neighbouring turns in a second column of half the weight. Then what each
// part of the ranking is worth: the same without it.
//
// The fused ranking has three embeddings: one that says nothing (noise: what a poor model may
// cost), the scripted provider's (trigrams: spelling, not meaning), and, with EMBEDDINGS_URL, a
// server's (with_embeddings.sh starts one with GloVe's word vectors).
//
// How fast: 10,000 turns (20,000 messages) of words with Zipf's frequencies. Warm: a query; cold:
// the same from the segments' bytes on.
//
//   bench_recall [quick]
#include "base/mem.h"
#include "base/rand.h"
#include "bench/embedding.h"
#include "bench/locomo.h"
#include "memory/recall_int.h"

#include <ctype.h>
#include <math.h>
#include <sqlite3.h>
#include <time.h>

enum { TURNS = 10000, WORDS = 30000 };

static void die(const char *what)
{
    fprintf(stderr, "bench: %s\n", what);
    exit(1);
}

static double cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static const struct recall_scope scope = {SLICE_LIT("u"), SLICE_LIT("bot"), SLICE_NONE, SLICE_NONE};

// ---- recall on LoCoMo

// A conversation's vectors: its messages', then its questions'.
struct space {
    float *vectors[16];
    uint32_t dims;
};

static struct safe_text text_of(const char *text)
{
    // An input may not be empty.
    return *text ? (struct safe_text){text, strlen(text)} : SAFE_LIT("-");
}

// False: there is no such embedding here.
static bool make_space(struct space *space, const struct locomo *data, enum embedding_kind kind)
{
    for (uint32_t i = 0; i < data->len; i++) {
        const struct locomo_conv *c = &data->convs[i];
        uint32_t n = c->turns_len + c->questions_len;
        struct safe_text *texts = calloc(n, sizeof(*texts));
        for (uint32_t k = 0; k < n; k++)
            texts[k] = text_of(k < c->turns_len ? c->turns[k].text
                                                : c->questions[k - c->turns_len].text);
        space->vectors[i % 16] = embedding_make(kind, texts, n, &space->dims);
        free(texts);
    }
    return space->dims > 0;
}

static struct recall *index_of(const struct locomo_conv *c, const float *vectors, uint32_t dims)
{
    struct recall *r;
    struct err err = ERR_INIT;

    if (recall_new(&r, &scope, &(struct recall_space){.dims = dims, .id = 1}, &err))
        die(err.message);
    for (uint32_t i = 0; i < c->turns_len; i++) {
        const struct locomo_turn *t = &c->turns[i];
        struct recall_item item = {.session = slice_str(t->session),
                                   .turn = t->number,
                                   .speaker = slice_str(t->speaker),
                                   .at_ms = t->at_ms,
                                   .text = slice_str(t->text),
                                   .vector = dims ? vectors + (size_t)i * dims : NULL};
        if (recall_add(r, &item, &err))
            die(err.message);
    }
    return r;
}

struct method {
    const char *name;
    struct locomo_figures all, by_category[LOCOMO_CATEGORIES], by_conv[16];
};

static void count(struct method *m, uint32_t conv, const struct locomo_question *q,
                  const uint32_t *ranking, uint32_t len)
{
    locomo_count(&m->all, q, ranking, len);
    locomo_count(&m->by_category[q->category], q, ranking, len);
    locomo_count(&m->by_conv[conv % 16], q, ranking, len);
}

// space: NULL for words alone.
static void run_recall(struct method *m, const struct locomo *data, const struct rank_rules *rules,
                       const struct space *space)
{
    uint32_t dims = space ? space->dims : 0;

    for (uint32_t i = 0; i < data->len; i++) {
        const struct locomo_conv *c = &data->convs[i];
        const float *vectors = space ? space->vectors[i % 16] : NULL;
        struct recall *r = index_of(c, vectors, dims);
        r->rules = rules;
        for (uint32_t k = 0; k < c->questions_len; k++) {
            const struct locomo_question *q = &c->questions[k];
            struct recall_hit hits[LOCOMO_RANKS];
            uint32_t len, ranking[LOCOMO_RANKS];
            struct recall_query query = {
                .scope = scope,
                .text = slice_str(q->text),
                .vector = dims ? vectors + (size_t)(c->turns_len + k) * dims : NULL,
                .now_ms = c->turns[c->turns_len - 1].at_ms,
                .k = LOCOMO_RANKS};
            if (recall_query(r, &query, hits, &len, NULL))
                die("recall failed");
            for (uint32_t h = 0; h < len; h++)
                ranking[h] = hits[h].turn - 1;
            count(m, i, q, ranking, len);
        }
        recall_free(r);
    }
}

// ---- SQLite's FTS5

static bool is_stop_word(const char *word, size_t len)
{
    static const char words[] =
        " a an the and or but if of to in on at by for with from as is are was were be been being "
        "am do does did done have has had having i you he she it we they me him her us them my "
        "your his its our their this that these those what which who whom whose when where why how "
        "not no nor so than then too very can will would could should may might must just about "
        "into over after before between out up down off again there here s t d ll m o re ve y ";
    char padded[34];
    if (len > 30)
        return false;
    snprintf(padded, sizeof(padded), " %.*s ", (int)len, word);
    return strstr(words, padded) != NULL;
}

// The question's words that are none, as a query of FTS5: "word" OR "word".
static void fts_query(const char *question, char *out, size_t bytes)
{
    size_t n = 0;
    out[0] = '\0';
    for (const char *at = question; *at;) {
        size_t len = 0;
        char word[64];
        while (len < sizeof(word) && at[len] &&
               ((unsigned char)at[len] >= 0x80 || isalnum((unsigned char)at[len]))) {
            word[len] = (char)tolower((unsigned char)at[len]);
            len++;
        }
        if (len && !is_stop_word(word, len) && n + len + 16 < bytes)
            n +=
                (size_t)snprintf(out + n, bytes - n, "%s\"%.*s\"", n ? " OR " : "", (int)len, word);
        at += len ? len : 1;
    }
}

static void sql(sqlite3 *db, const char *text)
{
    if (sqlite3_exec(db, text, NULL, NULL, NULL) != SQLITE_OK)
        die(sqlite3_errmsg(db));
}

static sqlite3 *fts_of(const struct locomo_conv *c)
{
    sqlite3 *db;
    sqlite3_stmt *insert;

    if (sqlite3_open(":memory:", &db) != SQLITE_OK)
        die("no SQLite");
    sql(db, "CREATE VIRTUAL TABLE a USING fts5(x, tokenize='porter unicode61');"
            "CREATE VIRTUAL TABLE b USING fts5(x, y, tokenize='porter unicode61')");
    for (uint32_t i = 0; i < c->turns_len; i++) {
        char around[1 << 16] = "", own[1 << 15];
        size_t n = 0;
        for (int step = -1; step <= 1; step++) {
            uint32_t k = i + (uint32_t)step;
            if (k >= c->turns_len || strcmp(c->turns[k].session, c->turns[i].session) != 0)
                continue;
            snprintf(own, sizeof(own), "%s: %s", c->turns[k].speaker, c->turns[k].text);
            if (step)
                n += (size_t)snprintf(around + n, sizeof(around) - n, "%s ", own);
        }
        snprintf(own, sizeof(own), "%s: %s", c->turns[i].speaker, c->turns[i].text);
        for (int table = 0; table < 2; table++) {
            sqlite3_prepare_v2(db,
                               table ? "INSERT INTO b(rowid, x, y) VALUES(?, ?, ?)"
                                     : "INSERT INTO a(rowid, x) VALUES(?, ?)",
                               -1, &insert, NULL);
            sqlite3_bind_int64(insert, 1, i);
            sqlite3_bind_text(insert, 2, own, -1, SQLITE_TRANSIENT);
            if (table)
                sqlite3_bind_text(insert, 3, around, -1, SQLITE_TRANSIENT);
            if (sqlite3_step(insert) != SQLITE_DONE)
                die(sqlite3_errmsg(db));
            sqlite3_finalize(insert);
        }
    }
    return db;
}

static void run_fts(struct method *a, struct method *b, const struct locomo *data)
{
    static const char *const select[] = {
        "SELECT rowid FROM a WHERE a MATCH ? ORDER BY bm25(a) LIMIT 100",
        "SELECT rowid FROM b WHERE b MATCH ? ORDER BY bm25(b, 1.0, 0.5) LIMIT 100"};

    for (uint32_t i = 0; i < data->len; i++) {
        const struct locomo_conv *c = &data->convs[i];
        sqlite3 *db = fts_of(c);
        sqlite3_stmt *stmt[2];
        for (int m = 0; m < 2; m++)
            if (sqlite3_prepare_v2(db, select[m], -1, &stmt[m], NULL) != SQLITE_OK)
                die(sqlite3_errmsg(db));
        for (uint32_t k = 0; k < c->questions_len; k++)
            for (int m = 0; m < 2; m++) {
                char query[4096];
                uint32_t ranking[LOCOMO_RANKS], len = 0;
                fts_query(c->questions[k].text, query, sizeof(query));
                sqlite3_bind_text(stmt[m], 1, query, -1, SQLITE_TRANSIENT);
                while (len < LOCOMO_RANKS && sqlite3_step(stmt[m]) == SQLITE_ROW)
                    ranking[len++] = (uint32_t)sqlite3_column_int64(stmt[m], 0);
                sqlite3_reset(stmt[m]);
                count(m ? b : a, i, &c->questions[k], ranking, len);
            }
        sqlite3_finalize(stmt[0]);
        sqlite3_finalize(stmt[1]);
        sqlite3_close(db);
    }
}

// ---- tables

static void print_figures(const char *name, const struct locomo_figures *f)
{
    if (f->n == 0) {
        printf("  %-30s skipped\n", name);
        return;
    }
    printf("  %-30s %5u  %.3f  %.3f  %.3f   %.3f\n", name, f->n, f->recall[0] / f->n,
           f->recall[1] / f->n, f->recall[2] / f->n, f->mrr / f->n);
}

static void print_head(const char *what)
{
    printf("%-32s %5s  %5s  %5s  %5s   %5s\n", what, "n", "@5", "@10", "@20", "MRR");
}

struct ablation {
    const char *name;
    struct rank_rules rules;
};

static void ablate(const struct locomo *data)
{
    const struct rank_rules all = rank_rules_default;
    struct ablation list[] = {
        {"nothing left out", all},
        {"no talk around", all},
        {"only the next messages", all},
        {"questions as others", all},
        {"function words as others", all},
        {"no speaker", all},
        {"no date", all},
        {"messages that ask as others", all},
        {"no recency", all},
        {"no variants", all},
        {"k1 1.2, b 0.75 (usual BM25)", all},
    };
    list[1].rules.before = list[1].rules.after = list[1].rules.asked_before = 0;
    list[2].rules.reach = 1;
    list[3].rules.asked_before = all.before;
    list[4].rules.minor = 256;
    list[5].rules.speaker = 0;
    list[6].rules.month = list[6].rules.day = list[6].rules.year = 0;
    list[7].rules.asking = 0;
    list[8].rules.recent = 0;
    list[9].rules.variant = 0;
    list[10].rules.k1 = 77;
    list[10].rules.b = 192;
    print_head("what each part is worth");
    for (size_t i = 0; i < sizeof(list) / sizeof(*list); i++) {
        struct method m = {0};
        run_recall(&m, data, &list[i].rules, NULL);
        print_figures(list[i].name, &m.all);
    }
}

enum { FTS_A, FTS_B, WORDS_ONLY, WITH_NOISE, WITH_TRIGRAMS, WITH_SERVER, METHODS };

static void run_all(struct method *m, const struct locomo *data)
{
    run_fts(&m[FTS_A], &m[FTS_B], data);
    run_recall(&m[WORDS_ONLY], data, &rank_rules_default, NULL);
    for (int i = WITH_NOISE; i < METHODS; i++) {
        struct space space = {{0}, 0};
        enum embedding_kind kind = (enum embedding_kind)(EMBEDDING_NOISE + i - WITH_NOISE);
        if (make_space(&space, data, kind))
            run_recall(&m[i], data, &rank_rules_default, &space);
        for (uint32_t c = 0; c < 16; c++)
            mem_free(space.vectors[c]);
    }
}

static void how_well(bool quick)
{
    struct locomo data = {0};
    struct method m[METHODS] = {[FTS_A] = {.name = "FTS5 (a)"},
                                [FTS_B] = {.name = "FTS5 (b)"},
                                [WORDS_ONLY] = {.name = "recall, words"},
                                [WITH_NOISE] = {.name = "recall, words and noise"},
                                [WITH_TRIGRAMS] = {.name = "recall, words and trigrams"},
                                [WITH_SERVER] = {.name = "recall, words and GloVe"}};
    char name[64];

    if (!locomo_load(&data)) {
        printf("LoCoMo: skipped, cases/memory/locomo.json is not there\n");
        return;
    }
    run_all(m, &data);
    print_head("LoCoMo, all questions");
    for (int i = 0; i < METHODS; i++)
        print_figures(m[i].name, &m[i].all);
    for (int c = 0; c < LOCOMO_CATEGORIES; c++) {
        print_head(locomo_categories[c]);
        for (int i = 0; i < METHODS; i++)
            print_figures(m[i].name, &m[i].by_category[c]);
    }
    for (uint32_t c = 0; c < data.len; c++) {
        snprintf(name, sizeof(name), "conversation %u", c + 1);
        print_head(name);
        for (int i = 0; i < METHODS; i++)
            print_figures(m[i].name, &m[i].by_conv[c % 16]);
    }
    if (!quick)
        ablate(&data);
}

// ---- speed

// A word for a rank, different for each.
static size_t word_of(uint32_t rank, char *out)
{
    static const char *const syllables[] = {"ba", "de", "fi", "go", "hu", "ka", "le", "mi",
                                            "no", "pu", "ra", "se", "ti", "vo", "zu", "xy"};
    size_t n = 0;
    do {
        memcpy(out + n, syllables[rank & 15], 2);
        n += 2;
        rank >>= 4;
    } while (rank);
    return n;
}

// Zipf's law: the word of rank k is said about 1 / k as often as the first.
static uint32_t zipf(const struct rand *rand)
{
    double u = (double)rand_below(rand, 1U << 30) / (1U << 30);
    return (uint32_t)(exp(u * log(WORDS)) - 1);
}

static void say(const struct rand *rand, uint32_t words, char *out)
{
    for (uint32_t i = 0; i < words; i++) {
        out += word_of(zipf(rand), out);
        *out++ = ' ';
    }
    *out = '\0';
}

static void random_vector(const struct rand *rand, uint32_t dims, float *out)
{
    for (uint32_t i = 0; i < dims; i++)
        out[i] = (float)rand_below(rand, 2001) - 1000;
}

struct bytes {
    char *ptr[RECALL_SEGMENTS_MAX];
    size_t len[RECALL_SEGMENTS_MAX], all;
    uint32_t number[RECALL_SEGMENTS_MAX], n;
};

// What a store would hold after these changes.
static void keep(struct bytes *b, const struct recall_change *change)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < b->n; i++) {
        bool drop = b->number[i] == change->put;
        for (unsigned k = 0; k < change->drop_len; k++)
            drop |= b->number[i] == change->drop[k];
        if (drop) {
            free(b->ptr[i]);
            continue;
        }
        b->ptr[kept] = b->ptr[i];
        b->len[kept] = b->len[i];
        b->number[kept++] = b->number[i];
    }
    b->n = kept + 1;
    b->number[kept] = change->put;
    b->len[kept] = change->bytes.len;
    b->ptr[kept] = malloc(change->bytes.len);
    memcpy(b->ptr[kept], change->bytes.ptr, change->bytes.len);
}

static struct recall *grow(const struct rand *rand, uint32_t dims, struct bytes *bytes, double *ms)
{
    struct recall *r;
    struct recall_change change;
    struct err err = ERR_INIT;
    static float vector[SEGMENT_DIMS_MAX];
    static char text[1 << 14];
    double spent = 0;

    if (recall_new(&r, &scope, &(struct recall_space){dims, 1}, &err))
        die(err.message);
    for (uint32_t turn = 0; turn < TURNS; turn++)
        for (uint8_t step = 0; step < 2; step++) {
            char session[16];
            snprintf(session, sizeof(session), "s%u", turn / 40);
            say(rand, 5 + (uint32_t)rand_below(rand, step ? 60 : 25), text);
            // The user's step carries the turn's embedding.
            if (dims && !step)
                random_vector(rand, dims, vector);
            struct recall_item item = {.session = slice_str(session),
                                       .turn = turn % 40 + 1,
                                       .step = step,
                                       .tokens = 40,
                                       .text = slice_str(text),
                                       .speaker = slice_str(step ? "assistant" : "user"),
                                       .at_ms = 1700000000000 + turn * 600000LL,
                                       .vector = dims && !step ? vector : NULL};
            double from = cpu_ms();
            int rc = recall_add(r, &item, &err);
            while (rc >= 0 && (rc = recall_seal(r, RECALL_TAIL_DOCS, &change, &err)) == 1)
                keep(bytes, &change);
            while (rc >= 0 && (rc = recall_merge(r, &change, &err)) == 1)
                keep(bytes, &change);
            spent += cpu_ms() - from;
            if (rc < 0)
                die(err.message);
        }
    if (recall_seal(r, 1, &change, &err) == 1)
        keep(bytes, &change);
    *ms = spent / TURNS;
    return r;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

enum { QUERIES = 200, COLD = 11 };

static double ask(struct recall *r, const struct rand *rand, uint32_t dims)
{
    static float vector[SEGMENT_DIMS_MAX];
    struct recall_hit hits[20];
    uint32_t len;
    char text[2048];

    say(rand, 12, text);
    // As people ask: function words, most frequent of all, besides.
    strcat(text, "what did you ba de fi go");
    if (dims)
        random_vector(rand, dims, vector);
    struct recall_query q = {.scope = scope,
                             .text = slice_str(text),
                             .now_ms = 1800000000000,
                             .vector = dims ? vector : NULL,
                             .k = 20};
    double from = cpu_ms();
    if (recall_query(r, &q, hits, &len, NULL) || len == 0)
        die("nothing recalled");
    return cpu_ms() - from;
}

static void how_fast(uint32_t dims)
{
    struct rand_sim sim;
    struct bytes *bytes = calloc(1, sizeof(*bytes));
    double warm[QUERIES], cold[COLD], per_turn;

    rand_sim_init(&sim, 7);
    struct recall *r = grow(&sim.rand, dims, bytes, &per_turn);
    for (int i = 0; i < QUERIES; i++)
        warm[i] = ask(r, &sim.rand, dims);
    size_t memory = recall_bytes(r);
    recall_free(r);
    for (uint32_t i = 0; i < bytes->n; i++)
        bytes->all += bytes->len[i];
    for (int i = 0; i < COLD; i++) {
        double from = cpu_ms();
        if (recall_new(&r, &scope, &(struct recall_space){dims, 1}, NULL))
            die("no index");
        for (uint32_t k = 0; k < bytes->n; k++) {
            char *copy = mem_alloc(bytes->len[k]);
            memcpy(copy, bytes->ptr[k], bytes->len[k]);
            if (recall_load(r, bytes->number[k], copy, bytes->len[k], NULL))
                die("a segment is damaged");
        }
        cold[i] = cpu_ms() - from + ask(r, &sim.rand, dims);
        recall_free(r);
    }
    qsort(warm, QUERIES, sizeof(*warm), by_value);
    qsort(cold, COLD, sizeof(*cold), by_value);
    printf("  %4u dimensions: warm %.2f ms (p99 %.2f), cold %.1f ms; to keep up %.3f ms a turn; "
           "%u segments, %.1f MB of bytes, %.1f MB in memory\n",
           dims, warm[QUERIES / 2], warm[QUERIES * 99 / 100], cold[COLD / 2], per_turn, bytes->n,
           (double)bytes->all / 1e6, (double)memory / 1e6);
    for (uint32_t i = 0; i < bytes->n; i++)
        free(bytes->ptr[i]);
    free(bytes);
}

int main(int argc, char **argv)
{
    bool quick = argc > 1 && strcmp(argv[1], "quick") == 0;

    how_well(quick);
    printf("%d turns of history, %d messages (CPU; to reach: warm 5 ms, cold 30 ms)\n", TURNS,
           2 * TURNS);
    how_fast(0);
    how_fast(256);
    if (!quick)
        how_fast(1536);
    return 0;
}
