// SPDX-License-Identifier: MIT
// wire_curl_head.c: see wire_curl_head.h.
#include "net/wire_curl_head.h"

#include <string.h>

static struct slice trim(struct slice s)
{
    while (s.len && strchr(" \t\r\n", s.ptr[s.len - 1]))
        s.len--;
    while (s.len && (*s.ptr == ' ' || *s.ptr == '\t'))
        s = slice_of(s.ptr + 1, s.len - 1);
    return s;
}

static bool take_header(struct wire_call *call, struct slice line)
{
    const char *colon = memchr(line.ptr, ':', line.len);

    if (!colon)
        return true;  // a folded line
    struct slice name = slice_of(line.ptr, (size_t)(colon - line.ptr));
    struct slice value = slice_of(colon + 1, line.len - name.len - 1);
    return wire_call_header(call, trim(name), trim(value));
}

bool wire_curl_head_line(enum wire_curl_head *head, struct wire_call *call, CURL *easy,
                         struct slice line)
{
    long status = 0;

    switch (*head) {
    case HEAD_STATUS_LINE:
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        if (status / 100 == 1) {
            *head = HEAD_INTERIM;
            return true;
        }
        *head = HEAD_FINAL;
        return wire_call_status(call, (int)status);
    case HEAD_INTERIM:
        if (trim(line).len == 0)
            *head = HEAD_STATUS_LINE;
        return true;
    case HEAD_FINAL:
        if (trim(line).len)
            return take_header(call, line);
        *head = HEAD_DONE;
        return true;
    case HEAD_DONE:
        return true;  // trailers say nothing to us
    }
    return true;
}
