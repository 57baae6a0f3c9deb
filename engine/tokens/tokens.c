// SPDX-License-Identifier: MIT
// tokens.c: estimates by character class, for what cannot be counted.
//
// Byte-pair encoders give a common word together with the space before it one token, a longer one
// about one more per few letters, and rarer scripts less text per token. So text is taken as runs
// of one family of characters, and each run is charged by its length; in one pass and by lead bytes
// alone: the scripts that matter differ in their first byte. Bytes that are not UTF-8 do no harm.
// The charges are fitted to be a little high for prose in common encoders. Pure; any thread.
#include "tokens/tokens.h"

enum family { TAIL, SPACE, WORD, DIGITS, PUNCT, SYLLABLES, OTHERS };

// For each byte its family, and in the low bits its units: what it adds to the length of its run.
#define UNITS(family, n) ((family) << 4 | (n))
static const uint8_t bytes_table[256] = {
    [0 ... 8] = UNITS(OTHERS, 2),
    ['\t' ... '\r'] = UNITS(SPACE, 2),
    [14 ... 31] = UNITS(OTHERS, 2),
    [' '] = UNITS(SPACE, 1),
    ['!' ... '/'] = UNITS(PUNCT, 1),
    ['0' ... '9'] = UNITS(DIGITS, 1),
    [':' ... '@'] = UNITS(PUNCT, 1),
    ['A' ... 'Z'] = UNITS(WORD, 2),
    ['[' ... '`'] = UNITS(PUNCT, 1),
    ['a' ... 'z'] = UNITS(WORD, 1),
    ['{' ... '~'] = UNITS(PUNCT, 1),
    [0x7F] = UNITS(OTHERS, 2),
    [0x80 ... 0xBF] = TAIL,                 // of a character that was counted already
    [0xC0 ... 0xDF] = UNITS(WORD, 2),       // Latin with marks, Greek, Cyrillic, Hebrew, Arabic
    [0xE0 ... 0xE1] = UNITS(OTHERS, 3),     // Indic, Thai, Georgian, …
    [0xE2] = UNITS(PUNCT, 1),               // dashes, quotes, arrows, symbols
    [0xE3 ... 0xED] = UNITS(SYLLABLES, 1),  // kana, Han, Hangul
    [0xEE ... 0xEF] = UNITS(OTHERS, 3),     // full width, presentation forms
    [0xF0 ... 0xFF] = UNITS(OTHERS, 5),     // emoji and the rare planes
};

// In hundredths of a token.
enum { TOKEN = 100, LETTER_MORE = 24, PUNCT_MORE = 50, OTHER_UNIT = 50 };
enum { WORD_UNITS = 7, DIGITS_PER_TOKEN = 3, SPACES_PER_TOKEN = 16 };

static uint64_t charge(enum family family, uint64_t units, bool at_end)
{
    switch (family) {
    case SPACE:  // a single one is part of the word after it
        return units == 1 && !at_end ? 0 : (1 + units / SPACES_PER_TOKEN) * TOKEN;
    case WORD:
        return TOKEN + (units > WORD_UNITS ? (units - WORD_UNITS) * LETTER_MORE : 0);
    case DIGITS:
        return (units + DIGITS_PER_TOKEN - 1) / DIGITS_PER_TOKEN * TOKEN;
    case PUNCT:
        return TOKEN + (units - 1) * PUNCT_MORE;
    case SYLLABLES:
        return units * TOKEN;
    case OTHERS:
        return units * OTHER_UNIT;
    case TAIL:
        break;
    }
    return 0;
}

uint32_t tokens_estimate(struct slice text)
{
    const unsigned char *bytes = (const unsigned char *)text.ptr;
    uint64_t cost = 0;

    for (size_t at = 0; at < text.len;) {
        uint8_t entry = bytes_table[bytes[at]];
        unsigned family = entry >> 4;
        uint64_t units = 0;

        do {
            units += entry & 15;
            entry = ++at < text.len ? bytes_table[bytes[at]] : TAIL;
        } while (at < text.len && (entry >> 4 == family || entry == TAIL));
        cost += charge((enum family)family, units, at == text.len);
    }
    cost = (cost + TOKEN - 1) / TOKEN;
    return cost < UINT32_MAX ? (uint32_t)cost : UINT32_MAX;
}

uint32_t tokens_count(const struct encoding *e, struct slice text)
{
    uint32_t tokens;

    return e && encoding_count(e, text, 0, &tokens, NULL) == E_OK ? tokens : tokens_estimate(text);
}

uint32_t tokens_of_system(const struct encoding *e, struct safe_text system)
{
    uint32_t tokens = system.len ? tokens_count(e, safe_slice(system)) : 0;

    bool room = tokens && tokens <= UINT32_MAX - TOKENS_PER_MESSAGE;
    return room ? tokens + TOKENS_PER_MESSAGE : tokens;
}

uint32_t tokens_of_content(const struct encoding *e, const struct content *c)
{
    uint64_t sum = TOKENS_PER_MESSAGE;

    for (uint32_t i = 0; i < c->len; i++) {
        const struct block *b = &c->blocks[i];

        if (b->type == BLOCK_THINKING && b->signature.len == 0)
            continue;
        sum += tokens_count(e, safe_slice(b->text));
        sum += tokens_count(e, safe_slice(b->name));
        sum += tokens_count(e, safe_slice(b->json));
    }
    return sum < UINT32_MAX ? (uint32_t)sum : UINT32_MAX;
}
