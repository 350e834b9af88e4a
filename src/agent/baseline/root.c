/* SPDX-License-Identifier: Apache-2.0 */
#include "root_priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

enum err root_open(const char *dir, struct root *ret_root, struct why *why)
{
    int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return fail(ERR_IO, why, "%s: %s", dir, strerror(errno));
    *ret_root = (struct root){.fd = fd};
    return ERR_NONE;
}

void root_close(struct root *root)
{
    if (root->fd >= 0)
        close(root->fd);
    root->fd = -1;
}

int root_open_at(struct root *root, const char *path, int flags)
{
    flags |= O_CLOEXEC;
    if (!root->plain) {
        struct open_how how = {.flags = (unsigned)flags, .resolve = RESOLVE_IN_ROOT};
        long fd = syscall(SYS_openat2, root->fd, path, &how, sizeof(how));
        if (fd >= 0)
            return (int)fd;
        if (errno != ENOSYS && errno != EPERM)
            return -errno;
        root->plain = errno == ENOSYS;
    }
    while (*path == '/')
        path++;
    int fd = openat(root->fd, *path == '\0' ? "." : path, flags);
    return fd < 0 ? -errno : fd;
}

static int stat_with(struct root *root, const char *path, int flags, struct stat *ret_stat)
{
    int fd = root_open_at(root, path, O_PATH | flags);
    if (fd < 0)
        return fd;
    int result = fstat(fd, ret_stat) == 0 ? 0 : -errno;
    close(fd);
    return result;
}

int root_stat(struct root *root, const char *path, struct stat *ret_stat)
{
    return stat_with(root, path, 0, ret_stat);
}

int root_lstat(struct root *root, const char *path, struct stat *ret_stat)
{
    return stat_with(root, path, O_NOFOLLOW, ret_stat);
}

bool root_readlink(struct root *root, const char *path, char *ret_target, size_t size)
{
    int fd = root_open_at(root, path, O_PATH | O_NOFOLLOW);
    if (fd < 0)
        return false;
    ssize_t len = readlinkat(fd, "", ret_target, size - 1);
    close(fd);
    if (len < 0)
        return false;
    ret_target[len] = '\0';
    return true;
}

bool root_is_missing(int error)
{
    return error == ENOENT || error == ENOTDIR;
}

/* ---- lines ----------------------------------------------------------------------------------- */

/* A device or a FIFO must not even be opened, so it is looked at through a handle first. */
static int open_regular(struct root *root, const char *path)
{
    int handle = root_open_at(root, path, O_PATH);
    if (handle < 0)
        return handle;
    struct stat stat;
    int fd = -EIO;
    if (fstat(handle, &stat) == 0 && S_ISREG(stat.st_mode)) {
        char name[64];
        snprintf(name, sizeof(name), "/proc/self/fd/%d", handle);
        fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fd < 0)
            fd = -errno;
    } else {
        fd = S_ISDIR(stat.st_mode) ? -EISDIR : -EINVAL;
    }
    close(handle);
    return fd;
}

enum looked lines_open(
    struct root *root, const char *path, struct lines *ret_lines, struct why *why)
{
    int fd = open_regular(root, path);
    if (fd < 0 && root_is_missing(-fd)) {
        why_set(why, "%s does not exist", path);
        return LOOKED_MISSING;
    }
    if (fd < 0) {
        why_set(why, "%s cannot be read: %s", path,
            fd == -EINVAL ? "it is no regular file" : strerror(-fd));
        return LOOKED_FAILED;
    }
    ret_lines->fd = fd;
    ret_lines->begin = ret_lines->end = ret_lines->number = 0;
    ret_lines->left = FILE_BYTES_MAX;
    ret_lines->over = ret_lines->cut = ret_lines->skip = ret_lines->bounded = false;
    ret_lines->error = 0;
    ret_lines->buffer[sizeof(ret_lines->buffer) - 1] = '\0';
    return LOOKED_FOUND;
}

void lines_close(struct lines *lines)
{
    if (lines->fd >= 0)
        close(lines->fd);
    lines->fd = -1;
}

static void fill(struct lines *lines)
{
    size_t held = lines->end - lines->begin;
    memmove(lines->buffer, lines->buffer + lines->begin, held);
    lines->begin = 0;
    lines->end = held;
    size_t room = sizeof(lines->buffer) - 1 - held;
    if (lines->left == 0) {
        char byte;
        lines->bounded = read(lines->fd, &byte, 1) == 1;
        lines->over = true;
        return;
    }
    ssize_t got;
    do
        got = read(lines->fd, lines->buffer + held, room < lines->left ? room : lines->left);
    while (got < 0 && errno == EINTR);
    if (got <= 0) {
        lines->error = got < 0 ? errno : 0;
        lines->over = true;
        return;
    }
    lines->end += (size_t)got;
    lines->left -= (size_t)got;
}

/* Takes what is before the next line's end in the buffer; false if there is none in it. */
static bool take(struct lines *lines, struct span *ret_line)
{
    char *begin = lines->buffer + lines->begin;
    size_t held = lines->end - lines->begin;
    char *end = memchr(begin, '\n', held);
    size_t len = end == NULL ? held : (size_t)(end - begin);
    if (end == NULL && !lines->over && len <= LINE_BYTES_MAX)
        return false;
    lines->cut = len > LINE_BYTES_MAX;
    *ret_line = span_first((struct span){begin, len}, LINE_BYTES_MAX);
    lines->skip = end == NULL && !lines->over;
    lines->begin += len + (end != NULL);
    lines->number++;
    return true;
}

/* Drops the rest of a line that was cut. */
static void drop_rest(struct lines *lines)
{
    while (lines->skip) {
        char *begin = lines->buffer + lines->begin;
        char *end = memchr(begin, '\n', lines->end - lines->begin);
        lines->begin = end == NULL ? lines->end : lines->begin + (size_t)(end - begin) + 1;
        lines->skip = end == NULL && !lines->over;
        if (lines->skip)
            fill(lines);
    }
}

bool lines_next(struct lines *lines, struct span *ret_line)
{
    drop_rest(lines);
    for (;;) {
        if (lines->over && lines->begin == lines->end)
            return false;
        if (lines->end > lines->begin && take(lines, ret_line))
            return true;
        fill(lines);
    }
}

bool lines_check(const struct lines *lines, const char *path, struct why *why)
{
    if (lines->error != 0) {
        why_set(why, "%s cannot be read: %s", path, strerror(lines->error));
        return false;
    }
    if (lines->bounded) {
        why_set(why, "%s was read up to %u bytes only", path, FILE_BYTES_MAX);
        return false;
    }
    return true;
}

bool next_word(struct span *rest, struct span *ret_word)
{
    *rest = span_trim(*rest);
    size_t len = 0;
    while (len < rest->len && rest->ptr[len] != ' ' && rest->ptr[len] != '\t')
        len++;
    *ret_word = span_first(*rest, len);
    *rest = span_from(*rest, len);
    return len > 0;
}

/* ---- names ----------------------------------------------------------------------------------- */

int root_each(
    struct root *root, const char *dir, bool (*each)(void *self, const char *name), void *self)
{
    int fd = root_open_at(root, dir, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        return fd;
    DIR *stream = fdopendir(fd);
    if (stream == NULL) {
        int error = errno;
        close(fd);
        return -error;
    }
    struct dirent *entry;
    size_t count = 0;
    bool goes_on = true;
    while (goes_on && count < GLOB_ENTRIES_MAX && (entry = readdir(stream)) != NULL) {
        count++;
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            goes_on = each(self, entry->d_name);
    }
    closedir(stream);
    return count == GLOB_ENTRIES_MAX;
}
