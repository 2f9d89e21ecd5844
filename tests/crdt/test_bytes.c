/* Hex, UTF-8, integers, buffers. */
#include "crdt/bytes.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

Test(bytes, hex_round_trip)
{
    uint8_t in[4] = {0x00, 0x7f, 0xa0, 0xff}, out[4];
    char hex[9];
    hex_encode(hex, in, 4);
    cr_assert_str_eq(hex, "007fa0ff");
    cr_assert(hex_decode(out, 4, bytes_str("007FA0ff")));
    cr_assert_arr_eq(in, out, 4);
    cr_assert_not(hex_decode(out, 4, bytes_str("007fa0f")));
    cr_assert_not(hex_decode(out, 4, bytes_str("007fa0fg")));
}

/* Four bytes at a time or one by one: every byte gives the same digits wherever it stands, and back. */
Test(bytes, hex_of_every_byte_at_every_place)
{
    for (unsigned byte = 0; byte < 256; byte++)
        for (size_t at = 0; at < 11; at++) {
            uint8_t in[11], out[11];
            char hex[23], two[3], upper[3];
            memset(in, 0x5a, sizeof in);
            in[at] = (uint8_t)byte;
            hex_encode(hex, in, sizeof in);
            (void)snprintf(two, sizeof two, "%02x", byte);
            (void)snprintf(upper, sizeof upper, "%02X", byte);
            cr_assert_arr_eq(hex + 2 * at, two, 2);
            cr_assert_eq(strlen(hex), 22);
            memcpy(hex + 2 * at, upper, 2);
            cr_assert(hex_decode(out, sizeof out, bytes_str(hex)));
            cr_assert_arr_eq(in, out, sizeof in);
        }
}

Test(bytes, hex_has_no_other_digits)
{
    for (unsigned c = 0; c < 256; c++) {
        uint8_t out[2];
        char hex[5] = "0a0a";
        hex[c % 4] = (char)c;
        bool digit = c != 0 && strchr("0123456789abcdefABCDEF", (int)c) != NULL;
        cr_assert_eq(hex_decode(out, 2, bytes_of(hex, 4)), digit, "%u", c);
    }
}

Test(bytes, utf8_rejects_what_unicode_forbids)
{
    const char *good[] = {"", "a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf"};
    const char *bad[] = {"\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80",
                         "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xe2\x82", "\xff"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        cr_assert(utf8_valid(bytes_str(good[i])), "%zu", i);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_not(utf8_valid(bytes_str(bad[i])), "%zu", i);
}

/* Eight bytes at a time or one by one: a bad byte is seen wherever it stands. */
Test(bytes, utf8_sees_a_bad_byte_at_every_place)
{
    for (size_t n = 1; n <= 40; n++) {
        for (size_t at = 0; at < n; at++) {
            uint8_t text[42];
            memset(text, 'a', sizeof text);
            cr_assert(utf8_valid(bytes_of(text, n)));
            text[at] = 0x80;
            cr_assert_not(utf8_valid(bytes_of(text, n)), "%zu of %zu", at, n);
            text[at] = 0xc3, text[at + 1] = 0xa9;
            cr_assert_eq(utf8_valid(bytes_of(text, n)), at + 1 < n, "%zu of %zu", at, n);
        }
    }
}
