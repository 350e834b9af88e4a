/* SPDX-License-Identifier: Apache-2.0 */
/*
 * USB devices and Ethernet interfaces that are plugged in or out, as the kernel tells. When the
 * kernel had no room for us we look at /sys: what came or went, and is still so, is told then.
 */
#include "collector.h"
#include "held_events.h"
#include "log.h"
#include "peripherals.h"

#include <linux/capability.h>
#include <string.h>
#include <unistd.h>

#define BUFFER_BYTES (1024 * 1024)
#define READS_MAX 1024u
#define CACHE_BYTES_MAX (8u * 1024 * 1024)

struct peripheral_state {
    const struct clock *clock;
    int fd; /* negative: stopped */
    struct peripherals peripherals;
    struct held_events held;
    char bytes[UEVENT_BYTES_MAX];
};

static void keep(void *self, const struct peripheral_facts *facts)
{
    struct peripheral_state *state = self;
    held_events_add(&state->held, SPAN_NONE, (struct span){(const char *)facts, sizeof(*facts)});
}

static void stop(void *self)
{
    struct peripheral_state *state = self;
    if (state->fd < 0)
        return;
    close(state->fd);
    state->fd = -1;
    (void)peripherals_run(&state->peripherals, INT64_MAX - 1);
    peripherals_done(&state->peripherals);
}

static size_t descriptors(void *self, int *ret_fds, size_t room)
{
    const struct peripheral_state *state = self;
    if (state->fd < 0 || room == 0)
        return 0;
    ret_fds[0] = state->fd;
    return 1;
}

static int64_t run(void *self)
{
    struct peripheral_state *state = self;
    int64_t now_us = clock_mono_us(state->clock);
    bool look = false;
    if (state->fd < 0)
        return INT64_MAX;
    for (unsigned reads = 0; reads < READS_MAX; reads++) {
        struct uevent event;
        enum uevent_read result = uevent_next(state->fd, state->bytes, &event);
        if (result == UEVENT_NONE)
            break;
        if (result == UEVENT_READ)
            peripherals_take(&state->peripherals, &event, now_us);
        if (result == UEVENT_OVERFLOW)
            state->held.lost[LOSS_KERNEL_BUFFER]++;
        look = look || result == UEVENT_OVERFLOW;
    }
    if (look)
        peripherals_look(&state->peripherals, true, now_us);
    return peripherals_run(&state->peripherals, now_us);
}

static enum err start(
    void *self, const struct settings *settings, const char **ret_field, struct why *why)
{
    struct peripheral_state *state = self;
    bool virtual_too = settings_bool(settings, SETTING_PERIPHERAL_VIRTUAL_INTERFACES);
    size_t bound = (size_t)settings_int(settings, SETTING_PERIPHERAL_CACHE_SIZE);
    bool opened = state->fd < 0;
    enum err err = opened ? uevent_open(BUFFER_BYTES, &state->fd, why) : ERR_NONE;
    *ret_field = err == ERR_REFUSED ? setting_row(SETTING_PERIPHERAL_DISABLED)->name : NULL;
    if (err != ERR_NONE)
        return err;
    err = held_events_set_bound(&state->held, bound);
    if (err != ERR_NONE) {
        if (opened)
            stop(state);
        return fail(err, why, "%s", err_row(err)->text);
    }
    /* The socket is open before the look: what comes in between is heard of. */
    bool look = opened || virtual_too != state->peripherals.virtual_too;
    /* What came while virtual interfaces counted is told, and does not wait for its name. */
    if (!opened && look && !virtual_too) {
        (void)run(state);
        (void)peripherals_run(&state->peripherals, INT64_MAX - 1);
    }
    state->peripherals.virtual_too = virtual_too;
    if (look)
        peripherals_look(&state->peripherals, !opened, clock_mono_us(state->clock));
    return ERR_NONE;
}

static bool set_class(struct arena *arena, struct json *payload, const char *const names[3],
    const unsigned char numbers[3])
{
    bool done = true;
    for (size_t i = 0; i < 3; i++)
        done = done && json_set_int(arena, payload, names[i], numbers[i]);
    return done;
}

static bool set_text(struct arena *arena, struct json *payload, const char *name, const char *text)
{
    return text[0] == '\0' || json_set_text(arena, payload, name, span_of(text));
}

static bool set_usb(struct arena *arena, struct json *payload, const struct peripheral_facts *facts)
{
    static const char *const device[] = {"device_class", "device_subclass", "device_protocol"};
    static const char *const interface[] = {
        "interface_class", "interface_subclass", "interface_protocol"};
    return json_set_int(arena, payload, "kernel_device_number", facts->device_number) &&
           set_class(arena, payload, device, facts->device) &&
           (!facts->interface_known || set_class(arena, payload, interface, facts->interface)) &&
           set_text(arena, payload, "vendor_id", facts->vendor_id) &&
           set_text(arena, payload, "product_id", facts->product_id);
}

static struct json *payload_of(
    void *self UNUSED, struct collector_writer *writer, const struct event_entry *entry)
{
    struct arena *arena;
    struct json *payload = collector_payload(writer, &arena);
    struct peripheral_facts copy;
    const struct peripheral_facts *facts = &copy;
    if (payload == NULL)
        return NULL;
    memcpy(&copy, entry->value.ptr, sizeof(copy));
    bool usb = facts->kind == PERIPHERAL_USB;
    bool done =
        set_text(arena, payload, "peripheral_type", usb ? "USB" : "Ethernet") &&
        set_text(
            arena, payload, "action_type", facts->connected ? "connection" : "disconnection") &&
        (!facts->bus_known || json_set_int(arena, payload, "bus_number", facts->bus_number));
    if (usb)
        done = done && set_usb(arena, payload, facts);
    else
        done = done && set_text(arena, payload, "interface_name", facts->name) &&
               set_text(arena, payload, "bus_path", facts->bus_path) &&
               json_set_bool(arena, payload, "is_virtual", facts->virtual);
    return done ? payload : NULL;
}

static enum err collect(void *self, struct collector_writer *writer, struct why *why)
{
    static const struct held_events_kind kind = {.part = "peripheral",
        .bound = SETTING_PERIPHERAL_CACHE_SIZE,
        .what = "an event of a device",
        .payload = payload_of};
    struct peripheral_state *state = self;
    uint64_t overflows = held_events_untold(&state->held, LOSS_KERNEL_BUFFER);
    if (overflows > 0)
        log_warn("peripheral", "the kernel had no room for device events %llu times",
            (unsigned long long)overflows);
    return held_events_write(&state->held, &kind, state, writer, why);
}

static void count(void *self, struct collector_counts *ret_counts)
{
    const struct peripheral_state *state = self;
    held_events_count(&state->held, ret_counts);
}

static void peripheral_free(void *self)
{
    struct peripheral_state *state = self;
    if (state == NULL)
        return;
    stop(state);
    peripherals_done(&state->peripherals);
    held_events_done(&state->held);
    mem_free(state);
}

static enum err peripheral_new(
    const struct collectors_options *options, void **ret_state, struct why *why)
{
    struct peripheral_state *state = mem_alloc(sizeof(*state));
    if (state == NULL)
        return fail(ERR_MEMORY, why, "%s", err_row(ERR_MEMORY)->text);
    state->clock = options->clock;
    state->fd = -1;
    state->peripherals =
        (struct peripherals){.sys_dir = options->sys_dir, .told = keep, .self = state};
    held_events_init(&state->held, options, CACHE_BYTES_MAX);
    *ret_state = state;
    return ERR_NONE;
}

const struct collector peripheral_collector = {
    .name = "Peripheral",
    .part = PART_PERIPHERAL,
    .disabled = SETTING_PERIPHERAL_DISABLED,
    .frequency = SETTING_PERIPHERAL_MESSAGE_FREQUENCY,
    .capabilities = UINT64_C(1) << CAP_NET_ADMIN,
    .new = peripheral_new,
    .free = peripheral_free,
    .start = start,
    .stop = stop,
    .descriptors = descriptors,
    .run = run,
    .collect = collect,
    .count = count,
};
