/* SPDX-License-Identifier: Apache-2.0 */
#include "registration.h"

#include "identity.h"
#include "mem.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cmocka.h>

#define KEY "MDEyMzQ1Njc4OWFiY2RlZg=="
#define ASSIGNED                                                                                   \
    "{\"operationId\":\"1\",\"status\":\"assigned\",\"registrationState\":{"                       \
    "\"assignedHub\":\"hub.local:99\",\"deviceId\":\"pump-7\",\"status\":\"assigned\"}}"

static char dir[64];
static struct registration *registration;
static struct registration_options options;

static int set_up(void **state UNUSED)
{
    snprintf(dir, sizeof(dir), "/tmp/gemel-registration-XXXXXX");
    assert_non_null(mkdtemp(dir));
    options = (struct registration_options){.id_scope = "0ne1",
        .registration_id = "pump-7",
        .key = KEY,
        .host = "dps.local",
        .module_id = "m",
        .state_dir = dir};
    assert_int_equal(registration_new(&options, &registration, NULL), ERR_NONE);
    return 0;
}

static int tear_down(void **state UNUSED)
{
    char command[128];
    registration_free(registration);
    snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    return system(command);
}

/* Asks, and gives the answer to that. */
static enum registration_outcome answer(
    int status, unsigned retry_s, const char *body, unsigned *ret_retry_s, struct why *why)
{
    AUTO(buf_done) struct buf asked = BUF_EMPTY;
    AUTO(buf_done) struct buf wish = BUF_EMPTY;
    AUTO(buf_done) struct buf topic = BUF_EMPTY;
    registration_ask(registration, &asked, &wish);
    assert_false(asked.failed || wish.failed);
    const char *rid = strstr(asked.ptr, "$rid=");
    assert_non_null(rid);
    buf_add_format(
        &topic, "$dps/registrations/res/%d/?%.*s", status, (int)(strcspn(rid, "&")), rid);
    if (retry_s > 0)
        buf_add_format(&topic, "&retry-after=%u", retry_s);
    return registration_answer(registration, buf_span(&topic), span_of(body), ret_retry_s, why);
}

static void what_is_assigned_becomes_the_modules_connection_string(void **state UNUSED)
{
    char path[128];
    unsigned retry_s;
    struct why why = {""};
    struct stat status;
    struct identity identity;
    assert_int_equal(answer(200, 0, ASSIGNED, &retry_s, &why), REGISTRATION_DONE);
    snprintf(path, sizeof(path), "%s/" REGISTRATION_FILE, dir);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0077, 0);
    assert_int_equal(identity_load(path, &identity, &why), ERR_NONE);
    assert_true(span_is(identity.connstr.host_name, "hub.local:99"));
    assert_true(span_is(identity.connstr.device_id, "pump-7"));
    assert_true(span_is(identity.connstr.module_id, "m"));
    assert_true(span_is(identity.connstr.key, KEY));
    identity_done(&identity);
}

static void by_certificate_it_says_x509(void **state UNUSED)
{
    char path[128];
    unsigned retry_s;
    struct identity identity;
    AUTO(buf_done) struct buf password = BUF_EMPTY;
    registration_free(registration);
    options.key = "";
    assert_int_equal(registration_new(&options, &registration, NULL), ERR_NONE);
    assert_true(registration_by_certificate(registration));
    assert_int_equal(registration_write_password(registration, 1, &password, NULL), ERR_NONE);
    assert_int_equal(password.len, 0);
    assert_int_equal(answer(200, 0, ASSIGNED, &retry_s, NULL), REGISTRATION_DONE);
    snprintf(path, sizeof(path), "%s/" REGISTRATION_FILE, dir);
    assert_int_equal(identity_load(path, &identity, NULL), ERR_NONE);
    assert_true(identity.connstr.x509);
    identity_done(&identity);
}

static void who_is_being_assigned_asks_what_came_of_it(void **state UNUSED)
{
    unsigned retry_s = 0;
    AUTO(buf_done) struct buf topic = BUF_EMPTY;
    AUTO(buf_done) struct buf body = BUF_EMPTY;
    struct why why = {""};
    assert_int_equal(
        answer(202, 7, "{\"operationId\":\"4.op\",\"status\":\"assigning\"}", &retry_s, &why),
        REGISTRATION_PENDING);
    assert_int_equal(retry_s, 7);
    registration_ask(registration, &topic, &body);
    assert_non_null(strstr(topic.ptr, "iotdps-get-operationstatus"));
    assert_non_null(strstr(topic.ptr, "operationId=4.op"));
    assert_int_equal(answer(429, 11, "{}", &retry_s, &why), REGISTRATION_PENDING);
    assert_int_equal(retry_s, 11);
    assert_int_equal(answer(200, 0, ASSIGNED, &retry_s, &why), REGISTRATION_DONE);
    buf_clear(&topic);
    registration_ask(registration, &topic, &body);
    assert_non_null(strstr(topic.ptr, "iotdps-register"));
}

static void a_refusal_says_what_the_service_said(void **state UNUSED)
{
    static const struct {
        int status;
        const char *body;
        const char *says;
    } rows[] = {
        {401, "{\"errorCode\":401002,\"message\":\"no such enrollment\"}", "no such enrollment"},
        {200, "{\"status\":\"failed\",\"registrationState\":{\"errorMessage\":\"no room\"}}",
            "no room"},
        {200, "{\"status\":\"disabled\"}", "disabled"},
        {200, "{\"status\":\"assigned\"}", "no hub or no device"},
        {200,
            "{\"status\":\"assigned\",\"registrationState\":{\"assignedHub\":\"a b\",\"deviceId\":"
            "\"d\"}}",
            "no hub"},
        {200,
            "{\"status\":\"assigned\",\"registrationState\":{\"assignedHub\":\"h\",\"deviceId\":"
            "\"a/b;c\"}}",
            "no device"},
        {200, "{\"status\":4}", "says"},
        {200, "[", "line 1"},
        {200, "", "provisioning"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        unsigned retry_s;
        struct why why = {""};
        assert_int_equal(
            answer(rows[i].status, 0, rows[i].body, &retry_s, &why), REGISTRATION_FAILED);
        if (strstr(why.text, rows[i].says) == NULL)
            fail_msg("%s: %s", rows[i].body, why.text);
        assert_null(strstr(why.text, KEY));
    }
}

static void an_answer_to_another_question_is_foreign(void **state UNUSED)
{
    unsigned retry_s;
    assert_int_equal(
        registration_answer(registration, SPAN_LIT("$dps/registrations/res/200/?$rid=99"),
            SPAN_LIT(ASSIGNED), &retry_s, NULL),
        REGISTRATION_FOREIGN);
    assert_int_equal(registration_answer(registration, SPAN_LIT("$iothub/twin/res/200/?$rid=0"),
                         SPAN_LIT(ASSIGNED), &retry_s, NULL),
        REGISTRATION_FOREIGN);
}

static void its_user_name_and_token_are_those_of_dps(void **state UNUSED)
{
    AUTO(buf_done) struct buf user = BUF_EMPTY;
    AUTO(buf_done) struct buf password = BUF_EMPTY;
    registration_write_username(registration, "1.0", &user);
    assert_string_equal(user.ptr, "0ne1/registrations/pump-7/api-version=2019-03-31&ClientVersion="
                                  "gemel-agent%2F1.0");
    assert_int_equal(
        registration_write_password(registration, 1700000000, &password, NULL), ERR_NONE);
    assert_non_null(strstr(password.ptr, "sr=0ne1%2Fregistrations%2Fpump-7&"));
    assert_non_null(strstr(password.ptr, "skn=registration"));
}

static void what_cannot_be_is_refused_by_its_name(void **state UNUSED)
{
    struct registration *other;
    struct why why = {""};
    struct registration_options wrong = options;
    wrong.registration_id = "";
    assert_int_equal(registration_new(&wrong, &other, &why), ERR_ARGUMENT);
    assert_non_null(strstr(why.text, "Provisioning_RegistrationId"));
    wrong.registration_id = "a/b";
    assert_int_equal(registration_new(&wrong, &other, &why), ERR_ARGUMENT);
    wrong = options;
    wrong.host = "no host!";
    assert_int_equal(registration_new(&wrong, &other, &why), ERR_ARGUMENT);
    assert_non_null(strstr(why.text, "Provisioning_Host"));
}

static void without_memory_nothing_is_made_and_nothing_leaks(void **state UNUSED)
{
    enum err err = ERR_MEMORY;
    for (long allocations = 0; err != ERR_NONE; allocations++) {
        struct registration *other = NULL;
        mem_fail_after(allocations);
        err = registration_new(&options, &other, NULL);
        mem_fail_after(-1);
        assert_true(err == ERR_NONE || err == ERR_MEMORY);
        if (err == ERR_NONE)
            registration_free(other);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(what_is_assigned_becomes_the_modules_connection_string),
        TEST(by_certificate_it_says_x509), TEST(who_is_being_assigned_asks_what_came_of_it),
        TEST(a_refusal_says_what_the_service_said), TEST(an_answer_to_another_question_is_foreign),
        TEST(its_user_name_and_token_are_those_of_dps), TEST(what_cannot_be_is_refused_by_its_name),
        TEST(without_memory_nothing_is_made_and_nothing_leaks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
