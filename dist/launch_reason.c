/* Why a host could not be started: what ssh, the login shell, our script or the rank said last, in the user's terms.
 *
 * ssh's own words are those of OpenSSH 6 to 10 in the C locale; sentences that begin with "corering: " are ours, made
 * where the fault was seen, and pass as they are. */
#define _POSIX_C_SOURCE 200809L

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "dist/launch.h"

/* In the remedies: %h the host, %l how the user logs in there by ssh ("-p 2222 ann@host"). */
static const struct {
    const char *said, *what;
} reasons[] = {
    { "REMOTE HOST IDENTIFICATION HAS CHANGED",
      "its host key is not the one known here, so it may be another machine: if it was installed anew, forget the old "
      "key (ssh-keygen -R %h), log in once with 'ssh %l' and compare the fingerprint it shows" },
    { "Host key verification failed",
      "its host key is not known here, or has changed: log in once with 'ssh %l' and compare the fingerprint it shows "
      "with that of the host (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub there); for many hosts, ssh-keyscan" },
    { "Permission denied, please try again", "ssh's login is refused: let this user in by key with: ssh-copy-id %l" },
    { "Permission denied (", "ssh's login is refused: let this user in by key with: ssh-copy-id %l" },
    { "Too many authentication failures",
      "ssh offered too many keys: name the right one with --ssh \"ssh -o IdentitiesOnly=yes -i KEY\"" },
    { "Could not resolve hostname",
      "its name does not resolve here: correct it, add it to /etc/hosts or DNS, or write its address instead" },
    { "Connection refused",
      "it is there but no sshd listens on its port: start sshd there (systemctl start ssh), or give port=N" },
    { "banner exchange", "something listens on its ssh port but does not answer as an sshd: is port= right?" },
    { "Connection timed out",
      "it does not answer: is it switched on and in this network, and does a firewall let ssh's port through?" },
    { "Operation timed out",
      "it does not answer: is it switched on and in this network, and does a firewall let ssh's port through?" },
    { "closed by remote host", "the connection to it was closed from there: is its sshd or the machine restarting?" },
    { "Connection to ",
      "ssh's connection comes up and then stalls: large packets are lost on the way to it (an MTU black hole: does "
      "'ping -M do -s 1472 %h' answer, where 'ping -s 100 %h' does?), or the machine hangs" },
    { "No route to host",
      "there is no way to it: is it switched on and in this network? (ip route get ADDRESS shows the way; a firewall "
      "that rejects looks the same)" },
    { "Network is unreachable", "there is no route to its network from here: see 'ip route'" },
    { "Unable to negotiate", "its sshd and this ssh have no method in common: update the older of the two" },
    { "kex_exchange_identification",
      "its sshd closed the connection at once: too many logins at a time (MaxStartups in sshd_config), or this machine "
      "is blocked there (hosts.deny, fail2ban)" },
    { "Bad owner or permissions", "ssh refuses its settings here: chmod 600 ~/.ssh/config" },
    { "not responding", "the connection to it was lost: it does not answer any more" },
    { "Connection reset", "the connection to it was lost (reset): is its sshd or the machine restarting?" },
    { "Connection closed", "its sshd closed the connection before the login: see sshd's log there" },
    { "Broken pipe", "the connection to it was lost" },
};

/* The sentence with %h and %l filled in. */
static void fill(char *out, size_t room, const char *sentence, const struct cr_host *host)
{
    char port[16] = "";
    if (host->port) snprintf(port, sizeof port, "-p %d ", host->port);
    size_t used = 0;
    for (const char *at = sentence; *at && used + 1 < room; at++) {
        int n = 0;
        if (at[0] == '%' && at[1] == 'h') {
            n = snprintf(out + used, room - used, "%s", host->name);
        } else if (at[0] == '%' && at[1] == 'l') {
            n = snprintf(out + used, room - used, "%s%s%s%s", port, host->user, *host->user ? "@" : "", host->name);
        } else {
            out[used++] = *at;
            continue;
        }
        used = n < 0 || (size_t)n >= room - used ? room - 1 : used + (size_t)n;
        at++;
    }
    out[used] = 0;
}

/* The last line that is not empty, without \r. */
static void last_of(const char *said, char line[512])
{
    line[0] = 0;
    while (*said) {
        const size_t length = strcspn(said, "\r\n");
        if (length > 0) snprintf(line, 512, "%.*s", (int)length, said);
        said += length;
        said += strspn(said, "\r\n");
    }
}

/* The last of our own sentences; ssh may say something after it. */
static const char *our_sentence(const char *said, char line[512])
{
    static const char mark[] = "corering: ";
    const char *last = NULL;
    for (const char *at = said; (at = strstr(at, mark)) != NULL; at++)
        if (at == said || at[-1] == '\n') last = at + sizeof mark - 1;
    if (last) snprintf(line, 512, "%.*s", (int)strcspn(last, "\r\n"), last);
    return last ? line : NULL;
}

static void by_status(char *out, size_t room, int status, const char *line)
{
    if (WIFSIGNALED(status))
        snprintf(out, room, "it was ended by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else if (WEXITSTATUS(status) == 126)
        snprintf(out, room, "programs cannot be run there (is the folder mounted noexec?): name another with "
                            "--remote-dir");
    else if (WEXITSTATUS(status) == 255)
        snprintf(out, room, "ssh failed, or the program there was killed (no memory? see dmesg there)");
    else
        snprintf(out, room, "it ended with status %d", WEXITSTATUS(status));
    const size_t used = strlen(out);
    if (*line) snprintf(out + used, room - used, "; it said: %s", line);
}

int cr_launch_reason(const struct cr_child *c, const struct cr_host *host, const char *last_line, struct cr_error *e)
{
    char text[640], line[512] = "";
    const char *const ours = our_sentence(last_line, line);
    if (ours) {
        snprintf(text, sizeof text, "%s", ours);
    } else {
        size_t i = 0;
        /* 255 is ssh's own failure; other numbers are those of what it ran. */
        const int sshs = !host->local && WIFEXITED(c->status) && WEXITSTATUS(c->status) == 255;
        const size_t count = sshs ? sizeof reasons / sizeof *reasons : 0;
        while (i < count && !strstr(last_line, reasons[i].said)) i++;
        last_of(last_line, line);
        if (i < count) fill(text, sizeof text, reasons[i].what, host);
        else by_status(text, sizeof text, c->status, line);
    }
    const int rc = cr_fail(e, CR_E_PEER, "%s: %s", host->name, text);
    if (e) snprintf(e->host, sizeof e->host, "%s", host->name);
    return rc;
}
