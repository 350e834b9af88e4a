/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The portal's table of devices: filtered, sorted and cut into pages by the store. The cursor of a
 * page is the last device's key and id; it stays good when devices come and go, and belongs to the
 * order that it was given for.
 */
#include "service_priv.h"

#define LIMIT_DEFAULT 50
#define LIMIT_MAX 500

/* The module whose verdict a row shows: the micro agent's. */
static const struct span agent_module = SPAN_INIT("DefenderIotMicroAgent");

static const char *const sort_names[TABLE_SORT_COUNT] = {
    [TABLE_BY_DEVICE_ID] = "deviceId",
    [TABLE_BY_STATUS] = "status",
    [TABLE_BY_CONNECTION] = "connectionState",
    [TABLE_BY_ACTIVITY] = "lastActivityTime",
};

/* ---- what is asked -------------------------------------------------------------------------- */

/* One of two words, or nothing. */
static enum err read_choice(struct rest *rest, const char *name, const char *yes, const char *no,
    bool *ret_given, bool *ret_yes)
{
    struct span text;
    enum err err = rest_parameter(rest, name, &text);
    if (err != ERR_NONE)
        return err;
    *ret_given = text.len > 0;
    *ret_yes = span_is(text, yes);
    if (text.len == 0 || *ret_yes || span_is(text, no))
        return ERR_NONE;
    return fail(ERR_ARGUMENT, rest->why, "%s is \"%.*s\", it must be \"%s\" or \"%s\"", name,
        SPAN_ARG(text), yes, no);
}

static enum err read_sort(struct rest *rest, enum table_sort *ret_sort)
{
    struct span text;
    enum err err = rest_parameter(rest, "sort", &text);
    if (err != ERR_NONE)
        return err;
    for (unsigned i = 0; i < TABLE_SORT_COUNT; i++) {
        if (text.len > 0 && !span_is(text, sort_names[i]))
            continue;
        *ret_sort = (enum table_sort)i;
        return ERR_NONE;
    }
    return fail(ERR_ARGUMENT, rest->why,
        "sort is \"%.*s\", it must be deviceId, status, connectionState or lastActivityTime",
        SPAN_ARG(text));
}

static bool read_key(struct span text, int64_t *ret_key)
{
    uint64_t magnitude;
    bool negative = span_starts(text, SPAN_LIT("-"));
    uint64_t most =
        (uint64_t)INT64_MAX + (negative ? 1 : 0); /* a time that never was is the least */
    if (!span_u64(span_from(text, negative ? 1 : 0), most, &magnitude))
        return false;
    *ret_key = (int64_t)(negative ? 0 - magnitude : magnitude);
    return true;
}

/* "KEY DEVICE-ID" */
static enum err read_cursor(struct rest *rest, struct device_range *range)
{
    struct span text;
    enum err err = rest_parameter(rest, "after", &text);
    if (err != ERR_NONE || text.len == 0)
        return err;
    size_t blank = span_find(text, ' ');
    range->after = span_from(text, blank + 1);
    if (range->after.len > 0 && read_key(span_first(text, blank), &range->after_key))
        return ERR_NONE;
    return fail(ERR_ARGUMENT, rest->why, "after is no cursor that a page has ended with");
}

enum err table_prepare(struct rest *rest)
{
    bool ascending = false;
    bool ordered = false;
    uint64_t limit = 0;
    struct device_range *range = arena_alloc(rest->arena, sizeof(*range));
    if (range == NULL)
        return ERR_MEMORY;
    rest->input = range;
    enum err err = rest_parameter(rest, "filter", &range->part);
    if (err == ERR_NONE)
        err = read_choice(
            rest, "status", "enabled", "disabled", &range->with_status, &range->enabled);
    if (err == ERR_NONE)
        err = read_choice(rest, "connection", "Connected", "Disconnected", &range->with_connection,
            &range->connected);
    if (err == ERR_NONE)
        err = read_choice(rest, "order", "asc", "desc", &ordered, &ascending);
    if (err == ERR_NONE)
        err = read_sort(rest, &range->sort);
    if (err == ERR_NONE)
        err = read_cursor(rest, range);
    if (err == ERR_NONE)
        err = rest_number(rest, "limit", LIMIT_MAX, LIMIT_DEFAULT, &limit);
    range->descending = ordered && !ascending;
    range->limit = limit == 0 ? 1 : (size_t)limit;
    return err;
}

/* ---- what is answered ----------------------------------------------------------------------- */

struct page {
    struct buf body;
    struct buf next; /* the cursor behind the last row */
    size_t limit;
    size_t count;
};

static enum err add_row(void *self, const struct device_row *row)
{
    struct page *page = self;
    struct buf *out = &page->body;
    if (page->count++ == page->limit)
        return ERR_NONE; /* it only shows that there are more */
    buf_add_text(out, page->count == 1 ? "{\"deviceId\":" : ",{\"deviceId\":");
    json_write_string(row->device_id, out);
    write_text_member(out, "status", span_of(row->enabled ? "enabled" : "disabled"));
    write_text_member(
        out, "connectionState", span_of(row->connected ? "Connected" : "Disconnected"));
    write_time_member(out, "lastActivityTime", row->last_activity_us);
    write_text_member(out, "authenticationType", span_of(auth_name(row->auth)));
    buf_add_format(out, ",\"modules\":%llu", (unsigned long long)row->modules);
    write_text_member(out, "latestState", row->latest_state);
    buf_add_byte(out, '}');
    if (page->count == page->limit) {
        buf_add_format(&page->next, "%lld ", (long long)row->key);
        buf_add(&page->next, row->device_id);
    }
    return out->failed || page->next.failed ? ERR_MEMORY : ERR_NONE;
}

enum err table_read(struct rest *rest)
{
    struct device_range range = *(const struct device_range *)rest->input;
    struct page page = {.limit = range.limit};
    uint64_t total = 0;
    enum err err = store_device_total(rest->txn, rest->hub_id, &range, &total);
    buf_add_text(&page.body, "{\"items\":[");
    range.limit++;
    if (err == ERR_NONE)
        err = store_device_table(rest->txn, rest->hub_id, &range, agent_module, add_row, &page);
    buf_add_format(&page.body, "],\"total\":%llu", (unsigned long long)total);
    write_text_or_null(
        &page.body, "next", page.count > page.limit ? buf_span(&page.next) : SPAN_NONE);
    buf_add_byte(&page.body, '}');
    if (err == ERR_NONE)
        err = respond_json(rest, 200, &page.body);
    buf_done(&page.body);
    buf_done(&page.next);
    return err == ERR_NOT_FOUND ? ERR_HUB_NOT_FOUND : err;
}
