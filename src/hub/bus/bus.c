/* SPDX-License-Identifier: Apache-2.0 */
#include "bus_priv.h"

void bus_free(struct bus *bus)
{
    if (bus != NULL)
        bus->driver->free(bus);
}

enum err bus_session_open(struct bus *bus, int64_t hub_id, struct span device_id,
    struct span module_id, struct session_sink *sink, uint64_t *ret_session)
{
    must(device_id.len > 0 && sink != NULL);
    return bus->driver->session_open(bus, hub_id, device_id, module_id, sink, ret_session);
}

void bus_session_close(struct bus *bus, uint64_t session)
{
    bus->driver->session_close(bus, session);
}

void bus_desired(struct bus *bus, int64_t hub_id, struct span device_id, struct span module_id,
    struct span payload, int64_t version)
{
    bus->driver->desired(bus, hub_id, device_id, module_id, payload, version);
}

void bus_end(struct bus *bus, int64_t hub_id, struct span device_id, struct span module_id,
    enum session_end reason)
{
    bus->driver->end(bus, hub_id, device_id, module_id, reason);
}

void bus_end_hub(struct bus *bus, int64_t hub_id)
{
    bus->driver->end_hub(bus, hub_id);
}

void bus_session_mark(struct bus *bus, uint64_t session, uint64_t mark)
{
    must(mark != 0);
    bus->driver->session_mark(bus, session, mark);
}

void bus_end_marked(struct bus *bus, int64_t hub_id, uint64_t mark, enum session_end reason)
{
    must(mark != 0);
    bus->driver->end_marked(bus, hub_id, mark, reason);
}

void bus_end_proved(struct bus *bus, int64_t hub_id, struct span device_id, struct span module_id,
    uint64_t mark, enum session_end reason)
{
    must(mark != 0);
    bus->driver->end_proved(bus, hub_id, device_id, module_id, mark, reason);
}

void bus_set_event_listener(struct bus *bus, bus_event_listener *listener, void *self)
{
    bus->listener = listener;
    bus->listener_self = self;
}

void bus_events_appended(struct bus *bus, int64_t hub_id, uint64_t sequence)
{
    bus->driver->events_appended(bus, hub_id, sequence);
}

void bus_session_takes(struct bus *bus, uint64_t session, unsigned takes)
{
    bus->driver->session_takes(bus, session, takes);
}

enum err bus_method(struct bus *bus, int64_t hub_id, struct span device_id, struct span module_id,
    const struct method_request *request)
{
    return bus->driver->method(bus, hub_id, device_id, module_id, request);
}

void bus_message(struct bus *bus, int64_t hub_id, struct span device_id, struct span module_id)
{
    bus->driver->message(bus, hub_id, device_id, module_id);
}

void bus_session_delivered(struct bus *bus, uint64_t session, int64_t version)
{
    bus->driver->session_delivered(bus, session, version);
}

bool bus_delivered(struct bus *bus, int64_t hub_id, struct span device_id, struct span module_id,
    int64_t *ret_version)
{
    return bus->driver->delivered(bus, hub_id, device_id, module_id, ret_version);
}

void bus_set_twin_listener(struct bus *bus, bus_twin_listener *listener, void *self)
{
    bus->twin_listener = listener;
    bus->twin_listener_self = self;
}

void bus_twin_changed(struct bus *bus, int64_t hub_id, struct span device_id, struct span module_id)
{
    bus->driver->twin_changed(bus, hub_id, device_id, module_id);
}
