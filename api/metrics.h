/*
 * Writes the text that Prometheus reads (exposition format 0.0.4): families with HELP and TYPE, samples with escaped
 * label values, histograms. Knows the engine's own counters; what else is counted is its callers' business.
 *
 * Names follow the usual rules: `souk_` first, base units (`_seconds`, `_bytes`), counters end in `_total`. Label values
 * come from small closed sets, never from ids or from what a peer says of itself; `peer` alone is a peer's key, so a family
 * has at most as many samples as peers are remembered.
 */
#ifndef SOUK_API_METRICS_H
#define SOUK_API_METRICS_H

#include "api/api.h"

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metric_label {
    const char *name, *value; /* value: UTF-8, escaped when written */
};

/* Opens a family; its samples follow at once. Asserts that the name fits the type. */
void metrics_family(struct buf *out, const char *name, enum metric_type type, const char *help);
/* One sample of the open family. `labels` may be NULL when n is 0. */
void metrics_sample(struct buf *out, const char *name, const struct metric_label *labels, size_t n, uint64_t value);
/* A sample in seconds, given in microseconds. */
void metrics_sample_us(struct buf *out, const char *name, const struct metric_label *labels, size_t n, uint64_t us);
/* The same for values that may be negative; ms: a sample in seconds, given in milliseconds. */
void metrics_sample_signed(struct buf *out, const char *name, const struct metric_label *labels, size_t n, int64_t value);
void metrics_sample_ms(struct buf *out, const char *name, const struct metric_label *labels, size_t n, int64_t ms);

/* Families of one sample without labels. */
void metrics_counter(struct buf *out, const char *name, const char *help, uint64_t value);
void metrics_gauge(struct buf *out, const char *name, const char *help, uint64_t value);
void metrics_gauge_us(struct buf *out, const char *name, const char *help, uint64_t us);

/* A histogram of durations: `bounds_us` has n - 1 increasing upper bounds, `counts` n counts of each bucket alone. */
struct metric_histogram {
    size_t n;
    const uint64_t *bounds_us, *counts;
    uint64_t sum_us;
};
void metrics_histogram(struct buf *out, const char *name, const char *help, const struct metric_histogram *h);

/* The families of the HTTP engine (souk_http_...) and souk_build_info. */
void metrics_api(struct buf *out, const struct api_stats *s, const char *version);

#endif
