/* SPDX-License-Identifier: Apache-2.0 */
#include "service_harness.h"

#include "base64.h"

static const char *basic(const char *credentials)
{
    struct buf out = BUF_EMPTY;
    buf_add_text(&out, "Basic ");
    base64_write(span_of(credentials), &out);
    const char *text = arena_text(&world.arena, buf_span(&out));
    buf_done(&out);
    return text;
}

static struct answer ask_admin(const char *method, const char *target, const char *body)
{
    return ask_with(basic("admin:se:cret"), "any.host", method, target, body, NULL);
}

static void only_an_administrator_manages_hubs(void **state UNUSED)
{
    static const struct {
        const char *credentials;
        int status;
        const char *error;
    } rows[] = {
        {"admin:se:cret", 200, NULL},
        {"admin:secret", 401, "IotHubUnauthorized"},
        {"admin:", 401, "IotHubUnauthorized"},
        {"admin", 401, "IotHubUnauthorized"},
        {"nobody:se:cret", 401, "IotHubUnauthorized"},
        {":", 401, "IotHubUnauthorized"},
        {"reader:abc", 401, "IotHubUnauthorizedAccess"},
    };
    make_administrator();
    make_account("reader", "abc", &(struct grant){GRANT_EVERY_HUB, ROLE_READER}, 1);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct answer answer =
            ask_with(basic(rows[i].credentials), "any.host", "GET", "/gemel/v1/hubs", NULL, NULL);
        assert_int_equal(answer.status, rows[i].status);
        if (rows[i].error != NULL)
            assert_string_equal(answer.error, rows[i].error);
        if (rows[i].status == 401 && i < 6)
            assert_string_equal(answer.challenge, "Basic realm=\"gemel\"");
    }
    assert_int_equal(ask("GET", "/gemel/v1/hubs", NULL, NULL).status, 401); /* a token is not it */
    struct answer bad = ask_with("Basic !!!", "any.host", "GET", "/gemel/v1/hubs", NULL, NULL);
    assert_int_equal(bad.status, 401);
}

static void a_hub_is_made_used_and_deleted(void **state UNUSED)
{
    make_administrator();
    struct answer made = ask_admin("POST", "/gemel/v1/hubs",
        "{\"name\":\"Second\",\"hostNames\":[\"Second.Local:443\",\"alias.local\"]}");
    assert_int_equal(made.status, 201);
    assert_string_equal(member(&made, "name"), "Second");
    assert_string_equal(member(&made, "hostName"), "second.local");
    assert_string_equal(member(&made, "createdTime"), START_TEXT);
    assert_string_equal(member(&made, "policies.0.name"), "iothubowner");
    assert_string_equal(member(&made, "policies.0.rights"),
        "[\"RegistryRead\",\"RegistryWrite\",\"ServiceConnect\",\"DeviceConnect\"]");
    const char *key = member(&made, "policies.0.primaryKey");
    assert_string_equal(member(&made, "policies.0.connectionString"),
        arena_format(&world.arena,
            "HostName=second.local;SharedAccessKeyName=iothubowner;SharedAccessKey=%s", key));
    const char *sas =
        token_of("second.local", NULL, NULL, "iothubowner", key, START_US / 1000000 + 60);
    assert_int_equal(ask_with(sas, "alias.local", "PUT", "/devices/d1?" V, "{}", NULL).status, 200);
    assert_int_equal(ask("GET", "/devices/d1?" V, NULL, NULL).status, 404); /* not in the first */
    assert_int_equal(ask_with(sas, "hub.local", "GET", "/devices/d1?" V, NULL, NULL).status, 401);
    struct answer list = ask_admin("GET", "/gemel/v1/hubs", NULL);
    assert_int_equal(list.json->count, 2);
    assert_null(strstr(list.body, "Key"));
    assert_string_equal(ask_admin("GET", "/gemel/v1/hubs/second", NULL).body, made.body);
    assert_int_equal(ask_admin("DELETE", "/gemel/v1/hubs/second", NULL).status, 204);
    assert_int_equal(ask_admin("GET", "/gemel/v1/hubs/second", NULL).status, 404);
    assert_int_equal(ask_admin("DELETE", "/gemel/v1/hubs/second", NULL).status, 404);
    assert_int_equal(
        ask_with(sas, "second.local", "GET", "/devices/d1?" V, NULL, NULL).status, 404);
}

static void a_hub_that_cannot_be_is_refused(void **state UNUSED)
{
    static const struct {
        const char *body;
        int status;
    } rows[] = {
        {"{\"name\":\"h2\"}", 400},
        {"{\"hostName\":\"x.local\"}", 400},
        {"{\"name\":\"-h\",\"hostName\":\"x.local\"}", 400},
        {"{\"name\":\"h2\",\"hostName\":\"no host\"}", 400},
        {"{\"name\":\"h2\",\"hostNames\":[]}", 400},
        {"{\"name\":\"h2\",\"hostNames\":\"x.local\"}", 400},
        {"{\"name\":\"h2\",\"hostNames\":[5]}", 400},
        {"[]", 400},
        {"{\"name\":\"h1\",\"hostName\":\"x.local\"}", 409},
        {"{\"name\":\"h2\",\"hostName\":\"HUB.local\"}", 409},
    };
    make_administrator();
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct answer answer = ask_admin("POST", "/gemel/v1/hubs", rows[i].body);
        if (answer.status != rows[i].status)
            fail_msg("%s: %s", rows[i].body, answer.body);
    }
    assert_int_equal(ask_admin("GET", "/gemel/v1/hubs", NULL).json->count, 1);
}

static void deleting_a_hub_ends_its_sessions(void **state UNUSED)
{
    struct heard heard;
    make_administrator();
    make_device("d1");
    struct session session = connect_device("d1", &heard);
    assert_int_equal(ask_admin("DELETE", "/gemel/v1/hubs/h1", NULL).status, 204);
    assert_int_equal(heard.end_count, 1);
    assert_int_equal(send_event(&session, "", SPAN_LIT("x")) == ERR_NONE, false);
    service_disconnect(world.service, &session.identity, session.number);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            only_an_administrator_manages_hubs, world_open, world_close),
        cmocka_unit_test_setup_teardown(a_hub_is_made_used_and_deleted, world_open, world_close),
        cmocka_unit_test_setup_teardown(a_hub_that_cannot_be_is_refused, world_open, world_close),
        cmocka_unit_test_setup_teardown(deleting_a_hub_ends_its_sessions, world_open, world_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
