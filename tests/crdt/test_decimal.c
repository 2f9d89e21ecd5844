/* Decimal strings to pico-USD and back: exact, or refused. */
#include "crdt/decimal.h"

#include <criterion/criterion.h>

Test(decimal, usd_per_million_tokens_is_exact_in_pico)
{
    const struct {
        const char *text;
        uint64_t pico;
    } cases[] = {{"0", 0}, {"0.15", 150000}, {"1", 1000000}, {"0.000001", 1}, {"00.5", 500000}, {"0.5000000000", 500000},
                 {"512000", 512000000000}, {"9223372036854.775807", INT64_MAX}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t pico = 77;
        cr_assert(decimal_to_pico(bytes_str(cases[i].text), &pico), "%s", cases[i].text);
        cr_assert_eq(pico, cases[i].pico, "%s", cases[i].text);
    }
}

Test(decimal, what_is_not_exact_or_not_a_decimal_is_refused)
{
    const char *bad[] = {"", ".", ".5", "5.", "-1", "+1", "1e3", " 1", "1 ", "1,5", "1.2.3", "0x1", "0.0000001",
                         "0.060000000000000005", "9223372036854.775808", "99999999999999999999",
                         "00000000000000000000000000000000000000001", "nan"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint64_t pico = 77;
        cr_assert_not(decimal_to_pico(bytes_str(bad[i]), &pico), "%s", bad[i]);
        cr_assert_eq(pico, 77, "untouched on failure: %s", bad[i]);
    }
}

Test(decimal, rounding_is_half_up_and_says_so)
{
    uint64_t v;
    bool exact;
    cr_assert(decimal_rounded(bytes_str("0.060000000000000005"), 6, &v, &exact));
    cr_assert(v == 60000 && !exact);
    cr_assert(decimal_rounded(bytes_str("0.08333333333333334"), 6, &v, &exact));
    cr_assert(v == 83333 && !exact);
    cr_assert(decimal_rounded(bytes_str("0.0000005"), 6, &v, &exact));
    cr_assert(v == 1 && !exact);
    cr_assert(decimal_rounded(bytes_str("0.00000049"), 6, &v, &exact));
    cr_assert(v == 0 && !exact);
    cr_assert_not(decimal_rounded(bytes_str("9223372036854.7758075"), 6, &v, &exact));
}

Test(decimal, text_of_pico_reads_back)
{
    const uint64_t cases[] = {0, 1, 10, 999999, 1000000, 1000001, 150000, 1234567890123, INT64_MAX};
    const char *texts[] = {"0", "0.000001", "0.00001", "0.999999", "1", "1.000001", "0.15", "1234567.890123",
                           "9223372036854.775807"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[32];
        uint64_t back;
        decimal_from_pico(out, cases[i]);
        cr_assert_str_eq(out, texts[i]);
        cr_assert(decimal_to_pico(bytes_str(out), &back) && back == cases[i]);
    }
    char out[32];
    decimal_text(out, UINT64_MAX, 19);
    cr_assert_str_eq(out, "1.8446744073709551615");
    decimal_text(out, 0, 12);
    cr_assert_str_eq(out, "0");
}

Test(decimal, the_shortest_decimal_of_a_double)
{
    const struct {
        double v;
        const char *text;
    } cases[] = {{0, "0"}, {1, "1"}, {0.15, "0.15"}, {1e-5, "0.00001"}, {1.3e-10, "0.00000000013"}, {512000, "512000"},
                 {0.060000000000000005, "0.060000000000000005"}, {123.456, "123.456"}, {1e21, "1000000000000000000000"},
                 {0.1, "0.1"}, {9007199254740993.0, "9007199254740992"}, {1234567.5, "1234567.5"}};
    char out[DECIMAL_TEXT];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_assert(decimal_of_double(out, cases[i].v), "%s", cases[i].text);
        cr_expect_str_eq(out, cases[i].text);
    }
    const double bad[] = {-1, -0.5, 1e31, 1e300, 1e-60, 5e-324};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect_not(decimal_of_double(out, bad[i]), "%g", bad[i]);
}
