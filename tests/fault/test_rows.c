// SPDX-License-Identifier: MIT
// Rows of a store that are not what they should be (FAULTS 5): each column of each table takes
// other values, of other types, of other rows. Only the session that a row belongs to is harmed (of
// a user's row in `partitions`, that user's); `parley verify` tells of every row whose place, meta
// or body is another; and no text is shown that nobody wrote there.
//
// A case: one value of one row is changed by a connection of the harness's own, all sessions are
// looked at through a running engine, the store is verified, and the row is put back. Some cases
// open the store anew instead, and send a turn to each session.
#include "fault/damage.h"

#include <sqlite3.h>

enum { BATCH = 500, CASE_SECONDS_MAX = 30, VALUE_BYTES = 70000, ANEW_ONE_IN = 25 };

struct column {
    const char *table, *name;
    bool must_tell;  // verify
};
static const struct column columns[] = {
    {"records", "id", false},        {"records", "partition_id", true},
    {"records", "key", true},        {"records", "version", false},
    {"records", "due_at_ms", false}, {"records", "count", false},
    {"records", "meta", true},       {"records", "body", true},
    {"partitions", "id", true},      {"partitions", "name", true},
    {"partitions", "erased", true},  {"state", "value", false},
};
enum { COLUMNS = sizeof(columns) / sizeof(columns[0]) };

// Shared with the children.
struct score {
    uint64_t at, anew, of_column[COLUMNS];
    uint64_t crashed, hung, wrong, harmed, untold, told, target_unharmed, not_opened;
};

struct harness {
    struct place place;
    struct truth *truth;
    struct score *score;
    char *db, *keys;
    size_t db_len, keys_len;
    uint64_t seed, cases_per_column;
    bool control;
    // of a child
    parley *engine;
    sqlite3 *raw;
};

// ---- SQL

static void sql(sqlite3 *db, const char *text)
{
    char *why = NULL;
    if (sqlite3_exec(db, text, NULL, NULL, &why) != SQLITE_OK)
        give_up("%s: %s", text, why);
}

static sqlite3 *open_raw(const struct harness *h)
{
    char path[NAME_BYTES];
    sqlite3 *db;
    if (sqlite3_open(place_path(&h->place, "db", path), &db) != SQLITE_OK)
        give_up("%s: cannot be opened", path);
    sqlite3_busy_timeout(db, 10000);
    sql(db, "PRAGMA synchronous=OFF; ATTACH ':memory:' AS saved;"
            "CREATE TABLE saved.records AS SELECT * FROM records;"
            "CREATE TABLE saved.partitions AS SELECT * FROM partitions;"
            "CREATE TABLE saved.state AS SELECT * FROM state;");
    return db;
}

static sqlite3_stmt *prepare(sqlite3 *db, const char *format, ...)
{
    char text[512];
    sqlite3_stmt *st;
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    if (sqlite3_prepare_v2(db, text, -1, &st, NULL) != SQLITE_OK)
        give_up("%s: %s", text, sqlite3_errmsg(db));
    return st;
}

// ---- a mutation

struct mutation {
    const struct column *column;
    int64_t row, row_now;     // rowid; where the column is the rowid it changes
    bool targets[SESSIONS];   // may be harmed
    bool of_house;
    char what[160];
};

// The sessions that a key names.
static void aim(struct harness *h, struct mutation *m, const char *key, size_t len)
{
    for (unsigned s = 0; s < SESSIONS; s++)
        m->targets[s] |= len && memmem(key, len, h->truth->sessions[s].id, ID_TEXT_BYTES - 1);
}

static void aim_at_user_of(struct harness *h, struct mutation *m, int64_t partition)
{
    sqlite3_stmt *st = prepare(h->raw, "SELECT key FROM saved.records WHERE partition_id = %lld",
                               (long long)partition);
    while (sqlite3_step(st) == SQLITE_ROW)
        aim(h, m, sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0));
    sqlite3_finalize(st);
}

static void bind_number(sqlite3_stmt *st, struct chance *c, int64_t old)
{
    static const int64_t known[] = {0, -1, 1, INT64_MAX, INT64_MIN, INT32_MAX};
    uint64_t kind = draw(c, 10);
    if (kind < 6)
        sqlite3_bind_int64(st, 1, known[kind]);
    else if (kind == 6)
        sqlite3_bind_int64(st, 1, old ^ (int64_t)(UINT64_C(1) << draw(c, 63)));
    else if (kind == 7)
        sqlite3_bind_text(st, 1, "not a number", -1, SQLITE_STATIC);
    else if (kind == 8)
        sqlite3_bind_double(st, 1, 1e300);
    else
        sqlite3_bind_int64(st, 1, (int64_t)draw(c, 1000));
}

static void bind_bytes(sqlite3_stmt *st, struct chance *c, const char *old, size_t len, bool blob)
{
    static char bytes[VALUE_BYTES];
    if (len > sizeof(bytes) / 2)
        len = sizeof(bytes) / 2;
    if (len)
        memcpy(bytes, old, len);
    switch (draw(c, 8)) {
    case 0:
        len = 0;
        break;
    case 1:
        len = draw(c, len + 1);
        break;
    case 2:
        for (size_t i = 0, n = draw(c, 2) ? 300 : sizeof(bytes) - len; i < n; i++)
            bytes[len++] = (char)draw(c, 256);
        break;
    case 3:
        bytes[draw(c, len + 1)] = '\0';
        break;
    case 4:
        for (size_t i = 0; i < len; i++)
            bytes[i] = (char)draw(c, 256);
        break;
    case 5:
        blob = !blob;
        break;
    default:
        if (len)
            bytes[draw(c, len)] ^= (char)(1u << draw(c, 8));
    }
    if (blob)
        sqlite3_bind_blob(st, 1, bytes, (int)len, SQLITE_STATIC);
    else
        sqlite3_bind_text(st, 1, bytes, (int)len, SQLITE_STATIC);
}

// Another row's value in the same column.
static sqlite3_value *value_elsewhere(struct harness *h, struct chance *c,
                                      const struct column *column)
{
    sqlite3_stmt *st = prepare(h->raw, "SELECT %s FROM saved.%s LIMIT 1 OFFSET "
                               "%llu %% (SELECT count(*) FROM saved.%s)", column->name,
                               column->table, (unsigned long long)draw(c, 1000), column->table);
    if (sqlite3_step(st) != SQLITE_ROW)
        give_up("no rows in %s", column->table);
    sqlite3_value *v = sqlite3_value_dup(sqlite3_column_value(st, 0));
    sqlite3_finalize(st);
    return v;
}

static void choose_row(struct harness *h, struct chance *c, struct mutation *m,
                       sqlite3_value **value)
{
    const struct column *k = m->column;
    sqlite3_stmt *st = prepare(h->raw, "SELECT rowid, %s, %s FROM saved.%s LIMIT 1 OFFSET "
                               "%llu %% (SELECT count(*) FROM saved.%s)", k->name,
                               strcmp(k->table, "records") == 0 ? "key, partition_id" : "0, 0",
                               k->table, (unsigned long long)draw(c, 1000), k->table);
    if (sqlite3_step(st) != SQLITE_ROW)
        give_up("no rows in %s", k->table);
    m->row = m->row_now = sqlite3_column_int64(st, 0);
    *value = sqlite3_value_dup(sqlite3_column_value(st, 1));
    if (strcmp(k->table, "records") == 0) {
        const char *key = sqlite3_column_blob(st, 2);
        size_t len = (size_t)sqlite3_column_bytes(st, 2);
        m->of_house = len == 7 && memcmp(key, "keyring", 7) == 0;
        aim(h, m, key, len);
        snprintf(m->what, sizeof(m->what), "%s of %.*s", k->name, (int)len, key);
    } else {
        snprintf(m->what, sizeof(m->what), "%s.%s of row %lld", k->table, k->name,
                 (long long)m->row);
        if (strcmp(k->table, "partitions") == 0) {
            aim_at_user_of(h, m, m->row);
            m->of_house = m->row == 1;  // the first that a store gets
        }
    }
    sqlite3_finalize(st);
}

// False: this value cannot be there (a constraint of the table), or is what was there.
static bool mutate(struct harness *h, struct chance *c, struct mutation *m)
{
    const struct column *k = m->column;
    sqlite3_value *old;
    choose_row(h, c, m, &old);
    bool numbered = strcmp(k->table, "state") != 0;
    sqlite3_stmt *st = prepare(h->raw, "UPDATE %s SET %s = ?1 WHERE %s = (SELECT %s FROM saved.%s "
                               "WHERE rowid = %lld) AND (%s IS NOT ?1 OR typeof(%s) <> typeof(?1))",
                               k->table, k->name, numbered ? "id" : "name",
                               numbered ? "id" : "name", k->table, (long long)m->row, k->name,
                               k->name);
    int type = sqlite3_value_type(old);
    if (draw(c, 4) == 0) {
        sqlite3_value *v = value_elsewhere(h, c, k);
        sqlite3_bind_value(st, 1, v);
        aim(h, m, sqlite3_value_blob(v), (size_t)sqlite3_value_bytes(v));
        sqlite3_value_free(v);
    } else if (draw(c, 20) == 0) {
        sqlite3_bind_null(st, 1);
    } else if (type == SQLITE_INTEGER || type == SQLITE_NULL) {
        bind_number(st, c, sqlite3_value_int64(old));
    } else {
        bind_bytes(st, c, sqlite3_value_blob(old), (size_t)sqlite3_value_bytes(old),
                   type == SQLITE_BLOB);
    }
    sqlite3_value_free(old);
    int rc = sqlite3_step(st);
    sqlite3_finalize(st);
    if (rc != SQLITE_DONE || sqlite3_changes(h->raw) != 1)
        return false;
    if (strcmp(k->name, "id") == 0) {
        // By its name: the engine may have written others meanwhile.
        bool records = strcmp(k->table, "records") == 0;
        sqlite3_stmt *find = prepare(h->raw, "SELECT id FROM %s WHERE %s = (SELECT %s FROM "
                                     "saved.%s WHERE id = %lld)", k->table,
                                     records ? "(partition_id, key)" : "name",
                                     records ? "partition_id, key" : "name", k->table,
                                     (long long)m->row);
        if (sqlite3_step(find) == SQLITE_ROW)
            m->row_now = sqlite3_column_int64(find, 0);
        sqlite3_finalize(find);
    }
    return true;
}

static void put_back(struct harness *h, const struct mutation *m)
{
    char text[512];
    const char *table = m->column->table;
    if (strcmp(table, "state") == 0)
        snprintf(text, sizeof(text), "INSERT OR REPLACE INTO state SELECT * FROM saved.state");
    else
        snprintf(text, sizeof(text), "BEGIN; DELETE FROM %s WHERE id IN (%lld, %lld); INSERT INTO "
                 "%s SELECT * FROM saved.%s WHERE id = %lld; COMMIT", table, (long long)m->row,
                 (long long)m->row_now, table, table, (long long)m->row);
    sql(h->raw, text);
}

// ---- a case

static void judge(struct harness *h, const struct mutation *m, const struct look *l, bool sent)
{
    struct score *s = h->score;
    bool target_harmed = false;
    for (unsigned i = 0; i < SESSIONS; i++) {
        bool fine = l->listed[i] && l->whole[i] && (!sent || l->took[i]);
        target_harmed |= m->targets[i] && !fine;
        if (fine || m->targets[i])
            continue;
        s->harmed++;
        if (!h->control)
            fprintf(stderr, "case %llu: session %u is harmed by %s\n", (unsigned long long)s->at,
                    i, m->what);
    }
    s->wrong += l->wrong;
    if (l->wrong && !h->control)
        fprintf(stderr, "case %llu: %s: %s\n", (unsigned long long)s->at, m->what, l->last);
    s->target_unharmed += !target_harmed;
    s->told += l->problems > 0;
    bool keyring = m->of_house && strcmp(m->column->table, "records") == 0;
    if (!l->problems && m->column->must_tell && !keyring) {
        s->untold++;
        if (!h->control)
            fprintf(stderr, "case %llu: verify says nothing of %s\n", (unsigned long long)s->at,
                    m->what);
    }
}

static void restore_files(struct harness *h)
{
    char path[NAME_BYTES];
    place_clean(&h->place);
    write_whole(place_path(&h->place, "db", path), h->db, h->db_len);
    write_whole(place_path(&h->place, "parley.keys", path), h->keys, h->keys_len);
}

static bool open_engine(struct harness *h, struct look *l)
{
    struct engine_wish wish = {.trace = l ? look_at_request : NULL, .user = l};
    parley_error error = PARLEY_ERROR_INIT;
    return place_open(&h->place, &wish, &h->engine, &error) >= 0;
}

// Another process opens the store, and people go on talking.
static void case_anew(struct harness *h, struct chance *c, struct mutation *m)
{
    struct look l = {0};
    restore_files(h);
    h->raw = open_raw(h);
    while (!mutate(h, c, m))
        *m = (struct mutation){.column = m->column};
    sqlite3_close(h->raw);
    h->raw = NULL;
    h->score->anew++;
    if (!open_engine(h, &l)) {
        h->score->not_opened++;
        h->score->harmed += !m->of_house;
        if (!m->of_house)
            fprintf(stderr, "case %llu: nothing can be opened after %s\n",
                    (unsigned long long)h->score->at, m->what);
        return;
    }
    look_at_all(&l, h->engine, h->truth);
    look_by_sending(&l, h->engine, h->truth);
    parley_close(h->engine);
    judge(h, m, &l, true);
}

static void case_running(struct harness *h, struct chance *c, struct mutation *m)
{
    struct look l = {0};
    while (!mutate(h, c, m))
        *m = (struct mutation){.column = m->column};
    look_at_all(&l, h->engine, h->truth);
    judge(h, m, &l, false);
    put_back(h, m);
}

static void run_batch(struct harness *h, uint64_t first, uint64_t end)
{
    bool anew = first / BATCH % ANEW_ONE_IN == 0;
    uint64_t step = anew ? ANEW_ONE_IN : 1;  // they take longer: fewer of them
    seals_are_off = h->control;
    restore_files(h);
    if (!anew) {
        if (!open_engine(h, NULL))
            give_up("the template cannot be opened");
        h->raw = open_raw(h);
    }
    for (; h->score->at < end; h->score->at += step) {
        struct chance c = {h->seed * 1000003 + h->score->at};
        unsigned at = (unsigned)(h->score->at / step % COLUMNS);
        struct mutation m = {.column = &columns[at]};
        alarm(CASE_SECONDS_MAX);
        h->score->of_column[at]++;
        if (anew)
            case_anew(h, &c, &m);
        else
            case_running(h, &c, &m);
    }
    h->score->at = end;
    _exit(0);
}

static void nothing_to_leave(const struct place *p)
{
    (void)p;
}

static void prepare_harness(struct harness *h)
{
    char path[NAME_BYTES];
    place_make_light(&h->place);
    h->truth = shared_memory(sizeof(*h->truth));
    h->score = shared_memory(sizeof(*h->score));
    pid_t child = fork();
    if (child == 0) {
        make_template(&h->place, h->truth, nothing_to_leave);
        _exit(0);
    }
    int status;
    if (waitpid(child, &status, 0) != child || status != 0)
        give_up("the template could not be made");
    h->db = read_whole(place_path(&h->place, "db", path), &h->db_len);
    h->keys = read_whole(place_path(&h->place, "parley.keys", path), &h->keys_len);
}

static void run(struct harness *h)
{
    uint64_t cases = h->cases_per_column * COLUMNS;
    prepare_harness(h);
    while (h->score->at < cases) {
        int status = 0;
        pid_t child = fork();
        if (child == 0)
            run_batch(h, h->score->at, (h->score->at / BATCH + 1) * BATCH);
        if (child < 0 || waitpid(child, &status, 0) != child)
            give_up("fork: %s", strerror(errno));
        if (status == 0)
            continue;
        bool hung = WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM;
        h->score->hung += hung;
        h->score->crashed += !hung;
        fprintf(stderr, "case %llu: the process ended with status %d\n",
                (unsigned long long)h->score->at, status);
        h->score->at++;
        if (h->score->crashed + h->score->hung > 20)
            break;
    }
}

static uint64_t total(const struct score *s)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < COLUMNS; i++)
        sum += s->of_column[i];
    return sum;
}

static void finish(struct harness *h, const char *what)
{
    const struct score *s = h->score;
    summary("%s: %llu mutations of %u columns: other sessions harmed %llu, wrong text %llu, "
            "crashed %llu, hung %llu; of place, meta or body, not told by verify %llu; told %llu, "
            "without effect on what is shown %llu; opened anew and sent to %llu, not opened %llu "
            "(of the house's record; seed %llu)",
            what, (unsigned long long)total(s), COLUMNS, (unsigned long long)s->harmed,
            (unsigned long long)s->wrong, (unsigned long long)s->crashed,
            (unsigned long long)s->hung, (unsigned long long)s->untold,
            (unsigned long long)s->told, (unsigned long long)s->target_unharmed,
            (unsigned long long)s->anew, (unsigned long long)s->not_opened,
            (unsigned long long)h->seed);
    place_remove(&h->place);
    free(h->db);
    free(h->keys);
}

// ---- the tests

static void test_rows__harm_their_own_session_only(void **state)
{
    (void)state;
    struct harness h = {.seed = fault_seed(), .cases_per_column = fault_long() ? 10500 : 100};
    run(&h);
    finish(&h, "malformed rows");
    assert_int_equal(h.score->harmed, 0);
    assert_int_equal(h.score->wrong, 0);
    assert_int_equal(h.score->crashed, 0);
    assert_int_equal(h.score->hung, 0);
    assert_int_equal(h.score->untold, 0);
    assert_true(h.score->told > 0 && h.score->anew > 0);
}

// With seals that hold nothing a row in another place is believed.
static void test_rows__control_seals_that_hold_nothing(void **state)
{
    (void)state;
    struct harness h = {.seed = fault_seed(), .control = true,
                        .cases_per_column = fault_long() ? 1000 : 100};
    run(&h);
    finish(&h, "control, seals that hold nothing");
    assert_true(h.score->harmed + h.score->wrong + h.score->untold > 0);
    assert_true(h.score->wrong > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows__harm_their_own_session_only),
        cmocka_unit_test(test_rows__control_seals_that_hold_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
