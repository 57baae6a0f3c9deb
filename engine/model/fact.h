// SPDX-License-Identifier: MIT
// fact.h: what is remembered of a user beyond one conversation, and its stored form.
//
// A *fact* is one value that was said of a subject under a predicate: user / lives_in / "Berlin". A
// *slot* is one subject and predicate with all the values that it ever had. Tier FACT is what was
// said; tier KNOWLEDGE what was concluded from several facts. memory/facts.h has the rules.
//
// Two times: *valid* is when it was so in the world, *recorded* and *retired* when the store held
// it to be so. A value that was so, then not, then so again has a period for each. What a fact is
// follows from its evidence, each piece of which is one statement: a fact is `supported` by those
// that the user made; without any it is quarantined.
//
// A value that was forgotten keeps no text, only its id and where its evidence was.
//
// Plain values; any thread. A fact and a slot own what they point to.
#ifndef MODEL_FACT_H
#define MODEL_FACT_H

#include "base/id.h"
#include "base/vec.h"
#include "model/record.h"
#include "model/safe_text.h"
#include "model/session.h"
#include "model/turn.h"

enum fact_tier { TIER_FACT, TIER_KNOWLEDGE };
enum fact_kind { FACT_PREFERENCE, FACT_CIRCUMSTANCE, FACT_DECISION, FACT_FOLLOW_UP, FACT_PATTERN,
                 FACT_STYLE, FACT_KINDS };
enum fact_status { FACT_QUARANTINED, FACT_ACTIVE, FACT_SUPERSEDED, FACT_FORGOTTEN };
// Whose words a piece of evidence is.
enum fact_author {
    AUTHOR_USER,       // the user's own
    AUTHOR_MATERIAL,   // in the user's message, but pasted or quoted
    AUTHOR_ASSISTANT,
    AUTHOR_TOOL,
    AUTHOR_RECALLED,   // was in the request because it was remembered
    AUTHOR_POLICY,
};
const char *fact_tier_word(enum fact_tier tier);        // "fact", "knowledge"
const char *fact_kind_word(enum fact_kind kind);        // "preference", "follow_up"
const char *fact_status_word(enum fact_status status);  // "active"
const char *fact_author_word(enum fact_author author);  // "user"
bool fact_kind_find(struct slice word, enum fact_kind *out);

enum {
    FACT_ID_BYTES = 13,            // 12 hex digits of a keyed digest of slot and value
    FACT_SLOT_BYTES = 33,          // 32 hex digits of one of scope, subject and predicate
    FACT_SCOPE_BYTES = 33,         // a context's hash; "": all contexts
    FACT_NAME_BYTES = 65,          // of a subject or predicate
    FACT_EXTRACTOR_BYTES = 128,    // "rules@1f2e3d4c", "model:anthropic:claude-…@9c0d1e2f"
    FACT_VALUE_BYTES_MAX = 1 << 10,
    FACT_EVIDENCE_MAX = 8,
    FACT_PERIODS_MAX = 8,          // the newest one included
    FACT_TURNS_MAX = 64,           // distinct turns that are counted
    SLOT_VALUES_MAX = 64,
    SLOT_BODY_BYTES_MAX = 180 << 10,  // sealed, it fits one record
    BOOK_SLOTS_MAX = 1000,         // of one user and bot, both tiers
    CANDIDATES_MAX = 64,           // of one turn
};

// One statement. Where in its session: the step's text, from byte `start` to `end`.
struct fact_evidence {
    char session[ID_TEXT_BYTES];
    uint32_t turn, step, start, end;
    enum fact_author author;
    bool supported;                // the gate found that the user says so
    bool negates;                  // it says that the value is so no more
    int64_t at_ms;                 // when it was said
    int64_t valid_from_ms, valid_to_ms;  // as it says itself; 0: it does not
    char extractor[FACT_EXTRACTOR_BYTES];
    char policy[TURN_POLICY_BYTES];
    char fact[FACT_ID_BYTES];      // knowledge: the fact that bears it; facts: ""
};

struct fact_period {
    int64_t valid_from_ms, valid_to_ms;    // in the world; 0: open. A period may be empty
    int64_t recorded_at_ms, retired_at_ms; // in the store; 0: not retired
};

struct fact {
    char id[FACT_ID_BYTES];
    enum fact_kind kind;
    enum fact_status status;
    struct safe_buf value;                 // owned; empty once it is forgotten
    int64_t valid_from_ms, valid_to_ms;    // its newest period; as above
    int64_t recorded_at_ms, retired_at_ms;
    int64_t confirmed_at_ms;               // when the user last said so; 0: never
    int64_t forgotten_at_ms;               // what was said up to then counts no more; 0: never
    uint32_t confirmations;                // distinct turns in which the user said so, up to
                                           // FACT_TURNS_MAX
    char by[FACT_ID_BYTES];                // superseded: by which value of the slot; "": by none
    struct vec evidence;                   // struct fact_evidence, by time: the first, the newest
    struct vec earlier;                    // struct fact_period, oldest first, before the newest
    struct vec turns;                      // uint32_t, hashes of the turns counted
};

struct fact_slot {
    enum fact_tier tier;
    char digest[FACT_SLOT_BYTES];          // its name in keys
    char scope[FACT_SCOPE_BYTES];
    char subject[FACT_NAME_BYTES];         // "user" or a name
    char predicate[FACT_NAME_BYTES];       // "lives_in"
    bool one;                              // it has one value at a time
    struct vec facts;                      // struct fact, in the order of being recorded
    uint64_t version;                      // of its record; 0: not stored yet
    int64_t due_at_ms;                     // of its record: when something is to be dropped; 0: not
};

void fact_init(struct fact *f);
void fact_release(struct fact *f);
int fact_copy(struct fact *out, const struct fact *f, struct err *err);
// Takes text over as a value: white space and control characters in a row become one blank.
// E_USAGE: nothing is left, or more than FACT_VALUE_BYTES_MAX; E_NOMEM.
int fact_set_value(struct fact *f, struct safe_text text, struct err *err);
static inline struct safe_text fact_value(const struct fact *f)
{
    return safe_buf_text(&f->value);
}
static inline const struct fact_evidence *fact_evidence_at(const struct fact *f, size_t i)
{
    return VEC_AT(&f->evidence, const struct fact_evidence, i);
}
// The oldest piece that supports it, or that there is; NULL: none.
const struct fact_evidence *fact_source(const struct fact *f);

void fact_slot_init(struct fact_slot *s, enum fact_tier tier);
void fact_slot_release(struct fact_slot *s);
int fact_slot_copy(struct fact_slot *out, const struct fact_slot *s, struct err *err);
// Gives back the memory that it does not use: slots are kept longer than they are changed.
void fact_slot_trim(struct fact_slot *s);
// What is said of subject and predicate in normal form: "Lives in" is "lives_in". E_USAGE: a
// subject or predicate that is empty or too long.
int fact_slot_name(struct fact_slot *s, struct safe_text subject, struct safe_text predicate,
                   struct err *err);
struct safe_text fact_slot_subject(const struct fact_slot *s);
struct safe_text fact_slot_predicate(const struct fact_slot *s);
static inline struct fact *fact_slot_at(const struct fact_slot *s, size_t i)
{
    return VEC_AT(&s->facts, struct fact, i);
}
struct fact *fact_slot_find(const struct fact_slot *s, const char *id);  // or NULL
uint32_t fact_slot_count(const struct fact_slot *s, enum fact_status status);
// When the first of its facts has been in quarantine for so long; 0: none will.
int64_t fact_slot_due_at(const struct fact_slot *s, int64_t quarantine_ms);
// An upper bound of what fact_slot_write_body writes.
size_t fact_slot_bytes(const struct fact_slot *s);

// Record fact/<bot>/<digest> or knowledge/<bot>/<digest>. Meta: {"one","active","quarantined",
// "superseded","forgotten"}, the last four counts; body, sealed: {"scope"?,"subject","predicate",
// "facts":[{"id","kind","status","value"?, times, "evidence":[…]}]}.
void fact_slot_write(const struct fact_slot *s, struct buf *meta, struct safe_buf *body);
// Into a slot that was fact_slot_init for its tier; digest and version stay. Strict: E_CORRUPT
// names the member that is missing, unknown, out of range or at odds with another; the slot is then
// empty. E_NOMEM.
int fact_slot_read(struct fact_slot *s, struct slice meta, struct safe_text body, struct err *err);

// ---- candidates

// What an extractor proposes. All text is borrowed by who fills one in by hand, and owned by the
// list in a list.
struct fact_candidate {
    enum fact_kind kind;
    struct safe_text subject;      // empty: "user"
    struct safe_text predicate, value;
    struct safe_text quote;        // the words that it rests on; may be empty
    char session[ID_TEXT_BYTES];
    uint32_t turn, step, start, end;
    enum fact_author author;
    int64_t at_ms;                 // when it was said
    int64_t valid_from_ms, valid_to_ms;  // 0: not said
    bool one;                      // if the policy does not declare the predicate
    bool negates;                  // "I no longer …": ends the value; without one, all of the slot
    char extractor[FACT_EXTRACTOR_BYTES];
    char policy[TURN_POLICY_BYTES];
    char scope[FACT_SCOPE_BYTES];  // "": all contexts
};
struct fact_candidates {
    struct vec list;               // private: candidates and their texts
};
void fact_candidates_init(struct fact_candidates *c);
void fact_candidates_release(struct fact_candidates *c);
void fact_candidates_clear(struct fact_candidates *c);
static inline size_t fact_candidates_len(const struct fact_candidates *c)
{
    return c->list.len;
}
struct fact_candidate *fact_candidates_at(const struct fact_candidates *c, size_t i);
// Copies *from. E_REFUSED: there are CANDIDATES_MAX; E_USAGE: a text is too long; E_NOMEM.
int fact_candidates_add(struct fact_candidates *c, const struct fact_candidate *from,
                        struct err *err);

// A name's normal form: lower case, with '_' for runs of what is no letter or digit. False: nothing
// is left, or it is too long.
bool fact_name_normal(struct slice name, char out[FACT_NAME_BYTES]);

#endif
