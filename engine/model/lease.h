// SPDX-License-Identifier: MIT
// lease.h: which device a session goes on on, as pure functions of time and of what its head says.
// Any thread.
//
//   nobody's ──a device says something──▶ held ──another continues here, or it lapsed──▶ held
//                                          by A                            epoch + 1     by B
//
// Only where the policy says so (`devices = { one_active = true }`) does a lease keep others out;
// elsewhere the head tells which device spoke last. In an epoch one device alone adds to the
// session: the head's version guards that, as each commit that adds to it puts the head. Who says
// no device is one device, that without a name.
#ifndef MODEL_LEASE_H
#define MODEL_LEASE_H

#include "base/err.h"
#include <stdbool.h>
#include <stdint.h>

enum { DEVICE_BYTES = 65, DEVICE_HOLDER_BYTES = 33 };
#define LEASE_LAPSE_DEFAULT_MS ((int64_t)10 * 60 * 1000)

// What a policy says.
struct device_rules {
    bool one_active;   // one device at a time
    int64_t lapse_ms;  // without activity; then anybody may have it. 0: never
};
extern const struct device_rules device_rules_default;  // any device, 10 minutes

struct session_lease {
    char holder[DEVICE_HOLDER_BYTES];  // a keyed digest of user and device; "": nobody said one yet
    char before[DEVICE_HOLDER_BYTES];  // who had it before; ""
    char device[DEVICE_BYTES];        // the holder's name, as given; sealed; "": it has none
    uint32_t epoch;                   // 0: the policy never asked for one device
    int64_t since_ms;
    struct device_rules rules;        // the policy's as of the last message
};

// Somebody who comes with a message. Borrowed.
struct lease_asker {
    const char *holder, *device;
};

// Whether somebody else has it, by these rules (a message's policy's), last active then.
bool lease_held(const struct session_lease *l, const struct device_rules *rules, const char *holder,
                int64_t last_active_ms, int64_t now_ms);
// It is the asker's, who may have it. Whether it moved there from another device, to people's
// surprise: something that is to be told.
bool lease_take(struct session_lease *l, const struct device_rules *rules,
                const struct lease_asker *by, int64_t now_ms);
// What the one is told who may not have it: who has, since when, how to go on all the same.
// Returns E_REFUSED.
int lease_refuse(const struct session_lease *l, const char *session, const char *holder,
                 struct err *err);

#endif
