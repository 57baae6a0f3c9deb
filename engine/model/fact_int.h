// SPDX-License-Identifier: MIT
// fact_int.h: what the two readers of stored slots share: fact_codec.c, which reads anything and
// says what is wrong with it, and fact_quick.c, which reads what is as we write it.
#ifndef MODEL_FACT_INT_H
#define MODEL_FACT_INT_H

#include "model/fact.h"

// What JavaScript's Date, and so JSON as people read it, can hold.
static const int64_t fact_time_max_ms = INT64_C(8640000000000000);

bool fact_status_find(struct slice word, enum fact_status *out);
bool fact_author_find(struct slice word, enum fact_author *out);

// Fills a slot that was initialised. False: it is not as we would write it, or has escapes, or
// there is no memory: s holds a part of it, and is to be released and read by fact_slot_read.
// True: fact_slot_read would have made the same of it, and fact_slot_write makes these bytes.
bool fact_slot_read_quick(struct fact_slot *s, struct slice meta, struct safe_text body);

#endif
