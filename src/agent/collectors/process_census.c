/* SPDX-License-Identifier: Apache-2.0 */
#include "process_census.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define KTHREADD 2 /* whose children are the kernel's own threads */

enum err process_census_open(
    struct process_census *ret_census, const char *proc_dir, struct why *why)
{
    int proc_fd = open(proc_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (proc_fd < 0)
        return fail(ERR_IO, why, "%s: %s", proc_dir, strerror(errno));
    *ret_census = (struct process_census){.proc_dir = proc_dir, .proc_fd = proc_fd};
    return ERR_NONE;
}

void process_census_close(struct process_census *census)
{
    process_census_end(census);
    if (census->proc_fd >= 0)
        close(census->proc_fd);
    census->proc_fd = -1;
}

/* ---- counting ---- */

void process_census_begin(struct process_census *census)
{
    if (census->counting != NULL)
        closedir(census->counting);
    census->counting = opendir(census->proc_dir);
    census->remembers = true;
    census->gap = false;
}

static bool is_gone(void *self, uint32_t pid)
{
    const struct process_census *census = self;
    char name[16];
    snprintf(name, sizeof(name), "%u", pid);
    return faccessat(census->proc_fd, name, F_OK, 0) != 0;
}

static void end_count(struct process_census *census)
{
    closedir(census->counting);
    census->counting = NULL;
    census->sure = !census->gap;
    if (census->gap) {
        process_census_begin(census);
        return;
    }
    /* Only then: who is gone may be one whose end is yet to be told. */
    if (census->missed)
        process_lives_sweep(&census->lives, is_gone, census);
    census->missed = false;
}

static void count_one(struct process_census *census, pid_t pid)
{
    const struct process_live *live = process_lives_find(&census->lives, (uint32_t)pid);
    struct process_stat stat;
    if (census->sure && live != NULL && live->known != NULL)
        return; /* it began since, and was told of */
    if (!procfs_stat(census->proc_fd, pid, &stat))
        return;
    if (stat.kernel_thread) {
        process_lives_put_kernel_thread(&census->lives, (uint32_t)pid);
        return;
    }
    procfs_read(census->proc_fd, pid, &census->facts);
    if (census->facts.state == COMMAND_LINE_GONE && live != NULL)
        return;
    /* The kernel tells a moment after /proc shows it: what was not told may still be. */
    bool executed = live == NULL ? stat.executed : live->executed;
    bool counted = live == NULL || live->counted;
    process_lives_put(&census->lives, &census->facts, executed);
    if (counted)
        process_lives_set_counted(&census->lives, (uint32_t)pid);
}

void process_census_recount(struct process_census *census)
{
    census->sure = false;
    if (census->counting == NULL)
        process_census_begin(census);
    else
        census->gap = true; /* what was counted already may be wrong */
}

bool process_census_step(struct process_census *census)
{
    if (census->counting == NULL)
        return false;
    for (const struct dirent *entry; (entry = readdir(census->counting)) != NULL;) {
        uint64_t pid;
        if (!span_u64(span_of(entry->d_name), INT32_MAX, &pid) || pid == 0)
            continue;
        count_one(census, (pid_t)pid);
        return true;
    }
    end_count(census);
    return census->counting != NULL;
}

void process_census_end(struct process_census *census)
{
    if (census->counting != NULL)
        closedir(census->counting);
    census->counting = NULL;
    census->remembers = census->sure = census->gap = census->missed = false;
    process_lives_done(&census->lives);
}

/* ---- what is seen ---- */

/* Reads what has started a program. Its parent and its user are known where all was told that could
 * have changed them: then half of the reading is saved. */
static void learn(struct process_census *census, uint32_t pid, bool executed)
{
    const struct process_live *live =
        census->remembers ? process_lives_find(&census->lives, pid) : NULL;
    if (live != NULL && live->identity_known && census->sure && census->users_are_told &&
        process_lives_has_parent(&census->lives, live))
        procfs_read_of_user(
            census->proc_fd, (pid_t)pid, live->parent, live->user_id, &census->facts);
    else
        procfs_read(census->proc_fd, (pid_t)pid, &census->facts);
    if (census->remembers)
        process_lives_put(&census->lives, &census->facts, executed);
}

/* The facts of a fork: its parent's. False: it is none of a program. */
static bool take_fork(struct process_census *census, const struct process_sighting *sighting)
{
    struct process_lives *lives = &census->lives;
    uint32_t pid = (uint32_t)sighting->pid, parent = (uint32_t)sighting->parent;
    const struct process_live *from = process_lives_find(lives, parent);
    if (sighting->parent == KTHREADD || (from != NULL && from->kernel_thread)) {
        process_lives_put_kernel_thread(lives, pid);
        return false;
    }
    if (from == NULL && sighting->parent > 0)
        learn(census, parent, true);
    process_lives_fork(lives, pid, parent);
    process_lives_facts(process_lives_find(lives, parent), pid, parent, &census->facts);
    return true;
}

/* The facts of what has ended: what was remembered, or what the kernel keeps until its parent has
 * heard of it. */
static bool take_exit(struct process_census *census, const struct process_sighting *sighting)
{
    uint32_t pid = (uint32_t)sighting->pid;
    const struct process_live *live = process_lives_find(&census->lives, pid);
    bool kernel_thread = live != NULL && live->kernel_thread;
    if (live == NULL || (live->known == NULL && !kernel_thread))
        procfs_read(census->proc_fd, sighting->pid, &census->facts);
    else
        process_lives_facts(live, pid, live->parent, &census->facts);
    process_lives_remove(&census->lives, pid);
    return !kernel_thread;
}

static bool take_exec(struct process_census *census, const struct process_sighting *sighting)
{
    learn(census, (uint32_t)sighting->pid, true);
    return true;
}

static bool take_new_user(struct process_census *census, const struct process_sighting *sighting)
{
    process_lives_set_user(&census->lives, (uint32_t)sighting->pid, sighting->user_id);
    return false;
}

static bool take_gap(struct process_census *census, const struct process_sighting *sighting UNUSED)
{
    if (!census->remembers)
        return false;
    process_census_recount(census);
    census->missed = true;
    return false;
}

/* Where ends were lost, what is remembered may be of the dead. */
static void sweep(struct process_census *census)
{
    census->unswept++;
    if (!process_lives_full(&census->lives) || census->unswept < PROCESS_LIVES_MAX)
        return;
    process_lives_sweep(&census->lives, is_gone, census);
    census->unswept = 0;
}

bool process_census_take(struct process_census *census, const struct process_sighting *sighting)
{
    static bool (*const takes[])(struct process_census *, const struct process_sighting *) = {
        [PROCESS_FORK] = take_fork,
        [PROCESS_EXEC] = take_exec,
        [PROCESS_EXIT] = take_exit,
        [PROCESS_NEW_USER] = take_new_user,
        [PROCESS_GAP] = take_gap,
    };
    bool taken = takes[sighting->type](census, sighting);
    sweep(census);
    return taken;
}

void process_census_pass(struct process_census *census, const struct process_sighting *sighting)
{
    process_lives_put_unread(&census->lives, (uint32_t)sighting->pid); /* it is another now */
}

bool process_census_knows(struct process_census *census, const struct process_sighting *sighting)
{
    const struct process_live *live = process_lives_find(&census->lives, (uint32_t)sighting->pid);
    if (sighting->type == PROCESS_FORK)
        return live != NULL && !live->counted;
    if (sighting->type == PROCESS_EXIT)
        return live == NULL;
    if (sighting->type != PROCESS_EXEC || live == NULL || !live->executed || live->counted)
        return false;
    /* It was told of as it started, unless it is another program by now. */
    procfs_read(census->proc_fd, sighting->pid, &census->facts);
    struct span now = {census->facts.command_line, census->facts.command_line_len};
    return census->facts.state == COMMAND_LINE_GONE || live->known == NULL ||
           span_eq(now, live->known->command_line);
}
