// SPDX-License-Identifier: MIT
// test_context.c: which turns are sent. Random histories and random plans against an oracle that
// does the same in the slowest, plainest way; and whatever the plan, the messages keep the ledger's
// rules.
#include "turn/choose.h"

#include "base/rand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
// after the headers that it needs
#include <cmocka.h>

enum { TURNS_MAX = 40, CASES = 20000 };

struct world {
    struct chat chat;
    struct turn turns[TURNS_MAX];
    struct step steps[TURNS_MAX][2];
    struct live live;
    struct job job;
    struct worker worker;
    struct run run;
    struct turn_range superseded[TURNS_MAX];
    bool cut_holds;  // the cut was made for the plan that is tried
};

static struct block word = {.type = BLOCK_TEXT, .text = SAFE_LIT("word")};
static struct block blank = {.type = BLOCK_TEXT, .text = SAFE_LIT(" \n")};

// A history: replies are whole, cut, blank or missing; some turns are superseded; the last is new.
static void make_world(struct world *w, const struct rand *r)
{
    uint32_t n = 1 + (uint32_t)rand_below(r, TURNS_MAX - 1);
    memset(w, 0, sizeof(*w));
    w->chat.turns = w->turns;
    w->chat.turns_len = n;
    w->chat.first = 1;
    w->chat.head.turns = n;
    w->chat.head.superseded = w->superseded;
    for (uint32_t i = 0; i < n; i++) {
        struct turn *t = &w->turns[i];
        bool last = i + 1 == n;
        bool replied = !last && rand_below(r, 5) > 0;
        t->n = i + 1;
        t->steps = w->steps[i];
        t->steps_len = replied ? 2 : 1;
        t->status = last ? TURN_OPEN : replied ? TURN_DONE : TURN_FAILED;
        t->superseded = !last && rand_below(r, 6) == 0;
        w->steps[i][0] = (struct step){
            .role = ROLE_USER, .content = content_over(&word, 1),
            .tokens = (uint32_t)rand_below(r, 50)};
        w->steps[i][1] = (struct step){.role = ROLE_ASSISTANT,
                                       .content =
                                           content_over(rand_below(r, 8) ? &word : &blank, 1),
                                       .tokens = (uint32_t)rand_below(r, 50)};
        if (t->superseded)
            w->superseded[w->chat.head.superseded_len++] = (struct turn_range){t->n, t->n};
    }
    w->live.chat = &w->chat;
    w->run.live = &w->live;
    w->run.job = &w->job;
    w->run.w = &w->worker;
    w->run.policy = policy_plain();
    w->run.turn = n;
    w->run.caps.window_tokens = 100 + rand_below(r, 3000);
    w->run.text_tokens = w->steps[n - 1][0].tokens;
    context_init(&w->run.context);
}

static void make_plan(struct history_plan *p, const struct rand *r)
{
    history_plan_full(p);
    if (rand_below(r, 3))
        p->last = (uint32_t)rand_below(r, TURNS_MAX + 5);
    if (p->last != UINT32_MAX && rand_below(r, 2))
        p->slack = (uint32_t)rand_below(r, 10);
    if (rand_below(r, 2))
        p->pin_first = (uint32_t)rand_below(r, 6);
    if (rand_below(r, 3) == 0)
        p->budget_tokens = 1 + rand_below(r, 1500);
    for (uint32_t n = 1; n < TURNS_MAX && rand_below(r, 2); n += 1 + (uint32_t)rand_below(r, 9))
        p->pinned[p->pinned_len++] = n;
}

// A cut of an earlier turn, made for this plan or for another one.
static void make_cut(struct world *w, const struct rand *r)
{
    struct history_cut *cut = &w->chat.head.cut;
    if (w->run.turn == 1 || rand_below(r, 3) == 0)
        return;
    cut->turn = 1 + (uint32_t)rand_below(r, w->run.turn - 1);
    cut->first = 1 + (uint32_t)rand_below(r, cut->turn);
    w->cut_holds = rand_below(r, 4) > 0;
    cut->plan = choose_plan_hash(&w->run.plan, "", "", cut->first) + !w->cut_holds;
}

static bool oracle_pins(const struct history_plan *p, uint32_t n)
{
    for (uint32_t i = 0; i < p->pinned_len; i++) {
        if (p->pinned[i] == n)
            return true;
    }
    return n <= p->pin_first;
}

static uint64_t oracle_tokens(const struct turn *t)
{
    return t->steps[0].tokens + (t->steps_len > 1 ? t->steps[1].tokens : 0);
}

// A text that nobody answered and that no history has room for is passed over.
static bool oracle_passes(const struct world *w, const struct turn *t)
{
    uint64_t window = w->run.caps.window_tokens, budget = w->run.plan.budget_tokens;
    uint64_t most = window - window / 4;
    if (budget && budget < most)
        most = budget;
    return t->superseded || (t->steps_len == 1 && t->steps[0].tokens > most);
}

// Marks the pinned turns, oldest first, while they fit.
static uint64_t oracle_mark_pins(const struct world *w, const struct history_plan *p, uint64_t high,
                                 bool sent[TURNS_MAX + 1])
{
    uint64_t sum = 0;
    memset(sent, 0, TURNS_MAX + 1);
    for (uint32_t n = 1; n < w->run.turn; n++) {
        const struct turn *t = &w->turns[n - 1];
        if (!oracle_pins(p, n) || oracle_passes(w, t))
            continue;
        if (sum + oracle_tokens(t) > high)
            break;
        sum += oracle_tokens(t);
        sent[n] = true;
    }
    return sum;
}

enum stopped { NOT, BY_TURNS, BY_TOKENS };

// Marks the newest, back to turn `from`, while they fit. What stopped it.
static enum stopped oracle_mark_newest(const struct world *w, uint32_t from, uint32_t turns,
                                       uint64_t tokens, uint64_t newest_tokens, uint64_t *sum,
                                       bool sent[TURNS_MAX + 1])
{
    uint32_t taken = 0;
    for (uint32_t n = w->run.turn - 1; n >= from; n--) {
        const struct turn *t = &w->turns[n - 1];
        if (oracle_passes(w, t))
            continue;
        uint64_t more = sent[n] ? 0 : oracle_tokens(t);
        if (taken == turns)
            return BY_TURNS;
        if (*sum + more > (taken ? tokens : newest_tokens))
            return BY_TOKENS;
        *sum += more;
        sent[n] = true;
        taken++;
    }
    return NOT;
}

static uint64_t oracle(const struct world *w, const struct history_plan *p, uint64_t budget,
                       bool sent[TURNS_MAX + 1])
{
    const struct history_cut *cut = &w->chat.head.cut;
    uint32_t from = cut->first && w->cut_holds ? cut->first : 1;
    uint64_t high = p->budget_tokens && p->budget_tokens < budget ? p->budget_tokens : budget;
    uint32_t most = p->last == UINT32_MAX ? p->last : p->last + p->slack;
    uint64_t pins = oracle_mark_pins(w, p, high, sent), sum = pins;
    enum stopped by = oracle_mark_newest(w, from, most, high, high, &sum, sent);
    if (by == NOT)
        return sum;
    sum = oracle_mark_pins(w, p, high, sent);
    uint64_t low = by == BY_TOKENS ? pins + (high - pins) / 2 : high;
    oracle_mark_newest(w, from, p->last, low, high, &sum, sent);
    return sum;
}

static bool step_is_sent(const struct context *c, const struct step *s)
{
    for (size_t i = 0; i < c->steps.len; i++) {
        if (*VEC_AT(&c->steps, struct step *, i) == s)
            return true;
    }
    return false;
}

static void check_case(const struct rand *r)
{
    static struct world w;
    struct err err = ERR_INIT;
    bool sent[TURNS_MAX + 1];
    make_world(&w, r);
    make_plan(&w.run.plan, r);
    make_cut(&w, r);
    static struct recalled recalled;
    recalled = (struct recalled){
        .step = {.role = ROLE_USER, .content = content_over(&word, 1)}, .len = 1};
    recalled.step.tokens = (uint32_t)rand_below(r, context_budget(&w.run) / 2 + 1);
    if (rand_below(r, 3) == 0)
        w.run.context.recalled = w.run.recalled = &recalled;
    uint64_t budget = context_budget(&w.run);
    uint64_t sum = oracle(&w, &w.run.plan, budget, sent);
    int code = context_assemble(&w.run, &err);

    assert_int_equal(code, E_OK);  // by rules_check at its end
    assert_int_equal(w.run.context.history_tokens, sum);
    for (uint32_t n = 1; n < w.run.turn; n++) {
        if (step_is_sent(&w.run.context, &w.steps[n - 1][0]) != sent[n])
            fail_msg("turn %u of %u: sent %d, the oracle says %d", n, w.run.turn, !sent[n],
                     sent[n]);
    }
    const struct llm_message *last = &w.run.request.messages[w.run.request.messages_len - 1];
    assert_ptr_equal(last->steps[last->len - 1], &w.steps[w.run.turn - 1][0]);
    if (w.run.recalled)
        assert_ptr_equal(last->steps[last->len - 2], &recalled.step);
    assert_int_equal(w.run.context.sent_as.recalled_len, w.run.recalled != NULL);
    assert_true(w.run.context.total_tokens <= w.run.caps.window_tokens);
    context_release(&w.run.context);
}

static void test_context__whatever_the_plan(void **state)
{
    struct rand_sim r;
    (void)state;
    rand_sim_init(&r, 20260101);
    for (int i = 0; i < CASES; i++)
        check_case(&r.rand);
    printf(
        "# summary: context: %d random histories and plans, 0 unlike the oracle (seed 20260101)\n",
        CASES);
}

static void test_context__text_larger_than_the_window(void **state)
{
    static struct world w;
    struct rand_sim r;
    struct err err = ERR_INIT;
    (void)state;
    rand_sim_init(&r, 1);
    make_world(&w, &r.rand);
    history_plan_full(&w.run.plan);
    w.run.text_tokens = 5000;
    assert_int_equal(context_assemble(&w.run, &err), E_REFUSED);
    assert_non_null(strstr(err.message, "send less at a time"));
    context_release(&w.run.context);
}

static void test_context__stateless_sends_the_text_alone(void **state)
{
    static struct world w;
    struct rand_sim r;
    struct err err = ERR_INIT;
    (void)state;
    rand_sim_init(&r, 2);
    make_world(&w, &r.rand);
    history_plan_full(&w.run.plan);
    w.job.flags = JOB_STATELESS;
    assert_int_equal(context_assemble(&w.run, &err), E_OK);
    assert_int_equal(w.run.request.messages_len, 1);
    assert_int_equal(w.run.context.steps.len, 1);
    context_release(&w.run.context);
}

static void test_context__first_needed(void **state)
{
    static struct world w;
    struct rand_sim r;
    struct history_plan plan;
    (void)state;
    rand_sim_init(&r, 3);
    make_world(&w, &r.rand);
    w.chat.head.superseded_len = 0;
    struct history_cut cut = {0};
    history_plan_full(&plan);
    assert_int_equal(choose_first_needed(&w.chat, &plan, &cut, 30), 1);
    plan.last = 5;
    assert_int_equal(choose_first_needed(&w.chat, &plan, &cut, 30), 25);
    w.superseded[0] = (struct turn_range){26, 27};
    w.chat.head.superseded_len = 1;
    assert_int_equal(choose_first_needed(&w.chat, &plan, &cut, 30), 23);
    plan.slack = 21;
    assert_int_equal(choose_first_needed(&w.chat, &plan, &cut, 30), 23);
    plan.slack = 22;  // 27 turns that are not superseded
    assert_int_equal(choose_first_needed(&w.chat, &plan, &cut, 30), 1);
    cut.first = 12;
    assert_int_equal(choose_first_needed(&w.chat, &plan, &cut, 30), 12);
    plan.pinned[plan.pinned_len++] = 9;
    assert_int_equal(choose_first_needed(&w.chat, &plan, &cut, 30), 9);
    plan.pin_first = 1;
    assert_int_equal(choose_first_needed(&w.chat, &plan, &cut, 30), 1);
}

// Many turns of one session, each with the cut that the one before left: requests begin alike, but
// where the cut moves, and that is seldom.
static void test_context__cut_moves_in_big_steps(void **state)
{
    enum { KEEP = 10, SLACK = 10, ALL = 400 };
    static struct turn turns[ALL];
    static struct step steps[ALL][2];
    struct chat chat = {.turns = turns, .first = 1};
    struct live live = {.chat = &chat};
    struct job job = {0};
    struct worker w = {0};
    struct run run = {.w = &w, .live = &live, .job = &job, .policy = policy_plain(),
                      .caps.window_tokens = 100000};
    struct err err = ERR_INIT;
    uint32_t moves = 0;
    (void)state;
    context_init(&run.context);
    history_plan_full(&run.plan);
    run.plan.last = KEEP;
    run.plan.slack = SLACK;
    for (uint32_t n = 1; n <= ALL; n++) {
        uint32_t before = chat.head.cut.first;
        turns[n - 1] = (struct turn){.n = n, .steps = steps[n - 1], .steps_len = 1};
        for (int i = 0; i < 2; i++)
            steps[n - 1][i] = (struct step){.role = i ? ROLE_ASSISTANT : ROLE_USER,
                                            .content = content_over(&word, 1), .tokens = 7};
        chat.turns_len = chat.head.turns = run.turn = n;
        assert_int_equal(context_assemble(&run, &err), E_OK);
        turns[n - 1].steps_len = 2;
        chat.head.cut = *run.settle.cut;
        moves += chat.head.cut.first != before;
        assert_in_range(run.context.sent, n - 1 < KEEP ? n - 1 : KEEP, KEEP + SLACK);
        assert_int_equal(run.context.sent_as.cut_moved, n > 1 && chat.head.cut.first != before);
    }
    assert_int_equal(moves, 1 + (ALL - 1 - KEEP) / (SLACK + 1));
    context_release(&run.context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_context__whatever_the_plan),
        cmocka_unit_test(test_context__text_larger_than_the_window),
        cmocka_unit_test(test_context__stateless_sends_the_text_alone),
        cmocka_unit_test(test_context__first_needed),
        cmocka_unit_test(test_context__cut_moves_in_big_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
