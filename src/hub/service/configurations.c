/* SPDX-License-Identifier: Apache-2.0 */
/* Configurations as their users see them; configuration_engine.c puts them into twins. */
#include "configuration_set.h"
#include "service_priv.h"

#include "overlay.h"

static const char edge_content[] = "modulesContent";

/* ---- reading a document ---------------------------------------------------------------------- */

static enum err check_id(struct span id, struct why *why)
{
    static const char marks[] = "-+%_*!'";
    bool good = id.len > 0 && id.len <= CONFIGURATION_ID_BYTES;
    for (size_t i = 0; good && i < id.len; i++) {
        char c = id.ptr[i];
        good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
               (c != '\0' && strchr(marks, c) != NULL);
    }
    if (good)
        return ERR_NONE;
    return fail(ERR_ARGUMENT, why,
        "\"%.*s\" is no id of a configuration, it must have 1 to %d lower-case letters, digits and "
        "any of %s",
        SPAN_ARG(id), CONFIGURATION_ID_BYTES, marks);
}

static bool is_absent(const struct json *member)
{
    return member == NULL || member->kind == JSON_NULL;
}

static enum err check_version(const struct json *body, struct why *why)
{
    static const char *const versions[] = {"1.0", "1.1", "2.0"};
    const struct json *version = json_find_text(body, "schemaVersion");
    if (is_absent(version))
        return ERR_NONE;
    for (size_t i = 0; i < COUNT_OF(versions); i++)
        if (version->kind == JSON_STRING && span_is(version->text, versions[i]))
            return ERR_NONE;
    return fail(ERR_SCHEMA_VERSION, why, "schemaVersion must be \"1.0\", \"1.1\" or \"2.0\"");
}

static enum err check_texts(const struct json *texts, const char *name, struct why *why)
{
    if (is_absent(texts))
        return ERR_NONE;
    if (texts->kind != JSON_OBJECT)
        return fail(ERR_ARGUMENT, why, "%s is %s, it must be an object of strings", name,
            json_kind_name(texts));
    json_each (text, texts)
        if (text->kind != JSON_STRING)
            return fail(ERR_ARGUMENT, why, "\"%.*s\" of %s is %s, it must be a string",
                SPAN_ARG(text->key), name, json_kind_name(text));
    return ERR_NONE;
}

static enum err check_priority(const struct json *body, struct why *why)
{
    const struct json *priority = json_find_text(body, "priority");
    int64_t number = 0;
    if (is_absent(priority) ||
        (json_int64(priority, &number) && number >= 0 && number <= INT32_MAX))
        return ERR_NONE;
    return fail(ERR_ARGUMENT, why, "priority must be a whole number from 0 to %d", INT32_MAX);
}

static enum err check_metrics(struct rest *rest, const struct json *queries)
{
    size_t most = rest->service->options.limits.configuration_metrics;
    enum err err = check_texts(queries, "metrics.queries", rest->why);
    if (err != ERR_NONE || is_absent(queries))
        return err;
    if (queries->count > most)
        return fail(ERR_CONFIGURATION_METRIC, rest->why,
            "there are %u metrics, at most %zu are allowed (limits.configuration_metrics)",
            queries->count, most);
    json_each (metric, queries) {
        struct query *query;
        err = configuration_metric_query(rest->arena, metric->text, &query, rest->why);
        if (err != ERR_NONE) {
            why_prefix(rest->why, "the metric \"%.*s\"", SPAN_ARG(metric->key));
            return err;
        }
    }
    return ERR_NONE;
}

/* Finds the one content there is; deployments for IoT Edge are not ours. */
static enum err find_content(
    const struct json *content, const struct json **ret_paths, struct why *why)
{
    const struct json *found = NULL;
    json_each (member, content) {
        if (is_absent(member) || (member->kind == JSON_OBJECT && member->count == 0))
            continue;
        if (span_is(member->key, edge_content))
            return fail(ERR_CONFIGURATION_CONTENT, why,
                "modulesContent is for deployments to IoT Edge, which are not offered here");
        if (found != NULL ||
            (!span_is(member->key, "deviceContent") && !span_is(member->key, "moduleContent")))
            return fail(ERR_CONFIGURATION_CONTENT, why,
                "content must have one member, deviceContent or moduleContent");
        found = member;
    }
    if (found == NULL)
        return fail(ERR_CONFIGURATION_CONTENT, why,
            "content is empty, it must have one member, deviceContent or moduleContent");
    *ret_paths = found;
    return ERR_NONE;
}

static enum err check_paths(struct rest *rest, const struct json *paths)
{
    enum err err =
        overlay_check(rest->arena, paths, &rest->service->options.limits.twin, rest->why);
    if (err != ERR_ARGUMENT)
        return err;
    why_prefix(rest->why, "%.*s", SPAN_ARG(paths->key));
    return ERR_CONFIGURATION_CONTENT;
}

/* Devices have deviceContent, modules moduleContent. */
static enum err check_target(struct rest *rest, const struct json *condition, struct span content)
{
    struct query *query = NULL;
    if (!is_absent(condition) && condition->kind != JSON_STRING)
        return fail(ERR_TARGET_CONDITION, rest->why, "targetCondition is %s, it must be a string",
            json_kind_name(condition));
    struct span text = is_absent(condition) ? SPAN_NONE : condition->text;
    enum err err = configuration_condition(rest->arena, text, &query, rest->why);
    if (err != ERR_NONE || query == NULL || content.len == 0)
        return err;
    bool modules = query_collection(query) == QUERY_MODULES;
    if (modules == span_is(content, "moduleContent"))
        return ERR_NONE;
    return fail(ERR_TARGET_CONDITION, rest->why,
        modules ? "the target condition is about modules, and the content is deviceContent"
                : "the target condition of moduleContent must begin with \"from devices.modules\"");
}

enum err configurations_prepare(struct rest *rest)
{
    const struct json *body = rest->body;
    const struct json *id = json_find_text(body, "id");
    if (body->kind != JSON_OBJECT)
        return fail(
            ERR_ARGUMENT, rest->why, "the body is %s, it must be an object", json_kind_name(body));
    if (!is_absent(id) && !span_eq(id->text, rest->arguments[0]))
        return fail(ERR_ARGUMENT, rest->why, "id of the body is not that of the path");
    enum err err = check_id(rest->arguments[0], rest->why);
    if (err == ERR_NONE)
        err = check_version(body, rest->why);
    if (err == ERR_NONE)
        err = check_texts(json_find_text(body, "labels"), "labels", rest->why);
    if (err == ERR_NONE)
        err = check_priority(body, rest->why);
    if (err == ERR_NONE)
        err = check_metrics(rest, json_find_text(json_find_text(body, "metrics"), "queries"));
    return err;
}

/* ---- writing one ----------------------------------------------------------------------------- */

/* The query texts that system metrics would be asked with. */
static void write_system_queries(
    const struct configuration *row, const struct json *document, struct buf *out)
{
    AUTO(buf_done) struct buf text = BUF_EMPTY;
    const struct json *content = json_find_text(document, "content");
    struct span condition = span_trim(json_string_of(document, "targetCondition"));
    bool modules = json_find_text(content, "moduleContent") != NULL;
    const char *select = modules ? "select deviceId, moduleId " : "select deviceId ";
    buf_add_text(&text, select);
    if (!modules)
        buf_add_text(&text, "from devices");
    if (modules || span_is(condition, "*") || condition.len == 0)
        buf_add(&text, modules ? condition : SPAN_NONE);
    else {
        buf_add_text(&text, " where ");
        buf_add(&text, condition);
    }
    buf_add_text(out, ",\"queries\":{\"targetedCount\":");
    json_write_string(buf_span(&text), out);
    out->failed |= text.failed;
    buf_clear(&text);
    buf_add_format(&text, "%sfrom devices%s where configurations.[[%.*s]].status = 'Applied'",
        select, modules ? ".modules" : "", SPAN_ARG(row->id));
    buf_add_text(out, ",\"appliedCount\":");
    json_write_string(buf_span(&text), out);
    buf_add_byte(out, '}');
    out->failed |= text.failed;
}

static void write_member(
    const struct json *document, const char *name, const char *fallback, struct buf *out)
{
    const struct json *member = json_find_text(document, name);
    buf_add_format(out, ",\"%s\":", name);
    if (is_absent(member))
        buf_add_text(out, fallback);
    else
        json_write(member, out);
}

static enum err write_configuration(struct rest *rest, const struct configuration *row,
    const struct json *document, struct buf *out)
{
    char etag[IDENTITY_ETAG_SIZE];
    struct configuration_targets targets;
    enum err err = store_configuration_count(rest->txn, rest->hub_id, row->id, &targets);
    if (err != ERR_NONE)
        return err;
    buf_add_text(out, "{\"id\":");
    json_write_string(row->id, out);
    write_member(document, "schemaVersion", "\"1.0\"", out);
    write_member(document, "labels", "{}", out);
    write_member(document, "content", "{}", out);
    write_member(document, "targetCondition", "\"\"", out);
    write_time_member(out, "createdTimeUtc", row->created_us);
    write_time_member(out, "lastUpdatedTimeUtc", row->updated_us);
    write_member(document, "priority", "0", out);
    buf_add_format(out,
        ",\"systemMetrics\":{\"results\":{\"targetedCount\":%llu,\"appliedCount\":%llu}",
        (unsigned long long)targets.targeted, (unsigned long long)targets.applied);
    write_system_queries(row, document, out);
    buf_add_text(out, "},\"metrics\":{\"results\":");
    buf_add(out, row->results.len > 0 ? row->results : SPAN_LIT("{}"));
    write_member(json_find_text(document, "metrics"), "queries", "{}", out);
    buf_add_byte(out, '}');
    write_text_member(out, "etag", span_of(identity_etag(row->etag, etag)));
    buf_add_byte(out, '}');
    return out->failed ? ERR_MEMORY : ERR_NONE;
}

static enum err read_document(
    struct rest *rest, const struct configuration *row, struct json **ret_document)
{
    enum err err = json_parse(rest->arena, row->document, 0, ret_document, rest->why);
    return err == ERR_FORMAT ? ERR_CORRUPT : err;
}

static enum err respond(
    struct rest *rest, const struct configuration *row, const struct json *document)
{
    char etag[IDENTITY_ETAG_SIZE];
    AUTO(buf_done) struct buf body = BUF_EMPTY;
    enum err err = write_configuration(rest, row, document, &body);
    if (err == ERR_NONE)
        err = respond_json(rest, 200, &body);
    return err == ERR_NONE ? respond_etag(rest, identity_etag(row->etag, etag)) : err;
}

/* ---- the operations -------------------------------------------------------------------------- */

static enum err get(struct rest *rest, struct configuration *ret_row)
{
    enum err err =
        store_configuration_get(rest->txn, rest->arena, rest->hub_id, rest->arguments[0], ret_row);
    if (err != ERR_NOT_FOUND)
        return err;
    return fail(ERR_CONFIGURATION_NOT_FOUND, rest->why, "the hub has no configuration \"%.*s\"",
        SPAN_ARG(rest->arguments[0]));
}

enum err configurations_get(struct rest *rest)
{
    struct configuration row;
    struct json *document;
    enum err err = get(rest, &row);
    if (err == ERR_NONE)
        err = read_document(rest, &row, &document);
    return err == ERR_NONE ? respond(rest, &row, document) : err;
}

enum err configurations_list(struct rest *rest)
{
    struct configuration *rows;
    size_t count = 0;
    uint64_t top = 0;
    struct span text;
    AUTO(buf_done) struct buf body = BUF_EMPTY;
    enum err err = rest_parameter(rest, "top", &text);
    if (err == ERR_NONE)
        err = store_configuration_list(rest->txn, rest->arena, rest->hub_id, &rows, &count);
    if (err != ERR_NONE)
        return err == ERR_NOT_FOUND ? ERR_HUB_NOT_FOUND : err;
    if (span_u64(text, count, &top) && top > 0)
        count = (size_t)top;
    buf_add_byte(&body, '[');
    for (size_t i = 0; i < count && err == ERR_NONE; i++) {
        struct json *document;
        buf_add_text(&body, i == 0 ? "" : ",");
        err = read_document(rest, &rows[i], &document);
        if (err == ERR_NONE)
            err = write_configuration(rest, &rows[i], document, &body);
    }
    buf_add_byte(&body, ']');
    return err == ERR_NONE ? respond_json(rest, 200, &body) : err;
}

static enum err check_room(struct rest *rest)
{
    size_t most = rest->service->options.limits.configurations;
    struct configuration_state state;
    enum err err = store_configuration_state(rest->txn, rest->hub_id, &state);
    if (err != ERR_NONE)
        return err == ERR_NOT_FOUND ? ERR_HUB_NOT_FOUND : err;
    if (state.count < most)
        return ERR_NONE;
    return fail(ERR_TOO_MANY_CONFIGURATIONS, rest->why,
        "the hub has %zu configurations, at most %zu are allowed (limits.configurations)",
        state.count, most);
}

/* What a document keeps, as it stands in the store. */
static enum err make_document(
    struct rest *rest, const struct json *content, struct configuration *row)
{
    static const char *const names[] = {"schemaVersion", "labels", "targetCondition", "priority"};
    AUTO(buf_done) struct buf out = BUF_EMPTY;
    const struct json *queries = json_find_text(json_find_text(rest->body, "metrics"), "queries");
    buf_add_text(&out, "{\"content\":");
    json_write(content, &out);
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (!is_absent(json_find_text(rest->body, names[i])))
            write_member(rest->body, names[i], "", &out);
    if (!is_absent(queries)) {
        buf_add_text(&out, ",\"metrics\":{\"queries\":");
        json_write(queries, &out);
        buf_add_byte(&out, '}');
    }
    buf_add_byte(&out, '}');
    if (out.failed || !arena_span(rest->arena, buf_span(&out), &row->document))
        return ERR_MEMORY;
    return ERR_NONE;
}

/* The one content of what is stored: a document with several members holds only one that counts. */
static enum err keep_content(struct rest *rest, const struct json *paths, struct json **ret_content)
{
    struct json *content = json_new(rest->arena, JSON_OBJECT);
    if (content == NULL ||
        !json_add(rest->arena, content, paths->key, json_copy(rest->arena, paths)))
        return ERR_MEMORY;
    *ret_content = content;
    return ERR_NONE;
}

static enum err create(struct rest *rest, struct configuration *row, struct json **ret_content)
{
    const struct json *paths = NULL;
    const struct json *content = json_find_text(rest->body, "content");
    if (!json_is(content, JSON_OBJECT))
        return fail(ERR_CONFIGURATION_CONTENT, rest->why, "content must be an object");
    enum err err = find_content(content, &paths, rest->why);
    if (err == ERR_NONE)
        err = check_paths(rest, paths);
    if (err == ERR_NONE)
        err = check_room(rest);
    if (err != ERR_NONE)
        return err;
    *row = (struct configuration){.id = rest->arguments[0], .created_us = now_us(rest->service)};
    return keep_content(rest, paths, ret_content);
}

static enum err update(struct rest *rest, struct configuration *row, struct json **ret_content)
{
    char etag[IDENTITY_ETAG_SIZE];
    struct json *before;
    const struct json *paths = NULL;
    const struct json *content = json_find_text(rest->body, "content");
    rest->audit.action = "configuration.update";
    enum err err = match_check(&rest->match, span_of(identity_etag(row->etag, etag)), rest->why);
    if (err == ERR_NONE)
        err = read_document(rest, row, &before);
    if (err != ERR_NONE)
        return err;
    *ret_content = json_take(before, SPAN_LIT("content"));
    if (*ret_content == NULL)
        return ERR_CORRUPT;
    if (is_absent(content))
        return ERR_NONE;
    if (find_content(content, &paths, rest->why) != ERR_NONE ||
        json_find(*ret_content, paths->key) == NULL ||
        !json_equal(json_find(*ret_content, paths->key), paths))
        return fail(ERR_CONTENT_FIXED, rest->why,
            "the content cannot be changed: make another configuration");
    return ERR_NONE;
}

enum err configurations_put(struct rest *rest)
{
    struct configuration row;
    struct json *content = NULL;
    struct json *document;
    struct effect *effect;
    enum err err = get(rest, &row);
    if (err == ERR_NONE && !rest->match.given)
        return fail(ERR_CONFIGURATION_EXISTS, rest->why,
            "there is a configuration \"%.*s\" already: If-Match says that it is to be changed",
            SPAN_ARG(rest->arguments[0]));
    if (err == ERR_NONE)
        err = update(rest, &row, &content);
    else if (err == ERR_CONFIGURATION_NOT_FOUND && !rest->match.given)
        err = create(rest, &row, &content);
    if (err == ERR_NONE && content->first != NULL)
        err =
            check_target(rest, json_find_text(rest->body, "targetCondition"), content->first->key);
    if (err == ERR_NONE)
        err = make_document(rest, content, &row);
    if (err == ERR_NONE)
        err = read_document(rest, &row, &document);
    if (err != ERR_NONE)
        return err;
    row.etag++;
    row.updated_us = now_us(rest->service);
    row.results = SPAN_NONE; /* of other queries, perhaps */
    err = store_configuration_put(rest->txn, rest->hub_id, &row);
    if (err == ERR_NONE)
        err = rest_add_effect(rest, EFFECT_CONFIGURATIONS, &effect);
    return err == ERR_NONE ? respond(rest, &row, document) : err;
}

enum err configurations_delete(struct rest *rest)
{
    struct configuration row;
    struct effect *effect;
    char etag[IDENTITY_ETAG_SIZE];
    enum err err = get(rest, &row);
    if (err == ERR_NONE)
        err = match_check(&rest->match, span_of(identity_etag(row.etag, etag)), rest->why);
    if (err == ERR_NONE)
        err = rest_add_effect(rest, EFFECT_CONFIGURATIONS, &effect);
    if (err == ERR_NONE)
        err = store_configuration_delete(rest->txn, rest->hub_id, row.id);
    return err == ERR_NONE ? respond_empty(rest, 204) : err;
}

enum err configurations_test(struct rest *rest)
{
    struct query *query;
    struct why why = {""};
    size_t errors = 0;
    AUTO(buf_done) struct buf body = BUF_EMPTY;
    const struct json *queries = json_find_text(rest->body, "customMetricQueries");
    enum err err = check_texts(queries, "customMetricQueries", rest->why);
    if (err != ERR_NONE)
        return err;
    err = configuration_condition(
        rest->arena, json_string_of(rest->body, "targetCondition"), &query, &why);
    if (err == ERR_MEMORY)
        return err;
    buf_add_text(&body, "{\"targetConditionError\":");
    if (err == ERR_NONE)
        buf_add_text(&body, "null");
    else
        json_write_string(span_of(why.text), &body);
    buf_add_text(&body, ",\"customMetricQueryErrors\":{");
    for (const struct json *member = is_absent(queries) ? NULL : queries->first; member != NULL;
         member = member->next) {
        err = configuration_metric_query(rest->arena, member->text, &query, &why);
        if (err == ERR_MEMORY)
            return err;
        if (err == ERR_NONE)
            continue;
        buf_add_text(&body, errors++ == 0 ? "" : ",");
        json_write_string(member->key, &body);
        buf_add_byte(&body, ':');
        json_write_string(span_of(why.text), &body);
    }
    buf_add_text(&body, "}}");
    return respond_json(rest, 200, &body);
}

/* ---- once, on one device --------------------------------------------------------------------- */

enum err configurations_prepare_apply(struct rest *rest)
{
    const struct json *device = json_find_text(rest->body, "deviceContent");
    const struct json *modules = json_find_text(rest->body, edge_content);
    if (is_absent(device) && !json_is(modules, JSON_OBJECT))
        return fail(ERR_CONFIGURATION_CONTENT, rest->why,
            "the body must have deviceContent, or modulesContent with an object for each module");
    enum err err = is_absent(device) ? ERR_NONE : check_paths(rest, device);
    for (const struct json *module = modules == NULL ? NULL : modules->first;
         module != NULL && err == ERR_NONE; module = module->next)
        err = check_paths(rest, module);
    return err;
}

static enum err apply_once(struct rest *rest, struct span module_id, const struct json *content)
{
    struct identity identity;
    struct twin_doc twin;
    struct overlay overlay;
    struct overlay_layer layer = {.content = content};
    const struct match any = {0};
    struct span device_id = rest->arguments[0];
    enum err err = find_identity(
        rest->txn, rest->arena, rest->hub_id, device_id, module_id, &identity, rest->why);
    if (err == ERR_NONE)
        err = store_twin_get(rest->txn, rest->arena, rest->hub_id, device_id, module_id, &twin);
    if (err == ERR_NONE)
        err = overlay_apply(rest->arena, twin.desired.values, SPAN_NONE, &layer, 1, &overlay);
    if (err != ERR_NONE || overlay.patch == NULL)
        return err;
    const struct twin_step step = {TWIN_PATCH, HISTORY_PATCH, overlay.patch, &any};
    return twins_change(rest, device_id, module_id, &step, &identity, &twin);
}

enum err configurations_apply(struct rest *rest)
{
    const struct json *device = json_find_text(rest->body, "deviceContent");
    const struct json *modules = json_find_text(rest->body, edge_content);
    enum err err = is_absent(device) ? ERR_NONE : apply_once(rest, SPAN_NONE, device);
    for (const struct json *module = modules == NULL ? NULL : modules->first;
         module != NULL && err == ERR_NONE; module = module->next)
        err = apply_once(rest, module->key, module);
    return err == ERR_NONE ? respond_empty(rest, 204) : err;
}
