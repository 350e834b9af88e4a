/* SPDX-License-Identifier: Apache-2.0 */
#include "mqtt.h"

#include "mem.h"

#define HEAD_MAX_BYTES 5 /* type and flags, four bytes of remaining length (2.2) */

#define LEVEL_3_1_1 4

/* ---- taking fields out of a packet's body ---------------------------------------------------- */

struct body {
    enum mqtt_kind kind;
    uint8_t flags;
    struct span rest;
    struct why *why;
};

/* `clause` is the number of the normative statement or of the section that is broken. */
static enum err malformed(const struct body *body, const char *what, const char *clause)
{
    return fail(ERR_FORMAT, body->why, "malformed %s: %s [MQTT-%s]", mqtt_kind_name(body->kind),
        what, clause);
}

static bool take_u8(struct body *body, uint8_t *ret_value)
{
    if (body->rest.len < 1)
        return false;
    *ret_value = (uint8_t)body->rest.ptr[0];
    body->rest = span_from(body->rest, 1);
    return true;
}

static bool take_u16(struct body *body, uint16_t *ret_value)
{
    if (body->rest.len < 2)
        return false;
    const uint8_t *at = (const uint8_t *)body->rest.ptr;
    *ret_value = (uint16_t)(at[0] << 8 | at[1]);
    body->rest = span_from(body->rest, 2);
    return true;
}

static bool take_bytes(struct body *body, struct span *ret_bytes)
{
    struct body ahead = *body;
    uint16_t len = 0;
    if (!take_u16(&ahead, &len) || ahead.rest.len < len)
        return false;
    *ret_bytes = span_first(ahead.rest, len);
    body->rest = span_from(ahead.rest, len);
    return true;
}

static enum err take_text(struct body *body, const char *cut_short, struct span *ret_text)
{
    struct span text;
    if (!take_bytes(body, &text))
        return malformed(body, cut_short, "1.5.3");
    if (!span_is_utf8(text))
        return malformed(body, "a text is not UTF-8", "1.5.3-1");
    if (span_find(text, '\0') < text.len)
        return malformed(body, "a text has U+0000", "1.5.3-2");
    *ret_text = text;
    return ERR_NONE;
}

static enum err check_end(const struct body *body)
{
    if (body->rest.len > 0)
        return malformed(body, "bytes behind the last field", "2.2.3");
    return ERR_NONE;
}

static enum err take_packet_id(struct body *body, uint16_t *ret_packet_id)
{
    uint16_t packet_id = 0;
    if (!take_u16(body, &packet_id))
        return malformed(body, "it ends within the packet identifier", "2.3.1");
    if (packet_id == 0)
        return malformed(body, "the packet identifier is 0", "2.3.1-1");
    *ret_packet_id = packet_id;
    return ERR_NONE;
}

static enum err check_topic(const struct body *body, struct span topic)
{
    if (topic.len == 0)
        return malformed(body, "the topic is empty", "4.7.3-1");
    return ERR_NONE;
}

/* '#' is the last level (4.7.1). Within a longer one it and '+' are no wildcards but letters: the
 * ids of IoT Hub's devices may have them. */
static enum err check_filter(const struct body *body, struct span filter)
{
    struct span level;
    if (filter.len == 0)
        return malformed(body, "a topic filter is empty", "4.7.3-1");
    while (span_cut(&filter, '/', &level)) {
        if (span_is(level, "#") && filter.ptr != NULL)
            return malformed(body, "a '#' that is not the last level of its filter", "4.7.1-2");
    }
    return ERR_NONE;
}

/* ---- one function for each form of body ------------------------------------------------------ */

#define CONNECT_RESERVED 0x01u
#define CONNECT_CLEAN 0x02u
#define CONNECT_WILL 0x04u
#define CONNECT_WILL_QOS 0x18u
#define CONNECT_WILL_RETAIN 0x20u
#define CONNECT_PASSWORD 0x40u
#define CONNECT_USERNAME 0x80u

static enum err read_protocol(struct body *body)
{
    struct span name;
    uint8_t level = 0;
    if (!take_bytes(body, &name))
        return malformed(body, "it ends within the protocol name", "3.1.2.1");
    if (!span_is(name, "MQTT") && !span_is(name, "MQIsdp"))
        return malformed(body, "the protocol name is not \"MQTT\"", "3.1.2-1");
    if (!take_u8(body, &level))
        return malformed(body, "it ends before the protocol level", "3.1.2.2");
    if (!span_is(name, "MQTT") || level != LEVEL_3_1_1)
        return fail(ERR_PROTOCOL, body->why,
            "only MQTT 3.1.1 (protocol level 4) is offered, the client asks for level %u", level);
    return ERR_NONE;
}

static enum err read_connect_flags(
    const struct body *body, uint8_t flags, struct mqtt_connect *connect)
{
    if ((flags & CONNECT_RESERVED) != 0)
        return malformed(body, "the reserved flag is set", "3.1.2-3");
    connect->clean_session = (flags & CONNECT_CLEAN) != 0;
    connect->has_will = (flags & CONNECT_WILL) != 0;
    connect->will_qos = (flags & CONNECT_WILL_QOS) >> 3;
    connect->will_retain = (flags & CONNECT_WILL_RETAIN) != 0;
    connect->has_username = (flags & CONNECT_USERNAME) != 0;
    connect->has_password = (flags & CONNECT_PASSWORD) != 0;
    if (!connect->has_will && connect->will_qos != 0)
        return malformed(body, "a will QoS without a will", "3.1.2-13");
    if (connect->will_qos == 3)
        return malformed(body, "the will QoS is 3", "3.1.2-14");
    if (!connect->has_will && connect->will_retain)
        return malformed(body, "a will retain flag without a will", "3.1.2-15");
    if (!connect->has_username && connect->has_password)
        return malformed(body, "a password without a user name", "3.1.2-22");
    return ERR_NONE;
}

static enum err read_connect_payload(struct body *body, struct mqtt_connect *connect)
{
    enum err err = take_text(body, "it ends within the client id", &connect->client_id);
    if (err == ERR_NONE && connect->has_will) {
        err = take_text(body, "it ends within the will topic", &connect->will_topic);
        if (err == ERR_NONE)
            err = check_topic(body, connect->will_topic);
        if (err == ERR_NONE && !take_bytes(body, &connect->will_payload))
            return malformed(body, "it ends within the will message", "3.1.3.3");
    }
    if (err == ERR_NONE && connect->has_username)
        err = take_text(body, "it ends within the user name", &connect->username);
    if (err == ERR_NONE && connect->has_password && !take_bytes(body, &connect->password))
        return malformed(body, "it ends within the password", "3.1.3.5");
    return err == ERR_NONE ? check_end(body) : err;
}

static enum err read_connect(struct body *body, struct mqtt_packet *packet)
{
    struct mqtt_connect *connect = &packet->connect;
    uint8_t flags = 0;
    *connect = (struct mqtt_connect){0};
    enum err err = read_protocol(body);
    if (err != ERR_NONE)
        return err;
    if (!take_u8(body, &flags))
        return malformed(body, "it ends before the connect flags", "3.1.2.3");
    err = read_connect_flags(body, flags, connect);
    if (err != ERR_NONE)
        return err;
    if (!take_u16(body, &connect->keep_alive_seconds))
        return malformed(body, "it ends within the keep alive", "3.1.2.10");
    return read_connect_payload(body, connect);
}

static enum err read_connack(struct body *body, struct mqtt_packet *packet)
{
    uint8_t flags = 0;
    if (!take_u8(body, &flags) || !take_u8(body, &packet->connack.code))
        return malformed(body, "it is too short", "3.2.1");
    if (flags > 1)
        return malformed(body, "a reserved flag is set", "3.2.2.1");
    packet->connack.session_present = flags == 1;
    if (packet->connack.code > MQTT_CODE_NOT_AUTHORIZED)
        return malformed(body, "the return code is reserved", "3.2.2.3");
    if (packet->connack.session_present && packet->connack.code != 0)
        return malformed(body, "a refusal with a session present", "3.2.2-4");
    return check_end(body);
}

static enum err read_publish(struct body *body, struct mqtt_packet *packet)
{
    struct mqtt_publish *publish = &packet->publish;
    *publish = (struct mqtt_publish){
        .dup = (body->flags & 8) != 0,
        .qos = (body->flags >> 1) & 3u,
        .retain = (body->flags & 1) != 0,
    };
    if (publish->qos == 3)
        return malformed(body, "the QoS is 3", "3.3.1-4");
    if (publish->dup && publish->qos == 0)
        return malformed(body, "a DUP flag with QoS 0", "3.3.1-2");
    enum err err = take_text(body, "it ends within the topic", &publish->topic);
    if (err == ERR_NONE)
        err = check_topic(body, publish->topic);
    if (err == ERR_NONE && publish->qos > 0)
        err = take_packet_id(body, &publish->packet_id);
    publish->payload = body->rest;
    return err;
}

static enum err read_ack(struct body *body, struct mqtt_packet *packet)
{
    enum err err = take_packet_id(body, &packet->packet_id);
    return err == ERR_NONE ? check_end(body) : err;
}

static enum err take_options(struct body *body)
{
    uint8_t options = 0;
    if (!take_u8(body, &options))
        return malformed(body, "a topic filter without its QoS", "3.8.3");
    if (options > 2)
        return malformed(body, "a requested QoS that is not 0, 1 or 2", "3.8.3-4");
    return ERR_NONE;
}

static enum err read_filters(struct body *body, struct mqtt_packet *packet)
{
    struct mqtt_subscribe *subscribe = &packet->subscribe;
    *subscribe = (struct mqtt_subscribe){.with_qos = body->kind == MQTT_SUBSCRIBE};
    enum err err = take_packet_id(body, &subscribe->packet_id);
    if (err == ERR_NONE && body->rest.len == 0)
        return malformed(
            body, "the list of filters is empty", subscribe->with_qos ? "3.8.3-3" : "3.10.3-2");
    subscribe->list = body->rest;
    while (err == ERR_NONE && body->rest.len > 0) {
        struct span filter;
        err = take_text(body, "it ends within a topic filter", &filter);
        if (err == ERR_NONE)
            err = check_filter(body, filter);
        if (err == ERR_NONE && subscribe->with_qos)
            err = take_options(body);
        subscribe->count++;
    }
    return err;
}

static enum err read_suback(struct body *body, struct mqtt_packet *packet)
{
    enum err err = take_packet_id(body, &packet->suback.packet_id);
    if (err == ERR_NONE && body->rest.len == 0)
        return malformed(body, "it has no return code", "3.9.3");
    packet->suback.codes = body->rest;
    for (size_t i = 0; err == ERR_NONE && i < body->rest.len; i++) {
        uint8_t code = (uint8_t)body->rest.ptr[i];
        if (code > 2 && code != MQTT_SUBACK_FAILURE)
            err = malformed(body, "a reserved return code", "3.9.3-2");
    }
    return err;
}

static enum err read_empty(struct body *body, struct mqtt_packet *packet UNUSED)
{
    return check_end(body);
}

#define TO_SERVER (1u << MQTT_SERVER)
#define TO_CLIENT (1u << MQTT_CLIENT)
#define TO_BOTH (TO_SERVER | TO_CLIENT)

static const struct kind_row {
    const char *name;
    unsigned receivers;
    uint8_t flags; /* that the fixed header must have (table 2.2); PUBLISH has its own */
    const char *flags_clause;
    enum err (*read)(struct body *body, struct mqtt_packet *packet);
} kind_rows[16] = {
    [MQTT_CONNECT] = {"CONNECT", TO_SERVER, 0, "2.2.2-2", read_connect},
    [MQTT_CONNACK] = {"CONNACK", TO_CLIENT, 0, "2.2.2-2", read_connack},
    [MQTT_PUBLISH] = {"PUBLISH", TO_BOTH, 0, NULL, read_publish},
    [MQTT_PUBACK] = {"PUBACK", TO_BOTH, 0, "2.2.2-2", read_ack},
    [MQTT_PUBREC] = {"PUBREC", TO_BOTH, 0, "2.2.2-2", read_ack},
    [MQTT_PUBREL] = {"PUBREL", TO_BOTH, 2, "3.6.1-1", read_ack},
    [MQTT_PUBCOMP] = {"PUBCOMP", TO_BOTH, 0, "2.2.2-2", read_ack},
    [MQTT_SUBSCRIBE] = {"SUBSCRIBE", TO_SERVER, 2, "3.8.1-1", read_filters},
    [MQTT_SUBACK] = {"SUBACK", TO_CLIENT, 0, "2.2.2-2", read_suback},
    [MQTT_UNSUBSCRIBE] = {"UNSUBSCRIBE", TO_SERVER, 2, "3.10.1-1", read_filters},
    [MQTT_UNSUBACK] = {"UNSUBACK", TO_CLIENT, 0, "2.2.2-2", read_ack},
    [MQTT_PINGREQ] = {"PINGREQ", TO_SERVER, 0, "2.2.2-2", read_empty},
    [MQTT_PINGRESP] = {"PINGRESP", TO_CLIENT, 0, "2.2.2-2", read_empty},
    [MQTT_DISCONNECT] = {"DISCONNECT", TO_SERVER, 0, "3.14.1-1", read_empty},
};

const char *mqtt_kind_name(enum mqtt_kind kind)
{
    const char *name = (unsigned)kind < COUNT_OF(kind_rows) ? kind_rows[kind].name : NULL;
    return name == NULL ? "packet of a reserved type" : name;
}

/* ---- the reader ------------------------------------------------------------------------------ */

struct head {
    enum mqtt_kind kind;
    uint8_t flags;
    size_t size;  /* of the fixed header */
    size_t total; /* of the packet */
};

static enum err check_type(
    const struct mqtt_reader *reader, const struct head *head, struct why *why)
{
    const struct kind_row *row = &kind_rows[head->kind];
    struct body body = {.kind = head->kind, .why = why};
    if (row->name == NULL)
        return malformed(&body, "types 0 and 15 are forbidden", "2.2.1");
    if ((row->receivers & (1u << reader->role)) == 0)
        return malformed(&body,
            reader->role == MQTT_SERVER ? "a client never sends it" : "a server never sends it",
            "2.2.1");
    if (row->flags_clause != NULL && head->flags != row->flags)
        return malformed(&body, "wrong flags in the fixed header", row->flags_clause);
    return ERR_NONE;
}

/* ERR_AGAIN: the bytes end within the fixed header. */
static enum err read_head(
    const struct mqtt_reader *reader, struct span bytes, struct head *ret_head, struct why *why)
{
    if (bytes.len == 0)
        return ERR_AGAIN;
    uint8_t first = (uint8_t)bytes.ptr[0];
    struct head head = {.kind = (enum mqtt_kind)(first >> 4), .flags = first & 15};
    enum err err = check_type(reader, &head, why);
    if (err != ERR_NONE)
        return err;
    size_t remaining = 0;
    uint8_t digit = 0x80;
    for (head.size = 1; (digit & 0x80) != 0; head.size++) {
        if (head.size == HEAD_MAX_BYTES)
            return malformed(&(struct body){.kind = head.kind, .why = why},
                "the remaining length has more than four bytes", "2.2.3");
        if (head.size == bytes.len)
            return ERR_AGAIN;
        digit = (uint8_t)bytes.ptr[head.size];
        remaining |= (size_t)(digit & 0x7F) << (7 * (head.size - 1));
    }
    head.total = head.size + remaining;
    if (head.total > reader->limit_bytes)
        return fail(ERR_TOO_LARGE, why, "a %s of %zu bytes, the most is %zu",
            mqtt_kind_name(head.kind), head.total, reader->limit_bytes);
    *ret_head = head;
    return ERR_NONE;
}

static enum err read_body(const struct head *head, struct span packet_bytes,
    struct mqtt_packet *ret_packet, struct why *why)
{
    struct body body = {
        .kind = head->kind,
        .flags = head->flags,
        .rest = span_from(packet_bytes, head->size),
        .why = why,
    };
    struct mqtt_packet packet = {.kind = head->kind};
    enum err err = kind_rows[head->kind].read(&body, &packet);
    if (err == ERR_NONE)
        *ret_packet = packet;
    return err;
}

void mqtt_reader_init(struct mqtt_reader *reader, enum mqtt_role role, size_t limit_bytes)
{
    *reader = (struct mqtt_reader){.role = role, .limit_bytes = limit_bytes};
}

/* What was collected may be a CONNECT with a password. */
static void drop_partial(struct mqtt_reader *reader)
{
    mem_wipe(reader->partial.ptr, reader->partial.len);
    buf_done(&reader->partial);
    reader->partial_given = false;
}

void mqtt_reader_done(struct mqtt_reader *reader)
{
    drop_partial(reader);
}

/* Moves bytes from the input until the partial packet has `size` of them, or the input ends. */
static void collect(struct mqtt_reader *reader, struct span *input, size_t size)
{
    size_t missing = size - reader->partial.len;
    buf_add(&reader->partial, span_first(*input, missing));
    *input = span_from(*input, missing);
}

static enum err read_collected(
    struct mqtt_reader *reader, struct span *input, struct mqtt_packet *ret_packet, struct why *why)
{
    struct head head;
    enum err err = read_head(reader, buf_span(&reader->partial), &head, why);
    while (err == ERR_AGAIN && input->len > 0 && !reader->partial.failed) {
        collect(reader, input, reader->partial.len + 1);
        err = read_head(reader, buf_span(&reader->partial), &head, why);
    }
    if (err == ERR_NONE)
        collect(reader, input, head.total);
    if (reader->partial.failed)
        return fail(ERR_MEMORY, why, "no memory for the beginning of a packet");
    if (err != ERR_NONE)
        return err;
    if (reader->partial.len < head.total)
        return ERR_AGAIN;
    reader->partial_given = true;
    return read_body(&head, buf_span(&reader->partial), ret_packet, why);
}

enum err mqtt_read(
    struct mqtt_reader *reader, struct span *input, struct mqtt_packet *ret_packet, struct why *why)
{
    struct head head;
    enum err err = reader->refused;
    if (err != ERR_NONE)
        return fail(err, why, "the connection was refused before");
    if (reader->partial_given)
        drop_partial(reader);
    if (reader->partial.len == 0)
        err = read_head(reader, *input, &head, why);
    bool in_place = reader->partial.len == 0 && err == ERR_NONE && head.total <= input->len;
    if (in_place) {
        err = read_body(&head, span_first(*input, head.total), ret_packet, why);
        *input = span_from(*input, head.total);
    } else if (err == ERR_NONE || err == ERR_AGAIN) {
        err = read_collected(reader, input, ret_packet, why);
    }
    if (err != ERR_NONE && err != ERR_AGAIN)
        reader->refused = err;
    return err;
}

bool mqtt_next_filter(struct mqtt_subscribe *subscribe, struct mqtt_filter *ret_filter)
{
    struct body body = {.rest = subscribe->list};
    struct mqtt_filter filter = {0};
    uint8_t qos = 0;
    if (body.rest.len == 0)
        return false;
    must(take_bytes(&body, &filter.filter));
    if (subscribe->with_qos)
        must(take_u8(&body, &qos));
    filter.qos = qos;
    subscribe->list = body.rest;
    *ret_filter = filter;
    return true;
}
