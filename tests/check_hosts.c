/* Hosts files and -H, the summons, processes on this machine, and the sentences for what can go wrong with ssh. */
#define _POSIX_C_SOURCE 200809L

#include <check.h>
#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dist/launch.h"
#include "tests/suites.h"

/* A fuzz target is a file of its own, with the one name that fuzzers know. */
#define LLVMFuzzerTestOneInput fuzz_hosts
#include "tests/fuzz/fuzz_hosts.c"

static struct cr_hosts h;
static struct cr_error e;

static void forget(void) { cr_hosts_free(&h); }

static int read_text(const char *text) { return cr_hosts_read_text(&h, "hosts", text, strlen(text), &e); }

START_TEST(file)
{
    ck_assert_msg(read_text("# name       how many threads\r\n"
                            "node1        slots=8\n"
                            "\n"
                            "  node2\tslots=8 port=2222 user=ann data=/scratch/mnist # here\n"
                            "10.0.0.7\n"
                            "[fe80::1%eth0] slots=1\n"
                            "localhost    slots=2") == 0, "%s", e.text);
    ck_assert_int_eq(h.count, 5);
    ck_assert_str_eq(h.host[0].name, "node1");
    ck_assert_int_eq(h.host[0].slots, 8);
    ck_assert_int_eq(h.host[0].line, 2);
    ck_assert_int_eq(h.host[0].local, 0);
    ck_assert_str_eq(h.host[1].name, "node2");
    ck_assert_int_eq(h.host[1].port, 2222);
    ck_assert_str_eq(h.host[1].user, "ann");
    ck_assert_str_eq(h.host[1].data, "/scratch/mnist");
    ck_assert_int_eq(h.host[1].line, 4);
    ck_assert_int_eq(h.host[2].slots, 0);
    ck_assert_str_eq(h.host[3].name, "fe80::1%eth0");
    ck_assert_int_eq(h.host[4].local, 1);
}
END_TEST

/* Text, where the message points, and a part of it. */
static const struct {
    const char *text, *says;
    long line, column;
} refused[] = {
    { "", "names no host", 0, 0 },
    { "# nothing\n\n", "names no host", 0, 0 },
    { "-oProxyCommand=x\n", "cannot begin with '-'", 1, 1 },
    { "a\nb;reboot\n", "letters, digits", 2, 2 },
    { "ann@node1\n", "user=NAME", 1, 4 },
    { "$(reboot)\n", "letters, digits", 1, 1 },
    { "a user=-l\n", "cannot begin with '-'", 1, 8 },
    { "a user=ann$x\n", "letters, digits", 1, 11 },
    { "a user=\n", "missing", 1, 8 },
    { "a slots=0\n", "from 1 to", 1, 9 },
    { "a slots=-1\n", "from 1 to", 1, 9 },
    { "a slots=2x\n", "from 1 to", 1, 9 },
    { "a slots=99999999999999999999\n", "from 1 to", 1, 9 },
    { "a port=65536\n", "from 1 to 65535", 1, 8 },
    { "a data=\n", "needs a folder", 1, 8 },
    { "a max_slots=2\n", "known are", 1, 3 },
    { "a b\n", "makes no sense", 1, 3 },
    { "node1:8\n", "slots=N", 1, 1 },
    { "fe80::1%\n", "no IPv6 address", 1, 1 },
    { "[::1\n", "no IPv6 address", 1, 1 },
    { "a%b\n", "letters, digits", 1, 2 },
    { "a \x01\n", "no text", 1, 3 },
};

START_TEST(file_refused)
{
    const int rc = read_text(refused[_i].text);
    ck_assert_msg(rc == -CR_E_INPUT, "'%s' passes", refused[_i].text);
    ck_assert_msg(strstr(e.text, refused[_i].says) != NULL, "'%s' gives: %s", refused[_i].text, e.text);
    ck_assert_msg(e.line == refused[_i].line && e.column == refused[_i].column, "'%s' gives: %s", refused[_i].text,
                  e.text);
}
END_TEST

START_TEST(file_limits)
{
    static char text[(CR_MAX_RANKS + 1) * 2 + 1], name[300];
    for (int i = 0; i <= CR_MAX_RANKS; i++) memcpy(text + 2 * i, "a\n", 3);
    ck_assert_int_eq(read_text(text), -CR_E_INPUT);
    ck_assert_ptr_nonnull(strstr(e.text, "more than"));
    ck_assert_int_eq(e.line, CR_MAX_RANKS + 1);
    forget();
    text[2 * CR_MAX_RANKS] = 0;
    ck_assert_int_eq(read_text(text), 0);
    ck_assert_int_eq(h.count, CR_MAX_RANKS);
    forget();
    memset(name, 'a', sizeof name - 1);
    ck_assert_int_eq(read_text(name), -CR_E_INPUT);
    name[255] = 0;
    forget();
    ck_assert_int_eq(read_text(name), 0);
    ck_assert_str_eq(h.host[0].name, name);
}
END_TEST

START_TEST(file_missing)
{
    ck_assert_int_eq(cr_hosts_read(&h, "/nowhere/hosts", &e), -CR_E_USAGE);
    ck_assert_ptr_nonnull(strstr(e.text, "/nowhere/hosts"));
    ck_assert_int_eq(cr_hosts_read(&h, "/", &e), -CR_E_USAGE);
}
END_TEST

START_TEST(list)
{
    ck_assert_int_eq(cr_hosts_parse(&h, "a:2,b,[::1]:3,[fe80::2%eth0],::1,fd77::1", &e), 0);
    ck_assert_int_eq(h.count, 6);
    ck_assert_str_eq(h.host[0].name, "a");
    ck_assert_int_eq(h.host[0].slots, 2);
    ck_assert_int_eq(h.host[0].line, 0);
    ck_assert_int_eq(h.host[1].slots, 0);
    ck_assert_str_eq(h.host[2].name, "::1");
    ck_assert_int_eq(h.host[2].slots, 3);
    ck_assert_int_eq(h.host[2].local, 1);
    ck_assert_str_eq(h.host[3].name, "fe80::2%eth0");
    ck_assert_int_eq(h.host[4].slots, 0);
    ck_assert_str_eq(h.host[5].name, "fd77::1");
}
END_TEST

START_TEST(list_refused)
{
    static const char *const text[] = { "", ",", "a,", ",a", "a,,b", "a:", "a:0", "a:x", "-a", "a b", "[::1]:",
                                        "[::1]x", "[]", "[]:2", "a:2:3", "a;b", "::1:2:3:4:5:6:7:8:9" };
    for (size_t i = 0; i < sizeof text / sizeof *text; i++) {
        ck_assert_msg(cr_hosts_parse(&h, text[i], &e) == -CR_E_USAGE, "'%s' passes", text[i]);
        ck_assert_msg(strncmp(e.text, "-H: ", 4) == 0, "%s", e.text);
        forget();
    }
}
END_TEST

START_TEST(own_name)
{
    char own[300];
    ck_assert_int_eq(gethostname(own, 256), 0);
    ck_assert_int_eq(read_text(own), 0);
    ck_assert_int_eq(h.host[0].local, 1);
    forget();
    strcat(own, ".elsewhere"); /* another machine of that first name */
    ck_assert_int_eq(read_text(own), 0);
    ck_assert_int_eq(h.host[0].local, 0);
    forget();
    ck_assert_int_eq(read_text("localhost port=2222\nlocalhost user=ann\n"), 0); /* asks for ssh */
    ck_assert(!h.host[0].local && !h.host[1].local);
}
END_TEST

START_TEST(summons)
{
    struct cr_summons s = { .rank = 1023, .incarnation = UINT32_MAX, .slots = 0, .secure = 1,
                            .probe = 1, .count = CR_MAX_ADDRESSES, .data = "/a folder/with = and ,commas" };
    struct cr_summons r;
    char text[CR_SUMMONS_TEXT], ending[] = "x\ny";
    for (size_t i = 0; i < sizeof s.job; i++) s.job[i] = (uint8_t)(17 * i);
    for (size_t i = 0; i < sizeof s.key.bytes; i++) s.key.bytes[i] = (uint8_t)(255 - i);
    for (int i = 0; i < s.count; i++)
        ck_assert_int_eq(cr_address_parse(&s.arbiter[i], i % 2 ? "[fe80::1%3]:65535" : "10.0.0.1:4711", &e), 0);
    for (s.key.none = 0; s.key.none < 2; s.key.none++) {
        ck_assert_int_eq(cr_summons_write(&s, text, &e), 0);
        ck_assert_ptr_eq(strchr(text, '\n'), text + strlen(text) - 1);
        ck_assert_msg(cr_summons_read(&r, text, &e) == 0, "%s", e.text);
        ck_assert_int_eq(r.rank, s.rank);
        ck_assert(r.incarnation == s.incarnation && r.slots == s.slots && r.count == s.count);
        ck_assert(r.secure == 1 && r.probe == 1);
        ck_assert_mem_eq(r.job, s.job, sizeof s.job);
        ck_assert_int_eq(r.key.none, s.key.none);
        if (!s.key.none) ck_assert_mem_eq(r.key.bytes, s.key.bytes, sizeof s.key.bytes);
        for (int i = 0; i < s.count; i++) ck_assert(cr_address_equal(&r.arbiter[i], &s.arbiter[i], 1));
        ck_assert_str_eq(r.data, s.data);
    }
    memset(s.data, 'd', sizeof s.data - 1);
    ck_assert_int_eq(cr_summons_write(&s, text, &e), 0); /* the longest still fits */
    strcpy(s.data, ending);
    ck_assert_int_eq(cr_summons_write(&s, text, &e), -CR_E_USAGE);
}
END_TEST

START_TEST(summons_refused)
{
    const struct cr_summons s = { .rank = 3, .incarnation = 1, .data = "d", .key.none = 1, .count = 0 };
    struct cr_summons r;
    struct cr_summons with = s;
    char text[CR_SUMMONS_TEXT], cut[CR_SUMMONS_TEXT];
    with.count = 1;
    ck_assert_int_eq(cr_address_parse(&with.arbiter[0], "10.0.0.1:4711", &e), 0);
    ck_assert_int_eq(cr_summons_write(&with, text, &e), 0);
    ck_assert_int_eq(cr_summons_read(&r, text, &e), 0);
    for (size_t n = 0; n + 3 < strlen(text); n++) { /* without "d\n" and more it is not whole */
        memcpy(cut, text, n);
        cut[n] = 0;
        ck_assert_msg(cr_summons_read(&r, cut, &e) < 0 || n > strlen(text) - 3, "%s", cut);
    }
    ck_assert_int_eq(cr_summons_write(&s, text, &e), 0);
    ck_assert_int_lt(cr_summons_read(&r, text, &e), 0); /* no address */
    ck_assert_int_lt(cr_summons_read(&r, "GET / HTTP/1.1", &e), 0);
}
END_TEST

/* What is said, the exit status as waitpid gives it, a part of the sentence. */
static const struct {
    const char *said;
    int status;
    const char *reason;
} reasons[] = {
    { "ssh: Could not resolve hostname node1: Name or service not known", 0xff00, "name does not resolve" },
    { "ssh: connect to host node1 port 22: Connection refused", 0xff00, "no sshd listens" },
    { "ssh: connect to host node1 port 22: Connection timed out", 0xff00, "firewall" },
    { "ssh: connect to host node1 port 22: No route to host", 0xff00, "no way to it" },
    { "Connection timed out during banner exchange", 0xff00, "not answer as an sshd" },
    { "Connection to 10.0.0.1 port 22 timed out", 0xff00, "ping -M do -s 1472 node1" },
    { "Connection to node1 closed by remote host.", 0xff00, "closed from there" },
    { "ann@node1: Permission denied (publickey,password).", 0xff00, "ssh-copy-id -p 2222 ann@node1" },
    { "Host key verification failed.", 0xff00, "'ssh -p 2222 ann@node1'" },
    { "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\r\nHost key verification failed.\r\n", 0xff00,
      "ssh-keygen -R node1" },
    { "corering: no space for the program in /x; free some", 0x0100, "no space for the program in /x; free some" },
    { "corering: the host runs Darwin\nsomething that ssh says", 0x000f, "the host runs Darwin" },
    { "/bin/sh: 1: exec: /x/corering: Permission denied", 0x7e00, "noexec" },
    { "connect: Connection refused", 0x0100, "status 1; it said: connect: Connection refused" },
    { "", 0x0009, "signal 9" },
    { "", 0xff00, "ssh failed" },
};

START_TEST(reason)
{
    const struct cr_host host = { .name = "node1", .user = "ann", .port = 2222 };
    const struct cr_child child = { .status = reasons[_i].status };
    ck_assert_int_eq(cr_launch_reason(&child, &host, reasons[_i].said, &e), -CR_E_PEER);
    ck_assert_msg(strncmp(e.text, "node1: ", 7) == 0 && strstr(e.text, reasons[_i].reason) != NULL, "%s", e.text);
    ck_assert_str_eq(e.host, "node1");
    ck_assert_ptr_null(strchr(e.text, '\n'));
}
END_TEST

/* ---- processes on this machine: a shell script in the program's place ---- */

static char program[64];

static void write_program(const char *text)
{
    strcpy(program, "/tmp/corering-check-XXXXXX");
    const int fd = mkstemp(program);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fchmod(fd, 0700), 0);
    ck_assert_int_eq((int)write(fd, text, strlen(text)), (int)strlen(text));
    close(fd);
}

static void launch(struct cr_child *c)
{
    const struct cr_host host = { .name = "localhost", .local = 1 };
    const struct cr_launch_options o = { .program = program };
    struct cr_summons s = { .rank = 2, .incarnation = 1, .key.none = 1, .count = 1, .data = "d" };
    ck_assert_int_eq(cr_address_parse(&s.arbiter[0], "10.0.0.1:4711", &e), 0);
    ck_assert_msg(cr_launch(c, &host, &o, &s, &e) == 0, "%s", e.text);
}

/* All it says until `mark`, or to the end. */
static void read_all(const struct cr_child *c, const char *mark, char *said, size_t room)
{
    size_t n = 0;
    said[0] = 0;
    while (!mark || !strstr(said, mark)) {
        struct pollfd p = { .fd = c->output, .events = POLLIN };
        poll(&p, 1, 10000);
        const ssize_t got = read(c->output, said + n, room - 1 - n);
        if (got <= 0) return;
        said[n += (size_t)got] = 0;
    }
}

START_TEST(local)
{
    struct cr_child c;
    char said[2048];
    write_program("#!/bin/sh\necho $1\nread -r line\necho \"$line\" >&2\ncat\nexit 7\n");
    launch(&c);
    read_all(&c, "data=d\n", said, sizeof said);
    ck_assert_msg(strncmp(said, "rank\ncorering-summons 1 rank=2 ", 31) == 0, "%s", said);
    ck_assert_int_eq(cr_launch_ended(&c), 0);
    close(c.input);
    c.input = -1;
    read_all(&c, NULL, said, sizeof said);
    cr_launch_stop(&c, 10);
    ck_assert_int_eq(cr_launch_ended(&c), 1);
    ck_assert_int_eq(WEXITSTATUS(c.status), 7);
    ck_assert(c.output == -1 && c.pid == 0);
}
END_TEST

/* One that does not look at its input, and has a child of its own. */
START_TEST(local_stubborn)
{
    struct cr_child c;
    char said[2048];
    write_program("#!/bin/sh\ntrap '' TERM\nsleep 1000 &\necho $!\nwait\n");
    launch(&c);
    read_all(&c, "\n", said, sizeof said);
    cr_launch_stop(&c, 0.1);
    ck_assert(WIFSIGNALED(c.status) && WTERMSIG(c.status) == SIGKILL);
    const pid_t grandchild = (pid_t)atol(said);
    for (int i = 0; i < 1000 && kill(grandchild, 0) == 0; i++) poll(NULL, 0, 10);
    ck_assert_int_lt(kill(grandchild, 0), 0);
}
END_TEST

START_TEST(local_missing)
{
    const struct cr_host host = { .name = "localhost", .local = 1 };
    struct cr_child c;
    char said[2048];
    strcpy(program, "/nowhere/corering");
    launch(&c);
    read_all(&c, NULL, said, sizeof said);
    cr_launch_stop(&c, 10);
    ck_assert_int_eq(cr_launch_reason(&c, &host, said, &e), -CR_E_PEER);
    ck_assert_str_eq(e.text, "localhost: /nowhere/corering cannot be run on this machine: is it there and executable?");
    program[0] = 0;
}
END_TEST

/* The launcher is killed: who does not look at its input ends as well. */
START_TEST(local_orphan)
{
    struct cr_child c;
    char said[2048];
    int told[2];
    write_program("#!/bin/sh\necho $$\nexec sleep 1000\n");
    ck_assert_int_eq(pipe(told), 0);
    const pid_t launcher = fork();
    ck_assert_int_ge(launcher, 0);
    if (launcher == 0) {
        launch(&c);
        read_all(&c, "\n", said, sizeof said);
        if (write(told[1], said, strlen(said)) > 0) pause();
        _exit(1);
    }
    ck_assert_int_gt((int)read(told[0], said, sizeof said - 1), 0);
    const pid_t orphan = (pid_t)atol(said);
    ck_assert_int_eq(kill(orphan, 0), 0);
    kill(launcher, SIGKILL);
    waitpid(launcher, NULL, 0);
    for (int i = 0; i < 1000 && kill(orphan, 0) == 0; i++) poll(NULL, 0, 10);
    ck_assert_int_lt(kill(orphan, 0), 0);
    close(told[0]);
    close(told[1]);
}
END_TEST

static void remove_program(void)
{
    if (*program) unlink(program);
    program[0] = 0;
}

/* What fuzzing starts from and what it once found. The source folder is told by tests/run. */
START_TEST(fuzz_corpus)
{
    char corpus[512], path[1024];
    uint8_t bytes[8192];
    int files = 0;
    const char *const source = getenv("SRCDIR");
    if (!source) return;
    snprintf(corpus, sizeof corpus, "%s/tests/fuzz/hosts", source);
    DIR *const folder = opendir(corpus);
    ck_assert_ptr_nonnull(folder);
    for (struct dirent *d; (d = readdir(folder)) != NULL;) {
        if (d->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%s/%s", corpus, d->d_name);
        FILE *const f = fopen(path, "rb");
        ck_assert_ptr_nonnull(f);
        const size_t n = fread(bytes, 1, sizeof bytes, f);
        fclose(f);
        fuzz_hosts(bytes, n);
        files++;
    }
    closedir(folder);
    ck_assert_int_gt(files, 0);
}
END_TEST

Suite *hosts_suite(void)
{
    Suite *const s = suite_create("hosts");
    TCase *const tc = tcase_create("hosts");
    tcase_add_checked_fixture(tc, NULL, forget);
    tcase_add_checked_fixture(tc, NULL, remove_program);
    tcase_add_test(tc, file);
    tcase_add_loop_test(tc, file_refused, 0, sizeof refused / sizeof *refused);
    tcase_add_test(tc, file_limits);
    tcase_add_test(tc, file_missing);
    tcase_add_test(tc, list);
    tcase_add_test(tc, list_refused);
    tcase_add_test(tc, own_name);
    tcase_add_test(tc, summons);
    tcase_add_test(tc, summons_refused);
    tcase_add_loop_test(tc, reason, 0, sizeof reasons / sizeof *reasons);
    tcase_add_test(tc, local);
    tcase_add_test(tc, local_stubborn);
    tcase_add_test(tc, local_missing);
    tcase_add_test(tc, local_orphan);
    tcase_add_test(tc, fuzz_corpus);
    suite_add_tcase(s, tc);
    return s;
}
