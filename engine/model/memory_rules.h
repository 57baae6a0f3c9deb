// SPDX-License-Identifier: MIT
// memory_rules.h: what a policy's `memory` says of what is remembered of a user: who extracts it,
// what its predicates mean, how much of it is sent, and when it grows stale. Data only; read by
// lua/memory.c, borrowed by all floors above. Never written after it was read; any thread.
#ifndef MODEL_MEMORY_RULES_H
#define MODEL_MEMORY_RULES_H

#include "model/safe_text.h"
#include <stdbool.h>
#include <stdint.h>

enum { MEMORY_RECALL_DEFAULT = 8, MEMORY_RECALL_MAX = 64, MEMORY_RECALL_TOKENS_DEFAULT = 400,
       MEMORY_REFLECT_AFTER_DEFAULT = 3, MEMORY_JOURNAL_BYTES_DEFAULT = 64 << 10,
       // Where all of it is sent with every request it is to be short.
       MEMORY_JOURNAL_SENT_BYTES_DEFAULT = 8 << 10,
       MEMORY_JOURNAL_BYTES_MAX = 64 << 10, MEMORY_PERSONA_BYTES_MAX = 4 << 10,
       MEMORY_HUMAN_BYTES_DEFAULT = 2 << 10, MEMORY_HUMAN_BYTES_MAX = 8 << 10,
       MEMORY_PROMPT_BYTES_MAX = 8 << 10, MEMORY_PREDICATES_MAX = 256,
       MEMORY_LANGUAGE_BYTES = 32, MEMORY_PREDICATE_BYTES = 64, MEMORY_ALIASES_MAX = 16,
       MEMORY_VERSION_BYTES = 9 };
#define MEMORY_STALE_DEFAULT_MS ((int64_t)90 * 24 * 3600 * 1000)
#define MEMORY_QUARANTINE_DEFAULT_MS ((int64_t)30 * 24 * 3600 * 1000)

// What is known of one predicate, such as lives_in.
struct predicate_rule {
    char name[MEMORY_PREDICATE_BYTES];  // a-z, 0-9 and _
    unsigned kind;       // enum fact_kind: of what is said by it, unless a candidate says another
    bool one;            // a new value supersedes the one before; else all of them hold
    char (*aliases)[MEMORY_PREDICATE_BYTES];  // owned; other names of the same
    uint32_t aliases_len;
};

// How much of the journal is sent with every request.
enum journal_sent { JOURNAL_NOT_SENT, JOURNAL_SENT_SHORT /* its newest entry */,
                    JOURNAL_SENT_WHOLE };

struct memory_rules {
    bool on;                         // else nothing is learnt, and all else is zero
    char version[MEMORY_VERSION_BYTES];  // 8 hex digits of all that extraction depends on

    // Who extracts. Hooks are the policy's functions, without a model.
    bool has_extract, has_state, has_reflect;
    char language[MEMORY_LANGUAGE_BYTES];  // that extract knows, by its own account; "": not said
    bool use_model;                  // a model is asked too, when a session is over
    char *model;                     // owned; "provider:model"; NULL: the bot's
    struct safe_buf extract_prompt;  // owned; with use_model none of the three is empty
    struct safe_buf journal_prompt;  // owned
    struct safe_buf reflect_prompt;  // owned
    struct predicate_rule *predicates;  // owned; sorted by name
    uint32_t predicates_len;
    bool by_context;                 // a fact holds for its context alone; else for the whole bot

    uint32_t recall;                 // facts, knowledge, journal entries in a request; 0: none
    uint64_t recall_tokens;          // of them together, at most
    int64_t stale_ms;                // unconfirmed for so long, a fact is a question; 0: never
    int64_t quarantine_ms;           // what is in quarantine for so long is dropped; 0: never
    uint32_t reflect_after;          // sessions; 0: never
    bool journal;                    // one is written
    uint32_t journal_bytes;          // of its entries together, at most
    enum journal_sent journal_sent;
    struct safe_buf persona;         // owned; core memory: who the bot is; may be empty
    uint32_t human_bytes;            // core memory: of what plans write about the user, at most
};
void memory_rules_init(struct memory_rules *r);     // off
void memory_rules_release(struct memory_rules *r);  // as after init
// The predicate of that name, or that has it as an alias; NULL: it is not declared, and then many
// values hold at once.
const struct predicate_rule *memory_rules_predicate(const struct memory_rules *r,
                                                    struct slice name);
// Whether it may be a predicate's name: a-z, 0-9 and _, less than MEMORY_PREDICATE_BYTES.
bool memory_predicate_valid(struct slice name);

#endif
