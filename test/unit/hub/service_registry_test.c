/* SPDX-License-Identifier: Apache-2.0 */
#include "service_harness.h"

#include "base64.h"

#include <stdlib.h>

static void a_new_device_has_what_iot_hub_gives_it(void **state UNUSED)
{
    struct answer answer = ask("PUT", "/devices/d1?" V, "{\"deviceId\":\"d1\"}", NULL);
    assert_int_equal(answer.status, 200);
    const char *primary = member(&answer, "authentication.symmetricKey.primaryKey");
    const char *secondary = member(&answer, "authentication.symmetricKey.secondaryKey");
    char key[64];
    size_t len = 0;
    assert_int_equal(base64_decode(span_of(primary), key, sizeof(key), &len, NULL), ERR_NONE);
    assert_int_equal(len, 32);
    assert_string_not_equal(primary, secondary);
    char *expected = arena_format(&world.arena,
        "{\"deviceId\":\"d1\",\"generationId\":\"%s\",\"etag\":\"%s\","
        "\"connectionState\":\"Disconnected\",\"status\":\"enabled\",\"statusReason\":null,"
        "\"connectionStateUpdatedTime\":\"0001-01-01T00:00:00Z\","
        "\"statusUpdatedTime\":\"0001-01-01T00:00:00Z\","
        "\"lastActivityTime\":\"0001-01-01T00:00:00Z\",\"cloudToDeviceMessageCount\":0,"
        "\"authentication\":{\"symmetricKey\":{\"primaryKey\":\"%s\",\"secondaryKey\":\"%s\"},"
        "\"x509Thumbprint\":{\"primaryThumbprint\":null,\"secondaryThumbprint\":null},"
        "\"type\":\"sas\"},\"capabilities\":{\"iotEdge\":false}}",
        member(&answer, "generationId"), member(&answer, "etag"), primary, secondary);
    assert_string_equal(answer.body, expected);
    assert_string_equal(answer.etag, arena_format(&world.arena, "\"%s\"", member(&answer, "etag")));
    assert_string_equal(ask("GET", "/devices/d1?" V, NULL, NULL).body, expected);
    char digits[32] = "";
    assert_int_equal(base64_decode(span_of(member(&answer, "etag")), digits, 31, &len, NULL), 0);
    assert_true(strtoull(digits, NULL, 10) > 0);
    assert_string_equal(member(&answer, "generationId"), "638355968000000000");
}

static void a_new_module_has_what_iot_hub_gives_it(void **state UNUSED)
{
    make_device("d1");
    struct answer answer = ask("PUT", "/devices/d1/modules/m1?" V,
        "{\"deviceId\":\"d1\",\"moduleId\":\"m1\",\"managedBy\":\"me\"}", NULL);
    assert_int_equal(answer.status, 200);
    char *expected = arena_format(&world.arena,
        "{\"moduleId\":\"m1\",\"managedBy\":\"me\",\"deviceId\":\"d1\",\"generationId\":\"%s\","
        "\"etag\":\"%s\",\"connectionState\":\"Disconnected\","
        "\"connectionStateUpdatedTime\":\"0001-01-01T00:00:00Z\","
        "\"lastActivityTime\":\"0001-01-01T00:00:00Z\",\"cloudToDeviceMessageCount\":0,"
        "\"authentication\":{\"symmetricKey\":{\"primaryKey\":\"%s\",\"secondaryKey\":\"%s\"},"
        "\"x509Thumbprint\":{\"primaryThumbprint\":null,\"secondaryThumbprint\":null},"
        "\"type\":\"sas\"}}",
        member(&answer, "generationId"), member(&answer, "etag"),
        member(&answer, "authentication.symmetricKey.primaryKey"),
        member(&answer, "authentication.symmetricKey.secondaryKey"));
    assert_string_equal(answer.body, expected);
    assert_string_equal(ask("GET", "/devices/d1/modules/m1?" V, NULL, NULL).body, expected);
    assert_string_equal(ask("GET", "/devices/d1/modules?" V, NULL, NULL).body,
        arena_format(&world.arena, "[%s]", expected));
}

struct put_row {
    const char *target;
    const char *body;
    const char *if_match;
    int status;
    const char *error_or_path; /* of a refusal: the error; else a member … */
    const char *value;         /* … and what it must be; NULL: not looked at */
};

#define P(auth) "{\"authentication\":" auth "}"
#define HEX40 "0123456789abcdefABCDEF012345678901234567"
#define HEX64 HEX40 "012345678901234567890123"
#define REASON16 "aaaaaaaaaaaaaaaa"
#define REASON128 REASON16 REASON16 REASON16 REASON16 REASON16 REASON16 REASON16 REASON16

static void a_put_is_judged_member_by_member(void **state UNUSED)
{
    static const struct put_row rows[] = {
        /* ids */
        {"/devices/a-:.+%25_%23*%3F!(),=@%3B$'?" V, "{}", NULL, 200, "deviceId",
            "a-:.+%_#*?!(),=@;$'"},
        {"/devices/invalid%2Fname?" V, "{}", NULL, 400, "ArgumentInvalid", NULL},
        {"/devices/with%20blank?" V, "{}", NULL, 400, "ArgumentInvalid", NULL},
        {"/devices/%C3%A9?" V, "{}", NULL, 400, "ArgumentInvalid", NULL},
        {"/devices/x1?" V, "{\"deviceId\":\"x2\"}", NULL, 400, "ArgumentInvalid", NULL},
        {"/devices/x1?" V, "{\"deviceId\":\"X1\"}", NULL, 400, "ArgumentInvalid", NULL},
        {"/devices/x1?" V, "{\"deviceId\":7}", NULL, 400, "ArgumentInvalid", NULL},
        {"/devices/d1/modules/m1?" V, "{\"moduleId\":\"m2\"}", NULL, 400, "ArgumentInvalid", NULL},
        {"/devices/none/modules/m1?" V, "{}", NULL, 404, "DeviceNotFound", NULL},
        /* shapes */
        {"/devices/x1?" V, "[]", NULL, 400, "ArgumentInvalid", NULL},
        {"/devices/x1?" V, "null", NULL, 400, "ArgumentInvalid", NULL},
        {"/devices/x1?" V, "{\"authentication\":5}", NULL, 400, "ArgumentInvalid", NULL},
        {"/devices/x1?" V, P("{\"symmetricKey\":[]}"), NULL, 400, "ArgumentInvalid", NULL},
        {"/devices/x1?" V, "{\"capabilities\":true}", NULL, 400, "ArgumentInvalid", NULL},
        {"/devices/x1?" V, "{\"capabilities\":{\"iotEdge\":1}}", NULL, 400, "ArgumentInvalid",
            NULL},
        /* status */
        {"/devices/s1?" V, "{\"status\":\"disabled\"}", NULL, 200, "status", "disabled"},
        {"/devices/s2?" V, "{\"status\":null}", NULL, 200, "status", "enabled"},
        {"/devices/x1?" V, "{\"status\":\"on\"}", NULL, 400, "ArgumentInvalid", NULL},
        {"/devices/x1?" V, "{\"status\":true}", NULL, 400, "ArgumentInvalid", NULL},
        {"/devices/s3?" V, "{\"statusReason\":\"" REASON128 "\"}", NULL, 200, "statusReason",
            REASON128},
        {"/devices/x1?" V, "{\"statusReason\":\"" REASON128 "a\"}", NULL, 400, "ArgumentInvalid",
            NULL},
        /* keys: 16 and 19 bytes are kept, 15 and 65 are refused */
        {"/devices/k1?" V,
            P("{\"symmetricKey\":{\"primaryKey\":\"" HUB_KEY
              "\",\"secondaryKey\":\"MDEyMzQ1Njc4OWFiY2RlZmdoaQ==\"}}"),
            NULL, 200, "authentication.symmetricKey.secondaryKey", "MDEyMzQ1Njc4OWFiY2RlZmdoaQ=="},
        {"/devices/x1?" V, P("{\"symmetricKey\":{\"primaryKey\":\"MDEyMzQ1Njc4OWFiY2Rl\"}}"), NULL,
            400, "ArgumentInvalid", NULL},
        {"/devices/x1?" V, P("{\"symmetricKey\":{\"primaryKey\":\"no base64!\"}}"), NULL, 400,
            "ArgumentInvalid", NULL},
        {"/devices/x1?" V, P("{\"symmetricKey\":{\"secondaryKey\":7}}"), NULL, 400,
            "ArgumentInvalid", NULL},
        /* types */
        {"/devices/t1?" V, P("{\"type\":\"certificateAuthority\"}"), NULL, 200,
            "authentication.symmetricKey.primaryKey", "null"},
        {"/devices/t2?" V, P("{\"type\":\"none\"}"), NULL, 200, "authentication.type", "none"},
        {"/devices/t3?" V, P("{\"x509Thumbprint\":{\"primaryThumbprint\":\"" HEX40 "\"}}"), NULL,
            200, "authentication.type", "selfSigned"},
        {"/devices/t4?" V,
            P("{\"type\":\"selfSigned\",\"x509Thumbprint\":{\"secondaryThumbprint\":\"" HEX64
              "\"},\"symmetricKey\":{\"primaryKey\":\"\"}}"),
            NULL, 200, "authentication.x509Thumbprint.secondaryThumbprint", HEX64},
        {"/devices/x1?" V, P("{\"type\":\"selfSigned\"}"), NULL, 400, "ArgumentInvalid", NULL},
        {"/devices/x1?" V, P("{\"x509Thumbprint\":{\"primaryThumbprint\":\"" HEX40 "0\"}}"), NULL,
            400, "ArgumentInvalid", NULL},
        {"/devices/x1?" V, P("{\"type\":\"token\"}"), NULL, 400, "ArgumentInvalid", NULL},
        /* create and update */
        {"/devices/d1?" V, "{}", NULL, 409, "DeviceAlreadyExists", NULL},
        {"/devices/d1/modules/m0?" V, "{}", NULL, 409, "ModuleAlreadyExistsOnDevice", NULL},
        {"/devices/none?" V, "{}", "*", 404, "DeviceNotFound", NULL},
        {"/devices/d1/modules/none?" V, "{}", "\"*\"", 404, "ModuleNotFound", NULL},
        {"/devices/d1?" V, "{}", "\"bm8=\"", 412, "PreconditionFailed", NULL},
        {"/devices/d1?" V, "{\"statusReason\":\"why\"}", "*", 200, "statusReason", "why"},
        {"/devices/d1?" V, "{\"status\":\"disabled\"}", "\"*\"", 200,
            "authentication.symmetricKey.primaryKey", HUB_KEY},
        {"/devices/d1?" V,
            P("{\"type\":\"sas\",\"symmetricKey\":{\"primaryKey\":\"\",\"secondaryKey\":\"\"}}"),
            "*", 200, "authentication.symmetricKey.secondaryKey", OTHER_KEY},
        {"/devices/d1?" V, "{}", "*", 200, "statusReason", "why"},
        {"/devices/d1?" V, "{\"statusReason\":null}", "*", 200, "statusReason", "null"},
        {"/devices/d1/modules/m0?" V, "{\"managedBy\":\"iotEdge\"}", "*", 200, "managedBy",
            "iotEdge"},
    };
    make_device("d1");
    make_module("d1", "m0");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct put_row *row = &rows[i];
        struct answer answer = ask("PUT", row->target, row->body, row->if_match);
        if (answer.status != row->status)
            fail_msg("%s %s: %d %s", row->target, row->body, answer.status, answer.body);
        if (row->status != 200)
            assert_string_equal(answer.error, row->error_or_path);
        else if (row->value != NULL)
            assert_string_equal(member(&answer, row->error_or_path), row->value);
    }
}

static void an_update_needs_the_etag_that_was_read(void **state UNUSED)
{
    make_device("d1");
    struct answer first = ask("GET", "/devices/d1?" V, NULL, NULL);
    struct answer second = ask("PUT", "/devices/d1?" V, "{\"statusReason\":\"a\"}", first.etag);
    assert_int_equal(second.status, 200);
    assert_string_not_equal(first.etag, second.etag);
    assert_string_equal(member(&first, "generationId"), member(&second, "generationId"));
    struct answer third = ask("PUT", "/devices/d1?" V, "{\"statusReason\":\"b\"}", first.etag);
    assert_int_equal(third.status, 412);
    assert_int_equal(third.err, ERR_PRECONDITION);
    assert_int_equal(ask("DELETE", "/devices/d1?" V, NULL, first.etag).status, 412);
    /* without quotes, as some clients send it */
    assert_int_equal(ask("DELETE", "/devices/d1?" V, NULL, member(&second, "etag")).status, 204);
    assert_int_equal(ask("DELETE", "/devices/d1?" V, NULL, NULL).status, 404);
}

static void a_status_has_the_time_of_its_change(void **state UNUSED)
{
    make_device("d1");
    world_advance(10);
    struct answer answer = ask("PUT", "/devices/d1?" V, "{\"status\":\"disabled\"}", "*");
    assert_string_equal(member(&answer, "statusUpdatedTime"), "2023-11-14T22:13:30.0000000Z");
    world_advance(10);
    answer = ask("PUT", "/devices/d1?" V, "{\"status\":\"disabled\"}", "*");
    assert_string_equal(member(&answer, "statusUpdatedTime"), "2023-11-14T22:13:30.0000000Z");
}

static void deleting_a_device_takes_its_modules_and_twins(void **state UNUSED)
{
    make_device("d1");
    make_module("d1", "m1");
    struct answer gone = ask("DELETE", "/devices/d1?" V, NULL, "*");
    assert_int_equal(gone.status, 204);
    assert_string_equal(gone.body, "");
    assert_int_equal(ask("GET", "/twins/d1?" V, NULL, NULL).status, 404);
    make_device("d1");
    assert_string_equal(ask("GET", "/devices/d1/modules?" V, NULL, NULL).body, "[]");
    assert_int_equal(ask("GET", "/devices/d2/modules?" V, NULL, NULL).status, 404);
}

static void keys_are_not_shown_to_who_may_only_write(void **state UNUSED)
{
    struct answer answer =
        ask_with(token("write", HUB_KEY), "hub.local", "PUT", "/devices/d1?" V, "{}", NULL);
    assert_int_equal(answer.status, 200);
    assert_string_equal(member(&answer, "authentication.symmetricKey.primaryKey"), "null");
    assert_string_equal(member(&answer, "authentication.symmetricKey.secondaryKey"), "null");
}

static void there_is_an_end_to_modules_and_devices(void **state UNUSED)
{
    world.options.limits.modules_per_device = 2;
    world.options.limits.devices_per_hub = 2;
    world_reopen_service();
    make_device("d1");
    make_module("d1", "m1");
    make_module("d1", "m2");
    struct answer answer = ask("PUT", "/devices/d1/modules/m3?" V, "{}", NULL);
    assert_int_equal(answer.status, 413);
    assert_string_equal(answer.error, "TooManyModulesOnDevice");
    assert_int_equal(ask("PUT", "/devices/d1/modules/m2?" V, "{}", NULL).status, 409);
    make_device("d2");
    answer = ask("PUT", "/devices/d3?" V, "{}", NULL);
    assert_int_equal(answer.status, 413);
    assert_string_equal(answer.error, "TooManyDevices");
}

static void lists_and_counts_are_bounded_and_right(void **state UNUSED)
{
    static const struct {
        const char *target;
        unsigned count;
    } rows[] = {{"/devices?" V, 5}, {"/devices?top=3&" V, 3}, {"/devices?" V "&top=0", 5},
        {"/devices?" V "&top=9999999", 5}, {"/devices?" V "&top=x", 5}};
    for (int i = 0; i < 5; i++)
        make_device(arena_format(&world.arena, "d%d", i));
    assert_int_equal(ask("PUT", "/devices/d1?" V, "{\"status\":\"disabled\"}", "*").status, 200);
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_int_equal(ask("GET", rows[i].target, NULL, NULL).json->count, rows[i].count);
    assert_string_equal(ask("GET", "/statistics/devices?" V, NULL, NULL).body,
        "{\"totalDeviceCount\":5,\"enabledDeviceCount\":4,\"disabledDeviceCount\":1}");
    assert_string_equal(
        ask("GET", "/statistics/service?" V, NULL, NULL).body, "{\"connectedDeviceCount\":0}");
}

static void an_edge_device_has_a_scope_and_its_two_modules(void **state UNUSED)
{
    struct answer edge =
        ask("PUT", "/devices/e1?" V, "{\"capabilities\":{\"iotEdge\":true}}", NULL);
    assert_int_equal(edge.status, 200);
    const char *scope = member(&edge, "deviceScope");
    assert_string_equal(scope,
        arena_format(&world.arena, "ms-azure-iot-edge://e1-%s", member(&edge, "generationId")));
    struct answer modules = ask("GET", "/devices/e1/modules?" V, NULL, NULL);
    assert_string_equal(member(&modules, "0.moduleId"), "$edgeAgent");
    assert_string_equal(member(&modules, "1.moduleId"), "$edgeHub");
    assert_string_equal(member(&modules, "0.authentication.type"), "none");
    assert_int_equal(ask("GET", "/twins/e1/modules/%24edgeAgent?" V, NULL, NULL).status, 200);

    char *child = arena_format(&world.arena, "{\"deviceScope\":\"%s\"}", scope);
    struct answer leaf = ask("PUT", "/devices/leaf?" V, child, NULL);
    assert_string_equal(
        member(&leaf, "parentScopes"), arena_format(&world.arena, "[\"%s\"]", scope));
    struct answer bogus =
        ask("PUT", "/devices/leaf?" V, "{\"deviceScope\":\"ms-azure-iot-edge://no-1\"}", "*");
    assert_int_equal(bogus.status, 400);
    assert_string_equal(bogus.error, "InvalidDeviceScope");
    assert_int_equal(ask("PUT", "/devices/e1?" V, "{\"deviceScope\":\"other\"}", "*").status, 400);
    assert_int_equal(ask("PUT", "/devices/e1?" V, edge.body, "*").status, 200);
}

static void a_bulk_reports_each_failure_and_does_the_rest(void **state UNUSED)
{
    make_device("old");
    struct answer answer = ask("POST", "/devices?" V,
        "[{\"id\":\"n1\",\"importMode\":\"create\",\"tags\":{\"a\":1},"
        "\"properties\":{\"desired\":{\"x\":1}},\"deviceScope\":\"anything\"},"
        "{\"id\":\"old\",\"importMode\":\"create\"},"
        "{\"id\":\"bad id\",\"importMode\":\"create\"},"
        "{\"id\":\"old\",\"importMode\":\"Update\",\"status\":\"disabled\"},"
        "{\"id\":\"old\",\"importMode\":\"UpdateIfMatchETag\",\"eTag\":\"bm8=\"},"
        "{\"id\":\"old\",\"importMode\":\"updateTwin\",\"tags\":{\"t\":1}},"
        "{\"id\":\"old\",\"importMode\":\"updateTwinIfMatchETag\",\"twinETag\":\"AAAAAAAAAAk=\"},"
        "{\"id\":\"none\",\"importMode\":\"DELETE\"},"
        "{\"id\":\"n1\",\"moduleId\":\"m1\"},"
        "{\"id\":\"n1\",\"importMode\":\"explode\"},7]",
        NULL);
    assert_int_equal(answer.status, 400);
    assert_string_equal(answer.error, "BulkRegistryOperationFailure");
    assert_string_equal(member(&answer, "isSuccessful"), "false");
    static const char *const codes[] = {"DeviceAlreadyExists", "ArgumentInvalid",
        "PreconditionFailed", "PreconditionFailed", "DeviceNotFound", "ArgumentInvalid",
        "ArgumentInvalid"};
    const struct json *errors = json_find_text(answer.json, "errors");
    assert_int_equal(errors->count, COUNT_OF(codes));
    size_t at = 0;
    json_each (error, errors)
        assert_true(span_is(json_string_of(error, "errorCode"), codes[at++]));
    struct answer twin = ask("GET", "/twins/n1?" V, NULL, NULL);
    assert_string_equal(member(&twin, "tags"), "{\"a\":1}");
    assert_string_equal(member(&twin, "properties.desired.x"), "1");
    assert_int_equal(ask("GET", "/devices/n1/modules/m1?" V, NULL, NULL).status, 200);
    struct answer old = ask("GET", "/devices/old?" V, NULL, NULL);
    assert_string_equal(member(&old, "status"), "disabled");
    struct answer fine =
        ask("POST", "/devices?" V, "[{\"id\":\"n1\",\"importMode\":\"delete\"}]", NULL);
    assert_int_equal(fine.status, 200);
    assert_string_equal(fine.body, "{\"isSuccessful\":true,\"errors\":[],\"warnings\":[]}");
    world.options.limits.bulk_items = 1;
    world_reopen_service();
    assert_int_equal(ask("POST", "/devices?" V, "[{},{}]", NULL).status, 413);
}

static void a_bulk_takes_twins_with_the_identities(void **state UNUSED)
{
    make_device("old");
    struct answer answer = ask("POST", "/devices?" V,
        "[{\"id\":\"n1\",\"tags\":{\"a.b\":1}},"
        "{\"id\":\"old\",\"importMode\":\"createOrUpdate\",\"status\":\"disabled\","
        "\"tags\":{\"t\":1},\"properties\":{\"desired\":{\"d\":1},\"reported\":{\"r\":1}}},"
        "{\"id\":\"n2\",\"importMode\":\"createOrUpdate\",\"tags\":{\"t\":2}}]",
        NULL);
    /* IoT Hub registers a device whose twin cannot be, and warns. */
    assert_int_equal(answer.status, 200);
    assert_string_equal(member(&answer, "warnings.0.deviceId"), "n1");
    assert_string_equal(member(&answer, "warnings.0.warningCode"), "DeviceRegisteredWithoutTwin");
    assert_non_null(strstr(member(&answer, "warnings.0.warningStatus"), "tags.a.b"));
    struct answer twin = ask("GET", "/twins/n1?" V, NULL, NULL);
    assert_int_equal(twin.status, 200);
    assert_null(member(&twin, "tags"));
    twin = ask("GET", "/twins/old?" V, NULL, NULL);
    assert_string_equal(member(&twin, "status"), "disabled");
    assert_string_equal(member(&twin, "tags"), "{\"t\":1}");
    assert_string_equal(member(&twin, "properties.desired.d"), "1");
    assert_null(member(&twin, "properties.reported.r"));
    assert_string_equal(
        member(&(struct answer){.json = ask("GET", "/twins/n2?" V, NULL, NULL).json}, "tags.t"),
        "2");
    /* The etag of the twin is looked at apart. */
    answer = ask("POST", "/devices?" V,
        "[{\"id\":\"old\",\"importMode\":\"update\",\"status\":\"enabled\",\"tags\":{\"t\":9},"
        "\"twinETag\":\"AAAAAAAAAAk=\"}]",
        NULL);
    assert_string_equal(member(&answer, "errors.0.errorCode"), "PreconditionFailed");
    assert_non_null(strstr(member(&answer, "errors.0.errorStatus"), "the identity is updated"));
    twin = ask("GET", "/twins/old?" V, NULL, NULL);
    assert_string_equal(member(&twin, "status"), "enabled");
    assert_string_equal(member(&twin, "tags.t"), "1");
}

static void an_export_goes_through_all_of_them(void **state UNUSED)
{
#define ALL "/gemel/v1/identities"
    make_device("d1");
    make_device("d2");
    make_module("d1", "m1");
    ask("PATCH", "/twins/d2?" V, "{\"tags\":{\"t\":1}}", NULL);
    struct answer first = ask("GET", ALL "?limit=1&keys=true", NULL, NULL);
    assert_int_equal(first.json->count, 1);
    assert_string_equal(member(&first, "0.id"), "d1");
    assert_string_equal(member(&first, "0.authentication.symmetricKey.primaryKey"), HUB_KEY);
    struct answer second = ask("GET", ALL "?after=d1", NULL, NULL);
    assert_int_equal(second.json->count, 1);
    assert_string_equal(member(&second, "0.id"), "d2");
    assert_string_equal(member(&second, "0.tags.t"), "1");
    assert_string_equal(member(&second, "0.authentication.symmetricKey.primaryKey"), "null");
    assert_string_equal(ask("GET", ALL "?after=d2", NULL, NULL).body, "[]");
    struct answer modules = ask("GET", ALL "?modules=true&keys=true", NULL, NULL);
    assert_string_equal(member(&modules, "0.moduleId"), "m1");
    assert_string_equal(
        ask("GET", ALL "?modules=true&after=d1&afterModule=m1", NULL, NULL).body, "[]");
    assert_int_equal(ask("GET", ALL "?keys=1", NULL, NULL).status, 400);
#undef ALL
}

static void keys_are_made_anew_for_some_and_refused_for_others(void **state UNUSED)
{
#define ALL "/devices/keys/regenerate?" V
    make_device("d1");
    make_module("d1", "m1");
    ask("PUT", "/devices/x1?" V, "{\"authentication\":{\"type\":\"certificateAuthority\"}}", NULL);
    const char *etag = ask("GET", "/devices/d1?" V, NULL, NULL).etag;
    struct answer answer = ask("POST", ALL,
        "{\"policyKey\":\"primaryKey\",\"devices\":[{\"id\":\"d1\"},"
        "{\"deviceId\":\"d1\",\"moduleId\":\"m1\"}]}",
        NULL);
    assert_int_equal(answer.status, 200);
    struct answer device = ask("GET", "/devices/d1?" V, NULL, NULL);
    struct answer module = ask("GET", "/devices/d1/modules/m1?" V, NULL, NULL);
    const char *primary = member(&device, "authentication.symmetricKey.primaryKey");
    const char *of_module = member(&module, "authentication.symmetricKey.primaryKey");
    assert_string_not_equal(primary, HUB_KEY);
    assert_string_not_equal(primary, of_module);
    assert_string_equal(member(&device, "authentication.symmetricKey.secondaryKey"), OTHER_KEY);
    assert_string_not_equal(device.etag, etag);
    assert_string_equal(answer.body,
        arena_format(&world.arena,
            "{\"policyKey\":\"primaryKey\",\"rotatedKeys\":["
            "{\"id\":\"d1\",\"primaryKey\":\"%s\",\"secondaryKey\":\"" OTHER_KEY "\"},"
            "{\"id\":\"d1\",\"moduleId\":\"m1\",\"primaryKey\":\"%s\",\"secondaryKey\":\"%s\"}],"
            "\"errors\":[]}",
            primary, of_module, member(&module, "authentication.symmetricKey.secondaryKey")));
    answer = ask("POST", ALL,
        "{\"policyKey\":\"BOTH\",\"devices\":[{\"id\":\"none\"},{\"id\":\"x1\"},{\"id\":\"d1\"},"
        "{\"id\":\"a/b\"},7,{\"id\":\"d1\",\"moduleId\":\"none\"}]}",
        NULL);
    assert_int_equal(answer.status, 207);
    static const char *const codes[] = {"DeviceNotFound", "InvalidOperation", "ArgumentInvalid",
        "ArgumentInvalid", "ModuleNotFound"};
    const struct json *errors = json_find_text(answer.json, "errors");
    size_t at = 0;
    assert_int_equal(errors->count, COUNT_OF(codes));
    json_each (error, errors)
        assert_true(span_is(json_string_of(error, "errorCode"), codes[at++]));
    device = ask("GET", "/devices/d1?" V, NULL, NULL);
    assert_string_not_equal(member(&device, "authentication.symmetricKey.secondaryKey"), OTHER_KEY);
    answer = ask("POST", ALL, "{\"policyKey\":\"both\",\"devices\":[{\"id\":\"none\"}]}", NULL);
    assert_int_equal(answer.status, 400);
    assert_string_equal(answer.error, "BulkRegistryOperationFailure");
    assert_non_null(json_find_text(answer.json, "rotatedKeys"));
    static const char *const refused[] = {"{}", "[]", "{\"policyKey\":\"both\"}",
        "{\"policyKey\":\"both\",\"devices\":[]}",
        "{\"policyKey\":\"swap\",\"devices\":[{\"id\":\"d1\"}]}"};
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        answer = ask("POST", ALL, refused[i], NULL);
        assert_int_equal(answer.status, 400);
        assert_string_equal(answer.error, "ArgumentInvalid");
    }
#undef ALL
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            a_new_device_has_what_iot_hub_gives_it, world_open, world_close),
        cmocka_unit_test_setup_teardown(
            a_new_module_has_what_iot_hub_gives_it, world_open, world_close),
        cmocka_unit_test_setup_teardown(
            keys_are_made_anew_for_some_and_refused_for_others, world_open, world_close),
        cmocka_unit_test_setup_teardown(a_put_is_judged_member_by_member, world_open, world_close),
        cmocka_unit_test_setup_teardown(
            an_update_needs_the_etag_that_was_read, world_open, world_close),
        cmocka_unit_test_setup_teardown(
            a_status_has_the_time_of_its_change, world_open, world_close),
        cmocka_unit_test_setup_teardown(
            deleting_a_device_takes_its_modules_and_twins, world_open, world_close),
        cmocka_unit_test_setup_teardown(
            keys_are_not_shown_to_who_may_only_write, world_open, world_close),
        cmocka_unit_test_setup_teardown(
            there_is_an_end_to_modules_and_devices, world_open, world_close),
        cmocka_unit_test_setup_teardown(
            lists_and_counts_are_bounded_and_right, world_open, world_close),
        cmocka_unit_test_setup_teardown(
            an_edge_device_has_a_scope_and_its_two_modules, world_open, world_close),
        cmocka_unit_test_setup_teardown(
            a_bulk_reports_each_failure_and_does_the_rest, world_open, world_close),
        cmocka_unit_test_setup_teardown(
            a_bulk_takes_twins_with_the_identities, world_open, world_close),
        cmocka_unit_test_setup_teardown(
            an_export_goes_through_all_of_them, world_open, world_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
