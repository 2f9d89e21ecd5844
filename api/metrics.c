/*
 * The exposition format, written straight into a buffer. Fractions are written from integers: no float is involved.
 */
#include "api/metrics.h"

#include <assert.h>
#include <string.h>

static bool ends_in(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    return n > m && strcmp(name + n - m, end) == 0;
}

static bool name_valid(const char *name)
{
    for (const char *p = name; *p != 0; p++)
        if (!((*p >= 'a' && *p <= 'z') || *p == '_' || (*p >= '0' && *p <= '9' && p > name)))
            return false;
    return name[0] != 0;
}

/* HELP escapes backslash and newline, label values the quote as well. */
static void put_escaped(struct buf *out, const char *text, bool quote)
{
    for (; *text != 0; text++) {
        if (*text == '\n')
            buf_put_str(out, "\\n");
        else if (*text == '\\' || (quote && *text == '"'))
            buf_printf(out, "\\%c", *text);
        else
            buf_put_u8(out, (uint8_t)*text);
    }
}

void metrics_family(struct buf *out, const char *name, enum metric_type type, const char *help)
{
    static const char *const words[] = {
        [METRIC_COUNTER] = "counter", [METRIC_GAUGE] = "gauge", [METRIC_HISTOGRAM] = "histogram"};
    assert(name_valid(name));
    assert((type == METRIC_COUNTER) == ends_in(name, "_total"));
    buf_printf(out, "# HELP %s ", name);
    put_escaped(out, help, false);
    buf_printf(out, "\n# TYPE %s %s\n", name, words[type]);
}

static void put_labels(struct buf *out, const struct metric_label *labels, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        assert(name_valid(labels[i].name));
        buf_printf(out, "%s%s=\"", i == 0 ? "{" : ",", labels[i].name);
        put_escaped(out, labels[i].value, true);
        buf_put_u8(out, '"');
    }
    if (n > 0)
        buf_put_u8(out, '}');
}

/* Microseconds as seconds, without trailing zeros. */
static void put_seconds(struct buf *out, uint64_t us)
{
    buf_printf(out, "%llu", (unsigned long long)(us / 1000000));
    if (us % 1000000 == 0)
        return;
    buf_printf(out, ".%06llu", (unsigned long long)(us % 1000000));
    while (out->p[out->n - 1] == '0')
        out->n--;
}

void metrics_sample(struct buf *out, const char *name, const struct metric_label *labels, size_t n, uint64_t value)
{
    buf_put_str(out, name);
    put_labels(out, labels, n);
    buf_printf(out, " %llu\n", (unsigned long long)value);
}

void metrics_sample_us(struct buf *out, const char *name, const struct metric_label *labels, size_t n, uint64_t us)
{
    buf_put_str(out, name);
    put_labels(out, labels, n);
    buf_put_u8(out, ' ');
    put_seconds(out, us);
    buf_put_u8(out, '\n');
}

void metrics_sample_signed(struct buf *out, const char *name, const struct metric_label *labels, size_t n, int64_t value)
{
    buf_put_str(out, name);
    put_labels(out, labels, n);
    buf_printf(out, " %lld\n", (long long)value);
}

void metrics_sample_ms(struct buf *out, const char *name, const struct metric_label *labels, size_t n, int64_t ms)
{
    uint64_t size = ms < 0 ? (uint64_t)-ms : (uint64_t)ms;
    assert(ms > INT64_MIN / 1000 && ms < INT64_MAX / 1000);
    buf_put_str(out, name);
    put_labels(out, labels, n);
    buf_put_str(out, ms < 0 ? " -" : " ");
    put_seconds(out, size * 1000);
    buf_put_u8(out, '\n');
}

void metrics_counter(struct buf *out, const char *name, const char *help, uint64_t value)
{
    metrics_family(out, name, METRIC_COUNTER, help);
    metrics_sample(out, name, NULL, 0, value);
}

void metrics_gauge(struct buf *out, const char *name, const char *help, uint64_t value)
{
    metrics_family(out, name, METRIC_GAUGE, help);
    metrics_sample(out, name, NULL, 0, value);
}

void metrics_gauge_us(struct buf *out, const char *name, const char *help, uint64_t us)
{
    metrics_family(out, name, METRIC_GAUGE, help);
    metrics_sample_us(out, name, NULL, 0, us);
}

void metrics_histogram(struct buf *out, const char *name, const char *help, const struct metric_histogram *h)
{
    uint64_t total = 0;
    metrics_family(out, name, METRIC_HISTOGRAM, help);
    for (size_t i = 0; i < h->n; i++) {
        total += h->counts[i];
        assert(i == 0 || i == h->n - 1 || h->bounds_us[i] > h->bounds_us[i - 1]);
        buf_printf(out, "%s_bucket{le=\"", name);
        if (i < h->n - 1)
            put_seconds(out, h->bounds_us[i]);
        else
            buf_put_str(out, "+Inf");
        buf_printf(out, "\"} %llu\n", (unsigned long long)total);
    }
    buf_printf(out, "%s_sum ", name);
    put_seconds(out, h->sum_us);
    buf_printf(out, "\n%s_count %llu\n", name, (unsigned long long)total);
}

void metrics_api(struct buf *out, const struct api_stats *s, const char *version)
{
    static const char *const classes[] = {"", "1xx", "2xx", "3xx", "4xx", "5xx"};
    metrics_family(out, "souk_build_info", METRIC_GAUGE, "Always 1; the label says which version runs.");
    metrics_sample(out, "souk_build_info", &(struct metric_label){"version", version}, 1, 1);
    metrics_family(out, "souk_http_requests_total", METRIC_COUNTER, "Requests answered, by class of status.");
    for (size_t i = 2; i < sizeof classes / sizeof *classes; i++)
        metrics_sample(out, "souk_http_requests_total", &(struct metric_label){"class", classes[i]}, 1, s->requests[i]);
    metrics_histogram(out, "souk_http_request_duration_seconds",
                      "From a request's last byte to the moment its answer was handed to the socket.",
                      &(struct metric_histogram){.n = API_LATENCY_BUCKETS,
                                                 .bounds_us = api_latency_us,
                                                 .counts = s->latency,
                                                 .sum_us = s->latency_sum_us});
    metrics_gauge(out, "souk_http_connections", "Open connections, the admin socket's included.", s->connections);
    metrics_gauge(out, "souk_http_streams", "Open event streams.", s->streams);
    metrics_counter(out, "souk_http_connections_accepted_total", "Connections taken.", s->accepted);
    metrics_counter(out, "souk_http_connections_refused_total", "Connections refused at the bound.", s->refused);
    metrics_counter(out, "souk_http_received_bytes_total", "Bytes read from clients.", s->bytes_in);
    metrics_counter(out, "souk_http_sent_bytes_total", "Bytes taken by sockets.", s->bytes_out);
}
