// SPDX-License-Identifier: MIT
// A store whose records are sealed as an older parley did, without their meta: it is not opened,
// and `parley migrate` seals it anew, also after it was broken off.
#include "fault/harness.h"

#include "vault/vault_int.h"

#include <sqlite3.h>

enum { TURNS = 3, OLD_FORMAT = 1 };

struct stage {
    struct place place;
    struct vault *vault;
    sqlite3 *db;
    char session[64];
};

static int open_engine(const struct stage *g, parley **out, parley_error *error)
{
    struct engine_wish wish = {0};
    return place_open(&g->place, &wish, out, error);
}

static void talk(struct stage *g)
{
    parley_error error = PARLEY_ERROR_INIT;
    parley *e;
    assert_int_equal(open_engine(g, &e, &error), 0);
    for (int n = 1; n <= TURNS; n++) {
        parley_message m = PARLEY_MESSAGE_INIT;
        char text[32];
        uint64_t request;
        snprintf(text, sizeof(text), "Hello #%d%s", n, n == 2 ? ", long" : "");
        m.user = "ann";
        m.text = text;
        m.session = n > 1 ? g->session : NULL;
        m.key = text;
        assert_int_equal(parley_send(e, &m, &request, &error), 0);
        parley_event *event = wait_end(e, NULL);
        assert_int_equal(event->type, PARLEY_EVENT_DONE);
        snprintf(g->session, sizeof(g->session), "%s", event->session);
        parley_event_free(event);
    }
    parley_close(e);
}

// ---- the old format

// What vault.h says of format 1: the meta is not bound, and without a body there is no envelope.
static void seal_old(struct stage *g, const struct record *r, struct buf *out)
{
    char partition[VAULT_DIGEST_BYTES] = "", header[6] = {OLD_FORMAT};
    struct vault_place place = vault_place_of(r);
    struct safe_buf text;
    struct buf bound = BUF_INIT(1024);
    unsigned char nonce[NONCE_BYTES];

    memcpy(partition, r->partition.ptr, r->partition.len);
    const struct user_key *k = vault_find_key(g->vault, partition);
    assert_non_null(k);
    safe_buf_init(&text, 1 << 20);
    assert_int_equal(vault_unseal(g->vault, k, &place, r->body, &text, NULL), E_OK);
    struct safe_text t = safe_buf_text(&text);
    buf_clear(out);
    for (int i = 0; i < 4; i++)
        header[2 + i] = (char)(k->data.id >> (24 - 8 * i));
    buf_add(&bound, header, sizeof(header));
    buf_add_slice(&bound, r->partition);
    buf_add_char(&bound, '\0');
    buf_add_slice(&bound, r->key);
    if (t.len) {
        randombytes_buf(nonce, sizeof(nonce));
        buf_add(out, header, sizeof(header));
        buf_add(out, (const char *)nonce, sizeof(nonce));
        char *to = buf_reserve(out, t.len + TAG_BYTES);
        assert_non_null(to);
        crypto_aead_xchacha20poly1305_ietf_encrypt(
            (unsigned char *)to, NULL, (const unsigned char *)t.ptr, t.len,
            (const unsigned char *)bound.ptr, bound.len, NULL, nonce, k->data.secret);
        buf_grew(out, t.len + TAG_BYTES);
    }
    safe_buf_release(&text);
    buf_release(&bound);
}

static struct slice column(sqlite3_stmt *st, int at)
{
    return slice_of(sqlite3_column_blob(st, at), (size_t)sqlite3_column_bytes(st, at));
}

// Every `one_in`-th record; 1: all.
static void make_old(struct stage *g, unsigned one_in)
{
    char path[NAME_BYTES], id[VAULT_DIGEST_BYTES], meta[128];
    struct vault_options options = {.path = place_path(&g->place, "parley.keys", path),
                                    .rand = rand_system(), .no_thread = true};
    struct buf body = BUF_INIT(1 << 20);
    sqlite3_stmt *rows, *update;
    assert_int_equal(vault_open(&g->vault, &options, NULL), E_OK);
    assert_int_equal(sqlite3_open(place_path(&g->place, "db", path), &g->db), SQLITE_OK);
    sqlite3_prepare_v2(g->db, "SELECT p.name, r.key, r.meta, r.body, r.id FROM records r JOIN "
                       "partitions p ON p.id = r.partition_id WHERE p.name NOT LIKE '~%'", -1,
                       &rows, NULL);
    sqlite3_prepare_v2(g->db, "UPDATE records SET body = ?1 WHERE id = ?2", -1, &update, NULL);
    for (unsigned n = 0; sqlite3_step(rows) == SQLITE_ROW; n++) {
        struct record r = {.partition = column(rows, 0), .key = column(rows, 1),
                           .meta = column(rows, 2), .body.bytes = column(rows, 3)};
        if (n % one_in)
            continue;
        seal_old(g, &r, &body);
        sqlite3_bind_blob(update, 1, body.len ? body.ptr : "", (int)body.len, SQLITE_STATIC);
        sqlite3_bind_int64(update, 2, sqlite3_column_int64(rows, 4));
        assert_int_equal(sqlite3_step(update), SQLITE_DONE);
        sqlite3_reset(update);
    }
    sqlite3_finalize(rows);
    vault_digest(g->vault, "keyring", NULL, 0, id);
    snprintf(meta, sizeof(meta), "{\"id\":\"%s\"}", id);
    sqlite3_finalize(update);
    sqlite3_prepare_v2(g->db, "UPDATE records SET meta = ?1 WHERE key = 'keyring'", -1, &update,
                       NULL);
    sqlite3_bind_text(update, 1, meta, -1, SQLITE_STATIC);
    assert_int_equal(sqlite3_step(update), SQLITE_DONE);
    sqlite3_finalize(update);
    sqlite3_close(g->db);
    vault_free(g->vault);
    buf_release(&body);
}

// ---- migrating

static void migrate(const struct stage *g, int dry_run, const char *says)
{
    char store[NAME_BYTES + 8];
    parley_options options = PARLEY_OPTIONS_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    char *report = NULL;
    snprintf(store, sizeof(store), "sqlite:%s/db", g->place.dir);
    options.config = "";
    options.no_environment = 1;
    options.store = store;
    assert_int_equal(parley_migrate(&options, dry_run, &report, &error), 0);
    assert_non_null(report);
    if (!strstr(report, says))
        print_error("expected \"%s\" in: %s\n", says, report);
    assert_non_null(strstr(report, says));
    parley_free(report);
}

static void assert_refused(const struct stage *g)
{
    parley_error error = PARLEY_ERROR_INIT;
    parley *e = NULL;
    assert_int_equal(open_engine(g, &e, &error), PARLEY_E_STORE);
    assert_non_null(strstr(error.message, "parley migrate"));
}

static void assert_as_it_was(const struct stage *g)
{
    char expected[REPLY_BYTES];
    parley_error error = PARLEY_ERROR_INIT;
    parley *e;
    assert_int_equal(open_engine(g, &e, &error), 0);
    assert_int_equal(verify_problems(e), 0);
    parley_event *event = ask_show(e, "ann", g->session);
    for (unsigned n = 1; n <= TURNS; n++) {
        reply_expected(n, n == 2, expected);
        assert_non_null(strstr(event->json, expected));
    }
    parley_event_free(event);
    parley_close(e);
}

static void check(unsigned one_in, const char *says)
{
    struct stage g = {0};
    place_make_light(&g.place);
    talk(&g);
    make_old(&g, one_in);
    assert_refused(&g);
    migrate(&g, 1, "records are to be sealed anew");
    assert_refused(&g);
    migrate(&g, 0, says);
    assert_as_it_was(&g);
    migrate(&g, 0, "nothing to do");
    assert_as_it_was(&g);
    place_remove(&g.place);
}

static void test_migrate__an_older_store_is_sealed_anew(void **state)
{
    (void)state;
    check(1, "records sealed anew");
}

// Some of its records are sealed anew already, the house record is not.
static void test_migrate__goes_on_where_it_was_broken_off(void **state)
{
    (void)state;
    check(3, "records sealed anew");
}

// Its records are as they should be: only which store it is was not said.
static void test_migrate__a_store_gets_a_number(void **state)
{
    struct slice format = SLICE_LIT("2");
    char path[NAME_BYTES], sql[256], id[VAULT_DIGEST_BYTES];
    struct stage g = {0};
    (void)state;
    place_make_light(&g.place);
    talk(&g);
    struct vault_options options = {.path = place_path(&g.place, "parley.keys", path),
                                    .rand = rand_system(), .existing = true};
    assert_int_equal(vault_open(&g.vault, &options, NULL), E_OK);
    vault_digest(g.vault, "keyring", &format, 1, id);
    vault_free(g.vault);
    snprintf(sql, sizeof(sql), "UPDATE records SET meta = '{\"id\":\"%s\"}' WHERE key = 'keyring'",
             id);
    assert_int_equal(sqlite3_open(place_path(&g.place, "db", path), &g.db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(g.db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(g.db);
    assert_refused(&g);
    migrate(&g, 1, "is to get a number");
    assert_refused(&g);
    migrate(&g, 0, "has a number");
    assert_as_it_was(&g);
    migrate(&g, 0, "nothing to do");
    place_remove(&g.place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_migrate__an_older_store_is_sealed_anew),
        cmocka_unit_test(test_migrate__goes_on_where_it_was_broken_off),
        cmocka_unit_test(test_migrate__a_store_gets_a_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
