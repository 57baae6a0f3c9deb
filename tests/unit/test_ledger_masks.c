// SPDX-License-Identifier: MIT
// A user's masks in the store: durable before they are used, never given twice, whatever another
// process does or wherever this one dies; originals with a lifetime.
#include "ledger/masks.h"
#include "unit/ledger_meddler.h"

#include <string.h>

struct waiting {
    struct masks_wait wait;
    bool done;
};

static void over(struct ledger_op *op)
{
    *(bool *)op->user = true;
}

static void ready(struct waiting *w)
{
    memset(w, 0, sizeof(*w));
    w->wait.op.done = over;
    w->wait.op.user = &w->done;
}

static int load(struct kit *k, struct masks *m, bool originals)
{
    struct waiting w;

    ready(&w);
    masks_load(m, originals, &w.wait);
    assert_false(w.done);
    loop_run(k->loop);
    assert_true(w.done);
    return w.wait.op.code;
}

static int commit(struct kit *k, struct masks *m)
{
    struct waiting w;

    ready(&w);
    masks_commit(m, &w.wait);
    assert_false(w.done);
    loop_run(k->loop);
    assert_true(w.done);
    return w.wait.op.code;
}

static struct masks *opened(struct kit *k, bool originals)
{
    struct masks *m;

    assert_int_equal(masks_new(&m, k->ledger, k->partition, k->key, NULL), E_OK);
    assert_int_equal(load(k, m, originals), E_OK);
    return m;
}

static uint32_t number_of(struct masks *m, const char *value)
{
    return mask_book_number(masks_book(m), "desk", SLICE_LIT("email"), slice_str(value),
                            slice_str(value), false);
}

static void test_masks__are_there_again(void **state)
{
    struct kit k;
    char value[32];

    (void)state;
    kit_open(&k, "memory:");
    struct masks *m = opened(&k, false);
    assert_false(masks_to_commit(m));
    // Over the pages' bounds, one by one and many at once.
    for (unsigned i = 0; i < 250; i++) {
        snprintf(value, sizeof(value), "v%u", i);
        assert_int_equal(number_of(m, value), i + 1);
        if (i < 5 || i == 249)
            assert_int_equal(commit(&k, m), E_OK);
    }
    assert_false(masks_to_commit(m));
    masks_free(m);
    m = opened(&k, true);
    assert_int_equal(mask_book_len(masks_book(m)), 250);
    for (unsigned i = 250; i-- > 0;) {
        snprintf(value, sizeof(value), "v%u", i);
        assert_int_equal(number_of(m, value), i + 1);
    }
    assert_false(masks_to_commit(m));
    assert_int_equal(number_of(m, "another"), 251);
    masks_free(m);
    kit_close(&k);
}

// Two processes, one user: who is late redacts again.
static void test_masks__two_at_once(void **state)
{
    enum { VALUES = 400 };
    struct kit k;
    char value[32];
    uint32_t given[2][VALUES];

    (void)state;
    kit_open(&k, "memory:");
    struct masks *m[2] = {opened(&k, false), opened(&k, false)};
    unsigned conflicts = 0;
    for (unsigned i = 0; i < VALUES; i++) {
        struct waiting w[2];
        bool settled[2] = {false, false};
        while (!settled[0] || !settled[1]) {
            for (int p = 0; p < 2; p++) {
                // Some values both say, some only one.
                snprintf(value, sizeof(value), i % 3 ? "v%u" : "v%u of %d", i, p);
                ready(&w[p]);
                given[p][i] = number_of(m[p], value);
                if (!settled[p] && masks_to_commit(m[p]))
                    masks_commit(m[p], &w[p].wait);
                else
                    settled[p] = w[p].done = true;
            }
            loop_run(k.loop);
            for (int p = 0; p < 2; p++) {
                assert_true(w[p].done);
                assert_true(w[p].wait.op.code == E_OK || w[p].wait.op.code == E_CONFLICT);
                conflicts += w[p].wait.op.code == E_CONFLICT;
                settled[p] |= w[p].wait.op.code == E_OK;
            }
        }
    }
    assert_true(conflicts > VALUES / 2);
    struct masks *third = opened(&k, false);
    for (unsigned i = 0; i < VALUES; i++) {
        for (int p = 0; p < 2; p++) {
            snprintf(value, sizeof(value), i % 3 ? "v%u" : "v%u of %d", i, p);
            assert_int_equal(number_of(third, value), given[p][i]);
        }
    }
    assert_false(masks_to_commit(third));
    for (int p = 0; p < 2; p++)
        masks_free(m[p]);
    masks_free(third);
    kit_close(&k);
}

// One run of the user has the masks read, or read again, while another goes on redacting.
static void test_masks__numbers_given_while_pages_are_read(void **state)
{
    struct kit k;
    struct waiting reads, writes;

    (void)state;
    kit_open(&k, "memory:");
    struct masks *other = opened(&k, false), *m;
    assert_int_equal(number_of(other, "theirs"), 1);
    assert_int_equal(commit(&k, other), E_OK);
    assert_int_equal(masks_new(&m, k.ledger, k.partition, k.key, NULL), E_OK);
    ready(&reads);
    ready(&writes);
    masks_load(m, false, &reads.wait);
    assert_int_equal(number_of(m, "ours"), 1);
    masks_commit(m, &writes.wait);
    loop_run(k.loop);
    assert_true(reads.done && writes.done);
    assert_int_equal(reads.wait.op.code, E_OK);
    assert_int_equal(writes.wait.op.code, E_CONFLICT);
    assert_int_equal(number_of(m, "theirs"), 1);
    assert_int_equal(number_of(m, "ours"), 2);
    assert_int_equal(commit(&k, m), E_OK);
    masks_free(m);
    masks_free(other);
    kit_close(&k);
}

// What another process gave is known after a look; what was given out meanwhile is given anew.
static void test_masks__looks_again(void **state)
{
    struct kit k;
    struct waiting look, late;
    char value[32];

    (void)state;
    kit_open(&k, "memory:");
    struct masks *m[2] = {opened(&k, false), opened(&k, false)};
    for (unsigned i = 1; i <= 130; i++) {
        snprintf(value, sizeof(value), "v%u", i);
        assert_int_equal(number_of(m[0], value), i);
        assert_int_equal(commit(&k, m[0]), E_OK);
        ready(&look);
        ready(&late);
        // The look is under way already when this one's number is given.
        masks_look_again(m[1], &look.wait);
        if (i % 3 == 0) {
            assert_int_equal(number_of(m[1], "of the other"), i);
            masks_commit(m[1], &late.wait);
        }
        loop_run(k.loop);
        assert_true(look.done && look.wait.op.code == E_OK);
        assert_true(i % 3 || (late.done && late.wait.op.code == E_CONFLICT));
        assert_non_null(mask_book_find(masks_book(m[1]), SLICE_LIT("EMAIL"), i));
        assert_false(mask_book_waits(masks_book(m[1])));
    }
    masks_free(m[0]);
    masks_free(m[1]);
    kit_close(&k);
}

// The store fails at every operation, before or after it happened: whatever was told to be durable
// is, and no number is given to another value.
static void fail_at(unsigned n, const char *mode)
{
    struct kit k;
    char url[128], value[32];
    uint32_t told[30] = {0};

    snprintf(url, sizeof(url), "faulty:fail_at=%u,mode=%s;memory:", n, mode);
    kit_open(&k, url);
    struct masks *m;
    assert_int_equal(masks_new(&m, k.ledger, k.partition, k.key, NULL), E_OK);
    for (unsigned i = 0; i < 30; i++) {
        // In between another process says something.
        if (i % 4 == 3) {
            struct masks *other;
            assert_int_equal(masks_new(&other, k.ledger, k.partition, k.key, NULL), E_OK);
            if (load(&k, other, false) == E_OK) {
                snprintf(value, sizeof(value), "other%u", i);
                number_of(other, value);
                commit(&k, other);
            }
            masks_free(other);
        }
        snprintf(value, sizeof(value), "v%u", i);
        for (int tries = 0; tries < 3 && !told[i]; tries++) {
            if (!masks_loaded(m, false) && load(&k, m, false) != E_OK)
                continue;
            uint32_t number = number_of(m, value);
            if (!masks_to_commit(m) || commit(&k, m) == E_OK)
                told[i] = number;
        }
        if (i % 7 == 6) {  // the process dies
            masks_free(m);
            assert_int_equal(masks_new(&m, k.ledger, k.partition, k.key, NULL), E_OK);
        }
    }
    masks_free(m);
    assert_int_equal(masks_new(&m, k.ledger, k.partition, k.key, NULL), E_OK);
    assert_true(load(&k, m, false) == E_OK || load(&k, m, false) == E_OK);
    for (unsigned i = 0; i < 30; i++) {
        snprintf(value, sizeof(value), "v%u", i);
        assert_true(told[i] > 0);
        assert_int_equal(number_of(m, value), told[i]);
    }
    assert_false(masks_to_commit(m));
    masks_free(m);
    kit_close(&k);
}

static void test_masks__store_fails_anywhere(void **state)
{
    (void)state;
    for (unsigned n = 1; n < 90; n++) {
        fail_at(n, "before");
        fail_at(n, "after");
    }
}

static const char *original(const struct masks *m, uint32_t i)
{
    const struct mask_original *o = mask_original(mask_book_at(masks_book(m), i), "desk", false);

    return o ? o->text : NULL;
}

static void test_masks__originals_last_as_long_as_they_may(void **state)
{
    struct kit k;

    (void)state;
    kit_open(&k, "memory:");
    struct masks *m = opened(&k, true);
    int64_t now_ms = clock_wall_ms(&k.clock->clock);
    number_of(m, "kept@x.org");
    masks_keep(m, "desk", now_ms + 5000);
    assert_int_equal(commit(&k, m), E_OK);
    number_of(m, "dropped@x.org");
    masks_keep_none(m, "desk");
    assert_int_equal(commit(&k, m), E_OK);
    number_of(m, "always@x.org");
    masks_keep(m, "desk", 0);
    assert_int_equal(commit(&k, m), E_OK);
    masks_free(m);

    m = opened(&k, true);
    assert_string_equal(original(m, 0), "kept@x.org");
    assert_null(original(m, 1));
    assert_string_equal(original(m, 2), "always@x.org");
    // Said again under a policy that keeps: kept from then on, without a new number.
    assert_int_equal(number_of(m, "dropped@x.org"), 2);
    assert_false(masks_to_commit(m));
    masks_keep(m, "desk", now_ms + 9000);
    assert_true(masks_to_commit(m));
    assert_int_equal(commit(&k, m), E_OK);
    assert_false(masks_to_commit(m));
    masks_free(m);

    clock_sim_advance(k.clock, 6000);
    m = opened(&k, true);
    assert_null(original(m, 0));
    assert_string_equal(original(m, 1), "dropped@x.org");
    masks_free(m);
    clock_sim_advance(k.clock, 6000);
    m = opened(&k, true);
    assert_string_equal(original(m, 2), "always@x.org");
    assert_null(original(m, 1));
    masks_free(m);
    kit_close(&k);
}

// Two bots keep the same value: a record each, of their own lifetimes.
static void test_masks__each_bot_keeps_for_itself(void **state)
{
    struct kit k;

    (void)state;
    kit_open(&k, "memory:");
    struct masks *m = opened(&k, true);
    int64_t now_ms = clock_wall_ms(&k.clock->clock);
    number_of(m, "a@x.org");
    mask_book_number(masks_book(m), "shop", SLICE_LIT("email"), SLICE_LIT("a@x.org"),
                     SLICE_LIT("A@X.org"), false);
    masks_keep(m, "shop", now_ms + 5000);
    masks_keep_none(m, "desk");
    assert_int_equal(commit(&k, m), E_OK);
    masks_free(m);
    m = opened(&k, true);
    assert_null(original(m, 0));
    const struct mask *mask = mask_book_at(masks_book(m), 0);
    assert_string_equal(mask_original(mask, "shop", true)->text, "A@X.org");
    number_of(m, "a@x.org");
    masks_keep(m, "desk", 0);
    assert_int_equal(commit(&k, m), E_OK);
    masks_free(m);
    clock_sim_advance(k.clock, 6000);
    m = opened(&k, true);
    assert_string_equal(original(m, 0), "a@x.org");
    assert_null(mask_original(mask_book_at(masks_book(m), 0), "shop", true));
    assert_int_equal(kit_count(&k, "original/email/0000000001/"), 2);
    // As a store of before has it, it is kept, and no bot's.
    struct vault_place place = {slice_str(k.partition), SLICE_LIT("original/email/0000000001"),
                                SLICE_LIT("{}")};
    struct buf sealing = BUF_INIT(256);
    struct sealed sealed;
    assert_int_equal(vault_seal_bytes(k.vault, k.key, &place, SLICE_LIT("old@x.org"), &sealing,
                                      &sealed, NULL), E_OK);
    kit_put(&k, "original/email/0000000001", "{}", sealed.bytes, 0);
    buf_release(&sealing);
    masks_free(m);
    m = opened(&k, true);
    assert_string_equal(mask_original(mask_book_at(masks_book(m), 0), "", true)->text,
                        "old@x.org");
    masks_free(m);
    kit_close(&k);
}

static void test_masks__a_damaged_page_is_told(void **state)
{
    struct kit k;
    struct kit other;

    (void)state;
    kit_open(&k, "memory:");
    struct masks *m = opened(&k, false);
    number_of(m, "a@x.org");
    assert_int_equal(commit(&k, m), E_OK);
    masks_free(m);
    // Another user's key opens nothing.
    other = k;
    vault_partition(k.vault, SLICE_LIT("bob"), other.partition);
    kit_make_key(&other);
    assert_int_equal(masks_new(&m, k.ledger, k.partition, other.key, NULL), E_OK);
    struct waiting w;
    ready(&w);
    masks_load(m, false, &w.wait);
    loop_run(k.loop);
    assert_int_equal(w.wait.op.code, E_CORRUPT);
    assert_non_null(strstr(w.wait.op.err.message, "masks/0000000001"));
    masks_free(m);
    kit_close(&k);
}

static void test_masks__nomem(void **state)
{
    (void)state;
    for (uint64_t round = 2; round < 240; round++) {
        uint64_t n = round / 2;
        struct kit k;
        struct masks *m = NULL;

        kit_open(&k, "memory:");
        mem_fail_at(n, round % 2);  // once, or from then on
        if (masks_new(&m, k.ledger, k.partition, k.key, NULL) == E_OK &&
            load(&k, m, true) == E_OK) {
            number_of(m, "a@x.org");
            masks_keep(m, "desk", 0);
            if (masks_to_commit(m))
                commit(&k, m);
        }
        mem_fail_at(0, 0);
        masks_free(m);
        m = opened(&k, true);
        uint32_t number = number_of(m, "b@x.org");
        assert_int_equal(number, mask_book_len(masks_book(m)));
        masks_free(m);
        kit_close(&k);
    }
}

// Without memory what is stored is not read, and never called damaged, and no number changes.
static void test_masks__nomem_while_loading(void **state)
{
    struct kit k;
    unsigned failures = 0;
    int code = E_NOMEM;

    (void)state;
    kit_open(&k, "memory:");
    struct masks *m = opened(&k, true);
    assert_int_equal(number_of(m, "a@x.org"), 1);
    assert_int_equal(number_of(m, "b@x.org"), 2);
    masks_keep(m, "desk", 0);
    assert_int_equal(commit(&k, m), E_OK);
    masks_free(m);
    for (uint64_t n = 1; code && n < 200; n++) {
        assert_int_equal(masks_new(&m, k.ledger, k.partition, k.key, NULL), E_OK);
        mem_fail_at(n, 0);
        code = load(&k, m, true);
        mem_fail_at(0, 0);
        failures += code == E_NOMEM;
        assert_true(code == E_OK || code == E_NOMEM);
        assert_true(code || (masks_loaded(m, true) && mask_book_len(masks_book(m)) == 2));
        assert_int_equal(load(&k, m, true), E_OK);
        assert_int_equal(number_of(m, "b@x.org"), 2);
        assert_int_equal(number_of(m, "a@x.org"), 1);
        masks_free(m);
    }
    assert_true(code == E_OK && failures > 8);
    kit_close(&k);
}

// While others work there is no work to spare: then one cannot begin, and is told.
static void test_masks__nomem_beside_others(void **state)
{
    (void)state;
    for (int writes = 0; writes < 2; writes++) {
        int code = E_NOMEM;
        unsigned failures = 0;

        for (uint64_t n = 1; code && n < 100; n++) {
            struct waiting first, second;
            struct kit k;

            kit_open(&k, "memory:");
            struct masks *m = opened(&k, false), *other;
            assert_true(masks_loaded(m, false) && !masks_loaded(m, true));
            assert_int_equal(masks_new(&other, k.ledger, k.partition, k.key, NULL), E_OK);
            if (writes)
                assert_int_equal(number_of(m, "a@x.org"), 1);
            ready(&first);
            ready(&second);
            masks_load(other, false, &first.wait);
            if (writes)
                masks_commit(m, &second.wait);
            else
                masks_load(m, true, &second.wait);
            assert_true(masks_to_commit(m));  // it is under way
            mem_fail_at(n, 0);
            loop_run(k.loop);
            mem_fail_at(0, 0);
            assert_true(first.done && second.done);
            code = first.wait.op.code ? first.wait.op.code : second.wait.op.code;
            failures += second.wait.op.code == E_NOMEM;
            assert_true(code == E_OK || code == E_NOMEM);
            assert_int_equal(load(&k, m, true), E_OK);
            assert_int_equal(number_of(m, "a@x.org"), 1);
            masks_free(other);
            masks_free(m);
            kit_close(&k);
        }
        assert_true(code == E_OK && failures > 0);
    }
}

// Of a user who is erased there is no digest, and so no mask that could be told apart.
static void test_masks__of_one_who_is_erased(void **state)
{
    struct kit k;

    (void)state;
    kit_open(&k, "memory:");
    struct masks *m = opened(&k, false);
    kit_forget(&k);
    number_of(m, "a@x.org");
    if (masks_to_commit(m))
        assert_int_equal(commit(&k, m), E_ERASED);
    masks_free(m);
    kit_close(&k);
}

// A page that is ours by its seal and says no masks, as a mistake of a writer of ours would.
static void test_masks__pages_that_say_no_masks(void **state)
{
    static const char *const pages[] = {
        "[[\"email\",1,\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123\"]]",
        "{}", "[7]", "[[7,1,\"x\"]]", "[[\"email\",1,7]]",
        "[[\"email\",0,\"0123456789abcdef0123456789abcdef\"]]",
        "[[\"email\",4294967296,\"0123456789abcdef0123456789abcdef\"]]",
        "[[\"a_word_that_is_longer_than_those_of_masks_ever_were_or_will_be\",1,\"0123456789ab\"]]",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
        struct buf sealing = BUF_INIT(4096);
        struct sealed sealed;
        struct masks *m;
        struct kit k;

        kit_open(&k, "memory:");
        struct vault_place place = {slice_str(k.partition), SLICE_LIT("masks/0000000001"),
                                    SLICE_LIT("{\"masks\":1}")};
        struct safe_text body = kit_text(pages[i]);
        assert_int_equal(vault_seal(k.vault, k.key, &place, body, &sealing, &sealed, NULL), E_OK);
        kit_put(&k, "masks/0000000001", "{\"masks\":1}", sealed.bytes, 0);
        assert_int_equal(masks_new(&m, k.ledger, k.partition, k.key, NULL), E_OK);
        if (load(&k, m, false) != E_CORRUPT)
            fail_msg("read: %s", pages[i]);
        masks_free(m);
        buf_release(&sealing);
        kit_close(&k);
    }
}

// Numbers that wait while a page turns out to be damaged are no conflict: the damage is told.
static void test_masks__damage_found_while_numbers_wait(void **state)
{
    struct waiting w;
    struct kit k;

    (void)state;
    kit_open(&k, "memory:");
    struct masks *m = opened(&k, false);
    assert_int_equal(number_of(m, "a@x.org"), 1);
    assert_int_equal(commit(&k, m), E_OK);
    assert_int_equal(number_of(m, "b@x.org"), 2);
    kit_spoil(&k, "masks/0000000001", "{\"masks\":9}");
    ready(&w);
    masks_look_again(m, &w.wait);
    loop_run(k.loop);
    assert_true(w.done);
    assert_int_equal(w.wait.op.code, E_CORRUPT);
    kit_spoil(&k, "masks/0000000001", "{\"masks\":1}");
    assert_int_equal(load(&k, m, false), E_OK);
    assert_int_equal(number_of(m, "c@x.org"), 2);
    masks_free(m);
    kit_close(&k);
}

// One that says things, keeps them, and reads them again, beside another process that was there.
static int say_and_keep(struct kit *k, unsigned values)
{
    struct masks *m;
    char value[32];
    int code = masks_new(&m, k->ledger, k->partition, k->key, NULL);

    if (!code)
        code = load(k, m, true);
    for (unsigned i = 0; !code && i < values; i++) {
        snprintf(value, sizeof(value), "v%u", i);
        number_of(m, value);
        masks_keep(m, "desk", 0);
    }
    if (!code && masks_to_commit(m))
        code = commit(k, m);
    masks_free(m);
    return code;
}

// Whatever a store answers: what was told is there, and where nobody lied all numbers are in order.
static void test_masks__meddled_with(void **state)
{
    enum { BEFORE = 120, AFTER = 170 };
    unsigned answers = 0, failures = 0;

    (void)state;
    for (unsigned how = 0; how < MEDDLINGS; how++) {
        bool hit = true;
        for (long n = 1; hit && n < 40; n++) {
            struct kit k;
            struct meddler m;

            kit_open(&k, "memory:");
            assert_int_equal(say_and_keep(&k, BEFORE), E_OK);
            meddler_init(&m, &k);
            m.how = (enum meddling)how;
            m.countdown = n;
            m.last_row = n % 2;
            int code = say_and_keep(&k, AFTER);
            hit = m.hit;
            m.countdown = 0;
            answers += hit;
            failures += code != E_OK;
            if (how < MEDDLINGS_HONEST) {
                assert_int_equal(say_and_keep(&k, AFTER), E_OK);
                struct masks *again = opened(&k, true);
                assert_int_equal(mask_book_len(masks_book(again)), AFTER);
                assert_int_equal(number_of(again, "v0"), 1);
                masks_free(again);
            }
            meddler_release(&m);
            kit_close(&k);
        }
    }
    printf("# masks, meddled with: %u answers, %u failures told\n", answers, failures);
    assert_true(answers > 100 && failures > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_masks__are_there_again),
        cmocka_unit_test(test_masks__two_at_once),
        cmocka_unit_test(test_masks__numbers_given_while_pages_are_read),
        cmocka_unit_test(test_masks__looks_again),
        cmocka_unit_test(test_masks__store_fails_anywhere),
        cmocka_unit_test(test_masks__originals_last_as_long_as_they_may),
        cmocka_unit_test(test_masks__each_bot_keeps_for_itself),
        cmocka_unit_test(test_masks__a_damaged_page_is_told),
        cmocka_unit_test(test_masks__nomem),
        cmocka_unit_test(test_masks__nomem_while_loading),
        cmocka_unit_test(test_masks__nomem_beside_others),
        cmocka_unit_test(test_masks__of_one_who_is_erased),
        cmocka_unit_test(test_masks__pages_that_say_no_masks),
        cmocka_unit_test(test_masks__damage_found_while_numbers_wait),
        cmocka_unit_test(test_masks__meddled_with),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
