// SPDX-License-Identifier: MIT
// gate_sight.c: characters that nobody sees, and those that are there to look like others.
//
// A message that has any is material as a whole: who types does not type them, and what they hide
// is not known. What keyboards and scripts need is fine: joiners between letters of Persian or of
// Indic scripts and in emoji, marks of direction where a script runs from right to left, full-width
// letters beside Chinese or Japanese.
#include "memory/gate_int.h"

#include "base/utf8.h"

enum script { SCRIPT_NONE, SCRIPT_LATIN, SCRIPT_ALIKE };

static enum script script_of(int32_t c)
{
    if (c < 0x80)
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ? SCRIPT_LATIN : SCRIPT_NONE;
    if ((c >= 0xc0 && c <= 0x24f && c != 0xd7 && c != 0xf7) || (c >= 0x1e00 && c <= 0x1eff))
        return SCRIPT_LATIN;
    // Greek, Cyrillic, Armenian, Cherokee, Coptic, Lisu: full of letters that look like Latin ones.
    if ((c >= 0x370 && c <= 0x58f) || (c >= 0x13a0 && c <= 0x13ff) ||
        (c >= 0x2c80 && c <= 0x2cff) || (c >= 0xa4d0 && c <= 0xa4ff) ||
        (c >= 0x1f00 && c <= 0x1fff) || (c >= 0xab70 && c <= 0xabbf))
        return SCRIPT_ALIKE;
    return SCRIPT_NONE;
}

// Cyrillic and Greek letters that are taken for a Latin one.
static bool looks_latin(int32_t c)
{
    static const int32_t alike[] = {
        0x430, 0x435, 0x43e, 0x440, 0x441, 0x443, 0x445, 0x456, 0x458, 0x455, 0x4bb, 0x501, 0x51b,
        0x51d, 0x410, 0x412, 0x415, 0x41a, 0x41c, 0x41d, 0x41e, 0x420, 0x421, 0x422, 0x423, 0x425,
        0x405, 0x406, 0x408, 0x4ae, 0x4cf, 0x4c0, 0x3bf, 0x3b1, 0x3b9, 0x3bd, 0x3c1, 0x3c5, 0x391,
        0x392, 0x395, 0x396, 0x397, 0x399, 0x39a, 0x39c, 0x39d, 0x39f, 0x3a1, 0x3a4, 0x3a5, 0x3a7,
    };

    for (size_t i = 0; i < sizeof(alike) / sizeof(*alike); i++)
        if (alike[i] == c)
            return true;
    return false;
}

// Letters of alphabets in use (Ewe, Hausa, Azerbaijani) among the phonetic ones.
static bool is_in_use(int32_t c)
{
    return c == 0x253 || c == 0x254 || c == 0x256 || c == 0x257 || c == 0x259 || c == 0x25b;
}

// Letters of other shapes: mathematical, circled, small capitals, raised, on their head.
static bool is_disguised(int32_t c)
{
    return (c >= 0x1d400 && c <= 0x1d7ff) || (c >= 0x2460 && c <= 0x24ff) ||
           (c >= 0x1f110 && c <= 0x1f189) || (c >= 0x1d00 && c <= 0x1dbf) ||
           (c >= 0x250 && c <= 0x2b8 && !is_in_use(c)) || (c >= 0x2c60 && c <= 0x2c7f) ||
           (c >= 0xa720 && c <= 0xa7ff) || (c >= 0x2100 && c <= 0x214f && c != 0x2116 &&
                                            c != 0x2122) ||
           (c >= 0x1f1a5 && c <= 0x1f1e5);
}

static bool is_private(int32_t c)
{
    return (c >= 0xe000 && c <= 0xf8ff) || c >= 0xf0000;
}

static bool is_control(int32_t c)
{
    return c < 0 || (c < ' ' && c != '\n' && c != '\r' && c != '\t') || (c >= 0x7f && c < 0xa0) ||
           c == 0x2028 || c == 0x2029;
}

// Never seen, and nobody's keyboard has it.
static bool is_unseen(int32_t c)
{
    return c == 0xad || c == 0x34f || c == 0x61c || c == 0x115f || c == 0x1160 || c == 0x180e ||
           c == 0x200b || (c >= 0x202a && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) ||
           c == 0x3164 || c == 0xfeff || c == 0xffa0 || (c >= 0xfff9 && c <= 0xfffd) ||
           (c >= 0xe0000 && c <= 0xe0fff) || c == 0x2800 || (c >= 0x1bca0 && c <= 0x1bca3);
}

struct sight {
    int32_t last;          // the character before
    enum script word;      // of the word's letters so far
    bool odd_word;         // all its letters look like Latin ones and are none
    bool any_odd, any_latin, any_wide, any_cjk, any_rtl, any_direction;
    unsigned marks;        // combining ones in a row
};

static bool is_combining(int32_t c)
{
    return (c >= 0x300 && c <= 0x36f) || (c >= 0x1ab0 && c <= 0x1aff) ||
           (c >= 0x20d0 && c <= 0x20ff);
}

static bool joins_ascii(struct slice text, size_t next, int32_t last)
{
    return last < 0x80 || next >= text.len || (unsigned char)text.ptr[next] < 0x80;
}

// False: the message has what nobody sees, or what is made to look like something else.
static bool see(struct sight *s, struct slice text, int32_t c, size_t next)
{
    enum script script = script_of(c);

    if (is_control(c) || is_unseen(c) || is_disguised(c) || is_private(c))
        return false;
    if ((c == 0x200c || c == 0x200d) && joins_ascii(text, next, s->last))
        return false;
    if (((c >= 0xfe00 && c <= 0xfe0d) || (c >= 0xfe0e && c <= 0xfe0f &&
                                          ((s->last >= 'a' && s->last <= 'z') || s->last == ' '))))
        return false;
    s->marks = is_combining(c) ? s->marks + 1 : 0;
    if (s->marks > 2)
        return false;
    s->any_wide |= c >= 0xff01 && c <= 0xff5e && c != 0xff0c && c != 0xff01 && c != 0xff1f &&
                   c != 0xff1a && c != 0xff08 && c != 0xff09;
    s->any_cjk |= gate_is_spaceless(c) || (c >= 0xac00 && c <= 0xd7a3);
    s->any_rtl |= (c >= 0x590 && c <= 0x8ff) || (c >= 0xfb1d && c <= 0xfefc);
    s->any_direction |= c == 0x200e || c == 0x200f;
    s->any_latin |= script == SCRIPT_LATIN;
    if (script == SCRIPT_NONE && !is_combining(c)) {
        s->any_odd |= s->odd_word;
        s->odd_word = false;
        s->word = SCRIPT_NONE;
    } else if (script == SCRIPT_LATIN || script == SCRIPT_ALIKE) {
        if (s->word != SCRIPT_NONE && s->word != script)
            return false;  // letters of two scripts in one word
        s->odd_word = script == SCRIPT_ALIKE && looks_latin(c) &&
                      (s->odd_word || s->word == SCRIPT_NONE);
        s->word = script;
    }
    s->last = c;
    return true;
}

bool gate_is_hidden(struct slice text)
{
    struct sight s = {.last = ' '};

    for (size_t at = 0; at < text.len;) {
        int32_t c = utf8_next(text, &at);
        if (!see(&s, text, c, at))
            return true;
    }
    s.any_odd |= s.odd_word;
    return (s.any_odd && s.any_latin) || (s.any_wide && !s.any_cjk) ||
           (s.any_direction && !s.any_rtl);
}
