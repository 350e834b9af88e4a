/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_hub.h"

#include <setjmp.h>

#include <cmocka.h>

#define V "?api-version=" API_VERSION
#define QUEUED "{\"jobId\":\"j\",\"status\":\"queued\"}"
#define RUNNING                                                                                    \
    "{\"jobId\":\"j\",\"status\":\"running\",\"deviceJobStatistics\":{\"deviceCount\":3}}"
#define COMPLETED                                                                                  \
    "{\"jobId\":\"j\",\"status\":\"completed\",\"deviceJobStatistics\":{\"deviceCount\":3}}"

static void a_job_is_asked_for_with_azs_words(void **state UNUSED)
{
    const struct {
        const char *line;
        const char *asked;
        const char *sent;
    } rows[] = {
        {"job create-update-twin --job-id j#1 -q tags.a=1 --twin-patch {\"tags\":{\"b\":2}}",
            "PUT hub.local:8443 /jobs/v2/j%231" V,
            "{\"jobId\":\"j#1\",\"type\":\"scheduleUpdateTwin\",\"updateTwin\":{\"tags\":{\"b\":2},"
            "\"etag\":\"*\"},\"queryCondition\":\"tags.a=1\"}"},
        {"job create-update-twin --jid j -q * --patch {\"etag\":\"x\"} --start "
         "2026-12-01T02:00:00Z --ttl 60",
            "PUT hub.local:8443 /jobs/v2/j" V,
            "{\"jobId\":\"j\",\"type\":\"scheduleUpdateTwin\",\"updateTwin\":{\"etag\":\"x\"},"
            "\"queryCondition\":\"*\",\"startTime\":\"2026-12-01T02:00:00Z\","
            "\"maxExecutionTimeInSeconds\":60}"},
        {"job create-invoke-method --job-id j -q * --mn reboot --mp [1] --timeout 5",
            "PUT hub.local:8443 /jobs/v2/j" V,
            "{\"jobId\":\"j\",\"type\":\"scheduleDeviceMethod\",\"cloudToDeviceMethod\":"
            "{\"methodName\":\"reboot\",\"payload\":[1],\"responseTimeoutInSeconds\":5,"
            "\"connectTimeoutInSeconds\":0},\"queryCondition\":\"*\"}"},
        {"job show --job-id j", "GET hub.local:8443 /jobs/v2/j" V, NULL},
        {"job cancel --job-id j", "POST hub.local:8443 /jobs/v2/j/cancel" V, NULL},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct fake_answer answers[] = {{.status = 200, .body = QUEUED}};
        struct fake_hub hub = {.answers = answers, .answer_count = 1};
        if (fake_run(&hub, rows[i].line) != EXIT_DONE)
            fail_msg("%s: %s", rows[i].line, hub.err);
        const char *asked = fake_asked(&hub, 0);
        if (strstr(asked, rows[i].asked) == NULL)
            fail_msg("%s: %s", rows[i].line, asked);
        if (rows[i].sent != NULL)
            assert_string_equal(strstr(asked, "\n\n") + 2, rows[i].sent);
        assert_non_null(strstr(hub.out, "\"status\": \"queued\""));
        fake_done(&hub);
    }
}

static void waiting_asks_until_the_job_has_ended(void **state UNUSED)
{
    const struct fake_answer answers[] = {{.status = 200, .body = QUEUED},
        {.status = 200, .body = RUNNING}, {.status = 200, .body = COMPLETED}};
    struct fake_hub hub = {.answers = answers, .answer_count = 3};
    assert_int_equal(fake_run(&hub, "job create-update-twin --job-id j -q * --patch {} --wait"), 0);
    assert_int_equal(hub.asked_count, 3);
    assert_non_null(strstr(hub.out, "completed"));
    assert_null(strstr(hub.out, "running"));
    fake_done(&hub);
}

static void a_list_goes_on_from_page_to_page(void **state UNUSED)
{
    const struct fake_answer answers[] = {
        {.status = 200, .body = "[" RUNNING "]", .continuation = "next"},
        {.status = 200, .body = "[" COMPLETED "]"}};
    struct fake_hub hub = {.answers = answers, .answer_count = 2};
    assert_int_equal(fake_run(&hub, "job list --jt scheduleUpdateTwin --js running -o table"), 0);
    assert_non_null(strstr(
        fake_asked(&hub, 0), "/jobs/v2/query" V "&jobType=scheduleUpdateTwin&jobStatus=running"));
    assert_non_null(strstr(fake_asked(&hub, 1), "next"));
    assert_non_null(strstr(hub.out, "running"));
    assert_non_null(strstr(hub.out, "completed"));
    fake_done(&hub);
}

static void what_cannot_be_a_job_is_never_sent(void **state UNUSED)
{
    const struct {
        const char *line;
        const char *part;
    } rows[] = {
        {"job create-update-twin --job-id j -q *", "needs --twin-patch"},
        {"job create-update-twin -q * --patch {}", "needs --job-id"},
        {"job create-update-twin --job-id j --patch {}", "needs --query-condition"},
        {"job create-update-twin --job-id j -q * --patch []", "--twin-patch"},
        {"job create-update-twin --job-id j -q * --patch {} --ttl 0", "--ttl"},
        {"job create-invoke-method --job-id j -q *", "needs --method-name"},
        {"job list --job-status done", "queued"},
        {"job list --top 0", "--top"},
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
        cmocka_unit_test(a_job_is_asked_for_with_azs_words),
        cmocka_unit_test(waiting_asks_until_the_job_has_ended),
        cmocka_unit_test(a_list_goes_on_from_page_to_page),
        cmocka_unit_test(what_cannot_be_a_job_is_never_sent),
    };
    return cmocka_run_group_tests_name("cli job", tests, NULL, NULL);
}
