/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storm COUNT PARALLEL PROGRAM [ARGUMENT…]: starts a program COUNT times, as fast as the machine
 * can, PARALLEL at once, and prints how long that took in microseconds. An argument "@" becomes the
 * number of the start.
 *
 * Called "sleeper", whatever its arguments are, or without a name, it waits for its end, but no
 * longer than five minutes.
 */
#include "clock.h"

#include <inttypes.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

int main(int argc, char **argv)
{
    if (argc == 0 || argv[0][0] == '\0' || strcmp(argv[0], "sleeper") == 0) {
        alarm(300);
        pause();
        return 3;
    }
    if (argc < 4)
        return 2;
    long count = atol(argv[1]), parallel = atol(argv[2]), running = 0;
    char number[32], **start = argv + 3;
    for (int i = 1; start[i] != NULL; i++)
        if (strcmp(start[i], "@") == 0)
            start[i] = number;
    int64_t begin_us = clock_mono_us(&clock_system);
    for (long i = 0; i < count; i++) {
        pid_t pid;
        snprintf(number, sizeof(number), "%ld", i);
        if (posix_spawn(&pid, start[0], NULL, NULL, start, environ) != 0)
            return 1;
        if (++running >= parallel && wait(NULL) > 0)
            running--;
    }
    while (running-- > 0)
        (void)wait(NULL);
    printf("%" PRId64 "\n", clock_mono_us(&clock_system) - begin_us);
    return 0;
}
