/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connection to the hub: who we are, TLS, tokens that are renewed before they end, reconnecting
 * for ever with pauses that grow, and IoT Hub's topics. What comes from the hub is checked and
 * handed on by functions that the agent gives; what makes no sense is logged and dropped.
 *
 *   WAITING --pause over--> CONNECTING --CONNACK 0--> SUBSCRIBING --granted--> UP
 *      ^ ^                      |                         |                    |  |
 *      | +------- refused ------+      refused, no answer |                    |  | token old
 *      |                                                  v                    |  v
 *      |<-------------------- closed -----------------CLOSING <-- empty -- DRAINING
 *      +---------------------- lost (from every state with a connection) ------+
 *
 * One thread; the client's threads are behind the link driver (link.h).
 */
#ifndef GEMEL_UPLINK_H
#define GEMEL_UPLINK_H

#include "clock.h"
#include "json.h"
#include "link.h"
#include "registration.h"
#include "settings.h"

struct uplink;

struct uplink_options {
    const struct clock *clock;
    uint32_t (*random)(void);
    const char *config_dir; /* connection_string.txt, ca.pem, certificate_*.pem */
    const char *agent_version;
    enum transport transport;
    /* How to be provisioned where there is no connection_string.txt; id_scope NULL or "": not. The
     * texts are copied. */
    struct registration_options registration;
    const char *proxy;    /* as IothubModule_ProxyConfig, copied; "" or NULL: none */
    int64_t token_life_s; /* this and what follows: 0 is the setting's default */
    int64_t keep_alive_s;
    int64_t pause_first_us;   /* before connecting again; doubled from failure to failure … */
    int64_t pause_longest_us; /* … up to this */
    struct link_driver link;

    /* Called from uplink_run(). The spans live until the function returns. */
    void (*connected)(void *self);
    void (*lost)(void *self);
    void (*answer)(void *self, uint32_t request, int status, struct span body);
    void (*desired)(void *self, int64_t version, struct span patch);
    void (*delivered)(void *self, int token);
    void *self;
};

/* Reads the connection string; without a usable one there is no uplink, and the sentence says what
 * the file must hold. ERR_NOT_FOUND, ERR_FORMAT, ERR_IO, ERR_MEMORY. */
enum err uplink_new(
    const struct uplink_options *options, struct uplink **ret_uplink, struct why *why) MUST_USE;
void uplink_free(struct uplink *uplink); /* the link is its owner's; NULL is fine */

/* Handles what the link has to say and what is due; returns when it wants to be called again. */
int64_t uplink_run(struct uplink *uplink);

/* Says when that is, without handling anything: after the calls below it may have changed. */
int64_t uplink_due(const struct uplink *uplink);

/* What is under way gets its acknowledgement, and a new connection with the credentials as they are
 * now follows; who waits, as one does whose credentials were refused, waits no longer. */
void uplink_renew(struct uplink *uplink);

/* Looks whether a file that the connection is made of was replaced on disk, and renews it then.
 * Call it now and then. */
void uplink_look(struct uplink *uplink);

/* Ask for the twin, report, publish an event message. ERR_UNAVAILABLE: not connected now. The
 * answers come by the functions above. */
enum err uplink_read_twin(struct uplink *uplink, uint32_t request) MUST_USE;
enum err uplink_report(struct uplink *uplink, uint32_t request, struct span patch) MUST_USE;
enum err uplink_publish(
    struct uplink *uplink, const char *id, struct span body, int *ret_token) MUST_USE;

/* Gives up a connection on which the hub no longer answers; the next one follows. */
void uplink_reconnect(struct uplink *uplink, const char *reason);

/* Closes the connection for good; uplink_stopped() once that is done. */
void uplink_stop(struct uplink *uplink);
bool uplink_stopped(const struct uplink *uplink);

/* Adds "connection", "since", "hub", "device", "module", "last_error"…; never a secret. */
enum err uplink_status(
    const struct uplink *uplink, struct arena *arena, struct json *object) MUST_USE;

#endif
