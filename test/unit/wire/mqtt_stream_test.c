/* SPDX-License-Identifier: Apache-2.0 */
/* How packets are cut out of a stream, and that what is written reads back. */
#include "mem.h"
#include "mqtt.h"

#include <setjmp.h>
#include <stdio.h>

#include <cmocka.h>

#define B(literal) SPAN_LIT(literal)

static void write_all_kinds(struct buf *out)
{
    const struct mqtt_connect connect = {
        .client_id = B("d/m"),
        .keep_alive_seconds = 60,
        .has_will = true,
        .will_topic = B("devices/d/messages/events/"),
        .will_payload = B("gone"),
        .will_qos = 1,
        .has_username = true,
        .username = B("h/d/m/?api-version=2021-04-12"),
        .has_password = true,
        .password = B("secret"),
    };
    const struct mqtt_filter filters[] = {{B("$iothub/twin/res/#"), 1}, {B("a/+"), 0}};
    char payload[300];
    memset(payload, 'x', sizeof(payload));
    const struct mqtt_publish publish = {
        .topic = B("devices/d/messages/events/"),
        .payload = {payload, sizeof(payload)},
        .qos = 1,
        .packet_id = 77,
    };
    mqtt_write_connect(out, &connect);
    mqtt_write_subscribe(out, 1, filters, COUNT_OF(filters));
    mqtt_write_publish(out, &publish);
    mqtt_write_ack(out, MQTT_PUBACK, 5);
    mqtt_write_ack(out, MQTT_PUBREL, 6);
    mqtt_write_unsubscribe(out, 2, filters, COUNT_OF(filters));
    mqtt_write_empty(out, MQTT_PINGREQ);
    mqtt_write_empty(out, MQTT_DISCONNECT);
}

/* One line a packet, so that two ways of reading can be compared. */
static void describe(const struct mqtt_packet *packet, struct buf *out)
{
    buf_add_format(out, "%s", mqtt_kind_name(packet->kind));
    if (packet->kind == MQTT_CONNECT)
        buf_add_format(out, " %.*s %.*s %.*s", SPAN_ARG(packet->connect.client_id),
            SPAN_ARG(packet->connect.username), SPAN_ARG(packet->connect.will_payload));
    if (packet->kind == MQTT_PUBLISH)
        buf_add_format(out, " %.*s %u %.*s", SPAN_ARG(packet->publish.topic),
            packet->publish.packet_id, SPAN_ARG(packet->publish.payload));
    buf_add_byte(out, '\n');
}

static enum err read_in_steps(struct span bytes, size_t step, struct buf *out)
{
    struct mqtt_reader reader;
    struct mqtt_packet packet;
    mqtt_reader_init(&reader, MQTT_SERVER, 4096);
    enum err err = ERR_AGAIN;
    while (err == ERR_AGAIN && bytes.len > 0) {
        struct span input = span_first(bytes, step);
        bytes = span_from(bytes, step);
        while ((err = mqtt_read(&reader, &input, &packet, NULL)) == ERR_NONE)
            describe(&packet, out);
        if (err == ERR_AGAIN)
            assert_int_equal(input.len, 0);
    }
    mqtt_reader_done(&reader);
    return err;
}

static void a_stream_gives_the_same_packets_however_it_is_cut(void **state UNUSED)
{
    struct buf bytes = BUF_EMPTY;
    struct buf whole = BUF_EMPTY;
    write_all_kinds(&bytes);
    assert_false(bytes.failed);
    assert_int_equal(read_in_steps(buf_span(&bytes), bytes.len, &whole), ERR_AGAIN);
    assert_non_null(strstr(whole.ptr, "CONNECT d/m h/d/m/?api-version=2021-04-12 gone\n"));
    assert_non_null(strstr(whole.ptr, "\nPUBREL\nUNSUBSCRIBE\nPINGREQ\nDISCONNECT\n"));
    for (size_t step = 1; step < 40; step++) {
        struct buf cut = BUF_EMPTY;
        assert_int_equal(read_in_steps(buf_span(&bytes), step, &cut), ERR_AGAIN);
        assert_true(span_eq(buf_span(&cut), buf_span(&whole)));
        buf_done(&cut);
    }
    buf_done(&bytes);
    buf_done(&whole);
}

static void a_packet_over_the_limit_is_refused_at_its_header(void **state UNUSED)
{
    const struct {
        struct span bytes;
        enum err err;
    } rows[] = {
        {B("\x30\x7D"), ERR_AGAIN},                 /* 127 bytes with its header */
        {B("\x30\x7E"), ERR_AGAIN},                 /* 128: the limit */
        {B("\x30\x7F"), ERR_TOO_LARGE},             /* 129 */
        {B("\x30\xFE\x00"), ERR_TOO_LARGE},         /* 126 in two bytes: 129 */
        {B("\x30\xFF\xFF\xFF\x7F"), ERR_TOO_LARGE}, /* the most there can be */
        {B("\x30\xFF\xFF\xFF"), ERR_AGAIN},         /* not known yet */
        {B("\x30\xFF\xFF\xFF\xFF"), ERR_FORMAT},    /* a fifth byte would follow */
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct mqtt_reader reader;
        struct mqtt_packet packet;
        struct span input = rows[i].bytes;
        mqtt_reader_init(&reader, MQTT_SERVER, 128);
        assert_int_equal(mqtt_read(&reader, &input, &packet, NULL), rows[i].err);
        mqtt_reader_done(&reader);
    }
}

static void a_reader_that_refused_refuses_what_follows(void **state UNUSED)
{
    struct mqtt_reader reader;
    struct mqtt_packet packet;
    struct span input = B("\xC1\0\xC0\0");
    mqtt_reader_init(&reader, MQTT_SERVER, 128);
    assert_int_equal(mqtt_read(&reader, &input, &packet, NULL), ERR_FORMAT);
    input = B("\xC0\0");
    assert_int_equal(mqtt_read(&reader, &input, &packet, NULL), ERR_FORMAT);
    mqtt_reader_done(&reader);
}

static void an_idle_reader_holds_no_memory(void **state UNUSED)
{
    struct mqtt_reader reader;
    struct mqtt_packet packet;
    struct span input = B("\xC0");
    mqtt_reader_init(&reader, MQTT_SERVER, 128);
    assert_int_equal(mqtt_read(&reader, &input, &packet, NULL), ERR_AGAIN);
    assert_non_null(reader.partial.ptr);
    input = B("\0");
    assert_int_equal(mqtt_read(&reader, &input, &packet, NULL), ERR_NONE);
    assert_int_equal(mqtt_read(&reader, &input, &packet, NULL), ERR_AGAIN);
    assert_null(reader.partial.ptr);
    mqtt_reader_done(&reader);
}

static void without_memory_a_cut_packet_is_an_error_and_a_whole_one_is_not(void **state UNUSED)
{
    struct mqtt_reader reader;
    struct mqtt_packet packet;
    struct span input = B("\xC0\0\xC0");
    mqtt_reader_init(&reader, MQTT_SERVER, 128);
    mem_fail_after(0);
    assert_int_equal(mqtt_read(&reader, &input, &packet, NULL), ERR_NONE);
    assert_int_equal(mqtt_read(&reader, &input, &packet, NULL), ERR_MEMORY);
    mem_fail_after(-1);
    mqtt_reader_done(&reader);
}

static void answers_are_written_to_the_byte(void **state UNUSED)
{
    struct buf out = BUF_EMPTY;
    mqtt_write_connack(&out, false, MQTT_CODE_NOT_AUTHORIZED);
    mqtt_write_ack(&out, MQTT_PUBACK, 0x1234);
    mqtt_write_suback(&out, 7, B("\1\x80"));
    mqtt_write_ack(&out, MQTT_UNSUBACK, 8);
    mqtt_write_empty(&out, MQTT_PINGRESP);
    mqtt_write_publish(&out, &(struct mqtt_publish){.topic = B("t"), .payload = B("p"), .qos = 0});
    assert_true(span_eq(buf_span(&out), B("\x20\2\0\5"
                                          "\x40\2\x12\x34"
                                          "\x90\4\0\7\1\x80"
                                          "\xB0\2\0\x08"
                                          "\xD0\0"
                                          "\x30\4\0\1tp")));
    buf_done(&out);
}

static void the_remaining_length_takes_as_many_bytes_as_it_needs(void **state UNUSED)
{
    const struct {
        size_t payload; /* 3 more with the topic */
        struct span head;
    } rows[] = {
        {0, B("\x30\3")},
        {124, B("\x30\x7F")},
        {125, B("\x30\x80\1")},
        {16380, B("\x30\xFF\x7F")},
        {16381, B("\x30\x80\x80\1")},
        {2097148, B("\x30\xFF\xFF\x7F")},
        {268435452, B("\x30\xFF\xFF\xFF\x7F")},
    };
    const struct mqtt_publish publish = {.topic = B("t")};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf out = BUF_EMPTY;
        mqtt_write_publish_head(&out, &publish, rows[i].payload);
        assert_true(span_eq(span_first(buf_span(&out), rows[i].head.len), rows[i].head));
        assert_int_equal(out.len, rows[i].head.len + 3);
        buf_done(&out);
    }
    struct buf out = BUF_EMPTY;
    mqtt_write_publish_head(&out, &publish, 268435453);
    assert_true(out.failed);
    buf_done(&out);
}

static void a_text_longer_than_the_format_carries_fails_the_buffer(void **state UNUSED)
{
    char *text = mem_alloc(65537);
    memset(text, 'a', 65536);
    for (size_t len = 65535; len <= 65536; len++) {
        struct buf out = BUF_EMPTY;
        mqtt_write_publish(&out, &(struct mqtt_publish){.topic = {text, len}});
        assert_int_equal(out.failed, len > 65535);
        buf_done(&out);
    }
    mem_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_gives_the_same_packets_however_it_is_cut),
        cmocka_unit_test(a_packet_over_the_limit_is_refused_at_its_header),
        cmocka_unit_test(a_reader_that_refused_refuses_what_follows),
        cmocka_unit_test(an_idle_reader_holds_no_memory),
        cmocka_unit_test(without_memory_a_cut_packet_is_an_error_and_a_whole_one_is_not),
        cmocka_unit_test(answers_are_written_to_the_byte),
        cmocka_unit_test(the_remaining_length_takes_as_many_bytes_as_it_needs),
        cmocka_unit_test(a_text_longer_than_the_format_carries_fails_the_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
