// SPDX-License-Identifier: MIT
// test.c: `parley test`: the report of the policies' own tests, for people, as TAP (version 13), as
// JUnit's XML, or as JSON.
#include "cli/cli.h"

#include <inttypes.h>
#include <string.h>

enum { SCRATCH_BYTES = 1 << 20 };

// One test of the report; or, with test absent, a file that could not be loaded.
struct result {
    struct json file, test;
    unsigned number;  // from 1, over all files
};

static bool passed(const struct result *r)
{
    return json_bool(json_get(r->test, "ok"), false);
}

static struct slice error_of(const struct result *r, struct buf *scratch)
{
    return json_text(json_get(json_type(r->test) ? r->test : r->file, "error"), scratch);
}

static struct slice name_of(const struct result *r, struct buf *scratch)
{
    return json_type(r->test) ? json_text(json_get(r->test, "test"), scratch)
                              : slice_str("loads");
}

// Calls print for each test, file by file.
static void each_result(struct cli *cli, struct json files,
                        void (*print)(struct output *o, const struct result *r))
{
    struct json_iter it = {0};
    struct json key;
    struct result r = {0};

    while (json_next(files, &it, &key, &r.file)) {
        struct json_iter tests = {0};
        r.test = (struct json){0};
        if (json_type(json_get(r.file, "error")) == JSON_STRING) {
            r.number++;
            print(&cli->output, &r);
        }
        while (json_next(json_get(r.file, "tests"), &tests, &key, &r.test)) {
            r.number++;
            print(&cli->output, &r);
        }
    }
}

static void text_of(struct output *o, struct json v)
{
    struct buf scratch = BUF_INIT(SCRATCH_BYTES);

    output_text(o, json_text(v, &scratch));
    buf_release(&scratch);
}

// A text of lines, each behind `lead`.
static void print_lines(struct output *o, struct slice text, const char *lead)
{
    while (text.len) {
        const char *nl = memchr(text.ptr, '\n', text.len);
        size_t n = nl ? (size_t)(nl - text.ptr) : text.len;

        output_str(o, lead);
        output_text(o, slice_of(text.ptr, n));
        output_str(o, "\n");
        text = slice_of(text.ptr + n + (nl != NULL), text.len - n - (nl != NULL));
    }
}

// ---- for people

static void print_plain(struct output *o, const struct result *r)
{
    struct buf scratch = BUF_INIT(SCRATCH_BYTES);

    output_str(o, passed(r) ? "ok      " : "failed  ");
    text_of(o, json_get(r->file, "file"));
    output_str(o, ": ");
    output_text(o, name_of(r, &scratch));
    output_str(o, "\n");
    if (!passed(r))
        print_lines(o, error_of(r, &scratch), "        ");
    buf_release(&scratch);
}

static void print_sum(struct output *o, struct json root)
{
    outputf(o, "%" PRId64 " passed, %" PRId64 " failed\n",
            json_i64(json_get(root, "passed"), 0), json_i64(json_get(root, "failed"), 0));
}

// ---- TAP

// '#' begins a directive, '\' escapes.
static void tap_name(struct output *o, struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] == '#' || name.ptr[i] == '\\')
            output_str(o, "\\");
        output_bytes(o, name.ptr[i] == '\n' ? slice_str(" ") : slice_of(name.ptr + i, 1));
    }
}

static void print_tap(struct output *o, const struct result *r)
{
    struct buf scratch = BUF_INIT(SCRATCH_BYTES);

    outputf(o, "%sok %u - ", passed(r) ? "" : "not ", r->number);
    tap_name(o, json_text(json_get(r->file, "file"), &scratch));
    output_str(o, ": ");
    tap_name(o, name_of(r, &scratch));
    output_str(o, "\n");
    if (!passed(r))
        print_lines(o, error_of(r, &scratch), "# ");
    buf_release(&scratch);
}

// ---- JUnit

// What XML 1.0 has no place for, even escaped, becomes U+FFFD.
static void xml_text(struct output *o, struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        // U+FFFE and U+FFFF
        bool none = text.len - i >= 3 && c == 0xEF && (unsigned char)text.ptr[i + 1] == 0xBF &&
                    (unsigned char)text.ptr[i + 2] >= 0xBE;
        if (c == '&')
            output_str(o, "&amp;");
        else if (c == '<')
            output_str(o, "&lt;");
        else if (c == '>')
            output_str(o, "&gt;");
        else if (c == '"')
            output_str(o, "&quot;");
        else if (c == '\n' || c == '\t')
            outputf(o, "&#%d;", c);
        else if (c < ' ' || none)
            output_str(o, "\xEF\xBF\xBD");
        else
            output_bytes(o, slice_of(text.ptr + i, 1));
        i += none ? 2 : 0;
    }
}

static void xml_attribute(struct output *o, const char *name, struct slice value)
{
    outputf(o, " %s=\"", name);
    xml_text(o, value);
    output_str(o, "\"");
}

static void print_case(struct output *o, const struct result *r)
{
    struct buf scratch = BUF_INIT(SCRATCH_BYTES);
    struct json line = json_get(r->test, "line");

    output_str(o, "    <testcase");
    xml_attribute(o, "classname", json_text(json_get(r->file, "file"), &scratch));
    xml_attribute(o, "name", name_of(r, &scratch));
    xml_attribute(o, "file", json_text(json_get(r->file, "file"), &scratch));
    outputf(o, " line=\"%" PRId64 "\" time=\"%.6f\"", json_i64(line, 1),
            json_double(json_get(r->test, "seconds"), 0));
    if (passed(r)) {
        output_str(o, "/>\n");
    } else {
        struct slice error = error_of(r, &scratch);
        const char *nl = error.len ? memchr(error.ptr, '\n', error.len) : NULL;

        output_str(o, ">\n      <failure");
        xml_attribute(o, "message", slice_of(error.ptr, nl ? (size_t)(nl - error.ptr) : error.len));
        output_str(o, ">");
        xml_text(o, error);
        output_str(o, "</failure>\n    </testcase>\n");
    }
    buf_release(&scratch);
}

static void print_junit(struct cli *cli, struct json root)
{
    struct output *o = &cli->output;

    outputf(o, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n"
               "  <testsuite name=\"parley\" tests=\"%" PRId64 "\" failures=\"%" PRId64
               "\" errors=\"0\" skipped=\"0\">\n",
            json_i64(json_get(root, "tests"), 0), json_i64(json_get(root, "failed"), 0));
    each_result(cli, json_get(root, "files"), print_case);
    output_str(o, "  </testsuite>\n</testsuites>\n");
}

// ---- the command

static void print_report(struct cli *cli, const struct report *report)
{
    const char *format = cli->options.value[FLAG_FORMAT];
    struct json root = json_root(&report->doc), files = json_get(root, "files");
    struct output *o = &cli->output;

    if (cli->options.format == FORMAT_JSON) {
        output_line(o, report->text);
    } else if (format && strcmp(format, "tap") == 0) {
        outputf(o, "TAP version 13\n1..%" PRId64 "\n", json_i64(json_get(root, "tests"), 0));
        each_result(cli, files, print_tap);
    } else if (format && strcmp(format, "junit") == 0) {
        print_junit(cli, root);
    } else {
        each_result(cli, files, print_plain);
        print_sum(o, root);
    }
}

int command_test(struct cli *cli)
{
    struct report report;
    int code = PARLEY_OK;

    int read = cli_report_on_words(cli, parley_test, &code, &report);
    if (read < 0)
        return read;
    print_report(cli, &report);
    cli_report_free(&report);
    return code;
}
