// SPDX-License-Identifier: MIT
// Session heads: superseded ranges against a plain array, and meta and body there and back.
#include "model/session.h"

#include "base/mem.h"
#include "base/rand.h"
#include "model/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { TURNS = 60 };

static void assert_ranges(const struct session_head *h, const bool *truth)
{
    uint32_t before = 0;

    for (uint32_t t = 1; t < TURNS; t++)
        assert_int_equal(session_is_superseded(h, t), truth[t]);
    for (uint32_t i = 0; i < h->superseded_len; i++) {
        assert_true(i == 0 || h->superseded[i].first > before + 1);
        before = h->superseded[i].last;
    }
}

static void test_session_head__supersedes_as_an_array_would(void **state)
{
    struct rand_sim r;

    (void)state;
    rand_sim_init(&r, 7);
    for (int round = 0; round < 300; round++) {
        struct session_head h = {0};
        bool truth[TURNS] = {false};

        for (int step = 0; step < 12; step++) {
            uint32_t first = 1 + (uint32_t)rand_below(&r.rand, TURNS - 2);
            uint32_t last = first + (uint32_t)rand_below(&r.rand, 8);

            last = last < TURNS ? last : TURNS - 1;
            assert_int_equal(session_supersede(&h, first, last, NULL), E_OK);
            for (uint32_t t = first; t <= last; t++)
                truth[t] = true;
            assert_ranges(&h, truth);
        }
        session_head_release(&h);
    }
}

static void test_session_head__ranges_are_limited(void **state)
{
    struct session_head h = {0};
    struct err err = ERR_INIT;

    (void)state;
    for (uint32_t i = 0; i < SUPERSEDED_RANGES_MAX; i++)
        assert_int_equal(session_supersede(&h, 2 * i + 1, 2 * i + 1, &err), E_OK);
    assert_int_equal(session_supersede(&h, 5000, 5000, &err), E_REFUSED);
    assert_int_equal(session_supersede(&h, 2, 2, &err), E_OK);  // merges
    assert_int_equal(h.superseded_len, SUPERSEDED_RANGES_MAX - 1);
    assert_int_equal(session_supersede(&h, UINT32_MAX, UINT32_MAX, &err), E_OK);
    assert_true(session_is_superseded(&h, UINT32_MAX));
    assert_int_equal(session_supersede(&h, 1, UINT32_MAX, &err), E_OK);
    assert_int_equal(h.superseded_len, 1);
    session_head_release(&h);
}

// The head of a session with all of its undone stretches, each of the longest, is still a record.
static void test_session_head__the_longest_is_a_record(void **state)
{
    struct session_head h = {.turns = SESSION_TURNS_MAX,
                             .open_turn = SESSION_TURNS_MAX,
                             .events = UINT32_MAX,
                             .tokens = INT64_MAX,
                             .system_hash = UINT64_MAX,
                             .created_at_ms = INT64_MAX,
                             .last_active_at_ms = INT64_MAX,
                             .expires_at_ms = INT64_MAX,
                             .status = SESSION_HARD_EXPIRED};
    struct session_head back = {0};
    struct buf out = BUF_INIT(RECORD_META_BYTES_MAX);

    (void)state;
    memset(h.bot, 'b', sizeof(h.bot) - 1);
    memset(h.lease.holder, 'f', sizeof(h.lease.holder) - 1);
    memset(h.lease.before, 'e', sizeof(h.lease.before) - 1);
    h.lease.epoch = UINT32_MAX;
    h.lease.since_ms = INT64_MAX;
    h.lease.rules = (struct device_rules){true, EXPIRY_MS_MAX};
    for (uint32_t i = 0; i < SUPERSEDED_RANGES_MAX; i++) {
        uint32_t last = SESSION_TURNS_MAX - 3 * i;

        assert_int_equal(session_supersede(&h, last - 1, last, NULL), E_OK);
    }
    for (uint32_t i = 0; i < SESSION_PINS_MAX; i++)
        assert_int_equal(pins_add(&h.pins, SESSION_TURNS_MAX - 3 * i - 2, PIN_POLICY, NULL), E_OK);
    session_write_meta(&h, &out);
    assert_int_equal(buf_check(&out, "the meta", NULL), E_OK);
    assert_int_equal(session_read_meta(&back, buf_slice(&out), NULL), E_OK);
    assert_int_equal(back.superseded_len, SUPERSEDED_RANGES_MAX);
    session_head_release(&back);
    session_head_release(&h);
    buf_release(&out);
}

static void test_session_head__stored_form(void **state)
{
    struct session_head h = {.bot = "hello",
                             .context = "work \"x\"",
                             .status = SESSION_SOFT_EXPIRED,
                             .turns = 9,
                             .open_turn = 9,
                             .events = 2,
                             .tokens = 1234,
                             .system_hash = 0x00ff00000000abcd,
                             .cut = {.first = 3, .turn = 8, .plan = 0xfe, .pins_end = 2},
                             .pins = {{{1, PIN_USER}, {9, PIN_POLICY}}, 2},
                             .created_at_ms = 1,
                             .last_active_at_ms = 2,
                             .expires_at_ms = 3};
    struct session_head back = {.version = 4}, copy;
    struct buf out = BUF_INIT(4096);
    struct safe_buf body;

    (void)state;
    assert_int_equal(session_supersede(&h, 2, 3, NULL), E_OK);
    assert_int_equal(session_supersede(&h, 7, 7, NULL), E_OK);
    session_write_meta(&h, &out);
    assert_string_equal(
        out.ptr,
        "{\"bot\":\"hello\",\"status\":\"soft_expired\",\"turns\":9,"
        "\"open_turn\":9,\"events\":2,\"tokens\":1234,\"system_hash\":\"00ff00000000abcd\","
        "\"cut\":[3,8,\"00000000000000fe\",0,2],"
        "\"created_at\":1,\"last_active_at\":2,\"expires_at\":3,"
        "\"superseded\":[[2,3],[7,7]],\"pins\":[[1,\"user\"],[9,\"policy\"]],"
        "\"expiry\":[\"sliding\",0,0,0]}");
    assert_int_equal(session_read_meta(&back, buf_slice(&out), NULL), E_OK);
    safe_buf_init(&body, 4096);
    session_write_body(&h, &body);
    assert_string_equal(safe_buf_text(&body).ptr, "{\"context\":\"work \\\"x\\\"\"}");
    assert_int_equal(session_read_body(&back, safe_buf_text(&body), NULL), E_OK);
    assert_int_equal(back.version, 4);
    assert_int_equal(session_head_copy(&copy, &back, NULL), E_OK);
    session_head_release(&back);
    assert_string_equal(copy.context, h.context);
    assert_int_equal(copy.system_hash, h.system_hash);
    assert_memory_equal(&copy.cut, &h.cut, sizeof(h.cut));
    assert_int_equal(copy.superseded_len, 2);
    assert_int_equal(copy.pins.len, 2);
    assert_int_equal(pins_find(&copy.pins, 9)->by, PIN_POLICY);
    assert_int_equal(copy.superseded[1].first, 7);
    // Reading over a head replaces its ranges.
    assert_int_equal(session_read_meta(&copy,
                                       SLICE_LIT("{\"bot\":\"b\",\"status\":\"active\","
                                                 "\"turns\":0,\"more\":1}"),
                                       NULL),
                     E_OK);
    assert_null(copy.superseded);
    assert_int_equal(copy.pins.len, 0);
    assert_int_equal(copy.expires_at_ms, 0);
    session_head_release(&copy);
    session_head_release(&h);

    safe_buf_clear(&body);
    session_write_body(&copy, &body);
    copy.context[0] = '\0';
    safe_buf_clear(&body);
    session_write_body(&copy, &body);
    assert_int_equal(safe_buf_text(&body).len, 0);
    assert_int_equal(session_read_body(&copy, SAFE_NONE, NULL), E_OK);
    assert_string_equal(copy.context, "");
    safe_buf_release(&body);
    buf_release(&out);
}

static void test_session_head__names_what_is_wrong(void **state)
{
#define GOOD "\"bot\":\"b\",\"status\":\"active\",\"turns\":5"
    static const struct {
        const char *meta, *says;
    } cases[] = {
        {"{\"status\":\"active\",\"turns\":5}", "\"bot\""},
        {"{\"bot\":\"b\",\"status\":\"asleep\",\"turns\":5}", "\"status\""},
        {"{\"bot\":\"b\",\"status\":\"active\"}", "\"turns\""},
        {"{\"bot\":\"b\",\"status\":\"active\",\"turns\":4294967295}", "\"turns\""},
        {"{" GOOD ",\"open_turn\":6}", "\"open_turn\""},
        {"{" GOOD ",\"system_hash\":\"abc\"}", "\"system_hash\""},
        {"{" GOOD ",\"system_hash\":7}", "\"system_hash\""},
        {"{" GOOD ",\"cut\":[]}", "\"cut\""},
        {"{" GOOD ",\"cut\":[2,1,\"00000000000000fe\"]}", "\"cut\""},
        {"{" GOOD ",\"cut\":[1,1,\"00000000000000fe\",0,2]}", "\"cut\""},
        {"{" GOOD ",\"cut\":[1,1,\"00000000000000fe\",0,-1]}", "\"cut\""},
        {"{" GOOD ",\"cut\":[1,1,\"00000000000000fe\",0,1,1]}", "\"cut\""},
        {"{" GOOD ",\"cut\":[1,1,\"fe\"]}", "\"cut\""},
        {"{" GOOD ",\"cut\":[1,999999,\"00000000000000fe\"]}", "\"cut\""},
        {"{" GOOD ",\"expires_at\":\"soon\"}", "\"expires_at\""},
        {"{" GOOD ",\"superseded\":{}}", "\"superseded\""},
        {"{" GOOD ",\"superseded\":[1]}", "\"superseded\""},
        {"{" GOOD ",\"superseded\":[[1]]}", "\"superseded\""},
        {"{" GOOD ",\"superseded\":[[0,1]]}", "\"superseded\""},
        {"{" GOOD ",\"superseded\":[[3,2]]}", "\"superseded\""},
        {"{" GOOD ",\"superseded\":[[1,6]]}", "\"superseded\""},
        {"{" GOOD ",\"superseded\":[[1,2],[2,3]]}", "\"superseded\""},
        {"{" GOOD ",\"superseded\":[[3,3],[1,1]]}", "\"superseded\""},
        {"{" GOOD ",\"pins\":{}}", "\"pins\""},
        {"{" GOOD ",\"pins\":[3]}", "\"pins\""},
        {"{" GOOD ",\"pins\":[[3]]}", "\"pins\""},
        {"{" GOOD ",\"pins\":[[3,\"him\"]]}", "\"pins\""},
        {"{" GOOD ",\"pins\":[[0,\"user\"]]}", "\"pins\""},
        {"{" GOOD ",\"pins\":[[6,\"user\"]]}", "\"pins\""},
        {"{" GOOD ",\"pins\":[[3,\"user\"],[3,\"user\"]]}", "\"pins\""},
        {"{" GOOD ",\"pins\":[[3,\"user\"],[2,\"user\"]]}", "\"pins\""},
        {"{" GOOD ",\"superseded\":[[2,3]],\"pins\":[[3,\"user\"]]}", "\"pins\""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct session_head h = {0};
        struct err err = ERR_INIT;

        assert_int_equal(session_read_meta(&h, slice_str(cases[i].meta), &err), E_CORRUPT);
        assert_non_null(strstr(err.message, cases[i].says));
        assert_int_equal(h.pins.len, 0);
        session_head_release(&h);
    }
    struct session_head h = {0};
    assert_int_equal(session_read_body(&h, SAFE_LIT("{\"context\":5}"), NULL), E_CORRUPT);
    assert_int_equal(session_read_body(&h, SAFE_LIT("nonsense"), NULL), E_CORRUPT);
}

static void test_session_head__pins_as_an_array_would(void **state)
{
    struct rand_sim r;

    (void)state;
    rand_sim_init(&r, 11);
    for (int round = 0; round < 300; round++) {
        struct session_head h = {0};
        bool truth[TURNS] = {false}, gone[TURNS] = {false};

        for (int step = 0; step < 30; step++) {
            uint32_t turn = 1 + (uint32_t)rand_below(&r.rand, TURNS - 2);
            uint32_t last = turn + (uint32_t)rand_below(&r.rand, 4);

            last = last < TURNS ? last : TURNS - 1;
            if (rand_below(&r.rand, 6) == 0) {
                assert_int_equal(session_supersede(&h, turn, last, NULL), E_OK);
                for (uint32_t t = turn; t <= last; t++)
                    gone[t] = !(truth[t] = false);
            } else if (rand_below(&r.rand, 3) == 0) {
                pins_remove(&h.pins, turn, turn);
                truth[turn] = false;
            } else if (!gone[turn]) {
                assert_int_equal(pins_add(&h.pins, turn, PIN_USER, NULL), E_OK);
                truth[turn] = true;
            }
            uint32_t count = 0;
            for (uint32_t t = 1; t < TURNS; t++) {
                assert_int_equal(pins_find(&h.pins, t) != NULL, truth[t]);
                count += truth[t];
            }
            assert_int_equal(h.pins.len, count);
            for (uint32_t i = 1; i < h.pins.len; i++)
                assert_true(h.pins.list[i - 1].turn < h.pins.list[i].turn);
        }
        session_head_release(&h);
    }
    struct session_pins full = {.len = 0};
    for (uint32_t i = 1; i <= SESSION_PINS_MAX; i++)
        assert_int_equal(pins_add(&full, 2 * i, PIN_USER, NULL), E_OK);
    assert_int_equal(pins_add(&full, 3, PIN_USER, NULL), E_REFUSED);
    assert_int_equal(pins_add(&full, 4, PIN_POLICY, NULL), E_OK);
    assert_int_equal(full.len, SESSION_PINS_MAX);
}

static void test_session_head__constraints(void **state)
{
    static const char *const bad[] = {
        "{\"constraints\":{}}", "{\"constraints\":[]}", "{\"constraints\":[7]}",
        "{\"constraints\":[[1,0]]}", "{\"constraints\":[[0,0,\"x\"]]}",
        "{\"constraints\":[[1,-1,\"x\"]]}", "{\"constraints\":[[1,0,\"\"]]}",
        "{\"constraints\":[[1,0,7]]}", "{\"constraints\":[[2,0,\"x\"],[2,0,\"y\"]]}",
    };
    struct session_head h = {.context = "c"}, back = {0}, copy;
    char text[CONSTRAINT_BYTES_MAX + 1];
    struct safe_buf body;
    struct err err = ERR_INIT;

    (void)state;
    memset(text, 'x', sizeof(text));
    assert_int_equal(constraints_new(&h.constraints, &err), E_OK);
    struct constraints *c = h.constraints;
    assert_int_equal(constraints_add(c, SAFE_NONE, 0, &err), E_USAGE);
    assert_int_equal(constraints_add(c, (struct safe_text){text, sizeof(text)}, 0, &err), E_USAGE);
    assert_int_equal(constraints_add(c, SAFE_LIT("no \"nuts\"\n"), 0, &err), E_OK);
    assert_int_equal(constraints_add(c, SAFE_LIT("two"), 3, &err), E_OK);
    assert_int_equal(constraints_add(c, SAFE_LIT("three"), 7, &err), E_OK);
    // What was stated before a turn is told apart by what is in it, not by what comes later.
    uint64_t hash = constraints_hash(c, 4);
    assert_int_not_equal(hash, 0);
    assert_int_equal(constraints_hash(c, 7), hash);
    assert_int_not_equal(constraints_hash(c, 8), hash);
    assert_int_equal(constraints_hash(c, 0), 0);
    assert_int_equal(constraints_hash(NULL, 9), 0);
    assert_int_equal(constraints_remove(c, 9, &err), E_NOT_FOUND);
    assert_int_equal(constraints_remove(c, 2, &err), E_OK);
    assert_int_not_equal(constraints_hash(c, 4), hash);
    safe_buf_init(&body, 4096);
    session_write_body(&h, &body);
    assert_string_equal(safe_buf_text(&body).ptr,
                        "{\"context\":\"c\",\"constraints\":[[1,0,\"no \\\"nuts\\\"\\n\"],"
                        "[3,7,\"three\"]]}");
    assert_int_equal(session_read_body(&back, safe_buf_text(&body), &err), E_OK);
    assert_int_equal(session_read_body(&back, safe_buf_text(&body), &err), E_OK);  // over it
    assert_int_equal(session_head_copy(&copy, &back, &err), E_OK);
    session_head_release(&back);
    assert_int_equal(copy.constraints->len, 2);
    assert_int_equal(copy.constraints->list[1].n, 3);
    assert_true(slice_is(safe_slice(constraints_text(copy.constraints, 1)), "three"));
    assert_int_equal(constraints_add(copy.constraints, SAFE_LIT("four"), 8, &err), E_OK);
    assert_int_equal(copy.constraints->list[2].n, 4);
    for (uint32_t n = copy.constraints->len; n < CONSTRAINTS_MAX; n++)
        assert_int_equal(constraints_add(copy.constraints, SAFE_LIT("more"), 8, &err), E_OK);
    assert_int_equal(constraints_add(copy.constraints, SAFE_LIT("more"), 8, &err), E_REFUSED);
    session_head_release(&copy);
    // A head without a context may have them.
    h.context[0] = '\0';
    safe_buf_clear(&body);
    session_write_body(&h, &body);
    assert_int_equal(session_read_body(&back, safe_buf_text(&body), &err), E_OK);
    assert_string_equal(back.context, "");
    assert_int_equal(back.constraints->len, 2);
    session_head_release(&back);
    session_head_release(&h);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct safe_text t = {bad[i], strlen(bad[i])};
        assert_int_equal(session_read_body(&back, t, &err), E_CORRUPT);
        assert_non_null(strstr(err.message, "\"constraints\""));
        assert_null(back.constraints);
    }
    safe_buf_release(&body);
}

static void test_session_head__no_memory(void **state)
{
    (void)state;
    for (uint64_t n = 1;; n++) {
        struct session_head h = {0}, copy = {0};

        mem_fail_at(n, 0);
        int rc = session_read_meta(&h, SLICE_LIT("{" GOOD ",\"superseded\":[[1,2]]}"), NULL);
        if (!rc)
            rc = session_supersede(&h, 4, 5, NULL);
        if (!rc)
            rc = session_read_body(&h, SAFE_LIT("{\"constraints\":[[1,0,\"x\"]]}"), NULL);
        if (!rc)
            rc = session_head_copy(&copy, &h, NULL);
        if (!rc)
            rc = constraints_remove(copy.constraints, 1, NULL);
        mem_fail_at(0, 0);
        session_head_release(&h);
        session_head_release(&copy);
        if (!rc) {
            assert_true(n > 3);
            break;
        }
        assert_int_equal(rc, E_NOMEM);
        assert_true(n < 50);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_session_head__supersedes_as_an_array_would),
        cmocka_unit_test(test_session_head__ranges_are_limited),
        cmocka_unit_test(test_session_head__the_longest_is_a_record),
        cmocka_unit_test(test_session_head__stored_form),
        cmocka_unit_test(test_session_head__names_what_is_wrong),
        cmocka_unit_test(test_session_head__pins_as_an_array_would),
        cmocka_unit_test(test_session_head__constraints),
        cmocka_unit_test(test_session_head__no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
