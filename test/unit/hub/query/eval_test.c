/* SPDX-License-Identifier: Apache-2.0 */
/* Every operator and function, on values of every kind, by tables. */
#include "query_harness.h"

static const char document[] =
    "{\"deviceId\":\"d1\",\"status\":\"enabled\",\"connectionState\":\"Connected\",\"etag\":\"e\","
    "\"version\":7,\"lastActivityTime\":\"2024-01-02T03:04:05.0000000Z\","
    "\"x509Thumbprint\":{\"primaryThumbprint\":null},\"capabilities\":{\"iotEdge\":true},"
    "\"parentScopes\":[\"a\",\"b\",3,null,true],"
    "\"tags\":{\"n\":4,\"zero\":0,\"f\":2.5,\"neg\":-3,\"s\":\"north\",\"e\":\"\",\"t\":true,"
    "\"no\":false,\"o\":{\"x\":1,\"y\":\"deep\"},\"arr\":[1,\"two\",false],\"in\":1,\"a-b\":5,"
    "\"sp ace\":6,\"esc\\\"\\u00e9\":\"q\\n\\u20ac\\ud83d\\ude00\",\"num\":\" 12.5 \"},"
    "\"properties\":{\"desired\":{\"v\":3,\"$metadata\":{\"$lastUpdated\":\"t\"},\"$version\":4},"
    "\"reported\":{\"v\":3,\"latest_state\":\"failed\",\"$version\":9}}}";

enum truth { NO, YES, NEVER /* neither it nor NOT of it */ };

struct condition {
    const char *text;
    enum truth truth;
};

static bool is_true(const char *format, const char *condition)
{
    char text[1024];
    snprintf(text, sizeof(text), format, condition);
    return matches(parse(text), document);
}

/* In an OR nothing is narrowed, so that the evaluator judges all of it. */
static void check(const struct condition *conditions, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *text = conditions[i].text;
        bool yes = is_true("SELECT * FROM devices WHERE (%s) OR 1 = 2", text);
        bool not = is_true("SELECT * FROM devices WHERE NOT (%s)", text);
        if (yes != (conditions[i].truth == YES) || not != (conditions[i].truth == NO))
            fail_msg("%s: it is %d, NOT of it is %d", text, yes, not );
    }
}

static void comparisons_are_of_one_kind(void **state UNUSED)
{
    static const struct condition conditions[] = {
        {"tags.n = 4", YES},
        {"tags.n = 4.0", YES},
        {"tags.n = 0x4", YES},
        {"tags.n = 4e0", YES},
        {"tags.n != 4", NO},
        {"tags.n <> 5", YES},
        {"tags.n < 5", YES},
        {"tags.n <= 4", YES},
        {"tags.n > 4", NO},
        {"tags.n >= 4", YES},
        {"4 = tags.n", YES},
        {"tags.n = '4'", NEVER},
        {"tags.n != '4'", NEVER},
        {"tags.n = true", NEVER},
        {"tags.s = 'north'", YES},
        {"tags.s = \"north\"", YES},
        {"tags.s = 'North'", NO},
        {"tags.s < 'o'", YES},
        {"tags.s > 'nor'", YES},
        {"tags.e = ''", YES},
        {"tags.t = true", YES},
        {"tags.t > false", YES},
        {"tags.no = FALSE", YES},
        {"tags.none = 1", NEVER},
        {"tags.none != 1", NEVER},
        {"tags.none = undefined", NEVER},
        {"tags.none = tags.none", NEVER},
        {"x509Thumbprint.primaryThumbprint = null", NEVER},
        {"null = null", NEVER},
        {"tags.o = tags.o", NEVER},
        {"tags.arr = tags.arr", NEVER},
        {"tags.n = -(-4)", YES},
        {"tags.neg = -3", YES},
        {"properties.desired.v = properties.reported.v", YES},
        {"properties.desired.$version < properties.reported.$version", YES},
        {"lastActivityTime > '2024-01-01'", YES},
        {"1 < 2 AND 'a' < 'b'", YES},
        {"(tags.n > 1) = true", YES},
    };
    check(conditions, COUNT_OF(conditions));
}

static void truths_are_three(void **state UNUSED)
{
    static const struct condition conditions[] = {
        {"tags.t", YES},
        {"tags.no", NO},
        {"tags.n > 0", YES},
        {"tags.s = 'a' AND tags.none = 1", NO},
        {"tags.none = 1 AND tags.s = 'a'", NO},
        {"tags.t AND tags.none = 1", NEVER},
        {"tags.t OR tags.none = 1", YES},
        {"tags.none = 1 OR tags.t", YES},
        {"tags.no OR tags.none = 1", NEVER},
        {"tags.no OR tags.no", NO},
        {"NOT tags.no AND NOT tags.n = 5", YES},
        {"NOT NOT tags.t", YES},
        {"tags.t AND tags.s", NEVER},
        {"tags.o OR tags.no", NEVER},
        {"capabilities.iotEdge", YES},
        {"true", YES},
        {"false OR true AND false", NO},
        {"null", NEVER},
        {"undefined", NEVER},
    };
    check(conditions, COUNT_OF(conditions));
}

static void lists_hold_or_hold_not(void **state UNUSED)
{
    static const struct condition conditions[] = {
        {"tags.n IN [1, 4]", YES},
        {"tags.n IN [1, -4]", NO},
        {"tags.n IN ['4']", NO},
        {"tags.n NIN ['4', 5]", YES},
        {"tags.n NOT IN [4]", NO},
        {"tags.n NIN [4]", NO},
        {"tags.n IN []", NO},
        {"tags.n NIN []", YES},
        {"tags.s IN ('south', 'north')", YES},
        {"tags.t IN [true]", YES},
        {"tags.none IN [1]", NEVER},
        {"tags.none NIN [1]", NEVER},
        {"tags.none IN [undefined, null]", NEVER},
        {"x509Thumbprint.primaryThumbprint IN [null]", NEVER},
        {"tags.o NIN [1]", NEVER},
        {"tags.n + 1 IN [5]", YES},
    };
    check(conditions, COUNT_OF(conditions));
}

static void arithmetic_is_that_of_doubles(void **state UNUSED)
{
    static const struct condition conditions[] = {
        {"1 + 2 * 3 = 7", YES},
        {"(1 + 2) * 3 = 9", YES},
        {"10 - 4 - 3 = 3", YES},
        {"7 / 2 = 3.5", YES},
        {"7 % 4 = 3", YES},
        {"-7 % 4 = -3", YES},
        {"tags.f * 2 = 5", YES},
        {"-tags.n = 0 - 4", YES},
        {"+tags.n = 4", YES},
        {"tags.n / tags.zero = 1", NEVER},
        {"tags.n % 0 = 1", NEVER},
        {"tags.s + 'x' = 'northx'", NEVER},
        {"tags.none + 1 = 1", NEVER},
        {"-tags.s = 1", NEVER},
        {"1e308 * 10 > 0", NEVER},
        {"tags.n-1 = 3", YES},
        {".5 + .5 = 1", YES},
    };
    check(conditions, COUNT_OF(conditions));
}

static void paths_lead_everywhere(void **state UNUSED)
{
    static const struct condition conditions[] = {
        {"DEVICEID = 'd1'", YES},
        {"devices.deviceId = 'd1'", YES},
        {"id = 'd1'", YES},
        {"Tags.n = 4", YES},
        {"tags.N = 4", NEVER},
        {"tags.o.y = 'deep'", YES},
        {"tags.o.y.z = 1", NEVER},
        {"tags.[[a-b]] = 5", YES},
        {"tags[[a-b]] = 5", YES},
        {"tags['a-b'] = 5", YES},
        {"tags.[\"sp ace\"] = 6", YES},
        {"tags.[[sp ace]] = 6", YES},
        {"tags.[\"esc\\\"\\u00e9\"] = 'q\\n\xE2\x82\xAC\xF0\x9F\x98\x80'", YES},
        {"[[tags]].n = 4", YES},
        {"tags.in = 1", YES},
        {"properties.desired.$metadata.$lastUpdated = 't'", YES},
        {"PROPERTIES.Reported.latest_state = 'failed'", YES},
        {"nothing.of.the.kind = 1", NEVER},
        {"deviceId.x = 1", NEVER},
        {"tags.a - b = 5", NEVER},
    };
    check(conditions, COUNT_OF(conditions));
}

static void functions_tell_kinds(void **state UNUSED)
{
    static const struct condition conditions[] = {
        {"IS_DEFINED(tags.n)", YES},
        {"is_defined(tags.none)", NO},
        {"IS_DEFINED(tags.o)", YES},
        {"IS_DEFINED(moduleId)", NO},
        {"IS_NULL(x509Thumbprint.primaryThumbprint)", YES},
        {"IS_NULL(tags.none)", NO},
        {"IS_BOOL(tags.t)", YES},
        {"IS_BOOL(tags.n)", NO},
        {"IS_NUMBER(tags.f)", YES},
        {"IS_NUMBER(tags.s)", NO},
        {"IS_STRING(tags.s)", YES},
        {"IS_STRING(tags.none)", NO},
        {"IS_ARRAY(tags.arr)", YES},
        {"IS_ARRAY(tags.o)", NO},
        {"IS_OBJECT(tags.o)", YES},
        {"IS_OBJECT(tags)", YES},
        {"IS_PRIMITIVE(tags.e)", YES},
        {"IS_PRIMITIVE(null)", YES},
        {"IS_PRIMITIVE(tags.arr)", NO},
        {"IS_PRIMITIVE(tags.none)", NO},
        {"ARRAY_CONTAINS(parentScopes, 'b')", YES},
        {"ARRAY_CONTAINS(parentScopes, 'c')", NO},
        {"ARRAY_CONTAINS(parentScopes, 3)", YES},
        {"ARRAY_CONTAINS(parentScopes, null)", YES},
        {"ARRAY_CONTAINS(tags.arr, false)", YES},
        {"ARRAY_CONTAINS(tags.n, 4)", NEVER},
        {"ARRAY_CONTAINS(tags.arr, tags.none)", NEVER},
        {"ARRAY_CONTAINS([1, 2], tags.n)", NO},
    };
    check(conditions, COUNT_OF(conditions));
}

static void functions_work_on_strings(void **state UNUSED)
{
    static const struct condition conditions[] = {
        {"STARTS_WITH(tags.s, 'no')", YES},
        {"STARTSWITH(tags.s, 'th')", NO},
        {"STARTS_WITH(tags.s, '')", YES},
        {"STARTS_WITH(tags.n, '4')", NEVER},
        {"ENDS_WITH(tags.s, 'th')", YES},
        {"ENDSWITH(tags.s, 'xnorth')", NO},
        {"ENDS_WITH(tags.e, '')", YES},
        {"CONTAINS(tags.s, 'ort')", YES},
        {"CONTAINS(tags.s, 'x')", NO},
        {"CONTAINS(tags.e, '')", YES},
        {"CONTAINS(tags.none, '')", NEVER},
        {"LENGTH(tags.s) = 5", YES},
        {"LENGTH('\xE2\x82\xAC\xF0\x9F\x98\x80') = 3", YES},
        {"LENGTH(tags.n) = 1", NEVER},
        {"LOWER('AbC\xC3\x89') = 'abc\xC3\x89'", YES},
        {"UPPER(tags.s) = 'NORTH'", YES},
        {"UPPER(tags.n) = '4'", NEVER},
        {"SUBSTRING(tags.s, 1) = 'orth'", YES},
        {"SUBSTRING(tags.s, 1, 2) = 'or'", YES},
        {"SUBSTRING(tags.s, 9) = ''", YES},
        {"SUBSTRING(tags.s, 3, 99) = 'th'", YES},
        {"SUBSTRING(tags.s, -1) = ''", NEVER},
        {"SUBSTRING('\xF0\x9F\x98\x80x', 2) = 'x'", YES},
        {"INDEX_OF(tags.s, 'rt') = 2", YES},
        {"INDEX_OF(tags.s, 'x') = -1", YES},
        {"INDEX_OF('\xF0\x9F\x98\x80x', 'x') = 2", YES},
        {"INDEX_OF(tags.s, '') = 0", YES},
        {"CONCAT(tags.s, '-', tags.o.y) = 'north-deep'", YES},
        {"CONCAT(tags.s, tags.n) = 'north4'", NEVER},
        {"'it''s' = \"it's\"", YES},
        {"'\\u0041\\b\\f\\r\\t\\/\\\\' = \"A\\u0008\\u000C\\u000D\\u0009/\\\\\"", YES},
        {"'\\ud83d\\ude00' = '\xF0\x9F\x98\x80'", YES},
    };
    check(conditions, COUNT_OF(conditions));
}

static void functions_work_on_numbers(void **state UNUSED)
{
    static const struct condition conditions[] = {
        {"ABS(tags.neg) = 3", YES},
        {"ABS(tags.s) = 3", NEVER},
        {"EXP(0) = 1", YES},
        {"EXP(1e9) > 0", NEVER},
        {"POWER(2, 10) = 1024", YES},
        {"POWER(-1, 0.5) = 1", NEVER},
        {"SQUARE(tags.neg) = 9", YES},
        {"CEILING(tags.f) = 3", YES},
        {"FLOOR(tags.f) = 2", YES},
        {"SIGN(tags.neg) = -1", YES},
        {"SIGN(tags.zero) = 0", YES},
        {"SIGN(tags.f) = 1", YES},
        {"SQRT(tags.n) = 2", YES},
        {"SQRT(tags.neg) = 0", NEVER},
        {"AS_NUMBER(tags.num) = 12.5", YES},
        {"AS_NUMBER(tags.n) = 4", YES},
        {"AS_NUMBER('0x10') = 16", NEVER},
        {"AS_NUMBER('') = 0", NEVER},
        {"AS_NUMBER(tags.t) = 1", NEVER},
    };
    check(conditions, COUNT_OF(conditions));
}

struct row {
    const char *query;
    const char *row;
};

static void rows_have_what_was_asked_for(void **state UNUSED)
{
    static const struct row rows[] = {
        {"SELECT deviceId FROM devices", "{\"deviceId\":\"d1\"}"},
        {"SELECT DeviceId, TAGS.n FROM devices", "{\"deviceId\":\"d1\",\"n\":4}"},
        {"SELECT deviceId AS d, tags.s place FROM devices", "{\"d\":\"d1\",\"place\":\"north\"}"},
        {"SELECT tags.none, tags.f FROM devices", "{\"f\":2.5}"},
        {"SELECT tags.none FROM devices", "{}"},
        {"SELECT tags.o FROM devices", "{\"o\":{\"x\":1,\"y\":\"deep\"}}"},
        {"SELECT properties.desired.$version, tags.[[a-b]] FROM devices",
            "{\"$version\":4,\"a-b\":5}"},
        {"SELECT x509Thumbprint FROM devices", "{\"x509Thumbprint\":{\"primaryThumbprint\":null}}"},
        {"SELECT tags.n, tags.s AS n FROM devices", "{\"n\":\"north\"}"},
        {"SELECT tags.n, tags.none AS n FROM devices", "{\"n\":4}"},
        {"SELECT tags.n * 2 AS twice, UPPER(tags.s) FROM devices",
            "{\"twice\":8,\"$1\":\"NORTH\"}"},
        {"SELECT properties.reported FROM devices",
            "{\"reported\":{\"v\":3,\"latest_state\":\"failed\",\"$version\":9}}"},
        {"SELECT 1/3 AS third, 1e300 AS big, 12345678901234 AS whole FROM devices",
            "{\"third\":0.3333333333333333,\"big\":1e+300,\"whole\":12345678901234}"},
        {"SELECT tags.n AS 'a \"b' FROM devices", "{\"a \\\"b\":4}"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_string_equal(row_of(parse(rows[i].query), document), rows[i].row);
}

/* ---- groups ---------------------------------------------------------------------------------- */

static struct query_groups *group(const char *text, const char *const *documents, size_t count)
{
    struct query_groups *groups = query_groups_new(parse(text), &test_arena, 100);
    assert_non_null(groups);
    for (size_t i = 0; i < count; i++) {
        struct text_document one = document_of(documents[i]);
        assert_int_equal(query_groups_add(groups, &one.source, &test_arena, NULL), ERR_NONE);
    }
    return groups;
}

static const char *page_of(
    struct query_groups *groups, struct query_place *place, uint64_t count, bool *more)
{
    struct buf out = BUF_EMPTY;
    uint64_t written = 0;
    assert_int_equal(
        query_groups_write(groups, place, count, 1000000, &out, &written, place, more), ERR_NONE);
    const char *text = arena_text(&test_arena, buf_span(&out));
    buf_done(&out);
    return text;
}

static void groups_count_sum_and_compare(void **state UNUSED)
{
    static const char *const documents[] = {
        "{\"tags\":{\"g\":\"b\",\"n\":4,\"s\":\"x\"}}",
        "{\"tags\":{\"g\":\"a\",\"n\":1.5,\"s\":\"y\"}}",
        "{\"tags\":{\"g\":\"b\",\"n\":-2,\"s\":\"w\"}}",
        "{\"tags\":{\"g\":\"b\",\"n\":\"5\"}}",
        "{\"tags\":{\"n\":9}}",
    };
    static const struct row rows[] = {
        {"SELECT COUNT() AS n FROM devices", "{\"n\":5}"},
        {"SELECT COUNT(*) FROM devices", "{\"$1\":5}"},
        {"SELECT COUNT(tags.g) AS g, SUM(tags.n) AS s FROM devices", "{\"g\":4,\"s\":12.5}"},
        {"SELECT AVG(tags.n) AS a, MIN(tags.n) AS b, MAX(tags.n) AS c FROM devices",
            "{\"a\":3.125,\"b\":-2,\"c\":9}"},
        {"SELECT MIN(tags.s) AS b, MAX(tags.s) AS c FROM devices", "{\"b\":\"w\",\"c\":\"y\"}"},
        {"SELECT AVG(tags.z) AS a, SUM(tags.z) AS s, MIN(tags.z) FROM devices", "{\"s\":0}"},
        {"SELECT tags.g, COUNT() AS n, SUM(tags.n) AS s FROM devices GROUP BY tags.g",
            "{\"n\":1,\"s\":9},{\"g\":\"a\",\"n\":1,\"s\":1.5},{\"g\":\"b\",\"n\":3,\"s\":2}"},
        {"SELECT tags.g AS group_name FROM devices GROUP BY group_name",
            "{},{\"group_name\":\"a\"},{\"group_name\":\"b\"}"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        bool more = true;
        struct query_place place = {0};
        assert_string_equal(
            page_of(group(rows[i].query, documents, COUNT_OF(documents)), &place, 100, &more),
            rows[i].row);
        assert_false(more);
    }
}

static void without_documents_only_a_lone_aggregate_has_a_row(void **state UNUSED)
{
    bool more = true;
    struct query_place place = {0};
    assert_string_equal(
        page_of(group("SELECT COUNT() AS n FROM devices", NULL, 0), &place, 10, &more),
        "{\"n\":0}");
    place = (struct query_place){0};
    assert_string_equal(
        page_of(group("SELECT tags.g, COUNT() FROM devices GROUP BY tags.g", NULL, 0), &place, 10,
            &more),
        "");
    assert_false(more);
}

static void numbers_of_one_value_are_one_group(void **state UNUSED)
{
    static const char *const documents[] = {"{\"tags\":{\"g\":1}}", "{\"tags\":{\"g\":1.0}}",
        "{\"tags\":{\"g\":\"1\"}}", "{\"tags\":{\"g\":true}}", "{\"tags\":{\"g\":1e0}}"};
    bool more = true;
    struct query_place place = {0};
    assert_string_equal(
        page_of(group("SELECT tags.g, COUNT() AS n FROM devices GROUP BY tags.g", documents, 5),
            &place, 10, &more),
        "{\"g\":\"1\",\"n\":1},{\"g\":1,\"n\":3},{\"g\":true,\"n\":1}");
}

static void pages_of_groups_go_on_also_among_long_keys(void **state UNUSED)
{
    char documents[7][2000];
    const char *pointers[7];
    bool more = true;
    struct query_place place = {0};
    for (int i = 0; i < 7; i++) {
        char filler[1500];
        memset(filler, 'x', sizeof(filler));
        filler[i < 4 ? sizeof(filler) - 1 : 2] = '\0';
        snprintf(documents[i], sizeof(documents[i]), "{\"tags\":{\"g\":\"%s%d\"}}", filler, i);
        pointers[i] = documents[i];
    }
    struct query_groups *groups =
        group("SELECT tags.g FROM devices GROUP BY tags.g", pointers, COUNT_OF(pointers));
    size_t seen = 0;
    for (int pages = 0; more && pages < 10; pages++) {
        const char *page = page_of(groups, &place, 2, &more);
        for (const char *at = page; (at = strstr(at, "{\"g\"")) != NULL; at++)
            seen++;
    }
    assert_int_equal(seen, 7);
}

static void too_many_groups_are_refused(void **state UNUSED)
{
    struct why why = {""};
    struct query_groups *groups =
        query_groups_new(parse("SELECT tags.g FROM devices GROUP BY tags.g"), &test_arena, 200);
    for (int i = 0; i <= 200; i++) {
        char json[64];
        snprintf(json, sizeof(json), "{\"tags\":{\"g\":%d}}", i);
        struct text_document one = document_of(json);
        enum err err = query_groups_add(groups, &one.source, &test_arena, &why);
        assert_int_equal(err, i < 200 ? ERR_NONE : ERR_ARGUMENT);
    }
    assert_string_equal(why.text, "the query makes more than 200 groups (limits.query_groups)");
}

static void damaged_text_gives_nothing_and_no_crash(void **state UNUSED)
{
    static const char *const damaged[] = {"", "{", "{\"tags\"", "{\"tags\":", "{\"tags\":{\"a\":\"",
        "{\"tags\":{\"a\":\"\\", "{\"tags\":{\"a\":\"\\u12", "{\"tags\":{\"a\":[1,{]", "[1,2]",
        "{\"tags\":{\"a\"}}", "{\"tags\":{\"a\":-}}", "{tags:1}", "{\"tags\":{\"a\":\"\\ud83d\"}}"};
    const struct query *query = parse("SELECT tags.a, tags.b FROM devices WHERE "
                                      "ARRAY_CONTAINS(tags.a, 5) OR tags.a = 'x' OR NOT tags.a");
    for (size_t i = 0; i < COUNT_OF(damaged); i++) {
        (void)matches(query, damaged[i]);
        (void)row_of(query, damaged[i]);
    }
}

static void every_lack_of_memory_is_told(void **state UNUSED)
{
    static const char text[] =
        "SELECT tags.[[esc]] AS x, CONCAT(tags.s, 'a') AS y FROM devices WHERE deviceId IN "
        "['b', 'a'] AND tags.site = 'n\\u0061' AND (UPPER(tags.s) = 'NORTH' OR tags.n IN [1])";
    enum err err = ERR_MEMORY;
    for (long n = 0; err != ERR_NONE && n < 1000; n++) {
        struct arena arena;
        struct query *query = NULL;
        struct buf out = BUF_EMPTY;
        struct text_document one = document_of(document);
        bool yes = false;
        arena_init(&arena, 0);
        mem_fail_after(n);
        err = query_parse(&arena, span_of(text), &query_limits_default, &query, NULL);
        if (err == ERR_NONE)
            err = query_matches(query, &one.source, &arena, &yes);
        if (err == ERR_NONE)
            err = query_write_row(query, &one.source, &arena, &out);
        mem_fail_after(-1);
        assert_true(err == ERR_NONE || err == ERR_MEMORY);
        buf_done(&out);
        arena_done(&arena);
    }
    assert_int_equal(err, ERR_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, arena_open, arena_close)
        TEST(comparisons_are_of_one_kind),
        TEST(truths_are_three),
        TEST(lists_hold_or_hold_not),
        TEST(arithmetic_is_that_of_doubles),
        TEST(paths_lead_everywhere),
        TEST(functions_tell_kinds),
        TEST(functions_work_on_strings),
        TEST(functions_work_on_numbers),
        TEST(rows_have_what_was_asked_for),
        TEST(groups_count_sum_and_compare),
        TEST(without_documents_only_a_lone_aggregate_has_a_row),
        TEST(numbers_of_one_value_are_one_group),
        TEST(pages_of_groups_go_on_also_among_long_keys),
        TEST(too_many_groups_are_refused),
        TEST(damaged_text_gives_nothing_and_no_crash),
        TEST(every_lack_of_memory_is_told),
    };
    return cmocka_run_group_tests_name("query evaluation", tests, NULL, NULL);
}
