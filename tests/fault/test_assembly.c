// SPDX-License-Identifier: MIT
// Whatever a ledger holds and whatever a policy wants of it, the request is valid. Random sessions
// (assembly.h) turn by turn through the engine's own assembly and rendering, with plans, water
// marks, recalled quotations, summaries, other models, changed prompts, turns undone, restarts,
// crashes before the end of a turn, and a provider that says that it does not fit, down to the text
// alone. Each body is judged by rules that were written apart from the engine
// (support/wire_rules.h), and:
//   - the user's new text is there, last; a turn is sent whole or not at all, in order, and none
//     that was undone; the pinned ones and the newest are there as far as there is room
//   - it fits the window, and so does the longest reply that it asks for
//   - until the cut moves, a request begins with the bytes of the one before; and the cut moves
//     only where the marks of the plan say so
//   - what a summary stands for is not sent beside it, unless it is pinned
//   - nothing is refused but a text that does not fit by itself
// FAULT_SEED=n begins with the session of that seed.
#include "fault/assembly.h"

enum { CASES = 40000, CASES_LONG = 1000000, MARKS_MAX = TURNS_MAX * STEPS_MAX * 4,
       RAW_BYTES_MAX = 4 << 20 };

enum control { NO_CONTROL, PER_MESSAGE_WINDOW, CUT_FORGOTTEN };

struct tally {
    uint64_t cases, sessions, invalid, refused, ladders, moves, prefixes, recalled, cold, summed;
    uint64_t of_dialect[3];
    char first[512];           // what was wrong first, and its session's seed
};

// The request before, as far as the next one is held against it.
struct earlier {
    bool there, whole;         // `whole`: its cut was stored
    const struct model *model;
    struct history_plan plan;
    uint32_t turn, first;
    uint64_t system_hash;
    struct buf raw;            // its messages, without the marks of breakpoints
};

struct judge {
    struct session *s;
    struct tally *tally;
    uint64_t seed;
    struct wire_rules rules;
    struct buf body, raw;
    struct earlier earlier;
    uint64_t refused, alone;   // tokens that the provider said do not fit; of a text alone; 0: none
    const struct model *refused_by;
    bool found[TURNS_MAX + 1][STEPS_MAX];
    enum control control;
};

__attribute__((format(printf, 2, 3))) static void wrong(struct judge *j, const char *fmt, ...)
{
    char what[384];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    if (!j->tally->invalid++)
        snprintf(j->tally->first, sizeof(j->tally->first), "turn %u: %s (FAULT_SEED=%llu)",
                 j->s->run.turn, what, (unsigned long long)j->seed);
    if (!j->control && getenv("FAULT_SHOW"))
        printf("# turn %u: %s (FAULT_SEED=%llu)\n", j->s->run.turn, what,
               (unsigned long long)j->seed);
}

// ---- what a body is made of

// Reads the marks "<TURN.STEP>" into j->found. False: not in order, or of turns that may not be
// there.
static bool read_marks(struct judge *j)
{
    const char *at = j->body.ptr, *end = at + j->body.len;
    unsigned long turn = 0, step = 0;
    memset(j->found, 0, sizeof(j->found));
    while ((at = memchr(at, '<', (size_t)(end - at)))) {
        char *dot;
        unsigned long n = strtoul(++at, &dot, 10);
        if (dot == at || *dot != '.')
            continue;
        unsigned long i = strtoul(dot + 1, &dot, 10);
        if (n > j->s->run.turn || i >= STEPS_MAX || n < turn || (n == turn && i < step))
            return wrong(j, "the mark %lu.%lu is out of order", n, i), false;
        if (j->s->turns[n].superseded)
            return wrong(j, "turn %lu was undone, and is sent", n), false;
        turn = n;
        step = i;
        j->found[n][i] = true;
    }
    return true;
}

// A turn is there whole, as far as it may be sent, or not at all; tells which. Steps that are left
// out for good reason are known from how the turn was made.
static bool is_sent(struct judge *j, uint32_t n)
{
    const struct made *made = &j->s->made[n];
    bool any = false, all = true;
    for (uint32_t i = 0; i < j->s->turns[n].steps_len; i++) {
        bool must = i < made->closed && made->marked[i];
        any = any || j->found[n][i];
        all = all && j->found[n][i] == must;
    }
    if (any && !all)
        wrong(j, "turn %u is not sent as a whole", n);
    return any;
}

static struct json last_message(const struct judge *j)
{
    struct json messages = json_get(json_root(&j->rules.doc), "messages");
    return json_at(messages, json_count(messages) - 1);
}

static void check_new_text(struct judge *j)
{
    struct json content = json_get(last_message(j), "content");
    struct slice want = safe_slice(j->s->steps[j->s->run.turn][0].content.blocks[0].text);
    if (j->s->model->dialect == LLM_ANTHROPIC)
        content = json_get(json_at(content, json_count(content) - 1), "text");
    struct slice got = json_text(content, &j->rules.text);
    bool quoted = memmem(got.ptr, got.len, "<R>", 3) != NULL;
    if (j->s->model->dialect == LLM_ANTHROPIC)
        quoted = memmem(j->body.ptr, j->body.len, "<R>", 3) != NULL;
    if (!slice_ends(got, want))
        wrong(j, "the user's text is not the last");
    if (quoted != (j->s->run.context.recalled != NULL))
        wrong(j, "what was recalled is %squoted", quoted ? "" : "not ");
    bool summed = memmem(j->body.ptr, j->body.len, "<S>", 3) != NULL;
    if (summed != (j->s->run.context.summary != NULL))
        wrong(j, "the summary is %squoted", summed ? "" : "not ");
}

// ---- tokens

static bool stateless(const struct judge *j)
{
    return j->s->job.flags & JOB_STATELESS;
}

// What history may surely take: a reply is never promised more than a quarter of the window.
static uint64_t sure_room(const struct judge *j)
{
    const struct run *run = &j->s->run;
    uint64_t used = run->system_tokens + run->text_tokens;
    used += run->context.recalled ? run->context.recalled->step.tokens : 0;
    used += TOKENS_PER_REQUEST;
    used += summary_tokens(&run->context);
    uint64_t room = run->caps.window_tokens;
    if (j->refused_by == j->s->model && j->refused <= room)
        room = j->refused - 1;
    room = room * 3 / 4;
    room = room > used ? room - used : 0;
    if (run->plan.budget_tokens && run->plan.budget_tokens < room)
        room = run->plan.budget_tokens;
    return run->ladder_tokens && run->ladder_tokens < room ? run->ladder_tokens : room;
}

static bool is_pinned(const struct history_plan *p, uint32_t n)
{
    bool pinned = n <= p->pin_first;
    for (uint32_t i = 0; i < p->pinned_len; i++)
        pinned = pinned || p->pinned[i] == n;
    return pinned;
}

// Marked turns only: others cannot be found in a body. And not a text that was refused, or one as
// long.
static bool must_be_found(const struct judge *j, uint32_t n)
{
    bool too_long = j->refused_by == j->s->model && j->alone && j->s->turns[n].steps_len == 1 &&
                    made_tokens(j->s, n) >= j->alone;
    return !too_long && j->s->made[n].closed && j->s->made[n].marked[0];
}

// The turns that the summary stands for, which is sent, or was taken out when the cut had moved.
static uint32_t summed_upto(const struct judge *j)
{
    return j->s->run.summary ? j->s->run.summary->made.upto : 0;
}

static void check_chosen(struct judge *j)
{
    const struct run *run = &j->s->run;
    uint64_t sum = run->system_tokens + run->text_tokens, pins = 0;
    uint32_t newest = run->turn - 1;
    sum += run->context.recalled ? run->context.recalled->step.tokens : 0;
    sum += summary_tokens(&run->context);
    while (newest > 0 && j->s->turns[newest].superseded)
        newest--;
    for (uint32_t n = 1; n < run->turn; n++) {
        if (j->s->turns[n].superseded)
            continue;
        bool sent = is_sent(j, n);
        uint64_t tokens = made_tokens(j->s, n);
        pins += is_pinned(&run->plan, n) ? tokens : 0;
        uint64_t beside = is_pinned(&run->plan, n) ? pins : pins + tokens;
        bool summed = n <= summed_upto(j);
        bool wanted = is_pinned(&run->plan, n) || (n == newest && run->plan.last > 0 && !summed);
        if (wanted && !sent && must_be_found(j, n) && beside <= sure_room(j) && !stateless(j))
            wrong(j, "turn %u is pinned or the newest, has room, and is not sent", n);
        sum += sent ? tokens : 0;
        if (sent && summed && !is_pinned(&run->plan, n))
            wrong(j, "turn %u is sent beside its summary", n);
        if (sent && stateless(j))
            wrong(j, "turn %u is sent with a message that is to stand alone", n);
    }
    struct json root = json_root(&j->rules.doc);
    int64_t reply = json_i64(json_get(root, "max_tokens"), 0);
    reply += json_i64(json_get(root, "max_completion_tokens"), 0);
    if (sum + (uint64_t)reply > run->caps.window_tokens)
        wrong(j, "%llu tokens and %lld of a reply do not fit %llu", (unsigned long long)sum,
              (long long)reply, (unsigned long long)run->caps.window_tokens);
}

// ---- beside the request before

static void without_marks(struct buf *out, struct slice in)
{
    static const char mark[] = ",\"cache_control\":{\"type\":\"ephemeral\"}";
    const char *at;
    buf_clear(out);
    out->max = RAW_BYTES_MAX;
    while ((at = memmem(in.ptr, in.len, mark, sizeof(mark) - 1))) {
        size_t n = (size_t)(at - in.ptr);
        buf_add(out, in.ptr, n);
        in = slice_of(at + sizeof(mark) - 1, in.len - n - (sizeof(mark) - 1));
    }
    buf_add_slice(out, in);
}

// Whether the marks let the cut stay: then it may not have moved.
static bool cut_could_stay(const struct judge *j)
{
    const struct history_plan *p = &j->s->run.plan;
    uint64_t sum = 0, turns = 0, slack = p->slack;
    if (summed_upto(j) >= j->earlier.first)
        return false;
    // Of three slacks a summary may be late by two.
    if (p->summary.tokens)
        slack = 3 * (slack ? slack : 1);
    for (uint32_t n = 1; n < j->s->run.turn; n++) {
        bool in_run = n >= j->earlier.first;
        if (j->s->turns[n].superseded)
            continue;
        turns += in_run;
        sum += in_run || is_pinned(p, n) ? made_tokens(j->s, n) : 0;
    }
    return sum <= sure_room(j) && (p->last == UINT32_MAX || turns <= p->last + slack);
}

static void check_prefix(struct judge *j)
{
    const struct run *run = &j->s->run;
    const struct earlier *e = &j->earlier;
    bool alike = e->there && e->model == j->s->model && !j->s->rewritten &&
                 memcmp(&e->plan, &run->plan, sizeof(e->plan)) == 0;
    if (!alike || !e->whole || stateless(j))
        return;
    bool told = run->context.cut.turn == run->turn;
    bool moved = run->context.cut.first != e->first;
    bool begins_alike = run->settle.system_hash == e->system_hash && j->raw.len >= e->raw.len &&
                        memcmp(j->raw.ptr, e->raw.ptr, e->raw.len) == 0;
    // A text that was not answered and is larger than the history may be is not sent again.
    bool left_out = j->s->turns[e->turn].steps_len == 1 && !j->found[e->turn][0] &&
                    (made_tokens(j->s, e->turn) > sure_room(j) || !must_be_found(j, e->turn));
    j->tally->moves += told;
    if (moved && cut_could_stay(j))
        wrong(j, "the cut moved from %u to %u, and had no need to", e->first,
              run->context.cut.first);
    if (moved && !told)
        wrong(j, "the cut moved, and nothing tells it");
    if (!told && !moved && !left_out && !begins_alike && run->gap_ms < CACHE_COLD_MS)
        wrong(j, "the request does not begin as the one before, and no cut is told");
    j->tally->prefixes += begins_alike;
}

// What of this request the next one is to begin with: not the end of its last message, to which a
// text may be added; nothing of that message, if it holds what was recalled.
static void remember(struct judge *j, bool whole)
{
    struct earlier *e = &j->earlier;
    struct slice keep = buf_slice(&j->raw);
    if (j->s->run.context.recalled) {
        struct json_doc doc = JSON_DOC_INIT;
        if (json_parse(&doc, keep, 0, NULL))
            give_up("messages that are not JSON");
        struct json root = json_root(&doc);
        keep.len = (size_t)(json_raw(json_at(root, json_count(root) - 1)).ptr - keep.ptr);
        json_doc_release(&doc);
    } else {
        keep.len -= 3;  // ]}] or "}]
    }
    e->there = true;
    e->turn = j->s->run.turn;
    e->whole = whole;
    e->model = j->s->model;
    e->plan = j->s->run.plan;
    e->first = j->s->run.context.cut.first;
    e->system_hash = j->s->run.settle.system_hash;
    e->raw.max = RAW_BYTES_MAX;
    buf_clear(&e->raw);
    buf_add_slice(&e->raw, keep);
    j->s->rewritten = false;
}

// ---- one request

static bool body_is_valid(struct judge *j)
{
    const struct llm_caps *caps = &j->s->run.caps;
    struct err err = ERR_INIT;
    buf_clear(&j->body);
    j->body.max = RAW_BYTES_MAX;
    j->tally->cases++;
    j->tally->of_dialect[j->s->model->dialect]++;
    j->tally->recalled += j->s->run.context.recalled != NULL;
    j->tally->summed += j->s->run.context.summary != NULL;
    if (llm_render(j->s->model->dialect, caps, &j->s->run.request, &j->body, &err))
        return wrong(j, "not rendered: %s", err.message), false;
    j->rules.model = j->s->model->name;
    j->rules.max_completion_tokens = caps->max_completion_tokens;
    j->rules.developer_role = caps->developer_role;
    j->rules.stream_usage = caps->stream_usage;
    j->rules.output_max = caps->output_tokens_max;
    bool valid = j->s->model->dialect == LLM_ANTHROPIC
                     ? wire_rules_anthropic(&j->rules, buf_slice(&j->body))
                     : wire_rules_openai(&j->rules, buf_slice(&j->body));
    if (!valid)
        wrong(j, "%s", j->rules.why);
    return valid;
}

static void judge_request(struct judge *j)
{
    // A window by message breaks the providers' rules already.
    if (!body_is_valid(j) || j->control == PER_MESSAGE_WINDOW || !read_marks(j))
        return;
    without_marks(&j->raw, json_raw(json_get(json_root(&j->rules.doc), "messages")));
    check_new_text(j);
    check_chosen(j);
    if (!j->s->run.ladder_tokens)
        check_prefix(j);
}

// The newest messages, one by one, as many bots have it: for the control.
static void message_window(struct session *s)
{
    struct context *c = &s->run.context;
    uint32_t left = 1 + (uint32_t)rand_below(s->r, 12);
    struct step *newest[TURNS_MAX * STEPS_MAX];
    uint32_t len = 0;
    for (uint32_t n = s->run.turn; n > 0 && len < left; n--) {
        for (uint32_t i = s->turns[n].steps_len; i-- > 0 && len < left;) {
            if (!s->turns[n].superseded && n >= s->chat.first)
                newest[len++] = &s->steps[n][i];
        }
    }
    vec_clear(&c->messages);
    vec_clear(&c->steps);
    for (uint32_t i = len; i-- > 0;)
        *(struct step **)vec_push(&c->steps) = newest[i];
    for (uint32_t i = 0; i < len; i++) {
        struct step **at = (struct step **)c->steps.ptr + i;
        *(struct llm_message *)vec_push(&c->messages) = (struct llm_message){(*at)->role, at, 1};
    }
    s->run.request.messages = c->messages.ptr;
    s->run.request.messages_len = (uint32_t)c->messages.len;
}

// False: refused, which only a text that is too long may be.
static bool assemble(struct judge *j)
{
    struct run *run = &j->s->run;
    struct err err = ERR_INIT;
    int code = context_assemble(run, &err);
    bool too_long = run->system_tokens + run->text_tokens >= run->caps.window_tokens;
    if (code && !too_long)
        wrong(j, "refused: %s", err.message);
    else if (code)
        j->tally->refused++;
    if (code)
        return false;
    if (j->control == PER_MESSAGE_WINDOW)
        message_window(j->s);
    judge_request(j);
    return true;
}

// ---- a session

static void recall_something(struct session *s)
{
    struct run *run = &s->run;
    run->context.recalled = run->recalled = NULL;
    mem_free(s->recalled.step.wire.ptr);
    s->recalled.step.wire = (struct wire_form){0};
    if (!one_in(s, 4))
        return;
    s->recalled_block = (struct block){
        .type = BLOCK_TEXT, .text = SAFE_LIT("<recalled>\n> user: <R>\n</recalled>")};
    s->recalled = (struct recalled){
        .step = {.role = ROLE_USER, .content = content_over(&s->recalled_block, 1)}, .len = 1};
    s->recalled.step.tokens = (uint32_t)rand_below(s->r, context_budget(run) / 2 + 1);
    run->recalled = &s->recalled;
}

static void something_changes(struct judge *j, uint32_t n)
{
    struct session *s = j->s;
    if (one_in(s, 25))
        use_model(s, &MODELS[rand_below(s->r, MODELS_LEN)]);
    if (one_in(s, 30))
        use_prompt(s);
    if (one_in(s, 30))
        make_plan(s);
    if (n > 1 && one_in(s, 15)) {
        uint32_t from = n > 4 && one_in(s, 2) ? n - 3 : 1 + (uint32_t)rand_below(s->r, n - 1);
        undo_turns(s, from, n - 1);
        j->earlier.there = false;
    }
    if (one_in(s, 20))
        session_restart(s, n - 1);
    s->run.gap_ms = one_in(s, 10) ? 2 * (int64_t)CACHE_COLD_MS : 1000;
    if (s->run.gap_ms > CACHE_COLD_MS)
        j->refused_by = NULL;
    j->tally->cold += s->run.gap_ms > CACHE_COLD_MS;
}

static void take_settle(struct session *s)
{
    const struct ledger_settle *settle = &s->run.settle;
    if (!settle->cut)
        return;
    s->chat.head.cut = *settle->cut;
    if (settle->system_hash == s->chat.head.system_hash)
        return;
    // The text may be the one that is replaced.
    struct safe_text system = settle->system;
    struct safe_buf fresh;
    safe_buf_init(&fresh, 1 << 16);
    safe_buf_add(&fresh, system);
    safe_buf_release(&s->chat.system);
    s->chat.system = fresh;
    s->chat.head.system_hash = settle->system_hash;
}

// The provider says that it does not fit, again and again.
static void down_the_ladder(struct judge *j)
{
    uint64_t before = UINT64_MAX;
    j->tally->ladders++;
    for (unsigned i = 0;; i++) {
        if (j->refused_by != j->s->model)
            j->alone = 0;
        j->refused = j->s->run.context.total_tokens;
        j->refused_by = j->s->model;
        if (!context_smaller(&j->s->run)) {
            j->alone = j->s->run.text_tokens;
            j->s->failed = true;
            break;
        }
        if (!assemble(j))
            return;
        // The last rung may bring a new system prompt, which may be longer.
        const struct context *c = &j->s->run.context;
        uint64_t now = c->history_tokens + (c->recalled ? c->recalled->step.tokens : 0);
        now += summary_tokens(c);
        if (now >= before || i > LADDER_RUNGS_MAX)
            wrong(j, "the ladder does not go down");
        before = now;
        if (one_in(j->s, 4))
            return;
    }
    const struct context *end = &j->s->run.context;
    if (end->history_tokens || end->recalled || end->summary)
        wrong(j, "the ladder ends above the text alone");
}

static void run_turn(struct judge *j, uint32_t n)
{
    struct session *s = j->s;
    struct run *run = &s->run;
    open_turn(s, n);
    s->chat.head.turns = n;
    session_load(s, n);
    something_changes(j, n);
    run->turn = n;
    run->text_tokens = s->steps[n][0].tokens;
    run->ladder_tokens = 0;
    run->ladder_rungs = 0;
    run->context.recalled = NULL;
    memset(&run->settle, 0, sizeof(run->settle));
    s->job.flags = one_in(s, 40) ? JOB_STATELESS : 0;
    if (j->control == CUT_FORGOTTEN)
        s->chat.head.cut = (struct history_cut){0};
    summarise_something(s);
    session_load(s, context_first_needed(run));
    recall_something(s);
    bool sent = assemble(j);
    bool alone = stateless(j);
    if (sent && !alone && j->control != PER_MESSAGE_WINDOW) {
        // A crash before the end of the turn: nothing of it is stored but what was accepted.
        bool whole = !one_in(s, 12);
        remember(j, whole);
        if (one_in(s, 12))
            down_the_ladder(j), j->earlier.there = false;
        if (whole)
            take_settle(s);
    }
    if (alone && run->gap_ms > CACHE_COLD_MS)
        j->earlier.there = false;
    end_turn(s, n);
}

static void run_session(struct judge *j, uint64_t seed, uint64_t cases)
{
    struct session *s = j->s;
    j->seed = seed;
    j->earlier.there = false;
    j->refused_by = NULL;
    session_begin(s, seed);
    uint32_t turns = 1 + (uint32_t)rand_below(s->r, TURNS_MAX);
    uint32_t n = 0;
    while (n < turns && j->tally->cases < cases)
        run_turn(j, ++n);
    session_end(s, n);
    j->tally->sessions++;
}

static void run_cases(uint64_t seed, uint64_t cases, enum control control, struct tally *tally)
{
    static struct session s;
    struct judge j = {.s = &s, .tally = tally, .control = control};
    memset(tally, 0, sizeof(*tally));
    while (tally->cases < cases)
        run_session(&j, seed + tally->sessions, cases);
    wire_rules_release(&j.rules);
    buf_release(&j.body);
    buf_release(&j.raw);
    buf_release(&j.earlier.raw);
}

// ---- the tests

static void test_assembly__every_request_is_valid(void **state)
{
    struct tally t;
    uint64_t seed = fault_seed();
    (void)state;
    run_cases(seed, fault_long() ? CASES_LONG : CASES, NO_CONTROL, &t);
    summary("assembly: %llu requests (%llu Anthropic, %llu OpenAI) of %llu sessions: %llu invalid; "
            "%llu with something recalled, %llu with a summary, %llu times down the ladder, %llu "
            "texts refused as too long; %llu began as the one before, %llu cuts (seed %llu)",
            (unsigned long long)t.cases, (unsigned long long)t.of_dialect[LLM_ANTHROPIC],
            (unsigned long long)t.of_dialect[LLM_OPENAI], (unsigned long long)t.sessions,
            (unsigned long long)t.invalid, (unsigned long long)t.recalled,
            (unsigned long long)t.summed,
            (unsigned long long)t.ladders, (unsigned long long)t.refused,
            (unsigned long long)t.prefixes, (unsigned long long)t.moves, (unsigned long long)seed);
    if (t.invalid)
        fail_msg("%llu invalid; the first: %s", (unsigned long long)t.invalid, t.first);
    assert_true(t.prefixes > t.cases / 20 && t.moves > t.cases / 200 && t.ladders && t.refused);
    assert_true(t.summed > t.cases / 20);
}

static void run_control(enum control control, const char *name)
{
    struct tally t;
    uint64_t seed = fault_seed();
    run_cases(seed, CASES / 8, control, &t);
    summary("control: %s: %llu of %llu requests wrong, as they must be: %s (seed %llu)", name,
            (unsigned long long)t.invalid, (unsigned long long)t.cases, t.first,
            (unsigned long long)seed);
    assert_true(t.invalid > t.cases / 100);
}

static void test_assembly__a_window_by_message_is_found_out(void **state)
{
    (void)state;
    run_control(PER_MESSAGE_WINDOW, "the newest messages, whatever they are");
}

static void test_assembly__a_cut_that_is_forgotten_is_found_out(void **state)
{
    (void)state;
    run_control(CUT_FORGOTTEN, "the cut is not kept");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_assembly__every_request_is_valid),
        cmocka_unit_test(test_assembly__a_window_by_message_is_found_out),
        cmocka_unit_test(test_assembly__a_cut_that_is_forgotten_is_found_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
