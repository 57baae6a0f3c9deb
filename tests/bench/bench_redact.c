// SPDX-License-Identifier: MIT
// bench_redact.c: how quickly the scanner goes over text: without anything to find, with a match in
// 2 KB, and full of them; beside Hyperscan with patterns of the same kinds (redact_patterns.txt,
// which have no checksums to look at), where libhs.so.5 can be loaded. bench_redact.sh adds the
// same patterns as one regular expression of Node.js.
//
// The text is talk (LoCoMo, cases/memory beside the project; else this project's own pages) out of
// which what is found was cut.
//
//   bench_redact [quick]              ratios, one core, medians
//   bench_redact texts DIR            writes the texts: DIR/clean, DIR/typical, DIR/dense
//   bench_redact one FILE             MB/s of one of them
#include "base/err.h"
#include "base/mem.h"
#include "locomo.h"
#include "redact/classify.h"
#include "redact/prefilter.h"
#include "redact/scan.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TEXT_BYTES = 8 << 20, PIECE_BYTES = 16 << 10, ROUNDS = 15, DIGITS_MIN = 6 };
enum { TYPICAL_EVERY = 2048, DENSE_EVERY = 48 };
enum { PATTERNS_MAX = 64 };

static const char *const values[] = {
    "ann.smith@example.org", "+49 30 901820", "4012 8888 8888 1881", "192.168.17.4",
    "DE89 3704 0044 0532 0130 00", "(415) 555-0132", "AKIAIOSFODNN7EXAMPLE", "00:1A:2B:3C:4D:5E",
    "https://ann:s3cret@example.org/x", "078-05-1123", "2001:db8::ff00:42:8329",
    "16Yeky6GMjeNkAiNcBY7ZhrLoMSgg1BoyZ", "bob_jones+list@mail.example.co.uk",
};

static void die(const char *what)
{
    fprintf(stderr, "bench: %s\n", what);
    exit(1);
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

// ---- texts

static void add_talk(struct buf *out)
{
    struct locomo l = {0};

    if (locomo_load(&l)) {
        for (uint32_t c = 0; c < l.len; c++)
            for (uint32_t i = 0; i < l.convs[c].turns_len; i++) {
                buf_add_str(out, l.convs[c].turns[i].text);
                buf_add_char(out, '\n');
            }
        return;
    }
    FILE *f = popen("cat README.md CHANGELOG.md engine/README.md tests/talk/README.md", "r");
    char piece[4096];
    for (size_t n; f && (n = fread(piece, 1, sizeof(piece), f)) > 0;)
        buf_add(out, piece, n);
    if (f)
        pclose(f);
}

// Talk without what is found in it, TEXT_BYTES of it.
static struct buf make_clean(const struct redactor *r)
{
    struct buf talk = BUF_INIT(TEXT_BYTES), cut = BUF_INIT(TEXT_BYTES);
    struct buf clean = BUF_INIT(TEXT_BYTES);
    struct redact_spans found = REDACT_SPANS_INIT;
    size_t at = 0;

    add_talk(&talk);
    if (talk.len == 0 || redact_scan(r, buf_slice(&talk), &found, NULL))
        die("no text");
    for (size_t i = 0; i < found.len; i++) {
        buf_add(&cut, talk.ptr + at, found.ptr[i].start - at);
        at = found.ptr[i].end;
    }
    buf_add(&cut, talk.ptr + at, talk.len - at);
    for (size_t room; (room = TEXT_BYTES - clean.len) > 0;)
        buf_add(&clean, cut.ptr, cut.len < room ? cut.len : room);
    redact_spans_release(&found);
    buf_release(&talk);
    buf_release(&cut);
    return clean;
}

// The same with a value every so many bytes, where a word ends.
static struct buf make_with(const struct buf *clean, size_t every)
{
    struct buf out = BUF_INIT(2 * (size_t)TEXT_BYTES);
    size_t n = 0;

    for (size_t at = 0, next; at < clean->len && out.len < TEXT_BYTES; at = next) {
        next = at + every < clean->len ? at + every : clean->len;
        while (next < clean->len && clean->ptr[next] != ' ')
            next++;
        buf_add(&out, clean->ptr + at, next - at);
        buf_add_char(&out, ' ');
        buf_add_str(&out, values[n++ % (sizeof(values) / sizeof(values[0]))]);
    }
    return out;
}

// ---- ours

static size_t n_found;

static void scan_ours(void *with, struct slice text)
{
    struct redact_spans found = REDACT_SPANS_INIT;

    if (redact_scan(with, text, &found, NULL))
        die("cannot scan");
    n_found += found.len;
    redact_spans_release(&found);
}

static void tell_none(void *user, const struct place *place)
{
    *(size_t *)user += place->at + place->anchors;
}

static void scan_places(void *with, struct slice text)
{
    size_t sum = 0;

    prefilter(*(enum classify_level *)with, text, DIGITS_MIN, tell_none, &sum);
    n_found += sum & 1;
}

// ---- Hyperscan, of its interface what is needed (hs_compile.h, hs_runtime.h of 5.4)

enum { HS_FLAG_DOTALL = 2, HS_FLAG_SOM_LEFTMOST = 256, HS_MODE_BLOCK = 1 };
struct hs_error {
    char *message;
    int expression;
};
typedef int hs_event_fn(unsigned id, unsigned long long from, unsigned long long to, unsigned flags,
                        void *user);

struct hyperscan {
    int (*compile)(const char *const *, const unsigned *, const unsigned *, unsigned, unsigned,
                   const void *, void **, struct hs_error **);
    int (*alloc)(const void *, void **);
    int (*scan)(const void *, const char *, unsigned, unsigned, void *, hs_event_fn *, void *);
    void *database, *scratch;
};

static int on_event(unsigned id, unsigned long long from, unsigned long long to, unsigned flags,
                    void *user)
{
    (void)id, (void)from, (void)to, (void)flags;
    ++*(size_t *)user;
    return 0;
}

static void scan_hyperscan(void *with, struct slice text)
{
    struct hyperscan *h = with;

    if (h->scan(h->database, text.ptr, (unsigned)text.len, 0, h->scratch, on_event, &n_found))
        die("hyperscan cannot scan");
}

static unsigned read_patterns(char *lines[PATTERNS_MAX])
{
    FILE *f = fopen("tests/bench/redact_patterns.txt", "r");
    char line[1024];
    unsigned n = 0;

    while (f && n < PATTERNS_MAX && fgets(line, sizeof(line), f)) {
        line[strcspn(line, "\n")] = '\0';
        lines[n++] = strdup(line);
    }
    if (!f)
        die("run from the root of the repository");
    fclose(f);
    return n;
}

static bool load_hyperscan(struct hyperscan *h, unsigned flags)
{
    char *lines[PATTERNS_MAX] = {0};
    unsigned each[PATTERNS_MAX], ids[PATTERNS_MAX], n = read_patterns(lines);
    struct hs_error *error = NULL;
    void *library = dlopen("libhs.so.5", RTLD_NOW);

    if (!library)
        return false;
    *(void **)&h->compile = dlsym(library, "hs_compile_multi");
    *(void **)&h->alloc = dlsym(library, "hs_alloc_scratch");
    *(void **)&h->scan = dlsym(library, "hs_scan");
    for (unsigned i = 0; i < n; i++) {
        each[i] = flags;
        ids[i] = i;
    }
    if (!h->compile || !h->alloc || !h->scan)
        return false;
    if (h->compile((const char *const *)lines, each, ids, n, HS_MODE_BLOCK, NULL, &h->database,
                   &error)) {
        fprintf(stderr, "bench: hyperscan: pattern %d: %s\n", error->expression, error->message);
        exit(1);
    }
    return h->alloc(h->database, &h->scratch) == 0;
}

// ---- measuring

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// Messages: whole lines, PIECE_BYTES or so of them.
static void scan_pieces(void (*scan)(void *, struct slice), void *with, struct slice text)
{
    n_found = 0;
    for (size_t at = 0, next; at < text.len; at = next) {
        const char *end = NULL;
        if (text.len - at > PIECE_BYTES)
            end = memchr(text.ptr + at + PIECE_BYTES, '\n', text.len - at - PIECE_BYTES);
        next = end ? (size_t)(end - text.ptr) + 1 : text.len;
        scan(with, slice_of(text.ptr + at, next - at));
    }
}

static double mb_per_s(void (*scan)(void *, struct slice), void *with, struct slice text,
                       int rounds)
{
    double s[ROUNDS];

    scan_pieces(scan, with, text);
    for (int i = 0; i < rounds; i++) {
        double start = now_s();
        scan_pieces(scan, with, text);
        s[i] = now_s() - start;
    }
    qsort(s, (size_t)rounds, sizeof(*s), by_value);
    return (double)text.len / 1e6 / s[rounds / 2];
}

static void write_text(const char *dir, const char *name, struct slice text)
{
    char path[4096];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(text.ptr, 1, text.len, f) != text.len || fclose(f))
        die("cannot write a text");
}

static void print_hyperscan(struct slice text, double ours, bool typical, int rounds)
{
    static const struct {
        unsigned flags;
        const char *what;
    } modes[] = {{HS_FLAG_SOM_LEFTMOST, "with where matches begin"}, {0, "with their ends alone"}};

    for (size_t i = 0; i < 2; i++) {
        struct hyperscan h;
        if (!load_hyperscan(&h, modes[i].flags)) {
            printf("# SKIP Hyperscan: libhs.so.5 is not installed (make deps-bench)\n");
            return;
        }
        double theirs = mb_per_s(scan_hyperscan, &h, text, rounds);
        printf("#   Hyperscan %s: %.0f MB/s, %zu reports; ratio %.1f%s\n", modes[i].what, theirs,
               n_found, ours / theirs, typical && i == 0 ? " (to reach: 1.5)" : "");
    }
}

static int measure_one(const char *path, struct redactor *r)
{
    struct buf text = BUF_INIT(2 * (size_t)TEXT_BYTES);
    FILE *f = fopen(path, "rb");
    char piece[4096];

    if (!f)
        die("cannot read a text");
    for (size_t n; (n = fread(piece, 1, sizeof(piece), f)) > 0;)
        buf_add(&text, piece, n);
    fclose(f);
    printf("%.1f\n", mb_per_s(scan_ours, r, buf_slice(&text), ROUNDS));
    buf_release(&text);
    redactor_free(r);
    return 0;
}

int main(int argc, char **argv)
{
    struct redact_rules rules = {.kinds = REDACT_KINDS_ALL, .region = "US"};
    int rounds = argc > 1 && strcmp(argv[1], "quick") == 0 ? 3 : ROUNDS;
    static const char *const names[] = {"clean", "typical", "dense"};
    struct redactor *r;

    if (redactor_new(&r, &rules, NULL))
        die("no redactor");
    if (argc > 2 && strcmp(argv[1], "one") == 0)
        return measure_one(argv[2], r);
    struct buf texts[3];
    texts[0] = make_clean(r);
    texts[1] = make_with(&texts[0], TYPICAL_EVERY);
    texts[2] = make_with(&texts[0], DENSE_EVERY);
    for (int t = 0; t < 3; t++) {
        struct slice text = buf_slice(&texts[t]);
        enum classify_level level = classify_best();
        if (argc > 2) {
            write_text(argv[2], names[t], text);
            continue;
        }
        double ours = mb_per_s(scan_ours, r, text, rounds);
        printf("# %s: parley %.0f MB/s, %zu spans in %.1f MB; ", names[t], ours, n_found,
               (double)text.len / 1e6);
        printf("its prefilter alone %.0f\n", mb_per_s(scan_places, &level, text, rounds));
        print_hyperscan(text, ours, t == 1, rounds);
    }
    for (int t = 0; t < 3; t++)
        buf_release(&texts[t]);
    redactor_free(r);
    return 0;
}
