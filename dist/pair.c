#define _POSIX_C_SOURCE 200809L
#include "dist/pair.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Anybody may knock at a port: take only the one whose address is that of our own socket. */
static int accept_own(int listener, const struct sockaddr_in *own)
{
    for (;;) {
        struct sockaddr_in from;
        socklen_t length = sizeof from;
        const int fd = accept(listener, (struct sockaddr *)&from, &length);
        if (fd < 0 && errno == EINTR) continue;
        if (fd < 0 || (from.sin_port == own->sin_port && from.sin_addr.s_addr == own->sin_addr.s_addr)) return fd;
        close(fd);
    }
}

static int join(int listener, int fd[2])
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t length = sizeof a;
    if (bind(listener, (struct sockaddr *)&a, sizeof a) < 0 || listen(listener, 8) < 0) return -1;
    if (getsockname(listener, (struct sockaddr *)&a, &length) < 0) return -1;
    if (connect(fd[0], (struct sockaddr *)&a, sizeof a) < 0) return -1;
    if (getsockname(fd[0], (struct sockaddr *)&a, &length) < 0) return -1;
    fd[1] = accept_own(listener, &a);
    return fd[1];
}

int cr_pair(int fd[2], struct cr_error *e)
{
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    fd[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    fd[1] = -1;
    int rc = 0;
    if (listener < 0 || fd[0] < 0 || join(listener, fd) < 0)
        rc = cr_fail(e, CR_E_IO, "no connection over 127.0.0.1: %s", strerror(errno));
    if (listener >= 0) close(listener);
    if (rc < 0 && fd[0] >= 0) close(fd[0]);
    return rc;
}
