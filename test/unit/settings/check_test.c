/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "judging.h"

#include <stdlib.h>
#include <unistd.h>

static enum check_exit check(const char *text, bool json_output, struct buf *out, struct buf *err)
{
    buf_clear(out);
    buf_clear(err);
    return check_text("FILE", span_of(text), json_output, out, err);
}

static void the_exit_status_tells_good_bad_and_unreadable_apart(void **state)
{
    static const struct {
        const char *text;
        enum check_exit result;
        const char *says;
    } cases[] = {
        {"{}", CHECK_APPLIED, "FILE: would be applied; everything has its default\n"},
        {"{\"Process_CacheSize\": 128}", CHECK_APPLIED, "  Process_CacheSize = 128\n"},
        {"{\"CollectorsCore_PriorityIntervals\": \"2,3,4\"}", CHECK_APPLIED,
            "to note:\n  CollectorsCore_PriorityIntervals: each interval should"},
        {"{\"Process_CacheSize\": 0}", CHECK_REFUSED,
            "1 bad field:\n  Process_CacheSize: 0 is below the smallest value 1; allowed"},
        {"{\"a\":1,\"b\":2}", CHECK_REFUSED, "2 bad fields:\n  a: there is no"},
        {"{\n  \"a\": 1,\n  \"b\" 2\n}", CHECK_UNREADABLE, "FILE: line 3, column 7: "},
        {"", CHECK_UNREADABLE, "FILE: line 1, column 1: "},
        {"{\"a\":1,\"a\":1}", CHECK_UNREADABLE, "stands twice"},
        {"\n [1]", CHECK_UNREADABLE,
            "FILE: line 2, column 2: the document is an array, not an object\n"},
        {"null", CHECK_UNREADABLE, "the document is null, not an object"},
    };
    (void)state;
    AUTO(buf_done) struct buf out = BUF_EMPTY;
    AUTO(buf_done) struct buf err = BUF_EMPTY;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        for (int json = 0; json < 2; json++)
            assert_int_equal(check(cases[i].text, json == 1, &out, &err), cases[i].result);
        check(cases[i].text, false, &out, &err);
        bool unreadable = cases[i].result == CHECK_UNREADABLE;
        assert_contains(unreadable ? err.ptr : out.ptr, cases[i].says);
        assert_int_equal((unreadable ? &out : &err)->len, 0);
    }
}

static void the_json_output_has_the_verdict_and_what_is_in_force(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 0);
    AUTO(buf_done) struct buf out = BUF_EMPTY;
    AUTO(buf_done) struct buf err = BUF_EMPTY;
    check("{\"$version\":5,\"Process_CacheSize\":128}", true, &out, &err);
    struct json *root = parsed(&arena, buf_span(&out));
    assert_int_equal(root->count, 4);
    assert_true(span_is(json_string_of(root, "latest_state"), "success"));
    assert_true(span_is(json_string_of(root, "latest_invalid_fields"), ""));
    assert_int_equal(json_find_text(root, "latest_errors")->count, 0);
    struct json *effective = json_find_text(root, "effective");
    assert_true(span_is(json_find_text(effective, "Process_CacheSize")->text, "128"));
    check("{\"Process_CacheSize\":128,\"Process_Mode\":0}", true, &out, &err);
    root = parsed(&arena, buf_span(&out));
    assert_true(span_is(json_string_of(root, "latest_state"), "failed"));
    assert_true(span_is(json_string_of(root, "latest_invalid_fields"), "Process_Mode"));
    effective = json_find_text(root, "effective");
    assert_true(span_is(json_find_text(effective, "Process_CacheSize")->text, "256"));
    arena_done(&arena);
}

static void without_memory_nothing_is_said_to_be_good(void **state)
{
    (void)state;
    enum check_exit result = CHECK_UNREADABLE;
    for (long allocation = 0; result == CHECK_UNREADABLE; allocation++) {
        AUTO(buf_done) struct buf out = BUF_EMPTY;
        AUTO(buf_done) struct buf err = BUF_EMPTY;
        assert_true(allocation < 1000);
        mem_fail_after(allocation);
        result = check("{\"Process_CacheSize\":128}", allocation % 2 == 0, &out, &err);
        mem_fail_after(-1);
        assert_true(result != CHECK_REFUSED);
    }
    assert_int_equal(result, CHECK_APPLIED);
}

static void a_file_is_read_whole_or_refused(void **state)
{
    (void)state;
    char name[] = "/tmp/gemel-check-XXXXXX";
    int fd = mkstemp(name);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "{\"a\":1}", 7), 7);
    /* Standard output and error belong to the test's protocol. */
    int out = dup(1);
    int err = dup(2);
    assert_non_null(freopen("/dev/null", "w", stdout));
    assert_non_null(freopen("/dev/null", "w", stderr));
    int refused = agent_check(name, true);
    int missing = agent_check("/nonexistent/file", false);
    int directory = agent_check("/tmp", false);
    assert_int_equal(ftruncate(fd, (off_t)CHECK_BYTES_MAX + 1), 0);
    int large = agent_check(name, false);
    int schema = agent_schema();
    fflush(stdout);
    fflush(stderr);
    dup2(out, 1);
    dup2(err, 2);
    close(out);
    close(err);
    close(fd);
    unlink(name);
    assert_int_equal(refused, 1);
    assert_int_equal(missing, 2);
    assert_int_equal(directory, 2);
    assert_int_equal(large, 2);
    assert_int_equal(schema, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_exit_status_tells_good_bad_and_unreadable_apart),
        cmocka_unit_test(the_json_output_has_the_verdict_and_what_is_in_force),
        cmocka_unit_test(without_memory_nothing_is_said_to_be_good),
        cmocka_unit_test(a_file_is_read_whole_or_refused),
    };
    return cmocka_run_group_tests_name("settings/check", tests, NULL, NULL);
}
