/* A program in corering's place for tests/launch.sh: says how it was called and summoned, and stays until the end of
 * its standard input. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    char line[4096];
    size_t n = 0;
    if (argc == 2 && strcmp(argv[1], "--version") == 0) return 0;
    if (argc != 2 || strcmp(argv[1], "rank") != 0) return 2;
    while (n + 1 < sizeof line && read(STDIN_FILENO, line + n, 1) == 1 && line[n] != '\n') n++;
    line[n] = 0;
    const char *const job = strstr(line, " job="), *const data = strstr(line, " data=");
    printf("%s: %.*s ...%s\nready\n", argv[0], job ? (int)(job - line) : 0, line, data ? data : "");
    fflush(stdout);
    while (read(STDIN_FILENO, line, sizeof line) > 0) {}
    return 0;
}
