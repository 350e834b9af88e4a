/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The micro agent's settings for an editor: their schema, and what the agent would say to a text,
 * by the agent's own judge (docs/adr/0005-one-validator.md), each problem with its place.
 *
 * Places are counted in UTF-16 code units from the beginning of the text, as editors in a browser
 * count.
 */
#include "service_priv.h"

#include "verdict.h"

#include <stdlib.h>

/* A twin's limits leave room for less, with all its metadata and blanks. */
#define TEXT_BYTES_MAX (256u * 1024)
#define PATH_MAX_NAMES 8u

struct question {
    struct span text;
    struct span path[PATH_MAX_NAMES];
    size_t path_count;
};

enum err settings_schema(struct rest *rest)
{
    return respond_json(rest, 200, &rest->service->schema);
}

/* ---- what is asked -------------------------------------------------------------------------- */

static enum err read_path(struct rest *rest, const struct json *path, struct question *question)
{
    if (path == NULL)
        return ERR_NONE;
    if (path->kind != JSON_ARRAY || path->count > PATH_MAX_NAMES)
        return fail(
            ERR_ARGUMENT, rest->why, "path must be an array of at most %u names", PATH_MAX_NAMES);
    json_each (name, path) {
        if (name->kind != JSON_STRING)
            return fail(
                ERR_ARGUMENT, rest->why, "path holds %s, it must hold names", json_kind_name(name));
        question->path[question->path_count++] = name->text;
    }
    return ERR_NONE;
}

enum err settings_prepare_check(struct rest *rest)
{
    const struct json *text = json_find_text(rest->body, "text");
    struct question *question = arena_alloc(rest->arena, sizeof(*question));
    if (question == NULL)
        return ERR_MEMORY;
    if (!json_is(text, JSON_STRING))
        return fail(ERR_ARGUMENT, rest->why, "text must be a string");
    if (text->text.len > TEXT_BYTES_MAX)
        return fail(ERR_TOO_LARGE, rest->why, "text has %zu bytes, at most %u are judged",
            text->text.len, TEXT_BYTES_MAX);
    question->text = text->text;
    rest->input = question;
    return read_path(rest, json_find_text(rest->body, "path"), question);
}

/* ---- places --------------------------------------------------------------------------------- */

struct ruler {
    struct span text; /* UTF-8 */
    size_t byte;
    size_t units; /* before that byte */
};

/* Only forward. */
static size_t units_before(struct ruler *ruler, size_t byte)
{
    for (; ruler->byte < byte && ruler->byte < ruler->text.len; ruler->byte++) {
        unsigned char c = (unsigned char)ruler->text.ptr[ruler->byte];
        if ((c & 0xC0) != 0x80)
            ruler->units += c >= 0xF0 ? 2 : 1;
    }
    return ruler->units;
}

static void write_place(struct ruler *ruler, struct span part, struct buf *out)
{
    size_t from = part.ptr == NULL ? ruler->byte : (size_t)(part.ptr - ruler->text.ptr);
    size_t offset = units_before(ruler, from);
    size_t length = units_before(ruler, from + part.len) - offset;
    buf_add_format(out, ",\"offset\":%zu,\"length\":%zu}", offset, length);
}

/* ---- the verdict ---------------------------------------------------------------------------- */

struct judged {
    const struct question *question;
    struct arena *arena;
    struct ruler ruler;
    struct verdict verdict;
    struct settings effective;
    bool good;
};

static int by_name(const void *left, const void *right)
{
    const struct verdict_field *a = *(const struct verdict_field *const *)left;
    const struct verdict_field *b = *(const struct verdict_field *const *)right;
    return span_compare(a->name, b->name);
}

/* The list is in the order of names already. */
static const struct verdict_field **index_fields(const struct judged *judged)
{
    const struct verdict_field **index = arena_alloc(
        judged->arena, (judged->verdict.field_count + 1) * sizeof(const struct verdict_field *));
    size_t count = 0;
    for (const struct verdict_field *field = judged->verdict.fields; index != NULL && field != NULL;
         field = field->next)
        index[count++] = field;
    return index;
}

/* A name that means nothing is marked itself, else the value. */
static struct span part_to_mark(struct span text, const struct json *member)
{
    enum setting_id id;
    if (setting_find(member->key, &id) && !setting_row(id)->local)
        return json_source(text, member);
    return json_name_source(text, member);
}

static void write_error(struct judged *judged, struct span field, const char *sentence,
    struct span part, struct buf *out)
{
    buf_add_text(out, "{\"field\":");
    json_write_string(field, out);
    write_text_member(out, "sentence", span_of(sentence));
    write_place(&judged->ruler, part, out);
}

/* In the order of the text. */
static enum err write_errors(struct judged *judged, const struct json *section, struct buf *out)
{
    const struct verdict_field **index = index_fields(judged);
    bool first = true;
    if (index == NULL)
        return ERR_MEMORY;
    json_each (member, section) {
        struct verdict_field wanted;
        const struct verdict_field *key = &wanted;
        if (!verdict_name(judged->arena, member->key, &wanted.name))
            return ERR_MEMORY;
        const struct verdict_field **found =
            bsearch(&key, index, judged->verdict.field_count, sizeof(*index), by_name);
        if (found == NULL)
            continue;
        buf_add_text(out, first ? "" : ",");
        first = false;
        write_error(judged, member->key, (*found)->sentence,
            part_to_mark(judged->question->text, member), out);
    }
    return ERR_NONE;
}

static void write_notes(const struct judged *judged, struct buf *out)
{
    const struct verdict_field *note = judged->good ? judged->verdict.notes : NULL;
    for (bool first = true; note != NULL; note = note->next, first = false) {
        buf_add_text(out, first ? "{\"field\":" : ",{\"field\":");
        json_write_string(note->name, out);
        write_text_member(out, "sentence", span_of(note->sentence));
        buf_add_byte(out, '}');
    }
}

static enum err write_settings(
    struct arena *arena, const char *name, const struct settings *settings, struct buf *out)
{
    const struct json *report = settings_report(arena, settings);
    if (report == NULL)
        return ERR_MEMORY;
    buf_add_format(out, ",\"%s\":", name);
    json_write(report, out);
    return ERR_NONE;
}

/* What stands behind "json". `wrong` stands where the section should be an object; or NULL. */
static enum err write_verdict(
    struct judged *judged, const struct json *section, const struct json *wrong, struct buf *out)
{
    struct settings defaults;
    enum err err = ERR_NONE;
    settings_init(&defaults);
    buf_add_format(
        out, ",\"latest_state\":\"%s\",\"errors\":[", judged->good ? "success" : "failed");
    if (wrong != NULL) {
        char *sentence =
            arena_format(judged->arena, "this is %s, it must be an object", json_kind_name(wrong));
        if (sentence == NULL)
            return ERR_MEMORY;
        write_error(judged, wrong->key, sentence, json_source(judged->question->text, wrong), out);
    } else if (section != NULL) {
        err = write_errors(judged, section, out);
    }
    buf_add_text(out, "],\"notes\":[");
    write_notes(judged, out);
    buf_add_byte(out, ']');
    if (judged->verdict.left_out > 0)
        buf_add_format(out, ",\"leftOut\":%zu", judged->verdict.left_out);
    if (err == ERR_NONE && judged->good)
        err = write_settings(judged->arena, "effective", &judged->effective, out);
    return err == ERR_NONE ? write_settings(judged->arena, "defaults", &defaults, out) : err;
}

/* Goes along the path; a part that is absent or null leaves nothing to judge. */
static const struct json *find_section(
    const struct question *question, const struct json *document, const struct json **ret_wrong)
{
    const struct json *at = document;
    *ret_wrong = NULL;
    for (size_t i = 0;; i++) {
        if (at == NULL || at->kind == JSON_NULL)
            return NULL;
        if (at->kind != JSON_OBJECT) {
            *ret_wrong = at;
            return NULL;
        }
        if (i == question->path_count)
            return at;
        at = json_find(at, question->path[i]);
    }
}

static enum err judge(struct judged *judged, const struct json *document, struct buf *out)
{
    const struct json *wrong;
    const struct json *section = find_section(judged->question, document, &wrong);
    struct settings base;
    settings_init(&base);
    enum err err = ERR_NONE;
    if (section != NULL)
        err = settings_judge(&base, section, &judged->effective, &judged->verdict);
    if (err != ERR_NONE && err != ERR_ARGUMENT)
        return err;
    judged->good = err == ERR_NONE && wrong == NULL;
    return write_verdict(judged, section, wrong, out);
}

enum err settings_check(struct rest *rest)
{
    const struct question *question = rest->input;
    struct judged judged = {.question = question, .arena = rest->arena};
    struct json *document;
    struct why fault_why = {""};
    size_t fault = 0;
    AUTO(buf_done) struct buf body = BUF_EMPTY;
    judged.ruler.text = question->text;
    verdict_init(&judged.verdict);
    settings_init(&judged.effective);
    enum err err =
        json_parse_located(rest->arena, question->text, 0, &document, &fault, &fault_why);
    if (err == ERR_FORMAT) {
        buf_add_format(
            &body, "{\"json\":{\"ok\":false,\"offset\":%zu", units_before(&judged.ruler, fault));
        write_text_member(&body, "sentence", span_of(fault_why.text));
        buf_add_text(&body, "}}");
        err = ERR_NONE;
    } else if (err == ERR_NONE) {
        buf_add_text(&body, "{\"json\":{\"ok\":true}");
        err = judge(&judged, document, &body);
        buf_add_byte(&body, '}');
    }
    settings_done(&judged.effective);
    verdict_done(&judged.verdict);
    return err == ERR_NONE ? respond_json(rest, 200, &body) : err;
}
