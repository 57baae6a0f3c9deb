// SPDX-License-Identifier: MIT
// The table of record kinds against the keys that model/ can build: a kind of record that is not in
// it would be exported as "other", without a word on what it is.
#include "ledger/kinds.h"
#include "model/audit.h"
#include "model/spend.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <glob.h>

// Every builder of a key, and what its records are exported as; "": they are the house's.
static const struct builder {
    const char *name, *kind;
} builders[] = {
    {"key_user", "users"},           {"key_head", "newest_sessions"},
    {"key_session", "sessions"},     {"key_turn", "turns"},
    {"key_turn_prefix", "turns"},    {"key_part", "parts"},
    {"key_attempt", "attempts"},     {"key_event", "events"},
    {"key_parts", "parts"},          {"key_events", "events"},
    {"key_idem", "message_keys"},    {"key_summary", "summaries"},
    {"key_summaries", "summaries"},  {"key_recall", "recall"},
    {"key_recall_parts", "recall"},  {"key_recall_part", "recall"},
    {"key_erased", ""},              {"key_erasures", ""},
    {"key_masks", "masks"},          {"key_original", "originals"},
    {"key_tokens", ""},              {"key_audit_note", "audit_notes"},
    {"key_audit_entry", ""},         {"key_audit_taken", ""},
    {"key_audit_taken_all", ""},     {"key_audit_policy", ""},
    {"key_memory", "memory"},        {"key_core", "core_memory"},
    {"key_slots", "facts"},          {"key_slot", "facts"},
    {"key_journals", "journal"},     {"key_journal", "journal"},
    {"key_learnt", "learnt"},
};
enum { BUILDERS = sizeof(builders) / sizeof(builders[0]) };

static bool is_kind(const char *name)
{
    for (unsigned i = 0; i + 1 < RECORD_KINDS; i++)
        if (strcmp(record_kinds[i].name, name) == 0)
            return true;
    return false;
}

static void expect_known(const char *header, const char *name)
{
    for (size_t i = 0; i < BUILDERS; i++)
        if (strcmp(builders[i].name, name) == 0)
            return;
    fail_msg("%s: %s: say in ledger/kinds.c what its records are exported as, and here", header,
             name);
}

// Declarations begin a line: "void key_…(".
static unsigned read_header(const char *path)
{
    char line[512], name[64];
    unsigned found = 0;
    FILE *f = fopen(path, "r");

    assert_non_null(f);
    while (fgets(line, sizeof(line), f)) {
        if (sscanf(line, "void %63[a-z0-9_](", name) != 1 || strncmp(name, "key_", 4) != 0)
            continue;
        expect_known(path, name);
        found++;
    }
    fclose(f);
    return found;
}

static void test_record_kinds__every_key_is_of_a_kind(void **state)
{
    glob_t headers;
    unsigned found = 0;

    (void)state;
    assert_int_equal(glob("engine/model/*.h", 0, NULL, &headers), 0);
    for (size_t i = 0; i < headers.gl_pathc; i++)
        found += read_header(headers.gl_pathv[i]);
    globfree(&headers);
    assert_int_equal(found, BUILDERS);
    for (size_t i = 0; i < BUILDERS; i++)
        assert_true(!builders[i].kind[0] || is_kind(builders[i].kind));
}

static void expect_kind(const struct buf *key, const char *kind)
{
    assert_true(buf_ok(key));
    const struct record_kind *k = &record_kinds[record_kind_of(buf_slice(key))];
    if (strcmp(k->name, kind) != 0)
        fail_msg("%s is of %s", key->ptr, k->name);
}

static void test_record_kinds__found_by_key(void **state)
{
    struct buf key = BUF_INIT(RECORD_KEY_BYTES_MAX);
    char spend[SPEND_KEY_BYTES];

    (void)state;
    key_user(&key);
    expect_kind(&key, "users");
    key_head(&key, "bot", "00");
    expect_kind(&key, "newest_sessions");
    key_session(&key, "s");
    expect_kind(&key, "sessions");
    key_turn(&key, "s", 1, 0);
    expect_kind(&key, "turns");
    key_part(&key, "s", 1, 0, 1);
    expect_kind(&key, "parts");
    key_attempt(&key, "s", 1, 1);
    expect_kind(&key, "attempts");
    key_event(&key, "s", 1);
    expect_kind(&key, "events");
    key_idem(&key, "00");
    expect_kind(&key, "message_keys");
    key_summary(&key, "s", 1);
    expect_kind(&key, "summaries");
    key_recall_part(&key, "bot", 1, "00", 1);
    expect_kind(&key, "recall");
    key_memory(&key, "bot");
    expect_kind(&key, "memory");
    key_slot(&key, "fact", "bot", "00");
    assert_string_equal(key.ptr, "fact/bot/00");
    expect_kind(&key, "facts");
    key_slot(&key, "knowledge", "bot", "00");
    expect_kind(&key, "knowledge");
    key_journal(&key, "bot", "s");
    assert_string_equal(key.ptr, "journal/bot/s");
    expect_kind(&key, "journal");
    key_core(&key, "bot");
    expect_kind(&key, "core_memory");
    key_learnt(&key, "s");
    expect_kind(&key, "learnt");
    key_audit_note(&key, "00");
    expect_kind(&key, "audit_notes");
    spend_key("2026-01-31", SPEND_USD, "bot", spend);
    buf_clear(&key);
    buf_add_str(&key, spend);
    expect_kind(&key, "spending");
    buf_clear(&key);
    buf_add_str(&key, "whatever/else");
    expect_kind(&key, "other");
    buf_release(&key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_record_kinds__every_key_is_of_a_kind),
        cmocka_unit_test(test_record_kinds__found_by_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
