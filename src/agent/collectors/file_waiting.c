/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The events of contents that wait, in the kernel or read ahead. A look asks them before it tells
 * or enters what it sees: what an event will tell of, it leaves to the event. An event of a
 * creation waits before readdir() shows what was made, since both take the lock of the directory.
 */
#include "file_watch_priv.h"
#include "mem.h"

#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define READ_BYTES 16384u
/* So much is read ahead: a queue of the kernel's usual size holds less. What waits behind it is
 * told twice rather than never. */
#define AHEAD_BYTES (4u * 1024 * 1024)
#define KEPT_BYTES (4 * READ_BYTES) /* of memory, when nothing waits */
#define GOES (IN_DELETE | IN_MOVED_FROM)

uint64_t queue_mark(const struct queue *queue)
{
    int waiting = 0;
    if (ioctl(queue->fd, FIONREAD, &waiting) != 0 || waiting < 0)
        waiting = 0;
    return queue->read + (uint64_t)waiting;
}

static const struct inotify_event *event_at(const struct buf *bytes, size_t at)
{
    return (const struct inotify_event *)(const void *)(bytes->ptr + at);
}

/* Reads once. False: nothing is there, or there is no memory. */
static bool read_more(struct file_watch *watch)
{
    struct waiting *waiting = &watch->waiting;
    waiting->bytes.failed = false;
    char *room = buf_reserve(&waiting->bytes, READ_BYTES);
    ssize_t got = room == NULL ? -1 : read(watch->contents.fd, room, READ_BYTES);
    if (got < (ssize_t)sizeof(struct inotify_event))
        return false;
    waiting->bytes.len += (size_t)got;
    watch->contents.read += (uint64_t)got;
    return true;
}

static void begin_anew(struct waiting *waiting)
{
    if (waiting->bytes.cap > KEPT_BYTES)
        buf_done(&waiting->bytes);
    else
        buf_clear(&waiting->bytes);
    if (waiting->indexed > 0)
        memset(waiting->names, 0, sizeof(waiting->names));
    waiting->at = waiting->indexed = 0;
}

const struct inotify_event *waiting_take(struct file_watch *watch, unsigned *reads)
{
    struct waiting *waiting = &watch->waiting;
    if (waiting->at == waiting->bytes.len) {
        begin_anew(waiting);
        if (*reads == 0 || !read_more(watch))
            return NULL;
        (*reads)--;
    }
    const struct inotify_event *event = event_at(&waiting->bytes, waiting->at);
    size_t size = sizeof(*event) + event->len;
    must(size <= sizeof(waiting->taken));
    memcpy(waiting->taken, event, size);
    waiting->at += size;
    watch->contents.done += size;
    return (const struct inotify_event *)(const void *)waiting->taken;
}

/* ---- what is said of a name ---- */

static uint64_t hash_of(int wd, struct span name)
{
    uint64_t hash = (uint64_t)wd * UINT64_C(0x9e3779b97f4a7c15);
    for (size_t i = 0; i < name.len; i++)
        hash = (hash ^ (unsigned char)name.ptr[i]) * UINT64_C(0x100000001b3);
    return (hash ^ hash >> 29) % WAITING_NAMES;
}

static bool is_of(const struct inotify_event *event, int wd)
{
    return event->wd == wd && event->len > 0 && (event->mask & (WAITING_COMES | GOES)) != 0;
}

/* Reads all that the kernel has, and takes its names into the index. */
static void read_ahead(struct file_watch *watch)
{
    struct waiting *waiting = &watch->waiting;
    if (waiting->at == waiting->bytes.len)
        begin_anew(waiting);
    while (waiting->bytes.len < AHEAD_BYTES && read_more(watch))
        ;
    if (waiting->indexed < waiting->at)
        waiting->indexed = waiting->at;
    while (waiting->indexed < waiting->bytes.len) {
        const struct inotify_event *event = event_at(&waiting->bytes, waiting->indexed);
        waiting->indexed += sizeof(*event) + event->len;
        if (!is_of(event, event->wd))
            continue;
        uint64_t hash = hash_of(event->wd, span_of(event->name));
        waiting->names[hash / 64] |= UINT64_C(1) << hash % 64;
    }
}

/* The first event of a name among some; NULL: there is none. */
static const struct inotify_event *first_of(
    const struct buf *bytes, size_t from, size_t to, int wd, struct span name)
{
    while (from < to) {
        const struct inotify_event *event = event_at(bytes, from);
        if (is_of(event, wd) && span_is(name, event->name))
            return event;
        from += sizeof(*event) + event->len;
    }
    return NULL;
}

struct waiting_first waiting_first(
    struct file_watch *watch, const struct file_node *node, struct span name)
{
    struct waiting *waiting = &watch->waiting;
    const struct inotify_event *event =
        first_of(&watch->replay, watch->replay_at, watch->replay.len, node->watch, name);
    if (event == NULL)
        event = first_of(&watch->held, 0, watch->held.len, node->watch, name);
    if (event != NULL)
        return (struct waiting_first){.mask = event->mask};
    read_ahead(watch);
    uint64_t hash = hash_of(node->watch, name);
    if ((waiting->names[hash / 64] >> hash % 64 & 1) == 0)
        return (struct waiting_first){.mask = 0};
    event = first_of(&waiting->bytes, waiting->at, waiting->bytes.len, node->watch, name);
    if (event == NULL)
        return (struct waiting_first){.mask = 0};
    size_t at = (size_t)((const char *)event - waiting->bytes.ptr) - waiting->at;
    return (struct waiting_first){event->mask, watch->contents.done + at};
}

/* Tells of what went and of which nothing before says that it came. */
static void tell_gone(struct file_watch *watch, const struct file_node *node,
    const struct buf *bytes, size_t at, bool before)
{
    for (size_t from = at; at < bytes->len;) {
        const struct inotify_event *event = event_at(bytes, at);
        at += sizeof(*event) + event->len;
        if (!is_of(event, node->watch) || (event->mask & GOES) == 0)
            continue;
        struct span name = span_of(event->name);
        if (first_of(bytes, from, bytes->len, node->watch, name) != event)
            continue;
        if (before && first_of(&watch->held, 0, watch->held.len, node->watch, name) != NULL)
            continue;
        file_watch_tell(watch, IN_CREATE, (event->mask & IN_ISDIR) != 0, node, name, NULL);
    }
}

uint64_t waiting_tell_gone(struct file_watch *watch, const struct file_node *node)
{
    read_ahead(watch);
    if (watch->replay_at == watch->replay.len) {
        tell_gone(watch, node, &watch->held, 0, false);
        tell_gone(watch, node, &watch->waiting.bytes, watch->waiting.at, true);
    }
    return watch->contents.read;
}
