// SPDX-License-Identifier: MIT
// faulty.c: a store that fails when told to, around any other: "faulty:OPTIONS;INNER-URL".
//
//   fail_at=N    the N-th op fails (counted from 1); 0, the default: none does
//   mode=before  it is refused with E_STORE and leaves no trace (the default)
//   mode=after   it is done, but reported as E_STORE, ambiguous
//   mode=crash_before, mode=crash_after
//                the process kills itself (SIGKILL) before or after doing it
//   verb=commit  only commits count and fail; verb=any (the default): every op
//   sticky=1     all later ones fail too
//   seed=S       every op fails with a chance of 1 in N, drawn from S
//
// Everything else goes to the inner store untouched. Any thread.
#include "store/faulty.h"
#include "store/store_int.h"

#include "base/mem.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

enum mode { MODE_BEFORE, MODE_AFTER, MODE_CRASH_BEFORE, MODE_CRASH_AFTER, MODES_LEN };
static const char *const mode_words[] = {"before", "after", "crash_before", "crash_after"};

static const struct option options[] = {
    {"fail_at", OPT_INT, 0, INT64_MAX, "0", "Which op fails, counted from 1; 0: none."},
    {"mode", OPT_STRING, 0, 0, "before", "before, after, crash_before or crash_after."},
    {"verb", OPT_STRING, 0, 0, "any", "commit: only commits count; any: every op."},
    {"sticky", OPT_INT, 0, 1, "0", "1: all ops after that one fail too."},
    {"seed", OPT_INT, 0, INT64_MAX, NULL, "Fail one in fail_at at random, drawn from this."},
    {0},
};

struct faulty {
    struct store store;
    struct store *inner;
    int64_t fail_at;
    enum mode mode;
    bool only_commits, sticky, at_random;
    pthread_mutex_t lock;  // guards the rest
    struct rand_sim rand;
    uint64_t seen;
};

// An op that is done by the inner store on behalf of one that will be told otherwise.
struct stand_in {
    struct store_op op;
    struct store_op *outer;
    enum mode mode;
    struct store_item items[];  // so that the outer op's guards stay as they are
};

static struct faulty *faulty_of(struct store *s)
{
    BUG_ON(s->ops != &store_faulty);
    return CONTAINER_OF(s, struct faulty, store);
}

static _Noreturn void crash(void)
{
    kill(getpid(), SIGKILL);
    for (;;)
        pause();  // the signal is on its way
}

static bool should_fail(struct faulty *f, const struct store_op *op)
{
    if (f->only_commits && op->verb != STORE_COMMIT)
        return false;
    pthread_mutex_lock(&f->lock);
    uint64_t n = ++f->seen, at = (uint64_t)f->fail_at;
    bool fails = at && (f->at_random ? rand_below(&f->rand.rand, at) == 0
                                     : n == at || (f->sticky && n > at));
    pthread_mutex_unlock(&f->lock);
    return fails;
}

static void inner_done(struct store_op *op)
{
    struct stand_in *in = CONTAINER_OF(op, struct stand_in, op);
    struct store_op *outer = in->outer;
    if (in->mode == MODE_CRASH_AFTER)
        crash();
    int code = op->code;
    store_op_release(op);
    if (code == E_OK) {
        outer->ambiguous = true;
        op_fail(outer, E_STORE, "store: faulty: the answer was lost: read to find out");
    } else {
        outer->code = code;
        outer->err = op->err;
        outer->failed_item = op->failed_item;
        memcpy(outer->holder_now, op->holder_now, sizeof outer->holder_now);
    }
    mem_free(in);
    outer->done(outer);
}

static void submit_stand_in(struct faulty *f, struct store_op *op)
{
    size_t items_bytes = op->items_len * sizeof *op->items;
    struct stand_in *in = mem_zalloc(sizeof *in + items_bytes);
    if (!in) {
        op_fail(op, E_NOMEM, "store: faulty: out of memory");
        op_complete(op);
        return;
    }
    in->op = *op;
    in->op.done = inner_done;
    if (items_bytes)
        memcpy(in->items, op->items, items_bytes);
    in->op.items = in->items;
    in->outer = op;
    in->mode = f->mode;
    f->inner->ops->submit(f->inner, &in->op);
}

static void faulty_submit(struct store *store, struct store_op *op)
{
    struct faulty *f = faulty_of(store);
    if (!should_fail(f, op)) {
        f->inner->ops->submit(f->inner, op);
        return;
    }
    if (f->mode == MODE_CRASH_BEFORE)
        crash();
    if (f->mode != MODE_BEFORE) {
        submit_stand_in(f, op);
        return;
    }
    op_fail(op, E_STORE, "store: faulty: told to fail here");
    op_complete(op);
}

static int read_mode(struct faulty *f, const struct conf *c, struct err *err)
{
    const char *mode = conf_str(c, "mode"), *verb = conf_str(c, "verb");
    unsigned i = 0;
    while (i < MODES_LEN && strcmp(mode, mode_words[i]) != 0)
        i++;
    if (i == MODES_LEN)
        return err_set(err, E_STORE, "store: faulty: mode=%s (before, after, crash_before or "
                       "crash_after)", mode);
    if (strcmp(verb, "any") != 0 && strcmp(verb, "commit") != 0)
        return err_set(err, E_STORE, "store: faulty: verb=%s (any or commit)", verb);
    f->mode = (enum mode)i;
    f->only_commits = verb[0] == 'c';
    return E_OK;
}

// "a=1,b=2" into c.
static int read_pairs(struct conf *c, struct slice text, struct err *err)
{
    while (text.len) {
        const char *comma = memchr(text.ptr, ',', text.len);
        size_t len = comma ? (size_t)(comma - text.ptr) : text.len;
        const char *eq = memchr(text.ptr, '=', len);
        if (!eq)
            return err_set(err, E_STORE, "store: faulty: \"%.*s\" is not of the form name=value",
                           (int)len, text.ptr);
        struct slice name = {text.ptr, (size_t)(eq - text.ptr)};
        struct slice value = {eq + 1, len - name.len - 1};
        if (conf_set(c, name, value, "the store's URL", err)) {
            err_prefix(err, "store: faulty: ");
            return err ? err->code = E_STORE : E_STORE;
        }
        text.ptr += len + (comma ? 1 : 0);
        text.len -= len + (comma ? 1 : 0);
    }
    return E_OK;
}

static int configure(struct faulty *f, struct slice text, struct err *err)
{
    struct conf *c = NULL;
    int code = conf_new(&c, options, err);
    if (!code)
        code = read_pairs(c, text, err);
    if (!code)
        code = read_mode(f, c, err);
    if (!code) {
        f->fail_at = conf_int(c, "fail_at", 0);
        f->sticky = conf_int(c, "sticky", 0) != 0;
        f->at_random = conf_is_set(c, "seed");
        rand_sim_init(&f->rand, (uint64_t)conf_int(c, "seed", 0));
    }
    conf_free(c);
    return code;
}

static const char *inner_url(const char *rest, struct err *err)
{
    const char *semicolon = strchr(rest, ';');
    if (!semicolon)
        err_set(err, E_STORE, "store: faulty: needs a store to wrap after a semicolon, as in "
                "\"faulty:fail_at=3;memory:\"");
    return semicolon ? semicolon + 1 : NULL;
}

static int faulty_open(struct store **out, const char *rest, const struct store_env *env,
                       struct err *err)
{
    const char *url = inner_url(rest, err);
    if (!url)
        return E_STORE;
    struct faulty *f = mem_zalloc(sizeof *f);
    if (!f)
        return err_set(err, E_NOMEM, "store: faulty: out of memory");
    int code = configure(f, slice_of(rest, (size_t)(url - rest) - 1), err);
    if (!code)
        code = store_open(&f->inner, url, env, err);
    if (code) {
        mem_free(f);
        return code;
    }
    f->store.ops = &store_faulty;
    pthread_mutex_init(&f->lock, NULL);
    *out = &f->store;
    return E_OK;
}

static const char *faulty_claim(struct store *store)
{
    return store_claim(faulty_of(store)->inner);
}

static int faulty_migrate(const char *rest, bool dry_run, struct buf *report, struct err *err)
{
    const char *url = inner_url(rest, err);
    return url ? store_migrate(url, dry_run, report, err) : E_STORE;
}

static int faulty_backup(const char *rest, const char *file, const struct store_copying *how,
                         struct err *err)
{
    const char *url = inner_url(rest, err);
    return url ? store_backup(url, file, how, err) : E_STORE;
}

static int faulty_restore(const char *rest, const char *file, const struct store_copying *how,
                          struct buf *aside, struct err *err)
{
    const char *url = inner_url(rest, err);
    return url ? store_restore(url, file, how, aside, err) : E_STORE;
}

static void faulty_free(struct store *store)
{
    struct faulty *f = faulty_of(store);
    store_free(f->inner);
    pthread_mutex_destroy(&f->lock);
    mem_free(f);
}

uint64_t store_faulty_seen(const struct store *s)
{
    BUG_ON(s->ops != &store_faulty);
    struct faulty *f = (struct faulty *)(uintptr_t)s;
    pthread_mutex_lock(&f->lock);
    uint64_t seen = f->seen;
    pthread_mutex_unlock(&f->lock);
    return seen;
}

const struct store_ops store_faulty = {
    .name = "faulty",
    .description = "fails when told to, around another store",
    .url_form = "faulty:OPTIONS;URL",
    .open = faulty_open,
    .submit = faulty_submit,
    .claim = faulty_claim,
    .migrate = faulty_migrate,
    .backup = faulty_backup,
    .restore = faulty_restore,
    .free = faulty_free,
};
