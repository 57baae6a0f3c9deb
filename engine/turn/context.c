// SPDX-License-Identifier: MIT
// context.c: plan + ledger => messages that are valid and fit the window.
//
// choose.c says which turns; whatever it chose, the messages alternate and end with the user's new
// text: a turn without a reply gives its text to the user message that follows. rules_check
// confirms it before the send.
//
// A system prompt that the policy has changed takes effect where the request begins anew anyway:
// when the cut moves, or nothing of the session can be in a provider's cache. The past is not
// rewritten: an event says from which turn on which prompt held.
//
// Work grows with what is sent, not with what is behind.
#include "turn/choose.h"
#include "turn/constrain.h"
#include "turn/gauge.h"
#include "turn/mask.h"
#include "turn/predict.h"

// All of a history may be sent: its turns bound the messages.
enum { CONTEXT_STEPS_MAX = 1 << 22 };

void context_init(struct context *c)
{
    memset(c, 0, sizeof(*c));
    vec_init(&c->messages, sizeof(struct llm_message), CONTEXT_STEPS_MAX);
    vec_init(&c->steps, sizeof(struct step *), CONTEXT_STEPS_MAX);
}

void context_release(struct context *c)
{
    vec_release(&c->messages);
    vec_release(&c->steps);
    constraints_release(c);
}

static uint64_t who_is_asked(const struct run *run)
{
    static const struct history_plan any;
    return choose_plan_hash(&any, run->provider, run->model, 0);
}

// What the one who is asked has lately refused in this session; NULL: nothing. A new text is sent
// whatever was refused before: the provider may have changed its mind.
static const struct refused *refused_of(const struct run *run)
{
    const struct refused *r = &run->live->refused;
    return r->tokens && r->by == who_is_asked(run) ? r : NULL;
}

static uint64_t output_reserve(const struct run *run)
{
    uint64_t wanted = run->policy->info.max_output_tokens;
    if (wanted == 0)
        wanted = OUTPUT_TOKENS_DEFAULT;
    if (run->caps.output_tokens_max && wanted > run->caps.output_tokens_max)
        wanted = run->caps.output_tokens_max;
    // A small window (a local model's) is not eaten up by the reply that it might give.
    return wanted < run->caps.window_tokens / 4 ? wanted : run->caps.window_tokens / 4;
}

uint64_t context_output_max(const struct run *run)
{
    uint64_t asked = run->policy->info.max_output_tokens;
    const struct context *c = &run->context;
    uint64_t total = gauge_likely(run, c->anchor, c->total_tokens);
    uint64_t window = run->caps.window_tokens;
    uint64_t room = window > total ? window - total : 1;
    uint64_t most = asked ? asked : output_reserve(run);
    return most < room ? most : room;
}

uint64_t context_limit(const struct run *run)
{
    return run->caps.window_tokens - output_reserve(run);
}

// What the plan's turns and all beside them may be, as we count. Well below what was refused.
static uint64_t room_of(const struct run *run, const struct anchor *anchor)
{
    const struct refused *r = refused_of(run);
    uint64_t room = gauge_room(run, anchor, context_limit(run));
    uint64_t less = r ? (r->tokens - 1) * 3 / 4 : room;
    return less < room ? less : room;
}

static uint64_t budget_beside(const struct run *run, const struct anchor *anchor)
{
    uint64_t room = room_of(run, anchor);
    uint64_t used = TOKENS_PER_REQUEST + run->system_tokens + run->text_tokens;
    used += run->context.recalled ? run->context.recalled->step.tokens : 0;
    used += summary_tokens(&run->context) + constraints_tokens(&run->context);
    return room > used ? room - used : 0;
}

uint64_t context_budget(const struct run *run)
{
    return budget_beside(run, NULL);
}

// A text that has more is in no history: the same from turn to turn, whatever is said beside it.
static uint64_t turn_tokens_max(const struct run *run)
{
    const struct refused *r = refused_of(run);
    uint64_t room = gauge_room(run, NULL, context_limit(run)), budget = run->plan.budget_tokens;
    uint64_t fixed = TOKENS_PER_REQUEST + run->system_tokens;
    uint64_t most = room > fixed ? room - fixed : 0;
    if (r && r->text_tokens && r->text_tokens <= most)
        most = r->text_tokens - 1;
    return budget && budget < most ? budget : most;
}

// Room for so many steps more, each of them perhaps a message.
static bool reserve_steps(struct context *c, uint32_t len)
{
    return vec_reserve(&c->steps, len) && vec_reserve(&c->messages, len);
}

// Adds a step, which has room, to the last message if the role is the same, else to a new one.
static void put_step(struct context *c, struct step *step, enum role role)
{
    struct step **steps = c->steps.ptr;
    struct llm_message *messages = c->messages.ptr;
    steps[c->steps.len++] = step;
    if (c->messages.len == 0 || messages[c->messages.len - 1].role != role)
        messages[c->messages.len++] = (struct llm_message){.role = role};
    messages[c->messages.len - 1].len++;
}

static void put_reply(struct context *c, struct step *step, uint32_t tokens)
{
    put_step(c, step, ROLE_ASSISTANT);
    c->reply_tokens += tokens;
    c->replies++;
}

static bool add_step(struct context *c, struct step *step)
{
    if (!reserve_steps(c, 1))
        return false;
    put_step(c, step, step->role);
    return true;
}

// Of another model than is asked now, or nobody knows which.
static bool is_foreign(const struct run *run, const struct turn *t)
{
    return strcmp(t->model, run->model) != 0 || strcmp(t->provider, run->provider) != 0;
}

// Not a step that says nothing: an empty reply is none.
static void put_steps(struct run *run, const struct turn *t)
{
    struct context *c = &run->context;
    uint32_t len = sendable_steps(t);
    for (uint32_t i = 0; i < len; i++) {
        struct step *s = &t->steps[i];
        if (s->content.has & CONTENT_BOUND)
            s->foreign = is_foreign(run, t);
        if (!rules_says_something(&s->content))
            continue;
        if (s->role == ROLE_ASSISTANT)
            put_reply(c, s, s->tokens);
        else
            put_step(c, s, s->role);
    }
}

// Of most turns the steps, which are elsewhere in memory, need not be looked at.
static bool add_turn(struct run *run, struct turn *t, enum sent_why why)
{
    struct context *c = &run->context;
    const struct turn_gist *gist = turn_gist(t);
    if (!reserve_steps(c, t->steps_len))
        return false;
    if (gist->plain) {
        put_step(c, &t->steps[0], ROLE_USER);
        put_reply(c, &t->steps[1], gist->reply_tokens);
    } else {
        put_steps(run, t);
    }
    sent_add(&c->sent_as, t->n, why);
    c->sent++;
    return true;
}

// The vec of step pointers may have moved while it grew: the messages get their parts at the end.
static void point_messages(struct context *c)
{
    struct step **at = c->steps.ptr;
    struct llm_message *messages = c->messages.ptr;
    for (size_t i = 0; i < c->messages.len; i++) {
        messages[i].steps = at;
        at += messages[i].len;
    }
}

// A step that is there, or nothing.
static bool add_beside(struct context *c, struct step *step)
{
    return content_empty(&step->content) || add_step(c, step);
}

static uint32_t pins_end_of(const struct context *c)
{
    return c->pins_end < c->first ? c->pins_end : c->first;
}

static enum sent_why pinned_by(const struct session_head *head, uint32_t n)
{
    const struct turn_pin *pin = pins_find(&head->pins, n);
    if (!pin)
        return SENT_PINNED;
    return pin->by == PIN_USER ? SENT_PINNED_BY_USER : SENT_PINNED_BY_POLICY;
}

static bool build(struct run *run, const struct turn *now)
{
    struct context *c = &run->context;
    const struct chat *chat = run->live->chat;
    const struct history_plan *plan = &run->plan;
    uint32_t pins_end = pins_end_of(c);
    vec_clear(&c->messages);
    vec_clear(&c->steps);
    c->sent = 0;
    c->replies = 0;
    c->reply_tokens = 0;
    memset(&c->sent_as, 0, sizeof(c->sent_as));
    if (!add_beside(c, &c->constraints_front))
        return false;
    for (uint32_t n = choose_next_pinned(plan, 0); n && n < pins_end;
         n = choose_next_pinned(plan, n)) {
        struct turn *t = choose_sent(c, chat, n);
        if (t && !add_turn(run, t, pinned_by(&chat->head, n)))
            return false;
    }
    if (c->summary && !add_step(c, &c->summary->step))
        return false;
    // Most turns have two steps: their room at once. Where there is none for all, turn by turn.
    (void)(c->first < now->n && reserve_steps(c, 2 * (now->n - c->first) + 1));
    for (uint32_t n = c->first; n < now->n; n++) {
        struct turn *t = choose_sent(c, chat, n);
        if (t && !add_turn(run, t, SENT_NEWEST))
            return false;
    }
    c->dropped = now->n - 1 - c->sent;
    if (c->recalled && !add_step(c, &c->recalled->step))
        return false;
    if (!add_beside(c, &c->constraints_fresh))
        return false;
    if (!add_step(c, &now->steps[0]))
        return false;
    point_messages(c);
    return true;
}

// ---- the system prompt, and the cut

static void use_system(struct run *run, struct safe_text system)
{
    run->system = system;
    run->system_tokens = tokens_of_system(turn_encoding(run), system);
}

static bool prompt_changed(const struct run *run)
{
    return run->live->chat->head.system_hash != run->policy->info.system_hash;
}

bool context_needs_prompt(const struct run *run)
{
    return prompt_changed(run) && !run->live->chat->system_loaded;
}

// What a cut is made for: the plan, the model, and the constraints that stand in front of it.
static uint64_t made_for(const struct run *run, uint32_t first, uint32_t turn)
{
    return choose_plan_hash(&run->plan, run->provider, run->model, first) ^
           constraints_hash(run->live->chat->head.constraints, turn);
}

// The cut that the plan goes on from; none if it was made for another plan or model.
static struct history_cut cut_before(const struct run *run)
{
    const struct history_cut *cut = &run->live->chat->head.cut;
    return cut->plan == made_for(run, cut->first, cut->turn) ? *cut : (struct history_cut){0};
}

// What a summary stands for is not sent: a newer one moves the cut, to where it ends.
static struct history_cut cut_to_begin(const struct run *run)
{
    struct history_cut cut = cut_before(run);
    const struct summarised *s = run->context.summary;
    if (s && cut.first <= s->made.upto)
        cut.first = s->made.upto + 1;
    return cut;
}

uint32_t context_first_needed(const struct run *run)
{
    struct history_cut cut = cut_to_begin(run);
    return choose_first_needed(run->live->chat, &run->plan, &cut, run->turn);
}

static uint32_t summary_sent(const struct run *run)
{
    return run->context.summary ? run->context.summary->made.upto : 0;
}

// Of how a request begins: its oldest turn, its prompt, and what stands in front since `cut_turn`.
static uint64_t anchor_key(const struct run *run, uint32_t first, uint32_t cut_turn,
                           uint64_t system_hash)
{
    return made_for(run, first, cut_turn) ^ system_hash ^ (uint64_t)summary_sent(run) << 32 ^
           run->context.core_hash;
}

// Known of a request that one which begins so begins with.
static const struct anchor *anchor_of(const struct run *run, uint32_t first, uint32_t cut_turn,
                                      uint64_t system_hash)
{
    const struct anchor *anchor = &run->live->anchor;
    if (!anchor->tokens || anchor->key != anchor_key(run, first, cut_turn, system_hash) ||
        session_is_superseded(&run->live->chat->head, anchor->turn))
        return NULL;
    return anchor;
}

struct anchor context_anchor(const struct run *run, uint64_t tokens)
{
    const struct context *c = &run->context;
    uint64_t all = c->total_tokens;
    bool sane = tokens >= all / 4 && tokens / 4 <= all;
    // What was recalled for this request is not in the next one; what was stated of late stands
    // behind more there, or is taken back.
    uint64_t fresh = c->recalled ? c->recalled->step.tokens : 0;
    uint64_t kept = all - fresh - c->constraints_fresh.tokens;
    if (all < CALIBRATION_TOKENS_MIN || !sane || run->job->flags & JOB_STATELESS)
        return (struct anchor){0};
    uint64_t system_hash =
        c->new_prompt ? run->policy->info.system_hash : run->live->chat->head.system_hash;
    return (struct anchor){.estimated = kept,
                         .tokens = tokens * kept / all,
                         .key = anchor_key(run, c->first, c->cut.turn, system_hash),
                         .pins_end = pins_end_of(c),
                         .turn = run->turn};
}

// Chooses within what is left beside system and text, or in less, when the provider refused more.
static void choose(struct run *run, uint64_t system_hash)
{
    struct context *c = &run->context;
    struct history_cut cut = cut_to_begin(run);
    uint32_t start = cut.first ? cut.first : 1;
    const struct anchor *anchor = anchor_of(run, start, cut.turn, system_hash);
    uint64_t budget = run->ladder_tokens ? run->ladder_tokens : budget_beside(run, anchor);
    c->turn_tokens_max = turn_tokens_max(run);
    choose_turns(c, run->live->chat, &run->plan, &cut, run->turn, budget);
    if (anchor && (c->first != start || pins_end_of(c) != anchor->pins_end)) {
        // It begins elsewhere now, and nothing is known of that.
        anchor = NULL;
        if (budget > context_budget(run))
            budget = context_budget(run);
        choose_turns(c, run->live->chat, &run->plan, &cut, run->turn, budget);
    }
    c->anchor = anchor;
}

uint32_t context_first(const struct run *run)
{
    struct context next = {.turn_tokens_max = turn_tokens_max(run)};
    struct history_cut cut = cut_to_begin(run);
    choose_turns(&next, run->live->chat, &run->plan, &cut, run->turn, context_budget(run));
    return next.first;
}

uint64_t context_next_tokens(const struct run *run)
{
    struct context next = {.turn_tokens_max = turn_tokens_max(run)};
    const struct chat *chat = run->live->chat;
    struct history_cut cut = cut_to_begin(run);
    // This turn's text is history by then, not a text beside it.
    uint64_t budget = context_budget(run) + run->text_tokens;
    choose_turns(&next, chat, &run->plan, &cut, chat->head.turns + 1, budget);
    const struct anchor *anchor = anchor_of(run, next.first, cut.turn, chat->head.system_hash);
    if (anchor && pins_end_of(&next) != anchor->pins_end)
        anchor = NULL;
    uint64_t beside = summary_tokens(&run->context) + constraints_tokens(&run->context);
    uint64_t fixed = TOKENS_PER_REQUEST + run->system_tokens + beside;
    return gauge_likely(run, anchor, fixed + next.history_tokens);
}

static bool same_beginning(const struct run *run, const struct history_cut *before)
{
    const struct context *c = &run->context;
    return c->first == before->first && pins_end_of(c) == before->pins_end &&
           summary_sent(run) == before->summary;
}

// Without a cut all that was stated stands in front.
int context_constrain(struct run *run, struct err *err)
{
    struct history_cut cut = cut_before(run);
    return constraints_compose(run, cut.first ? cut.turn : UINT32_MAX, err);
}

static void choose_with_prompt(struct run *run)
{
    struct context *c = &run->context;
    const struct chat *chat = run->live->chat;
    struct history_cut before = cut_before(run);
    bool changed = prompt_changed(run);
    use_system(run, changed ? safe_buf_text(&chat->system) : run->policy->info.system);
    choose(run, chat->head.system_hash);
    // Nothing of what was sent before can be in a provider's cache any more, or be of use in it.
    bool anew = !same_beginning(run, &before) || c->history_tokens == 0 ||
                run->gap_ms >= CACHE_COLD_MS;
    c->new_prompt = changed && anew;
    if (c->new_prompt) {
        use_system(run, run->policy->info.system);
        choose(run, run->policy->info.system_hash);
    }
    uint32_t turn = !c->new_prompt && same_beginning(run, &before) ? before.turn : run->turn;
    c->cut = (struct history_cut){
        .first = c->first,
        .turn = turn,
        .plan = made_for(run, c->first, turn),
        .pins_end = pins_end_of(c),
        .summary = summary_sent(run),
    };
}

// ---- what was made

// Beside the turns, which build noted.
static void tell_sent(struct run *run)
{
    struct context *c = &run->context;
    struct sent *sent = &c->sent_as;
    memcpy(sent->strategy, run->plan.strategy, sizeof(sent->strategy));
    memcpy(sent->by, run->plan.by, sizeof(sent->by));
    sent->cut_moved = c->cut.turn == run->turn && c->cut.first > 1;
    sent->system_tokens = run->system_tokens;
    sent->history_tokens = c->history_tokens;
    sent->constraints = c->constraints;
    sent->constraints_tokens = c->constraints ? constraints_tokens(c) - c->core_tokens : 0;
    sent->core_tokens = c->core_tokens;
    if (c->recalled) {
        sent->recalled_len = c->recalled->len;
        sent->recalled_tokens = c->recalled->step.tokens;
        memcpy(sent->recalled, c->recalled->list, sizeof(sent->recalled));
    }
    if (c->summary) {
        sent->summary_upto = c->summary->made.upto;
        sent->summary_tokens = c->summary->step.tokens;
    }
    predict_usage(run, &sent->predicted);
}

static void make_request(struct run *run)
{
    struct context *c = &run->context;
    run->request = (struct llm_request){
        .model = run->model,
        .system = run->system,
        .system_tokens = run->system_tokens,
        .messages = c->messages.ptr,
        .messages_len = (uint32_t)c->messages.len,
        .max_output_tokens = context_output_max(run),
        .fresh = c->recalled || !content_empty(&c->constraints_fresh.content),
        .cache = !(run->job->flags & JOB_STATELESS),
    };
    mask_reveal_to_model(run, &run->request);
}

bool context_smaller(struct run *run)
{
    const struct context *c = &run->context;
    struct refused *r = &run->live->refused;
    run->careful = true;
    run->live->anchor = (struct anchor){0};
    if (!refused_of(run))
        *r = (struct refused){.by = who_is_asked(run)};
    r->tokens = c->total_tokens;
    if (c->history_tokens == 0 && !c->recalled && !c->summary) {
        r->text_tokens = run->text_tokens;
        run->settle.cut = NULL;  // what is before it is not at fault
        return false;
    }
    // Over the high mark by one, so that the cut moves to the low one. A budget of one token is
    // none: no turn is so short.
    bool last = ++run->ladder_rungs >= LADDER_RUNGS_MAX || c->history_tokens < 2;
    run->ladder_tokens = last ? 1 : c->history_tokens - 1;
    return true;
}

static int check_text_fits(const struct run *run, struct err *err)
{
    uint64_t fixed = run->system_tokens + run->text_tokens + constraints_tokens(&run->context);
    fixed = gauge_likely(run, NULL, fixed);
    if (fixed < run->caps.window_tokens)
        return E_OK;
    return err_set(err, E_REFUSED,
                   "the message alone%s is about %llu tokens, and %s takes no more than %llu with "
                   "its reply: send less at a time, or choose a model with a larger window",
                   run->context.constraints ? ", with the session's constraints," : "",
                   (unsigned long long)fixed, run->model,
                   (unsigned long long)run->caps.window_tokens);
}

// What is beside the turns, when all of it does not fit: what was recalled goes first, where the
// provider says so at once, the summary when no turn is left that could go.
static void choose_beside(struct run *run)
{
    struct context *c = &run->context;
    bool nothing_else = c->history_tokens == 0 && !c->recalled;
    c->recalled = run->ladder_tokens ? NULL : run->recalled;
    if (!run->ladder_tokens)
        c->summary = run->summary;
    else if (nothing_else || run->ladder_rungs >= LADDER_RUNGS_MAX)
        c->summary = NULL;
}

// A system prompt that is longer now, or a long message, may leave no room for it.
static void drop_beside(struct run *run)
{
    struct context *c = &run->context;
    uint64_t window = run->caps.window_tokens;
    uint64_t fixed = run->system_tokens + run->text_tokens + constraints_tokens(c);
    fixed += summary_tokens(c);
    if (c->recalled && gauge_likely(run, NULL, fixed + c->recalled->step.tokens) >= window)
        c->recalled = NULL;
    if (c->summary && gauge_likely(run, NULL, fixed) >= window) {
        c->summary = NULL;
        c->cut.summary = 0;
        c->cut.turn = run->turn;
        c->anchor = NULL;
    }
}

int context_assemble(struct run *run, struct err *err)
{
    struct context *c = &run->context;
    const struct chat *chat = run->live->chat;
    const struct turn *now = chat_turn(chat, run->turn);
    bool stateless = run->job->flags & JOB_STATELESS;
    int code = E_OK;
    if (run->gap_ms >= CACHE_COLD_MS && !run->ladder_rungs)
        run->live->refused = (struct refused){0};
    choose_beside(run);
    if (stateless) {
        use_system(run, SAFE_NONE);
        constraints_release(c);
        c->first = run->turn;
        c->pins_end = 0;
        c->history_tokens = 0;
        c->anchor = NULL;
    } else {
        code = context_constrain(run, err);
        if (!code)
            choose_with_prompt(run);
        // A cut that moves takes along what was stated since the one before.
        if (!code && !content_empty(&c->constraints_fresh.content))
            code = constraints_compose(run, c->cut.turn, err);
    }
    if (!code)
        code = check_text_fits(run, err);
    if (code)
        return code;
    drop_beside(run);
    if (!build(run, now))
        return err_set(err, E_NOMEM, "out of memory while assembling the request");
    c->total_tokens = TOKENS_PER_REQUEST + run->system_tokens + run->text_tokens;
    c->total_tokens += c->history_tokens + constraints_tokens(c);
    c->total_tokens += c->recalled ? c->recalled->step.tokens : 0;
    c->total_tokens += summary_tokens(c);
    if (!stateless) {
        run->settle.cut = &c->cut;
        run->settle.system = run->system;
        run->settle.system_hash =
            c->new_prompt ? run->policy->info.system_hash : chat->head.system_hash;
    }
    make_request(run);
    tell_sent(run);
    return rules_check(run->request.messages, run->request.messages_len, err);
}
