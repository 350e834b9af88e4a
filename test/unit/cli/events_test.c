/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_hub.h"

#include <setjmp.h>

#include <cmocka.h>

#define EVENT(n)                                                                                   \
    "{\"sequenceNumber\":" #n ",\"enqueuedTime\":\"t\",\"deviceId\":\"d\",\"moduleId\":null,"      \
    "\"body\":{\"a\":1}}"
#define PAGE(events, next) "{\"events\":[" events "],\"next\":" #next "}"

static void each_event_is_one_line_and_none_comes_twice(void **state UNUSED)
{
    const struct fake_answer answers[] = {
        {.status = 200, .body = PAGE(EVENT(5) "," EVENT(6), 7)},
        {.status = 200, .body = PAGE("", 9)},
        {.status = 200, .body = PAGE(EVENT(9), 10), .stop = true},
    };
    struct fake_hub hub = {.answers = answers, .answer_count = 3};
    assert_int_equal(fake_run(&hub, "monitor-events --from earliest -d d#1 -m m"), EXIT_DONE);
    assert_string_equal(hub.out, EVENT(5) "\n" EVENT(6) "\n" EVENT(9) "\n");
    assert_non_null(strstr(fake_asked(&hub, 0),
        "GET hub.local:8443 /gemel/v1/events?from=earliest&wait=30&device=d%231&module=m\n"));
    assert_non_null(strstr(fake_asked(&hub, 1), "/gemel/v1/events?from=7&wait=30&device="));
    assert_non_null(strstr(fake_asked(&hub, 2), "/gemel/v1/events?from=9&wait=30&device="));
    fake_done(&hub);
}

static void without_more_it_begins_with_what_comes_from_now_on(void **state UNUSED)
{
    const struct fake_answer answers[] = {{.status = 200, .body = PAGE("", 1), .stop = true}};
    struct fake_hub hub = {.answers = answers, .answer_count = 1};
    assert_int_equal(fake_run(&hub, "monitor-events"), EXIT_DONE);
    assert_non_null(strstr(fake_asked(&hub, 0), "/gemel/v1/events?from=latest&wait=30\n"));
    fake_done(&hub);
}

static void it_ends_when_its_time_is_over(void **state UNUSED)
{
    const struct fake_answer answers[] = {
        {.status = 200, .body = PAGE("", 1)},
        {.status = 200, .body = PAGE("", 1)},
        {.status = 200, .body = PAGE("", 1)},
    };
    struct fake_hub hub = {.answers = answers, .answer_count = 3, .step_us = 20000000};
    assert_int_equal(fake_run(&hub, "monitor-events --timeout 50"), EXIT_DONE);
    assert_int_equal(hub.asked_count, 3);
    assert_non_null(strstr(fake_asked(&hub, 1), "&wait=30\n"));
    assert_non_null(strstr(fake_asked(&hub, 2), "&wait=10\n"));
    fake_done(&hub);
}

static void a_hub_that_goes_away_is_asked_until_it_is_back(void **state UNUSED)
{
    const struct fake_answer answers[] = {
        {.status = 200, .body = PAGE(EVENT(1), 2)},
        {.err = ERR_UNAVAILABLE},
        {.status = 503, .body = "{\"Message\":\"ErrorCode:ServiceUnavailable;draining\"}"},
        {.status = 200, .body = PAGE(EVENT(2), 3), .stop = true},
    };
    struct fake_hub hub = {.answers = answers, .answer_count = 4, .step_us = 1000};
    assert_int_equal(fake_run(&hub, "monitor-events --timeout 1"), EXIT_DONE);
    assert_string_equal(hub.out, EVENT(1) "\n" EVENT(2) "\n");
    assert_non_null(strstr(hub.err, "Asking again"));
    assert_null(strstr(hub.err, "draining")); /* it is said once */
    fake_done(&hub);
}

static void a_first_failure_and_a_refusal_end_it(void **state UNUSED)
{
    const struct {
        struct fake_answer answers[2];
        int status;
    } rows[] = {
        {{{.err = ERR_UNAVAILABLE}}, EXIT_NO_HUB},
        {{{.err = ERR_CANCELLED}}, EXIT_DONE},
        {{{.status = 401, .body = "{}"}}, EXIT_REFUSED},
        {{{.status = 200, .body = "[]"}}, EXIT_NO_HUB},
        {{{.status = 200, .body = PAGE("", 1)}, {.status = 401, .body = "{}"}}, EXIT_REFUSED},
        {{{.status = 200, .body = PAGE("", 1)}, {.err = ERR_CANCELLED, .stop = true}}, EXIT_DONE},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fake_hub hub = {.answers = rows[i].answers, .answer_count = 2};
        if (rows[i].answers[0].err == ERR_CANCELLED)
            hub.step_us = 2000000; /* a request is cancelled because the person stops */
        assert_int_equal(fake_run(&hub, "monitor-events --timeout 1"), rows[i].status);
        fake_done(&hub);
    }
}

static void a_bad_place_or_time_is_wrong_usage(void **state UNUSED)
{
    const char *const lines[] = {"monitor-events --from now", "monitor-events --from -1",
        "monitor-events --timeout 0", "monitor-events --timeout 1.5"};
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        struct fake_hub hub = {0};
        assert_int_equal(fake_run(&hub, lines[i]), EXIT_USAGE);
        fake_done(&hub);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_event_is_one_line_and_none_comes_twice),
        cmocka_unit_test(without_more_it_begins_with_what_comes_from_now_on),
        cmocka_unit_test(it_ends_when_its_time_is_over),
        cmocka_unit_test(a_hub_that_goes_away_is_asked_until_it_is_back),
        cmocka_unit_test(a_first_failure_and_a_refusal_end_it),
        cmocka_unit_test(a_bad_place_or_time_is_wrong_usage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
