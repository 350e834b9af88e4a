/* SPDX-License-Identifier: Apache-2.0 */
/* What a store counts while it writes, so that an overview need not look at every module. */
#include "store_harness.h"

struct counting {
    int64_t hub_id;
    struct identity_counts counts;
};

static enum err count(struct store_txn *txn, void *argument)
{
    struct counting *counting = argument;
    return store_identity_count(txn, counting->hub_id, SPAN_NONE, &counting->counts);
}

static void check_modules(struct fixture *fixture, uint64_t all, uint64_t success, uint64_t failed)
{
    struct counting counting = {.hub_id = fixture->hub_id};
    assert_int_equal(in_read(fixture, count, &counting), ERR_NONE);
    assert_int_equal(counting.counts.modules, all);
    assert_int_equal(counting.counts.success_modules, success);
    assert_int_equal(counting.counts.failed_modules, failed);
}

struct reporting {
    int64_t hub_id;
    const char *device_id;
    const char *module_id;
    const char *reported;
};

static enum err report(struct store_txn *txn, void *argument)
{
    const struct reporting *reporting = argument;
    struct twin_doc twin;
    AUTO(arena_done) struct arena arena;
    arena_init(&arena, 0);
    struct span device = span_of(reporting->device_id);
    struct span module = span_of(reporting->module_id);
    enum err err = store_twin_get(txn, &arena, reporting->hub_id, device, module, &twin);
    if (err != ERR_NONE)
        return err;
    twin.version++;
    twin.reported.version++;
    twin.reported.values = span_of(reporting->reported);
    return store_twin_put(txn, reporting->hub_id, device, module, &twin, twin.version - 1);
}

struct deleting {
    int64_t hub_id;
    const char *device_id;
    const char *module_id;
};

static enum err delete_identity(struct store_txn *txn, void *argument)
{
    const struct deleting *deleting = argument;
    return store_identity_delete(
        txn, deleting->hub_id, span_of(deleting->device_id), span_of(deleting->module_id));
}

static void modules_are_counted_by_what_they_report(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *module_id;
        const char *reported;
        uint64_t success;
        uint64_t failed;
    } rows[] = {
        {"m1", "{\"latest_state\":\"success\"}", 1, 0},
        {"m1", "{\"a\":1,\"latest_state\":\"success\"}", 1, 0},
        {"m2", "{\"latest_state\":\"failed\",\"latest_invalid_fields\":\"x\"}", 1, 1},
        {"m1", "{\"latest_state\":\"failed\"}", 0, 2},
        {"m1", "{\"latest_state\":\"Success\"}", 0, 1},
        {"m1", "{\"latest_state\":1}", 0, 1},
        {"m1", "{\"x\":{\"latest_state\":\"success\"}}", 0, 1},
        {"m1", "{\"latest_state\":\"success\"}", 1, 1},
        {"", "{\"latest_state\":\"success\"}", 1, 1}, /* a device is no module */
        {"m2", "{}", 1, 0},
        {"m2", "{\"latest_state\":\"failed\"}", 1, 1},
    };
    add_identity(fixture, "d", "");
    check_modules(fixture, 0, 0, 0);
    add_identity(fixture, "d", "m1");
    add_identity(fixture, "d", "m2");
    check_modules(fixture, 2, 0, 0);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct reporting reporting = {fixture->hub_id, "d", rows[i].module_id, rows[i].reported};
        assert_int_equal(in_write(fixture, report, &reporting), ERR_NONE);
        check_modules(fixture, 2, rows[i].success, rows[i].failed);
    }
    struct deleting deleting = {fixture->hub_id, "d", "m1"};
    assert_int_equal(in_write(fixture, delete_identity, &deleting), ERR_NONE);
    check_modules(fixture, 1, 0, 1);
    deleting.module_id = "";
    assert_int_equal(in_write(fixture, delete_identity, &deleting), ERR_NONE);
    check_modules(fixture, 0, 0, 0);
}

/* ---- events ---------------------------------------------------------------------------------- */

#define MINUTE_US INT64_C(60000000)

struct appending {
    int64_t hub_id;
    int64_t at_us;
};

static enum err append_event(struct store_txn *txn, void *argument)
{
    const struct appending *appending = argument;
    struct event event = {.enqueued_us = appending->at_us, .device_id = SPAN_LIT("d")};
    uint64_t sequence;
    return store_event_append(txn, appending->hub_id, &event, &sequence);
}

struct minutes {
    int64_t hub_id;
    int64_t first;
    uint64_t events[4];
};

static enum err read_minutes(struct store_txn *txn, void *argument)
{
    struct minutes *minutes = argument;
    return store_event_minutes(txn, minutes->hub_id, minutes->first, 4, minutes->events);
}

struct prune {
    int64_t hub_id;
    int64_t before_us;
    size_t dropped;
};

static enum err prune_events(struct store_txn *txn, void *argument)
{
    struct prune *prune = argument;
    return store_event_prune(txn, prune->hub_id, prune->before_us, 100, &prune->dropped);
}

static void events_are_counted_by_the_minute(void **state)
{
    struct fixture *fixture = *state;
    static const int64_t times[] = {
        99 * MINUTE_US, 100 * MINUTE_US, 101 * MINUTE_US - 1, 102 * MINUTE_US, 104 * MINUTE_US};
    struct minutes minutes = {.hub_id = fixture->hub_id, .first = 100};
    struct minutes other = {.hub_id = add_hub(fixture, "o", "o.test"), .first = 100};
    for (size_t i = 0; i < COUNT_OF(times); i++) {
        struct appending appending = {fixture->hub_id, times[i]};
        assert_int_equal(in_write(fixture, append_event, &appending), ERR_NONE);
    }
    assert_int_equal(in_read(fixture, read_minutes, &minutes), ERR_NONE);
    static const uint64_t expected[] = {2, 0, 1, 0};
    assert_memory_equal(minutes.events, expected, sizeof(expected));
    assert_int_equal(in_read(fixture, read_minutes, &other), ERR_NONE);
    assert_int_equal(other.events[0], 0);
    struct prune prune = {fixture->hub_id, 102 * MINUTE_US, 0};
    assert_int_equal(in_write(fixture, prune_events, &prune), ERR_NONE);
    assert_int_equal(prune.dropped, 3);
    assert_int_equal(in_read(fixture, read_minutes, &minutes), ERR_NONE);
    assert_int_equal(minutes.events[0], 0);
    assert_int_equal(minutes.events[2], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(modules_are_counted_by_what_they_report),
        cmocka_unit_test(events_are_counted_by_the_minute),
    };
    return run_for_every_backend("store overview", tests, COUNT_OF(tests));
}
