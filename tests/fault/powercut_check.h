// SPDX-License-Identifier: MIT
// powercut_check.h: cuts a recorded store at every place, several times, and judges each disk.
//
// The oracle knows, as one number each, every state that the records were in, in order: state n is
// that after the n-th commit. Each acknowledgement was noted, in its place in the recording, before
// it was counted, and names the state from which on it holds. After a cut the records must be in
// one of the states, whole, and not in one before the last that was acknowledged. The seed decides
// the load and the cuts; how the store's threads meet is their own.
// Header only; one thread.
#ifndef TESTS_FAULT_POWERCUT_CHECK_H
#define TESTS_FAULT_POWERCUT_CHECK_H

#include "fault/powercut.h"
#include "model/record.h"

#include <dlfcn.h>

enum { INTEGRITY_ONE_IN = 16, DETAILS = 8 };

struct figures {
    uint64_t cuts, acked, lost, half, corrupt, reopened, recordings;
    int details;
};

struct trial {
    struct place place;
    char path[NAME_BYTES];
    struct disk live, image;
    struct recording recording;
    uint64_t *states;  // owned by the test
    size_t states_len;
    size_t *acks;  // note n acknowledges state acks[n], 0: none; owned by the test
    size_t acks_len;
    // A second look at some disks, through the engine; may change them. They are in state `state`,
    // and `notes` notes were made.
    void (*look)(struct trial *t, size_t state, size_t notes);
    unsigned look_one_in;
    uint64_t seed, dice;
    bool lies, harms_pages;  // controls: see struct cutter
    struct figures figures;
    // One of the disks, to go on with: where the power went once, it may go again.
    struct disk next;
    size_t next_at, next_state, next_notes;
    bool has_next;
};

// ---- checkpoints come soon: each page of the WAL is told to the store as so many

static struct {
    int (*told)(void *arg, sqlite3 *db, const char *name, int pages);
    void *arg;
    int factor;
} wal_hook = {.factor = 1};

static int tell_pages(void *unused, sqlite3 *db, const char *name, int pages)
{
    (void)unused;
    return wal_hook.told(wal_hook.arg, db, name, pages * wal_hook.factor);
}

// In the place of SQLite's, for the store alone: hidden from SQLite itself.
__attribute__((visibility("hidden"))) void *
sqlite3_wal_hook(sqlite3 *db, int (*told)(void *, sqlite3 *, const char *, int), void *arg)
{
    void *(*real)(sqlite3 *, int (*)(void *, sqlite3 *, const char *, int), void *);
    void *address = dlsym(RTLD_NEXT, "sqlite3_wal_hook");
    if (!address)
        give_up("no sqlite3_wal_hook");
    memcpy(&real, &address, sizeof(real));
    wal_hook.told = told;
    wal_hook.arg = arg;
    return real(db, tell_pages, NULL);
}

// ---- the state of a disk

static inline uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * 0x9e3779b97f4a7c15ull;
    return h ^ h >> 29;
}

static inline uint64_t mix_slice(uint64_t h, struct slice s)
{
    uint64_t v = 0;
    size_t at = 0;
    for (; at + 8 <= s.len; at += 8) {
        memcpy(&v, s.ptr + at, 8);
        h = mix(h, v);
    }
    v = 0;
    if (at < s.len)
        memcpy(&v, s.ptr + at, s.len - at);
    return mix(mix(h, v), s.len);
}

// A state is the sum of its rows.
static inline uint64_t row_hash(const struct record *r)
{
    uint64_t h = mix_slice(mix_slice(1, r->partition), r->key);
    h = mix(mix(mix(h, r->version), (uint64_t)r->due_at_ms), (uint64_t)r->count);
    return mix_slice(mix_slice(h, r->meta), r->body.bytes);
}

// For reading; it leaves the WAL where it is.
static inline sqlite3 *open_raw(const struct trial *t)
{
    sqlite3 *db = NULL;
    int rc = sqlite3_open_v2(t->path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, "PRAGMA query_only=ON; PRAGMA cell_size_check=ON;", NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        return db;
    sqlite3_close(db);
    return NULL;
}

static inline struct slice column(sqlite3_stmt *st, int at)
{
    const char *bytes = sqlite3_column_blob(st, at);
    return (struct slice){bytes, (size_t)sqlite3_column_bytes(st, at)};
}

static inline int read_one(sqlite3 *db, const char *sql, int64_t *number, char *text, size_t size)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    if (rc == SQLITE_ROW && number)
        *number = sqlite3_column_int64(st, 0);
    if (rc == SQLITE_ROW && text)
        snprintf(text, size, "%s", (const char *)sqlite3_column_text(st, 0));
    sqlite3_finalize(st);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static inline int sum_rows(sqlite3 *db, uint64_t *sum)
{
    static const char sql[] =
        "SELECT r.key, r.version, r.due_at_ms, r.count, r.meta, r.body, coalesce(p.name, '?') "
        "FROM records r LEFT JOIN partitions p ON p.id = r.partition_id";
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL);
    while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        struct record r = {
            .key = column(st, 0),
            .version = (uint64_t)sqlite3_column_int64(st, 1),
            .due_at_ms = sqlite3_column_int64(st, 2),
            .count = sqlite3_column_int64(st, 3),
            .meta = column(st, 4),
            .body.bytes = column(st, 5),
            .partition = column(st, 6),
        };
        *sum += row_hash(&r);
        rc = SQLITE_OK;
    }
    sqlite3_finalize(st);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

// What the mounted disk's records are. False, with why: SQLite cannot read them, or finds damage.
static inline bool read_state(const struct trial *t, bool integrity, uint64_t *state,
                              char why[ERR_MESSAGE_BYTES])
{
    sqlite3 *db = open_raw(t);
    int64_t tables = 0;
    char damage[128] = "ok";
    *state = 0;
    why[0] = '\0';
    if (!db) {
        snprintf(why, ERR_MESSAGE_BYTES, "it cannot be opened");
        return false;
    }
    int rc = read_one(db, "SELECT count(*) FROM sqlite_schema", &tables, NULL, 0);
    if (rc == SQLITE_OK && tables)
        rc = sum_rows(db, state);
    if (rc == SQLITE_OK && integrity)
        rc = read_one(db, "PRAGMA integrity_check", NULL, damage, sizeof(damage));
    bool ok = rc == SQLITE_OK && strcmp(damage, "ok") == 0;
    if (!ok)
        snprintf(why, ERR_MESSAGE_BYTES, "%s", rc == SQLITE_OK ? damage : sqlite3_errmsg(db));
    sqlite3_close(db);
    return ok;
}

// ---- a trial

static inline void trial_begin(struct trial *t, uint64_t seed)
{
    t->seed = seed;
    t->dice = seed * 2 + 1;
    place_make_light(&t->place);
    place_path(&t->place, "db", t->path);
    disk_init(&t->live);
    disk_init(&t->image);
    disk_init(&t->next);
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);  // a lock for each allocation; refused if too late
    vfs_install();
    vfs_mount(&t->live);
}

static inline void trial_end(struct trial *t)
{
    vfs_remove();
    disk_release(&t->live);
    disk_release(&t->image);
    disk_release(&t->next);
    recording_release(&t->recording);
    place_remove(&t->place);
}

// An empty disk, or the one that a cut left.
static inline void trial_record(struct trial *t, bool go_on)
{
    recording_release(&t->recording);
    disk_clear(&t->live);
    for (int i = 0; go_on && i < NAMES; i++)
        if (t->next.names[i] >= 0)
            blob_copy(&t->live.inodes[disk_create(&t->live, (enum disk_name)i)],
                      &t->next.inodes[t->next.names[i]]);
    vfs_mount(&t->live);
    disk_record(&t->live, &t->recording);
    t->figures.recordings++;
}

static inline void trial_recorded(struct trial *t)
{
    t->live.recording = NULL;
    t->next_at = roll_below(&t->dice, t->recording.len + 1);
    t->has_next = false;
}

__attribute__((format(printf, 3, 4))) static inline void
wrong(struct trial *t, const struct cutter *c, const char *fmt, ...)
{
    va_list ap;
    if (t->figures.details++ >= DETAILS)
        return;
    va_start(ap, fmt);
    fprintf(stderr, "recording %llu, cut after %zu of %zu (seed %llu): ",
            (unsigned long long)t->figures.recordings, c->at, c->recording->len,
            (unsigned long long)t->seed);
    vfprintf(stderr, fmt, ap);
    fprintf(stderr, "\n");
    va_end(ap);
}

// The newest state that looks so; SIZE_MAX: none.
static inline size_t find_state(const struct trial *t, uint64_t hash)
{
    for (size_t i = t->states_len; i-- > 0;)
        if (t->states[i] == hash)
            return i;
    return SIZE_MAX;
}

// Judges the mounted disk. Its state, SIZE_MAX: none.
static inline size_t judge(struct trial *t, const struct cutter *c, size_t notes, size_t required)
{
    struct figures *f = &t->figures;
    char why[ERR_MESSAGE_BYTES];
    uint64_t hash;
    for (size_t i = 0; i < notes; i++)
        f->acked += t->acks[i] > 0;
    if (!read_state(t, f->cuts++ % INTEGRITY_ONE_IN == 0, &hash, why)) {
        f->corrupt++;
        wrong(t, c, "%s", why);
        return SIZE_MAX;
    }
    size_t state = find_state(t, hash);
    if (state == SIZE_MAX) {
        f->half++;
        wrong(t, c, "the records are in no state that they ever were in");
        return SIZE_MAX;
    }
    for (size_t i = 0; state < required && i < notes; i++)
        f->lost += t->acks[i] > state;
    if (state < required)
        wrong(t, c, "in state %zu, acknowledged was %zu", state, required);
    return state;
}

static inline void keep_next(struct trial *t, size_t state, size_t notes)
{
    disk_clear(&t->next);
    for (int i = 0; i < NAMES; i++)
        if (t->image.names[i] >= 0)
            blob_copy(&t->next.inodes[disk_create(&t->next, (enum disk_name)i)],
                      &t->image.inodes[t->image.names[i]]);
    t->next_state = state;
    t->next_notes = notes;
    t->has_next = true;
}

static inline void cut_here(struct trial *t, struct cutter *c, size_t notes, size_t required)
{
    struct fate fate = roll_fate(c);
    cutter_cut(c, &fate, &t->image);
    vfs_mount(&t->image);
    size_t state = judge(t, c, notes, required);
    if (state == SIZE_MAX || state < required)
        return;
    if (c->at == t->next_at)
        keep_next(t, state, notes);
    if (t->look && t->figures.cuts % t->look_one_in == 0) {
        t->figures.reopened++;
        t->look(t, state, notes);
    }
}

// Cuts at every place of the recording, `times` times where anything is unsynced. Ends early when
// there are enough or the time comes.
static inline void trial_cut(struct trial *t, unsigned times, uint64_t cuts_max, int64_t until_us)
{
    static struct cutter c;
    size_t notes = 0, required = 0;
    cutter_init(&c, &t->recording, roll(&t->dice));
    c.lies = t->lies;
    c.harms_pages = t->harms_pages;
    do {
        const struct disk_event *e = c.at ? &t->recording.events[c.at - 1] : NULL;
        if (e && e->kind == EVENT_NOTE) {
            if (e->at != notes)
                give_up("note %zu is not in its place", e->at);
            if (t->acks[notes] > required)
                required = t->acks[notes];
            notes++;
        }
        for (unsigned i = 0; i < (c.unsynced ? times : 1); i++)
            cut_here(t, &c, notes, required);
    } while (t->figures.cuts < cuts_max && now_us() < until_us && cutter_step(&c));
    cutter_release(&c);
}

static inline void trial_tell(const struct trial *t, const char *what)
{
    const struct figures *f = &t->figures;
    summary("power cuts: %s: %llu cuts in %llu recordings, %llu acknowledged, lost %llu, half "
            "%llu, corrupt %llu (%llu opened anew and worked on, seed %llu)",
            what, (unsigned long long)f->cuts, (unsigned long long)f->recordings,
            (unsigned long long)f->acked, (unsigned long long)f->lost, (unsigned long long)f->half,
            (unsigned long long)f->corrupt, (unsigned long long)f->reopened,
            (unsigned long long)t->seed);
}

#endif
