/* SPDX-License-Identifier: Apache-2.0 */
/* Queues of cloud-to-device messages: order, who holds what, what is over, and feedback. */
#include "store_harness.h"

#define NOW INT64_C(1000000)

struct question {
    int64_t hub_id;
    struct arena arena;
    struct message message;
    struct span module_id;
    int64_t now_us;
    size_t most;
    uint64_t sequence;
    uint64_t session;
    bool connected;
    size_t visited;
    char seen[64];
    struct feedback feedback;
    uint64_t after;
    size_t dropped;
};

static enum err insert(struct store_txn *txn, void *argument)
{
    const struct question *question = argument;
    const struct identity identity = {.device_id = SPAN_INIT("d"),
        .module_id = question->module_id,
        .generation = 7,
        .etag = 1,
        .enabled = true,
        .parent_scopes = SPAN_INIT("")};
    return store_identity_insert(txn, question->hub_id, &identity);
}

static enum err put(struct store_txn *txn, void *argument)
{
    struct question *question = argument;
    return store_message_put(txn, question->hub_id, SPAN_LIT("d"), question->module_id,
        &question->message, question->most, &question->sequence);
}

static enum err next(struct store_txn *txn, void *argument)
{
    struct question *question = argument;
    return store_message_next(txn, &question->arena, question->hub_id, SPAN_LIT("d"),
        question->module_id, question->now_us, &question->message);
}

static enum err get(struct store_txn *txn, void *argument)
{
    struct question *question = argument;
    return store_message_get(txn, &question->arena, question->hub_id, SPAN_LIT("d"),
        question->module_id, question->sequence, &question->message);
}

static enum err hold(struct store_txn *txn, void *argument)
{
    return store_message_hold(txn, &((const struct question *)argument)->message);
}

static enum err drop(struct store_txn *txn, void *argument)
{
    return store_message_delete(txn, ((const struct question *)argument)->sequence);
}

static enum err connect_session(struct store_txn *txn, void *argument)
{
    const struct question *question = argument;
    return store_connection_put(txn, question->hub_id, SPAN_LIT("d"), SPAN_NONE, question->session,
        question->connected, SPAN_NONE, NOW);
}

static enum err note(void *self, const struct message_place *place, const struct message *message)
{
    struct question *question = self;
    question->visited++;
    assert_int_equal(place->hub_id, question->hub_id);
    assert_int_equal(place->generation, 7);
    assert_true(span_is(place->device_id, "d"));
    assert_true(span_copy(message->message_id, question->seen, sizeof(question->seen)));
    return ERR_NONE;
}

static enum err list(struct store_txn *txn, void *argument)
{
    struct question *question = argument;
    question->visited = 0;
    return store_message_list(
        txn, question->hub_id, SPAN_LIT("d"), question->module_id, note, question);
}

static enum err expired(struct store_txn *txn, void *argument)
{
    struct question *question = argument;
    question->visited = 0;
    return store_message_expired(txn, question->now_us, 10, note, question);
}

static enum err lapsed(struct store_txn *txn, void *argument)
{
    struct question *question = argument;
    question->visited = 0;
    return store_message_lapsed(txn, question->now_us, 10, note, question);
}

static struct question make(struct fixture *fixture, const char *id, int64_t expires_us)
{
    struct question question = {.hub_id = fixture->hub_id,
        .now_us = NOW,
        .most = 50,
        .message = {.enqueued_us = NOW,
            .expires_us = expires_us,
            .ack = MESSAGE_ACK_NEGATIVE,
            .message_id = span_of(id),
            .correlation_id = SPAN_INIT("c"),
            .properties = SPAN_INIT("a=b"),
            .body = SPAN_INIT("x\0y")}};
    return question;
}

static uint64_t add(struct fixture *fixture, const char *id, int64_t expires_us)
{
    struct question question = make(fixture, id, expires_us);
    assert_int_equal(in_write(fixture, put, &question), ERR_NONE);
    return question.sequence;
}

static void add_device(struct fixture *fixture)
{
    struct question question = {.hub_id = fixture->hub_id};
    assert_int_equal(in_write(fixture, insert, &question), ERR_NONE);
}

static void assert_next(struct fixture *fixture, int64_t now_us, const char *id)
{
    struct question question = {.hub_id = fixture->hub_id, .now_us = now_us};
    enum err err = in_read(fixture, next, &question);
    assert_int_equal(err, id == NULL ? ERR_NOT_FOUND : ERR_NONE);
    if (id != NULL)
        assert_true(span_is(question.message.message_id, id));
    arena_done(&question.arena);
}

static void messages_come_back_in_order_as_they_were_put(void **state)
{
    struct fixture *fixture = *state;
    struct question question = make(fixture, "a", NOW + 10);
    assert_int_equal(in_write(fixture, put, &question), ERR_NOT_FOUND);
    add_device(fixture);
    assert_int_equal(in_write(fixture, put, &question), ERR_NONE);
    uint64_t first = question.sequence;
    assert_true(add(fixture, "b", NOW + 10) > first);
    question.sequence = first;
    assert_int_equal(in_read(fixture, get, &question), ERR_NONE);
    assert_int_equal(question.message.sequence, first);
    assert_int_equal(question.message.ack, MESSAGE_ACK_NEGATIVE);
    assert_true(span_eq(question.message.body, SPAN_LIT("x\0y")));
    assert_true(span_is(question.message.properties, "a=b"));
    assert_true(span_is(question.message.correlation_id, "c"));
    assert_int_equal(question.message.user_id.len, 0);
    assert_next(fixture, NOW, "a");
    assert_int_equal(in_write(fixture, drop, &question), ERR_NONE);
    assert_int_equal(in_write(fixture, drop, &question), ERR_NOT_FOUND);
    assert_int_equal(in_read(fixture, get, &question), ERR_NOT_FOUND);
    assert_next(fixture, NOW, "b");
    arena_done(&question.arena);
}

static void a_queue_is_full_with_those_that_have_not_expired(void **state)
{
    struct fixture *fixture = *state;
    struct question question = make(fixture, "a", NOW + 10);
    add_device(fixture);
    question.most = 2;
    assert_int_equal(in_write(fixture, put, &question), ERR_NONE);
    assert_int_equal(in_write(fixture, put, &question), ERR_NONE);
    assert_int_equal(in_write(fixture, put, &question), ERR_FULL);
    question.message.enqueued_us = NOW + 10;
    question.message.expires_us = NOW + 20;
    assert_int_equal(in_write(fixture, put, &question), ERR_NONE);
}

static void a_lock_holds_until_its_time_and_a_session_as_long_as_it_lasts(void **state)
{
    struct fixture *fixture = *state;
    struct question question = {.hub_id = fixture->hub_id};
    add_device(fixture);
    question.message.sequence = add(fixture, "a", NOW + 1000);
    question.message.lock = 5;
    question.message.locked_until_us = NOW + 10;
    assert_int_equal(in_write(fixture, hold, &question), ERR_NONE);
    assert_next(fixture, NOW + 9, NULL);
    assert_next(fixture, NOW + 10, "a");
    question.now_us = NOW + 9;
    assert_int_equal(in_read(fixture, lapsed, &question), ERR_NONE);
    assert_int_equal(question.visited, 0);
    question.now_us = NOW + 10;
    assert_int_equal(in_read(fixture, lapsed, &question), ERR_NONE);
    assert_int_equal(question.visited, 1);

    question.message.lock = 0;
    question.message.locked_until_us = 0;
    question.message.session = 9;
    question.message.deliveries = 3;
    assert_int_equal(in_write(fixture, hold, &question), ERR_NONE);
    assert_next(fixture, NOW, "a"); /* there is no such session */
    question.session = 9;
    question.connected = true;
    assert_int_equal(in_write(fixture, connect_session, &question), ERR_NONE);
    assert_next(fixture, NOW, NULL);
    question.now_us = NOW + 2000;
    assert_int_equal(in_read(fixture, expired, &question), ERR_NONE);
    assert_int_equal(question.visited, 0); /* what is held does not expire */
    question.session = 10;
    assert_int_equal(in_write(fixture, connect_session, &question), ERR_NONE);
    assert_next(fixture, NOW, "a");
    question.message.session = 10;
    assert_int_equal(in_write(fixture, hold, &question), ERR_NONE);
    assert_next(fixture, NOW, NULL);
    question.connected = false;
    assert_int_equal(in_write(fixture, connect_session, &question), ERR_NONE);
    assert_next(fixture, NOW, "a");
    assert_int_equal(in_read(fixture, expired, &question), ERR_NONE);
    assert_int_equal(question.visited, 1);
    assert_string_equal(question.seen, "a");
    assert_int_equal(in_read(fixture, list, &question), ERR_NONE);
    assert_int_equal(question.visited, 1);
}

static enum err delete_device(struct store_txn *txn, void *argument)
{
    return store_identity_delete(
        txn, ((const struct question *)argument)->hub_id, SPAN_LIT("d"), SPAN_NONE);
}

static void messages_go_with_their_identity(void **state)
{
    struct fixture *fixture = *state;
    struct question question = {.hub_id = fixture->hub_id, .now_us = NOW + 1000};
    add_device(fixture);
    question.sequence = add(fixture, "a", NOW + 10);
    assert_int_equal(in_write(fixture, delete_device, &question), ERR_NONE);
    assert_int_equal(in_read(fixture, expired, &question), ERR_NONE);
    assert_int_equal(question.visited, 0);
    add_device(fixture);
    assert_next(fixture, NOW, NULL);
    assert_true(add(fixture, "b", NOW + 10) > question.sequence);
}

static enum err append(struct store_txn *txn, void *argument)
{
    const struct question *question = argument;
    return store_feedback_append(txn, question->hub_id, &question->feedback);
}

static enum err note_feedback(void *self, const struct feedback *feedback)
{
    struct question *question = self;
    question->visited++;
    question->after = feedback->id;
    assert_int_equal(feedback->generation, 7);
    assert_true(span_is(feedback->outcome, "Success"));
    assert_true(span_copy(feedback->message_id, question->seen, sizeof(question->seen)));
    return ERR_NONE;
}

static enum err read_feedback(struct store_txn *txn, void *argument)
{
    struct question *question = argument;
    question->visited = 0;
    return store_feedback_read(txn, question->hub_id, question->after, 2, note_feedback, question);
}

static enum err prune(struct store_txn *txn, void *argument)
{
    struct question *question = argument;
    return store_feedback_prune(txn, NOW + 2, 10, &question->dropped);
}

static void feedback_is_read_on_from_where_one_was_and_pruned_by_age(void **state)
{
    struct fixture *fixture = *state;
    struct question question = {.hub_id = fixture->hub_id,
        .feedback = {
            .outcome = SPAN_INIT("Success"), .device_id = SPAN_INIT("d"), .generation = 7}};
    const char *const ids[] = {"a", "b", "c"};
    for (size_t i = 0; i < COUNT_OF(ids); i++) {
        question.feedback.message_id = span_of(ids[i]);
        question.feedback.time_us = NOW + (int64_t)i;
        assert_int_equal(in_write(fixture, append, &question), ERR_NONE);
    }
    assert_int_equal(in_read(fixture, read_feedback, &question), ERR_NONE);
    assert_int_equal(question.visited, 2);
    assert_string_equal(question.seen, "b");
    assert_int_equal(in_read(fixture, read_feedback, &question), ERR_NONE);
    assert_int_equal(question.visited, 1);
    assert_string_equal(question.seen, "c");
    assert_int_equal(in_write(fixture, prune, &question), ERR_NONE);
    assert_int_equal(question.dropped, 2);
    question.after = 0;
    assert_int_equal(in_read(fixture, read_feedback, &question), ERR_NONE);
    assert_int_equal(question.visited, 1);
    question.hub_id++;
    assert_int_equal(in_read(fixture, read_feedback, &question), ERR_NONE);
    assert_int_equal(question.visited, 0);
}

static struct feedback_lock lock_of(const struct question *question, uint64_t number, int64_t end)
{
    return (struct feedback_lock){question->hub_id, number, end};
}

struct hold {
    struct question *question;
    struct feedback_lock lock;
    int64_t now_us;
};

static enum err hold_feedback(struct store_txn *txn, void *argument)
{
    struct hold *hold = argument;
    hold->question->visited = 0;
    return store_feedback_hold(txn, &hold->lock, hold->now_us, 2, note_feedback, hold->question);
}

static enum err settle_feedback(struct store_txn *txn, void *argument)
{
    const struct hold *hold = argument;
    return store_feedback_settle(txn, &hold->lock, hold->now_us);
}

static void assert_held(struct fixture *fixture, struct question *question, uint64_t number,
    int64_t now_us, size_t count, const char *last)
{
    struct hold holding = {question, lock_of(question, number, now_us + 10), now_us};
    assert_int_equal(in_write(fixture, hold_feedback, &holding), ERR_NONE);
    assert_int_equal(question->visited, count);
    if (count > 0)
        assert_string_equal(question->seen, last);
}

static enum err settled(struct fixture *fixture, struct question *question, uint64_t number,
    int64_t until_us, int64_t now_us)
{
    struct hold holding = {question, lock_of(question, number, until_us), now_us};
    return in_write(fixture, settle_feedback, &holding);
}

static void feedback_is_held_until_a_time_and_completed_for_ever(void **state)
{
    struct fixture *fixture = *state;
    struct question question = {.hub_id = fixture->hub_id,
        .feedback = {
            .outcome = SPAN_INIT("Success"), .device_id = SPAN_INIT("d"), .generation = 7}};
    const char *const ids[] = {"a", "b", "c"};
    for (size_t i = 0; i < COUNT_OF(ids); i++) {
        question.feedback.message_id = span_of(ids[i]);
        assert_int_equal(in_write(fixture, append, &question), ERR_NONE);
    }
    assert_held(fixture, &question, 1, NOW, 2, "b");
    assert_held(fixture, &question, 2, NOW, 1, "c");
    assert_held(fixture, &question, 3, NOW + 9, 0, NULL);
    assert_int_equal(settled(fixture, &question, 2, FEEDBACK_FOR_EVER, NOW + 9), ERR_NONE);
    assert_int_equal(settled(fixture, &question, 2, 0, NOW + 9), ERR_NOT_FOUND);
    /* The first lock is over, the last was completed. */
    assert_int_equal(settled(fixture, &question, 1, 0, NOW + 10), ERR_NOT_FOUND);
    assert_held(fixture, &question, 4, NOW + 10, 2, "b");
    question.hub_id++;
    assert_int_equal(settled(fixture, &question, 4, 0, NOW + 10), ERR_NOT_FOUND);
    question.hub_id--;
    assert_int_equal(settled(fixture, &question, 4, 0, NOW + 10), ERR_NONE);
    assert_held(fixture, &question, 5, NOW + 10, 2, "b");
    assert_int_equal(settled(fixture, &question, 5, FEEDBACK_FOR_EVER, NOW + 10), ERR_NONE);
    assert_held(fixture, &question, 6, INT64_MAX - 100, 0, NULL);
    /* In the list it stands as before. */
    assert_int_equal(in_read(fixture, read_feedback, &question), ERR_NONE);
    question.after = 0;
    assert_int_equal(in_read(fixture, read_feedback, &question), ERR_NONE);
    assert_int_equal(question.visited, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_come_back_in_order_as_they_were_put),
        cmocka_unit_test(a_queue_is_full_with_those_that_have_not_expired),
        cmocka_unit_test(a_lock_holds_until_its_time_and_a_session_as_long_as_it_lasts),
        cmocka_unit_test(messages_go_with_their_identity),
        cmocka_unit_test(feedback_is_held_until_a_time_and_completed_for_ever),
        cmocka_unit_test(feedback_is_read_on_from_where_one_was_and_pruned_by_age),
    };
    return run_for_every_backend("store messages", tests, COUNT_OF(tests));
}
