// SPDX-License-Identifier: MIT
// replay_svg.h: a back-test as a picture: cost and tokens per turn, a line for each policy.
//
// One file without references to others, readable on light and on dark ground. One thread.
#ifndef CLI_REPLAY_SVG_H
#define CLI_REPLAY_SVG_H

#include "base/buf.h"
#include "base/json.h"

// Appends the picture of parley_replay's report.
void replay_svg(struct buf *out, struct json report);

#endif
