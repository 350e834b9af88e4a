/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_hub.h"

#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

static void what_the_hub_refuses_is_told_with_what_to_do_next(void **state UNUSED)
{
    const struct {
        const char *line;
        int status;
        const char *body;
        const char *want;
    } rows[] = {
        {"device-twin show -d d1", 404,
            "{\"Message\":\"ErrorCode:DeviceNotFound;Device d1 not "
            "registered\",\"ExceptionMessage\":\"Tracking ID:x\"}",
            "gemel: DeviceNotFound: Device d1 not registered\n"
            "  see what is registered: gemel device-identity list\n"},
        {"device-twin show -d d1", 412, "{\"Message\":\"ErrorCode:PreconditionFailed;no\"}",
            "gemel: PreconditionFailed: no\n"
            "  somebody changed it meanwhile: read it again, or leave --etag out to overwrite\n"},
        {"device-twin show -d d1", 404,
            "{\"Message\":\"{\\\"errorCode\\\":404001,\\\"message\\\":\\\"gone\\\"}\"}",
            "gemel: 404001: gone\n"},
        {"device-twin show -d d1", 400, "{\"Message\":\"plain\"}", "gemel: HTTP 400: plain\n"},
        {"device-twin show -d d1", 500, "oops",
            "gemel: HTTP 500: the answer has no reason that can be read\n"},
        {"device-twin show -d d1", 400, NULL,
            "gemel: HTTP 400: the answer has no reason that can be read\n"},
        {"device-twin show -d d1", 400, "{\"Message\":\"ErrorCode:A;b\\u001b[2Jc\"}",
            "gemel: A: b [2Jc\n"},
        {"hub list", 401, "{\"Message\":\"ErrorCode:IotHubUnauthorized;no\"}",
            "gemel: IotHubUnauthorized: no\n"
            "  check GEMEL_ADMIN_USER and the administrator's password\n"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct fake_answer answers[] = {{.status = rows[i].status, .body = rows[i].body}};
        struct fake_hub hub = {.answers = answers, .answer_count = 1};
        assert_int_equal(fake_run(&hub, rows[i].line), EXIT_REFUSED);
        assert_string_equal(hub.err, rows[i].want);
        assert_string_equal(hub.out, "");
        fake_done(&hub);
    }
}

static void a_hub_that_is_not_reached_is_another_exit_status(void **state UNUSED)
{
    const struct {
        struct fake_answer answer;
        int status;
        const char *part;
    } rows[] = {
        {{.err = ERR_TLS}, EXIT_NO_HUB, "GEMEL_CA"},
        {{.err = ERR_UNAVAILABLE}, EXIT_NO_HUB, "check HostName"},
        {{.err = ERR_TIMEOUT}, EXIT_NO_HUB, "the fake transport fails"},
        {{.err = ERR_ARGUMENT}, EXIT_USAGE, "the fake transport fails"},
        {{.err = ERR_MEMORY}, EXIT_REFUSED, "the fake transport fails"},
        {{.status = 200, .body = "<html>"}, EXIT_NO_HUB, "answers, but not as a hub does"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fake_hub hub = {.answers = &rows[i].answer, .answer_count = 1};
        assert_int_equal(fake_run(&hub, "device-twin show -d d1"), rows[i].status);
        assert_non_null(strstr(hub.err, rows[i].part));
        fake_done(&hub);
    }
}

/* The variables that fake_run() sets are no match for these options. */
static void a_login_that_cannot_be_used_is_wrong_usage(void **state UNUSED)
{
    const struct {
        const char *line;
        const char *part;
    } rows[] = {
        {"device-twin show -d d --login HostName=h", "no SharedAccessKeyName"},
        {"device-twin show -d d --login HostName=h;DeviceId=d;SharedAccessKey=UDE=",
            "that of a device"},
        {"device-twin show -d d --login @/does/not/exist", "cannot be opened"},
        {"device-twin show -d d --login HostName=h;SharedAccessKeyName=p;SharedAccessKey=%%%",
            "the shared access key"},
        {"hub list --host a/b", "no host name"},
        {"hub list --admin-password-file /does/not/exist", "cannot be opened"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fake_hub hub = {0};
        assert_int_equal(fake_run(&hub, rows[i].line), EXIT_USAGE);
        if (strstr(hub.err, rows[i].part) == NULL)
            fail_msg("%s: %s", rows[i].line, hub.err);
        assert_null(strstr(hub.err, "UDE="));
        assert_null(strstr(hub.err, "%%%"));
        fake_done(&hub);
    }
}

static void a_ready_made_signature_is_used_as_it_is(void **state UNUSED)
{
    const struct fake_answer answers[] = {{.status = 200, .body = "{}"}};
    struct fake_hub hub = {.answers = answers, .answer_count = 1};
    assert_int_equal(fake_run(&hub, "device-twin show -d d --login "
                                    "HostName=h;SharedAccessKeyName=p;SharedAccessSignature=ready"),
        EXIT_DONE);
    assert_non_null(strstr(fake_asked(&hub, 0), "GET h /twins/d"));
    assert_non_null(strstr(fake_asked(&hub, 0), "\nAuthorization: ready\n"));
    fake_done(&hub);
}

/* Some of the allocations are the fake hub's own, so a run may pass where a later one does not. */
static void running_out_of_memory_is_an_error_like_any_other(void **state UNUSED)
{
    const char *const lines[] = {
        "device-identity update -d d1 --status disabled --pk UDE=",
        "module-identity connection-string show -d d1 -m m1 -o table",
        "module-twin update -d d1 -m m1 --desired {\"a\":1} --tags {} --etag x",
        "hub create -n h2 --host-name h2.local",
        "monitor-events --timeout 1 -d d1 -o table",
        "device-twin show -d gone",
    };
    const struct fake_answer answers[] = {
        {.status = 200,
            .body = "{\"etag\":\"MQ==\",\"events\":[{\"deviceId\":\"d\"}],\"next\":1,"
                    "\"authentication\":{\"type\":\"sas\",\"symmetricKey\":"
                    "{\"primaryKey\":\"UDE=\"}}}"},
        {.status = 404, .body = "{\"Message\":\"ErrorCode:DeviceNotFound;no\"}"},
    };
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        long failed = 0;
        for (long n = 0; n < 60; n++) {
            struct fake_hub hub = {.answers = answers,
                .answer_count = 2,
                .step_us = 2000000,
                .fails_memory = true,
                .fail_after = n};
            int status = fake_run(&hub, lines[i]);
            assert_true(status >= EXIT_DONE && status <= EXIT_NO_HUB);
            assert_int_equal(status != EXIT_DONE, hub.err[0] != '\0');
            failed += status != EXIT_DONE;
            fake_done(&hub);
        }
        assert_true(failed > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(running_out_of_memory_is_an_error_like_any_other),
        cmocka_unit_test(what_the_hub_refuses_is_told_with_what_to_do_next),
        cmocka_unit_test(a_hub_that_is_not_reached_is_another_exit_status),
        cmocka_unit_test(a_login_that_cannot_be_used_is_wrong_usage),
        cmocka_unit_test(a_ready_made_signature_is_used_as_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
