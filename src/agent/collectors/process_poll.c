/* SPDX-License-Identifier: Apache-2.0 */
#include "process_poll.h"

#include "mem.h"
#include "procfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

struct life {
    pid_t pid;
    uint64_t inode; /* of the directory in /proc: cheap to see, and another for another life */
    uint64_t start_ticks;
    bool told; /* or nothing to tell */
    bool kernel_thread;
    uint32_t looks; /* while it is not told */
};

struct lives {
    struct life *items;
    size_t count;
    size_t cap;
};

struct process_poll {
    DIR *directory;
    struct lives known; /* ordered by pid */
    struct lives found; /* of the look that is going on; its memory is kept */
};

static bool add_life(struct lives *lives, struct life life)
{
    if (lives->count == lives->cap) {
        size_t cap = lives->cap == 0 ? 256 : lives->cap * 2;
        struct life *items = mem_resize(lives->items, cap * sizeof(*items));
        if (items == NULL)
            return false;
        lives->items = items;
        lives->cap = cap;
    }
    lives->items[lives->count++] = life;
    return true;
}

static int by_pid(const void *a, const void *b)
{
    pid_t x = ((const struct life *)a)->pid, y = ((const struct life *)b)->pid;
    return (x > y) - (x < y);
}

/* Lists the pids of /proc. The kernel gives them in order; other file systems do not. */
static enum err list(struct process_poll *poll)
{
    poll->found.count = 0;
    bool ordered = true;
    rewinddir(poll->directory);
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(poll->directory);
        if (entry == NULL)
            break;
        uint64_t pid;
        if (!span_u64(span_of(entry->d_name), INT32_MAX, &pid) || pid == 0)
            continue;
        struct life life = {.pid = (pid_t)pid, .inode = entry->d_ino};
        if (poll->found.count > 0)
            ordered = ordered && poll->found.items[poll->found.count - 1].pid < life.pid;
        if (!add_life(&poll->found, life))
            return ERR_MEMORY;
    }
    if (errno != 0)
        return ERR_IO;
    if (!ordered)
        qsort(poll->found.items, poll->found.count, sizeof(poll->found.items[0]), by_pid);
    return ERR_NONE;
}

/* Looks after which what may be a program without a command line is told all the same: a few have
 * none, and without rights one cannot be told from a program that starts in this very moment. */
#define PATIENCE 64u

/* Whether to read once more what has not called exec yet: at the 1st, 2nd, 4th, 8th … look, so that
 * workers which never do cost nothing. */
static bool is_worth_a_read(uint32_t looks)
{
    return (looks & (looks - 1)) == 0;
}

/* What is known of a pid that was not there before. Not NULL: gcc 14.2 drops a test for NULL that
 * stands behind the first one in update(), and reads through it. */
static const struct life unknown;

static void tell(
    enum process_event_type type, pid_t pid, uint32_t parent, process_seen *seen, void *self)
{
    const struct process_sighting sighting = {.type = type, .pid = pid, .parent = (pid_t)parent};
    if (seen != NULL)
        seen(self, &sighting);
}

/* Tells the end of a life, unless it was a kernel thread's or was never told of. */
static void tell_end(const struct life *life, process_seen *seen, void *self)
{
    if (life->start_ticks != 0 && !life->kernel_thread)
        tell(PROCESS_EXIT, life->pid, 0, seen, self);
}

/* Brings one life up to date; false: the process is gone. `known` is what was known of its pid. */
static bool update(struct process_poll *poll, const struct life *known, struct life *life,
    process_seen *seen, void *self)
{
    bool same = known != &unknown && known->inode == life->inode;
    if (same && known->told) {
        *life = *known;
        return true;
    }
    uint32_t looks = same ? known->looks + 1 : 1;
    if (same && !is_worth_a_read(looks)) {
        *life = *known;
        life->looks = looks;
        return true;
    }
    struct process_stat stat;
    if (!procfs_stat(dirfd(poll->directory), life->pid, &stat)) {
        tell_end(known, seen, self);
        return false;
    }
    if (known != &unknown && known->start_ticks != stat.start_ticks)
        tell_end(known, seen, self);
    if (known->start_ticks != stat.start_ticks && !stat.kernel_thread)
        tell(PROCESS_FORK, life->pid, stat.parent_process_id, seen, self);
    /* The kernel may also have forgotten and made the directory again, with another inode. */
    bool told = known->start_ticks == stat.start_ticks && known->told;
    life->start_ticks = stat.start_ticks;
    life->looks = looks;
    life->kernel_thread = stat.kernel_thread;
    life->told = told || stat.kernel_thread;
    if (life->told || !stat.executed)
        return true;
    bool ended = stat.state == 'Z' || stat.state == 'X';
    if (!ended && !stat.has_arguments && looks < PATIENCE &&
        procfs_is_starting(dirfd(poll->directory), life->pid))
        return true;
    life->told = true;
    tell(PROCESS_EXEC, life->pid, 0, seen, self);
    return true;
}

/* Walks the two ordered lists together. */
static void compare(struct process_poll *poll, process_seen *seen, void *self)
{
    const struct lives *known = &poll->known;
    size_t at = 0, kept = 0;
    for (size_t i = 0; i < poll->found.count; i++) {
        struct life life = poll->found.items[i];
        while (at < known->count && known->items[at].pid < life.pid)
            tell_end(&known->items[at++], seen, self);
        bool is_known = at < known->count && known->items[at].pid == life.pid;
        if (update(poll, is_known ? &known->items[at] : &unknown, &life, seen, self))
            poll->found.items[kept++] = life;
        at += is_known;
    }
    while (at < known->count)
        tell_end(&known->items[at++], seen, self);
    poll->found.count = kept;
    struct lives previous = poll->known;
    poll->known = poll->found;
    poll->found = previous;
}

void process_poll_review(struct process_poll *poll,
    struct process_poll_known (*known)(void *self, pid_t pid), void *self)
{
    size_t kept = 0;
    for (size_t i = 0; i < poll->known.count; i++) {
        struct life life = poll->known.items[i];
        struct process_poll_known of = known(self, life.pid);
        if (!of.lives)
            continue;
        life.told = life.told && (of.executed || life.kernel_thread);
        life.looks = 0;
        poll->known.items[kept++] = life;
    }
    poll->known.count = kept;
}

void process_poll_hurry(struct process_poll *poll)
{
    for (size_t i = 0; i < poll->known.count; i++) {
        struct life *life = &poll->known.items[i];
        if (!life->told && life->looks < PATIENCE)
            life->looks = 0;
    }
}

enum err process_poll_look(struct process_poll *poll, process_seen *seen, void *self)
{
    enum err err = list(poll);
    if (err == ERR_NONE)
        compare(poll, seen, self);
    return err;
}

bool process_poll_found(const struct process_poll *poll, pid_t pid)
{
    const struct life life = {.pid = pid};
    const struct lives *known = &poll->known;
    return known->count > 0 &&
           bsearch(&life, known->items, known->count, sizeof(known->items[0]), by_pid) != NULL;
}

enum err process_poll_open(const char *proc_dir, struct process_poll **ret_poll, struct why *why)
{
    struct process_poll *poll = mem_alloc(sizeof(*poll));
    if (poll == NULL)
        return fail(ERR_MEMORY, why, "%s", err_row(ERR_MEMORY)->text);
    poll->directory = opendir(proc_dir);
    enum err err = poll->directory == NULL ? ERR_IO : process_poll_look(poll, NULL, NULL);
    if (err != ERR_NONE) {
        why_set(why, "%s cannot be read: %s", proc_dir,
            err == ERR_MEMORY ? err_row(err)->text : strerror(errno));
        process_poll_close(poll);
        return err;
    }
    *ret_poll = poll;
    return ERR_NONE;
}

void process_poll_close(struct process_poll *poll)
{
    if (poll == NULL)
        return;
    if (poll->directory != NULL)
        closedir(poll->directory);
    mem_free(poll->known.items);
    mem_free(poll->found.items);
    mem_free(poll);
}
