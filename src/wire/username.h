/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The user name of an MQTT CONNECT, which tells who connects to which hub:
 *
 *   {host}/{device}[/{module}]/?api-version=…[&DeviceClientType=…][&model-id=…][&auth-chain=…]
 *
 * and two older forms that clients still send: without the '?', and with "/DeviceClientType=…"
 * behind the version. Ids are raw, values are percent-encoded, order is free, unknown parameters
 * are ignored. Ids are only cut out here; ids.h says which are allowed. Pure.
 */
#ifndef GEMEL_USERNAME_H
#define GEMEL_USERNAME_H

#include "mem.h"

struct username {
    struct span host;      /* as sent */
    struct span device_id; /* never empty */
    struct span module_id; /* empty: a device */
    struct span api_version;
    struct span client_type; /* decoded; empty: not given */
    struct span model_id;    /* decoded; empty: not given */
    struct span auth_chain;  /* decoded; empty: not given */
};

/* Reads a user name; spans point into it or, where decoded, into the arena. ERR_FORMAT, ERR_MEMORY.
 */
enum err username_parse(
    struct arena *arena, struct span text, struct username *ret_username, struct why *why) MUST_USE;

/* Checks that an MQTT client id is "{device}" or "{device}/{module}" of the user name. */
enum err username_check_client_id(
    const struct username *username, struct span client_id, struct why *why) MUST_USE;

#endif
