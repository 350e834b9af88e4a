/* SPDX-License-Identifier: Apache-2.0 */
/* Scans for queries: every term alone and with others, in pages of every size, and counted. */
#include "store_harness.h"
#include "store_scan.h"

#include <stdio.h>

struct scan_call {
    int64_t hub_id;
    struct twin_scan scan;
    char listed[1024]; /* "a b/m c" */
    char last[32];
    char last_module[32];
    size_t rows;
    bool known;
    uint64_t count;
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
    enum err err = store_twin_count(txn, call->hub_id, &call->scan, &call->known, &call->count);
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
    const char *configurations;
};

static const struct subject subjects[] = {
    {"a", "", false, true, false, "{\"site\":\"north\",\"n\":1,\"on\":true}", NULL,
        "{\"c1\":{\"status\":\"Applied\"},\"c2\":{\"status\":\"Targeted\"}}"},
    {"a", "m", false, true, false, "{\"site\":\"north\",\"deep\":{\"er\":{\"n\":2.50}}}", "failed",
        ""},
    {"b", "", true, false, true, "{\"site\":\"south\",\"n\":1.0,\"on\":false}", NULL, ""},
    {"b", "m", false, false, false, "{}", "success", "{\"c1\":{\"status\":\"Targeted\"}}"},
    {"b", "n", false, true, false, "{\"site\":\"north\"}", "failed", ""},
    {"ba", "", false, true, true, "{\"site\":\"north\",\"n\":\"1\",\"list\":[1]}", NULL, ""},
    {"c", "", false, false, false, "{}", "failed", ""},
    {"c", "n", false, true, false, "{\"site\":\"north\",\"caf\xC3\xA9\":\"\xE2\x82\xAC\"}", "odd",
        "{\"c1\":{\"status\":\"Applied\"}}"},
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
        twin.configurations = span_of(one->configurations);
        err = store_identity_insert(txn, hub_id, &identity);
        if (err == ERR_NONE)
            err = store_twin_put(txn, hub_id, identity.device_id, identity.module_id, &twin, 0);
        if (err == ERR_NONE)
            err = store_configuration_target(
                txn, hub_id, identity.device_id, identity.module_id, twin.configurations);
    }
    return err;
}

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
        assert_true(size > 0 || !call.known || call.count == total);
    }
    scan.only_ids = true;
    struct scan_call call = {.hub_id = fixture->hub_id, .scan = scan};
    call.scan.with_twins = false;
    assert_int_equal(in_read(fixture, run_scan, &call), ERR_NONE);
    assert_string_equal(call.listed, expected);
}

/* Of devices ("a c") and of modules ("a/m c/n"). */
static void check_term(
    struct fixture *fixture, bool modules, struct scan_term term, const char *expected)
{
    struct twin_scan scan = {.modules = modules, .term = &term, .limit = SIZE_MAX};
    check_scan(fixture, scan, expected);
    scan.with_twins = true;
    check_scan(fixture, scan, expected);
}

static struct scan_term flag(enum scan_kind kind, int wanted)
{
    return (struct scan_term){.kind = kind, .flag = wanted};
}

static struct scan_term named(enum scan_kind kind, const char *name, int wanted)
{
    return (struct scan_term){.kind = kind, .name = span_of(name), .flag = wanted};
}

static struct scan_term range(const char *from, const char *below)
{
    return (struct scan_term){.kind = SCAN_RANGE, .name = span_of(from), .below = span_of(below)};
}

static const struct span some_ids[] = {SPAN_INIT("b"), SPAN_INIT("c"), SPAN_INIT("x")};

static struct scan_term ids(size_t count)
{
    return (struct scan_term){.kind = SCAN_DEVICES, .ids = some_ids, .count = count};
}

static struct scan_term join(enum scan_kind kind, const struct scan_term *parts, size_t count)
{
    return (struct scan_term){.kind = kind, .parts = parts, .count = count};
}

static struct scan_term tag_text(const char *name, const char *text)
{
    struct scan_term term = named(SCAN_TAG, name, 0);
    term.tag = (struct tag_value){.kind = TAG_STRING, .text = span_of(text)};
    return term;
}

static struct scan_term tag_number(const char *name, double number)
{
    struct scan_term term = named(SCAN_TAG, name, 0);
    term.tag = (struct tag_value){.kind = TAG_NUMBER, .number = number};
    return term;
}

static void ids_and_ranges_of_ids(void **state)
{
    struct fixture *fixture = filled(state);
    struct twin_scan whole = {.limit = SIZE_MAX};
    check_scan(fixture, whole, "a b ba c");
    whole.modules = true;
    check_scan(fixture, whole, "a/m b/m b/n c/n");
    whole.with_twins = true;
    whole.with_metadata = true;
    check_scan(fixture, whole, "a/m b/m b/n c/n");
    check_term(fixture, false, range("b", ""), "b ba c");
    check_term(fixture, false, range("b", "c"), "b ba");
    check_term(fixture, false, range("", "b"), "a");
    check_term(fixture, true, range("b", "c"), "b/m b/n");
    check_term(fixture, false, range("x", "b"), "");
    check_term(fixture, false, ids(3), "b c");
    check_term(fixture, true, ids(3), "b/m b/n c/n");
    check_term(fixture, true, ids(0), "");
    check_term(fixture, true, named(SCAN_MODULE, "n", 0), "b/n c/n");
    check_term(fixture, true, named(SCAN_MODULE, "none", 0), "");
    const struct scan_term both[] = {ids(3), named(SCAN_MODULE, "n", 0), range("c", "")};
    check_term(fixture, true, join(SCAN_ALL, both, 2), "b/n c/n");
    check_term(fixture, true, join(SCAN_ALL, both, 3), "c/n");
    check_term(fixture, true, join(SCAN_ALL, both + 1, 2), "c/n");
    const struct scan_term names[] = {named(SCAN_MODULE, "m", 0), named(SCAN_MODULE, "n", 0)};
    check_term(fixture, true, join(SCAN_ALL, names, 2), "");
    check_term(fixture, true, join(SCAN_ANY, names, 2), "a/m b/m b/n c/n");
}

static void flags_and_verdicts(void **state)
{
    struct fixture *fixture = filled(state);
    check_term(fixture, false, flag(SCAN_CONNECTED, 1), "a ba");
    check_term(fixture, false, flag(SCAN_EDGE, 1), "b ba");
    check_term(fixture, false, flag(SCAN_EDGE, 0), "a c");
    check_term(fixture, false, flag(SCAN_ENABLED, 0), "b");
    check_term(fixture, true, flag(SCAN_ENABLED, 0), "");
    check_term(fixture, true, flag(SCAN_CONNECTED, 0), "b/m");
    check_term(fixture, true, flag(SCAN_STATE, STATE_FAILED), "a/m b/n");
    check_term(fixture, true, flag(SCAN_STATE, STATE_SUCCESS), "b/m");
    check_term(fixture, true, flag(SCAN_STATE, STATE_OTHER), "c/n");
    check_term(fixture, true, flag(SCAN_STATE, STATE_NONE), "");
    const struct scan_term parts[] = {flag(SCAN_CONNECTED, 1), flag(SCAN_STATE, STATE_FAILED),
        named(SCAN_MODULE, "n", 0), range("b", "")};
    check_term(fixture, true, join(SCAN_ALL, parts, 2), "a/m b/n");
    check_term(fixture, true, join(SCAN_ALL, parts, 4), "b/n");
    check_term(fixture, true, join(SCAN_ALL, parts + 1, 3), "b/n");
    const struct scan_term edge[] = {flag(SCAN_CONNECTED, 1), flag(SCAN_EDGE, 1)};
    check_term(fixture, false, join(SCAN_ALL, edge, 2), "ba");
    check_term(fixture, false, join(SCAN_ANY, edge, 2), "a b ba");
}

static void tags_of_every_kind(void **state)
{
    struct fixture *fixture = filled(state);
    struct scan_term yes = named(SCAN_TAG, "on", 0);
    yes.tag = (struct tag_value){.kind = TAG_BOOL, .truth = true};
    check_term(fixture, false, tag_text("site", "north"), "a ba");
    check_term(fixture, true, tag_text("site", "north"), "a/m b/n c/n");
    check_term(fixture, false, tag_number("n", 1), "a b");
    check_term(fixture, false, tag_text("n", "1"), "ba");
    check_term(fixture, false, yes, "a");
    check_term(fixture, true, tag_number("deep.er.n", 2.5), "a/m");
    check_term(fixture, true, tag_text("caf\xC3\xA9", "\xE2\x82\xAC"), "c/n");
    check_term(fixture, false, tag_text("Site", "north"), "");
    check_term(fixture, false, tag_number("list", 1), "");
    check_term(fixture, false, named(SCAN_TAGGED, "n", 0), "a b ba");
    check_term(fixture, false, named(SCAN_TAGGED, "list", 0), "ba");
    check_term(fixture, true, named(SCAN_TAGGED, "deep.er", 0), "a/m");
    check_term(fixture, true, named(SCAN_TAGGED, "er", 0), "");
    const struct scan_term parts[] = {
        tag_text("site", "north"), flag(SCAN_STATE, STATE_FAILED), range("b", "")};
    check_term(fixture, true, join(SCAN_ALL, parts, 2), "a/m b/n");
    check_term(fixture, true, join(SCAN_ALL, parts, 3), "b/n");
    check_term(fixture, true, join(SCAN_ANY, parts, 2), "a/m b/n c/n");
}

static void configurations_and_what_is_joined(void **state)
{
    struct fixture *fixture = filled(state);
    check_term(fixture, false, named(SCAN_CONFIGURATION, "c1", 1), "a");
    check_term(fixture, false, named(SCAN_CONFIGURATION, "c2", 0), "a");
    check_term(fixture, false, named(SCAN_CONFIGURATION, "c2", 1), "");
    check_term(fixture, true, named(SCAN_CONFIGURATION, "c1", 1), "c/n");
    check_term(fixture, true, named(SCAN_CONFIGURATION, "c1", 0), "b/m");
    const struct scan_term target[] = {
        named(SCAN_CONFIGURATION, "c1", 0), named(SCAN_CONFIGURATION, "c1", 1)};
    const struct scan_term deep[] = {
        join(SCAN_ANY, target, 2), ids(1), tag_text("site", "north"), join(SCAN_ANY, target, 0)};
    check_term(fixture, true, deep[0], "b/m c/n");
    check_term(fixture, true, join(SCAN_ALL, deep, 2), "b/m");
    check_term(fixture, true, join(SCAN_ANY, deep, 2), "b/m b/n c/n");
    check_term(fixture, true, join(SCAN_ANY, deep, 4), "a/m b/m b/n c/n");
    check_term(fixture, true, join(SCAN_ALL, deep, 4), "");
    check_term(fixture, true, deep[3], "");
    const struct scan_term nested[] = {join(SCAN_ALL, deep, 2), join(SCAN_ALL, deep + 1, 2)};
    check_term(fixture, true, join(SCAN_ANY, nested, 2), "b/m b/n");
    check_term(fixture, true, join(SCAN_ALL, nested, 2), "");
}

/* ---- facets ------------------------------------------------------------------------------------
 */

struct facet_call {
    int64_t hub_id;
    bool modules;
    enum scan_kind kind;
    const char *name;
    const char *module;
    char listed[256]; /* "flag or tag:count" */
};

static enum err note_facet(void *self, const struct facet *facet)
{
    struct facet_call *call = self;
    struct buf tag = BUF_EMPTY;
    size_t len = strlen(call->listed);
    if (call->kind == SCAN_TAG)
        buf_add_text(&tag, facet->tag.kind == TAG_OTHER ? "other" : "");
    if (call->kind == SCAN_TAG && facet->tag.kind == TAG_NUMBER)
        buf_add_format(&tag, "%g", facet->tag.number);
    if (call->kind == SCAN_TAG && facet->tag.kind == TAG_BOOL)
        buf_add_text(&tag, facet->tag.truth ? "true" : "false");
    buf_add(&tag, facet->tag.text);
    if (call->kind != SCAN_TAG && call->kind != SCAN_MODULE)
        buf_add_format(&tag, "%d", facet->flag);
    snprintf(call->listed + len, sizeof(call->listed) - len, "%s%.*s:%llu", len == 0 ? "" : " ",
        SPAN_ARG(buf_span(&tag)), (unsigned long long)facet->count);
    buf_done(&tag);
    return ERR_NONE;
}

static enum err run_facets(struct store_txn *txn, void *argument)
{
    struct facet_call *call = argument;
    return store_twin_facets(txn, call->hub_id, call->modules, call->kind, span_of(call->name),
        span_of(call->module), note_facet, call);
}

static void facets_count_each_value(void **state)
{
    static const struct {
        bool modules;
        enum scan_kind kind;
        const char *name;
        const char *module;
        const char *expected;
    } cases[] = {
        {false, SCAN_CONNECTED, "", "", "0:2 1:2"},
        {true, SCAN_CONNECTED, "", "", "0:1 1:3"},
        {true, SCAN_CONNECTED, "", "n", "1:2"},
        {false, SCAN_ENABLED, "", "", "0:1 1:3"},
        {true, SCAN_ENABLED, "", "", "1:4"},
        {false, SCAN_EDGE, "", "", "0:2 1:2"},
        {true, SCAN_STATE, "", "", "1:1 2:2 3:1"},
        {true, SCAN_STATE, "", "m", "1:1 2:1"},
        {true, SCAN_MODULE, "", "", "m:2 n:2"},
        {false, SCAN_TAG, "n", "", "1:2 1:1"},
        {false, SCAN_TAG, "on", "", "false:1 true:1"},
        {false, SCAN_TAG, "list", "", "other:1"},
        {true, SCAN_TAG, "site", "n", "north:2"},
        {false, SCAN_CONFIGURATION, "c1", "", "1:1"},
        {true, SCAN_CONFIGURATION, "c1", "", "0:1 1:1"},
        {true, SCAN_CONFIGURATION, "none", "", ""},
    };
    struct fixture *fixture = filled(state);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct facet_call call = {.hub_id = fixture->hub_id,
            .modules = cases[i].modules,
            .kind = cases[i].kind,
            .name = cases[i].name,
            .module = cases[i].module};
        assert_int_equal(in_read(fixture, run_facets, &call), ERR_NONE);
        assert_string_equal(call.listed, cases[i].expected);
    }
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
    if (err == ERR_NONE)
        err = store_configuration_target(
            txn, hub_id, SPAN_LIT("a"), SPAN_NONE, SPAN_LIT("{\"c1\":{\"status\":\"Targeted\"}}"));
    return err == ERR_NONE ? store_identity_delete(txn, hub_id, SPAN_LIT("ba"), SPAN_NONE) : err;
}

static void what_changes_is_found_where_it_is_now(void **state)
{
    struct fixture *fixture = filled(state);
    assert_int_equal(in_write(fixture, change_tags, &fixture->hub_id), ERR_NONE);
    check_term(fixture, false, tag_text("site", "north"), "");
    check_term(fixture, false, tag_text("site", "west"), "a");
    check_term(fixture, true, tag_text("site", "north"), "b/n c/n");
    check_term(fixture, false, named(SCAN_TAGGED, "n", 0), "b");
    check_term(fixture, false, named(SCAN_CONFIGURATION, "c1", 1), "");
    check_term(fixture, false, named(SCAN_CONFIGURATION, "c1", 0), "a");
    check_term(fixture, false, named(SCAN_CONFIGURATION, "c2", 0), "");
    fixture_close(fixture);
    fixture_open(fixture, 64, 0);
    check_term(fixture, false, tag_text("site", "west"), "a");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_and_ranges_of_ids),
        cmocka_unit_test(flags_and_verdicts),
        cmocka_unit_test(tags_of_every_kind),
        cmocka_unit_test(configurations_and_what_is_joined),
        cmocka_unit_test(facets_count_each_value),
        cmocka_unit_test(what_changes_is_found_where_it_is_now),
    };
    return run_for_every_backend("store scan", tests, COUNT_OF(tests));
}
