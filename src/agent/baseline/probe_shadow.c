/* SPDX-License-Identifier: Apache-2.0 */
/* Rules about passwords. Nothing of a hash is ever kept or shown. */
#include "account_rules_priv.h"

#include <stdio.h>

#define SHADOW "/etc/shadow"
#define FIELDS 9u

struct entry {
    char name[65];
    struct span fields[FIELDS]; /* absent ones are empty */
};

typedef void judge_entry(
    const struct json *args, const struct entry *entry, int64_t today, struct offenders *offenders);

/* An account that is not locked and has a hash. */
static bool has_password(const struct entry *entry)
{
    return entry->fields[1].len > 1 && entry->fields[1].ptr[0] != '!' &&
           entry->fields[1].ptr[0] != '*';
}

static bool split(struct span line, struct entry *ret_entry)
{
    struct span rest = line;
    *ret_entry = (struct entry){.name = ""};
    for (size_t i = 0; i < FIELDS && span_cut(&rest, ':', &ret_entry->fields[i]); i++)
        ;
    return line.len > 0 && line.ptr[0] != '#' &&
           span_copy(
               span_first(ret_entry->fields[0], 64), ret_entry->name, sizeof(ret_entry->name));
}

static enum baseline_result judge_file(struct context *context, const struct json *args,
    const char *path, judge_entry *judge, struct offenders *offenders, struct why *why)
{
    struct lines lines;
    struct span line;
    int64_t today = clock_wall_us(context->clock) / 1000000 / 86400;
    enum looked looked = lines_open(&context->root, path, &lines, why);
    if (looked != LOOKED_FOUND)
        return looked == LOOKED_MISSING ? BASELINE_SKIP : BASELINE_ERROR;
    while (lines_next(&lines, &line)) {
        struct entry entry;
        if (split(line, &entry))
            judge(args, &entry, today, offenders);
    }
    bool whole = lines_check(&lines, path, why);
    lines_close(&lines);
    return whole ? BASELINE_PASS : BASELINE_ERROR;
}

static enum baseline_result judge_shadow(struct context *context, const struct json *args,
    judge_entry *judge, const char *good, const char *bad, struct why *why)
{
    struct offenders offenders = {.count = 0};
    enum baseline_result result = judge_file(context, args, SHADOW, judge, &offenders, why);
    return result == BASELINE_PASS ? offenders_judge(&offenders, good, bad, why) : result;
}

/* Of a number of days that is not there, -1 is told: no limit. */
static int64_t days_of(const struct entry *entry, size_t field)
{
    uint64_t days;
    return span_u64(entry->fields[field], INT32_MAX, &days) ? (int64_t)days : -1;
}

static bool within(const struct json *args, int64_t days)
{
    int64_t bound;
    return !(arg_int(args, "at_most", &bound) && (days < 0 || days > bound)) &&
           !(arg_int(args, "at_least", &bound) && days < bound);
}

static void judge_days(
    const struct json *args, const struct entry *entry, size_t field, struct offenders *offenders)
{
    if (has_password(entry) && !within(args, days_of(entry, field)))
        offenders_add(offenders, entry->name);
}

/* ---- the rules ------------------------------------------------------------------------------- */

static void empty(const struct json *args UNUSED, const struct entry *entry, int64_t today UNUSED,
    struct offenders *offenders)
{
    if (entry->fields[1].len == 0 && entry->name[0] != '+')
        offenders_add(offenders, entry->name);
}

enum baseline_result rule_empty_password(
    struct context *context, const struct json *args, struct why *why)
{
    struct offenders offenders = {.count = 0};
    enum baseline_result result = judge_file(context, args, "/etc/passwd", empty, &offenders, why);
    if (result == BASELINE_PASS)
        result = judge_file(context, args, SHADOW, empty, &offenders, why);
    if (result != BASELINE_PASS && offenders.count == 0)
        return result;
    return offenders_judge(
        &offenders, "every account has a password or is locked", "has or have no password", why);
}

static void max_days(const struct json *args, const struct entry *entry, int64_t today UNUSED,
    struct offenders *offenders)
{
    judge_days(args, entry, 4, offenders);
}

static void min_days(const struct json *args, const struct entry *entry, int64_t today UNUSED,
    struct offenders *offenders)
{
    judge_days(args, entry, 3, offenders);
}

static void warn_days(const struct json *args, const struct entry *entry, int64_t today UNUSED,
    struct offenders *offenders)
{
    judge_days(args, entry, 5, offenders);
}

static void inactive(const struct json *args, const struct entry *entry, int64_t today UNUSED,
    struct offenders *offenders)
{
    judge_days(args, entry, 6, offenders);
}

static void changed_later(const struct json *args UNUSED, const struct entry *entry, int64_t today,
    struct offenders *offenders)
{
    if (has_password(entry) && days_of(entry, 2) > today)
        offenders_add(offenders, entry->name);
}

enum baseline_result rule_password_max_days(
    struct context *context, const struct json *args, struct why *why)
{
    return judge_shadow(context, args, max_days, "every password expires in time",
        "has or have a password that expires too late or never", why);
}

enum baseline_result rule_password_min_days(
    struct context *context, const struct json *args, struct why *why)
{
    return judge_shadow(context, args, min_days, "no password can be changed again too soon",
        "may change the password again too soon", why);
}

enum baseline_result rule_password_warn_days(
    struct context *context, const struct json *args, struct why *why)
{
    return judge_shadow(context, args, warn_days, "everybody is warned in time",
        "is or are warned too late before the password expires", why);
}

enum baseline_result rule_inactive_days(
    struct context *context, const struct json *args, struct why *why)
{
    return judge_shadow(context, args, inactive, "every account is locked in time",
        "is or are locked too late or never after the password expired", why);
}

enum baseline_result rule_last_change_past(
    struct context *context, const struct json *args, struct why *why)
{
    return judge_shadow(context, args, changed_later, "every password was changed in the past",
        "has or have a password that was changed in the future", why);
}
