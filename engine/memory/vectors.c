// SPDX-License-Identifier: MIT
// vectors.c: arithmetic on vectors of bytes. Integers only behind the quantisation, so that a
// ranking is the same on every machine. The scan is bound by memory: one byte a dimension.
#include "memory/segment.h"

#include <math.h>

// Sums of at most 4,096 products of two bytes stay below 2^27.
#if defined(__x86_64__)
#include <immintrin.h>

// The same sum, 32 dimensions at a time, where the processor has AVX2.
__attribute__((target("avx2"))) static int32_t dot_avx2(const int8_t *a, const int8_t *b,
                                                        uint32_t dims)
{
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i sum = _mm256_setzero_si256();
    uint32_t i = 0;
    for (; i + 32 <= dims; i += 32) {
        __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)(a + i));
        __m256i y = _mm256_loadu_si256((const __m256i *)(const void *)(b + i));
        // |y| · (x with y's sign): pairs of products stay within 16 bits, as |x| <= 127.
        __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(y), _mm256_sign_epi8(x, y));
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, ones));
    }
    int32_t lanes[8], total = 0;
    _mm256_storeu_si256((__m256i *)(void *)lanes, sum);
    for (int k = 0; k < 8; k++)
        total += lanes[k];
    for (; i < dims; i++)
        total += a[i] * b[i];
    return total;
}
#endif

static int32_t dot_plain(const int8_t *a, const int8_t *b, uint32_t dims)
{
    int32_t total = 0;
    for (uint32_t i = 0; i < dims; i++)
        total += a[i] * b[i];
    return total;
}

static int32_t dot(const int8_t *a, const int8_t *b, uint32_t dims)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2"))
        return dot_avx2(a, b, dims);
#endif
    return dot_plain(a, b, dims);
}

uint32_t vector_norm(const int8_t *v, uint32_t dims)
{
    uint64_t square = (uint64_t)(uint32_t)dot(v, v, dims) << 8, root = 0;
    for (uint64_t bit = (uint64_t)1 << 20; bit; bit >>= 1)
        if ((root | bit) * (root | bit) <= square)
            root |= bit;
    return (uint32_t)root;
}

int32_t vector_cosine(const int8_t *a, uint32_t norm_a, const int8_t *b, uint32_t norm_b,
                      uint32_t dims)
{
    if (!norm_a || !norm_b)
        return 0;
    int64_t product = (int64_t)norm_a * norm_b;
    int64_t cosine = (int64_t)dot(a, b, dims) * 32768 * 256 / product;
    return (int32_t)(cosine > 32768 ? 32768 : cosine < -32768 ? -32768 : cosine);
}

void vector_quantise(const float *v, uint32_t dims, int8_t *out)
{
    float largest = 0;
    for (uint32_t i = 0; i < dims; i++)
        if (isfinite(v[i]) && fabsf(v[i]) > largest)
            largest = fabsf(v[i]);
    for (uint32_t i = 0; i < dims; i++) {
        // Division, not a reciprocal: the smallest floats would make that infinite.
        float part = isfinite(v[i]) && largest > 0 ? v[i] / largest * 127 : 0;
        out[i] = (int8_t)(part < 0 ? part - 0.5F : part + 0.5F);
    }
}
