/* SPDX-License-Identifier: Apache-2.0 */
#include "message.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#define MODULE_ID "defender-iot-micro-agent"
#define MESSAGE_END "]}"

void message_init(struct message *ret_message)
{
    *ret_message = (struct message){0};
}

void message_done(struct message *message)
{
    buf_done(&message->body);
    buf_done(&message->event);
}

int message_timezone_hours(int64_t wall_us)
{
    time_t seconds = (time_t)(wall_us / 1000000);
    struct tm local;
    if (localtime_r(&seconds, &local) == NULL)
        return 0;
    return (int)(local.tm_gmtoff / 3600);
}

/* major << 24 | minor << 16 | patch, as the original counts its versions. */
static uint32_t version_number(void)
{
    unsigned major = 0, minor = 0, patch = 0;
    must(sscanf(GEMEL_VERSION, "%u.%u.%u", &major, &minor, &patch) == 3);
    return (uint32_t)((major & 0xff) << 24 | (minor & 0xff) << 16 | (patch & 0xffff));
}

void message_add_uuid(struct buf *out, uint32_t (*random)(void))
{
    uint32_t a = random(), b = random(), c = random(), d = random();
    buf_add_format(out,
        "%08" PRIx32 "-%04" PRIx32 "-4%03" PRIx32 "-%04" PRIx32 "-%04" PRIx32 "%08" PRIx32, a,
        b >> 16, b & 0xfff, 0x8000 | (c >> 16 & 0x3fff), c & 0xffff, d);
}

/* Seconds since 1970 as the schema's u32; a clock before or past that gives the nearest. */
static uint32_t clamp_u32(int64_t value)
{
    return value < 0 ? 0 : value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

static void write_event(struct message *message, const struct message_event *event)
{
    struct buf *out = &message->event;
    buf_clear(out);
    buf_add_text(out, "{\"id\":\"");
    message_add_uuid(out, message->random);
    buf_add_format(out,
        "\",\"time\":%" PRIu32 ",\"collection_interval\":%" PRIu32 ",\"payload_type\":\"%s\""
        ",\"payload\":",
        clamp_u32(event->time_us / 1000000), clamp_u32(event->interval_s), event->payload_type);
    json_write(event->payload, out);
    buf_add_byte(out, '}');
}

static void begin_body(struct message *message)
{
    buf_clear(&message->body);
    buf_add_format(&message->body,
        "{\"security_module_id\":\"" MODULE_ID "\",\"security_module_version\":%" PRIu32
        ",\"timezone\":%d,\"events\":[",
        version_number(), message->timezone_hours);
}

enum err message_add(struct message *message, const struct message_event *event)
{
    must(event->source < MESSAGE_SOURCES_MAX);
    write_event(message, event);
    if (message->event.failed)
        return ERR_MEMORY;

    /* A separator and the end, whether or not this is the first event. */
    size_t more = message->event.len + 1 + sizeof(MESSAGE_END) - 1;
    if (message->event_count > 0 && message->body.len + more > message->limit_bytes)
        message_send(message);
    if (message->event_count == 0) {
        begin_body(message);
        if (message->body.failed)
            return ERR_MEMORY;
        if (message->body.len + more > message->limit_bytes)
            return ERR_TOO_LARGE;
    }
    /* Room first, so that a failure leaves the body as it was. */
    if (buf_reserve(&message->body, more) == NULL) {
        message->body.failed = false;
        return ERR_MEMORY;
    }
    if (message->event_count > 0)
        buf_add_byte(&message->body, ',');
    buf_add(&message->body, buf_span(&message->event));
    message->event_count++;
    message->packed.of[event->source] += event->occurrences;
    return ERR_NONE;
}

void message_send(struct message *message)
{
    if (message->event_count == 0)
        return;
    buf_add_text(&message->body, MESSAGE_END);
    must(!message->body.failed);
    enum err err = message->deliver(
        message->self, buf_span(&message->body), message->event_count, &message->packed);
    for (size_t i = 0; i < MESSAGE_SOURCES_MAX; i++) {
        if (err == ERR_NONE)
            message->tallies[i].sent += message->packed.of[i];
        else
            message->tallies[i].refused += message->packed.of[i];
        message->packed.of[i] = 0;
    }
    message->event_count = 0;
}
