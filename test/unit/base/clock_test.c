/* SPDX-License-Identifier: Apache-2.0 */
#include "clock.h"

#include <setjmp.h>
#include <time.h>

#include <cmocka.h>

#define SECOND INT64_C(1000000)
#define DAY (86400 * SECOND)

static void known_times_have_known_texts(void **state UNUSED)
{
    static const struct {
        int64_t wall_us;
        const char *text;
    } rows[] = {
        {0, "1970-01-01T00:00:00.0000000Z"},
        {1, "1970-01-01T00:00:00.0000010Z"},
        {-1, "1969-12-31T23:59:59.9999990Z"},
        {1700000000 * SECOND + 123456, "2023-11-14T22:13:20.1234560Z"},
        {951782400 * SECOND, "2000-02-29T00:00:00.0000000Z"},
        {4107542400 * SECOND, "2100-03-01T00:00:00.0000000Z"},
        {4107542400 * SECOND - 1, "2100-02-28T23:59:59.9999990Z"},
        {-62135596800 * SECOND, "0001-01-01T00:00:00.0000000Z"},
        {253402300800 * SECOND - 1, "9999-12-31T23:59:59.9999990Z"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char text[CLOCK_TEXT_SIZE];
        int64_t back = 0;
        assert_string_equal(clock_format(rows[i].wall_us, text), rows[i].text);
        assert_int_equal(clock_parse(span_of(text), &back, NULL), ERR_NONE);
        assert_true(back == rows[i].wall_us);
    }
}

static void the_unset_time_is_year_one(void **state UNUSED)
{
    char text[CLOCK_TEXT_SIZE];
    assert_string_equal(clock_format(CLOCK_UNSET, text), "0001-01-01T00:00:00Z");
}

static void every_day_of_eleven_centuries_agrees_with_libc_and_comes_back(void **state UNUSED)
{
    int64_t first = -11676096000 * SECOND; /* 1600-01-01 */
    for (int64_t day = 0; day < 1100 * 366; day++) {
        int64_t wall_us = first + day * DAY + day % 86400 * SECOND;
        time_t seconds = (time_t)(wall_us / SECOND);
        if (seconds != wall_us / SECOND)
            continue; /* where libc's time has 32 bits it knows fewer days */
        char text[CLOCK_TEXT_SIZE];
        char expected[64];
        struct tm parts;
        int64_t back = 0;
        assert_non_null(gmtime_r(&seconds, &parts));
        strftime(expected, sizeof(expected), "%Y-%m-%dT%H:%M:%S.0000000Z", &parts);
        clock_format(wall_us, text);
        if (strcmp(text, expected) != 0)
            fail_msg("%s, libc says %s", text, expected);
        if (clock_parse(span_of(text), &back, NULL) != ERR_NONE || back != wall_us)
            fail_msg("%s does not come back", text);
    }
}

static void fractions_and_offsets_are_understood(void **state UNUSED)
{
    static const struct {
        const char *text;
        int64_t wall_us;
    } rows[] = {
        {"1970-01-01T00:00:01Z", SECOND},
        {"1970-01-01T00:00:01z", SECOND},
        {"1970-01-01T00:00:00.5Z", SECOND / 2},
        {"1970-01-01T00:00:00.123456789Z", 123456},
        {"1970-01-01T00:00:00.0000019Z", 1},
        {"1970-01-01T02:00:00+02:00", 0},
        {"1969-12-31T18:30:00.0-05:30", 0},
        {"1970-01-01T00:00:00+00:00", 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int64_t wall_us = -5;
        assert_int_equal(clock_parse(span_of(rows[i].text), &wall_us, NULL), ERR_NONE);
        assert_true(wall_us == rows[i].wall_us);
    }
}

static void what_is_no_time_is_refused_with_its_text(void **state UNUSED)
{
    static const char *const texts[] = {"", "now", "2026-01-02", "2026-01-02T03:04:05",
        "2026-01-02 03:04:05Z", "2026-1-02T03:04:05Z", "2026-13-02T03:04:05Z",
        "2026-00-02T03:04:05Z", "2026-01-00T03:04:05Z", "2026-01-32T03:04:05Z",
        "2026-04-31T03:04:05Z", "2026-01-02T24:00:00Z", "2026-01-02T03:60:05Z",
        "2026-01-02T03:04:60Z", "0000-01-02T03:04:05Z", "2026-01-02T03:04:05.Z",
        "2026-01-02T03:04:05+2:00", "2026-01-02T03:04:05+25:00", "2026-01-02T03:04:05+02:60",
        "2026-01-02T03:04:05ZZ", "-026-01-02T03:04:05Z", "2026-01-02T03:04:05+0200",
        "0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01"};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        int64_t wall_us = 4711;
        struct why why = {""};
        if (clock_parse(span_of(texts[i]), &wall_us, &why) != ERR_FORMAT)
            fail_msg("'%s' was taken for a time", texts[i]);
        assert_true(wall_us == 4711);
        assert_non_null(strstr(why.text, texts[i]));
    }
}

static void a_day_that_the_month_lacks_is_refused_in_every_year(void **state UNUSED)
{
    static const struct {
        const char *text;
        bool ok;
    } rows[] = {
        {"2024-02-29T00:00:00Z", true},
        {"2000-02-29T00:00:00Z", true},
        {"2023-02-29T00:00:00Z", false},
        {"1900-02-29T00:00:00Z", false},
        {"2100-02-29T00:00:00Z", false},
        {"2024-02-30T00:00:00Z", false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int64_t wall_us;
        enum err expected = rows[i].ok ? ERR_NONE : ERR_FORMAT;
        if (clock_parse(span_of(rows[i].text), &wall_us, NULL) != expected)
            fail_msg("'%s' is judged wrongly", rows[i].text);
    }
}

static void the_machines_clocks_run(void **state UNUSED)
{
    int64_t before = clock_mono_us(&clock_system);
    assert_true(clock_mono_us(&clock_system) >= before);
    assert_true(clock_wall_us(&clock_system) > 1600000000 * SECOND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_times_have_known_texts),
        cmocka_unit_test(the_unset_time_is_year_one),
        cmocka_unit_test(every_day_of_eleven_centuries_agrees_with_libc_and_comes_back),
        cmocka_unit_test(fractions_and_offsets_are_understood),
        cmocka_unit_test(what_is_no_time_is_refused_with_its_text),
        cmocka_unit_test(a_day_that_the_month_lacks_is_refused_in_every_year),
        cmocka_unit_test(the_machines_clocks_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
