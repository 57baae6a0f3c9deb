// SPDX-License-Identifier: MIT
// The stored forms of facts and of the records beside them: what is written is read, and nothing
// else is.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "model/fact_int.h"
#include "model/memory.h"
#include "model/safe_text_int.h"

static const char id_berlin[] = "0123456789ab", id_paris[] = "ba9876543210";
#define SESSION "6f1f1d6e-3c0b-4b7e-9a51-0d9f6f6b8a01"

static struct fact *add_fact(struct fact_slot *s, const char *id, enum fact_status status,
                             struct safe_text value)
{
    struct fact *f = vec_push(&s->facts);
    struct err err = ERR_INIT;

    assert_non_null(f);
    fact_init(f);
    memcpy(f->id, id, sizeof(f->id));
    f->status = status;
    f->kind = FACT_CIRCUMSTANCE;
    f->recorded_at_ms = 1700000000000;
    if (status != FACT_FORGOTTEN)
        assert_int_equal(fact_set_value(f, value, &err), E_OK);
    return f;
}

static void add_evidence(struct fact *f, uint32_t turn, enum fact_author author, int64_t at_ms)
{
    struct fact_evidence *e = vec_push(&f->evidence);

    assert_non_null(e);
    *e = (struct fact_evidence){.turn = turn, .end = 12, .author = author, .at_ms = at_ms,
                                .supported = author == AUTHOR_USER, .session = SESSION,
                                .extractor = "rules@1f2e3d4c", .policy = "hello@9c0d1e2f"};
}

static void make_slot_of(struct fact_slot *s, struct safe_text berlin)
{
    struct err err = ERR_INIT;

    fact_slot_init(s, TIER_FACT);
    assert_int_equal(fact_slot_name(s, SAFE_NONE, SAFE_LIT("Lives in"), &err), E_OK);
    s->one = true;
    struct fact *f = add_fact(s, id_berlin, FACT_SUPERSEDED, berlin);
    memcpy(f->by, id_paris, sizeof(f->by));
    f->valid_from_ms = -1000;
    f->valid_to_ms = f->retired_at_ms = 1700000001000;
    add_evidence(f, 1, AUTHOR_ASSISTANT, 1699999999000);
    add_evidence(f, 2, AUTHOR_USER, 1700000000000);
    f = add_fact(s, id_paris, FACT_ACTIVE, SAFE_LIT("Paris"));
    add_evidence(f, 3, AUTHOR_USER, 1700000001000);
    *(uint32_t *)vec_push(&f->turns) = 77;
    f->confirmations = 1;
    f->confirmed_at_ms = 1700000001000;
    *(struct fact_period *)vec_push(&f->earlier) = (struct fact_period){1, 2, 3, 4};
    add_evidence(add_fact(s, "000000000000", FACT_FORGOTTEN, SAFE_NONE), 9, AUTHOR_USER, 5);
}

// With what is escaped in JSON, so that it is read as such.
static void make_slot(struct fact_slot *s)
{
    make_slot_of(s, SAFE_LIT("Berlin \"Mitte\""));
}

struct stored {
    struct buf meta;
    struct safe_buf body;
};

static void store(struct stored *t, const struct fact_slot *s)
{
    buf_init(&t->meta, RECORD_META_BYTES_MAX);
    safe_buf_init(&t->body, RECORD_BODY_BYTES_MAX);
    fact_slot_write(s, &t->meta, &t->body);
    assert_true(buf_ok(&t->meta));
    assert_int_equal(safe_buf_check(&t->body, "body", NULL), E_OK);
}

static void drop(struct stored *t)
{
    buf_release(&t->meta);
    safe_buf_release(&t->body);
}

static void test_fact__slot_is_read_as_it_was_written(void **state)
{
    struct fact_slot s, read, copy;
    struct stored t, again;
    struct err err = ERR_INIT;

    (void)state;
    make_slot(&s);
    store(&t, &s);
    assert_string_equal(t.meta.ptr, "{\"one\":true,\"quarantined\":0,\"active\":1,"
                        "\"superseded\":1,\"forgotten\":1}");
    assert_true(safe_buf_text(&t.body).len <= fact_slot_bytes(&s));
    fact_slot_init(&read, TIER_FACT);
    assert_int_equal(fact_slot_read(&read, buf_slice(&t.meta), safe_buf_text(&t.body), &err), E_OK);
    assert_int_equal(read.facts.len, 3);
    assert_string_equal(read.predicate, "lives_in");
    assert_string_equal(read.subject, "user");
    assert_string_equal(fact_slot_at(&read, 0)->by, id_paris);
    assert_int_equal(fact_source(fact_slot_at(&read, 0))->turn, 2);
    assert_int_equal(fact_slot_find(&read, id_paris)->confirmations, 1);
    assert_int_equal(fact_slot_copy(&copy, &read, &err), E_OK);
    store(&again, &copy);
    assert_string_equal(again.body.inner.ptr, t.body.inner.ptr);
    drop(&again);
    drop(&t);
    fact_slot_release(&copy);
    fact_slot_release(&read);
    fact_slot_release(&s);
}

// What is wrong in the body, put in place of what is there; and what the error names.
static const struct damage {
    const char *was, *is, *says;
} damages[] = {
    {"\"id\":\"0123456789ab\"", "\"id\":\"0123456789\"", "id"},
    {"\"id\":\"0123456789ab\"", "\"id\":\"ba9876543210\"", "id"},
    {"\"kind\":\"circumstance\"", "\"kind\":\"rumour\"", "kind"},
    {"\"status\":\"superseded\"", "\"status\":\"active\"", "by"},
    {"\"status\":\"forgotten\"", "\"status\":\"quarantined\"", "value"},
    {"\"value\":\"Paris\"", "\"value\":\"\"", "value"},
    {"\"value\":\"Paris\"", "\"value\":7", "value"},
    {"\"value\":\"Paris\"", "\"value\":\" Paris\"", "order"},
    {"\"recorded_at\":1700000000000,\"c", "\"c", "recorded_at"},
    {"\"valid_from\":-1000", "\"valid_from\":\"x\"", "valid_from"},
    {"\"turns\":[77]", "\"turns\":[-77]", "turns"},
    {"\"turns\":[77]", "\"turns\":7", "turns"},
    {"\"earlier\":[[1,2,3,4]]", "\"earlier\":[[1,2,3]]", "earlier"},
    {"\"at\":1699999999000", "\"at\":1799999999000", "evidence"},
    {"\"author\":\"assistant\"", "\"author\":\"nobody\"", "author"},
    {"\"supported\":false", "\"supported\":0", "supported"},
    {"\"session\":\"6f", "\"session\":\"6f6f", "session"},
    {"\"start\":0,\"end\":12", "\"start\":20,\"end\":12", "end"},
    {"\"evidence\":[{", "\"evidence\":[7,{", "not an object"},
    {"\"facts\":[{", "\"facts\":[7,{", "not an object"},
    {"\"predicate\":\"lives_in\"", "\"predicate\":\"Lives in\"", "predicate"},
    {"\"subject\":\"user\"", "\"subject\":\"\"", "subject"},
    {"{\"subject\"", "{\"scope\":\"x\",\"subject\"", "scope"},
    {"{\"subject\"", "{\"more\":1,\"subject\"", "unknown"},
    {"\"policy\":\"hello@9c0d1e2f\"", "\"policy\":\"\"", "order"},
    {"{\"subject\"", "[\"subject\"", "JSON"},
};

static void check_damages(struct safe_text berlin)
{
    struct fact_slot s;
    struct stored t;

    make_slot_of(&s, berlin);
    store(&t, &s);
    for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
        const struct damage *d = &damages[i];
        const char *at = strstr(t.body.inner.ptr, d->was);
        struct err err = ERR_INIT;
        struct fact_slot read;
        struct safe_buf body;

        assert_non_null(at);
        size_t before = (size_t)(at - t.body.inner.ptr), after = before + strlen(d->was);
        safe_buf_init(&body, RECORD_BODY_BYTES_MAX);
        safe_buf_add(&body, safe_text_part(safe_buf_text(&t.body), 0, before));
        buf_add_str(&body.inner, d->is);
        safe_buf_add(&body, safe_text_part(safe_buf_text(&t.body), after,
                                           safe_buf_text(&t.body).len - after));
        fact_slot_init(&read, TIER_FACT);
        int code = fact_slot_read(&read, buf_slice(&t.meta), safe_buf_text(&body), &err);
        if (code != E_CORRUPT || (!strstr(err.message, d->says) && strcmp(d->says, "JSON") != 0))
            fail_msg("%s for %s: %d %s", d->is, d->was, code, err.message);
        assert_int_equal(read.facts.len, 0);
        fact_slot_release(&read);
        safe_buf_release(&body);
    }
    drop(&t);
    fact_slot_release(&s);
}

static void test_fact__damage_is_named(void **state)
{
    (void)state;
    check_damages(SAFE_LIT("Berlin \"Mitte\""));
    check_damages(SAFE_LIT("Berlin Mitte"));
}

// Reading by the bytes alone takes what we write, and never what we would write otherwise.
static bool is_read_quickly(struct slice meta, struct slice body)
{
    struct fact_slot read;
    struct stored again;

    fact_slot_init(&read, TIER_FACT);
    bool is = fact_slot_read_quick(&read, meta, safe_text_vouch(body));
    if (is) {
        store(&again, &read);
        assert_true(slice_eq(buf_slice(&again.meta), meta));
        assert_true(slice_eq(safe_slice(safe_buf_text(&again.body)), body));
        drop(&again);
    }
    fact_slot_release(&read);
    return is;
}

static void test_fact__read_by_its_bytes_alone(void **state)
{
    static const char signs[] = "\"\\,:{}[]-019aetu \x1f\x7f\xc3\xa9";
    struct fact_slot s;
    struct stored t;
    unsigned taken = 0;

    (void)state;
    make_slot(&s);
    store(&t, &s);
    assert_false(is_read_quickly(buf_slice(&t.meta), safe_slice(safe_buf_text(&t.body))));
    drop(&t);
    fact_slot_release(&s);
    make_slot_of(&s, SAFE_LIT("K\xc3\xb6ln am Rhein"));
    store(&t, &s);
    struct slice body = safe_slice(safe_buf_text(&t.body));
    assert_true(is_read_quickly(buf_slice(&t.meta), body));
    // Each byte replaced, left out, and said twice.
    for (size_t i = 0; i < body.len; i++) {
        char other[4096];
        for (size_t k = 0; k < sizeof(signs) - 1; k++) {
            memcpy(other, body.ptr, body.len);
            other[i] = signs[k];
            taken += is_read_quickly(buf_slice(&t.meta), slice_of(other, body.len));
        }
        memmove(other, body.ptr, i);
        memcpy(other + i, body.ptr + i + 1, body.len - i - 1);
        is_read_quickly(buf_slice(&t.meta), slice_of(other, body.len - 1));
        memcpy(other + i, body.ptr + i, body.len - i);
        memmove(other + i + 1, other + i, body.len - i);
        is_read_quickly(buf_slice(&t.meta), slice_of(other, body.len + 1));
        assert_false(is_read_quickly(buf_slice(&t.meta), slice_of(body.ptr, i)));
    }
    assert_true(taken > body.len);
    drop(&t);
    fact_slot_release(&s);
}

static void test_fact__counts_agree(void **state)
{
    struct fact_slot s, read;
    struct stored t;
    struct err err = ERR_INIT;

    (void)state;
    make_slot(&s);
    store(&t, &s);
    fact_slot_init(&read, TIER_FACT);
    assert_int_equal(fact_slot_read(&read, SLICE_LIT("{\"one\":true,\"quarantined\":0,\"active\":2,"
                                    "\"superseded\":1,\"forgotten\":1}"), safe_buf_text(&t.body),
                                    &err), E_CORRUPT);
    assert_non_null(strstr(err.message, "counts"));
    assert_int_equal(fact_slot_read(&read, SLICE_LIT("{\"one\":1}"), safe_buf_text(&t.body), &err),
                     E_CORRUPT);
    assert_int_equal(fact_slot_read(&read, SLICE_LIT("{"), safe_buf_text(&t.body), &err),
                     E_CORRUPT);
    drop(&t);
    fact_slot_release(&s);
}

static void test_fact__values_and_names(void **state)
{
    struct fact f;
    struct fact_slot s;
    struct err err = ERR_INIT;
    char name[FACT_NAME_BYTES], text[65];

    (void)state;
    fact_init(&f);
    assert_int_equal(fact_set_value(&f, SAFE_LIT("  a \n\t b\x01 "), &err), E_OK);
    assert_true(slice_is(safe_slice(fact_value(&f)), "a b"));
    assert_int_equal(fact_set_value(&f, SAFE_LIT(" \n"), &err), E_USAGE);
    fact_release(&f);
    assert_true(fact_name_normal(SLICE_LIT(" Lives  in!"), name));
    assert_string_equal(name, "lives_in");
    assert_false(fact_name_normal(SLICE_LIT("--"), name));
    memset(text, 'a', sizeof(text));
    assert_true(fact_name_normal(slice_of(text, 64), name));
    assert_false(fact_name_normal(slice_of(text, 65), name));
    fact_slot_init(&s, TIER_KNOWLEDGE);
    assert_int_equal(fact_slot_name(&s, SAFE_LIT("the  dog"), SAFE_LIT("Name"), &err), E_OK);
    assert_string_equal(s.subject, "the dog");
    assert_int_equal(fact_slot_name(&s, (struct safe_text){text, 65}, SAFE_LIT("x"), &err),
                     E_USAGE);
    assert_int_equal(fact_slot_name(&s, SAFE_LIT("dog"), SAFE_LIT("?"), &err), E_USAGE);
    fact_slot_release(&s);
}

static void test_fact__candidates_own_their_texts(void **state)
{
    struct fact_candidates list;
    struct err err = ERR_INIT;

    (void)state;
    fact_candidates_init(&list);
    for (unsigned i = 0; i < CANDIDATES_MAX; i++) {
        struct fact_candidate c = {.predicate = SAFE_LIT("likes"), .value = SAFE_LIT("tea"),
                                   .quote = SAFE_LIT("I like tea"), .turn = i};

        assert_int_equal(fact_candidates_add(&list, &c, &err), E_OK);
    }
    struct fact_candidate more = {.predicate = SAFE_LIT("likes")};
    assert_int_equal(fact_candidates_add(&list, &more, &err), E_REFUSED);
    assert_int_equal(fact_candidates_len(&list), CANDIDATES_MAX);
    const struct fact_candidate *c = fact_candidates_at(&list, 7);
    assert_int_equal(c->turn, 7);
    assert_int_equal(c->subject.len, 0);
    assert_true(slice_is(safe_slice(c->quote), "I like tea"));
    fact_candidates_release(&list);
}

static void test_fact__records_beside(void **state)
{
    struct memory_manifest m = {.facts = 3, .sessions = 2, .reflected_at_ms = 9, .tries = 1},
                           n = {0};
    struct learnt l = {.upto = 4, .journal = true, .extractor = "rules@00000000", .at_ms = 8},
                  k = {0};
    struct core_memory c, d;
    struct buf meta = BUF_INIT(RECORD_META_BYTES_MAX);
    struct safe_buf body;
    struct err err = ERR_INIT;

    (void)state;
    memory_manifest_write(&m, &meta);
    assert_int_equal(memory_manifest_read(&n, buf_slice(&meta), &err), E_OK);
    assert_memory_equal(&m, &n, sizeof(m));
    assert_int_equal(memory_manifest_read(&n, SLICE_LIT("{\"facts\":-1}"), &err), E_CORRUPT);
    buf_clear(&meta);
    learnt_write_meta(&l, &meta);
    assert_int_equal(learnt_read_meta(&k, buf_slice(&meta), &err), E_OK);
    assert_int_equal(k.upto, 4);
    assert_true(k.journal);
    assert_int_equal(learnt_read_meta(&k, SLICE_LIT("{\"upto\":1,\"journal\":1,\"at\":1}"), &err),
                     E_CORRUPT);
    core_memory_init(&c);
    core_memory_init(&d);
    safe_buf_add(&c.persona, SAFE_LIT("a guide"));
    c.at_ms = 5;
    buf_clear(&meta);
    safe_buf_init(&body, RECORD_BODY_BYTES_MAX);
    core_memory_write(&c, &meta, &body);
    assert_int_equal(core_memory_read(&d, buf_slice(&meta), safe_buf_text(&body), &err), E_OK);
    assert_true(slice_is(safe_slice(safe_buf_text(&d.persona)), "a guide"));
    assert_int_equal(core_memory_read(&d, buf_slice(&meta), SAFE_LIT("{\"persona\":1}"), &err),
                     E_CORRUPT);
    safe_buf_release(&body);
    core_memory_release(&c);
    core_memory_release(&d);
    buf_release(&meta);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fact__slot_is_read_as_it_was_written),
        cmocka_unit_test(test_fact__damage_is_named),
        cmocka_unit_test(test_fact__read_by_its_bytes_alone),
        cmocka_unit_test(test_fact__counts_agree),
        cmocka_unit_test(test_fact__values_and_names),
        cmocka_unit_test(test_fact__candidates_own_their_texts),
        cmocka_unit_test(test_fact__records_beside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
