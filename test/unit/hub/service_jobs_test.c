/* SPDX-License-Identifier: Apache-2.0 */
/* Scheduled jobs: what is refused, how they run, and what became of each device. */
#include "service_harness.h"

#include <stdlib.h>
#include <unistd.h>

#define JOB(id) "/jobs/v2/" id "?" V
#define CANCEL(id) "/jobs/v2/" id "/cancel?" V
#define UPDATE "\"updateTwin\":{\"etag\":\"*\",\"tags\":{\"site\":\"north\"}}"
#define METHOD "\"cloudToDeviceMethod\":{\"methodName\":\"reboot\",\"payload\":{\"in\":5}}"
#define TWIN_JOB(condition)                                                                        \
    "{\"type\":\"scheduleUpdateTwin\"," UPDATE ",\"queryCondition\":\"" condition "\"}"
#define METHOD_JOB(condition)                                                                      \
    "{\"type\":\"scheduleDeviceMethod\"," METHOD ",\"queryCondition\":\"" condition "\"}"

static void tick_after(int64_t seconds)
{
    world_advance(seconds);
    service_tick(world.service);
}

static bool has_status(const char *target, const char *status)
{
    struct answer answer = ask("GET", target, NULL, NULL);
    assert_int_equal(answer.status, 200);
    return strcmp(member(&answer, "status"), status) == 0;
}

/* The engine works on the store's threads. */
static void wait_for(const char *target, const char *status)
{
    for (int i = 0; i < 10000; i++) {
        if (has_status(target, status))
            return;
        service_tick(world.service);
        usleep(1000);
    }
    fail_msg("%s is not %s: %s", target, status, ask("GET", target, NULL, NULL).body);
}

static void create(const char *target, const char *body)
{
    struct answer answer = ask("PUT", target, body, NULL);
    if (answer.status != 200)
        fail_msg("%s: %d %s", target, answer.status, answer.body);
    assert_string_equal(member(&answer, "status"), "queued");
}

static void check_counts(const char *target, const char *counts)
{
    struct answer answer = ask("GET", target, NULL, NULL);
    if (strstr(answer.body, counts) == NULL)
        fail_msg("no %s in %s", counts, answer.body);
}

#define COUNTS(devices, failed, succeeded, running, pending)                                       \
    "{\"deviceCount\":" #devices ",\"failedCount\":" #failed ",\"succeededCount\":" #succeeded     \
    ",\"runningCount\":" #running ",\"pendingCount\":" #pending "}"

static struct answer ask_rows(const char *condition)
{
    char body[512];
    snprintf(body, sizeof(body), "{\"query\":\"SELECT * FROM devices.jobs %s\"}", condition);
    struct answer answer = ask("POST", "/devices/query?" V, body, NULL);
    assert_int_equal(answer.status, 200);
    return answer;
}

static void a_job_changes_the_twins_that_its_condition_takes(void **state UNUSED)
{
    make_device("a");
    make_device("b");
    make_device("c");
    make_module("c", "m");
    service_tick(world.service);
    create(JOB("j"), "{\"jobId\":\"j\",\"type\":\"scheduleUpdateTwin\"," UPDATE
                     ",\"queryCondition\":\"deviceId IN ['a','c']\",\"startTime\":null,"
                     "\"maxExecutionTimeInSeconds\":60}");
    wait_for(JOB("j"), "completed");
    check_counts(JOB("j"), COUNTS(2, 0, 2, 0, 0));
    struct answer job = ask("GET", JOB("j"), NULL, NULL);
    assert_string_equal(job.body,
        "{\"jobId\":\"j\",\"queryCondition\":\"deviceId IN ['a','c']\"," UPDATE
        ",\"createdTime\":\"" START_TEXT "\",\"startTime\":\"" START_TEXT
        "\",\"endTime\":\"" START_TEXT "\",\"maxExecutionTimeInSeconds\":60,"
        "\"type\":\"scheduleUpdateTwin\",\"status\":\"completed\",\"deviceJobStatistics\":" COUNTS(
            2, 0, 2, 0, 0) "}");
    struct answer twin = ask("GET", "/twins/a?" V, NULL, NULL);
    assert_string_equal(member(&twin, "tags.site"), "north");
    twin = ask("GET", "/twins/b?" V, NULL, NULL);
    assert_null(member(&twin, "tags.site"));
    twin = ask("GET", "/twins/c/modules/m?" V, NULL, NULL);
    assert_null(member(&twin, "tags.site"));
    struct answer history = ask("GET", "/gemel/v1/twin-history/a", NULL, NULL);
    assert_non_null(strstr(history.body, "job j"));
    create(JOB("m"), TWIN_JOB("FROM devices.modules WHERE moduleId = 'm'"));
    wait_for(JOB("m"), "completed");
    check_counts(JOB("m"), COUNTS(1, 0, 1, 0, 0));
    twin = ask("GET", "/twins/c/modules/m?" V, NULL, NULL);
    assert_string_equal(member(&twin, "tags.site"), "north");
    create(JOB("none"), TWIN_JOB("deviceId = 'nobody'"));
    wait_for(JOB("none"), "completed");
    check_counts(JOB("none"), COUNTS(0, 0, 0, 0, 0));
}

static void what_cannot_be_a_job_is_refused(void **state UNUSED)
{
    static char large[200000];
    static char long_id[200];
    snprintf(large, sizeof(large),
        "{\"type\":\"scheduleDeviceMethod\",\"queryCondition\":\"*\",\"cloudToDeviceMethod\":"
        "{\"methodName\":\"m\",\"payload\":\"%0131071d\"}}",
        1);
    snprintf(long_id, sizeof(long_id), "/jobs/v2/%0129d?" V, 1);
    const struct {
        const char *target;
        const char *body;
        int status;
        const char *error;
        const char *says;
    } rows[] = {
        {JOB("x"), "[]", 400, "ArgumentInvalid", "an array"},
        {JOB("x"), "{", 400, "IotHubFormatError", "no JSON"},
        {JOB("x"), "{}", 400, "ArgumentInvalid", "type must be"},
        {JOB("x"), "{\"type\":\"import\"}", 400, "ArgumentInvalid", "type must be"},
        {JOB("a%20b"), TWIN_JOB("*"), 400, "ArgumentInvalid", "the id of the job"},
        {JOB("query"), TWIN_JOB("*"), 400, "ArgumentInvalid", "query"},
        {long_id, TWIN_JOB("*"), 400, "ArgumentInvalid", "128"},
        {JOB("x"), "{\"jobId\":\"y\",\"type\":\"scheduleUpdateTwin\"}", 400, "ArgumentInvalid",
            "jobId"},
        {JOB("x"), "{\"type\":\"scheduleUpdateTwin\",\"queryCondition\":\"*\"}", 400,
            "ArgumentInvalid", "needs updateTwin"},
        {JOB("x"), "{\"type\":\"scheduleDeviceMethod\",\"queryCondition\":\"*\"," UPDATE "}", 400,
            "ArgumentInvalid", "and not updateTwin"},
        {JOB("x"),
            "{\"type\":\"scheduleUpdateTwin\",\"queryCondition\":\"*\"," UPDATE "," METHOD "}", 400,
            "ArgumentInvalid", "and not cloudToDeviceMethod"},
        {JOB("x"), "{\"type\":\"scheduleUpdateTwin\"," UPDATE "}", 400, "ArgumentInvalid",
            "queryCondition"},
        {JOB("x"), TWIN_JOB(" "), 400, "ArgumentInvalid", "queryCondition"},
        {JOB("x"), TWIN_JOB("deviceId = "), 400, "ArgumentInvalid",
            "queryCondition: the query, line 1, column 12: the query ends"},
        {JOB("x"), TWIN_JOB("FROM devices.modules WHERE moduleId IN 5"), 400, "ArgumentInvalid",
            "line 1, column 40: 5 stands"},
        {JOB("x"), TWIN_JOB("FROM devices.jobs"), 400, "ArgumentInvalid", "devices.modules"},
        {JOB("x"), TWIN_JOB("FROM devices GROUP BY status"), 400, "ArgumentInvalid",
            "queryCondition"},
        {JOB("x"),
            "{\"type\":\"scheduleUpdateTwin\",\"queryCondition\":\"*\",\"updateTwin\":{\"tags\":"
            "{\"a.b\":1}}}",
            400, "ArgumentInvalid", "updateTwin"},
        {JOB("x"),
            "{\"type\":\"scheduleDeviceMethod\",\"queryCondition\":\"*\",\"cloudToDeviceMethod\":"
            "{\"methodName\":\"\"}}",
            400, "ArgumentInvalid", "cloudToDeviceMethod"},
        {JOB("x"), large, 413, "MessageTooLarge", "limits.method_bytes"},
        {JOB("x"),
            "{\"type\":\"scheduleUpdateTwin\",\"queryCondition\":\"*\"," UPDATE
            ",\"startTime\":\"soon\"}",
            400, "ArgumentInvalid", "startTime"},
        {JOB("x"),
            "{\"type\":\"scheduleUpdateTwin\",\"queryCondition\":\"*\"," UPDATE ",\"startTime\":7}",
            400, "ArgumentInvalid", "startTime"},
        {JOB("x"),
            "{\"type\":\"scheduleUpdateTwin\",\"queryCondition\":\"*\"," UPDATE
            ",\"startTime\":\"2099-01-01T00:00:00Z\"}",
            400, "ArgumentInvalid", "limits.job_start_days"},
        {JOB("x"),
            "{\"type\":\"scheduleUpdateTwin\",\"queryCondition\":\"*\"," UPDATE
            ",\"maxExecutionTimeInSeconds\":0}",
            400, "ArgumentInvalid", "maxExecutionTimeInSeconds"},
        {JOB("x"),
            "{\"type\":\"scheduleUpdateTwin\",\"queryCondition\":\"*\"," UPDATE
            ",\"maxExecutionTimeInSeconds\":172801}",
            400, "ArgumentInvalid", "limits.job_seconds"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct answer answer = ask("PUT", rows[i].target, rows[i].body, NULL);
        if (answer.status != rows[i].status || strstr(answer.body, rows[i].says) == NULL)
            fail_msg("%.90s: %d %s", rows[i].body, answer.status, answer.body);
        assert_string_equal(answer.error, rows[i].error);
    }
    assert_string_equal(ask("GET", JOB("x"), NULL, NULL).error, "JobNotFound");
    assert_string_equal(ask("POST", CANCEL("x"), NULL, NULL).error, "JobNotFound");
    assert_int_equal(
        ask_with(token("read", HUB_KEY), "hub.local", "PUT", JOB("x"), TWIN_JOB("*"), NULL).status,
        401);
    assert_int_equal(
        ask_with(token("service", HUB_KEY), "hub.local", "PUT", JOB("x"), TWIN_JOB("*"), NULL)
            .status,
        200);
    struct answer again = ask("PUT", JOB("x"), TWIN_JOB("*"), NULL);
    assert_int_equal(again.status, 409);
    assert_string_equal(again.error, "JobAlreadyExists");
}

static void a_job_waits_for_its_time_and_can_be_cancelled(void **state UNUSED)
{
    make_device("d");
    service_tick(world.service);
    create(JOB("later"), "{\"type\":\"scheduleUpdateTwin\",\"queryCondition\":\"*\"," UPDATE
                         ",\"startTime\":\"2023-11-14T22:23:20.000\"}");
    create(JOB("never"), "{\"type\":\"scheduleUpdateTwin\",\"queryCondition\":\"*\"," UPDATE
                         ",\"startTime\":\"2023-11-14T22:23:20.000Z\"}");
    wait_for(JOB("later"), "scheduled");
    wait_for(JOB("never"), "scheduled");
    struct answer cancelled = ask("POST", CANCEL("never"), NULL, NULL);
    assert_int_equal(cancelled.status, 200);
    assert_string_equal(member(&cancelled, "status"), "cancelled");
    assert_int_equal(ask("POST", CANCEL("never"), NULL, NULL).status, 200);
    tick_after(599);
    assert_true(has_status(JOB("later"), "scheduled"));
    tick_after(2);
    wait_for(JOB("later"), "completed");
    assert_true(has_status(JOB("never"), "cancelled"));
    struct answer twin = ask("GET", "/twins/d?" V, NULL, NULL);
    assert_string_equal(member(&twin, "tags.site"), "north");
    struct answer late = ask("POST", CANCEL("later"), NULL, NULL);
    assert_int_equal(late.status, 400);
    assert_string_equal(late.error, "InvalidOperation");
}

static void a_time_that_is_past_or_unset_is_now(void **state UNUSED)
{
    static const char *const times[] = {"", "0001-01-01T00:00:00", "1969-12-31T23:59:59Z",
        "2023-11-14T22:13:19.5Z", "2023-11-15T00:13:20+02:00"};
    char target[64];
    char body[300];
    make_device("d");
    service_tick(world.service);
    for (size_t i = 0; i < COUNT_OF(times); i++) {
        snprintf(target, sizeof(target), "/jobs/v2/t%zu?" V, i);
        snprintf(body, sizeof(body),
            "{\"type\":\"scheduleUpdateTwin\",\"queryCondition\":\"*\"," UPDATE
            ",\"startTime\":\"%s\"}",
            times[i]);
        create(target, body);
        wait_for(target, "completed");
    }
}

static struct session connect_taking(const char *device_id, struct heard *heard)
{
    struct session session = connect_device(device_id, heard);
    service_takes(world.service, &session.identity, session.number, SESSION_TAKES_METHODS);
    return session;
}

static void wait_for_methods(struct heard *heard, int count)
{
    for (int i = 0; i < 10000 && heard_methods(heard) < count; i++) {
        service_tick(world.service);
        usleep(1000);
    }
    assert_int_equal(heard_methods(heard), count);
}

static void respond(
    const struct session *session, const char *request_id, int32_t status, const char *payload)
{
    const struct method_response response = {span_of(request_id), status, span_of(payload)};
    service_method_response(world.service, &session->identity, &response);
}

static void a_job_invokes_a_method_and_keeps_what_each_device_says(void **state UNUSED)
{
    static struct heard heard;
    make_device("on");
    make_device("off");
    struct session session = connect_taking("on", &heard);
    service_tick(world.service);
    create(JOB("m"), METHOD_JOB("*"));
    wait_for_methods(&heard, 1);
    assert_string_equal(heard.method, "reboot");
    assert_string_equal(heard.payload, "{\"in\":5}");
    assert_true(has_status(JOB("m"), "running"));
    respond(&session, heard.request_id, 200, "{\"ok\":true}");
    wait_for(JOB("m"), "completed");
    check_counts(JOB("m"), COUNTS(2, 1, 1, 0, 0));
    struct answer row = ask_rows("WHERE devices.jobs.deviceId = 'on'");
    assert_string_equal(row.body,
        "[{\"deviceId\":\"on\",\"jobId\":\"m\",\"jobType\":\"scheduleDeviceMethod\","
        "\"status\":\"completed\",\"startTimeUtc\":\"" START_TEXT "\",\"endTimeUtc\":\"" START_TEXT
        "\",\"createdDateTimeUtc\":\"" START_TEXT "\",\"lastUpdatedDateTimeUtc\":\"" START_TEXT
        "\",\"outcome\":{\"deviceMethodResponse\":{\"payload\":{\"ok\":true},\"status\":200}}}]");
    row = ask_rows("WHERE devices.jobs.status = 'failed'");
    assert_non_null(strstr(row.body, "\"deviceId\":\"off\""));
    assert_non_null(strstr(row.body, "\"error\":{\"code\":\"DeviceNotOnline\""));
    assert_non_null(strstr(row.body, "\"outcome\":{}"));
    row = ask_rows("WHERE devices.jobs.outcome.deviceMethodResponse.status = 200");
    assert_non_null(strstr(row.body, "\"deviceId\":\"on\""));
    assert_string_equal(ask_rows("WHERE jobid = 'other'").body, "[]");
    assert_string_equal(ask_rows("WHERE DEVICEID = 'on' AND jobId = 'n'").body, "[]");
}

static void an_answer_that_is_too_long_or_wrong_is_said_so(void **state UNUSED)
{
    static struct heard heard;
    static char large[9000];
    snprintf(large, sizeof(large), "\"%08500d\"", 1);
    make_device("d");
    struct session session = connect_taking("d", &heard);
    service_tick(world.service);
    create(JOB("a"), METHOD_JOB("*"));
    wait_for_methods(&heard, 1);
    respond(&session, heard.request_id, 201, large);
    wait_for(JOB("a"), "completed");
    struct answer row = ask_rows("WHERE jobId = 'a'");
    assert_non_null(strstr(row.body, "{\"payload\":null,\"status\":201}"));
    assert_non_null(strstr(row.body, "limits.job_answer_bytes"));
    check_counts(JOB("a"), COUNTS(1, 0, 1, 0, 0));
    create(JOB("b"), METHOD_JOB("*"));
    wait_for_methods(&heard, 2);
    respond(&session, heard.request_id, 200, "{no JSON");
    wait_for(JOB("b"), "completed");
    check_counts(JOB("b"), COUNTS(1, 1, 0, 0, 0));
    assert_non_null(strstr(ask_rows("WHERE jobId = 'b'").body, "InvalidResponseWhileProxying"));
}

static void a_job_that_takes_too_long_fails_with_what_it_has(void **state UNUSED)
{
    static struct heard heard;
    make_device("d");
    make_device("e");
    struct session session = connect_taking("d", &heard);
    world.options.limits.job.methods = 1;
    world_reopen_service();
    service_tick(world.service);
    create(JOB("slow"), "{\"type\":\"scheduleDeviceMethod\",\"queryCondition\":\"*\","
                        "\"maxExecutionTimeInSeconds\":20," METHOD "}");
    wait_for_methods(&heard, 1);
    check_counts(JOB("slow"), COUNTS(2, 0, 0, 1, 1));
    tick_after(21);
    wait_for(JOB("slow"), "failed");
    for (int i = 0; i < 5000; i++) {
        struct answer job = ask("GET", JOB("slow"), NULL, NULL);
        if (strstr(job.body, COUNTS(2, 2, 0, 0, 0)) != NULL)
            break;
        usleep(1000);
    }
    check_counts(JOB("slow"), COUNTS(2, 2, 0, 0, 0));
    struct answer job = ask("GET", JOB("slow"), NULL, NULL);
    assert_non_null(strstr(member(&job, "failureReason"), "20 s"));
    respond(&session, heard.request_id, 200, "1"); /* too late */
    assert_non_null(strstr(ask_rows("WHERE deviceId = 'd'").body, "JobRunPreconditionFailed"));
}

static void a_cancelled_job_begins_with_no_further_device(void **state UNUSED)
{
    static struct heard heard;
    make_device("d");
    make_device("e");
    struct session session = connect_taking("d", &heard);
    world.options.limits.job.methods = 1;
    world_reopen_service();
    service_tick(world.service);
    create(JOB("c"), METHOD_JOB("*"));
    wait_for_methods(&heard, 1);
    struct answer cancelled = ask("POST", CANCEL("c"), NULL, NULL);
    assert_string_equal(member(&cancelled, "status"), "cancelled");
    respond(&session, heard.request_id, 200, "1");
    for (int i = 0; i < 5000; i++) {
        struct answer job = ask("GET", JOB("c"), NULL, NULL);
        if (strstr(job.body, COUNTS(2, 0, 1, 0, 0)) != NULL)
            break;
        usleep(1000);
    }
    check_counts(JOB("c"), COUNTS(2, 0, 1, 0, 0));
    assert_non_null(strstr(ask_rows("WHERE deviceId = 'e'").body, "\"status\":\"canceled\""));
}

static void the_rate_of_a_hub_is_kept(void **state UNUSED)
{
    char id[16];
    for (int i = 0; i < 30; i++) {
        snprintf(id, sizeof(id), "d%02d", i);
        make_device(id);
    }
    world.options.limits.job.devices_second = 10;
    world_reopen_service();
    service_tick(world.service);
    create(JOB("r"), TWIN_JOB("*"));
    for (int second = 1; second <= 2; second++) {
        char counts[128];
        snprintf(counts, sizeof(counts), "\"succeededCount\":%d,", second * 10);
        for (int i = 0; i < 5000; i++) {
            struct answer job = ask("GET", JOB("r"), NULL, NULL);
            if (strstr(job.body, counts) != NULL)
                break;
            service_tick(world.service);
            usleep(1000);
        }
        check_counts(JOB("r"), counts);
        service_tick(world.service);
        check_counts(JOB("r"), counts);
        world_advance(1);
    }
    wait_for(JOB("r"), "completed");
    check_counts(JOB("r"), COUNTS(30, 0, 30, 0, 0));
}

static void what_cannot_be_done_to_one_twin_is_its_error(void **state UNUSED)
{
    make_device("a");
    make_device("b");
    ask("PATCH", "/twins/b?" V, "{\"tags\":{\"x\":1}}", NULL);
    service_tick(world.service);
    create(JOB("e"),
        "{\"type\":\"scheduleUpdateTwin\",\"queryCondition\":\"*\",\"updateTwin\":{\"etag\":"
        "\"AAAAAAAAAAE=\",\"properties\":{\"desired\":{\"v\":1}}}}");
    wait_for(JOB("e"), "completed");
    check_counts(JOB("e"), COUNTS(2, 1, 1, 0, 0));
    assert_non_null(strstr(ask_rows("WHERE deviceId = 'b'").body, "PreconditionFailed"));
    struct answer twin = ask("GET", "/twins/b?" V, NULL, NULL);
    assert_null(member(&twin, "properties.desired.v"));
}

static void jobs_are_listed_page_by_page(void **state UNUSED)
{
    service_tick(world.service);
    create(JOB("one"), TWIN_JOB("*"));
    create(JOB("two"), METHOD_JOB("*"));
    wait_for(JOB("one"), "completed");
    wait_for(JOB("two"), "completed");
    struct answer all = ask("GET", "/jobs/v2/query?" V, NULL, NULL);
    assert_int_equal(all.status, 200);
    const char *two = strstr(all.body, "\"jobId\":\"two\"");
    const char *one = strstr(all.body, "\"jobId\":\"one\"");
    assert_true(two != NULL && one != NULL && two < one);
    struct answer some = ask("GET", "/jobs/v2/query?" V "&jobType=scheduleUpdateTwin", NULL, NULL);
    assert_null(strstr(some.body, "\"two\""));
    assert_non_null(strstr(some.body, "\"one\""));
    assert_string_equal(
        ask("GET", "/jobs/v2/query?" V "&jobStatus=running", NULL, NULL).body, "[]");
    assert_string_equal(
        ask("GET", "/jobs/v2/query?" V "&jobStatus=enqueued", NULL, NULL).body, "[]");
    assert_string_equal(ask("GET", "/jobs/v2/query?" V "&jobType=import", NULL, NULL).body, "[]");
    struct answer wrong = ask("GET", "/jobs/v2/query?" V "&jobStatus=done", NULL, NULL);
    assert_int_equal(wrong.status, 400);
    assert_non_null(strstr(wrong.body, "completed"));
    assert_int_equal(ask("GET", "/jobs/v2/query?" V "&jobType=x", NULL, NULL).status, 400);
}

static void what_is_old_is_dropped_and_what_is_too_much_is_refused(void **state UNUSED)
{
    make_device("d");
    world.options.limits.job.waiting = 1;
    world.options.limits.job.history = 2;
    world_reopen_service();
    service_tick(world.service);
    create(JOB("a"), TWIN_JOB("*"));
    wait_for(JOB("a"), "completed");
    create(JOB("b"), TWIN_JOB("*"));
    wait_for(JOB("b"), "completed");
    create(JOB("c"), "{\"type\":\"scheduleUpdateTwin\",\"queryCondition\":\"*\"," UPDATE
                     ",\"startTime\":\"2023-11-15T22:23:20Z\"}");
    struct answer refused = ask("PUT", JOB("e"), TWIN_JOB("*"), NULL);
    assert_int_equal(refused.status, 403);
    assert_string_equal(refused.error, "JobQuotaExceeded");
    assert_int_equal(ask("GET", JOB("a"), NULL, NULL).status, 404);
    assert_int_equal(ask("GET", JOB("b"), NULL, NULL).status, 200);
    tick_after(INT64_C(86400) * 31);
    for (int i = 0; i < 5000 && ask("GET", JOB("b"), NULL, NULL).status == 200; i++) {
        service_tick(world.service);
        usleep(1000);
    }
    assert_int_equal(ask("GET", JOB("b"), NULL, NULL).status, 404);
    wait_for(JOB("c"), "completed");
    assert_null(strstr(ask_rows("").body, "\"b\""));
}

static void a_job_without_room_for_its_devices_fails(void **state UNUSED)
{
    make_device("a");
    make_device("b");
    world.options.limits.job.history_devices = 1;
    world_reopen_service();
    service_tick(world.service);
    create(JOB("one"), TWIN_JOB("deviceId = 'a'"));
    wait_for(JOB("one"), "completed");
    create(JOB("other"), TWIN_JOB("deviceId = 'b'")); /* takes the place of the first */
    wait_for(JOB("other"), "completed");
    assert_int_equal(ask("GET", JOB("one"), NULL, NULL).status, 404);
    create(JOB("both"), TWIN_JOB("*"));
    wait_for(JOB("both"), "failed");
    struct answer job = ask("GET", JOB("both"), NULL, NULL);
    assert_non_null(strstr(member(&job, "failureReason"), "limits.job_history_devices"));
}

static void jobs_go_on_after_a_restart(void **state UNUSED)
{
    static struct heard heard;
    make_device("d");
    make_device("e");
    connect_taking("d", &heard);
    service_tick(world.service);
    create(JOB("m"), "{\"type\":\"scheduleDeviceMethod\",\"queryCondition\":\"*\","
                     "\"cloudToDeviceMethod\":{\"methodName\":\"reboot\","
                     "\"connectTimeoutInSeconds\":30}}");
    create(JOB("later"), "{\"type\":\"scheduleUpdateTwin\",\"queryCondition\":\"*\"," UPDATE
                         ",\"startTime\":\"2023-11-14T22:23:20Z\"}");
    wait_for_methods(&heard, 1);
    wait_for(JOB("later"), "scheduled");
    for (int i = 0; i < 5000; i++) {
        struct answer job = ask("GET", JOB("m"), NULL, NULL);
        if (strstr(job.body, COUNTS(2, 0, 0, 2, 0)) != NULL)
            break;
        usleep(1000);
    }
    world_reopen_service(); /* one has been sent, the other waited for its device */
    struct answer rows = ask_rows("WHERE deviceId = 'e'");
    assert_non_null(strstr(rows.body, "\"status\":\"pending\""));
    rows = ask_rows("WHERE deviceId = 'd'");
    assert_non_null(strstr(rows.body, "whether the device has done it is not known"));
    service_tick(world.service);
    tick_after(31);
    for (int i = 0; i < 10000 && !has_status(JOB("m"), "completed"); i++) {
        tick_after(1);
        usleep(1000);
    }
    check_counts(JOB("m"), COUNTS(2, 2, 0, 0, 0));
    assert_int_equal(heard_methods(&heard), 1);
    tick_after(600);
    wait_for(JOB("later"), "completed");
}

static int end_world(void **state)
{
    bus_end_hub(world.bus, world.hub_id);
    return world_close(state);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_open, end_world)
    const struct CMUnitTest tests[] = {
        TEST(a_job_changes_the_twins_that_its_condition_takes),
        TEST(what_cannot_be_a_job_is_refused),
        TEST(a_job_waits_for_its_time_and_can_be_cancelled),
        TEST(a_time_that_is_past_or_unset_is_now),
        TEST(a_job_invokes_a_method_and_keeps_what_each_device_says),
        TEST(an_answer_that_is_too_long_or_wrong_is_said_so),
        TEST(a_job_that_takes_too_long_fails_with_what_it_has),
        TEST(a_cancelled_job_begins_with_no_further_device),
        TEST(the_rate_of_a_hub_is_kept),
        TEST(what_cannot_be_done_to_one_twin_is_its_error),
        TEST(jobs_are_listed_page_by_page),
        TEST(what_is_old_is_dropped_and_what_is_too_much_is_refused),
        TEST(a_job_without_room_for_its_devices_fails),
        TEST(jobs_go_on_after_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
