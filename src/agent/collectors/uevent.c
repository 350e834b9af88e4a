/* SPDX-License-Identifier: Apache-2.0 */
#include "uevent.h"

#include <errno.h>
#include <linux/netlink.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#define KERNEL_GROUP 1u

static const struct field {
    struct span name; /* with its '=' */
    size_t at;
} fields[] = {
    {SPAN_INIT("ACTION="), offsetof(struct uevent, action)},
    {SPAN_INIT("DEVPATH="), offsetof(struct uevent, path)},
    {SPAN_INIT("DEVPATH_OLD="), offsetof(struct uevent, old_path)},
    {SPAN_INIT("SUBSYSTEM="), offsetof(struct uevent, subsystem)},
    {SPAN_INIT("DEVTYPE="), offsetof(struct uevent, device_type)},
    {SPAN_INIT("INTERFACE="), offsetof(struct uevent, interface)},
    {SPAN_INIT("TYPE="), offsetof(struct uevent, type)},
    {SPAN_INIT("PRODUCT="), offsetof(struct uevent, product)},
    {SPAN_INIT("BUSNUM="), offsetof(struct uevent, bus_number)},
    {SPAN_INIT("DEVNUM="), offsetof(struct uevent, device_number)},
};

bool uevent_parse(struct span datagram, struct uevent *ret_event)
{
    struct uevent event = {.synthetic = false};
    struct span head, line;
    if (!span_cut(&datagram, '\0', &head) || span_find(head, '@') >= head.len)
        return false;
    while (span_cut(&datagram, '\0', &line)) {
        if (span_starts(line, SPAN_LIT("SYNTH_UUID=")))
            event.synthetic = true;
        for (size_t i = 0; i < COUNT_OF(fields); i++) {
            if (!span_starts(line, fields[i].name))
                continue;
            struct span value = span_from(line, fields[i].name.len);
            memcpy((char *)&event + fields[i].at, &value, sizeof(value));
        }
    }
    if (event.action.len == 0 || event.path.len == 0 || event.path.ptr[0] != '/')
        return false;
    *ret_event = event;
    return true;
}

bool uevent_triple(struct span text, unsigned char ret_numbers[3])
{
    unsigned char numbers[3];
    struct span part;
    for (size_t i = 0; i < 3; i++) {
        uint64_t number;
        if (!span_cut(&text, '/', &part) || !span_u64(part, 255, &number))
            return false;
        numbers[i] = (unsigned char)number;
    }
    if (text.ptr != NULL)
        return false;
    memcpy(ret_numbers, numbers, sizeof(numbers));
    return true;
}

static enum err refuse(struct why *why, int fd, const char *what)
{
    enum err err = fail(ERR_REFUSED, why, "the kernel's device events cannot be had: %s: %s", what,
        strerror(errno));
    if (fd >= 0)
        close(fd);
    return err;
}

enum err uevent_open(int buffer_bytes, int *ret_fd, struct why *why)
{
    const struct sockaddr_nl group = {.nl_family = AF_NETLINK, .nl_groups = KERNEL_GROUP};
    const int on = 1;
    int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
    if (fd < 0)
        return refuse(why, fd, "socket");
    /* Without the right to force it, what the system's limit gives must do. */
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer_bytes, sizeof(buffer_bytes)) != 0 &&
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer_bytes, sizeof(buffer_bytes)) != 0)
        return refuse(why, fd, "receive buffer");
    if (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) != 0)
        return refuse(why, fd, "credentials");
    if (bind(fd, (const struct sockaddr *)&group, sizeof(group)) != 0)
        return refuse(why, fd, "bind");
    *ret_fd = fd;
    return ERR_NONE;
}

/* The kernel sends from address 0, to its group, as process 0. */
static bool is_from_kernel(const struct sockaddr_nl *sender, struct msghdr *message)
{
    if (message->msg_namelen != sizeof(*sender) || sender->nl_pid != 0 ||
        sender->nl_groups != KERNEL_GROUP)
        return false;
    for (struct cmsghdr *at = CMSG_FIRSTHDR(message); at != NULL; at = CMSG_NXTHDR(message, at)) {
        struct ucred credentials;
        if (at->cmsg_level != SOL_SOCKET || at->cmsg_type != SCM_CREDENTIALS)
            continue;
        memcpy(&credentials, CMSG_DATA(at), sizeof(credentials));
        return credentials.pid == 0;
    }
    return false;
}

enum uevent_read uevent_next(int fd, char bytes[UEVENT_BYTES_MAX], struct uevent *ret_event)
{
    struct sockaddr_nl sender;
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(struct ucred))];
    struct iovec part = {bytes, UEVENT_BYTES_MAX};
    struct msghdr message = {.msg_name = &sender,
        .msg_namelen = sizeof(sender),
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = control,
        .msg_controllen = sizeof(control)};
    ssize_t len = recvmsg(fd, &message, MSG_DONTWAIT);
    if (len < 0)
        return errno == ENOBUFS ? UEVENT_OVERFLOW : errno == EINTR ? UEVENT_SKIPPED : UEVENT_NONE;
    bool good = (message.msg_flags & MSG_TRUNC) == 0 && is_from_kernel(&sender, &message) &&
                uevent_parse((struct span){bytes, (size_t)len}, ret_event);
    return good ? UEVENT_READ : UEVENT_SKIPPED;
}
