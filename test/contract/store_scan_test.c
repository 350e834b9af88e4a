/* SPDX-License-Identifier: Apache-2.0 */
/* Scans for queries: every filter alone and with others, in pages of every size, and counted. */
#include "store_harness.h"

#include <stdio.h>

struct scan_call {
    int64_t hub_id;
    struct twin_scan scan;
    char listed[1024]; /* "a b/m c" */
    char last[32];
    char last_module[32];
    size_t rows;
    uint64_t count;
    bool with_twin;
};

static enum err note(void *self, const struct identity *identity, const struct twin_doc *twin)
{
    struct scan_call *call = self;
    size_t len = strlen(call->listed);
    snprintf(call->listed + len, sizeof(call->listed) - len, "%s%.*s%s%.*s", len == 0 ? "" : " ",
        SPAN_ARG(identity->device_id), identity->module_id.len > 0 ? "/" : "",
        SPAN_ARG(identity->module_id));
    assert_true(span_copy(identity->device_id, call->last, sizeof(call->last)));
    assert_true(span_copy(identity->module_id, call->last_module, sizeof(call->last_module)));
    assert_true(call->scan.with_twins == (twin != NULL));
    call->rows++;
    return ERR_NONE;
}

static enum err run_scan(struct store_txn *txn, void *argument)
{
    struct scan_call *call = argument;
    call->rows = 0;
    enum err err = store_twin_count(txn, call->hub_id, &call->scan, &call->count);
    return err == ERR_NONE ? store_twin_scan(txn, call->hub_id, &call->scan, note, call) : err;
}

struct subject {
    const char *device_id;
    const char *module_id;
    bool disabled;
    bool connected;
    bool iot_edge;
    const char *tags;
    const char *state; /* latest_state; NULL: none */
};

static const struct subject subjects[] = {
    {"a", "", false, true, false, "{\"site\":\"north\",\"n\":1,\"on\":true}", NULL},
    {"a", "m", false, true, false, "{\"site\":\"north\",\"deep\":{\"er\":{\"n\":2.50}}}", "failed"},
    {"b", "", true, false, true, "{\"site\":\"south\",\"n\":1.0,\"on\":false}", NULL},
    {"b", "m", false, false, false, "{}", "success"},
    {"b", "n", false, true, false, "{\"site\":\"north\"}", "failed"},
    {"ba", "", false, true, true, "{\"site\":\"north\",\"n\":\"1\",\"list\":[1]}", NULL},
    {"c", "", false, false, false, "{}", "failed"},
    {"c", "n", false, true, false, "{\"site\":\"north\",\"caf\xC3\xA9\":\"\xE2\x82\xAC\"}", NULL},
};

static enum err add(struct store_txn *txn, void *argument)
{
    int64_t hub_id = *(const int64_t *)argument;
    enum err err = ERR_NONE;
    for (size_t i = 0; i < COUNT_OF(subjects) && err == ERR_NONE; i++) {
        const struct subject *one = &subjects[i];
        char reported[64] = "{}";
        if (one->state != NULL)
            snprintf(reported, sizeof(reported), "{\"latest_state\":\"%s\"}", one->state);
        struct identity identity = identity_named(one->device_id, one->module_id);
        struct twin_doc twin = twin_of_version(2);
        identity.enabled = !one->disabled;
        identity.connected = one->connected;
        identity.iot_edge = one->iot_edge;
        twin.tags = span_of(one->tags);
        twin.reported.values = span_of(reported);
        err = store_identity_insert(txn, hub_id, &identity);
        if (err == ERR_NONE)
            err = store_twin_put(txn, hub_id, identity.device_id, identity.module_id, &twin, 0);
    }
    return err;
}

static const struct twin_scan any = {
    .connected = -1, .enabled = -1, .iot_edge = -1, .latest_state = -1, .limit = SIZE_MAX};

static struct fixture *filled(void **state)
{
    struct fixture *fixture = *state;
    int64_t other = add_hub(fixture, "other", "other.test");
    assert_int_equal(in_write(fixture, add, &fixture->hub_id), ERR_NONE);
    assert_int_equal(in_write(fixture, add, &other), ERR_NONE);
    return fixture;
}

/* All at once, and again in pages of one and of two. */
static void check_scan(struct fixture *fixture, struct twin_scan scan, const char *expected)
{
    size_t total = 0;
    for (size_t size = 0; size <= 2; size++) {
        struct scan_call call = {.hub_id = fixture->hub_id, .scan = scan};
        char after[32];
        char after_module[32];
        if (size > 0)
            call.scan.limit = size;
        do {
            assert_int_equal(in_read(fixture, run_scan, &call), ERR_NONE);
            if (call.scan.after.len == 0 && size == 0)
                total = call.rows;
            memcpy(after, call.last, sizeof(after));
            memcpy(after_module, call.last_module, sizeof(after_module));
            call.scan.after = span_of(after);
            call.scan.after_module = span_of(after_module);
        } while (size > 0 && call.rows > 0);
        assert_string_equal(call.listed, expected);
        assert_int_equal(size == 0 ? call.count : total, total);
    }
}

static void ids_and_ranges_of_ids(void **state)
{
    static const struct span ids[] = {SPAN_INIT("b"), SPAN_INIT("c"), SPAN_INIT("x")};
    struct fixture *fixture = filled(state);
    struct twin_scan scan = any;
    check_scan(fixture, scan, "a b ba c");
    scan.device_from = SPAN_LIT("b");
    check_scan(fixture, scan, "b ba c");
    scan.device_below = SPAN_LIT("c");
    check_scan(fixture, scan, "b ba");
    scan = any;
    scan.device_ids = ids;
    scan.device_id_count = COUNT_OF(ids);
    check_scan(fixture, scan, "b c");
    scan.modules = true;
    check_scan(fixture, scan, "b/m b/n c/n");
    scan.module_id = SPAN_LIT("n");
    check_scan(fixture, scan, "b/n c/n");
    scan.device_id_count = 0;
    check_scan(fixture, scan, "");
    scan = any;
    scan.modules = true;
    check_scan(fixture, scan, "a/m b/m b/n c/n");
    scan.with_twins = true;
    scan.device_from = SPAN_LIT("b");
    check_scan(fixture, scan, "b/m b/n c/n");
    scan.with_metadata = true;
    scan.module_id = SPAN_LIT("m");
    check_scan(fixture, scan, "b/m");
}

static void flags_and_verdicts(void **state)
{
    struct fixture *fixture = filled(state);
    struct twin_scan scan = any;
    scan.connected = 1;
    check_scan(fixture, scan, "a ba");
    scan.iot_edge = 1;
    check_scan(fixture, scan, "ba");
    scan.connected = -1;
    check_scan(fixture, scan, "b ba");
    scan.enabled = 0;
    check_scan(fixture, scan, "b");
    scan = any;
    scan.iot_edge = 0;
    check_scan(fixture, scan, "a c");
    scan = any;
    scan.modules = true;
    scan.connected = 0;
    check_scan(fixture, scan, "b/m");
    scan.connected = -1;
    scan.latest_state = 2;
    check_scan(fixture, scan, "a/m b/n");
    scan.module_id = SPAN_LIT("n");
    check_scan(fixture, scan, "b/n");
    scan.module_id = SPAN_NONE;
    scan.latest_state = 1;
    check_scan(fixture, scan, "b/m");
    scan.connected = 1;
    check_scan(fixture, scan, "");
}

static struct twin_scan with_tag(bool modules, const char *path, struct tag_match match)
{
    struct twin_scan scan = any;
    scan.modules = modules;
    scan.tag = match;
    scan.tag.path = span_of(path);
    return scan;
}

static void tags_of_every_kind(void **state)
{
    struct fixture *fixture = filled(state);
    const struct tag_match north = {.kind = TAG_STRING, .text = SPAN_LIT("north")};
    const struct tag_match one = {.kind = TAG_NUMBER, .number = 1};
    const struct tag_match yes = {.kind = TAG_BOOL, .truth = true};
    const struct tag_match more = {.kind = TAG_NUMBER, .number = 2.5};
    const struct tag_match euro = {.kind = TAG_STRING, .text = SPAN_LIT("\xE2\x82\xAC")};
    struct twin_scan scan = with_tag(false, "site", north);
    check_scan(fixture, scan, "a ba");
    scan.iot_edge = 1;
    check_scan(fixture, scan, "ba");
    check_scan(fixture, with_tag(true, "site", north), "a/m b/n c/n");
    check_scan(fixture, with_tag(false, "n", one), "a b");
    check_scan(fixture, with_tag(false, "on", yes), "a");
    check_scan(fixture, with_tag(true, "deep.er.n", more), "a/m");
    check_scan(fixture, with_tag(true, "caf\xC3\xA9", euro), "c/n");
    check_scan(fixture, with_tag(false, "Site", north), "");
    check_scan(fixture, with_tag(false, "list", one), "");
    /* Led by another index, the tag is still looked at. */
    scan = with_tag(true, "site", north);
    scan.latest_state = 2;
    check_scan(fixture, scan, "a/m b/n");
    scan.device_from = SPAN_LIT("b");
    check_scan(fixture, scan, "b/n");
}

static enum err change_tags(struct store_txn *txn, void *argument)
{
    int64_t hub_id = *(const int64_t *)argument;
    struct twin_doc twin = twin_of_version(3);
    twin.tags = SPAN_LIT("{\"site\":\"west\"}");
    enum err err = store_twin_put(txn, hub_id, SPAN_LIT("a"), SPAN_NONE, &twin, 2);
    twin.tags = SPAN_LIT("{}");
    if (err == ERR_NONE)
        err = store_twin_put(txn, hub_id, SPAN_LIT("a"), SPAN_LIT("m"), &twin, 2);
    return err == ERR_NONE ? store_identity_delete(txn, hub_id, SPAN_LIT("ba"), SPAN_NONE) : err;
}

static void what_changes_is_found_where_it_is_now(void **state)
{
    struct fixture *fixture = filled(state);
    const struct tag_match north = {.kind = TAG_STRING, .text = SPAN_LIT("north")};
    const struct tag_match west = {.kind = TAG_STRING, .text = SPAN_LIT("west")};
    assert_int_equal(in_write(fixture, change_tags, &fixture->hub_id), ERR_NONE);
    check_scan(fixture, with_tag(false, "site", north), "");
    check_scan(fixture, with_tag(false, "site", west), "a");
    check_scan(fixture, with_tag(true, "site", north), "b/n c/n");
    fixture_close(fixture);
    fixture_open(fixture, 64, 0);
    check_scan(fixture, with_tag(false, "site", west), "a");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_and_ranges_of_ids),
        cmocka_unit_test(flags_and_verdicts),
        cmocka_unit_test(tags_of_every_kind),
        cmocka_unit_test(what_changes_is_found_where_it_is_now),
    };
    return run_for_every_backend("store scan", tests, COUNT_OF(tests));
}
