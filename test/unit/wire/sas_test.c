/* SPDX-License-Identifier: Apache-2.0 */
#include "in_arena.h"
#include "sas.h"

#include <setjmp.h>

#include <cmocka.h>

#define S(literal) SPAN_LIT(literal)

/* Made with the SDKs for Node. */
#define KEY "MDEyMzQ1Njc4OWFiY2RlZg=="
#define SIG_DEVICE "FH8lsfemARbOSc99eFUbgycd%2Bm43xWf8welOKzgtk2U%3D"
#define SIG_HUB "XreRNRD6v4lYz6xdf8ka3COLCDe0NYIHzYQGg5%2BQ6aA%3D"
#define DEVICE_TOKEN                                                                               \
    "SharedAccessSignature sr=Hub.local%2Fdevices%2Fd%231%2Fx&sig=" SIG_DEVICE "&se=1700000000"
#define HUB_TOKEN "SharedAccessSignature sr=hub.local&sig=" SIG_HUB "&skn=iothubowner&se=1700000000"

static struct sas must_parse(struct span token)
{
    struct sas sas;
    struct why why = {""};
    if (sas_parse(&arena, token, &sas, &why) != ERR_NONE)
        fail_msg("%.*s: %s", SPAN_ARG(token), why.text);
    return sas;
}

static void the_tokens_of_the_sdk_are_read_and_verified(void **state UNUSED)
{
    struct sas sas = must_parse(S(DEVICE_TOKEN));
    assert_true(span_is(sas.host, "hub.local"));
    assert_true(span_is(sas.path, "devices/d#1/x"));
    assert_int_equal(sas.policy.len, 0);
    assert_int_equal(sas.expires_s, 1700000000);
    assert_int_equal(sas_check_signature(&sas, S(KEY), NULL), ERR_NONE);
    sas = must_parse(S(HUB_TOKEN));
    assert_int_equal(sas.path.len, 0);
    assert_true(span_is(sas.policy, "iothubowner"));
    assert_int_equal(sas_check_signature(&sas, S(KEY), NULL), ERR_NONE);
}

static void order_is_free_and_unknown_fields_are_ignored(void **state UNUSED)
{
    struct sas sas = must_parse(S("SharedAccessSignature x=1&se=1700000000&skn=&sig=" SIG_DEVICE
                                  "&&sr=Hub.local%2Fdevices%2Fd%231%2Fx&sign=2"));
    assert_int_equal(sas_check_signature(&sas, S(KEY), NULL), ERR_NONE);
}

static void any_other_text_or_key_is_another_signature(void **state UNUSED)
{
    const struct {
        struct span token;
        struct span key;
    } rows[] = {
        {S(DEVICE_TOKEN), S("MDEyMzQ1Njc4OWFiY2RlZw==")},
        {S(DEVICE_TOKEN), S("")},
        {S(DEVICE_TOKEN), S("not base64")},
        {S("SharedAccessSignature sr=hub.local%2Fdevices%2Fd%231%2Fx&sig=" SIG_DEVICE
           "&se=1700000000"),
            S(KEY)},
        {S("SharedAccessSignature sr=Hub.local%2fdevices%2Fd%231%2Fx&sig=" SIG_DEVICE
           "&se=1700000000"),
            S(KEY)},
        {S("SharedAccessSignature sr=Hub.local%2Fdevices%2Fd%231%2Fx&sig=" SIG_DEVICE
           "&se=1700000001"),
            S(KEY)},
        {S("SharedAccessSignature sr=Hub.local%2Fdevices%2Fd%231%2Fx&sig=" SIG_DEVICE
           "&se=01700000000"),
            S(KEY)},
        {S("SharedAccessSignature sr=Hub.local%2Fdevices%2Fd%231%2Fx&sig=" SIG_HUB
           "&se=1700000000"),
            S(KEY)},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct sas sas = must_parse(rows[i].token);
        struct why why = {""};
        assert_int_equal(sas_check_signature(&sas, rows[i].key, &why), ERR_UNAUTHORIZED);
        assert_int_not_equal(why.text[0], '\0');
    }
}

/* A signature made with the empty key proves nothing: anybody can make it. */
static void an_empty_key_verifies_nothing(void **state UNUSED)
{
    struct sas sas = must_parse(
        S("SharedAccessSignature sr=h&sig=OdHAuIKVNEWAaE1SzharSpEnNm0jw3PWj9kisSXFqZs%3D&se=1"));
    assert_int_equal(sas_check_signature(&sas, S(""), NULL), ERR_UNAUTHORIZED);
}

static void what_is_no_token_is_refused(void **state UNUSED)
{
    const struct span rows[] = {
        S(""),
        S("Bearer x"),
        S("SharedAccessSignature"),
        S("SharedAccessSignature "),
        S("sharedaccesssignature sr=h&sig=" SIG_HUB "&se=1"),
        S("SharedAccessSignature sig=" SIG_HUB "&se=1"),
        S("SharedAccessSignature sr=&sig=" SIG_HUB "&se=1"),
        S("SharedAccessSignature sr=h&se=1"),
        S("SharedAccessSignature sr=h&sig=&se=1"),
        S("SharedAccessSignature sr=h&sig=" SIG_HUB),
        S("SharedAccessSignature sr=h&sig=" SIG_HUB "&se="),
        S("SharedAccessSignature sr=h&sig=" SIG_HUB "&se=-1"),
        S("SharedAccessSignature sr=h&sig=" SIG_HUB "&se=1.5"),
        S("SharedAccessSignature sr=h&sig=" SIG_HUB "&se=9223372036854775807"),
        S("SharedAccessSignature sr=h&sig=" SIG_HUB "&se=99999999999999999999"),
        S("SharedAccessSignature sr=h&sig=AAAA&se=1"),
        S("SharedAccessSignature sr=h&sig=%zz&se=1"),
        S("SharedAccessSignature sr=h&sig=" SIG_HUB "AAAA&se=1"),
        S("SharedAccessSignature sr=h%2&sig=" SIG_HUB "&se=1"),
        S("SharedAccessSignature sr=%FF&sig=" SIG_HUB "&se=1"),
        S("SharedAccessSignature sr=%2Fdevices&sig=" SIG_HUB "&se=1"),
        S("SharedAccessSignature sr=h%00&sig=" SIG_HUB "&se=1"),
        S("SharedAccessSignature sr=h h&sig=" SIG_HUB "&se=1"),
        S("SharedAccessSignature sr=h&sr=h&sig=" SIG_HUB "&se=1"),
        S("SharedAccessSignature sr=h&sig=" SIG_HUB "&se=1&se=2"),
        S("SharedAccessSignature sr=h&sig=" SIG_HUB "&se=1&skn=%FF"),
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct sas sas;
        struct why why = {""};
        if (sas_parse(&arena, rows[i], &sas, &why) != ERR_UNAUTHORIZED)
            fail_msg("accepted: %.*s", SPAN_ARG(rows[i]));
        assert_null(strstr(why.text, "XreRNRD6v4lYz"));
    }
}

#define TOKEN(sr) S("SharedAccessSignature sr=" sr "&sig=" SIG_HUB "&se=1")

static void a_resource_covers_what_lies_below_it(void **state UNUSED)
{
    const struct {
        struct span token;
        const char *path;
        bool covers;
    } rows[] = {
        {TOKEN("h"), "devices/d1", true},
        {TOKEN("h"), "", true},
        {TOKEN("h%2F"), "devices/d1", true},
        {TOKEN("h%2Fdevices"), "devices/d1", true},
        {TOKEN("h%2Fdevices%2Fd1"), "devices/d1", true},
        {TOKEN("H:8883%2fDevices%2fd1"), "devices/d1", true},
        {TOKEN("h/devices/d1"), "devices/d1", true},
        {TOKEN("h%2Fdevices%2Fd1%2F"), "devices/d1", true},
        {TOKEN("h%2Fdevices%2Fd1"), "devices/d1/modules/m1", true},
        {TOKEN("h%2Fdevices%2Fd1%2Fmodules%2Fm1"), "devices/d1/modules/m1", true},
        {TOKEN("h%2Fdevices%2Fd1%2Fapi-version%3D2016-11-14"), "devices/d1", true},
        {TOKEN("h%2Fapi-version%3D2016-11-14"), "devices/d1", true},
        {TOKEN("h%2Fdevices%2Fd%231"), "devices/d#1", true},
        {TOKEN("h%2Fdevices%2Fd%25231"), "devices/d#1", true}, /* encoded twice */
        {TOKEN("h%2Fdevices%2Fd%25"), "devices/d%", true},
        {TOKEN("h%2Fdevices%2FD1"), "devices/d1", false},
        {TOKEN("h%2Fdevices%2Fd"), "devices/d1", false},
        {TOKEN("h%2Fdevices%2Fd11"), "devices/d1", false},
        {TOKEN("h%2Fdevice"), "devices/d1", false},
        {TOKEN("h%2Fdevices%2F%2Fd1"), "devices/d1", false},
        {TOKEN("h%2Fdevices%2Fd1"), "", false},
        {TOKEN("h%2Fdevices%2Fd1"), "devices", false},
        {TOKEN("h%2Fdevices%2Fd1%2Fmodules"), "devices/d1", false},
        {TOKEN("h%2Fdevices%2Fd1%2Fmodules%2Fm1"), "devices/d1", false},
        {TOKEN("h%2Fdevices%2Fd1%2Fmodules%2Fm1"), "devices/d1/modules/m2", false},
        {TOKEN("h%2Fdevices%2Fd1%2Fmodules%2FM1"), "devices/d1/modules/m1", false},
        {TOKEN("h%2Fdevices%2Fd1%2Fapi-versions"), "devices/d1", false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct sas sas = must_parse(rows[i].token);
        enum err want = rows[i].covers ? ERR_NONE : ERR_UNAUTHORIZED;
        assert_true(span_is(sas.host, "h"));
        if (sas_check_audience(&sas, span_of(rows[i].path), NULL) != want)
            fail_msg("row %zu: %.*s", i, SPAN_ARG(rows[i].token));
    }
}

static void a_token_is_good_until_expiry_and_skew_have_passed(void **state UNUSED)
{
    const struct {
        int64_t now_us;
        unsigned skew_s;
        bool good;
    } rows[] = {
        {0, 0, true},
        {1699999999999999, 0, true},
        {1700000000000000, 0, false},
        {1700000299999999, 300, true},
        {1700000300000000, 300, false},
    };
    struct sas sas = must_parse(S(DEVICE_TOKEN));
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_int_equal(sas_check_time(&sas, rows[i].now_us, rows[i].skew_s, NULL),
            rows[i].good ? ERR_NONE : ERR_UNAUTHORIZED);
}

static void tokens_are_signed_as_the_sdk_signs_them(void **state UNUSED)
{
    struct buf out = BUF_EMPTY;
    const struct sas_request device = {.host = S("Hub.local"),
        .device_id = S("d#1/x"),
        .key_base64 = S(KEY),
        .expires_s = 1700000000};
    assert_int_equal(sas_sign(&device, &out, NULL), ERR_NONE);
    assert_string_equal(out.ptr, DEVICE_TOKEN);
    buf_clear(&out);
    const struct sas_request service = {.host = S("hub.local"),
        .policy = S("iothubowner"),
        .key_base64 = S(KEY),
        .expires_s = 1700000000};
    assert_int_equal(sas_sign(&service, &out, NULL), ERR_NONE);
    assert_string_equal(out.ptr,
        "SharedAccessSignature sr=hub.local&sig=" SIG_HUB "&se=1700000000&skn=iothubowner");
    buf_done(&out);
}

static void a_signed_token_verifies(void **state UNUSED)
{
    struct buf out = BUF_EMPTY;
    const struct sas_request request = {.host = S("hub.local:18883"),
        .device_id = S("d%1"),
        .module_id = S("$m"),
        .key_base64 = S(KEY),
        .expires_s = 5};
    assert_int_equal(sas_sign(&request, &out, NULL), ERR_NONE);
    struct sas sas = must_parse(buf_span(&out));
    assert_int_equal(sas_check_signature(&sas, S(KEY), NULL), ERR_NONE);
    assert_true(span_is(sas.host, "hub.local"));
    struct buf path = BUF_EMPTY;
    sas_write_path(&path, request.device_id, request.module_id);
    assert_int_equal(sas_check_audience(&sas, buf_span(&path), NULL), ERR_NONE);
    buf_done(&path);
    buf_done(&out);
}

static void a_bad_key_signs_nothing_and_is_not_shown(void **state UNUSED)
{
    const struct span keys[] = {S(""), S("c2VjcmV0LWtleQ"), S("?secret-key?")};
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        struct buf out = BUF_EMPTY;
        struct why why = {""};
        const struct sas_request request = {.host = S("h"), .key_base64 = keys[i]};
        assert_int_equal(sas_sign(&request, &out, &why), ERR_ARGUMENT);
        assert_int_equal(out.len, 0);
        if (keys[i].len > 0)
            assert_null(strstr(why.text, keys[i].ptr));
        buf_done(&out);
    }
}

static void running_out_of_memory_is_told_at_every_step(void **state UNUSED)
{
    enum err err = ERR_MEMORY;
    long steps = 0;
    for (; err == ERR_MEMORY; steps++) {
        struct buf out = BUF_EMPTY;
        struct sas sas;
        const struct sas_request request = {
            .host = S("hub.local"), .device_id = S("d"), .key_base64 = S(KEY)};
        arena_done(&arena);
        mem_fail_after(steps);
        err = sas_sign(&request, &out, NULL);
        if (err == ERR_NONE)
            err = sas_parse(&arena, buf_span(&out), &sas, NULL);
        if (err == ERR_NONE)
            err = sas_check_signature(&sas, S(KEY), NULL);
        mem_fail_after(-1);
        buf_done(&out);
    }
    assert_int_equal(err, ERR_NONE);
    assert_true(steps > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tokens_of_the_sdk_are_read_and_verified),
        cmocka_unit_test(order_is_free_and_unknown_fields_are_ignored),
        cmocka_unit_test(any_other_text_or_key_is_another_signature),
        cmocka_unit_test(an_empty_key_verifies_nothing),
        cmocka_unit_test(what_is_no_token_is_refused),
        cmocka_unit_test(a_resource_covers_what_lies_below_it),
        cmocka_unit_test(a_token_is_good_until_expiry_and_skew_have_passed),
        cmocka_unit_test(tokens_are_signed_as_the_sdk_signs_them),
        cmocka_unit_test(a_signed_token_verifies),
        cmocka_unit_test(a_bad_key_signs_nothing_and_is_not_shown),
        cmocka_unit_test(running_out_of_memory_is_told_at_every_step),
    };
    return cmocka_run_group_tests(tests, open_arena, close_arena);
}
