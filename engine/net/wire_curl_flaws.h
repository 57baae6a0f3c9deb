// SPDX-License-Identifier: MIT
// wire_curl_flaws.h: what libcurl 7.88.1 does to descriptors when it finds no memory, and what is
// done about it, so that such a lack ends one call and nothing else. Each says where the flaw is.
// Thread: the loop's of the wire.
#ifndef NET_WIRE_CURL_FLAWS_H
#define NET_WIRE_CURL_FLAWS_H

#include <curl/curl.h>
#include <stdbool.h>

// Flaw 1 (lib/multi.c, singlesocket; lib/cf-socket.c, cf_socket_close): without memory for its note
// of a socket that is still connecting, curl leaves the note half made and never strikes it. When
// the multi meets a descriptor of that number again, it divides by zero.
// Whether the multi has a note of this descriptor, which nobody watches.
bool wire_curl_has_stale(CURLM *multi, int fd);
// Takes the free number `fd` with a descriptor of its own, so that nobody else gets it: the
// caller's to close. -1 when the number was taken meanwhile, or for lack of descriptors.
int wire_curl_hold_number(int fd);

// Flaw 2 (lib/asyn-thread.c, init_thread_sync_data): without memory to begin with a name, curl
// closes descriptor 0, whoever it belongs to.
// A copy of descriptor 0, the caller's to close; -1 when there is none.
int wire_curl_copy_zero(void);
bool wire_curl_zero_open(void);
// Puts it back if it is gone; nothing for -1.
void wire_curl_mend_zero(int copy);
// A socket as curl opens it, but for none of the standard descriptors; -1 on failure.
int wire_curl_socket(const struct curl_sockaddr *to);

#endif
