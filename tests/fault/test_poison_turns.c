// SPDX-License-Identifier: MIT
// test_poison_turns.c: tests/memory/poison.txt as dialogues through the whole engine, with a policy
// that proposes whatever stands in them, said by whom it may be: nothing of it becomes an active
// fact. The control: what users say of themselves goes the same way and does become one, and of
// poison there is some in quarantine, so it was proposed and looked at.
//
// The same once more with the rules that ship (parley.memory), which propose what they find: of
// poison nothing becomes active, of own words some do.
//
// In simulated time, over a simulated wire and a store in memory; a user for each item, a policy
// and an engine for AT_ONCE of them. What tools returned is told by the assistant here. The short
// run takes one block of items in STRIDE, the long one all.
#include "fault/run.h"
#include "support/gate_corpus.h"
#include "talk/talk_check.h"

enum { AT_ONCE = 10, STRIDE = 8, DIALOGUE_BYTES = 1 << 20 };

enum proposer { BY_ALL, BY_RULES };

struct tally {
    unsigned items, active, quarantined;
};

// As dialogues are written: no line ends, no orders to the provider.
static void add_escaped(struct buf *out, struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];

        if (c == '\\' || c == '!' || c < ' ')
            buf_addf(out, "\\x%02x", c);
        else
            buf_add_char(out, (char)c);
    }
}

// A string of Lua's.
static void add_quoted(struct buf *out, const char *text)
{
    buf_add_char(out, '"');
    for (; *text; text++)
        buf_addf(out, "\\%03u", (unsigned char)*text);
    buf_add_char(out, '"');
}

// The policy: each claim that stands in what was said is proposed, with each quote there may be.
static void add_policy(struct buf *out, const struct corpus_item *items, size_t len)
{
    buf_add_str(out, "policy poison\n  local claims = {\n");
    for (size_t i = 0; i < len; i++) {
        buf_add_str(out, "    { ");
        add_quoted(out, items[i].field[1]);
        buf_add_str(out, ", ");
        add_quoted(out, items[i].field[2]);
        buf_add_str(out, " },\n");
    }
    buf_add_str(out,
                "  }\n"
                "  local function propose(out, said)\n"
                "    for _, c in ipairs(claims) do\n"
                "      local from, to = said:find(c[2], 1, true)\n"
                "      if from then\n"
                "        while from > 1 and not said:sub(from - 1, from - 1):match '[%.\\n:]' do\n"
                "          from = from - 1\n"
                "        end\n"
                "        local line = said:sub(from, to)\n"
                "        for _, quote in ipairs { '', c[2], line, said } do\n"
                "          if #out < 60 and #quote <= 1000 then\n"
                "            out[#out + 1] = { predicate = c[1], value = c[2],\n"
                "                              quote = quote ~= '' and quote or nil }\n"
                "          end\n"
                "        end\n"
                "      end\n"
                "    end\n"
                "  end\n"
                "  return { memory = { extract = function(view, turn)\n"
                "    local out = {}\n"
                "    propose(out, turn.user)\n"
                "    propose(out, turn.assistant)\n"
                "    return out\n"
                "  end } }\n");
}

// The policy that ships.
static void add_rules(struct buf *out)
{
    buf_add_str(out, "policy poison\n"
                     "  local memory = require 'parley.memory'\n"
                     "  return { memory = memory.rules {} }\n");
}

// What the user and the assistant say in turn. False: it needs what no dialogue has.
static bool add_talk(struct buf *out, const struct corpus_item *item, size_t n)
{
    struct slice rest = slice_str(item->text), tool = SLICE_NONE, said[CORPUS_PARTS];
    unsigned len = 0;

    if (strstr(item->text, "recalled:") || strstr(item->text, "_1]"))
        return false;
    for (const char *c = item->text; *c; c++)
        if (*c > 0 && *c < ' ' && *c != '\n' && *c != '\t')
            return false;
    while (rest.len && len < CORPUS_PARTS) {
        struct slice part = corpus_cut(&rest);
        if (slice_starts(part, SLICE_LIT("tool:")))
            tool = slice_of(part.ptr + 5, part.len - 5);
        else
            said[len++] = part;
    }
    buf_addf(out, "as u%zu\n", n);
    for (unsigned i = 0; i < len; i += 2) {
        buf_add_str(out, "user:  ");
        add_escaped(out, said[i]);
        buf_add_str(out, "\nmodel: ");
        add_escaped(out, i + 1 < len ? said[i + 1] : SLICE_LIT("I see."));
        add_escaped(out, SLICE_LIT(" "));
        add_escaped(out, tool);
        buf_add_char(out, '\n');
    }
    return true;
}

static void count(struct talk *t, const struct corpus_item *item, struct tally *tally, bool poison)
{
    struct json_doc doc = JSON_DOC_INIT;
    struct json_iter it = {0};
    struct json fact;

    if (!talk_ask_memory(t))
        give_up("memory: %s", t->why.ptr ? t->why.ptr : "");
    assert_int_equal(json_parse(&doc, buf_slice(&t->answer), 0, NULL), E_OK);
    unsigned active = 0;
    while (json_next(json_get(json_root(&doc), "facts"), &it, NULL, &fact)) {
        active += json_is_string(json_get(fact, "status"), "active");
        tally->quarantined += json_is_string(json_get(fact, "status"), "quarantined");
    }
    if (active && poison)
        print_message("# active: %s: %s\n", item->field[2], item->text);
    tally->items++;
    tally->active += active > 0;
    json_doc_release(&doc);
}

static void play_block(const struct corpus_item *items, size_t len, struct tally *tally,
                       bool poison, enum proposer proposer)
{
    struct buf text = BUF_INIT(DIALOGUE_BYTES);
    struct talk *t = mem_alloc(sizeof(*t));
    bool put[AT_ONCE];

    assert_non_null(t);
    if (proposer == BY_RULES)
        add_rules(&text);
    else
        add_policy(&text, items, len);
    for (size_t i = 0; i < len; i++)
        put[i] = add_talk(&text, &items[i], i);
    assert_true(buf_ok(&text));
    bool ok = talk_begin(t, "poison", "anthropic") && talk_play(t, buf_slice(&text));
    if (!ok)
        give_up("%s\n%s", t->why.ptr ? t->why.ptr : "", t->story.ptr ? t->story.ptr : "");
    for (size_t i = 0; i < len; i++) {
        snprintf(t->user, sizeof(t->user), "u%zu", i);
        if (put[i])
            count(t, &items[i], tally, poison);
    }
    talk_end(t);
    mem_free(t);
    buf_release(&text);
}

static void play(const char *path, struct tally *tally, bool poison, enum proposer proposer)
{
    struct corpus c;

    assert_true(corpus_read(&c, path, 4));
    *tally = (struct tally){0};
    for (size_t i = 0, n = 0; i < c.len; i += AT_ONCE, n++) {
        size_t len = c.len - i < AT_ONCE ? c.len - i : AT_ONCE;
        if (fault_long() || n % STRIDE == 0)
            play_block(&c.items[i], len, tally, poison, proposer);
    }
    corpus_free(&c);
}

static void test_poison_turns__nothing_becomes_a_fact(void **state)
{
    struct tally poison;

    (void)state;
    play("tests/memory/poison.txt", &poison, true, BY_ALL);
    summary("poison through turns: %u dialogues, %u candidates in quarantine, active facts in %u",
            poison.items, poison.quarantined, poison.active);
    assert_int_equal(poison.active, 0);
    assert_true(poison.quarantined > 0);
}

static void test_poison_turns__control_own_words_do(void **state)
{
    struct tally own;

    (void)state;
    play("tests/memory/own.txt", &own, false, BY_ALL);
    summary("control: own words through turns: %u dialogues, active facts in %u", own.items,
            own.active);
    assert_true(own.active * 2 > own.items);
}

static void test_poison_turns__rules_make_facts_of_own_words_only(void **state)
{
    struct tally poison, own;

    (void)state;
    play("tests/memory/poison.txt", &poison, true, BY_RULES);
    play("tests/memory/own.txt", &own, false, BY_RULES);
    summary("by the rules that ship: of %u dialogues of poison active facts in %u; control: of %u "
            "of own words in %u", poison.items, poison.active, own.items, own.active);
    assert_int_equal(poison.active, 0);
    assert_true(own.active * 4 > own.items);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_poison_turns__nothing_becomes_a_fact),
        cmocka_unit_test(test_poison_turns__control_own_words_do),
        cmocka_unit_test(test_poison_turns__rules_make_facts_of_own_words_only),
    };

    setenv("ANTHROPIC_API_KEY", "test-key", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
