/* SPDX-License-Identifier: Apache-2.0 */
/* The table of devices: every order, up and down, in pages of every size, with every filter. */
#include "store_harness.h"

#include <stdio.h>
#include <stdlib.h>

struct table_call {
    int64_t hub_id;
    struct device_range range;
    char listed[512]; /* "a b c" */
    char last[16];
    int64_t last_key;
    size_t count;
    uint64_t total;
    uint64_t modules; /* of the last row */
    char state[32];   /* likewise */
};

static enum err note(void *self, const struct device_row *row)
{
    struct table_call *call = self;
    size_t len = strlen(call->listed);
    snprintf(call->listed + len, sizeof(call->listed) - len, "%s%.*s", len == 0 ? "" : " ",
        SPAN_ARG(row->device_id));
    assert_true(span_copy(row->device_id, call->last, sizeof(call->last)));
    assert_true(span_copy(row->latest_state, call->state, sizeof(call->state)));
    call->last_key = row->key;
    call->modules = row->modules;
    call->count++;
    return ERR_NONE;
}

static enum err read_page(struct store_txn *txn, void *argument)
{
    struct table_call *call = argument;
    enum err err = store_device_total(txn, call->hub_id, &call->range, &call->total);
    if (err != ERR_NONE)
        return err;
    return store_device_table(txn, call->hub_id, &call->range, SPAN_LIT("agent"), note, call);
}

struct device {
    const char *id;
    bool enabled;
    int64_t seen_us; /* 0: never connected */
    bool connected;
};

static const struct device devices[] = {
    {"Pump-1", true, 50, true},
    {"a%b", false, 10, false},
    {"a_b", true, 0, false},
    {"axb", true, 40, true},
    {"pump-2", false, 0, false},
    {"z", true, 30, false},
};

static enum err add_device(struct store_txn *txn, void *argument)
{
    struct table_call *call = argument;
    const struct device *device = &devices[call->count];
    struct identity identity = identity_named(device->id, "");
    identity.enabled = device->enabled;
    enum err err = store_identity_insert(txn, call->hub_id, &identity);
    if (err != ERR_NONE || device->seen_us == 0)
        return err;
    err = store_connection_put(
        txn, call->hub_id, identity.device_id, SPAN_NONE, 1, true, SPAN_NONE, device->seen_us);
    if (err == ERR_NONE && !device->connected)
        err = store_connection_put(
            txn, call->hub_id, identity.device_id, SPAN_NONE, 1, false, SPAN_NONE, device->seen_us);
    return err;
}

static void add_devices(struct fixture *fixture)
{
    struct table_call call = {.hub_id = fixture->hub_id};
    int64_t other = add_hub(fixture, "other", "other.test");
    for (call.count = 0; call.count < COUNT_OF(devices); call.count++)
        assert_int_equal(in_write(fixture, add_device, &call), ERR_NONE);
    call.hub_id = other;
    call.count = 0;
    assert_int_equal(in_write(fixture, add_device, &call), ERR_NONE);
}

/* Reads all pages of so many rows. */
static struct table_call read_pages(
    struct fixture *fixture, const struct device_range *range, size_t limit)
{
    struct table_call call = {.hub_id = fixture->hub_id, .range = *range};
    call.range.limit = limit;
    size_t before;
    do {
        before = call.count;
        assert_int_equal(in_read(fixture, read_page, &call), ERR_NONE);
        assert_true(call.count - before <= limit);
        call.range.after = span_of(call.last);
        call.range.after_key = call.last_key;
    } while (call.count > before);
    return call;
}

static void every_order_is_kept_in_pages_of_every_size(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        enum table_sort sort;
        bool descending;
        const char *expected;
    } rows[] = {
        {TABLE_BY_DEVICE_ID, false, "Pump-1 a%b a_b axb pump-2 z"},
        {TABLE_BY_DEVICE_ID, true, "z pump-2 axb a_b a%b Pump-1"},
        {TABLE_BY_STATUS, false, "a%b pump-2 Pump-1 a_b axb z"},
        {TABLE_BY_STATUS, true, "z axb a_b Pump-1 pump-2 a%b"},
        {TABLE_BY_CONNECTION, false, "a%b a_b pump-2 z Pump-1 axb"},
        {TABLE_BY_CONNECTION, true, "axb Pump-1 z pump-2 a_b a%b"},
        {TABLE_BY_ACTIVITY, false, "a_b pump-2 a%b z axb Pump-1"},
        {TABLE_BY_ACTIVITY, true, "Pump-1 axb z a%b pump-2 a_b"},
    };
    add_devices(fixture);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct device_range range = {.sort = rows[i].sort, .descending = rows[i].descending};
        for (size_t limit = 1; limit <= COUNT_OF(devices) + 1; limit++) {
            struct table_call call = read_pages(fixture, &range, limit);
            assert_string_equal(call.listed, rows[i].expected);
            assert_int_equal(call.total, COUNT_OF(devices));
        }
    }
}

static void filters_go_together_and_are_counted(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *part;
        int enabled; /* -1: any */
        int connected;
        const char *expected;
    } rows[] = {
        {"PUMP", -1, -1, "Pump-1 pump-2"},
        {"ump-", 1, -1, "Pump-1"},
        {"%", -1, -1, "a%b"},
        {"A_", -1, -1, "a_b"},
        {"\\", -1, -1, ""},
        {"'", -1, -1, ""},
        {"", 0, -1, "a%b pump-2"},
        {"", 1, -1, "Pump-1 a_b axb z"},
        {"", -1, 1, "Pump-1 axb"},
        {"", -1, 0, "a%b a_b pump-2 z"},
        {"", 1, 0, "a_b z"},
        {"", 0, 1, ""},
        {"b", 1, 0, "a_b"},
    };
    add_devices(fixture);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct device_range range = {.part = span_of(rows[i].part),
            .with_status = rows[i].enabled >= 0,
            .enabled = rows[i].enabled == 1,
            .with_connection = rows[i].connected >= 0,
            .connected = rows[i].connected == 1};
        struct table_call call = read_pages(fixture, &range, 2);
        assert_string_equal(call.listed, rows[i].expected);
        assert_int_equal(call.total, call.count);
    }
}

struct report {
    int64_t hub_id;
    const char *device_id;
    const char *reported;
};

static enum err put_reported(struct store_txn *txn, void *argument)
{
    const struct report *report = argument;
    struct twin_doc twin = twin_of_version(3);
    twin.reported.values = span_of(report->reported);
    return store_twin_put(
        txn, report->hub_id, span_of(report->device_id), SPAN_LIT("agent"), &twin, 2);
}

static void a_row_tells_modules_and_what_the_agent_reports(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *reported;
        const char *state;
    } rows[] = {
        {"{\"a\":{\"latest_state\":\"no\"},\"latest_state\":\"failed\"}", "failed"},
        {"{\"latest_state\":7}", ""},
        {"{}", ""},
    };
    struct device_range range = {.limit = 1};
    add_identity(fixture, "d", "");
    struct table_call call = read_pages(fixture, &range, 1);
    assert_int_equal(call.modules, 0);
    assert_string_equal(call.state, "");
    add_identity(fixture, "d", "zz");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char id[8];
        snprintf(id, sizeof(id), "e%zu", i);
        add_identity(fixture, id, "");
        add_identity(fixture, id, "agent");
        struct report report = {fixture->hub_id, id, rows[i].reported};
        assert_int_equal(in_write(fixture, put_reported, &report), ERR_NONE);
        call = read_pages(fixture, &range, 1);
        assert_string_equal(call.last, id);
        assert_int_equal(call.modules, 1);
        assert_string_equal(call.state, rows[i].state);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_order_is_kept_in_pages_of_every_size),
        cmocka_unit_test(filters_go_together_and_are_counted),
        cmocka_unit_test(a_row_tells_modules_and_what_the_agent_reports),
    };
    return run_for_every_backend("store table", tests, COUNT_OF(tests));
}
