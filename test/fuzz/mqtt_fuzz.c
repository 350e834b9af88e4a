/* SPDX-License-Identifier: Apache-2.0 */
/* A stream must give the same packets and the same end whether it comes whole or byte by byte. */
#include "mem.h"
#include "mqtt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LIMIT 512

static void describe(struct mqtt_packet *packet, struct buf *out)
{
    struct mqtt_filter filter;
    buf_add_format(out, "%d:", packet->kind);
    switch (packet->kind) {
    case MQTT_CONNECT:
        buf_add(out, packet->connect.client_id);
        buf_add(out, packet->connect.username);
        buf_add(out, packet->connect.password);
        buf_add(out, packet->connect.will_topic);
        buf_add(out, packet->connect.will_payload);
        break;
    case MQTT_PUBLISH:
        must(packet->publish.topic.len > 0 && packet->publish.qos <= 2);
        must((packet->publish.packet_id != 0) == (packet->publish.qos > 0));
        buf_add(out, packet->publish.topic);
        buf_add(out, packet->publish.payload);
        break;
    case MQTT_SUBSCRIBE:
    case MQTT_UNSUBSCRIBE:
        for (uint32_t i = 0; i < packet->subscribe.count; i++) {
            must(mqtt_next_filter(&packet->subscribe, &filter));
            must(filter.filter.len > 0 && filter.qos <= 2);
            buf_add(out, filter.filter);
        }
        must(!mqtt_next_filter(&packet->subscribe, &filter));
        break;
    case MQTT_SUBACK:
        buf_add(out, packet->suback.codes);
        break;
    default:
        break;
    }
    buf_add_byte(out, '\n');
}

static enum err read_in_steps(
    enum mqtt_role role, struct span bytes, size_t step, struct buf *out, struct why *why)
{
    struct mqtt_reader reader;
    struct mqtt_packet packet;
    enum err err = ERR_AGAIN;
    mqtt_reader_init(&reader, role, LIMIT);
    while (err == ERR_AGAIN && bytes.len > 0) {
        struct span input = span_first(bytes, step);
        bytes = span_from(bytes, step);
        while ((err = mqtt_read(&reader, &input, &packet, why)) == ERR_NONE)
            describe(&packet, out);
        must(err != ERR_AGAIN || input.len == 0);
        must(reader.partial.len <= LIMIT);
    }
    mqtt_reader_done(&reader);
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span bytes = {(const char *)data, size};
    for (int role = MQTT_SERVER; role <= MQTT_CLIENT && size > 0; role++) {
        struct buf whole = BUF_EMPTY;
        struct buf single = BUF_EMPTY;
        struct why why_whole = {""};
        struct why why_single = {""};
        enum err err = read_in_steps((enum mqtt_role)role, bytes, size, &whole, &why_whole);
        must(read_in_steps((enum mqtt_role)role, bytes, 1, &single, &why_single) == err);
        must(span_eq(buf_span(&whole), buf_span(&single)));
        must(strcmp(why_whole.text, why_single.text) == 0);
        must((err != ERR_AGAIN) == (why_whole.text[0] != '\0'));
        buf_done(&whole);
        buf_done(&single);
    }
    return 0;
}
