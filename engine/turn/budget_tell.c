// SPDX-License-Identifier: MIT
// budget_tell.c: budgets in words, and what is used of them today.
#include "turn/budget_int.h"

enum { ROWS_PAGE = STORE_SCAN_LIMIT_MAX, BOTS_MAX = 256 };

// ---- words

// Dollars as money: two decimals, and as many more as it takes, to a millionth.
static void dollars(int64_t nusd, char out[BUDGET_AMOUNT_BYTES])
{
    int64_t micro = nusd / 1000 + (nusd % 1000 > 0);
    int len = snprintf(out, BUDGET_AMOUNT_BYTES, "$%lld.%06lld", (long long)(micro / 1000000),
                       (long long)(micro % 1000000));
    for (int least = len - 4; len > least && out[len - 1] == '0';)
        out[--len] = '\0';
}

void budget_amount(enum spend_unit unit, int64_t n, char out[BUDGET_AMOUNT_BYTES])
{
    if (n < 0)  // a settlement of a counter that was swept
        n = 0;
    if (unit == SPEND_USD)
        dollars(n, out);
    else
        snprintf(out, BUDGET_AMOUNT_BYTES, "%lld tokens", (long long)n);
}

const char *budget_setting(const struct counter *c)
{
    static const char *const ours[][SPEND_UNITS] = {
        [BUDGET_USER] = {"budgets.user_usd_per_day", "budgets.user_tokens_per_day"},
        [BUDGET_BOT] = {"budgets.bot_usd_per_day", "budgets.bot_tokens_per_day"},
        [BUDGET_ALL] = {"budgets.usd_per_day", "budgets.tokens_per_day"},
    };
    static const char *const policys[][SPEND_UNITS] = {
        [BUDGET_USER_BOT] = {"limits.user_usd_per_day", "limits.user_tokens_per_day"},
        [BUDGET_BOT] = {"limits.bot_usd_per_day", "limits.bot_tokens_per_day"},
    };
    return c->of_policy ? policys[c->scope][c->unit] : ours[c->scope][c->unit];
}

int budget_refuse(const struct counter *c, const char *bot, int64_t used, int64_t amount,
                  int64_t now_ms, struct err *err)
{
    static const char *const whose[] = {
        [BUDGET_USER] = "that one user may spend a day",
        [BUDGET_USER_BOT] = "that one user may spend a day with bot ",
        [BUDGET_BOT] = "that may be spent a day by bot ",
        [BUDGET_ALL] = "that may be spent a day",
    };
    char spent[BUDGET_AMOUNT_BYTES], most[BUDGET_AMOUNT_BYTES], call[BUDGET_AMOUNT_BYTES];
    bool of_bot = c->scope == BUDGET_USER_BOT || c->scope == BUDGET_BOT;
    long long minutes = (DAY_MS - now_ms % DAY_MS + 59999) / 60000;
    budget_amount(c->unit, used, spent);
    budget_amount(c->unit, c->most, most);
    budget_amount(c->unit, amount, call);
    bool never = amount > c->most;
    char when[96] = "";
    if (!never)
        snprintf(when, sizeof(when), "try again after 00:00 UTC, in %lld h %lld min, or ",
                 minutes / 60, minutes % 60);
    return err_set(err, E_REFUSED,
                   "budget: %s of the %s %s%s %s spent or reserved, and this request may take up "
                   "to %s: %ssend less of the history, lower limits.max_output_tokens, choose a "
                   "cheaper model, or raise %s", spent, most, whose[c->scope], of_bot ? bot : "",
                   c->unit == SPEND_USD ? "is" : "are", call, when,
                   budget_setting(c));
}

// ---- what is used today
//
//   the house's counters of today ─▶ the user's, if it is about one ─▶ each bot that has some, and
//   the one that was named: its policy's limits and ours ─▶ rows

struct seen {
    bool of_user;
    char key[SPEND_KEY_BYTES];
    int64_t count;
};

struct telling {
    struct run *run;
    struct buf *out;
    void (*then)(struct run *run);
    char day[SPEND_DAY_BYTES];
    char prefix[SPEND_KEY_BYTES];
    bool of_user;               // whose counters are read
    struct vec seen;            // of struct seen
    struct vec bots;            // of struct bot_name
    struct store_op op;
};
struct bot_name {
    char name[BOT_NAME_BYTES];
};

static void add_bot(struct telling *t, struct slice name)
{
    for (size_t i = 0; i < t->bots.len; i++) {
        if (slice_is(name, VEC_AT(&t->bots, struct bot_name, i)->name))
            return;
    }
    struct bot_name *bot = name.len < BOT_NAME_BYTES ? vec_push(&t->bots) : NULL;
    if (bot)
        snprintf(bot->name, sizeof(bot->name), "%.*s", SLICE_FMT(name));
}

static int64_t used_of(const struct telling *t, const struct counter *c)
{
    for (size_t i = 0; i < t->seen.len; i++) {
        const struct seen *s = VEC_AT(&t->seen, struct seen, i);
        if (s->of_user == counter_of_user(c) && strcmp(s->key, c->key) == 0)
            return s->count > 0 ? s->count : 0;
    }
    return 0;
}

static void amount(struct json_writer *w, const char *key, enum spend_unit unit, int64_t n)
{
    if (unit == SPEND_TOKENS)
        jw_kv_i64(w, key, n);
    else
        jw_kv_double(w, key, (double)n / 1e9);
}

static void write_counter(struct telling *t, struct json_writer *w, const struct counter *c,
                          const char *bot)
{
    bool of_bot = c->scope == BUDGET_USER_BOT || c->scope == BUDGET_BOT;
    bool of_each = counter_of_user(c) && t->run->job->flags & JOB_ALL_USERS;
    jw_object(w);
    jw_kv_str(w, "budget", budget_setting(c));
    jw_kv_bool(w, "each_user", of_each);
    jw_kv_str(w, "user", counter_of_user(c) && !of_each ? t->run->job->user : NULL);
    jw_kv_str(w, "bot", of_bot ? bot : NULL);
    jw_kv_str(w, "unit", spend_unit_word(c->unit));
    if (of_each)
        jw_kv_str(w, "used", NULL);
    else
        amount(w, "used", c->unit, used_of(t, c));
    amount(w, "limit", c->unit, c->most);
    jw_kv_str(w, "day", t->day);
    jw_object_end(w);
}

// `first`: what is not of a bot is told with the first.
static void write_bot(struct telling *t, struct json_writer *w, const char *bot, bool first)
{
    struct run *run = t->run;
    struct policy *policy = NULL;
    struct counter counters[COUNTERS_MAX];
    struct err err = ERR_INIT;
    // A bot that is gone has had what it was billed; only its own limits are not known any more.
    if (bot[0] && policy_host_get(run->w->policies, bot, &policy, &err))
        policy = NULL;
    uint32_t len = counters_of(counters, &run->w->budgets, policy ? &policy->info : NULL, bot,
                               t->day);
    for (uint32_t i = 0; i < len; i++) {
        const struct counter *c = &counters[i];
        bool of_bot = c->scope == BUDGET_USER_BOT || c->scope == BUDGET_BOT;
        if (of_bot ? bot[0] != '\0' : first)
            write_counter(t, w, c, bot);
    }
    policy_unref(policy);
}

static void write_all(struct run *run)
{
    struct telling *t = run->telling;
    void (*then)(struct run *run) = t->then;
    struct json_writer w;
    jw_init(&w, t->out);
    jw_array(&w);
    write_bot(t, &w, "", true);
    for (size_t i = 0; i < t->bots.len; i++)
        write_bot(t, &w, VEC_AT(&t->bots, struct bot_name, i)->name, false);
    jw_array_end(&w);
    budgets_telling_free(run);
    then(run);
}

static void read_counters(struct telling *t);

static void counters_read(struct store_op *op)
{
    struct telling *t = CONTAINER_OF(op, struct telling, op);
    struct run *run = t->run;
    char day[SPEND_DAY_BYTES];
    enum spend_unit unit;
    struct slice bot;
    for (uint32_t i = 0; i < op->rows_len; i++) {
        const struct record *r = &op->rows[i];
        struct seen *seen = spend_read_key(r->key, day, &unit, &bot) ? vec_push(&t->seen) : NULL;
        if (!seen)
            continue;
        seen->of_user = t->of_user;
        seen->count = r->count;
        snprintf(seen->key, sizeof(seen->key), "%.*s", SLICE_FMT(r->key));
        if (bot.len)
            add_bot(t, bot);
    }
    if (op->code)
        emit_warning(run, "budgets: %s", op->err.message);
    if (op->more)
        emit_warning(run, "budgets: only those of the first %d counters are told", ROWS_PAGE);
    store_op_release(op);
    if (!t->of_user && !(run->job->flags & JOB_ALL_USERS) && run->user_key) {
        t->of_user = true;
        read_counters(t);
        return;
    }
    aside_run(run, write_all);
}

static void read_counters(struct telling *t)
{
    t->op = (struct store_op){
        .verb = STORE_SCAN,
        .loop = t->run->w->env.loop,
        .done = counters_read,
        .partition = t->of_user ? slice_str(t->run->partition) : SLICE_LIT(SPEND_PARTITION),
        .key = slice_str(t->prefix),
        .limit = ROWS_PAGE};
    store_submit(t->run->w->env.store, &t->op);
}

void budgets_tell(struct run *run, struct buf *out, void (*then)(struct run *run))
{
    struct err err = ERR_INIT;
    struct telling *t = mem_zalloc(sizeof(*t));
    run->telling = t;
    if (!t) {
        err_set(&err, E_NOMEM, "out of memory for the budgets");
        emit_error(run, E_NOMEM, &err);
        return;
    }
    *t = (struct telling){.run = run, .out = out, .then = then};
    vec_init(&t->seen, sizeof(struct seen), 2 * ROWS_PAGE);
    vec_init(&t->bots, sizeof(struct bot_name), BOTS_MAX);
    spend_day(clock_wall_ms(run->w->env.clock), t->day);
    snprintf(t->prefix, sizeof(t->prefix), "spend/%s/", t->day);
    // What nobody used yet is told too, of the bot that was named, or answers where none is.
    add_bot(t, slice_str(run->job->bot));
    read_counters(t);
}

void budgets_telling_free(struct run *run)
{
    struct telling *t = run->telling;
    if (!t)
        return;
    run->telling = NULL;
    vec_release(&t->seen);
    vec_release(&t->bots);
    mem_free(t);
}
