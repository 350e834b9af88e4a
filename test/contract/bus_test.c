/* SPDX-License-Identifier: Apache-2.0 */
/* What every bus keeps: one session an identity, order, and silence after a close. */
#include "bus.h"
#include "mem.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct bus_backend {
    const char *name;
    struct bus *(*make)(void);
};

/* A new bus adds its row and must pass every test. */
static const struct bus_backend backends[] = {
    {"local", bus_local_new},
};
static const struct bus_backend *backend;

/* A sink that notes what it is told. */
struct noting_sink {
    struct session_sink sink;
    uint64_t session;
    int64_t version; /* the last */
    char payload[64];
    char method[64];
    unsigned methods;
    unsigned messages;
    bool no_memory;
    unsigned told;
    unsigned disordered;
    unsigned ended;
    enum session_end reason;
};

static void note_desired(struct session_sink *sink, struct span payload, int64_t version)
{
    struct noting_sink *noting = (struct noting_sink *)sink;
    noting->disordered += version <= noting->version;
    noting->version = version;
    noting->told++;
    if (!span_copy(payload, noting->payload, sizeof(noting->payload)))
        noting->disordered++;
}

static void note_end(struct session_sink *sink, enum session_end reason)
{
    struct noting_sink *noting = (struct noting_sink *)sink;
    noting->ended++;
    noting->reason = reason;
}

static bool note_method(struct session_sink *sink, const struct method_request *request)
{
    struct noting_sink *noting = (struct noting_sink *)sink;
    snprintf(noting->method, sizeof(noting->method), "%.*s %.*s %.*s", SPAN_ARG(request->name),
        SPAN_ARG(request->request_id), SPAN_ARG(request->payload));
    noting->methods++;
    return !noting->no_memory;
}

static void note_message(struct session_sink *sink)
{
    ((struct noting_sink *)sink)->messages++;
}

static void sink_init(struct noting_sink *sink)
{
    *sink = (struct noting_sink){.sink = {note_desired, note_end, note_method, note_message}};
}

static void open_one(struct bus *bus, struct noting_sink *sink, int64_t hub_id,
    const char *device_id, const char *module_id)
{
    sink_init(sink);
    assert_int_equal(bus_session_open(bus, hub_id, span_of(device_id), span_of(module_id),
                         &sink->sink, &sink->session),
        ERR_NONE);
}

static void desired(
    struct bus *bus, int64_t hub_id, const char *device_id, const char *module_id, int64_t version)
{
    bus_desired(
        bus, hub_id, span_of(device_id), span_of(module_id), SPAN_LIT("{\"a\":1}"), version);
}

static void desired_reaches_the_session_of_that_identity_alone(void **state)
{
    struct bus *bus = *state;
    static const struct {
        int64_t hub_id;
        const char *device_id;
        const char *module_id;
    } ids[] = {{1, "d", ""}, {1, "d", "m"}, {1, "d", "n"}, {1, "D", ""}, {1, "dm", ""},
        {2, "d", ""}, {2, "d", "m"}};
    struct noting_sink sinks[COUNT_OF(ids)];
    for (size_t i = 0; i < COUNT_OF(ids); i++)
        open_one(bus, &sinks[i], ids[i].hub_id, ids[i].device_id, ids[i].module_id);
    for (size_t i = 0; i < COUNT_OF(ids); i++) {
        desired(bus, ids[i].hub_id, ids[i].device_id, ids[i].module_id, 7);
        for (size_t k = 0; k < COUNT_OF(ids); k++)
            assert_int_equal(sinks[k].told, k <= i);
        assert_string_equal(sinks[i].payload, "{\"a\":1}");
        assert_int_equal(sinks[i].version, 7);
    }
    desired(bus, 3, "d", "", 8);
    desired(bus, 1, "nobody", "", 8);
    for (size_t i = 0; i < COUNT_OF(ids); i++) {
        assert_int_equal(sinks[i].told, 1);
        bus_session_close(bus, sinks[i].session);
        desired(bus, ids[i].hub_id, ids[i].device_id, ids[i].module_id, 9);
        assert_int_equal(sinks[i].told, 1);
        assert_int_equal(sinks[i].ended, 0);
    }
}

static void a_new_session_takes_over_and_the_old_ones_close_is_harmless(void **state)
{
    struct bus *bus = *state;
    struct noting_sink first;
    struct noting_sink second;
    open_one(bus, &first, 1, "d", "m");
    open_one(bus, &second, 1, "d", "m");
    assert_int_equal(first.ended, 1);
    assert_int_equal(first.reason, SESSION_TAKEN_OVER);
    assert_true(second.session > first.session);
    bus_session_close(bus, first.session);
    desired(bus, 1, "d", "m", 1);
    assert_int_equal(first.told, 0);
    assert_int_equal(second.told, 1);
    bus_session_close(bus, second.session);
    bus_session_close(bus, second.session);
    bus_session_close(bus, 0);
    assert_int_equal(second.ended, 0);
}

static void ending_a_device_ends_its_modules_ending_a_module_only_that(void **state)
{
    struct bus *bus = *state;
    struct noting_sink device;
    struct noting_sink modules[2];
    struct noting_sink other;
    open_one(bus, &device, 1, "d", "");
    open_one(bus, &modules[0], 1, "d", "a");
    open_one(bus, &modules[1], 1, "d", "b");
    open_one(bus, &other, 1, "e", "a");
    bus_end(bus, 1, SPAN_LIT("d"), SPAN_LIT("a"), SESSION_KEYS_CHANGED);
    assert_int_equal(modules[0].ended, 1);
    assert_int_equal(modules[0].reason, SESSION_KEYS_CHANGED);
    assert_int_equal(device.ended + modules[1].ended + other.ended, 0);
    bus_end(bus, 1, SPAN_LIT("d"), SPAN_NONE, SESSION_DISABLED);
    assert_int_equal(device.ended, 1);
    assert_int_equal(device.reason, SESSION_DISABLED);
    assert_int_equal(modules[1].ended, 1);
    assert_int_equal(modules[0].ended, 1);
    assert_int_equal(other.ended, 0);
    bus_end_hub(bus, 2);
    assert_int_equal(other.ended, 0);
    bus_end_hub(bus, 1);
    assert_int_equal(other.ended, 1);
    assert_int_equal(other.reason, SESSION_DELETED);
}

static void a_mark_ends_the_sessions_of_its_hub_that_have_it(void **state)
{
    struct bus *bus = *state;
    static const struct {
        int64_t hub_id;
        const char *device_id;
        uint64_t mark;
        unsigned ended;
    } rows[] = {{1, "a", 7, 1}, {1, "b", 7, 1}, {1, "c", 8, 0}, {1, "d", 0, 0}, {2, "a", 7, 0}};
    struct noting_sink sinks[COUNT_OF(rows)];
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        open_one(bus, &sinks[i], rows[i].hub_id, rows[i].device_id, "");
        if (rows[i].mark != 0)
            bus_session_mark(bus, sinks[i].session, rows[i].mark);
    }
    bus_end_marked(bus, 1, 7, SESSION_KEYS_CHANGED);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(sinks[i].ended, rows[i].ended);
        if (rows[i].ended > 0)
            assert_int_equal(sinks[i].reason, SESSION_KEYS_CHANGED);
        bus_session_close(bus, sinks[i].session);
    }
    bus_session_mark(bus, sinks[0].session, 9); /* of one that is over */
}

static void a_proof_that_is_gone_ends_the_session_of_that_identity_alone(void **state)
{
    struct bus *bus = *state;
    static const struct {
        int64_t hub_id;
        const char *device_id;
        const char *module_id;
        uint64_t mark;
        unsigned ended;
    } rows[] = {{1, "a", "m", 7, 1}, {1, "a", "", 7, 0}, {1, "a", "n", 7, 0}, {1, "b", "m", 7, 0},
        {2, "a", "m", 7, 0}};
    struct noting_sink sinks[COUNT_OF(rows)];
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        open_one(bus, &sinks[i], rows[i].hub_id, rows[i].device_id, rows[i].module_id);
        bus_session_mark(bus, sinks[i].session, rows[i].mark);
    }
    bus_end_proved(bus, 1, SPAN_LIT("a"), SPAN_LIT("m"), 8, SESSION_KEYS_CHANGED);
    assert_int_equal(sinks[0].ended, 0);
    bus_end_proved(bus, 1, SPAN_LIT("a"), SPAN_LIT("m"), 7, SESSION_KEYS_CHANGED);
    bus_end_proved(bus, 1, SPAN_LIT("nobody"), SPAN_NONE, 7, SESSION_KEYS_CHANGED);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(sinks[i].ended, rows[i].ended);
        bus_session_close(bus, sinks[i].session);
    }
}

static void thousands_of_sessions_are_found_again(void **state)
{
    struct bus *bus = *state;
    enum { COUNT = 20000 };
    struct noting_sink *sinks = calloc(COUNT, sizeof(*sinks));
    assert_non_null(sinks);
    char id[32];
    for (int i = 0; i < COUNT; i++) {
        snprintf(id, sizeof(id), "device-%d", i);
        open_one(bus, &sinks[i], 1, id, i % 2 == 0 ? "" : "m");
    }
    for (int i = 0; i < COUNT; i += 3)
        bus_session_close(bus, sinks[i].session);
    for (int i = 0; i < COUNT; i++) {
        snprintf(id, sizeof(id), "device-%d", i);
        desired(bus, 1, id, i % 2 == 0 ? "" : "m", i + 1);
        assert_int_equal(sinks[i].told, i % 3 != 0);
    }
    bus_end_hub(bus, 1);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(sinks[i].ended, i % 3 != 0);
    free(sinks);
}

static void a_session_number_is_not_used_again_by_the_next_server(void **state)
{
    (void)state;
    uint64_t last = 0;
    for (int i = 0; i < 20; i++) {
        struct bus *bus = backend->make();
        assert_non_null(bus);
        struct noting_sink sinks[40];
        char id[] = "d0";
        for (size_t k = 0; k < COUNT_OF(sinks); k++) {
            id[1] = (char)('0' + k);
            open_one(bus, &sinks[k], 1, id, "");
            assert_true(sinks[k].session <= INT64_MAX);
            if (k == 0)
                assert_true(sinks[k].session >> 6 > last);
        }
        last = sinks[COUNT_OF(sinks) - 1].session >> 6;
        bus_end_hub(bus, 1);
        bus_free(bus);
    }
}

static void without_memory_the_older_session_stays(void **state)
{
    struct bus *bus = *state;
    struct noting_sink first;
    struct noting_sink second;
    open_one(bus, &first, 1, "d", "");
    sink_init(&second);
    mem_fail_after(0);
    enum err err =
        bus_session_open(bus, 1, SPAN_LIT("d"), SPAN_NONE, &second.sink, &second.session);
    mem_fail_after(-1);
    assert_int_equal(err, ERR_MEMORY);
    assert_int_equal(second.session, 0);
    assert_int_equal(first.ended, 0);
    bus_session_close(bus, first.session);
    for (long allocations = 0;; allocations++) {
        mem_fail_after(allocations);
        struct bus *other = backend->make();
        mem_fail_after(-1);
        bus_free(other);
        if (other != NULL) {
            assert_true(allocations > 1);
            break;
        }
    }
}

static enum err send_method(struct bus *bus, const char *device_id, const char *module_id)
{
    const struct method_request request = {SPAN_LIT("reboot"), SPAN_LIT("7"), SPAN_LIT("null")};
    return bus_method(bus, 1, span_of(device_id), span_of(module_id), &request);
}

static void methods_and_messages_reach_who_takes_them(void **state)
{
    struct bus *bus = *state;
    struct noting_sink device;
    struct noting_sink module;
    open_one(bus, &device, 1, "d", "");
    open_one(bus, &module, 1, "d", "m");
    assert_int_equal(send_method(bus, "d", ""), ERR_NOT_FOUND);
    bus_message(bus, 1, SPAN_LIT("d"), SPAN_NONE);
    bus_session_takes(bus, device.session, SESSION_TAKES_METHODS);
    bus_session_takes(bus, module.session, SESSION_TAKES_MESSAGES);
    bus_message(bus, 1, SPAN_LIT("d"), SPAN_NONE);
    assert_int_equal(device.messages, 0);
    bus_message(bus, 1, SPAN_LIT("d"), SPAN_LIT("m"));
    assert_int_equal(module.messages, 1);
    assert_int_equal(send_method(bus, "d", "m"), ERR_NOT_FOUND);
    assert_int_equal(send_method(bus, "e", ""), ERR_NOT_FOUND);
    assert_int_equal(send_method(bus, "d", ""), ERR_NONE);
    assert_string_equal(device.method, "reboot 7 null");
    assert_int_equal(module.methods, 0);
    device.no_memory = true;
    assert_int_equal(send_method(bus, "d", ""), ERR_MEMORY);
    bus_session_takes(bus, device.session, 0);
    assert_int_equal(send_method(bus, "d", ""), ERR_NOT_FOUND);
    assert_int_equal(device.methods, 2);

    /* What the older one took is not what the newer takes. */
    struct noting_sink newer;
    bus_session_takes(bus, device.session, SESSION_TAKES_METHODS);
    open_one(bus, &newer, 1, "d", "");
    assert_int_equal(send_method(bus, "d", ""), ERR_NOT_FOUND);
    bus_session_takes(bus, device.session, SESSION_TAKES_METHODS);
    assert_int_equal(send_method(bus, "d", ""), ERR_NOT_FOUND);
    bus_session_close(bus, newer.session);
    bus_session_close(bus, module.session);
    bus_session_takes(bus, module.session, SESSION_TAKES_METHODS);
    assert_int_equal(send_method(bus, "d", "m"), ERR_NOT_FOUND);
}

/* ---- listeners ------------------------------------------------------------------------------- */

static void note_appended(void *self, int64_t hub_id, uint64_t sequence)
{
    uint64_t *noted = self;
    noted[0] += (uint64_t)hub_id;
    noted[1] = sequence;
}

static void readers_of_the_event_log_are_told(void **state)
{
    struct bus *bus = *state;
    uint64_t noted[2] = {0, 0};
    bus_events_appended(bus, 3, 4); /* nobody listens yet */
    bus_set_event_listener(bus, note_appended, noted);
    bus_events_appended(bus, 5, 6);
    assert_int_equal(noted[0], 5);
    assert_int_equal(noted[1], 6);
}

/* ---- threads --------------------------------------------------------------------------------- */

enum { CLIENTS = 4, ROUNDS = 2000 };

/* A sink that may be told from any thread; freed as soon as its close returned. */
struct counting_sink {
    struct session_sink sink;
    int64_t version;
    atomic_uint *disordered;
    bool closed;
};

static void count_desired(struct session_sink *sink, struct span payload, int64_t version)
{
    struct counting_sink *counting = (struct counting_sink *)sink;
    (void)payload;
    if (version <= counting->version || counting->closed)
        atomic_fetch_add(counting->disordered, 1);
    counting->version = version;
}

static void count_end(struct session_sink *sink, enum session_end reason)
{
    struct counting_sink *counting = (struct counting_sink *)sink;
    if (counting->closed || reason != SESSION_TAKEN_OVER)
        atomic_fetch_add(counting->disordered, 1);
}

struct storm {
    struct bus *bus;
    atomic_bool over;
    atomic_uint disordered;
};

static void *come_and_go(void *argument)
{
    struct storm *storm = argument;
    for (int i = 0; i < ROUNDS; i++) {
        struct counting_sink *sink = calloc(1, sizeof(*sink));
        *sink = (struct counting_sink){
            .sink = {.desired = count_desired, .end = count_end}, .disordered = &storm->disordered};
        uint64_t session = 0;
        if (bus_session_open(storm->bus, 1, SPAN_LIT("shared"), SPAN_NONE, &sink->sink, &session) !=
            ERR_NONE)
            atomic_fetch_add(&storm->disordered, 1);
        bus_session_close(storm->bus, session);
        sink->closed = true;
        free(sink);
    }
    return NULL;
}

static void *publish(void *argument)
{
    struct storm *storm = argument;
    for (int64_t version = 1; !atomic_load(&storm->over); version++)
        desired(storm->bus, 1, "shared", "", version);
    return NULL;
}

static void a_storm_of_clients_and_changes_stays_in_order(void **state)
{
    struct storm storm = {.bus = *state};
    pthread_t clients[CLIENTS];
    pthread_t publisher;
    assert_int_equal(pthread_create(&publisher, NULL, publish, &storm), 0);
    for (int i = 0; i < CLIENTS; i++)
        assert_int_equal(pthread_create(&clients[i], NULL, come_and_go, &storm), 0);
    for (int i = 0; i < CLIENTS; i++)
        pthread_join(clients[i], NULL);
    atomic_store(&storm.over, true);
    pthread_join(publisher, NULL);
    assert_int_equal(storm.disordered, 0);
}

static int set_up(void **state)
{
    *state = backend->make();
    return *state == NULL;
}

static int tear_down(void **state)
{
    bus_free(*state);
    return 0;
}

#define with_bus(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

struct noted_change {
    int64_t hub_id;
    char device_id[32];
    char module_id[32];
    unsigned count;
};

static void note_change(void *self, int64_t hub_id, struct span device_id, struct span module_id)
{
    struct noted_change *noted = self;
    noted->hub_id = hub_id;
    noted->count++;
    assert_true(span_copy(device_id, noted->device_id, sizeof(noted->device_id)));
    assert_true(span_copy(module_id, noted->module_id, sizeof(noted->module_id)));
}

static void what_was_delivered_is_known_of_the_connected_and_told(void **state)
{
    struct bus *bus = *state;
    struct noting_sink device;
    struct noting_sink module;
    struct noted_change noted = {0};
    int64_t version = -1;
    bus_set_twin_listener(bus, note_change, &noted);
    open_one(bus, &device, 1, "d", "");
    open_one(bus, &module, 1, "d", "m");
    assert_false(bus_delivered(bus, 1, SPAN_LIT("d"), SPAN_LIT("m"), &version));
    assert_int_equal(version, -1);
    bus_session_delivered(bus, module.session, 7);
    assert_int_equal(noted.count, 1);
    assert_int_equal(noted.hub_id, 1);
    assert_string_equal(noted.device_id, "d");
    assert_string_equal(noted.module_id, "m");
    assert_true(bus_delivered(bus, 1, SPAN_LIT("d"), SPAN_LIT("m"), &version));
    assert_int_equal(version, 7);
    assert_false(bus_delivered(bus, 1, SPAN_LIT("d"), SPAN_NONE, &version));
    assert_false(bus_delivered(bus, 2, SPAN_LIT("d"), SPAN_LIT("m"), &version));
    bus_session_close(bus, module.session);
    assert_false(bus_delivered(bus, 1, SPAN_LIT("d"), SPAN_LIT("m"), &version));
    bus_session_delivered(bus, module.session, 8);
    assert_int_equal(noted.count, 1);
    bus_twin_changed(bus, 2, SPAN_LIT("e"), SPAN_NONE);
    assert_int_equal(noted.count, 2);
    assert_string_equal(noted.device_id, "e");
    bus_set_twin_listener(bus, NULL, NULL);
    bus_twin_changed(bus, 2, SPAN_LIT("e"), SPAN_NONE);
    bus_session_close(bus, device.session);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_bus(desired_reaches_the_session_of_that_identity_alone),
        with_bus(a_new_session_takes_over_and_the_old_ones_close_is_harmless),
        with_bus(ending_a_device_ends_its_modules_ending_a_module_only_that),
        with_bus(a_mark_ends_the_sessions_of_its_hub_that_have_it),
        with_bus(a_proof_that_is_gone_ends_the_session_of_that_identity_alone),
        with_bus(thousands_of_sessions_are_found_again),
        cmocka_unit_test(a_session_number_is_not_used_again_by_the_next_server),
        with_bus(without_memory_the_older_session_stays),
        with_bus(methods_and_messages_reach_who_takes_them),
        with_bus(readers_of_the_event_log_are_told),
        with_bus(what_was_delivered_is_known_of_the_connected_and_told),
        with_bus(a_storm_of_clients_and_changes_stays_in_order),
    };
    int failed = 0;
    for (size_t i = 0; i < COUNT_OF(backends); i++) {
        backend = &backends[i];
        failed += cmocka_run_group_tests_name(backend->name, tests, NULL, NULL);
    }
    return failed;
}
