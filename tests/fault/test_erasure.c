// SPDX-License-Identifier: MIT
// Erasure (FAULTS 25 and 28): 121 canaries in everything that a user can say or be, in what is
// masked of it, and in what a policy notes, and the embeddings of what was said: found before;
// then the user is erased, and the process is killed before and after each operation on the store,
// before each step on the keyring, and at any microsecond. The next engine that opens the store
// finishes it before it serves anybody, and then there is no canary and no record of the user in
// the store's files, the keyring, what others are told, or a backup from before that is put back;
// nor can a copy of the keyring from before open anything that is still there.
//
// A trial puts the files back as they were, has a child erase the user, which is killed on the way,
// opens an engine, and looks.
#include "fault/canaries.h"

#include <sqlite3.h>

enum {
    MESSAGES = CANARY_MESSAGES_END - CANARY_MESSAGES,
    MAILS_AT = 30,      // the messages with an address, and those of which a state is noted
    STATES_AT = 40,
    OTHERS_TURNS = MESSAGES,
    FILES = 5,
    LINE_MAX_BYTES = 1024,
};
static const char *const files[FILES] = {"db", "db-wal", "parley.keys", "backup",
                                          "parley.keys.audit"};
static const char other[] = "somebody-else";

struct harness {
    struct place place;
    uint64_t seed;
    char user[CANARY_BYTES];
    char partition[VAULT_DIGEST_BYTES];
    char key_line[LINE_MAX_BYTES];              // the user's, as it was in the keyring
    char ids[SESSION_IDS_MAX][ID_TEXT_BYTES];   // the user's sessions
    unsigned ids_len;
    struct vector_marks marks;
    char *bytes[FILES];                         // as they were
    size_t bytes_len[FILES];
    // of a trial
    unsigned step, steps_seen;                  // which step on the keyring kills; 0: none
};

// ---- what is there before

static parley *open_engine(struct harness *h, const struct engine_wish *wish)
{
    parley_error error = PARLEY_ERROR_INIT;
    struct engine_wish embeds = *wish;
    parley *e;
    embeds.settings[0] = "embeddings.provider=scripted";
    if (place_open(&h->place, &embeds, &e, &error) < 0)
        give_up("engine: %s", error.message);
    return e;
}

static void expect_fine(parley_event *event, const char *what)
{
    if (event->type == PARLEY_EVENT_ERROR || event->code)
        give_up("%s: %s", what, event->text);
    parley_event_free(event);
}

static void say(parley *e, const char *user, const char *text, const char *context,
                const char *key)
{
    parley_message m = PARLEY_MESSAGE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request;
    m.flags = PARLEY_CONTINUE;
    m.user = user;
    m.text = text;
    m.context = context;
    m.key = key;
    if (parley_send(e, &m, &request, &error) < 0)
        give_up("send: %s", error.message);
    expect_fine(wait_end(e, NULL), "a turn");
}

static void constrain(struct harness *h, parley *e, const char *text)
{
    parley_scope scope = PARLEY_SCOPE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request;
    scope.flags = PARLEY_CONTINUE;
    scope.user = h->user;
    if (parley_constrain(e, &scope, text, &request, &error) < 0)
        give_up("constrain: %s", error.message);
    expect_fine(wait_end(e, NULL), "a constraint");
}

static void import(struct harness *h, parley *e, unsigned n)
{
    char a[CANARY_BYTES], b[CANARY_BYTES], c[CANARY_BYTES], json[2048];
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request;
    canary(h->seed, n, a);
    canary(h->seed, n + 1, b);
    canary(h->seed, n + 2, c);
    int len = snprintf(json, sizeof(json),
                       "{\"user\":\"%s\",\"id\":\"import-%u\",\"messages\":["
                       "{\"role\":\"user\",\"content\":\"Look up %s.\"},"
                       "{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":\"t1\","
                       "\"name\":\"look\",\"input\":{\"what\":\"%s\"}}]},"
                       "{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\","
                       "\"tool_use_id\":\"t1\",\"content\":\"it is %s\"}]},"
                       "{\"role\":\"assistant\",\"content\":\"There it is.\"}]}", h->user, n, a, b,
                       c);
    if (parley_import(e, json, (size_t)len, &request, &error) < 0)
        give_up("import: %s", error.message);
    expect_fine(wait_end(e, NULL), "an import");
}

static void fill(struct harness *h)
{
    struct engine_wish wish = {0};
    char word[CANARY_BYTES], context[CANARY_BYTES], text[512];
    parley *e = open_engine(h, &wish);
    for (unsigned i = 0; i < MESSAGES; i++) {
        bool keyed = i < CANARY_KEYS_END - CANARY_KEYS;
        bool apart = i >= 20 && i < 20 + CANARY_CONSTRAINTS - CANARY_CONTEXTS;
        snprintf(text, sizeof(text), "The word of day %u is %s, Mr. Tulip.", i,
                 canary(h->seed, CANARY_MESSAGES + i, word));
        if (i >= MAILS_AT && i < MAILS_AT + CANARY_STATES - CANARY_MAILS)
            snprintf(text + strlen(text), sizeof(text) - strlen(text), " Write to %s@example.org.",
                     canary(h->seed, CANARY_MAILS + i - MAILS_AT, word));
        if (apart)
            canary(h->seed, CANARY_CONTEXTS + i - 20, context);
        char key[CANARY_BYTES];
        say(e, h->user, text, apart ? context : "",
            keyed ? canary(h->seed, CANARY_KEYS + i, key) : NULL);
        // So that no page of the file is the user's alone.
        say(e, other, "Somebody else's words.", "", NULL);
    }
    for (unsigned i = CANARY_CONSTRAINTS; i < CANARY_IMPORTS; i++) {
        snprintf(text, sizeof(text), "Never say %s.", canary(h->seed, i, word));
        constrain(h, e, text);
    }
    for (unsigned i = CANARY_IMPORTS; i < CANARY_MESSAGES; i += 3)
        import(h, e, i);
    parley_close(e);
}

static char *read_file(const struct harness *h, const char *name, size_t *len)
{
    char path[NAME_BYTES];
    return read_whole(place_path(&h->place, name, path), len);
}

static void options_of(struct harness *h, parley_options *o, char store[NAME_BYTES + 8])
{
    snprintf(store, NAME_BYTES + 8, "sqlite:%s/db", h->place.dir);
    *o = (parley_options)PARLEY_OPTIONS_INIT;
    o->config = "";
    o->no_environment = 1;
    o->store = store;
}

static void back_up(struct harness *h)
{
    char store[NAME_BYTES + 8], path[NAME_BYTES], *report = NULL;
    parley_copy_options how = PARLEY_COPY_OPTIONS_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    parley_options o;
    options_of(h, &o, store);
    if (parley_backup(&o, &how, place_path(&h->place, "backup", path), &report, &error) < 0)
        give_up("backup: %s", error.message);
    parley_free(report);
}

// The user's partition is the one with the most records; its key's line is in the keyring.
static void learn(struct harness *h)
{
    size_t len;
    char path[NAME_BYTES], *keys = read_file(h, "parley.keys", &len);
    sqlite3_stmt *st = NULL;
    sqlite3 *db = NULL;
    keys[len] = '\0';
    if (sqlite3_open(place_path(&h->place, "backup", path), &db) != SQLITE_OK ||
        sqlite3_prepare_v2(db, "SELECT p.name, substr(s.key, 9) FROM partitions p JOIN records s "
                           "ON s.partition_id = p.id AND s.key LIKE 'session/%' WHERE p.id = "
                           "(SELECT partition_id FROM records GROUP BY partition_id "
                           "ORDER BY count(*) DESC LIMIT 1)", -1, &st, NULL) != SQLITE_OK)
        give_up("learning: %s", sqlite3_errmsg(db));
    while (sqlite3_step(st) == SQLITE_ROW && h->ids_len < SESSION_IDS_MAX) {
        snprintf(h->partition, sizeof(h->partition), "%s", sqlite3_column_text(st, 0));
        snprintf(h->ids[h->ids_len++], ID_TEXT_BYTES, "%s", sqlite3_column_text(st, 1));
    }
    sqlite3_finalize(st);
    sqlite3_close(db);
    const char *at = strstr(keys, h->partition);
    if (!at || h->ids_len < 5)
        give_up("no such user, or too few sessions: %u", h->ids_len);
    snprintf(h->key_line, sizeof(h->key_line), "%.*s", (int)strcspn(at, "\n"), at);
    free(keys);
}

static void harness_down(struct harness *h)
{
    for (unsigned i = 0; i < FILES; i++)
        free(h->bytes[i]);
    place_remove(&h->place);
}

static void put_back(struct harness *h)
{
    char path[NAME_BYTES];
    place_clean(&h->place);
    unlink(place_path(&h->place, "parley.keys.audit", path));
    for (unsigned i = 0; i < FILES; i++)
        if (h->bytes[i])
            write_whole(place_path(&h->place, files[i], path), h->bytes[i], h->bytes_len[i]);
}

// ---- looking

// The files as they are, and what a file was at its name before.
static void look_at_files(struct harness *h, struct sighting *s)
{
    static const char *const all[] = {"db", "db-wal", "db-shm", "db-lock", "parley.keys",
                                      "parley.keys.lock", "parley.keys.audit", "export", "log"};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        size_t len;
        char *bytes = read_file(h, all[i], &len);
        struct slice s_bytes = slice_of(bytes ? bytes : "", len);
        look_for(s, h->seed, s_bytes);
        look_for_vectors(s, s_bytes);
        for (unsigned n = 0; n < h->ids_len; n++)
            s->ids += copies_of(s_bytes, h->ids[n]);
        s->key_lines += copies_of(s_bytes, h->key_line);
        free(bytes);
    }
}

// Nothing seen yet.
static struct sighting sighting_of(const struct harness *h)
{
    return (struct sighting){.marks = &h->marks};
}

// A store and a keyring, copied aside first.
static void look_into(struct harness *h, const char *db, const char *wal, struct slice keyring,
                      struct sighting *s)
{
    struct place aside;
    char from[NAME_BYTES], to[NAME_BYTES], keys[NAME_BYTES], *bytes;
    size_t len;
    place_make_light(&aside);
    bytes = read_whole(place_path(&h->place, db, from), &len);
    write_whole(place_path(&aside, "db", to), bytes, len);
    free(bytes);
    bytes = wal ? read_whole(place_path(&h->place, wal, from), &len) : NULL;
    if (bytes)
        write_whole(place_path(&aside, "db-wal", to), bytes, len);
    free(bytes);
    write_whole(place_path(&aside, "parley.keys", keys), keyring.ptr, keyring.len);
    read_store(place_path(&aside, "db", to), keys, h->seed, h->partition, s);
    place_remove(&aside);
}

static struct slice old_keyring(const struct harness *h)
{
    return slice_of(h->bytes[2], h->bytes_len[2]);
}

// It notes a word of its own at some messages.
static void write_policy(struct harness *h)
{
    char text[2048], word[CANARY_BYTES];
    size_t len = (size_t)snprintf(
        text, sizeof(text), "local history = require \"parley.history\"\nlocal notes = {");
    for (unsigned i = CANARY_STATES; i < CANARY_HUMAN; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "[\"%u\"] = \"%s\", ",
                                STATES_AT + i - CANARY_STATES, canary(h->seed, i, word));
    snprintf(text + len, sizeof(text) - len, "}\n"
             "return { system = \"Be brief.\", history = history.hybrid { keep_turns = 4, "
             "slack_turns = 4, summary_tokens = 400, recall = 2 },\n"
             "privacy = { redact = { \"email\" }, keep_originals = \"30d\" },\n"
             "memory = { predicates = { word = { kind = \"preference\" } },\n"
             "    extract = function(view, turn)\n"
             "        local word = turn.user:match(\" is (%%l+), Mr\")\n"
             "        return word and { { predicate = \"word\", value = word } } or {}\n"
             "    end },\n"
             "on_message = function(view)\n"
             "    local day = view.text:match(\"of day (%%d+)\")\n"
             "    if day == \"1\" then return { memory = { core = { human = \"%s\" } } } end\n"
             "    if notes[day] then return { state = { [\"note\" .. day] = notes[day] } } end\n"
             "end }\n", canary(h->seed, CANARY_HUMAN, word));
    place_write(&h->place, "policies/fault.lua", text);
}

static void harness_up(struct harness *h)
{
    memset(h, 0, sizeof(*h));
    h->seed = fault_seed();
    canary(h->seed, CANARY_USER, h->user);
    place_make_light(&h->place);
    write_policy(h);
    place_write(&h->place, "reply.lua",
                "return function(request)\n"
                "    return \"I heard: \" .. request.messages[#request.messages].text\n"
                "end\n");
    fill(h);
    back_up(h);
    learn(h);
    for (unsigned i = 0; i < FILES; i++)
        h->bytes[i] = read_file(h, files[i], &h->bytes_len[i]);
    struct sighting s = {.learnt = &h->marks};
    look_into(h, "db", "db-wal", old_keyring(h), &s);
}

static void export_to_file(struct harness *h, parley *e, const char *user, FILE *out)
{
    parley_scope scope = PARLEY_SCOPE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    struct buf next = BUF_INIT(4096);
    uint64_t request;
    scope.user = user;
    do {
        struct json_doc doc = JSON_DOC_INIT;
        if (parley_export(e, &scope, next.len ? next.ptr : NULL, &request, &error) < 0)
            give_up("export: %s", error.message);
        parley_event *event = wait_end(e, NULL);
        fputs(event->json, out);
        buf_clear(&next);
        if (event->type == PARLEY_EVENT_RESULT && !json_parse(&doc, slice_str(event->json), 0,
                                                              NULL))
            json_string(json_get(json_root(&doc), "next"), &next);
        json_doc_release(&doc);
        parley_event_free(event);
    } while (next.len);
    buf_release(&next);
    (void)h;
}

struct findings {
    uint64_t trials, killed, before_tombstone, resumed, copies, vectors, records, ids, key_lines,
        back, lost, problems, timed, timed_killed;
};

static void add(struct findings *f, const struct sighting *s)
{
    f->copies += s->copies;
    f->vectors += s->vectors;
    f->records += s->records;
    f->ids += s->ids;
    f->key_lines += s->key_lines;
}

// Who was not erased is as before.
static bool others_are_there(parley *e)
{
    parley_event *event = ask_sessions(e, other);
    struct json_doc doc = JSON_DOC_INIT;
    bool there = false;
    if (event->type == PARLEY_EVENT_RESULT && !json_parse(&doc, slice_str(event->json), 0, NULL))
        there = json_i64(json_get(json_at(json_root(&doc), 0), "turns"), 0) == OTHERS_TURNS;
    json_doc_release(&doc);
    parley_event_free(event);
    return there;
}

static bool has_tombstone(struct harness *h)
{
    size_t len;
    char *keys = read_file(h, "parley.keys", &len);
    bool there = false;
    keys[len] = '\0';
    for (char *at = keys; (at = strstr(at, "\nerased ")); at++)
        there |= memmem(at, 1 + strcspn(at + 1, "\n"), h->partition, strlen(h->partition)) != NULL;
    free(keys);
    return there;
}

// All that is said above, of the files as they are.
static void look_everywhere(struct harness *h, struct findings *f)
{
    struct sighting s = sighting_of(h);
    size_t len;
    char *keys = read_file(h, "parley.keys", &len);
    look_at_files(h, &s);
    look_into(h, "db", "db-wal", old_keyring(h), &s);
    add(f, &s);
    s = sighting_of(h);
    look_into(h, "backup", NULL, slice_of(keys, len), &s);
    f->back += s.copies + s.vectors;
    free(keys);
}

// ---- a trial: the child that is killed

static void keyring_step(void *user, const char *step)
{
    struct harness *h = user;
    (void)step;
    if (++h->steps_seen == h->step)
        kill(getpid(), SIGKILL);
}

static void erase_user(struct harness *h, const char *store, unsigned step)
{
    const struct engine_seams seams = {.keyring_step = keyring_step, .user = h};
    struct engine_wish wish = {.store = store, .seams = &seams};
    parley_scope scope = PARLEY_SCOPE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request;
    h->step = step;
    h->steps_seen = 0;
    parley *e = open_engine(h, &wish);
    scope.user = h->user;
    if (parley_erase(e, &scope, &request, &error) < 0)
        give_up("erase: %s", error.message);
    expect_fine(wait_end(e, NULL), "an erasure");
    parley_close(e);
}

// True: it was killed. kill_us: after so long, from outside; 0: not.
static bool erase_in_child(struct harness *h, const char *store, unsigned step, int64_t kill_us)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        erase_user(h, store, step);
        _exit(0);
    }
    if (child < 0)
        give_up("fork: %s", strerror(errno));
    if (kill_us) {
        struct timespec wait = {0, kill_us * 1000};
        nanosleep(&wait, NULL);
        kill(child, SIGKILL);
    }
    waitpid(child, &status, 0);
    if (!WIFSIGNALED(status) && WEXITSTATUS(status))
        give_up("the child failed");
    return WIFSIGNALED(status);
}

static void count_log(void *user, parley_log_level level, const char *line)
{
    (void)level;
    fprintf(user, "%s\n", line);
}

static void trial(struct harness *h, const char *store, unsigned step, int64_t kill_us,
                  struct findings *f, bool *killed)
{
    char path[NAME_BYTES];
    put_back(h);
    *killed = erase_in_child(h, store, step, kill_us);
    f->trials++;
    f->killed += *killed;
    FILE *log = fopen(place_path(&h->place, "log", path), "w");
    struct engine_wish wish = {.log = count_log, .user = log};
    bool begun = has_tombstone(h);
    f->before_tombstone += !begun;
    // Opening is enough.
    parley *e = open_engine(h, &wish);
    FILE *export = fopen(place_path(&h->place, "export", path), "w");
    export_to_file(h, e, other, export);
    fclose(export);
    f->lost += !others_are_there(e);
    if (begun)
        f->problems += (uint64_t)verify_problems(e);
    parley_close(e);
    fclose(log);
    f->resumed += begun && *killed;
    if (!begun)
        erase_in_child(h, NULL, 0, 0);
    look_everywhere(h, f);
}

static void each_operation(struct harness *h, struct findings *f)
{
    static const char *const modes[] = {"crash_before", "crash_after"};
    char store[2 * NAME_BYTES];
    for (unsigned mode = 0; mode < 2; mode++) {
        bool killed = true;
        for (unsigned n = 1; killed; n++) {
            snprintf(store, sizeof(store), "faulty:fail_at=%u,mode=%s;sqlite:%s/db", n,
                     modes[mode], h->place.dir);
            trial(h, store, 0, 0, f, &killed);
        }
    }
}

static void each_step(struct harness *h, struct findings *f)
{
    bool killed = true;
    for (unsigned n = 1; killed; n++)
        trial(h, NULL, n, 0, f, &killed);
}

// Until so many were killed. How long an erasure takes is learnt as the machine's load changes: one
// that came through took no longer than that; and a bit more is tried after each that did not.
static void any_microsecond(struct harness *h, struct findings *f, unsigned kills)
{
    struct chance c = {h->seed};
    bool killed;
    put_back(h);
    int64_t from = now_us();
    erase_in_child(h, NULL, 0, 0);
    int64_t whole = now_us() - from;
    while (f->timed_killed < kills && f->timed < 4 * (uint64_t)kills) {
        int64_t kill_us = 1 + (int64_t)draw(&c, (uint64_t)whole);
        trial(h, NULL, 0, kill_us, f, &killed);
        whole = killed ? whole + whole / 64 + 1 : kill_us;
        f->timed++;
        f->timed_killed += killed;
    }
}

// Where the user's canaries are, as who has the keyring reads the store: each place has some.
static void expect_in_each_place(const struct sighting *kept)
{
    static const char *const texts[] = {"turns", "sessions", "summaries", "originals", "recall",
                                        "facts", "core_memory"};
    static const char *const others[] = {"masks", "audit_notes", "message_keys", "attempts",
                                         "memory", "learnt"};
    char said[512] = "";
    for (unsigned kind = 0; kind < RECORD_KINDS; kind++) {
        const char *name = record_kinds[kind].name;
        if (kept->of_kind[kind])
            snprintf(said + strlen(said), sizeof(said) - strlen(said), ", %s %llu/%llu", name,
                     (unsigned long long)kept->in_kind[kind],
                     (unsigned long long)kept->of_kind[kind]);
        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
            if (strcmp(texts[i], name) == 0 && !kept->in_kind[kind])
                give_up("no canary in the %s", name);
        for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
            if (strcmp(others[i], name) == 0 && !kept->of_kind[kind])
                give_up("no %s", name);
    }
    summary("erasure, before: canaries in records, by kind%s; copies of vectors %llu", said,
            (unsigned long long)kept->vectors);
}

// What was there before, as one finds it: by asking, and with the keyring.
static unsigned control_before(struct harness *h)
{
    struct engine_wish wish = {0};
    struct sighting told = {0}, kept = sighting_of(h), raw = sighting_of(h);
    char path[NAME_BYTES];
    size_t len;
    put_back(h);
    look_into(h, "db", "db-wal", old_keyring(h), &kept);
    parley *e = open_engine(h, &wish);
    FILE *export = fopen(place_path(&h->place, "export", path), "w");
    export_to_file(h, e, h->user, export);
    fclose(export);
    parley_close(e);
    char *bytes = read_file(h, "export", &len);
    look_for(&told, h->seed, slice_of(bytes, len));
    free(bytes);
    unlink(place_path(&h->place, "export", path));
    look_at_files(h, &raw);
    unsigned hashed = CANARY_KEYS_END - CANARY_KEYS;
    assert_int_equal(seen_canaries(&kept), CANARIES - hashed);
    assert_int_equal(seen_canaries(&told), CANARIES - hashed);
    assert_int_equal(raw.copies + raw.vectors, 0);  // sealed
    assert_true(kept.vectors >= VECTOR_MARKS);
    expect_in_each_place(&kept);
    assert_true(raw.ids > 0 && raw.key_lines == 1 && kept.records > 2 * MESSAGES);
    return (unsigned)kept.copies;
}

// ---- the tests

static void test_erasure__killed_at_every_phase(void **state)
{
    struct harness *h = *state;
    struct findings f = {0};
    unsigned before = control_before(h);
    each_operation(h, &f);
    each_step(h, &f);
    any_microsecond(h, &f, fault_long() ? 1000 : 15);
    summary("erasure: %llu trials, %llu killed (%llu before the tombstone, %llu resumed by the "
            "next start; %llu of %llu at any microsecond); of %d canaries in %u places: copies "
            "left %llu, of vectors %llu, in a backup from before with the keyring %llu; records "
            "%llu, sessions named %llu, keys %llu; others harmed %llu, problems %llu (seed %llu)",
            (unsigned long long)f.trials, (unsigned long long)f.killed,
            (unsigned long long)f.before_tombstone, (unsigned long long)f.resumed,
            (unsigned long long)f.timed_killed, (unsigned long long)f.timed, CANARIES, before,
            (unsigned long long)f.copies, (unsigned long long)f.vectors,
            (unsigned long long)f.back,
            (unsigned long long)f.records, (unsigned long long)f.ids,
            (unsigned long long)f.key_lines, (unsigned long long)f.lost,
            (unsigned long long)f.problems, (unsigned long long)h->seed);
    assert_true(f.killed > 20 && f.resumed > 5 && f.before_tombstone > 3);
    assert_int_equal(f.copies + f.vectors + f.records + f.ids + f.key_lines, 0);
    assert_int_equal(f.back + f.lost + f.problems, 0);
}

// Backups of every age, put back while the keyring is today's.
static void test_erasure__restored_backup(void **state)
{
    struct harness *h = *state;
    char store[NAME_BYTES + 8], path[NAME_BYTES], *report = NULL;
    parley_copy_options how = PARLEY_COPY_OPTIONS_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    struct sighting s = sighting_of(h);
    struct findings f = {0};
    parley_options o;
    put_back(h);
    erase_in_child(h, NULL, 0, 0);
    options_of(h, &o, store);
    if (parley_restore(&o, &how, place_path(&h->place, "backup", path), &report, &error) < 0)
        give_up("restore: %s", error.message);
    parley_free(report);
    look_at_files(h, &s);
    look_into(h, "db", "db-wal", old_keyring(h), &s);
    add(&f, &s);
    // The file itself, copied into the store's place by hand.
    put_back(h);
    erase_in_child(h, NULL, 0, 0);
    write_whole(place_path(&h->place, "db", path), h->bytes[3], h->bytes_len[3]);
    unlink(place_path(&h->place, "db-wal", path));
    unlink(place_path(&h->place, "db-shm", path));
    struct engine_wish wish = {0};
    parley *e = open_engine(h, &wish);
    f.lost += !others_are_there(e);
    parley_close(e);
    s = sighting_of(h);
    look_at_files(h, &s);
    look_into(h, "db", "db-wal", old_keyring(h), &s);
    add(&f, &s);
    summary("erasure, an old backup put back: copies %llu, records %llu, sessions named %llu, "
            "others harmed %llu (seed %llu)", (unsigned long long)f.copies,
            (unsigned long long)f.records, (unsigned long long)f.ids, (unsigned long long)f.lost,
            (unsigned long long)h->seed);
    assert_int_equal(f.copies + f.vectors + f.records + f.ids + f.key_lines + f.lost, 0);
}

// A turn of the user's that is long, and has begun to be answered.
static void begin_turn(struct harness *h, parley *e)
{
    enum { TEXT_BYTES = 60000 };
    parley_message m = PARLEY_MESSAGE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request;
    char *text = calloc(1, TEXT_BYTES);
    for (size_t i = 0; i < TEXT_BYTES - 1; i++)
        text[i] = i % 6 == 5 ? ' ' : 'x';
    m.user = h->user;
    m.flags = PARLEY_CONTINUE;
    m.text = text;
    if (parley_send(e, &m, &request, &error) < 0)
        give_up("send: %s", error.message);
    parley_event *event = next_event(e);
    while (event->type != PARLEY_EVENT_DELTA && !is_last(event)) {
        parley_event_free(event);
        event = next_event(e);
    }
    assert_int_equal(event->type, PARLEY_EVENT_DELTA);
    parley_event_free(event);
    free(text);
}

static void begin_erasure(struct harness *h, parley *e)
{
    parley_scope scope = PARLEY_SCOPE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request;
    scope.user = h->user;
    assert_int_equal(parley_erase(e, &scope, &request, &error), 0);
}

static void expect_erased(parley_event *event)
{
    assert_int_equal(event->type, PARLEY_EVENT_DONE);
    assert_int_equal(event->code, PARLEY_E_ERASED);
    parley_event_free(event);
}

static void expect_nothing_left(struct harness *h)
{
    struct sighting s = sighting_of(h);
    look_at_files(h, &s);
    look_into(h, "db", "db-wal", old_keyring(h), &s);
    assert_int_equal(s.ids + s.key_lines + s.records + s.copies + s.vectors, 0);
}

// The same engine is answering the user.
static void test_erasure__turn_under_way_here(void **state)
{
    struct harness *h = *state;
    struct engine_wish slow = {.provider = "slow"};
    put_back(h);
    parley *e = open_engine(h, &slow);
    begin_turn(h, e);
    begin_erasure(h, e);
    parley_event *first = wait_end(e, NULL), *second = wait_end(e, NULL);
    bool turn_first = first->type == PARLEY_EVENT_DONE;
    expect_erased(turn_first ? first : second);
    expect_fine(turn_first ? second : first, "an erasure");
    parley_close(e);
    expect_nothing_left(h);
}

// Another process is answering the user.
static void test_erasure__turn_under_way_elsewhere(void **state)
{
    struct harness *h = *state;
    struct engine_wish slow = {.provider = "slow"}, wish = {0};
    put_back(h);
    parley *busy = open_engine(h, &slow), *eraser = open_engine(h, &wish);
    begin_turn(h, busy);
    begin_erasure(h, eraser);
    expect_fine(wait_end(eraser, NULL), "an erasure");
    expect_erased(wait_end(busy, NULL));
    // Who comes back is served by either, as somebody new.
    say(busy, h->user, "I am back.", "", NULL);
    parley_event *event = ask_sessions(eraser, h->user);
    struct json_doc doc = JSON_DOC_INIT;
    assert_int_equal(json_parse(&doc, slice_str(event->json), 0, NULL), E_OK);
    assert_int_equal(json_count(json_root(&doc)), 1);
    assert_int_equal(json_i64(json_get(json_at(json_root(&doc), 0), "turns"), 0), 1);
    json_doc_release(&doc);
    parley_event_free(event);
    parley_close(busy);
    parley_close(eraser);
    expect_nothing_left(h);
}

// Without the destruction of the keys: a backup from before is read.
static void test_erasure__control_keys_kept(void **state)
{
    struct harness *h = *state;
    struct sighting s = sighting_of(h);
    put_back(h);
    erase_in_child(h, NULL, 0, 0);
    look_into(h, "backup", NULL, old_keyring(h), &s);
    summary("control, erased but for the keys: %u of %d canaries in a backup from before (seed "
            "%llu)", seen_canaries(&s), CANARIES, (unsigned long long)h->seed);
    assert_int_equal(seen_canaries(&s), CANARIES - (CANARY_KEYS_END - CANARY_KEYS));
    assert_true(s.vectors >= VECTOR_MARKS);
}

// Without secure_delete: what was deleted is still in the file.
static void test_erasure__control_plain_delete(void **state)
{
    struct harness *h = *state;
    struct sighting s = sighting_of(h);
    char path[NAME_BYTES], sql[512];
    sqlite3 *db = NULL;
    put_back(h);
    snprintf(sql, sizeof(sql), "PRAGMA secure_delete=OFF; DELETE FROM records WHERE partition_id = "
             "(SELECT id FROM partitions WHERE name = '%s')", h->partition);
    assert_int_equal(sqlite3_open(place_path(&h->place, "db", path), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    look_at_files(h, &s);
    summary("control, deleted without secure_delete: sessions named %llu times in the files (seed "
            "%llu)", (unsigned long long)s.ids, (unsigned long long)h->seed);
    assert_true(s.ids > 0);
}

static struct harness the_harness;

static int up(void **state)
{
    harness_up(&the_harness);
    *state = &the_harness;
    return 0;
}

static int down(void **state)
{
    harness_down(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_erasure__killed_at_every_phase),
        cmocka_unit_test(test_erasure__restored_backup),
        cmocka_unit_test(test_erasure__turn_under_way_here),
        cmocka_unit_test(test_erasure__turn_under_way_elsewhere),
        cmocka_unit_test(test_erasure__control_keys_kept),
        cmocka_unit_test(test_erasure__control_plain_delete),
    };
    return cmocka_run_group_tests(tests, up, down);
}
