// SPDX-License-Identifier: MIT
// talk_check.h: what a dialogue's lines do and what they check. A block is an action with the lines
// under it: its model: lines are known before it happens, its checks are made after, in their
// order.
//
// Invariants:
//   1. At the end of a block no model: line is left over, and every message of a request that was
//      checked at all was checked.
//   2. What goes wrong must be expected: an error, a turn that is not done and a warning each fail
//   the
//      dialogue unless a line says so.
#ifndef TALK_CHECK_H
#define TALK_CHECK_H

#include "talk_run.h"

// ---- blocks

static bool group_over(struct talk *t, unsigned n)
{
    unsigned at = t->block_sent + t->group;

    if (t->group_at == 0 || at >= t->sent_len || t->group_at == t->sent[at].len)
        return true;
    return talk_differs(t, n, "the request has more messages than sent: lines",
                        SLICE_LIT("(nothing)"), slice_str(t->sent[at].messages[t->group_at]));
}

static bool said_expected(struct talk *t, const struct said *s)
{
    if (s->code && !s->outcome_seen)
        return talk_fail(t, s->n,
                         "it ended with '%s: %s', and no status: or error: line expects that",
                         parley_code_word(s->code), s->error.ptr ? s->error.ptr : "");
    if (s->moved[0] && !s->moved_seen)
        return talk_fail(t, s->n, "no moved: line expects '%s'", s->moved);
    for (unsigned i = 0; i < s->warnings_len; i++) {
        if (!(s->warnings_seen >> i & 1))
            return talk_fail(t, s->n, "no warning: line expects '%s'", s->warnings[i]);
    }
    return true;
}

static bool block_over(struct talk *t, unsigned n)
{
    if (!t->in_block)
        return true;
    t->in_block = false;
    if (!group_over(t, n))
        return false;
    for (size_t i = t->answer_next; i < t->answer_end; i++) {
        const struct line *l = VEC_AT(&t->lines, struct line, i);
        if (l->word == W_MODEL)
            return talk_fail(t, l->n, "nobody asked the model for this answer");
        if (l->word == W_COUNT)
            return talk_fail(t, l->n, "nobody asked the provider to count");
    }
    return t->now && t->now->over ? said_expected(t, t->now) : true;
}

// The model: lines up to the next block are this one's answers.
static void block_begin(struct talk *t, size_t at)
{
    size_t end = at + 1;

    while (end < t->lines.len) {
        enum word_kind kind = WORD_TABLE[VEC_AT(&t->lines, struct line, end)->word].kind;
        if (kind != K_ANSWER && kind != K_CHECK)
            break;
        end++;
    }
    t->in_block = true;
    t->answer_next = at + 1;
    t->answer_end = end;
    t->action_n = VEC_AT(&t->lines, struct line, at)->n;
    t->block_sent = t->sent_len;
    t->group = t->group_at = 0;
    t->block_log = t->log.len;
}

// ---- actions

static struct said *say(struct talk *t)
{
    if (t->said_len == SAID_MAX) {
        talk_fail(t, t->action_n, "more than %d messages", SAID_MAX);
        return NULL;
    }
    struct said *s = &t->said[t->said_len++];
    *s = (struct said){.n = t->action_n,
                       .deltas = BUF_INIT(TALK_TEXT_BYTES_MAX),
                       .json = BUF_INIT(32 << 20),
                       .error = BUF_INIT(4096)};
    memcpy(s->user, t->user, sizeof(s->user));
    t->now = s;
    return s;
}

// What only holds for one message does no more.
static void said_once(struct talk *t)
{
    t->key[0] = t->with_provider[0] = t->with_model[0] = '\0';
    t->fresh = t->stateless = t->here = false;
    t->in_session = 0;
}

static bool after_asking(struct talk *t, struct said *s, int code, const parley_error *error)
{
    said_once(t);
    if (code) {
        s->code = code;
        s->over = true;
        buf_add_str(&s->error, error->message);
    }
    talk_run(t);
    return s->over || anything_paused(t) ? true : talk_fail(t, s->n, "it never came to an end");
}

static bool send_message(struct talk *t, const struct line *line)
{
    parley_message m = PARLEY_MESSAGE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    struct said *s = say(t);

    if (!s)
        return false;
    talk_tell(t, "user:", line->text);
    m.flags = (t->fresh || t->in_session ? 0u : (unsigned)PARLEY_CONTINUE) |
              (t->stateless ? (unsigned)PARLEY_STATELESS : 0u) |
              (line->word == W_REGENERATE ? (unsigned)PARLEY_REGENERATE : 0u) |
              (t->here ? (unsigned)PARLEY_CONTINUE_HERE : 0u);
    m.device = t->device[0] ? t->device : NULL;
    m.user = t->user;
    m.bot = t->bot;
    m.context = t->context;
    m.session = t->in_session ? t->sessions[t->in_session - 1] : NULL;
    m.key = t->key[0] ? t->key : NULL;
    m.provider = t->with_provider[0] ? t->with_provider : NULL;
    m.model = t->with_model[0] ? t->with_model : NULL;
    m.text = line->text.ptr;
    m.text_bytes = line->text.len;
    m.edit_turn = (uint32_t)strtoul(line->argument, NULL, 10);
    int code = parley_send(t->engine, &m, &s->request, &error);
    return after_asking(t, s, code, &error);
}

// The id of the active fact that has this value.
static bool find_fact(struct talk *t, const struct line *line, struct buf *id)
{
    struct json_doc doc = JSON_DOC_INIT;
    struct json_iter it = {0};
    struct json none, fact;

    if (!talk_ask_memory(t))
        return false;
    json_parse(&doc, buf_slice(&t->answer), 0, NULL);
    while (json_next(json_get(json_root(&doc), "facts"), &it, &none, &fact))
        if (!id->len && json_is_string(json_get(fact, "status"), "active") &&
            json_is_string(json_get(fact, "value"), line->argument))
            json_string(json_get(fact, "fact"), id);
    json_doc_release(&doc);
    return id->len || talk_fail(t, line->n, "no fact has that value: %s", t->answer.ptr);
}

static bool forget(struct talk *t, const struct line *line)
{
    parley_scope scope = PARLEY_SCOPE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    struct buf id = BUF_INIT(64);
    bool found = find_fact(t, line, &id);
    struct said *s = found ? say(t) : NULL;

    if (!s) {
        buf_release(&id);
        return false;
    }
    scope.user = t->user;
    scope.bot = t->bot;
    int code = parley_forget(t->engine, &scope, id.ptr, &s->request, &error);
    buf_release(&id);
    return after_asking(t, s, code, &error);
}

static bool command(struct talk *t, const struct line *line)
{
    uint32_t n = (uint32_t)strtoul(line->argument, NULL, 10);
    parley_scope scope = PARLEY_SCOPE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    struct said *s = say(t);

    if (!s)
        return false;
    scope.user = t->user;
    scope.bot = t->bot;
    scope.context = t->context;
    scope.device = t->device[0] ? t->device : NULL;
    scope.flags = t->here ? PARLEY_CONTINUE_HERE : 0;
    scope.session = t->in_session ? t->sessions[t->in_session - 1] : NULL;
    uint64_t *request = &s->request;
    int code;
    switch (line->word) {
    case W_RESUME:
        code = parley_resume(t->engine, &scope, request, &error);
        break;
    case W_SWEEP:
        code = parley_sweep(t->engine, 0, request, &error);
        break;
    case W_UNDO:
        code = parley_undo(t->engine, &scope, request, &error);
        break;
    case W_PIN:
        code = parley_pin(t->engine, &scope, n, request, &error);
        break;
    case W_UNPIN:
        code = parley_unpin(t->engine, &scope, n, request, &error);
        break;
    case W_CONSTRAINT:
        code = parley_constrain(t->engine, &scope, line->text.ptr, request, &error);
        break;
    case W_UNCONSTRAIN:
        code = parley_unconstrain(t->engine, &scope, n, request, &error);
        break;
    default:
        code = parley_reset(t->engine, &scope, request, &error);
        break;
    }
    return after_asking(t, s, code, &error);
}

struct damage_op {
    struct store_op op;
    bool done;
};

static void damage_op_done(struct store_op *op)
{
    CONTAINER_OF(op, struct damage_op, op)->done = true;
}

static void damage_op(struct talk *t, struct damage_op *d)
{
    d->op.loop = t->loop;
    d->op.done = damage_op_done;
    store_submit(t->hold, &d->op);
    talk_run(t);
    if (!d->done)
        talk_fail(t, t->action_n, "the store did not answer");
}

// One byte of what is stored as the head of session N, or of the first attempt of its turn T,
// becomes another; the engine's copy in memory is what it was, until `restart`.
static bool damage(struct talk *t, const struct line *line)
{
    char *turn;
    unsigned long n = strtoul(line->argument, &turn, 10);
    struct damage_op all = {.op = {.verb = STORE_PARTITIONS, .limit = STORE_SCAN_LIMIT_MAX}};
    char body[4096];
    struct buf key = BUF_INIT(RECORD_KEY_BYTES_MAX);
    bool hit = false;

    if (n < 1 || n > t->sessions_len)
        return talk_fail(t, line->n, "there are %u sessions so far", t->sessions_len);
    if (*turn)
        key_attempt(&key, t->sessions[n - 1], (uint32_t)strtoul(turn, NULL, 10), 1);
    else
        key_session(&key, t->sessions[n - 1]);
    damage_op(t, &all);
    for (uint32_t i = 0; i < all.op.rows_len && !hit; i++) {
        struct damage_op get = {.op = {.verb = STORE_GET, .key = buf_slice(&key),
                                       .partition = all.op.rows[i].partition}};
        damage_op(t, &get);
        struct slice bytes = get.op.rows_len ? get.op.rows[0].body.bytes : SLICE_NONE;
        hit = bytes.len > 0 && bytes.len <= sizeof(body);
        if (hit) {
            memcpy(body, bytes.ptr, bytes.len);
            body[bytes.len / 2] ^= 1;
            struct store_item item = {.verb = STORE_PUT, .key = get.op.key,
                                      .due_at_ms = get.op.rows[0].due_at_ms,
                                      .meta = get.op.rows[0].meta,
                                      .body = {slice_of(body, bytes.len)}};
            struct damage_op put = {.op = {.verb = STORE_COMMIT, .items = &item, .items_len = 1,
                                           .partition = all.op.rows[i].partition}};
            damage_op(t, &put);
            store_op_release(&put.op);
        }
        store_op_release(&get.op);
    }
    store_op_release(&all.op);
    buf_release(&key);
    t->damaged |= hit;
    return hit ? true : talk_fail(t, line->n, "session %lu has no record", n);
}

// What every session holds, one after the other.
static bool everything(struct talk *t, struct buf *out)
{
    for (unsigned i = 1; i <= t->sessions_len; i++) {
        if (!talk_ask_show(t, i))
            return false;
        buf_add_slice(out, buf_slice(&t->answer));
        buf_add_char(out, '\n');
    }
    return true;
}

static bool restart(struct talk *t)
{
    struct buf before = BUF_INIT(32 << 20), after = BUF_INIT(32 << 20);
    bool in_the_middle = anything_paused(t) || t->store_fails || t->damaged;
    bool ok = in_the_middle || (everything(t, &before) && talk_verify(t));

    talk_close(t);
    talk_tell(t, "restart", SLICE_NONE);
    if (t->damaged)
        ok = ok && talk_open(t);
    else
        ok = ok && talk_open(t) && talk_verify(t) && everything(t, &after);
    t->damaged = false;
    if (ok && !in_the_middle && !slice_eq(buf_slice(&before), buf_slice(&after)))
        ok = talk_differs(t, t->action_n, "a session is not what it was before the restart",
                          buf_slice(&before), buf_slice(&after));
    buf_release(&before);
    buf_release(&after);
    return ok;
}

static bool pass_time(struct talk *t, const struct line *line)
{
    struct err err = ERR_INIT;
    int64_t ms;

    if (clock_parse_span(slice_str(line->argument), &ms, &err))
        return talk_fail(t, line->n, "%s", err.message);
    int64_t until_ns = t->clock.mono_now_ns + ms * 1000000;
    loop_run_for(t->loop, ms);
    clock_sim_advance(&t->clock, (until_ns - t->clock.mono_now_ns) / 1000000);
    take_events(t);
    return true;
}

static bool go_on(struct talk *t)
{
    t->held = NULL;
    for (struct play *p = t->plays, *next; p; p = next) {
        next = p->next;
        if (p->paused)
            play_resume(p, strstr(p->request->url, "/chat/completions") != NULL);
    }
    talk_run(t);
    return true;
}

static bool look_at(struct talk *t, const struct line *line)
{
    unsigned long n = strtoul(line->argument, NULL, 10);

    if (n < 1 || n > t->said_len)
        return talk_fail(t, line->n, "there are %u messages so far", t->said_len);
    t->now = &t->said[n - 1];
    return true;
}

static bool act(struct talk *t, const struct line *line)
{
    if (t->settings_changed && t->engine && line->word != W_RESTART)
        return talk_fail(t, line->n, "set and provider take effect with a restart");
    if (!t->engine && !talk_open(t))
        return false;
    switch (line->word) {
    case W_USER:
    case W_EDIT:
    case W_REGENERATE:
        return send_message(t, line);
    case W_UNDO:
    case W_PIN:
    case W_UNPIN:
    case W_CONSTRAINT:
    case W_UNCONSTRAIN:
    case W_RESET:
    case W_SWEEP:
    case W_RESUME:
        return command(t, line);
    case W_FORGET:
        return forget(t, line);
    case W_DAMAGE:
        return damage(t, line);
    case W_RESTART:
        return restart(t);
    case W_TIME:
        return pass_time(t, line);
    case W_GOES_ON:
        return go_on(t);
    case W_MESSAGE:
        return look_at(t, line);
    default:
        break;
    }
    if (!t->now)
        return talk_fail(t, line->n, "there is nothing to stop");
    parley_stop(t->engine, t->now->request);
    talk_run(t);
    return true;
}

// ---- settings

static bool set_policy(struct talk *t, const struct line *line)
{
    char path[PATH_MAX_BYTES], name[PATH_MAX_BYTES];
    struct buf text = BUF_INIT(LUA_FILE_BYTES_MAX);
    size_t n;

    snprintf(t->bot, sizeof(t->bot), "%s", line->argument);
    snprintf(path, sizeof(path), "tests/talk/policies/%s.lua", line->argument);
    snprintf(name, sizeof(name), "policies/%s.lua", line->argument);
    if (line->source.len)
        return write_file(t, name, line->source);
    FILE *f = fopen(path, "rb");
    if (!f)
        return true; // one of the shipped ones
    char *to = buf_reserve(&text, 64 << 10);
    n = to ? fread(to, 1, 64 << 10, f) : 0;
    buf_grew(&text, n);
    fclose(f);
    bool ok = write_file(t, name, buf_slice(&text));
    buf_release(&text);
    return ok;
}

static bool add_setting(struct talk *t, const char *name, const char *value)
{
    struct buf text = BUF_INIT(4096);

    if (t->settings_len == SETTINGS_MAX)
        return talk_fail(t, t->action_n, "more than %d settings", SETTINGS_MAX);
    buf_addf(&text, "%s%s", name, value);
    t->settings[t->settings_len++] = buf_take(&text, NULL);
    t->settings_changed = true;
    return true;
}

static void set_name(char out[NAME_MAX_BYTES], const char *value)
{
    snprintf(out, NAME_MAX_BYTES, "%s", value);
}

static bool settle(struct talk *t, const struct line *line)
{
    const char *value = line->argument;
    const char *space;

    switch (line->word) {
    case W_PROVIDER:
        return add_setting(t, "default.provider=", value);
    case W_SET:
        return add_setting(t, "", value);
    case W_STORE:
        set_name(t->store, strcmp(value, "works") == 0 ? "" : value);
        t->settings_changed = true;
        return true;
    case W_POLICY:
        return set_policy(t, line);
    case W_AS:
        set_name(t->user, value);
        return true;
    case W_CONTEXT:
        set_name(t->context, value);
        return true;
    case W_BOT:
        set_name(t->bot, value);
        return true;
    case W_DEVICE:
        set_name(t->device, strcmp(value, "none") == 0 ? "" : value);
        return true;
    case W_HERE:
        t->here = true;
        return true;
    case W_NEW:
        t->fresh = true;
        return true;
    case W_KEY:
        set_name(t->key, value);
        return true;
    case W_STATELESS:
        t->stateless = true;
        return true;
    case W_IN:
        t->in_session = (unsigned)strtoul(value, NULL, 10);
        if (t->in_session < 1 || t->in_session > t->sessions_len)
            return talk_fail(t, line->n, "there are %u sessions so far", t->sessions_len);
        return true;
    default:
        break;
    }
    set_name(t->with_provider, value);
    space = strchr(t->with_provider, ' ');
    if (space) {
        set_name(t->with_model, space + 1);
        t->with_provider[space - t->with_provider] = '\0';
    }
    return true;
}

// ---- checks

static bool check_sent(struct talk *t, const struct line *line)
{
    unsigned at = t->block_sent + t->group;

    if (slice_is(line->text, "nothing"))
        return t->sent_len == t->block_sent
                   ? true
                   : talk_fail(t, line->n, "a request was sent all the same");
    if (at >= t->sent_len)
        return talk_fail(t, line->n,
                         "no such request was sent (what was sent stands before the model: line "
                         "that answers it)");
    const struct talk_request *s = &t->sent[at];
    struct slice actual = t->group_at < s->len ? slice_str(s->messages[t->group_at])
                                               : SLICE_LIT("(no more messages)");
    if (t->group_at >= s->len || !slice_eq(actual, line->text))
        return talk_differs(t, line->n, "another message was sent", line->text, actual);
    t->group_at++;
    return true;
}

static bool check_body(struct talk *t, const struct line *line)
{
    unsigned at = t->block_sent + t->group;

    if (at >= t->sent_len)
        return talk_fail(t, line->n,
                         "no such request was sent (what was sent stands before the model: line "
                         "that answers it)");
    struct slice body = buf_slice(&t->sent[at].body);
    if (slice_eq(body, line->source))
        return true;
    return talk_fail(t, line->n, "another body was sent\n    expected: %.*s\n    actual:   %.*s",
                     SLICE_FMT(line->source), SLICE_FMT(body));
}

// A member of what the message came to, as text; numbers and words as they stand.
static bool outcome(struct talk *t, const char *member, struct buf *out)
{
    struct json_doc doc = JSON_DOC_INIT;

    if (json_parse(&doc, buf_slice(&t->now->json), 0, NULL) == E_OK) {
        struct json v = json_get(json_root(&doc), member);
        if (!json_string(v, out))
            buf_add_slice(out, json_raw(v));
    }
    json_doc_release(&doc);
    return true;
}

static bool check_member(struct talk *t, const struct line *line, const char *member)
{
    struct buf text = BUF_INIT(TALK_TEXT_BYTES_MAX);

    outcome(t, member, &text);
    bool ok = slice_eq(buf_slice(&text), line->text);
    if (!ok)
        talk_differs(t, line->n, WORD_TABLE[line->word].name, line->text, buf_slice(&text));
    buf_release(&text);
    return ok;
}

// The reply, and that it is what was streamed.
static bool check_reply(struct talk *t, const struct line *line)
{
    if (!t->now->done)
        return check_member(t, line, "text");
    if (!check_member(t, line, "reply"))
        return false;
    return slice_eq(buf_slice(&t->now->deltas), line->text)
               ? true
               : talk_differs(t, line->n, "what was streamed is not the reply", line->text,
                              buf_slice(&t->now->deltas));
}

static bool check_session(struct talk *t, const struct line *line)
{
    unsigned number = session_number(t, t->now->session);
    const struct said *before = t->now;

    if (slice_is(line->text, "new"))
        return t->now->session_new ? true : talk_fail(t, line->n, "the session is not a new one");
    if (!slice_is(line->text, "same")) {
        unsigned long wanted = strtoul(line->text.ptr, NULL, 10);
        return wanted == number
                   ? true
                   : talk_fail(t, line->n, "it is session %u, not %lu", number, wanted);
    }
    while (before > t->said && !before[-1].session[0])
        before--;
    bool same = before > t->said && strcmp(before[-1].session, t->now->session) == 0;
    return same ? true : talk_fail(t, line->n, "it is another session than before");
}

static bool check_warning(struct talk *t, const struct line *line)
{
    struct said *s = t->now;

    for (unsigned i = 0; i < s->warnings_len; i++) {
        if (!(s->warnings_seen >> i & 1) && strstr(s->warnings[i], line->text.ptr)) {
            s->warnings_seen |= 1u << i;
            return true;
        }
    }
    return talk_differs(t, line->n, "no such warning", line->text,
                        slice_str(s->warnings_len ? s->warnings[0] : "(none)"));
}

static bool check_error(struct talk *t, const struct line *line)
{
    struct buf actual = BUF_INIT(4096);
    size_t word = strcspn(line->text.ptr, " ");
    const char *rest = line->text.ptr + word + (line->text.ptr[word] == ' ');
    const char *said = parley_code_word(t->now->code);

    t->now->outcome_seen = true;
    bool not = strncmp(line->text.ptr, "not ", 4) == 0;
    bool has = !*rest || (t->now->error.ptr && strstr(t->now->error.ptr, rest));
    bool ok = t->now->over && t->now->code &&
              (not ? !has : has && strlen(said) == word && !memcmp(said, line->text.ptr, word));
    buf_addf(&actual, "%s %s", t->now->code ? said : "(no error)",
             t->now->error.ptr ? t->now->error.ptr : "");
    if (!ok)
        talk_differs(t, line->n, "error", line->text, buf_slice(&actual));
    buf_release(&actual);
    return ok;
}

// One turn as "user assistant(cut)"; before each a "-" if it is superseded, a "*" if it is pinned.
static void ledger_turn(struct json turn, struct buf *out)
{
    struct json_iter it = {0};
    struct json none, step, steps = json_get(turn, "steps");
    const char *mark = json_bool(json_get(turn, "superseded"), false)      ? "-"
                       : json_type(json_get(turn, "pinned")) == JSON_STRING ? "*"
                                                                            : "";
    struct buf status = BUF_INIT(64), role = BUF_INIT(64);
    uint32_t left = json_count(steps);

    json_string(json_get(turn, "status"), &status);
    while (json_next(steps, &it, &none, &step)) {
        buf_clear(&role);
        json_string(json_get(step, "role"), &role);
        buf_addf(out, "%s%s%s", out->len ? " " : "", mark, role.ptr);
        if (--left == 0 && strcmp(status.ptr, "done") != 0)
            buf_addf(out, "(%s)", status.ptr);
    }
    buf_release(&status);
    buf_release(&role);
}

static bool check_show(struct talk *t, const struct line *line)
{
    struct json_doc doc = JSON_DOC_INIT;
    struct json_iter it = {0};
    struct json none, turn;
    struct buf actual = BUF_INIT(TALK_TEXT_BYTES_MAX);
    unsigned number = line->argument[0] ? (unsigned)strtoul(line->argument, NULL, 10)
                                        : session_number(t, t->now->session);

    if (number < 1 || number > t->sessions_len)
        return talk_fail(t, line->n, "there is no such session");
    if (!talk_ask_show(t, number))
        return false;
    json_parse(&doc, buf_slice(&t->answer), 0, NULL);
    if (line->word == W_SYSTEM)
        json_string(json_get(json_root(&doc), "system"), &actual);
    while (line->word == W_LEDGER &&
           json_next(json_get(json_root(&doc), "turns"), &it, &none, &turn))
        ledger_turn(turn, &actual);
    bool ok = slice_eq(buf_slice(&actual), line->text);
    if (!ok)
        talk_differs(t, line->n, WORD_TABLE[line->word].name, line->text, buf_slice(&actual));
    json_doc_release(&doc);
    buf_release(&actual);
    return ok;
}

static const char *member_name(struct slice word)
{
    static const char *const names[][2] = {
        {"in", "input_tokens"},      {"out", "output_tokens"},
        {"cached", "cached_tokens"}, {"written", "cache_write_tokens"},
        {"estimated", "estimated"},  {"cost", "cost_usd"},
        {"calls", "calls"},          {"estimated-calls", "estimated_calls"},
        {"limit", "limit"},          {"tokens", "tokens"},
        {"percent", "percent"},      {"due", "due"},
        {"archived", "archived"},    {"purged", "purged"},
        {"records", "records"},      {"left", "left"},
        {"learnt", "learnt"},        {"failed", "failed"}};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (slice_is(word, names[i][0]))
            return names[i][1];
    }
    return NULL;
}

// "in 10 out 5": each pair against the object.
static bool check_pairs(struct talk *t, const struct line *line, struct json object)
{
    struct slice left = line->text;

    while (left.len) {
        struct slice pair[2];
        for (int i = 0; i < 2; i++) {
            size_t n = 0;
            while (n < left.len && left.ptr[n] != ' ')
                n++;
            pair[i] = slice_of(left.ptr, n);
            left = talk_trim(slice_of(left.ptr + n, left.len - n));
        }
        const char *name = member_name(pair[0]);
        if (!name || !pair[1].len)
            return talk_fail(t, line->n, "'%.*s' is nothing that is counted", SLICE_FMT(pair[0]));
        struct slice actual = json_raw(json_get(object, name));
        if (!slice_eq(actual, pair[1]))
            return talk_differs(t, line->n, name, pair[1], actual);
    }
    return true;
}

static bool check_counts(struct talk *t, const struct line *line)
{
    parley_scope scope = PARLEY_SCOPE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    struct json_doc doc = JSON_DOC_INIT;
    const struct buf *from = &t->now->json;
    const char *member = line->word == W_TOKENS ? "usage" : "window";

    if (line->word == W_USAGE) {
        scope.flags = PARLEY_ALL_USERS;
        if (!talk_asked(t, parley_usage(t->engine, &scope, "model", &t->asked, &error), &error))
            return false;
        from = &t->answer;
        member = "total";
    }
    json_parse(&doc, buf_slice(from), 0, NULL);
    struct json root = json_root(&doc);
    bool ok = check_pairs(t, line, line->word == W_SWEPT ? root : json_get(root, member));
    json_doc_release(&doc);
    return ok;
}

// Those of the sessions seen so far, in their order.
static bool check_statuses(struct talk *t, const struct line *line)
{
    struct buf actual = BUF_INIT(4096);
    bool ok = true;

    for (unsigned i = 1; i <= t->sessions_len && ok; i++) {
        struct json_doc doc = JSON_DOC_INIT;
        ok = talk_ask_show(t, i);
        json_parse(&doc, buf_slice(&t->answer), 0, NULL);
        buf_add_str(&actual, i > 1 ? " " : "");
        json_string(json_get(json_root(&doc), "status"), &actual);
        json_doc_release(&doc);
    }
    if (ok && !slice_eq(buf_slice(&actual), line->text))
        ok = talk_differs(t, line->n, "statuses", line->text, buf_slice(&actual));
    buf_release(&actual);
    return ok;
}

// "lives_in=Porto -lives_in=Lisbon eats=fish? likes=tea~ +grows=tulips name=": what is so no more
// has a "-", what nobody vouches for a "?", what is old a "~", knowledge a "+", what was forgotten
// no value.
static void tell_facts(struct json list, const char *lead, struct buf *out)
{
    struct json_iter it = {0};
    struct json none, fact;

    while (json_next(list, &it, &none, &fact)) {
        struct json status = json_get(fact, "status");

        buf_addf(out, "%s%s%s", out->len ? " " : "", lead,
                 json_is_string(status, "superseded") ? "-" : "");
        json_string(json_get(fact, "predicate"), out);
        buf_add_char(out, '=');
        json_string(json_get(fact, "value"), out);
        buf_add_str(out, json_is_string(status, "quarantined") ? "?" : "");
        buf_add_str(out, json_bool(json_get(fact, "stale"), false) ? "~" : "");
    }
}

static bool check_facts(struct talk *t, const struct line *line)
{
    struct buf actual = BUF_INIT(1 << 16);
    struct json_doc doc = JSON_DOC_INIT;

    if (!talk_ask_memory(t))
        return false;
    json_parse(&doc, buf_slice(&t->answer), 0, NULL);
    tell_facts(json_get(json_root(&doc), "facts"), "", &actual);
    tell_facts(json_get(json_root(&doc), "knowledge"), "+", &actual);
    json_doc_release(&doc);
    bool ok = slice_eq(buf_slice(&actual), line->text) ||
              talk_differs(t, line->n, "facts", line->text, buf_slice(&actual));
    buf_release(&actual);
    return ok;
}

static bool check_log(struct talk *t, const struct line *line)
{
    const char *log = t->log.len > t->block_log ? t->log.ptr + t->block_log : "(nothing)";

    return strstr(log, line->text.ptr)
               ? true
               : talk_differs(t, line->n, "the log does not say that", line->text, slice_str(log));
}

static bool check_from(struct talk *t, const struct line *line)
{
    struct buf text = BUF_INIT(4096);

    outcome(t, "provider", &text);
    buf_add_char(&text, ' ');
    outcome(t, "model", &text);
    bool ok = slice_eq(talk_trim(buf_slice(&text)), line->text);
    if (!ok)
        talk_differs(t, line->n, "from", line->text, buf_slice(&text));
    buf_release(&text);
    return ok;
}

// What the request of the message's turn was made of: "pinned by the user 1, newest 3 4".
static bool check_why(struct talk *t, const struct line *line)
{
    parley_scope scope = PARLEY_SCOPE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    struct json_doc doc = JSON_DOC_INIT;
    struct json_iter it = {0};
    struct json none, turn;
    struct buf actual = BUF_INIT(TALK_TEXT_BYTES_MAX), why = BUF_INIT(4096), last = BUF_INIT(4096);

    scope.user = t->now->user;
    scope.session = t->now->session;
    int code = parley_why(t->engine, &scope, t->now->turn, &t->asked, &error);
    if (!talk_asked(t, code, &error))
        return false;
    json_parse(&doc, buf_slice(&t->answer), 0, NULL);
    while (json_next(json_get(json_root(&doc), "sent"), &it, &none, &turn)) {
        buf_clear(&why);
        json_string(json_get(turn, "why"), &why);
        if (!slice_eq(buf_slice(&why), buf_slice(&last)))
            buf_addf(&actual, "%s%s", actual.len ? ", " : "", why.ptr);
        buf_clear(&last);
        buf_add_slice(&last, buf_slice(&why));
        buf_add_char(&actual, ' ');
        json_string(json_get(turn, "turn"), &actual);
    }
    bool ok = slice_eq(buf_slice(&actual), line->text);
    if (!ok)
        talk_differs(t, line->n, "why", line->text, buf_slice(&actual));
    json_doc_release(&doc);
    buf_release(&actual);
    buf_release(&why);
    buf_release(&last);
    return ok;
}

static bool check(struct talk *t, const struct line *line)
{
    if (!t->in_block || (!t->now && line->word != W_VERIFY))
        return talk_fail(t, line->n, "nothing has happened yet that could be checked");
    switch (line->word) {
    case W_SENT:
        return check_sent(t, line);
    case W_BODY:
        return check_body(t, line);
    case W_REPLY:
        return check_reply(t, line);
    case W_STATUS:
        t->now->outcome_seen = true;
        return check_member(t, line, "status");
    case W_STOPPED:
        return check_member(t, line, "stop");
    case W_TURN:
        return check_member(t, line, "turn");
    case W_SESSION:
        return check_session(t, line);
    case W_WARNING:
        return check_warning(t, line);
    case W_ERROR:
        return check_error(t, line);
    case W_LOG:
        return check_log(t, line);
    case W_LEDGER:
    case W_SYSTEM:
        return check_show(t, line);
    case W_TOKENS:
    case W_USAGE:
    case W_WINDOW:
        return check_counts(t, line);
    case W_FROM:
        return check_from(t, line);
    case W_WHY:
        return check_why(t, line);
    case W_SWEPT:
        return check_counts(t, line);
    case W_MOVED:
        t->now->moved_seen = true;
        return strcmp(t->now->moved, line->text.ptr) == 0
                   ? true
                   : talk_differs(t, line->n, "moved", line->text, slice_str(t->now->moved));
    case W_GREETING:
        return check_member(t, line, "greeting");
    case W_RESUMED:
        return check_member(t, line, t->now->done ? "origin" : "resumed");
    case W_STATUSES:
        return check_statuses(t, line);
    case W_FACTS:
        return check_facts(t, line);
    default:
        return talk_verify(t);
    }
}

// ---- the whole dialogue

static bool read_dialogue(struct talk *t, struct slice file)
{
    struct buf why = BUF_INIT(4096);
    bool ok = talk_read(file, &t->lines, &why);

    t->answers = mem_calloc(t->lines.len + 1, sizeof(*t->answers));
    for (size_t i = 0; i < t->lines.len && ok; i++) {
        const struct line *l = VEC_AT(&t->lines, struct line, i);
        if (l->word == W_MODEL || l->word == W_COUNT)
            ok = answer_read(l, &t->answers[i], &why);
    }
    if (!ok)
        buf_addf(&t->why, "%s:%s", t->path, why.ptr);
    buf_release(&why);
    return ok;
}

static bool dialogue_over(struct talk *t)
{
    if (!block_over(t, t->action_n))
        return false;
    if (!t->engine)
        return talk_fail(t, 0, "nothing happens in this dialogue");
    for (unsigned i = 0; i < t->said_len; i++) {
        const struct said *s = &t->said[i];
        if (!s->over && !s->lost_with_engine)
            return talk_fail(t, s->n, "it never came to an end");
        if (!said_expected(t, s))
            return false;
    }
    return t->damaged || talk_verify(t);
}

static bool play_line(struct talk *t, size_t i)
{
    const struct line *line = VEC_AT(&t->lines, struct line, i);

    switch (WORD_TABLE[line->word].kind) {
    case K_SETTING:
        return block_over(t, line->n) && settle(t, line);
    case K_ACTION:
        if (!block_over(t, line->n))
            return false;
        block_begin(t, i);
        return act(t, line);
    case K_ANSWER:
        if (!t->in_block)
            return talk_fail(t, line->n, "a model: line stands under what it answers");
        if (line->word == W_COUNT)
            return true;
        if (!group_over(t, line->n))
            return false;
        t->group++;
        t->group_at = 0;
        return true;
    case K_CHECK:
        return check(t, line);
    }
    return false;
}

// Plays the whole dialogue; the failure is in t->why.
static bool talk_play(struct talk *t, struct slice file)
{
    if (!read_dialogue(t, file))
        return false;
    for (size_t i = 0; i < t->lines.len; i++) {
        if (!play_line(t, i) || t->why.len)
            return false;
    }
    return dialogue_over(t) && t->why.len == 0;
}

#endif
