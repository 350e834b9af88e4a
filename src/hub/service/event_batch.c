/* SPDX-License-Identifier: Apache-2.0 */
#include "event_batch.h"

#include "base64.h"
#include "json.h"

/* Names that are system properties. */
static const struct {
    const char *name;
    const char *key;
} systems[] = {
    {"iothub-messageid", "$.mid"},
    {"iothub-correlationid", "$.cid"},
    {"iothub-userid", "$.uid"},
    {"iothub-to", "$.to"},
    {"iothub-expiry", "$.exp"},
    {"iothub-contenttype", "$.ct"},
    {"iothub-contentencoding", "$.ce"},
    {"iothub-creationtimeutc", "$.ctime"},
    {"iothub-interface-id", "$.ifid"},
    {"dt-subject", "$.sub"},
    {"iothub-ack", "iothub-ack"},
};

void event_batch_add(struct bag_writer *bag, struct span name, struct span value)
{
    static const struct span prefix = SPAN_INIT("iothub-app-");
    if (name.len > prefix.len && span_eq_nocase(span_first(name, prefix.len), prefix)) {
        bag_add(bag, span_from(name, prefix.len), value);
        return;
    }
    for (size_t i = 0; i < COUNT_OF(systems); i++)
        if (span_eq_nocase(name, span_of(systems[i].name)))
            bag_add(bag, span_of(systems[i].key), value);
}

/* The Node SDK encodes bodies and does not say so. */
static enum err read_body(
    struct arena *arena, const struct json *item, struct span *ret_body, struct why *why)
{
    const struct json *body = json_find_text(item, "body");
    const struct json *encoded = json_find_text(item, "base64Encoded");
    size_t len = 0;
    *ret_body = SPAN_NONE;
    if (body == NULL)
        return ERR_NONE;
    if (body->kind != JSON_STRING || (encoded != NULL && encoded->kind != JSON_BOOL))
        return fail(ERR_ARGUMENT, why, "body must be a string, and base64Encoded true or false");
    *ret_body = body->text;
    if (encoded != NULL && !encoded->truth)
        return ERR_NONE;
    char *bytes = arena_alloc(arena, body->text.len + 1);
    if (bytes == NULL)
        return ERR_MEMORY;
    if (base64_decode(body->text, bytes, body->text.len + 1, &len, NULL) != ERR_NONE)
        return fail(ERR_ARGUMENT, why, "body is no base64, and base64Encoded is not false");
    *ret_body = (struct span){bytes, len};
    return ERR_NONE;
}

static enum err read_properties(
    struct arena *arena, const struct json *properties, struct span *ret_bag, struct why *why)
{
    AUTO(buf_done) struct buf text = BUF_EMPTY;
    struct bag_writer bag = {.out = &text};
    *ret_bag = SPAN_NONE;
    if (properties == NULL)
        return ERR_NONE;
    json_each (property, properties) {
        if (property->kind != JSON_STRING)
            return fail(ERR_ARGUMENT, why, "the property \"%.*s\" must be a string",
                SPAN_ARG(property->key));
        event_batch_add(&bag, property->key, property->text);
    }
    return text.failed || !arena_span(arena, buf_span(&text), ret_bag) ? ERR_MEMORY : ERR_NONE;
}

static enum err read_message(struct arena *arena, const struct json *item,
    struct event_message *ret_message, struct why *why)
{
    const struct json *properties = json_find_text(item, "properties");
    if (!json_is(item, JSON_OBJECT) || (properties != NULL && properties->kind != JSON_OBJECT))
        return fail(ERR_ARGUMENT, why, "a message and its properties must be objects");
    enum err err = read_body(arena, item, &ret_message->body, why);
    return err == ERR_NONE ? read_properties(arena, properties, &ret_message->properties, why)
                           : err;
}

enum err event_batch_read(struct arena *arena, struct span text,
    struct event_message **ret_messages, size_t *ret_count, struct why *why)
{
    struct json *batch;
    size_t count = 0;
    enum err err = json_parse(arena, text, 0, &batch, why);
    if (err != ERR_NONE) {
        why_prefix(why, "the batch is no JSON");
        return err;
    }
    if (batch->kind != JSON_ARRAY || batch->count == 0 || batch->count > EVENT_BATCH_MAX)
        return fail(ERR_ARGUMENT, why, "a batch is an array of 1 to %d messages", EVENT_BATCH_MAX);
    struct event_message *messages = arena_alloc(arena, batch->count * sizeof(*messages));
    if (messages == NULL)
        return ERR_MEMORY;
    json_each (item, batch) {
        err = read_message(arena, item, &messages[count++], why);
        if (err != ERR_NONE) {
            why_prefix(why, "message %zu of the batch", count);
            return err;
        }
    }
    *ret_messages = messages;
    *ret_count = count;
    return ERR_NONE;
}
