// SPDX-License-Identifier: MIT
// mask.h: masks such as [EMAIL_1]: which value a number stands for, and back.
//
// A mask book holds one user's masks: (kind, digest of the value) -> number. Numbers count from 1
// for each kind, and one that stood for a value never stands for another. The digest is handed in,
// keyed by who knows the user; the value itself is in the book only where its original is known,
// for each bot that it was said to: a mask stands for the same value with all of a user's bots, but
// what one of them heard is no other's to show.
//
//   given ──mask_book_settle──▶ settled        (durable: text with its number may be used)
//     └────mask_book_drop─────▶ gone           (another process gave the number first)
//
// Text of a mask's shape that is none carries a backslash behind its bracket, [\EMAIL_1], and one
// more each time that it is taken for text again; reveal takes one off. The shape is the same for
// all policies, so that what was stored means the same whatever kinds there will be:
//
//   "["  "\"*  A-Z [A-Z0-9_]*  "_"  (0 | 1-9 [0-9]*)  "]"       name and number: MASK_NAME_BYTES
//
// The number 0 stands for no value in particular: it is for what has no number of its own (the book
// is full, or only what is known may be used), and is never revealed.
// A book belongs to one thread.
#ifndef REDACT_MASK_H
#define REDACT_MASK_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include <stdbool.h>
#include <stdint.h>

struct mask_book;

enum {
    MASK_WORD_BYTES = 32,        // of a kind, with NUL
    MASK_DIGEST_BYTES = 33,      // with NUL, as vault/ writes digests
    MASK_NAME_BYTES = 43,        // of NAME_N, without brackets
    MASKS_MAX = 20000,           // of one user; what comes then is masked with the number 0
    MASK_KINDS_MAX = 128,        // kinds that one book may have
    MASK_BOT_BYTES = 64,         // of a bot's name, with NUL
    MASK_ORIGINALS_BYTES = 1 << 20,  // of originals in one book; what comes then is not known
};

// A value's digest under the user's key, apart by kind. Empty: there is none, as the user was
// erased meanwhile.
typedef void mask_digest_fn(void *user, struct slice kind, struct slice value,
                            char out[MASK_DIGEST_BYTES]);

struct mask {
    char kind[MASK_WORD_BYTES];  // as policies write it: "email"
    uint32_t number;
    char digest[MASK_DIGEST_BYTES];
    struct mask_original *originals;  // a list, one a bot; NULL: none is known. The book's
};
// What a mask stands for, as it was first said to a bot.
struct mask_original {
    struct mask_original *next;
    char *text;                  // owned
    uint32_t mask;               // its place in the order of being given
    bool kept;                   // it is in the store
    bool keep;                   // and is to be there (its owner's, ledger/masks.c)
    bool said;                   // is in the list of those said
    int64_t until_ms;            // kept until then; 0: without end
    char bot[MASK_BOT_BYTES];    // "": a store of before names none
};

int mask_book_new(struct mask_book **out, mask_digest_fn *digest, void *user, struct err *err);
void mask_book_free(struct mask_book *b);  // wipes the originals; NULL allowed

// A mask that is stored already, after those before it. E_CORRUPT: its number or its value has
// another mask; E_NOMEM.
int mask_book_load(struct mask_book *b, struct slice kind, uint32_t number, struct slice digest,
                   struct err *err);
// The original of a mask that is stored, as the store has it for a bot. Not an error if there is no
// such mask or no room for it. E_NOMEM.
int mask_book_load_original(struct mask_book *b, struct slice kind, uint32_t number,
                            struct slice bot, struct slice original, int64_t until_ms,
                            struct err *err);
// The number of a value, which is what all ways to write it have in common: known, or given now; 0:
// known_only and not known, or no room. What is given now waits to be settled. The original, as it
// was said to the bot (NULL: to none), is known from now on.
uint32_t mask_book_number(struct mask_book *b, const char *bot, struct slice kind,
                          struct slice value, struct slice original, bool known_only);

uint32_t mask_book_len(const struct mask_book *b);
uint32_t mask_book_settled(const struct mask_book *b);  // the first so many are durable
static inline bool mask_book_waits(const struct mask_book *b)
{
    return mask_book_settled(b) < mask_book_len(b);
}
struct mask *mask_book_at(const struct mask_book *b, uint32_t i);  // in the order of being given
void mask_book_settle(struct mask_book *b, uint32_t len);
void mask_book_drop(struct mask_book *b);               // what is not settled
void mask_book_forget_originals(struct mask_book *b);   // what is not kept, wiped
// An original is kept until then: mask_book_expire forgets it.
void mask_book_note_until(struct mask_book *b, int64_t until_ms);
void mask_book_expire(struct mask_book *b, int64_t now_ms);
// What was said to a bot, and is not kept for it, since this was asked last: the next one, or NULL.
struct mask_original *mask_book_take_said(struct mask_book *b, const char *bot);
bool mask_book_any_said(const struct mask_book *b);

// What a mask that is durable stands for, or NULL. The name is a kind's in capitals.
const struct mask *mask_book_find(const struct mask_book *b, struct slice name, uint32_t number);
// What it stands for, as far as the bot was told (NULL: any), or NULL.
const struct mask_original *mask_original(const struct mask *m, const char *bot, bool kept_only);

// Its place in the order of being given, from 1, durable or not; 0: there is none.
uint32_t mask_book_rank(const struct mask_book *b, struct slice name, uint32_t number);

// ---- the shape

struct mask_shape {
    size_t start;        // of the name
    size_t end;          // after the bracket
    struct slice name;   // "EMAIL"
    uint32_t number;
};
enum mask_seen { MASK_NO, MASK_YES, MASK_OPEN /* text may go on to be one */ };
// What stands at text[at], behind the bracket and its backslashes.
enum mask_seen mask_shape_at(struct slice text, size_t at, struct mask_shape *out);
// Whether the text speaks of a mask that is not among the first `known` of the book.
bool mask_book_lacks(const struct mask_book *b, uint32_t known, struct slice text);
// Appends the mask of a kind's number: "[EMAIL_1]".
void mask_write(struct buf *out, struct slice kind, uint32_t number);

// ---- reveal: for a sink that is due originals

enum mask_form { MASK_PLAIN, MASK_JSON /* inside the strings of a JSON text */ };

// Text in pieces, cut anywhere. Masks whose original is known become it, others stay; one backslash
// comes off where masks were escaped. Owned by one thread at a time.
struct reveal_stream {
    const struct mask_book *book;     // borrowed
    const char *bot;                  // whose originals; NULL: any bot's. Borrowed
    enum mask_form form;
    bool kept_only;                   // originals that are in the store, and no others
    uint32_t revealed;                // masks that became originals so far
    int state;                        // reveal.c draws it
    struct buf work;                  // what may become a mask; owned
    struct buf out;                   // of the last call; owned
};
void reveal_init(struct reveal_stream *s, const struct mask_book *book, const char *bot,
                 enum mask_form form);
void reveal_release(struct reveal_stream *s);
// What is certain now; borrowed until the next call, perhaps from piece. Empty with E_NOMEM.
int reveal_feed(struct reveal_stream *s, struct slice piece, struct slice *out, struct err *err);
int reveal_end(struct reveal_stream *s, struct slice *out, struct err *err);
// Whole text; appended to out, whose limits its owner checks. How many masks became originals.
uint32_t reveal_text(const struct mask_book *book, const char *bot, enum mask_form form,
                     bool kept_only, struct slice text, struct buf *out);

#endif
