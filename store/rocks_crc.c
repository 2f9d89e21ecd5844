/*
 * The CRC-32C of RocksDB's log by the processor's own instruction. Debian builds RocksDB for every amd64, so its library
 * computes that sum from tables, which takes a quarter of a commit's processor time. This definition has the name of the
 * library's function, which the library calls through the dynamic linker: the program's own comes first. Where the
 * processor lacks SSE 4.2, and on other architectures, the library's function does the work; where a future library has
 * no such function, this one is never called.
 */
#include "store/rocks_wal.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__) && defined(__gnu_linux__)

/* uint32_t rocksdb::crc32c::Extend(uint32_t, const char *, size_t) */
#define EXTEND "_ZN7rocksdb6crc32c6ExtendEjPKcm"

__attribute__((target("sse4.2"))) static uint32_t extend_fast(uint32_t sum, const char *data, size_t n)
{
    uint64_t crc = sum ^ 0xffffffffu;
    for (; n >= 8; n -= 8, data += 8) {
        uint64_t word;
        memcpy(&word, data, sizeof word);
        crc = __builtin_ia32_crc32di(crc, word);
    }
    uint32_t last = (uint32_t)crc;
    for (; n > 0; n--, data++)
        last = __builtin_ia32_crc32qi(last, (unsigned char)*data);
    return last ^ 0xffffffffu;
}

uint32_t rocks_crc_extend(uint32_t sum, const char *data, size_t n)
{
    uint32_t (*library)(uint32_t, const char *, size_t);
    if (__builtin_cpu_supports("sse4.2"))
        return extend_fast(sum, data, n);
    void *symbol = dlsym(RTLD_NEXT, EXTEND);
    if (symbol == NULL)
        abort(); /* called by nobody but the library, which has it */
    memcpy(&library, &symbol, sizeof library);
    return library(sum, data, n);
}

#else
typedef int rocks_crc_not_needed; /* a translation unit is not empty */
#endif
