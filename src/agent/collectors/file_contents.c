/* SPDX-License-Identifier: Apache-2.0 */
/* The events of what is in the watched directories. */
#include "file_watch_priv.h"
#include "log.h"
#include "mem.h"

#include <fcntl.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

#define TOLD (IN_CREATE | IN_DELETE | IN_MODIFY | IN_ATTRIB | IN_MOVED_FROM | IN_MOVED_TO)
/* The kernel tells of departure and arrival one right after the other. */
#define MOVE_US INT64_C(200000)
/* More than can come between a departure and its arrival. */
#define HELD_BYTES 65536u
/* A turn takes in so much, then others have theirs. */
#define READS_MAX 64u
/* What is remembered of calm is older than that, or a look at it would be too young. */
#define CALM_US INT64_C(50000)
#define EVENTS_A_LOOK 64u /* at the clock */
#define EVENTS_US INT64_C(20000)

/* A directory is to be entered: bits that the kernel is not asked for. */
static const uint32_t enter_masks[] = {
    [NEWS_NONE] = IN_ACCESS,
    [NEWS_YOUNG] = IN_CLOSE_NOWRITE,
    [NEWS_ALL] = IN_OPEN,
};

bool contents_is_there(struct file_watch *watch, const struct file_node *node)
{
    bool cut;
    struct stat stat;
    file_tree_path(node, SPAN_NONE, watch->path, &cut);
    return !cut && lstat(watch->path, &stat) == 0 && stat.st_dev == node->device &&
           stat.st_ino == node->inode;
}

/* ---- moves ---- */

static void remember_departure(
    struct file_watch *watch, uint32_t cookie, const struct file_node *node, struct span name)
{
    bool cut;
    struct departure *departure = &watch->departures[watch->departure_at++ % DEPARTURES];
    mem_free(departure->path);
    departure->cookie = cookie;
    departure->path = mem_text(file_tree_path(node, name, watch->path, &cut));
}

static const char *find_departure(const struct file_watch *watch, uint32_t cookie)
{
    for (size_t i = 0; i < DEPARTURES; i++)
        if (watch->departures[i].cookie == cookie)
            return watch->departures[i].path;
    return NULL;
}

/* A directory departs: its watches stay until it arrives, or does not. */
static void depart(struct file_watch *watch, struct file_node *child, uint32_t cookie)
{
    bool cut;
    struct span path = file_tree_path(child, SPAN_NONE, watch->path, &cut);
    if (!file_tree_move(&watch->tree, child, NULL, path)) {
        scan_forget(watch, child);
        return;
    }
    child->cookie = cookie;
    child->move_due_us = clock_mono_us(watch->options.clock) + MOVE_US;
    child->move_next = watch->moving;
    watch->moving = child;
}

static struct file_node *take_moving(struct file_watch *watch, uint32_t cookie)
{
    for (struct file_node **at = &watch->moving; *at != NULL; at = &(*at)->move_next) {
        struct file_node *node = *at;
        if (node->cookie != cookie)
            continue;
        *at = node->move_next;
        node->cookie = 0;
        return node;
    }
    return NULL;
}

/* Something happened, and nobody knows what. */
static void take_overflow(struct file_watch *watch)
{
    watch->state.overflows++;
    watch->sweep_wanted = true;
    watch->sweep_loud = true;
}

static bool is_moving(const struct file_watch *watch, const struct file_node *node)
{
    if (watch->moving == NULL)
        return false;
    while (node->parent != NULL)
        node = node->parent;
    return node->cookie != 0;
}

static void hold_bytes(struct file_watch *watch, const void *bytes, size_t len)
{
    watch->held_due_us = clock_mono_us(watch->options.clock) + MOVE_US;
    if (watch->held.len + len > HELD_BYTES)
        watch->held_lost = true;
    else
        buf_add(&watch->held, (struct span){bytes, len});
}

/* Whether it goes on within what is watched is not known yet. */
static void hold(struct file_watch *watch, const struct inotify_event *event)
{
    hold_bytes(watch, event, sizeof(*event) + event->len);
}

static void drop_held(struct file_watch *watch)
{
    buf_done(&watch->held);
    watch->held_lost = false;
}

/* That a directory is to be entered later, written as an event that the kernel is not asked for. */
static void hold_entry(
    struct file_watch *watch, const struct file_node *node, struct span name, enum file_news news)
{
    _Alignas(8) char bytes[EVENT_BYTES] = {0};
    size_t len = (name.len / sizeof(struct inotify_event) + 1) * sizeof(struct inotify_event);
    const struct inotify_event event = {
        .wd = node->watch, .mask = enter_masks[news], .len = (uint32_t)len};
    if (sizeof(event) + len > sizeof(bytes))
        return;
    memcpy(bytes, &event, sizeof(event));
    memcpy(bytes + sizeof(event), name.ptr, name.len);
    hold_bytes(watch, bytes, sizeof(event) + len);
}

/* `name` is one of an event, with a NUL. If another event of it waits, that one is the last word.
 */
static void enter(
    struct file_watch *watch, struct file_node *node, struct span name, enum file_news news)
{
    if (waiting_first(watch, node, name).mask != 0) {
        scan_note_unseen(watch, news);
        return;
    }
    int fd = scan_open(watch, node, O_PATH);
    if (fd < 0) {
        scan_note_unseen(watch, news);
        hold_entry(watch, node, name, news);
        return;
    }
    scan_enter(watch, node, name, fd, name.ptr, news);
    close(fd);
}

/* `known`: it comes from a watched directory. */
static void arrive(
    struct file_watch *watch, struct file_node *node, struct span name, uint32_t cookie, bool known)
{
    struct file_node *moved = take_moving(watch, cookie);
    if (moved == NULL) {
        /* It went and was back before we heard of it: what could not be entered meanwhile, can. */
        if (file_tree_child(&watch->tree, node, name) != NULL)
            watch->arrived = true;
        /* What it holds is no news, unless it was made at a place that was not watched yet. */
        bool made_here = known || watch->contents.done <= watch->unseen_until;
        enter(watch, node, name, made_here ? NEWS_YOUNG : NEWS_NONE);
        return;
    }
    struct file_node *replaced = file_tree_child(&watch->tree, node, name);
    if (replaced != NULL)
        scan_forget(watch, replaced);
    if (!file_tree_move(&watch->tree, moved, node, name)) {
        scan_forget(watch, moved);
        return;
    }
    /* First the looks that could not be, which know of the events that waited; then these. */
    scan_again_below(watch, moved);
    watch->arrived = true;
}

int64_t contents_expire_moves(struct file_watch *watch, int64_t now_us)
{
    int64_t next_us = INT64_MAX;
    bool drained = !contents_wait(watch) && queue_mark(&watch->contents) == watch->contents.done;
    for (struct file_node *node = watch->moving, *next; node != NULL; node = next) {
        next = node->move_next;
        if (node->move_due_us <= now_us && drained)
            scan_forget(watch, node);
        else if (node->move_due_us < next_us)
            next_us = node->move_due_us > now_us ? node->move_due_us : now_us;
    }
    if (watch->held.len == 0 && !watch->held_lost)
        return next_us;
    if (watch->moving == NULL && drained && watch->held_due_us <= now_us)
        drop_held(watch);
    else if (watch->held_due_us < next_us)
        next_us = watch->held_due_us > now_us ? watch->held_due_us : now_us + MOVE_US;
    return next_us;
}

/* ---- events ---- */

/* Of a watched directory or file itself. In a watched directory, that one tells of it too. */
static void take_own(struct file_watch *watch, struct file_node *node, uint32_t mask)
{
    const struct watch_root *root = watch->roots;
    while (root != NULL && root->node != node)
        root = root->next;
    if ((mask & IN_IGNORED) != 0) {
        watch->settle_wanted = watch->settle_wanted || root != NULL;
        scan_forget(watch, node);
        return;
    }
    if (root == NULL || root->in_other || (mask & TOLD) == 0)
        return;
    /* A file that is removed changes its metadata, too: the number of its links. */
    struct stat stat;
    bool there =
        (mask & IN_ATTRIB) == 0 || (lstat(root->route.real, &stat) == 0 &&
                                       stat.st_ino == node->inode && stat.st_dev == node->device);
    if (there)
        file_watch_tell(watch, mask & TOLD, (mask & IN_ISDIR) != 0, node, SPAN_NONE, NULL);
}

/* A directory went from its place, unless that is another by now: we may be late. */
static void lose_child(struct file_watch *watch, struct file_node *node, struct span name,
    uint32_t mask, uint32_t cookie)
{
    struct file_node *child = file_tree_child(&watch->tree, node, name);
    if (child == NULL || contents_is_there(watch, child))
        return;
    if ((mask & IN_MOVED_FROM) != 0)
        depart(watch, child, cookie);
    else
        scan_forget(watch, child);
}

static void take_named(struct file_watch *watch, struct file_node *node, uint32_t mask,
    uint32_t cookie, struct span name)
{
    const char *from = (mask & IN_MOVED_TO) != 0 ? find_departure(watch, cookie) : NULL;
    bool directory = (mask & IN_ISDIR) != 0;
    bool inner = directory && watch->recursive;
    file_watch_tell(watch, mask & TOLD, directory, node, name, from);
    if ((mask & IN_MOVED_FROM) != 0)
        remember_departure(watch, cookie, node, name);
    if (inner && (mask & (IN_DELETE | IN_MOVED_FROM)) != 0)
        lose_child(watch, node, name, mask, cookie);
    else if (inner && (mask & IN_CREATE) != 0)
        enter(watch, node, name, NEWS_ALL);
    else if (inner && (mask & IN_MOVED_TO) != 0)
        arrive(watch, node, name, cookie, from != NULL);
}

static void take_event(struct file_watch *watch, const struct inotify_event *event)
{
    if ((event->mask & IN_Q_OVERFLOW) != 0) {
        take_overflow(watch);
        return;
    }
    struct file_node *node = file_tree_by_watch(&watch->tree, event->wd);
    if (node == NULL)
        return;
    if (is_moving(watch, node)) {
        hold(watch, event);
        return;
    }
    struct span name = event->len == 0 ? SPAN_NONE : span_of(event->name);
    if (name.len == 0)
        take_own(watch, node, event->mask);
    else if ((event->mask & TOLD) != 0)
        take_named(watch, node, event->mask, event->cookie, name);
    for (size_t i = 0; i < COUNT_OF(enter_masks); i++)
        if ((event->mask & enter_masks[i]) != 0)
            enter(watch, node, name, (enum file_news)i);
}

/* The next event that was held and counts, since what it is of arrived. NULL: there is none. */
static const struct inotify_event *next_held(struct file_watch *watch)
{
    if (watch->replay_at == watch->replay.len) {
        buf_done(&watch->replay);
        watch->replay_at = 0;
        if (!watch->arrived)
            return NULL;
        bool lost = watch->held_lost || watch->held.failed;
        watch->replay = watch->held;
        watch->held = BUF_EMPTY;
        watch->held_lost = watch->arrived = false;
        if (lost)
            take_overflow(watch);
        if (watch->replay.len == 0)
            return NULL;
    }
    const struct inotify_event *event =
        (const struct inotify_event *)(const void *)(watch->replay.ptr + watch->replay_at);
    watch->replay_at += sizeof(*event) + event->len;
    return event;
}

/* Nothing waits: what comes is younger. As the file system's clock, which is coarse. */
static void note_calm(struct file_watch *watch)
{
    struct timespec now;
    if (watch->held.len > 0 || queue_mark(&watch->contents) != watch->contents.done ||
        clock_gettime(CLOCK_REALTIME_COARSE, &now) != 0)
        return;
    int64_t now_us = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
    if (now_us - watch->calm_us < CALM_US && now_us >= watch->calm_us)
        return;
    watch->calm_before_us = watch->calm_us;
    watch->calm_us = now_us;
}

bool contents_wait(const struct file_watch *watch)
{
    return watch->arrived || watch->replay_at < watch->replay.len ||
           watch->waiting.at < watch->waiting.bytes.len;
}

void contents_read(struct file_watch *watch)
{
    int64_t end_us = clock_mono_us(watch->options.clock) + EVENTS_US;
    unsigned reads = READS_MAX;
    for (unsigned events = 1; scan_run(watch); events++) {
        const struct inotify_event *event = next_held(watch);
        if (event == NULL)
            event = waiting_take(watch, &reads);
        if (event == NULL) {
            note_calm(watch);
            return;
        }
        take_event(watch, event);
        if (events % EVENTS_A_LOOK == 0 && clock_mono_us(watch->options.clock) >= end_us)
            return;
    }
}

void contents_done(struct file_watch *watch)
{
    drop_held(watch);
    buf_done(&watch->replay);
    buf_done(&watch->waiting.bytes);
    for (size_t i = 0; i < DEPARTURES; i++)
        mem_free(watch->departures[i].path);
}
