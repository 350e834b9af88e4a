/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics.h"

#include <pthread.h>
#include <setjmp.h>

#include <cmocka.h>

#define THREADS 20
#define TIMES 10000

static void *count(void *argument)
{
    (void)argument;
    for (int i = 0; i < TIMES; i++) {
        metrics_add(METRIC_EVENTS, 0, 1);
        metrics_add(METRIC_SESSIONS, BY_NOTHING, i % 2 == 0 ? 1 : -1);
        metrics_request(REQUEST_EVENT, 200, i);
    }
    return NULL;
}

static char *text_of(struct buf *out)
{
    buf_clear(out);
    metrics_write(out);
    buf_add_byte(out, '\0');
    assert_false(out->failed);
    return out->ptr;
}

static void what_many_threads_count_adds_up(void **state UNUSED)
{
    pthread_t threads[THREADS];
    AUTO(buf_done) struct buf out = BUF_EMPTY;
    int64_t before = metrics_sum(METRIC_EVENTS, 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(metrics_sum(METRIC_EVENTS, 0) - before, THREADS * TIMES);
    assert_int_equal(metrics_sum(METRIC_SESSIONS, BY_NOTHING), 0);
    const char *text = text_of(&out);
    assert_non_null(strstr(text, "\ngemel_events_total{source=\"Telemetry\"} 200000\n"));
    assert_non_null(strstr(text,
        "\ngemel_requests_total{protocol=\"mqtt\",operation=\"event\",code=\"200\"} 200000\n"));
    assert_non_null(
        strstr(text, "\ngemel_request_duration_seconds_count{operation=\"event\"} 200000\n"));
}

static void a_duration_falls_into_its_bucket_and_all_above(void **state UNUSED)
{
    AUTO(buf_done) struct buf out = BUF_EMPTY;
    static const int64_t us[] = {-5, 500, 501, 10000000, 10000001};
    for (size_t i = 0; i < COUNT_OF(us); i++)
        metrics_observe(METRIC_STORE_COMMIT_SECONDS, BY_NOTHING, us[i]);
    const char *text = text_of(&out);
#define COMMIT "\ngemel_store_commit_duration_seconds"
    assert_non_null(strstr(text, COMMIT "_bucket{le=\"0.0005\"} 2\n"));
    assert_non_null(strstr(text, COMMIT "_bucket{le=\"0.001\"} 3\n"));
    assert_non_null(strstr(text, COMMIT "_bucket{le=\"10\"} 4\n"));
    assert_non_null(strstr(text, COMMIT "_bucket{le=\"+Inf\"} 5\n"));
    assert_non_null(strstr(text, COMMIT "_sum 20.001002\n"));
    assert_non_null(strstr(text, COMMIT "_count 5\n"));
}

static bool two_names(unsigned operation, const char **ret_method, const char **ret_path)
{
    *ret_method = "GET";
    *ret_path = operation == 0 ? "/a" : "/b/{}";
    return operation < 2;
}

static void requests_are_told_apart_by_operation_and_status(void **state UNUSED)
{
    AUTO(buf_done) struct buf out = BUF_EMPTY;
    metrics_name_operations(two_names);
    metrics_rest(1, 204, -1);
    metrics_rest(1, 299, 5);
    metrics_rest(2, 404, 5);
    metrics_rest(100000, 404, 5);
    const char *text = text_of(&out);
#define REST "\ngemel_requests_total{protocol=\"https\",operation=\""
    assert_non_null(strstr(text, REST "GET /b/{}\",code=\"204\"} 1\n"));
    assert_non_null(strstr(text, REST "GET /b/{}\",code=\"other\"} 1\n"));
    assert_non_null(strstr(text, REST "none\",code=\"404\"} 2\n"));
    assert_null(strstr(text, "GET /a"));
    assert_non_null(strstr(text, "_duration_seconds_count{operation=\"rest\"} 3\n"));
    metrics_name_operations(NULL);
}

/* What Prometheus would refuse: a sample without its # TYPE before it, or one type twice. */
static void every_sample_stands_behind_its_type(void **state UNUSED)
{
    AUTO(buf_done) struct buf out = BUF_EMPTY;
    metrics_write(&out);
    metrics_write_process("1.2.3", &out);
    struct span rest = buf_span(&out);
    struct span line;
    struct span family = SPAN_NONE;
    assert_int_equal(out.ptr[out.len - 1], '\n');
    while (span_cut(&rest, '\n', &line)) {
        if (span_starts(line, SPAN_LIT("# TYPE "))) {
            line = span_from(line, 7);
            family = span_first(line, span_find(line, ' '));
        } else if (line.len > 0 && line.ptr[0] != '#') {
            assert_true(span_starts(line, family));
            assert_true(span_find(line, ' ') < line.len);
        }
    }
}

static void the_process_tells_its_memory_and_files(void **state UNUSED)
{
    AUTO(buf_done) struct buf out = BUF_EMPTY;
    metrics_write_process("1.2.3", &out);
    buf_add_byte(&out, '\0');
    assert_non_null(strstr(out.ptr, "gemel_build_info{version=\"1.2.3\"} 1\n"));
    static const char *const names[] = {"\nprocess_resident_memory_bytes ",
        "\nprocess_virtual_memory_bytes ", "\nprocess_open_fds ", "\nprocess_cpu_seconds_total "};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        assert_non_null(strstr(out.ptr, names[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_many_threads_count_adds_up),
        cmocka_unit_test(a_duration_falls_into_its_bucket_and_all_above),
        cmocka_unit_test(requests_are_told_apart_by_operation_and_status),
        cmocka_unit_test(every_sample_stands_behind_its_type),
        cmocka_unit_test(the_process_tells_its_memory_and_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
