// SPDX-License-Identifier: MIT
// wire_curl_request.c: see wire_curl_request.h.
#include "net/wire_curl_request.h"

#include "base/buf.h"

#include <arpa/inet.h>
#include <limits.h>
#include <string.h>
#include <strings.h>

enum { HEADER_LINE_BYTES_MAX = 64 << 10 };

static bool is_loopback(const char *host)
{
    struct in_addr v4;

    if (inet_pton(AF_INET, host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    return strcmp(host, "[::1]") == 0 || strcasecmp(host, "localhost") == 0;
}

// The URL may hold secrets: it is not shown.
static int check_url(const char *url, bool *loopback, struct err *err)
{
    CURLU *parsed = curl_url();
    char *scheme = NULL, *host = NULL;
    int rc = E_OK;

    if (!parsed)
        return err_set(err, E_NOMEM, "wire: out of memory for a request");
    CURLUcode code = curl_url_set(parsed, CURLUPART_URL, url, 0);
    if (!code)
        code = curl_url_get(parsed, CURLUPART_SCHEME, &scheme, 0);
    if (!code)
        code = curl_url_get(parsed, CURLUPART_HOST, &host, 0);
    if (code == CURLUE_OUT_OF_MEMORY)
        rc = err_set(err, E_NOMEM, "wire: out of memory for a request");
    else if (code)
        rc = err_set(err, E_USAGE, "wire: bad URL: %s", curl_url_strerror(code));
    else if (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)
        rc = err_set(err, E_USAGE, "wire: URL scheme \"%s\": use http or https", scheme);
    else
        *loopback = is_loopback(host);
    curl_free(scheme);
    curl_free(host);
    curl_url_cleanup(parsed);
    return rc;
}

int wire_curl_check_url(struct wire_curl_url *last, const char *url, struct err *err)
{
    size_t len = strlen(url);

    if (last->good[0] && strcmp(url, last->good) == 0)
        return E_OK;
    last->good[0] = '\0';
    int rc = check_url(url, &last->loopback, err);
    if (!rc && len < sizeof(last->good))
        memcpy(last->good, url, len + 1);
    return rc;
}

static int add_header(struct curl_slist **list, struct buf *line, struct slice header)
{
    buf_clear(line);
    buf_add_slice(line, header);
    if (!buf_ok(line))
        return buf_check(line, "wire: a header", NULL);
    struct curl_slist *longer = curl_slist_append(*list, line->ptr);
    if (!longer)
        return E_NOMEM;
    *list = longer;
    return E_OK;
}

// No waiting for permission to send the body: it costs a round trip and saves nothing here.
static const struct slice no_expect = {"Expect:", sizeof("Expect:") - 1};

static bool says(const struct curl_slist *at, struct slice header)
{
    return at && slice_is(header, at->data);
}

static bool is_of(const struct curl_slist *at, const struct wire_request *r)
{
    if (!says(at, no_expect))
        return false;
    at = at->next;
    for (unsigned i = 0; i < r->headers_len; i++, at = at->next)
        if (!says(at, r->headers[i]))
            return false;
    return !at;
}

int wire_curl_headers(struct curl_slist **list, const struct wire_request *r, struct err *err)
{
    if (is_of(*list, r))
        return E_OK;
    curl_slist_free_all(*list);
    *list = NULL;
    struct buf line = BUF_INIT(HEADER_LINE_BYTES_MAX);
    int rc = add_header(list, &line, no_expect);

    for (unsigned i = 0; i < r->headers_len && !rc; i++)
        rc = add_header(list, &line, r->headers[i]);
    buf_release(&line);
    if (rc == E_REFUSED)
        return err_set(err, E_USAGE, "wire: a header has more than %d bytes",
                       HEADER_LINE_BYTES_MAX);
    return rc ? err_set(err, rc, "wire: out of memory for headers") : E_OK;
}

static CURLcode set_method(CURL *easy, const struct wire_request *r)
{
    CURLcode bad = CURLE_OK;

    // As in a new handle: this one may have sent something else before.
    bad |= curl_easy_setopt(easy, CURLOPT_POSTFIELDS, NULL);
    bad |= curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
    if (r->body.len || strcmp(r->method, "POST") == 0) {
        // The body is borrowed, not copied.
        bad |= curl_easy_setopt(easy, CURLOPT_POST, 1L);
        bad |= curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body.len);
        bad |= curl_easy_setopt(easy, CURLOPT_POSTFIELDS, r->body.len ? r->body.ptr : "");
    } else if (strcmp(r->method, "HEAD") == 0) {
        bad |= curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    }
    return bad | curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, r->method);
}

// Every option is said, also where it is curl's default, if this file's promises rest on it.
CURLcode wire_curl_rules(CURL *easy)
{
    CURLcode bad = CURLE_OK;

    bad |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    bad |= curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    bad |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    bad |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    bad |= curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    bad |= curl_easy_setopt(easy, CURLOPT_HTTP09_ALLOWED, 0L);
    // Nothing that unpacks: no answer is larger in memory than on the wire.
    bad |= curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, NULL);
    bad |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    bad |= curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    bad |= curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    // Cancelling does not wait for the name service.
    return bad | curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
}

CURLcode wire_curl_options(CURL *easy, const struct wire_request *r, bool loopback)
{
    int64_t connect_ms = r->deadlines.connect_ms < INT_MAX ? r->deadlines.connect_ms : INT_MAX;
    // curl shares this out among a name's addresses. The deadline itself is ours.
    CURLcode bad = curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms);

    bad |= curl_easy_setopt(easy, CURLOPT_PROXY, loopback ? "" : NULL);
    return bad | set_method(easy, r);
}

void wire_curl_forget(CURL *easy)
{
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, NULL);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, NULL);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, NULL);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, NULL);
}
