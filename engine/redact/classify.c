// SPDX-License-Identifier: MIT
// classify.c: classes of bytes.
//
// The vectors look up both halves of a byte, as Langdale and Lemire do for JSON ("Parsing
// Gigabytes of JSON per Second", 2019): a class is a set of upper halves and a set of lower ones,
// and has a bit in both tables. A byte of 0x80 or more finds nothing in the lower one.
#include "redact/classify.h"

#include "base/err.h"
#include "redact/view.h"

#if defined(__x86_64__)
#include <immintrin.h>
#define HAS_VECTORS 1
#else
#define HAS_VECTORS 0
#endif

enum {
    DIGIT = 1,     // 3x: 0-9
    LETTER_1 = 2,  // 4x, 6x: 1-F
    LETTER_2 = 4,  // 5x, 7x: 0-A
    AT = 8,
    COLON = 16,
    DOT = 32,
    DASH = 64,
    SLASH = 128,   // '+' and '/'
    ALNUM = DIGIT | LETTER_1 | LETTER_2,
};

static void classify_portable(const char *text, size_t n, struct block *out)
{
    for (size_t k = 0; k < n; k++, text += BLOCK_BYTES) {
        struct block b = {0};
        for (unsigned i = 0; i < BLOCK_BYTES; i++) {
            int c = (unsigned char)text[i];
            uint64_t bit = UINT64_C(1) << i;
            b.digit |= is_digit(c) ? bit : 0;
            b.alnum |= is_alnum(c) ? bit : 0;
            b.run |= is_alnum(c) || c == '_' || c == '+' || c == '/' || c == '-' ? bit : 0;
            b.at |= c == '@' ? bit : 0;
            b.colon |= c == ':' ? bit : 0;
            b.dot |= c == '.' ? bit : 0;
            b.dash |= c == '-' ? bit : 0;
            b.group |= c >= '(' && c <= '/' ? bit : 0;
            b.blank |= c <= ' ' ? bit : 0;
            b.wide |= c >= 0x80 ? bit : 0;
        }
        out[k] = b;
    }
}

#if HAS_VECTORS

#define ROWS_LOW DIGIT | LETTER_2 | AT, DIGIT | LETTER_1 | LETTER_2, DIGIT | LETTER_1 | LETTER_2, \
        DIGIT | LETTER_1 | LETTER_2, DIGIT | LETTER_1 | LETTER_2, DIGIT | LETTER_1 | LETTER_2,    \
        DIGIT | LETTER_1 | LETTER_2, DIGIT | LETTER_1 | LETTER_2, DIGIT | LETTER_1 | LETTER_2,    \
        DIGIT | LETTER_1 | LETTER_2, LETTER_1 | LETTER_2 | COLON, (char)(LETTER_1 | SLASH),       \
        LETTER_1, LETTER_1 | DASH, LETTER_1 | DOT, (char)(LETTER_1 | SLASH)
#define ROWS_HIGH 0, 0, (char)(DOT | DASH | SLASH), DIGIT | COLON, LETTER_1 | AT, LETTER_2, \
        LETTER_1, LETTER_2, 0, 0, 0, 0, 0, 0, 0, 0

#define SSE_MASK(v) (uint64_t)(unsigned)_mm_movemask_epi8(v)
#define AVX_MASK(v) (uint64_t)(unsigned)_mm256_movemask_epi8(v)
// The bits of a class, which is moved to the top of its byte for it.
#define SSE_BITS(found, shift) SSE_MASK(_mm_slli_epi16((found), (shift)))
#define AVX_BITS(found, shift) AVX_MASK(_mm256_slli_epi16((found), (shift)))

__attribute__((target("ssse3")))
static void classify_ssse3(const char *text, size_t n, struct block *out)
{
    const __m128i low = _mm_setr_epi8(ROWS_LOW), high = _mm_setr_epi8(ROWS_HIGH);
    const __m128i half = _mm_set1_epi8(0x0F), underscore = _mm_set1_epi8('_');
    const __m128i bracket = _mm_set1_epi8('('), eight = _mm_set1_epi8((char)0xF8);
    const __m128i blank = _mm_set1_epi8(' ');
    const __m128i alnum = _mm_set1_epi8(ALNUM), zero = _mm_setzero_si128();

    for (size_t k = 0; k < n; k++, text += BLOCK_BYTES) {
        struct block b = {0};
        for (unsigned i = 0; i < BLOCK_BYTES; i += 16) {
            __m128i in = _mm_loadu_si128((const __m128i *)(const void *)(text + i));
            __m128i top = _mm_and_si128(_mm_srli_epi16(in, 4), half);
            __m128i found = _mm_and_si128(_mm_shuffle_epi8(low, in), _mm_shuffle_epi8(high, top));
            __m128i none = _mm_cmpeq_epi8(_mm_and_si128(found, alnum), zero);
            uint64_t word = ~SSE_MASK(none) & 0xFFFF;
            uint64_t dash = SSE_BITS(found, 1);
            uint64_t line = SSE_MASK(_mm_cmpeq_epi8(in, underscore));
            b.digit |= SSE_BITS(found, 7) << i;
            b.alnum |= word << i;
            b.run |= (word | dash | line | SSE_MASK(found)) << i;
            b.at |= SSE_BITS(found, 4) << i;
            b.colon |= SSE_BITS(found, 3) << i;
            b.dot |= SSE_BITS(found, 2) << i;
            b.dash |= dash << i;
            __m128i group = _mm_cmpeq_epi8(_mm_and_si128(in, eight), bracket);
            __m128i small = _mm_cmpeq_epi8(_mm_min_epu8(in, blank), in);
            b.group |= SSE_MASK(group) << i;
            b.blank |= SSE_MASK(small) << i;
            b.wide |= SSE_MASK(in) << i;
        }
        out[k] = b;
    }
}

__attribute__((target("avx2")))
static void classify_avx2(const char *text, size_t n, struct block *out)
{
    const __m256i low = _mm256_setr_epi8(ROWS_LOW, ROWS_LOW);
    const __m256i high = _mm256_setr_epi8(ROWS_HIGH, ROWS_HIGH);
    const __m256i half = _mm256_set1_epi8(0x0F), underscore = _mm256_set1_epi8('_');
    const __m256i bracket = _mm256_set1_epi8('('), eight = _mm256_set1_epi8((char)0xF8);
    const __m256i blank = _mm256_set1_epi8(' ');
    const __m256i alnum = _mm256_set1_epi8(ALNUM), zero = _mm256_setzero_si256();

    for (size_t k = 0; k < n; k++, text += BLOCK_BYTES) {
        struct block b = {0};
        for (unsigned i = 0; i < BLOCK_BYTES; i += 32) {
            __m256i in = _mm256_loadu_si256((const __m256i *)(const void *)(text + i));
            __m256i top = _mm256_and_si256(_mm256_srli_epi16(in, 4), half);
            __m256i found = _mm256_and_si256(_mm256_shuffle_epi8(low, in),
                                             _mm256_shuffle_epi8(high, top));
            __m256i none = _mm256_cmpeq_epi8(_mm256_and_si256(found, alnum), zero);
            __m256i line = _mm256_cmpeq_epi8(in, underscore);
            uint64_t word = ~AVX_MASK(none) & 0xFFFFFFFF;
            uint64_t dash = AVX_BITS(found, 1);
            uint64_t more = AVX_MASK(_mm256_or_si256(found, line));
            b.digit |= AVX_BITS(found, 7) << i;
            b.alnum |= word << i;
            b.run |= (word | dash | more) << i;
            b.at |= AVX_BITS(found, 4) << i;
            b.colon |= AVX_BITS(found, 3) << i;
            b.dot |= AVX_BITS(found, 2) << i;
            b.dash |= dash << i;
            __m256i group = _mm256_cmpeq_epi8(_mm256_and_si256(in, eight), bracket);
            __m256i small = _mm256_cmpeq_epi8(_mm256_min_epu8(in, blank), in);
            b.group |= AVX_MASK(group) << i;
            b.blank |= AVX_MASK(small) << i;
            b.wide |= AVX_MASK(in) << i;
        }
        out[k] = b;
    }
}

#define AVX512_BITS(class) _mm512_test_epi8_mask(found, _mm512_set1_epi8((char)(class)))

__attribute__((target("avx512f,avx512bw")))
static void classify_avx512(const char *text, size_t n, struct block *out)
{
    const __m512i low = _mm512_broadcast_i32x4(_mm_setr_epi8(ROWS_LOW));
    const __m512i high = _mm512_broadcast_i32x4(_mm_setr_epi8(ROWS_HIGH));
    const __m512i half = _mm512_set1_epi8(0x0F), eight = _mm512_set1_epi8((char)0xF8);

    for (size_t k = 0; k < n; k++, text += BLOCK_BYTES) {
        __m512i in = _mm512_loadu_si512(text);
        __m512i top = _mm512_and_si512(_mm512_srli_epi16(in, 4), half);
        __m512i found = _mm512_and_si512(_mm512_shuffle_epi8(low, in),
                                         _mm512_shuffle_epi8(high, top));
        __mmask64 line = _mm512_cmpeq_epi8_mask(in, _mm512_set1_epi8('_'));
        out[k] = (struct block){
            .digit = AVX512_BITS(DIGIT), .alnum = AVX512_BITS(ALNUM),
            .run = AVX512_BITS(ALNUM | DASH | SLASH) | line,
            .at = AVX512_BITS(AT), .colon = AVX512_BITS(COLON), .dot = AVX512_BITS(DOT),
            .dash = AVX512_BITS(DASH),
            .group = _mm512_cmpeq_epi8_mask(_mm512_and_si512(in, eight), _mm512_set1_epi8('(')),
            .blank = _mm512_cmple_epu8_mask(in, _mm512_set1_epi8(' ')),
            .wide = _mm512_movepi8_mask(in),
        };
    }
}

enum classify_level classify_best(void)
{
    if (__builtin_cpu_supports("avx512bw"))
        return CLASSIFY_AVX512;
    if (__builtin_cpu_supports("avx2"))
        return CLASSIFY_AVX2;
    return __builtin_cpu_supports("ssse3") ? CLASSIFY_SSSE3 : CLASSIFY_PORTABLE;
}

#else

enum classify_level classify_best(void)
{
    return CLASSIFY_PORTABLE;
}

#endif

void classify(enum classify_level level, const char *text, size_t n, struct block *out)
{
    BUG_ON(level > classify_best());
#if HAS_VECTORS
    if (level == CLASSIFY_AVX512)
        classify_avx512(text, n, out);
    else if (level == CLASSIFY_AVX2)
        classify_avx2(text, n, out);
    else if (level == CLASSIFY_SSSE3)
        classify_ssse3(text, n, out);
    else
#endif
        classify_portable(text, n, out);
}
