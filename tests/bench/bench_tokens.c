// SPDX-License-Identifier: MIT
// bench_tokens.c: how quickly tokens are counted. With no file, of this project's own texts; beside
// other encoders it is run by bench_tokens.sh, which reads the last line of `one`.
//
//   bench_tokens [quick]
//   bench_tokens one ENCODING FILE     first pass of this process, then warm: MB/s of each
//   bench_tokens once ENCODING FILE    encodes once, for counting instructions
#include "tokens/encoding.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BYTES_MAX = 8 << 20, WARM_ROUNDS = 15 };

// The processor's time, so that what else the machine does counts less.
static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what)
{
    fprintf(stderr, "bench: %s\n", what);
    exit(1);
}

static struct slice read_from(FILE *f)
{
    char *bytes = malloc(BYTES_MAX);

    if (!f || !bytes)
        die("cannot read a text");
    return slice_of(bytes, fread(bytes, 1, BYTES_MAX, f));
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// Seconds of one pass; ids too, or only their number.
static double pass(const struct encoding *e, struct slice text, bool with_ids)
{
    struct token_ids ids = TOKEN_IDS_INIT;
    uint32_t n;
    double start = now_s();
    int rc = with_ids ? encoding_encode(e, text, 0, &ids, NULL)
                      : encoding_count(e, text, 0, &n, NULL);
    double s = now_s() - start;

    if (rc)
        die("cannot encode");
    token_ids_release(&ids);
    return s;
}

static double warm(const struct encoding *e, struct slice text, bool with_ids)
{
    double s[WARM_ROUNDS];

    for (int i = 0; i < WARM_ROUNDS; i++)
        s[i] = pass(e, text, with_ids);
    qsort(s, WARM_ROUNDS, sizeof(*s), by_value);
    return s[WARM_ROUNDS / 2];
}

static void own_texts(void)
{
    static const char *const texts[][2] = {
        {"English", "cat README.md CHANGELOG.md engine/README.md tests/talk/README.md"},
        {"code", "cat engine/*/*.c"},
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        FILE *f = popen(texts[i][1], "r");
        struct slice text = read_from(f);

        pclose(f);
        for (size_t e = 0; encoding_at(e); e++) {
            double mb = (double)text.len / 1e6;
            printf("# %s, %.2f MB, %s: %.0f MB/s with ids, %.0f MB/s counted\n", texts[i][0], mb,
                   encoding_name(encoding_at(e)), mb / warm(encoding_at(e), text, true),
                   mb / warm(encoding_at(e), text, false));
        }
        free((void *)(uintptr_t)text.ptr);
    }
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        own_texts();
        return 0;
    }
    const struct encoding *e = encoding_find(slice_str(argv[2]));
    FILE *f = fopen(argv[3], "rb");
    struct slice text = read_from(f);
    double mb = (double)text.len / 1e6;

    if (!e)
        die("no such encoding");
    fclose(f);
    double first = pass(e, text, true);
    if (strcmp(argv[1], "once") != 0)
        printf("first %.3f warm %.3f counted %.3f\n", mb / first, mb / warm(e, text, true),
               mb / warm(e, text, false));
    free((void *)(uintptr_t)text.ptr);
    return 0;
}
