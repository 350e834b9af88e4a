/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An MQTT connection of a device that wants to be provisioned: its user name begins with an id
 * scope in place of a host name. It may register and ask for the outcome, each one REST call to the
 * service with what it showed at CONNECT; the bus does not know it.
 */
#ifndef GEMEL_GATEWAY_MQTT_PROVISION_H
#define GEMEL_GATEWAY_MQTT_PROVISION_H

#include "mqtt_session.h"

/* Takes the CONNECT of such a device; see provision.h. */
void mqtt_provision_begin(struct mqtt_session *session, const struct mqtt_connect *connect);

/* Takes a packet after CONNECT; false: it is one that every session takes alike. */
bool mqtt_provision_take(struct mqtt_session *session, const struct mqtt_packet *packet);

void mqtt_provision_free(struct mqtt_provision *provision); /* NULL is fine */

#endif
