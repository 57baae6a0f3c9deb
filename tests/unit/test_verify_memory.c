// SPDX-License-Identifier: MIT
// What `parley verify` says of what is remembered: facts against their sessions, knowledge against
// its facts, the manifest against both.
#include "unit/ledger_kit.h"

#include "model/memory.h"

#define LISBON "aaaaaaaaaaaa"
#define BERLIN "bbbbbbbbbbbb"
#define GROWS "cccccccccccc"
#define OSLO "dddddddddddd"
#define SLOT "0123456789abcdef0123456789abcdef"
#define OTHER_SLOT "00000000000000000000000000000000"

// Two facts of one slot, one of knowledge that rests on the newer, and what belongs to them.
struct scene {
    struct kit k;
    struct chat *chat;
    struct fact_slot fact, knowledge;
    struct journal_entry entry;
    struct learnt learnt;
    struct memory_manifest manifest;
};

static void put(struct kit *k, const char *key, struct slice meta, struct safe_text body)
{
    char text[RECORD_META_BYTES_MAX];
    struct buf sealing = BUF_INIT(RECORD_BODY_BYTES_MAX + VAULT_ENVELOPE_BYTES);
    struct sealed sealed;

    snprintf(text, sizeof(text), "%.*s", SLICE_FMT(meta));
    struct vault_place at = {slice_str(k->partition), slice_str(key), slice_str(text)};
    assert_int_equal(vault_seal(k->vault, k->key, &at, body, &sealing, &sealed, NULL), E_OK);
    kit_put(k, key, text, sealed.bytes, 0);
    buf_release(&sealing);
}

static void put_slot_as(struct kit *k, const struct fact_slot *s, const char *digest)
{
    struct buf meta = BUF_INIT(RECORD_META_BYTES_MAX), key = BUF_INIT(RECORD_KEY_BYTES_MAX);
    struct safe_buf body;

    safe_buf_init(&body, RECORD_BODY_BYTES_MAX);
    fact_slot_write(s, &meta, &body);
    key_slot(&key, fact_tier_word(s->tier), "hello", digest);
    put(k, key.ptr, buf_slice(&meta), safe_buf_text(&body));
    safe_buf_release(&body);
    buf_release(&meta);
    buf_release(&key);
}

static void put_slot(struct kit *k, const struct fact_slot *s)
{
    put_slot_as(k, s, SLOT);
}

static void put_all(struct scene *s)
{
    struct buf meta = BUF_INIT(RECORD_META_BYTES_MAX), key = BUF_INIT(RECORD_KEY_BYTES_MAX);

    put_slot(&s->k, &s->fact);
    put_slot(&s->k, &s->knowledge);
    journal_entry_write_meta(&s->entry, &meta);
    key_journal(&key, "hello", s->entry.session);
    put(&s->k, key.ptr, buf_slice(&meta), SAFE_LIT("Ann moved.\n"));
    buf_clear(&meta);
    learnt_write_meta(&s->learnt, &meta);
    key_learnt(&key, s->learnt.session);
    put(&s->k, key.ptr, buf_slice(&meta), SAFE_NONE);
    buf_clear(&meta);
    memory_manifest_write(&s->manifest, &meta);
    key_memory(&key, "hello");
    put(&s->k, key.ptr, buf_slice(&meta), SAFE_NONE);
    put(&s->k, "core/hello", SLICE_LIT("{\"at\":1700000000000}"),
        SAFE_LIT("{\"persona\":\"\",\"human\":\"Lives by the sea.\"}"));
    buf_release(&meta);
    buf_release(&key);
}

static struct fact *add(struct scene *s, struct fact_slot *slot, const char *id,
                        enum fact_status status, const char *rests_on)
{
    struct fact *f = vec_push(&slot->facts);

    fact_init(f);
    memcpy(f->id, id, FACT_ID_BYTES);
    f->status = status;
    f->recorded_at_ms = 1700000000000;
    assert_int_equal(fact_set_value(f, SAFE_LIT("a place"), NULL), E_OK);
    struct fact_evidence *e = vec_push(&f->evidence);
    *e = (struct fact_evidence){.turn = 1, .end = 4, .supported = true, .at_ms = 1700000000000,
                                .extractor = "rules@1f2e3d4c", .policy = "hello@1"};
    memcpy(e->session, s->chat->head.id, ID_TEXT_BYTES);
    snprintf(e->fact, sizeof(e->fact), "%s", rests_on);
    return f;
}

static void scene_open(struct scene *s)
{
    memset(s, 0, sizeof(*s));
    kit_open(&s->k, "memory:");
    s->chat = kit_chat(&s->k, "");
    kit_turn(&s->k, s->chat, "I live in Lisbon.", "Do you?");
    fact_slot_init(&s->fact, TIER_FACT);
    fact_slot_init(&s->knowledge, TIER_KNOWLEDGE);
    assert_int_equal(fact_slot_name(&s->fact, SAFE_NONE, SAFE_LIT("lives_in"), NULL), E_OK);
    assert_int_equal(fact_slot_name(&s->knowledge, SAFE_NONE, SAFE_LIT("likes"), NULL), E_OK);
    s->fact.one = true;
    struct fact *old = add(s, &s->fact, BERLIN, FACT_SUPERSEDED, "");
    memcpy(old->by, LISBON, sizeof(LISBON));
    add(s, &s->fact, LISBON, FACT_ACTIVE, "");
    add(s, &s->knowledge, GROWS, FACT_ACTIVE, LISBON);
    journal_entry_init(&s->entry);
    memcpy(s->entry.session, s->chat->head.id, ID_TEXT_BYTES);
    memcpy(s->learnt.session, s->chat->head.id, ID_TEXT_BYTES);
    s->entry.from_ms = s->entry.at_ms = s->learnt.at_ms = 1700000000000;
    s->entry.turns = s->entry.sessions = s->learnt.upto = 1;
    snprintf(s->entry.by, sizeof(s->entry.by), "rules");
    s->manifest = (struct memory_manifest){.facts = 1, .knowledge = 1};
}

static void scene_close(struct scene *s)
{
    fact_slot_release(&s->fact);
    fact_slot_release(&s->knowledge);
    journal_entry_release(&s->entry);
    chat_free(s->chat);
    kit_close(&s->k);
}

// One problem, and this one.
static void expect_problem(struct scene *s, const char *record, const char *why)
{
    put_all(s);
    struct buf report = kit_verify(&s->k);
    if (!report.ptr || !strstr(report.ptr, record) || !strstr(report.ptr, why))
        fail_msg("expected '%s' of %s, not: %s", why, record, report.ptr ? report.ptr : "nothing");
    assert_ptr_equal(strchr(report.ptr, '\n'), report.ptr + report.len - 1);
    buf_release(&report);
    scene_close(s);
}

static void test_verify_memory__what_is_whole_is_whole(void **state)
{
    struct scene s;

    (void)state;
    scene_open(&s);
    put_all(&s);
    assert_verified(&s.k);
    scene_close(&s);
}

static void test_verify_memory__evidence_is_of_turns_that_there_are(void **state)
{
    struct scene s;

    (void)state;
    scene_open(&s);
    VEC_AT(&fact_slot_at(&s.fact, 1)->evidence, struct fact_evidence, 0)->turn = 2;
    expect_problem(&s, "fact/hello/" SLOT, "fact " LISBON " is of turn 2 of session");
    scene_open(&s);
    memset(VEC_AT(&fact_slot_at(&s.fact, 0)->evidence, struct fact_evidence, 0)->session, '0', 8);
    expect_problem(&s, "fact/hello/" SLOT, "which is not there");
    scene_open(&s);
    s.learnt.upto = 7;
    expect_problem(&s, "learnt/", "is of turn 7 of session");
    scene_open(&s);
    s.entry.turns = 3;
    expect_problem(&s, "journal/hello/", "is of turn 3 of session");
}

static void test_verify_memory__values_and_conclusions_hold_together(void **state)
{
    struct scene s;

    (void)state;
    scene_open(&s);
    memcpy(fact_slot_at(&s.fact, 0)->by, GROWS, sizeof(GROWS));
    expect_problem(&s, "memory/hello", "fact " BERLIN " was superseded by " GROWS ", which is not");
    scene_open(&s);
    memcpy(VEC_AT(&fact_slot_at(&s.knowledge, 0)->evidence, struct fact_evidence, 0)->fact, GROWS,
           sizeof(GROWS));
    expect_problem(&s, "knowledge/hello/" SLOT, "rests on fact " GROWS ", which is not there");
    scene_open(&s);
    VEC_AT(&fact_slot_at(&s.knowledge, 0)->evidence, struct fact_evidence, 0)->fact[0] = '\0';
    expect_problem(&s, "knowledge/hello/" SLOT, "tier knowledge has evidence that names no fact");
    scene_open(&s);
    vec_clear(&fact_slot_at(&s.knowledge, 0)->evidence);
    expect_problem(&s, "knowledge/hello/" SLOT, "rests on fact none, which is not there");
    // Of several pieces the first that is wrong is told.
    scene_open(&s);
    struct fact *f = fact_slot_at(&s.fact, 1);
    struct fact_evidence *e = vec_push(&f->evidence);
    *e = *fact_evidence_at(f, 0);
    VEC_AT(&f->evidence, struct fact_evidence, 0)->turn = e->turn = 3;
    expect_problem(&s, "fact/hello/" SLOT, "fact " LISBON " is of turn 3 of session");
    // Two values that are so at once, where one can be.
    scene_open(&s);
    fact_slot_at(&s.fact, 0)->status = FACT_ACTIVE;
    fact_slot_at(&s.fact, 0)->by[0] = '\0';
    s.manifest.facts = 2;
    put_all(&s);
    struct buf report = kit_verify(&s.k);
    assert_non_null(strstr(report.ptr ? report.ptr : "", "fact/hello/" SLOT));
    buf_release(&report);
    scene_close(&s);
}

// A policy that makes two predicates one by an alias has values of two slots follow one another.
static void test_verify_memory__a_value_of_another_slot(void **state)
{
    struct scene s;

    (void)state;
    scene_open(&s);
    struct fact_slot other;
    fact_slot_init(&other, TIER_FACT);
    assert_int_equal(fact_slot_name(&other, SAFE_NONE, SAFE_LIT("home"), NULL), E_OK);
    struct fact *before = add(&s, &other, OSLO, FACT_SUPERSEDED, "");
    memcpy(before->by, LISBON, sizeof(LISBON));
    put_slot_as(&s.k, &other, OTHER_SLOT);
    put_all(&s);
    assert_verified(&s.k);
    fact_slot_release(&other);
    scene_close(&s);
}

// A key may name a bot that none could be called.
static void test_verify_memory__a_bot_of_a_long_name(void **state)
{
    struct buf meta = BUF_INIT(RECORD_META_BYTES_MAX);
    struct safe_buf body;
    struct scene s;
    char key[200];

    (void)state;
    scene_open(&s);
    put_all(&s);
    safe_buf_init(&body, RECORD_BODY_BYTES_MAX);
    fact_slot_write(&s.fact, &meta, &body);
    snprintf(key, sizeof(key), "fact/%0100d/" SLOT, 7);
    put(&s.k, key, buf_slice(&meta), safe_buf_text(&body));
    assert_verified(&s.k);
    safe_buf_release(&body);
    buf_release(&meta);
    scene_close(&s);
}

// More of them than are noted are believed.
static void test_verify_memory__many_values_of_another_slot(void **state)
{
    enum { SLOTS = BOOK_SLOTS_MAX / SLOT_VALUES_MAX + 1 };
    struct scene s;
    char digest[sizeof(SLOT)], id[FACT_ID_BYTES];

    (void)state;
    scene_open(&s);
    for (unsigned i = 0; i < SLOTS; i++) {
        struct fact_slot other;

        fact_slot_init(&other, TIER_FACT);
        snprintf(digest, sizeof(digest), "%032x", i);
        assert_int_equal(fact_slot_name(&other, SAFE_NONE, SAFE_LIT("home"), NULL), E_OK);
        for (unsigned v = 0; v < SLOT_VALUES_MAX; v++) {
            snprintf(id, sizeof(id), "%012x", i * SLOT_VALUES_MAX + v);
            memcpy(add(&s, &other, id, FACT_SUPERSEDED, "")->by, LISBON, sizeof(LISBON));
        }
        put_slot_as(&s.k, &other, digest);
        fact_slot_release(&other);
    }
    put_all(&s);
    assert_verified(&s.k);
    scene_close(&s);
}

// What superseded facts and dropped ones bore is borne by the others.
static void test_verify_memory__some_of_what_bears_it_is_gone(void **state)
{
    struct scene s;

    (void)state;
    scene_open(&s);
    struct fact *f = fact_slot_at(&s.knowledge, 0);
    struct fact_evidence *e = vec_push(&f->evidence);
    *e = *fact_evidence_at(f, 0);
    memcpy(e->fact, OSLO, sizeof(OSLO));
    put_all(&s);
    assert_verified(&s.k);
    scene_close(&s);
}

static void test_verify_memory__the_manifest_counts(void **state)
{
    struct scene s;

    (void)state;
    scene_open(&s);
    s.manifest.knowledge = 2;
    expect_problem(&s, "memory/hello", "says 1 facts and 2 of knowledge, there are 1 and 1");
    // A slot that cannot be read is told once: nobody knows how many it had.
    scene_open(&s);
    put_all(&s);
    kit_spoil(&s.k, "knowledge/hello/" SLOT, "{}");
    struct buf report = kit_verify(&s.k);
    assert_non_null(strstr(report.ptr ? report.ptr : "", "knowledge/hello/" SLOT));
    buf_release(&report);
    scene_close(&s);
}

// What stands where memory stands and is none of it, or cannot be read.
static void test_verify_memory__what_is_none_of_it(void **state)
{
    static const struct {
        const char *key, *meta, *why;
    } odd[] = {
        {"learnt/hello/x", "{}", "nothing of ours"}, {"core/hello/x", "{}", "nothing of ours"},
        {"memory/hello/x", "{}", "nothing of ours"}, {"journal/hello", "{}", "nothing of ours"},
        {"fact/hello", "{}", "nothing of ours"}, {"knowledge/hello", "{}", "nothing of ours"},
        {"learnt/nobody", "{}", "learnt/nobody"}, {"memory/other", "{}", "memory/other"},
        {"journal/hello/nobody", "{}", "journal/hello/nobody"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        struct scene s;

        scene_open(&s);
        put(&s.k, odd[i].key, slice_str(odd[i].meta), SAFE_NONE);
        expect_problem(&s, odd[i].key, odd[i].why);
    }
}

static void test_verify_memory__a_fact_rests_on_no_fact(void **state)
{
    struct scene s;

    (void)state;
    scene_open(&s);
    memcpy(VEC_AT(&fact_slot_at(&s.fact, 1)->evidence, struct fact_evidence, 0)->fact, BERLIN,
           sizeof(BERLIN));
    expect_problem(&s, "fact/hello/" SLOT, "of tier fact has evidence that names a fact");
}

// The entry of what was before is of no session that there is to be.
static void test_verify_memory__what_was_earlier(void **state)
{
    struct scene s;

    (void)state;
    scene_open(&s);
    put_all(&s);
    snprintf(s.entry.session, sizeof(s.entry.session), "%s", JOURNAL_EARLIER);
    s.entry.sessions = 7;
    put_all(&s);
    assert_verified(&s.k);
    scene_close(&s);
}

// Which turns a session has whose head is damaged nobody knows: it is the head that is told.
static void test_verify_memory__of_a_session_that_is_damaged(void **state)
{
    struct scene s;
    char key[80];

    (void)state;
    scene_open(&s);
    s.learnt.upto = 9;
    put_all(&s);
    snprintf(key, sizeof(key), "session/%s", s.chat->head.id);
    kit_spoil(&s.k, key, "{}");
    struct buf report = kit_verify(&s.k);
    assert_non_null(strstr(report.ptr ? report.ptr : "", key));
    assert_null(strstr(report.ptr, "learnt/"));
    buf_release(&report);
    scene_close(&s);
}

// Lack of memory is never told as a problem of what is stored.
static void test_verify_memory__nomem(void **state)
{
    unsigned failures = 0;
    bool over = false;

    (void)state;
    for (uint64_t n = 1; !over && n < 2000; n++) {
        struct scene s;
        struct buf report = BUF_INIT(1 << 20);
        struct ledger_op op;

        scene_open(&s);
        memcpy(fact_slot_at(&s.fact, 0)->by, OSLO, sizeof(OSLO));  // of another slot
        struct fact_slot other;
        fact_slot_init(&other, TIER_FACT);
        assert_int_equal(fact_slot_name(&other, SAFE_NONE, SAFE_LIT("home"), NULL), E_OK);
        add(&s, &other, OSLO, FACT_SUPERSEDED, "");
        put_slot_as(&s.k, &other, OTHER_SLOT);
        fact_slot_release(&other);
        put_all(&s);
        kit_ready(&s.k, &op);
        uint64_t before = mem_count();
        mem_fail_at(n, 0);
        ledger_verify(s.k.ledger, s.k.partition, s.k.key, &report, &op);
        int code = kit_wait(&s.k, &op);
        over = mem_count() - before < n;
        mem_fail_at(0, 0);
        failures += code == E_NOMEM;
        assert_true(code == E_NOMEM || (code == E_OK && report.len == 0));
        buf_release(&report);
        scene_close(&s);
    }
    assert_true(over && failures > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verify_memory__what_is_whole_is_whole),
        cmocka_unit_test(test_verify_memory__evidence_is_of_turns_that_there_are),
        cmocka_unit_test(test_verify_memory__values_and_conclusions_hold_together),
        cmocka_unit_test(test_verify_memory__a_value_of_another_slot),
        cmocka_unit_test(test_verify_memory__many_values_of_another_slot),
        cmocka_unit_test(test_verify_memory__a_bot_of_a_long_name),
        cmocka_unit_test(test_verify_memory__some_of_what_bears_it_is_gone),
        cmocka_unit_test(test_verify_memory__the_manifest_counts),
        cmocka_unit_test(test_verify_memory__what_is_none_of_it),
        cmocka_unit_test(test_verify_memory__a_fact_rests_on_no_fact),
        cmocka_unit_test(test_verify_memory__what_was_earlier),
        cmocka_unit_test(test_verify_memory__of_a_session_that_is_damaged),
        cmocka_unit_test(test_verify_memory__nomem),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
