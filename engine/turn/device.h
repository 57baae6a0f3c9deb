// SPDX-License-Identifier: MIT
// device.h: which device a session goes on on, for the room's other files (device.c). On the
// worker's thread.
#ifndef TURN_DEVICE_H
#define TURN_DEVICE_H

#include "turn/turn_int.h"

// Calls `then`, now or later, once the session that was found (run->target) is this device's, if
// the job says that it goes on here whoever has it; or the run ends with an error.
void device_enter(struct run *run, void (*then)(struct run *run));
// Whether another device has run's session, as far as its chat knows; by rules. *err then says who.
bool device_held(const struct run *run, const struct device_rules *rules, struct err *err);
// The same by the rules of its policy, of a run that has not chosen one.
bool device_keeps_out(const struct run *run, struct err *err);
struct lease_asker device_of(const struct run *run);  // borrows run
// Its head says that it moved to another device: tells who has a reply of it under way, or watches.
void device_moved(struct worker *w, const struct session_head *head);
// One run, if it is not that device's and was not told yet.
void device_tell(struct run *run, const struct session_head *head);
// The same for one run, whose chat says so.
void device_look(struct run *run);

#endif
