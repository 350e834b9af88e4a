/* SPDX-License-Identifier: Apache-2.0 */
#include "files.h"

#include "log.h"
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

char *files_path(const char *dir, const char *name)
{
    struct buf path = BUF_EMPTY;
    buf_add_format(&path, "%s/%s", dir, name);
    if (path.failed)
        buf_done(&path);
    return buf_take(&path, NULL);
}

enum err files_read(const char *path, size_t max_bytes, struct buf *body, struct why *why)
{
    /* A pipe in its place would keep the caller waiting for ever. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return fail(
            errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, why, "reading %s: %s", path, strerror(errno));
    enum err err = ERR_NONE;
    buf_clear(body);
    for (;;) {
        char *room = buf_reserve(body, 4096);
        if (room == NULL) {
            err = fail(ERR_MEMORY, why, "no memory to read %s", path);
            break;
        }
        ssize_t got = read(fd, room, 4096);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            err = fail(ERR_IO, why, "reading %s: %s", path, strerror(errno));
        if (got <= 0)
            break;
        body->len += (size_t)got;
        body->ptr[body->len] = '\0';
        if (body->len > max_bytes) {
            err = fail(ERR_TOO_LARGE, why, "%s is larger than %zu bytes", path, max_bytes);
            break;
        }
    }
    close(fd);
    return err;
}

static int write_whole(int fd, struct span body)
{
    while (body.len > 0) {
        ssize_t done = write(fd, body.ptr, body.len);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return -1;
        body = span_from(body, (size_t)done);
    }
    return 0;
}

/* Closes a file; the first error of `result` and this counts. */
static int close_after(int fd, int result)
{
    int error = errno;
    if (close(fd) != 0 && result == 0)
        return -1;
    errno = error;
    return result;
}

static int stage_at(int dir_fd, const char *new_name, struct span body)
{
    int fd = openat(dir_fd, new_name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    return fd < 0 ? -1 : close_after(fd, write_whole(fd, body));
}

static int commit_at(int dir_fd, const char *new_name, const char *name)
{
    int fd = openat(dir_fd, new_name, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || close_after(fd, fsync(fd)) != 0)
        return -1;
    return renameat(dir_fd, new_name, dir_fd, name) == 0 ? fsync(dir_fd) : -1;
}

/* One step of replacing; without `body` the second. */
static enum err replace_step(
    const char *dir, const char *name, const struct span *body, struct why *why)
{
    AUTO(buf_done) struct buf new_name = BUF_EMPTY;
    buf_add_format(&new_name, "%s.new", name);
    if (new_name.failed)
        return fail(ERR_MEMORY, why, "no memory to write %s/%s", dir, name);
    int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = dir_fd < 0     ? -1
                 : body != NULL ? stage_at(dir_fd, new_name.ptr, *body)
                                : commit_at(dir_fd, new_name.ptr, name);
    int error = errno;
    if (result != 0 && dir_fd >= 0)
        unlinkat(dir_fd, new_name.ptr, 0);
    if (dir_fd >= 0)
        close(dir_fd);
    if (result == 0)
        return ERR_NONE;
    return fail(error == ENOSPC || error == EDQUOT ? ERR_STORAGE_FULL : ERR_IO, why,
        "writing %s/%s: %s", dir, name, strerror(error));
}

enum err files_stage(const char *dir, const char *name, struct span body, struct why *why)
{
    return replace_step(dir, name, &body, why);
}

enum err files_commit(const char *dir, const char *name, struct why *why)
{
    return replace_step(dir, name, NULL, why);
}

void files_set_aside(const char *dir, const char *name)
{
    AUTO(buf_done) struct buf from = BUF_EMPTY;
    AUTO(buf_done) struct buf to = BUF_EMPTY;
    buf_add_format(&from, "%s/%s", dir, name);
    buf_add_format(&to, "%s/%s.damaged", dir, name);
    if (from.failed || to.failed || rename(from.ptr, to.ptr) != 0)
        log_warn("files", "cannot set %s/%s aside: %s", dir, name, strerror(errno));
    else
        log_warn("files", "%s is set aside as %s", from.ptr, to.ptr);
}
