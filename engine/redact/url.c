// SPDX-License-Identifier: MIT
// url.c: URLs that hold credentials: before the host (RFC 3986, 3.2.1), or as a parameter whose
// name says so. The whole URL is what is masked: what it names goes with who may see it.
#include "redact/recognise.h"

enum { SCHEME_BYTES = 32, URL_BYTES = 2048, SEARCH_BYTES = 1024, VALUE_MIN = 6, NAME_BYTES = 24 };

static bool ends_url(int c)
{
    if (is_alnum(c))
        return false;
    return c <= ' ' || c == '"' || c == '<' || c == '>' || c == '`' || c == '{' || c == '}' ||
           c == '|' || c == '\\' || c == '^';
}

static bool is_trailing(int c)
{
    return c != VIEW_END && strchr(".,;:!?)]'*_", c) != NULL;
}

static bool is_secret_name(const char *name, size_t len)
{
    static const char *const names[] = {
        "access_token", "token", "auth_token", "api_key", "apikey", "api-key", "key", "secret",
        "client_secret", "password", "passwd", "pwd", "sig", "signature", "x-amz-signature",
        "x-goog-signature", "refresh_token", "id_token", "private_token",
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strlen(names[i]) == len && memcmp(names[i], name, len) == 0)
            return true;
    return false;
}

// Whether a parameter that begins at `at`, behind a '?', '&' or '#', is a secret.
static bool is_secret_parameter(struct view *v, size_t at)
{
    char name[NAME_BYTES];
    size_t n = 0, value = 0;

    for (int c; n < sizeof(name) && (c = view_at(v, at)) != '=' && !ends_url(c); at++)
        name[n++] = (char)to_lower(c);
    if (view_at(v, at) != '=' || !is_secret_name(name, n))
        return false;
    for (int c; value < VALUE_MIN && (c = view_at(v, at + 1 + value)) != '&' && c != '#'; value++)
        if (ends_url(c))
            return false;
    return value == VALUE_MIN;
}

// Whether credentials stand before the host, or among the parameters. Only so far is looked, as a
// text may be URLs without an end.
static bool has_secret(struct view *v, size_t authority)
{
    size_t i = authority, end = authority + SEARCH_BYTES;
    int c = view_at(v, i);

    for (; i < end && !ends_url(c) && c != '/' && c != '?' && c != '#'; c = view_at(v, ++i))
        if (c == '@' && i > authority && !ends_url(view_at(v, i + 1)))
            return true;
    for (; i < end && !ends_url(c); c = view_at(v, ++i))
        if ((c == '?' || c == '&' || c == '#') && is_secret_parameter(v, i + 1))
            return true;
    return false;
}

bool url_at(struct view *v, size_t at, struct match *out)
{
    size_t i = at;

    for (; view_at(v, i) != ':'; i++) {
        int c = view_at(v, i);
        if (i - at >= SCHEME_BYTES || !(is_letter(c) || (i > at && (is_digit(c) || c == '+' ||
                                                                   c == '-' || c == '.'))))
            return false;
    }
    if (i == at || view_at(v, i + 1) != '/' || view_at(v, i + 2) != '/')
        return false;
    size_t authority = i + 3, end = authority;
    if (!has_secret(v, authority))
        return false;
    while (end - at < URL_BYTES && !ends_url(view_at(v, end)))
        end++;
    while (end > authority && is_trailing(view_at(v, end - 1)))
        end--;
    *out = (struct match){.end = end, .score = 97};
    return end > authority;
}
