// SPDX-License-Identifier: MIT
// tree.c: see tree.h.
#include "store/tree.h"

#include <stddef.h>

static uint32_t next_weight(struct tree *t)
{
    uint32_t x = t->state;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return t->state = x;
}

// The link that points at the node.
static struct tree_node **link_to(struct tree *t, struct tree_node *node)
{
    if (!node->up)
        return &t->root;
    return node->up->left == node ? &node->up->left : &node->up->right;
}

// Moves the node above its parent, keeping the order.
static void rotate_up(struct tree *t, struct tree_node *node)
{
    struct tree_node *parent = node->up, **link = link_to(t, parent), *moved = NULL;
    if (parent->left == node) {
        moved = node->right;
        node->right = parent;
        parent->left = moved;
    } else {
        moved = node->left;
        node->left = parent;
        parent->right = moved;
    }
    if (moved)
        moved->up = parent;
    node->up = parent->up;
    parent->up = node;
    *link = node;
}

void tree_insert(struct tree *t, struct tree_node *node)
{
    struct tree_node **link = &t->root, *up = NULL;
    while (*link) {
        up = *link;
        link = t->order(node, up) < 0 ? &up->left : &up->right;
    }
    *node = (struct tree_node){.up = up, .weight = next_weight(t)};
    *link = node;
    while (node->up && node->up->weight < node->weight)
        rotate_up(t, node);
}

void tree_remove(struct tree *t, struct tree_node *node)
{
    while (node->left || node->right) {
        struct tree_node *l = node->left, *r = node->right;
        rotate_up(t, !l || (r && r->weight > l->weight) ? r : l);
    }
    *link_to(t, node) = NULL;
    *node = (struct tree_node){0};
}

struct tree_node *tree_at_or_after(const struct tree *t, const struct tree_node *probe)
{
    struct tree_node *best = NULL, *at = t->root;
    while (at) {
        if (t->order(at, probe) < 0) {
            at = at->right;
        } else {
            best = at;
            at = at->left;
        }
    }
    return best;
}

struct tree_node *tree_before(const struct tree *t, const struct tree_node *probe)
{
    struct tree_node *best = NULL, *at = t->root;
    while (at) {
        if (t->order(at, probe) < 0) {
            best = at;
            at = at->right;
        } else {
            at = at->left;
        }
    }
    return best;
}

struct tree_node *tree_first(const struct tree *t)
{
    struct tree_node *at = t->root;
    while (at && at->left)
        at = at->left;
    return at;
}

struct tree_node *tree_next(struct tree_node *node)
{
    if (node->right) {
        for (node = node->right; node->left;)
            node = node->left;
        return node;
    }
    while (node->up && node->up->right == node)
        node = node->up;
    return node->up;
}

struct tree_node *tree_prev(struct tree_node *node)
{
    if (node->left) {
        for (node = node->left; node->right;)
            node = node->right;
        return node;
    }
    while (node->up && node->up->left == node)
        node = node->up;
    return node->up;
}
