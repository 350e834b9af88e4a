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
        [DEVICE_DOWN] = "%s is down, and is waited for",
        [DEVICE_CAPTURED] = "%s is captured",
    };
    /* On a machine that names them otherwise than eth0, nothing would be seen, and nothing said. */
    if (is == DEVICE_ABSENT) {
        log_warn(PART, "%s does not exist, and is waited for (NetworkActivity_Devices)", name);
        return;
    }
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
    devices->lost += capture_lost(capture) + capture_unread(capture);
    capture_close(capture);
    devices->ending[at] = devices->ending[--devices->ending_count];
}

static void end_capture(
    struct network_devices *devices, struct network_capture *capture, int64_t wall_us)
{
    if (devices->ending_count == NETWORK_DEVICES_ENDING_MAX)
        close_ended(devices, 0);
    capture_end(capture, wall_us);
    devices->ending[devices->ending_count].capture = capture;
    /* By the clock as it is now: to make a large buffer takes longer than one ends. */
    devices->ending[devices->ending_count++].until_us = clock_mono_us(&clock_system) + ENDING_US;
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

/* Opens a capture for an interface that has none, or has one with another ring. */
static enum network_device_is renew(
    struct network_devices *devices, const struct capture_of *of, struct why *why)
{
    struct network_device *device = find(devices, of->name, of->index);
    if (device != NULL)
        device->wanted = true;
    if (device != NULL && device->buffer_bytes == devices->buffer_bytes)
        return DEVICE_CAPTURED;
    if (device == NULL && devices->count == NETWORK_DEVICES_MAX)
        return DEVICE_LEFT;
    struct network_capture *capture;
    enum err err = capture_open(of, devices->buffer_bytes, &capture, why);
    if (err == ERR_REFUSED && device != NULL && !devices->refused) {
        devices->refused = true;
        devices->refusal = *why;
    }
    if (err != ERR_NONE)
        return device != NULL         ? DEVICE_CAPTURED
               : err == ERR_NOT_FOUND ? DEVICE_DOWN
                                      : DEVICE_REFUSED;
    int64_t now_us = wall_now_us();
    capture_begin(capture, now_us);
    if (device != NULL) {
        end_capture(devices, device->capture, now_us);
    } else {
        device = &devices->devices[devices->count++];
        *device = (struct network_device){.index = of->index, .wanted = true};
        must(span_copy(span_of(of->name), device->name, sizeof(device->name)));
    }
    device->buffer_bytes = devices->buffer_bytes;
    device->capture = capture;
    return DEVICE_CAPTURED;
}

/* An interface that was made anew under its index is another one: its old capture is dead. */
static void end_dead(struct network_devices *devices)
{
    for (size_t i = devices->count; i-- > 0;) {
        struct network_device *device = &devices->devices[i];
        device->wanted = false;
        if (capture_is_of(device->capture, device->index))
            continue;
        end_capture(devices, device->capture, INT64_MAX);
        *device = devices->devices[--devices->count];
    }
}

static void end_unwanted(struct network_devices *devices, int64_t wall_us)
{
    for (size_t i = devices->count; i-- > 0;) {
        if (devices->devices[i].wanted)
            continue;
        end_capture(devices, devices->devices[i].capture, wall_us);
        devices->devices[i] = devices->devices[--devices->count];
    }
}

/* Asks the kernel of an interface; false where there is none of the name any more. */
static bool ask(
    const struct network_devices *devices, const char *name, int what, struct ifreq *ret_answer)
{
    struct ifreq request = {0};
    if (!span_copy(span_of(name), request.ifr_name, sizeof(request.ifr_name)) ||
        ioctl(devices->link_fd, (unsigned long)what, &request) != 0)
        return false;
    *ret_answer = request;
    return true;
}

static void settle_existing(struct network_devices *devices, struct states *states)
{
    struct if_nameindex *all = if_nameindex();
    for (const struct if_nameindex *one = all; one != NULL && one->if_name != NULL; one++) {
        struct ifreq flags, hardware;
        struct why why = {""};
        if (!ask(devices, one->if_name, SIOCGIFFLAGS, &flags) ||
            !ask(devices, one->if_name, SIOCGIFHWADDR, &hardware))
            continue;
        const struct capture_of of = {.name = one->if_name,
            .index = one->if_index,
            .hardware = hardware.ifr_hwaddr.sa_family,
            .loopback = (flags.ifr_flags & IFF_LOOPBACK) != 0};
        if (!is_wanted(devices, of.name, of.loopback))
            continue;
        enum network_device_is is = DEVICE_DOWN;
        if ((flags.ifr_flags & IFF_UP) != 0)
            is = renew(devices, &of, &why);
        else if (find(devices, of.name, of.index) != NULL)
            find(devices, of.name, of.index)->wanted = true; /* until it is up again */
        set_state(devices, states, one->if_name, is, &why);
    }
    if (all != NULL)
        if_freenameindex(all);
}

void network_devices_settle(struct network_devices *devices, int64_t wall_us)
{
    struct states states = {0};
    end_dead(devices);
    settle_existing(devices, &states);
    end_unwanted(devices, wall_us);
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
    for (size_t i = 0; i < devices->count; i++)
        capture_close(devices->devices[i].capture);
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
    devices->refused = false;
}

void network_devices_end(struct network_devices *devices, int64_t wall_us)
{
    for (size_t i = 0; i < devices->count; i++)
        devices->devices[i].wanted = false;
    end_unwanted(devices, wall_us);
    devices->state_count = 0;
}

/* ---- reading ---- */

static struct network_capture *capture_at(const struct network_devices *devices, size_t at)
{
    return at < devices->count ? devices->devices[at].capture
                               : devices->ending[at - devices->count].capture;
}

static size_t capture_count(const struct network_devices *devices)
{
    return devices->count + devices->ending_count;
}

size_t network_devices_poll(
    const struct network_devices *devices, struct pollfd ret_fds[NETWORK_DEVICES_FDS])
{
    size_t count = 0;
    ret_fds[count++] = (struct pollfd){.fd = devices->link_fd, .events = POLLIN};
    for (size_t i = 0; i < capture_count(devices); i++)
        ret_fds[count++] =
            (struct pollfd){.fd = capture_fd(capture_at(devices, i)), .events = POLLIN};
    return count;
}

void network_devices_polled(
    struct network_devices *devices, const struct pollfd fds[], size_t count)
{
    for (size_t i = 1; i < count; i++)
        if ((fds[i].revents & POLLERR) != 0)
            capture_clear_error(capture_at(devices, i - 1));
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
    /* From the end, since an ending that is over leaves its place to the last one. */
    for (size_t i = capture_count(devices); i-- > 0;) {
        struct network_capture *capture = capture_at(devices, i);
        bool has_more = capture_read(capture, READ_AT_ONCE, packet, self);
        more = more || has_more;
        devices->lost += capture_lost(capture);
        if (i < devices->count || has_more)
            continue;
        const size_t at = i - devices->count;
        if (capture_passed_mark(capture) || devices->ending[at].until_us <= mono_us)
            close_ended(devices, at);
    }
    return more;
}

void network_devices_mark(struct network_devices *devices)
{
    for (size_t i = 0; i < devices->count; i++)
        capture_mark(devices->devices[i].capture);
}

bool network_devices_passed_mark(struct network_devices *devices)
{
    for (size_t i = 0; i < capture_count(devices); i++)
        if (!capture_passed_mark(capture_at(devices, i)))
            return false;
    return true;
}
