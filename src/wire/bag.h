/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Property bags: "key=value&key2=value2", keys and values percent-encoded, at the end of the topics
 * of device-to-cloud and cloud-to-device messages. A key alone is a null value, "key=" an empty
 * text. Keys that begin with "$." are system properties, short forms of the names that the event
 * endpoint uses; the table is here. Pure.
 */
#ifndef GEMEL_BAG_H
#define GEMEL_BAG_H

#include "buf.h"
#include "mem.h"

struct bag_item {
    struct span key; /* decoded */
    struct span value;
    bool has_value; /* false: the key stood alone */
};

/*
 * Takes the first item from `*rest`, decoded; a text without escapes is borrowed, others live in
 * the arena. Empty items ("a=1&&b=2") are passed over. ERR_NOT_FOUND at the end; ERR_FORMAT: a
 * broken escape, bytes that are no UTF-8, U+0000, or no key; ERR_MEMORY.
 */
enum err bag_next(
    struct arena *arena, struct span *rest, struct bag_item *ret_item, struct why *why) MUST_USE;

/* Writes items of a bag, with the '&' between them. */
struct bag_writer {
    struct buf *out;
    bool any;
};
void bag_add(struct bag_writer *writer, struct span key, struct span value);
void bag_add_null(struct bag_writer *writer, struct span key);

struct bag_system {
    const char *key;  /* "$.mid" */
    const char *name; /* "message-id" */
    bool from_client; /* false: the hub's alone; ignored when a client sends it */
};

extern const struct bag_system bag_systems[];
extern const size_t bag_system_count;

/* Finds a system property by key ("$.mid") or by name ("message-id"); NULL if there is none. */
const struct bag_system *bag_system_by_key(struct span key);
const struct bag_system *bag_system_by_name(struct span name);

#endif
