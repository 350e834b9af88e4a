/* SPDX-License-Identifier: Apache-2.0 */
#include "network_devices.h"

#include "clock.h"
#include "log.h"
#include "mem.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define PART "networkactivity"
/* Of one capture at a time, so that none waits long for the others. */
#define READ_AT_ONCE 2048
/* The kernel hands over what it holds within CAPTURE_HOLD_MS; what was not read by then is not
 * coming. */
#define ENDING_US (3 * INT64_C(1000) * CAPTURE_HOLD_MS)

/* ---- names ---- */

bool network_device_name_fits(struct span name)
{
    /* The kernel takes 15 bytes at most (IFNAMSIZ with its NUL). */
    if (name.len == 0 || name.len >= IF_NAMESIZE || span_is(name, ".") || span_is(name, ".."))
        return false;
    for (size_t i = 0; i < name.len; i++)
        if (name.ptr[i] <= ' ' || name.ptr[i] > '~' || name.ptr[i] == '/' || name.ptr[i] == ':' ||
            name.ptr[i] == '%') /* names in the making, as eth%d */
            return false;
    return true;
}

static bool is_pattern(struct span item)
{
    return item.len > 0 && item.ptr[item.len - 1] == '*';
}

static bool is_wanted(const struct network_devices *devices, const char *name, bool loopback)
{
    struct span rest = span_of(devices->list), item;
    while (span_cut(&rest, ',', &item)) {
        item = span_trim(item);
        if (span_is(item, name))
            return true;
        if (is_pattern(item) && !loopback &&
            span_starts(span_of(name), span_first(item, item.len - 1)))
            return true;
    }
    return false;
}

/* ---- states, told when they change ---- */

static const struct network_device_state *state_of(
    const struct network_device_state *states, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(states[i].name, name) == 0)
            return &states[i];
    return NULL;
}

static void tell(const char *name, enum network_device_is is, const struct why *why)
{
    static const char *const sentences[] = {
        [DEVICE_ABSENT] = "%s does not exist, and is waited for",
        [DEVICE_DOWN] = "%s is down, and is waited for",
        [DEVICE_CAPTURED] = "%s is captured",
    };
    if (is == DEVICE_REFUSED)
        log_warn(PART, "%s", why_text(why, ERR_REFUSED));
    else if (is == DEVICE_LEFT)
        log_warn(PART, "%s is left out: %u interfaces are the most", name, NETWORK_DEVICES_MAX);
    else
        log_info(PART, sentences[is], name);
}

struct states {
    size_t count;
    struct network_device_state rows[NETWORK_DEVICES_STATES_MAX];
};

static void set_state(struct network_devices *devices, struct states *states, const char *name,
    enum network_device_is is, const struct why *why)
{
    const struct network_device_state *before =
        state_of(devices->states, devices->state_count, name);
    if (before == NULL || before->is != is)
        tell(name, is, why);
    if (states->count == NETWORK_DEVICES_STATES_MAX)
        return;
    struct network_device_state *row = &states->rows[states->count++];
    (void)span_copy(span_of(name), row->name, sizeof(row->name));
    row->is = is;
}

/* ---- captures ---- */

static void close_ended(struct network_devices *devices, size_t at)
{
    struct network_capture *capture = devices->ending[at].capture;
    devices->lost += capture_lost(capture);
    capture_close(capture);
    devices->ending[at] = devices->ending[--devices->ending_count];
}

static void end_capture(struct network_devices *devices, struct network_capture *capture,
    int64_t wall_us, int64_t mono_us)
{
    if (capture == NULL)
        return;
    if (devices->ending_count == NETWORK_DEVICES_ENDING_MAX)
        close_ended(devices, 0);
    capture_end(capture, wall_us);
    devices->ending[devices->ending_count].capture = capture;
    devices->ending[devices->ending_count++].until_us = mono_us + ENDING_US;
}

static void end_device(struct network_devices *devices, struct network_device *device,
    int64_t wall_us, int64_t mono_us)
{
    for (size_t i = 0; i < COUNT_OF(device->captures); i++)
        end_capture(devices, device->captures[i], wall_us, mono_us);
    device->captures[0] = device->captures[1] = NULL;
}

static enum err open_captures(const struct network_devices *devices, const char *name,
    bool loopback, struct network_capture *ret_captures[2], struct why *why)
{
    enum err err = capture_open(
        name, loopback ? CAPTURE_LOOP : CAPTURE_IN, devices->buffer_bytes, &ret_captures[0], why);
    ret_captures[1] = NULL;
    if (err != ERR_NONE || loopback)
        return err;
    err = capture_open(name, CAPTURE_OUT, devices->buffer_bytes, &ret_captures[1], why);
    if (err != ERR_NONE)
        capture_close(ret_captures[0]);
    return err;
}

static struct network_device *find(
    struct network_devices *devices, const char *name, unsigned index)
{
    for (size_t i = 0; i < devices->count; i++)
        if (devices->devices[i].index == index && strcmp(devices->devices[i].name, name) == 0)
            return &devices->devices[i];
    return NULL;
}

static int64_t wall_now_us(void)
{
    return clock_wall_us(&clock_system);
}

/* Opens captures for an interface that has none, or has them with other buffers. */
static enum network_device_is renew(struct network_devices *devices, const char *name,
    unsigned index, bool loopback, int64_t mono_us, struct why *why)
{
    struct network_device *device = find(devices, name, index);
    if (device != NULL)
        device->wanted = true;
    if (device != NULL && device->buffer_bytes == devices->buffer_bytes)
        return DEVICE_CAPTURED;
    if (device == NULL && devices->count == NETWORK_DEVICES_MAX)
        return DEVICE_LEFT;
    struct network_capture *captures[2];
    enum err err = open_captures(devices, name, loopback, captures, why);
    if (err != ERR_NONE)
        return device != NULL         ? DEVICE_CAPTURED
               : err == ERR_NOT_FOUND ? DEVICE_DOWN
                                      : DEVICE_REFUSED;
    int64_t now_us = wall_now_us();
    for (size_t i = 0; i < COUNT_OF(captures); i++)
        if (captures[i] != NULL)
            capture_begin(captures[i], now_us);
    if (device != NULL) {
        end_device(devices, device, now_us, mono_us);
    } else {
        device = &devices->devices[devices->count++];
        *device = (struct network_device){.index = index, .wanted = true};
        must(span_copy(span_of(name), device->name, sizeof(device->name)));
    }
    device->buffer_bytes = devices->buffer_bytes;
    memcpy(device->captures, captures, sizeof(captures));
    return DEVICE_CAPTURED;
}

/* An interface that was made anew under its index is another one: its old captures are dead. */
static void end_dead(struct network_devices *devices, int64_t mono_us)
{
    for (size_t i = devices->count; i-- > 0;) {
        struct network_device *device = &devices->devices[i];
        device->wanted = false;
        if (capture_is_of(device->captures[0], device->index))
            continue;
        end_device(devices, device, INT64_MAX, mono_us);
        *device = devices->devices[--devices->count];
    }
}

static void end_unwanted(struct network_devices *devices, int64_t wall_us, int64_t mono_us)
{
    for (size_t i = devices->count; i-- > 0;) {
        if (devices->devices[i].wanted)
            continue;
        end_device(devices, &devices->devices[i], wall_us, mono_us);
        devices->devices[i] = devices->devices[--devices->count];
    }
}

static unsigned flags_of(const struct network_devices *devices, const char *name)
{
    struct ifreq request = {0};
    if (!span_copy(span_of(name), request.ifr_name, sizeof(request.ifr_name)))
        return 0;
    return ioctl(devices->link_fd, SIOCGIFFLAGS, &request) == 0
               ? (unsigned)(unsigned short)request.ifr_flags
               : 0;
}

static void settle_existing(struct network_devices *devices, struct states *states, int64_t mono_us)
{
    struct if_nameindex *all = if_nameindex();
    for (const struct if_nameindex *one = all; one != NULL && one->if_index != 0; one++) {
        unsigned flags = flags_of(devices, one->if_name);
        bool loopback = (flags & IFF_LOOPBACK) != 0;
        struct why why = {""};
        if (!is_wanted(devices, one->if_name, loopback))
            continue;
        enum network_device_is is = DEVICE_DOWN;
        if ((flags & IFF_UP) != 0)
            is = renew(devices, one->if_name, one->if_index, loopback, mono_us, &why);
        else if (find(devices, one->if_name, one->if_index) != NULL)
            find(devices, one->if_name, one->if_index)->wanted = true; /* until it is up again */
        set_state(devices, states, one->if_name, is, &why);
    }
    if (all != NULL)
        if_freenameindex(all);
}

void network_devices_settle(struct network_devices *devices, int64_t wall_us, int64_t mono_us)
{
    struct states states = {0};
    end_dead(devices, mono_us);
    settle_existing(devices, &states, mono_us);
    end_unwanted(devices, wall_us, mono_us);
    struct span rest = span_of(devices->list), item;
    while (span_cut(&rest, ',', &item)) {
        char name[IF_NAMESIZE];
        item = span_trim(item);
        if (!is_pattern(item) && item.len > 0 && span_copy(item, name, sizeof(name)) &&
            state_of(states.rows, states.count, name) == NULL)
            set_state(devices, &states, name, DEVICE_ABSENT, NULL);
    }
    devices->state_count = states.count;
    memcpy(devices->states, states.rows, sizeof(states.rows));
}

/* ---- begin and end ---- */

void network_devices_open(struct network_devices *ret_devices)
{
    const struct sockaddr_nl group = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};
    memset(ret_devices, 0, sizeof(*ret_devices));
    ret_devices->link_fd =
        socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    if (ret_devices->link_fd >= 0 &&
        bind(ret_devices->link_fd, (const struct sockaddr *)&group, sizeof(group)) != 0)
        log_warn(PART, "the kernel does not tell of interfaces that come: %s", strerror(errno));
}

void network_devices_close(struct network_devices *devices)
{
    while (devices->ending_count > 0)
        close_ended(devices, 0);
    for (size_t i = 0; i < devices->count; i++) {
        capture_close(devices->devices[i].captures[0]);
        capture_close(devices->devices[i].captures[1]);
    }
    devices->count = 0;
    mem_free(devices->list);
    devices->list = NULL;
    if (devices->link_fd >= 0)
        close(devices->link_fd);
    devices->link_fd = -1;
}

void network_devices_set(struct network_devices *devices, char *list, size_t buffer_bytes)
{
    mem_free(devices->list);
    devices->list = list;
    devices->buffer_bytes = buffer_bytes;
}

void network_devices_end(struct network_devices *devices, int64_t wall_us, int64_t mono_us)
{
    for (size_t i = 0; i < devices->count; i++)
        devices->devices[i].wanted = false;
    end_unwanted(devices, wall_us, mono_us);
    devices->state_count = 0;
}

/* ---- reading ---- */

static struct network_capture *capture_at(const struct network_devices *devices, size_t at)
{
    if (at < devices->count * 2)
        return devices->devices[at / 2].captures[at % 2];
    return devices->ending[at - devices->count * 2].capture;
}

static size_t capture_places(const struct network_devices *devices)
{
    return devices->count * 2 + devices->ending_count;
}

size_t network_devices_poll(
    const struct network_devices *devices, struct pollfd ret_fds[NETWORK_DEVICES_FDS])
{
    size_t count = 0;
    ret_fds[count++] = (struct pollfd){.fd = devices->link_fd, .events = POLLIN};
    for (size_t i = 0; i < capture_places(devices); i++) {
        const struct network_capture *capture = capture_at(devices, i);
        if (capture != NULL)
            ret_fds[count++] = (struct pollfd){.fd = capture_fd(capture), .events = POLLIN};
    }
    return count;
}

bool network_devices_heard(struct network_devices *devices)
{
    char bytes[8192];
    bool heard = false;
    if (devices->link_fd < 0)
        return false;
    for (;;) {
        ssize_t len = recv(devices->link_fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_TRUNC);
        if (len < 0 && errno == EINTR)
            continue;
        /* What it says does not matter, nor that something was lost: one must look. */
        if (len < 0 && errno != ENOBUFS)
            return heard;
        heard = true;
    }
}

bool network_devices_read(
    struct network_devices *devices, capture_packet *packet, void *self, int64_t mono_us)
{
    bool more = false;
    for (size_t i = 0; i < capture_places(devices); i++) {
        struct network_capture *capture = capture_at(devices, i);
        if (capture == NULL)
            continue;
        more = capture_read(capture, READ_AT_ONCE, packet, self) || more;
        devices->lost += capture_lost(capture);
    }
    for (size_t i = devices->ending_count; i-- > 0;)
        if (capture_passed_mark(devices->ending[i].capture) ||
            devices->ending[i].until_us <= mono_us)
            close_ended(devices, i);
    return more;
}

void network_devices_mark(struct network_devices *devices)
{
    for (size_t i = 0; i < devices->count * 2; i++)
        if (capture_at(devices, i) != NULL)
            capture_mark(capture_at(devices, i));
}

bool network_devices_passed_mark(struct network_devices *devices)
{
    for (size_t i = 0; i < capture_places(devices); i++)
        if (capture_at(devices, i) != NULL && !capture_passed_mark(capture_at(devices, i)))
            return false;
    return true;
}
