/* SPDX-License-Identifier: Apache-2.0 */
#include "provision.h"

#include <setjmp.h>

#include <cmocka.h>

static void user_names_of_provisioning_are_told_from_those_of_hubs(void **state UNUSED)
{
    static const struct {
        const char *text;
        bool is_one;
        const char *registration_id; /* NULL: malformed */
    } rows[] = {
        {"0ne00AB12CD/registrations/dev-1/api-version=2019-03-31&ClientVersion=x", true, "dev-1"},
        {"0NE00AB12CD/Registrations/a.b_c:d/?api-version=2021-06-01", true, "a.b_c:d"},
        {"0ne1/registrations/dev-1", true, NULL},
        {"0ne1/registrations/dev-1/", true, NULL},
        {"0ne1/registrations//api-version=1", true, NULL},
        {"0ne1/registrations/dev-1/api-version=", true, NULL},
        {"hub.local/registrations/m/?api-version=2021-04-12", false, NULL},
        {"hub.local/d1/?api-version=2021-04-12", false, NULL},
        {"0ne1", false, NULL},
        {"0ne1/devices/d/api-version=1", false, NULL},
        {"", false, NULL},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct provision_user user;
        struct why why = {""};
        struct span text = span_of(rows[i].text);
        if (provision_is_user(text) != rows[i].is_one)
            fail_msg("%s", rows[i].text);
        enum err err = provision_parse_user(text, &user, &why);
        if (err != (rows[i].registration_id == NULL ? ERR_FORMAT : ERR_NONE))
            fail_msg("%s: %d", rows[i].text, (int)err);
        if (err == ERR_NONE)
            assert_true(span_is(user.registration_id, rows[i].registration_id));
    }
}

static void ids_hold_what_azure_allows(void **state UNUSED)
{
    static const char *const good[] = {"a", "A-b.c_d:e9", "0"};
    static const char *const bad[] = {"", "a-", "a b", "a/b", "a#", "ä"};
    for (size_t i = 0; i < COUNT_OF(good); i++)
        assert_int_equal(provision_check_id(span_of(good[i]), NULL), ERR_NONE);
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(provision_check_id(span_of(bad[i]), NULL), ERR_ARGUMENT);
    char text[130];
    memset(text, 'a', sizeof(text));
    assert_int_equal(provision_check_id((struct span){text, 128}, NULL), ERR_NONE);
    assert_int_equal(provision_check_id((struct span){text, 129}, NULL), ERR_ARGUMENT);
}

static void topics_are_read_and_written(void **state UNUSED)
{
    struct provision_topic topic;
    assert_int_equal(
        provision_parse_topic(
            SPAN_LIT("$dps/registrations/PUT/iotdps-register/?$rid=a%20b"), &topic, NULL),
        ERR_NONE);
    assert_false(topic.is_status);
    assert_true(span_is(topic.rid, "a%20b"));
    assert_int_equal(
        provision_parse_topic(SPAN_LIT("$dps/registrations/GET/"
                                       "iotdps-get-operationstatus/?$rid=1&operationId=5.x"),
            &topic, NULL),
        ERR_NONE);
    assert_true(topic.is_status);
    assert_true(span_is(topic.operation_id, "5.x"));
    static const struct {
        const char *text;
        enum err err;
    } bad[] = {
        {"$dps/registrations/PUT/iotdps-register/?", ERR_ARGUMENT},
        {"$dps/registrations/PUT/iotdps-register/?$rid=", ERR_ARGUMENT},
        {"$dps/registrations/GET/iotdps-get-operationstatus/?$rid=1", ERR_ARGUMENT},
        {"$dps/registrations/PUT/iotdps-register", ERR_NOT_FOUND},
        {"devices/d/messages/events/", ERR_NOT_FOUND},
        {"", ERR_NOT_FOUND},
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(provision_parse_topic(span_of(bad[i].text), &topic, NULL), bad[i].err);
    assert_true(provision_is_filter(SPAN_LIT("$dps/registrations/res/#")));
    assert_false(provision_is_filter(SPAN_LIT("$dps/#")));
    AUTO(buf_done) struct buf out = BUF_EMPTY;
    provision_write_topic(&out, 429, SPAN_LIT("r"), 5);
    assert_string_equal(out.ptr, "$dps/registrations/res/429/?$rid=r&retry-after=5");
    buf_clear(&out);
    provision_write_topic(&out, 200, SPAN_LIT("r"), 0);
    assert_string_equal(out.ptr, "$dps/registrations/res/200/?$rid=r");
}

static void what_a_device_writes_the_service_reads(void **state UNUSED)
{
    AUTO(buf_done) struct buf user = BUF_EMPTY;
    AUTO(buf_done) struct buf ask = BUF_EMPTY;
    AUTO(buf_done) struct buf again = BUF_EMPTY;
    const struct provision_user device = {SPAN_LIT("0ne00AB12CD"), SPAN_LIT("dev-1")};
    struct provision_user read;
    struct provision_topic topic;
    provision_write_user(&device, SPAN_LIT("x/1 2"), &user);
    assert_int_equal(provision_parse_user(buf_span(&user), &read, NULL), ERR_NONE);
    assert_true(span_is(read.id_scope, "0ne00AB12CD") && span_is(read.registration_id, "dev-1"));
    assert_non_null(strstr(user.ptr, "ClientVersion=x%2F1%202"));
    provision_write_register(&ask, SPAN_LIT("7"));
    assert_int_equal(provision_parse_topic(buf_span(&ask), &topic, NULL), ERR_NONE);
    assert_true(!topic.is_status && span_is(topic.rid, "7"));
    provision_write_status(&again, SPAN_LIT("8"), SPAN_LIT("4.a/b"));
    assert_int_equal(provision_parse_topic(buf_span(&again), &topic, NULL), ERR_NONE);
    assert_true(topic.is_status && span_is(topic.rid, "8"));
    assert_true(span_is(topic.operation_id, "4.a%2Fb") || span_is(topic.operation_id, "4.a/b"));
}

static void what_the_service_answers_the_device_reads(void **state UNUSED)
{
    static const struct {
        const char *text;
        int status; /* 0: no answer */
        unsigned retry_s;
    } rows[] = {
        {"$dps/registrations/res/202/?$rid=7&retry-after=3", 202, 3},
        {"$dps/registrations/res/200/?$rid=7", 200, 0},
        {"$dps/registrations/res/429/?$rid=7&retry-after=99999999", 429, 0},
        {"$dps/registrations/res/429/?$rid=7&retry-after=x", 429, 0},
        {"$dps/registrations/res/200/", 0, 0},
        {"$dps/registrations/res/200/?retry-after=3", 0, 0},
        {"$dps/registrations/res/2000/?$rid=7", 0, 0},
        {"$dps/registrations/res/?$rid=7", 0, 0},
        {"$iothub/twin/res/200/?$rid=7", 0, 0},
        {"", 0, 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct provision_answer answer;
        enum err err = provision_parse_answer(span_of(rows[i].text), &answer, NULL);
        if (err != (rows[i].status == 0 ? ERR_NOT_FOUND : ERR_NONE))
            fail_msg("%s: %d", rows[i].text, (int)err);
        if (err != ERR_NONE)
            continue;
        assert_int_equal(answer.status, rows[i].status);
        assert_int_equal(answer.retry_s, rows[i].retry_s);
        assert_true(span_is(answer.rid, "7"));
    }
    AUTO(buf_done) struct buf topic = BUF_EMPTY;
    struct provision_answer answer;
    provision_write_topic(&topic, 202, SPAN_LIT("9"), 5);
    assert_int_equal(provision_parse_answer(buf_span(&topic), &answer, NULL), ERR_NONE);
    assert_int_equal(answer.retry_s, 5);
}

static void a_device_of_a_group_has_the_key_that_azure_documents(void **state UNUSED)
{
    AUTO(buf_done) struct buf key = BUF_EMPTY;
    assert_int_equal(
        provision_write_device_key(
            SPAN_LIT(
                "8isrFI1sGsIlvvFSSFRiMfCNzv21fjbE/+ah/lSh3lF8e2YG1Te7w1KpZhJFFXJrqYKi9yegxkqIChbq"
                "OS9Egw=="),
            SPAN_LIT("sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6"), &key, NULL),
        ERR_NONE);
    assert_string_equal(key.ptr, "Jsm0lyGpjaVYVP2g3FnmnmG9dI/9qU24wNoykUmermc=");
    assert_int_equal(
        provision_write_device_key(SPAN_LIT("no base64"), SPAN_LIT("d"), &key, NULL), ERR_FORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_device_of_a_group_has_the_key_that_azure_documents),
        cmocka_unit_test(user_names_of_provisioning_are_told_from_those_of_hubs),
        cmocka_unit_test(what_a_device_writes_the_service_reads),
        cmocka_unit_test(what_the_service_answers_the_device_reads),
        cmocka_unit_test(ids_hold_what_azure_allows),
        cmocka_unit_test(topics_are_read_and_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
