// SPDX-License-Identifier: MIT
// session_int.h: a head's parts, for its stored form. Only model/ may include this file.
#ifndef MODEL_SESSION_INT_H
#define MODEL_SESSION_INT_H

#include "model/meta_int.h"
#include "model/session.h"

int session_notes_copy(struct session_notes **out, const struct session_notes *n, struct err *err);
bool session_notes_empty(const struct session_notes *n);  // NULL is
// Members of the body, open in w; *out is made if there are any.
void session_notes_write(const struct session_notes *n, struct json_writer *w);
void session_notes_read(struct session_notes **out, struct meta *m);
// Members of the meta, after `turns`.
void session_life_write(const struct session_head *h, struct json_writer *w);
void session_life_read(struct session_head *h, struct meta *m);
// A member of the meta, of a lease that somebody had; the device's name is of the body. (lease.c)
void lease_write(const struct session_lease *l, struct json_writer *w);
void lease_read(struct session_lease *l, struct meta *m);

#endif
