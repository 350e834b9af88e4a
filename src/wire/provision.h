/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What devices say over MQTT to be provisioned:
 *
 *   user name  {idScope}/registrations/{registrationId}/api-version=…[&ClientVersion=…]
 *   client id  {registrationId}
 *   publish    $dps/registrations/PUT/iotdps-register/?$rid={rid}
 *              $dps/registrations/GET/iotdps-get-operationstatus/?$rid={rid}&operationId={id}
 *   subscribe  $dps/registrations/res/#
 *   answer     $dps/registrations/res/{status}/?$rid={rid}[&retry-after={seconds}]
 *
 * Pure; spans of results point into the text that was parsed.
 */
#ifndef GEMEL_PROVISION_H
#define GEMEL_PROVISION_H

#include "buf.h"

struct provision_user {
    struct span id_scope;
    struct span registration_id;
};

/* Whether a user name is that of a device to be provisioned, and no hub's. */
bool provision_is_user(struct span text);

/* Reads such a user name. ERR_FORMAT. */
enum err provision_parse_user(
    struct span text, struct provision_user *ret_user, struct why *why) MUST_USE;

/* 1 to 128 letters, digits, '-', '.', '_' or ':', the last a letter or digit. ERR_ARGUMENT. */
enum err provision_check_id(struct span registration_id, struct why *why) MUST_USE;

/* Writes the key of a device in a group, in base64: HMAC-SHA256 of its registration id under the
 * group's key. ERR_FORMAT: that is no base64. */
enum err provision_write_device_key(
    struct span group_key, struct span registration_id, struct buf *out, struct why *why) MUST_USE;

struct provision_topic {
    bool is_status;           /* or else it registers */
    struct span rid;          /* as sent, never empty */
    struct span operation_id; /* of a status */
};

/* Reads the topic of a PUBLISH that a client sent. ERR_NOT_FOUND: no topic of provisioning;
 * ERR_ARGUMENT: $rid or operationId is missing. */
enum err provision_parse_topic(
    struct span text, struct provision_topic *ret_topic, struct why *why) MUST_USE;

#define PROVISION_FILTER "$dps/registrations/res/#"

bool provision_is_filter(struct span text);

/* `retry_s` 0: not said. */
void provision_write_topic(struct buf *out, int status, struct span rid, unsigned retry_s);

/* The device's side: its user name, what it publishes to, what it is answered. */
void provision_write_user(
    const struct provision_user *user, struct span client_version, struct buf *out);
void provision_write_register(struct buf *out, struct span rid);
void provision_write_status(struct buf *out, struct span rid, struct span operation_id);

struct provision_answer {
    int status;
    struct span rid;
    unsigned retry_s; /* 0: not said */
};

/* Reads the topic of an answer. ERR_NOT_FOUND: it is none. */
enum err provision_parse_answer(
    struct span text, struct provision_answer *ret_answer, struct why *why) MUST_USE;

#endif
