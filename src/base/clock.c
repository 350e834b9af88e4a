/* SPDX-License-Identifier: Apache-2.0 */
#include "clock.h"

#include <stdio.h>
#include <time.h>

/* 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z: what can be written. */
#define FIRST_SECOND INT64_C(-62135596800)
#define LAST_SECOND INT64_C(253402300799)

static int64_t read_clock(clockid_t id)
{
    struct timespec at;
    must(clock_gettime(id, &at) == 0);
    return (int64_t)at.tv_sec * 1000000 + at.tv_nsec / 1000;
}

static int64_t system_wall_us(void *self UNUSED)
{
    return read_clock(CLOCK_REALTIME);
}

static int64_t system_mono_us(void *self UNUSED)
{
    return read_clock(CLOCK_MONOTONIC);
}

const struct clock clock_system = {system_wall_us, system_mono_us, NULL};

/* Days from 1970-01-01 to a date of the proleptic Gregorian calendar, and back: the year is taken
 * to begin in March, so that the leap day is its last. 719468 days lie between 0000-03-01 and 1970.
 */
static int64_t days_of(int64_t year, int month, int day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static void date_of(int64_t days, int64_t *ret_year, int *ret_month, int *ret_day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t in_era = days - era * 146097;
    int64_t of_era = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    int64_t in_year = in_era - (365 * of_era + of_era / 4 - of_era / 100);
    int64_t shifted = (5 * in_year + 2) / 153;
    *ret_day = (int)(in_year - (153 * shifted + 2) / 5 + 1);
    *ret_month = (int)(shifted < 10 ? shifted + 3 : shifted - 9);
    *ret_year = of_era + era * 400 + (*ret_month <= 2);
}

/* By hand: each change of a twin has several times. */
static char *put(char *at, unsigned number, unsigned digits, char behind)
{
    for (unsigned i = digits; i > 0; number /= 10)
        at[--i] = (char)('0' + number % 10);
    at[digits] = behind;
    return at + digits + 1;
}

const char *clock_format(int64_t wall_us, char ret_text[CLOCK_TEXT_SIZE])
{
    if (wall_us == CLOCK_UNSET) {
        memcpy(ret_text, "0001-01-01T00:00:00Z", sizeof("0001-01-01T00:00:00Z"));
        return ret_text;
    }
    int64_t seconds = wall_us / 1000000;
    int64_t micros = wall_us % 1000000;
    if (micros < 0) {
        micros += 1000000;
        seconds--;
    }
    int64_t days = seconds / 86400;
    int64_t of_day = seconds % 86400;
    if (of_day < 0) {
        of_day += 86400;
        days--;
    }
    int64_t year;
    int month;
    int day;
    date_of(days, &year, &month, &day);
    must(year >= 1 && year <= 9999);
    char *at = put(ret_text, (unsigned)year, 4, '-');
    at = put(at, (unsigned)month, 2, '-');
    at = put(at, (unsigned)day, 2, 'T');
    at = put(at, (unsigned)(of_day / 3600), 2, ':');
    at = put(at, (unsigned)(of_day / 60 % 60), 2, ':');
    at = put(at, (unsigned)(of_day % 60), 2, '.');
    at = put(at, (unsigned)micros, 6, '0');
    memcpy(at, "Z", 2);
    return ret_text;
}

/* Takes exactly `digits` digits and the byte behind them ('\0': none) off the front. */
static bool take(struct span *text, size_t digits, char behind, int *ret_value)
{
    uint64_t value;
    size_t whole = digits + (behind != '\0');
    if (text->len < whole || !span_u64(span_first(*text, digits), 9999, &value))
        return false;
    if (behind != '\0' && text->ptr[digits] != behind)
        return false;
    *ret_value = (int)value;
    *text = (struct span){text->ptr + whole, text->len - whole};
    return true;
}

/* A point without a digit behind it is left where it is, and no offset begins with it. */
static int64_t take_fraction(struct span *text)
{
    int64_t micros = 0;
    int64_t unit = 100000;
    if (text->len < 2 || text->ptr[0] != '.' || text->ptr[1] < '0' || text->ptr[1] > '9')
        return 0;
    size_t at = 1;
    for (; at < text->len && text->ptr[at] >= '0' && text->ptr[at] <= '9'; at++) {
        micros += (text->ptr[at] - '0') * unit;
        unit /= 10;
    }
    *text = (struct span){text->ptr + at, text->len - at};
    return micros;
}

static bool take_offset(struct span text, int64_t *ret_seconds)
{
    int hours;
    int minutes;
    if (span_eq_nocase(text, SPAN_LIT("Z"))) {
        *ret_seconds = 0;
        return true;
    }
    if (text.len != 6 || (text.ptr[0] != '+' && text.ptr[0] != '-'))
        return false;
    int64_t sign = text.ptr[0] == '+' ? 1 : -1;
    text = span_from(text, 1);
    if (!take(&text, 2, ':', &hours) || !take(&text, 2, '\0', &minutes))
        return false;
    *ret_seconds = sign * (INT64_C(3600) * hours + INT64_C(60) * minutes);
    return hours < 24 && minutes < 60;
}

static int days_in(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap);
}

enum err clock_parse(struct span text, int64_t *ret_wall_us, struct why *why)
{
    struct span rest = text;
    int year;
    int month;
    int day;
    int hour;
    int minute;
    int second;
    int64_t offset = 0;
    int64_t seconds = 0;
    bool ok = take(&rest, 4, '-', &year) && take(&rest, 2, '-', &month) &&
              take(&rest, 2, 'T', &day) && take(&rest, 2, ':', &hour) &&
              take(&rest, 2, ':', &minute) && take(&rest, 2, '\0', &second);
    int64_t micros = ok ? take_fraction(&rest) : 0;
    ok = ok && take_offset(rest, &offset) && year >= 1 && month >= 1 && month <= 12 && day >= 1 &&
         day <= days_in(year, month) && hour < 24 && minute < 60 && second < 60;
    if (ok) {
        seconds = days_of(year, month, day) * 86400 + hour * INT64_C(3600) + minute * INT64_C(60) +
                  second - offset;
        /* An offset must not carry it out of the years that can be written. */
        ok = seconds >= FIRST_SECOND && seconds <= LAST_SECOND;
    }
    if (!ok)
        return fail(ERR_FORMAT, why, "'%.*s' is no time of the form 2026-01-02T03:04:05Z",
            (int)(text.len > 40 ? 40 : text.len), text.ptr == NULL ? "" : text.ptr);
    *ret_wall_us = seconds * 1000000 + micros;
    return ERR_NONE;
}
