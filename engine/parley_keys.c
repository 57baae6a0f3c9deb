// SPDX-License-Identifier: MIT
// parley_keys.c: keyrings made, looked at and rotated. Needs no engine; others may be serving from
// the same store. Blocking; one thread.
#include "parley_int.h"

#include "base/id.h"
#include "jobs/reseal.h"
#include "ledger/trail.h"

#include <sys/stat.h>
#include <unistd.h>

enum { WAIT_MS = 60 * 1000 };  // for other processes to take up new keys

struct keys_work {
    struct settings settings;
    struct buf path;               // the keyring's
    struct vault *vault;
    struct store *store;           // NULL: there is none yet
    struct loop *loop;
    struct err *err;
};

// ---- opening

static int open_settings(struct keys_work *w, const parley_options *options)
{
    int code = settings_load(&w->settings, options, w->err);
    if (code)
        return code;
    settings_keyring(&w->settings, &w->path);
    code = buf_check(&w->path, "the keyring's path", w->err);
    if (!code && !w->path.len)
        code = err_set(w->err, E_USAGE, "this store keeps its keys in memory: there is no keyring "
                       "(--store sqlite:PATH names one that has)");
    return code ? code : loop_new(&w->loop, clock_system(), w->err);
}

// Makes no store.
static int open_store(struct keys_work *w)
{
    struct store_env env = {.clock = clock_system(), .rand = rand_system()};
    const char *url = conf_str(w->settings.conf, "store");
    if (strncmp(url, "sqlite:", 7) == 0 && access(url + 7, F_OK) != 0)
        return E_OK;
    return store_open(&w->store, url, &env, w->err);
}

static int open_vault(struct keys_work *w)
{
    struct vault_options options = {
        .path = w->path.ptr, .rand = rand_system(), .existing = true, .rotating = true};
    settings_operator(&w->settings, &options);
    if (access(w->path.ptr, F_OK) != 0)
        return err_set(w->err, E_STORE, "there is no keyring %s: `parley keys init` makes one, or "
                       "say where it is with --set keyring=PATH", w->path.ptr);
    return vault_open(&w->vault, &options, w->err);
}

static void release(struct keys_work *w)
{
    store_free(w->store);
    vault_free(w->vault);
    loop_free(w->loop);
    buf_release(&w->path);
    if (w->settings.conf)
        settings_release(&w->settings);
}

// Looking for records in a store of another keyring would find none, and destroy keys that are in
// use elsewhere.
static int check_store(struct keys_work *w, struct seal_record *house)
{
    int code = seal_read(house, w->store, w->loop, w->err);
    if (!code && !house->id[0])
        code = err_set(w->err, E_STORE, "%s: nothing was sealed there with %s yet: name the store "
                       "whose keys are to be rotated", conf_str(w->settings.conf, "store"),
                       w->path.ptr);
    return code ? code : seal_check(house, w->vault, w->path.ptr, w->err);
}

// ---- telling

static void write_mode(struct json_writer *w, const char *name, const char *path)
{
    char mode[16];
    struct stat st;
    if (!path || stat(path, &st) != 0)
        return;
    snprintf(mode, sizeof(mode), "%04o", (unsigned)(st.st_mode & 07777));
    jw_kv_str(w, name, mode);
}

static void write_public_key(struct json_writer *w, const struct vault *v)
{
    unsigned char key[VAULT_PUBLIC_KEY_BYTES];
    char hex[2 * VAULT_PUBLIC_KEY_BYTES + 1];
    vault_public_key(v, key);
    hex_encode(key, sizeof(key), hex);
    jw_kv_str(w, "public_key", hex);
}

static const char *operator_path(const struct keys_work *w)
{
    const char *spec = conf_str(w->settings.conf, "operator_key");
    return spec && strncmp(spec, "file:", 5) == 0 ? spec + 5 : NULL;
}

static void write_keyring(struct json_writer *j, const struct keys_work *w)
{
    struct vault_status s;
    vault_status(w->vault, &s);
    jw_kv_str(j, "keyring", w->path.ptr);
    write_mode(j, "mode", w->path.ptr);
    jw_key(j, "operator_key");
    jw_object(j);
    jw_kv_str(j, "source", s.apart ? conf_str(w->settings.conf, "operator_key") : "keyring");
    jw_kv_str(j, "fingerprint", s.operator_key);
    if (s.apart)
        write_mode(j, "mode", operator_path(w));
    jw_object_end(j);
    write_public_key(j, w->vault);
}

static int finish(struct keys_work *w, struct buf *json, int code, char **report,
                  parley_error *error)
{
    struct err err = *w->err;
    release(w);
    return finish_report(json, code, report, &err, error);
}

// ---- init

static int make_operator(struct keys_work *w)
{
    const char *path = operator_path(w);
    if (!path || access(path, F_OK) == 0)
        return E_OK;
    return vault_make_operator_key(path, rand_system(), w->err);
}

static int make_keyring(struct keys_work *w)
{
    struct vault_options options = {.path = w->path.ptr, .rand = rand_system()};
    struct seal_record house = {0};
    if (access(w->path.ptr, F_OK) == 0)
        return err_set(w->err, E_REFUSED, "keyring %s is there already, and is not overwritten: "
                       "what was sealed with it could not be read again", w->path.ptr);
    int code = open_store(w);
    if (!code && w->store)
        code = seal_read(&house, w->store, w->loop, w->err);
    if (!code && house.id[0])
        return err_set(w->err, E_REFUSED, "the store was sealed with a keyring already: put that "
                       "one back as %s", w->path.ptr);
    settings_operator(&w->settings, &options);
    if (!code)
        code = make_operator(w);
    return code ? code : vault_open(&w->vault, &options, w->err);
}

int parley_keys_init(const parley_options *options, char **report, parley_error *error)
{
    struct err err = ERR_INIT;
    struct keys_work w = {.path = BUF_INIT(8192), .err = &err};
    struct buf json = BUF_INIT(REPORT_BYTES_MAX);
    struct json_writer j;
    int code = open_settings(&w, options);
    if (!code)
        code = make_keyring(&w);
    if (!code) {
        jw_init(&j, &json);
        jw_object(&j);
        write_keyring(&j, &w);
        jw_object_end(&j);
    }
    return finish(&w, &json, code, report, error);
}

// ---- the job

static void resealed(struct reseal *r)
{
    loop_stop(r->loop);
}

static int run_reseal(struct keys_work *w, struct reseal *r)
{
    r->store = w->store;
    r->vault = w->vault;
    r->loop = w->loop;
    r->wait_ms = WAIT_MS;
    r->done = resealed;
    reseal_run(r);
    loop_run(w->loop);
    if (r->code)
        *w->err = r->err;
    return r->code;
}

// ---- status

static int count_retired(struct keys_work *w, struct reseal *r)
{
    struct seal_record house;
    int code = open_store(w);
    r->count_only = true;
    if (code || !w->store)
        return code;
    code = check_store(w, &house);
    return code ? code : run_reseal(w, r);
}

static void write_status(struct json_writer *j, const struct keys_work *w, const struct reseal *r)
{
    struct vault_status s;
    vault_status(w->vault, &s);
    jw_object(j);
    write_keyring(j, w);
    jw_kv_i64(j, "users", s.users);
    jw_kv_i64(j, "keys", s.keys);
    jw_kv_i64(j, "retired_keys", s.retired);
    jw_kv_i64(j, "records_under_retired", (int64_t)r->records);
    jw_kv_i64(j, "erased", s.erased);
    jw_kv_i64(j, "erasures_open", s.erasing);
    jw_kv_i64(j, "stores", s.stores);
    jw_kv_i64(j, "rotations", s.rotations);
    jw_kv_bool(j, "rotating", s.rotating);
    jw_object_end(j);
}

int parley_keys_status(const parley_options *options, char **report, parley_error *error)
{
    struct err err = ERR_INIT;
    struct keys_work w = {.path = BUF_INIT(8192), .err = &err};
    struct buf json = BUF_INIT(REPORT_BYTES_MAX);
    struct reseal r = {0};
    struct json_writer j;
    int code = open_settings(&w, options);
    if (!code)
        code = open_vault(&w);
    if (!code)
        code = count_retired(&w, &r);
    if (!code) {
        jw_init(&j, &json);
        write_status(&j, &w, &r);
    }
    return finish(&w, &json, code, report, error);
}

// ---- rotate

static void request_done(struct vault_request *request)
{
    loop_stop(request->loop);
}

static int rewrap(struct keys_work *w)
{
    struct vault_request request = {.loop = w->loop, .done = request_done};
    vault_rewrap(w->vault, &request);
    loop_run(w->loop);
    if (request.code)
        *w->err = request.err;
    return request.code;
}

// An old copy of the keyring is then told from the newest.
static int note_rotation(struct keys_work *w)
{
    struct seal_record house;
    struct vault_status s;
    vault_status(w->vault, &s);
    int code = seal_read(&house, w->store, w->loop, w->err);
    if (code || house.rotations == s.rotations)
        return code;
    house.rotations = s.rotations;
    return seal_write(&house, w->store, w->loop, w->err);
}

static void appended(struct ledger_op *op)
{
    loop_stop(op->user);
}

// In the trail before anything is changed: no rotation goes without an entry.
static int audit_rotation(struct keys_work *w, const struct seal_record *house)
{
    struct ledger_env env = {.store = w->store, .vault = w->vault, .loop = w->loop,
                             .clock = clock_system(), .rand = rand_system(),
                             .store_id = house->store};
    struct audit_note note = {.action = AUDIT_KEYS_ROTATED};
    struct ledger_op op = {.done = appended, .user = w->loop};
    struct ledger *ledger;
    int code = ledger_new(&ledger, &env, w->err);
    if (code)
        return code;
    audit_actor(geteuid(), note.actor);
    trail_append(ledger, &note, 1, &op);
    loop_run(w->loop);
    ledger_free(ledger);
    if (op.code)
        *w->err = op.err;
    return op.code;
}

// The operator key can be rotated before there is a store.
static int begin_rotation(struct keys_work *w, bool users)
{
    struct seal_record house;
    int code = open_store(w);
    if (!code && !w->store && users)
        code = err_set(w->err, E_STORE, "there is no store %s: name the one whose keys are to be "
                       "rotated", conf_str(w->settings.conf, "store"));
    if (code || !w->store)
        return code;
    code = check_store(w, &house);
    return code ? code : audit_rotation(w, &house);
}

static int rotate_users(struct keys_work *w, unsigned what, struct reseal *r)
{
    struct vault_status s;
    vault_status(w->vault, &s);
    r->begin = true;
    r->keep = s.stores > 1 && !(what & PARLEY_ROTATE_DESTROY);
    int code = run_reseal(w, r);
    return code ? code : note_rotation(w);
}

static void write_rotation(struct json_writer *j, const struct keys_work *w, const struct reseal *r,
                           bool resumed)
{
    struct vault_status s;
    vault_status(w->vault, &s);
    jw_object(j);
    write_keyring(j, w);
    jw_kv_bool(j, "resumed", resumed);
    jw_kv_i64(j, "users", r->users);
    jw_kv_i64(j, "records", (int64_t)r->records);
    jw_kv_i64(j, "unreadable", (int64_t)r->left);
    jw_kv_i64(j, "users_done", r->retired);
    jw_kv_i64(j, "retired_keys", s.retired);
    jw_kv_i64(j, "stores", s.stores);
    jw_object_end(j);
}

int parley_keys_rotate(const parley_options *options, unsigned what, char **report,
                       parley_error *error)
{
    struct err err = ERR_INIT;
    struct keys_work w = {.path = BUF_INIT(8192), .err = &err};
    struct buf json = BUF_INIT(REPORT_BYTES_MAX);
    struct vault_status before = {0};
    struct reseal r = {0};
    struct json_writer j;
    bool both = !(what & (PARLEY_ROTATE_OPERATOR | PARLEY_ROTATE_USERS));
    bool users = both || what & PARLEY_ROTATE_USERS;
    int code = open_settings(&w, options);
    if (!code)
        code = open_vault(&w);
    if (!code)
        vault_status(w.vault, &before);
    if (!code)
        code = begin_rotation(&w, users);
    if (!code && (both || what & PARLEY_ROTATE_OPERATOR))
        code = rewrap(&w);
    if (!code && users)
        code = rotate_users(&w, what, &r);
    if (!code) {
        jw_init(&j, &json);
        write_rotation(&j, &w, &r, before.rotating);
    }
    return finish(&w, &json, code, report, error);
}
