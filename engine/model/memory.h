// SPDX-License-Identifier: MIT
// memory.h: the records beside facts of what a bot remembers of a user, and their stored forms.
//
//   memory/<bot>             the manifest. Its version guards all the others of that bot: whatever
//                            changes any of them puts the manifest at its version, in one commit.
//                            Due when a reflection pass is
//   fact/<bot>/<slot>        a slot, see fact.h
//   knowledge/<bot>/<slot>   the same, of conclusions
//   journal/<bot>/<session>  what is told of a session; journal/<bot>/earlier: of all older ones
//   core/<bot>               core memory: always sent
//   learnt/<session>         how far it was learnt from
//
// Plain values; any thread. What holds text owns it.
#ifndef MODEL_MEMORY_H
#define MODEL_MEMORY_H

#include "model/fact.h"

enum {
    JOURNAL_ENTRY_BYTES_MAX = 32 << 10,
    JOURNAL_ENTRIES_MAX = 256,
    JOURNAL_BY_BYTES = 160,
    JOURNAL_OF_MAX = 128,
    CORE_BYTES_MAX = 8 << 10,      // of each of its two texts
};

// Meta: {"facts","knowledge","sessions","reflected_at"?,"tries"?}; no body.
struct memory_manifest {
    uint32_t facts, knowledge;     // active ones
    uint32_t sessions;             // learnt since the last reflection
    int64_t reflected_at_ms;       // 0: never
    uint32_t tries;                // of a reflection that failed, in a row
    int64_t due_at_ms;             // of the record: when a reflection is due; 0: none is
    uint64_t version;              // of the record; 0: there is none
};
void memory_manifest_write(const struct memory_manifest *m, struct buf *out);
// Leaves due_at_ms and version alone.
int memory_manifest_read(struct memory_manifest *m, struct slice meta, struct err *err);

#define JOURNAL_EARLIER "earlier"
#define JOURNAL_NO_CONTEXT "-"
// What is told of a session. The text is lines, each ending in "\n", or empty: that there was a
// session is told all the same (journal_entry_tell). Meta: {"from","at","turns","sessions","by",
// "context","of"?: [["session",turns,lines],…]}; the body is the text.
struct journal_of {                // a session that `earlier` has lines of
    char session[ID_TEXT_BYTES];
    uint32_t turns;                // that counted when it was told
    uint32_t lines;                // 0: a model told it together with others
};
struct journal_entry {
    char session[ID_TEXT_BYTES];   // or JOURNAL_EARLIER
    int64_t from_ms;               // when it began
    int64_t at_ms;                 // when its session was last active; `earlier`: its newest
    uint32_t turns;                // that counted
    uint32_t sessions;             // 1; of `earlier`: how many it was condensed from
    char by[JOURNAL_BY_BYTES];     // who wrote it: "rules", "model:provider:model@hash of prompt"
    char context[FACT_SCOPE_BYTES];  // of its session, hashed; of `earlier` that of all of them, or
                                     // JOURNAL_NO_CONTEXT
    struct safe_buf text;
    struct vec of;                 // struct journal_of, of `earlier` alone: whose its lines are, in
                                   // their order, behind those of a model
    uint64_t version;              // of the record; 0: not stored yet
    bool dirty, gone;              // in a struct journal: to be written, to be deleted
};
void journal_entry_init(struct journal_entry *e);
void journal_entry_release(struct journal_entry *e);
int journal_entry_copy(struct journal_entry *out, const struct journal_entry *e, struct err *err);
void journal_entry_write_meta(const struct journal_entry *e, struct buf *out);
int journal_entry_read_meta(struct journal_entry *e, struct slice meta, struct err *err);

// Meta: {"at"}; body: {"persona","human"}.
struct core_memory {
    struct safe_buf persona, human;
    int64_t at_ms;                 // when it was last changed
    uint64_t version;              // of the record; 0: there is none
};
void core_memory_init(struct core_memory *c);
void core_memory_release(struct core_memory *c);
int core_memory_copy(struct core_memory *out, const struct core_memory *c, struct err *err);
void core_memory_write(const struct core_memory *c, struct buf *meta, struct safe_buf *body);
int core_memory_read(struct core_memory *c, struct slice meta, struct safe_text body,
                     struct err *err);

// Meta: {"upto","model"?,"past"?,"extractor"?,"journal"?,"tries"?,"at"}; no body.
struct learnt {
    char session[ID_TEXT_BYTES];
    uint32_t upto;                 // the last turn that was learnt from; 0: none
    uint32_t model_upto;           // the last one that a model was asked about; 0: none
    unsigned past;                 // what the turns up to `upto` began and did not end: bits of
                                   // who judges (turn/learn.c)
    char extractor[FACT_EXTRACTOR_BYTES];  // which did; "": none yet
    bool journal;                  // its entry is written, up to this turn
    uint32_t tries;                // that failed, in a row
    int64_t at_ms;
    uint64_t version;              // of the record; 0: there is none
};
void learnt_write_meta(const struct learnt *l, struct buf *out);
int learnt_read_meta(struct learnt *l, struct slice meta, struct err *err);

#endif
