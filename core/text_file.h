/* Reading a file that people wrote. */
#ifndef CR_CORE_TEXT_FILE_H
#define CR_CORE_TEXT_FILE_H

#include <stddef.h>

#include "simd/error.h"

/* The whole file into text, of room for `most` + 2 bytes, 0 behind it; without the mark that some editors put first (a
 * UTF-8 BOM). Of a longer file `most` + 1 bytes are read, whatever they are. what: "the network". Returns how many
 * bytes, or -CR_E_INPUT when there is no such file or it holds a zero byte, and -CR_E_IO when it cannot be read. */
long cr_text_read(const char *path, const char *what, char *text, size_t most, struct cr_error *e);

#endif
