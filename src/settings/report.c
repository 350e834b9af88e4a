/* SPDX-License-Identifier: Apache-2.0 */
#include "value_priv.h"
#include "verdict.h"

#include <stdio.h>

/* A twin allows 4,096 bytes for a string and for all that is below one property. */
#define INVALID_FIELDS_BYTES 4000u
#define ERRORS_BYTES 4000u
#define LEFT_OUT_BYTES 100u

struct json *settings_report(struct arena *arena, const struct settings *settings)
{
    struct json *report = json_new(arena, JSON_OBJECT);
    if (report == NULL)
        return NULL;
    for (unsigned i = 0; i < SETTING_COUNT; i++) {
        enum setting_id id = (enum setting_id)i;
        const struct setting *row = setting_row(id);
        if (row->local || (row->optional && settings_text(settings, id)[0] == '\0'))
            continue;
        if (!json_set(arena, report, span_of(row->name), value_write(arena, settings, id)))
            return NULL;
    }
    return report;
}

/* Joins the names by commas; what has no room becomes "...+N". */
static struct json *invalid_fields(struct arena *arena, const struct verdict *verdict)
{
    AUTO(buf_done) struct buf names = BUF_EMPTY;
    size_t left = verdict->field_count + verdict->left_out;
    for (const struct verdict_field *f = verdict->fields; f != NULL; f = f->next, left--) {
        if (names.len + 1 + f->name.len > INVALID_FIELDS_BYTES)
            break;
        if (names.len > 0)
            buf_add_byte(&names, ',');
        buf_add(&names, f->name);
    }
    if (left > 0)
        buf_add_format(&names, ",...+%zu", left);
    return names.failed ? NULL : json_new_string(arena, buf_span(&names));
}

static struct json *errors(struct arena *arena, const struct verdict *verdict)
{
    AUTO(buf_done) struct buf measure = BUF_EMPTY;
    struct json *object = json_new(arena, JSON_OBJECT);
    size_t left = verdict->field_count + verdict->left_out;
    if (object == NULL)
        return NULL;
    for (const struct verdict_field *f = verdict->fields; f != NULL; f = f->next) {
        /* Measured as JSON text, which is never less than how a twin counts. */
        json_write_string(f->name, &measure);
        json_write_string(span_of(f->sentence), &measure);
        buf_add_text(&measure, ":,");
        if (measure.failed)
            return NULL;
        if (measure.len > ERRORS_BYTES - LEFT_OUT_BYTES)
            break;
        if (!json_set(arena, object, f->name, json_new_string(arena, span_of(f->sentence))))
            return NULL;
        left--;
    }
    char text[LEFT_OUT_BYTES];
    snprintf(text, sizeof(text), "%zu more bad fields have no room here", left);
    if (left > 0 &&
        !json_set(arena, object, SPAN_LIT("_left_out"), json_new_string(arena, span_of(text))))
        return NULL;
    return object;
}

bool verdict_report(struct arena *arena, const struct verdict *verdict, const char *agent_version,
    struct json *object)
{
    const char *state = verdict_ok(verdict) ? "success" : "failed";
    bool done =
        json_set(arena, object, SPAN_LIT("latest_state"), json_new_string(arena, span_of(state))) &&
        json_set(
            arena, object, SPAN_LIT("latest_invalid_fields"), invalid_fields(arena, verdict)) &&
        json_set(arena, object, SPAN_LIT("latest_errors"), errors(arena, verdict));
    if (done && verdict->desired_version >= 0)
        done = json_set(arena, object, SPAN_LIT("latest_desired_version"),
            json_new_int(arena, verdict->desired_version));
    if (done && agent_version != NULL)
        done = json_set(arena, object, SPAN_LIT("agent_version"),
            json_new_string(arena, span_of(agent_version)));
    return done;
}

static bool is_reserved(struct span name)
{
    return span_is(name, "$version") || span_is(name, "$metadata");
}

/* Adds to `patch` what turns the members of `previous` into those of `wanted`. */
static bool add_difference(
    struct arena *arena, const struct json *previous, const struct json *wanted, struct json *patch)
{
    json_each (member, wanted) {
        const struct json *before = json_find(previous, member->key);
        if (before != NULL && json_equal(before, member))
            continue;
        struct json *change;
        if (json_is(before, JSON_OBJECT) && member->kind == JSON_OBJECT) {
            change = json_new(arena, JSON_OBJECT);
            if (change == NULL || !add_difference(arena, before, member, change))
                return false;
        } else {
            change = json_copy(arena, member);
        }
        if (!json_set(arena, patch, member->key, change))
            return false;
    }
    if (previous == NULL)
        return true;
    json_each (member, previous) {
        if (is_reserved(member->key) || member->kind == JSON_NULL ||
            json_find(wanted, member->key) != NULL)
            continue;
        if (!json_set(arena, patch, member->key, json_new(arena, JSON_NULL)))
            return false;
    }
    return true;
}

struct json *settings_report_difference(
    struct arena *arena, const struct json *previous, const struct json *reported)
{
    struct json *patch = json_new(arena, JSON_OBJECT);
    if (patch == NULL || !add_difference(arena, previous, reported, patch))
        return NULL;
    return patch;
}
