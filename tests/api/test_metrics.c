/* The Prometheus text: every family announced, names and units as they should be, values escaped, histograms whole. */
#include "api/metrics.h"

#include "tests/lib/tmpdir.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

/* A small reader of the format: each sample belongs to the family announced last. */
static void check_format(const char *text)
{
    char family[128] = "", type[32] = "";
    while (*text != 0) {
        char line[512];
        size_t n = strcspn(text, "\n");
        cr_assert_eq(text[n], '\n', "the last line has no end");
        (void)snprintf(line, sizeof line, "%.*s", (int)n, text);
        text += n + 1;
        if (strncmp(line, "# HELP ", 7) == 0) {
            cr_assert_eq(sscanf(line, "# HELP %127s", family), 1);
            type[0] = 0;
            cr_assert_gt(strlen(line), 9 + strlen(family), "no help: %s", line);
        } else if (strncmp(line, "# TYPE ", 7) == 0) {
            char name[128];
            cr_assert_eq(sscanf(line, "# TYPE %127s %31s", name, type), 2);
            cr_assert_str_eq(name, family);
            cr_assert_eq(strcmp(type, "counter") == 0, strlen(name) > 6 && strcmp(name + strlen(name) - 6, "_total") == 0);
        } else {
            cr_assert_str_neq(type, "", "a sample without a type: %s", line);
            cr_assert_eq(strncmp(line, family, strlen(family)), 0, "%s is not of %s", line, family);
            char next = line[strlen(family)];
            cr_assert(next == ' ' || next == '{' || (next == '_' && strcmp(type, "histogram") == 0), "%s", line);
            char *end, *value = strrchr(line, ' ');
            (void)strtod(value + 1, &end);
            cr_assert(value[1] != 0 && *end == 0, "not a number: %s", line);
        }
    }
}

static void engine_text(struct buf *out)
{
    struct api_stats s = {.connections = 3, .requests = {0, 0, 10, 1, 2, 0}, .bytes_in = 5, .latency = {4, 0, 1, 2},
                          .latency_sum_us = 1500001};
    s.latency[API_LATENCY_BUCKETS - 1] = 1;
    metrics_api(out, &s, "0.1.0");
}

Test(metrics, the_engine_counts)
{
    struct buf b = {0};
    engine_text(&b);
    const char *text = buf_cstr(&b);
    check_format(text);
    cr_assert_not_null(strstr(text, "souk_build_info{version=\"0.1.0\"} 1\n"));
    cr_assert_not_null(strstr(text, "souk_http_requests_total{class=\"2xx\"} 10\n"));
    cr_assert_not_null(strstr(text, "souk_http_request_duration_seconds_bucket{le=\"0.0001\"} 4\n"));
    cr_assert_not_null(strstr(text, "souk_http_request_duration_seconds_bucket{le=\"0.0005\"} 5\n"));
    cr_assert_not_null(strstr(text, "souk_http_request_duration_seconds_bucket{le=\"1\"} 7\n"));
    cr_assert_not_null(strstr(text, "souk_http_request_duration_seconds_bucket{le=\"+Inf\"} 8\n"));
    cr_assert_not_null(strstr(text, "souk_http_request_duration_seconds_sum 1.500001\n"));
    cr_assert_not_null(strstr(text, "souk_http_request_duration_seconds_count 8\n"));
    buf_close(&b);
}

Test(metrics, labels_and_help_are_escaped)
{
    struct buf b = {0};
    metrics_family(&b, "souk_x", METRIC_GAUGE, "a\\b\nc\"d");
    metrics_sample(&b, "souk_x", (struct metric_label[]){{"a", "x\"y\\z\n"}, {"b", ""}}, 2, 7);
    metrics_sample_us(&b, "souk_x", NULL, 0, 20);
    cr_assert_str_eq(buf_cstr(&b), "# HELP souk_x a\\\\b\\nc\"d\n# TYPE souk_x gauge\n"
                                   "souk_x{a=\"x\\\"y\\\\z\\n\",b=\"\"} 7\nsouk_x 0.00002\n");
    buf_close(&b);
}

Test(metrics, values_may_be_negative)
{
    struct buf b = {0};
    metrics_sample_signed(&b, "souk_x", NULL, 0, -100);
    metrics_sample_ms(&b, "souk_x", NULL, 0, -1500);
    metrics_sample_ms(&b, "souk_x", NULL, 0, 20);
    metrics_sample_ms(&b, "souk_x", NULL, 0, 0);
    cr_assert_str_eq(buf_cstr(&b), "souk_x -100\nsouk_x -1.5\nsouk_x 0.02\nsouk_x 0\n");
    buf_close(&b);
}

/* Where promtool is installed it has the last word. */
Test(metrics, promtool_finds_nothing)
{
    struct buf b = {0};
    char dir[96], command[256];
    if (system("command -v promtool >/dev/null") != 0)
        cr_skip_test("promtool is not installed");
    engine_text(&b);
    tmpdir_new(dir, sizeof dir);
    (void)snprintf(command, sizeof command, "promtool check metrics >%s/out 2>&1", dir);
    FILE *p = popen(command, "w");
    cr_assert_not_null(p);
    cr_assert_eq(fwrite(b.p, 1, b.n, p), b.n);
    cr_assert_eq(pclose(p), 0);
    tmpdir_remove(dir);
    buf_close(&b);
}
