/* SPDX-License-Identifier: Apache-2.0 */
/*
 * USB devices and Ethernet interfaces that are plugged in or out, as the kernel tells. When the
 * kernel had no room for us we look at /sys: what came or went, and is still so, is told then.
 */
#include "collector.h"
#include "event_cache.h"
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
    struct collector_gate *gate;
    struct peripherals peripherals;
    struct event_cache cache;
    uint64_t seen;
    uint64_t lost[LOSS_COUNT];
    uint64_t told[LOSS_COUNT];
    char bytes[UEVENT_BYTES_MAX];
};

static void keep(void *self, const struct peripheral_facts *facts)
{
    struct peripheral_state *state = self;
    if (!collector_admit(state->gate, 1))
        return;
    state->seen++;
    if (event_cache_add(&state->cache, clock_wall_us(state->clock), SPAN_NONE,
            (struct span){(const char *)facts, sizeof(*facts)},
            &state->lost[LOSS_CACHE_BOUND]) != ERR_NONE)
        state->lost[LOSS_MEMORY]++;
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
    err = event_cache_set_bound(&state->cache, bound, &state->lost[LOSS_CACHE_BOUND]);
    if (err != ERR_NONE) {
        if (opened)
            stop(state);
        return fail(err, why, "%s", err_row(err)->text);
    }
    /* The socket is open before the look: what comes in between is heard of. */
    bool look = opened || virtual_too != state->peripherals.virtual_too;
    state->peripherals.virtual_too = virtual_too;
    if (look)
        peripherals_look(&state->peripherals, !opened, clock_mono_us(state->clock));
    return ERR_NONE;
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
            state->lost[LOSS_KERNEL_BUFFER]++;
        look = look || result == UEVENT_OVERFLOW;
    }
    if (look)
        peripherals_look(&state->peripherals, true, now_us);
    return peripherals_run(&state->peripherals, now_us);
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
    struct collector_writer *writer, const struct peripheral_facts *facts)
{
    struct arena *arena;
    struct json *payload = collector_payload(writer, &arena);
    if (payload == NULL)
        return NULL;
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

/* Says once a collection what was lost since the last one. */
static void tell_losses(struct peripheral_state *state)
{
    uint64_t count = state->lost[LOSS_KERNEL_BUFFER] - state->told[LOSS_KERNEL_BUFFER];
    if (count > 0)
        log_warn("peripheral", "the kernel had no room for device events %llu times",
            (unsigned long long)count);
    count = state->lost[LOSS_CACHE_BOUND] - state->told[LOSS_CACHE_BOUND];
    if (count > 0)
        log_warn("peripheral",
            "%llu events gave way to newer ones; a larger %s than %zu would keep them",
            (unsigned long long)count, setting_row(SETTING_PERIPHERAL_CACHE_SIZE)->name,
            state->cache.entries_max);
    memcpy(state->told, state->lost, sizeof(state->told));
}

static enum err collect(void *self, struct collector_writer *writer, struct why *why)
{
    struct peripheral_state *state = self;
    tell_losses(state);
    enum err ret = ERR_NONE;
    struct event_entry *entry = event_cache_take(&state->cache);
    while (entry != NULL) {
        struct peripheral_facts facts;
        memcpy(&facts, entry->value.ptr, sizeof(facts));
        enum err err = collector_write(writer, entry->time_us, 1, payload_of(writer, &facts));
        if (err == ERR_TOO_LARGE)
            collector_lose(writer, LOSS_TOO_LARGE, 1);
        if (err != ERR_NONE)
            ret =
                fail(err, why, "an event of a device could not be written: %s", err_row(err)->text);
        struct event_entry *next = entry->next;
        mem_free(entry);
        entry = next;
    }
    return ret;
}

static void count(void *self, struct collector_counts *ret_counts)
{
    const struct peripheral_state *state = self;
    ret_counts->seen = state->seen;
    ret_counts->waiting = state->cache.hits;
    memcpy(ret_counts->lost, state->lost, sizeof(state->lost));
}

static void peripheral_free(void *self)
{
    struct peripheral_state *state = self;
    if (state == NULL)
        return;
    stop(state);
    peripherals_done(&state->peripherals);
    event_cache_done(&state->cache);
    mem_free(state);
}

static enum err peripheral_new(
    const struct collectors_options *options, void **ret_state, struct why *why)
{
    struct peripheral_state *state = mem_alloc(sizeof(*state));
    if (state == NULL)
        return fail(ERR_MEMORY, why, "%s", err_row(ERR_MEMORY)->text);
    state->clock = options->clock;
    state->gate = options->gate;
    state->fd = -1;
    state->peripherals =
        (struct peripherals){.sys_dir = options->sys_dir, .told = keep, .self = state};
    event_cache_init(
        &state->cache, CACHE_BYTES_MAX, (uint64_t)options->random() << 32 | options->random());
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
