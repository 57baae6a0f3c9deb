// SPDX-License-Identifier: MIT
// slice.c: the one thing about slices that is too long to inline. Pure; any thread.
#include "base/slice.h"

int slice_cmp(struct slice a, struct slice b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common ? memcmp(a.ptr, b.ptr, common) : 0;

    if (order != 0)
        return order;
    return (a.len > b.len) - (a.len < b.len);
}
