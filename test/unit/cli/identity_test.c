/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_hub.h"

#include <setjmp.h>

#include <cmocka.h>

#define V "?api-version=" API_VERSION
#define DEVICE                                                                                     \
    "{\"deviceId\":\"d1\",\"etag\":\"MQ==\",\"status\":\"enabled\",\"authentication\":"            \
    "{\"type\":\"sas\",\"symmetricKey\":{\"primaryKey\":\"UDE=\",\"secondaryKey\":\"UzI=\"}}}"
#define X509 "{\"deviceId\":\"d1\",\"authentication\":{\"type\":\"selfSigned\"}}"
#define NO_KEY "{\"deviceId\":\"d1\",\"authentication\":{\"type\":\"none\"}}"

static void each_command_asks_the_hub_as_it_should(void **state UNUSED)
{
    const struct {
        const char *line;
        const char *body; /* of the hub's answer */
        const char *asked;
        const char *sent; /* the body that goes to the hub */
    } rows[] = {
        {"device-identity create -d d1", DEVICE, "PUT hub.local:8443 /devices/d1" V "\n",
            "{\"deviceId\":\"d1\"}"},
        {"device-identity create -d d#1 --status disabled --status-reason old", DEVICE,
            "PUT hub.local:8443 /devices/d%231" V "\n",
            "{\"deviceId\":\"d#1\",\"status\":\"disabled\",\"statusReason\":\"old\"}"},
        {"device-identity create -d d1 --pk UDE= --sk UzI=", DEVICE,
            "PUT hub.local:8443 /devices/d1" V "\n",
            "{\"deviceId\":\"d1\",\"authentication\":{\"type\":\"sas\",\"symmetricKey\":"
            "{\"primaryKey\":\"UDE=\",\"secondaryKey\":\"UzI=\"}}}"},
        {"device-identity create -d d1 --auth-method x509_thumbprint --ptp AB --stp CD", DEVICE,
            "PUT hub.local:8443 /devices/d1" V "\n",
            "{\"deviceId\":\"d1\",\"authentication\":{\"type\":\"selfSigned\",\"x509Thumbprint\":"
            "{\"primaryThumbprint\":\"AB\",\"secondaryThumbprint\":\"CD\"}}}"},
        {"device-identity create -d d1 --auth-method x509_ca", DEVICE,
            "PUT hub.local:8443 /devices/d1" V "\n",
            "{\"deviceId\":\"d1\",\"authentication\":{\"type\":\"certificateAuthority\"}}"},
        {"module-identity create -d d1 -m $m", DEVICE,
            "PUT hub.local:8443 /devices/d1/modules/%24m" V "\n",
            "{\"deviceId\":\"d1\",\"moduleId\":\"$m\"}"},
        {"device-identity show -d .", DEVICE, "GET hub.local:8443 /devices/." V "\n", ""},
        {"module-identity show -d d1 -m m", DEVICE,
            "GET hub.local:8443 /devices/d1/modules/m" V "\n", ""},
        {"device-identity list", "[]", "GET hub.local:8443 /devices" V "&top=1000\n", ""},
        {"device-identity list --top 7", "[]", "GET hub.local:8443 /devices" V "&top=7\n", ""},
        {"module-identity list -d a/b", "[]", "GET hub.local:8443 /devices/a%2Fb/modules" V "\n",
            ""},
        {"device-identity delete -d d1", NULL, "DELETE hub.local:8443 /devices/d1" V "\n", ""},
        {"module-identity delete -d d1 -m m", NULL,
            "DELETE hub.local:8443 /devices/d1/modules/m" V "\n", ""},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct fake_answer answers[] = {{.status = 200, .body = rows[i].body}};
        struct fake_hub hub = {.answers = answers, .answer_count = 1};
        int status = fake_run(&hub, rows[i].line);
        if (status != EXIT_DONE)
            fail_msg("%s: %s", rows[i].line, hub.err);
        const char *asked = fake_asked(&hub, 0);
        assert_int_equal(strncmp(asked, rows[i].asked, strlen(rows[i].asked)), 0);
        assert_non_null(
            strstr(asked, "\nAuthorization: SharedAccessSignature sr=hub.local%3A8443&"));
        assert_string_equal(strstr(asked, "\n\n") + 2, rows[i].sent);
        assert_int_equal(hub.out[0] != '\0', rows[i].body != NULL);
        fake_done(&hub);
    }
}

static void a_token_is_short_lived(void **state UNUSED)
{
    const struct fake_answer answers[] = {{.status = 200, .body = DEVICE}};
    struct fake_hub hub = {.answers = answers, .answer_count = 1, .now_us = 1700000000000000};
    assert_int_equal(fake_run(&hub, "device-identity show -d d1"), EXIT_DONE);
    assert_non_null(strstr(fake_asked(&hub, 0), "&se=1700000600&skn=iothubowner\n"));
    fake_done(&hub);
}

static void an_update_sends_the_document_back_with_its_etag(void **state UNUSED)
{
    const struct fake_answer answers[] = {
        {.status = 200, .body = DEVICE}, {.status = 200, .body = DEVICE}};
    struct fake_hub hub = {.answers = answers, .answer_count = 2};
    assert_int_equal(
        fake_run(&hub, "device-identity update -d d1 --status disabled --pk TkVV"), EXIT_DONE);
    assert_non_null(strstr(fake_asked(&hub, 1), "\nIf-Match: \"MQ==\"\n"));
    assert_string_equal(strstr(fake_asked(&hub, 1), "\n\n") + 2,
        "{\"deviceId\":\"d1\",\"etag\":\"MQ==\",\"status\":\"disabled\",\"authentication\":"
        "{\"type\":\"sas\",\"symmetricKey\":{\"primaryKey\":\"TkVV\",\"secondaryKey\":\"UzI=\"}}}");
    fake_done(&hub);
}

static void an_etag_is_quoted_once(void **state UNUSED)
{
    const struct {
        const char *line;
        const char *header;
    } rows[] = {
        {"device-identity delete -d d1", "\nIf-Match: *\n"},
        {"device-identity delete -d d1 -e MQ==", "\nIf-Match: \"MQ==\"\n"},
        {"device-identity delete -d d1 --etag \"MQ==\"", "\nIf-Match: \"MQ==\"\n"},
        {"device-identity delete -d d1 --etag *", "\nIf-Match: *\n"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct fake_answer answers[] = {{.status = 204}};
        struct fake_hub hub = {.answers = answers, .answer_count = 1};
        assert_int_equal(fake_run(&hub, rows[i].line), EXIT_DONE);
        assert_non_null(strstr(fake_asked(&hub, 0), rows[i].header));
        fake_done(&hub);
    }
}

static void another_kind_of_proof_takes_the_place_of_the_old(void **state UNUSED)
{
    const struct fake_answer answers[] = {
        {.status = 200, .body = DEVICE}, {.status = 200, .body = DEVICE}};
    struct fake_hub hub = {.answers = answers, .answer_count = 2};
    assert_int_equal(fake_run(&hub, "device-identity update -d d1 --ptp AB"), EXIT_DONE);
    assert_non_null(strstr(fake_asked(&hub, 1),
        "\"authentication\":{\"type\":\"selfSigned\",\"x509Thumbprint\":"
        "{\"primaryThumbprint\":\"AB\"}}"));
    fake_done(&hub);
}

static void proofs_that_contradict_are_wrong_usage(void **state UNUSED)
{
    const char *const lines[] = {
        "device-identity create -d d1 --auth-method x509_ca --pk UDE=",
        "device-identity create -d d1 --auth-method shared_private_key --ptp AB",
        "device-identity create -d d1 --auth-method x509_thumbprint",
        "device-identity create -d d1 --ptp AB --pk UDE=",
        "device-identity create -d a/b",
        "module-identity create -d d1 -m a/b",
        "device-identity list --top 0",
        "device-identity list --top 1001",
        "device-identity list --top x",
        "device-identity create -d d1 --pk @/does/not/exist",
    };
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        struct fake_hub hub = {0};
        assert_int_equal(fake_run(&hub, lines[i]), EXIT_USAGE);
        assert_int_equal(strncmp(hub.err, "gemel: ", 7), 0);
        fake_done(&hub);
    }
}

static void a_connection_string_names_the_host_and_its_mqtt_port(void **state UNUSED)
{
    const struct {
        const char *line;
        const char *device;
        const struct fake_answer about;
        const char *want; /* NULL: refused */
    } rows[] = {
        {"device-identity connection-string show -d d1", DEVICE, {.status = 404},
            "HostName=hub.local;DeviceId=d1;SharedAccessKey=UDE="},
        {"device-identity connection-string show -d d1", DEVICE, {.err = ERR_UNAVAILABLE},
            "HostName=hub.local;DeviceId=d1;SharedAccessKey=UDE="},
        {"device-identity connection-string show -d d1", DEVICE,
            {.status = 200, .body = "{\"mqttPort\":8883}"},
            "HostName=hub.local;DeviceId=d1;SharedAccessKey=UDE="},
        {"device-identity connection-string show -d d1", DEVICE, {.status = 200, .body = "<html>"},
            "HostName=hub.local;DeviceId=d1;SharedAccessKey=UDE="},
        {"device-identity connection-string show -d d1 --key-type secondary", DEVICE,
            {.status = 200, .body = "{\"mqttPort\":18883}"},
            "HostName=hub.local:18883;DeviceId=d1;SharedAccessKey=UzI="},
        {"module-identity connection-string show -d d1 -m m1", DEVICE, {.status = 404},
            "HostName=hub.local;DeviceId=d1;ModuleId=m1;SharedAccessKey=UDE="},
        {"device-identity connection-string show -d d1", X509, {.status = 404},
            "HostName=hub.local;DeviceId=d1;x509=true"},
        {"device-identity connection-string show -d d1", NO_KEY, {.status = 404}, NULL},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct fake_answer answers[] = {
            {.status = 200, .body = rows[i].device}, rows[i].about};
        struct fake_hub hub = {.answers = answers, .answer_count = 2};
        char want[200];
        int status = fake_run(&hub, rows[i].line);
        assert_int_equal(status, rows[i].want == NULL ? EXIT_REFUSED : EXIT_DONE);
        snprintf(want, sizeof(want), "{\n  \"connectionString\": \"%s\"\n}\n",
            rows[i].want == NULL ? "" : rows[i].want);
        assert_string_equal(hub.out, rows[i].want == NULL ? "" : want);
        fake_done(&hub);
    }
}

static void hubs_are_administered_with_the_password(void **state UNUSED)
{
    const struct {
        const char *line;
        const char *asked;
        const char *sent;
    } rows[] = {
        {"hub create -n h2 --host-name h2.local --host-name b",
            "POST hub.local:8443 /gemel/v1/hubs\n",
            "{\"name\":\"h2\",\"hostNames\":[\"h2.local\",\"b\"]}"},
        {"hub list --host other:1", "GET other:1 /gemel/v1/hubs\n", ""},
        {"hub show -n h2", "GET hub.local:8443 /gemel/v1/hubs/h2\n", ""},
        {"hub delete -n h/2", "DELETE hub.local:8443 /gemel/v1/hubs/h%2F2\n", ""},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct fake_answer answers[] = {{.status = 200, .body = "{}"}};
        struct fake_hub hub = {.answers = answers, .answer_count = 1};
        assert_int_equal(fake_run(&hub, rows[i].line), EXIT_DONE);
        const char *asked = fake_asked(&hub, 0);
        assert_int_equal(strncmp(asked, rows[i].asked, strlen(rows[i].asked)), 0);
        assert_non_null(strstr(asked, "\nAuthorization: Basic YWRtaW46Z2VoZWlt\n"));
        assert_string_equal(strstr(asked, "\n\n") + 2, rows[i].sent);
        fake_done(&hub);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_command_asks_the_hub_as_it_should),
        cmocka_unit_test(a_token_is_short_lived),
        cmocka_unit_test(an_update_sends_the_document_back_with_its_etag),
        cmocka_unit_test(an_etag_is_quoted_once),
        cmocka_unit_test(another_kind_of_proof_takes_the_place_of_the_old),
        cmocka_unit_test(proofs_that_contradict_are_wrong_usage),
        cmocka_unit_test(a_connection_string_names_the_host_and_its_mqtt_port),
        cmocka_unit_test(hubs_are_administered_with_the_password),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
