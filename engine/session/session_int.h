// SPDX-License-Identifier: MIT
// session_int.h: what finding and listing share. Only session/ may include this file.
#ifndef SESSION_SESSION_INT_H
#define SESSION_SESSION_INT_H

#include "session/session.h"

// A head out of its record session/<id>. E_CORRUPT, E_NOMEM, and E_NOT_FOUND when the user's key is
// gone; *out then has the id, if the key names one, and the partition, and is `quarantined`.
int session_read_record(struct session_head *out, const struct session_env *env,
                        const char *partition, const struct user_key *key, const struct record *row,
                        struct err *err);

#endif
