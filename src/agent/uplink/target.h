/* SPDX-License-Identifier: Apache-2.0 */
/* Where and how to connect, made of what the settings, the identity and the files say. */
#ifndef GEMEL_TARGET_H
#define GEMEL_TARGET_H

#include "credentials.h"
#include "identity.h"
#include "link.h"
#include "registration.h"
#include "settings.h"

/* What is the same for every connection; all borrowed. */
struct target_way {
    enum transport transport;
    const char *proxy; /* as IothubModule_ProxyConfig; NULL: none */
    int keep_alive_s;
    const char *agent_version;
    const struct credentials *credentials;
    const struct link_driver *link;
};

/* "ssl://host:8883", or "wss://host:443/…" over WebSocket, with the port that was given. */
void target_write_uri(
    struct span host, enum transport transport, bool by_certificate, struct buf *out);

/* Begin to connect, as the module or to the provisioning service, with a token that is valid until
 * `expires_s` or by certificate. Not ERR_NONE: nothing is under way, and the sentence says what
 * stands against it. */
enum err target_connect_as_module(const struct target_way *way, const struct identity *identity,
    int64_t expires_s, struct why *why) MUST_USE;
enum err target_connect_to_register(const struct target_way *way,
    const struct registration *registration, int64_t expires_s, struct why *why) MUST_USE;

#endif
