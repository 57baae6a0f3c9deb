// SPDX-License-Identifier: MIT
// side.h: the side thread: a thread beside a loop's own, at a low priority, that goes on with
// fibers (fiber.h) which the loop's thread has put aside.
//
//                 side_take               side_turn, when others wait
//   loop's thread ─────────▶ line ──▶ runs ──────────────┐
//        ▲                    ▲         │ side_leave     │
//        │                    └─────────┼────────────────┘
//        └── comes_home ◀── home ◀──────┘
//
// What it uses is what the machine has left, and a twenty-fifth of a processor that is busy. A
// fiber begins and ends with the loop's thread, and on the side thread touches nothing that is
// that thread's. Each has its turn: one that does not end does not keep the others from theirs.
#ifndef BASE_SIDE_H
#define BASE_SIDE_H

#include "base/fiber.h"
#include "base/loop.h"

struct side;

// Starts the thread; `name` as thread_start takes it. `comes_home` is called on the loop's thread,
// for each fiber that left the side thread, and has to resume it. E_NOMEM.
int side_new(struct side **out, struct loop *loop, const char *name,
             void (*comes_home)(void *user, struct fiber *f), void *user, struct err *err);
void side_free(struct side *s);  // no fiber is there, or on its way home; NULL allowed

// On the loop's thread: the side thread goes on with a paused fiber.
void side_take(struct side *s, struct fiber *f);
// From inside a running fiber, wherever it runs: whether it is on the side thread.
bool side_has(const struct side *s, const struct fiber *f);
// On the side thread, from inside the fiber: lets the others there go on; returns at once when
// there are none.
void side_turn(struct side *s, struct fiber *f);
// On the side thread, from inside the fiber: returns on the loop's thread.
void side_leave(struct side *s, struct fiber *f);

#endif
