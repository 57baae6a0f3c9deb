// SPDX-License-Identifier: MIT
// The event stream parser: what the standard says, wherever the stream is cut.
#include "base/json.h"
#include "base/mem.h"
#include "net/sse.h"
#include "support/base64.h"
#include "support/shared.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

// A text form of what came: "type|id|data\n" per event, with lengths, so that nothing is ambiguous.
struct heard {
    struct buf text;
    unsigned events, stop_at;  // stop_at 0: never
};

static bool hear(void *user, const struct sse_event *event)
{
    struct heard *heard = user;
    buf_addf(&heard->text, "%zu:%.*s|%zu:%.*s|%zu:", event->type.len, SLICE_FMT(event->type),
             event->id.len, SLICE_FMT(event->id), event->data.len);
    buf_add_slice(&heard->text, event->data);
    buf_add_char(&heard->text, '\n');
    return ++heard->events != heard->stop_at;
}

static void expect(struct buf *text, const char *type, const char *id, struct slice data)
{
    buf_addf(text, "%zu:%s|%zu:%s|%zu:", strlen(type), type, strlen(id), id, data.len);
    buf_add_slice(text, data);
    buf_add_char(text, '\n');
}

enum { TEXT_MAX = 16 << 20 };

// Feeds in pieces of `step` bytes, the first of `first`; returns what came, the caller's.
static struct buf parse(struct slice bytes, size_t first, size_t step, struct sse *end_state)
{
    struct heard heard = {.text = BUF_INIT(TEXT_MAX)};
    struct sse s;
    sse_init(&s, hear, &heard);
    for (size_t at = 0; at < bytes.len;) {
        size_t n = at == 0 ? first : step;
        if (n > bytes.len - at)
            n = bytes.len - at;
        // A copy of its own, so that reading past a piece is seen.
        char *piece = mem_slicedup(slice_of(bytes.ptr + at, n));
        assert_int_equal(sse_feed(&s, slice_of(piece, n), NULL), E_OK);
        mem_free(piece);
        at += n;
    }
    if (end_state)
        *end_state = (struct sse){.retry_ms = s.retry_ms, .comments = s.comments};
    bool unfinished = sse_end(&s);
    if (end_state)
        end_state->has_data = unfinished;
    sse_release(&s);
    return heard.text;
}

static void assert_same(const struct buf *got, const struct buf *want, const char *name)
{
    if (!slice_eq(buf_slice(got), buf_slice(want)))
        fail_msg("%s: got <%.*s>, want <%.*s>", name, SLICE_FMT(buf_slice(got)),
                 SLICE_FMT(buf_slice(want)));
}

// Whole, byte by byte, and cut in two at every byte.
static void check_cuts(const char *name, struct slice bytes, const struct buf *want)
{
    struct buf got = parse(bytes, bytes.len, bytes.len, NULL);
    assert_same(&got, want, name);
    buf_release(&got);
    got = parse(bytes, 1, 1, NULL);
    assert_same(&got, want, name);
    buf_release(&got);
    for (size_t cut = 1; cut < bytes.len; cut++) {
        got = parse(bytes, cut, bytes.len, NULL);
        assert_same(&got, want, name);
        buf_release(&got);
    }
}

struct own_case {
    const char *name;
    struct slice bytes;
    struct { const char *type, *id, *data; } events[4];
};

static const struct own_case OWN[] = {
    {"nothing", {"", 0}, {{0}}},
    {"lf", {"data: a\ndata: b\n\n", 17}, {{"message", "", "a\nb"}}},
    {"cr", {"data: a\rdata: b\r\r", 17}, {{"message", "", "a\nb"}}},
    {"crlf", {"data: a\r\ndata: b\r\n\r\n", 20}, {{"message", "", "a\nb"}}},
    {"mixed ends", {"data:1\r\n\rdata:2\n\r\ndata:3\r\r\n", 27},
     {{"message", "", "1"}, {"message", "", "2"}, {"message", "", "3"}}},
    {"unfinished", {"data: a\n\ndata: b\n", 17}, {{"message", "", "a"}}},
    {"bom", {"\xEF\xBB\xBF" "data:a\n\n", 11}, {{"message", "", "a"}}},
    {"two boms", {"\xEF\xBB\xBF\xEF\xBB\xBF" "data:a\n\ndata:b\n\n", 22}, {{"message", "", "b"}}},
    {"bom begun, line end", {"\xEF\xBB\ndata:a\n\n", 11}, {{"message", "", "a"}}},
    {"bom begun, not ended", {"\xEF\xBB" "data:a\n\ndata:b\n\n", 18}, {{"message", "", "b"}}},
    {"one space only", {"data:  a\n\n", 10}, {{"message", "", " a"}}},
    {"field without colon", {"data\n\n", 6}, {{"message", "", ""}}},
    {"space in a name", {"data : a\n\n data: a\n\n", 20}, {{0}}},
    {"case matters", {"Data: a\n\n", 9}, {{0}}},
    {"type is reset", {"event: x\ndata: 1\n\ndata: 2\n\n", 27},
     {{"x", "", "1"}, {"message", "", "2"}}},
    {"type without data is dropped", {"event: x\n\ndata: 1\n\n", 19}, {{"message", "", "1"}}},
    {"last type wins", {"event: x\nevent: y\ndata: 1\n\n", 27}, {{"y", "", "1"}}},
    {"id stays", {"id: 7\n\ndata: 1\n\ndata: 2\n\nid\ndata: 3\n\n", 37},
     {{"message", "7", "1"}, {"message", "7", "2"}, {"message", "", "3"}}},
    {"id with nul is ignored", {"id: 7\nid: 8\0\ndata: 1\n\n", 22}, {{"message", "7", "1"}}},
    {"not utf-8 stays as it is", {"data: \xFF\xFE\n\n", 10}, {{"message", "", "\xFF\xFE"}}},
    {"comments", {": x\n:\n::data\ndata: 1\n:data: 2\n\n", 31}, {{"message", "", "1"}}},
};

static void test_sse__own_vectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(OWN) / sizeof(OWN[0]); i++) {
        const struct own_case *c = &OWN[i];
        struct buf want = BUF_INIT(TEXT_MAX);
        for (size_t e = 0; e < 4 && c->events[e].type; e++)
            expect(&want, c->events[e].type, c->events[e].id, slice_str(c->events[e].data));
        check_cuts(c->name, c->bytes, &want);
        buf_release(&want);
    }
}

static void test_sse__retry_field(void **state)
{
    (void)state;
    static const struct { const char *text; int64_t ms; } CASES[] = {
        {"data: 1\n\n", -1},         {"retry: 50\n", 50},    {"retry:50\nretry: 5x\n", 50},
        {"retry: -5\n", -1},         {"retry:\n", -1},       {"retry\n", -1},
        {"retry: 5 \n", -1},         {"retry: 007\n", 7},    {"retry: 5", -1},
        {"retry: 9223372036854775807\n", INT64_MAX},
        {"retry: 99999999999999999999999999\n", INT64_MAX},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct sse end;
        struct buf got = parse(slice_str(CASES[i].text), 3, 2, &end);
        assert_int_equal(end.retry_ms, CASES[i].ms);
        buf_release(&got);
    }
}

static void test_sse__comments_are_counted(void **state)
{
    (void)state;
    struct sse end;
    struct buf got = parse(slice_str(": ping\n\n:\r\n: x\r:y"), 1, 1, &end);
    assert_int_equal(end.comments, 3);
    assert_false(end.has_data);  // a comment that was cut is no event
    buf_release(&got);
}

static void test_sse__end_tells_of_an_unfinished_event(void **state)
{
    (void)state;
    static const struct { const char *text; bool unfinished; } CASES[] = {
        {"", false},           {"data: 1\n\n", false}, {"data: 1\n", true}, {"data: 1", true},
        {"data: 1\r\r", false}, {"event: x\n", true},   {"d", true},         {"id: 1\n", false},
        {"data: 1\r\n\r", false},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct sse end;
        struct buf got = parse(slice_str(CASES[i].text), 1, 1, &end);
        if (end.has_data != CASES[i].unfinished)
            fail_msg("<%s>: unfinished %d", CASES[i].text, end.has_data);
        buf_release(&got);
    }
}

static void test_sse__a_reader_stops_it(void **state)
{
    (void)state;
    struct heard heard = {.text = BUF_INIT(TEXT_MAX), .stop_at = 2};
    struct sse s;
    struct err err = ERR_INIT;
    sse_init(&s, hear, &heard);
    assert_int_equal(sse_feed(&s, SLICE_LIT("data:1\n\ndata:2\n\ndata:3\n\n"), &err), E_CANCELLED);
    assert_int_equal(heard.events, 2);
    assert_int_equal(sse_feed(&s, SLICE_LIT("data:4\n\n"), &err), E_CANCELLED);
    assert_int_equal(heard.events, 2);
    sse_release(&s);
    buf_release(&heard.text);
}

struct size_seen { unsigned events; size_t len; };

static bool see_size(void *user, const struct sse_event *event)
{
    struct size_seen *seen = user;
    seen->events++;
    seen->len = event->data.len;
    return true;
}

// One data line of `bytes` bytes in all, name included, cut in pieces of `step`.
static int feed_line(const char *name, size_t bytes, size_t step, struct size_seen *seen)
{
    struct buf text = BUF_INIT(TEXT_MAX);
    struct sse s;
    int rc = E_OK;

    buf_add_str(&text, name);
    memset(buf_reserve(&text, bytes), 'x', bytes);
    buf_grew(&text, bytes - strlen(name));
    buf_add_str(&text, "\n\n");
    sse_init(&s, see_size, seen);
    for (size_t at = 0; at < text.len && !rc; at += step)
        rc = sse_feed(&s, slice_of(text.ptr + at, text.len - at < step ? text.len - at : step),
                      NULL);
    sse_release(&s);
    buf_release(&text);
    return rc;
}

static void test_sse__sizes_are_limited(void **state)
{
    (void)state;
    static const size_t STEPS[] = {TEXT_MAX, 65536, 4099};

    for (size_t i = 0; i < sizeof(STEPS) / sizeof(STEPS[0]); i++) {
        struct size_seen seen = {0};
        assert_int_equal(feed_line("data:", SSE_EVENT_BYTES_MAX, STEPS[i], &seen), E_OK);
        assert_int_equal(seen.events, 1);
        assert_int_equal(seen.len, SSE_EVENT_BYTES_MAX - 5);
        assert_int_equal(feed_line("data:", SSE_EVENT_BYTES_MAX + 1, STEPS[i], &seen), E_REFUSED);
        assert_int_equal(feed_line(":", SSE_EVENT_BYTES_MAX + 1, STEPS[i], &seen), E_REFUSED);
        assert_int_equal(seen.events, 1);
    }
}

static void test_sse__many_lines_are_limited_together(void **state)
{
    (void)state;
    struct size_seen seen = {0};
    struct sse s;
    char line[8192 + 6];
    int rc = E_OK;
    unsigned fed = 0;

    memset(line, 'x', sizeof(line));
    memcpy(line, "data:", 5);
    line[sizeof(line) - 1] = '\n';
    sse_init(&s, see_size, &seen);
    for (; fed < 1000 && !rc; fed++)
        rc = sse_feed(&s, slice_of(line, sizeof(line)), NULL);
    assert_int_equal(rc, E_REFUSED);
    assert_int_equal(fed, SSE_EVENT_BYTES_MAX / 8192);  // the joining "\n" takes one byte each
    assert_int_equal(sse_feed(&s, SLICE_LIT("\n"), NULL), E_CANCELLED);
    assert_int_equal(seen.events, 0);
    sse_release(&s);
}

static void test_sse__out_of_memory(void **state)
{
    (void)state;
    static const char TEXT[] = "event: a type\nid: an id\ndata: one\ndata: two\n\ndata: three\n\n";
    bool whole = false;

    for (uint64_t n = 1; n < 50 && !whole; n++) {
        struct size_seen seen = {0};
        struct sse s;
        int rc = E_OK;
        sse_init(&s, see_size, &seen);
        mem_fail_at(n, 1);
        for (size_t at = 0; TEXT[at] && !rc; at += 1)
            rc = sse_feed(&s, slice_of(TEXT + at, 1), NULL);
        mem_fail_at(0, 0);
        whole = rc == E_OK;
        if (whole)
            assert_int_equal(seen.events, 2);
        else
            assert_int_equal(rc, E_NOMEM);
        sse_release(&s);
    }
    assert_true(whole);
}

static void check_vector(struct json vector)
{
    struct buf want = BUF_INIT(TEXT_MAX), field = BUF_INIT(TEXT_MAX);
    struct buf name = BUF_INIT(TEXT_MAX), id = BUF_INIT(TEXT_MAX), data = BUF_INIT(TEXT_MAX);
    struct json event;
    struct json_iter it = {0};
    size_t raw_len;

    json_string(json_get(vector, "name"), &name);
    char *raw = base64_decode(json_text(json_get(vector, "b64"), &field), &raw_len);
    assert_non_null(raw);
    struct slice bytes = slice_of(raw, raw_len);
    while (json_next(json_get(vector, "spec_events"), &it, NULL, &event)) {
        buf_clear(&field), buf_clear(&id), buf_clear(&data);
        json_string(json_get(event, "event"), &field);
        json_string(json_get(event, "lastEventId"), &id);
        json_string(json_get(event, "data"), &data);
        expect(&want, field.ptr, id.ptr ? id.ptr : "", buf_slice(&data));
    }
    if (bytes.len < 8192) {
        check_cuts(name.ptr, bytes, &want);
    } else {  // cut at every byte is quadratic: the long ones in pieces of many sizes
        for (size_t step = 1; step < 64; step++) {
            struct buf got = parse(bytes, step, step, NULL);
            assert_same(&got, &want, name.ptr);
            buf_release(&got);
        }
    }
    free(raw);
    buf_release(&want), buf_release(&field);
    buf_release(&name), buf_release(&id), buf_release(&data);
}

static void test_sse__shared_vectors(void **state)
{
    (void)state;
    size_t len = 0;
    char *text = shared_read("streams/sse_vectors.json", &len);
    struct json_doc doc = JSON_DOC_INIT;
    struct json_iter it = {0};
    struct json vector;
    unsigned seen = 0;

    if (!text)
        skip();
    assert_int_equal(json_parse(&doc, slice_of(text, len), 0, NULL), E_OK);
    while (json_next(json_root(&doc), &it, NULL, &vector)) {
        check_vector(vector);
        seen++;
    }
    assert_true(seen > 0);
    json_doc_release(&doc);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sse__own_vectors),
        cmocka_unit_test(test_sse__retry_field),
        cmocka_unit_test(test_sse__comments_are_counted),
        cmocka_unit_test(test_sse__end_tells_of_an_unfinished_event),
        cmocka_unit_test(test_sse__a_reader_stops_it),
        cmocka_unit_test(test_sse__sizes_are_limited),
        cmocka_unit_test(test_sse__many_lines_are_limited_together),
        cmocka_unit_test(test_sse__out_of_memory),
        cmocka_unit_test(test_sse__shared_vectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
