/* SPDX-License-Identifier: Apache-2.0 */
/* Sending a cloud-to-device message: what the body of the request must be, and its way into the
 * queue. */
#include "messages.h"

#include "bag.h"
#include "base64.h"
#include "gate.h"

#define ID_BYTES 128
#define TYPE_BYTES 256

/* Of the properties, encoded, what a topic and the headers of an answer have room for. */
#define PROPERTIES_BYTES 32768

struct sending {
    struct message message;
    int64_t life_us; /* from when it is queued; 0: expires_us says */
};

/* ---- texts ----------------------------------------------------------------------------------- */

static bool is_letter_or_digit(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool consists_of(struct span text, const char *others)
{
    for (size_t i = 0; i < text.len; i++)
        if (!is_letter_or_digit(text.ptr[i]) &&
            (text.ptr[i] == '\0' || strchr(others, text.ptr[i]) == NULL))
            return false;
    return true;
}

/* Goes into headers and topics as it is. */
static bool has_control(struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] < 0x20 || text.ptr[i] == 0x7f)
            return true;
    return false;
}

static enum err read_text(struct rest *rest, const char *name, size_t most, struct span *ret_text)
{
    const struct json *value = json_find_text(rest->body, name);
    *ret_text = SPAN_NONE;
    if (value == NULL || value->kind == JSON_NULL)
        return ERR_NONE;
    if (value->kind != JSON_STRING || value->text.len > most || has_control(value->text))
        return fail(ERR_ARGUMENT, rest->why,
            "%s must be a string of up to %zu bytes without control characters", name, most);
    *ret_text = value->text;
    return ERR_NONE;
}

static enum err read_id(struct rest *rest, const char *name, struct span *ret_id)
{
    static const char others[] = "-:.+%_#*?!(),=@;$'";
    enum err err = read_text(rest, name, ID_BYTES, ret_id);
    if (err == ERR_NONE && !consists_of(*ret_id, others))
        return fail(ERR_ARGUMENT, rest->why,
            "%s may hold ASCII letters, digits and the characters %s", name, others);
    return err;
}

/* As IoT Hub asks for names; "iothub-" would be taken for a header of the hub's. */
static enum err check_property(struct rest *rest, const struct json *property)
{
    static const char others[] = "!#$%&'*+-.^_`|~";
    struct span name = property->key;
    if (name.len == 0 || !consists_of(name, others) || span_starts(name, SPAN_LIT("$.")) ||
        span_eq_nocase(span_first(name, 7), SPAN_LIT("iothub-")))
        return fail(ERR_ARGUMENT, rest->why,
            "the property \"%.*s\": a name consists of ASCII letters, digits and %s, and begins "
            "neither with \"$.\" nor with \"iothub-\"",
            SPAN_ARG(name), others);
    if (property->kind != JSON_STRING || has_control(property->text))
        return fail(ERR_ARGUMENT, rest->why,
            "the property \"%.*s\" must be a string without control characters", SPAN_ARG(name));
    return ERR_NONE;
}

/* ---- the parts of a message ------------------------------------------------------------------ */

static enum err read_properties(struct rest *rest, struct message *message, size_t *size)
{
    const struct json *properties = json_find_text(rest->body, "properties");
    AUTO(buf_done) struct buf text = BUF_EMPTY;
    struct bag_writer bag = {.out = &text};
    if (properties == NULL || properties->kind == JSON_NULL)
        return ERR_NONE;
    if (properties->kind != JSON_OBJECT)
        return fail(ERR_ARGUMENT, rest->why, "properties is %s, it must be an object",
            json_kind_name(properties));
    json_each (property, properties) {
        enum err err = check_property(rest, property);
        if (err != ERR_NONE)
            return err;
        bag_add(&bag, property->key, property->text);
        *size += property->key.len + property->text.len;
    }
    if (text.len > PROPERTIES_BYTES)
        return fail(ERR_TOO_LARGE, rest->why,
            "the properties have %zu bytes in percent-encoding, at most %d are allowed", text.len,
            PROPERTIES_BYTES);
    if (text.failed || !arena_span(rest->arena, buf_span(&text), &message->properties))
        return ERR_MEMORY;
    return ERR_NONE;
}

static enum err read_base64(struct rest *rest, const struct json *value, struct message *message)
{
    size_t len = 0;
    if (value->kind != JSON_STRING)
        return fail(ERR_ARGUMENT, rest->why, "bodyBase64 must be a string");
    char *bytes = arena_alloc(rest->arena, value->text.len + 1);
    if (bytes == NULL)
        return ERR_MEMORY;
    if (base64_decode(value->text, bytes, value->text.len + 1, &len, NULL) != ERR_NONE)
        return fail(ERR_ARGUMENT, rest->why, "bodyBase64 is no base64");
    message->body = (struct span){bytes, len};
    return ERR_NONE;
}

/* A string is sent as its text, every other JSON as itself. */
static enum err read_content(struct rest *rest, struct message *message)
{
    const struct json *value = json_find_text(rest->body, "body");
    const struct json *base64 = json_find_text(rest->body, "bodyBase64");
    AUTO(buf_done) struct buf text = BUF_EMPTY;
    if (value != NULL && base64 != NULL)
        return fail(ERR_ARGUMENT, rest->why, "there is both body and bodyBase64");
    if (base64 != NULL)
        return read_base64(rest, base64, message);
    if (value == NULL)
        return ERR_NONE;
    if (value->kind == JSON_STRING) {
        message->body = value->text;
        return ERR_NONE;
    }
    json_write(value, &text);
    if (message->content_type.len == 0)
        message->content_type = SPAN_LIT("application/json");
    if (text.failed || !arena_span(rest->arena, buf_span(&text), &message->body))
        return ERR_MEMORY;
    return ERR_NONE;
}

static enum err read_ack(struct rest *rest, struct message *message)
{
    struct span ack;
    enum err err = read_text(rest, "ack", TYPE_BYTES, &ack);
    if (err != ERR_NONE || ack.len == 0)
        return err;
    for (unsigned i = 0; i <= (MESSAGE_ACK_POSITIVE | MESSAGE_ACK_NEGATIVE); i++) {
        message->ack = i;
        if (span_is(ack, message_ack_name(i)))
            return ERR_NONE;
    }
    return fail(ERR_ARGUMENT, rest->why,
        "ack is \"%.*s\", it must be none, positive, negative or full", SPAN_ARG(ack));
}

static enum err read_life(struct rest *rest, struct sending *sending)
{
    const struct service_limits *limits = &rest->service->options.limits;
    const struct json *life = json_find_text(rest->body, "timeToLiveSeconds");
    const int64_t most = (int64_t)limits->message_hours * 3600;
    int64_t seconds = limits->message_seconds;
    struct span expiry;
    enum err err = read_text(rest, "expiryTimeUtc", TYPE_BYTES, &expiry);
    if (err != ERR_NONE)
        return err;
    if (life != NULL && life->kind != JSON_NULL && expiry.len > 0)
        return fail(ERR_ARGUMENT, rest->why, "there is both expiryTimeUtc and timeToLiveSeconds");
    if (expiry.len > 0) {
        if (clock_parse(expiry, &sending->message.expires_us, rest->why) != ERR_NONE)
            return fail(ERR_ARGUMENT, rest->why, "expiryTimeUtc is no time in ISO 8601");
        int64_t left = sending->message.expires_us - now_us(rest->service);
        if (left <= 0 || left > most * 1000000)
            return fail(ERR_EXPIRY, rest->why,
                "expiryTimeUtc must be in the future, at most %u h ahead (limits.message_hours)",
                limits->message_hours);
        return ERR_NONE;
    }
    if (life != NULL && life->kind != JSON_NULL &&
        (!json_int64(life, &seconds) || seconds < 1 || seconds > most))
        return fail(ERR_EXPIRY, rest->why,
            "timeToLiveSeconds must be a whole number from 1 to %lld (limits.message_hours)",
            (long long)most);
    sending->life_us = seconds * 1000000;
    return ERR_NONE;
}

static enum err check_size(struct rest *rest, const struct message *message, size_t size)
{
    const size_t most = rest->service->options.limits.message_bytes;
    size += message->body.len + message->message_id.len + message->correlation_id.len +
            message->user_id.len + message->content_type.len + message->content_encoding.len;
    if (size <= most)
        return ERR_NONE;
    return fail(ERR_TOO_LARGE, rest->why,
        "the message has %zu bytes with its properties, at most %zu are allowed "
        "(limits.message_bytes)",
        size, most);
}

enum err messages_prepare_send(struct rest *rest)
{
    struct sending *sending = arena_alloc(rest->arena, sizeof(*sending));
    size_t size = 0;
    if (sending == NULL)
        return ERR_MEMORY;
    rest->input = sending;
    if (!json_is(rest->body, JSON_OBJECT))
        return fail(ERR_ARGUMENT, rest->why, "the body is %s, it must be an object",
            json_kind_name(rest->body));
    struct message *message = &sending->message;
    enum err err = read_id(rest, "messageId", &message->message_id);
    if (err == ERR_NONE)
        err = read_id(rest, "correlationId", &message->correlation_id);
    if (err == ERR_NONE)
        err = read_text(rest, "userId", ID_BYTES, &message->user_id);
    if (err == ERR_NONE)
        err = read_text(rest, "contentType", TYPE_BYTES, &message->content_type);
    if (err == ERR_NONE)
        err = read_text(rest, "contentEncoding", TYPE_BYTES, &message->content_encoding);
    if (err == ERR_NONE)
        err = read_ack(rest, message);
    if (err == ERR_NONE)
        err = read_life(rest, sending);
    if (err == ERR_NONE)
        err = read_content(rest, message);
    if (err == ERR_NONE)
        err = read_properties(rest, message, &size);
    rest->messages = gate_messages(message->body.len + size);
    return err == ERR_NONE ? check_size(rest, message, size) : err;
}

/* ---- into the queue -------------------------------------------------------------------------- */

static enum err respond_sent(struct rest *rest, const struct message *message, uint64_t sequence)
{
    char time[CLOCK_TEXT_SIZE];
    AUTO(buf_done) struct buf body = BUF_EMPTY;
    buf_add_format(&body, "{\"sequenceNumber\":%llu", (unsigned long long)sequence);
    write_text_or_null(&body, "messageId", message->message_id);
    write_text_member(&body, "enqueuedTimeUtc", span_of(clock_format(message->enqueued_us, time)));
    write_text_member(&body, "expiryTimeUtc", span_of(clock_format(message->expires_us, time)));
    buf_add_byte(&body, '}');
    return respond_json(rest, 201, &body);
}

/* Feedback without an id would be of no use. */
static enum err complete_message(struct rest *rest, struct message *message)
{
    char id[REQUEST_ID_SIZE];
    if (message->message_id.len > 0)
        return ERR_NONE;
    if (!arena_span(rest->arena, span_of(new_request_id(id)), &message->message_id))
        return ERR_MEMORY;
    return ERR_NONE;
}

enum err messages_send(struct rest *rest)
{
    const struct sending *sending = rest->input;
    const size_t most = rest->service->options.limits.messages_per_device;
    struct message message = sending->message;
    struct identity identity;
    struct effect *effect;
    uint64_t sequence = 0;
    message.enqueued_us = now_us(rest->service);
    if (sending->life_us > 0)
        message.expires_us = message.enqueued_us + sending->life_us;
    enum err err = find_identity(rest->txn, rest->arena, rest->hub_id, rest->arguments[0],
        rest->arguments[1], &identity, rest->why);
    if (err == ERR_NONE)
        err = complete_message(rest, &message);
    if (err == ERR_NONE)
        err = rest_add_effect(rest, EFFECT_MESSAGE, &effect);
    if (err != ERR_NONE)
        return err;
    effect->device_id = rest->arguments[0];
    effect->module_id = rest->arguments[1];
    err = store_message_put(
        rest->txn, rest->hub_id, rest->arguments[0], rest->arguments[1], &message, most, &sequence);
    if (err == ERR_FULL)
        return fail(ERR_QUEUE_FULL, rest->why,
            "%zu messages wait for it already (limits.messages_per_device)", most);
    return err == ERR_NONE ? respond_sent(rest, &message, sequence) : err;
}
