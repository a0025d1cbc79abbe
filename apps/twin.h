/* The static program: what is copied to hosts that have none (dist/launch.h). */
#ifndef CR_APPS_TWIN_H
#define CR_APPS_TWIN_H

enum { CR_TWIN_PATH = 4096 };

/* Where this program itself lies. 0, or -1 when the system does not tell. */
int cr_find_program(char path[CR_TWIN_PATH]);
/* Its static twin: corering-static beside it, in obj/ beside it (the build folder), in libexec/corering of the prefix;
 * or the program itself when it is static. 1, or 0 when there is none, path being "". */
int cr_find_twin(char path[CR_TWIN_PATH]);

#endif
