// SPDX-License-Identifier: MIT
// recognise.h: the recognisers, one table: a function a kind, in its own file.
//
// A recogniser is a pure function of the view and the place: whether one of its kind begins exactly
// there, and if so where it ends (the longest one). It decides by itself whether the text before
// and behind allows that. It is asked only where no letter, digit or underscore stands
// before, and the byte at the place is one of `starts`.
//
// So that a scan need not ask everywhere, each has an anchor: what every match must have.
//   ANCHOR_AT      an '@' at most ANCHOR_BYTES behind its beginning
//   ANCHOR_DIGITS  six digits in its first 64 bytes (fewer where the region's numbers are shorter);
//                  if it begins with a letter: a digit at most three bytes behind that, or
//                  sixteen letters and digits in one piece
//   ANCHOR_RUN     sixteen of [A-Za-z0-9_+/-] in a row, that begin in its first 64 bytes, and no
//                  blank in front of them
//   ANCHOR_COLON   a ':' in its first 64 bytes
//   ANCHOR_DOT     digit, dot, digit in its first 8 bytes; or a dot after four letters and digits,
//                  and one five bytes on
//   ANCHOR_IBAN    it begins with two letters and two digits
//   ANCHOR_DASHES  it begins with five dashes
#ifndef REDACT_RECOGNISE_H
#define REDACT_RECOGNISE_H

#include "redact/kinds.h"
#include "redact/words.h"

enum { ANCHOR_BYTES = 128 };

enum { ANCHORS = 7 };
enum redact_anchor {
    ANCHOR_AT = 1,
    ANCHOR_DIGITS = 2,
    ANCHOR_RUN = 4,
    ANCHOR_COLON = 8,
    ANCHOR_DOT = 16,
    ANCHOR_IBAN = 32,
    ANCHOR_DASHES = 64,
};

enum redact_start {
    START_DIGIT = 1,
    START_LETTER = 2,   // ASCII, and the lead byte of other alphabets' letters
    START_PHONE = 4,    // '+' and '('
    START_COLON = 8,
    START_DASH = 16,
    START_UNDERSCORE = 32,
    START_WORD = START_DIGIT | START_LETTER | START_UNDERSCORE,
};

struct recogniser {
    enum redact_kind kind;
    bool (*at)(struct view *v, size_t at, struct match *out);
    unsigned starts;    // enum redact_start
    unsigned anchors;   // enum redact_anchor: each match has one of them
    const char *const *raise;  // words that make a match surer when they stand before it
    const char *const *lower;  // and less sure; a NULL ends each. NULL: none
    bool id;            // asked only where redact/ids.h says that one may begin
};

// Ends with .at NULL. A kind may have several.
extern const struct recogniser recognisers[];

bool email_at(struct view *v, size_t at, struct match *out);
bool card_at(struct view *v, size_t at, struct match *out);
bool iban_at(struct view *v, size_t at, struct match *out);
bool ipv4_at(struct view *v, size_t at, struct match *out);
bool ipv6_at(struct view *v, size_t at, struct match *out);
bool mac_at(struct view *v, size_t at, struct match *out);
bool url_at(struct view *v, size_t at, struct match *out);
bool shape_at(struct view *v, size_t at, struct match *out);  // keys of known shapes
bool hook_at(struct view *v, size_t at, struct match *out);   // webhooks
bool jwt_at(struct view *v, size_t at, struct match *out);    // web tokens
bool named_at(struct view *v, size_t at, struct match *out);  // what is named a secret
bool pem_at(struct view *v, size_t at, struct match *out);    // private keys
bool wallet_at(struct view *v, size_t at, struct match *out);

// All words that they listen for.
void recognisers_add_words(struct vocabulary *v);

// What words before a match add to its score, or take from it. They stand whole, in any case, in
// the stretch before it (redact/words.h).
enum { CONTEXT_RAISE = 35, CONTEXT_LOWER = 30 };
int context_score(const struct view *v, size_t at, const struct recogniser *rec);

#endif
