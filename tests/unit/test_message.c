// SPDX-License-Identifier: MIT
// Content: one piece of memory, its limits, its stored form there and back, and bodies that are
// wrong.
#include "model/message.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct safe_text given(const char *s)
{
    return (struct safe_text){s, strlen(s)};
}

static void assert_text(struct safe_text t, const char *expected)
{
    assert_true(slice_is(safe_slice(t), expected));
}

static const struct block every_kind[] = {
    {.type = BLOCK_TEXT, .text = SAFE_LIT("a \"b\"\n\\ \xC3\xA9 \xF0\x9F\x8E\x89")},
    {.type = BLOCK_TOOL_USE, .id = SAFE_LIT("t1"), .name = SAFE_LIT("find"),
     .json = SAFE_LIT("{\"n\":12345678901234567890,\"d\":1.0}")},
    {.type = BLOCK_TOOL_RESULT, .id = SAFE_LIT("t1"), .text = SAFE_LIT("none"), .is_error = true},
    {.type = BLOCK_THINKING, .text = SAFE_LIT("hm"), .signature = SAFE_LIT("c2ln")},
    {.type = BLOCK_THINKING, .text = SAFE_LIT("")},
    {.type = BLOCK_OTHER, .json = SAFE_LIT("{\"type\":\"image\", \"x\":[1]}")},
};
enum { KINDS = sizeof(every_kind) / sizeof(every_kind[0]) };

static const char every_kind_stored[] =
    "[{\"type\":\"text\",\"text\":\"a \\\"b\\\"\\n\\\\ \xC3\xA9 \xF0\x9F\x8E\x89\"},"
    "{\"type\":\"tool_use\",\"id\":\"t1\",\"name\":\"find\","
    "\"input\":{\"n\":12345678901234567890,\"d\":1.0}},"
    "{\"type\":\"tool_result\",\"id\":\"t1\",\"text\":\"none\",\"error\":true},"
    "{\"type\":\"thinking\",\"text\":\"hm\",\"signature\":\"c2ln\"},"
    "{\"type\":\"thinking\",\"text\":\"\"},"
    "{\"type\":\"other\",\"json\":{\"type\":\"image\", \"x\":[1]}}]";

static void assert_same(const struct content *a, const struct block *blocks, uint32_t len)
{
    assert_int_equal(a->len, len);
    for (uint32_t i = 0; i < len; i++) {
        const struct block *x = &a->blocks[i], *y = &blocks[i];

        assert_int_equal(x->type, y->type);
        assert_int_equal(x->is_error, y->is_error);
        assert_true(slice_eq(safe_slice(x->text), safe_slice(y->text)));
        assert_true(slice_eq(safe_slice(x->id), safe_slice(y->id)));
        assert_true(slice_eq(safe_slice(x->name), safe_slice(y->name)));
        assert_true(slice_eq(safe_slice(x->json), safe_slice(y->json)));
        assert_true(slice_eq(safe_slice(x->signature), safe_slice(y->signature)));
    }
}

static void test_message__words(void **state)
{
    (void)state;
    assert_string_equal(role_word(ROLE_USER), "user");
    assert_string_equal(role_word(ROLE_ASSISTANT), "assistant");
    assert_string_equal(block_type_word(BLOCK_TOOL_RESULT), "tool_result");
}

static void test_message__stored_form(void **state)
{
    struct content c, back;
    struct safe_buf out;

    (void)state;
    assert_int_equal(content_make(&c, every_kind, KINDS, NULL), E_OK);
    assert_same(&c, every_kind, KINDS);
    safe_buf_init(&out, 4096);
    content_encode(&c, &out);
    assert_int_equal(safe_buf_check(&out, "a body", NULL), E_OK);
    assert_text(safe_buf_text(&out), every_kind_stored);
    assert_int_equal(content_decode(&back, safe_buf_text(&out), NULL), E_OK);
    assert_same(&back, every_kind, KINDS);
    content_release(&c);
    assert_int_equal(content_copy(&c, &back, NULL), E_OK);
    content_release(&back);
    assert_same(&c, every_kind, KINDS);
    content_release(&c);
    safe_buf_release(&out);
}

static void test_message__tool_use_without_input_is_an_empty_object(void **state)
{
    struct content c;
    struct safe_buf out;

    (void)state;
    safe_buf_init(&out, 4096);
    assert_int_equal(
        content_make(&c, &(struct block){.type = BLOCK_TOOL_USE, .name = SAFE_LIT("f")}, 1, NULL),
        E_OK);
    content_encode(&c, &out);
    assert_text(safe_buf_text(&out),
                "[{\"type\":\"tool_use\",\"id\":\"\",\"name\":\"f\",\"input\":{}}]");
    content_release(&c);
    safe_buf_release(&out);
}

static void test_message__empty_and_joined(void **state)
{
    struct block blocks[] = {{.type = BLOCK_TEXT, .text = SAFE_LIT("one ")},
                             {.type = BLOCK_THINKING, .text = SAFE_LIT("not said")},
                             {.type = BLOCK_TEXT, .text = SAFE_LIT("two")},
                             {.type = BLOCK_OTHER, .json = SAFE_LIT("{}")}};
    struct content c = CONTENT_NONE;
    struct safe_buf out;

    (void)state;
    assert_true(content_empty(&c));
    content_release(&c);
    assert_int_equal(content_make_text(&c, SAFE_NONE, NULL), E_OK);
    assert_int_equal(c.len, 1);
    assert_true(content_empty(&c));
    content_release(&c);
    safe_buf_init(&out, 64);
    assert_int_equal(content_make(&c, blocks, 4, NULL), E_OK);
    assert_false(content_empty(&c));
    content_text(&c, &out);
    assert_text(safe_buf_text(&out), "one two");
    assert_int_equal(content_bytes(&c), 4 + 8 + 3 + 2);
    content_release(&c);
    assert_int_equal(content_make(&c, blocks, 0, NULL), E_OK);
    assert_null(c.blocks);
    assert_int_equal(content_make(&c, &blocks[1], 1, NULL), E_OK);
    assert_false(content_empty(&c));
    content_release(&c);
    safe_buf_release(&out);
}

// One block of it, made, and read back from its stored form: both know the same.
static void assert_has(struct block b, uint32_t has)
{
    struct content made, copy, back;
    struct safe_buf body;

    assert_int_equal(content_over(&b, 1).has, has);
    assert_int_equal(content_make(&made, &b, 1, NULL), E_OK);
    assert_int_equal(made.has, has);
    assert_int_equal(content_copy(&copy, &made, NULL), E_OK);
    assert_int_equal(copy.has, has);
    safe_buf_init(&body, 4096);
    content_encode(&made, &body);
    assert_int_equal(content_decode(&back, safe_buf_text(&body), NULL), E_OK);
    assert_int_equal(back.has, has);
    content_release(&back);
    assert_int_equal(back.has, 0);
    content_release(&copy);
    content_release(&made);
    safe_buf_release(&body);
}

static void test_message__knows_what_it_has(void **state)
{
    struct block both[] = {{.type = BLOCK_THINKING, .text = SAFE_LIT("hm")},
                           {.type = BLOCK_TOOL_USE, .name = SAFE_LIT("f")}};

    (void)state;
    assert_has((struct block){.type = BLOCK_TEXT, .text = SAFE_LIT(" word")}, CONTENT_WORDS);
    assert_has((struct block){.type = BLOCK_TEXT, .text = SAFE_LIT(" \n\xc2\xa0")}, 0);
    assert_has((struct block){.type = BLOCK_TEXT}, 0);
    assert_has((struct block){.type = BLOCK_THINKING, .text = SAFE_LIT("hm")}, CONTENT_BOUND);
    assert_has((struct block){.type = BLOCK_OTHER, .json = SAFE_LIT("{}")},
               CONTENT_WORDS | CONTENT_BOUND);
    assert_has((struct block){.type = BLOCK_TOOL_USE, .name = SAFE_LIT("f")},
               CONTENT_WORDS | CONTENT_TOOL_USE);
    assert_has((struct block){.type = BLOCK_TOOL_RESULT, .id = SAFE_LIT("1")},
               CONTENT_WORDS | CONTENT_TOOL_RESULT);
    assert_int_equal(content_over(both, 2).has, CONTENT_WORDS | CONTENT_TOOL_USE | CONTENT_BOUND);
    assert_int_equal(content_over(both, 0).has, 0);
}

static void test_message__limits(void **state)
{
    struct block *blocks = calloc(CONTENT_BLOCKS_MAX + 1, sizeof(*blocks));
    char *text = malloc(CONTENT_BYTES_MAX + 1);
    struct err err = ERR_INIT;
    struct content c;

    (void)state;
    assert_true(blocks && text);
    assert_int_equal(content_make(&c, blocks, CONTENT_BLOCKS_MAX, &err), E_OK);
    content_release(&c);
    assert_int_equal(content_make(&c, blocks, CONTENT_BLOCKS_MAX + 1, &err), E_REFUSED);
    assert_non_null(strstr(err.message, "256"));
    memset(text, 'x', CONTENT_BYTES_MAX + 1);
    assert_int_equal(
        content_make_text(&c, (struct safe_text){text, CONTENT_BYTES_MAX}, &err), E_OK);
    content_release(&c);
    assert_int_equal(
        content_make_text(&c, (struct safe_text){text, CONTENT_BYTES_MAX + 1}, &err), E_REFUSED);
    assert_null(c.blocks);
    free(blocks);
    free(text);
}

static void test_message__bad_bodies(void **state)
{
    static const struct {
        const char *body, *says;
    } cases[] = {
        {"", "stored message"},
        {"{", "stored message"},
        {"{}", "array"},
        {"[1]", "block 1: \"type\""},
        {"[{\"text\":\"x\"}]", "block 1: \"type\""},
        {"[{\"type\":\"song\"}]", "block 1: \"type\""},
        {"[{\"type\":\"text\",\"text\":\"x\"},{\"type\":\"text\"}]", "block 2: \"text\""},
        {"[{\"type\":\"text\",\"text\":1}]", "block 1: \"text\""},
        {"[{\"type\":\"tool_use\",\"id\":\"1\",\"name\":\"f\"}]", "block 1: \"input\""},
        {"[{\"type\":\"tool_use\",\"id\":\"1\",\"input\":{}}]", "block 1: \"name\""},
        {"[{\"type\":\"tool_result\",\"text\":\"\"}]", "block 1: \"id\""},
        {"[{\"type\":\"thinking\",\"text\":\"\",\"signature\":null}]", "block 1: \"signature\""},
        {"[{\"type\":\"other\"}]", "block 1: \"json\""},
        {"[{\"type\":\"text\",\"text\":\"\xFF\"}]", "stored message"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err err = ERR_INIT;
        struct content c;

        assert_int_equal(content_decode(&c, given(cases[i].body), &err), E_CORRUPT);
        assert_int_equal(err.code, E_CORRUPT);
        assert_non_null(strstr(err.message, cases[i].says));
        assert_null(c.blocks);
        assert_int_equal(content_decode(&c, given(cases[i].body), NULL), E_CORRUPT);
    }
}

static void test_message__decoding_tolerates_more(void **state)
{
    struct content c;

    (void)state;
    assert_int_equal(content_decode(&c, given("[ ]"), NULL), E_OK);
    assert_int_equal(c.len, 0);
    assert_int_equal(content_decode(&c, given(" [{\"new\":[1],\"text\":\"\\u00e9\\uD83C\\uDF89\","
                                              "\"type\":\"t\\u0065xt\"}]"), NULL), E_OK);
    assert_int_equal(c.len, 1);
    assert_text(c.blocks[0].text, "\xC3\xA9\xF0\x9F\x8E\x89");
    content_release(&c);
}

static void test_message__no_memory(void **state)
{
    (void)state;
    for (uint64_t n = 1;; n++) {
        struct err err = ERR_INIT;
        struct content made = CONTENT_NONE, back = CONTENT_NONE;

        mem_fail_at(n, 0);
        int rc = content_make(&made, every_kind, KINDS, &err);
        if (!rc)
            rc = content_decode(&back, given(every_kind_stored), &err);
        mem_fail_at(0, 0);
        content_release(&made);
        content_release(&back);
        if (!rc) {
            assert_true(n > 2);
            break;
        }
        assert_int_equal(rc, E_NOMEM);
        assert_int_equal(err.code, E_NOMEM);
        assert_true(n < 50);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_message__words),
        cmocka_unit_test(test_message__stored_form),
        cmocka_unit_test(test_message__tool_use_without_input_is_an_empty_object),
        cmocka_unit_test(test_message__empty_and_joined),
        cmocka_unit_test(test_message__knows_what_it_has),
        cmocka_unit_test(test_message__limits),
        cmocka_unit_test(test_message__bad_bodies),
        cmocka_unit_test(test_message__decoding_tolerates_more),
        cmocka_unit_test(test_message__no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
