/* SPDX-License-Identifier: Apache-2.0 */
/* What is read, what is refused and where, and what of a condition a store can do. */
#include "query_harness.h"

struct bad {
    const char *query;
    const char *why;
};

static void refusals_say_where_and_what(void **state UNUSED)
{
    static const struct bad bads[] = {
        {"", "line 1, column 1: the query ends where there must be SELECT"},
        {"SELEC *", "line 1, column 1: SELEC stands where there must be SELECT"},
        {"SELECT", "line 1, column 7: the query ends where there must be a path, a constant or a "
                   "function"},
        {"SELECT * FORM devices", "line 1, column 10: FORM stands where there must be FROM"},
        {"SELECT *\nFROM\n  twins", "line 3, column 3: twins stands where there must be devices, "
                                    "devices.modules or devices.jobs"},
        {"SELECT * FROM devices.twins", "line 1, column 23: twins stands where"},
        {"SELECT * FROM devices WHERE", "column 28: the query ends where"},
        {"SELECT * FROM devices WHERE a =", "column 32: the query ends where"},
        {"SELECT * FROM devices WHERE a == 1", "column 32: = stands where"},
        {"SELECT * FROM devices WHERE a = 1 b", "column 35: b stands where there must be AND, OR, "
                                                "GROUP BY or the end"},
        {"SELECT * FROM devices WHERE a = 'x", "column 33: this string has no end"},
        {"SELECT * FROM devices WHERE '\xC3\xA9' = \"x", "column 35: this string has no end"},
        {"SELECT * FROM devices WHERE a = 'x\\q'", "column 35: a backslash is followed by"},
        {"SELECT * FROM devices WHERE a = '\\u12'", "column 34: \\u is followed by"},
        {"SELECT * FROM devices WHERE a = '\\ud800x'", "column 34: \\u is followed by"},
        {"SELECT * FROM devices WHERE a = 0x", "column 33: 0x is followed by"},
        {"SELECT * FROM devices WHERE a = 12ab", "column 33: this is no number"},
        {"SELECT * FROM devices WHERE a = 1e999", "column 33: this is no number"},
        {"SELECT * FROM devices WHERE a ; b", "column 31: \";\" has no meaning here"},
        {"SELECT * FROM devices WHERE tags.[[x", "column 34: [[ has no ]] behind it"},
        {"SELECT * FROM devices WHERE tags.[[]] = 1", "column 34: there is no name between"},
        {"SELECT * FROM devices WHERE tags.1x = 1", "column 33: this is no number"},
        {"SELECT * FROM devices WHERE tags[0] = 1", "column 34: 0 stands where there must be a "
                                                    "quoted name"},
        {"SELECT * FROM devices WHERE tags. = 1", "column 35: = stands where there must be a name"},
        {"SELECT * FROM devices WHERE 5", "column 29: this is no condition"},
        {"SELECT * FROM devices WHERE 'x' AND a", "column 29: this is no condition"},
        {"SELECT * FROM devices WHERE a AND b + 1", "column 37: this is no condition"},
        {"SELECT * FROM devices WHERE NOT LENGTH(a)", "column 33: this is no condition"},
        {"SELECT * FROM devices WHERE [1]", "column 29: this is no condition"},
        {"SELECT * FROM devices WHERE (a = 1", "column 35: the query ends where there must be )"},
        {"SELECT * FROM devices WHERE a IN 5", "column 34: 5 stands where there must be a list"},
        {"SELECT * FROM devices WHERE a IN [b]",
            "column 35: b stands where there must be a constant"},
        {"SELECT * FROM devices WHERE a IN [1, 2",
            "column 39: the query ends where there must be a "
            "comma or ]"},
        {"SELECT * FROM devices WHERE a NOT 5", "column 35: 5 stands where there must be IN"},
        {"SELECT * FROM devices WHERE a LIKE 'x%'", "column 31: LIKE stands where"},
        {"SELECT * FROM devices WHERE FOO(a)", "column 29: there is no function FOO"},
        {"SELECT * FROM devices WHERE COUNT() > 1",
            "column 29: COUNT may stand in the select list"},
        {"SELECT * FROM devices WHERE IS_DEFINED()",
            "column 29: IS_DEFINED takes 1 argument, not 0"},
        {"SELECT * FROM devices WHERE IS_DEFINED(a, b)", "takes 1 argument, not 2"},
        {"SELECT * FROM devices WHERE SUBSTRING(a) = 'x'",
            "SUBSTRING takes 2 to 3 arguments, not 1"},
        {"SELECT * FROM devices WHERE CONTAINS(a,)", "column 40: ) stands where there must be an "
                                                     "argument"},
        {"SELECT * FROM devices ORDER BY deviceId", "column 23: ORDER BY is not offered"},
        {"SELECT * FROM devices d",
            "column 23: d stands where there must be WHERE, GROUP BY or the "
            "end"},
        {"SELECT * FROM devices GROUP BY tags.a", "column 32: GROUP BY needs a select list"},
        {"SELECT tags.a, COUNT() FROM devices", "column 8: beside aggregates"},
        {"SELECT tags.b, COUNT() FROM devices GROUP BY tags.a", "column 8: beside aggregates"},
        {"SELECT tags.a + 1, COUNT() FROM devices GROUP BY tags.a", "column 8: beside aggregates"},
        {"SELECT tags.a FROM devices GROUP BY", "column 36: the query ends where there must be a "
                                                "name"},
        {"SELECT jobId FROM devices.jobs", "column 8: jobs can be asked for as SELECT * only"},
        {"SELECT COUNT() FROM devices.jobs", "column 8: jobs can be asked for as SELECT * only"},
        {"SELECT TOP x * FROM devices", "column 12: x stands where there must be a whole number"},
        {"SELECT TOP (5 * FROM devices", "column 15: * stands where there must be )"},
        {"SELECT a AS FROM devices", "column 13: FROM stands where there must be an alias"},
        {"SELECT SUM() FROM devices", "column 12: ) stands where"},
        {"SELECT *, a FROM devices", "column 9: , stands where there must be FROM"},
        {"SELECT * FROM devices WHERE \x01", "column 29: a byte of value 1 has no meaning here"},
        {"SELECT * FROM devices WHERE \xff", "the query is not UTF-8"},
    };
    for (size_t i = 0; i < COUNT_OF(bads); i++) {
        const char *said = refusal(bads[i].query);
        if (strstr(said, bads[i].why) == NULL)
            fail_msg("%s\n says %s\n not  %s", bads[i].query, said, bads[i].why);
    }
}

static const char *repeated(const char *head, const char *part, int times, const char *tail)
{
    const char *text = head;
    for (int i = 0; i < times; i++)
        text = arena_format(&test_arena, "%s%s", text, part);
    return arena_format(&test_arena, "%s%s", text, tail);
}

static void what_grows_has_a_bound(void **state UNUSED)
{
    static const char where[] = "SELECT * FROM devices WHERE ";
    (void)parse(repeated(where, "(", 31, repeated("a", ")", 31, "")));
    assert_non_null(strstr(refusal(repeated(where, "(", 33, "a")), "nested deeper than 32 levels"));
    assert_non_null(strstr(refusal(repeated(where, "NOT ", 33, "a")), "nested deeper"));
    assert_non_null(strstr(refusal(repeated(where, "-", 33, "a = 1")), "nested deeper"));
    assert_non_null(strstr(refusal(repeated(where, "ABS(", 33, "a")), "nested deeper"));
    (void)parse(repeated(where, "a OR ", 400, "a"));
    assert_non_null(strstr(refusal(repeated(where, "a OR ", 500, "a")), "more than 500 terms"));
    assert_non_null(strstr(refusal(repeated(where, "1+", 500, "1 = 1")), "more than 500 terms"));
    (void)parse(repeated("SELECT * FROM devices WHERE a IN [", "1,", 3000, "1]"));
    assert_non_null(
        strstr(refusal(repeated("SELECT ", "a,", 100, "a FROM devices")), "at most 100 columns"));
    assert_non_null(strstr(refusal(repeated(where, "a.", 32, "a")), "at most 32 names"));
    assert_non_null(strstr(refusal(repeated(where, "aaaaaaaaaa", 850, "")), "at most 8192"));
}

static void the_whole_says_what_it_is(void **state UNUSED)
{
    const struct query *query = parse("select top 5 * from DEVICES.Modules");
    assert_int_equal(query_collection(query), QUERY_MODULES);
    assert_true(query_is_whole(query));
    assert_true(query_top(query) == 5);
    assert_int_equal(query_uses(query), QUERY_USES_TWIN | QUERY_USES_METADATA);
    query = parse("SELECT TOP (7) deviceId, status FROM devices WHERE connectionState = 'x'");
    assert_true(query_top(query) == 7);
    assert_int_equal(query_uses(query), 0);
    query = parse("SELECT deviceId FROM devices WHERE tags.x != 1");
    assert_int_equal(query_uses(query), QUERY_USES_TWIN);
    query = parse("SELECT properties.desired FROM devices");
    assert_int_equal(query_uses(query), QUERY_USES_TWIN | QUERY_USES_METADATA);
    assert_true(query_top(query) == UINT64_MAX);
    query = parse("SELECT * FROM devices.jobs WHERE devices.jobs.status = 'completed'");
    assert_int_equal(query_collection(query), QUERY_JOBS);
    assert_true(matches(query, "{\"status\":\"completed\"}"));
    assert_false(matches(query, "{\"status\":\"running\"}"));
    query = parse("SELECT COUNT() AS n FROM devices WHERE deviceId = 'a'");
    assert_true(query_is_counting(query));
    assert_false(query_is_counting(parse("SELECT COUNT() FROM devices WHERE NOT tags.a")));
    assert_false(query_is_counting(parse("SELECT COUNT(tags.a) FROM devices")));
    assert_false(query_is_counting(parse("SELECT tags.a FROM devices GROUP BY tags.a")));
}

static const char *narrowing_of(const char *condition)
{
    struct buf out = BUF_EMPTY;
    const struct query *query = parse(arena_format(&test_arena, "SELECT * FROM %s", condition));
    const struct query_narrow *narrow = query_narrow(query);
    for (size_t i = 0; i < narrow->device_id_count; i++)
        buf_add_format(&out, "%.*s,", SPAN_ARG(narrow->device_ids[i]));
    buf_add_format(&out,
        "%.*s..%.*s m=%.*s c=%d e=%d i=%d s=%d %.*s=", SPAN_ARG(narrow->device_from),
        SPAN_ARG(narrow->device_below), SPAN_ARG(narrow->module_id), narrow->connected,
        narrow->enabled, narrow->iot_edge, narrow->latest_state, SPAN_ARG(narrow->tag));
    query_value_write(&narrow->tag_value, &out);
    buf_add_text(&out, narrow->all ? " all" : " rest");
    const char *text = arena_text(&test_arena, buf_span(&out));
    buf_done(&out);
    return text;
}

static void conditions_are_narrowed_where_an_index_knows(void **state UNUSED)
{
    static const struct bad cases[] = {
        {"devices", ".. m= c=-1 e=-1 i=-1 s=-1 = all"},
        {"devices WHERE deviceId = 'x'", "x,.. m= c=-1 e=-1 i=-1 s=-1 = all"},
        {"devices WHERE 'x' = DEVICEID", "x,.. m= c=-1 e=-1 i=-1 s=-1 = all"},
        {"devices WHERE deviceId = 5", ".. m= c=-1 e=-1 i=-1 s=-1 = all"},
        {"devices WHERE deviceId IN ['b','a',5,'b']", "a,b,.. m= c=-1 e=-1 i=-1 s=-1 = all"},
        {"devices WHERE deviceId NIN ['b']", ".. m= c=-1 e=-1 i=-1 s=-1 = rest"},
        {"devices WHERE STARTSWITH(id, 'p-')", "p-..p. m= c=-1 e=-1 i=-1 s=-1 = all"},
        {"devices WHERE connectionState = 'Connected' AND status = 'disabled'",
            ".. m= c=1 e=0 i=-1 s=-1 = all"},
        {"devices WHERE connectionState = 'connected'", ".. m= c=-1 e=-1 i=-1 s=-1 = rest"},
        {"devices WHERE capabilities.iotEdge", ".. m= c=-1 e=-1 i=1 s=-1 = all"},
        {"devices WHERE capabilities.iotEdge = false", ".. m= c=-1 e=-1 i=0 s=-1 = all"},
        {"devices WHERE properties.reported.latest_state = 'failed'",
            ".. m= c=-1 e=-1 i=-1 s=-1 = rest"},
        {"devices.modules WHERE properties.reported.latest_state = 'failed' AND moduleId = 'm'",
            ".. m=m c=-1 e=-1 i=-1 s=2 = all"},
        {"devices.modules WHERE properties.reported.latest_state = 'success'",
            ".. m= c=-1 e=-1 i=-1 s=1 = all"},
        {"devices.modules WHERE properties.reported.latest_state = 'other'",
            ".. m= c=-1 e=-1 i=-1 s=-1 = rest"},
        {"devices WHERE tags.a.b = 'x' AND tags.c = 1", ".. m= c=-1 e=-1 i=-1 s=-1 a.b=\"x\" rest"},
        {"devices WHERE tags.on", ".. m= c=-1 e=-1 i=-1 s=-1 on=true all"},
        {"devices WHERE tags.n = 4.50", ".. m= c=-1 e=-1 i=-1 s=-1 n=4.5 all"},
        {"devices WHERE tags.n = null", ".. m= c=-1 e=-1 i=-1 s=-1 = rest"},
        {"devices WHERE tags.[[a.b]] = 1", ".. m= c=-1 e=-1 i=-1 s=-1 = rest"},
        {"devices WHERE tags.a = 'x' OR tags.b = 1", ".. m= c=-1 e=-1 i=-1 s=-1 = rest"},
        {"devices WHERE NOT tags.a = 'x'", ".. m= c=-1 e=-1 i=-1 s=-1 = rest"},
        {"devices WHERE deviceId = 'a' AND deviceId = 'b'", "a,.. m= c=-1 e=-1 i=-1 s=-1 = rest"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_string_equal(narrowing_of(cases[i].query), cases[i].why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, arena_open, arena_close)
        TEST(refusals_say_where_and_what),
        TEST(what_grows_has_a_bound),
        TEST(the_whole_says_what_it_is),
        TEST(conditions_are_narrowed_where_an_index_knows),
    };
    return cmocka_run_group_tests_name("query parsing", tests, NULL, NULL);
}
