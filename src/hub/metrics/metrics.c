/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics.h"

#include <stdatomic.h>
#include <stdio.h>

#define PARTS 16u
#define VALUES_MAX 16u
#define OPERATIONS_MAX 192u /* of REST; what is beyond counts as the last */

/* Upper ends of the buckets, in microseconds; one more is without end. */
static const int64_t buckets_us[] = {
    500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 10000000};
#define BUCKETS COUNT_OF(buckets_us)

/* The statuses that are told apart; 0 stands for all others. */
static const int statuses[] = {0, 200, 201, 202, 204, 207, 304, 400, 401, 403, 404, 405, 408, 409,
    412, 413, 415, 429, 500, 501, 503, 504};
#define STATUSES COUNT_OF(statuses)

enum kind { KIND_COUNTER, KIND_GAUGE, KIND_HISTOGRAM };

static const struct row {
    enum kind kind;
    const char *label;
    const char *values;
    const char *name;
    const char *help;
} rows[METRIC_COUNT] = {
#define COUNTER(id, label, values, name, help) {KIND_COUNTER, label, values, name, help},
#define GAUGE(id, label, values, name, help) {KIND_GAUGE, label, values, name, help},
#define HISTOGRAM(id, label, values, name, help) {KIND_HISTOGRAM, label, values, name, help},
#include "metrics.def"
#undef COUNTER
#undef GAUGE
#undef HISTOGRAM
};

struct histogram {
    _Atomic uint64_t buckets[BUCKETS + 1];
    _Atomic uint64_t sum_us;
};

/* Histograms are few: each has its own place by these numbers. */
static const enum metric histograms[] = {METRIC_REQUEST_SECONDS, METRIC_STORE_COMMIT_SECONDS};

struct part {
    _Alignas(64) _Atomic uint64_t numbers[METRIC_COUNT][VALUES_MAX];
    struct histogram histograms[COUNT_OF(histograms)][VALUES_MAX];
    _Atomic uint64_t requests[REQUEST_KINDS][STATUSES];
    _Atomic uint64_t rest[OPERATIONS_MAX][STATUSES];
};

static struct part parts[PARTS];
static atomic_uint threads;
static metrics_namer *_Atomic name_operation;

static struct part *own_part(void)
{
    static _Thread_local struct part *own;
    if (own == NULL)
        own = &parts[atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed) % PARTS];
    return own;
}

static void add(_Atomic uint64_t *number, uint64_t amount)
{
    atomic_fetch_add_explicit(number, amount, memory_order_relaxed);
}

static uint64_t get(const _Atomic uint64_t *number)
{
    return atomic_load_explicit(number, memory_order_relaxed);
}

/* ---- counting -------------------------------------------------------------------------------- */

/* Parts of a gauge may be negative: unsigned numbers that wrap add up all the same. */
void metrics_add(enum metric metric, unsigned value, int64_t amount)
{
    must((unsigned)metric < METRIC_COUNT && value < VALUES_MAX);
    add(&own_part()->numbers[metric][value], (uint64_t)amount);
}

static size_t place_of(enum metric metric)
{
    size_t place = 0;
    while (place < COUNT_OF(histograms) && histograms[place] != metric)
        place++;
    must(place < COUNT_OF(histograms));
    return place;
}

void metrics_observe(enum metric metric, unsigned value, int64_t us)
{
    must(value < VALUES_MAX);
    struct histogram *histogram = &own_part()->histograms[place_of(metric)][value];
    size_t bucket = 0;
    if (us < 0)
        us = 0;
    while (bucket < BUCKETS && us > buckets_us[bucket])
        bucket++;
    add(&histogram->buckets[bucket], 1);
    add(&histogram->sum_us, (uint64_t)us);
}

static size_t status_place(int status)
{
    for (size_t i = 1; i < STATUSES; i++)
        if (statuses[i] == status)
            return i;
    return 0;
}

void metrics_request(enum metrics_request request, int status, int64_t us)
{
    must((unsigned)request < REQUEST_KINDS);
    add(&own_part()->requests[request][status_place(status)], 1);
    metrics_observe(METRIC_REQUEST_SECONDS, request, us);
}

void metrics_rest(unsigned operation, int status, int64_t us)
{
    unsigned row = operation < OPERATIONS_MAX ? operation : OPERATIONS_MAX - 1;
    add(&own_part()->rest[row][status_place(status)], 1);
    if (us >= 0)
        metrics_observe(METRIC_REQUEST_SECONDS, REQUEST_REST, us);
}

void metrics_name_operations(metrics_namer *namer)
{
    name_operation = namer;
}

/* ---- adding up ------------------------------------------------------------------------------- */

int64_t metrics_sum(enum metric metric, unsigned value)
{
    must((unsigned)metric < METRIC_COUNT && value < VALUES_MAX);
    uint64_t sum = 0;
    for (size_t i = 0; i < PARTS; i++)
        sum += get(&parts[i].numbers[metric][value]);
    return (int64_t)sum;
}

static void write_head(const struct row *row, const char *type, struct buf *out)
{
    buf_add_format(out, "# HELP %s %s\n# TYPE %s %s\n", row->name, row->help, row->name, type);
}

static void write_numbers(enum metric metric, struct buf *out)
{
    const struct row *row = &rows[metric];
    struct span values = span_of(row->values);
    struct span word;
    write_head(row, row->kind == KIND_GAUGE ? "gauge" : "counter", out);
    if (values.len == 0)
        buf_add_format(out, "%s %lld\n", row->name, (long long)metrics_sum(metric, 0));
    for (unsigned i = 0; values.len > 0 && span_cut(&values, ' ', &word); i++)
        buf_add_format(out, "%s{%s=\"%.*s\"} %lld\n", row->name, row->label, SPAN_ARG(word),
            (long long)metrics_sum(metric, i));
}

static void write_bucket(
    const char *name, const char *label, const char *end, uint64_t count, struct buf *out)
{
    buf_add_format(out, "%s_bucket{%s%sle=\"%s\"} %llu\n", name, label, label[0] == '\0' ? "" : ",",
        end, (unsigned long long)count);
}

static void write_histogram(
    const char *name, const char *label, size_t place, unsigned value, struct buf *out)
{
    uint64_t count = 0;
    uint64_t sum_us = 0;
    for (size_t b = 0; b <= BUCKETS; b++) {
        for (size_t i = 0; i < PARTS; i++)
            count += get(&parts[i].histograms[place][value].buckets[b]);
        char end[24] = "+Inf";
        if (b < BUCKETS)
            snprintf(end, sizeof(end), "%g", (double)buckets_us[b] / 1e6);
        write_bucket(name, label, end, count, out);
    }
    for (size_t i = 0; i < PARTS; i++)
        sum_us += get(&parts[i].histograms[place][value].sum_us);
    const char *open = label[0] == '\0' ? "" : "{";
    const char *close = label[0] == '\0' ? "" : "}";
    buf_add_format(out, "%s_sum%s%s%s %.6f\n", name, open, label, close, (double)sum_us / 1e6);
    buf_add_format(
        out, "%s_count%s%s%s %llu\n", name, open, label, close, (unsigned long long)count);
}

static void write_histograms(enum metric metric, struct buf *out)
{
    const struct row *row = &rows[metric];
    struct span values = span_of(row->values);
    struct span word;
    write_head(row, "histogram", out);
    if (values.len == 0)
        write_histogram(row->name, "", place_of(metric), 0, out);
    for (unsigned i = 0; values.len > 0 && span_cut(&values, ' ', &word); i++) {
        char label[64];
        snprintf(label, sizeof(label), "%s=\"%.*s\"", row->label, SPAN_ARG(word));
        write_histogram(row->name, label, place_of(metric), i, out);
    }
}

/* ---- requests -------------------------------------------------------------------------------- */

static void write_request(
    const char *protocol, const char *operation, size_t status, uint64_t count, struct buf *out)
{
    char code[16] = "other";
    if (count == 0)
        return;
    if (status > 0 && status < COUNT_OF(statuses))
        snprintf(code, sizeof(code), "%d", statuses[status]);
    buf_add_format(out, "gemel_requests_total{protocol=\"%s\",operation=\"%s\",code=\"%s\"} %llu\n",
        protocol, operation, code, (unsigned long long)count);
}

static void write_mqtt_requests(struct buf *out)
{
    struct span words = span_of(rows[METRIC_REQUEST_SECONDS].values);
    struct span word;
    for (unsigned kind = 0; kind < REQUEST_REST && span_cut(&words, ' ', &word); kind++) {
        char operation[32];
        snprintf(operation, sizeof(operation), "%.*s", SPAN_ARG(word));
        for (size_t status = 0; status < STATUSES; status++) {
            uint64_t count = 0;
            for (size_t i = 0; i < PARTS; i++)
                count += get(&parts[i].requests[kind][status]);
            write_request("mqtt", operation, status, count, out);
        }
    }
}

/* Rows without a name are what nothing was found for: one line for all of them. */
static void write_rest_row(unsigned row, unsigned end, const char *operation, struct buf *out)
{
    for (size_t status = 0; status < STATUSES; status++) {
        uint64_t count = 0;
        for (unsigned at = row; at < end; at++)
            for (size_t i = 0; i < PARTS; i++)
                count += get(&parts[i].rest[at][status]);
        write_request("https", operation, status, count, out);
    }
}

static void write_rest_requests(struct buf *out)
{
    metrics_namer *namer = name_operation;
    const char *method;
    const char *path;
    unsigned row = 0;
    for (; row < OPERATIONS_MAX && namer != NULL && namer(row, &method, &path); row++) {
        char operation[128];
        snprintf(operation, sizeof(operation), "%s %s", method, path);
        write_rest_row(row, row + 1, operation, out);
    }
    write_rest_row(row, OPERATIONS_MAX, "none", out);
}

void metrics_write(struct buf *out)
{
    for (unsigned i = 0; i < METRIC_COUNT; i++) {
        if (rows[i].kind == KIND_HISTOGRAM)
            write_histograms((enum metric)i, out);
        else
            write_numbers((enum metric)i, out);
    }
    buf_add_text(out, "# HELP gemel_requests_total Requests, by the status of their answer; MQTT's "
                      "have the status that HTTP would.\n# TYPE gemel_requests_total counter\n");
    write_mqtt_requests(out);
    write_rest_requests(out);
}
