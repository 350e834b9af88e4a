/* SPDX-License-Identifier: Apache-2.0 */
/* Scheduled jobs without memory. A file of its own: the hook by which memory fails belongs to no
 * thread, and the engine has several. */
#include "metrics.h"
#include "service_harness.h"

#include <unistd.h>

#define DONE                                                                                       \
    "{\"deviceCount\":2,\"failedCount\":0,\"succeededCount\":2,\"runningCount\":0,"                \
    "\"pendingCount\":0}"

/* Whatever finds no memory, and wherever: it is tried again, and nothing is done twice. */
static void without_memory_jobs_wait_and_go_on(void **state UNUSED)
{
    enum { FAILURES = 120, STEP = 3 };
    char id[16];
    char target[64];
    make_device("a");
    make_device("b");
    make_module("b", "m");
    int rounds = 0;
    for (int failure = 0; failure < FAILURES; failure += STEP, rounds++) {
        snprintf(id, sizeof(id), "j%d", failure);
        snprintf(target, sizeof(target), "/jobs/v2/%s?" V, id);
        assert_int_equal(
            ask("PUT", target,
                "{\"type\":\"scheduleUpdateTwin\",\"queryCondition\":\"tags.none = 1 OR "
                "deviceId = 'a' OR deviceId = 'b'\",\"updateTwin\":{\"properties\":"
                "{\"desired\":{\"level\":1}}}}",
                NULL)
                .status,
            200);
        int64_t completed = metrics_sum(METRIC_JOBS, JOB_COMPLETED);
        mem_fail_after(failure);
        for (int i = 0; i < 20000 && metrics_sum(METRIC_JOBS, JOB_COMPLETED) == completed; i++) {
            world_advance(1);
            service_tick(world.service);
            usleep(200);
        }
        mem_fail_after(-1);
        struct answer job = ask("GET", target, NULL, NULL);
        if (strstr(job.body, DONE) == NULL)
            fail_msg("%s", job.body);
    }
    for (const char *const *device = (const char *const[]){"a", "b", NULL}; *device != NULL;
         device++) {
        char version[16];
        snprintf(target, sizeof(target), "/twins/%s?" V, *device);
        snprintf(version, sizeof(version), "%d", rounds + 1);
        struct answer twin = ask("GET", target, NULL, NULL);
        const char *found = strstr(twin.body, "\"$version\":");
        assert_int_equal(strncmp(found + strlen("\"$version\":"), version, strlen(version)), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            without_memory_jobs_wait_and_go_on, world_open, world_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
