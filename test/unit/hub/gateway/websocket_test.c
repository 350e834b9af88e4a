/* SPDX-License-Identifier: Apache-2.0 */
#include "websocket_frame.h"
#include "websocket_upgrade.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define LIMIT 70000

/* ---- frames ---------------------------------------------------------------------------------- */

static const unsigned char mask[4] = {0x37, 0xfa, 0x21, 0x3d};

static void add_frame(struct buf *out, unsigned first, struct span payload)
{
    char head[WEBSOCKET_HEAD_BYTES];
    size_t size = websocket_write_head(payload.len, head);
    head[0] = (char)first;
    head[1] = (char)((unsigned char)head[1] | 0x80u);
    buf_add(out, (struct span){head, size});
    buf_add(out, (struct span){(const char *)mask, sizeof mask});
    for (size_t i = 0; i < payload.len; i++)
        buf_add_byte(out, (char)((unsigned char)payload.ptr[i] ^ mask[i & 3]));
}

struct heard {
    struct buf stream;
    char story[256];
    enum err err;
    unsigned code;
    struct why why;
};

static void note(struct heard *heard, const char *what, struct span bytes)
{
    size_t at = strlen(heard->story);
    snprintf(heard->story + at, sizeof heard->story - at, "%s(%.*s) ", what, SPAN_ARG(bytes));
}

/* Reads a copy of the bytes in pieces of `step`. */
static void hear(struct span bytes, size_t step, struct heard *heard)
{
    struct websocket_frames frames;
    websocket_frames_init(&frames, LIMIT);
    *heard = (struct heard){.err = ERR_AGAIN};
    for (size_t at = 0; at < bytes.len; at += step) {
        size_t size = bytes.len - at < step ? bytes.len - at : step;
        char *copy = malloc(size);
        memcpy(copy, bytes.ptr + at, size);
        struct websocket_input input = {copy, size};
        struct websocket_event event;
        while ((heard->err = websocket_read(&frames, &input, &event, &heard->why)) == ERR_NONE) {
            heard->code = event.code;
            if (event.kind == WEBSOCKET_DATA)
                buf_add(&heard->stream, event.bytes);
            else if (event.kind == WEBSOCKET_PING)
                note(heard, "ping", event.bytes);
            else
                note(heard, event.kind == WEBSOCKET_PONG ? "pong" : "close", SPAN_NONE);
        }
        free(copy);
        if (heard->err == ERR_PROTOCOL) {
            heard->code = event.code;
            return;
        }
        assert_int_equal(input.len, 0);
    }
}

static void a_stream_comes_out_the_same_however_it_is_cut_into_frames_and_reads(void **state)
{
    (void)state;
    AUTO(buf_done) struct buf stream = BUF_EMPTY;
    for (unsigned i = 0; i < 70001; i++)
        buf_add_byte(&stream, (char)(i * 7));
    struct span whole = buf_span(&stream);
    AUTO(buf_done) struct buf wire = BUF_EMPTY;
    size_t at = 0;
    static const size_t sizes[] = {0, 1, 125, 126, 127, 65535, 1, 0};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        add_frame(&wire, 0x82, span_first(span_from(whole, at), sizes[i]));
        at += sizes[i];
    }
    static const size_t steps[] = {1, 3, 16384, 1u << 20};
    for (size_t i = 0; i < COUNT_OF(steps); i++) {
        struct heard heard;
        hear(buf_span(&wire), steps[i], &heard);
        assert_int_equal(heard.err, ERR_AGAIN);
        assert_true(span_eq(buf_span(&heard.stream), span_first(whole, at)));
        buf_done(&heard.stream);
    }
}

static void control_frames_may_stand_between_the_fragments_of_a_message(void **state)
{
    (void)state;
    AUTO(buf_done) struct buf wire = BUF_EMPTY;
    add_frame(&wire, 0x02, SPAN_LIT("one "));
    add_frame(&wire, 0x89, SPAN_LIT("are you there"));
    add_frame(&wire, 0x00, SPAN_LIT("two "));
    add_frame(&wire, 0x8A, SPAN_NONE);
    add_frame(&wire, 0x80, SPAN_LIT("three"));
    add_frame(&wire, 0x88, SPAN_LIT("\x03\xe9 bye"));
    add_frame(&wire, 0x82, SPAN_LIT("not heard any more"));
    for (size_t step = 1; step < 40; step++) {
        struct heard heard;
        hear(buf_span(&wire), step, &heard);
        assert_true(span_is(buf_span(&heard.stream), "one two three"));
        assert_string_equal(heard.story, "ping(are you there) pong() close() ");
        assert_int_equal(heard.code, 1001);
        buf_done(&heard.stream);
    }
}

struct breach {
    const char *name;
    struct span wire;
    unsigned code;
};

static void what_the_protocol_forbids_is_refused_with_its_code(void **state)
{
    (void)state;
    static const struct breach breaches[] = {
        {"no mask", SPAN_INIT("\x82\x01x"), 1002},
        {"text", SPAN_INIT("\x81\x81\0\0\0\0x"), 1003},
        {"reserved bit", SPAN_INIT("\xC2\x81\0\0\0\0x"), 1002},
        {"reserved data opcode", SPAN_INIT("\x83\x81\0\0\0\0x"), 1002},
        {"reserved control opcode", SPAN_INIT("\x8B\x80\0\0\0\0"), 1002},
        {"ping in fragments", SPAN_INIT("\x09\x81\0\0\0\0x"), 1002},
        {"ping of 126 bytes", SPAN_INIT("\x89\xFE\0\x7E\0\0\0\0"), 1002},
        {"continuation of nothing", SPAN_INIT("\x80\x81\0\0\0\0x"), 1002},
        {"message in a message", SPAN_INIT("\x02\x81\0\0\0\0x\x82\x81\0\0\0\0x"), 1002},
        {"length of two bytes for 125", SPAN_INIT("\x82\xFE\0\x7D\0\0\0\0"), 1002},
        {"length of eight bytes for 65535", SPAN_INIT("\x82\xFF\0\0\0\0\0\0\xFF\xFF\0\0\0\0"),
            1002},
        {"length with its highest bit", SPAN_INIT("\x82\xFF\x80\0\0\0\0\0\0\0\0\0\0\0"), 1002},
        {"frame over the limit", SPAN_INIT("\x82\xFF\0\0\0\0\0\x01\x11\x71\0\0\0\0"), 1009},
        {"close of one byte", SPAN_INIT("\x88\x81\0\0\0\0\x03"), 1002},
        {"close with 1005", SPAN_INIT("\x88\x82\0\0\0\0\x03\xED"), 1002},
        {"close with 999", SPAN_INIT("\x88\x82\0\0\0\0\x03\xE7"), 1002},
        {"close with bad text", SPAN_INIT("\x88\x83\0\0\0\0\x03\xE8\xFF"), 1007},
    };
    for (size_t i = 0; i < COUNT_OF(breaches); i++) {
        for (size_t step = 1; step < 20; step += 18) {
            struct heard heard;
            hear(breaches[i].wire, step, &heard);
            if (heard.err != ERR_PROTOCOL || heard.code != breaches[i].code)
                fail_msg("%s: error %d, code %u", breaches[i].name, (int)heard.err, heard.code);
            assert_true(heard.why.text[0] != '\0');
            buf_done(&heard.stream);
        }
    }
}

static void a_message_may_not_grow_past_the_limit_by_its_fragments(void **state)
{
    (void)state;
    AUTO(buf_done) struct buf payload = BUF_EMPTY, wire = BUF_EMPTY;
    for (size_t i = 0; i < LIMIT / 2; i++)
        buf_add_byte(&payload, 'x');
    struct heard heard;
    add_frame(&wire, 0x02, buf_span(&payload));
    add_frame(&wire, 0x80, buf_span(&payload));
    add_frame(&wire, 0x02, buf_span(&payload)); /* another message: counted anew */
    hear(buf_span(&wire), 4096, &heard);
    assert_int_equal(heard.err, ERR_AGAIN);
    buf_done(&heard.stream);
    add_frame(&wire, 0x00, buf_span(&payload));
    add_frame(&wire, 0x00, SPAN_LIT("x"));
    hear(buf_span(&wire), 4096, &heard);
    assert_int_equal(heard.err, ERR_PROTOCOL);
    assert_int_equal(heard.code, 1009);
    buf_done(&heard.stream);
}

/* ---- the request ----------------------------------------------------------------------------- */

#define GOOD                                                                                       \
    "Host: h\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"                         \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"

static int status_of(const char *text, struct http_request *ret_request)
{
    struct http_fault fault = {.status = 0};
    assert_int_equal(http_parse_head(span_of(text), 4096, ret_request, &fault), ERR_NONE);
    if (websocket_check_request(ret_request, &fault) == ERR_NONE)
        return 101;
    assert_true(fault.why.text[0] != '\0');
    return fault.status;
}

static void the_answer_to_a_request_proves_that_its_key_was_read(void **state)
{
    (void)state;
    struct http_request request;
    assert_int_equal(status_of("GET /$iothub/websocket?iothub-no-client-cert=true HTTP/1.1\r\n" GOOD
                               "Sec-WebSocket-Protocol: amqp, mqtt\r\n\r\n",
                         &request),
        101);
    AUTO(buf_done) struct buf out = BUF_EMPTY;
    websocket_write_response(&out, &request);
    assert_non_null(strstr(out.ptr, "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    assert_non_null(strstr(out.ptr, "sec-websocket-protocol: mqtt\r\n"));
}

static void what_a_request_for_a_websocket_lacks_is_refused(void **state)
{
    (void)state;
#define MQTT "Sec-WebSocket-Protocol: mqtt\r\n\r\n"
    static const struct {
        const char *text;
        int status;
    } requests[] = {
        {"GET /%24iothub/websocket HTTP/1.1\r\n" GOOD "Sec-WebSocket-Protocol: x\r\n" MQTT, 101},
        {"GET /$IoTHub/WebSocket/ HTTP/1.1\r\n" GOOD MQTT, 101},
        {"GET /websocket HTTP/1.1\r\n" GOOD MQTT, 404},
        {"GET / HTTP/1.1\r\n" GOOD MQTT, 404},
        {"POST /$iothub/websocket HTTP/1.1\r\n" GOOD "Content-Length: 0\r\n" MQTT, 400},
        {"GET /$iothub/websocket HTTP/1.1\r\n" GOOD "Content-Length: 5\r\n" MQTT, 400},
        {"GET /$iothub/websocket HTTP/1.0\r\n" GOOD MQTT, 400},
        {"GET /$iothub/websocket HTTP/1.1\r\nHost: h\r\n\r\n", 426},
        {"GET /$iothub/websocket HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n"
         "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
         "Sec-WebSocket-Version: 8\r\n" MQTT,
            426},
        {"GET /$iothub/websocket HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n"
         "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNh\r\n"
         "Sec-WebSocket-Version: 13\r\n" MQTT,
            400},
        {"GET /$iothub/websocket HTTP/1.1\r\n" GOOD "\r\n", 400},
        {"GET /$iothub/websocket HTTP/1.1\r\n" GOOD "Sec-WebSocket-Protocol: AMQPWSB10\r\n\r\n",
            400},
    };
    for (size_t i = 0; i < COUNT_OF(requests); i++) {
        struct http_request request;
        int status = status_of(requests[i].text, &request);
        if (status != requests[i].status)
            fail_msg("%d instead of %d: %s", status, requests[i].status, requests[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_comes_out_the_same_however_it_is_cut_into_frames_and_reads),
        cmocka_unit_test(control_frames_may_stand_between_the_fragments_of_a_message),
        cmocka_unit_test(what_the_protocol_forbids_is_refused_with_its_code),
        cmocka_unit_test(a_message_may_not_grow_past_the_limit_by_its_fragments),
        cmocka_unit_test(the_answer_to_a_request_proves_that_its_key_was_read),
        cmocka_unit_test(what_a_request_for_a_websocket_lacks_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
