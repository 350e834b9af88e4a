/* SPDX-License-Identifier: Apache-2.0 */
#include "heap.h"

#include "base.h"

#include <limits.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <unistd.h>

#define VARIABLE "GLIBC_TUNABLES"

void heap_keep_small(char **argv)
{
#ifdef __GLIBC__
    char path[PATH_MAX];
    /* A program with more rights than who starts it is not told by his environment: it would begin
     * anew for ever. */
    if (getenv(VARIABLE) != NULL || getauxval(AT_SECURE) != 0)
        return;
    /* By its path, not as /proc/self/exe, after which it would be called "exe". */
    ssize_t len = readlink("/proc/self/exe", path, sizeof(path));
    if (len <= 0 || (size_t)len >= sizeof(path) ||
        setenv(VARIABLE, "glibc.malloc.tcache_count=0", 1) != 0)
        return;
    path[len] = '\0';
    (void)execv(path, argv);
#else
    (void)argv;
#endif
}
