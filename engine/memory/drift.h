// SPDX-License-Identifier: MIT
// drift.h: whether a summary tells what was said, as far as that can be told without a model.
//
// A summary that is made of a summary drifts: a number slips, a name is mixed up, and the next one
// repeats it. So each is held against its source. Of every sentence there must be in the source
//   - its numbers ("1,000" is "1000" and "1000.0", "twelve" is "12"),
//   - its names: words with a capital that do not open a sentence,
//   - its identifiers: words with digits, an underscore or capitals inside; addresses with "@" or
//     "://",
//   - what stands in quotation marks or backticks, word for word.
// Case, white space and English endings make no difference. Where every noun has a capital, as in
// German, capitals tell no names and only the others count. What a sentence says about its names
// and numbers is beyond this: a swap of two of them is not seen. Pure; one thread at a time.
#ifndef MEMORY_DRIFT_H
#define MEMORY_DRIFT_H

#include "base/err.h"
#include "base/slice.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct drift;
int drift_new(struct drift **out, struct err *err);
void drift_free(struct drift *d);  // NULL allowed
// More of the source. E_NOMEM, E_REFUSED (over 8 MiB).
int drift_add(struct drift *d, struct slice text, struct err *err);

struct drift_found {
    uint32_t sentences;  // of the summary
    uint32_t unborne;    // of them, with something that is not in the source
    char what[64];       // the first such thing, cut
};
// Holds a summary against the source. `each` is told of every sentence, with the white space after
// it, in order; together they are the text. NULL: nobody is. E_NOMEM.
int drift_check(const struct drift *d, struct slice text,
                void (*each)(void *user, struct slice sentence, bool borne_out), void *user,
                struct drift_found *out, struct err *err);

// Where the sentence that begins at `from` ends, white space after it included: at a line's end, or
// at a full stop that is none of an abbreviation, a number or a list. Quotations are not divided.
size_t drift_sentence_end(struct slice text, size_t from);

#endif
