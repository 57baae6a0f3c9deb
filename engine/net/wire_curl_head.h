// SPDX-License-Identifier: MIT
// wire_curl_head.h: an answer's head, line by line as curl gives it: interim heads (1xx) are passed
// over, the final one goes to the request, trailers go nowhere.
//
//   STATUS_LINE ──1xx──▶ INTERIM ──empty line──▶ STATUS_LINE
//        └──────────────▶ FINAL ───empty line──▶ DONE
// Thread: the loop's of the wire.
#ifndef NET_WIRE_CURL_HEAD_H
#define NET_WIRE_CURL_HEAD_H

#include "net/wire_int.h"

#include <curl/curl.h>

enum wire_curl_head { HEAD_STATUS_LINE, HEAD_INTERIM, HEAD_FINAL, HEAD_DONE };

// Takes a line with its end. False: the call is ending.
bool wire_curl_head_line(enum wire_curl_head *head, struct wire_call *call, CURL *easy,
                         struct slice line);

#endif
