// SPDX-License-Identifier: MIT
// gate_look.h: a claim held against one sentence: what gate_claim.c and gate_person.c share.
#ifndef MEMORY_GATE_LOOK_H
#define MEMORY_GATE_LOOK_H

#include "memory/gate_int.h"

#include <string.h>

struct gate_look {
    const struct gate *g;
    const struct gate_text *t;
    const struct gate_claim *claim;
    const struct gate_sentence *s;
    uint32_t first, last;      // tokens of the value
    uint32_t from, to;         // the clause that it stands in
    uint64_t predicate, value; // kinds of their words
    bool about_user;
};

// ---- words

static inline bool look_has(struct slice name, const char *part)
{
    return name.len && memmem(name.ptr, name.len, part, strlen(part)) != NULL;
}

static inline bool look_any(const struct gate_text *t, uint32_t i, const char *const *words,
                            size_t len)
{
    for (size_t w = 0; w < len; w++)
        if (slice_is(token_key(t, token_at(t, i)), words[w]))
            return true;
    return false;
}
#define LOOK_ANY(t, i, list) look_any(t, i, list, sizeof(list) / sizeof(*(list)))

static inline bool look_is(const struct gate_text *t, uint32_t i, const char *word)
{
    return slice_is(token_key(t, token_at(t, i)), word);
}

static inline bool is_word(const struct gate_text *t, uint32_t i)
{
    return token_at(t, i)->kind == TOKEN_WORD;
}

// The sentence's first word; s->to if it has none.
static inline uint32_t first_word(const struct gate_text *t, const struct gate_sentence *s)
{
    uint32_t i = s->from;

    while (i < s->to && !is_word(t, i))
        i++;
    return i;
}

static inline bool look_between(const struct gate_look *l, uint32_t from, uint32_t to,
                                uint64_t kinds)
{
    for (uint32_t i = from; i < to; i++)
        if (is(token_at(l->t, i)->is, kinds))
            return true;
    return false;
}

// The next word behind i in the sentence, or s->to.
static inline uint32_t look_next(const struct gate_look *l, uint32_t i)
{
    for (i++; i < l->s->to && token_at(l->t, i)->kind != TOKEN_WORD; i++)
        ;
    return i;
}

// ---- gate_request.c

bool look_reminds(const struct gate_look *l);   // "Remind me to …", for a claim of what is open
bool look_promises(const struct gate_look *l);  // "I'll tell you …"
bool look_proposes(const struct gate_look *l);  // "Let's …", for a claim of what is decided

// ---- gate_person.c: of whom a sentence speaks. Each says why not, or NULL.

// Kinds of the words of a name like "lives_in".
uint64_t look_kinds_of_name(struct slice name);
bool look_is_user(struct slice subject);

const char *look_by_the_user(struct gate_look *l);
const char *look_of_the_user(struct gate_look *l);
const char *look_opens(struct gate_look *l);
const char *look_in_first_person(struct gate_look *l);
const char *look_names_subject(struct gate_look *l);

#endif
