/* Processes: fork, pipes, exec, and their end. What is particular to ssh stands in launch_ssh.c.
 *
 * Between fork and exec only async-signal-safe functions are called: the launcher may have other threads. */
#define _GNU_SOURCE /* pipe2: a descriptor must never be open without CLOEXEC, lest another child inherit it */

#include "dist/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "dist/launch_ssh.h"

/* A pipe whose ends are neither standard input, output nor error, even when the launcher was started without these. */
static int open_pipe(int end[2], struct cr_error *e)
{
    if (pipe2(end, O_CLOEXEC) < 0) {
        end[0] = end[1] = -1;
        return cr_fail(e, CR_E_IO, "cannot open a pipe to another process: %s", strerror(errno));
    }
    for (int i = 0; i < 2; i++) {
        if (end[i] > 2) continue;
        const int above = fcntl(end[i], F_DUPFD_CLOEXEC, 3);
        if (above < 0) return cr_fail(e, CR_E_IO, "cannot open a pipe to another process: %s", strerror(errno));
        close(end[i]);
        end[i] = above;
    }
    return 0;
}

static void close_end(int *fd)
{
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

static void close_pipe(int end[2])
{
    close_end(&end[0]);
    close_end(&end[1]);
}

/* The forked process becomes the program. Returns only when that cannot be run. */
static void become(char *const *argv, pid_t launcher, int input, int output, int error)
{
    sigset_t none;
    /* Its standard input ends with the launcher and ends it; this is for a program that does not look. */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != launcher) return;
    signal(SIGPIPE, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    dup2(input, STDIN_FILENO);
    dup2(output, STDOUT_FILENO);
    dup2(error, STDERR_FILENO);
    execvp(argv[0], argv);
    static const char opening[] = "corering: ";
    static const char ending[] = " cannot be run on this machine: is it there and executable?\n";
    if (write(STDERR_FILENO, opening, sizeof opening - 1) < 0 ||
        write(STDERR_FILENO, argv[0], strlen(argv[0])) < 0 || write(STDERR_FILENO, ending, sizeof ending - 1) < 0)
        return;
}

/* Fork and exec. courier: of a process on another host, else NULL; it forks once more, for the courier. */
static int start(struct cr_child *c, char *const *argv, struct cr_courier *courier, const char *summons,
                 struct cr_error *e)
{
    int in[2] = { -1, -1 }, out[2] = { -1, -1 }, request[2] = { -1, -1 };
    const pid_t launcher = getpid();
    pid_t pid = -1;
    int rc = open_pipe(in, e);
    if (!rc) rc = open_pipe(out, e);
    if (!rc && courier) rc = open_pipe(request, e);
    if (!rc && fcntl(out[0], F_SETFL, O_NONBLOCK) < 0)
        rc = cr_fail(e, CR_E_IO, "cannot read from a pipe without waiting: %s", strerror(errno));
    /* Before anybody could close the other end: the summons is shorter than an empty pipe, so this does not wait. */
    if (!rc && !courier && write(in[1], summons, strlen(summons)) < 0)
        rc = cr_fail(e, CR_E_IO, "cannot write to a new process: %s", strerror(errno));
    if (!rc) {
        pid = fork();
        if (pid < 0) rc = cr_fail(e, CR_E_IO, "cannot start a process: %s", strerror(errno));
    }
    if (pid == 0) {
        setpgid(0, 0);
        if (courier && fork() == 0) {
            cr_courier_work(courier, in[1], request[0], out[1]);
            _exit(0);
        }
        become(argv, launcher, in[0], courier ? request[1] : out[1], out[1]);
        _exit(127);
    }
    if (!rc) {
        setpgid(pid, pid); /* here too: it must stand before anybody kills the group */
        *c = (struct cr_child){ .pid = pid, .input = in[1], .output = out[0] };
        in[1] = out[0] = -1;
    }
    close_pipe(in);
    close_pipe(out);
    close_pipe(request);
    return rc;
}

int cr_launch(struct cr_child *c, const struct cr_host *host, const struct cr_launch_options *o,
              const struct cr_summons *s, struct cr_error *e)
{
    char summons[CR_SUMMONS_TEXT];
    *c = (struct cr_child){ .input = -1, .output = -1 };
    CR_TRY(cr_summons_write(s, summons, e));
    if (!host->local) {
        struct cr_courier courier;
        int rc = cr_courier_prepare(&courier, host, o, summons, e);
        if (!rc) rc = start(c, courier.argv, &courier, summons, e);
        cr_courier_free(&courier);
        return rc;
    }
    char program[4096], rank[] = "rank";
    if (strlen(o->program) >= sizeof program)
        return cr_fail(e, CR_E_USAGE, "the program's name is longer than %zu letters", sizeof program - 1);
    strcpy(program, o->program);
    return start(c, (char *[]){ program, rank, NULL }, NULL, summons, e);
}

int cr_launch_ended(struct cr_child *c)
{
    if (c->pid == 0) return 1;
    pid_t done;
    while ((done = waitpid(c->pid, &c->status, WNOHANG)) < 0 && errno == EINTR) {}
    if (done == 0) return 0;
    c->pid = 0;
    return 1;
}

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* Read and drop its output until that ends or the deadline passes: a process may wait for room to say its last word. */
static void drain(struct cr_child *c, int64_t deadline)
{
    char dropped[4096];
    for (;;) {
        struct pollfd p = { .fd = c->output, .events = POLLIN };
        const int64_t left = deadline - now();
        const ssize_t n = read(c->output, dropped, sizeof dropped);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR) || left <= 0) return;
        if (n < 0) poll(&p, 1, (int)(left / 1000000) + 1);
    }
}

void cr_launch_stop(struct cr_child *c, double seconds)
{
    const int64_t deadline = now() + (int64_t)(seconds * 1e9);
    close_end(&c->input);
    if (c->output >= 0) drain(c, deadline);
    /* Its output has ended, so it will in a moment; there is no waitpid with a deadline. */
    while (!cr_launch_ended(c) && now() < deadline) nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
    if (c->pid != 0) {
        kill(-c->pid, SIGKILL);
        while (waitpid(c->pid, &c->status, 0) < 0 && errno == EINTR) {}
        c->pid = 0;
    }
    close_end(&c->output);
}
