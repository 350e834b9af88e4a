/* SPDX-License-Identifier: Apache-2.0 */
#include "in_arena.h"
#include "twin.h"

#include <setjmp.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

#define T0 1700000000000000 /* 2023-11-14T22:13:20Z */
#define T1 1700000001000000
#define AT0 "2023-11-14T22:13:20.0000000Z"
#define AT1 "2023-11-14T22:13:21.0000000Z"

static const char *text_of(struct span span)
{
    const char *text = arena_text(&arena, span);
    assert_non_null(text);
    return text;
}

/* A document with these contents, made by the engine itself. */
static struct twin_doc doc_of(const char *tags, const char *desired, const char *reported)
{
    struct twin_doc doc;
    struct twin_change change;
    struct why why = {""};
    assert_int_equal(twin_new(&arena, T0, &doc), ERR_NONE);
    char *body =
        arena_format(&arena, "{\"tags\":%s,\"properties\":{\"desired\":%s}}", tags, desired);
    assert_int_equal(twin_apply(&arena, &doc, TWIN_PATCH, json_of(body), &twin_limits_default, T0,
                         &change, &why),
        ERR_NONE);
    doc = change.doc;
    assert_int_equal(twin_apply(&arena, &doc, TWIN_REPORT, json_of(reported), &twin_limits_default,
                         T0, &change, &why),
        ERR_NONE);
    return change.doc;
}

static struct twin_change apply(
    const struct twin_doc *doc, enum twin_change_kind kind, const char *body)
{
    struct twin_change change;
    struct why why = {""};
    enum err err =
        twin_apply(&arena, doc, kind, json_of(body), &twin_limits_default, T1, &change, &why);
    if (err != ERR_NONE)
        fail_msg("%s: %s", body, why.text);
    return change;
}

/* Desired before, the change of it, desired after, and what the client is told (NULL: nothing). */
struct row {
    const char *before;
    const char *patch;
    const char *after;
    const char *told;
};

static void run_rows(enum twin_change_kind kind, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct twin_doc doc = doc_of("{}", rows[i].before, "{}");
        char *body = arena_format(&arena, "{\"properties\":{\"desired\":%s}}", rows[i].patch);
        struct twin_change change = apply(&doc, kind, body);
        assert_string_equal(text_of(change.doc.desired.values), rows[i].after);
        if (rows[i].told == NULL) {
            assert_false(change.desired_changed);
            assert_int_equal(change.notification.len, 0);
            assert_int_equal(change.doc.desired.version, doc.desired.version);
            continue;
        }
        assert_true(change.desired_changed);
        assert_int_equal(change.doc.desired.version, doc.desired.version + 1);
        const char *told =
            arena_format(&arena, "%.*s%s\"$version\":%d}", (int)strlen(rows[i].told) - 1,
                rows[i].told, strlen(rows[i].told) > 2 ? "," : "", (int)change.doc.desired.version);
        assert_string_equal(text_of(change.notification), told);
    }
}

static void a_patch_merges_as_iot_hub_merges(void **state UNUSED)
{
    static const struct row rows[] = {
        {"{}", "{\"a\":1}", "{\"a\":1}", "{\"a\":1}"},
        {"{\"a\":1}", "{\"a\":1}", "{\"a\":1}", "{\"a\":1}"},
        {"{\"a\":1,\"b\":2}", "{\"a\":null}", "{\"b\":2}", "{\"a\":null}"},
        {"{\"a\":1}", "{\"b\":null}", "{\"a\":1}", "{\"b\":null}"},
        {"{}", "{\"a\":{\"b\":null}}", "{\"a\":{}}", "{\"a\":{\"b\":null}}"},
        {"{\"a\":{\"b\":1,\"c\":2}}", "{\"a\":{\"b\":null,\"d\":3}}", "{\"a\":{\"c\":2,\"d\":3}}",
            "{\"a\":{\"b\":null,\"d\":3}}"},
        {"{\"a\":{\"b\":{\"c\":1}}}", "{\"a\":{\"b\":{\"d\":2}}}",
            "{\"a\":{\"b\":{\"c\":1,\"d\":2}}}", "{\"a\":{\"b\":{\"d\":2}}}"},
        {"{\"a\":{\"b\":1}}", "{\"a\":5}", "{\"a\":5}", "{\"a\":5}"},
        {"{\"a\":5}", "{\"a\":{\"b\":1}}", "{\"a\":{\"b\":1}}", "{\"a\":{\"b\":1}}"},
        {"{\"a\":5}", "{\"a\":{\"b\":null}}", "{\"a\":{}}", "{\"a\":{\"b\":null}}"},
        {"{\"a\":[1,2,3]}", "{\"a\":[4]}", "{\"a\":[4]}", "{\"a\":[4]}"},
        {"{\"a\":[{\"x\":1}]}", "{\"a\":{\"x\":2}}", "{\"a\":{\"x\":2}}", "{\"a\":{\"x\":2}}"},
        {"{\"a\":{\"x\":2}}", "{\"a\":[]}", "{\"a\":[]}", "{\"a\":[]}"},
        {"{\"a\":{\"x\":1}}", "{\"a\":{}}", "{\"a\":{\"x\":1}}", "{\"a\":{}}"},
        /* order and spelling */
        {"{\"z\":1,\"a\":2}", "{\"m\":1.50,\"z\":1e2}", "{\"z\":1e2,\"a\":2,\"m\":1.50}",
            "{\"m\":1.50,\"z\":1e2}"},
        {"{}", "{\"a\":-0,\"b\":1.0,\"c\":1E+2}", "{\"a\":-0,\"b\":1.0,\"c\":1E+2}",
            "{\"a\":-0,\"b\":1.0,\"c\":1E+2}"},
        {"{}", "{\"d\":\"2017-01-19T10:12:44.8080577Z\"}",
            "{\"d\":\"2017-01-19T10:12:44.8080577Z\"}", "{\"d\":\"2017-01-19T10:12:44.8080577Z\"}"},
        {"{}", "{\"\\u00e9\\ud83d\\ude00\":\"\\u0001\\n\"}",
            "{\"\xC3\xA9\xF0\x9F\x98\x80\":\"\\u0001\\n\"}",
            "{\"\xC3\xA9\xF0\x9F\x98\x80\":\"\\u0001\\n\"}"},
        /* what SDKs send back */
        {"{\"a\":1}", "{\"$metadata\":{\"$lastUpdated\":\"x\",\"a\":{}},\"b\":2,\"$version\":99}",
            "{\"a\":1,\"b\":2}", "{\"b\":2}"},
        /* nothing is asked for */
        {"{\"a\":1}", "{}", "{\"a\":1}", NULL},
        {"{\"a\":1}", "{\"$version\":7}", "{\"a\":1}", NULL},
        /* clear: caches need every name */
        {"{\"a\":1,\"b\":{\"c\":1}}", "null", "{}", "{\"a\":null,\"b\":null}"},
        {"{}", "null", "{}", "{}"},
    };
    run_rows(TWIN_PATCH, rows, COUNT_OF(rows));
}

static void a_replace_tells_the_difference_with_explicit_nulls(void **state UNUSED)
{
    static const struct row rows[] = {
        {"{\"a\":1,\"b\":2}", "{\"b\":3,\"c\":4}", "{\"b\":3,\"c\":4}",
            "{\"a\":null,\"b\":3,\"c\":4}"},
        {"{\"a\":1}", "{\"a\":1}", "{\"a\":1}", "{}"},
        {"{\"a\":1}", "{\"a\":1.0}", "{\"a\":1.0}", "{\"a\":1.0}"},
        {"{\"a\":{\"b\":1,\"c\":2},\"d\":3}", "{\"a\":{\"c\":2,\"e\":{\"f\":1}}}",
            "{\"a\":{\"c\":2,\"e\":{\"f\":1}}}", "{\"d\":null,\"a\":{\"b\":null,\"e\":{\"f\":1}}}"},
        {"{\"a\":{\"b\":1}}", "{\"a\":{}}", "{\"a\":{}}", "{\"a\":{\"b\":null}}"},
        {"{\"a\":{\"b\":{\"c\":1}}}", "{\"a\":{\"b\":{\"c\":1}}}", "{\"a\":{\"b\":{\"c\":1}}}",
            "{}"},
        {"{\"a\":{\"b\":1}}", "{\"a\":\"x\"}", "{\"a\":\"x\"}", "{\"a\":\"x\"}"},
        {"{\"a\":\"x\"}", "{\"a\":{\"b\":1}}", "{\"a\":{\"b\":1}}", "{\"a\":{\"b\":1}}"},
        {"{\"a\":\"x\"}", "{\"a\":{}}", "{\"a\":{}}", "{\"a\":{}}"},
        {"{\"a\":[1,2]}", "{\"a\":[1,2]}", "{\"a\":[1,2]}", "{}"},
        {"{\"a\":[1,2]}", "{\"a\":[2,1]}", "{\"a\":[2,1]}", "{\"a\":[2,1]}"},
        {"{\"a\":[{\"x\":1}]}", "{\"a\":[{\"y\":1}]}", "{\"a\":[{\"y\":1}]}",
            "{\"a\":[{\"y\":1}]}"},
        {"{\"a\":true}", "{\"a\":false}", "{\"a\":false}", "{\"a\":false}"},
        {"{\"a\":1}", "{\"a\":null,\"b\":{\"c\":null}}", "{\"b\":{}}", "{\"a\":null,\"b\":{}}"},
        {"{\"a\":1}", "{}", "{}", "{\"a\":null}"},
        {"{\"a\":1}", "null", "{}", "{\"a\":null}"},
        {"{\"a\":1}", "{\"$metadata\":{},\"$version\":4,\"b\":1}", "{\"b\":1}",
            "{\"a\":null,\"b\":1}"},
    };
    run_rows(TWIN_REPLACE, rows, COUNT_OF(rows));
}

static void a_replace_clears_what_its_body_leaves_out(void **state UNUSED)
{
    static const char *const bodies[] = {"{}", "{\"properties\":{}}", "{\"deviceId\":\"d\"}"};
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        struct twin_doc doc = doc_of("{\"t\":1}", "{\"d\":1}", "{\"r\":1}");
        struct twin_change change = apply(&doc, TWIN_REPLACE, bodies[i]);
        assert_string_equal(text_of(change.doc.tags), "{}");
        assert_string_equal(text_of(change.doc.desired.values), "{}");
        assert_string_equal(text_of(change.doc.reported.values), "{\"r\":1}");
        assert_true(change.tags_changed && change.desired_changed && !change.reported_changed);
    }
}

struct count_row {
    enum twin_change_kind kind;
    const char *body;
    int etag, version, desired, reported; /* what is added */
};

static void versions_and_etag_count_what_each_kind_of_change_touches(void **state UNUSED)
{
    static const struct count_row rows[] = {
        {TWIN_PATCH, "{\"tags\":{\"a\":1}}", 1, 1, 0, 0},
        {TWIN_PATCH, "{\"tags\":null}", 1, 1, 0, 0},
        {TWIN_PATCH, "{\"tags\":{\"no\":null}}", 1, 1, 0, 0},
        {TWIN_PATCH, "{\"tags\":{}}", 0, 0, 0, 0},
        {TWIN_PATCH, "{}", 0, 0, 0, 0},
        {TWIN_PATCH, "{\"properties\":{\"desired\":{}}}", 0, 0, 0, 0},
        {TWIN_PATCH, "{\"tags\":{},\"properties\":{\"desired\":{\"a\":1},\"reported\":{}}}", 1, 1,
            1, 0},
        {TWIN_PATCH, "{\"tags\":{\"a\":1},\"properties\":{\"desired\":{\"a\":1}}}", 1, 1, 1, 0},
        {TWIN_PATCH, "{\"properties\":{\"reported\":{\"mine\":1}}}", 0, 0, 0, 0},
        {TWIN_REPLACE, "{}", 1, 1, 1, 0},
        {TWIN_REPORT, "{\"a\":1}", 0, 1, 0, 1},
        {TWIN_REPORT, "{\"a\":null}", 0, 1, 0, 1},
        {TWIN_REPORT, "{}", 0, 1, 0, 1},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct twin_doc doc = doc_of("{\"t\":1}", "{\"d\":1}", "{\"r\":1}");
        struct twin_change change = apply(&doc, rows[i].kind, rows[i].body);
        assert_int_equal(change.doc.etag, doc.etag + (unsigned)rows[i].etag);
        assert_int_equal(change.doc.version, doc.version + rows[i].version);
        assert_int_equal(change.doc.desired.version, doc.desired.version + rows[i].desired);
        assert_int_equal(change.doc.reported.version, doc.reported.version + rows[i].reported);
        assert_int_equal(change.desired_changed, rows[i].desired);
        assert_int_equal(change.reported_changed, rows[i].reported);
    }
}

static void a_new_twin_is_what_iot_hub_makes(void **state UNUSED)
{
    struct twin_doc doc;
    struct buf out = BUF_EMPTY;
    char etag[TWIN_ETAG_SIZE];
    assert_int_equal(twin_new(&arena, T0, &doc), ERR_NONE);
    assert_int_equal(doc.version, 2);
    assert_string_equal(twin_etag(doc.etag, etag), "AAAAAAAAAAE=");
    twin_write_properties(&doc, &out);
    assert_string_equal(text_of(buf_span(&out)),
        "\"properties\":{\"desired\":{\"$metadata\":{\"$lastUpdated\":\"" AT0
        "\"},\"$version\":1},\"reported\":{\"$metadata\":{\"$lastUpdated\":\"" AT0
        "\"},\"$version\":1}}");
    buf_clear(&out);
    twin_write_client(&doc, &out);
    assert_string_equal(
        text_of(buf_span(&out)), "{\"desired\":{\"$version\":1},\"reported\":{\"$version\":1}}");
    buf_done(&out);
}

static void metadata_mirrors_the_tree_and_stamps_what_the_patch_names(void **state UNUSED)
{
    struct twin_doc doc =
        doc_of("{}", "{\"a\":{\"b\":1,\"c\":[{\"x\":1}]},\"d\":1,\"e\":{\"f\":1}}", "{\"r\":1}");
    struct twin_change change =
        apply(&doc, TWIN_PATCH, "{\"properties\":{\"desired\":{\"a\":{\"b\":1},\"d\":null}}}");
    assert_string_equal(text_of(change.doc.desired.metadata),
        "{\"$lastUpdated\":\"" AT1 "\",\"$lastUpdatedVersion\":3,"
        "\"a\":{\"$lastUpdated\":\"" AT1 "\",\"$lastUpdatedVersion\":3,"
        "\"b\":{\"$lastUpdated\":\"" AT1 "\",\"$lastUpdatedVersion\":3},"
        "\"c\":{\"$lastUpdated\":\"" AT0 "\",\"$lastUpdatedVersion\":2}},"
        "\"e\":{\"$lastUpdated\":\"" AT0 "\",\"$lastUpdatedVersion\":2,"
        "\"f\":{\"$lastUpdated\":\"" AT0 "\",\"$lastUpdatedVersion\":2}}}");
    change = apply(&change.doc, TWIN_REPORT, "{\"s\":{\"t\":2}}");
    assert_string_equal(text_of(change.doc.reported.metadata),
        "{\"$lastUpdated\":\"" AT1 "\",\"r\":{\"$lastUpdated\":\"" AT0 "\"},"
        "\"s\":{\"$lastUpdated\":\"" AT1 "\",\"t\":{\"$lastUpdated\":\"" AT1 "\"}}}");
}

static void the_client_sees_no_metadata_and_no_tags(void **state UNUSED)
{
    struct twin_doc doc = doc_of("{\"t\":1}", "{\"k\":1}", "{\"x\":2}");
    struct buf out = BUF_EMPTY;
    twin_write_client(&doc, &out);
    assert_string_equal(text_of(buf_span(&out)),
        "{\"desired\":{\"k\":1,\"$version\":2},\"reported\":{\"x\":2,\"$version\":2}}");
    buf_done(&out);
}

static void an_etag_is_the_counter_in_base64(void **state UNUSED)
{
    char etag[TWIN_ETAG_SIZE];
    assert_string_equal(twin_etag(4, etag), "AAAAAAAAAAQ=");
    assert_string_equal(twin_etag(0x0123456789ABCDEF, etag), "ASNFZ4mrze8=");
    assert_string_equal(twin_etag(UINT64_MAX, etag), "//////////8=");
}

static void a_body_of_the_wrong_shape_is_refused(void **state UNUSED)
{
    static const struct {
        enum twin_change_kind kind;
        const char *body;
        const char *sentence;
    } rows[] = {
        {TWIN_PATCH, "[]", "the body is an array, it must be an object"},
        {TWIN_PATCH, "null", "the body is null, it must be an object"},
        {TWIN_REPLACE, "\"x\"", "the body is a string, it must be an object"},
        {TWIN_REPORT, "5", "the body is an integer, it must be an object"},
        {TWIN_PATCH, "{\"tags\":\"x\"}",
            "tags is a string, it must be an object, or null to clear it"},
        {TWIN_PATCH, "{\"tags\":[]}",
            "tags is an array, it must be an object, or null to clear it"},
        {TWIN_PATCH, "{\"properties\":3}", "\"properties\" is an integer, it must be an object"},
        {TWIN_REPLACE, "{\"properties\":null}", "\"properties\" is null, it must be an object"},
        {TWIN_REPLACE, "{\"properties\":{\"desired\":true}}",
            "properties.desired is a boolean, it must be an object, or null to clear it"},
    };
    struct twin_doc doc = doc_of("{\"t\":1}", "{\"d\":1}", "{\"r\":1}");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct twin_change change = {.tags_changed = true};
        struct why why = {""};
        assert_int_equal(twin_apply(&arena, &doc, rows[i].kind, json_of(rows[i].body),
                             &twin_limits_default, T1, &change, &why),
            ERR_ARGUMENT);
        assert_string_equal(why.text, rows[i].sentence);
        assert_int_equal(change.doc.version, 0); /* untouched */
    }
}

static void a_damaged_document_is_reported_as_such(void **state UNUSED)
{
    struct twin_doc doc = doc_of("{}", "{\"d\":1}", "{}");
    struct twin_change change;
    struct why why = {""};
    doc.desired.values = SPAN_LIT("{\"d\":");
    assert_int_equal(
        twin_apply(&arena, &doc, TWIN_PATCH, json_of("{\"properties\":{\"desired\":{\"a\":1}}}"),
            &twin_limits_default, T1, &change, &why),
        ERR_CORRUPT);
    doc.desired.values = SPAN_LIT("[]");
    assert_int_equal(twin_apply(&arena, &doc, TWIN_REPLACE, json_of("{}"), &twin_limits_default, T1,
                         &change, &why),
        ERR_CORRUPT);
    assert_string_equal(why.text, "a stored twin cannot be read: it is no JSON object");
}

static void running_out_of_memory_anywhere_changes_nothing(void **state UNUSED)
{
    static const struct {
        enum twin_change_kind kind;
        const char *body;
    } rows[] = {
        {TWIN_PATCH, "{\"tags\":{\"a\":1},\"properties\":{\"desired\":{\"b\":{\"c\":[1]}}}}"},
        {TWIN_REPLACE, "{\"tags\":{\"a\":1},\"properties\":{\"desired\":{\"b\":{\"c\":[1]}}}}"},
        {TWIN_REPORT, "{\"a\":{\"b\":\"c\"}}"},
    };
    struct twin_doc doc = doc_of("{\"t\":1}", "{\"d\":1,\"b\":{\"x\":1}}", "{\"r\":1}");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct json *body = json_of(rows[i].body);
        enum err err = ERR_MEMORY;
        int failures = 0;
        for (long n = 0; err != ERR_NONE; n++) {
            struct arena own;
            struct twin_change change = {.doc.version = -5};
            struct why why = {""};
            arena_init(&own, 0);
            mem_fail_after(n);
            err =
                twin_apply(&own, &doc, rows[i].kind, body, &twin_limits_default, T1, &change, &why);
            mem_fail_after(-1);
            if (err != ERR_NONE) {
                assert_int_equal(err, ERR_MEMORY);
                assert_true(why.text[0] != '\0');
                assert_int_equal(change.doc.version, -5);
                failures++;
            }
            arena_done(&own);
        }
        assert_true(failures > 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_patch_merges_as_iot_hub_merges, open_arena, close_arena),
        cmocka_unit_test_setup_teardown(
            a_replace_tells_the_difference_with_explicit_nulls, open_arena, close_arena),
        cmocka_unit_test_setup_teardown(
            a_replace_clears_what_its_body_leaves_out, open_arena, close_arena),
        cmocka_unit_test_setup_teardown(
            versions_and_etag_count_what_each_kind_of_change_touches, open_arena, close_arena),
        cmocka_unit_test_setup_teardown(a_new_twin_is_what_iot_hub_makes, open_arena, close_arena),
        cmocka_unit_test_setup_teardown(
            metadata_mirrors_the_tree_and_stamps_what_the_patch_names, open_arena, close_arena),
        cmocka_unit_test_setup_teardown(
            the_client_sees_no_metadata_and_no_tags, open_arena, close_arena),
        cmocka_unit_test(an_etag_is_the_counter_in_base64),
        cmocka_unit_test_setup_teardown(
            a_body_of_the_wrong_shape_is_refused, open_arena, close_arena),
        cmocka_unit_test_setup_teardown(
            a_damaged_document_is_reported_as_such, open_arena, close_arena),
        cmocka_unit_test_setup_teardown(
            running_out_of_memory_anywhere_changes_nothing, open_arena, close_arena),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
