/* SPDX-License-Identifier: Apache-2.0 */
/* What a store keeps of devices, twins and events: each comes back as it was given, in order. */
#include "store_harness.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- identities ------------------------------------------------------------------------------ */

struct identity_key {
    int64_t hub_id;
    const char *device_id;
    const char *module_id;
    struct arena arena;
    struct identity identity;
    struct twin_doc twin;
};

static enum err get_identity(struct store_txn *txn, void *argument)
{
    struct identity_key *key = argument;
    return store_identity_get(txn, &key->arena, key->hub_id, span_of(key->device_id),
        span_of(key->module_id), &key->identity);
}

static enum err get_twin(struct store_txn *txn, void *argument)
{
    struct identity_key *key = argument;
    return store_twin_get(txn, &key->arena, key->hub_id, span_of(key->device_id),
        span_of(key->module_id), &key->twin);
}

static enum err delete_identity(struct store_txn *txn, void *argument)
{
    struct identity_key *key = argument;
    return store_identity_delete(
        txn, key->hub_id, span_of(key->device_id), span_of(key->module_id));
}

struct identity_put {
    int64_t hub_id;
    struct identity identity;
};

static enum err insert_identity(struct store_txn *txn, void *argument)
{
    struct identity_put *put = argument;
    return store_identity_insert(txn, put->hub_id, &put->identity);
}

static enum err update_identity(struct store_txn *txn, void *argument)
{
    struct identity_put *put = argument;
    return store_identity_update(txn, put->hub_id, &put->identity);
}

static void an_identity_comes_back_member_by_member(void **state)
{
    struct fixture *fixture = *state;
    struct identity_put put = {fixture->hub_id, identity_named("d", "m")};
    struct identity *in = &put.identity;
    in->generation = UINT64_MAX; /* the whole range survives */
    in->etag = UINT64_C(1) << 63;
    in->enabled = false;
    in->auth = AUTH_SELF_SIGNED;
    in->primary_thumbprint = SPAN_LIT("AA00");
    in->secondary_thumbprint = SPAN_LIT("BB11");
    in->managed_by = SPAN_LIT("IotEdge");
    in->iot_edge = true;
    in->device_scope = SPAN_LIT("ms-azure-iot-edge://d-1");
    in->parent_scopes = SPAN_LIT("[\"p\"]");
    in->model_id = SPAN_LIT("dtmi:x;1");
    assert_int_equal(in_write(fixture, insert_identity, &put), ERR_NONE);
    struct identity_key key = {.hub_id = fixture->hub_id, .device_id = "d", .module_id = "m"};
    assert_int_equal(in_read(fixture, get_identity, &key), ERR_NONE);
    struct identity *out = &key.identity;
    assert_true(span_eq(out->device_id, in->device_id) && span_eq(out->module_id, in->module_id));
    assert_true(out->generation == in->generation && out->etag == in->etag);
    assert_false(out->enabled);
    assert_true(span_eq(out->status_reason, in->status_reason));
    assert_true(out->status_updated_us == in->status_updated_us);
    assert_true(out->connection_updated_us == INT64_MIN && out->last_activity_us == INT64_MIN);
    assert_int_equal(out->auth, AUTH_SELF_SIGNED);
    assert_true(span_eq(out->primary_key, in->primary_key));
    assert_true(span_eq(out->secondary_key, in->secondary_key));
    check_span(out->primary_thumbprint, "AA00");
    check_span(out->secondary_thumbprint, "BB11");
    check_span(out->managed_by, "IotEdge");
    assert_true(out->iot_edge);
    check_span(out->device_scope, "ms-azure-iot-edge://d-1");
    check_span(out->parent_scopes, "[\"p\"]");
    check_span(out->model_id, "dtmi:x;1");
    assert_int_equal(in_write(fixture, insert_identity, &put), ERR_CONFLICT);
    arena_done(&key.arena);
}

static void ids_are_told_apart_by_every_allowed_character(void **state)
{
    struct fixture *fixture = *state;
    static const char *const ids[] = {"d", "D", "d-:.+%_#*?!(),=@;$'", "$edgeAgent", "%24edgeAgent",
        "d%", "d_", "d'", "d''", "0", "00", "d ", "a*b?"};
    for (size_t i = 0; i < COUNT_OF(ids); i++) {
        add_identity(fixture, ids[i], "");
        add_identity(fixture, ids[i], ids[i]);
    }
    for (size_t i = 0; i < COUNT_OF(ids); i++) {
        struct identity_key key = {
            .hub_id = fixture->hub_id, .device_id = ids[i], .module_id = ids[i]};
        assert_int_equal(in_read(fixture, get_identity, &key), ERR_NONE);
        check_span(key.identity.device_id, ids[i]);
        check_span(key.identity.module_id, ids[i]);
        assert_int_equal(in_write(fixture, delete_identity, &key), ERR_NONE);
        assert_int_equal(in_read(fixture, get_identity, &key), ERR_NOT_FOUND);
        key.module_id = "";
        assert_int_equal(in_read(fixture, get_identity, &key), ERR_NONE);
        arena_done(&key.arena);
    }
}

static void a_deleted_device_takes_its_modules_and_twins_along(void **state)
{
    struct fixture *fixture = *state;
    add_identity(fixture, "d", "");
    add_identity(fixture, "d", "m");
    add_identity(fixture, "dd", "m");
    struct identity_key device = {.hub_id = fixture->hub_id, .device_id = "d", .module_id = ""};
    struct identity_key module = {.hub_id = fixture->hub_id, .device_id = "d", .module_id = "m"};
    struct identity_key other = {.hub_id = fixture->hub_id, .device_id = "dd", .module_id = "m"};
    assert_int_equal(in_read(fixture, get_twin, &module), ERR_NONE);
    assert_int_equal(in_write(fixture, delete_identity, &device), ERR_NONE);
    assert_int_equal(in_read(fixture, get_identity, &module), ERR_NOT_FOUND);
    assert_int_equal(in_read(fixture, get_twin, &device), ERR_NOT_FOUND);
    assert_int_equal(in_read(fixture, get_twin, &module), ERR_NOT_FOUND);
    assert_int_equal(in_read(fixture, get_twin, &other), ERR_NONE);
    assert_int_equal(in_write(fixture, delete_identity, &device), ERR_NOT_FOUND);
    /* Made again, it begins anew. */
    add_identity(fixture, "d", "");
    assert_int_equal(in_read(fixture, get_twin, &device), ERR_NONE);
    assert_int_equal(device.twin.version, 2);
    arena_done(&device.arena);
    arena_done(&module.arena);
    arena_done(&other.arena);
}

static void an_update_leaves_the_connection_alone(void **state)
{
    struct fixture *fixture = *state;
    struct identity_put put = {fixture->hub_id, identity_named("d", "")};
    assert_int_equal(in_write(fixture, update_identity, &put), ERR_NOT_FOUND);
    put.identity.connected = true;
    put.identity.last_activity_us = 99;
    assert_int_equal(in_write(fixture, insert_identity, &put), ERR_NONE);
    put.identity.connected = false;
    put.identity.last_activity_us = 1;
    put.identity.etag = 8;
    put.identity.status_reason = SPAN_NONE;
    assert_int_equal(in_write(fixture, update_identity, &put), ERR_NONE);
    struct identity_key key = {.hub_id = fixture->hub_id, .device_id = "d", .module_id = ""};
    assert_int_equal(in_read(fixture, get_identity, &key), ERR_NONE);
    assert_true(key.identity.connected);
    assert_int_equal(key.identity.last_activity_us, 99);
    assert_int_equal(key.identity.etag, 8);
    assert_int_equal(key.identity.status_reason.len, 0);
    arena_done(&key.arena);
}

/* ---- lists and counts ------------------------------------------------------------------------ */

struct listing {
    int64_t hub_id;
    struct identity_range range;
    char text[512];
    size_t length;
    size_t twins;
    enum err stop_with;
};

static enum err note_identity(
    void *self, const struct identity *identity, const struct twin_doc *twin)
{
    struct listing *listing = self;
    listing->length +=
        (size_t)snprintf(listing->text + listing->length, sizeof(listing->text) - listing->length,
            "%.*s/%.*s ", SPAN_ARG(identity->device_id), SPAN_ARG(identity->module_id));
    listing->twins += twin != NULL && twin->version == 2;
    return listing->stop_with;
}

static enum err list_identities(struct store_txn *txn, void *argument)
{
    struct listing *listing = argument;
    listing->length = 0;
    listing->text[0] = '\0';
    return store_identity_list(txn, listing->hub_id, &listing->range, note_identity, listing);
}

static void lists_come_in_bytewise_order_and_go_on_behind_a_given_id(void **state)
{
    struct fixture *fixture = *state;
    static const char *const ids[] = {"b", "B", "a", "a-", "a1", "_", "Z", "$x"};
    for (size_t i = 0; i < COUNT_OF(ids); i++)
        add_identity(fixture, ids[i], "");
    add_identity(fixture, "a", "m2");
    add_identity(fixture, "a", "M");
    add_identity(fixture, "B", "m1");
    fixture->hub_id = add_hub(fixture, "other", "other.test");
    add_identity(fixture, "elsewhere", "m");
    static const struct {
        struct identity_range range;
        const char *expected;
    } rows[] = {
        {{.limit = 100}, "$x/ B/ Z/ _/ a/ a-/ a1/ b/ "},
        {{.limit = 3}, "$x/ B/ Z/ "},
        {{.limit = 0}, ""},
        {{.limit = SIZE_MAX, .after = {"Z", 1}}, "_/ a/ a-/ a1/ b/ "},
        {{.limit = 2, .after = {"a", 1}}, "a-/ a1/ "},
        {{.limit = 2, .after = {"zz", 2}}, ""},
        {{.limit = 9, .modules = true}, "B/m1 a/M a/m2 "},
        {{.limit = 2, .modules = true}, "B/m1 a/M "},
        {{.limit = 9, .modules = true, .after = {"a", 1}, .after_module = {"M", 1}}, "a/m2 "},
        {{.limit = 9, .modules = true, .device_id = {"a", 1}}, "a/M a/m2 "},
        {{.limit = 9, .modules = true, .device_id = {"a", 1}, .after = {"M", 1}}, "a/m2 "},
        {{.limit = 9, .modules = true, .device_id = {"b", 1}}, ""},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct listing listing = {.hub_id = fixture->hub_id - 1, .range = rows[i].range};
        assert_int_equal(in_read(fixture, list_identities, &listing), ERR_NONE);
        assert_string_equal(listing.text, rows[i].expected);
        assert_int_equal(listing.twins, 0);
        listing.range.with_twins = true;
        assert_int_equal(in_read(fixture, list_identities, &listing), ERR_NONE);
        assert_string_equal(listing.text, rows[i].expected);
        size_t expected_twins = 0;
        for (const char *c = rows[i].expected; *c != '\0'; c++)
            expected_twins += *c == ' ';
        assert_int_equal(listing.twins, expected_twins);
    }
}

static void a_visitors_error_ends_the_walk(void **state)
{
    struct fixture *fixture = *state;
    add_identity(fixture, "a", "");
    add_identity(fixture, "b", "");
    struct listing listing = {
        .hub_id = fixture->hub_id, .range = {.limit = 9}, .stop_with = ERR_CANCELLED};
    assert_int_equal(in_read(fixture, list_identities, &listing), ERR_CANCELLED);
    assert_string_equal(listing.text, "a/ ");
}

struct count {
    int64_t hub_id;
    const char *device_id;
    struct identity_counts counts;
};

static enum err count_identities(struct store_txn *txn, void *argument)
{
    struct count *count = argument;
    return store_identity_count(txn, count->hub_id, span_of(count->device_id), &count->counts);
}

static void check_counts(struct fixture *fixture, const char *device_id, uint64_t devices,
    uint64_t enabled, uint64_t connected, uint64_t modules)
{
    struct count count = {.hub_id = fixture->hub_id, .device_id = device_id};
    assert_int_equal(in_read(fixture, count_identities, &count), ERR_NONE);
    assert_int_equal(count.counts.devices, devices);
    assert_int_equal(count.counts.enabled_devices, enabled);
    assert_int_equal(count.counts.connected_devices, connected);
    assert_int_equal(count.counts.modules_of_device, modules);
}

/* ---- connections ----------------------------------------------------------------------------- */

struct connection {
    int64_t hub_id;
    const char *device_id;
    const char *module_id;
    uint64_t session;
    bool connected;
    const char *model_id;
    int64_t now_us;
};

static enum err put_connection(struct store_txn *txn, void *argument)
{
    struct connection *c = argument;
    return store_connection_put(txn, c->hub_id, span_of(c->device_id), span_of(c->module_id),
        c->session, c->connected, span_of(c->model_id), c->now_us);
}

static enum err reset_connections(struct store_txn *txn, void *argument)
{
    return store_connection_reset(txn, *(int64_t *)argument);
}

static void counts_follow_every_change(void **state)
{
    struct fixture *fixture = *state;
    check_counts(fixture, "", 0, 0, 0, 0);
    add_identity(fixture, "a", "");
    add_identity(fixture, "a", "m");
    add_identity(fixture, "a", "n");
    add_identity(fixture, "b", "");
    check_counts(fixture, "a", 2, 2, 0, 2);
    check_counts(fixture, "b", 2, 2, 0, 0);
    struct identity_put put = {fixture->hub_id, identity_named("b", "")};
    put.identity.enabled = false;
    assert_int_equal(in_write(fixture, update_identity, &put), ERR_NONE);
    assert_int_equal(in_write(fixture, update_identity, &put), ERR_NONE);
    check_counts(fixture, "", 2, 1, 0, 0);
    struct connection came = {fixture->hub_id, "a", "", 5, true, NULL, 10};
    assert_int_equal(in_write(fixture, put_connection, &came), ERR_NONE);
    came.session = 6;
    assert_int_equal(in_write(fixture, put_connection, &came), ERR_NONE);
    came.module_id = "m";
    assert_int_equal(in_write(fixture, put_connection, &came), ERR_NONE);
    check_counts(fixture, "", 2, 1, 1, 0);
    struct identity_key key = {.hub_id = fixture->hub_id, .device_id = "a", .module_id = "m"};
    assert_int_equal(in_write(fixture, delete_identity, &key), ERR_NONE);
    check_counts(fixture, "a", 2, 1, 1, 1);
    key.module_id = "";
    assert_int_equal(in_write(fixture, delete_identity, &key), ERR_NONE);
    check_counts(fixture, "a", 1, 0, 0, 0);
    struct count none = {.hub_id = 4711, .device_id = ""};
    assert_int_equal(in_read(fixture, count_identities, &none), ERR_NOT_FOUND);
}

static void only_the_current_session_can_leave(void **state)
{
    struct fixture *fixture = *state;
    add_identity(fixture, "d", "");
    static const struct {
        uint64_t session;
        bool connected;
        const char *model_id;
        bool connected_after;
        int64_t updated_after;
        const char *model_after;
    } steps[] = {
        {10, true, "dtmi:a;1", true, 1, "dtmi:a;1"},
        {20, true, "", true, 2, "dtmi:a;1"},         /* taken over, no model told */
        {10, false, "", true, 2, "dtmi:a;1"},        /* the older one goes: too late */
        {15, true, "dtmi:b;1", true, 2, "dtmi:a;1"}, /* an older "came", out of order */
        {20, false, "", false, 5, "dtmi:a;1"},       /* the current one */
        {20, false, "", false, 5, "dtmi:a;1"},       /* twice */
        {30, true, "dtmi:b;1", true, 7, "dtmi:b;1"},
    };
    for (size_t i = 0; i < COUNT_OF(steps); i++) {
        struct connection connection = {fixture->hub_id, "d", "", steps[i].session,
            steps[i].connected, steps[i].model_id, (int64_t)i + 1};
        assert_int_equal(in_write(fixture, put_connection, &connection), ERR_NONE);
        struct identity_key key = {.hub_id = fixture->hub_id, .device_id = "d", .module_id = ""};
        assert_int_equal(in_read(fixture, get_identity, &key), ERR_NONE);
        assert_int_equal(key.identity.connected, steps[i].connected_after);
        assert_int_equal(key.identity.connection_updated_us, steps[i].updated_after);
        assert_int_equal(key.identity.last_activity_us, steps[i].updated_after);
        check_span(key.identity.model_id, steps[i].model_after);
        arena_done(&key.arena);
    }
    struct connection ghost = {fixture->hub_id, "ghost", "", 1, true, "", 1};
    assert_int_equal(in_write(fixture, put_connection, &ghost), ERR_NOT_FOUND);
}

struct subscriptions {
    int64_t hub_id;
    const char *device_id;
    const char *module_id;
    uint32_t filters;
};

static enum err put_subscriptions(struct store_txn *txn, void *argument)
{
    const struct subscriptions *s = argument;
    return store_subscriptions_put(
        txn, s->hub_id, span_of(s->device_id), span_of(s->module_id), s->filters);
}

static enum err get_subscriptions(struct store_txn *txn, void *argument)
{
    struct subscriptions *s = argument;
    return store_subscriptions_get(
        txn, s->hub_id, span_of(s->device_id), span_of(s->module_id), &s->filters);
}

static void check_subscriptions(struct fixture *fixture, const char *module_id, uint32_t filters)
{
    struct subscriptions found = {fixture->hub_id, "d", module_id, 4711};
    assert_int_equal(in_read(fixture, get_subscriptions, &found), ERR_NONE);
    assert_int_equal(found.filters, filters);
}

static void subscriptions_last_until_they_are_cleared_or_the_identity_goes(void **state)
{
    struct fixture *fixture = *state;
    add_identity(fixture, "d", "");
    add_identity(fixture, "d", "m");
    check_subscriptions(fixture, "m", 0);
    struct subscriptions put = {fixture->hub_id, "d", "m", 5};
    assert_int_equal(in_write(fixture, put_subscriptions, &put), ERR_NONE);
    put.filters = UINT32_MAX;
    assert_int_equal(in_write(fixture, put_subscriptions, &put), ERR_NONE);
    check_subscriptions(fixture, "m", UINT32_MAX);
    check_subscriptions(fixture, "", 0);
    put.filters = 0;
    assert_int_equal(in_write(fixture, put_subscriptions, &put), ERR_NONE);
    check_subscriptions(fixture, "m", 0);
    put.filters = 3;
    assert_int_equal(in_write(fixture, put_subscriptions, &put), ERR_NONE);
    struct identity_key key = {.hub_id = fixture->hub_id, .device_id = "d", .module_id = "m"};
    assert_int_equal(in_write(fixture, delete_identity, &key), ERR_NONE);
    assert_int_equal(in_write(fixture, put_subscriptions, &put), ERR_NOT_FOUND);
    add_identity(fixture, "d", "m");
    check_subscriptions(fixture, "m", 0);
}

static void a_reset_disconnects_everybody(void **state)
{
    struct fixture *fixture = *state;
    add_identity(fixture, "a", "");
    add_identity(fixture, "b", "");
    struct connection came = {fixture->hub_id, "a", "", 50, true, "", 1};
    assert_int_equal(in_write(fixture, put_connection, &came), ERR_NONE);
    check_counts(fixture, "", 2, 2, 1, 0);
    int64_t now_us = 77;
    assert_int_equal(in_write(fixture, reset_connections, &now_us), ERR_NONE);
    check_counts(fixture, "", 2, 2, 0, 0);
    struct identity_key key = {.hub_id = fixture->hub_id, .device_id = "a", .module_id = ""};
    assert_int_equal(in_read(fixture, get_identity, &key), ERR_NONE);
    assert_int_equal(key.identity.connection_updated_us, 77);
    arena_done(&key.arena);
    came.session = 3; /* of a server whose clock was set back meanwhile */
    assert_int_equal(in_write(fixture, put_connection, &came), ERR_NONE);
    check_counts(fixture, "", 2, 2, 1, 0);
}

/* ---- twins ----------------------------------------------------------------------------------- */

struct twin_put {
    int64_t hub_id;
    const char *device_id;
    struct twin_doc twin;
    int64_t expected;
};

static enum err put_twin(struct store_txn *txn, void *argument)
{
    struct twin_put *put = argument;
    return store_twin_put(
        txn, put->hub_id, span_of(put->device_id), SPAN_NONE, &put->twin, put->expected);
}

static void a_twin_is_written_only_over_the_version_that_was_read(void **state)
{
    struct fixture *fixture = *state;
    add_identity(fixture, "d", "");
    struct twin_put put = {fixture->hub_id, "d", twin_of_version(3), 2};
    put.twin.tags = SPAN_LIT("{\"t\":\"\xC3\xA4\"}");
    put.twin.etag = UINT64_MAX;
    assert_int_equal(in_write(fixture, put_twin, &put), ERR_NONE);
    put.twin = twin_of_version(9);
    assert_int_equal(in_write(fixture, put_twin, &put), ERR_PRECONDITION);
    put.expected = 0;
    assert_int_equal(in_write(fixture, put_twin, &put), ERR_PRECONDITION);
    put.device_id = "ghost";
    assert_int_equal(in_write(fixture, put_twin, &put), ERR_NOT_FOUND);
    put.expected = 2;
    assert_int_equal(in_write(fixture, put_twin, &put), ERR_NOT_FOUND);
    struct identity_key key = {.hub_id = fixture->hub_id, .device_id = "d", .module_id = ""};
    assert_int_equal(in_read(fixture, get_twin, &key), ERR_NONE);
    assert_int_equal(key.twin.version, 3);
    assert_true(key.twin.etag == UINT64_MAX);
    check_span(key.twin.tags, "{\"t\":\"\xC3\xA4\"}");
    check_span(key.twin.desired.values, "{\"a\":1.50}");
    check_span(key.twin.desired.metadata, "{\"$lastUpdated\":\"x\"}");
    assert_int_equal(key.twin.desired.version, 2);
    check_span(key.twin.reported.values, "{}");
    check_span(key.twin.reported.metadata, "{}");
    assert_int_equal(key.twin.reported.version, 1);
    arena_done(&key.arena);
}

/* ---- events ---------------------------------------------------------------------------------- */

struct append {
    int64_t hub_id;
    struct event event;
    uint64_t sequence;
};

static enum err append_event(struct store_txn *txn, void *argument)
{
    struct append *append = argument;
    return store_event_append(txn, append->hub_id, &append->event, &append->sequence);
}

static uint64_t add_event(
    struct fixture *fixture, const char *device_id, int64_t enqueued_us, struct span body)
{
    struct append append = {.hub_id = fixture->hub_id,
        .event = {.enqueued_us = enqueued_us,
            .device_id = span_of(device_id),
            .module_id = SPAN_LIT("m"),
            .system_properties = SPAN_LIT("{\"s\":1}"),
            .properties = SPAN_LIT("{}"),
            .body = body}};
    assert_int_equal(in_write(fixture, append_event, &append), ERR_NONE);
    return append.sequence;
}

struct reading {
    int64_t hub_id;
    struct event_range range;
    uint64_t next;
    char text[512];
    size_t length;
    struct event last;
};

static enum err note_event(void *self, const struct event *event)
{
    struct reading *reading = self;
    reading->length +=
        (size_t)snprintf(reading->text + reading->length, sizeof(reading->text) - reading->length,
            "%llu:%.*s ", (unsigned long long)event->sequence, SPAN_ARG(event->device_id));
    return ERR_NONE;
}

static enum err read_events(struct store_txn *txn, void *argument)
{
    struct reading *reading = argument;
    reading->length = 0;
    reading->text[0] = '\0';
    return store_event_read(
        txn, reading->hub_id, &reading->range, note_event, reading, &reading->next);
}

static void events_are_read_in_order_from_anywhere(void **state)
{
    struct fixture *fixture = *state;
    struct fixture other = *fixture;
    other.hub_id = add_hub(fixture, "other", "other.test");
    for (int i = 0; i < 3; i++) {
        add_event(fixture, "a", i, SPAN_LIT("12345"));
        add_event(fixture, "b", i, SPAN_LIT("12345"));
        add_event(&other, "c", i, SPAN_LIT("12345"));
    }
    static const struct {
        struct event_range range;
        const char *expected;
        uint64_t next;
    } rows[] = {
        {{.limit = 99, .limit_bytes = 9999}, "1:a 2:b 3:a 4:b 5:a 6:b ", 7},
        {{.from = 3, .limit = 2, .limit_bytes = 9999}, "3:a 4:b ", 5},
        {{.from = 7, .limit = 2, .limit_bytes = 9999}, "", 7},
        {{.from = 99, .limit = 2, .limit_bytes = 9999}, "", 99},
        {{.from = UINT64_MAX, .limit = 2, .limit_bytes = 9999}, "", UINT64_MAX},
        {{.from = 2, .limit = 9, .limit_bytes = 9999, .device_id = {"a", 1}}, "3:a 5:a ", 7},
        {{.limit = 2, .limit_bytes = 9999, .device_id = {"b", 1}}, "2:b 4:b ", 5},
        {{.limit = 9, .limit_bytes = 9999, .module_id = {"x", 1}}, "", 7},
        {{.limit = 9, .limit_bytes = 13}, "1:a ", 2},
        {{.limit = 9, .limit_bytes = 14}, "1:a 2:b ", 3},
        {{.limit = 0, .limit_bytes = 14}, "", 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct reading reading = {.hub_id = fixture->hub_id, .range = rows[i].range};
        assert_int_equal(in_read(fixture, read_events, &reading), ERR_NONE);
        assert_string_equal(reading.text, rows[i].expected);
        assert_true(reading.next == rows[i].next);
    }
    struct reading nowhere = {.hub_id = 4711, .range = {.limit = 9, .limit_bytes = 9}};
    assert_int_equal(in_read(fixture, read_events, &nowhere), ERR_NOT_FOUND);
}

static enum err check_body(void *self, const struct event *event)
{
    struct span *expected = self;
    assert_int_equal(event->enqueued_us, -5);
    check_span(event->module_id, "m");
    check_span(event->system_properties, "{\"s\":1}");
    check_span(event->properties, "{}");
    assert_true(span_eq(event->body, *expected));
    return ERR_NONE;
}

static enum err read_body(struct store_txn *txn, void *argument)
{
    struct identity_put *hub = ((void **)argument)[0];
    struct event_range range = {.limit = 9, .limit_bytes = SIZE_MAX};
    uint64_t next;
    return store_event_read(txn, hub->hub_id, &range, check_body, ((void **)argument)[1], &next);
}

static void an_event_holds_any_bytes(void **state)
{
    struct fixture *fixture = *state;
    static char bytes[262144];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)(i * 7);
    struct span body = {bytes, sizeof(bytes)};
    add_event(fixture, "a", -5, body);
    struct identity_put hub = {.hub_id = fixture->hub_id};
    void *argument[] = {&hub, &body};
    assert_int_equal(in_read(fixture, read_body, argument), ERR_NONE);
}

static enum err next_event(struct store_txn *txn, void *argument)
{
    struct append *append = argument;
    return store_event_next(txn, append->hub_id, &append->sequence);
}

struct prune {
    int64_t hub_id;
    int64_t before_us;
    size_t limit;
    size_t dropped;
};

static enum err prune_events(struct store_txn *txn, void *argument)
{
    struct prune *prune = argument;
    return store_event_prune(txn, prune->hub_id, prune->before_us, prune->limit, &prune->dropped);
}

static void a_sequence_number_is_never_used_twice(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 1; i <= 5; i++)
        assert_int_equal(add_event(fixture, "a", i, SPAN_NONE), i);
    struct prune prune = {fixture->hub_id, 4, 2, 0};
    assert_int_equal(in_write(fixture, prune_events, &prune), ERR_NONE);
    assert_int_equal(prune.dropped, 2);
    struct reading reading = {
        .hub_id = fixture->hub_id, .range = {.limit = 9, .limit_bytes = 9999}};
    assert_int_equal(in_read(fixture, read_events, &reading), ERR_NONE);
    assert_string_equal(reading.text, "3:a 4:a 5:a ");
    prune = (struct prune){fixture->hub_id, INT64_MAX, 100, 0};
    assert_int_equal(in_write(fixture, prune_events, &prune), ERR_NONE);
    assert_int_equal(prune.dropped, 3);
    fixture_close(fixture);
    fixture_open(fixture, 64, 0);
    struct append append = {.hub_id = fixture->hub_id};
    assert_int_equal(in_read(fixture, next_event, &append), ERR_NONE);
    assert_int_equal(append.sequence, 6);
    assert_int_equal(in_read(fixture, read_events, &reading), ERR_NONE);
    assert_string_equal(reading.text, "");
    assert_int_equal(reading.next, 6);
    assert_int_equal(add_event(fixture, "a", 9, SPAN_NONE), 6);
}

struct mixed {
    int64_t hubs[2];
    enum err result;
    uint64_t seen[5];
};

static enum err append_mixed(struct store_txn *txn, void *argument)
{
    struct mixed *mixed = argument;
    enum err err = ERR_NONE;
    for (size_t i = 0; i < 4 && err == ERR_NONE; i++) {
        const struct event event = {.device_id = SPAN_INIT("a"), .properties = SPAN_INIT("{}")};
        err = store_event_append(txn, mixed->hubs[i % 2], &event, &mixed->seen[i]);
    }
    if (err == ERR_NONE)
        err = store_event_next(txn, mixed->hubs[1], &mixed->seen[4]);
    return err == ERR_NONE ? mixed->result : err;
}

static void numbers_of_one_transaction_go_on_in_the_next_if_it_was_committed(void **state)
{
    struct fixture *fixture = *state;
    struct fixture other = *fixture;
    other.hub_id = add_hub(fixture, "events", "events.local");
    struct mixed mixed = {{fixture->hub_id, other.hub_id}, ERR_ARGUMENT, {0}};
    static const uint64_t expected[] = {1, 1, 2, 2, 3};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(in_write(fixture, append_mixed, &mixed), ERR_ARGUMENT);
        assert_memory_equal(mixed.seen, expected, sizeof(expected));
    }
    mixed.result = ERR_NONE;
    assert_int_equal(in_write(fixture, append_mixed, &mixed), ERR_NONE);
    assert_memory_equal(mixed.seen, expected, sizeof(expected));
    assert_int_equal(add_event(fixture, "a", 1, SPAN_NONE), 3);
    assert_int_equal(add_event(&other, "a", 1, SPAN_NONE), 3);
}

static enum err delete_hub(struct store_txn *txn, void *argument)
{
    return store_hub_delete(txn, *(int64_t *)argument);
}

static void a_deleted_hub_takes_everything_along_and_nothing_else(void **state)
{
    struct fixture *fixture = *state;
    struct fixture other = *fixture;
    other.hub_id = add_hub(fixture, "other", "other.test");
    add_identity(fixture, "d", "");
    add_identity(&other, "d", "");
    add_event(fixture, "d", 1, SPAN_NONE);
    add_event(&other, "d", 1, SPAN_NONE);
    assert_int_equal(in_write(fixture, delete_hub, &fixture->hub_id), ERR_NONE);
    assert_int_equal(in_write(fixture, delete_hub, &fixture->hub_id), ERR_NOT_FOUND);
    struct identity_key key = {.hub_id = fixture->hub_id, .device_id = "d", .module_id = ""};
    assert_int_equal(in_read(fixture, get_identity, &key), ERR_NOT_FOUND);
    struct append append = {.hub_id = fixture->hub_id};
    assert_int_equal(in_read(fixture, next_event, &append), ERR_NOT_FOUND);
    assert_int_equal(in_write(fixture, append_event, &append), ERR_NOT_FOUND);
    key.hub_id = other.hub_id;
    assert_int_equal(in_read(fixture, get_identity, &key), ERR_NONE);
    struct reading reading = {.hub_id = other.hub_id, .range = {.limit = 9, .limit_bytes = 99}};
    assert_int_equal(in_read(fixture, read_events, &reading), ERR_NONE);
    assert_string_equal(reading.text, "1:d ");
    check_counts(&other, "", 1, 1, 0, 0);
    /* Names are free again, the number is not. */
    assert_true(add_hub(fixture, "h", "h.test") > other.hub_id);
    arena_done(&key.arena);
}

/* ---- without memory -------------------------------------------------------------------------- */

static void a_read_without_memory_says_so(void **state)
{
    struct fixture *fixture = *state;
    add_identity(fixture, "d", "");
    static test_body *const bodies[] = {get_identity, get_twin};
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        struct identity_key key = {.hub_id = fixture->hub_id, .device_id = "d", .module_id = ""};
        arena_init(&key.arena, 48);
        assert_int_equal(in_read(fixture, bodies[i], &key), ERR_MEMORY);
        arena_done(&key.arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_identity_comes_back_member_by_member),
        cmocka_unit_test(ids_are_told_apart_by_every_allowed_character),
        cmocka_unit_test(a_deleted_device_takes_its_modules_and_twins_along),
        cmocka_unit_test(an_update_leaves_the_connection_alone),
        cmocka_unit_test(lists_come_in_bytewise_order_and_go_on_behind_a_given_id),
        cmocka_unit_test(a_visitors_error_ends_the_walk),
        cmocka_unit_test(counts_follow_every_change),
        cmocka_unit_test(only_the_current_session_can_leave),
        cmocka_unit_test(subscriptions_last_until_they_are_cleared_or_the_identity_goes),
        cmocka_unit_test(a_reset_disconnects_everybody),
        cmocka_unit_test(a_twin_is_written_only_over_the_version_that_was_read),
        cmocka_unit_test(events_are_read_in_order_from_anywhere),
        cmocka_unit_test(an_event_holds_any_bytes),
        cmocka_unit_test(numbers_of_one_transaction_go_on_in_the_next_if_it_was_committed),
        cmocka_unit_test(a_sequence_number_is_never_used_twice),
        cmocka_unit_test(a_deleted_hub_takes_everything_along_and_nothing_else),
        cmocka_unit_test(a_read_without_memory_says_so),
    };
    return run_for_every_backend("store records", tests, COUNT_OF(tests));
}
