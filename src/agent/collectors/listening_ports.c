/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ports at which this machine can be reached: TCP sockets that listen, and UDP sockets that are
 * bound and not connected, with their process and user where the kernel tells. A scan is one event,
 * or several that share a scan_id and are numbered from 1; the last says so.
 *
 * Of this network namespace only. A socket of IPv6 at "::" may take IPv4 as well.
 */
#include "collector.h"
#include "mem.h"
#include "message.h"
#include "socket_diag.h"
#include "users.h"

#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>

#define PORTS_MAX 4096u
#define PORTS_PER_EVENT 256u
/* The walk stops there, so that the main loop is not held up; what is not found has no process. */
#define DESCRIPTORS_MAX 50000u
#define NET_DIR_BYTES 4096u

struct listening_ports {
    const char *etc_dir;
    const char *proc_dir;
    uint32_t (*random)(void);
};

struct port {
    struct socket_facts socket;
    struct socket_owner *owner; /* a reference, or NULL */
};

struct scan {
    struct port *ports; /* owned */
    size_t count;
    uint64_t left_out;
    bool failed; /* no memory */
};

static void scan_done(struct scan *scan)
{
    for (size_t i = 0; i < scan->count; i++)
        socket_owner_drop(scan->ports[i].owner);
    mem_free(scan->ports);
}

static void take(void *self, const struct socket_facts *facts)
{
    struct scan *scan = self;
    if (scan->count == PORTS_MAX) {
        scan->left_out++;
        return;
    }
    if (scan->count % PORTS_PER_EVENT == 0) {
        struct port *more =
            mem_resize(scan->ports, (scan->count + PORTS_PER_EVENT) * sizeof(*more));
        scan->failed = scan->failed || more == NULL;
        if (more == NULL)
            return;
        scan->ports = more;
    }
    scan->ports[scan->count++] = (struct port){.socket = *facts};
}

/* By protocol, family, port, address, process. */
static int compare(const void *left, const void *right)
{
    const struct port *a = left, *b = right;
    if (a->socket.protocol != b->socket.protocol)
        return a->socket.protocol < b->socket.protocol ? -1 : 1;
    if (a->socket.ipv6 != b->socket.ipv6)
        return a->socket.ipv6 ? 1 : -1;
    if (a->socket.local_port != b->socket.local_port)
        return a->socket.local_port < b->socket.local_port ? -1 : 1;
    int order = memcmp(&a->socket.local, &b->socket.local, sizeof(a->socket.local));
    uint32_t a_id = a->owner == NULL ? 0 : a->owner->process_id;
    uint32_t b_id = b->owner == NULL ? 0 : b->owner->process_id;
    return order != 0 ? order : a_id < b_id ? -1 : a_id > b_id;
}

static int compare_inodes(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

/* Without memory for it nobody is known. */
static void find_owners(const struct listening_ports *self, struct scan *scan)
{
    uint64_t *inodes = mem_alloc((scan->count + 1) * sizeof(*inodes));
    struct socket_owner **found = mem_alloc((scan->count + 1) * sizeof(struct socket_owner *));
    struct socket_owners owners;
    if (inodes != NULL && found != NULL) {
        for (size_t i = 0; i < scan->count; i++)
            inodes[i] = scan->ports[i].socket.inode;
        qsort(inodes, scan->count, sizeof(*inodes), compare_inodes);
        socket_owners_init(&owners, self->proc_dir);
        socket_owners_walk(&owners, inodes, scan->count, DESCRIPTORS_MAX, found);
        for (size_t i = 0; i < scan->count; i++) {
            const uint64_t *at = bsearch(
                &scan->ports[i].socket.inode, inodes, scan->count, sizeof(*inodes), compare_inodes);
            scan->ports[i].owner = socket_owner_share(at == NULL ? NULL : found[at - inodes]);
        }
        for (size_t i = 0; i < scan->count; i++)
            socket_owner_drop(found[i]);
        socket_owners_done(&owners);
    }
    mem_free(inodes);
    mem_free(found);
}

/* Sockets that share a port in one process are one. */
static void merge(struct scan *scan)
{
    size_t kept = 0;
    qsort(scan->ports, scan->count, sizeof(*scan->ports), compare);
    for (size_t i = 0; i < scan->count; i++) {
        if (kept > 0 && compare(&scan->ports[kept - 1], &scan->ports[i]) == 0)
            socket_owner_drop(scan->ports[i].owner);
        else
            scan->ports[kept++] = scan->ports[i];
    }
    scan->count = kept;
}

static enum err look(const struct listening_ports *self, struct scan *scan, struct why *why)
{
    struct socket_diag diag = {.fd = -1};
    enum err err = socket_diag_open(&diag, why);
    if (err == ERR_NONE)
        err = socket_diag_listening(&diag, take, scan);
    socket_diag_close(&diag);
    if (err != ERR_NONE) {
        char net_dir[NET_DIR_BYTES];
        if (snprintf(net_dir, sizeof(net_dir), "%s/self/net", self->proc_dir) >=
            (int)sizeof(net_dir))
            return fail(ERR_IO, why, "the path of /proc is too long");
        scan->count = 0;
        scan->left_out = 0;
        err = socket_files_listening(net_dir, take, scan);
    }
    if (err != ERR_NONE)
        return fail(err, why, "neither sock_diag nor /proc/net tells of sockets");
    if (scan->failed)
        return fail(ERR_MEMORY, why, "%s", err_row(ERR_MEMORY)->text);
    if (scan->count > 0) {
        find_owners(self, scan);
        merge(scan);
    }
    return ERR_NONE;
}

static struct json *json_of(struct arena *arena, const struct port *port, const struct users *users)
{
    struct json *object = json_new(arena, JSON_OBJECT);
    char text[PACKET_ADDRESS_TEXT];
    struct span user = users_find(users, port->socket.user_id);
    bool done = object != NULL &&
                json_set_text(arena, object, "local_address",
                    span_of(packet_address_text(port->socket.ipv6, &port->socket.local, text))) &&
                json_set_int(arena, object, "local_port", port->socket.local_port) &&
                json_set_text(arena, object, "protocol",
                    span_of(port->socket.protocol == PACKET_TCP ? "TCP" : "UDP")) &&
                json_set_int(arena, object, "user_id", port->socket.user_id) &&
                (user.len == 0 || json_set_text(arena, object, "user_name", user));
    if (done && port->owner != NULL)
        done = json_set_int(arena, object, "process_id", port->owner->process_id) &&
               (port->owner->executable.len == 0 ||
                   json_set_text(arena, object, "executable", port->owner->executable));
    return done ? object : NULL;
}

/* What the events of a scan have in common. */
struct report {
    struct collector_writer *writer;
    const struct scan *scan;
    const struct users *users;
    struct span id;
    int64_t part;
};

static struct json *payload_of(const struct report *report, size_t from, size_t count)
{
    struct arena *arena;
    const struct scan *scan = report->scan;
    struct json *payload = collector_payload(report->writer, &arena);
    struct json *list = payload == NULL ? NULL : json_new(arena, JSON_ARRAY);
    for (size_t i = from; i < from + count; i++)
        if (list == NULL || !json_append(list, json_of(arena, &scan->ports[i], report->users)))
            return NULL;
    bool last = from + count == scan->count;
    bool done = list != NULL && json_set_text(arena, payload, "scan_id", report->id) &&
                json_set_int(arena, payload, "part", report->part) &&
                json_set_bool(arena, payload, "last", last);
    if (last)
        done = done && json_set_int(arena, payload, "port_count", (int64_t)scan->count) &&
               (scan->left_out == 0 ||
                   json_set_int(arena, payload, "ports_left_out", (int64_t)scan->left_out));
    done = done && json_set(arena, payload, SPAN_LIT("ports"), list);
    return done ? payload : NULL;
}

static enum err write_scan(struct report *report)
{
    size_t from = 0, most = PORTS_PER_EVENT;
    for (;;) {
        size_t count = report->scan->count - from;
        count = count < most ? count : most;
        report->part++;
        enum err err = collector_write(report->writer, collector_now_us(report->writer),
            count > 0 ? count : 1, payload_of(report, from, count));
        if (err == ERR_TOO_LARGE && count > 1) {
            most = count / 2;
            report->part--;
            continue;
        }
        if (err == ERR_TOO_LARGE)
            collector_lose(report->writer, LOSS_TOO_LARGE, 1);
        if (err != ERR_NONE)
            return err;
        from += count;
        if (from == report->scan->count)
            return ERR_NONE;
    }
}

static enum err collect(void *state, struct collector_writer *writer, struct why *why)
{
    const struct listening_ports *self = state;
    struct scan scan = {0};
    AUTO(users_done) struct users users = {0};
    AUTO(buf_done) struct buf id = BUF_EMPTY;
    enum err err = look(self, &scan, why);
    if (err == ERR_NONE) {
        users_load(self->etc_dir, &users);
        message_add_uuid(&id, self->random);
        struct report report = {writer, &scan, &users, buf_span(&id), 0};
        err = id.failed ? ERR_MEMORY : write_scan(&report);
        if (err != ERR_NONE)
            err = fail(err, why, "the list of ports could not be written: %s", err_row(err)->text);
    }
    scan_done(&scan);
    return err;
}

static enum err listening_ports_new(
    const struct collectors_options *options, void **ret_state, struct why *why)
{
    struct listening_ports *self = mem_alloc(sizeof(*self));
    if (self == NULL)
        return fail(ERR_MEMORY, why, "%s", err_row(ERR_MEMORY)->text);
    self->etc_dir = options->etc_dir;
    self->proc_dir = options->proc_dir;
    self->random = options->random;
    *ret_state = self;
    return ERR_NONE;
}

const struct collector listening_ports_collector = {
    .name = "ListeningPorts",
    .part = PART_LISTENING_PORTS,
    .disabled = SETTING_LISTENING_PORTS_DISABLED,
    .frequency = SETTING_LISTENING_PORTS_MESSAGE_FREQUENCY,
    .capabilities = UINT64_C(1) << CAP_SYS_PTRACE,
    .snapshot = true,
    .new = listening_ports_new,
    .free = mem_free,
    .collect = collect,
};
