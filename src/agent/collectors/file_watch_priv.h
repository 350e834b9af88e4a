/* SPDX-License-Identifier: Apache-2.0 */
/* What the four files of file_watch.h share: file_watch.c has the paths and the turn, contents the
 * events of what is in them, waiting those that were not taken yet, scan the looks through
 * directories. */
#ifndef GEMEL_FILE_WATCH_PRIV_H
#define GEMEL_FILE_WATCH_PRIV_H

#include "buf.h"
#include "file_route.h"
#include "file_watch.h"

#include <dirent.h>
#include <sys/inotify.h>

#define WATCH_PART "filesystem"
#define DEPARTURES 16u
#define WAITING_NAMES 65536u
#define EVENT_BYTES (sizeof(struct inotify_event) + NAME_MAX + 1)

/* A path of the settings. */
struct watch_root {
    struct watch_root *next;
    char *path;
    struct file_route route;
    struct file_node *node; /* NULL: not there, or what is in it is watched as a part of another */
    bool known;             /* the route was walked */
    bool dirty;
    bool wanted;   /* by the settings; else it goes */
    bool told;     /* what happened at the path's end was told, since the last walk */
    bool quiet;    /* what is in it is no news */
    bool in_other; /* what happens at its end is told as a part of another */
    uint64_t told_until;
};

/* Something that was moved away from a watched directory: what its arrival tells. */
struct departure {
    uint32_t cookie;
    char *path;
};

/* A look through a directory that is under way. */
struct look {
    struct file_node *node; /* NULL: none is */
    DIR *dir;
    enum file_news news;
    uint64_t gone_told; /* waiting_tell_gone() told up to here */
};

/* An inotify queue, in bytes since the beginning: an event whose end lies behind a mark came after
 * the mark was taken. */
struct queue {
    int fd;
    uint64_t read;
    uint64_t done;
};

/* Of the queue of contents, what was read and not taken yet. */
struct waiting {
    struct buf bytes;                    /* events, as the kernel wrote them */
    size_t at;                           /* the next one */
    _Alignas(8) char taken[EVENT_BYTES]; /* the one taken last: `bytes` grow while it is in use */
    size_t indexed;                      /* up to here `names` knows them */
    uint64_t names[WAITING_NAMES / 64];  /* a bit for each hash of a watch and a name */
};

struct file_watch {
    struct file_watch_options options;
    struct queue contents;
    struct queue routes;
    int mounts_fd; /* /proc/self/mountinfo: asked whether it changed */
    int mounts_poll_fd;
    int mounts_wake_fd; /* readable when it did: an epoll that has another descriptor of it */
    uint64_t mounts;    /* at or below our paths, as a number */
    struct file_tree tree;
    struct watch_root *roots;
    bool recursive;
    size_t watches_max;
    struct file_watch_state state;

    bool settle_wanted;
    uint64_t settle_at; /* of contents: what waited before a path changed is taken in before */
    bool sweep_wanted;
    bool sweep_loud;
    int64_t sweep_not_before_us;
    bool sweeping;
    bool sweep_tells;   /* of what is new, the sweep that is under way */
    bool sweep_forgets; /* what it does not see */
    uint64_t unwatched_before;
    unsigned generation; /* of the last sweep, from 1 on */
    size_t kept;         /* nodes of this generation: those that it found, and newer ones */
    bool want_told;      /* that watches ran out was logged */

    int64_t turn_end_us; /* no look goes on after that */
    bool finish_wanted;  /* paths that have, or get, no watch of their own are put away after it */
    struct look look;
    struct file_node *scan_first;
    struct file_node *scan_last;
    unsigned scan_fds;     /* how many nodes of the queue have one */
    uint64_t unseen_until; /* of contents: up to here something may have left an unwatched place */
    /* Wall times at which nothing waited: what waits now is younger than either. */
    int64_t calm_us;
    int64_t calm_before_us;
    struct file_node *moving;
    /* Events of what is on the move, as the kernel wrote them: they count if it arrives. And
     * directories that could not be entered, since the one they are in went before we looked. */
    struct buf held;
    int64_t held_due_us; /* not dropped before */
    bool held_lost;      /* there was no room for one */
    bool arrived;        /* something did: what is held counts */
    struct buf replay;   /* what was held, and is taken now */
    size_t replay_at;
    struct departure departures[DEPARTURES];
    size_t departure_at;

    struct waiting waiting;
    char path[FILE_PATH_MAX];
};

/* Where the queue ends now. */
uint64_t queue_mark(const struct queue *queue);

/* Tells of what is called `name` in a node (empty: of the node itself). */
void file_watch_tell(struct file_watch *watch, uint32_t mask, bool directory,
    const struct file_node *node, struct span name, const char *moved_from);

/* ---- scan ---- */

/* Watches what an O_PATH descriptor is of; negative if that cannot be, which is counted. */
int scan_watch_fd(struct file_watch *watch, int fd);

/* Watches a directory in a watched one, and queues it to be looked through. `at_fd`, `at_name`:
 * how it is opened. */
void scan_enter(struct file_watch *watch, struct file_node *parent, struct span name, int at_fd,
    const char *at_name, enum file_news news);

/* A new directory is not watched yet: what leaves it comes from nowhere, for all that we hear. */
void scan_note_unseen(struct file_watch *watch, enum file_news news);

/* Opens a node's directory; -1: it is not at its place, where another may be by now. */
int scan_open(struct file_watch *watch, const struct file_node *node, int flags);

void scan_queue(struct file_watch *watch, struct file_node *node, enum file_news news);

/* Looks through what is queued, until the turn ends; whether all is done. Until it is, no events
 * are taken in: they wait in the kernel, and what a look finds is told once. */
bool scan_run(struct file_watch *watch);
bool scan_is_done(const struct file_watch *watch);

/* Queues what could not be looked through at its old place. */
void scan_again_below(struct file_watch *watch, struct file_node *node);

/* Begins to look through everything, to enter what is new and forget what is gone. `loud`: what is
 * new is told. */
void scan_sweep(struct file_watch *watch, bool loud);

/* A node is where it should be, as the sweep that is under way or was the last finds. */
void scan_keep(struct file_watch *watch, struct file_node *node);

/* Ends the watches of a node and of all below it. */
void scan_forget(struct file_watch *watch, struct file_node *node);

/* ---- waiting ---- */

#define WAITING_COMES (IN_CREATE | IN_MOVED_TO)

/* The next event, good until the next call; NULL: none is there, or it was read often enough. */
const struct inotify_event *waiting_take(struct file_watch *watch, unsigned *reads);

struct waiting_first {
    uint32_t mask;     /* 0: no event waits */
    uint64_t position; /* where it begins */
};

/* The first event that waits of something that comes to, or goes from, a name in a node. */
struct waiting_first waiting_first(
    struct file_watch *watch, const struct file_node *node, struct span name);

/* Tells of what was in a new node before it was watched, and went since: there are events that it
 * went. Returns the end of those that were asked. */
uint64_t waiting_tell_gone(struct file_watch *watch, const struct file_node *node);

/* ---- contents ---- */

/* Takes in what came, as much as one turn may; looks come first. */
void contents_read(struct file_watch *watch);
/* Whether something was read and waits. */
bool contents_wait(const struct file_watch *watch);
/* Forgets what was moved away and arrived nowhere; returns when to ask again. */
int64_t contents_expire_moves(struct file_watch *watch, int64_t now_us);
void contents_done(struct file_watch *watch);

/* Whether a path leads to a node's directory now; not through a last link. */
bool contents_is_there(struct file_watch *watch, const struct file_node *node);

#endif
