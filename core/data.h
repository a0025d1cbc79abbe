/* Data sets: images as bytes, labels as bytes, memory-mapped where the file allows it.
 *
 * A data set is a folder with the four IDX files of MNIST (train-images-idx3-ubyte and so on, each also as .gz), or
 * images of another shape in the same format: (count, height, width) or (count, channels, height, width), all u8. */
#ifndef CR_CORE_DATA_H
#define CR_CORE_DATA_H

#include <stddef.h>
#include <stdint.h>

#include "simd/error.h"

enum { CR_MAX_CHANNELS = 16, CR_MAX_SIDE = 4096, CR_MAX_CLASSES = 256 };

/* Exact sums over the pixels of the training split, per channel: what normalisation and fingerprint are made of. */
struct cr_pixel_sums {
    size_t images; /* how many they are taken over; 0 = not taken yet */
    uint64_t sum[CR_MAX_CHANNELS], squares[CR_MAX_CHANNELS];
};

/* One split of a data set. Read-only after opening, so any number of threads may read it. */
struct cr_split {
    const uint8_t *images; /* (count, channels, height, width) */
    const uint8_t *labels; /* (count), each < classes of the set */
    size_t count;
    void *image_map, *label_map; /* owned; how the bytes are held (core/data_idx.c) */
    char label_file[64];   /* name inside the folder, for messages */
};

struct cr_data {
    char path[512];           /* the folder as the user named it */
    int channels, height, width;
    int classes;              /* as many as classes.txt of the folder has lines, else 1 + the greatest label of the
                                 training split; at least 2 */
    char *class_names;        /* classes strings, each with its 0, one after another; "0", "1", ... without
                                 classes.txt; owned */
    struct cr_split train, test;
    struct cr_pixel_sums sums; /* filled by cr_data_measure */
};

/* Open and check a folder. On failure *d is empty; errors name file and byte. The caller closes it. Labels are
 * checked, pixels are not touched: a few ms at most for unpacked MNIST.
 *   -CR_E_INPUT  missing folder or file, wrong magic, truncated file, count mismatch, label out of range
 *   -CR_E_NOMEM, -CR_E_IO */
int cr_data_open(struct cr_data *d, const char *folder, struct cr_error *e);
/* Does a folder hold a file that cr_data_open would look at? Then its name. */
int cr_data_present(const char *folder, char name[64]);
void cr_data_close(struct cr_data *d);

/* Name of class k (k < d->classes). Owned by d. */
const char *cr_data_class_name(const struct cr_data *d, int k);

/* Is every label of both splits below `classes`, the outputs of a network? -CR_E_INPUT names file and byte of the
 * first that is not. */
int cr_data_check_classes(const struct cr_data *d, int classes, struct cr_error *e);

/* Take the pixel sums of the whole training split once (about 10 ms for MNIST, its first touch included), so that
 * cr_normalization_of and cr_data_fingerprint need not pass over the pixels again. Optional; not thread-safe. */
void cr_data_measure(struct cr_data *d);

/* One IDX file of u8 (ubyte), plain or gzip'd, as bytes. dims[0..ndim-1] are its dimensions, slowest first. A plain
 * file is memory-mapped, a gzip'd one inflated into memory. Both are released with cr_idx_close. Used by
 * cr_data_open and by `corering predict`. */
struct cr_idx {
    const uint8_t *bytes; /* product of dims */
    size_t dims[4];
    int ndim;             /* 1..4 */
    void *map;            /* owned */
};
int cr_idx_open(struct cr_idx *x, const char *path, struct cr_error *e);
void cr_idx_close(struct cr_idx *x);
/* Write an IDX file of u8, whole or not at all. cr_idx_put appends one to a file being written (core/file.h), for
 * those who put several in place together. */
struct cr_file;
int cr_idx_put(struct cr_file *f, const size_t *dims, int ndim, const uint8_t *bytes, struct cr_error *e);
int cr_idx_write(const char *path, const size_t *dims, int ndim, const uint8_t *bytes, struct cr_error *e);

/* How bytes become floats: x = fma((float)byte, scale[c], shift[c]), the field's (x - mean) / std per channel. */
enum cr_normalize { CR_NORMALIZE_STD, CR_NORMALIZE_UNIT, CR_NORMALIZE_NONE, CR_NORMALIZE_GIVEN };
struct cr_normalization {
    enum cr_normalize kind;
    int channels;
    double mean[CR_MAX_CHANNELS], std[CR_MAX_CHANNELS]; /* of bytes / 255 */
    float scale[CR_MAX_CHANNELS], shift[CR_MAX_CHANNELS];
};
/* Fill *z. CR_NORMALIZE_STD takes mean and std from exact integer sums over the first `count` training images; GIVEN
 * takes the arguments mean and std, in units of bytes / 255, for every channel. A std of 0 becomes 1. */
void cr_normalization_of(struct cr_normalization *z, enum cr_normalize kind, const struct cr_data *d, size_t count,
                         double mean, double std);

/* A cheap fingerprint of the training split: shape, counts, exact pixel sums, label hash. Same data, same number, on
 * every machine; no pass over the pixels after cr_data_measure. A resumed run compares it. */
uint64_t cr_data_fingerprint(const struct cr_data *d);

/* Draw the synthetic digits (60,000 + 10,000 IDX images, 28x28, keyed by seed) into a folder. The same bytes on
 * every machine and for every number of threads. */
int cr_synth_write(const char *folder, uint64_t seed, size_t train, size_t test, struct cr_error *e);

/* Read a PGM/PPM image (P2, P5, P3, P6; maxval <= 65535; at most 16,384 a side) as u8 grey, *width x *height,
 * malloc'd, caller frees. Colours become grey by Rec. 601 weights. -CR_E_INPUT with the byte, -CR_E_NOMEM, -CR_E_IO. */
int cr_pnm_read(const char *path, uint8_t **grey, int *width, int *height, struct cr_error *e);
/* Fit a grey picture into out_height x out_width: invert it when its border is lighter than its inside (dark on
 * light), crop to what is drawn, scale to fit a centred box like MNIST's 20x20 of 28x28 (area averaging), centre by
 * mass, and stretch to black ground and white ink. A picture that has the right size already is only inverted when
 * needed. *inverted and *resized tell what was done; either may be NULL. */
void cr_image_fit(const uint8_t *grey, int width, int height, uint8_t *out, int out_width, int out_height,
                  int *inverted, int *resized);

#endif
