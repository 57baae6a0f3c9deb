// SPDX-License-Identifier: MIT
// Odd bytes through the doors: invalid UTF-8, NUL, every case of JSONTestSuite, deep nesting,
// naughty strings, random damage. Each is refused at once, or said, answered, stored and shown byte
// for byte.
#include "fault/sim.h"
#include "support/base64.h"
#include "support/shared.h"

struct figures {
    uint64_t tried, kept, refused, altered, wrongly_refused, wrongly_kept;
    bool mend;  // control: a door that means well replaces what it does not like
    int details;
};

static void bad(struct figures *f, uint64_t *count, const char *why, struct slice bytes)
{
    ++*count;
    if (f->details++ < 5)
        fprintf(stderr, "%s: %zu bytes: %.*s\n", why, bytes.len,
                bytes.len < 60 ? (int)bytes.len : 60, bytes.ptr ? bytes.ptr : "");
}

// Bytes of the character at p, 0 if there is none (RFC 3629, by its table of ranges).
static size_t character(const unsigned char *p, size_t left)
{
    static const struct {
        unsigned char first_min, first_max, second_min, second_max;
        size_t len;
    } rows[] = {
        {0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (p[0] < rows[i].first_min || p[0] > rows[i].first_max)
            continue;
        bool fits = left >= rows[i].len;
        if (fits && rows[i].len > 1)
            fits = p[1] >= rows[i].second_min && p[1] <= rows[i].second_max;
        for (size_t k = 2; fits && k < rows[i].len; k++)
            fits = p[k] >> 6 == 2;
        return fits ? rows[i].len : 0;
    }
    return 0;
}

static bool is_text(struct slice s)
{
    size_t n = 0;
    for (size_t at = 0; at < s.len; at += n) {
        n = character((const unsigned char *)s.ptr + at, s.len - at);
        if (n == 0 || s.ptr[at] == '\0')
            return false;
    }
    return true;
}

// Nothing but white space, as Unicode has it.
static bool is_blank_text(struct slice s)
{
    static const char *const blanks[] = {" ",
                                         "\t",
                                         "\n",
                                         "\v",
                                         "\f",
                                         "\r",
                                         "\xc2\x85",
                                         "\xc2\xa0",
                                         "\xe1\x9a\x80",
                                         "\xe2\x80\xa8",
                                         "\xe2\x80\xa9",
                                         "\xe2\x80\xaf",
                                         "\xe2\x81\x9f",
                                         "\xe3\x80\x80"};
    while (s.len) {
        size_t i = 0, n = sizeof(blanks) / sizeof(blanks[0]), len = 0;
        while (i < n && !slice_starts(s, slice_str(blanks[i])))
            i++;
        if (i < n)
            len = strlen(blanks[i]);
        else if (s.len >= 3 && memcmp(s.ptr, "\xe2\x80", 2) == 0 && (unsigned char)s.ptr[2] <= 0x8a)
            len = 3;  // U+2000 to U+200A
        if (len == 0)
            return false;
        s = slice_of(s.ptr + len, s.len - len);
    }
    return true;
}

// ---- as a message

static void check_shown(struct figures *f, struct sim *s, struct slice text, const char *session,
                        struct slice reply)
{
    struct json_doc doc = JSON_DOC_INIT;
    struct buf said = BUF_INIT(1 << 22), answered = BUF_INIT(1 << 22);
    parley_event *event = ask_show(s->engine, "ann", session);
    if (event->type == PARLEY_EVENT_RESULT &&
        json_parse(&doc, slice_str(event->json), 0, NULL) == E_OK) {
        struct json steps = json_get(json_at(json_get(json_root(&doc), "turns"), 0), "steps");
        step_text(json_at(steps, 0), &said);
        step_text(json_at(steps, 1), &answered);
    }
    if (!slice_eq(buf_slice(&said), text) || !slice_eq(buf_slice(&answered), text) ||
        !slice_eq(reply, text))
        bad(f, &f->altered, "altered", text);
    buf_release(&said);
    buf_release(&answered);
    json_doc_release(&doc);
    parley_event_free(event);
}

// Says `bytes` to a provider that says the same back.
static void say(struct figures *f, struct sim *s, struct slice bytes)
{
    struct buf sent = BUF_INIT(1 << 22), reply = BUF_INIT(1 << 22);
    struct json_doc doc = JSON_DOC_INIT;
    parley_message m = PARLEY_MESSAGE_INIT;
    parley_error error = PARLEY_ERROR_INIT;
    buf_add_slice(&sent, bytes);
    for (size_t i = 0, n; f->mend && i < sent.len; i += n ? n : 1) {
        n = character((unsigned char *)sent.ptr + i, sent.len - i);
        if (n == 0 || sent.ptr[i] == '\0')
            sent.ptr[i] = '?';
    }
    f->tried++;
    m.user = "ann";
    m.text = sent.len ? sent.ptr : "";
    m.text_bytes = sent.len;
    if (parley_send(s->engine, &m, NULL, &error) < 0) {
        f->refused++;
        if (is_text(bytes) || error.code != PARLEY_E_USAGE)
            bad(f, &f->wrongly_refused, error.message, bytes);
    } else {
        parley_event *event = wait_end(s->engine, NULL);
        bool done = event->type == PARLEY_EVENT_DONE && event->code == 0;
        if (done && json_parse(&doc, slice_str(event->json), 0, NULL) == E_OK) {
            json_string(json_get(json_root(&doc), "reply"), &reply);
            f->kept++;
            if (!is_text(bytes) && !f->mend)
                bad(f, &f->wrongly_kept, "kept", bytes);
            check_shown(f, s, bytes, event->session, buf_slice(&reply));
        } else {
            f->refused++;
            // Only what says nothing is refused so late.
            if (event->type != PARLEY_EVENT_ERROR || event->code != PARLEY_E_USAGE ||
                !is_blank_text(buf_slice(&sent)))
                bad(f, &f->wrongly_refused, event->text, bytes);
        }
        parley_event_free(event);
    }
    json_doc_release(&doc);
    buf_release(&sent);
    buf_release(&reply);
}

// ---- as JSON in a recorded conversation

static struct slice trim(struct slice s)
{
    while (s.len && strchr(" \t\r\n", s.ptr[0]) && s.ptr[0])
        s = slice_of(s.ptr + 1, s.len - 1);
    while (s.len && strchr(" \t\r\n", s.ptr[s.len - 1]) && s.ptr[s.len - 1])
        s.len--;
    return s;
}

static bool shown_as(struct sim *s, const char *session, struct slice value)
{
    struct json_doc doc = JSON_DOC_INIT;
    bool same = false;
    parley_event *event = ask_show(s->engine, "ann", session);
    if (event->type == PARLEY_EVENT_RESULT &&
        json_parse(&doc, slice_str(event->json), JSON_DEPTH_MAX + 64, NULL) == E_OK) {
        struct json steps = json_get(json_at(json_get(json_root(&doc), "turns"), 0), "steps");
        struct json user = json_at(json_get(json_at(steps, 0), "content"), 1);
        struct json tool = json_at(json_get(json_at(steps, 1), "content"), 0);
        same = slice_eq(json_raw(json_get(json_get(user, "json"), "v")), value) &&
               slice_eq(json_raw(json_get(tool, "input")), value);
    }
    json_doc_release(&doc);
    parley_event_free(event);
    return same;
}

// verdict: 'y' must be kept, 'n' must not, 'i' either.
static void import(struct figures *f, struct sim *s, char verdict, struct slice value)
{
    struct buf line = BUF_INIT(1 << 22);
    parley_error error = PARLEY_ERROR_INIT;
    bool kept = false;
    buf_add_str(&line, "{\"user\":\"ann\",\"messages\":[{\"role\":\"user\",\"content\":["
                       "{\"type\":\"text\",\"text\":\"Look.\"},{\"type\":\"odd\",\"v\":");
    buf_add_slice(&line, value);
    buf_add_str(&line,
                "}]},{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":\"a\","
                "\"name\":\"b\",\"input\":");
    buf_add_slice(&line, value);
    buf_add_str(&line, "}]}]}");
    f->tried++;
    if (parley_import(s->engine, line.ptr, line.len, NULL, &error) == 0) {
        struct json_doc doc = JSON_DOC_INIT;
        char session[40];
        parley_event *event = wait_end(s->engine, NULL);
        kept = event->type == PARLEY_EVENT_RESULT;
        if (kept && json_parse(&doc, slice_str(event->json), 0, NULL) == E_OK) {
            copy_json_word(session, sizeof(session), json_get(json_root(&doc), "session"));
            if (!shown_as(s, session, trim(value)))
                bad(f, &f->altered, "altered", value);
        }
        if (!kept)
            snprintf(error.message, sizeof(error.message), "%.500s", event->text);
        json_doc_release(&doc);
        parley_event_free(event);
    }
    f->kept += kept;
    f->refused += !kept;
    if (kept && verdict == 'n')
        bad(f, &f->wrongly_kept, "kept", value);
    if (!kept && verdict == 'y')
        bad(f, &f->wrongly_refused, error.message, value);
    buf_release(&line);
}

// The bytes alone where a conversation is expected.
static void import_alone(struct figures *f, struct sim *s, struct slice bytes)
{
    parley_error error = PARLEY_ERROR_INIT;
    int code = parley_import(s->engine, bytes.ptr ? bytes.ptr : "", bytes.len, NULL, &error);
    f->tried++;
    if (code == 0) {
        parley_event *event = wait_end(s->engine, NULL);
        code = event->type == PARLEY_EVENT_ERROR ? event->code : 0;
        parley_event_free(event);
    }
    f->refused += code != 0;
    if (code != PARLEY_E_USAGE)
        bad(f, &f->wrongly_kept, "no conversation, and not told so", bytes);
}

// ---- where the bytes come from

static void open_echo(struct sim *s)
{
    static const struct wire_sim_ops no_wire = {0};
    static char script[NAME_BYTES + 64];
    const char *settings[] = {script, NULL};
    struct place echo;
    char path[NAME_BYTES];
    place_make_light(&echo);
    place_write(&echo, "echo.lua", "return function(r) return r.messages[#r.messages].text end\n");
    snprintf(script, sizeof(script), "providers.scripted.script=%s",
             place_path(&echo, "echo.lua", path));
    sim_open(s, &no_wire, 1, settings);
    struct figures f = {0};
    say(&f, s, SLICE_LIT("The script is read with the first call."));
    assert_int_equal(f.kept, 1);
    assert_int_equal(f.altered, 0);
    place_remove(&echo);
}

static void tell(const char *what, const struct figures *f, uint64_t seed)
{
    summary("%s: %llu tried, %llu kept, %llu refused; altered %llu, wrongly kept %llu, wrongly "
            "refused %llu (seed %llu)",
            what, (unsigned long long)f->tried, (unsigned long long)f->kept,
            (unsigned long long)f->refused, (unsigned long long)f->altered,
            (unsigned long long)f->wrongly_kept, (unsigned long long)f->wrongly_refused,
            (unsigned long long)seed);
}

static void is_clean(const struct figures *f)
{
    assert_true(f->kept > 0 && f->refused > 0);
    assert_int_equal(f->altered + f->wrongly_kept + f->wrongly_refused, 0);
}

static void each_json_case(struct figures *f, struct sim *s, const char *lines)
{
    struct json_doc line = JSON_DOC_INIT;
    struct buf scratch = BUF_INIT(1 << 20);
    const char *end;
    for (const char *at = lines; (end = strchr(at, '\n')) != NULL; at = end + 1) {
        char name[8] = "";
        size_t len;
        if (json_parse(&line, slice_of(at, (size_t)(end - at)), 0, NULL))
            give_up("a case cannot be read");
        copy_json_word(name, sizeof(name), json_get(json_root(&line), "name"));
        char *bytes = base64_decode(json_text(json_get(json_root(&line), "b64"), &scratch), &len);
        import(f, s, name[0], slice_of(bytes, len));
        import_alone(f, s, slice_of(bytes, len));
        say(f, s, slice_of(bytes, len));
        free(bytes);
    }
    json_doc_release(&line);
    buf_release(&scratch);
}

static void test_bytes__json_suite(void **state)
{
    (void)state;
    struct figures f = {0};
    struct sim s = {0};
    size_t len;
    char *lines = shared_read("json/jsontestsuite.jsonl.gz", &len);
    if (!lines)
        skip();
    open_echo(&s);
    each_json_case(&f, &s, lines);
    sim_close(&s);
    free(lines);
    tell("JSONTestSuite as conversations and as messages", &f, 0);
    is_clean(&f);
}

static void test_bytes__naughty_strings(void **state)
{
    (void)state;
    struct figures f = {0};
    struct sim s = {0};
    struct json_doc doc = JSON_DOC_INIT;
    struct buf scratch = BUF_INIT(1 << 20);
    struct json_iter it = {0};
    struct json item;
    size_t len;
    char *text = shared_read("text/blns.json", &len);
    if (!text)
        skip();
    assert_int_equal(json_parse(&doc, slice_of(text, len), 0, NULL), E_OK);
    open_echo(&s);
    while (json_next(json_root(&doc), &it, NULL, &item))
        say(&f, &s, json_text(item, &scratch));
    sim_close(&s);
    buf_release(&scratch);
    json_doc_release(&doc);
    free(text);
    tell("naughty strings as messages", &f, 0);
    is_clean(&f);
}

// Arrays in arrays: kept to a depth, refused beyond it, and never followed to the stack's end.
static void test_bytes__deep_json(void **state)
{
    (void)state;
    static const size_t depths[] = {1, 50, 200, 500, 513, 1000, 100000};
    struct figures f = {0};
    struct sim s = {0};
    struct buf value = BUF_INIT(1 << 20);
    open_echo(&s);
    for (size_t i = 0; i < sizeof(depths) / sizeof(depths[0]); i++) {
        buf_clear(&value);
        for (size_t k = 0; k < depths[i]; k++)
            buf_add_char(&value, '[');
        for (size_t k = 0; k < depths[i]; k++)
            buf_add_char(&value, ']');
        import(&f, &s, depths[i] <= 200 ? 'y' : depths[i] > 512 ? 'n' : 'i', buf_slice(&value));
    }
    sim_close(&s);
    buf_release(&value);
    tell("deep JSON", &f, 0);
    is_clean(&f);
}

// Text with a few bytes damaged: some is still text.
static void damage(const struct rand *r, struct buf *out)
{
    static const char *const parts[] = {"a",
                                        "\xc3\xa9",
                                        "\xe6\x9c\x88",
                                        "\xf0\x9f\x8c\x95",
                                        "\n",
                                        "\"",
                                        "\\u0000",
                                        "[EMAIL_1]",
                                        "\x7f",
                                        "\xef\xbf\xbf",
                                        "\xe2\x80\xae",
                                        " ",
                                        "data: [DONE]\n\n",
                                        "</s>",
                                        "%n",
                                        "#7"};
    static const unsigned char odd[] = {0x00, 0x80, 0xc0, 0xc1, 0xed, 0xa0, 0xf4, 0x90, 0xf5, 0xff};
    buf_clear(out);
    for (uint64_t n = 1 + rand_below(r, 20); n; n--)
        buf_add_str(out, parts[rand_below(r, sizeof(parts) / sizeof(parts[0]))]);
    for (uint64_t n = rand_below(r, 4); n > 1; n--)
        out->ptr[rand_below(r, out->len)] = (char)odd[rand_below(r, sizeof(odd))];
}

static void damaged_texts(struct figures *f, uint64_t seed, uint64_t n)
{
    struct sim s = {0};
    struct rand_sim r;
    struct buf text = BUF_INIT(1 << 16);
    rand_sim_init(&r, seed);
    while (n) {
        open_echo(&s);  // anew at times: a store in memory grows
        for (unsigned i = 0; n && i < 5000; i++, n--) {
            damage(&r.rand, &text);
            say(f, &s, buf_slice(&text));
        }
        sim_close(&s);
    }
    buf_release(&text);
}

static void test_bytes__damaged_text(void **state)
{
    (void)state;
    struct figures f = {0};
    uint64_t seed = fault_seed();
    damaged_texts(&f, seed, fault_long() ? 1000000 : 4000);
    tell("text with damaged bytes", &f, seed);
    is_clean(&f);
}

static void test_bytes__control_that_mends(void **state)
{
    (void)state;
    struct figures f = {.mend = true, .details = 5};
    damaged_texts(&f, 1, 500);
    tell("control, a door that replaces what it does not like", &f, 1);
    assert_true(f.altered > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes__json_suite),
        cmocka_unit_test(test_bytes__naughty_strings),
        cmocka_unit_test(test_bytes__deep_json),
        cmocka_unit_test(test_bytes__damaged_text),
        cmocka_unit_test(test_bytes__control_that_mends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
