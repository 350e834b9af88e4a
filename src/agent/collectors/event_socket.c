/* SPDX-License-Identifier: Apache-2.0 */
#include "event_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SEND_WAIT_S 10

/* A socket's path has little room, a directory may have a long one: so the way is through its
 * descriptor, which is returned. */
static int open_address(const char *path, struct sockaddr_un *ret_address)
{
    char directory[PATH_MAX] = ".";
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    *ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (slash != NULL &&
        !span_copy((struct span){path, (size_t)(name - path)}, directory, sizeof(directory))) {
        errno = ENAMETOOLONG;
        return -1;
    }
    int fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int len = snprintf(
        ret_address->sun_path, sizeof(ret_address->sun_path), "/proc/self/fd/%d/%s", fd, name);
    if (fd >= 0 && (name[0] == '\0' || len >= (int)sizeof(ret_address->sun_path))) {
        close(fd);
        errno = ENAMETOOLONG;
        return -1;
    }
    return fd;
}

/* To connect a datagram socket asks whether somebody has the file bound. */
static bool is_read(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool read = fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0;
    if (fd >= 0)
        close(fd);
    return read;
}

static bool bind_anew(int fd, const struct sockaddr_un *address, mode_t mode, gid_t group)
{
    struct stat stat;
    if (lstat(address->sun_path, &stat) == 0) {
        if (!S_ISSOCK(stat.st_mode)) {
            errno = EEXIST;
            return false;
        }
        if (is_read(address)) {
            errno = EADDRINUSE; /* another agent's */
            return false;
        }
        unlink(address->sun_path);
    }
    mode_t mask = umask(0177);
    bool bound = bind(fd, (const struct sockaddr *)address, sizeof(*address)) == 0;
    umask(mask);
    return bound && (group == (gid_t)-1 || chown(address->sun_path, (uid_t)-1, group) == 0) &&
           (mode == 0600 || chmod(address->sun_path, mode) == 0);
}

enum err event_socket_listen(
    const char *path, bool everybody, gid_t group, int *ret_fd, struct why *why)
{
    struct sockaddr_un address;
    const int on = 1;
    mode_t mode = everybody ? 0666 : group != (gid_t)-1 ? 0660 : 0600;
    int directory = open_address(path, &address);
    int fd = directory < 0 ? -1 : socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    enum err err = ERR_NONE;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) != 0 ||
        !bind_anew(fd, &address, mode, group))
        err = fail(ERR_REFUSED, why, "%s: %s", path, strerror(errno));
    if (err != ERR_NONE && fd >= 0)
        close(fd);
    if (directory >= 0)
        close(directory);
    if (err == ERR_NONE)
        *ret_fd = fd;
    return err;
}

bool event_socket_stands(int fd, const char *path)
{
    struct sockaddr_un address;
    struct stat stat;
    int directory = open_address(path, &address);
    bool stands = fd >= 0 && directory >= 0 && lstat(address.sun_path, &stat) == 0 &&
                  S_ISSOCK(stat.st_mode) && is_read(&address);
    if (directory >= 0)
        close(directory);
    return stands;
}

void event_socket_refuse(int fd)
{
    (void)shutdown(fd, SHUT_RD);
}

void event_socket_close(int fd, const char *path)
{
    struct sockaddr_un address;
    if (fd < 0)
        return;
    bool stands = event_socket_stands(fd, path);
    close(fd);
    int directory = stands ? open_address(path, &address) : -1;
    if (directory < 0)
        return;
    unlink(address.sun_path);
    close(directory);
}

enum event_datagram event_socket_next(
    int fd, char bytes[EVENT_BODY_MAX + 1], struct event_source *ret_source, struct span *ret_body)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(struct ucred))];
    struct iovec part = {bytes, EVENT_BODY_MAX + 1};
    struct msghdr message = {.msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = control,
        .msg_controllen = sizeof(control)};
    ssize_t len = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (len < 0)
        return EVENT_NONE;
    *ret_source = (struct event_source){.process_id = 0, .user_id = (uid_t)-1};
    for (struct cmsghdr *at = CMSG_FIRSTHDR(&message); at != NULL; at = CMSG_NXTHDR(&message, at)) {
        struct ucred credentials;
        if (at->cmsg_level != SOL_SOCKET || at->cmsg_type != SCM_CREDENTIALS)
            continue;
        memcpy(&credentials, CMSG_DATA(at), sizeof(credentials));
        *ret_source = (struct event_source){credentials.pid, credentials.uid};
    }
    *ret_body = (struct span){bytes, (size_t)len};
    return (size_t)len > EVENT_BODY_MAX ? EVENT_TOO_LARGE : EVENT_TAKEN;
}

enum err event_body_parse(
    struct arena *arena, struct span body, struct json **ret_object, struct why *why)
{
    struct json *value;
    if (body.len > EVENT_BODY_MAX)
        return fail(ERR_TOO_LARGE, why, "an event has at most %u bytes, this one %zu",
            EVENT_BODY_MAX, body.len);
    enum err err = json_parse(arena, body, EVENT_DEPTH_MAX, &value, why);
    if (err != ERR_NONE)
        return err;
    if (value->kind != JSON_OBJECT)
        return fail(
            ERR_FORMAT, why, "an event is a JSON object, and not %s", json_kind_name(value));
    *ret_object = value;
    return ERR_NONE;
}

enum err event_socket_send(const char *path, struct span body, struct why *why)
{
    struct sockaddr_un address;
    const struct timeval patience = {.tv_sec = SEND_WAIT_S};
    enum err err = ERR_NONE;
    int directory = open_address(path, &address);
    int fd = directory < 0 ? -1 : socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) != 0 ||
        sendto(fd, body.ptr, body.len, MSG_NOSIGNAL, (const struct sockaddr *)&address,
            sizeof(address)) != (ssize_t)body.len) {
        bool absent = errno == ENOENT || errno == ECONNREFUSED || errno == EPIPE;
        err = absent ? fail(ERR_NOT_FOUND, why, "no agent takes events at %s", path)
                     : fail(ERR_IO, why, "%s: %s", path, strerror(errno));
    }
    if (fd >= 0)
        close(fd);
    if (directory >= 0)
        close(directory);
    return err;
}
