/* SPDX-License-Identifier: Apache-2.0 */
#include "value_priv.h"

#include "describe_priv.h"
#include "form_priv.h"

#include <inttypes.h>

/* The kind of JSON value that a kind of setting is written as. */
static const struct {
    enum json_kind json;
    const char *name;
} written_as[] = {
    [SETTING_KIND_BOOL] = {JSON_BOOL, "a boolean"},
    [SETTING_KIND_INT] = {JSON_NUMBER, "an integer"},
    [SETTING_KIND_WORD] = {JSON_STRING, "a string"},
    [SETTING_KIND_TEXT] = {JSON_STRING, "a string"},
    [SETTING_KIND_LIST] = {JSON_STRING, "a string"},
    [SETTING_KIND_INTERVALS] = {JSON_STRING, "a string"},
};

static enum err wrong_kind(const struct setting *row, const struct json *json, struct why *problem)
{
    const char *wanted = written_as[row->kind].name;
    const char *got = json_kind_name(json);
    char shown[SHOWN_SIZE];
    if (row->secret || json->kind == JSON_ARRAY || json->kind == JSON_OBJECT)
        return fail(ERR_ARGUMENT, problem, "the value is %s, not %s", got, wanted);
    if (json->kind == JSON_BOOL)
        return fail(
            ERR_ARGUMENT, problem, "%s is %s, not %s", json->truth ? "true" : "false", got, wanted);
    describe_text(json->text, shown);
    const char *quote = json->kind == JSON_STRING ? "\"" : "";
    return fail(ERR_ARGUMENT, problem, "%s%s%s is %s, not %s", quote, shown, quote, got, wanted);
}

static enum err read_int(const struct setting *row, const struct json *json,
    struct setting_value *ret_value, struct why *problem)
{
    int64_t number;
    char shown[SHOWN_SIZE];
    describe_text(json->text, shown);
    if (!json_int64(json, &number)) {
        if (memchr(json->text.ptr, '.', json->text.len) != NULL ||
            memchr(json->text.ptr, 'e', json->text.len) != NULL ||
            memchr(json->text.ptr, 'E', json->text.len) != NULL)
            return fail(ERR_ARGUMENT, problem, "%s is not written as an integer", shown);
        number = json->text.ptr[0] == '-' ? INT64_MIN : INT64_MAX;
    }
    if (number < row->smallest)
        return fail(
            ERR_ARGUMENT, problem, "%s is below the smallest value %" PRId64, shown, row->smallest);
    if (number > row->largest)
        return fail(
            ERR_ARGUMENT, problem, "%s is above the largest value %" PRId64, shown, row->largest);
    ret_value->number = number;
    return ERR_NONE;
}

static enum err read_word(const struct setting *row, struct span text,
    struct setting_value *ret_value, struct why *problem)
{
    char shown[SHOWN_SIZE];
    describe_text(text, shown);
    for (int i = 0; row->choices[i] != NULL; i++) {
        if (span_is(text, row->choices[i])) {
            ret_value->number = i;
            return ERR_NONE;
        }
    }
    for (int i = 0; row->choices[i] != NULL; i++)
        if (span_eq_nocase(span_trim(text), span_of(row->choices[i])))
            return fail(ERR_ARGUMENT, problem, "\"%s\" must be written exactly as \"%s\"", shown,
                row->choices[i]);
    return fail(ERR_ARGUMENT, problem, "\"%s\" is none of the words", shown);
}

static enum err take_text(char *text, struct setting_value *ret_value)
{
    if (text == NULL)
        return ERR_MEMORY;
    ret_value->text = text;
    return ERR_NONE;
}

static enum err too_long(const struct setting *row, struct span text, struct why *problem)
{
    return fail(ERR_ARGUMENT, problem, "the text has %zu bytes, more than %" PRId64, text.len,
        row->largest);
}

static enum err read_text(const struct setting *row, struct span text,
    struct setting_value *ret_value, struct why *problem)
{
    char shown[SHOWN_SIZE];
    describe_text(text, shown);
    if (text.len > (size_t)row->largest)
        return too_long(row, text, problem);
    if (text.len == 0 || row->form->fits(text))
        return take_text(mem_text(text), ret_value);
    if (row->secret)
        return fail(ERR_ARGUMENT, problem,
            "the text (not shown, it may hold a password) is not of "
            "the form that is allowed");
    return fail(ERR_ARGUMENT, problem, "\"%s\" is not of the form that is allowed", shown);
}

static bool has_item(struct span list, struct span item)
{
    struct span part;
    while (span_cut(&list, ',', &part))
        if (span_eq(part, item))
            return true;
    return false;
}

/* Puts the items of `text`, trimmed and without repeated ones, into `list`. */
static enum err join_items(
    const struct setting *row, struct span text, struct buf *list, struct why *problem)
{
    size_t at = 0;
    struct span item;
    while (span_cut(&text, ',', &item)) {
        char shown[SHOWN_SIZE];
        item = span_trim(item);
        describe_text(item, shown);
        at++;
        if (item.len == 0)
            return fail(ERR_ARGUMENT, problem, "item %zu of the list is empty", at);
        if (item.len > row->form->largest_bytes)
            return fail(ERR_ARGUMENT, problem, "item %zu of the list, \"%s\", has %zu bytes", at,
                shown, item.len);
        if (!row->form->fits(item))
            return fail(ERR_ARGUMENT, problem,
                "item %zu of the list, \"%s\", is not of the form that is allowed", at, shown);
        if (list->len > 0 && has_item(buf_span(list), item))
            continue;
        if (list->len > 0)
            buf_add_byte(list, ',');
        buf_add(list, item);
    }
    if (at > row->items_max)
        return fail(ERR_ARGUMENT, problem, "the list has %zu items", at);
    return list->failed ? ERR_MEMORY : ERR_NONE;
}

static enum err read_list(const struct setting *row, struct span text,
    struct setting_value *ret_value, struct why *problem)
{
    if (text.len > (size_t)row->largest)
        return too_long(row, text, problem);
    if (span_trim(text).len == 0)
        return take_text(mem_text(SPAN_NONE), ret_value);
    AUTO(buf_done) struct buf list = BUF_EMPTY;
    enum err err = join_items(row, text, &list, problem);
    if (err != ERR_NONE)
        return err;
    return take_text(buf_take(&list, NULL), ret_value);
}

#define INTERVALS 3u

static const char *const interval_names[INTERVALS] = {"High", "Medium", "Low"};

static enum err read_minutes(const struct setting *row, struct span text,
    uint64_t ret_minutes[INTERVALS], struct why *problem)
{
    struct span rest = text;
    struct span part;
    char shown[SHOWN_SIZE];
    size_t count = 0;
    for (; count < INTERVALS && span_cut(&rest, ',', &part); count++) {
        part = span_trim(part);
        describe_text(part, shown);
        if (part.len > 5 || !span_u64(part, (uint64_t)row->largest, &ret_minutes[count]) ||
            ret_minutes[count] < (uint64_t)row->smallest)
            return fail(ERR_ARGUMENT, problem,
                "\"%s\" for %s is no integer from %" PRId64 " to %" PRId64, shown,
                interval_names[count], row->smallest, row->largest);
    }
    describe_text(text, shown);
    if (count < INTERVALS || rest.ptr != NULL)
        return fail(ERR_ARGUMENT, problem, "\"%s\" is not three integers", shown);
    return ERR_NONE;
}

static enum err read_intervals(const struct setting *row, struct span text,
    struct setting_value *ret_value, struct why *problem)
{
    uint64_t minutes[INTERVALS];
    enum err err = read_minutes(row, text, minutes, problem);
    if (err != ERR_NONE)
        return err;
    for (size_t i = 1; i < INTERVALS; i++)
        if (minutes[i] < minutes[i - 1])
            return fail(ERR_ARGUMENT, problem,
                "%" PRIu64 " for %s is smaller than %" PRIu64 " for %s", minutes[i],
                interval_names[i], minutes[i - 1], interval_names[i - 1]);
    AUTO(buf_done) struct buf joined = BUF_EMPTY;
    buf_add_format(&joined, "%" PRIu64 ",%" PRIu64 ",%" PRIu64, minutes[0], minutes[1], minutes[2]);
    if (joined.failed)
        return ERR_MEMORY;
    return take_text(buf_take(&joined, NULL), ret_value);
}

enum err value_read(const struct setting *row, const struct json *json,
    struct setting_value *ret_value, struct why *problem)
{
    struct setting_value value = {.given = true};
    if (json->kind != written_as[row->kind].json)
        return wrong_kind(row, json, problem);
    enum err err = ERR_NONE;
    switch (row->kind) {
    case SETTING_KIND_BOOL:
        value.number = json->truth ? 1 : 0;
        break;
    case SETTING_KIND_INT:
        err = read_int(row, json, &value, problem);
        break;
    case SETTING_KIND_WORD:
        err = read_word(row, json->text, &value, problem);
        break;
    case SETTING_KIND_TEXT:
        err = read_text(row, json->text, &value, problem);
        break;
    case SETTING_KIND_LIST:
        err = read_list(row, json->text, &value, problem);
        break;
    case SETTING_KIND_INTERVALS:
        err = read_intervals(row, json->text, &value, problem);
        break;
    }
    if (err == ERR_NONE)
        *ret_value = value;
    return err;
}

struct json *value_write(struct arena *arena, const struct settings *settings, enum setting_id id)
{
    const struct setting *row = setting_row(id);
    int64_t number = settings->values[id].number;
    switch (row->kind) {
    case SETTING_KIND_BOOL:
        return json_new_bool(arena, number != 0);
    case SETTING_KIND_INT:
        return json_new_int(arena, number);
    case SETTING_KIND_WORD:
        return json_new_string(arena, span_of(row->choices[number]));
    case SETTING_KIND_TEXT:
    case SETTING_KIND_LIST:
    case SETTING_KIND_INTERVALS:
        break;
    }
    return json_new_string(arena, span_of(settings_text(settings, id)));
}
