/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_hub.h"

#include <setjmp.h>

#include <cmocka.h>

#define V "?api-version=" API_VERSION
#define ANSWER "{\"status\":7,\"payload\":{\"a\":1}}"

static void a_method_is_sent_with_azs_words_and_defaults(void **state UNUSED)
{
    const struct {
        const char *line;
        const char *target;
        const char *sent;
    } rows[] = {
        {"invoke-device-method -d d#1 --method-name reboot", "/twins/d%231/methods",
            "{\"methodName\":\"reboot\",\"payload\":{},\"responseTimeoutInSeconds\":30,"
            "\"connectTimeoutInSeconds\":0}"},
        {"invoke-device-method -d d1 --mn reboot --mp null --timeout 5", "/twins/d1/methods",
            "{\"methodName\":\"reboot\",\"payload\":null,\"responseTimeoutInSeconds\":5,"
            "\"connectTimeoutInSeconds\":0}"},
        {"invoke-module-method -d d1 -m m1 --mn x --mp [1.50] --timeout 300 --connect-timeout 300",
            "/twins/d1/modules/m1/methods",
            "{\"methodName\":\"x\",\"payload\":[1.50],\"responseTimeoutInSeconds\":300,"
            "\"connectTimeoutInSeconds\":300}"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct fake_answer answers[] = {{.status = 200, .body = ANSWER}};
        struct fake_hub hub = {.answers = answers, .answer_count = 1};
        assert_int_equal(fake_run(&hub, rows[i].line), EXIT_DONE);
        const char *asked = fake_asked(&hub, 0);
        assert_non_null(strstr(asked, "POST hub.local:8443 /"));
        assert_non_null(strstr(asked, rows[i].target));
        assert_string_equal(strstr(asked, "\n\n") + 2, rows[i].sent);
        assert_non_null(strstr(hub.out, "\"status\": 7"));
        fake_done(&hub);
    }
}

static void what_cannot_be_a_call_is_never_sent(void **state UNUSED)
{
    const struct {
        const char *line;
        const char *part;
    } rows[] = {
        {"invoke-device-method -d d1", "needs --method-name"},
        {"invoke-device-method -d d1 --mn x -m m1", "takes no --module-id"},
        {"invoke-module-method -d d1 --mn x", "needs --module-id"},
        {"invoke-device-method -d d1 --mn x --mp {", "--method-payload is no JSON: line 1"},
        {"invoke-device-method -d d1 --mn x --timeout 4",
            "--timeout is a number of seconds from 5"},
        {"invoke-device-method -d d1 --mn x --timeout 301", "to 300"},
        {"invoke-device-method -d d1 --mn x --connect-timeout x", "from 0 to 300"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fake_hub hub = {0};
        assert_int_equal(fake_run(&hub, rows[i].line), EXIT_USAGE);
        if (strstr(hub.err, rows[i].part) == NULL)
            fail_msg("%s: %s", rows[i].line, hub.err);
        fake_done(&hub);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_method_is_sent_with_azs_words_and_defaults),
        cmocka_unit_test(what_cannot_be_a_call_is_never_sent),
    };
    return cmocka_run_group_tests_name("cli method", tests, NULL, NULL);
}
