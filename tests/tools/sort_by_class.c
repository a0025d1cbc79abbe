/* sort_by_class IMAGES LABELS FROM TO: copies the IDX files IMAGES and LABELS of folder FROM to folder TO, images of
 * class 0 first, then those of class 1, and so on; within a class their order stays. */
#include <stdio.h>
#include <stdlib.h>

enum { IMAGE_HEADER = 16, LABEL_HEADER = 8, CLASSES = 256 };

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static FILE *open_in(const char *folder, const char *name, const char *mode)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *const f = fopen(path, mode);
    if (!f) fail(path);
    return f;
}

static unsigned char *read_all(const char *folder, const char *name, size_t *size)
{
    FILE *const f = open_in(folder, name, "rb");
    if (fseek(f, 0, SEEK_END) != 0) fail(name);
    *size = (size_t)ftell(f);
    rewind(f);
    unsigned char *const bytes = malloc(*size);
    if (!bytes || fread(bytes, 1, *size, f) != *size) fail(name);
    fclose(f);
    return bytes;
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: sort_by_class IMAGES LABELS FROM TO\n");
        return 2;
    }
    size_t image_size, label_size;
    unsigned char *const images = read_all(argv[3], argv[1], &image_size);
    unsigned char *const labels = read_all(argv[3], argv[2], &label_size);
    const size_t count = label_size - LABEL_HEADER, pixels = (image_size - IMAGE_HEADER) / count;

    FILE *const image_out = open_in(argv[4], argv[1], "wb"), *const label_out = open_in(argv[4], argv[2], "wb");
    fwrite(images, 1, IMAGE_HEADER, image_out);
    fwrite(labels, 1, LABEL_HEADER, label_out);
    for (int class = 0; class < CLASSES; class++) {
        for (size_t i = 0; i < count; i++) {
            if (labels[LABEL_HEADER + i] != class) continue;
            fwrite(images + IMAGE_HEADER + i * pixels, 1, pixels, image_out);
            fputc(class, label_out);
        }
    }
    if (fclose(image_out) != 0 || fclose(label_out) != 0) fail(argv[4]);
    free(images);
    free(labels);
    return 0;
}
