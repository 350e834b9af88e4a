/* SPDX-License-Identifier: Apache-2.0 */
/* What those share who read the event log: in pages (event_log.c) and as a stream
 * (event_stream.c). */
#ifndef GEMEL_HUB_EVENT_LOG_H
#define GEMEL_HUB_EVENT_LOG_H

#include "service_priv.h"

#define EVENT_FILTERS_MAX 8

/* A property that an event must have, of the application or of the system. */
struct event_filter {
    struct span name;
    struct span value;
};

/* A reading of the log, and a place to wait for more. */
struct parked {
    struct parked *next;
    struct rest *rest;
    void (*give_up)(struct parked *query); /* the time is up, or the server drains: replies */
    uint64_t from;
    bool from_latest; /* still to be found out */
    struct span device_id;
    struct span module_id;
    unsigned sources; /* set of 1 << enum event_source */
    struct event_filter filters[EVENT_FILTERS_MAX];
    size_t filter_count;
    size_t limit;
    size_t limit_bytes;
    bool waits;
    int64_t deadline_mono_us;
    uint64_t seen; /* appends before the last read */
};

/* Events as they are shown; `count` of them. */
struct page {
    const struct parked *query;
    struct buf body;
    size_t count;
    bool as_stream; /* each framed for server-sent events */
};

/* Reads the parameters from, device, module, source and property. */
enum err events_read_query(struct rest *rest, struct parked *query) MUST_USE;

/* Reads what there is from query->from on, and moves that. `*ret_end`: where the log ends; below it
 * there is more to look at. */
enum err events_read_page(
    struct rest *rest, struct parked *query, struct page *page, uint64_t *ret_end) MUST_USE;

/* Parks a call that found nothing, or runs it again if events came meanwhile: for rest->park, with
 * a struct parked as input. */
void events_park(struct rest *rest);

/* The words of `source`. */
extern const char *const event_source_names[EVENT_SOURCES];

#endif
