/*
 * Our CRC-32C in the place of RocksDB's: the published values, every length and alignment against the sum bit by bit, and
 * that the library calls it.
 */
#include "store/kv.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
uint32_t extend(uint32_t sum, const char *data, size_t n) __asm__("_ZN7rocksdb6crc32c6ExtendEjPKcm");

static uint32_t bit_by_bit(uint32_t sum, const char *data, size_t n)
{
    uint32_t crc = ~sum;
    for (size_t i = 0; i < n; i++) {
        crc ^= (uint8_t)data[i];
        for (int k = 0; k < 8; k++)
            crc = (crc >> 1) ^ (0x82f63b78u & (0u - (crc & 1)));
    }
    return ~crc;
}

Test(rocks_crc, published_values) /* RFC 3720, B.4 */
{
    char zeros[32] = {0}, ones[32];
    memset(ones, 0xff, sizeof ones);
    cr_assert_eq(extend(0, zeros, 32), 0x8a9136aau);
    cr_assert_eq(extend(0, ones, 32), 0x62a8ab43u);
    cr_assert_eq(extend(0, "123456789", 9), 0xe3069283u);
}

Test(rocks_crc, every_length_and_alignment)
{
    char data[80];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (char)(i * 37 + 11);
    for (size_t from = 0; from < 9; from++)
        for (size_t n = 0; from + n <= sizeof data; n++)
            cr_assert_eq(extend(0x1234u, data + from, n), bit_by_bit(0x1234u, data + from, n));
}

/* What the library's own calls reach is this program's function, not its own. */
Test(rocks_crc, comes_before_the_library)
{
    void *first = dlsym(RTLD_DEFAULT, "_ZN7rocksdb6crc32c6ExtendEjPKcm");
    uint32_t (*ours)(uint32_t, const char *, size_t) = extend;
    struct kv *kv; /* a call, so that the library is linked */
    cr_assert_neq(kv_rocks_open(&kv, &(struct kv_rocks_config){.path = "/dev/null/none"}, NULL), ERR_OK);
    cr_assert_not_null(first);
    cr_assert_eq(memcmp(&first, &ours, sizeof first), 0);
}
#endif
