/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watches files and directories with inotify and says what happens to them. There are two
 * instances: one for what is in the watched directories, and one for the directories that decide
 * where the paths of the settings lead (file_route.h), so that a storm beside a path is none for
 * what is in it.
 *
 *   way to a path ── inotify ──> walk it again ──> begins, ends, goes elsewhere
 *                                                       │
 *   what is in it ── inotify ──> directory appears ──> watch it, then look through it
 *                        └─────> told
 *
 * What was made in a new directory before its watch was there is found by looking through it. What
 * an event that waits will tell of, the look leaves to the event; and what was there at first and
 * went before the look, the event that it went gives away (file_waiting.c).
 *
 * Looks are made in pieces: a turn ends after some milliseconds, and as long as one is under way
 * no events of contents are taken in. No thread; nothing blocks but the disk.
 */
#ifndef GEMEL_FILE_WATCH_H
#define GEMEL_FILE_WATCH_H

#include "clock.h"
#include "file_tree.h"

struct file_seen {
    uint32_t mask; /* one of IN_CREATE, IN_DELETE, IN_MODIFY, IN_ATTRIB, IN_MOVED_FROM, _TO */
    bool directory;
    bool cut; /* the path is longer than FILE_PATH_MAX */
    struct span path;
    struct span moved_from; /* of IN_MOVED_TO, where that is known */
};

struct file_watch_options {
    const struct clock *clock;
    void (*seen)(void *self, const struct file_seen *seen);
    void *self;
};

struct file_watch_state {
    uint64_t overflows; /* how often the kernel's queue was full, and an unknown number was lost */
    size_t watched;     /* directories, and files that are named themselves */
    uint64_t unwatched; /* directories that have no watch: for want of watches, or of the right */
};

struct file_watch;

/* ERR_REFUSED: the kernel gives no (further) inotify instance. */
enum err file_watch_open(const struct file_watch_options *options, struct file_watch **ret_watch,
    struct why *why) MUST_USE;
void file_watch_close(struct file_watch *watch); /* NULL is fine */

/*
 * Sets what is watched: the paths of a list with commas. What was watched before and still is goes
 * on without a gap; what is there already is no event. ERR_MEMORY: as before.
 */
enum err file_watch_set(struct file_watch *watch, struct span paths, bool recursive,
    size_t watches_max, struct why *why) MUST_USE;

#define FILE_WATCH_DESCRIPTORS 3u
size_t file_watch_descriptors(const struct file_watch *watch, int *ret_fds, size_t room);

/* Takes in what came; returns the mono time at which it wants to be called again. */
int64_t file_watch_run(struct file_watch *watch);

/* Takes in all that waits now, but not for long; false: something still waits. */
bool file_watch_drain(struct file_watch *watch) MUST_USE;

/* Tries again to watch what could not be watched. */
void file_watch_retry(struct file_watch *watch);

struct file_watch_state file_watch_state(const struct file_watch *watch);

#endif
