/* SPDX-License-Identifier: Apache-2.0 */
/* How far a long command is: a bar on a terminal, elsewhere a line now and then. */
#ifndef GEMEL_CLI_PROGRESS_H
#define GEMEL_CLI_PROGRESS_H

#include "clock.h"

#include <stdio.h>

struct progress {
    const char *what; /* "imported" */
    FILE *out;
    const struct clock *clock;
    bool terminal;
    int64_t begin_us;
    int64_t shown_us;
};

struct progress progress_start(const char *what, FILE *out, const struct clock *clock);

/* `part` of `whole` is done (0: nobody knows how much that is), and `count` things of it. */
void progress_show(struct progress *progress, uint64_t part, uint64_t whole, uint64_t count);

/* Ends the line of the bar, if there is one. */
void progress_end(struct progress *progress);

double progress_seconds(const struct progress *progress);

#endif
