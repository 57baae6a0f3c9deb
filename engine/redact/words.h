// SPDX-License-Identifier: MIT
// words.h: words in front of a value that say what it is ("SSN:", "call me at").
//
// Only what stands before a value counts, so that a stream can decide early; and only a bounded
// stretch of it. All that listen for words do so at once: what stands in front of a place is looked
// up in one vocabulary, once, however many recognisers ask about that place.
#ifndef REDACT_WORDS_H
#define REDACT_WORDS_H

#include "redact/classify.h"
#include "redact/view.h"
#include <stdbool.h>
#include <stdint.h>

// How far in front of a value a word may begin; and how near a number must stand to share the words
// in front of both ("phone: 555-0132 or 555-0199"). Otherwise they are of the number that is first.
enum { WORDS_BYTES = 64, WORDS_SHARED_BYTES = 5, WORDS_NUMBER_DIGITS = 3 };

// What words say of digits behind them, if those may be a telephone number.
enum phone_saying {
    SAYS_NOTHING,
    SAYS_OTHER,    // "order no.": something else
    SAYS_VAGUELY,  // "my number is": perhaps a telephone
    SAYS_PHONE,    // "call me at"
};

// Lower-case UTF-8; ASCII letters match in either case. A word stands alone: no letter or digit
// before it, none after, but for those of scripts without blanks (U+1000 on). One that ends in "*"
// may go on ("phone*" finds "phones"); a blank in it matches one blank, '-', '_' or nothing
// ("tax id" finds "tax-id", "TaxID"). Two bytes or more.
struct word {
    const char *text;
    unsigned char phone;  // enum phone_saying
    uint64_t ids;         // the rules of national ids that it speaks for (redact/ids.h), a bit each
};

// Words by their first two bytes, of which five bits each tell letters apart. So that most of a
// text is passed by at once: which three bytes words begin with, and the four first of each. Made
// once, then read-only, any thread.
enum { VOCABULARY_MAX = 639, VOCABULARY_KEYS = 1 << 10 };
struct vocabulary {
    uint32_t thirds[VOCABULARY_KEYS];   // behind two such bytes, a bit for the five of the third
    struct {
        uint32_t head, mask;            // bytes with the bit of small letters; which of them count
        uint16_t next;                  // of the same key; 0: none
    } heads[VOCABULARY_MAX + 1];        // from 1 on
    struct word words[VOCABULARY_MAX + 1];
    uint16_t first[VOCABULARY_KEYS];    // 0: none
    uint16_t len;
};
// The text is borrowed for as long as the vocabulary is used. BUG when it is full.
void vocabulary_add(struct vocabulary *v, const struct word *word);

// What the words say of a value at `at`, of which a byte at least is there, by the view's
// vocabulary; borrowed until another place is asked about. The nearest word decides of telephones,
// but a vague one only where no other does, and one that says something else only where it is near.
const struct heard *words_heard(struct view *v, size_t at);

// The stretch in front of `at` whose words are about what stands there: within WORDS_BYTES, in the
// same paragraph (no empty line between), behind a number that is not near. Byte base + i is bit i.
struct stretch {
    size_t base;
    uint64_t within;  // which bytes are of it
    struct block of;  // their classes, and those of some in front of it (redact/classify.h)
};
struct stretch words_stretch(const struct view *v, size_t at);

#endif
