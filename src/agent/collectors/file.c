/* SPDX-License-Identifier: Apache-2.0 */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

bool file_read(const char *dir, const char *name, size_t max, struct buf *out)
{
    char path[PATH_MAX];
    int len = snprintf(path, sizeof(path), "%s/%s", dir, name);
    if (len < 0 || (size_t)len >= sizeof(path))
        return false;
    /* Without waiting: somebody may have put a FIFO there. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return false;
    size_t left = max;
    ssize_t got = 1;
    while (left > 0 && got != 0) {
        size_t piece = left < 4096 ? left : 4096;
        char *room = buf_reserve(out, piece);
        got = room == NULL ? -1 : read(fd, room, piece);
        if (got < 0 && room != NULL && errno == EINTR)
            continue;
        if (got < 0)
            break;
        out->len += (size_t)got;
        left -= (size_t)got;
    }
    close(fd);
    return got >= 0;
}
