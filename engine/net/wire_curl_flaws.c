// SPDX-License-Identifier: MIT
// wire_curl_flaws.c: see wire_curl_flaws.h.
#include "net/wire_curl_flaws.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

// The same open file under the first free number from `least` on; fd is closed. -1 on failure.
static int move_up(int fd, int least)
{
    int moved = fcntl(fd, F_DUPFD_CLOEXEC, least);

    close(fd);
    return moved;
}

bool wire_curl_has_stale(CURLM *multi, int fd)
{
    // What curl_multi_assign sets is read only by whoever watches the socket.
    return fd >= 0 && curl_multi_assign(multi, fd, NULL) == CURLM_OK;
}

int wire_curl_hold_number(int fd)
{
    int held = eventfd(0, EFD_CLOEXEC);

    if (held >= 0 && held != fd)
        held = move_up(held, fd);
    if (held >= 0 && held != fd) {
        close(held);
        held = -1;
    }
    return held;
}

int wire_curl_copy_zero(void)
{
    return fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
}

bool wire_curl_zero_open(void)
{
    return fcntl(STDIN_FILENO, F_GETFD) >= 0;
}

void wire_curl_mend_zero(int copy)
{
    if (copy < 0 || wire_curl_zero_open())
        return;
    // Not dup2: it would take the number from whoever got it this instant.
    int fd = fcntl(copy, F_DUPFD, STDIN_FILENO);
    if (fd > STDIN_FILENO)
        close(fd);
}

int wire_curl_socket(const struct curl_sockaddr *to)
{
    int fd = socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);

    return fd >= 0 && fd <= STDERR_FILENO ? move_up(fd, STDERR_FILENO + 1) : fd;
}
