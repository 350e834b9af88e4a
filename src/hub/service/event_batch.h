/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Device-to-cloud messages as HTTP brings them: one, whose properties are headers, or a batch of
 * them in JSON, [{"body":"…","base64Encoded":true,"properties":{"iothub-app-k":"v"}}]. Pure.
 */
#ifndef GEMEL_SERVICE_EVENT_BATCH_H
#define GEMEL_SERVICE_EVENT_BATCH_H

#include "bag.h"

#define EVENT_BATCH_MAX 1000

struct event_message {
    struct span properties; /* an encoded bag */
    struct span body;
};

/* Adds a header, or a member of a batch's properties, to a bag; others than those of messages are
 * passed over. */
void event_batch_add(struct bag_writer *bag, struct span name, struct span value);

/* Reads a batch; all of it lives in the arena, or in `text`. ERR_ARGUMENT, ERR_FORMAT, ERR_MEMORY.
 */
enum err event_batch_read(struct arena *arena, struct span text,
    struct event_message **ret_messages, size_t *ret_count, struct why *why) MUST_USE;

#endif
