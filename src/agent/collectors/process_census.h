/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Turns what is seen of processes into facts: reads what starts from /proc, at once, since many
 * live for a millisecond only, and remembers it for the rest. A fork is its parent's copy, and
 * shows the parent's program; of what has ended /proc tells nothing any more.
 *
 *     exec: /proc/PID ──> facts ──> lives ──┐
 *     fork: its parent's of lives ──────────┼──> facts
 *     exit: its own of lives ───────────────┘
 *
 * Who only wants to hear of programs that start needs no memory of them. Who begins to remember
 * takes a census of what runs: one process a step, so that what happens meanwhile is heard.
 *
 * Not for two threads at once.
 */
#ifndef GEMEL_PROCESS_CENSUS_H
#define GEMEL_PROCESS_CENSUS_H

#include "process_lives.h"
#include "process_sighting.h"
#include "procfs.h"

#include <dirent.h>

struct process_census {
    const char *proc_dir;
    int proc_fd;
    bool remembers;
    bool users_are_told; /* each change of a process's user is seen before its next program */
    bool gap;            /* something was missed, and is made up for by the next count */
    bool missed;         /* what was missed may have been ends */
    bool sure;           /* nothing was missed that was not made up for */
    DIR *counting;       /* NULL: no census is taken */
    uint64_t unswept;    /* sightings since what is gone was looked for */
    struct process_lives lives;
    struct process_facts facts; /* of the last sighting */
};

/* Begins; the directory must live as long as the census. ERR_IO: it cannot be opened. */
enum err process_census_open(
    struct process_census *ret_census, const char *proc_dir, struct why *why) MUST_USE;
void process_census_close(struct process_census *census);

/* Begins to remember, and to count what runs. */
void process_census_begin(struct process_census *census);
/* Counts one more; false: all are. */
bool process_census_step(struct process_census *census);
/* Counts once more: what is remembered may be wrong. */
void process_census_recount(struct process_census *census);
/* Remembers no more, and forgets all. */
void process_census_end(struct process_census *census);

/* Whether what one source saw is what another has seen already, for the moment in which one takes
 * over from the other. Then it is not to be taken again. */
bool process_census_knows(struct process_census *census, const struct process_sighting *sighting);

/* Takes a sighting in. True: `facts` has what it is of; false: of no program. */
bool process_census_take(struct process_census *census, const struct process_sighting *sighting);

/* Takes in that a program starts without reading it. */
void process_census_pass(struct process_census *census, const struct process_sighting *sighting);

#endif
