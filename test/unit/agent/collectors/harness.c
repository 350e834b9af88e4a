/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#include <setjmp.h>

#include <cmocka.h>

static int64_t fake_wall(void *self)
{
    return ((const struct harness *)self)->wall_us;
}

static int64_t fake_mono(void *self)
{
    return ((const struct harness *)self)->mono_us;
}

static uint32_t fake_random(void)
{
    static uint32_t word = 1;
    return word = word * 1664525 + 1013904223;
}

static enum err keep(
    void *self, struct span body, size_t event_count, const struct ledger_tallies *tallies UNUSED)
{
    struct harness *harness = self;
    struct why why = {""};
    if (harness->memory_fails)
        mem_fail_after(-1);
    assert_true(harness->count < HARNESS_MESSAGES);
    assert_true(body.len <= harness->options.message_limit_bytes);
    struct json **at = &harness->messages[harness->count];
    if (json_parse(&harness->arena, body, 0, at, &why) != ERR_NONE)
        fail_msg("%s in %.*s", why.text, SPAN_ARG(body));
    assert_int_equal(json_find_text(*at, "events")->count, event_count);
    assert_true(event_count > 0);
    if (body.len > harness->largest_bytes)
        harness->largest_bytes = body.len;
    if (harness->answer == ERR_NONE)
        harness->count++;
    return harness->answer;
}

void harness_init(struct harness *harness)
{
    *harness = (struct harness){.mono_us = 5000 * SECOND, .wall_us = 1700000000 * SECOND};
    harness->clock = (struct clock){fake_wall, fake_mono, harness};
    harness->options = (struct collectors_options){.clock = &harness->clock,
        .random = fake_random,
        .baseline_dir = BASELINE_CHECKS,
        .message_limit_bytes = COLLECTORS_MESSAGE_BYTES,
        .deliver = keep,
        .self = harness};
    arena_init(&harness->arena, 0);
}

void harness_done(struct harness *harness)
{
    arena_done(&harness->arena);
}

void harness_real_clock(struct harness *harness)
{
    harness->options.clock = &clock_system;
}

void harness_clear(struct harness *harness)
{
    arena_done(&harness->arena);
    arena_init(&harness->arena, 0);
    harness->count = 0;
}

static bool is_of(const struct json *event, const char *payload_type)
{
    return payload_type == NULL || span_is(json_string_of(event, "payload_type"), payload_type);
}

size_t harness_events(const struct harness *harness, const char *payload_type)
{
    size_t count = 0;
    for (size_t i = 0; i < harness->count; i++)
        json_each (event, json_find_text(harness->messages[i], "events"))
            count += is_of(event, payload_type);
    return count;
}

const struct json *harness_payload(
    const struct harness *harness, const char *payload_type, size_t at)
{
    for (size_t i = 0; i < harness->count; i++)
        json_each (event, json_find_text(harness->messages[i], "events"))
            if (is_of(event, payload_type) && at-- == 0)
                return json_find_text(event, "payload");
    fail_msg("there is no such event of %s", payload_type);
    return NULL;
}

int64_t harness_number(const struct json *object, const char *name)
{
    int64_t number = 0;
    const struct json *value = json_find_text(object, name);
    if (value != NULL)
        assert_true(json_int64(value, &number));
    return number;
}

int64_t harness_hits(const struct harness *harness,
    bool (*wanted)(const struct json *payload, const char *text), const char *text)
{
    int64_t hits = 0;
    for (size_t i = 0; i < harness->count; i++) {
        json_each (event, json_find_text(harness->messages[i], "events")) {
            const struct json *payload = json_find_text(event, "payload");
            if (is_of(event, "Process") && (wanted == NULL || wanted(payload, text)))
                hits += harness_number(payload, "hit_count");
        }
    }
    return hits;
}

static bool is_exec(const struct json *payload)
{
    return span_is(json_string_of(payload, "event_type"), "EXEC");
}

bool harness_command_line_begins(const struct json *payload, const char *text)
{
    return is_exec(payload) && span_starts(json_string_of(payload, "commandline"), span_of(text));
}

bool harness_state_is(const struct json *payload, const char *text)
{
    return is_exec(payload) && span_is(json_string_of(payload, "commandline_state"), text);
}

const struct json *harness_status(
    struct harness *harness, struct collectors *collectors, const char *name)
{
    struct json *all = json_new(&harness->arena, JSON_OBJECT);
    assert_int_equal(collectors_status(collectors, &harness->arena, all), ERR_NONE);
    const struct json *status = json_find_text(all, name);
    assert_non_null(status);
    return status;
}

int64_t harness_counter(
    struct harness *harness, struct collectors *collectors, const char *name, const char *counter)
{
    const struct json *status = harness_status(harness, collectors, name);
    if (strncmp(counter, "lost.", 5) == 0)
        return harness_number(json_find_text(status, "lost"), counter + 5);
    return harness_number(status, counter);
}

static int64_t sum_of(const struct json *numbers)
{
    int64_t sum = 0;
    json_each (number, numbers) {
        int64_t value;
        assert_true(json_int64(number, &value));
        sum += value;
    }
    return sum;
}

int64_t harness_lost(struct harness *harness, struct collectors *collectors, const char *name)
{
    return sum_of(json_find_text(harness_status(harness, collectors, name), "lost"));
}

int64_t harness_unaccounted(
    struct harness *harness, struct collectors *collectors, const char *name)
{
    const struct json *status = harness_status(harness, collectors, name);
    const struct json *lost = json_find_text(status, "lost");
    /* What the kernel had no room for was not seen. */
    int64_t happened = harness_number(status, "seen") + harness_number(lost, "kernel_buffer");
    return happened - harness_number(status, "waiting") - harness_number(status, "sent") -
           sum_of(lost);
}
