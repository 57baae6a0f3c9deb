// SPDX-License-Identifier: MIT
// wire_curl_request.h: what curl is told of one request: where to, what to send, and the rules that
// wire.h promises (TLS verified, no redirects, no cookies, http and https only).
// Thread: the loop's of the wire that the handle is for.
#ifndef NET_WIRE_CURL_REQUEST_H
#define NET_WIRE_CURL_REQUEST_H

#include "net/wire.h"

#include <curl/curl.h>

// The URL that was checked last, as most requests go where the one before went. Starts zeroed.
struct wire_curl_url {
    char good[512];  // "": none, or it is longer
    bool loopback;   // what it leads to
};
// What the URL leads to. E_USAGE says what is wrong with it; E_NOMEM.
int wire_curl_check_url(struct wire_curl_url *last, const char *url, struct err *err);
// The headers as curl wants them: *list is the caller's, also after an error. One that already says
// them, of a request before, stays; another is freed. E_USAGE, E_NOMEM.
int wire_curl_headers(struct curl_slist **list, const struct wire_request *r, struct err *err);
// What a new handle is told once: what is the same for all requests, and curl leaves as it is.
// Anything but CURLE_OK is lack of memory, here and below.
CURLcode wire_curl_rules(CURL *easy);
// All other options of `easy` that do not lead back to the wire, whatever it was used for before.
// The body is borrowed.
CURLcode wire_curl_options(CURL *easy, const struct wire_request *r, bool loopback);
// Takes what was borrowed for the last request out of `easy`.
void wire_curl_forget(CURL *easy);

#endif
