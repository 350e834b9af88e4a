/* SPDX-License-Identifier: Apache-2.0 */
/* Direct methods that are under way, inside of the service. */
#ifndef GEMEL_SERVICE_METHODS_H
#define GEMEL_SERVICE_METHODS_H

#include "service_priv.h"

#define METHOD_NUMBER_SIZE 24

struct method_outcome {
    enum err err;
    const struct method_response *response; /* with ERR_NONE; as the client sent it */
    const struct why *why;
    bool sent; /* the client may have seen the request */
};

/* One that is asked for: its texts stay until done() is called, once, on any thread. */
struct method_call {
    int64_t hub_id;
    struct span device_id;
    struct span module_id;
    struct span name;
    struct span payload; /* JSON text */
    int64_t response_us; /* how long the answer may take */
    int64_t connect_us;  /* how long the client may take to come */
    void (*done)(struct method_call *call, const struct method_outcome *outcome);
    /* methods.c's own */
    struct method_call *next;
    int64_t connect_mono_us;
    int64_t deadline_mono_us; /* of what it waits for now */
    bool sent;
    char number[METHOD_NUMBER_SIZE]; /* the $rid */
};

/* Reads name, payload and times from a body, into the arena. ERR_ARGUMENT, ERR_TOO_LARGE. */
enum err method_call_read(struct arena *arena, const struct json *body, size_t payload_bytes,
    struct method_call *call, struct why *why) MUST_USE;
/* What a client said, which must be JSON, or nothing (NULL). ERR_BAD_ANSWER. */
enum err method_answer_read(struct arena *arena, const struct method_response *response,
    size_t payload_bytes, struct json **ret_payload, struct why *why) MUST_USE;

/* Asks a client. Whether its identity exists is the caller's to know. */
void methods_begin(struct service *service, struct method_call *call);

struct method_table *method_table_new(const struct clock *clock); /* NULL: no memory */
void method_table_free(struct method_table *table);               /* NULL is fine */

/* The client of an identity takes methods from now on: hands over what waits for it. */
void methods_wake(struct service *service, const struct session_identity *who);

/* Answers what waited long enough (or everything). */
void methods_release(struct service *service, bool all);

/* Lets none begin any more and ends those that were not sent; returns how many are still to be
 * answered. */
size_t methods_finish(struct service *service);

/* The identity was deleted; with an empty module id the device and all its modules. */
void methods_forget(
    struct service *service, int64_t hub_id, struct span device_id, struct span module_id);

#endif
