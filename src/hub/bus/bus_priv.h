/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a bus must offer: a driver embeds `struct bus` as its first member and fills one const
 * `struct bus_driver`. Every function is required and keeps the contract of its namesake in bus.h.
 */
#ifndef GEMEL_BUS_PRIV_H
#define GEMEL_BUS_PRIV_H

#include "bus.h"

struct bus_driver {
    const char *name;
    void (*free)(struct bus *bus);
    enum err (*session_open)(struct bus *bus, int64_t hub_id, struct span device_id,
        struct span module_id, struct session_sink *sink, uint64_t *ret_session);
    void (*session_close)(struct bus *bus, uint64_t session);
    void (*desired)(struct bus *bus, int64_t hub_id, struct span device_id, struct span module_id,
        struct span payload, int64_t version);
    void (*session_takes)(struct bus *bus, uint64_t session, unsigned takes);
    enum err (*method)(struct bus *bus, int64_t hub_id, struct span device_id,
        struct span module_id, const struct method_request *request);
    void (*message)(struct bus *bus, int64_t hub_id, struct span device_id, struct span module_id);
    void (*session_delivered)(struct bus *bus, uint64_t session, int64_t version);
    bool (*delivered)(struct bus *bus, int64_t hub_id, struct span device_id, struct span module_id,
        int64_t *ret_version);
    void (*end)(struct bus *bus, int64_t hub_id, struct span device_id, struct span module_id,
        enum session_end reason);
    void (*end_hub)(struct bus *bus, int64_t hub_id);
    void (*session_mark)(struct bus *bus, uint64_t session, uint64_t mark);
    void (*end_marked)(struct bus *bus, int64_t hub_id, uint64_t mark, enum session_end reason);
    void (*end_proved)(struct bus *bus, int64_t hub_id, struct span device_id,
        struct span module_id, uint64_t mark, enum session_end reason);
    void (*events_appended)(struct bus *bus, int64_t hub_id, uint64_t sequence);
    void (*twin_changed)(
        struct bus *bus, int64_t hub_id, struct span device_id, struct span module_id);
};

struct bus {
    const struct bus_driver *driver;
    bus_event_listener *listener; /* set before any other thread knows the bus */
    void *listener_self;
    bus_twin_listener *twin_listener; /* likewise */
    void *twin_listener_self;
};

#endif
