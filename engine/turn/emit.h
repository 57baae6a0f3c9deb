// SPDX-License-Identifier: MIT
// emit.h: events out of a run, and their JSON (emit.c). On the worker's thread.
#ifndef TURN_EMIT_H
#define TURN_EMIT_H

#include "base/json.h"
#include "model/session.h"
#include "model/turn.h"

struct event;
struct run;

void emit_accepted(struct run *run);
void emit_delta(struct run *run, struct slice text);
// A delta of safe text, as the client is due it.
void emit_reply(struct run *run, struct safe_text text);
void emit_warning(struct run *run, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
// The session goes on on the device that its head names.
void emit_moved(struct run *run, const struct session_head *head);
// Members of an open object: the device that it goes on on, and since when; null where none was
// said.
void emit_lease(struct json_writer *w, const struct session_head *head);
// Tells a joiner what `first` has told so far.
void emit_join(struct run *run, const struct run *first);
// To whoever asked for the run, and nobody else.
void emit_event(struct run *run, const struct event *event);
// DONE of a turn that a watch tells, which goes on.
void emit_turn_over(struct run *run, const struct turn *turn, int code, const char *message);
// Ends the run. DONE with the turn as it stands.
void emit_done(struct run *run, const struct turn *turn, int code, const char *message);
// Ends the run: RESULT takes what is in json; ERROR with code and message.
void emit_result(struct run *run, struct buf *json);
void emit_error(struct run *run, int code, const struct err *err);
// Ends the run: ERROR, though what was asked is done.
void emit_untold(struct run *run);
void emit_window(struct json_writer *w, uint64_t tokens, uint64_t limit);
// Members of an open object: who a session belongs to, and its status now; its times.
void emit_head(struct json_writer *w, const struct session_head *head, const char *user,
               int64_t now_ms);
// A member that is a time, null for 0.
void emit_time(struct json_writer *w, const char *key, int64_t ms);
// A member that is an array of lines.
void emit_lines(struct json_writer *w, const char *key, struct slice lines);
void emit_constraints(struct json_writer *w, const struct session_head *head);
void emit_pins(struct json_writer *w, const struct session_head *head);
// What session it follows and what was said first, as whoever reads it is shown it; harmless
// without a head.
void emit_beginning(struct json_writer *w, const struct session_head *head, struct slice greeting);
void emit_times(struct json_writer *w, const struct session_head *head);
void emit_show(struct json_writer *w, const struct run *run);  // the whole transcript

#endif
