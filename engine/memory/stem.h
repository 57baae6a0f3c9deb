// SPDX-License-Identifier: MIT
// stem.h: English words to their stems, so that "hiking" finds "hiked" and "bought" finds "buy".
//
// The suffix rules are those of Porter2 ("The English (Porter2) stemming algorithm", M. Porter,
// snowballstem.org/algorithms/english/stemmer.html, as of version 2.2), written anew from their
// description. Before them comes a table of irregular forms: questions about the past use the base
// form ("what did she buy?"), what is asked for was said in the past ("I bought"), and Porter2
// knows no irregular verb.
//
// Words of other languages written in a-z pass through the same rules. The rules are applied to
// what is stored and to what is asked alike, so a word always finds itself; what they can do is let
// a few words too many meet. Pure; any thread.
#ifndef MEMORY_STEM_H
#define MEMORY_STEM_H

#include <stddef.h>

enum { STEM_WORD_MAX = 48 };

// Stems word[0 … len) in place and returns the new length, at least 1 (0 for len 0). Takes only
// words of a-z, which may grow to STEM_WORD_MAX: word has that much room. Longer words, and words
// with other bytes in them, stay as they are.
size_t stem_english(char *word, size_t len);

// The suffix rules alone.
size_t stem_porter2(char *word, size_t len);

#endif
