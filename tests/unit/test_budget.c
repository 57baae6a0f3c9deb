// SPDX-License-Identifier: MIT
// test_budget.c: what a day's budgets promise, over stores in memory, in files and failing: no call
// beyond a limit, nothing counted twice, nothing forgotten. Several workers stand for several
// processes that share a store.
#include "contract/store_fixture.h"

#include "turn/budget_int.h"

#include <sys/stat.h>
#include <unistd.h>

enum { WORKERS = 3, HOLDS_MAX = 64, ROUNDS = 300, USERS = 2, BOTS = 2 };

static const char price_table[] =
    "{\"source\":\"test\",\"as_of\":\"2026-01-01\",\"models\":["
    "{\"provider\":\"p\",\"model\":\"m\",\"input\":1,\"cached\":0.1,\"cache_write\":2,"
    "\"output\":5},"
    "{\"provider\":\"p\",\"model\":\"free\",\"input\":0,\"cached\":0,\"cache_write\":0,"
    "\"output\":0}]}";

struct world {
    struct bench bench;
    struct prices *prices;
    struct vault *vault;
    struct worker workers[WORKERS];
    struct policy_info bots[BOTS];
    char partitions[USERS][PARTITION_BYTES];
    const struct user_key *keys[USERS];
    struct buf log;
    unsigned waiting;
};

static void contract_url(char *out, size_t size)
{
    static atomic_uint n;
    snprintf(out, size, "memory:budget-%u", atomic_fetch_add(&n, 1));
}

static void contract_clean(const char *url)
{
    (void)url;
}

static void keep_log(void *user, enum log_level level, const char *line)
{
    struct world *w = user;
    (void)level;
    buf_addf(&w->log, "%s\n", line);
}

static void key_made(struct vault_request *r)
{
    loop_stop(r->loop);
}

static void open_world(struct world *w, const char *url)
{
    struct err err = ERR_INIT;
    struct bench *b = &w->bench;
    struct vault_options vo = {.rand = rand_system(), .no_thread = true};
    memset(w, 0, sizeof(*w));
    snprintf(b->url, sizeof(b->url), "%s", url);
    clock_sim_init(&b->clock, 1700000000000);
    buf_init(&w->log, 1 << 20);
    b->log = (struct log){keep_log, w, LOG_WARN};
    b->env = (struct store_env){.clock = &b->clock.clock, .rand = rand_system(), .log = &b->log};
    assert_int_equal(loop_new(&b->loop, clock_system(), NULL), E_OK);
    b->store = open_again(b);
    assert_int_equal(prices_load(&w->prices, slice_str(price_table), &err), E_OK);
    assert_int_equal(vault_open(&w->vault, &vo, &err), E_OK);
    for (int i = 0; i < USERS; i++) {
        struct vault_request request = {.loop = b->loop, .create = true, .done = key_made};
        char user[8];
        snprintf(user, sizeof(user), "user%d", i);
        vault_partition(w->vault, slice_str(user), w->partitions[i]);
        memcpy(request.partition, w->partitions[i], sizeof(request.partition));
        vault_user_key(w->vault, &request);
        loop_run(b->loop);
        w->keys[i] = request.key;
    }
    for (int i = 0; i < BOTS; i++)
        snprintf(w->bots[i].name, sizeof(w->bots[i].name), "bot%d", i);
    for (int i = 0; i < WORKERS; i++) {
        w->workers[i].env = (struct worker_env){.store = b->store, .loop = b->loop,
                                                .clock = &b->clock.clock, .log = &b->log,
                                                .vault = w->vault, .prices = w->prices};
        assert_int_equal(map_new(&w->workers[i].unpriced, 16), E_OK);
    }
}

static void set_budgets(struct world *w, const struct budgets *budgets)
{
    for (int i = 0; i < WORKERS; i++)
        w->workers[i].budgets = *budgets;
}

// Until no settlement is under way.
static void settle_down(struct world *w)
{
    bool busy = true;
    while (busy) {
        busy = false;
        for (int i = 0; i < WORKERS; i++)
            busy |= w->workers[i].spending > 0;
        if (busy) {
            // Any op of ours comes after those under way on its partition.
            for (int i = 0; i < USERS; i++)
                version_of(&w->bench, w->partitions[i], "nothing", NULL);
            version_of(&w->bench, SPEND_PARTITION, "nothing", NULL);
        }
    }
}

static void close_world(struct world *w)
{
    settle_down(w);
    for (int i = 0; i < WORKERS; i++)
        map_free(w->workers[i].unpriced);
    store_free(w->bench.store);
    loop_free(w->bench.loop);
    vault_free(w->vault);
    prices_free(w->prices);
    buf_release(&w->log);
}

// ---- one call at a time

struct answer {
    struct world *w;
    struct budget_hold *hold;
    int code;
    struct err err;
    bool came;
};

static void answered(void *user, struct budget_hold *hold, int code, const struct err *err)
{
    struct answer *a = user;
    a->hold = hold;
    a->code = code;
    a->err = *err;
    a->came = true;
    loop_stop(a->w->bench.loop);
}

static struct budget_ask ask_of(struct world *w, int worker, int user, int bot, const char *model)
{
    return (struct budget_ask){.w = &w->workers[worker], .partition = w->partitions[user],
                               .key = w->keys[user], .bot = w->bots[bot].name,
                               .policy = &w->bots[bot], .provider = "p", .model = model};
}

static struct usage tokens(struct world *w, const char *model, uint64_t in, uint64_t out)
{
    struct usage u;
    budget_most(&w->workers[0].env, "p", model, in, true, out, &u);
    return u;
}

static struct answer reserve(struct world *w, int user, int bot, const char *model, uint64_t in,
                             uint64_t out)
{
    struct answer a = {.w = w};
    struct budget_ask ask = ask_of(w, 0, user, bot, model);
    struct usage most = tokens(w, model, in, out);
    budget_reserve(&ask, &most, answered, &a);
    loop_run(w->bench.loop);
    assert_true(a.came);
    assert_true(a.code == E_OK || !a.hold);
    return a;
}

static int look(struct world *w, int user, int bot, uint64_t in, uint64_t out)
{
    struct answer a = {.w = w};
    struct budget_ask ask = ask_of(w, 0, user, bot, "m");
    struct usage least = tokens(w, "m", in, out);
    budget_look(&ask, &least, answered, &a);
    loop_run(w->bench.loop);
    assert_null(a.hold);
    return a.code;
}

static int64_t counted(struct world *w, const char *partition, const char *key)
{
    struct store_op op = get_op(partition, slice_str(key));
    assert_int_equal(run(&w->bench, &op), E_OK);
    int64_t n = op.rows_len ? op.rows[0].count : -1;
    store_op_release(&op);
    return n;
}

#define DAY "2023-11-14"

static void test_budget__none_is_no_work(void **state)
{
    (void)state;
    struct world w;
    open_world(&w, "memory:");
    struct answer a = reserve(&w, 0, 0, "m", 1000, 1000);
    assert_int_equal(a.code, E_OK);
    assert_null(a.hold);
    struct store_op op = {.verb = STORE_PARTITIONS, .limit = 10};
    assert_int_equal(run(&w.bench, &op), E_OK);
    assert_int_equal(op.rows_len, 0);
    store_op_release(&op);
    budget_settle(NULL, NULL);
    close_world(&w);
}

// Input of 1000 at the price of cache writes, 100 of output: 2.5 thousandths of a dollar.
static void test_budget__to_the_last_nanodollar(void **state)
{
    (void)state;
    struct world w;
    open_world(&w, "memory:");
    struct budgets b = {.user[SPEND_USD] = {true, 5000000}};
    set_budgets(&w, &b);
    struct answer first = reserve(&w, 0, 0, "m", 1000, 100);
    struct answer second = reserve(&w, 0, 1, "m", 1000, 100);
    struct answer third = reserve(&w, 0, 0, "m", 1, 0);
    assert_int_equal(first.code, E_OK);
    assert_int_equal(second.code, E_OK);
    assert_int_equal(third.code, E_REFUSED);
    assert_non_null(strstr(third.err.message, "$0.005 of the $0.005 that one user may spend"));
    assert_non_null(strstr(third.err.message, "budgets.user_usd_per_day"));
    assert_non_null(strstr(third.err.message, "after 00:00 UTC, in 1 h 47 min"));
    assert_int_equal(look(&w, 0, 0, 1, 0), E_REFUSED);
    assert_int_equal(look(&w, 1, 0, 1, 0), E_OK);
    // What was refused left nothing; another user has a budget of its own.
    assert_int_equal(counted(&w, w.partitions[0], "spend/" DAY "/usd"), 5000000);
    assert_int_equal(counted(&w, w.partitions[1], "spend/" DAY "/usd"), -1);
    struct usage billed = tokens(&w, "m", 1, 1);
    budget_settle(first.hold, &billed);
    budget_settle(second.hold, NULL);
    settle_down(&w);
    assert_int_equal(counted(&w, w.partitions[0], "spend/" DAY "/usd"),
                     2500000 + billed.cost_nusd);
    close_world(&w);
}

static void test_budget__a_refusal_takes_all_of_it_back(void **state)
{
    (void)state;
    struct world w;
    open_world(&w, "memory:");
    struct budgets b = {.user[SPEND_TOKENS] = {true, 10000}, .all[SPEND_TOKENS] = {true, 1000}};
    set_budgets(&w, &b);
    w.bots[0].user_spend[SPEND_TOKENS] = (struct spend_limit){true, 9000};
    struct answer a = reserve(&w, 0, 0, "m", 900, 101);
    assert_int_equal(a.code, E_REFUSED);
    assert_non_null(strstr(a.err.message, "0 tokens of the 1000 tokens that may be spent a day"));
    assert_null(strstr(a.err.message, "try again"));  // it never fits
    assert_int_equal(counted(&w, w.partitions[0], "spend/" DAY "/tokens"), 0);
    assert_int_equal(counted(&w, w.partitions[0], "spend/" DAY "/tokens/bot0"), 0);
    assert_int_equal(counted(&w, SPEND_PARTITION, "spend/" DAY "/tokens"), 0);
    close_world(&w);
}

static void test_budget__the_smaller_limit_of_a_bot_holds(void **state)
{
    (void)state;
    struct world w;
    open_world(&w, "memory:");
    struct budgets b = {.bot[SPEND_TOKENS] = {true, 1000}};
    set_budgets(&w, &b);
    w.bots[0].bot_spend[SPEND_TOKENS] = (struct spend_limit){true, 500};
    w.bots[1].bot_spend[SPEND_TOKENS] = (struct spend_limit){true, 5000};
    struct answer small = reserve(&w, 0, 0, "m", 501, 0), big = reserve(&w, 0, 1, "m", 1001, 0);
    assert_non_null(strstr(small.err.message, "bot bot0"));
    assert_non_null(strstr(small.err.message, "limits.bot_tokens_per_day"));
    assert_non_null(strstr(big.err.message, "budgets.bot_tokens_per_day"));
    struct answer fits = reserve(&w, 0, 0, "m", 500, 0);
    assert_int_equal(fits.code, E_OK);
    budget_settle(fits.hold, NULL);
    close_world(&w);
}

static void test_budget__without_a_price(void **state)
{
    (void)state;
    struct world w;
    open_world(&w, "memory:");
    struct budgets b = {.all[SPEND_USD] = {true, 0}};
    set_budgets(&w, &b);
    // Free calls cost nothing, and leave nothing.
    struct answer a = reserve(&w, 0, 0, "free", 1000, 1000);
    assert_int_equal(a.code, E_OK);
    assert_null(a.hold);
    for (int i = 0; i < 3; i++)
        assert_int_equal(reserve(&w, 0, 0, "unknown", 1000, 1000).code, E_OK);
    const char *told = strstr(w.log.ptr, "no price is known for p:unknown");
    assert_non_null(told);
    assert_null(strstr(told + 1, "no price"));
    b.refuse_unpriced = true;
    set_budgets(&w, &b);
    a = reserve(&w, 0, 0, "unknown", 1000, 1000);
    assert_int_equal(a.code, E_REFUSED);
    assert_non_null(strstr(a.err.message, "p:unknown"));
    close_world(&w);
}

static void test_budget__days_come_and_go(void **state)
{
    (void)state;
    struct world w;
    open_world(&w, "memory:");
    struct budgets b = {.user[SPEND_TOKENS] = {true, 100}, .bot[SPEND_TOKENS] = {true, 100}};
    set_budgets(&w, &b);
    for (int day = 0; day < 5; day++) {
        struct answer a = reserve(&w, 0, day % 2, "m", 100, 0);
        assert_int_equal(a.code, E_OK);
        // A call that goes over midnight belongs to the day that it began.
        struct usage billed = tokens(&w, "m", 60, 0);
        clock_sim_jump(&w.bench.clock, DAY_MS);
        budget_settle(a.hold, &billed);
        settle_down(&w);
    }
    assert_int_equal(counted(&w, w.partitions[0], "spend/2023-11-18/tokens"), 60);
    assert_int_equal(counted(&w, w.partitions[0], "spend/2023-11-17/tokens"), 60);
    assert_int_equal(counted(&w, w.partitions[0], "spend/2023-11-16/tokens"), -1);
    assert_int_equal(counted(&w, SPEND_PARTITION, "spend/2023-11-18/tokens/bot0"), 60);
    assert_int_equal(counted(&w, SPEND_PARTITION, "spend/" DAY "/tokens/bot0"), -1);
    close_world(&w);
}

// ---- many at once, over stores of all kinds

struct spending {
    struct world *w;
    int user, bot;
    struct usage most;
    struct budget_hold *hold;
    bool answered, refused, failed;
};

struct sums {
    int64_t most[USERS][BOTS], least[USERS][BOTS];  // what counters may and must say
    unsigned sent, refused, failed;
};

static void flown(void *user, struct budget_hold *hold, int code, const struct err *err)
{
    struct spending *f = user;
    (void)err;
    f->hold = hold;
    f->answered = true;
    f->refused = code == E_REFUSED;
    f->failed = code && code != E_REFUSED;
    if (--f->w->waiting == 0)
        loop_stop(f->w->bench.loop);
}

// A batch of calls by all workers at once, then their settlements.
static void one_batch(struct world *w, const struct rand *r, struct sums *s)
{
    struct spending flights[HOLDS_MAX];
    unsigned n = 1 + (unsigned)rand_below(r, HOLDS_MAX);
    w->waiting = n + 1;
    for (unsigned i = 0; i < n; i++) {
        struct spending *f = &flights[i];
        *f = (struct spending){.w = w, .user = (int)rand_below(r, USERS),
                             .bot = (int)rand_below(r, BOTS)};
        f->most = tokens(w, "m", 1 + rand_below(r, 900), rand_below(r, 100));
        struct budget_ask ask = ask_of(w, (int)rand_below(r, WORKERS), f->user, f->bot, "m");
        budget_reserve(&ask, &f->most, flown, f);
    }
    if (--w->waiting > 0)
        loop_run(w->bench.loop);
    for (unsigned i = 0; i < n; i++) {
        struct spending *f = &flights[i];
        int64_t reserved = spend_of(&f->most, SPEND_TOKENS), used = reserved;
        assert_true(f->answered);
        s->refused += f->refused;
        s->failed += f->failed;
        if (f->hold && rand_below(r, 10)) {
            uint64_t in = rand_below(r, (uint64_t)f->most.input_tokens + 1);
            struct usage billed = tokens(w, "m", in, 0);
            used = spend_of(&billed, SPEND_TOKENS);
            budget_settle(f->hold, &billed);
        } else {
            budget_settle(f->hold, NULL);
        }
        s->sent += !f->refused && !f->failed;
        s->least[f->user][f->bot] += f->refused || f->failed ? 0 : used;
        // A store that fails may have done it: then it stays counted.
        s->most[f->user][f->bot] += reserved;
    }
    settle_down(w);
}

static int64_t counter_or_0(struct world *w, const char *partition, const char *key)
{
    int64_t n = counted(w, partition, key);
    return n < 0 ? 0 : n;
}

static void many(const char *url, bool exact)
{
    struct world w;
    struct rand_sim sim;
    struct sums s = {0};
    struct budgets b = {.user[SPEND_TOKENS] = {true, 60000}, .bot[SPEND_TOKENS] = {true, 70000},
                        .all[SPEND_TOKENS] = {true, 90000}};
    int64_t all = 0;
    open_world(&w, url);
    set_budgets(&w, &b);
    rand_sim_init(&sim, 1);
    for (int i = 0; i < ROUNDS / 10; i++)
        one_batch(&w, &sim.rand, &s);
    // The faults are over: what was written is looked at through a store without them.
    if (!exact) {
        store_free(w.bench.store);
        snprintf(w.bench.url, sizeof(w.bench.url), "%s", strchr(url, ';') + 1);
        w.bench.store = open_again(&w.bench);
    }
    for (int u = 0; u < USERS; u++) {
        int64_t user = counter_or_0(&w, w.partitions[u], "spend/" DAY "/tokens");
        int64_t least = s.least[u][0] + s.least[u][1];
        assert_true(user >= least && (!exact || user == least));
        assert_true(user <= s.most[u][0] + s.most[u][1]);
        assert_true(!exact || user <= b.user[SPEND_TOKENS].most);
        all += least;
    }
    int64_t house = counter_or_0(&w, SPEND_PARTITION, "spend/" DAY "/tokens");
    assert_true(house >= all && (!exact || house == all));
    assert_true(all <= b.all[SPEND_TOKENS].most);
    assert_true(s.sent > 50 && s.refused > 50);
    assert_true(exact ? s.failed == 0 : s.failed > 0);
    for (int i = 0; i < WORKERS; i++)
        w.workers[i].env.store = w.bench.store;
    close_world(&w);
}

static void test_budget__many_in_memory(void **state)
{
    (void)state;
    many("memory:", true);
}

static void test_budget__many_in_a_file(void **state)
{
    static const char *const ends[] = {"", "-wal", "-shm", "-lock"};
    char folder[] = "/tmp/parley-budget-XXXXXX", url[64], name[64];
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(url, sizeof(url), "sqlite:%s/b.db", folder);
    many(url, true);
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof(name), "%s/b.db%s", folder, ends[i]);
        unlink(name);
    }
    assert_int_equal(rmdir(folder), 0);
}

// What fails without a trace, and what is done and reported as failed.
static void many_with_faults(const char *mode)
{
    char url[128], held[32];
    struct bench keeper = {0};
    snprintf(held, sizeof(held), "memory:budget-%s", mode);
    snprintf(url, sizeof(url), "faulty:fail_at=40,seed=7,verb=commit,mode=%s;%s", mode, held);
    // Keeps the space while the faulty store is closed.
    snprintf(keeper.url, sizeof(keeper.url), "%s", held);
    clock_sim_init(&keeper.clock, 0);
    keeper.log = (struct log){quiet, NULL, LOG_ERROR};
    keeper.env = (struct store_env){.clock = &keeper.clock.clock, .rand = rand_system(),
                                    .log = &keeper.log};
    keeper.store = open_again(&keeper);
    many(url, false);
    store_free(keeper.store);
}

static void test_budget__many_with_failing_writes(void **state)
{
    (void)state;
    many_with_faults("before");
}

static void test_budget__many_with_ambiguous_writes(void **state)
{
    (void)state;
    many_with_faults("after");
}

// ---- verify

static void checked(struct ledger_op *op)
{
    loop_stop(((struct world *)op->user)->bench.loop);
}

// What `parley verify` says of a partition; the caller's.
static struct buf verify(struct world *w, const char *partition, const struct user_key *key)
{
    struct err err = ERR_INIT;
    struct buf report = BUF_INIT(4096);
    struct bench *b = &w->bench;
    struct ledger_env env = {.store = b->store, .vault = w->vault, .loop = b->loop,
                             .clock = &b->clock.clock, .rand = rand_system(), .log = &b->log};
    struct ledger_op op = {.done = checked, .user = w};
    struct ledger *l;
    assert_int_equal(ledger_new(&l, &env, &err), E_OK);
    ledger_verify(l, partition, key, &report, &op);
    loop_run(b->loop);
    assert_int_equal(op.code, E_OK);
    ledger_free(l);
    buf_add_char(&report, '.');
    return report;
}

static void expect_verify(struct world *w, const char *partition, const struct user_key *key,
                          const char *part)
{
    struct buf report = verify(w, partition, key);
    if (part)
        assert_non_null(strstr(report.ptr, part));
    else
        assert_string_equal(report.ptr, ".");
    buf_release(&report);
}

static void test_budget__counters_are_verified(void **state)
{
    (void)state;
    struct world w;
    open_world(&w, "memory:");
    struct budgets b = {.user[SPEND_TOKENS] = {true, 5000}, .bot[SPEND_TOKENS] = {true, 5000},
                        .all[SPEND_TOKENS] = {true, 5000}};
    set_budgets(&w, &b);
    budget_settle(reserve(&w, 0, 0, "m", 100, 0).hold, NULL);
    expect_verify(&w, w.partitions[0], w.keys[0], NULL);
    expect_verify(&w, SPEND_PARTITION, NULL, NULL);
    // One that was put there by somebody else is not believed to be ours.
    assert_int_equal(insert(&w.bench, w.partitions[0], "spend/" DAY "/usd", "not sealed"), E_OK);
    expect_verify(&w, w.partitions[0], w.keys[0], "spend/" DAY "/usd: ");
    assert_int_equal(insert(&w.bench, SPEND_PARTITION, "spend/" DAY "/eur", ""), E_OK);
    expect_verify(&w, SPEND_PARTITION, NULL, "spend/" DAY "/eur of partition ~spend: nothing of");
    close_world(&w);
}

// ---- settings

static const struct option schema[] = {
    {"budgets.user_usd_per_day", OPT_NUMBER, 0, 0, NULL, ""},
    {"budgets.bot_usd_per_day", OPT_NUMBER, 0, 0, NULL, ""},
    {"budgets.usd_per_day", OPT_NUMBER, 0, 0, NULL, ""},
    {"budgets.user_tokens_per_day", OPT_INT, 0, INT64_MAX, NULL, ""},
    {"budgets.bot_tokens_per_day", OPT_INT, 0, INT64_MAX, NULL, ""},
    {"budgets.tokens_per_day", OPT_INT, 0, INT64_MAX, NULL, ""},
    {"budgets.refuse_unpriced", OPT_BOOL, 0, 0, "false", ""},
    {NULL, OPT_STRING, 0, 0, NULL, NULL},
};

static void test_budget__settings(void **state)
{
    static const char *const bad[] = {"-0.01", "1000000001", "1e300"};
    struct conf *conf;
    struct budgets b;
    struct err err = ERR_INIT;
    struct slice usd = SLICE_LIT("budgets.usd_per_day");
    struct slice tokens_of_bots = SLICE_LIT("budgets.bot_tokens_per_day");
    (void)state;
    assert_int_equal(conf_new(&conf, schema, &err), E_OK);
    assert_int_equal(budgets_read(&b, conf, &err), E_OK);
    assert_false(b.all[SPEND_USD].set || b.user[SPEND_TOKENS].set || b.refuse_unpriced);
    assert_int_equal(conf_set(conf, usd, SLICE_LIT("0.1"), "x.lua:1", &err), E_OK);
    assert_int_equal(conf_set(conf, tokens_of_bots, SLICE_LIT("7"), "x.lua:1", &err), E_OK);
    assert_int_equal(budgets_read(&b, conf, &err), E_OK);
    assert_true(b.all[SPEND_USD].set && b.bot[SPEND_TOKENS].set && !b.bot[SPEND_USD].set);
    assert_int_equal(b.all[SPEND_USD].most, 100000000);
    assert_int_equal(b.bot[SPEND_TOKENS].most, 7);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(conf_set(conf, usd, slice_str(bad[i]), "x.lua:2", &err), E_OK);
        assert_int_equal(budgets_read(&b, conf, &err), E_POLICY);
        assert_non_null(strstr(err.message, "x.lua:2: budgets.usd_per_day"));
    }
    conf_free(conf);
}

static void test_budget__keys(void **state)
{
    char key[SPEND_KEY_BYTES], day[SPEND_DAY_BYTES];
    enum spend_unit unit;
    struct slice bot;
    (void)state;
    spend_key("2026-01-31", SPEND_TOKENS, "hello", key);
    assert_string_equal(key, "spend/2026-01-31/tokens/hello");
    assert_true(spend_read_key(slice_str(key), day, &unit, &bot));
    assert_string_equal(day, "2026-01-31");
    assert_true(unit == SPEND_TOKENS && slice_is(bot, "hello"));
    spend_key("2026-01-31", SPEND_USD, NULL, key);
    assert_true(spend_read_key(slice_str(key), day, &unit, &bot));
    assert_true(unit == SPEND_USD && !bot.len);
    static const char *const bad[] = {"spend/2026-01-31", "spend/2026-01-31/eur",
                                      "spend/2026-02-31/usd", "spend/2026-1-31/usd", "turn/x/usd",
                                      "spend/2026-01-31/usd/a/b"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(spend_read_key(slice_str(bad[i]), day, &unit, &bot));
}

static void test_budget__amounts(void **state)
{
    static const struct { int64_t n; const char *text; } cases[] = {
        {0, "$0.00"}, {1, "$0.000001"}, {1000, "$0.000001"}, {10000000, "$0.01"},
        {1500000000, "$1.50"}, {123456789000, "$123.456789"}, {-5, "$0.00"},
        {9223372036854775807, "$9223372036.854776"},
    };
    char text[BUDGET_AMOUNT_BYTES];
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        budget_amount(SPEND_USD, cases[i].n, text);
        assert_string_equal(text, cases[i].text);
    }
    budget_amount(SPEND_TOKENS, 12000, text);
    assert_string_equal(text, "12000 tokens");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_budget__none_is_no_work),
        cmocka_unit_test(test_budget__to_the_last_nanodollar),
        cmocka_unit_test(test_budget__a_refusal_takes_all_of_it_back),
        cmocka_unit_test(test_budget__the_smaller_limit_of_a_bot_holds),
        cmocka_unit_test(test_budget__without_a_price),
        cmocka_unit_test(test_budget__days_come_and_go),
        cmocka_unit_test(test_budget__many_in_memory),
        cmocka_unit_test(test_budget__many_in_a_file),
        cmocka_unit_test(test_budget__many_with_failing_writes),
        cmocka_unit_test(test_budget__many_with_ambiguous_writes),
        cmocka_unit_test(test_budget__counters_are_verified),
        cmocka_unit_test(test_budget__settings),
        cmocka_unit_test(test_budget__keys),
        cmocka_unit_test(test_budget__amounts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
