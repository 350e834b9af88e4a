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
#include <time.h>
#include <unistd.h>

#define BATCH PROCESS_NETLINK_BATCH
#define MESSAGE_BYTES 256u /* a message has 76 today; a larger one would be cut, and skipped */
#define ANSWER_WAIT_MS 1000

/* Holds what rings between two looks; of programs, what finds no room there has rung already. */
#define BELL_BUFFER_BYTES (128 * 1024)

/* What happened longer ago than that did so by another clock than ours. */
#define AGE_MAX_US INT64_C(60000000)

#define USER_BIT PROCESS_EVENT_BIT(PROCESS_NEW_USER)
#define EXEC_BIT PROCESS_EVENT_BIT(PROCESS_EXEC)

struct batch {
    size_t count;
    struct mmsghdr messages[BATCH];
    struct iovec parts[BATCH];
    struct sockaddr_nl senders[BATCH];
    char bytes[BATCH][MESSAGE_BYTES];
};

#define CHANGES_MAX 64u

struct process_netlink {
    int fd;
    int bell_fd; /* gets each exec once more, and what changes users; or -1 */
    uint32_t lost_at_open;
    uint32_t lost_told; /* of both: what a gap was told for */
    bool more;
    struct batch batch;
    struct batch rung;
    size_t change_count; /* of users, which wait for what comes after them, in order */
    struct process_message changes[CHANGES_MAX];
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

/* How far a message of each kind must reach. */
static const struct {
    uint32_t what;
    size_t end;
} forms[] = {
    {PROC_EVENT_NONE, EVENT_FIELD(event_data.ack.err) + sizeof(uint32_t)},
    {PROC_EVENT_FORK, EVENT_FIELD(event_data.fork.child_tgid) + sizeof(uint32_t)},
    {PROC_EVENT_EXEC, EVENT_FIELD(event_data.exec.process_tgid) + sizeof(uint32_t)},
    {PROC_EVENT_UID, EVENT_FIELD(event_data.id.r.ruid) + sizeof(uint32_t)},
    {PROC_EVENT_EXIT, EVENT_FIELD(event_data.exit.exit_code) + sizeof(uint32_t)},
};

static void take_fields(struct span body, struct process_message *message)
{
    if (message->what == PROC_EVENT_NONE) {
        message->request = u32_at(body, offsetof(struct cn_msg, ack));
        message->error = u32_at(body, EVENT_FIELD(event_data.ack.err));
    } else if (message->what == PROC_EVENT_EXEC) {
        message->process_id = (int32_t)u32_at(body, EVENT_FIELD(event_data.exec.process_tgid));
    } else if (message->what == PROC_EVENT_FORK) {
        message->parent_id = (int32_t)u32_at(body, EVENT_FIELD(event_data.fork.parent_tgid));
        message->process_id = (int32_t)u32_at(body, EVENT_FIELD(event_data.fork.child_tgid));
    } else if (message->what == PROC_EVENT_EXIT) {
        message->process_id = (int32_t)u32_at(body, EVENT_FIELD(event_data.exit.process_tgid));
        message->exit_status = u32_at(body, EVENT_FIELD(event_data.exit.exit_code));
    } else if (message->what == PROC_EVENT_UID) {
        message->process_id = (int32_t)u32_at(body, EVENT_FIELD(event_data.id.process_tgid));
        message->user_id = u32_at(body, EVENT_FIELD(event_data.id.r.ruid));
    }
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
    memcpy(&message.happened_ns, body.ptr + EVENT_FIELD(timestamp_ns), sizeof(message.happened_ns));
    for (size_t i = 0; i < COUNT_OF(forms); i++)
        if (forms[i].what == message.what && body.len < forms[i].end)
            return false;
    take_fields(body, &message);
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
    [PROCESS_EXIT] = PROC_EVENT_EXIT,
    [PROCESS_NEW_USER] = PROC_EVENT_UID};

/* Where a message of a type has the thread and its process; where they are equal it tells of a
 * process. An exec always does. */
static const uint32_t threads[][2] = {
    [PROCESS_FORK] = {EVENT_FIELD(event_data.fork.child_pid),
        EVENT_FIELD(event_data.fork.child_tgid)},
    [PROCESS_EXEC] = {EVENT_FIELD(what), EVENT_FIELD(what)},
    [PROCESS_EXIT] = {EVENT_FIELD(event_data.exit.process_pid),
        EVENT_FIELD(event_data.exit.process_tgid)},
    [PROCESS_NEW_USER] = {EVENT_FIELD(event_data.id.process_pid),
        EVENT_FIELD(event_data.id.process_tgid)},
};
_Static_assert(COUNT_OF(threads) == COUNT_OF(whats), "a row for each");

#define FILTER_MAX 36u

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
    for (unsigned type = 0; type < COUNT_OF(whats); type++) {
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
static int open_bell(void)
{
    const struct sockaddr_nl group = {.nl_family = AF_NETLINK, .nl_groups = CN_IDX_PROC};
    const int on = 1, bytes = BELL_BUFFER_BYTES;
    int fd = open_socket();
    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)) == 0 &&
        setsockopt(fd, SOL_NETLINK, NETLINK_NO_ENOBUFS, &on, sizeof(on)) == 0 &&
        set_filter(fd, EXEC_BIT | USER_BIT, false) &&
        bind(fd, (const struct sockaddr *)&group, sizeof(group)) == 0)
        return fd;
    close(fd);
    return -1;
}

/* What both sockets lost, modulo 2^32. */
static uint32_t all_lost(const struct process_netlink *netlink)
{
    uint32_t lost = 0, of_bell = 0;
    (void)get_drops(netlink->fd, &lost);
    if (netlink->bell_fd >= 0)
        (void)get_drops(netlink->bell_fd, &of_bell);
    return lost + of_bell;
}

/* A bell only where there is something else than what it rings for. */
static void settle_bell(struct process_netlink *netlink, unsigned events)
{
    bool wanted = (events & EXEC_BIT) != 0 && events != EXEC_BIT;
    if (wanted == (netlink->bell_fd >= 0))
        return;
    if (wanted) {
        netlink->bell_fd = open_bell();
    } else {
        close(netlink->bell_fd);
        netlink->bell_fd = -1;
    }
    netlink->lost_told = all_lost(netlink);
    netlink->change_count = 0;
}

bool process_netlink_set_events(struct process_netlink *netlink, unsigned events)
{
    if (!set_filter(netlink->fd, events, false))
        return false;
    settle_bell(netlink, events);
    return true;
}

static void prepare(struct batch *batch)
{
    for (size_t i = 0; i < BATCH; i++) {
        batch->parts[i] = (struct iovec){batch->bytes[i], sizeof(batch->bytes[i])};
        batch->messages[i].msg_hdr = (struct msghdr){.msg_name = &batch->senders[i],
            .msg_namelen = sizeof(batch->senders[i]),
            .msg_iov = &batch->parts[i],
            .msg_iovlen = 1};
    }
}

enum err process_netlink_open(
    int buffer_bytes, unsigned events, struct process_netlink **ret_netlink, struct why *why)
{
    struct process_netlink *netlink = mem_alloc(sizeof(*netlink));
    if (netlink == NULL)
        return fail(ERR_MEMORY, why, "%s", err_row(ERR_MEMORY)->text);
    enum err err = ERR_NONE;
    netlink->bell_fd = -1;
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
    prepare(&netlink->batch);
    prepare(&netlink->rung);
    netlink->lost_told = netlink->lost_at_open;
    settle_bell(netlink, events);
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

bool process_netlink_tells_users(const struct process_netlink *netlink)
{
    return netlink->bell_fd >= 0;
}

bool process_netlink_has_more(const struct process_netlink *netlink)
{
    return netlink->more;
}

static void receive(int fd, struct batch *batch)
{
    /* The kernel writes how long a sender is: always the same here. */
    int count = recvmmsg(fd, batch->messages, BATCH, MSG_DONTWAIT, NULL);
    batch->count = count < 0 ? 0 : (size_t)count;
}

struct teller {
    uint64_t now_ns; /* mono */
    process_seen *seen;
    void *self;
};

static int64_t age_us(const struct teller *teller, const struct process_message *message)
{
    int64_t age_us = (int64_t)(teller->now_ns - message->happened_ns) / 1000;
    return age_us < 0 || age_us > AGE_MAX_US ? 0 : age_us;
}

static void tell(const struct process_message *message, const struct teller *teller)
{
    for (unsigned type = 0; type < COUNT_OF(whats); type++) {
        if (message->what != whats[type] || message->process_id <= 0)
            continue;
        const struct process_sighting sighting = {.type = (enum process_event_type)type,
            .pid = message->process_id,
            .parent = message->parent_id > 0 ? message->parent_id : 0,
            .exit_known = type == PROCESS_EXIT,
            .exit_status = message->exit_status,
            .user_id = message->user_id,
            .age_us = age_us(teller, message)};
        teller->seen(teller->self, &sighting);
    }
}

/* Tells the changes of users that happened before a moment. */
static void tell_changes(
    struct process_netlink *netlink, uint64_t before_ns, const struct teller *teller)
{
    size_t count = 0;
    while (count < netlink->change_count && netlink->changes[count].happened_ns < before_ns)
        tell(&netlink->changes[count++], teller);
    if (count == 0)
        return;
    netlink->change_count -= count;
    memmove(netlink->changes, netlink->changes + count,
        netlink->change_count * sizeof(netlink->changes[0]));
}

/* The messages of a datagram; none if it is not the kernel's, whose word alone counts. */
static struct span datagram_of(const struct batch *batch, size_t at)
{
    if (batch->senders[at].nl_pid != 0)
        return SPAN_NONE;
    return (struct span){batch->bytes[at], batch->messages[at].msg_len};
}

static size_t tell_batch(struct process_netlink *netlink, const struct teller *teller)
{
    size_t execs = 0;
    for (size_t i = 0; i < netlink->batch.count; i++) {
        struct span datagram = datagram_of(&netlink->batch, i);
        struct process_message message;
        while (process_message_next(&datagram, &message)) {
            execs += message.what == PROC_EVENT_EXEC;
            tell_changes(netlink, message.happened_ns, teller);
            tell(&message, teller);
        }
    }
    return execs;
}

/* Silences the bell: notes what changes users, and returns how often a program rang. */
static size_t answer_bell(struct process_netlink *netlink, bool *ret_lost)
{
    size_t rung = 0;
    if (netlink->bell_fd < 0)
        return 0;
    do {
        receive(netlink->bell_fd, &netlink->rung);
        for (size_t i = 0; i < netlink->rung.count; i++) {
            struct span datagram = datagram_of(&netlink->rung, i);
            struct process_message message;
            while (process_message_next(&datagram, &message)) {
                rung += message.what == PROC_EVENT_EXEC;
                if (message.what != PROC_EVENT_UID)
                    continue;
                if (netlink->change_count < CHANGES_MAX)
                    netlink->changes[netlink->change_count++] = message;
                else
                    *ret_lost = true;
            }
        }
    } while (netlink->rung.count == BATCH);
    return rung;
}

/* Only where much has come can something have been lost before it. */
static void tell_gap(struct process_netlink *netlink, bool lost, const struct teller *teller)
{
    uint32_t all = all_lost(netlink);
    if (all == netlink->lost_told && !lost)
        return;
    netlink->lost_told = all;
    const struct process_sighting gap = {.type = PROCESS_GAP};
    teller->seen(teller->self, &gap);
}

/*
 * The bell is read second: so it has every change of a user that came before a program of the
 * batch, and none that started since goes unheard, for then it has more programs than the batch.
 */
size_t process_netlink_read(struct process_netlink *netlink, process_seen *seen, void *self)
{
    struct timespec now;
    bool lost = false;
    receive(netlink->fd, &netlink->batch);
    size_t rung = answer_bell(netlink, &lost);
    must(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    const struct teller teller = {
        .now_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec,
        .seen = seen,
        .self = self};
    if (netlink->batch.count == BATCH || rung >= BATCH || lost)
        tell_gap(netlink, lost, &teller);
    size_t execs = tell_batch(netlink, &teller);
    netlink->more = netlink->batch.count == BATCH || rung > execs;
    return netlink->batch.count;
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
