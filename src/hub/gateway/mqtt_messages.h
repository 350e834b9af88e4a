/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cloud-to-device messages on their way to one MQTT client. The session takes them from the store
 * one after the other, in their order, and sends each at once; with QoS 1 a few may wait for their
 * PUBACK, which completes them:
 *
 *   told, subscribed ---> take --> PUBLISH --> in flight --PUBACK--> complete
 *                          ^          |
 *                          +----------+ until the queue is empty, or too many are in flight
 *
 * What is in flight when the connection ends is delivered again on the next: the store sees that
 * the session that held it is gone. A subscription with QoS 0 completes a message by sending it.
 */
#ifndef GEMEL_GATEWAY_MQTT_MESSAGES_H
#define GEMEL_GATEWAY_MQTT_MESSAGES_H

#include "mqtt_session.h"

/* There may be messages, or the client subscribed to them. */
void mqtt_messages_told(struct mqtt_session *session);

/* A PUBACK came; one that belongs to no message is passed over. */
void mqtt_messages_acknowledged(struct mqtt_session *session, uint16_t packet_id);

void mqtt_messages_free(struct mqtt_messages *messages); /* NULL is fine */

#endif
