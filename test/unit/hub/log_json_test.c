/* SPDX-License-Identifier: Apache-2.0 */
#include "log_json.h"

#include <setjmp.h>

#include <cmocka.h>

static void an_entry_is_one_object_on_one_line(void **state UNUSED)
{
    AUTO(buf_done) struct buf out = BUF_EMPTY;
    log_json_write(0, LOG_LEVEL_WARN, "gateway", "a \"quoted\" \\ sentence", &out);
    log_json_write(1700000000000000, LOG_LEVEL_ERROR, "hub", "", &out);
    buf_add_byte(&out, '\0');
    assert_string_equal(out.ptr,
        "{\"time\":\"1970-01-01T00:00:00.0000000Z\",\"level\":\"warn\",\"part\":\"gateway\","
        "\"message\":\"a \\\"quoted\\\" \\\\ sentence\"}\n"
        "{\"time\":\"2023-11-14T22:13:20.0000000Z\",\"level\":\"error\",\"part\":\"hub\","
        "\"message\":\"\"}\n");
}

/* What a client sent may stand in a sentence: it must not end the line or the text. */
static void bytes_that_are_no_text_stay_inside(void **state UNUSED)
{
    AUTO(buf_done) struct buf out = BUF_EMPTY;
    log_json_write(0, LOG_LEVEL_INFO, "hub", "a\nb\xFF\x01", &out);
    size_t lines = 0;
    for (size_t i = 0; i < out.len; i++)
        lines += out.ptr[i] == '\n';
    assert_int_equal(lines, 1);
    assert_true(span_is_utf8(buf_span(&out)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_entry_is_one_object_on_one_line),
        cmocka_unit_test(bytes_that_are_no_text_stay_inside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
