/* SPDX-License-Identifier: Apache-2.0 */
#include "mqtt.h"

#include <setjmp.h>

#include <cmocka.h>

#define B(literal) SPAN_LIT(literal)
#define LIMIT 1024

static enum err read_one(
    enum mqtt_role role, struct span bytes, struct mqtt_packet *ret_packet, struct why *why)
{
    struct mqtt_reader reader;
    mqtt_reader_init(&reader, role, LIMIT);
    struct span input = bytes;
    enum err err = mqtt_read(&reader, &input, ret_packet, why);
    mqtt_reader_done(&reader);
    return err;
}

static struct mqtt_packet must_read(enum mqtt_role role, struct span bytes)
{
    struct mqtt_packet packet;
    struct why why = {""};
    if (read_one(role, bytes, &packet, &why) != ERR_NONE)
        fail_msg("refused: %s", why.text);
    return packet;
}

/* Spans into the bytes live on, for they were read in place. */
static void a_connect_gives_all_its_fields(void **state UNUSED)
{
    struct mqtt_connect c = must_read(MQTT_SERVER, B("\x10\x1D"
                                                     "\0\4MQTT\4\xEE\0\xB4"
                                                     "\0\3d/m\0\1t\0\2w\0\0\2u:\0\1\0"))
                                .connect;
    assert_true(span_is(c.client_id, "d/m"));
    assert_true(c.clean_session);
    assert_int_equal(c.keep_alive_seconds, 180);
    assert_true(c.has_will && c.will_retain);
    assert_int_equal(c.will_qos, 1);
    assert_true(span_is(c.will_topic, "t"));
    assert_true(span_eq(c.will_payload, B("w\0")));
    assert_true(c.has_username && span_is(c.username, "u:"));
    assert_true(c.has_password && span_eq(c.password, B("\0")));
}

static void the_smallest_connect_is_whole(void **state UNUSED)
{
    struct mqtt_connect c = must_read(MQTT_SERVER, B("\x10\x0C\0\4MQTT\4\0\0\0\0\0")).connect;
    assert_int_equal(c.client_id.len, 0);
    assert_false(c.clean_session || c.has_will || c.has_username || c.has_password);
}

static void a_publish_gives_its_flags_and_payload(void **state UNUSED)
{
    struct mqtt_publish p = must_read(MQTT_SERVER, B("\x3B\x07\0\1t\x12\x34hi")).publish;
    assert_true(p.dup && p.retain);
    assert_int_equal(p.qos, 1);
    assert_int_equal(p.packet_id, 0x1234);
    assert_true(span_is(p.topic, "t"));
    assert_true(span_is(p.payload, "hi"));
    p = must_read(MQTT_SERVER, B("\x30\x03\0\1t")).publish;
    assert_int_equal(p.packet_id, 0);
    assert_int_equal(p.payload.len, 0);
    p = must_read(MQTT_SERVER, B("\x34\x05\0\1t\0\1")).publish;
    assert_int_equal(p.qos, 2); /* well-formed: the hub itself refuses it */
}

static void expect_filters(struct mqtt_packet packet, size_t count, const struct mqtt_filter *want)
{
    struct mqtt_filter got;
    assert_int_equal(packet.subscribe.count, count);
    for (size_t i = 0; i < count; i++) {
        assert_true(mqtt_next_filter(&packet.subscribe, &got));
        assert_true(span_eq(got.filter, want[i].filter));
        assert_int_equal(got.qos, want[i].qos);
    }
    assert_false(mqtt_next_filter(&packet.subscribe, &got));
}

static void a_list_of_filters_is_walked_in_order(void **state UNUSED)
{
    const struct mqtt_filter subscribed[] = {{B("a/#"), 1}, {B("+"), 2}, {B("#"), 0}};
    const struct mqtt_filter left[] = {{B("a/#"), 0}, {B("+/b"), 0}};
    struct mqtt_packet packet = must_read(MQTT_SERVER, B("\x82\x10\0\7\0\3a/#\1\0\1+\2\0\1#\0"));
    assert_int_equal(packet.subscribe.packet_id, 7);
    expect_filters(packet, COUNT_OF(subscribed), subscribed);
    packet = must_read(MQTT_SERVER, B("\xA2\x0C\0\x09\0\3a/#\0\3+/b"));
    assert_int_equal(packet.subscribe.packet_id, 9);
    expect_filters(packet, COUNT_OF(left), left);
}

static void short_packets_give_their_kind_and_identifier(void **state UNUSED)
{
    const struct {
        enum mqtt_role role;
        struct span bytes;
        enum mqtt_kind kind;
        uint16_t packet_id;
    } rows[] = {
        {MQTT_SERVER, B("\x40\2\0\1"), MQTT_PUBACK, 1},
        {MQTT_SERVER, B("\x50\2\xFF\xFF"), MQTT_PUBREC, 0xFFFF},
        {MQTT_SERVER, B("\x62\2\1\0"), MQTT_PUBREL, 0x100},
        {MQTT_SERVER, B("\x70\2\0\2"), MQTT_PUBCOMP, 2},
        {MQTT_SERVER, B("\xC0\0"), MQTT_PINGREQ, 0}, {MQTT_SERVER, B("\xE0\0"), MQTT_DISCONNECT, 0},
        {MQTT_CLIENT, B("\x40\2\0\1"), MQTT_PUBACK, 1},
        {MQTT_CLIENT, B("\xB0\2\0\3"), MQTT_UNSUBACK, 3},
        {MQTT_CLIENT, B("\xD0\0"), MQTT_PINGRESP, 0},
        {MQTT_SERVER, B("\xC0\x80\0"), MQTT_PINGREQ, 0}, /* a longer way to write 0 */
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct mqtt_packet packet = must_read(rows[i].role, rows[i].bytes);
        assert_int_equal(packet.kind, rows[i].kind);
        if (rows[i].packet_id != 0)
            assert_int_equal(packet.packet_id, rows[i].packet_id);
    }
}

static void answers_give_their_codes_to_a_client(void **state UNUSED)
{
    struct mqtt_packet packet = must_read(MQTT_CLIENT, B("\x20\2\1\0"));
    assert_true(packet.connack.session_present);
    assert_int_equal(packet.connack.code, MQTT_CODE_ACCEPTED);
    packet = must_read(MQTT_CLIENT, B("\x20\2\0\5"));
    assert_false(packet.connack.session_present);
    assert_int_equal(packet.connack.code, MQTT_CODE_NOT_AUTHORIZED);
    packet = must_read(MQTT_CLIENT, B("\x90\5\0\4\0\1\x80"));
    assert_int_equal(packet.suback.packet_id, 4);
    assert_true(span_eq(packet.suback.codes, B("\0\1\x80")));
}

static void what_the_standard_calls_malformed_is_refused_with_its_clause(void **state UNUSED)
{
    const struct {
        enum mqtt_role role;
        struct span bytes;
        const char *clause;
    } rows[] = {
        {MQTT_SERVER, B("\x00\0"), "[MQTT-2.2.1]"},
        {MQTT_SERVER, B("\xF0\0"), "[MQTT-2.2.1]"},
        {MQTT_SERVER, B("\x20\2\0\0"), "[MQTT-2.2.1]"},
        {MQTT_SERVER, B("\x90\3\0\1\0"), "[MQTT-2.2.1]"},
        {MQTT_CLIENT, B("\x82\6\0\1\0\1a\0"), "[MQTT-2.2.1]"},
        {MQTT_CLIENT, B("\xC0\0"), "[MQTT-2.2.1]"},
        {MQTT_SERVER, B("\x11\x0C\0\4MQTT\4\0\0\0\0\0"), "[MQTT-2.2.2-2]"},
        {MQTT_SERVER, B("\x41\2\0\1"), "[MQTT-2.2.2-2]"},
        {MQTT_SERVER, B("\xC1\0"), "[MQTT-2.2.2-2]"},
        {MQTT_SERVER, B("\x60\2\0\1"), "[MQTT-3.6.1-1]"},
        {MQTT_SERVER, B("\x80\6\0\1\0\1a\0"), "[MQTT-3.8.1-1]"},
        {MQTT_SERVER, B("\xA0\5\0\1\0\1a"), "[MQTT-3.10.1-1]"},
        {MQTT_SERVER, B("\xE8\0"), "[MQTT-3.14.1-1]"},
        {MQTT_SERVER, B("\xC0\x80\x80\x80\x80\0"), "[MQTT-2.2.3]"},
        {MQTT_SERVER, B("\xC0\1x"), "[MQTT-2.2.3]"},
        {MQTT_SERVER, B("\x40\3\0\1x"), "[MQTT-2.2.3]"},
        {MQTT_SERVER, B("\x10\x0D\0\4MQTT\4\0\0\0\0\0x"), "[MQTT-2.2.3]"},
        {MQTT_SERVER, B("\x40\1\0"), "[MQTT-2.3.1]"},
        {MQTT_SERVER, B("\x40\2\0\0"), "[MQTT-2.3.1-1]"},
        {MQTT_SERVER, B("\x32\5\0\1t\0\0"), "[MQTT-2.3.1-1]"},
        {MQTT_SERVER, B("\x82\6\0\0\0\1a\0"), "[MQTT-2.3.1-1]"},
        {MQTT_SERVER, B("\xA2\5\0\0\0\1a"), "[MQTT-2.3.1-1]"},
        /* CONNECT */
        {MQTT_SERVER, B("\x10\0"), "[MQTT-3.1.2.1]"},
        {MQTT_SERVER, B("\x10\4\0\4MQ"), "[MQTT-3.1.2.1]"},
        {MQTT_SERVER, B("\x10\x0C\0\4mqtt\4\0\0\0\0\0"), "[MQTT-3.1.2-1]"},
        {MQTT_SERVER, B("\x10\6\0\4MQTT"), "[MQTT-3.1.2.2]"},
        {MQTT_SERVER, B("\x10\7\0\4MQTT\4"), "[MQTT-3.1.2.3]"},
        {MQTT_SERVER, B("\x10\x0C\0\4MQTT\4\1\0\0\0\0"), "[MQTT-3.1.2-3]"},
        {MQTT_SERVER, B("\x10\x0C\0\4MQTT\4\x08\0\0\0\0"), "[MQTT-3.1.2-13]"},
        {MQTT_SERVER, B("\x10\x12\0\4MQTT\4\x1C\0\0\0\0\0\1t\0\1w"), "[MQTT-3.1.2-14]"},
        {MQTT_SERVER, B("\x10\x0C\0\4MQTT\4\x20\0\0\0\0"), "[MQTT-3.1.2-15]"},
        {MQTT_SERVER, B("\x10\x0F\0\4MQTT\4\x40\0\0\0\0\0\1p"), "[MQTT-3.1.2-22]"},
        {MQTT_SERVER, B("\x10\x09\0\4MQTT\4\0\0"), "[MQTT-3.1.2.10]"},
        {MQTT_SERVER, B("\x10\x0A\0\4MQTT\4\0\0\0"), "[MQTT-1.5.3]"},
        {MQTT_SERVER, B("\x10\x0D\0\4MQTT\4\0\0\0\0\2d"), "[MQTT-1.5.3]"},
        {MQTT_SERVER, B("\x10\x0D\0\4MQTT\4\0\0\0\0\1\xFF"), "[MQTT-1.5.3-1]"},
        {MQTT_SERVER, B("\x10\x0F\0\4MQTT\4\0\0\0\0\3\xED\xA0\x80"), "[MQTT-1.5.3-1]"},
        {MQTT_SERVER, B("\x10\x0D\0\4MQTT\4\0\0\0\0\1\0"), "[MQTT-1.5.3-2]"},
        {MQTT_SERVER, B("\x10\x0C\0\4MQTT\4\4\0\0\0\0"), "[MQTT-1.5.3]"},
        {MQTT_SERVER, B("\x10\x0E\0\4MQTT\4\4\0\0\0\0\0\0"), "[MQTT-4.7.3-1]"},
        {MQTT_SERVER, B("\x10\x0F\0\4MQTT\4\4\0\0\0\0\0\1t"), "[MQTT-3.1.3.3]"},
        {MQTT_SERVER, B("\x10\x0C\0\4MQTT\4\x80\0\0\0\0"), "[MQTT-1.5.3]"},
        {MQTT_SERVER, B("\x10\x0F\0\4MQTT\4\xC0\0\0\0\0\0\1u"), "[MQTT-3.1.3.5]"},
        /* PUBLISH */
        {MQTT_SERVER, B("\x36\5\0\1t\0\1"), "[MQTT-3.3.1-4]"},
        {MQTT_SERVER, B("\x38\3\0\1t"), "[MQTT-3.3.1-2]"},
        {MQTT_SERVER, B("\x30\0"), "[MQTT-1.5.3]"},
        {MQTT_SERVER, B("\x30\3\0\2t"), "[MQTT-1.5.3]"},
        {MQTT_SERVER, B("\x30\2\0\0"), "[MQTT-4.7.3-1]"},
        {MQTT_SERVER, B("\x30\4\0\2a\0"), "[MQTT-1.5.3-2]"},
        {MQTT_SERVER, B("\x30\4\0\2\xC0\x80"), "[MQTT-1.5.3-1]"},
        {MQTT_SERVER, B("\x32\4\0\1t\0"), "[MQTT-2.3.1]"},
        /* SUBSCRIBE, UNSUBSCRIBE */
        {MQTT_SERVER, B("\x82\2\0\1"), "[MQTT-3.8.3-3]"},
        {MQTT_SERVER, B("\x82\5\0\1\0\1a"), "[MQTT-3.8.3]"},
        {MQTT_SERVER, B("\x82\6\0\1\0\1a\3"), "[MQTT-3.8.3-4]"},
        {MQTT_SERVER, B("\x82\6\0\1\0\1a\4"), "[MQTT-3.8.3-4]"},
        {MQTT_SERVER, B("\x82\5\0\1\0\0\0"), "[MQTT-4.7.3-1]"},
        {MQTT_SERVER, B("\x82\x08\0\1\0\3#/a\0"), "[MQTT-4.7.1-2]"},
        {MQTT_SERVER, B("\x82\7\0\1\0\2#/\0"), "[MQTT-4.7.1-2]"},
        {MQTT_SERVER, B("\x82\7\0\1\0\1a\0\0"), "[MQTT-1.5.3]"},
        {MQTT_SERVER, B("\xA2\2\0\1"), "[MQTT-3.10.3-2]"},
        {MQTT_SERVER, B("\xA2\4\0\1\0\0"), "[MQTT-4.7.3-1]"},
        /* what a server may not send */
        {MQTT_CLIENT, B("\x20\1\0"), "[MQTT-3.2.1]"},
        {MQTT_CLIENT, B("\x20\2\2\0"), "[MQTT-3.2.2.1]"},
        {MQTT_CLIENT, B("\x20\2\0\6"), "[MQTT-3.2.2.3]"},
        {MQTT_CLIENT, B("\x20\2\1\5"), "[MQTT-3.2.2-4]"},
        {MQTT_CLIENT, B("\x90\2\0\1"), "[MQTT-3.9.3]"},
        {MQTT_CLIENT, B("\x90\3\0\1\3"), "[MQTT-3.9.3-2]"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct mqtt_packet packet;
        struct why why = {""};
        enum err err = read_one(rows[i].role, rows[i].bytes, &packet, &why);
        if (err != ERR_FORMAT || strstr(why.text, rows[i].clause) == NULL)
            fail_msg(
                "row %zu, wanted %s: %s \"%s\"", i, rows[i].clause, err_row(err)->name, why.text);
    }
}

static void another_version_of_mqtt_is_told_apart(void **state UNUSED)
{
    const struct span rows[] = {
        B("\x10\x0C\0\4MQTT\5\0\0\0\0\0"),
        B("\x10\x0C\0\4MQTT\3\0\0\0\0\0"),
        B("\x10\x0E\0\6MQIsdp\3\2\0\0\0\0"),
        B("\x10\x0F\0\4MQTT\5\2\0\x3C\3\x21\0\x14\0"),
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct mqtt_packet packet;
        assert_int_equal(read_one(MQTT_SERVER, rows[i], &packet, NULL), ERR_PROTOCOL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connect_gives_all_its_fields),
        cmocka_unit_test(the_smallest_connect_is_whole),
        cmocka_unit_test(a_publish_gives_its_flags_and_payload),
        cmocka_unit_test(a_list_of_filters_is_walked_in_order),
        cmocka_unit_test(short_packets_give_their_kind_and_identifier),
        cmocka_unit_test(answers_give_their_codes_to_a_client),
        cmocka_unit_test(what_the_standard_calls_malformed_is_refused_with_its_clause),
        cmocka_unit_test(another_version_of_mqtt_is_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
