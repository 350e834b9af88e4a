/* SPDX-License-Identifier: Apache-2.0 */
#include "mqtt_fault.h"

#include "bag.h"
#include "log.h"

#define ARENA_BYTES (256u * 1024)
#define DELAY_SECONDS_MAX 3600

/* Those of AMQP's links are acknowledged, and nothing follows. The last three make IoT Hub refuse
 * what comes, which MQTT can only tell by the end of the connection. */
static const char *const types[] = {
    "KillTcp", "ShutDownMqtt", "InvokeThrottling", "InvokeMaxMessageQuota", "InvokeAuthError"};

static int64_t now_ms(const struct mqtt_session *session)
{
    return clock_mono_us(session->conn.thread->clock) / 1000;
}

static bool ends_mqtt(struct span type)
{
    for (size_t i = 0; i < COUNT_OF(types); i++)
        if (span_is(type, types[i]))
            return true;
    return false;
}

struct fault {
    struct span type;
    struct span reason;
    struct span delay;
};

static enum err read_fault(struct arena *arena, struct span properties, struct fault *ret_fault)
{
    struct bag_item item;
    struct why why;
    enum err err;
    const struct {
        const char *key;
        struct span *to;
    } fields[] = {
        {"AzIoTHub_FaultOperationType", &ret_fault->type},
        {"AzIoTHub_FaultOperationCloseReason", &ret_fault->reason},
        {"AzIoTHub_FaultOperationDelayInSecs", &ret_fault->delay},
    };
    while ((err = bag_next(arena, &properties, &item, &why)) == ERR_NONE)
        for (size_t i = 0; i < COUNT_OF(fields); i++)
            if (span_is(item.key, fields[i].key))
                *fields[i].to = item.value;
    return err == ERR_NOT_FOUND ? ERR_NONE : err;
}

bool mqtt_fault_take(struct mqtt_session *session, struct span properties)
{
    struct fault fault = {SPAN_NONE, SPAN_NONE, SPAN_NONE};
    uint64_t seconds = 0;
    AUTO(arena_done) struct arena arena;
    arena_init(&arena, ARENA_BYTES);
    if (read_fault(&arena, properties, &fault) != ERR_NONE || fault.type.len == 0)
        return false;
    if (!ends_mqtt(fault.type)) {
        log_info("gateway", "%.*s asks for the fault %.*s, which MQTT does not have",
            SPAN_ARG(session->identity.device_id), SPAN_ARG(fault.type));
        return true;
    }
    if (!span_u64(fault.delay, DELAY_SECONDS_MAX, &seconds))
        seconds = 0;
    session->fault_ms = now_ms(session) + (int64_t)seconds * 1000;
    session->fault_is_polite = span_is(fault.reason, "byebye");
    mqtt_session_arm(session);
    return true;
}

bool mqtt_fault_happens(struct mqtt_session *session)
{
    if (session->fault_ms == 0 || now_ms(session) < session->fault_ms)
        return false;
    log_info("gateway", "MQTT connection of %.*s is closed: it asked for that fault",
        SPAN_ARG(session->identity.device_id));
    if (session->fault_is_polite)
        conn_finish(&session->conn);
    else
        conn_fail(&session->conn);
    return true;
}
