/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a client asks for that takes the service: events, the twin, changes of reported, and
 * subscriptions that last. Each packet becomes an operation in the session's list, is answered by
 * the service in any order, and acknowledged in the order of the packets (MQTT 3.1.1, 4.6), once it
 * is done:
 *
 *     packets:  7 event   8 report   9 get
 *     answers:            204 sent            PUBACK 8 waits for 7
 *               stored                        PUBACK 7, PUBACK 8
 *
 * A GET waits for reports that the client sent before it, so that it reads what it wrote. A GET
 * that read an older desired section than the session was told of meanwhile is read again: the
 * client must never see a change, and then a twin without it.
 */
#ifndef GEMEL_GATEWAY_MQTT_OPS_H
#define GEMEL_GATEWAY_MQTT_OPS_H

#include "mqtt_session.h"

/* Begins what the packet asks for; the topic was parsed from it. */
void mqtt_ops_publish(
    struct mqtt_session *session, const struct mqtt_publish *publish, const struct topic *topic);

/* Acknowledges a SUBSCRIBE with its codes, an UNSUBSCRIBE without; where the session lasts and its
 * subscriptions are not those of before, once they are stored. */
void mqtt_ops_subscribe(
    struct mqtt_session *session, uint16_t packet_id, struct span codes, uint32_t before);

/* Stores the will as an event; the session is OVER. */
void mqtt_ops_will(struct mqtt_session *session);

/* Sends a change of desired, if the client subscribed to them. */
void mqtt_ops_desired(struct mqtt_session *session, struct span payload, int64_t version);

/* Sends a direct method, if the client still takes them. */
void mqtt_ops_method(struct mqtt_session *session, const struct method_request *request);

/* Gives up events that are delayed and were not acknowledged: the connection is gone, and the
 * client will send them again. */
void mqtt_ops_abandon(struct mqtt_session *session);

/* Frees operations that no call is in flight for. */
void mqtt_ops_done(struct mqtt_session *session);

#endif
