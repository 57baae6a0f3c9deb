// SPDX-License-Identifier: MIT
// terms.h: text to terms, the units of recall. What is stored and what is asked go the same way.
//
//   1. Characters: NFKC, case folded; diacritics, Hebrew points and Arabic vowel signs dropped, as
//      people leave them out when they type; other marks kept, which carry the vowels of Indic
//      scripts. Invisible characters are dropped.
//   2. Words: runs of letters and digits. Clitics go ("she's" → "she"), an apostrophe inside a word
//      closes up ("don't" → "dont"), an elided article is dropped ("l'amour" → "amour").
//   3. Numbers, dates, ids ("2023-05-08", "10:30", "ORD-12345", "user_id"): kept whole, and their
//      parts beside, so that either finds them.
//   4. Scripts without spaces (Han, kana, Hangul, Thai, Lao, Khmer, Burmese): pairs of characters;
//      single ones too for Han, where one is a word often enough.
//   5. Words of a-z are stemmed (stem.h).
// Invalid UTF-8 separates words. Deterministic; owned by one thread at a time.
#ifndef MEMORY_TERMS_H
#define MEMORY_TERMS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/vec.h"

enum {
    TERM_BYTES_MAX = 64,              // longer ones are cut, at a character
    TERMS_TEXT_BYTES_MAX = 64 << 10,  // longer texts are read up to here
    TERMS_MAX = 1 << 16,              // of one text; what is more is left out
};

struct term {
    uint32_t at;  // offset of its bytes in terms.text
    uint8_t len;  // 1 … TERM_BYTES_MAX
    bool whole;   // stands beside its own parts: not counted as a word of the text
};

struct terms {
    struct buf text;  // owned: the bytes of all terms
    struct vec list;  // owned: struct term, in the order of the text
    uint32_t words;   // terms that are not `whole`
    int32_t *chars;   // private: the text as characters
    size_t chars_cap;
};

void terms_init(struct terms *t);
void terms_release(struct terms *t);
// Replaces what was there. E_NOMEM, then t is empty.
int terms_read(struct terms *t, struct slice text, struct err *err);

static inline struct slice term_text(const struct terms *t, const struct term *term)
{
    return slice_of(t->text.ptr + term->at, term->len);
}

// Words that shape a question or a sentence and say little of what it is about ("what", "did",
// "the"), in English and as stems. In talk they are no rarer than others, so their frequency does
// not tell; in other languages it must.
bool term_is_function_word(struct slice term);

#endif
