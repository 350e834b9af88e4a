/* SPDX-License-Identifier: Apache-2.0 */
#include "describe_priv.h"
#include "settings_doc.h"
#include "value_priv.h"

/* Blanks that span_trim() drops, as a class of a regular expression. */
#define BLANKS "[ \\t\\r\\n]*"

/* Adding anything to an object; a builder that failed leaves `failed`, checked once at the end. */
struct schema {
    struct arena arena;
    bool failed;
};

static void add(struct schema *schema, struct json *object, const char *name, struct json *value)
{
    if (object == NULL || !json_set(&schema->arena, object, span_of(name), value))
        schema->failed = true;
}

static void add_text(struct schema *schema, struct json *object, const char *name, const char *text)
{
    add(schema, object, name, json_new_string(&schema->arena, span_of(text)));
}

static void add_number(struct schema *schema, struct json *object, const char *name, int64_t number)
{
    add(schema, object, name, json_new_int(&schema->arena, number));
}

static struct json *words(struct schema *schema, const char *const *choices)
{
    struct json *array = json_new(&schema->arena, JSON_ARRAY);
    for (; *choices != NULL; choices++)
        if (array == NULL ||
            !json_append(array, json_new_string(&schema->arena, span_of(*choices))))
            schema->failed = true;
    return array;
}

/* The text and list kinds: characters are counted where the agent counts bytes, which is the same
 * for ASCII; the agent has the last word. */
static void add_text_rules(struct schema *schema, const struct setting *row, struct json *property)
{
    static const char interval[] = BLANKS "[0-9]{1,5}" BLANKS;
    AUTO(buf_done) struct buf pattern = BUF_EMPTY;
    if (row->kind == SETTING_KIND_TEXT)
        buf_add_format(&pattern, "^%s$", row->form->pattern);
    else if (row->kind == SETTING_KIND_LIST)
        buf_add_format(&pattern, "^" BLANKS "(%s" BLANKS "(," BLANKS "%s" BLANKS "){0,%zu})?$",
            row->form->pattern, row->form->pattern, row->items_max - 1);
    else
        buf_add_format(&pattern, "^%s,%s,%s$", interval, interval, interval);
    if (pattern.failed)
        schema->failed = true;
    else
        add_text(schema, property, "pattern", pattern.ptr);
    if (row->kind != SETTING_KIND_INTERVALS)
        add_number(schema, property, "maxLength", row->largest);
}

static void add_rules(struct schema *schema, const struct setting *row, struct json *property)
{
    switch (row->kind) {
    case SETTING_KIND_BOOL:
        add_text(schema, property, "type", "boolean");
        return;
    case SETTING_KIND_INT:
        add_text(schema, property, "type", "integer");
        add_number(schema, property, "minimum", row->smallest);
        add_number(schema, property, "maximum", row->largest);
        if (row->choices != NULL)
            add(schema, property, "x-labels", words(schema, row->choices));
        return;
    case SETTING_KIND_WORD:
        add_text(schema, property, "type", "string");
        add(schema, property, "enum", words(schema, row->choices));
        return;
    case SETTING_KIND_TEXT:
    case SETTING_KIND_LIST:
    case SETTING_KIND_INTERVALS:
        break;
    }
    add_text(schema, property, "type", "string");
    add_text_rules(schema, row, property);
}

static struct json *property_of(struct schema *schema, enum setting_id id, bool as_alias)
{
    const struct setting *row = setting_row(id);
    struct json *property = json_new(&schema->arena, JSON_OBJECT);
    struct settings defaults;
    settings_init(&defaults);
    add_text(schema, property, "title", row->title);
    if (as_alias) {
        char *text = arena_format(&schema->arena, "Another name of %s.", row->name);
        add_text(schema, property, "description", text == NULL ? "" : text);
        add(schema, property, "deprecated", json_new_bool(&schema->arena, true));
        add_text(schema, property, "x-alias-of", row->name);
    } else {
        add_text(schema, property, "description", row->help);
    }
    if (property == NULL)
        return NULL;
    add_rules(schema, row, property);
    if (!row->optional)
        add(schema, property, "default", value_write(&schema->arena, &defaults, id));
    if (row->unit != NULL)
        add_text(schema, property, "x-unit", row->unit);
    add_text(schema, property, "x-group", setting_part_row(row->part)->name);
    return property;
}

static struct json *properties(struct schema *schema)
{
    struct json *object = json_new(&schema->arena, JSON_OBJECT);
    for (unsigned i = 0; i < SETTING_COUNT; i++) {
        enum setting_id id = (enum setting_id)i;
        const struct setting *row = setting_row(id);
        if (row->local)
            continue;
        add(schema, object, row->name, property_of(schema, id, false));
        if (row->alias != NULL)
            add(schema, object, row->alias, property_of(schema, id, true));
    }
    return object;
}

static bool in_desired(enum setting_part part)
{
    for (unsigned id = 0; id < SETTING_COUNT; id++)
        if (setting_row((enum setting_id)id)->part == part &&
            !setting_row((enum setting_id)id)->local)
            return true;
    return false;
}

static struct json *groups(struct schema *schema)
{
    struct json *array = json_new(&schema->arena, JSON_ARRAY);
    for (unsigned part = 0; part < PART_COUNT; part++) {
        if (!in_desired((enum setting_part)part))
            continue;
        struct json *group = json_new(&schema->arena, JSON_OBJECT);
        add_text(schema, group, "name", setting_part_row((enum setting_part)part)->name);
        add_text(schema, group, "title", setting_part_row((enum setting_part)part)->title);
        if (array == NULL || !json_append(array, group))
            schema->failed = true;
    }
    return array;
}

void settings_write_schema(struct buf *out)
{
    struct schema schema = {.failed = false};
    arena_init(&schema.arena, 0);
    struct json *root = json_new(&schema.arena, JSON_OBJECT);
    struct json *reserved = json_new(&schema.arena, JSON_OBJECT);
    add_text(&schema, root, "$schema", "https://json-schema.org/draft/2020-12/schema");
    add_text(&schema, root, "title", "Settings of the micro agent");
    add_text(&schema, root, "description",
        "The desired properties of the module DefenderIotMicroAgent. What is absent has its "
        "default. "
        "The agent judges the whole document: with one bad member nothing of it is applied.");
    add_text(&schema, root, "type", "object");
    add(&schema, root, "properties", properties(&schema));
    add(&schema, reserved, "^\\$(version|metadata)$", json_new_bool(&schema.arena, true));
    add(&schema, root, "patternProperties", reserved);
    add(&schema, root, "additionalProperties", json_new_bool(&schema.arena, false));
    add(&schema, root, "x-groups", groups(&schema));
    if (schema.failed)
        out->failed = true;
    else
        json_write_pretty(root, 2, out);
    buf_add_text(out, "\n");
    arena_done(&schema.arena);
}
