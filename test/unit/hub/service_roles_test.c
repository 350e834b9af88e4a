/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What each role may, operation by operation. Every row of operations.def must stand here with the
 * decision that was made for it: one that is new and not decided fails the test.
 */
#include "service_harness.h"
#include "service_priv.h"

/* Who needs to be what: N nobody signed in, S signed in with a one-time password, A any account,
 * R reader, O operator, D administrator of the hub, W administrator of the whole server; '-' not
 * reached by accounts at all. */
struct decision {
    const char *method;
    const char *path; /* of the row */
    char needs;
    const char *target; /* as an account asks for it; NULL: it does not */
    const char *body;
};

#define HUB "/gemel/v1/hubs/h1"
#define AZURE HUB "/iothub"
#define EMPTY "{}"
#define METHOD "{\"methodName\":\"m\"}"

static const struct decision decisions[] = {
    {"GET", "/devices", 'R', AZURE "/devices", NULL},
    {"POST", "/devices", 'O', AZURE "/devices", "[]"},
    {"POST", "/devices/query", 'R', AZURE "/devices/query",
        "{\"query\":\"SELECT * FROM devices\"}"},
    {"GET", "/devices/{}", 'R', AZURE "/devices/d", NULL},
    {"PUT", "/devices/{}", 'O', AZURE "/devices/d", EMPTY},
    {"DELETE", "/devices/{}", 'O', AZURE "/devices/d", NULL},
    {"POST", "/devices/keys/regenerate", 'O', AZURE "/devices/keys/regenerate",
        "{\"policyKey\":\"both\",\"devices\":[{\"id\":\"d\"}]}"},
    {"GET", "/devices/{}/modules", 'R', AZURE "/devices/d/modules", NULL},
    {"GET", "/devices/{}/modules/{}", 'R', AZURE "/devices/d/modules/m", NULL},
    {"PUT", "/devices/{}/modules/{}", 'O', AZURE "/devices/d/modules/m", EMPTY},
    {"DELETE", "/devices/{}/modules/{}", 'O', AZURE "/devices/d/modules/m", NULL},
    {"GET", "/statistics/devices", 'R', AZURE "/statistics/devices", NULL},
    {"GET", "/statistics/service", 'R', AZURE "/statistics/service", NULL},
    {"GET", "/configurations", 'R', AZURE "/configurations", NULL},
    {"POST", "/configurations/testQueries", 'R', AZURE "/configurations/testQueries", EMPTY},
    {"GET", "/configurations/{}", 'R', AZURE "/configurations/c", NULL},
    {"PUT", "/configurations/{}", 'O', AZURE "/configurations/c", EMPTY},
    {"DELETE", "/configurations/{}", 'O', AZURE "/configurations/c", NULL},
    {"POST", "/devices/{}/applyConfigurationContent", 'O',
        AZURE "/devices/d/applyConfigurationContent",
        "{\"deviceContent\":{\"properties.desired.a\":1}}"},
    {"GET", "/jobs/v2/query", 'R', AZURE "/jobs/v2/query", NULL},
    {"PUT", "/jobs/v2/{}", 'O', AZURE "/jobs/v2/j", EMPTY},
    {"GET", "/jobs/v2/{}", 'R', AZURE "/jobs/v2/j", NULL},
    {"POST", "/jobs/v2/{}/cancel", 'O', AZURE "/jobs/v2/j/cancel", NULL},
    {"GET", "/twins/{}", 'R', AZURE "/twins/d", NULL},
    {"PATCH", "/twins/{}", 'O', AZURE "/twins/d", EMPTY},
    {"PUT", "/twins/{}", 'O', AZURE "/twins/d", EMPTY},
    {"GET", "/twins/{}/modules/{}", 'R', AZURE "/twins/d/modules/m", NULL},
    {"PATCH", "/twins/{}/modules/{}", 'O', AZURE "/twins/d/modules/m", EMPTY},
    {"PUT", "/twins/{}/modules/{}", 'O', AZURE "/twins/d/modules/m", EMPTY},
    {"GET", "/healthz", 'N', "/healthz", NULL},
    {"GET", "/readyz", 'N', "/readyz", NULL},
    {"GET", "/metrics", 'W', "/metrics", NULL},
    {"GET", "/digitaltwins/{}", 'R', AZURE "/digitaltwins/d", NULL},
    {"PATCH", "/digitaltwins/{}", 'O', AZURE "/digitaltwins/d", NULL},
    {"POST", "/digitaltwins/{}/commands/{}", 'O', AZURE "/digitaltwins/d/commands/c", NULL},
    {"POST", "/digitaltwins/{}/components/{}/commands/{}", 'O',
        AZURE "/digitaltwins/d/components/p/commands/c", NULL},
    {"POST", "/jobs/create", 'O', AZURE "/jobs/create", NULL},
    {"GET", "/jobs", 'R', AZURE "/jobs", NULL},
    {"GET", "/jobs/{}", 'R', AZURE "/jobs/j", NULL},
    {"DELETE", "/jobs/{}", 'O', AZURE "/jobs/j", NULL},
    {"POST", "/devices/{}/files", '-', NULL, NULL},
    {"POST", "/devices/{}/files/notifications", '-', NULL, NULL},
    {"POST", "/devices/{}/files/notifications/{}", '-', NULL, NULL},
    {"POST", "/devices/{}/modules/{}/devicesAndModulesInDeviceScope", '-', NULL, NULL},
    {"POST", "/devices/{}/modules/{}/deviceAndModuleInDeviceScope", '-', NULL, NULL},
    {"GET", "/gemel/v1/about", '-', HUB "/about", NULL},
    {"GET", "/gemel/v1/events", 'R', HUB "/events", NULL},
    {"GET", "/gemel/v1/events/stream", 'R', HUB "/events/stream", NULL},
    {"GET", "/gemel/v1/identities", 'O', HUB "/identities", NULL},
    {"GET", "/gemel/v1/twin-history/{}", 'R', HUB "/twin-history/d", NULL},
    {"GET", "/gemel/v1/twin-history/{}/{}", 'R', HUB "/twin-history/d/m", NULL},
    {"GET", "/gemel/v1/twin-history/{}/{}/{}", 'R', HUB "/twin-history/d/m/1", NULL},
    {"POST", "/gemel/v1/twin-history/{}/{}/restore", 'O', HUB "/twin-history/d/1/restore", NULL},
    {"POST", "/gemel/v1/twin-history/{}/{}/{}/restore", 'O', HUB "/twin-history/d/m/1/restore",
        NULL},
    {"GET", "/gemel/v1/twin-watch/{}", 'R', HUB "/twin-watch/d", NULL},
    {"GET", "/gemel/v1/twin-watch/{}/{}", 'R', HUB "/twin-watch/d/m", NULL},
    {"GET", "/gemel/v1/device-table", 'R', HUB "/device-table", NULL},
    {"GET", "/gemel/v1/certificates", 'D', HUB "/certificates", NULL},
    {"GET", "/gemel/v1/certificates/{}", 'D', HUB "/certificates/c", NULL},
    {"PUT", "/gemel/v1/certificates/{}", 'D', HUB "/certificates/c", EMPTY},
    {"DELETE", "/gemel/v1/certificates/{}", 'D', HUB "/certificates/c", NULL},
    {"POST", "/enrollments", 'D', AZURE "/enrollments", "{\"mode\":\"delete\",\"enrollments\":[]}"},
    {"POST", "/enrollmentGroups", 'D', AZURE "/enrollmentGroups",
        "{\"mode\":\"delete\",\"enrollmentGroups\":[]}"},
    {"POST", "/enrollments/query", 'D', AZURE "/enrollments/query", EMPTY},
    {"GET", "/enrollments/{}", 'D', AZURE "/enrollments/e", NULL},
    {"PUT", "/enrollments/{}", 'D', AZURE "/enrollments/e",
        "{\"attestation\":{\"type\":\"symmetricKey\"}}"},
    {"DELETE", "/enrollments/{}", 'D', AZURE "/enrollments/e", NULL},
    {"POST", "/enrollments/{}/attestationmechanism", 'D',
        AZURE "/enrollments/e/attestationmechanism", NULL},
    {"POST", "/enrollmentGroups/query", 'D', AZURE "/enrollmentGroups/query", EMPTY},
    {"GET", "/enrollmentGroups/{}", 'D', AZURE "/enrollmentGroups/e", NULL},
    {"PUT", "/enrollmentGroups/{}", 'D', AZURE "/enrollmentGroups/e",
        "{\"attestation\":{\"type\":\"symmetricKey\"}}"},
    {"DELETE", "/enrollmentGroups/{}", 'D', AZURE "/enrollmentGroups/e", NULL},
    {"POST", "/enrollmentGroups/{}/attestationmechanism", 'D',
        AZURE "/enrollmentGroups/e/attestationmechanism", NULL},
    {"GET", "/registrations/{}", 'D', AZURE "/registrations/r", NULL},
    {"DELETE", "/registrations/{}", 'D', AZURE "/registrations/r", NULL},
    {"POST", "/registrations/{}/query", 'D', AZURE "/registrations/g/query", EMPTY},
    {"PUT", "/{}/registrations/{}/register", '-', AZURE "/0ne/registrations/r/register", NULL},
    {"GET", "/{}/registrations/{}/operations/{}", '-', AZURE "/0ne/registrations/r/operations/o",
        NULL},
    {"POST", "/{}/registrations/{}", '-', AZURE "/0ne/registrations/r", NULL},
    {"CONNECT", "/{}/registrations/{}", '-', AZURE "/0ne/registrations/r", NULL},
    {"GET", "/gemel/v1/settings/schema", 'A', "/gemel/v1/settings/schema", NULL},
    {"POST", "/gemel/v1/settings/check", 'A', "/gemel/v1/settings/check", "{\"text\":\"{}\"}"},
    {"GET", "/gemel/v1/hubs", 'A', "/gemel/v1/hubs", NULL},
    {"POST", "/twins/{}/methods", 'O', AZURE "/twins/d/methods", METHOD},
    {"POST", "/twins/{}/modules/{}/methods", 'O', AZURE "/twins/d/modules/m/methods", METHOD},
    {"DELETE", "/devices/{}/commands", 'O', AZURE "/devices/d/commands", NULL},
    {"DELETE", "/devices/{}/modules/{}/commands", 'O', AZURE "/devices/d/modules/m/commands", NULL},
    {"POST", "/gemel/v1/devices/{}/messages/deviceBound", 'O',
        HUB "/devices/d/messages/deviceBound", EMPTY},
    {"POST", "/gemel/v1/devices/{}/modules/{}/messages/deviceBound", 'O',
        HUB "/devices/d/modules/m/messages/deviceBound", EMPTY},
    {"GET", "/gemel/v1/feedback", 'R', HUB "/feedback", NULL},
    {"GET", "/messages/serviceBound/feedback", 'O', AZURE "/messages/serviceBound/feedback", NULL},
    {"DELETE", "/messages/serviceBound/feedback/{}", 'O', AZURE "/messages/serviceBound/feedback/t",
        NULL},
    {"POST", "/messages/serviceBound/feedback/{}/abandon", 'O',
        AZURE "/messages/serviceBound/feedback/t/abandon", NULL},
    {"POST", "/devices/{}/messages/events", '-', AZURE "/devices/d/messages/events", EMPTY},
    {"POST", "/devices/{}/modules/{}/messages/events", '-',
        AZURE "/devices/d/modules/m/messages/events", EMPTY},
    {"GET", "/devices/{}/messages/deviceBound", '-', AZURE "/devices/d/messages/deviceBound", NULL},
    {"DELETE", "/devices/{}/messages/deviceBound/{}", '-',
        AZURE "/devices/d/messages/deviceBound/t", NULL},
    {"POST", "/devices/{}/messages/deviceBound/{}/abandon", '-',
        AZURE "/devices/d/messages/deviceBound/t/abandon", NULL},
    {"POST", "/gemel/v1/hubs", 'W', "/gemel/v1/hubs", EMPTY},
    {"GET", "/gemel/v1/hubs/{}", 'W', HUB, NULL},
    {"DELETE", "/gemel/v1/hubs/{}", 'W', "/gemel/v1/hubs/none", NULL},
    {"POST", "/gemel/v1/session", 'N', "/gemel/v1/session", EMPTY},
    {"GET", "/gemel/v1/session", 'S', "/gemel/v1/session", NULL},
    {"DELETE", "/gemel/v1/session", 'S', "/gemel/v1/session", NULL},
    {"PUT", "/gemel/v1/session/password", 'S', "/gemel/v1/session/password", EMPTY},
    {"GET", "/gemel/v1/hubs/{}/overview", 'R', HUB "/overview", NULL},
    {"GET", "/gemel/v1/hubs/{}/policies", 'R', HUB "/policies", NULL},
    {"GET", "/gemel/v1/hubs/{}/policies/{}/keys", 'D', HUB "/policies/read/keys", NULL},
    {"POST", "/gemel/v1/hubs/{}/policies/{}/regenerate", 'D', HUB "/policies/read/regenerate",
        "{\"key\":\"primary\"}"},
    {"GET", "/gemel/v1/accounts", 'W', "/gemel/v1/accounts", NULL},
    {"POST", "/gemel/v1/accounts", 'W', "/gemel/v1/accounts", EMPTY},
    {"PUT", "/gemel/v1/accounts/{}", 'W', "/gemel/v1/accounts/none", EMPTY},
    {"DELETE", "/gemel/v1/accounts/{}", 'W', "/gemel/v1/accounts/none", NULL},
    {"POST", "/gemel/v1/accounts/{}/reset", 'W', "/gemel/v1/accounts/none/reset", NULL},
    {"GET", "/gemel/v1/audit", 'W', "/gemel/v1/audit", NULL},
    {"GET", "/gemel/v1/audit/export", 'W', "/gemel/v1/audit/export", NULL},
};

static const struct decision *decision_on(const struct operation *operation)
{
    for (size_t i = 0; i < COUNT_OF(decisions); i++)
        if (strcmp(decisions[i].method, operation->method) == 0 &&
            strcmp(decisions[i].path, operation->path) == 0)
            return &decisions[i];
    return NULL;
}

static void every_operation_has_a_decision(void **state UNUSED)
{
    for (size_t i = 0; i < rest_operation_count; i++)
        if (decision_on(&rest_operations[i]) == NULL)
            fail_msg(
                "nobody decided who may %s %s", rest_operations[i].method, rest_operations[i].path);
    assert_int_equal(rest_operation_count, COUNT_OF(decisions));
}

static void every_operation_that_writes_has_a_word_for_the_audit_log(void **state UNUSED)
{
    for (size_t i = 0; i < rest_operation_count; i++)
        assert_int_equal(
            rest_operations[i].access == ACCESS_WRITE, rest_operations[i].action[0] != '\0');
}

struct person {
    const char *user;   /* NULL: nobody */
    const char *may;    /* the letters of what is open to it */
    int refusal;        /* the status where a hub is asked for */
    int server_refusal; /* and where none is */
};

/* "else" has a role, but for another hub: of this one it is not told that it exists. */
static const struct person people[] = {
    {NULL, "N", 401, 401},
    {"one-time", "NS", 403, 403},
    {"plain", "NSA", 404, 403},
    {"else", "NSA", 404, 403},
    {"reader", "NSAR", 403, 403},
    {"operator", "NSARO", 403, 403},
    {"hub-admin", "NSAROD", 403, 403},
    {"reader-everywhere", "NSAR", 403, 403},
    {"admin", "NSARODW", 0, 0},
};

struct one_time_job {
    struct store_job job;
};

static enum err run_one_time(struct store_job *job UNUSED, struct store_txn *txn)
{
    struct account account;
    enum err err = store_account_get(txn, &world.arena, SPAN_LIT("one-time"), &account);
    account.must_change = true;
    return err == ERR_NONE ? store_account_put(txn, &account) : err;
}

static int64_t make_other_hub(void)
{
    struct browser admin = sign_in("admin", "se:cret");
    struct answer made =
        browse(&admin, "POST", "/gemel/v1/hubs", "{\"name\":\"h2\",\"hostName\":\"second.local\"}");
    assert_int_equal(made.status, 201);
    return world.hub_id + 1;
}

static void make_people(void)
{
    make_administrator();
    int64_t other = make_other_hub();
    const struct {
        const char *user;
        struct grant grant;
    } rows[] = {
        {"one-time", {GRANT_EVERY_HUB, ROLE_ADMINISTRATOR}},
        {"else", {other, ROLE_ADMINISTRATOR}},
        {"reader", {world.hub_id, ROLE_READER}},
        {"operator", {world.hub_id, ROLE_OPERATOR}},
        {"hub-admin", {world.hub_id, ROLE_ADMINISTRATOR}},
        {"reader-everywhere", {GRANT_EVERY_HUB, ROLE_READER}},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        make_account(rows[i].user, "se:cret", &rows[i].grant, 1);
    make_account("plain", "se:cret", NULL, 0);
    struct one_time_job mark = {.job = {.run = run_one_time}};
    assert_int_equal(store_run(world.store, STORE_WRITE, &mark.job), ERR_NONE);
}

static bool is_refused(const struct answer *answer)
{
    if (answer->error == NULL)
        return false;
    return answer->status == 401 || answer->status == 403 ||
           (answer->status == 404 && strcmp(answer->error, "IotHubNotFound") == 0);
}

static void check_person(const struct person *person, const struct decision *decision)
{
    struct browser browser = {0};
    if (person->user != NULL)
        browser = sign_in(person->user, "se:cret");
    struct answer answer = browse(&browser, decision->method, decision->target, decision->body);
    const char *user = person->user == NULL ? "nobody" : person->user;
    if (decision->needs == '-') {
        if (answer.status != 404)
            fail_msg("%s %s by %s: %d", decision->method, decision->target, user, answer.status);
        return;
    }
    bool allowed = strchr(person->may, decision->needs) != NULL;
    bool of_hub = strchr("ROD", decision->needs) != NULL;
    if (allowed && decision->needs == 'W' && strcmp(decision->method, "DELETE") == 0) {
        assert_int_equal(answer.status, 404); /* of what is not there */
        return;
    }
    if (is_refused(&answer) == allowed)
        fail_msg("%s %s by %s: %d %s", decision->method, decision->target, user, answer.status,
            answer.body);
    if (!allowed)
        assert_int_equal(answer.status, of_hub ? person->refusal : person->server_refusal);
}

static void nobody_may_more_than_his_role(void **state UNUSED)
{
    make_people();
    for (size_t i = 0; i < COUNT_OF(decisions); i++) {
        for (size_t k = 0; k < COUNT_OF(people); k++) {
            /* Whoever was let do it before may have deleted it. */
            ask("PUT", "/devices/d?" V, EMPTY, NULL);
            ask("PUT", "/devices/d/modules/m?" V, EMPTY, NULL);
            check_person(&people[k], &decisions[i]);
        }
    }
}

static void a_cookie_is_no_token_for_the_hubs_own_paths(void **state UNUSED)
{
    make_administrator();
    struct browser admin = sign_in("admin", "se:cret");
    for (size_t i = 0; i < rest_operation_count; i++) {
        const struct operation *operation = &rest_operations[i];
        if (operation->guard != GUARD_POLICY && operation->guard != GUARD_DPS &&
            operation->guard != GUARD_GEMEL)
            continue;
        struct answer answer = browse(
            &admin, operation->method, arena_format(&world.arena, "%s?" V, operation->path), EMPTY);
        assert_int_equal(answer.status, 401);
    }
}

static void a_reader_sees_no_keys(void **state UNUSED)
{
    static const char *const targets[] = {AZURE "/devices", AZURE "/devices/d",
        AZURE "/devices/d/modules", AZURE "/devices/d/modules/m", AZURE "/twins/d",
        AZURE "/twins/d/modules/m", HUB "/policies", HUB "/overview", HUB "/device-table",
        HUB "/twin-watch/d", "/gemel/v1/hubs"};
    make_people();
    make_device("d");
    make_module("d", "m");
    struct browser reader = sign_in("reader", "se:cret");
    struct browser operator= sign_in("operator", "se:cret");
    for (size_t i = 0; i < COUNT_OF(targets); i++) {
        struct answer answer = browse(&reader, "GET", targets[i], NULL);
        assert_int_equal(answer.status, 200);
        assert_null(strstr(answer.body, HUB_KEY));
        assert_null(strstr(answer.body, OTHER_KEY));
        assert_null(strstr(answer.body, "SharedAccessKey="));
    }
    struct answer shown = browse(&operator, "GET", AZURE "/devices/d", NULL);
    assert_string_equal(member(&shown, "authentication.symmetricKey.primaryKey"), HUB_KEY);
}

static void what_changes_between_two_requests_counts_at_once(void **state UNUSED)
{
    make_people();
    struct browser admin = sign_in("admin", "se:cret");
    struct browser operator= sign_in("operator", "se:cret");
    assert_int_equal(browse(&operator, "PUT", AZURE "/devices/x", EMPTY).status, 200);
    assert_int_equal(browse(&admin, "PUT", "/gemel/v1/accounts/operator",
                         "{\"roles\":[{\"hub\":\"h1\",\"role\":\"reader\"}]}")
                         .status,
        200);
    assert_int_equal(browse(&operator, "GET", AZURE "/devices/x", NULL).status, 401);
    operator= sign_in("operator", "se:cret");
    assert_int_equal(browse(&operator, "GET", AZURE "/devices/x", NULL).status, 200);
    assert_int_equal(browse(&operator, "DELETE", AZURE "/devices/x", NULL).status, 403);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_open, world_close)
        TEST(every_operation_has_a_decision),
        TEST(every_operation_that_writes_has_a_word_for_the_audit_log),
        TEST(nobody_may_more_than_his_role),
        TEST(a_cookie_is_no_token_for_the_hubs_own_paths),
        TEST(a_reader_sees_no_keys),
        TEST(what_changes_between_two_requests_counts_at_once),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
