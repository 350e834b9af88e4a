/* SPDX-License-Identifier: Apache-2.0 */
#include "mqtt.h"

#define REMAINING_MAX 268435455u /* what four bytes can say (2.2.3) */
#define TEXT_MAX 65535u

static void write_u16(struct buf *out, size_t value)
{
    const char bytes[] = {(char)(value >> 8), (char)(value & 0xFF)};
    buf_add(out, (struct span){bytes, sizeof(bytes)});
}

static void write_text(struct buf *out, struct span text)
{
    if (text.len > TEXT_MAX) {
        out->failed = true;
        return;
    }
    write_u16(out, text.len);
    buf_add(out, text);
}

static size_t text_size(struct span text)
{
    return 2 + text.len;
}

/* Writes type, flags and remaining length, and makes room for the rest in one go. */
static void write_head(struct buf *out, enum mqtt_kind kind, unsigned flags, size_t remaining)
{
    char head[5];
    size_t size = 0;
    if (remaining > REMAINING_MAX) {
        out->failed = true;
        return;
    }
    head[size++] = (char)((unsigned)kind << 4 | flags);
    size_t left = remaining;
    do {
        head[size++] = (char)((left & 0x7F) | (left > 0x7F ? 0x80 : 0));
        left >>= 7;
    } while (left > 0);
    buf_add(out, (struct span){head, size});
}

void mqtt_write_connect(struct buf *out, const struct mqtt_connect *connect)
{
    unsigned flags = connect->clean_session ? 2 : 0;
    size_t size = 10 + text_size(connect->client_id);
    if (connect->has_will) {
        flags |= 4u | connect->will_qos << 3 | (connect->will_retain ? 0x20u : 0);
        size += text_size(connect->will_topic) + text_size(connect->will_payload);
    }
    if (connect->has_username) {
        flags |= 0x80;
        size += text_size(connect->username);
    }
    if (connect->has_password) {
        flags |= 0x40;
        size += text_size(connect->password);
    }
    write_head(out, MQTT_CONNECT, 0, size);
    write_text(out, SPAN_LIT("MQTT"));
    buf_add_byte(out, 4);
    buf_add_byte(out, (char)flags);
    write_u16(out, connect->keep_alive_seconds);
    write_text(out, connect->client_id);
    if (connect->has_will) {
        write_text(out, connect->will_topic);
        write_text(out, connect->will_payload);
    }
    if (connect->has_username)
        write_text(out, connect->username);
    if (connect->has_password)
        write_text(out, connect->password);
}

void mqtt_write_connack(struct buf *out, bool session_present, enum mqtt_code code)
{
    const char bytes[] = {MQTT_CONNACK << 4, 2, (char)session_present, (char)code};
    buf_add(out, (struct span){bytes, sizeof(bytes)});
}

void mqtt_write_publish_head(
    struct buf *out, const struct mqtt_publish *publish, size_t payload_bytes)
{
    unsigned flags = (publish->dup ? 8u : 0) | publish->qos << 1 | (publish->retain ? 1u : 0);
    size_t head = text_size(publish->topic) + (publish->qos > 0 ? 2 : 0);
    if (payload_bytes > REMAINING_MAX) {
        out->failed = true;
        return;
    }
    write_head(out, MQTT_PUBLISH, flags, head + payload_bytes);
    write_text(out, publish->topic);
    if (publish->qos > 0)
        write_u16(out, publish->packet_id);
}

void mqtt_write_publish(struct buf *out, const struct mqtt_publish *publish)
{
    mqtt_write_publish_head(out, publish, publish->payload.len);
    buf_add(out, publish->payload);
}

void mqtt_write_ack(struct buf *out, enum mqtt_kind kind, uint16_t packet_id)
{
    write_head(out, kind, kind == MQTT_PUBREL ? 2 : 0, 2);
    write_u16(out, packet_id);
}

static void write_filters(struct buf *out, enum mqtt_kind kind, uint16_t packet_id,
    const struct mqtt_filter *filters, size_t count)
{
    size_t options = kind == MQTT_SUBSCRIBE ? 1 : 0;
    size_t size = 2;
    for (size_t i = 0; i < count; i++)
        size += text_size(filters[i].filter) + options;
    write_head(out, kind, 2, size);
    write_u16(out, packet_id);
    for (size_t i = 0; i < count; i++) {
        write_text(out, filters[i].filter);
        if (options > 0)
            buf_add_byte(out, (char)filters[i].qos);
    }
}

void mqtt_write_subscribe(
    struct buf *out, uint16_t packet_id, const struct mqtt_filter *filters, size_t count)
{
    write_filters(out, MQTT_SUBSCRIBE, packet_id, filters, count);
}

void mqtt_write_unsubscribe(
    struct buf *out, uint16_t packet_id, const struct mqtt_filter *filters, size_t count)
{
    write_filters(out, MQTT_UNSUBSCRIBE, packet_id, filters, count);
}

void mqtt_write_suback(struct buf *out, uint16_t packet_id, struct span codes)
{
    write_head(out, MQTT_SUBACK, 0, 2 + codes.len);
    write_u16(out, packet_id);
    buf_add(out, codes);
}

void mqtt_write_empty(struct buf *out, enum mqtt_kind kind)
{
    write_head(out, kind, 0, 0);
}
