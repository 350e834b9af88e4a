/* SPDX-License-Identifier: Apache-2.0 */
#include "session_state.h"

bool mqtt_state_may_become(enum mqtt_state from, enum mqtt_state to)
{
    static const bool moves[MQTT_STATE_COUNT][MQTT_STATE_COUNT] = {
        [MQTT_STATE_NEW] =
            {[MQTT_STATE_ASKING] = true, [MQTT_STATE_REFUSED] = true, [MQTT_STATE_OVER] = true},
        [MQTT_STATE_ASKING] =
            {[MQTT_STATE_LIVE] = true, [MQTT_STATE_REFUSED] = true, [MQTT_STATE_OVER] = true},
        [MQTT_STATE_LIVE] = {[MQTT_STATE_OVER] = true},
        [MQTT_STATE_REFUSED] = {[MQTT_STATE_OVER] = true},
    };
    return (size_t)from < MQTT_STATE_COUNT && (size_t)to < MQTT_STATE_COUNT && moves[from][to];
}

bool http_state_may_become(enum http_state from, enum http_state to)
{
    static const bool moves[HTTP_STATE_COUNT][HTTP_STATE_COUNT] = {
        [HTTP_IDLE] = {[HTTP_HEAD] = true},
        [HTTP_HEAD] = {[HTTP_BODY] = true, [HTTP_ANSWERING] = true},
        [HTTP_BODY] = {[HTTP_ASKING] = true, [HTTP_ANSWERING] = true},
        [HTTP_ASKING] = {[HTTP_ANSWERING] = true},
        [HTTP_ANSWERING] = {[HTTP_IDLE] = true, [HTTP_ASKING] = true},
    };
    return (size_t)from < HTTP_STATE_COUNT && (size_t)to < HTTP_STATE_COUNT && moves[from][to];
}
