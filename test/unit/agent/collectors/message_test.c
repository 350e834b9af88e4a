/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include "message.h"

#include <setjmp.h>

#include <cmocka.h>

struct fixture {
    struct harness harness;
    struct message message;
    struct arena arena;
};

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));
    harness_init(&f->harness);
    message_init(&f->message);
    f->message.limit_bytes = f->harness.options.message_limit_bytes;
    f->message.random = f->harness.options.random;
    f->message.deliver = f->harness.options.deliver;
    f->message.self = &f->harness;
    arena_init(&f->arena, 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    message_done(&f->message);
    harness_done(&f->harness);
    arena_done(&f->arena);
    test_free(f);
    return 0;
}

/* An event of `source` whose payload holds a text of `size` bytes. */
static enum err add(struct fixture *f, size_t source, size_t size, uint64_t occurrences)
{
    char *text = test_malloc(size + 1);
    memset(text, 'x', size);
    struct json *payload = json_new(&f->arena, JSON_OBJECT);
    assert_true(json_set(&f->arena, payload, SPAN_LIT("text"),
        json_new_string(&f->arena, (struct span){text, size})));
    test_free(text);
    const struct message_event event = {.payload_type = "Test",
        .time_us = 1700000000 * SECOND + 999999,
        .interval_s = 7200,
        .payload = payload,
        .source = source,
        .occurrences = occurrences};
    return message_add(&f->message, &event);
}

static void without_an_event_there_is_no_message(void **state)
{
    struct fixture *f = *state;
    message_send(&f->message);
    assert_int_equal(f->harness.count, 0);
}

static void an_event_has_its_envelope(void **state)
{
    struct fixture *f = *state;
    f->message.timezone_hours = -9;
    assert_int_equal(add(f, 0, 3, 1), ERR_NONE);
    assert_int_equal(f->harness.count, 0);
    message_send(&f->message);
    assert_int_equal(f->harness.count, 1);
    const struct json *message = f->harness.messages[0];
    assert_true(span_is(json_string_of(message, "security_module_id"), "defender-iot-micro-agent"));
    assert_int_equal(harness_number(message, "timezone"), -9);
    assert_true(harness_number(message, "security_module_version") > 0);
    const struct json *event = json_find_text(message, "events")->first;
    assert_int_equal(json_string_of(event, "id").len, 36);
    assert_int_equal(json_string_of(event, "id").ptr[14], '4');
    assert_int_equal(harness_number(event, "time"), 1700000000);
    assert_int_equal(harness_number(event, "collection_interval"), 7200);
    assert_true(span_is(json_string_of(event, "payload_type"), "Test"));
    assert_true(span_is(json_string_of(json_find_text(event, "payload"), "text"), "xxx"));
}

static void a_moment_outside_the_schemas_range_is_the_nearest_in_it(void **state)
{
    struct fixture *f = *state;
    const struct json *payload = json_new(&f->arena, JSON_OBJECT);
    const int64_t times[] = {-5 * SECOND, INT64_MAX};
    for (size_t i = 0; i < COUNT_OF(times); i++) {
        const struct message_event event = {
            .payload_type = "Test", .time_us = times[i], .payload = payload};
        assert_int_equal(message_add(&f->message, &event), ERR_NONE);
    }
    message_send(&f->message);
    const struct json *events = json_find_text(f->harness.messages[0], "events");
    assert_int_equal(harness_number(events->first, "time"), 0);
    assert_int_equal(harness_number(events->last, "time"), UINT32_MAX);
}

static void a_message_is_split_before_its_limit_and_no_event_is_missing(void **state)
{
    struct fixture *f = *state;
    for (size_t limit = 1000; limit < 1300; limit += 7) {
        harness_clear(&f->harness);
        f->harness.options.message_limit_bytes = f->message.limit_bytes = limit;
        for (size_t i = 0; i < 20; i++)
            assert_int_equal(add(f, 0, 100 + i * 10, 1), ERR_NONE);
        message_send(&f->message);
        /* The harness checks each message's size. */
        assert_int_equal(harness_events(&f->harness, "Test"), 20);
        assert_true(f->harness.count > 3 && f->harness.count < 20);
        for (size_t i = 0; i < 20; i++)
            assert_int_equal(
                json_string_of(harness_payload(&f->harness, "Test", i), "text").len, 100 + i * 10);
    }
}

static void an_event_that_fills_the_limit_is_sent_and_one_byte_more_is_refused(void **state)
{
    struct fixture *f = *state;
    size_t size = 0;
    while (add(f, 0, ++size, 1) == ERR_NONE) {
        message_send(&f->message);
        harness_clear(&f->harness);
        if (size == 1)
            f->harness.options.message_limit_bytes = f->message.limit_bytes = 500;
    }
    assert_in_range(f->harness.largest_bytes, 499, 500);
    assert_int_equal(add(f, 0, size, 1), ERR_TOO_LARGE);
    message_send(&f->message);
    assert_int_equal(f->harness.count, 0);
    assert_int_equal(add(f, 0, size - 1, 1), ERR_NONE);
}

static void too_large_an_event_costs_nothing_that_was_packed(void **state)
{
    struct fixture *f = *state;
    f->harness.options.message_limit_bytes = f->message.limit_bytes = 1000;
    assert_int_equal(add(f, 0, 10, 1), ERR_NONE);
    assert_int_equal(add(f, 0, 2000, 1), ERR_TOO_LARGE);
    assert_int_equal(add(f, 0, 20, 1), ERR_NONE);
    message_send(&f->message);
    assert_int_equal(harness_events(&f->harness, "Test"), 2);
}

static void what_became_of_occurrences_is_told_by_source(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(add(f, 0, 10, 5), ERR_NONE);
    assert_int_equal(add(f, 3, 10, 7), ERR_NONE);
    message_send(&f->message);
    f->harness.answer = ERR_STORAGE_FULL;
    assert_int_equal(add(f, 3, 10, 2), ERR_NONE);
    message_send(&f->message);
    f->harness.answer = ERR_NONE;
    assert_int_equal(add(f, 3, 10, 1), ERR_NONE);
    message_send(&f->message);
    assert_int_equal(f->message.tallies[0].sent, 5);
    assert_int_equal(f->message.tallies[0].refused, 0);
    assert_int_equal(f->message.tallies[3].sent, 8);
    assert_int_equal(f->message.tallies[3].refused, 2);
}

static void without_memory_an_event_is_refused_and_the_others_are_sent(void **state)
{
    struct fixture *f = *state;
    long allocations = 0;
    for (bool failed = true; failed; allocations++) {
        message_done(&f->message);
        f->message.body = f->message.event = BUF_EMPTY;
        harness_clear(&f->harness);
        struct json *payload = json_new(&f->arena, JSON_OBJECT);
        assert_true(json_set(&f->arena, payload, SPAN_LIT("a"),
            json_new_string(&f->arena, SPAN_LIT("a text that lets the buffers grow, and grow"))));
        const struct message_event event = {.payload_type = "Test", .payload = payload};
        size_t added = 0;
        mem_fail_after(allocations);
        for (size_t i = 0; i < 8; i++)
            added += message_add(&f->message, &event) == ERR_NONE;
        mem_fail_after(-1);
        message_send(&f->message);
        assert_int_equal(harness_events(&f->harness, "Test"), added);
        assert_true(added >= 7);
        failed = added < 8;
    }
    assert_true(allocations > 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(without_an_event_there_is_no_message, setup, teardown),
        cmocka_unit_test_setup_teardown(an_event_has_its_envelope, setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_moment_outside_the_schemas_range_is_the_nearest_in_it, setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_message_is_split_before_its_limit_and_no_event_is_missing, setup, teardown),
        cmocka_unit_test_setup_teardown(
            an_event_that_fills_the_limit_is_sent_and_one_byte_more_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(
            too_large_an_event_costs_nothing_that_was_packed, setup, teardown),
        cmocka_unit_test_setup_teardown(
            what_became_of_occurrences_is_told_by_source, setup, teardown),
        cmocka_unit_test_setup_teardown(
            without_memory_an_event_is_refused_and_the_others_are_sent, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
