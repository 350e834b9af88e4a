/* SPDX-License-Identifier: Apache-2.0 */
/* Enrollments, and devices that register by them. Keys and certificates of every kind are tried by
 * the vendor's SDKs in test/conformance; here is what those do not reach. */
#include "service_harness.h"

#include "base64.h"

#include <openssl/hmac.h>

#define NOW_S (START_US / 1000000)

/* The vector of Azure's documentation: a group's key, an id, and the key that follows. */
#define GROUP_KEY                                                                                  \
    "8isrFI1sGsIlvvFSSFRiMfCNzv21fjbE/+ah/lSh3lF8e2YG1Te7w1KpZhJFFXJrqYKi9yegxkqIChbqOS9Egw=="
#define MEMBER_ID "sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6"
#define MEMBER_KEY "Jsm0lyGpjaVYVP2g3FnmnmG9dI/9qU24wNoykUmermc="

static const char *id_scope(void)
{
    make_administrator();
    struct browser admin = sign_in("admin", "se:cret");
    struct answer answer = browse(&admin, "GET", "/gemel/v1/hubs/h1", NULL);
    return arena_format(&world.arena, "%s", member(&answer, "idScope"));
}

/* As the SDKs of devices sign: the resource as it is. */
static const char *registration_token(
    const char *scope, const char *id, const char *key64, int64_t expires_s)
{
    unsigned char key[BASE64_KEY_MAX_BYTES];
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    size_t len = 0;
    const char *resource = arena_format(&world.arena, "%s/registrations/%s", scope, id);
    const char *text = arena_format(&world.arena, "%s\n%lld", resource, (long long)expires_s);
    assert_int_equal(base64_decode(span_of(key64), key, sizeof(key), &len, NULL), ERR_NONE);
    HMAC(EVP_sha256(), key, (int)len, (const unsigned char *)text, strlen(text), digest, &size);
    AUTO(buf_done) struct buf signature = BUF_EMPTY, encoded = BUF_EMPTY;
    base64_write((struct span){(const char *)digest, size}, &signature);
    for (size_t i = 0; i < signature.len; i++)
        buf_add_format(&encoded, "%%%02X", (unsigned char)signature.ptr[i]);
    return arena_format(&world.arena, "SharedAccessSignature sr=%s&sig=%s&skn=registration&se=%lld",
        resource, encoded.ptr, (long long)expires_s);
}

static struct answer register_with(const char *scope, const char *id, const char *authorization)
{
    return ask_with(authorization, "anything", "PUT",
        arena_format(&world.arena, "/%s/registrations/%s/register?" V, scope, id),
        arena_format(&world.arena, "{\"registrationId\":\"%s\"}", id), NULL);
}

static struct answer register_now(const char *scope, const char *id, const char *key)
{
    return register_with(scope, id, registration_token(scope, id, key, NOW_S + 3600));
}

static void make_group(void)
{
    struct answer answer = ask("PUT", "/enrollmentGroups/g1?" V,
        "{\"enrollmentGroupId\":\"g1\",\"attestation\":{\"type\":\"symmetricKey\","
        "\"symmetricKey\":{\"primaryKey\":\"" GROUP_KEY "\",\"secondaryKey\":\"" GROUP_KEY "\"}}}",
        NULL);
    if (answer.status != 200)
        fail_msg("%d %s", answer.status, answer.body);
}

static void a_member_of_a_group_has_the_key_that_azure_derives(void **state UNUSED)
{
    const char *scope = id_scope();
    make_group();
    struct answer answer = register_now(scope, MEMBER_ID, MEMBER_KEY);
    if (answer.status != 200)
        fail_msg("%d %s", answer.status, answer.body);
    assert_string_equal(member(&answer, "status"), "assigned");
    assert_string_equal(member(&answer, "registrationState.deviceId"), MEMBER_ID);
    assert_string_equal(member(&answer, "registrationState.assignedHub"), "hub.local");
    const char *operation = arena_format(&world.arena, "%s", member(&answer, "operationId"));
    answer = ask("GET", "/devices/" MEMBER_ID "?" V, NULL, NULL);
    assert_string_equal(member(&answer, "authentication.symmetricKey.primaryKey"), MEMBER_KEY);
    const char *proof = registration_token(scope, MEMBER_ID, MEMBER_KEY, NOW_S + 60);
    answer = ask_with(proof, "x", "GET",
        arena_format(
            &world.arena, "/%s/registrations/" MEMBER_ID "/operations/%s?" V, scope, operation),
        NULL, NULL);
    assert_int_equal(answer.status, 200);
    assert_string_equal(member(&answer, "operationId"), operation);
    answer = ask_with(proof, "x", "GET",
        arena_format(&world.arena, "/%s/registrations/" MEMBER_ID "/operations/other?" V, scope),
        NULL, NULL);
    assert_int_equal(answer.status, 404);
    answer = ask_with(proof, "x", "POST",
        arena_format(&world.arena, "/%s/registrations/" MEMBER_ID "?" V, scope), "{}", NULL);
    assert_string_equal(member(&answer, "deviceId"), MEMBER_ID);
    answer = ask("POST", "/registrations/g1/query?" V, "{\"query\":\"SELECT *\"}", NULL);
    assert_non_null(strstr(answer.body, MEMBER_ID));
}

static void who_is_not_let_in(void **state UNUSED)
{
    const char *scope = id_scope();
    make_group();
    const struct {
        const char *why;
        const char *scope;
        const char *id;
        const char *authorization;
    } rows[] = {
        {"another key", scope, MEMBER_ID,
            registration_token(scope, MEMBER_ID, HUB_KEY, NOW_S + 60)},
        {"another's key", scope, "other",
            registration_token(scope, "other", MEMBER_KEY, NOW_S + 60)},
        {"another's token", scope, "other",
            registration_token(scope, MEMBER_ID, MEMBER_KEY, NOW_S + 60)},
        {"expired", scope, MEMBER_ID,
            registration_token(scope, MEMBER_ID, MEMBER_KEY, NOW_S - 301)},
        {"another scope", "0ne00000000", MEMBER_ID,
            registration_token("0ne00000000", MEMBER_ID, MEMBER_KEY, NOW_S + 60)},
        {"another scope's token", scope, MEMBER_ID,
            registration_token("0ne00000000", MEMBER_ID, MEMBER_KEY, NOW_S + 60)},
        {"no token", scope, MEMBER_ID, ""},
        {"nonsense", scope, MEMBER_ID, "nonsense"},
        {"a token of the hub", scope, MEMBER_ID, token("owner", HUB_KEY)},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct answer answer = register_with(rows[i].scope, rows[i].id, rows[i].authorization);
        if (answer.status != 401 || strstr(answer.body, "\"errorCode\":401002") == NULL)
            fail_msg("%s: %d %s", rows[i].why, answer.status, answer.body);
    }
    assert_int_equal(ask("GET", "/devices/" MEMBER_ID "?" V, NULL, NULL).status, 404);
}

static void a_device_that_comes_again_keeps_what_it_has(void **state UNUSED)
{
    const char *scope = id_scope();
    const char *enrollment =
        "{\"deviceId\":\"Pump\",\"attestation\":{\"type\":\"symmetricKey\",\"symmetricKey\":{"
        "\"primaryKey\":\"" HUB_KEY "\",\"secondaryKey\":\"" OTHER_KEY "\"}},"
        "\"initialTwin\":{\"tags\":{\"a\":1},\"properties\":{\"desired\":{\"b\":2}}},"
        "\"modules\":{\"m\":{\"properties\":{\"desired\":{\"c\":3}}}}}";
    assert_int_equal(ask("PUT", "/enrollments/r1?" V, enrollment, NULL).status, 200);
    struct answer answer = register_now(scope, "R1", OTHER_KEY); /* in any case of letters */
    assert_int_equal(answer.status, 200);
    assert_non_null(strstr(answer.body, "\"payload\":{\"modules\":[\"m\"]}"));
    answer = ask("GET", "/devices/Pump?" V, NULL, NULL);
    const char *etag = arena_format(&world.arena, "%s", answer.etag);
    ask("PATCH", "/twins/Pump?" V, "{\"tags\":{\"a\":5}}", NULL);
    assert_int_equal(register_now(scope, "r1", HUB_KEY).status, 200);
    answer = ask("GET", "/devices/Pump?" V, NULL, NULL);
    assert_string_equal(answer.etag, etag);
    answer = ask("GET", "/twins/Pump?" V, NULL, NULL);
    assert_non_null(strstr(answer.body, "\"a\":5"));
    answer = ask("GET", "/twins/Pump/modules/m?" V, NULL, NULL);
    assert_non_null(strstr(answer.body, "\"c\":3"));
    /* Another key in the enrollment becomes the device's when it comes again, and ends its session.
     */
    struct heard heard;
    heard_init(&heard);
    struct session session = connect_as(
        "Pump", "m", token_of("hub.local", "Pump", "m", NULL, HUB_KEY, NOW_S + 60), &heard);
    assert_int_equal(session.err, ERR_NONE);
    assert_int_equal(ask("PUT", "/enrollments/r1?" V,
                         "{\"deviceId\":\"Pump\",\"modules\":{\"m\":{}},\"attestation\":{\"type\":"
                         "\"symmetricKey\",\"symmetricKey\":{\"primaryKey\":\"" MEMBER_KEY "\"}}}",
                         "*")
                         .status,
        200);
    assert_int_equal(register_now(scope, "r1", MEMBER_KEY).status, 200);
    assert_int_equal(heard.end_count, 1);
    service_disconnect(world.service, &session.identity, session.number);
    /* What was deleted is made again. */
    ask("DELETE", "/devices/Pump?" V, NULL, "*");
    assert_int_equal(ask("GET", "/registrations/r1?" V, NULL, NULL).status, 404);
    assert_int_equal(register_now(scope, "r1", MEMBER_KEY).status, 200);
    assert_int_equal(ask("GET", "/devices/Pump?" V, NULL, NULL).status, 200);
}

static void what_an_enrollment_may_not_be(void **state UNUSED)
{
    static const struct {
        const char *path;
        const char *body;
        const char *word; /* of the sentence */
    } rows[] = {
        {"/enrollments/a", "[]", "object"},
        {"/enrollments/a", "{}", "attestation.type"},
        {"/enrollments/a", "{\"attestation\":{\"type\":\"tpm\"}}", "symmetricKey or x509"},
        {"/enrollments/a", "{\"attestation\":{\"type\":\"x509\"}}", "clientCertificates"},
        {"/enrollments/a", "{\"registrationId\":\"b\"}", "registrationId"},
        {"/enrollments/a%20b", "{\"attestation\":{\"type\":\"symmetricKey\"}}", "letters"},
        {"/enrollments/a",
            "{\"attestation\":{\"type\":\"symmetricKey\",\"symmetricKey\":{\"primaryKey\":\"x\"}}}",
            "primaryKey"},
        {"/enrollments/a",
            "{\"attestation\":{\"type\":\"symmetricKey\"},\"provisioningStatus\":\"off\"}",
            "provisioningStatus"},
        {"/enrollments/a",
            "{\"attestation\":{\"type\":\"symmetricKey\"},\"allocationPolicy\":\"custom\"}",
            "allocationPolicy"},
        {"/enrollments/a",
            "{\"attestation\":{\"type\":\"symmetricKey\"},\"iotHubHostName\":\"elsewhere\"}",
            "iotHubHostName"},
        {"/enrollments/a",
            "{\"attestation\":{\"type\":\"symmetricKey\"},\"initialTwin\":{\"desired\":{}}}",
            "initialTwin"},
        {"/enrollments/a",
            "{\"attestation\":{\"type\":\"symmetricKey\"},\"initialTwin\":{\"tags\":{\"$x\":1}}}",
            "initialTwin"},
        {"/enrollments/a", "{\"attestation\":{\"type\":\"symmetricKey\"},\"modules\":{\"m\":1}}",
            "modules"},
        {"/enrollmentGroups/a", "{\"attestation\":{\"type\":\"symmetricKey\"},\"deviceId\":\"d\"}",
            "group"},
        {"/enrollmentGroups/a",
            "{\"attestation\":{\"type\":\"x509\",\"x509\":{\"caReferences\":{\"primary\":\"no\"}}}"
            "}",
            "caReferences"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct answer answer =
            ask("PUT", arena_format(&world.arena, "%s?" V, rows[i].path), rows[i].body, NULL);
        if (answer.status != 400 || strstr(answer.body, rows[i].word) == NULL)
            fail_msg("%s: %d %s", rows[i].body, answer.status, answer.body);
    }
}

/* As IoT Hub's: without If-Match a PUT creates, and only that. */
static void what_is_there_is_not_written_over_unasked(void **state UNUSED)
{
    static const char *const paths[] = {"/enrollments/a?" V, "/enrollmentGroups/a?" V};
    static const char *const body = "{\"attestation\":{\"type\":\"symmetricKey\"}}";
    static const char *const other =
        "{\"provisioningStatus\":\"disabled\",\"attestation\":{\"type\":\"symmetricKey\"}}";
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        struct answer created = ask("PUT", paths[i], body, NULL);
        assert_int_equal(created.status, 200);
        struct answer refused = ask("PUT", paths[i], other, NULL);
        assert_int_equal(refused.status, 409);
        assert_non_null(strstr(refused.body, "409201"));
        struct answer kept = ask("GET", paths[i], NULL, NULL);
        assert_string_equal(kept.etag, created.etag);
        assert_int_equal(ask("PUT", paths[i], other, kept.etag).status, 200);
        assert_int_equal(ask("PUT", paths[i], body, kept.etag).status, 412);
        assert_int_equal(ask("PUT", paths[i], body, "*").status, 200);
    }
}

static void there_is_room_for_so_many(void **state UNUSED)
{
    world.options.limits.enrollments = 1;
    world.options.limits.enrollment_groups = 0;
    world_reopen_service();
    static const char *const body = "{\"attestation\":{\"type\":\"symmetricKey\"}}";
    assert_int_equal(ask("PUT", "/enrollments/a?" V, body, NULL).status, 200);
    assert_int_equal(ask("PUT", "/enrollments/A?" V, body, "*").status, 200);
    assert_int_equal(ask("PUT", "/enrollments/b?" V, body, NULL).status, 403);
    assert_int_equal(ask("PUT", "/enrollmentGroups/a?" V, body, NULL).status, 403);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_open, world_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_member_of_a_group_has_the_key_that_azure_derives),
        TEST(who_is_not_let_in),
        TEST(a_device_that_comes_again_keeps_what_it_has),
        TEST(what_an_enrollment_may_not_be),
        TEST(what_is_there_is_not_written_over_unasked),
        TEST(there_is_room_for_so_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
