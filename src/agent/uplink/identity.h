/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who the agent is and where its hub is: what connection_string.txt says, and what follows from it
 * for MQTT. The file holds a key; it is wiped from memory with the identity and never quoted in a
 * sentence.
 */
#ifndef GEMEL_IDENTITY_H
#define GEMEL_IDENTITY_H

#include "connstr.h"

struct identity {
    struct buf text;        /* the file; what `connstr` points into */
    struct connstr connstr; /* of a module */
};

/*
 * Reads a connection string's file. ERR_NOT_FOUND, ERR_FORMAT and the like, with a sentence
 * that names the path and says what the file must hold. `ret_identity` must hold nothing.
 */
enum err identity_load(const char *path, struct identity *ret_identity, struct why *why) MUST_USE;
void identity_done(struct identity *identity);

/* The name and port to connect to: of the gateway if there is one. */
struct span identity_host(const struct identity *identity);

/* "{device}/{module}" */
void identity_write_client_id(const struct identity *identity, struct buf *out);

/* "{host}/{device}/{module}/?api-version=…&DeviceClientType=…" */
void identity_write_username(const struct identity *identity, const char *version, struct buf *out);

/* The password: a token that is valid until `expires_s`, or the one of the connection string;
 * nothing with x509. */
enum err identity_write_password(
    const struct identity *identity, int64_t expires_s, struct buf *out, struct why *why) MUST_USE;

#endif
