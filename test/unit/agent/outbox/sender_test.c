/* SPDX-License-Identifier: Apache-2.0 */
#include "sender.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static int64_t now_us;

static int64_t fake_time(void *self UNUSED)
{
    return now_us;
}

static const struct clock fake_clock = {fake_time, fake_time, NULL};

static uint32_t counted(void)
{
    static uint32_t word;
    return ++word;
}

/* A hub that takes so many messages and remembers them. */
static struct {
    int room;
    int count;
    int numbers[1000];
    char ids[1000][OUTBOX_ID_SIZE];
} hub;

static enum err publish(void *self UNUSED, const char *id, struct span body, int *ret_token)
{
    if (hub.room == 0)
        return ERR_UNAVAILABLE;
    hub.room--;
    hub.numbers[hub.count] = atoi(body.ptr);
    memcpy(hub.ids[hub.count], id, OUTBOX_ID_SIZE);
    *ret_token = ++hub.count;
    return ERR_NONE;
}

static char dir[64];
static struct outbox *outbox;
static struct sender *sender;

static int set_up(void **state UNUSED)
{
    snprintf(dir, sizeof(dir), "/tmp/gemel-sender-XXXXXX");
    if (mkdtemp(dir) == NULL)
        return -1;
    now_us = 0;
    memset(&hub, 0, sizeof(hub));
    hub.room = 1000;
    struct outbox_options options = {.clock = &fake_clock, .dir = dir, .random = counted};
    if (outbox_open(&options, &outbox, NULL) != ERR_NONE)
        return -1;
    struct sender_options sender_options = {
        .clock = &fake_clock, .outbox = outbox, .publish = publish};
    return sender_new(&sender_options, &sender, NULL) == ERR_NONE ? 0 : -1;
}

static int tear_down(void **state UNUSED)
{
    char command[128];
    sender_free(sender);
    outbox_close(outbox);
    snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    return system(command);
}

static void append_numbers(int from, int to)
{
    char text[16];
    for (int i = from; i < to; i++) {
        snprintf(text, sizeof(text), "%d", i);
        assert_int_equal(outbox_append(outbox, span_of(text), 1, NULL, NULL), ERR_NONE);
    }
}

static void nothing_is_published_without_a_connection(void **state UNUSED)
{
    append_numbers(0, 3);
    assert_int_equal(sender_run(sender), INT64_MAX);
    assert_int_equal(hub.count, 0);
    sender_connected(sender);
    sender_run(sender);
    assert_int_equal(hub.count, 3);
}

static void a_window_is_under_way_at_a_time(void **state UNUSED)
{
    append_numbers(0, 100);
    sender_connected(sender);
    sender_run(sender);
    assert_int_equal(hub.count, SENDER_WINDOW_DEFAULT);
    sender_acked(sender, 1);
    sender_run(sender);
    assert_int_equal(hub.count, SENDER_WINDOW_DEFAULT + 1);
    for (int token = 2; token <= 100; token++) {
        sender_acked(sender, token);
        sender_run(sender);
    }
    for (int i = 0; i < 100; i++)
        assert_int_equal(hub.numbers[i], i);
    assert_int_equal(outbox_counters(outbox)->sent, 100);
    assert_int_equal(outbox_counters(outbox)->kept, 0);
}

static void the_window_is_as_wide_as_it_was_made(void **state UNUSED)
{
    struct sender_options options = {
        .clock = &fake_clock, .outbox = outbox, .window = 2, .publish = publish};
    sender_free(sender);
    assert_int_equal(sender_new(&options, &sender, NULL), ERR_NONE);
    append_numbers(0, 5);
    sender_connected(sender);
    sender_run(sender);
    assert_int_equal(hub.count, 2);
    for (int token = 1; token <= 5; token++) {
        sender_acked(sender, token);
        sender_run(sender);
    }
    assert_int_equal(hub.count, 5);
    assert_int_equal(outbox_counters(outbox)->kept, 0);
}

static void an_early_acknowledgement_waits_for_those_before(void **state UNUSED)
{
    append_numbers(0, 3);
    sender_connected(sender);
    sender_run(sender);
    sender_acked(sender, 3);
    sender_acked(sender, 2);
    assert_int_equal(outbox_counters(outbox)->kept, 3);
    sender_acked(sender, 77);
    sender_acked(sender, 1);
    assert_int_equal(outbox_counters(outbox)->kept, 0);
    assert_int_equal(sender_in_flight(sender), 0);
}

static void after_a_loss_what_was_not_acknowledged_is_sent_again_with_its_id(void **state UNUSED)
{
    append_numbers(0, 4);
    sender_connected(sender);
    sender_run(sender);
    sender_acked(sender, 1);
    sender_acked(sender, 3);
    sender_lost(sender);
    sender_run(sender);
    assert_int_equal(hub.count, 4);
    sender_connected(sender);
    sender_run(sender);
    assert_int_equal(hub.count, 7);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(hub.numbers[4 + i], 1 + i);
        assert_string_equal(hub.ids[4 + i], hub.ids[1 + i]);
    }
}

static void a_refused_publish_is_tried_again_in_its_turn(void **state UNUSED)
{
    append_numbers(0, 4);
    sender_connected(sender);
    hub.room = 2;
    sender_run(sender);
    assert_int_equal(hub.count, 2);
    hub.room = 10;
    sender_run(sender);
    for (int i = 0; i < 4; i++)
        assert_int_equal(hub.numbers[i], i);
}

static void large_messages_make_a_short_window(void **state UNUSED)
{
    static char large[OUTBOX_MESSAGE_MAX_BYTES];
    memset(large, '7', sizeof(large));
    for (int i = 0; i < 10; i++)
        assert_int_equal(
            outbox_append(outbox, (struct span){large, sizeof(large)}, 1, NULL, NULL), ERR_NONE);
    sender_connected(sender);
    sender_run(sender);
    assert_int_equal(hub.count, SENDER_WINDOW_BYTES / OUTBOX_MESSAGE_MAX_BYTES);
}

static void a_silent_hub_is_noticed(void **state UNUSED)
{
    append_numbers(0, 2);
    sender_connected(sender);
    assert_int_equal(sender_run(sender), SENDER_ANSWER_US);
    now_us = SENDER_ANSWER_US - 1;
    assert_false(sender_silent(sender));
    now_us++;
    assert_true(sender_silent(sender));
    sender_lost(sender);
    assert_false(sender_silent(sender));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(nothing_is_published_without_a_connection),
        TEST(a_window_is_under_way_at_a_time), TEST(the_window_is_as_wide_as_it_was_made),
        TEST(an_early_acknowledgement_waits_for_those_before),
        TEST(after_a_loss_what_was_not_acknowledged_is_sent_again_with_its_id),
        TEST(a_refused_publish_is_tried_again_in_its_turn),
        TEST(large_messages_make_a_short_window), TEST(a_silent_hub_is_noticed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
