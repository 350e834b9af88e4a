/* SPDX-License-Identifier: Apache-2.0 */
#include "connstr.h"

#include <setjmp.h>

#include <cmocka.h>

#define S(literal) SPAN_LIT(literal)
#define KEY "MDEyMzQ1Njc4OWFiY2RlZg=="

static void all_fields_are_read_in_any_order_and_case(void **state UNUSED)
{
    struct connstr c = {0};
    assert_int_equal(
        connstr_parse(
            S("SharedAccessKey=" KEY ";moduleid=m=1;DEVICEID=d;1?no;HostName=h:8443"), &c, NULL),
        ERR_FORMAT); /* an id with ';' cannot be told from a field */
    assert_int_equal(connstr_parse(S("SharedAccessKey=" KEY
                                     ";moduleid=m=1;DEVICEID=d1;HostName=h:8443;GatewayHostName=g"),
                         &c, NULL),
        ERR_NONE);
    assert_true(span_is(c.host_name, "h:8443"));
    assert_true(span_is(c.gateway_host_name, "g"));
    assert_true(span_is(c.device_id, "d1"));
    assert_true(span_is(c.module_id, "m=1"));
    assert_true(span_is(c.key, KEY));
    assert_false(c.x509);
}

static void what_editors_leave_around_it_is_passed_over(void **state UNUSED)
{
    const struct span rows[] = {
        S("HostName=h;DeviceId=d;SharedAccessKey=" KEY),
        S("HostName=h;DeviceId=d;SharedAccessKey=" KEY "\n"),
        S("\xEF\xBB\xBFHostName=h;DeviceId=d;SharedAccessKey=" KEY "\r\n"),
        S("  HostName=h ; DeviceId = d;\n SharedAccessKey=" KEY ";\t\n\n"),
        S("HostName=h;;DeviceId=d;SharedAccessKey=" KEY ";"),
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct connstr c = {0};
        struct buf out = BUF_EMPTY;
        assert_int_equal(connstr_parse(rows[i], &c, NULL), ERR_NONE);
        connstr_write(&c, &out);
        assert_string_equal(out.ptr, "HostName=h;DeviceId=d;SharedAccessKey=" KEY);
        buf_done(&out);
    }
}

static void a_bad_text_is_refused_and_its_key_not_shown(void **state UNUSED)
{
    const struct {
        struct span text;
        const char *part;
    } rows[] = {
        {S(""), "is empty"},
        {S(" \n"), "is empty"},
        {S("HostName"), "no \"name=value\""},
        {S(KEY), "no \"name=value\""},
        {S("c2VjcmV0LWtleS1zZWNyZXQta2V5LXNlY3JldC1rZXk="), "no \"name=value\""},
        {S("HostName=h;HostName=h"), "HostName twice"},
        {S("HostName=;DeviceId=d"), "no value for HostName"},
        {S("HostName=h;SharedAccessKey=" KEY ";Endpoint=sb"), "unknown field \"Endpoint\""},
        {S("HostName=h;DeviceID2=d"), "unknown field \"DeviceID2\""},
        {S("HostName=a b"), "HostName of the connection string is no host name"},
        {S("HostName=https://h"), "HostName of the connection string is no host name"},
        {S("HostName=h;GatewayHostName=/"), "GatewayHostName"},
        {S("HostName=h;x509=yes"), "neither true nor false"},
        {S("HostName=h;=x"), "no \"name=value\""},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct connstr c = {0};
        struct why why = {""};
        assert_int_equal(connstr_parse(rows[i].text, &c, &why), ERR_FORMAT);
        assert_null(c.host_name.ptr);
        if (strstr(why.text, rows[i].part) == NULL)
            fail_msg("row %zu: %s", i, why.text);
        assert_null(strstr(why.text, "MDEyMz"));
        assert_null(strstr(why.text, "c2Vjcm"));
    }
}

static void what_a_device_and_a_service_need_is_named(void **state UNUSED)
{
    const struct {
        struct span text;
        const char *device; /* a part of the sentence; NULL: accepted */
        const char *service;
    } rows[] = {
        {S("HostName=h;DeviceId=d;SharedAccessKey=" KEY), NULL, "that of a device"},
        {S("HostName=h;DeviceId=d;ModuleId=m;SharedAccessKey=" KEY), NULL, "that of a device"},
        {S("HostName=h;DeviceId=d;x509=true"), NULL, "that of a device"},
        {S("HostName=h;DeviceId=d;SharedAccessSignature=SharedAccessSignature sr=a&sig=b&se=1"),
            NULL, "that of a device"},
        {S("HostName=h;DeviceId=d;x509=false"), "no SharedAccessKey,", "that of a device"},
        {S("HostName=h;DeviceId=d"), "no SharedAccessKey,", "that of a device"},
        {S("HostName=h;DeviceId=d;x509=true;SharedAccessKey=" KEY), "more than one of",
            "that of a device"},
        {S("DeviceId=d;SharedAccessKey=" KEY), "no HostName", "no HostName"},
        {S("HostName=h;SharedAccessKeyName=iothubowner;SharedAccessKey=" KEY), "no DeviceId", NULL},
        {S("HostName=h;SharedAccessKeyName=iothubowner"), "no DeviceId", "no SharedAccessKey or"},
        {S("HostName=h;SharedAccessKey=" KEY), "no DeviceId", "no SharedAccessKeyName"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct connstr c = {0};
        struct why why = {""};
        assert_int_equal(connstr_parse(rows[i].text, &c, NULL), ERR_NONE);
        assert_int_equal(
            connstr_check_device(&c, &why), rows[i].device == NULL ? ERR_NONE : ERR_FORMAT);
        if (rows[i].device != NULL)
            assert_non_null(strstr(why.text, rows[i].device));
        assert_int_equal(
            connstr_check_service(&c, &why), rows[i].service == NULL ? ERR_NONE : ERR_FORMAT);
        if (rows[i].service != NULL)
            assert_non_null(strstr(why.text, rows[i].service));
    }
}

static void fields_are_written_in_the_order_of_the_azure_tools(void **state UNUSED)
{
    struct buf out = BUF_EMPTY;
    const struct connstr module = {.host_name = S("h"),
        .device_id = S("d"),
        .module_id = S("m"),
        .x509 = true,
        .gateway_host_name = S("g")};
    connstr_write(&module, &out);
    assert_string_equal(out.ptr, "HostName=h;DeviceId=d;ModuleId=m;x509=true;GatewayHostName=g");
    buf_clear(&out);
    const struct connstr service = {
        .host_name = S("h"), .key_name = S("iothubowner"), .key = S(KEY)};
    connstr_write(&service, &out);
    assert_string_equal(out.ptr, "HostName=h;SharedAccessKeyName=iothubowner;SharedAccessKey=" KEY);
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_fields_are_read_in_any_order_and_case),
        cmocka_unit_test(what_editors_leave_around_it_is_passed_over),
        cmocka_unit_test(a_bad_text_is_refused_and_its_key_not_shown),
        cmocka_unit_test(what_a_device_and_a_service_need_is_named),
        cmocka_unit_test(fields_are_written_in_the_order_of_the_azure_tools),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
