/* SPDX-License-Identifier: Apache-2.0 */
/* The configurations of a hub, whose targets twins are, and how far the twins are behind. */
#include "store_harness.h"

struct question {
    int64_t hub_id;
    const char *id;
    const char *device_id;
    const char *configurations;
    struct configuration row;
    struct configuration *rows;
    size_t count;
    struct configuration_targets targets;
    struct configuration_state state;
    struct twin_doc twin;
    struct arena arena;
};

static enum err put(struct store_txn *txn, void *argument)
{
    const struct question *q = argument;
    return store_configuration_put(txn, q->hub_id, &q->row);
}

static enum err get(struct store_txn *txn, void *argument)
{
    struct question *q = argument;
    return store_configuration_get(txn, &q->arena, q->hub_id, span_of(q->id), &q->row);
}

static enum err list(struct store_txn *txn, void *argument)
{
    struct question *q = argument;
    return store_configuration_list(txn, &q->arena, q->hub_id, &q->rows, &q->count);
}

static enum err drop(struct store_txn *txn, void *argument)
{
    const struct question *q = argument;
    return store_configuration_delete(txn, q->hub_id, span_of(q->id));
}

static enum err state(struct store_txn *txn, void *argument)
{
    struct question *q = argument;
    return store_configuration_state(txn, q->hub_id, &q->state);
}

static enum err swept(struct store_txn *txn, void *argument)
{
    const struct question *q = argument;
    return store_configuration_swept(txn, q->hub_id, q->state.revision);
}

static enum err results(struct store_txn *txn, void *argument)
{
    const struct question *q = argument;
    return store_configuration_results(txn, q->hub_id, span_of(q->id), SPAN_LIT("{\"done\":3}"));
}

static enum err target(struct store_txn *txn, void *argument)
{
    const struct question *q = argument;
    return store_configuration_target(
        txn, q->hub_id, span_of(q->device_id), SPAN_NONE, span_of(q->configurations));
}

static enum err count(struct store_txn *txn, void *argument)
{
    struct question *q = argument;
    return store_configuration_count(txn, q->hub_id, span_of(q->id), &q->targets);
}

static enum err drop_device(struct store_txn *txn, void *argument)
{
    const struct question *q = argument;
    return store_identity_delete(txn, q->hub_id, span_of(q->device_id), SPAN_NONE);
}

static enum err configure_twin(struct store_txn *txn, void *argument)
{
    struct question *q = argument;
    struct twin_doc twin;
    enum err err =
        store_twin_get(txn, &q->arena, q->hub_id, span_of(q->device_id), SPAN_NONE, &twin);
    if (err != ERR_NONE)
        return err;
    twin.configurations = span_of(q->configurations);
    twin.owned = SPAN_LIT("[\"properties.desired.a\"]");
    return store_twin_put(txn, q->hub_id, span_of(q->device_id), SPAN_NONE, &twin, twin.version);
}

static enum err read_twin(struct store_txn *txn, void *argument)
{
    struct question *q = argument;
    return store_twin_get(txn, &q->arena, q->hub_id, span_of(q->device_id), SPAN_NONE, &q->twin);
}

static struct question ask(const struct fixture *fixture, const char *id)
{
    struct question q = {.hub_id = fixture->hub_id, .id = id};
    q.row = (struct configuration){.id = span_of(id),
        .document = SPAN_LIT("{\"priority\":1}"),
        .etag = 1,
        .created_us = 5,
        .updated_us = 6};
    arena_init(&q.arena, 0);
    return q;
}

static void configurations_are_kept_by_name(void **current)
{
    struct fixture *fixture = *current;
    struct question b = ask(fixture, "b");
    struct question a = ask(fixture, "a");
    assert_int_equal(in_read(fixture, get, &a), ERR_NOT_FOUND);
    assert_int_equal(in_write(fixture, put, &b), ERR_NONE);
    a.row = b.row;
    a.row.id = SPAN_LIT("a");
    assert_int_equal(in_write(fixture, put, &a), ERR_NONE);
    assert_int_equal(in_read(fixture, list, &a), ERR_NONE);
    assert_int_equal(a.count, 2);
    check_span(a.rows[0].id, "a");
    check_span(a.rows[1].id, "b");
    b.row.etag = 2;
    b.row.created_us = 99;
    assert_int_equal(in_write(fixture, put, &b), ERR_NONE);
    assert_int_equal(in_write(fixture, results, &b), ERR_NONE);
    assert_int_equal(in_read(fixture, get, &b), ERR_NONE);
    assert_int_equal(b.row.etag, 2);
    assert_int_equal(b.row.created_us, 5);
    check_span(b.row.document, "{\"priority\":1}");
    check_span(b.row.results, "{\"done\":3}");
    assert_int_equal(in_write(fixture, drop, &b), ERR_NONE);
    assert_int_equal(in_write(fixture, drop, &b), ERR_NOT_FOUND);
    arena_done(&a.arena);
    arena_done(&b.arena);
}

static void every_change_of_configurations_is_a_revision(void **current)
{
    struct fixture *fixture = *current;
    struct question q = ask(fixture, "a");
    assert_int_equal(in_read(fixture, state, &q), ERR_NONE);
    assert_int_equal(q.state.revision, q.state.swept);
    int64_t first = q.state.revision;
    assert_int_equal(in_write(fixture, put, &q), ERR_NONE);
    assert_int_equal(in_write(fixture, results, &q), ERR_NONE);
    assert_int_equal(in_read(fixture, state, &q), ERR_NONE);
    assert_int_equal(q.state.revision, first + 1);
    assert_int_equal(q.state.swept, first);
    assert_int_equal(q.state.count, 1);
    assert_int_equal(in_write(fixture, swept, &q), ERR_NONE);
    assert_int_equal(in_write(fixture, drop, &q), ERR_NONE);
    assert_int_equal(in_read(fixture, state, &q), ERR_NONE);
    assert_int_equal(q.state.revision, first + 2);
    assert_int_equal(q.state.swept, first + 1);
    assert_int_equal(q.state.count, 0);
    q.hub_id = 999;
    assert_int_equal(in_read(fixture, state, &q), ERR_NOT_FOUND);
    arena_done(&q.arena);
}

static void check_counts(
    struct fixture *fixture, const char *id, uint64_t targeted, uint64_t applied)
{
    struct question q = ask(fixture, id);
    assert_int_equal(in_read(fixture, count, &q), ERR_NONE);
    assert_int_equal(q.targets.targeted, targeted);
    assert_int_equal(q.targets.applied, applied);
    arena_done(&q.arena);
}

static void targets_are_counted(void **current)
{
    struct fixture *fixture = *current;
    struct question q = ask(fixture, "a");
    add_identity(fixture, "d1", "");
    add_identity(fixture, "d2", "");
    check_counts(fixture, "a", 0, 0);
    q.configurations = "{\"a\":{\"status\":\"Applied\"},\"b\":{\"status\":\"Targeted\"}}";
    q.device_id = "d1";
    assert_int_equal(in_write(fixture, target, &q), ERR_NONE);
    assert_int_equal(in_write(fixture, target, &q), ERR_NONE);
    q.device_id = "d2";
    assert_int_equal(in_write(fixture, target, &q), ERR_NONE);
    check_counts(fixture, "a", 2, 2);
    check_counts(fixture, "b", 2, 0);
    q.configurations = "";
    assert_int_equal(in_write(fixture, target, &q), ERR_NONE);
    check_counts(fixture, "a", 1, 1);
    q.device_id = "d1";
    assert_int_equal(in_write(fixture, drop_device, &q), ERR_NONE);
    check_counts(fixture, "a", 0, 0);
    assert_int_equal(in_write(fixture, target, &q), ERR_NOT_FOUND);
    arena_done(&q.arena);
}

static void a_twin_remembers_what_configurations_made_of_it(void **current)
{
    struct fixture *fixture = *current;
    struct question q = ask(fixture, "a");
    q.device_id = "d";
    q.configurations = "{\"a\":{\"status\":\"Applied\"}}";
    add_identity(fixture, "d", "");
    assert_int_equal(in_read(fixture, read_twin, &q), ERR_NONE);
    check_span(q.twin.configurations, "");
    assert_int_equal(in_write(fixture, configure_twin, &q), ERR_NONE);
    assert_int_equal(in_read(fixture, read_twin, &q), ERR_NONE);
    check_span(q.twin.configurations, "{\"a\":{\"status\":\"Applied\"}}");
    check_span(q.twin.owned, "[\"properties.desired.a\"]");
    arena_done(&q.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(configurations_are_kept_by_name),
        cmocka_unit_test(every_change_of_configurations_is_a_revision),
        cmocka_unit_test(targets_are_counted),
        cmocka_unit_test(a_twin_remembers_what_configurations_made_of_it),
    };
    return run_for_every_backend("configurations", tests, COUNT_OF(tests));
}
