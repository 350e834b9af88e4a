/* SPDX-License-Identifier: Apache-2.0 */
#include "base64.h"

#include <setjmp.h>

#include <cmocka.h>

#define S(literal) SPAN_LIT(literal)
#define FIXED(literal)                                                                             \
    {                                                                                              \
        "" literal, sizeof(literal) - 1                                                            \
    }

/* RFC 4648, section 10, and both odd characters of the alphabet. */
static const struct {
    struct span bytes;
    struct span text;
} pairs[] = {
    {FIXED(""), FIXED("")},
    {FIXED("f"), FIXED("Zg==")},
    {FIXED("fo"), FIXED("Zm8=")},
    {FIXED("foo"), FIXED("Zm9v")},
    {FIXED("foob"), FIXED("Zm9vYg==")},
    {FIXED("fooba"), FIXED("Zm9vYmE=")},
    {FIXED("foobar"), FIXED("Zm9vYmFy")},
    {FIXED("\xFB\xFF\xBF"), FIXED("+/+/")},
    {FIXED("\0\0"), FIXED("AAA=")},
};

static void bytes_and_text_match_both_ways(void **state UNUSED)
{
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        struct buf out = BUF_EMPTY;
        uint8_t bytes[8];
        size_t len = 99;
        base64_write(pairs[i].bytes, &out);
        assert_true(span_eq(buf_span(&out), pairs[i].text));
        assert_int_equal(base64_decode(pairs[i].text, bytes, sizeof(bytes), &len, NULL), ERR_NONE);
        assert_true(span_eq((struct span){(char *)bytes, len}, pairs[i].bytes));
        buf_done(&out);
    }
}

static void what_is_no_base64_is_refused_and_never_shown(void **state UNUSED)
{
    const struct span rows[] = {S("Zg"), S("Zg="), S("Zg==\n"), S("Zm9v "), S("Z==="), S("===="),
        S("Zm=v"), S("=Zm9"), S("Zm9-"), S("Zm9_"), S("Zm\0v"), S("Zm9vZm9vZm9v")};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct why why = {""};
        uint8_t bytes[8];
        size_t len = 99;
        assert_int_equal(base64_decode(rows[i], bytes, sizeof(bytes), &len, &why), ERR_FORMAT);
        assert_int_equal(len, 99);
        assert_int_not_equal(why.text[0], '\0');
        assert_null(strstr(why.text, "Zm"));
    }
}

static void a_key_has_16_to_64_bytes(void **state UNUSED)
{
    char bytes[65] = {0};
    for (size_t len = 0; len <= sizeof(bytes); len++) {
        struct buf out = BUF_EMPTY;
        base64_write((struct span){bytes, len}, &out);
        assert_int_equal(base64_check_key(buf_span(&out), NULL),
            len >= 16 && len <= 64 ? ERR_NONE : ERR_ARGUMENT);
        buf_done(&out);
    }
    assert_int_equal(base64_check_key(S("not a key"), NULL), ERR_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_and_text_match_both_ways),
        cmocka_unit_test(what_is_no_base64_is_refused_and_never_shown),
        cmocka_unit_test(a_key_has_16_to_64_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
