// SPDX-License-Identifier: MIT
// gate_words.h: the words by which the gate reads, as the build's tool makes them of
// scripts/words/gate.txt, where each kind is told.
#ifndef MEMORY_GATE_WORDS_H
#define MEMORY_GATE_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <utf8proc.h>

// In the file's words: "self", "mine", …
#define GATE_KINDS(X) \
    X(SELF, self) X(MINE, mine) X(ME, me) X(YOU, you) X(OTHER, other) X(KIN, kin) X(USER, user) \
    X(NOT, not) X(AVERSE, averse) X(PAST, past) X(IF, if) X(WISH, wish) X(ASK, ask) X(TAG, tag) \
    X(SAY, say) X(TEXT, text) X(GOT, got) X(TASK, task) X(THIS, this) X(THAT, that) \
    X(TONGUE, tongue) X(PLAY, play) X(IDIOM, idiom) X(MAKE, make) X(STOP, stop) X(JOKE, joke) \
    X(STORE, store) X(INJECT, inject) X(CLOSE, close) X(ALWAYS, always) X(NEXT, next) \
    X(HAND, hand) X(BUT, but) X(THIRD, third) X(LABEL, label) X(TOPIC, topic) X(LEAD, lead) \
    X(YES, yes) X(ORDER, order) X(REMIND, remind) X(LETS, lets) X(STYLE, style) X(VIEW, view) \
    X(LATER, later) X(ADVICE, advice) X(PLEASE, please) \
    X(SMALL, small)

#define GATE_KIND_N(upper, lower) GATE_N_##upper,
enum gate_kind_n { GATE_KINDS(GATE_KIND_N) GATE_KINDS_LEN };
#undef GATE_KIND_N
#define GATE_BIT(upper) (UINT64_C(1) << GATE_N_##upper)
// Some phrase begins with this word; set by the tool.
#define GATE_OPENS (UINT64_C(1) << 62)

enum { GATE_WORD_BYTES = 48, GATE_PHRASE_WORDS = 5, GATE_STEM_MIN = 3, GATE_LANGUAGES_MAX = 32 };

struct gate_word {
    const char *word;   // folded; words of a phrase parted by '_'
    uint64_t kinds;     // GATE_BIT
    uint8_t len;
    uint8_t language;   // its number; 0 is `any`
    bool stem;          // whatever begins with it
};

// Sorted by word, then language.
extern const struct gate_word gate_words[];
extern const uint32_t gate_words_len;

enum { GATE_FOLDED_MAX = 24 };
// One character, without case, marks and forms; how many it becomes (0: nobody sees it), or -1 for
// what is none. The file and what people write are folded alike.
static inline int gate_fold(int32_t c, int32_t out[GATE_FOLDED_MAX])
{
    const utf8proc_option_t how = UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD |
                                  UTF8PROC_IGNORE | UTF8PROC_STRIPMARK;
    int boundary = 0;

    if (c >= 0 && c < 0x80) {
        out[0] = c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
        return 1;
    }
    utf8proc_ssize_t n = utf8proc_decompose_char(c, out, GATE_FOLDED_MAX, how, &boundary);
    return n < 0 || n > GATE_FOLDED_MAX ? -1 : (int)n;
}

// Letters that stand for words or parts of words by themselves, as no blanks part them.
static inline bool gate_is_spaceless(int32_t c)
{
    return (c >= 0x3041 && c <= 0x30ff) || (c >= 0x3400 && c <= 0x4dbf) ||
           (c >= 0x4e00 && c <= 0x9fff) || (c >= 0x0e01 && c <= 0x0ecd) ||
           (c >= 0x1000 && c <= 0x103f) || (c >= 0x1780 && c <= 0x17d3);
}

#endif
