/* SPDX-License-Identifier: Apache-2.0 */
#include "query_document.h"

#include "service_priv.h"

static bool put_text(struct arena *arena, const char *text, struct query_value *ret_value)
{
    struct span copy;
    if (!arena_span(arena, span_of(text), &copy))
        return false;
    *ret_value = query_value_string(copy);
    return true;
}

static bool put_time(struct arena *arena, int64_t wall_us, struct query_value *ret_value)
{
    char text[CLOCK_TEXT_SIZE];
    return put_text(arena, clock_format(wall_us, text), ret_value);
}

/* An empty text stands for none. */
static void put_optional(struct span text, struct query_value *ret_value)
{
    if (text.len > 0)
        *ret_value = query_value_string(text);
}

static bool put_json(struct arena *arena, const struct buf *json, struct query_value *ret_value)
{
    struct span text;
    if (json->failed || !arena_span(arena, buf_span(json), &text))
        return false;
    *ret_value = query_value_json(VALUE_OBJECT, text);
    return true;
}

static bool put_thumbprints(
    struct arena *arena, const struct identity *identity, struct query_value *ret_value)
{
    AUTO(buf_done) struct buf out = BUF_EMPTY;
    write_thumbprints(identity, &out);
    return put_json(arena, &out, ret_value);
}

/* All of "properties", or one of its sections with $metadata and $version. */
static bool put_properties(struct arena *arena, const struct twin_doc *twin, const char *section,
    struct query_value *ret_value)
{
    AUTO(buf_done) struct buf out = BUF_EMPTY;
    struct query_value whole;
    buf_add_byte(&out, '{');
    twin_write_properties(twin, &out);
    buf_add_byte(&out, '}');
    const struct span path[] = {SPAN_LIT("properties"), span_of(section)};
    return put_json(arena, &out, &whole) &&
           query_value_at(arena, whole.text, path, section == NULL ? 1 : 2, ret_value);
}

static bool of_identity(const struct identity *identity, enum query_field field,
    struct arena *arena, struct query_value *ret_value)
{
    char etag[IDENTITY_ETAG_SIZE];
    bool module = identity->module_id.len > 0;
    switch (field) {
    case QUERY_DEVICE_ID:
        *ret_value = query_value_string(identity->device_id);
        return true;
    case QUERY_MODULE_ID:
        put_optional(identity->module_id, ret_value);
        return true;
    case QUERY_DEVICE_ETAG:
        return put_text(arena, identity_etag(identity->etag, etag), ret_value);
    case QUERY_STATUS:
        return put_text(arena, identity->enabled ? "enabled" : "disabled", ret_value);
    case QUERY_STATUS_REASON:
        put_optional(identity->status_reason, ret_value);
        return true;
    case QUERY_STATUS_UPDATE_TIME:
        return put_time(arena, identity->status_updated_us, ret_value);
    case QUERY_CONNECTION_STATE:
        return put_text(arena, identity->connected ? "Connected" : "Disconnected", ret_value);
    case QUERY_CONNECTION_STATE_UPDATED_TIME:
        return put_time(arena, identity->connection_updated_us, ret_value);
    case QUERY_LAST_ACTIVITY_TIME:
        return put_time(arena, identity->last_activity_us, ret_value);
    case QUERY_MESSAGE_COUNT:
        *ret_value = query_value_number((double)identity->messages);
        return true;
    case QUERY_AUTHENTICATION_TYPE:
        return put_text(arena, auth_name(identity->auth), ret_value);
    case QUERY_X509_THUMBPRINT:
        return put_thumbprints(arena, identity, ret_value);
    case QUERY_MODEL_ID:
        *ret_value = query_value_string(identity->model_id);
        return true;
    case QUERY_CAPABILITIES:
        if (!module)
            *ret_value = query_value_json(VALUE_OBJECT, identity->iot_edge
                                                            ? SPAN_LIT("{\"iotEdge\":true}")
                                                            : SPAN_LIT("{\"iotEdge\":false}"));
        return true;
    case QUERY_DEVICE_SCOPE:
        put_optional(identity->device_scope, ret_value);
        return true;
    case QUERY_PARENT_SCOPES:
        if (identity->parent_scopes.len > 0)
            *ret_value = query_value_json(VALUE_ARRAY, identity->parent_scopes);
        return true;
    default:
        return true; /* no document has it */
    }
}

static bool of_twin(const struct twin_doc *twin, enum query_field field, struct arena *arena,
    struct query_value *ret_value)
{
    char etag[TWIN_ETAG_SIZE];
    switch (field) {
    case QUERY_ETAG:
        return put_text(arena, twin_etag(twin->etag, etag), ret_value);
    case QUERY_VERSION:
        *ret_value = query_value_number((double)twin->version);
        return true;
    case QUERY_TAGS:
        if (!span_is(twin->tags, "{}"))
            *ret_value = query_value_json(VALUE_OBJECT, twin->tags);
        return true;
    case QUERY_DESIRED:
        *ret_value = query_value_json(VALUE_OBJECT, twin->desired.values);
        return true;
    case QUERY_REPORTED:
        *ret_value = query_value_json(VALUE_OBJECT, twin->reported.values);
        return true;
    case QUERY_DESIRED_METADATA:
        *ret_value = query_value_json(VALUE_OBJECT, twin->desired.metadata);
        return true;
    case QUERY_REPORTED_METADATA:
        *ret_value = query_value_json(VALUE_OBJECT, twin->reported.metadata);
        return true;
    case QUERY_DESIRED_VERSION:
        *ret_value = query_value_number((double)twin->desired.version);
        return true;
    case QUERY_REPORTED_VERSION:
        *ret_value = query_value_number((double)twin->reported.version);
        return true;
    case QUERY_CONFIGURATIONS:
        if (twin->configurations.len > 0)
            *ret_value = query_value_json(VALUE_OBJECT, twin->configurations);
        return true;
    case QUERY_PROPERTIES:
        return put_properties(arena, twin, NULL, ret_value);
    case QUERY_DESIRED_WHOLE:
        return put_properties(arena, twin, "desired", ret_value);
    case QUERY_REPORTED_WHOLE:
        return put_properties(arena, twin, "reported", ret_value);
    default:
        return true;
    }
}

static bool is_of_twin(enum query_field field)
{
    static const enum query_field fields[] = {QUERY_ETAG, QUERY_VERSION, QUERY_TAGS, QUERY_DESIRED,
        QUERY_REPORTED, QUERY_DESIRED_METADATA, QUERY_REPORTED_METADATA, QUERY_DESIRED_VERSION,
        QUERY_REPORTED_VERSION, QUERY_CONFIGURATIONS, QUERY_PROPERTIES, QUERY_DESIRED_WHOLE,
        QUERY_REPORTED_WHOLE};
    for (size_t i = 0; i < COUNT_OF(fields); i++)
        if (fields[i] == field)
            return true;
    return false;
}

static bool field_of(const struct query_source *self, enum query_field field, struct arena *arena,
    struct query_value *ret_value)
{
    const struct query_document *document = (const struct query_document *)self;
    *ret_value = (struct query_value){0};
    if (!is_of_twin(field))
        return of_identity(document->identity, field, arena, ret_value);
    return document->twin == NULL || of_twin(document->twin, field, arena, ret_value);
}

struct query_document query_document_of(
    const struct identity *identity, const struct twin_doc *twin)
{
    return (struct query_document){
        .source = {.field = field_of}, .identity = identity, .twin = twin};
}
