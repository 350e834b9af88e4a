/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The topics of IoT Hub's MQTT protocol, in both directions and for both sides. A topic is checked
 * against the identity of its session: a client never names another device. Ids in topics are raw;
 * request ids ("$rid") are carried as they came, still percent-encoded, because they must be echoed
 * to the letter. Pure; spans of results point into the text that was parsed.
 */
#ifndef GEMEL_TOPIC_H
#define GEMEL_TOPIC_H

#include "buf.h"

/* Whose session it is; module_id is empty for a device. */
struct topic_owner {
    struct span device_id;
    struct span module_id;
};

enum topic_kind {
    /* client to hub */
    TOPIC_EVENTS,          /* properties */
    TOPIC_TWIN_GET,        /* rid */
    TOPIC_TWIN_REPORTED,   /* rid, version */
    TOPIC_METHOD_RESPONSE, /* rid, status */
    /* hub to client */
    TOPIC_TWIN_RESPONSE, /* rid, status, version */
    TOPIC_TWIN_DESIRED,  /* version */
    TOPIC_METHOD,        /* method, rid */
    TOPIC_C2D,           /* properties */
};

struct topic {
    enum topic_kind kind;
    struct span properties; /* the bag, encoded, without a leading '?' and a trailing '/' */
    struct span rid;        /* never empty where it belongs to the kind */
    struct span method;
    int64_t version; /* 0: not given; -1: given, but none that a twin can have */
    int32_t status;
};

/*
 * Reads the topic of a PUBLISH that a client sent. ERR_NOT_FOUND: no topic of the hub;
 * ERR_FORBIDDEN: the topic of another device or module; ERR_ARGUMENT: missing or empty $rid, bad
 * status, a wildcard that is no part of an id.
 */
enum err topic_parse_from_client(struct span text, const struct topic_owner *owner,
    struct topic *ret_topic, struct why *why) MUST_USE;

/* Reads the topic of a PUBLISH that the hub sent; the same errors. */
enum err topic_parse_from_hub(struct span text, const struct topic_owner *owner,
    struct topic *ret_topic, struct why *why) MUST_USE;

/* Subscriptions; one bit each, so that a session keeps them as a set. The hub stores that set: no
 * bit ever gets another meaning. */
enum topic_filter {
    TOPIC_FILTER_C2D = 1,            /* devices/{d}[/modules/{m}]/messages/devicebound/# */
    TOPIC_FILTER_INPUTS = 2,         /* devices/{d}/modules/{m}/inputs/# */
    TOPIC_FILTER_MODULE = 4,         /* devices/{d}/modules/{m}/#: C2D and inputs */
    TOPIC_FILTER_TWIN_RESPONSES = 8, /* $iothub/twin/res/# */
    TOPIC_FILTER_TWIN_DESIRED = 16,  /* $iothub/twin/PATCH/properties/desired/# */
    TOPIC_FILTER_METHODS = 32,       /* $iothub/methods/POST/# */
};

#define TOPIC_FILTER_KINDS 6

/*
 * Reads a subscription's filter. "+" in place of an id means the session's own. ERR_NOT_FOUND: the
 * hub offers no such filter; ERR_FORBIDDEN: it names another device or module.
 */
enum err topic_parse_filter(struct span text, const struct topic_owner *owner,
    enum topic_filter *ret_filter, struct why *why) MUST_USE;

/* Returns the filter as a client subscribes to it, for the owner; for clients and tests. */
void topic_write_filter(struct buf *out, enum topic_filter filter, const struct topic_owner *owner);

/* Hub to client. `version` 0: none. */
void topic_write_twin_response(struct buf *out, int status, struct span rid, int64_t version);
void topic_write_twin_desired(struct buf *out, int64_t version);
/* ERR_ARGUMENT if the name is empty, longer than 100 bytes or cannot stand in a topic. */
enum err topic_write_method(
    struct buf *out, struct span method, struct span rid, struct why *why) MUST_USE;
/* `properties`: an encoded bag (bag.h), not empty: the .NET SDK throws without one. */
void topic_write_c2d(struct buf *out, const struct topic_owner *owner, struct span properties);

/* Client to hub. */
void topic_write_events(struct buf *out, const struct topic_owner *owner, struct span properties);
void topic_write_twin_get(struct buf *out, struct span rid);
void topic_write_twin_reported(struct buf *out, struct span rid, int64_t version);
void topic_write_method_response(struct buf *out, int32_t status, struct span rid);

/* Whether a will may be published to this topic: the owner's own events. */
bool topic_is_will(struct span text, const struct topic_owner *owner, struct span *ret_properties);

#endif
