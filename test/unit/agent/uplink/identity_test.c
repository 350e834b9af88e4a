/* SPDX-License-Identifier: Apache-2.0 */
#include "identity.h"
#include "target.h"

#include "mem.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define KEY "MDEyMzQ1Njc4OWFiY2RlZg=="

static char dir[64];
static char path[128]; /* of the file */

static int set_up(void **state UNUSED)
{
    snprintf(dir, sizeof(dir), "/tmp/gemel-identity-XXXXXX");
    if (mkdtemp(dir) == NULL)
        return -1;
    snprintf(path, sizeof(path), "%s/connection_string.txt", dir);
    return 0;
}

static int tear_down(void **state UNUSED)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    return system(command);
}

static void write_string(const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

#define PATH "/$iothub/websocket?iothub-no-client-cert=true"

static void a_good_file_says_where_and_as_whom_to_connect(void **state UNUSED)
{
    static const struct {
        const char *text;
        const char *uri;
        const char *websocket_uri;
        const char *username;
    } rows[] = {
        {"HostName=h.example;DeviceId=d;ModuleId=m;SharedAccessKey=" KEY, "ssl://h.example:8883",
            "wss://h.example:443" PATH,
            "h.example/d/m/?api-version=2021-04-12&DeviceClientType=gemel-agent%2F1.2.3"},
        {"HostName=Hub.Local:18883;DeviceId=d;ModuleId=m;SharedAccessKey=" KEY "\r\n",
            "ssl://Hub.Local:18883", "wss://Hub.Local:18883" PATH,
            "Hub.Local:18883/d/m/?api-version=2021-04-12&DeviceClientType=gemel-agent%2F1.2.3"},
        {"HostName=h;DeviceId=d;ModuleId=m;SharedAccessKey=" KEY ";GatewayHostName=gw:99",
            "ssl://gw:99", "wss://gw:99" PATH,
            "h/d/m/?api-version=2021-04-12&DeviceClientType=gemel-agent%2F1.2.3"},
        {"HostName=h;DeviceId=d;ModuleId=m;SharedAccessKey=" KEY ";GatewayHostName=::1",
            "ssl://[::1]:8883", "wss://[::1]:443" PATH,
            "h/d/m/?api-version=2021-04-12&DeviceClientType=gemel-agent%2F1.2.3"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct identity identity;
        struct why why = {""};
        AUTO(buf_done) struct buf uri = BUF_EMPTY;
        AUTO(buf_done) struct buf websocket_uri = BUF_EMPTY;
        AUTO(buf_done) struct buf username = BUF_EMPTY;
        AUTO(buf_done) struct buf client_id = BUF_EMPTY;
        AUTO(buf_done) struct buf password = BUF_EMPTY;
        write_string(rows[i].text);
        assert_int_equal(identity_load(path, &identity, &why), ERR_NONE);
        target_write_uri(identity_host(&identity), TRANSPORT_MQTT, false, &uri);
        target_write_uri(identity_host(&identity), TRANSPORT_MQTT_WEBSOCKET, false, &websocket_uri);
        identity_write_username(&identity, "1.2.3", &username);
        identity_write_client_id(&identity, &client_id);
        assert_int_equal(identity_write_password(&identity, 1700000000, &password, &why), ERR_NONE);
        assert_string_equal(uri.ptr, rows[i].uri);
        assert_string_equal(websocket_uri.ptr, rows[i].websocket_uri);
        assert_string_equal(username.ptr, rows[i].username);
        assert_string_equal(client_id.ptr, "d/m");
        assert_non_null(strstr(password.ptr, "SharedAccessSignature sr="));
        assert_non_null(strstr(password.ptr, "se=1700000000"));
        identity_done(&identity);
    }
}

static void a_given_signature_and_a_certificate_need_no_key(void **state UNUSED)
{
    struct identity identity;
    AUTO(buf_done) struct buf password = BUF_EMPTY;
    write_string("HostName=h;DeviceId=d;ModuleId=m;x509=true");
    assert_int_equal(identity_load(path, &identity, NULL), ERR_NONE);
    assert_int_equal(identity_write_password(&identity, 1, &password, NULL), ERR_NONE);
    assert_int_equal(password.len, 0);
    identity_done(&identity);
    write_string("HostName=h;DeviceId=d;ModuleId=m;"
                 "SharedAccessSignature=SharedAccessSignature sr=h&sig=x&se=1");
    assert_int_equal(identity_load(path, &identity, NULL), ERR_NONE);
    assert_int_equal(identity_write_password(&identity, 1, &password, NULL), ERR_NONE);
    assert_string_equal(password.ptr, "SharedAccessSignature sr=h&sig=x&se=1");
    identity_done(&identity);
}

static void a_bad_file_gets_a_sentence_with_its_path_and_without_the_key(void **state UNUSED)
{
    static const char *const texts[] = {"", "  \n", "nonsense", "HostName=h",
        "HostName=h;DeviceId=d;SharedAccessKey=" KEY, "HostName=h;DeviceId=d;ModuleId=m",
        "HostName=h;DeviceId=d;ModuleId=m;SharedAccessKey=" KEY ";Colour=red",
        "HostName=h;DeviceId=d d;ModuleId=m;SharedAccessKey=" KEY,
        "HostName=h h;DeviceId=d;ModuleId=m;SharedAccessKey=" KEY,
        "HostName=h:0;DeviceId=d;ModuleId=m;SharedAccessKey=" KEY,
        "HostName=h;DeviceId=d;ModuleId=m;SharedAccessKey=" KEY ";GatewayHostName=a b",
        "HostName=h;DeviceId=d;ModuleId=m;SharedAccessKey=no base64"};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct identity identity;
        struct why why = {""};
        write_string(texts[i]);
        assert_int_equal(identity_load(path, &identity, &why), ERR_FORMAT);
        assert_non_null(strstr(why.text, dir));
        assert_non_null(strstr(why.text, "HostName=…;DeviceId=…;ModuleId="));
        assert_null(strstr(why.text, KEY));
    }
}

static void a_missing_file_is_named(void **state UNUSED)
{
    struct identity identity;
    struct why why = {""};
    assert_int_equal(identity_load(path, &identity, &why), ERR_NOT_FOUND);
    assert_non_null(strstr(why.text, "connection_string.txt"));
}

static void want_of_memory_is_an_error_like_others(void **state UNUSED)
{
    write_string("HostName=h;DeviceId=d;ModuleId=m;SharedAccessKey=" KEY);
    for (long n = 0;; n++) {
        struct identity identity = {.text = BUF_EMPTY};
        AUTO(buf_done) struct buf password = BUF_EMPTY;
        mem_fail_after(n);
        enum err err = identity_load(path, &identity, NULL);
        if (err == ERR_NONE)
            err = identity_write_password(&identity, 1, &password, NULL);
        mem_fail_after(-1);
        identity_done(&identity);
        if (err == ERR_NONE)
            break;
        assert_int_equal(err, ERR_MEMORY);
        assert_true(n < 50);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(a_good_file_says_where_and_as_whom_to_connect),
        TEST(a_given_signature_and_a_certificate_need_no_key),
        TEST(a_bad_file_gets_a_sentence_with_its_path_and_without_the_key),
        TEST(a_missing_file_is_named), TEST(want_of_memory_is_an_error_like_others)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
