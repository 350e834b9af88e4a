/* SPDX-License-Identifier: Apache-2.0 */
#include "host.h"

#include <setjmp.h>

#include <cmocka.h>

#define S(literal) SPAN_LIT(literal)

static void host_and_port_are_cut_apart(void **state UNUSED)
{
    const struct {
        struct span text;
        const char *host;
        const char *port;
    } rows[] = {
        {S("hub.local"), "hub.local", ""},
        {S("hub.local:8443"), "hub.local", "8443"},
        {S("hub.local:"), "hub.local", ""},
        {S("[::1]:8443"), "[::1]", "8443"},
        {S("[::1]"), "[::1]", ""},
        {S("::1"), "::1", ""},
        {S("fe80::1:2"), "fe80::1:2", ""},
        {S("127.0.0.1:1"), "127.0.0.1", "1"},
        {S(""), "", ""},
        {S(":1"), "", "1"},
        {S("[::1"), "[::1", ""},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct span host;
        struct span port;
        host_split(rows[i].text, &host, &port);
        assert_true(span_is(host, rows[i].host));
        assert_true(span_is(port, rows[i].port));
    }
}

static void hosts_are_told_apart_by_their_normal_form(void **state UNUSED)
{
    const struct {
        struct span text;
        const char *normal; /* "": no host name */
    } rows[] = {
        {S("Hub.Local"), "hub.local"},
        {S("HUB.local:18883"), "hub.local"},
        {S("hub.local."), "hub.local"},
        {S("hub.local.:443"), "hub.local"},
        {S("my_hub-1"), "my_hub-1"},
        {S("[FE80::1]:8443"), "fe80::1"},
        {S("::FFFF:127.0.0.1"), "::ffff:127.0.0.1"},
        {S("hub.local:"), ""},
        {S("hub.local:0"), ""},
        {S("hub.local:65535"), "hub.local"},
        {S("hub.local:65536"), ""},
        {S("hub.local:x"), ""},
        {S("hub local"), ""},
        {S("hub/local"), ""},
        {S("hub\0"), ""},
        {S("h\xC3\xBC"), ""},
        {S("[]"), ""},
        {S("[::1"), ""},
        {S("[::1]x"), ""},
        {S("[::g]"), ""},
        {S(""), ""},
        {S(":443"), ""},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char text[HOST_SIZE];
        struct span normal = host_normalise(rows[i].text, text);
        if (!span_is(normal, rows[i].normal))
            fail_msg("row %zu: \"%.*s\"", i, SPAN_ARG(normal));
    }
}

static void a_name_that_is_too_long_is_none(void **state UNUSED)
{
    char text[HOST_SIZE + 1];
    char normal[HOST_SIZE];
    memset(text, 'a', sizeof(text));
    assert_int_equal(host_normalise((struct span){text, HOST_SIZE - 1}, normal).len, HOST_SIZE - 1);
    assert_int_equal(host_normalise((struct span){text, HOST_SIZE}, normal).len, 0);
}

static void equal_hosts_may_be_written_differently(void **state UNUSED)
{
    assert_true(host_equal(S("Hub.local"), S("hub.LOCAL:8883")));
    assert_true(host_equal(S("[::1]:1"), S("::1")));
    assert_false(host_equal(S("hub.local"), S("hub.locale")));
    assert_false(host_equal(S(""), S("")));
    assert_false(host_equal(S("a b"), S("a b")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(host_and_port_are_cut_apart),
        cmocka_unit_test(hosts_are_told_apart_by_their_normal_form),
        cmocka_unit_test(a_name_that_is_too_long_is_none),
        cmocka_unit_test(equal_hosts_may_be_written_differently),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
