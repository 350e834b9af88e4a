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
    assert_int_equal(
        query_uses(query), QUERY_USES_TWIN | QUERY_USES_METADATA | QUERY_USES_MESSAGES);
    query = parse("SELECT TOP (7) deviceId, status FROM devices WHERE connectionState = 'x'");
    assert_true(query_top(query) == 7);
    assert_int_equal(query_uses(query), 0);
    query = parse("SELECT deviceId FROM devices WHERE tags.x != 1");
    assert_int_equal(query_uses(query), QUERY_USES_TWIN);
    query = parse("SELECT properties.desired FROM devices");
    assert_int_equal(query_uses(query), QUERY_USES_TWIN | QUERY_USES_METADATA);
    query = parse("SELECT deviceId FROM devices WHERE cloudToDeviceMessageCount > 1");
    assert_int_equal(query_uses(query), QUERY_USES_MESSAGES);
    assert_true(query_top(query) == UINT64_MAX);
    query = parse("SELECT * FROM devices.jobs WHERE devices.jobs.status = 'completed'");
    assert_int_equal(query_collection(query), QUERY_JOBS);
    assert_true(matches(query, "{\"status\":\"completed\"}"));
    assert_false(matches(query, "{\"status\":\"running\"}"));
    query = parse("SELECT COUNT() AS n FROM devices WHERE deviceId = 'a'");
    assert_true(query_is_counting(query));
    assert_false(query_is_sieved(parse("SELECT COUNT() FROM devices WHERE NOT tags.a")));
    assert_false(query_is_counting(parse("SELECT COUNT(tags.a) FROM devices")));
    assert_false(query_is_counting(parse("SELECT tags.a FROM devices GROUP BY tags.a")));
}

static void write_sieve(const struct query_sieve *sieve, struct buf *out)
{
    static const char *const words[] = {[QUERY_SIEVE_ALL] = "all(",
        [QUERY_SIEVE_ANY] = "any(",
        [QUERY_SIEVE_DEVICES] = "ids",
        [QUERY_SIEVE_RANGE] = "range",
        [QUERY_SIEVE_MODULE] = "module",
        [QUERY_SIEVE_CONNECTED] = "connected",
        [QUERY_SIEVE_ENABLED] = "enabled",
        [QUERY_SIEVE_EDGE] = "edge",
        [QUERY_SIEVE_STATE] = "state",
        [QUERY_SIEVE_TAG] = "tag",
        [QUERY_SIEVE_TAGGED] = "tagged",
        [QUERY_SIEVE_CONFIGURATION] = "configuration"};
    bool joins = sieve->kind == QUERY_SIEVE_ALL || sieve->kind == QUERY_SIEVE_ANY;
    bool flagged = !joins && sieve->name.len == 0 && sieve->kind > QUERY_SIEVE_MODULE;
    buf_add_text(out, words[sieve->kind]);
    if (sieve->name.len > 0)
        buf_add_format(out, " %.*s", SPAN_ARG(sieve->name));
    if (sieve->kind == QUERY_SIEVE_RANGE)
        buf_add_format(out, "..%.*s", SPAN_ARG(sieve->below));
    for (size_t i = 0; sieve->ids != NULL && i < sieve->count; i++)
        buf_add_format(out, " %.*s", SPAN_ARG(sieve->ids[i]));
    if (flagged || sieve->kind == QUERY_SIEVE_CONFIGURATION)
        buf_add_format(out, " %d", sieve->flag);
    if (sieve->kind == QUERY_SIEVE_TAG && sieve->value.kind != VALUE_UNDEFINED) {
        buf_add_text(out, "=");
        query_value_write(&sieve->value, out);
    }
    for (const struct query_sieve *part = sieve->first; part != NULL; part = part->next) {
        write_sieve(part, out);
        if (part->next != NULL)
            buf_add_text(out, ", ");
    }
    if (joins)
        buf_add_text(out, ")");
}

/* What indexes find, and whether there is more to judge. */
static const char *sieve_of(const char *query_text)
{
    struct buf out = BUF_EMPTY;
    const struct query *query = parse(query_text);
    if (query_sieve(query) == NULL)
        buf_add_text(&out, "-");
    else
        write_sieve(query_sieve(query), &out);
    buf_add_text(&out, query_is_sieved(query) ? "" : " ?");
    if (query_facet(query) != NULL) {
        buf_add_text(&out, " by ");
        write_sieve(query_facet(query), &out);
    }
    const char *text = arena_text(&test_arena, buf_span(&out));
    buf_done(&out);
    return text;
}

static void conditions_are_sieved_where_an_index_knows(void **state UNUSED)
{
#define STATE "properties.reported.latest_state"
    static const struct bad cases[] = {
        {"devices", "-"},
        {"devices WHERE deviceId = 'x'", "ids x"},
        {"devices WHERE 'x' = DEVICEID", "ids x"},
        {"devices WHERE deviceId = 5", "ids"},
        {"devices WHERE deviceId IN ['b','a',5,'b']", "ids a b"},
        {"devices WHERE deviceId NIN ['b']", "- ?"},
        {"devices WHERE deviceId != 'b'", "- ?"},
        {"devices WHERE STARTSWITH(id, 'p-')", "range p-..p."},
        {"devices WHERE deviceId >= 'b' AND 'd' > deviceId", "all(range..d, range b..)"},
        {"devices WHERE STARTSWITH(id, '')", "- ?"},
        {"devices WHERE connectionState = 'Connected' AND status = 'disabled'",
            "all(enabled 0, connected 1)"},
        {"devices WHERE connectionState = 'connected'", "any()"},
        {"devices WHERE connectionState != 'connected'", "- ?"},
        {"devices WHERE connectionState <> 'Connected'", "connected 0"},
        {"devices WHERE status = null", "any()"},
        {"devices WHERE capabilities.iotEdge", "edge 1"},
        {"devices WHERE capabilities.iotEdge = false", "edge 0"},
        {"devices.modules WHERE capabilities.iotEdge", "- ?"},
        {"devices WHERE " STATE " = 'failed'", "- ?"},
        {"devices.modules WHERE " STATE " = 'failed' AND moduleId = 'm'", "all(module m, state 2)"},
        {"devices.modules WHERE " STATE " = 'success'", "state 1"},
        {"devices.modules WHERE " STATE " = 'other'", "state 3 ?"},
        {"devices.modules WHERE " STATE " IN ['failed', 'success']", "any(state 1, state 2)"},
        {"devices.modules WHERE " STATE " != 'success'", "any(state 3, state 2) ?"},
        {"devices.modules WHERE IS_DEFINED(" STATE ")", "any(state 3, state 2, state 1)"},
        {"devices WHERE tags.a.b = 'x' AND tags.c = 1", "all(tag c=1, tag a.b=\"x\")"},
        {"devices WHERE tags.on", "tag on=true"},
        {"devices WHERE tags.n = 4.50", "tag n=4.5"},
        {"devices WHERE tags.n = null", "any()"},
        {"devices WHERE tags.n > 1", "- ?"},
        {"devices WHERE tags.[[a.b]] = 1", "- ?"},
        {"devices WHERE tags.a IN ['x', 1, null]", "any(any(), tag a=1, tag a=\"x\")"},
        {"devices WHERE is_defined(tags.a.b)", "tagged a.b"},
        {"devices WHERE is_defined(tags)", "- ?"},
        {"devices WHERE tags.a = 'x' OR tags.b = 1", "any(tag b=1, tag a=\"x\")"},
        {"devices WHERE tags.a = 'x' OR tags.b > 1", "- ?"},
        {"devices WHERE (tags.a = 'x' AND tags.b > 1) OR status = 'disabled'",
            "any(enabled 0, all(tag a=\"x\")) ?"},
        {"devices WHERE tags.b > 1 AND (tags.a = 1 OR deviceId = 'x')", "any(ids x, tag a=1) ?"},
        {"devices WHERE NOT tags.a = 'x'", "- ?"},
        {"devices WHERE deviceId = 'a' AND deviceId = 'b'", "all(ids b, ids a)"},
        {"devices WHERE configurations.[[c-1]].status = 'Applied'", "configuration c-1 1"},
        {"devices WHERE configurations.c.status != 'Applied'", "configuration c 0"},
        {"devices WHERE is_defined(configurations.[[c-1]])",
            "any(configuration c-1 1, configuration c-1 0)"},
        {"devices WHERE is_defined(configurations)", "- ?"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_string_equal(
            sieve_of(arena_format(&test_arena, "SELECT * FROM %s", cases[i].query)), cases[i].why);
}

static void groups_are_counted_where_an_index_knows(void **state UNUSED)
{
    static const struct bad cases[] = {
        {"connectionState, COUNT() AS n FROM devices GROUP BY connectionState", "- by connected 0"},
        {"tags.a.b AS t FROM devices GROUP BY t", "- by tag a.b"},
        {"COUNT() FROM devices.modules WHERE moduleId = 'm' GROUP BY " STATE,
            "module m by state 0"},
        {"COUNT() FROM devices GROUP BY " STATE, "-"},
        {"COUNT() FROM devices GROUP BY capabilities.iotEdge", "- by edge 0"},
        {"COUNT() FROM devices.modules GROUP BY moduleId", "- by module"},
        {"COUNT() FROM devices GROUP BY configurations.[[x]].status", "- by configuration x 0"},
        {"COUNT(tags.a) FROM devices GROUP BY tags.a", "-"},
        {"COUNT() FROM devices WHERE tags.b = 1 GROUP BY tags.a", "tag b=1"},
        {"COUNT() FROM devices GROUP BY tags.a, tags.b", "-"},
        {"COUNT() FROM devices WHERE tags.b > 1 GROUP BY tags.a", "- ?"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_string_equal(
            sieve_of(arena_format(&test_arena, "SELECT %s", cases[i].query)), cases[i].why);
#undef STATE
}

/* Each leaf is a walk through an index. */
static void long_lists_are_not_sieved(void **state UNUSED)
{
    struct buf text = BUF_EMPTY;
    for (unsigned count = 256; count <= 257; count++) {
        buf_clear(&text);
        buf_add_text(&text, "SELECT * FROM devices WHERE tags.a IN [0");
        for (unsigned i = 1; i < count; i++)
            buf_add_format(&text, ",%u", i);
        buf_add_text(&text, "]");
        const struct query *query = parse(arena_text(&test_arena, buf_span(&text)));
        assert_int_equal(query_is_sieved(query), count == 256);
        assert_int_equal(query_sieve(query) != NULL, count == 256);
    }
    buf_done(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, arena_open, arena_close)
        TEST(refusals_say_where_and_what),
        TEST(what_grows_has_a_bound),
        TEST(the_whole_says_what_it_is),
        TEST(conditions_are_sieved_where_an_index_knows),
        TEST(groups_are_counted_where_an_index_knows),
        TEST(long_lists_are_not_sieved),
    };
    return cmocka_run_group_tests_name("query parsing", tests, NULL, NULL);
}
