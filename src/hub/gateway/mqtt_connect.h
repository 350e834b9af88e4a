/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How an MQTT session begins and ends at the service: CONNECT, the identity that it is from then
 * on, and the farewell. A refusal for what the client is or said is CONNACK 5, which no SDK takes
 * as final; what may pass (starting, draining, a failing store) is 3, upon which all of them retry.
 */
#ifndef GEMEL_GATEWAY_MQTT_CONNECT_H
#define GEMEL_GATEWAY_MQTT_CONNECT_H

#include "mqtt_session.h"

void mqtt_connect_begin(struct mqtt_session *session, const struct mqtt_connect *connect);

/* Sends CONNACK and closes. */
void mqtt_connect_refuse(struct mqtt_session *session, enum mqtt_code code);

/* A session that was live is over: publishes the will, unregisters. */
void mqtt_connect_farewell(struct mqtt_session *session);

#endif
