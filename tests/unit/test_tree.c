// SPDX-License-Identifier: MIT
// The ordered set under the memory store, against a plain array.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/rand.h"
#include "store/tree.h"

enum { NUMBERS = 500, STEPS = 20000 };

struct number {
    struct tree_node node;  // first
    int value;
};

static int value_of(const struct tree_node *node)
{
    return ((const struct number *)(const void *)node)->value;
}

static int order(const struct tree_node *a, const struct tree_node *b)
{
    return value_of(a) - value_of(b);
}

static int node_value(const struct tree_node *node)
{
    return node ? value_of(node) : -1;
}

// The nearest present value from `at` in steps of `by`, or -1.
static int scan(const char *present, int at, int by)
{
    while (at >= 0 && at < NUMBERS && !present[at])
        at += by;
    return at >= 0 && at < NUMBERS ? at : -1;
}

static void test_tree__agrees_with_an_array(void **state)
{
    (void)state;
    static struct number numbers[NUMBERS];
    static char present[NUMBERS];
    struct tree tree = TREE_INIT(order);
    struct rand_sim rand;
    rand_sim_init(&rand, 42);
    for (int step = 0; step < STEPS; step++) {
        int n = (int)rand_below(&rand.rand, NUMBERS);
        struct tree_node *node = &numbers[n].node;
        numbers[n].value = n;
        if (present[n])
            tree_remove(&tree, node);
        else
            tree_insert(&tree, node);
        present[n] = !present[n];
        struct number probe = {.value = (int)rand_below(&rand.rand, NUMBERS)};
        struct tree_node *at = tree_at_or_after(&tree, &probe.node);
        struct tree_node *before = tree_before(&tree, &probe.node);
        assert_int_equal(node_value(at), scan(present, probe.value, 1));
        assert_int_equal(node_value(before), scan(present, probe.value - 1, -1));
        assert_int_equal(node_value(tree_first(&tree)), scan(present, 0, 1));
        if (at)
            assert_int_equal(node_value(tree_prev(at)), node_value(before));
        if (before)
            assert_int_equal(node_value(tree_next(before)), node_value(at));
    }
}

static int depth(const struct tree_node *node)
{
    if (!node)
        return 0;
    int l = depth(node->left), r = depth(node->right);
    return 1 + (l > r ? l : r);
}

// Keys come in order here (ordinals, times): the tree must not become a list.
static void test_tree__stays_flat_when_filled_in_order(void **state)
{
    (void)state;
    enum { MANY = 10000 };
    struct number *numbers = calloc(MANY, sizeof *numbers);
    assert_non_null(numbers);
    struct tree tree = TREE_INIT(order);
    for (int i = 0; i < MANY; i++) {
        numbers[i].value = i;
        tree_insert(&tree, &numbers[i].node);
    }
    assert_true(depth(tree.root) < 60);
    free(numbers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tree__agrees_with_an_array),
        cmocka_unit_test(test_tree__stays_flat_when_filled_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
