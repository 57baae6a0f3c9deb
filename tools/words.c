// SPDX-License-Identifier: MIT
// words.c: a build tool. Makes the table of engine/memory/gate_words.h out of a list of words.
//
//   words scripts/words/gate.txt > gate_words.c
//
// A line: "kind language: word two_words stem*". Words are folded as the engine folds; those of a
// script without blanks become phrases of single letters. What stands twice is one.
#include "memory/gate_words.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_BYTES = 4096, WORDS_MAX = 1 << 14 };

struct word {
    char text[GATE_WORD_BYTES];
    uint64_t kinds;
    unsigned language;
    bool stem;
};
static struct word words[WORDS_MAX];
static size_t words_len;
static char languages[GATE_LANGUAGES_MAX][8] = {"any"};
static unsigned languages_len = 1;
static unsigned line_n;

static _Noreturn void die(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fprintf(stderr, "words: line %u: ", line_n);
    vfprintf(stderr, format, args);
    fputs("\n", stderr);
    exit(1);
}

static uint64_t kind_of(const char *name)
{
#define KIND_NAME(upper, lower) #lower,
    static const char *const names[] = {GATE_KINDS(KIND_NAME)};

    for (unsigned i = 0; i < GATE_KINDS_LEN; i++)
        if (strcmp(names[i], name) == 0)
            return UINT64_C(1) << i;
    die("no such kind: %s", name);
}

static unsigned language_of(const char *name)
{
    for (unsigned i = 0; i < languages_len; i++)
        if (strcmp(languages[i], name) == 0)
            return i;
    if (languages_len == GATE_LANGUAGES_MAX || strlen(name) >= sizeof(languages[0]))
        die("one language too many: %s", name);
    strcpy(languages[languages_len], name);
    return languages_len++;
}

static void fold(const char *in, char out[GATE_WORD_BYTES])
{
    const utf8proc_uint8_t *at = (const utf8proc_uint8_t *)in;
    size_t n = 0;
    bool spaceless = false;

    while (*at) {
        int32_t c, made[GATE_FOLDED_MAX];
        utf8proc_ssize_t step = utf8proc_iterate(at, -1, &c);

        if (step < 1)
            die("no UTF-8: %s", in);
        at += step;
        int len = c == '-' ? (made[0] = '_', 1) : gate_fold(c, made);
        if (n && (spaceless || gate_is_spaceless(c)) && out[n - 1] != '_' && made[0] != '_')
            out[n++] = '_';
        spaceless = gate_is_spaceless(c);
        for (int i = 0; i < len; i++) {
            if (n + 5 > GATE_WORD_BYTES)
                die("too long: %s", in);
            n += (size_t)utf8proc_encode_char(made[i], (utf8proc_uint8_t *)out + n);
        }
    }
    out[n] = '\0';
}

static void add(const char *text, uint64_t kinds, unsigned language, bool stem)
{
    for (size_t i = 0; i < words_len; i++) {
        struct word *w = &words[i];

        if (w->language == language && w->stem == stem && strcmp(w->text, text) == 0) {
            w->kinds |= kinds;
            return;
        }
    }
    if (words_len == WORDS_MAX)
        die("more than %d words", WORDS_MAX);
    words[words_len] = (struct word){.kinds = kinds, .language = language, .stem = stem};
    strcpy(words[words_len++].text, text);
}

static void add_word(char *word, uint64_t kind, unsigned language)
{
    char text[GATE_WORD_BYTES];
    size_t len = strlen(word);
    bool stem = len > 1 && word[len - 1] == '*';
    unsigned parts = 1;

    if (stem)
        word[len - 1] = '\0';
    fold(word, text);
    for (char *p = text; *p; p++)
        parts += *p == '_';
    if (parts > GATE_PHRASE_WORDS)
        die("more than %d words: %s", GATE_PHRASE_WORDS, word);
    if (stem && strlen(text) < GATE_STEM_MIN)
        die("too short for a stem: %s", word);
    add(text, kind, language, stem);
    if (parts > 1) {
        *strchr(text, '_') = '\0';
        add(text, GATE_OPENS, 0, false);
    }
}

static int by_text(const void *a, const void *b)
{
    const struct word *x = a, *y = b;
    int order = strcmp(x->text, y->text);

    return order ? order : (int)x->language - (int)y->language;
}

static void read_line(char *line)
{
    char *colon = strchr(line, ':');

    line[strcspn(line, "\r\n")] = '\0';
    if (line[0] == '#' || line[0] == '\0')
        return;
    if (!colon)
        die("no colon");
    *colon = '\0';
    char *kind = strtok(line, " "), *language = strtok(NULL, " ");
    if (!kind || !language)
        die("a kind and a language stand before the colon");
    uint64_t bit = kind_of(kind);
    unsigned number = language_of(language);
    for (char *w = strtok(colon + 1, " "); w; w = strtok(NULL, " "))
        add_word(w, bit, number);
}

int main(int argc, char **argv)
{
    static char line[LINE_BYTES];
    FILE *in = argc == 2 ? fopen(argv[1], "r") : NULL;

    if (!in) {
        fprintf(stderr, "words: usage: words FILE\n");
        return 1;
    }
    while (fgets(line, sizeof(line), in)) {
        line_n++;
        read_line(line);
    }
    fclose(in);
    qsort(words, words_len, sizeof(words[0]), by_text);
    printf("#include \"memory/gate_words.h\"\n\nconst struct gate_word gate_words[] = {\n");
    for (size_t i = 0; i < words_len; i++)
        printf("    {\"%s\", UINT64_C(0x%llx), %zu, %u, %s},\n", words[i].text,
               (unsigned long long)words[i].kinds, strlen(words[i].text), words[i].language,
               words[i].stem ? "true" : "false");
    printf("};\nconst uint32_t gate_words_len = %zu;\n", words_len);
    return fflush(stdout) || ferror(stdout);
}
