// SPDX-License-Identifier: MIT
// test_lease.c: which device a session goes on on: the pure rules, how they are stored, and that
// the ledger keeps two processes' devices apart.
#include "unit/ledger_kit.h"

enum { MINUTE_MS = 60 * 1000 };

static const struct device_rules one = {true, 10 * MINUTE_MS}, any = {false, 10 * MINUTE_MS};
static const struct lease_asker laptop = {"aa", "laptop"}, phone = {"bb", "phone"},
                                unnamed = {"cc", ""};

static bool held(const struct session_lease *l, const struct lease_asker *by, int64_t now_ms)
{
    return lease_held(l, &one, by->holder, 0, now_ms);
}

static void test_lease__is_held_until_it_lapses(void **state)
{
    struct session_lease l = {0};

    (void)state;
    assert_false(held(&l, &laptop, 0));
    assert_false(lease_take(&l, &one, &laptop, 5));  // it was nobody's: nobody is surprised
    assert_int_equal(l.epoch, 1);
    assert_int_equal(l.since_ms, 5);
    assert_false(held(&l, &laptop, 1));
    assert_true(held(&l, &phone, 1));
    assert_true(held(&l, &unnamed, 1));
    assert_true(held(&l, &phone, -MINUTE_MS));  // the clock went back
    assert_true(held(&l, &phone, 10 * MINUTE_MS - 1));
    assert_false(held(&l, &phone, 10 * MINUTE_MS));
    const struct device_rules never = {true, 0};
    assert_true(lease_held(&l, &never, phone.holder, 0, INT64_MAX));
    assert_false(lease_take(&l, &one, &laptop, 6));  // goes on
    assert_int_equal(l.epoch, 1);
    assert_int_equal(l.since_ms, 5);
    assert_true(lease_take(&l, &one, &phone, 7));
    assert_int_equal(l.epoch, 2);
    assert_string_equal(l.device, "phone");
    assert_string_equal(l.before, "aa");
    assert_true(held(&l, &laptop, 1));
    assert_true(lease_take(&l, &one, &unnamed, 8));
    assert_int_equal(l.epoch, 3);
    assert_string_equal(l.device, "");
}

static void test_lease__where_any_device_may_speak(void **state)
{
    struct session_lease l = {0};

    (void)state;
    assert_false(lease_take(&l, &any, &unnamed, 1));
    assert_string_equal(l.holder, "");
    assert_false(lease_take(&l, &any, &laptop, 2));
    assert_false(lease_take(&l, &any, &phone, 3));
    assert_string_equal(l.device, "phone");
    assert_int_equal(l.epoch, 0);
    assert_int_equal(l.since_ms, 3);
    assert_false(lease_take(&l, &any, &unnamed, 4));
    assert_string_equal(l.device, "phone");
    // The policy changes its mind: who spoke last has nothing yet; and back again.
    assert_false(held(&l, &laptop, 5));
    assert_false(lease_take(&l, &one, &laptop, 5));
    assert_int_equal(l.epoch, 1);
    assert_true(held(&l, &phone, 6));
    assert_false(lease_held(&l, &any, phone.holder, 0, 6));
    assert_false(lease_take(&l, &any, &phone, 7));
    assert_int_equal(l.epoch, 2);  // no epoch has turns of two devices
    assert_false(held(&l, &laptop, 8));
    assert_false(lease_take(&l, &one, &phone, 8));
    assert_int_equal(l.epoch, 3);
}

static void test_lease__says_who_and_how_to_go_on(void **state)
{
    struct session_lease l = {0};
    struct err err = ERR_INIT;

    (void)state;
    lease_take(&l, &one, &laptop, 0);
    assert_int_equal(lease_refuse(&l, "S", phone.holder, &err), E_REFUSED);
    assert_non_null(strstr(err.message, "S is in use on device \"laptop\" since 1970-01-01T"));
    assert_non_null(strstr(err.message, "--here"));
    lease_take(&l, &one, &unnamed, 0);
    lease_refuse(&l, "S", laptop.holder, &err);
    assert_non_null(strstr(err.message, "S moved to a device without a name at 1970-01-01T"));
}

static void test_lease__stored_form(void **state)
{
    struct session_head h = {.bot = "b", .turns = 1}, back = {0};
    struct buf out = BUF_INIT(4096);
    struct safe_buf body;
    struct err err = ERR_INIT;

    (void)state;
    lease_take(&h.lease, &one, &laptop, 5);
    lease_take(&h.lease, &one, &phone, 6);
    session_write_meta(&h, &out);
    safe_buf_init(&body, 4096);
    session_write_body(&h, &body);
    assert_null(memmem(out.ptr, out.len, "phone", 5));
    assert_int_equal(session_read_meta(&back, buf_slice(&out), &err), E_OK);
    assert_int_equal(session_read_body(&back, safe_buf_text(&body), &err), E_OK);
    assert_memory_equal(&back.lease, &h.lease, sizeof(h.lease));
    session_head_release(&back);
    // A head that was made anew knows the epoch alone.
    struct session_head anew = {.bot = "b", .lease = {.epoch = 7}};
    buf_clear(&out);
    session_write_meta(&anew, &out);
    assert_int_equal(session_read_meta(&back, buf_slice(&out), &err), E_OK);
    assert_int_equal(back.lease.epoch, 7);
    assert_false(lease_take(&back.lease, &one, &laptop, 9));
    assert_int_equal(back.lease.epoch, 8);
    session_head_release(&back);
    static const char *const wrong[] = {
        "7", "{}", "{\"holder\":\"aa\",\"epoch\":-1,\"since\":1}",
        "{\"holder\":\"aa\",\"epoch\":4294967296,\"since\":1}",
        "{\"holder\":\"\",\"epoch\":1,\"since\":1}",
        "{\"holder\":\"aa\",\"epoch\":1}",
        "{\"holder\":\"aa\",\"epoch\":1,\"since\":1,\"lapse\":\"x\"}",
        "{\"holder\":\"aa\",\"epoch\":1,\"since\":1,\"before\":1}",
        "{\"holder\":\"000000000000000000000000000000000\",\"epoch\":1,\"since\":1}"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        buf_clear(&out);
        buf_addf(&out, "{\"bot\":\"b\",\"status\":\"active\",\"turns\":1,\"lease\":%s}", wrong[i]);
        assert_int_equal(session_read_meta(&back, buf_slice(&out), &err), E_CORRUPT);
        assert_non_null(strstr(err.message, "lease"));
        session_head_release(&back);
    }
    buf_release(&out);
    safe_buf_release(&body);
}

static void test_lease__epochs_never_go_back(void **state)
{
    struct step said[2] = {{.role = ROLE_USER}, {.role = ROLE_USER}};
    struct session_head h = {.turns = 2, .lease = {.epoch = 2}};
    struct turn turns[2] = {
        {.n = 1, .status = TURN_FAILED, .steps = &said[0], .steps_len = 1, .epoch = 1},
        {.n = 2, .status = TURN_FAILED, .steps = &said[1], .steps_len = 1, .epoch = 2}};
    struct err err = ERR_INIT;

    (void)state;
    said[0].content = kit_content("a");
    said[1].content = kit_content("b");
    assert_int_equal(rules_check_turns(&h, turns, 2, &err), E_OK);
    turns[0].epoch = 2;
    turns[1].epoch = 0;  // any device may speak meanwhile
    assert_int_equal(rules_check_turns(&h, turns, 2, &err), E_OK);
    turns[1].epoch = 1;
    assert_int_equal(rules_check_turns(&h, turns, 2, &err), E_REFUSED);
    turns[1].epoch = 3;
    assert_int_equal(rules_check_turns(&h, turns, 2, &err), E_REFUSED);
    content_release(&said[0].content);
    content_release(&said[1].content);
}

// ---- in the ledger

static int say(struct kit *k, struct chat *c, const struct lease_asker *by, bool *moved)
{
    struct content content = kit_content("hi");
    struct ledger_accept a;
    struct ledger_op op;

    kit_fill(k, &a, &content, NULL);
    a.by = *by;
    a.devices = one;
    kit_ready(k, &op);
    ledger_accept(c, &a, &op);
    content_release(&content);
    memset(&a, 0xee, sizeof(a));
    int code = kit_wait(k, &op);
    *moved = op.moved;
    return code;
}

static int take(struct kit *k, struct chat *c, const struct lease_asker *by, bool *moved)
{
    struct ledger_op op;

    kit_ready(k, &op);
    ledger_take(c, by, &op);
    int code = kit_wait(k, &op);
    *moved = op.moved;
    return code;
}

static void reload(struct kit *k, struct chat *c)
{
    struct ledger_op op;

    kit_ready(k, &op);
    ledger_reload(c, &op);
    assert_int_equal(kit_wait(k, &op), E_OK);
}

static void test_lease__two_processes_two_devices(void **state)
{
    struct kit k, other;
    bool moved;
    int code;

    (void)state;
    kit_open(&k, "memory:lease");
    kit_open_beside(&other, &k, "memory:lease");
    struct chat *c = kit_chat(&k, "kitchen");
    assert_int_equal(say(&k, c, &laptop, &moved), E_OK);
    assert_false(moved);
    assert_int_equal(chat_turn(c, 1)->epoch, 1);
    assert_int_equal(kit_settle(&k, c, "a"), E_OK);
    struct chat *d = kit_again(&other, c->head.id, &code);
    assert_int_equal(say(&other, d, &phone, &moved), E_REFUSED);
    assert_int_equal(take(&other, d, &laptop, &moved), E_OK);
    assert_false(moved);
    assert_int_equal(d->head.version, c->head.version);  // there was nothing to do
    // A turn of the laptop's is under way while the phone takes over.
    assert_int_equal(say(&k, c, &laptop, &moved), E_OK);
    assert_int_equal(take(&other, d, &phone, &moved), E_CONFLICT);
    reload(&other, d);
    assert_int_equal(take(&other, d, &phone, &moved), E_OK);
    assert_true(moved);
    assert_int_equal(d->head.lease.epoch, 2);
    assert_int_equal(kit_settle(&k, c, "b"), E_CONFLICT);
    reload(&k, c);
    assert_int_equal(kit_settle(&k, c, "b"), E_OK);  // it completes; and is the last of its epoch
    assert_int_equal(say(&k, c, &laptop, &moved), E_REFUSED);
    reload(&other, d);
    assert_int_equal(say(&other, d, &phone, &moved), E_OK);
    assert_false(moved);
    assert_int_equal(chat_turn(d, 3)->epoch, 2);
    assert_int_equal(kit_settle(&other, d, "c"), E_OK);
    // After ten minutes it is anybody's.
    clock_sim_advance(k.clock, 10 * MINUTE_MS);
    reload(&k, c);
    assert_int_equal(say(&k, c, &unnamed, &moved), E_OK);
    assert_true(moved);
    assert_int_equal(c->head.lease.epoch, 3);
    assert_int_equal(kit_settle(&k, c, "d"), E_OK);
    assert_int_equal(kit_count(&k, "outbox/audit/"), 3);  // created, and moved twice
    assert_verified(&k);
    struct chat *e = kit_again(&k, c->head.id, &code);
    assert_int_equal(code, E_OK);
    static const uint32_t epochs[] = {1, 1, 2, 3};
    for (uint32_t n = 1; n <= 4; n++)
        assert_int_equal(chat_turn(e, n)->epoch, epochs[n - 1]);
    chat_free(e);
    chat_free(d);
    chat_free(c);
    kit_close_store(&other);
    kit_close(&k);
}

int main(void)
{
#define TEST(name) cmocka_unit_test(test_lease__##name)
    const struct CMUnitTest tests[] = {
        TEST(is_held_until_it_lapses), TEST(where_any_device_may_speak),
        TEST(says_who_and_how_to_go_on), TEST(stored_form), TEST(epochs_never_go_back),
        TEST(two_processes_two_devices),
    };

    return cmocka_run_group_tests_name("lease", tests, NULL, NULL);
}
