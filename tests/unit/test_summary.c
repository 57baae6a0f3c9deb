// SPDX-License-Identifier: MIT
// test_summary.c: when a summary is due, whether one holds, how it is cut to size, and its stored
// forms. How one is made is in tests/talk/summary*.talk.
#include "turn/summary_int.h"

#include "base/rand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
// after the headers that it needs
#include <cmocka.h>

enum { TURNS = 40, CASES = 20000 };

static struct block word = {.type = BLOCK_TEXT, .text = SAFE_LIT("word")};

struct world {
    struct chat chat;
    struct turn turns[TURNS];
    struct step steps[TURNS];
    struct turn_range superseded[TURNS];
    struct history_plan plan;
};

// `len` turns of 10 tokens each.
static void make_world(struct world *w, uint32_t len, uint32_t keep, uint32_t slack)
{
    memset(w, 0, sizeof(*w));
    w->chat = (struct chat){.first = 1, .turns = w->turns, .turns_len = len};
    w->chat.head.turns = len;
    w->chat.head.superseded = w->superseded;
    for (uint32_t i = 0; i < len; i++) {
        w->steps[i] = (struct step){.content = content_over(&word, 1), .tokens = 10};
        w->turns[i] = (struct turn){.n = i + 1, .steps = &w->steps[i], .steps_len = 1,
                                    .status = TURN_DONE};
    }
    w->plan = (struct history_plan){.last = keep, .slack = slack,
                                    .summary = {.tokens = 100, .at_permille = 500}};
}

static void take_back(struct world *w, uint32_t first, uint32_t last)
{
    w->superseded[w->chat.head.superseded_len++] = (struct turn_range){first, last};
    for (uint32_t n = first; n <= last; n++)
        w->turns[n - 1].superseded = true;
}

static void test_summary__is_due(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        uint32_t len, keep, slack, cut, base;
        uint64_t budget;
        uint32_t due;
    } rows[] = {
        {"too few turns", 5, 3, 3, 0, 0, 100000, 0},
        {"as many as the mark", 6, 3, 3, 0, 0, 100000, 3},
        {"late: one more is kept in it", 7, 3, 3, 0, 0, 100000, 4},
        {"one stands for them already", 6, 3, 3, 0, 3, 100000, 0},
        {"and the run has not grown enough", 8, 3, 3, 4, 3, 100000, 0},
        {"until it has", 9, 3, 3, 4, 3, 100000, 6},
        {"half of the budget", 5, 3, 30, 0, 0, 100, 2},
        {"less than half of it", 4, 3, 30, 0, 0, 100, 0},
        {"nothing is before the newest", 3, 3, 0, 0, 0, 1, 0},
        {"what the cut has dropped", 10, 3, 30, 9, 0, 100000, 8},
        {"what the cut has dropped since", 10, 1, 30, 9, 4, 100000, 9},
        {"no slack is a slack of one", 3, 2, 0, 0, 0, 100000, 1},
        {"all are kept", 30, UINT32_MAX, 0, 0, 0, 100000, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        static struct world w;
        make_world(&w, rows[i].len, rows[i].keep, rows[i].slack);
        w.chat.head.cut.first = rows[i].cut;
        uint32_t due = summary_due(&w.chat, &w.plan, rows[i].base, rows[i].budget);
        if (due != rows[i].due)
            print_error("%s: %u\n", rows[i].what, due);
        assert_int_equal(due, rows[i].due);
    }
}

// Whatever was taken back: it stands for a turn that counts, keeps the newest, and goes forward.
static void test_summary__is_due_for_turns_that_count(void **state)
{
    (void)state;
    struct rand_sim sim;
    const struct rand *r = &sim.rand;
    uint32_t any = 0;
    rand_sim_init(&sim, 7);
    for (int i = 0; i < CASES; i++) {
        static struct world w;
        uint32_t len = 1 + (uint32_t)rand_below(r, TURNS - 1), keep = (uint32_t)rand_below(r, 6);
        make_world(&w, len, keep, (uint32_t)rand_below(r, 6));
        for (uint32_t n = 1; n < len; n += 2 + (uint32_t)rand_below(r, 9)) {
            uint32_t last = n + (uint32_t)rand_below(r, 4);
            take_back(&w, n, last < len ? last : len);
            n = last;
        }
        w.chat.head.cut.first = (uint32_t)rand_below(r, len + 1);
        uint32_t base = (uint32_t)rand_below(r, len + 1);
        uint32_t due = summary_due(&w.chat, &w.plan, base, rand_below(r, 800));
        if (!due)
            continue;
        any++;
        uint32_t cut = w.chat.head.cut.first ? w.chat.head.cut.first : 1;
        uint32_t kept = session_live_turns(&w.chat.head, len) -
                        session_live_turns(&w.chat.head, due);
        assert_true(due > base && due <= len);
        assert_false(session_is_superseded(&w.chat.head, due));
        assert_true(kept >= keep || due < cut);
    }
    assert_true(any > CASES / 10);
}

static void test_summary__holds_while_its_turns_count(void **state)
{
    (void)state;
    struct session_head h = {.turns = 9};
    struct summary s = {.upto = 5, .turns = 5};
    struct err err = ERR_INIT;
    assert_true(summary_holds(&s, &h));
    assert_int_equal(session_supersede(&h, 8, 9, &err), E_OK);
    assert_true(summary_holds(&s, &h));
    h.turns = 4;
    assert_false(summary_holds(&s, &h));
    h.turns = 9;
    assert_int_equal(session_supersede(&h, 2, 2, &err), E_OK);
    assert_false(summary_holds(&s, &h));
    s.turns = 4;
    assert_true(summary_holds(&s, &h));
    assert_int_equal(session_supersede(&h, 5, 5, &err), E_OK);
    assert_false(summary_holds(&s, &h));
    s = (struct summary){0};
    assert_false(summary_holds(&s, &h));
    for (uint32_t upto = 0, live = 0; upto <= 9; upto++) {
        live += upto > 0 && !session_is_superseded(&h, upto);
        assert_int_equal(session_live_turns(&h, upto), live);
    }
    session_head_release(&h);
}

static void test_summary__is_cut_to_size(void **state)
{
    (void)state;
    const struct encoding *e = encoding_find(SLICE_LIT("o200k_base"));
    const struct slice text = SLICE_LIT("It is one. It is two. It is three.");
    assert_int_equal(summary_fit(e, text, 1000), text.len);
    for (uint32_t tokens = 1; tokens < 30; tokens++) {
        size_t len = summary_fit(e, text, tokens);
        assert_true(tokens_count(e, slice_of(text.ptr, len)) <= tokens + 2);
        bool whole = len == text.len || (len && text.ptr[len - 1] == ' ');
        assert_true(whole || tokens < tokens_count(e, SLICE_LIT("It is one. ")));
    }
    assert_int_equal(summary_fit(e, SLICE_NONE, 10), 0);
    // One sentence that is too long is cut between characters.
    struct buf endless = BUF_INIT(1 << 16);
    for (int i = 0; i < 4000; i++)
        buf_add_str(&endless, "é");
    size_t len = summary_fit(NULL, buf_slice(&endless), 50);
    assert_true(len > 0 && len % 2 == 0);
    assert_true(tokens_count(NULL, slice_of(endless.ptr, len)) <= 50);
    buf_release(&endless);
}

static void test_summary__stored_form(void **state)
{
    (void)state;
    struct summary s, back;
    struct buf out = BUF_INIT(4096);
    struct err err = ERR_INIT;
    summary_init(&s);
    summary_init(&back);
    s.turns = 4;
    s.base = 3;
    s.generation = 2;
    s.left_out = 1;
    s.tokens = 40;
    s.at_ms = 77;
    snprintf(s.by, sizeof(s.by), "policies/a.lua:2");
    snprintf(s.provider, sizeof(s.provider), "openai");
    snprintf(s.model, sizeof(s.model), "small");
    summary_write_meta(&s, &out);
    assert_int_equal(summary_read_meta(&back, buf_slice(&out), &err), E_OK);
    assert_int_equal(back.turns, 4);
    assert_int_equal(back.base, 3);
    assert_int_equal(back.generation, 2);
    assert_int_equal(back.left_out, 1);
    assert_int_equal(back.tokens, 40);
    assert_int_equal(back.at_ms, 77);
    assert_string_equal(back.by, "policies/a.lua:2");
    assert_string_equal(back.provider, "openai");
    assert_string_equal(back.model, "small");
    assert_int_equal(summary_read_meta(&back, SLICE_LIT("{\"turns\":0}"), &err), E_CORRUPT);
    assert_non_null(strstr(err.message, "\"turns\""));
    buf_release(&out);
}

// What a request says of its summary, and what a cut does.
static void test_summary__in_the_records_of_turns(void **state)
{
    (void)state;
    struct session_head h = {.turns = 9, .cut = {.first = 5, .turn = 8, .plan = 1, .summary = 4}};
    struct session_head head_back = {0};
    static struct sent sent = {.strategy = "hybrid", .summary_upto = 4, .summary_tokens = 99}, back;
    struct attempt a = {.status = ATTEMPT_DONE};
    struct buf out = BUF_INIT(16 << 10);
    struct err err = ERR_INIT;
    session_write_meta(&h, &out);
    assert_int_equal(session_read_meta(&head_back, buf_slice(&out), &err), E_OK);
    assert_int_equal(head_back.cut.summary, 4);
    h.cut.summary = 5;  // it would stand for what is sent
    buf_clear(&out);
    session_write_meta(&h, &out);
    assert_int_equal(session_read_meta(&head_back, buf_slice(&out), &err), E_CORRUPT);
    buf_clear(&out);
    attempt_write_meta(&a, &sent, &out);
    assert_int_equal(sent_read_meta(&back, buf_slice(&out), &err), E_OK);
    assert_int_equal(back.summary_upto, 4);
    assert_int_equal(back.summary_tokens, 99);
    assert_int_equal(
        sent_read_meta(&back,
                       SLICE_LIT("{\"sent\":{\"strategy\":\"\",\"by\":\"\",\"runs\":[],"
                                 "\"summary\":[0,1],\"predicted\":{}}}"), &err), E_CORRUPT);
    assert_non_null(strstr(err.message, "\"summary\""));
    buf_release(&out);
    session_head_release(&head_back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_summary__is_due),
        cmocka_unit_test(test_summary__is_due_for_turns_that_count),
        cmocka_unit_test(test_summary__holds_while_its_turns_count),
        cmocka_unit_test(test_summary__is_cut_to_size),
        cmocka_unit_test(test_summary__stored_form),
        cmocka_unit_test(test_summary__in_the_records_of_turns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
