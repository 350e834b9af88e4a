/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every piece of memory that a call asks for fails once, in the service as in the store: the call
 * is answered with a server error, nothing of it is done, and the next one works.
 */
#include "service_harness.h"

struct row {
    const char *method;
    const char *target;
    const char *body;
    int status;
};

static const char *state_of_everything(void)
{
    struct answer devices = ask("GET", "/devices?" V, NULL, NULL);
    struct answer twin = ask("GET", "/twins/d1?" V, NULL, NULL);
    struct answer modules = ask("GET", "/devices/d1/modules?" V, NULL, NULL);
    assert_int_equal(devices.status, 200);
    return arena_format(&world.arena, "%s%s%s", devices.body, twin.body, modules.body);
}

/* Fails a call at its Nth piece of memory, or with its arena's Nth 64 bytes, until it passes. */
static void fail_until_it_passes(const struct row *row, bool by_arena)
{
    const char *before = state_of_everything();
    int failures = 0;
    for (long n = 0;; n++) {
        if (by_arena)
            world_limit_arena((size_t)n * 64 + 16);
        else
            world_fail_after(n);
        struct answer answer = ask(row->method, row->target, row->body, NULL);
        if (answer.status == row->status)
            break;
        if (answer.status != 500)
            fail_msg("%s %s, %ld: %s", row->method, row->target, n, answer.body);
        assert_string_equal(answer.error, "ServerError");
        if (n % 8 == 0 || !by_arena)
            assert_string_equal(state_of_everything(), before);
        failures++;
    }
    assert_true(failures >= 2);
}

static void try_rows(bool by_arena)
{
    static const struct row rows[] = {
        {"GET", "/devices/d1?" V, NULL, 200},
        {"GET", "/devices?" V, NULL, 200},
        {"GET", "/twins/d1?" V, NULL, 200},
        {"PATCH", "/twins/d1?" V,
            "{\"tags\":{\"a\":1},\"properties\":{\"desired\":{\"b\":{\"c\":[1]}}}}", 200},
        {"PUT", "/twins/d1?" V, "{\"properties\":{\"desired\":{\"e\":1}}}", 200},
        {"PUT", "/devices/new?" V, "{\"capabilities\":{\"iotEdge\":true}}", 200},
        {"PUT", "/devices/d1/modules/new?" V, "{\"managedBy\":\"me\"}", 200},
        {"POST", "/devices?" V,
            "[{\"id\":\"b1\",\"tags\":{\"x\":1}},{\"id\":\"d1\",\"moduleId\":\"m1\",\"importMode\":"
            "\"delete\"}]",
            200},
        {"POST", "/devices/keys/regenerate?" V,
            "{\"policyKey\":\"both\",\"devices\":[{\"id\":\"d1\"},{\"id\":\"none\"}]}", 207},
        {"GET", "/gemel/v1/identities?keys=true", NULL, 200},
        {"POST", "/enrollments?" V,
            "{\"mode\":\"update\",\"enrollments\":[{\"registrationId\":\"e\"}]}", 200},
        {"POST", "/enrollments?" V,
            "{\"mode\":\"delete\",\"enrollments\":[{\"registrationId\":\"e\"},7]}", 200},
        {"GET", "/gemel/v1/events?from=earliest", NULL, 200},
        {"GET", "/gemel/v1/twin-history/d1", NULL, 200},
        {"GET", "/gemel/v1/twin-history/d1/2", NULL, 200},
        {"POST", "/gemel/v1/twin-history/d1/2/restore", NULL, 200},
        {"PUT", "/jobs/v2/j?" V,
            "{\"type\":\"scheduleUpdateTwin\",\"queryCondition\":\"deviceId = 'd1'\","
            "\"updateTwin\":{\"tags\":{\"a\":1}}}",
            200},
        {"GET", "/jobs/v2/query?" V, NULL, 200},
        {"POST", "/jobs/v2/j/cancel?" V, NULL, 200},
        {"GET", "/gemel/v1/twin-watch/d1?since=1", NULL, 200},
        {"GET", "/gemel/v1/device-table?filter=d", NULL, 200},
        {"DELETE", "/devices/new?" V, NULL, 204},
        {"GET", "/nothing", NULL, 404},
        {"PATCH", "/devices/x?" V, NULL, 405},
    };
    struct heard heard;
    make_device("d1");
    make_module("d1", "m1");
    struct session session = connect_device("d1", &heard);
    assert_int_equal(send_event(&session, "a=b", SPAN_LIT("{\"x\":1}")), ERR_NONE);
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        fail_until_it_passes(&rows[i], by_arena);
    service_disconnect(world.service, &session.identity, session.number);
}

static void a_call_without_memory_does_nothing_and_says_so(void **state UNUSED)
{
    try_rows(false);
}

static void a_call_at_the_end_of_its_arena_does_nothing_and_says_so(void **state UNUSED)
{
    try_rows(true);
}

static void a_session_without_memory_is_refused_whole(void **state UNUSED)
{
    make_device("d1");
    struct session session = {.err = ERR_MEMORY};
    struct heard heard;
    int failures = 0;
    const char *password =
        token_of("hub.local", "d1", NULL, NULL, HUB_KEY, START_US / 1000000 + 60);
    for (long n = 0; session.err != ERR_NONE; n++) {
        heard_init(&heard);
        world_fail_after(n);
        session = connect_as("d1", NULL, password, &heard);
        if (session.err == ERR_NONE)
            break;
        assert_true(session.err == ERR_MEMORY || session.err == ERR_UNAUTHORIZED);
        struct answer answer = ask("GET", "/devices/d1?" V, NULL, NULL);
        assert_string_equal(member(&answer, "connectionState"), "Disconnected");
        failures++;
    }
    assert_true(failures >= 2);
    enum err err = ERR_MEMORY;
    for (long n = 0; err != ERR_NONE; n++) {
        world_fail_after(n);
        err = send_event(&session, "a=b&%24.mid=1", SPAN_LIT("body"));
        assert_true(err == ERR_NONE || err == ERR_MEMORY);
    }
    struct answer log = ask("GET", "/gemel/v1/events?from=earliest", NULL, NULL);
    assert_int_equal(json_find_text(log.json, "events")->count, 1);
    service_disconnect(world.service, &session.identity, session.number);
}

/* Fails a call of the portal at its Nth piece of memory until it passes. */
static void fail_in_browser(const struct browser *browser, const struct row *row)
{
    int failures = 0;
    for (long n = 0;; n++) {
        world_fail_after(n);
        struct answer answer = browse(browser, row->method, row->target, row->body);
        if (answer.status == row->status)
            break;
        if (answer.status != 500)
            fail_msg("%s %s, %ld: %s", row->method, row->target, n, answer.body);
        assert_null(answer.set_cookie);
        failures++;
    }
    assert_true(failures >= 2);
}

static void a_call_of_the_portal_without_memory_does_nothing_and_says_so(void **state UNUSED)
{
    static const struct row rows[] = {
        {"POST", "/gemel/v1/session", "{\"user\":\"admin\",\"password\":\"se:cret\"}", 200},
        {"GET", "/gemel/v1/hubs", NULL, 200},
        {"GET", "/gemel/v1/hubs/h1/overview", NULL, 200},
        {"GET", "/gemel/v1/hubs/h1/policies", NULL, 200},
        {"GET", "/gemel/v1/hubs/h1/policies/read/keys", NULL, 200},
        {"POST", "/gemel/v1/hubs/h1/policies/read/regenerate", "{\"key\":\"primary\"}", 200},
        {"PUT", "/gemel/v1/hubs/h1/iothub/devices/d", "{}", 200},
        {"POST", "/gemel/v1/accounts",
            "{\"user\":\"eva\",\"roles\":[{\"hub\":\"h1\",\"role\":\"reader\"}]}", 201},
        {"PUT", "/gemel/v1/accounts/eva", "{\"disabled\":true}", 200},
        {"GET", "/gemel/v1/accounts", NULL, 200},
        {"GET", "/gemel/v1/audit", NULL, 200},
        {"GET", "/gemel/v1/audit/export", NULL, 200},
    };
    make_administrator();
    struct browser admin = sign_in("admin", "se:cret");
    struct browser nobody = {0};
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        fail_in_browser(i == 0 ? &nobody : &admin, &rows[i]);
    /* What failed left no entry. */
    struct answer log = browse(&admin, "GET", "/gemel/v1/audit?search=account.create", NULL);
    assert_int_equal(json_find_text(log.json, "items")->count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            a_call_without_memory_does_nothing_and_says_so, world_open, world_close),
        cmocka_unit_test_setup_teardown(
            a_call_at_the_end_of_its_arena_does_nothing_and_says_so, world_open, world_close),
        cmocka_unit_test_setup_teardown(
            a_session_without_memory_is_refused_whole, world_open, world_close),
        cmocka_unit_test_setup_teardown(
            a_call_of_the_portal_without_memory_does_nothing_and_says_so, world_open, world_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
