/* SPDX-License-Identifier: Apache-2.0 */
#include "service_harness.h"

#include <pthread.h>

#define NOW_S (START_US / 1000000)

struct row {
    const char *why;
    const char *device_id;
    const char *module_id;
    /* of the token */
    const char *host;
    const char *for_device;
    const char *for_module;
    const char *policy;
    const char *key;
    int expires_in_s;
    bool accepted;
};

static void who_may_connect(void **state UNUSED)
{
    static const char *const bad = "eHh4eHh4eHh4eHh4eHh4eA==";
    const struct row rows[] = {
        {"device", "d1", NULL, "hub.local", "d1", NULL, NULL, HUB_KEY, 60, true},
        {"secondary", "d1", NULL, "hub.local", "d1", NULL, NULL, OTHER_KEY, 60, true},
        {"alias", "d1", NULL, "Other.Local:8883", "d1", NULL, NULL, HUB_KEY, 60, true},
        {"module", "d1", "m1", "hub.local", "d1", "m1", NULL, OTHER_KEY, 60, true},
        {"policy, whole hub", "d1", NULL, "hub.local", NULL, NULL, "device", HUB_KEY, 60, true},
        {"policy, module", "d1", "m1", "hub.local", NULL, NULL, "owner", HUB_KEY, 60, true},
        {"policy, this device", "d1", NULL, "hub.local", "d1", NULL, "device", HUB_KEY, 60, true},
        {"skew", "d1", NULL, "hub.local", "d1", NULL, NULL, HUB_KEY, -299, true},
        {"expired", "d1", NULL, "hub.local", "d1", NULL, NULL, HUB_KEY, -300, false},
        {"wrong key", "d1", NULL, "hub.local", "d1", NULL, NULL, bad, 60, false},
        {"other device", "d1", NULL, "hub.local", "d2", NULL, NULL, HUB_KEY, 60, false},
        {"module's token", "d1", NULL, "hub.local", "d1", "m1", NULL, HUB_KEY, 60, false},
        {"wrong host", "d1", NULL, "evil.local", "d1", NULL, NULL, HUB_KEY, 60, false},
        {"unknown", "none", NULL, "hub.local", "none", NULL, NULL, HUB_KEY, 60, false},
        {"unknown module", "d1", "none", "hub.local", "d1", "none", NULL, HUB_KEY, 60, false},
        {"case of the id", "D1", NULL, "hub.local", "D1", NULL, NULL, HUB_KEY, 60, false},
        {"policy without the right", "d1", NULL, "hub.local", NULL, NULL, "service", HUB_KEY, 60,
            false},
        {"policy, other device", "d1", NULL, "hub.local", "d2", NULL, "device", HUB_KEY, 60, false},
        {"disabled", "off", NULL, "hub.local", "off", NULL, NULL, HUB_KEY, 60, false},
        {"disabled, by policy", "off", NULL, "hub.local", NULL, NULL, "device", HUB_KEY, 60, false},
        {"module of a disabled device", "off", "m1", "hub.local", "off", "m1", NULL, HUB_KEY, 60,
            false},
        {"certificate", "cert", NULL, "hub.local", "cert", NULL, NULL, HUB_KEY, 60, false},
        {"certificate, by policy", "cert", NULL, "hub.local", NULL, NULL, "device", HUB_KEY, 60,
            false},
    };
    make_device("d1");
    make_device("d2");
    make_module("d1", "m1");
    make_device("off");
    make_module("off", "m1");
    ask("PUT", "/devices/off?" V, "{\"status\":\"disabled\"}", "*");
    ask("PUT", "/devices/cert?" V, "{\"authentication\":{\"type\":\"certificateAuthority\"}}",
        NULL);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct row *row = &rows[i];
        struct heard heard;
        heard_init(&heard);
        struct session session = connect_as(row->device_id, row->module_id,
            token_of(row->host, row->for_device, row->for_module, row->policy, row->key,
                NOW_S + row->expires_in_s),
            &heard);
        if (session.err != (row->accepted ? ERR_NONE : ERR_UNAUTHORIZED))
            fail_msg("%s: %d %s", row->why, (int)session.err, session.why.text);
        if (row->accepted)
            service_disconnect(world.service, &session.identity, session.number);
    }
}

static void an_unreadable_password_is_refused(void **state UNUSED)
{
    static const char *const rows[] = {"", "secret", "SharedAccessSignature sr=hub.local"};
    make_device("d1");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct heard heard;
        heard_init(&heard);
        assert_int_equal(connect_as("d1", NULL, rows[i], &heard).err, ERR_UNAUTHORIZED);
    }
}

static void a_session_knows_whose_it_is_and_when_it_ends(void **state UNUSED)
{
    struct heard heard;
    heard_init(&heard);
    make_device("d1");
    struct session own = connect_as(
        "d1", NULL, token_of("hub.local", "d1", NULL, NULL, HUB_KEY, NOW_S + 60), &heard);
    assert_int_equal(own.expires_us, (NOW_S + 60) * 1000000);
    assert_int_equal(own.identity.generation, UINT64_C(638355968000000000));
    assert_true(span_is(
        own.identity.auth_method, "{\"scope\":\"device\",\"type\":\"sas\",\"issuer\":\"iothub\"}"));
    struct session late = connect_as(
        "d1", NULL, token_of("hub.local", NULL, NULL, "device", HUB_KEY, NOW_S - 100), &heard);
    assert_int_equal(late.expires_us, (NOW_S + 200) * 1000000);
    assert_true(span_is(
        late.identity.auth_method, "{\"scope\":\"hub\",\"type\":\"sas\",\"issuer\":\"iothub\"}"));
    service_disconnect(world.service, &late.identity, late.number);
}

static void connections_are_shown_and_the_newer_wins(void **state UNUSED)
{
    struct heard first;
    struct heard second;
    make_device("d1");
    struct session old = connect_device("d1", &first);
    struct answer answer = ask("GET", "/devices/d1?" V, NULL, NULL);
    assert_string_equal(member(&answer, "connectionState"), "Connected");
    assert_string_equal(member(&answer, "connectionStateUpdatedTime"), START_TEXT);
    struct session new = connect_device("d1", &second);
    assert_int_equal(first.end_count, 1);
    assert_int_equal(first.reason, SESSION_TAKEN_OVER);
    service_disconnect(world.service, &old.identity, old.number);
    answer = ask("GET", "/twins/d1?" V, NULL, NULL);
    assert_string_equal(member(&answer, "connectionState"), "Connected");
    assert_string_equal(
        ask("GET", "/statistics/service?" V, NULL, NULL).body, "{\"connectedDeviceCount\":1}");
    service_disconnect(world.service, &new.identity, new.number);
    /* a write behind it in the queue: then it is stored */
    ask("PUT", "/devices/d1?" V, "{}", "*");
    answer = ask("GET", "/twins/d1?" V, NULL, NULL);
    assert_string_equal(member(&answer, "connectionState"), "Disconnected");
    assert_int_equal(second.end_count, 0);
}

struct end_row {
    const char *method;
    const char *target;
    const char *body;
    int device_ends;
    int module_ends;
    enum session_end reason;
};

static void what_takes_an_identitys_right_ends_its_sessions(void **state UNUSED)
{
    static const struct end_row rows[] = {
        {"PUT", "/devices/d1?" V, "{\"statusReason\":\"still fine\"}", 0, 0, 0},
        {"PUT", "/devices/d1?" V, "{\"status\":\"disabled\"}", 1, 1, SESSION_DISABLED},
        {"PUT", "/devices/d1?" V,
            "{\"authentication\":{\"symmetricKey\":{\"primaryKey\":\"" OTHER_KEY "\"}}}", 1, 0,
            SESSION_KEYS_CHANGED},
        /* The key that let it in is still one of the two. */
        {"PUT", "/devices/d1?" V,
            "{\"authentication\":{\"symmetricKey\":{\"secondaryKey\":\"" HUB_KEY "\"}}}", 0, 0, 0},
        {"PUT", "/devices/d1?" V,
            "{\"authentication\":{\"symmetricKey\":{\"primaryKey\":\"" OTHER_KEY
            "\",\"secondaryKey\":\"" HUB_KEY "\"}}}",
            0, 0, 0},
        {"PUT", "/devices/d1/modules/m1?" V,
            "{\"authentication\":{\"symmetricKey\":{\"primaryKey\":\"" OTHER_KEY "\"}}}", 0, 1,
            SESSION_KEYS_CHANGED},
        {"POST", "/devices/keys/regenerate?" V,
            "{\"policyKey\":\"secondaryKey\",\"devices\":[{\"id\":\"d1\"}]}", 0, 0, 0},
        {"POST", "/devices/keys/regenerate?" V,
            "{\"policyKey\":\"primaryKey\",\"devices\":[{\"id\":\"d1\"}]}", 1, 0,
            SESSION_KEYS_CHANGED},
        {"POST", "/devices/keys/regenerate?" V,
            "{\"policyKey\":\"both\",\"devices\":[{\"id\":\"d1\",\"moduleId\":\"m1\"}]}", 0, 1,
            SESSION_KEYS_CHANGED},
        {"DELETE", "/devices/d1/modules/m1?" V, NULL, 0, 1, SESSION_DELETED},
        {"DELETE", "/devices/d1?" V, NULL, 1, 1, SESSION_DELETED},
        {"POST", "/devices?" V, "[{\"id\":\"d1\",\"importMode\":\"delete\"}]", 1, 1,
            SESSION_DELETED},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct heard device;
        struct heard module;
        make_device("d1");
        make_module("d1", "m1");
        struct session a = connect_device("d1", &device);
        heard_init(&module);
        struct session b = connect_as(
            "d1", "m1", token_of("hub.local", "d1", "m1", NULL, HUB_KEY, NOW_S + 60), &module);
        assert_int_equal(b.err, ERR_NONE);
        struct answer answer = ask(rows[i].method, rows[i].target, rows[i].body, "*");
        assert_true(answer.status < 300);
        assert_int_equal(device.end_count, rows[i].device_ends);
        assert_int_equal(module.end_count, rows[i].module_ends);
        if (rows[i].device_ends > 0)
            assert_int_equal(device.reason, rows[i].reason);
        service_disconnect(world.service, &a.identity, a.number);
        service_disconnect(world.service, &b.identity, b.number);
        ask("DELETE", "/devices/d1?" V, NULL, NULL);
    }
}

/* ---- the twin of a session ------------------------------------------------------------------ */

struct wait {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool done;
};

static void on_reply(struct call *call)
{
    struct wait *wait = call->owner;
    pthread_mutex_lock(&wait->lock);
    wait->done = true;
    pthread_cond_signal(&wait->changed);
    pthread_mutex_unlock(&wait->lock);
}

static void await(struct wait *wait)
{
    pthread_mutex_lock(&wait->lock);
    while (!wait->done)
        pthread_cond_wait(&wait->changed, &wait->lock);
    pthread_mutex_unlock(&wait->lock);
}

#define WAIT_INIT                                                                                  \
    {                                                                                              \
        PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false                                 \
    }

static enum err report(const struct session *session, const char *patch, int64_t expected,
    int64_t *ret_version, struct why *why)
{
    struct wait wait = WAIT_INIT;
    struct reported_call call = {.identity = session->identity, .expected_version = expected};
    call_init(&call.call, 1 << 20, on_reply, &wait);
    call.patch = span_of(patch);
    service_reported(world.service, &call);
    await(&wait);
    enum err err = call.call.err;
    *ret_version = call.version;
    *why = call.call.why;
    call_done(&call.call);
    return err;
}

static void a_session_reads_and_reports(void **state UNUSED)
{
    struct heard heard;
    struct wait wait = WAIT_INIT;
    struct why why;
    int64_t version = 0;
    make_device("d1");
    struct session session = connect_device("d1", &heard);
    ask("PATCH", "/twins/d1?" V, "{\"tags\":{\"t\":1},\"properties\":{\"desired\":{\"a\":1}}}",
        NULL);
    assert_int_equal(report(&session, "{\"x\":{\"y\":1.50}}", 0, &version, &why), ERR_NONE);
    assert_int_equal(version, 2);
    struct twin_get_call call = {.identity = session.identity};
    call_init(&call.call, 1 << 20, on_reply, &wait);
    service_twin_get(world.service, &call);
    await(&wait);
    assert_int_equal(call.call.err, ERR_NONE);
    assert_int_equal(call.desired_version, 2);
    assert_true(span_is(call.body,
        "{\"desired\":{\"a\":1,\"$version\":2},\"reported\":{\"x\":{\"y\":1.50},\"$version\":2}}"));
    call_done(&call.call);
    assert_int_equal(heard.desired_count, 1); /* reporting is not told to the device */
    service_disconnect(world.service, &session.identity, session.number);
}

static void a_report_is_refused_with_the_documented_errors(void **state UNUSED)
{
    static const struct {
        const char *patch;
        int64_t expected;
        enum err err;
    } rows[] = {
        {"{\"a\":1}", 1, ERR_NONE},
        {"{\"a\":1}", 1, ERR_PRECONDITION},
        {"{\"a\":1}", -1, ERR_PRECONDITION},
        {"{\"a\":1}", 2, ERR_NONE},
        {"{\"a\":", 0, ERR_FORMAT},
        {"", 0, ERR_FORMAT},
        {"[]", 0, ERR_ARGUMENT},
        {"{\"$a\":1}", 0, ERR_ARGUMENT},
        {"{\"ok\":1,\"bad\":[null]}", 0, ERR_ARGUMENT},
    };
    struct heard heard;
    make_device("d1");
    struct session session = connect_device("d1", &heard);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int64_t version = 0;
        struct why why = {""};
        assert_int_equal(
            report(&session, rows[i].patch, rows[i].expected, &version, &why), rows[i].err);
        assert_true((rows[i].err == ERR_NONE) == (version > 0));
        assert_true((rows[i].err == ERR_NONE) == (why.text[0] == '\0'));
    }
    struct answer twin = ask("GET", "/twins/d1?" V, NULL, NULL);
    assert_null(member(&twin, "properties.reported.ok"));
    assert_string_equal(member(&twin, "properties.reported.$version"), "3");
    ask("DELETE", "/devices/d1?" V, NULL, NULL);
    int64_t version = 0;
    struct why why = {""};
    assert_int_equal(report(&session, "{\"a\":1}", 0, &version, &why), ERR_DEVICE_NOT_FOUND);
    service_disconnect(world.service, &session.identity, session.number);
}

static void an_mqtt_error_is_a_document_with_an_error_code(void **state UNUSED)
{
    static const struct {
        enum err err;
        int64_t code;
    } rows[] = {{ERR_ARGUMENT, 400004}, {ERR_THROTTLED, 429001}, {ERR_PRECONDITION, 412001},
        {ERR_NOT_FOUND, 500001}, {ERR_CANCELLED, 500001}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf out = BUF_EMPTY;
        struct json *json;
        int64_t code = 0;
        struct why why = {"because \"it\" is"};
        service_write_mqtt_error(world.service, rows[i].err, &why, &out);
        assert_int_equal(json_parse(&world.arena, buf_span(&out), 0, &json, NULL), ERR_NONE);
        assert_true(json_int64(json_find_text(json, "errorCode"), &code));
        assert_int_equal(code, rows[i].code);
        assert_true(span_is(json_string_of(json, "message"), why.text));
        assert_true(span_is(json_string_of(json, "timestampUtc"), START_TEXT));
        assert_true(json_string_of(json, "trackingId").len > 30);
        buf_done(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(who_may_connect, world_open, world_close),
        cmocka_unit_test_setup_teardown(an_unreadable_password_is_refused, world_open, world_close),
        cmocka_unit_test_setup_teardown(
            a_session_knows_whose_it_is_and_when_it_ends, world_open, world_close),
        cmocka_unit_test_setup_teardown(
            connections_are_shown_and_the_newer_wins, world_open, world_close),
        cmocka_unit_test_setup_teardown(
            what_takes_an_identitys_right_ends_its_sessions, world_open, world_close),
        cmocka_unit_test_setup_teardown(a_session_reads_and_reports, world_open, world_close),
        cmocka_unit_test_setup_teardown(
            a_report_is_refused_with_the_documented_errors, world_open, world_close),
        cmocka_unit_test_setup_teardown(
            an_mqtt_error_is_a_document_with_an_error_code, world_open, world_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
