/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults that a client asks for, as the makers of the SDKs do in their own tests: an event with the
 * property AzIoTHub_FaultOperationType is no event, but is acknowledged, and after
 * AzIoTHub_FaultOperationDelayInSecs the connection ends; with the close reason "byebye" by TLS's
 * own word, else without one. The client may come again at once:
 * AzIoTHub_FaultOperationDurationInSecs is for what AMQP refuses meanwhile, and tests over MQTT
 * wait that long at most. Only where tests.fault_injection is set.
 */
#ifndef GEMEL_GATEWAY_MQTT_FAULT_H
#define GEMEL_GATEWAY_MQTT_FAULT_H

#include "mqtt_session.h"

/* Whether the event with these properties asks for a fault, which is then to come. */
bool mqtt_fault_take(struct mqtt_session *session, struct span properties);

/* Ends the connection if its fault is due; false: it is not. */
bool mqtt_fault_happens(struct mqtt_session *session);

#endif
