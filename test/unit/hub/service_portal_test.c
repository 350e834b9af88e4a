/* SPDX-License-Identifier: Apache-2.0 */
/* Accounts, hubs and policies as an administrator keeps them in the portal. */
#include "service_harness.h"

#define ACCOUNTS "/gemel/v1/accounts"
#define HUB "/gemel/v1/hubs/h1"

static struct browser admin;

static int open_with_administrator(void **state)
{
    int opened = world_open(state);
    make_administrator();
    admin = sign_in("admin", "se:cret");
    return opened;
}

/* ---- accounts -------------------------------------------------------------------------------- */

static void an_account_is_made_used_reset_and_deleted(void **state UNUSED)
{
    struct answer made = browse(&admin, "POST", ACCOUNTS,
        "{\"user\":\"eva@example\",\"roles\":[{\"hub\":\"H1\",\"role\":\"operator\"},"
        "{\"hub\":\"*\",\"role\":\"reader\"}]}");
    assert_int_equal(made.status, 201);
    const char *password = member(&made, "password");
    assert_int_equal(strlen(password), 24);
    struct answer list = browse(&admin, "GET", ACCOUNTS, NULL);
    assert_string_equal(member(&list, "1.user"), "eva@example");
    assert_string_equal(member(&list, "1.roles"),
        "[{\"hub\":\"*\",\"role\":\"reader\"},{\"hub\":\"h1\",\"role\":\"operator\"}]");
    assert_string_equal(member(&list, "1.mustChange"), "true");
    assert_null(strstr(list.body, "argon2"));
    struct browser eva = sign_in("eva@example", password);
    assert_int_equal(
        browse(&eva, "PUT", "/gemel/v1/session/password",
            arena_format(&world.arena, "{\"old\":\"%s\",\"new\":\"correct horse\"}", password))
            .status,
        204);
    struct answer session = browse(&eva, "GET", "/gemel/v1/session", NULL);
    assert_string_equal(member(&session, "role"), "reader");
    assert_string_equal(member(&session, "hubs.0.role"), "operator");
    struct answer reset = browse(&admin, "POST", ACCOUNTS "/eva@example/reset", NULL);
    assert_int_equal(reset.status, 200);
    assert_string_not_equal(member(&reset, "password"), password);
    assert_int_equal(browse(&eva, "GET", "/gemel/v1/session", NULL).status, 401);
    assert_int_equal(try_sign_in("eva@example", "correct horse", NULL).status, 401);
    eva = sign_in("eva@example", member(&reset, "password"));
    assert_int_equal(browse(&admin, "DELETE", ACCOUNTS "/eva@example", NULL).status, 204);
    assert_int_equal(browse(&eva, "GET", "/gemel/v1/session", NULL).status, 401);
    assert_int_equal(browse(&admin, "DELETE", ACCOUNTS "/eva@example", NULL).status, 404);
}

static void an_account_that_cannot_be_is_refused(void **state UNUSED)
{
    static const struct {
        const char *body;
        int status;
    } rows[] = {
        {"{\"user\":\"admin\",\"roles\":[]}", 409},
        {"{\"user\":\"\",\"roles\":[]}", 400},
        {"{\"user\":\"a:b\",\"roles\":[]}", 400},
        {"{\"user\":\"<b>\",\"roles\":[]}", 400},
        {"{\"user\":\"x\"}", 400},
        {"{\"user\":\"x\",\"roles\":{}}", 400},
        {"{\"user\":\"x\",\"roles\":[{\"hub\":\"none\",\"role\":\"reader\"}]}", 400},
        {"{\"user\":\"x\",\"roles\":[{\"hub\":\"h1\",\"role\":\"god\"}]}", 400},
        {"{\"user\":\"x\",\"roles\":[{\"hub\":\"h1\"}]}", 400},
        {"{\"user\":\"x\",\"roles\":[{\"hub\":\"h1\",\"role\":\"reader\"},"
         "{\"hub\":\"H1\",\"role\":\"operator\"}]}",
            400},
        {"{\"user\":\"x\",\"roles\":[5]}", 400},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct answer answer = browse(&admin, "POST", ACCOUNTS, rows[i].body);
        if (answer.status != rows[i].status)
            fail_msg("%s: %d %s", rows[i].body, answer.status, answer.body);
    }
    world.options.limits.access.accounts = 1;
    world_reopen_service();
    assert_int_equal(browse(&admin, "POST", ACCOUNTS, "{\"user\":\"x\",\"roles\":[]}").status, 403);
}

static void the_last_administrator_stays(void **state UNUSED)
{
    static const struct grant operator[] = {{GRANT_EVERY_HUB, ROLE_OPERATOR}};
    static const struct grant everything[] = {{GRANT_EVERY_HUB, ROLE_ADMINISTRATOR}};
    static const char *const changes[] = {"{\"roles\":[]}", "{\"disabled\":true}",
        "{\"roles\":[{\"hub\":\"*\",\"role\":\"operator\"}]}",
        "{\"roles\":[{\"hub\":\"h1\",\"role\":\"administrator\"}]}"};
    make_account("operator", "se:cret", operator, 1);
    for (size_t i = 0; i < COUNT_OF(changes); i++)
        assert_int_equal(browse(&admin, "PUT", ACCOUNTS "/admin", changes[i]).status, 409);
    assert_int_equal(browse(&admin, "DELETE", ACCOUNTS "/admin", NULL).status, 409);
    assert_int_equal(browse(&admin, "PUT", ACCOUNTS "/admin", "{\"disabled\":false}").status, 200);
    make_account("second", "se:cret", everything, 1);
    assert_int_equal(browse(&admin, "PUT", ACCOUNTS "/second", "{\"disabled\":true}").status, 200);
    assert_int_equal(browse(&admin, "DELETE", ACCOUNTS "/admin", NULL).status, 409);
    assert_int_equal(browse(&admin, "PUT", ACCOUNTS "/second", "{\"disabled\":false}").status, 200);
    assert_int_equal(browse(&admin, "DELETE", ACCOUNTS "/admin", NULL).status, 204);
    assert_int_equal(browse(&admin, "GET", ACCOUNTS, NULL).status, 401);
}

/* ---- hubs ------------------------------------------------------------------------------------ */

static void hubs_are_listed_for_whom_they_are(void **state UNUSED)
{
    struct grant grant = {world.hub_id, ROLE_OPERATOR};
    make_account("op", "se:cret", &grant, 1);
    assert_int_equal(browse(&admin, "POST", "/gemel/v1/hubs",
                         "{\"name\":\"Plant-2\",\"hostName\":\"two.local\"}")
                         .status,
        201);
    make_device("d");
    struct answer all = browse(&admin, "GET", "/gemel/v1/hubs", NULL);
    assert_int_equal(all.json->count, 2);
    assert_string_equal(member(&all, "0.devices"), "1");
    assert_string_equal(member(&all, "0.connected"), "0");
    assert_string_equal(member(&all, "1.role"), "administrator");
    struct browser op = sign_in("op", "se:cret");
    struct answer own = browse(&op, "GET", "/gemel/v1/hubs", NULL);
    assert_int_equal(own.json->count, 1);
    assert_string_equal(member(&own, "0.role"), "operator");
    assert_int_equal(browse(&admin, "GET", "/gemel/v1/hubs?search=PLANT", NULL).json->count, 1);
    assert_int_equal(browse(&admin, "GET", "/gemel/v1/hubs?search=two.l", NULL).json->count, 1);
    assert_int_equal(browse(&admin, "GET", "/gemel/v1/hubs?search=none", NULL).json->count, 0);
}

static void an_overview_counts_what_there_is(void **state UNUSED)
{
    struct heard heard;
    make_device("d");
    make_module("d", "m");
    struct session session = connect_device("d", &heard);
    assert_int_equal(send_event(&session, "", SPAN_LIT("x")), ERR_NONE);
    assert_int_equal(send_event(&session, "", SPAN_LIT("y")), ERR_NONE);
    struct answer now = browse(&admin, "GET", HUB "/overview", NULL);
    assert_string_equal(member(&now, "hostName"), "hub.local");
    assert_string_equal(member(&now, "devices"), "1");
    assert_string_equal(member(&now, "enabledDevices"), "1");
    assert_string_equal(member(&now, "connectedDevices"), "1");
    assert_string_equal(member(&now, "modules"), "{\"success\":0,\"failed\":0,\"none\":1}");
    assert_int_equal(json_find_text(now.json, "eventsPerMinute")->count, 60);
    assert_string_equal(member(&now, "eventsPerMinute.59"), "0"); /* the minute is not over */
    assert_string_equal(member(&now, "mqttPort"), "8883");
    world_advance(60);
    struct answer later = browse(&admin, "GET", HUB "/overview", NULL);
    assert_string_equal(member(&later, "eventsPerMinute.59"), "2");
    world_advance(59 * 60);
    later = browse(&admin, "GET", HUB "/overview", NULL);
    assert_string_equal(member(&later, "eventsPerMinute.0"), "2");
    service_disconnect(world.service, &session.identity, session.number);
}

/* ---- policies -------------------------------------------------------------------------------- */

static void a_policys_key_is_shown_and_made_anew(void **state UNUSED)
{
    struct answer list = browse(&admin, "GET", HUB "/policies", NULL);
    assert_int_equal(list.json->count, 5);
    assert_string_equal(member(&list, "1.name"), "read");
    assert_string_equal(member(&list, "1.rights"), "[\"RegistryRead\"]");
    assert_null(strstr(list.body, HUB_KEY));
    struct answer keys = browse(&admin, "GET", HUB "/policies/read/keys", NULL);
    assert_string_equal(member(&keys, "primaryKey"), HUB_KEY);
    assert_string_equal(member(&keys, "secondaryConnectionString"),
        "HostName=hub.local;SharedAccessKeyName=read;SharedAccessKey=" OTHER_KEY);
    const char *old = token("read", HUB_KEY);
    const char *other = token("read", OTHER_KEY);
    assert_int_equal(ask_with(old, "hub.local", "GET", "/devices?" V, NULL, NULL).status, 200);
    struct answer fresh =
        browse(&admin, "POST", HUB "/policies/read/regenerate", "{\"key\":\"primary\"}");
    assert_int_equal(fresh.status, 200);
    assert_string_not_equal(member(&fresh, "primaryKey"), HUB_KEY);
    assert_string_equal(member(&fresh, "secondaryKey"), OTHER_KEY);
    assert_int_equal(ask_with(old, "hub.local", "GET", "/devices?" V, NULL, NULL).status, 401);
    assert_int_equal(ask_with(other, "hub.local", "GET", "/devices?" V, NULL, NULL).status, 200);
    const char *anew = token("read", member(&fresh, "primaryKey"));
    assert_int_equal(ask_with(anew, "hub.local", "GET", "/devices?" V, NULL, NULL).status, 200);
    world_reopen_service();
    assert_int_equal(ask_with(anew, "hub.local", "GET", "/devices?" V, NULL, NULL).status, 200);
    assert_int_equal(
        browse(&admin, "POST", HUB "/policies/read/regenerate", "{\"key\":\"third\"}").status, 400);
    assert_int_equal(browse(&admin, "GET", HUB "/policies/none/keys", NULL).status, 404);
}

static void sessions_of_the_old_key_end_and_others_stay(void **state UNUSED)
{
    struct heard by_primary;
    struct heard by_secondary;
    struct heard by_own;
    make_device("d1");
    make_device("d2");
    make_device("d3");
    heard_init(&by_primary);
    heard_init(&by_secondary);
    int64_t expires = START_US / 1000000 + 600;
    struct session first = connect_as(
        "d1", NULL, token_of("hub.local", "d1", NULL, "device", HUB_KEY, expires), &by_primary);
    struct session second = connect_as(
        "d2", NULL, token_of("hub.local", "d2", NULL, "device", OTHER_KEY, expires), &by_secondary);
    struct session third = connect_device("d3", &by_own); /* its own key is the same text */
    assert_int_equal(first.err, ERR_NONE);
    assert_int_equal(second.err, ERR_NONE);
    assert_int_equal(
        browse(&admin, "POST", HUB "/policies/device/regenerate", "{\"key\":\"primary\"}").status,
        200);
    assert_int_equal(by_primary.end_count, 1);
    assert_int_equal(by_primary.reason, SESSION_KEYS_CHANGED);
    assert_int_equal(by_secondary.end_count, 0);
    assert_int_equal(by_own.end_count, 0);
    service_disconnect(world.service, &first.identity, first.number);
    service_disconnect(world.service, &second.identity, second.number);
    service_disconnect(world.service, &third.identity, third.number);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_with_administrator, world_close)
        TEST(an_account_is_made_used_reset_and_deleted),
        TEST(an_account_that_cannot_be_is_refused),
        TEST(the_last_administrator_stays),
        TEST(hubs_are_listed_for_whom_they_are),
        TEST(an_overview_counts_what_there_is),
        TEST(a_policys_key_is_shown_and_made_anew),
        TEST(sessions_of_the_old_key_end_and_others_stay),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
