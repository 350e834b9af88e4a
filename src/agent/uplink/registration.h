/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device that was never told its connection string, but an id scope, its registration id and a
 * key or certificate, asks a device provisioning service (DPS) which hub and which device are its
 * own:
 *
 *   register ──> 202 assigning ──(asks again)──> 200 assigned: hub, device
 *                                                  └─> connection string, kept in the state
 * directory
 *
 * The module that the agent is must be there: Gemel's enrollments make it with the device's key or
 * thumbprint (docs/guide/provisioning.md). Pure but for the file; the connection is the uplink's.
 */
#ifndef GEMEL_REGISTRATION_H
#define GEMEL_REGISTRATION_H

#include "buf.h"

/* Where the connection string is kept, in the state directory. */
#define REGISTRATION_FILE "provisioned_connection_string.txt"
#define REGISTRATION_HOST "global.azure-devices-provisioning.net"

struct registration_options {
    const char *id_scope;
    const char *registration_id;
    const char *key;  /* base64; NULL or "": by certificate */
    const char *host; /* with its port, if another than the transport's; NULL or "": Azure's */
    const char *module_id;
    const char *state_dir;
};

struct registration;

/* Copies the texts. ERR_ARGUMENT: what is missing or cannot be; ERR_MEMORY. */
enum err registration_new(const struct registration_options *options,
    struct registration **ret_registration, struct why *why) MUST_USE;
void registration_free(struct registration *registration); /* NULL is fine */

bool registration_by_certificate(const struct registration *registration);

/* What CONNECT needs; the password is a token that is valid until `expires_s`. */
struct span registration_host(const struct registration *registration);
struct span registration_client_id(const struct registration *registration);
void registration_write_username(
    const struct registration *registration, const char *version, struct buf *out);
enum err registration_write_password(const struct registration *registration, int64_t expires_s,
    struct buf *out, struct why *why) MUST_USE;

/* Writes what is to be published next: the wish to be registered, or the question what came of it.
 */
void registration_ask(struct registration *registration, struct buf *topic, struct buf *body);

enum registration_outcome {
    REGISTRATION_PENDING, /* ask again after `*ret_retry_s` */
    REGISTRATION_DONE,    /* the connection string is in its file */
    REGISTRATION_FAILED,  /* `why` says what the service said */
    REGISTRATION_FOREIGN, /* no answer to what was asked */
};

/* Reads an answer. */
enum registration_outcome registration_answer(struct registration *registration, struct span topic,
    struct span body, unsigned *ret_retry_s, struct why *why);

#endif
