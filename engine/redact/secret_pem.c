// SPDX-License-Identifier: MIT
// secret_pem.c: private keys as text (RFC 7468, RFC 1421, OpenPGP's armour of RFC 9580): from
// "-----BEGIN … PRIVATE KEY…-----" to its end line. A key that is cut off counts as far as it
// goes: what is left of it is still secret.
#include "redact/recognise.h"

enum { LABEL_BYTES = 64, CHUNK_MIN = 16, HEADER_BYTES = 200 };

static bool is_base64(int c)
{
    return is_alnum(c) || c == '+' || c == '/' || c == '=';
}

// After "-----BEGIN … PRIVATE KEY …-----" or "-----END …-----" at `at`; 0: it is none.
static size_t line_end(struct view *v, size_t at, const char *begin, bool private_key)
{
    size_t i = at + strlen(begin), dashes = 0;
    bool names_key = !private_key;

    for (size_t k = 0; begin[k]; k++)
        if (view_at(v, at + k) != begin[k])
            return 0;
    for (; dashes < 5; i++) {
        int c = view_at(v, i);
        bool label = c == '-' || c == ' ' || is_digit(c) || (c >= 'A' && c <= 'Z');
        if (i - at > LABEL_BYTES || !label)
            return 0;
        names_key |= c == 'P' && view_says(v, i, "private key");
        dashes = c == '-' ? dashes + 1 : 0;
    }
    return names_key ? i : 0;
}

// Over blanks and ends of lines, those that are written as in JSON, too.
static size_t skip_blank(struct view *v, size_t i)
{
    for (size_t least = i; i - least < HEADER_BYTES; i++) {
        int c = view_at(v, i);
        if (c == '\\' && (view_at(v, i + 1) == 'n' || view_at(v, i + 1) == 'r'))
            i++;
        else if (c != ' ' && c != '\t' && c != '\r' && c != '\n')
            break;
    }
    return i;
}

// Over "Proc-Type: 4,ENCRYPTED" and the like: a name and a colon first.
static size_t skip_headers(struct view *v, size_t i)
{
    for (unsigned n = 0; n < 4; n++) {
        size_t end = i;
        while (end - i < LABEL_BYTES && (is_alnum(view_at(v, end)) || view_at(v, end) == '-'))
            end++;
        if (end == i || view_at(v, end) != ':')
            break;
        while (end - i < HEADER_BYTES && view_at(v, end) != VIEW_END && view_at(v, end) != '\n' &&
               view_at(v, end) != '\\')
            end++;
        i = skip_blank(v, end);
    }
    return i;
}

bool pem_at(struct view *v, size_t at, struct match *out)
{
    size_t end = line_end(v, at, "-----BEGIN ", true), limit = at + REDACT_MATCH_BYTES - 512;

    if (end == 0)
        return false;
    size_t i = skip_headers(v, skip_blank(v, end));
    *out = (struct match){.end = end, .score = 100};
    while (i < limit) {
        size_t chunk = i;
        while (i < limit && is_base64(view_at(v, i)))
            i++;
        size_t next = skip_blank(v, i), last = line_end(v, next, "-----END ", false);
        if (last || i - chunk >= CHUNK_MIN)
            out->end = last ? last : i;
        if (last || i - chunk < CHUNK_MIN)
            break;
        i = next;
    }
    return true;
}
