/*
 * Runs a fuzz target over the files of a folder without libFuzzer: each file as it is, each of its
 * first bytes alone, and each byte changed in turn (for large files at a stride). So a corpus is a
 * regression test with any compiler, and a fault that needs one wrong byte is found without luck.
 */
#include "crdt/alloc.h"
#include "crdt/bytes.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define VARIANTS_MAX 1500 /* of each kind, a file */

/* On an exact heap block, so that the sanitizer sees a read beyond the end. */
static void run_one(const uint8_t *p, size_t n)
{
    uint8_t *copy = mem_dup(p, n);
    (void)LLVMFuzzerTestOneInput(copy, n);
    free(copy);
}

static size_t run_variants(uint8_t *p, size_t n)
{
    size_t stride = 1 + n / VARIANTS_MAX, runs = 1;
    run_one(p, n);
    for (size_t i = 0; i < n; i += stride, runs += 3) {
        uint8_t was = p[i];
        run_one(p, i);
        p[i] = (uint8_t)~was;
        run_one(p, n);
        p[i] = (uint8_t)(was ^ 1u << i % 8);
        run_one(p, n);
        p[i] = was;
    }
    return runs;
}

static bool read_file(const char *path, struct buf *out)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        return false;
    size_t n;
    do {
        n = fread(buf_grow(out, 65536), 1, 65536, f);
        out->n += n;
    } while (n > 0);
    bool good = !ferror(f);
    (void)fclose(f);
    return good;
}

static size_t run_folder(const char *path, size_t *runs)
{
    size_t files = 0;
    DIR *dir = opendir(path);
    for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;) {
        struct buf name = {0}, content = {0};
        buf_printf(&name, "%s/%s", path, e->d_name);
        if (e->d_name[0] != '.' && read_file(buf_cstr(&name), &content)) {
            *runs += run_variants(buf_grow(&content, 1) - content.n, content.n);
            files++;
        }
        buf_close(&name);
        buf_close(&content);
    }
    if (dir != NULL)
        (void)closedir(dir);
    return files;
}

int main(int argc, char **argv)
{
    size_t runs = 0;
    for (int i = 1; i < argc; i++) {
        size_t files = run_folder(argv[i], &runs);
        if (files == 0) {
            (void)fprintf(stderr, "replay: no files in %s: a fuzz target needs a corpus to start from\n", argv[i]);
            return 1;
        }
        (void)printf("%s: %zu files, %zu runs\n", argv[i], files, runs);
    }
    return argc > 1 ? 0 : 1;
}
