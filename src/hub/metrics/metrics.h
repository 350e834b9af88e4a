/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the server counts about itself, for Prometheus. One row a metric in metrics.def. Each thread
 * counts in a part of its own (a few may share one), so that counting takes no lock and no cache
 * line from another; only who reads adds the parts up.
 *
 * Like the log, there is one of it in the process. Counting never fails and never waits.
 */
#ifndef GEMEL_HUB_METRICS_H
#define GEMEL_HUB_METRICS_H

#include "buf.h"

/* Values of labels, in the order of metrics.def. */
enum { BY_NOTHING };
enum { BY_MQTT, BY_HTTPS, BY_WEBSOCKET };
enum { TWIN_DESIRED_UPDATE, TWIN_REPORTED_UPDATE };
enum { BY_WRITE, BY_READ };
enum { BY_AGE, BY_SIZE };
enum { JOB_COMPLETED, JOB_FAILED, JOB_CANCELLED };

/* What is asked: over MQTT, and all of REST together. */
enum metrics_request {
    REQUEST_CONNECT,
    REQUEST_EVENT,
    REQUEST_TWIN_GET,
    REQUEST_REPORT,
    REQUEST_SUBSCRIBE,
    REQUEST_OTHER,
    REQUEST_REST,
    REQUEST_KINDS
};

enum metric {
#define COUNTER(id, label, values, name, help) METRIC_##id,
#define GAUGE(id, label, values, name, help) METRIC_##id,
#define HISTOGRAM(id, label, values, name, help) METRIC_##id,
#include "metrics.def"
#undef COUNTER
#undef GAUGE
#undef HISTOGRAM
    METRIC_COUNT
};

/* Adds to the counter or gauge of one value of its label. */
void metrics_add(enum metric metric, unsigned value, int64_t amount);

/* Notes a duration. */
void metrics_observe(enum metric histogram, unsigned value, int64_t us);

/* Counts a request of MQTT by its HTTP status, with how long it took. */
void metrics_request(enum metrics_request request, int status, int64_t us);

/* Likewise one of REST; `operation` is a row's number. A negative duration is not noted: of calls
 * that wait for news. */
void metrics_rest(unsigned operation, int status, int64_t us);

/* Names the operations of REST, for metrics_write(): false past the last. */
typedef bool metrics_namer(unsigned operation, const char **ret_method, const char **ret_path);
void metrics_name_operations(metrics_namer *namer);

/* Adds up one value. */
int64_t metrics_sum(enum metric metric, unsigned value);

/* Writes everything in Prometheus' text format. */
void metrics_write(struct buf *out);

/* Adds what the kernel says of the process: memory, processor time, open files. */
void metrics_write_process(const char *version, struct buf *out);

#endif
