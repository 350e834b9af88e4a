/* SPDX-License-Identifier: Apache-2.0 */
#include "service_harness.h"

#define FRESH "{\"$metadata\":{\"$lastUpdated\":\"" START_TEXT "\"},\"$version\":1}"

static void a_fresh_twin_has_iot_hubs_form(void **state UNUSED)
{
    make_device("d1");
    make_module("d1", "m1");
    struct answer device = ask("GET", "/devices/d1?" V, NULL, NULL);
    struct answer twin = ask("GET", "/twins/d1?" V, NULL, NULL);
    assert_string_equal(twin.body,
        arena_format(&world.arena,
            "{\"deviceId\":\"d1\",\"etag\":\"AAAAAAAAAAE=\",\"deviceEtag\":\"%s\","
            "\"status\":\"enabled\",\"statusUpdateTime\":\"0001-01-01T00:00:00Z\","
            "\"connectionState\":\"Disconnected\",\"lastActivityTime\":\"0001-01-01T00:00:00Z\","
            "\"cloudToDeviceMessageCount\":0,\"authenticationType\":\"sas\","
            "\"x509Thumbprint\":{\"primaryThumbprint\":null,\"secondaryThumbprint\":null},"
            "\"modelId\":\"\",\"version\":2,\"properties\":{\"desired\":" FRESH
            ",\"reported\":" FRESH "},\"capabilities\":{\"iotEdge\":false}}",
            member(&device, "etag")));
    assert_string_equal(twin.etag, "\"AAAAAAAAAAE=\"");
    struct answer module = ask("GET", "/twins/d1/modules/m1?" V, NULL, NULL);
    assert_string_equal(member(&module, "moduleId"), "m1");
    assert_null(member(&module, "capabilities"));
    assert_null(member(&module, "tags"));
}

static void the_cli_story_of_versions_holds(void **state UNUSED)
{
    static const struct {
        const char *body;
        const char *desired;
        const char *version;
        const char *etag;
        const char *tags;
    } steps[] = {
        {"{\"properties\":{\"desired\":{\"a\":{\"b\":1}}}}", "2", "3", "AAAAAAAAAAI=", NULL},
        {"{\"tags\":{\"x\":1}}", "2", "4", "AAAAAAAAAAM=", "{\"x\":1}"},
        {"{\"tags\":{\"x\":2},\"properties\":{\"desired\":{\"a\":{\"b\":1}}}}", "3", "5",
            "AAAAAAAAAAQ=", "{\"x\":2}"},
        {"{\"tags\":{\"x\":null},\"properties\":{\"desired\":{\"a\":null}}}", "4", "6",
            "AAAAAAAAAAU=", NULL},
        {"{}", "4", "6", "AAAAAAAAAAU=", NULL},
    };
    make_device("d1");
    for (size_t i = 0; i < COUNT_OF(steps); i++) {
        struct answer answer = ask("PATCH", "/twins/d1?" V, steps[i].body, NULL);
        assert_int_equal(answer.status, 200);
        assert_string_equal(member(&answer, "properties.desired.$version"), steps[i].desired);
        assert_string_equal(member(&answer, "version"), steps[i].version);
        assert_string_equal(member(&answer, "etag"), steps[i].etag);
        if (steps[i].tags == NULL)
            assert_null(member(&answer, "tags"));
        else
            assert_string_equal(member(&answer, "tags"), steps[i].tags);
    }
}

struct row {
    const char *method;
    const char *target;
    const char *body;
    const char *if_match;
    int status;
    const char *error;
};

static void what_cannot_be_is_refused_and_changes_nothing(void **state UNUSED)
{
    static const struct row rows[] = {
        {"PATCH", "/twins/d1?" V, "{\"tags\":1}", NULL, 400, "ArgumentInvalid"},
        {"PATCH", "/twins/d1?" V, "[1]", NULL, 400, "ArgumentInvalid"},
        {"PATCH", "/twins/d1?" V, "{\"tags\":{\"ok\":1},\"properties\":{\"desired\":{\"a.b\":1}}}",
            NULL, 400, "ArgumentInvalid"},
        {"PUT", "/twins/d1?" V, "{\"properties\":{\"desired\":{\"a\":4503599627370496}}}", NULL,
            400, "ArgumentInvalid"},
        {"PATCH", "/twins/d1?" V, "{}", "\"abc\"", 412, "PreconditionFailed"},
        {"PATCH", "/twins/d1?" V, "{}", "abc", 412, "PreconditionFailed"},
        {"PUT", "/twins/d1?" V, "{}", "AAAAAAAAAAk=", 412, "PreconditionFailed"},
        {"PATCH", "/twins/none?" V, "{}", NULL, 404, "DeviceNotFound"},
        {"PATCH", "/twins/d1/modules/none?" V, "{}", NULL, 404, "ModuleNotFound"},
        {"GET", "/twins/none/modules/m1?" V, NULL, NULL, 404, "DeviceNotFound"},
    };
    make_device("d1");
    const char *before = ask("GET", "/twins/d1?" V, NULL, NULL).body;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct answer answer = ask(rows[i].method, rows[i].target, rows[i].body, rows[i].if_match);
        assert_int_equal(answer.status, rows[i].status);
        assert_string_equal(answer.error, rows[i].error);
    }
    assert_string_equal(ask("GET", "/twins/d1?" V, NULL, NULL).body, before);
}

static void if_match_is_read_in_every_spelling(void **state UNUSED)
{
    static const char *const etags[] = {
        "*", "\"*\"", "AAAAAAAAAAE=", "\"AAAAAAAAAAI=\"", "W/\"AAAAAAAAAAM=\"", NULL};
    make_device("d1");
    for (size_t i = 0; i < COUNT_OF(etags); i++) {
        /* the first two leave the counter at 1: they change nothing */
        const char *body = i < 2 ? "{}" : "{\"tags\":{\"a\":1}}";
        assert_int_equal(ask("PATCH", "/twins/d1?" V, body, etags[i]).status, 200);
    }
}

static void a_whole_twin_can_be_sent_back(void **state UNUSED)
{
    make_device("d1");
    struct answer first = ask("PATCH", "/twins/d1?" V,
        "{\"tags\":{\"t\":1},\"properties\":{\"desired\":{\"a\":{\"b\":[1,2]},\"n\":1.50}}}", NULL);
    struct answer second = ask("PUT", "/twins/d1?" V, first.body, first.etag);
    assert_int_equal(second.status, 200);
    assert_string_equal(member(&second, "tags"), "{\"t\":1}");
    assert_string_equal(member(&second, "properties.desired.n"), "1.50");
    assert_string_equal(member(&second, "properties.desired.$version"), "3");
    struct answer third = ask("PUT", "/twins/d1?" V, "{\"tags\":{\"u\":1}}", NULL);
    assert_string_equal(member(&third, "tags"), "{\"u\":1}");
    assert_null(member(&third, "properties.desired.a"));
}

static void a_session_hears_of_desired_after_it_is_stored(void **state UNUSED)
{
    struct heard device;
    struct heard module;
    make_device("d1");
    make_module("d1", "m1");
    struct session session = connect_device("d1", &device);
    heard_init(&module);
    struct session inner = connect_as("d1", "m1",
        token_of("hub.local", "d1", "m1", NULL, HUB_KEY, START_US / 1000000 + 60), &module);
    assert_int_equal(inner.err, ERR_NONE);
    ask("PATCH", "/twins/d1?" V, "{\"properties\":{\"desired\":{\"a\":1,\"b\":null}}}", NULL);
    assert_string_equal(device.payload, "{\"a\":1,\"b\":null,\"$version\":2}");
    assert_int_equal(device.version, 2);
    ask("PATCH", "/twins/d1?" V, "{\"tags\":{\"a\":1}}", NULL);
    ask("PATCH", "/twins/d1?" V, "{\"properties\":{\"desired\":{\"a.b\":1}}}", NULL);
    assert_int_equal(device.desired_count, 1);
    ask("PUT", "/twins/d1?" V, "{\"properties\":{\"desired\":{\"c\":1}}}", NULL);
    assert_string_equal(device.payload, "{\"a\":null,\"c\":1,\"$version\":3}");
    assert_int_equal(module.desired_count, 0);
    ask("PATCH", "/twins/d1/modules/m1?" V, "{\"properties\":{\"desired\":{\"m\":1}}}", NULL);
    assert_string_equal(module.payload, "{\"m\":1,\"$version\":2}");
    ask("POST", "/devices?" V,
        "[{\"id\":\"d1\",\"importMode\":\"updateTwin\",\"properties\":{\"desired\":{\"z\":1}}}]",
        NULL);
    assert_string_equal(device.payload, "{\"z\":1,\"$version\":4}");
    assert_int_equal(device.desired_count, 3);
    service_disconnect(world.service, &session.identity, session.number);
    service_disconnect(world.service, &inner.identity, inner.number);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_fresh_twin_has_iot_hubs_form, world_open, world_close),
        cmocka_unit_test_setup_teardown(the_cli_story_of_versions_holds, world_open, world_close),
        cmocka_unit_test_setup_teardown(
            what_cannot_be_is_refused_and_changes_nothing, world_open, world_close),
        cmocka_unit_test_setup_teardown(
            if_match_is_read_in_every_spelling, world_open, world_close),
        cmocka_unit_test_setup_teardown(a_whole_twin_can_be_sent_back, world_open, world_close),
        cmocka_unit_test_setup_teardown(
            a_session_hears_of_desired_after_it_is_stored, world_open, world_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
