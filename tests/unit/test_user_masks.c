// SPDX-License-Identifier: MIT
// Masks in a worker's memory: what is kept stays while others come, and goes with who is erased.
#include "turn/mask.h"
#include "unit/ledger_kit.h"

struct scene {
    struct kit k;
    struct worker w;
    struct run run;
    bool ready;
};

static void ready(struct run *run)
{
    CONTAINER_OF(run, struct scene, run)->ready = true;
}

static void scene_open(struct scene *s)
{
    memset(s, 0, sizeof(*s));
    kit_open(&s->k, "memory:");
    s->w.ledger = s->k.ledger;
    s->w.env.vault = s->k.vault;
    s->w.env.clock = &s->k.clock->clock;
    assert_int_equal(map_new(&s->w.masks.by_user, 16), E_OK);
    s->run.w = &s->w;
    s->run.user_key = s->k.key;
    memcpy(s->run.partition, s->k.partition, sizeof(s->run.partition));
}

static void take(struct scene *s)
{
    s->ready = false;
    mask_open_kept(&s->run, ready);
    loop_run(s->k.loop);
    assert_true(s->ready);
}

static void scene_close(struct scene *s)
{
    user_masks_free_all(&s->w);
    kit_close(&s->k);
}

static void stop(struct vault_request *request)
{
    loop_stop(request->loop);
}

static void erase(struct scene *s)
{
    struct vault_request request = {.loop = s->k.loop, .done = stop};

    memcpy(request.partition, s->k.partition, sizeof(request.partition));
    vault_forget(s->k.vault, &request);
    loop_run(s->k.loop);
    assert_int_equal(request.code, E_OK);
}

static void test_user_masks__go_with_who_is_erased(void **state)
{
    struct scene s;

    (void)state;
    scene_open(&s);
    take(&s);
    mask_close(&s.run);
    assert_int_equal(s.w.masks.idle, 1);
    user_masks_forget(&s.w, "another");
    assert_int_equal(s.w.masks.idle, 1);
    erase(&s);
    user_masks_forget(&s.w, s.k.partition);
    assert_int_equal(s.w.masks.idle, 0);
    assert_int_equal(map_len(s.w.masks.by_user), 0);
    scene_close(&s);
}

// Somebody has them when the erasure comes: they go with the last who has.
static void test_user_masks__that_are_in_use_go_when_they_are_let_go(void **state)
{
    struct scene s;

    (void)state;
    scene_open(&s);
    take(&s);
    struct user_masks *too = user_masks_ref(s.run.masks);
    erase(&s);
    user_masks_forget(&s.w, s.k.partition);
    assert_int_equal(map_len(s.w.masks.by_user), 1);
    mask_close(&s.run);
    assert_int_equal(map_len(s.w.masks.by_user), 1);
    user_masks_release(&s.w, too);
    assert_int_equal(s.w.masks.idle, 0);
    assert_int_equal(map_len(s.w.masks.by_user), 0);
    scene_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_user_masks__go_with_who_is_erased),
        cmocka_unit_test(test_user_masks__that_are_in_use_go_when_they_are_let_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
