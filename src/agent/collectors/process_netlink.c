/* SPDX-License-Identifier: Apache-2.0 */
#include "process_netlink.h"

#include "mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/cn_proc.h>
#include <linux/connector.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH PROCESS_NETLINK_BATCH
#define MESSAGE_BYTES 256u /* a message has 76 today; a larger one would be cut, and skipped */
#define ANSWER_WAIT_MS 1000

/* Holds what rings between two looks; what finds no room there has rung already. */
#define BELL_BUFFER_BYTES 4096

struct process_netlink {
    int fd;
    int bell_fd; /* gets each exec once more; or -1 */
    uint32_t lost_at_open;
    char bytes[BATCH][MESSAGE_BYTES];
};

/* Where the fields that we read stand in a connector message of the process events. */
#define EVENT_AT offsetof(struct cn_msg, data)
#define EVENT_FIELD(field) (EVENT_AT + offsetof(struct proc_event, field))

static uint32_t u32_at(struct span bytes, size_t at)
{
    uint32_t value;
    memcpy(&value, bytes.ptr + at, sizeof(value));
    return value;
}

/* A connector message behind its netlink header; false: another kind, or too short. */
static bool parse_message(struct span body, struct process_message *ret_message)
{
    if (body.len < EVENT_FIELD(event_data))
        return false;
    if (u32_at(body, offsetof(struct cn_msg, id.idx)) != CN_IDX_PROC ||
        u32_at(body, offsetof(struct cn_msg, id.val)) != CN_VAL_PROC)
        return false;
    struct process_message message = {
        .what = u32_at(body, EVENT_FIELD(what)), .process_id = -1, .parent_id = -1};
    if (message.what == PROC_EVENT_NONE) {
        if (body.len < EVENT_FIELD(event_data.ack.err) + sizeof(uint32_t))
            return false;
        message.request = u32_at(body, offsetof(struct cn_msg, ack));
        message.error = u32_at(body, EVENT_FIELD(event_data.ack.err));
    } else if (message.what == PROC_EVENT_EXEC) {
        if (body.len < EVENT_FIELD(event_data.exec.process_tgid) + sizeof(uint32_t))
            return false;
        message.process_id = (int32_t)u32_at(body, EVENT_FIELD(event_data.exec.process_tgid));
    } else if (message.what == PROC_EVENT_FORK) {
        if (body.len < EVENT_FIELD(event_data.fork.child_tgid) + sizeof(uint32_t))
            return false;
        message.parent_id = (int32_t)u32_at(body, EVENT_FIELD(event_data.fork.parent_tgid));
        message.process_id = (int32_t)u32_at(body, EVENT_FIELD(event_data.fork.child_tgid));
    } else if (message.what == PROC_EVENT_EXIT) {
        if (body.len < EVENT_FIELD(event_data.exit.exit_code) + sizeof(uint32_t))
            return false;
        message.process_id = (int32_t)u32_at(body, EVENT_FIELD(event_data.exit.process_tgid));
        message.exit_status = u32_at(body, EVENT_FIELD(event_data.exit.exit_code));
    }
    *ret_message = message;
    return true;
}

bool process_message_next(struct span *datagram, struct process_message *ret_message)
{
    while (datagram->len >= NLMSG_HDRLEN) {
        struct nlmsghdr header;
        memcpy(&header, datagram->ptr, sizeof(header));
        if (header.nlmsg_len < NLMSG_HDRLEN || header.nlmsg_len > datagram->len)
            break;
        struct span body = {datagram->ptr + NLMSG_HDRLEN, header.nlmsg_len - NLMSG_HDRLEN};
        *datagram = span_from(*datagram, NLMSG_ALIGN((size_t)header.nlmsg_len));
        if (header.nlmsg_type >= NLMSG_DONE && parse_message(body, ret_message))
            return true;
    }
    *datagram = SPAN_NONE;
    return false;
}

static const uint32_t whats[] = {[PROCESS_FORK] = PROC_EVENT_FORK,
    [PROCESS_EXEC] = PROC_EVENT_EXEC,
    [PROCESS_EXIT] = PROC_EVENT_EXIT};

/* Where a message of a type has the thread and its process; where they are equal it tells of a
 * process. An exec always does. */
static const uint32_t threads[][2] = {
    [PROCESS_FORK] = {EVENT_FIELD(event_data.fork.child_pid),
        EVENT_FIELD(event_data.fork.child_tgid)},
    [PROCESS_EXEC] = {EVENT_FIELD(what), EVENT_FIELD(what)},
    [PROCESS_EXIT] = {EVENT_FIELD(event_data.exit.process_pid),
        EVENT_FIELD(event_data.exit.process_tgid)},
};

#define FILTER_MAX 32u

static size_t add_code(struct sock_filter *code, size_t at, struct sock_filter instruction)
{
    must(at < FILTER_MAX);
    code[at] = instruction;
    return at + 1;
}

#define ADD(...) len = add_code(code, len, (struct sock_filter)__VA_ARGS__)

/*
 * Lets through what is wanted of processes and, while `answers`, answers to requests. For each
 * type:
 *
 *   if what is another, go 6 on; load the process into X; if the thread is another, refuse; accept
 */
static bool set_filter(int fd, unsigned events, bool answers)
{
    struct sock_filter code[FILTER_MAX];
    size_t len = 0;
    ADD(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, NLMSG_HDRLEN + EVENT_FIELD(what)));
    for (unsigned type = 0; type < PROCESS_EVENT_TYPES; type++) {
        if ((events & PROCESS_EVENT_BIT(type)) == 0)
            continue;
        ADD(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(whats[type]), 0, 6));
        ADD(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, NLMSG_HDRLEN + threads[type][1]));
        ADD(BPF_STMT(BPF_MISC | BPF_TAX, 0));
        ADD(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, NLMSG_HDRLEN + threads[type][0]));
        ADD(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_X, 0, 1, 0));
        ADD(BPF_STMT(BPF_RET | BPF_K, 0));
        ADD(BPF_STMT(BPF_RET | BPF_K, UINT32_MAX));
    }
    if (answers) {
        ADD(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(PROC_EVENT_NONE), 0, 1));
        ADD(BPF_STMT(BPF_RET | BPF_K, UINT32_MAX));
    }
    ADD(BPF_STMT(BPF_RET | BPF_K, 0));
    struct sock_fprog program = {.len = (unsigned short)len, .filter = code};
    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) == 0;
}

static bool get_drops(int fd, uint32_t *ret_drops)
{
    uint32_t info[SK_MEMINFO_VARS] = {0};
    socklen_t len = sizeof(info);
    if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &len) != 0 ||
        len < (SK_MEMINFO_DROPS + 1) * sizeof(info[0]))
        return false;
    *ret_drops = info[SK_MEMINFO_DROPS];
    return true;
}

/* Asks the kernel to begin, or end, sending to us. Kernels before 6.6 know only this short form. */
static bool ask(int fd, enum proc_cn_mcast_op operation, uint32_t request)
{
    _Alignas(struct nlmsghdr) char bytes[NLMSG_SPACE(sizeof(struct cn_msg) + sizeof(uint32_t))] = {
        0};
    uint32_t word = (uint32_t)operation;
    struct nlmsghdr header = {
        .nlmsg_len = NLMSG_LENGTH(sizeof(struct cn_msg) + sizeof(word)), .nlmsg_type = NLMSG_DONE};
    struct cn_msg message = {.id = {CN_IDX_PROC, CN_VAL_PROC}, .ack = request, .len = sizeof(word)};
    memcpy(bytes, &header, sizeof(header));
    memcpy(bytes + NLMSG_HDRLEN, &message, sizeof(message));
    memcpy(bytes + NLMSG_HDRLEN + sizeof(message), &word, sizeof(word));
    const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    return sendto(fd, bytes, header.nlmsg_len, 0, (const struct sockaddr *)&kernel,
               sizeof(kernel)) == (ssize_t)header.nlmsg_len;
}

/* Waits for the answer; what comes before it is too early to be of interest. */
static enum err await_answer(int fd, uint32_t request, struct why *why)
{
    for (;;) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        int count = poll(&ready, 1, ANSWER_WAIT_MS);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return fail(ERR_REFUSED, why,
                "the kernel does not answer on the process connector (it only does in the first "
                "pid "
                "namespace)");
        char bytes[MESSAGE_BYTES];
        ssize_t len = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        struct span datagram = {bytes, len < 0 ? 0 : (size_t)len};
        struct process_message message;
        while (process_message_next(&datagram, &message)) {
            if (message.what != PROC_EVENT_NONE || message.request != request + 1)
                continue;
            if (message.error == 0)
                return ERR_NONE;
            return fail(ERR_REFUSED, why, "the kernel refuses the process connector: %s",
                strerror((int)message.error));
        }
    }
}

static enum err refuse(struct why *why, const char *what)
{
    return fail(
        ERR_REFUSED, why, "the process connector cannot be used: %s: %s", what, strerror(errno));
}

static enum err set_up(int fd, int buffer_bytes, unsigned events, struct why *why)
{
    const struct sockaddr_nl group = {.nl_family = AF_NETLINK, .nl_groups = CN_IDX_PROC};
    const int on = 1;
    uint32_t request = (uint32_t)getpid() << 8 | ((uint32_t)fd & 0xff);
    /* Without the right to force it, what the system's limit gives must do. */
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer_bytes, sizeof(buffer_bytes)) != 0 &&
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer_bytes, sizeof(buffer_bytes)) != 0)
        return refuse(why, "receive buffer");
    /* Otherwise the kernel drops on after a loss until everything was read. We see every loss in
     * its count. */
    if (setsockopt(fd, SOL_NETLINK, NETLINK_NO_ENOBUFS, &on, sizeof(on)) != 0)
        return refuse(why, "option");
    uint32_t drops;
    if (!get_drops(fd, &drops))
        return refuse(why, "count of losses");
    if (!set_filter(fd, events, true))
        return refuse(why, "filter");
    if (bind(fd, (const struct sockaddr *)&group, sizeof(group)) != 0)
        return refuse(why, "bind");
    if (!ask(fd, PROC_CN_MCAST_LISTEN, request))
        return refuse(why, errno == ECONNREFUSED ? "not in this network namespace" : "request");
    enum err err = await_answer(fd, request, why);
    if (err != ERR_NONE)
        return err;
    /* From here on no more answers, so that a lost message is one of what is wanted. */
    if (!set_filter(fd, events, false))
        return refuse(why, "filter");
    return ERR_NONE;
}

static int open_socket(void)
{
    return socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_CONNECTOR);
}

/* The kernel sends to all who are bound, once one has asked. */
static int open_bell(unsigned events)
{
    const struct sockaddr_nl group = {.nl_family = AF_NETLINK, .nl_groups = CN_IDX_PROC};
    const int on = 1, bytes = BELL_BUFFER_BYTES;
    unsigned exec = PROCESS_EVENT_BIT(PROCESS_EXEC);
    if ((events & exec) == 0 || events == exec)
        return -1;
    int fd = open_socket();
    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)) == 0 &&
        setsockopt(fd, SOL_NETLINK, NETLINK_NO_ENOBUFS, &on, sizeof(on)) == 0 &&
        set_filter(fd, exec, false) &&
        bind(fd, (const struct sockaddr *)&group, sizeof(group)) == 0)
        return fd;
    close(fd);
    return -1;
}

enum err process_netlink_open(
    int buffer_bytes, unsigned events, struct process_netlink **ret_netlink, struct why *why)
{
    struct process_netlink *netlink = mem_alloc(sizeof(*netlink));
    if (netlink == NULL)
        return fail(ERR_MEMORY, why, "%s", err_row(ERR_MEMORY)->text);
    enum err err = ERR_NONE;
    netlink->fd = open_socket();
    if (netlink->fd < 0)
        err = refuse(why, "socket");
    else
        err = set_up(netlink->fd, buffer_bytes, events, why);
    if (err == ERR_NONE && !get_drops(netlink->fd, &netlink->lost_at_open))
        err = refuse(why, "count of losses");
    if (err != ERR_NONE) {
        if (netlink->fd >= 0)
            close(netlink->fd);
        mem_free(netlink);
        return err;
    }
    netlink->bell_fd = open_bell(events);
    *ret_netlink = netlink;
    return ERR_NONE;
}

void process_netlink_close(struct process_netlink *netlink)
{
    if (netlink == NULL)
        return;
    /* Kernels before 6.6 do not notice that a listener is gone, and would go on making messages. */
    if (!ask(netlink->fd, PROC_CN_MCAST_IGNORE, 0)) {
        /* Nothing to be done about it. */
    }
    close(netlink->fd);
    if (netlink->bell_fd >= 0)
        close(netlink->bell_fd);
    mem_free(netlink);
}

int process_netlink_fd(const struct process_netlink *netlink)
{
    return netlink->fd;
}

int process_netlink_bell_fd(const struct process_netlink *netlink)
{
    return netlink->bell_fd;
}

void process_netlink_hush(struct process_netlink *netlink)
{
    enum { AT_ONCE = 16 };
    struct mmsghdr none[AT_ONCE] = {0}; /* without room: what it says is read elsewhere */
    if (netlink->bell_fd < 0)
        return;
    while (recvmmsg(netlink->bell_fd, none, AT_ONCE, MSG_DONTWAIT, NULL) == AT_ONCE)
        ;
}

/* Tells a message; the filter lets nothing else through once it is in force. */
static void tell(const struct process_message *message, process_seen *seen, void *self)
{
    for (unsigned type = 0; type < PROCESS_EVENT_TYPES; type++) {
        if (message->what != whats[type] || message->process_id <= 0)
            continue;
        const struct process_sighting sighting = {.type = (enum process_event_type)type,
            .pid = message->process_id,
            .parent = message->parent_id > 0 ? message->parent_id : 0,
            .exit_known = type == PROCESS_EXIT,
            .exit_status = message->exit_status};
        seen(self, &sighting);
    }
}

size_t process_netlink_read(struct process_netlink *netlink, process_seen *seen, void *self)
{
    struct mmsghdr messages[BATCH];
    struct iovec parts[BATCH];
    struct sockaddr_nl senders[BATCH];
    for (size_t i = 0; i < BATCH; i++) {
        parts[i] = (struct iovec){netlink->bytes[i], sizeof(netlink->bytes[i])};
        messages[i] = (struct mmsghdr){.msg_hdr = {.msg_name = &senders[i],
                                           .msg_namelen = sizeof(senders[i]),
                                           .msg_iov = &parts[i],
                                           .msg_iovlen = 1}};
    }
    int count = recvmmsg(netlink->fd, messages, BATCH, MSG_DONTWAIT, NULL);
    for (int i = 0; i < count; i++) {
        if (senders[i].nl_pid != 0) /* only the kernel's word counts */
            continue;
        struct span datagram = {netlink->bytes[i], messages[i].msg_len};
        struct process_message message;
        while (process_message_next(&datagram, &message))
            tell(&message, seen, self);
    }
    return count < 0 ? 0 : (size_t)count;
}

uint32_t process_netlink_lost(const struct process_netlink *netlink)
{
    uint32_t drops;
    return get_drops(netlink->fd, &drops) ? drops - netlink->lost_at_open : 0;
}

int process_netlink_buffer_bytes(const struct process_netlink *netlink)
{
    int size = 0;
    socklen_t len = sizeof(size);
    /* The kernel keeps twice what is asked for, for its own overhead. */
    return getsockopt(netlink->fd, SOL_SOCKET, SO_RCVBUF, &size, &len) == 0 ? size / 2 : 0;
}
