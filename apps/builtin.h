/* Texts built into the program: the networks of apps/nets/, the recipes of apps/recipes/ and the shell script
 * datasets/get, which the Makefile turns into C strings. Each list ends with a NULL name. */
#ifndef CR_APPS_BUILTIN_H
#define CR_APPS_BUILTIN_H

struct cr_builtin {
    const char *name; /* file name without folder and ending */
    const char *text; /* the whole file */
};

extern const struct cr_builtin cr_builtin_nets[];
extern const struct cr_builtin cr_builtin_recipes[];
extern const struct cr_builtin cr_builtin_scripts[];

#endif
