/* SPDX-License-Identifier: Apache-2.0 */
#include "session_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* The drawings of session_state.h, row by row: N new, A asking, L live, R refused, O over. */
static void an_mqtt_session_moves_along_the_drawn_arrows_only(void **state)
{
    (void)state;
    static const char *const may[MQTT_STATE_COUNT] = {
        /* to:                NALRO */
        [MQTT_STATE_NEW] = "01011",
        [MQTT_STATE_ASKING] = "00111",
        [MQTT_STATE_LIVE] = "00001",
        [MQTT_STATE_REFUSED] = "00001",
        [MQTT_STATE_OVER] = "00000",
    };
    for (int from = 0; from < MQTT_STATE_COUNT; from++)
        for (int to = 0; to < MQTT_STATE_COUNT; to++)
            assert_int_equal(mqtt_state_may_become((enum mqtt_state)from, (enum mqtt_state)to),
                may[from][to] == '1');
}

static void an_https_connection_moves_along_the_drawn_arrows_only(void **state)
{
    (void)state;
    static const char *const may[HTTP_STATE_COUNT] = {
        /* to: idle, head, body, asking, answering */
        [HTTP_IDLE] = "01000",
        [HTTP_HEAD] = "00101",
        [HTTP_BODY] = "00011",
        [HTTP_ASKING] = "00001",
        [HTTP_ANSWERING] = "10010",
    };
    for (int from = 0; from < HTTP_STATE_COUNT; from++)
        for (int to = 0; to < HTTP_STATE_COUNT; to++)
            assert_int_equal(http_state_may_become((enum http_state)from, (enum http_state)to),
                may[from][to] == '1');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_mqtt_session_moves_along_the_drawn_arrows_only),
        cmocka_unit_test(an_https_connection_moves_along_the_drawn_arrows_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
