// SPDX-License-Identifier: MIT
// tree.h: an ordered set of nodes that live inside their owners (a treap: a binary tree by order, a
// heap by random weight, so it stays balanced). Allocates nothing. Owned by one thread at a time.
#ifndef STORE_TREE_H
#define STORE_TREE_H

#include <stdint.h>

struct tree_node {
    struct tree_node *up, *left, *right;
    uint32_t weight;
};

struct tree {
    struct tree_node *root;
    int (*order)(const struct tree_node *a, const struct tree_node *b);  // < 0, 0, > 0
    uint32_t state;  // of the weights' generator; not 0
};
#define TREE_INIT(order_fn) {NULL, (order_fn), 0x9e3779b9}

void tree_insert(struct tree *t, struct tree_node *node);  // no equal node may be there
void tree_remove(struct tree *t, struct tree_node *node);
// The first node that is not less than the probe, the last one that is; NULL when there is none.
struct tree_node *tree_at_or_after(const struct tree *t, const struct tree_node *probe);
struct tree_node *tree_before(const struct tree *t, const struct tree_node *probe);
struct tree_node *tree_first(const struct tree *t);
struct tree_node *tree_next(struct tree_node *node);
struct tree_node *tree_prev(struct tree_node *node);

#endif
