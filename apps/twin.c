#define _POSIX_C_SOURCE 200809L

#include "apps/twin.h"

#include <elf.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#if UINTPTR_MAX > 0xffffffff
typedef Elf64_Ehdr elf_head;
typedef Elf64_Phdr elf_segment;
#else
typedef Elf32_Ehdr elf_head;
typedef Elf32_Phdr elf_segment;
#endif

int cr_find_program(char path[CR_TWIN_PATH])
{
    const ssize_t n = readlink("/proc/self/exe", path, CR_TWIN_PATH - 1);
    path[n > 0 ? n : 0] = 0;
    return n > 0 ? 0 : -1;
}

/* A program that names no loader needs no library of the host it runs on. */
static int is_static(const char *path)
{
    elf_head head;
    elf_segment segment;
    FILE *const f = fopen(path, "rb");
    if (!f) return 0;
    int good = fread(&head, sizeof head, 1, f) == 1 && memcmp(head.e_ident, ELFMAG, SELFMAG) == 0 &&
               fseek(f, (long)head.e_phoff, SEEK_SET) == 0;
    for (int i = 0; good && i < head.e_phnum; i++)
        good = fread(&segment, sizeof segment, 1, f) == 1 && segment.p_type != PT_INTERP;
    fclose(f);
    return good;
}

int cr_find_twin(char path[CR_TWIN_PATH])
{
    static const char *const places[] = { "corering-static", "obj/corering-static",
                                          "../libexec/corering/corering-static" };
    char own[CR_TWIN_PATH];
    path[0] = 0;
    if (cr_find_program(own) < 0) return 0;
    if (is_static(own)) {
        strcpy(path, own);
        return 1;
    }
    *(strrchr(own, '/') + 1) = 0;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        const int n = snprintf(path, CR_TWIN_PATH, "%s%s", own, places[i]);
        if (n > 0 && n < CR_TWIN_PATH && access(path, R_OK) == 0) return 1;
    }
    path[0] = 0;
    return 0;
}
