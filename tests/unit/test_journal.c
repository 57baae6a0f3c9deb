// SPDX-License-Identifier: MIT
// test_journal.c: a journal's entries, their stored form, how they are kept within a size, and how
// what was forgotten goes out of them. In one property test journals of all sorts are condensed and
// made to forget.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rand.h"
#include "memory/journal.h"
#include "model/session.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define DAY_MS ((int64_t)24 * 3600 * 1000)
#define MARCH_MS INT64_C(1772323200000)  // 2026-03-01

enum { CASES = 2000 };

static struct safe_text safe(const char *s)
{
    return (struct safe_text){s, strlen(s)};
}

static const char *text_of(const struct journal_entry *e)
{
    return e->text.inner.ptr ? e->text.inner.ptr : "";
}

static void add_entry(struct journal *j, const char *session, int64_t at_ms, const char *text)
{
    struct journal_entry e;
    struct err err = ERR_INIT;

    journal_entry_init(&e);
    snprintf(e.session, sizeof(e.session), "%s", session);
    strcpy(e.by, "rules");
    e.from_ms = e.at_ms = at_ms;
    e.turns = 3;
    safe_buf_add(&e.text, safe(text));
    assert_int_equal(journal_put(j, &e, &err), E_OK);
}

static void test_journal__composes(void **state)
{
    (void)state;
    const struct safe_text open[] = {SAFE_LIT("Which school?"), SAFE_LIT("  ")};
    const struct journal_fact facts[] = {
        {JOURNAL_NEW, SAFE_NONE, SAFE_LIT("works_as"), SAFE_LIT("a nurse"), SAFE_NONE},
        {JOURNAL_CHANGED, SAFE_NONE, SAFE_LIT("lives_in"), SAFE_LIT("Bergen"), SAFE_LIT("Oslo")},
        {JOURNAL_DECIDED, SAFE_NONE, SAFE_LIT("decided"), SAFE_LIT("to take\nthe train"),
         SAFE_NONE},
        {JOURNAL_NEW, SAFE_LIT("Ada"), SAFE_LIT("age"), SAFE_LIT("7"), SAFE_NONE},
    };
    const struct journal_source source = {
        .session = "s1", .from_ms = MARCH_MS, .to_ms = MARCH_MS + DAY_MS, .turns = 14,
        .topic = SAFE_LIT("the move"), .open = open, .open_len = 2,
        .facts = facts, .facts_len = 4,
        .summary = SAFE_LIT("They move in May. Ada is glad."),
    };
    struct journal_entry e;
    struct safe_buf told;
    struct err err = ERR_INIT;

    journal_entry_init(&e);
    safe_buf_init(&told, JOURNAL_BYTES_MAX);
    assert_int_equal(journal_compose(&source, &e, &err), E_OK);
    journal_entry_tell(&e, &told);
    assert_string_equal(told.inner.ptr,
                        "2026-03-01 to 2026-03-02, 14 turns:\n"
                        "Topic: the move\n"
                        "Decided: to take the train\n"
                        "Changed: lives in: Bergen (before: Oslo)\n"
                        "New: works as: a nurse\n"
                        "New: Ada: age: 7\n"
                        "Open: Which school?\n"
                        "Said: They move in May.\n"
                        "Said: Ada is glad.\n");
    assert_true(safe_buf_text(&told).len <= journal_entry_bytes(&e));
    safe_buf_release(&told);
    journal_entry_release(&e);
}

static void test_journal__nothing_to_say(void **state)
{
    (void)state;
    const struct journal_source source = {.session = "s1", .from_ms = MARCH_MS, .turns = 1};
    struct journal_entry e;
    struct safe_buf told;
    struct err err = ERR_INIT;

    journal_entry_init(&e);
    safe_buf_init(&told, JOURNAL_BYTES_MAX);
    assert_int_equal(journal_compose(&source, &e, &err), E_OK);
    journal_entry_tell(&e, &told);
    assert_string_equal(told.inner.ptr, "2026-03-01, 1 turn.\n");
    safe_buf_release(&told);
    journal_entry_release(&e);
}

// However much there is to say, an entry and its lines keep their sizes and cut no character.
static void test_journal__entry_is_bounded(void **state)
{
    (void)state;
    char words[1024];
    struct safe_text open[16];
    struct journal_fact facts[64];
    struct journal_entry e;
    struct err err = ERR_INIT;

    for (size_t i = 0; i + 2 < sizeof(words); i += 2)
        memcpy(words + i, "ø", 2);
    words[sizeof(words) - 2] = '\0';
    for (size_t i = 0; i < 16; i++)
        open[i] = safe(words);
    for (size_t i = 0; i < 64; i++)
        facts[i] = (struct journal_fact){(enum journal_change)(i % 3), SAFE_NONE, SAFE_LIT("p"),
                                         safe(words), safe(words)};
    const struct journal_source source = {.session = "s1", .from_ms = MARCH_MS, .open = open,
                                          .open_len = 16, .facts = facts, .facts_len = 64,
                                          .topic = safe(words), .summary = safe(words)};
    journal_entry_init(&e);
    assert_int_equal(journal_compose(&source, &e, &err), E_OK);
    size_t line = 0;
    const char *text = text_of(&e);
    assert_true(strlen(text) > 1000 && strlen(text) <= JOURNAL_SESSION_BYTES_MAX);
    for (const char *at = text; *at; at += line) {
        line = (size_t)(strchr(at, '\n') + 1 - at);
        assert_true(line <= JOURNAL_LINE_BYTES_MAX);
    }
    journal_entry_release(&e);
}

static void test_journal__stored(void **state)
{
    (void)state;
    struct journal_entry e, back;
    struct buf meta = BUF_INIT(4096);
    struct err err = ERR_INIT;

    journal_entry_init(&e);
    journal_entry_init(&back);
    e.from_ms = MARCH_MS;
    e.at_ms = MARCH_MS + 5;
    e.turns = 9;
    e.sessions = 4;
    strcpy(e.by, "model:p:m@00112233");
    strcpy(e.context, "c1");
    journal_entry_write_meta(&e, &meta);
    assert_string_equal(meta.ptr, "{\"from\":1772323200000,\"at\":1772323200005,\"turns\":9,"
                                  "\"sessions\":4,\"by\":\"model:p:m@00112233\","
                                  "\"context\":\"c1\"}");
    assert_int_equal(journal_entry_read_meta(&back, buf_slice(&meta), &err), E_OK);
    assert_int_equal(back.turns, 9);
    assert_int_equal(back.sessions, 4);
    assert_string_equal(back.by, e.by);
    assert_true(journal_entry_is_of(&back, "c1"));
    // As it was written before contexts were noted: of none.
    assert_int_equal(journal_entry_read_meta(&back, SLICE_LIT("{\"from\":5,\"at\":6,\"turns\":1,"
                                                              "\"sessions\":1,\"by\":\"rules\"}"),
                                             &err), E_OK);
    assert_string_equal(back.context, JOURNAL_NO_CONTEXT);
    static const char *const bad[] = {
        "{\"from\":5,\"at\":4,\"turns\":1,\"sessions\":1,\"by\":\"rules\"}",
        "{\"from\":5,\"at\":6,\"turns\":-1,\"sessions\":1,\"by\":\"rules\"}",
        "{\"from\":5,\"at\":6,\"turns\":1,\"sessions\":0,\"by\":\"rules\"}",
        "{\"from\":5,\"at\":6,\"turns\":1,\"sessions\":1}",
        "[]",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(journal_entry_read_meta(&back, slice_str(bad[i]), &err), E_CORRUPT);
    buf_release(&meta);
    journal_entry_release(&e);
    journal_entry_release(&back);
}

static void test_journal__order_and_versions(void **state)
{
    (void)state;
    struct journal j;

    journal_init(&j);
    add_entry(&j, "b", MARCH_MS + DAY_MS, "two\n");
    add_entry(&j, "a", MARCH_MS, "one\n");
    add_entry(&j, JOURNAL_EARLIER, MARCH_MS + 9 * DAY_MS, "old\n");
    assert_string_equal(j.list[0].session, JOURNAL_EARLIER);
    assert_string_equal(j.list[1].session, "a");
    journal_find(&j, "a")->dirty = true;
    journal_find(&j, "a")->version = 1;  // as it was written
    journal_settle(&j);
    assert_false(journal_is_dirty(&j));
    add_entry(&j, "a", MARCH_MS + 2 * DAY_MS, "anew\n");  // in the place of the first
    assert_int_equal(j.len, 3);
    assert_int_equal(journal_find(&j, "a")->version, 1);
    assert_string_equal(j.list[2].session, "a");
    journal_find(&j, "b")->gone = true;
    assert_null(journal_find(&j, "b"));
    journal_settle(&j);
    assert_int_equal(j.len, 2);
    journal_release(&j);
}

// A record's text whose last line has no end, and of which nothing stands behind its label.
static void test_journal__condenses_what_has_no_end(void **state)
{
    (void)state;
    struct journal j;
    struct err err = ERR_INIT;
    char session[8];

    journal_init(&j);
    for (int i = 0; i < 10; i++) {
        snprintf(session, sizeof(session), "s%d", i);
        add_entry(&j, session, MARCH_MS + i * DAY_MS, "Topic: geese\nOpen: ");
    }
    assert_int_equal(journal_condense(&j, 300, &err), E_OK);
    assert_true(journal_bytes(&j) <= 300);
    journal_release(&j);
}

static void test_journal__condenses(void **state)
{
    (void)state;
    struct journal j;
    struct err err = ERR_INIT;
    char session[8], text[256];

    journal_init(&j);
    for (int i = 0; i < 10; i++) {
        snprintf(session, sizeof(session), "s%d", i);
        snprintf(text, sizeof(text), "Topic: topic %d\nNew: likes: thing %d\nDecided: plan %d\n", i,
                 i, i);
        add_entry(&j, session, MARCH_MS + i * DAY_MS, text);
    }
    assert_int_equal(journal_condense(&j, 800, &err), E_OK);
    const struct journal_entry *earlier = journal_find(&j, JOURNAL_EARLIER);
    assert_non_null(earlier);
    assert_true(journal_bytes(&j) <= 800);
    assert_int_equal(earlier->sessions, 6);
    assert_int_equal(earlier->turns, 18);
    assert_string_equal(earlier->context, JOURNAL_NO_CONTEXT);
    // The newest of what was condensed, topics and decisions alone.
    assert_string_equal(text_of(earlier),
                        "2026-03-04 Decided: plan 3\n"
                        "2026-03-05 Topic: topic 4\n2026-03-05 Decided: plan 4\n"
                        "2026-03-06 Topic: topic 5\n2026-03-06 Decided: plan 5\n");
    journal_release(&j);
}

// What of older lines tells most stays where there is room, whatever its age; it thins from fold to
// fold.
static void test_journal__thins_what_is_old(void **state)
{
    (void)state;
    struct journal j;
    struct err err = ERR_INIT;
    char session[16], text[512];

    journal_init(&j);
    for (int i = 0; i < 12; i++) {
        snprintf(session, sizeof(session), "s%d", i);
        snprintf(text, sizeof(text), "New: likes: tea\nSaid: That is so nice of you to say.\n"
                 "Said: My sister Ada%d plays the cello in room %d at Bergen.\n", i, 40 + i);
        add_entry(&j, session, MARCH_MS + i * DAY_MS, text);
    }
    assert_int_equal(journal_condense(&j, 1600, &err), E_OK);
    const char *earlier = text_of(journal_find(&j, JOURNAL_EARLIER));
    assert_non_null(strstr(earlier, "2026-03-08 New: likes: tea\n"));
    // What was told in nearly the same words is told once.
    const char *said = strstr(earlier, "nice of you"), *sister = strstr(earlier, "My sister Ada");
    assert_true(said && sister);
    assert_null(strstr(said + 1, "nice of you"));
    assert_null(strstr(sister + 1, "My sister Ada"));
    assert_true(journal_bytes(&j) <= 1600);
    // "earlier" is folded again: no date comes twice.
    assert_int_equal(journal_condense(&j, 900, &err), E_OK);
    earlier = text_of(journal_find(&j, JOURNAL_EARLIER));
    for (const char *line = earlier; *line; line = strchr(line, '\n') + 1)
        assert_true(strncmp(line, "2026-03-", 8) == 0 && strncmp(line + 11, "2026", 4) != 0);
    journal_release(&j);
}

// Of ten sessions six are condensed, and three of them have lines there.
static void condensed(struct journal *j)
{
    char session[8], text[256];
    struct err err = ERR_INIT;

    journal_init(j);
    for (int i = 0; i < 10; i++) {
        snprintf(session, sizeof(session), "s%d", i);
        snprintf(text, sizeof(text), "Topic: topic %d\nNew: likes: thing %d\nDecided: plan%d\n", i,
                 i, i);
        add_entry(j, session, MARCH_MS + i * DAY_MS, text);
    }
    assert_int_equal(journal_condense(j, 800, &err), E_OK);
}

// A session goes out of what was condensed as it came in, also when it was stored meanwhile.
static void test_journal__unfolds(void **state)
{
    (void)state;
    struct journal j;
    struct journal_entry *earlier, back;
    struct buf meta = BUF_INIT(16384);
    struct err err = ERR_INIT;
    uint32_t turns, lines = 0;

    condensed(&j);
    earlier = journal_find(&j, JOURNAL_EARLIER);
    assert_int_equal(earlier->of.len, 3);  // the lines of the others had no room
    journal_entry_write_meta(earlier, &meta);
    journal_entry_init(&back);
    assert_int_equal(journal_entry_read_meta(&back, buf_slice(&meta), &err), E_OK);
    assert_int_equal(back.of.len, 3);
    assert_memory_equal(back.of.ptr, earlier->of.ptr, 3 * sizeof(struct journal_of));
    journal_entry_release(&back);
    buf_release(&meta);
    assert_true(journal_tells(&j, "s4", &turns));
    assert_int_equal(turns, 3);
    assert_true(journal_tells(&j, "s9", &turns));
    assert_false(journal_tells(&j, "s0", &turns));
    // What is forgotten takes its line, and no other's.
    assert_int_equal(journal_forget(&j, safe("plan3"), &lines, &err), E_OK);
    assert_int_equal(earlier->of.len, 2);
    assert_int_equal(journal_unfold(&j, "s4", 9, &err), E_OK);
    assert_string_equal(text_of(earlier), "2026-03-06 Topic: topic 5\n2026-03-06 Decided: plan5\n");
    assert_false(journal_tells(&j, "s4", &turns));
    assert_int_equal(earlier->sessions, 5);
    assert_int_equal(earlier->turns, 15);
    assert_int_equal(journal_unfold(&j, "s4", 9, &err), E_OK);
    assert_int_equal(earlier->sessions, 5);
    journal_release(&j);
}

// A model's words of several stay, until turns of one of them were taken back.
static void test_journal__unfolds_what_a_model_wrote(void **state)
{
    (void)state;
    struct journal j;
    struct journal_fold fold;
    struct journal_entry *earlier;
    struct err err = ERR_INIT;
    uint32_t turns;

    condensed(&j);
    assert_int_equal(journal_unfold(&j, "s3", 3, &err), E_OK);
    assert_int_equal(journal_unfold(&j, "s4", 3, &err), E_OK);
    add_entry(&j, "s4", MARCH_MS + 4 * DAY_MS, "Topic: topic 4\nNew: likes: thing 4\n");
    fold = (struct journal_fold){.entries = 2, .room = 200};
    assert_int_equal(journal_fold(&j, &fold, safe("They talked.\n"), "model:p:m", 8000, &err),
                     E_OK);
    earlier = journal_find(&j, JOURNAL_EARLIER);
    assert_int_equal(earlier->of.len, 3);
    assert_int_equal(journal_unfold(&j, "s4", 3, &err), E_OK);
    assert_true(journal_tells(&j, "s4", &turns));
    assert_int_equal(journal_unfold(&j, "s4", 2, &err), E_OK);
    assert_false(journal_tells(&j, "s4", &turns));
    assert_false(journal_tells(&j, "s5", &turns));
    assert_int_equal(earlier->of.len, 0);
    assert_int_equal(safe_buf_text(&earlier->text).len, 0);
    assert_true(earlier->sessions > 0);  // those whose lines had no room
    journal_release(&j);
    add_entry(&j, "s1", MARCH_MS, "Topic: tea\n");
    add_entry(&j, "s2", MARCH_MS + DAY_MS, "Topic: cake\n");
    fold = (struct journal_fold){.entries = 1, .room = 200};
    assert_int_equal(journal_fold(&j, &fold, safe("Tea.\n"), "model:p:m", 8000, &err), E_OK);
    assert_int_equal(journal_unfold(&j, "s1", 0, &err), E_OK);
    assert_null(journal_find(&j, JOURNAL_EARLIER));
    journal_release(&j);
}

static void test_journal__forgets(void **state)
{
    (void)state;
    static const struct {
        const char *line, *value;
        bool goes;
    } rows[] = {
        {"New: lives in: Bergen\n", "Bergen", true},
        {"New: lives in: bergen, by the harbour\n", "Bergen", true},
        {"Said: She moved to a house in Bergen.\n", "a blue house in Bergen", true},
        {"Topic: vegetarians\n", "vegetarian", true},
        {"Decided: to stop eating meat\n", "eats no meat", true},
        {"New: phone: [PHONE_12]\n", "[PHONE_12]", true},
        {"New: works as: a nurse\n", "Bergen", false},
        {"New: likes: the sea\n", "the mountains of the north", false},
        {"Topic: room 7\n", "7 small children", false},
        {"Said: 🙂🙂\n", "🙂🙂", true},
        {"New: lives in: 大阪市\n", "大阪市", true},
        {"New: lives in: 東京都\n", "大阪市", false},
        {"New: says: to be\n", "to be", true},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct safe_buf out;
        struct err err = ERR_INIT;
        uint32_t lines;

        safe_buf_init(&out, JOURNAL_BYTES_MAX);
        assert_int_equal(journal_strip(safe(rows[i].line), safe(rows[i].value), &out, &lines, &err),
                         E_OK);
        if ((lines == 1) != rows[i].goes)
            print_error("%s / %s\n", rows[i].line, rows[i].value);
        assert_int_equal(lines, rows[i].goes);
        assert_int_equal(safe_buf_text(&out).len, rows[i].goes ? 0 : strlen(rows[i].line));
        safe_buf_release(&out);
    }
}

// ---- the property: never over the cap, again is nothing, and nothing is left of what is forgotten

static const char *const words[] = {"Bergen",  "nurse", "train",  "decided", "school",
                                    "allergic", "nuts",  "winter", "Acme-42", "piano"};
enum { WORDS = sizeof(words) / sizeof(words[0]) };

static void random_journal(struct journal *j, struct rand_sim *r, uint32_t len)
{
    static const char *const labels[] = {"Topic: ", "Decided: ", "New: ", "Open: ", ""};
    char session[16], text[4096];

    for (uint32_t i = 0; i < len; i++) {
        size_t at = 0;
        uint64_t lines = rand_below(&r->rand, 12);

        for (uint64_t l = 0; l < lines; l++) {
            at += (size_t)snprintf(text + at, sizeof(text) - at, "%s",
                                   labels[rand_below(&r->rand, 5)]);
            uint64_t n = 1 + rand_below(&r->rand, 12);
            while (n-- > 0)
                at += (size_t)snprintf(text + at, sizeof(text) - at, "%s ",
                                       words[rand_below(&r->rand, WORDS)]);
            at += (size_t)snprintf(text + at, sizeof(text) - at, "\n");
        }
        text[at] = '\0';
        snprintf(session, sizeof(session), "s%u", i);
        add_entry(j, session, MARCH_MS + (int64_t)rand_below(&r->rand, 900) * DAY_MS, text);
    }
}

static bool told_anywhere(const struct journal *j, const char *word)
{
    for (uint32_t i = 0; i < j->len; i++)
        if (!j->list[i].gone && strcasestr(text_of(&j->list[i]), word))
            return true;
    return false;
}

static void test_journal__holds_for_all(void **state)
{
    (void)state;
    struct rand_sim r;
    uint32_t folded = 0, forgotten = 0;

    rand_sim_init(&r, 20261121);
    for (int i = 0; i < CASES; i++) {
        struct journal j, again;
        struct err err = ERR_INIT;
        size_t cap = (size_t)rand_below(&r.rand, 9000);
        const char *word = words[rand_below(&r.rand, WORDS)];
        uint32_t lines = 0, before;

        journal_init(&j);
        random_journal(&j, &r, (uint32_t)rand_below(&r.rand, JOURNAL_LIST_MAX - 1));
        before = j.len;
        assert_int_equal(journal_condense(&j, cap, &err), E_OK);
        assert_true(journal_bytes(&j) <= cap);
        assert_true(j.len <= before + 1);
        folded += journal_is_dirty(&j);
        journal_settle(&j);
        assert_true(j.len <= JOURNAL_KEPT_MAX + 1);
        assert_int_equal(journal_copy(&again, &j, &err), E_OK);
        assert_int_equal(journal_condense(&again, cap, &err), E_OK);
        assert_false(journal_is_dirty(&again));
        journal_release(&again);
        assert_int_equal(journal_forget(&j, safe(word), &lines, &err), E_OK);
        assert_false(told_anywhere(&j, word));
        assert_true(journal_bytes(&j) <= cap);
        forgotten += lines;
        journal_release(&j);
    }
    assert_true(folded > CASES / 2 && forgotten > CASES);
}

// What an entry is made of, out of a session's state.
static void test_journal__reads_the_state(void **state)
{
    (void)state;
    struct session_head h = {0};
    struct safe_buf out;
    struct err err = ERR_INIT;

    safe_buf_init(&out, 4096);
    assert_false(session_state_text(&h, "topic", 0, &out));
    assert_int_equal(session_merge_state(&h, SAFE_LIT("{\"topic\":\"the \\\"move\\\"\","
                                                      "\"open_questions\":[\"a?\",7,\"b?\"]}"),
                                         &err), E_OK);
    assert_true(session_state_text(&h, "topic", 0, &out));
    assert_string_equal(out.inner.ptr, "the \"move\"");
    assert_false(session_state_text(&h, "topic", 1, &out));
    assert_true(session_state_text(&h, "open_questions", 2, &out));
    assert_false(session_state_text(&h, "open_questions", 1, &out));
    assert_false(session_state_text(&h, "open_questions", 3, &out));
    assert_false(session_state_text(&h, "nothing", 0, &out));
    assert_string_equal(out.inner.ptr, "the \"move\"b?");
    safe_buf_release(&out);
    session_head_release(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_journal__composes),
        cmocka_unit_test(test_journal__nothing_to_say),
        cmocka_unit_test(test_journal__entry_is_bounded),
        cmocka_unit_test(test_journal__stored),
        cmocka_unit_test(test_journal__order_and_versions),
        cmocka_unit_test(test_journal__condenses_what_has_no_end),
        cmocka_unit_test(test_journal__condenses),
        cmocka_unit_test(test_journal__thins_what_is_old),
        cmocka_unit_test(test_journal__unfolds),
        cmocka_unit_test(test_journal__unfolds_what_a_model_wrote),
        cmocka_unit_test(test_journal__forgets),
        cmocka_unit_test(test_journal__holds_for_all),
        cmocka_unit_test(test_journal__reads_the_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
