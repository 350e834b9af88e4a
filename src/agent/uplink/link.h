/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the uplink needs of an MQTT client: a driver that does the work somewhere else and puts what
 * happened into a queue, which the agent's loop takes from. The real one is paho.h, in this process
 * or behind remote.h in another; tests bring their own.
 */
#ifndef GEMEL_LINK_H
#define GEMEL_LINK_H

#include "buf.h"

/* A CONNECT; the texts are borrowed until connect() returns. */
struct link_target {
    const char *uri;
    const char *client_id;
    const char *username;
    const char *password;         /* NULL: none */
    const char *ca_file;          /* trusted besides the system's roots; NULL: none */
    const char *certificate_file; /* of the client; NULL: none */
    const char *key_file;
    const char *proxy; /* "[user:password@]host:port", percent-encoded; NULL: none */
    int keep_alive_s;
};

enum link_event_kind {
    LINK_CONNECTED,
    LINK_REFUSED,    /* the connection did not come about: code, text */
    LINK_SUBSCRIBED, /* all filters are granted */
    LINK_UNUSABLE,   /* a filter is refused, or events had no room: begin anew; text */
    LINK_MESSAGE,    /* topic, body */
    LINK_DELIVERED,  /* the publish with this token is acknowledged */
    LINK_LOST,       /* text */
    LINK_CLOSED,     /* after close() */
};

struct link_event {
    enum link_event_kind kind;
    int code; /* of REFUSED: MQTT's return code, 1 to 5; else not the hub's word */
    int token;
    char text[240];   /* of REFUSED, LOST */
    char *topic;      /* of MESSAGE; mem_free() both */
    struct span body; /* its memory stands behind the topic's: freed with it */
};

struct link_driver {
    /* Begins to connect; CONNECTED or REFUSED follows. Not ERR_NONE: nothing follows. */
    enum err (*connect)(void *self, const struct link_target *target, struct why *why);
    enum err (*subscribe)(void *self, const char *const *filters, size_t count, struct why *why);
    enum err (*publish)(void *self, const char *topic, struct span body, int qos, int *ret_token);
    /* Begins to close; CLOSED follows. */
    void (*close)(void *self);
    /* Drops the client and whatever it was doing; nothing of it follows. May block for a moment. */
    void (*abort)(void *self);
    /* The descriptor that can be read when there is an event to take; negative: none now. */
    int (*fd)(void *self);
    /* Takes the oldest event; false: there is none. */
    bool (*take)(void *self, struct link_event *ret_event);
    void *self;
};

#endif
