/* An sshd greets with a short line. Whether 32 KB sent to it have arrived, its kernel tells ours by acknowledging them,
 * whatever sshd thinks of them; how much is not acknowledged, SIOCOUTQ tells. */
#define _DEFAULT_SOURCE /* SIOCOUTQ */

#include "apps/doctor_ssh.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dist/dial.h"

enum { STEP_MS = 3000, BULK = 32768 };

static int wait_for(int fd, short events)
{
    struct pollfd p = { .fd = fd, .events = events };
    int n;
    while ((n = poll(&p, 1, STEP_MS)) < 0 && errno == EINTR) {}
    return n == 1 && (p.revents & events);
}

/* A connection that has been greeted, or -1. */
static int greeted(const struct addrinfo *a)
{
    char greeting[64];
    int error = 0;
    socklen_t n = sizeof error;
    const int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->ai_protocol);
    if (fd < 0) return -1;
    if ((connect(fd, a->ai_addr, a->ai_addrlen) == 0 || errno == EINPROGRESS) && wait_for(fd, POLLOUT) &&
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) == 0 && error == 0 && wait_for(fd, POLLIN) &&
        recv(fd, greeting, sizeof greeting, 0) > 4 && memcmp(greeting, "SSH-", 4) == 0)
        return fd;
    close(fd);
    return -1;
}

static int stalls(int fd)
{
    static char bulk[BULK]; /* zeros: no sshd takes them for more than a line that is too long */
    const int64_t deadline = cr_clock() + STEP_MS * INT64_C(1000000);
    int left = 1;
    if (send(fd, bulk, sizeof bulk, MSG_NOSIGNAL) <= 0) return 0;
    while (cr_clock() < deadline) {
        struct pollfd p = { .fd = fd };
        if (ioctl(fd, SIOCOUTQ, &left) < 0 || left == 0) return 0;
        if (poll(&p, 1, 50) > 0) return 0; /* closed from there: it has read enough */
    }
    return 1;
}

int cr_ssh_port_stalls(const struct cr_host *host)
{
    char port[16];
    struct addrinfo *all = NULL;
    int found = 0;
    snprintf(port, sizeof port, "%d", host->port ? host->port : 22);
    if (getaddrinfo(host->name, port, &(struct addrinfo){ .ai_socktype = SOCK_STREAM }, &all) != 0) return 0;
    for (const struct addrinfo *a = all; a && !found; a = a->ai_next) {
        const int fd = greeted(a);
        if (fd < 0) continue;
        found = stalls(fd);
        close(fd);
    }
    freeaddrinfo(all);
    return found;
}
