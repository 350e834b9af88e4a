/* SPDX-License-Identifier: Apache-2.0 */
/* Direct methods: sent once, to who takes them; answered by who was asked, in time, or refused with
 * the code that fits. */
#include "service_harness.h"

#include <stdlib.h>
#include <unistd.h>

#define INVOKE "/twins/d/methods?" V
#define BODY "{\"methodName\":\"reboot\",\"payload\":{\"in\":5}}"
#define WAITING "{\"methodName\":\"reboot\",\"connectTimeoutInSeconds\":10}"

static void takes(const struct session *session, unsigned what)
{
    service_takes(world.service, &session->identity, session->number, what);
}

static struct session connect_taking(const char *device_id, struct heard *heard)
{
    struct session session = connect_device(device_id, heard);
    takes(&session, SESSION_TAKES_METHODS);
    return session;
}

static void wait_for_methods(struct heard *heard, int count)
{
    for (int i = 0; i < 10000 && heard_methods(heard) < count; i++)
        usleep(1000);
    assert_int_equal(heard_methods(heard), count);
}

/* Until the call is with the store no more: it was handed over by then, or waits. */
static struct pending *invoke_later(const char *target, const char *body)
{
    struct pending *pending = ask_later_with("POST", target, body);
    ask("PATCH", "/twins/d?" V, "{\"tags\":{\"a\":1}}", NULL);
    return pending;
}

static void respond(
    const struct session *session, const char *request_id, int32_t status, const char *payload)
{
    const struct method_response response = {span_of(request_id), status, span_of(payload)};
    service_method_response(world.service, &session->identity, &response);
}

static void tick_after(int64_t seconds)
{
    world_advance(seconds);
    service_tick(world.service);
}

static void a_method_goes_out_and_its_answer_comes_back(void **state UNUSED)
{
    static const struct {
        const char *sent;
        const char *arrives;
        int32_t status;
        const char *answer;
        const char *returned;
    } rows[] = {
        {"{\"methodName\":\"reboot\",\"payload\":{\"in\":5}}", "{\"in\":5}", 200, "{\"ok\":true}",
            "{\"status\":200,\"payload\":{\"ok\":true}}"},
        {"{\"methodName\":\"reboot\"}", "null", 0, "", "{\"status\":0,\"payload\":null}"},
        {"{\"methodName\":\"reboot\",\"payload\":null}", "null", -1, "null",
            "{\"status\":-1,\"payload\":null}"},
        {"{\"methodName\":\"reboot\",\"payload\":\"\"}", "\"\"", INT32_MIN, "\"\"",
            "{\"status\":-2147483648,\"payload\":\"\"}"},
        {"{\"methodName\":\"reboot\",\"payload\":1e400}", "1e400", INT32_MAX, " 1.50 ",
            "{\"status\":2147483647,\"payload\":1.50}"},
        {"{\"methodName\":\"reboot\",\"payload\":[],\"responseTimeoutInSeconds\":null}", "[]", 404,
            "false", "{\"status\":404,\"payload\":false}"},
    };
    static struct heard heard;
    make_device("d");
    struct session session = connect_taking("d", &heard);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct pending *pending = ask_later_with("POST", INVOKE, rows[i].sent);
        wait_for_methods(&heard, (int)i + 1);
        assert_string_equal(heard.method, "reboot");
        assert_string_equal(heard.payload, rows[i].arrives);
        assert_false(has_answer(pending));
        respond(&session, heard.request_id, rows[i].status, rows[i].answer);
        struct answer answer = get_answer(pending);
        assert_int_equal(answer.status, 200);
        assert_string_equal(answer.body, rows[i].returned);
    }
}

static void what_cannot_be_asked_is_refused(void **state UNUSED)
{
    static char long_name[256];
    static char large[140000];
    snprintf(long_name, sizeof(long_name), "{\"methodName\":\"%0101d\"}", 1);
    snprintf(large, sizeof(large), "{\"methodName\":\"m\",\"payload\":\"%0131071d\"}", 1);
    const struct {
        const char *target;
        const char *body;
        int status;
        const char *error;
    } rows[] = {
        {"/twins/none/methods?" V, BODY, 404, "DeviceNotFound"},
        {"/twins/d/modules/none/methods?" V, BODY, 404, "ModuleNotFound"},
        {INVOKE, "[]", 400, "ArgumentInvalid"}, {INVOKE, "\"m\"", 400, "ArgumentInvalid"},
        {INVOKE, "{\"methodName\":", 400, "IotHubFormatError"},
        {INVOKE, "{}", 400, "ArgumentInvalid"},
        {INVOKE, "{\"methodName\":\"\"}", 400, "ArgumentInvalid"},
        {INVOKE, "{\"methodName\":7}", 400, "ArgumentInvalid"},
        {INVOKE, "{\"methodName\":\"a/b\"}", 400, "ArgumentInvalid"},
        {INVOKE, "{\"methodName\":\"a#\"}", 400, "ArgumentInvalid"},
        {INVOKE, "{\"methodName\":\"a\\u0000\"}", 400, "ArgumentInvalid"},
        {INVOKE, long_name, 400, "ArgumentInvalid"}, {INVOKE, large, 413, "MessageTooLarge"},
        {INVOKE, "{\"methodName\":\"m\",\"responseTimeoutInSeconds\":4}", 400, "ArgumentInvalid"},
        {INVOKE, "{\"methodName\":\"m\",\"responseTimeoutInSeconds\":301}", 400, "ArgumentInvalid"},
        {INVOKE, "{\"methodName\":\"m\",\"responseTimeoutInSeconds\":5.5}", 400, "ArgumentInvalid"},
        {INVOKE, "{\"methodName\":\"m\",\"responseTimeoutInSeconds\":9223372036854775807}", 400,
            "ArgumentInvalid"},
        {INVOKE, "{\"methodName\":\"m\",\"connectTimeoutInSeconds\":-9223372036854775807}", 400,
            "ArgumentInvalid"},
        {INVOKE, "{\"methodName\":\"m\",\"responseTimeoutInSeconds\":\"5\"}", 400,
            "ArgumentInvalid"},
        {INVOKE, "{\"methodName\":\"m\",\"connectTimeoutInSeconds\":-1}", 400, "ArgumentInvalid"},
        {INVOKE, "{\"methodName\":\"m\",\"connectTimeoutInSeconds\":301}", 400, "ArgumentInvalid"},
        {INVOKE, BODY, 404, "DeviceNotOnline"},
        {"/twins/d/methods", BODY, 400, "ArgumentInvalid"}, /* no api-version */
    };
    make_device("d");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct answer answer = ask("POST", rows[i].target, rows[i].body, NULL);
        if (answer.status != rows[i].status)
            fail_msg("%.80s: %d %s", rows[i].body, answer.status, answer.body);
        assert_string_equal(answer.error, rows[i].error);
    }
    assert_int_equal(
        ask_with(token("read", HUB_KEY), "hub.local", "POST", INVOKE, BODY, NULL).status, 401);
    assert_int_equal(
        ask_with(token("service", HUB_KEY), "hub.local", "POST", INVOKE, BODY, NULL).status, 404);
}

static void a_client_that_takes_no_methods_is_not_online(void **state UNUSED)
{
    static struct heard heard;
    static struct heard module;
    make_device("d");
    make_module("d", "m");
    struct session session = connect_device("d", &heard);
    assert_string_equal(ask("POST", INVOKE, BODY, NULL).error, "DeviceNotOnline");
    takes(&session, SESSION_TAKES_MESSAGES);
    assert_string_equal(ask("POST", INVOKE, BODY, NULL).error, "DeviceNotOnline");
    takes(&session, SESSION_TAKES_METHODS);
    assert_string_equal(
        ask("POST", "/twins/d/modules/m/methods?" V, BODY, NULL).error, "DeviceNotOnline");
    takes(&session, 0);
    assert_string_equal(ask("POST", INVOKE, BODY, NULL).error, "DeviceNotOnline");
    takes(&session, SESSION_TAKES_METHODS);
    service_disconnect(world.service, &session.identity, session.number);
    assert_string_equal(ask("POST", INVOKE, BODY, NULL).error, "DeviceNotOnline");
    assert_int_equal(heard_methods(&heard), 0);
    heard_init(&module);
}

static void a_call_waits_for_the_client_as_long_as_it_is_told(void **state UNUSED)
{
    static struct heard heard;
    make_device("d");
    struct pending *pending = invoke_later(INVOKE, WAITING);
    tick_after(9);
    assert_false(has_answer(pending));
    tick_after(1);
    assert_string_equal(get_answer(pending).error, "DeviceNotOnline");

    pending = invoke_later(INVOKE, WAITING);
    tick_after(9);
    struct session session = connect_device("d", &heard);
    assert_int_equal(heard_methods(&heard), 0);
    takes(&session, SESSION_TAKES_METHODS);
    assert_int_equal(heard_methods(&heard), 1);
    tick_after(29); /* the time for the answer begins only now */
    assert_false(has_answer(pending));
    respond(&session, heard.request_id, 1, "");
    assert_int_equal(get_answer(pending).status, 200);
}

static void no_answer_in_time_is_a_gateway_timeout_and_a_late_one_is_dropped(void **state UNUSED)
{
    static struct heard heard;
    make_device("d");
    struct session session = connect_taking("d", &heard);
    struct pending *pending =
        invoke_later(INVOKE, "{\"methodName\":\"m\",\"responseTimeoutInSeconds\":5}");
    wait_for_methods(&heard, 1);
    tick_after(4);
    assert_false(has_answer(pending));
    tick_after(1);
    struct answer answer = get_answer(pending);
    assert_int_equal(answer.status, 504);
    assert_string_equal(answer.error, "GatewayTimeout");
    respond(&session, heard.request_id, 200, "");
    assert_string_equal(ask("GET", "/twins/d?" V, NULL, NULL).error ? "" : "none", "none");
}

static void only_who_was_asked_can_answer_and_only_once(void **state UNUSED)
{
    static struct heard heard;
    static struct heard other_heard;
    make_device("d");
    make_device("other");
    struct session session = connect_taking("d", &heard);
    struct session other = connect_taking("other", &other_heard);
    struct pending *pending = ask_later_with("POST", INVOKE, BODY);
    wait_for_methods(&heard, 1);
    respond(&other, heard.request_id, 1, "");
    respond(&session, "0", 1, "");
    respond(&session, "", 1, "");
    respond(&session, "%s%s%s%n", 1, "");
    respond(&session, arena_format(&world.arena, "%s0", heard.request_id), 1, "");
    respond(&session, arena_format(&world.arena, "0%s", heard.request_id), 1, "");
    assert_false(has_answer(pending));
    respond(&session, heard.request_id, 2, "");
    respond(&session, heard.request_id, 3, "");
    assert_string_equal(get_answer(pending).body, "{\"status\":2,\"payload\":null}");
}

static void an_answer_that_cannot_be_passed_on_is_a_bad_gateway(void **state UNUSED)
{
    static char large[131074];
    memset(large, '1', sizeof(large) - 1);
    const char *const answers[] = {"{", "no json", "{\"a\":1}{", "\xff", large};
    static struct heard heard;
    make_device("d");
    struct session session = connect_taking("d", &heard);
    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        struct pending *pending = ask_later_with("POST", INVOKE, BODY);
        wait_for_methods(&heard, (int)i + 1);
        respond(&session, heard.request_id, 200, answers[i]);
        struct answer answer = get_answer(pending);
        assert_int_equal(answer.status, 502);
        assert_string_equal(answer.error, "InvalidResponseWhileProxying");
    }
}

/* A client sends again on its next connection what was not acknowledged on this one. */
static void an_answer_may_come_on_the_next_connection_the_request_never(void **state UNUSED)
{
    static struct heard first;
    static struct heard second;
    make_device("d");
    struct session session = connect_taking("d", &first);
    struct pending *pending = ask_later_with("POST", INVOKE, WAITING);
    wait_for_methods(&first, 1);
    service_disconnect(world.service, &session.identity, session.number);
    session = connect_taking("d", &second);
    assert_int_equal(heard_methods(&second), 0);
    assert_false(has_answer(pending));
    respond(&session, first.request_id, 7, "");
    assert_string_equal(get_answer(pending).body, "{\"status\":7,\"payload\":null}");
}

static void what_the_gateway_could_not_send_waits_again_or_is_refused(void **state UNUSED)
{
    static struct heard heard;
    static struct heard next;
    make_device("d");
    struct session session = connect_taking("d", &heard);
    struct pending *waits = ask_later_with("POST", INVOKE, WAITING);
    wait_for_methods(&heard, 1);
    service_disconnect(world.service, &session.identity, session.number);
    service_method_returned(world.service, &session.identity, span_of(heard.request_id));
    assert_false(has_answer(waits));
    session = connect_taking("d", &next);
    assert_int_equal(heard_methods(&next), 1);
    respond(&session, next.request_id, 1, "");
    assert_int_equal(get_answer(waits).status, 200);

    struct pending *hurried = ask_later_with("POST", INVOKE, BODY);
    wait_for_methods(&next, 2);
    takes(&session, 0);
    service_method_returned(world.service, &session.identity, span_of(next.request_id));
    assert_string_equal(get_answer(hurried).error, "DeviceNotOnline");
    service_method_returned(world.service, &session.identity, span_of(next.request_id));
}

static void deleting_the_device_and_a_drain_end_the_calls(void **state UNUSED)
{
    static struct heard heard;
    make_device("d");
    make_module("d", "m");
    struct pending *module = invoke_later("/twins/d/modules/m/methods?" V, WAITING);
    struct pending *device = invoke_later(INVOKE, WAITING);
    assert_int_equal(ask("DELETE", "/devices/d/modules/m?" V, NULL, "*").status, 204);
    assert_string_equal(get_answer(module).error, "ModuleNotFound");
    assert_false(has_answer(device));
    assert_int_equal(ask("DELETE", "/devices/d?" V, NULL, "*").status, 204);
    assert_string_equal(get_answer(device).error, "DeviceNotFound");

    make_device("d");
    connect_taking("d", &heard);
    struct pending *sent = ask_later_with("POST", INVOKE, BODY);
    wait_for_methods(&heard, 1);
    service_release_parked(world.service);
    assert_int_equal(get_answer(sent).status, 503);
    assert_int_equal(ask("POST", INVOKE, WAITING, NULL).status, 503);
}

#define MANY 5000

static void thousands_of_calls_wait_at_a_time_and_one_more_is_refused(void **state UNUSED)
{
    static struct pending *pending[MANY];
    static char ids[MANY][32];
    static struct heard heard;
    make_device("d");
    make_device("e");
    for (size_t i = 0; i < MANY; i++)
        pending[i] = ask_later_with("POST", INVOKE, WAITING);
    struct answer refused = ask("POST", INVOKE, WAITING, NULL);
    assert_int_equal(refused.status, 403);
    assert_string_equal(refused.error, "DeviceMaximumInflightMethodExceeded");
    assert_string_equal(ask("POST", "/twins/e/methods?" V, BODY, NULL).error, "DeviceNotOnline");
    struct session session = connect_taking("d", &heard);
    assert_int_equal(heard_methods(&heard), MANY);
    unsigned long long last = strtoull(heard.request_id, NULL, 16);
    for (size_t i = 0; i < MANY; i++)
        snprintf(ids[i], sizeof(ids[i]), "%llx", last - i);
    for (size_t i = 0; i < MANY; i++)
        respond(&session, ids[i], (int32_t)i, "");
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(get_answer(pending[i]).status, 200);
}

static void who_invoked_what_stands_in_the_audit_log_without_the_payload(void **state UNUSED)
{
    make_administrator();
    make_device("d");
    ask("POST", INVOKE, BODY, NULL);
    struct browser admin = sign_in("admin", "se:cret");
    struct answer answer = browse(&admin, "GET", "/gemel/v1/audit?limit=5", NULL);
    assert_non_null(strstr(answer.body, "\"method.invoke\""));
    assert_non_null(strstr(answer.body, "{\"methodName\":\"reboot\"}"));
    assert_null(strstr(answer.body, "\"in\""));
}

static void without_memory_a_call_is_refused_and_nothing_stays(void **state UNUSED)
{
    make_device("d");
    for (long allocations = 0;; allocations++) {
        world_fail_after(allocations);
        struct answer answer = ask("POST", INVOKE, BODY, NULL);
        if (answer.status == 404)
            break;
        assert_int_equal(answer.status, 500);
    }
}

/* The sinks of what is still connected are static. */
static int close_all(void **state)
{
    bus_end_hub(world.bus, world.hub_id);
    return world_close(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_open, close_all)
        TEST(a_method_goes_out_and_its_answer_comes_back),
        TEST(what_cannot_be_asked_is_refused),
        TEST(a_client_that_takes_no_methods_is_not_online),
        TEST(a_call_waits_for_the_client_as_long_as_it_is_told),
        TEST(no_answer_in_time_is_a_gateway_timeout_and_a_late_one_is_dropped),
        TEST(only_who_was_asked_can_answer_and_only_once),
        TEST(an_answer_that_cannot_be_passed_on_is_a_bad_gateway),
        TEST(an_answer_may_come_on_the_next_connection_the_request_never),
        TEST(what_the_gateway_could_not_send_waits_again_or_is_refused),
        TEST(deleting_the_device_and_a_drain_end_the_calls),
        TEST(thousands_of_calls_wait_at_a_time_and_one_more_is_refused),
        TEST(who_invoked_what_stands_in_the_audit_log_without_the_payload),
        TEST(without_memory_a_call_is_refused_and_nothing_stays),
    };
    return cmocka_run_group_tests_name("service methods", tests, NULL, NULL);
}
