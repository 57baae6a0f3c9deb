// SPDX-License-Identifier: MIT
// The end of sessions, killed before and after each operation on the store: their journal, and a
// reflection over all of them. Another engine then goes on; what is remembered is to the byte what
// it is where nobody was killed: no entry and no conclusion is there twice, none is lost.
//
// And a turn whose plan changes core memory: where it is said to be done, that is changed.
//
// Negative controls: a reflection that is said to be over before its conclusions are there; a turn
// that is done and core memory as it was.
#include "fault/harness.h"
#include "store/faulty.h"

enum { OPS_MAX = 4000 };
#define HOUR_MS (3600 * INT64_C(1000))

static const char policy[] =
    "local function said(view, turn)\n"
    "  local what = turn.user:match 'I like (%a+)'\n"
    "  return what and { { predicate = 'likes', value = what, quote = 'I like ' .. what } }\n"
    "end\n"
    "local function conclude(view)\n"
    "  local ids = {}\n"
    "  for _, f in ipairs(view.facts) do\n"
    "    if f.predicate == 'likes' then ids[#ids + 1] = f.id end\n"
    "  end\n"
    "  return { { kind = 'pattern', predicate = 'tends_to', value = 'the woods', facts = ids },\n"
    "           { kind = 'style', predicate = 'talks', value = 'in short', facts = ids } }\n"
    "end\n"
    "return { expiry = { kind = 'sliding', soft = '30m', hard = '2h' },\n"
    "         on_message = function(view)\n"
    "           local name = view.text:match 'call me (%a+)'\n"
    "           return name and { memory = { core = { human = 'Is called ' .. name } } } or nil\n"
    "         end,\n"
    "         memory = { extract = said, reflect = conclude, reflect_after = 3,\n"
    "                    journal = { bytes = 256 } } }\n";

// ---- a world: a store, and engines over it, one after the other

struct world {
    struct place place;
    struct clock_sim clock;
    struct rand_sim rand;
    struct engine_seams seams;
    parley *engine;
    struct wire_sim_ops wire;
};

static int make_wire(void *user, struct loop *loop, struct wire **out, struct err *err)
{
    struct world *w = user;
    return wire_new_sim(out, loop, &w->wire, err);
}

static parley *open_engine(struct world *w, const char *faults)
{
    char store[128], keys[NAME_BYTES], keyring[NAME_BYTES + 16];
    parley_error error = PARLEY_ERROR_INIT;
    struct engine_wish wish = {.store = store, .settings = {keyring}, .seams = &w->seams};
    parley *e = NULL;
    snprintf(keyring, sizeof(keyring), "keyring=%s", place_path(&w->place, "keys", keys));
    snprintf(store, sizeof(store), "%smemory:reflection", faults);
    return place_open(&w->place, &wish, &e, &error) < 0 ? NULL : e;
}

// Whether the turn is done.
static bool say(parley *e, const char *text)
{
    parley_message m = PARLEY_MESSAGE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request;
    m.user = "ann";
    m.text = text;
    if (parley_send(e, &m, &request, &error) < 0)
        give_up("send: %s", error.message);
    parley_event *event = wait_end(e, NULL);
    bool done = event->type == PARLEY_EVENT_DONE && event->code == 0;
    parley_event_free(event);
    return done;
}

static void world_open(struct world *w)
{
    static const char *const liked[] = {"hiking", "rivers", "lakes",  "woods", "snow", "birds",
                                        "maps",   "tents",  "stones", "boats", "fire", "stars"};
    unsigned sessions = fault_long() ? sizeof(liked) / sizeof(liked[0]) : 3;
    memset(w, 0, sizeof(*w));
    place_make_light(&w->place);
    place_write(&w->place, "policies/fault.lua", policy);
    clock_sim_init(&w->clock, 1772323200000);
    rand_sim_init(&w->rand, 20261121);
    w->seams = (struct engine_seams){
        .clock = &w->clock, .rand = &w->rand.rand, .wire = make_wire, .user = w};
    w->engine = open_engine(w, "");
    if (!w->engine)
        give_up("engine: it does not open");
    for (unsigned i = 0; i < sessions; i++) {
        char text[64];
        snprintf(text, sizeof(text), "I like %s #%u", liked[i], i + 1);
        if (!say(w->engine, text))
            give_up("send: a turn is not done");
        clock_sim_advance(&w->clock, HOUR_MS);
    }
    clock_sim_advance(&w->clock, 3 * HOUR_MS);
}

static void world_close(struct world *w)
{
    parley_close(w->engine);
    place_remove(&w->place);
}

// Whether it went well.
static bool sweep(parley *e)
{
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request;
    if (parley_sweep(e, PARLEY_TRUST_CLOCK, &request, &error) < 0)
        return false;
    parley_event *event = wait_end(e, NULL);
    struct json_doc doc = JSON_DOC_INIT;
    bool good = event->type == PARLEY_EVENT_RESULT &&
                json_parse(&doc, slice_str(event->json), 0, NULL) == E_OK &&
                json_i64(json_get(json_root(&doc), "failed"), 0) == 0 &&
                json_i64(json_get(json_root(&doc), "left"), 0) == 0;
    json_doc_release(&doc);
    parley_event_free(event);
    return good;
}

struct memory {
    char *text;           // owned
    unsigned knowledge, entries;
};

// When something was written is the store's: a commit that was tried again is later.
static void blank_times(char *text)
{
    static const char member[] = "\"recorded_at\":\"";
    for (char *at = strstr(text, member); at; at = strstr(at, member)) {
        at += sizeof(member) - 1;
        memset(at, 'x', strcspn(at, "\""));
    }
}

static struct memory memory_of(struct world *w)
{
    struct memory m = {0};
    struct json_doc doc = JSON_DOC_INIT;
    parley_scope scope = PARLEY_SCOPE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request;
    scope.user = "ann";
    if (parley_memory(w->engine, &scope, PARLEY_MEMORY_ALL, &request, &error) < 0)
        give_up("memory: %s", error.message);
    parley_event *event = wait_end(w->engine, NULL);
    if (event->type != PARLEY_EVENT_RESULT || json_parse(&doc, slice_str(event->json), 0, NULL))
        give_up("memory: %s", event->text);
    m.text = mem_strdup(event->json);
    blank_times(m.text);
    m.knowledge = json_count(json_get(json_root(&doc), "knowledge"));
    m.entries = json_count(json_get(json_root(&doc), "journal"));
    json_doc_release(&doc);
    parley_event_free(event);
    return m;
}

// ---- the control: the manifest says that nothing is due

struct lie {
    struct store_op op;
    struct store_item item;
    bool over;
};

static void lie_over(struct store_op *op)
{
    CONTAINER_OF(op, struct lie, op)->over = true;
}

static void submit(struct world *w, struct lie *l)
{
    l->op.loop = w->engine->hands[0].loop;
    l->op.done = lie_over;
    l->over = false;
    store_submit(w->engine->store, &l->op);
    loop_run(l->op.loop);
    if (!l->over || l->op.code)
        give_up("control: %s", l->op.err.message);
}

static void forget_due(struct world *w)
{
    char partition[PARTITION_BYTES];
    vault_partition(w->engine->vault, SLICE_LIT("ann"), partition);
    struct lie get = {.op = {.verb = STORE_GET, .partition = slice_str(partition),
                             .key = SLICE_LIT("memory/fault")}};
    submit(w, &get);
    if (get.op.rows_len) {
        const struct record *r = &get.op.rows[0];
        struct lie put = {.op = {.verb = STORE_COMMIT, .partition = slice_str(partition)},
                          .item = {.verb = STORE_PUT, .key = SLICE_LIT("memory/fault"),
                                   .version = r->version, .meta = r->meta, .body = r->body}};
        put.op.items = &put.item;
        put.op.items_len = 1;
        submit(w, &put);
        store_op_release(&put.op);
    }
    store_op_release(&get.op);
}

// ---- killed

struct figures {
    unsigned kills, doubles, lost, unlike, problems;
};

// Killed at its n-th operation; then another goes on. False: it had no such operation.
static bool kill_at(unsigned n, const char *mode, bool lies, const struct memory *truth,
                    struct figures *f)
{
    char faults[96];
    struct world w;
    world_open(&w);
    snprintf(faults, sizeof(faults), "faulty:fail_at=%u,mode=%s,sticky=1;", n, mode);
    parley *dying = open_engine(&w, faults);
    bool killed = !dying || !sweep(dying);
    if (dying)
        parley_close(dying);
    if (lies)
        forget_due(&w);
    // What failed in the learning of a session rests a while.
    for (int i = 0; i < 4; i++)
        sweep(w.engine);
    struct memory got = memory_of(&w);
    f->kills += killed;
    f->doubles += got.knowledge > truth->knowledge || got.entries > truth->entries;
    f->lost += got.knowledge < truth->knowledge || got.entries < truth->entries;
    f->unlike += strcmp(got.text, truth->text) != 0;
    if (!lies && strcmp(got.text, truth->text) != 0)
        printf("# %s %u:\n%s\nnot\n%s\n", mode, n, got.text, truth->text);
    f->problems += verify_problems(w.engine) != 0;
    mem_free(got.text);
    world_close(&w);
    return killed;
}

static struct memory tell_truth(void)
{
    struct world w;
    world_open(&w);
    if (!sweep(w.engine))
        give_up("the sweep failed");
    struct memory m = memory_of(&w);
    world_close(&w);
    return m;
}

static void test_reflection__killed_at_each_operation(void **state)
{
    static const char *const modes[] = {"before", "after"};
    struct memory truth = tell_truth();
    struct figures f = {0};

    (void)state;
    assert_int_equal(truth.knowledge, 2);
    assert_true(truth.entries > 0);
    for (unsigned m = 0; m < 2; m++) {
        bool killed = true;
        for (unsigned n = 1; killed && n < OPS_MAX; n++)
            killed = kill_at(n, modes[m], false, &truth, &f);
        assert_false(killed);
    }
    summary("journal and reflection, killed before and after each operation on the store: %u "
            "kills, twice there %u (0), lost %u (0), not as where nobody was killed %u (0), "
            "problems that verify finds %u (0)", f.kills, f.doubles, f.lost, f.unlike, f.problems);
    mem_free(truth.text);
    assert_true(f.kills > 50);
    assert_int_equal(f.doubles + f.lost + f.unlike + f.problems, 0);
}

static void test_reflection__control_due_no_more(void **state)
{
    struct memory truth = tell_truth();
    struct figures f = {0};
    bool killed = true;

    (void)state;
    for (unsigned n = 1; killed && f.lost == 0 && n < OPS_MAX; n++)
        killed = kill_at(n, "after", true, &truth, &f);
    summary("control, due no more before it is done: %u kills, lost %u (more than 0)", f.kills,
            f.lost);
    mem_free(truth.text);
    assert_true(f.lost > 0);
}

// ---- core memory

// A turn that changes it, killed at its n-th operation. False: it had no such operation.
static bool kill_turn_at(unsigned n, const char *mode, bool lies, struct figures *f)
{
    char faults[96];
    struct world w;
    world_open(&w);
    snprintf(faults, sizeof(faults), "faulty:fail_at=%u,mode=%s,sticky=1;", n, mode);
    parley *dying = open_engine(&w, faults);
    bool done = dying && say(dying, lies ? "I am here #7" : "call me Ann #7");
    if (dying)
        parley_close(dying);
    struct memory got = memory_of(&w);
    f->kills += !done;
    f->lost += done && !strstr(got.text, "Is called Ann");
    f->problems += verify_problems(w.engine) != 0;
    mem_free(got.text);
    world_close(&w);
    return !done;
}

static void test_core__changed_where_the_turn_is_done(void **state)
{
    static const char *const modes[] = {"before", "after"};
    struct figures f = {0};

    (void)state;
    for (unsigned m = 0; m < 2; m++) {
        bool killed = true;
        for (unsigned n = 1; killed && n < OPS_MAX; n++)
            killed = kill_turn_at(n, modes[m], false, &f);
        assert_false(killed);
    }
    summary("core memory, its turn killed before and after each operation: %u kills, done and not "
            "changed %u (0), problems that verify finds %u (0)", f.kills, f.lost, f.problems);
    assert_true(f.kills > 10);
    assert_int_equal(f.lost + f.problems, 0);
}

// How many events of its session say that core memory is another one.
static unsigned core_events(struct world *w)
{
    char partition[PARTITION_BYTES];
    unsigned n = 0;
    vault_partition(w->engine->vault, SLICE_LIT("ann"), partition);
    struct lie scan = {.op = {.verb = STORE_SCAN, .partition = slice_str(partition),
                              .key = SLICE_LIT("event/"), .limit = STORE_SCAN_LIMIT_MAX}};
    submit(w, &scan);
    for (uint32_t i = 0; i < scan.op.rows_len; i++)
        n += memmem(scan.op.rows[i].meta.ptr, scan.op.rows[i].meta.len, "\"core\"", 6) != NULL;
    store_op_release(&scan.op);
    return n;
}

// One answer of the store is lost, and the turn goes on: the event is there all the same.
static void test_core__its_event_where_an_answer_was_lost(void **state)
{
    unsigned lost = 0, turns = 0, missing = 0;

    (void)state;
    for (unsigned n = 1; n < OPS_MAX; n++) {
        char faults[96];
        struct world w;
        world_open(&w);
        snprintf(faults, sizeof(faults), "faulty:fail_at=%u,mode=after,verb=commit;", n);
        parley *e = open_engine(&w, faults);
        bool done = e && say(e, "call me Ann #7");
        bool failed = !e || store_faulty_seen(e->store) >= n;
        if (e)
            parley_close(e);
        lost += failed;
        turns += done;
        missing += done && core_events(&w) != 1;
        world_close(&w);
        if (!failed)
            break;
    }
    summary("core memory, one answer of the store lost: %u turns done, %u answers lost, event not "
            "there once %u (0)", turns, lost, missing);
    assert_true(lost > 2 && turns > 2);
    assert_int_equal(missing, 0);
}

static void test_core__control_not_changed(void **state)
{
    struct figures f = {0};

    (void)state;
    kill_turn_at(OPS_MAX, "after", true, &f);
    summary("control, done and nothing changed: %u (1)", f.lost);
    assert_int_equal(f.lost, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reflection__killed_at_each_operation),
        cmocka_unit_test(test_reflection__control_due_no_more),
        cmocka_unit_test(test_core__changed_where_the_turn_is_done),
        cmocka_unit_test(test_core__its_event_where_an_answer_was_lost),
        cmocka_unit_test(test_core__control_not_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
