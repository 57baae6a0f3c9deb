// SPDX-License-Identifier: MIT
// budget.c: reservations (budget.h says what they promise).
//
// A call is held by up to eight counters, in two partitions: the user's, then the house's. Each
// partition's are added to in one commit, whose sums tell whether the call fits: so two processes
// never both take the last of a budget. What does not fit is taken back, in the opposite order; as
// it may have stood in the way of another for that moment, and another in its way, the sums after
// that decide: if the call would fit now, it is tried again.
//
//   reserve ─▶ [reserved] user ─▶ [reserved] house ─▶ then(E_OK) … settle ─▶ user ─▶ house ─▶ gone
//                  │ over             │ over
//                  └─▶ take back ◀────┘ ─▶ fits now: reserve again, three times at most
//                                       └▶ then(E_REFUSED)
#include "turn/budget_int.h"

enum { TRIES_MAX = 3, SWEEP_MAX = STORE_BATCH_ITEMS_MAX };
enum { GROUP_USER, GROUP_HOUSE, GROUPS };

struct hold_counter {
    struct counter is;
    int64_t amount;                 // reserved
    int64_t used;                   // by others, when last heard
    char envelope[VAULT_ENVELOPE_BYTES];
    size_t envelope_len;            // 0: not sealed, as the house's
};

struct budget_hold {
    struct worker *w;
    char partition[PARTITION_BYTES];
    char bot[BOT_NAME_BYTES];
    struct hold_counter counters[COUNTERS_MAX];
    uint32_t len, users;            // the user's come first
    int group;                      // under way
    uint32_t at;                    // looking: the counter that is read
    unsigned tries;
    struct usage billed;
    struct err err;
    struct store_op op;
    struct store_item items[COUNTERS_MAX];
    budget_then then;
    void *user;
};

int budgets_read(struct budgets *out, const struct conf *conf, struct err *err)
{
    static const struct {
        const char *name;
        size_t at;
        enum spend_unit unit;
    } settings[] = {
        {"budgets.user_usd_per_day", offsetof(struct budgets, user), SPEND_USD},
        {"budgets.bot_usd_per_day", offsetof(struct budgets, bot), SPEND_USD},
        {"budgets.usd_per_day", offsetof(struct budgets, all), SPEND_USD},
        {"budgets.user_tokens_per_day", offsetof(struct budgets, user), SPEND_TOKENS},
        {"budgets.bot_tokens_per_day", offsetof(struct budgets, bot), SPEND_TOKENS},
        {"budgets.tokens_per_day", offsetof(struct budgets, all), SPEND_TOKENS},
    };
    *out = (struct budgets){.refuse_unpriced = conf_bool(conf, "budgets.refuse_unpriced", false)};
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        const char *name = settings[i].name;
        struct spend_limit *limits = (void *)((char *)out + settings[i].at);
        struct spend_limit *limit = &limits[settings[i].unit];
        limit->set = conf_is_set(conf, name);
        if (!limit->set)
            continue;
        if (settings[i].unit == SPEND_TOKENS) {
            limit->most = conf_int(conf, name, 0);
            continue;
        }
        double dollars = conf_number(conf, name, -1);
        if (!(dollars >= 0 && dollars <= SPEND_DOLLARS_MAX))
            return err_set(err, E_POLICY, "%s: %s: must be US dollars, from 0 to %d",
                           conf_origin(conf, name), name, SPEND_DOLLARS_MAX);
        limit->most = (int64_t)(dollars * 1e9 + 0.5);
    }
    return E_OK;
}

void budget_most(const struct worker_env *env, const char *provider, const char *model,
                 uint64_t input_tokens, bool is_bound, uint64_t output_tokens, struct usage *out)
{
    uint64_t input = is_bound ? input_tokens : input_tokens + input_tokens / 4 + 1;
    struct usage written;
    *out = (struct usage){.input_tokens = (int64_t)input, .output_tokens = (int64_t)output_tokens,
                          .estimated = true};
    written = *out;
    written.cache_write_tokens = written.input_tokens;
    prices_apply(env->prices, provider, model, out);
    prices_apply(env->prices, provider, model, &written);
    if (written.cost_nusd > out->cost_nusd)
        out->cost_nusd = written.cost_nusd;
}

// ---- which counters

static void add_counter(struct counter *out, uint32_t *len, enum budget_scope scope,
                        enum spend_unit unit, const struct spend_limit *ours,
                        const struct spend_limit *policys)
{
    bool of_policy = policys && policys->set && (!ours || !ours->set || policys->most < ours->most);
    const struct spend_limit *limit = of_policy ? policys : ours;
    if (!limit || !limit->set)
        return;
    out[(*len)++] = (struct counter){
        .scope = scope, .unit = unit, .of_policy = of_policy, .most = limit->most};
}

uint32_t counters_of(struct counter out[COUNTERS_MAX], const struct budgets *b,
                     const struct policy_info *policy, const char *bot, const char *day)
{
    uint32_t len = 0;
    policy = policy ? policy : &policy_plain()->info;
    for (enum spend_unit u = 0; u < SPEND_UNITS; u++) {
        add_counter(out, &len, BUDGET_USER, u, &b->user[u], NULL);
        add_counter(out, &len, BUDGET_USER_BOT, u, NULL, &policy->user_spend[u]);
    }
    for (enum spend_unit u = 0; u < SPEND_UNITS; u++) {
        add_counter(out, &len, BUDGET_BOT, u, &b->bot[u], &policy->bot_spend[u]);
        add_counter(out, &len, BUDGET_ALL, u, &b->all[u], NULL);
    }
    for (uint32_t i = 0; i < len; i++) {
        bool of_bot = out[i].scope == BUDGET_USER_BOT || out[i].scope == BUDGET_BOT;
        spend_key(day, out[i].unit, of_bot ? bot : NULL, out[i].key);
    }
    return len;
}

// ---- a hold

bool budget_any(const struct budget_ask *ask)
{
    const struct budgets *b = &ask->w->budgets;
    const struct policy_info *policy = ask->policy ? ask->policy : &policy_plain()->info;
    for (enum spend_unit u = 0; u < SPEND_UNITS; u++) {
        if (b->user[u].set || b->bot[u].set || b->all[u].set || policy->user_spend[u].set ||
            policy->bot_spend[u].set)
            return true;
    }
    return false;
}

// A budget in dollars cannot hold what has no price: told once for each model.
static int check_price(const struct budget_ask *ask, const struct usage *u, struct err *err)
{
    struct worker *w = ask->w;
    char name[2 * MODEL_NAME_BYTES];
    if (u->cost_nusd != COST_UNKNOWN)
        return E_OK;
    if (w->budgets.refuse_unpriced)
        return err_set(err, E_REFUSED,
                       "no price is known for %s:%s, so no budget in dollars can hold it, and "
                       "budgets.refuse_unpriced is set: choose a model of `parley models` that has "
                       "a price, or give it a budget in tokens", ask->provider, ask->model);
    snprintf(name, sizeof(name), "%s:%s", ask->provider, ask->model);
    if (!map_get(w->unpriced, slice_str(name)) &&
        map_set(w->unpriced, slice_str(name), w, NULL) == E_OK)
        log_line(w->env.log, LOG_WARN, "budget: no price is known for %s: budgets in dollars do "
                 "not hold it; one in tokens would", name);
    return E_OK;
}

static int seal_counter(struct hold_counter *c, const struct budget_ask *ask, struct err *err)
{
    struct buf out = BUF_INIT(VAULT_ENVELOPE_BYTES);
    struct sealed sealed;
    struct vault_place at = {slice_str(ask->partition), slice_str(c->is.key), SLICE_LIT("{}")};
    int code = vault_seal(ask->w->env.vault, ask->key, &at, SAFE_NONE, &out, &sealed, err);
    if (!code) {
        memcpy(c->envelope, sealed.bytes.ptr, sealed.bytes.len);
        c->envelope_len = sealed.bytes.len;
    }
    buf_release(&out);
    return code;
}

// The counters that hold a call of this size, in dollars only if it costs some. *out is NULL
// when there is none.
static int make_hold(struct budget_hold **out, const struct budget_ask *ask, const struct usage *u,
                     bool seal, struct err *err)
{
    struct worker *w = ask->w;
    struct counter all[COUNTERS_MAX];
    char day[SPEND_DAY_BYTES];
    bool dollars = false;
    *out = NULL;
    if (!budget_any(ask))
        return E_OK;
    spend_day(clock_wall_ms(w->env.clock), day);
    uint32_t len = counters_of(all, &w->budgets, ask->policy, ask->bot, day);
    struct budget_hold *h = mem_zalloc(sizeof(*h));
    if (!h)
        return err_set(err, E_NOMEM, "out of memory for a budget");
    for (uint32_t i = 0; i < len; i++) {
        int64_t amount = spend_of(u, all[i].unit);
        dollars |= all[i].unit == SPEND_USD;
        if (amount > 0)
            h->counters[h->len++] = (struct hold_counter){.is = all[i], .amount = amount};
        h->users += amount > 0 && counter_of_user(&all[i]);
    }
    int code = dollars ? check_price(ask, u, err) : E_OK;
    for (uint32_t i = 0; i < h->users && !code && seal; i++)
        code = seal_counter(&h->counters[i], ask, err);
    if (code || h->len == 0) {
        mem_free(h);
        return code;
    }
    h->w = w;
    snprintf(h->partition, sizeof(h->partition), "%s", ask->partition);
    snprintf(h->bot, sizeof(h->bot), "%s", ask->bot);
    *out = h;
    return E_OK;
}

static void free_hold(struct budget_hold *h)
{
    store_op_release(&h->op);
    mem_free(h);
}

// The end of looking or reserving. The hold is the caller's with E_OK, unless it only looked.
static void answer(struct budget_hold *h, int code, bool keep)
{
    budget_then then = h->then;
    void *user = h->user;
    struct err err = h->err;
    store_op_release(&h->op);
    if (keep) {
        then(user, h, code, &err);
        return;
    }
    free_hold(h);
    then(user, NULL, code, &err);
}

static int refuse(struct budget_hold *h, const struct hold_counter *c)
{
    return budget_refuse(&c->is, h->bot, c->used, c->amount, clock_wall_ms(h->w->env.clock),
                         &h->err);
}

static bool over(const struct hold_counter *c)
{
    return c->used > c->is.most - c->amount;
}

static struct slice group_partition(const struct budget_hold *h, int group)
{
    return group == GROUP_USER ? slice_str(h->partition) : SLICE_LIT(SPEND_PARTITION);
}

static uint32_t group_first(const struct budget_hold *h, int group)
{
    return group == GROUP_USER ? 0 : h->users;
}

static uint32_t group_end(const struct budget_hold *h, int group)
{
    return group == GROUP_USER ? h->users : h->len;
}

// ---- old days

struct sweep {
    struct worker *w;
    struct store_op scan, op;
    struct store_item items[SWEEP_MAX];
    char partition[PARTITION_BYTES], before[SPEND_DAY_BYTES];
};

static void sweep_over(struct sweep *s)
{
    struct worker *w = s->w;
    store_op_release(&s->scan);
    store_op_release(&s->op);
    mem_free(s);
    w->spending--;
    worker_check_idle(w);
}

// What failed is found again with the next new day.
static void swept(struct store_op *op)
{
    sweep_over(CONTAINER_OF(op, struct sweep, op));
}

static void sweep_read(struct store_op *op)
{
    struct sweep *s = CONTAINER_OF(op, struct sweep, scan);
    char day[SPEND_DAY_BYTES];
    enum spend_unit unit;
    struct slice bot;
    uint32_t n = 0;
    for (uint32_t i = 0; i < op->rows_len; i++) {
        struct slice key = op->rows[i].key;
        if (spend_read_key(key, day, &unit, &bot) && strcmp(day, s->before) < 0)
            s->items[n++] = (struct store_item){.verb = STORE_DELETE, .key = key};
    }
    if (n == 0) {
        sweep_over(s);
        return;
    }
    s->op = (struct store_op){.verb = STORE_COMMIT,
                              .loop = s->w->env.loop,
                              .done = swept,
                              .partition = slice_str(s->partition),
                              .items = s->items,
                              .items_len = n};
    store_submit(s->w->env.store, &s->op);
}

// Off anybody's path; without memory it is left to another day.
static void sweep_old_days(struct worker *w, struct slice partition)
{
    struct sweep *s = mem_zalloc(sizeof(*s));
    if (!s)
        return;
    s->w = w;
    w->spending++;
    snprintf(s->partition, sizeof(s->partition), "%.*s", SLICE_FMT(partition));
    spend_day(clock_wall_ms(w->env.clock) - DAY_MS, s->before);
    s->scan = (struct store_op){.verb = STORE_SCAN,
                                .loop = w->env.loop,
                                .done = sweep_read,
                                .partition = slice_str(s->partition),
                                .key = SLICE_LIT("spend/"),
                                .limit = SWEEP_MAX};
    store_submit(w->env.store, &s->scan);
}

// ---- adding to the counters of a group

// Adds n of each counter of h->group in one commit; false: there is nothing to add.
static bool add_to_group(struct budget_hold *h, int64_t (*n)(const struct budget_hold *h,
                                                             const struct hold_counter *c),
                         void (*done)(struct store_op *op))
{
    uint32_t end = group_end(h, h->group), len = 0;
    for (uint32_t i = group_first(h, h->group); i < end; i++) {
        const struct hold_counter *c = &h->counters[i];
        int64_t count = n(h, c);
        if (count == 0)
            continue;
        h->items[len++] = (struct store_item){
            .verb = STORE_ADD,
            .key = slice_str(c->is.key),
            .count = count,
            .meta = SLICE_LIT("{}"),
            .body = {slice_of(c->envelope, c->envelope_len)},
        };
    }
    if (len == 0)
        return false;
    store_op_release(&h->op);
    h->op = (struct store_op){.verb = STORE_COMMIT,
                              .loop = h->w->env.loop,
                              .done = done,
                              .partition = group_partition(h, h->group),
                              .items = h->items,
                              .items_len = len};
    store_submit(h->w->env.store, &h->op);
    return true;
}

static int64_t plus(const struct budget_hold *h, const struct hold_counter *c)
{
    (void)h;
    return c->amount;
}

static int64_t minus(const struct budget_hold *h, const struct hold_counter *c)
{
    (void)h;
    return -c->amount;
}

// ---- reserving

static void reserve_group(struct budget_hold *h);
static void take_back(struct budget_hold *h);

// All is taken back. With an error there is nothing more to try.
static void taken_back(struct budget_hold *h)
{
    const struct hold_counter *full = NULL;
    for (uint32_t i = 0; i < h->len && !full; i++)
        full = over(&h->counters[i]) ? &h->counters[i] : NULL;
    if (!full && h->err.code == E_REFUSED && ++h->tries < TRIES_MAX) {
        h->err = (struct err)ERR_INIT;
        h->group = GROUP_USER;
        reserve_group(h);
        return;
    }
    answer(h, h->err.code, false);
}

static void group_taken_back(struct store_op *op)
{
    struct budget_hold *h = CONTAINER_OF(op, struct budget_hold, op);
    uint32_t first = group_first(h, h->group);
    // It stays counted, as if it had been spent.
    if (op->code)
        log_line(h->w->env.log, LOG_WARN, "budget: a reservation could not be taken back: %s",
                 op->err.message);
    for (uint32_t i = 0; i < op->items_len && !op->code; i++)
        h->counters[first + i].used = h->items[i].count;
    if (h->group-- == GROUP_USER)
        taken_back(h);
    else
        take_back(h);
}

static void take_back(struct budget_hold *h)
{
    if (add_to_group(h, minus, group_taken_back))
        return;
    if (h->group-- == GROUP_USER)
        taken_back(h);
    else
        take_back(h);
}

static void group_reserved(struct store_op *op)
{
    struct budget_hold *h = CONTAINER_OF(op, struct budget_hold, op);
    uint32_t first = group_first(h, h->group);
    bool fresh = false;
    if (op->code) {
        h->err = op->err;
        err_prefix(&h->err, "reserving from the budget: ");
        // What this commit did is not known, or nothing; the group before it is taken back.
        if (h->group-- == GROUP_USER)
            answer(h, h->err.code, false);
        else
            take_back(h);
        return;
    }
    for (uint32_t i = 0; i < op->items_len; i++) {
        struct hold_counter *c = &h->counters[first + i];
        c->used = h->items[i].count - c->amount;
        fresh |= h->items[i].version == 1;
        if (over(c) && !h->err.code)
            refuse(h, c);
    }
    if (fresh)
        sweep_old_days(h->w, group_partition(h, h->group));
    if (h->err.code) {
        take_back(h);
        return;
    }
    h->group++;
    reserve_group(h);
}

static void reserve_group(struct budget_hold *h)
{
    while (h->group < GROUPS && !add_to_group(h, plus, group_reserved))
        h->group++;
    if (h->group == GROUPS)
        answer(h, E_OK, true);
}

void budget_reserve(const struct budget_ask *ask, const struct usage *most, budget_then then,
                    void *user)
{
    struct budget_hold *h;
    struct err err = ERR_INIT;
    int code = make_hold(&h, ask, most, true, &err);
    if (!h) {
        then(user, NULL, code, &err);
        return;
    }
    h->then = then;
    h->user = user;
    reserve_group(h);
}

// ---- looking

static void look_at(struct budget_hold *h);

static void looked(struct store_op *op)
{
    struct budget_hold *h = CONTAINER_OF(op, struct budget_hold, op);
    struct hold_counter *c = &h->counters[h->at];
    if (op->code) {
        h->err = op->err;
        err_prefix(&h->err, "reading the budget: ");
        answer(h, h->err.code, false);
        return;
    }
    c->used = op->rows_len ? op->rows[0].count : 0;
    if (over(c)) {
        answer(h, refuse(h, c), false);
        return;
    }
    h->at++;
    look_at(h);
}

static void look_at(struct budget_hold *h)
{
    if (h->at == h->len) {
        answer(h, E_OK, false);
        return;
    }
    store_op_release(&h->op);
    h->op = (struct store_op){
        .verb = STORE_GET,
        .loop = h->w->env.loop,
        .done = looked,
        .partition = group_partition(h, h->at < h->users ? GROUP_USER : GROUP_HOUSE),
        .key = slice_str(h->counters[h->at].is.key)};
    store_submit(h->w->env.store, &h->op);
}

void budget_look(const struct budget_ask *ask, const struct usage *least, budget_then then,
                 void *user)
{
    struct budget_hold *h;
    struct err err = ERR_INIT;
    int code = make_hold(&h, ask, least, false, &err);
    if (!h) {
        then(user, NULL, code, &err);
        return;
    }
    h->then = then;
    h->user = user;
    look_at(h);
}

// ---- settling

static int64_t correction(const struct budget_hold *h, const struct hold_counter *c)
{
    int64_t billed = spend_of(&h->billed, c->is.unit);
    return billed < 0 ? 0 : billed - c->amount;  // no price any more: the reservation stays
}

static void settle_group(struct budget_hold *h);

static void group_settled(struct store_op *op)
{
    struct budget_hold *h = CONTAINER_OF(op, struct budget_hold, op);
    if (op->code)
        log_line(h->w->env.log, LOG_WARN, "budget: a reservation could not be settled, and stays "
                 "counted: %s", op->err.message);
    h->group++;
    settle_group(h);
}

static void settle_group(struct budget_hold *h)
{
    struct worker *w = h->w;
    while (h->group < GROUPS && !add_to_group(h, correction, group_settled))
        h->group++;
    if (h->group < GROUPS)
        return;
    free_hold(h);
    w->spending--;
    worker_check_idle(w);
}

void budget_settle(struct budget_hold *h, const struct usage *billed)
{
    if (!h)
        return;
    if (!billed) {
        free_hold(h);
        return;
    }
    h->w->spending++;
    h->billed = *billed;
    h->group = GROUP_USER;
    settle_group(h);
}
