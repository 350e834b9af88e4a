/* SPDX-License-Identifier: Apache-2.0 */
#include "service_harness.h"

struct route_row {
    const char *method;
    const char *target;
    int status;
    const char *error; /* NULL: none */
};

static void paths_are_found_in_every_accepted_form(void **state UNUSED)
{
    static const struct route_row rows[] = {
        {"GET", "/devices/d1?" V, 200, NULL}, {"GET", "/devices/d1/?" V, 200, NULL},
        {"GET", "/DEVICES/d1?" V, 200, NULL}, {"GET", "/devices/D1?" V, 404, "DeviceNotFound"},
        {"GET", "/devices/%64%31?" V, 200, NULL}, {"GET", "/devices/a%23b?" V, 200, NULL},
        {"GET", "/devices/?" V, 200, NULL}, {"GET", "/devices?" V, 200, NULL},
        {"GET", "/Twins/d1?" V, 200, NULL}, {"GET", "/devices/d1/Modules/m1?" V, 200, NULL},
        {"GET", "/devices/d1/modules/M1?" V, 404, "ModuleNotFound"},
        {"GET", "/devices/none/modules/m1?" V, 404, "DeviceNotFound"},
        {"GET", "/devices/d1?api-version=2020-05-31-preview", 200, NULL},
        {"GET", "/devices/d1?x=1&api-version=2018-06-30", 200, NULL},
        {"GET", "/devices/d1", 400, "ArgumentInvalid"},
        {"GET", "/devices/d1?api-version=", 400, "ArgumentInvalid"},
        {"GET", "/devices/d1?api-version=latest", 400, "ArgumentInvalid"},
        {"GET", "/devices/d1?api-version=2021-04-12x", 400, "ArgumentInvalid"},
        {"GET", "/devices/%zz?" V, 400, "ArgumentInvalid"},
        {"GET", "/devices/%ff?" V, 400, "ArgumentInvalid"}, {"GET", "/", 404, "GenericNotFound"},
        {"GET", "", 404, "GenericNotFound"}, {"GET", "//devices?" V, 404, "GenericNotFound"},
        {"GET", "/devices//modules?" V, 404, "GenericNotFound"},
        {"GET", "/nothing?" V, 404, "GenericNotFound"},
        {"GET", "/a/b/c/d/e/f/g/h/i/j?" V, 404, "GenericNotFound"},
        {"PATCH", "/devices/d1?" V, 405, "GenericMethodNotAllowed"},
        {"get", "/devices/d1?" V, 405, "GenericMethodNotAllowed"},
        {"DELETE", "/twins/d1?" V, 405, "GenericMethodNotAllowed"},
        {"GET", "/gemel/v1/about", 200, NULL},
        {"POST", "/devices?" V, 400, "ArgumentInvalid"}, /* no body */
    };
    make_device("d1");
    make_device("a%23b");
    make_module("d1", "m1");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct answer answer = ask(rows[i].method, rows[i].target, NULL, NULL);
        if (answer.status != rows[i].status)
            fail_msg("%s %s: %d %s", rows[i].method, rows[i].target, answer.status, answer.body);
        assert_non_null(answer.request_id);
        if (rows[i].error == NULL)
            assert_null(answer.error);
        else
            assert_string_equal(answer.error, rows[i].error);
    }
    assert_string_equal(ask("PATCH", "/devices/d1?" V, NULL, NULL).allow, "GET, PUT, DELETE");
    assert_string_equal(ask("POST", "/twins/d1?" V, NULL, NULL).allow, "GET, PATCH, PUT");
}

static void an_error_is_told_in_the_form_that_every_sdk_reads(void **state UNUSED)
{
    struct answer answer = ask("GET", "/devices/no;such?" V, NULL, NULL);
    assert_int_equal(answer.status, 404);
    assert_string_equal(answer.error, "DeviceNotFound");
    assert_string_equal(
        member(&answer, "Message"), "ErrorCode:DeviceNotFound;Device no,such is not registered");
    const char *tracking = member(&answer, "ExceptionMessage");
    assert_non_null(strstr(tracking, "Tracking ID:"));
    assert_non_null(strstr(tracking, "-TimeStamp:" START_TEXT));
    assert_non_null(strstr(tracking, answer.request_id));
}

struct token_row {
    const char *why;
    const char *resource_host;
    const char *device_id;
    const char *policy;
    const char *key;
    int expires_in_s;
    const char *method;
    const char *target;
    int status;
    const char *error;
};

static void a_token_opens_what_its_policy_allows(void **state UNUSED)
{
    static const struct token_row rows[] = {
        {"primary", "hub.local", NULL, "owner", HUB_KEY, 60, "GET", "/devices/d1?" V, 200, NULL},
        {"secondary", "hub.local", NULL, "owner", OTHER_KEY, 60, "GET", "/devices/d1?" V, 200,
            NULL},
        {"upper case", "HUB.Local", NULL, "owner", HUB_KEY, 60, "GET", "/devices/d1?" V, 200, NULL},
        {"port", "hub.local:443", NULL, "owner", HUB_KEY, 60, "GET", "/devices/d1?" V, 200, NULL},
        {"alias", "other.local", NULL, "owner", HUB_KEY, 60, "GET", "/devices/d1?" V, 200, NULL},
        {"narrow", "hub.local", "d1", "owner", HUB_KEY, 60, "GET", "/devices/d1?" V, 200, NULL},
        {"beside", "hub.local", "d2", "owner", HUB_KEY, 60, "GET", "/devices/d1?" V, 401,
            "IotHubUnauthorized"},
        {"prefix of an id", "hub.local", "d", "owner", HUB_KEY, 60, "GET", "/devices/d1?" V, 401,
            "IotHubUnauthorized"},
        {"wrong host", "evil.local", NULL, "owner", HUB_KEY, 60, "GET", "/devices/d1?" V, 401,
            "IotHubUnauthorized"},
        {"wrong key", "hub.local", NULL, "owner", "eHh4eHh4eHh4eHh4eHh4eA==", 60, "GET",
            "/devices/d1?" V, 401, "IotHubUnauthorized"},
        {"no such policy", "hub.local", NULL, "root", HUB_KEY, 60, "GET", "/devices/d1?" V, 401,
            "IotHubUnauthorized"},
        {"no policy", "hub.local", NULL, NULL, HUB_KEY, 60, "GET", "/devices/d1?" V, 401,
            "IotHubUnauthorized"},
        {"within the skew", "hub.local", NULL, "owner", HUB_KEY, -290, "GET", "/devices/d1?" V, 200,
            NULL},
        {"expired", "hub.local", NULL, "owner", HUB_KEY, -300, "GET", "/devices/d1?" V, 401,
            "IotHubUnauthorized"},
        {"read reads", "hub.local", NULL, "read", HUB_KEY, 60, "GET", "/devices?" V, 200, NULL},
        {"read does not write", "hub.local", NULL, "read", HUB_KEY, 60, "DELETE", "/devices/d1?" V,
            401, "IotHubUnauthorizedAccess"},
        {"write does not read", "hub.local", NULL, "write", HUB_KEY, 60, "GET", "/devices/d1?" V,
            401, "IotHubUnauthorizedAccess"},
        {"registry sees no twin", "hub.local", NULL, "read", HUB_KEY, 60, "GET", "/twins/d1?" V,
            401, "IotHubUnauthorizedAccess"},
        {"service sees twins", "hub.local", NULL, "service", HUB_KEY, 60, "GET", "/twins/d1?" V,
            200, NULL},
        {"service sees no keys", "hub.local", NULL, "service", HUB_KEY, 60, "GET", "/devices/d1?" V,
            401, "IotHubUnauthorizedAccess"},
        {"about needs any", "hub.local", NULL, "device", HUB_KEY, 60, "GET", "/gemel/v1/about", 200,
            NULL},
        {"about needs one", "hub.local", NULL, "device", "eHh4eHh4eHh4eHh4eHh4eA==", 60, "GET",
            "/gemel/v1/about", 401, "IotHubUnauthorized"},
        {"device reads no events", "hub.local", NULL, "device", HUB_KEY, 60, "GET",
            "/gemel/v1/events", 401, "IotHubUnauthorizedAccess"},
    };
    make_device("d1");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct token_row *row = &rows[i];
        const char *sas = token_of(row->resource_host, row->device_id, NULL, row->policy, row->key,
            START_US / 1000000 + row->expires_in_s);
        struct answer answer = ask_with(sas, "hub.local", row->method, row->target, NULL, NULL);
        if (answer.status != row->status)
            fail_msg("%s: %d %s", row->why, answer.status, answer.body);
        if (row->error != NULL)
            assert_string_equal(answer.error, row->error);
    }
}

static void what_is_no_token_is_refused(void **state UNUSED)
{
    static const char *const rows[] = {"", "Bearer x", "SharedAccessSignature ",
        "SharedAccessSignature sr=hub.local&se=1", "Basic dTpw",
        "SharedAccessSignature sr=hub.local&sig=x&se=99999999999&skn=owner"};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct answer answer = ask_with(rows[i], "hub.local", "GET", "/devices/d1?" V, NULL, NULL);
        assert_int_equal(answer.status, 401);
        assert_string_equal(answer.error, "IotHubUnauthorized");
    }
}

static void hubs_are_told_apart_by_host_name(void **state UNUSED)
{
    static const struct {
        const char *host;
        int status;
    } rows[] = {{"hub.local", 200}, {"HUB.LOCAL:8443", 200}, {"other.local", 200},
        {"nobody.local", 404}, {"", 404}, {"hub.local.evil", 404}, {"hub.local:x", 404}};
    make_device("d1");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct answer answer =
            ask_with(token("owner", HUB_KEY), rows[i].host, "GET", "/devices/d1?" V, NULL, NULL);
        assert_int_equal(answer.status, rows[i].status);
        if (rows[i].status == 404)
            assert_string_equal(answer.error, "IotHubNotFound");
    }
}

static void a_body_must_be_json_and_within_the_limit(void **state UNUSED)
{
    struct answer answer = ask("PUT", "/devices/d1?" V, "{\"deviceId\":", NULL);
    assert_int_equal(answer.status, 400);
    assert_string_equal(answer.error, "IotHubFormatError");
    assert_non_null(strstr(answer.body, "line 1, column"));
    answer = ask("PUT", "/devices/d1?" V, "{\"a\":1,\"a\":2}", NULL);
    assert_int_equal(answer.status, 400);
    world.options.limits.request_bytes = 20;
    world_reopen_service();
    answer = ask("PUT", "/devices/d1?" V, "{\"deviceId\":\"d1\"      }", NULL);
    assert_int_equal(answer.status, 413);
    assert_string_equal(answer.error, "MessageTooLarge");
}

static void a_refusal_of_the_gateway_looks_like_one_of_ours(void **state UNUSED)
{
    struct rest_call call = {0};
    struct why why = {"the head of the request is too large; really"};
    call_init(&call.call, 1 << 20, NULL, NULL);
    service_rest_refuse(&call, ERR_TOO_LARGE, &why);
    assert_int_equal(call.status, 413);
    assert_non_null(strstr(call.body_out.ptr,
        "{\"Message\":\"ErrorCode:MessageTooLarge;the head of the request is too large, really\""));
    call_done(&call.call);
}

static void errors_are_told_even_without_memory(void **state UNUSED)
{
    struct rest_call call = {0};
    call_init(&call.call, 16, NULL, NULL);
    service_rest_refuse(&call, ERR_ARGUMENT, NULL);
    assert_int_equal(call.status, 500);
    assert_true(call.body_out.len > 0);
    call_done(&call.call);
}

static void about_tells_where_the_hub_is(void **state UNUSED)
{
    struct answer answer = ask("GET", "/gemel/v1/about", NULL, NULL);
    assert_string_equal(answer.body, "{\"hubName\":\"h1\",\"hostName\":\"hub.local\","
                                     "\"mqttPort\":8883,\"httpsPort\":443,\"version\":\"0.1.0\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            paths_are_found_in_every_accepted_form, world_open, world_close),
        cmocka_unit_test_setup_teardown(
            an_error_is_told_in_the_form_that_every_sdk_reads, world_open, world_close),
        cmocka_unit_test_setup_teardown(
            a_token_opens_what_its_policy_allows, world_open, world_close),
        cmocka_unit_test_setup_teardown(what_is_no_token_is_refused, world_open, world_close),
        cmocka_unit_test_setup_teardown(hubs_are_told_apart_by_host_name, world_open, world_close),
        cmocka_unit_test_setup_teardown(
            a_body_must_be_json_and_within_the_limit, world_open, world_close),
        cmocka_unit_test(a_refusal_of_the_gateway_looks_like_one_of_ours),
        cmocka_unit_test(errors_are_told_even_without_memory),
        cmocka_unit_test_setup_teardown(about_tells_where_the_hub_is, world_open, world_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
