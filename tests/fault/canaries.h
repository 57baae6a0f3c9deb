// SPDX-License-Identifier: MIT
// canaries.h: words that were said by one user and nobody else, in every place that a
// conversation has; and the search for them: in files as they are, and in stores as who has a
// keyring reads them.
//
// Header only; one thread.
#ifndef TESTS_FAULT_CANARIES_H
#define TESTS_FAULT_CANARIES_H

#include "fault/damage.h"
#include "ledger/kinds.h"
#include "memory/segment.h"

enum {
    CANARIES = 121,
    CANARY_BYTES = 24,
    // Which canary is where.
    CANARY_USER = 0,
    CANARY_KEYS = 1,          // idempotency keys: digests alone are kept, of these
    CANARY_KEYS_END = 11,
    CANARY_CONTEXTS = 11,
    CANARY_CONSTRAINTS = 14,
    CANARY_IMPORTS = 24,      // a conversation with a tool call and its result each: three canaries
    CANARY_MESSAGES = 39,
    CANARY_MESSAGES_END = 100,
    CANARY_MAILS = 100,       // addresses: masked in what is said, and kept as originals
    CANARY_STATES = 110,      // what the policy noted of a session
    CANARY_HUMAN = 120,       // and keeps in core memory
    SESSION_IDS_MAX = 32,
    VECTOR_MARKS = 10,
    VECTOR_MARK_BYTES = 4096,
};
static const char bird[] = "canary";

// "canary", two letters for its number, ten of the seed's, and a letter that no stemmer takes off.
static inline const char *canary(uint64_t seed, unsigned n, char out[CANARY_BYTES])
{
    struct chance c = {seed + n};
    snprintf(out, CANARY_BYTES, "%s%c%c", bird, 'a' + n / 26, 'a' + n % 26);
    for (size_t i = strlen(out), end = i + 10; i < end; i++) {
        out[i] = (char)('b' + draw(&c, 20));
        out[i + 1] = '\0';
    }
    return strcat(out, "q");
}

// Embeddings of what the user said, as they are kept: bytes that are nobody else's.
struct vector_marks {
    unsigned len, bytes;            // so many, of so many bytes each
    char all[VECTOR_MARKS][VECTOR_MARK_BYTES];
};

struct sighting {
    const struct vector_marks *marks;  // to look for; borrowed, NULL: none
    struct vector_marks *learnt;       // to be filled from the user's records; NULL: not
    uint64_t vectors;                  // copies of marks
    uint64_t of_kind[RECORD_KINDS];    // the user's records that can be read
    uint64_t in_kind[RECORD_KINDS];    // canaries in them
    uint64_t copies, records;       // of canaries; of the erased user's partition
    bool seen[CANARIES];
    uint64_t ids, key_lines;        // names of the user's sessions; the wrapped key as it was
};

static inline unsigned seen_canaries(const struct sighting *s)
{
    unsigned n = 0;
    for (unsigned i = 0; i < CANARIES; i++)
        n += s->seen[i];
    return n;
}

static inline void look_for(struct sighting *s, uint64_t seed, struct slice bytes)
{
    const char *at = bytes.ptr, *end = bytes.ptr + bytes.len;
    char expected[CANARY_BYTES];
    while (at && at < end && (at = memmem(at, (size_t)(end - at), bird, strlen(bird)))) {
        const char *number = at + strlen(bird);
        at = number;
        if (end - number < 2 || number[0] < 'a' || number[1] < 'a')
            continue;
        unsigned n = (unsigned)(number[0] - 'a') * 26 + (unsigned)(number[1] - 'a');
        if (n >= CANARIES)
            continue;
        canary(seed, n, expected);
        size_t len = strlen(expected);
        const char *start = number - strlen(bird);
        if ((size_t)(end - start) >= len && memcmp(start, expected, len) == 0) {
            s->copies++;
            s->seen[n] = true;
        }
    }
}

static inline uint64_t copies_of_bytes(struct slice bytes, struct slice word)
{
    uint64_t n = 0;
    const char *at = bytes.ptr, *end = bytes.ptr + bytes.len;
    while (word.len && at && (at = memmem(at, (size_t)(end - at), word.ptr, word.len))) {
        at += word.len;
        n++;
    }
    return n;
}

static inline uint64_t copies_of(struct slice bytes, const char *word)
{
    return copies_of_bytes(bytes, slice_str(word));
}

static inline void look_for_vectors(struct sighting *s, struct slice bytes)
{
    for (unsigned i = 0; s->marks && i < s->marks->len; i++)
        s->vectors += copies_of_bytes(bytes, slice_of(s->marks->all[i], s->marks->bytes));
}

// The vectors of a segment of the index, if this is one.
static inline void learn_vectors(struct vector_marks *m, struct slice bytes)
{
    struct segment *segment;
    char *copy = mem_alloc(bytes.len + 1);
    memcpy(copy, bytes.ptr, bytes.len);
    if (segment_parse(&segment, copy, bytes.len, NULL))
        return;
    if (segment->dims <= VECTOR_MARK_BYTES)
        m->bytes = segment->dims;
    for (uint32_t i = 0; i < segment->vectors_len && m->len < VECTOR_MARKS; i++)
        memcpy(m->all[m->len++], segment->vectors + (size_t)i * m->bytes, m->bytes);
    segment_free(segment);
}

// ---- stores, as who has a keyring reads them

struct reading {
    struct store *store;
    struct vault *vault;
    struct loop *loop;
    struct sighting *s;
    uint64_t seed;
    const char *partition;          // the erased user's
};

static inline void reading_op_done(struct store_op *op)
{
    loop_stop(op->loop);
}

static inline void reading_key_done(struct vault_request *request)
{
    loop_stop(request->loop);
}

static inline void reading_op(struct reading *r, struct store_op *op)
{
    op->loop = r->loop;
    op->done = reading_op_done;
    store_submit(r->store, op);
    loop_run(r->loop);
    if (op->code)
        give_up("reading a copy: %s", op->err.message);
}

static inline const struct user_key *reading_key(struct reading *r, const char *partition)
{
    struct vault_request request = {.loop = r->loop, .done = reading_key_done};
    snprintf(request.partition, sizeof(request.partition), "%.32s", partition);
    vault_user_key(r->vault, &request);
    loop_run(r->loop);
    return request.code ? NULL : request.key;
}

static inline void read_body(struct reading *r, bool theirs, struct slice key, struct slice text)
{
    uint64_t before = r->s->copies;
    unsigned kind = record_kind_of(key);
    look_for(r->s, r->seed, text);
    look_for_vectors(r->s, text);
    if (theirs) {
        r->s->of_kind[kind]++;
        r->s->in_kind[kind] += r->s->copies - before;
    }
    if (theirs && r->s->learnt && slice_starts(key, SLICE_LIT("recall/")))
        learn_vectors(r->s->learnt, text);
}

static inline void read_partition(struct reading *r, const char *partition)
{
    const struct user_key *key = partition[0] == '~' ? NULL : reading_key(r, partition);
    struct buf after = BUF_INIT(RECORD_KEY_BYTES_MAX);
    bool more = true;
    while (more) {
        struct store_op op = {.verb = STORE_SCAN, .partition = slice_str(partition),
                              .after = buf_slice(&after), .limit = 100};
        reading_op(r, &op);
        for (uint32_t i = 0; i < op.rows_len; i++) {
            const struct record *row = &op.rows[i];
            struct vault_place place = vault_place_of(row);
            struct safe_buf body;
            safe_buf_init(&body, 8 << 20);
            r->s->records += strcmp(partition, r->partition) == 0;
            look_for(r->s, r->seed, row->key);
            look_for(r->s, r->seed, row->meta);
            if (key && !vault_unseal(r->vault, key, &place, row->body, &body, NULL))
                read_body(r, strcmp(partition, r->partition) == 0, row->key,
                          safe_slice(safe_buf_text(&body)));
            safe_buf_release(&body);
        }
        more = op.more && op.rows_len;
        if (op.rows_len) {
            buf_clear(&after);
            buf_add_slice(&after, op.rows[op.rows_len - 1].key);
        }
        store_op_release(&op);
    }
    buf_release(&after);
}

static inline void quiet_log(void *user, enum log_level level, const char *line)
{
    (void)user;
    (void)level;
    (void)line;
}

// All records of a store, which is changed by being opened: give a copy.
static inline void read_store(const char *db, const char *keyring, uint64_t seed,
                              const char *partition, struct sighting *s)
{
    struct log log = {quiet_log, NULL, LOG_ERROR};
    struct store_env env = {.clock = clock_system(), .rand = rand_system(), .log = &log};
    struct vault_options options = {
        .path = keyring, .rand = rand_system(), .log = &log, .existing = true};
    struct reading r = {.s = s, .seed = seed, .partition = partition};
    struct err err = ERR_INIT;
    char url[NAME_BYTES + 8];
    snprintf(url, sizeof(url), "sqlite:%s", db);
    if (store_open(&r.store, url, &env, &err) || vault_open(&r.vault, &options, &err) ||
        loop_new(&r.loop, clock_system(), &err))
        give_up("opening a copy: %s", err.message);
    struct store_op op = {.verb = STORE_PARTITIONS, .limit = 1000};
    reading_op(&r, &op);
    for (uint32_t i = 0; i < op.rows_len; i++) {
        char name[STORE_PARTITION_BYTES_MAX + 1];
        snprintf(name, sizeof(name), "%.*s", SLICE_FMT(op.rows[i].partition));
        read_partition(&r, name);
    }
    store_op_release(&op);
    loop_free(r.loop);
    vault_free(r.vault);
    store_free(r.store);
}

#endif
