/* SPDX-License-Identifier: Apache-2.0 */
/* The history of twins: what is kept, who it names, and that a restore is a change like others. */
#include "service_harness.h"

#define HISTORY "/gemel/v1/twin-history/"

static void patch(const char *target, const char *body)
{
    struct answer answer = ask("PATCH", target, body, NULL);
    assert_int_equal(answer.status, 200);
}

static const struct json *item(const struct answer *answer, size_t index)
{
    const struct json *items = json_find_text(answer->json, "items");
    assert_non_null(items);
    assert_true(index < items->count);
    const struct json *found = items->first;
    while (index-- > 0)
        found = found->next;
    return found;
}

static void check_item(const struct answer *answer, size_t index, const char *id, const char *kind,
    const char *changed)
{
    const struct json *found = item(answer, index);
    assert_true(span_is(json_find_text(found, "id")->text, id));
    assert_true(span_is(json_string_of(found, "kind"), kind));
    assert_true(span_is(json_string_of(found, "changed"), changed));
    assert_true(span_is(json_string_of(found, "author"), "owner"));
    assert_true(span_is(json_string_of(found, "from"), "rest"));
}

static size_t count_items(const struct answer *answer)
{
    return json_find_text(answer->json, "items")->count;
}

static void every_service_side_change_is_kept_with_its_author(void **state UNUSED)
{
    make_device("d");
    make_module("d", "m");
    world_advance(5);
    patch("/twins/d/modules/m?" V, "{\"properties\":{\"desired\":{\"a\":1}}}");
    patch("/twins/d/modules/m?" V, "{\"tags\":{\"t\":1}}");
    patch("/twins/d/modules/m?" V, "{}");
    assert_int_equal(
        ask("PUT", "/twins/d/modules/m?" V, "{\"properties\":{\"desired\":{\"b\":2}}}", NULL)
            .status,
        200);
    struct answer bulk = ask("POST", "/devices?" V,
        "[{\"id\":\"d\",\"moduleId\":\"m\",\"importMode\":\"updateTwin\",\"tags\":{\"x\":1}}]",
        NULL);
    assert_int_equal(bulk.status, 200);
    struct answer list = ask("GET", HISTORY "d/m", NULL, NULL);
    assert_int_equal(list.status, 200);
    assert_int_equal(count_items(&list), 5);
    check_item(&list, 0, "5", "patch", "tags");
    check_item(&list, 1, "4", "replace", "both");
    check_item(&list, 2, "3", "patch", "tags");
    check_item(&list, 3, "2", "patch", "desired");
    check_item(&list, 4, "1", "create", "both");
    assert_true(span_is(json_string_of(item(&list, 4), "time"), START_TEXT));
    assert_true(span_is(json_string_of(item(&list, 3), "time"), "2023-11-14T22:13:25.0000000Z"));
    assert_string_equal(member(&list, "next"), "null");
    struct answer one = ask("GET", HISTORY "d/m/3", NULL, NULL);
    assert_int_equal(one.status, 200);
    assert_string_equal(member(&one, "tags"), "{\"t\":1}");
    assert_string_equal(member(&one, "desired"), "{\"a\":1}");
    assert_string_equal(member(&one, "desiredVersion"), "2");
}

static void what_a_device_reports_is_not_history(void **state UNUSED)
{
    struct heard heard;
    make_device("d");
    struct session session = connect_device("d", &heard);
    assert_int_equal(send_report(&session, "{\"r\":1}"), ERR_NONE);
    service_disconnect(world.service, &session.identity, session.number);
    struct answer list = ask("GET", HISTORY "d", NULL, NULL);
    assert_int_equal(count_items(&list), 1);
}

static void pages_go_on_where_the_one_before_ended(void **state UNUSED)
{
    make_device("d");
    for (int i = 0; i < 4; i++)
        patch("/twins/d?" V, "{\"tags\":{\"t\":1}}");
    struct answer first = ask("GET", HISTORY "d?limit=2", NULL, NULL);
    assert_int_equal(count_items(&first), 2);
    assert_string_equal(member(&first, "next"), "4");
    struct answer second = ask("GET", HISTORY "d?limit=3&before=4", NULL, NULL);
    check_item(&second, 0, "3", "patch", "tags");
    assert_int_equal(count_items(&second), 3);
    assert_string_equal(member(&second, "next"), "null");
}

static void a_restore_replaces_notifies_and_is_history_itself(void **state UNUSED)
{
    struct heard heard;
    make_device("d");
    patch("/twins/d?" V,
        "{\"tags\":{\"t\":1},\"properties\":{\"desired\":{\"a\":1,\"b\":{\"c\":2}}}}");
    patch("/twins/d?" V,
        "{\"tags\":{\"t\":2},\"properties\":{\"desired\":{\"a\":9,\"b\":null,\"n\":3}}}");
    struct session session = connect_device("d", &heard);
    struct answer twin = ask("GET", "/twins/d?" V, NULL, NULL);
    struct answer stale = ask("POST", HISTORY "d/2/restore", NULL, "\"AAAAAAAAAAE=\"");
    assert_int_equal(stale.status, 412);
    assert_int_equal(heard.desired_count, 0);
    struct answer restored = ask("POST", HISTORY "d/2/restore", NULL, twin.etag);
    assert_int_equal(restored.status, 200);
    assert_string_equal(member(&restored, "tags"), "{\"t\":1}");
    assert_string_equal(member(&restored, "properties.desired.a"), "1");
    assert_string_equal(member(&restored, "properties.desired.b"), "{\"c\":2}");
    assert_null(member(&restored, "properties.desired.n"));
    assert_string_equal(member(&restored, "properties.desired.$version"), "4");
    assert_int_equal(heard.desired_count, 1);
    assert_int_equal(heard.version, 4);
    assert_non_null(strstr(heard.payload, "\"n\":null"));
    assert_non_null(strstr(heard.payload, "\"a\":1"));
    struct answer list = ask("GET", HISTORY "d?limit=1", NULL, NULL);
    check_item(&list, 0, "4", "revert", "both");
    service_disconnect(world.service, &session.identity, session.number);
}

static void only_so_many_are_kept_and_none_if_none_are_wanted(void **state UNUSED)
{
    make_device("d");
    world.options.limits.history_entries = 2;
    world_reopen_service();
    for (int i = 0; i < 3; i++)
        patch("/twins/d?" V, "{\"tags\":{\"t\":1}}");
    struct answer list = ask("GET", HISTORY "d", NULL, NULL);
    assert_int_equal(count_items(&list), 2);
    check_item(&list, 0, "4", "patch", "tags");
    assert_int_equal(ask("GET", HISTORY "d?id=1", NULL, NULL).status, 404);
    world.options.limits.history_entries = 0;
    world_reopen_service();
    patch("/twins/d?" V, "{\"tags\":{\"t\":1}}");
    list = ask("GET", HISTORY "d", NULL, NULL);
    check_item(&list, 0, "4", "patch", "tags");
    world.options.limits.history_entries = service_limits_default.history_entries;
    world_reopen_service();
}

static void old_documents_go_but_the_newest_stays(void **state UNUSED)
{
    make_device("d");
    patch("/twins/d?" V, "{\"tags\":{\"t\":1}}");
    world_advance(366 * 86400);
    patch("/twins/d?" V, "{\"tags\":{\"t\":2}}");
    service_tick(world.service);
    struct answer list =
        ask("PATCH", "/twins/d?" V, "{\"tags\":{\"t\":3}}", NULL); /* comes behind */
    list = ask("GET", HISTORY "d", NULL, NULL);
    assert_int_equal(count_items(&list), 2);
    check_item(&list, 1, "3", "patch", "tags");
    world_advance(366 * 86400);
    service_tick(world.service);
    patch("/twins/d?" V, "{}");
    list = ask("GET", HISTORY "d", NULL, NULL);
    assert_int_equal(count_items(&list), 1);
    check_item(&list, 0, "4", "patch", "tags");
}

static void a_number_names_the_module_first_and_then_the_document(void **state UNUSED)
{
    make_device("d");
    make_device("e");
    make_module("d", "1");
    struct answer module = ask("GET", HISTORY "d/1", NULL, NULL);
    assert_non_null(json_find_text(module.json, "items"));
    struct answer document = ask("GET", HISTORY "e/1", NULL, NULL);
    assert_string_equal(member(&document, "desired"), "{}");
    document = ask("GET", HISTORY "d?id=1", NULL, NULL);
    assert_string_equal(member(&document, "desired"), "{}");
}

static void what_is_not_there_or_not_allowed_is_refused(void **state UNUSED)
{
    static const struct {
        const char *method;
        const char *target;
        int status;
        const char *error;
    } rows[] = {
        {"GET", HISTORY "none", 404, "DeviceNotFound"},
        {"GET", HISTORY "d/none", 404, "ModuleNotFound"},
        {"GET", HISTORY "none/1", 404, "DeviceNotFound"},
        {"GET", HISTORY "d/m/9", 404, "GenericNotFound"},
        {"GET", HISTORY "d/9", 404, "GenericNotFound"},
        {"GET", HISTORY "d/m/x", 400, "ArgumentInvalid"},
        {"GET", HISTORY "d/m/0", 400, "ArgumentInvalid"},
        {"GET", HISTORY "d?before=x", 400, "ArgumentInvalid"},
        {"GET", HISTORY "d?limit=1001", 400, "ArgumentInvalid"},
        {"POST", HISTORY "d/m/9/restore", 404, "GenericNotFound"},
        {"POST", HISTORY "d/x/restore", 400, "ArgumentInvalid"},
        {"POST", HISTORY "none/1/restore", 404, "DeviceNotFound"},
        {"GET", HISTORY "d/m/1/restore", 405, "GenericMethodNotAllowed"},
    };
    make_device("d");
    make_module("d", "m");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct answer answer = ask(rows[i].method, rows[i].target, NULL, NULL);
        if (answer.status != rows[i].status)
            fail_msg("%s: %d %s", rows[i].target, answer.status, answer.body);
        assert_string_equal(answer.error, rows[i].error);
    }
    static const char *const policies[] = {"read", "write", "device"};
    for (size_t i = 0; i < COUNT_OF(policies); i++) {
        const char *authorization = token(policies[i], HUB_KEY);
        assert_int_equal(
            ask_with(authorization, "hub.local", "GET", HISTORY "d", NULL, NULL).status, 401);
        assert_int_equal(
            ask_with(authorization, "hub.local", "POST", HISTORY "d/1/restore", NULL, NULL).status,
            401);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_open, world_close)
        TEST(every_service_side_change_is_kept_with_its_author),
        TEST(what_a_device_reports_is_not_history),
        TEST(pages_go_on_where_the_one_before_ended),
        TEST(a_restore_replaces_notifies_and_is_history_itself),
        TEST(only_so_many_are_kept_and_none_if_none_are_wanted),
        TEST(old_documents_go_but_the_newest_stays),
        TEST(a_number_names_the_module_first_and_then_the_document),
        TEST(what_is_not_there_or_not_allowed_is_refused),
    };
    return cmocka_run_group_tests_name("service history", tests, NULL, NULL);
}
