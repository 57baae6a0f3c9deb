// SPDX-License-Identifier: MIT
// What people meet who come back after two months, whose records are damaged, or whose message
// comes while the store fails; in simulated time. Of each: no turn lost, nothing remembered twice,
// and what the person saw. (What breaks on the way, a line, a program or somebody's patience:
// test_reconnect.)
//
// Negative controls: who comes back after two months and had not said anything of themselves; and
// a message that is sent again without its key.
#include "fault/years.h"

enum { DAYS_AWAY = 60, PEOPLE = 20, PEOPLE_LONG = 500, TEXTS = 3, KEY_LEN = 24 };

static unsigned people(void)
{
    return fault_long() ? PEOPLE_LONG : PEOPLE;
}

// ---- asking

static parley_event *tell(struct years *y, const struct person *p, const char *text,
                          const char *key)
{
    parley_message m = PARLEY_MESSAGE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request;
    char user[32];
    user_of(y, p, user);
    m.user = user;
    m.text = text;
    m.key = key;
    m.flags = PARLEY_CONTINUE;
    return answer(y, parley_send(y->engine, &m, &request, &error), &error);
}

static void say_all(struct years *y, const struct person *p)
{
    unsigned n = (unsigned)(p - y->people);
    char texts[TEXTS][48];
    snprintf(texts[0], sizeof(texts[0]), "I live in C%u. #%u", n + 1, ++y->texts);
    snprintf(texts[1], sizeof(texts[1]), "I like F%u. #%u", n % FOODS, ++y->texts);
    snprintf(texts[2], sizeof(texts[2]), "How is the weather? #%u", ++y->texts);
    for (unsigned i = 0; i < TEXTS; i++)
        parley_event_free(tell(y, p, texts[i], NULL));
}

static int all_memory(parley *e, const parley_scope *scope, uint64_t *request, parley_error *error)
{
    return parley_memory(e, scope, PARLEY_MEMORY_FACTS | PARLEY_MEMORY_JOURNAL, request, error);
}

// How many of a person's facts are remembered as they said them, and how many more there are.
struct remembered {
    unsigned right, more;
};
static struct remembered look_up(struct years *y, const struct person *p)
{
    unsigned n = (unsigned)(p - y->people);
    struct remembered r = {0};
    struct json_doc doc = JSON_DOC_INIT;
    parley_event *event = ask(y, p, all_memory, NULL);
    char lives[16], likes[16];
    snprintf(lives, sizeof(lives), "C%u", n + 1);
    snprintf(likes, sizeof(likes), "F%u", n % FOODS);
    if (event->type == PARLEY_EVENT_RESULT && !json_parse(&doc, slice_str(event->json), 0, NULL)) {
        struct json_iter it = {0};
        struct json fact;
        while (json_next(json_get(json_root(&doc), "facts"), &it, NULL, &fact)) {
            struct json value = json_get(fact, "value");
            if (!json_is_string(json_get(fact, "status"), "active"))
                continue;
            if (json_is_string(value, lives) || json_is_string(value, likes))
                r.right++;
            else
                r.more++;
        }
    }
    r.more += r.right > 2 ? r.right - 2 : 0;
    json_doc_release(&doc);
    parley_event_free(event);
    return r;
}

static void sweep_once(struct years *y)
{
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request;
    parley_event_free(answer(y, parley_sweep(y->engine, 0, &request, &error), &error));
}

static unsigned count_turns(struct years *y, const struct person *p, const char *session)
{
    struct json_doc doc = JSON_DOC_INIT;
    parley_event *event = ask(y, p, parley_show, session);
    unsigned n = 0;
    if (event->type == PARLEY_EVENT_RESULT && !json_parse(&doc, slice_str(event->json), 0, NULL))
        n = json_count(json_get(json_root(&doc), "turns"));
    json_doc_release(&doc);
    parley_event_free(event);
    return n;
}

// ---- two months away

struct dormancy {
    unsigned early, kept, greeted, fresh, told, missing, twice;
    char saw[256];
};

static void come_back(struct years *y, struct person *p, const char *session, struct dormancy *d)
{
    char city[16], text[48];
    snprintf(city, sizeof(city), "C%u", (unsigned)(p - y->people) + 1);
    d->kept += count_turns(y, p, session);
    parley_event *event = ask(y, p, parley_resume, NULL);
    d->fresh += strstr(event->json, "\"resumed\":\"fresh\"") != NULL;
    d->greeted += strstr(event->json, "Good to have you back.") != NULL;
    if (!d->saw[0])
        snprintf(d->saw, sizeof(d->saw), "%s", event->json);
    parley_event_free(event);
    snprintf(text, sizeof(text), "What do you know of where I live? #%u", ++y->texts);
    parley_event_free(tell(y, p, text, NULL));
    d->told += memmem(y->request.ptr, y->request.len, city, strlen(city)) != NULL;
    struct remembered r = look_up(y, p);
    d->missing += 2 - (r.right < 2 ? r.right : 2);
    d->twice += r.more;
}

static struct dormancy stay_away(unsigned n, bool tells)
{
    struct years y;
    struct dormancy d = {0};
    char (*sessions)[ID_TEXT_BYTES] = calloc(n, sizeof(*sessions));
    years_open(&y, 1, n);
    for (unsigned i = 0; i < n && sessions; i++) {
        parley_event *event;
        if (tells)
            say_all(&y, &y.people[i]);
        event = tell(&y, &y.people[i], "Bye for now. #0", NULL);
        snprintf(sessions[i], ID_TEXT_BYTES, "%s", event->session);
        parley_event_free(event);
    }
    for (unsigned day = 0; day < DAYS_AWAY; day++) {
        clock_sim_advance(&y.clock, DAY_MS);
        sweep_once(&y);
        if (day == 29)
            for (unsigned i = 0; i < n && sessions; i++)
                d.early += count_turns(&y, &y.people[i], sessions[i]) != (tells ? TEXTS + 1 : 1);
    }
    for (unsigned i = 0; i < n && sessions; i++)
        come_back(&y, &y.people[i], sessions[i], &d);
    free(sessions);
    years_close(&y);
    return d;
}

static void test_scenarios__long_dormancy(void **state)
{
    unsigned n = people();
    struct dormancy d = stay_away(n, true);

    (void)state;
    summary("%d days away: %u people; turns lost before their time %u (0), there after it %u (0); "
            "begun fresh %u, greeted %u, the model told where they live %u of %u; facts missing %u "
            "(0), twice or strange %u (0); they saw %s", DAYS_AWAY, n, d.early, d.kept, d.fresh,
            d.greeted, d.told, n, d.missing, d.twice, d.saw);
    assert_int_equal(d.early + d.kept + d.missing + d.twice, 0);
    assert_int_equal(d.fresh, n);
    assert_int_equal(d.greeted, n);
    assert_int_equal(d.told, n);
}

static void test_scenarios__control_nothing_said(void **state)
{
    struct dormancy d = stay_away(3, false);

    (void)state;
    summary("control, nothing said of oneself: the model told %u, facts missing %u (more than 0)",
            d.told, d.missing);
    assert_int_equal(d.told, 0);
    assert_true(d.missing > 0);
}

// ---- damaged records

struct hold_op {
    struct store_op op;
    bool done;
};

static void hold_op_done(struct store_op *op)
{
    CONTAINER_OF(op, struct hold_op, op)->done = true;
}

static void hold_op(struct years *y, struct loop *loop, struct hold_op *h)
{
    h->op.loop = loop;
    h->op.done = hold_op_done;
    store_submit(y->hold, &h->op);
    loop_run(loop);
    if (!h->done)
        give_up("the store does not answer");
}

// One bit of one record of the kind; its partition (*partition of size PARTITION_BYTES) and no
// other. False: there is none.
static bool damage(struct years *y, const char *kind, unsigned nth)
{
    struct hold_op all = {.op = {.verb = STORE_PARTITIONS, .limit = STORE_SCAN_LIMIT_MAX}};
    struct loop *loop;
    bool hit = false;
    if (loop_new_sim(&loop, &y->clock, NULL))
        give_up("no loop");
    hold_op(y, loop, &all);
    for (uint32_t i = 0; i < all.op.rows_len && !hit; i++) {
        struct hold_op scan = {.op = {.verb = STORE_SCAN, .key = slice_str(kind), .limit = 1,
                                      .partition = all.op.rows[i].partition}};
        if (all.op.rows[i].partition.ptr[0] == '~' || nth-- > 0)
            continue;
        hold_op(y, loop, &scan);
        struct slice body = scan.op.rows_len ? scan.op.rows[0].body.bytes : SLICE_NONE;
        char *bytes = body.len ? malloc(body.len) : NULL;
        if (bytes) {
            memcpy(bytes, body.ptr, body.len);
            bytes[body.len / 2] ^= 1;
            struct store_item item = {.verb = STORE_PUT, .key = scan.op.rows[0].key,
                                      .due_at_ms = scan.op.rows[0].due_at_ms,
                                      .meta = scan.op.rows[0].meta,
                                      .body = {slice_of(bytes, body.len)}};
            struct hold_op put = {.op = {.verb = STORE_COMMIT, .items = &item, .items_len = 1,
                                         .partition = all.op.rows[i].partition}};
            hold_op(y, loop, &put);
            store_op_release(&put.op);
            hit = true;
        }
        free(bytes);
        store_op_release(&scan.op);
    }
    store_op_release(&all.op);
    loop_free(loop);
    return hit;
}

struct corruption {
    unsigned damaged, answered, refused, others, twice, lost;
    char saw[200];
};

static void look_after(struct years *y, struct corruption *c, unsigned turns)
{
    unsigned harmed = 0;
    for (unsigned i = 0; i < y->people_len; i++) {
        struct person *p = &y->people[i];
        char text[48];
        snprintf(text, sizeof(text), "How is the weather? #%u", ++y->texts);
        parley_event *event = tell(y, p, text, NULL);
        bool done = event->type == PARLEY_EVENT_DONE && event->code == PARLEY_OK;
        struct remembered r = look_up(y, p);
        harmed += !done || r.right != 2;
        c->answered += done;
        c->refused += !done;
        c->twice += r.more;
        c->lost += done && count_turns(y, p, event->session) != turns;
        if (!done && !c->saw[0])
            snprintf(c->saw, sizeof(c->saw), "%s", event->text);
        parley_event_free(event);
    }
    c->others += harmed > 1 ? harmed - 1 : 0;
}

static struct corruption corrupt(const char *kind, unsigned rounds)
{
    struct corruption c = {0};
    for (unsigned n = 0; n < rounds; n++) {
        enum { NEIGHBOURS = 4 };
        struct years y;
        years_open(&y, 1 + n, NEIGHBOURS);
        for (unsigned i = 0; i < NEIGHBOURS; i++)
            say_all(&y, &y.people[i]);
        parley_close(y.engine);
        c.damaged += damage(&y, kind, n % NEIGHBOURS);
        open_engine(&y, 0);
        look_after(&y, &c, TEXTS + 1);
        years_close(&y);
    }
    return c;
}

static void test_scenarios__damaged_records(void **state)
{
    static const char *const kinds[] = {"session/", "fact/", "turn/", "user"};
    unsigned rounds = fault_long() ? 40 : 4;

    (void)state;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        struct corruption c = corrupt(kinds[i], rounds);
        summary("%s damaged: %u times; answered %u, refused %u; others harmed %u (0), turns lost "
                "%u (0), remembered twice %u (0)%s%s", kinds[i], c.damaged, c.answered, c.refused,
                c.others, c.lost, c.twice, c.saw[0] ? "; they saw: " : "", c.saw);
        assert_int_equal(c.damaged, rounds);
        assert_int_equal(c.others + c.lost + c.twice, 0);
    }
}

// ---- a store that fails

struct failing {
    unsigned failures, told, interrupted, lost, twice, wrong_memory;
    char saw[200];
};

// All that a person says, each until it is answered; the store fails from its n-th operation on,
// and is there again when the message is sent again, with the same key.
static void say_meanwhile(struct failing *f, unsigned n, bool keyed)
{
    static const char *const texts[TEXTS] = {"I live in C1. #1", "I like F0. #2", "Hello? #3"};
    struct years y;
    bool failed = false;
    char session[ID_TEXT_BYTES] = "";
    years_open(&y, n, 1);
    open_again(&y, n);
    for (unsigned i = 0; i < TEXTS; i++) {
        char key[KEY_LEN];
        bool done = false;
        snprintf(key, sizeof(key), "key-%u", i);
        for (unsigned tries = 0; tries < 4 && !done; tries++) {
            parley_event *event = tell(&y, y.people, texts[i], keyed ? key : NULL);
            done = event->type == PARLEY_EVENT_DONE && event->code == PARLEY_OK;
            if (event->session[0])
                snprintf(session, sizeof(session), "%s", event->session);
            // Its key is a turn that broke off: it is there, and not sent to the model again.
            if (!done && tries > 0 && strstr(event->json, "\"status\":\"interrupted\"")) {
                f->interrupted++;
                done = true;
            }
            if (!done) {
                f->told += event->text[0] || strstr(event->json, "interrupted");
                failed = true;
                if (!f->saw[0])
                    snprintf(f->saw, sizeof(f->saw), "%s", event->text);
                open_again(&y, 0);
            }
            f->failures += !done;
            parley_event_free(event);
        }
        f->lost += !done;
    }
    // The store is well again; what could not be learnt is learnt with what comes next.
    if (y.dying)
        open_again(&y, 0);
    if (failed)
        parley_event_free(tell(&y, y.people, "Bye. #4", NULL));
    unsigned turns = count_turns(&y, y.people, session);
    unsigned said = TEXTS + (failed ? 1 : 0);
    f->twice += turns > said ? turns - said : 0;
    f->lost += turns < said;
    struct remembered r = look_up(&y, y.people);
    f->wrong_memory += failed && (r.right != 2 || r.more != 0);
    years_close(&y);
}

static void test_scenarios__store_fails(void **state)
{
    unsigned most = fault_long() ? 400 : 60, n = 1;
    struct failing f = {0};

    (void)state;
    for (; n <= most; n++)
        say_meanwhile(&f, n, true);
    summary("the store fails from its n-th operation on: %u places, %u failures, %u told, %u shown "
            "as interrupted; turns lost %u (0), twice %u (0), memory wrong %u (0); they saw: %s",
            n - 1, f.failures, f.told, f.interrupted, f.lost, f.twice, f.wrong_memory, f.saw);
    assert_int_equal(f.lost + f.twice + f.wrong_memory, 0);
    assert_true(f.failures > 10);
    assert_int_equal(f.told, f.failures);
}

static void test_scenarios__control_no_key(void **state)
{
    struct failing f = {0};

    (void)state;
    for (unsigned n = 1; n <= 60; n++)
        say_meanwhile(&f, n, false);
    summary("control, sent again without its key: twice %u (more than 0)", f.twice);
    assert_true(f.twice > 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test(test_scenarios__##name)
    const struct CMUnitTest tests[] = {TEST(long_dormancy), TEST(control_nothing_said),
                                       TEST(damaged_records), TEST(store_fails),
                                       TEST(control_no_key)};

    return cmocka_run_group_tests_name("scenarios", tests, NULL, NULL);
}
