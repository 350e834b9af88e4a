/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bus carries what concerns a connected client from the thread where it happened to the one
 * that holds the connection, and tells readers of the event log that there is more. It keeps the
 * register of sessions: at most one an identity; a new one takes over.
 *
 * A session is told through its sink. Sinks are called with the bus's lock of that session held,
 * from any thread: they queue, wake their own thread and return; they never call the bus. After
 * bus_session_close() returned, the sink is not called again.
 *
 * Order: what is published for one identity in an order reaches its sink in that order.
 */
#ifndef GEMEL_BUS_H
#define GEMEL_BUS_H

#include "err.h"
#include "span.h"

struct bus;

enum session_end {
    SESSION_TAKEN_OVER, /* the same identity connected again */
    SESSION_DELETED,    /* the identity is gone */
    SESSION_DISABLED,   /* the device was disabled */
    SESSION_KEYS_CHANGED,
};

/* What a client is subscribed to at the moment, a set of bits. */
enum session_takes {
    SESSION_TAKES_METHODS = 1,
    SESSION_TAKES_MESSAGES = 2,
};

/* A direct method on its way to a client. */
struct method_request {
    struct span name;
    struct span request_id;
    struct span payload;
};

struct session_sink {
    /* The desired properties changed: the payload to send (copy it) and its $version. */
    void (*desired)(struct session_sink *sink, struct span payload, int64_t version);
    /* The session is over; the register has already forgotten it. */
    void (*end)(struct session_sink *sink, enum session_end reason);
    /* A method is to be sent (copy it). False: no memory, and it is not. */
    bool (*method)(struct session_sink *sink, const struct method_request *request);
    /* Cloud-to-device messages wait in the store. */
    void (*message)(struct session_sink *sink);
};

struct bus *bus_local_new(void);
void bus_free(struct bus *bus); /* no session may be open */

/* Registers a session, ending an older one of the identity. `*ret_session` is a number that no
 * other session of this server ever has, also not after a restart. ERR_MEMORY. */
enum err bus_session_open(struct bus *bus, int64_t hub_id, struct span device_id,
    struct span module_id, struct session_sink *sink, uint64_t *ret_session) MUST_USE;

/* Forgets a session; fine for one that was ended already. */
void bus_session_close(struct bus *bus, uint64_t session);

/* Tells the session of an identity, if there is one, that desired changed. */
void bus_desired(struct bus *bus, int64_t hub_id, struct span device_id, struct span module_id,
    struct span payload, int64_t version);

/* Notes what the client of a session takes from now on: a set of enum session_takes, none at first;
 * fine for a session that was ended already. */
void bus_session_takes(struct bus *bus, uint64_t session, unsigned takes);

/* Hands a method to the session of an identity. ERR_NOT_FOUND: there is none, or it takes no
 * methods; ERR_MEMORY. Either way the client gets to see nothing of it. */
enum err bus_method(struct bus *bus, int64_t hub_id, struct span device_id, struct span module_id,
    const struct method_request *request) MUST_USE;

/* Tells the session of an identity, if there is one that takes them, that messages wait. */
void bus_message(struct bus *bus, int64_t hub_id, struct span device_id, struct span module_id);

/* Notes what $version of desired the client of a session was sent last, and says so to the twin
 * listener; fine for a session that was ended already. */
void bus_session_delivered(struct bus *bus, uint64_t session, int64_t version);

/* What the connected client of an identity was sent last; false: nothing, or none is connected. */
bool bus_delivered(struct bus *bus, int64_t hub_id, struct span device_id, struct span module_id,
    int64_t *ret_version);

/* Ends the session of an identity; with an empty module id the device's and all its modules'. */
void bus_end(struct bus *bus, int64_t hub_id, struct span device_id, struct span module_id,
    enum session_end reason);

/* Ends every session of a hub that is being deleted. */
void bus_end_hub(struct bus *bus, int64_t hub_id);

/* Marks a session with what let it in: a key of its own, of a policy, or an authority. One that is
 * over already stays so. */
void bus_session_mark(struct bus *bus, uint64_t session, uint64_t mark);

/* Ends every session of a hub with that mark. */
void bus_end_marked(struct bus *bus, int64_t hub_id, uint64_t mark, enum session_end reason);

/* Ends the session of this very identity, if it has that mark. */
void bus_end_proved(struct bus *bus, int64_t hub_id, struct span device_id, struct span module_id,
    uint64_t mark, enum session_end reason);

/* Tells the listener, from any thread, that events of the hub up to `sequence` are readable. */
typedef void bus_event_listener(void *self, int64_t hub_id, uint64_t sequence);
void bus_set_event_listener(struct bus *bus, bus_event_listener *listener, void *self);
void bus_events_appended(struct bus *bus, int64_t hub_id, uint64_t sequence);

/* Tells the listener, from any thread, that the twin of an identity, its connection or what was
 * delivered to it is no longer what it was; an empty module id stands for the device and all its
 * modules. The spans live for the call. */
typedef void bus_twin_listener(
    void *self, int64_t hub_id, struct span device_id, struct span module_id);
void bus_set_twin_listener(struct bus *bus, bus_twin_listener *listener, void *self);
void bus_twin_changed(
    struct bus *bus, int64_t hub_id, struct span device_id, struct span module_id);

#endif
