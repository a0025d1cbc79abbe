/* JSON (RFC 8259): a strict reader for headers that may be hostile, and a writer.
 *
 * The reader pulls: the caller asks for what should come next, nothing is allocated. Strings are decoded in place, so
 * the text is changed and must stay as long as they are used.
 *
 *     cr_json_open(&j, text, length);
 *     cr_json_enter_object(&j);
 *     while (cr_json_next(&j)) {
 *         const char *key = cr_json_key(&j);
 *         if (strcmp(key, "epoch") == 0) cr_json_u64(&j, &epoch); else cr_json_skip(&j);
 *     }
 *     if (cr_json_close(&j) < 0) ... j.problem at byte j.at
 *
 * The first problem sticks: from then on every call fails at once, so checking the last one is enough (cr_json_next
 * ends the loop). Refused beyond the standard: more than CR_JSON_DEPTH levels, strings with a zero character, strings
 * that are not UTF-8. */
#ifndef CR_CORE_JSON_H
#define CR_CORE_JSON_H

#include <stddef.h>
#include <stdint.h>

enum { CR_JSON_DEPTH = 8 };

struct cr_json {
    char *text;
    size_t length, at;
    const char *problem;             /* static text, what was expected or is wrong at byte `at`; NULL = none yet */
    int depth;
    char closing[CR_JSON_DEPTH];     /* the bracket that ends each level */
    int first;                       /* no element of the innermost level has been read yet */
};

/* Bytes of the UTF-8 character at p, of which `left` are there; 0 if there is none (RFC 3629: no overlong forms, no
 * surrogates, nothing above U+10FFFF). */
size_t cr_utf8_length(const char *p, size_t left);

void cr_json_open(struct cr_json *j, char *text, size_t length);
/* Nothing but blanks may follow the value that was read. 0, or -1: see j->problem. */
int cr_json_close(struct cr_json *j);

/* Each reads one value of its kind and returns 0, or -1. */
int cr_json_enter_object(struct cr_json *j);
int cr_json_enter_array(struct cr_json *j);
int cr_json_u64(struct cr_json *j, uint64_t *x); /* an integer without sign, fraction and exponent */
int cr_json_double(struct cr_json *j, double *x);
int cr_json_skip(struct cr_json *j);             /* a value of any kind */
/* The value, ended by 0, inside the text; "" after a problem, never NULL. */
const char *cr_json_string(struct cr_json *j);

/* Is there another element? 1, and it must be read (in an object: key, then value); 0 when the object or array has
 * ended, and is left with it, or there is a problem. */
int cr_json_next(struct cr_json *j);
const char *cr_json_key(struct cr_json *j);
/* Note a problem found by the caller; a text that outlives j. Returns -1. */
int cr_json_fail(struct cr_json *j, const char *problem);

/* The writer appends to memory it grows; commas and escapes are its business. `key` is NULL in arrays and for the
 * outermost value. Bytes that are not UTF-8 become U+FFFD, numbers that are not finite null.
 *
 *     struct cr_json_writer w = { 0 };
 *     cr_json_put_open(&w, NULL, '{');
 *     cr_json_put_string(&w, "event", "end");
 *     cr_json_put_close(&w, '}');
 *     if (!w.failed) fwrite(w.text, 1, w.length, f);
 *     cr_json_writer_free(&w); */
struct cr_json_writer {
    char *text;      /* (length), ended by 0; owned */
    size_t length, capacity;
    int comma;       /* an element stands before the next one */
    int failed;      /* out of memory: the text is not whole */
};

void cr_json_put_open(struct cr_json_writer *w, const char *key, char bracket); /* '{' or '[' */
void cr_json_put_close(struct cr_json_writer *w, char bracket);                 /* '}' or ']' */
void cr_json_put_string(struct cr_json_writer *w, const char *key, const char *value);
void cr_json_put_i64(struct cr_json_writer *w, const char *key, int64_t value);
void cr_json_put_u64(struct cr_json_writer *w, const char *key, uint64_t value);
void cr_json_put_double(struct cr_json_writer *w, const char *key, double value);
void cr_json_put_bool(struct cr_json_writer *w, const char *key, int value);
/* Blanks up to a length that `alignment` divides. */
void cr_json_put_blanks(struct cr_json_writer *w, size_t alignment);
/* Forget the text and keep the memory, for the next line. */
void cr_json_writer_reset(struct cr_json_writer *w);
void cr_json_writer_free(struct cr_json_writer *w);

#endif
