// SPDX-License-Identifier: MIT
// `parley forget`, killed before and after each operation on the store, or without memory at each
// allocation: the fact is then wholly there or wholly gone, with the journal's lines, core memory
// and the knowledge that tell it; repeated, it is gone, and the audit trail says so once. And what
// is remembered is asked for without memory: an answer is whole, or an error.
//
// Negative control: the fact's record is put back as it was, as if it had been another commit than
// the lines that tell it.
#include "fault/remembered.h"

#include "store/faulty.h"

enum { SAMPLES = 60, ALLOCATIONS_MAX = 1 << 20 };

static const char value[] = "lakes";  // said in the third session

// ---- what there is, and to be

// A world in which it is told everywhere. The fact's id.
static void stage(struct world *w, char id[FACT_ID_BYTES])
{
    struct json_doc doc = JSON_DOC_INIT;
    struct json_iter it = {0};
    struct json fact;
    world_open(w);
    if (!say(w->engine, "call me lakes #9") || !sweep(w->engine))
        give_up("stage: it is not set");
    struct memory_told m = memory_of(w);
    if (json_parse(&doc, slice_str(m.text), 0, NULL))
        give_up("stage: %s", m.text);
    id[0] = '\0';
    while (json_next(json_get(json_root(&doc), "facts"), &it, NULL, &fact)) {
        if (json_is_string(json_get(fact, "value"), value))
            snprintf(id, FACT_ID_BYTES, "%.*s", FACT_ID_BYTES - 1,
                     json_raw(json_get(fact, "fact")).ptr + 1);
    }
    json_doc_release(&doc);
    mem_free(m.text);
    if (!id[0])
        give_up("stage: there is no such fact");
}

// E_OK; *again: it was forgotten already.
static int forget(parley *e, const char *id, bool *again)
{
    parley_scope scope = PARLEY_SCOPE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request;
    scope.user = "ann";
    *again = false;
    int code = parley_forget(e, &scope, id, &request, &error);
    if (code < 0)
        return code;
    parley_event *event = wait_end(e, NULL);
    code = event->type == PARLEY_EVENT_RESULT ? E_OK : event->code;
    *again = !code && strstr(event->json, "\"again\":true");
    parley_event_free(event);
    return code;
}

// How often the audit trail says that it was forgotten.
static unsigned notes(parley *e)
{
    parley_scope scope = PARLEY_SCOPE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    uint64_t request;
    unsigned n = 0;
    scope.user = "ann";
    if (parley_audit(e, &scope, 0, &request, &error) < 0)
        give_up("audit: %s", error.message);
    parley_event *event = wait_end(e, NULL);
    if (event->type != PARLEY_EVENT_RESULT)
        give_up("audit: %s", event->text);
    for (const char *at = event->json; (at = strstr(at, "\"fact_forgotten\"")); at++)
        n++;
    parley_event_free(event);
    return n;
}

struct truth {
    char *whole, *gone;  // owned
};

static struct truth tell_truth(void)
{
    char id[FACT_ID_BYTES];
    struct world w;
    bool again;
    stage(&w, id);
    struct truth t = {.whole = memory_of(&w).text};
    if (forget(w.engine, id, &again) || again)
        give_up("forget: it failed");
    t.gone = memory_of(&w).text;
    world_close(&w);
    // In the fact, the journal and core memory.
    unsigned told = 0;
    for (const char *at = t.whole; (at = strstr(at, value)); at++)
        told++;
    assert_true(told >= 3);
    assert_null(strstr(t.gone, value));
    return t;
}

static void truth_release(struct truth *t)
{
    mem_free(t->whole);
    mem_free(t->gone);
}

// ---- trials

struct figures {
    unsigned trials, whole, gone, torn, undone, notes, problems;
};

// What is there, then once more: it is gone.
static void judge(struct world *w, const char *id, const struct truth *truth, struct figures *f)
{
    bool again;
    struct memory_told m = memory_of(w);
    bool whole = strcmp(m.text, truth->whole) == 0, gone = strcmp(m.text, truth->gone) == 0;
    f->trials++;
    f->whole += whole;
    f->gone += gone;
    f->torn += !whole && !gone;
    mem_free(m.text);
    int code = forget(w->engine, id, &again);
    m = memory_of(w);
    f->undone += code != E_OK || (whole && again) || strcmp(m.text, truth->gone) != 0;
    mem_free(m.text);
    f->notes += notes(w->engine) != 1;
    f->problems += verify_problems(w->engine) != 0;
}

static void check(const char *what, const struct figures *f)
{
    summary("forget, %s: %u trials, then wholly there %u, wholly gone %u, torn %u (0); repeated, "
            "not gone %u (0), not once in the audit trail %u (0); verify finds problems %u (0)",
            what, f->trials, f->whole, f->gone, f->torn, f->undone, f->notes, f->problems);
    assert_true(f->whole && f->gone);
    assert_int_equal(f->torn + f->undone + f->notes + f->problems, 0);
}

// Killed at its n-th operation. False: it had no such operation.
static bool kill_at(unsigned n, const char *mode, const struct truth *truth, struct figures *f)
{
    char faults[96], id[FACT_ID_BYTES];
    struct world w;
    bool again;
    stage(&w, id);
    snprintf(faults, sizeof(faults), "faulty:fail_at=%u,mode=%s,sticky=1;", n, mode);
    parley *dying = open_engine(&w, faults);
    if (dying)
        forget(dying, id, &again);
    bool killed = !dying || store_faulty_seen(dying->store) >= n;
    if (dying)
        parley_close(dying);
    judge(&w, id, truth, f);
    world_close(&w);
    return killed;
}

static void test_forgetting__killed_at_each_operation(void **state)
{
    static const char *const modes[] = {"before", "after"};
    struct truth truth = tell_truth();
    struct figures f = {0};

    (void)state;
    for (unsigned m = 0; m < 2; m++) {
        bool killed = true;
        for (unsigned n = 1; killed && n < OPS_MAX; n++)
            killed = kill_at(n, modes[m], &truth, &f);
        assert_false(killed);
    }
    check("killed before and after each operation on the store", &f);
    truth_release(&truth);
    assert_true(f.trials > 20);
}

// One answer of the store is lost, and it goes on: it is told as what was done, not as done before.
static void test_forgetting__an_answer_is_lost(void **state)
{
    struct truth truth = tell_truth();
    unsigned lost = 0, wrong = 0;
    bool failed = true;

    (void)state;
    for (unsigned n = 1; failed && n < OPS_MAX; n++) {
        char faults[96], id[FACT_ID_BYTES];
        struct world w;
        bool again = true;
        stage(&w, id);
        snprintf(faults, sizeof(faults), "faulty:fail_at=%u,mode=after,verb=commit;", n);
        parley *e = open_engine(&w, faults);
        int code = e ? forget(e, id, &again) : E_STORE;
        failed = !e || store_faulty_seen(e->store) >= n;
        if (e)
            parley_close(e);
        lost += failed;
        wrong += code == E_OK && again;
        world_close(&w);
    }
    summary("forget, one answer of the store lost: %u trials, told as done before %u (0)", lost,
            wrong);
    truth_release(&truth);
    assert_true(lost > 0);
    assert_int_equal(wrong, 0);
}

// ---- without memory

// The n-th allocation fails, or all from it on. False: there were not so many.
static bool starve_at(uint64_t n, bool sticky, const struct truth *truth, struct figures *f)
{
    char id[FACT_ID_BYTES];
    struct world w;
    bool again;
    stage(&w, id);
    parley *e = open_engine(&w, "");
    uint64_t before = mem_count();
    mem_fail_at(n, sticky);
    if (e)
        forget(e, id, &again);
    bool failed = mem_count() - before >= n;
    mem_fail_at(0, 0);
    if (e)
        parley_close(e);
    judge(&w, id, truth, f);
    world_close(&w);
    return failed;
}

// How many allocations one takes.
static uint64_t count_forgetting(void)
{
    char id[FACT_ID_BYTES];
    struct world w;
    bool again;
    stage(&w, id);
    mem_fail_at(0, 0);
    uint64_t before = mem_count();
    if (forget(w.engine, id, &again))
        give_up("forget: it failed");
    uint64_t n = mem_count() - before;
    world_close(&w);
    return n;
}

static void test_forgetting__without_memory(void **state)
{
    struct truth truth = tell_truth();
    uint64_t all = count_forgetting(), step = fault_long() ? 1 : all / SAMPLES + 1;
    struct figures f = {0};
    bool failed = true;

    (void)state;
    for (uint64_t n = 1 + fault_seed() % step; failed && n < ALLOCATIONS_MAX; n += step) {
        failed = starve_at(n, false, &truth, &f);
        if (failed && (fault_long() || n / step % 4 == 0))
            starve_at(n, true, &truth, &f);
    }
    assert_false(failed);
    check("without memory at an allocation, or from it on", &f);
    truth_release(&truth);
}

// The same for who asks what is remembered: an answer is whole.
static void test_memory__asked_without_memory(void **state)
{
    char id[FACT_ID_BYTES];
    struct world w;
    unsigned trials = 0, refused = 0, wrong = 0, unclear = 0;
    bool failed = true;

    (void)state;
    stage(&w, id);
    struct memory_told truth = memory_of(&w);
    for (uint64_t n = 1; failed && n < ALLOCATIONS_MAX; n += fault_long() ? 1 : 7) {
        parley_scope scope = PARLEY_SCOPE_INIT;
        parley_error error = PARLEY_ERROR_INIT;
        uint64_t request, before = mem_count();
        scope.user = "ann";
        mem_fail_at(n, 0);
        int code = parley_memory(w.engine, &scope, PARLEY_MEMORY_ALL, &request, &error);
        parley_event *event = code < 0 ? NULL : wait_end(w.engine, NULL);
        failed = mem_count() - before >= n;
        mem_fail_at(0, 0);
        bool told = event && event->type == PARLEY_EVENT_RESULT;
        if (told) {
            char *text = mem_strdup(event->json);
            blank_times(text);
            wrong += strcmp(text, truth.text) != 0;
            mem_free(text);
        }
        refused += !told;
        unclear += !told && !strstr(event ? event->text : error.message, "memory");
        trials++;
        parley_event_free(event);
    }
    mem_free(truth.text);
    truth = memory_of(&w);
    summary("memory, asked without memory: %u trials, refused %u, answered wrongly %u (0), not "
            "saying why %u (0)", trials, refused, wrong, unclear);
    mem_free(truth.text);
    world_close(&w);
    assert_true(refused > 0);
    assert_int_equal(wrong + unclear, 0);
}

// ---- control

// The fact as it was before, and nothing else.
static void put_back(struct world *w, const struct lie *was)
{
    for (uint32_t i = 0; i < was->op.rows_len; i++) {
        const struct record *r = &was->op.rows[i];
        struct lie get = {.op = {.verb = STORE_GET, .partition = r->partition, .key = r->key}};
        submit(w, &get);
        struct lie put = {.op = {.verb = STORE_COMMIT, .partition = r->partition},
                          .item = {.verb = STORE_PUT, .key = r->key, .meta = r->meta,
                                   .version = get.op.rows_len ? get.op.rows[0].version : 0,
                                   .due_at_ms = r->due_at_ms, .body = r->body}};
        put.op.items = &put.item;
        put.op.items_len = 1;
        submit(w, &put);
        store_op_release(&put.op);
        store_op_release(&get.op);
    }
}

static void test_forgetting__control_two_commits(void **state)
{
    struct truth truth = tell_truth();
    char partition[PARTITION_BYTES], id[FACT_ID_BYTES];
    struct figures f = {0};
    struct world w;
    bool again;

    (void)state;
    stage(&w, id);
    vault_partition(w.engine->vault, SLICE_LIT("ann"), partition);
    struct lie was = {.op = {.verb = STORE_SCAN, .partition = slice_str(partition),
                             .key = SLICE_LIT("fact/"), .limit = STORE_SCAN_LIMIT_MAX}};
    submit(&w, &was);
    assert_int_equal(forget(w.engine, id, &again), E_OK);
    put_back(&w, &was);
    store_op_release(&was.op);
    parley_close(w.engine);
    w.engine = open_engine(&w, "");
    judge(&w, id, &truth, &f);
    world_close(&w);
    summary("control, the fact and what tells it in two commits: torn %u (1)", f.torn);
    truth_release(&truth);
    assert_int_equal(f.torn, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forgetting__killed_at_each_operation),
        cmocka_unit_test(test_forgetting__an_answer_is_lost),
        cmocka_unit_test(test_forgetting__without_memory),
        cmocka_unit_test(test_memory__asked_without_memory),
        cmocka_unit_test(test_forgetting__control_two_commits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
