// SPDX-License-Identifier: MIT
// key.c: sentences, their words, and which of them to keep (key.h).
#include "memory/key.h"

#include "base/mem.h"
#include "memory/drift.h"
#include "memory/terms.h"

#include <ctype.h>
#include <string.h>

enum {
    WORDS_MAX = 40,            // of a sentence that are looked at
    TEXT_BYTES_MAX = 256 << 10,
    ONE = 16,                  // of a word's worth
    RARE_BITS_MAX = 10,        // KEY_SENTENCES_MAX
    BUCKETS = 4096,            // of words, by hash
};

struct sentence {
    size_t at, len;            // in key.text
    uint32_t words[WORDS_MAX]; // hashes of those that say what it is about, each once, ascending
    uint32_t words_len, all;   // all: of its words
    bool own, named;
};

struct key {
    struct safe_buf text;
    struct vec list;           // struct sentence
    struct terms terms;        // scratch
    uint16_t said[BUCKETS];    // sentences that have a word of this bucket
};

int key_new(struct key **out, struct err *err)
{
    struct key *k = mem_zalloc(sizeof(*k));

    *out = k;
    if (!k)
        return err_set(err, E_NOMEM, "memory: out of memory for a session's sentences");
    safe_buf_init(&k->text, TEXT_BYTES_MAX);
    vec_init(&k->list, sizeof(struct sentence), KEY_SENTENCES_MAX);
    terms_init(&k->terms);
    return E_OK;
}

void key_free(struct key *k)
{
    if (!k)
        return;
    safe_buf_release(&k->text);
    vec_release(&k->list);
    terms_release(&k->terms);
    mem_free(k);
}

static uint32_t hash_of(struct slice word)
{
    // FNV-1a: told apart, not kept secret.
    uint32_t hash = UINT32_C(2166136261);
    for (size_t i = 0; i < word.len; i++)
        hash = (hash ^ (unsigned char)word.ptr[i]) * UINT32_C(16777619);
    return hash;
}

// Whether it was not there.
static bool add_word(struct sentence *s, uint32_t word)
{
    uint32_t at = s->words_len;

    while (at > 0 && s->words[at - 1] >= word)
        at--;
    if (at < s->words_len && s->words[at] == word)
        return false;
    memmove(s->words + at + 1, s->words + at, (s->words_len - at) * sizeof(*s->words));
    s->words[at] = word;
    s->words_len++;
    return true;
}

static uint32_t words_in_common(const struct sentence *a, const struct sentence *b)
{
    uint32_t same = 0;

    for (uint32_t i = 0, k = 0; i < a->words_len && k < b->words_len;) {
        uint32_t x = a->words[i], y = b->words[k];
        same += x == y;
        i += x <= y;
        k += y <= x;
    }
    return same;
}

// A number, or a capital letter behind the first word that is not the speaker's "I".
static bool names_something(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        bool word = i > 0 && text.ptr[i - 1] == ' ' && i + 1 < text.len &&
                    isalpha((unsigned char)text.ptr[i + 1]);
        if (isdigit(c) || (isupper(c) && word))
            return true;
    }
    return false;
}

static bool is_own_word(struct slice word)
{
    static const char *const words[] = {"i", "im", "ive", "my", "we", "our", "me"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (slice_is(word, words[i]))
            return true;
    return false;
}

static void read_words(struct key *k, struct sentence *s)
{
    for (size_t i = 0; i < k->terms.list.len; i++) {
        struct slice word = term_text(&k->terms, VEC_AT(&k->terms.list, struct term, i));
        uint32_t hash = hash_of(word);
        s->own |= is_own_word(word);
        bool counts = !term_is_function_word(word) && s->words_len < WORDS_MAX;
        if (counts && add_word(s, hash))
            k->said[hash % BUCKETS]++;
    }
}

static struct slice trimmed(struct slice s)
{
    while (s.len && isspace((unsigned char)s.ptr[s.len - 1]))
        s.len--;
    while (s.len && isspace((unsigned char)s.ptr[0]))
        s = slice_of(s.ptr + 1, s.len - 1);
    return s;
}

// text: as it is kept; words: what of it is judged.
static int add_sentence(struct key *k, struct safe_text text, struct slice words, struct err *err)
{
    bool asks = words.len && memchr(words.ptr, '?', words.len);
    if (asks || words.len > KEY_SENTENCE_BYTES_MAX || k->list.len == KEY_SENTENCES_MAX)
        return E_OK;
    int code = terms_read(&k->terms, words, err);
    if (code || k->terms.words < KEY_WORDS_MIN)
        return code;
    struct sentence *s = vec_push(&k->list);
    if (!s)
        return err_set(err, E_NOMEM, "memory: out of memory for a session's sentences");
    s->at = safe_buf_text(&k->text).len;
    s->len = text.len;
    s->all = k->terms.words;
    s->named = names_something(words);
    safe_buf_add(&k->text, text);
    read_words(k, s);
    return safe_buf_check(&k->text, "memory: a session's sentences", err);
}

int key_add(struct key *k, struct safe_text text, struct err *err)
{
    int code = E_OK;

    for (size_t at = 0, end; at < text.len && !code; at = end) {
        end = drift_sentence_end(safe_slice(text), at);
        bool room = safe_buf_text(&k->text).len + (end - at) <= TEXT_BYTES_MAX;
        struct slice words = trimmed(slice_of(text.ptr + at, end - at));
        struct safe_text kept = safe_text_part(text, (size_t)(words.ptr - text.ptr), words.len);
        if (room)
            code = add_sentence(k, kept, words, err);
    }
    return code;
}

int key_add_line(struct key *k, struct safe_text line, size_t from, struct err *err)
{
    bool room = safe_buf_text(&k->text).len + line.len <= TEXT_BYTES_MAX;
    struct slice words = safe_slice(safe_text_part(line, from, line.len - from));
    return room ? add_sentence(k, line, trimmed(words), err) : E_OK;
}

uint32_t key_len(const struct key *k)
{
    return (uint32_t)k->list.len;
}

// ---- choosing

static uint32_t bits_of(uint32_t n)
{
    uint32_t bits = 0;
    while (n > 1) {
        n >>= 1;
        bits++;
    }
    return bits;
}

static uint32_t worth(const struct key *k, const struct sentence *s)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < s->words_len; i++) {
        uint32_t others = k->said[s->words[i] % BUCKETS];
        uint32_t rare = bits_of((uint32_t)k->list.len) + 1 - bits_of(others ? others : 1);
        sum += ONE + ONE / 4 * (rare < RARE_BITS_MAX ? rare : RARE_BITS_MAX);
    }
    sum += s->named ? 2 * ONE : 0;
    sum += s->own ? sum / 2 : 0;
    // Twice as many words need not say twice as much.
    return sum * ONE / (s->all + ONE / 2);
}

enum state { NOT_SEEN, LEFT_OUT, CHOSEN };

// Whether most of what it is about was told by those that were chosen.
static bool is_told(const struct key *k, const struct sentence *s, const uint8_t *states)
{
    for (size_t i = 0; i < k->list.len; i++) {
        const struct sentence *other = VEC_AT(&k->list, const struct sentence, i);
        if (states[i] == CHOSEN && words_in_common(other, s) * 2 > s->words_len)
            return true;
    }
    return false;
}

// The best that nobody looked at; NULL: there is none.
static const struct sentence *next_best(const struct key *k, const uint32_t *worths,
                                        const uint8_t *states, size_t *at)
{
    uint32_t most = 0;
    for (size_t i = 0; i < k->list.len; i++) {
        if (states[i] == NOT_SEEN && worths[i] > most) {
            most = worths[i];
            *at = i;
        }
    }
    return most ? VEC_AT(&k->list, const struct sentence, *at) : NULL;
}

void key_mark(const struct key *k, uint32_t most, size_t bytes_max,
              bool chosen[KEY_SENTENCES_MAX])
{
    uint32_t worths[KEY_SENTENCES_MAX];
    uint8_t states[KEY_SENTENCES_MAX] = {0};
    const struct sentence *s;
    size_t at = 0, bytes = 0;

    for (size_t i = 0; i < k->list.len; i++)
        worths[i] = worth(k, VEC_AT(&k->list, const struct sentence, i));
    for (uint32_t n = 0, looked = 0; n < most && looked / 4 < most; looked++) {
        s = next_best(k, worths, states, &at);
        if (!s)
            break;
        bool keep = bytes + s->len + 1 <= bytes_max && !is_told(k, s, states);
        states[at] = keep ? CHOSEN : LEFT_OUT;
        bytes += keep ? s->len + 1 : 0;
        n += keep;
    }
    for (size_t i = 0; i < k->list.len; i++)
        chosen[i] = states[i] == CHOSEN;
}

int key_choose(const struct key *k, uint32_t most, size_t bytes_max, struct safe_buf *out,
               struct err *err)
{
    bool chosen[KEY_SENTENCES_MAX];

    key_mark(k, most, bytes_max, chosen);
    for (size_t i = 0; i < k->list.len; i++) {
        const struct sentence *s = VEC_AT(&k->list, const struct sentence, i);
        if (!chosen[i])
            continue;
        safe_buf_add(out, safe_text_part(safe_buf_text(&k->text), s->at, s->len));
        safe_buf_add(out, SAFE_LIT("\n"));
    }
    return safe_buf_check(out, "memory: a session's sentences", err);
}
